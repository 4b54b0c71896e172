/*
 * Address spaces page by page: /proc/PID/maps, smaps, smaps_rollup, pagemap.
 *
 * smaps walks the page tables of each mapping under mmap_lock for reading. How a page is counted:
 *
 *   present        Rss; Pss gets it divided by the number of mappings it has
 *   one mapping    Private_*, more: Shared_*;  dirty when the PTE or the page says so
 *   swap entry     Swap; SwapPss divided by the entry's users
 *   zero page      not counted, as in Linux
 *
 * Sources: Documentation/filesystems/proc.rst, Documentation/admin-guide/mm/pagemap.rst.
 */
#include "fs/proc/proc.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/rmap/migrate_entry.h"
#include "mm/virt/mm.h"
#include "mm/phys/page.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/pgtable/large.h"
#include "mm/pgtable/pgtable.h"
#include "mm/virt/pkey.h"
#include "mm/rmap/rmap.h"
#include "mm/pgtable/soft_dirty.h"
#include "mm/swap/swapcache.h"
#include "mm/virt/vma.h"

#define PSS_SHIFT 12 /* Pss is summed in fractions of bytes */

struct usage {
	u64 rss, shared_clean, shared_dirty, private_clean, private_dirty; /* bytes */
	u64 referenced, anonymous, lazyfree, swap, shared_hugetlb, private_hugetlb, anon_huge;
	u64 shmem_pmd, ksm;
	u64 pss, pss_dirty, pss_anon, pss_file, pss_shmem, swap_pss, pss_locked; /* << PSS_SHIFT */
};

int proc_show_maps(struct report *r, const struct proc_ctx *ctx)
{
	struct mm_struct *mm;
	int err = proc_get_mm(ctx, &mm);

	if (err || !mm)
		return err;
	report_maps(r, mm);
	mmput(mm);
	return 0;
}

/* ---- smaps ----------------------------------------------------------------------------------- */

static void count_page(struct usage *u, const struct vm_area_struct *vma, pte_t pte)
{
	struct page *small = pfn_to_page(pte_pfn(pte)), *page = &page_folio(small)->page;
	int all = page_mapcount(small) + folio_entire_mapcount(page_folio(small));
	int mapcount = max(all, 1);
	u64 share = ((u64)PAGE_SIZE << PSS_SHIFT) / mapcount;
	bool dirty = pte_dirty(pte) || PageDirty(page);

	u->rss += PAGE_SIZE;
	u->pss += share;
	if (dirty)
		u->pss_dirty += share;
	if (mapcount > 1)
		*(dirty ? &u->shared_dirty : &u->shared_clean) += PAGE_SIZE;
	else
		*(dirty ? &u->private_dirty : &u->private_clean) += PAGE_SIZE;
	if (pte_young(pte) || PageReferenced(page))
		u->referenced += PAGE_SIZE;
	if (PageAnon(page)) {
		u->anonymous += PAGE_SIZE;
		u->pss_anon += share;
		if (PageLazyfree(page))
			u->lazyfree += PAGE_SIZE;
		if (PageKsm(page))
			u->ksm += PAGE_SIZE;
	} else if (page->type == PAGE_SHMEM) {
		u->pss_shmem += share;
	} else {
		u->pss_file += share;
	}
	if (vma->flags & VM_LOCKED)
		u->pss_locked += share;
}

/* Pages of hugetlb have their own counts, and are in neither Rss nor Pss. */
static void count_large(struct usage *u, const struct vm_area_struct *vma, pte_t e,
			unsigned int level)
{
	const struct page *head = pfn_to_page(pte_pfn(e));

	if (pte_special(e))
		return;
	if (head->type != PAGE_HUGETLB) {
		for (unsigned long i = 0; i < level_pages(level); i++)
			count_page(u, vma, __pte(e.v + (i << PAGE_SHIFT)));
		*(PageAnon(head) ? &u->anon_huge : &u->shmem_pmd) += level_size(level);
		return;
	}
	*(hugetlb_mapcount(head) > 1 ? &u->shared_hugetlb : &u->private_hugetlb) +=
		level_size(level);
}

