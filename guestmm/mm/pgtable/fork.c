/*
 * Copying an address space for fork().
 *
 *      parent                         child
 *      VMA ──> PTE (now read-only) ─┐ VMA ──> PTE (read-only) ─┐
 *                                   └──> page <────────────────┘   refcount, mapcount 2
 *      VMA ──> swap entry ─────────────> slot <── swap entry       2 users
 *
 * No page is copied: both sides lose the right to write, and whoever writes first gets a page of
 * its own (do_wp_page() in fault.c). What has no anonymous page yet, the shared zero page included,
 * is not copied at all where the whole VMA is such, nor are pages of files: the child faults them in
 * by itself.
 *
 * I1  No page that is mapped in both is writable in either.
 * I2  A child that could not be made whole has been charged for exactly the VMAs that are in its
 *     tree, so that mmput() takes back all of it.
 * I3  Locked memory is not inherited (fork(2)).
 *
 * Locks: mmap_lock of the parent for writing, then that of the child, which nobody else can hold
 * for long: only swapoff and reports find it. page_table_lock of the parent, then of the child.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/fault/userfault.h"
#include "mm/huge/thp.h"
#include "mm/ksm/ksm.h"
#include "mm/pgtable/guard.h"
#include "mm/pgtable/large.h"
#include "mm/rmap/migrate_entry.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/swap/swapcache.h"
#include "mm/virt/vma.h"

struct copy {
	s64 anon, swap;
	bool protected;	    /* some PTE of the parent lost its right to write */
	unsigned long addr; /* for the trace: of the first PTE of a call, and whose it becomes */
	u32 mm_id;
	u64 drop;     /* bits that the child's present PTEs lose */
	bool uffd_wp; /* the child's faults are answered: its write protection stays */
};

/* Both P held. Copies up to n PTEs; returns how many. Fewer than n: src[result] is a swap entry
 * that has as many users as can be counted, or a migration entry, which must not be copied. */
static unsigned long copy_ptes(struct copy *c, pte_t *dst, pte_t *src, unsigned long n)
{
	s64 anon = 0, swap = 0;
	unsigned long i;

	for (i = 0; i < n; i++) {
		pte_t e = pte_read(&src[i]);

		if (pte_none(e))
			continue;
		if (unlikely(!pte_present(e))) {
			if (unlikely(pte_is_guard(e))) {
				pte_set(&dst[i], c->uffd_wp ? e : pte_clear_uffd_wp(e));
				continue;
			}
			if (is_migration_entry(pte_to_swp_entry(e)) ||
			    swap_duplicate(pte_to_swp_entry(e)))
				break;
			pte_set(&dst[i], c->uffd_wp ? e : pte_clear_uffd_wp(e));
			swap++;
			continue;
		}
		if (likely(!pte_special(e))) {
			struct page *page = pfn_to_page(pte_pfn(e));

			if (unlikely(!PageAnon(page) || PageHead(page))) {
				/* A page of a file is there for the child to find. */
				if (!PageAnon(&page_folio(page)->page)) {
					if (unlikely(c->uffd_wp && pte_uffd_wp(e)))
						pte_set(&dst[i], uffd_wp_marker());
					continue;
				}
				folio_get(page_folio(page));
				folio_add_rmap_pte(page_folio(page), page);
				goto mapped;
			}
			get_page(page);
			atomic_add(&page->mapcount, 1);
		mapped:
			anon++;
			trace_point(MAP, c->addr + (i << PAGE_SHIFT), .pfn = page_to_pfn(page),
				    .mm = c->mm_id, .arg = TRACE_MAP_FORK);
		}
		if (pte_write(e)) {
			/* Only this bit: a CPU may be setting A and D. */
			atomic_and(&src[i].v, ~_PAGE_RW);
			c->protected = true;
		}
		/* Not accessed by the child yet; dirty stays, in case the parent's PTE is cleared first. */
		pte_set(&dst[i], __pte(e.v & ~c->drop));
	}
	c->anon += anon;
	c->swap += swap;
	return i;
}

/* Copy the PTEs of [addr, end), all of one table of the parent's, into the child. */
static int copy_table(struct copy *c, struct mm_struct *mm, struct vm_area_struct *vma, pte_t *src,
		      unsigned long addr, unsigned long end)
{
	struct mm_struct *oldmm = vma->mm;
	pte_t *dst = walk_pte_alloc(mm, addr);
	unsigned long n = (end - addr) >> PAGE_SHIFT, done = 0;

	if (!dst)
		return -ENOMEM;
	for (;;) {
		int err;

		spin_lock(&oldmm->page_table_lock);
		flush_tlb_batched_pending(oldmm);
		spin_lock_nested(&mm->page_table_lock);
		c->addr = addr + (done << PAGE_SHIFT);
		done += copy_ptes(c, dst + done, src + done, n - done);
		spin_unlock(&mm->page_table_lock);
		spin_unlock(&oldmm->page_table_lock);
		if (likely(done == n))
			return 0;
		/* The slot is shared by too many: share the page itself. One that moves is waited for. */
		err = swap_in_pte(vma, addr + (done << PAGE_SHIFT), src + done);
		if (err)
			return err;
	}
}

