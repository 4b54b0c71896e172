/*
 * Verdicts as text: for people (one line a test, the failure's story below it, totals last), TAP 14
 * (the story as a YAML block), JUnit XML (for CI pages).
 */
#include "harness/harness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "mmvm/layout.h"
#include "result/json.h"
#include "report/report.h"

int output_begin(struct test_output *o, unsigned int tests, uint64_t seed, const char *backend)
{
	switch (o->format) {
	case FORMAT_PRETTY:
		fprintf(o->f, "%u guest tests on %s, seed %" PRIu64 "\n", tests, backend, seed);
		break;
	case FORMAT_TAP:
		fprintf(o->f, "TAP version 14\n1..%u\n# %s, seed %" PRIu64 "\n", tests, backend,
			seed);
		break;
	case FORMAT_RELAY:
		relay_begin(o->f, seed, backend);
		break;
	case FORMAT_JUNIT:
		o->cases_f = open_memstream(&o->cases, &o->cases_len);
		return o->cases_f ? 0 : -1;
	}
	return 0;
}

static void paint(const struct test_output *o, const char *code)
{
	if (o->colour)
		fprintf(o->f, "\033[%sm", code);
}

static void pretty(struct test_output *o, const struct mmvm_test_desc *t, const struct verdict *v)
{
	static const struct {
		const char *word, *colour;
	} words[] = {{"ok  ", "32"}, {"FAIL", "1;31"}, {"skip", "33"}};
	char time[32];

	fputs("  ", o->f);
	paint(o, words[v->kind].colour);
	fputs(words[v->kind].word, o->f);
	paint(o, "0");
	fprintf(o->f, "  %-*s %9s", (int)o->width, t->name,
		v->kind == VERDICT_SKIP ? "" : format_ns(v->ns, time, sizeof(time)));
	if (v->reason[0]) {
		fputs("  ", o->f);
		put_safe(o->f, v->reason, sizeof(v->reason));
	}
	putc('\n', o->f);
	if (v->detail)
		put_lines(o->f, "        ", v->detail);
	fflush(o->f);
}

static void tap(struct test_output *o, const struct mmvm_test_desc *t, const struct verdict *v)
{
	fprintf(o->f, "%sok %u - %s", v->kind == VERDICT_FAIL ? "not " : "", o->nr, t->name);
	if (v->kind == VERDICT_SKIP) {
		fputs(" # SKIP ", o->f);
		put_safe(o->f, v->reason, sizeof(v->reason));
	}
	fprintf(o->f, "\n  ---\n  duration_ms: %" PRIu64 "\n", v->ns / 1000000);
	if (v->kind == VERDICT_FAIL) {
		fputs("  message: |\n    ", o->f);
		put_safe(o->f, v->reason, sizeof(v->reason));
		putc('\n', o->f);
		if (v->detail) {
			fputs("  detail: |\n", o->f);
			put_lines(o->f, "    ", v->detail);
		}
	}
	fputs("  ...\n", o->f);
	fflush(o->f);
}

/** Text as XML 1.0 allows it: characters that it forbids become U+FFFD. */
static void put_xml(FILE *f, const char *s)
{
	size_t len = strlen(s);

	while (len) {
		size_t n = utf8_char(s, len);
		unsigned char c = (unsigned char)*s;

		if (n == 0) {
			fputs("\357\277\275", f);
			n = 1;
		} else if (c == '<') {
			fputs("&lt;", f);
		} else if (c == '>') {
			fputs("&gt;", f);
		} else if (c == '&') {
			fputs("&amp;", f);
		} else if (c == '"') {
			fputs("&quot;", f);
		} else if (c < 0x20 && c != '\n' && c != '\t') {
			fputs("\357\277\275", f);
		} else {
			fwrite(s, 1, n, f);
		}
		s += n;
		len -= n;
	}
}

static void junit(struct test_output *o, const struct mmvm_test_desc *t, const struct verdict *v)
{
	const char *dot = strchr(t->name, '.');
	FILE *f = o->cases_f;

	fprintf(f, "    <testcase classname=\"%.*s\" name=\"%s\" time=\"%" PRIu64 ".%03u\"",
		(int)(dot - t->name), t->name, dot + 1, v->ns / 1000000000,
		(unsigned int)(v->ns / 1000000 % 1000));
	if (v->kind == VERDICT_PASS) {
		fputs("/>\n", f);
		return;
	}
	fprintf(f, ">\n      <%s message=\"", v->kind == VERDICT_FAIL ? "failure" : "skipped");
	put_xml(f, v->reason);
	fputs("\">", f);
	if (v->detail)
		put_xml(f, v->detail);
	fprintf(f, "</%s>\n    </testcase>\n", v->kind == VERDICT_FAIL ? "failure" : "skipped");
}

void output_test(struct test_output *o, const struct mmvm_test_desc *t, const struct verdict *v)
{
	o->nr++;
	o->ns += v->ns;
	o->passed += v->kind == VERDICT_PASS;
	o->failed += v->kind == VERDICT_FAIL;
	o->skipped += v->kind == VERDICT_SKIP;
	switch (o->format) {
	case FORMAT_PRETTY:
		pretty(o, t, v);
		break;
	case FORMAT_TAP:
		tap(o, t, v);
		break;
	case FORMAT_JUNIT:
		junit(o, t, v);
		break;
	case FORMAT_RELAY:
		relay_verdict(o->f, t->name, v);
		break;
	}
}

void output_end(struct test_output *o)
{
	if (o->format == FORMAT_PRETTY) {
		fprintf(o->f, "%u passed, %u failed, %u skipped\n", o->passed, o->failed,
			o->skipped);
	} else if (o->format == FORMAT_TAP) {
		fprintf(o->f, "# %u passed, %u failed, %u skipped\n", o->passed, o->failed,
			o->skipped);
	} else if (o->format == FORMAT_JUNIT) {
		fclose(o->cases_f);
		fprintf(o->f,
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
			"  <testsuite name=\"mmvm\" tests=\"%u\" failures=\"%u\" skipped=\"%u\" "
			"time=\"%" PRIu64 ".%03u\">\n",
			o->nr, o->failed, o->skipped, o->ns / 1000000000,
			(unsigned int)(o->ns / 1000000 % 1000));
		fwrite(o->cases, 1, o->cases_len, o->f);
		fputs("  </testsuite>\n</testsuites>\n", o->f);
		free(o->cases);
	}
	fflush(o->f);
}
