/*
 * Several CPUs: they start, run what they are given, answer each other; and the memory manager
 * holds its invariants when all of them use it at once. The audit follows each case.
 */
#include "arch/smp.h"
#include "arch/tlb.h"
#include "arch/uaccess.h"
#include "kernel/task.h"
#include "mm/reclaim/lru.h"
#include "tests/crew.h"

#define TWO  "memory=24M,high=4M cpus=2"
#define FOUR "memory=24M,high=4M cpus=4"

/* ---- CPUs ---- */

GUEST_TEST(smp, all_cpus_come_up, 0, 0, FOUR)
{
	CHECK_EQ(cpus_online, 0xf);
	CHECK_EQ(kthread_run_on(4, NULL, NULL, "nowhere"), -EINVAL);
}

GUEST_TEST(smp, one_cpu_is_enough, 0, 0, "memory=24M,high=4M cpus=1")
{
	CHECK_EQ(cpus_online, 1);
	CHECK(!static_key(KEY_SMP));
}

static void count_here(void *arg)
{
	u32 *seen = arg;

	atomic_or(seen, 1u << cpu_id());
	if (!arch_irqs_disabled())
		atomic_or(seen, 1u << 31);
}

GUEST_TEST(smp, a_call_runs_on_every_cpu, 0, 0, FOUR)
{
	u32 seen = 0;

	on_each_cpu(count_here, &seen);
	CHECK_EQ(seen, 0xf);
}

/* Each asks all, again and again: nobody is in a critical section, so nobody may refuse for ever. */
static void ask_all(struct crew *c, unsigned int cpu)
{
	for (unsigned int i = 0; i < 200; i++) {
		u32 seen = 0;

		on_each_cpu(count_here, &seen);
		if (seen != 0xf)
			crew_error(c);
	}
}

GUEST_TEST(smp, all_cpus_ask_all, 0, 0, FOUR)
{
	struct crew c = {.fn = ask_all};

	run_crew(t, &c, 4);
}

/* All CPUs call all others at once, with interrupts on and off, and get their answers. */
static void call_around(struct crew *c, unsigned int cpu)
{
	for (unsigned int i = 0; i < 50; i++) {
		unsigned long flags = 0;
		u32 seen = 0, refused;

		preempt_disable();
		if (i & 1)
			flags = arch_irq_save();
		refused = smp_call(~0u, count_here, &seen, CALL_ANYWHERE);
		if (i & 1)
			arch_irq_restore(flags);
		preempt_enable();
		if (refused || seen != (0xfu & ~(1u << cpu)))
			crew_error(c);
	}
}

GUEST_TEST(smp, calls_cross_without_waiting_for_ever, 0, 0, FOUR)
{
	struct crew c = {.fn = call_around};

	run_crew(t, &c, 4);
}

/* ---- scheduling ---- */

static u32 busy_on; /* A: CPUs on which a spinner was seen */
static bool spin_on;

static int spinner(void *arg)
{
	while (READ_ONCE(spin_on)) {
		atomic_or(&busy_on, 1u << cpu_id());
		cond_resched();
	}
	atomic_sub((u32 *)arg, 1);
	return 0;
}

static bool all_busy(void *arg)
{
	return atomic_load(&busy_on) == 0xf;
}

GUEST_TEST(smp, new_threads_spread_over_the_cpus, 0, 30, FOUR)
{
	static u32 left = 8;

	spin_on = true;
	for (int i = 0; i < 8; i++)
		REQUIRE(!kthread_run(spinner, &left, "spinner"));
	CHECK(wait_until(all_busy, NULL, 5000));
	WRITE_ONCE(spin_on, false);
	CHECK(wait_until(all_gone, &left, 5000));
}

static struct wait_queue ping_wq = WAIT_QUEUE_INIT(ping_wq);
static u32 turn;

static void ping_pong(struct crew *c, unsigned int cpu)
{
	for (u32 i = 0; i < 100; i++) {
		wait_event(&ping_wq, atomic_load(&turn) == 2 * i + cpu);
		atomic_add(&turn, 1);
		wake_up(&ping_wq);
	}
}

GUEST_TEST(smp, a_sleeper_is_woken_from_another_cpu, 0, 30, TWO)
{
	struct crew c = {.fn = ping_pong};

	run_crew(t, &c, 2);
	CHECK_EQ(turn, 200);
}

static struct mutex count_mutex = MUTEX_INIT(count_mutex);
static struct rw_semaphore count_sem;
static spinlock_t count_spin = SPINLOCK_INIT;
static u64 counted[3];
static s32 readers;

