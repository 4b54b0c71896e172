/*
 * The audit of frames: each has one state, its references are right, and the totals agree.
 *
 *   A1  Each frame of RAM has one state: that of the one block head that covers it. A head is
 *       aligned to its order, within its range, and covered by no other. (page_state, page_overlap)
 *   A1' Tails agree with their head: those of a compound block (PG_head) name it and have refcount 0
 *       and, but for pages that users map, mapcount -1 and type INVALID or SLAB. No other page names a
 *       head. (folio_tail, stray_tail)
 *   A2  A free page has refcount 0 and mapcount -1. (free_refcount)
 *   A3  A page in use has refcount >= 1. Exactly: slab, page table, kernel stack 1;
 *         anon = PTEs that map it + 1 if in the swap cache + pins,
 *       where pins is 0, unless the page's flags say that somebody works on it: locked, writeback,
 *       isolated, or not on an LRU list (then it waits in a per-CPU batch, or was taken off to be
 *       reclaimed). A guest that asks for an audit is quiescent, so such pages are few.
 *       (used_refcount)
 *   A4  mapcount + 1 = user PTEs found that map it, for anon, file and shmem. (mapcount)
 *   A5  Pages by state add up to RAM; nothing is lost and nothing is there twice. (total)
 *   A6  Levels equal what the walk counted. (vmstat, free_pages, lru_count)
 */
#include "observe/audit_impl.h"

#include <errno.h>
#include <inttypes.h>

/** Copy the page array, one guest page of it (64 frames) at a time. */
static int load_pages(struct audit *a)
{
	a->page = calloc(a->nr_frames, sizeof(*a->page));
	a->frame = calloc(a->nr_frames, sizeof(*a->frame));
	if (!a->page || !a->frame)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->root.nr_ranges; i++) {
		const struct mmvm_audit_range *r = &a->root.range[i];
		uint64_t gva = a->root.vmemmap_gva + r->start_pfn * sizeof(struct page);

		if (audit_read(a, gva, &a->page[a->first_index[i]],
			       (r->end_pfn - r->start_pfn) * sizeof(struct page))) {
			audit_find(a, AUDIT_ROOT, "page array unreadable at %#" PRIx64, gva);
			return -EFAULT;
		}
	}
	return 0;
}

/** A1, and A2/A3 as far as they need nothing but the page itself. */
static void check_head(struct audit *a, uint32_t index, uint64_t pfn)
{
	const struct page *p = &a->page[index];

	if (type_is_free(p->type)) {
		if (p->refcount != 0 || p->mapcount != -1)
			audit_find(a, AUDIT_FREE_REFCOUNT,
				   "frame %#" PRIx64 ": %s page has refcount %d, mapcount %d; "
				   "expected 0, -1",
				   pfn, type_name(p->type), p->refcount, p->mapcount);
		return;
	}
	switch (p->type) {
	case PAGE_SLAB:
	case PAGE_PGTABLE:
	case PAGE_STACK:
	case PAGE_PERCPU:
		if (p->refcount != 1)
			audit_find(a, AUDIT_USED_REFCOUNT,
				   "frame %#" PRIx64 ": %s page has refcount %d; expected 1", pfn,
				   type_name(p->type), p->refcount);
		break;
	case PAGE_RESERVED:
	case PAGE_HUGETLB: /* without references while it is in its pool */
		break;
	default:
		if (p->refcount < 1)
			audit_find(a, AUDIT_USED_REFCOUNT,
				   "frame %#" PRIx64
				   ": %s page has refcount %d; expected 1 or more",
				   pfn, type_name(p->type), p->refcount);
	}
	if (!type_is_user(p->type) && p->type != PAGE_ZERO && p->type != PAGE_RESERVED &&
	    p->mapcount != -1)
		audit_find(a, AUDIT_MAPCOUNT,
			   "frame %#" PRIx64 ": %s page has mapcount %d; expected -1", pfn,
			   type_name(p->type), p->mapcount);
}

