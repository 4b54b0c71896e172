/*
 * Results read back from their files, and what is made of them: pages, metrics, comparisons.
 *
 * The inputs are hostile where they may be: a file may come from anywhere, and texts in it from a
 * guest.
 */
#include <CUnit/CUnit.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../host/unit.h"
#include "report/html.h"
#include "result/json_read.h"
#include "report/report.h"

#define NASTY "<script>x</script>&\"'\\\n{}\xff\x1b[31m"

static char *text_of(int (*emit)(FILE *f, const void *arg), const void *arg, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	CU_ASSERT_EQUAL_FATAL(emit(f, arg), 0);
	CU_ASSERT_EQUAL_FATAL(fclose(f), 0);
	return text;
}

static void fill_samples(struct run_result *r, unsigned int samples)
{
	for (unsigned int i = 0; i < samples; i++) {
		struct run_sample sample = {
			.t_ns = (i + 1) * 250000000ull,
			.dirty = i * 3,
			.pswpin = i,
			.pswpout = i * 2,
			.pgfault = i * 10,
			.swap_free = 900,
			.free_pages = 50 + i,
			.nr_zones = 2,
			.zone_free = {-5, (int64_t)i},
			.dirty_distinct = i,
			.has_kvm = i % 7 != 3,
			.has_owner = i % 5 != 2,
			.level[NR_ACTIVE_ANON] = (int64_t)i,
			.level[NR_FREE_PAGES] = INT64_MIN,
		};

		sample.heat[i % RUN_HEAT_BUCKETS] = i;
		for (unsigned int type = 0; sample.has_owner && type < NR_PAGE_TYPES; type++)
			sample.dirty_owner[type] = i * type;
		sample.has_fragmentation = i % 4 == 1;
		if (sample.has_fragmentation) {
			sample.fragmentation.free_blocks[9] = i;
			sample.fragmentation.block_types[RUN_BLOCK_MOVABLE] = i;
			sample.fragmentation.huge_shmem = 512;
			sample.fragmentation.map_block[i % RUN_HEAT_BUCKETS] = 1 + i;
			sample.fragmentation.map_unmovable[3] = 7;
		}
		if (sample.has_kvm) {
			sample.mapped[1] = i;
			sample.pf_taken = i * 5;
		}
		run_result_add_sample(r, &sample);
	}
}

/** A run with something in every field, `samples` of them. */
static void fill(struct run_result *r, unsigned int samples, const char *text)
{
	uint64_t one = 12, hist[5] = {0, 1, 2, 3, UINT64_MAX / 8};
	struct run_kvm_stat s = {.scope = "vm", .nr_values = 1, .values = &one, .base = 10};
	struct mmvm_disk_stats disk = {1, 2, 3, 4, 5, 6, 7};
	struct run_zone z = {.managed = 4096, .wmark = {1, 2, 3}, .stat[NR_FREE_PAGES] = -7};
	struct run_observer observer = {.name = "sampler", .times = 3, .ns = 7000, .stall_ns = 0};
	char *argv[] = {"mmvm", (char *)text};

	run_result_init(r);
	run_result_set_command(r, 2, argv);
	snprintf(r->backend, sizeof(r->backend), "%s", text);
	snprintf(r->accel, sizeof(r->accel), "lab");
	snprintf(r->accel_why, sizeof(r->accel_why), "%s", text);
	snprintf(r->host_kernel, sizeof(r->host_kernel), "%s", text);
	r->ram_low = 40 << 20;
	r->ram_high = 8 << 20;
	r->heat_pages = 192;
	r->cpus = 2;
	r->seed = UINT64_MAX;
	r->quirks = 7;
	r->outcome.kind = OUTCOME_CRASHED;
	r->outcome.status = -3;
	r->outcome.has_crash = true;
	r->outcome.crash.rip = 0xffffffff80001234;
	snprintf(r->outcome.text, sizeof(r->outcome.text), "%s", text);
	r->exit_status = 4;
	r->started_unix_ns = 1700000000000000000;
	r->wall_ns = 5000000000;
	r->boot_ticks = 7;
	r->tsc_hz = 1000;
	r->swap_total = 1000;
	r->totalram_pages = 12000;
	r->has_dirty = true;
	r->has_exit_times = true;
	snprintf(r->dirty_mode, sizeof(r->dirty_mode), "ring");
	r->dirty_pages_total = UINT64_MAX;
	r->has_audit = true;
	r->audit_findings = 2;
	r->records_dropped = 1;
	fill_samples(r, samples);
	run_result_add_counter(r, "pswpout", 20);
	run_result_add_counter(r, "pgfault", UINT64_MAX);
	snprintf(z.name, sizeof(z.name), "%s", text);
	run_result_add_zone(r, &z);
	run_result_add_zone(r, &z);
	run_result_add_disk(r, "swap", 160 << 20, &disk);
	strcpy(s.unit, "none");
	strcpy(s.kind, "instant");
	strcpy(s.name, "pages_4k");
	run_result_add_kvm(r, &s);
	strcpy(s.kind, "cumulative");
	strcpy(s.name, "pf_taken");
	run_result_add_kvm(r, &s);
	strcpy(s.kind, "log");
	strcpy(s.name, "halt_wait_hist");
	s.values = hist;
	s.nr_values = 5;
	run_result_add_kvm(r, &s);
	run_result_add_exit(r, "pio_out", 7, 12345);
	run_result_add_exit(r, text, 3, UINT64_MAX);
	run_result_add_reason(r, text, 7);
	run_result_add_observer(r, &observer);
	snprintf(observer.note, sizeof(observer.note), "%s", text);
	strcpy(observer.name, "log");
	observer.has_stall = true;
	run_result_add_observer(r, &observer);
	run_result_add_check(r, "swap pages written", 3, 4, text);
	run_result_add_report(r, "meminfo", text, strlen(text));
	run_result_add_report(r, "meminfo", "again", 5);
}

