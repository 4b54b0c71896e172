/*
 * One machine for `mmvm bench dirty`: the guest's user/dirtybench writes every page of its region in
 * passes and says how long each took; here the log is switched and read in between, while it waits.
 *
 *   populate | plain pass, twice | enable | pass, get, clear | ... | disable | plain pass
 *
 * Guest RAM is touched before the machine starts, so that no pass pays for the host's first touch.
 * The first pass after enabling differs by mode: with manual clearing the log begins with every page
 * set and nothing protected, so only the second pass meets protected pages.
 */
#include "bench/dirty.h"
#include "bench/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "devices/device.h"
#include "machine/cpio.h"
#include "machine/observer.h"
#include "report/report.h"

#define MIB (1ull << 20)
/** Beside the region: kernel, page tables, page array, program. */
#define ROOM_MB 16

struct bench {
	struct dirty_run run;
	unsigned int plains;
	struct machine_dirty_cost before;
};

static int switch_log(struct machine *m, enum dirty_logging to, uint64_t *ns)
{
	uint64_t t0 = machine_now_ns();
	int rc = machine_dirty_switch(m, to);

	*ns = machine_now_ns() - t0;
	return rc;
}

/** A pass has ended with the log on: read it. */
static int read_log(struct bench *b, struct machine *m, uint64_t pass_ns)
{
	struct machine_dirty_cost after;
	uint64_t *iter;
	int64_t pages;

	if (b->run.iterations >= DIRTY_MAX_ITERATIONS)
		return -E2BIG;
	iter = b->run.iter[b->run.iterations];
	machine_dirty_cost(m, &b->before);
	pages = machine_dirty_read(m, DIRTY_READER_SAMPLER, NULL, NULL);
	if (pages < 0)
		return (int)pages;
	machine_dirty_cost(m, &after);
	iter[DI_DIRTY] = pass_ns;
	iter[DI_GET] = after.get_ns - b->before.get_ns;
	iter[DI_CLEAR] = after.clear_ns - b->before.clear_ns;
	iter[DI_PAGES] = (uint64_t)pages;
	b->run.iterations++;
	return 0;
}

static int on_request(void *self, struct machine *m, const struct machine_request *q)
{
	const struct mmvm_record *rec = q->rec;
	static const enum dirty_value plain[] = {DV_PLAIN, DV_AGAIN, DV_AFTER};
	struct bench *b = self;
	struct mmvm_round round;
	uint64_t ns;

	if (q->kind != REQUEST_ROUND)
		return -ENOSYS;
	if (machine_read_virt(m, q->cr3, rec->value, &round, sizeof(round)))
		return -EFAULT;
	if (!strcmp(rec->name, "start"))
		return switch_log(m, DIRTY_LOGGING_OFF, &ns);
	if (!strcmp(rec->name, "enable"))
		return switch_log(m, DIRTY_LOGGING_ON, &b->run.value[DV_ENABLE]);
	if (!strcmp(rec->name, "disable"))
		return switch_log(m, DIRTY_LOGGING_OFF, &b->run.value[DV_DISABLE]);
	if (!strcmp(rec->name, "pass"))
		return read_log(b, m, round.written);
	if (!strcmp(rec->name, "populated"))
		b->run.value[DV_POPULATE] = round.written;
	else if (!strcmp(rec->name, "plain") && b->plains < 3)
		b->run.value[plain[b->plains++]] = round.written;
	else
		return -EINVAL;
	return 0;
}

/** Have the host give all of guest RAM now. */
static void warm(struct machine *m)
{
	const struct guest_ram *ram = machine_ram(m);

	for (unsigned int i = 0; i < ram->nr; i++) {
		volatile uint8_t *p = ram->region[i].hva;

		for (uint64_t at = 0; at < ram->region[i].size; at += 4096)
			p[at] |= 0; /* a write, without changing anything */
	}
}

#define NAME_(id, name, text) name,
static const char *const value_names[] = {DIRTY_VALUES(NAME_)};
static const char *const iter_names[] = {DIRTY_ITER_VALUES(NAME_)};
#undef NAME_

