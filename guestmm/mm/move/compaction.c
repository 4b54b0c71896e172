/*
 * Compaction: two scanners walk a zone towards each other.
 *
 *   start of zone                                                      end of zone
 *   | . X . . X X . . | . . X . X . . . |   ...   | . . . . X . . . | . . . . . . . . |
 *     migration scanner ──>                                     <── free scanner
 *     takes movable pages (X) out of low pageblocks             takes free pages (.) of high ones
 *
 * Pages move from the low end to free pages at the high end, until the scanners meet or the block that
 * is wanted has come into being. What is left at the low end are pages that cannot move, and free
 * blocks that have merged.
 *
 * Where the scanners go: pages are moved out of pageblocks of movable pages, and, when the caller may
 * wait, out of others, too, for what moves out of those stops spoiling them. They are moved only into
 * pageblocks of movable pages. A free block of a whole pageblock or more is never used up.
 *
 * When it is tried: for an allocation of more than one page, once reclaim alone will not do: first
 * without waiting, then waiting for locks. Not when memory is simply short (fragmentation_index() at
 * most extfrag_threshold: reclaim is what helps), nor for a while after it failed: each failure in a row
 * doubles the number of requests that are let go by, up to 64 (I2). kcompactd of each node works for
 * kswapd, which cannot join what it frees, and on its own when memory of a zone is fragmented beyond
 * what compaction_proactiveness allows.
 *
 * I1  Pages the free scanner holds are allocated pages (refcount 1, PAGE_OTHER), in nobody's counts;
 *     free pages that were not used are returned before compact_zone() returns.
 * I2  compact_considered < 1 << compact_defer_shift means: let this request go by. Both are changed
 *     without a lock: a lost count changes when we try again, nothing else.
 *
 * Counters as in Linux: compact_stall direct compactions begun, compact_success and compact_fail their
 * ends, compact_isolated pages taken by either scanner, compact_migrate_scanned and compact_free_scanned
 * pages looked at; compact_daemon_* those of kcompactd.
 */
#include "mm/move/compaction.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/trace.h"
#include "mm/phys/internal.h"
#include "mm/reclaim/lru.h"

#define PAGEBLOCK_PAGES	   (1ul << PAGEBLOCK_ORDER)
#define CLUSTER		   32u /* pages moved in one go */
#define MAX_DEFER_SHIFT	   6
#define PROACTIVE_EVERY_NS 500000000ull
#define WHOLE_ZONE	   (-1)

unsigned int sysctl_compaction_proactiveness; /* 0: kcompactd only when it is asked */
int sysctl_compact_unevictable_allowed = 1;
unsigned int sysctl_extfrag_threshold = 500;

struct compact_control {
	struct zone *zone;
	int order; /* WHOLE_ZONE: until the scanners meet */
	enum zone_type highest;
	enum migrate_mode mode;
	bool proactive, daemon;
	pfn_t migrate_pfn, free_pfn; /* free_pfn: end of what the free scanner has not seen */
	struct list_head free, movable;
	unsigned int nr_free, nr_movable;
	u64 migrate_scanned, free_scanned, isolated, moved;
};

/* ---- policy ----------------------------------------------------------------------------------- */

struct frag_info fragmentation_info(const struct zone *z, unsigned int order)
{
	struct frag_info f = {0};

	for (unsigned int o = 0; o < NR_ORDERS; o++) {
		u64 blocks = READ_ONCE(z->free_area[o].nr_free);

		f.blocks_total += blocks;
		f.free_pages += blocks << o;
		if (o >= order)
			f.blocks_suitable += blocks << (o - order);
	}
	return f;
}

int fragmentation_index(const struct frag_info *f, unsigned int order)
{
	u64 requested = 1ull << order;

	if (order > MAX_ORDER || !f->blocks_total)
		return 0;
	if (f->blocks_suitable)
		return -1000;
	return 1000 - (int)((1000 + f->free_pages * 1000 / requested) / f->blocks_total);
}

int unusable_index(const struct frag_info *f, unsigned int order)
{
	if (!f->free_pages)
		return 1000;
	return (int)((f->free_pages - (f->blocks_suitable << order)) * 1000 / f->free_pages);
}

/* Is there a block already, is there enough free memory to make one, and is that what is missing? */
static enum compact_result suitable(const struct zone *z, int order, enum zone_type highest)
{
	u64 mark = z->watermark[WMARK_LOW];
	struct frag_info f;
	int index;

