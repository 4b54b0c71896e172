/*
 * What the host needs to audit guest memory from outside: where the guest keeps its page array,
 * lists, address spaces and swap maps. The guest fills one struct mmvm_audit_root (symbol
 * `mmvm_audit_root` in its ELF) at boot and keeps it true. The host walks it with the guest's own
 * page tables, trusts nothing, bounds every walk, and stops at the first broken link of a list.
 *
 * Findings have names; tests that plant a corruption wait for theirs:
 */
#ifndef MMVM_AUDIT_H
#define MMVM_AUDIT_H

#include <stdint.h>
#include "mmvm/layout.h"
#include "mmvm/page.h"
#include "mmvm/shared.h"

#define MMVM_AUDIT_FINDINGS(X)                                                                    \
	X(AUDIT_ROOT, "root", "audit root unreadable or of another version")                      \
	X(AUDIT_PAGE_STATE, "page_state", "a frame has no valid state")                           \
	X(AUDIT_PAGE_OVERLAP, "page_overlap", "a frame is covered by two blocks")                 \
	X(AUDIT_FOLIO_TAIL, "folio_tail",                                                         \
	  "a tail page does not name its head, or is in use by itself")                           \
	X(AUDIT_STRAY_TAIL, "stray_tail", "a page names a head that does not cover it")           \
	X(AUDIT_FREE_REFCOUNT, "free_refcount", "a free page has references")                     \
	X(AUDIT_USED_REFCOUNT, "used_refcount",                                                   \
	  "a page in use has a reference too few or too many")                                    \
	X(AUDIT_BUDDY_LIST, "buddy_list",                                                         \
	  "a buddy list is broken or holds a page that is not free")                              \
	X(AUDIT_BUDDY_COUNT, "buddy_count", "nr_free of an order disagrees with its lists")       \
	X(AUDIT_BUDDY_UNMERGED, "buddy_unmerged", "two free buddies were not merged")             \
	X(AUDIT_FREE_PAGES, "free_pages", "nr_free_pages disagrees with the lists")               \
	X(AUDIT_PCP_LIST, "pcp_list", "a per-CPU list is broken or holds a wrong page")           \
	X(AUDIT_PCP_COUNT, "pcp_count", "a per-CPU count disagrees with its lists")               \
	X(AUDIT_SLAB_FREELIST, "slab_freelist", "a slab's free list leaves the slab or loops")    \
	X(AUDIT_SLAB_COUNT, "slab_count", "a slab's objects do not add up")                       \
	X(AUDIT_PGTABLE, "pgtable",                                                               \
	  "a page-table entry points at a page that is not a table or not RAM")                   \
	X(AUDIT_PGTABLE_COUNT, "pgtable_count", "page-table pages disagree with the walk")        \
	X(AUDIT_MAPCOUNT, "mapcount", "a page's mapcount disagrees with the page tables")         \
	X(AUDIT_FREE_MAPPED, "free_mapped", "a free page is mapped by a user page table")         \
	X(AUDIT_LRU_LIST, "lru_list", "an LRU list is broken or holds a wrong page")              \
	X(AUDIT_LRU_COUNT, "lru_count", "an LRU count disagrees with its list")                   \
	X(AUDIT_LRU_GEN, "lru_gen",                                                               \
	  "generations of an LRU are too many or too few, or one that has ended holds pages")     \
	X(AUDIT_SWAP_MAP, "swap_map",                                                             \
	  "a swap slot's count disagrees with the entries that use it")                           \
	X(AUDIT_SWAP_COUNT, "swap_count", "used swap slots disagree with the area's count")       \
	X(AUDIT_SWAP_BAD, "swap_bad", "a slot that cannot be written may be used again")          \
	X(AUDIT_RSS, "rss", "an address space's counters disagree with its page tables")          \
	X(AUDIT_VMA, "vma", "VMAs overlap, are out of order, or a mapped page has none")          \
	X(AUDIT_RMAP, "rmap", "a mapped page is not found by its reverse map")                    \
	X(AUDIT_COMMITTED, "committed",                                                           \
	  "promised memory disagrees with the mappings and objects that it is promised to")       \
	X(AUDIT_CACHE, "page_cache",                                                              \
	  "a page of a file is not at its place in its tree, or a tree holds something else")     \
	X(AUDIT_CACHE_COUNT, "cache_count", "a mapping's counts disagree with its tree")          \
	X(AUDIT_THP_DEFERRED, "thp_deferred",                                                     \
	  "the list of huge pages to be split holds something else, or is counted wrong")         \
	X(AUDIT_HUGETLB_POOL, "hugetlb_pool",                                                     \
	  "a pool of huge pages disagrees with its free list or its pages")                       \
	X(AUDIT_HUGETLB_RESERVE, "hugetlb_reserve",                                               \
	  "promised huge pages disagree with those who were promised them")                       \
	X(AUDIT_ZSWAP_POOL, "zswap_pool",                                                         \
	  "a group of pages of the compressed pool disagrees with its pages or its objects")      \
	X(AUDIT_ZSWAP_ENTRY, "zswap_entry",                                                       \
	  "a slot's compressed page is not where its entry says, or does not decompress")         \
	X(AUDIT_ZSWAP_COUNT, "zswap_count", "counts of the compressed pool disagree with it")     \
	X(AUDIT_PMEM_PAGE, "pmem_page", "a frame of a device is managed as if it were RAM")       \
	X(AUDIT_PMEM_MAPPING, "pmem_mapping",                                                     \
	  "a frame of a device is mapped where it is not the file's page")                        \
	X(AUDIT_PMEM_DIRTY, "pmem_dirty", "a frame of a device may be written unnoticed")         \
	X(AUDIT_PMEM_FLUSH, "pmem_flush", "guest and device disagree about flushes")              \
	X(AUDIT_MEMPOLICY, "mempolicy", "a page is on a node that its mapping's policy forbids")  \
	X(AUDIT_MEMCG_PAGE, "memcg_page",                                                         \
	  "a page is charged to a memory cgroup that does not exist")                             \
	X(AUDIT_MEMCG_CHARGE, "memcg_charge",                                                     \
	  "a memory cgroup's usage is not the sum of its pages")                                  \
	X(AUDIT_MEMCG_KERNEL, "memcg_kernel", "a memory cgroup's kernel pages do not add up")     \
	X(AUDIT_MEMCG_OBJECT, "memcg_object",                                                     \
	  "slab objects charged to a memory cgroup do not add up, or are free")                   \
	X(AUDIT_MEMCG_PROTECTION, "memcg_protection",                                             \
	  "a memory cgroup's effective min or low is not its share of its parent's")              \
	X(AUDIT_MEMCG_LEVEL, "memcg_level",                                                       \
	  "a level of a memory cgroup on a node is not what its pages there add up to")           \
	X(AUDIT_KSM_PAGE, "ksm_page",                                                             \
	  "a merged page is writable, has changed, or is not the one that its node names")        \
	X(AUDIT_KSM_COUNT, "ksm_count", "merged pages and their places do not add up")            \
	X(AUDIT_MIGRATION, "migration", "a migration entry names a page that is not being moved") \
	X(AUDIT_UFFD_WP, "uffd_wp",                                                               \
	  "an entry that asks before a write is writable, or nobody is there to be asked")        \
	X(AUDIT_NUMA_HINT, "numa_hint",                                                           \
	  "an entry is without access where no balancing of nodes can have made it so")           \
	X(AUDIT_SOFT_DIRTY, "soft_dirty",                                                         \
	  "a page may be written without becoming soft-dirty, although its mapping is watched")   \
	X(AUDIT_PKEY, "pkey", "an entry has another protection key than its mapping")             \
	X(AUDIT_SPECIAL, "special_mapping",                                                       \
	  "a page of [vdso] or [vvar] is writable, at another place, or in another mapping")      \
	X(AUDIT_UNMOVABLE, "unmovable",                                                           \
	  "a page that cannot move is in ZONE_MOVABLE or in the CMA area")                        \
	X(AUDIT_PAGEBLOCK, "pageblock", "a free page is not on the list of its pageblock's type") \
	X(AUDIT_BOUNCE, "bounce",                                                                 \
	  "a bounce buffer is kept for a page that is free, or slots disagree with their count")  \
	X(AUDIT_BALLOON_SET, "balloon_set",                                                       \
	  "a page is in the balloon for the guest and not for the device, or the reverse")        \
	X(AUDIT_BALLOON_LIST, "balloon_list",                                                     \
	  "the guest's list of balloon pages is broken, or miscounts them")                       \
	X(AUDIT_HWPOISON, "hwpoison", "a page that is lost is still used, or they do not add up") \
	X(AUDIT_SECRET, "secret_page",                                                            \
	  "the kernel maps a page of memfd_secret, or does not map another page")                 \
	X(AUDIT_PIPE, "pipe", "a pipe's buffer is no page in use, or a page of pipes is in none") \
	X(AUDIT_VMAP, "vmap",                                                                     \
	  "an area of vmalloc overlaps another, or does not map the pages that it should")        \
	X(AUDIT_HIGHMEM, "highmem",                                                               \
	  "high memory in the direct map, or a window onto a wrong page")                         \
	X(AUDIT_GUARD, "guard", "a guard page, or memory between areas of vmalloc, is mapped")    \
	X(AUDIT_WX, "wx", "kernel memory is writable and executable")                             \
	X(AUDIT_PERCPU_AREA, "percpu_area",                                                       \
	  "a CPU's area is not where its offset says, or is not its own")                         \
	X(AUDIT_PERCPU_COUNT, "percpu_count",                                                     \
	  "pages or free bytes of per-CPU memory do not add up")                                  \
	X(AUDIT_TOTAL, "total", "pages by state do not add up to RAM")                            \
	X(AUDIT_VMSTAT, "vmstat", "a counter disagrees with the walk")                            \
	X(AUDIT_BUDGET, "budget", "structures are larger than RAM: the audit gave up")

