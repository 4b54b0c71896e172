/*
 * Faults in mappings of files and of shared memory.
 *
 *                 private mapping                    shared mapping
 *   read          the file's page, read-only, and those around it that are there
 *   write         a copy, anonymous from then on     the file's page, dirty, writable
 *   write to a    a copy (do_wp_page() in fault.c)   made dirty, then writable (do_wp_shared())
 *   read-only PTE
 *   behind the    SIGBUS                             SIGBUS
 *   file's end
 *
 * A page that is in memory is mapped without waiting for anything, with up to fifteen neighbours
 * that are there, too: a fault costs far more than filling one more entry of the same table. What is
 * not there is read, with what is likely to be wanted next.
 *
 * I1  A page is mapped under its lock, after a look at page->mapping and the file's size: so
 *     truncation, which sets the size and then locks each page, finds every mapping that was made.
 * I2  A PTE of a file is writable only while the page is dirty, set before the PTE. Shared memory
 *     has no other place than its page: its pages are always dirty, and writable at once.
 * I3  Only uptodate pages are mapped.
 *
 * Locks: mmap_lock for reading; page lock; page_table_lock.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/highmem.h"
#include "mm/phys/alloc.h"
#include "mm/fault/fault.h"
#include "mm/cache/dax.h"
#include "mm/cache/filemap.h"
#include "mm/cache/secretmem.h"
#include "mm/cache/shmem.h"
#include "mm/huge/thp.h"
#include "mm/pgtable/pgtable.h"

#define FAULT_AROUND_PAGES 16u /* 64 KiB, as Linux */

static bool is_shmem(const struct address_space *mapping)
{
	return mapping->flags & AS_SHMEM;
}

/* ---- getting the page ---- */

/* The page is not in memory: start reading it, and what its reader is likely to want. */
static void read_around_fault(struct vm_fault *vmf, unsigned long index)
{
	struct vm_area_struct *vma = vmf->vma;
	struct file_ra_state *ra = vma->file ? file_ra(vma->file) : NULL;
	unsigned long start, first = vma->pgoff, last = first + vma_pages(vma);

	if (vma->flags & VM_RAND_READ)
		return;
	if (ra && (vma->flags & VM_SEQ_READ)) {
		page_cache_readahead(vma->mapping, ra, NULL, index, 1);
		return;
	}
	/* Programs and tables are not touched in order, but the next touch is often near the
	 * last one. */
	start = index > VM_READAHEAD_PAGES / 2 ? index - VM_READAHEAD_PAGES / 2 : 0;
	start = max(start, first);
	last = min(last, start + VM_READAHEAD_PAGES);
	force_page_cache_readahead(vma->mapping, start, last);
}

static unsigned int error_to_fault(int err)
{
	return err == -ENOMEM	   ? VM_FAULT_OOM
	       : err == -EHWPOISON ? VM_FAULT_HWPOISON
				   : VM_FAULT_SIGBUS;
}

/* Uptodate when it was looked at, with a reference. NULL: *ret says why. */
static struct page *file_page_get(struct vm_fault *vmf, unsigned long index, unsigned int *ret)
{
	struct address_space *mapping = vmf->vma->mapping;
	struct page *page = find_get_page(mapping, index);
	int err = 0;

	if (!page) {
		*ret |= VM_FAULT_MAJOR;
		read_around_fault(vmf, index);
	} else if (PageReadahead(page) && vmf->vma->file) {
		page_cache_readahead(mapping, file_ra(vmf->vma->file), page, index, 1);
	}
	if (page && likely(PageUptodate(page)))
		return page;
	if (page)
		release_page(page);
	page = read_cache_page(mapping, index, &err);
	if (!page)
		*ret |= error_to_fault(err);
	return page;
}

/* The page of the file at vmf->addr, locked, uptodate, not beyond the end, with a reference. NULL:
 * *ret says why. */
static struct page *file_page_locked(struct vm_fault *vmf, unsigned int *ret)
{
	struct address_space *mapping = vmf->vma->mapping;
	unsigned long index = linear_page_index(vmf->vma, vmf->addr);
	struct page *page;

