/*
 * Page faults: a touch becomes a page.
 *
 *   PTE                       read                      write
 *   empty                     shared zero page          new zeroed page
 *   zero page, read-only      spurious                  new zeroed page (COW)
 *   page, read-only           spurious                  copy, or made writable if nobody shares it
 *   swap entry                page from swap            page from swap, writable
 *   migration entry           wait, and look again      wait, and look again
 *   guard marker              SIGSEGV                   SIGSEGV
 *   userfaultfd's marker      as if empty, protected    and then userfaultfd is asked
 *
 * What is empty in a mapping of a file, or read-only in a shared one, is file_fault.c's.
 *
 * The order is: VMA, rights, memory (may sleep), then page_table_lock, PTE unchanged? fill it.
 * If the PTE has changed, somebody else did the work and ours is thrown away.
 *
 * I1  An anonymous page outside the swap cache is dirty by definition; inside, it equals its slot
 *     unless PG_dirty or a PTE's dirty bit says otherwise.
 * I2  A PTE is writable only if anon_page_exclusive() held when it was made so.
 * I3  The zero page is mapped by special PTEs: no reference, no mapcount, no rss. So are pages of the
 *     kernel's own (special.c).
 *
 * Locks: mmap_lock for reading throughout; page lock for a page from swap; page_table_lock last.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "arch/static_key.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/highmem.h"
#include "mm/numa/balancing.h"
#include "mm/numa/mempolicy.h"
#include "mm/phys/alloc.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/fault/fault.h"
#include "mm/pgtable/guard.h"
#include "mm/rmap/migrate_entry.h"
#include "mm/fault/special.h"
#include "mm/fault/userfault.h"
#include "mm/cache/dax.h"
#include "mm/cache/pagecache.h"
#include "mm/pgtable/pgtable.h"
#include "mm/swap/swapcache.h"

/* A page for private memory, charged. `zero`: __GFP_ZERO, or 0 when the caller fills it. */
static __always_inline struct page *alloc_anon_page(struct vm_fault *vmf, gfp_t zero)
{
	struct page *page;

	if (unlikely(anon_vma_prepare(vmf->vma)))
		return NULL;
	page = alloc_pages_type(GFP_HIGHUSER_MOVABLE | zero, 0, PAGE_ANON);
	if (likely(page) && mem_cgroup_charge(page, vmf->mm, GFP_KERNEL)) {
		__free_page(page);
		return NULL;
	}
	return page;
}

struct page *alloc_private_page(struct vm_fault *vmf)
{
	return alloc_anon_page(vmf, 0);
}

static unsigned int do_anonymous_page(struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->mm;
	struct page *page;

	if (!(vmf->flags & FAULT_FLAG_WRITE)) {
		spin_lock(&mm->page_table_lock);
		if (likely(pte_none(pte_read(vmf->pte)))) {
			pte_set(vmf->pte, mk_pte(page_to_pfn(zero_page),
						 vmf->vma->prot | _PAGE_SPECIAL | _PAGE_ACCESSED));
			trace_map(vmf, zero_page, ZERO);
		}
		spin_unlock(&mm->page_table_lock);
		count_vm_event(MMVM_FAULT_ZERO);
		return 0;
	}
	page = alloc_anon_page(vmf, __GFP_ZERO);
	if (unlikely(!page))
		return VM_FAULT_OOM;
	spin_lock(&mm->page_table_lock);
	if (likely(pte_none(pte_read(vmf->pte)))) {
		map_new_page(vmf, page);
		trace_map(vmf, page, ANON);
		atomic_add(&mm->rss_anon, 1);
		page = NULL;
	}
	spin_unlock(&mm->page_table_lock);
	if (unlikely(page))
		__free_page(page);
	count_vm_event(MMVM_FAULT_ANON);
	return 0;
}

