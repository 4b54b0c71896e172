/*
 * Exits by place: each is counted once, a guest that exits from everywhere fills the table and
 * nothing else.
 */
#include <CUnit/Basic.h>
#include <stdlib.h>
#include "../host/unit.h"
#include "machine/exit_sites.h"

struct sum {
	uint64_t entries, count, ticks;
};

static void add(unsigned int reason, uint64_t addr, uint64_t rip, uint64_t count, uint64_t ticks,
		void *arg)
{
	struct sum *s = arg;

	CU_ASSERT(count > 0);
	CU_ASSERT(reason < 8);
	s->entries++;
	s->count += count;
	s->ticks += ticks;
}

static void places_are_told_apart(void)
{
	struct exit_table *t = exit_table_new();
	struct sum s = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (unsigned int i = 0; i < 300; i++)
		exit_table_add(t, i % 3, 0xd0000000 + i % 5 * 4, 0xffffffff80000000ull + i % 2, 7);
	exit_table_each(t, add, &s);
	CU_ASSERT_EQUAL(s.entries, 30);
	CU_ASSERT_EQUAL(s.count, 300);
	CU_ASSERT_EQUAL(s.ticks, 2100);
	CU_ASSERT_EQUAL(exit_table_lost(t), 0);
	exit_table_free(t);
}

static void a_full_table_loses_and_says_so(void)
{
	struct exit_table *t = exit_table_new();
	struct sum s = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (uint64_t i = 0; i < 100000; i++)
		exit_table_add(t, 1, i, i * 4099, 1);
	exit_table_each(t, add, &s);
	CU_ASSERT(exit_table_lost(t) > 0);
	CU_ASSERT_EQUAL(s.count + exit_table_lost(t), 100000);
	/* What was there first is still counted. */
	exit_table_add(t, 1, 5, 5 * 4099, 1);
	s = (struct sum){0};
	exit_table_each(t, add, &s);
	CU_ASSERT_EQUAL(s.count + exit_table_lost(t), 100001);
	exit_table_free(t);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"reason, address and instruction tell places apart", places_are_told_apart},
		{"a full table loses exits, and counts them", a_full_table_loses_and_says_so},
	};

	return unit_run("exit sites", cases, sizeof(cases) / sizeof(cases[0]));
}
