/*
 * The page allocator on two CPUs (tests/host/race.h): a block is taken, cut or freed while the other CPU takes or
 * frees its buddy. Every pair is tried at every point of the first, for each order. Afterwards both blocks can be
 * filled, each has kept what its owner wrote, and every frame is in one state.
 */
#include "check.h"
#include "mm/move/compaction.h"
#include "mm_user.h"
#include "race.h"
#include "unit.h"

#define BLOCKS 16

static unsigned int order;
static struct page *held[BLOCKS];  /* blocks of `order` */
static struct page *left, *right;  /* two buddies */
static struct page *taken, *other; /* what the first and the second have allocated */
static u64 nr_races, nr_same;

static void fill(struct page *page, u8 with)
{
	memset(host_page(page), with, PAGE_SIZE << order);
}

static bool holds(struct page *page, u8 with)
{
	const u8 *p = host_page(page);

	for (u64 i = 0; i < PAGE_SIZE << order; i++)
		if (p[i] != with)
			return false;
	return true;
}

/* ---- operations ------------------------------------------------------------------------------ */

static void take(void *arg)
{
	taken = alloc_pages(GFP_KERNEL, order);
	if (taken)
		fill(taken, 1);
}

static void take_and_split(void *arg)
{
	taken = alloc_pages(GFP_KERNEL, order);
	if (taken) {
		split_page(taken, order);
		fill(taken, 1);
	}
}

static void take_compound(void *arg)
{
	taken = alloc_pages(GFP_KERNEL | __GFP_COMP, order);
	if (taken)
		fill(taken, 1);
}

static void take_other(void *arg)
{
	other = alloc_pages(GFP_KERNEL, order);
	if (other)
		fill(other, 2);
}

static void free_right(void *arg)
{
	__free_pages(right, order);
	right = NULL;
	drain_local_pages();
}

static void free_left(void *arg)
{
	__free_pages(left, order);
	left = NULL;
	drain_local_pages();
}

static void compact(void *arg)
{
	compact_memory();
}

/* ---- the races ------------------------------------------------------------------------------- */

/* Two buddies in use, among blocks of the same order that stay. */
static void set_up(void)
{
	unsigned int n = 0;

	left = right = taken = other = NULL;
	while (!left && n < BLOCKS) {
		held[n] = alloc_pages(GFP_KERNEL, order);
		MUST(held[n], "a block of order %u", order);
		for (unsigned int i = 0; i < n; i++) {
			if ((page_to_pfn(held[i]) ^ page_to_pfn(held[n])) != 1ul << order)
				continue;
			left = held[i];
			right = held[n];
			held[i] = held[n] = NULL;
			break;
		}
		n++;
	}
	MUST(left, "two buddies of order %u", order);
	fill(right, 2);
}

static void free_block_or_pages(struct page *page)
{
	if (!page)
		return;
	if (page->order == order)
		__free_pages(page, order);
	else
		for (unsigned int i = 0; i < 1u << order; i++)
			__free_page(page + i);
}

static void check_and_tear_down(const char *a, const char *b)
{
	MUST(!check_pages(), "%s beside %s, order %u: the frames' states are wrong", a, b, order);
	MUST(!taken || holds(taken, 1), "%s beside %s, order %u: a block has two owners", a, b,
	     order);
	MUST(!other || holds(other, 2), "%s beside %s, order %u: the other's block has two owners",
	     a, b, order);
	free_block_or_pages(taken);
	free_block_or_pages(other);
	free_block_or_pages(left);
	free_block_or_pages(right);
	for (unsigned int i = 0; i < BLOCKS; i++) {
		free_block_or_pages(held[i]);
		held[i] = NULL;
	}
	drain_all_pages();
}

/* The first takes `left` or the like, which is free, or frees it. */
static void race_all_points(const struct host_racer *a, const struct host_racer *b,
			    bool left_is_free)
{
	bool met = true;

	for (unsigned int when = 1; met; when++) {
		struct page *was_left;

		set_up();
		was_left = left;
		if (left_is_free) {
			free_left(NULL);
			drain_all_pages();
		}
		met = host_race(a, b, when, RACE_EAGER);
		nr_races++;
		nr_same += taken == was_left;
		check_and_tear_down(a->name, b->name);
	}
}

static void all_orders(const struct host_racer *a, unsigned int nr_a, const struct host_racer *b,
		       unsigned int nr_b, bool left_is_free)
{
	nr_same = 0;
	for (order = 0; order < MAX_ORDER; order++)
		for (unsigned int i = 0; i < nr_a; i++)
			for (unsigned int j = 0; j < nr_b; j++)
				race_all_points(&a[i], &b[j], left_is_free);
}

static void take_beside(void)
{
	static const struct host_racer a[] = {{"take", take, NULL},
					      {"take and split", take_and_split, NULL},
					      {"take a compound page", take_compound, NULL}},
				       b[] = {{"free its buddy", free_right, NULL},
					      {"take", take_other, NULL},
					      {"compact", compact, NULL}};

	all_orders(a, ARRAY_SIZE(a), b, ARRAY_SIZE(b), true);
	/* The block that was taken is the one whose buddy was freed. */
	CU_ASSERT(nr_same > MAX_ORDER);
}

static void free_beside(void)
{
	static const struct host_racer a[] = {{"free", free_left, NULL}},
				       b[] = {{"free its buddy", free_right, NULL},
					      {"take", take_other, NULL},
					      {"compact", compact, NULL}};

	all_orders(a, ARRAY_SIZE(a), b, ARRAY_SIZE(b), false);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"a block is taken while its buddy is freed or taken", take_beside},
		{"a block is freed while its buddy is freed or taken", free_beside},
	};
	unsigned long at;
	int status;

	host_race_init();
	host_boot_default("");
	mm_init();
	user_mm_with(300, &at); /* something that compaction can move */
	status = unit_run("race_phys", cases, ARRAY_SIZE(cases));
	printf("%lu races\n", (unsigned long)nr_races);
	return status;
}
