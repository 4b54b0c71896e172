/*
 * One machine with one program, for `mmvm bench fault`.
 */
#include "bench/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "devices/device.h"
#include "lab/lab.h"
#include "machine/cpio.h"
#include "report/report.h"
#include "sandbox/sandbox.h"

#define MAX_ARGS 16u

static void warm(struct machine *m)
{
	const struct guest_ram *ram = machine_ram(m);

	for (unsigned int i = 0; i < ram->nr; i++) {
		volatile uint8_t *p = ram->region[i].hva;

		for (uint64_t at = 0; at < ram->region[i].size; at += 4096)
			__atomic_fetch_or(&p[at], 0, __ATOMIC_RELAXED);
	}
}

static int run(struct machine *m, struct mmvm_error *err)
{
	struct machine_outcome outcome = {0};

	machine_run(m, &outcome);
	if (outcome.kind == OUTCOME_EXITED && !outcome.status)
		return 0;
	report_console_tail(stderr, "    ", machine_console(m, NULL), 20);
	return mmvm_error(err, MMVM_EXIT_FAILED, "guest %s, status %d %s",
			  outcome_name(outcome.kind), outcome.status, outcome.text);
}

const struct sandbox_config *bench_sandbox(void)
{
	static const struct sandbox_config plain;

	return lab_inside() ? NULL : &plain;
}

int bench_program(struct machine_config *config, const char *program, const char *const *argv,
		  struct mmvm_error *err)
{
	char kernel[4096], path[4096], name[64];
	const char *args[MAX_ARGS + 1] = {name};
	struct cpio initrd = {0};
	struct machine *m;
	int rc = -1;

	snprintf(name, sizeof(name), "user/%s", program);
	for (unsigned int i = 1; i < MAX_ARGS && argv[i]; i++)
		args[i] = argv[i];
	config->argv = args;
	config->sandbox = bench_sandbox();
	config->kernel = cli_built_path("images/guestmm.elf", kernel, sizeof(kernel));
	cli_built_path(name, path, sizeof(path));
	if (cpio_add_file(&initrd, name, path, err))
		goto out;
	if (cpio_finish(&initrd)) {
		mmvm_error(err, MMVM_EXIT_HOST, "no memory for the initrd");
		goto out;
	}
	config->initrd = initrd.data;
	config->initrd_len = initrd.len;
	m = machine_create(config, err);
	if (!m)
		goto out;
	warm(m);
	cli_stop_on_signals(m);
	rc = run(m, err);
	cli_stop_on_signals(NULL);
	machine_destroy(m);
out:
	cpio_free(&initrd);
	config->argv = NULL;
	config->initrd = NULL;
	return rc;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t bench_percentile(uint64_t *v, size_t n, unsigned int percent)
{
	size_t at = (n * percent + 99) / 100;

	qsort(v, n, sizeof(*v), compare_u64);
	return v[at ? at - 1 : 0];
}
