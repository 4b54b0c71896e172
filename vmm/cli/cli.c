/*
 * Parsing and manners shared by the sub-commands. Parsers take text from the command line and never
 * accept half of it: "48Q", "0x", "" and "12 " are errors, and so is a number that does not fit.
 */
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/cli.h"
#include "kvm/kvm.h"
#include "lab/lab.h"
#include "mmvm/layout.h"
#include "report/report.h"

/** The number at the start of `text`; *end points after its digits. */
static int parse_digits(const char *text, int base, uint64_t *value, char **end)
{
	/* strtoull also takes blanks and signs: we do not. */
	if (base == 16 ? !strchr("0123456789abcdefABCDEF", *text) || !*text
		       : *text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, end, base);
	return errno == ERANGE ? -ERANGE : 0;
}

int cli_parse_size(const char *text, uint64_t *bytes)
{
	static const char suffix[] = "KMGT";
	unsigned int shift = 0;
	const char *found;
	uint64_t value;
	char *end;
	int rc = parse_digits(text, 10, &value, &end);

	if (rc)
		return rc;
	if (*end) {
		char c = *end >= 'a' && *end <= 'z' ? (char)(*end - 'a' + 'A') : *end;

		found = strchr(suffix, c);
		if (!found || end[1])
			return -EINVAL;
		shift = 10 * (unsigned int)(found - suffix + 1);
	}
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = value << shift;
	return 0;
}

int cli_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	uint64_t v;
	char *end;
	int rc = parse_digits(hex ? text + 2 : text, hex ? 16 : 10, &v, &end);

	if (rc)
		return rc;
	if (*end)
		return -EINVAL;
	if (v < min || v > max)
		return -ERANGE;
	*value = v;
	return 0;
}

int cli_parse_memory(const char *text, uint64_t *ram_low, uint64_t *ram_high,
		     struct mmvm_error *err)
{
	const char *comma = strchr(text, ',');
	uint64_t total, high = 0;
	char first[64];

	snprintf(first, sizeof(first), "%.*s", comma ? (int)(comma - text) : 63, text);
	if (cli_parse_size(first, &total))
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "--memory %s: '%s' is not a size like 48M or 1G", text, first);
	if (comma && (strncmp(comma, ",high=", 6) || cli_parse_size(comma + 6, &high)))
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "--memory %s: after the size comes ,high=SIZE (RAM above 4 GiB)",
				  text);
	if (total % MMVM_PAGE_SIZE || high % MMVM_PAGE_SIZE)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "--memory %s: sizes must be whole pages of 4K", text);
	if (high > total || total - high < MMVM_RAM_MIN)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "--memory %s: at least %lluM must lie below 4 GiB, here it is "
				  "%" PRIu64 "K",
				  text, MMVM_RAM_MIN >> 20,
				  high > total ? 0 : (total - high) >> 10);
	if (total - high > MMVM_RAM_LOW_MAX)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "--memory %s: at most %lluM fit below 4 GiB, give the rest as "
				  ",high=SIZE",
				  text, MMVM_RAM_LOW_MAX >> 20);
	*ram_low = total - high;
	*ram_high = high;
	return 0;
}

int cli_parse_accel(const char *text, enum accel *accel, struct mmvm_error *err)
{
	if (!strcmp(text, "auto"))
		*accel = ACCEL_AUTO;
	else if (!strcmp(text, "kvm"))
		*accel = ACCEL_KVM;
	else if (!strcmp(text, "lab"))
		*accel = ACCEL_LAB;
	else
		return mmvm_error(err, MMVM_EXIT_USAGE, "--accel %s: choose auto, kvm or lab",
				  text);
	return 0;
}

const char *cli_built_path(const char *name, char *buf, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = 0;
	slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	snprintf(buf, size, "%s/%s", slash ? self : ".", name);
	return buf;
}

const char *cli_find_built(const char *pattern, char *buf, size_t size)
{
	glob_t found;

	cli_built_path(pattern, buf, size);
	if (glob(buf, 0, NULL, &found))
		return NULL;
	snprintf(buf, size, "%s", found.gl_pathv[found.gl_pathc - 1]);
	globfree(&found);
	return buf;
}

int cli_fail(const struct mmvm_error *err)
{
	fputs("mmvm: ", stderr);
	put_safe(stderr, err->text, sizeof(err->text));
	putc('\n', stderr);
	return err->status;
}

int cli_usage_error(const char *command, const char *fmt, ...)
{
	char text[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "mmvm %s: ", command);
	put_safe(stderr, text, sizeof(text));
	fprintf(stderr, "\nTry `mmvm %s --help`.\n", command);
	return MMVM_EXIT_USAGE;
}

