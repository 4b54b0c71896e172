/*
 * The buddy allocator: free blocks of 2^order frames, aligned to their size.
 *
 *   free_area[order].free_list[migratetype] --> head --> head --> ...     (page->lru)
 *
 * The buddy of a block is the one that differs in the bit of its order; two free buddies of one
 * order and zone merge. Memory is also cut into pageblocks of 2 MiB, each with a migrate type.
 * Pages that can move, can be reclaimed, or can do neither are kept in pageblocks of their own, so
 * that a few unmovable pages do not spoil every large block. When a type runs out it falls back to
 * the largest block of another type, and takes the whole pageblock over if that seems worth it.
 *
 * I1  A block's head has type PAGE_BUDDY, its order, refcount 0, and `migratetype` = its list.
 * I2  nr_free[order] = length of the order's lists together.
 * I3  Two free buddies never exist apart, unless their order is MAX_ORDER or their zones differ.
 * I4  Heads are exact: if the frame 2^order away from a block being freed is of type BUDDY and of
 *     that order, it is a free head. It cannot be the tail of a larger block, because that block would
 *     contain the one being freed as well. So tails may hold anything, and a split writes new heads only.
 *
 * Lock: zone->lock, interrupts off.
 */
#include "lib/trace.h"
#include "mm/phys/internal.h"

/* ---- policy ---- */

const u8 *buddy_fallbacks(unsigned int migratetype)
{
	static const u8 fallback[][3] = {
		[MIGRATE_UNMOVABLE] = {MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE, NR_MIGRATETYPES},
		[MIGRATE_MOVABLE] = {MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE, NR_MIGRATETYPES},
		[MIGRATE_RECLAIMABLE] = {MIGRATE_UNMOVABLE, MIGRATE_MOVABLE, NR_MIGRATETYPES},
	};

	return fallback[migratetype];
}

/* Unmovable and reclaimable pages spoil a block for long, so they try to fill one of their own
 * rather than sit among others. Movable pages do no harm and take over only what is mostly free
 * anyway. */
bool buddy_may_claim(unsigned int free_order, unsigned int want)
{
	return free_order >= PAGEBLOCK_ORDER / 2 || want != MIGRATE_MOVABLE;
}

bool buddy_should_claim(unsigned int want, unsigned int block_type, unsigned int nr_free,
			unsigned int nr_movable)
{
	const unsigned int whole = 1u << PAGEBLOCK_ORDER;
	unsigned int alike;

	if (want == MIGRATE_MOVABLE)
		alike = nr_movable;
	else /* what is neither free nor movable in a movable block came here by fallback, as we do
	      */
		alike = block_type == MIGRATE_MOVABLE ? whole - nr_free - nr_movable : 0;
	return nr_free + alike >= whole / 2;
}

/* ---- mechanism ---- */

static inline void add_block(struct zone *z, struct page *page, unsigned int order,
			     unsigned int migratetype)
{
	struct free_area *area = &z->free_area[order];

	page_set_state(page, PAGE_STATE(PAGE_BUDDY, order, migratetype, 0));
	list_add(&page->lru, &area->free_list[migratetype]);
	area->nr_free++;
}

static inline void del_block(struct zone *z, struct page *page, unsigned int order)
{
	__list_del(page->lru.prev, page->lru.next);
	z->free_area[order].nr_free--;
}

