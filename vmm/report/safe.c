/*
 * Make text that cannot be trusted safe for a terminal: control characters (C0, DEL, C1) become dots, and
 * bytes that are not UTF-8 become U+FFFD. Texts of several lines keep their tabs.
 */
#include "report/report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "result/json.h"

void put_safe(FILE *f, const char *s, size_t max)
{
	size_t len = strnlen(s, max);

	while (len) {
		size_t n = utf8_char(s, len);

		if (n == 0) {
			fputs("\357\277\275", f);
			n = 1;
		} else if ((unsigned char)*s < 0x20 || *s == 0x7f ||
			   (n == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0)) {
			putc('.', f);
		} else {
			fwrite(s, 1, n, f);
		}
		s += n;
		len -= n;
	}
}

void put_lines(FILE *f, const char *indent, const char *s)
{
	while (*s) {
		const char *end = strchrnul(s, '\n');

		fputs(indent, f);
		for (const char *part = s; part < end;) {
			const char *tab = memchr(part, '\t', (size_t)(end - part));
			const char *stop = tab ? tab : end;

			put_safe(f, part, (size_t)(stop - part));
			if (tab)
				putc('\t', f);
			part = tab ? tab + 1 : stop;
		}
		putc('\n', f);
		s = *end ? end + 1 : end;
	}
}

bool report_want_colour(FILE *f)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(fileno(f)) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}
