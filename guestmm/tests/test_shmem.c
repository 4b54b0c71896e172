/* Shared memory from inside: one page for every process that maps it, in memory and in swap, and the
 * host's audit of the trees behind it. sharetest sees the same from user mode. */
#include "mm/reclaim/lru.h"
#include "mm/cache/pagecache.h"
#include "mm/virt/vma.h"
#include "tests/tests.h"

#define MEM	 "memory=24M,high=4M append=page_poison"
#define WITHSWAP "memory=24M,high=4M swap=64M"
#define USER	 MMVM_TESTF_USER
#define RW	 (PROT_READ | PROT_WRITE)
#define PLANTED	 MMVM_TESTF_EXPECT_AUDIT
#define SHARED	 (MAP_SHARED | MAP_ANONYMOUS)

static unsigned long map_shared(struct test *t, struct mm_struct *mm, unsigned long pages)
{
	long at = do_mmap(mm, 0, pages << PAGE_SHIFT, RW, SHARED, 0);

	t->checks++;
	if (IS_ERR((void *)at)) {
		test_fail(t, __FILE__, __LINE__, "shared mapping: %ld", at);
		return 0;
	}
	return at;
}

GUEST_TEST(shmem, relatives_see_what_each_writes, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long at = mm ? map_shared(t, mm, 300) : 0;
	u64 v = 0;

	REQUIRE(at);
	for (int i = 0; i < 300; i += 2)
		CHECK_EQ(testmm_write(mm, at + i * PAGE_SIZE, i), 0);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(child->rss_shmem, 0);
	for (int i = 0; i < 300; i++)
		CHECK(!testmm_read(child, at + i * PAGE_SIZE, &v) && v == (i & 1 ? 0 : (u64)i));
	CHECK_EQ(child->rss_shmem, 300);
	CHECK_EQ(testmm_write(child, at + PAGE_SIZE, 77), 0);
	CHECK(!testmm_read(mm, at + PAGE_SIZE, &v) && v == 77);
	CHECK_EQ(page_mapcount(testmm_page(mm, at)), 2);
	CHECK_EQ(global_stat(NR_SHMEM), 300);
	mmput(mm);
	CHECK(!testmm_read(child, at + PAGE_SIZE, &v) && v == 77);
	mmput(child);
	CHECK_EQ(global_stat(NR_SHMEM), 0);
	CHECK_EQ(vm_committed(), 0);
}

