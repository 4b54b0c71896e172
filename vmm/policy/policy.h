/*
 * The laboratory for reclaim policies: a reference string, a memory size in pages, and how often
 * each policy misses.
 *
 *   trace ──refs_load──> struct ref_string ──policy_run──> struct policy_result
 *                                   │
 *               textbook.c: lru, fifo, clock, arc, opt
 *               guest/sim.c: the guest's own policy files, compiled for the host
 *
 * A miss is a reference to a page that was in memory before and was evicted: the guest would have to
 * read it (pgmajfault). First touches are counted as cold; no policy can avoid them.
 */
#ifndef VMM_POLICY_H
#define VMM_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Pages that the simulator of the guest's policies evicts at once: the guest's SWAP_CLUSTER_MAX. */
#define SIM_BATCH 32u

/** In ref[]: the page's contents are discarded (munmap, exit), and it leaves memory if it is in memory. */
#define REF_GONE (1u << 31)

/** Pages are numbered from 0; one number is one page of one address space, until it is given up. */
struct ref_string {
	uint32_t *ref; /* page, or page | REF_GONE, in the order of time */
	size_t nr, room;
	uint32_t nr_pages;
	uint32_t most; /* pages of the string that were mapped at once in the recorded run */
	/* The same, on average over the faults that brought a page back from swap; `most` without
	 * any. It is less: kswapd keeps pages free ahead of need. */
	uint32_t usual;
	/* What the recorded run says of itself; 0 if it does not. */
	uint64_t pgmajfault, sampled, faults, left_out;
	uint64_t swap_faults; /* of faults: those that brought a page back from swap */
};

struct policy_result {
	const char *name;
	uint32_t memory; /* pages */
	uint64_t cold, misses, evictions;
	uint64_t refaults;  /* misses that the policy recognised by a shadow or ghost */
	uint64_t looked_at; /* pages looked at in order to evict */
	uint64_t ns;	    /* host time of all decisions */
};

/** Append a reference. 0 or -ENOMEM. */
int refs_add(struct ref_string *r, uint32_t ref);
void refs_free(struct ref_string *r);

/** Is there a policy of that name? */
bool policy_exists(const char *name);
/** Name of policy i: the guest's first, then the textbook's. NULL ends. */
const char *policy_name(unsigned int i);
/** Replay the string with `memory` pages (at least 1). 0, -EINVAL (no such policy) or -ENOMEM. */
int policy_run(const char *name, const struct ref_string *r, uint32_t memory,
	       struct policy_result *out);

/* guest/sim.c, compiled as the guest is. */
const char *policy_guest_name(unsigned int i);
int policy_guest_run(const char *name, const struct ref_string *r, uint32_t memory,
		     struct policy_result *out);

#endif
