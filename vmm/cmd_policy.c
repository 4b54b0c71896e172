/*
 * mmvm policy: what each reclaim policy would have made of a recorded run.
 *
 *   mmvm run --trace FILE --refs 10 ...   then   mmvm policy FILE
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "commands.h"
#include "policy/refs.h"
#include "result/json.h"
#include "result/result.h"

#define MAX_SIZES    32u
#define MAX_POLICIES 32u

struct policy_options {
	const char *policies, *memory, *plot;
	bool json;
};

static const struct cli_option option_table[] = {
	{.name = "--policies",
	 .value = "LIST",
	 .help = "which (all: the guest's own, then lru, fifo, clock, arc, opt)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct policy_options, policies)},
	{.name = "--memory",
	 .value = "LIST",
	 .help = "sizes, in pages, in percent of all pages used, or \"run\": what\n"
		 "the recorded run had in memory on average (25%,50%,75%)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct policy_options, memory)},
	{.name = "--json",
	 .help = "a JSON object instead of the table",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct policy_options, json)},
	{.name = "--plot",
	 .value = "FILE",
	 .help = "misses over memory size, a column a policy, for gnuplot and the like:\n"
		 "20 sizes from 5 % to all",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct policy_options, plot),
	 .words = "@output"},
	{0},
};

/* A comma-separated list, cut in place. */
static unsigned int split(char *text, const char **item, unsigned int max)
{
	unsigned int n = 0;
	char *save;

	for (char *w = strtok_r(text, ",", &save); w && n < max; w = strtok_r(NULL, ",", &save))
		item[n++] = w;
	return n;
}

static int parse_size(const char *text, const struct ref_string *r, uint32_t *pages)
{
	size_t len = strlen(text);
	bool percent = len && text[len - 1] == '%';
	char number[16];
	uint64_t n;

	if (!strcmp(text, "run")) {
		/* At a miss the simulator has half a batch fewer than `memory`: a full memory gives up
		 * a batch, which the next misses fill again. So with this it has what the run had. */
		*pages = r->usual + SIM_BATCH / 2;
		return 0;
	}
	if (len - percent >= sizeof(number))
		return -1;
	memcpy(number, text, len - percent);
	number[len - percent] = 0;
	if (cli_parse_u64(number, 1, percent ? 100 : REF_GONE - 1, &n))
		return -1;
	*pages = (uint32_t)(percent ? (r->nr_pages * n + 99) / 100 : n);
	if (!*pages)
		*pages = 1;
	return 0;
}

static void print_head(const char *file, const struct ref_string *r)
{
	printf("%s: %zu references to %u pages; %" PRIu64 " by faults, %" PRIu64
	       " by samples of accessed bits\n",
	       file, r->nr, r->nr_pages, r->faults, r->sampled);
	if (r->left_out)
		printf("left out: %" PRIu64 " of pages of files\n", r->left_out);
	printf("the run had %u of them in memory, at most %u; %" PRIu64
	       " came back from swap; its pgmajfault: %" PRIu64 "\n\n",
	       r->usual, r->most, r->swap_faults, r->pgmajfault);
	printf("%8s  %-10s %10s %8s %10s %10s %9s %11s\n", "memory", "policy", "misses", "x OPT",
	       "evicted", "refaults", "looked/ev", "ns/decision");
}

static uint64_t per(uint64_t a, uint64_t b, uint64_t scale)
{
	return b ? (a * scale + b / 2) / b : 0;
}

static void print_row(const struct policy_result *p, uint64_t opt, const struct ref_string *r)
{
	uint64_t ratio = per(p->misses, opt, 100), looked = per(p->looked_at, p->evictions, 100);

	printf("%8u  %-10s %10" PRIu64, p->memory, p->name, p->misses);
	if (opt)
		printf(" %5" PRIu64 ".%02" PRIu64, ratio / 100, ratio % 100);
	else
		printf(" %8s", p->misses ? "inf" : "-");
	printf(" %10" PRIu64 " %10" PRIu64 " %6" PRIu64 ".%02" PRIu64 " %11" PRIu64 "\n",
	       p->evictions, p->refaults, looked / 100, looked % 100, per(p->ns, r->nr, 1));
}

static void json_row(struct json *j, const struct policy_result *p, uint64_t opt)
{
	json_object(j, NULL);
	json_string(j, "policy", p->name);
	json_u64(j, "memory_pages", p->memory);
	json_u64(j, "cold", p->cold);
	json_u64(j, "misses", p->misses);
	json_u64(j, "misses_opt", opt);
	json_u64(j, "evictions", p->evictions);
	json_u64(j, "refaults", p->refaults);
	json_u64(j, "looked_at", p->looked_at);
	json_u64(j, "ns", p->ns);
	json_end_object(j);
}

struct job {
	const struct ref_string *refs;
	const char *policy[MAX_POLICIES];
	unsigned int nr_policies;
};

static int run_size(const struct job *job, uint32_t memory, struct json *j)
{
	struct policy_result opt, p;
	int err = policy_run("opt", job->refs, memory, &opt);

	for (unsigned int i = 0; i < job->nr_policies && !err; i++) {
		err = policy_run(job->policy[i], job->refs, memory, &p);
		if (err)
			break;
		if (j)
			json_row(j, &p, opt.misses);
		else
			print_row(&p, opt.misses, job->refs);
	}
	return err;
}

