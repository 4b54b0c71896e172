/*
 * Contiguous memory: the CMA area (cma=16M) is lent to movable pages and taken back, ranges are emptied
 * around what cannot move, and pages of 1 GiB come from them after boot.
 */
#include "check.h"
#include "host.h"
#include "lib/errno.h"
#include "mm/huge/hugetlb.h"
#include "mm/init.h"
#include "mm/move/contig.h"
#include "mm/phys/internal.h"
#include "mm_user.h"
#include "unit.h"

#define USER 12000ul
#define AREA (16 * MIB / PAGE_SIZE)

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static u64 free_cma(void)
{
	lru_add_drain();
	drain_all_pages();
	return (u64)global_stat(NR_FREE_CMA);
}

/* `n` pages of a process. */
static struct mm_struct *user_pages(unsigned long *at, unsigned long n)
{
	struct mm_struct *mm = mm_alloc();

	*at = do_mmap(mm, 0, n << PAGE_SHIFT, RW, PRIVATE | MAP_NORESERVE, 0);
	for (unsigned long i = 0; i < n; i++)
		MUST(!user_write(mm, *at + i * PAGE_SIZE, i + 1), "page %lu", i);
	return mm;
}

static struct page *user_page(struct mm_struct *mm, unsigned long addr)
{
	return pfn_to_page(pte_pfn(pte_read(walk_pte(mm->pgd, addr))));
}

static void contents(struct mm_struct *mm, unsigned long at, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		u64 v = 0;

		MUST(!user_read(mm, at + i * PAGE_SIZE, &v) && v == i + 1, "page %lu is %lu", i,
		     (long)v);
	}
}

/* `n` pages of a process, and how many of them lie in the area. */
static struct mm_struct *lend(unsigned long *at, unsigned long n, unsigned long *inside)
{
	struct zone *z = &node_data[0].zones[ZONE_DMA32];
	struct mm_struct *mm = user_pages(at, n);

	*inside = 0;
	for (unsigned long i = 0; i < n; i++)
		*inside += page_in_cma(z, user_page(mm, *at + i * PAGE_SIZE));
	return mm;
}

#define MAX_BLOCKS 1024u
static struct page *block[MAX_BLOCKS];
static unsigned int nr_blocks;

static void take_the_rest(void)
{
	while (nr_blocks < MAX_BLOCKS &&
	       (block[nr_blocks] = alloc_pages(GFP_NOWAIT | __GFP_NOWARN, MAX_ORDER)))
		nr_blocks++;
}

static void give_the_rest(void)
{
	while (nr_blocks)
		if (block[--nr_blocks])
			__free_pages(block[nr_blocks], MAX_ORDER);
}

static void lent_and_taken_back(void)
{
	u64 moved = event(PGMIGRATE_SUCCESS), ok = event(CMA_ALLOC_SUCCESS);
	unsigned long at, inside;
	struct mm_struct *mm;
	struct page *page;

	CU_ASSERT_EQUAL(cma_total_pages(), AREA);
	CU_ASSERT_EQUAL(free_cma(), AREA);
	take_the_rest();
	CU_ASSERT(nr_blocks > 500);
	CU_ASSERT_EQUAL(free_cma(), AREA); /* kernel memory stays out */
	mm = lend(&at, 3000, &inside);
	CU_ASSERT(inside > 1000);
	CU_ASSERT_EQUAL(free_cma(), AREA - inside);
	check_all();
	give_the_rest();
	page = cma_alloc(AREA, 10);
	CU_ASSERT_PTR_NOT_NULL_FATAL(page);
	CU_ASSERT_EQUAL(event(CMA_ALLOC_SUCCESS), ok + 1);
	CU_ASSERT(event(PGMIGRATE_SUCCESS) >= moved + inside);
	CU_ASSERT_EQUAL(free_cma(), 0);
	for (unsigned long i = 0; i < AREA; i++)
		MUST(page_ref_count(page + i) == 1 && page[i].type == PAGE_DMA, "page %lu", i);
	contents(mm, at, 3000);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
	CU_ASSERT(cma_release(page, AREA));
	mmput(mm);
	CU_ASSERT_EQUAL(free_cma(), AREA);
	check_all();
}

