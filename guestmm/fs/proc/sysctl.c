/*
 * /proc/sys/kernel and /proc/sys/fs: settings of the running kernel, and its name and version. sysctl_vm.c has
 * /proc/sys/vm.
 */
#include "fs/proc/proc.h"
#include "fs/file.h"
#include "fs/notify.h"
#include "fs/ipc/ipc.h"
#include "fs/pipe.h"
#include "kernel/coredump.h"
#include "kernel/cred.h"
#include "kernel/pid.h"
#include "kernel/version.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/virt/aslr.h"
#include "mm/virt/mm.h"
#include "mm/numa/balancing.h"

int proc_parse_decimal(const char *text, s64 *out)
{
	bool minus = *text == '-';
	s64 n = 0;

	if (minus)
		text++;
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || n > (1ll << 59))
			return -EINVAL;
		n = n * 10 + (*text - '0');
	}
	*out = minus ? -n : n;
	return 0;
}

int proc_parse_unsigned(const char *text, u64 *out)
{
	unsigned int base = 10;
	u64 n = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	} else if (text[0] == '0') {
		base = 8;
	}
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		unsigned int digit =
			*text >= '0' && *text <= '9'   ? (unsigned int)(*text - '0')
			: *text >= 'a' && *text <= 'f' ? (unsigned int)(*text - 'a') + 10
			: *text >= 'A' && *text <= 'F' ? (unsigned int)(*text - 'A') + 10
						       : 16;

		if (digit >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(n, (u64)base, &n) ||
		    __builtin_add_overflow(n, (u64)digit, &n))
			return -ERANGE;
	}
	*out = n;
	return 0;
}

static int show_numa_balancing(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%u\n", READ_ONCE(sysctl_numa_balancing));
	return 0;
}

static int set_numa_balancing(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < 0 || n > 3)
		return -EINVAL;
	return numa_balancing_set((unsigned int)n);
}

static int show_randomize_va_space(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%d\n", READ_ONCE(sysctl_randomize_va_space));
	return 0;
}

static int set_randomize_va_space(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < 0 || n > 2)
		return -EINVAL;
	WRITE_ONCE(sysctl_randomize_va_space, (int)n);
	return 0;
}

static int show_pid_max(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%d\n", READ_ONCE(sysctl_pid_max));
	return 0;
}

static int set_pid_max(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < PID_MAX_LEAST || n > PID_MAX_LIMIT)
		return -EINVAL;
	WRITE_ONCE(sysctl_pid_max, (int)n);
	return 0;
}

static int show_threads_max(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%d\n", threads_max());
	return 0;
}

static int set_threads_max(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < 1 || n > 0x3fffffff)
		return -EINVAL;
	if (n < THREADS_MAX_LEAST)
		return -EINVAL;
	WRITE_ONCE(sysctl_threads_max, (int)n);
	return 0;
}

/* One or more numbers, none of which is negative or beyond `most`. */
static int parse_numbers(const char *text, u64 *out, u32 n, u64 most)
{
	for (u32 i = 0; i < n; i++) {
		u64 v = 0;

		while (*text == ' ' || *text == '\t')
			text++;
		if (*text < '0' || *text > '9')
			return -EINVAL;
		for (; *text >= '0' && *text <= '9'; text++) {
			if (v > (~0ull - 9) / 10)
				return -EINVAL;
			v = v * 10 + (u64)(*text - '0');
		}
		if (v > most)
			return -EINVAL;
		out[i] = v;
	}
	return *text ? -EINVAL : 0;
}

static int show_shmmax(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%lu\n", (unsigned long)READ_ONCE(sysctl_shmmax));
	return 0;
}

static int set_shmmax(const char *text, const struct proc_ctx *ctx)
{
	return parse_numbers(text, &sysctl_shmmax, 1, ~0ull);
}

static int show_shmall(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%lu\n", (unsigned long)READ_ONCE(sysctl_shmall));
	return 0;
}

static int set_shmall(const char *text, const struct proc_ctx *ctx)
{
	return parse_numbers(text, &sysctl_shmall, 1, ~0ull);
}

static int show_shmmni(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%d\n", READ_ONCE(sysctl_shmmni));
	return 0;
}

static int set_shmmni(const char *text, const struct proc_ctx *ctx)
{
	u64 v;
	int err = parse_numbers(text, &v, 1, IPC_INDEX_MAX);

	if (!err)
		WRITE_ONCE(sysctl_shmmni, (int)v);
	return err;
}