/* P held, and released: a write to one page of a large folio that is mapped by PTEs. */
static __attribute__((noinline)) unsigned int do_wp_thp(struct vm_fault *vmf, struct page *old)
{
	struct folio *folio = page_folio(old);
	bool anon = PageAnon(&folio->page);
	struct mm_struct *mm = vmf->mm;
	struct page *page;

	if (anon && thp_page_exclusive(folio, old)) {
		pte_t e = pte_mkdirty(pte_mkyoung(vmf->orig));

		/* A tracer's write is made where the program may not write. */
		pte_set(vmf->pte, vmf->vma->flags & VM_WRITE ? pte_mkwrite(e) : e);
		count_vm_event(PGREUSE);
		spin_unlock(&mm->page_table_lock);
		return 0;
	}
	folio_get(folio);
	spin_unlock(&mm->page_table_lock);
	page = alloc_anon_page(vmf, 0);
	if (!page) {
		release_page(&folio->page);
		return VM_FAULT_OOM;
	}
	copy_highpage(page, old);
	spin_lock(&mm->page_table_lock);
	if (likely(pte_read(vmf->pte).v == vmf->orig.v)) {
		pte_set(vmf->pte, __pte(0));
		flush_tlb_page(mm, vmf->addr);
		map_new_page(vmf, page);
		trace_map(vmf, page, COW);
		folio_remove_rmap_pte(folio, old);
		if (!anon) {
			atomic_sub(&mm->rss_shmem, 1);
			atomic_add(&mm->rss_anon, 1);
		}
		page = &folio->page; /* loses this PTE's reference */
		count_vm_event(MMVM_FAULT_COW);
	}
	spin_unlock(&mm->page_table_lock);
	release_page(page);
	release_page(&folio->page);
	return 0;
}

/* P held: the VMA has got a copy instead of this page. */
static __attribute__((noinline)) void left_by_cow(const struct vm_area_struct *vma,
						  struct page *old)
{
	if (PageKsm(old))
		count_vm_event(COW_KSM);
	if (vma->flags & VM_LOCKED)
		munlock_page(old); /* the relatives' now */
}

enum wp_how { WP_REUSE, WP_FORCED };

/* Write to a page that is mapped read-only. WP_FORCED: a page that is the VMA's alone is left as it is. */
static __always_inline unsigned int wp_page(struct vm_fault *vmf, enum wp_how how)
{
	struct mm_struct *mm = vmf->mm;
	struct page *old = NULL, *page;

	spin_lock(&mm->page_table_lock);
	if (unlikely(pte_read(vmf->pte).v != vmf->orig.v))
		goto unlock;
	if (!pte_special(vmf->orig)) {
		old = pfn_to_page(pte_pfn(vmf->orig));
		if (PageAnon(old) && anon_page_exclusive(old)) {
			if (how == WP_FORCED)
				goto unlock;
			/* An upgrade needs no flush: the CPU that faulted has dropped its
			 * translation, others fault and find this. */
			pte_set(vmf->pte, pte_mkwrite(pte_mkdirty(pte_mkyoung(vmf->orig))));
			count_vm_event(PGREUSE);
			trace_map(vmf, old, REUSE);
			goto unlock;
		}
		if (unlikely(page_in_thp(old)))
			return do_wp_thp(vmf, old);
		get_page(old); /* stays readable while we copy */
	}
	spin_unlock(&mm->page_table_lock);
	if (!old && unlikely(vmf->vma->mapping && mapping_is_dax(vmf->vma->mapping)))
		return dax_fault(vmf);

	page = alloc_anon_page(vmf, old ? 0 : __GFP_ZERO);
	if (unlikely(!page)) {
		if (old)
			release_page(old);
		return VM_FAULT_OOM;
	}
	if (old)
		copy_highpage(page, old);
	spin_lock(&mm->page_table_lock);
	if (likely(pte_read(vmf->pte).v == vmf->orig.v)) {
		pte_set(vmf->pte, __pte(0));
		flush_tlb_page(mm, vmf->addr);
		if (old)
			trace_point(UNMAP, vmf->addr, .pfn = page_to_pfn(old),
				    .mm = trace_mm_id(mm), .arg = TRACE_UNMAP_COW);
		map_new_page(vmf, page);
		trace_map(vmf, page, COW);
		page = old; /* loses this PTE's reference */
		if (!old || !PageAnon(old))
			atomic_add(&mm->rss_anon, 1);
		if (old && !PageAnon(old))
			page_remove_file_rmap(old, mm);
		else if (old && atomic_sub_return(&old->mapcount, 1) < 0)
			page_stat_add(old, NR_ANON_MAPPED, -1);
		if (unlikely(old && (vmf->vma->flags & (VM_LOCKED | VM_MERGEABLE))))
			left_by_cow(vmf->vma, old);
		count_vm_event(MMVM_FAULT_COW);
	}
	spin_unlock(&mm->page_table_lock);
	if (page) {
		/* The page may have lost its last mapping and the last user of its slot at the
		 * same time. */
		if (unlikely(PageSwapCache(page)))
			free_swap_cache(&page, 1);
		release_page(page);
	}
	if (old)
		release_page(old);
	return 0;
unlock:
	spin_unlock(&mm->page_table_lock);
	return 0;
}

