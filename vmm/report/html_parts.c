/*
 * Headings, numbers and tables of the HTML report.
 */
#include "report/html.h"

#include <stdarg.h>

void html_heading(FILE *f, const char *text)
{
	fputs("<h2>", f);
	html_text(f, text);
	fputs("</h2>\n", f);
}

void html_put(FILE *f, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	html_text(f, text);
}

void html_count(FILE *f, uint64_t n)
{
	char text[32];

	fputs(format_count(n, text, sizeof(text)), f);
}

void html_level(FILE *f, int64_t n)
{
	if (n < 0)
		putc('-', f);
	html_count(f, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void html_cell_count(FILE *f, uint64_t n)
{
	fputs("<td class=\"n\">", f);
	html_count(f, n);
	fputs("</td>", f);
}

void html_cell_text(FILE *f, const char *class, const char *text)
{
	fprintf(f, "<td class=\"%s\">", class);
	html_text(f, text);
	fputs("</td>", f);
}

void html_table_begin(FILE *f, const char *const *columns)
{
	fputs("<div class=\"scroll\"><table><thead><tr>", f);
	for (; *columns; columns++) {
		bool number = **columns == '#';

		fprintf(f, "<th scope=\"col\"%s>", number ? " class=\"n\"" : "");
		html_text(f, *columns + number);
		fputs("</th>", f);
	}
	fputs("</tr></thead><tbody>\n", f);
}

void html_table_end(FILE *f)
{
	fputs("</tbody></table></div>\n", f);
}

void html_row_begin(FILE *f, const char *name)
{
	fputs("<tr><th scope=\"row\">", f);
	html_text(f, name);
	fputs("</th>", f);
}

void html_flow_begin(FILE *f, const char *summary)
{
	fputs("<details open><summary>", f);
	html_text(f, summary);
	fputs("</summary>\n<div class=\"columns\"><table><tbody>\n", f);
}

void html_flow_end(FILE *f, unsigned int zeroes)
{
	fputs("</tbody></table></div>\n", f);
	if (zeroes)
		fprintf(f, "<p class=\"note\">%u more are 0.</p>\n", zeroes);
	fputs("</details>\n", f);
}
