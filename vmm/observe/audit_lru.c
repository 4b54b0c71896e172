/*
 * The audit of LRU lists, of whichever reclaim policy. What a list's pages look like is said by the
 * policy's description in the audit root; nothing here knows a list by name.
 *
 *   L1  A page on list i of a lruvec is anon, file or shmem, has PG_lru and i in PAGE_LIST, is of the
 *       lruvec's node, and its flags and kind are those that the policy describes for the list.
 *       (lru_list)
 *   L2  Every page with PG_lru is on exactly one list; no page off the lists has PAGE_LIST. (lru_list)
 *   L3  The lruvec's count of a list is its length in pages. (lru_count)
 *   L4  A level of a node's zones is the sum of the lists of that level over the node's lruvecs.
 *       (lru_count)
 *   L5  The chain of lruvecs is whole, each is of a policy and a node that exist. (lru_list)
 *   L6  A policy with generations has, of each kind, from min_gens to max_gens of them, and the list of a
 *       generation that has ended is empty. (lru_gen)
 *
 * A list is left at its first broken link; what stood after it then shows up as lost (L2).
 */
#include <inttypes.h>

#include "observe/audit_impl.h"

#define NR_LEVELS (NR_UNEVICTABLE - NR_INACTIVE_ANON + 1)

static const struct mmvm_audit_lru_list unevictable = {
	.name = "unevictable",
	.flags_mask = 1ull << PG_unevictable,
	.flags_value = 1ull << PG_unevictable,
	.level = NR_UNEVICTABLE,
	.kind = MMVM_LRU_ANY,
};

/** A lruvec as read from the guest. */
struct lruvec {
	uint64_t gva, memcg;
	unsigned int node;
	const struct mmvm_audit_policy *policy;
	uint64_t nr[MMVM_AUDIT_MAX_LRU_LISTS + 1];
	uint64_t held[MMVM_AUDIT_MAX_LRU_LISTS + 1]; /* pages that were found */
};

/** Does the page look as the description of list `l` says? */
static bool page_fits(const struct page *p, unsigned int l, const struct mmvm_audit_lru_list *desc)
{
	bool file = p->type == PAGE_FILE;

	return type_is_user(p->type) && (p->flags & 1ull << PG_lru) &&
	       (p->flags >> PAGE_LIST_SHIFT & PAGE_LIST_MASK) == l &&
	       (p->flags & desc->flags_mask) == desc->flags_value &&
	       (desc->kind == MMVM_LRU_ANY || file == (desc->kind == MMVM_LRU_FILE));
}

