/*
 * mmvm run: boot a guest, run a program in it, show what its memory manager did.
 *
 *   options -> machine_config -> machine_run() with a sampler beside it -> run_result -> table,
 * JSON
 *
 * On a terminal the console is printed at each tick, so that the live line below it stays whole;
 * otherwise its bytes go to stdout as they come.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli.h"
#include "commands.h"
#include "lab/lab.h"
#include "machine/cpio.h"
#include "machine/machine.h"
#include "observe/exit_places.h"
#include "observe/stacks.h"
#include "observe/access.h"
#include "observe/audit.h"
#include "observe/dirty_exact.h"
#include "observe/sample.h"
#include "perf_symbols.h"
#include "observe/status.h"
#include "observe/trace.h"
#include "report/report.h"

#define DEFAULT_MEMORY	  "48M,high=8M"
#define LINUX_MEMORY	  "256M,high=64M"
#define DEFAULT_SWAP	  "160M"
#define DEFAULT_SAMPLE_MS 1000
/** On a terminal the console is looked at this often. */
#define CONSOLE_MS 100
#define MAX_ARGV   256
/** Set for the inner mmvm of the lab when the outer one writes to a terminal. */
#define LIVE_ENV "MMVM_LIVE"

/** A file in memory. */
struct file_content {
	void *data;
	size_t len;
};

struct run_options {
	struct machine_config config;
	const char *exec; /* host path of the program */
	const char *argv[MAX_ARGV + 1];
	char exec_guest[NAME_MAX + 8]; /* "/bin/NAME" */
	char kernel[PATH_MAX], program[PATH_MAX];
	const char *initrd; /* the user's */
	bool linux_guest, memory_set;
	const char *json;
	const char *perf_symbols; /* folder */
	const char *stacks;
	bool counters;
	const char *trace;
	uint64_t trace_limit;
	unsigned int access; /* methods, as bits */
	bool access_all;
	enum accel accel;
	bool icount, verbose, help;
};

/** A run while it goes on. */
struct run {
	struct run_options *opt;
	struct run_result result;
	struct sampler sampler;
	struct dirty_exact exact;
	struct access_watch access;
	struct trace *trace;
	struct stacks *stacks;	    /* NULL: not asked for */
	struct status_file *status; /* for mmvm top; NULL: nowhere to put it */
	uint64_t dirty;		    /* pages, over all samples */
	uint64_t audits, audit_ns;
	struct symtab *symbols;
	struct cpio initrd;
	struct file_content initrd_file; /* the user's */
	bool live;
	uint64_t console_pos;
	unsigned int sample_ms, since_sample_ms;
	char line[160]; /* the live line */
};

static void help(void)
{
	puts("usage: mmvm run [OPTIONS]\n"
	     "Boot a guest whose kernel is a memory manager, run a program in it, and show what "
	     "both\n"
	     "sides saw. Sizes: 4096, 64K, 48M, 1G.\n\n"
	     "  --memory SIZE[,high=SIZE]  RAM in all, and how much of it lies above 4 GiB "
	     "(" DEFAULT_MEMORY ")\n"
	     "  --cpus N                   1\n"
	     "  --kernel FILE              guest kernel (images/guestmm.elf beside mmvm), or an\n"
	     "                             unmodified Linux kernel (bzImage; --memory " LINUX_MEMORY
	     ")\n"
	     "  --initrd FILE              initramfs (cpio, newc; for Linux also compressed): the\n"
	     "                             root; --exec /PATH then is a program in it. Disks are\n"
	     "                             /dev/vda ..., swap first, the console ttyS0\n"
	     "  --swap SIZE|FILE           swap disk: a temporary file, or yours (" DEFAULT_SWAP
	     "; 0: none)\n"
	     "  --disk FILE                another disk; may be repeated\n"
	     "  --exec PROGRAM [ARGS]      static program to run (user/swapstress); ARGS end at "
	     "the\n"
	     "                             next option of mmvm, or go to the end after --\n"
	     "  --append STRING            guest kernel command line\n"
	     "  --sample MS                time between samples (1000; 0: none)\n"
	     "  --dirty MODE               how KVM tells which pages were written: bitmap,\n"
	     "                             bitmap-manual, ring; none: no observers at all (auto:\n"
	     "                             bitmap-manual where KVM has it)\n"
	     "  --dirty-chunk PAGES        pages that one request clears (32768)\n"
	     "  --access METHOD[,...]      how accesses to memory are sampled: guest (its "
	     "accessed\n"
	     "                             bits), unmap or host (mappings dropped and looked "
	     "for),\n"
	     "                             dirty (writes), refs (smaps), all, none (none)\n"
	     "  --exit-places              count exits by guest address and guest function, too\n"
	     "  --stacks FILE              sample what the vCPUs do, as folded stacks\n"
	     "  --counters                 the processor's own counts of each vCPU\n"
	     "  --json FILE                write the result as JSON too (-: stdout)\n"
	     "  --trace FILE               record what guest and host do, for mmvm trace and mmvm "
	     "page\n"
	     "  --trace-limit SIZE         of that file; what comes later is counted (1G)\n"
	     "  --accel auto|kvm|lab       where to run (auto)\n"
	     "  --icount                   in the lab, count instructions exactly\n"
	     "  --seed N                   seed of everything random in the guest\n"
	     "  --perf-symbols DIR         write guest.kallsyms and guest.modules there, for\n"
	     "                             perf kvm --guest --guestkallsyms=DIR/guest.kallsyms "
	     "\n"
	     "                             --guestmodules=DIR/guest.modules record|report\n"
	     "  --timeout S                time limit in seconds (0: none)\n"
	     "  -v                         all counters, all KVM statistics, guest reports");
}