static void count_pte(struct usage *u, const struct vm_area_struct *vma, pte_t pte)
{
	if (pte_none(pte) || (pte_present(pte) && pte_special(pte)))
		return;
	/* A page that is being migrated counts as in memory. */
	if (unlikely(pte_is_migration(pte)))
		pte = migration_entry_pte(pte_to_swp_entry(pte));
	if (pte_present(pte)) {
		count_page(u, vma, pte);
	} else if (swap_entry_valid(pte_to_swp_entry(pte))) {
		u->swap += PAGE_SIZE;
		u->swap_pss +=
			((u64)PAGE_SIZE << PSS_SHIFT) / max(swap_users(pte_to_swp_entry(pte)), 1u);
	}
}

/* mmap_lock held for reading. */
static void count_vma(struct usage *u, struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr = vma->vm_start, next, end;

	while (addr < vma->vm_end) {
		unsigned int level;
		pte_t *leaf;

		spin_lock(&mm->page_table_lock);
		leaf = walk_leaf(mm->pgd, addr, &level, &next);
		end = min(next, vma->vm_end);
		if (leaf && level)
			count_large(u, vma, pte_read(leaf), level);
		if (!leaf || level)
			addr = end;
		for (; addr < end; addr += PAGE_SIZE)
			count_pte(u, vma, pte_read(leaf++));
		spin_unlock(&mm->page_table_lock);
		cond_resched();
	}
}

static void kb(struct report *r, const char *label, u64 bytes)
{
	report_printf(r, "%-16s%8lu kB\n", label, (unsigned long)(bytes >> 10));
}

/* smaps has a block for each VMA; smaps_rollup one for all. */
enum usage_form { OF_ONE_VMA, OF_ALL };

static void show_usage(struct report *r, const struct usage *u, enum usage_form form)
{
	kb(r, "Rss:", u->rss);
	kb(r, "Pss:", u->pss >> PSS_SHIFT);
	kb(r, "Pss_Dirty:", u->pss_dirty >> PSS_SHIFT);
	if (form == OF_ALL) {
		kb(r, "Pss_Anon:", u->pss_anon >> PSS_SHIFT);
		kb(r, "Pss_File:", u->pss_file >> PSS_SHIFT);
		kb(r, "Pss_Shmem:", u->pss_shmem >> PSS_SHIFT);
	}
	kb(r, "Shared_Clean:", u->shared_clean);
	kb(r, "Shared_Dirty:", u->shared_dirty);
	kb(r, "Private_Clean:", u->private_clean);
	kb(r, "Private_Dirty:", u->private_dirty);
	kb(r, "Referenced:", u->referenced);
	kb(r, "Anonymous:", u->anonymous);
	kb(r, "KSM:", u->ksm);
	kb(r, "LazyFree:", u->lazyfree);
	kb(r, "AnonHugePages:", u->anon_huge);
	kb(r, "ShmemPmdMapped:", u->shmem_pmd);
	kb(r, "Shared_Hugetlb:", u->shared_hugetlb);
	kb(r, "Private_Hugetlb:", u->private_hugetlb);
	kb(r, "Swap:", u->swap);
	kb(r, "SwapPss:", u->swap_pss >> PSS_SHIFT);
	kb(r, "Locked:", u->pss_locked >> PSS_SHIFT);
}

