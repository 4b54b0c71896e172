/*
 * Radix tree. The interface and its terms are in radix_tree.h.
 *
 *   height 2     root ──> [ 0 | 1 | 2 | ... | 63 ]        a slot spans 64 indices
 *                           |   └────> [ item | . | item ... ]   indices 64..127
 *                           └> [ . | item ... ]                  indices 0..63
 *
 * A tree that holds only index 0 has height 0 and no node, as for most small files.
 *
 * I1  present has a bit for each slot that is not NULL; no node in a tree has present == 0.
 * I2  tags[t] has a bit for each slot that is an item with tag t, or a node with a bit in its
 *     tags[t]; tree->tags says the same of the root. So a tag is found in as many steps as the tree
 *     is high, and a bit without an item below it is a bug.
 * I3  The height is the least that the largest index needs: a root that uses only slot 0 is removed.
 * I4  A node that is not in a tree is all zeroes (except the first slot while it is set aside), so a node from the
 *     slab cache need not be cleared.
 *
 * radix_insert() counts the nodes it will need before it changes anything: after -ENOMEM the tree is unchanged. So
 * callers may first try without nodes set aside, which suffices 63 times out of 64.
 *
 * Locks: the caller's. Only setting nodes aside needs none.
 */
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/cache/radix_tree.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

struct radix_node {
	u64 present;		   /* I1 */
	u64 tags[RADIX_NR_TAGS];   /* I2 */
	struct radix_node *parent; /* NULL: the root */
	u32 offset;		   /* its slot in the parent */
	u32 shift;		   /* index >> shift & 63 is the slot; 0 in leaves */
	void *slots[RADIX_SLOTS];
};

static struct kmem_cache *node_cache;
s64 radix_nr_nodes; /* A */

static void node_ctor(void *node)
{
	memset(node, 0, sizeof(struct radix_node));
}

void radix_tree_init(void)
{
	node_cache = kmem_cache_create("radix_tree_node", sizeof(struct radix_node), 0,
				       SLAB_RECLAIM_ACCOUNT | SLAB_PANIC | SLAB_ACCOUNT, node_ctor);
}

void radix_node_layout(u32 *shift_offset, u32 *slots_offset)
{
	*shift_offset = offsetof(struct radix_node, shift);
	*slots_offset = offsetof(struct radix_node, slots);
}

static inline unsigned int slot_of(const struct radix_node *node, unsigned long index)
{
	return index >> node->shift & (RADIX_SLOTS - 1);
}

/* Can a tree of this height hold the index? */
static inline bool fits(u32 height, unsigned long index)
{
	return height * RADIX_SHIFT >= 64 || !(index >> height * RADIX_SHIFT);
}

static u32 height_for(unsigned long index)
{
	u32 height = 0;

	while (!fits(height, index))
		height++;
	return height;
}

/* ---- nodes ------------------------------------------------------------------------------------ */

static int preload(struct radix_preload *p, u32 need, unsigned int gfp)
{
	p->free = NULL;
	p->nr = 0;
	while (p->nr < need) {
		struct radix_node *node = kmem_cache_alloc(node_cache, gfp);

		if (!node) {
			radix_preload_end(p);
			return -ENOMEM;
		}
		node->slots[0] = p->free;
		p->free = node;
		p->nr++;
	}
	return 0;
}

int radix_preload(struct radix_preload *p, const struct radix_tree *tree, unsigned long index,
		  unsigned int gfp)
{
	u32 height = READ_ONCE(tree->height), wanted = max(height_for(index), height);

	/* Nodes above the old root, and a new path beside it. */
	return preload(p, wanted - height + wanted, gfp);
}

void radix_preload_end(struct radix_preload *p)
{
	while (p->free) {
		struct radix_node *node = p->free;

		p->free = node->slots[0];
		node->slots[0] = NULL;
		kmem_cache_free(node_cache, node);
	}
	p->nr = 0;
}

static struct radix_node *take_node(struct radix_preload *p, u32 shift)
{
	struct radix_node *node = p->free;

	p->free = node->slots[0];
	p->nr--;
	node->slots[0] = NULL;
	node->shift = shift;
	atomic_add(&radix_nr_nodes, 1);
	return node;
}

/* Free a node that has neither items nor tags any more. */
static void free_node(struct radix_node *node)
{
	node->parent = NULL;
	node->offset = 0;
	node->shift = 0;
	atomic_sub(&radix_nr_nodes, 1);
	kmem_cache_free(node_cache, node);
}

