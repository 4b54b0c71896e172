/*
 * virtio-pmem (virtio 1.2, section 5.19): a range of memory that is a file of the host.
 *
 * The range becomes memory of ZONE_DEVICE (mm/phys/device.h) and a disk, pmem0. Reads and writes of the disk copy
 * memory and are done when submit returns. Written data, also that of stores to a mapping, is on the host's disk
 * after a flush, which is the only kind of request that the device has:
 *
 *   flush bios ──> pending ──kick──> in_flight ──interrupt──> all end with the answer
 *
 * P1  The device has one request at a time, which serves all bios of in_flight. A bio that arrives meanwhile waits for
 *     the next request, because the device may have begun to flush before that bio's data was written.
 * P2  A bio that was submitted is ended exactly once, also when the device breaks; after that every flush fails.
 * P3 device_flush_issued and device_flush_done, are what the host's audit compares with the device's own count: the
 *     first is raised before a request is sent, the second after its answer.
 *
 * Lock: p->lock, with interrupts off; the interrupt handler takes it. end_io is called without it, with
 * interrupts off, as by every driver here.
 */
#include "drivers/driver.h"
#include "drivers/virtio.h"
#include "kernel/irq.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/block/bio.h"
#include "mm/phys/highmem.h"
#include "mm/phys/device.h"
#include "mm/phys/zone.h"
#include "mm/slab/slab.h"

#define VIRTIO_ID_PMEM 27
#define CFG_START      0
#define CFG_SIZE       8
#define REQ_FLUSH      0
#define RESP_NONE      0xffffffffu /* the driver's own value: the device has not answered */

/** What the device sees. */
struct pmem_wire {
	struct vring_desc table[2];
	u32 type, ret;
};

struct virtio_pmem {
	struct virtio_device vdev;
	struct virtqueue vq; /* lock */
	struct block_device bdev;
	spinlock_t lock;
	struct list_head pending, in_flight; /* lock: bios that wait for a flush */
	bool dead;			     /* lock: the device broke the rules and was reset */
	char *memory;			     /* C: the range in the direct map */
	struct pmem_wire *wire;
	dma_addr_t wire_dma;
};

static void end_bios(struct list_head *bios, int status)
{
	while (!list_empty(bios)) {
		struct bio *bio = list_first_entry(bios, struct bio, node);

		list_del(&bio->node);
		bio->status = status;
		bio->end_io(bio);
	}
}

/* Send one request for all waiting bios. True: the doorbell must be rung. Lock held. */
static bool start_flush(struct virtio_pmem *p)
{
	if (list_empty(&p->pending) || !list_empty(&p->in_flight))
		return false;
	list_splice_init(&p->pending, &p->in_flight);
	p->wire->type = REQ_FLUSH;
	p->wire->ret = RESP_NONE;
	BUG_ON(virtqueue_add(&p->vq, p->wire->table, p->wire_dma, 2, p)); /* one at a time */
	atomic_add(&device_flush_issued, 1);
	return virtqueue_kick(&p->vq);
}

/* Lock held. */
static void die(struct virtio_pmem *p, struct list_head *ended)
{
	printk("%s: the device does not keep to the rules, flushes fail\n", p->bdev.name);
	p->dead = true;
	virtio_device_reset(&p->vdev);
	list_splice_init(&p->in_flight, ended);
	list_splice_init(&p->pending, ended);
}

static void interrupt(void *arg)
{
	struct virtio_pmem *p = arg;
	u32 why = virtio_interrupt_ack(&p->vdev), len;
	bool notify = false;
	int status = -EIO;
	unsigned long flags;
	LIST_HEAD(ended);

	flags = spin_lock_irqsave(&p->lock);
	if (!p->dead) {
		do {
			if (!virtqueue_get(&p->vq, &len))
				continue;
			status = READ_ONCE(p->wire->ret) ? -EIO : 0;
			list_splice_init(&p->in_flight, &ended);
			atomic_add(&device_flush_done, 1);
			count_vm_event(status ? MMVM_PMEM_FLUSH_FAIL : MMVM_PMEM_FLUSH);
		} while (!p->vq.broken && !virtqueue_enable_cb(&p->vq));
		if (p->vq.broken ||
		    ((why & VIRTIO_INT_CONFIG) && (virtio_status(&p->vdev) & VIRTIO_S_NEEDS_RESET)))
			die(p, &ended);
		else
			notify = start_flush(p);
	}
	spin_unlock_irqrestore(&p->lock, flags);
	if (notify)
		virtqueue_notify(&p->vq);
	end_bios(&ended, status);
}

static void flush(struct virtio_pmem *p, struct bio *bio)
{
	unsigned long flags;
	bool notify = false, dead;

	flags = spin_lock_irqsave(&p->lock);
	dead = p->dead;
	if (!dead) {
		list_add_tail(&bio->node, &p->pending);
		notify = start_flush(p);
	}
	spin_unlock_irqrestore(&p->lock, flags);
	if (notify)
		virtqueue_notify(&p->vq);
	if (dead) {
		flags = arch_irq_save();
		bio->status = -EIO;
		bio->end_io(bio);
		arch_irq_restore(flags);
	}
}

