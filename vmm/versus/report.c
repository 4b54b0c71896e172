/*
 * What `mmvm versus` shows. A value that was the same to the digit in every run of a system stands
 * alone; "~" after it says that the runs differed (the JSON has them all).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "result/json.h"
#include "versus/versus.h"

/* name, what the table calls it. */
static const char *const rows[][2] = {
	{"pgfault", "page faults"},
	{"pgmajfault", "major faults"},
	{"pswpin", "pages swapped in"},
	{"pswpout", "pages swapped out"},
	{"swap_ra", "read around"},
	{"swap_ra_hit", "of these used"},
	{"pgscan_kswapd", "scanned by kswapd"},
	{"pgscan_direct", "scanned directly"},
	{"pgsteal_kswapd", "taken by kswapd"},
	{"pgsteal_direct", "taken directly"},
	{"allocstall", "allocations that reclaimed"},
	{"workingset_refault_anon", "refaults, anonymous"},
	{"workingset_refault_file", "refaults, files"},
	{"pgactivate", "activated"},
	{"pgdeactivate", "deactivated"},
	{"stall_us", "waited for memory, us"},
	{"ticks", "instructions"},
	{"host_swap_reads", "host: read requests"},
	{"host_swap_writes", "host: write requests"},
	{"host_swap_pages_read", "host: pages read"},
	{"host_swap_pages_written", "host: pages written"},
};
#define NR_ROWS	    (sizeof(rows) / sizeof(rows[0]))
#define CURVE_LINES 24u /* of the table at most */

const char *versus_row_name(unsigned int row)
{
	return row < NR_ROWS ? rows[row][0] : NULL;
}

const char *versus_row_label(unsigned int row)
{
	return row < NR_ROWS ? rows[row][1] : NULL;
}

bool versus_repeats(const struct versus_system *s, const char *name)
{
	for (unsigned int r = 1; r < s->nr_runs; r++)
		if (versus_value(&s->run[r], name, NULL) != versus_value(&s->run[0], name, NULL))
			return false;
	return true;
}

static void print_row(FILE *f, const struct versus *v, const char *name, const char *label)
{
	fprintf(f, "%-28s", label);
	for (unsigned int i = 0; i < v->nr; i++) {
		const struct versus_system *s = &v->system[i];
		bool found;
		uint64_t n = versus_value(&s->run[0], name, &found);

		if (found)
			fprintf(f, " %15" PRIu64 "%c", n, versus_repeats(s, name) ? ' ' : '~');
		else
			fprintf(f, " %15s ", "-");
	}
	fputc('\n', f);
}

/** Of the pages that were taken, those that an allocation had to take itself: kswapd was too late. */
static void print_direct_share(FILE *f, const struct versus *v)
{
	fprintf(f, "%-28s", "taken directly, per cent");
	for (unsigned int i = 0; i < v->nr; i++) {
		const struct versus_run *run = &v->system[i].run[0];
		uint64_t direct = versus_value(run, "pgsteal_direct", NULL);
		uint64_t all = direct + versus_value(run, "pgsteal_kswapd", NULL);

		if (all)
			fprintf(f, " %15.1f ", 100.0 * (double)direct / (double)all);
		else
			fprintf(f, " %15s ", "-");
	}
	fputc('\n', f);
}

static bool in_rows(const char *name)
{
	for (unsigned int i = 0; i < NR_ROWS; i++)
		if (!strcmp(rows[i][0], name))
			return true;
	return false;
}

static bool any_has(const struct versus *v, const char *name, unsigned int before)
{
	bool found = false;

	for (unsigned int i = 0; i < before && !found; i++)
		versus_value(&v->system[i].run[0], name, &found);
	return found;
}

static void print_rest(FILE *f, const struct versus *v)
{
	for (unsigned int i = 0; i < v->nr; i++) {
		const struct versus_run *run = &v->system[i].run[0];

		for (unsigned int k = 0; k < run->nr; k++) {
			const char *name = run->value[k].name;

			/* Once, where the first has it. */
			if (!in_rows(name) && !any_has(v, name, i))
				print_row(f, v, name, name);
		}
	}
}

/** Values that every system has alike in each of its runs. */
static void print_repeating(FILE *f, const struct versus *v)
{
	unsigned int same = 0, all = 0;

	for (unsigned int i = 0; i < v->nr; i++) {
		const struct versus_run *run = &v->system[i].run[0];

		for (unsigned int k = 0; k < run->nr; k++) {
			all++;
			same += versus_repeats(&v->system[i], run->value[k].name);
		}
	}
	if (v->runs > 1)
		fprintf(f,
			"\n%u of %u values repeat to the digit in %u runs; ~ marks those that do "
			"not\n",
			same, all, v->runs);
}