/** A1' of one block: `size` pages from `index` on. A block's first bad tail is enough to report. */
static void check_tails(struct audit *a, uint32_t index, uint64_t pfn, uint64_t size)
{
	const struct page *p = &a->page[index];
	const bool compound = p->flags & 1ull << PG_head;
	const uint64_t head = a->root.vmemmap_gva + pfn * sizeof(*p);

	if (p->lru.next & 1)
		audit_find(a, AUDIT_STRAY_TAIL,
			   "frame %#" PRIx64 ": %s page names head %#" PRIx64
			   ", but no compound block covers it",
			   pfn, type_name(p->type), p->lru.next - 1);
	if (compound && size == 1)
		audit_find(a, AUDIT_FOLIO_TAIL, "frame %#" PRIx64 ": %s page is a head of no tails",
			   pfn, type_name(p->type));
	for (uint64_t i = 1; i < size; i++) {
		const struct page *tail = p + i;

		if (!compound && (tail->lru.next & 1)) {
			audit_find(a, AUDIT_STRAY_TAIL,
				   "frame %#" PRIx64 " names head %#" PRIx64
				   ", but lies in a plain block (%s, order %u)",
				   pfn + i, tail->lru.next - 1, type_name(p->type), p->order);
			return;
		}
		if (compound && (tail->lru.next != (head | 1) || tail->refcount != 0 ||
				 (!type_is_user(p->type) && tail->mapcount != -1) ||
				 (tail->type != PAGE_INVALID && tail->type != PAGE_SLAB))) {
			audit_find(a, AUDIT_FOLIO_TAIL,
				   "frame %#" PRIx64 ": tail of a %s block of order %u has head "
				   "%#" PRIx64 ", refcount %d, mapcount %d, type %s; "
				   "expected head %#" PRIx64 ", 0, -1, invalid",
				   pfn + i, type_name(p->type), p->order,
				   tail->lru.next & ~UINT64_C(1), tail->refcount, tail->mapcount,
				   type_name(tail->type), head);
			return;
		}
	}
}

static void check_frames(struct audit *a)
{
	for (uint32_t r = 0; r < a->root.nr_ranges; r++) {
		uint64_t pfn = a->root.range[r].start_pfn, end = a->root.range[r].end_pfn;

		while (pfn < end) {
			uint32_t index =
				a->first_index[r] + (uint32_t)(pfn - a->root.range[r].start_pfn);
			struct page *p = &a->page[index];
			uint64_t size = 1;

			if (!frame_data(a, pfn)) {
				if (p->type != PAGE_INVALID && p->type != PAGE_RESERVED)
					audit_find(a, AUDIT_PAGE_STATE,
						   "frame %#" PRIx64
						   " is not RAM, but its type is %s",
						   pfn, type_name(p->type));
				pfn++;
				continue;
			}
			if (p->type == PAGE_INVALID || p->type >= NR_PAGE_TYPES) {
				audit_find(a, AUDIT_PAGE_STATE,
					   "frame %#" PRIx64 " is RAM, but its type is %u (%s)",
					   pfn, p->type, type_name(p->type));
				a->frame[index].seen |= SEEN_IN_RAM;
				a->out->frames[PAGE_INVALID]++;
				p->order = 0;
				pfn++;
				continue;
			}
			if (p->order >= (p->type == PAGE_HUGETLB ? 19 : MMVM_AUDIT_MAX_ORDERS) ||
			    (pfn & ((1ull << p->order) - 1)) || (1ull << p->order) > end - pfn) {
				audit_find(a, AUDIT_PAGE_STATE,
					   "frame %#" PRIx64
					   ": %s block of order %u is unaligned or "
					   "leaves its range",
					   pfn, type_name(p->type), p->order);
				p->order = 0; /* our copy: no shift by a wild number later */
			} else {
				size = 1ull << p->order;
			}
			check_head(a, index, pfn);
			check_tails(a, index, pfn, size);
			for (uint64_t i = 0; i < size; i++) {
				a->frame[index + i].seen |= SEEN_IN_RAM | (i ? SEEN_TAIL : 0);
				a->frame[index + i].state = p->type;
			}
			a->out->frames[p->type] += size;
			pfn += size;
		}
	}
}

