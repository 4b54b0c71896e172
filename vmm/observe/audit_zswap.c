/*
 * The audit of the compressed pool.
 *
 *   Z1  A zspage is on one list of its class; its pages are of type ZSMALLOC, name it and their place, and
 *       are no other zspage's; each page of that type is some zspage's. (zswap_pool)
 *   Z2  An object's owner is a reference that names the zspage and the object. (zswap_pool)
 *   Z3  inuse of a zspage = owners; counts of a class = its zspages and their objects; nr_zspages =
 *       pages of type ZSMALLOC; stored pages = entries of slots. (zswap_count)
 *   Z4  A slot's entry names that slot, which is in use and marked as not on the disk; its object is
 *       its own and decompresses to exactly a page. (zswap_entry)
 *
 * Bounds: lists by list_walk, as many zspages as frames; objects of a zspage as many as fit into its
 * pages; each takes steps of the budget. What is decompressed never leaves its buffer (lib/lz4.c).
 */
#include <errno.h>
#include <inttypes.h>

#include "guestmm/lib/lz4.h"
#include "observe/audit_impl.h"

#define MAX_CLASSES	   256u
#define MAX_LISTS	   8u
#define MAX_PAGES	   4u /* of a zspage */
#define STEPS_OF_AN_OBJECT 16u

struct class
{
	uint64_t gva;
	uint32_t size, pages, objects;
};

static bool get32(struct audit *a, uint64_t gva, uint32_t *v)
{
	return !audit_read(a, gva, v, sizeof(*v));
}

static bool get64(struct audit *a, uint64_t gva, uint64_t *v)
{
	return !audit_read(a, gva, v, sizeof(*v));
}

static bool load_class(struct audit *a, uint64_t gva, struct class *c)
{
	const struct mmvm_audit_zswap_layout *l = &a->root.zswap;

	c->gva = gva;
	return get32(a, gva + l->class_size_offset, &c->size) &&
	       get32(a, gva + l->class_pages_offset, &c->pages) &&
	       get32(a, gva + l->class_objects_offset, &c->objects) && c->pages &&
	       c->pages <= MAX_PAGES && c->size && c->objects &&
	       c->objects <= c->pages * MMVM_PAGE_SIZE / c->size;
}

/** Address of the object's page `i` of a zspage: the frame of the struct page it points at, or NO_FRAME. */
static uint32_t page_of_zspage(struct audit *a, uint64_t zspage, uint32_t i)
{
	uint64_t page;

	if (!get64(a, zspage + a->root.zswap.zspage_pages_offset + 8ull * i, &page) ||
	    page < a->root.vmemmap_gva || (page - a->root.vmemmap_gva) % sizeof(struct page))
		return NO_FRAME;
	return frame_index(a, (page - a->root.vmemmap_gva) / sizeof(struct page));
}

/** Z1 of one zspage's pages. */
static void check_pages(struct audit *a, const struct class *c, uint64_t zspage)
{
	for (uint32_t i = 0; i < c->pages; i++) {
		uint32_t f = page_of_zspage(a, zspage, i);
		const struct page *p = f == NO_FRAME ? NULL : &a->page[f];

		if (!p || !(a->frame[f].seen & SEEN_IN_RAM) || p->type != PAGE_ZSMALLOC ||
		    p->private_ != zspage || p->index != i) {
			audit_find(a, AUDIT_ZSWAP_POOL,
				   "zspage %#" PRIx64 ": page %u is not its own (%s)", zspage, i,
				   p ? type_name(p->type) : "no frame");
			continue;
		}
		if (a->frame[f].seen & SEEN_ZSPAGE)
			audit_find(a, AUDIT_ZSWAP_POOL,
				   "zspage %#" PRIx64 ": page %u is in another one, too", zspage,
				   i);
		a->frame[f].seen |= SEEN_ZSPAGE;
	}
}

/** Z2. Returns the objects in use. */
static uint32_t check_owners(struct audit *a, const struct class *c, uint64_t zspage)
{
	const struct mmvm_audit_zswap_layout *l = &a->root.zswap;
	uint32_t used = 0;

	for (uint32_t i = 0; i < c->objects && audit_step(a); i++) {
		uint64_t ref, back = 0;
		uint32_t index = 0;

		if (!get64(a, zspage + l->zspage_owners_offset + 8ull * i, &ref)) {
			audit_find(a, AUDIT_ZSWAP_POOL,
				   "zspage %#" PRIx64 ": no owner of object %u", zspage, i);
			break;
		}
		if (!ref)
			continue;
		used++;
		if (!get64(a, ref + l->ref_zspage_offset, &back) ||
		    !get32(a, ref + l->ref_index_offset, &index) || back != zspage || index != i)
			audit_find(a, AUDIT_ZSWAP_POOL,
				   "zspage %#" PRIx64 ": the owner of object %u has object %u of "
				   "%#" PRIx64,
				   zspage, i, index, back);
	}
	return used;
}

