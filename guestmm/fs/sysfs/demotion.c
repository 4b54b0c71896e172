/* /sys/kernel/mm/numa/demotion_enabled, as Documentation/ABI/testing/sysfs-kernel-mm-numa has it. Only on machines with
 * more than one node. */
#include "fs/sysfs/sysfs.h"
#include "lib/errno.h"
#include "mm/reclaim/demote.h"

static int show_enabled(struct report *r, u64 arg)
{
	report_printf(r, "%s\n", READ_ONCE(numa_demotion_enabled) ? "true" : "false");
	return 0;
}

/* As Linux's kstrtobool(): the first letter decides, of "on" and "off" the second. 1, 0 or -EINVAL. */
static int parse_bool(const char *text)
{
	const char letter = text[0] | 0x20;

	if (text[0] == '1' || letter == 'y' || letter == 't')
		return 1;
	if (text[0] == '0' || letter == 'n' || letter == 'f')
		return 0;
	if (letter != 'o')
		return -EINVAL;
	return (text[1] | 0x20) == 'n' ? 1 : (text[1] | 0x20) == 'f' ? 0 : -EINVAL;
}

static int store_enabled(const char *text, u64 arg)
{
	int on = parse_bool(text);

	if (on < 0)
		return on;
	WRITE_ONCE(numa_demotion_enabled, on);
	return 0;
}

static const struct sysfs_entry entries[] = {
	{"kernel/mm/numa/demotion_enabled", 0644, show_enabled, store_enabled, 0},
};

int sysfs_demotion_register(void)
{
	return nr_online_nodes > 1 ? sysfs_register(entries, ARRAY_SIZE(entries)) : 0;
}
