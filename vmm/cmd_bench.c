/*
 * mmvm bench [--json FILE] [--only PATTERN]: what operations cost in guestmm, beside Linux, in
 * instructions, and what the VMM itself costs.
 *
 * The costs come from one run of the lab, the VMM's figures from KVM directly where there is one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench/baseline.h"
#include "bench/boot.h"
#include "bench/bench.h"
#include "bench/kernel.h"
#include "bench/profile.h"
#include "bench/dirty.h"
#include "bench/where.h"
#include "cli/cli.h"
#include "commands.h"
#include "kvm/kvm.h"
#include "lab/lab.h"
#include "machine/cpio.h"
#include "report/report.h"

struct options {
	const char *json, *only, *save, *baseline, *kernel;
	unsigned int percent;
	bool rows;
};

static const struct cli_option options[] = {
	{.name = "--save",
	 .value = "FILE",
	 .help = "keep guestmm's costs, and the profiles of what costs them",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, save),
	 .words = "@output",
	 .may_replace = "--baseline"}, /* it has been read by then: that is how costs are kept */
	{.name = "--baseline",
	 .value = "FILE",
	 .help = "status 1 when a cost is more than 5 % above what was kept; names the\n"
		 "functions that grew",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, baseline),
	 .words = "@file"},
	{.name = "--tolerance",
	 .value = "N",
	 .help = "per cent, instead of 5",
	 .kind = OPTION_UINT,
	 .offset = offsetof(struct options, percent),
	 .max = 1000},
	{.name = "--json",
	 .value = "FILE",
	 .help = "write the result there, too (- is standard output)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, json),
	 .words = "@output"},
	{.name = "--only",
	 .value = "PATTERN",
	 .help = "rows whose name matches the shell pattern",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, only)},
	{.name = "--linux",
	 .value = "VERSION|FILE",
	 .help = "another kernel for the Linux column: 6.12 (the newest that is installed or\n"
		 "that apt knows), or a file with its modules in ../lib/modules",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, kernel),
	 .words = "@file"},
	{.name = "--list",
	 .help = "the rows there are",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct options, rows)},
	{0},
};

/** The initramfs has one program; and then each monitor starts. */
static int inner_boot(char **argv)
{
	const char *initrd = "/dev/shm/bootup.cpio";
	struct bench_boot_files files = {.kernel = argv[0], .initrd = initrd, .qemu = argv[2]};
	struct mmvm_error err = {0};
	struct cpio c = {0};
	char self[4096];
	FILE *f;

	files.self = cli_built_path("mmvm", self, sizeof(self));
	files.kvmtool = *argv[3] ? argv[3] : NULL;
	if (cpio_add_file(&c, "init", argv[1], &err) || cpio_finish(&c))
		return cli_fail(&err);
	f = fopen(initrd, "we");
	if (!f || fwrite(c.data, 1, c.len, f) != c.len || fclose(f))
		return mmvm_error(&err, MMVM_EXIT_HOST, "cannot write %s", initrd), cli_fail(&err);
	cpio_free(&c);
	bench_boot(stdout, &files);
	return fflush(stdout) ? MMVM_EXIT_FAILED : MMVM_EXIT_OK;
}

/** The inner commands: `bench --inner boot KERNEL PROGRAM QEMU KVMTOOL`, `bench --inner costs MODULE RAM_DISK PATTERN`, `bench --inner move PATTERN`, `bench --inner smp RAM_DISK`, `bench --inner group PATTERN`,
 * `bench --inner host`. */
