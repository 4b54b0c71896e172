/*
 * /proc/sys: the numbers a running kernel can be tuned by. Each entry names a variable and its
 * bounds; writing checks the bounds, sets it, and calls what depends on it.
 */
#include "fs/proc/proc.h"
#include "kernel/version.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/compaction.h"
#include "mm/phys/alloc.h"
#include "mm/huge/hugetlb.h"
#include "mm/virt/aslr.h"
#include "mm/init.h"
#include "mm/virt/mm.h"
#include "mm/cache/pagecache.h"
#include "mm/slab/slab.h"
#include "mm/swap/swap.h"
#include "mm/reclaim/policy.h"
#include "mm/reclaim/reclaim.h"
#include "mm/phys/zone.h"

#define ENOUGH_SLAB 10 /* objects a round frees: fewer are not worth another */

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
	X(overcommit_memory, int, sysctl_overcommit_memory, 0, 2, nothing())                     \
	X(overcommit_ratio, int, sysctl_overcommit_ratio, 0, 1000000, nothing())                 \
	X(max_map_count, u32, sysctl_max_map_count, 0, 0x7fffffff, nothing())                    \
	X(min_free_kbytes, u64, min_free_kbytes, 0, 1 << 30, setup_per_zone_wmarks())            \
	X(watermark_scale_factor, u64, watermark_scale_factor, 1, 3000, setup_per_zone_wmarks()) \
	X(numa_stat, int, numa_stat, 0, 1, numa_stat_changed())                                  \
	X(compaction_proactiveness, unsigned int, sysctl_compaction_proactiveness, 0, 100,       \
	  compaction_proactiveness_changed())                                                    \
	X(extfrag_threshold, unsigned int, sysctl_extfrag_threshold, 0, 1000, nothing())         \
	X(dirty_background_ratio, unsigned int, dirty_background_ratio, 0, 100, nothing())       \
	X(dirty_ratio, unsigned int, dirty_ratio, 0, 100, nothing())                             \
	X(dirty_writeback_centisecs, unsigned int, dirty_writeback_centisecs, 0, 0x7fffffff,     \
	  wakeup_flusher())                                                                      \
	X(dirty_expire_centisecs, unsigned int, dirty_expire_centisecs, 0, 0x7fffffff,           \
	  wakeup_flusher())

static inline void nothing(void) {}

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
		while (shrink_slab(GFP_KERNEL, 0) > ENOUGH_SLAB)
			cond_resched();
	}
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

/* All policies, the one in use in brackets. */
static int show_reclaim_policy(struct report *r, const struct proc_ctx *ctx)
{
	for (unsigned int i = 0; reclaim_policies[i]; i++)
		report_printf(r, reclaim_policies[i] == reclaim_policy ? "%s[%s]" : "%s%s",
			      i ? " " : "", reclaim_policies[i]->name);
	report_printf(r, "\n");
	return 0;
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

#define X(name, type, variable, least, most, then) \
	{#name, PROC_SYS_VM, S_IFREG | 0644, .show = show_##name, .write = set_##name},
const struct proc_entry proc_sysctl_entries[] = {
	NUMBERS(X){"drop_caches", PROC_SYS_VM, S_IFREG | 0200, .write = set_drop_caches},
	{"page-cluster", PROC_SYS_VM, S_IFREG | 0644, .show = show_page_cluster,
	 .write = set_page_cluster},
	{"reclaim_policy", PROC_SYS_VM, S_IFREG | 0444, .show = show_reclaim_policy},
	{"nr_hugepages", PROC_SYS_VM, S_IFREG | 0644, .show = show_nr_hugepages,
	 .write = set_nr_hugepages},
	{"nr_overcommit_hugepages", PROC_SYS_VM, S_IFREG | 0644,
	 .show = show_nr_overcommit_hugepages, .write = set_nr_overcommit_hugepages},
	{"compact_memory", PROC_SYS_VM, S_IFREG | 0200, .write = set_compact_memory},
	{"randomize_va_space", PROC_SYS_KERNEL, S_IFREG | 0644, .show = show_randomize_va_space,
	 .write = set_randomize_va_space},
	{"hostname", PROC_SYS_KERNEL, S_IFREG | 0444, .show = show_hostname},
	{"ostype", PROC_SYS_KERNEL, S_IFREG | 0444, .show = show_ostype},
	{"osrelease", PROC_SYS_KERNEL, S_IFREG | 0444, .show = show_osrelease},
	{.name = NULL},
};
#undef X