#define MMVM_ENUM_(name, text, why) name,
enum mmvm_audit_finding { MMVM_AUDIT_FINDINGS(MMVM_ENUM_) NR_AUDIT_FINDINGS };
#undef MMVM_ENUM_

#define MMVM_AUDIT_MAGIC	 0x5444554d4d564dull
#define MMVM_AUDIT_MAX_ORDERS	 11
#define MMVM_AUDIT_MAX_TYPES	 6
#define MMVM_AUDIT_MAX_PCP_LISTS 24
#define MMVM_AUDIT_MAX_SWAP	 23 /* as Debian's Linux 6.1: 32 types less those of other entries */
#define MMVM_AUDIT_MAX_LRU_LISTS 12 /* of a policy */
#define MMVM_AUDIT_MAX_POLICIES	 8
#define MMVM_AUDIT_MAX_LRUVECS	 1024

/* All *_gva fields are guest virtual addresses; counts are those the guest keeps, live in its own
 * structures, and named here by address so that nothing is copied on a hot path. */

/** A zone: addresses of its list heads and counters. */
struct mmvm_audit_zone {
	uint64_t present; /* 0 = slot not in use; slot index = zone index of page->flags */
	/* free_area[order].free_list[type] = free_area_gva + order*area_stride + type*sizeof(list);
	 * free_area[order].nr_free (u64) follows at + nr_free_offset */
	uint64_t free_area_gva;
	uint32_t area_stride, nr_free_offset;
	uint32_t nr_orders, nr_types;
	/* pcp of cpu c: lists at pcp_gva[c] + i*sizeof(list), count (u32, pages) at pcp_gva[c] +
	 * pcp_count_offset. List i holds blocks of order pcp_list_order[i]. */
	uint64_t pcp_gva[MMVM_MAX_CPUS];
	uint32_t pcp_count_offset, nr_pcp_lists;
	uint8_t pcp_list_order[MMVM_AUDIT_MAX_PCP_LISTS];
	/* One byte a pageblock of 2^pageblock_order frames, the first that of frame
	 * pageblock_first << pageblock_order: its migrate type. */
	uint64_t pageblock_gva, pageblock_first;
	uint64_t cma_start, cma_pages; /* frames of the CMA area; cma_pages 0: none */
	uint32_t pageblock_order;
	uint8_t movable;	/* 1: ZONE_MOVABLE */
	uint8_t cma_type;	/* migrate type of the area's free lists */
	uint8_t movable_type;	/* that the area's pageblocks have */
	uint8_t nr_block_types; /* a pageblock's type is below it */
};