static void what_cma_refuses(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	u64 failed = event(CMA_ALLOC_FAIL);

	CU_ASSERT_PTR_NULL(cma_alloc(0, 0));
	CU_ASSERT_PTR_NULL(cma_alloc(AREA + 1, 0));
	CU_ASSERT_PTR_NULL(cma_alloc(1, MAX_ORDER + 1));
	CU_ASSERT_EQUAL(event(CMA_ALLOC_FAIL), failed + 3);
	CU_ASSERT_FALSE(cma_release(page, 1));
	__free_page(page);
	CU_ASSERT_EQUAL(alloc_contig_range(5, 5), -EINVAL);
	CU_ASSERT_EQUAL(alloc_contig_range((3ul << 18) - 10, (3ul << 18) + 10),
			-EINVAL);				  /* no RAM */
	CU_ASSERT_EQUAL(alloc_contig_range(4095, 4097), -EINVAL); /* two zones */
}

/* A kernel page in the way: nothing is taken, and all that was taken is returned. */
static void busy_range(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	pfn_t start = ALIGN_DOWN(page_to_pfn(page), 2048);
	u64 free = nr_free_pages();

	CU_ASSERT_EQUAL(alloc_contig_range(start, start + 2048), -EBUSY);
	drain_all_pages();
	CU_ASSERT(nr_free_pages() >= free);
	CU_ASSERT_EQUAL(check_pages(), 0);
	check_all();
	__free_page(page);
}

/* Is there nothing in the range but free pages and those of processes? */
static bool usable_gib(unsigned int gib)
{
	for (pfn_t pfn = (pfn_t)gib << 18; pfn < (pfn_t)(gib + 1) << 18;) {
		const struct page *p = pfn_to_page(pfn);

		if ((p->type != PAGE_BUDDY && p->type != PAGE_PCP && p->type != PAGE_ANON) ||
		    page_in_cma(page_zone(p), p))
			return false;
		pfn += 1ul << p->order;
	}
	return true;
}

