/*
 * Distributions of times in a report: they survive JSON, are drawn where they exist, and a malformed file of
 * `mmvm bench fault` is refused.
 */
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "report/report.h"
#include "../host/unit.h"

static void fill(struct run_result *r)
{
	uint64_t times[RUN_EXIT_BUCKETS] = {[10] = 5, [11] = 90, [20] = 1};

	run_result_init(r);
	r->has_exit_times = true;
	r->exit_tick_ps = 400;
	run_result_add_exit(r, "pio_out", 96, 123456);
	run_result_exit_times(r, times);
	run_result_add_exit(r, "never<", 0, 0);
}

static char *text_of(const struct run_result *r, const struct report_costs *costs, bool json)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	CU_ASSERT_EQUAL(json ? report_json(f, r) : report_html(f, r, costs), 0);
	fclose(f);
	return text;
}

static void a_result_round_trip(void)
{
	struct run_result r, back;
	struct mmvm_error err;
	char *text, *at;

	fill(&r);
	text = text_of(&r, NULL, true);
	CU_ASSERT_EQUAL_FATAL(run_result_parse(&back, "run", text, strlen(text), &err), 0);
	CU_ASSERT_EQUAL(back.exit_tick_ps, 400);
	CU_ASSERT_EQUAL(memcmp(back.exits[0].log2_ticks, r.exits[0].log2_ticks,
			       sizeof(r.exits[0].log2_ticks)),
			0);
	run_result_free(&back);
	at = strstr(text, "\"log2_ticks\": [");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	memcpy(strchr(at, '0'), "x", 1);
	CU_ASSERT_EQUAL(run_result_parse(&back, "run", text, strlen(text), &err), -1);
	free(text);
	run_result_free(&r);
}

static void drawn_where_there_is_something(void)
{
	struct report_costs costs = {
		.nr_latencies = 1,
		.latency_backend = "SVM",
		.latency_lab = true,
		.latency = {{.name = "cow<>", .count = {[0] = 1, [39] = 2}}},
	};
	struct run_result r;
	char *text;

	fill(&r);
	text = text_of(&r, NULL, false);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Exits to the VMM: how long each took"));
	/* 2^11 ticks of 0.4 ns. */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "pio_out: 90 of 96 from 819 ns to 1.6 us"));
	CU_ASSERT_PTR_NULL(strstr(text, "Faults: how long"));
	free(text);
	text = text_of(&r, &costs, false);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "mmvm bench fault on SVM, in the lab"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "cow&lt;&gt;: 1 of 3"));
	free(text);
	/* Exits that nobody timed. */
	r.has_exit_times = false;
	text = text_of(&r, NULL, true);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"ns\": null"));
	free(text);
	text = text_of(&r, NULL, false);
	CU_ASSERT_PTR_NULL(strstr(text, "How long things take"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "96, not timed"));
	free(text);
	run_result_free(&r);
}

/** Write `text` to a file and load it. */
static int load(struct report_costs *c, const char *text)
{
	char path[] = "/tmp/mmvm-latency-XXXXXX";
	int fd = mkstemp(path), rc;
	struct mmvm_error err;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	rc = report_costs_load(c, path, &err);
	unlink(path);
	if (rc)
		CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);
	return rc;
}

static void files(void)
{
	static const char *const wrong[] = {
		"{\"fault\": [{\"log2_ns\": [1]}]}",
		"{\"fault\": [{\"kind\": 7}]}",
		"{\"fault\": [{\"kind\": \"a\", \"log2_ns\": 7}]}",
		"{\"fault\": [{\"kind\": \"a\", \"log2_ns\": [-1]}]}",
		"{\"fault\": [{\"kind\": \"a\", \"log2_ns\": [1.5]}]}",
		"{\"fault\": {}}",
		"[]",
	};
	struct report_costs c = {0};
	char many[8192] = "{\"fault\": [";

	CU_ASSERT_EQUAL(load(&c, "{\"backend\": \"PVM\", \"lab\": false, \"fault\": ["
				 "{\"kind\": \"cow\", \"log2_ns\": [0, 3, 4]},"
				 "{\"kind\": \"not proved\"}]}"),
			0);
	CU_ASSERT_EQUAL(c.nr_latencies, 1);
	CU_ASSERT_EQUAL(c.latency[0].count[2], 4);
	CU_ASSERT_STRING_EQUAL(c.latency_backend, "PVM");
	/* Costs come beside it. */
	CU_ASSERT_EQUAL(load(&c, "{\"schema\": 1, \"operations\": [{\"title\": \"x\"}]}"), 0);
	CU_ASSERT(c.nr == 1 && c.nr_latencies == 1);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CU_ASSERT_EQUAL(load(&c, wrong[i]), -1);
	for (unsigned int i = 0; i <= REPORT_MAX_LATENCIES; i++)
		strcat(many, i ? ",{\"kind\": \"k\", \"log2_ns\": [1]}"
			       : "{\"kind\": \"k\", \"log2_ns\": [1]}");
	strcat(many, "]}");
	memset(&c, 0, sizeof(c));
	CU_ASSERT_EQUAL(load(&c, many), -1);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"a result through JSON and back", a_result_round_trip},
		{"drawn where there is something", drawn_where_there_is_something},
		{"files of bench fault", files},
	};

	return unit_run("vmm_latency", cases, sizeof(cases) / sizeof(cases[0]));
}
