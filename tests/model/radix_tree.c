/*
 * The radix tree against a sorted array: random inserts, replacements, deletes, tags and searches
 * over indices that are dense, sparse and at the very end of what an unsigned long can say. Every
 * answer is compared; now and then the whole tree is walked, with each tag and hole.
 *
 *   radix_tree [SEED [OPERATIONS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include "host.h"
#include "lib/errno.h"
#include "mm/cache/radix_tree.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/phys/gfp.h"

#define MAX_ITEMS 3000
static struct entry {
	unsigned long index;
	void *item;
	u32 tags;
} model[MAX_ITEMS];
static unsigned int nr;
static unsigned long op;
static struct radix_tree tree = RADIX_TREE_INIT;

#define REQUIRE(cond, ...)                                              \
	do {                                                            \
		if (!(cond)) {                                          \
			fprintf(stderr, "operation %lu: " __VA_ARGS__); \
			fputc('\n', stderr);                            \
			exit(1);                                        \
		}                                                       \
	} while (0)

/* Place of the first entry at or after index. */
static unsigned int place(unsigned long index)
{
	unsigned int lo = 0, hi = nr;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (model[mid].index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct entry *find(unsigned long index)
{
	unsigned int i = place(index);

	return i < nr && model[i].index == index ? &model[i] : NULL;
}

static unsigned long some_index(void)
{
	u64 r = get_random_u64();

	switch (r % 8) {
	case 0:
		return (r >> 8) % 4; /* the edge of height 0 */
	case 1:
		return 0ul - 1 - (r >> 8) % 130; /* the end of everything */
	case 2:
		return 1ul << (r >> 8) % 64; /* each height */
	case 3:
		return nr ? model[(r >> 8) % nr].index : 0; /* one that is there */
	case 4:
		return nr ? model[(r >> 8) % nr].index + (r >> 40) % 3 - 1 : 0;
	default:
		return (r >> 8) % 3000;
	}
}

static void *some_item(void)
{
	u64 r = get_random_u64();

	/* A page is a multiple of 64, never 0; a value has bit 0. */
	return r & 1 ? radix_make_value(r >> 2) : (void *)((r | 64) & ~63ul);
}

static void insert(unsigned long index)
{
	bool there = find(index);
	void *item = some_item();
	s64 nodes = radix_nr_nodes;
	int err = radix_insert(&tree, index, item, NULL);

	if (err == -ENOMEM) {
		struct radix_preload p;

		REQUIRE(!there && nodes == radix_nr_nodes, "a failed insertion left nodes", op);
		REQUIRE(!radix_lookup(&tree, index), "a failed insertion left the item", op);
		REQUIRE(!radix_preload(&p, &tree, index, GFP_KERNEL), "no memory for a preload",
			op);
		err = radix_insert(&tree, index, item, &p);
		radix_preload_end(&p);
	}
	REQUIRE(err == (there ? -EEXIST : 0), "insert %lx: %d", op, index, err);
	if (!there) {
		unsigned int i = place(index);

		memmove(&model[i + 1], &model[i], (nr - i) * sizeof(model[0]));
		model[i] = (struct entry){index, item, 0};
		nr++;
	}
}

static void delete (unsigned long index)
{
	struct entry *e = find(index);
	void *old = radix_delete(&tree, index);

	REQUIRE(old == (e ? e->item : NULL), "delete %lx: %p", op, index, old);
	if (e) {
		memmove(e, e + 1, (&model[nr] - (e + 1)) * sizeof(*e));
		nr--;
	}
}

static unsigned long model_hole(unsigned long from, unsigned long to)
{
	unsigned int i = place(from);

	for (; from < to; from++, i++)
		if (i == nr || model[i].index != from)
			return from;
	return to;
}

/* A run: the first items in order, at least one when there is one, never beyond a node. */
static void search_many(unsigned long index, unsigned long end, unsigned int max)
{
	unsigned int i = place(index), n;
	unsigned long at = index;
	void *items[RADIX_SLOTS];

	n = radix_next_many(&tree, &at, end, items, max);
	if (i == nr || model[i].index >= end) {
		REQUIRE(!n && at == end, "run from %lx: %u to %lx", op, index, n, at);
		return;
	}
	REQUIRE(n && n <= max && i + n <= nr, "run from %lx: %u of %u", op, index, n, max);
	for (unsigned int k = 0; k < n; k++)
		REQUIRE(items[k] == model[i + k].item && model[i + k].index < end, "run: %lx", op,
			model[i + k].index);
	REQUIRE(at == model[i + n - 1].index + 1, "run ends at %lx", op, at);
	/* it stops for a reason: full, the end, or another node */
	REQUIRE(n == max || i + n == nr || model[i + n].index >= end ||
			model[i + n].index / RADIX_SLOTS != model[i].index / RADIX_SLOTS,
		"run stops at %lx", op, at);
}

static void search(unsigned long index, int tag)
{
	unsigned int i = place(index);
	unsigned long at = index;
	void *item = tag < 0 ? radix_next(&tree, &at) : radix_next_tagged(&tree, &at, tag);

	while (tag >= 0 && i < nr && !(model[i].tags >> tag & 1))
		i++;
	if (i == nr)
		REQUIRE(!item, "next %lx tag %d: %p at %lx, expected none", op, index, tag, item,
			at);
	else
		REQUIRE(item == model[i].item && at == model[i].index,
			"next %lx tag %d: %p at %lx, expected %lx", op, index, tag, item, at,
			model[i].index);
}

static void check_all(void)
{
	u32 tags = 0;

	for (int tag = -1; tag < RADIX_NR_TAGS; tag++) {
		unsigned long at = 0;
		unsigned int i = 0;

		for (;;) {
			void *item = tag < 0 ? radix_next(&tree, &at)
					     : radix_next_tagged(&tree, &at, tag);

			while (tag >= 0 && i < nr && !(model[i].tags >> tag & 1))
				i++;
			REQUIRE((i == nr) == !item, "walk of tag %d ends at %u of %u", op, tag, i,
				nr);
			if (!item)
				break;
			REQUIRE(item == model[i].item && at == model[i].index, "walk: %lx", op, at);
			i++;
			if (!++at)
				break;
		}
	}
	for (unsigned int i = 0; i < nr; i++)
		tags |= model[i].tags;
	REQUIRE(tree.tags == tags, "tags of the tree are %x, expected %x", op, tree.tags, tags);
	REQUIRE(nr || (!tree.root && !tree.height), "an empty tree has nodes", op);
}

static void step(bool grow)
{
	unsigned long index = some_index();
	u64 r = get_random_u64();
	unsigned int tag = (r >> 8) % RADIX_NR_TAGS;
	struct entry *e;

	switch (r % 16) {
	case 0 ... 2:
		if (nr < MAX_ITEMS)
			insert(index);
		break;
	case 3 ... 5:
		if (grow && nr < MAX_ITEMS)
			insert(index);
		else
			delete (nr ? model[r >> 16 & 0xffff ? (r >> 16) % nr : 0].index : index);
		break;
	case 6:
		e = find(index);
		{
			void *item = some_item(), *old = radix_replace(&tree, index, item);

			REQUIRE(old == (e ? e->item : NULL), "replace %lx", op, index);
			if (e)
				e->item = item;
		}
		break;
	case 7 ... 8:
		radix_tag_set(&tree, index, tag);
		e = find(index);
		if (e)
			e->tags |= 1u << tag;
		break;
	case 9:
		radix_tag_clear(&tree, index, tag);
		e = find(index);
		if (e)
			e->tags &= ~(1u << tag);
		break;
	case 10:
		e = find(index);
		REQUIRE(radix_tag_get(&tree, index, tag) == (e && e->tags >> tag & 1),
			"tag %u of %lx", op, tag, index);
		break;
	case 11:
		search(index, -1);
		search_many(index, r >> 20 & 1 ? ~0ul : index + (r >> 24) % 200,
			    1 + r % RADIX_SLOTS);
		break;
	case 12:
		search(index, tag);
		break;
	case 13: {
		unsigned long to = index + (r >> 16) % 300;
		unsigned long hole;

		if (to < index)
			to = ~0ul;
		hole = radix_next_hole(&tree, index, to);
		REQUIRE(hole == model_hole(index, to), "hole in [%lx, %lx): %lx", op, index, to,
			hole);
		break;
	}
	default:
		e = find(index);
		REQUIRE(radix_lookup(&tree, index) == (e ? e->item : NULL), "lookup %lx", op,
			index);
	}
}

/* Memory that runs out in the middle of a preload gives back what it had. */
static void preload_failure(void)
{
	struct radix_preload p;
	s64 nodes = radix_nr_nodes;
	unsigned int failed = 0;

	for (unsigned int i = 0; i < 200; i++) {
		int err;

		alloc_fail_nth(1 + i % 30);
		err = radix_preload(&p, &tree, ~0ul, GFP_NOWAIT);
		alloc_fail_nth(0);
		failed += err == -ENOMEM;
		REQUIRE(err == -ENOMEM ? !p.nr && !p.free : p.nr >= RADIX_MAX_PATH, "preload %d",
			op, err);
		if (!err) { /* keep them: so the cache runs dry */
			struct radix_tree other = RADIX_TREE_INIT;

			REQUIRE(!radix_insert(&other, ~0ul - i, &other, &p), "insert", op);
			radix_preload_end(&p);
			REQUIRE(other.height == RADIX_MAX_PATH, "height", op);
			REQUIRE(radix_delete(&other, ~0ul - i) == &other && !other.root, "delete",
				op);
		}
	}
	REQUIRE(radix_nr_nodes == nodes, "nodes leaked", op);
	REQUIRE(failed && failed < 200, "%u of 200 preloads failed", op, failed);
	printf("preloads that failed: %u\n", failed);
}

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	unsigned long operations = argc > 2 ? strtoul(argv[2], NULL, 0) : 400000;

	host_boot_default("slab_debug=FZ,radix_tree_node");
	radix_tree_init();
	host_random = seed * 0x9e3779b97f4a7c15ull + 1;
	preload_failure();
	for (op = 0; op < operations; op++) {
		step(op / 20000 % 2 == 0);
		if (op % 5000 == 0)
			check_all();
	}
	check_all();
	while (nr)
		delete (model[get_random_u64() % nr].index);
	check_all();
	REQUIRE(!radix_nr_nodes, "%ld nodes are left", op, (long)radix_nr_nodes);
	printf("radix tree: %lu operations, seed %lu\n", operations, (unsigned long)seed);
	return 0;
}
