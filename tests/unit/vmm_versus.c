/*
 * mmvm versus: lines of the observer, their sums, and the table of made-up runs.
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

static void the_curves(void)
{
	static struct versus_curve c;
	char *text = NULL, line[64];
	size_t len = 0;
	FILE *f;

	CU_ASSERT(versus_take_point(&c, "curve: 1000 300 200 100\n"));
	CU_ASSERT(versus_take_point(&c, "[    1.5] x curve: 2000 4 5 6\r\n"));
	CU_ASSERT(!versus_take_point(&c, "curve: 1000 300 200"));
	CU_ASSERT(!versus_take_point(&c, "observe: pgfault 123"));
	CU_ASSERT(c.nr == 2 && c.point[0].rss == 300 && c.point[1].referenced == 5 &&
		  c.point[1].swap == 6);
	while (c.nr < VERSUS_MAX_POINTS)
		versus_take_point(&c, "curve: 1 1 1 1");
	CU_ASSERT(!versus_take_point(&c, "curve: 1 1 1 1"));

	/* 48 intervals are two a line; the second system ends after one. */
	v.curve_ms = 10;
	for (unsigned int i = 0; i < 48; i++) {
		snprintf(line, sizeof(line), "curve: %u 4096 %u 512", (i + 1) * 10000000,
			 i % 2 ? 1000 : 2000);
		CU_ASSERT(versus_take_point(&v.system[0].curve, line));
	}
	versus_take_point(&v.system[1].curve, "curve: 10000000 2048 777 1024");
	f = open_memstream(&text, &len);
	versus_table(f, &v, false);
	fclose(f);
	CU_ASSERT(has_row(text, "      20 ms", "1500", "777"));
	CU_ASSERT(has_row(text, "     480 ms", "1500", "ended"));
	CU_ASSERT(strstr(text, "500 ms") == NULL);
	free(text);
}

static const char json_path[] = "/dev/shm/mmvm-versus-unit.json";

static bool write_text(const char *text)
{
	FILE *f = fopen(json_path, "we");
	bool done = f && fputs(text, f) >= 0;

	return f && !fclose(f) && done;
}

/* What was written is read again, to the last value, and makes a page. */
static void back_from_json(void)
{
	static struct versus back;
	struct mmvm_error err = {0};
	char *text[2] = {NULL, NULL}, *page = NULL;
	size_t len[3] = {0};
	FILE *f = open_memstream(&text[0], &len[0]);

	v.args = (const char *const[]){"zipf", "<b>"};
	v.nr_args = 2;
	CU_ASSERT_EQUAL(versus_emit_json(f, &v), 0);
	fclose(f);
	CU_ASSERT_FATAL(write_text(text[0]));
	CU_ASSERT(versus_is_result(json_path));
	CU_ASSERT_EQUAL_FATAL(versus_load(&back, json_path, &err), 0);
	f = open_memstream(&text[1], &len[1]);
	versus_emit_json(f, &back);
	fclose(f);
	CU_ASSERT(len[0] > 1000 && !strcmp(text[0], text[1]));
	f = open_memstream(&page, &len[2]);
	CU_ASSERT_EQUAL(versus_emit_page(f, &back), 0);
	fclose(f);
	CU_ASSERT(strstr(page, "<h1>prog zipf &lt;b&gt;</h1>") != NULL);
	CU_ASSERT(strstr(page, "Working set: memory referenced in an interval") != NULL);
	CU_ASSERT(strstr(page, "1,000 ~") != NULL);
	CU_ASSERT(strstr(page, "twolist: 0.7") != NULL);
	versus_free(&back);
	free(text[0]);
	free(text[1]);
	free(page);
}

static void bad_json(void)
{
	static const char *const bad[][2] = {
		{"{\"schema\": 2, \"swap_bytes\": 1, \"systems\": []}", "schema"},
		{"{\"schema\": 1, \"swap_bytes\": 1, \"systems\": []}", "systems are missing"},
		{"{\"schema\": 1, \"swap_bytes\": 1, \"program\": \"p\", \"linux\": \"6.1\", "
		 "\"systems\": "
		 "[{\"name\": \"linux\", \"ram_bytes\": 1, \"runs\": []}]}",
		 "no runs"},
		{"{\"schema\": 1, \"swap_bytes\": 1, \"program\": \"p\", \"linux\": \"6.1\", "
		 "\"systems\": "
		 "[{\"name\": \"linux\", \"ram_bytes\": 1, \"runs\": [{\"a\": -1}]}]}",
		 "no number"},
		{"{\"schema\": 1, \"swap_bytes\": 1, \"program\": \"p\", \"linux\": \"6.1\", "
		 "\"systems\": "
		 "[{\"name\": \"linux\", \"ram_bytes\": 1, \"runs\": [{}], \"curve\": [{}]}]}",
		 "not whole"},
	};
	static struct versus back;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mmvm_error err = {0};

		CU_ASSERT_FATAL(write_text(bad[i][0]));
		CU_ASSERT(versus_load(&back, json_path, &err) != 0);
		CU_ASSERT(strstr(err.text, bad[i][1]) != NULL);
		versus_free(&back);
	}
	write_text("{\"schema\": 1, \"outcome\": {}}");
	CU_ASSERT(!versus_is_result(json_path));
	remove(json_path);
	CU_ASSERT(!versus_is_result(json_path));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"lines", lines},	{"the table", the_table},	    {"the JSON", the_json},
		{"curves", the_curves}, {"back from JSON", back_from_json}, {"bad JSON", bad_json}};

	return unit_run("versus", cases, sizeof(cases) / sizeof(cases[0]));
}