	if (order == WHOLE_ZONE)
		return COMPACT_COMPLETE;
	if (zone_watermark_ok(z, order, mark, highest, 0))
		return COMPACT_SUCCESS;
	/* While a page moves there are two of it. */
	if (!zone_watermark_ok(z, 0, mark + (2ul << order), highest, 0))
		return COMPACT_SKIPPED;
	f = fragmentation_info(z, order);
	index = fragmentation_index(&f, order);
	if (order > 3 && index >= 0 && index <= (int)sysctl_extfrag_threshold)
		return COMPACT_SKIPPED;
	return COMPACT_COMPLETE; /* worth trying */
}

/* ---- deferral --------------------------------------------------------------------------------- */

static bool deferred(struct zone *z, unsigned int order)
{
	if (order < z->compact_order_failed)
		return false;
	if (++z->compact_considered >= 1u << z->compact_defer_shift) {
		z->compact_considered = 1u << z->compact_defer_shift;
		return false;
	}
	return true;
}

static void defer(struct zone *z, unsigned int order)
{
	z->compact_considered = 0;
	z->compact_defer_shift = min(z->compact_defer_shift + 1, (unsigned int)MAX_DEFER_SHIFT);
	z->compact_order_failed = min(z->compact_order_failed, order);
}

/* Compaction has made a block: up to this order, it is worth trying. */
static void order_works(struct zone *z, unsigned int order)
{
	if (order >= z->compact_order_failed)
		z->compact_order_failed = order + 1;
}

void compaction_defer_reset(struct zone *z, unsigned int order)
{
	z->compact_considered = 0;
	z->compact_defer_shift = 0;
	order_works(z, order);
}

/* ---- the scanners ----------------------------------------------------------------------------- */

/* First frame after `pfn` that is not covered by the same block, as far as can be told. */
static pfn_t skip_block(const struct page *page, pfn_t pfn)
{
	unsigned int order = READ_ONCE(page->order);

	if (page->type == PAGE_INVALID || order > MAX_ORDER || !IS_ALIGNED(pfn, 1ul << order))
		return pfn + 1;
	return pfn + (1ul << order);
}

/* A program that locked its memory may not want to wait in a fault for a page that moves. */
static bool spared(const struct page *page)
{
	return unlikely(PageUnevictable(page)) && !READ_ONCE(sysctl_compact_unevictable_allowed);
}

/* Pages that looked movable. Some may have been taken or freed meanwhile. */
static void take_found(struct compact_control *cc, struct page **found, unsigned int nr)
{
	unsigned int taken = 0;

	for (unsigned int i = 0; i < nr; i++) { /* beyond the one that could not be taken */
		const unsigned int n = lru_isolate_run(found + i, nr - i, &cc->movable);

		taken += n;
		i += n;
	}
	cc->nr_movable += taken;
	cc->isolated += taken;
}

/* Take movable pages of [cc->migrate_pfn, end of its pageblock), up to a cluster. */
static void isolate_migratepages_block(struct compact_control *cc, pfn_t end)
{
	pfn_t pfn = cc->migrate_pfn, exists = 0; /* frames from pfn to there */
	struct page *found[CLUSTER];
	unsigned int nr = 0;

	while (pfn < end && cc->nr_movable + nr < CLUSTER) {
		struct page *page = pfn_to_page(pfn);

		cc->migrate_scanned++;
		if (unlikely(pfn >= exists))
			exists = pfn_valid_until(pfn);
		if (pfn >= exists || page_zone(page) != cc->zone) {
			pfn++;
			continue;
		}
		/* A huge page is as large as the block that we want to make. As in Linux it
		 * stays. */
		if (PageHead(page) || spared(page) || !page_is_movable(page)) {
			pfn = skip_block(page, pfn);
			continue;
		}
		if (likely(!PageMovable(page))) {
			found[nr++] = page;
		} else if (isolate_movable_page(page)) {
			list_add_tail(&page->lru, &cc->movable);
			cc->nr_movable++;
			cc->isolated++;
		}
		pfn++;
	}
	take_found(cc, found, nr);
	cc->migrate_pfn = pfn;
}

