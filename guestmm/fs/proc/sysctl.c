/*
 * /proc/sys: the numbers a running kernel can be tuned by. Each entry names a variable and its
 * bounds; writing checks the bounds, sets it, and calls what depends on it.
 */
#include "fs/proc/proc.h"
#include "fs/file.h"
#include "fs/internal.h"
#include "fs/ipc/ipc.h"
#include "fs/pipe.h"
#include "kernel/cred.h"
#include "kernel/pid.h"
#include "kernel/version.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/compaction.h"
#include "mm/phys/alloc.h"
#include "mm/huge/hugetlb.h"
#include "mm/virt/aslr.h"
#include "mm/init.h"
#include "mm/virt/mm.h"
#include "mm/virt/userfault.h"
#include "mm/cache/pagecache.h"
#include "mm/numa/balancing.h"
#include "mm/slab/slab.h"
#include "mm/swap/swap.h"
#include "mm/reclaim/oom.h"
#include "mm/reclaim/policy.h"
#include "mm/reclaim/reclaim.h"
#include "mm/phys/zone.h"

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

/* name, type, variable, least, most, what to call after a change */
#define NUMBERS(X)                                                                               \
	X(swappiness, int, vm_swappiness, 0, 200, nothing())                                     \
	X(vfs_cache_pressure, int, sysctl_vfs_cache_pressure, 0, 0x7fffffff, nothing())          \
	X(panic_on_oom, int, sysctl_panic_on_oom, 0, 2, nothing())                               \
	X(oom_kill_allocating_task, int, sysctl_oom_kill_allocating_task, -(1ll << 31),          \
	  0x7fffffff, nothing())                                                                 \
	X(oom_dump_tasks, int, sysctl_oom_dump_tasks, -(1ll << 31), 0x7fffffff, nothing())       \
	X(overcommit_memory, int, sysctl_overcommit_memory, 0, 2, nothing())                     \
	X(overcommit_ratio, int, sysctl_overcommit_ratio, 0, 1000000, nothing())                 \
	X(max_map_count, u32, sysctl_max_map_count, 0, 0x7fffffff, nothing())                    \
	X(min_free_kbytes, u64, min_free_kbytes, 0, 1 << 30, setup_per_zone_wmarks())            \
	X(watermark_scale_factor, u64, watermark_scale_factor, 1, 3000, setup_per_zone_wmarks()) \
	X(watermark_boost_factor, u64, watermark_boost_factor, 0, 0x7fffffff, nothing())         \
	X(numa_stat, int, numa_stat, 0, 1, numa_stat_changed())                                  \
	X(compaction_proactiveness, unsigned int, sysctl_compaction_proactiveness, 0, 100,       \
	  compaction_proactiveness_changed())                                                    \
	X(extfrag_threshold, unsigned int, sysctl_extfrag_threshold, 0, 1000, nothing())         \
	X(unprivileged_userfaultfd, int, sysctl_unprivileged_userfaultfd, 0, 1, nothing())       \
	X(dirty_background_ratio, unsigned int, dirty_background_ratio, 0, 100,                  \
	  dirty_background_bytes = 0)                                                            \
	X(dirty_ratio, unsigned int, dirty_ratio, 0, 100, dirty_ratio_changed())                 \
	X(dirty_bytes, u64, dirty_bytes, 2 * PAGE_SIZE, 1ull << 62, dirty_ratio = 0)             \
	X(dirty_background_bytes, u64, dirty_background_bytes, 1, 1ull << 62,                    \
	  dirty_background_ratio = 0)                                                            \
	X(dirty_writeback_centisecs, unsigned int, dirty_writeback_centisecs, 0, 0x7fffffff,     \
	  wakeup_flusher())                                                                      \
	X(dirty_expire_centisecs, unsigned int, dirty_expire_centisecs, 0, 0x7fffffff,           \
	  wakeup_flusher())

static inline void nothing(void) {}

/* Of a limit in bytes and one in per cent the one that was written last counts. As Linux: to write the 0
 * that is there already changes nothing. */
static inline void dirty_ratio_changed(void)
{
	if (dirty_ratio)
		dirty_bytes = 0;
}

#define X(name, type, variable, least, most, then)                                       \
	static int show_##name(struct report *r, const struct proc_ctx *ctx)             \
	{                                                                                \
		report_printf(r, "%ld\n", (long)READ_ONCE(variable));                    \
		return 0;                                                                \
	}                                                                                \
	static int set_##name(const char *text, const struct proc_ctx *ctx)              \
	{                                                                                \
		s64 n;                                                                   \
                                                                                         \
		if (proc_parse_decimal(text, &n) || n < (s64)(least) || n > (s64)(most)) \
			return -EINVAL;                                                  \
		WRITE_ONCE(variable, (type)n);                                           \
		then;                                                                    \
		return 0;                                                                \
	}
NUMBERS(X)
#undef X

static int show_nr_hugepages(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%lu\n", (unsigned long)default_hstate->max_huge_pages);
	return 0;
}

static int set_nr_hugepages(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < 0)
		return -EINVAL;
	return hugetlb_set_pool(default_hstate, n);
}

static int show_nr_overcommit_hugepages(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%lu\n", (unsigned long)default_hstate->nr_overcommit);
	return 0;
}

static int set_nr_overcommit_hugepages(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < 0)
		return -EINVAL;
	return hugetlb_set_overcommit(default_hstate, n);
}

/* 1: clean pages of files; 2: what shrinkers can give; 3: both. */
static int set_drop_caches(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < 1 || n > 4)
		return -EINVAL;
	if (n & 1)
		drop_pagecache();
	if (n & 2) {
		drop_slab();
		count_vm_event(DROP_SLAB);
	}
	return 0;
}