enum option {
	OPT_MEMORY,
	OPT_CPUS,
	OPT_KERNEL,
	OPT_INITRD,
	OPT_SWAP,
	OPT_DISK,
	OPT_EXEC,
	OPT_APPEND,
	OPT_SAMPLE,
	OPT_DIRTY,
	OPT_DIRTY_CHUNK,
	OPT_ACCESS,
	OPT_JSON,
	OPT_ACCEL,
	OPT_SEED,
	OPT_TIMEOUT,
	OPT_PERF_SYMBOLS,
	OPT_STACKS,
	OPT_TRACE,
	OPT_TRACE_LIMIT,
	/* without a value */
	OPT_ICOUNT,
	OPT_EXIT_PLACES,
	OPT_COUNTERS,
	OPT_VERBOSE,
	OPT_HELP,
	OPT_NONE,
};

static enum option option_find(const char *arg)
{
	static const struct {
		const char *name;
		enum option option;
	} table[] = {
		{"--memory", OPT_MEMORY},
		{"--cpus", OPT_CPUS},
		{"--kernel", OPT_KERNEL},
		{"--initrd", OPT_INITRD},
		{"--swap", OPT_SWAP},
		{"--disk", OPT_DISK},
		{"--exec", OPT_EXEC},
		{"--append", OPT_APPEND},
		{"--sample", OPT_SAMPLE},
		{"--json", OPT_JSON},
		{"--dirty", OPT_DIRTY},
		{"--dirty-chunk", OPT_DIRTY_CHUNK},
		{"--accel", OPT_ACCEL},
		{"--seed", OPT_SEED},
		{"--access", OPT_ACCESS},
		{"--timeout", OPT_TIMEOUT},
		{"--trace", OPT_TRACE},
		{"--trace-limit", OPT_TRACE_LIMIT},
		{"--perf-symbols", OPT_PERF_SYMBOLS},
		{"--icount", OPT_ICOUNT},
		{"--exit-places", OPT_EXIT_PLACES},
		{"--stacks", OPT_STACKS},
		{"--counters", OPT_COUNTERS},
		{"-v", OPT_VERBOSE},
		{"--verbose", OPT_VERBOSE},
		{"--help", OPT_HELP},
		{"-h", OPT_HELP},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(arg, table[i].name))
			return table[i].option;
	return OPT_NONE;
}

static int add_disk(struct machine_config *c, const char *role, const char *path, uint64_t size,
		    bool swap)
{
	struct disk_config *d = &c->disk[c->nr_disks];

	if (c->nr_disks >= sizeof(c->disk) / sizeof(c->disk[0]))
		return cli_usage_error("run", "at most %zu disks, swap included",
				       sizeof(c->disk) / sizeof(c->disk[0]));
	*d = (struct disk_config){.path = path, .size = size, .format_swap = swap};
	snprintf(d->role, sizeof(d->role), "%s", role);
	c->nr_disks++;
	return 0;
}

