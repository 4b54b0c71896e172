/*
 * From the options of a machine to its configuration: RAM, kernel, disks, and the archive that the
 * guest finds as its root.
 */
#include "cli/machine_options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/cli.h"
#include "result/result.h"

#define DEFAULT_MEMORY	  "48M,high=8M"
#define LINUX_MEMORY	  "256M,high=64M"
#define DEFAULT_SWAP	  "160M"
#define DEFAULT_SAMPLE_MS 1000

/** "none" turns all observers off: the log, and the samples that read it. */
static int parse_dirty(void *base, const char *command, const struct cli_option *o,
		       const char *value)
{
	struct machine_config *c = &((struct machine_options *)base)->config;

	c->dirty_log = strcmp(value, "none") != 0;
	if (c->dirty_log && dirty_mode_parse(value, &c->dirty_mode))
		return cli_usage_error(
			command, "--dirty %s: none of bitmap, bitmap-manual, ring, none", value);
	return 0;
}

#define AT(field) .offset = offsetof(struct machine_options, field)
const struct cli_option machine_option_table[] = {
	{.name = "--memory",
	 .value = "SIZE[,high=SIZE]",
	 .help = "RAM in all, and how much of it lies above 4 GiB\n(" DEFAULT_MEMORY
		 "; for Linux " LINUX_MEMORY ")",
	 .kind = OPTION_TEXT,
	 AT(memory)},
	{.name = "--node",
	 .value = "memory=SIZE[,cpus=A-B][,distance=N:N...]",
	 .help = "a NUMA node: its share of RAM, its CPUs (0-1, 0+2), its distances to\n"
		 "all nodes; once for each node",
	 .kind = OPTION_LIST,
	 AT(nodes),
	 .max = MMVM_MAX_NODES},
	{.name = "--backing",
	 .value = "4k|thp|hugetlb|file=PATH",
	 .help = "what holds guest RAM on the host (thp)",
	 .kind = OPTION_TEXT,
	 AT(backing),
	 .words = "4k thp hugetlb file="},
	{.name = "--balloon",
	 .value = "SIZE",
	 .help = "a memory balloon that is to take so much from the guest at first (0:\n"
		 "nothing yet); `balloon SIZE` on the monitor line changes that",
	 .kind = OPTION_TEXT,
	 AT(balloon)},
	{.name = "--rng",
	 .help = "a virtio-rng: random bytes that come from --seed (/dev/hwrng)",
	 .kind = OPTION_FLAG,
	 AT(config.rng)},
	{.name = "--pin",
	 .value = "P[,P...]",
	 .help = "the host's processor of each CPU",
	 .kind = OPTION_TEXT,
	 AT(pin)},
	{.name = "--cpus",
	 .value = "N",
	 .help = "processors (1)",
	 .kind = OPTION_UINT,
	 AT(config.cpus),
	 .min = 1,
	 .max = MMVM_MAX_CPUS},
	{.name = "--kernel",
	 .value = "FILE",
	 .help = "guest kernel (images/guestmm.elf beside mmvm), or an unmodified\n"
		 "Linux kernel (bzImage)",
	 .kind = OPTION_TEXT,
	 AT(config.kernel),
	 .words = "@file"},
	{.name = "--initrd",
	 .value = "FILE",
	 .help = "initramfs (cpio, newc; for Linux also compressed): the root;\n"
		 "--exec /PATH then is a program in it. Disks are /dev/vda ...,\n"
		 "swap first, the console ttyS0",
	 .kind = OPTION_TEXT,
	 AT(initrd),
	 .words = "@file"},
	{.name = "--root",
	 .value = "FOLDER|IMAGE",
	 .help = "root of the guest: an ext2 image, which the guest changes, or a\n"
		 "folder, of which a copy is made (mke2fs). --exec /PATH then is a\n"
		 "program in it (/bin/sh)",
	 .kind = OPTION_TEXT,
	 AT(root),
	 .words = "@file"},
	{.name = "--swap",
	 .value = "SIZE|FILE",
	 .help = "swap disk: a temporary file, or yours (" DEFAULT_SWAP "; 0: none)",
	 .kind = OPTION_TEXT,
	 AT(swap),
	 .words = "@file"},
	{.name = "--disk",
	 .value = "FILE",
	 .help = "another disk; may be repeated",
	 .kind = OPTION_LIST,
	 AT(disks),
	 .max = 8,
	 .words = "@file"},
	{.name = "--pmem",
	 .value = "FILE[,ro]",
	 .help = "a file that is memory of the guest (virtio-pmem, /dev/pmem0), a multiple\n"
		 "of 2 MiB; may be repeated",
	 .kind = OPTION_LIST,
	 AT(pmem),
	 .max = MMVM_MAX_PMEM,
	 .words = "@file"},
	{.name = "--exec",
	 .value = "PROGRAM [ARGS]",
	 .help = "static program to run (user/swapstress); ARGS end at the next option\n"
		 "of mmvm, or go to the end after --",
	 .kind = OPTION_REST,
	 AT(exec),
	 .words = "@file"},
	{.name = "--append",
	 .value = "STRING",
	 .help = "guest kernel command line",
	 .kind = OPTION_TEXT,
	 AT(config.append)},
	{.name = "--seed",
	 .value = "N",
	 .help = "seed of everything random in the guest",
	 .kind = OPTION_U64,
	 AT(config.seed),
	 .max = UINT64_MAX},
	{.name = "--timeout",
	 .value = "S",
	 .help = "time limit in seconds (0: none)",
	 .kind = OPTION_UINT,
	 AT(config.timeout_s),
	 .max = 1000000},
	{.name = "--sample",
	 .value = "MS",
	 .help = "time between samples (1000; 0: none)",
	 .kind = OPTION_UINT,
	 AT(config.tick_ms),
	 .max = 3600000},
	{.name = "--dirty",
	 .value = "MODE",
	 .help = "how KVM tells which pages were written: bitmap, bitmap-manual, ring;\n"
		 "none: no observers at all (bitmap-manual where KVM has it)",
	 .kind = OPTION_CALL,
	 .words = "bitmap bitmap-manual ring none",
	 .parse = parse_dirty},
	{.name = "--dirty-chunk",
	 .value = "PAGES",
	 .help = "pages that one request clears (32768)",
	 .kind = OPTION_UINT,
	 AT(config.dirty_chunk),
	 .min = 1,
	 .max = 1u << 26},
	{0},
};
#undef AT

