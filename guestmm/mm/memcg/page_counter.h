/*
 * A hierarchical count of pages with limits.
 *
 *   machine ──> A ──> B        a page charged to B counts in B, in A and in the root
 *
 * A charge either fits under `max` in every counter up to the root or changes nothing. `low` and
 * `min` say how much memory of a group reclaim should leave alone. How much of that applies at
 * present is the effective protection (effective_protection()).
 *
 * The counters are exact: CPUs do not charge pages in advance. A charge costs one atomic addition
 * at each level, and trees of groups are shallow. (Linux charges batches of 64 pages per CPU, so its
 * files may show up to 64 pages per CPU too many.)
 *
 * Lock legend: A atomic; W written under memcg_lock, read with READ_ONCE; C constant; R relaxed.
 */
#ifndef MM_PAGE_COUNTER_H
#define MM_PAGE_COUNTER_H
#include "lib/types.h"

#define PAGE_COUNTER_MAX ((u64)1 << 51) /* no limit, in pages: prints as "max" */

struct page_counter {
	s64 usage;	 /* A: pages */
	s64 peak;	 /* A: highest usage since the start */
	s64 recent_peak; /* A: highest usage since it was last reset (peak.c); never above `peak` */
	u64 failed;	 /* A: charges that did not fit here */
	u64 max, high, low, min;	  /* W: pages */
	u64 effective_min, effective_low; /* R: pages, as reclaim last computed them */
	struct page_counter *parent;	  /* C: NULL at the root */
};

void page_counter_init(struct page_counter *c, struct page_counter *parent);
/** Charge `nr` pages to `c` and its ancestors. 0, or -ENOMEM: nothing is charged, and *full is the
 * counter that had no room. Any context. */
int page_counter_try_charge(struct page_counter *c, u64 nr, struct page_counter **full);
/** Charge `nr` pages to `c` and its ancestors if none of them is above `high` afterwards, which is the usual case.
 * False: nothing is charged; page_counter_try_charge() tells whether there is room. Any context. */
bool page_counter_charge_below_high(struct page_counter *c, u64 nr);
/** Charge `nr` pages even above the limits, for charges that must not fail (__GFP_NOFAIL, moved pages). Any context. */
void page_counter_charge(struct page_counter *c, u64 nr);
void page_counter_uncharge(struct page_counter *c, u64 nr);
static inline u64 page_counter_read(const struct page_counter *c)
{
	s64 n = READ_ONCE(c->usage);

	return n > 0 ? n : 0;
}
/** Parse "max" or a number of bytes (decimal, hexadecimal with 0x, octal with 0) with an optional suffix K, M, G or T.
 * *pages receives it, rounded down to pages. 0 or -EINVAL. */
int page_counter_parse(const char *text, u64 *pages);

/** What one group's protection depends on; all in pages. */
struct protection {
	u64 usage;	      /* of the group */
	u64 setting;	      /* its own `min` or `low` */
	u64 parent_effective; /* of its parent, after the same calculation */
	u64 siblings;	      /* sum over the parent's children of min(usage, setting) */
};
/** Pages of the group that are protected now [pure]. A child's protection is never more than its setting or its usage.
 * All children together never have more than the parent: if they ask for more, the parent's protection is
 * divided among them in proportion to min(usage, setting) of each. Source: cgroup-v2.rst,
 * "memory.min", "memory.low". */
u64 effective_protection(const struct protection *p);
#endif