static void write_run(FILE *out, const struct dirty_run *run)
{
	for (unsigned int v = 0; v < NR_DIRTY_VALUES; v++)
		fprintf(out, "dirty %s %llu\n", value_names[v], (unsigned long long)run->value[v]);
	for (unsigned int i = 0; i < run->iterations; i++)
		for (unsigned int v = 0; v < NR_DIRTY_ITER_VALUES; v++)
			fprintf(out, "dirty %s@%u %llu\n", iter_names[v], i,
				(unsigned long long)run->iter[i][v]);
}

int dirty_run_line(struct dirty_run *run, const char *line)
{
	unsigned long long value;
	unsigned int i;
	char name[32];

	if (sscanf(line, "dirty %31[a-z] %llu", name, &value) == 2) {
		for (unsigned int v = 0; v < NR_DIRTY_VALUES; v++) {
			if (!strcmp(name, value_names[v])) {
				run->value[v] = value;
				return 0;
			}
		}
	} else if (sscanf(line, "dirty %31[a-z]@%u %llu", name, &i, &value) == 3 &&
		   i < DIRTY_MAX_ITERATIONS) {
		for (unsigned int v = 0; v < NR_DIRTY_ITER_VALUES; v++) {
			if (!strcmp(name, iter_names[v])) {
				run->iter[i][v] = value;
				if (run->iterations < i + 1)
					run->iterations = i + 1;
				return 0;
			}
		}
	}
	return -EINVAL;
}

static const struct observer dirty_bench_observer = {
	.name = "bench-dirty",
	.what = "what reading and clearing the log costs, pass by pass",
	.request = on_request,
};

int bench_dirty(FILE *out, const char *mode, uint64_t mb, unsigned int iterations)
{
	char kernel[4096], path[4096], mb_text[24], iterations_text[24];
	const char *const argv[] = {"user/dirtybench", "--mb",		"x",
				    "--iterations",    iterations_text, NULL};
	const char *args[6];
	struct bench b = {0};
	struct observers observers = {.nr = 0};
	struct machine_config config = {
		.ram_low = (mb + ROOM_MB + mb / 32) * MIB,
		.cpus = 1,
		.argv = args,
		.seed = 1,
		.timeout_s = 300,
		.console_fd = -1,
		.dirty_log = true,
		.observers = &observers,
		.sandbox = bench_sandbox(),
	};
	struct machine_outcome outcome = {0};
	struct mmvm_error err = {0};
	struct cpio initrd = {0};
	struct machine *m;
	int rc = -1;

	snprintf(mb_text, sizeof(mb_text), "%llu", (unsigned long long)mb);
	snprintf(iterations_text, sizeof(iterations_text), "%u", iterations);
	memcpy(args, argv, sizeof(args));
	args[2] = mb_text;
	if (dirty_mode_parse(mode, &config.dirty_mode)) {
		fprintf(out, "note no dirty log of that kind\n");
		return -1;
	}
	config.kernel = cli_built_path("images/guestmm.elf", kernel, sizeof(kernel));
	cli_built_path("user/dirtybench", path, sizeof(path));
	if (cpio_add_file(&initrd, "user/dirtybench", path, &err) || cpio_finish(&initrd)) {
		fprintf(out, "note %s\n", *err.text ? err.text : "out of memory");
		goto out;
	}
	config.initrd = initrd.data;
	config.initrd_len = initrd.len;
	observers_attach(&observers, &dirty_bench_observer, &b);
	m = machine_create(&config, &err);
	if (!m) {
		fprintf(out, "note %s\n", err.text);
		goto out;
	}
	warm(m);
	machine_run(m, &outcome);
	/* The better of the two is what a pass costs; something came between in the other. */
	if (b.run.value[DV_AGAIN] < b.run.value[DV_PLAIN]) {
		uint64_t worse = b.run.value[DV_PLAIN];

		b.run.value[DV_PLAIN] = b.run.value[DV_AGAIN];
		b.run.value[DV_AGAIN] = worse;
	}
	if (outcome.kind == OUTCOME_EXITED && !outcome.status && b.run.iterations == iterations) {
		write_run(out, &b.run);
		rc = 0;
	} else {
		fprintf(out, "note guest %s, status %d %s\n", outcome_name(outcome.kind),
			outcome.status, outcome.text);
		report_console_tail(stderr, "    ", machine_console(m, NULL), 20);
	}
	machine_destroy(m);
out:
	cpio_free(&initrd);
	return rc;
}
