/* What anon_vma.c and rmap.c share: the order of the chains in an anon_vma's interval tree. */
#ifndef MM_RMAP_INTERNAL_H
#define MM_RMAP_INTERNAL_H
#include "lib/rbtree.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

/* Chains are ordered by their VMA's first page offset. root->lock held. */
static inline unsigned long chain_first(const struct anon_vma_chain *c)
{
	return c->vma->pgoff;
}
static inline unsigned long chain_last(const struct anon_vma_chain *c)
{
	return c->vma->pgoff + vma_pages(c->vma) - 1;
}
#endif
