/*
 * The audit of the reverse map: does it lead from each mapped page back to the VMA that maps it?
 *
 *   anonymous   page->mapping ──> anon_vma ──tree──> chain ──> VMA     page->index: where in the VMA
 *   file        page->mapping ──> address_space ──tree──> VMA
 *
 *   V1  Each chain of a VMA names that VMA, and is in its anon_vma's tree; a VMA of a file is in the file's
 *       tree. In the tree means: from the node to the root each parent points at its child, says that it
 *       reaches as far, and is on the right side of it by page offset; so a search from the root comes by. (rmap)
 *   V2  The VMA that maps an anonymous page has a chain to the page's anon_vma; the VMA that maps a page of a file
 *       is one of that file; the page's index is where it is mapped. (rmap)
 *
 * So reclaim, migration and truncation find every place, without our walking what the guest walks: we go from the
 * place to the root, which is as short as the tree is high.
 *
 * Bounds: a step of the budget for each chain, for each step up a tree, and for each sixteen chains that are
 * looked through for a page.
 */
#include <errno.h>
#include <inttypes.h>

#include "observe/audit_impl.h"

#define COLOUR_BITS   3ull
#define CHAINS_A_STEP 16u

/** As guestmm/lib/rbtree.h has it. */
struct rb_node {
	uint64_t parent_colour, left, right;
};

/** What a tree is made of: offsets from a node, within what it is part of. */
struct tree_kind {
	int64_t to_vma;	     /* from the node to the VMA, or to a pointer to it */
	bool vma_is_pointer; /* the latter */
	int64_t to_last;     /* from the node to the highest page offset of its subtree */
};

/** First page offset of the VMA of a node. */
static int first_of(struct audit *a, const struct tree_kind *t, uint64_t node, uint64_t *first)
{
	uint64_t vma = node + (uint64_t)t->to_vma;

	if (t->vma_is_pointer && audit_read(a, vma, &vma, sizeof(vma)))
		return -EFAULT;
	return audit_read(a, vma + a->root.rmap.vma_pgoff_offset, first, sizeof(*first));
}

/** V1: is the node of a VMA with pages [first, last] found from the root? NULL, or what is wrong. */
static const char *not_in_tree(struct audit *a, const struct tree_kind *t, uint64_t node,
			       uint64_t root_gva, uint64_t first, uint64_t last)
{
	struct rb_node n, parent;
	uint64_t root, at = node, reach, above_first;

	if (audit_read(a, root_gva, &root, sizeof(root)) || audit_read(a, node, &n, sizeof(n)))
		return "is unreadable";
	while (audit_step(a)) {
		const uint64_t up = n.parent_colour & ~COLOUR_BITS;

		if (audit_read(a, at + (uint64_t)t->to_last, &reach, sizeof(reach)))
			return "is unreadable";
		if (reach < last)
			return "is below a node that says it does not reach so far";
		if (!up)
			return at == root ? NULL : "is in no tree, or in another one";
		if (audit_read(a, up, &parent, sizeof(parent)) || first_of(a, t, up, &above_first))
			return "is unreadable";
		if (parent.left != at && parent.right != at)
			return "has a parent that does not point at it";
		if (parent.left == at ? first > above_first : first < above_first)
			return "is on the wrong side of a node above it";
		at = up;
		n = parent;
	}
	return NULL; /* over */
}

static void check_tree(struct audit *a, const struct vma_range *v, const struct tree_kind *t,
		       uint64_t node, uint64_t root, const char *what)
{
	const uint64_t pages = (v->end - v->start) >> MMVM_PAGE_SHIFT;
	const char *why = not_in_tree(a, t, node, root, v->pgoff, v->pgoff + pages - 1);

	if (why)
		audit_find(a, AUDIT_RMAP,
			   "VMA [%#" PRIx64 ", %#" PRIx64 "): its place in the tree of %s %s",
			   v->start, v->end, what, why);
}