	for (;;) {
		if (beyond_end(mapping, index)) {
			*ret |= VM_FAULT_SIGBUS;
			return NULL;
		}
		if (is_shmem(mapping)) {
			bool major = false;
			int err = shmem_get_page(mapping, index, shmem_create_for(vmf->vma), &page,
						 &major);

			*ret |= major ? VM_FAULT_MAJOR : 0;
			if (err) {
				*ret |= error_to_fault(err);
				return NULL;
			}
			if (unlikely(page_in_thp(page))) {
				if (likely(!beyond_end(mapping, index)))
					return page;
				shmem_drop_beyond_end(mapping, page);
				shmem_put_page(page);
				continue;
			}
		} else {
			page = file_page_get(vmf, index, ret);
			if (!page)
				return NULL;
			lock_page(page);
		}
		if (likely(page->mapping == mapping && PageUptodate(page) &&
			   !beyond_end(mapping, index)))
			return page;
		/* Truncated meanwhile: look again. */
		if (is_shmem(mapping))
			shmem_drop_beyond_end(mapping, page);
		unlock_page(page);
		release_page(page);
	}
}

/* ---- mapping it ---- */

/* Page locked, P held: one more PTE maps it. */
static __always_inline void count_file_mapping(const struct vm_area_struct *vma, struct page *page)
{
	if (atomic_add_return(&page->mapcount, 1) == 0)
		page_stat_add(page, NR_FILE_MAPPED, 1);
	if (unlikely(vma->flags & VM_LOCKED))
		mlock_page(page);
}

/* Page locked, P held, *pte empty. Takes over the caller's reference, and leaves it to the caller to
 * count the page in the mm. */
static void map_file_page(struct vm_fault *vmf, pte_t *pte, struct page *page, pgprot_t bits)
{
	struct vm_area_struct *vma = vmf->vma;

	count_file_mapping(vma, page);
	if (vma_read_maps_writable(vma) && PageDirty(page))
		bits |= _PAGE_RW;
	trace_point(MAP, vmf->addr + ((long)(pte - vmf->pte) << PAGE_SHIFT),
		    .pfn = page_to_pfn(page), .mm = trace_mm_id(vmf->mm), .arg = TRACE_MAP_FILE);
	pte_set(pte, mk_pte(page_to_pfn(page), vma->prot | bits));
}

/* Map what is in memory of the 16 pages around the address, without waiting. True: that was what
 * the fault was about. */
static bool map_around(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->mapping;
	unsigned long window = vmf->addr & ~(FAULT_AROUND_PAGES * PAGE_SIZE - 1);
	unsigned long start = max(window, vmf->vma->vm_start);
	unsigned long end = min(window + FAULT_AROUND_PAGES * PAGE_SIZE, vmf->vma->vm_end);
	unsigned long wanted = linear_page_index(vmf->vma, vmf->addr);
	unsigned long index = linear_page_index(vmf->vma, start);
	unsigned long stop = linear_page_index(vmf->vma, end - PAGE_SIZE) + 1;
	struct page *pages[FAULT_AROUND_PAGES], *one = NULL;
	unsigned int n, left = 0, mapped = 0;
	bool found = false;

	n = find_get_pages(mapping, &index, stop, -1, pages, FAULT_AROUND_PAGES);
	if (!n)
		return false;
	/* One lock for all: the window lies within one table. */
	spin_lock(&vmf->mm->page_table_lock);
	for (unsigned int i = 0; i < n; i++) {
		struct page *page = pages[i];
		unsigned long at = page->index;
		pte_t *pte = vmf->pte + (long)(at - wanted);

		/* A page with the read-ahead mark is left out: its own fault shows that the
		 * reader has come so far. */
		if (!PageUptodate(page) || PageReadahead(page) || !trylock_page(page))
			goto keep;
		if (page->mapping != mapping || page->index != at || beyond_end(mapping, at) ||
		    !pte_none(pte_read(pte))) {
			unlock_page(page);
			goto keep;
		}
		map_file_page(vmf, pte, page, at == wanted ? _PAGE_ACCESSED : 0);
		unlock_page(page);
		found |= at == wanted;
		one = page;
		mapped++;
		continue;
	keep:
		pages[left++] = page;
	}
	if (one)
		atomic_add(mm_rss_counter(vmf->mm, one), mapped);
	if (!found)
		found = !pte_none(pte_read(vmf->pte)); /* somebody else's fault */
	spin_unlock(&vmf->mm->page_table_lock);
	if (left)
		release_pages(pages, left);
	count_vm_events(MMVM_FAULT_AROUND, mapped);
	return found;
}

