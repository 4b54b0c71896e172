/*
 * hugetlb: pages of 2 MiB and 1 GiB from pools that are filled in advance. A mapping reserves its pages when it is
 * made; the pages are never swapped. A reserved page is called promised here.
 *
 *   hstate (one a size)     pool: free list, counts          hugetlb.c
 *     subpool (one a mount) size=, min_size=                 hugetlb_resv.c
 *       hugetlb_file        pages by index, what is promised hugetlb_file.c, hugetlb_resv.c
 *         VMA               large leaves                     hugetlb_fault.c, hugetlb_migrate.c, mm/pgtable/large.c
 *
 * Locks, outermost first: mmap_lock > file's mutex (faults, truncation, fallocate) > resv_mutex >
 * i_mmap_lock > page_table_lock > address_space lock > hugetlb_lock (spinlock: counts and free lists).
 *
 * All sizes here are in huge pages of the hstate unless the name says otherwise.
 */
#ifndef MM_HUGETLB_H
#define MM_HUGETLB_H
#include "lib/format.h"
#include "mm/cache/pagecache.h"
#include "mm/phys/folio.h"
#include "mm/move/migrate.h"
#include "mm/pgtable/pgtable.h"

struct vm_fault;

#define MAX_HSTATES 2u
struct hstate {
	unsigned int order; /* C: 9 or 18 */
	const char *name;   /* C: "hugepages-2048kB" */
	struct list_head free_list;
	/* hugetlb_lock, except max_huge_pages (pool_mutex). free <= nr; resv <= free (H1). */
	u64 nr, free, resv, surplus;
	/* The same by node: their sums are nr, free and surplus. */
	u64 nr_node[MMVM_MAX_NODES], free_node[MMVM_MAX_NODES], surplus_node[MMVM_MAX_NODES];
	u64 max_huge_pages; /* what nr_hugepages was set to, as far as it could be reached */
	u64 nr_overcommit;
	u64 boot_pages; /* C: asked for on the command line */
};
extern struct hstate hstates[MAX_HSTATES];
extern unsigned int nr_hstates; /* C after boot */
extern struct hstate *default_hstate;

static inline unsigned int hstate_level(const struct hstate *h)
{
	return h->order / 9;
}
static inline u64 hstate_size(const struct hstate *h)
{
	return PAGE_SIZE << h->order;
}
/** The hstate of pages of this many bytes, or NULL. */
struct hstate *size_to_hstate(u64 bytes);
/** The hstate that the flags of mmap() or memfd_create() name by the log2 of its size, or NULL. 0: the default
 * one. */
struct hstate *hstate_of_log(unsigned int log2_bytes);

/* ---- pools: hugetlb.c ---- */
/** Read hugepagesz=, hugepages=, default_hugepagesz=; before zones_init(): pages of 1 GiB are taken
 * from memblock. */
void hugetlb_boot_options(const char *cmdline);
/** Fill the pools that the command line asked for. Call it when the buddy works. */
void hugetlb_init(void);
/** Add a page to the pool. It is PAGE_HUGETLB already and has no reference. */
void hugetlb_add_to_pool(struct hstate *h, struct page *head);
/** Allocate a block larger than the buddy's, of type PAGE_HUGETLB, without a reference. Pages in use are moved out
 * of the way. NULL: no such block could be emptied. May sleep. */
struct page *hugetlb_alloc_gigantic(unsigned int order);
/** Free a block larger than the buddy's: the buddy gets it in blocks of its largest order. */
void hugetlb_free_gigantic(struct page *head, unsigned int order);
/** Make the pool `count` pages large, as far as memory and what is in use allow. 0 or -EINVAL. */
int hugetlb_set_pool(struct hstate *h, u64 count);
/** The same for the pages of one node. */
int hugetlb_set_pool_node(struct hstate *h, unsigned int nid, u64 count);
int hugetlb_set_overcommit(struct hstate *h, u64 count);
/** Promise free pages, or release promises if delta < 0. If too few pages are free, surplus pages come from the
 * buddy, up to nr_overcommit. 0, or -ENOMEM: nothing was promised. May sleep. */