/* What the audit looks at while it is there: left mapped to the end of the case. */
GUEST_TEST(shmem, audited_while_mapped_and_in_swap, MMVM_TESTF_LAB_ONLY, 0, WITHSWAP)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long at = mm ? map_shared(t, mm, 200) : 0, moved;

	REQUIRE(at);
	for (int i = 0; i < 200; i++)
		CHECK_EQ(testmm_write(mm, at + i * PAGE_SIZE, i + 1), 0);
	CHECK_EQ(do_madvise(mm, at + 100 * PAGE_SIZE, 100 * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK(global_stat(NR_SHMEM) < 150);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(testmm_touch(child, at + 3 * PAGE_SIZE, TOUCH_READ), 0);
	CHECK_EQ(testmm_touch(child, at + 103 * PAGE_SIZE, TOUCH_WRITE), 0);
	moved = do_mremap(child, at + 50 * PAGE_SIZE, 20 * PAGE_SIZE, 20 * PAGE_SIZE,
			  MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	CHECK(!IS_ERR((void *)moved));
	CHECK_EQ(testmm_touch(child, moved, TOUCH_WRITE), 0);
	CHECK_EQ(do_munmap(mm, at + 90 * PAGE_SIZE, 20 * PAGE_SIZE), 0);
}

GUEST_TEST(shmem, pages_go_to_swap_once_and_come_back, MMVM_TESTF_LAB_ONLY, 60, WITHSWAP)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long pages = 10 * MIB / PAGE_SIZE, at = mm ? map_shared(t, mm, pages) : 0, other;
	s64 out = ev(PSWPOUT), in = ev(PSWPIN);
	u64 v;

	REQUIRE(at);
	for (unsigned long i = 0; i < pages; i++)
		CHECK_EQ(testmm_write(mm, at + i * PAGE_SIZE, word_for(i, 1)), 0);
	child = dup_mm(mm);
	REQUIRE(child);
	/* Private memory drives it out. Cold, not young and at the end of the inactive list, the shared pages are
	 * taken before any private one, however large those are and whenever kswapd runs. */
	CHECK_EQ(do_madvise(mm, at, pages << PAGE_SHIFT, MADV_COLD), 0);
	other = testmm_map(t, mm, 16 * MIB);
	for (unsigned long i = 0; i < 16 * MIB / PAGE_SIZE; i++)
		CHECK_EQ(testmm_write(mm, other + i * PAGE_SIZE, i), 0);
	CHECK(ev(PSWPOUT) - out > 500);
	for (unsigned long i = 0; i < pages; i++)
		CHECK(!testmm_read(child, at + i * PAGE_SIZE, &v) && v == word_for(i, 1));
	CHECK(ev(PSWPIN) - in > 300);
	CHECK_EQ(child->rss_swap, 0);
	CHECK_EQ(ev(OOM_KILL), 0);
	mmput(mm);
	mmput(child);
	CHECK(swap_becomes_empty());
}

GUEST_TEST(shmem, a_hole_frees_the_pages_for_everybody, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long at = mm ? map_shared(t, mm, 64) : 0;
	u64 v = 1;

	REQUIRE(at);
	for (int i = 0; i < 64; i++)
		CHECK_EQ(testmm_write(mm, at + i * PAGE_SIZE, i + 1), 0);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(testmm_touch(child, at, TOUCH_READ), 0);
	CHECK_EQ(do_madvise(mm, at, 32 * PAGE_SIZE, MADV_REMOVE), 0);
	CHECK_EQ(global_stat(NR_SHMEM), 32);
	CHECK(!testmm_read(child, at + PAGE_SIZE, &v) && v == 0);
	CHECK(!testmm_read(child, at + 33 * PAGE_SIZE, &v) && v == 34);
	mmput(child);
	mmput(mm);
}

GUEST_TEST(shmem, programs_share, USER, 30, MEM)
{
	u64 before = global_stat(NR_SHMEM); /* the root's files */

	CHECK_EQ(run_program("/bin/sharetest", ""), 0);
	/* Its children may end after it. */
	CHECK(stat_becomes(NR_FILE_MAPPED, 0));
	CHECK(stat_becomes(NR_SHMEM, before));
}

GUEST_TEST(shmem, programs_share_what_is_in_swap, USER | MMVM_TESTF_LAB_ONLY, 60, WITHSWAP)
{
	s64 in = ev(PSWPIN);

	CHECK_EQ(run_program("/bin/sharetest", "pressure"), 0);
	CHECK(ev(PSWPIN) - in > 100);
	CHECK(swap_becomes_empty()); /* none of its pages is left, neither there nor in memory */
	CHECK((u64)global_stat(NR_SHMEM) <= root_pages());
}

/* ---- what the audit must find ---- */

static struct address_space *shared_mapping(struct test *t)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long at = mm ? map_shared(t, mm, 8) : 0;

	if (!at || testmm_touch(mm, at, TOUCH_WRITE) ||
	    testmm_touch(mm, at + PAGE_SIZE, TOUCH_WRITE))
		return NULL;
	return find_vma(mm, at)->mapping;
}

GUEST_TEST(shmem, audit_finds_a_page_that_is_not_in_its_tree, PLANTED, 0, MEM)
{
	struct address_space *mapping = shared_mapping(t);

	REQUIRE(mapping);
	radix_delete(&mapping->pages, 1);
	mapping->nrpages--;
	test_expect_audit(t, "page_cache");
}

GUEST_TEST(shmem, audit_finds_a_wrong_count_of_pages, PLANTED, 0, MEM)
{
	struct address_space *mapping = shared_mapping(t);

	REQUIRE(mapping);
	mapping->nrpages++;
	test_expect_audit(t, "cache_count");
}

GUEST_TEST(shmem, audit_finds_an_entry_of_a_free_slot, PLANTED, 0, WITHSWAP)
{
	struct address_space *mapping = shared_mapping(t);
	struct radix_preload preload;

	REQUIRE(mapping);
	REQUIRE(!radix_preload(&preload, &mapping->pages, 5, GFP_KERNEL));
	REQUIRE(!radix_insert(&mapping->pages, 5, radix_make_value(swp_entry(0, 7).v), &preload));
	radix_preload_end(&preload);
	mapping->nrvalues++;
	test_expect_audit(t, "swap_map");
}

GUEST_TEST(shmem, audit_finds_a_lost_reference, PLANTED, 0, MEM)
{
	struct address_space *mapping = shared_mapping(t);
	struct page *page;

	REQUIRE(mapping);
	page = find_get_page(mapping, 0);
	REQUIRE(page);
	lru_add_drain();
	atomic_sub(&page->refcount, 2);
	test_expect_audit(t, "used_refcount");
}
