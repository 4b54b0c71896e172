/*
 * Reports: the output is valid, complete and safe, and a file is written whole or not at all.
 */
#include "../host/unit.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "result/json.h"
#include "report/report.h"

/* ---- a strict JSON reader, so that "valid" is not our own opinion ---------------------------- */

struct reader {
	const char *p, *end;
};

static bool value(struct reader *r, int depth);

static void blanks(struct reader *r)
{
	while (r->p < r->end && strchr(" \t\r\n", *r->p) && *r->p)
		r->p++;
}

static bool eat(struct reader *r, char c)
{
	blanks(r);
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static bool string(struct reader *r)
{
	if (!eat(r, '"'))
		return false;
	while (r->p < r->end && *r->p != '"') {
		size_t n = utf8_char(r->p, (size_t)(r->end - r->p));

		if (n == 0 || (unsigned char)*r->p < 0x20)
			return false;
		if (*r->p == '\\') {
			r->p++;
			if (*r->p == 'u') {
				for (int i = 1; i <= 4; i++)
					if (!strchr("0123456789abcdefABCDEF", r->p[i]) || !r->p[i])
						return false;
				r->p += 4;
			} else if (!*r->p || !strchr("\"\\/bfnrt", *r->p)) {
				return false;
			}
		}
		r->p += n;
	}
	return eat(r, '"');
}

static bool number(struct reader *r)
{
	const char *start = r->p;

	if (*r->p == '-')
		r->p++;
	if (*r->p == '0' && r->p[1] >= '0' && r->p[1] <= '9')
		return false;
	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > start && r->p[-1] != '-';
}

static bool members(struct reader *r, char close, bool keys, int depth)
{
	if (eat(r, close))
		return true;
	do {
		if (keys && (!string(r) || !eat(r, ':')))
			return false;
		if (!value(r, depth))
			return false;
	} while (eat(r, ','));
	return eat(r, close);
}

static bool value(struct reader *r, int depth)
{
	static const char *const words[] = {"true", "false", "null"};

	blanks(r);
	if (r->p == r->end || depth > 32)
		return false;
	if (*r->p == '"')
		return string(r);
	if (*r->p == '{')
		return eat(r, '{') && members(r, '}', true, depth + 1);
	if (*r->p == '[')
		return eat(r, '[') && members(r, ']', false, depth + 1);
	for (int i = 0; i < 3; i++) {
		if (!strncmp(r->p, words[i], strlen(words[i]))) {
			r->p += strlen(words[i]);
			return true;
		}
	}
	return number(r);
}

static bool valid_json(const char *text, size_t len)
{
	struct reader r = {text, text + len};

	if (!value(&r, 0))
		return false;
	blanks(&r);
	return r.p == r.end;
}

/* ---- helpers --------------------------------------------------------------------------------- */

static char folder[64];

static unsigned int files_in_folder(void)
{
	unsigned int nr = 0;
	struct dirent *e;
	DIR *d = opendir(folder);

	while ((e = readdir(d)) != NULL)
		nr += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	return nr;
}

static void fill(struct run_result *r)
{
	char *argv[] = {"mmvm", "run", "--exec", "x\"y"};
	const struct mmvm_disk_stats disk = {.reads = 10, .writes = 20, .sectors_read = 80};
	uint64_t one = 5, many[3] = {1, 2, UINT64_MAX};
	struct run_kvm_stat stat = {.name = "pages_4k",
				    .scope = "vm",
				    .kind = "instant",
				    .unit = "none",
				    .nr_values = 1,
				    .values = &one};
	struct run_sample s = {.t_ns = 1000, .dirty = 7, .nr_zones = 2, .zone_free = {-1, 5}};
	struct run_zone z = {.name = "DMA", .managed = 4096, .stat[NR_FREE_PAGES] = 100};

	run_result_init(r);
	run_result_set_command(r, 4, argv);
	strcpy(r->backend, "SVM");
	strcpy(r->accel, "kvm");
	strcpy(r->host_kernel, "6.1");
	r->ram_low = 40 << 20;
	r->ram_high = 8 << 20;
	r->cpus = 1;
	r->seed = UINT64_MAX;
	r->outcome.kind = OUTCOME_EXITED;
	for (unsigned int i = 0; i < 100; i++) {
		s.t_ns += 1000000;
		run_result_add_sample(r, &s);
	}
	run_result_add_counter(r, "pswpout", 20);
	run_result_add_counter(r, "pgfault", 12345678);
	run_result_add_zone(r, &z);
	strcpy(z.name, "No,rm\n");
	z.stat[NR_FREE_PAGES] = -3;
	run_result_add_zone(r, &z);
	run_result_add_disk(r, "swap", 160 << 20, &disk);
	run_result_add_kvm(r, &stat);
	stat.nr_values = 3;
	stat.values = many;
	strcpy(stat.name, "halt_hist");
	run_result_add_kvm(r, &stat);
	run_result_add_exit(r, "mmio", 1000, 5000000);
	run_result_add_check(r, "pages swapped out", 20, 20, "disk requests");
	/* What a guest may send: bad UTF-8, control characters, quotes, an escape sequence. */
	run_result_add_report(r, "meminfo", "a\xff\xc0\x80\x1b[31m\"\\\n\tb\xed\xa0\x80\xf4\x90",
			      19);
	strcpy(r->outcome.text, "\x1b]0;title\x07 \xc3\x28 \xe2\x82");
}

/** `emit` into a string. */
static char *text_of(int (*emit)(FILE *f, const void *arg), const void *arg, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	CU_ASSERT_EQUAL(emit(f, arg), 0);
	fclose(f);
	return text;
}

static int emit_table(FILE *f, const void *arg)
{
	const struct report_options opt = {.verbose = true};

	return report_table(f, arg, &opt);
}

static int emit_coloured(FILE *f, const void *arg)
{
	const struct report_options opt = {.colour = true};

	return report_table(f, arg, &opt);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void test_json(void)
{
	struct run_result r;
	size_t len;
	char *text;

	fill(&r);
	text = text_of(report_emit_json, &r, &len);
	CU_ASSERT_TRUE(valid_json(text, len));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"schema\": 1,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"seed\": 18446744073709551615"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"command\": \"mmvm run --exec x\\\"y\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"pgfault\": 12345678"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"nr_free_pages\": -3"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "18446744073709551615\n"));
	/* What was not measured is null. */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"dirty\": null"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"audit_findings\": null"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"crash\": null"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "a\\ufffd\\ufffd\\ufffd\\u001b[31m\\\"\\\\\\n\\tb\\ufffd"));
	free(text);
	r.outcome.has_crash = r.has_dirty = r.has_audit = true;
	r.outcome.crash.rip = 0xffffffff80001234;
	text = text_of(report_emit_json, &r, &len);
	CU_ASSERT_TRUE(valid_json(text, len));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"rip\": 18446744071562072628"));
	free(text);
	run_result_free(&r);
	/* Nothing in it at all is valid too. */
	text = text_of(report_emit_json, &r, &len);
	CU_ASSERT_TRUE(valid_json(text, len));
	free(text);
}