/* ---- the reader ------------------------------------------------------------------------------ */

static void test_refused(void)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "line 1, column 1: a value expected, but the file ends"},
		{"{", "a key in quotes expected, but the file ends"},
		{"{\"a\":1,}", "column 8: a key in quotes"},
		{"{\"a\" 1}", "':' expected"},
		{"{\"a\":1 \"b\":2}", "',' or '}' expected"},
		{"[1,]", "a value expected"},
		{"[1 2]", "',' or ']' expected"},
		{"[1] 2", "more text behind"},
		{"{\"a\":1,\n\"a\":2}", "line 2, column 1: the key \"a\" a second time"},
		{"01", "more text"},
		{"+1", "a value"},
		{"1.", "a digit"},
		{"1e", "a digit"},
		{"-", "a digit"},
		{"nul", "a value"},
		{"\"abc", "does not end"},
		{"\"a\\", "does not end"},
		{"\"a\\\"", "does not end"},
		{"\"\\x\"", "unknown escape"},
		{"\"\\u12g4\"", "four hexadecimal digits"},
		{"\"\\u12\"", "four hexadecimal digits"},
		{"\"\\ud800\"", "surrogate"},
		{"\"\\ud800\\u0041\"", "surrogate"},
		{"\"\\udc00\"", "surrogate"},
		{"\"a\nb\"", "control character"},
		{"\"\xff\"", "not UTF-8"},
		{"\"\xc0\x80\"", "not UTF-8"},
		{"{\"\\u0000\":1}", "NUL character in a key"},
		{"\xef\xbb\xbf{}", "a value"},
	};
	struct json_doc doc;
	char why[160];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* Exactly as long as the text, so that a step beyond it is seen. */
		size_t len = strlen(bad[i].text);
		char *exact = malloc(len ? len : 1);

		memcpy(exact, bad[i].text, len);
		CU_ASSERT_EQUAL(json_parse(&doc, exact, len, why, sizeof(why)), -EINVAL);
		if (!strstr(why, bad[i].why))
			fprintf(stderr, "%s: %s\n", bad[i].text, why);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, bad[i].why));
		free(exact);
	}
	CU_ASSERT_EQUAL(json_parse(&doc, "[1\0]", 4, why, sizeof(why)), -EINVAL);
}

static void test_bounds(void)
{
	char deep[2 * (JSON_READ_DEPTH + 1)], why[160];
	char *many = malloc(20 * (JSON_READ_KEYS + 2));
	struct json_doc doc;
	size_t n = 0;

	memset(deep, '[', JSON_READ_DEPTH + 1);
	memset(deep + JSON_READ_DEPTH + 1, ']', JSON_READ_DEPTH + 1);
	CU_ASSERT_EQUAL(json_parse(&doc, deep, sizeof(deep), why, sizeof(why)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "deeper than 32"));
	CU_ASSERT_EQUAL(json_parse(&doc, deep + 1, sizeof(deep) - 2, why, sizeof(why)), 0);
	json_doc_free(&doc);
	for (unsigned int i = 0; i <= JSON_READ_KEYS; i++)
		n += (size_t)sprintf(many + n, "%c\"k%u\":1", i ? ',' : '{', i);
	many[n++] = '}';
	CU_ASSERT_EQUAL(json_parse(&doc, many, n, why, sizeof(why)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "more than 4096 keys"));
	free(many);
}

