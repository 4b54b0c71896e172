/* /sys/kernel/mm/lru_gen, as Documentation/admin-guide/mm/multigen_lru.rst has it, and the listing that
 * Linux shows in /sys/kernel/debug/lru_gen. */
#include "fs/sysfs/sysfs.h"
#include "lib/errno.h"
#include "mm/reclaim/mglru.h"

/* Capabilities: the core, and clearing accessed bits of leaf entries in batches. Those of upper tables are not used. */
#define LRU_GEN_CAPS 0x0003u

static int show_enabled(struct report *r, u64 arg)
{
	report_printf(r, "0x%04x\n", reclaim_policy == &policy_mglru ? LRU_GEN_CAPS : 0);
	return 0;
}

/* "y" enables everything and "n" nothing; single parts cannot be chosen. "n" selects the first of the other policies.
 * */
static int store_enabled(const char *text, u64 arg)
{
	u64 caps;

	if ((text[0] | 0x20) == 'y')
		caps = LRU_GEN_CAPS;
	else if ((text[0] | 0x20) == 'n')
		caps = 0;
	else if (sysfs_parse_u64(text, &caps))
		return -EINVAL;
	if (caps & 1)
		return reclaim_policy_set(policy_mglru.name);
	return reclaim_policy == &policy_mglru ? reclaim_policy_set(reclaim_policies[0]->name) : 0;
}

static int show_min_ttl(struct report *r, u64 arg)
{
	report_printf(r, "%lu\n", (unsigned long)(READ_ONCE(mglru_min_ttl_ns) / 1000000));
	return 0;
}

static int store_min_ttl(const char *text, u64 arg)
{
	u64 ms;

	if (sysfs_parse_u64(text, &ms) || ms > 0xffffffffu)
		return -EINVAL;
	WRITE_ONCE(mglru_min_ttl_ns, ms * 1000000);
	return 0;
}

static int show_generations(struct report *r, u64 arg)
{
	mglru_report(r);
	return 0;
}

static const struct sysfs_entry entries[] = {
	{"kernel/mm/lru_gen/enabled", 0644, show_enabled, store_enabled, 0},
	{"kernel/mm/lru_gen/min_ttl_ms", 0644, show_min_ttl, store_min_ttl, 0},
	{"kernel/debug/lru_gen", 0444, show_generations, NULL, 0},
};

int sysfs_lru_gen_register(void)
{
	return sysfs_register(entries, ARRAY_SIZE(entries));
}
