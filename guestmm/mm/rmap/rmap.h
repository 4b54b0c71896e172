/* Reverse map of anonymous pages: from a page to the PTEs that map it. */
#ifndef MM_RMAP_H
#define MM_RMAP_H
#include "arch/tlb.h"
#include "mm/virt/mm.h"
#include "mm/phys/page.h"

struct folio;
struct tlb_batch;

#define PAGE_MAPPING_ANON 1ul

/** A family of VMAs that may map the same anonymous pages. Lock: root->lock. */
struct anon_vma {
	struct anon_vma *root; /* C: whose lock serves the whole tree of forks */
	struct anon_vma
		*parent; /* C: of the VMA this one's first was forked from; a root's: itself */
	spinlock_t lock;
	s32 refs;	     /* A: chain links and children */
	s32 nr_children;     /* root->lock: anon_vmas with this parent */
	s32 nr_homes;	     /* root->lock: VMAs whose new pages come here (vma->anon_vma) */
	struct rb_root vmas; /* root->lock: interval tree of anon_vma_chain by page offset */
	struct anon_vma *next_free;
};

/** Link between a VMA and one anon_vma it takes part in. */
struct anon_vma_chain {
	struct vm_area_struct *vma;
	struct anon_vma *anon_vma;
	struct list_head same_vma;  /* mmap_lock (write) and anon_vma lock */
	struct rb_node rb;	    /* root->lock: by first page offset */
	unsigned long subtree_last; /* root->lock: highest page offset in the subtree */
};

static inline struct anon_vma *page_anon_vma(const struct page *page)
{
	unsigned long m = (unsigned long)READ_ONCE(page->mapping);

	/* A merged page (mm/ksm) has another bit set, and no anon_vma. */
	return (m & 3) == PAGE_MAPPING_ANON ? (struct anon_vma *)(m - PAGE_MAPPING_ANON) : NULL;
}
static inline bool PageAnon(const struct page *page)
{
	return (unsigned long)READ_ONCE(page->mapping) & PAGE_MAPPING_ANON;
}

/** Give the VMA an anon_vma before its first anonymous page: a neighbour's where that lets them
 * merge later. mmap_lock for reading. Returns 0 or -ENOMEM. May sleep. */
int __anon_vma_prepare(struct vm_area_struct *vma);
static inline int anon_vma_prepare(struct vm_area_struct *vma)
{
	return likely(READ_ONCE(vma->anon_vma)) ? 0 : __anon_vma_prepare(vma);
}
/** Does the VMA take part in anon_vmas of other processes (it, or what it was made of, came through
 * a fork)? */
static inline bool anon_vma_inherited(const struct vm_area_struct *vma)
{
	return vma->anon_vma_chain.next != vma->anon_vma_chain.prev;
}
/** Make `dst` take part in every anon_vma of `src`. Returns 0 or -ENOMEM (nothing done). */
int anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src);
/** The same for a child's copy of `src`, which also gets an anon_vma of its own for the pages it
 * will not share. Returns 0 or -ENOMEM (nothing done). */
int anon_vma_fork(struct vm_area_struct *dst, struct vm_area_struct *src);
/** Leave all anon_vmas. */
void unlink_anon_vmas(struct vm_area_struct *vma);
/** Move src's links to dst, which has none. */
void anon_vma_move(struct vm_area_struct *dst, struct vm_area_struct *src);
/** Around a change of the VMA's range: afterwards it has its right place in the interval trees. The anon_vma
 * lock is held between the two. */
void anon_vma_range_change_begin(struct vm_area_struct *vma);
void anon_vma_range_change_end(struct vm_area_struct *vma);

/** A new anonymous page is mapped at addr: set mapping, index, mapcount. P held. */
static inline void page_add_new_anon_rmap(struct page *page, struct vm_area_struct *vma,
					  unsigned long addr)
{
	page->mapping = (void *)((unsigned long)vma->anon_vma | PAGE_MAPPING_ANON);
	page->index = vma->pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
	WRITE_ONCE(page->mapcount, 0);
}
/** One more PTE maps a page of the swap cache, whose entry it still counts. Page locked, P held. */
void page_add_anon_rmap(struct page *page, struct vm_area_struct *vma, unsigned long addr);