/** The reader itself says no. */
static void test_reader(void)
{
	static const char *const bad[] = {"",	    "{",  "{\"a\":1,}", "[1 2]",
					  "\"\n\"", "01", "\"\\x\"",	"{a:1}",
					  "1 2",    "-",  "\"\xff\""};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(valid_json(bad[i], strlen(bad[i])));
	CU_ASSERT_TRUE(valid_json("[{\"a\": [-1, null, true]}, \"\\u00e9\"]", 35));
}

static void test_utf8(void)
{
	static const struct {
		const char *s;
		size_t n;
	} cases[] = {{"a", 1},
		     {"\xc3\xa9", 2},
		     {"\xe2\x82\xac", 3},
		     {"\xf0\x9f\x98\x80", 4},
		     {"\xc3", 0},
		     {"\xc0\x80", 0},
		     {"\xe0\x80\x80", 0},
		     {"\xed\xa0\x80", 0},
		     {"\xf4\x90\x80\x80", 0},
		     {"\xf5\x80\x80\x80", 0},
		     {"\x80", 0},
		     {"\xe2\x28\xa1", 0},
		     {"\xf0\x80\x80\x80", 0},
		     {"\xe2\x82", 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_EQUAL(utf8_char(cases[i].s, strlen(cases[i].s)), cases[i].n);
}

/** Columns of a line, ignoring colour and counting a character of several bytes as one. */
static size_t columns(const char *line, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)line[i] & 0xc0) != 0x80;
	return n;
}

