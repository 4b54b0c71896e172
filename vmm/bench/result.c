/*
 * The bench_result: lines in, table and JSON out.
 *
 * Costs are kept in thousandths, as they come, and rounded only when printed.
 */
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>
#include "bench/bench.h"
#include "result/json.h"
#include "report/report.h"

#define NAME(name, title)  name,
#define TITLE(name, title) title,
static const char *const names[] = {BENCH_ROWS(NAME)};
static const char *const titles[] = {BENCH_ROWS(TITLE)};
#define NR_ROWS (sizeof(names) / sizeof(names[0]))
_Static_assert(NR_ROWS <= BENCH_MAX_ROWS, "grow BENCH_MAX_ROWS");

unsigned int bench_nr_rows(void)
{
	return NR_ROWS;
}

const char *bench_row_name(unsigned int row)
{
	return names[row];
}

const char *bench_row_title(unsigned int row)
{
	return titles[row];
}

bool bench_wanted(const char *only, const char *const *list)
{
	for (; *list; list++) {
		if (!only || !fnmatch(only, *list, 0))
			return true;
	}
	return false;
}

bool bench_group_wanted(const char *only, enum bench_group group)
{
	static const char *const user[] = {BENCH_USER_ROWS(NAME) NULL},
				 *const kernel[] = {BENCH_KERNEL_ROWS(NAME) NULL},
				 *const swap[] = {BENCH_SWAP_ROWS(NAME) NULL},
				 *const move[] = {BENCH_MOVE_ROWS(NAME) NULL},
				 *const smp[] = {BENCH_SMP_ROWS(NAME) NULL},
				 *const memcg[] = {BENCH_MEMCG_ROWS(NAME) NULL};
	static const char *const *const list[] = {user, kernel, swap, move, smp, memcg};

	return bench_wanted(only, list[group]);
}

static bool take_cost(struct bench_result *r, const char *line)
{
	uint64_t median, min, reps;
	char side[16], name[32];

	if (sscanf(line, "cost %15s %31s %" SCNu64 " %" SCNu64 " %" SCNu64, side, name, &median,
		   &min, &reps) != 5)
		return false;
	for (unsigned int i = 0; i < NR_ROWS; i++) {
		if (!strcmp(names[i], name)) {
			r->cost[i][strcmp(side, "linux") ? BENCH_GUEST : BENCH_LINUX] =
				(struct bench_cost){median, min, reps};
			return true;
		}
	}
	return false;
}

static bool take_host(struct bench_result *r, const char *line)
{
	uint64_t value;
	char name[32];

	if (sscanf(line, "host backend %31[^\n]", r->backend) == 1)
		return true;
	if (sscanf(line, "host %31s %" SCNu64, name, &value) != 2)
		return false;
	if (!strcmp(name, "first_run_ns"))
		r->first_run_ns = value;
	else if (!strcmp(name, "vmm_bytes"))
		r->vmm_bytes = value;
	else if (!strcmp(name, "exit_ticks"))
		r->exit_ns = value;
	else if (!strcmp(name, "bare_exit_ticks"))
		r->bare_exit_ns = value;
	else if (!strcmp(name, "ticks_per_s") && value) {
		/* comes last: ticks become nanoseconds */
		r->exit_ns = (uint64_t)((double)r->exit_ns * 1e9 / (double)value);
		r->bare_exit_ns = (uint64_t)((double)r->bare_exit_ns * 1e9 / (double)value);
	} else {
		return false;
	}
	return true;
}

bool bench_result_line(struct bench_result *r, const char *line)
{
	size_t used = strlen(r->notes);

	if (!strncmp(line, "note ", 5)) {
		snprintf(r->notes + used, sizeof(r->notes) - used, "%s", line + 5);
		return true;
	}
	if (sscanf(line, "linux %63[^\n]", r->linux_release) == 1)
		return true;
	return take_cost(r, line) || take_host(r, line);
}

static void put_cost(FILE *f, uint64_t x1000)
{
	char text[32];

	if (!x1000)
		fprintf(f, "  %12s", "-");
	else
		fprintf(f, "  %12s", format_count((x1000 + 500) / 1000, text, sizeof(text)));
}

