/* /sys/kernel/mm/ksm, as Documentation/admin-guide/mm/ksm.rst has it. */
#include "fs/sysfs/sysfs.h"
#include "mm/ksm/ksm.h"

static int show_count(struct report *r, u64 offset)
{
	const struct ksm_counts c = ksm_read_counts();

	return sysfs_show_u64(r, (u64)&c + offset);
}

static int show_volatile(struct report *r, u64 arg)
{
	const struct ksm_counts c = ksm_read_counts();
	const u64 n = c.rmap_items - c.pages_shared - c.pages_sharing - c.pages_unshared;

	report_printf(r, "%ld\n", (long)n);
	return 0;
}

static int show_profit(struct report *r, u64 arg)
{
	const struct ksm_counts c = ksm_read_counts();

	report_printf(r, "%ld\n", (long)ksm_general_profit(&c));
	return 0;
}

#define DIR "kernel/mm/ksm/"
#define COUNT(name)                                                                  \
	{                                                                            \
		DIR #name, 0444, show_count, NULL, offsetof(struct ksm_counts, name) \
	}

static const struct sysfs_entry entries[] = {
	SYSFS_NUMBER(DIR "run", &ksm.run, 0, KSM_RUN_UNMERGE, ksm_set_run, NULL),
	SYSFS_NUMBER(DIR "pages_to_scan", &ksm.pages_to_scan, 0, 0xffffffff, NULL, ksm_wake),
	SYSFS_NUMBER(DIR "sleep_millisecs", &ksm.sleep_millisecs, 0, 0xffffffff, NULL, ksm_wake),
	SYSFS_NUMBER(DIR "merge_across_nodes", &ksm.merge_across_nodes, 0, 1,
		     ksm_set_merge_across_nodes, NULL),
	/* At least 2: a merged page with a single mapping would save nothing. */
	SYSFS_NUMBER(DIR "max_page_sharing", &ksm.max_page_sharing, 2, 0x7fffffff,
		     ksm_set_max_page_sharing, NULL),
	SYSFS_NUMBER(DIR "use_zero_pages", &ksm.use_zero_pages, 0, 1, NULL, ksm_wake),
	COUNT(pages_shared),
	COUNT(pages_sharing),
	COUNT(pages_unshared),
	{DIR "pages_volatile", 0444, show_volatile, NULL, 0},
	COUNT(pages_scanned),
	COUNT(full_scans),
	COUNT(stable_node_chains),
	COUNT(stable_node_dups),
	{DIR "general_profit", 0444, show_profit, NULL, 0},
};

int sysfs_ksm_register(void)
{
	return sysfs_register(entries, ARRAY_SIZE(entries));
}
