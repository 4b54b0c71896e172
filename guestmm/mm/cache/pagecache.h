/*
 * The page cache: pages of files, kept in memory while there is room.
 *
 *   struct file ──> inode ──> address_space ──radix tree──> page, page, (shadow), page
 *                                  └── i_mmap: VMAs that map the file, by page offset
 *
 * mm/ knows files only as address spaces: their size, their pages, the VMAs that map them, and, through `ops`, how
 * pages are read and written. Everything that has to do with names is in fs/.
 *
 * I1  A page in a cache is PAGE_FILE or PAGE_SHMEM, page->mapping is its address_space (bit 0 clear),
 *     page->index its place, and the cache holds one reference.
 * I2  Pages enter and leave the cache locked; page->mapping is NULL afterwards. Whoever locks a page after looking
 *     it up must check page->mapping again.
 * I3  PG_uptodate: the contents are the file's, or newer. Only such pages are mapped or read.
 * I4  A page with PG_dirty has the tag DIRTY, one with PG_writeback the tag WRITEBACK, and the inode of such a page
 *     is on the flusher's list. A write may be recorded only in a dirty PTE until the page is unmapped, cleaned, or
 *     msync'ed: a shared mapping's PTE is writable only while PG_dirty is set.
 * I5  A page that lies wholly beyond `size` is in no cache, except during a truncation. The part of the last page
 *     after `size` is zero on disk, and reads as zero.
 *
 * Locks, outermost first: inode->lock (fs; writers, truncation) > mmap_lock > invalidate_lock (read:
 * faults and read-ahead; write: truncation) > page lock > i_mmap_lock > page_table_lock >
 * address_space lock (interrupts off: the end of I/O takes it). Copying to or from user memory happens
 * with neither page lock nor mmap_lock held (or with faults prevented and a retry).
 */
#ifndef MM_PAGECACHE_H
#define MM_PAGECACHE_H
#include "mm/cache/radix_tree.h"
#include "lib/rbtree.h"
#include "mm/block/bio.h"
#include "mm/virt/mm_types.h"
#include "mm/phys/page.h"
#include "mm/reclaim/lru.h"

enum pagecache_tag { PAGECACHE_TAG_DIRTY, PAGECACHE_TAG_WRITEBACK, PAGECACHE_TAG_TOWRITE };

/** For a hole: find no frame, or make one. */
enum dax_frame_look { DAX_FRAME_FIND, DAX_FRAME_MAKE };

struct address_space;
struct inode;

/** What to write, and for what purpose. */
struct writeback_control {
	unsigned long start, end; /* pages [start, end) */
	s64 nr_to_write;	  /* counts down; the pages that are left are not written */
	bool sync;		  /* wait if a page to write is already under writeback: fsync */
	bool for_reclaim;	  /* may not allocate much, may not wait */
	struct bio *bio;	  /* being filled by ops->writepage, submitted by the end */
};

/** What a file system does for its pages. All may sleep. */
struct address_space_ops {
	/** Start reading `n` new, locked pages of consecutive indices; each is marked uptodate or
	 * error and unlocked when its data is there (pages beyond the end and holes: zeroes).
	 * Returns 0, or -errno: then all pages that were not started are unlocked, not uptodate. */
	int (*readpages)(struct address_space *mapping, struct page **pages, unsigned int n);
	/** Start writing a locked page, whose PG_dirty the caller has cleared: set_page_writeback(),
	 * unlock_page(), and end_page_writeback() when it is on the disk. Neighbours may share
	 * wbc->bio. On -errno the page is unlocked and dirty again, the error recorded in
	 * mapping->wb_err. NULL: pages are never written (shmem: reclaim swaps them out). */
	int (*writepage)(struct page *page, struct writeback_control *wbc);
	/** Submit what is left in wbc->bio. NULL if writepage keeps nothing. */
	void (*writepages_end)(struct address_space *mapping, struct writeback_control *wbc);
	/** Called before [pos, pos + len), which lies within one page, is written. Returns the page locked, with
	 * its block reserved on the disk; it is uptodate unless it is wholly overwritten. 0, -ENOSPC, -EIO,
	 * -ENOMEM, -EFBIG. */
	int (*write_begin)(struct address_space *mapping, u64 pos, unsigned int len,
			   struct page **page);
	/** Called after `copied` bytes have been written. Marks the page dirty, raises mapping->size, unlocks the
	 * page and drops the reference. Returns how many bytes count as written. */
	int (*write_end)(struct address_space *mapping, u64 pos, unsigned int len,
			 unsigned int copied, struct page *page);
	/** A shared mapping is about to write to this locked page for the first time since it was
	 * clean: reserve its block. 0 or -errno (SIGBUS). NULL: nothing to do. */
	int (*page_mkwrite)(struct page *page);
	/** A locked page leaves the cache because of a truncation: free the data that the file system keeps for it.
	 * May be NULL. */
	void (*invalidate_page)(struct page *page);
	/** AS_DAX: the frame that page `index` of the file lies in; NULL: a hole, which DAX_FRAME_MAKE
	 * fills with a zeroed frame. 0, -ENOSPC, -EROFS, -EFBIG, -EIO, -EUCLEAN. See mm/cache/dax.h. */
	int (*dax_frame)(struct address_space *mapping, unsigned long index,
			 enum dax_frame_look look, struct page **page);
	/** AS_DAX: a write that was meant to end at byte `wanted` has ended at `end`. Raise the file's size to
	 * `end` if it is smaller, and free blocks beyond the end of the file. */
	void (*dax_write_end)(struct address_space *mapping, u64 end, u64 wanted);
};

