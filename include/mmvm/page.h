/*
 * struct page: what the guest knows about each frame, in a form the host can read.
 *
 * The guest keeps a flat array of these (vmemmap), one per frame of RAM. The host's audit reads the
 * same bytes from outside. Pointers are guest virtual addresses.
 *
 * A page's `type` says who owns it. It is exact for order-0 pages and for the head of a block;
 * `order` (meaningful in heads) says how far the block reaches. So every frame's state is that of the
 * one head that covers it: no head may be covered by another (invariant A1).
 *
 * Blocks of more than one page come in two kinds:
 *   plain      the tails' fields mean nothing (and `lru.next` has bit 0 clear)
 *   compound   allocated with __GFP_COMP: the head has PG_head, and `lru.next` of each tail is the
 *              head's address | 1, so that a tail finds its head in one load. No list node is at an
 *              odd address, so bit 0 alone tells a tail from everything else. A tail has refcount 0
 *              and type INVALID (a slab's tails: SLAB); flags beyond zone and node, references, LRU
 *              links, mapping and index are the head's. A freed block's tails have bit 0 clear again.
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
	X(PAGE_PERCPU, "percpu")     /* behind a chunk of per-CPU memory */             \
	X(PAGE_STACK, "stack")	     /* kernel thread stack */                          \
	X(PAGE_PGTABLE, "pgtable")   /* page table, user or kernel */                   \
	X(PAGE_ANON, "anon")	     /* user anonymous, perhaps in the swap cache */    \
	X(PAGE_FILE, "file")	     /* page cache */                                   \
	X(PAGE_SHMEM, "shmem")	     /* tmpfs and shared memory */                      \
	X(PAGE_ZERO, "zero")	     /* the shared zero page */                         \
	X(PAGE_DMA, "dma")	     /* dma_alloc_coherent and pools */                 \
	X(PAGE_PIPE, "pipe")	     /* bytes written to a pipe */                      \
	X(PAGE_BALLOON, "balloon")   /* given to the host */                            \
	X(PAGE_HUGETLB, "hugetlb")   /* huge page of a pool, in use or free in it */    \
	X(PAGE_ZSMALLOC, "zsmalloc") /* of the pool of compressed pages */              \
	X(PAGE_KSM, "ksm")	     /* user anonymous, merged by ksmd: read-only */    \
	X(PAGE_HWPOISON, "hwpoison") /* lost or withdrawn: nobody's, for ever */        \
	X(PAGE_DEVICE, "device")     /* of a file that is memory (ZONE_DEVICE): no RAM */

#define MMVM_ENUM_(name, text) name,
enum mmvm_page_type { MMVM_PAGE_TYPES(MMVM_ENUM_) NR_PAGE_TYPES };
#undef MMVM_ENUM_

/** Bits of page->flags. The zone and node sit in the top byte pair, as Linux packs them. */
#define MMVM_PAGE_FLAGS(X)               \
	X(PG_locked, "locked")           \
	X(PG_referenced, "referenced")   \
	X(PG_uptodate, "uptodate")       \
	X(PG_dirty, "dirty")             \
	X(PG_lru, "lru")                 \
	X(PG_active, "active")           \
	X(PG_unevictable, "unevictable") \
	X(PG_mlocked, "mlocked")         \
	X(PG_swapbacked, "swapbacked")   \
	X(PG_swapcache, "swapcache")     \
	X(PG_writeback, "writeback")     \
	X(PG_reclaim, "reclaim")         \
	X(PG_readahead, "readahead")     \
	X(PG_head, "head")               \
	X(PG_error, "error")             \
	X(PG_waiters, "waiters")         \
	X(PG_workingset, "workingset")   \
	X(PG_isolated, "isolated")       \
	X(PG_migrating, "migrating")     \
	X(PG_lazyfree, "lazyfree")       \
	X(PG_young, "young")             \
	X(PG_ksm, "ksm")                 \
	X(PG_charged, "charged")

#define MMVM_ENUM_(name, text) name,
enum mmvm_page_flag { MMVM_PAGE_FLAGS(MMVM_ENUM_) NR_PAGE_FLAGS };
#undef MMVM_ENUM_

#define PAGE_ZONE_SHIFT \
	56 /* index into the global zone table (shared window, audit root), 0..15 \
	    */
#define PAGE_ZONE_MASK 0xfull
/** The index of pages of ZONE_DEVICE: no row of the table is theirs. */
#define PAGE_ZONE_DEVICE 15u
#define PAGE_NODE_SHIFT	 60
#define PAGE_NODE_MASK	 0xfull

/* On an LRU list (PG_lru): the number of the list within its lruvec. */
#define PAGE_LIST_SHIFT 40
#define PAGE_LIST_MASK	0xfull
/* Free for the reclaim policy, for as long as the page is in use. */
#define PAGE_POLICY_SHIFT 44
#define PAGE_POLICY_MASK  0xfffull

struct mmvm_list {
	MMVM_PTR(struct mmvm_list) next;
	MMVM_PTR(struct mmvm_list) prev;
};

/*
 * Who may write a field (a reader needs the same, or lives with a stale value):
 *
 *   A  atomic operations, by whoever holds a reference
 *   C  constant while the machine runs
 *   O  the owner: from allocation until the page is published, and again when the last reference is
 *      gone. Nobody else looks.
 *   P  the page lock (PG_locked)
 *   M  the lock of the address_space that the page is in, together with P
 *   S  the lock of the swap area whose slot the page holds, together with P
 *   L  the lock of the LRU list; taken off the list, whoever isolated the page
 *   Z  zone->lock, while the block is free on a buddy list
 *   I  interrupts off on the owner CPU, while the block is free on a per-CPU list
 *   N  list_lock of the slab's cache and node
 *   T  page_table_lock
 */
