/*
 * alloc_contig_range() and the contiguous memory area (CMA).
 *
 *   | . X . X | X . . . |    take the free pages (.) off their lists, move the movable ones (X) away,
 *   | o X o X | X o o o |    take what has become free, and so on, until all is ours (o) or something
 *   | o o o o | o o o o |    will not move; then all are returned
 *
 * A page that is moved out may come to lie in the range again, for that is where pages have just become
 * free. Whoever allocates the new place here keeps what lies in the range, and takes another.
 *
 * The area (cma=) is cut from boot memory in units of the largest free block, so no free block reaches
 * across its ends. Its free blocks are on lists of their own (MIGRATE_CMA): only allocations of movable pages use
 * them, first while more than half of the zone's free memory is there, else last. So it can always be emptied, as
 * long as what says it is movable is. cma_bitmap has a bit for each frame that was given to a driver.
 *
 * I1  No free block holds frames of the area and others.
 * I2  NR_FREE_CMA = pages on lists of type CMA (buddy.c); they are in NR_FREE_PAGES, too, and
 *     zone_watermark_ok() leaves them out for those who cannot use them.
 *
 * Locks: cma_lock (sleeps) > zone->lock.
 */
#include "mm/move/contig.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "mm/init.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/phys/internal.h"
#include "mm/phys/memblock.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/lru.h"
#include "mm/slab/slab.h"

#define CMA_ALIGN_PAGES (1ul << MAX_ORDER)
#define TRIES		5
#define CLUSTER		32u

struct contig {
	struct zone *zone; /* of all of them */
	pfn_t start, end;
	u8 *ours; /* a bit for each frame of the range */
	unsigned long nr_ours;
};

static bool is_ours(const struct contig *c, pfn_t pfn)
{
	unsigned long i = pfn - c->start;

	return c->ours[i / 8] >> i % 8 & 1;
}

static void claim(struct contig *c, struct page *page)
{
	unsigned long i = page_to_pfn(page) - c->start;

	c->ours[i / 8] |= 1u << i % 8;
	c->nr_ours++;
}

static bool in_range(const struct contig *c, const struct page *page)
{
	pfn_t pfn = page_to_pfn(page);

	return pfn >= c->start && pfn < c->end;
}

/* Head of the free block that covers the frame, or NULL. zone->lock held. */
static struct page *free_head(const struct zone *z, pfn_t pfn)
{
	struct page *page = block_head(pfn);

	return page && page->type == PAGE_BUDDY && page_zone(page) == z ? page : NULL;
}

/* Take one free block; the parts of it that lie outside go back. Returns the frames taken. zone->lock
 * held. */
static s64 take_block(struct zone *z, struct contig *c, struct page *head)
{
	unsigned int order = buddy_isolate(z, head);
	const u64 flags = head->flags & PAGE_FLAGS_KEPT;
	s64 taken = 0;

	for (struct page *page = head; page < head + (1ul << order); page++) {
		page->flags = flags;
		page->mapcount = -1;
		page->mapping = NULL;
		page->private_ = 0;
		/* All of them before the first is freed: old tails could look like free heads. */
		page_set_state(page, PAGE_STATE(PAGE_OTHER, 0, 0, 0));
		if (!in_range(c, page))
			continue;
		page->refcount = 1;
		claim(c, page);
		trace_point(ALLOC, 0, .pfn = page_to_pfn(page), .arg = PAGE_OTHER);
		taken++;
	}
	for (struct page *page = head; page < head + (1ul << order); page++)
		if (!in_range(c, page))
			buddy_free_page(z, page, 0);
	return taken;
}

/* Take what is free, a block of the largest order at a time under the lock. */
static void take_free(struct zone *z, struct contig *c)
{
	for (pfn_t pfn = c->start, stop; pfn < c->end; pfn = stop) {
		unsigned long flags = spin_lock_irqsave(&z->lock);
		s64 taken = 0;

		stop = min(c->end, ALIGN_DOWN(pfn, CMA_ALIGN_PAGES) + CMA_ALIGN_PAGES);
		for (; pfn < stop; pfn++) {
			struct page *head = is_ours(c, pfn) ? NULL : free_head(z, pfn);

			if (head)
				taken += take_block(z, c, head);
		}
		spin_unlock_irqrestore(&z->lock, flags);
		zone_stat_add(z, NR_FREE_PAGES, -taken);
		count_vm_events(PGALLOC_DMA + z->type, taken);
	}
}

