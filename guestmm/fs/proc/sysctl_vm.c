/*
 * /proc/sys/vm: the settings of memory management. Most entries name a variable and its bounds: a write
 * checks the bounds, sets the variable, and calls what depends on it.
 */
#include "fs/proc/proc.h"
#include "fs/internal.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/move/compaction.h"
#include "mm/phys/alloc.h"
#include "mm/huge/hugetlb.h"
#include "mm/init.h"
#include "mm/virt/mm.h"
#include "mm/fault/userfault.h"
#include "mm/cache/pagecache.h"
#include "mm/slab/slab.h"
#include "mm/swap/swap.h"
#include "mm/reclaim/oom.h"
#include "mm/reclaim/policy.h"
#include "mm/reclaim/reclaim.h"
#include "mm/phys/zone.h"

/* name, type, variable, least, most, what to call after a change */
#define NUMBERS(X)                                                                               \
	X(swappiness, int, vm_swappiness, 0, 200, nothing())                                     \
	X(vfs_cache_pressure, int, sysctl_vfs_cache_pressure, 0, 0x7fffffff, nothing())          \
	X(panic_on_oom, int, sysctl_panic_on_oom, 0, 2, nothing())                               \
	X(oom_kill_allocating_task, int, sysctl_oom_kill_allocating_task, -(1ll << 31),          \
	  0x7fffffff, nothing())                                                                 \
	X(oom_dump_tasks, int, sysctl_oom_dump_tasks, -(1ll << 31), 0x7fffffff, nothing())       \
	X(overcommit_memory, int, sysctl_overcommit_memory, 0, 2, nothing())                     \
	X(overcommit_ratio, int, sysctl_overcommit_ratio, 0, 1000000,                            \
	  sysctl_overcommit_kbytes = 0)                                                          \
	X(overcommit_kbytes, u64, sysctl_overcommit_kbytes, 0, 1ull << 52,                       \
	  sysctl_overcommit_ratio = 0)                                                           \
	X(user_reserve_kbytes, u64, sysctl_user_reserve_kbytes, 0, 1ull << 52, nothing())        \
	X(admin_reserve_kbytes, u64, sysctl_admin_reserve_kbytes, 0, 1ull << 52, nothing())      \
	X(max_map_count, u32, sysctl_max_map_count, 0, 0x7fffffff, nothing())                    \
	X(min_free_kbytes, u64, min_free_kbytes, 0, 1 << 30, setup_per_zone_wmarks())            \
	X(watermark_scale_factor, u64, watermark_scale_factor, 1, 3000, setup_per_zone_wmarks()) \
	X(watermark_boost_factor, u64, watermark_boost_factor, 0, 0x7fffffff, nothing())         \
	X(numa_stat, int, numa_stat, 0, 1, numa_stat_changed())                                  \
	X(compact_unevictable_allowed, int, sysctl_compact_unevictable_allowed, 0, 1, nothing()) \
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

/* Of a limit in bytes and one in per cent, the one that was written last applies. As in Linux, writing 0 to a limit
 * that is 0 changes nothing. */
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

/* 1: drop clean pages of files; 2: call shrinkers; 3: both. */
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

/* The value must be at least 8, so that one CPU's lists leave enough to the others. 0: the default. */
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

/* One number for each zone. If there are fewer, the other zones' values do not change. */
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

/* Write all policies, with the one in use in brackets. */
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

/* As in Linux, the only valid value is 1. */
static int set_compact_memory(const char *text, const struct proc_ctx *ctx)
{
	s64 n;

	if (proc_parse_decimal(text, &n) || n != 1)
		return -EINVAL;
	compact_memory();
	return 0;
}

/* Linux adds up what CPUs have counted by themselves, and warns of levels below 0. Levels are exact here at every
 * moment, so only the look at them is left. */
static void stat_refresh(void)
{
#define X(item, name)              \
	if (global_stat(item) < 0) \
		printk("stat_refresh: %s %ld\n", name, (long)global_stat(item));
	MMVM_ZONE_STATS(X)
#undef X
}

static int show_stat_refresh(struct report *r, const struct proc_ctx *ctx)
{
	stat_refresh();
	return 0;
}

/* Whatever is written. */
static int set_stat_refresh(const char *text, const struct proc_ctx *ctx)
{
	stat_refresh();
	return 0;
}

#define X(name, type, variable, least, most, then) \
	{#name, PROC_SYS_VM, S_IFREG | 0644, .show = show_##name, .write = set_##name},
const struct proc_entry proc_sysctl_vm_entries[] = {
	/* clang-format off */
	NUMBERS(X)
	/* clang-format on */
	{"drop_caches", PROC_SYS_VM, S_IFREG | 0200, .write = set_drop_caches},
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
	{"stat_refresh", PROC_SYS_VM, S_IFREG | 0600, .show = show_stat_refresh,
	 .write = set_stat_refresh},
	{.name = NULL},
};
#undef X
