/*
 * Memory at boot: the two tables of memblock alone, before the allocator exists.
 */
#include "host.h"
#include "unit.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/internal.h"
#include "mm/phys/memblock.h"

#define MB (1ul << 20)

static void ranges_are_checked(void)
{
	/* host_arena_init added [0, 8M) on node 0 and [4G, 4G+4M) on node 1 */
	CU_ASSERT_EQUAL(memblock_total(), 12 * MB);
	CU_ASSERT_EQUAL(memblock_end(), MMVM_RAM_HIGH_BASE + 4 * MB);
	CU_ASSERT_EQUAL(memblock_add(4 * MB, MB, 0), -EINVAL);
	CU_ASSERT_EQUAL(memblock_add(7 * MB, 2 * MB, 0), -EINVAL);
	CU_ASSERT_EQUAL(memblock_add(8 * MB, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(memblock_add(~0ull - MB, 2 * MB, 0), -EINVAL);
	CU_ASSERT_EQUAL(memblock_add(64 * MB, MB, MMVM_MAX_NODES), -EINVAL);
	CU_ASSERT_EQUAL(memblock_reserve(0, 0), -EINVAL);
	CU_ASSERT_EQUAL(memblock_reserve(~0ull - MB, 2 * MB), -EINVAL);
	CU_ASSERT_EQUAL(memblock_free(MB, MB), -EINVAL); /* not reserved */
	CU_ASSERT_EQUAL(memblock_total(), 12 * MB);
}

struct spans {
	char text[512];
	size_t len;
};

static void note_span(pfn_t pfn, pfn_t end, int node, bool is_reserved, void *arg)
{
	struct spans *s = arg;

	s->len += snprintf(s->text + s->len, sizeof(s->text) - s->len, "%s%lx-%lx@%d ",
			   is_reserved ? "R" : "", pfn, end, node);
}

static const char *spans(void)
{
	static struct spans s;

	s.len = 0;
	s.text[0] = 0;
	memblock_for_each_span(note_span, &s);
	return s.text;
}

static void spans_cover_everything_once(void)
{
	CU_ASSERT_STRING_EQUAL(spans(), "0-800@0 100000-100400@1 ");
	CU_ASSERT_EQUAL(memblock_reserve(MB, MB), 0);
	CU_ASSERT_STRING_EQUAL(spans(), "0-100@0 R100-200@0 200-800@0 100000-100400@1 ");
	/* Touching and overlapping ranges become one. */
	CU_ASSERT_EQUAL(memblock_reserve(2 * MB, MB), 0);
	CU_ASSERT_EQUAL(memblock_reserve(MB / 2, MB), 0);
	CU_ASSERT_EQUAL(memblock_reserve(5 * MB, MB), 0);
	CU_ASSERT_STRING_EQUAL(spans(),
			       "0-80@0 R80-300@0 300-500@0 R500-600@0 600-800@0 100000-100400@1 ");
	CU_ASSERT_EQUAL(memblock_reserve(3 * MB, 2 * MB), 0);
	CU_ASSERT_STRING_EQUAL(spans(), "0-80@0 R80-600@0 600-800@0 100000-100400@1 ");
	/* A hole in the middle, then both ends. */
	CU_ASSERT_EQUAL(memblock_free(2 * MB, MB), 0);
	CU_ASSERT_STRING_EQUAL(spans(),
			       "0-80@0 R80-200@0 200-300@0 R300-600@0 600-800@0 100000-100400@1 ");
	CU_ASSERT_EQUAL(memblock_free(3 * MB, MB), 0);
	CU_ASSERT_EQUAL(memblock_free(5 * MB, MB), 0);
	CU_ASSERT_EQUAL(memblock_free(4 * MB, 2 * MB), -EINVAL);
	CU_ASSERT_EQUAL(memblock_free(4 * MB, MB), 0);
	CU_ASSERT_EQUAL(memblock_free(MB / 2, 3 * MB / 2), 0);
	CU_ASSERT_STRING_EQUAL(spans(), "0-800@0 100000-100400@1 ");
}

static void partly_reserved_frames_are_reserved(void)
{
	CU_ASSERT_EQUAL(memblock_reserve(5000, 200), 0);
	CU_ASSERT_EQUAL(memblock_reserve(12288 + 4000, 200), 0); /* across a border */
	CU_ASSERT_STRING_EQUAL(spans(), "0-1@0 R1-2@0 2-3@0 R3-5@0 5-800@0 100000-100400@1 ");
	/* Two reservations within one frame. */
	CU_ASSERT_EQUAL(memblock_reserve(6000, 100), 0);
	CU_ASSERT_STRING_EQUAL(spans(), "0-1@0 R1-2@0 2-3@0 R3-5@0 5-800@0 100000-100400@1 ");
	CU_ASSERT_EQUAL(memblock_free(5000, 200), 0);
	CU_ASSERT_EQUAL(memblock_free(6000, 100), 0);
	CU_ASSERT_EQUAL(memblock_free(12288 + 4000, 200), 0);
}

static bool zero(phys_addr_t pa, u64 n)
{
	const u8 *p = __va(pa);

	return !p[0] && !memcmp(p, p + 1, n - 1);
}

static void allocation(void)
{
	phys_addr_t a, b;

	CU_ASSERT_EQUAL(memblock_reserve(0, 64 * 1024), 0);
	a = memblock_phys_alloc(100, 64, 0, 0);
	CU_ASSERT_EQUAL(a, 64 * 1024);
	b = memblock_phys_alloc(PAGE_SIZE, PAGE_SIZE, 0, 0);
	CU_ASSERT_EQUAL(b, 64 * 1024 + PAGE_SIZE);
	CU_ASSERT_EQUAL(memblock_phys_alloc(8, 8, 0, 0), 64 * 1024 + 104); /* the gap is used */
	CU_ASSERT_EQUAL(memblock_phys_alloc(MB, MB, 0, 0), MB);
	CU_ASSERT_EQUAL(memblock_phys_alloc(PAGE_SIZE, PAGE_SIZE, 5 * MB + 1, 0),
			5 * MB + PAGE_SIZE);
	CU_ASSERT_EQUAL(memblock_phys_alloc(PAGE_SIZE, PAGE_SIZE, MMVM_RAM_HIGH_BASE, 0),
			MMVM_RAM_HIGH_BASE);
	CU_ASSERT_EQUAL(memblock_phys_alloc(MB, 1, 2 * MB, 3 * MB), 2 * MB);
	CU_ASSERT_EQUAL(memblock_phys_alloc(MB + 1, 1, 2 * MB, 4 * MB), 0);
	CU_ASSERT_EQUAL(memblock_phys_alloc(0, 1, 0, 0), 0);
	CU_ASSERT_EQUAL(memblock_phys_alloc(8, 3, 0, 0), 0);
	CU_ASSERT_EQUAL(memblock_phys_alloc(~0ull, 1, 0, 0), 0);
	CU_ASSERT_EQUAL(memblock_phys_alloc(64 * MB, 1, 0, 0), 0);
	/* What was used before comes back clean, all of it. */
	memset(__va(2 * MB), 0xee, MB);
	CU_ASSERT_EQUAL(memblock_free(2 * MB, MB), 0);
	CU_ASSERT_EQUAL(memblock_phys_alloc(MB, PAGE_SIZE, 2 * MB, 3 * MB), 2 * MB);
	CU_ASSERT(zero(2 * MB, MB));
}

static void table_full(void)
{
	phys_addr_t pa = 6 * MB;
	int err;

	do {
		err = memblock_reserve(pa, 8);
		pa += 64;
	} while (!err && pa < 7 * MB);
	CU_ASSERT_EQUAL(err, -ENOMEM);
	CU_ASSERT_EQUAL(memblock_phys_alloc(8, 8, 7 * MB, 0), 0);
	/* What touches a range that is there still fits. */
	CU_ASSERT_EQUAL(memblock_reserve(6 * MB + 8, 8), 0);
}

int main(void)
{
	static const struct host_region region[] = {{0, 8 * MB, 0},
						    {MMVM_RAM_HIGH_BASE, 4 * MB, 1}};
	static const struct unit_case cases[] = {
		{"ranges are checked", ranges_are_checked},
		{"spans cover everything once", spans_cover_everything_once},
		{"partly reserved frames are reserved", partly_reserved_frames_are_reserved},
		{"allocation", allocation},
		{"table full", table_full},
	};

	host_arena_init(region, ARRAY_SIZE(region));
	return unit_run("memblock", cases, ARRAY_SIZE(cases));
}
