/*
 * Costs that are kept, and the comparison with them.
 *
 *   {"schema": 1, "unit": "instructions",
 *    "operations": [{"name": "anon_fault", "median_x1000": 1121499,
 *                    "functions": {"clear_page": 522, "handle_mm_fault": 59, ...}}, ...]}
 */
#include "bench/baseline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "bench/profile.h"
#include "cli/cli.h"
#include "result/json.h"
#include "result/json_read.h"
#include "report/report.h"

#define SHOWN 5 /* functions shown for a cost that rose */

bool baseline_has_profile(const char *row)
{
	/* One ends in another process than it began in; the others are no operation of profile_mem. */
	return strcmp(row, "fork_wait") && strncmp(row, "thp_", 4) &&
	       strcmp(row, "hugetlb_fault") && strcmp(row, "migrate_page") &&
	       strcmp(row, "compact_page");
}

static bool wanted(const char *only, unsigned int row)
{
	return bench_wanted(only, (const char *const[]){bench_row_name(row), NULL});
}

void baseline_profile(FILE *out, const char *row)
{
	char kernel[4096], backend[32];
	struct mmvm_error err = {0};
	const struct profile *r;
	struct profiler *p;

	cli_built_path("images/guestmm.elf", kernel, sizeof(kernel));
	p = profile_operation(kernel, row, backend, &err);
	if (!p) {
		fprintf(out, "note profile of %s: %s\n", row, err.text);
		return;
	}
	r = profiler_result(p);
	for (unsigned int k = 0; k < r->nr_funcs; k++)
		fprintf(out, "prof %s %s %" PRIu64 "\n", row,
			strcmp(r->func[k].name, "[other thread]") ? r->func[k].name
								  : "[other_thread]",
			r->func[k].self);
	profiler_free(p);
}

static int find_row(const char *name)
{
	for (unsigned int i = 0; i < bench_nr_rows(); i++)
		if (!strcmp(bench_row_name(i), name))
			return (int)i;
	return -1;
}

static bool add_func(struct baseline_row *row, const char *name, uint64_t self)
{
	unsigned int i = 0;

	while (i < row->nr_funcs && strcmp(row->func[i].name, name))
		i++;
	if (i == BASELINE_MAX_FUNCS)
		return false;
	if (i == row->nr_funcs) {
		row->nr_funcs++;
		row->func[i].self = 0;
		snprintf(row->func[i].name, sizeof(row->func[i].name), "%s", name);
	}
	row->func[i].self += self;
	return true;
}

bool baseline_line(struct baseline *b, const char *line)
{
	char row[32], func[PROFILE_NAME];
	uint64_t self;
	int i;

	if (sscanf(line, "prof %31s %63s %" SCNu64, row, func, &self) != 3)
		return false;
	i = find_row(row);
	return i >= 0 && add_func(&b->row[i], func, self);
}

void baseline_take_costs(struct baseline *b, const struct bench_result *r, const char *only)
{
	for (unsigned int i = 0; i < bench_nr_rows(); i++)
		b->row[i].median = wanted(only, i) ? r->cost[i][BENCH_GUEST].median : 0;
}