static void pages_of_1_gib(void)
{
	u64 moved = event(PGMIGRATE_SUCCESS), free;
	struct hstate *h = &hstates[1];
	unsigned long at, inside = 0;
	unsigned int usable = 0;
	struct mm_struct *mm;

	/* The second GiB is freed last and so used first, after what is in pieces. */
	take_the_rest();
	for (unsigned int i = 0; i < nr_blocks; i++)
		if (page_to_pfn(block[i]) >> 18 != 1) {
			__free_pages(block[i], MAX_ORDER);
			block[i] = NULL;
		}
	give_the_rest();
	mm = user_pages(&at, USER);
	lru_add_drain();
	drain_all_pages();
	for (unsigned int gib = 0; gib < 3; gib++)
		usable += usable_gib(gib);
	CU_ASSERT(usable > 0);
	for (unsigned long i = 0; i < USER; i++)
		inside += page_to_pfn(user_page(mm, at + i * PAGE_SIZE)) >> 18 == 1;
	CU_ASSERT(inside > 500);
	free = nr_free_pages();
	CU_ASSERT_EQUAL(h->nr, 0);
	CU_ASSERT_EQUAL(hugetlb_set_pool(h, 5), 0);
	CU_ASSERT_EQUAL(h->nr, usable);
	CU_ASSERT_EQUAL(h->free, usable);
	CU_ASSERT_EQUAL(h->max_huge_pages, usable);
	CU_ASSERT(event(PGMIGRATE_SUCCESS) - moved >= inside);
	lru_add_drain();
	drain_all_pages();
	CU_ASSERT_EQUAL(free - nr_free_pages(), (u64)usable << 18);
	contents(mm, at, USER);
	check_all();
	CU_ASSERT_EQUAL(hugetlb_set_pool(h, 0), 0);
	CU_ASSERT_EQUAL(h->nr, 0);
	drain_all_pages();
	CU_ASSERT_EQUAL(nr_free_pages(), free);
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* A kernel page in each range: none is taken. */
static void kernel_pages_are_in_the_way(void)
{
	struct hstate *h = &hstates[1];
	bool usable[3] = {usable_gib(0), usable_gib(1), usable_gib(2)};
	struct page *p;
	LIST_HEAD(list);

	CU_ASSERT(usable[0] || usable[1] || usable[2]);
	/* Blocks of memory until there is one in each. */
	while ((usable[0] || usable[1] || usable[2]) &&
	       (p = alloc_pages(GFP_NOWAIT | __GFP_NOWARN, 9))) {
		unsigned int gib = page_to_pfn(p) >> 18;

		if (gib < 3 && usable[gib]) {
			usable[gib] = false;
			split_page(p, 9);
			for (unsigned int i = 1; i < 512; i++)
				__free_page(p + i);
			block[nr_blocks++] = p;
			continue;
		}
		list_add(&p->lru, &list);
	}
	CU_ASSERT(!usable[0] && !usable[1] && !usable[2]);
	while (!list_empty(&list)) {
		p = list_first_entry(&list, struct page, lru);
		list_del(&p->lru);
		__free_pages(p, 9);
	}
	drain_all_pages();
	CU_ASSERT_EQUAL(hugetlb_set_pool(h, 1), 0);
	CU_ASSERT_EQUAL(h->nr, 0);
	while (nr_blocks)
		__free_page(block[--nr_blocks]);
	drain_all_pages();
	check_all();
}

/* Pages of a pool that programs use: private, shared with a child, and of shared memory. All move. */
static void hugetlb_in_use(void)
{
	const unsigned long size = PMD_SIZE;
	struct hstate *h = size_to_hstate(size);
	struct mm_struct *mm = mm_alloc(), *child;
	u64 moved = event(PGMIGRATE_SUCCESS), v;
	unsigned long at, n = 4;
	pfn_t first;

	CU_ASSERT_EQUAL(hugetlb_set_pool(h, n), 0);
	at = do_mmap(mm, 0, 2 * size, RW, PRIVATE | MAP_HUGETLB, 0);
	MUST((long)at > 0, "private");
	for (unsigned long i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(user_write(mm, at + i * size, 70 + i), 0);
	child = dup_mm(mm);
	for (unsigned long i = 0; i < 2; i++) {
		pte_t *pmd = walk_level(mm->pgd, at + i * size, PT_LEVEL_PMD);

		first = pte_pfn(pte_read(pmd));
		CU_ASSERT_EQUAL(alloc_contig_range(first, first + HPAGE_PMD_NR), 0);
		CU_ASSERT_NOT_EQUAL(pte_pfn(pte_read(pmd)), first);
		free_contig_range(first, HPAGE_PMD_NR);
	}
	CU_ASSERT(event(PGMIGRATE_SUCCESS) - moved >= 2 * HPAGE_PMD_NR);
	CU_ASSERT_EQUAL(h->nr, n);
	CU_ASSERT_EQUAL(h->free, n - 2);
	for (unsigned long i = 0; i < 2; i++) {
		CU_ASSERT(!user_read(mm, at + i * size, &v) && v == 70 + i);
		CU_ASSERT(!user_read(child, at + i * size, &v) && v == 70 + i);
	}
	/* Somebody holds one: it stays, and so does the range. */
	first = pte_pfn(pte_read(walk_level(mm->pgd, at, PT_LEVEL_PMD)));
	get_page(pfn_to_page(first));
	CU_ASSERT_EQUAL(alloc_contig_range(first, first + HPAGE_PMD_NR), -EBUSY);
	put_page(pfn_to_page(first));
	mmput(child);
	mmput(mm);
	CU_ASSERT_EQUAL(hugetlb_set_pool(h, 0), 0);
	CU_ASSERT_EQUAL(h->nr, 0);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

int main(void)
{
	static const struct host_region ram[] = {{0, 3ull << 30, 0}};
	static const struct unit_case cases[] = {
		{"pages of 1 GiB", pages_of_1_gib},
		{"kernel pages are in the way", kernel_pages_are_in_the_way},
		{"lent and taken back", lent_and_taken_back},
		{"what CMA refuses", what_cma_refuses},
		{"hugetlb in use", hugetlb_in_use},
		{"a busy range", busy_range},
	};

	host_boot(ram, ARRAY_SIZE(ram), "debug_vm cma=16M");
	mm_init();
	return unit_run("contiguous memory", cases, ARRAY_SIZE(cases));
}