static int show_sem(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%d\t%d\t%d\t%d\n", sysctl_sem[0], sysctl_sem[1], sysctl_sem[2],
		      sysctl_sem[3]);
	return 0;
}

static int set_sem(const char *text, const struct proc_ctx *ctx)
{
	u64 v[4];
	int err = parse_numbers(text, v, 4, 0x7fffffff);

	if (!err && v[3] > IPC_INDEX_MAX)
		err = -EINVAL;
	for (u32 i = 0; !err && i < 4; i++)
		WRITE_ONCE(sysctl_sem[i], (int)v[i]);
	return err;
}

static int show_core_pattern(struct report *r, const struct proc_ctx *ctx)
{
	char pattern[CORENAME_MAX];

	core_pattern_get(pattern);
	report_printf(r, "%s\n", pattern);
	return 0;
}

/* With a relative pattern the core would be in a directory that the process has chosen. */
static void warn_of_unsafe_core(void)
{
	char pattern[CORENAME_MAX];

	core_pattern_get(pattern);
	if (READ_ONCE(sysctl_suid_dumpable) != MM_DUMP_ROOT || pattern[0] == '/')
		return;
	printk("Unsafe core_pattern used with fs.suid_dumpable=2.\n");
	printk("Fully qualified core dump path required.\n");
	printk("Set kernel.core_pattern before fs.suid_dumpable.\n");
}

static int set_core_pattern(const char *text, const struct proc_ctx *ctx)
{
	int err = core_pattern_set(text);

	if (!err)
		warn_of_unsafe_core();
	return err;
}

static int show_core_uses_pid(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%d\n", READ_ONCE(sysctl_core_uses_pid));
	return 0;
}

static int set_core_uses_pid(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n != (int)n)
		return -EINVAL;
	WRITE_ONCE(sysctl_core_uses_pid, (int)n);
	return 0;
}

static int show_suid_dumpable(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%d\n", READ_ONCE(sysctl_suid_dumpable));
	return 0;
}

static int set_suid_dumpable(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < MM_DUMP_DISABLE || n > MM_DUMP_ROOT)
		return -EINVAL;
	WRITE_ONCE(sysctl_suid_dumpable, (int)n);
	warn_of_unsafe_core();
	return 0;
}

static int show_cap_last_cap(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%d\n", CAP_LAST);
	return 0;
}

static int show_ngroups_max(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%u\n", NGROUPS_MAX);
	return 0;
}

static int show_int(struct report *r, const int *value)
{
	report_printf(r, "%d\n", READ_ONCE(*value));
	return 0;
}

static int set_natural(const char *text, int *value)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < 0 || n > 0x7fffffff)
		return -EINVAL;
	WRITE_ONCE(*value, (int)n);
	return 0;
}

/* name in /proc/sys/fs/inotify, variable */
#define INOTIFY_LIMITS(X)                                   \
	X(max_user_instances, sysctl_inotify_max_instances) \
	X(max_user_watches, sysctl_inotify_max_watches)     \
	X(max_queued_events, sysctl_inotify_max_events)
#define X(name, variable)                                                    \
	static int show_##name(struct report *r, const struct proc_ctx *ctx) \
	{                                                                    \
		return show_int(r, &variable);                               \
	}                                                                    \
	static int set_##name(const char *text, const struct proc_ctx *ctx)  \
	{                                                                    \
		return set_natural(text, &variable);                         \
	}
INOTIFY_LIMITS(X)
#undef X

static int show_nr_open(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%u\n", MAX_FDS);
	return 0;
}

/* A random (version 4) UUID: RFC 4122. */
static void show_as_uuid(struct report *r, u64 a, u64 b)
{
	a = (a & ~0xf000ull) | 0x4000;
	b = (b & ~(3ull << 62)) | 2ull << 62;
	report_printf(r, "%08x-%04x-%04x-%04x-%04x%08x\n", (u32)(a >> 32), (u32)(a >> 16) & 0xffff,
		      (u32)a & 0xffff, (u32)(b >> 48), (u32)(b >> 32) & 0xffff, (u32)b);
}

static int show_uuid(struct report *r, const struct proc_ctx *ctx)
{
	show_as_uuid(r, get_random_u64(), get_random_u64());
	return 0;
}

