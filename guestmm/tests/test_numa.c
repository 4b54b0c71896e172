/* Nodes: where pages are placed, moved and counted. Two nodes with a CPU each, or one of them memory only. */
#include "mm/numa/mempolicy.h"
#include "mm/reclaim/lru.h"
#include "mm/swap/swapcache.h"
#include "mm/virt/vma.h"
#include "tests/tests.h"

#define TWO   "memory=64M,high=0M cpus=2 nodes=2"
#define SLOW  "memory=64M,high=0M cpus=1 nodes=2" /* node 1 has memory only */
#define SWAP  "memory=64M,high=0M cpus=1 nodes=2 swap=32M"
#define THREE "memory=96M,high=0M cpus=1 nodes=3"
#define MANY  64ul

static struct nodemask set(u64 nodes)
{
	return (struct nodemask){.bits = {nodes}};
}

static void bind_task(struct test *t, u16 mode, u64 nodes)
{
	struct nodemask mask = set(nodes);
	struct mempolicy *pol;

	CHECK_EQ(mpol_new(mode, 0, &mask, &pol), 0);
	mempolicy_set_task(pol);
}

static long bind_range(struct mm_struct *mm, unsigned long addr, unsigned long pages, u16 mode,
		       u64 nodes, unsigned int move)
{
	struct nodemask mask = set(nodes);

	return do_mbind(mm, addr, pages << PAGE_SHIFT, mode, 0, &mask, move);
}

static void touch_all(struct test *t, struct mm_struct *mm, unsigned long addr, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		CHECK_EQ(testmm_write(mm, addr + (i << PAGE_SHIFT), word_for(addr, i)), 0);
}

static void check_all(struct test *t, struct mm_struct *mm, unsigned long addr, unsigned long pages)
{
	u64 v;

	for (unsigned long i = 0; i < pages; i++) {
		CHECK_EQ(testmm_read(mm, addr + (i << PAGE_SHIFT), &v), 0);
		CHECK_EQ(v, word_for(addr, i));
	}
}

GUEST_TEST(numa, memory_is_near_the_cpu, 0, 0, TWO)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = testmm_map(t, mm, MANY << PAGE_SHIFT);

	touch_all(t, mm, addr, MANY);
	/* We may be moved to the other CPU half way. */
	CHECK_EQ(testmm_on_node(mm, addr, MANY, 0) + testmm_on_node(mm, addr, MANY, 1), MANY);
	mmput(mm);
}

GUEST_TEST(numa, a_node_without_cpus_comes_last, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = testmm_map(t, mm, MANY << PAGE_SHIFT);

	touch_all(t, mm, addr, MANY);
	CHECK_EQ(testmm_on_node(mm, addr, MANY, 0), MANY);
	mmput(mm);
}

GUEST_TEST(numa, policies_of_a_thread, 0, 0, SLOW)
{
	static const struct {
		u16 mode;
		u64 nodes;
		unsigned long on1;
	} cases[] = {{MPOL_BIND, 2, MANY},
		     {MPOL_PREFERRED, 2, MANY},
		     {MPOL_PREFERRED_MANY, 2, MANY},
		     {MPOL_LOCAL, 0, 0},
		     {MPOL_INTERLEAVE, 3, MANY / 2},
		     {MPOL_BIND, 1, 0},
		     {MPOL_BIND, 3, 0}};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mm_struct *mm = testmm_create(t);
		unsigned long addr = testmm_map(t, mm, MANY << PAGE_SHIFT);

		/* The page table comes first, and takes no turn. */
		CHECK_EQ(testmm_touch(mm, addr, TOUCH_READ), 0);
		CHECK(do_munmap(mm, addr, PAGE_SIZE) == 0);
		bind_task(t, cases[i].mode, cases[i].nodes);
		touch_all(t, mm, addr + PAGE_SIZE, MANY - 1);
		mempolicy_set_task(NULL);
		if (cases[i].mode == MPOL_INTERLEAVE)
			CHECK(testmm_on_node(mm, addr, MANY, 1) - (cases[i].on1 - 1) <= 1);
		else
			CHECK_EQ(testmm_on_node(mm, addr, MANY, 1), cases[i].on1 ? MANY - 1 : 0);
		mmput(mm);
	}
}