/** Kinds of LRU lists: whose pages they hold. */
#define MMVM_LRU_ANON 0 /* anonymous and shared memory */
#define MMVM_LRU_FILE 1 /* files */
#define MMVM_LRU_ANY  2

/** One list of a reclaim policy: what its pages look like. */
struct mmvm_audit_lru_list {
	char name[16];
	uint64_t flags_mask, flags_value; /* flags & mask == value for each page of the list */
	uint32_t level;			  /* enum zone_stat_item that counts its pages */
	uint32_t kind;			  /* MMVM_LRU_* */
};

/** Generations of a policy: of each kind (0 anonymous, 1 files) those from min_seq[kind] to max_seq exist.
 * Generation seq of kind k is list 1 + k * max_gens + seq % max_gens. */
struct mmvm_audit_gens {
	uint32_t max_gens, min_gens; /* max_gens 0: the policy has no generations */
	uint32_t max_seq_offset;     /* u64 within struct lruvec */
	uint32_t min_seq_offset;     /* two u64 */
};

/** A reclaim policy. List 0 of a lruvec is everybody's unevictable list; lists 1 .. nr_lists are
 * list[0 .. nr_lists - 1] here. */
struct mmvm_audit_policy {
	char name[16];
	uint64_t nr_lists;
	struct mmvm_audit_lru_list list[MMVM_AUDIT_MAX_LRU_LISTS];
	struct mmvm_audit_gens gens;
};

