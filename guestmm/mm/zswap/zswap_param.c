/*
 * zswap's parameters, with Linux's names and defaults (Documentation/admin-guide/mm/zswap.rst).
 *
 * It is off by default. The areas' arrays, the buffers and the thread are made when it is first enabled. When it is
 * disabled again, it stores no new pages, but the stored ones can still be loaded.
 */
#include "mm/zswap/zswap.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "mm/init.h"

bool zswap_enabled;
bool zswap_shrinker_enabled;
unsigned int zswap_max_pool_percent = 20, zswap_accept_threshold_percent = 90;
static bool enabled_at_boot;
static bool started; /* param_mutex: everything is made */
static struct mutex param_mutex = MUTEX_INIT(param_mutex);

static void percent_option(const char *name, const char *text, unsigned int *value)
{
	unsigned int n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && n <= 100; p++)
		n = n * 10 + (unsigned int)(*p - '0');
	if (*p || p == text || n > 100)
		printk("%s=%s: not a percentage, ignored\n", name, text);
	else
		*value = n;
}

static void bool_option(const char *name, const char *text, bool *value)
{
	if (parse_bool(text, value))
		printk("%s=%s: neither y nor n, ignored\n", name, text);
}

void zswap_boot_options(const char *cmdline,
			bool (*get)(const char *cmdline, const char *name, char *buf, size_t size))
{
	char value[16];

	if (get(cmdline, "zswap.enabled", value, sizeof(value)))
		bool_option("zswap.enabled", value, &enabled_at_boot);
	if (get(cmdline, "zswap.shrinker_enabled", value, sizeof(value)))
		bool_option("zswap.shrinker_enabled", value, &zswap_shrinker_enabled);
	if (get(cmdline, "zswap.max_pool_percent", value, sizeof(value)))
		percent_option("zswap.max_pool_percent", value, &zswap_max_pool_percent);
	if (get(cmdline, "zswap.accept_threshold_percent", value, sizeof(value)))
		percent_option("zswap.accept_threshold_percent", value,
			       &zswap_accept_threshold_percent);
}

static int prepare(void)
{
	int err;

	if (started)
		return 0;
	if (!zs_nr_classes)
		zs_init();
	err = swap_zswap_prepare();
	if (!err && !started)
		err = zswap_writeback_init();
	started = !err;
	audit_root_fill();
	return err;
}

int zswap_set_enabled(const char *text)
{
	bool on;
	int err = parse_bool(text, &on);

	if (err)
		return err;
	mutex_lock(&param_mutex);
	if (on)
		err = prepare();
	if (!err)
		WRITE_ONCE(zswap_enabled, on);
	mutex_unlock(&param_mutex);
	return err;
}

void zswap_init(void)
{
	int err = enabled_at_boot ? zswap_set_enabled("y") : 0;

	if (err)
		printk("zswap: not enabled: error %d\n", -err);
	else if (enabled_at_boot)
		printk("zswap: loaded using pool lz4/zsmalloc\n");
}
