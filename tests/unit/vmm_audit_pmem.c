/*
 * The audit of frames of a device and of files that lie there: each way to be wrong is planted.
 *
 * To the image comes a device of 64 frames above all RAM. The image's second VMA is a shared mapping of a file
 * there; its page at FILE_PTE is the device's frame DEV_PFN + 5, written.
 */
#include "audit_plant.h"

#define DEV_PFN	   0x140000ull
#define DEV_FRAMES 64u /* a page of struct pages */
#define FRAME	   (DEV_PFN + 5)
#define FILE_PTE   (8u + 3u)
#define FILE_INDEX (40u + 3u)
#define DAX	   32u
#define SPECIAL	   (1ull << 9)
#define VM_WRITE   2ull

/* In a frame of the guest's: counts, and the file. */
struct device_data {
	uint64_t issued, done;
	struct mapping file;
	uint64_t tree;
};
static struct device_data *data;
static uint64_t data_gva;

static uint64_t vma_node(void)
{
	return GVA(vma[1]) + offsetof(struct vma, rb);
}

static void add_frames(void)
{
	*entry_of(im.cr3, VMEMMAP + DEV_PFN * sizeof(struct page), 0, true) =
		(uint64_t)im.next++ << 12 | P | RW;
	for (uint64_t pfn = DEV_PFN; pfn < DEV_PFN + DEV_FRAMES; pfn++) {
		*page(pfn) = (struct page){.flags = (uint64_t)PAGE_ZONE_DEVICE << PAGE_ZONE_SHIFT,
					   .mapcount = -1,
					   .refcount = 1,
					   .type = PAGE_DEVICE};
		list_init(lru_gva(pfn));
	}
	im.pmem_gpa = DEV_PFN << 12;
	im.pmem_size = DEV_FRAMES << 12;
	im.pmem_flushes = 3;
}

static void device(void)
{
	struct guest *g;

	build();
	g = im.g;
	add_frames();
	data = (struct device_data *)frame_ptr(im.dma);
	data_gva = DIRECT + ((uint64_t)im.dma << 12);
	*data = (struct device_data){.issued = 3, .done = 3, .file = {.flags = DAX}};
	g->root.device = (struct mmvm_audit_device){
		.range = {{.start_pfn = DEV_PFN, .end_pfn = DEV_PFN + DEV_FRAMES}},
		.nr_ranges = 1,
		.dax_flag = DAX,
		.issued_gva = data_gva + offsetof(struct device_data, issued),
		.done_gva = data_gva + offsetof(struct device_data, done),
	};
	/* So much of the reverse map as tells a VMA's file. */
	g->root.rmap = (struct mmvm_audit_rmap_layout){
		.vma_pgoff_offset = offsetof(struct vma, pgoff),
		.vma_mapping_offset = offsetof(struct vma, mapping),
		.vma_chains_offset = offsetof(struct vma, chains),
		.vma_node_offset = offsetof(struct vma, rb),
		.vma_last_offset = offsetof(struct vma, last),
		.mapping_root_offset =
			offsetof(struct device_data, tree) - offsetof(struct device_data, file),
	};
	for (unsigned int v = 0; v < 2; v++)
		list_init(GVA(vma[0]) + v * sizeof(struct vma) + offsetof(struct vma, chains));
	g->vma[1].flags |= MMVM_VM_SHARED | VM_WRITE;
	g->vma[1].mapping = data_gva + offsetof(struct device_data, file);
	g->vma[1].pgoff = 40;
	g->vma[1].last = 40 + 5;
	data->tree = vma_node();
	*user_pte(FILE_PTE) =
		FRAME << 12 | P | RW | US | SPECIAL | MMVM_PTE_DEVMAP | MMVM_PTE_SOFT_DIRTY;
	page(FRAME)->mapping = g->vma[1].mapping;
	page(FRAME)->index = FILE_INDEX;
	page(FRAME)->flags |= 1ull << PG_dirty;
}