#define AS_SHMEM       1u  /* pages are PAGE_SHMEM, swap-backed, never written to a file */
#define AS_UNEVICTABLE 2u  /* memory-only without swap: ramfs-like */
#define AS_OBJECT      4u  /* part of a shmem_object: anonymous shared memory (shmem.h) */
#define AS_HUGETLB     16u /* heads of huge pages by index in huge pages (huge/hugetlb.h) */
#define AS_DAX	       32u /* no pages are cached: the file is memory (mm/cache/dax.h) */
#define AS_SECRET      64u /* the kernel does not see the pages' contents (mm/cache/secretmem.h) */
#define AS_CHARGED     8u  /* shmem: promised as a whole when it was made, not page by page */
#define AS_LOWMEM \
	128u /* its owner stores addresses of its pages, so page_address() works and none is in ZONE_MOVABLE */

/** Operations that a memfd no longer allows: fcntl(2), F_ADD_SEALS. */
#define F_SEAL_SEAL	    1u
#define F_SEAL_SHRINK	    2u
#define F_SEAL_GROW	    4u
#define F_SEAL_WRITE	    8u
#define F_SEAL_FUTURE_WRITE 16u
#define F_SEAL_EXEC	    32u

/** The limit of a tmpfs: how many pages all its files may have in memory and in swap. */
struct shmem_limit {
	u64 used; /* A: pages and swap entries in the trees */
	u64 max;  /* A; 0 = no limit */
	u32 huge; /* A: enum shmem_huge, or SHMEM_HUGE_UNMOUNTED */
};

struct address_space {
	struct inode *host;		     /* C: NULL for what has no file (tests) */
	const struct address_space_ops *ops; /* C */
	u32 flags; /* C: AS_*; but AS_UNEVICTABLE of shared memory, which SHM_LOCK changes (A) */
	spinlock_t lock;	 /* the tree, its tags, nrpages; interrupts off */
	struct radix_tree pages; /* lock: struct page, or value: shadow or swap entry */
	u64 nrpages;		 /* lock: pages, without values */
	u64 nrvalues;		 /* lock: shadows and swap entries */
	u32 nr_thps;		 /* lock: large folios in the tree (huge/thp_shmem.c) */
	u64 size;		 /* A: bytes of the file; changed under inode->lock */
	struct rw_semaphore invalidate_lock;
	spinlock_t i_mmap_lock;
	struct rb_root i_mmap;	      /* i_mmap_lock: interval tree of vma->shared_rb */
	s32 nr_mmap_writable;	      /* i_mmap_lock: shared mappings of files open for writing,
					 or -1: there may be none now */
	s32 wb_err;		      /* A: last error of a write, and a count of errors: see
						mapping_set_error() */
	u32 seals;		      /* A: F_SEAL_*, shared memory; changed under inode->lock */
	struct shmem_limit *limit;    /* C: shared memory; NULL = none */
	struct list_head dirty_list;  /* flusher's lock: on the list while something is dirty */
	struct list_head shadow_list; /* shadow_lock: on the list while it may have shadows */
	u64 dirtied_at;		      /* flusher's lock: ktime of the first dirty page */
	struct bdi_writeback *wb;     /* C: whose flusher writes it (mm/cache/bdi.h) */
	void *private_; /* C: AS_HUGETLB: struct hugetlb_file. dax_lock: AS_DAX: struct dax_mapping */
};

