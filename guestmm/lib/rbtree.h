/* Red-black tree, intrusive, with optional augmentation: `augment` recomputes a node from its
 * children. */
#ifndef LIB_RBTREE_H
#define LIB_RBTREE_H
#include "lib/types.h"

struct rb_node {
	unsigned long parent_color; /* parent | 1 if black */
	struct rb_node *left, *right;
};
struct rb_root {
	struct rb_node *node;
};
#define RB_ROOT      \
	{            \
		NULL \
	}
#define rb_entry(p, type, member) container_of(p, type, member)

typedef void (*rb_augment_fn)(
	struct rb_node *node); /* recompute node's own data from itself and its children */
/** Hang `node` under `parent` at *link, then rebalance. */
void rb_insert(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
	       struct rb_node **link, rb_augment_fn aug);
void rb_erase(struct rb_root *root, struct rb_node *node, rb_augment_fn aug);
/** Recompute from node to the root after the node's own data changed. */
void rb_augment_path(struct rb_node *node, rb_augment_fn aug);
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);
static inline struct rb_node *rb_parent(const struct rb_node *n)
{
	return (struct rb_node *)(n->parent_color & ~3ul);
}
#endif
