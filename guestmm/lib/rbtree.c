/*
 * Red-black tree, intrusive and augmented.
 *
 * A binary search tree whose nodes are red or black:
 *   I1  the root is black;
 *   I2  a red node has black children;
 *   I3  every way down from a node to a missing child meets the same number of black nodes,
 * so that no way down is more than twice as long as another. A node's colour is bit 0 of
 * parent_color (1 = black); the rest is its parent's address.
 *
 * The tree never compares keys: who inserts has found the place. Augmented data (a value that
 * summarises a subtree) is recomputed by the caller's function, bottom up: after a change, from the
 * lowest node whose subtree changed to the root; after a rotation, for the two nodes that turned.
 *
 * No locks: the owner's.
 */
#include "lib/rbtree.h"

#define RB_BLACK 1ul

static inline bool is_red(const struct rb_node *n)
{
	return n && !(n->parent_color & RB_BLACK);
}
static inline void set_parent(struct rb_node *n, struct rb_node *parent)
{
	n->parent_color = (unsigned long)parent | (n->parent_color & RB_BLACK);
}
static inline void set_black(struct rb_node *n)
{
	n->parent_color |= RB_BLACK;
}
static inline void set_red(struct rb_node *n)
{
	n->parent_color &= ~RB_BLACK;
}
static inline void copy_color(struct rb_node *to, const struct rb_node *from)
{
	to->parent_color = (to->parent_color & ~RB_BLACK) | (from->parent_color & RB_BLACK);
}

/* Let `new` take `old`'s place below old's parent. */
static inline void replace_child(struct rb_root *root, struct rb_node *old, struct rb_node *new)
{
	struct rb_node *parent = rb_parent(old);

	if (!parent)
		root->node = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
}

/*
 *     n                r
 *    / \    left      / \
 *   a   r   ---->    n   c
 *      / \          / \
 *     b   c        a   b
 */
static void rotate_left(struct rb_root *root, struct rb_node *n, rb_augment_fn aug)
{
	struct rb_node *r = n->right;

	n->right = r->left;
	if (r->left)
		set_parent(r->left, n);
	replace_child(root, n, r);
	set_parent(r, rb_parent(n));
	r->left = n;
	set_parent(n, r);
	if (aug) {
		aug(n);
		aug(r);
	}
}

static void rotate_right(struct rb_root *root, struct rb_node *n, rb_augment_fn aug)
{
	struct rb_node *l = n->left;

	n->left = l->right;
	if (l->right)
		set_parent(l->right, n);
	replace_child(root, n, l);
	set_parent(l, rb_parent(n));
	l->right = n;
	set_parent(n, l);
	if (aug) {
		aug(n);
		aug(l);
	}
}

void rb_augment_path(struct rb_node *node, rb_augment_fn aug)
{
	if (!aug)
		return;
	for (; node; node = rb_parent(node))
		aug(node);
}

void rb_insert(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
	       struct rb_node **link, rb_augment_fn aug)
{
	node->parent_color = (unsigned long)parent; /* red */
	node->left = NULL;
	node->right = NULL;
	*link = node;
	rb_augment_path(node, aug);

	/* Only I2 can be broken, between node and its parent; each round mends it or moves it
	 * up. */
	while (is_red(parent)) {
		struct rb_node *grand = rb_parent(parent); /* exists: a red node is not the root */
		bool left = grand->left == parent;
		struct rb_node *uncle = left ? grand->right : grand->left;

		if (is_red(uncle)) {
			set_black(uncle);
			set_black(parent);
			set_red(grand);
			node = grand;
			parent = rb_parent(node);
			continue;
		}
		/* Bring an inner grandchild to the outside, then turn the grandparent. */
		if (left) {
			if (parent->right == node) {
				rotate_left(root, parent, aug);
				parent = node;
			}
			set_black(parent);
			set_red(grand);
			rotate_right(root, grand, aug);
		} else {
			if (parent->left == node) {
				rotate_right(root, parent, aug);
				parent = node;
			}
			set_black(parent);
			set_red(grand);
			rotate_left(root, grand, aug);
		}
		break;
	}
	set_black(root->node);
}

/* The subtree at `node` (perhaps empty) below `parent` lacks one black node: mend I3. */
static void erase_rebalance(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
			    rb_augment_fn aug)
{
	while (parent && !is_red(node)) {
		bool left = parent->left == node;
		struct rb_node *sib = left ? parent->right : parent->left;
		struct rb_node *near, *far;

		if (is_red(sib)) {
			set_black(sib);
			set_red(parent);
			if (left)
				rotate_left(root, parent, aug);
			else
				rotate_right(root, parent, aug);
			sib = left ? parent->right : parent->left;
		}
		near = left ? sib->left : sib->right;
		far = left ? sib->right : sib->left;
		if (!is_red(near) && !is_red(far)) {
			set_red(sib);
			node = parent;
			parent = rb_parent(node);
			continue;
		}
		if (!is_red(far)) {
			set_black(near);
			set_red(sib);
			if (left)
				rotate_right(root, sib, aug);
			else
				rotate_left(root, sib, aug);
			far = sib;
			sib = near;
		}
		copy_color(sib, parent);
		set_black(parent);
		set_black(far);
		if (left)
			rotate_left(root, parent, aug);
		else
			rotate_right(root, parent, aug);
		return;
	}
	if (node)
		set_black(node);
}

void rb_erase(struct rb_root *root, struct rb_node *node, rb_augment_fn aug)
{
	struct rb_node *child, *parent;
	bool lost_black;

	if (node->left && node->right) {
		/* The successor has no left child; it takes node's place and colour. */
		struct rb_node *succ = node->right;

		while (succ->left)
			succ = succ->left;
		child = succ->right;
		parent = rb_parent(succ);
		lost_black = !is_red(succ);
		if (parent == node) {
			parent = succ;
		} else {
			parent->left = child;
			if (child)
				set_parent(child, parent);
			succ->right = node->right;
			set_parent(succ->right, succ);
		}
		succ->left = node->left;
		set_parent(succ->left, succ);
		replace_child(root, node, succ);
		succ->parent_color = node->parent_color;
	} else {
		child = node->left ? node->left : node->right;
		parent = rb_parent(node);
		lost_black = !is_red(node);
		replace_child(root, node, child);
		if (child)
			set_parent(child, parent);
	}
	rb_augment_path(parent, aug);
	if (lost_black)
		erase_rebalance(root, child, parent, aug);
}

struct rb_node *rb_first(const struct rb_root *root)
{
	struct rb_node *n = root->node;

	while (n && n->left)
		n = n->left;
	return n;
}

struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *n = root->node;

	while (n && n->right)
		n = n->right;
	return n;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	struct rb_node *parent;

	if (node->right) {
		node = node->right;
		while (node->left)
			node = node->left;
		return (struct rb_node *)node;
	}
	while ((parent = rb_parent(node)) && node == parent->right)
		node = parent;
	return parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	struct rb_node *parent;

	if (node->left) {
		node = node->left;
		while (node->right)
			node = node->right;
		return (struct rb_node *)node;
	}
	while ((parent = rb_parent(node)) && node == parent->left)
		node = parent;
	return parent;
}
