/*
 * Discard: telling the disk which blocks nobody will read any more (SWAP_FLAG_DISCARD).
 *
 *   swapon  the whole area but its header (once)
 *   later   a cluster whose last slot was freed (pages): its bit is set, and the thread "swapdiscard"
 *           takes it away from the allocator, discards it, and gives it back
 *
 * If the disk refuses a discard or does not support it, nothing else is affected.
 *
 * I1  While a cluster is being discarded, cluster_free[] says that it has no free slot, so none of its
 *     slots is allocated. None is freed either, because none was in use.
 * I2  swapon and swapoff wait for a discard that is under way (swapon_mutex).
 *
 * Locks: swapon_mutex > si->lock.
 */
#include "lib/errno.h"
#include "mm/swap/swapcache.h"

static struct wait_queue work = WAIT_QUEUE_INIT(work);
static bool wanted; /* A: some bit is set */
static bool started;

void swap_discard_cluster(struct swap_info *si, u32 c)
{
	si->to_discard[c / 64] |= 1ull << c % 64;
	if (READ_ONCE(wanted))
		return;
	WRITE_ONCE(wanted, true);
	wake_up(&work);
}

/** Slots [slot, slot + nr) as one discard for each piece of the disk. */
static int discard_slots(const struct swap_info *si, struct block_device *bdev, u64 slot, u64 nr)
{
	int err = 0;

	for (u64 n; nr && !err; slot += n, nr -= n) {
		struct bio bio = {.bdev = bdev, .op = BIO_DISCARD};

		n = swap_run_length(si, slot, nr);
		if (!n) {
			n = 1; /* lies nowhere */
			continue;
		}
		bio.sector = swap_sector(si, slot);
		bio.nr_sectors = n * SECTORS_PER_SLOT;
		err = submit_bio_wait(&bio);
		if (!err)
			count_vm_events(MMVM_SWAP_DISCARD, n);
	}
	return err;
}

void swap_discard_area(const struct swap_info *si, struct block_device *bdev)
{
	int err = discard_slots(si, bdev, 1, si->nr_slots - 1);

	if (err)
		printk("swapon: discard_swap(%s): %d\n", si->name, err);
}

/** Take a free cluster that was used; it belongs to the caller then. -1: there is none. */
static s64 take_cluster(struct swap_info *si)
{
	s64 found = -1;

	spin_lock(&si->lock);
	for (u32 i = 0; i < DIV_ROUND_UP(si->nr_clusters, 64) && found < 0; i++) {
		while (si->to_discard[i] && found < 0) {
			u32 c = i * 64 + (u32)__builtin_ctzll(si->to_discard[i]);

			si->to_discard[i] &= si->to_discard[i] - 1;
			/* It may be in use again. */
			if (si->cluster_free[c] == SWAP_CLUSTER)
				found = c;
		}
	}
	if (found >= 0)
		si->cluster_free[found] = 0; /* I1 */
	spin_unlock(&si->lock);
	return found;
}

static void discard_free_clusters(struct swap_info *si)
{
	s64 c;

	while (si->bdev && si->to_discard && (c = take_cluster(si)) >= 0) {
		discard_slots(si, si->bdev, (u64)c * SWAP_CLUSTER, SWAP_CLUSTER);
		spin_lock(&si->lock);
		si->cluster_free[c] = SWAP_CLUSTER;
		spin_unlock(&si->lock);
	}
}

void swap_discard_work(void)
{
	WRITE_ONCE(wanted, false);
	mutex_lock(&swapon_mutex);
	for (unsigned int i = 0; i < MAX_SWAP_AREAS; i++)
		discard_free_clusters(&swap_areas[i]);
	mutex_unlock(&swapon_mutex);
}

static int swapdiscard(void *arg)
{
	atomic_or(&current_thread_info()->flags, TIF_MEMALLOC);
	for (;;) {
		wait_event(&work, READ_ONCE(wanted));
		swap_discard_work();
	}
	return 0;
}

int swap_discard_start(void)
{
	int err;

	if (started)
		return 0;
	err = kthread_run(swapdiscard, NULL, "swapdiscard");
	started = !err;
	return err;
}
