/*
 * Memory policies: making them, and choosing the node that an allocation tries first.
 *
 *   mode                  looks first at                        and then at
 *   none, local           the CPU's node                        all, the nearest first
 *   preferred             its node                              all, the nearest first
 *   bind                  home node, or the CPU's if allowed    its nodes, nothing else
 *   preferred_many        as bind, without waiting              all
 *   interleave            one node after the other              all
 *   weighted interleave   the same, each as often as it weighs  all
 *
 * In a VMA, interleaving chooses the node by the page's index, so the node does not depend on when the page is
 * touched; for a thread it uses a counter of the thread.
 *
 * A bind is ignored for an allocation if its nodes have no zone as low as the allocation needs (GFP_DMA), as in
 * Linux. A thread's policy is ignored for allocations that may not sleep, because an interrupt may make them while
 * an unrelated thread is current.
 */
#include "mm/numa/mempolicy.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab.h"
#include "mm/virt/vma.h"

bool mempolicy_in_use;

static struct kmem_cache *policy_cache;
static spinlock_t mempolicy_lock = SPINLOCK_INIT; /* taken with interrupts off */
static u8 weight[MMVM_MAX_NODES];		  /* 0: not set, which is 1 */

void mempolicy_init(void)
{
	policy_cache =
		kmem_cache_create("numa_policy", sizeof(struct mempolicy), 8, SLAB_PANIC, NULL);
}

/* ---- sets of nodes ---------------------------------------------------------------------------- */

static bool mask_empty(const struct nodemask *m)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(m->bits); i++)
		if (m->bits[i])
			return false;
	return true;
}

/* The nth node of a set, counted from 0. The set has more than n nodes. */
static unsigned int nth_node(u32 nodes, unsigned int n)
{
	while (n--)
		nodes &= nodes - 1;
	return __builtin_ctz(nodes);
}

/* The next node of a set that is not empty; after the last one the first. */
static unsigned int next_node(u32 nodes, unsigned int after)
{
	u32 above = after >= 31 ? 0 : nodes & ~((2u << after) - 1);

	return __builtin_ctz(above ? above : nodes);
}

/* MPOL_F_RELATIVE_NODES: bit n means the nth node with memory, counted round. */
static u32 relative_nodes(const struct nodemask *m)
{
	const unsigned int n = __builtin_popcount(memory_nodes);
	u32 nodes = 0;

	for (unsigned int bit = 0; bit < MAX_NUMNODES; bit++)
		if (m->bits[bit / 64] >> bit % 64 & 1)
			nodes |= 1u << nth_node(memory_nodes, bit % n);
	return nodes;
}

/* ---- policies --------------------------------------------------------------------------------- */

int mpol_parse_mode(u32 word, u16 *mode, u16 *flags)
{
	u32 m = word & ~MPOL_MODE_FLAGS;

	*flags = word & MPOL_MODE_FLAGS;
	*mode = (u16)m;
	if (m >= MPOL_MAX)
		return -EINVAL;
	if ((*flags & MPOL_F_STATIC_NODES) && (*flags & MPOL_F_RELATIVE_NODES))
		return -EINVAL;
	if ((*flags & MPOL_F_NUMA_BALANCING) && m != MPOL_BIND)
		return -EINVAL;
	return 0;
}

int mpol_new(u16 mode, u16 flags, const struct nodemask *mask, struct mempolicy **out)
{
	const bool empty = mask_empty(mask),
		   placed = flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES);
	struct mempolicy *pol;
	u32 nodes = 0;

	*out = NULL;
	if (mode == MPOL_DEFAULT)
		return empty ? 0 : -EINVAL;
	if (mode == MPOL_PREFERRED && empty) {
		if (placed)
			return -EINVAL;
		mode = MPOL_LOCAL;
	} else if (mode == MPOL_LOCAL ? !empty || placed : empty) {
		return -EINVAL;
	}
	if (mode != MPOL_LOCAL) {
		nodes = flags & MPOL_F_RELATIVE_NODES ? relative_nodes(mask)
						      : (u32)mask->bits[0] & memory_nodes;
		if (!nodes)
			return -EINVAL;
		if (mode == MPOL_PREFERRED)
			nodes &= -nodes;
	}
	pol = kmem_cache_alloc(policy_cache, GFP_KERNEL);
	if (!pol)
		return -ENOMEM;
	*pol = (struct mempolicy){.refs = 1,
				  .mode = mode,
				  .flags = flags,
				  .nodes = nodes,
				  .home = NUMA_NO_NODE,
				  .user_nodes = mask->bits[0]};
	*out = pol;
	return 0;
}

