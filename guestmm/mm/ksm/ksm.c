/*
 * Kernel samepage merging: ksmd goes round the memory that programs have named, and makes pages of equal
 * contents one page, copied again by the first write.
 *
 *   place ──> merged already? ───────────────────────────── yes: next
 *     │       like a merged page (stable tree)? ─────────── yes: map that one
 *     │       as it was in the last pass (hash)? ────────── no: it is being written, next
 *     │       zeroes, with use_zero_pages? ──────────────── yes: map the zero page
 *     └─────> like a page of this pass (unstable tree)? ─── yes: a new merged page, both map it
 *                                                           no: it waits there for the next one
 *
 * After Linux's mm/ksm.c. Different: a merged page is a copy in a frame of its own, of type KSM, on no LRU
 * list: it is not swapped and does not move (ksm_merge.c, I3). So nobody needs its reverse map, and an item is
 * only a place that is remembered.
 *
 * I1  A slot is freed only by ksm_reap(), after its mm has ended. Between the end and that its items are counted,
 *     and pages_shared and pages_sharing with them; who shows the counts reaps first.
 * I2  A VMA without VM_MERGEABLE maps no merged page, unless breaking failed for lack of memory.
 *
 * Locks: ksm.h. Whoever holds mmap_lock may not take ksm_mutex.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/ksm/internal.h"
#include "mm/reclaim/lru.h"
#include "mm/slab/slab.h"
#include "mm/virt/pgtable.h"
#include "mmvm/audit.h"

struct ksm_settings ksm = {
	.pages_to_scan = 100,
	.sleep_millisecs = 20,
	.merge_across_nodes = 1,
	.max_page_sharing = 256,
};
struct ksm_counts ksm_counts;
struct mutex ksm_mutex = MUTEX_INIT(ksm_mutex);
spinlock_t ksm_list_lock = SPINLOCK_INIT;

static LIST_HEAD(slots);			   /* ksm_list_lock */
static u32 nr_dead;				   /* ksm_list_lock: slots whose mm has ended */
static struct kmem_cache *slot_cache, *item_cache; /* made before the first slot */
static struct mutex cache_mutex = MUTEX_INIT(cache_mutex);

static struct wait_queue ksmd_wait = WAIT_QUEUE_INIT(ksmd_wait);
static bool wanted; /* ksmd: look at the settings again */

/* Where the pass is: ksm_mutex. `pos` is the item, or the head, after which the next one is looked for. */
static struct {
	struct ksm_slot *slot;
	struct list_head *pos;
	unsigned long addr;
} cursor;

/* ---- slots ------------------------------------------------------------------------------------ */

static void make_caches(void)
{
	mutex_lock(&cache_mutex);
	if (!slot_cache) {
		ksm_tree_init();
		item_cache = kmem_cache_create("ksm_item", sizeof(struct ksm_item), 8,
					       SLAB_PANIC | SLAB_KEPT, NULL);
		slot_cache = kmem_cache_create("ksm_slot", sizeof(struct ksm_slot), 8,
					       SLAB_PANIC | SLAB_KEPT, NULL);
	}
	mutex_unlock(&cache_mutex);
}

/* mmap_lock for writing. */
static int enter(struct mm_struct *mm)
{
	struct ksm_slot *slot;

	if (mm->ksm)
		return 0;
	make_caches();
	slot = kmem_cache_alloc(slot_cache, GFP_KERNEL);
	if (!slot)
		return -ENOMEM;
	*slot = (struct ksm_slot){.mm = mm};
	INIT_LIST_HEAD(&slot->items);
	spin_lock(&ksm_list_lock);
	list_add_tail(&slot->link, &slots);
	WRITE_ONCE(mm->ksm, slot);
	spin_unlock(&ksm_list_lock);
	ksm_wake();
	return 0;
}

void __ksm_exit(struct mm_struct *mm)
{
	spin_lock(&ksm_list_lock);
	mm->ksm->mm = NULL;
	mm->ksm = NULL;
	nr_dead++;
	spin_unlock(&ksm_list_lock);
	ksm_wake(); /* to reap */
}

