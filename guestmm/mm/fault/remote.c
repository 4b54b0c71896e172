/*
 * Another address space's memory, for /proc/PID/cmdline, process_vm_readv(2) and their like.
 *
 * Page by page: where the PTE does not allow the access a fault is made as its own program would make
 * it, and the PTE is looked at again.
 *
 * Reading: a reference on the page that the PTE names, taken under page_table_lock, keeps it while its
 * bytes are copied.
 * A frame of a device has no references: its reader gets a copy, made under page_table_lock.
 * Writing: the bytes are copied while page_table_lock is held, and the PTE is marked dirty, as if a CPU
 * had written. So nobody can clean, swap out or copy the page between the two.
 * A tracer's write to a private page that is read-only: the page is made the mapping's own (wp_forced_page()), and is
 * written through its read-only PTE. The program can write to it at no time.
 *
 * Locks: mmap_lock for reading and page_table_lock for the look; handle_mm_fault() takes its own.
 */
#include "lib/string.h"
#include "mm/cache/pagecache.h"
#include "mm/cache/secretmem.h"
#include "mm/phys/highmem.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/reclaim/lru.h"
#include "mm/phys/alloc.h"
#include "mm/phys/folio.h"
#include "mm/swap/swapcache.h"
#include "mm/pgtable/guard.h"
#include "mm/pgtable/large.h"
#include "mm/fault/fault.h"
#include "mm/fault/remote.h"

#define TRIES 4 /* a page may be taken away again before it was looked at */

/** Whose rights count: the program's, or a tracer's. */
enum remote_as { AS_PROGRAM, AS_TRACER };

/* mmap_lock held: may its program do that at addr? A stack that could grow down to there counts. */
static bool vma_allows(struct mm_struct *mm, unsigned long addr, unsigned long access)
{
	const struct vm_area_struct *vma = find_vma(mm, addr);

	return vma && vma->flags & access && !(vma->flags & VM_IO) &&
	       !mapping_is_secret(vma->mapping) &&
	       (vma->vm_start <= addr || vma->flags & VM_GROWSDOWN);
}

/* A copy of the frame of a device that is mapped at addr: it has no reference that would keep it. NULL: no memory, or
 * it is mapped no more. */
static __attribute__((noinline)) struct page *copy_device_page(struct mm_struct *mm,
							       unsigned long addr)
{
	struct page *copy = alloc_pages_type(GFP_KERNEL_ACCOUNT, 0, PAGE_PIPE);
	bool done = false;
	pte_t *pte, e;

	if (!copy)
		return NULL;
	down_read(&mm->mmap_lock);
	spin_lock(&mm->page_table_lock);
	pte = walk_pte(mm->pgd, addr);
	e = pte ? pte_read(pte) : __pte(0);
	if (pte_present(e) && pte_devmap(e)) {
		copy_highpage(copy, pfn_to_page(pte_pfn(e)));
		done = true;
	}
	spin_unlock(&mm->page_table_lock);
	up_read(&mm->mmap_lock);
	if (done)
		return copy;
	__free_page(copy);
	return NULL;
}

static struct page *get_page_as(struct mm_struct *mm, unsigned long addr, struct page **held,
				enum remote_as as)
{
	const unsigned int flags =
		FAULT_FLAG_USER | FAULT_FLAG_KERNEL | (as == AS_TRACER ? FAULT_FLAG_FORCE : 0);

	for (int i = 0; i < TRIES; i++) {
		unsigned long next;
		struct page *page = NULL;
		unsigned int level;
		pte_t *leaf, entry;
		bool may, device = false;

		down_read(&mm->mmap_lock); /* keeps the tables */
		may = vma_allows(mm, addr, as == AS_TRACER ? VM_MAYREAD : VM_READ);
		spin_lock(&mm->page_table_lock);
		leaf = may ? walk_leaf(mm->pgd, addr, &level, &next) : NULL;
		entry = leaf ? pte_read(leaf) : __pte(0);
		if (pte_present(entry) && (as == AS_TRACER || !pte_protnone(entry))) {
			page = pfn_to_page(leaf_pfn(entry, level, addr));
			*held = NULL;
			if (unlikely(pte_devmap(entry))) {
				device = true;
			} else if (!pte_special(entry)) {
				/* The head of what a large leaf maps. */
				*held = &page_folio(page)->page;
				get_page(*held);
			}
		}
		spin_unlock(&mm->page_table_lock);
		up_read(&mm->mmap_lock);
		if (unlikely(device)) {
			page = copy_device_page(mm, addr);
			*held = page;
			if (!page)
				continue;
		}
		if (page)
			return page;
		if (!may || handle_mm_fault(mm, addr, flags) & VM_FAULT_ERROR)
			return NULL;
	}
	return NULL;
}

struct page *get_user_page(struct mm_struct *mm, unsigned long addr, struct page **held)
{
	return get_page_as(mm, addr, held, AS_PROGRAM);
}

