/*
 * The audit of pageblocks: what may be where.
 *
 *   K1  In ZONE_MOVABLE and in the CMA area lie pages that can move (anonymous, file, shared memory),
 *       free pages, boot memory, and in the area what was allocated from it (type dma). (unmovable)
 *   K2  A free block on a buddy list lies in the area exactly when the list is CMA's. Of other types a
 *       block may be on any: allocations that fall back leave it where it was. (pageblock)
 */
#include <inttypes.h>

#include "observe/audit_impl.h"

/** Migrate type of the frame's pageblock; -1: unreadable. */
static int block_type(struct audit *a, const struct mmvm_audit_zone *z, uint64_t pfn)
{
	uint64_t block = pfn >> z->pageblock_order;
	uint8_t type;

	if (block < z->pageblock_first ||
	    audit_read(a, z->pageblock_gva + (block - z->pageblock_first), &type, 1))
		return -1;
	return type;
}

static bool may_be_there(unsigned int state, bool cma)
{
	return type_is_user(state) || type_is_free(state) || state == PAGE_RESERVED ||
	       (cma && state == PAGE_DMA);
}

static void check_frame(struct audit *a, const struct mmvm_audit_zone *z, uint32_t i)
{
	const struct page *p = &a->page[i];
	uint64_t pfn = frame_pfn(a, i);
	int type = block_type(a, z, pfn);
	bool cma = type == z->cma_type;

	if (type < 0) {
		audit_find(a, AUDIT_PAGEBLOCK, "frame %#" PRIx64 ": its pageblock has no type",
			   pfn);
		return;
	}
	if ((cma || z->movable) && !may_be_there(a->frame[i].state, cma))
		audit_find(a, AUDIT_UNMOVABLE, "frame %#" PRIx64 ": %s page in %s", pfn,
			   type_name(a->frame[i].state), cma ? "the CMA area" : "ZONE_MOVABLE");
	if (a->frame[i].state == PAGE_BUDDY && cma != (p->migratetype == z->cma_type))
		audit_find(a, AUDIT_PAGEBLOCK,
			   "frame %#" PRIx64 ": free, on a list of type %u, in a pageblock of type "
			   "%d",
			   pfn, p->migratetype, type);
}

int audit_pageblocks(struct audit *a)
{
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct mmvm_audit_zone *z;
		unsigned int zone = a->page[i].flags >> PAGE_ZONE_SHIFT & PAGE_ZONE_MASK;

		if ((a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM)
			continue;
		z = &a->root.zone[zone];
		if (!z->present || !z->pageblock_gva || z->pageblock_order > 18)
			continue;
		check_frame(a, z, i);
	}
	return 0;
}