static void show_flags(struct report *r, const struct vm_area_struct *vma)
{
	static const struct {
		unsigned long flag;
		char name[3];
	} names[] = {
		{VM_READ, "rd"},       {VM_WRITE, "wr"},	{VM_EXEC, "ex"},
		{VM_SHARED, "sh"},     {VM_MAYREAD, "mr"},	{VM_MAYWRITE, "mw"},
		{VM_MAYEXEC, "me"},    {VM_MAYSHARE, "ms"},	{VM_GROWSDOWN, "gd"},
		{VM_PFNMAP, "pf"},     {VM_LOCKED, "lo"},	{VM_IO, "io"},
		{VM_SEQ_READ, "sr"},   {VM_RAND_READ, "rr"},	{VM_DONTCOPY, "dc"},
		{VM_DONTEXPAND, "de"}, {VM_ACCOUNT, "ac"},	{VM_NORESERVE, "nr"},
		{VM_HUGETLB, "ht"},    {VM_WIPEONFORK, "wf"},	{VM_DONTDUMP, "dd"},
		{VM_SOFTDIRTY, "sd"},  {VM_HUGEPAGE, "hg"},	{VM_NOHUGEPAGE, "nh"},
		{VM_SEALED, "sl"},     {VM_UFFD_MISSING, "um"}, {VM_UFFD_WP, "uw"},
		{VM_UFFD_MINOR, "ui"}, {VM_MERGEABLE, "mg"},
	};

	report_printf(r, "VmFlags: ");
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		if (vma->flags & names[i].flag)
			report_printf(r, "%s ", names[i].name);
	}
	report_printf(r, "\n");
}

int proc_show_smaps(struct report *r, const struct proc_ctx *ctx)
{
	struct vm_area_struct *vma;
	struct mm_struct *mm;
	int err = proc_get_mm(ctx, &mm);

	if (err || !mm)
		return err;
	down_read(&mm->mmap_lock);
	list_for_each_entry (vma, &mm->mmap, link) {
		struct usage u = {0};
		u64 page;

		count_vma(&u, vma);
		report_vma(r, vma);
		kb(r, "Size:", vma->vm_end - vma->vm_start);
		page = vma->flags & VM_HUGETLB ? hstate_size(vma_hstate(vma)) : PAGE_SIZE;
		kb(r, "KernelPageSize:", page);
		kb(r, "MMUPageSize:", page);
		show_usage(r, &u, OF_ONE_VMA);
		report_printf(r, "THPeligible:    %8d\n", thp_vma_eligible(vma));
		if (arch_has_pkeys())
			report_printf(r, "ProtectionKey:  %8d\n", vma_pkey(vma));
		show_flags(r, vma);
	}
	up_read(&mm->mmap_lock);
	mmput(mm);
	return 0;
}

int proc_show_smaps_rollup(struct report *r, const struct proc_ctx *ctx)
{
	unsigned long start = 0, end = 0;
	struct vm_area_struct *vma;
	struct usage u = {0};
	struct mm_struct *mm;

	mm = process_get_mm(ctx->pid);
	if (!mm)
		return -ESRCH;
	down_read(&mm->mmap_lock);
	list_for_each_entry (vma, &mm->mmap, link) {
		if (!end)
			start = vma->vm_start;
		end = vma->vm_end;
		count_vma(&u, vma);
	}
	up_read(&mm->mmap_lock);
	report_printf(r, "%08lx-%08lx ---p 00000000 00:00 0 %26s[rollup]\n", start, end, "");
	show_usage(r, &u, OF_ALL);
	mmput(mm);
	return 0;
}

/* ---- pagemap: 64 bits a page ----------------------------------------------------------------- */

#define PM_SOFT_DIRTY (1ull << 55)
#define PM_EXCLUSIVE  (1ull << 56)
#define PM_UFFD_WP    (1ull << 57)
#define PM_FILE	      (1ull << 61)
#define PM_SWAP	      (1ull << 62)
#define PM_PRESENT    (1ull << 63)
#define PM_TYPE_BITS  5

