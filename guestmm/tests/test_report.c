/* The reports: Linux's names and forms, and numbers that agree with the counters. */
#include "mm/init.h"
#include "tests/tests.h"

#define MEM "memory=24M,high=4M"

static char text[16384];

static const char *make(struct test *t, void (*producer)(struct report *r))
{
	struct report r = {.buf = text, .size = sizeof(text)};

	producer(&r);
	CHECK(!r.overflow);
	CHECK(r.len > 0 && text[r.len - 1] == '\n');
	return text;
}

/** The number behind `key` at the start of a line, or -1. */
static s64 value_of(const char *report, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = report; line; line = strchr(line, '\n')) {
		s64 v = 0;

		if (*line == '\n')
			line++;
		if (strncmp(line, key, n) || (line[n] != ' ' && line[n] != ':'))
			continue;
		for (line += n; *line == ' ' || *line == ':';)
			line++;
		if (*line < '0' || *line > '9')
			return -1;
		for (; *line >= '0' && *line <= '9'; line++)
			v = v * 10 + (*line - '0');
		return v;
	}
	return -1;
}

GUEST_TEST(report, meminfo_agrees_with_the_counters, 0, 0, MEM)
{
	static const char *const keys[] = {
		"MemTotal",    "MemFree",    "MemAvailable", "Active(anon)", "Inactive(anon)",
		"SwapTotal",   "SwapFree",   "Dirty",	     "Writeback",    "AnonPages",
		"Mapped",      "Shmem",	     "Slab",	     "SReclaimable", "SUnreclaim",
		"KernelStack", "PageTables", "CommitLimit",  "Committed_AS", "VmallocTotal",
		"VmallocUsed"};
	const char *r;

	drain_all_pages();
	r = make(t, report_meminfo);
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++)
		if (value_of(r, keys[i]) < 0)
			test_fail(t, __FILE__, __LINE__, "meminfo has no %s", keys[i]);
	CHECK_EQ(value_of(r, "MemTotal"), totalram_pages() * 4);
	CHECK_EQ(value_of(r, "MemFree"), nr_free_pages() * 4);
	CHECK_EQ(value_of(r, "Slab"), value_of(r, "SReclaimable") + value_of(r, "SUnreclaim"));
	CHECK_EQ(value_of(r, "PageTables"), global_stat(NR_PAGETABLE) * 4);
	CHECK_EQ(value_of(r, "KernelStack"), global_stat(NR_KERNEL_STACK_KB));
	CHECK(value_of(r, "MemAvailable") <= value_of(r, "MemTotal"));
	CHECK(strstr(r, " kB\n"));
}

GUEST_TEST(report, vmstat_names_every_counter, 0, 0, MEM)
{
#define EVENT(id, name) {name, id},
	static const struct {
		const char *name;
		int id;
	} events[] = {MMVM_VM_EVENTS(EVENT)}, levels[] = {MMVM_ZONE_STATS(EVENT)};
	const char *r = make(t, report_vmstat);

	for (unsigned int i = 0; i < ARRAY_SIZE(events); i++)
		if (value_of(r, events[i].name) < 0)
			test_fail(t, __FILE__, __LINE__, "vmstat has no %s", events[i].name);
	for (unsigned int i = 0; i < ARRAY_SIZE(levels); i++)
		if (value_of(r, levels[i].name) < 0)
			test_fail(t, __FILE__, __LINE__, "vmstat has no %s", levels[i].name);
	CHECK_EQ(value_of(r, "pgfree"), ev(PGFREE));
	CHECK_EQ(value_of(r, "nr_free_pages"), nr_free_pages());
}

/** Next number in a text, from *p on. */
static bool next_number(const char **p, u64 *v)
{
	while (**p && (**p < '0' || **p > '9'))
		(*p)++;
	if (!**p)
		return false;
	for (*v = 0; **p >= '0' && **p <= '9'; (*p)++)
		*v = *v * 10 + (**p - '0');
	return true;
}

GUEST_TEST(report, buddyinfo_adds_up_to_the_free_pages, 0, 0, MEM)
{
	u64 pages = 0, zones = 0;
	const char *r;

	drain_all_pages();
	r = make(t, report_buddyinfo);
	for (const char *line = strstr(r, "Node 0, zone"); line;
	     line = strstr(line, "Node 0, zone")) {
		zones++;
		line += strlen("Node 0, zone");
		while (*line == ' ')
			line++;
		line = strchr(line, ' '); /* behind the name, which may hold a digit */
		REQUIRE(line);
		for (unsigned int order = 0; order < NR_ORDERS; order++) {
			u64 n = 0;

			CHECK(next_number(&line, &n));
			pages += n << order;
		}
	}
	CHECK(zones >= 2);
	CHECK_EQ(pages, nr_free_pages());
}

GUEST_TEST(report, zoneinfo_shows_marks_and_levels, 0, 0, MEM)
{
	const char *r = make(t, report_zoneinfo);
	static const char *const words[] = {"Node 0, zone", "pages free", "min",
					    "low",	    "high",	  "spanned",
					    "present",	    "managed",	  "protection"};

	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
		if (!strstr(r, words[i]))
			test_fail(t, __FILE__, __LINE__, "zoneinfo has no \"%s\"", words[i]);
}

GUEST_TEST(report, slabinfo_counts_objects, 0, 0, MEM)
{
	struct kmem_cache *c = kmem_cache_create("reported", 256, 8, 0, NULL);
	static void *obj[40];
	const char *r, *line;
	u64 active = 0, total = 0, size = 0;

	REQUIRE(c);
	for (int i = 0; i < 40; i++)
		obj[i] = kmem_cache_alloc(c, GFP_KERNEL);
	r = make(t, report_slabinfo);
	CHECK(strstr(r, "slabinfo - version: 2.1"));
	CHECK(strstr(r, "kmalloc-64"));
	line = strstr(r, "reported");
	REQUIRE(line);
	CHECK(next_number(&line, &active) && next_number(&line, &total) &&
	      next_number(&line, &size));
	CHECK(active >= 40);
	CHECK(total >= active);
	CHECK_EQ(size, 256);
	for (int i = 0; i < 40; i++)
		kmem_cache_free(c, obj[i]);
	CHECK_EQ(kmem_cache_destroy(c), 0);
	CHECK(!strstr(make(t, report_slabinfo), "reported"));
}

static void huge_report(struct report *r)
{
	for (int i = 0; i < 400; i++)
		report_printf(
			r,
			"line %d of a report that is long, and its lines are long, too: as long "
			"as it takes to fill the largest record that there can be, which is "
			"64 KiB with its header\n",
			i);
}

GUEST_TEST(report, reports_of_any_length_reach_the_host, 0, 0, MEM)
{
	u64 before = settled_free_pages();

	testchan_report("meminfo", report_meminfo);
	testchan_report("slabinfo", report_slabinfo);
	testchan_report("long", huge_report); /* cut at the largest record */
	CHECK_EQ(settled_free_pages(), before);
	/* With no memory at all the report says so, and nothing breaks. */
	alloc_fail_nth(1);
	testchan_report("meminfo", report_meminfo);
	alloc_fail_nth(0);
	CHECK_EQ(testchan_call(MMVM_REC_DISK_STATS, "no-such-disk", 0, 0, NULL, 0) < 0, true);
	CHECK_EQ(testchan_call((enum mmvm_record_kind)999, "", 0, 0, NULL, 0) < 0, true);
}