static void isolate_migratepages(struct compact_control *cc)
{
	while (cc->migrate_pfn < cc->free_pfn && !cc->nr_movable) {
		pfn_t end = min(ALIGN_DOWN(cc->migrate_pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES,
				cc->free_pfn);
		u8 type;

		if (!pfn_valid(cc->migrate_pfn)) {
			cc->migrate_pfn = end;
			continue;
		}
		type = *pageblock_type(cc->zone, pfn_to_page(cc->migrate_pfn));
		if (type != MIGRATE_MOVABLE && cc->mode == MIGRATE_ASYNC) {
			cc->migrate_pfn = end;
			continue;
		}
		isolate_migratepages_block(cc, end);
	}
}

/* Take the free blocks of one pageblock, apart into pages, until there are enough. */
static void isolate_freepages_block(struct compact_control *cc, pfn_t pfn, pfn_t end)
{
	struct zone *z = cc->zone;
	unsigned long flags = spin_lock_irqsave(&z->lock);
	const struct page *first = block_head(pfn);
	pfn_t exists = 0; /* frames from pfn to there */
	s64 taken = 0;

	/* A block from before reaches into this one: its tails may look like free heads. */
	if (first && page_to_pfn(first) < pfn)
		pfn = page_to_pfn(first) + (1ul << first->order);
	while (pfn < end) {
		struct page *page = pfn_to_page(pfn);
		unsigned int order;

		cc->free_scanned++;
		if (unlikely(pfn >= exists))
			exists = pfn_valid_until(pfn);
		if (unlikely(pfn >= exists)) {
			pfn++;
			continue;
		}
		if (page->type != PAGE_BUDDY || page_zone(page) != z ||
		    page->order >= PAGEBLOCK_ORDER) {
			pfn = skip_block(page, pfn);
			continue;
		}
		order = buddy_isolate(z, page);
		taken += 1l << order;
		for (unsigned int i = 0; i < 1u << order; i++) {
			page[i].flags = page->flags & PAGE_FLAGS_KEPT;
			page[i].mapcount = -1;
			page[i].refcount = 1;
			page[i].mapping = NULL;
			page[i].private_ = 0;
			page_set_state(&page[i], PAGE_STATE(PAGE_OTHER, 0, 0, 0));
			list_add(&page[i].lru, &cc->free);
			trace_point(ALLOC, 0, .pfn = page_to_pfn(&page[i]), .arg = PAGE_OTHER);
		}
		cc->nr_free += 1u << order;
		pfn += 1ul << order;
	}
	spin_unlock_irqrestore(&z->lock, flags);
	zone_stat_add(z, NR_FREE_PAGES, -taken);
	count_vm_events(PGALLOC_DMA + z->type, taken);
	cc->isolated += taken;
}

/* From the end of the zone down, whole pageblocks: the rest of one is kept for the next call. */
static void isolate_freepages(struct compact_control *cc)
{
	while (cc->nr_free < cc->nr_movable && cc->free_pfn > cc->migrate_pfn) {
		pfn_t start = ALIGN_DOWN(cc->free_pfn - 1, PAGEBLOCK_PAGES), end = cc->free_pfn;
		u8 type;

		start = max(start, cc->zone->start_pfn);
		if (start <= cc->migrate_pfn) {
			cc->free_pfn = start; /* they have met */
			break;
		}
		cc->free_pfn = start;
		if (!pfn_valid(start))
			continue;
		type = *pageblock_type(cc->zone, pfn_to_page(start));
		if (type == MIGRATE_MOVABLE)
			isolate_freepages_block(cc, start, end);
	}
}

static struct folio *compaction_alloc(struct folio *src, void *private)
{
	struct compact_control *cc = private;
	struct page *page;

	if (!cc->nr_free)
		isolate_freepages(cc);
	if (!cc->nr_free)
		return NULL;
	page = list_first_entry(&cc->free, struct page, lru);
	list_del(&page->lru);
	cc->nr_free--;
	return (struct folio *)page;
}

static void compaction_free(struct folio *dst, void *private)
{
	struct compact_control *cc = private;

	list_add(&dst->page.lru, &cc->free);
	cc->nr_free++;
}

static void release_free(struct compact_control *cc)
{
	while (cc->nr_free) {
		struct page *page = list_first_entry(&cc->free, struct page, lru);

		list_del(&page->lru);
		cc->nr_free--;
		__free_page(page);
	}
}

/* ---- a zone ----------------------------------------------------------------------------------- */

static enum compact_result compact_finished(const struct compact_control *cc)
{
	if (cc->migrate_pfn >= cc->free_pfn)
		return COMPACT_COMPLETE;
	if (current_thread_info()->flags & TIF_KILLED)
		return COMPACT_CONTENDED;
	if (cc->order == WHOLE_ZONE)
		return COMPACT_SKIPPED; /* go on */
	return zone_watermark_ok(cc->zone, cc->order, cc->zone->watermark[WMARK_LOW], cc->highest,
				 0)
		       ? COMPACT_SUCCESS
		       : COMPACT_SKIPPED;
}

static enum compact_result compact_zone(struct compact_control *cc)
{
	struct zone *z = cc->zone;
	enum compact_result ret = suitable(z, cc->order, cc->highest);
	pfn_t block;

	if (ret != COMPACT_COMPLETE)
		return ret;
	trace_point(COMPACT_BEGIN, cc->mode, .arg = z->index,
		    .order = cc->order == WHOLE_ZONE ? NR_ORDERS : cc->order);
	INIT_LIST_HEAD(&cc->free);
	INIT_LIST_HEAD(&cc->movable);
	cc->nr_free = cc->nr_movable = 0;
	cc->migrate_pfn = z->start_pfn;
	cc->free_pfn = z->start_pfn + z->spanned;
	/* Pages in batches are on no LRU list, and free pages in per-CPU lists do not merge. */
	lru_add_drain_all();
	drain_all_pages();
	while ((ret = compact_finished(cc)) == COMPACT_SKIPPED) {
		unsigned int moved = 0;
		int err;

		block = cc->migrate_pfn >> max(cc->order, (int)PAGEBLOCK_ORDER);
		isolate_migratepages(cc);
		if (!cc->nr_movable)
			continue;
		err = migrate_pages(&cc->movable, compaction_alloc, compaction_free, cc, cc->mode,
				    MR_COMPACTION, &moved);
		cc->moved += moved;
		putback_movable_pages(&cc->movable);
		cc->nr_movable = 0;
		if (err == -ENOMEM && cc->free_pfn <= cc->migrate_pfn) {
			ret = COMPACT_COMPLETE;
			break;
		}
		/* A block may have become free: its last pages are still in this CPU's list. */
		if (cc->migrate_pfn >> max(cc->order, (int)PAGEBLOCK_ORDER) != block)
			drain_local_pages();
		cond_resched();
	}
	release_free(cc);
	drain_all_pages();
	if (ret == COMPACT_COMPLETE && cc->order != WHOLE_ZONE &&
	    zone_watermark_ok(z, cc->order, z->watermark[WMARK_LOW], cc->highest, 0))
		ret = COMPACT_SUCCESS;
	trace_point(COMPACT_END, cc->moved, .arg = ret);
	count_vm_events(COMPACTMIGRATE_SCANNED, cc->migrate_scanned);
	count_vm_events(COMPACTFREE_SCANNED, cc->free_scanned);
	count_vm_events(COMPACTISOLATED, cc->isolated);
	if (cc->daemon) {
		count_vm_events(KCOMPACTD_MIGRATE_SCANNED, cc->migrate_scanned);
		count_vm_events(KCOMPACTD_FREE_SCANNED, cc->free_scanned);
	}
	return ret;
}

enum compact_result try_to_compact_pages(pg_data_t *node, gfp_t gfp, unsigned int order,
					 enum migrate_mode mode)
{
	enum zone_type highest = gfp_zone(gfp);
	enum compact_result best = COMPACT_SKIPPED;
	u32 *flags = &current_thread_info()->flags;

	/* The caller may hold page locks. It must not wait for its own (migrate.c), nor reclaim. */
	atomic_or(flags, TIF_MEMALLOC);
	for (struct zone **zp = node->zonelist; *zp; zp++) {
		struct compact_control cc = {
			.zone = *zp, .order = (int)order, .highest = highest, .mode = mode};
		enum compact_result ret;

		if ((*zp)->type > highest)
			continue;
		if ((gfp & __GFP_THISNODE) && (*zp)->node != node)
			break;
		if (deferred(*zp, order)) {
			best = max(best, (enum compact_result)COMPACT_DEFERRED);
			continue;
		}
		ret = compact_zone(&cc);
		best = max(best, ret);
		if (ret == COMPACT_SUCCESS) {
			order_works(*zp, order);
			break;
		}
		if (mode != MIGRATE_ASYNC && ret == COMPACT_COMPLETE)
			defer(*zp, order);
		if (ret == COMPACT_CONTENDED)
			break;
	}
	atomic_and(flags, ~(u32)TIF_MEMALLOC);
	return best;
}

/* ---- a node, and kcompactd -------------------------------------------------------------------- */

/* Somebody has asked for it, or kcompactd does it on its own. */
enum compact_node_why { COMPACT_ASKED, COMPACT_PROACTIVE };

static void compact_node(pg_data_t *node, enum compact_node_why why)
{
	bool proactive = why == COMPACT_PROACTIVE;

	for (unsigned int t = 0; t < MAX_NR_ZONES; t++) {
		struct compact_control cc = {.zone = &node->zones[t],
					     .order = WHOLE_ZONE,
					     .highest = MAX_NR_ZONES - 1,
					     .mode = proactive ? MIGRATE_SYNC_LIGHT : MIGRATE_SYNC,
					     .proactive = proactive,
					     .daemon = proactive};

		if (cc.zone->managed)
			compact_zone(&cc);
	}
}

void compact_memory(void)
{
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++)
		if (node_data[i].present)
			compact_node(&node_data[i], COMPACT_ASKED);
}