int baseline_emit(FILE *f, const void *baseline)
{
	const struct baseline *b = baseline;
	struct json j;

	json_init(&j, f);
	json_object(&j, NULL);
	json_u64(&j, "schema", 1);
	json_string(&j, "unit", "instructions");
	json_array(&j, "operations");
	for (unsigned int i = 0; i < bench_nr_rows(); i++) {
		const struct baseline_row *row = &b->row[i];

		if (!row->median)
			continue;
		json_object(&j, NULL);
		json_string(&j, "name", bench_row_name(i));
		json_u64(&j, "median_x1000", row->median);
		json_object(&j, "functions");
		for (unsigned int k = 0; k < row->nr_funcs; k++)
			json_u64(&j, row->func[k].name, row->func[k].self);
		json_end_object(&j);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	json_finish(&j);
	return ferror(f) ? -EIO : 0;
}

static int parse_row(const struct json_value *v, struct baseline *b)
{
	const struct json_value *name = json_get(v, "name"), *functions = json_get(v, "functions");
	const struct json_value *func;
	uint64_t self;
	int i;

	if (!name || name->type != JSON_STRING || !functions || functions->type != JSON_OBJECT)
		return -EINVAL;
	i = find_row(name->text);
	if (i < 0)
		return 0;
	if (json_to_u64(json_get(v, "median_x1000"), &b->row[i].median))
		return -EINVAL;
	for (func = functions->first; func; func = func->next)
		if (json_to_u64(func, &self) || !add_func(&b->row[i], func->key, self))
			return -EINVAL;
	return 0;
}

int baseline_parse(const char *text, size_t len, const char *name, struct baseline *b,
		   struct mmvm_error *err)
{
	const struct json_value *rows, *v;
	struct json_doc doc;
	uint64_t schema;
	char why[160];
	int rc = 0;

	memset(b, 0, sizeof(*b));
	if (json_parse(&doc, text, len, why, sizeof(why)))
		return mmvm_error(err, MMVM_EXIT_USAGE, "%s: %s", name, why);
	rows = json_get(doc.root, "operations");
	if (json_to_u64(json_get(doc.root, "schema"), &schema) || schema != 1 || !rows ||
	    rows->type != JSON_ARRAY)
		rc = mmvm_error(err, MMVM_EXIT_USAGE,
				"%s is no baseline (`mmvm bench --save` writes one)", name);
	for (v = rc ? NULL : rows->first; v && !rc; v = v->next)
		if (parse_row(v, b))
			rc = mmvm_error(err, MMVM_EXIT_USAGE,
					"%s: an operation without a name, a cost or functions",
					name);
	json_doc_free(&doc);
	return rc;
}

int baseline_read(const char *path, struct baseline *b, struct mmvm_error *err)
{
	char *text = NULL, buf[4096];
	size_t len = 0, n;
	FILE *f = report_open_input(path), *all;
	int rc;

	if (!f)
		return mmvm_error(err, MMVM_EXIT_USAGE, "cannot open %s: %s", path,
				  strerror(errno));
	all = open_memstream(&text, &len);
	while (all && (n = fread(buf, 1, sizeof(buf), f)) > 0)
		fwrite(buf, 1, n, all);
	if (!all || ferror(f) || fclose(all))
		rc = mmvm_error(err, MMVM_EXIT_HOST, "cannot read %s", path);
	else
		rc = baseline_parse(text, len, path, b, err);
	fclose(f);
	free(text);
	return rc;
}

static uint64_t self_of(const struct baseline_row *row, const char *name)
{
	for (unsigned int i = 0; i < row->nr_funcs; i++)
		if (!strcmp(row->func[i].name, name))
			return row->func[i].self;
	return 0;
}

/** The functions that grew, most first; at most SHOWN. */
static void tell_functions(FILE *f, const struct baseline_row *then, const struct baseline_row *now)
{
	bool told[BASELINE_MAX_FUNCS] = {false};

	if (!then->nr_funcs || !now->nr_funcs) {
		fprintf(f, "    no profile to tell the functions from\n");
		return;
	}
	for (unsigned int n = 0; n < SHOWN; n++) {
		uint64_t most = 0, was;
		unsigned int best = 0;

		for (unsigned int i = 0; i < now->nr_funcs; i++) {
			was = self_of(then, now->func[i].name);
			if (!told[i] && now->func[i].self > was && now->func[i].self - was > most) {
				most = now->func[i].self - was;
				best = i;
			}
		}
		if (!most) {
			if (!n)
				fprintf(f, "    no function grew in the profile\n");
			return;
		}
		told[best] = true;
		was = now->func[best].self - most;
		fprintf(f, "    %s: %" PRIu64 " -> %" PRIu64 " instructions%s\n",
			now->func[best].name, was, now->func[best].self, was ? "" : " (new)");
	}
}

bool baseline_rose(const struct baseline_row *then, const struct baseline_row *now,
		   unsigned int percent)
{
	return then->median && (double)now->median * 100 > (double)then->median * (100 + percent);
}

unsigned int baseline_compare(FILE *f, const struct baseline *then, const struct baseline *now,
			      unsigned int percent, const char *only)
{
	unsigned int rose = 0, held = 0;

	for (unsigned int i = 0; i < bench_nr_rows(); i++) {
		uint64_t a = then->row[i].median, b = now->row[i].median;
		const char *name = bench_row_name(i);

		if (!a || !wanted(only, i))
			continue;
		held++;
		if (!b) {
			fprintf(f, "%s was not measured; it cost %" PRIu64 " instructions\n", name,
				(a + 500) / 1000);
			rose++;
		} else if (baseline_rose(&then->row[i], &now->row[i], percent)) {
			fprintf(f,
				"%s rose from %" PRIu64 " to %" PRIu64 " instructions (+%.1f %%)\n",
				name, (a + 500) / 1000, (b + 500) / 1000,
				((double)b / (double)a - 1) * 100);
			tell_functions(f, &then->row[i], &now->row[i]);
			rose++;
		}
	}
	fprintf(f, "baseline: %u of %u costs rose by more than %u %%\n", rose, held, percent);
	return rose;
}
