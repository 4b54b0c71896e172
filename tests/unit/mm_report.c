/*
 * Reports: the format is Linux's to the letter where tools parse it, and the numbers agree with a walk of
 * memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "host.h"
#include "unit.h"
#include "lib/string.h"
#include "mm/init.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab_internal.h"
#include "mm/swap/swap.h"
#include "mm/kvirt/vmalloc.h"

static char text[65536];

static const char *produce(void (*producer)(struct report *r))
{
	struct report r = {text, sizeof(text), 0, false};

	memset(text, 0, sizeof(text));
	producer(&r);
	CU_ASSERT(!r.overflow);
	return text;
}

/* The number behind `label` at the start of a line; -1 if there is none. */
static long value_of(const char *report, const char *label)
{
	size_t len = strlen(label);

	for (const char *line = report; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, label, len) && (line[len] == ' ' || line[len] == ':'))
			return strtol(line + len + 1, NULL, 10);
	}
	return -1;
}

static void meminfo(void)
{
	struct page *p = alloc_pages(GFP_KERNEL, 5);
	const char *t = produce(report_meminfo);
	char line[64];

	snprintf(line, sizeof(line), "MemTotal:       %8lu kB\nMemFree:        %8lu kB\n",
		 totalram_pages() * 4, nr_free_pages() * 4);
	CU_ASSERT_EQUAL(strncmp(t, line, strlen(line)), 0);
	CU_ASSERT_EQUAL(value_of(t, "Slab"), (long)count_frames(PAGE_SLAB) * 4);
	CU_ASSERT_EQUAL(value_of(t, "SReclaimable") + value_of(t, "SUnreclaim"),
			value_of(t, "Slab"));
	CU_ASSERT_EQUAL(value_of(t, "PageTables"), (long)count_frames(PAGE_PGTABLE) * 4);
	CU_ASSERT_EQUAL(value_of(t, "KernelStack"), (long)count_frames(PAGE_STACK) * 4);
	CU_ASSERT_EQUAL(value_of(t, "VmallocUsed"), 12);
	CU_ASSERT_EQUAL(value_of(t, "SwapTotal"), (long)swap_total_pages() * 4);
	CU_ASSERT(value_of(t, "MemAvailable") > 0 &&
		  value_of(t, "MemAvailable") < value_of(t, "MemFree"));
	/* What free(1), top(1) and htop(1) look for. */
	for (const char *const *l =
		     (const char *const[]){"Buffers", "Cached", "Shmem", "SwapFree", "SwapCached",
					   "Active", "Inactive", "Active(anon)", "Inactive(anon)",
					   "Dirty", "Writeback", "AnonPages", "Mapped", "Mlocked",
					   "CommitLimit", "Committed_AS", "VmallocTotal", NULL};
	     *l; l++)
		CU_ASSERT(value_of(t, *l) >= 0);
	__free_pages(p, 5);
}

static void vmstat(void)
{
	const char *t = produce(report_vmstat);

	CU_ASSERT_EQUAL(value_of(t, "nr_free_pages"), (long)nr_free_pages());
	CU_ASSERT_EQUAL(value_of(t, "nr_page_table_pages"), (long)count_frames(PAGE_PGTABLE));
	CU_ASSERT_EQUAL(value_of(t, "pgalloc_dma") + value_of(t, "pgalloc_dma32") +
				value_of(t, "pgalloc_normal") + value_of(t, "pgalloc_high") +
				value_of(t, "pgalloc_movable") - value_of(t, "pgfree"),
			(long)(totalram_pages() - count_free()));
	CU_ASSERT_EQUAL(value_of(t, "mmvm_pcp_refill"), (long)sum_vm_event(MMVM_PCP_REFILL));
	CU_ASSERT_EQUAL(value_of(t, "pswpin"), 0);
}

static void buddyinfo(void)
{
	const char *line = produce(report_buddyinfo);
	unsigned long sum = 0;
	int zones = 0;

	for (; *line; line = strchr(line, '\n') + 1, zones++) {
		const char *at = line + strlen("Node 0, zone   Normal ");
		char name[16];
		int node;

		CU_ASSERT_EQUAL(sscanf(line, "Node %d, zone %15s", &node, name), 2);
		CU_ASSERT_STRING_EQUAL(name, zone_table[zones]->shared->name);
		for (int order = 0; order < NR_ORDERS; order++) {
			char *end;

			sum += strtoul(at, &end, 10) << order;
			CU_ASSERT(end >= at + 6); /* columns are six wide */
			at = end + 1;
		}
	}
	CU_ASSERT_EQUAL(zones, 3);
	CU_ASSERT_EQUAL(sum, nr_free_pages());
}