static bool has_of_range(const struct contig *c, const struct folio *folio)
{
	return folio_pfn(folio) < c->end && folio_pfn(folio) + folio_nr_pages(folio) > c->start;
}

/* A place in the range itself is of no use, but ours to keep. */
static struct folio *target_outside(struct folio *src, void *private)
{
	struct contig *c = private;

	for (;;) {
		struct folio *dst = alloc_migration_target(src, NULL);
		const unsigned long before = c->nr_ours;

		if (!dst || !has_of_range(c, dst))
			return dst;
		if (!folio_test_large(dst)) {
			claim(c, &dst->page);
			continue;
		}
		folio_put(dst);
		take_free(c->zone, c);
		if (c->nr_ours == before)
			return NULL; /* somebody else has got it; src is split, then */
	}
}

static int migrate_list(struct contig *c, struct list_head *list)
{
	int left =
		migrate_pages(list, target_outside, NULL, c, MIGRATE_SYNC, MR_CONTIG_RANGE, NULL);

	putback_movable_pages(list);
	return left == -ENOMEM ? left : 0;
}

/* A transparent huge page, which moves as a whole or in pieces? The answer may be old. */
static bool movable_huge(const struct page *page)
{
	const struct folio *folio = page_folio(page);

	return folio_test_large(folio) && !folio_test_unevictable(folio) &&
	       (READ_ONCE(folio->page.type) == PAGE_ANON ||
		READ_ONCE(folio->page.type) == PAGE_SHMEM);
}

/* A page of 2 MiB that waits in its pool? */
static bool free_hugetlb(const struct page *head)
{
	return READ_ONCE(head->type) == PAGE_HUGETLB && !page_ref_count(head) &&
	       head->order <= MAX_ORDER;
}

/* The same, in use? The answer may be old. */
static bool used_hugetlb(const struct page *head)
{
	return READ_ONCE(head->type) == PAGE_HUGETLB && page_ref_count(head) &&
	       head->order <= MAX_ORDER;
}

/* Move what can be moved out of the range. */
static int move_out(struct contig *c)
{
	bool hugetlb_moved = false;
	unsigned int n = 0;
	LIST_HEAD(list);
	int err = 0;

	for (pfn_t pfn = c->start; pfn < c->end && !err; pfn++) {
		struct page *page = pfn_to_page(pfn);

		if (is_ours(c, pfn))
			continue;
		page = &page_folio(page)
				->page; /* a huge page moves as a whole, if there is a place */
		if (free_hugetlb(page))
			hugetlb_replace_free(page, c->start, c->end);
		if (used_hugetlb(page) && !hugetlb_moved) {
			hugetlb_move_out(c->start, c->end); /* all of them */
			hugetlb_moved = true;
		}
		if (!isolate_movable_page(page))
			continue;
		list_add_tail(&page->lru, &list);
		if (++n % CLUSTER == 0)
			err = migrate_list(c, &list);
	}
	if (!err)
		err = migrate_list(c, &list);
	putback_movable_pages(&list);
	return err;
}

/* The zone that spans all of it, or NULL. */
static struct zone *zone_of_range(pfn_t start, pfn_t end)
{
	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];

		if (start >= z->start_pfn && end <= z->start_pfn + z->spanned)
			return z;
	}
	return NULL;
}

int alloc_contig_range(pfn_t start, pfn_t end)
{
	struct contig c = {.start = start, .end = end};
	const unsigned long nr = end - start;
	struct zone *z;
	int err = 0;

	if (start >= end || !pfn_valid(start) || !pfn_valid(end - 1))
		return -EINVAL;
	c.zone = z = zone_of_range(start, end);
	if (!z)
		return -EINVAL;
	c.ours = kcalloc(DIV_ROUND_UP(nr, 8), 1, GFP_KERNEL);
	if (!c.ours)
		return -ENOMEM;
	for (unsigned int i = 0; i < TRIES && !err; i++) {
		/* Pages in batches are on no LRU list, those in per-CPU lists in no free block. */
		lru_add_drain_all();
		drain_all_pages();
		take_free(z, &c);
		if (c.nr_ours == nr)
			break;
		err = move_out(&c);
	}
	if (c.nr_ours != nr) {
		lru_add_drain_all();
		drain_all_pages();
		take_free(z, &c);
	}
	if (c.nr_ours != nr) {
		err = err ? err : -EBUSY;
		for (unsigned long i = 0; i < nr; i++)
			if (is_ours(&c, start + i))
				__free_page(pfn_to_page(start + i));
	} else {
		err = 0;
	}
	kfree(c.ours);
	return err;
}

