/*
 * A pool of small objects of different sizes, for compressed pages: each size class uses groups of one to four
 * pages.
 *
 *   class of 1,360 bytes    zspage: | page | page | page |      objects may cross from page to page
 *                                   [ 0 ][ 1 ][ 2 ][ ... ][ 8 ]
 *
 * An object is reached through its owner's struct zs_ref, never by address: compaction moves objects
 * between zspages of a class and rewrites their references, and migration replaces pages.
 *
 * Locks: zs_lock (spinlock, never taken by interrupts) around everything. It is taken under the lock of a swap
 * area; the page allocator's and the slabs' locks are taken under it. A struct zs_ref belongs to its owner; zs_lock
 * guards its contents.
 */
#ifndef MM_ZS_POOL_H
#define MM_ZS_POOL_H
#include "lib/list.h"
#include "mm/phys/alloc.h"

#define ZS_STEP	     32u   /* classes are this far apart */
#define ZS_MAX_SIZE  3264u /* five in four pages: a larger object would save less than a fifth */
#define ZS_MAX_PAGES 4u	   /* of a zspage */
#define ZS_FULLNESS  5u	   /* lists of a class: empty, up to 1/3, up to 2/3, not full, full */

struct zspage;
struct zs_ref {
	struct zspage *zspage; /* zs_lock */
	u32 index;	       /* zs_lock: which object of it */
};

/** Objects of a size. */
struct zs_class {
	u32 size, pages, objects; /* C: bytes of an object; pages and objects of a zspage */
	u32 pad;
	u64 nr_zspages, nr_used;	    /* zs_lock */
	struct list_head list[ZS_FULLNESS]; /* zs_lock: zspages, by how full they are */
};

struct zspage {
	struct list_head link;	/* zs_lock */
	struct zs_class *class; /* C */
	u32 inuse;		/* zs_lock: objects */
	u32 hint;		/* zs_lock: no free object before this one */
	struct page
		*page[ZS_MAX_PAGES]; /* zs_lock: page->private_ = the zspage, ->index its place */
	struct zs_ref *owner[];	     /* zs_lock: of each object; NULL: free */
};

#define ZS_MAX_CLASSES (ZS_MAX_SIZE / ZS_STEP)
extern struct zs_class zs_classes[ZS_MAX_CLASSES];
extern u32 zs_nr_classes;

/** Make the classes. Once, before everything else. */
void zs_init(void);
/** Store a copy of `size` bytes (1..ZS_MAX_SIZE); *ref names it until zs_free(). 0, -ENOMEM, or -ENOSPC: too large.
 * Sleeps only if gfp allows. */
int zs_store(const void *data, u32 size, gfp_t gfp, struct zs_ref *ref);
/** Copy the first `size` bytes out. Any context that may take zs_lock. */
void zs_load(const struct zs_ref *ref, void *data, u32 size);
void zs_free(struct zs_ref *ref);
/** Pages that the pool has. */
u64 zs_pages(void);
/** Pages that compaction could give back. */
u64 zs_compactable(void);
/** Move objects together and free zspages until `nr` pages are free or nothing is left to do. Returns
 * pages. May sleep. */
u64 zs_compact(u64 nr);
/** Pages of a zspage for objects of this size, so that the least is wasted [pure]. */
u32 zs_pages_for(u32 size);
#endif
