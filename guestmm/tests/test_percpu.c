/*
 * Per-CPU areas: each CPU reaches its own through GS, what is allocated has a copy in each, and memory comes
 * and goes by the chunk.
 */
#include "arch/irqflags.h"
#include "arch/processor.h"
#include "mm/kvirt/percpu.h"
#include "mmvm/audit.h"
#include "tests/tests.h"

#define FOUR  "memory=32M,high=4M cpus=4"
#define ONE   "memory=24M,high=4M cpus=1"
#define NODES "memory=96M,high=0M cpus=2 nodes=2"

extern struct mmvm_audit_root mmvm_audit_root;
static DEFINE_PER_CPU(u64, number) = 41;
static DEFINE_PER_CPU(u32, narrow);

struct seen {
	u64 gs_base[MMVM_MAX_CPUS], off[MMVM_MAX_CPUS];
	void *mine[MMVM_MAX_CPUS];
	u32 cpus;
};

static void look(void *arg)
{
	struct seen *s = arg;
	unsigned int cpu = cpu_id();

	s->gs_base[cpu] = rdmsr(MSR_GS_BASE);
	s->off[cpu] = this_cpu_read(this_cpu_off);
	s->mine[cpu] = this_cpu_ptr(&number);
	this_cpu_add(number, cpu);
	this_cpu_inc(number);
	atomic_or(&s->cpus, 1u << cpu);
}

GUEST_TEST(percpu, gs_leads_each_cpu_to_its_own, 0, 0, FOUR)
{
	static struct seen s;

	on_each_cpu(look, &s);
	CHECK_EQ(s.cpus, 0xf);
	for_each_possible_cpu (cpu) {
		CHECK_EQ(s.gs_base[cpu], __per_cpu_offset[cpu]);
		CHECK_EQ(s.off[cpu], __per_cpu_offset[cpu]);
		CHECK(s.mine[cpu] == per_cpu_ptr(&number, cpu));
		CHECK_EQ(per_cpu(number, cpu), 42 + cpu); /* begins with the value it was given */
		CHECK_EQ(per_cpu(cpu_number, cpu), cpu);
		for (unsigned int other = 0; other < cpu; other++)
			CHECK(per_cpu_ptr(&number, cpu) != per_cpu_ptr(&number, other));
	}
}

GUEST_TEST(percpu, every_operation_does_what_it_says, 0, 0, ONE)
{
	this_cpu_write(narrow, 0xf0);
	this_cpu_or(narrow, 0x0f);
	CHECK_EQ(this_cpu_read(narrow), 0xff);
	this_cpu_and(narrow, 0x3c);
	this_cpu_sub(narrow, 0x0c);
	CHECK_EQ(this_cpu_read(narrow), 0x30);
	this_cpu_dec(narrow);
	CHECK_EQ(this_cpu_read(narrow), 0x2f);
	this_cpu_write(number, 7ull << 40);
	CHECK_EQ(this_cpu_xchg(number, 5), 7ll << 40);
	this_cpu_add(number, -6);
	CHECK_EQ(this_cpu_read(number), -1);
}

/* Interrupts come on CPU 0 while it counts, and count as well: each on its own, none is lost. */
static u64 __percpu *counter;

static int count_away(void *arg)
{
	for (unsigned int i = 0; i < 200000; i++)
		this_cpu_inc(*counter);
	return 0;
}

GUEST_TEST(percpu, threads_that_are_preempted_lose_no_count, 0, 0, FOUR)
{
	u64 sum = 0;

	counter = alloc_percpu(sizeof(*counter), 8);
	REQUIRE(counter);
	for (unsigned int cpu = 0; cpu < 4; cpu++)
		CHECK_EQ(kthread_run_on(cpu, count_away, NULL, "counter"), 0);
	CHECK_EQ(count_away(NULL), 0);
	for (unsigned int i = 0; i < 1000 && sum < 1000000; i++) {
		sleep_ms(5);
		sum = 0;
		for_each_possible_cpu (cpu)
			sum += READ_ONCE(*per_cpu_ptr(counter, cpu));
	}
	CHECK_EQ(sum, 1000000);
	free_percpu(counter);
}

GUEST_TEST(percpu, events_are_counted_where_the_monitor_reads, 0, 0, FOUR)
{
	unsigned long flags = arch_irq_save();
	unsigned int cpu = cpu_id();
	u64 before = mmvm_shared->event[cpu][MMVM_PCP_REFILL];

	count_vm_event(MMVM_PCP_REFILL);
	count_vm_events(MMVM_PCP_REFILL, 4);
	CHECK_EQ(mmvm_shared->event[cpu][MMVM_PCP_REFILL] - before, 5);
	arch_irq_restore(flags);
}