/** "64M" is a size, "0" no swap at all, anything else a file. Swap is always disk 0. */
static int set_swap(struct machine_config *c, const char *text)
{
	uint64_t size;
	int rc = cli_parse_size(text, &size);

	if (rc == -ERANGE || (!rc && size > INT64_MAX))
		return cli_usage_error("run", "--swap %s: that is too large", text);
	if (!rc)
		return size ? add_disk(c, "swap", NULL, size, true) : 0;
	if (text[0] >= '0' && text[0] <= '9' && access(text, F_OK))
		return cli_usage_error("run", "--swap %s: neither a size like 160M nor a file",
				       text);
	return add_disk(c, "swap", text, 0, true);
}

/** PROGRAM and ARGS from argv[i] on. Returns the index behind the last, or -1. */
static int take_exec(struct run_options *o, int argc, char **argv, int i)
{
	unsigned int n = 1;

	o->exec = argv[i++];
	for (; i < argc && option_find(argv[i]) == OPT_NONE; i++) {
		if (!strcmp(argv[i], "--")) {
			for (i++; i < argc && n < MAX_ARGV; i++)
				o->argv[n++] = argv[i];
			break;
		}
		if (n == MAX_ARGV)
			break;
		o->argv[n++] = argv[i];
	}
	if (n == MAX_ARGV && i < argc && option_find(argv[i]) == OPT_NONE)
		return -1;
	return i;
}

static int set_number(const char *name, const char *text, uint64_t min, uint64_t max,
		      uint64_t *value)
{
	if (!cli_parse_u64(text, min, max, value))
		return 0;
	return cli_usage_error("run", "%s %s: not a number from %llu to %llu", name, text,
			       (unsigned long long)min, (unsigned long long)max);
}

/** "none" turns all observers off: the log, and the samples that read it. */
static int set_dirty(struct machine_config *c, const char *value)
{
	c->dirty_log = strcmp(value, "none") != 0;
	if (c->dirty_log && dirty_mode_parse(value, &c->dirty_mode))
		return cli_usage_error(
			"run", "--dirty %s: none of bitmap, bitmap-manual, ring, none", value);
	return 0;
}

/** An option with its value. Returns 0 or an exit status. */
static int set_option(struct run_options *o, enum option option, const char *value,
		      const char **swap, const char **disks, unsigned int *nr_disks)
{
	struct machine_config *c = &o->config;
	struct mmvm_error err;
	uint64_t n = 0;
	int rc = 0;

	switch (option) {
	case OPT_MEMORY:
		if (cli_parse_memory(value, &c->ram_low, &c->ram_high, &err))
			return cli_fail(&err);
		o->memory_set = true;
		break;
	case OPT_CPUS:
		rc = set_number("--cpus", value, 1, MMVM_MAX_CPUS, &n);
		c->cpus = (unsigned int)n;
		break;
	case OPT_KERNEL:
		c->kernel = value;
		break;
	case OPT_INITRD:
		o->initrd = value;
		break;
	case OPT_SWAP:
		*swap = value;
		break;
	case OPT_DISK:
		if (*nr_disks == 8)
			return cli_usage_error("run", "at most 8 disks");
		disks[(*nr_disks)++] = value;
		break;
	case OPT_APPEND:
		c->append = value;
		break;
	case OPT_SAMPLE:
		rc = set_number("--sample", value, 0, 3600000, &n);
		c->tick_ms = (unsigned int)n;
		break;
	case OPT_DIRTY:
		return set_dirty(c, value);
	case OPT_DIRTY_CHUNK:
		rc = set_number("--dirty-chunk", value, 1, 1u << 26, &n);
		c->dirty_chunk = (unsigned int)n;
		break;
	case OPT_ACCESS:
		if (access_parse(value, &o->access, &o->access_all))
			rc = cli_usage_error("run",
					     "--access %s: none of guest, unmap, host, "
					     "dirty, refs, all, none",
					     value);
		break;
	case OPT_JSON:
		o->json = value;
		break;
	case OPT_ACCEL:
		if (cli_parse_accel(value, &o->accel, &err))
			return cli_fail(&err);
		break;
	case OPT_SEED:
		rc = set_number("--seed", value, 0, UINT64_MAX, &c->seed);
		break;
	case OPT_PERF_SYMBOLS:
		o->perf_symbols = value;
		break;
	case OPT_STACKS:
		o->stacks = value;
		break;
	case OPT_TRACE:
		o->trace = value;
		break;
	case OPT_TRACE_LIMIT:
		if (cli_parse_size(value, &o->trace_limit) || !o->trace_limit)
			return cli_usage_error("run", "--trace-limit %s: not a size", value);
		break;
	case OPT_TIMEOUT:
		rc = set_number("--timeout", value, 0, 1000000, &n);
		c->timeout_s = (unsigned int)n;
		break;
	default:
		break;
	}
	return rc;
}

