/*
 * The reverse map's part of migration: PTEs become migration entries and PTEs again.
 *
 *   PTE ──> old page        entry: old frame, write, A, D        PTE ──> new page
 *            mapcount, ref          neither                              mapcount, ref
 *
 * A huge page that moves as a whole has an entry for each PMD, and for each PTE where a VMA maps it by PTEs
 * (migrate_entry.h). A PMD's entry may become 512 of PTEs meanwhile.
 *
 * Most pages are anonymous ones that a single PTE maps. Such a page needs no entry: its frame changes under the locks of
 * the walk, with the PTE empty in between. A fault that has read the empty PTE looks at it again under page_table_lock.
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
#include "mm/huge/thp.h"
#include "mm/memcg/memcg.h"
#include "mm/move/migrate.h"
#include "mm/phys/highmem.h"
#include "mm/phys/zone.h"
#include "mm/reclaim/lru.h"
#include "mm/rmap/migrate_entry.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

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
	old = pte_get_and_clear(pte);
	/* Before the flush a CPU may read and write the old frame through its TLB. */
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

/* ---- without entries -------------------------------------------------------------------------- */

struct exclusive_move {
	struct page *dst;
	bool done;
};

/* P and root->lock held: src's contents, its mapping and its charge are dst's from now on. */
static void become(struct page *dst, struct page *src)
{
	copy_highpage(dst, src);
	atomic_sub(&src->mapcount, 1);
	page_stat_add(src, NR_ANON_MAPPED, -1);
	mem_cgroup_migrate(src, dst);
	get_page(dst);
	atomic_add(&dst->mapcount, 1);
	page_stat_add(dst, NR_ANON_MAPPED, 1);
	atomic_sub(&src->refcount, 1); /* the PTE's; the caller holds another */
}

static bool move_one(struct page *src, struct vm_area_struct *vma, unsigned long addr, void *arg)
{
	struct exclusive_move *x = arg;
	struct mm_struct *mm = vma->mm;
	pte_t *pte, old;

	spin_lock(&mm->page_table_lock);
	pte = pte_of_page(mm, addr, src);
	if (!pte) {
		spin_unlock(&mm->page_table_lock);
		return true;
	}
	/* mlock(2) may have marked src already; a hint's PTE gets its rights back. Both need more than is done here. */
	if ((vma->flags & VM_LOCKED) || pte_protnone(pte_read(pte)))
		goto out;
	old = pte_get_and_clear(pte);
	flush_tlb_page(mm, addr); /* from here on nobody writes to the old frame through a TLB */
	if (page_ref_count(src) != 2 || page_mapcount(src) != 1) {
		pte_set(pte, old);
		goto out;
	}
	become(x->dst, src);
	if (unlikely(vma->policy))
		mempolicy_note_placement(vma, x->dst);
	trace_point(UNMAP, addr, .pfn = page_to_pfn(src), .mm = trace_mm_id(mm),
		    .arg = TRACE_UNMAP_MIGRATE);
	trace_point(MAP, addr, .pfn = page_to_pfn(x->dst), .mm = trace_mm_id(mm),
		    .arg = TRACE_MAP_MIGRATE);
	count_vm_event(PGMIGRATE_SUCCESS); /* before others find it in its new frame */
	pte_set(pte, mk_pte(page_to_pfn(x->dst), old.v & ~PTE_PFN_MASK));
	x->done = true;
out:
	spin_unlock(&mm->page_table_lock);
	return false; /* there is only one */
}

bool rmap_move_exclusive(struct page *src, struct page *dst)
{
	struct exclusive_move x = {dst, false};

	rmap_walk_anon(src, move_one, &x);
	return x.done;
}

/* What the VMA has of the folio; *end is where it ends. The folio may begin before the VMA. */
static unsigned long folio_part(const struct folio *folio, const struct vm_area_struct *vma,
				unsigned long *end)
{
	unsigned long first = max((unsigned long)folio->page.index, vma->pgoff);
	unsigned long last =
		min(folio->page.index + folio_nr_pages(folio), vma->pgoff + vma_pages(vma));

	*end = vma->vm_start + ((last - vma->pgoff) << PAGE_SHIFT);
	return vma->vm_start + ((first - vma->pgoff) << PAGE_SHIFT);
}

/* What becomes of the leaves that map a large folio, or whose entries stand for it. P held. `src` is the page that the
 * entries name; NULL while they are made. */
struct leaf_work {
	void (*pmd)(struct folio *folio, const struct page *src, struct vm_area_struct *vma,
		    unsigned long addr, pte_t *pmd);
	/* n PTEs of one table */
	void (*ptes)(struct folio *folio, const struct page *src, struct vm_area_struct *vma,
		     unsigned long addr, pte_t *pte, unsigned long n);
};

