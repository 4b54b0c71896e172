/*
 * mmvm bench boot: start to first guest instruction, start to exit, and memory beside RAM, of mmvm, of QEMU's microvm
 * machine and of kvmtool, on the same Linux kernel, in one run of the lab.
 *
 * The lab counts instructions and its clock is that count (--icount): a nanosecond is an instruction, or a moment in
 * which the machine had nothing to do. So two runs of this command differ by what changed in the programs, and not by
 * what else this host does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bench/boot.h"
#include "bench/where.h"
#include "cli/cli.h"
#include "lab/lab.h"
#include "lab/qemu.h"
#include "report/report.h"
#include "result/json.h"

#define MAX_FILES 160u

struct boot {
	const char *kernel, *json;
	struct bench_boot value[BENCH_NR_MONITORS];
	char notes[1024];
	const char *file[MAX_FILES + 1]; /* for the lab: what QEMU and kvmtool need */
	unsigned int nr_files;
};

static const struct cli_option options[] = {
	{.name = "--kernel",
	 .value = "FILE",
	 .help = "Linux kernel, a bzImage (Debian's, of the lab)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct boot, kernel),
	 .words = "@file"},
	{.name = "--json",
	 .value = "FILE",
	 .help = "the result as JSON too (-: stdout)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct boot, json),
	 .words = "@output"},
	{0},
};

static void add_file(struct boot *b, const char *path)
{
	if (b->nr_files < MAX_FILES && !access(path, R_OK))
		b->file[b->nr_files++] = strdup(path);
}

/** A program and the libraries that ldd names: "libz.so.1 => /lib/... (0x...)" or "/lib64/ld-... (0x...)". */
static void add_program(struct boot *b, const char *path)
{
	char command[4200], line[4200], name[4096];
	FILE *f;

	add_file(b, path);
	if (strchr(path, '\''))
		return;
	snprintf(command, sizeof(command), "ldd '%s' 2>/dev/null", path);
	f = popen(command, "re");
	while (f && fgets(line, sizeof(line), f)) {
		const char *at = strchr(line, '/');

		if (at && sscanf(at, "%4095s", name) == 1)
			add_file(b, name);
	}
	if (f)
		pclose(f);
}

static void note(struct boot *b, const char *text)
{
	size_t used = strlen(b->notes);

	snprintf(b->notes + used, sizeof(b->notes) - used, "%s\n", text);
}

