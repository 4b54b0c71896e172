/*
 * kswapd: one thread per node that reclaims before allocations have to.
 *
 *   free pages   high ─────────  kswapd sleeps above
 *                low  ─────────  an allocation below wakes it
 *                min  ─────────  below, allocations reclaim for themselves
 *
 * I1  A wake-up is never lost: `wanted` is set before wake_up() and cleared before the work.
 * I2  After KSWAPD_MAX_FAILURES runs in a row that freed nothing, kswapd leaves the node alone until direct reclaim
 *     there succeeds. Otherwise it would only use the CPU time that the OOM killer needs.
 *
 * I3  kswapd never takes what memory.low protects, as on Linux 6.1. If nothing else is left it gives up (I2), and direct
 *     reclaim breaks the protection for those who cannot wait.
 *
 * Locks: none of its own; the waker's request (order, highest) is advisory.
 */
#include "lib/format.h"
#include "lib/trace.h"
#include "mm/move/compaction.h"
#include "mm/reclaim/demote.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/vmscan.h"

static bool kswapd_wanted[MMVM_MAX_NODES];

bool pgdat_balanced(const pg_data_t *node, unsigned int order, enum zone_type highest)
{
	bool any = false;

	for (unsigned int i = 0; i <= highest; i++) {
		const struct zone *z = &node->zones[i];

		if (!z->managed)
			continue;
		any = true;
		if (zone_watermark_ok(z, order, z->watermark[WMARK_HIGH], highest, 0))
			return true;
	}
	return !any; /* nothing here that the waker could use */
}

u64 balance_pgdat(pg_data_t *node, unsigned int order, enum zone_type highest)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .order = order, .highest = highest, .kswapd = true};

	count_vm_event(PAGEOUTRUN);
	lru_add_drain();
	for (unsigned int i = 0; i <= highest; i++)
		if (node->zones[i].managed)
			sc.nr_to_reclaim +=
				max(node->zones[i].watermark[WMARK_HIGH], (u64)SWAP_CLUSTER_MAX);
	for (sc.priority = DEF_PRIORITY; sc.priority >= 0;) {
		u64 before = sc.nr_reclaimed;

		if (order && before >= 2ull << order)
			order = 0;
		if (pgdat_balanced(node, order, highest))
			break;
		sc.may_writepage = sc.priority < DEF_PRIORITY - 2;
		shrink_node(node, &sc);
		if (sc.nr_reclaimed >= sc.nr_to_reclaim)
			break;
		if (sc.nr_reclaimed > before)
			continue; /* this priority still yields */
		if (swap_writes_in_flight())
			swap_wait_for_write();
		else
			sc.priority--;
		if (sc.nr_dirty)
			reclaim_wait_for_flusher(&sc);
	}
	if (sc.nr_reclaimed)
		node->reclaim_failures = 0;
	else if (!pgdat_balanced(node, order, highest))
		node->reclaim_failures++;
	return sc.nr_reclaimed;
}

/* The watermarks were raised because pages of different mobility were mixed. Free that many pages of files and
 * slabs, compact, and lower the watermarks again, whether or not it succeeded. */
static void reclaim_for_boost(pg_data_t *node)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = MAX_NR_ZONES - 1, .kswapd = true, .no_swap = true};
	u64 boost[MAX_NR_ZONES];

	for (unsigned int i = 0; i < MAX_NR_ZONES; i++) {
		boost[i] = READ_ONCE(node->zones[i].watermark_boost);
		sc.nr_to_reclaim += boost[i];
	}
	if (likely(!sc.nr_to_reclaim))
		return;
	for (sc.priority = DEF_PRIORITY;
	     sc.nr_reclaimed < sc.nr_to_reclaim && sc.priority > DEF_PRIORITY - 2; sc.priority--)
		shrink_node(node, &sc);
	for (unsigned int i = 0; i < MAX_NR_ZONES; i++)
		if (boost[i])
			unboost_watermark(&node->zones[i], boost[i]);
	wakeup_kcompactd(node, PAGEBLOCK_ORDER, MAX_NR_ZONES - 1);
}

