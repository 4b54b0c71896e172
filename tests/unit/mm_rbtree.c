/*
 * The red-black tree against a sorted array: 200,000 random inserts and erases, with the colour
 * rules, the order and an augmented sum checked often.
 */
#include "unit.h"
#include <stdlib.h>
#include <stdio.h>
#include "lib/rbtree.h"

#define KEYS 512

struct item {
	struct rb_node rb;
	unsigned int key;
	unsigned long sum; /* augmented: keys of the subtree */
	bool in;
};
static struct item items[KEYS];
static struct rb_root root;

static unsigned long sum_of(const struct rb_node *n)
{
	return n ? rb_entry(n, struct item, rb)->sum : 0;
}
static void augment(struct rb_node *n)
{
	struct item *it = rb_entry(n, struct item, rb);

	it->sum = it->key + sum_of(n->left) + sum_of(n->right);
}

static void insert(struct item *it)
{
	struct rb_node **link = &root.node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = it->key < rb_entry(parent, struct item, rb)->key ? &parent->left
									: &parent->right;
	}
	rb_insert(&root, &it->rb, parent, link, augment);
	it->in = true;
}

/* Returns the black height, or -1 when a rule is broken. */
static int check(const struct rb_node *n, const struct rb_node *parent)
{
	int l, r;
	bool black;

	if (!n)
		return 0;
	black = n->parent_color & 1;
	if (rb_parent(n) != parent)
		return -1;
	if (!black && (!parent || !(parent->parent_color & 1)))
		return -1;
	if (sum_of(n) != rb_entry(n, struct item, rb)->key + sum_of(n->left) + sum_of(n->right))
		return -1;
	l = check(n->left, n);
	r = check(n->right, n);
	return l < 0 || l != r ? -1 : l + black;
}

static void check_order(void)
{
	struct rb_node *n = rb_first(&root), *last = NULL;
	unsigned int k;

	for (k = 0; k < KEYS; k++) {
		if (!items[k].in)
			continue;
		if (n != &items[k].rb) {
			CU_FAIL("rb_next skips or invents a node");
			return;
		}
		if (last && rb_prev(n) != last)
			CU_FAIL("rb_prev is not the inverse of rb_next");
		last = n;
		n = rb_next(n);
	}
	CU_ASSERT_PTR_NULL(n);
	CU_ASSERT_PTR_EQUAL(rb_last(&root), last);
}

static void random_ops(void)
{
	unsigned int seed = 20261121, i, bad = 0;

	printf("seed %u ", seed);
	srandom(seed);
	for (i = 0; i < KEYS; i++)
		items[i].key = i;
	for (i = 0; i < 200000; i++) {
		/* Long phases of growth and of shrinking visit both ends: empty and full. */
		struct item *it = &items[random() % KEYS];
		bool grow = i / 3000 % 2 == 0;

		if (it->in && (!grow || random() % 4 == 0)) {
			rb_erase(&root, &it->rb, augment);
			it->in = false;
		} else if (!it->in && (grow || random() % 4 == 0)) {
			insert(it);
		}
		if (i % 16 == 0 && check(root.node, NULL) < 0)
			bad++;
		if (i % 1024 == 0)
			check_order();
	}
	CU_ASSERT_EQUAL(bad, 0);
	for (i = 0; i < KEYS; i++)
		if (items[i].in)
			rb_erase(&root, &items[i].rb, augment);
	CU_ASSERT_PTR_NULL(root.node);
}

static void augmented_path(void)
{
	struct item it[3] = {{.key = 1}, {.key = 2}, {.key = 3}};
	int i;

	root.node = NULL;
	for (i = 0; i < 3; i++)
		insert(&it[i]);
	CU_ASSERT_EQUAL(sum_of(root.node), 6);
	it[0].key = 0;
	rb_augment_path(&it[0].rb, augment);
	CU_ASSERT_EQUAL(sum_of(root.node), 5);
	root.node = NULL;
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"random inserts and erases keep order, colours and sums", random_ops},
		{"a changed node updates the way to the root", augmented_path},
	};
	return unit_run("rbtree", cases, sizeof(cases) / sizeof(cases[0]));
}