/** Walk list `l`. Returns its length in pages. */
static uint64_t lru_list(struct audit *a, const struct lruvec *lv, unsigned int l,
			 const struct mmvm_audit_lru_list *desc)
{
	uint64_t head = lv->gva + a->root.lruvec.list_offset + l * sizeof(struct mmvm_list);
	uint64_t node, pages = 0;
	struct list_walk w;
	const char *why;
	int ret;

	if (list_walk_start(a, &w, head, a->nr_frames)) {
		audit_find(a, AUDIT_LRU_LIST, "node %u, %.16s: head unreadable", lv->node,
			   desc->name);
		return 0;
	}
	while ((ret = list_walk_next(a, &w, &node, &why)) > 0) {
		uint32_t i = frame_of_lru(a, node);
		const struct page *p = i == NO_FRAME ? NULL : &a->page[i];

		if (!p || (a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM) {
			audit_find(a, AUDIT_LRU_LIST,
				   "node %u, %.16s: holds %#" PRIx64 ", which is no page in use",
				   lv->node, desc->name, node);
			return pages;
		}
		if (a->frame[i].seen & SEEN_LRU) {
			audit_find(a, AUDIT_LRU_LIST,
				   "node %u, %.16s: frame %#" PRIx64 " is on a list already",
				   lv->node, desc->name, frame_pfn(a, i));
			return pages;
		}
		a->frame[i].seen |= SEEN_LRU;
		if (desc->level >= NR_INACTIVE_ANON && desc->level <= NR_UNEVICTABLE)
			a->frame[i].lru = (uint8_t)(1 + desc->level - NR_INACTIVE_ANON);
		pages += 1ull << p->order;
		if (!page_fits(p, l, desc) ||
		    (p->flags >> PAGE_NODE_SHIFT & PAGE_NODE_MASK) != lv->node)
			audit_find(a, AUDIT_LRU_LIST,
				   "node %u, %.16s: frame %#" PRIx64 " is %s with flags %#" PRIx64,
				   lv->node, desc->name, frame_pfn(a, i), type_name(p->type),
				   p->flags);
	}
	if (ret < 0)
		audit_find(a, AUDIT_LRU_LIST, "node %u, %.16s: link %" PRIu64 " (%#" PRIx64 ") %s",
			   lv->node, desc->name, w.steps, w.at, why);
	if (lv->nr[l] != pages)
		audit_find(a, AUDIT_LRU_COUNT,
			   "node %u, cgroup %" PRIu64 ", %.16s: the count is %" PRId64
			   "; the list holds %" PRIu64,
			   lv->node, lv->memcg, desc->name, (int64_t)lv->nr[l], pages);
	return pages;
}

/** Read a lruvec and check what it names (L5). */
static bool lruvec_load(struct audit *a, uint64_t link, struct lruvec *lv)
{
	const struct mmvm_audit_lruvec_layout *l = &a->root.lruvec;
	uint64_t node_gva;
	uint32_t policy;

	lv->gva = link - l->link_offset;
	if (audit_read(a, lv->gva + l->policy_offset, &policy, sizeof(policy)) ||
	    audit_read(a, lv->gva + l->node_offset, &node_gva, sizeof(node_gva)) ||
	    audit_read(a, lv->gva + l->memcg_offset, &lv->memcg, sizeof(lv->memcg)) ||
	    audit_read(a, lv->gva + l->nr_offset, lv->nr, sizeof(lv->nr))) {
		audit_find(a, AUDIT_LRU_LIST, "lruvec at %#" PRIx64 ": unreadable", lv->gva);
		return false;
	}
	for (lv->node = 0; lv->node < MMVM_MAX_NODES; lv->node++)
		if (a->root.node[lv->node].present && a->root.node[lv->node].node_gva == node_gva)
			break;
	if (lv->node == MMVM_MAX_NODES) {
		audit_find(a, AUDIT_LRU_LIST, "lruvec at %#" PRIx64 ": %#" PRIx64 " is no node",
			   lv->gva, node_gva);
		return false;
	}
	if (policy >= MMVM_AUDIT_MAX_POLICIES || !a->root.policy[policy].nr_lists ||
	    a->root.policy[policy].nr_lists > MMVM_AUDIT_MAX_LRU_LISTS) {
		audit_find(a, AUDIT_LRU_LIST, "lruvec at %#" PRIx64 ": no reclaim policy %u",
			   lv->gva, policy);
		return false;
	}
	lv->policy = &a->root.policy[policy];
	return true;
}

/** L6. */
static void check_gens(struct audit *a, const struct lruvec *lv)
{
	const struct mmvm_audit_gens *g = &lv->policy->gens;
	uint64_t max_seq, min_seq[2];

	if (!g->max_gens || 2ull * g->max_gens > lv->policy->nr_lists)
		return;
	if (audit_read(a, lv->gva + g->max_seq_offset, &max_seq, sizeof(max_seq)) ||
	    audit_read(a, lv->gva + g->min_seq_offset, min_seq, sizeof(min_seq))) {
		audit_find(a, AUDIT_LRU_GEN, "lruvec at %#" PRIx64 ": generations unreadable",
			   lv->gva);
		return;
	}
	for (unsigned int kind = 0; kind < 2; kind++) {
		const uint64_t gens = max_seq - min_seq[kind] + 1;

		if (gens < g->min_gens || gens > g->max_gens) {
			audit_find(a, AUDIT_LRU_GEN,
				   "node %u, cgroup %" PRIu64 ": generations of %s from %" PRIu64
				   " to %" PRIu64,
				   lv->node, lv->memcg, kind ? "files" : "anonymous memory",
				   min_seq[kind], max_seq);
			continue;
		}
		for (uint64_t seq = max_seq + 1; seq < min_seq[kind] + g->max_gens; seq++) {
			const unsigned int l = 1 + kind * g->max_gens + seq % g->max_gens;

			if (lv->held[l])
				audit_find(a, AUDIT_LRU_GEN,
					   "node %u, cgroup %" PRIu64 ", %.16s: holds %" PRIu64
					   " pages, but the generation has ended",
					   lv->node, lv->memcg, lv->policy->list[l - 1].name,
					   lv->held[l]);
		}
	}
}

/** L4. */
static void check_levels(struct audit *a, uint64_t pages[MMVM_MAX_NODES][NR_LEVELS])
{
#define NAME_(name, text) text,
	static const char *const names[] = {MMVM_ZONE_STATS(NAME_)};
#undef NAME_

	for (unsigned int n = 0; n < MMVM_MAX_NODES; n++)
		for (unsigned int l = 0; a->root.node[n].present && l < NR_LEVELS; l++) {
			uint64_t level = 0;

			for (unsigned int z = 0; z < MMVM_MAX_ZONES; z++)
				if (a->root.zone[z].present && a->src->shared->zone[z].node == n)
					level += (uint64_t)a->src->shared->zone[z]
							 .stat[NR_INACTIVE_ANON + l];
			if (level != pages[n][l])
				audit_find(a, AUDIT_LRU_COUNT,
					   "node %u: %s is %" PRId64 "; the lists hold %" PRIu64, n,
					   names[NR_INACTIVE_ANON + l], (int64_t)level,
					   pages[n][l]);
		}
}

/** L2. */
static void check_strays(struct audit *a)
{
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];

		if ((f->seen & (SEEN_IN_RAM | SEEN_TAIL | SEEN_LRU)) != SEEN_IN_RAM ||
		    !(type_is_user(f->state) || type_is_free(f->state)))
			continue;
		if (a->page[i].flags & 1ull << PG_lru)
			audit_find(a, AUDIT_LRU_LIST,
				   "frame %#" PRIx64 " (%s) has PG_lru but is on no LRU list",
				   frame_pfn(a, i), type_name(f->state));
		else if (a->page[i].flags >> PAGE_LIST_SHIFT & PAGE_LIST_MASK)
			audit_find(a, AUDIT_LRU_LIST,
				   "frame %#" PRIx64 " (%s) names LRU list %u but is on none",
				   frame_pfn(a, i), type_name(f->state),
				   (unsigned int)(a->page[i].flags >> PAGE_LIST_SHIFT &
						  PAGE_LIST_MASK));
	}
}

