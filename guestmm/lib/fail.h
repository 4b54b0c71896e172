/*
 * Fault injection: the k-th of something fails, once. Allocations have theirs in mm/phys/alloc.h
 * (alloc_fail_nth()); these are the other things that can fail:
 *
 *   point      what fails                                             with
 *   BIO        a request to a disk, before the driver sees it         -EIO
 *   DMA_MAP    a mapping for a device                                 DMA_MAPPING_ERROR
 *   MIGRATE    the move of a page whose mappings are migration        -EAGAIN
 *              entries already; it is tried again as after any race
 *   CHARGE     a charge of memory to a group, where it may fail       -ENOMEM
 *   SWAP       a charge of a swap slot to a group                     -ENOMEM
 *
 * The guest's sites are patched in by `fault_inject` on the command line; without it they are no-ops and
 * fail_nth() says so. The host build always has them.
 */
#ifndef LIB_FAIL_H
#define LIB_FAIL_H
#include "arch/static_key.h"
#include "lib/atomic.h"

enum fail_point { FAIL_BIO, FAIL_DMA_MAP, FAIL_MIGRATE, FAIL_CHARGE, FAIL_SWAP, NR_FAIL_POINTS };

extern u64 fail_left[NR_FAIL_POINTS]; /* A: 0: none is to fail */
bool fail_count_down(enum fail_point point);
/** One step of a countdown of any kind: true for the one that takes *count from 1 to 0, where it stays. */
bool fail_step(u64 *count);

/** Does this one fail? Counts it. */
static __always_inline bool should_fail(enum fail_point point)
{
	return static_key(KEY_FAIL) && unlikely(READ_ONCE(fail_left[point])) &&
	       fail_count_down(point);
}

/** The k-th from now on fails, and no other one; 0: none. False: the sites are not there. */
bool fail_nth(enum fail_point point, u64 k);
/** How many have failed so far. */
u64 fail_count(enum fail_point point);
#endif
