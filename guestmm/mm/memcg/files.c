/*
 * The control files of a memory cgroup. Names, formats, units and errors are those of
 * Documentation/admin-guide/cgroup-v2.rst (Linux 6.12): amounts of memory are in bytes, a limit that
 * is not set reads "max", and a limit may be written with a suffix K, M, G or T.
 *
 * A field of memory.stat is listed only if it is counted.
 */
#include "mm/memcg/memcg.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache/pagecache.h"
#include "mm/reclaim/reclaim.h"
#include "mm/swap/swap.h"

#define RECLAIM_ROUNDS 16 /* of memory.reclaim, and of writing a limit below the usage */

static unsigned long bytes(u64 pages)
{
	return (unsigned long)(pages << PAGE_SHIFT);
}

static void show_limit(struct report *r, u64 pages)
{
	if (pages >= PAGE_COUNTER_MAX)
		report_printf(r, "max\n");
	else
		report_printf(r, "%lu\n", bytes(pages));
}

static void show_memory_current(struct report *r, struct mem_cgroup *m)
{
	report_printf(r, "%lu\n", bytes(page_counter_read(&m->memory)));
}

static void show_swap_current(struct report *r, struct mem_cgroup *m)
{
	report_printf(r, "%lu\n", bytes(page_counter_read(&m->swap)));
}

/* ---- limits ---------------------------------------------------------------------------------- */

#define LIMIT_FILE(name, counter, field)                                \
	static void show_##name(struct report *r, struct mem_cgroup *m) \
	{                                                               \
		show_limit(r, READ_ONCE(m->counter.field));             \
	}                                                               \
	static int set_##name(struct mem_cgroup *m, const char *text)   \
	{                                                               \
		u64 pages;                                              \
		int err = page_counter_parse(text, &pages);             \
                                                                        \
		if (err)                                                \
			return err;                                     \
		return apply_##name(m, pages);                          \
	}

static int set_field(u64 *field, u64 pages)
{
	unsigned long flags = spin_lock_irqsave(&memcg_lock);

	WRITE_ONCE(*field, pages);
	spin_unlock_irqrestore(&memcg_lock, flags);
	return 0;
}

static int set_protection(u64 *field, u64 pages)
{
	unsigned long flags = spin_lock_irqsave(&memcg_lock);

	WRITE_ONCE(*field, pages);
	mem_cgroup_protection_changed();
	spin_unlock_irqrestore(&memcg_lock, flags);
	return 0;
}

static int apply_min(struct mem_cgroup *m, u64 pages)
{
	return set_protection(&m->memory.min, pages);
}

static int apply_low(struct mem_cgroup *m, u64 pages)
{
	return set_protection(&m->memory.low, pages);
}

static int apply_swap_max(struct mem_cgroup *m, u64 pages)
{
	return set_field(&m->swap.max, pages);
}

static int apply_swap_high(struct mem_cgroup *m, u64 pages)
{
	return set_field(&m->swap.high, pages);
}

/* Set memory.high. If usage is above it, reclaim down to it, as far as possible; a signal ends that. */
static int apply_high(struct mem_cgroup *m, u64 pages)
{
	set_field(&m->memory.high, pages);
	for (int i = 0; i < RECLAIM_ROUNDS; i++) {
		u64 usage = page_counter_read(&m->memory);

		if (usage <= pages || task_interrupted())
			break;
		if (!mem_cgroup_reclaim(m, usage - pages, GFP_KERNEL))
			break;
	}
	return 0;
}

/* Set memory.max. It limits charges at once. If usage is above it, reclaim; where that does not help, kill processes of
 * the group. */
static int apply_max(struct mem_cgroup *m, u64 pages)
{
	int rounds = RECLAIM_ROUNDS;

	set_field(&m->memory.max, pages);
	for (;;) {
		u64 usage = page_counter_read(&m->memory);

		if (usage <= pages || task_interrupted())
			return 0;
		if (rounds-- > 0 && mem_cgroup_reclaim(m, usage - pages, GFP_KERNEL))
			continue;
		if (!mem_cgroup_out_of_memory(m, GFP_KERNEL, 0))
			return 0;
	}
}

LIMIT_FILE(min, memory, min)
LIMIT_FILE(low, memory, low)
LIMIT_FILE(high, memory, high)
LIMIT_FILE(max, memory, max)
LIMIT_FILE(swap_high, swap, high)
LIMIT_FILE(swap_max, swap, max)

/* Copy the next word of *text, and move *text past it and the spaces after it. False: it has size characters or more.
 * */
