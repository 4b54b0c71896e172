/*
 * /proc/PID/numa_maps: each mapping's policy, and on which nodes its pages are. Format of Linux 6.1
 * (fs/proc/task_mmu.c, show_numa_map()).
 */
#include "lib/format.h"
#include "mm/huge/hugetlb.h"
#include "mm/numa/mempolicy.h"
#include "mm/phys/internal.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

struct counts {
	unsigned long pages, anon, dirty, active, writeback, swapcache, mapcount_max;
	unsigned long node[MMVM_MAX_NODES];
};

static void count_page(struct counts *c, const struct page *page, pte_t pte)
{
	const unsigned long mapped = max(page_mapcount(page), 0);

	c->pages++;
	c->dirty += pte_dirty(pte) || PageDirty(page);
	c->swapcache += PageSwapCache(page);
	c->active += PageActive(page) || PageUnevictable(page);
	c->writeback += PageWriteback(page);
	c->anon += PageAnon(page);
	c->mapcount_max = max(c->mapcount_max, mapped);
	c->node[page_node_id(page)]++;
}

/* mmap_lock held. */
static void count_vma(struct counts *c, const struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	unsigned long next, stop;

	for (unsigned long addr = vma->vm_start; addr < vma->vm_end; addr = stop) {
		unsigned int level;
		pte_t *leaf;

		cond_resched();
		spin_lock(&mm->page_table_lock);
		leaf = walk_leaf(mm->pgd, addr, &level, &next);
		stop = min(next, vma->vm_end);
		for (; leaf && addr < stop; addr += PAGE_SIZE, leaf++) {
			pte_t e = pte_read(leaf);

			if (pte_present(e) && !pte_special(e))
				count_page(c, pfn_to_page(pte_pfn(e)), e);
			if (level)
				break;
		}
		spin_unlock(&mm->page_table_lock);
	}
}

static void show(struct report *r, const char *name, unsigned long n, unsigned long least)
{
	if (n > least)
		report_printf(r, " %s=%lu", name, n);
}

static void show_counts(struct report *r, const struct vm_area_struct *vma, const struct counts *c)
{
	const bool huge = vma->flags & VM_HUGETLB;

	if (!c->pages)
		return;
	show(r, "anon", c->anon, 0);
	show(r, "dirty", c->dirty, 0);
	if (c->pages != c->anon && c->pages != c->dirty)
		show(r, "mapped", c->pages, 0);
	show(r, "mapmax", c->mapcount_max, 1);
	show(r, "swapcache", c->swapcache, 0);
	if (c->active < c->pages && !huge)
		report_printf(r, " active=%lu", c->active);
	show(r, "writeback", c->writeback, 0);
	for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++)
		if (c->node[nid])
			report_printf(r, " N%u=%lu", nid, c->node[nid]);
	report_printf(r, " kernelpagesize_kB=%lu",
		      (unsigned long)(huge ? hstate_size(vma_hstate(vma)) : PAGE_SIZE) >> 10);
}

static void show_kind(struct report *r, const struct vm_area_struct *vma)
{
	const struct mm_struct *mm = vma->mm;
	char name[256];
	u32 major, minor;
	u64 ino;

	if (vma->file) {
		file_describe(vma->file, &major, &minor, &ino, name, sizeof(name));
		report_printf(r, " file=%s", name);
	} else if (vma->vm_start <= mm->brk && vma->vm_end >= mm->start_brk) {
		report_printf(r, " heap");
	} else if (vma->vm_start <= mm->start_stack && vma->vm_end >= mm->start_stack) {
		report_printf(r, " stack");
	}
	if (vma->flags & VM_HUGETLB)
		report_printf(r, " huge");
}

void report_numa_maps(struct report *r, struct mm_struct *mm, const struct mempolicy *task)
{
	const struct vm_area_struct *vma;

	down_read(&mm->mmap_lock);
	list_for_each_entry (vma, &mm->mmap, link) {
		struct counts c = {0};
		char policy[96];

		mpol_to_text(policy, sizeof(policy), vma->policy ? vma->policy : task);
		report_printf(r, "%08lx %s", vma->vm_start, policy);
		show_kind(r, vma);
		count_vma(&c, vma);
		show_counts(r, vma, &c);
		report_printf(r, "\n");
	}
	up_read(&mm->mmap_lock);
}