static int copy_page_range(struct vm_area_struct *child, struct vm_area_struct *vma)
{
	struct mm_struct *oldmm = vma->mm, *mm = child->mm;
	unsigned long addr = vma->vm_start, next, stop;
	struct copy c = {.mm_id = trace_mm_id(mm),
			 .uffd_wp = child->flags & VM_UFFD_WP,
			 .drop = _PAGE_RW | _PAGE_ACCESSED |
				 (child->flags & VM_UFFD_WP ? 0 : _PAGE_UFFD_WP)};
	int err = 0;

	while (addr < vma->vm_end && !err) {
		unsigned int level;
		pte_t *leaf = walk_leaf(oldmm->pgd, addr, &level, &next);

		stop = min(next, vma->vm_end);
		if (unlikely(leaf && level)) {
			err = copy_large(child, vma, leaf, level, addr, &c.protected);
			if (err == -EAGAIN) {
				err = 0;
				continue; /* PTEs now */
			}
		} else if (leaf) {
			err = copy_table(&c, mm, vma, leaf, addr, stop);
		}
		addr = stop;
		cond_resched();
	}
	/* Reclaim may have unmapped some of them already: add, not set. */
	atomic_add(&mm->rss_anon, c.anon);
	atomic_add(&mm->rss_swap, c.swap);
	if (c.protected)
		flush_tlb_mm(oldmm); /* before the parent may write again (I1) */
	return err;
}

static int dup_vma(struct mm_struct *mm, struct vm_area_struct *old, struct uffd_fork **forks)
{
	unsigned long flags = old->flags & ~(VM_LOCKED | VM_LOCKONFAULT | VM_UFFD),
		      pages = vma_pages(old);
	struct vm_area_struct *vma;
	int err;

	if (flags & VM_ACCOUNT) {
		err = vm_charge(mm, pages);
		if (err)
			return err;
	}
	err = -ENOMEM;
	vma = vma_alloc(mm, old->vm_start, old->vm_end, flags, old->name);
	if (!vma)
		goto uncharge;
	vma_copy_policy(vma, old);
	if (unlikely(old->uffd)) {
		err = uffd_vma_fork(vma, old, forks);
		if (err)
			goto free;
	}
	/* Behind the parent in i_mmap (rmap_file.c, I3). */
	vma_set_backing(vma, old->file, old->mapping, old->pgoff);
	if (!(flags & VM_WIPEONFORK)) {
		err = anon_vma_fork(vma, old);
		if (err)
			goto free;
	}
	vma_link(vma);
	vm_stat_account(mm, flags, pages);
	/* What userfaultfd protects is protected in the child's tables as well, where it is asked for that. */
	return vma->anon_vma || unlikely(vma->flags & VM_UFFD_WP) ? copy_page_range(vma, old) : 0;
free:
	vma_free(vma);
uncharge:
	if (flags & VM_ACCOUNT)
		vm_uncharge(mm, pages);
	return err;
}

static void copy_layout(struct mm_struct *mm, const struct mm_struct *old)
{
	mm->start_code = old->start_code;
	mm->end_code = old->end_code;
	mm->start_data = old->start_data;
	mm->end_data = old->end_data;
	mm->start_brk = old->start_brk;
	mm->brk = old->brk;
	mm->start_stack = old->start_stack;
	mm->arg_start = old->arg_start;
	mm->arg_end = old->arg_end;
	mm->env_start = old->env_start;
	mm->env_end = old->env_end;
	mm->exe_file = old->exe_file;
	if (mm->exe_file)
		exe_file_get(mm->exe_file);
	mm->mmap_base = old->mmap_base;
	mm->thp_disabled = old->thp_disabled;
	mm->dumpable = old->dumpable;
	mm->dump_filter = old->dump_filter;
	memcpy(mm->saved_auxv, old->saved_auxv, sizeof(mm->saved_auxv));
	mm->sealed = old->sealed;
	mm->pkey_map = old->pkey_map;
	mm->exec_pkey = old->exec_pkey;
}

struct mm_struct *dup_mm(struct mm_struct *oldmm)
{
	struct mm_struct *mm = mm_alloc();
	struct uffd_fork *forks = NULL;
	struct vm_area_struct *vma;
	int err = 0;

	if (!mm)
		return NULL;
	down_write(&oldmm->mmap_lock);
	down_write_nested(&mm->mmap_lock);
	copy_layout(mm, oldmm);
	list_for_each_entry (vma, &oldmm->mmap, link) {
		if (vma->flags & VM_DONTCOPY)
			continue;
		err = dup_vma(mm, vma, &forks);
		if (err)
			break;
	}
	if (!err)
		err = ksm_fork(mm, oldmm);
	up_write(&mm->mmap_lock);
	up_write(&oldmm->mmap_lock);
	if (err) {
		mmput(mm);
		uffd_fork_abort(forks);
		return NULL;
	}
	if (unlikely(forks))
		uffd_fork_complete(forks);
	return mm;
}