/** Ready for use, empty. */
void address_space_init(struct address_space *mapping, struct inode *host,
			const struct address_space_ops *ops, u32 flags);

/* filemap.c: finding, adding, removing */
/** Page at `index` with a reference, or NULL. */
struct page *find_get_page(struct address_space *mapping, unsigned long index);
/** The same, locked, and still in the cache. */
struct page *find_lock_page(struct address_space *mapping, unsigned long index);
/** Locked page, new (not uptodate) if there was none. NULL if no memory. */
struct page *find_or_create_page(struct address_space *mapping, unsigned long index, u32 gfp);
/** Up to `max` pages of [*index, end) with references; *index becomes the index after the last one. With tag < 0
 * any page. */
unsigned int find_get_pages(struct address_space *mapping, unsigned long *index, unsigned long end,
			    int tag, struct page **pages, unsigned int max);
/** Put a new page into the cache, locked, and on the LRU. A shadow at the index counts as a refault. 0, -EEXIST,
 * -ENOMEM. */
int add_to_page_cache_lru(struct page *page, struct address_space *mapping, unsigned long index,
			  u32 gfp);
/** Take a locked, unmapped page out, and drop the cache's reference. */
void delete_from_page_cache(struct page *page);
/** For reclaim: remove a locked, clean, unmapped page to which only the cache and the caller hold references. A
 * shadow is left; the reference count becomes 0. False: somebody else took a reference. */
bool page_cache_evict(struct page *page);
/** Page at `index`, uptodate and with a reference, read if need be. NULL: *err is -EIO, -ENOMEM,
 * -EINTR (killed) or, of an inode, -EFAULT (beyond the end). For metadata, programs, symbolic links. */
struct page *read_cache_page(struct address_space *mapping, unsigned long index, int *err);

/** read(2), write(2) on a file in the page cache: user memory, at *pos, which moves. Bytes or -errno. For a write
 * inode->lock is held; the writer is throttled, and *pos does not exceed `limit`. */
struct file_ra_state;
long generic_file_read(struct address_space *mapping, struct file_ra_state *ra, unsigned long buf,
		       size_t len, u64 *pos);
long generic_file_write(struct address_space *mapping, unsigned long buf, size_t len, u64 *pos,
			u64 limit);
/** The same between the page cache and kernel memory. */
long kernel_file_read(struct address_space *mapping, void *buf, size_t len, u64 pos);
long kernel_file_write(struct address_space *mapping, const void *buf, size_t len, u64 pos);

/** A piece of a file, in place in memory. */
struct page_piece {
	struct page *page;
	struct page *held; /* head of its folio, with a reference; NULL: the zero page */
	u32 offset, len;   /* bytes within the page */
};
/** What read(2) of len bytes at pos would copy, as references to the pages: at most `max` pieces, in order. Returns
 * how many; 0: the file ends before pos; or -errno. It may return fewer than possible. Sleeps. */
int generic_file_pieces(struct address_space *mapping, struct file_ra_state *ra, u64 pos,
			size_t len, struct page_piece *piece, unsigned int max);

/* readahead.c */
/** Read-ahead of one open file: the window doubles while reads are sequential, and collapses otherwise. */
struct file_ra_state {
	unsigned long start; /* where the window began */
	u32 size;	     /* pages of the window */
	u32 async_size;	     /* start the next when this many are left */
	u32 max;	     /* 0: none (MADV_RANDOM, FADV_RANDOM) */
	u64 prev;	     /* page of the last read, to recognise sequential reads */
};
#define VM_READAHEAD_PAGES 32u /* 128 KiB, as Linux */
void file_ra_state_init(struct file_ra_state *ra);
/** A read of page `index` found no page (`page` NULL) or one marked PG_readahead: start reading the pages that
 * follow. `want`: pages the reader will need. */
void page_cache_readahead(struct address_space *mapping, struct file_ra_state *ra,
			  struct page *page, unsigned long index, unsigned long want);
