/*
 * mmvm versus: lines of the observer, sums, and the table of made-up runs.
 */
#include <stdlib.h>
#include <string.h>
#include "../host/unit.h"
#include "versus/versus.h"

static struct versus v;

static void lines(void)
{
	static struct versus_run r;

	CU_ASSERT(versus_take_line(&r, "observe: pgfault 123\n"));
	CU_ASSERT(versus_take_line(&r, "[    1.5] x observe: allocstall_dma 4\r\n"));
	CU_ASSERT(versus_take_line(&r, "observe: allocstall_normal 5"));
	CU_ASSERT(!versus_take_line(&r, "observe: cannot load /lib/x.ko"));
	CU_ASSERT(!versus_take_line(&r, "pgfault 123"));
	CU_ASSERT_EQUAL(r.nr, 3);
	CU_ASSERT_EQUAL(versus_value(&r, "pgfault", NULL), 123);
	CU_ASSERT_EQUAL(versus_value(&r, "allocstall", NULL), 9);
	/* More than there is room for is not written anywhere. */
	for (unsigned int i = 0; i < 2 * VERSUS_MAX_VALUES; i++)
		versus_take_line(&r, "observe: more 1");
	CU_ASSERT_EQUAL(r.nr, VERSUS_MAX_VALUES);
}

static void fill(struct versus_system *s, const char *name, uint64_t first, uint64_t second)
{
	char line[64];

	strcpy(s->name, name);
	s->memory = 32 << 20;
	s->nr_runs = 2;
	for (unsigned int r = 0; r < 2; r++) {
		s->run[r].nr = 0;
		snprintf(line, sizeof(line), "observe: pswpout %u", 77u);
		versus_take_line(&s->run[r], line);
		snprintf(line, sizeof(line), "observe: ticks %lu",
			 (unsigned long)(r ? second : first));
		versus_take_line(&s->run[r], line);
	}
}

static bool has_row(const char *text, const char *label, const char *one, const char *two)
{
	const char *at = strstr(text, label);
	char a[32] = "", b[32] = "";

	return at && sscanf(at + strlen(label), "%31s %31s", a, b) == 2 && !strcmp(a, one) &&
	       !strcmp(b, two);
}

static void the_table(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	v = (struct versus){.runs = 2, .swap = 64 << 20, .nr = 2, .program = "prog"};
	fill(&v.system[0], "linux", 1000, 1001);
	fill(&v.system[1], "twolist", 500, 500);
	versus_take_line(&v.system[1].run[0], "observe: mmvm_own 3");
	versus_take_line(&v.system[1].run[1], "observe: mmvm_own 3");
	for (unsigned int r = 0; r < 2; r++) {
		versus_take_line(&v.system[1].run[r], "observe: pgsteal_kswapd 90");
		versus_take_line(&v.system[1].run[r], "observe: pgsteal_direct 30");
	}
	versus_table(f, &v, true);
	fclose(f);
	CU_ASSERT(has_row(text, "instructions", "1000~", "500"));
	CU_ASSERT(has_row(text, "pages swapped out", "77", "77"));
	/* 30 of 120 pages. */
	CU_ASSERT(has_row(text, "taken directly, per cent", "-", "25.0"));
	CU_ASSERT(has_row(text, "mmvm_own", "-", "3"));
	CU_ASSERT(strstr(text, "6 of 7 values repeat to the digit in 2 runs") != NULL);
	CU_ASSERT(strstr(text, "major faults") == NULL);
	free(text);
}

static void the_json(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	CU_ASSERT_EQUAL(versus_emit_json(f, &v), 0);
	fclose(f);
	CU_ASSERT(strstr(text, "\"name\": \"twolist\"") != NULL);
	CU_ASSERT(strstr(text, "\"ticks\": 1001") != NULL);
	CU_ASSERT(strstr(text, "\"program\": \"prog\"") != NULL);
	/* The first system's ticks differ, the second's do not. */
	CU_ASSERT(strstr(text, "\"repeats\": [\n        \"pswpout\"\n      ]") != NULL);
	CU_ASSERT(strstr(text, "\"ram_bytes\": 33554432") != NULL);
	free(text);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"lines", lines}, {"the table", the_table}, {"the JSON", the_json}};

	return unit_run("versus", cases, sizeof(cases) / sizeof(cases[0]));
}