static void test_table(void)
{
	struct run_result r;
	size_t len;
	char *text;

	fill(&r);
	text = text_of(emit_table, &r, &len);
	for (char *line = text; *line;) {
		size_t n = strcspn(line, "\n");

		CU_ASSERT_TRUE(columns(line, n) <= 100);
		for (size_t i = 0; i < n; i++)
			CU_ASSERT_TRUE((unsigned char)line[i] >= 0x20 || line[i] == '\t');
		line += n + (line[n] == '\n');
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "12,345,678"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "equal"));
	CU_ASSERT_PTR_NULL(strstr(text, "DIFFER"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "the guest exited with status 0"));
	free(text);
	CU_ASSERT_TRUE(run_result_checks_ok(&r));
	CU_ASSERT_FALSE(run_result_add_check(&r, "pages swapped in", 3, 4, NULL));
	CU_ASSERT_FALSE(run_result_checks_ok(&r));
	text = text_of(emit_coloured, &r, &len);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\033[1;31mDIFFER"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "check failed: pages swapped in: guest 3, host 4"));
	/* The guest's own escape sequences do not come through. */
	CU_ASSERT_PTR_NULL(strstr(text, "\x1b]0;"));
	free(text);
	run_result_free(&r);
}

static void test_csv(void)
{
	unsigned int lines = 0, commas = 0;
	struct run_result r;
	size_t len;
	char *text;

	fill(&r);
	text = text_of(report_emit_csv, &r, &len);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ",free_0_DMA,free_0_No_rm_\n"));
	for (size_t i = 0; i < len; i++) {
		commas += text[i] == ',';
		lines += text[i] == '\n';
	}
	CU_ASSERT_EQUAL(lines, 101);
	CU_ASSERT_EQUAL(commas, 101 * (12 + NR_ZONE_STAT_ITEMS));
	free(text);
	run_result_free(&r);
}

static void test_sums(void)
{
	uint64_t a[2] = {1, 2}, b[2] = {10, 20};
	struct run_kvm_stat s = {.name = "x", .scope = "vcpu", .nr_values = 2, .values = a};
	struct run_result r;
	bool found;

	run_result_init(&r);
	run_result_add_kvm(&r, &s);
	s.values = b;
	run_result_add_kvm(&r, &s);
	CU_ASSERT_EQUAL(r.nr_kvm, 1);
	CU_ASSERT_EQUAL(r.kvm[0].values[0], 11);
	CU_ASSERT_EQUAL(r.kvm[0].values[1], 22);
	CU_ASSERT_EQUAL(run_result_counter(&r, "none", &found), 0);
	CU_ASSERT_FALSE(found);
	run_result_free(&r);
	fill(&r);
	CU_ASSERT_EQUAL(run_result_level(&r, NR_FREE_PAGES), 97);
	CU_ASSERT_EQUAL(run_result_counter(&r, "pswpout", &found), 20);
	CU_ASSERT_TRUE(found);
	run_result_free(&r);
}

static void test_formats(void)
{
	char b[64];

	CU_ASSERT_STRING_EQUAL(format_bytes(48 << 20, b, sizeof(b)), "48 MiB");
	CU_ASSERT_STRING_EQUAL(format_bytes(1536, b, sizeof(b)), "1.5 KiB");
	CU_ASSERT_STRING_EQUAL(format_bytes(12, b, sizeof(b)), "12 B");
	CU_ASSERT_STRING_EQUAL(format_bytes(UINT64_MAX, b, sizeof(b)), "16777215 TiB");
	CU_ASSERT_STRING_EQUAL(format_ns(7, b, sizeof(b)), "7 ns");
	CU_ASSERT_STRING_EQUAL(format_ns(1250000000, b, sizeof(b)), "1.25 s");
	CU_ASSERT_STRING_EQUAL(format_ns(42000, b, sizeof(b)), "42 us");
	CU_ASSERT_STRING_EQUAL(format_count(0, b, sizeof(b)), "0");
	CU_ASSERT_STRING_EQUAL(format_count(999, b, sizeof(b)), "999");
	CU_ASSERT_STRING_EQUAL(format_count(1234567, b, sizeof(b)), "1,234,567");
	CU_ASSERT_STRING_EQUAL(format_count(UINT64_MAX, b, sizeof(b)),
			       "18,446,744,073,709,551,615");
}