void machine_options_init(struct machine_options *o)
{
	memset(o, 0, sizeof(*o));
	o->swap = DEFAULT_SWAP;
	o->config.cpus = 1;
	o->config.tick_ms = DEFAULT_SAMPLE_MS;
	o->config.dirty_log = true;
	o->config.backing = BACKING_THP;
	o->config.console_fd = STDOUT_FILENO;
	if (getrandom(&o->config.seed, sizeof(o->config.seed), 0) < 0)
		o->config.seed = 1;
}

enum disk_use { DISK_OTHER, DISK_SWAP };

static int add_disk(struct machine_config *c, const char *command, const char *role,
		    const char *path, uint64_t size, enum disk_use use)
{
	struct disk_config *d = &c->disk[c->nr_disks];

	if (c->nr_disks >= sizeof(c->disk) / sizeof(c->disk[0]))
		return cli_usage_error(command, "at most %zu disks, swap included",
				       sizeof(c->disk) / sizeof(c->disk[0]));
	*d = (struct disk_config){.path = path, .size = size, .format_swap = use == DISK_SWAP};
	snprintf(d->role, sizeof(d->role), "%s", role);
	c->nr_disks++;
	return 0;
}

/** "64M" is a size, "0" no swap at all, anything else a file. Swap is always disk 0. */
static int set_swap(struct machine_config *c, const char *command, const char *text)
{
	uint64_t size;
	int rc = cli_parse_size(text, &size);

	if (rc == -ERANGE || (!rc && size > INT64_MAX))
		return cli_usage_error(command, "--swap %s: that is too large", text);
	if (!rc)
		return size ? add_disk(c, command, "swap", NULL, size, DISK_SWAP) : 0;
	if (text[0] >= '0' && text[0] <= '9' && access(text, F_OK))
		return cli_usage_error(command, "--swap %s: neither a size like 160M nor a file",
				       text);
	return add_disk(c, command, "swap", text, 0, DISK_SWAP);
}