GUEST_TEST(numa, policies_of_a_mapping, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = testmm_map(t, mm, 4 * MANY << PAGE_SHIFT);
	s64 hits = global_stat(NUMA_INTERLEAVE_HIT);

	CHECK_EQ(bind_range(mm, addr, MANY, MPOL_BIND, 2, 0), 0);
	CHECK_EQ(bind_range(mm, addr + (MANY << PAGE_SHIFT), MANY, MPOL_INTERLEAVE, 3, 0), 0);
	/* The mapping's policy is the one that counts. */
	bind_task(t, MPOL_BIND, 1);
	touch_all(t, mm, addr, 3 * MANY);
	mempolicy_set_task(NULL);
	CHECK_EQ(testmm_on_node(mm, addr, MANY, 1), MANY);
	CHECK_EQ(testmm_on_node(mm, addr + (MANY << PAGE_SHIFT), MANY, 1), MANY / 2);
	CHECK_EQ(testmm_on_node(mm, addr + (2 * MANY << PAGE_SHIFT), MANY, 0), MANY);
	CHECK_EQ(global_stat(NUMA_INTERLEAVE_HIT) - hits, (s64)MANY);
	/* Every other page, by its index. */
	CHECK(page_node_at(mm, addr + (MANY << PAGE_SHIFT)) !=
	      page_node_at(mm, addr + ((MANY + 1) << PAGE_SHIFT)));
	check_all(t, mm, addr, MANY);
	mmput(mm);
}

GUEST_TEST(numa, weights_are_obeyed, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = testmm_map(t, mm, MANY << PAGE_SHIFT);

	mempolicy_set_weight(0, 3);
	CHECK_EQ(bind_range(mm, addr, MANY, MPOL_WEIGHTED_INTERLEAVE, 3, 0), 0);
	touch_all(t, mm, addr, MANY);
	mempolicy_set_weight(0, 0);
	CHECK_EQ(testmm_on_node(mm, addr, MANY, 0), MANY / 4 * 3);
	CHECK_EQ(testmm_on_node(mm, addr, MANY, 1), MANY / 4);
	mmput(mm);
}

GUEST_TEST(numa, home_node_is_tried_first, 0, 0, THREE)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = testmm_map(t, mm, MANY << PAGE_SHIFT);

	CHECK_EQ(bind_range(mm, addr, MANY, MPOL_BIND, 6, 0), 0);
	CHECK_EQ(testmm_write(mm, addr, 1), 0);
	CHECK_EQ(page_node_at(mm, addr), 1);
	CHECK_EQ(do_set_home_node(mm, addr, MANY << PAGE_SHIFT, 2), 0);
	touch_all(t, mm, addr + PAGE_SIZE, MANY - 1);
	CHECK_EQ(testmm_on_node(mm, addr, MANY, 2), MANY - 1);
	mmput(mm);
}

GUEST_TEST(numa, mbind_moves_pages, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = testmm_map(t, mm, MANY << PAGE_SHIFT);

	touch_all(t, mm, addr, MANY);
	CHECK_EQ(testmm_on_node(mm, addr, MANY, 0), MANY);
	CHECK_EQ(bind_range(mm, addr, MANY, MPOL_BIND, 2, MPOL_MF_STRICT), -EIO);
	CHECK(!find_vma(mm, addr)->policy);
	CHECK_EQ(bind_range(mm, addr, MANY, MPOL_BIND, 2, 0), 0);
	CHECK(!find_vma(mm, addr)->policy_held);
	CHECK_EQ(testmm_on_node(mm, addr, MANY, 0), MANY);
	CHECK_EQ(bind_range(mm, addr, MANY, MPOL_BIND, 2, MPOL_MF_MOVE | MPOL_MF_STRICT), 0);
	CHECK_EQ(testmm_on_node(mm, addr, MANY, 1), MANY);
	CHECK(find_vma(mm, addr)->policy_held);
	check_all(t, mm, addr, MANY);
	mmput(mm);
}