/* "pages twolist lru ..." and a line a size. */
static int emit_plot(FILE *f, const void *arg)
{
	const struct job *job = arg;
	int err = 0;

	fprintf(f, "# pages");
	for (unsigned int i = 0; i < job->nr_policies; i++)
		fprintf(f, " %s", job->policy[i]);
	fprintf(f, "\n");
	for (unsigned int step = 1; step <= 20 && !err; step++) {
		uint32_t memory = (uint32_t)((uint64_t)job->refs->nr_pages * step / 20);

		fprintf(f, "%u", memory ? memory : 1);
		for (unsigned int i = 0; i < job->nr_policies && !err; i++) {
			struct policy_result p;

			err = policy_run(job->policy[i], job->refs, memory ? memory : 1, &p);
			fprintf(f, " %" PRIu64, p.misses);
		}
		fprintf(f, "\n");
	}
	return err;
}

static int run_all(const struct job *job, const struct policy_options *o, const char *file,
		   const uint32_t *size, unsigned int nr_sizes)
{
	struct json j;
	int err = 0;

	if (o->json) {
		json_init(&j, stdout);
		json_object(&j, NULL);
		json_u64(&j, "references", job->refs->nr);
		json_u64(&j, "pages", job->refs->nr_pages);
		json_u64(&j, "by_faults", job->refs->faults);
		json_u64(&j, "by_samples", job->refs->sampled);
		json_u64(&j, "left_out", job->refs->left_out);
		json_u64(&j, "most_mapped", job->refs->most);
		json_u64(&j, "usually_mapped", job->refs->usual);
		json_u64(&j, "swap_faults", job->refs->swap_faults);
		json_u64(&j, "pgmajfault", job->refs->pgmajfault);
		json_array(&j, "results");
	} else {
		print_head(file, job->refs);
	}
	for (unsigned int i = 0; i < nr_sizes && !err; i++)
		err = run_size(job, size[i], o->json ? &j : NULL);
	if (o->json) {
		json_end_array(&j);
		json_end_object(&j);
		json_finish(&j);
	}
	if (!err && o->plot)
		err = report_write_file_atomic(o->plot, emit_plot, job);
	return err;
}

/* The lists of the command line. 0 or an exit status. */
static int choose(const struct policy_options *o, const struct ref_string *r, char *text[2],
		  struct job *job, uint32_t *size, unsigned int *nr_sizes)
{
	const char *item[MAX_SIZES];

	text[0] = strdup(o->memory ? o->memory : "25%,50%,75%");
	text[1] = o->policies ? strdup(o->policies) : NULL;
	if (!text[0] || (o->policies && !text[1]))
		return MMVM_EXIT_HOST;
	*nr_sizes = split(text[0], item, MAX_SIZES);
	for (unsigned int i = 0; i < *nr_sizes; i++)
		if (parse_size(item[i], r, &size[i]))
			return cli_usage_error("policy", "--memory %s: neither pages nor percent",
					       item[i]);
	if (text[1]) {
		job->nr_policies = split(text[1], job->policy, MAX_POLICIES);
	} else {
		while (policy_name(job->nr_policies) && job->nr_policies < MAX_POLICIES) {
			job->policy[job->nr_policies] = policy_name(job->nr_policies);
			job->nr_policies++;
		}
	}
	for (unsigned int i = 0; i < job->nr_policies; i++)
		if (!policy_exists(job->policy[i]))
			return cli_usage_error("policy", "--policies %s: there is no such policy",
					       job->policy[i]);
	if (!*nr_sizes || !job->nr_policies)
		return cli_usage_error("policy", "an empty list");
	return 0;
}

static int cmd_policy(const struct command *self, int argc, char **argv)
{
	struct policy_options o = {0};
	struct option_list operands = {.nr = 0};
	struct ref_string refs = {0};
	struct job job = {.refs = &refs};
	uint32_t size[MAX_SIZES];
	char *text[2] = {NULL, NULL};
	unsigned int nr_sizes = 0;
	struct trace_data t;
	struct mmvm_error err;
	int status = command_parse(self, &o, argc, argv, &operands);

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	if (operands.nr != 1)
		return cli_usage_error("policy", "one trace, please");
	if (trace_load(&t, operands.item[0], &err))
		return cli_fail(&err);
	if (refs_load(&refs, &t)) {
		fprintf(stderr, "mmvm: policy: not enough memory\n");
		status = MMVM_EXIT_HOST;
		goto unload;
	}
	if (!refs.nr) {
		fprintf(stderr, "mmvm: policy: %s has no references to anonymous memory\n",
			operands.item[0]);
		status = MMVM_EXIT_FAILED;
		goto out;
	}
	status = choose(&o, &refs, text, &job, size, &nr_sizes);
	if (!status && (run_all(&job, &o, operands.item[0], size, nr_sizes) || fflush(stdout))) {
		fprintf(stderr, "mmvm: policy: cannot finish: no memory, or the output is full\n");
		status = MMVM_EXIT_HOST;
	}
out:
	free(text[0]);
	free(text[1]);
	refs_free(&refs);
unload:
	trace_unload(&t);
	return status;
}

const struct command command_policy = {
	.name = "policy",
	.run = cmd_policy,
	.what = "replay a recorded run with each reclaim policy",
	.synopsis = "TRACE [OPTIONS]",
	.about = "Take the reference string of a run recorded with --trace FILE --refs MS, and "
		 "count\n"
		 "the misses of the guest's own reclaim policies, of textbook ones, and of OPT, "
		 "which\n"
		 "knows the future.",
	.options = option_table,
	.operands = "@file",
};
