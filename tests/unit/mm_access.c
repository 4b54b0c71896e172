/*
 * Sampling of accessed bits: each access is found once, at the right frame; cold tables are not
 * looked at; reclaim does not lose what sampling takes.
 */
#include <CUnit/Basic.h>
#include "mm/report/access.h"
#include "mm_user.h"
#include "unit.h"

#define FRAMES (HOST_PHYS_SIZE >> PAGE_SHIFT)

static struct mm_struct *mm;
static u64 bitmap[FRAMES / 64];

/** As the CPU does it: the bit of every entry on the way. user_touch() sets the last one only. */
static void touch(struct mm_struct *of, unsigned long addr, bool write)
{
	pte_t *table = of->pgd;
	unsigned int fault;

	CU_ASSERT_PTR_NOT_NULL_FATAL(user_touch(of, addr, write, &fault));
	for (int level = 3; level > 0; level--) {
		pte_t *e = &table[pt_index(addr, level)];

		atomic_or(&e->v, _PAGE_ACCESSED);
		table = pte_table(pte_read(e));
	}
}

static unsigned long map(unsigned long len)
{
	long a = do_mmap(mm, 0, len, RW, PRIVATE, 0);

	CU_ASSERT_FATAL(a > 0);
	return a;
}

static unsigned long sample(void)
{
	memset(bitmap, 0, sizeof(bitmap));
	return mm_access_sample(mm, bitmap, FRAMES);
}

static unsigned long frame(unsigned long addr)
{
	return pte_pfn(pte_read(walk_pte(mm->pgd, addr)));
}

static bool found(unsigned long addr)
{
	return bitmap[frame(addr) / 64] >> frame(addr) % 64 & 1;
}

static unsigned long nr_found(void)
{
	unsigned long n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bitmap); i++)
		n += __builtin_popcountll(bitmap[i]);
	return n;
}

static void each_access_is_found_once(void)
{
	unsigned long a = map(4 * MIB), flushes;

	for (unsigned long at = a; at < a + 4 * MIB; at += PAGE_SIZE)
		touch(mm, at, true);
	CU_ASSERT_EQUAL(sample(), 1024);
	CU_ASSERT_EQUAL(nr_found(), 1024);
	CU_ASSERT_EQUAL(sample(), 0);
	touch(mm, a + 3 * PAGE_SIZE, false);
	touch(mm, a + 3 * MIB, true);
	flushes = host_tlb.mm;
	CU_ASSERT_EQUAL(sample(), 2);
	CU_ASSERT_EQUAL(host_tlb.mm, flushes + 1);
	CU_ASSERT(found(a + 3 * PAGE_SIZE) && found(a + 3 * MIB));
	CU_ASSERT_EQUAL(nr_found(), 2);
	/* Nothing was accessed, nothing cleared: nobody needs a flush. */
	CU_ASSERT_EQUAL(sample(), 0);
	CU_ASSERT_EQUAL(host_tlb.mm, flushes + 1);
	check_all();
	do_munmap(mm, a, 4 * MIB);
}

static void cold_tables_are_not_looked_at(void)
{
	unsigned long a = map(4 * MIB);
	pte_t *pte;

	touch(mm, a, true);
	CU_ASSERT(sample() > 0);
	/* A bit that no CPU has set: no upper entry says that there is something below. */
	pte = walk_pte(mm->pgd, a);
	atomic_or(&pte->v, _PAGE_ACCESSED);
	CU_ASSERT_EQUAL(sample(), 0);
	CU_ASSERT(pte_young(pte_read(pte)));
	touch(mm, a, false);
	CU_ASSERT_EQUAL(sample(), 1);
	do_munmap(mm, a, 4 * MIB);
}

static void reclaim_sees_what_was_taken(void)
{
	unsigned long a = map(PAGE_SIZE), flags;
	struct page *page;

	touch(mm, a, true);
	page = pfn_to_page(frame(a));
	CU_ASSERT_EQUAL(sample(), 1);
	CU_ASSERT_FALSE(pte_young(pte_read(walk_pte(mm->pgd, a))));
	CU_ASSERT_EQUAL(page_referenced(page, &flags), 1);
	CU_ASSERT_EQUAL(page_referenced(page, &flags), 0);
	/* Both saw it: one reference, and none left over. */
	touch(mm, a, true);
	sample();
	touch(mm, a, true);
	CU_ASSERT_EQUAL(page_referenced(page, &flags), 1);
	CU_ASSERT_EQUAL(page_referenced(page, &flags), 0);
	/* A page that is freed loses the flag. */
	touch(mm, a, true);
	sample();
	CU_ASSERT(PageYoung(page));
	do_munmap(mm, a, PAGE_SIZE);
	check_all();
	a = map(PAGE_SIZE);
	touch(mm, a, true);
	CU_ASSERT_FALSE(PageYoung(pfn_to_page(frame(a))));
	do_munmap(mm, a, PAGE_SIZE);
}

