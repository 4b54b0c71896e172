/*
 * The audit of transparent huge pages: large folios of anonymous and of shared memory.
 *
 *   H1  entire_mapcount = PMDs that map it; each page's mapcount = its PTEs; large_mapcount = both
 *       together; nr_pages_mapped agrees. (mapcount)
 *   H2  References = mappings, one for the page cache, and a few more where somebody looks at it.
 *       (used_refcount)
 *   H3  The deferred list holds large anonymous folios of which some pages are mapped and some are
 *       not, as many as are counted. (thp_deferred)
 *   H4  nr_anon_transparent_hugepages = folios that a PMD maps. (vmstat)
 *
 * Where shared memory has its folios is checked in audit_mapping.c. That each PMD has a table
 * deposited is checked where tables are walked (audit_mm.c).
 */
#include <inttypes.h>
#include <stddef.h>

#include "observe/audit_impl.h"

#define UNIT_PTE      2
#define UNIT_ENTIRELY 0x800000
#define PINS	      20

uint64_t audit_thp_mapped(const struct audit *a, uint32_t i)
{
	uint64_t n = 0;

	if (a->frame[i].pmd)
		return 1ull << a->page[i].order;
	for (uint64_t k = 0; k < 1ull << a->page[i].order; k++)
		n += a->frame[i + k].mapped != 0;
	return n;
}

void audit_thp_folio(struct audit *a, uint32_t i)
{
	const struct folio_counts *c = (const struct folio_counts *)&a->page[i + 1];
	uint64_t nr = 1ull << a->page[i].order, ptes = 0, with_pte = 0;
	int64_t total, parts;

	for (uint64_t k = 0; k < nr; k++) {
		const struct frame *f = &a->frame[i + k];

		ptes += f->mapped;
		with_pte += f->mapped != 0;
		if ((int64_t)a->page[i + k].mapcount + 1 != f->mapped)
			audit_find(
				a, AUDIT_MAPCOUNT,
				"frame %#" PRIx64 ": page of a huge page has mapcount %d; %u PTEs "
				"map it",
				frame_pfn(a, i + (uint32_t)k), a->page[i + k].mapcount, f->mapped);
	}
	total = (int64_t)(ptes + a->frame[i].pmd);
	parts = (int64_t)with_pte * UNIT_PTE + (a->frame[i].pmd ? UNIT_ENTIRELY : 0);
	if ((int64_t)c->entire_mapcount + 1 != a->frame[i].pmd ||
	    (int64_t)c->large_mapcount + 1 != total || c->nr_pages_mapped != parts)
		audit_find(a, AUDIT_MAPCOUNT,
			   "frame %#" PRIx64 ": huge page counts %d PMDs, %d mappings, %#x mapped; "
			   "found %u, %" PRId64 ", %#" PRIx64,
			   frame_pfn(a, i), c->entire_mapcount + 1, c->large_mapcount + 1,
			   (unsigned int)c->nr_pages_mapped, a->frame[i].pmd, total,
			   (uint64_t)parts);
	total += a->page[i].type == PAGE_SHMEM && a->page[i].mapping;
	total += a->frame[i].piped;
	if (a->page[i].refcount < total || a->page[i].refcount > total + PINS)
		audit_find(a, AUDIT_USED_REFCOUNT,
			   "frame %#" PRIx64 ": huge page has refcount %d; %" PRId64
			   " mappings, pipes and places in the page cache",
			   frame_pfn(a, i), a->page[i].refcount, total);
}

int audit_thp(struct audit *a)
{
	uint64_t node, claimed = 0, n = 0;
	struct list_walk w;
	const char *why = "unreadable";
	int ret = -1;

	if (!a->root.thp_deferred_gva)
		return 0;
	if (!list_walk_start(a, &w, a->root.thp_deferred_gva, a->nr_frames))
		while ((ret = list_walk_next(a, &w, &node, &why)) > 0) {
			uint64_t link = offsetof(struct folio_links, deferred);
			uint32_t i = frame_of_lru(a, node - link + offsetof(struct page, lru) -
							     2 * sizeof(struct page));

			n++;
			if (i == NO_FRAME || a->page[i].type != PAGE_ANON || a->page[i].order < 2 ||
			    (a->frame[i].seen & SEEN_TAIL))
				audit_find(a, AUDIT_THP_DEFERRED,
					   "node %#" PRIx64 " is in no large anonymous folio",
					   node);
			else
				a->frame[i].seen |= SEEN_DEFERRED;
		}
	if (ret < 0)
		audit_find(a, AUDIT_THP_DEFERRED, "list of folios to be split: %s", why);
	audit_read(a, a->root.thp_nr_deferred_gva, &claimed, sizeof(claimed));
	if (claimed != n)
		audit_find(a, AUDIT_THP_DEFERRED,
			   "%" PRIu64 " folios are to be split; found %" PRIu64, claimed, n);
	return 0;
}

void audit_thp_check(struct audit *a)
{
	uint64_t pmd_mapped = 0;

	for (uint32_t i = 0; i < a->nr_frames; i++) {
		uint64_t mapped;

		if ((a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM ||
		    a->frame[i].state != PAGE_ANON || !a->page[i].order)
			continue;
		pmd_mapped += a->frame[i].pmd != 0;
		mapped = audit_thp_mapped(a, i);
		if ((a->frame[i].seen & SEEN_DEFERRED) &&
		    (a->frame[i].pmd || !mapped || mapped == 1ull << a->page[i].order))
			audit_find(a, AUDIT_THP_DEFERRED,
				   "frame %#" PRIx64 " is to be split, but %" PRIu64
				   " of its pages are mapped, by %u PMDs",
				   frame_pfn(a, i), mapped, a->frame[i].pmd);
	}
	audit_level(a, NR_ANON_THPS, "nr_anon_transparent_hugepages", pmd_mapped);
}