static void pagetypeinfo(void)
{
	const char *t = produce(report_pagetypeinfo), *at;
	unsigned long sum = 0, blocks = 0;

	CU_ASSERT_EQUAL(strncmp(t,
				"Page block order: 9\nPages per block:  512\n\nFree pages count "
				"per migrate type at order       0      1 ",
				80),
			0);
	for (at = t; (at = strstr(at, ", type ")); at++) {
		const char *number = at + strlen(", type    Unmovable ");

		for (int order = 0; order < NR_ORDERS; order++)
			sum += strtoul(number, (char **)&number, 10) << order;
	}
	CU_ASSERT_EQUAL(sum, nr_free_pages());
	at = strstr(t, "Number of blocks type ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	while ((at = strstr(at, "Node 0, zone "))) {
		at += strlen("Node 0, zone   Normal ");
		for (int type = 0; type < NR_MIGRATETYPES; type++)
			blocks += strtoul(at, (char **)&at, 10);
	}
	CU_ASSERT_EQUAL(blocks, 48 / 2);
}

static void zoneinfo(void)
{
	const char *t = produce(report_zoneinfo);

	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];
		char want[512];

		snprintf(want, sizeof(want),
			 "Node 0, zone %8s\n  pages free     %lu\n        boost    0\n        min  "
			 "    "
			 "%lu\n        low      %lu\n        high     %lu\n        spanned  %lu\n",
			 z->shared->name, (unsigned long)zone_stat(z, NR_FREE_PAGES),
			 z->watermark[WMARK_MIN], z->watermark[WMARK_LOW], z->watermark[WMARK_HIGH],
			 z->spanned);
		t = strstr(t, want);
		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		snprintf(want, sizeof(want), "\n        protection: (%lu, %lu, %lu, %lu, %lu)\n",
			 z->lowmem_reserve[0], z->lowmem_reserve[1], z->lowmem_reserve[2],
			 z->lowmem_reserve[3], z->lowmem_reserve[4]);
		CU_ASSERT_PTR_NOT_NULL(strstr(t, want));
		snprintf(want, sizeof(want),
			 "\n  pagesets\n    cpu: 0\n              count:    %u\n              "
			 "high:     "
			 "%u\n              batch:    %u\n",
			 per_cpu_ptr(z->pcp, 0)->count, per_cpu_ptr(z->pcp, 0)->high,
			 per_cpu_ptr(z->pcp, 0)->batch);
		CU_ASSERT_PTR_NOT_NULL(strstr(t, want));
		snprintf(want, sizeof(want), "\n  start_pfn:           %lu\n", z->start_pfn);
		CU_ASSERT_PTR_NOT_NULL(strstr(t, want));
	}
}

static void slabinfo(void)
{
	struct kmem_cache *c = kmem_cache_create("reported", 100, 0, 0, NULL);
	void *objs[50];
	const char *t;
	char want[256];

	for (int i = 0; i < 50; i++)
		objs[i] = kmem_cache_alloc(c, GFP_KERNEL);
	t = produce(report_slabinfo);
	CU_ASSERT_EQUAL(strncmp(t, "slabinfo - version: 2.1\n# name            <active_objs> ", 56),
			0);
	/* 104 bytes each, 39 to a page; those in the sheaf are not active. */
	snprintf(want, sizeof(want),
		 "\nreported              50     78    104   39    1 : tunables    0    0    0 : "
		 "slabdata      2      2      0\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(t, want));
	for (int i = 0; i < 50; i++)
		kmem_cache_free(c, objs[i]);
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
	CU_ASSERT_PTR_NULL(strstr(produce(report_slabinfo), "reported"));
}

static void vmallocinfo(void)
{
	void *regs = ioremap(0xd0000000, 0x200), *p = vmalloc(100), *q = vmalloc(5000);
	const char *t;
	char want[128];

	vfree(p);
	t = produce(report_vmallocinfo);
	snprintf(want, sizeof(want), "0x%lx-0x%lx    8192 ioremap phys=0xd0000000 ioremap\n",
		 (unsigned long)regs, (unsigned long)regs + 8192);
	CU_ASSERT_PTR_NOT_NULL(strstr(t, want));
	snprintf(want, sizeof(want), "0x%lx-0x%lx    8192 unpurged vm_area\n", (unsigned long)p,
		 (unsigned long)p + 8192);
	CU_ASSERT_PTR_NOT_NULL(strstr(t, want));
	snprintf(want, sizeof(want), "0x%lx-0x%lx   12288 vmalloc pages=2 vmalloc\n",
		 (unsigned long)q, (unsigned long)q + 12288);
	CU_ASSERT_PTR_NOT_NULL(strstr(t, want));
	vfree(q);
	iounmap(regs);
}

static void a_small_buffer_overflows_cleanly(void)
{
	char small[100];
	struct report r = {small, sizeof(small), 0, false};

	memset(small, 'x', sizeof(small));
	report_zoneinfo(&r);
	CU_ASSERT(r.overflow);
	CU_ASSERT(r.len < sizeof(small) && !small[r.len]);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"meminfo", meminfo},
		{"vmstat", vmstat},
		{"buddyinfo", buddyinfo},
		{"pagetypeinfo", pagetypeinfo},
		{"zoneinfo", zoneinfo},
		{"slabinfo", slabinfo},
		{"vmallocinfo", vmallocinfo},
		{"a small buffer overflows cleanly", a_small_buffer_overflows_cleanly},
	};

	host_boot_default("");
	if (!vmalloc(9000)) /* so that there is something to report */
		return 1;
	return unit_run("reports", cases, ARRAY_SIZE(cases));
}
