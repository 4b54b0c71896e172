/*
 * The plots of the page as separate SVG files, for documents that cannot include a whole page.
 *
 *   report_html() -> text -> each <figure>: its title, legend and <svg> -> TITLE.svg
 *
 * The plots are cut out of the page and not drawn again, so that page and file cannot differ. Rules of the
 * page's style sheet are written into the file. The legend, which is HTML in the page, becomes text,
 * wrapped by the number of its characters. The columns with numbers for the pointer are left out: they are
 * most of the bytes, and of no use in a document.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report/report.h"

#define WIDTH	   480.0
#define PLOT_H	   250.0 /* the height of plots in html_plot.c */
#define LINE_H	   16.0
#define CHAR_W	   7.0 /* average width of a character of 12 pixels */
#define LEGEND_MAX 32u

/** A piece of the page. */
struct piece {
	const char *at;
	size_t len;
};

struct figure {
	struct piece title, body; /* body: what is inside of <svg> */
	struct {
		struct piece mark, name; /* mark: the attributes of its <i>; empty: none */
	} legend[LEGEND_MAX];
	unsigned int nr_legend;
};

/** Find the text between `open` and `close` in [*at, end), and move *at past it. False: there is none. */
static bool between(const char **at, const char *end, const char *open, const char *close,
		    struct piece *out)
{
	const char *from = memmem(*at, (size_t)(end - *at), open, strlen(open)), *to;

	if (!from)
		return false;
	from += strlen(open);
	to = memmem(from, (size_t)(end - from), close, strlen(close));
	if (!to)
		return false;
	*out = (struct piece){from, (size_t)(to - from)};
	*at = to + strlen(close);
	return true;
}

static void read_legend(struct figure *fig, const struct piece *list)
{
	const char *at = list->at, *end = at + list->len;
	struct piece item;

	while (fig->nr_legend < LEGEND_MAX && between(&at, end, "<li>", "</li>", &item)) {
		const char *in = item.at, *item_end = item.at + item.len;
		struct piece *mark = &fig->legend[fig->nr_legend].mark;

		if (!between(&in, item_end, "<i ", "</i>", mark))
			*mark = (struct piece){"", 0};
		fig->legend[fig->nr_legend].name = (struct piece){in, (size_t)(item_end - in)};
		fig->nr_legend++;
	}
}

/** Find the next figure of the page that is a plot. */
static bool next_figure(const char **at, const char *end, struct figure *fig)
{
	struct piece figure, list, svg;

	while (between(at, end, "<figure>", "</figure>", &figure)) {
		const char *in = figure.at, *stop = figure.at + figure.len;

		*fig = (struct figure){.nr_legend = 0};
		if (!between(&in, stop, "<b>", "</b>", &fig->title))
			continue;
		if (between(&in, stop, "<ul class=\"legend\">", "</ul>", &list))
			read_legend(fig, &list);
		if (!between(&in, stop, "<svg ", "</svg>", &svg))
			continue;
		in = svg.at;
		fig->body = svg;
		if (between(&in, svg.at + svg.len, "", ">\n", &list))
			fig->body = (struct piece){in, (size_t)(svg.at + svg.len - in)};
		return true;
	}
	return false;
}

/** The light page's colours (html_style.c). Programs other than browsers do not support variables. */
static const struct {
	const char *name, *value;
} colours[] = {{"c0", "#0a6ebd"},   {"c1", "#d95f02"},	 {"c2", "#0f8b6c"},   {"c3", "#b5479a"},
	       {"c4", "#c99700"},   {"c5", "#56a9dc"},	 {"c6", "#6a4fb0"},   {"c7", "#8a939e"},
	       {"c8", "#a04a22"},   {"c9", "#cdd3da"},	 {"h1", "#e8eef7"},   {"h2", "#cbdcf0"},
	       {"h3", "#a3c5e6"},   {"h4", "#6fa8d8"},	 {"h5", "#3f88c5"},   {"h6", "#2366a8"},
	       {"h7", "#154782"},   {"h8", "#0a2a55"},	 {"page", "#fcfcfb"}, {"card", "#ffffff"},
	       {"text", "#1d2126"}, {"soft", "#5b6470"}, {"line", "#dfe3e8"}};

/** Write text with each "var(--NAME)" replaced by its colour, and "--c:", by which the page colours lines and areas,
 * replaced by "color:". */
static void put_plain(FILE *f, const char *at, size_t len)
{
	static const char var[] = "var(--", own[] = "--c:";
	const char *end = at + len;

	while (at < end) {
		const char *v = memmem(at, (size_t)(end - at), var, sizeof(var) - 1), *name, *close;
		const char *c = memmem(at, (size_t)((v ? v : end) - at), own, sizeof(own) - 1);

		if (c) {
			fwrite(at, 1, (size_t)(c - at), f);
			fputs("color:", f);
			at = c + sizeof(own) - 1;
			continue;
		}
		name = v ? v + sizeof(var) - 1 : NULL;
		close = v ? memchr(name, ')', (size_t)(end - name)) : NULL;
		if (!close)
			break;
		fwrite(at, 1, (size_t)(v - at), f);
		for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++)
			if (strlen(colours[i].name) == (size_t)(close - name) &&
			    !memcmp(colours[i].name, name, (size_t)(close - name)))
				fputs(colours[i].value, f);
		at = close + 1;
	}
	fwrite(at, 1, (size_t)(end - at), f);
}

