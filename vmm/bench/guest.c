/*
 * The guestmm column, and the figures of the VMM: machines are run, and what their guests measured
 * arrives as records (MMVM_REC_BENCH) on the test channel.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>
#include "bench/bench.h"
#include "bench/program.h"
#include "cli/cli.h"
#include "kvm/kvm.h"
#include "machine/clock.h"
#include "machine/cpio.h"
#include "observe/audit_observer.h"
#include "report/report.h"

#define MIB	   (1ull << 20)
#define EXIT_TURNS 4

/** Each vCPU has its processor: the lab's Linux is not to move them. */
static void pin_cpus(struct machine_config *config)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	for (unsigned int i = 0; i < CPU_SETSIZE && config->nr_pin < config->cpus; i++) {
		if (CPU_ISSET(i, &set))
			config->pin[config->nr_pin++] = i;
	}
}

int bench_run_machine(FILE *out, const struct bench_machine *b,
		      void (*done)(struct machine *m, void *arg), void *arg)
{
	const char *const argv[] = {b->program, NULL};
	struct audit_watch audit = {.prefix = "    "};
	struct observers observers = {.nr = 0};
	struct machine_config config = {
		.ram_low = b->ram_low,
		.ram_high = b->ram_high,
		.cpus = b->cpus ? b->cpus : 1,
		.test = b->test,
		.argv = b->program ? argv : NULL,
		.nr_nodes = b->nodes,
		.seed = 1,
		.timeout_s = 600,
		.console_fd = -1,
		.observers = &observers,
		.sandbox = bench_sandbox(),
	};
	char kernel[4096], path[4096];
	const char *what = b->test ? b->test : b->program;
	const char *program = b->cpus ? "user/bench_smp" : "user/bench_mem";
	struct machine_outcome outcome = {0};
	struct mmvm_error err = {0};
	struct symtab *symbols;
	struct cpio initrd = {0};
	struct machine *m;
	int rc = -1;

	if (b->cpus)
		pin_cpus(&config);
	for (unsigned int i = 0; i < b->nodes; i++)
		config.node[i].memory = (b->ram_low + b->ram_high) / b->nodes;
	if (b->nodes)
		config.node[0].cpus = 1;
	config.kernel = cli_built_path("images/guestmm.elf", kernel, sizeof(kernel));
	symbols = symtab_load(kernel);
	observers.run.symbols = symbols;
	observers_attach(&observers, &audit_observer, &audit);
	cli_built_path(program, path, sizeof(path));
	if (cpio_add_file(&initrd, program, path, &err) || cpio_finish(&initrd)) {
		fprintf(out, "note %s: %s\n", what, *err.text ? err.text : "out of memory");
		goto out;
	}
	config.initrd = initrd.data;
	config.initrd_len = initrd.len;
	m = machine_create(&config, &err);
	if (!m) {
		fprintf(out, "note %s: %s\n", what, err.text);
		goto out;
	}
	machine_run(m, &outcome);
	if (outcome.kind != OUTCOME_EXITED || outcome.status) {
		fprintf(out, "note %s: guest %s, status %d %s\n", what, outcome_name(outcome.kind),
			outcome.status, outcome.text);
		report_console_tail(stderr, "    ", machine_console(m, NULL), 20);
	} else {
		rc = 0;
	}
	done(m, arg);
	machine_destroy(m);
out:
	cpio_free(&initrd);
	symtab_free(symbols);
	return rc;
}

static void write_costs(struct machine *m, void *arg)
{
	const struct mmvm_record *r;

	for (unsigned int i = 0; (r = machine_record(m, i)); i++) {
		if (r->kind == MMVM_REC_BENCH)
			fprintf(arg, "cost guestmm %.*s %llu %llu %llu\n", (int)sizeof(r->name),
				r->name, (unsigned long long)r->value, (unsigned long long)r->value,
				(unsigned long long)r->value2);
	}
}

void bench_guest(FILE *out, const char *only)
{
	static const struct bench_machine kernel = {
		.test = "bench.mm", .ram_low = 48 * MIB, .ram_high = 16 * MIB};
	static const struct bench_machine user = {
		.program = "user/bench_mem", .ram_low = 56 * MIB, .ram_high = 8 * MIB};
	static const struct bench_machine swap = {
		.test = "bench.swap", .ram_low = 56 * MIB, .ram_high = 8 * MIB};

	if (bench_group_wanted(only, BENCH_KERNEL))
		bench_run_machine(out, &kernel, write_costs, out);
	if (bench_group_wanted(only, BENCH_USER))
		bench_run_machine(out, &user, write_costs, out);
	if (bench_group_wanted(only, BENCH_SWAP))
		bench_run_machine(out, &swap, write_costs, out);
}

