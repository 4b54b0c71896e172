/*
 * Guests that lie about sizes. Whatever they say, the audit takes a number of steps that is linear
 * in RAM, and gives up as soon as the machine wants to end; the page-state reader stays within its
 * arrays.
 */
#include "audit_plant.h"
#include "observe/page_state.h"

#define MAX_STEPS (64 * (LOW_FRAMES + HIGH_FRAMES) + 65536)

/** A free frame of the image, for structures of our own: its direct-map address. */
static uint64_t spare(unsigned int n)
{
	return DIRECT + ((LOW_FRAMES - 64 + n) << 12);
}

static void *spare_ptr(unsigned int n)
{
	return frame_ptr(LOW_FRAMES - 64 + n);
}

/** Eleven nodes, each named by all slots of the one above: 64^11 ways. */
static uint64_t wide_tree(void)
{
	for (unsigned int level = 0; level < 11; level++) {
		struct tree_node *n = spare_ptr(level);

		n->shift = level * 6;
		for (unsigned int i = 0; i < 64; i++)
			n->slots[i] = level ? spare(level - 1) : 5;
	}
	return spare(10);
}

static void d_wide_tree(void)
{
	im.g->file_map.root = wide_tree();
	im.g->file_map.height = 11;
}

/** Every frame is a file page of a mapping of its own, and all mappings have one large tree. */
static void d_many_mappings(void)
{
	struct mapping *all = spare_ptr(20);

	wide_tree();
	for (unsigned int i = 0; i < 40 * 4096 / sizeof(*all); i++) {
		all[i] = (struct mapping){.root = spare(2), .height = 3};
		page(FIRST_FREE + 256 + i)->type = PAGE_FILE;
		page(FIRST_FREE + 256 + i)->order = 0;
		page(FIRST_FREE + 256 + i)->mapping = spare(20) + i * sizeof(*all);
	}
}

/** The kernel's tables of RESERVED frames name each other. */
static void d_table_maze(void)
{
	uint64_t *pgd = (uint64_t *)frame_ptr(im.cr3 >> 12);

	for (unsigned int t = 40; t < 43; t++) {
		uint64_t *table = (uint64_t *)frame_ptr(t);

		for (unsigned int i = 0; i < 512; i++)
			table[i] = (uint64_t)(t + 1) << 12 | P | RW;
	}
	pgd[300] = 40ull << 12 | P | RW;
	for (unsigned int i = 301; i < 400; i++)
		pgd[i] = 40ull << 12 | P | RW;
}

/** More slots than RAM has bytes. */
static void d_swap_size(void)
{
	im.g->root.swap[0].nr_slots = 1ull << 28;
}

/** A map of fewer slots than RAM has bytes, all of whose pages are one frame. */
static void d_swap_alias(void)
{
	uint64_t gva = VMALLOC + (1ull << 30);

	for (unsigned int i = 0; i < 512; i++)
		*entry_of(im.cr3, gva + i * 4096ull, 0, true) = (uint64_t)im.vmalloc << 12 | P | RW;
	im.g->root.swap[0].map_gva = gva;
	im.g->root.swap[0].nr_slots = 512 * 4096;
}

static void d_swap_wraps(void)
{
	im.g->root.swap[0].map_gva = ~0ull - 10;
}

static void d_swap_free_frames(void)
{
	im.g->root.swap[0].map_gva = DIRECT + (HIGH_BLOCK << 12);
}

static void d_levels(void)
{
	im.g->root.paging_levels = 5;
}

static void d_far_range(void)
{
	im.g->root.range[1].start_pfn = (1ull << 58) - 256;
	im.g->root.range[1].end_pfn = 1ull << 58;
}

static const struct damage damages[] = {
	PLANT(d_wide_tree, AUDIT_BUDGET),
	PLANT(d_many_mappings, AUDIT_BUDGET),
	PLANT(d_table_maze, AUDIT_BUDGET),
	PLANT(d_swap_size, AUDIT_ROOT),
	PLANT(d_swap_alias, AUDIT_SWAP_MAP),
	PLANT(d_swap_wraps, AUDIT_ROOT),
	PLANT(d_swap_free_frames, AUDIT_SWAP_MAP),
	PLANT(d_levels, AUDIT_ROOT),
	PLANT(d_far_range, AUDIT_ROOT),
};
#define NR_DAMAGES (sizeof(damages) / sizeof(damages[0]))

static void test_sizes(void)
{
	plant_all(damages, NR_DAMAGES);
	for (size_t i = 0; i < NR_DAMAGES; i++) {
		build();
		damages[i].do_it();
		run();
		CU_ASSERT_TRUE(im.r.steps <= MAX_STEPS);
	}
}

/** A whole image needs a small part of the budget. */
static void test_whole_image_is_cheap(void)
{
	build();
	CU_ASSERT_EQUAL(run(), 0);
	CU_ASSERT_TRUE(im.r.steps > 0);
	CU_ASSERT_TRUE(im.r.steps < MAX_STEPS / 32);
}

