/*
 * Another address space's memory, for /proc/PID/cmdline, process_vm_readv(2) and their like.
 *
 * Page by page: where the PTE does not allow the access a fault is made as its own program would make
 * it, and the PTE is looked at again.
 *
 * Reading: a reference on the page that the PTE names, taken under page_table_lock, keeps it while its
 * bytes are copied.
 * Writing: the bytes are copied while page_table_lock is held, and the PTE is marked dirty, as if a CPU
 * had written. So nobody can clean, swap out or copy the page between the two.
 *
 * Locks: mmap_lock for reading and page_table_lock for the look; handle_mm_fault() takes its own.
 */
#include "lib/string.h"
#include "mm/reclaim/lru.h"
#include "mm/phys/folio.h"
#include "mm/virt/large.h"
#include "mm/virt/remote.h"

#define TRIES 4 /* a page may be taken away again before it was looked at */

/* mmap_lock held: may its program do that at addr? A stack that could grow down to there counts. */
static bool vma_allows(struct mm_struct *mm, unsigned long addr, unsigned long access)
{
	const struct vm_area_struct *vma = find_vma(mm, addr);

	return vma && vma->flags & access && (vma->vm_start <= addr || vma->flags & VM_GROWSDOWN);
}

struct page *get_user_page(struct mm_struct *mm, unsigned long addr, struct page **held)
{
	for (int i = 0; i < TRIES; i++) {
		unsigned long next;
		struct page *page = NULL;
		unsigned int level;
		pte_t *leaf, entry;
		bool may;

		down_read(&mm->mmap_lock); /* keeps the tables */
		may = vma_allows(mm, addr, VM_READ);
		spin_lock(&mm->page_table_lock);
		leaf = may ? walk_leaf(mm->pgd, addr, &level, &next) : NULL;
		entry = leaf ? pte_read(leaf) : __pte(0);
		if (pte_present(entry) && !pte_protnone(entry)) {
			page = pfn_to_page(leaf_pfn(entry, level, addr));
			*held = NULL;
			if (!pte_special(entry)) {
				/* The head of what a large leaf maps. */
				*held = &page_folio(page)->page;
				get_page(*held);
			}
		}
		spin_unlock(&mm->page_table_lock);
		up_read(&mm->mmap_lock);
		if (page)
			return page;
		if (!may ||
		    handle_mm_fault(mm, addr, FAULT_FLAG_USER | FAULT_FLAG_KERNEL) & VM_FAULT_ERROR)
			return NULL;
	}
	return NULL;
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
			char *page = page_address(pfn_to_page(leaf_pfn(entry, level, addr)));

			memcpy(page + (addr & ~PAGE_MASK), buf, n);
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

size_t write_remote_vm(struct mm_struct *mm, unsigned long addr, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len && addr + done < TASK_SIZE) {
		unsigned long at = addr + done;
		size_t n = min(len - done, PAGE_SIZE - (at & ~PAGE_MASK));

		if (!write_user_page(mm, at, (const char *)buf + done, n))
			break;
		done += n;
	}
	return done;
}

size_t read_remote_vm(struct mm_struct *mm, unsigned long addr, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len && addr + done < TASK_SIZE) {
		unsigned long at = addr + done, offset = at & ~PAGE_MASK;
		size_t n = min(len - done, PAGE_SIZE - offset);
		struct page *held, *page = get_user_page(mm, at & PAGE_MASK, &held);

		if (!page)
			break;
		memcpy((char *)buf + done, (char *)page_address(page) + offset, n);
		if (held)
			put_page(held);
		done += n;
	}
	return done;
}
