/*
 * The audit of nodes: is each page where its mapping's policy allows it?
 *
 * A bind allows some nodes and no other. The kernel notes in the VMA whether all its anonymous pages have been
 * placed under the bind (guestmm/mm/numa/mbind.c): pages that were there before, and that nobody asked to
 * move, are no error. Where it says so, we believe nothing else, and look at each page's node.
 */
#include <inttypes.h>

#include "observe/audit_impl.h"

#define PAGE_NODE(flags) ((unsigned int)((flags) >> PAGE_NODE_SHIFT & PAGE_NODE_MASK))

void audit_mempolicy_vma(struct audit *a, uint64_t vma, struct vma_range *v)
{
	const struct mmvm_audit_mempolicy_layout *l = &a->root.mempolicy;
	uint64_t policy;
	uint16_t mode;
	uint8_t held;

	v->bound = 0;
	if (!l->vma_policy_offset ||
	    audit_read(a, vma + l->vma_policy_offset, &policy, sizeof(policy)) || !policy ||
	    audit_read(a, vma + l->vma_held_offset, &held, sizeof(held)) || !held)
		return;
	if (audit_read(a, policy + l->mode_offset, &mode, sizeof(mode)) ||
	    audit_read(a, policy + l->nodes_offset, &v->bound, sizeof(v->bound))) {
		v->bound = 0;
		audit_find(a, AUDIT_MEMPOLICY,
			   "VMA [%#" PRIx64 ", %#" PRIx64 "): its policy %#" PRIx64
			   " is unreadable",
			   v->start, v->end, policy);
		return;
	}
	if (mode != l->mode_bind)
		v->bound = 0;
	else if (!v->bound)
		audit_find(a, AUDIT_MEMPOLICY,
			   "VMA [%#" PRIx64 ", %#" PRIx64 ") is bound to no node at all", v->start,
			   v->end);
}

void audit_mempolicy_page(struct audit *a, uint64_t mm, const struct vma_range *v, uint64_t addr,
			  uint32_t frame)
{
	const unsigned int nid = PAGE_NODE(a->page[frame].flags);

	if (v->bound && !(v->bound & 1u << nid))
		audit_find(a, AUDIT_MEMPOLICY,
			   "mm %#" PRIx64 ": %#" PRIx64
			   " is bound to nodes %#x, but frame %#" PRIx64 " is on node %u",
			   mm, addr, v->bound, frame_pfn(a, frame), nid);
}
