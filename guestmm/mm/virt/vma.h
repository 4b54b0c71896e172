/* VMAs from inside: the tree, the list, gaps, merging and splitting. All under mmap_lock for
 * writing unless said otherwise. */
#ifndef MM_VMA_H
#define MM_VMA_H
#include "mm/reclaim/lru.h"
#include "mm/virt/mm.h"

#define STACK_GUARD_GAP (256ul << PAGE_SHIFT) /* kept free below a stack that may still grow */
#define MMAP_MIN_ADDR	0x10000ul

static inline unsigned long vma_pages(const struct vm_area_struct *vma)
{
	return (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
}
/** Neighbour in address order, or NULL. mmap_lock for reading is enough. */
static inline struct vm_area_struct *vma_prev(const struct vm_area_struct *vma)
{
	return vma->link.prev == &vma->mm->mmap
		       ? NULL
		       : list_entry(vma->link.prev, struct vm_area_struct, link);
}
static inline struct vm_area_struct *vma_next(const struct vm_area_struct *vma)
{
	return vma->link.next == &vma->mm->mmap
		       ? NULL
		       : list_entry(vma->link.next, struct vm_area_struct, link);
}
/** Start of the VMA and of the guard below it. */
static inline unsigned long vm_start_gap(const struct vm_area_struct *vma)
{
	unsigned long start = vma->vm_start;

	if (vma->flags & VM_GROWSDOWN)
		start -= min(start, STACK_GUARD_GAP);
	return start;
}
/** May a read fault give a page of the mapping's file the right to write at once? Not where the first write is waited
 * for (soft_dirty.c). */
static inline bool vma_read_maps_writable(const struct vm_area_struct *vma)
{
	const unsigned long all = VM_SHARED | VM_WRITE | VM_SOFTDIRTY;

	return (vma->flags & all) == all;
}
/** Would a write through this entry be seen: it is soft-dirty, or all of the mapping is? */
static inline bool write_needs_no_mark(const struct vm_area_struct *vma, pte_t e)
{
	return (vma->flags & VM_SOFTDIRTY) || pte_soft_dirty(e);
}
/** Offset in pages of `addr` within the VMA's object: page->index of the page mapped there. */
static inline unsigned long linear_page_index(const struct vm_area_struct *vma, unsigned long addr)
{
	return vma->pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
}

/** Merge policy [pure]: what a mapping looks like to its neighbours. */
struct vma_desc {
	unsigned long flags;
	unsigned long pgoff, pages;
	const struct anon_vma *anon_vma;
	const char *name;
	bool inherited; /* has anon_vmas of processes it was forked from */
	struct file *file;
	struct address_space *mapping;
	struct mempolicy *policy; /* the VMA's */
	bool policy_held;	  /* and so far it was kept */
	const struct uffd_ctx *uffd;
};
/** What [start, end) of the VMA looks like, with these flags. */
struct vma_desc vma_desc_part(const struct vm_area_struct *vma, unsigned long start,
			      unsigned long end, unsigned long flags);
enum vma_merge { VMA_MERGE_NONE, VMA_MERGE_PREV, VMA_MERGE_NEXT, VMA_MERGE_BOTH };
/** May `mid` become one with the mappings that touch it? `prev` and `next` NULL: nothing
 * touches. */
enum vma_merge vma_merge_policy(const struct vma_desc *prev, const struct vma_desc *mid,
				const struct vma_desc *next);

/** A new VMA has the policy that another one has. */
void vma_copy_policy(struct vm_area_struct *to, const struct vm_area_struct *from);
/** New VMA, not in any tree. NULL if no memory. May sleep. */
struct vm_area_struct *vma_alloc(struct mm_struct *mm, unsigned long start, unsigned long end,
				 unsigned long flags, const char *name);
/** Give a new VMA what it maps, with references of its own, and its place in i_mmap. `mapping` NULL:
 * anonymous memory. */
void vma_set_backing(struct vm_area_struct *vma, struct file *file, struct address_space *mapping,
		     unsigned long pgoff);
/** References on what VMAs map that is no file: objects of shared memory and of hugetlb. Of anything else (NULL, a
 * mapping that somebody else keeps) they do nothing. */
void mapping_object_get(struct address_space *mapping);
void mapping_object_put(struct address_space *mapping);
/** Leave the anon_vmas and the file, and free. Not in any tree any more. */
void vma_free(struct vm_area_struct *vma);
/** Put into tree and list. Nothing may overlap. */
void vma_link(struct vm_area_struct *vma);
void vma_unlink(struct vm_area_struct *vma);
/** Move the ends; the pages' indices stay right because pgoff moves along. */
void vma_set_range(struct vm_area_struct *vma, unsigned long start, unsigned long end);
/** May the VMA be cut at `addr`, inside of it? 0, or -EINVAL: within a page of hugetlb. */
int vma_may_split(const struct vm_area_struct *vma, unsigned long addr);
/** Cut at `addr`: vma keeps what is below, a new VMA takes the rest. Returns 0, -ENOMEM or -EINVAL. */
int vma_split(struct vm_area_struct *vma, unsigned long addr);
/** Extend a neighbour over the new mapping [start, end) if the policy allows, joining both if it
 * fills the hole between them. Returns the VMA that now covers the range, or NULL. Never fails
 * half way. */
struct vm_area_struct *vma_merge_new(struct mm_struct *mm, unsigned long start, unsigned long end,
				     unsigned long flags, const char *name);
/** The same for a mapping described by `mid`, which may bring pages. */
struct vm_area_struct *vma_merge_range(struct mm_struct *mm, unsigned long start, unsigned long end,
				       const struct vma_desc *mid);
/** Split so that *vma becomes [start, end), which lies within it. Returns 0 or -ENOMEM: as before;
 * *vma then contains the range. */
int vma_cut_out(struct vm_area_struct **vma, unsigned long start, unsigned long end);
/** Give [start, end), a part of *vma, these flags: cut out and joined with neighbours as need be.
 * *vma becomes the VMA that covers it. Accounting and PTEs are the caller's. Returns 0 or -ENOMEM:
 * nothing done, *vma still contains the range. */
int vma_modify_flags(struct vm_area_struct **vma, unsigned long start, unsigned long end,
		     unsigned long flags);
/** Join with the neighbours that became equal. Returns the VMA that covers `vma`'s range now. */
struct vm_area_struct *vma_merge_around(struct vm_area_struct *vma);
void vma_set_flags(struct vm_area_struct *vma, unsigned long flags);

/** First VMA that overlaps [start, end), or NULL. Reading is enough. */
struct vm_area_struct *find_vma_intersection(struct mm_struct *mm, unsigned long start,
					     unsigned long end);
/** Highest address of a free range of `len` bytes within [low, high), guards of stacks kept; 0 =
 * none. Reading is enough. */
unsigned long unmapped_area_topdown(struct mm_struct *mm, unsigned long len, unsigned long low,
				    unsigned long high);
/** PTE bits of a mapping with these VM_* flags; without write permission, which faults add. */
pgprot_t vm_get_page_prot(unsigned long flags);
/** Unmap [start, end), mmap_lock held for writing. Returns 0 or -ENOMEM (a split was needed). */
int __do_munmap(struct mm_struct *mm, unsigned long start, unsigned long end);
/** The same with munmap(2)'s checks. */
int do_munmap_locked(struct mm_struct *mm, unsigned long addr, unsigned long len);
/** Address for `len` bytes more, as mmap(2) chooses: `flags` MAP_FIXED..., `addr` the hint. mmap_lock
 * held. -ENOMEM, -EINVAL, -EPERM, -EEXIST. */
long find_free_range(struct mm_struct *mm, unsigned long addr, unsigned long len, int flags);
/** The same, at a multiple of `align`, a power of two of at least a page. */
long find_free_range_aligned(struct mm_struct *mm, unsigned long addr, unsigned long len, int flags,
			     unsigned long align);
/** Let the stack `vma` grow down so that it covers addr. Returns 0 or -ENOMEM. */
int expand_stack(struct vm_area_struct *vma, unsigned long addr);

/* mmap.c, for brk.c. mmap_lock for writing. */
/** Put anonymous [start, end) into the tree, which is free there; limits are checked and the promise made. 0 or
 * -ENOMEM. */
int mm_map_range(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned long flags,
		 const char *name);
/** Check the limits of a mapping of `pages` and promise them: sets VM_ACCOUNT in *flags if it is a promise. 0 or
 * -ENOMEM. */
int mm_reserve_mapping(struct mm_struct *mm, unsigned long *flags, unsigned long pages);

/** Give the anonymous page at a PTE a copy of its own as a write would, whatever the rights (fault.c). mmap_lock for
 * reading. 0 (done, or it changed meanwhile) or -ENOMEM. */
int unshare_pte(struct vm_area_struct *vma, unsigned long addr, pte_t *pte);

/* Sealed mappings (mseal.c) */
bool __range_sealed(struct mm_struct *mm, unsigned long start, unsigned long end);
/** Is a VMA of [start, end) sealed? mmap_lock held. */
static inline bool range_sealed(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	return unlikely(mm->sealed) && __range_sealed(mm, start, end);
}

/* Overcommit (overcommit.c) */
/** Charge `pages` to the system and to mm. Returns 0 or -ENOMEM. Any holder of mmap_lock
 * (write). */
int vm_charge(struct mm_struct *mm, unsigned long pages);
/** The same without a limit, for what is given back in a moment. */
void vm_charge_unchecked(struct mm_struct *mm, unsigned long pages);
void vm_uncharge(struct mm_struct *mm, unsigned long pages);
/** The same for pages of files in shared memory, which belong to no address space. */
int vm_charge_object(u64 pages);
void vm_uncharge_object(u64 pages);
/** The same for an object of shared memory that is promised as a whole: listed, so that the host's audit can add
 * up what is promised. vm_promise() returns 0 or -ENOMEM; for 0 pages there is nothing to end. */
struct vm_promise {
	struct list_head link; /* mm_list_lock */
	u64 pages;	       /* C */
};
int vm_promise(struct vm_promise *p, u64 pages);
void vm_promise_end(struct vm_promise *p);
/** Where the host's audit finds all that was promised. */
struct mmvm_audit_commit_layout;
void overcommit_audit_layout(struct mmvm_audit_commit_layout *l);
/** The decision [pure]: may `committed` pages (this request included) be promised? `mode` as
 * sysctl_overcommit_memory, `limit` for mode 2, `reserve` = pages kept for others in mode 2. */
bool overcommit_allows(int mode, u64 request, u64 committed, u64 totalram, u64 totalswap, u64 limit,
		       u64 reserve);
/** Does a mapping with these flags count? [pure] */
bool vm_accountable(unsigned long flags, int mode);
/** Add (or with negative pages remove) a mapping in total_vm, stack_vm, data_vm, exec_vm. */
void vm_stat_account(struct mm_struct *mm, unsigned long flags, long pages);
/** Would `pages` more with these flags stay within RLIMIT_AS and RLIMIT_DATA? */
bool may_expand_vm(const struct mm_struct *mm, unsigned long flags, unsigned long pages);

/* Locked memory (mlock.c) */
/** Would `pages` more with these flags be beyond RLIMIT_MEMLOCK? */
bool mlock_exceeds_limit(const struct mm_struct *mm, unsigned long flags, unsigned long pages);
/** Move the pages of [start, end) to the unevictable list, or back. mmap_lock held. */
void mlock_vma_pages(struct vm_area_struct *vma, unsigned long start, unsigned long end,
		     enum lru_keep keep);
/** A locked VMA maps the page, or lets go of a page that others map still. */
void mlock_page(struct page *page);
void munlock_page(struct page *page);

void vma_init(void); /* caches */
#endif
