/*
 * Kernel samepage merging: the requests of programs and /sys, and the address spaces that take part. ksmd
 * (ksm_scan.c) scans their pages.
 *
 * I1  Only ksm_reap() frees a slot, after its mm has ended. Until then its items are still counted, also in
 *     pages_shared and pages_sharing; so code that shows the counts calls ksm_reap() first.
 * I2  A VMA without VM_MERGEABLE maps no merged page, unless breaking failed for lack of memory.
 *
 * Locks: ksm.h. Whoever holds mmap_lock may not take ksm_mutex.
 */
#include "lib/errno.h"
#include "mm/ksm/internal.h"
#include "mm/slab/slab.h"
#include "mm/pgtable/pgtable.h"
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
u64 ksm_hash_of_zeroes;				   /* set with them */
static struct mutex cache_mutex = MUTEX_INIT(cache_mutex);

/* ---- slots ------------------------------------------------------------------------------------ */

static void make_caches(void)
{
	mutex_lock(&cache_mutex);
	if (!slot_cache) {
		ksm_tree_init();
		ksm_hash_of_zeroes = mmvm_ksm_hash(page_address(zero_page));
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

struct ksm_item *ksm_item_alloc(struct ksm_slot *slot, unsigned long addr, struct list_head *after)
{
	struct ksm_item *item = kmem_cache_alloc(item_cache, GFP_KERNEL | __GFP_NORETRY);

	if (!item)
		return NULL;
	*item = (struct ksm_item){.slot = slot, .addr = addr};
	list_add(&item->link, after);
	slot->nr_items++;
	ksm_counts.rmap_items++;
	return item;
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

struct ksm_slot *ksm_slot_after(struct ksm_slot *slot)
{
	struct list_head *next;

	spin_lock(&ksm_list_lock);
	next = slot ? slot->link.next : slots.next;
	spin_unlock(&ksm_list_lock);
	return next == &slots ? NULL : list_entry(next, struct ksm_slot, link);
}

bool ksm_has_slots(void)
{
	bool any;

	spin_lock(&ksm_list_lock);
	any = !list_empty(&slots);
	spin_unlock(&ksm_list_lock);
	return any;
}

static struct ksm_slot *find_dead_slot(void)
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
	spin_unlock(&ksm_list_lock);
	return found;
}

static void free_slot(struct ksm_slot *slot)
{
	ksm_scan_leave(slot);
	spin_lock(&ksm_list_lock);
	list_del(&slot->link);
	nr_dead--;
	spin_unlock(&ksm_list_lock);
	free_items(slot);
	kmem_cache_free(slot_cache, slot);
}

void ksm_reap(void)
{
	struct ksm_slot *slot = find_dead_slot();

	if (!slot)
		return;
	for (; slot; slot = find_dead_slot())
		free_slot(slot);
	ksm_prune();
}

/* ---- what programs ask for -------------------------------------------------------------------- */

int ksm_madvise(struct vm_area_struct *vma, unsigned long start, unsigned long end, bool merge,
		unsigned long *flags)
{
	int err;

	if (merge) {
		if (!ksm_may_merge(*flags))
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
	/* A VMA may be merged with its neighbours: then continue after the merged one. */
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

/* ---- settings --------------------------------------------------------------------------------- */

/* Give every place a page of its own again, and free its item. ksm_mutex held. */
static int unmerge_all(void)
{
	struct ksm_slot *slot;
	int err = 0;

	ksm_reap();
	ksm_scan_restart();
	for (slot = ksm_slot_after(NULL); slot && !err; slot = ksm_slot_after(slot)) {
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

int ksm_set_run(u64 run)
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

/* May the settings of the trees change? Only while no page is merged. ksm_mutex held. */
static bool may_change_trees(void)
{
	ksm_reap();
	if (ksm_counts.pages_shared)
		return false;
	ksm_prune();
	return list_empty(&ksm_nodes);
}

int ksm_set_merge_across_nodes(u64 on)
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

s64 ksm_general_profit(const struct ksm_counts *c)
{
	return profit(c->pages_sharing, c->rmap_items);
}

struct ksm_counts ksm_read_counts(void)
{
	struct ksm_counts c;

	mutex_lock(&ksm_mutex);
	ksm_reap();
	c = ksm_counts;
	mutex_unlock(&ksm_mutex);
	return c;
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
