/*
 * A user process in the host build: touches memory through its page tables as the CPU would
 * (walk, access rights, A and D bits, fault and retry), and a check of everything that the virtual
 * half of mm/ promises, by walking it all. For unit, model and fuzz programs.
 */
#ifndef TESTS_MM_USER_H
#define TESTS_MM_USER_H
#include <stdio.h>
#include <stdlib.h>
#include "host.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/phys/internal.h"
#include "mm/reclaim/lru.h"
#include "mm/cache/pagecache.h"
#include "mm/huge/thp.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/slab/slab.h"
#include "mm/virt/vma.h"
#include "mm/reclaim/vmscan.h"
#include "mm/phys/zone.h"

#define MIB	(1ul << 20)
#define RW	(PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

static inline unsigned long table_frame(const pte_t *entry)
{
	return page_to_pfn(virt_to_page((void *)((unsigned long)entry & PAGE_MASK)));
}

/** The CPU's walk where a PMD maps 2 MiB. NULL: none does, or it forbids the access. */
static inline void *user_touch_huge(struct mm_struct *mm, unsigned long addr, bool write)
{
	pte_t *pmd = walk_level(mm->pgd, addr, PT_LEVEL_PMD), e = pmd ? pte_read(pmd) : __pte(0);

	if (!pte_huge(e) || !(e.v & _PAGE_PRESENT) || (write && !pte_write(e)))
		return NULL;
	atomic_or(&pmd->v, _PAGE_ACCESSED | (write ? _PAGE_DIRTY : 0));
	e = pte_read(pmd);
	host_tlb_load_large(mm, addr, pte_pfn(e), table_frame(pmd), pte_write(e), pte_dirty(e));
	return (char *)host_ram(e.v & PTE_PFN_MASK) + (addr & ~PMD_MASK);
}

/** Direct-map address of user memory for one access, faulting as needed; NULL with *fault set when
 * the fault ends in an error. What the tables do not allow any more, a stale translation of the fake
 * TLB may. */
static inline void *user_touch(struct mm_struct *mm, unsigned long addr, bool write,
			       unsigned int *fault)
{
	unsigned long pfn;

	*fault = 0;
	for (int tries = 0; tries < 8; tries++) {
		pte_t *pte = walk_pte(mm->pgd, addr);
		void *huge = pte ? NULL : user_touch_huge(mm, addr, write);

		if (huge)
			return huge;
		if (pte && (pte_read(pte).v & _PAGE_PRESENT) &&
		    (!write || pte_write(pte_read(pte)))) {
			pte_t e;

			atomic_or(&pte->v, _PAGE_ACCESSED | (write ? _PAGE_DIRTY : 0));
			e = pte_read(pte);
			host_tlb_load(mm, addr, pte_pfn(e), table_frame(pte), pte_write(e),
				      pte_dirty(e));
			return (char *)host_ram(e.v & PTE_PFN_MASK) + (addr & ~PAGE_MASK);
		}
		if (pte && !(pte_read(pte).v & _PAGE_PRESENT))
			host_tlb_load_table(mm, addr, table_frame(pte));
		if (host_tlb_lookup(mm, addr, write, &pfn))
			return (char *)host_ram((phys_addr_t)pfn << PAGE_SHIFT) +
			       (addr & ~PAGE_MASK);
		*fault =
			handle_mm_fault(mm, addr, FAULT_FLAG_USER | (write ? FAULT_FLAG_WRITE : 0));
		if (*fault & VM_FAULT_ERROR)
			return NULL;
	}
	panic("the fault at %#lx does not end", addr);
}

static inline unsigned int user_write(struct mm_struct *mm, unsigned long addr, u64 value)
{
	unsigned int fault;
	u64 *p = user_touch(mm, addr, true, &fault);

	if (p)
		*p = value;
	return p ? 0 : fault & VM_FAULT_ERROR;
}

