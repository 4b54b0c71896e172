/*
 * Access sampling on the host's side: names of methods, working sets by window, heat, bounds, the
 * method that drops mappings, and a result through JSON, table and page.
 */
#include <CUnit/Basic.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
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

/* Two nodes of 8 MiB; the second one has 1 MiB below the hole. Frames of the bitmap are the guest's. */
static const struct guest_ram node_ram = {
	.nr = 2,
	.region = {{.gpa = 0, .size = 9 * MIB}, {.gpa = 4096 * MIB, .size = 7 * MIB}},
};
#define HIGH (4096 * MIB / MMVM_PAGE_SIZE)

static void start_nodes(struct access_watch *w)
{
	struct machine_config c = {
		.ram_low = 9 * MIB,
		.ram_high = 7 * MIB,
		.nr_nodes = 2,
		.node = {{.memory = 8 * MIB, .cpus = 1}, {.memory = 8 * MIB, .cpus = 2}},
	};

	CU_ASSERT_EQUAL_FATAL(access_init(w, BIT(ACCESS_GUEST), &c, 50, 0), 0);
}

/** The guest has found frames [from, to) accessed, by CPUs that `name` says. */
static void guest_saw(struct access_watch *w, const char *name, uint64_t from, uint64_t to)
{
	static uint64_t bitmap[HIGH / 64 + 64];

	memset(bitmap, 0, sizeof(bitmap));
	for (uint64_t f = from; f < to; f++)
		bitmap[f / 64] |= 1ull << f % 64;
	pthread_mutex_lock(&w->lock);
	access_take_bitmap(w, &node_ram, bitmap, access_record_node(w, name));
	if (!name[0])
		access_point(w, ACCESS_GUEST);
	pthread_mutex_unlock(&w->lock);
}

static void pairs_are(const struct run_access_point *p, const uint32_t want[6])
{
	for (unsigned int i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(p->pair[i], want[i]);
}

/* A page is its node's, an access that of the node of the record; 2048 is the first frame of node 1. */
static void pairs_of_nodes(void)
{
	const struct run_access *a;
	struct access_watch w;

	start_nodes(&w);
	a = &w.source[ACCESS_GUEST].out;
	CU_ASSERT_EQUAL(a->nr_nodes, 2);
	guest_saw(&w, "0", 2000, 2060);	       /* 48 and 12 */
	guest_saw(&w, "1", HIGH, HIGH + 1792); /* all of high RAM, 1792 pages, is node 1's */
	guest_saw(&w, "1", 2047, 2048);	       /* node 0 saw it, too: once in each row */
	guest_saw(&w, "several", 5, 8);
	guest_saw(&w, "several", 6, 9); /* 6 and 7 again: counted once */
	CU_ASSERT_EQUAL(a->nr_points, 0);
	guest_saw(&w, "", 2304, 2305); /* behind low RAM: nowhere */
	CU_ASSERT_EQUAL_FATAL(a->nr_points, 1);
	pairs_are(&a->points[0], (uint32_t[]){48, 12, 1, 1792, 4, 0});
	CU_ASSERT_EQUAL(a->points[0].window[0], 60 + 1792 + 4);
	/* The next sample begins with nothing. */
	guest_saw(&w, "1", 2048, 2049);
	guest_saw(&w, "", 0, 1);
	CU_ASSERT_EQUAL_FATAL(a->nr_points, 2);
	pairs_are(&a->points[1], (uint32_t[]){0, 0, 0, 1, 1, 0});
	access_free(&w);
}

static void names_of_records(void)
{
	struct access_watch w;

	start_nodes(&w);
	CU_ASSERT_EQUAL(access_record_node(&w, "0"), 0);
	CU_ASSERT_EQUAL(access_record_node(&w, "1"), 1);
	CU_ASSERT_EQUAL(access_record_node(&w, ""), ACCESS_CPU_UNKNOWN);
	CU_ASSERT_EQUAL(access_record_node(&w, "several"), ACCESS_CPU_UNKNOWN);
	/* No name of a node that there is. */
	CU_ASSERT_EQUAL(access_record_node(&w, "2"), ACCESS_CPU_UNKNOWN);
	CU_ASSERT_EQUAL(access_record_node(&w, "00"), ACCESS_CPU_UNKNOWN);
	CU_ASSERT_EQUAL(access_record_node(&w, "/"), ACCESS_CPU_UNKNOWN);
	CU_ASSERT_EQUAL(access_record_node(&w, "\377"), ACCESS_CPU_UNKNOWN);
	access_free(&w);
	/* One node: there is no matrix. */
	start(&w, BIT(ACCESS_GUEST));
	CU_ASSERT_EQUAL(w.source[ACCESS_GUEST].out.nr_nodes, 0);
	CU_ASSERT_EQUAL(access_record_node(&w, "0"), ACCESS_CPU_UNKNOWN);
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

/* The same of a machine with two nodes: CPUs of node 0 access node 0, then node 1; 300 pages move. */
static void fill_nodes(struct run_result *r)
{
	struct run_access a = {.method = "guest", .has_pages = true, .times = 10, .nr_nodes = 2};

	run_result_init(r);
	r->ram_low = 16 * MIB;
	r->heat_pages = 64;
	for (unsigned int i = 0; i < 10; i++) {
		struct run_access_point p = {
			.t_ns = (i + 1) * 100000000ull,
			.window = {1234},
			.pair = {i < 5 ? 1234 : 0, i < 5 ? 0 : 1200, 0, 0, 0, i < 5 ? 0 : 34},
			.moves = {.pgmigrate_success = i < 7 ? 0 : 300, .pgpromote_success = i},
		};

		run_access_add_point(&a, &p);
	}
	run_result_add_access(r, &a);
}

static void nodes_round_trip(void)
{
	struct run_result r, back;
	struct mmvm_error err;
	char *text, *again;

	fill_nodes(&r);
	text = text_of(report_json, &r);
	CU_ASSERT_EQUAL_FATAL(run_result_parse(&back, "run", text, strlen(text), &err), 0);
	CU_ASSERT_EQUAL_FATAL(back.access[0].nr_points, 10);
	CU_ASSERT_EQUAL(back.access[0].nr_nodes, 2);
	CU_ASSERT_EQUAL(
		memcmp(back.access[0].points, r.access[0].points, 10 * sizeof(*r.access[0].points)),
		0);
	again = text_of(report_json, &back);
	CU_ASSERT_STRING_EQUAL(text, again);
	free(again);
	run_result_free(&back);
	/* More nodes than a machine can have. */
	again = strstr(text, "\"nodes\": 2");
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	again[strlen("\"nodes\": ")] = '9';
	CU_ASSERT_EQUAL(run_result_parse(&back, "run", text, strlen(text), &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "more nodes"));
	free(text);
	run_result_free(&r);
}

static void what_people_see_of_nodes(void)
{
	struct run_result r;
	char *text;

	fill_nodes(&r);
	text = text_of(table, &r);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "from CPUs of    pages of node 0  pages of node 1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text,
				      "    node 0                    6,170            6,000\n"
				      "    node 1                        0                0\n"
				      "    several                       0              170\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "node 0 to node 0              |@@@@@     |\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "node 0 to node 1              |     @@@@@|\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "several to node 1              |     .....|\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "pgmigrate_success         300 |       @  |\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "node 1 to node"));
	CU_ASSERT_PTR_NULL(strstr(text, "pgdemote"));
	free(text);
	text = text_of(page, &r);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Accesses by node of the CPU and node of the page"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "node 0 to node 1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Pages that moved"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "pgpromote_success"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "<th scope=\"row\">several</th><td class=\"n\">0</td>"
					    "<td class=\"n\">170</td>"));
	free(text);
	run_result_free(&r);
	/* One node: nothing of it. */
	fill(&r);
	text = text_of(table, &r);
	CU_ASSERT_PTR_NULL(strstr(text, "from CPUs of"));
	free(text);
	run_result_free(&r);
}

