/*
 * The audit's workings, shared by its files: audit.c (root, frames, totals), audit_lists.c (buddy,
 * per-CPU and LRU lists), audit_slab.c, audit_mm.c (address spaces, page tables, swap).
 *
 * struct page and frames: `page[]` is a copy of the guest's page array, taken once, so that what is
 * checked cannot change between two looks. `frame[]` beside it is what we have found out. Both are
 * indexed by frame_index(): the frames of all ranges, one after another.
 */
#ifndef VMM_OBSERVE_AUDIT_IMPL_H
#define VMM_OBSERVE_AUDIT_IMPL_H

#include <stdlib.h>
#include <string.h>
#include "mmvm/page.h"
#include "observe/audit.h"

#define NO_FRAME	      UINT32_MAX
#define MMVM_AUDIT_MAX_MM     4096u  /* address spaces followed */
#define MMVM_AUDIT_MAX_VMAS   65536u /* VMAs of one address space followed */
#define MMVM_AUDIT_MAX_CACHES 1024u

/* What we have seen of a frame. */
#define SEEN_TAIL      0x01u /* covered by the head of a block before it */
#define SEEN_FREE_LIST 0x02u /* on a buddy or per-CPU list */
#define SEEN_LRU       0x04u
#define SEEN_TABLE     0x08u /* a page table reached by a walk */
#define SEEN_SWAPCACHE 0x10u
#define SEEN_IN_RAM    0x20u
#define SEEN_CACHE     0x40u /* in the tree of the file it names */
struct frame {
	uint8_t seen;
	uint8_t state;	 /* enum mmvm_page_type of the head that covers it */
	uint32_t mapped; /* PTEs of user tables that map it */
};

struct vma_range {
	uint64_t start, end;
};

struct audit {
	const struct audit_source *src;
	struct audit_result *out;
	struct mmvm_audit_root root; /* copied and checked */
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
	uint64_t table_budget; /* tables still to be visited before the walk is called a loop */
	struct vma_range *vma;
	uint32_t nr_vma;

	/* Swap: uses of each slot counted from PTEs, and whether the swap cache has it */
	struct {
		uint8_t *map; /* copy */
		uint32_t *users;
		uint8_t *cached;
		uint64_t nr;
	} swap[MMVM_AUDIT_MAX_SWAP];
};

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
	return type == PAGE_ANON || type == PAGE_FILE || type == PAGE_SHMEM;
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

void audit_buddy(struct audit *a);
void audit_pcp(struct audit *a);
void audit_lru(struct audit *a);
void audit_slab(struct audit *a);
/** Returns 0 or -ENOMEM. */
int audit_address_spaces(struct audit *a);
/** Trees of files; after audit_swap_load(), whose slots they use. Returns 0 or -ENOMEM. */
int audit_mappings(struct audit *a);
/** References of a page of a file; `pins` beyond what is known may be believed. */
void audit_cache_page(struct audit *a, uint32_t i, int64_t pins);
void audit_cache_levels(struct audit *a);
/** A level of all zones together is to be so much. */
void audit_level(struct audit *a, enum zone_stat_item item, const char *name, uint64_t expected);
int audit_swap_load(struct audit *a);
void audit_swap_check(struct audit *a);
void audit_swap_free(struct audit *a);

#endif
