/*
 * Per-CPU memory on the host: copies apart and zeroed, sizes and alignments, holes filled again, chunks given
 * back, failures; and a model that remembers every byte.
 */
#include "unit.h"
#include "host.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/kvirt/percpu.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"

static DEFINE_PER_CPU(u64, number) = 17;

static void statics_have_copies(void)
{
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++) {
		host_set_cpu(cpu);
		CU_ASSERT_EQUAL(this_cpu_read(number), 17);
		this_cpu_add(number, cpu);
	}
	for_each_possible_cpu (cpu)
		CU_ASSERT_EQUAL(per_cpu(number, cpu), 17 + cpu);
	host_set_cpu(0);
	CU_ASSERT_EQUAL(this_cpu_xchg(number, 3), 17);
	CU_ASSERT_EQUAL(per_cpu(number, 0), 3);
	CU_ASSERT_EQUAL(per_cpu(number, 1), 18);
}

static void holes_are_filled(void)
{
	u64 used = percpu_used_bytes();
	char __percpu *a = alloc_percpu(40, 8), *b = alloc_percpu(24, 8), *c = alloc_percpu(40, 8);

	CU_ASSERT_EQUAL(percpu_used_bytes(), used + 104);
	free_percpu(b);
	/* Two objects where one was: each is freed with its own length. */
	CU_ASSERT_PTR_EQUAL(b = alloc_percpu(12, 4), a + 40);
	CU_ASSERT_PTR_EQUAL(alloc_percpu(12, 4), a + 52);
	free_percpu(a + 52);
	free_percpu(b);
	CU_ASSERT_PTR_EQUAL(b = alloc_percpu(24, 8), a + 40); /* and one where two were */
	free_percpu(b);
	CU_ASSERT_EQUAL(percpu_used_bytes(), used + 80);
	free_percpu(a);
	free_percpu(c);
	CU_ASSERT_EQUAL(percpu_used_bytes(), used);
}

static void limits(void)
{
	void __percpu *p;

	CU_ASSERT_PTR_NULL(alloc_percpu(0, 1));
	CU_ASSERT_PTR_NULL(alloc_percpu(8193, 1)); /* a quarter of a unit is the most */
	CU_ASSERT_PTR_NULL(alloc_percpu(8, 12));
	CU_ASSERT_PTR_NULL(alloc_percpu(8, 8192));
	CU_ASSERT_PTR_NOT_NULL(p = alloc_percpu(8192, 4096));
	CU_ASSERT_EQUAL(((unsigned long)p + __per_cpu_offset[0]) % 4096, 0);
	free_percpu(p);
	CU_ASSERT_PTR_NOT_NULL(p = alloc_percpu(1, 1));
	free_percpu(p);
}

static void who_may_not_sleep_makes_no_chunk(void)
{
	void __percpu *p[17];
	unsigned int n = 0, before = percpu_nr_chunks();

	while (n < 16 && (p[n] = alloc_percpu_gfp(8192, 8, GFP_ATOMIC)))
		n++;
	CU_ASSERT(n < 16);
	CU_ASSERT_EQUAL(percpu_nr_chunks(), before);
	CU_ASSERT_PTR_NOT_NULL(p[n] = alloc_percpu(8192, 8));
	CU_ASSERT_EQUAL(percpu_nr_chunks(), before + 1);
	for (unsigned int i = 0; i <= n; i++)
		free_percpu(p[i]);
}

static void failures_leave_nothing(void)
{
	static void __percpu *p[64];
	unsigned int failed = 0, k;

	for (k = 1; k < 1000; k++) {
		u64 before = alloc_fail_count(), pages = percpu_nr_pages(),
		    used = percpu_used_bytes();
		u64 objects, free;
		unsigned int n = 0;

		purge_vmap_areas();
		drain_all_pages();
		free = nr_free_pages();
		objects = slab_objects_in_use();
		alloc_fail_nth(k);
		while (n < 12 && (p[n] = alloc_percpu(8192, 8)))
			n++;
		alloc_fail_nth(0);
		failed += n < 12;
		while (n)
			free_percpu(p[--n]);
		CU_ASSERT_EQUAL(percpu_used_bytes(), used);
		CU_ASSERT_EQUAL(percpu_nr_pages(), pages);
		purge_vmap_areas(); /* areas that were freed wait for their flush */
		drain_all_pages();
		CU_ASSERT_EQUAL(slab_objects_in_use(), objects);
		CU_ASSERT(nr_free_pages() + 4 >= free); /* page tables stay */
		if (alloc_fail_count() == before)
			break;
	}
	CU_ASSERT(k < 1000);
	CU_ASSERT(failed >= 64); /* a chunk has 64 pages and more, and each may be the one */
}