/** "FILE" or "FILE,ro". */
static int add_pmem(struct machine_options *o, const char *command, unsigned int i)
{
	struct disk_config *d = &o->config.pmem[i];
	const char *text = o->pmem.item[i];
	size_t len = strlen(text);

	d->read_only = len > 3 && !strcmp(text + len - 3, ",ro");
	len -= d->read_only ? 3 : 0;
	if (!len || len >= sizeof(o->pmem_path[i]))
		return cli_usage_error(command, "--pmem %s: not the name of a file", text);
	memcpy(o->pmem_path[i], text, len);
	d->path = o->pmem_path[i];
	snprintf(d->role, sizeof(d->role), "pmem%u", i);
	o->config.nr_pmem = i + 1;
	return 0;
}

/** The root is the last disk, and the command line says which that is. */
static int set_root(struct machine_options *o, const char *command)
{
	struct machine_config *c = &o->config;
	char letter = (char)('a' + c->nr_disks);

	if (o->initrd)
		return cli_usage_error(command, "--root and --initrd: one of them is the root");
	if (access(o->root, R_OK))
		return cli_usage_error(command, "--root %s: %s", o->root, strerror(errno));
	if (asprintf(&o->append_root, "%s%sroot=/dev/vd%c", c->append ? c->append : "",
		     c->append ? " " : "", letter) < 0)
		return cli_usage_error(command, "--root: no memory");
	c->append = o->append_root;
	return add_disk(c, command, "root", o->root, 0, DISK_OTHER);
}

static int set_disks(struct machine_options *o, const char *command)
{
	int rc = set_swap(&o->config, command, o->swap);

	for (unsigned int i = 0; i < o->disks.nr && !rc; i++) {
		char role[16];

		snprintf(role, sizeof(role), "disk%u", i);
		rc = add_disk(&o->config, command, role, o->disks.item[i], 0, DISK_OTHER);
	}
	for (unsigned int i = 0; i < o->pmem.nr && !rc; i++)
		rc = add_pmem(o, command, i);
	return rc || !o->root ? rc : set_root(o, command);
}

/** The program's host path: as given, or a program of the build by its name. */
static void find_program(struct machine_options *o)
{
	char name[NAME_MAX + 8];
	const char *base, *exec = o->exec.nr ? o->exec.item[0] : NULL;

	if (!exec && o->root) {
		exec = "/bin/sh";
		o->exec.nr = 1;
	} else if (!exec) {
		cli_built_path("user/swapstress", o->program, sizeof(o->program));
	} else {
		snprintf(o->program, sizeof(o->program), "%s", exec);
		if (!strchr(exec, '/') && access(exec, F_OK)) {
			char built[PATH_MAX];

			snprintf(name, sizeof(name), "user/%.255s", exec);
			cli_built_path(name, built, sizeof(built));
			if (!access(built, F_OK))
				snprintf(o->program, sizeof(o->program), "%s", built);
		}
	}
	base = strrchr(o->program, '/');
	if ((o->initrd || o->root) && exec && exec[0] == '/') {
		/* It is in there. */
		o->program[0] = '\0';
		snprintf(o->exec_guest, sizeof(o->exec_guest), "%s", exec);
	} else {
		snprintf(o->exec_guest, sizeof(o->exec_guest), "/bin/%.255s",
			 base ? base + 1 : o->program);
	}
	o->exec.item[0] = o->exec_guest;
	o->config.argv = o->exec.item;
}