GUEST_TEST(numa, ranges_split_and_join, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = testmm_map(t, mm, MANY << PAGE_SHIFT);
	u32 count = mm->map_count;

	CHECK_EQ(bind_range(mm, addr + 4 * PAGE_SIZE, 8, MPOL_BIND, 2, 0), 0);
	CHECK_EQ(mm->map_count, count + 2);
	CHECK_EQ(bind_range(mm, addr + 8 * PAGE_SIZE, 8, MPOL_BIND, 2, 0), 0);
	CHECK_EQ(mm->map_count, count + 2);
	CHECK_EQ(bind_range(mm, addr + 6 * PAGE_SIZE, 1, MPOL_BIND, 1, 0), 0);
	CHECK_EQ(mm->map_count, count + 4);
	CHECK_EQ(bind_range(mm, addr, MANY, MPOL_DEFAULT, 0, 0), 0);
	CHECK_EQ(mm->map_count, count);
	mmput(mm);
}

/* Back from swap a page has another frame, which the policy chooses again. */
GUEST_TEST(numa, swap_keeps_to_the_policy, 0, 60, SWAP)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = testmm_map(t, mm, MANY << PAGE_SHIFT);

	CHECK_EQ(bind_range(mm, addr, MANY, MPOL_BIND, 2, 0), 0);
	touch_all(t, mm, addr, MANY);
	CHECK_EQ(do_madvise(mm, addr, MANY << PAGE_SHIFT, 21 /* PAGEOUT */), 0);
	CHECK(mm->rss_swap > 0);
	check_all(t, mm, addr, MANY);
	CHECK_EQ(testmm_on_node(mm, addr, MANY, 1), MANY);
	mmput(mm);
}

static u64 node_free(int nid)
{
	u64 sum = 0;

	for (int type = 0; type < MAX_NR_ZONES; type++)
		if (node_data[nid].zones[type].present)
			sum += zone_stat(&node_data[nid].zones[type], NR_FREE_PAGES);
	return sum;
}

/* A bind to a node that is full reclaims there, and does not take from another. */
GUEST_TEST(numa, a_full_node_is_reclaimed, 0, 120, SWAP)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = node_data[1].zones[ZONE_DMA32].managed * 5 / 4;
	unsigned long addr = testmm_map(t, mm, pages << PAGE_SHIFT);
	s64 out = ev(PSWPOUT);
	u64 free0 = node_free(0);

	CHECK_EQ(bind_range(mm, addr, pages, MPOL_BIND, 2, 0), 0);
	touch_all(t, mm, addr, pages);
	CHECK_EQ(testmm_on_node(mm, addr, pages, 0), 0);
	CHECK(ev(PSWPOUT) > out);
	/* Page tables, the swap cache's tree: not the pages themselves. */
	CHECK(node_free(0) + pages / 4 > free0);
	check_all(t, mm, addr, pages);
	mmput(mm);
}

GUEST_TEST(numa, migrate_pages_keeps_ranks, 0, 0, THREE)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = testmm_map(t, mm, 2 * MANY << PAGE_SHIFT);

	CHECK_EQ(bind_range(mm, addr, MANY, MPOL_PREFERRED, 1, 0), 0);
	CHECK_EQ(bind_range(mm, addr + (MANY << PAGE_SHIFT), MANY, MPOL_PREFERRED, 2, 0), 0);
	touch_all(t, mm, addr, 2 * MANY);
	/* 0 to 1, 1 to 2: what is moved first must not be moved twice. */
	CHECK_EQ(do_migrate_pages(mm, 3, 6, MIGRATE_SHARED_TOO), 0);
	CHECK_EQ(testmm_on_node(mm, addr, MANY, 1), MANY);
	CHECK_EQ(testmm_on_node(mm, addr + (MANY << PAGE_SHIFT), MANY, 2), MANY);
	check_all(t, mm, addr, MANY);
	mmput(mm);
}

/* The audit must find it when a page is where its mapping forbids it. */
GUEST_TEST(numa, audit_finds_a_forbidden_node, MMVM_TESTF_EXPECT_AUDIT, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = testmm_map(t, mm, MANY << PAGE_SHIFT);

	touch_all(t, mm, addr, MANY);
	CHECK_EQ(bind_range(mm, addr, MANY, MPOL_BIND, 2, 0), 0);
	find_vma(mm, addr)->policy_held = true;
	test_expect_audit(t, "mempolicy");
}
