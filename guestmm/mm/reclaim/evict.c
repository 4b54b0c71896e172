/*
 * Eviction: what happens to pages that the policy has isolated. The policy decides which pages to take (judge); the
 * code here takes them.
 *
 *   isolated page ─> used since? ──KEEP──────> PG_referenced, back
 *                         │        ──ACTIVATE──> PG_active, back
 *                         │RECLAIM
 *                         v
 *                    slot in swap, PTEs replaced by its entry; one TLB flush for a batch of 32
 *                         │  dirty ──> write, back to the list; the end of the write calls policy->written
 *                         v  clean
 *                    out of the swap cache, freed
 *
 * Pages of files that were not used are unmapped, too. Clean ones are freed at once and leave a shadow in the tree;
 * dirty ones wait for the flusher. Shared memory moves from its file's tree to swap.
 *
 * I1  Nothing here waits for memory: requests come from a pool, slots from an array, and a thread that reclaims has
 *     TIF_MEMALLOC, so that drivers allocate from the reserves.
 * I2  No page lock is waited for: a locked page is in use, and is skipped.
 * I3  A page leaves memory only if the cache's reference and ours are the only ones
 *     (swap_cache_evict), and only if its slot holds its contents or it was never needed.
 *
 * I4  A page stays locked from the time its entries are cleared until the TLBs are flushed: a CPU may still read
 *     and write it until then, so it may not be written out, compared or freed. Other code that clears, moves or
 *     copies entries first does the pending flush (flush_tlb_batched_pending()).
 *
 * Locks: no spinlock is held on entry. Takes page locks (trylock, up to 32 at a time), then those of
 * rmap, swap and the page cache.
 */
#include "lib/trace.h"
#include "arch/static_key.h"
#include "mm/reclaim/demote.h"
#include "mm/phys/highmem.h"
#include "mm/reclaim/lru.h"
#include "mm/huge/thp.h"
#include "mm/cache/pagecache.h"
#include "arch/tlb.h"
#include "mm/rmap/rmap.h"
#include "mm/memcg/memcg.h"
#include "mm/reclaim/vmscan.h"
#include "mm/zswap/zswap.h"

/* Record that the slot of a page of zeroes has nothing on the disk. Returns whether the page is all zeroes. */
static bool record_zero_page(struct page *page)
{
	swp_entry_t e = {page->private_};
	struct swap_info *si = swap_area(e);
	bool zero = page_range_is_zero(page, 0, PAGE_SIZE);

	/* The slot may hold older contents. Its mark is set or cleared to match the new ones, and an old copy in
	 * zswap is dropped. */
	if (zero || (READ_ONCE(si->map[swp_offset(e)]) & SWAP_MAP_NO_DISK)) {
		spin_lock(&si->lock);
		if (si->zswap)
			zswap_forget(si, swp_offset(e));
		if (zero)
			si->map[swp_offset(e)] |= SWAP_MAP_NO_DISK;
		else
			si->map[swp_offset(e)] &= ~SWAP_MAP_NO_DISK;
		spin_unlock(&si->lock);
	}
	if (zero) {
		ClearPageDirty(page);
		count_vm_event(SWPOUT_ZERO);
		trace_point(SWAP_OUT_ZERO, e.v, .pfn = page_to_pfn(page));
	}
	return zero;
}

enum outcome {
	OUT_FREED,
	OUT_KEEP,
	OUT_ACTIVATE,
	OUT_UNMAPPED,	/* locked, waits for the flush of the batch */
	OUT_WRITING,	/* unlocked already */
	OUT_WRITE_FILE, /* to be written when no page of the batch is locked */
	OUT_DEMOTE,	/* to a slower node, when no page of the batch is locked */
	OUT_SPLIT,	/* a huge page: its single pages are to be looked at */
};

/* Start writing a locked, dirty, unmapped page of a file. It is unlocked, whatever happens. */
static void write_file_page(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	struct writeback_control wbc = {.start = page->index,
					.end = page->index + 1,
					.nr_to_write = 1,
					.for_reclaim = true};

	if (!mapping->ops->writepage || !clear_page_dirty_for_io(page)) {
		unlock_page(page);
		return;
	}
	/* An error is remembered for fsync; the page is dirty again. */
	if (!mapping->ops->writepage(page, &wbc) && mapping->ops->writepages_end)
		mapping->ops->writepages_end(mapping, &wbc);
}

/* Unmap a page; its flush is left to the batch. If some entry cannot be removed, the entries that were cleared are
 * flushed now, and the page is not part of the batch. */
static bool unmap(struct page *page, struct tlb_batch *batch)
{
	if (!page_mapped(page) || try_to_unmap_batched(page, batch))
		return true;
	tlb_batch_flush(batch);
	return false;
}

/* First half, for a locked page: judge it, and if it is to be taken, give it a slot and unmap it. OUT_UNMAPPED: it
 * stays locked until the batch is flushed; then evict_unmapped() takes it. */