/** A3 and A4 of pages that users map, once the tables were walked. */
static void check_user_pages(struct audit *a)
{
	const uint64_t busy = 1ull << PG_locked | 1ull << PG_writeback;

	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct page *p = &a->page[i];
		const struct frame *f = &a->frame[i];
		int64_t expected, pins;

		if (!(f->seen & SEEN_IN_RAM) || (f->seen & SEEN_TAIL) || !type_is_user(f->state))
			continue;
		if (p->order && (p->type == PAGE_ANON || p->type == PAGE_SHMEM)) {
			audit_thp_folio(a, i);
			continue;
		}
		if ((int64_t)p->mapcount + 1 != f->mapped)
			audit_find(a, AUDIT_MAPCOUNT,
				   "frame %#" PRIx64 ": %s page has mapcount %d; %u PTEs map it",
				   frame_pfn(a, i), type_name(p->type), p->mapcount, f->mapped);
		expected = (int64_t)f->mapped + f->piped + !!(p->flags & 1ull << PG_swapcache);
		pins = 0;
		if (p->flags & busy)
			pins += 2;
		if (!(p->flags & 1ull << PG_lru))
			pins += 1;
		if (p->type != PAGE_ANON && p->type != PAGE_KSM) {
			audit_cache_page(a, i, pins);
			continue;
		}
		if (p->refcount < expected || p->refcount > expected + pins)
			audit_find(a, AUDIT_USED_REFCOUNT,
				   "frame %#" PRIx64
				   ": %s page has refcount %d; %u PTEs, %u pipes%s, at most "
				   "%" PRId64 " pins (flags %#" PRIx64 ")",
				   frame_pfn(a, i), type_name(p->type), p->refcount, f->mapped,
				   f->piped,
				   p->flags & 1ull << PG_swapcache ? " and the swap cache" : "",
				   pins, p->flags & UINT64_C(0xffffffffff));
	}
}

/** A5. */
static void check_total(struct audit *a)
{
	struct audit_result *r = a->out;
	uint64_t sum = 0;

	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++)
		sum += r->frames[t];
	if (sum != r->ram_frames)
		audit_find(a, AUDIT_TOTAL, "%" PRIu64 " frames have a state, but RAM has %" PRIu64,
			   sum, r->ram_frames);
}

void audit_level(struct audit *a, enum zone_stat_item item, const char *name, uint64_t expected)
{
	const struct mmvm_shared *s = a->src->shared;
	uint64_t sum = 0;

	for (uint32_t z = 0; z < MMVM_MAX_ZONES; z++)
		if (a->root.zone[z].present)
			sum += (uint64_t)s->zone[z].stat[item];
	if (sum != expected)
		audit_find(a, AUDIT_VMSTAT, "%s is %" PRId64 "; counted %" PRIu64, name,
			   (int64_t)sum, expected);
}

/** A6. */
static void check_levels(struct audit *a)
{
	const uint64_t *frames = a->out->frames;
	uint64_t anon_mapped = 0, swapcache = 0;

	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];

		if (!(f->seen & SEEN_IN_RAM) || (f->seen & SEEN_TAIL))
			continue;
		if (f->state == PAGE_ANON)
			anon_mapped += audit_thp_mapped(a, i);
		else if (f->state == PAGE_KSM)
			anon_mapped += f->mapped != 0;
		if (type_is_user(f->state) && (a->page[i].flags & 1ull << PG_swapcache))
			swapcache += 1ull << a->page[i].order;
	}
	audit_level(a, NR_ANON_MAPPED, "nr_anon_pages", anon_mapped);
	audit_level(a, NR_SWAPCACHE, "nr_swapcached", swapcache);
	audit_level(a, NR_PAGETABLE, "nr_page_table_pages", frames[PAGE_PGTABLE]);
	audit_level(a, NR_VMALLOC, "nr_vmalloc", frames[PAGE_VMALLOC]);
}

int audit_frames(struct audit *a)
{
	int err = load_pages(a);

	if (!err)
		check_frames(a);
	return err;
}

void audit_frames_check(struct audit *a)
{
	check_user_pages(a);
	check_total(a);
	check_levels(a);
}