static void copy_bio(struct virtio_pmem *p, struct bio *bio)
{
	char *at = p->memory + bio->sector * 512;
	size_t n = bio->len ? bio->len : PAGE_SIZE;

	for (u32 i = 0; i < bio->nr_pages; i++, at += n) {
		if (bio->op == BIO_READ)
			memcpy_to_page(bio->pages[i], bio->offset, at, n);
		else
			memcpy_from_page(at, bio->pages[i], bio->offset, n);
	}
	/* In KiB: the part of pgpgin and pgpgout that reached no disk of the host. */
	preempt_disable();
	count_vm_events(bio->op == BIO_READ ? MMVM_PMEM_IN : MMVM_PMEM_OUT,
			DIV_ROUND_UP(bio->nr_pages * n, 1024));
	preempt_enable();
}

static void pmem_submit(struct block_device *bdev, struct bio *bio)
{
	struct virtio_pmem *p = bdev->private_;
	unsigned long flags;

	if (bio->op == BIO_FLUSH) {
		flush(p, bio);
		return;
	}
	/* bio_check() has looked at the range; the device has neither DISCARD nor WRITE_ZEROES. */
	copy_bio(p, bio);
	flags = arch_irq_save();
	bio->status = 0;
	bio->end_io(bio);
	arch_irq_restore(flags);
}

/* Add the device's range as memory, and register it as a disk. */
static int set_up_disk(struct virtio_pmem *p, const struct boot_device *bd)
{
	static u32 number;
	u64 start = virtio_config_read64(&p->vdev, CFG_START);
	u64 size = virtio_config_read64(&p->vdev, CFG_SIZE);
	struct block_device *bdev = &p->bdev;
	int err = device_memory_add(start, size);

	if (err)
		return err;
	p->memory = __va(start);
	ksnprintf(bdev->name, sizeof(bdev->name), "pmem%u", number++);
	strscpy(bdev->role, bd->role, sizeof(bdev->role));
	bdev->nr_sectors = size / 512;
	bdev->read_only = bd->read_only;
	bdev->dax = pfn_to_page(start >> PAGE_SHIFT);
	bdev->submit = pmem_submit;
	bdev->private_ = p;
	return 0;
}

static void set_up_wire(struct virtio_pmem *p)
{
	struct pmem_wire *w = p->wire;

	w->table[0] = (struct vring_desc){p->wire_dma + offsetof(struct pmem_wire, type),
					  sizeof(w->type), VRING_DESC_F_NEXT, 1};
	w->table[1] = (struct vring_desc){p->wire_dma + offsetof(struct pmem_wire, ret),
					  sizeof(w->ret), VRING_DESC_F_WRITE, 0};
}

static int virtio_pmem_probe(const struct boot_device *bd)
{
	struct virtio_pmem *p;
	int err;

	if (strncmp(bd->role, "pmem", 4))
		return -ENODEV;
	p = kzalloc(sizeof(*p), GFP_KERNEL);
	if (!p)
		return -ENOMEM;
	spin_lock_init(&p->lock);
	INIT_LIST_HEAD(&p->pending);
	INIT_LIST_HEAD(&p->in_flight);
	err = virtio_mmio_probe(&p->vdev, bd, 0);
	if (err)
		goto free;
	err = -ENODEV;
	if (p->vdev.device_id != VIRTIO_ID_PMEM)
		goto reset;
	err = -ENOMEM;
	p->wire = dma_alloc_coherent(&p->vdev.dev, sizeof(*p->wire), &p->wire_dma, GFP_KERNEL);
	if (!p->wire)
		goto reset;
	set_up_wire(p);
	err = virtqueue_create(&p->vq, &p->vdev, 0, 4);
	if (err)
		goto wire;
	err = set_up_disk(p, bd);
	if (err)
		goto queue;
	err = request_irq(bd->gsi, interrupt, p, "virtio-pmem");
	if (err)
		goto queue; /* the memory that was added cannot be removed again; nobody uses it */
	virtqueue_enable_cb(&p->vq);
	virtio_device_ready(&p->vdev);
	register_block_device(&p->bdev);
	printk("%s: %lu KiB at %#lx%s\n", p->bdev.name, (unsigned long)p->bdev.nr_sectors / 2,
	       (unsigned long)page_to_phys(p->bdev.dax), p->bdev.read_only ? ", read-only" : "");
	return 0;
queue:
	virtio_device_reset(&p->vdev);
	virtqueue_destroy(&p->vq);
wire:
	dma_free_coherent(&p->vdev.dev, sizeof(*p->wire), p->wire, p->wire_dma);
reset:
	virtio_device_reset(&p->vdev);
free:
	kfree(p);
	return err;
}

DRIVER(virtio_pmem, "virtio,mmio", virtio_pmem_probe);
