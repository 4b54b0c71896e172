/* /sys/module/zswap/parameters, as Documentation/admin-guide/mm/zswap.rst has them, and the counts that
 * Linux shows in /sys/kernel/debug/zswap. */
#include "fs/sysfs/sysfs.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/zswap/zswap.h"

static int show_bool(struct report *r, u64 arg)
{
	report_printf(r, "%s\n", READ_ONCE(*(const bool *)(unsigned long)arg) ? "Y" : "N");
	return 0;
}

static int store_enabled(const char *text, u64 arg)
{
	return zswap_set_enabled(text);
}

static int store_bool(const char *text, u64 arg)
{
	return parse_bool(text, (bool *)(unsigned long)arg);
}

static int show_percent(struct report *r, u64 arg)
{
	report_printf(r, "%u\n", READ_ONCE(*(const unsigned int *)(unsigned long)arg));
	return 0;
}

static int store_percent(const char *text, u64 arg)
{
	u64 n;

	if (sysfs_parse_u64(text, &n) || n > 100)
		return -EINVAL;
	WRITE_ONCE(*(unsigned int *)(unsigned long)arg, (unsigned int)n);
	return 0;
}

/* There is one compressor and one pool type. */
static int show_name(struct report *r, u64 arg)
{
	report_printf(r, "%s\n", (const char *)(unsigned long)arg);
	return 0;
}

static int store_name(const char *text, u64 arg)
{
	return strcmp(text, (const char *)(unsigned long)arg) ? -ENOENT : 0;
}

static int show_pool_size(struct report *r, u64 arg)
{
	report_printf(r, "%lu\n", (unsigned long)(zs_pages() << PAGE_SHIFT));
	return 0;
}

#define PARAM(name, show, store, what)                                           \
	{                                                                        \
		"module/zswap/parameters/" name, 0644, show, store, (u64)(what), \
	}

static const struct sysfs_entry entries[] = {
	PARAM("enabled", show_bool, store_enabled, &zswap_enabled),
	PARAM("compressor", show_name, store_name, "lz4"),
	PARAM("zpool", show_name, store_name, "zsmalloc"),
	PARAM("max_pool_percent", show_percent, store_percent, &zswap_max_pool_percent),
	PARAM("accept_threshold_percent", show_percent, store_percent,
	      &zswap_accept_threshold_percent),
	PARAM("shrinker_enabled", show_bool, store_bool, &zswap_shrinker_enabled),
	{"kernel/debug/zswap/pool_total_size", 0444, show_pool_size, NULL, 0},
#define X(name) {"kernel/debug/zswap/" #name, 0444, sysfs_show_u64, NULL, (u64)&zswap_counts.name},
	ZSWAP_COUNTS(X)
#undef X
};

int sysfs_zswap_register(void)
{
	return sysfs_register(entries, ARRAY_SIZE(entries));
}