/* Write n bytes within one page. False: its program may not write there, or there is no memory. */
static bool write_user_page(struct mm_struct *mm, unsigned long addr, const void *buf, size_t n)
{
	for (int i = 0; i < TRIES; i++) {
		unsigned long next;
		unsigned int level;
		bool may, done = false;
		pte_t *leaf, entry;

		down_read(&mm->mmap_lock); /* keeps the tables */
		may = vma_allows(mm, addr, VM_WRITE);
		spin_lock(&mm->page_table_lock);
		leaf = may ? walk_leaf(mm->pgd, addr, &level, &next) : NULL;
		entry = leaf ? pte_read(leaf) : __pte(0);
		if (pte_present(entry) && pte_write(entry) && !pte_protnone(entry)) {
			memcpy_to_page(pfn_to_page(leaf_pfn(entry, level, addr)), addr & ~PAGE_MASK,
				       buf, n);
			atomic_or(&leaf->v, _PAGE_ACCESSED | _PAGE_WRITTEN);
			done = true;
		}
		spin_unlock(&mm->page_table_lock);
		up_read(&mm->mmap_lock);
		if (done)
			return true;
		if (!may ||
		    handle_mm_fault(mm, addr,
				    FAULT_FLAG_USER | FAULT_FLAG_KERNEL | FAULT_FLAG_WRITE) &
			    VM_FAULT_ERROR)
			return false;
	}
	return false;
}

/* mmap_lock held: a private mapping that is not to be written, but could be made so. */
static struct vm_area_struct *find_forcible(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = find_vma(mm, addr);

	if (!vma || vma->vm_start > addr || vma->flags & (VM_WRITE | VM_SPECIAL | VM_HUGETLB) ||
	    (vma->flags & (VM_SHARED | VM_MAYWRITE)) != VM_MAYWRITE ||
	    mapping_is_secret(vma->mapping))
		return NULL;
	return vma;
}

/* P held: does only this PTE map the page? */
static bool maps_own_page(pte_t e)
{
	struct page *page = pte_special(e) ? NULL : pfn_to_page(pte_pfn(e));

	if (!page)
		return false;
	if (page_in_thp(page))
		return PageAnon(&page_folio(page)->page) &&
		       thp_page_exclusive(page_folio(page), page);
	return PageAnon(page) && anon_page_exclusive(page);
}

enum step { STEP_DONE, STEP_AGAIN, STEP_MISSING, STEP_REFUSED };

/* mmap_lock held: write where nothing forbids it but the VMA's flags, or bring that about. */
static enum step write_forced_step(struct vm_area_struct *vma, unsigned long addr, const void *buf,
				   size_t n)
{
	struct mm_struct *mm = vma->mm;
	struct vm_fault vmf = {.mm = mm, .vma = vma, .addr = addr & PAGE_MASK};
	enum step step = STEP_AGAIN;
	unsigned int level;
	unsigned long next;

	vmf.pte = walk_leaf(mm->pgd, addr, &level, &next);
	if (!vmf.pte)
		return STEP_MISSING;
	if (level) {
		split_large(mm, vmf.pte, addr);
		return STEP_AGAIN;
	}
	spin_lock(&mm->page_table_lock);
	vmf.orig = pte_read(vmf.pte);
	if (!pte_present(vmf.orig)) {
		step = STEP_MISSING;
	} else if (pte_uffd_wp(vmf.orig)) {
		step = STEP_REFUSED; /* whoever is asked about writes has not been */
	} else if (maps_own_page(vmf.orig)) {
		memcpy_to_page(pfn_to_page(pte_pfn(vmf.orig)), addr & ~PAGE_MASK, buf, n);
		atomic_or(&vmf.pte->v, _PAGE_ACCESSED | _PAGE_WRITTEN);
		step = STEP_DONE;
	}
	spin_unlock(&mm->page_table_lock);
	if (step != STEP_AGAIN)
		return step;
	vmf.flags = FAULT_FLAG_WRITE;
	return wp_forced_page(&vmf) & VM_FAULT_ERROR ? STEP_REFUSED : STEP_AGAIN;
}

/* The same for a tracer, where its program may not write. */
static bool write_forced(struct mm_struct *mm, unsigned long addr, const void *buf, size_t n)
{
	enum step step = STEP_AGAIN;

	/* Once it is there, copied, and split off a huge page. */
	for (int i = 0; i < 3 * TRIES && step != STEP_DONE; i++) {
		struct vm_area_struct *vma;

		down_read(&mm->mmap_lock);
		vma = find_forcible(mm, addr);
		step = vma ? write_forced_step(vma, addr, buf, n) : STEP_REFUSED;
		up_read(&mm->mmap_lock);
		if (step == STEP_REFUSED ||
		    (step == STEP_MISSING &&
		     handle_mm_fault(mm, addr,
				     FAULT_FLAG_USER | FAULT_FLAG_KERNEL | FAULT_FLAG_FORCE) &
			     VM_FAULT_ERROR))
			return false;
	}
	return step == STEP_DONE;
}

