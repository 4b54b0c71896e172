/* /sys/kernel/mm/numa/demotion_enabled, as Documentation/ABI/testing/sysfs-kernel-mm-numa has it. Only on machines with
 * more than one node. */
#include "fs/sysfs/sysfs.h"
#include "lib/format.h"
#include "mm/reclaim/demote.h"

static int show_enabled(struct report *r, u64 arg)
{
	report_printf(r, "%s\n", READ_ONCE(numa_demotion_enabled) ? "true" : "false");
	return 0;
}

static int store_enabled(const char *text, u64 arg)
{
	bool on;
	int err = parse_bool(text, &on);

	if (!err)
		WRITE_ONCE(numa_demotion_enabled, on);
	return err;
}

static const struct sysfs_entry entries[] = {
	{"kernel/mm/numa/demotion_enabled", 0644, show_enabled, store_enabled, 0},
};

int sysfs_demotion_register(void)
{
	return nr_online_nodes > 1 ? sysfs_register(entries, ARRAY_SIZE(entries)) : 0;
}