/** The folder and the name that `path` has in it. False when there is no such folder. */
static bool place_of(const char *path, struct stat *folder, const char **name)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	*name = slash ? slash + 1 : path;
	if (slash && snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path),
			      path) >= (int)sizeof(dir))
		return false;
	return !stat(slash ? dir : ".", folder);
}

static bool same_file(const char *a, const char *b)
{
	const char *name_a, *name_b;
	struct stat sa, sb;
	bool there_a = !stat(a, &sa), there_b = !stat(b, &sb);

	/* A block device may have several names. Other special files cannot be destroyed. */
	if (there_a && there_b && S_ISBLK(sa.st_mode))
		return S_ISBLK(sb.st_mode) && sa.st_rdev == sb.st_rdev;
	if (there_a && there_b)
		return S_ISREG(sa.st_mode) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
	return !there_a && !there_b && place_of(a, &sa, &name_a) && place_of(b, &sb, &name_b) &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino && !strcmp(name_a, name_b);
}

int cli_check_outputs(const char *command, const struct cli_file *file, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (!file[i].output || !file[i].path || !strcmp(file[i].path, "-"))
			continue;
		for (unsigned int k = 0; k < nr; k++) {
			const struct cli_file *other = &file[k];

			if (k == i || (other->output && k < i) || !other->path ||
			    !strcmp(other->path, "-") ||
			    (file[i].may_replace && !strcmp(file[i].may_replace, other->option)) ||
			    !same_file(file[i].path, other->path))
				continue;
			return cli_usage_error(command, "%s%s%s would overwrite %s%s%s",
					       file[i].option, *file[i].option ? " " : "",
					       file[i].path, other->option,
					       *other->option ? " " : "", other->path);
		}
	}
	return 0;
}

static bool kvm_usable(void)
{
	return access(kvm_device_path(), R_OK | W_OK) == 0;
}

int cli_choose_accel(enum accel wish, enum accel_need need, char *why, size_t size,
		     struct mmvm_error *err)
{
	bool icount = need == NEED_ICOUNT;
	enum kvm_backend backend = kvm_backend_detect();
	char no_lab[256];

	if (lab_inside()) {
		snprintf(why, size, "inside the lab");
		return ACCEL_KVM;
	}
	if (wish == ACCEL_KVM && icount)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "--icount counts instructions in the lab: leave out --accel kvm");
	if (wish == ACCEL_KVM) {
		snprintf(why, size, "as asked");
		return ACCEL_KVM;
	}
	if (wish == ACCEL_AUTO && !icount && kvm_usable() &&
	    (backend == KVM_BACKEND_VMX || backend == KVM_BACKEND_SVM)) {
		snprintf(why, size, "hardware virtualization (%s)", kvm_backend_name(backend));
		return ACCEL_KVM;
	}
	if (lab_available(no_lab, sizeof(no_lab))) {
		if (wish == ACCEL_LAB)
			snprintf(why, size, "as asked");
		else if (icount)
			snprintf(why, size, "--icount needs it");
		else if (kvm_usable())
			snprintf(why, size, "KVM-%s emulates ring 0: the lab is faster",
				 kvm_backend_name(backend));
		else
			snprintf(why, size, "no usable %s", kvm_device_path());
		return ACCEL_LAB;
	}
	if (wish == ACCEL_LAB || icount)
		return mmvm_error(err, MMVM_EXIT_HOST, "the lab cannot be used: %s", no_lab);
	/* Directly, or with the clear error that opening /dev/kvm gives. */
	snprintf(why, size, "the lab cannot be used: %s", no_lab);
	return ACCEL_KVM;
}

/** What ends a run in order: with its result, and nothing left. */
static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
static bool hup_ignored;
static _Atomic(struct machine *) signal_machine;
static volatile sig_atomic_t signal_got;

static void on_signal(int sig)
{
	struct machine *m = atomic_load(&signal_machine);

	signal_got = sig;
	if (m)
		machine_stop(m);
}

void cli_stop_on_signals(struct machine *m)
{
	struct sigaction sa = {.sa_handler = on_signal}, old;

	sigemptyset(&sa.sa_mask);
	atomic_store(&signal_machine, m);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		/* nohup's choice stands. */
		if (ending[i] == SIGHUP && !sigaction(SIGHUP, NULL, &old) &&
		    old.sa_handler == SIG_IGN) {
			hup_ignored = true;
			continue;
		}
		sigaction(ending[i], &sa, NULL);
	}
	if (m && signal_got)
		machine_stop(m);
}

void cli_default_signals(void)
{
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		if (ending[i] != SIGHUP || !hup_ignored)
			signal(ending[i], SIG_DFL);
	/* A report that nobody reads must not cost the files that are still to be written. */
	signal(SIGPIPE, SIG_IGN);
}

int cli_signal(void)
{
	return signal_got;
}
