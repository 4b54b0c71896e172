/*
 * ksmd scans the memory that programs have marked, and merges pages of equal contents. The first write to a merged
 * page makes a copy again.
 *
 *   place ──> merged already? ───────────────────────────── yes: next
 *     │       like a merged page (stable tree)? ─────────── yes: map that one
 *     │       as it was in the last pass (hash)? ────────── no: it is being written, next
 *     │       zeroes, with use_zero_pages? ──────────────── yes: map the zero page
 *     └─────> like a page of this pass (unstable tree)? ─── yes: a new merged page, both map it
 *                                                           no: it waits there for the next one
 *
 * It follows Linux's mm/ksm.c, with one difference: a merged page is a copy in a frame of its own, of type KSM, on
 * no LRU list; it is not swapped and does not move (ksm_merge.c, I3). So no reverse map is needed, and an item only
 * records a place.
 *
 * Locks: ksm.h.
 */
#include "lib/string.h"
#include "mm/ksm/internal.h"
#include "mm/reclaim/lru.h"
#include "mm/pgtable/pgtable.h"

static struct wait_queue ksmd_wait = WAIT_QUEUE_INIT(ksmd_wait);
static bool wanted; /* ksmd: look at the settings again */

/* Where the pass is: ksm_mutex. The next item is searched after `pos`, an item or the head of the list. */
static struct {
	struct ksm_slot *slot;
	struct list_head *pos;
	unsigned long addr;
} cursor;

static void begin_slot(struct ksm_slot *slot)
{
	cursor.slot = slot;
	cursor.pos = slot ? &slot->items : NULL;
	cursor.addr = 0;
}

void ksm_scan_leave(struct ksm_slot *slot)
{
	if (cursor.slot == slot)
		begin_slot(ksm_slot_after(slot));
}

void ksm_scan_restart(void)
{
	begin_slot(NULL);
}

/* ---- the pass --------------------------------------------------------------------------------- */

/* Make a merged page for two places that have pages of their own. If that fails, both stay as they are. */
static void merge_two(struct ksm_item *item, struct page *page, struct ksm_item *other,
		      struct page *its)
{
	struct ksm_node *node = NULL;
	struct page *kpage = ksm_new_page(item, page, &node);

	if (!kpage)
		return;
	if (ksm_stable_insert(node) || ksm_merge_one(item, page, kpage))
		goto out;
	if (ksm_merge_one(other, its, kpage)) {
		ksm_break(item);
		goto out;
	}
	ksm_item_untree(other);
	ksm_item_join(item, node);
	ksm_item_join(other, node);
out:
	release_page(kpage);
	ksm_node_prune(
		node); /* only after a failure, and not while the first place maps the page */
}

static void look_at(struct ksm_item *item, struct page *page)
{
	struct ksm_item *other;
	struct ksm_node *node;
	struct page *its;
	u64 hash;

	if (PageKsm(page)) {
		/* A merged page keeps its node while we hold a reference. */
		node = (void *)((unsigned long)page->mapping & ~MMVM_MAPPING_KSM);
		if (item->state == KSM_STABLE && item->node == node)
			return;
		ksm_item_untree(item);
		ksm_item_join(item, node); /* a place of a forked child, or one that was moved */
		return;
	}
	ksm_item_untree(item);
	node = ksm_stable_search(page);
	if (node) {
		if (!ksm_merge_one(item, page, node->page))
			ksm_item_join(item, node);
		release_page(node->page);
		return;
	}
	hash = ksm_hash_page(page);
	if (item->hash != hash) {
		item->hash = hash;
		return;
	}
	if (ksm.use_zero_pages && hash == ksm_hash_of_zeroes &&
	    !ksm_merge_one(item, page, zero_page))
		return;
	other = ksm_unstable_search(item, page, &its);
	if (other) {
		merge_two(item, page, other, its);
		release_page(its);
	}
}

/* The item of a place, made if it is not known; those before it, whose places no longer exist, are freed. */
static struct ksm_item *item_at(unsigned long addr)
{
	struct ksm_slot *slot = cursor.slot;
	struct ksm_item *item;