static int parse_options(struct run_options *o, int argc, char **argv)
{
	const char *swap = DEFAULT_SWAP, *disks[8];
	unsigned int nr_disks = 0;
	int rc;

	for (int i = 2; i < argc;) {
		enum option option = option_find(argv[i]);

		if (option == OPT_NONE)
			return cli_usage_error("run", "unknown option '%s'", argv[i]);
		if (option >= OPT_ICOUNT) {
			o->icount |= option == OPT_ICOUNT;
			o->config.exit_sites |= option == OPT_EXIT_PLACES;
			o->counters |= option == OPT_COUNTERS;
			o->verbose |= option == OPT_VERBOSE;
			o->help |= option == OPT_HELP;
			i++;
			continue;
		}
		if (i + 1 >= argc)
			return cli_usage_error("run", "%s needs a value", argv[i]);
		if (option == OPT_EXEC) {
			i = take_exec(o, argc, argv, i + 1);
			if (i < 0)
				return cli_usage_error("run", "more than %u arguments for --exec",
						       MAX_ARGV - 1);
			continue;
		}
		rc = set_option(o, option, argv[i + 1], &swap, disks, &nr_disks);
		if (rc)
			return rc;
		i += 2;
	}
	if (!o->config.dirty_log && !o->access) {
		o->config.tick_ms = 0;
		o->config.untimed = true;
	}
	if (o->config.dirty_chunk &&
	    (!o->config.dirty_log || o->config.dirty_mode == DIRTY_BITMAP ||
	     o->config.dirty_mode == DIRTY_RING))
		return cli_usage_error("run", "--dirty-chunk goes with --dirty bitmap-manual: "
					      "otherwise nothing is cleared by request");
	if (o->access && !o->config.tick_ms)
		return cli_usage_error("run", "--access needs samples: --sample MS");
	rc = set_swap(&o->config, swap);
	for (unsigned int i = 0; i < nr_disks && !rc; i++) {
		char role[16];

		snprintf(role, sizeof(role), "disk%u", i);
		rc = add_disk(&o->config, role, disks[i], 0, false);
	}
	return rc;
}

/** The program's host path: as given, or a program of the build by its name. */
static void find_program(struct run_options *o)
{
	char name[NAME_MAX + 8];
	const char *base;

	if (!o->exec) {
		cli_built_path("user/swapstress", o->program, sizeof(o->program));
	} else {
		snprintf(o->program, sizeof(o->program), "%s", o->exec);
		if (!strchr(o->exec, '/') && access(o->exec, F_OK)) {
			char built[PATH_MAX];

			snprintf(name, sizeof(name), "user/%.255s", o->exec);
			cli_built_path(name, built, sizeof(built));
			if (!access(built, F_OK))
				snprintf(o->program, sizeof(o->program), "%s", built);
		}
	}
	base = strrchr(o->program, '/');
	if (o->initrd && o->exec && o->exec[0] == '/') {
		/* It is in there. */
		o->program[0] = '\0';
		snprintf(o->exec_guest, sizeof(o->exec_guest), "%s", o->exec);
	} else {
		snprintf(o->exec_guest, sizeof(o->exec_guest), "/bin/%.255s",
			 base ? base + 1 : o->program);
	}
	o->argv[0] = o->exec_guest;
	o->config.argv = o->argv;
}

/** Guest RAM below 4 GiB is the most an initrd can take. */
static int read_file(const char *path, struct file_content *f, struct mmvm_error *err)
{
	FILE *in = fopen(path, "rbe");
	struct stat st;

	if (!in)
		return mmvm_error(err, MMVM_EXIT_USAGE, "cannot open initrd %s: %s", path,
				  strerror(errno));
	if (fstat(fileno(in), &st) || !S_ISREG(st.st_mode) || !st.st_size ||
	    (uint64_t)st.st_size > MMVM_RAM_LOW_MAX) {
		mmvm_error(err, MMVM_EXIT_USAGE, "initrd %s: not a regular file of 1 byte to 3 GiB",
			   path);
		goto out;
	}
	f->data = malloc((size_t)st.st_size);
	if (!f->data) {
		mmvm_error(err, MMVM_EXIT_HOST, "no memory for the initrd");
		goto out;
	}
	f->len = fread(f->data, 1, (size_t)st.st_size, in);
	if (f->len == (size_t)st.st_size) {
		fclose(in);
		return 0;
	}
	mmvm_error(err, MMVM_EXIT_HOST, "cannot read initrd %s", path);
out:
	fclose(in);
	return -1;
}

