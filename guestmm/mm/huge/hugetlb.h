/*
 * hugetlb: pages of 2 MiB and 1 GiB out of pools that are filled beforehand, promised when they are
 * mapped, and never swapped.
 *
 *   hstate (one a size)     pool: free list, counts          hugetlb.c
 *     subpool (one a mount) size=, min_size=                 hugetlb_resv.c
 *       hugetlb_file        pages by index, what is promised hugetlb_file.c, hugetlb_resv.c
 *         VMA               large leaves                     hugetlb_fault.c, hugetlb_migrate.c, mm/virt/large.c
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
#include "mm/virt/pgtable.h"

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
/** The one that mmap's or memfd_create's flags name by log2 of its size (0: the default one), or
 * NULL. */
struct hstate *hstate_of_log(unsigned int log2_bytes);

/* ---- pools: hugetlb.c ---- */
/** Read hugepagesz=, hugepages=, default_hugepagesz=; before zones_init(): pages of 1 GiB are taken
 * from memblock. */
void hugetlb_boot_options(const char *cmdline);
/** Fill the pools that the command line asked for; after the buddy. */
void hugetlb_init(void);
/** A page that is PAGE_HUGETLB already, without a reference, joins the pool. */
void hugetlb_add_to_pool(struct hstate *h, struct page *head);
/** A block larger than the buddy's, of PAGE_HUGETLB, without a reference: memory is moved out of its
 * way. NULL: it cannot be. May sleep. */
struct page *hugetlb_alloc_gigantic(unsigned int order);
/** A block larger than the buddy's leaves the pool: to the buddy, in its largest blocks. */
void hugetlb_free_gigantic(struct page *head, unsigned int order);
/** Make the pool `count` pages large, as far as memory and what is in use allow. 0 or -EINVAL. */
int hugetlb_set_pool(struct hstate *h, u64 count);
/** The same of what one node has. */
int hugetlb_set_pool_node(struct hstate *h, unsigned int nid, u64 count);
int hugetlb_set_overcommit(struct hstate *h, u64 count);
/** Promise (or with delta < 0 release) free pages; more than there are come from the buddy as
 * surplus, up to nr_overcommit. 0 or -ENOMEM: nothing promised. May sleep. */
int hugetlb_acct_memory(struct hstate *h, s64 delta);
/** Take a page of one of these nodes (a bit each), of `nid` if it has one, from the pool, with a reference,
 * not cleared. `reserved`: it was promised, and the promise is used up with it. NULL: there is none, and no
 * surplus allowed. May sleep. */
struct page *hugetlb_take_page(struct hstate *h, bool reserved, unsigned int nid, u32 nodes);
/** The last reference is gone: back to the pool, or to the buddy if it was surplus. Any context. */
void hugetlb_free_page(struct page *head);
/** A page of the node to move one to, with a reference, not cleared: a free one that is not promised, or
 * *fresh, one of the buddy's that the pool does not count. NULL: there is none. May sleep. */
struct page *hugetlb_take_target(struct hstate *h, int nid, bool *fresh);
/** One of two frames of which the pool counts one: `head`, with one reference, goes to the buddy. `instead`:
 * that one has taken its place in the pool; NULL: the pool never counted `head`. */
void hugetlb_drop_frame(struct hstate *h, struct page *head, const struct page *instead);
/** A free page of 2 MiB is in the way of who wants [start, end): one from outside takes its place in the pool,
 * if there is one, and it goes to the buddy. `head` may be in use by now; then nothing is done. May sleep. */
void hugetlb_replace_free(struct page *head, pfn_t start, pfn_t end);
struct hstate *page_hstate(const struct page *head);
/* Words of private_ in use: the subpool that counts the page, and bits. Owner only. */
#define HUGETLB_RESTORE_RESERVE 1ul
struct hugepage_subpool;
/** A new page belongs to spool's mount (or none); `restores`: it used up a promise, which is good
 * again if the page is freed before it has been given to its user. */
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
/** Lists for the audit: a file or a mount is added, or removed. */
void hugetlb_list_add(struct list_head *link, struct list_head *list);
void hugetlb_list_del(struct list_head *link);
extern struct list_head hugetlb_files, hugetlb_subpools;
struct mmvm_audit_hugetlb_layout;
void hugetlb_audit_layout(struct mmvm_audit_hugetlb_layout *l);
void hugetlb_audit_resv_layout(struct mmvm_audit_hugetlb_layout *l);

/* ---- promises: hugetlb_resv.c ---- */
/** Ranges of indices. For a shared file: those promised to it. For a private mapping: those whose
 * promise has been used. */
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
/** `delta` pages more are used or promised. Returns how many of them the pool has to promise or give
 * (the rest comes from min_size), or -ENOMEM beyond size=. NULL: all. Any context. */
s64 hugepage_subpool_take(struct hugepage_subpool *spool, s64 delta);
/** `delta` pages less. Returns how many of their promises go back to the pool; the rest stays with
 * the mount's min_size. */
s64 hugepage_subpool_return(struct hugepage_subpool *spool, s64 delta);
/** min_pages are promised now. NULL if no memory or no pages: *err. */
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
/** The file ends at page `start` now: unmap, everywhere, and free what lies beyond. */
void hugetlb_truncate(struct address_space *mapping, unsigned long start);
/** Make a hole of pages [start, end). 0 or -ENOMEM: nothing done. */
int hugetlb_punch_hole(struct address_space *mapping, unsigned long start, unsigned long end);
/** The same by bytes: whole pages within [start, end) go, parts of a page become zero. */
int hugetlb_punch_hole_bytes(struct address_space *mapping, u64 start, u64 end);
/** Make pages [start, end) be there. 0, -ENOSPC, -ENOMEM, -EINTR. */
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
/** mmap: promise what the new VMA may need. 0 or -ENOMEM. mmap_lock for writing. */
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
/** P held: a private page that nobody else maps. */
bool hugetlb_page_exclusive(const struct page *head);

/** A page from the pool for addr, with a reference, not cleared, and its promise used up. NULL: *err
 * is -ENOSPC (the pool is empty, or the mount's size= reached) or -ENOMEM. File's mutex held. */
struct page *hugetlb_alloc_page(struct vm_area_struct *vma, unsigned long addr, int *err);
/** It could not be used: free it; promises are as before. */
void hugetlb_undo_alloc(struct vm_area_struct *vma, unsigned long addr, struct page *head);
/** The same for a file, without a VMA (fallocate). */
struct page *hugetlb_alloc_file_page(struct address_space *mapping, unsigned long index, int *err);
void hugetlb_undo_alloc_file(struct address_space *mapping, unsigned long index, struct page *head);
/** Release the promises of [start, end) of a file; `freed` of the pages were in memory. end ~0: to the
 * end of the file, which cannot fail. 0 or -ENOMEM: nothing done. */
int hugetlb_unreserve_file(struct address_space *mapping, unsigned long start, unsigned long end,
			   u64 freed);
/** hugetlb_migrate.c. mmap_lock held: move the page at addr to the node; `shared_too`: also if others map it.
 * 0: it is there. -ENOENT: there is none. -EACCES: others map it. -EAGAIN: somebody holds it. -ENOMEM. */
int hugetlb_migrate(struct vm_area_struct *vma, unsigned long addr, int nid, bool shared_too);
bool vma_owns_reserve(const struct vm_area_struct *vma);
/** The owner of the pages took this one away for lack of others: the VMA gets SIGBUS from now on. */
void vma_set_unmapped(struct vm_area_struct *vma);
bool vma_is_unmapped(const struct vm_area_struct *vma);
#endif