#define SHORT_SLEEP_NS 100000000ull

/*
 * After a run kswapd first sleeps a short time, as on Linux, and counts how that sleep ends. If an allocation below
 * the low mark wakes it early, the low mark was hit quickly. If the node is below its high mark again afterwards, the
 * high mark was hit quickly: then the function returns false, and kswapd repeats its last request.
 */
static bool sleep_shortly(pg_data_t *node, unsigned int order, enum zone_type highest)
{
	bool *wanted = &kswapd_wanted[node->id];

	if (wait_event_timeout(&node->kswapd_wait, READ_ONCE(*wanted), SHORT_SLEEP_NS)) {
		count_vm_event(KSWAPD_LOW_WMARK_HIT_QUICKLY);
		return true;
	}
	if (pgdat_balanced(node, order, highest) || node->reclaim_failures >= KSWAPD_MAX_FAILURES)
		return true;
	count_vm_event(KSWAPD_HIGH_WMARK_HIT_QUICKLY);
	return false;
}

static int kswapd(void *arg)
{
	pg_data_t *node = arg;
	bool *wanted = &kswapd_wanted[node->id];
	bool has_run = false;
	enum zone_type highest = 0;
	unsigned int order = 0;

	atomic_or(&current_thread_info()->flags, TIF_MEMALLOC);
	for (;;) {
		trace_point(KSWAPD_SLEEP, 0);
		if (has_run && !sleep_shortly(node, order, highest)) {
			node->kswapd_highest = max(node->kswapd_highest, highest);
			WRITE_ONCE(*wanted, true);
		}
		wait_event(&node->kswapd_wait, READ_ONCE(*wanted));
		trace_point(KSWAPD_WAKE, 0);
		has_run = true;
		WRITE_ONCE(*wanted, false);
		order = node->kswapd_order;
		highest = node->kswapd_highest;
		node->kswapd_order = 0;
		node->kswapd_highest = 0;
		reclaim_for_boost(node);
		while (!pgdat_balanced(node, order, highest) &&
		       node->reclaim_failures < KSWAPD_MAX_FAILURES) {
			psi_memstall_enter(); /* kswapd itself works because memory is short */
			balance_pgdat(node, order, highest);
			psi_memstall_leave();
			/* One try for large blocks: more reclaim would not join scattered free pages. */
			wakeup_kcompactd(node, order, highest);
			order = 0;
		}
	}
	return 0;
}

void wakeup_kswapd(struct zone *zone, gfp_t gfp, unsigned int order, enum zone_type highest)
{
	pg_data_t *node = zone->node;

	if (READ_ONCE(kswapd_wanted[node->id]) || node->reclaim_failures >= KSWAPD_MAX_FAILURES)
		return;
	if (!zone->watermark_boost && !swap_total_pages() && !READ_ONCE(numa_demotion_enabled) &&
	    zone_stat(zone, NR_SLAB_RECLAIMABLE) <= 0 && !node_lru_level(node, NR_INACTIVE_FILE) &&
	    !node_lru_level(node, NR_ACTIVE_FILE))
		return; /* nothing that a run could free */
	node->kswapd_order = max(node->kswapd_order, order);
	node->kswapd_highest = max(node->kswapd_highest, highest);
	WRITE_ONCE(kswapd_wanted[node->id], true);
	wake_up(&node->kswapd_wait);
}

int kswapd_init(void)
{
	char name[16];
	int err;

	for (int i = 0; i < MMVM_MAX_NODES; i++) {
		if (!node_data[i].present)
			continue;
		ksnprintf(name, sizeof(name), "kswapd%d", i);
		err = kthread_run(kswapd, &node_data[i], name);
		if (err)
			return err;
	}
	return 0;
}
