/*
 * The audit's workings, shared by its files. Each file has one subject:
 *
 *   audit.c          the table of subjects, the root, findings and how they are printed
 *   audit_memory.c   reading guest memory and lists, the budget
 *   audit_frames.c   one state a frame, references of user pages, totals and levels
 *   audit_lists.c    buddy and per-CPU lists
 *   audit_lru.c      LRU lists, of whichever reclaim policy
 *   audit_slab.c     slabs
 *   audit_kvirt.c    areas of vmalloc, guard pages, W^X
 *   audit_mm.c       address spaces and page tables
 *   audit_swap.c     swap slots
 *   audit_mapping.c  trees of files and of shared memory
 *   audit_thp.c      transparent huge pages
 *   audit_rmap.c     the way from a mapped page back to where it is mapped
 *   audit_commit.c   promised memory
 *   audit_numa.c     pages on nodes that a policy forbids
 *   audit_memcg.c    pages charged to memory cgroups
 *   audit_memcg_levels.c  what each memory cgroup has on each node
 *   audit_hugetlb.c  pools of huge pages and what is promised of them
 *   audit_ksm.c      merged pages
 *   audit_zswap.c    the pool of compressed pages, and the entries of slots in it
 *   audit_pageblock.c  types of pageblocks, ZONE_MOVABLE, the CMA area
 *   audit_bounce.c   bounce buffers of devices
 *   audit_balloon.c  pages that the host has
 *   audit_pmem.c     frames of devices, and files that lie there
 *   audit_percpu.c   areas of the CPUs, chunks of per-CPU memory
 *   audit_pipe.c     pages that pipes refer to
 *   audit_hwpoison.c frames that are nobody's for ever
 *   audit_secret.c   pages that the kernel must not map
 *
 * A new subject is a file audit_SUBJECT.c, a row in audit_subjects[] (audit.c), its findings as
 * rows of MMVM_AUDIT_FINDINGS (mmvm/audit.h), and a test in tests/unit/vmm_audit_SUBJECT.c, which
 * plants each finding with audit_plant.h.
 *
 * struct page and frames: `page[]` is a copy of the guest's page array, taken once, so that what is
 * checked cannot change between two looks. `frame[]` beside it is what we have found out. Both are
 * indexed by frame_index(): the frames of all ranges, one after another.
 *
 * The guest is hostile. Every address is translated and checked. No size that the guest names
 * allocates memory or bounds a loop unless it is bounded by RAM first. Each step along a list, into
 * a table or to a tree's node takes one of a budget that is linear in RAM (audit_step()); it also
 * looks whether the machine wants to end. When audit_step() says no, unwind: nothing after that is
 * checked.
 */
#ifndef VMM_OBSERVE_AUDIT_IMPL_H
#define VMM_OBSERVE_AUDIT_IMPL_H

#include <stdlib.h>
#include <string.h>
#include "machine/walk.h"
#include "mmvm/page.h"
#include "observe/audit.h"

#define NO_FRAME	      UINT32_MAX
#define MMVM_AUDIT_MAX_VMAS   65536u /* VMAs of one address space followed */
#define MMVM_AUDIT_MAX_CACHES 1024u

/* What we have seen of a frame. */
#define SEEN_TAIL      0x0001u /* covered by the head of a block before it */
#define SEEN_FREE_LIST 0x0002u /* on a buddy or per-CPU list */
#define SEEN_LRU       0x0004u
#define SEEN_TABLE     0x0008u /* a page table reached by a walk */
#define SEEN_ZSPAGE    0x0010u /* of a zspage of the compressed pool */
#define SEEN_IN_RAM    0x0020u
#define SEEN_CACHE     0x0040u /* in the tree of the file it names */
#define SEEN_SWAP_MAP  0x0080u /* holds a part of the swap map that is being looked at */
#define SEEN_DEFERRED  0x0100u /* a huge page on the list of those to be split */
#define SEEN_KWRITE    0x0200u /* writable by a mapping of the kernel */
#define SEEN_KEXEC     0x0400u /* executable by one */
#define SEEN_VMAP      0x0800u /* mapped by an area of vmalloc */
#define SEEN_KSM       0x1000u /* a merged page that its node names */
#define SEEN_KERNEL    0x2000u /* mapped by the kernel, in whichever way */
#define SEEN_SECRET    0x4000u /* in the tree of a file of memfd_secret */
#define SEEN_PERCPU    0x8000u /* of a CPU's area, or of a chunk of per-CPU memory */
struct frame {
	uint16_t seen;
	uint8_t state; /* enum mmvm_page_type of the head that covers it */
	uint8_t lru; /* 1 + level of the LRU list that it is on, from NR_INACTIVE_ANON; 0: on none */
	uint32_t mapped; /* PTEs of user tables that map it; leaves of any level for hugetlb */
	uint32_t pmd;	 /* PMDs that map the huge page that begins here */
	uint32_t piped;	 /* buffers of pipes that refer to it; heads of folios */
};

