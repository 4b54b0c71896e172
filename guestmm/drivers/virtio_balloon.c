/*
 * virtio-balloon (virtio 1.2, section 5.5): the host says how many pages it wants, and the guest gives them up.
 *
 *   configuration interrupt ──> thread: inflate or deflate, a batch at a time, until `actual` is the target
 *   interrupt of statistics ──> thread: fill the buffer with new statistics, send it
 *   every two seconds        ──> free blocks are reported (mm/move/reporting.c)
 *   memory is short          ──> balloon_oom() (mm/move/balloon.c), called by the task that allocates
 *
 * When a page could be had only by killing a process, inflating pauses for RETRY_NS. Pages that were taken back for
 * lack of memory stay with the guest until the target changes.
 *
 * Locks: tell() is called with the balloon's lock held; so that lock guards `inflate`, `deflate`, `wire->pfn` and
 * `actual`. The other fields belong to the thread. The interrupt handler only wakes the thread.
 */
#include "drivers/driver.h"
#include "drivers/virtio.h"
#include "kernel/irq.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/init.h"
#include "mm/phys/alloc.h"
#include "mm/move/balloon.h"
#include "mm/move/reporting.h"
#include "mm/phys/zone.h"
#include "mm/slab/slab.h"

#define VIRTIO_ID_BALLOON		5
#define VIRTIO_BALLOON_F_STATS_VQ	1
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM 2
#define VIRTIO_BALLOON_F_REPORTING	5

/* Configuration (5.5.4) */
#define BALLOON_CFG_NUM_PAGES 0
#define BALLOON_CFG_ACTUAL    4

/* Tags of statistics (5.5.6.4) */
enum {
	STAT_SWAP_IN,
	STAT_SWAP_OUT,
	STAT_MAJFLT,
	STAT_MINFLT,
	STAT_MEMFREE,
	STAT_MEMTOT,
	STAT_AVAIL,
	STAT_CACHES,
	NR_STATS
};

#define RETRY_NS 200000000ull /* as Linux */

/** What the device sees. */
struct balloon_wire {
	u32 pfn[BALLOON_BATCH];
	struct {
		u16 tag;
		u64 value;
	} __attribute__((packed)) stat[NR_STATS];
	struct vring_desc range[REPORTING_CAPACITY] __attribute__((aligned(16)));
};

struct virtio_balloon {
	struct virtio_device vdev;
	struct virtqueue inflate, deflate, stats, reporting;
	struct balloon_wire *wire;
	dma_addr_t wire_dma;
	struct wait_queue wait;
	bool has_stats, has_reporting;
	u32 config_changes; /* A: configuration interrupts that the thread has not handled yet */
	bool dead;	    /* the device broke the rules and was reset */
};

static struct virtio_balloon *balloon;

/* ---- requests --------------------------------------------------------------------------------- */

static void send(struct virtqueue *vq, dma_addr_t at, u32 bytes)
{
	const struct vring_desc d = {.addr = at, .len = bytes};

	BUG_ON(virtqueue_add(vq, &d, 0, 1, balloon)); /* one at a time: there is room */
	if (virtqueue_kick(vq))
		virtqueue_notify(vq);
}

/* Has the device reported an error? It does nothing more then. Called when its configuration may have changed. */
static bool is_dead(void)
{
	if (READ_ONCE(balloon->config_changes) &&
	    (virtio_status(&balloon->vdev) & VIRTIO_S_NEEDS_RESET))
		WRITE_ONCE(balloon->dead, true);
	return READ_ONCE(balloon->dead);
}

static bool completed(struct virtqueue *vq)
{
	return virtqueue_pending(vq) || is_dead();
}

static int tell(enum balloon_way way, const u32 *pfn, u32 n)
{
	struct virtqueue *vq = way == BALLOON_INFLATED ? &balloon->inflate : &balloon->deflate;
	u32 len;

	if (READ_ONCE(balloon->dead))
		return -EIO;
	memcpy(balloon->wire->pfn, pfn, n * sizeof(*pfn));
	send(vq, balloon->wire_dma + offsetof(struct balloon_wire, pfn), n * sizeof(*pfn));
	wait_event(&balloon->wait, completed(vq));
	if (!virtqueue_get(vq, &len)) {
		WRITE_ONCE(balloon->dead, true);
		virtio_device_reset(&balloon->vdev);
		printk("balloon: the device needs a reset, it is not used any more\n");
		return -EIO;
	}
	virtqueue_enable_cb(vq);
	return 0;
}