/** The file's text, to be freed; the file is removed. */
static char *take_file(const char *folder, const char *name)
{
	char path[256], *text = calloc(1, 65536);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(fread(text, 1, 65535, f) > 500);
	fclose(f);
	unlink(path);
	return text;
}

/* Each plot of the page is a file that any program can draw: no variables, nothing from elsewhere. */
static void plots_as_files(void)
{
	static const char *const name[] = {
		"accesses-by-node-of-the-cpu-and-node-of-the-page.svg",
		"pages-that-moved-and-hint-faults.svg",
		"working-set-by-guest.svg",
		"where-memory-is-accessed-by-guest-address-time.svg",
	};
	char folder[] = "/tmp/mmvm-plots.XXXXXX", failed[512];
	struct run_result r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	fill_nodes(&r);
	CU_ASSERT_EQUAL(report_svg(folder, &r, NULL, failed, sizeof(failed)), 0);
	run_result_free(&r);
	for (unsigned int i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		char *text = take_file(folder, name[i]);

		CU_ASSERT(!strncmp(text, "<svg xmlns=\"http://www.w3.org/2000/svg\"", 39));
		CU_ASSERT_STRING_EQUAL(text + strlen(text) - 7, "</svg>\n");
		CU_ASSERT_PTR_NULL(strstr(text, "var("));
		CU_ASSERT_PTR_NULL(strstr(text, "--c"));
		CU_ASSERT_PTR_NULL(strstr(text, "class=\"tip\""));
		CU_ASSERT_PTR_NULL(strstr(text, "<li>"));
		if (i == 0) {
			CU_ASSERT_PTR_NOT_NULL(strstr(text, ">node 0 to node 1</text>"));
			CU_ASSERT_PTR_NOT_NULL(
				strstr(text, "class=\"area\" style=\"color:#d95f02\""));
			CU_ASSERT_PTR_NOT_NULL(strstr(text, "style=\"fill:#d95f02\"/>"));
		}
		free(text);
	}
	CU_ASSERT_EQUAL(rmdir(folder), 0); /* there were no others */
	/* A folder that cannot be made. */
	fill_nodes(&r);
	CU_ASSERT_EQUAL(report_svg("/proc/none/here", &r, NULL, failed, sizeof(failed)), -ENOENT);
	CU_ASSERT_STRING_EQUAL(failed, "/proc/none/here");
	run_result_free(&r);
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
		{"pairs of nodes", pairs_of_nodes},
		{"names of records", names_of_records},
		{"points are bounded", points_are_bounded},
		{"frames through regions", frames_through_regions},
		{"dropped mappings", dropped_mappings},
		{"a result through JSON and back", a_result_round_trip},
		{"what people see", what_people_see},
		{"nodes through JSON and back", nodes_round_trip},
		{"what people see of nodes", what_people_see_of_nodes},
		{"plots as files", plots_as_files},
	};

	return unit_run("vmm_access", cases, sizeof(cases) / sizeof(cases[0]));
}
