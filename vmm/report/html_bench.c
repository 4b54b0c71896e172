/*
 * What operations cost, as a part of the page: the result of `mmvm bench --json`, Linux and guestmm
 * side by side, in instructions.
 *
 * The file is checked as strictly as that of a run. An operation that was not measured on one side is
 * listed without a ratio: a missing value is not zero.
 */
#include "report/html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "result/json_read.h"

static int bad(struct mmvm_error *err, const char *path, const char *what)
{
	return mmvm_error(err, MMVM_EXIT_USAGE, "%s is no result of mmvm bench: %s", path, what);
}

/** Read the cost of an operation on one side ("linux" or "guestmm") in thousandths of an instruction; 0: not
 * measured. */
static int load_cost(const struct json_value *op, const char *side, uint64_t *cost)
{
	const struct json_value *v = json_get(op, side);

	*cost = 0;
	if (!v || v->type == JSON_NULL)
		return 0;
	return json_to_u64(json_get(v, "median_x1000"), cost);
}

static void copy_text(const struct json_value *v, char *to, size_t size)
{
	if (v && v->type == JSON_STRING)
		snprintf(to, size, "%s", v->text);
}

static int load_rows(struct report_costs *c, const struct json_value *root, const char *path,
		     struct mmvm_error *err)
{
	const struct json_value *ops = json_get(root, "operations");
	uint64_t schema;

	if (json_to_u64(json_get(root, "schema"), &schema) || schema != 1)
		return bad(err, path, "it has no \"schema\" that is 1");
	if (!ops || ops->type != JSON_ARRAY)
		return bad(err, path, "it has no list of operations");
	copy_text(json_get(root, "linux"), c->linux_release, sizeof(c->linux_release));
	for (const struct json_value *op = ops->first; op; op = op->next) {
		struct report_cost *row = &c->rows[c->nr];

		if (c->nr == REPORT_MAX_COSTS)
			return bad(err, path, "it has too many operations");
		copy_text(json_get(op, "title"), row->title, sizeof(row->title));
		if (!row->title[0])
			return bad(err, path, "an operation has no title");
		if (load_cost(op, "linux", &row->linux_x1000) ||
		    load_cost(op, "guestmm", &row->guest_x1000))
			return bad(err, path, "a cost is no whole number");
		c->nr++;
	}
	return 0;
}

int report_costs_load(struct report_costs *c, const char *path, struct mmvm_error *err)
{
	struct json_doc doc;
	int ret;

	if (json_load(&doc, path, err))
		return -1;
	if (json_get(doc.root, "fault") && json_get(doc.root, "fault")->type == JSON_ARRAY)
		ret = report_latencies_read(c, doc.root, path, err);
	else
		ret = load_rows(c, doc.root, path, err);
	json_doc_free(&doc);
	return ret;
}

static void put_cost(FILE *f, uint64_t x1000)
{
	char text[32];

	fprintf(f, "<td class=\"n\">%s</td>",
		x1000 ? format_count(x1000 / 1000 + (x1000 % 1000 >= 500), text, sizeof(text))
		      : "not measured");
}

void html_costs(FILE *f, const struct report_costs *c)
{
	unsigned int half = 0, both = 0;

	fputs("<div class=\"scroll\"><table class=\"costs\"><thead><tr><th "
	      "scope=\"col\">instructions for "
	      "one</th><th scope=\"col\" class=\"n\">Linux ",
	      f);
	html_text(f, c->linux_release);
	fputs("</th><th scope=\"col\" class=\"n\">guestmm</th><th scope=\"col\" "
	      "class=\"n\">ratio</th><th scope=\"col\">guestmm, of Linux's 100 %</th></tr></thead>"
	      "<tbody>\n",
	      f);
	for (unsigned int i = 0; i < c->nr; i++) {
		const struct report_cost *row = &c->rows[i];
		double ratio = row->linux_x1000 && row->guest_x1000
				       ? (double)row->guest_x1000 / (double)row->linux_x1000
				       : 0;

		fputs("<tr><th scope=\"row\">", f);
		html_text(f, row->title);
		fputs("</th>", f);
		put_cost(f, row->linux_x1000);
		put_cost(f, row->guest_x1000);
		if (ratio > 0) {
			both++;
			half += ratio <= 0.5;
			fprintf(f,
				"<td class=\"n\">%.2f</td><td><div class=\"bar\" "
				"style=\"width:%.1f%%;background:var(--c%u)\"></div></td>",
				ratio, 100 * (ratio < 1 ? ratio : 1), ratio <= 1 ? 2u : 1u);
		} else {
			fputs("<td class=\"n\"></td><td></td>", f);
		}
		fputs("</tr>\n", f);
	}
	fprintf(f,
		"</tbody></table></div>\n<p class=\"note\">Medians, counted in the lab, both in "
		"one "
		"run of the same emulator; %u of %u at or below half of Linux.</p>\n",
		half, both);
}