static uint64_t steps_left, asked;

/** Asked once for each step, whatever it costs. */
static bool out_of_time(void *arg)
{
	asked++;
	return steps_left-- == 0;
}

/** The machine wants to end at the n-th step: the audit makes no further one. */
static void test_late(void)
{
	struct audit_source src = {.ram = &im.ram,
				   .cr3 = im.cr3,
				   .root_gva = GVA(root),
				   .shared = &im.shared,
				   .late = out_of_time};
	uint64_t all;

	build();
	src.cr3 = im.cr3;
	src.root_gva = GVA(root);
	steps_left = UINT64_MAX;
	asked = 0;
	CU_ASSERT_EQUAL(audit_memory(&src, &im.r), 0);
	all = asked;
	CU_ASSERT_TRUE(all > 20 && im.r.steps >= all);
	for (uint64_t n = 0; n < all; n++) {
		steps_left = n;
		CU_ASSERT_EQUAL(audit_memory(&src, &im.r), -ECANCELED);
		CU_ASSERT_TRUE(im.r.steps >= n);
		CU_ASSERT_EQUAL(steps_left, UINT64_MAX);
	}
	steps_left = all;
	CU_ASSERT_EQUAL(audit_memory(&src, &im.r), 0);
}

static int open_states(struct page_state **states)
{
	*states = NULL;
	return page_state_open_at(&im.ram, MMVM_KERNEL_VIRT + (im.g_gva - DIRECT), states);
}

static void test_page_states(void)
{
	struct page_state *states;
	unsigned int zone;

	build();
	CU_ASSERT_EQUAL_FATAL(open_states(&states), 0);
	CU_ASSERT_EQUAL(page_state_get(states, (uint64_t)im.slab << 12, &zone), PAGE_SLAB);
	CU_ASSERT_EQUAL(zone, 0);
	CU_ASSERT_EQUAL(page_state_get(states, (uint64_t)(im.stack + 3) << 12, &zone), PAGE_STACK);
	CU_ASSERT_EQUAL(page_state_get(states, HIGH_BLOCK << 12, &zone), PAGE_BUDDY);
	CU_ASSERT_EQUAL(zone, 1);
	CU_ASSERT_EQUAL(page_state_get(states, LOW_FRAMES << 12, &zone), PAGE_INVALID);
	page_state_close(states);
}

/** A page array whose addresses wrap, or that begins in the middle of a struct. */
static void test_page_states_wrap(void)
{
	const uint64_t wrong[] = {~0ull - 63, 0ull - LOW_FRAMES * 64, VMEMMAP + 8,
				  0ull - (HIGH_PFN + HIGH_FRAMES - 1) * 64};
	struct page_state *states;

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		build();
		im.g->root.vmemmap_gva = wrong[i];
		CU_ASSERT_EQUAL(open_states(&states), -EPROTO);
		page_state_close(states);
	}
	build();
	im.g->root.range[1].start_pfn = UINT64_MAX - 10;
	im.g->root.range[1].end_pfn = UINT64_MAX;
	CU_ASSERT_EQUAL(open_states(&states), -EPROTO);
	build();
	im.g->root.paging_levels = 6;
	CU_ASSERT_EQUAL(open_states(&states), -EPROTO);
}

/** Random numbers in the root and in the page array: what is read lies in RAM. */
static void test_page_states_random(void)
{
	struct page_state *states;
	unsigned int zone, opened = 0;

	srand(7);
	for (unsigned int round = 0; round < 400; round++) {
		uint64_t *words = (uint64_t *)&im.g->root;

		if (round % 8 == 0)
			build();
		words[3 + rand() % 40] ^= 1ull << rand() % 64;
		for (unsigned int i = 0; i < 8; i++)
			((uint8_t *)page((uint64_t)rand() % LOW_FRAMES))[rand() % 64] =
				(uint8_t)rand();
		if (open_states(&states))
			continue;
		opened++;
		for (uint64_t pfn = 0; pfn < LOW_FRAMES; pfn += 1 + (uint64_t)rand() % 5)
			CU_ASSERT_TRUE(page_state_get(states, pfn << 12, &zone) < NR_PAGE_TYPES);
		for (unsigned int i = 0; i < 200; i++)
			page_state_get(states, (HIGH_PFN + (uint64_t)rand() % 300) << 12, &zone);
		page_state_close(states);
	}
	CU_ASSERT_TRUE(opened > 40);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"made-up sizes", test_sizes},
		{"a whole image is cheap", test_whole_image_is_cheap},
		{"the audit ends when the machine does", test_late},
		{"page states", test_page_states},
		{"page states: addresses that wrap", test_page_states_wrap},
		{"page states: random numbers", test_page_states_random},
	};

	return plant_run("audit: hostile guests", cases, sizeof(cases) / sizeof(cases[0]));
}
