/*
 * Shadows: what is remembered of a page that reclaim has taken, until it comes back. In the swap
 * area's or the page cache's tree, where the page was:
 *
 *   bit 31 = 1, bits 21..30 id of the lruvec, bits 0..20 the policy's token
 */
#ifndef MM_WORKINGSET_H
#define MM_WORKINGSET_H
#include "mm/reclaim/lruvec.h"

#define SHADOW_FLAG	  (1u << 31)
#define SHADOW_TOKEN_BITS 21
#define SHADOW_TOKEN_MASK ((1u << SHADOW_TOKEN_BITS) - 1)
_Static_assert(MAX_LRUVECS <= 1u << (31 - SHADOW_TOKEN_BITS), "an id fits above the token");

/** The page leaves memory: its shadow. Any context. */
u32 workingset_eviction(const struct page *page);
/** The page comes back, is on no list yet, and `shadow` (0 = none) was found in its place. */
void workingset_refault(struct page *page, u32 shadow);
#endif