void free_contig_range(pfn_t start, unsigned long nr)
{
	for (unsigned long i = 0; i < nr; i++)
		__free_page(pfn_to_page(start + i));
}

/* ---- anywhere --------------------------------------------------------------------------------- */

/* Could the frame be emptied, as far as can be told at a look? Frames reserved at boot or in use by the CMA area,
 * and unmovable ones, cannot. */
static bool could_be_taken(const struct zone *z, pfn_t pfn)
{
	const struct page *page = pfn_to_page(pfn);

	if (!pfn_valid(pfn) || page->type == PAGE_INVALID || page_zone(page) != z ||
	    page_in_cma(z, page))
		return false;
	return page->type == PAGE_BUDDY || page->type == PAGE_PCP || page_is_movable(page) ||
	       movable_huge(page) || free_hugetlb(&page_folio(page)->page) ||
	       used_hugetlb(&page_folio(page)->page);
}

/* A range of `nr` frames that starts at a multiple of `nr`, or at the next one. */
static bool range_could_be_taken(const struct zone *z, pfn_t start, unsigned long nr)
{
	for (pfn_t pfn = start; pfn < start + nr;) {
		const struct page *page = pfn_to_page(pfn);

		if (!could_be_taken(z, pfn))
			return false;
		pfn += page->type == PAGE_BUDDY ? 1ul << min(READ_ONCE(page->order), (u8)MAX_ORDER)
						: 1;
	}
	return true;
}

struct page *alloc_contig_pages(unsigned long nr, gfp_t gfp)
{
	const enum zone_type highest = gfp_zone(gfp);
	pg_data_t *node = &node_data[numa_node_id()];

	if (!nr || (nr & (nr - 1)) || !(gfp & __GFP_DIRECT_RECLAIM))
		return NULL;
	/* Pages in per-CPU lists and batches would look as if they were in use. */
	lru_add_drain_all();
	drain_all_pages();
	for (struct zone **zp = node->zonelist; *zp; zp++) {
		struct zone *z = *zp;
		pfn_t start = ALIGN_UP(z->start_pfn, nr), end = z->start_pfn + z->spanned;

		if (z->type > highest || z->type == ZONE_MOVABLE)
			continue;
		for (; start + nr <= end; start += nr)
			if (range_could_be_taken(z, start, nr) &&
			    zone_watermark_ok(z, 0, z->watermark[WMARK_LOW] + nr, highest, 0) &&
			    !alloc_contig_range(start, start + nr))
				return pfn_to_page(start);
	}
	return NULL;
}

/* ---- the area --------------------------------------------------------------------------------- */

static pfn_t cma_base;
static unsigned long cma_pages;
static u8 *cma_used; /* cma_lock: a byte for each frame */
static struct mutex cma_lock = MUTEX_INIT(cma_lock);

u64 cma_total_pages(void)
{
	return cma_pages;
}

/* Zones end at 16 MiB and at 4 GiB (zone.c): the area must not reach across. */
static bool in_one_zone(phys_addr_t base, u64 size)
{
	static const u64 border[] = {16ull << 20, 4ull << 30};

	for (unsigned int i = 0; i < ARRAY_SIZE(border); i++)
		if (base < border[i] && base + size > border[i])
			return false;
	return true;
}

static phys_addr_t find_place(u64 size, u64 unit)
{
	phys_addr_t base = memblock_phys_alloc(size, unit, 16ull << 20, 4ull << 30);

	if (!base)
		base = memblock_phys_alloc(size, unit, 4ull << 30, 0);
	return base ? base : memblock_phys_alloc(size, unit, 0, 16ull << 20);
}