static int show_percpu_pagelist_high_fraction(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%u\n", READ_ONCE(percpu_pagelist_high_fraction));
	return 0;
}

/* Less than 8 would leave nothing to others. */
static int set_percpu_pagelist_high_fraction(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < 0 || n > 0x7fffffff || (n && n < 8))
		return -EINVAL;
	WRITE_ONCE(percpu_pagelist_high_fraction, (u32)n);
	percpu_pagelist_high_fraction_changed();
	return 0;
}

static int show_lowmem_reserve_ratio(struct report *r, const struct proc_ctx *ctx)
{
	for (unsigned int i = 0; i < MAX_NR_ZONES; i++)
		report_printf(r, i ? "\t%u" : "%u", READ_ONCE(lowmem_reserve_ratio[i]));
	report_printf(r, "\n");
	return 0;
}

/* Up to a number for each zone; those that are not named stay as they are. */
static int set_lowmem_reserve_ratio(const char *text, const struct proc_ctx *ctx)
{
	u32 ratio[MAX_NR_ZONES];
	unsigned int n = 0;

	while (*text && n < MAX_NR_ZONES) {
		char word[16];
		size_t len = 0;
		s64 value;

		while (*text == ' ' || *text == '\t')
			text++;
		while (*text && *text != ' ' && *text != '\t' && len < sizeof(word) - 1)
			word[len++] = *text++;
		word[len] = 0;
		if (!len)
			break;
		if (proc_parse_decimal(word, &value) || value > 0x7fffffff)
			return -EINVAL;
		ratio[n++] = value < 1 ? 0 : (u32)value;
	}
	if (!n)
		return -EINVAL;
	for (unsigned int i = 0; i < n; i++)
		WRITE_ONCE(lowmem_reserve_ratio[i], ratio[i]);
	lowmem_reserve_ratio_changed();
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

static int show_page_cluster(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%u\n", READ_ONCE(page_cluster));
	return 0;
}

static int set_page_cluster(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n < 0 || n > 4)
		return -EINVAL;
	WRITE_ONCE(page_cluster, (unsigned int)n);
	return 0;
}

/* All policies, the one in use in brackets. */
static int show_reclaim_policy(struct report *r, const struct proc_ctx *ctx)
{
	for (unsigned int i = 0; reclaim_policies[i]; i++)
		report_printf(r, reclaim_policies[i] == reclaim_policy ? "%s[%s]" : "%s%s",
			      i ? " " : "", reclaim_policies[i]->name);
	report_printf(r, "\n");
	return 0;
}

static int set_reclaim_policy(const char *text, const struct proc_ctx *ctx)
{
	return reclaim_policy_set(text);
}

/* Linux's only value is 1. */
static int set_compact_memory(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n != 1)
		return -EINVAL;
	compact_memory();
	return 0;
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

/* The same as long as the machine runs. */
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

/* Rounded up to a power of two pages, as Linux does. */
static int set_pipe_max_size(const char *text, const struct proc_ctx *ctx)
{
	u32 bytes = PAGE_SIZE;
	s64 n;

	if (proc_parse_decimal(text, &n) || n < 1 || n > 1ll << 31)
		return -EINVAL;
	while (bytes < n)
		bytes *= 2;
	WRITE_ONCE(pipe_max_size, bytes);
	return 0;
}

#define X(name, type, variable, least, most, then) \
	{#name, PROC_SYS_VM, S_IFREG | 0644, .show = show_##name, .write = set_##name},
const struct proc_entry proc_sysctl_entries[] = {
	NUMBERS(X){"drop_caches", PROC_SYS_VM, S_IFREG | 0200, .write = set_drop_caches},
	{"page-cluster", PROC_SYS_VM, S_IFREG | 0644, .show = show_page_cluster,
	 .write = set_page_cluster},
	{"reclaim_policy", PROC_SYS_VM, S_IFREG | 0644, .show = show_reclaim_policy,
	 .write = set_reclaim_policy},
	{"percpu_pagelist_high_fraction", PROC_SYS_VM, S_IFREG | 0644,
	 .show = show_percpu_pagelist_high_fraction, .write = set_percpu_pagelist_high_fraction},
	{"lowmem_reserve_ratio", PROC_SYS_VM, S_IFREG | 0644, .show = show_lowmem_reserve_ratio,
	 .write = set_lowmem_reserve_ratio},
	{"nr_hugepages", PROC_SYS_VM, S_IFREG | 0644, .show = show_nr_hugepages,
	 .write = set_nr_hugepages},
	{"nr_overcommit_hugepages", PROC_SYS_VM, S_IFREG | 0644,
	 .show = show_nr_overcommit_hugepages, .write = set_nr_overcommit_hugepages},
	{"compact_memory", PROC_SYS_VM, S_IFREG | 0200, .write = set_compact_memory},
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
	{"cap_last_cap", PROC_SYS_KERNEL, S_IFREG | 0444, .show = show_cap_last_cap},
	{"ngroups_max", PROC_SYS_KERNEL, S_IFREG | 0444, .show = show_ngroups_max},
	{"uuid", PROC_SYS_RANDOM, S_IFREG | 0444, .show = show_uuid},
	{"boot_id", PROC_SYS_RANDOM, S_IFREG | 0444, .show = show_boot_id},
	{"pipe-max-size", PROC_SYS_FS, S_IFREG | 0644, .show = show_pipe_max_size,
	 .write = set_pipe_max_size},
	{"nr_open", PROC_SYS_FS, S_IFREG | 0444, .show = show_nr_open},
	{.name = NULL},
};
#undef X