static inline void link_slot(struct radix_node *node, unsigned int slot, void *what)
{
	node->slots[slot] = what;
	node->present |= 1ull << slot;
}

/* ---- single items ----------------------------------------------------------------------------- */

/* The leaf with the slot of the index, or NULL. The height is not 0. */
static inline struct radix_node *find_leaf(const struct radix_tree *tree, unsigned long index)
{
	struct radix_node *node = tree->root;

	if (unlikely(!fits(tree->height, index)))
		return NULL;
	while (node && node->shift)
		node = node->slots[slot_of(node, index)];
	return node;
}

void *radix_lookup(const struct radix_tree *tree, unsigned long index)
{
	const struct radix_node *leaf;

	if (!tree->height)
		return index ? NULL : tree->root;
	leaf = find_leaf(tree, index);
	return leaf ? leaf->slots[index & (RADIX_SLOTS - 1)] : NULL;
}

/* One level more: the root becomes slot 0 of a new one. */
static void grow(struct radix_tree *tree, struct radix_preload *p)
{
	struct radix_node *top;

	if (tree->root) {
		top = take_node(p, tree->height * RADIX_SHIFT);
		link_slot(top, 0, tree->root);
		for (unsigned int t = 0; t < RADIX_NR_TAGS; t++)
			top->tags[t] = tree->tags >> t & 1;
		if (tree->height)
			((struct radix_node *)tree->root)->parent = top;
		tree->root = top;
	}
	tree->height++;
}

/* How many nodes the insertion needs; *there: the index has an item already. */
static u32 nodes_needed(const struct radix_tree *tree, unsigned long index, bool *there)
{
	u32 height = tree->height;
	const struct radix_node *node = tree->root;

	*there = false;
	if (!node)
		return height_for(index);
	if (!fits(height, index)) {
		/* The new levels; below the topmost, the index's path is a new one. */
		u32 wanted = height_for(index);

		return wanted - height + wanted - 1;
	}
	if (!height) {
		*there = true;
		return 0;
	}
	while (node->shift) {
		const struct radix_node *next = node->slots[slot_of(node, index)];

		if (!next)
			return node->shift / RADIX_SHIFT;
		node = next;
	}
	*there = node->slots[slot_of(node, index)];
	return 0;
}

/* The leaf for the index, which the tree's height fits; what it needs is set aside. */
static inline struct radix_node *make_leaf(struct radix_tree *tree, unsigned long index,
					   struct radix_preload *p)
{
	struct radix_node *node;

	if (!tree->root)
		tree->root = take_node(p, (tree->height - 1) * RADIX_SHIFT);
	for (node = tree->root; node->shift;) {
		unsigned int slot = slot_of(node, index);
		struct radix_node *next = node->slots[slot];

		if (!next) {
			next = take_node(p, node->shift - RADIX_SHIFT);
			next->parent = node;
			next->offset = slot;
			link_slot(node, slot, next);
		}
		node = next;
	}
	return node;
}

int radix_insert(struct radix_tree *tree, unsigned long index, void *item, struct radix_preload *p)
{
	struct radix_node *node;
	bool there;
	u32 need = nodes_needed(tree, index, &there);

	if (there)
		return -EEXIST;
	if (need > (p ? p->nr : 0))
		return -ENOMEM;
	if (!tree->root)
		tree->height = 0;
	while (!fits(tree->height, index))
		grow(tree, p);
	if (!tree->height) {
		tree->root = item;
		return 0;
	}
	node = make_leaf(tree, index, p);
	link_slot(node, index & (RADIX_SLOTS - 1), item);
	return 0;
}

/* How many nodes a run of whole leaves may need: those above the root, a path, and the other leaves, whose parent
 * is the last node of the path. */
static u32 run_needs(const struct radix_tree *tree, unsigned long index, unsigned long nr)
{
	u32 height = READ_ONCE(tree->height), wanted = max(height_for(index + nr - 1), height);

	return wanted - height + wanted + nr / RADIX_SLOTS;
}

int radix_preload_run(struct radix_preload *p, const struct radix_tree *tree, unsigned long index,
		      unsigned long nr, unsigned int gfp)
{
	return preload(p, tree ? run_needs(tree, index, nr) : 2 * RADIX_MAX_PATH + nr / RADIX_SLOTS,
		       gfp);
}