/* The same for a page of a large folio, which is locked. */
static __attribute__((noinline)) bool finish_large(struct vm_fault *vmf, struct page *page,
						   pgprot_t bits)
{
	struct folio *folio = page_folio(page);
	struct vm_area_struct *vma = vmf->vma;
	bool taken = false;

	if (vma_read_maps_writable(vma))
		bits |= _PAGE_RW;
	spin_lock(&vmf->mm->page_table_lock);
	if (likely(pte_none(pte_read(vmf->pte)))) {
		folio_add_rmap_pte(folio, page);
		trace_map(vmf, page, FILE);
		pte_set(vmf->pte, mk_pte(page_to_pfn(page), vma->prot | bits));
		atomic_add(&vmf->mm->rss_shmem, 1);
		taken = true;
	}
	spin_unlock(&vmf->mm->page_table_lock);
	folio_unlock(folio);
	if (unlikely(!taken))
		release_page(&folio->page);
	return taken;
}

/* Map the locked page, or give it up if something has been mapped meanwhile. */
bool finish_file_fault(struct vm_fault *vmf, struct page *page, pgprot_t bits)
{
	bool taken = false;

	if (unlikely(page_in_thp(page)))
		return finish_large(vmf, page, bits);
	spin_lock(&vmf->mm->page_table_lock);
	if (likely(pte_none(pte_read(vmf->pte)))) {
		map_file_page(vmf, vmf->pte, page, bits);
		atomic_add(mm_rss_counter(vmf->mm, page), 1);
		taken = true;
	}
	spin_unlock(&vmf->mm->page_table_lock);
	unlock_page(page);
	if (unlikely(!taken))
		release_page(page);
	return taken;
}

/* The page is not new to this mapping, or has just been written by an answer: it counts as touched. */
bool finish_protected_fault(struct vm_fault *vmf, struct page *page)
{
	struct mm_struct *mm = vmf->mm;
	struct folio *folio = page_folio(page);
	bool taken = false;
	pte_t old;

	spin_lock(&mm->page_table_lock);
	old = pte_read(vmf->pte);
	if (pte_none(old) || pte_is_uffd_wp_marker(old)) {
		if (page_in_thp(page))
			folio_add_rmap_pte(folio, page);
		else
			count_file_mapping(vmf->vma, page);
		trace_map(vmf, page, FILE);
		pte_set(vmf->pte,
			pte_mkuffd_wp(mk_pte(page_to_pfn(page), vmf->vma->prot | _PAGE_ACCESSED)));
		atomic_add(mm_rss_counter(mm, &folio->page), 1);
		taken = true;
	}
	spin_unlock(&mm->page_table_lock);
	folio_unlock(folio);
	if (!taken)
		release_page(&folio->page);
	return taken;
}

unsigned int do_protected_fault(struct vm_fault *vmf)
{
	unsigned int ret = 0;
	struct page *page = file_page_locked(vmf, &ret);

	if (!page)
		return ret;
	count_vm_event(MMVM_FAULT_FILE);
	finish_protected_fault(vmf, page);
	return ret;
}

static unsigned int do_read_fault(struct vm_fault *vmf)
{
	unsigned int ret = 0;
	struct page *page;

	count_vm_event(MMVM_FAULT_FILE);
	/* With userfaultfd no page may appear that the monitor was not asked about. */
	if (likely(!(vmf->vma->flags & VM_UFFD)) && map_around(vmf))
		return 0;
	page = file_page_locked(vmf, &ret);
	if (!page)
		return ret;
	finish_file_fault(vmf, page, _PAGE_ACCESSED);
	return ret;
}

