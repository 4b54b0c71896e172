/*
 * User page tables: four levels of 512 entries, or five (pt_top_level).
 *
 *   mm->pgd ─> table ─> table ─> PTE table ─> frames         a PTE table covers 2 MiB
 *                 │        └─────────────────> 2 MiB          large leaves (large.c)
 *                 └──────────────────────────> 1 GiB
 *
 * An entry is empty, a table, or (lowest level) one of: a mapped page, a PROT_NONE page, a swap
 * entry, a migration entry (migrate_entry.h). Tables are made by faults and freed by munmap when no VMA is left in what they cover.
 *
 * I1  mm->pgtables_bytes = 4096 * (tables reachable from mm->pgd, that one included), and
 *     NR_PAGETABLE counts the same pages.
 * I2  A page or table that a CPU's TLB may still reach is not freed: it is gathered, the TLB is
 *     flushed, then everything gathered is freed.
 * I3  rss_anon, rss_file, rss_shmem = present PTEs that are not special and migration entries, by
 *     what they stand for; rss_swap = swap entries. They change under the page_table_lock together with the PTE.
 *
 * Locks: page_table_lock for every change of an entry. Tables are added with mmap_lock held and
 * freed with it held for writing, so whoever holds it for reading may walk without the spinlock;
 * others (the reverse map) walk wholly under the spinlock, or under the i_mmap_lock of a VMA that is
 * in its file's tree (rmap_file.c, I1).
 */
#include "arch/tlb.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/cache/pagecache.h"
#include "mm/huge/thp.h"
#include "mm/pgtable/guard.h"
#include "mm/pgtable/large.h"
#include "mm/rmap/migrate_entry.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/pgtable/tlb_pending.h"
#include "mm/swap/swapcache.h"
#include "mm/virt/vma.h"
#include "mm/phys/zone.h"

u8 pt_top_level = 3;
unsigned long task_size = DEFAULT_MAP_WINDOW;

static struct page *alloc_table(struct mm_struct *mm, gfp_t zero)
{
	struct page *page = alloc_pages_type(GFP_KERNEL_ACCOUNT | zero, 0, PAGE_PGTABLE);

	if (!page)
		return NULL;
	if (mem_cgroup_charge_kernel(page, mm, GFP_KERNEL_ACCOUNT)) {
		__free_page(page);
		return NULL;
	}
	page_stat_add(page, NR_PAGETABLE, 1);
	atomic_add(&mm->pgtables_bytes, (s64)PAGE_SIZE);
	return page;
}

struct page *pgtable_alloc(struct mm_struct *mm)
{
	return alloc_table(mm, __GFP_ZERO);
}

struct page *pgtable_alloc_spare(struct mm_struct *mm)
{
	return alloc_table(mm, 0);
}

void pgtable_free(struct mm_struct *mm, struct page *page)
{
	page_stat_add(page, NR_PAGETABLE, -1);
	atomic_sub(&mm->pgtables_bytes, (s64)PAGE_SIZE);
	page_ptdesc(page)->next = NULL;
	__free_page(page);
}

/* Nothing below: the entry is empty or a large leaf. One test for both. */
static inline bool no_table(pte_t e)
{
	return (e.v & (_PAGE_PRESENT | _PAGE_PSE)) != _PAGE_PRESENT;
}

pte_t *walk_pte(pte_t *pgd, unsigned long addr)
{
	pte_t e;

	if (unlikely(pt_top_level > 3)) {
		e = pte_read(&pgd[pt_index(addr, 4)]);
		if (!e.v)
			return NULL;
		pgd = pte_table(e);
	}
	e = pte_read(&pgd[pt_index(addr, 3)]);
	if (!e.v)
		return NULL;
	e = pte_read(&pte_table(e)[pt_index(addr, 2)]);
	if (no_table(e))
		return NULL;
	e = pte_read(&pte_table(e)[pt_index(addr, 1)]);
	if (no_table(e))
		return NULL;
	return &pte_table(e)[pt_index(addr, 0)];
}

