/*
 * Baselines of the benchmark: written, read again and compared; and malformed files.
 */
#include "../host/unit.h"
#include <stdlib.h>
#include <string.h>
#include "bench/baseline.h"

static struct baseline a, b;

static unsigned int row(const char *name)
{
	for (unsigned int i = 0; i < bench_nr_rows(); i++)
		if (!strcmp(bench_row_name(i), name))
			return i;
	abort();
}

static char *compare(unsigned int percent, const char *only, unsigned int *rose)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	*rose = baseline_compare(f, &a, &b, percent, only);
	fclose(f);
	return text;
}

static void fill(struct baseline *x)
{
	memset(x, 0, sizeof(*x));
	x->row[row("anon_fault")].median = 1000000;
	x->row[row("page_0")].median = 135000;
	CU_ASSERT_TRUE(baseline_line(x, "prof anon_fault clear_page 512\n"));
	CU_ASSERT_TRUE(baseline_line(x, "prof anon_fault handle_mm_fault 59\n"));
	/* a function that is named twice is added up */
	CU_ASSERT_TRUE(baseline_line(x, "prof swap_in walk_pte 20\n"));
	CU_ASSERT_TRUE(baseline_line(x, "prof swap_in walk_pte 3\n"));
}

static void test_lines(void)
{
	fill(&a);
	CU_ASSERT_EQUAL(a.row[row("anon_fault")].nr_funcs, 2);
	CU_ASSERT_EQUAL(a.row[row("swap_in")].nr_funcs, 1);
	CU_ASSERT_EQUAL(a.row[row("swap_in")].func[0].self, 23);
	CU_ASSERT_FALSE(baseline_line(&a, "prof no_such_row f 1\n"));
	CU_ASSERT_FALSE(baseline_line(&a, "prof anon_fault f\n"));
	CU_ASSERT_FALSE(baseline_line(&a, "cost guestmm anon_fault 1 1 1\n"));
	CU_ASSERT_TRUE(baseline_has_profile("page_0"));
	CU_ASSERT_FALSE(baseline_has_profile("fork_wait"));
	for (unsigned int i = 0; i < 2 * BASELINE_MAX_FUNCS; i++) {
		char line[64];

		snprintf(line, sizeof(line), "prof page_0 f%u 1\n", i);
		CU_ASSERT_EQUAL(baseline_line(&a, line), i < BASELINE_MAX_FUNCS);
	}
}

static void test_round_trip(void)
{
	struct mmvm_error err = {0};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fill(&a);
	CU_ASSERT_EQUAL(baseline_emit(f, &a), 0);
	fclose(f);
	CU_ASSERT_EQUAL(baseline_parse(text, len, "it", &b, &err), 0);
	CU_ASSERT_EQUAL(b.row[row("anon_fault")].median, 1000000);
	CU_ASSERT_EQUAL(b.row[row("anon_fault")].nr_funcs, 2);
	CU_ASSERT_EQUAL(b.row[row("anon_fault")].func[0].self, 512);
	/* a row without a cost is not kept */
	CU_ASSERT_EQUAL(b.row[row("swap_in")].nr_funcs, 0);
	free(text);
}

static void test_compare(void)
{
	unsigned int rose, i = row("anon_fault");
	char *text;

	fill(&a);
	b = a;
	text = compare(0, NULL, &rose);
	CU_ASSERT_EQUAL(rose, 0);
	CU_ASSERT_STRING_EQUAL(text, "baseline: 0 of 2 costs rose by more than 0 %\n");
	free(text);

	b.row[i].median = 1050000;
	b.row[i].func[0].self = 502;
	b.row[i].func[1].self = 79;
	CU_ASSERT_TRUE(baseline_line(&b, "prof anon_fault debug_check 40\n"));
	free(compare(5, NULL, &rose));
	CU_ASSERT_EQUAL(rose, 0); /* by five percent, not more */
	b.row[i].median = 1050001;
	free(compare(5, "page_*", &rose));
	CU_ASSERT_EQUAL(rose, 0);
	text = compare(5, NULL, &rose);
	CU_ASSERT_EQUAL(rose, 1);
	CU_ASSERT_STRING_EQUAL(text, "anon_fault rose from 1000 to 1050 instructions (+5.0 %)\n"
				     "    debug_check: 0 -> 40 instructions (new)\n"
				     "    handle_mm_fault: 59 -> 79 instructions\n"
				     "baseline: 1 of 2 costs rose by more than 5 %\n");
	free(text);

	/* what is not measured any more has not stayed the same */
	b.row[i].median = 0;
	text = compare(5, NULL, &rose);
	CU_ASSERT_EQUAL(rose, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "anon_fault was not measured"));
	free(text);
	/* what gets cheaper is not told */
	b.row[i].median = 1;
	free(compare(0, NULL, &rose));
	CU_ASSERT_EQUAL(rose, 0);
}

static void test_bad_files(void)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"schema\": 2, \"operations\": []}",
		"{\"schema\": 1, \"operations\": {}}",
		"{\"schema\": 1, \"operations\": [1]}",
		"{\"schema\": 1, \"operations\": [{\"name\": \"page_0\"}]}",
		"{\"schema\": 1, \"operations\": [{\"name\": \"page_0\", \"functions\": {}}]}",
		"{\"schema\": 1, \"operations\": [{\"name\": \"page_0\", \"median_x1000\": 1, "
		"\"functions\": {\"f\": -1}}]}",
		"{\"schema\": 1, \"operations\": [{\"name\": \"page_0\", \"median_x1000\": 1, "
		"\"functions\": []}]}",
	};
	static const char good[] =
		"{\"schema\": 1, \"operations\": [{\"name\": \"of_later\", \"functions\": {}}]}";
	struct mmvm_error err;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&err, 0, sizeof(err));
		CU_ASSERT_EQUAL(baseline_parse(bad[i], strlen(bad[i]), "it", &b, &err), -1);
		CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "it"));
	}
	CU_ASSERT_EQUAL(baseline_parse(good, strlen(good), "it", &b, &err), 0);
	CU_ASSERT_EQUAL(baseline_read("/no/such/file", &b, &err), -1);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"lines", test_lines},
		{"written and read again", test_round_trip},
		{"compared", test_compare},
		{"files that are none", test_bad_files},
	};
	return unit_run("baseline", cases, sizeof(cases) / sizeof(cases[0]));
}