static enum outcome unmap_unused(const struct reclaim_policy *policy, struct page *page,
				 struct tlb_batch *batch, struct scan_control *sc)
{
	bool file = page_is_file_lru(page);
	struct page_use use;
	unsigned long vm_flags;
	unsigned int ptes;

	if (PageWriteback(page)) {
		sc->nr_dirty += file;
		return OUT_KEEP;
	}
	ptes = page_referenced(page, &vm_flags);
	if (vm_flags & VM_LOCKED)
		return OUT_ACTIVATE;
	use = (struct page_use){.ptes = ptes,
				.referenced = TestClearPageReferenced(page),
				.file = file,
				.exec = vm_flags & VM_EXEC,
				.active = PageActive(page),
				.policy = READ_ONCE(page->flags) >> PAGE_POLICY_SHIFT &
					  PAGE_POLICY_MASK};
	switch (policy->judge(&use)) {
	case PAGE_KEEP:
		SetPageReferenced(page);
		return OUT_KEEP;
	case PAGE_ACTIVATE:
		return OUT_ACTIVATE;
	case PAGE_RECLAIM:
		break;
	}
	/* Swap takes single pages. */
	if (unlikely(PageHead(page)))
		return OUT_SPLIT;
	if (unlikely(sc->demotes))
		return OUT_DEMOTE;
	/* Its slot cannot be written. If no entry names the slot, the page gets another one. */
	if (PageSwapCache(page) && swap_slot_failed((swp_entry_t){page->private_}))
		try_to_free_swap(page);
	if (PageLazyfree(page) && !PageSwapCache(page) && page_mapped(page)) {
		if (try_to_discard(page) && atomic_cmpxchg(&page->refcount, 1, 0) == 1) {
			count_lruvec_events(page_lruvec(page), PGLAZYFREED, 1);
			return OUT_FREED;
		}
		page_clear_lazyfree(page); /* written again: an ordinary page now */
	}
	if (page_mapping_file(page)) {
		if (file)
			return unmap(page, batch) ? OUT_UNMAPPED : OUT_ACTIVATE;
		/* Shared memory moves to the swap cache; from there on it is treated like anonymous memory. */
		if (!(sc->gfp & __GFP_IO) || !unmap(page, batch) || !shmem_writeout(page))
			return OUT_ACTIVATE;
	}
	if (!PageSwapCache(page)) {
		if (!page_mapped(page))
			return OUT_KEEP; /* its last mapping has just been removed */
		if (!(sc->gfp & __GFP_IO) || !add_to_swap(page))
			return OUT_ACTIVATE; /* swap is full: looking at the page again soon is useless */
	}
	if (!unmap(page, batch)) {
		try_to_free_swap(page);
		return OUT_ACTIVATE;
	}
	return OUT_UNMAPPED;
}

/* Second half, for a locked page whose translations have been flushed from all TLBs. */
static enum outcome evict_unmapped(struct page *page, struct scan_control *sc)
{
	bool clean = !PageDirty(page);

	if (page_mapping_file(page)) {
		if (clean)
			return page_cache_evict(page) ? OUT_FREED : OUT_KEEP;
		/* Disks are slow at scattered single pages, and the flusher writes files in their order. Write here
		 * only if the flusher does not keep up. */
		if (sc->may_writepage && (sc->gfp & __GFP_FS))
			return OUT_WRITE_FILE;
		sc->nr_dirty++;
		return OUT_KEEP;
	}
	if (!PageSwapCache(page))
		return OUT_KEEP; /* truncated meanwhile */
	if (!clean) {
		if (!swap_users((swp_entry_t){page->private_})) {
			/* Its last mapping was removed in the meantime: the contents are not needed. */
			ClearPageDirty(page);
		} else if (!record_zero_page(page) &&
			   !(READ_ONCE(zswap_enabled) && zswap_store(page))) {
			if (!(sc->gfp & __GFP_IO))
				return OUT_KEEP;
			if (mem_cgroup_enabled() && !mem_cgroup_zswap_writeback(page))
				return OUT_ACTIVATE; /* its group may not use the disk for swap */
			if (swap_slot_failed((swp_entry_t){page->private_}))
				return OUT_ACTIVATE; /* the only copy */
			swap_write_page(&sc->writes, page);
			return OUT_WRITING;
		}
	}
	clean = clean && !PageReclaim(page); /* and this thread has not just written it */
	if (!swap_cache_evict(page))
		return OUT_KEEP;
	if (clean)
		count_vm_event(MMVM_SWAP_DROP_CLEAN);
	return OUT_FREED;
}

/* Write the listed pages of files. They are unlocked, because a file system that writes one of them may lock
 * others. Pages that have changed meanwhile are left for the next time. */
static void write_file_pages(struct list_head *pages)
{
	struct page *page;

	list_for_each_entry (page, pages, lru) {
		if (!trylock_page(page))
			continue;
		if (page_mapping_file(page) && PageDirty(page) && !PageWriteback(page) &&
		    !page_mapped(page))
			write_file_page(page);
		else
			unlock_page(page);
	}
}