int hugetlb_acct_memory(struct hstate *h, s64 delta);
/** Take a page from the pool, with a reference, not cleared. It comes from node `nid` if possible, else from one of
 * `nodes` (a bit each). `reserved`: use up a promise of the caller. NULL: no page is free, and no surplus page is
 * allowed. May sleep. */
struct page *hugetlb_take_page(struct hstate *h, bool reserved, unsigned int nid, u32 nodes);
/** The last reference was dropped: return it to the pool, or to the buddy if it was surplus. Any context. */
void hugetlb_free_page(struct page *head);
/** A page of the node as the target of a move, with a reference, not cleared: a free page of the pool that is not
 * promised. *fresh is set if it comes from the buddy instead, and the pool does not count it. NULL: there is none.
 * May sleep. */
struct page *hugetlb_take_target(struct hstate *h, int nid, bool *fresh);
/** A frame from the buddy, from the node if possible, with a reference; no pool counts it. NULL: there is none. */
struct page *hugetlb_new_frame(struct hstate *h, int nid);
/** Free `head`, with one reference, to the buddy. `instead`: the page that has taken its place in the pool; NULL:
 * the pool never counted `head`. */
void hugetlb_drop_frame(struct hstate *h, struct page *head, const struct page *instead);
/** A free page of 2 MiB lies in [start, end), which is to be emptied: replace it in the pool by a page from
 * outside, if there is one, and free it to the buddy. Does nothing if `head` is in use by now. May sleep. */
void hugetlb_replace_free(struct page *head, pfn_t start, pfn_t end);
struct hstate *page_hstate(const struct page *head);
/* Words of private_ in use: the subpool that counts the page, and bits. Owner only. */
#define HUGETLB_RESTORE_RESERVE 1ul
struct hugepage_subpool;
/** A new page belongs to the mount of `spool`, or to none. `restores`: it used up a promise, which is restored if
 * the page is freed before its user gets it. */
static inline void hugetlb_page_set_owner(struct page *head, struct hugepage_subpool *spool,
					  bool restores)
{
	head->private_ = (unsigned long)spool | (restores ? HUGETLB_RESTORE_RESERVE : 0);
}
static inline bool hugetlb_page_restores(const struct page *head)
{
	return head->private_ & HUGETLB_RESTORE_RESERVE;
}
/** The page has been given to its user: freeing it restores no promise. */
static inline void hugetlb_clear_restore(struct page *head)
{
	head->private_ &= ~HUGETLB_RESTORE_RESERVE;
}
void hugetlb_report_meminfo(struct report *r);
/** Small pages that all pools together have taken. */
u64 hugetlb_total_pages(void);
/** Add a file or a mount to its list, or remove it. The lists are for the audit. */
void hugetlb_list_add(struct list_head *link, struct list_head *list);
void hugetlb_list_del(struct list_head *link);
extern struct list_head hugetlb_files, hugetlb_subpools;
struct mmvm_audit_hugetlb_layout;
void hugetlb_audit_layout(struct mmvm_audit_hugetlb_layout *l);
void hugetlb_audit_resv_layout(struct mmvm_audit_hugetlb_layout *l);

/* ---- promises: hugetlb_resv.c ---- */
/** A set of ranges of indices. For a shared file: the indices promised to it. For a private mapping: the indices
 * whose promise has been used. */
struct resv_map;
struct resv_map *resv_map_alloc(void); /* NULL if no memory; one reference */
void resv_map_get(struct resv_map *map);
void resv_map_put(struct resv_map *map);
/** A mount's limits. */
struct hugepage_subpool {
	s64 max_pages; /* C; -1: none */
	s64 min_pages; /* C; -1: none */
	spinlock_t lock;
	s64 used;     /* lock: pages in use or promised */
	s64 reserved; /* lock: of min, neither in use nor promised to a mapping */
	s32 refs;     /* A: the mount and its files */
	struct hstate *h;
	struct list_head link; /* all of them, for the audit */
};
/** Account `delta` more pages as used or promised. Returns how many of them the pool has to promise or give; the
 * mount's min_size covers the rest. -ENOMEM: size= would be exceeded. Without a subpool (NULL) the pool gives all.
 * Any context. */