/** The lists of one (memory cgroup, node) pair, reached through lruvec_list. Offsets are within
 * struct lruvec. A level of a node's zones is the sum of the lists of that level over the node's
 * lruvecs. A page on list i has i in PAGE_LIST of its flags. */
struct mmvm_audit_lruvec_layout {
	uint32_t link_offset;	/* list_head in lruvec_list */
	uint32_t policy_offset; /* u32: index in policy[] */
	uint32_t node_offset;	/* pointer to the node: node_gva of its slot */
	uint32_t memcg_offset;	/* u64 */
	uint32_t list_offset;	/* MMVM_AUDIT_MAX_LRU_LISTS + 1 heads */
	uint32_t nr_offset;	/* as many u64: pages */
};

struct mmvm_audit_node {
	uint64_t present;
	uint64_t node_gva;
};

struct mmvm_audit_swap {
	uint64_t present;
	uint64_t map_gva;   /* u8 per slot: users, top two bits are flags */
	uint64_t nr_slots;  /* slot 0 is the header */
	uint64_t inuse_gva; /* u64: slots in use */
	uint64_t zswap_gva; /* pointer to an entry per slot; 0: none has one */
	/* Writing to some slots failed: a bit per slot, in words of 64. usable: slots that may hold
	 * pages; u64. */
	uint64_t failed_gva, usable_gva;
	uint8_t count_mask, bad_value, has_cache_bit, no_disk_bit,
		pad[4]; /* map byte: entries = b & count_mask; bad =
  slot unusable; has_cache_bit set = the swap cache holds it too */
};

/** An address space, reached through mm_list. Offsets are within struct mm_struct. */
struct mmvm_audit_mm_layout {
	uint32_t list_offset; /* struct list_head in mm_list */
	uint32_t pgd_offset;  /* pointer (GVA) to the top table */
	uint32_t rss_anon_offset, rss_file_offset, rss_shmem_offset, rss_swap_offset,
		hugetlb_usage_offset; /* s64, pages */
	uint32_t pgtables_offset;     /* s64, bytes of page tables below and including the PGD */
	uint32_t vma_list_offset;     /* list_head of VMAs in address order */
	uint32_t vma_link_offset, vma_start_offset, vma_end_offset,
		vma_flags_offset; /* within the VMA */
};

/** A slab cache, reached through cache_list; slabs are found by page type and slab->cache. */
struct mmvm_audit_cache_layout {
	uint32_t list_offset;	  /* list_head in slab_caches */
	uint32_t name_offset;	  /* char[32] */
	uint32_t size_offset;	  /* u32: bytes from object to object */
	uint32_t free_ptr_offset; /* u32: where a free object keeps the pointer to the next */
	uint32_t offset_of_first; /* u32 field: bytes from slab start to the first object */
	uint32_t flags_offset;	  /* u32 */
	uint32_t
		account_flag; /* in flags: behind the objects lies for each a u16, the memory cgroup
				   * that it is charged to, 0: none. 0: no cache has that */
	uint32_t reclaim_flag; /* in flags: its objects count as reclaimable */
};

/** An address_space, reached through page->mapping, or through the list of those with pages in
 * swap. */
struct mmvm_audit_mapping_layout {
	uint32_t root_offset, height_offset;	  /* radix tree: pointer, u32 */
	uint32_t flags_offset;			  /* u32 */
	uint32_t shmem_flag;			  /* in flags: values are swap entries */
	uint32_t nrpages_offset, nrvalues_offset; /* u64 */
	uint32_t node_shift_offset;		  /* radix node: u32, 0 in leaves */
	uint32_t node_slots_offset;		  /* radix node: 64 pointers or values (bit 0) */
	uint32_t nr_thps_offset;		  /* u32: large folios in the tree; 0: not told */
	uint32_t secret_flag;			  /* in flags: pages that the kernel does not map */
	uint64_t swapped_list_gva, swapped_offset; /* list_head, and its link in address_space */
};

