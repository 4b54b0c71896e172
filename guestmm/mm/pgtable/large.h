/*
 * Large leaves in user page tables: what each walk over a range does when it meets one.
 *
 * `leaf` is what walk_leaf() found, with level >= 1. It was read without the lock, so each function
 * takes page_table_lock and looks again. Those that return an address return how far they got:
 * `addr` itself means that the entry is no large leaf any more (or was split because only a part of
 * it was meant) and is to be looked at again.
 */
#ifndef MM_LARGE_H
#define MM_LARGE_H
#include "mm/reclaim/lru.h"
#include "mm/pgtable/pgtable.h"

struct list_head;

/** Frame that maps addr. */
static inline unsigned long leaf_pfn(pte_t e, unsigned int level, unsigned long addr)
{
	return pte_pfn(e) + (addr >> PAGE_SHIFT & (level_pages(level) - 1));
}
/** Is [addr, end) all that an entry of this level covers? */
static inline bool covers_leaf(unsigned int level, unsigned long addr, unsigned long end)
{
	return !(addr & (level_size(level) - 1)) && end - addr >= level_size(level);
}

unsigned long zap_large(struct mmu_gather *tlb, pte_t *leaf, unsigned int level, unsigned long addr,
			unsigned long end);
unsigned long change_large(struct vm_area_struct *vma, pte_t *leaf, unsigned int level,
			   unsigned long addr, unsigned long end, bool *changed);
unsigned long mlock_large(struct vm_area_struct *vma, pte_t *leaf, unsigned int level,
			  unsigned long addr, unsigned long end, enum lru_keep keep);
/** fork: share what the leaf of vma->mm maps with the child's VMA. 0 or -ENOMEM; the parent's lost
 * right to write is noted in *protected. */
int copy_large(struct vm_area_struct *child, struct vm_area_struct *vma, pte_t *leaf,
	       unsigned int level, unsigned long addr, bool *protected);
/** mremap: may the n bytes at `from`, of an entry of this level, move to `to` as they are? */
bool large_moves_whole(struct mm_struct *mm, unsigned int level, unsigned long from,
		       unsigned long to, unsigned long n);
/** Have PTEs in the place of a huge page. */
void split_large(struct mm_struct *mm, pte_t *leaf, unsigned long addr);
/** mremap: move it; P held. Returns whether the CPU may know it. */
bool move_large(struct mm_struct *mm, pte_t *dst, pte_t *src, unsigned int level,
		unsigned long from, unsigned long to);
/** Mark a head for the gather: it is not freed as a single page. */
struct page *gather_mark_large(struct mmu_gather *tlb, struct page *head);
#define GATHER_LARGE 1ul
static inline bool gather_is_large(const struct page *page)
{
	return (unsigned long)page & GATHER_LARGE;
}
/** Drop the references of gathered pages that large leaves have mapped; the TLB is flushed. */
void tlb_release_large(struct mmu_gather *tlb);
#endif