struct vma_range {
	uint64_t start, end;
	uint64_t flags; /* VM_* */
	uint32_t bound; /* nodes that its anonymous pages must be on, a bit each; 0: any */
	uint64_t pgoff, mapping;
	uint32_t special;	/* 1 + index in root.special.mapping[]; 0: memory of its own */
	uint64_t special_pgoff; /* page of that mapping at `start` */
	uint32_t first_anon_vma, nr_anon_vma; /* in anon_vma[]: those it has a chain to */
};

struct audit {
	const struct audit_source *src;
	struct audit_result *out;
	struct mmvm_audit_root root; /* copied and checked */
	struct guest_tables tables;  /* by which guest memory is read */
	uint64_t budget;	     /* steps that are left */
	bool over;		     /* no step is left, or the machine wants to end */
	bool late;		     /* it is the latter */
	struct page *page;
	struct frame *frame;
	uint32_t nr_frames;
	uint32_t first_index[MMVM_MAX_RAM_REGIONS]; /* of each range */

	/* Translations of the last pages read, by low bits of the page number */
	struct {
		uint64_t tag; /* page number + 1; 0 = empty */
		const uint8_t *host;
	} tlb[64];

	/* Page tables */
	uint64_t tables_user, tables_kernel; /* PGTABLE pages reached */
	struct vma_range *vma;
	uint32_t nr_vma;
	uint64_t *anon_vma; /* of the address space's VMAs, one after the other */
	uint32_t nr_anon_vma, room_anon_vma;
	bool no_memory; /* for that: the audit fails */
	bool pipe_busy; /* a pipe's lock is held: a reference may be on its way */

	/* Overcommit, pages: of the VMAs of the address space that is being walked, and of all. */
	uint64_t committed_vmas, committed;

	struct {
		struct kvirt_area *area; /* in order of address */
		uint32_t nr, room;
	} kvirt;

	uint64_t hugetlb_listed[MMVM_AUDIT_MAX_HSTATES]; /* on the free lists */
	int64_t hugetlb_private[MMVM_AUDIT_MAX_HSTATES]; /* promised to private mappings */

	/* Slab objects: bytes charged to each memory cgroup, by id; NULL: there are no cgroups */
	uint64_t *obj_bytes;
	/* The same by node, unreclaimable and reclaimable */
	uint64_t (*obj_by_node)[MMVM_MAX_NODES][2];
	struct {
		uint64_t *gva; /* by id; 0: there is no such group, or it is the root */
		uint32_t nr;   /* ids */
	} memcg;

	/* Swap: what uses each slot, from page tables, trees and the swap cache */
	struct {
		uint8_t *users; /* up to SWAP_USERS_MAX; with SWAP_CACHED */
		uint64_t nr;	/* slots; 0: no such area, or one that is not believed */
	} swap[MMVM_AUDIT_MAX_SWAP];
};

#define SWAP_CACHED    0x80u
#define SWAP_USERS_MAX 0x7fu /* at least this many */

/** What the audit looks at, one row a subject, in the order of the rows. */
struct audit_subject {
	const char *name;
	/** Walk what the guest has and note what is found there. 0 or -ENOMEM. May be NULL. */
	int (*walk)(struct audit *a);
	/** After all have walked: compare. May be NULL. */
	void (*check)(struct audit *a);
	/** May be NULL. Called whether or not walk() was. */
	void (*free)(struct audit *a);
};