pte_t *walk_leaf(pte_t *pgd, unsigned long addr, unsigned int *level, unsigned long *next)
{
	pte_t *table = pgd;

	for (unsigned int l = pt_top_level; l > 0; l--) {
		pte_t *slot = &table[pt_index(addr, l)], e = pte_read(slot);

		if (no_table(e)) {
			*level = l;
			*next = (addr & ~(level_size(l) - 1)) + level_size(l);
			return e.v ? slot : NULL;
		}
		table = pte_table(e);
	}
	*level = PT_LEVEL_PTE;
	*next = (addr & PMD_MASK) + PMD_SIZE;
	return &table[pt_index(addr, 0)];
}

pte_t *walk_level(pte_t *pgd, unsigned long addr, unsigned int level)
{
	pte_t *table = pgd;

	for (unsigned int l = pt_top_level; l > level; l--) {
		pte_t e = pte_read(&table[pt_index(addr, l)]);

		if (no_table(e))
			return NULL;
		table = pte_table(e);
	}
	return &table[pt_index(addr, level)];
}

/* Table behind *slot, made if missing. NULL: no memory, or a large leaf is there. */
static pte_t *table_alloc(struct mm_struct *mm, pte_t *slot)
{
	struct page *page;
	pte_t e = pte_read(slot);

	if (likely(e.v))
		return unlikely(no_table(e)) ? NULL : pte_table(e);
	page = pgtable_alloc(mm);
	if (!page)
		return NULL;
	spin_lock(&mm->page_table_lock);
	e = pte_read(slot);
	if (likely(!e.v)) {
		e = __pte(page_to_phys(page) | _PAGE_TABLE);
		atomic_store_release(&slot->v, e.v);
		page = NULL;
	}
	spin_unlock(&mm->page_table_lock);
	if (page)
		pgtable_free(mm, page);
	return unlikely(no_table(e)) ? NULL : pte_table(e);
}

pte_t *walk_level_alloc(struct mm_struct *mm, unsigned long addr, unsigned int level)
{
	pte_t *table = mm->pgd;

	for (unsigned int l = pt_top_level; l > level; l--) {
		table = table_alloc(mm, &table[pt_index(addr, l)]);
		if (unlikely(!table))
			return NULL;
	}
	return &table[pt_index(addr, level)];
}

pte_t *walk_pte_alloc(struct mm_struct *mm, unsigned long addr)
{
	return walk_level_alloc(mm, addr, PT_LEVEL_PTE);
}

/* ---- gathering ---- */

void tlb_gather_mmu(struct mmu_gather *tlb, struct mm_struct *mm, enum tlb_scope scope)
{
	tlb->mm = mm;
	tlb->scope = scope;
	tlb->start = ~0ul;
	tlb->end = 0;
	tlb->nr = 0;
	tlb->swapcache = false;
	tlb->atomic = false;
	tlb->file_only = false;
	tlb->dax = false;
	tlb->keep_guards = false;
	tlb->keep_wp = false;
	tlb->large = false;
	tlb->tables = NULL;
	inc_tlb_flush_pending(mm);
}

static void tlb_flush_mmu(struct mmu_gather *tlb)
{
	struct ptdesc *table;

	if (tlb->start < tlb->end) {
		if (tlb->scope == TLB_WHOLE_MM ||
		    tlb->tables) /* tables: paging-structure caches as well */
			flush_tlb_mm(tlb->mm);
		else if (tlb->end - tlb->start == PAGE_SIZE)
			flush_tlb_page(tlb->mm, tlb->start);
		else
			flush_tlb_range(tlb->mm, tlb->start, tlb->end);
		tlb->start = ~0ul;
		tlb->end = 0;
	}
	if (unlikely(tlb->large))
		tlb_release_large(tlb);
	if (unlikely(tlb->swapcache))
		free_swap_cache(tlb->pages, tlb->nr);
	tlb->swapcache = false;
	release_pages(tlb->pages, tlb->nr);
	tlb->nr = 0;
	while ((table = tlb->tables)) {
		tlb->tables = table->next;
		pgtable_free(tlb->mm, ptdesc_page(table));
	}
}

void tlb_finish_mmu(struct mmu_gather *tlb)
{
	if (unlikely(mm_tlb_flush_nested(tlb->mm))) {
		tlb->scope = TLB_WHOLE_MM;
		tlb->start = 0;
		tlb->end = PAGE_SIZE;
	}
	tlb_flush_mmu(tlb);
	dec_tlb_flush_pending(tlb->mm);
}

