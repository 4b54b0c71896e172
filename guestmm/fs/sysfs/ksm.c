/* /sys/kernel/mm/ksm, as Documentation/admin-guide/mm/ksm.rst has it. */
#include "fs/sysfs/sysfs.h"
#include "lib/errno.h"
#include "mm/ksm/ksm.h"

static int show_run(struct report *r, u64 arg)
{
	report_printf(r, "%lu\n", (unsigned long)READ_ONCE(ksm.run));
	return 0;
}

static int store_run(const char *text, u64 arg)
{
	u64 n;

	if (sysfs_parse_u64(text, &n) || n > KSM_RUN_UNMERGE)
		return -EINVAL;
	return ksm_set_run(n);
}

static int show_across(struct report *r, u64 arg)
{
	report_printf(r, "%lu\n", (unsigned long)READ_ONCE(ksm.merge_across_nodes));
	return 0;
}

static int store_across(const char *text, u64 arg)
{
	u64 n;

	if (sysfs_parse_u64(text, &n) || n > 1)
		return -EINVAL;
	return ksm_set_merge_across_nodes(n);
}

static int show_max_sharing(struct report *r, u64 arg)
{
	report_printf(r, "%lu\n", (unsigned long)READ_ONCE(ksm.max_page_sharing));
	return 0;
}

/* A merged page that only one place may map would share nothing. */
static int store_max_sharing(const char *text, u64 arg)
{
	u64 n;

	if (sysfs_parse_u64(text, &n) || n < 2 || n > 0x7fffffff)
		return -EINVAL;
	return ksm_set_max_page_sharing(n);
}

/* name, variable, most */
#define NUMBERS(X)                                      \
	X(pages_to_scan, ksm.pages_to_scan, 0xffffffff) \
	X(sleep_ms, ksm.sleep_millisecs, 0xffffffff)    \
	X(use_zero_pages, ksm.use_zero_pages, 1)

#define X(name, variable, most)                                                \
	static int show_##name(struct report *r, u64 arg)                      \
	{                                                                      \
		report_printf(r, "%lu\n", (unsigned long)READ_ONCE(variable)); \
		return 0;                                                      \
	}                                                                      \
	static int store_##name(const char *text, u64 arg)                     \
	{                                                                      \
		u64 n;                                                         \
                                                                               \
		if (sysfs_parse_u64(text, &n) || n > (most))                   \
			return -EINVAL;                                        \
		WRITE_ONCE(variable, n);                                       \
		ksm_wake();                                                    \
		return 0;                                                      \
	}
NUMBERS(X)
#undef X

enum count { SHARED, SHARING, UNSHARED, VOLATILE, SCANNED, FULL_SCANS, CHAINS, DUPS, PROFIT };

/* What has ended meanwhile is not counted. */
static int show_count(struct report *r, u64 which)
{
	const struct ksm_counts *c = &ksm_counts;
	s64 n = 0;

	mutex_lock(&ksm_mutex);
	ksm_reap();
	switch ((enum count)which) {
	case SHARED:
		n = c->pages_shared;
		break;
	case SHARING:
		n = c->pages_sharing;
		break;
	case UNSHARED:
		n = c->pages_unshared;
		break;
	case VOLATILE:
		n = c->rmap_items - c->pages_shared - c->pages_sharing - c->pages_unshared;
		break;
	case SCANNED:
		n = c->pages_scanned;
		break;
	case FULL_SCANS:
		n = c->full_scans;
		break;
	case CHAINS:
		n = c->stable_node_chains;
		break;
	case DUPS:
		n = c->stable_node_dups;
		break;
	case PROFIT:
		n = ksm_general_profit();
		break;
	}
	mutex_unlock(&ksm_mutex);
	report_printf(r, "%ld\n", (long)n);
	return 0;
}

#define DIR "kernel/mm/ksm/"
static const struct sysfs_entry entries[] = {
	{DIR "run", 0644, show_run, store_run, 0},
	{DIR "pages_to_scan", 0644, show_pages_to_scan, store_pages_to_scan, 0},
	{DIR "sleep_millisecs", 0644, show_sleep_ms, store_sleep_ms, 0},
	{DIR "merge_across_nodes", 0644, show_across, store_across, 0},
	{DIR "max_page_sharing", 0644, show_max_sharing, store_max_sharing, 0},
	{DIR "use_zero_pages", 0644, show_use_zero_pages, store_use_zero_pages, 0},
	{DIR "pages_shared", 0444, show_count, NULL, SHARED},
	{DIR "pages_sharing", 0444, show_count, NULL, SHARING},
	{DIR "pages_unshared", 0444, show_count, NULL, UNSHARED},
	{DIR "pages_volatile", 0444, show_count, NULL, VOLATILE},
	{DIR "pages_scanned", 0444, show_count, NULL, SCANNED},
	{DIR "full_scans", 0444, show_count, NULL, FULL_SCANS},
	{DIR "stable_node_chains", 0444, show_count, NULL, CHAINS},
	{DIR "stable_node_dups", 0444, show_count, NULL, DUPS},
	{DIR "general_profit", 0444, show_count, NULL, PROFIT},
};

int sysfs_ksm_register(void)
{
	return sysfs_register(entries, ARRAY_SIZE(entries));
}