void cma_reserve(const char *option, char *why, size_t why_size)
{
	const u64 unit = CMA_ALIGN_PAGES << PAGE_SHIFT;
	const char *at = strchr(option, '@');
	char text[32];
	u64 size, start = 0;
	phys_addr_t base;

	why[0] = 0;
	strscpy(text, option, min(sizeof(text), at ? (size_t)(at - option) + 1 : sizeof(text)));
	if (parse_size(text, &size) || (at && parse_size(at + 1, &start))) {
		strscpy(why, "not SIZE[@START]", why_size);
		return;
	}
	if (!size)
		return; /* none wanted */
	size = ALIGN_UP(size, unit);
	if (at && !IS_ALIGNED(start, unit)) {
		strscpy(why, "the start is no multiple of 4M", why_size);
		return;
	}
	if (size > memblock_total() / 2) {
		strscpy(why, "more than half of memory", why_size);
		return;
	}
	if (at && !in_one_zone(start, size)) {
		strscpy(why, "it would cross the border of a zone (16M, 4G)", why_size);
		return;
	}
	base = at ? memblock_phys_alloc(size, unit, start, start + size) : find_place(size, unit);
	if (!base || (at && base != start)) {
		strscpy(why,
			at ? "there is no free memory"
			   : "no zone has so much free memory in one piece",
			why_size);
		return;
	}
	cma_base = base >> PAGE_SHIFT;
	cma_pages = size >> PAGE_SHIFT;
}

void cma_activate(void)
{
	struct zone *z;

	if (!cma_pages)
		return;
	z = page_zone(pfn_to_page(cma_base));
	cma_used = kcalloc(cma_pages, 1, GFP_KERNEL);
	if (!cma_used || page_zone(pfn_to_page(cma_base + cma_pages - 1)) != z) {
		printk("cma: no memory for its map, or cut by ZONE_MOVABLE: ignored\n");
		free_reserved_area(cma_base << PAGE_SHIFT, (cma_base + cma_pages) << PAGE_SHIFT,
				   "unused CMA");
		kfree(cma_used);
		cma_pages = 0;
		return;
	}
	z->cma_start = cma_base;
	z->cma_pages = cma_pages;
	for (pfn_t pfn = cma_base; pfn < cma_base + cma_pages; pfn++)
		free_reserved_frame(pfn_to_page(pfn));
	setup_per_zone_wmarks();
	printk("cma: %lu MiB at 0x%lx\n", cma_pages >> (20 - PAGE_SHIFT),
	       (unsigned long)cma_base << PAGE_SHIFT);
}

/* Frames [at, at + nr) of the area are nobody's. */
static bool run_is_free(unsigned long at, unsigned long nr)
{
	for (unsigned long i = at; i < at + nr; i++)
		if (cma_used[i])
			return false;
	return true;
}

struct page *cma_alloc(unsigned long nr, unsigned int align)
{
	const unsigned long step = 1ul << align;
	struct page *page = NULL;

	if (!nr || nr > cma_pages || align > MAX_ORDER) {
		count_vm_event(CMA_ALLOC_FAIL);
		return NULL;
	}
	mutex_lock(&cma_lock);
	for (unsigned long at = 0; at + nr <= cma_pages && !page; at += step) {
		if (!run_is_free(at, nr))
			continue;
		if (alloc_contig_range(cma_base + at, cma_base + at + nr))
			continue; /* something is held there just now */
		memset(cma_used + at, 1, nr);
		page = pfn_to_page(cma_base + at);
		for (unsigned long i = 0; i < nr; i++)
			page[i].type = PAGE_DMA;
	}
	mutex_unlock(&cma_lock);
	count_vm_event(page ? CMA_ALLOC_SUCCESS : CMA_ALLOC_FAIL);
	return page;
}

bool cma_release(struct page *page, unsigned long nr)
{
	pfn_t pfn = page_to_pfn(page);

	if (!cma_pages || pfn < cma_base || nr > cma_pages || pfn - cma_base > cma_pages - nr)
		return false;
	mutex_lock(&cma_lock);
	for (unsigned long i = 0; i < nr; i++)
		if (!cma_used[pfn - cma_base + i])
			bad_page(page + i, "given back to CMA, but it was not allocated there");
	free_contig_range(pfn, nr);
	memset(cma_used + (pfn - cma_base), 0, nr);
	mutex_unlock(&cma_lock);
	return true;
}