/* Struct pages lie as their frames do, so the buddy's is found by flipping a bit of the address. */
void buddy_free(struct zone *z, struct page *page, unsigned int order, unsigned int migratetype)
{
	unsigned long at = (unsigned long)page, size = sizeof(struct page) << order;
	const unsigned long map_start = z->map_start, map_bytes = z->map_bytes;
	struct free_area *area = &z->free_area[order];
	u32 free_state = PAGE_STATE(PAGE_BUDDY, order, 0, 0);
	const u64 flags = page->flags;

	for (; order < MAX_ORDER; order++) {
		struct page *buddy = (struct page *)(at ^ size);

		/* Beyond the zone there may be no struct page. */
		if ((unsigned long)buddy - map_start >= map_bytes ||
		    page_type_order(buddy) != free_state ||
		    (buddy->flags ^ flags) >> PAGE_ZONE_SHIFT)
			break;
		__list_del(buddy->lru.prev, buddy->lru.next);
		area->nr_free--;
		at &= ~size;
		size <<= 1;
		area++;
		free_state += PAGE_STATE(0, 1, 0, 0);
	}
	page = (struct page *)at;
	page_set_state(page, free_state | PAGE_STATE(0, 0, migratetype, 0));
	list_add(&page->lru, &area->free_list[migratetype]);
	area->nr_free++;
}

void buddy_free_page(struct zone *z, struct page *page, unsigned int order)
{
	unsigned int type = page_migratetype(z, page);

	if (unlikely(type == MIGRATE_CMA))
		zone_stat_add(z, NR_FREE_CMA, 1l << order);
	buddy_free(z, page, order, type);
}

/* Cut a block that is on no list down to `order`: the upper halves go back. */
static inline void expand(struct zone *z, struct page *page, unsigned int from, unsigned int order,
			  unsigned int migratetype)
{
	u64 flags = page->flags;

	while (from > order) {
		struct page *half;

		from--;
		half = page + (1ul << from);
		half->flags = flags;
		half->mapcount = -1;
		add_block(z, half, from, migratetype);
	}
}

static struct page *take_smallest(struct zone *z, unsigned int order, unsigned int migratetype)
{
	for (unsigned int o = order; o < NR_ORDERS; o++) {
		struct list_head *list = &z->free_area[o].free_list[migratetype];
		struct page *page;

		if (list_empty(list))
			continue;
		page = list_first_entry(list, struct page, lru);
		del_block(z, page, o);
		expand(z, page, o, order, migratetype);
		return page;
	}
	return NULL;
}

/* Walk the pageblock head by head. Its own extent holds at least one free block smaller than
 * itself, so no block reaches across its start. */
static void count_block(pfn_t start, pfn_t end, unsigned int *nr_free, unsigned int *nr_movable)
{
	*nr_free = *nr_movable = 0;
	for (pfn_t pfn = start; pfn < end;) {
		const struct page *p = pfn_to_page(pfn);
		unsigned int n = p->type == PAGE_INVALID ? 1 : 1u << p->order;

		if (p->type == PAGE_BUDDY)
			*nr_free += n;
		else if (p->type == PAGE_ANON || p->type == PAGE_FILE || p->type == PAGE_SHMEM)
			*nr_movable += n;
		pfn += n;
	}
}

/* All free blocks of the pageblock change to the list of `migratetype`. */
static void move_free_blocks(struct zone *z, pfn_t start, pfn_t end, unsigned int migratetype)
{
	for (pfn_t pfn = start; pfn < end;) {
		struct page *p = pfn_to_page(pfn);
		unsigned int n = p->type == PAGE_INVALID ? 1 : 1u << p->order;

		if (p->type == PAGE_BUDDY) {
			p->migratetype = migratetype;
			list_move(&p->lru, &z->free_area[p->order].free_list[migratetype]);
		}
		pfn += n;
	}
}

/* `page` heads a free block of order `order` of another type, still on its list. After this either the pageblock
 * has the wanted type and take_smallest() will find it, or the block stays where it is. */