/** Write the body without its <rect class="tip"> ... </rect> elements. */
static void put_body(FILE *f, const struct piece *body)
{
	static const char open[] = "<rect class=\"tip\"", close[] = "</rect>\n";
	const char *at = body->at, *end = at + body->len;

	while (at < end) {
		const char *tip = memmem(at, (size_t)(end - at), open, sizeof(open) - 1), *after;

		after = tip ? memmem(tip, (size_t)(end - tip), close, sizeof(close) - 1) : NULL;
		if (!after)
			break;
		put_plain(f, at, (size_t)(tip - at));
		at = after + sizeof(close) - 1;
	}
	put_plain(f, at, (size_t)(end - at));
}

/** Write the style rules that plots need, with the light page's colours. */
static void put_style(FILE *f)
{
	static const char rules[] =
		"<style>text{font:12px system-ui,'DejaVu Sans',sans-serif;fill:var(--soft)}"
		".title{font-weight:600;fill:var(--text)}.card{fill:var(--card)}"
		".halo text{fill:var(--text);stroke:var(--card);stroke-width:4px;"
		"paint-order:stroke}.grid{stroke:var(--line)}.axis{stroke:var(--soft)}"
		".line{fill:none;stroke:currentColor;stroke-width:1.8;stroke-linejoin:round}"
		".area{fill:currentColor;stroke:var(--card);stroke-width:.6}"
		".limit{fill:none;stroke:var(--soft);stroke-width:1.5;stroke-dasharray:5 4}"
		"rect.empty{fill:var(--page)}.cells{fill:currentColor;shape-rendering:crispEdges}"
		"</style>\n";

	put_plain(f, rules, sizeof(rules) - 1);
}

/** Draw the mark before an item of the legend: a box in its colour, an empty box, or a dashed line. */
static void put_mark(FILE *f, const struct piece *mark, double x, double y)
{
	const char *at = mark->at, *end = mark->at + mark->len;
	struct piece colour = {"var(--page);stroke:var(--line)", 30};

	if (!mark->len)
		return;
	if (memmem(mark->at, mark->len, "dash", 4)) {
		fprintf(f, "<path class=\"limit\" d=\"M%.1f %.1fh11\"/>\n", x, y - 4);
		return;
	}
	between(&at, end, "background:", "\"", &colour);
	fprintf(f,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"11\" height=\"11\" rx=\"2\" style=\"fill:", x,
		y - 10);
	put_plain(f, colour.at, colour.len);
	fputs("\"/>\n", f);
}

/** Lay out the legend, and write it if `f` is not NULL. Returns its height. */
static double put_legend(FILE *f, const struct figure *fig)
{
	double x = 4, y = 2 * LINE_H;

	for (unsigned int i = 0; i < fig->nr_legend; i++) {
		const struct piece *mark = &fig->legend[i].mark, *name = &fig->legend[i].name;
		double box = mark->len ? 16 : 0, w = box + 14 + CHAR_W * (double)name->len;

		if (x > 4 && x + w > WIDTH) {
			x = 4;
			y += LINE_H;
		}
		if (f) {
			put_mark(f, mark, x, y);
			fprintf(f, "<text x=\"%.1f\" y=\"%.1f\">%.*s</text>\n", x + box, y,
				(int)name->len, name->at);
		}
		x += w;
	}
	return fig->nr_legend ? y + 6 : LINE_H + 6;
}

static int emit_figure(FILE *f, const void *arg)
{
	const struct figure *fig = arg;
	double top = put_legend(NULL, fig);

	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" "
		"role=\"img\">\n<title>%.*s</title>\n",
		WIDTH, top + PLOT_H, 1.5 * WIDTH, (int)fig->title.len, fig->title.at);
	put_style(f);
	fprintf(f,
		"<rect class=\"card\" width=\"%g\" height=\"%g\"/>\n"
		"<text class=\"title\" x=\"4\" y=\"14\">%.*s</text>\n",
		WIDTH, top + PLOT_H, (int)fig->title.len, fig->title.at);
	put_legend(f, fig);
	fprintf(f, "<g transform=\"translate(0 %g)\">\n", top);
	put_body(f, &fig->body);
	fputs("</g>\n</svg>\n", f);
	return ferror(f) ? -EIO : 0;
}

/** The path of a plot's file: "Guest memory: free × used" becomes guest-memory-free-used.svg. */
static void file_name(char *buf, size_t size, const char *folder, const struct piece *title)
{
	size_t n = (size_t)snprintf(buf, size, "%s/", folder);

	for (size_t i = 0; i < title->len && n + 6 < size; i++) {
		char c = title->at[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			buf[n++] = c;
		else if (buf[n - 1] != '-' && buf[n - 1] != '/')
			buf[n++] = '-';
	}
	while (buf[n - 1] == '-')
		n--;
	snprintf(buf + n, size - n, ".svg");
}

int report_svg(const char *folder, const struct run_result *r, const struct report_costs *costs,
	       char *failed, size_t size)
{
	struct figure *fig = malloc(sizeof(*fig));
	char *page = NULL;
	const char *at;
	size_t len = 0;
	FILE *f = open_memstream(&page, &len);
	int rc = fig && f ? report_html(f, r, costs) : -ENOMEM;

	snprintf(failed, size, "%s", folder);
	if (f && fclose(f) && !rc)
		rc = -ENOMEM;
	if (!rc && mkdir(folder, 0777) && errno != EEXIST)
		rc = -errno;
	for (at = page; !rc && next_figure(&at, page + len, fig);) {
		file_name(failed, size, folder, &fig->title);
		rc = report_write_file_atomic(failed, emit_figure, fig);
	}
	free(page);
	free(fig);
	return rc;
}