/* ---- the model ---- */

#define SLOTS 1000 /* half of them in use: three chunks */
static struct {
	u8 __percpu *p;
	unsigned int size;
	u8 fill;
} slot[SLOTS];

static bool copies_are(unsigned int i)
{
	for_each_possible_cpu (cpu) {
		const u8 *mine = per_cpu_ptr(slot[i].p, cpu);

		for (unsigned int b = 0; b < slot[i].size; b++)
			if (mine[b] != (u8)(slot[i].fill + cpu))
				return false;
	}
	return true;
}

static void random_objects_keep_their_bytes(void)
{
	const u64 used = percpu_used_bytes();
	unsigned int most = 0;
	u64 bytes = 0;

	for (unsigned int step = 0; step < 20000; step++) {
		unsigned int i = get_random_u64() % SLOTS;

		if (slot[i].p) {
			CU_ASSERT_TRUE_FATAL(copies_are(i));
			free_percpu(slot[i].p);
			bytes -= ALIGN_UP(slot[i].size, 4u);
			slot[i].p = NULL;
		} else {
			unsigned int align = 1u << get_random_u64() % 8;

			slot[i].size = 1 + get_random_u64() % (1u << get_random_u64() % 12);
			slot[i].p = alloc_percpu(slot[i].size, align);
			CU_ASSERT_PTR_NOT_NULL_FATAL(slot[i].p);
			CU_ASSERT_EQUAL_FATAL(
				((unsigned long)slot[i].p + __per_cpu_offset[0]) % align, 0);
			slot[i].fill = step;
			for_each_possible_cpu (cpu)
				memset(per_cpu_ptr(slot[i].p, cpu), slot[i].fill + cpu,
				       slot[i].size);
			bytes += ALIGN_UP(slot[i].size, 4u);
		}
		CU_ASSERT_EQUAL_FATAL(percpu_used_bytes(), used + bytes);
		most = max(most, percpu_nr_chunks());
	}
	CU_ASSERT(most >= 2);
	for (unsigned int i = 0; i < SLOTS; i++)
		if (slot[i].p) {
			CU_ASSERT_TRUE_FATAL(copies_are(i));
			free_percpu(slot[i].p);
		}
	CU_ASSERT_EQUAL(percpu_used_bytes(), used);
	CU_ASSERT(percpu_nr_chunks() <= 1);
}

static void free_wild(void *arg)
{
	free_percpu(arg);
}

static void misuse_is_named(void)
{
	char __percpu *p = alloc_percpu(64, 8);

	CU_ASSERT(host_panics(free_wild, p + 4, "no per-CPU object"));
	CU_ASSERT(host_panics(free_wild, p + 1, "no per-CPU object"));
	CU_ASSERT(host_panics(free_wild, &number, "no per-CPU object"));
	CU_ASSERT(host_panics(free_wild, (void *)16, "no per-CPU object"));
	free_percpu(p);
	CU_ASSERT(host_panics(free_wild, p, "no per-CPU object"));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"static variables have a copy for each CPU", statics_have_copies},
		{"holes are filled, each object has its own length", holes_are_filled},
		{"limits of size and alignment", limits},
		{"who may not sleep makes no chunk", who_may_not_sleep_makes_no_chunk},
		{"a failure anywhere leaves nothing behind", failures_leave_nothing},
		{"random objects keep their bytes", random_objects_keep_their_bytes},
		{"misuse is named", misuse_is_named},
	};

	host_boot_default("");
	return unit_run("percpu", cases, sizeof(cases) / sizeof(cases[0]));
}