static int inner(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[2], "host")) {
		bench_host(stdout);
	} else if (argc > 3 && !strcmp(argv[2], "profiles")) {
		for (int i = 3; i < argc; i++)
			baseline_profile(stdout, argv[i]);
	} else if (argc == 6 && !strcmp(argv[2], "costs")) {
		const char *only = *argv[5] ? argv[5] : NULL;

		bench_linux(stdout, only, argv[3], argv[4]);
		bench_guest(stdout, only);
	} else if (argc == 7 && !strcmp(argv[2], "boot")) {
		return inner_boot(argv + 3);
	} else if (argc == 4 && !strcmp(argv[2], "move")) {
		bench_move(stdout, *argv[3] ? argv[3] : NULL);
	} else if (argc == 4 && !strcmp(argv[2], "smp")) {
		bench_linux_smp(stdout, argv[3]);
		bench_guest_smp(stdout);
	} else if (argc == 4 && !strcmp(argv[2], "group")) {
		bench_memcg(stdout, *argv[3] ? argv[3] : NULL);
	} else if (argc == 6 && !strcmp(argv[2], "dirty")) {
		if (bench_dirty(stdout, argv[3], strtoull(argv[4], NULL, 10),
				(unsigned int)atoi(argv[5])))
			return MMVM_EXIT_FAILED;
	} else {
		return cli_usage_error("bench", "--inner is for mmvm itself");
	}
	return fflush(stdout) ? MMVM_EXIT_FAILED : MMVM_EXIT_OK;
}

static struct baseline now;

static void take_lines(struct bench_result *r, int fd)
{
	char line[512];
	FILE *f;

	lseek(fd, 0, SEEK_SET);
	f = fdopen(dup(fd), "r");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (!bench_result_line(r, line) && !baseline_line(&now, line))
			fprintf(stderr, "mmvm bench: not understood: %s", line);
	}
	fclose(f);
}

/** Run an inner command in the lab, and take its lines. Returns 0, a status, or -1 with `err`. */
static int run_inner(struct bench_result *r, int argc, char **argv, struct lab_options *opt,
		     struct mmvm_error *err)
{
	int status;

	opt->stdout_fd = memfd_create("bench", MFD_CLOEXEC);
	if (opt->stdout_fd < 0)
		return mmvm_error(err, MMVM_EXIT_HOST, "memfd: %s", strerror(errno));
	status = lab_exec_command(argc, argv, opt, err);
	take_lines(r, opt->stdout_fd);
	close(opt->stdout_fd);
	return status;
}

/** A file of the lab: of the one with another kernel, when one was asked for. */
static const char *lab_file(const char *name, char *buf, size_t size)
{
	const char *other = getenv("MMVM_LAB");
	char path[256];

	if (other && *other) {
		snprintf(buf, size, "%s/%s", other, name);
		return buf;
	}
	snprintf(path, sizeof(path), "lab/%s", name);
	return cli_built_path(path, buf, size);
}

/** Costs of both kernels from the lab. Returns 0, a status, or -1 with `err`. */
static int measure_costs(struct bench_result *r, const char *only, struct mmvm_error *err)
{
	char self[4096], module[4096], ram_disk[4096];
	char *argv[] = {self,	(char *)"bench", (char *)"--inner",	     (char *)"costs",
			module, ram_disk,	 (char *)(only ? only : ""), NULL};
	struct lab_options opt = {.icount = true, .ram_mb = 768};

	if (only && !bench_group_wanted(only, BENCH_USER) &&
	    !bench_group_wanted(only, BENCH_KERNEL) && !bench_group_wanted(only, BENCH_SWAP))
		return 0;
	lab_file("mmvm_bench.ko", module, sizeof(module));
	lab_file("brd.ko", ram_disk, sizeof(ram_disk));
	cli_built_path("mmvm", self, sizeof(self));
	if (access(module, R_OK) || access(ram_disk, R_OK))
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "the Linux side of the benchmark is not built (%s); run `make "
				  "lab-bench`",
				  module);
	return run_inner(r, 7, argv, &opt, err);
}

/** Rows of one group from a lab of their own: `bench --inner NAME`. Returns 0, a status, or -1 with `err`. */
static int measure_in(struct lab_options *opt, const char *name, struct bench_result *r,
		      const char *only, struct mmvm_error *err)
{
	char self[4096];
	char *argv[] = {
		self, (char *)"bench", (char *)"--inner", (char *)name, (char *)(only ? only : ""),
		NULL};

	opt->icount = true;
	opt->ram_mb = 768;
	cli_built_path("mmvm", self, sizeof(self));
	return run_inner(r, 5, argv, opt, err);
}

/** Costs of moving pages, from a lab with two nodes. */
static int measure_moves(struct bench_result *r, const char *only, struct mmvm_error *err)
{
	struct lab_options opt = {.nodes = 2};

	return bench_group_wanted(only, BENCH_MOVE) ? measure_in(&opt, "move", r, only, err) : 0;
}