/** Policies of VMAs (guestmm/mm/numa). vma_policy_offset 0: there are none. */
struct mmvm_audit_mempolicy_layout {
	uint32_t vma_policy_offset; /* in the VMA: pointer to its policy, or 0 */
	uint32_t
		vma_held_offset; /* u8: not 0: all its anonymous pages are where a bind allows them */
	uint32_t mode_offset;	 /* u16 */
	uint32_t nodes_offset;	 /* u32: a bit each */
	uint32_t mode_bind;	 /* value of the mode that forbids other nodes */
	uint32_t reserved;
};

/** The reverse map (guestmm/mm/rmap/rmap.c). Offsets; vma_chains_offset 0: there is none. Nodes of trees are
 * as in guestmm/lib/rbtree.h: parent with colour bits, left, right. Trees are ordered by the VMA's pgoff; the
 * `last` beside a node is the highest page offset in its subtree. */
struct mmvm_audit_rmap_layout {
	uint32_t vma_pgoff_offset, vma_mapping_offset;
	uint32_t vma_chains_offset;		   /* list_head: same_vma of its chains */
	uint32_t vma_node_offset, vma_last_offset; /* in its mapping's tree */
	uint32_t chain_link_offset;		   /* same_vma */
	uint32_t chain_vma_offset, chain_anon_vma_offset;
	uint32_t chain_node_offset, chain_last_offset; /* in its anon_vma's tree */
	uint32_t anon_vma_root_offset, mapping_root_offset;
};

/** Merged pages (guestmm/mm/ksm). nodes_gva 0: there are none. */
struct mmvm_audit_ksm_layout {
	uint64_t nodes_gva; /* list_head: the nodes, one a merged page */
	uint64_t shared_gva,
		sharing_gva;  /* u64: nodes with places; places beyond the first of each */
	uint32_t link_offset; /* in the node: list_head */
	uint32_t page_offset; /* struct page * */
	uint32_t hash_offset; /* u64: mmvm_ksm_hash() of the contents */
	uint32_t nr_offset;   /* u64: places */
};

/** Overcommit (guestmm/mm/virt/overcommit.c). total_gva 0: none is kept. */
struct mmvm_audit_commit_layout {
	uint64_t total_gva;    /* s64: pages */
	uint64_t promises_gva; /* list_head: promises for whole objects */
	uint32_t promise_link_offset;
	uint32_t promise_pages_offset;	/* u64 */
	uint32_t mm_committed_offset;	/* u64 */
	uint32_t mapping_promised_flag; /* of shared memory: its pages are covered by a promise */
	uint64_t vm_account;		/* flag of a VMA whose pages count */
};

/** Memory cgroups: a table of ids, leaves of pointers. root_gva 0: there are none. */
struct mmvm_audit_memcg_layout {
	uint64_t root_gva; /* the root group, id 0, which is not in the table */
	uint64_t ids_gva;  /* nr_leaves pointers to leaves of ids_per_leaf pointers */
	uint32_t nr_leaves, ids_per_leaf; /* at most 65536 ids */
	uint32_t id_offset;		  /* u16 */
	uint32_t parent_offset;		  /* pointer */
	uint32_t usage_offset;		  /* s64: pages charged to it and below */
	uint32_t kernel_offset;		  /* s64: of its own, those of the kernel */
	uint32_t zswap_offset; /* s64: bytes in zswap's pool, charged in whole pages, too */
	uint32_t obj_offset;   /* s64: bytes of slab objects, likewise; 0: it has none */
	/* s64[MMVM_MAX_NODES][NR_ZONE_STAT_ITEMS]: levels of its own by node; 0: not told */
	uint32_t stat_offset;
	/* s64[MMVM_MAX_NODES][2]: bytes of slab objects by node, unreclaimable and reclaimable; 0: not told */
	uint32_t slab_offset;
	/* Protection, in pages, u64 each; settings_gva 0: not told. Effective values count if they were worked out for the
	 * group's usage of now (settled_usage) and for the settings of now: settled_as_of = *settings_gva. */
	uint64_t settings_gva;
	uint32_t settled_usage_offset, settled_as_of_offset;
	uint32_t min_offset, low_offset, effective_min_offset, effective_low_offset;
};

