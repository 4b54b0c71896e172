/* The audit of bounce buffers: leaked ones, slots of no mapping, wrong counts. */
#include "audit_plant.h"

struct slot {
	uint64_t orig;
	uint32_t size;
	uint16_t nr, used;
};

/* The table is in a frame that is nobody's: the DMA page. Slots 3 and 4 are a mapping of the slab's page. */
static struct slot *slots(void)
{
	struct mmvm_audit_swiotlb *s = &im.g->root.swiotlb;
	struct slot *t = (struct slot *)frame_ptr(im.dma);

	*s = (struct mmvm_audit_swiotlb){.slots_gva = DIRECT + ((uint64_t)im.dma << 12),
					 .nr_slots = 128,
					 .used_gva = DIRECT + ((uint64_t)im.dma << 12) + 2048,
					 .slot_size = sizeof(struct slot),
					 .orig_offset = offsetof(struct slot, orig),
					 .bytes_offset = offsetof(struct slot, size),
					 .run_offset = offsetof(struct slot, nr),
					 .in_use_offset = offsetof(struct slot, used)};
	t[3] = (struct slot){.orig = (uint64_t)im.slab << 12, .size = 4096, .nr = 2, .used = 1};
	t[4] = (struct slot){.used = 1};
	*(uint64_t *)(frame_ptr(im.dma) + 2048) = 2;
	return t;
}

static void d_page_was_freed(void)
{
	slots()[3].orig = first_buddy(0, 10, 1) << 12;
}
static void d_no_ram(void)
{
	slots()[3].orig = 1ull << 50;
}
static void d_count(void)
{
	slots();
	*(uint64_t *)(frame_ptr(im.dma) + 2048) = 3;
}
static void d_slot_of_no_mapping(void)
{
	slots()[7].used = 1;
	*(uint64_t *)(frame_ptr(im.dma) + 2048) = 3;
}
static void d_hole_in_a_mapping(void)
{
	slots()[4].used = 0;
	*(uint64_t *)(frame_ptr(im.dma) + 2048) = 1;
}
static void d_unreadable(void)
{
	slots();
	im.g->root.swiotlb.slots_gva = 0xffff000000000000ull;
}
static void d_too_many(void)
{
	slots();
	im.g->root.swiotlb.nr_slots = 1ull << 60;
}

static const struct damage damages[] = {
	PLANT(d_page_was_freed, AUDIT_BOUNCE),
	PLANT(d_no_ram, AUDIT_BOUNCE),
	PLANT(d_count, AUDIT_BOUNCE),
	PLANT(d_slot_of_no_mapping, AUDIT_BOUNCE),
	PLANT(d_hole_in_a_mapping, AUDIT_BOUNCE),
	PLANT(d_unreadable, AUDIT_BOUNCE),
	PLANT(d_too_many, AUDIT_ROOT),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static void a_mapping(void)
{
	int ret;

	build();
	slots();
	ret = run();
	CU_ASSERT_EQUAL(ret, 0);
	if (ret)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"a mapping", a_mapping},
	};

	return plant_run("audit: bounce buffers", cases, sizeof(cases) / sizeof(cases[0]));
}