/* P held: a PTE no longer maps a page of a file. Move its accessed and dirty bits to the page, which counts as mapped
 * until zap_file_rmap(). */
static void zap_file_page(struct page *page, pte_t old)
{
	if (pte_dirty(old) && !PageDirty(page))
		set_page_dirty(page);
	if (pte_young(old) && !PageReferenced(page))
		SetPageReferenced(page);
}

/* P held: among these are small pages of files, whose PTEs are cleared. Where a TLB may still know one as writable, a
 * write through it would come after writeback has cleaned the page, or after a truncation has taken it, and be
 * lost: neither of them would find a PTE here. So the TLB is flushed while they must still wait for P, or for the
 * page to be unmapped. */
static __attribute__((noinline)) void zap_file_rmap(struct mmu_gather *tlb, unsigned int nr,
						    unsigned long start, unsigned long end,
						    bool dirty)
{
	if (dirty)
		flush_tlb_range(tlb->mm, start, end);
	for (unsigned int i = tlb->nr; i < nr; i++) {
		struct page *page = tlb->pages[i];

		/* By type, not by PageAnon(): pages of the swap cache are gathered, too, whose entry was here, and those
		 * that were read ahead and never mapped have no anon_vma yet. */
		if (!gather_is_large(page) && page->type != PAGE_ANON)
			page_remove_file_rmap(page, tlb->mm);
	}
}

/* The page that moves finds nobody here any more. P keeps it locked, so its kind is what it was. */
static __attribute__((noinline)) void zap_migration_entry(struct mm_struct *mm, swp_entry_t e)
{
	const struct page *page = migration_entry_page(e);

	atomic_sub(PageAnon(page) ? &mm->rss_anon : mm_rss_counter(mm, page), 1);
}

/* P held: an entry that is neither a page nor swap. */
static __attribute__((noinline)) void zap_marker(struct mmu_gather *tlb, pte_t *pte, swp_entry_t e)
{
	if ((tlb->keep_guards && is_installed_guard(e)) ||
	    (tlb->keep_wp && pte_is_uffd_wp_marker(pte_read(pte))))
		return;
	pte_set(pte, __pte(0));
	if (is_migration_entry(e))
		zap_migration_entry(tlb->mm, e);
}

/* P held: does the entry stand for a page of a file? */
static __attribute__((noinline)) bool maps_file_page(const struct mmu_gather *tlb, pte_t e)
{
	if (!pte_present(e))
		return pte_is_migration(e) && !PageAnon(migration_entry_page(pte_to_swp_entry(e)));
	/* Frames of the file, and zero pages that stand for its holes. */
	if (pte_special(e))
		return tlb->dax;
	return !PageAnon(&pfn_folio(pte_pfn(e))->page);
}

/* P held: a PTE lets go of a page of a large folio. What is gathered: the head, marked. */
static __attribute__((noinline)) struct page *zap_thp_page(struct mmu_gather *tlb,
							   struct page *page)
{
	struct folio *folio = page_folio(page);
	bool anon = PageAnon(&folio->page);

	atomic_sub(anon ? &tlb->mm->rss_anon : &tlb->mm->rss_shmem, 1);
	folio_remove_rmap_pte(folio, page);
	return gather_mark_large(tlb, &folio->page);
}

/* Zap PTEs from `pte` to `end`, all of one table, until done or the gather is full. Returns the address it got
 * to. In one piece, so that the counts of the loop stay in registers. */