struct mempolicy *mpol_with_home(const struct mempolicy *pol, int home)
{
	struct mempolicy *new = kmem_cache_alloc(policy_cache, GFP_KERNEL);

	if (!new)
		return NULL;
	*new = *pol;
	new->refs = 1;
	new->home = home;
	return new;
}

struct mempolicy *mpol_get(struct mempolicy *pol)
{
	if (pol)
		atomic_add(&pol->refs, 1);
	return pol;
}

void mpol_put(struct mempolicy *pol)
{
	if (pol && !atomic_sub_return(&pol->refs, 1))
		kmem_cache_free(policy_cache, pol);
}

/* A policy with any mode flag keeps the user's nodes, as on Linux 6.1. */
static bool keeps_user_nodes(const struct mempolicy *pol)
{
	return pol->flags & MPOL_MODE_FLAGS;
}

bool mpol_equal(const struct mempolicy *a, const struct mempolicy *b)
{
	if (a == b)
		return true;
	return a && b && a->mode == b->mode && a->flags == b->flags && a->home == b->home &&
	       a->nodes == b->nodes && (!keeps_user_nodes(a) || a->user_nodes == b->user_nodes);
}

u64 mpol_shown_nodes(const struct mempolicy *pol)
{
	if (!pol)
		return 0;
	return keeps_user_nodes(pol) ? pol->user_nodes : pol->nodes;
}

void mpol_to_text(char *buf, size_t size, const struct mempolicy *pol)
{
	static const char *const names[MPOL_MAX] = {"default",
						    "prefer",
						    "bind",
						    "interleave",
						    "local",
						    "prefer (many)",
						    "weighted interleave"};
	u32 n = ksnprintf(buf, size, "%s", names[pol ? pol->mode : MPOL_DEFAULT]);
	const char *between = ":";

	if (!pol)
		return;
	if (pol->flags & MPOL_MODE_FLAGS)
		n += ksnprintf(buf + n, size - n, "=%s",
			       pol->flags & MPOL_F_STATIC_NODES	    ? "static"
			       : pol->flags & MPOL_F_RELATIVE_NODES ? "relative"
								    : "");
	for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++) {
		unsigned int last = nid;

		if (!(pol->nodes & 1u << nid))
			continue;
		while (pol->nodes & 2u << last)
			last++;
		n += ksnprintf(buf + n, size - n, last > nid ? "%s%u-%u" : "%s%u", between, nid,
			       last);
		between = ",";
		nid = last;
	}
}

/* ---- threads ---------------------------------------------------------------------------------- */

void mempolicy_set_task(struct mempolicy *pol)
{
	struct thread_info *ti = current_thread_info();
	struct mempolicy *old;
	unsigned long flags;

	flags = spin_lock_irqsave(&mempolicy_lock);
	old = ti->mempolicy;
	ti->mempolicy = pol;
	spin_unlock_irqrestore(&mempolicy_lock, flags);
	/* Interleaving then begins with the first node of the set. */
	ti->il_prev = MAX_NUMNODES - 1;
	ti->il_weight = 0;
	mpol_put(old);
	if (pol && !mempolicy_in_use) {
		mempolicy_in_use = true;
		numa_stat_changed();
	}
}

struct mempolicy *mempolicy_get_task(struct thread_info *ti)
{
	unsigned long flags = spin_lock_irqsave(&mempolicy_lock);
	struct mempolicy *pol = mpol_get(ti->mempolicy);