static void put_ratio(FILE *f, uint64_t ours, uint64_t theirs)
{
	if (ours && theirs)
		fprintf(f, "  %5.2f\n", (double)ours / (double)theirs);
	else
		fprintf(f, "  %5s\n", "-");
}

void bench_print_table(FILE *f, const struct bench_result *r, const char *only)
{
	unsigned int shown = 0, half = 0, both = 0, major, minor;
	char a[32], b[32];

	if (sscanf(r->linux_release, "%u.%u", &major, &minor) == 2)
		snprintf(a, sizeof(a), "Linux %u.%u", major, minor);
	else
		snprintf(a, sizeof(a), "Linux");
	for (unsigned int i = 0; i < NR_ROWS; i++) {
		const struct bench_cost *l = &r->cost[i][BENCH_LINUX],
					*g = &r->cost[i][BENCH_GUEST];

		if (!bench_wanted(only, (const char *const[]){names[i], NULL}))
			continue;
		if (!shown++)
			fprintf(f, "%-38s  %12s  %12s  %5s\n", "Instructions for one", a, "guestmm",
				"ratio");
		fprintf(f, "%-38s", titles[i]);
		put_cost(f, l->median);
		put_cost(f, g->median);
		put_ratio(f, g->median, l->median);
		if (l->median && g->median) {
			both++;
			half += g->median * 2 <= l->median;
		}
	}
	if (both)
		fprintf(f, "%u of %u at or below half of Linux\n", half, both);
	if (*r->backend) {
		fprintf(f, "\nThe VMM, on %s\n", r->backend);
		fprintf(f, "%-38s  %12s\n", "process start to first instruction",
			r->first_run_ns ? format_ns(r->first_run_ns, a, sizeof(a)) : "-");
		fprintf(f, "%-38s  %12s\n", "memory beside guest RAM",
			r->vmm_bytes ? format_bytes(r->vmm_bytes, a, sizeof(a)) : "-");
		fprintf(f, "%-38s  %12s  bare ioctl loop %s", "exit and return",
			r->exit_ns ? format_ns((r->exit_ns + 500) / 1000, a, sizeof(a)) : "-",
			r->bare_exit_ns ? format_ns((r->bare_exit_ns + 500) / 1000, b, sizeof(b))
					: "-");
		put_ratio(f, r->exit_ns, r->bare_exit_ns);
	}
	if (*r->notes)
		put_lines(f, "note: ", r->notes);
}

static void json_side(struct json *j, const char *key, const struct bench_cost *c)
{
	if (!c->median) {
		json_null(j, key);
		return;
	}
	json_object(j, key);
	json_u64(j, "median_x1000", c->median);
	json_u64(j, "min_x1000", c->min);
	json_u64(j, "repetitions", c->reps);
	json_end_object(j);
}

static void json_known(struct json *j, const char *key, uint64_t value)
{
	if (value)
		json_u64(j, key, value);
	else
		json_null(j, key);
}

int bench_emit_json(FILE *f, const void *result)
{
	const struct bench_result *r = result;
	struct json j;

	json_init(&j, f);
	json_object(&j, NULL);
	json_u64(&j, "schema", 1);
	json_string(&j, "unit", "instructions");
	json_string(&j, "linux", r->linux_release);
	json_array(&j, "operations");
	for (unsigned int i = 0; i < NR_ROWS; i++) {
		json_object(&j, NULL);
		json_string(&j, "name", names[i]);
		json_string(&j, "title", titles[i]);
		json_side(&j, "linux", &r->cost[i][BENCH_LINUX]);
		json_side(&j, "guestmm", &r->cost[i][BENCH_GUEST]);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_object(&j, "vmm");
	json_string(&j, "backend", r->backend);
	json_known(&j, "first_run_ns", r->first_run_ns);
	json_known(&j, "memory_bytes", r->vmm_bytes);
	json_known(&j, "exit_ps", r->exit_ns);
	json_known(&j, "bare_exit_ps", r->bare_exit_ns);
	json_end_object(&j);
	json_string(&j, "notes", r->notes);
	json_end_object(&j);
	json_finish(&j);
	return ferror(f) ? -EIO : 0;
}
