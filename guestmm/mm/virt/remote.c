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
#include "mm/phys/folio.h"
#include "mm/virt/large.h"
#include "mm/virt/remote.h"

#define TRIES 4 /* a page may be taken away again before it was looked at */

/* A readable page at addr, with a reference on what *held becomes, which is NULL for zero pages.
 * NULL: there is none. */
static struct page *get_user_page(struct mm_struct *mm, unsigned long addr, struct page **held)
{
	for (int i = 0; i < TRIES; i++) {
		unsigned long next;
		struct page *page = NULL;
		unsigned int level;
		pte_t *leaf, entry;

		down_read(&mm->mmap_lock); /* keeps the tables */
		spin_lock(&mm->page_table_lock);
		leaf = walk_leaf(mm->pgd, addr, &level, &next);
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
