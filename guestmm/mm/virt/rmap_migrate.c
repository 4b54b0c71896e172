/*
 * The reverse map's part of migration: PTEs become migration entries and PTEs again.
 *
 *   PTE ──> old page        entry: old frame, write, A, D        PTE ──> new page
 *            mapcount, ref          neither                              mapcount, ref
 *
 * I1  An entry that names a frame exists only between try_to_migrate() and remove_migration_ptes() of
 *     that frame's page, which is locked all the while.
 * I2  No page is taken for exclusive while some of its PTEs are entries: PG_migrating on the old page
 *     before the first PTE is replaced and on the new page until the last is back (anon_page_exclusive()).
 *     Entries are never copied: fork() waits.
 * I3  remove_migration_ptes() finds every entry. VMAs that hold one are in the trees of the page's
 *     anon_vma or file: they leave after their entries were dropped; entries move between VMAs only
 *     under the locks that the walk holds (mremap.c).
 *
 * Locks: as of rmap.h.
 */
#include "arch/tlb.h"
#include "lib/trace.h"
#include "mm/numa/mempolicy.h"
#include "mm/cache/pagecache.h"
#include "mm/phys/migrate.h"
#include "mm/phys/zone.h"
#include "mm/reclaim/lru.h"
#include "mm/virt/migrate_entry.h"
#include "mm/virt/pgtable.h"
#include "mm/virt/rmap.h"

static enum zone_stat_item mapped_level(const struct page *page)
{
	return PageAnon(page) ? NR_ANON_MAPPED : NR_FILE_MAPPED;
}

static bool entry_one(struct page *page, struct vm_area_struct *vma, unsigned long addr, void *arg)
{
	struct mm_struct *mm = vma->mm;
	bool go_on = true;
	pte_t *pte, old, new;

	spin_lock(&mm->page_table_lock);
	pte = pte_of_page(mm, addr, page);
	if (!pte)
		goto out;
	if (vma->flags & VM_LOCKED) {
		go_on = false;
		goto out;
	}
	old = pte_get_and_clear(pte);
	/* Until then a CPU may read and write the old frame through its TLB. */
	flush_tlb_page(mm, addr);
	if (pte_dirty(old)) {
		if (!PageAnon(page))
			set_page_dirty(page);
		else if (PageSwapCache(page))
			SetPageDirty(page);
	}
	new = swp_entry_to_pte(make_migration_entry(old));
	pte_set(pte, swp_pte_keep(new, old));
	trace_point(UNMAP, addr, .pfn = page_to_pfn(page), .mm = trace_mm_id(mm),
		    .arg = TRACE_UNMAP_MIGRATE);
	if (atomic_sub_return(&page->mapcount, 1) < 0) {
		page_stat_add(page, mapped_level(page), -1);
		go_on = false;
	}
	atomic_sub(&page->refcount, 1); /* the PTE's; the caller holds another */
out:
	spin_unlock(&mm->page_table_lock);
	return go_on;
}

bool try_to_migrate(struct page *page)
{
	rmap_walk(page, entry_one, NULL);
	return !page_mapped(page);
}

static bool restore_one(struct page *page, struct vm_area_struct *vma, unsigned long addr,
			void *arg)
{
	const struct page *src = arg;
	struct mm_struct *mm = vma->mm;
	swp_entry_t e;
	pte_t *pte, new;

	spin_lock(&mm->page_table_lock);
	pte = walk_pte(mm->pgd, addr);
	if (!pte || !pte_is_migration(pte_read(pte)))
		goto out;
	e = pte_to_swp_entry(pte_read(pte));
	if (migration_entry_page(e) != src)
		goto out;
	new = mk_pte(page_to_pfn(page), vma->prot);
	if (swp_offset(e) & MMVM_MIGRATION_YOUNG)
		new = pte_mkyoung(new);
	if (swp_offset(e) & MMVM_MIGRATION_DIRTY)
		new = __pte(new.v | _PAGE_DIRTY); /* soft-dirty only if it was */
	new = __pte(new.v | swp_pte_kept(pte_read(pte)));
	if (is_writable_migration_entry(e) && likely(!pte_uffd_wp(new)))
		new = pte_mkwrite(new);
	get_page(page);
	if (atomic_add_return(&page->mapcount, 1) == 0)
		page_stat_add(page, mapped_level(page), 1);
	/* mlock() came while the PTE was an entry. */
	if (unlikely(vma->flags & VM_LOCKED))
		lru_set_mlocked(page, true);
	if (unlikely(vma->policy))
		mempolicy_note_placement(vma, page);
	trace_point(MAP, addr, .pfn = page_to_pfn(page), .mm = trace_mm_id(mm),
		    .arg = TRACE_MAP_MIGRATE);
	pte_set(pte, new);
out:
	spin_unlock(&mm->page_table_lock);
	return true;
}

void remove_migration_ptes(struct page *src, struct page *dst)
{
	rmap_walk_entries(dst, restore_one, src);
}

struct entry_wait {
	const pte_t *pte;
	u64 entry;
};

static bool entry_gone(void *arg)
{
	const struct entry_wait *w = arg;

	return pte_read(w->pte).v != w->entry;
}

void migration_entry_wait(struct mm_struct *mm, pte_t *pte, pte_t entry)
{
	struct entry_wait w = {pte, entry.v};
	struct page *page = migration_entry_page(pte_to_swp_entry(entry));

	spin_lock(&mm->page_table_lock);
	if (pte_read(pte).v != entry.v) {
		spin_unlock(&mm->page_table_lock);
		return;
	}
	/* No reference: it would keep the page from moving. The entry shows that the page is locked and
	 * will be unlocked after the entry has gone, and then wakes those who set PG_waiters. */
	SetPageWaiters(page);
	spin_unlock(&mm->page_table_lock);
	count_vm_event(MMVM_MIGRATION_WAIT);
	wait_for_unlock(page, entry_gone, &w);
}
