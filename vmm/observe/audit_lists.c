/*
 * The audit of lists of free pages: buddy and per-CPU.
 *
 *   B1  A page on a buddy list is a BUDDY head of that list's order, zone and migrate type,
 *       aligned, and on no other list. (buddy_list, page_overlap)
 *   B2  Every BUDDY head is on a list: a free page that no list holds is lost. (buddy_list)
 *   B3  nr_free of an order = blocks on its lists; the zone's nr_free_pages = pages on all its
 *       lists.
 *   B4  Two free buddies of one order and zone do not stand side by side: they would have been
 *       merged. (buddy_unmerged)
 *   C1  A page on a per-CPU list is a PCP head of that list's order, zone and CPU; the count is
 *       pages.
 *
 * A list is left at its first broken link; what stood after it then shows up as lost (B2): that is
 * true, and points at the same place.
 */
#include <inttypes.h>

#include "observe/audit_impl.h"

/** Mark a free block's frame as listed; false (with a finding) when it cannot stand on this list.
 */
static bool claim_free(struct audit *a, enum mmvm_audit_finding kind, uint64_t node,
		       unsigned int type, unsigned int order, unsigned int zone, const char *where,
		       uint32_t *index)
{
	uint32_t i = frame_of_lru(a, node);
	const struct page *p;
	uint64_t pfn;

	if (i == NO_FRAME || !(a->frame[i].seen & SEEN_IN_RAM)) {
		audit_find(a, kind, "%s holds %#" PRIx64 ", which is no page's list node", where,
			   node);
		return false;
	}
	p = &a->page[i];
	pfn = frame_pfn(a, i);
	*index = i;
	if (a->frame[i].seen & SEEN_TAIL) {
		audit_find(a, AUDIT_PAGE_OVERLAP,
			   "frame %#" PRIx64 " on %s lies inside another block (%s)", pfn, where,
			   type_name(a->frame[i].state));
		return true;
	}
	if (a->frame[i].seen & SEEN_FREE_LIST) {
		audit_find(a, kind, "frame %#" PRIx64 " on %s is on a free list already", pfn,
			   where);
		return false;
	}
	a->frame[i].seen |= SEEN_FREE_LIST;
	if (p->type != type || p->order != order ||
	    (p->flags >> PAGE_ZONE_SHIFT & PAGE_ZONE_MASK) != zone)
		audit_find(a, kind,
			   "frame %#" PRIx64 " on %s is %s, order %u, zone %u; expected %s, %u, %u",
			   pfn, where, type_name(p->type), p->order,
			   (unsigned int)(p->flags >> PAGE_ZONE_SHIFT & PAGE_ZONE_MASK),
			   type_name(type), order, zone);
	return true;
}

/** One buddy list. Returns its blocks. */
static uint64_t buddy_list(struct audit *a, uint64_t head, unsigned int zone, unsigned int order,
			   unsigned int migratetype)
{
	struct list_walk w;
	const char *why;
	char where[64];
	uint64_t node, blocks = 0;
	uint32_t index;
	int ret;

	snprintf(where, sizeof(where), "zone %u's buddy list, order %u, type %u", zone, order,
		 migratetype);
	if (list_walk_start(a, &w, head, a->nr_frames)) {
		audit_find(a, AUDIT_BUDDY_LIST, "%s: head %#" PRIx64 " unreadable", where, head);
		return 0;
	}
	while ((ret = list_walk_next(a, &w, &node, &why)) > 0) {
		if (!claim_free(a, AUDIT_BUDDY_LIST, node, PAGE_BUDDY, order, zone, where, &index))
			return blocks;
		if (a->page[index].migratetype != migratetype)
			audit_find(a, AUDIT_BUDDY_LIST,
				   "frame %#" PRIx64 " on %s has migrate type %u",
				   frame_pfn(a, index), where, a->page[index].migratetype);
		blocks++;
	}
	if (ret < 0)
		audit_find(a, AUDIT_BUDDY_LIST, "%s: link %" PRIu64 " (%#" PRIx64 ") %s", where,
			   w.steps, w.at, why);
	return blocks;
}

static void buddy_zone(struct audit *a, unsigned int zone, const struct mmvm_audit_zone *z)
{
	uint64_t pages = 0, claimed;
	int64_t level;

	if (z->nr_orders > MMVM_AUDIT_MAX_ORDERS || z->nr_types > MMVM_AUDIT_MAX_TYPES ||
	    z->area_stride > 4096 || z->nr_free_offset > 4096) {
		audit_find(a, AUDIT_ROOT, "zone %u: %u orders, %u types, stride %u", zone,
			   z->nr_orders, z->nr_types, z->area_stride);
		return;
	}
	for (unsigned int order = 0; order < z->nr_orders; order++) {
		uint64_t area = z->free_area_gva + (uint64_t)order * z->area_stride, blocks = 0;

		for (unsigned int type = 0; type < z->nr_types; type++)
			blocks += buddy_list(a, area + type * sizeof(struct mmvm_list), zone, order,
					     type);
		if (audit_read(a, area + z->nr_free_offset, &claimed, sizeof(claimed)))
			audit_find(a, AUDIT_BUDDY_COUNT, "zone %u order %u: nr_free unreadable",
				   zone, order);
		else if (claimed != blocks)
			audit_find(a, AUDIT_BUDDY_COUNT,
				   "zone %u order %u: nr_free is %" PRIu64 "; the lists hold "
				   "%" PRIu64,
				   zone, order, claimed, blocks);
		pages += blocks << order;
	}
	level = a->src->shared->zone[zone].stat[NR_FREE_PAGES];
	if (level < 0 || (uint64_t)level != pages)
		audit_find(a, AUDIT_FREE_PAGES,
			   "zone %u: nr_free_pages is %" PRId64 "; the lists hold %" PRIu64, zone,
			   level, pages);
}