static __always_inline void walk_large(const struct leaf_work *work, struct folio *folio,
				       const struct page *src, struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr, end, next;

	spin_lock(&mm->page_table_lock);
	for (addr = folio_part(folio, vma, &end); addr < end; addr = next) {
		unsigned int level;
		pte_t *leaf = walk_leaf(mm->pgd, addr, &level, &next);

		next = min(next, end);
		if (leaf && level)
			work->pmd(folio, src, vma, addr, leaf);
		else if (leaf)
			work->ptes(folio, src, vma, addr, leaf, (next - addr) >> PAGE_SHIFT);
	}
	spin_unlock(&mm->page_table_lock);
}

/* What maps the folio becomes entries. */
static void entry_pmd(struct folio *folio, const struct page *src, struct vm_area_struct *vma,
		      unsigned long haddr, pte_t *pmd)
{
	struct mm_struct *mm = vma->mm;
	pte_t old = pte_read(pmd);

	if (!pte_present(old) || pte_pfn(old) != folio_pfn(folio))
		return;
	old = pte_get_and_clear(pmd);
	flush_tlb_page(mm, haddr); /* as entry_one() */
	if (pte_dirty(old) && !PageAnon(&folio->page))
		set_page_dirty(&folio->page);
	pte_set(pmd, make_pmd_migration_entry(old));
	trace_point(UNMAP, haddr, .pfn = folio_pfn(folio), .mm = trace_mm_id(mm),
		    .arg = TRACE_UNMAP_MIGRATE, .order = HPAGE_PMD_ORDER);
	folio_hide_rmap_pmd(folio);
	folio_ref_sub(folio, 1);
}

static void entry_ptes(struct folio *folio, const struct page *src, struct vm_area_struct *vma,
		       unsigned long addr, pte_t *pte, unsigned long n)
{
	const unsigned long start = addr;
	struct mm_struct *mm = vma->mm;
	bool any = false;

	for (; n; n--, pte++, addr += PAGE_SIZE) {
		pte_t old = pte_read(pte);
		struct page *page;

		if (!pte_present(old) || pte_special(old) || pfn_folio(pte_pfn(old)) != folio)
			continue;
		old = pte_get_and_clear(pte);
		any = true;
		if (pte_dirty(old) && !PageAnon(&folio->page))
			set_page_dirty(&folio->page);
		pte_set(pte, swp_pte_keep(swp_entry_to_pte(make_migration_entry(old)), old));
		page = pfn_to_page(pte_pfn(old));
		trace_point(UNMAP, addr, .pfn = page_to_pfn(page), .mm = trace_mm_id(mm),
			    .arg = TRACE_UNMAP_MIGRATE);
		folio_hide_rmap_pte(folio, page);
		folio_ref_sub(folio, 1);
	}
	if (any)
		flush_tlb_range(mm, start, addr);
}

static bool entry_large(struct page *head, struct vm_area_struct *vma, unsigned long addr,
			void *arg)
{
	static const struct leaf_work work = {entry_pmd, entry_ptes};
	struct folio *folio = (struct folio *)head;

	walk_large(&work, folio, NULL, vma);
	return folio_mapped(folio);
}

bool try_to_migrate(struct page *page)
{
	if (likely(!PageHead(page)))
		rmap_walk(page, entry_one, NULL);
	else if (PageAnon(page))
		rmap_walk_anon(page, entry_large, NULL);
	else
		rmap_walk_large_file((struct folio *)page, entry_large, NULL);
	return !folio_mapped((struct folio *)page);
}

/* The PTE of the page that takes the entry's place. */
static pte_t restored_pte(pte_t entry, const struct page *page, const struct vm_area_struct *vma)
{
	const swp_entry_t e = pte_to_swp_entry(entry);
	pte_t new = mk_pte(page_to_pfn(page), vma->prot);

	if (swp_offset(e) & MMVM_MIGRATION_YOUNG)
		new = pte_mkyoung(new);
	if (swp_offset(e) & MMVM_MIGRATION_DIRTY)
		new = __pte(new.v | _PAGE_DIRTY); /* soft-dirty only if it was */
	new = __pte(new.v | swp_pte_kept(entry));
	if (is_writable_migration_entry(e) && likely(!pte_uffd_wp(new)))
		new = pte_mkwrite(new);
	return new;
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
	new = restored_pte(pte_read(pte), page, vma);
	get_page(page);
	if (atomic_add_return(&page->mapcount, 1) == 0)
		page_stat_add(page, mapped_level(page), 1);
	/* The old page was locked, or mlock() came while the PTE was an entry. */
	if (unlikely(vma->flags & VM_LOCKED))
		lru_set_mlocked(page, LRU_KEEP);
	if (unlikely(vma->policy))
		mempolicy_note_placement(vma, page);
	trace_point(MAP, addr, .pfn = page_to_pfn(page), .mm = trace_mm_id(mm),
		    .arg = TRACE_MAP_MIGRATE);
	pte_set(pte, new);
out:
	spin_unlock(&mm->page_table_lock);
	return true;
}