struct mmvm_audit_range {
	uint64_t start_pfn, end_pfn; /* frames with a struct page */
};

/** hugetlb: pools, files and mounts with promises. */
#define MMVM_AUDIT_MAX_HSTATES 4u
struct mmvm_audit_hugetlb_layout {
	uint64_t hstates_gva;
	uint32_t nr_hstates, hstate_stride;
	uint32_t order_offset;						 /* u32 */
	uint32_t free_list_offset;					 /* list_head: page->lru */
	uint32_t nr_offset, free_offset, resv_offset, surplus_offset;	 /* u64 */
	uint64_t files_gva, subpools_gva;				 /* list_heads */
	uint32_t file_link_offset, file_hstate_offset, file_resv_offset; /* pointers */
	uint32_t file_mapping_offset;					 /* address_space */
	uint32_t subpool_link_offset, subpool_hstate_offset;
	uint32_t subpool_reserved_offset; /* s64 */
	/* A map of promises: list of regions [from, to), u64 each; the link comes first. */
	uint32_t map_regions_offset, region_from_offset, region_to_offset;
	/* In the VMA: the map of a private mapping's maker, with bit 0; mapping; first page. */
	uint32_t vma_resv_offset, vma_mapping_offset, vma_pgoff_offset;
	uint32_t mapping_file_offset; /* in address_space */
	/* u64[MMVM_MAX_NODES] in the pool: what each node has; 0: not told */
	uint32_t nr_node_offset, free_node_offset, surplus_node_offset;
	uint32_t reserved;
};

/** The pool of compressed pages. A class has nr_lists lists of zspages; a zspage has `pages` pages and
 * `objects` objects of `size` bytes one after the other, each with a pointer to its owner's
 * reference, which is within a swap slot's entry. */
struct mmvm_audit_zswap_layout {
	uint64_t classes_gva; /* 0: the pool was never used */
	uint32_t nr_classes, class_stride;
	uint32_t class_size_offset, class_pages_offset, class_objects_offset; /* u32 */
	uint32_t class_zspages_offset, class_used_offset;		      /* u64 */
	uint32_t class_lists_offset, nr_lists;
	uint32_t zspage_link_offset, zspage_class_offset;
	uint32_t zspage_inuse_offset;			    /* u32 */
	uint32_t zspage_pages_offset, zspage_owners_offset; /* pointers */
	uint32_t ref_zspage_offset, ref_index_offset;	    /* pointer, u32 */
	uint32_t entry_slot_offset;			    /* u64: swap entry */
	uint32_t entry_ref_offset;
	uint32_t entry_length_offset; /* u16; 0: the page is filled with one value */
	uint64_t stored_gva;	      /* u64: entries */
};

/** swiotlb: a table of slots. nr_slots 0: there is no pool. */
struct mmvm_audit_swiotlb {
	uint64_t slots_gva, nr_slots;
	uint64_t used_gva; /* u64: slots in use, as the guest counts */
	uint32_t slot_size;
	/* orig u64: address of the mapped memory; bytes u32; run u16: slots, of a mapping's first slot;
	 * in_use u16 */
	uint32_t orig_offset, bytes_offset, run_offset, in_use_offset, pad;
};

/** Pipes: a list of them; each has a ring of references to pages. list_gva 0: there are none. */
struct mmvm_audit_pipe_layout {
	uint64_t list_gva;
	uint32_t link_offset;
	uint32_t locked_offset;		   /* u32: somebody changes it */
	uint32_t bufs_offset;		   /* pointer: buffers, a power of two */
	uint32_t ring_offset;		   /* u32: how many */
	uint32_t head_offset, tail_offset; /* u32: numbers of buffers, wrapping */
	uint32_t buf_stride;
	uint32_t buf_page_offset; /* pointer */
	uint32_t buf_held_offset; /* pointer: the head that is referred to, or NULL */
	uint32_t buf_start_offset, buf_len_offset; /* u32: bytes within the page */
};

/** The balloon: pages that the host has. */
struct mmvm_audit_balloon {
	uint64_t list_gva; /* list_head: page->lru of all of them */
	uint64_t nr_gva;   /* u64: how many, as the guest counts */
};