	spin_unlock_irqrestore(&mempolicy_lock, flags);
	return pol;
}

bool mempolicy_reaches(struct thread_info *ti, u32 nodes)
{
	unsigned long flags = spin_lock_irqsave(&mempolicy_lock);
	const struct mempolicy *pol = ti->mempolicy;
	const bool yes = !pol || pol->mode != MPOL_BIND || (pol->nodes & nodes);

	spin_unlock_irqrestore(&mempolicy_lock, flags);
	return yes;
}

void mempolicy_fork(struct thread_info *child)
{
	const struct thread_info *ti = current_thread_info();

	child->mempolicy = mpol_get(ti->mempolicy);
	child->il_prev = ti->il_prev;
	child->il_weight = ti->il_weight;
}

void mempolicy_exit(struct thread_info *ti)
{
	unsigned long flags = spin_lock_irqsave(&mempolicy_lock);
	struct mempolicy *pol = ti->mempolicy;

	ti->mempolicy = NULL;
	spin_unlock_irqrestore(&mempolicy_lock, flags);
	mpol_put(pol);
}

/* ---- evaluation ------------------------------------------------------------------------------- */

u8 mempolicy_weight(unsigned int nid)
{
	return weight[nid] ? weight[nid] : 1;
}

void mempolicy_set_weight(unsigned int nid, u8 w)
{
	WRITE_ONCE(weight[nid], w);
}

/* The node of page `index` of a VMA. */
static unsigned int node_by_index(const struct mempolicy *pol, unsigned long index)
{
	unsigned int total = 0, nid;

	if (pol->mode == MPOL_INTERLEAVE)
		return nth_node(pol->nodes, index % __builtin_popcount(pol->nodes));
	for (nid = 0; nid < MMVM_MAX_NODES; nid++)
		if (pol->nodes & 1u << nid)
			total += mempolicy_weight(nid);
	index %= total;
	nid = __builtin_ctz(pol->nodes);
	/* At most one round, because a weight may change meanwhile. */
	for (unsigned int n = __builtin_popcount(pol->nodes); n && index >= mempolicy_weight(nid);
	     n--) {
		index -= mempolicy_weight(nid);
		nid = next_node(pol->nodes, nid);
	}
	return nid;
}

unsigned int mempolicy_next_node(const struct mempolicy *pol)
{
	const struct thread_info *ti = current_thread_info();

	if (pol->mode == MPOL_WEIGHTED_INTERLEAVE && ti->il_weight &&
	    ti->il_prev < MMVM_MAX_NODES && (pol->nodes & 1u << ti->il_prev))
		return ti->il_prev;
	return next_node(pol->nodes, ti->il_prev);
}

/* The node that the thread's counter names; the counter advances. */
static unsigned int node_by_turn(const struct mempolicy *pol)
{
	struct thread_info *ti = current_thread_info();
	unsigned int nid = mempolicy_next_node(pol);

	if (pol->mode == MPOL_WEIGHTED_INTERLEAVE) {
		if (nid != ti->il_prev || !ti->il_weight)
			ti->il_weight = mempolicy_weight(nid);
		ti->il_weight--;
	}
	ti->il_prev = nid;
	return nid;
}

static struct page *alloc_interleaved(unsigned int nid, gfp_t gfp, unsigned int order,
				      enum mmvm_page_type type)
{
	struct page *page = alloc_pages_where(gfp, order, type, nid, ALL_NODES);

	if (page && page_node_id(page) == nid && numa_stat)
		zone_stat_add(page_zone(page), NUMA_INTERLEAVE_HIT, 1);
	return page;
}

/* The nodes that a bind allows this allocation. */
static u32 bound_nodes(const struct mempolicy *pol, gfp_t gfp)
{
	for (struct zone **z = node_data[0].zonelist; *z; z++)
		if ((*z)->type <= gfp_zone(gfp) && (pol->nodes & 1u << (*z)->node->id))
			return pol->nodes;
	return ALL_NODES;
}