/* How far a node is from having its free memory in blocks of 2 MiB, 0..100: each zone's unusable index,
 * by its share of the node. */
static unsigned int fragmentation_score(const pg_data_t *node)
{
	u64 score = 0, present = 0;

	for (unsigned int t = 0; t < MAX_NR_ZONES; t++) {
		const struct zone *z = &node->zones[t];
		struct frag_info f;

		if (!z->managed)
			continue;
		f = fragmentation_info(z, PAGEBLOCK_ORDER);
		score += unusable_index(&f, PAGEBLOCK_ORDER) / 10 * z->present;
		present += z->present;
	}
	return present ? score / present : 0;
}

/* Proactive work begins above the high mark; Linux's: low = 100 - proactiveness, high = low + 10. */
static unsigned int score_mark(void)
{
	unsigned int low = 100 - min(sysctl_compaction_proactiveness, 95u);

	return min(low + 10, 100u);
}

struct kcompactd {
	struct wait_queue wait;
	bool wanted;
	unsigned int order;
	enum zone_type highest;
	u32 skip; /* proactive looks to be left out after one that did not help */
};
static struct kcompactd kcompactds[MMVM_MAX_NODES];

/* Work for kswapd: each zone up to `highest`, for a block of the order. */
static void kcompactd_do_work(pg_data_t *node, unsigned int order, enum zone_type highest)
{
	count_vm_event(KCOMPACTD_WAKE);
	for (unsigned int t = 0; t <= highest; t++) {
		struct compact_control cc = {.zone = &node->zones[t],
					     .order = (int)order,
					     .highest = highest,
					     .mode = MIGRATE_SYNC_LIGHT,
					     .daemon = true};
		enum compact_result ret;

		if (!cc.zone->managed || deferred(cc.zone, order))
			continue;
		ret = compact_zone(&cc);
		if (ret == COMPACT_SUCCESS)
			order_works(cc.zone, order);
		else if (ret == COMPACT_COMPLETE)
			defer(cc.zone, order);
	}
}