static unsigned int do_wp_page(struct vm_fault *vmf)
{
	return wp_page(vmf, WP_REUSE);
}

__attribute__((noinline, cold)) unsigned int wp_forced_page(struct vm_fault *vmf)
{
	return wp_page(vmf, WP_FORCED);
}

/* Cached page for the entry, locked, with valid contents; NULL with *err = 0: look again. */
static struct page *swapin_locked(struct vm_fault *vmf, swp_entry_t entry, unsigned int *err,
				  bool *major)
{
	struct page *page = NULL;

	/* The first attempt reads neighbours as well, and may fail because of one of them. Then
	 * the page is dropped, and read again alone. */
	for (int attempt = 0; attempt < 2; attempt++) {
		bool started = false;

		page = swapin_readahead(entry, vmf->mm, attempt ? SWAPIN_ALONE : SWAPIN_AROUND,
					&started);
		*major |= started;
		if (!page) {
			*err = pte_read(vmf->pte).v == vmf->orig.v ? VM_FAULT_OOM : 0;
			return NULL;
		}
		if (!trylock_page(page)) {
			/* The page was evicted while it was in use, so this wait counts as a
			 * memory stall. */
			bool stalls = PageWorkingset(page);

			if (stalls)
				psi_memstall_enter();
			lock_page(page);
			if (stalls)
				psi_memstall_leave();
		}
		if (unlikely(!PageSwapCache(page) || page->private_ != entry.v)) {
			*err = 0; /* left the cache while we waited */
			goto drop;
		}
		if (likely(PageUptodate(page))) {
			*err = 0;
			return page;
		}
		*err = VM_FAULT_SIGBUS;
		delete_from_swap_cache(page);
		unlock_page(page);
		release_page(page);
	}
	return NULL;
drop:
	unlock_page(page);
	release_page(page);
	return NULL;
}

static unsigned int do_swap_page(struct vm_fault *vmf)
{
	swp_entry_t entry = pte_to_swp_entry(vmf->orig);
	struct vm_area_struct *vma = vmf->vma;
	struct mm_struct *mm = vmf->mm;
	unsigned int ret = 0;
	bool major = false;
	struct page *page;
	pte_t pte;

	if (unlikely(!swap_entry_valid(entry))) {
		if (is_migration_entry(entry)) {
			migration_entry_wait(mm, vmf->pte, vmf->orig);
			return 0;
		}
		if (is_poison_entry(entry))
			return VM_FAULT_HWPOISON;
		if (is_guard_entry(entry))
			return VM_FAULT_SIGSEGV_MAPERR; /* as Linux says it */
		if (pte_read(vmf->pte).v != vmf->orig.v)
			return 0; /* swapoff was faster */
		printk("swap: bad entry %#lx at %#lx\n", (unsigned long)entry.v, vmf->addr);
		return VM_FAULT_SIGBUS;
	}
	if (unlikely(anon_vma_prepare(vma)))
		return VM_FAULT_OOM;
	page = swapin_locked(vmf, entry, &ret, &major);
	if (major)
		ret |= VM_FAULT_MAJOR;
	if (unlikely(!page))
		return ret;

	spin_lock(&mm->page_table_lock);
	if (unlikely(pte_read(vmf->pte).v != vmf->orig.v)) {
		spin_unlock(&mm->page_table_lock);
		unlock_page(page);
		release_page(page);
		return ret;
	}
	get_page(page); /* the PTE's; ours is dropped at the end */
	page_add_anon_rmap(page, vma, vmf->addr);
	if (static_key(KEY_NUMA) && vma->policy)
		mempolicy_note_placement(vma, page);
	trace_map(vmf, page, SWAP);
	swap_free(entry);
	atomic_sub(&mm->rss_swap, 1);
	atomic_add(&mm->rss_anon, 1);
	pte = mk_pte(page_to_pfn(page), vma->prot | _PAGE_ACCESSED | swp_pte_kept(vmf->orig));
	/* With _PAGE_UFFD_WP a write faults again, and the monitor is asked. */
	if (likely(!pte_uffd_wp(vmf->orig)) && anon_page_exclusive(page)) {
		if (vmf->flags & FAULT_FLAG_WRITE)
			pte = pte_mkwrite(pte_mkdirty(pte));
		else if ((vma->flags & (VM_WRITE | VM_SOFTDIRTY)) == (VM_WRITE | VM_SOFTDIRTY))
			pte = pte_mkwrite(pte); /* else the first write is waited for */
	}
	if (PageReclaim(page))
		ClearPageReclaim(page);
	pte_set(vmf->pte, pte);
	vmf->orig = pte;
	spin_unlock(&mm->page_table_lock);
	count_vm_event(MMVM_FAULT_SWAP);

	/* The slot's contents are stale after the write, or slots are scarce: give it back. */
	if ((vmf->flags & FAULT_FLAG_WRITE) || (vma->flags & VM_LOCKED) ||
	    !swap_area(entry)->writable ||
	    !swap_keep_slot(atomic_load(&nr_swap_pages), swap_total_pages()))
		try_to_free_swap(page);
	unlock_page(page);
	release_page(page);
	if ((vmf->flags & FAULT_FLAG_WRITE) && !pte_write(pte) && likely(!pte_uffd_wp(pte)))
		ret |= do_wp_page(vmf);
	return ret;
}