/* `nid`: what interleaving says. */
static struct page *alloc_by(const struct mempolicy *pol, unsigned int nid, gfp_t gfp,
			     unsigned int order, enum mmvm_page_type type)
{
	const unsigned int here = numa_node_id();
	const unsigned int first = pol->home == NUMA_NO_NODE ? here : (unsigned int)pol->home;
	const gfp_t quick = (gfp | __GFP_NOWARN) & ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL);
	struct page *page;

	switch ((enum mpol_mode)pol->mode) {
	case MPOL_PREFERRED:
		return alloc_pages_where(gfp, order, type, __builtin_ctz(pol->nodes), ALL_NODES);
	case MPOL_BIND:
		return alloc_pages_where(gfp, order, type, first, bound_nodes(pol, gfp));
	case MPOL_PREFERRED_MANY:
		page = alloc_pages_where(quick, order, type, first, bound_nodes(pol, gfp));
		return page ? page : alloc_pages_where(gfp, order, type, first, ALL_NODES);
	case MPOL_INTERLEAVE:
	case MPOL_WEIGHTED_INTERLEAVE:
		return alloc_interleaved(nid, gfp, order, type);
	case MPOL_DEFAULT:
	case MPOL_LOCAL:
	case MPOL_MAX:
		break;
	}
	return alloc_pages_where(gfp, order, type, here, ALL_NODES);
}

static bool interleaves(const struct mempolicy *pol)
{
	return pol->mode == MPOL_INTERLEAVE || pol->mode == MPOL_WEIGHTED_INTERLEAVE;
}

struct page *mempolicy_alloc_at(struct mempolicy *pol, unsigned long index, gfp_t gfp,
				unsigned int order, enum mmvm_page_type type)
{
	if (!pol)
		return alloc_pages_where(gfp, order, type, numa_node_id(), ALL_NODES);
	return alloc_by(pol, interleaves(pol) ? node_by_index(pol, index >> order) : 0, gfp, order,
			type);
}

struct page *mempolicy_alloc(gfp_t gfp, unsigned int order, enum mmvm_page_type type)
{
	const struct thread_info *ti = current_thread_info();
	const struct mempolicy *pol = ti->mempolicy;

	if (unlikely(ti->vma_policy) && (type == PAGE_ANON || type == PAGE_SHMEM))
		return mempolicy_alloc_at(ti->vma_policy, ti->vma_index, gfp, order, type);
	if (likely(!pol) || (gfp & __GFP_THISNODE) || !(gfp & __GFP_DIRECT_RECLAIM))
		return alloc_pages_where(gfp, order, type, numa_node_id(), ALL_NODES);
	return alloc_by(pol, interleaves(pol) ? node_by_turn(pol) : 0, gfp, order, type);
}

unsigned int mempolicy_place(const struct mempolicy *vma_policy, unsigned long index, u32 *nodes)
{
	const struct mempolicy *pol = vma_policy ? vma_policy : current_thread_info()->mempolicy;
	const unsigned int here = numa_node_id();

	*nodes = ALL_NODES;
	if (likely(!pol) || nr_online_nodes == 1)
		return here;
	switch ((enum mpol_mode)pol->mode) {
	case MPOL_PREFERRED:
		return __builtin_ctz(pol->nodes);
	case MPOL_BIND:
		*nodes = bound_nodes(pol, GFP_HIGHUSER);
		return pol->home == NUMA_NO_NODE ? here : (unsigned int)pol->home;
	case MPOL_PREFERRED_MANY:
		return pol->nodes & 1u << here ? here : (unsigned int)__builtin_ctz(pol->nodes);
	case MPOL_INTERLEAVE:
	case MPOL_WEIGHTED_INTERLEAVE:
		return vma_policy ? node_by_index(pol, index) : node_by_turn(pol);
	case MPOL_DEFAULT:
	case MPOL_LOCAL:
	case MPOL_MAX:
		break;
	}
	return here;
}

void mempolicy_note_placement(struct vm_area_struct *vma, const struct page *page)
{
	if (!(vma->policy->nodes & 1u << page_node_id(page)))
		WRITE_ONCE(vma->policy_held, false);
}
