/*
 * The audit of ZONE_DEVICE: frames that are a file of the host (virtio-pmem), and the files of the guest that lie
 * there and are mapped without a page cache.
 *
 *   M1  A range that the guest has is the range of a device. Each of its frames has type DEVICE, one reference, no
 *       mapcount, the zone index that no zone has, and none of the flags of pages that are on an LRU, in a swap
 *       cache, charged, or part of a larger page. One that no file has mapped is on no list. (pmem_page)
 *   M2  A user leaf that maps such a frame is a PTE, special and devmap, in a VMA of a file that is in place (dax);
 *       the frame's page has that file and the page offset of the address. So truncation finds it. A devmap leaf
 *       maps nothing else. (pmem_mapping)
 *   M3  It is writable only in a shared mapping, and only while the page is dirty. (pmem_dirty)
 *   M4  The tree of such a file is empty: nothing is read or written that is not where it lies. (pmem_mapping)
 *   M5  Of the flushes that the guest has asked for, the devices have answered no more; and the guest has
 *       not seen more answers than they gave. (pmem_flush)
 *
 * Bounds: device ranges are the machine's, not the guest's, and a step of the budget is added for each of their
 * frames (audit.c).
 */
#include <inttypes.h>
#include <stddef.h>

#include "observe/audit_impl.h"

#define PTE_SPECIAL (1ull << 9)

static bool range_of_device(const struct audit *a, const struct mmvm_audit_range *r)
{
	for (unsigned int i = 0; i < a->src->nr_pmem; i++)
		if (r->start_pfn << MMVM_PAGE_SHIFT == a->src->pmem[i].gpa &&
		    (r->end_pfn - r->start_pfn) << MMVM_PAGE_SHIFT == a->src->pmem[i].size)
			return true;
	return false;
}

bool audit_is_device(const struct audit *a, uint64_t pfn)
{
	for (unsigned int i = 0; i < a->src->nr_pmem; i++)
		if (pfn >= a->src->pmem[i].gpa >> MMVM_PAGE_SHIFT &&
		    pfn - (a->src->pmem[i].gpa >> MMVM_PAGE_SHIFT) < a->src->pmem[i].size >>
			    MMVM_PAGE_SHIFT)
			return true;
	return false;
}

static int read_page(struct audit *a, uint64_t pfn, struct page *p)
{
	return audit_read(a, a->root.vmemmap_gva + pfn * sizeof(*p), p, sizeof(*p));
}

/* ---- M1 ----------------------------------------------------------------------------------------- */

static const char *wrong_page(const struct audit *a, uint64_t pfn, const struct page *p)
{
	const uint64_t forbidden = 1ull << PG_lru | 1ull << PG_active | 1ull << PG_unevictable |
				   1ull << PG_swapcache | 1ull << PG_swapbacked | 1ull << PG_head |
				   1ull << PG_writeback | 1ull << PG_isolated | 1ull << PG_charged;
	const uint64_t lru = a->root.vmemmap_gva + pfn * sizeof(*p) + offsetof(struct page, lru);
	const bool alone = p->lru.next == lru && p->lru.prev == lru;

	if (p->type != PAGE_DEVICE || p->order)
		return "is no single page of a device";
	if (p->refcount != 1 || p->mapcount != -1)
		return "is referred to";
	if ((p->flags >> PAGE_ZONE_SHIFT & PAGE_ZONE_MASK) != PAGE_ZONE_DEVICE)
		return "is in a zone";
	if (p->flags & forbidden)
		return "has a flag of memory that is managed";
	if (!p->mapping && (!alone || p->flags & 1ull << PG_dirty))
		return "is no file's, but on a list or dirty";
	return NULL;
}

static void check_range(struct audit *a, const struct mmvm_audit_range *r)
{
	struct page p;

	for (uint64_t pfn = r->start_pfn; pfn < r->end_pfn && audit_step(a); pfn++) {
		const char *why = "has no struct page";

		if (!read_page(a, pfn, &p))
			why = wrong_page(a, pfn, &p);
		if (why)
			audit_find(a, AUDIT_PMEM_PAGE,
				   "frame %#" PRIx64
				   " of a device (%s, refcount %d, flags %#" PRIx64 ") %s",
				   pfn, type_name(p.type), p.refcount, p.flags, why);
	}
}

/* ---- M2, M3, M4 ----------------------------------------------------------------------------------- */

