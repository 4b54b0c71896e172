/*
 * Access sampling on the host's side: names of methods, working sets by window, heat, bounds, the
 * method that drops mappings, and a result through JSON, table and page.
 */
#include <CUnit/Basic.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "devices/device.h"
#include "observe/access.h"
#include "report/report.h"
#include "../host/unit.h"

#define MIB    0x100000ull
#define BIT(m) (1u << (m))

static void names(void)
{
	static const struct {
		const char *text;
		unsigned int methods;
		bool all;
		int rc;
	} cases[] = {
		{"none", 0, false, 0},
		{"guest", BIT(ACCESS_GUEST), false, 0},
		{"host", BIT(ACCESS_UNMAP), false, 0},
		{"unmap,dirty", BIT(ACCESS_UNMAP) | BIT(ACCESS_DIRTY), false, 0},
		{"all", BIT(NR_ACCESS_METHODS) - 1, true, 0},
		{"guest,guest,refs", BIT(ACCESS_GUEST) | BIT(ACCESS_REFS), false, 0},
		{"", 0, false, -EINVAL},
		{",", 0, false, -EINVAL},
		{"guest,", 0, false, -EINVAL},
		{"gues", 0, false, -EINVAL},
		{"guests", 0, false, -EINVAL},
		{"none,guest", 0, false, -EINVAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int methods = 99;
		bool all = true;

		CU_ASSERT_EQUAL(access_parse(cases[i].text, &methods, &all), cases[i].rc);
		if (cases[i].rc)
			continue;
		CU_ASSERT_EQUAL(methods, cases[i].methods);
		CU_ASSERT_EQUAL(all, cases[i].all);
	}
	for (unsigned int i = 0; i < NR_ACCESS_METHODS; i++) {
		unsigned int methods;
		bool all;

		CU_ASSERT_EQUAL(
			access_parse(access_method_name((enum access_method)i), &methods, &all), 0);
		CU_ASSERT_EQUAL(methods, BIT(i));
	}
}

static void start(struct access_watch *w, unsigned int methods)
{
	struct machine_config c = {.ram_low = 8 * MIB, .ram_high = 8 * MIB};

	CU_ASSERT_EQUAL_FATAL(access_init(w, methods, &c, 50, 0), 0);
	CU_ASSERT_EQUAL(c.access_ms, methods & BIT(ACCESS_GUEST) ? 50 : 0);
}

/** A sample is over. */
static void point(struct access_watch *w)
{
	pthread_mutex_lock(&w->lock);
	access_point(w, ACCESS_UNMAP);
	pthread_mutex_unlock(&w->lock);
}

/** A sample in which frames [from, to) were accessed. */
static void seen(struct access_watch *w, unsigned int from, unsigned int to)
{
	for (unsigned int f = from; f < to; f++)
		w->source[ACCESS_UNMAP].now[f / 64] |= 1ull << f % 64;
	point(w);
}

static void windows(void)
{
	const struct run_access *a;
	struct access_watch w;

	start(&w, BIT(ACCESS_UNMAP));
	a = &w.source[ACCESS_UNMAP].out;
	seen(&w, 0, 100);
	seen(&w, 50, 150);
	seen(&w, 0, 0);
	for (unsigned int i = 0; i < 20; i++)
		seen(&w, 4095, 4096);
	CU_ASSERT_EQUAL_FATAL(a->nr_points, 23);
	CU_ASSERT_EQUAL(a->points[0].window[0], 100);
	CU_ASSERT_EQUAL(a->points[1].window[0], 100);
	CU_ASSERT_EQUAL(a->points[1].window[1], 150);
	CU_ASSERT_EQUAL(a->points[2].window[0], 0);
	/* Of the last four samples, 0 to 3 are left in point 3, 2 to 5 in point 5. */
	CU_ASSERT_EQUAL(a->points[3].window[1], 151);
	CU_ASSERT_EQUAL(a->points[4].window[1], 101);
	CU_ASSERT_EQUAL(a->points[5].window[1], 1);
	CU_ASSERT_EQUAL(a->points[15].window[2], 151);
	CU_ASSERT_EQUAL(a->points[16].window[2], 101);
	CU_ASSERT_EQUAL(a->points[17].window[2], 1);
	CU_ASSERT_EQUAL(a->points[22].window[3], 151);
	/* 4096 frames in 64 parts. */
	CU_ASSERT_EQUAL(a->points[0].heat[0], 64);
	CU_ASSERT_EQUAL(a->points[0].heat[1], 36);
	CU_ASSERT_EQUAL(a->points[22].heat[63], 1);
	CU_ASSERT_EQUAL(a->points[22].heat[0], 0);
	access_free(&w);
}

static void points_are_bounded(void)
{
	struct access_watch w;

	start(&w, BIT(ACCESS_UNMAP));
	for (unsigned int i = 0; i < RUN_ACCESS_POINTS + 7; i++)
		point(&w);
	CU_ASSERT_EQUAL(w.source[ACCESS_UNMAP].out.nr_points, RUN_ACCESS_POINTS);
	CU_ASSERT_EQUAL(w.source[ACCESS_UNMAP].out.dropped, 7);
	access_free(&w);
}

static void frames_through_regions(void)
{
	struct guest_ram ram = {.nr = 2};

	ram.region[0] = (struct guest_ram_region){.gpa = 0, .size = 8 * MIB};
	ram.region[1] = (struct guest_ram_region){.gpa = 4096 * MIB, .size = MIB};
	CU_ASSERT_EQUAL(access_frame(&ram, 0), 0);
	CU_ASSERT_EQUAL(access_frame(&ram, 8 * MIB - 1), 2047);
	CU_ASSERT_EQUAL(access_frame(&ram, 8 * MIB), UINT64_MAX);
	CU_ASSERT_EQUAL(access_frame(&ram, 4096 * MIB), 2048);
	CU_ASSERT_EQUAL(access_frame(&ram, 4097 * MIB), UINT64_MAX);
}

static void dropped_mappings(void)
{
	char why[ACCESS_WHY];

	access_host_probe(ACCESS_UNMAP, why);
	/* A host may refuse userfaultfd; what it may not do is work and be wrong. */
	CU_ASSERT_PTR_NULL(strstr(why, "it takes pages"));
	if (why[0])
		printf("(unmap: %s) ", why);
	access_host_probe(ACCESS_REFS, why);
	if (why[0])
		printf("(refs: %s) ", why);
}

/** Text of an emitter, to be freed. */
static char *text_of(int (*emit)(FILE *f, const struct run_result *r), const struct run_result *r)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	CU_ASSERT_EQUAL(emit(f, r), 0);
	fclose(f);
	return text;
}

