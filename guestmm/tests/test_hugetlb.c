/*
 * hugetlb from inside: pools, promises, copies, truncation; each case is audited from outside when it
 * has ended. The calls themselves are compared with Linux by user/conform_huge.
 */
#include "mm/huge/hugetlb.h"
#include "lib/errno.h"
#include "mm/numa/mempolicy.h"
#include "mm/move/contig.h"
#include "mm/pgtable/large.h"
#include "tests/tests.h"

#define HUGE  PMD_SIZE
#define RW    (PROT_READ | PROT_WRITE)
#define FLAGS (MAP_ANONYMOUS | MAP_HUGETLB)
#define MEM   "memory=64M append=hugepages=8"

static struct hstate *pool(void)
{
	return &hstates[0];
}

static long map(struct mm_struct *mm, unsigned long pages, int flags)
{
	return do_mmap(mm, 0, pages * HUGE, RW, FLAGS | flags, 0);
}

GUEST_TEST(hugetlb, boot_fills_the_pool, 0, 0, MEM)
{
	CHECK_EQ(pool()->nr, 8);
	CHECK_EQ(pool()->free, 8);
	CHECK_EQ(pool()->resv, 0);
}

GUEST_TEST(hugetlb, one_leaf_maps_two_mebibytes, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	s64 faults = ev(MMVM_FAULT_ANON);
	unsigned long next;
	unsigned int level;
	pte_t *leaf;
	long a = map(mm, 2, MAP_PRIVATE);

	REQUIRE(a > 0 && !(a & (HUGE - 1)));
	CHECK_EQ(pool()->resv, 2);
	CHECK_EQ(testmm_write(mm, a + 0x12345678 % HUGE, 7), 0);
	CHECK_EQ(testmm_write(mm, a + HUGE - 8, 8), 0);
	CHECK_EQ(ev(MMVM_FAULT_ANON) - faults, 1);
	leaf = walk_leaf(mm->pgd, a, &level, &next);
	CHECK(leaf && level == PT_LEVEL_PMD && pte_huge(pte_read(leaf)));
	CHECK(!walk_pte(mm->pgd, a));
	CHECK_EQ(mm->hugetlb_usage, 512);
	CHECK_EQ(mm->rss_anon, 0);
	CHECK_EQ(pool()->resv, 1);
	CHECK_EQ(pool()->free, 7);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(pool()->resv, 0);
	CHECK_EQ(pool()->free, 8);
}

