/*
 * Kernel mappings of memory that is not RAM, made when its driver has found it.
 *
 *   direct map   2 MiB pages, read-write, no execute (I1 of paging.c)
 *   vmemmap      struct pages in RAM, 4 KiB pages: 32 KiB of them for each 2 MiB
 *
 * The top-level entries of both areas exist since boot (I2 of paging.c), so that every address space sees
 * what is made here. The tables between are of type PGTABLE and counted in kernel_pgtables, as vmalloc's.
 *
 * Lock: vmap_lock for new tables, as in vmalloc.c. The leaves are nobody else's.
 */
#include "arch/device_map.h"
#include "arch/pgtable.h"
#include "arch/tlb.h"
#include "lib/errno.h"
#include "mm/kvirt/vmap_area.h"
#include "mm/phys/alloc.h"
#include "mm/phys/internal.h"
#include "mm/phys/zone.h"
#include "mm/pgtable/pgtable.h"

/* The entry of `level` for addr, with the tables above it made. NULL: no memory. */
static pte_t *entry_alloc(unsigned long addr, int level)
{
	pte_t *table = kernel_pgd();

	for (int l = pt_top_level; l > level; l--) {
		pte_t *slot = &table[pt_index(addr, l)];
		struct page *page;

		if (!pte_present(pte_read(slot))) {
			page = alloc_pages_type(GFP_KERNEL | __GFP_ZERO, 0, PAGE_PGTABLE);
			if (!page)
				return NULL;
			page_stat_add(page, NR_PAGETABLE, 1);
			spin_lock(&vmap_lock);
			kernel_pgtables++;
			pte_set(slot, __pte(page_to_phys(page) | _PAGE_TABLE));
			spin_unlock(&vmap_lock);
		}
		table = pte_table(pte_read(slot));
	}
	return &table[pt_index(addr, level)];
}

/* The struct pages of [first, end) again: nobody has looked at them. */
static void unmap_struct_pages(unsigned long first, unsigned long end)
{
	for (unsigned long va = first; va < end; va += PAGE_SIZE) {
		pte_t *pte = entry_alloc(va, PT_LEVEL_PTE), e = pte_read(pte);

		pte_set(pte, __pte(0));
		flush_tlb_kernel_range(va, va + PAGE_SIZE);
		__free_page(pfn_to_page(pte_pfn(e)));
	}
}

static int map_struct_pages(unsigned long first, unsigned long end)
{
	for (unsigned long va = first; va < end; va += PAGE_SIZE) {
		pte_t *pte = entry_alloc(va, PT_LEVEL_PTE);
		struct page *page = pte ? alloc_page(GFP_KERNEL | __GFP_ZERO) : NULL;

		if (!page) {
			unmap_struct_pages(first, va);
			return -ENOMEM;
		}
		pte_set(pte, mk_pte(page_to_pfn(page), PAGE_KERNEL));
	}
	return 0;
}

int arch_map_device(phys_addr_t start, u64 size)
{
	unsigned long first = (unsigned long)pfn_to_page(start >> PAGE_SHIFT);
	unsigned long end = (unsigned long)pfn_to_page((start + size) >> PAGE_SHIFT);
	int err = map_struct_pages(first, end);

	for (phys_addr_t at = start; !err && at < start + size; at += PMD_SIZE) {
		pte_t *pmd = entry_alloc((unsigned long)__va(at), PT_LEVEL_PMD);

		if (!pmd) {
			/* The part of the range that is mapped already stays mapped: nobody uses it. */
			unmap_struct_pages(first, end);
			err = -ENOMEM;
			break;
		}
		pte_set(pmd, mk_pte(at >> PAGE_SHIFT, PAGE_KERNEL | _PAGE_PSE));
	}
	return err;
}
