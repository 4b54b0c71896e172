/*
 * Radix tree: unsigned long -> pointer-sized item, with three tags per item.
 *
 * A node has 64 slots; the tree is as high as the largest index needs. For each tag a node records which of its
 * slots lead to an item with that tag, so that tagged items are found without visiting the others. An item is a
 * pointer, or a number marked with bit 0 (radix_value), which the page cache stores for a page that is not in
 * memory.
 *
 * The caller's lock guards the tree. Nodes come from a slab cache; inserting under a spinlock must
 * not sleep, so callers preload first.
 */
#ifndef MM_RADIX_TREE_H
#define MM_RADIX_TREE_H
#include "lib/types.h"

#define RADIX_SHIFT    6
#define RADIX_SLOTS    (1u << RADIX_SHIFT)
#define RADIX_MAX_PATH ((64 + RADIX_SHIFT - 1) / RADIX_SHIFT)
#define RADIX_NR_TAGS  3

struct radix_node;
struct radix_tree {
	void *root; /* radix_node, or the item of index 0 when height is 0, or NULL */
	u32 height; /* levels of nodes */
	u32 tags;   /* bit t: some item has tag t */
};
#define RADIX_TREE_INIT    \
	{                  \
		NULL, 0, 0 \
	}

/** Nodes set aside for one insertion. */
struct radix_preload {
	struct radix_node *free; /* linked through their first slot */
	u32 nr;
};

static inline bool radix_is_value(const void *item)
{
	return (unsigned long)item & 1;
}
static inline void *radix_make_value(unsigned long v)
{
	return (void *)(v << 1 | 1);
}
static inline unsigned long radix_value(const void *item)
{
	return (unsigned long)item >> 1;
}

void radix_tree_init(void); /* the node cache; after slab */
/** Set aside the nodes that the insertion at `index` may need. Sleeps if `gfp` allows. 0 or -ENOMEM. */
int radix_preload(struct radix_preload *p, const struct radix_tree *tree, unsigned long index,
		  unsigned int gfp);
/** Free the nodes that were not used. */
void radix_preload_end(struct radix_preload *p);
/** 0; -EEXIST: something is there; -ENOMEM: the preload was made for a lower tree. */
int radix_insert(struct radix_tree *tree, unsigned long index, void *item, struct radix_preload *p);
/** The same for `nr` items in a row: the pointers first, first + stride, ... `index` and `nr` are multiples of
 * RADIX_SLOTS, and `index` one of `nr`, at most RADIX_SLOTS squared. -EEXIST: something is in the range. Nodes set
 * aside without a tree suffice for any tree. */
int radix_preload_run(struct radix_preload *p, const struct radix_tree *tree, unsigned long index,
		      unsigned long nr, unsigned int gfp);
int radix_insert_run(struct radix_tree *tree, unsigned long index, unsigned long nr, void *first,
		     size_t stride, struct radix_preload *p);
/** Remove all that such a run holds: `nr` items without tags. */
void radix_delete_run(struct radix_tree *tree, unsigned long index, unsigned long nr);
/** Item or NULL. */
void *radix_lookup(const struct radix_tree *tree, unsigned long index);
/** Replace the item at the index; its tags stay. Returns the old item. NULL: there was none, and nothing is
 * stored. */
void *radix_replace(struct radix_tree *tree, unsigned long index, void *item);
/** Remove. Returns the item or NULL. Empty nodes are freed. */
void *radix_delete(struct radix_tree *tree, unsigned long index);
/** The node whose only item is that at `index`, so that deleting the item frees it; NULL: there is no such node. */
const void *radix_sole_node(const struct radix_tree *tree, unsigned long index);
void radix_tag_set(struct radix_tree *tree, unsigned long index, unsigned int tag);
void radix_tag_clear(struct radix_tree *tree, unsigned long index, unsigned int tag);
bool radix_tag_get(const struct radix_tree *tree, unsigned long index, unsigned int tag);
static inline bool radix_tagged(const struct radix_tree *tree, unsigned int tag)
{
	return tree->tags >> tag & 1;
}
/** First item at or after *index, its place in *index; NULL: no more. */
void *radix_next(const struct radix_tree *tree, unsigned long *index);
/** The first items at or after *index and below `end`, up to `max` > 0 and no more than one node holds. *index
 * becomes the index after the last one, or `end` if there are none. Much faster than one at a time. */
unsigned int radix_next_many(const struct radix_tree *tree, unsigned long *index, unsigned long end,
			     void **items, unsigned int max);
/** The same as radix_next() for items with a tag. */
void *radix_next_tagged(const struct radix_tree *tree, unsigned long *index, unsigned int tag);
/** First index in [from, to) without an item; `to` if there is none. */
unsigned long radix_next_hole(const struct radix_tree *tree, unsigned long from, unsigned long to);
/** Offsets of a node's level and slots, for the audit. */
void radix_node_layout(u32 *shift_offset, u32 *slots_offset);
/** Nodes in use over all trees, for reports and leak checks. */
extern s64 radix_nr_nodes;
#endif