/** Take n steps of the budget: what costs as much as n links of a list. False: the audit is over,
 * return. */
bool audit_steps(struct audit *a, unsigned int n);
static inline bool audit_step(struct audit *a)
{
	return audit_steps(a, 1);
}
#define STEPS_OF_A_NODE	 16u /* of a tree: 64 slots */
#define STEPS_OF_A_TABLE 16u /* 512 entries, most of them empty */

/** Note a finding. */
void audit_find(struct audit *a, enum mmvm_audit_finding kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** Host address of the 4K page that holds `gva`, read by the guest's tables, or NULL. */
const uint8_t *audit_page_at(struct audit *a, uint64_t gva);
/** Copy guest virtual memory: 0 or -EFAULT. */
int audit_read(struct audit *a, uint64_t gva, void *buf, size_t len);

/** Index of a frame, or NO_FRAME when it has no struct page. */
uint32_t frame_index(const struct audit *a, uint64_t pfn);
uint64_t frame_pfn(const struct audit *a, uint32_t index);
/** Frame of a list node's address (it is page->lru of some page), or NO_FRAME. */
uint32_t frame_of_lru(const struct audit *a, uint64_t gva);
/** The frame whose struct page is at gva, or NO_FRAME. */
uint32_t frame_of_page(const struct audit *a, uint64_t gva);
/** The frame of the head of what frame i is part of, as a tail says it, or NO_FRAME. */
uint32_t frame_of_head(const struct audit *a, uint32_t i);
/** Host address of a frame's content, or NULL when it is not RAM. */
const uint8_t *frame_data(const struct audit *a, uint64_t pfn);
/** Frame of a direct-map address, or NO_FRAME. */
uint32_t frame_of_direct(const struct audit *a, uint64_t gva);

static inline bool type_is_free(unsigned int type)
{
	return type == PAGE_BUDDY || type == PAGE_PCP;
}
static inline bool type_is_user(unsigned int type)
{
	return type == PAGE_ANON || type == PAGE_FILE || type == PAGE_SHMEM || type == PAGE_KSM;
}
static inline const char *type_name(unsigned int type)
{
#define NAME_(name, text) text,
	static const char *const names[] = {MMVM_PAGE_TYPES(NAME_)};
#undef NAME_
	return type < NR_PAGE_TYPES ? names[type] : "no such type";
}

/** One link of a list: `node` came from `from`. Bounded by the caller. */
struct list_walk {
	uint64_t head, at, prev;
	uint64_t steps, limit;
};
/** Start at the head. 0 or -EFAULT. */
int list_walk_start(struct audit *a, struct list_walk *w, uint64_t head, uint64_t limit);
/** Check the node we are at (its prev is where we came from) and go on. 1: there is a node, its
 * address in *node; 0: the end; negative: the list is broken, `why` says how. */
int list_walk_next(struct audit *a, struct list_walk *w, uint64_t *node, const char **why);

/** A use of a swap slot by a page table or a tree of shared memory. False: there is no such slot. */
bool audit_swap_use(struct audit *a, uint64_t type, uint64_t slot);
/** References of a page of a file; `pins` beyond what is known may be believed. */
void audit_cache_page(struct audit *a, uint32_t i, int64_t pins);
/** The value that a level of all zones together must have. */
void audit_level(struct audit *a, enum zone_stat_item item, const char *name, uint64_t expected);

/* The subjects (audit.c has the table). */
int audit_frames(struct audit *a);
void audit_frames_check(struct audit *a);
int audit_buddy(struct audit *a);
int audit_pcp(struct audit *a);
int audit_pageblocks(struct audit *a);
#define MAX_MEMCG_IDS (1u << 16)
int audit_slab(struct audit *a);
void audit_slab_free(struct audit *a);
int audit_swap(struct audit *a);
void audit_swap_check(struct audit *a);
void audit_swap_free(struct audit *a);
int audit_kvirt(struct audit *a);
void audit_kvirt_check(struct audit *a);
void audit_kvirt_free(struct audit *a);
/** A leaf of the kernel's half. */
void audit_kvirt_leaf(struct audit *a, uint64_t addr, unsigned int level, uint64_t entry);
int audit_address_spaces(struct audit *a);
void audit_address_spaces_free(struct audit *a);
int audit_mappings(struct audit *a);
void audit_mappings_check(struct audit *a);
int audit_lru(struct audit *a);
int audit_thp(struct audit *a);
void audit_thp_check(struct audit *a);
/** Counts of the large anonymous folio whose head is frame i. */
void audit_thp_folio(struct audit *a, uint32_t i);
/** How many of its pages are mapped. */
uint64_t audit_thp_mapped(const struct audit *a, uint32_t i);
int audit_bounce(struct audit *a);
int audit_balloon(struct audit *a);
void audit_percpu_check(struct audit *a);
int audit_pmem(struct audit *a);
/** Is it a frame of a device of the machine? */
bool audit_is_device(const struct audit *a, uint64_t pfn);
/** A user leaf of `mm` at addr, in *v (NULL: in no VMA). True: it maps a frame of a device, and nothing else is to be
 * said of it. */
bool audit_pmem_leaf(struct audit *a, uint64_t mm, const struct vma_range *v, uint64_t addr,
		     uint64_t entry, unsigned int level);
void audit_secret_check(struct audit *a);
void audit_hwpoison_check(struct audit *a);
int audit_pipes(struct audit *a);
void audit_pipes_check(struct audit *a);
int audit_hugetlb(struct audit *a);
void audit_hugetlb_check(struct audit *a);
/** Add what a VMA is promised. */
void audit_hugetlb_vma(struct audit *a, uint64_t vma, const struct vma_range *v);
int audit_zswap(struct audit *a);
void audit_zswap_check(struct audit *a);
int audit_ksm(struct audit *a);
/** A user page table of `mm` maps the merged page of `frame` at addr, in *v (NULL: in no VMA). */
void audit_ksm_page(struct audit *a, uint64_t mm, const struct vma_range *v, uint64_t addr,
		    uint64_t entry, uint32_t frame);
int audit_memcg(struct audit *a);
int audit_memcg_levels(struct audit *a);
void audit_memcg_free(struct audit *a);
/** What the policy of the VMA at guest address `vma` asks for, into v->bound. */
void audit_mempolicy_vma(struct audit *a, uint64_t vma, struct vma_range *v);
/** A user page table of `mm` maps the anonymous page of `frame` at addr, in *v. */
void audit_mempolicy_page(struct audit *a, uint64_t mm, const struct vma_range *v, uint64_t addr,
			  uint32_t frame);
/** The reverse map's side of the VMA at guest address `vma`: check it, and remember it in *v. */
void audit_rmap_vma(struct audit *a, uint64_t vma, struct vma_range *v);
/** `mm` maps the user page of `frame` at addr, in *v. */
void audit_rmap_page(struct audit *a, uint64_t mm, const struct vma_range *v, uint64_t addr,
		     uint32_t frame);
/** Is the VMA at guest address `vma` one of the kernel's special mappings? Into *v. */
void audit_special_vma(struct audit *a, uint64_t vma, struct vma_range *v);
/** A special entry of a user page table of `mm` at addr, in *v (NULL: in no VMA). True: it maps, or its VMA
 * should map, a page of a special mapping, and has been checked. */
bool audit_special_page(struct audit *a, uint64_t mm, const struct vma_range *v, uint64_t addr,
			uint64_t entry);
/** Add the VMA at guest address `vma` to what its address space is promised. */
void audit_commit_vma(struct audit *a, const struct vma_range *v);
/** All its VMAs were added: compare. */
void audit_commit_mm(struct audit *a, uint64_t mm);
/** Count the pages of an object of shared memory with these flags, in memory and in swap. */
void audit_commit_mapping(struct audit *a, uint32_t flags, uint64_t pages);
void audit_commit_check(struct audit *a);

#endif