static size_t write_as(struct mm_struct *mm, unsigned long addr, const void *buf, size_t len,
		       enum remote_as as)
{
	size_t done = 0;

	while (done < len && addr + done < TASK_SIZE) {
		unsigned long at = addr + done;
		size_t n = min(len - done, PAGE_SIZE - (at & ~PAGE_MASK));

		const char *from = (const char *)buf + done;

		if (!write_user_page(mm, at, from, n) &&
		    !(as == AS_TRACER && write_forced(mm, at, from, n)))
			break;
		done += n;
	}
	return done;
}

size_t write_remote_vm(struct mm_struct *mm, unsigned long addr, const void *buf, size_t len)
{
	return write_as(mm, addr, buf, len, AS_PROGRAM);
}

size_t write_remote_vm_forced(struct mm_struct *mm, unsigned long addr, const void *buf, size_t len)
{
	return write_as(mm, addr, buf, len, AS_TRACER);
}

static size_t read_as(struct mm_struct *mm, unsigned long addr, void *buf, size_t len,
		      enum remote_as as)
{
	size_t done = 0;

	while (done < len && addr + done < TASK_SIZE) {
		unsigned long at = addr + done, offset = at & ~PAGE_MASK;
		size_t n = min(len - done, PAGE_SIZE - offset);
		struct page *held, *page = get_page_as(mm, at & PAGE_MASK, &held, as);

		if (!page)
			break;
		memcpy_from_page((char *)buf + done, page, offset, n);
		if (held)
			put_page(held);
		done += n;
	}
	return done;
}

size_t read_remote_vm(struct mm_struct *mm, unsigned long addr, void *buf, size_t len)
{
	return read_as(mm, addr, buf, len, AS_PROGRAM);
}

size_t read_remote_vm_forced(struct mm_struct *mm, unsigned long addr, void *buf, size_t len)
{
	return read_as(mm, addr, buf, len, AS_TRACER);
}

/* ---- core dumps ------------------------------------------------------------------------------- */

/* mmap_lock held for reading: nothing is mapped at addr. The file's page there, or NULL. */
static struct page *dump_file_page(struct vm_area_struct *vma, unsigned long addr,
				   struct page **held)
{
	struct address_space *mapping = vma->mapping;
	u64 index = vma->pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
	struct page_piece piece;
	struct file_ra_state ra;

	*held = NULL;
	if (!mapping)
		return NULL;
	if (vma->flags & VM_HUGETLB) {
		*held = hugetlb_find_page(mapping, vma_huge_index(vma, addr));
		return *held ? *held + (addr >> PAGE_SHIFT &
					((hstate_size(vma_hstate(vma)) >> PAGE_SHIFT) - 1))
			     : NULL;
	}
	file_ra_state_init(&ra);
	if (generic_file_pieces(mapping, &ra, index << PAGE_SHIFT, PAGE_SIZE, &piece, 1) <= 0)
		return NULL;
	*held = piece.held;
	return piece.held ? piece.page : NULL;
}

/* mmap_lock held for reading. 0: *page is the answer; 1: look again; or -errno. */
static int dump_page_step(struct vm_area_struct *vma, unsigned long addr, struct page **page,
			  struct page **held)
{
	struct mm_struct *mm = vma->mm;
	unsigned long next;
	unsigned int level;
	pte_t *leaf, entry;

	*page = *held = NULL;
	spin_lock(&mm->page_table_lock);
	leaf = walk_leaf(mm->pgd, addr, &level, &next);
	entry = leaf ? pte_read(leaf) : __pte(0);
	if (pte_present(entry) && !pte_special(entry)) {
		*page = pfn_to_page(leaf_pfn(entry, level, addr));
		*held = &page_folio(*page)->page;
		get_page(*held);
	}
	spin_unlock(&mm->page_table_lock);
	if (pte_present(entry) || (pte_is_guard(entry) && !pte_is_uffd_wp_marker(entry)))
		return 0;
	if (pte_is_swap(entry) &&
	    !pte_is_uffd_wp_marker(entry)) { /* or it moves, which is waited for */
		int err = swap_in_pte(vma, addr, leaf);

		return err ? err : 1;
	}
	*page = dump_file_page(vma, addr, held);
	return 0;
}

struct page *get_dump_page(struct mm_struct *mm, unsigned long addr, struct page **held)
{
	struct page *page = NULL;
	int again = 1;

	for (int i = 0; again > 0 && i < TRIES; i++) {
		struct vm_area_struct *vma;

		down_read(&mm->mmap_lock); /* keeps the tables and the file */
		vma = find_vma(mm, addr);
		again = vma && vma->vm_start <= addr && !mapping_is_secret(vma->mapping)
				? dump_page_step(vma, addr, &page, held)
				: 0;
		up_read(&mm->mmap_lock);
	}
	return page;
}