/* ---- frames ---- */

static void d_another_type(void)
{
	device();
	page(DEV_PFN)->type = PAGE_BUDDY;
}
static void d_a_block(void)
{
	device();
	page(DEV_PFN)->order = 3;
}
static void d_free(void)
{
	device();
	page(DEV_PFN + 1)->refcount = 0;
}
static void d_a_reference(void)
{
	device();
	page(DEV_PFN + 1)->refcount = 2;
}
static void d_mapped_as_ram_is(void)
{
	device();
	page(FRAME)->mapcount = 0;
}
static void d_in_a_zone(void)
{
	device();
	page(DEV_PFN + 2)->flags &= ~(PAGE_ZONE_MASK << PAGE_ZONE_SHIFT);
}
static void d_on_an_lru(void)
{
	device();
	page(FRAME)->flags |= 1ull << PG_lru;
}
static void d_charged(void)
{
	device();
	page(FRAME)->flags |= 1ull << PG_charged;
}
static void d_on_a_buddy_list(void)
{
	device();
	list_del(lru_gva(DEV_PFN + 3));
	list_add_tail(GVA(area[0][0].list[0]), lru_gva(DEV_PFN + 3));
}
static void d_on_a_list_of_no_file(void)
{
	device();
	page(DEV_PFN + 3)->lru.next = lru_gva(FRAME);
}
static void d_dirty_and_no_files(void)
{
	device();
	page(DEV_PFN + 3)->flags |= 1ull << PG_dirty;
}
static void d_range_of_nobody(void)
{
	device();
	im.g->root.device.range[0].end_pfn--;
}
static void d_too_many_ranges(void)
{
	device();
	im.g->root.device.nr_ranges = 99;
}
static void d_no_struct_pages(void)
{
	device();
	*entry_of(im.cr3, VMEMMAP + DEV_PFN * sizeof(struct page), 0, false) = 0;
}

/* ---- mappings ---- */

static void d_not_special(void)
{
	device();
	*user_pte(FILE_PTE) &= ~SPECIAL;
}
static void d_not_devmap(void)
{
	device();
	*user_pte(FILE_PTE) &= ~MMVM_PTE_DEVMAP;
}
static void d_devmap_of_ram(void)
{
	device();
	*user_pte(FILE_PTE) = (uint64_t)im.zero << 12 | P | US | SPECIAL | MMVM_PTE_DEVMAP;
}
static void d_no_files_frame(void)
{
	device();
	page(FRAME)->mapping = 0;
}
static void d_another_files_frame(void)
{
	device();
	page(FRAME)->mapping = GVA(file_map);
}
static void d_another_page(void)
{
	device();
	page(FRAME)->index++;
}
static void d_anonymous_vma(void)
{
	device();
	im.g->vma[1].mapping = 0;
}
static void d_file_with_a_cache(void)
{
	device();
	data->file.flags = 0;
}
static void d_pages_in_the_tree(void)
{
	device();
	data->file.pages = 1;
}
static void d_large_leaf(void)
{
	device();
	((uint64_t *)frame_ptr(im.pmd_table))[(USER_BASE >> 21) + 1] =
		DEV_PFN << 12 | P | US | PSE | SPECIAL | MMVM_PTE_DEVMAP;
}
static void d_mapped_without_a_struct_page(void)
{
	device();
	*entry_of(im.cr3, VMEMMAP + DEV_PFN * sizeof(struct page), 0, false) = 0;
}

/* ---- dirty ---- */

static void d_writable_and_clean(void)
{
	device();
	page(FRAME)->flags &= ~(1ull << PG_dirty);
}
static void d_writable_and_private(void)
{
	device();
	im.g->vma[1].flags &= ~MMVM_VM_SHARED;
}

/* ---- flushes ---- */

static void d_more_answers_than_the_device_gave(void)
{
	device();
	data->done = data->issued = 4;
}
static void d_more_than_the_guest_asked_for(void)
{
	device();
	data->issued = data->done = 2;
}
static void d_counts_unreadable(void)
{
	device();
	im.g->root.device.done_gva = 0xffff000000000000ull;
}