static void test_values(void)
{
	static const char text[] =
		" {\"s\":\"a\\n\\u0041\\u00e9\\ud83d\\ude00\\\"\\/\",\"n\":18446744073709551615,"
		"\"m\":-9223372036854775808,\"over\":18446744073709551616,\"x\":1.5e3,"
		"\"l\":[true,false,null,{}],\"e\":[]}\r\n\t ";
	const struct json_value *v;
	struct json_doc doc;
	char why[160];
	uint64_t u;
	int64_t i;

	CU_ASSERT_EQUAL_FATAL(json_parse(&doc, text, sizeof(text) - 1, why, sizeof(why)), 0);
	v = json_get(doc.root, "s");
	CU_ASSERT_STRING_EQUAL(v->text, "a\nA\xc3\xa9\xf0\x9f\x98\x80\"/");
	CU_ASSERT_EQUAL(v->len, strlen(v->text));
	CU_ASSERT_EQUAL(json_to_u64(json_get(doc.root, "n"), &u), 0);
	CU_ASSERT_EQUAL(u, UINT64_MAX);
	CU_ASSERT_EQUAL(json_to_i64(json_get(doc.root, "n"), &i), -EINVAL);
	CU_ASSERT_EQUAL(json_to_i64(json_get(doc.root, "m"), &i), 0);
	CU_ASSERT_EQUAL(i, INT64_MIN);
	CU_ASSERT_EQUAL(json_to_u64(json_get(doc.root, "m"), &u), -EINVAL);
	CU_ASSERT_EQUAL(json_to_u64(json_get(doc.root, "over"), &u), -EINVAL);
	CU_ASSERT_EQUAL(json_to_u64(json_get(doc.root, "x"), &u), -EINVAL);
	CU_ASSERT_EQUAL(json_to_u64(NULL, &u), -EINVAL);
	v = json_get(doc.root, "l");
	CU_ASSERT_EQUAL(v->nr, 4);
	CU_ASSERT_TRUE(v->first->boolean);
	CU_ASSERT_EQUAL(v->first->next->next->type, JSON_NULL);
	CU_ASSERT_EQUAL(json_get(doc.root, "e")->nr, 0);
	CU_ASSERT_PTR_NULL(json_get(doc.root, "none"));
	json_doc_free(&doc);
}

/* ---- the way back ---------------------------------------------------------------------------- */

static void test_round_trip(void)
{
	struct run_result r, once, twice;
	struct mmvm_error err;
	char *first, *second, *third;
	size_t a, b, c;

	/* Short: a text cut to fit a second time, with U+FFFD in it, would be another text. */
	fill(&r, 50, "<b>\"\\\n\xff\x1b");
	first = text_of(report_emit_json, &r, &a);
	CU_ASSERT_EQUAL_FATAL(run_result_parse(&once, "run", first, a, &err), 0);
	second = text_of(report_emit_json, &once, &b);
	/* A byte that is no text is written as an escape, and as itself once it is U+FFFD. */
	CU_ASSERT_EQUAL_FATAL(run_result_parse(&twice, "run", second, b, &err), 0);
	third = text_of(report_emit_json, &twice, &c);
	CU_ASSERT_EQUAL(b, c);
	CU_ASSERT_STRING_EQUAL(second, third);
	CU_ASSERT_EQUAL(once.nr_samples, 50);
	CU_ASSERT_EQUAL(once.samples[49].heat[49], 49);
	CU_ASSERT(once.samples[49].has_fragmentation && !once.samples[48].has_fragmentation);
	CU_ASSERT_EQUAL(once.samples[49].fragmentation.free_blocks[9], 49);
	CU_ASSERT_EQUAL(once.samples[49].fragmentation.block_types[RUN_BLOCK_MOVABLE], 49);
	CU_ASSERT_EQUAL(once.samples[49].fragmentation.map_block[49], 50);
	CU_ASSERT_EQUAL(once.samples[49].fragmentation.map_unmovable[3], 7);
	CU_ASSERT_EQUAL(once.samples[49].level[NR_FREE_PAGES], INT64_MIN);
	CU_ASSERT_EQUAL(once.nr_reports, 2);
	CU_ASSERT_STRING_EQUAL(once.reports[1].name, "meminfo#2");
	CU_ASSERT_EQUAL(once.kvm[2].values[4], UINT64_MAX / 8);
	CU_ASSERT_EQUAL(once.outcome.crash.rip, 0xffffffff80001234);
	CU_ASSERT_FALSE(once.checks[0].equal);
	run_result_free(&once);
	run_result_free(&twice);
	free(first);
	free(second);
	free(third);
	run_result_free(&r);

	/* With plain text, to the byte at once. */
	fill(&r, 50, "plain");
	first = text_of(report_emit_json, &r, &a);
	CU_ASSERT_EQUAL_FATAL(run_result_parse(&once, "run", first, a, &err), 0);
	second = text_of(report_emit_json, &once, &b);
	CU_ASSERT_STRING_EQUAL(first, second);
	free(first);
	free(second);
	run_result_free(&once);
	run_result_free(&r);
}