static void count_under_locks(struct crew *c, unsigned int cpu)
{
	for (u32 i = 0; i < 300; i++) {
		unsigned long flags;

		mutex_lock(&count_mutex);
		counted[0]++;
		mutex_unlock(&count_mutex);
		flags = spin_lock_irqsave(&count_spin);
		counted[1]++;
		spin_unlock_irqrestore(&count_spin, flags);
		if (i & 3) {
			down_read(&count_sem);
			atomic_add(&readers, 1);
			if (atomic_load(&readers) < 1)
				crew_error(c);
			atomic_sub(&readers, 1);
			up_read(&count_sem);
			continue;
		}
		down_write(&count_sem);
		if (atomic_load(&readers))
			crew_error(c);
		counted[2]++;
		up_write(&count_sem);
	}
}

GUEST_TEST(smp, locks_exclude_across_cpus, 0, 30, FOUR)
{
	struct crew c = {.fn = count_under_locks};

	init_rwsem(&count_sem);
	run_crew(t, &c, 4);
	CHECK_EQ(counted[0], 4 * 300);
	CHECK_EQ(counted[1], 4 * 300);
	CHECK_EQ(counted[2], 4 * 75);
}

/* ---- the allocators ---- */

static void churn_pages(struct crew *c, unsigned int cpu)
{
	struct page *held[24] = {NULL};
	u64 x = cpu + 1;

	for (u32 i = 0; i < 1500; i++) {
		u32 slot, order;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		slot = (x >> 33) % ARRAY_SIZE(held);
		order = (x >> 40) % 5;
		if (held[slot]) {
			u64 *p = page_address(held[slot]);

			if (p[0] != (u64)held[slot] || p[1] != cpu)
				crew_error(c);
			p[0] = 0;
			__free_pages(held[slot], held[slot]->order);
			held[slot] = NULL;
			continue;
		}
		held[slot] = alloc_pages(GFP_KERNEL | __GFP_NOWARN, order);
		if (held[slot]) {
			u64 *p = page_address(held[slot]);

			p[0] = (u64)held[slot];
			p[1] = cpu;
		}
	}
	for (u32 i = 0; i < ARRAY_SIZE(held); i++)
		if (held[i])
			__free_pages(held[i], held[i]->order);
}

GUEST_TEST(smp, pages_from_all_cpus, 0, 60, FOUR)
{
	u64 before = settled_free_pages();
	struct crew c = {.fn = churn_pages};

	run_crew(t, &c, 4);
	/* Stacks of the crew may still wait for the reaper, and for a flush. */
	CHECK(settled_free_pages() + 64 >= before);
}

/* Objects are freed by the next CPU, so that they change sheaves. */
static void *belt[4][16];

static void churn_slab(struct crew *c, unsigned int cpu)
{
	for (u32 i = 0; i < 1500; i++) {
		void **mine = &belt[cpu][i % 16], *obj = kmalloc(24 + 40 * (i % 5), GFP_KERNEL),
		     *old;

		if (!obj) {
			crew_error(c);
			continue;
		}
		*(u64 *)obj = (u64)obj ^ 0x5a5a;
		old = atomic_xchg(mine, obj);
		if (old && *(u64 *)old != ((u64)old ^ 0x5a5a))
			crew_error(c);
		kfree(old);
		old = atomic_xchg(&belt[(cpu + 1) % 4][i * 7 % 16], NULL);
		if (old && *(u64 *)old != ((u64)old ^ 0x5a5a))
			crew_error(c);
		kfree(old);
	}
}

GUEST_TEST(smp, objects_change_cpus, 0, 60, FOUR)
{
	struct crew c = {.fn = churn_slab};

	run_crew(t, &c, 4);
	for (u32 i = 0; i < 4; i++)
		for (u32 j = 0; j < 16; j++)
			kfree(belt[i][j]);
}

static void hoard(struct crew *c, unsigned int cpu)
{
	struct page *page[20];
	u32 n = 0;

	while (n < 20 && (page[n] = alloc_page(GFP_KERNEL)))
		n++;
	while (n)
		__free_page(page[--n]);
}

static bool quiet(void *arg)
{
	return cpus_are_idle();
}

GUEST_TEST(smp, drains_reach_every_cpu, 0, 30, FOUR)
{
	struct crew c = {.fn = hoard};
	u32 cached = 0;

	run_crew(t, &c, 4);
	for (u32 i = 0; i < nr_zones; i++)
		for (u32 cpu = 1; cpu < 4; cpu++)
			cached += per_cpu_ptr(zone_table[i]->pcp, cpu)->count;
	CHECK(cached > 0);
	CHECK(wait_until(quiet, NULL, 5000)); /* the crew's stacks are freed on some CPU */
	drain_all_pages();
	for (u32 i = 0; i < nr_zones; i++)
		for (u32 cpu = 1; cpu < 4; cpu++)
			CHECK_EQ(per_cpu_ptr(zone_table[i]->pcp, cpu)->count, 0);
}

/* ---- address spaces ---- */

#define SHARED_PAGES 64u