static bool next_word(const char **text, char *word, size_t size)
{
	size_t n = 0;

	for (; **text && **text != ' ' && n < size - 1; (*text)++)
		word[n++] = **text;
	word[n] = 0;
	if (**text && **text != ' ')
		return false;
	while (**text == ' ')
		(*text)++;
	return true;
}

/* "swappiness=N", N from 0 to 200. */
static int parse_swappiness(const char *word, int *swappiness)
{
	static const char name[] = "swappiness=";
	int n = 0;

	if (strncmp(word, name, sizeof(name) - 1))
		return -EINVAL;
	word += sizeof(name) - 1;
	if (!*word)
		return -EINVAL;
	for (; *word >= '0' && *word <= '9' && n <= 200; word++)
		n = n * 10 + (*word - '0');
	if (*word || n > 200)
		return -EINVAL;
	*swappiness = n;
	return 0;
}

/* memory.reclaim: "BYTES" or "BYTES swappiness=N". This reclaim uses N instead of vm.swappiness. -EAGAIN: it reclaimed
 * less than was asked for. */
static int set_reclaim(struct mem_cgroup *m, const char *text)
{
	int swappiness = READ_ONCE(vm_swappiness), err;
	u64 want, done = 0;
	char word[32];

	if (!next_word(&text, word, sizeof(word)))
		return -EINVAL;
	err = page_counter_parse(word, &want);
	while (!err && *text)
		err = next_word(&text, word, sizeof(word)) ? parse_swappiness(word, &swappiness)
							   : -EINVAL;
	if (err)
		return err;
	for (int i = 0; done < want && i < RECLAIM_ROUNDS; i++) {
		u64 freed;

		if (task_interrupted())
			return -EINTR;
		freed = try_to_free_group_pages_by(m, want - done, GFP_KERNEL, swappiness);
		if (!freed)
			break;
		done += freed;
	}
	return done < want ? -EAGAIN : 0;
}

static void show_oom_group(struct report *r, struct mem_cgroup *m)
{
	report_printf(r, "%d\n", READ_ONCE(m->oom_group));
}

static int set_oom_group(struct mem_cgroup *m, const char *text)
{
	if ((text[0] != '0' && text[0] != '1') || text[1])
		return -EINVAL;
	WRITE_ONCE(m->oom_group, text[0] == '1');
	return 0;
}

/* ---- zswap ------------------------------------------------------------------------------------ */

static void show_zswap_current(struct report *r, struct mem_cgroup *m)
{
	u64 in_pool, pages;

	mem_cgroup_zswap_usage(m, &in_pool, &pages);
	report_printf(r, "%lu\n", (unsigned long)in_pool);
}

static void show_zswap_max(struct report *r, struct mem_cgroup *m)
{
	show_limit(r, READ_ONCE(m->zswap_max));
}

static int set_zswap_max(struct mem_cgroup *m, const char *text)
{
	u64 pages;
	int err = page_counter_parse(text, &pages);

	return err ? err : set_field(&m->zswap_max, pages);
}

static void show_zswap_writeback(struct report *r, struct mem_cgroup *m)
{
	report_printf(r, "%d\n", !READ_ONCE(m->no_zswap_writeback));
}

