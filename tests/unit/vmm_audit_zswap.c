/*
 * The audit of the compressed pool: a zspage of one page with two objects, of which one is in use, a slot
 * whose page is compressed in it and one whose page is filled with one value; then each kind of damage.
 */
#include "audit_plant.h"
#include "guestmm/lib/lz4.h"

#define OBJECT 2048u
#define SLOT   3u /* compressed */
#define FILLED 9u /* filled with one value */

static void build_zswap(void)
{
	static struct lz4_table table;
	struct guest *g = im.g;
	uint8_t data[4096];
	struct page *p = page(im.dma);

	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i / 50);
	p->type = PAGE_ZSMALLOC;
	p->private_ = GVA(zspage);
	level_add(0, NR_ZSPAGES, 1);
	g->zclass =
		(struct zclass){.zspages = 1, .used = 1, .size = OBJECT, .pages = 1, .objects = 2};
	list_init(GVA(zclass.list[0]));
	list_init(GVA(zclass.list[1]));
	g->zspage = (struct zspage){.class = GVA(zclass),
				    .inuse = 1,
				    .page = {VMEMMAP + im.dma * sizeof(struct page)},
				    .owner = {0, GVA(zentry[0].zspage)}};
	list_add_tail(GVA(zclass.list[1]), GVA(zspage.link));
	g->zentry[0] = (struct zentry){.slot = SLOT, .zspage = GVA(zspage), .index = 1};
	g->zentry[0].length = (uint16_t)lz4_compress(data, sizeof(data), frame_ptr(im.dma) + OBJECT,
						     OBJECT, &table);
	g->zentry[1] = (struct zentry){.slot = FILLED};
	memset(g->zswap, 0, sizeof(g->zswap));
	g->zswap[SLOT] = GVA(zentry[0]);
	g->zswap[FILLED] = GVA(zentry[1]);
	g->swap_map[SLOT] |= 0x80;
	g->swap_map[FILLED] |= 0x80;
	g->zstored = 2;
	g->root.swap[0].no_disk_bit = 0x80;
	g->root.swap[0].zswap_gva = GVA(zswap);
	g->root.zswap = (struct mmvm_audit_zswap_layout){
		.classes_gva = GVA(zclass),
		.nr_classes = 1,
		.class_stride = sizeof(struct zclass),
		.class_size_offset = offsetof(struct zclass, size),
		.class_pages_offset = offsetof(struct zclass, pages),
		.class_objects_offset = offsetof(struct zclass, objects),
		.class_zspages_offset = offsetof(struct zclass, zspages),
		.class_used_offset = offsetof(struct zclass, used),
		.class_lists_offset = offsetof(struct zclass, list),
		.nr_lists = 2,
		.zspage_link_offset = offsetof(struct zspage, link),
		.zspage_class_offset = offsetof(struct zspage, class),
		.zspage_inuse_offset = offsetof(struct zspage, inuse),
		.zspage_pages_offset = offsetof(struct zspage, page),
		.zspage_owners_offset = offsetof(struct zspage, owner),
		.ref_zspage_offset = 0,
		.ref_index_offset =
			offsetof(struct zentry, index) - offsetof(struct zentry, zspage),
		.entry_slot_offset = offsetof(struct zentry, slot),
		.entry_ref_offset = offsetof(struct zentry, zspage),
		.entry_length_offset = offsetof(struct zentry, length),
		.stored_gva = GVA(zstored),
	};
}

static void test_clean(void)
{
	build();
	build_zswap();
	CU_ASSERT_EQUAL(run(), 0);
	if (im.r.total)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
	CU_ASSERT_EQUAL(im.r.frames[PAGE_ZSMALLOC], 1);
}

#define DAMAGE(name, ...)        \
	static void name(void)   \
	{                        \
		struct guest *g; \
                                 \
		build_zswap();   \
		g = im.g;        \
		(void)g;         \
		__VA_ARGS__;     \
	}