void ksm_item_free(struct ksm_item *item)
{
	ksm_item_untree(item);
	list_del(&item->link);
	item->slot->nr_items--;
	ksm_counts.rmap_items--;
	kmem_cache_free(item_cache, item);
}

static void free_items(struct ksm_slot *slot)
{
	struct ksm_item *item, *n;

	list_for_each_entry_safe (item, n, &slot->items, link)
		ksm_item_free(item);
}

static struct ksm_slot *take_dead_slot(void)
{
	struct ksm_slot *slot, *found = NULL;

	spin_lock(&ksm_list_lock);
	if (nr_dead) {
		list_for_each_entry (slot, &slots, link) {
			if (!slot->mm) {
				found = slot;
				break;
			}
		}
	}
	if (found) {
		/* The pass goes on with the one after it. */
		if (cursor.slot == found) {
			cursor.slot = found->link.next == &slots
					      ? NULL
					      : list_entry(found->link.next, struct ksm_slot, link);
			cursor.pos = cursor.slot ? &cursor.slot->items : NULL;
			cursor.addr = 0;
		}
		list_del(&found->link);
		nr_dead--;
	}
	spin_unlock(&ksm_list_lock);
	return found;
}

void ksm_reap(void)
{
	struct ksm_slot *slot;

	bool any = false;

	while ((slot = take_dead_slot())) {
		free_items(slot);
		kmem_cache_free(slot_cache, slot);
		any = true;
	}
	if (any)
		ksm_prune();
}

/* ---- what programs ask for -------------------------------------------------------------------- */

static bool may_merge(unsigned long flags)
{
	return !(flags & (VM_SHARED | VM_MAYSHARE | VM_HUGETLB));
}

int ksm_madvise(struct vm_area_struct *vma, unsigned long start, unsigned long end, bool merge,
		unsigned long *flags)
{
	int err;

	if (merge) {
		if (!may_merge(*flags))
			return 0;
		err = enter(vma->mm);
		if (!err)
			*flags |= VM_MERGEABLE;
		return err;
	}
	if (!(*flags & VM_MERGEABLE))
		return 0;
	err = vma->anon_vma ? ksm_break_range(vma, start, end) : 0;
	if (!err)
		*flags &= ~VM_MERGEABLE;
	return err;
}

int ksm_set_merge_any(struct mm_struct *mm, bool on)
{
	struct vm_area_struct *vma;
	int err = 0;

	down_write(&mm->mmap_lock);
	if (mm->merge_any == on)
		goto out;
	if (on) {
		err = enter(mm);
		if (err)
			goto out;
	}
	/* A VMA may join with its neighbours: then the list goes on after the whole. */
	for (vma = find_vma(mm, 0); vma && !err; vma = vma_next(vma)) {
		unsigned long flags = vma->flags;

		err = ksm_madvise(vma, vma->vm_start, vma->vm_end, on, &flags);
		if (!err && flags != vma->flags)
			err = vma_modify_flags(&vma, vma->vm_start, vma->vm_end, flags);
	}
	if (!err)
		mm->merge_any = on;
out:
	up_write(&mm->mmap_lock);
	return err;
}

int ksm_fork(struct mm_struct *mm, const struct mm_struct *oldmm)
{
	mm->merge_any = oldmm->merge_any;
	return oldmm->ksm ? enter(mm) : 0;
}

int ksm_execve(struct mm_struct *mm, const struct mm_struct *oldmm)
{
	mm->merge_any = oldmm->merge_any;
	return mm->merge_any ? enter(mm) : 0;
}

/* ---- the pass --------------------------------------------------------------------------------- */

/* Two places with pages of their own: make a merged page that both map. False: they stay as they are. */
static bool merge_two(struct ksm_item *item, struct page *page, struct ksm_item *other,
		      struct page *its)
{
	struct ksm_node *node = NULL;
	struct page *kpage = ksm_new_page(item, page, &node);
	bool merged = false;