GUEST_TEST(hugetlb, promises_are_never_overdrawn, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	long a = map(mm, 5, MAP_PRIVATE), b, c;

	REQUIRE(a > 0);
	CHECK_EQ(map(mm, 4, MAP_PRIVATE), -ENOMEM);
	b = map(mm, 3, MAP_SHARED);
	REQUIRE(b > 0);
	/* Nothing is left that was not promised. */
	c = map(mm, 1, MAP_PRIVATE | MAP_NORESERVE);
	REQUIRE(c > 0);
	CHECK_EQ(testmm_touch(mm, c, TOUCH_WRITE), VM_FAULT_SIGBUS);
	for (unsigned long i = 0; i < 5; i++)
		CHECK_EQ(testmm_touch(mm, a + i * HUGE, TOUCH_WRITE), 0);
	for (unsigned long i = 0; i < 3; i++)
		CHECK_EQ(testmm_touch(mm, b + i * HUGE, TOUCH_WRITE), 0);
	CHECK_EQ(pool()->free, 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(hugetlb, fork_shares_and_copies, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	long a = map(mm, 1, MAP_PRIVATE);
	u64 v = 0;

	REQUIRE(a > 0);
	CHECK_EQ(testmm_write(mm, a, 1), 0);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(testmm_read(child, a, &v), 0);
	CHECK_EQ(v, 1);
	CHECK_EQ(pool()->free, 7);
	CHECK_EQ(testmm_write(child, a, 2), 0);
	CHECK_EQ(pool()->free, 6);
	CHECK_EQ(testmm_read(mm, a, &v), 0);
	CHECK_EQ(v, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	CHECK_EQ(pool()->free, 7);
	CHECK_EQ(testmm_write(mm, a, 3), 0); /* the only owner: no copy */
	CHECK_EQ(pool()->free, 7);
	mmput(mm);
}

GUEST_TEST(hugetlb, owner_wins_when_the_pool_is_empty, 0, 0, "memory=64M append=hugepages=1")
{
	struct mm_struct *mm = testmm_create(t), *child;
	long a = map(mm, 1, MAP_PRIVATE);
	u64 v = 0;

	REQUIRE(a > 0);
	CHECK_EQ(testmm_write(mm, a, 1), 0);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(testmm_touch(child, a, TOUCH_WRITE), VM_FAULT_SIGBUS);
	CHECK_EQ(testmm_read(child, a, &v), 0);
	CHECK_EQ(testmm_write(mm, a, 2), 0);
	CHECK_EQ(testmm_read(child, a, &v), VM_FAULT_SIGBUS);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	mmput(mm);
	CHECK_EQ(pool()->free, 1);
}

/* Every allocation on the way fails once: nothing is lost, and it works afterwards. */
GUEST_TEST(hugetlb, each_failed_allocation_leaves_nothing, 0, 0, MEM)
{
	for (u64 k = 1; k < 40; k++) {
		struct mm_struct *mm = mm_alloc(), *child = NULL;
		u64 failed = alloc_fail_count();
		long a, b;

		REQUIRE(mm);
		alloc_fail_nth(k);
		a = map(mm, 2, MAP_PRIVATE);
		b = map(mm, 2, MAP_SHARED);
		if (a > 0) {
			testmm_touch(mm, a, TOUCH_WRITE);
			child = dup_mm(mm);
			if (child)
				testmm_touch(child, a, TOUCH_WRITE);
		}
		if (b > 0)
			testmm_touch(mm, b + HUGE, TOUCH_WRITE);
		alloc_fail_nth(0);
		if (child)
			mmput(child);
		mmput(mm);
		CHECK_EQ(pool()->resv, 0);
		CHECK_EQ(pool()->free, 8);
		if (alloc_fail_count() == failed)
			break;
	}
	CHECK_EQ(settled_audit(), 0);
}

#define PLANTED MMVM_TESTF_EXPECT_AUDIT

GUEST_TEST(hugetlb, planted_free_count, PLANTED, 0, MEM)
{
	pool()->free--;
	test_expect_audit(t, "hugetlb_pool");
}

GUEST_TEST(hugetlb, planted_reserve, PLANTED, 0, MEM)
{
	pool()->resv++;
	test_expect_audit(t, "hugetlb_reserve");
}

GUEST_TEST(hugetlb, planted_lost_page, PLANTED, 0, MEM)
{
	list_del(pool()->free_list.next);
	pool()->free--;
	test_expect_audit(t, "hugetlb_pool");
}

GUEST_TEST(hugetlb, planted_mapcount, PLANTED, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	long a = map(mm, 1, MAP_PRIVATE);
	unsigned long next;
	unsigned int level;

	REQUIRE(a > 0 && !testmm_touch(mm, a, TOUCH_WRITE));
	hugetlb_add_rmap(pfn_to_page(pte_pfn(pte_read(walk_leaf(mm->pgd, a, &level, &next)))), 1);
	test_expect_audit(t, "mapcount");
}

GUEST_TEST(hugetlb, planted_usage, PLANTED, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);

	REQUIRE(mm);
	mm->hugetlb_usage += 512;
	test_expect_audit(t, "rss");
}

#define NODES "memory=96M,high=0M cpus=1 nodes=2"

static unsigned int node_at(struct mm_struct *mm, unsigned long a)
{
	return page_node_id(&page_folio(testmm_page(mm, a))->page);
}

GUEST_TEST(hugetlb, each_node_has_a_pool, 0, 0, NODES)
{
	CHECK_EQ(hugetlb_set_pool_node(pool(), 1, 3), 0);
	CHECK_EQ(pool()->nr_node[1], 3);
	CHECK_EQ(pool()->nr_node[0], 0);
	CHECK_EQ(pool()->nr, 3);
	/* All nodes in turn: one more each. */
	CHECK_EQ(hugetlb_set_pool(pool(), 7), 0);
	CHECK_EQ(pool()->nr_node[0], 2);
	CHECK_EQ(pool()->nr_node[1], 5);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(hugetlb_set_pool_node(pool(), 1, 0), 0);
	CHECK_EQ(pool()->nr, 2);
	CHECK_EQ(pool()->free_node[1], 0);
	CHECK_EQ(hugetlb_set_pool(pool(), 0), 0);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hugetlb, mbind_says_which_node, 0, 0, NODES)
{
	struct mm_struct *mm = testmm_create(t);
	struct nodemask both = {.bits = {3}}, second = {.bits = {2}};
	unsigned long on_second = 0;
	long a, b;

	CHECK_EQ(hugetlb_set_pool_node(pool(), 0, 4), 0);
	CHECK_EQ(hugetlb_set_pool_node(pool(), 1, 4), 0);
	a = map(mm, 2, MAP_PRIVATE);
	b = map(mm, 4, MAP_SHARED);
	REQUIRE(a > 0 && b > 0);
	CHECK_EQ(do_mbind(mm, a, 2 * HUGE, MPOL_BIND, 0, &second, 0), 0);
	CHECK_EQ(do_mbind(mm, b, 4 * HUGE, MPOL_INTERLEAVE, 0, &both, 0), 0);
	for (unsigned int i = 0; i < 2; i++) {
		CHECK_EQ(testmm_write(mm, a + i * HUGE, i), 0);
		CHECK_EQ(node_at(mm, a + i * HUGE), 1);
	}
	for (unsigned int i = 0; i < 4; i++) {
		CHECK_EQ(testmm_write(mm, b + i * HUGE, i), 0);
		on_second += node_at(mm, b + i * HUGE);
	}
	CHECK_EQ(on_second, 2);
	CHECK_EQ(pool()->free_node[0], 2);
	CHECK_EQ(pool()->free_node[1], 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(pool()->free, 8);
}

GUEST_TEST(hugetlb, a_promise_outlives_a_node_without_pages, 0, 0, NODES)
{
	struct mm_struct *mm = testmm_create(t);
	struct nodemask second = {.bits = {2}};
	long a;

	CHECK_EQ(hugetlb_set_pool_node(pool(), 0, 2), 0);
	a = map(mm, 1, MAP_PRIVATE);
	REQUIRE(a > 0);
	CHECK_EQ(do_mbind(mm, a, HUGE, MPOL_BIND, 0, &second, 0), 0);
	/* As on Linux: what was promised lies elsewhere. */
	CHECK_EQ(testmm_touch(mm, a, TOUCH_WRITE), VM_FAULT_SIGBUS);
	CHECK_EQ(pool()->resv, 1);
	CHECK_EQ(settled_audit(), 0);
	/* One more page may be had there. */
	CHECK_EQ(hugetlb_set_overcommit(pool(), 1), 0);
	CHECK_EQ(testmm_touch(mm, a, TOUCH_WRITE), 0);
	CHECK_EQ(node_at(mm, a), 1);
	CHECK_EQ(pool()->resv, 0);
	CHECK_EQ(pool()->surplus_node[1], 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(pool()->nr, 2);
	CHECK_EQ(pool()->surplus, 0);
}

/* ---- moving ------------------------------------------------------------------------------------- */

static int move_to(struct mm_struct *mm, unsigned long addr, int nid, enum migrate_whose whose)
{
	LIST_HEAD(list);
	int err = move_page_isolate(mm, addr, nid, whose, &list);

	return list_empty(&list) ? err : -EINVAL;
}

static struct page *page_of(struct mm_struct *mm, unsigned long addr)
{
	unsigned long next;
	unsigned int level;
	pte_t *leaf = walk_leaf(mm->pgd, addr, &level, &next);

	return leaf ? pfn_to_page(pte_pfn(pte_read(leaf))) : NULL;
}

static void check_pool(struct test *t, u64 nr0, u64 free0, u64 nr1, u64 free1)
{
	CHECK_EQ(pool()->nr_node[0], nr0);
	CHECK_EQ(pool()->free_node[0], free0);
	CHECK_EQ(pool()->nr_node[1], nr1);
	CHECK_EQ(pool()->free_node[1], free1);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hugetlb, pages_move_to_another_node, 0, 0, NODES)
{
	struct mm_struct *mm = testmm_create(t);
	s64 moved = ev(PGMIGRATE_SUCCESS), free;
	struct nodemask first = {.bits = {1}};
	long a, b;

	CHECK_EQ(hugetlb_set_pool_node(pool(), 0, 2), 0);
	a = map(mm, 1, MAP_PRIVATE);
	b = map(mm, 1, MAP_SHARED);
	REQUIRE(a > 0 && b > 0);
	testmm_fill(t, mm, a, 512, 1);
	testmm_fill(t, mm, b, 512, 2);
	check_pool(t, 2, 0, 0, 0);
	free = (s64)nr_free_pages();
	/* Node 1's pool is empty: the frame is the buddy's, and the old one becomes that. */
	CHECK_EQ(move_to(mm, a + 5 * PAGE_SIZE, 1, MIGRATE_OWN), 0);
	CHECK_EQ(ev(PGMIGRATE_SUCCESS) - moved, 512);
	CHECK_EQ(node_at(mm, a), 1);
	free -= (s64)nr_free_pages();
	CHECK(free > -64 && free < 64);
	check_pool(t, 1, 0, 1, 0);
	testmm_verify(t, mm, a, 512, 1);
	testmm_fill(t, mm, a, 512, 3);
	testmm_verify(t, mm, a, 512, 3);
	/* There already. */
	CHECK_EQ(move_to(mm, a, 1, MIGRATE_OWN), 0);
	CHECK_EQ(ev(PGMIGRATE_SUCCESS) - moved, 512);
	/* With a free one in the pool no frame changes hands. */
	CHECK_EQ(hugetlb_set_pool_node(pool(), 1, 2), 0);
	check_pool(t, 1, 0, 2, 1);
	CHECK_EQ(move_to(mm, b, 1, MIGRATE_OWN), 0);
	CHECK_EQ(node_at(mm, b), 1);
	check_pool(t, 1, 1, 2, 0);
	testmm_verify(t, mm, b, 512, 2);
	testmm_fill(t, mm, b, 512, 4);
	/* Back, by mbind(). */
	CHECK_EQ(do_mbind(mm, a, HUGE, MPOL_BIND, 0, &first, MPOL_MF_MOVE | MPOL_MF_STRICT), 0);
	CHECK_EQ(node_at(mm, a), 0);
	check_pool(t, 1, 0, 2, 1);
	testmm_verify(t, mm, a, 512, 3);
	/* And all that is on one node. */
	CHECK_EQ(do_migrate_pages(mm, 2, 1, MIGRATE_OWN), 0);
	CHECK_EQ(node_at(mm, b), 0);
	testmm_verify(t, mm, b, 512, 4);
	CHECK_EQ(ev(PGMIGRATE_SUCCESS) - moved, 4 * 512);
	check_pool(t, 2, 0, 1, 1);
	mmput(mm);
	check_pool(t, 2, 2, 1, 1);
	CHECK_EQ(pool()->resv, 0);
}

GUEST_TEST(hugetlb, relatives_move_along_and_keep_their_copies, 0, 0, NODES)
{
	struct mm_struct *mm = testmm_create(t), *child;
	long a, b;

	CHECK_EQ(hugetlb_set_pool_node(pool(), 0, 3), 0);
	a = map(mm, 1, MAP_PRIVATE);
	b = map(mm, 1, MAP_SHARED);
	REQUIRE(a > 0 && b > 0);
	testmm_fill(t, mm, a, 512, 1);
	testmm_fill(t, mm, b, 512, 2);
	child = dup_mm(mm);
	REQUIRE(child);
	testmm_verify(t, child, b, 512, 2);
	CHECK_EQ(move_to(mm, a, 1, MIGRATE_OWN), -EACCES);
	CHECK_EQ(move_to(mm, b, 1, MIGRATE_OWN), -EACCES);
	CHECK_EQ(move_to(mm, a, 1, MIGRATE_SHARED_TOO), 0);
	CHECK_EQ(move_to(mm, b, 1, MIGRATE_SHARED_TOO), 0);
	CHECK_EQ(page_of(mm, a), page_of(child, a));
	CHECK_EQ(page_of(mm, b), page_of(child, b));
	CHECK_EQ(node_at(child, a), 1);
	check_pool(t, 1, 1, 2, 0);
	/* A private page is copied by who writes it, a shared one is not. */
	testmm_fill(t, child, a, 512, 5);
	testmm_fill(t, child, b, 512, 6);
	testmm_verify(t, mm, a, 512, 1);
	testmm_verify(t, mm, b, 512, 6);
	testmm_verify(t, child, a, 512, 5);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	mmput(mm);
	check_pool(t, 1, 1, 2, 2);
}

GUEST_TEST(hugetlb, a_page_that_somebody_holds_stays, 0, 0, NODES)
{
	struct mm_struct *mm = testmm_create(t);
	s64 failed = ev(PGMIGRATE_FAIL);
	struct page *held;
	long a;

	CHECK_EQ(hugetlb_set_pool_node(pool(), 0, 1), 0);
	a = map(mm, 1, MAP_SHARED);
	REQUIRE(a > 0);
	testmm_fill(t, mm, a, 512, 1);
	held = page_of(mm, a);
	get_page(held);
	CHECK_EQ(move_to(mm, a, 1, MIGRATE_OWN), -EAGAIN);
	CHECK_EQ(ev(PGMIGRATE_FAIL) - failed, 512);
	CHECK_EQ(page_of(mm, a), held);
	check_pool(t, 1, 0, 0, 0);
	testmm_fill(t, mm, a, 512, 2);
	put_page(held);
	CHECK_EQ(move_to(mm, a, 1, MIGRATE_OWN), 0);
	testmm_verify(t, mm, a, 512, 2);
	check_pool(t, 0, 0, 1, 0);
	mmput(mm);
}

GUEST_TEST(hugetlb, a_free_page_makes_room_for_a_contiguous_range, 0, 0,
	   "memory=96M append=hugepages=4")
{
	struct mm_struct *mm = testmm_create(t);
	struct page *head;
	pfn_t pfn;
	long a;

	head = list_first_entry(&pool()->free_list, struct page, lru);
	pfn = page_to_pfn(head);
	CHECK_EQ(alloc_contig_range(pfn, pfn + 512), 0);
	CHECK_EQ(pool()->nr, 4);
	CHECK_EQ(pool()->free, 4);
	CHECK_EQ(pool()->surplus, 0);
	list_for_each_entry (head, &pool()->free_list, lru)
		CHECK(page_to_pfn(head) != pfn);
	CHECK_EQ(settled_audit(), 0);
	free_contig_range(pfn, 512);
	/* Half of one. */
	pfn = page_to_pfn(list_first_entry(&pool()->free_list, struct page, lru)) + 256;
	CHECK_EQ(alloc_contig_range(pfn, pfn + 256), 0);
	CHECK_EQ(pool()->free, 4);
	free_contig_range(pfn, 256);
	/* One that is in use moves, unless somebody holds it. */
	a = map(mm, 1, MAP_PRIVATE);
	REQUIRE(a > 0);
	testmm_fill(t, mm, a, 512, 1);
	pfn = page_to_pfn(page_of(mm, a));
	get_page(pfn_to_page(pfn));
	CHECK_EQ(alloc_contig_range(pfn, pfn + 512), -EBUSY);
	put_page(pfn_to_page(pfn));
	CHECK_EQ(page_to_pfn(page_of(mm, a)), pfn);
	CHECK_EQ(alloc_contig_range(pfn, pfn + 512), 0);
	CHECK(page_to_pfn(page_of(mm, a)) != pfn);
	free_contig_range(pfn, 512);
	testmm_verify(t, mm, a, 512, 1);
	CHECK_EQ(pool()->nr, 4);
	CHECK_EQ(pool()->free, 3);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}