static void take_line(struct boot *b, const char *line)
{
	char monitor[32], name[32];
	uint64_t value;

	if (!strncmp(line, "note ", 5)) {
		size_t used = strlen(b->notes);

		snprintf(b->notes + used, sizeof(b->notes) - used, "%s", line + 5);
		return;
	}
	if (sscanf(line, "boot %31s %31s %" SCNu64, monitor, name, &value) != 3)
		return;
	for (enum bench_monitor m = 0; m < BENCH_NR_MONITORS; m++) {
		if (strcmp(monitor, bench_monitor_name(m)))
			continue;
#define TAKE(field, title, unit)   \
	if (!strcmp(name, #field)) \
		b->value[m].field = value;
		BENCH_BOOT_VALUES(TAKE)
#undef TAKE
	}
}

/** Run it in the lab. Returns 0, a status, or -1 with `err`. */
static int measure(struct boot *b, struct mmvm_error *err)
{
	/* What QEMU's microvm machine reads beside its program. */
	static const char *const firmware[] = {"bios-microvm.bin", "qboot.rom", "linuxboot_dma.bin",
					       "kvmvapic.bin", "pvh.bin"};
	char self[4096], initrd[4096], kvmtool[4096], path[4096], why[300], line[1024];
	struct lab_options opt = {.icount = true, .ram_mb = 1536, .files = b->file};
	struct lab_files files;
	char *argv[] = {self, (char *)"bench", (char *)"--inner", (char *)"boot",
			NULL, initrd,	       files.qemu,	  kvmtool,
			NULL};
	int status;
	FILE *f;

	if (lab_find_files(&files, why, sizeof(why)))
		return mmvm_error(err, MMVM_EXIT_HOST, "the lab is not available: %s", why);
	argv[4] = (char *)b->kernel;
	cli_built_path("mmvm", self, sizeof(self));
	cli_built_path("user/bootup", initrd, sizeof(initrd));
	add_program(b, files.qemu);
	for (size_t i = 0; i < sizeof(firmware) / sizeof(firmware[0]); i++) {
		snprintf(path, sizeof(path), "/usr/share/qemu/%s", firmware[i]);
		add_file(b, path);
		snprintf(path, sizeof(path), "/usr/share/seabios/%s", firmware[i]);
		add_file(b, path);
	}
	if (lab_find_program("lkvm", kvmtool, sizeof(kvmtool)) ||
	    lab_find_program("kvmtool", kvmtool, sizeof(kvmtool))) {
		add_program(b, kvmtool);
	} else {
		*kvmtool = 0;
		note(b, "kvmtool is not installed (neither lkvm nor kvmtool is in PATH)");
	}
	opt.stdout_fd = memfd_create("boot", MFD_CLOEXEC);
	if (opt.stdout_fd < 0)
		return mmvm_error(err, MMVM_EXIT_HOST, "memfd: %s", strerror(errno));
	status = lab_exec_command(8, argv, &opt, err);
	lseek(opt.stdout_fd, 0, SEEK_SET);
	f = fdopen(opt.stdout_fd, "r");
	while (f && fgets(line, sizeof(line), f))
		take_line(b, line);
	if (f)
		fclose(f);
	return status;
}

static void put_value(FILE *f, uint64_t value, const char *unit)
{
	char text[32] = "-";

	if (value && !strcmp(unit, "ns"))
		format_ns(value, text, sizeof(text));
	else if (value)
		format_bytes(value, text, sizeof(text));
	fprintf(f, "  %14s", text);
}

static void print_table(FILE *f, const struct boot *b)
{
	fprintf(f, "%-34s", "The same Linux kernel in");
	for (enum bench_monitor m = 0; m < BENCH_NR_MONITORS; m++)
		fprintf(f, "  %14s", bench_monitor_name(m));
#define ROW(field, title, unit)                                    \
	fprintf(f, "\n%-34s", title);                              \
	for (enum bench_monitor m = 0; m < BENCH_NR_MONITORS; m++) \
		put_value(f, b->value[m].field, unit);
	BENCH_BOOT_VALUES(ROW)
#undef ROW
	fprintf(f, "\nTime is the lab's: 1 ns is one instruction, of the lab's Linux, the monitor "
		   "or the "
		   "guest.\n");
	for (const char *at = b->notes; *at;) {
		size_t n = strcspn(at, "\n");

		fprintf(f, "note: %.*s\n", (int)n, at);
		at += n + (at[n] == '\n');
	}
}

static int emit_json(FILE *f, const void *arg)
{
	const struct boot *b = arg;
	struct json j;

	json_init(&j, f);
	json_object(&j, NULL);
	json_u64(&j, "schema", 1);
	json_u64(&j, "ram_bytes", (uint64_t)BENCH_BOOT_RAM_MB << 20);
	json_string(&j, "kernel", b->kernel);
	json_array(&j, "monitors");
	for (enum bench_monitor m = 0; m < BENCH_NR_MONITORS; m++) {
		json_object(&j, NULL);
		json_string(&j, "name", bench_monitor_name(m));
#define PUT(field, title, unit)                          \
	if (b->value[m].field)                           \
		json_u64(&j, #field, b->value[m].field); \
	else                                             \
		json_null(&j, #field);
		BENCH_BOOT_VALUES(PUT)
#undef PUT
		json_end_object(&j);
	}
	json_end_array(&j);
	json_string(&j, "notes", b->notes);
	json_end_object(&j);
	json_finish(&j);
	return ferror(f) ? -EIO : 0;
}

/** mmvm and microvm have every value, and so has kvmtool when it has any. */
static bool complete(const struct boot *b)
{
	for (enum bench_monitor m = 0; m < BENCH_NR_MONITORS; m++) {
		const struct bench_boot *v = &b->value[m];
		const unsigned int have = !!v->first_ns + !!v->exit_ns + !!v->memory_bytes;

		if (have != 3 && (m != BOOT_KVMTOOL || have))
			return false;
	}
	return true;
}

static int cmd_bench_boot(const struct command *self, int argc, char **argv)
{
	static struct boot b;
	struct mmvm_error err = {0};
	char kernel[4096];
	int status = bench_parse(self, &b, argc, argv), rc;

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	if (!b.kernel)
		b.kernel = cli_find_built("lab/pkg/boot/vmlinuz-*", kernel, sizeof(kernel));
	if (!b.kernel)
		return cli_usage_error("bench boot",
				       "the lab has no Linux kernel for a guest: give --kernel");
	if (!machine_kernel_is_linux(b.kernel))
		return cli_usage_error("bench boot", "%s is not a bzImage, or cannot be read",
				       b.kernel);
	status = measure(&b, &err);
	if (status > 128)
		return status;
	if (status < 0)
		return cli_fail(&err);
	print_table(b.json && !strcmp(b.json, "-") ? stderr : stdout, &b);
	rc = b.json ? report_write_file_atomic(b.json, emit_json, &b) : 0;
	if (rc) {
		fprintf(stderr, "mmvm: cannot write %s: %s\n", b.json, strerror(-rc));
		return MMVM_EXIT_HOST;
	}
	return status ? status : complete(&b) ? MMVM_EXIT_OK : MMVM_EXIT_FAILED;
}

const struct command command_bench_boot = {
	.name = "bench boot",
	.run = cmd_bench_boot,
	.what = "start of a Linux kernel in mmvm, QEMU's microvm machine and kvmtool",
	.synopsis = "[OPTIONS]",
	.about = "Start the same Linux kernel in mmvm, in QEMU's microvm machine and in kvmtool "
		 "(where it is\n"
		 "installed), in one run of the lab: time to the first guest instruction and to "
		 "the exit, and\n"
		 "memory beside RAM.",
	.options = options,
};
