/*
 * A hierarchical count of pages with limits.
 *
 *   machine ──> A ──> B        a page charged to B counts in B, in A and in the root
 *
 * A charge either fits under `max` in every counter up to the root or changes nothing. `low` and
 * `min` say how much of a group reclaim should leave alone; the part of it that counts at the
 * moment is the effective protection (effective_protection()).
 *
 * The counters are exact: there is no per-CPU stock in front of them. A charge costs one atomic
 * addition a level, and trees of groups are shallow. Linux batches 64 pages per CPU; what a file
 * shows there may be off by that much.
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
	s64 recent_peak; /* A: highest usage since somebody reset it (peak.c); never above `peak` */
	u64 failed;	 /* A: charges that did not fit here */
	u64 max, high, low, min;	  /* W: pages */
	u64 effective_min, effective_low; /* R: what reclaim last worked out of them, pages */
	struct page_counter *parent;	  /* C: NULL at the root */
};

void page_counter_init(struct page_counter *c, struct page_counter *parent);
/** Charge `nr` pages to `c` and its ancestors. 0, or -ENOMEM with nothing charged and *full the
 * counter that had no room. Any context. */
int page_counter_try_charge(struct page_counter *c, u64 nr, struct page_counter **full);
/** Charge where it fits and nobody is above `high` then, the usual case. False: nothing is charged, and
 * page_counter_try_charge() says why. Any context. */
bool page_counter_charge_below_high(struct page_counter *c, u64 nr);
/** Charge whatever the limits say: for pages that must be accounted (__GFP_NOFAIL, moved). */
void page_counter_charge(struct page_counter *c, u64 nr);
void page_counter_uncharge(struct page_counter *c, u64 nr);
static inline u64 page_counter_read(const struct page_counter *c)
{
	s64 n = READ_ONCE(c->usage);

	return n > 0 ? n : 0;
}
/** "max" or bytes (decimal, 0x hexadecimal, 0 octal), rounded down to pages, with an optional suffix K,
 * M, G or T. 0 or -EINVAL. */
int page_counter_parse(const char *text, u64 *pages);

/** What one group's protection depends on; all in pages. */
struct protection {
	u64 usage;	      /* of the group */
	u64 setting;	      /* its own `min` or `low` */
	u64 parent_effective; /* of its parent, after the same calculation */
	u64 siblings;	      /* sum over the parent's children of min(usage, setting) */
};
/** Pages of the group that are protected now [pure]. A child never gets more than its setting or
 * its usage, and the children together never more than the parent: an overcommitted parent's
 * protection is divided in proportion to what each child uses of its own. Source: cgroup-v2.rst,
 * "memory.min", "memory.low". */
u64 effective_protection(const struct protection *p);
#endif