static int set_zswap_writeback(struct mem_cgroup *m, const char *text)
{
	if ((text[0] != '0' && text[0] != '1') || text[1])
		return -EINVAL;
	WRITE_ONCE(m->no_zswap_writeback, text[0] == '0');
	return 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

static const char *const event_name[] = {
#define X(name, text) text,
	MEMCG_EVENTS(X)
#undef X
};
static const char *const swap_event_name[] = {
#define X(name, text) text,
	MEMCG_SWAP_EVENTS(X)
#undef X
};

static void show_events(struct report *r, struct mem_cgroup *m)
{
	for (unsigned int i = 0; i < NR_MEMCG_EVENTS; i++)
		report_printf(r, "%s %lu\n", event_name[i],
			      (unsigned long)atomic_load(&m->events[i]));
}

static void show_events_local(struct report *r, struct mem_cgroup *m)
{
	for (unsigned int i = 0; i < NR_MEMCG_EVENTS; i++)
		report_printf(r, "%s %lu\n", event_name[i],
			      (unsigned long)atomic_load(&m->events_local[i]));
}

static void show_swap_events(struct report *r, struct mem_cgroup *m)
{
	for (unsigned int i = 0; i < NR_MEMCG_SWAP_EVENTS; i++)
		report_printf(r, "%s %lu\n", swap_event_name[i],
			      (unsigned long)atomic_load(&m->swap_events[i]));
}

/* ---- memory.stat ----------------------------------------------------------------------------- */

/* Name, level, and bytes in one unit of the level, in the order of Linux's file. `kernel` and `slab` are sums. Lines of
 * Linux's file that are missing here show what this kernel does not charge or count (doc/cgroups.md). */
#define PAGES PAGE_SIZE
#define KIB   1024ul
#define THPS  PMD_SIZE
static const struct {
	const char *name;
	enum zone_stat_item item;
	unsigned long unit;
	bool by_node; /* it is in memory.numa_stat, too */
} levels[] = {
	{"anon", NR_ANON_MAPPED, PAGES, true},
	{"file", NR_FILE_PAGES, PAGES, true},
	{"kernel_stack", NR_KERNEL_STACK_KB, KIB, true},
	{"pagetables", NR_PAGETABLE, PAGES, true},
	{"shmem", NR_SHMEM, PAGES, true},
	{"file_mapped", NR_FILE_MAPPED, PAGES, true},
	{"file_dirty", NR_FILE_DIRTY, PAGES, true},
	{"file_writeback", NR_WRITEBACK, PAGES, true},
	{"swapcached", NR_SWAPCACHE, PAGES, true},
	{"anon_thp", NR_ANON_THPS, THPS, true},
	{"shmem_thp", NR_SHMEM_THPS, THPS, true},
	{"inactive_anon", NR_INACTIVE_ANON, PAGES, true},
	{"active_anon", NR_ACTIVE_ANON, PAGES, true},
	{"inactive_file", NR_INACTIVE_FILE, PAGES, true},
	{"active_file", NR_ACTIVE_FILE, PAGES, true},
	{"unevictable", NR_UNEVICTABLE, PAGES, true},
	{"slab_reclaimable", NR_SLAB_RECLAIMABLE, PAGES, true},
	{"slab_unreclaimable", NR_SLAB_UNRECLAIMABLE, PAGES, true},
};
struct count {
	const char *name;
	enum vm_event_item item;
};
static const struct count workingset_counts[] = {
	{"workingset_refault_anon", WORKINGSET_REFAULT_ANON},
	{"workingset_refault_file", WORKINGSET_REFAULT_FILE},
	{"workingset_activate_anon", WORKINGSET_ACTIVATE_ANON},
	{"workingset_activate_file", WORKINGSET_ACTIVATE_FILE},
	{"workingset_restore_anon", WORKINGSET_RESTORE_ANON},
	{"workingset_restore_file", WORKINGSET_RESTORE_FILE},
	{"workingset_nodereclaim", WORKINGSET_NODERECLAIM},
};
/* The events of memory.stat that follow those of show_reclaimed(). */
static const struct count counts[] = {
	{"pgfault", PGFAULT},
	{"pgmajfault", PGMAJFAULT},
	{"pgrefill", PGREFILL},
	{"pgactivate", PGACTIVATE},
	{"pgdeactivate", PGDEACTIVATE},
	{"pglazyfree", PGLAZYFREE},
	{"pglazyfreed", PGLAZYFREED},
	{"zswpin", ZSWPIN},
	{"zswpout", ZSWPOUT},
	{"zswpwb", ZSWPWB},
	{"thp_fault_alloc", THP_FAULT_ALLOC},
	{"thp_collapse_alloc", THP_COLLAPSE_ALLOC},
};

static bool is_slab(enum zone_stat_item item)
{
	return item == NR_SLAB_RECLAIMABLE || item == NR_SLAB_UNRECLAIMABLE;
}

/* A level in bytes, on one node or (-1) on all. Slab memory of a group is the objects charged to it; that of the root
 * is the pages of all slabs. */
static unsigned long level_bytes(struct mem_cgroup *m, int node, enum zone_stat_item item,
				 unsigned long unit)
{
	if (is_slab(item) && !mem_cgroup_is_root(m))
		return mem_cgroup_slab_bytes(m, node, item == NR_SLAB_RECLAIMABLE);
	return (unsigned long)mem_cgroup_stat(m, node, item) * unit;
}

/* Kernel memory of the group and all below it, in pages. Not known for the machine as a whole. */
static u64 kernel_pages(struct mem_cgroup *top)
{
	s64 sum = 0;

	for (struct mem_cgroup *m = mem_cgroup_iter(top, NULL); m; m = mem_cgroup_iter(top, m))
		sum += atomic_load(&m->kernel_pages);
	return max(sum, (s64)0);
}

static void show_counts(struct report *r, struct mem_cgroup *m, const struct count *counted,
			unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		report_printf(r, "%s %lu\n", counted[i].name,
			      (unsigned long)mem_cgroup_vm_event(m, counted[i].item));
}

/* Pages that reclaim scanned and took. Each count is read once, so that the sums equal the parts shown below them. */
static void show_reclaimed(struct report *r, struct mem_cgroup *m)
{
	unsigned long scan_kswapd = mem_cgroup_vm_event(m, PGSCAN_KSWAPD);
	unsigned long scan_direct = mem_cgroup_vm_event(m, PGSCAN_DIRECT);
	unsigned long steal_kswapd = mem_cgroup_vm_event(m, PGSTEAL_KSWAPD);
	unsigned long steal_direct = mem_cgroup_vm_event(m, PGSTEAL_DIRECT);

	report_printf(r, "pgscan %lu\npgsteal %lu\n", scan_kswapd + scan_direct,
		      steal_kswapd + steal_direct);
	report_printf(r, "pgscan_kswapd %lu\npgscan_direct %lu\n", scan_kswapd, scan_direct);
	report_printf(r, "pgsteal_kswapd %lu\npgsteal_direct %lu\n", steal_kswapd, steal_direct);
}

static void show_stat(struct report *r, struct mem_cgroup *m)
{
	u64 in_pool, zswapped;

	mem_cgroup_zswap_usage(m, &in_pool, &zswapped);
	for (unsigned int i = 0; i < ARRAY_SIZE(levels); i++) {
		report_printf(r, "%s %lu\n", levels[i].name,
			      level_bytes(m, -1, levels[i].item, levels[i].unit));
		if (levels[i].item == NR_FILE_PAGES && !mem_cgroup_is_root(m))
			report_printf(r, "kernel %lu\n", bytes(kernel_pages(m)));
		if (levels[i].item == NR_SHMEM)
			report_printf(r, "zswap %lu\nzswapped %lu\n", (unsigned long)in_pool,
				      bytes(zswapped));
		if (levels[i].item == NR_SLAB_UNRECLAIMABLE)
			report_printf(r, "slab %lu\n",
				      level_bytes(m, -1, NR_SLAB_RECLAIMABLE, PAGES) +
					      level_bytes(m, -1, NR_SLAB_UNRECLAIMABLE, PAGES));
	}
	show_counts(r, m, workingset_counts, ARRAY_SIZE(workingset_counts));
	show_reclaimed(r, m);
	show_counts(r, m, counts, ARRAY_SIZE(counts));
}

static void show_numa_stat(struct report *r, struct mem_cgroup *m)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(levels); i++) {
		if (!levels[i].by_node)
			continue;
		report_printf(r, "%s", levels[i].name);
		for (int n = 0; n < MMVM_MAX_NODES; n++) {
			if (node_data[n].present)
				report_printf(r, " N%d=%lu", n,
					      level_bytes(m, n, levels[i].item, levels[i].unit));
		}
		report_printf(r, "\n");
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(workingset_counts); i++) {
		report_printf(r, "%s", workingset_counts[i].name);
		for (int n = 0; n < MMVM_MAX_NODES; n++) {
			if (node_data[n].present)
				report_printf(r, " N%d=%lu", n,
					      (unsigned long)mem_cgroup_workingset(
						      m, n, workingset_counts[i].item));
		}
		report_printf(r, "\n");
	}
}