static int build_initrd(struct run *run, struct mmvm_error *err)
{
	struct run_options *o = run->opt;
	struct cpio *c = &run->initrd;

	if (o->linux_guest) {
		if (o->initrd && read_file(o->initrd, &run->initrd_file, err))
			return -1;
		o->config.initrd = run->initrd_file.data;
		o->config.initrd_len = run->initrd_file.len;
		return 0;
	}
	if (o->program[0]) {
		if (cpio_add(c, "bin", NULL, 0))
			goto no_memory;
		if (cpio_add_file(c, o->exec_guest + 1, o->program, err))
			return -1;
	}
	if (o->initrd) {
		/* Ours first, and theirs ends it. */
		if (read_file(o->initrd, &run->initrd_file, err))
			return -1;
		if (run->initrd_file.len < 6 || memcmp(run->initrd_file.data, "070701", 6))
			return mmvm_error(
				err, MMVM_EXIT_USAGE,
				"initrd %s: not a cpio archive in newc format (cpio -o -H "
				"newc; a compressed one must be unpacked)",
				o->initrd);
		if (cpio_append(c, run->initrd_file.data, run->initrd_file.len))
			goto no_memory;
	} else if (cpio_finish(c)) {
		goto no_memory;
	}
	o->config.initrd = c->data;
	o->config.initrd_len = c->len;
	return 0;
no_memory:
	return mmvm_error(err, MMVM_EXIT_HOST, "no memory for the initrd");
}

/** Print new console output for a terminal: what could drive the terminal is replaced. A line that
 * is not complete yet waits, unless `all`: the live line would stand in its middle. */
