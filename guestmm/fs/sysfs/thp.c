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

/* After a change khugepaged is woken, and reads the settings again. */
#define NUMBER(name, variable, least, most) \
	SYSFS_NUMBER(DIR name, &(variable), least, most, NULL, khugepaged_wake)

#define DIR "kernel/mm/transparent_hugepage/"
static const struct sysfs_entry entries[] = {
	{DIR "enabled", 0644, show_enabled, store_enabled, 0},
	{DIR "defrag", 0644, show_defrag, store_defrag, 0},
	{DIR "shmem_enabled", 0644, show_shmem, store_shmem, 0},
	NUMBER("use_zero_page", thp_use_zero_page, 0, 1),
	{DIR "hpage_pmd_size", 0444, show_size, NULL, 0},
	NUMBER("khugepaged/defrag", khugepaged.defrag, 0, 1),
	NUMBER("khugepaged/pages_to_scan", khugepaged.pages_to_scan, 1, 0xffffffff),
	NUMBER("khugepaged/scan_sleep_millisecs", khugepaged.scan_sleep_millisecs, 0, 0xffffffff),
	NUMBER("khugepaged/alloc_sleep_millisecs", khugepaged.alloc_sleep_millisecs, 0, 0xffffffff),
	NUMBER("khugepaged/max_ptes_none", khugepaged.max_ptes_none, 0, HPAGE_PMD_NR - 1),
	NUMBER("khugepaged/max_ptes_swap", khugepaged.max_ptes_swap, 0, HPAGE_PMD_NR - 1),
	NUMBER("khugepaged/max_ptes_shared", khugepaged.max_ptes_shared, 0, HPAGE_PMD_NR - 1),
	{DIR "khugepaged/pages_collapsed", 0444, sysfs_show_u64, NULL,
	 (u64)&khugepaged.pages_collapsed},
	{DIR "khugepaged/full_scans", 0444, sysfs_show_u64, NULL, (u64)&khugepaged.full_scans},
};

int sysfs_thp_register(void)
{
	return sysfs_register(entries, ARRAY_SIZE(entries));
}