static const struct damage damages[] = {
	PLANT(d_another_type, AUDIT_PMEM_PAGE),
	PLANT(d_a_block, AUDIT_PMEM_PAGE),
	PLANT(d_free, AUDIT_PMEM_PAGE),
	PLANT(d_a_reference, AUDIT_PMEM_PAGE),
	PLANT(d_mapped_as_ram_is, AUDIT_PMEM_PAGE),
	PLANT(d_in_a_zone, AUDIT_PMEM_PAGE),
	PLANT(d_on_an_lru, AUDIT_PMEM_PAGE),
	PLANT(d_charged, AUDIT_PMEM_PAGE),
	PLANT(d_on_a_buddy_list, AUDIT_PMEM_PAGE),
	PLANT(d_on_a_buddy_list, AUDIT_BUDDY_LIST),
	PLANT(d_on_a_list_of_no_file, AUDIT_PMEM_PAGE),
	PLANT(d_dirty_and_no_files, AUDIT_PMEM_PAGE),
	PLANT(d_range_of_nobody, AUDIT_PMEM_PAGE),
	PLANT(d_too_many_ranges, AUDIT_PMEM_PAGE),
	PLANT(d_no_struct_pages, AUDIT_PMEM_PAGE),
	PLANT(d_not_special, AUDIT_PMEM_MAPPING),
	PLANT(d_not_devmap, AUDIT_PMEM_MAPPING),
	PLANT(d_devmap_of_ram, AUDIT_PMEM_MAPPING),
	PLANT(d_no_files_frame, AUDIT_PMEM_MAPPING),
	PLANT(d_another_files_frame, AUDIT_PMEM_MAPPING),
	PLANT(d_another_page, AUDIT_PMEM_MAPPING),
	PLANT(d_anonymous_vma, AUDIT_PMEM_MAPPING),
	PLANT(d_file_with_a_cache, AUDIT_PMEM_MAPPING),
	PLANT(d_pages_in_the_tree, AUDIT_PMEM_MAPPING),
	PLANT(d_large_leaf, AUDIT_PMEM_MAPPING),
	PLANT(d_mapped_without_a_struct_page, AUDIT_PMEM_MAPPING),
	PLANT(d_writable_and_clean, AUDIT_PMEM_DIRTY),
	PLANT(d_writable_and_private, AUDIT_PMEM_DIRTY),
	PLANT(d_more_answers_than_the_device_gave, AUDIT_PMEM_FLUSH),
	PLANT(d_more_than_the_guest_asked_for, AUDIT_PMEM_FLUSH),
	PLANT(d_counts_unreadable, AUDIT_PMEM_FLUSH),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static uint64_t pmem_findings(void)
{
	return im.r.count[AUDIT_PMEM_PAGE] + im.r.count[AUDIT_PMEM_MAPPING] +
	       im.r.count[AUDIT_PMEM_DIRTY] + im.r.count[AUDIT_PMEM_FLUSH];
}

/* With the whole reverse map there would be no finding at all: what the image has of anonymous pages lacks it. */
static void a_device(void)
{
	device();
	run();
	CU_ASSERT_EQUAL(pmem_findings(), 0);
	CU_ASSERT_EQUAL(im.r.total, im.r.count[AUDIT_RMAP]);
	im.g->root.rmap = (struct mmvm_audit_rmap_layout){0};
	CU_ASSERT_EQUAL(run(), 0);
	if (im.r.total)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
	/* A request on its way, with and without its answer on the device's side. */
	data->issued = 4;
	CU_ASSERT_EQUAL(run(), 0);
	im.pmem_flushes = 4;
	CU_ASSERT_EQUAL(run(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"a device", a_device},
	};

	return plant_run("audit: files that are memory", cases, sizeof(cases) / sizeof(cases[0]));
}
