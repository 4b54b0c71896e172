/*
 * The audit of pageblocks: which pages may be where.
 *
 *   K1  In ZONE_MOVABLE and in the CMA area lie pages that can move (anonymous, file, shared memory),
 *       free pages, boot memory, and in the area what was allocated from it (type dma). (unmovable)
 *   K2  A free block on a buddy list lies in the area exactly when the list is CMA's. Other lists may
 *       hold blocks of any pageblock: allocations that fall back leave them where they were. (pageblock)
 *   K3  Each pageblock with RAM has a type; those of the area are movable. (pageblock)
 *   K4  NR_FREE_CMA of a zone = pages on buddy lists in the area. (free_pages)
 */
#include <inttypes.h>

#include "observe/audit_impl.h"

static bool in_area(const struct mmvm_audit_zone *z, uint64_t pfn)
{
	return pfn - z->cma_start < z->cma_pages;
}

/** K3, at the first frame of each pageblock. */
static void check_block(struct audit *a, const struct mmvm_audit_zone *z, uint64_t pfn)
{
	uint64_t block = pfn >> z->pageblock_order;
	uint8_t type;

	if (block < z->pageblock_first ||
	    audit_read(a, z->pageblock_gva + (block - z->pageblock_first), &type, 1))
		audit_find(a, AUDIT_PAGEBLOCK, "frame %#" PRIx64 ": its pageblock has no type",
			   pfn);
	else if (type >= z->nr_block_types)
		audit_find(a, AUDIT_PAGEBLOCK,
			   "frame %#" PRIx64 ": its pageblock has type %u, which there is not", pfn,
			   type);
	else if (in_area(z, pfn) && type != z->movable_type)
		audit_find(a, AUDIT_PAGEBLOCK,
			   "frame %#" PRIx64 ": in the CMA area, but its pageblock has type %u",
			   pfn, type);
}

static bool may_be_there(unsigned int state, bool cma)
{
	return type_is_user(state) || type_is_free(state) || state == PAGE_RESERVED ||
	       (cma && state == PAGE_DMA);
}

static void check_frame(struct audit *a, const struct mmvm_audit_zone *z, uint32_t i)
{
	const struct page *p = &a->page[i];
	const uint64_t pfn = frame_pfn(a, i);
	const bool cma = in_area(z, pfn);

	if ((cma || z->movable) && !may_be_there(a->frame[i].state, cma))
		audit_find(a, AUDIT_UNMOVABLE, "frame %#" PRIx64 ": %s page in %s", pfn,
			   type_name(a->frame[i].state), cma ? "the CMA area" : "ZONE_MOVABLE");
	if (a->frame[i].state == PAGE_BUDDY && cma != (p->migratetype == z->cma_type))
		audit_find(a, AUDIT_PAGEBLOCK,
			   "frame %#" PRIx64 ": free, on a list of type %u, %s the CMA area", pfn,
			   p->migratetype, cma ? "in" : "outside of");
}

/** K4 */
static void check_levels(struct audit *a, const uint64_t *area_free)
{
	for (unsigned int i = 0; i < MMVM_MAX_ZONES; i++) {
		int64_t level = a->src->shared->zone[i].stat[NR_FREE_CMA];

		if (a->root.zone[i].present && (level < 0 || (uint64_t)level != area_free[i]))
			audit_find(a, AUDIT_FREE_PAGES,
				   "zone %u: nr_free_cma is %" PRId64 "; the area's lists hold "
				   "%" PRIu64,
				   i, level, area_free[i]);
	}
}

int audit_pageblocks(struct audit *a)
{
	uint64_t last = UINT64_MAX, area_free[MMVM_MAX_ZONES] = {0};
	unsigned int zone = 0;

	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const uint64_t pfn = frame_pfn(a, i);
		const struct mmvm_audit_zone *z;
		bool head = !(a->frame[i].seen & SEEN_TAIL);

		if (!(a->frame[i].seen & SEEN_IN_RAM))
			continue;
		/* Nobody has written the tails of a free block: its head knows the zone. */
		if (head)
			zone = a->page[i].flags >> PAGE_ZONE_SHIFT & PAGE_ZONE_MASK;
		z = &a->root.zone[zone];
		if (!z->present || !z->pageblock_gva || z->pageblock_order > 18)
			continue;
		if (pfn >> z->pageblock_order != last) {
			last = pfn >> z->pageblock_order;
			check_block(a, z, pfn);
		}
		if (!head)
			continue;
		check_frame(a, z, i);
		if (a->frame[i].state == PAGE_BUDDY && in_area(z, pfn))
			area_free[zone] += 1ull << a->page[i].order;
	}
	check_levels(a, area_free);
	return 0;
}