const struct memcg_file memcg_files[] = {
	{"memory.current", .show = show_memory_current},
	{"memory.peak", .peak = MEMCG_PEAK_MEMORY + 1},
	{"memory.min", .show = show_min, .write = set_min},
	{"memory.low", .show = show_low, .write = set_low},
	{"memory.high", .show = show_high, .write = set_high},
	{"memory.max", .show = show_max, .write = set_max},
	{"memory.events", .notifies = MEMCG_NOTIFY_EVENTS, .show = show_events},
	{"memory.events.local", .notifies = MEMCG_NOTIFY_LOCAL, .show = show_events_local},
	{"memory.stat", .on_root = true, .show = show_stat},
	{"memory.numa_stat", .on_root = true, .show = show_numa_stat},
	{"memory.oom.group", .show = show_oom_group, .write = set_oom_group},
	{"memory.reclaim", .on_root = true, .write = set_reclaim},
	{"memory.swap.current", .show = show_swap_current},
	{"memory.swap.peak", .peak = MEMCG_PEAK_SWAP + 1},
	{"memory.swap.high", .show = show_swap_high, .write = set_swap_high},
	{"memory.swap.max", .show = show_swap_max, .write = set_swap_max},
	{"memory.swap.events", .notifies = MEMCG_NOTIFY_SWAP, .show = show_swap_events},
	{"memory.zswap.current", .show = show_zswap_current},
	{"memory.zswap.max", .show = show_zswap_max, .write = set_zswap_max},
	{"memory.zswap.writeback", .on_root = true, .show = show_zswap_writeback,
	 .write = set_zswap_writeback},
	{.name = NULL},
};