/** A guest may send one report for ever: names differ, and what is kept is bounded. */
static void test_report_names(void)
{
	struct run_result r;

	run_result_init(&r);
	for (unsigned int i = 0; i < RUN_MAX_REPORTS + 5; i++)
		run_result_add_report(&r, i % 2 ? "a#2" : "a rather long \xff name of a report", "",
				      0);
	CU_ASSERT_EQUAL(r.nr_reports, RUN_MAX_REPORTS);
	CU_ASSERT_EQUAL(r.records_dropped, 5);
	for (unsigned int i = 0; i < r.nr_reports; i++)
		for (unsigned int k = 0; k < i; k++)
			CU_ASSERT_STRING_NOT_EQUAL(r.reports[i].name, r.reports[k].name);
	run_result_free(&r);
}

/** A file that ends early is never a result; one with a wrong byte may be, and harms nobody. */
static void test_broken_files(void)
{
	struct run_result r, back;
	struct mmvm_error err;
	unsigned int seed = 12345, refused = 0;
	char *text, *copy;
	size_t len;

	fill(&r, 2, "text");
	text = text_of(report_emit_json, &r, &len);
	run_result_free(&r);
	while (len && text[len - 1] == '\n')
		len--;
	for (size_t cut = 0; cut < len; cut += 7) {
		copy = malloc(cut ? cut : 1);
		memcpy(copy, text, cut);
		CU_ASSERT_EQUAL(run_result_parse(&back, "f", copy, cut, &err), -1);
		CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);
		free(copy);
	}
	copy = malloc(len);
	for (int i = 0; i < 2000; i++) {
		memcpy(copy, text, len);
		seed = seed * 1103515245 + 12345;
		/* cppcheck-suppress zerodivcond ; the text is not empty */
		copy[(seed >> 8) % len] = (char)(seed >> 3);
		if (run_result_parse(&back, "f", copy, len, &err))
			refused++;
		else
			run_result_free(&back);
	}
	CU_ASSERT_TRUE(refused > 500);
	CU_ASSERT_TRUE(refused < 2000);
	free(copy);
	free(text);
}

