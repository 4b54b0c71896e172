/*
 * The CMA area: lent to movable pages, taken back by moving them, never used by anything else. Each case
 * ends with the host's audit, which looks for unmovable pages in the area and for free pages of a wrong
 * type.
 */
#include "mm/dma/dma.h"
#include "mm/move/contig.h"
#include "mm/phys/internal.h"
#include "tests/tests.h"

#define MEM	 "memory=40M,high=8M append=cma=8M"
#define AREA	 (8 * MIB / PAGE_SIZE)
#define MAX_USER 12288ul

static struct device dev = {
	.name = "test", .dma_mask = DMA_BIT_MASK(64), .coherent_dma_mask = DMA_BIT_MASK(64)};

/* Movable pages wherever there is room: `pages` of them. */
static struct mm_struct *fill(struct test *t, unsigned long *at, unsigned long *pages, u64 leave)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long n = 0, most = min(settled_free_pages(), (u64)MAX_USER);

	if (!mm)
		return NULL;
	*at = testmm_map(t, mm, most * PAGE_SIZE);
	if (!*at)
		return NULL;
	for (; n < most && settled_free_pages() > leave; n++)
		CHECK_EQ(testmm_write(mm, *at + n * PAGE_SIZE, word_for(*at + n * PAGE_SIZE, 5)),
			 0);
	*pages = n;
	return mm;
}

static void contents(struct test *t, struct mm_struct *mm, unsigned long at, unsigned long pages)
{
	u64 v;

	for (unsigned long i = 0; i < pages; i++) {
		CHECK_EQ(testmm_read(mm, at + i * PAGE_SIZE, &v), 0);
		CHECK_EQ(v, word_for(at + i * PAGE_SIZE, 5));
	}
}

GUEST_TEST(cma, lent_and_taken_back, 0, 120, MEM)
{
	unsigned long at, pages, lent;
	s64 moved = ev(PGMIGRATE_SUCCESS), ok = ev(CMA_ALLOC_SUCCESS);
	struct mm_struct *mm;
	struct page *block;

	CHECK_EQ(cma_total_pages(), AREA);
	settled_free_pages();
	CHECK_EQ(global_stat(NR_FREE_CMA), AREA);
	mm = fill(t, &at, &pages, 3000);
	REQUIRE(mm);
	lent = AREA - global_stat(NR_FREE_CMA);
	CHECK(lent > AREA / 4); /* movable pages do go there */
	CHECK_EQ(settled_audit(), 0);
	block = dma_alloc_contiguous(&dev, 6 * MIB, GFP_KERNEL);
	REQUIRE(block);
	CHECK_EQ(ev(CMA_ALLOC_SUCCESS) - ok, 1);
	CHECK(ev(PGMIGRATE_SUCCESS) > moved);
	for (unsigned long i = 0; i < 6 * MIB / PAGE_SIZE; i++)
		CHECK_EQ(page_ref_count(block + i), 1);
	memset(page_address(block), 0x5a, 6 * MIB);
	contents(t, mm, at, pages);
	CHECK_EQ(settled_audit(), 0);
	CHECK(dma_release_from_contiguous(&dev, block, 6 * MIB / PAGE_SIZE));
	mmput(mm);
	settled_free_pages();
	CHECK_EQ(global_stat(NR_FREE_CMA), AREA);
}

GUEST_TEST(cma, kernel_memory_stays_out, 0, 120, MEM)
{
	LIST_HEAD(list);
	struct page *p, *next;
	unsigned long n = 0, inside = 0;

	while ((p = alloc_page(GFP_NOWAIT | __GFP_NOWARN))) {
		struct zone *z = page_zone(p);

		inside += page_in_cma(z, p);
		list_add(&p->lru, &list);
		n++;
	}
	CHECK(n > 1000);
	CHECK_EQ(inside, 0);
	CHECK_EQ(global_stat(NR_FREE_CMA), AREA);
	list_for_each_entry_safe (p, next, &list, lru)
		__free_page(p);
	settled_free_pages();
}

GUEST_TEST(cma, a_pinned_page_is_gone_around, 0, 120, MEM)
{
	struct page *pin = alloc_page(GFP_HIGHUSER_MOVABLE), *block;
	s64 failed = ev(CMA_ALLOC_FAIL);

	REQUIRE(pin);
	/* Such a page may be anywhere: take pages until one lies in the area. */
	for (unsigned int i = 0; i < 4096 && !page_in_cma(page_zone(pin), pin); i++) {
		struct page *other = alloc_page(GFP_HIGHUSER_MOVABLE);

		REQUIRE(other);
		__free_page(pin);
		pin = other;
	}
	if (page_in_cma(page_zone(pin), pin)) {
		CHECK(!cma_alloc(AREA, 0));
		CHECK_EQ(ev(CMA_ALLOC_FAIL) - failed, 1);
		block = cma_alloc(256, 8);
		REQUIRE(block);
		CHECK(IS_ALIGNED(page_to_pfn(block), 256));
		CHECK(cma_release(block, 256));
	}
	__free_page(pin);
	CHECK(!cma_alloc(AREA + 1, 0));
	CHECK(!cma_alloc(0, 0));
	CHECK(!cma_release(alloc_page(GFP_KERNEL), 1));
	block = cma_alloc(AREA, 0);
	CHECK(block);
	if (block)
		CHECK(cma_release(block, AREA));
}

GUEST_TEST(cma, bad_options_are_one_line, 0, 0, "memory=32M,high=8M append=cma=5G")
{
	CHECK_EQ(cma_total_pages(), 0);
	CHECK(!dma_alloc_contiguous(&dev, MIB, GFP_KERNEL));
	test_expect_words(t, "cma=5G: more than half of memory, ignored");
}

GUEST_TEST(cma, over_the_kernel_is_refused, 0, 0, "memory=32M,high=8M append=cma=4M@0")
{
	CHECK_EQ(cma_total_pages(), 0);
	test_expect_words(t, "cma=4M@0: there is no free memory, ignored");
}