int swap_in_pte(struct vm_area_struct *vma, unsigned long addr, pte_t *pte)
{
	struct vm_fault vmf = {.mm = vma->mm, .vma = vma, .addr = addr, .pte = pte};
	unsigned int ret;

	vmf.orig = pte_read(pte);
	if (!pte_is_swap(vmf.orig))
		return 0;
	ret = do_swap_page(&vmf);
	return ret & VM_FAULT_OOM ? -ENOMEM : ret & VM_FAULT_ERROR ? -EIO : 0;
}

int unshare_pte(struct vm_area_struct *vma, unsigned long addr, pte_t *pte)
{
	struct vm_fault vmf = {.mm = vma->mm, .vma = vma, .addr = addr, .pte = pte};

	vmf.flags = FAULT_FLAG_WRITE;
	vmf.orig = pte_read(pte);
	if (!pte_present(vmf.orig) || pte_special(vmf.orig))
		return 0;
	return do_wp_page(&vmf) & VM_FAULT_OOM ? -ENOMEM : 0;
}

void map_private_copy(struct vm_fault *vmf, struct page *copy)
{
	struct mm_struct *mm = vmf->mm;

	spin_lock(&mm->page_table_lock);
	if (likely(pte_read(vmf->pte).v == vmf->orig.v)) {
		if (!pte_none(vmf->orig)) {
			pte_set(vmf->pte, __pte(0));
			flush_tlb_page(mm, vmf->addr);
		}
		map_new_page(vmf, copy);
		trace_map(vmf, copy, COW);
		atomic_add(&mm->rss_anon, 1);
		copy = NULL;
	}
	spin_unlock(&mm->page_table_lock);
	if (copy)
		__free_page(copy);
	count_vm_event(MMVM_FAULT_COW);
}

unsigned int wp_private_page(struct vm_fault *vmf)
{
	return do_wp_page(vmf);
}

static __attribute__((noinline)) unsigned int wp_rare(struct vm_fault *vmf)
{
	return vmf->vma->flags & VM_SHARED ? do_wp_shared(vmf) : special_wp_fault(vmf);
}

/* There is no table of PTEs: a huge page, or make one. VM_FAULT_FALLBACK: vmf->pte is there now. */
static __attribute__((noinline)) unsigned int fault_no_table(struct vm_fault *vmf)
{
	if (vmf->vma->flags & VM_HUGETLB)
		return hugetlb_fault(vmf);
	for (;;) {
		unsigned int ret = thp_possible() ? thp_fault(vmf) : VM_FAULT_FALLBACK;
		pte_t *pmd;

		if (ret != VM_FAULT_FALLBACK)
			return ret;
		vmf->pte = walk_pte_alloc(vmf->mm, vmf->addr);
		if (likely(vmf->pte))
			return VM_FAULT_FALLBACK;
		/* No memory; or another fault has mapped a huge page meanwhile. */
		pmd = walk_level(vmf->mm->pgd, vmf->addr, PT_LEVEL_PMD);
		if (!pmd || !pte_huge(pte_read(pmd)))
			return VM_FAULT_OOM;
	}
}