/** What was referenced in an interval, a column a system; several intervals make one line, the mean of them. */
static void print_curves(FILE *f, const struct versus *v)
{
	unsigned int longest = 0, step;

	for (unsigned int i = 0; i < v->nr; i++)
		if (v->system[i].curve.nr > longest)
			longest = v->system[i].curve.nr;
	if (!longest)
		return;
	step = (longest + CURVE_LINES - 1) / CURVE_LINES;
	fprintf(f, "\nreferenced in %u ms, KiB (a run of its own)\n", v->curve_ms);
	for (unsigned int at = 0; at < longest; at += step) {
		fprintf(f, "%8u ms%17s", (at + step) * v->curve_ms, "");
		for (unsigned int i = 0; i < v->nr; i++) {
			const struct versus_curve *c = &v->system[i].curve;
			uint64_t sum = 0;
			unsigned int n = 0;

			for (; n < step && at + n < c->nr; n++)
				sum += c->point[at + n].referenced;
			if (n)
				fprintf(f, " %15" PRIu64 " ", sum / n);
			else
				fprintf(f, " %15s ", "ended");
		}
		fputc('\n', f);
	}
}

void versus_table(FILE *f, const struct versus *v, bool all)
{
	fprintf(f, "Linux %s and guestmm, %" PRIu64 " MiB of swap, in the lab with --icount\n\n",
		v->release, v->swap >> 20);
	fprintf(f, "%-28s", "");
	for (unsigned int i = 0; i < v->nr; i++)
		fprintf(f, " %15s ", v->system[i].name);
	fputc('\n', f);
	fprintf(f, "%-28s", "RAM, KiB");
	for (unsigned int i = 0; i < v->nr; i++)
		fprintf(f, " %15" PRIu64 " ", v->system[i].memory >> 10);
	fputc('\n', f);
	print_row(f, v, "MemAvailable", "available before, KiB");
	for (unsigned int i = 0; i < NR_ROWS; i++)
		if (any_has(v, rows[i][0], v->nr))
			print_row(f, v, rows[i][0], rows[i][1]);
	print_direct_share(f, v);
	if (all)
		print_rest(f, v);
	print_repeating(f, v);
	print_curves(f, v);
}

static void emit_words(struct json *j, const char *key, const char *const *word, unsigned int nr)
{
	json_array(j, key);
	for (unsigned int i = 0; i < nr; i++)
		json_string(j, NULL, word[i]);
	json_end_array(j);
}

static void emit_curve(struct json *j, const struct versus_curve *c)
{
	json_array(j, "curve");
	for (unsigned int i = 0; i < c->nr; i++) {
		json_object(j, NULL);
		json_u64(j, "ticks", c->point[i].ticks);
		json_u64(j, "rss_kib", c->point[i].rss);
		json_u64(j, "referenced_kib", c->point[i].referenced);
		json_u64(j, "swap_kib", c->point[i].swap);
		json_end_object(j);
	}
	json_end_array(j);
}

/** Names of values that were the same in every run of a system: with one run, none is known to. */
static void emit_repeating(struct json *j, const struct versus_system *s)
{
	json_array(j, "repeats");
	for (unsigned int k = 0; s->nr_runs > 1 && k < s->run[0].nr; k++)
		if (versus_repeats(s, s->run[0].value[k].name))
			json_string(j, NULL, s->run[0].value[k].name);
	json_end_array(j);
}

int versus_emit_json(FILE *f, const void *versus)
{
	const struct versus *v = versus;
	struct json j;

	json_init(&j, f);
	json_object(&j, NULL);
	json_u64(&j, "schema", 1);
	json_string(&j, "linux", v->release);
	json_string(&j, "program", v->program);
	emit_words(&j, "arguments", v->args, v->nr_args);
	emit_words(&j, "sysctl", v->knobs, v->nr_knobs);
	json_u64(&j, "swap_bytes", v->swap);
	json_u64(&j, "curve_ms", v->curve_ms);
	json_array(&j, "systems");
	for (unsigned int i = 0; i < v->nr; i++) {
		const struct versus_system *s = &v->system[i];

		json_object(&j, NULL);
		json_string(&j, "name", s->name);
		json_u64(&j, "ram_bytes", s->memory);
		emit_repeating(&j, s);
		emit_curve(&j, &s->curve);
		json_array(&j, "runs");
		for (unsigned int r = 0; r < s->nr_runs; r++) {
			json_object(&j, NULL);
			for (unsigned int k = 0; k < s->run[r].nr; k++)
				json_u64(&j, s->run[r].value[k].name, s->run[r].value[k].value);
			json_end_object(&j);
		}
		json_end_array(&j);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	json_finish(&j);
	return ferror(f) ? -EIO : 0;
}