static void test_wrong_content(void)
{
#define OUTCOME "\"outcome\":{\"kind\":\"exited\"}"
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"[]", "it is not an object"},
		{"{}", "has no \"schema\""},
		{"{\"schema\":2}", "schema 2, and this mmvm reads 1"},
		{"{\"schema\":1}", "outcome.kind"},
		{"{\"schema\":\"1\"}", "schema is not a whole number"},
		{"{\"schema\":1," OUTCOME ",\"samples\":{}}", "samples is not a list"},
		{"{\"schema\":1," OUTCOME ",\"samples\":[7]}", "samples[0] is not an object"},
		{"{\"schema\":1," OUTCOME ",\"samples\":[{},{\"dirty\":-1}]}", "samples[1].dirty"},
		{"{\"schema\":1," OUTCOME ",\"samples\":[{\"t_ns\":5},{\"t_ns\":4}]}",
		 "samples[1].t_ns goes back"},
		{"{\"schema\":1," OUTCOME
		 ",\"samples\":[{\"zone_free\":[1,2,3,4,5,6,7,8,9,10,11,12,13,"
		 "14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33]}]}",
		 "samples[0].zone_free"},
		{"{\"schema\":1," OUTCOME ",\"samples\":[{\"heat\":[\"x\"]}]}", "samples[0].heat"},
		{"{\"schema\":1," OUTCOME ",\"config\":{\"cpus\":4294967296}}", "config.cpus"},
		{"{\"schema\":1," OUTCOME ",\"host\":{\"backend\":5}}",
		 "host.backend is not a text"},
		{"{\"schema\":1," OUTCOME ",\"complete\":1}", "complete is neither"},
		{"{\"schema\":1," OUTCOME ",\"guest_counters\":{\"a\":{}}}", "guest_counters.a"},
		{"{\"schema\":1," OUTCOME ",\"kvm\":[{\"values\":[1,{}]}]}", "kvm[0].values[1]"},
		{"{\"schema\":1," OUTCOME ",\"reports\":{\"a\":5}}", "reports.a is not a text"},
	};
	struct run_result r;
	struct mmvm_error err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(run_result_parse(&r, "F", bad[i].text, strlen(bad[i].text), &err),
				-1);
		CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);
		if (!strstr(err.text, bad[i].why))
			fprintf(stderr, "%s: %s\n", bad[i].text, err.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, bad[i].why));
		CU_ASSERT_PTR_NULL(strchr(err.text, '\n'));
	}
	/* What is there is enough, and what is not known is let be. */
	CU_ASSERT_EQUAL(
		run_result_parse(&r, "F", "{\"schema\":1,\"new\":[1,{}]," OUTCOME "}", 54, &err),
		-1);
	CU_ASSERT_EQUAL(run_result_parse(&r, "F", "{\"schema\":1,\"new\":[1]," OUTCOME "}",
					 strlen("{\"schema\":1,\"new\":[1]," OUTCOME "}"), &err),
			0);
	run_result_free(&r);
	CU_ASSERT_EQUAL(run_result_load(&r, "/nowhere/run.json", &err), -1);
	CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);
	CU_ASSERT_EQUAL(run_result_load(&r, "/", &err), -1);
	CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);
}

/* ---- the page -------------------------------------------------------------------------------- */

static int emit_html(FILE *f, const void *result)
{
	static const struct report_costs costs = {
		.linux_release = NASTY,
		.nr = 3,
		.rows = {{NASTY, 1000000, 250400}, {"x", 0, 7}, {"y", 1, UINT64_MAX}},
	};

	return report_html(f, result, &costs);
}

static bool is_void(const char *tag)
{
	return !strcmp(tag, "meta") || !strcmp(tag, "link") || !strcmp(tag, "!DOCTYPE");
}

/** Every tag is closed in its place, and every '<' begins a tag of ours. */
static void check_tags(const char *text)
{
	char stack[32][16];
	unsigned int depth = 0;

	for (const char *p = strchr(text, '<'); p; p = strchr(p, '<')) {
		bool closing = p[1] == '/';
		char tag[16] = "";
		const char *end = p;
		bool quoted = false;

		p += 1 + closing;
		for (size_t n = 0; n < sizeof(tag) - 1 && (isalnum((unsigned char)*p) || *p == '!');
		     n++)
			tag[n] = *p++;
		for (end = p; *end && (quoted || *end != '>'); end++)
			quoted ^= *end == '"';
		CU_ASSERT_EQUAL_FATAL(*end, '>');
		if (closing) {
			CU_ASSERT_FATAL(depth > 0);
			CU_ASSERT_STRING_EQUAL(stack[--depth], tag);
		} else if (!is_void(tag) && end[-1] != '/') {
			CU_ASSERT_FATAL(depth < 32 && tag[0]);
			strcpy(stack[depth++], tag);
		}
		p = end;
	}
	CU_ASSERT_EQUAL(depth, 0);
}

/** No coordinate is outside the drawing, or no number. */
static void check_drawings(const char *text)
{
	for (const char *p = strstr(text, " d=\"M"); p; p = strstr(p + 1, " d=\"M")) {
		for (const char *c = p + 4; *c != '"'; c++) {
			if (!isdigit((unsigned char)*c) && *c != '-')
				continue;
			double v = strtod(c, (char **)&c);

			CU_ASSERT_TRUE_FATAL(v >= 0 && v <= 480);
			c--;
		}
	}
	CU_ASSERT_PTR_NULL(strstr(text, "nan"));
	CU_ASSERT_PTR_NULL(strstr(text, "inf,"));
}

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	for (const char *p = strstr(text, what); p; p = strstr(p + 1, what))
		n++;
	return n;
}