/** Frames of ZONE_DEVICE: no RAM, and memory of a file of the host. */
struct mmvm_audit_device {
	struct mmvm_audit_range range[MMVM_MAX_PMEM];
	uint32_t nr_ranges;
	uint32_t dax_flag; /* of an address_space's flags: its pages are such frames */
	uint64_t issued_gva,
		done_gva; /* u64: flushes that the devices were asked for, and answered */
};

/** Areas of vmalloc: a red-black tree by address. areas_gva 0: not told, and W^X is not looked at. */
struct mmvm_audit_kvirt {
	uint64_t areas_gva; /* pointer to the root's node */
	uint64_t vmalloc_start, vmalloc_end;
	uint32_t node_offset;					    /* in the area */
	uint32_t left_offset, right_offset;			    /* in the node: pointers */
	uint32_t start_offset, end_offset, addr_offset, gap_offset; /* u64 */
	uint32_t nr_pages_offset, kind_offset, type_offset;	    /* u32 */
	uint32_t lazy_offset;					    /* u8 */
	uint32_t reserved;
	uint64_t kmap_start, kmap_end; /* windows onto high memory; 0: there is none */
	uint64_t highmem_start; /* frames from here on are not in the direct map; 0: all are */
};

/** Per-CPU memory (guestmm/mm/kvirt/percpu.c). nr_cpus 0: not told. */
struct mmvm_audit_percpu {
	uint64_t offsets_gva; /* u64 a CPU: from the variables' first copy to the CPU's */
	uint64_t first_gva;   /* where the first copy was; an area begins there + its offset */
	/* Variables that each area has, as addresses in the first copy: its own offset (u64), its
	 * CPU's number (u32) */
	uint64_t own_offset_gva, number_gva;
	uint64_t unit;	       /* bytes of an area, and of each CPU's part of a chunk */
	uint64_t chunks_gva;   /* list_head; the areas are the first chunk */
	uint64_t nr_pages_gva; /* u64: Percpu of /proc/meminfo, pages */
	uint64_t locked_gva;   /* u32: a chunk is being made or given back */
	uint32_t nr_cpus, granule;
	uint32_t link_offset, base_offset;    /* in the chunk: list_head, u64 */
	uint32_t free_offset, longest_offset; /* u32: granules of a unit */
	uint32_t taken_offset;		      /* pointer: a bit a granule */
	uint32_t reserved;
};

/** A special mapping (guestmm/mm/fault/special.c): the VMAs whose name is at name_gva, page by page. name_gva 0: no such. */
#define MMVM_AUDIT_MAX_SPECIAL	     2
#define MMVM_AUDIT_MAX_SPECIAL_PAGES 4
struct mmvm_audit_special {
	uint64_t name_gva;
	uint64_t nr_pages;
	uint64_t pfn[MMVM_AUDIT_MAX_SPECIAL_PAGES];
};

struct mmvm_audit_special_layout {
	struct mmvm_audit_special mapping[MMVM_AUDIT_MAX_SPECIAL];
	uint32_t vma_name_offset, vma_pgoff_offset; /* in the VMA; name 0: there are none */
};

struct mmvm_audit_root {
	uint64_t magic;
	uint32_t version;     /* MMVM_CONTRACT_VERSION */
	uint32_t size;	      /* sizeof(struct mmvm_audit_root) */
	uint64_t ready;	      /* 1 once filled */
	uint64_t vmemmap_gva; /* struct page of frame 0 */
	uint64_t direct_map_gva;
	uint64_t kernel_pgd_gva;
	uint64_t zero_page_pfn;
	uint64_t swap_pte_shift; /* swap PTE: not present, non-zero; type and offset as in
				    arch/pgtable.h */
	uint64_t paging_levels;	 /* of the page tables: 4 or 5 */
	uint32_t nr_ranges, nr_zones;
	struct mmvm_audit_range range[MMVM_MAX_RAM_REGIONS];
	struct mmvm_audit_zone zone[MMVM_MAX_ZONES];
	struct mmvm_audit_node node[MMVM_MAX_NODES];
	uint64_t lruvec_list_gva;
	struct mmvm_audit_lruvec_layout lruvec;
	struct mmvm_audit_policy policy[MMVM_AUDIT_MAX_POLICIES]; /* nr_lists 0: no such row */
	struct mmvm_audit_swap swap[MMVM_AUDIT_MAX_SWAP];
	uint64_t mm_list_gva;
	struct mmvm_audit_mm_layout mm;
	uint64_t cache_list_gva;
	struct mmvm_audit_cache_layout cache;
	struct mmvm_audit_mapping_layout mapping;
	struct mmvm_audit_hugetlb_layout hugetlb;
	struct mmvm_audit_zswap_layout zswap;
	uint64_t poisoned_gva;	      /* s64: pages of type hwpoison; 0: not told */
	uint64_t numa_hints_gva;      /* u32: balancing of nodes has been on */
	uint64_t huge_zero_gva;	      /* pointer to the head of the huge zero page, or 0 */
	uint64_t thp_deferred_gva;    /* list_head: folio_links.deferred */
	uint64_t thp_nr_deferred_gva; /* u64 */
	struct mmvm_audit_mempolicy_layout mempolicy;
	struct mmvm_audit_rmap_layout rmap;
	struct mmvm_audit_commit_layout commit;
	struct mmvm_audit_ksm_layout ksm;
	struct mmvm_audit_memcg_layout memcg;
	struct mmvm_audit_swiotlb swiotlb;
	struct mmvm_audit_pipe_layout pipes;
	struct mmvm_audit_balloon balloon;
	struct mmvm_audit_kvirt kvirt;
	struct mmvm_audit_percpu percpu;
	struct mmvm_audit_special_layout special;
	struct mmvm_audit_device device;
	uint64_t kernel_pgtables_gva; /* s64: page-table pages of the kernel half allocated after
					 boot */
};

