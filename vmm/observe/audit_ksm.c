/*
 * The audit of merged pages (guestmm/mm/ksm).
 *
 *   K1  No entry that maps a merged page allows writes, and its VMA is one that asked to be merged. (ksm_page)
 *   K2  A merged page has the flag and the type, names a node that is listed and names it, and its contents have
 *       the hash that they had when it was made: nobody has written to it by any way. (ksm_page)
 *   K3  pages_shared is the number of nodes with places; pages_sharing the places beyond the first of each.
 *       (ksm_count)
 *
 * A node may outlive its page: then the frame is another page, which does not name it.
 */
#include <inttypes.h>

#include "mmvm/ksm.h"
#include "observe/audit_impl.h"

#define STEPS_OF_A_HASH 32u

void audit_ksm_page(struct audit *a, uint64_t mm, const struct vma_range *v, uint64_t addr,
		    uint64_t entry, uint32_t frame)
{
	if (entry & GUEST_PTE_WRITE)
		audit_find(a, AUDIT_KSM_PAGE,
			   "mm %#" PRIx64 ": %#" PRIx64 " maps frame %#" PRIx64
			   ", a merged page, and may write to it",
			   mm, addr, frame_pfn(a, frame));
	if (v && !(v->flags & MMVM_VM_MERGEABLE))
		audit_find(a, AUDIT_KSM_PAGE,
			   "mm %#" PRIx64 ": %#" PRIx64 " maps frame %#" PRIx64
			   ", a merged page, but its VMA [%#" PRIx64 ", %#" PRIx64
			   ") does not ask for that",
			   mm, addr, frame_pfn(a, frame), v->start, v->end);
}

/** The node's page, if it still is: K2. */
static void check_node(struct audit *a, uint64_t node, uint64_t page, uint64_t hash)
{
	const uint32_t i = frame_of_page(a, page);
	const uint8_t *data;

	if (i == NO_FRAME || !(a->frame[i].seen & SEEN_IN_RAM)) {
		audit_find(a, AUDIT_KSM_PAGE,
			   "node %#" PRIx64 " names %#" PRIx64 ", which is no page", node, page);
		return;
	}
	if (a->page[i].mapping != (node | MMVM_MAPPING_KSM))
		return; /* freed; check_page() sees the others */
	a->frame[i].seen |= SEEN_KSM;
	data = frame_data(a, frame_pfn(a, i));
	if (data && audit_steps(a, STEPS_OF_A_HASH) && mmvm_ksm_hash(data) != hash)
		audit_find(a, AUDIT_KSM_PAGE,
			   "frame %#" PRIx64 ": the merged page has changed since it was made",
			   frame_pfn(a, i));
}

static void check_page(struct audit *a, uint32_t i)
{
	const struct page *p = &a->page[i];
	const bool flag = p->flags & 1ull << PG_ksm;

	/* Between its allocation and its first place only the scanner knows it. */
	if (flag ? a->frame[i].state != PAGE_KSM
		 : a->frame[i].state == PAGE_KSM && a->frame[i].mapped)
		audit_find(a, AUDIT_KSM_PAGE,
			   "frame %#" PRIx64 ": %s page %s the flag of merged pages",
			   frame_pfn(a, i), type_name(a->frame[i].state), flag ? "has" : "lacks");
	else if (flag && !(a->frame[i].seen & SEEN_KSM))
		audit_find(a, AUDIT_KSM_PAGE,
			   "frame %#" PRIx64 ": the merged page names a node that does not name it",
			   frame_pfn(a, i));
}

static void check_count(struct audit *a, uint64_t gva, uint64_t expected, const char *name)
{
	uint64_t n;

	if (audit_read(a, gva, &n, sizeof(n)) || n != expected)
		audit_find(a, AUDIT_KSM_COUNT, "%s is %" PRIu64 "; the nodes say %" PRIu64, name, n,
			   expected);
}

int audit_ksm(struct audit *a)
{
	const struct mmvm_audit_ksm_layout *l = &a->root.ksm;
	uint64_t link, shared = 0, places = 0;
	struct list_walk w;
	const char *why = "unreadable";
	int ret;

	if (!l->nodes_gva)
		return 0;
	ret = list_walk_start(a, &w, l->nodes_gva, a->nr_frames);
	while (!ret && (ret = list_walk_next(a, &w, &link, &why)) > 0) {
		uint64_t node = link - l->link_offset, page, hash, nr;

		ret = 0;
		if (!audit_step(a))
			return 0;
		if (audit_read(a, node + l->page_offset, &page, sizeof(page)) ||
		    audit_read(a, node + l->hash_offset, &hash, sizeof(hash)) ||
		    audit_read(a, node + l->nr_offset, &nr, sizeof(nr))) {
			audit_find(a, AUDIT_KSM_PAGE, "node %#" PRIx64 " is unreadable", node);
			continue;
		}
		shared += nr != 0;
		places += nr;
		check_node(a, node, page, hash);
	}
	if (ret < 0)
		audit_find(a, AUDIT_KSM_COUNT, "list of nodes: %s", why);
	if (a->over)
		return 0;
	for (uint32_t i = 0; i < a->nr_frames; i++)
		if ((a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL)) == SEEN_IN_RAM)
			check_page(a, i);
	check_count(a, l->shared_gva, shared, "pages_shared");
	check_count(a, l->sharing_gva, places - shared, "pages_sharing");
	return 0;
}