static void check_page(struct run_result *r, unsigned int plots)
{
	size_t len;
	char *text = text_of(emit_html, r, &len);

	CU_ASSERT_EQUAL(strlen(text), len);
	check_tags(text);
	check_drawings(text);
	CU_ASSERT_PTR_NULL(strstr(text, "<script"));
	CU_ASSERT_PTR_NULL(strstr(text, "://"));
	CU_ASSERT_PTR_NULL(strchr(text, '\x1b'));
	if (count(text, "<svg") != plots)
		fprintf(stderr, "%u plots instead of %u\n", count(text, "<svg"), plots);
	CU_ASSERT_EQUAL(count(text, "<svg"), plots);
	CU_ASSERT_EQUAL(count(text, ">time, "), plots);
	run_result_free(r);
	free(text);
}

static void test_page(void)
{
	struct run_result r;
	struct run_sample s = {.t_ns = 0};

	fill(&r, 40, NASTY);
	check_page(&r, 16);
	/* More samples than a plot has points: joined, not lost, and not larger without end. */
	fill(&r, 10000, "x");
	check_page(&r, 16);
	fill(&r, 1, "x");
	check_page(&r, 3);
	fill(&r, 0, "x");
	check_page(&r, 0);
	run_result_init(&r);
	check_page(&r, 0);
	/* Times that do not move. */
	run_result_init(&r);
	for (int i = 0; i < 5; i++)
		run_result_add_sample(&r, &s);
	check_page(&r, 0);
	/* Numbers nobody would send but a stranger. */
	fill(&r, 0, "x");
	for (uint64_t i = 1; i < 20; i++) {
		memset(&s, 0xff, sizeof(s));
		s.t_ns = i % 2 ? UINT64_MAX / 2 + i : UINT64_MAX / 2 + i - 1;
		s.nr_zones = MMVM_MAX_ZONES;
		s.has_kvm = true;
		s.has_owner = true;
		s.has_fragmentation = true;
		s.pgfault = UINT64_MAX / i;
		for (unsigned int item = 0; item < NR_ZONE_STAT_ITEMS; item++)
			s.level[item] = i % 2 ? INT64_MAX : INT64_MIN;
		run_result_add_sample(&r, &s);
	}
	r.heat_pages = 1;
	check_page(&r, 17);
	fill(&r, 5, "x");
	r.heat_pages = UINT64_MAX;
	check_page(&r, 13);
}

