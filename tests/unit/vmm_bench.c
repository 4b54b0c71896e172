/*
 * The benchmark: its lines are parsed, its table and JSON are written, and patterns choose rows.
 */
#include "../host/unit.h"
#include <stdlib.h>
#include <string.h>
#include "bench/bench.h"

static struct bench_result result;

static unsigned int row(const char *name)
{
	for (unsigned int i = 0; i < bench_nr_rows(); i++) {
		if (!strcmp(bench_row_name(i), name))
			return i;
	}
	abort();
}

static void test_lines(void)
{
	unsigned int i = row("anon_fault");

	memset(&result, 0, sizeof(result));
	CU_ASSERT_TRUE(bench_result_line(&result, "linux 6.1.0-56-amd64\n"));
	CU_ASSERT_TRUE(bench_result_line(&result, "cost linux anon_fault 2765718 2765000 15\n"));
	CU_ASSERT_TRUE(bench_result_line(&result, "cost guestmm anon_fault 1121499 1100000 14\n"));
	CU_ASSERT_EQUAL(result.cost[i][BENCH_LINUX].median, 2765718);
	CU_ASSERT_EQUAL(result.cost[i][BENCH_LINUX].min, 2765000);
	CU_ASSERT_EQUAL(result.cost[i][BENCH_LINUX].reps, 15);
	CU_ASSERT_EQUAL(result.cost[i][BENCH_GUEST].median, 1121499);
	CU_ASSERT_TRUE(bench_result_line(&result, "cost guestmm syscall 71000 71000 15\n"));
	CU_ASSERT_TRUE(bench_result_line(&result, "host backend PVM\n"));
	CU_ASSERT_TRUE(bench_result_line(&result, "host first_run_ns 7000000\n"));
	CU_ASSERT_TRUE(bench_result_line(&result, "host vmm_bytes 700000\n"));
	CU_ASSERT_TRUE(bench_result_line(&result, "host exit_ticks 21000000\n"));
	CU_ASSERT_TRUE(bench_result_line(&result, "host bare_exit_ticks 20000000\n"));
	CU_ASSERT_TRUE(bench_result_line(&result, "host ticks_per_s 2000000000\n"));
	CU_ASSERT_EQUAL(result.exit_ns, 10500000);
	CU_ASSERT_EQUAL(result.bare_exit_ns, 10000000);
	CU_ASSERT_TRUE(bench_result_line(&result, "note one\n"));
	CU_ASSERT_TRUE(bench_result_line(&result, "note two\n"));
	CU_ASSERT_STRING_EQUAL(result.notes, "one\ntwo\n");

	CU_ASSERT_FALSE(bench_result_line(&result, ""));
	CU_ASSERT_FALSE(bench_result_line(&result, "cost linux no_such_row 1 1 1\n"));
	CU_ASSERT_FALSE(bench_result_line(&result, "cost linux anon_fault 1 1\n"));
	CU_ASSERT_FALSE(bench_result_line(&result, "host moon 1\n"));
	CU_ASSERT_FALSE(bench_result_line(&result, "host ticks_per_s 0\n"));
	CU_ASSERT_EQUAL(result.exit_ns, 10500000);
}

/** Many and long notes are cut, not written past their place. */
static void test_notes_are_cut(void)
{
	static struct bench_result r;
	char line[600] = "note ";

	memset(line + 5, 'x', sizeof(line) - 6);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_TRUE(bench_result_line(&r, line));
	CU_ASSERT_EQUAL(strlen(r.notes), sizeof(r.notes) - 1);
}

static char *text_of(void (*emit)(FILE *f))
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	emit(f);
	fclose(f);
	return text;
}

static void emit_all(FILE *f)
{
	bench_print_table(f, &result, NULL);
}

static void emit_faults(FILE *f)
{
	bench_print_table(f, &result, "*_fault");
}

static void emit_json(FILE *f)
{
	CU_ASSERT_EQUAL(bench_emit_json(f, &result), 0);
}

static void test_table(void)
{
	char *all = text_of(emit_all), *faults = text_of(emit_faults), *json = text_of(emit_json);

	CU_ASSERT_PTR_NOT_NULL(strstr(all, "Linux 6.1  "));
	CU_ASSERT_PTR_NOT_NULL(strstr(all, "       2,766         1,121   0.41\n"));
	/* one side only: no ratio, and not counted */
	CU_ASSERT_PTR_NOT_NULL(strstr(all, "           -            71      -\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(all, "1 of 1 at or below half"));
	CU_ASSERT_PTR_NOT_NULL(strstr(all, "1.05\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(all, "note: one\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(faults, "anonymous page fault"));
	CU_ASSERT_PTR_NULL(strstr(faults, "system call"));
	CU_ASSERT_PTR_NOT_NULL(strstr(json, "\"median_x1000\": 1121499"));
	CU_ASSERT_PTR_NOT_NULL(strstr(json, "\"linux\": null"));
	free(all);
	free(faults);
	free(json);
}

static void test_patterns(void)
{
	const char *const names[] = {"page_0", "page_9", NULL};

	CU_ASSERT_TRUE(bench_wanted(NULL, names));
	CU_ASSERT_TRUE(bench_wanted("page_9", names));
	CU_ASSERT_TRUE(bench_wanted("p*", names));
	CU_ASSERT_FALSE(bench_wanted("page", names));
	CU_ASSERT_FALSE(bench_wanted("", names));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"lines", test_lines},
		{"notes are cut", test_notes_are_cut},
		{"table and JSON", test_table},
		{"patterns", test_patterns},
	};
	return unit_run("bench", cases, sizeof(cases) / sizeof(cases[0]));
}