/* Swap PTE encoding, shared so that the host decodes the same bits: bit 0 clear, bits 2..6 type,
 * bits 9..58 offset; bit 59: userfaultfd is asked before a write; bit 60: soft-dirty; bit 0..1 and 7..8 clear (keeps clear of
 * _PAGE_PROTNONE). Never zero: offset >= 1. */
#define MMVM_SWP_TYPE_SHIFT   2
#define MMVM_SWP_TYPE_BITS    5
#define MMVM_SWP_OFFSET_SHIFT 9
#define MMVM_SWP_OFFSET_BITS  50
#define MMVM_SWP_UFFD_WP      (1ull << 59)
#define MMVM_SWP_SOFT_DIRTY   (1ull << 60)
/* The same of an entry that maps a page, and the flag of the VMAs in which it may be. */
#define MMVM_PTE_UFFD_WP (1ull << 10)
#define MMVM_VM_UFFD_WP	 0x1000ull
/* Access of any kind is allowed in the VMA: an entry without it is a hint of balancing. */
#define MMVM_VM_ACCESS 7ull
#define MMVM_VM_SHARED 8ull
/* Written since the last "4" to clear_refs: of an entry that maps a page, and of a VMA, all of whose pages count so. */
#define MMVM_PTE_SOFT_DIRTY (1ull << 11)
/** Present PTEs: the frame is of ZONE_DEVICE. */
#define MMVM_PTE_DEVMAP	  (1ull << 58)
#define MMVM_VM_SOFTDIRTY 0x8000000ull

/* Protection keys: four bits of an entry that maps a page, and of a VMA's flags. */
#define MMVM_PTE_PKEY_SHIFT 59
#define MMVM_VM_PKEY_SHIFT  32
#define MMVM_PKEY_BITS	    0xfull

/* Protection keys: four bits of an entry that maps a page, and of a VMA's flags. */
#define MMVM_PTE_PKEY_SHIFT 59
#define MMVM_VM_PKEY_SHIFT  32
#define MMVM_PKEY_BITS	    0xfull

/* A guard marker (madvise(MADV_GUARD_INSTALL)): a swap entry of this type, which no area has. */
#define MMVM_SWP_GUARD	     29
#define MMVM_GUARD_INSTALLED 1 /* as offset: madvise(MADV_GUARD_INSTALL) */
#define MMVM_GUARD_POISON    2 /* the page that was here is lost */
/* Nothing is here, and userfaultfd is asked before it is written. With MMVM_SWP_UFFD_WP. */
#define MMVM_GUARD_UFFD_WP 3

/* Migration entries: swap entries of these types, while the page they stand for moves (locked, with
 * PG_migrating). The offset is its frame and the bits that the PTE had. */
#define MMVM_SWP_MIGRATION_READ	 30
#define MMVM_SWP_MIGRATION_WRITE 31
#define MMVM_MIGRATION_PFN	 ((1ull << 40) - 1)
#define MMVM_MIGRATION_YOUNG	 (1ull << 48)
#define MMVM_MIGRATION_DIRTY	 (1ull << 49)

#endif