/* All CPUs touch, unmap and protect the same pages of one address space. */
static void churn_mm(struct crew *c, unsigned int cpu)
{
	u64 x = cpu * 77 + 5, v;

	for (u32 i = 0; i < 400; i++) {
		unsigned long addr;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		addr = c->base + ((x >> 33) % SHARED_PAGES) * PAGE_SIZE;
		switch ((x >> 50) % 8) {
		case 0:
			do_madvise(c->mm, addr, PAGE_SIZE * (1 + cpu), MADV_DONTNEED);
			break;
		case 1:
			do_mprotect(c->mm, addr, PAGE_SIZE, PROT_READ);
			do_mprotect(c->mm, addr, PAGE_SIZE, PROT_READ | PROT_WRITE);
			break;
		case 2:
			/* Zero, or what somebody has written there; never another page's. */
			if (!copy_from_user(&v, addr, sizeof(v)) && v && v != word_for(addr, 0))
				crew_error(c);
			break;
		default:
			v = word_for(addr, 0);
			copy_to_user(addr, &v, sizeof(v)); /* fails while it is read-only */
		}
	}
}

GUEST_TEST(smp, one_address_space_on_all_cpus, 0, 60, FOUR)
{
	struct crew c = {.fn = churn_mm, .mm = testmm_create(t)};

	REQUIRE(c.mm);
	c.base = testmm_map(t, c.mm, SHARED_PAGES * PAGE_SIZE);
	REQUIRE(c.base);
	run_crew(t, &c, 4);
	mmput(c.mm);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

/* ---- programs ---- */

static int spawn_args(const char *path, const char *const *args)
{
	char argv[128];
	u32 len = strscpy(argv, path, sizeof(argv)) + 1;

	for (; *args; args++)
		len += strscpy(argv + len, *args, sizeof(argv) - len) + 1;
	return process_spawn(path, argv, len);
}

/* Two programs that need more memory than there is, and one that maps and forks, on two CPUs: faults
 * on one, reclaim of the same address spaces on the other. Each finds its words or fails. */
GUEST_TEST(smp, programs_swap_on_two_cpus, MMVM_TESTF_USER | MMVM_TESTF_LAB_ONLY, 180,
	   "memory=12M,high=1M cpus=2 swap=32M")
{
	static const char *const swap1[] = {"--mb", "9", "--passes", "1", NULL};
	static const char *const swap2[] = {"--mb", "2", "--passes", "1", "--seed", "9", NULL};
	static const char *const map[] = {"--ops", "800", "--pages", "200", NULL};
	s64 out = ev(PSWPOUT), asked = ev(NR_TLB_REMOTE_FLUSH);
	int pid[3];

	/* Until a flush had to be asked of the other CPU: where they take turns, that needs a moment of luck. */
	for (int round = 0; round < 10 && ev(NR_TLB_REMOTE_FLUSH) == asked; round++) {
		pid[0] = spawn_args("/bin/swapstress", swap1);
		pid[1] = spawn_args("/bin/swapstress", swap2);
		pid[2] = spawn_args("/bin/mapstress", map);
		for (int i = 0; i < 3; i++) {
			REQUIRE(pid[i] > 0);
			CHECK_EQ(process_wait(pid[i]), 0);
		}
	}
	CHECK(ev(PSWPOUT) > out);
	CHECK(ev(NR_TLB_REMOTE_FLUSH) > asked);
	/* A page that one CPU unmaps for good while another one has it locked keeps its slot until
	 * reclaim comes by: what is left belongs to such pages, to the root's files, and to nobody. */
	CHECK((s64)(swap_total_pages() - swap_free_pages()) <=
	      global_stat(NR_SWAPCACHE) + (s64)root_pages() - global_stat(NR_SHMEM));
}

GUEST_TEST(smp, families_fork_on_all_cpus, MMVM_TESTF_USER, 120, FOUR)
{
	CHECK_EQ(run_program("/bin/forktest", "identity"), 0);
	CHECK_EQ(run_program("/bin/forktest", "killing"), 0);
	CHECK_EQ(run_program("/bin/forktest", "pipes"), 0);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

/* ---- a panic ---- */

/* One CPU idles, one spins with interrupts on, one with interrupts off; all are named. */
static void spin_for_ever(struct crew *c, unsigned int cpu)
{
	static u32 ready;

	if (cpu == 0) {
		while (atomic_load(&ready) != 2)
			cpu_relax();
		panic("told to");
	}
	if (cpu == 2)
		arch_irq_disable();
	atomic_add(&ready, 1);
	for (;;)
		cpu_relax();
}

GUEST_TEST(smp, a_panic_stops_every_cpu_and_names_it, MMVM_TESTF_EXPECT_CRASH, 60, FOUR)
{
	struct crew c = {.fn = spin_for_ever};

	test_expect_words(t, "Kernel panic: told to");
	test_expect_words(t, "CPU 1 was running crew");
	test_expect_words(t, "CPU 2 was running crew");
	test_expect_words(t, "CPU 3 was running idle");
	run_crew(t, &c, 3);
}