/* A write to a private mapping where there is nothing yet: at once a copy. */
static unsigned int do_cow_fault(struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->mm;
	struct page *page, *copy;
	unsigned int ret = 0;

	copy = alloc_private_page(vmf);
	if (!copy)
		return VM_FAULT_OOM;
	page = file_page_locked(vmf, &ret);
	if (!page)
		goto out;
	copy_highpage(copy, page);
	/* Still locked: truncation, which takes private copies as well, comes after us. */
	spin_lock(&mm->page_table_lock);
	if (likely(pte_none(pte_read(vmf->pte)))) {
		map_new_page(vmf, copy);
		trace_map(vmf, copy, COW);
		atomic_add(&mm->rss_anon, 1);
		copy = NULL;
	}
	spin_unlock(&mm->page_table_lock);
	shmem_put_page(page); /* or any file's */
	count_vm_event(MMVM_FAULT_COW);
out:
	if (copy)
		__free_page(copy);
	return ret;
}

/* The locked page is about to be written through a shared mapping: I2. 0 or VM_FAULT_*; the page
 * stays locked. */
static unsigned int make_dirty(struct vm_fault *vmf, struct page *page)
{
	struct address_space *mapping = vmf->vma->mapping;
	int err;

	if (is_shmem(mapping))
		return 0;
	if (mapping->ops->page_mkwrite && !PageDirty(page)) {
		err = mapping->ops->page_mkwrite(page);
		if (err)
			return error_to_fault(err);
	}
	set_page_dirty(page);
	vmf->dirtied = true;
	return 0;
}

static unsigned int do_shared_fault(struct vm_fault *vmf)
{
	unsigned int ret = 0, err;
	struct page *page = file_page_locked(vmf, &ret);

	if (!page)
		return ret;
	err = make_dirty(vmf, page);
	if (err) {
		unlock_page(page);
		release_page(page);
		return ret | err;
	}
	count_vm_event(MMVM_FAULT_FILE);
	finish_file_fault(vmf, page, _PAGE_ACCESSED | _PAGE_WRITTEN | _PAGE_RW);
	return ret;
}

/* Secret memory is shared memory of which nothing is read around. */
static __attribute__((noinline)) unsigned int secret_fault(struct vm_fault *vmf)
{
	pgprot_t bits = _PAGE_ACCESSED;
	struct page *page;
	int err;

	page = secretmem_get_page(vmf->vma->mapping, linear_page_index(vmf->vma, vmf->addr), &err);
	if (!page)
		return error_to_fault(err);
	if (vmf->flags & FAULT_FLAG_WRITE)
		bits |= _PAGE_WRITTEN | _PAGE_RW;
	count_vm_event(MMVM_FAULT_FILE);
	finish_file_fault(vmf, page, bits);
	return 0;
}

unsigned int do_file_fault(struct vm_fault *vmf)
{
	if (unlikely(vmf->vma->mapping->flags & (AS_DAX | AS_SECRET)))
		return mapping_is_dax(vmf->vma->mapping) ? dax_fault(vmf) : secret_fault(vmf);
	if (!(vmf->flags & FAULT_FLAG_WRITE))
		return do_read_fault(vmf);
	return vmf->vma->flags & VM_SHARED ? do_shared_fault(vmf) : do_cow_fault(vmf);
}

unsigned int do_wp_shared(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->mapping;
	struct mm_struct *mm = vmf->mm;
	struct page *page = NULL;
	unsigned int ret = 0;

	if (unlikely(mapping_is_dax(mapping)))
		return dax_fault(vmf);
	spin_lock(&mm->page_table_lock);
	if (likely(pte_read(vmf->pte).v == vmf->orig.v)) {
		page = &pfn_folio(pte_pfn(vmf->orig))->page;
		get_page(page);
	}
	spin_unlock(&mm->page_table_lock);
	if (!page)
		return 0;
	lock_page(page);
	if (likely(page->mapping == mapping)) {
		ret = make_dirty(vmf, page);
		spin_lock(&mm->page_table_lock);
		if (!ret && likely(pte_read(vmf->pte).v == vmf->orig.v)) {
			pte_set(vmf->pte, pte_mkwrite(pte_mkdirty(pte_mkyoung(vmf->orig))));
			trace_map(vmf, page, REUSE);
			count_vm_event(MMVM_FAULT_MKWRITE);
		}
		spin_unlock(&mm->page_table_lock);
	}
	unlock_page(page);
	release_page(page);
	return ret;
}