void bench_move(FILE *out, const char *only)
{
	static const struct bench_machine move = {
		.test = "bench.move", .ram_low = 192 * MIB, .ram_high = 64 * MIB, .nodes = 2};

	if (!bench_group_wanted(only, BENCH_MOVE))
		return;
	bench_linux_program(out, "bench_mem", "move");
	bench_run_machine(out, &move, write_costs, out);
}

void bench_guest_smp(FILE *out)
{
	static const struct bench_machine two = {
		.test = "bench.smp_2", .ram_low = 56 * MIB, .ram_high = 8 * MIB, .cpus = 2};
	static const struct bench_machine four = {
		.test = "bench.smp_4", .ram_low = 56 * MIB, .ram_high = 8 * MIB, .cpus = 4};

	bench_run_machine(out, &two, write_costs, out);
	bench_run_machine(out, &four, write_costs, out);
}

void bench_memcg(FILE *out, const char *only)
{
	static const struct bench_machine memcg = {
		.test = "bench.memcg", .ram_low = 56 * MIB, .ram_high = 8 * MIB};

	if (!bench_group_wanted(only, BENCH_MEMCG))
		return;
	bench_linux_program(out, "bench_mem", "group");
	bench_run_machine(out, &memcg, write_costs, out);
}

/** Memory of this process that is not guest RAM: guest RAM is shared memory (memfd), and the rest
 * is its share of files and what is its own. */
static uint64_t own_memory(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	unsigned long long kb, sum = 0;
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Pss_Anon: %llu kB", &kb) == 1 ||
		    sscanf(line, "Pss_File: %llu kB", &kb) == 1)
			sum += kb;
	}
	fclose(f);
	return sum << 10;
}

/* What is written: the first machine's start and memory, and the least exit of all of them. */
struct figures {
	FILE *out;
	bool written;
	uint64_t exit_ticks;
};

static void take_figures(struct machine *m, void *arg)
{
	const struct mmvm_record *r;
	struct figures *f = arg;

	if (!f->written) {
		fprintf(f->out, "host first_run_ns %llu\n",
			(unsigned long long)machine_start_ns(m));
		fprintf(f->out, "host vmm_bytes %llu\n", (unsigned long long)own_memory());
		f->written = true;
	}
	for (unsigned int i = 0; (r = machine_record(m, i)); i++) {
		if (r->kind == MMVM_REC_BENCH && !strcmp(r->name, "exit") &&
		    (!f->exit_ticks || r->value < f->exit_ticks))
			f->exit_ticks = r->value;
	}
}

void bench_host(FILE *out)
{
	static const struct bench_machine exits = {
		.test = "bench.exits", .ram_low = 40 * MIB, .ram_high = 8 * MIB};
	struct figures figures = {.out = out};
	uint64_t start_ticks, bare = UINT64_MAX;
	uint64_t from;
	double ns;

	fprintf(out, "host backend %s\n", kvm_backend_name(kvm_backend_detect()));
	from = machine_now_ns();
	start_ticks = __rdtsc();
	/* in turns, so that what else this host does falls on both */
	for (unsigned int i = 0; i < EXIT_TURNS; i++) {
		uint64_t once;
		int rc;

		if (bench_run_machine(out, &exits, take_figures, &figures))
			return;
		rc = bench_bare_exit(&once);
		if (rc) {
			fprintf(out, "note bare exit loop: %s\n", strerror(-rc));
			return;
		}
		bare = once < bare ? once : bare;
	}
	fprintf(out, "host exit_ticks %llu\n", (unsigned long long)figures.exit_ticks);
	fprintf(out, "host bare_exit_ticks %llu\n", (unsigned long long)bare);
	ns = (double)(machine_now_ns() - from);
	/* the guest's clock runs at the rate of ours */
	fprintf(out, "host ticks_per_s %.0f\n", (double)(__rdtsc() - start_ticks) / ns * 1e9);
}