static void print_console(struct run *run, struct machine *m, bool all)
{
	char buf[4096];
	size_t n;

	while ((n = machine_console_read(m, &run->console_pos, buf, sizeof(buf)))) {
		const char *last = memrchr(buf, '\n', n);
		size_t whole = last ? (size_t)(last - buf) + 1 : 0;

		if (!whole && (all || n == sizeof(buf)))
			whole = n;
		run->console_pos -= n - whole;
		for (size_t i = 0; i < whole; i++) {
			unsigned char c = (unsigned char)buf[i];

			if (c == '\r')
				continue;
			putchar((c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? '?' : c);
		}
		if (!whole)
			break;
	}
}

static void tick(struct machine *m, void *arg)
{
	struct run *run = arg;

	if (run->trace)
		trace_tick(run->trace);
	run->since_sample_ms += run->opt->config.tick_ms;
	if (run->since_sample_ms >= run->sample_ms) {
		struct run_sample before = run->sampler.last;

		run->since_sample_ms = 0;
		sampler_tick(&run->sampler, m);
		run->dirty += run->sampler.last.dirty;
		if (run->status)
			status_write(run->status, m, run->sampler.last.t_ns, run->dirty);
		access_tick(&run->access, m);
		sampler_line(&run->sampler.last, &before, run->line, sizeof(run->line));
	}
	if (!run->live)
		return;
	fputs("\r\033[K", stdout);
	print_console(run, m, false);
	fputs(run->line, stdout);
	fflush(stdout);
}

/** The guest asks the host to look at its memory. Runs on the vCPU's thread. */
static int audit(struct machine *m, uint64_t cr3, void *arg)
{
	struct run *run = arg;
	struct audit_result *found = calloc(1, sizeof(*found));
	int n;

	if (!found)
		return -ENOMEM;
	n = audit_machine(m, run->symbols, cr3, found);
	if (n > 0)
		audit_print(stderr, "mmvm: audit: ", found, false);
	if (n >= 0) {
		run->result.has_audit = true;
		run->audits++;
		run->audit_ns += found->ns;
		run->result.audit_findings += (uint64_t)n;
	}
	free(found);
	return n;
}

/** A program tells what it has written. Runs on the vCPU's thread. */
static int on_round(struct machine *m, uint64_t cr3, const struct mmvm_record *rec, void *arg)
{
	struct run *run = arg;

	if (!strncmp(rec->name, "access-", 7))
		return access_round(&run->access, m, cr3, rec);
	if (!run->opt->config.dirty_log)
		return -EOPNOTSUPP;
	return dirty_exact_round(&run->exact, m, cr3, rec);
}

/** The guest has sampled its accessed bits. Runs on the vCPU's thread. */
static void on_access(struct machine *m, const struct mmvm_record *rec, void *arg)
{
	struct run *run = arg;

	access_record(&run->access, m, rec);
}

static int exit_status(const struct run_result *r)
{
	switch (r->outcome.kind) {
	case OUTCOME_EXITED:
		return r->outcome.status || !run_result_checks_ok(r) || r->audit_findings
			       ? MMVM_EXIT_FAILED
			       : MMVM_EXIT_OK;
	case OUTCOME_CRASHED:
		return MMVM_EXIT_CRASHED;
	case OUTCOME_TIMEOUT:
		return MMVM_EXIT_TIMEOUT;
	case OUTCOME_STOPPED:
		return 128 + cli_signal();
	default:
		return MMVM_EXIT_HOST;
	}
}

/** Say it all: crash report, table, JSON. Returns the exit status. */
static int report(struct run *run, struct machine *m)
{
	struct report_options opt = {.colour = report_want_colour(stdout),
				     .verbose = run->opt->verbose};
	struct run_result *r = &run->result;
	const char *console;
	size_t len;
	int rc;

	r->exit_status = exit_status(r);
	console = machine_console(m, &len);
	if (len && console[len - 1] != '\n')
		putchar('\n');
	if (r->outcome.kind == OUTCOME_CRASHED || r->outcome.kind == OUTCOME_TIMEOUT)
		report_crash(stdout, m, &r->outcome, run->symbols);
	rc = report_table(stdout, r, &opt);
	if (fflush(stdout) || rc) {
		fprintf(stderr, "mmvm: cannot write the report: %s\n", strerror(errno));
		if (!r->exit_status)
			r->exit_status = MMVM_EXIT_HOST;
	}
	if (!run->opt->json)
		return r->exit_status;
	rc = report_write_file_atomic(run->opt->json, report_emit_json, r);
	if (rc) {
		fprintf(stderr, "mmvm: cannot write %s: %s\n", run->opt->json, strerror(-rc));
		if (!r->exit_status)
			r->exit_status = MMVM_EXIT_HOST;
	}
	return r->exit_status;
}

static int open_trace(struct run *run, struct mmvm_error *err)
{
	struct machine_config *c = &run->opt->config;

	run->trace = trace_create(run->opt->trace, run->opt->trace_limit, err);
	c->trace = trace_ops();
	c->trace_arg = run->trace;
	return run->trace ? 0 : -1;
}

static int begin_trace(struct run *run, struct machine *m, struct mmvm_error *err)
{
	return trace_begin(run->trace, m, &run->opt->config, run->symbols, run->result.accel,
			   run->result.command, err);
}

/** What was recorded, and what was not. Lost records do not make a run fail: the file says so, too.
 */
static int end_trace(struct run *run, bool exited)
{
	struct trace_summary s;

	trace_end(run->trace, exited, &s);
	run_result_add_observer(&run->result, &(struct run_observer){.name = "trace",
								     .times = s.drains,
								     .ns = s.ns,
								     .exits = s.full,
								     .note = "records taken"});
	fprintf(stderr,
		"mmvm: trace: %llu records of the guest, %llu of the host, %llu KiB in %s\n",
		(unsigned long long)s.guest_records, (unsigned long long)s.host_records,
		(unsigned long long)s.bytes >> 10, run->opt->trace);
	if (s.guest_dropped || s.file_dropped)
		fprintf(stderr,
			"mmvm: trace: dropped: %llu that found no room in a ring, %llu beyond the "
			"file's limit\n",
			(unsigned long long)s.guest_dropped, (unsigned long long)s.file_dropped);
	if (s.broken_rings)
		fprintf(stderr, "mmvm: trace: the guest has damaged its rings (CPUs 0x%llx)\n",
			(unsigned long long)s.broken_rings);
	if (!s.write_error)
		return 0;
	fprintf(stderr, "mmvm: cannot write %s: %s\n", run->opt->trace, strerror(s.write_error));
	return MMVM_EXIT_HOST;
}

static int run_here(struct run *run)
{
	struct machine_config *c = &run->opt->config;
	struct machine_outcome out;
	struct mmvm_error err = {0};
	struct machine *m;
	int status, trace_status = 0, stacks_status;

	if (build_initrd(run, &err))
		return cli_fail(&err);
	if (sampler_init(&run->sampler, &run->result, c)) {
		mmvm_error(&err, MMVM_EXIT_HOST, "no memory for the sampler");
		return cli_fail(&err);
	}
	if (access_init(&run->access, run->opt->access, c, run->sample_ms, run->sampler.begin_ns)) {
		mmvm_error(&err, MMVM_EXIT_HOST, "no memory for access sampling");
		return cli_fail(&err);
	}
	run->symbols = symtab_load(c->kernel);
	run->exact.symbols = run->sampler.symbols = run->symbols;
	c->tick = tick;
	c->audit = audit;
	c->round = c->dirty_log || run->opt->access ? on_round : NULL;
	c->access = on_access;
	c->arg = run;
	c->console_fd = run->live ? -1 : STDOUT_FILENO;
	if (run->opt->stacks || run->opt->counters) {
		run->stacks = stacks_new();
		if (!run->stacks) {
			mmvm_error(&err, MMVM_EXIT_HOST, "no memory for stacks");
			return cli_fail(&err);
		}
		stacks_watch(run->stacks, c, run->opt->stacks, run->opt->counters);
	}
	cli_stop_on_signals(NULL);
	if (run->opt->trace && open_trace(run, &err))
		return cli_fail(&err);
	m = machine_create(c, &err);
	if (!m)
		return cli_fail(&err);
	if (run->trace && begin_trace(run, m, &err)) {
		machine_destroy(m);
		return cli_fail(&err);
	}
	if (access_open(&run->access, m, run->opt->access_all, &err)) {
		machine_destroy(m);
		return cli_fail(&err);
	}
	/* In guest RAM now. */
	cpio_free(&run->initrd);
	free(run->initrd_file.data);
	run->initrd_file.data = NULL;
	cli_stop_on_signals(m);
	if (run->status)
		status_describe(run->status, m, c, run->result.accel);
	machine_run(m, &out);
	/* All that is left to do may be cut short: it writes whole files or none. */
	cli_default_signals();
	if (run->live) {
		fputs("\r\033[K", stdout);
		print_console(run, m, true);
	}
	sampler_finish(&run->sampler, m, &out);
	if (run->opt->config.exit_sites)
		exit_places_add(&run->result, m, run->symbols);
	access_finish(&run->access, m, &run->result);
	stacks_status = run->stacks ? stacks_finish(run->stacks, run->symbols, &run->result) : 0;
	if (stacks_status)
		fprintf(stderr, "mmvm: cannot write %s: %s\n", run->opt->stacks,
			strerror(-stacks_status));
	if (run->trace)
		trace_status = end_trace(run, out.kind == OUTCOME_EXITED);
	dirty_exact_result(&run->exact, &run->result);
	if (run->audits)
		run_result_add_observer(&run->result,
					&(struct run_observer){.name = "audit",
							       .times = run->audits,
							       .ns = run->audit_ns,
							       .exits = run->audits,
							       .has_stall = true,
							       .stall_ns = run->audit_ns,
							       .note = "as the guest asked"});
	dirty_exact_print(stderr, "mmvm: dirty: ", &run->exact);
	dirty_exact_free(&run->exact);
	status = report(run, m);
	machine_destroy(m);
	return status ? status : stacks_status ? MMVM_EXIT_FAILED : trace_status;
}

static int run_in_lab(const struct run_options *o, const struct status_file *top, int argc,
		      char **argv)
{
	struct lab_options lab = {.icount = o->icount, .verbose = o->verbose};
	struct mmvm_error err = {0};
	int status;

	if (isatty(STDOUT_FILENO))
		setenv(LIVE_ENV, "1", 1);
	/* A sealed run does not see this machine's files: it takes no samples for others. */
	if (top && !o->icount)
		setenv(STATUS_ENV, status_path(top), 1);
	status = lab_exec(argc, argv, &lab, &err);
	return status < 0 ? cli_fail(&err) : status;
}

/** A result that cannot be written is known before the run, not after it. */
static int check_json_folder(const char *path)
{
	char dir[PATH_MAX];
	char *slash;

	if (!strcmp(path, "-"))
		return 0;
	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = 0;
	if (!access(slash ? dir : ".", W_OK | X_OK))
		return 0;
	return cli_usage_error("run", "--json %s: cannot write into that folder: %s", path,
			       strerror(errno));
}

/** Mistakes that are better told here than from inside the lab. */
static int check_files(const struct run_options *o)
{
	struct mmvm_error err = {0};
	struct stat st;

	if (stat(o->config.kernel, &st)) {
		mmvm_error(&err, MMVM_EXIT_USAGE, "cannot open kernel %s: %s%s", o->config.kernel,
			   strerror(errno),
			   errno == ENOENT ? " (build it with `make`, or name one with --kernel)"
					   : "");
		return cli_fail(&err);
	}
	if (!o->linux_guest && o->program[0] && stat(o->program, &st)) {
		mmvm_error(&err, MMVM_EXIT_USAGE, "cannot open program %s: %s", o->program,
			   strerror(errno));
		return cli_fail(&err);
	}
	return o->json ? check_json_folder(o->json) : 0;
}

/** Options that go with one kind of guest only; what the kind of guest decides. */
static int check_guest(struct run_options *o)
{
	struct mmvm_error err;

	if (o->linux_guest && o->exec)
		return cli_usage_error("run", "--exec goes with guestmm: a Linux kernel's programs "
					      "come in its --initrd");
	if (o->linux_guest && !o->memory_set &&
	    cli_parse_memory(LINUX_MEMORY, &o->config.ram_low, &o->config.ram_high, &err))
		return cli_fail(&err);
	return 0;
}

int cmd_run(int argc, char **argv)
{
	struct run_options opt = {
		.config = {.cpus = 1, .tick_ms = DEFAULT_SAMPLE_MS, .dirty_log = true, .thp = true},
		.trace_limit = 1ull << 30,
	};
	struct run run = {.opt = &opt};
	struct mmvm_error err = {0};
	int status, accel;

	cli_parse_memory(DEFAULT_MEMORY, &opt.config.ram_low, &opt.config.ram_high, &err);
	if (getrandom(&opt.config.seed, sizeof(opt.config.seed), 0) < 0)
		opt.config.seed = 1;
	status = parse_options(&opt, argc, argv);
	if (status)
		return status;
	if (opt.help) {
		help();
		return MMVM_EXIT_OK;
	}
	if (!opt.config.kernel)
		opt.config.kernel =
			cli_built_path("images/guestmm.elf", opt.kernel, sizeof(opt.kernel));
	opt.linux_guest = machine_kernel_is_linux(opt.config.kernel);
	if (!opt.linux_guest)
		find_program(&opt);
	status = check_guest(&opt);
	if (!status)
		status = check_files(&opt);
	if (status)
		return status;
	if (opt.perf_symbols && !lab_inside() &&
	    perf_symbols_write(opt.perf_symbols, opt.config.kernel, &err))
		return cli_fail(&err);

	run_result_init(&run.result);
	run_result_set_command(&run.result, argc, argv);
	accel = cli_choose_accel(opt.accel, opt.icount, run.result.accel_why,
				 sizeof(run.result.accel_why), &err);
	if (accel >= 0)
		run.status = status_open(run.result.command);
	if (accel < 0) {
		status = cli_fail(&err);
	} else if (accel == ACCEL_LAB) {
		fprintf(stderr, "mmvm: running in the lab (%s)\n", run.result.accel_why);
		status = run_in_lab(&opt, run.status, argc, argv);
	} else {
		snprintf(run.result.accel, sizeof(run.result.accel), "%s",
			 lab_inside() ? "lab" : "kvm");
		if (opt.accel == ACCEL_AUTO && !lab_inside())
			fprintf(stderr, "mmvm: running directly (%s)\n", run.result.accel_why);
		run.live = isatty(STDOUT_FILENO) || (lab_inside() && getenv(LIVE_ENV));
		run.live &= opt.config.tick_ms != 0;
		run.sample_ms = opt.config.tick_ms;
		if (run.live && run.sample_ms > CONSOLE_MS)
			opt.config.tick_ms = CONSOLE_MS;
		status = run_here(&run);
	}
	trace_free(run.trace);
	status_close(run.status);
	sampler_free(&run.sampler);
	access_free(&run.access);
	stacks_free(run.stacks);
	symtab_free(run.symbols);
	cpio_free(&run.initrd);
	free(run.initrd_file.data);
	run_result_free(&run.result);
	return status;
}
