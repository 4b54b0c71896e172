/*
 * The walker of guest page tables (vmm/machine/walk.h): four and five levels, each size of leaf,
 * both halves, and tables that are not there.
 */
#include "../host/unit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "machine/walk.h"

#define FRAMES 64u
#define P      GUEST_PTE_PRESENT
#define LARGE  GUEST_PTE_LARGE

static uint64_t memory[FRAMES][512];
static const struct guest_ram ram = {
	.region = {{.gpa = 0, .size = sizeof(memory), .hva = (uint8_t *)memory}}, .nr = 1};
static unsigned int next;

/** Make `entry` that of `addr` in a table of `level`, with tables above as needed. */
static void map(const struct guest_tables *t, uint64_t addr, unsigned int level, uint64_t entry)
{
	uint64_t at = t->root / 4096;

	for (unsigned int l = t->levels - 1; l > level; l--) {
		uint64_t *e = &memory[at][addr / guest_level_size(l) % 512];

		if (!*e)
			*e = (uint64_t)next++ << 12 | P;
		at = *e >> 12 & 0xff;
	}
	memory[at][addr / guest_level_size(level) % 512] = entry;
}

static struct guest_tables begin(unsigned int levels)
{
	memset(memory, 0, sizeof(memory));
	next = 2;
	return (struct guest_tables){.ram = &ram, .root = 4096, .levels = levels};
}

static void test_find(void)
{
	for (unsigned int levels = 4; levels <= 5; levels++) {
		struct guest_tables t = begin(levels);
		uint64_t low = 3 * guest_level_size(levels - 1) + 0x7654321000;
		uint64_t high = GUEST_TOP_HALF(levels) + 5 * guest_level_size(levels - 1);
		struct guest_leaf leaf;

		map(&t, low, 0, 0x1234567000 | P);
		map(&t, high, 1, 0x40200000 | P | LARGE);
		map(&t, high + (1ull << 30), 2, 0xc0000000 | P | LARGE);
		map(&t, high + (2ull << 30), 0, 0x5000);
		CU_ASSERT_EQUAL_FATAL(guest_tables_find(&t, low + 0x123, &leaf), 0);
		CU_ASSERT_EQUAL(leaf.level, 0);
		CU_ASSERT_EQUAL(leaf.gpa, 0x1234567123);
		CU_ASSERT_EQUAL_FATAL(guest_tables_find(&t, high + 0x12345, &leaf), 0);
		CU_ASSERT_EQUAL(leaf.level, 1);
		CU_ASSERT_EQUAL(leaf.gpa, 0x40212345);
		CU_ASSERT_EQUAL(leaf.entry, 0x40200000 | P | LARGE);
		CU_ASSERT_EQUAL_FATAL(guest_tables_find(&t, high + (1ull << 30) + 0x2345678, &leaf),
				      0);
		CU_ASSERT_EQUAL(leaf.level, 2);
		CU_ASSERT_EQUAL(leaf.gpa, 0xc2345678);
		CU_ASSERT_EQUAL(guest_tables_find(&t, high + (2ull << 30), &leaf), -EFAULT);
		CU_ASSERT_EQUAL(guest_tables_find(&t, low + 4096, &leaf), -EFAULT);
		/* Not canonical: one beyond the lower half. */
		CU_ASSERT_EQUAL(guest_tables_find(&t, -GUEST_TOP_HALF(levels), &leaf), -EFAULT);
		/* A table that is not RAM */
		map(&t, low, 1, 0x9999999000 | P);
		CU_ASSERT_EQUAL(guest_tables_find(&t, low, &leaf), -EFAULT);
		/* The size bit means nothing in the upper levels. */
		memory[1][low / guest_level_size(levels - 1) % 512] |= LARGE;
		map(&t, low, 1, 0x600000 | P | LARGE);
		CU_ASSERT_EQUAL_FATAL(guest_tables_find(&t, low, &leaf), 0);
		CU_ASSERT_EQUAL(leaf.level, 1);
	}
}

struct seen {
	unsigned int tables, entries, leave_level;
	uint64_t addr[8], entry[8];
	unsigned int level[8];
	int end;
};

static int on_table(void *arg, uint64_t addr, unsigned int level, uint64_t gpa)
{
	struct seen *s = arg;

	s->tables++;
	if (s->end)
		return s->end;
	return level != s->leave_level;
}

static void on_entry(void *arg, uint64_t addr, unsigned int level, uint64_t entry)
{
	struct seen *s = arg;

	if (s->entries < 8) {
		s->addr[s->entries] = addr;
		s->entry[s->entries] = entry;
		s->level[s->entries] = level;
	}
	s->entries++;
}

static void test_walk(void)
{
	static const struct guest_walk_ops ops = {.table = on_table, .entry = on_entry};

	for (unsigned int levels = 4; levels <= 5; levels++) {
		struct guest_tables t = begin(levels);
		uint64_t top = GUEST_TOP_HALF(levels);
		struct seen s = {.leave_level = 99};

		map(&t, 0x1000, 0, 0x7000 | P);
		map(&t, 0x2000, 0, 0x30);
		map(&t, 1ull << 30, 2, P | LARGE);
		map(&t, top, 1, 0x200000 | P | LARGE);
		CU_ASSERT_EQUAL(guest_tables_walk(&t, 0, 511, &ops, &s), 0);
		CU_ASSERT_EQUAL(s.entries, 4);
		CU_ASSERT_EQUAL(s.tables, (levels - 1) + (levels - 2));
		CU_ASSERT_EQUAL(s.addr[0], 0x1000);
		CU_ASSERT_EQUAL(s.addr[1], 0x2000);
		CU_ASSERT_EQUAL(s.entry[1], 0x30);
		CU_ASSERT_EQUAL(s.addr[2], 1ull << 30);
		CU_ASSERT_EQUAL(s.level[2], 2);
		CU_ASSERT_EQUAL(s.addr[3], top);
		CU_ASSERT_EQUAL(s.level[3], 1);
		/* One half */
		s = (struct seen){.leave_level = 99};
		CU_ASSERT_EQUAL(guest_tables_walk(&t, 256, 511, &ops, &s), 0);
		CU_ASSERT_EQUAL(s.entries, 1);
		CU_ASSERT_EQUAL(s.addr[0], top);
		/* Without the PTE tables */
		s = (struct seen){.leave_level = 0};
		CU_ASSERT_EQUAL(guest_tables_walk(&t, 0, 511, &ops, &s), 0);
		CU_ASSERT_EQUAL(s.entries, 2);
		/* Ended */
		s = (struct seen){.end = -EINTR};
		CU_ASSERT_EQUAL(guest_tables_walk(&t, 0, 511, &ops, &s), -EINTR);
		CU_ASSERT_EQUAL(s.tables, 1);
	}
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"an address is found", test_find},
		{"all of it is walked", test_walk},
	};

	return unit_run("walk", cases, sizeof(cases) / sizeof(cases[0]));
}
