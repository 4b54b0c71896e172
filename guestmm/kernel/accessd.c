/*
 * Samples of accessed pages for the VMM: every access_ms milliseconds the accessed bits of all address spaces are
 * copied into the bitmap of the shared window (mmvm/access.h), and a record asks the VMM to read it. On a machine
 * with nodes there is a record for each node whose CPUs accessed them.
 *
 *   sleep -> walk all page tables (mm/report/access.c) -> MMVM_REC_ACCESS -> the VMM has taken the bits
 *
 * The VMM asks for samples by mmvm_shared.access_ms before the guest starts. Without that there is no
 * thread, and no cost. Each record has the time of the walk, which is what the sample cost the guest.
 *
 * Lock: `sampling`, a mutex taken before mmap_lock, so that one sample at a time fills the bitmap.
 */
#include "kernel/accessd.h"
#include "arch/static_key.h"
#include "kernel/testchan.h"
#include "kernel/task.h"
#include "lib/format.h"
#include "mm/report/access.h"
#include "mm/phys/zone.h"
#include "mmvm/access.h"

static struct mutex sampling = MUTEX_INIT(sampling);
/* `sampling`: pages that accessd_sample_current() found, and whose bits the next record will report */
static u64 unrecorded;

static inline u64 *bitmap(void)
{
	return (u64 *)((char *)mmvm_shared + MMVM_ACCESS_OFFSET);
}

/* Node by node, sample the address spaces that only CPUs of this node have loaded. */
static void sample_nodes(void)
{
	if (unrecorded)
		testchan_record(MMVM_REC_ACCESS, MMVM_ACCESS_SEVERAL, unrecorded, 0, NULL);
	unrecorded = 0;
	for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++) {
		u64 begin = get_cycles(), found;
		char name[8];
		bool exact;

		if (!node_is_toptier((int)nid))
			continue;
		found = access_sample_node(nid, bitmap(), MMVM_ACCESS_FRAMES, &exact);
		if (!found)
			continue;
		ksnprintf(name, sizeof(name), "%u", nid);
		testchan_record(MMVM_REC_ACCESS, exact ? name : MMVM_ACCESS_SEVERAL, found,
				get_cycles() - begin, NULL);
	}
}

static int accessd(void *arg)
{
	u64 period = (u64)(unsigned long)arg * 1000000, next = ktime_ns() + period;

	for (;;) {
		u64 now = ktime_ns(), begin, found;

		if (now < next) {
			sleep_ns(next - now);
			continue;
		}
		/* If a walk takes longer than the period, sample less often instead of falling behind. */
		next = now - next < period ? next + period : now + period;
		mutex_lock(&sampling);
		if (static_key(KEY_NUMA))
			sample_nodes();
		begin = get_cycles();
		found = access_sample_all(bitmap(), MMVM_ACCESS_FRAMES);
		testchan_record(MMVM_REC_ACCESS, "", found, get_cycles() - begin, NULL);
		mutex_unlock(&sampling);
	}
	return 0;
}

int accessd_init(void)
{
	u64 ms = READ_ONCE(mmvm_shared->access_ms);

	return ms ? kthread_run(accessd, (void *)min(ms, 3600000ul), "accessd") : 0;
}

long accessd_sample_current(void)
{
	long found;

	mutex_lock(&sampling);
	found = mm_access_sample(current->mm, bitmap(), MMVM_ACCESS_FRAMES);
	unrecorded += found;
	mutex_unlock(&sampling);
	return found;
}