static void restore_pmd(struct folio *folio, const struct page *src, struct vm_area_struct *vma,
			unsigned long haddr, pte_t *pmd)
{
	const pte_t e = pte_read(pmd);
	pte_t new = mk_pte(folio_pfn(folio), vma->prot | _PAGE_PSE);

	if (!pmd_is_migration(e) || pte_pfn(e) != page_to_pfn(src))
		return;
	new.v |= e.v &(_PAGE_ACCESSED | _PAGE_WRITTEN);
	if (pte_write(e))
		new = pte_mkwrite(new);
	folio_get(folio);
	folio_add_rmap_pmd(folio);
	if (unlikely(vma->flags & VM_LOCKED))
		lru_set_mlocked(&folio->page, LRU_KEEP);
	if (unlikely(vma->policy))
		mempolicy_note_placement(vma, &folio->page);
	trace_point(MAP, haddr, .pfn = folio_pfn(folio), .mm = trace_mm_id(vma->mm),
		    .arg = TRACE_MAP_MIGRATE, .order = HPAGE_PMD_ORDER);
	pte_set(pmd, new);
}

static void restore_ptes(struct folio *folio, const struct page *src, struct vm_area_struct *vma,
			 unsigned long addr, pte_t *pte, unsigned long n)
{
	for (; n; n--, pte++, addr += PAGE_SIZE) {
		pte_t old = pte_read(pte), new;
		struct page *page;
		swp_entry_t e;

		if (!pte_is_migration(old))
			continue;
		e = pte_to_swp_entry(old);
		if (migration_entry_page(e) != src)
			continue;
		page = folio_page(folio, migration_entry_pfn(e) - page_to_pfn(src));
		new = restored_pte(old, page, vma);
		folio_get(folio);
		folio_add_rmap_pte(folio, page);
		if (unlikely(vma->policy))
			mempolicy_note_placement(vma, &folio->page);
		trace_point(MAP, addr, .pfn = page_to_pfn(page), .mm = trace_mm_id(vma->mm),
			    .arg = TRACE_MAP_MIGRATE);
		pte_set(pte, new);
	}
}

static bool restore_large(struct page *head, struct vm_area_struct *vma, unsigned long addr,
			  void *arg)
{
	static const struct leaf_work work = {restore_pmd, restore_ptes};

	walk_large(&work, (struct folio *)head, arg, vma);
	return true;
}

static bool replace_one(struct page *page, struct vm_area_struct *vma, unsigned long addr,
			void *arg)
{
	struct mm_struct *mm = vma->mm;
	pte_t *pte;

	spin_lock(&mm->page_table_lock);
	pte = walk_pte(mm->pgd, addr);
	if (pte && pte_is_migration(pte_read(pte)) &&
	    migration_entry_page(pte_to_swp_entry(pte_read(pte))) == page) {
		pte_set(pte, *(const pte_t *)arg);
		atomic_sub(PageAnon(page) ? &mm->rss_anon : mm_rss_counter(mm, page), 1);
	}
	spin_unlock(&mm->page_table_lock);
	return true;
}

void replace_migration_ptes(struct page *src, pte_t with)
{
	rmap_walk_entries(src, replace_one, &with);
}

void remove_migration_ptes(struct page *src, struct page *dst)
{
	if (likely(!PageHead(dst))) {
		rmap_walk_entries(dst, restore_one, src);
		return;
	}
	if (PageAnon(dst))
		rmap_walk_entries(dst, restore_large, src);
	else
		rmap_walk_large_file((struct folio *)dst, restore_large, src);
	/* While there were entries, unmapping a part was not counted. */
	thp_defer_if_partial((struct folio *)dst);
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
	struct page *page;

	spin_lock(&mm->page_table_lock);
	if (pte_read(pte).v != entry.v) {
		spin_unlock(&mm->page_table_lock);
		return;
	}
	/* No reference is taken: it would keep the page from moving. While the entry is there
	 * the page is locked. It is unlocked after the entry has gone, and that wakes those who
	 * set PG_waiters. */
	page = pmd_is_migration(entry) ? pfn_to_page(pte_pfn(entry))
				       : migration_entry_page(pte_to_swp_entry(entry));
	SetPageWaiters(page);
	spin_unlock(&mm->page_table_lock);
	count_vm_event(MMVM_MIGRATION_WAIT);
	wait_for_unlock(page, entry_gone, &w);
}
