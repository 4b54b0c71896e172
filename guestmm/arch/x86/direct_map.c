/*
 * Pages that the direct map does not show.
 *
 *   PMD of 2 MiB ──split──> 512 PTEs that map the same ──hide──> the page's PTE is empty
 *
 * A PMD that was split stays so, as in Linux: the next page to be hidden is likely to be near.
 *
 * I1  Until the flush after a split a CPU may use the large or the small entry: both map the same frames with the
 *     same rights, so that it does not matter which.
 * I2  When direct_map_hide() returns no CPU has a translation of the page: its entry was cleared before the flush.
 *     direct_map_show() owes none, since an empty entry is not kept in a TLB.
 *
 * The new table is of type PGTABLE and counted in kernel_pgtables, as vmalloc's.
 *
 * Lock: vmap_lock for the split. The PTE of a page is its owner's.
 */
#include "arch/direct_map.h"
#include "arch/pgtable.h"
#include "arch/tlb.h"
#include "lib/errno.h"
#include "mm/kvirt/vmap_area.h"
#include "mm/phys/alloc.h"
#include "mm/phys/internal.h"
#include "mm/phys/zone.h"
#include "mm/pgtable/pgtable.h"

static pte_t *pmd_of(unsigned long addr)
{
	pte_t *table = kernel_pgd();

	for (unsigned int l = pt_top_level; l > PT_LEVEL_PMD; l--)
		table = pte_table(pte_read(&table[pt_index(addr, l)]));
	return &table[pt_index(addr, PT_LEVEL_PMD)];
}

/* Put a table in the place of a large entry that covers addr. 0 or -ENOMEM. */
static int split(pte_t *pmd, unsigned long addr)
{
	struct page *page = alloc_pages_type(GFP_KERNEL, 0, PAGE_PGTABLE);
	bool taken = false;
	pte_t *table, e;

	if (!page)
		return -ENOMEM;
	table = page_address(page);
	page_stat_add(page, NR_PAGETABLE, 1);
	spin_lock(&vmap_lock);
	e = pte_read(pmd);
	if (pte_huge(e)) {
		for (unsigned long i = 0; i < PTRS_PER_PTE; i++)
			pte_set(&table[i], __pte((e.v & ~_PAGE_PSE) + (i << PAGE_SHIFT)));
		kernel_pgtables++;
		smp_mb(); /* the table's contents before the way to it */
		pte_set(pmd, __pte(page_to_phys(page) | _PAGE_TABLE));
		taken = true;
	}
	spin_unlock(&vmap_lock);
	if (!taken) { /* another CPU was first */
		page_stat_add(page, NR_PAGETABLE, -1);
		__free_page(page);
		return 0;
	}
	count_vm_event(DIRECT_MAP_LEVEL2_SPLIT);
	flush_tlb_kernel_range(addr & PMD_MASK, (addr & PMD_MASK) + PMD_SIZE);
	return 0;
}

int direct_map_hide(const struct page *page)
{
	unsigned long addr = (unsigned long)page_address(page);
	pte_t *pmd = pmd_of(addr);
	int err = pte_huge(pte_read(pmd)) ? split(pmd, addr) : 0;

	if (err)
		return err;
	pte_set(&pte_table(pte_read(pmd))[pt_index(addr, PT_LEVEL_PTE)], __pte(0));
	flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
	return 0;
}

void direct_map_show(const struct page *page)
{
	unsigned long addr = (unsigned long)page_address(page);

	pte_set(&pte_table(pte_read(pmd_of(addr)))[pt_index(addr, PT_LEVEL_PTE)],
		mk_pte(page_to_pfn(page), PAGE_KERNEL));
}
