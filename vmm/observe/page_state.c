/*
 * The state of frames from outside.
 *
 *   page array   | head  tail tail tail | head | head  tail | ...      64 bytes a frame
 *   blocks       |<------- order 2 ---->|  0   |<- order 1->|
 *
 * Only a block's head says whose it is (mmvm/page.h), and a tail may still look like the head it
 * once was. So a frame's head is found by going from head to head, from a place where one surely
 * begins: blocks are aligned to their size and none is larger than 2^MAX_ORDER frames, so each
 * 2^MAX_ORDER frames begin with a head. The walk remembers where it stands: rising addresses cost
 * one step each.
 *
 * The array is read through the guest's kernel page tables, each page of it translated once. The
 * guest is not trusted: every pointer we keep lies in its RAM, every number is bounded before use.
 */
#include "observe/page_state.h"

#include <errno.h>
#include <stdlib.h>
#include "devices/device.h"
#include "machine/walk.h"
#include "mmvm/audit.h"
#include "mmvm/layout.h"

#define MAX_ORDER (MMVM_AUDIT_MAX_ORDERS - 1u)
#define PAGES_PER_PAGE \
	(MMVM_PAGE_SIZE / sizeof(struct page)) /* of the array, in one of its pages */

struct page_state {
	struct guest_tables tables; /* of the kernel */
	uint64_t vmemmap;
	uint32_t nr_ranges;
	struct mmvm_audit_range range[MMVM_MAX_RAM_REGIONS];
	struct {
		uint64_t gva, first; /* one byte a pageblock, from this one on; gva 0: not told */
		uint32_t order;
		uint8_t types;
	} blocks[MMVM_MAX_ZONES];
	const struct page *
		*array[MMVM_MAX_RAM_REGIONS]; /* host address of each page of the array */
	/* The walk: the block found last, and where it is */
	uint64_t head, size; /* frames; size 0: none */
	uint64_t flags;
	uint8_t type;
	unsigned int zone;
};

/** Where the kernel's own addresses lie: its image, or the direct map. */
static uint64_t kernel_phys(const struct mmvm_audit_root *root, uint64_t gva)
{
	return gva >= MMVM_KERNEL_VIRT ? gva - MMVM_KERNEL_VIRT : gva - root->direct_map_gva;
}

/** The ranges are in order and not much larger than RAM; the page array is aligned and its end has
 * an address. */
static bool ranges_ok(const struct mmvm_audit_root *root, uint64_t ram_frames)
{
	uint64_t after = 0, sum = 0, room = UINT64_MAX - root->vmemmap_gva;

	if (!root->nr_ranges || root->nr_ranges > MMVM_MAX_RAM_REGIONS ||
	    root->vmemmap_gva % sizeof(struct page) ||
	    (root->paging_levels != GUEST_LEVELS_48 && root->paging_levels != GUEST_LEVELS_57))
		return false;
	for (uint32_t i = 0; i < root->nr_ranges; i++) {
		const struct mmvm_audit_range *r = &root->range[i];

		if (r->start_pfn < after || r->end_pfn <= r->start_pfn ||
		    r->end_pfn > room / sizeof(struct page) ||
		    r->end_pfn - r->start_pfn > 4 * ram_frames + 4096 - sum)
			return false;
		sum += r->end_pfn - r->start_pfn;
		after = r->end_pfn;
	}
	return true;
}

int page_state_open(struct machine *m, const struct symtab *symbols, struct page_state **out)
{
	uint64_t at = symbols ? symtab_lookup(symbols, "mmvm_audit_root") : 0;

	return page_state_open_at(machine_ram(m), at, out);
}

int page_state_open_at(const struct guest_ram *ram, uint64_t at, struct page_state **out)
{
	uint64_t frames = 0;
	struct mmvm_audit_root root;
	struct page_state *p;

	if (at < MMVM_KERNEL_VIRT ||
	    guest_ram_read(ram, at - MMVM_KERNEL_VIRT, &root, sizeof(root)))
		return -ENOSYS;
	if (!root.ready)
		return -EAGAIN;
	for (unsigned int i = 0; i < ram->nr; i++)
		frames += ram->region[i].size / MMVM_PAGE_SIZE;
	if (root.magic != MMVM_AUDIT_MAGIC || root.size != sizeof(root) ||
	    !ranges_ok(&root, frames))
		return -EPROTO;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->tables = (struct guest_tables){
		.ram = ram,
		.root = kernel_phys(&root, root.kernel_pgd_gva),
		.levels = (unsigned int)root.paging_levels,
	};
	p->vmemmap = root.vmemmap_gva;
	p->nr_ranges = root.nr_ranges;
	for (unsigned int z = 0; z < MMVM_MAX_ZONES; z++) {
		if (!root.zone[z].present || root.zone[z].pageblock_order > 18)
			continue;
		p->blocks[z].gva = root.zone[z].pageblock_gva;
		p->blocks[z].first = root.zone[z].pageblock_first;
		p->blocks[z].order = root.zone[z].pageblock_order;
		p->blocks[z].types = root.zone[z].nr_block_types;
	}
	for (uint32_t i = 0; i < root.nr_ranges; i++) {
		p->range[i] = root.range[i];
		frames = root.range[i].end_pfn - root.range[i].start_pfn;
		p->array[i] = calloc(frames / PAGES_PER_PAGE + 2, sizeof(*p->array[i]));
		if (!p->array[i]) {
			page_state_close(p);
			return -ENOMEM;
		}
	}
	*out = p;
	return 0;
}