s64 hugepage_subpool_take(struct hugepage_subpool *spool, s64 delta);
/** Account `delta` fewer pages. Returns how many of their promises the pool gets back; the mount's min_size keeps
 * the rest. */
s64 hugepage_subpool_return(struct hugepage_subpool *spool, s64 delta);
/** Make a subpool; min_pages are promised now. NULL: *err is -ENOMEM, for lack of memory or of pages. */
struct hugepage_subpool *hugepage_subpool_create(struct hstate *h, s64 max_pages, s64 min_pages,
						 int *err);
void hugepage_subpool_get(struct hugepage_subpool *spool);
void hugepage_subpool_put(struct hugepage_subpool *spool);
/** Free space of a mount in pages, for statfs; -1: no limit. */
s64 hugepage_subpool_free(const struct hugepage_subpool *spool);

/* ---- files: hugetlb_file.c ---- */
struct hugetlb_file {
	struct hstate *h;
	struct hugepage_subpool *spool; /* or NULL */
	struct resv_map *resv;		/* of shared mappings */
	struct address_space *mapping;	/* C */
	struct list_head link;		/* all of them, for the audit */
	struct mutex mutex;		/* one fault, truncation or fallocate at a time */
};
static inline struct hugetlb_file *hugetlb_file(const struct address_space *mapping)
{
	return mapping->private_;
}
/** Make an initialised address_space one of hugetlb. `spool` may be NULL. 0 or -ENOMEM. */
int hugetlb_file_init(struct address_space *mapping, struct hstate *h,
		      struct hugepage_subpool *spool);
/** Free its pages and promises; nothing maps it. */
void hugetlb_file_destroy(struct address_space *mapping);
/** The page at index with a reference, or NULL. */
struct page *hugetlb_find_page(struct address_space *mapping, unsigned long index);
/** Put a new page into the file; the file takes the caller's reference and one more is the
 * caller's. 0, -EEXIST, -ENOMEM. */
int hugetlb_add_page(struct address_space *mapping, struct page *head, unsigned long index);
/** The file ends at page `start` now: unmap the pages beyond in all address spaces, and free them. */
void hugetlb_truncate(struct address_space *mapping, unsigned long start);
/** Make a hole of pages [start, end). 0 or -ENOMEM: nothing done. */
int hugetlb_punch_hole(struct address_space *mapping, unsigned long start, unsigned long end);
/** The same in bytes: whole pages within [start, end) are freed, parts of a page are zeroed. */
int hugetlb_punch_hole_bytes(struct address_space *mapping, u64 start, u64 end);
/** Allocate the pages [start, end) that the file does not have yet. 0, -ENOSPC, -ENOMEM, -EINTR. */
int hugetlb_fallocate(struct address_space *mapping, unsigned long start, unsigned long end);
void hugetlb_clear_page(struct page *head);
void hugetlb_copy_page(struct page *to, const struct page *from);
/** An address_space without a file, for MAP_ANONYMOUS | MAP_HUGETLB: AS_OBJECT, one reference. */
int hugetlb_object_create(struct hstate *h, u64 size, struct address_space **mapping);
void hugetlb_object_get(struct address_space *mapping);
void hugetlb_object_put(struct address_space *mapping);
u64 hugetlb_object_ino(struct address_space *mapping);