int radix_insert_run(struct radix_tree *tree, unsigned long index, unsigned long nr, void *first,
		     size_t stride, struct radix_preload *p)
{
	unsigned long at = index;
	char *item = first;

	if (radix_next(tree, &at) && at < index + nr)
		return -EEXIST;
	if (p->nr < run_needs(tree, index, nr))
		return -ENOMEM;
	if (!tree->root)
		tree->height = height_for(index + nr - 1);
	while (!fits(tree->height, index + nr - 1))
		grow(tree, p);
	for (at = index; at < index + nr; at += RADIX_SLOTS) {
		struct radix_node *leaf = make_leaf(tree, at, p);

		for (unsigned int i = 0; i < RADIX_SLOTS; i++, item += stride)
			leaf->slots[i] = item;
		leaf->present = ~0ull;
	}
	return 0;
}

void *radix_replace(struct radix_tree *tree, unsigned long index, void *item)
{
	struct radix_node *leaf;
	void *old;

	if (!tree->height) {
		old = index ? NULL : tree->root;
		if (old)
			tree->root = item;
		return old;
	}
	leaf = find_leaf(tree, index);
	if (!leaf)
		return NULL;
	old = leaf->slots[index & (RADIX_SLOTS - 1)];
	if (old)
		leaf->slots[index & (RADIX_SLOTS - 1)] = item;
	return old;
}

/* Remove levels that only lead to slot 0 (I3). */
static void shrink(struct radix_tree *tree)
{
	while (tree->height) {
		struct radix_node *top = tree->root;

		if (top->present != 1)
			break;
		tree->root = top->slots[0];
		if (--tree->height)
			((struct radix_node *)tree->root)->parent = NULL;
		top->slots[0] = NULL;
		top->present = 0;
		memset(top->tags, 0, sizeof(top->tags));
		free_node(top);
	}
}

static void clear_tag_up(struct radix_tree *tree, struct radix_node *node, unsigned int slot,
			 unsigned int tag)
{
	for (;;) {
		node->tags[tag] &= ~(1ull << slot);
		if (node->tags[tag])
			return;
		if (!node->parent)
			break;
		slot = node->offset;
		node = node->parent;
	}
	tree->tags &= ~(1u << tag);
}

void *radix_delete(struct radix_tree *tree, unsigned long index)
{
	unsigned int slot = index & (RADIX_SLOTS - 1);
	struct radix_node *node;
	void *item;

	if (!tree->height) {
		item = index ? NULL : tree->root;
		if (item) {
			tree->root = NULL;
			tree->tags = 0;
		}
		return item;
	}
	node = find_leaf(tree, index);
	item = node ? node->slots[slot] : NULL;
	if (!item)
		return NULL;
	if (tree->tags)
		for (unsigned int t = 0; t < RADIX_NR_TAGS; t++)
			if (node->tags[t] >> slot & 1)
				clear_tag_up(tree, node, slot, t);
	for (;;) {
		struct radix_node *parent = node->parent;

		node->slots[slot] = NULL;
		node->present &= ~(1ull << slot);
		if (node->present)
			break;
		slot = node->offset;
		free_node(node);
		node = parent;
		if (!node) {
			tree->root = NULL;
			tree->height = 0;
			return item;
		}
	}
	shrink(tree);
	return item;
}

const void *radix_sole_node(const struct radix_tree *tree, unsigned long index)
{
	const struct radix_node *leaf = tree->height ? find_leaf(tree, index) : NULL;

	return leaf && leaf->present == 1ull << (index & (RADIX_SLOTS - 1)) ? leaf : NULL;
}

void radix_delete_run(struct radix_tree *tree, unsigned long index, unsigned long nr)
{
	for (unsigned long at = index; at < index + nr; at += RADIX_SLOTS) {
		struct radix_node *leaf = find_leaf(tree, at);

		memset(&leaf->slots[1], 0, sizeof(leaf->slots) - sizeof(leaf->slots[0]));
		leaf->present = 1;
		radix_delete(tree, at);
	}
}

/* ---- tags ------------------------------------------------------------------------------------- */

void radix_tag_set(struct radix_tree *tree, unsigned long index, unsigned int tag)
{
	unsigned int slot = index & (RADIX_SLOTS - 1);
	struct radix_node *node;

	if (!radix_lookup(tree, index))
		return;
	if (tree->height) {
		for (node = find_leaf(tree, index);;) {
			bool led_here = node->tags[tag];

			node->tags[tag] |= 1ull << slot;
			if (led_here)
				return; /* all nodes above keep the tag, too (I2) */
			if (!node->parent)
				break;
			slot = node->offset;
			node = node->parent;
		}
	}
	tree->tags |= 1u << tag;
}