/** One list of a class. Adds to *zspages and *used. False: it is broken. */
static bool check_list(struct audit *a, const struct class *c, uint64_t head, uint64_t *zspages,
		       uint64_t *used)
{
	const struct mmvm_audit_zswap_layout *l = &a->root.zswap;
	struct list_walk w;
	const char *why = "unreadable";
	uint64_t node;
	int ret = list_walk_start(a, &w, head, a->nr_frames);

	while (!ret && (ret = list_walk_next(a, &w, &node, &why)) > 0) {
		uint64_t zspage = node - l->zspage_link_offset, class;
		uint32_t inuse, owners;

		ret = 0;
		if (!get64(a, zspage + l->zspage_class_offset, &class) ||
		    !get32(a, zspage + l->zspage_inuse_offset, &inuse) || class != c->gva) {
			audit_find(a, AUDIT_ZSWAP_POOL,
				   "zspage %#" PRIx64 " on a list of %u bytes is of another class",
				   zspage, c->size);
			continue;
		}
		check_pages(a, c, zspage);
		owners = check_owners(a, c, zspage);
		if (owners != inuse)
			audit_find(a, AUDIT_ZSWAP_COUNT,
				   "zspage %#" PRIx64 " has %u objects by its count; found %u",
				   zspage, inuse, owners);
		*used += owners;
		++*zspages;
	}
	if (ret < 0)
		audit_find(a, AUDIT_ZSWAP_POOL, "list %#" PRIx64 " of zspages of %u bytes: %s",
			   head, c->size, why);
	return ret >= 0;
}

int audit_zswap(struct audit *a)
{
	const struct mmvm_audit_zswap_layout *l = &a->root.zswap;

	if (!l->classes_gva)
		return 0;
	if (l->nr_classes > MAX_CLASSES || l->nr_lists > MAX_LISTS) {
		audit_find(a, AUDIT_ROOT, "compressed pool: %u classes, %u lists", l->nr_classes,
			   l->nr_lists);
		return 0;
	}
	for (uint32_t i = 0; i < l->nr_classes && audit_step(a); i++) {
		uint64_t zspages = 0, used = 0, claimed = 0, claimed_used = 0;
		bool sound = true;
		struct class c;

		if (!load_class(a, l->classes_gva + (uint64_t)i * l->class_stride, &c)) {
			audit_find(a, AUDIT_ZSWAP_POOL, "class %u is not one", i);
			continue;
		}
		for (uint32_t f = 0; f < l->nr_lists; f++)
			sound &= check_list(
				a, &c, c.gva + l->class_lists_offset + f * sizeof(struct mmvm_list),
				&zspages, &used);
		if (!get64(a, c.gva + l->class_zspages_offset, &claimed) ||
		    !get64(a, c.gva + l->class_used_offset, &claimed_used) ||
		    (sound && (claimed != zspages || claimed_used != used)))
			audit_find(a, AUDIT_ZSWAP_COUNT,
				   "class of %u bytes: %" PRIu64 " zspages, %" PRIu64
				   " objects by its counts; found %" PRIu64 ", %" PRIu64,
				   c.size, claimed, claimed_used, zspages, used);
	}
	return 0;
}

/* ---- entries of slots ------------------------------------------------------------------------- */

/** Copy `n` bytes of an object. */
static bool read_object(struct audit *a, const struct class *c, uint64_t zspage, uint32_t index,
			uint8_t *buf, uint32_t n)
{
	uint32_t at = index * c->size;

	for (uint32_t done = 0; done < n;) {
		uint32_t offset = (at + done) % MMVM_PAGE_SIZE, part = MMVM_PAGE_SIZE - offset;
		uint32_t f = page_of_zspage(a, zspage, (at + done) / MMVM_PAGE_SIZE);
		const uint8_t *p = f == NO_FRAME ? NULL : frame_data(a, frame_pfn(a, f));

		if (!p)
			return false;
		part = part < n - done ? part : n - done;
		memcpy(buf + done, p + offset, part);
		done += part;
	}
	return true;
}

