/*
 * The kernel's printf held against the C library's, byte for byte, over every directive it knows;
 * and sizes, reports, bounded string copy.
 */
#include "unit.h"
#include <stdio.h>
#include <string.h>
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"

static unsigned int nr_compared, nr_different;

/* Both print into buffers of the same size with a canary behind. */
static void compare(size_t size, const char *fmt, ...)
{
	char ours[128], theirs[128];
	va_list a, b;
	int n, m;

	memset(ours, '#', sizeof(ours));
	memset(theirs, '#', sizeof(theirs));
	va_start(a, fmt);
	va_copy(b, a);
	n = kvsnprintf(ours, size, fmt, a);
	m = vsnprintf(theirs, size, fmt, b);
	va_end(a);
	va_end(b);
	nr_compared++;
	if (n != m || memcmp(ours, theirs, sizeof(ours))) {
		nr_different++;
		printf("\n  \"%s\" size %zu: \"%s\" (%d), libc \"%s\" (%d)\n", fmt, size, ours, n,
		       theirs, m);
	}
}

static void integers(void)
{
	static const char *const flags[] = {"", "-", "0", "+", " ", "#", "-+", "0+", "-#", "0#"};
	static const char *const widths[] = {"", "1", "5", "12", ".0", ".1", ".7", "12.7", "3.9"};
	static const char *const letters[] = {"d",  "i",   "u",	  "x",	"X",  "ld", "lu",
					      "lx", "lld", "llu", "zu", "zx", "hd", "hhu"};
	static const long values[] = {0,
				      1,
				      -1,
				      7,
				      255,
				      4096,
				      -123456,
				      2147483647,
				      -2147483648l,
				      (long)0x7fffffffffffffff,
				      (long)0x8000000000000000};
	char fmt[32];

	nr_different = nr_compared = 0;
	for (unsigned int f = 0; f < ARRAY_SIZE(flags); f++)
		for (unsigned int w = 0; w < ARRAY_SIZE(widths); w++)
			for (unsigned int l = 0; l < ARRAY_SIZE(letters); l++)
				for (unsigned int v = 0; v < ARRAY_SIZE(values); v++) {
					snprintf(fmt, sizeof(fmt), "%%%s%s%s", flags[f], widths[w],
						 letters[l]);
					compare(100, fmt, values[v]);
				}
	CU_ASSERT_EQUAL(nr_different, 0);
	CU_ASSERT(nr_compared > 10000);
}

static void strings_and_the_rest(void)
{
	nr_different = 0;
	compare(100, "%s|%10s|%-10s|%.2s|%10.2s|%-10.2s|", "abc", "abc", "abc", "abc", "abc",
		"abc");
	compare(100, "%c%5c%-5c|", 'x', 'y', 'z');
	compare(100, "%%|%*d|%-*d|%.*d|%*s", 6, 42, 6, 42, 4, 42, -8, "left");
	compare(100, "%p", (void *)0x1234);
	compare(100, "plain");
	compare(100, "%s", "");
	CU_ASSERT_EQUAL(nr_different, 0);
}

static void nothing_is_written_past_the_end(void)
{
	nr_different = 0;
	for (size_t size = 0; size < 20; size++) {
		compare(size, "%d %s", 123456, "some text");
		compare(size, "%10x", 0xabc);
	}
	CU_ASSERT_EQUAL(nr_different, 0);
}

static void unknown_directives_are_seen(void)
{
	char buf[64];
	const char *volatile null = NULL; /* the compiler would warn, and rightly */
	const char *volatile fmt = "a %k b %";

	CU_ASSERT_EQUAL(ksnprintf(buf, sizeof(buf), "%s", null), 6);
	CU_ASSERT_STRING_EQUAL(buf, "(null)");
	ksnprintf(buf, sizeof(buf), fmt);
	CU_ASSERT_STRING_EQUAL(buf, "a %k b %");
}

static void reports_note_overflow(void)
{
	char buf[16];
	struct report r = {.buf = buf, .size = sizeof(buf)};

	report_printf(&r, "%s", "12345678");
	CU_ASSERT_EQUAL(r.len, 8);
	CU_ASSERT_FALSE(r.overflow);
	report_printf(&r, "%s", "1234567");
	CU_ASSERT_EQUAL(r.len, 15);
	CU_ASSERT_FALSE(r.overflow);
	report_printf(&r, "x");
	CU_ASSERT_TRUE(r.overflow);
	CU_ASSERT_EQUAL(r.len, 15);
	CU_ASSERT_EQUAL(strlen(buf), 15);
}

static void sizes(void)
{
	static const struct {
		const char *text;
		int ret;
		u64 value;
	} cases[] = {
		{"0", 0, 0},
		{"12", 0, 12},
		{"12k", 0, 12 << 10},
		{"64M", 0, 64 << 20},
		{"3G", 0, 3ull << 30},
		{"1t", 0, 1ull << 40},
		{"0x10", 0, 16},
		{"0x10K", 0, 16384},
		{"18446744073709551615", 0, ~0ull},
		{"18446744073709551616", -EINVAL, 0},
		{"16777216T", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"M", -EINVAL, 0},
		{"0x", -EINVAL, 0},
		{"12q", -EINVAL, 0},
		{"12MB", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 v = 0;

		CU_ASSERT_EQUAL(parse_size(cases[i].text, &v), cases[i].ret);
		CU_ASSERT_EQUAL(v, cases[i].value);
	}
}

static void booleans(void)
{
	static const char *const yes[] = {"1",	  "y",	"Y",  "yes", "t",
					  "True", "on", "On", "ON",  "1x"};
	static const char *const no[] = {"0",	  "n",	 "N",	"no",  "f",
					 "False", "off", "Off", "OFF", "0x1"};
	static const char *const neither[] = {"", "o", "ox", "2", " 1", "-", "x", "\x11"};
	bool v;

	for (unsigned int i = 0; i < ARRAY_SIZE(yes); i++) {
		v = false;
		CU_ASSERT_EQUAL(parse_bool(yes[i], &v), 0);
		CU_ASSERT_TRUE(v);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(no); i++) {
		v = true;
		CU_ASSERT_EQUAL(parse_bool(no[i], &v), 0);
		CU_ASSERT_FALSE(v);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(neither); i++) {
		v = i & 1;
		CU_ASSERT_EQUAL(parse_bool(neither[i], &v), -EINVAL);
		CU_ASSERT_EQUAL(v, i & 1);
	}
}

static void bounded_copy(void)
{
	char buf[8];

	memset(buf, '#', sizeof(buf));
	CU_ASSERT_EQUAL(strscpy(buf, "abc", 4), 3);
	CU_ASSERT_STRING_EQUAL(buf, "abc");
	CU_ASSERT_EQUAL(strscpy(buf, "abcd", 4), -E2BIG);
	CU_ASSERT_STRING_EQUAL(buf, "abc");
	CU_ASSERT_EQUAL(buf[4], '#');
	CU_ASSERT_EQUAL(strscpy(buf, "abc", 0), -E2BIG);
	CU_ASSERT_EQUAL(strscpy(buf, "", 1), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"integers as libc prints them", integers},
		{"strings and the rest as libc prints them", strings_and_the_rest},
		{"nothing is written past the end", nothing_is_written_past_the_end},
		{"unknown directives are seen", unknown_directives_are_seen},
		{"reports note overflow", reports_note_overflow},
		{"sizes", sizes},
		{"booleans", booleans},
		{"bounded copy", bounded_copy},
	};
	return unit_run("format", cases, sizeof(cases) / sizeof(cases[0]));
}
