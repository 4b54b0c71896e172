/*
 * The walker that counts memory references: sums known from the figures of the architecture manuals, and
 * walks that end where they should, for every kind and many addresses.
 */
#include "bench/walk2d.h"

#include "../host/unit.h"
#include <errno.h>

static const enum walk2d_size sizes[] = {WALK2D_4K, WALK2D_2M};

static unsigned int nested(enum walk2d_size guest, enum walk2d_size host)
{
	struct walk2d_refs r;

	CU_ASSERT_EQUAL_FATAL(walk2d_nested(guest, host, 0x7f1234567890ull, &r), 0);
	return r.guest + r.nested;
}

static unsigned int shadow(enum walk2d_size guest, enum walk2d_size host)
{
	struct walk2d_refs r;

	CU_ASSERT_EQUAL_FATAL(walk2d_shadow(guest, host, 0x7f1234567890ull, &r), 0);
	CU_ASSERT_EQUAL(r.nested, 0);
	return r.guest;
}

static void test_nested(void)
{
	CU_ASSERT_EQUAL(nested(WALK2D_4K, WALK2D_4K), 24);
	CU_ASSERT_EQUAL(nested(WALK2D_4K, WALK2D_2M), 19);
	CU_ASSERT_EQUAL(nested(WALK2D_2M, WALK2D_4K), 19);
	CU_ASSERT_EQUAL(nested(WALK2D_2M, WALK2D_2M), 15);
}

static void test_shadow(void)
{
	CU_ASSERT_EQUAL(shadow(WALK2D_4K, WALK2D_4K), 4);
	CU_ASSERT_EQUAL(shadow(WALK2D_4K, WALK2D_2M), 4);
	CU_ASSERT_EQUAL(shadow(WALK2D_2M, WALK2D_4K), 4);
	CU_ASSERT_EQUAL(shadow(WALK2D_2M, WALK2D_2M), 3);
}

static void test_ends(void)
{
	uint64_t gva = 0x1008;

	for (int i = 0; i < 40; i++, gva = (gva * 6364136223846793005ull + 1) % (1ull << 47)) {
		for (int g = 0; g < 2; g++) {
			for (int h = 0; h < 2; h++) {
				struct walk2d_refs n, s;

				CU_ASSERT_EQUAL(walk2d_nested(sizes[g], sizes[h], gva, &n), 0);
				CU_ASSERT_EQUAL(walk2d_shadow(sizes[g], sizes[h], gva, &s), 0);
				CU_ASSERT_EQUAL(n.address, walk2d_expected(gva));
				CU_ASSERT_EQUAL(s.address, walk2d_expected(gva));
				/* A guest entry costs one reference beside its own second stage. */
				CU_ASSERT_EQUAL(n.guest, g ? 3 : 4);
				CU_ASSERT_EQUAL(n.nested, (n.guest + 1) * (h ? 3u : 4u));
			}
		}
	}
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"nested", test_nested},
		{"shadow", test_shadow},
		{"ends", test_ends},
	};
	return unit_run("walk2d", cases, sizeof(cases) / sizeof(cases[0]));
}