/** Describe the error in the object of an entry. NULL: none. */
static const char *object_is_bad(struct audit *a, uint64_t entry, uint16_t length)
{
	const struct mmvm_audit_zswap_layout *l = &a->root.zswap;
	const uint64_t ref = entry + l->entry_ref_offset;
	uint8_t block[MMVM_PAGE_SIZE], page[MMVM_PAGE_SIZE];
	uint64_t zspage, owner, class;
	uint32_t index;
	struct class c;

	if (!audit_steps(a, STEPS_OF_AN_OBJECT))
		return NULL;
	if (!get64(a, ref + l->ref_zspage_offset, &zspage) ||
	    !get32(a, ref + l->ref_index_offset, &index) ||
	    !get64(a, zspage + l->zspage_class_offset, &class) || !load_class(a, class, &c) ||
	    index >= c.objects)
		return "names no object";
	if (!get64(a, zspage + l->zspage_owners_offset + 8ull * index, &owner) || owner != ref)
		return "names an object that is not its own";
	if (length > c.size || length > sizeof(block) ||
	    !read_object(a, &c, zspage, index, block, length))
		return "is longer than its object";
	return lz4_decompress(block, length, page, sizeof(page)) == MMVM_PAGE_SIZE
		       ? NULL
		       : "does not decompress to a page";
}

/** Z4 of one slot, which has an entry. */
static void check_entry(struct audit *a, unsigned int t, uint64_t slot, uint64_t entry)
{
	const struct mmvm_audit_zswap_layout *l = &a->root.zswap;
	const struct mmvm_audit_swap *s = &a->root.swap[t];
	const char *bad = NULL;
	uint64_t e = 0;
	uint16_t length = 0;
	uint8_t byte = 0;

	if (audit_read(a, s->map_gva + slot, &byte, 1) || !(byte & s->no_disk_bit) ||
	    !(byte & (s->count_mask | s->has_cache_bit)))
		bad = "belongs to a slot that is free, or said to be on the disk";
	else if (!get64(a, entry + l->entry_slot_offset, &e) || e != ((uint64_t)t << 58 | slot))
		bad = "names another slot";
	else if (audit_read(a, entry + l->entry_length_offset, &length, sizeof(length)))
		bad = "is unreadable";
	else if (length)
		bad = object_is_bad(a, entry, length);
	if (bad)
		audit_find(a, AUDIT_ZSWAP_ENTRY, "area %u slot %" PRIu64 ": its entry %s", t, slot,
			   bad);
}

/** All slots of an area. Returns the entries. */
static uint64_t check_area(struct audit *a, unsigned int t)
{
	uint64_t gva = a->root.swap[t].zswap_gva, entries = 0;

	for (uint64_t slot = 1; slot < a->swap[t].nr && !a->over; slot++) {
		const uint8_t *page = audit_page_at(a, gva + 8 * slot);
		uint64_t entry;

		/* A page of pointers is one step; each entry is another. */
		if (!page || (gva + 8 * slot) % 8 ||
		    (((gva + 8 * slot) % MMVM_PAGE_SIZE == 0 || slot == 1) && !audit_step(a))) {
			audit_find(a, AUDIT_ZSWAP_ENTRY,
				   "area %u: entry of slot %" PRIu64 " is unreadable", t, slot);
			break;
		}
		memcpy(&entry, page + (gva + 8 * slot) % MMVM_PAGE_SIZE, sizeof(entry));
		if (!entry || !audit_step(a))
			continue;
		entries++;
		check_entry(a, t, slot, entry);
	}
	return entries;
}

void audit_zswap_check(struct audit *a)
{
	uint64_t entries = 0, stored = 0;

	for (uint32_t i = 0; i < a->nr_frames; i++)
		if ((a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL | SEEN_ZSPAGE)) == SEEN_IN_RAM &&
		    a->page[i].type == PAGE_ZSMALLOC)
			audit_find(a, AUDIT_ZSWAP_POOL, "frame %#" PRIx64 " is of no zspage",
				   frame_pfn(a, i));
	audit_level(a, NR_ZSPAGES, "nr_zspages", a->out->frames[PAGE_ZSMALLOC]);
	if (!a->root.zswap.classes_gva)
		return;
	for (unsigned int t = 0; t < MMVM_AUDIT_MAX_SWAP && !a->over; t++)
		if (a->swap[t].nr && a->root.swap[t].zswap_gva)
			entries += check_area(a, t);
	if (!a->over && (!get64(a, a->root.zswap.stored_gva, &stored) || stored != entries))
		audit_find(a, AUDIT_ZSWAP_COUNT,
			   "%" PRIu64 " pages stored by the count; slots have %" PRIu64, stored,
			   entries);
}