/** Remember that the VMA has a chain to this anon_vma. */
static int add_anon_vma(struct audit *a, uint64_t anon_vma)
{
	if (a->nr_anon_vma == a->room_anon_vma) {
		uint32_t room = a->room_anon_vma ? 2 * a->room_anon_vma : 256;
		uint64_t *more = realloc(a->anon_vma, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		a->anon_vma = more;
		a->room_anon_vma = room;
	}
	a->anon_vma[a->nr_anon_vma++] = anon_vma;
	return 0;
}

static void load_chains(struct audit *a, uint64_t vma, struct vma_range *v)
{
	const struct mmvm_audit_rmap_layout *l = &a->root.rmap;
	const struct tree_kind tree = {
		.to_vma = (int64_t)l->chain_vma_offset - l->chain_node_offset,
		.vma_is_pointer = true,
		.to_last = (int64_t)l->chain_last_offset - l->chain_node_offset,
	};
	struct list_walk w;
	const char *why;
	uint64_t link;
	int ret = list_walk_start(a, &w, vma + l->vma_chains_offset, a->nr_frames);

	if (ret)
		why = "unreadable";
	while (!ret && (ret = list_walk_next(a, &w, &link, &why)) > 0) {
		uint64_t chain = link - l->chain_link_offset, of, anon_vma;

		ret = 0;
		if (audit_read(a, chain + l->chain_vma_offset, &of, sizeof(of)) ||
		    audit_read(a, chain + l->chain_anon_vma_offset, &anon_vma, sizeof(anon_vma))) {
			audit_find(a, AUDIT_RMAP,
				   "VMA [%#" PRIx64 ", %#" PRIx64 "): a chain is unreadable",
				   v->start, v->end);
			continue;
		}
		if (of != vma)
			audit_find(a, AUDIT_RMAP,
				   "VMA [%#" PRIx64 ", %#" PRIx64 "): its chain %#" PRIx64
				   " is that of VMA %#" PRIx64,
				   v->start, v->end, chain, of);
		check_tree(a, v, &tree, chain + l->chain_node_offset,
			   anon_vma + l->anon_vma_root_offset, "an anon_vma");
		if (add_anon_vma(a, anon_vma)) {
			a->no_memory = true;
			return;
		}
	}
	if (ret < 0)
		audit_find(a, AUDIT_RMAP, "VMA [%#" PRIx64 ", %#" PRIx64 "): list of chains: %s",
			   v->start, v->end, why);
}

void audit_rmap_vma(struct audit *a, uint64_t vma, struct vma_range *v)
{
	const struct mmvm_audit_rmap_layout *l = &a->root.rmap;
	const struct tree_kind tree = {
		.to_vma = -(int64_t)l->vma_node_offset,
		.to_last = (int64_t)l->vma_last_offset - l->vma_node_offset,
	};

	v->mapping = v->pgoff = 0;
	v->first_anon_vma = a->nr_anon_vma;
	v->nr_anon_vma = 0;
	if (!l->vma_chains_offset)
		return;
	if (audit_read(a, vma + l->vma_pgoff_offset, &v->pgoff, sizeof(v->pgoff)) ||
	    audit_read(a, vma + l->vma_mapping_offset, &v->mapping, sizeof(v->mapping))) {
		audit_find(a, AUDIT_RMAP, "VMA [%#" PRIx64 ", %#" PRIx64 ") is unreadable",
			   v->start, v->end);
		return;
	}
	if (v->mapping)
		check_tree(a, v, &tree, vma + l->vma_node_offset,
			   v->mapping + l->mapping_root_offset, "its file");
	load_chains(a, vma, v);
	v->nr_anon_vma = a->nr_anon_vma - v->first_anon_vma;
}

static bool has_chain_to(struct audit *a, const struct vma_range *v, uint64_t anon_vma)
{
	/* Chains times pages is more than linear: it is paid for. A family of forks has a few. */
	if (v->nr_anon_vma >= CHAINS_A_STEP && !audit_steps(a, v->nr_anon_vma / CHAINS_A_STEP))
		return true;
	for (uint32_t i = 0; i < v->nr_anon_vma; i++)
		if (a->anon_vma[v->first_anon_vma + i] == anon_vma)
			return true;
	return false;
}

void audit_rmap_page(struct audit *a, uint64_t mm, const struct vma_range *v, uint64_t addr,
		     uint32_t i)
{
	const uint64_t place = v->pgoff + ((addr - v->start) >> MMVM_PAGE_SHIFT);
	const uint32_t head = frame_of_head(a, i);
	const struct page *p;
	bool found;

	if (!a->root.rmap.vma_chains_offset || head == NO_FRAME)
		return;
	p = &a->page[head];
	if (a->frame[i].state == PAGE_ANON)
		found = p->mapping & 1 && has_chain_to(a, v, p->mapping - 1);
	else
		found = p->mapping && p->mapping == v->mapping;
	if (!found)
		audit_find(a, AUDIT_RMAP,
			   "mm %#" PRIx64 ": %#" PRIx64 " maps frame %#" PRIx64
			   ", a %s page of %#" PRIx64 ", with which its VMA [%#" PRIx64
			   ", %#" PRIx64 ") has nothing to do",
			   mm, addr, frame_pfn(a, i), type_name(a->frame[i].state), p->mapping,
			   v->start, v->end);
	else if (p->index + (i - head) != place)
		audit_find(a, AUDIT_RMAP,
			   "mm %#" PRIx64 ": %#" PRIx64 " maps frame %#" PRIx64 ", page %" PRIu64
			   " of what it belongs to; page %" PRIu64 " should be there",
			   mm, addr, frame_pfn(a, i), p->index + (i - head), place);
}