	if (!kpage)
		return false;
	if (ksm_stable_insert(node)) {
		release_page(kpage);
		ksm_node_free(node);
		return false;
	}
	if (ksm_merge_one(item, page, kpage))
		goto out;
	if (ksm_merge_one(other, its, kpage)) {
		ksm_break(item);
		goto out;
	}
	ksm_item_untree(other);
	ksm_item_join(item, node);
	ksm_item_join(other, node);
	merged = true;
out:
	release_page(kpage);
	if (merged)
		return true;
	kpage = ksm_node_get(node);
	if (kpage)
		release_page(kpage); /* the first place could not be given a page of its own */
	else
		ksm_node_free(node);
	return false;
}

static void look_at(struct ksm_item *item, struct page *page)
{
	struct ksm_item *other;
	struct ksm_node *node;
	struct page *its;
	u64 hash;

	if (PageKsm(page)) {
		/* A merged page has a node for as long as we hold it. */
		node = (void *)((unsigned long)page->mapping & ~MMVM_MAPPING_KSM);
		if (item->state == KSM_STABLE && item->node == node)
			return;
		ksm_item_untree(item);
		ksm_item_join(item, node); /* a child's, or moved */
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
	hash = mmvm_ksm_hash(page_address(page));
	if (item->hash != hash) {
		item->hash = hash;
		return;
	}
	if (ksm.use_zero_pages && hash == mmvm_ksm_hash(page_address(zero_page)) &&
	    !ksm_merge_one(item, page, zero_page))
		return;
	other = ksm_unstable_search(item, page, &its);
	if (other) {
		merge_two(item, page, other, its);
		release_page(its);
	}
}

/* The item of a place, made if it is not known; those before it, whose places have gone, are freed. */
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
	item = kmem_cache_alloc(item_cache, GFP_KERNEL | __GFP_NORETRY);
	if (!item)
		return NULL;
	*item = (struct ksm_item){.slot = slot, .addr = addr};
	list_add(&item->link, cursor.pos);
	cursor.pos = &item->link;
	slot->nr_items++;
	ksm_counts.rmap_items++;
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

static struct ksm_slot *slot_after(struct ksm_slot *slot)
{
	struct list_head *next;

	spin_lock(&ksm_list_lock);
	next = slot ? slot->link.next : slots.next;
	spin_unlock(&ksm_list_lock);
	return next == &slots ? NULL : list_entry(next, struct ksm_slot, link);
}

static void begin_slot(struct ksm_slot *slot)
{
	cursor.slot = slot;
	cursor.pos = slot ? &slot->items : NULL;
	cursor.addr = 0;
}

/* All of the slot's places have been seen: those after the last one have gone. */
static void end_slot(void)
{
	while (cursor.pos->next != &cursor.slot->items)
		ksm_item_free(list_entry(cursor.pos->next, struct ksm_item, link));
	begin_slot(slot_after(cursor.slot));
	if (!cursor.slot)
		ksm_counts.full_scans++;
}

static void begin_pass(void)
{
	/* A page in a batch has a reference too many. */
	lru_add_drain_all();
	ksm_unstable_reset();
	ksm_prune();
	begin_slot(slot_after(NULL));
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
				break; /* at most one beginning: there may be nothing to scan */
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

/* ---- settings --------------------------------------------------------------------------------- */

/* Every place gets a page of its own, and is forgotten. ksm_mutex held. */
static int unmerge_all(void)
{
	struct ksm_slot *slot;
	int err = 0;

	ksm_reap();
	begin_slot(NULL);
	for (slot = slot_after(NULL); slot && !err; slot = slot_after(slot)) {
		struct mm_struct *mm = ksm_slot_mm(slot);
		struct vm_area_struct *vma;

		if (!mm)
			continue;
		down_read(&mm->mmap_lock);
		for (vma = find_vma(mm, 0); vma && !err; vma = vma_next(vma))
			if ((vma->flags & VM_MERGEABLE) && vma->anon_vma)
				err = ksm_break_range(vma, vma->vm_start, vma->vm_end);
		up_read(&mm->mmap_lock);
		mmput(mm);
		if (!err)
			free_items(slot);
	}
	ksm_unstable_reset();
	ksm_prune();
	return err;
}

int ksm_set_run(enum ksm_run run)
{
	int err = 0;

	mutex_lock(&ksm_mutex);
	if (ksm.run != run) {
		make_caches();
		WRITE_ONCE(ksm.run, run);
		if (run == KSM_RUN_UNMERGE)
			err = unmerge_all();
		if (err)
			WRITE_ONCE(ksm.run, KSM_RUN_STOP);
	}
	mutex_unlock(&ksm_mutex);
	ksm_wake();
	return err;
}

/* Nothing is merged: then how the trees are made may change. ksm_mutex held. */
static bool may_change_trees(void)
{
	ksm_reap();
	if (ksm_counts.pages_shared)
		return false;
	ksm_prune();
	return list_empty(&ksm_nodes);
}

int ksm_set_merge_across_nodes(bool on)
{
	int err = 0;

	mutex_lock(&ksm_mutex);
	if (ksm.merge_across_nodes != on) {
		if (!may_change_trees()) {
			err = -EBUSY;
		} else {
			ksm.merge_across_nodes = on;
			ksm_unstable_reset();
		}
	}
	mutex_unlock(&ksm_mutex);
	return err;
}

int ksm_set_max_page_sharing(u64 max)
{
	int err = 0;

	mutex_lock(&ksm_mutex);
	if (ksm.max_page_sharing != max) {
		if (may_change_trees())
			ksm.max_page_sharing = max;
		else
			err = -EBUSY;
	}
	mutex_unlock(&ksm_mutex);
	return err;
}

static s64 profit(u64 sharing, u64 items)
{
	return (s64)(sharing * PAGE_SIZE) - (s64)(items * sizeof(struct ksm_item));
}

s64 ksm_general_profit(void)
{
	return profit(ksm_counts.pages_sharing, ksm_counts.rmap_items);
}

struct ksm_mm_counts ksm_mm_counts(const struct mm_struct *mm)
{
	struct ksm_mm_counts c = {0};

	mutex_lock(&ksm_mutex);
	if (mm->ksm) {
		c.rmap_items = mm->ksm->nr_items;
		c.merging_pages = mm->ksm->nr_merged;
		c.profit = profit(c.merging_pages, c.rmap_items);
	}
	mutex_unlock(&ksm_mutex);
	return c;
}

/* ---- the thread ------------------------------------------------------------------------------- */

void ksm_wake(void)
{
	WRITE_ONCE(wanted, true);
	wake_up(&ksmd_wait);
}

static bool slots_exist(void)
{
	bool any;

	spin_lock(&ksm_list_lock);
	any = !list_empty(&slots);
	spin_unlock(&ksm_list_lock);
	return any;
}

static int ksmd(void *arg)
{
	for (;;) {
		struct wait_entry we;
		bool scan = READ_ONCE(ksm.run) == KSM_RUN_MERGE && slots_exist();

		prepare_to_wait(&ksmd_wait, &we);
		if (!READ_ONCE(wanted)) {
			if (scan)
				schedule_timeout(READ_ONCE(ksm.sleep_millisecs) * 1000000ull);
			else
				schedule();
		}
		finish_wait(&ksmd_wait, &we);
		WRITE_ONCE(wanted, false);
		if (READ_ONCE(ksm.run) == KSM_RUN_MERGE && slots_exist()) {
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

void ksm_audit_layout(struct mmvm_audit_ksm_layout *l)
{
	*l = (struct mmvm_audit_ksm_layout){
		.nodes_gva = (u64)(unsigned long)&ksm_nodes,
		.shared_gva = (u64)(unsigned long)&ksm_counts.pages_shared,
		.sharing_gva = (u64)(unsigned long)&ksm_counts.pages_sharing,
		.link_offset = offsetof(struct ksm_node, all),
		.page_offset = offsetof(struct ksm_node, page),
		.hash_offset = offsetof(struct ksm_node, hash),
		.nr_offset = offsetof(struct ksm_node, nr),
	};
}