/** The decision [pure]: which pages to read. */
struct ra_decision {
	unsigned long start;
	u32 size, async_size;
};
struct ra_decision readahead_policy(const struct file_ra_state *ra, unsigned long index, u32 want,
				    bool marked);
/** posix_fadvise(WILLNEED), madvise(WILLNEED): start reading [start, end). */
void force_page_cache_readahead(struct address_space *mapping, unsigned long start,
				unsigned long end);

/* writeback.c */
/** A locked or otherwise stable page of a cache becomes dirty: flag, tag, counts, flusher's list. */
void set_page_dirty(struct page *page);
/** Locked page: clear PG_dirty and, through the reverse map, the dirty and write bits of PTEs.
 * Returns whether it was dirty. Before every write. */
bool clear_page_dirty_for_io(struct page *page);
/** Locked page: from now on its data is on the way to the disk. */
void set_page_writeback(struct page *page);
/** The part of end_page_writeback() that updates tags and counts of a page in a cache. Any context. */
bool file_page_written(struct page *page);
/** The page's write has failed: remember it for fsync by each process that has the file open. */
void mapping_set_error(struct address_space *mapping, int err);
/** The value of file->wb_err for a new opener. An error that no call has reported yet counts as newer than the
 * open, so that the next fsync by any opener reports it. */
s32 mapping_sample_error(const struct address_space *mapping);
/** -EIO or -ENOSPC once for each opener whose *since is older than the last error, else 0. */
int mapping_check_error(struct address_space *mapping, s32 *since);
/** Write dirty pages as wbc says. 0 or the first error. */
int write_cache_pages(struct address_space *mapping, struct writeback_control *wbc);
/** Write all dirty pages of bytes [start, end] and wait for them. 0 or -EIO... */
int filemap_write_and_wait_range(struct address_space *mapping, u64 start, u64 end);
/** A task has dirtied a page: above dirty_ratio it waits for the disk, above half way to it it is
 * slowed down, above dirty_background_ratio the flushers are woken (dirty_throttle.c). */
void balance_dirty_pages(struct address_space *mapping);
/** Write everything that is dirty, everywhere, and wait: sync(2) after the file systems. */
void sync_all_mappings(void);
void wakeup_flusher(void); /* wake all flushers: to write, or to read changed settings */
int flusher_init(void);	   /* start the threads: one per disk, and one for files on no disk */
/** Before an address space is freed: take it off the flusher's list. Nothing may be dirty or under writeback. */
void writeback_forget(struct address_space *mapping);
extern unsigned int dirty_background_ratio; /* 10 % of available memory */
extern unsigned int dirty_ratio;	    /* 20 % */
/** The same in bytes; 0: the ratio applies. At most one of each pair is not 0. */
extern u64 dirty_background_bytes, dirty_bytes;
extern unsigned int dirty_writeback_centisecs; /* 500 */
extern unsigned int dirty_expire_centisecs;    /* 3000 */

/* truncate.c */
/** The file ends at `size` now: unmap and drop all pages beyond, and zero the rest of the last page. The caller has
 * set mapping->size and holds inode->lock. */
void truncate_pagecache(struct address_space *mapping, u64 size);
/** Remove a locked page from the mapping, which is no shared memory. Data written to it is lost. */
void truncate_page(struct address_space *mapping, struct page *page);
/** Drop every page, dirty or not: the file is deleted. */
void truncate_inode_pages(struct address_space *mapping);
/** Drop pages of [start, end) that are clean, unmapped and unused; returns how many.
 * posix_fadvise(DONTNEED), drop_caches. */
u64 invalidate_mapping_pages(struct address_space *mapping, unsigned long start, unsigned long end);

/** The same for all files. Pages that are mapped, dirty or memory-only stay. Returns pages dropped. */
u64 drop_pagecache(void);

/* rmap_file.c: VMAs that map a file, seen from the mapping */
/** vma->mapping has been set: add the VMA to i_mmap; remove it. */
void i_mmap_link(struct vm_area_struct *vma);
void i_mmap_unlink(struct vm_area_struct *vma);
/** Around a change of the VMA's range: i_mmap_lock is held between the two. */
void i_mmap_range_change_begin(struct vm_area_struct *vma);
void i_mmap_range_change_end(struct vm_area_struct *vma);
/** VMAs that map part of pages [first, last], one after the other; i_mmap_lock held. */
struct vm_area_struct *i_mmap_first(struct address_space *mapping, unsigned long first,
				    unsigned long last);