/** B2 and B4, over the whole page array. */
static void buddy_heads(struct audit *a)
{
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct page *p = &a->page[i], *q;
		uint64_t pfn, buddy;
		uint32_t b;

		if ((a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM ||
		    a->frame[i].state != PAGE_BUDDY)
			continue;
		pfn = frame_pfn(a, i);
		if (!(a->frame[i].seen & SEEN_FREE_LIST))
			audit_find(a, AUDIT_BUDDY_LIST,
				   "frame %#" PRIx64 " (buddy, order %u) is on no list", pfn,
				   p->order);
		if (p->order >= MMVM_AUDIT_MAX_ORDERS - 1)
			continue;
		buddy = pfn ^ 1ull << p->order;
		b = frame_index(a, buddy);
		/* Seen from the lower of the two. */
		if (b == NO_FRAME || buddy < pfn || (a->frame[b].seen & SEEN_TAIL) ||
		    a->frame[b].state != PAGE_BUDDY)
			continue;
		q = &a->page[b];
		if (q->order == p->order &&
		    !((q->flags ^ p->flags) >> PAGE_ZONE_SHIFT & PAGE_ZONE_MASK))
			audit_find(a, AUDIT_BUDDY_UNMERGED,
				   "frames %#" PRIx64 " and %#" PRIx64 " of order %u are both free",
				   pfn, buddy, p->order);
	}
}

int audit_buddy(struct audit *a)
{
	for (unsigned int i = 0; i < MMVM_MAX_ZONES; i++)
		if (a->root.zone[i].present)
			buddy_zone(a, i, &a->root.zone[i]);
	buddy_heads(a);
	return 0;
}

static void pcp_cpu(struct audit *a, unsigned int zone, const struct mmvm_audit_zone *z,
		    unsigned int cpu)
{
	uint64_t pages = 0, node;
	uint32_t count, index;
	const char *why;
	char where[64];

	for (unsigned int l = 0; l < z->nr_pcp_lists; l++) {
		unsigned int order = z->pcp_list_order[l];
		struct list_walk w;
		int ret;

		snprintf(where, sizeof(where), "zone %u's list %u of CPU %u", zone, l, cpu);
		if (order >= MMVM_AUDIT_MAX_ORDERS ||
		    list_walk_start(a, &w, z->pcp_gva[cpu] + l * sizeof(struct mmvm_list),
				    a->nr_frames)) {
			audit_find(a, AUDIT_PCP_LIST, "%s: head unreadable", where);
			return;
		}
		while ((ret = list_walk_next(a, &w, &node, &why)) > 0) {
			if (!claim_free(a, AUDIT_PCP_LIST, node, PAGE_PCP, order, zone, where,
					&index))
				break;
			if (a->page[index].cpu != cpu)
				audit_find(a, AUDIT_PCP_LIST,
					   "frame %#" PRIx64 " on %s says CPU %u",
					   frame_pfn(a, index), where, a->page[index].cpu);
			pages += 1ull << order;
		}
		if (ret < 0)
			audit_find(a, AUDIT_PCP_LIST, "%s: link %" PRIu64 " (%#" PRIx64 ") %s",
				   where, w.steps, w.at, why);
	}
	if (audit_read(a, z->pcp_gva[cpu] + z->pcp_count_offset, &count, sizeof(count)))
		audit_find(a, AUDIT_PCP_COUNT, "zone %u CPU %u: count unreadable", zone, cpu);
	else if (count != pages)
		audit_find(a, AUDIT_PCP_COUNT,
			   "zone %u CPU %u: count is %u pages; the lists hold %" PRIu64, zone, cpu,
			   count, pages);
}

int audit_pcp(struct audit *a)
{
	for (unsigned int i = 0; i < MMVM_MAX_ZONES; i++) {
		const struct mmvm_audit_zone *z = &a->root.zone[i];

		if (!z->present)
			continue;
		if (z->nr_pcp_lists > MMVM_AUDIT_MAX_PCP_LISTS) {
			audit_find(a, AUDIT_ROOT, "zone %u: %u per-CPU lists", i, z->nr_pcp_lists);
			continue;
		}
		for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
			if (z->pcp_gva[cpu])
				pcp_cpu(a, i, z, cpu);
	}
	for (uint32_t i = 0; i < a->nr_frames; i++)
		if ((a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL | SEEN_FREE_LIST)) ==
			    SEEN_IN_RAM &&
		    a->frame[i].state == PAGE_PCP)
			audit_find(a, AUDIT_PCP_LIST,
				   "frame %#" PRIx64 " (pcp, order %u, CPU %u) is on no list",
				   frame_pfn(a, i), a->page[i].order, a->page[i].cpu);
	return 0;
}