struct page {
	/* A (O, Z, I while nobody has a reference): PG_*. PG_lru, PG_active, PG_unevictable also
	 * need L. Top byte, C: zone and node. */
	uint64_t flags;
	/* Links of the list that type and flags name: L, Z or I; O for whatever the owner wants.
	 * Tails of a compound block: next = head | 1 (O). */
	struct mmvm_list lru;
	/* DEVICE: struct address_space of the file that has the frame as data and has mapped it, or
	 * NULL (mm/cache/dax.c). ANON: struct anon_vma | 1 (O to set, T to change). KSM: struct ksm_node | 3 (O). FILE, SHMEM:
	 * struct address_space (M). */
	MMVM_PTR(void) mapping;
	uint64_t index; /* ANON, FILE, SHMEM: offset in pages within the mapping. O; M */
	/* SWAPCACHE: swap entry (S). Block of pages lent by a driver: the driver's (O). */
	uint64_t private_;
	int32_t mapcount; /* A: PTEs that map this very page; -1 = none, as in Linux */
	int32_t refcount; /* A: 0 = free, or a tail */
	/* These four are one word to the allocator. */
	uint8_t type;	     /* Z, I, O: enum mmvm_page_type; FILE and SHMEM: also M */
	uint8_t order;	     /* Z, I, O: heads: log2 pages of the block */
	uint8_t migratetype; /* Z, I: PCP, BUDDY: the list it is on */
	uint8_t cpu;	     /* I: PCP: whose list. Z: BUDDY: 1 = reported to the host */
	uint16_t memcg_id;   /* O: with PG_charged: the memory cgroup; else 0 */
	/* R, while it is user memory: the CPU and process that last touched it (mm/numa/balancing.c). */
	uint16_t spare;
};
_Static_assert(sizeof(struct page) == 64, "struct page is one cache line");

/** Counts of a large folio as a whole: the first tail of a compound block, seen so. */
struct folio_counts {
	uint64_t flags;		 /* C: zone and node */
	uint64_t head;		 /* O: address of the head | 1 */
	int32_t large_mapcount;	 /* A: mappings of any of its pages, PTEs and larger; -1 = none */
	int32_t entire_mapcount; /* A: mappings of the whole by one entry (PMD); -1 = none */
	int32_t nr_pages_mapped; /* A: pages that a PTE maps */
	int32_t pincount;	 /* A: pins for DMA and the like, besides `refcount` */
	uint64_t index, private_;
	int32_t mapcount, refcount;
	uint32_t state, memcg;
};

/** Second tail of a compound block of order 2 or more. */
struct folio_links {
	uint64_t flags; /* C */
	uint64_t head;	/* O */
	uint64_t unused;
	/* Link of the list of folios that may be split when memory is short (that list's lock); both
	 * 0 while on none. */
	struct mmvm_list deferred;
	uint64_t hugetlb; /* O: hugetlb's own */
	int32_t mapcount, refcount;
	uint32_t state, memcg;
};

/** A slab: a block of type SLAB, seen so. The tails carry `cache` and `type` too. */
struct slab {
	uint64_t flags;
	struct mmvm_list list;	 /* N: partial list; tails: head | 1 */
	MMVM_PTR(void) cache;	 /* O: struct kmem_cache */
	MMVM_PTR(void) freelist; /* N: first free object, or 0 */
	uint64_t inuse;		 /* N: objects that are not on the slab's free list */
	int32_t mapcount, refcount;
	uint8_t type, order, unused[2];
	uint32_t objects; /* O: objects in the slab; 0 again before the pages are freed */
};

/** A page table: a page of type PGTABLE, seen so. */
struct ptdesc {
	uint64_t flags;
	struct mmvm_list unused_lru;
	/* T: tables deposited for the large leaves of this one, linked by `next` (mm/huge/thp.h) */
	MMVM_PTR(struct ptdesc) deposited;
	uint64_t unused_index;
	MMVM_PTR(struct ptdesc) next; /* O: next table that waits for the TLB flush; else 0 */
	int32_t mapcount, refcount;
	uint32_t state, memcg;
};

#define MMVM_PAGE_MATCH(overlay, field, page_field)                         \
	_Static_assert(__builtin_offsetof(struct overlay, field) ==         \
			       __builtin_offsetof(struct page, page_field), \
		       #overlay "." #field " lies over page." #page_field)
#define MMVM_PAGE_OVERLAY(overlay)                                                            \
	_Static_assert(sizeof(struct overlay) == sizeof(struct page), #overlay " is a page"); \
	MMVM_PAGE_MATCH(overlay, mapcount, mapcount);                                         \
	MMVM_PAGE_MATCH(overlay, refcount, refcount)
MMVM_PAGE_OVERLAY(folio_counts);
MMVM_PAGE_MATCH(folio_counts, head, lru.next);
MMVM_PAGE_MATCH(folio_counts, nr_pages_mapped, mapping);
MMVM_PAGE_OVERLAY(folio_links);
MMVM_PAGE_MATCH(folio_links, head, lru.next);
MMVM_PAGE_MATCH(folio_links, deferred, mapping);
MMVM_PAGE_OVERLAY(slab);
MMVM_PAGE_MATCH(slab, list, lru);
MMVM_PAGE_MATCH(slab, cache, mapping);
MMVM_PAGE_MATCH(slab, freelist, index);
MMVM_PAGE_MATCH(slab, inuse, private_);
MMVM_PAGE_MATCH(slab, type, type);
MMVM_PAGE_MATCH(slab, order, order);
MMVM_PAGE_MATCH(slab, objects, memcg_id);
MMVM_PAGE_OVERLAY(ptdesc);
MMVM_PAGE_MATCH(ptdesc, next, private_);

#endif
