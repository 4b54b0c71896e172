/*
 * struct page: what the guest knows about each frame, in a form the host can read.
 *
 * The guest keeps a flat array of these (vmemmap), one per frame of RAM. The host's audit reads the
 * same bytes from outside. Pointers are guest virtual addresses.
 *
 * A page's `type` says who owns it. It is exact for order-0 pages and for the head of a block;
 * `order` (meaningful in heads) says how far the block reaches, and the tails' own fields mean
 * nothing. So every frame's state is that of the one head that covers it: no head may be covered by
 * another (invariant A1).
 */
#ifndef MMVM_PAGE_H
#define MMVM_PAGE_H

#include <stdint.h>

/* In the guest, pointers; in the VMM, numbers. */
#ifdef MMVM_GUEST
#define MMVM_PTR(type) type *
#else
#define MMVM_PTR(type) uint64_t
#endif

/** Who owns the frame. Every value but INVALID is a state an audited page may be in. */
#define MMVM_PAGE_TYPES(X)                                                              \
	X(PAGE_INVALID, "invalid")   /* no RAM, or never initialised */                 \
	X(PAGE_RESERVED, "reserved") /* kernel image, boot allocations, struct pages */ \
	X(PAGE_BUDDY, "buddy")	     /* head of a free block on a buddy list */         \
	X(PAGE_PCP, "pcp")	     /* head of a free block on a per-CPU list */       \
	X(PAGE_OTHER, "kernel")	     /* allocated, no finer owner said */               \
	X(PAGE_SLAB, "slab")	     /* slab: objects of one kmem_cache */              \
	X(PAGE_KMALLOC, "kmalloc")   /* large kmalloc, straight from the buddy */       \
	X(PAGE_VMALLOC, "vmalloc")   /* behind a vmalloc area */                        \
	X(PAGE_STACK, "stack")	     /* kernel thread stack */                          \
	X(PAGE_PGTABLE, "pgtable")   /* page table, user or kernel */                   \
	X(PAGE_ANON, "anon")	     /* user anonymous, perhaps in the swap cache */    \
	X(PAGE_FILE, "file")	     /* page cache */                                   \
	X(PAGE_SHMEM, "shmem")	     /* tmpfs and shared memory */                      \
	X(PAGE_ZERO, "zero")	     /* the shared zero page */                         \
	X(PAGE_DMA, "dma")	     /* dma_alloc_coherent and pools */                 \
	X(PAGE_BALLOON, "balloon")   /* given to the host */

#define MMVM_ENUM_(name, text) name,
enum mmvm_page_type { MMVM_PAGE_TYPES(MMVM_ENUM_) NR_PAGE_TYPES };
#undef MMVM_ENUM_

/** Bits of page->flags. The zone and node sit in the top byte pair, as Linux packs them. */
#define MMVM_PAGE_FLAGS(X)                   \
	X(PG_locked, "locked")               \
	X(PG_referenced, "referenced")       \
	X(PG_uptodate, "uptodate")           \
	X(PG_dirty, "dirty")                 \
	X(PG_lru, "lru")                     \
	X(PG_active, "active")               \
	X(PG_unevictable, "unevictable")     \
	X(PG_mlocked, "mlocked")             \
	X(PG_swapbacked, "swapbacked")       \
	X(PG_swapcache, "swapcache")         \
	X(PG_writeback, "writeback")         \
	X(PG_reclaim, "reclaim")             \
	X(PG_readahead, "readahead")         \
	X(PG_head, "head")                   \
	X(PG_error, "error")                 \
	X(PG_waiters, "waiters")             \
	X(PG_workingset, "workingset")       \
	X(PG_anonexclusive, "anonexclusive") \
	X(PG_isolated, "isolated")           \
	X(PG_lazyfree, "lazyfree")           \
	X(PG_young, "young")

#define MMVM_ENUM_(name, text) name,
enum mmvm_page_flag { MMVM_PAGE_FLAGS(MMVM_ENUM_) NR_PAGE_FLAGS };
#undef MMVM_ENUM_

#define PAGE_ZONE_SHIFT \
	56 /* index into the global zone table (shared window, audit root), 0..15 \
	    */
#define PAGE_ZONE_MASK	0xfull
#define PAGE_NODE_SHIFT 60
#define PAGE_NODE_MASK	0xfull

struct mmvm_list {
	MMVM_PTR(struct mmvm_list) next;
	MMVM_PTR(struct mmvm_list) prev;
};

struct page {
	uint64_t flags; /* PG_*; atomic */
	/* Which list the page is on is said by type and flags: buddy, per-CPU, slab partial, LRU.
	 */
	struct mmvm_list lru;
	/* ANON: struct anon_vma | 1. FILE, SHMEM: struct address_space. SLAB: struct kmem_cache. */
	MMVM_PTR(void) mapping;
	/* ANON, FILE: offset in pages within the mapping. SLAB: first free object (pointer) or 0.
	 */
	uint64_t index;
	/* SWAPCACHE: swap entry. SLAB: objects in use. Block of pages lent by a driver: the
	 * driver's. */
	uint64_t private_;
	int32_t mapcount;    /* PTEs that map it; -1 = none, as in Linux; atomic */
	int32_t refcount;    /* 0 = free; atomic */
	uint8_t type;	     /* enum mmvm_page_type */
	uint8_t order;	     /* heads: log2 pages of the block */
	uint8_t migratetype; /* PCP, BUDDY: the list it is on */
	uint8_t cpu;	     /* PCP: whose list */
	uint32_t objects;    /* SLAB: objects in the slab */
};
_Static_assert(sizeof(struct page) == 64, "struct page is one cache line");

#endif