void radix_tag_clear(struct radix_tree *tree, unsigned long index, unsigned int tag)
{
	struct radix_node *leaf;

	if (!radix_tagged(tree, tag))
		return;
	if (!tree->height) {
		if (!index)
			tree->tags &= ~(1u << tag);
		return;
	}
	leaf = find_leaf(tree, index);
	if (leaf && leaf->tags[tag] >> (index & (RADIX_SLOTS - 1)) & 1)
		clear_tag_up(tree, leaf, index & (RADIX_SLOTS - 1), tag);
}

bool radix_tag_get(const struct radix_tree *tree, unsigned long index, unsigned int tag)
{
	const struct radix_node *leaf;

	if (!radix_tagged(tree, tag))
		return false;
	if (!tree->height)
		return !index;
	leaf = find_leaf(tree, index);
	return leaf && leaf->tags[tag] >> (index & (RADIX_SLOTS - 1)) & 1;
}

/* ---- searching -------------------------------------------------------------------------------- */

/* The slots that a search looks at: those present, or those with the tag. */
static inline u64 candidates(const struct radix_node *node, int tag)
{
	return tag < 0 ? node->present : node->tags[tag];
}

static void *next_item(const struct radix_tree *tree, unsigned long *index, int tag)
{
	const struct radix_node *node = tree->root;
	unsigned long at = *index;

	if (!node || !fits(tree->height, at) || (tag >= 0 && !radix_tagged(tree, tag)))
		return NULL;
	if (!tree->height)
		return tree->root;
	for (;;) {
		unsigned int slot = slot_of(node, at);
		u64 left = candidates(node, tag) >> slot;
		unsigned long span;

		if (left) {
			unsigned int skip = __builtin_ctzll(left);

			if (skip)
				at = ((at >> node->shift) + skip) << node->shift;
			if (!node->shift) {
				*index = at;
				return node->slots[slot + skip];
			}
			node = node->slots[slot + skip];
			continue;
		}
		/* The node has no more items: continue after it, from the nearest ancestor that has a later slot in
		 * use. */
		do {
			if (!node->parent)
				return NULL;
			span = 1ul << (node->shift + RADIX_SHIFT);
			slot = node->offset;
			node = node->parent;
		} while (slot == RADIX_SLOTS - 1);
		at = (at & ~(span - 1)) + span;
		if (!at)
			return NULL; /* past the largest index */
	}
}

void *radix_next(const struct radix_tree *tree, unsigned long *index)
{
	return next_item(tree, index, -1);
}

unsigned int radix_next_many(const struct radix_tree *tree, unsigned long *index, unsigned long end,
			     void **items, unsigned int max)
{
	unsigned long at = *index;
	const struct radix_node *leaf;
	unsigned int n = 1;
	void *first;
	u64 left;

	*index = end;
	first = at < end ? next_item(tree, &at, -1) : NULL;
	if (!first || at >= end)
		return 0;
	items[0] = first;
	if (tree->height && max > 1) {
		leaf = find_leaf(tree, at);
		left = leaf->present >> (at & (RADIX_SLOTS - 1)) >> 1;
		while (left && n < max) {
			unsigned int skip = __builtin_ctzll(left);

			if (at + skip + 1 >= end)
				break;
			at += skip + 1;
			items[n++] = leaf->slots[at & (RADIX_SLOTS - 1)];
			left = left >> skip >> 1;
		}
	}
	*index = at + 1;
	return n;
}

void *radix_next_tagged(const struct radix_tree *tree, unsigned long *index, unsigned int tag)
{
	return next_item(tree, index, tag);
}

unsigned long radix_next_hole(const struct radix_tree *tree, unsigned long from, unsigned long to)
{
	while (from < to) {
		const struct radix_node *leaf;
		u64 holes;

		if (!tree->height) {
			if (from || !tree->root)
				return from;
			from = 1;
			continue;
		}
		leaf = find_leaf(tree, from);
		if (!leaf)
			return from;
		holes = ~leaf->present >> (from & (RADIX_SLOTS - 1));
		if (holes)
			return min(from + __builtin_ctzll(holes), to);
		from = (from | (RADIX_SLOTS - 1)) + 1;
		if (!from)
			break; /* that was the last possible leaf */
	}
	return to;
}