/* Report free blocks, as buffers that the device may write to. Only the thread of mm/move/reporting.c calls it. */
static int report(const struct reported_range *range, u32 n)
{
	struct vring_desc *d = balloon->wire->range;
	struct virtqueue *vq = &balloon->reporting;
	u32 len;

	if (READ_ONCE(balloon->dead))
		return -EIO;
	for (u32 i = 0; i < n; i++)
		d[i] = (struct vring_desc){.addr = range[i].start,
					   .len = range[i].bytes,
					   .flags = VRING_DESC_F_WRITE |
						    (i + 1 < n ? VRING_DESC_F_NEXT : 0),
					   .next = i + 1};
	BUG_ON(virtqueue_add(vq, d, balloon->wire_dma + offsetof(struct balloon_wire, range), n,
			     balloon));
	if (virtqueue_kick(vq))
		virtqueue_notify(vq);
	wait_event(&balloon->wait, completed(vq));
	if (!virtqueue_get(vq, &len))
		return -EIO;
	virtqueue_enable_cb(vq);
	return 0;
}

/* ---- statistics ------------------------------------------------------------------------------- */

static void set_stat(u32 tag, u64 value)
{
	balloon->wire->stat[tag].tag = tag;
	balloon->wire->stat[tag].value = value;
}

static void send_stats(void)
{
	const u64 faults = sum_vm_event(PGFAULT), major = sum_vm_event(PGMAJFAULT);
	const u64 cached = global_stat(NR_FILE_PAGES);

	set_stat(STAT_SWAP_IN, sum_vm_event(PSWPIN) << PAGE_SHIFT);
	set_stat(STAT_SWAP_OUT, sum_vm_event(PSWPOUT) << PAGE_SHIFT);
	set_stat(STAT_MAJFLT, major);
	set_stat(STAT_MINFLT, faults - major);
	set_stat(STAT_MEMFREE, (u64)global_stat(NR_FREE_PAGES) << PAGE_SHIFT);
	set_stat(STAT_MEMTOT, totalram_pages() << PAGE_SHIFT);
	set_stat(STAT_AVAIL, mem_available() << PAGE_SHIFT);
	set_stat(STAT_CACHES, cached << PAGE_SHIFT);
	send(&balloon->stats, balloon->wire_dma + offsetof(struct balloon_wire, stat),
	     sizeof(balloon->wire->stat));
}

/* The host has returned the buffer: it wants new statistics. */
static void answer_stats(void)
{
	u32 len;

	if (!virtqueue_get(&balloon->stats, &len))
		return;
	virtqueue_enable_cb(&balloon->stats);
	send_stats();
}

/* ---- the thread ------------------------------------------------------------------------------- */

static void interrupt(void *arg)
{
	if (virtio_interrupt_ack(&balloon->vdev) & VIRTIO_INT_CONFIG)
		atomic_add(&balloon->config_changes, 1);
	wake_up(&balloon->wait);
}

static bool stats_wanted(void)
{
	return balloon->has_stats && !balloon->stats.broken && virtqueue_pending(&balloon->stats);
}

/* Is there work? Reads no register: the thread reads the target when it may have changed. */
static bool called(void)
{
	return READ_ONCE(balloon->config_changes) || stats_wanted();
}

/* Inflate or deflate one batch towards the target. Returns the pages moved; *left: how many remain. */
static u32 approach(u64 target, u64 *left)
{
	const u64 have = balloon_pages();
	u32 n;

	if (have == target) {
		*left = 0;
		return 0;
	}
	n = have < target ? balloon_inflate(target - have) : balloon_deflate(have - target);
	*left = (have < target ? target - have : have - target) - n;
	virtio_config_write32(&balloon->vdev, BALLOON_CFG_ACTUAL, balloon_pages());
	return n;
}