/* Where pages of a batch end up. */
struct sorted {
	struct list_head *dead, keep, unmapped, write_file, demote;
	struct evict_result *result;
};

/* Unlock a page and put it on the list for its outcome. A page under write is unlocked already. */
static void sort_page(struct page *page, enum outcome what, struct sorted *s)
{
	s64 nr = page_lru_pages(page);

	switch (what) {
	case OUT_UNMAPPED:
		list_add_tail(&page->lru, &s->unmapped);
		return;
	case OUT_FREED:
		ClearPageLocked(page); /* nobody can wait: no references */
		s->result->freed += nr;
		list_add_tail(&page->lru, s->dead);
		return;
	case OUT_WRITE_FILE:
		unlock_page(page);
		list_add(&page->lru, &s->write_file);
		return;
	case OUT_DEMOTE:
		unlock_page(page);
		list_add(&page->lru, &s->demote);
		return;
	case OUT_ACTIVATE:
		SetPageActive(page);
		s->result->activated += nr;
		unlock_page(page);
		break;
	case OUT_KEEP:
		unlock_page(page);
		break;
	case OUT_WRITING:
	case OUT_SPLIT:
		break;
	}
	list_add(&page->lru, &s->keep);
}

/* Split a locked huge page; its pages are looked at next. If it cannot be split, it stays locked. */
static __attribute__((noinline)) enum outcome split_isolated(struct page *page,
							     struct isolated *iso)
{
	if (split_folio((struct folio *)page, &iso->pages))
		return OUT_ACTIVATE;
	if (PageAnon(page))
		count_vm_event(THP_SWPOUT_FALLBACK);
	unlock_page(page);
	list_add_tail(&page->lru, &iso->pages);
	return OUT_SPLIT;
}

/* Up to EVICT_BATCH pages, the last of the list first: one TLB flush serves all of them. */
#define EVICT_BATCH 32u
static void evict_batch(struct isolated *iso, struct sorted *s, struct scan_control *sc)
{
	const struct reclaim_policy *policy = iso->lruvec->policy;
	struct tlb_batch batch;
	struct page *page, *n;

	batch.nr = batch.cpumask = 0;
	for (unsigned int i = 0; i < EVICT_BATCH && !list_empty(&iso->pages); i++) {
		enum outcome what;

		page = list_last_entry(&iso->pages, struct page, lru);
		list_del(&page->lru);
		if (!trylock_page(page)) {
			list_add(&page->lru, &s->keep);
			continue;
		}
		what = unmap_unused(policy, page, &batch, sc);
		if (unlikely(what == OUT_SPLIT))
			what = split_isolated(page, iso);
		if (likely(what != OUT_SPLIT))
			sort_page(page, what, s);
	}
	tlb_batch_flush(&batch);
	list_for_each_entry_safe (page, n, &s->unmapped, lru) {
		list_del(&page->lru);
		sort_page(page, evict_unmapped(page, sc), s);
	}
}

void evict_isolated(struct isolated *iso, struct list_head *dead, struct scan_control *sc,
		    struct evict_result *result)
{
	struct sorted s = {.dead = dead,
			   .keep = LIST_HEAD_INIT(s.keep),
			   .unmapped = LIST_HEAD_INIT(s.unmapped),
			   .write_file = LIST_HEAD_INIT(s.write_file),
			   .demote = LIST_HEAD_INIT(s.demote),
			   .result = result};

	*result = (struct evict_result){0};
	sc->demotes = static_key(KEY_NUMA) && can_demote(iso->lruvec->node, sc);
	while (!list_empty(&iso->pages))
		evict_batch(iso, &s, sc);
	if (unlikely(sc->demotes)) {
		sc->demotes = false;
		result->freed += demote_pages(&s.demote, iso->lruvec, sc);
		/* Pages for which there was no room are judged again and evicted as usual. */
		list_splice_init(&s.demote, &iso->pages);
		while (!list_empty(&iso->pages))
			evict_batch(iso, &s, sc);
	}
	write_file_pages(&s.write_file);
	list_splice_init(&s.write_file, &iso->pages);
	list_splice_init(&s.keep, &iso->pages);
}

/* ---- what has been written ---- */

static bool evict_clean(struct page *page)
{
	if (PageSwapCache(page))
		return swap_cache_evict(page);
	return page_mapping_file(page) && page_is_file_lru(page) && page_cache_evict(page);
}

u64 evict_written(struct list_head *pages, struct list_head *dead)
{
	struct page *page, *n;
	u64 freed = 0;

	list_for_each_entry_safe (page, n, pages, lru) {
		wait_on_page_writeback(page);
		if (page_mapped(page) || !trylock_page(page))
			continue;
		if (!page_mapped(page) && !PageWriteback(page) && !PageDirty(page) &&
		    evict_clean(page)) {
			ClearPageLocked(page);
			list_move_tail(&page->lru, dead);
			freed += page_lru_pages(page);
		} else {
			unlock_page(page);
		}
	}
	return freed;
}