/* Fill chunks beyond the first and give everything back. Returns the most there were at a time. */
#define SIZE 4096u
#define MOST 64u
static unsigned int fill(struct test *t, unsigned int n)
{
	static u8 __percpu *p[MOST];
	unsigned int chunks;

	for (unsigned int i = 0; i < n; i++) {
		p[i] = alloc_percpu(SIZE, 64);
		CHECK(p[i] && IS_ALIGNED((unsigned long)p[i] + __per_cpu_offset[0], 64ul));
		for_each_possible_cpu (cpu) {
			u8 *mine = per_cpu_ptr(p[i], cpu);

			for (unsigned int b = 0; b < SIZE; b += 511)
				CHECK_EQ(mine[b], 0);
			memset(mine, i * 8 + cpu, SIZE);
		}
	}
	chunks = percpu_nr_chunks();
	for (unsigned int i = 0; i < n; i++) {
		for_each_possible_cpu (cpu)
			for (unsigned int b = 0; b < SIZE; b += 511)
				CHECK_EQ(per_cpu_ptr(p[i], cpu)[b], (u8)(i * 8 + cpu));
		free_percpu(p[i]);
	}
	return chunks;
}

GUEST_TEST(percpu, chunks_come_and_go, 0, 0, FOUR)
{
	u64 used = percpu_used_bytes(), first = percpu_nr_pages(), unit;
	unsigned int chunks;

	CHECK_EQ(percpu_nr_chunks(), 0);
	CHECK(first >= 4 * 7); /* four units of 32 KiB and more, each with a page that is no RAM */
	chunks = fill(t, 40);
	CHECK(chunks >= 2);
	CHECK_EQ(percpu_used_bytes(), used);
	CHECK_EQ(percpu_nr_chunks(), 1); /* one that is empty may stay */
	unit = percpu_nr_pages() - first;
	CHECK(unit >= 4 * 8 && unit % 4 == 0);
	fill(t, 40);
	CHECK_EQ(percpu_nr_pages() - first, unit);
}

GUEST_TEST(percpu, odd_sizes_are_refused, 0, 0, ONE)
{
	CHECK(!alloc_percpu(0, 8));
	CHECK(!alloc_percpu(1ul << 20, 8));
	CHECK(!alloc_percpu(8, 3));
	CHECK(!alloc_percpu(8, 2 * PAGE_SIZE));
	free_percpu(NULL);
}

GUEST_TEST(percpu, each_failing_allocation_leaves_nothing_behind, 0, 0, FOUR)
{
	static void __percpu *hold[MOST];
	unsigned int held = 0, k, failed = 0;
	u64 pages, free;

	/* Leave no room in what is there, so that the next needs a chunk. */
	while (held < MOST && !percpu_nr_chunks())
		hold[held++] = alloc_percpu(SIZE, 8);
	free_percpu(hold[--held]);
	for (k = 1; k < 200; k++) {
		void __percpu *more[MOST];
		unsigned int n = 0;
		u64 before = alloc_fail_count();

		purge_vmap_areas();
		pages = percpu_nr_pages();
		free = settled_free_pages();
		alloc_fail_nth(k);
		/* Two chunks and more. */
		while (n < 20 && (more[n] = alloc_percpu(SIZE, 8)))
			n++;
		alloc_fail_nth(0);
		failed += n < 20;
		for (unsigned int i = 0; i < n; i++)
			free_percpu(more[i]);
		CHECK_EQ(percpu_nr_pages(), pages);
		purge_vmap_areas();
		if (k > 1) /* page tables stay */
			CHECK(settled_free_pages() + 6 >= free);
		if (alloc_fail_count() == before)
			break;
	}
	CHECK(k < 200 && failed > 4);
	while (held)
		free_percpu(hold[--held]);
}

GUEST_TEST(percpu, units_lie_on_the_cpus_node, 0, 0, NODES)
{
	void __percpu *p[MOST];
	unsigned int n = 0;

	while (n < MOST - 1 && !percpu_nr_chunks())
		p[n++] = alloc_percpu(SIZE, 8);
	REQUIRE(percpu_nr_chunks() == 1);
	for_each_possible_cpu (cpu) {
		struct page *page = vmalloc_to_page(per_cpu_ptr(p[n - 1], cpu));

		REQUIRE(page);
		CHECK_EQ(page->type, PAGE_PERCPU);
		CHECK_EQ(page_node_id(page), cpu_node[cpu]);
	}
	while (n)
		free_percpu(p[--n]);
}

GUEST_TEST(percpu, a_second_free_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, ONE)
{
	u64 __percpu *p = alloc_percpu(8, 8);

	test_expect_words(t, "no per-CPU object in use");
	free_percpu(p);
	free_percpu(p);
}

GUEST_TEST(percpu, the_linkers_copy_is_gone_after_boot, MMVM_TESTF_EXPECT_CRASH, 0, ONE)
{
	test_expect_words(t, "not mapped");
	WRITE_ONCE(*(volatile u64 *)&number, 1);
}

/* What only the host's audit sees: CPU 1 would work on another one's data, a page that nobody gave back. */
GUEST_TEST(percpu, audit_finds_an_area_with_another_number, MMVM_TESTF_EXPECT_AUDIT, 0, FOUR)
{
	per_cpu(cpu_number, 1) = 2;
	test_expect_audit(t, "percpu_area");
}

GUEST_TEST(percpu, audit_finds_pages_that_do_not_add_up, MMVM_TESTF_EXPECT_AUDIT, 0, FOUR)
{
	(*(u64 *)mmvm_audit_root.percpu.nr_pages_gva)++;
	test_expect_audit(t, "percpu_count");
}