static void kcompactd_look(pg_data_t *node, struct kcompactd *k)
{
	unsigned int before = fragmentation_score(node);

	if (k->skip) {
		k->skip--;
		return;
	}
	if (before <= score_mark())
		return;
	compact_node(node, COMPACT_PROACTIVE);
	if (fragmentation_score(node) >= before)
		k->skip = 1u << MAX_DEFER_SHIFT;
}

static int kcompactd(void *arg)
{
	pg_data_t *node = arg;
	struct kcompactd *k = &kcompactds[node->id];

	for (;;) {
		if (sysctl_compaction_proactiveness) {
			u64 left = PROACTIVE_EVERY_NS;

			left = wait_event_timeout(&k->wait, READ_ONCE(k->wanted), left);
			if (!left && !READ_ONCE(k->wanted)) {
				kcompactd_look(node, k);
				continue;
			}
		} else {
			wait_event(&k->wait, READ_ONCE(k->wanted));
		}
		trace_point(KCOMPACTD_WAKE, 0);
		WRITE_ONCE(k->wanted, false);
		if (k->order)
			kcompactd_do_work(node, k->order, k->highest);
		k->order = 0;
		k->highest = 0;
		trace_point(KCOMPACTD_SLEEP, 0);
	}
	return 0;
}

void wakeup_kcompactd(pg_data_t *node, unsigned int order, enum zone_type highest)
{
	struct kcompactd *k = &kcompactds[node->id];

	if (!order)
		return;
	k->order = max(k->order, order);
	k->highest = max(k->highest, highest);
	WRITE_ONCE(k->wanted, true);
	wake_up(&k->wait);
}

void compaction_proactiveness_changed(void)
{
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		if (!node_data[i].present)
			continue;
		kcompactds[i].skip = 0;
		WRITE_ONCE(kcompactds[i].wanted,
			   true); /* with order 0: only to look at the timer */
		wake_up(&kcompactds[i].wait);
	}
}

int kcompactd_init(void)
{
	char name[16];
	int err;

	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++)
		wait_queue_init(&kcompactds[i].wait);
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		if (!node_data[i].present)
			continue;
		ksnprintf(name, sizeof(name), "kcompactd%u", i);
		err = kthread_run(kcompactd, &node_data[i], name);
		if (err)
			return err;
	}
	return 0;
}