/* the pool */
DAMAGE(d_page_type, page(im.dma)->type = PAGE_DMA)
DAMAGE(d_page_owner, page(im.dma)->private_ += 64)
DAMAGE(d_page_place, page(im.dma)->index = 1)
DAMAGE(d_page_pointer, g->zspage.page[0] = 0x1234)
DAMAGE(d_page_twice, g->zclass.pages = 2; g->zspage.page[1] = g->zspage.page[0])
DAMAGE(d_no_zspage, page(im.stack)->type = PAGE_ZSMALLOC; level_add(0, NR_ZSPAGES, 1))
DAMAGE(d_owner_elsewhere, g->zentry[0].zspage += 8)
DAMAGE(d_owner_index, g->zentry[0].index = 0)
DAMAGE(d_owner_wild, g->zspage.owner[1] = 0x7fff00000000)
DAMAGE(d_class_of_zspage, g->zspage.class = 0)
DAMAGE(d_loop, node(GVA(zspage.link))->next = GVA(zspage.link))
DAMAGE(d_class_broken, g->zclass.pages = 99)
DAMAGE(d_class_wild, g->root.zswap.classes_gva = 0x7fff00000000)
/* counts */
DAMAGE(d_inuse, g->zspage.inuse = 2)
DAMAGE(d_class_zspages, g->zclass.zspages = 2)
DAMAGE(d_class_used, g->zclass.used = 0)
DAMAGE(d_stored, g->zstored = 3)
DAMAGE(d_level, level_add(0, NR_ZSPAGES, 1))
/* entries */
DAMAGE(d_other_slot, g->zentry[0].slot = 4)
DAMAGE(d_other_area, g->zentry[1].slot |= 1ull << 58)
DAMAGE(d_on_disk, g->swap_map[SLOT] &= 0x7f)
DAMAGE(d_free_slot, g->zswap[FILLED] = 0; g->zswap[12] = GVA(zentry[1]); g->swap_map[12] = 0x80)
DAMAGE(d_shared_object, g->zswap[FILLED] = GVA(zentry[1]); g->zentry[1] = g->zentry[0];
       g->zentry[1].slot = FILLED)
DAMAGE(d_bit_flip, frame_ptr(im.dma)[OBJECT] ^= 0x40)
DAMAGE(d_cut, g->zentry[0].length--)
DAMAGE(d_too_long, g->zentry[0].length = 2049)
DAMAGE(d_entry_wild, g->zswap[SLOT] = 0x1000)
DAMAGE(d_no_object, g->zentry[0].index = 77)
DAMAGE(d_array_wild, g->root.swap[0].zswap_gva = 0x7fff00000000)
DAMAGE(d_too_many_classes, g->root.zswap.nr_classes = 100000)

static const struct damage damages[] = {
	PLANT(d_page_type, AUDIT_ZSWAP_POOL),
	PLANT(d_page_owner, AUDIT_ZSWAP_POOL),
	PLANT(d_page_place, AUDIT_ZSWAP_POOL),
	PLANT(d_page_pointer, AUDIT_ZSWAP_POOL),
	PLANT(d_page_twice, AUDIT_ZSWAP_POOL),
	PLANT(d_no_zspage, AUDIT_ZSWAP_POOL),
	PLANT(d_owner_elsewhere, AUDIT_ZSWAP_POOL),
	PLANT(d_owner_index, AUDIT_ZSWAP_POOL),
	PLANT(d_owner_wild, AUDIT_ZSWAP_POOL),
	PLANT(d_class_of_zspage, AUDIT_ZSWAP_POOL),
	PLANT(d_loop, AUDIT_ZSWAP_POOL),
	PLANT(d_class_broken, AUDIT_ZSWAP_POOL),
	PLANT(d_class_wild, AUDIT_ZSWAP_POOL),
	PLANT(d_inuse, AUDIT_ZSWAP_COUNT),
	PLANT(d_class_zspages, AUDIT_ZSWAP_COUNT),
	PLANT(d_class_used, AUDIT_ZSWAP_COUNT),
	PLANT(d_stored, AUDIT_ZSWAP_COUNT),
	PLANT(d_level, AUDIT_VMSTAT),
	PLANT(d_other_slot, AUDIT_ZSWAP_ENTRY),
	PLANT(d_other_area, AUDIT_ZSWAP_ENTRY),
	PLANT(d_on_disk, AUDIT_ZSWAP_ENTRY),
	PLANT(d_free_slot, AUDIT_ZSWAP_ENTRY),
	PLANT(d_shared_object, AUDIT_ZSWAP_ENTRY),
	PLANT(d_bit_flip, AUDIT_ZSWAP_ENTRY),
	PLANT(d_cut, AUDIT_ZSWAP_ENTRY),
	PLANT(d_too_long, AUDIT_ZSWAP_ENTRY),
	PLANT(d_entry_wild, AUDIT_ZSWAP_ENTRY),
	PLANT(d_no_object, AUDIT_ZSWAP_ENTRY),
	PLANT(d_array_wild, AUDIT_ZSWAP_ENTRY),
	PLANT(d_too_many_classes, AUDIT_ROOT),
};

static void test_damages(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"a clean pool", test_clean},
		{"each damage is found", test_damages},
	};

	return plant_run("audit: zswap", cases, sizeof(cases) / sizeof(cases[0]));
}
