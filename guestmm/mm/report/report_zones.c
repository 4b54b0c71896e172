/*
 * /proc/buddyinfo, /proc/pagetypeinfo and /proc/zoneinfo, in Linux 6.12's format. The first two read the free lists
 * under zone->lock, one zone at a time: each line is consistent, the table as a whole is not a snapshot.
 */
#include "mm/move/compaction.h"
#include "mm/phys/device.h"
#include "mm/init.h"
#include "mm/phys/internal.h"

static const char *const type_name[NR_MIGRATETYPES] = {"Unmovable", "Movable", "Reclaimable",
						       "CMA"};

static void zone_label(struct report *r, const struct zone *z)
{
	report_printf(r, "Node %d, zone %8s", z->node->id, z->shared->name);
}

void report_buddyinfo(struct report *r)
{
	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];
		unsigned long flags;

		zone_label(r, z);
		report_printf(r, " ");
		flags = spin_lock_irqsave(&z->lock);
		for (unsigned int o = 0; o < NR_ORDERS; o++)
			report_printf(r, "%6lu ", (unsigned long)z->free_area[o].nr_free);
		spin_unlock_irqrestore(&z->lock, flags);
		report_printf(r, "\n");
	}
}

void report_pagetypeinfo(struct report *r)
{
	report_printf(r, "Page block order: %d\nPages per block:  %lu\n\n", PAGEBLOCK_ORDER,
		      1ul << PAGEBLOCK_ORDER);
	report_printf(r, "%-43s ", "Free pages count per migrate type at order");
	for (unsigned int o = 0; o < NR_ORDERS; o++)
		report_printf(r, "%6u ", o);
	report_printf(r, "\n");
	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];

		for (unsigned int t = 0; t < NR_MIGRATETYPES; t++) {
			unsigned long flags;

			report_printf(r, "Node %4d, zone %8s, type %12s ", z->node->id,
				      z->shared->name, type_name[t]);
			flags = spin_lock_irqsave(&z->lock);
			for (unsigned int o = 0; o < NR_ORDERS; o++)
				report_printf(r, "%6lu ",
					      list_length(&z->free_area[o].free_list[t]));
			spin_unlock_irqrestore(&z->lock, flags);
			report_printf(r, "\n");
		}
	}

	report_printf(r, "\n%-23s", "Number of blocks type ");
	for (unsigned int t = 0; t < NR_MIGRATETYPES; t++)
		report_printf(r, "%12s ", type_name[t]);
	report_printf(r, "\n");
	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];
		unsigned long count[NR_MIGRATETYPES] = {0};
		pfn_t end = z->start_pfn + z->spanned;

		for (pfn_t pfn = ALIGN_DOWN(z->start_pfn, 1ul << PAGEBLOCK_ORDER); pfn < end;
		     pfn += 1ul << PAGEBLOCK_ORDER)
			count[page_migratetype(z, pfn_to_page(pfn))]++;
		zone_label(r, z);
		report_printf(r, " ");
		for (unsigned int t = 0; t < NR_MIGRATETYPES; t++)
			report_printf(r, "%12lu ", count[t]);
		report_printf(r, "\n");
	}
}

static void mark(struct report *r, const char *label, unsigned long pages)
{
	report_printf(r, "\n        %-8s %lu", label, pages);
}

static void one_zone(struct report *r, const struct zone *z)
{
	zone_label(r, z);
	report_printf(r, "\n  pages free     %ld", (long)zone_stat(z, NR_FREE_PAGES));
	mark(r, "boost", z->watermark_boost);
	mark(r, "min", z->watermark[WMARK_MIN]);
	mark(r, "low", z->watermark[WMARK_LOW]);
	mark(r, "high", z->watermark[WMARK_HIGH]);
	mark(r, "spanned", z->spanned);
	mark(r, "present", z->present);
	mark(r, "managed", z->managed);
	mark(r, "cma", z->cma_pages);
	report_printf(r, "\n        protection: (");
	for (int t = 0; t < MAX_NR_ZONES; t++)
		report_printf(r, "%s%lu", t ? ", " : "", (unsigned long)z->lowmem_reserve[t]);
	report_printf(r, ")");
#define X(item, name) report_printf(r, "\n      %-12s %ld", name, (long)zone_stat(z, item));
	MMVM_ZONE_STATS(X)
#undef X
	report_printf(r, "\n  pagesets");
	for (unsigned int cpu = 0; cpu < mmvm_shared->nr_cpus && cpu < nr_cpu_ids; cpu++) {
		const struct per_cpu_pages *pcp = per_cpu_ptr(z->pcp, cpu);

		report_printf(
			r,
			"\n    cpu: %u\n              count:    %u\n              high:     %u"
			"\n              batch:    %u",
			cpu, pcp->count, pcp->high, pcp->batch);
	}
	report_printf(r, "\n  node_unreclaimable:  %u\n  start_pfn:           %lu\n",
		      z->node->reclaim_failures >= 16, (unsigned long)z->start_pfn);
}

/* As Linux shows a zone without memory: only what it spans. */
static void device_zone(struct report *r)
{
	static const char *const none[] = {"boost", "min", "low", "high"};
	unsigned long start = device_range[0].start;

	report_printf(r, "Node %d, zone %8s\n  pages free     0", 0, "Device");
	for (unsigned int i = 0; i < ARRAY_SIZE(none); i++)
		mark(r, none[i], 0);
	mark(r, "spanned", device_range[nr_device_ranges - 1].end - start);
	mark(r, "present", 0);
	mark(r, "managed", 0);
	mark(r, "cma", 0);
	report_printf(r, "\n        protection: (");
	for (int t = 0; t < MAX_NR_ZONES; t++)
		report_printf(r, "%s0", t ? ", " : "");
	report_printf(r, ")\n");
}

void report_zoneinfo(struct report *r)
{
	for (unsigned int i = 0; i < nr_zones; i++)
		one_zone(r, zone_table[i]);
	if (nr_device_ranges)
		device_zone(r);
}

static void frag_report(struct report *r,
			int (*index)(const struct frag_info *f, unsigned int order))
{
	for (unsigned int i = 0; i < nr_zones; i++) {
		const struct zone *z = zone_table[i];

		zone_label(r, z);
		report_printf(r, " ");
		for (unsigned int o = 0; o < NR_ORDERS; o++) {
			struct frag_info f = fragmentation_info(z, o);
			int n = index(&f, o);

			report_printf(r, "%s%d.%03d ", n < 0 ? "-" : "", (n < 0 ? -n : n) / 1000,
				      (n < 0 ? -n : n) % 1000);
		}
		report_printf(r, "\n");
	}
}

void report_extfrag_index(struct report *r)
{
	frag_report(r, fragmentation_index);
}

void report_unusable_index(struct report *r)
{
	frag_report(r, unusable_index);
}