static void what_is_no_page_of_ours_is_left_alone(void)
{
	unsigned long a = map(4 * PAGE_SIZE);
	pte_t *pte, swap;

	touch(mm, a, false); /* the zero page */
	CU_ASSERT(pte_special(pte_read(walk_pte(mm->pgd, a))));
	touch(mm, a + PAGE_SIZE, true);
	pte = walk_pte(mm->pgd, a) + 2;
	swap = __pte(_PAGE_ACCESSED);
	pte_set(pte, swap);
	CU_ASSERT_EQUAL(sample(), 1);
	CU_ASSERT(found(a + PAGE_SIZE));
	CU_ASSERT_EQUAL(pte_read(pte).v, swap.v);
	pte_set(pte, __pte(0));
	/* Frames beyond the bitmap are counted and not noted. */
	touch(mm, a + PAGE_SIZE, true);
	memset(bitmap, 0, sizeof(bitmap));
	CU_ASSERT_EQUAL(mm_access_sample(mm, bitmap, 0), 1);
	CU_ASSERT_EQUAL(nr_found(), 0);
	do_munmap(mm, a, 4 * PAGE_SIZE);
}

static void all_address_spaces(void)
{
	struct mm_struct *other = mm_alloc();
	unsigned long a = map(PAGE_SIZE);
	long b;

	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	b = do_mmap(other, 0, 2 * PAGE_SIZE, RW, PRIVATE, 0);
	CU_ASSERT_FATAL(b > 0);
	touch(mm, a, true);
	touch(other, b, true);
	touch(other, b + PAGE_SIZE, true);
	memset(bitmap, 0, sizeof(bitmap));
	CU_ASSERT_EQUAL(access_sample_all(bitmap, FRAMES), 3);
	CU_ASSERT_EQUAL(nr_found(), 3);
	CU_ASSERT_EQUAL(access_sample_all(bitmap, FRAMES), 0);
	CU_ASSERT_EQUAL(other->users, 1);
	mmput(other);
	do_munmap(mm, a, PAGE_SIZE);
	check_all();
}

/* Which node accessed it: the CPUs that have loaded the tables tell. CPU 0 is in node 0, CPU 1 in node 1. */
static void nodes_of_cpus(void)
{
	static const struct {
		u32 cpus;
		int node; /* that finds it, -1: neither */
	} cases[] = {{1, 0}, {2, 1}, {3, -1}, {0, -1}, {4, 0}, {5, 0}, {6, -1}};
	unsigned long a = map(PAGE_SIZE);
	bool exact;

	cpu_node[1] = 1;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		sample();
		touch(mm, a, true);
		mm->access_cpus = cases[i].cpus;
		mm->cpumask = 0;
		memset(bitmap, 0, sizeof(bitmap));
		for (unsigned int nid = 0; nid < 2; nid++) {
			bool here = (int)nid == cases[i].node;

			CU_ASSERT_EQUAL(access_sample_node(nid, bitmap, FRAMES, &exact), here);
			CU_ASSERT_EQUAL(mm->access_cpus,
					here || cases[i].node == 0 ? 0 : cases[i].cpus);
			CU_ASSERT(exact);
		}
		CU_ASSERT_EQUAL(found(a), cases[i].node >= 0);
		/* What no node has found is left for the rest. */
		CU_ASSERT_EQUAL(access_sample_all(bitmap, FRAMES), cases[i].node < 0);
	}
	/* A CPU that has it loaded is the next sample's, too. */
	touch(mm, a, true);
	mm->access_cpus = 2;
	mm->cpumask = 2;
	CU_ASSERT_EQUAL(access_sample_node(1, bitmap, FRAMES, &exact), 1);
	CU_ASSERT_EQUAL(mm->access_cpus, 2);
	mm->access_cpus = mm->cpumask = 0;
	cpu_node[1] = 0;
	do_munmap(mm, a, PAGE_SIZE);
	check_all();
}

/* A CPU of another node loads the tables while they are looked at: what was found may be its own. */
static void one_comes_in_between(void)
{
	unsigned long a = map(PAGE_SIZE);
	bool exact;

	cpu_node[1] = 1;
	touch(mm, a, true);
	mm->access_cpus = 1;
	mm->cpumask = 3; /* as if it had come just now */
	CU_ASSERT_EQUAL(access_sample_node(0, bitmap, FRAMES, &exact), 1);
	CU_ASSERT(!exact);
	mm->access_cpus = mm->cpumask = 0;
	cpu_node[1] = 0;
	do_munmap(mm, a, PAGE_SIZE);
	check_all();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"each access is found once", each_access_is_found_once},
		{"cold tables are not looked at", cold_tables_are_not_looked_at},
		{"reclaim sees what was taken", reclaim_sees_what_was_taken},
		{"what is no page of ours is left alone", what_is_no_page_of_ours_is_left_alone},
		{"all address spaces", all_address_spaces},
		{"nodes of CPUs", nodes_of_cpus},
		{"one comes in between", one_comes_in_between},
	};

	host_boot_default("debug_vm");
	mm_init();
	mm = mm_alloc();
	return unit_run("mm_access", cases, ARRAY_SIZE(cases));
}