/** What the leaf should have been, or NULL. */
static const char *wrong_leaf(struct audit *a, const struct vma_range *v, uint64_t addr,
			      uint64_t entry, const struct page *p)
{
	const struct mmvm_audit_mapping_layout *l = &a->root.mapping;
	uint32_t flags;
	uint64_t pages;

	if (!(entry & PTE_SPECIAL) || !(entry & MMVM_PTE_DEVMAP))
		return "is not marked as a device's";
	if (!v || !a->root.rmap.vma_chains_offset)
		return NULL; /* no VMA is a finding already */
	if (!v->mapping || audit_read(a, v->mapping + l->flags_offset, &flags, sizeof(flags)) ||
	    !(flags & a->root.device.dax_flag))
		return "is not in a mapping of a file that is in place";
	if (p->mapping != v->mapping)
		return "is another file's, or no file's";
	if (p->index != v->pgoff + ((addr - v->start) >> MMVM_PAGE_SHIFT))
		return "is another page of its file";
	if (audit_read(a, v->mapping + l->nrpages_offset, &pages, sizeof(pages)) || pages)
		return "is of a file that has pages in its cache, too";
	return NULL;
}

bool audit_pmem_leaf(struct audit *a, uint64_t mm, const struct vma_range *v, uint64_t addr,
		     uint64_t entry, unsigned int level)
{
	const uint64_t pfn = (entry & GUEST_PTE_ADDR) >> MMVM_PAGE_SHIFT;
	const char *why = NULL;
	struct page p = {0};

	if (!audit_is_device(a, pfn)) {
		if (entry & MMVM_PTE_DEVMAP && entry & GUEST_PTE_PRESENT)
			audit_find(a, AUDIT_PMEM_MAPPING,
				   "mm %#" PRIx64 ": %#" PRIx64
				   " is marked as a device's, but maps "
				   "frame %#" PRIx64,
				   mm, addr, pfn);
		return false;
	}
	if (level || read_page(a, pfn, &p))
		why = "is in a large leaf, or has no struct page";
	else
		why = wrong_leaf(a, v, addr, entry, &p);
	if (why)
		audit_find(a, AUDIT_PMEM_MAPPING,
			   "mm %#" PRIx64 ": %#" PRIx64 " maps frame %#" PRIx64 ", which %s", mm,
			   addr, pfn, why);
	if ((entry & GUEST_PTE_WRITE) &&
	    (!(p.flags & 1ull << PG_dirty) || (v && !(v->flags & MMVM_VM_SHARED))))
		audit_find(a, AUDIT_PMEM_DIRTY,
			   "mm %#" PRIx64 ": %#" PRIx64 " may write to frame %#" PRIx64 "%s", mm,
			   addr, pfn,
			   p.flags & 1ull << PG_dirty ? " by a private mapping"
						      : ", which is not dirty");
	return true;
}

/* ---- M5 ----------------------------------------------------------------------------------------- */

static void check_flushes(struct audit *a)
{
	const struct mmvm_audit_device *d = &a->root.device;
	const uint64_t device = a->src->pmem_flushes;
	uint64_t issued, done;

	if (audit_read(a, d->issued_gva, &issued, sizeof(issued)) ||
	    audit_read(a, d->done_gva, &done, sizeof(done)))
		audit_find(a, AUDIT_PMEM_FLUSH, "the counts are unreadable");
	else if (done > device || device > issued)
		audit_find(a, AUDIT_PMEM_FLUSH,
			   "the guest has asked for %" PRIu64 " flushes and seen %" PRIu64
			   " answered; the devices have answered %" PRIu64,
			   issued, done, device);
}

int audit_pmem(struct audit *a)
{
	const struct mmvm_audit_device *d = &a->root.device;

	if (d->nr_ranges > MMVM_MAX_PMEM) {
		audit_find(a, AUDIT_PMEM_PAGE, "%u ranges of devices", d->nr_ranges);
		return 0;
	}
	for (uint32_t i = 0; i < d->nr_ranges; i++) {
		if (range_of_device(a, &d->range[i]))
			check_range(a, &d->range[i]);
		else
			audit_find(a, AUDIT_PMEM_PAGE,
				   "frames [%#" PRIx64 ", %#" PRIx64 ") are no device's",
				   d->range[i].start_pfn, d->range[i].end_pfn);
	}
	if (d->nr_ranges)
		check_flushes(a);
	return 0;
}