static inline unsigned int user_read(struct mm_struct *mm, unsigned long addr, u64 *value)
{
	unsigned int fault;
	u64 *p = user_touch(mm, addr, false, &fault);

	if (p)
		*value = *p;
	return p ? 0 : fault & VM_FAULT_ERROR;
}

/* ---- everything that must hold --------------------------------------------------------------- */

/* The checks compare much; a fuzzer is not to spend its time on watching them. */
#ifdef __clang__
#define UNWATCHED __attribute__((no_sanitize("coverage")))
#else
#define UNWATCHED
#endif

#define MUST(cond, ...)                                                    \
	do {                                                               \
		if (!(cond)) {                                             \
			fprintf(stderr, "broken: %s: ", #cond);            \
			fprintf(stderr, __VA_ARGS__);                      \
			fprintf(stderr, " (%s:%d)\n", __FILE__, __LINE__); \
			abort();                                           \
		}                                                          \
	} while (0)

/** What the word at addr holds; it can be read. */
static inline u64 user_get(struct mm_struct *mm, unsigned long addr)
{
	u64 v = 0;

	MUST(!user_read(mm, addr, &v), "read of %#lx", addr);
	return v;
}

static inline void user_put(struct mm_struct *mm, unsigned long addr, u64 v)
{
	MUST(!user_write(mm, addr, v), "write of %#lx", addr);
}

/** An address space with so many private pages at *at, all written: page i holds i + 1. */
static inline struct mm_struct *user_mm_with(unsigned long pages, unsigned long *at)
{
	struct mm_struct *mm = mm_alloc();

	*at = do_mmap(mm, 0, pages << PAGE_SHIFT, RW, PRIVATE, 0);
	for (unsigned long i = 0; i < pages; i++)
		user_put(mm, *at + i * PAGE_SIZE, i + 1);
	return mm;
}

#define CENSUS_MAPPINGS 64
struct user_census {
	s64 anon, file, shmem, swap, tables;
	s64 thps, shmem_thps, shmem_pmds; /* folios: that a PMD maps; of shared memory */
	u32 *mapcount;			  /* by frame index below */
	u32 *pmds;			  /* the same for heads: PMDs */
	u8 *slot_users[MAX_SWAP_AREAS];
	struct address_space *mapping[CENSUS_MAPPINGS]; /* each that some VMA maps */
	unsigned int nr_mappings;
};

/* Frames of the default machines lie below 8 GiB. */
#define CENSUS_FRAMES (HOST_PHYS_SIZE >> PAGE_SHIFT)

/* A PMD that maps 2 MiB. */
static inline UNWATCHED void census_huge(struct mm_struct *mm, unsigned long addr, pte_t e,
					 struct user_census *c)
{
	struct vm_area_struct *vma = find_vma(mm, addr);
	struct folio *folio = pfn_folio(pte_pfn(e));

	c->tables++; /* the deposited one */
	MUST(vma && thp_fits(vma, addr), "huge page at %#lx lies in no VMA", addr);
	if (pte_special(e)) {
		MUST(folio == thp_huge_zero && !pte_write(e), "special PMD at %#lx", addr);
		return;
	}
	MUST(PageHead(&folio->page) && folio->page.order == HPAGE_PMD_ORDER, "head at %#lx", addr);
	MUST(folio->page.index == linear_page_index(vma, addr), "index of %#lx", addr);
	MUST(!pte_write(e) || (vma->flags & VM_WRITE), "writable PMD at %#lx", addr);
	if (folio->page.type == PAGE_SHMEM) {
		MUST(!pte_write(e) || (vma->flags & VM_SHARED), "writable PMD at %#lx", addr);
		MUST(folio->page.mapping == vma->mapping, "mapping at %#lx", addr);
		c->shmem += HPAGE_PMD_NR;
	} else {
		MUST(!pte_write(e) || folio_mapcount(folio) == 1, "writable PMD at %#lx", addr);
		c->anon += HPAGE_PMD_NR;
	}
	c->pmds[pte_pfn(e)]++;
}

/* What a large folio counts, by what maps it. Returns how many of its pages are mapped. */
static inline UNWATCHED s64 check_folio(struct folio *folio, const struct user_census *c)
{
	pfn_t f = folio_pfn(folio);
	int ptes = 0, with_pte = 0, pmds = c->pmds[f];

	for (unsigned int i = 0; i < HPAGE_PMD_NR; i++) {
		MUST(page_mapcount(folio_page(folio, i)) == (int)c->mapcount[f + i],
		     "frame %#lx: mapcount %d, is %u", f + i, page_mapcount(folio_page(folio, i)),
		     c->mapcount[f + i]);
		ptes += c->mapcount[f + i];
		with_pte += c->mapcount[f + i] != 0;
	}
	MUST(folio_entire_mapcount(folio) == pmds && folio_mapcount(folio) == pmds + ptes,
	     "folio %#lx: %d PMDs, %d mappings; are %d, %d", f, folio_entire_mapcount(folio),
	     folio_mapcount(folio), pmds, pmds + ptes);
	MUST(folio_counts(folio)->nr_pages_mapped ==
		     with_pte * MAPPED_PTE + (pmds ? MAPPED_ENTIRELY : 0),
	     "folio %#lx: nr_pages_mapped", f);
	MUST(page_ref_count(&folio->page) ==
		     pmds + ptes + (folio->page.type == PAGE_SHMEM && folio->page.mapping),
	     "folio %#lx: %d references, %d mappings", f, page_ref_count(&folio->page),
	     pmds + ptes);
	return pmds ? (s64)HPAGE_PMD_NR : with_pte;
}

static inline UNWATCHED void census_table(struct mm_struct *mm, pte_t *table, int level,
					  unsigned long base, struct user_census *c)
{
	unsigned int n = level == 3 ? 256 : 512;

	c->tables++;
	MUST(virt_to_page(table)->type == PAGE_PGTABLE, "table of level %d", level);
	for (unsigned int i = 0; i < n; i++) {
		unsigned long addr = base + ((unsigned long)i << (PAGE_SHIFT + 9 * level));
		pte_t e = table[i];
		struct vm_area_struct *vma;

		if (!e.v)
			continue;
		if (level && pte_huge(e)) {
			MUST(level == 1, "large leaf of level %d", level);
			census_huge(mm, addr, e, c);
			continue;
		}
		if (level) {
			census_table(mm, pte_table(e), level - 1, addr, c);
			continue;
		}
		vma = find_vma(mm, addr);
		MUST(vma && vma->vm_start <= addr, "page %#lx without a VMA", addr);
		if (!pte_present(e)) {
			swp_entry_t s = pte_to_swp_entry(e);

			if (pte_is_uffd_wp_marker(e)) {
				MUST(vma->flags & VM_UFFD_WP, "a marker at %#lx, and nobody to ask",
				     addr);
				continue;
			}
			MUST(swap_entry_valid(s), "bad swap entry at %#lx", addr);
			c->swap++;
			c->slot_users[swp_type(s)][swp_offset(s)]++;
		} else if (pte_special(e)) {
			MUST((pte_pfn(e) == page_to_pfn(zero_page)) !=
					     !!(vma->flags & VM_DONTEXPAND) &&
				     !pte_write(e),
			     "special PTE at %#lx", addr);
		} else {
			struct page *page = pfn_to_page(pte_pfn(e));

			c->mapcount[pte_pfn(e)]++;
			MUST(page_folio(page)->page.index + (page - &page_folio(page)->page) ==
				     linear_page_index(vma, addr),
			     "index at %#lx", addr);
			if (page_in_thp(page) && page_folio(page)->page.type == PAGE_SHMEM) {
				MUST(!pte_write(e) || (vma->flags & VM_SHARED),
				     "writable part of a huge page at %#lx", addr);
				MUST(page_folio(page)->page.mapping == vma->mapping,
				     "mapping at %#lx", addr);
				c->shmem++;
				continue;
			}
			if (page_in_thp(page)) {
				MUST(!pte_write(e) || thp_page_exclusive(page_folio(page), page),
				     "writable part of a shared huge page at %#lx", addr);
				c->anon++;
				continue;
			}
			if (page->type == PAGE_FILE || page->type == PAGE_SHMEM) {
				*(page->type == PAGE_FILE ? &c->file : &c->shmem) += 1;
				MUST(page->mapping == vma->mapping, "mapping at %#lx", addr);
				MUST(PageUptodate(page), "page at %#lx is not uptodate", addr);
				MUST(!pte_write(e) || ((vma->flags & VM_SHARED) && PageDirty(page)),
				     "writable PTE at %#lx", addr);
				continue;
			}
			c->anon++;
			MUST(page->type == PAGE_ANON && page_ref_count(page) > 0,
			     "page at %#lx: type %d refs %d", addr, page->type, page->refcount);
			MUST(page_anon_vma(page), "page at %#lx has no anon_vma", addr);
			MUST(!pte_write(e) || (vma->flags & VM_WRITE), "writable PTE at %#lx",
			     addr);
			MUST(!pte_write(e) || page_mapcount(page) == 1, "shared writable page");
		}
	}
}

static inline UNWATCHED unsigned long census_gap(const struct rb_node *n, unsigned int *count)
{
	struct vm_area_struct *vma, *prev;
	unsigned long gap, l, r;

	if (!n)
		return 0;
	(*count)++;
	vma = rb_entry(n, struct vm_area_struct, rb);
	prev = vma_prev(vma);
	gap = vm_start_gap(vma) > (prev ? prev->vm_end : 0)
		      ? vm_start_gap(vma) - (prev ? prev->vm_end : 0)
		      : 0;
	l = census_gap(n->left, count);
	r = census_gap(n->right, count);
	gap = max(gap, l);
	gap = max(gap, r);
	MUST(vma->rb_subtree_gap == gap, "gap of %#lx: %#lx, is %#lx", vma->vm_start,
	     vma->rb_subtree_gap, gap);
	return gap;
}

/* The VMA is in its mapping's tree, and found there. */
static inline UNWATCHED void census_mapping(struct vm_area_struct *vma, struct user_census *c)
{
	unsigned long last = vma->pgoff + vma_pages(vma) - 1;
	struct vm_area_struct *v;

	if (!vma->mapping)
		return;
	for (v = i_mmap_first(vma->mapping, last, last); v && v != vma;
	     v = i_mmap_next(v, last, last))
		;
	MUST(v == vma, "VMA at %#lx is not in i_mmap", vma->vm_start);
	for (unsigned int i = 0; i < c->nr_mappings; i++)
		if (c->mapping[i] == vma->mapping)
			return;
	MUST(c->nr_mappings < CENSUS_MAPPINGS, "more mappings than the census can hold");
	c->mapping[c->nr_mappings++] = vma->mapping;
}

/* What each mapping's tree holds: pages in their places, entries of swap. Returns the pages that
 * are promised for them. */
static inline UNWATCHED s64 check_mappings(struct user_census *c)
{
	s64 committed = 0, in_cache = 0, shmem = 0;

	for (unsigned int i = 0; i < c->nr_mappings; i++) {
		struct address_space *m = c->mapping[i];
		unsigned long at = 0;
		u64 pages = 0, values = 0, thps = 0;
		void *item;

		while ((item = radix_next(&m->pages, &at))) {
			struct page *page = item;

			if (radix_is_value(item)) {
				swp_entry_t e = {radix_value(item)};

				values++;
				if (m->flags & AS_SHMEM) {
					MUST(swap_entry_valid(e), "value at %lu", at);
					c->slot_users[swp_type(e)][swp_offset(e)]++;
				}
			} else if (page_in_thp(page)) {
				const struct folio *folio = page_folio(page);

				pages++;
				thps += PageHead(page);
				MUST(folio->page.mapping == m &&
					     folio_page_index(folio, page) == at,
				     "part of a huge page at %lu", at);
			} else {
				pages++;
				MUST(page->mapping == m && page->index == at, "page at %lu", at);
				MUST(page->type == (m->flags & AS_SHMEM ? PAGE_SHMEM : PAGE_FILE),
				     "type of page %lu", at);
				MUST(page_ref_count(page) == 1 + page_mapcount(page),
				     "page %lu: %d references, %d mappings", at, page->refcount,
				     page_mapcount(page));
				MUST(page_mapcount(page) == (int)c->mapcount[page_to_pfn(page)],
				     "mapcount of page %lu", at);
			}
			at++;
		}
		MUST(pages == m->nrpages && values == m->nrvalues && thps == m->nr_thps,
		     "counts of a mapping");
		in_cache += pages;
		if (!(m->flags & AS_SHMEM))
			continue;
		shmem += pages;
		committed +=
			m->flags & AS_CHARGED ? DIV_ROUND_UP(m->size, PAGE_SIZE) : pages + values;
	}
	MUST(global_stat(NR_SHMEM) == shmem, "NR_SHMEM %ld, is %ld", (long)global_stat(NR_SHMEM),
	     (long)shmem);
	MUST(global_stat(NR_FILE_PAGES) >= in_cache, "NR_FILE_PAGES");
	return committed;
}

/** Check one address space, adding what it maps to the census. */
static inline UNWATCHED void check_mm(struct mm_struct *mm, struct user_census *c)
{
	struct vm_area_struct *vma;
	unsigned long last = 0;
	u64 total = 0, committed = 0, locked = 0;
	unsigned int count = 0, in_tree = 0;
	s64 anon = c->anon, swap = c->swap, tables = c->tables, file = c->file, shmem = c->shmem;

	list_for_each_entry (vma, &mm->mmap, link) {
		MUST(vma->vm_start < vma->vm_end && vma->vm_start >= last, "VMA order");
		MUST(!((vma->vm_start | vma->vm_end) & ~PAGE_MASK), "VMA alignment");
		MUST(find_vma(mm, vma->vm_start) == vma && find_vma(mm, vma->vm_end - 1) == vma,
		     "find_vma of %#lx", vma->vm_start);
		MUST(!vma->anon_vma == list_empty(&vma->anon_vma_chain), "anon_vma and chain");
		last = vma->vm_end;
		count++;
		total += vma_pages(vma);
		committed += vma->flags & VM_ACCOUNT ? vma_pages(vma) : 0;
		locked += vma->flags & VM_LOCKED ? vma_pages(vma) : 0;
		census_mapping(vma, c);
	}
	census_gap(mm->mm_rb.node, &in_tree);
	MUST(count == mm->map_count && in_tree == count, "map_count %u, list %u, tree %u",
	     mm->map_count, count, in_tree);
	MUST(total == mm->total_vm && committed == mm->committed && locked == mm->locked_vm,
	     "total_vm %lu is %lu, committed %lu is %lu", (long)mm->total_vm, (long)total,
	     (long)mm->committed, (long)committed);
	census_table(mm, mm->pgd, 3, 0, c);
	MUST(mm->rss_anon == c->anon - anon, "rss_anon %ld, mapped %ld", (long)mm->rss_anon,
	     (long)(c->anon - anon));
	MUST(mm->rss_swap == c->swap - swap, "rss_swap");
	MUST(mm->rss_file == c->file - file, "rss_file");
	MUST(mm->rss_shmem == c->shmem - shmem, "rss_shmem %ld, mapped %ld", (long)mm->rss_shmem,
	     (long)(c->shmem - shmem));
	MUST(mm->pgtables_bytes == (s64)((c->tables - tables) * PAGE_SIZE), "pgtables_bytes");
}

static inline UNWATCHED void check_lru(void)
{
	s64 level[NR_UNEVICTABLE + 1] = {0};
	struct lruvec *lv;

	list_for_each_entry (lv, &lruvec_list, link) {
		for (unsigned int l = 0; l <= lv->policy->nr_lists; l++) {
			const struct lru_list_desc *desc = l ? &lv->policy->lists[l - 1] : NULL;
			struct page *page;
			u64 count = 0;

			list_for_each_entry (page, &lv->list[l], lru) {
				count += page_lru_pages(page);
				MUST(PageLRU(page) && page_list(page) == l, "list %u", l);
				MUST(PageUnevictable(page) == !desc, "unevictable on list %u", l);
				MUST(!desc || (page->flags & desc->flags_mask) == desc->flags_value,
				     "flags on list %u", l);
				MUST(page_lruvec(page) == lv, "lruvec of list %u", l);
				MUST(page_ref_count(page) > 0, "free page on list %u", l);
				MUST(page->lru.next->prev == &page->lru, "link of list %u", l);
			}
			MUST(count == lv->nr[l], "list %u: %lu pages, says %lu", l, (long)count,
			     (long)lv->nr[l]);
			level[desc ? desc->level : NR_UNEVICTABLE] += count;
		}
		MUST(!lv->nr_isolated, "isolated pages at rest");
	}
	for (unsigned int l = NR_INACTIVE_ANON; l <= NR_UNEVICTABLE; l++)
		MUST(global_stat(l) == level[l], "zone level %u", l);
}

/** One area. Returns its cached pages. */
static inline UNWATCHED u64 check_swap_area(const struct swap_info *si, const u8 *users)
{
	u64 inuse = 0, cached = 0, bad = 1;

	for (u64 i = 1; i < si->nr_slots; i++) {
		u8 b = si->map[i];

		if (b == SWAP_MAP_BAD) {
			bad++;
			MUST(!users[i], "bad slot %lu in use", (long)i);
			continue;
		}
		inuse += b != 0;
		MUST((b & SWAP_MAP_COUNT) == users[i], "slot %lu: byte %#x, users %u", (long)i, b,
		     users[i]);
		if (b & SWAP_MAP_HAS_CACHE) {
			struct page *page = pfn_to_page(si->cache[i] - 1);

			cached++;
			MUST(PageSwapCache(page) && page->private_ == swp_entry(si->type, i).v,
			     "cached page of slot %lu", (long)i);
			MUST(page_ref_count(page) > 0, "cached page is free");
		}
	}
	MUST(inuse == si->inuse, "inuse %lu, is %lu", (long)si->inuse, (long)inuse);
	MUST(si->usable + bad == si->nr_slots, "usable %lu, bad %lu", (long)si->usable, (long)bad);
	return cached;
}

static inline UNWATCHED void check_swap(const struct user_census *c)
{
	s64 cached = 0, free = 0, total = 0;

	for (unsigned int t = 0; t < MAX_SWAP_AREAS; t++) {
		const struct swap_info *si = &swap_areas[t];

		if (!si->bdev)
			continue;
		cached += check_swap_area(si, c->slot_users[t]);
		free += si->usable - si->inuse;
		total += si->usable;
	}
	MUST(global_stat(NR_SWAPCACHE) == cached, "NR_SWAPCACHE");
	MUST(nr_swap_pages == free, "nr_swap_pages %ld, is %ld", (long)nr_swap_pages, (long)free);
	MUST((s64)total_swap_pages == total, "total_swap_pages");
}

/** Check all address spaces, the LRU lists and the swap areas against each other. */
static inline UNWATCHED void check_all(void)
{
	static u32 *mapcount, *pmds;
	struct user_census c = {0};
	struct mm_struct *mm;
	s64 committed = 0, mapped = 0, file_mapped = 0;

	MUST(!host_tlb_stale(), "a TLB flush is owed");
	lru_add_drain();
	if (!mapcount)
		mapcount = calloc(CENSUS_FRAMES, sizeof(*mapcount));
	if (!pmds)
		pmds = calloc(CENSUS_FRAMES, sizeof(*pmds));
	c.mapcount = mapcount;
	c.pmds = pmds;
	for (unsigned int t = 0; t < MAX_SWAP_AREAS; t++) {
		c.slot_users[t] = swap_areas[t].bdev ? calloc(1, swap_areas[t].nr_slots) : NULL;
		if (swap_areas[t].bdev && !c.slot_users[t])
			abort();
	}
	if (!mapcount || !pmds)
		abort();
	for (unsigned int i = 0; i < nr_ram_ranges; i++) {
		u64 bytes = (ram_range[i].end - ram_range[i].start) * sizeof(*mapcount);

		memset(mapcount + ram_range[i].start, 0, bytes);
		memset(pmds + ram_range[i].start, 0, bytes);
	}
	list_for_each_entry (mm, &mm_list, mm_list) {
		check_mm(mm, &c);
		committed += mm->committed;
	}
	committed += check_mappings(&c);
	MUST(vm_committed() == (u64)committed, "vm_committed %lu, is %lu", (long)vm_committed(),
	     (long)committed);
	MUST(global_stat(NR_PAGETABLE) == c.tables + kernel_pgtables, "NR_PAGETABLE %ld, is %ld",
	     (long)global_stat(NR_PAGETABLE), (long)c.tables);
	for (unsigned int i = 0; i < nr_ram_ranges; i++) {
		for (pfn_t f = ram_range[i].start; f < ram_range[i].end; f++) {
			struct page *page = pfn_to_page(f);

			if (page->type == PAGE_ANON && PageHead(page)) {
				mapped += check_folio((struct folio *)page, &c);
				c.thps += pmds[f] != 0;
				f += HPAGE_PMD_NR - 1;
				continue;
			}
			if (page->type == PAGE_SHMEM && PageHead(page)) {
				file_mapped += check_folio((struct folio *)page, &c);
				c.shmem_pmds += pmds[f] != 0;
				c.shmem_thps++;
				f += HPAGE_PMD_NR - 1;
				continue;
			}
			if (!mapcount[f])
				continue;
			if (page->type != PAGE_ANON) {
				file_mapped++;
				continue;
			}
			mapped++;
			MUST(page_mapcount(page) == (int)mapcount[f],
			     "frame %#lx: mapcount %d, is %u", f, page_mapcount(page), mapcount[f]);
			MUST(page_ref_count(page) ==
				     (int)mapcount[f] + (PageSwapCache(page) ? 1 : 0),
			     "frame %#lx: %d references, %u mappings", f, page->refcount,
			     mapcount[f]);
		}
	}
	MUST(global_stat(NR_ANON_MAPPED) == mapped, "NR_ANON_MAPPED %ld, is %ld",
	     (long)global_stat(NR_ANON_MAPPED), (long)mapped);
	MUST(global_stat(NR_FILE_MAPPED) == file_mapped, "NR_FILE_MAPPED");
	MUST(global_stat(NR_ANON_THPS) == c.thps, "NR_ANON_THPS %ld, is %ld",
	     (long)global_stat(NR_ANON_THPS), (long)c.thps);
	MUST(global_stat(NR_SHMEM_THPS) == c.shmem_thps, "NR_SHMEM_THPS %ld, is %ld",
	     (long)global_stat(NR_SHMEM_THPS), (long)c.shmem_thps);
	MUST(global_stat(NR_SHMEM_PMDMAPPED) == c.shmem_pmds, "NR_SHMEM_PMDMAPPED %ld, is %ld",
	     (long)global_stat(NR_SHMEM_PMDMAPPED), (long)c.shmem_pmds);
	check_lru();
	check_swap(&c);
	for (unsigned int t = 0; t < MAX_SWAP_AREAS; t++)
		free(c.slot_users[t]);
}
#endif
