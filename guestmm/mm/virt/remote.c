/*
 * Another address space's memory, for /proc/PID/cmdline and its like.
 *
 * Page by page: a reference on the page that the PTE names, taken under page_table_lock, keeps it
 * while its bytes are copied; where there is none, a fault is made as its own program would make it,
 * and the PTE is looked at again.
 *
 * Locks: mmap_lock for reading and page_table_lock for the look; handle_mm_fault() takes its own.
 */
#include "lib/string.h"
#include "mm/reclaim/lru.h"
#include "mm/virt/remote.h"

#define TRIES 4 /* a page may be taken away again before it was looked at */

/* A readable page at addr, with a reference unless it is the zero page. NULL: there is none. */
static struct page *get_user_page(struct mm_struct *mm, unsigned long addr)
{
	for (int i = 0; i < TRIES; i++) {
		struct page *page = NULL;
		pte_t *pte, entry;

		down_read(&mm->mmap_lock); /* keeps the tables */
		spin_lock(&mm->page_table_lock);
		pte = walk_pte(mm->pgd, addr);
		entry = pte ? pte_read(pte) : __pte(0);
		if (pte_present(entry) && !pte_protnone(entry)) {
			page = pfn_to_page(pte_pfn(entry));
			if (page != zero_page)
				get_page(page);
		}
		spin_unlock(&mm->page_table_lock);
		up_read(&mm->mmap_lock);
		if (page)
			return page;
		if (handle_mm_fault(mm, addr, FAULT_FLAG_USER) & VM_FAULT_ERROR)
			return NULL;
	}
	return NULL;
}

size_t read_remote_vm(struct mm_struct *mm, unsigned long addr, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len && addr + done < TASK_SIZE) {
		unsigned long at = addr + done, offset = at & ~PAGE_MASK;
		size_t n = min(len - done, PAGE_SIZE - offset);
		struct page *page = get_user_page(mm, at & PAGE_MASK);

		if (!page)
			break;
		memcpy((char *)buf + done, (char *)page_address(page) + offset, n);
		if (page != zero_page)
			release_page(page);
		done += n;
	}
	return done;
}