static unsigned long zap_ptes(struct mmu_gather *tlb, pte_t *pte, unsigned long addr,
			      unsigned long end)
{
	struct mm_struct *mm = tlb->mm;
	unsigned long first = ~0ul, last = 0;
	s64 anon = 0, swap = 0, unmapped = 0;
	unsigned int nr = tlb->nr, zone = ~0u;
	bool file_only = tlb->file_only, file = false, dirty = false;

	spin_lock(&mm->page_table_lock);
	flush_tlb_batched_pending(mm);
	for (; addr < end; addr += PAGE_SIZE, pte++) {
		pte_t e = pte_read(pte);
		struct page *page;

		if (pte_none(e))
			continue;
		if (unlikely(file_only) && !maps_file_page(tlb, e))
			continue;
		if (unlikely(!pte_present(e))) {
			if (unlikely(swp_type(pte_to_swp_entry(e)) >= MMVM_SWP_GUARD)) {
				zap_marker(tlb, pte, pte_to_swp_entry(e));
				continue;
			}
			pte_set(pte, __pte(0));
			swap++;
			page = swap_free_and_get_cached(pte_to_swp_entry(e));
			if (!page)
				continue;
			tlb->swapcache = true;
		} else {
			e = pte_get_and_clear(pte);
			if (last == 0)
				first = addr;
			last = addr + PAGE_SIZE;
			if (unlikely(pte_special(e)))
				continue;
			page = pfn_to_page(pte_pfn(e));
			trace_point(UNMAP, addr, .pfn = page_to_pfn(page), .mm = trace_mm_id(mm),
				    .arg = TRACE_UNMAP_ZAP);
			if (unlikely(!PageAnon(page))) {
				dirty |= pte_dirty(e);
				if (unlikely(pte_uffd_wp(e)) && tlb->keep_wp)
					pte_set(pte, uffd_wp_marker());
				if (unlikely(page_in_thp(page))) {
					if (pte_dirty(e)) /* as zap_file_rmap() */
						flush_tlb_page(mm, addr);
					goto large;
				}
				file = true;
				zap_file_page(page, e);
				goto gather;
			}
			if (unlikely(page->flags & (1ull << PG_swapcache | 1ull << PG_head))) {
				if (PageHead(page))
					goto large;
				/* Another process may still use the slot, and must read there
				 * what we wrote. Outside the swap cache a page is always dirty. */
				if (pte_dirty(e))
					SetPageDirty(page);
				tlb->swapcache = true;
			}
			anon++;
			if (likely(atomic_sub_return(&page->mapcount, 1) < 0)) {
				if (unlikely(page_zone_index(page) != zone)) {
					if (unmapped)
						zone_stat_add(zone_table[zone], NR_ANON_MAPPED,
							      -unmapped);
					zone = page_zone_index(page);
					unmapped = 0;
				}
				unmapped++;
				if (unlikely(PageCharged(page)))
					mem_cgroup_page_stat(page, NR_ANON_MAPPED, -1);
			}
		}
		goto gather;
	large:
		page = zap_thp_page(tlb, page);
	gather:
		tlb->pages[nr++] = page;
		if (unlikely(nr == GATHER_PAGES)) {
			addr += PAGE_SIZE;
			break;
		}
	}
	if (unmapped)
		zone_stat_add(zone_table[zone], NR_ANON_MAPPED, -unmapped);
	if (anon)
		atomic_sub(&mm->rss_anon, anon);
	if (swap)
		atomic_sub(&mm->rss_swap, swap);
	if (unlikely(file))
		zap_file_rmap(tlb, nr, first, last, dirty);
	spin_unlock(&mm->page_table_lock);
	tlb->nr = nr;
	tlb->start = min(tlb->start, first);
	tlb->end = max(tlb->end, last);
	return addr;
}

void zap_page_range(struct mmu_gather *tlb, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = tlb->mm;
	unsigned long addr = start, next, stop;
	unsigned int level;
	pte_t *leaf;

	update_hiwater_rss(mm);
	while (addr < end) {
		/* Without the spinlock: we hold mmap_lock, so no table is freed. */
		leaf = walk_leaf(mm->pgd, addr, &level, &next);
		stop = min(next, end);
		if (unlikely(leaf && level))
			stop = zap_large(tlb, leaf, level, addr, stop);
		else if (leaf)
			stop = zap_ptes(tlb, leaf, addr, stop);
		addr = stop;
		if (tlb->nr == GATHER_PAGES) {
			tlb_flush_mmu(tlb);
			if (!tlb->atomic)
				cond_resched();
		}
	}
}

/* Free the tables below `table` (of `level`) that cover part of [start, end) and nothing outside
 * [floor, ceiling). */
