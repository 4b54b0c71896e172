/* /sys/kernel/mm/hugepages: the pool of each size, as Documentation/admin-guide/mm/hugetlbpage.rst
 * has it. */
#include "fs/sysfs/sysfs.h"
#include "lib/errno.h"
#include "mm/huge/hugetlb.h"

#define COUNTS(X)                                    \
	X(nr_hugepages, h->nr)                       \
	X(nr_overcommit_hugepages, h->nr_overcommit) \
	X(free_hugepages, h->free)                   \
	X(resv_hugepages, h->resv)                   \
	X(surplus_hugepages, h->surplus)

#define X(name, value)                                                      \
	static int show_##name(struct report *r, u64 arg)                   \
	{                                                                   \
		const struct hstate *h = &hstates[arg];                     \
                                                                            \
		report_printf(r, "%lu\n", (unsigned long)READ_ONCE(value)); \
		return 0;                                                   \
	}
COUNTS(X)
#undef X

static int store_nr_hugepages(const char *text, u64 arg)
{
	u64 n;

	return sysfs_parse_u64(text, &n) ? -EINVAL : hugetlb_set_pool(&hstates[arg], n);
}

static int store_nr_overcommit_hugepages(const char *text, u64 arg)
{
	u64 n;

	return sysfs_parse_u64(text, &n) ? -EINVAL : hugetlb_set_overcommit(&hstates[arg], n);
}

#define ENTRIES(dir, i)                                                                           \
	{"kernel/mm/hugepages/" dir "/nr_hugepages", 0644, show_nr_hugepages, store_nr_hugepages, \
	 i},                                                                                      \
		{"kernel/mm/hugepages/" dir "/nr_overcommit_hugepages", 0644,                     \
		 show_nr_overcommit_hugepages, store_nr_overcommit_hugepages, i},                 \
		{"kernel/mm/hugepages/" dir "/free_hugepages", 0444, show_free_hugepages, NULL,   \
		 i},                                                                              \
		{"kernel/mm/hugepages/" dir "/resv_hugepages", 0444, show_resv_hugepages, NULL,   \
		 i},                                                                              \
	{                                                                                         \
		"kernel/mm/hugepages/" dir "/surplus_hugepages", 0444, show_surplus_hugepages,    \
			NULL, i                                                                   \
	}

static const struct sysfs_entry entries[] = {
	ENTRIES("hugepages-2048kB", 0),
	ENTRIES("hugepages-1048576kB", 1),
};

int sysfs_hugepages_register(void)
{
	return sysfs_register(entries, ARRAY_SIZE(entries) / MAX_HSTATES * nr_hstates);
}
