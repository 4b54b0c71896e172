/* /sys/kernel/mm/transparent_hugepage, as Documentation/admin-guide/mm/transhuge.rst has it. */
#include "fs/sysfs/sysfs.h"
#include "lib/errno.h"
#include "mm/huge/thp.h"

static int show_enabled(struct report *r, u64 arg)
{
	sysfs_show_choice(r, thp_enabled_names, NR_THP_ENABLED, thp_enabled);
	return 0;
}

static int store_enabled(const char *text, u64 arg)
{
	int i = sysfs_parse_choice(text, thp_enabled_names, NR_THP_ENABLED);

	if (i < 0)
		return i;
	WRITE_ONCE(thp_enabled, i);
	khugepaged_wake();
	return 0;
}

static int show_defrag(struct report *r, u64 arg)
{
	sysfs_show_choice(r, thp_defrag_names, NR_THP_DEFRAG, thp_defrag);
	return 0;
}

static int store_defrag(const char *text, u64 arg)
{
	int i = sysfs_parse_choice(text, thp_defrag_names, NR_THP_DEFRAG);

	if (i < 0)
		return i;
	WRITE_ONCE(thp_defrag, i);
	return 0;
}

static int show_shmem(struct report *r, u64 arg)
{
	sysfs_show_choice(r, shmem_huge_names, NR_SHMEM_HUGE, shmem_enabled);
	return 0;
}

static int store_shmem(const char *text, u64 arg)
{
	int i = sysfs_parse_choice(text, shmem_huge_names, NR_SHMEM_HUGE);

	if (i < 0)
		return i;
	shmem_set_enabled(i);
	khugepaged_wake();
	return 0;
}

static int show_size(struct report *r, u64 arg)
{
	report_printf(r, "%lu\n", PMD_SIZE);
	return 0;
}

/* name, variable, least, most */
#define NUMBERS(X)                                                      \
	X(use_zero_page, thp_use_zero_page, 0, 1)                       \
	X(defrag01, khugepaged.defrag, 0, 1)                            \
	X(pages_to_scan, khugepaged.pages_to_scan, 1, 0xffffffff)       \
	X(scan_sleep, khugepaged.scan_sleep_millisecs, 0, 0xffffffff)   \
	X(alloc_sleep, khugepaged.alloc_sleep_millisecs, 0, 0xffffffff) \
	X(ptes_none, khugepaged.max_ptes_none, 0, HPAGE_PMD_NR - 1)     \
	X(ptes_swap, khugepaged.max_ptes_swap, 0, HPAGE_PMD_NR - 1)     \
	X(ptes_shared, khugepaged.max_ptes_shared, 0, HPAGE_PMD_NR - 1) \
	X(pages_collapsed, khugepaged.pages_collapsed, 0, 0)            \
	X(full_scans, khugepaged.full_scans, 0, 0)

#define X(name, variable, least, most)                                                \
	static int show_##name(struct report *r, u64 arg)                             \
	{                                                                             \
		report_printf(r, "%lu\n", (unsigned long)READ_ONCE(variable));        \
		return 0;                                                             \
	}                                                                             \
	static __maybe_unused int store_##name(const char *text, u64 arg)             \
	{                                                                             \
		u64 n;                                                                \
                                                                                      \
		if (sysfs_parse_u64(text, &n) || n - (least) > (u64)(most) - (least)) \
			return -EINVAL;                                               \
		WRITE_ONCE(variable, n);                                              \
		khugepaged_wake();                                                    \
		return 0;                                                             \
	}
NUMBERS(X)
#undef X

#define DIR "kernel/mm/transparent_hugepage/"
static const struct sysfs_entry entries[] = {
	{DIR "enabled", 0644, show_enabled, store_enabled, 0},
	{DIR "defrag", 0644, show_defrag, store_defrag, 0},
	{DIR "shmem_enabled", 0644, show_shmem, store_shmem, 0},
	{DIR "use_zero_page", 0644, show_use_zero_page, store_use_zero_page, 0},
	{DIR "hpage_pmd_size", 0444, show_size, NULL, 0},
	{DIR "khugepaged/defrag", 0644, show_defrag01, store_defrag01, 0},
	{DIR "khugepaged/pages_to_scan", 0644, show_pages_to_scan, store_pages_to_scan, 0},
	{DIR "khugepaged/scan_sleep_millisecs", 0644, show_scan_sleep, store_scan_sleep, 0},
	{DIR "khugepaged/alloc_sleep_millisecs", 0644, show_alloc_sleep, store_alloc_sleep, 0},
	{DIR "khugepaged/max_ptes_none", 0644, show_ptes_none, store_ptes_none, 0},
	{DIR "khugepaged/max_ptes_swap", 0644, show_ptes_swap, store_ptes_swap, 0},
	{DIR "khugepaged/max_ptes_shared", 0644, show_ptes_shared, store_ptes_shared, 0},
	{DIR "khugepaged/pages_collapsed", 0444, show_pages_collapsed, NULL, 0},
	{DIR "khugepaged/full_scans", 0444, show_full_scans, NULL, 0},
};

int sysfs_thp_register(void)
{
	return sysfs_register(entries, ARRAY_SIZE(entries));
}