static void free_tables(struct mmu_gather *tlb, pte_t *table, int level, unsigned long start,
			unsigned long end, unsigned long floor, unsigned long ceiling)
{
	unsigned long span = 1ul << (PAGE_SHIFT + 9 * level);
	unsigned long addr = start & ~(span - 1);

	for (; addr < end; addr += span) {
		pte_t *slot = &table[pt_index(addr, level)], e = pte_read(slot);
		struct ptdesc *pt;

		if (!e.v)
			continue;
		VM_BUG_ON(no_table(e)); /* zapped before */
		if (level > 1)
			free_tables(tlb, pte_table(e), level - 1, max(start, addr),
				    min(end, addr + span), floor, ceiling);
		if (addr < floor || addr + span > ceiling)
			continue;
		pte_set(slot, __pte(0));
		pt = page_ptdesc(pfn_to_page(pte_pfn(e)));
		pt->next = tlb->tables;
		tlb->tables = pt;
		tlb->start = min(tlb->start, addr);
		tlb->end = max(tlb->end, addr + span);
	}
}

void free_pgtables(struct mmu_gather *tlb, unsigned long start, unsigned long end,
		   unsigned long floor, unsigned long ceiling)
{
	/* Tables that cover more than [start, end), but lie within the hole, are freed as well. */
	spin_lock(&tlb->mm->page_table_lock);
	free_tables(tlb, tlb->mm->pgd, pt_top_level, start, end, floor, ceiling);
	spin_unlock(&tlb->mm->page_table_lock);
}

/* ---- protection ---- */

/* Spare the next write a fault: where only this PTE maps an anonymous page, or where it could write
 * to the file already. P held. */
static bool may_stay_writable(const struct vm_area_struct *vma, const struct page *page, pte_t old)
{
	if (PageAnon(page))
		return anon_page_exclusive(page);
	if (unlikely(PageTail(page))) {
		const struct folio *folio = page_folio(page);

		return PageAnon(&folio->page) ? thp_page_exclusive(folio, page)
					      : !!(vma->flags & VM_SHARED);
	}
	return (vma->flags & VM_SHARED) && (page->type == PAGE_SHMEM || pte_write(old));
}

static bool change_ptes(struct vm_area_struct *vma, pte_t *pte, unsigned long n)
{
	bool changed = false;

	for (; n; n--, pte++) {
		pte_t e = pte_read(pte), new;

		if (!pte_present(e)) {
			/* A fault makes it writable: only then is it known whether the page is
			 * shared. */
			if (unlikely(pte_is_migration(e))) {
				new = swp_entry_to_pte(
					readable_migration_entry(pte_to_swp_entry(e)));
				pte_set(pte, __pte(new.v | (e.v & SWP_KEPT_BITS)));
			}
			continue;
		}
		/* Exchange, so that no A or D bit that a CPU sets meanwhile is lost. */
		e = pte_get_and_clear(pte);
		new = __pte((e.v & (PTE_PFN_MASK | _PAGE_ACCESSED | _PAGE_WRITTEN | _PAGE_SPECIAL |
				    _PAGE_DEVMAP | _PAGE_UFFD_WP)) |
			    vma->prot);
		if ((vma->flags & VM_WRITE) && !pte_special(e) && !pte_uffd_wp(e) &&
		    write_needs_no_mark(vma, e) &&
		    may_stay_writable(vma, pfn_to_page(pte_pfn(e)), e))
			new = pte_mkwrite(new);
		pte_set(pte, new);
		changed |= new.v != e.v;
	}
	return changed;
}

void change_protection(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr = start, next, stop;
	bool changed = false;
	unsigned int level;
	pte_t *leaf;

	while (addr < end) {
		leaf = walk_leaf(mm->pgd, addr, &level, &next);
		stop = min(next, end);
		if (unlikely(leaf && level)) {
			stop = change_large(vma, leaf, level, addr, stop, &changed);
		} else if (leaf) {
			spin_lock(&mm->page_table_lock);
			flush_tlb_batched_pending(mm);
			changed |= change_ptes(vma, leaf, (stop - addr) >> PAGE_SHIFT);
			spin_unlock(&mm->page_table_lock);
		}
		addr = stop;
	}
	if (changed)
		flush_tlb_range(mm, start, end);
}