/** Where mm counts mappings of this page of a file. */
static inline s64 *mm_rss_counter(struct mm_struct *mm, const struct page *page)
{
	return page->type == PAGE_SHMEM ? &mm->rss_shmem : &mm->rss_file;
}

/** Count and clear the accessed bits of the PTEs that map the page; *vm_flags gets the union of
 * the VMAs' flags. Page locked, or, if it is anonymous, isolated by the caller. */
unsigned int page_referenced(struct page *page, unsigned long *vm_flags);
/** Replace every PTE of a locked page, by its swap entry if it is of the swap cache, by nothing if
 * it is a file's; a dirty PTE makes the page dirty. Returns true if no PTE is left. The TLBs forget the
 * entries only at tlb_batch_flush(): the page stays locked until then, and may not be written out, changed
 * or freed. */
bool try_to_unmap_batched(struct page *page, struct tlb_batch *batch);
/** An entry of mm at addr has been cleared: add it to the batch. P held. */
void unmap_flush(struct mm_struct *mm, unsigned long addr, struct tlb_batch *batch);
/** Reclaim has cleared entries of mm whose flush may be still to come. Code that looks at entries in order to
 * unmap, protect, move or copy pages calls this first: it must not take a cleared entry for one that no CPU can
 * use any more. P held. */
static inline void flush_tlb_batched_pending(struct mm_struct *mm)
{
	if (unlikely(mm->tlb_flush_batched)) {
		flush_tlb_mm(mm);
		mm->tlb_flush_batched = 0;
	}
}

/** Unmap a locked page outside the swap cache for which madvise(MADV_FREE) was the last word: nobody
 * has written to it since, and only one PTE and the caller hold it. False: it is wanted. */
bool try_to_discard(struct page *page);

/** Call `fn` for every place that may map the page, until it returns false. Takes the anon_vma's
 * lock, or i_mmap_lock for a page of a file, which must be locked. */
typedef bool (*rmap_fn)(struct page *page, struct vm_area_struct *vma, unsigned long addr,
			void *arg);
void rmap_walk_anon(struct page *page, rmap_fn fn, void *arg);
/** The parts of it: lock the anon_vma through which an anonymous page may be mapped (NULL: it is not mapped); the
 * same walk over [index, index + nr) of a head, whose address may then lie outside of the VMA; unlock. */
struct anon_vma *rmap_lock_anon(struct page *page);
void rmap_for_each_vma(struct page *page, unsigned long nr, rmap_fn fn, void *arg);
void rmap_unlock_anon(struct anon_vma *root);
void rmap_walk_file(struct page *page, rmap_fn fn, void *arg);
/** The same for all of a large folio of shared memory; the address may then lie outside of the VMA. */
void rmap_walk_large_file(struct folio *folio, rmap_fn fn, void *arg);
/** Either, by the page's kind. */
void rmap_walk(struct page *page, rmap_fn fn, void *arg);
/** The same for a locked page whose PTEs may all be migration entries. */
void rmap_walk_entries(struct page *page, rmap_fn fn, void *arg);
void rmap_walk_file_entries(struct page *page, rmap_fn fn, void *arg);
/** PTE at addr if it maps `page`, else NULL; P held. */
pte_t *pte_of_page(struct mm_struct *mm, unsigned long addr, const struct page *page);
/** A PTE of mm has let go of a page of a file; its reference is the caller's. P held. */
void page_remove_file_rmap(struct page *page, struct mm_struct *mm);
/** try_to_unmap_batched() for one place that maps a page of a file. */
bool unmap_file_one(struct page *page, struct vm_area_struct *vma, unsigned long addr, void *arg);
void rmap_init(void);
#endif