static u64 pagemap_entry(pte_t pte, unsigned int level, unsigned long addr)
{
	/* Soft-dirty of hugetlb is that of the whole mapping, as in Linux, which does not track it by page. */
	const bool hugetlb = level && pfn_to_page(pte_pfn(pte))->type == PAGE_HUGETLB;
	const u64 wp = (pte_uffd_wp(pte) ? PM_UFFD_WP : 0) |
		       (pte_soft_dirty(pte) && !hugetlb ? PM_SOFT_DIRTY : 0);
	struct page *page;
	u64 entry;

	if (pte_none(pte))
		return 0;
	if (pmd_is_migration(pte))
		return PM_SWAP | (pte.v & _PAGE_SOFT_DIRTY ? PM_SOFT_DIRTY : 0) |
		       (pte_write(pte) ? MMVM_SWP_MIGRATION_WRITE : MMVM_SWP_MIGRATION_READ) |
		       (u64)leaf_pfn(pte, level, addr) << PM_TYPE_BITS |
		       (PageAnon(pfn_to_page(pte_pfn(pte))) ? 0 : PM_FILE);
	if (!pte_present(pte)) {
		swp_entry_t e = pte_to_swp_entry(pte);

		entry = PM_SWAP | swp_type(e) | (u64)swp_offset(e) << PM_TYPE_BITS;
		/* As in Linux, shown with a type that no swap area has, and with the old frame. */
		if (is_migration_entry(e))
			entry = PM_SWAP | swp_type(e) |
				(swp_offset(e) & MMVM_MIGRATION_PFN) << PM_TYPE_BITS |
				(PageAnon(migration_entry_page(e)) ? 0 : PM_FILE);
		return entry | wp;
	}
	entry = PM_PRESENT | wp | leaf_pfn(pte, level, addr);
	if (pte_special(pte))
		return entry;
	page = pfn_to_page(pte_pfn(pte)); /* the head of a large one */
	if (page_mapcount(page) + folio_entire_mapcount(page_folio(page)) == 1)
		entry |= PM_EXCLUSIVE;
	page = &page_folio(page)->page;
	if (!PageAnon(page))
		entry |= PM_FILE;
	return entry;
}

int proc_write_clear_refs(const char *text, const struct proc_ctx *ctx)
{
	struct mm_struct *mm;
	char number[12] = ""; /* as in Linux, the rest is ignored */
	size_t n = 0;
	s64 what;
	int err;

	while (*text == ' ' || *text == '\t' || *text == '\n')
		text++;
	while (n < sizeof(number) - 1 && text[n]) {
		number[n] = text[n];
		n++;
	}
	while (n && (number[n - 1] == ' ' || number[n - 1] == '\t' || number[n - 1] == '\n'))
		n--;
	number[n] = 0;
	if (proc_parse_decimal(number, &what))
		return -EINVAL;
	if (what != (int)what)
		return -ERANGE;
	if (what < CLEAR_REFS_ALL || what > CLEAR_REFS_HIWATER)
		return -EINVAL;
	err = proc_get_mm(ctx, &mm);
	if (err || !mm)
		return err;
	err = mm_clear_refs(mm, (enum clear_refs)what);
	mmput(mm);
	return err;
}

long proc_read_pagemap(struct file *f, unsigned long buf, size_t len, u64 *pos,
		       const struct proc_ctx *ctx)
{
	struct vm_area_struct *vma;
	struct mm_struct *mm;
	u64 chunk[64];
	long done = 0;
	int err;

	if ((*pos | len) & 7)
		return -EINVAL;
	err = proc_get_mm(ctx, &mm);
	if (err || !mm)
		return err;
	while (len && *pos / 8 < TASK_SIZE >> PAGE_SHIFT) {
		unsigned long addr = *pos / 8 << PAGE_SHIFT;
		u64 room = min(len / 8, (TASK_SIZE - addr) >> PAGE_SHIFT);
		u32 n = min(room, ARRAY_SIZE(chunk));

		down_read(&mm->mmap_lock);
		vma = find_vma(mm, addr);
		spin_lock(&mm->page_table_lock);
		for (u32 i = 0; i < n; i++) {
			unsigned long at = addr + i * PAGE_SIZE, next;
			unsigned int level;
			pte_t *leaf = walk_leaf(mm->pgd, at, &level, &next);

			chunk[i] = leaf ? pagemap_entry(pte_read(leaf), level, at) : 0;
			while (vma && vma->vm_end <= at)
				vma = vma_next(vma);
			if (vma && vma->vm_start <= at && (vma->flags & VM_SOFTDIRTY))
				chunk[i] |= PM_SOFT_DIRTY;
		}
		spin_unlock(&mm->page_table_lock);
		up_read(&mm->mmap_lock);
		if (copy_to_user(buf + done, chunk, n * 8)) {
			done = done ? done : -EFAULT;
			break;
		}
		*pos += n * 8;
		len -= n * 8;
		done += n * 8;
	}
	mmput(mm);
	return done;
}