/** Guest RAM below 4 GiB is the most an initrd can take. */
static int read_file(const char *path, void **data, size_t *len, struct mmvm_error *err)
{
	FILE *in = report_open_input(path);
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
	*data = malloc((size_t)st.st_size);
	if (!*data) {
		mmvm_error(err, MMVM_EXIT_HOST, "no memory for the initrd");
		goto out;
	}
	*len = fread(*data, 1, (size_t)st.st_size, in);
	if (*len == (size_t)st.st_size) {
		fclose(in);
		return 0;
	}
	mmvm_error(err, MMVM_EXIT_HOST, "cannot read initrd %s", path);
out:
	fclose(in);
	return -1;
}

int machine_options_initrd(struct machine_options *o, struct mmvm_error *err)
{
	struct cpio *c = &o->archive;

	if (o->linux_guest) {
		if (o->initrd && read_file(o->initrd, &o->initrd_file, &o->initrd_file_len, err))
			return -1;
		o->config.initrd = o->initrd_file;
		o->config.initrd_len = o->initrd_file_len;
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
		if (read_file(o->initrd, &o->initrd_file, &o->initrd_file_len, err))
			return -1;
		if (o->initrd_file_len < 6 || memcmp(o->initrd_file, "070701", 6))
			return mmvm_error(
				err, MMVM_EXIT_USAGE,
				"initrd %s: not a cpio archive in newc format (cpio -o -H "
				"newc; a compressed one must be unpacked)",
				o->initrd);
		if (cpio_append(c, o->initrd_file, o->initrd_file_len))
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

void machine_options_free(struct machine_options *o)
{
	cpio_free(&o->archive);
	free(o->initrd_file);
	o->initrd_file = NULL;
}

/** Mistakes that are reported here, before the lab is started. */
static int check_files(const struct machine_options *o)
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
	return 0;
}

/** Nodes say how much RAM there is, when --memory does not. */
static const char *memory_text(struct machine_options *o)
{
	uint64_t sum = 0;

	if (o->memory)
		return o->memory;
	if (!o->config.nr_nodes)
		return o->linux_guest ? LINUX_MEMORY : DEFAULT_MEMORY;
	for (unsigned int n = 0; n < o->config.nr_nodes; n++)
		sum += o->config.node[n].memory;
	snprintf(o->memory_sum, sizeof(o->memory_sum), "%" PRIu64, sum);
	return o->memory_sum;
}

int machine_options_apply(struct machine_options *o, const char *command)
{
	struct machine_config *c = &o->config;
	struct mmvm_error err = {0};
	int rc;

	if (!c->kernel)
		c->kernel = cli_built_path("images/guestmm.elf", o->kernel, sizeof(o->kernel));
	o->linux_guest = machine_kernel_is_linux(c->kernel);
	if (o->linux_guest && o->exec.nr)
		return cli_usage_error(command, "--exec goes with guestmm: a Linux kernel's "
						"programs come in its --initrd");
	rc = machine_options_nodes(o, command);
	if (rc)
		return rc;
	if (cli_parse_memory(memory_text(o), &c->ram_low, &c->ram_high, &err))
		return cli_fail(&err);
	rc = machine_options_host(o, command);
	if (rc)
		return rc;
	if (c->dirty_chunk &&
	    (!c->dirty_log || c->dirty_mode == DIRTY_BITMAP || c->dirty_mode == DIRTY_RING))
		return cli_usage_error(command,
				       "--dirty-chunk goes with --dirty bitmap-manual: otherwise "
				       "nothing is cleared by request");
	rc = set_disks(o, command);
	if (rc)
		return rc;
	if (!o->linux_guest)
		find_program(o);
	return check_files(o);
}
