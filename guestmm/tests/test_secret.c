/*
 * Secret memory: what hides its pages from the kernel, and what gives them back. Each case is audited from outside.
 */
#include "arch/direct_map.h"
#include "arch/tlb.h"
#include "mm/cache/secretmem.h"
#include "mm/reclaim/vmscan.h"
#include "mm/pgtable/pgtable.h"
#include "mm/fault/remote.h"
#include "tests/tests.h"

#define MEM   "memory=64M swap=64M"
#define PAGES 4
#define RW    (PROT_READ | PROT_WRITE)

static struct address_space secret;

static int may_map(struct map_source *src, unsigned long vm_flags)
{
	return 0;
}

static long map(struct mm_struct *mm, int flags)
{
	struct map_source src = {
		.mapping = &secret, .readable = true, .writable = true, .prepare = may_map};

	if (!secret.ops) {
		address_space_init(&secret, NULL, &secretmem_aops, AS_SECRET | AS_UNEVICTABLE);
		secret.size = PAGES * PAGE_SIZE;
	}
	return do_mmap_file(mm, 0, (PAGES + 1) * PAGE_SIZE, RW, flags, 0, &src);
}

static pte_t direct_entry(const struct page *page)
{
	pte_t *pte = walk_pte(kernel_pgd(), (unsigned long)page_address(page));

	return pte ? pte_read(pte) : __pte(~0ull);
}

/* A program writes to each page; the page at i. */
static struct page *fault_in(struct test *t, struct mm_struct *mm, unsigned long a, unsigned long i)
{
	CHECK_EQ(handle_mm_fault(mm, a + i * PAGE_SIZE, FAULT_FLAG_USER | FAULT_FLAG_WRITE), 0);
	return pfn_to_page(pte_pfn(testmm_pte(mm, a + i * PAGE_SIZE)));
}

GUEST_TEST(secret, pages_are_hidden_and_come_back_empty, 0, 0, MEM)
{
	s64 hidden = ev(MMVM_SECRET_HIDDEN), shown = ev(MMVM_SECRET_SHOWN);
	struct mm_struct *mm = testmm_create(t), *child;
	struct page *page[PAGES], *held;
	long a = map(mm, MAP_SHARED);
	u64 word = 7;

	REQUIRE(a > 0);
	CHECK_EQ(mm->locked_vm, PAGES + 1);
	for (unsigned long i = 0; i < PAGES; i++) {
		page[i] = fault_in(t, mm, a, i);
		CHECK(pte_none(direct_entry(page[i])));
		CHECK(PageUnevictable(page[i]));
	}
	CHECK_EQ(handle_mm_fault(mm, a + PAGES * PAGE_SIZE, FAULT_FLAG_USER), VM_FAULT_SIGBUS);
	CHECK_EQ(ev(MMVM_SECRET_HIDDEN) - hidden, PAGES);
	CHECK(ev(DIRECT_MAP_LEVEL2_SPLIT) > 0);
	/* Nobody else's way to it. */
	CHECK(!get_user_page(mm, a, &held));
	CHECK_EQ(read_remote_vm(mm, a, &word, sizeof(word)), 0);
	CHECK_EQ(write_remote_vm(mm, a, &word, sizeof(word)), 0);
	CHECK(!get_dump_page(mm, a, &held));
	CHECK_EQ(mm_populate(mm, a, PAGE_SIZE), -EFAULT);
	CHECK(mm_range_secret(mm, a - PAGE_SIZE, a + 1) && !mm_range_secret(mm, a - PAGE_SIZE, a));
	CHECK_EQ(settled_audit(), 0);
	/* A child has the same page; the parent's end does not show it. */
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK(fault_in(t, child, a, 1) == page[1]);
	mmput(mm);
	CHECK(PageUnevictable(page[0]) && !PageMlocked(page[0]));
	CHECK(pte_none(direct_entry(page[1])));
	try_to_free_pages(GFP_KERNEL, 0);
	CHECK_EQ(secret.nrpages, PAGES);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	truncate_inode_pages(&secret);
	CHECK_EQ(ev(MMVM_SECRET_SHOWN) - shown, PAGES);
	for (unsigned long i = 0; i < PAGES; i++)
		CHECK_EQ(direct_entry(page[i]).v & ~(u64)_PAGE_DIRTY & ~(u64)_PAGE_ACCESSED,
			 mk_pte(page_to_pfn(page[i]), PAGE_KERNEL).v & ~(u64)_PAGE_DIRTY &
				 ~(u64)_PAGE_ACCESSED);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(secret, private_is_refused_and_the_limit_counts, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);

	CHECK_EQ(map(mm, MAP_PRIVATE), -EINVAL);
	CHECK(map(mm, MAP_SHARED) > 0);
	CHECK_EQ(mm->locked_vm, PAGES + 1);
	CHECK_EQ(secret.nrpages, 0); /* only a touch makes pages */
	mmput(mm);
	CHECK_EQ(settled_audit(), 0);
}

/* Without memory for a page or for the table of a split nothing stays behind. */
GUEST_TEST(secret, any_allocation_may_fail, 0, 0, MEM " append=fault_inject")
{
	struct mm_struct *mm = testmm_create(t);
	long a = map(mm, MAP_SHARED);
	unsigned int ret, k = 0;

	REQUIRE(a > 0);
	do {
		alloc_fail_nth(++k);
		ret = handle_mm_fault(mm, a, FAULT_FLAG_USER | FAULT_FLAG_WRITE);
		alloc_fail_nth(0);
		CHECK(ret == 0 || ret == VM_FAULT_OOM);
		CHECK_EQ(settled_audit(), 0);
	} while (ret && k < 20);
	CHECK(k > 1 && !ret);
	mmput(mm);
	truncate_inode_pages(&secret);
	CHECK_EQ(secret.nrpages, 0);
}

GUEST_TEST(secret, a_page_that_is_shown_is_found, MMVM_TESTF_EXPECT_AUDIT, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	long a = map(mm, MAP_SHARED);

	REQUIRE(a > 0);
	direct_map_show(fault_in(t, mm, a, 0));
	test_expect_audit(t, "secret_page");
}

GUEST_TEST(secret, a_page_that_stays_hidden_is_found, MMVM_TESTF_EXPECT_AUDIT, 0, MEM)
{
	struct page *page = alloc_page(GFP_KERNEL);

	REQUIRE(page);
	CHECK_EQ(direct_map_hide(page), 0);
	test_expect_audit(t, "secret_page");
}