struct vm_area_struct *i_mmap_next(struct vm_area_struct *vma, unsigned long first,
				   unsigned long last);
/** VMAs that map it. */
u64 i_mmap_count(struct address_space *mapping);
extern u64 i_mmap_visits; /* nodes that searches have visited since boot */
/** A shared mapping of a file open for writing is about to be made. 0, or -EPERM while such mappings are denied. */
int mapping_map_writable(struct address_space *mapping);
void mapping_unmap_writable(struct address_space *mapping);
/** Deny such mappings until mapping_allow_writable(). 0, or -EBUSY: one exists. */
int mapping_deny_writable(struct address_space *mapping);
void mapping_allow_writable(struct address_space *mapping);
/** Whether private copies of a file's pages are unmapped as well: truncation does so. */
enum unmap_copies { LEAVE_COPIES, UNMAP_COPIES };
/** Clear the PTEs of pages [start, end) of the file, in every address space. */
void unmap_mapping_range(struct address_space *mapping, unsigned long start, unsigned long end,
			 enum unmap_copies copies);
/** Locked file page: write-protect and clean every PTE of shared mappings. True if one was dirty. */
bool page_mkclean(struct page *page);

/* shmem.c: pages of tmpfs, memfd, shared anonymous memory; swappable */
extern const struct address_space_ops shmem_aops;
enum shmem_create {
	SHMEM_FIND,   /* make no page: -ENOENT */
	SHMEM_CREATE, /* a new page, or a huge one where the mapping's memory is to be huge */
	SHMEM_CREATE_ADVISED, /* for users of huge pages */
	SHMEM_CREATE_SMALL,
};
/** Page at `index`, locked and uptodate: from the cache, from swap, or new and zero. 0, -ENOMEM, -ENOSPC, -EIO;
 * -ENOENT with SHMEM_FIND: no page exists; -EHWPOISON: its contents were lost. *major (may be NULL) is set when the disk was waited for. The page may
 * be part of a large folio; then the folio's lock and reference were taken. shmem_put_page() releases both. */
int shmem_get_page(struct address_space *mapping, unsigned long index, enum shmem_create how,
		   struct page **page, bool *major);
/** Is a page at `index` in memory? The answer may be stale. */
bool shmem_resident(struct address_space *mapping, unsigned long index);
/** A new page at `index` with these contents (NULL: zeroes): locked, with a reference. 0, -EEXIST: there is
 * one, or a swap entry; -ENOMEM, -ENOSPC. */
int shmem_add_page(struct address_space *mapping, unsigned long index, const void *contents,
		   struct page **page);
/** For a caller that added a page while the file was truncated: the truncation may not have seen it, and it would
 * stay until the file is deleted. Removes it if it lies beyond the end. The page, or its folio, is locked; the
 * reference stays the caller's. */
void shmem_drop_beyond_end(struct address_space *mapping, struct page *page);
/** truncate_pagecache() of shared memory. */
void shmem_truncate(struct address_space *mapping, u64 size);
/** Free what [start, end) holds, in memory and in swap. */
void shmem_truncate_range(struct address_space *mapping, unsigned long start, unsigned long end);
/** From now on its pages are kept in memory (SHM_LOCK), or may be swapped again. May sleep. */
void shmem_set_unevictable(struct address_space *mapping, enum lru_keep keep);
/** Reclaim: move a locked, unmapped shmem page to the swap cache. False: not possible. */
bool shmem_writeout(struct page *page);
/** Swap is being turned off: bring back the pages of this area. */
int shmem_unuse(unsigned int type);

/* A block device's own pages, for the file systems' metadata. */
struct address_space *bdev_mapping(struct block_device *bdev); /* made at first use; NULL: memory */
/** Pages of all devices' caches: "Buffers". */
u64 nr_blockdev_pages(void);

static inline struct address_space *page_mapping_file(const struct page *page)
{
	unsigned long m = (unsigned long)READ_ONCE(page->mapping);

	return m & 3 ? NULL : (struct address_space *)m;
}

/** Are its dirty pages written to a disk, and counted? Not those of memory-only files. */
static inline bool mapping_is_written(const struct address_space *mapping)
{
	return mapping && mapping->ops->writepage && !(mapping->flags & AS_SHMEM);
}

void pagecache_init(void);
#endif