static int emit_word(FILE *f, const void *arg)
{
	fputs(arg, f);
	return 0;
}

static int emit_failing(FILE *f, const void *arg)
{
	fputs(arg, f);
	return -ENOMEM;
}

/** Far more than a stream buffers, so that a kill comes in the middle. */
static int emit_slowly(FILE *f, const void *arg)
{
	for (int i = 0; i < 100; i++) {
		for (int k = 0; k < 200; k++)
			fputs(arg, f);
		fflush(f);
		usleep(1000);
	}
	return 0;
}

static void read_file(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n = 0;

	if (f) {
		n = fread(buf, 1, size - 1, f);
		fclose(f);
	}
	buf[n] = '\0';
}

static void test_files(void)
{
	char path[128], buf[64];

	snprintf(path, sizeof(path), "%s/out.json", folder);
	CU_ASSERT_EQUAL(report_write_file_atomic(path, emit_word, "one"), 0);
	read_file(path, buf, sizeof(buf));
	CU_ASSERT_STRING_EQUAL(buf, "one");
	CU_ASSERT_EQUAL(report_write_file_atomic(path, emit_word, "second"), 0);
	read_file(path, buf, sizeof(buf));
	CU_ASSERT_STRING_EQUAL(buf, "second");
	/* A failure leaves what was there. */
	CU_ASSERT_EQUAL(report_write_file_atomic(path, emit_failing, "third"), -ENOMEM);
	read_file(path, buf, sizeof(buf));
	CU_ASSERT_STRING_EQUAL(buf, "second");
	CU_ASSERT_EQUAL(files_in_folder(), 1);
	CU_ASSERT_EQUAL(report_write_file_atomic(folder, emit_word, "x"), -EISDIR);
	CU_ASSERT_EQUAL(report_write_file_atomic("/nonexistent/x", emit_word, "x"), -ENOENT);
	CU_ASSERT_EQUAL(report_write_file_atomic("/dev/full", emit_word, "x"), -ENOSPC);
	CU_ASSERT_EQUAL(report_write_file_atomic("/dev/null", emit_word, "x"), 0);
	unlink(path);
}

/** Killed at 20 moments while it writes: the old file or the new one is there, and no other. */
static void test_kill(void)
{
	char path[128], buf[64];
	unsigned int whole = 0;

	snprintf(path, sizeof(path), "%s/out.json", folder);
	CU_ASSERT_EQUAL(report_write_file_atomic(path, emit_word, "old"), 0);
	for (unsigned int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(report_write_file_atomic(path, emit_slowly, "0123456789") != 0);
		usleep(i * 5000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		read_file(path, buf, 11);
		CU_ASSERT_TRUE(!strcmp(buf, "old") || !strcmp(buf, "0123456789"));
		if (buf[0] == '0') {
			struct stat st;

			stat(path, &st);
			CU_ASSERT_EQUAL(st.st_size, 200000);
		}
		whole += !strcmp(buf, "old");
	}
	/* At least the first kills came before the end: the middle was seen. */
	CU_ASSERT_TRUE(whole > 0);
	CU_ASSERT_EQUAL(files_in_folder(), 1);
	unlink(path);
}

int main(void)
{
	int status;
	static const struct unit_case cases[] = {
		{"the JSON reader of this test refuses what is wrong", test_reader},
		{"UTF-8 is told from what is not", test_utf8},
		{"JSON is valid and exact", test_json},
		{"the table fits and is safe", test_table},
		{"CSV has its columns", test_csv},
		{"statistics add up", test_sums},
		{"numbers for people", test_formats},
		{"files are whole", test_files},
		{"files are whole after kill -9", test_kill},
	};

	strcpy(folder, "/tmp/mmvm-report-XXXXXX");
	if (!mkdtemp(folder))
		return 1;
	status = unit_run("report", cases, sizeof(cases) / sizeof(cases[0]));
	rmdir(folder);
	return status;
}
