/*
 * One machine with one program, for `mmvm bench tlb` and `mmvm bench fault`.
 *
 * Huge pages behind guest RAM: whether shared memory may have them is the host's setting
 * (/sys/kernel/mm/transparent_hugepage/shmem_enabled, "never" on most), which MADV_COLLAPSE, a
 * request rather than a hint, does not ask. What came of it is read from smaps, not assumed.
 */
#include "bench/program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "cli.h"
#include "devices/device.h"
#include "machine/cpio.h"
#include "report/report.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

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

int bench_program(struct machine_config *config, const char *program, const char *const *argv,
		  int (*ready)(struct machine *m, void *arg), struct mmvm_error *err)
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
	rc = ready ? ready(m, config->arg) : 0;
	if (!rc)
		rc = run(m, err);
	cli_stop_on_signals(NULL);
	machine_destroy(m);
out:
	cpio_free(&initrd);
	config->argv = NULL;
	config->initrd = NULL;
	return rc;
}

/** Does a mapping of the VMM lie in guest RAM? */
static bool is_ram(const struct guest_ram *ram, uint64_t start, uint64_t end)
{
	for (unsigned int i = 0; i < ram->nr; i++) {
		uint64_t hva = (uint64_t)ram->region[i].hva;

		if (start >= hva && end <= hva + ram->region[i].size)
			return true;
	}
	return false;
}

uint64_t bench_huge_bytes(struct machine *m)
{
	uint64_t start, end, kb, total = 0;
	FILE *f = fopen("/proc/self/smaps", "re");
	bool inside = false;
	char line[512];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			inside = is_ram(machine_ram(m), start, end);
		else if (inside && (sscanf(line, "ShmemPmdMapped: %" SCNu64, &kb) == 1 ||
				    sscanf(line, "FilePmdMapped: %" SCNu64, &kb) == 1 ||
				    sscanf(line, "AnonHugePages: %" SCNu64, &kb) == 1))
			total += kb << 10;
	}
	fclose(f);
	return total;
}

uint64_t bench_collapse(struct machine *m)
{
	const uint64_t huge = 2ull << 20;
	const struct guest_ram *ram = machine_ram(m);

	for (unsigned int i = 0; i < ram->nr; i++) {
		uint64_t hva = (uint64_t)ram->region[i].hva, end = hva + ram->region[i].size;

		/* A block that cannot be had does not keep the others from it. */
		for (uint64_t at = (hva + huge - 1) / huge * huge; at + huge <= end; at += huge)
			madvise((void *)at, huge, MADV_COLLAPSE);
	}
	return bench_huge_bytes(m);
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