/** Costs in a memory cgroup, from a lab whose Linux has them. */
static int measure_memcg(struct bench_result *r, const char *only, struct mmvm_error *err)
{
	struct lab_options opt = {.memory_cgroups = true};

	return bench_group_wanted(only, BENCH_MEMCG) ? measure_in(&opt, "group", r, only, err) : 0;
}

/** Costs on several CPUs, from a lab with four. Returns 0, a status, or -1 with `err`. */
static int measure_smp(struct bench_result *r, const char *only, struct mmvm_error *err)
{
	char self[4096], ram_disk[4096];
	char *argv[] = {self, (char *)"bench", (char *)"--inner", (char *)"smp", ram_disk, NULL};
	struct lab_options opt = {.icount = true, .ram_mb = 768, .cpus = 4};

	if (!bench_group_wanted(only, BENCH_SMP))
		return 0;
	lab_file("brd.ko", ram_disk, sizeof(ram_disk));
	cli_built_path("mmvm", self, sizeof(self));
	return run_inner(r, 5, argv, &opt, err);
}

/** The VMM's figures, in a process of their own, here or (no KVM here) in the lab. */
static int measure_host(struct bench_result *r, struct mmvm_error *err)
{
	char self[4096];
	char *argv[] = {self, (char *)"bench", (char *)"--inner", (char *)"host", NULL};
	int fd = memfd_create("bench", MFD_CLOEXEC), status = 0;
	struct kvm_system sys;
	pid_t pid;

	if (fd < 0)
		return mmvm_error(err, MMVM_EXIT_HOST, "memfd: %s", strerror(errno));
	cli_built_path("mmvm", self, sizeof(self));
	if (!kvm_system_open(&sys)) {
		kvm_system_close(&sys);
		fflush(NULL);
		pid = fork();
		if (!pid) {
			dup2(fd, STDOUT_FILENO);
			execv(self, argv);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			status = mmvm_error(err, MMVM_EXIT_HOST, "fork: %s", strerror(errno));
		else
			status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	} else {
		struct lab_options opt = {.stdout_fd = fd};

		status = lab_exec_command(4, argv, &opt, err);
	}
	take_lines(r, fd);
	close(fd);
	return status;
}

/** Profiles of rows, in the lab without --icount: steps are counted, not ticks. */
static int measure_profiles(struct bench_result *r, const char *const *rows, unsigned int nr,
			    struct mmvm_error *err)
{
	char self[4096];
	char *argv[BENCH_MAX_ROWS + 4] = {self, (char *)"bench", (char *)"--inner",
					  (char *)"profiles"};
	struct lab_options opt = {0};

	if (!nr)
		return 0;
	for (unsigned int i = 0; i < nr; i++)
		argv[4 + i] = (char *)rows[i];
	cli_built_path("mmvm", self, sizeof(self));
	return run_inner(r, 4 + (int)nr, argv, &opt, err);
}

/** Compare with what was kept, keep what is now. What is kept has all profiles; to compare, those of
 * the rows that rose are enough. Returns a status, or -1 with `err`. */
static int hold_against(struct bench_result *r, const char *only, const char *baseline,
			const char *save, unsigned int percent, struct mmvm_error *err)
{
	static struct baseline then;
	const char *rows[BENCH_MAX_ROWS];
	unsigned int nr = 0;
	int status, rc;

	baseline_take_costs(&now, r, only);
	if (baseline && baseline_read(baseline, &then, err))
		return -1;
	for (unsigned int i = 0; i < bench_nr_rows(); i++)
		if (now.row[i].median && baseline_has_profile(bench_row_name(i)) &&
		    (save || baseline_rose(&then.row[i], &now.row[i], percent)))
			rows[nr++] = bench_row_name(i);
	status = measure_profiles(r, rows, nr, err);
	if (status)
		return status;
	if (baseline && baseline_compare(stderr, &then, &now, percent, only))
		status = MMVM_EXIT_FAILED;
	rc = save ? report_write_file_atomic(save, baseline_emit, &now) : 0;
	if (rc)
		return mmvm_error(err, MMVM_EXIT_FAILED, "cannot write %s: %s", save,
				  strerror(-rc));
	return status;
}

/** All rows that were asked for have both costs, and nothing went wrong on the way. */
static bool complete(const struct bench_result *r, const char *only)
{
	if (*r->notes)
		return false;
	for (unsigned int i = 0; i < bench_nr_rows(); i++) {
		if (bench_wanted(only, (const char *const[]){bench_row_name(i), NULL}) &&
		    (!r->cost[i][BENCH_LINUX].median || !r->cost[i][BENCH_GUEST].median))
			return false;
	}
	return true;
}

static int cmd_bench(const struct command *self, int argc, char **argv)
{
	static const struct command *const sub[] = {&command_bench_boot, &command_bench_dirty,
						    &command_bench_tlb, &command_bench_fault};
	struct options o = {.percent = 5};
	const char *json, *only, *save, *baseline;
	static struct bench_result result;
	struct mmvm_error err = {0};
	bool any = false;
	int status;

	if (argc > 2 && !strcmp(argv[1], "bench") && !strcmp(argv[2], "--inner"))
		return inner(argc - 1, argv + 1);
	/* The lab puts "--accel kvm" after the sub-command. */
	for (unsigned int i = 0; argc > 2 && i < sizeof(sub) / sizeof(sub[0]); i++)
		if (!strcmp(argv[argc > 4 && !strcmp(argv[2], "--accel") ? 4 : 2],
			    strchr(sub[i]->name, ' ') + 1))
			return sub[i]->run(sub[i], argc, argv);
	status = command_parse(self, &o, argc, argv, NULL);
	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	for (unsigned int i = 0; o.rows && i < bench_nr_rows(); i++)
		printf("%-13s %s\n", bench_row_name(i), bench_row_title(i));
	if (o.rows)
		return MMVM_EXIT_OK;
	json = o.json;
	only = o.only;
	save = o.save;
	baseline = o.baseline;
	for (unsigned int k = 0; k < bench_nr_rows(); k++)
		any |= bench_wanted(only, (const char *const[]){bench_row_name(k), NULL});
	if (!any)
		return cli_usage_error("bench", "--only %s matches no row", only);
	/* a missing file is reported at once, not after the measurements */
	if (baseline && baseline_read(baseline, &now, &err))
		return cli_fail(&err);
	memset(&now, 0, sizeof(now));
	if (o.kernel) {
		char folder[4096];

		if (bench_find_kernel(o.kernel, folder, sizeof(folder), &err))
			return cli_fail(&err);
		setenv("MMVM_LAB", folder, 1);
	}

	status = measure_costs(&result, only, &err);
	if (!status)
		status = measure_moves(&result, only, &err);
	if (!status)
		status = measure_smp(&result, only, &err);
	if (!status)
		status = measure_memcg(&result, only, &err);
	if (status > 128)
		return status;
	if (status < 0)
		cli_fail(&err);
	if (!status)
		status = measure_host(&result, &err);
	else
		measure_host(&result, NULL);
	if (!status && (save || baseline)) {
		status = hold_against(&result, only, baseline, save, o.percent, &err);
		if (status < 0)
			cli_fail(&err);
	}
	/* standard output is the JSON's when it is asked for there */
	bench_print_table(json && !strcmp(json, "-") ? stderr : stdout, &result, only);
	if (json) {
		int rc = report_write_file_atomic(json, bench_emit_json, &result);

		if (rc) {
			fprintf(stderr, "mmvm: cannot write %s: %s\n", json, strerror(-rc));
			return MMVM_EXIT_FAILED;
		}
	}
	if (status < 0)
		return err.status;
	return status ? status : complete(&result, only) ? MMVM_EXIT_OK : MMVM_EXIT_FAILED;
}

const struct command command_bench = {
	.name = "bench",
	.run = cmd_bench,
	.what = "what operations cost, in guestmm and in Linux",
	.synopsis = "[OPTIONS]\n       mmvm bench boot|dirty|tlb|fault [OPTIONS]",
	.about = "What operations cost in guestmm and in Linux, in instructions, both measured in "
		 "one\n"
		 "run of the lab; and figures of the VMM on this host's KVM. `bench dirty` "
		 "measures the\n"
		 "dirty log, `bench boot` starts of Linux, `bench tlb` misses of the TLB, `bench "
		 "fault` how long faults take.",
	.options = options,
	.operands = "boot dirty tlb fault",
};
