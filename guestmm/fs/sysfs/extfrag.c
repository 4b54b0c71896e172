/*
 * /sys/kernel/debug/extfrag: fragmentation of free memory by zone and order. Linux has these files in debugfs,
 * under the same path.
 *
 *   extfrag_index   why an allocation of the order would fail: near 0 for lack of memory, near 1 because
 *                   of fragmentation; -1: it would not fail
 *   unusable_index  the part of free memory that is in blocks smaller than the order
 */
#include "fs/sysfs/sysfs.h"
#include "mm/move/compaction.h"

static int show_extfrag_index(struct report *r, u64 arg)
{
	report_extfrag_index(r);
	return 0;
}

static int show_unusable_index(struct report *r, u64 arg)
{
	report_unusable_index(r);
	return 0;
}

static const struct sysfs_entry entries[] = {
	{"kernel/debug/extfrag/extfrag_index", 0444, show_extfrag_index, NULL, 0},
	{"kernel/debug/extfrag/unusable_index", 0444, show_unusable_index, NULL, 0},
};

int sysfs_extfrag_register(void)
{
	return sysfs_register(entries, ARRAY_SIZE(entries));
}