	while (cursor.pos->next != &slot->items) {
		item = list_entry(cursor.pos->next, struct ksm_item, link);
		if (item->addr > addr)
			break;
		if (item->addr == addr) {
			cursor.pos = &item->link;
			return item;
		}
		ksm_item_free(item);
	}
	item = ksm_item_alloc(slot, addr, cursor.pos);
	if (item)
		cursor.pos = &item->link;
	return item;
}

/* The next page of mm to look at, from cursor.addr on, with a reference. NULL: there is no more. */
static struct page *next_page(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	struct page *page = NULL;

	down_read(&mm->mmap_lock);
	for (vma = find_vma(mm, cursor.addr); vma && !page; vma = vma_next(vma)) {
		unsigned long addr = max(cursor.addr, vma->vm_start), next;

		if (!(vma->flags & VM_MERGEABLE) || !vma->anon_vma)
			continue;
		for (; addr < vma->vm_end && !page; addr = next) {
			unsigned int level;
			pte_t *pte = walk_leaf(mm->pgd, addr, &level, &next);

			next = min(next, vma->vm_end);
			if (!pte || level)
				continue;
			spin_lock(&mm->page_table_lock);
			for (; addr < next; addr += PAGE_SIZE, pte++) {
				if (!ksm_candidate(pte_read(pte)))
					continue;
				page = pfn_to_page(pte_pfn(pte_read(pte)));
				get_page(page);
				cursor.addr = addr;
				break;
			}
			spin_unlock(&mm->page_table_lock);
			cond_resched();
		}
	}
	up_read(&mm->mmap_lock);
	return page;
}

/* All places of the slot have been scanned: free the items after the last one. */
static void end_slot(void)
{
	while (cursor.pos->next != &cursor.slot->items)
		ksm_item_free(list_entry(cursor.pos->next, struct ksm_item, link));
	begin_slot(ksm_slot_after(cursor.slot));
	if (!cursor.slot)
		ksm_counts.full_scans++;
}

static void begin_pass(void)
{
	/* A page in an LRU batch has an extra reference, which would prevent merging. */
	lru_add_drain_all();
	ksm_unstable_reset();
	ksm_prune();
	begin_slot(ksm_slot_after(NULL));
}

/* One place of the cursor's slot. False: it has no more. */
static bool scan_one(struct mm_struct *mm)
{
	struct page *page = next_page(mm);
	struct ksm_item *item;

	if (!page)
		return false;
	item = item_at(cursor.addr);
	if (item) {
		ksm_counts.pages_scanned++;
		look_at(item, page);
	}
	release_page(page);
	cursor.addr += PAGE_SIZE;
	return true;
}

void ksm_scan(u64 pages)
{
	bool began = false;

	mutex_lock(&ksm_mutex);
	ksm_reap();
	while (pages) {
		struct mm_struct *mm;

		if (!cursor.slot) {
			if (began)
				break; /* begin at most one new pass per call: there may be no memory to scan */
			began = true;
			begin_pass();
			if (!cursor.slot)
				break;
		}
		mm = ksm_slot_mm(cursor.slot);
		while (mm && pages && scan_one(mm)) {
			pages--;
			cond_resched();
		}
		if (mm)
			mmput(mm);
		if (pages)
			end_slot();
	}
	mutex_unlock(&ksm_mutex);
}

/* ---- the thread ------------------------------------------------------------------------------- */

void ksm_wake(void)
{
	WRITE_ONCE(wanted, true);
	wake_up(&ksmd_wait);
}

static bool may_scan(void)
{
	return ksm_has_slots() && READ_ONCE(ksm.run) == KSM_RUN_MERGE;
}

static int ksmd(void *arg)
{
	for (;;) {
		struct wait_entry we;
		bool scan = may_scan();

		prepare_to_wait(&ksmd_wait, &we);
		if (!READ_ONCE(wanted)) {
			if (scan)
				schedule_timeout(READ_ONCE(ksm.sleep_millisecs) * 1000000ull);
			else
				schedule();
		}
		finish_wait(&ksmd_wait, &we);
		WRITE_ONCE(wanted, false);
		if (may_scan()) {
			ksm_scan(READ_ONCE(ksm.pages_to_scan));
		} else {
			mutex_lock(&ksm_mutex);
			ksm_reap();
			mutex_unlock(&ksm_mutex);
		}
	}
	return 0;
}

void ksm_start(void)
{
	if (kthread_run(ksmd, NULL, "ksmd"))
		printk("ksm: no memory for its thread\n");
}