/* What is missing at vmf->pte? mmap_lock held for reading; not released. */
static __always_inline unsigned int fault_at_pte(struct vm_fault *vmf)
{
again:
	vmf->orig = pte_read(vmf->pte);
	if (pte_none(vmf->orig)) {
		if (unlikely(vmf->vma->flags & (VM_UFFD | VM_DONTEXPAND))) {
			unsigned int ret;

			if (vmf->vma->flags & VM_DONTEXPAND)
				return special_fault(vmf);
			ret = userfault_check(vmf);
			if (ret)
				return ret;
		}
		return unlikely(vmf->vma->mapping) ? do_file_fault(vmf) : do_anonymous_page(vmf);
	}
	if (!pte_present(vmf->orig)) {
		unsigned int ret;

		if (likely(!pte_is_uffd_wp_marker(vmf->orig)))
			return do_swap_page(vmf);
		ret = userfault_marker(vmf);
		if (ret || !(vmf->flags & FAULT_FLAG_WRITE))
			return ret;
		goto again;
	}
	/* The VMA allows the access, so this is no PROT_NONE. */
	if (static_key(KEY_NUMA) && unlikely(pte_protnone(vmf->orig))) {
		numa_hint_fault(vmf);
		if ((vmf->flags & FAULT_FLAG_WRITE) && !pte_write(pte_read(vmf->pte)))
			goto again;
		return 0;
	}
	if ((vmf->flags & FAULT_FLAG_WRITE) && !pte_write(vmf->orig)) {
		if (unlikely(pte_uffd_wp(vmf->orig)))
			return userfault_check_wp(vmf);
		return unlikely(vmf->vma->flags & (VM_SHARED | VM_DONTEXPAND)) ? wp_rare(vmf)
									       : do_wp_page(vmf);
	}
	/* Another thread was faster, or this CPU's translation is older than the PTE. */
	flush_tlb_page(vmf->mm, vmf->addr);
	count_vm_event(MMVM_FAULT_SPURIOUS);
	return 0;
}

/* The same, once the PTE is found or made. */
static unsigned int fault_in_vma(struct vm_fault *vmf)
{
	vmf->pte = walk_pte(vmf->mm->pgd, vmf->addr);
	if (unlikely(!vmf->pte)) {
		unsigned int ret = fault_no_table(vmf);

		if (ret != VM_FAULT_FALLBACK)
			return ret;
	}
	return fault_at_pte(vmf);
}

/* The VMA's policy, if it has one, is used for the pages allocated until it is restored. */
static __attribute__((noinline)) unsigned int fault_under_policy(struct vm_fault *vmf)
{
	struct thread_info *ti = current_thread_info();
	unsigned int ret;

	ti->vma_index = linear_page_index(vmf->vma, vmf->addr);
	ti->vma_policy = vmf->vma->policy;
	ret = fault_in_vma(vmf);
	ti->vma_policy = NULL;
	return ret;
}

/* The VMA does not allow the access: may a tracer make it? */
static __attribute__((noinline, cold)) unsigned int fault_refused(struct vm_fault *vmf)
{
	if (!(vmf->flags & FAULT_FLAG_FORCE) || vmf->flags & (FAULT_FLAG_WRITE | FAULT_FLAG_EXEC) ||
	    !(vmf->vma->flags & VM_MAYREAD))
		return VM_FAULT_SIGSEGV_ACCERR;
	return fault_under_policy(vmf);
}

/* The address lies below a stack: grow it, which needs mmap_lock for writing. On return the lock
 * is held for reading again, and the VMA, if any, contains addr. */
static struct vm_area_struct *fault_expand_stack(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;

	up_read(&mm->mmap_lock);
	down_write(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start > addr && (vma->flags & VM_GROWSDOWN) && !expand_stack(vma, addr))
		count_vm_event(MMVM_FAULT_STACK);
	up_write(&mm->mmap_lock);
	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	return vma && vma->vm_start <= addr ? vma : NULL;
}