/* ---- mappings: hugetlb_resv.c, hugetlb_fault.c ---- */
static inline struct hstate *vma_hstate(const struct vm_area_struct *vma)
{
	return hugetlb_file(vma->mapping)->h;
}
/** Index of the page that maps addr. */
static inline unsigned long vma_huge_index(const struct vm_area_struct *vma, unsigned long addr)
{
	unsigned int order = vma_hstate(vma)->order;

	return (vma->pgoff >> order) + ((addr - vma->vm_start) >> (PAGE_SHIFT + order));
}
/** From addr to the end of its huge page. */
static inline unsigned long hugetlb_step(const struct vm_area_struct *vma, unsigned long addr)
{
	unsigned long size = hstate_size(vma_hstate(vma));

	return size - (addr & (size - 1));
}
/** mmap: promise the pages that the new VMA may need. 0 or -ENOMEM. mmap_lock held for writing. */
int hugetlb_reserve_vma(struct vm_area_struct *vma);
/** Promise pages [from, to) of a file, as a shared mapping would. 0 or -ENOMEM. */
int hugetlb_reserve_file(struct address_space *mapping, unsigned long from, unsigned long to);
/** munmap: [start, end) of the VMA has been unmapped. Release the promises that were never used. */
void hugetlb_unreserve_vma(struct vm_area_struct *vma, unsigned long start, unsigned long end);
/** A split: `high` shares the promise of `low`. */
void hugetlb_vma_share_resv(struct vm_area_struct *high, const struct vm_area_struct *low);
/** The VMA has no promise of its own any more (mremap moved it, or it is freed). */
void hugetlb_vma_drop_resv(struct vm_area_struct *vma);
/** Fault in a VMA of hugetlb; mmap_lock for reading. VM_FAULT_*. */
unsigned int hugetlb_fault(struct vm_fault *vmf);
/** P held: one leaf more, or less, maps the page. */
static inline void hugetlb_add_rmap(struct page *head, s32 n)
{
	struct folio_counts *c = folio_counts((struct folio *)head);

	atomic_add(&c->entire_mapcount, n);
	atomic_add(&c->large_mapcount, n);
}
static inline int hugetlb_mapcount(const struct page *head)
{
	return folio_mapcount((const struct folio *)head);
}
/** Is it a private page that only one entry maps? P held. */
bool hugetlb_page_exclusive(const struct page *head);

/** A page from the pool for addr, with a reference, not cleared, and its promise used up. NULL: *err
 * is -ENOSPC (the pool is empty, or the mount's size= reached) or -ENOMEM. File's mutex held. */
struct page *hugetlb_alloc_page(struct vm_area_struct *vma, unsigned long addr, int *err);
/** The page could not be used: free it, and restore the promise that it used up. */
void hugetlb_undo_alloc(struct vm_area_struct *vma, unsigned long addr, struct page *head);
/** The same for a file, without a VMA (fallocate). */
struct page *hugetlb_alloc_file_page(struct address_space *mapping, unsigned long index, int *err);
void hugetlb_undo_alloc_file(struct address_space *mapping, unsigned long index, struct page *head);
/** Release the promises of [start, end) of a file; `freed` of the pages were in memory. end ~0: to the
 * end of the file, which cannot fail. 0 or -ENOMEM: nothing done. */
int hugetlb_unreserve_file(struct address_space *mapping, unsigned long start, unsigned long end,
			   u64 freed);
/** hugetlb_migrate.c. mmap_lock held: move the page at addr to the node; MIGRATE_SHARED_TOO: also if others map it.
 * 0: it is on the node. -ENOENT: there is no page. -EACCES: others map it. -EAGAIN: somebody else holds a
 * reference. -ENOMEM. */
int hugetlb_migrate(struct vm_area_struct *vma, unsigned long addr, int nid,
		    enum migrate_whose whose);
/** Move every page of 2 MiB that some program maps out of frames [start, end), even if several share it. A page
 * stays if somebody else holds a reference, if the mmap_lock or the file's mutex is taken, or if no program maps
 * it. May sleep. */
void hugetlb_move_out(pfn_t start, pfn_t end);
bool vma_owns_reserve(const struct vm_area_struct *vma);
/** The owner took the VMA's page because the pool was empty: faults in the VMA get SIGBUS from now on. */
void vma_set_unmapped(struct vm_area_struct *vma);
bool vma_is_unmapped(const struct vm_area_struct *vma);
#endif