static int page(FILE *f, const struct run_result *r)
{
	return report_html(f, r, NULL);
}

static int table(FILE *f, const struct run_result *r)
{
	struct report_options opt = {0};

	return report_table(f, r, &opt);
}

static void fill(struct run_result *r)
{
	struct run_access a = {.method = "guest",
			       .has_pages = true,
			       .times = 3,
			       .ns = 11,
			       .guest_ticks = 12,
			       .pages_total = 13,
			       .dropped = 2,
			       .score = {.rounds = 4,
					 .truth = 1000,
					 .hit = 990,
					 .missed = 10,
					 .wrong = 5,
					 .stale = 1,
					 .others = 6,
					 .nowhere = 7,
					 .counted = 1001,
					 .ask_ns = 8000,
					 .phases = 2,
					 .found = 1,
					 .lag_ns = 3000000,
					 .lag_max_ns = 3000000}};
	struct run_access none = {.method = "refs", .why = "not <here>"};

	run_result_init(r);
	r->ram_low = 16 * MIB;
	r->heat_pages = 64;
	for (unsigned int i = 0; i < 20; i++) {
		struct run_access_point p = {.t_ns = (i + 1) * 100000000ull,
					     .window = {i + 1, 2 * i, 3 * i, 4 * i},
					     .heat = {[0] = i, [63] = 7}};

		run_access_add_point(&a, &p);
	}
	run_result_add_access(r, &a);
	run_result_add_access(r, &none);
	CU_ASSERT_PTR_NULL(a.points);
}

static void a_result_round_trip(void)
{
	struct run_result r, back;
	struct mmvm_error err;
	char *text, *again;

	fill(&r);
	text = text_of(report_json, &r);
	CU_ASSERT_EQUAL_FATAL(run_result_parse(&back, "run", text, strlen(text), &err), 0);
	CU_ASSERT_EQUAL_FATAL(back.nr_access, 2);
	CU_ASSERT_EQUAL(back.access[0].nr_points, 20);
	CU_ASSERT_EQUAL(
		memcmp(back.access[0].points, r.access[0].points, 20 * sizeof(*r.access[0].points)),
		0);
	CU_ASSERT_EQUAL(
		memcmp(&back.access[0].score, &r.access[0].score, sizeof(r.access[0].score)), 0);
	CU_ASSERT_EQUAL(back.access[0].dropped, 2);
	CU_ASSERT_STRING_EQUAL(back.access[1].why, "not <here>");
	again = text_of(report_json, &back);
	CU_ASSERT_STRING_EQUAL(text, again);
	free(again);
	run_result_free(&back);
	again = strstr(text, "\"window\": [");
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	memcpy(again, "\"window\": {", 11);
	CU_ASSERT_EQUAL(run_result_parse(&back, "run", text, strlen(text), &err), -1);
	free(text);
	run_result_free(&r);
}

static void what_people_see(void)
{
	struct run_result r;
	char *text;

	fill(&r);
	text = text_of(table, &r);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "accessed memory"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "of 1,000 pages accessed in 4 rounds missed 1.00 %, "
					    "took 5 others for accessed (0.50 %), 2 us to answer"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "saw 1 of 2 changes of the working set, 3 ms later"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "refs     n/a: not <here>"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "@' 19 pages a sample"));
	free(text);
	text = text_of(page, &r);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Working set, by guest"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Where memory is accessed, by guest"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "not &lt;here&gt;"));
	free(text);
	text = text_of(report_openmetrics, &r);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "mmvm_working_set_pages{method=\"guest\",samples=\"16\"} 57\n"));
	free(text);
	run_result_free(&r);
	/* Nothing was sampled: nothing is said. */
	run_result_init(&r);
	text = text_of(table, &r);
	CU_ASSERT_PTR_NULL(strstr(text, "accessed memory"));
	free(text);
	text = text_of(page, &r);
	CU_ASSERT_PTR_NULL(strstr(text, "Accessed memory"));
	free(text);
	run_result_free(&r);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"names of methods", names},
		{"working sets by window", windows},
		{"points are bounded", points_are_bounded},
		{"frames through regions", frames_through_regions},
		{"dropped mappings", dropped_mappings},
		{"a result through JSON and back", a_result_round_trip},
		{"what people see", what_people_see},
	};

	return unit_run("vmm_access", cases, sizeof(cases) / sizeof(cases[0]));
}
