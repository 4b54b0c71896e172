/* /sys/kernel/mm/hugepages: the pool of each size, as Documentation/admin-guide/mm/hugetlbpage.rst
 * has it. */
#include "fs/sysfs/sysfs.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "mm/huge/hugetlb.h"
#include "mm/slab/slab.h"

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

/* ---- of one node: /sys/devices/system/node/nodeN/hugepages ------------------------------------------ */

#define OF_NODE(nid, i) ((u64)(nid) << 8 | (i))

#define NODE_COUNTS(X)               \
	X(nr_hugepages, nr_node)     \
	X(free_hugepages, free_node) \
	X(surplus_hugepages, surplus_node)
#define X(name, field)                                                                       \
	static int show_node_##name(struct report *r, u64 arg)                               \
	{                                                                                    \
		report_printf(r, "%lu\n",                                                    \
			      (unsigned long)READ_ONCE(hstates[arg & 255].field[arg >> 8])); \
		return 0;                                                                    \
	}
NODE_COUNTS(X)
#undef X

static int store_node_nr_hugepages(const char *text, u64 arg)
{
	u64 n;

	return sysfs_parse_u64(text, &n) ? -EINVAL
					 : hugetlb_set_pool_node(&hstates[arg & 255], arg >> 8, n);
}

static const struct {
	const char *name;
	u32 mode;
	int (*show)(struct report *r, u64 arg);
	int (*store)(const char *text, u64 arg);
} of_node[] = {
	{"nr_hugepages", 0644, show_node_nr_hugepages, store_node_nr_hugepages},
	{"free_hugepages", 0444, show_node_free_hugepages, NULL},
	{"surplus_hugepages", 0444, show_node_surplus_hugepages, NULL},
};

int sysfs_hugepages_register_node(unsigned int nid)
{
	const u32 files = ARRAY_SIZE(of_node);
	struct sysfs_entry *e = kzalloc(sizeof(*e) * nr_hstates * files, GFP_KERNEL);

	if (!e)
		return -ENOMEM;
	for (u32 i = 0; i < nr_hstates; i++) {
		for (u32 k = 0; k < files; k++) {
			const size_t size = 96;
			char *path = kmalloc(size, GFP_KERNEL);

			if (!path)
				return -ENOMEM; /* at boot: nothing is freed */
			ksnprintf(path, size, "devices/system/node/node%u/hugepages/%s/%s", nid,
				  hstates[i].name, of_node[k].name);
			e[i * files + k] =
				(struct sysfs_entry){path, of_node[k].mode, of_node[k].show,
						     of_node[k].store, OF_NODE(nid, i)};
		}
	}
	return sysfs_register(e, nr_hstates * files);
}

int sysfs_hugepages_register(void)
{
	return sysfs_register(entries, ARRAY_SIZE(entries) / MAX_HSTATES * nr_hstates);
}