static int balloon_thread(void *arg)
{
	u64 left = 1, target = 0;

	for (;;) {
		u32 moved = 0;

		if (is_dead())
			return 0;
		if (stats_wanted())
			answer_stats();
		if (atomic_xchg(&balloon->config_changes, 0)) {
			target = virtio_config_read32(&balloon->vdev, BALLOON_CFG_NUM_PAGES);
			left = 1;
		}
		if (left)
			moved = approach(target, &left);
		if (left && moved)
			cond_resched();
		else if (left) /* no memory, or pages that are being moved: try again later */
			wait_event_timeout(&balloon->wait, called(), RETRY_NS);
		else
			wait_event(&balloon->wait, called());
	}
}

/* ---- set-up ----------------------------------------------------------------------------------- */

static struct balloon_host host = {.tell = tell};

static int create_queues(struct virtio_balloon *b)
{
	int err = virtqueue_create(&b->inflate, &b->vdev, 0, 16);

	if (err)
		return err;
	err = virtqueue_create(&b->deflate, &b->vdev, 1, 16);
	if (err)
		goto inflate;
	b->has_stats = virtio_has_feature(&b->vdev, VIRTIO_BALLOON_F_STATS_VQ);
	err = b->has_stats ? virtqueue_create(&b->stats, &b->vdev, 2, 16) : 0;
	if (err)
		goto deflate;
	/* Queues are numbered without gaps: a missing queue has no number, as in Linux and QEMU. */
	b->has_reporting = virtio_has_feature(&b->vdev, VIRTIO_BALLOON_F_REPORTING);
	if (b->has_reporting)
		err = virtqueue_create(&b->reporting, &b->vdev, b->has_stats ? 3 : 2, 16);
	if (!err)
		return 0;
	virtio_device_reset(&b->vdev);
	if (b->has_stats)
		virtqueue_destroy(&b->stats);
deflate:
	virtio_device_reset(&b->vdev);
	virtqueue_destroy(&b->deflate);
inflate:
	virtio_device_reset(&b->vdev);
	virtqueue_destroy(&b->inflate);
	return err;
}

static void destroy_queues(struct virtio_balloon *b)
{
	virtio_device_reset(&b->vdev);
	virtqueue_destroy(&b->inflate);
	virtqueue_destroy(&b->deflate);
	if (b->has_stats)
		virtqueue_destroy(&b->stats);
	if (b->has_reporting)
		virtqueue_destroy(&b->reporting);
}

static int virtio_balloon_probe(const struct boot_device *bd)
{
	struct virtio_balloon *b;
	int err;

	if (strcmp(bd->role, "balloon"))
		return -ENODEV;
	b = kzalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return -ENOMEM;
	wait_queue_init(&b->wait);
	err = virtio_mmio_probe(&b->vdev, bd,
				1ull << VIRTIO_BALLOON_F_STATS_VQ |
					1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
					1ull << VIRTIO_BALLOON_F_REPORTING);
	if (err)
		goto free;
	err = -ENODEV;
	if (b->vdev.device_id != VIRTIO_ID_BALLOON || balloon)
		goto reset;
	err = -ENOMEM;
	b->wire = dma_alloc_coherent(&b->vdev.dev, sizeof(*b->wire), &b->wire_dma, GFP_KERNEL);
	if (!b->wire)
		goto reset;
	err = create_queues(b);
	if (err)
		goto wire;
	balloon = b;
	err = request_irq(bd->gsi, interrupt, b, "virtio-balloon");
	if (err)
		goto queues;
	virtqueue_enable_cb(&b->inflate);
	virtqueue_enable_cb(&b->deflate);
	host.deflate_on_oom = virtio_has_feature(&b->vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	balloon_register(&host);
	b->config_changes = 1;
	virtio_device_ready(&b->vdev);
	if (b->has_stats) {
		virtqueue_enable_cb(&b->stats);
		send_stats();
	}
	if (b->has_reporting)
		virtqueue_enable_cb(&b->reporting);
	if (kthread_run(balloon_thread, NULL, "vballoon") ||
	    (b->has_reporting && page_reporting_register(report)))
		printk("balloon: no memory for its threads\n");
	return 0;
queues:
	balloon = NULL;
	destroy_queues(b);
wire:
	dma_free_coherent(&b->vdev.dev, sizeof(*b->wire), b->wire, b->wire_dma);
reset:
	virtio_device_reset(&b->vdev);
free:
	kfree(b);
	return err;
}

DRIVER(virtio_balloon, "virtio,mmio", virtio_balloon_probe);