/* It does not change while the machine runs. */
static int show_boot_id(struct report *r, const struct proc_ctx *ctx)
{
	static u64 id[2];

	for (int i = 0; i < 2; i++) {
		if (!READ_ONCE(id[i]))
			atomic_cmpxchg(&id[i], 0, get_random_u64() | 1);
	}
	show_as_uuid(r, id[0], id[1]);
	return 0;
}

static int show_kernel_version(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%s\n", GUESTMM_VERSION);
	return 0;
}

static int show_hostname(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%s\n", GUESTMM_HOST);
	return 0;
}

static int show_ostype(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%s\n", GUESTMM_SYSNAME);
	return 0;
}

static int show_osrelease(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%s\n", GUESTMM_RELEASE);
	return 0;
}

static int show_pipe_max_size(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%u\n", READ_ONCE(pipe_max_size));
	return 0;
}

static int set_pipe_max_size(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < 1 || n > 1ll << 31)
		return -EINVAL;
	WRITE_ONCE(pipe_max_size, pipe_round_size(n));
	return 0;
}

const struct proc_entry proc_sysctl_entries[] = {
	{"randomize_va_space", PROC_SYS_KERNEL, S_IFREG | 0644, .show = show_randomize_va_space,
	 .write = set_randomize_va_space},
	{"numa_balancing", PROC_SYS_KERNEL, S_IFREG | 0644, .show = show_numa_balancing,
	 .write = set_numa_balancing},
	{"hostname", PROC_SYS_KERNEL, S_IFREG | 0444, .show = show_hostname},
	{"ostype", PROC_SYS_KERNEL, S_IFREG | 0444, .show = show_ostype},
	{"osrelease", PROC_SYS_KERNEL, S_IFREG | 0444, .show = show_osrelease},
	{"version", PROC_SYS_KERNEL, S_IFREG | 0444, .show = show_kernel_version},
	{"pid_max", PROC_SYS_KERNEL, S_IFREG | 0644, .show = show_pid_max, .write = set_pid_max},
	{"threads-max", PROC_SYS_KERNEL, S_IFREG | 0644, .show = show_threads_max,
	 .write = set_threads_max},
	{"shmmax", PROC_SYS_KERNEL, S_IFREG | 0644, .show = show_shmmax, .write = set_shmmax},
	{"shmall", PROC_SYS_KERNEL, S_IFREG | 0644, .show = show_shmall, .write = set_shmall},
	{"shmmni", PROC_SYS_KERNEL, S_IFREG | 0644, .show = show_shmmni, .write = set_shmmni},
	{"sem", PROC_SYS_KERNEL, S_IFREG | 0644, .show = show_sem, .write = set_sem},
	{"core_pattern", PROC_SYS_KERNEL, S_IFREG | 0644, .show = show_core_pattern,
	 .write = set_core_pattern},
	{"core_uses_pid", PROC_SYS_KERNEL, S_IFREG | 0644, .show = show_core_uses_pid,
	 .write = set_core_uses_pid},
	{"suid_dumpable", PROC_SYS_FS, S_IFREG | 0644, .show = show_suid_dumpable,
	 .write = set_suid_dumpable},
	{"cap_last_cap", PROC_SYS_KERNEL, S_IFREG | 0444, .show = show_cap_last_cap},
	{"ngroups_max", PROC_SYS_KERNEL, S_IFREG | 0444, .show = show_ngroups_max},
	{"uuid", PROC_SYS_RANDOM, S_IFREG | 0444, .show = show_uuid},
	{"boot_id", PROC_SYS_RANDOM, S_IFREG | 0444, .show = show_boot_id},
	{"pipe-max-size", PROC_SYS_FS, S_IFREG | 0644, .show = show_pipe_max_size,
	 .write = set_pipe_max_size},
	{"max_user_instances", PROC_SYS_INOTIFY, S_IFREG | 0644, .show = show_max_user_instances,
	 .write = set_max_user_instances},
	{"max_user_watches", PROC_SYS_INOTIFY, S_IFREG | 0644, .show = show_max_user_watches,
	 .write = set_max_user_watches},
	{"max_queued_events", PROC_SYS_INOTIFY, S_IFREG | 0644, .show = show_max_queued_events,
	 .write = set_max_queued_events},
	{"nr_open", PROC_SYS_FS, S_IFREG | 0444, .show = show_nr_open},
	{.name = NULL},
};