int audit_lru(struct audit *a)
{
	uint64_t pages[MMVM_MAX_NODES][NR_LEVELS] = {0};
	struct list_walk w;
	const char *why;
	uint64_t link;
	int ret;

	if (list_walk_start(a, &w, a->root.lruvec_list_gva, MMVM_AUDIT_MAX_LRUVECS)) {
		audit_find(a, AUDIT_LRU_LIST, "list of lruvecs: head unreadable");
		return 0;
	}
	while ((ret = list_walk_next(a, &w, &link, &why)) > 0) {
		struct lruvec lv;

		if (!lruvec_load(a, link, &lv))
			continue;
		pages[lv.node][NR_LEVELS - 1] += lru_list(a, &lv, 0, &unevictable);
		for (unsigned int l = 1; l <= lv.policy->nr_lists; l++) {
			const struct mmvm_audit_lru_list *desc = &lv.policy->list[l - 1];
			uint64_t n = lv.held[l] = lru_list(a, &lv, l, desc);

			if (desc->level >= NR_INACTIVE_ANON && desc->level <= NR_UNEVICTABLE)
				pages[lv.node][desc->level - NR_INACTIVE_ANON] += n;
		}
		check_gens(a, &lv);
	}
	if (ret < 0)
		audit_find(a, AUDIT_LRU_LIST, "list of lruvecs: link %" PRIu64 " (%#" PRIx64 ") %s",
			   w.steps, w.at, why);
	if (a->over)
		return 0;
	check_levels(a, pages);
	check_strays(a);
	return 0;
}