static __attribute__((noinline)) void trace_fault_begin(const struct vm_fault *vmf)
{
	unsigned int access = (vmf->flags & FAULT_FLAG_WRITE ? TRACE_ACCESS_WRITE : 0) |
			      (vmf->flags & FAULT_FLAG_USER ? TRACE_ACCESS_USER : 0) |
			      (vmf->flags & FAULT_FLAG_EXEC ? TRACE_ACCESS_EXEC : 0);

	trace_point(FAULT_BEGIN, vmf->addr, .mm = trace_mm_id(vmf->mm), .arg = access);
}

static __attribute__((noinline)) void trace_fault_end(const struct vm_fault *vmf, unsigned int ret)
{
	unsigned int result = TRACE_OK;

	if (ret & (VM_FAULT_SIGSEGV_MAPERR | VM_FAULT_SIGSEGV_ACCERR))
		result = TRACE_SEGV;
	else if (ret & VM_FAULT_OOM)
		result = TRACE_OOM;
	else if (ret & VM_FAULT_ERROR)
		result = TRACE_BUS;
	if (ret & VM_FAULT_MAJOR)
		result |= TRACE_RESULT_MAJOR;
	trace_point(FAULT_END, vmf->addr, .mm = trace_mm_id(vmf->mm), .arg = result);
}

/* The writer of a shared file has made a page dirty: it waits here if the disk is behind, without
 * mmap_lock where the file can be held instead. mmap_lock is released. */
static __attribute__((noinline)) void throttle_writer(const struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->mapping;
	struct file *file = vmf->vma->file;

	if (file)
		file_get(file);
	else
		balance_dirty_pages(mapping);
	up_read(&vmf->mm->mmap_lock);
	if (file) {
		balance_dirty_pages(mapping);
		file_put(file);
	}
}

unsigned int handle_mm_fault(struct mm_struct *mm, unsigned long addr, unsigned int flags)
{
	struct vm_fault vmf;
	unsigned int ret;

	/* Field by field: the others need not be cleared. */
	vmf.mm = mm;
	vmf.addr = addr & PAGE_MASK;
	vmf.flags = flags;
	vmf.dirtied = false;
	count_vm_event(PGFAULT);
	mem_cgroup_count_mm(mm, PGFAULT);
	if (unlikely(trace_on))
		trace_fault_begin(&vmf);
	down_read(&mm->mmap_lock);
	vmf.vma = find_vma(mm, addr);
	if (unlikely(vmf.vma && vmf.vma->vm_start > addr))
		vmf.vma = vmf.vma->flags & VM_GROWSDOWN ? fault_expand_stack(mm, addr) : NULL;
	if (unlikely(!vmf.vma))
		ret = VM_FAULT_SIGSEGV_MAPERR;
	else if (unlikely(!access_allowed(vmf.vma, flags)))
		ret = fault_refused(&vmf);
	else if (static_key(KEY_NUMA) && vmf.vma->policy)
		ret = fault_under_policy(&vmf);
	else
		ret = fault_in_vma(&vmf);
	if (unlikely(vmf.dirtied))
		throttle_writer(&vmf);
	else
		up_read(&mm->mmap_lock);
	if (unlikely(trace_on))
		trace_fault_end(&vmf, ret);
	if (unlikely(ret)) {
		if (ret & VM_FAULT_USERFAULT)
			return userfault_wait(&vmf, ret);
		if (ret & (VM_FAULT_SIGSEGV_MAPERR | VM_FAULT_SIGSEGV_ACCERR))
			count_vm_event(MMVM_FAULT_SEGV);
		if (ret & VM_FAULT_MAJOR) {
			count_vm_event(PGMAJFAULT);
			mem_cgroup_count_mm(mm, PGMAJFAULT);
			atomic_add(&mm->maj_flt, 1);
			return ret;
		}
	}
	atomic_add(&mm->min_flt, 1);
	return ret;
}

unsigned int fault_page(struct vm_fault *vmf)
{
	if (vmf->vma->policy)
		return fault_under_policy(vmf);
	return vmf->pte ? fault_at_pte(vmf) : fault_in_vma(vmf);
}
