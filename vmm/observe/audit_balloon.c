/*
 * The audit of the balloon: two sets that are kept by two sides, the guest's and the device's.
 *
 *   L1  A page is in the device's set if and only if the guest says that it is in the balloon. What the
 *       guest uses and the device has is lost memory: the host may take it away. (balloon_set)
 *   L2  The guest's list holds each balloon page once and nothing else, and its count is right.
 *       (balloon_list)
 *   L3  A balloon page is a single page with one reference. (used_refcount)
 */
#include <inttypes.h>

#include "observe/audit_impl.h"

/** L1, L3 */
static uint64_t check_pages(struct audit *a)
{
	const struct audit_source *src = a->src;
	uint64_t n = 0;

	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];
		const struct page *p = &a->page[i];
		uint64_t pfn = frame_pfn(a, i);
		bool mine, theirs;

		if (!(f->seen & SEEN_IN_RAM))
			continue;
		mine = f->state == PAGE_BALLOON;
		theirs = src->in_balloon &&
			 src->in_balloon(src->balloon_arg, pfn << MMVM_PAGE_SHIFT);
		n += mine;
		if (mine != theirs)
			audit_find(a, AUDIT_BALLOON_SET,
				   mine ? "frame %#" PRIx64
					  ": %s page that the device does not have"
					: "frame %#" PRIx64 ": %s page, but the device has it",
				   pfn, type_name(f->state));
		if (mine && (p->order || p->refcount != 1))
			audit_find(a, AUDIT_USED_REFCOUNT,
				   "frame %#" PRIx64
				   ": balloon page of order %u has refcount %d; expected 0, 1",
				   pfn, p->order, p->refcount);
	}
	return n;
}

/** L2 */
static void check_list(struct audit *a, uint64_t pages)
{
	const struct mmvm_audit_balloon *b = &a->root.balloon;
	const char *why = "unreadable";
	struct list_walk w;
	uint64_t claimed, node, n = 0;
	int r;

	if (!b->list_gva) {
		if (pages)
			audit_find(a, AUDIT_BALLOON_LIST, "%" PRIu64 " balloon pages and no list",
				   pages);
		return;
	}
	if (list_walk_start(a, &w, b->list_gva, a->nr_frames)) {
		audit_find(a, AUDIT_BALLOON_LIST, "the list is unreadable");
		return;
	}
	while ((r = list_walk_next(a, &w, &node, &why)) > 0) {
		uint32_t i = frame_of_lru(a, node);

		if (i == NO_FRAME || a->frame[i].state != PAGE_BALLOON) {
			audit_find(a, AUDIT_BALLOON_LIST,
				   "the list holds %#" PRIx64 ", which is no balloon page", node);
			return;
		}
		n++;
	}
	if (a->over)
		return;
	if (r < 0)
		audit_find(a, AUDIT_BALLOON_LIST, "the list is broken: %s", why);
	else if (n != pages)
		audit_find(a, AUDIT_BALLOON_LIST,
			   "%" PRIu64 " pages are on the list, %" PRIu64 " in the balloon", n,
			   pages);
	if (audit_read(a, b->nr_gva, &claimed, sizeof(claimed)))
		audit_find(a, AUDIT_BALLOON_LIST, "the count is unreadable");
	else if (claimed != pages)
		audit_find(a, AUDIT_BALLOON_LIST,
			   "%" PRIu64 " pages are in the balloon; the guest counts %" PRIu64, pages,
			   claimed);
}

int audit_balloon(struct audit *a)
{
	check_list(a, check_pages(a));
	return 0;
}