/** What the plots say is what the samples say: the sum of rates × time is the count. */
static void test_rates_add_up(void)
{
	struct run_result r;
	char *text, *p;
	double sum = 0, before = 0, t, rate;
	size_t len;

	fill(&r, 999, "x");
	text = text_of(emit_html, &r, &len);
	p = strstr(text, "Swapping");
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	for (p = strstr(p, "<title>");
	     p && sscanf(p, "<title>%lf s swapped out: %lf", &t, &rate) == 2;
	     p = strstr(p + 1, "<title>")) {
		sum += rate * (t - before);
		before = t;
	}
	CU_ASSERT_DOUBLE_EQUAL(before, 999 * 0.25, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(sum, 998 * 2, 10);
	free(text);
	run_result_free(&r);
}

/* ---- metrics --------------------------------------------------------------------------------- */

static void test_openmetrics(void)
{
	char family[64] = "", seen[64][64], *text, *save = NULL, *lines[1024];
	unsigned int nr_seen = 0, nr_lines = 0;
	struct run_result r;
	size_t len;

	fill(&r, 3, NASTY);
	text = text_of(report_emit_openmetrics, &r, &len);
	CU_ASSERT_TRUE(len > 6 && !strcmp(text + len - 6, "# EOF\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "mmvm_guest_events_total{event=\"pgfault\"} "
					    "18446744073709551615\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "mmvm_exit_seconds_total{reason=\"pio_out\"} 0.000012345"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "stat=\"halt_wait_hist\",le=\"+Inf\"}"));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char name[64];

		if (!strcmp(line, "# EOF"))
			break;
		CU_ASSERT_FATAL(nr_lines < 1024);
		if (sscanf(line, "# TYPE %63s", name) == 1) {
			for (unsigned int i = 0; i < nr_seen; i++)
				CU_ASSERT_STRING_NOT_EQUAL(seen[i], name);
			CU_ASSERT_FATAL(nr_seen < 64);
			strcpy(seen[nr_seen++], name);
			strcpy(family, name);
			continue;
		}
		if (line[0] == '#')
			continue;
		CU_ASSERT_EQUAL(strncmp(line, family, strlen(family)), 0);
		/* The value behind the last blank is a number; what is before it stands once. */
		*strrchr(line, ' ') = '\0';
		for (unsigned int i = 0; i < nr_lines; i++)
			CU_ASSERT_STRING_NOT_EQUAL(lines[i], line);
		lines[nr_lines++] = line;
	}
	CU_ASSERT_TRUE(nr_seen > 15);
	free(text);
	run_result_free(&r);
}

/* ---- comparisons ----------------------------------------------------------------------------- */

static char *compare(const uint64_t *a, unsigned int na, const uint64_t *b, unsigned int nb)
{
	struct report_options options = {.verbose = true};
	struct run_result runs[16];
	struct run_side side[2] = {{"a.json", runs, na}, {"b.json", runs + na, nb}};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (unsigned int i = 0; i < na + nb; i++) {
		uint64_t v = i < na ? a[i] : b[i - na];

		fill(&runs[i], 2, "x");
		run_result_add_counter(&runs[i], "value", v);
		run_result_add_counter(&runs[i], "shift", i < na ? 1000 : 1100);
		if (i == 0)
			run_result_add_counter(&runs[i], "lonely", 5);
	}
	CU_ASSERT_EQUAL(report_compare(f, side, &options), 0);
	fclose(f);
	for (unsigned int i = 0; i < na + nb; i++)
		run_result_free(&runs[i]);
	return text;
}

static void test_compare(void)
{
	static const uint64_t low[] = {100, 110, 105}, high[] = {220, 200, 210};
	static const uint64_t over[] = {108, 190, 200}, zero[] = {0};
	char *text = compare(low, 1, high, 1), *value, *shift, *within;

	/* Biggest relative change first; one run a side claims nothing. */
	value = strstr(text, "guest value");
	shift = strstr(text, "guest shift");
	CU_ASSERT_FATAL(value && shift);
	CU_ASSERT_TRUE(value < shift);
	CU_ASSERT_PTR_NOT_NULL(strstr(value, "+120.0 %"));
	CU_ASSERT_PTR_NOT_NULL(strstr(shift, "+10.0 %"));
	CU_ASSERT_PTR_NULL(strstr(text, "beyond noise"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "1 only in A, 0 only in B"));
	CU_ASSERT_PTR_NULL(strstr(text, "guest pgfault"));
	free(text);

	text = compare(low, 3, high, 3);
	within = strstr(text, "within noise");
	value = strstr(text, "guest value");
	CU_ASSERT_FATAL(value != NULL);
	CU_ASSERT_PTR_NULL(within);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "+100.0 %"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "1 in 10 looks"));
	free(text);

	/* 110 of A lies above 108 of B. */
	text = compare(low, 3, over, 3);
	within = strstr(text, "within noise");
	value = strstr(text, "guest value");
	shift = strstr(text, "guest shift");
	CU_ASSERT_FATAL(within && value && shift);
	CU_ASSERT_TRUE(value > within);
	CU_ASSERT_TRUE(shift < within);
	free(text);

	text = compare(zero, 1, low, 1);
	value = strstr(text, "guest value");
	CU_ASSERT_FATAL(value != NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(value, "from 0"));
	free(text);
}

static const struct unit_case cases[] = {
	{"what is not JSON is refused with its place", test_refused},
	{"depth and keys are bounded", test_bounds},
	{"values come out as they went in", test_values},
	{"a result survives its file to the byte", test_round_trip},
	{"reports of one name", test_report_names},
	{"files cut short or with wrong bytes", test_broken_files},
	{"JSON that is no result, named by the place", test_wrong_content},
	{"pages are well-formed, closed and safe", test_page},
	{"joined samples lose nothing", test_rates_add_up},
	{"OpenMetrics: families together, labels unique", test_openmetrics},
	{"comparisons: order, ranges, one-sided values", test_compare},
};

int main(void)
{
	return unit_run("report files", cases, sizeof(cases) / sizeof(cases[0]));
}
