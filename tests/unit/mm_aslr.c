/*
 * Where the parts of an address space begin. Without randomness the places are fixed by rule; with it they
 * lie within their ranges and never overlap.
 */
#include "mm/virt/aslr.h"
#include "mm/virt/vma.h"
#include "unit.h"

static u64 state = 1;

static u64 next_random(void)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return state ^ state >> 31;
}

static void by_rule(void)
{
	const u64 random[NR_LAYOUT_RANDOM] = {~0ull, ~0ull, ~0ull, ~0ull, ~0ull};
	struct mm_layout l;

	mm_pick_layout(&l, 8ull << 20, 0, random);
	CU_ASSERT_EQUAL(l.stack_top, DEFAULT_MAP_WINDOW & PAGE_MASK);
	CU_ASSERT_EQUAL(l.stack_skew, 0);
	CU_ASSERT_EQUAL(l.brk_gap, 0);
	CU_ASSERT_EQUAL(l.pie_base, 0x555555554000ul);
	CU_ASSERT_EQUAL(l.mmap_base, DEFAULT_MAP_WINDOW - (128ul << 20) - STACK_GUARD_GAP);
	/* A larger stack gets more room, one without limit not everything. */
	mm_pick_layout(&l, 1ull << 30, 0, random);
	CU_ASSERT_EQUAL(l.mmap_base, DEFAULT_MAP_WINDOW - (1ul << 30) - STACK_GUARD_GAP);
	mm_pick_layout(&l, ~0ull, 0, random);
	CU_ASSERT(l.mmap_base >= DEFAULT_MAP_WINDOW / 6 - 2 * PAGE_SIZE);
	CU_ASSERT(l.mmap_base < DEFAULT_MAP_WINDOW / 5);
}

static void within_ranges(void)
{
	const u64 limits[] = {0, 8ull << 20, 1ull << 30, 1ull << 46, ~0ull};
	unsigned long lowest_stack = DEFAULT_MAP_WINDOW, lowest_base = DEFAULT_MAP_WINDOW,
		      highest_pie = 0;
	unsigned long highest_gap = 0;

	for (unsigned int i = 0; i < 20000; i++) {
		u64 limit = limits[i % 5], random[NR_LAYOUT_RANDOM];
		struct mm_layout l;

		for (unsigned int k = 0; k < NR_LAYOUT_RANDOM; k++)
			random[k] = next_random();
		mm_pick_layout(&l, limit, 2, random);
		CU_ASSERT_FATAL(
			!((l.stack_top | l.mmap_base | l.pie_base | l.brk_gap) & ~PAGE_MASK));
		CU_ASSERT_FATAL(!(l.stack_skew & 15) && l.stack_skew < 8192);
		CU_ASSERT_FATAL(l.stack_top <= DEFAULT_MAP_WINDOW && l.pie_base < l.stack_top);
		CU_ASSERT_FATAL(l.stack_top >= DEFAULT_MAP_WINDOW - (16ul << 30) - PAGE_SIZE);
		/* The stack can grow to its limit, up to the most that is kept for it. */
		if (limit <= 1ull << 30)
			CU_ASSERT_FATAL(l.stack_top - l.mmap_base >= limit + STACK_GUARD_GAP);
		CU_ASSERT_FATAL(l.mmap_base >= MMAP_MIN_ADDR);
		CU_ASSERT_FATAL(l.brk_gap < 32ul << 20);
		lowest_stack = min(lowest_stack, l.stack_top);
		lowest_base = min(lowest_base, l.mmap_base);
		highest_pie = max(highest_pie, l.pie_base);
		highest_gap = max(highest_gap, l.brk_gap);
	}
	/* The ranges are used: within a hundredth of their ends. */
	CU_ASSERT(lowest_stack < DEFAULT_MAP_WINDOW - (16ul << 30) / 100 * 99);
	CU_ASSERT(highest_pie > 0x555555554000ul + (1ul << 40) / 100 * 99);
	CU_ASSERT(highest_gap > (32ul << 20) / 100 * 99);
}

static void the_heap_has_its_own_switch(void)
{
	const u64 random[NR_LAYOUT_RANDOM] = {123456, 7890, 654321, 777, 4242};
	struct mm_layout all, most;

	mm_pick_layout(&all, 8ull << 20, 2, random);
	mm_pick_layout(&most, 8ull << 20, 1, random);
	CU_ASSERT(all.brk_gap != 0);
	CU_ASSERT_EQUAL(most.brk_gap, 0);
	CU_ASSERT_EQUAL(all.mmap_base, most.mmap_base);
	CU_ASSERT_EQUAL(all.stack_top, most.stack_top);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"without randomness: constants, room for the stack by its limit", by_rule},
		{"with it: aligned, within the ranges, the ranges are used", within_ranges},
		{"the heap has its own switch", the_heap_has_its_own_switch},
	};

	return unit_run("aslr", cases, sizeof(cases) / sizeof(cases[0]));
}