static bool try_claim(struct zone *z, struct page *page, unsigned int order, unsigned int want)
{
	pfn_t pfn = page_to_pfn(page), start, end;
	unsigned int nr_free, nr_movable;

	if (order >= PAGEBLOCK_ORDER) {
		for (unsigned long i = 0; i < 1ul << order; i += 1ul << PAGEBLOCK_ORDER)
			*pageblock_type(z, page + i) = want;
		page->migratetype = want;
		list_move(&page->lru, &z->free_area[order].free_list[want]);
		count_vm_event(MMVM_BUDDY_STEAL_BLOCK);
		return true;
	}
	start = ALIGN_DOWN(pfn, 1ul << PAGEBLOCK_ORDER);
	end = start + (1ul << PAGEBLOCK_ORDER);
	if (start < z->start_pfn || end > z->start_pfn + z->spanned)
		return false; /* shared with another zone, or cut off by the end of RAM */
	count_block(start, end, &nr_free, &nr_movable);
	if (!buddy_should_claim(want, *pageblock_type(z, page), nr_free, nr_movable))
		return false;
	*pageblock_type(z, page) = want;
	move_free_blocks(z, start, end, want);
	count_vm_event(MMVM_BUDDY_STEAL_BLOCK);
	return true;
}

static struct page *first_of_fallbacks(struct zone *z, unsigned int order, unsigned int want)
{
	for (const u8 *t = buddy_fallbacks(want); *t != NR_MIGRATETYPES; t++) {
		struct list_head *list = &z->free_area[order].free_list[*t];

		if (!list_empty(list))
			return list_first_entry(list, struct page, lru);
	}
	return NULL;
}

/* The largest block is the best to claim: it costs its owner least and serves us longest. What
 * cannot be claimed is taken from the smallest that fits, to leave the large ones whole. */
static struct page *take_fallback(struct zone *z, unsigned int order, unsigned int want)
{
	struct page *page = NULL;
	unsigned int o;

	for (o = MAX_ORDER; (int)o >= (int)order; o--) {
		page = first_of_fallbacks(z, o, want);
		if (page)
			break;
	}
	if (!page)
		return NULL;
	count_vm_event(MMVM_BUDDY_FALLBACK);
	trace_point(STEAL, 0, .pfn = page_to_pfn(page), .arg = want << 8 | page->migratetype,
		    .order = o);
	if (o < PAGEBLOCK_ORDER)
		boost_watermark(z);
	if (buddy_may_claim(o, want) && try_claim(z, page, o, want))
		return take_smallest(z, order, want);
	for (o = order; !(page = first_of_fallbacks(z, o, want)); o++)
		; /* one at o <= where we were */
	del_block(z, page, o);
	expand(z, page, o, order, page->migratetype);
	return page;
}

/* May this allocation use the CMA area? */
static inline bool may_use_cma(const struct zone *z, unsigned int migratetype)
{
	return unlikely(z->cma_pages) && migratetype == MIGRATE_MOVABLE;
}

/* Movable allocations begin with the area while more than half of what is free is there, so that the rest is left
 * to allocations that cannot use it. Otherwise they use it last, before they fall back. */
static inline bool cma_comes_first(const struct zone *z)
{
	return zone_stat(z, NR_FREE_CMA) > zone_stat(z, NR_FREE_PAGES) / 2;
}

static struct page *take_cma(struct zone *z, unsigned int order)
{
	struct page *page = take_smallest(z, order, MIGRATE_CMA);

	if (page)
		zone_stat_add(z, NR_FREE_CMA, -(1l << order));
	return page;
}

struct page *buddy_take(struct zone *z, unsigned int order, unsigned int migratetype)
{
	const bool cma = may_use_cma(z, migratetype);
	struct page *page = cma && cma_comes_first(z) ? take_cma(z, order) : NULL;

	if (!page)
		page = take_smallest(z, order, migratetype);
	if (!page && cma)
		page = take_cma(z, order);
	if (!page)
		page = take_fallback(z, order, migratetype);
	/* I4: before the lock is dropped. Whoever frees the buddy would merge it with a block
	 * that still looks free. */
	if (page)
		page_set_state(page, PAGE_STATE(PAGE_OTHER, order, 0, 0));
	return page;
}