void page_state_close(struct page_state *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->nr_ranges; i++)
		free(p->array[i]);
	free(p);
}

void page_state_begin(struct page_state *p)
{
	p->size = 0;
}

/** The struct page of a frame of range r, in host memory, or NULL. */
static const struct page *page_of(struct page_state *p, uint32_t r, uint64_t pfn)
{
	uint64_t gva = p->vmemmap + pfn * sizeof(struct page);
	uint64_t first = p->vmemmap + p->range[r].start_pfn * sizeof(struct page);
	uint64_t i = gva / MMVM_PAGE_SIZE - first / MMVM_PAGE_SIZE;
	struct guest_leaf leaf;

	if (!p->array[r][i]) {
		if (guest_tables_find(&p->tables, gva & ~(MMVM_PAGE_SIZE - 1), &leaf))
			return NULL;
		p->array[r][i] = guest_ram_ptr(p->tables.ram, leaf.gpa, MMVM_PAGE_SIZE);
		if (!p->array[r][i])
			return NULL;
	}
	/* struct page is a power of two in size and the array aligned: none crosses a page. */
	return p->array[r][i] + gva % MMVM_PAGE_SIZE / sizeof(struct page);
}

/** Read the head at `pfn`: p->head, size, type, zone. */
static void read_head(struct page_state *p, uint32_t r, uint64_t pfn)
{
	const struct page *page = page_of(p, r, pfn);
	unsigned int order = 0;

	p->head = pfn;
	p->size = 1;
	p->flags = 0;
	p->type = PAGE_INVALID;
	p->zone = MMVM_MAX_ZONES;
	if (!page)
		return;
	p->type = __atomic_load_n(&page->type, __ATOMIC_RELAXED);
	if (p->type >= NR_PAGE_TYPES)
		p->type = PAGE_INVALID;
	if (p->type == PAGE_INVALID)
		return;
	p->flags = __atomic_load_n(&page->flags, __ATOMIC_RELAXED);
	p->zone = p->flags >> PAGE_ZONE_SHIFT & PAGE_ZONE_MASK;
	order = __atomic_load_n(&page->order, __ATOMIC_RELAXED);
	if (order <= MAX_ORDER && !(pfn & ((1ull << order) - 1)))
		p->size = 1ull << order;
}

enum mmvm_page_type page_state_get(struct page_state *p, uint64_t gpa, unsigned int *zone)
{
	uint64_t pfn = gpa / MMVM_PAGE_SIZE, start;
	uint32_t r = 0;

	while (r < p->nr_ranges && pfn >= p->range[r].end_pfn)
		r++;
	if (r == p->nr_ranges || pfn < p->range[r].start_pfn) {
		*zone = MMVM_MAX_ZONES;
		return PAGE_INVALID;
	}
	start = pfn & ~((1ull << MAX_ORDER) - 1);
	if (start < p->range[r].start_pfn)
		start = p->range[r].start_pfn;
	if (!p->size || p->head < start || p->head > pfn)
		read_head(p, r, start);
	while (p->head + p->size <= pfn)
		read_head(p, r, p->head + p->size);
	*zone = p->zone;
	return p->type;
}

uint64_t page_state_flags(struct page_state *p, uint64_t gpa)
{
	unsigned int zone;

	return page_state_get(p, gpa, &zone) == PAGE_INVALID ? 0 : p->flags;
}

void page_state_walk(struct page_state *p, void (*block)(void *arg, const struct page_block *b),
		     void *arg)
{
	for (uint32_t r = 0; r < p->nr_ranges; r++) {
		uint64_t pfn = p->range[r].start_pfn, end = p->range[r].end_pfn, next;

		for (; pfn < end; pfn = next) {
			struct page_block b = {.pfn = pfn};

			read_head(p, r, pfn);
			next = (pfn | ((1ull << MAX_ORDER) - 1)) + 1; /* a head for sure */
			next = pfn + p->size < next ? pfn + p->size : next;
			next = next < end ? next : end;
			b.frames = next - pfn;
			b.type = p->type;
			b.zone = p->zone;
			block(arg, &b);
		}
	}
	p->size = 0;
}

int page_state_block_type(struct page_state *p, unsigned int zone, uint64_t pfn)
{
	struct guest_leaf leaf;
	uint64_t block;
	const uint8_t *at;

	if (zone >= MMVM_MAX_ZONES || !p->blocks[zone].gva)
		return -1;
	block = pfn >> p->blocks[zone].order;
	if (block < p->blocks[zone].first ||
	    guest_tables_find(&p->tables, p->blocks[zone].gva + (block - p->blocks[zone].first),
			      &leaf))
		return -1;
	at = guest_ram_ptr(p->tables.ram, leaf.gpa, 1);
	return at && *at < p->blocks[zone].types ? *at : -1;
}

const char *page_state_name(enum mmvm_page_type type)
{
#define NAME_(name, text) text,
	static const char *const names[] = {MMVM_PAGE_TYPES(NAME_)};
#undef NAME_
	return names[type];
}