struct page *block_head(pfn_t pfn)
{
	for (int order = MAX_ORDER; order >= 0; order--) {
		pfn_t at = ALIGN_DOWN(pfn, 1ul << order);
		struct page *page = pfn_to_page(at);

		/* RAM may begin within the aligned range: a frame that does not exist covers
		 * nothing. */
		if (!pfn_valid(at) || page->type == PAGE_INVALID || page->order > MAX_ORDER)
			continue;
		if (at + (1ul << page->order) > pfn)
			return page;
	}
	return NULL;
}

unsigned int buddy_isolate(struct zone *z, struct page *page)
{
	const unsigned int order = page->order;

	if (unlikely(page->migratetype == MIGRATE_CMA))
		zone_stat_add(z, NR_FREE_CMA, -(1l << order));
	del_block(z, page, order);
	return order;
}

/* Cut `nr` blocks of `order` from the front of a block of order `from`, nr <= its room; the rest is freed as the
 * largest aligned blocks, to `migratetype`. */
static void cut(struct zone *z, struct page *page, unsigned int from, unsigned int order,
		unsigned int nr, unsigned int migratetype, unsigned int pcp_type,
		struct list_head *list)
{
	const u32 state = PAGE_STATE(PAGE_PCP, order, pcp_type, cpu_id());
	struct page *p = page, *stop = page + ((unsigned long)nr << order);
	struct page *end = page + (1ul << from);
	struct list_head *tail = list->prev;
	const u64 flags = page->flags;

	for (; p < stop; p += 1ul << order) {
		p->flags = flags;
		p->mapcount = -1;
		page_set_state(p, state);
		p->lru.prev = tail;
		tail->next = &p->lru;
		tail = &p->lru;
	}
	tail->next = list;
	list->prev = tail;
	/* Offsets within the block are aligned as the frames are. */
	while (p < end) {
		unsigned int o = __builtin_ctzl(p - page);

		p->flags = flags;
		p->mapcount = -1;
		add_block(z, p, o, migratetype);
		p += 1ul << o;
	}
}

/* From the lists of `from`, for a per-CPU list of `migratetype`. */
static unsigned int take_bulk_of(struct zone *z, unsigned int order, unsigned int nr,
				 unsigned int from, unsigned int migratetype,
				 struct list_head *list)
{
	unsigned int got = 0, o = order;

	while (got < nr) {
		unsigned int n;
		struct page *page;

		/* Whole small blocks first. Nothing is added to a list below order o before the
		 * end. */
		while (o < NR_ORDERS && list_empty(&z->free_area[o].free_list[from]))
			o++;
		if (o == NR_ORDERS)
			break;
		page = list_first_entry(&z->free_area[o].free_list[from], struct page, lru);
		del_block(z, page, o);
		n = min(nr - got, 1u << (o - order));
		cut(z, page, o, order, n, from, migratetype, list);
		got += n;
	}
	return got;
}

static unsigned int take_bulk_cma(struct zone *z, unsigned int order, unsigned int nr,
				  struct list_head *list)
{
	unsigned int got = take_bulk_of(z, order, nr, MIGRATE_CMA, MIGRATE_MOVABLE, list);

	zone_stat_add(z, NR_FREE_CMA, -((s64)got << order));
	return got;
}

unsigned int buddy_take_bulk(struct zone *z, unsigned int order, unsigned int nr,
			     unsigned int migratetype, struct list_head *list)
{
	const bool cma = may_use_cma(z, migratetype);
	unsigned int got = cma && cma_comes_first(z) ? take_bulk_cma(z, order, nr, list) : 0;

	got += take_bulk_of(z, order, nr - got, migratetype, migratetype, list);
	if (got < nr && cma)
		got += take_bulk_cma(z, order, nr - got, list);
	while (got < nr) {
		struct page *page = take_fallback(z, order, migratetype);

		if (!page)
			break;
		cut(z, page, order, order, 1, migratetype, migratetype, list);
		got++;
		/* It may have brought a whole pageblock. */
		got += take_bulk_of(z, order, nr - got, migratetype, migratetype, list);
	}
	return got;
}
