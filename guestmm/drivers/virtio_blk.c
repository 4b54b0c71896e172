/*
 * virtio-blk: a disk (virtio 1.2, section 5.2).
 *
 * One bio is one request: header, up to 32 pages (or a part of one), status byte, as one descriptor
 * chain. Each slot has its header, status and descriptor table in coherent memory, which is
 * allocated once. So submitting a request allocates nothing: pages are swapped out when memory has run out.
 *
 *   bio -> free slot? -> chain on the queue -> kick -> interrupt -> slot -> bio->end_io
 *             | none
 *             v
 *          pending list: each completion starts the next one
 *
 * B1: a bio that was submitted is completed exactly once, also when the device breaks.
 * B2: a bio is in a slot, or on `pending`, never both; `pending` is empty while slots are free.
 * B3: after the device has broken it is reset before its requests are failed: it touches no page
 *     that its owner may have freed.
 *
 * A task waits for a read, and the host mostly has the data in memory. So after submitting a read, the driver polls the
 * used ring for a short time before it relies on the interrupt: that is cheaper than an interrupt, two register
 * accesses (which are exits) and two context switches. Writes are not urgent and always complete by interrupt.
 *
 * Discards and write-zeroes that are longer than one request may be are sent piece by piece, in the same slot.
 *
 * Lock: vblk->lock, with interrupts off; the interrupt handler takes it. end_io is called without
 * it and with interrupts off, both from the handler and from a poll.
 */
#include "kernel/irq.h"
#include "kernel/boot_info.h"
#include "drivers/driver.h"
#include "drivers/virtio.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/block/bio.h"
#include "mm/slab/slab.h"

/* Feature bits (5.2.3) */
#define VIRTIO_BLK_F_SEG_MAX	  2
#define VIRTIO_BLK_F_RO		  5
#define VIRTIO_BLK_F_FLUSH	  9
#define VIRTIO_BLK_F_DISCARD	  13
#define VIRTIO_BLK_F_WRITE_ZEROES 14

/* Configuration (5.2.4) */
#define BLK_CFG_CAPACITY		 0
#define BLK_CFG_SEG_MAX			 12
#define BLK_CFG_MAX_DISCARD_SECTORS	 36
#define BLK_CFG_MAX_WRITE_ZEROES_SECTORS 48

/* Requests (5.2.6) */
#define VIRTIO_BLK_T_IN		  0
#define VIRTIO_BLK_T_OUT	  1
#define VIRTIO_BLK_T_FLUSH	  4
#define VIRTIO_BLK_T_DISCARD	  11
#define VIRTIO_BLK_T_WRITE_ZEROES 13
#define VIRTIO_BLK_S_OK		  0
#define VIRTIO_BLK_S_IOERR	  1
#define VIRTIO_BLK_S_UNSUPP	  2
#define VIRTIO_BLK_S_NONE	  0xff /* the driver's value: the device has not written a status */

#define NR_SLOTS   64
#define POLL_HZ	   10000 /* poll for 1/10,000 of a second */
#define TABLE_SIZE (BIO_MAX_PAGES + 2)

/** What the device sees of a slot. */
struct blk_wire {
	struct vring_desc table[TABLE_SIZE];
	struct {
		u32 type, reserved;
		u64 sector;
	} header;
	struct {
		u64 sector;
		u32 num_sectors, flags;
	} range; /* discard, write zeroes */
	u8 status;
} __attribute__((aligned(16)));

struct blk_slot {
	struct blk_slot *next_free;
	struct blk_wire *wire;
	dma_addr_t wire_dma;
	struct bio *bio;  /* lock: NULL = free */
	u64 sectors_done; /* of a discard or write-zeroes */
};

struct virtio_blk {
	struct virtio_device vdev;
	struct block_device bdev;
	struct virtqueue vq; /* lock */
	spinlock_t lock;
	struct blk_slot slot[NR_SLOTS]; /* lock */
	struct blk_slot *free;		/* lock */
	struct list_head pending;	/* lock: bios that wait for a slot */
	bool dead;			/* lock: broken and reset, every request fails */
	bool has_flush;
	u32 max_discard, max_write_zeroes; /* sectors in one request */
	u64 poll_cycles;		   /* C: how long a read is polled for */
	struct virtio_blk_counts counts;   /* lock */
	struct blk_wire *wires;
	dma_addr_t wires_dma;
	size_t wires_bytes;
};

static void set_desc(struct blk_wire *w, u16 i, dma_addr_t addr, u32 len, u16 flags)
{
	w->table[i] = (struct vring_desc){addr, len, flags | VRING_DESC_F_NEXT, i + 1};
}

#define WIRE_DMA(slot, field) ((slot)->wire_dma + offsetof(struct blk_wire, field))

/** How many bytes of each of its pages the bio moves. */
static u32 bytes_of_page(const struct bio *bio)
{
	return bio->len ? bio->len : PAGE_SIZE;
}

/** Map the bio's pages into the table from entry 1 on. Returns the number mapped or -EIO. */
static int map_pages(struct virtio_blk *vblk, struct blk_slot *slot)
{
	struct bio *bio = slot->bio;
	bool in = bio->op == BIO_READ;
	enum dma_data_direction dir = in ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
	u32 bytes = bytes_of_page(bio);

	for (u32 i = 0; i < bio->nr_pages; i++) {
		dma_addr_t a =
			dma_map_page(&vblk->vdev.dev, bio->pages[i], bio->offset, bytes, dir);

		if (unlikely(a == DMA_MAPPING_ERROR)) {
			while (i--)
				dma_unmap_page(&vblk->vdev.dev, slot->wire->table[1 + i].addr,
					       bytes, dir);
			return -EIO;
		}
		set_desc(slot->wire, 1 + i, a, bytes, in ? VRING_DESC_F_WRITE : 0);
	}
	return bio->nr_pages;
}

static void unmap_pages(struct virtio_blk *vblk, struct blk_slot *slot)
{
	struct bio *bio = slot->bio;

	for (u32 i = 0; i < bio->nr_pages; i++)
		dma_unmap_page(&vblk->vdev.dev, slot->wire->table[1 + i].addr, bytes_of_page(bio),
			       bio->op == BIO_READ ? DMA_FROM_DEVICE : DMA_TO_DEVICE);
}

/** Set the range of the next piece of a discard or write-zeroes. */
static void set_range(struct virtio_blk *vblk, struct blk_slot *slot)
{
	struct bio *bio = slot->bio;
	u32 most = bio->op == BIO_DISCARD ? vblk->max_discard : vblk->max_write_zeroes;

	slot->wire->range.sector = bio->sector + slot->sectors_done;
	slot->wire->range.num_sectors = min(bio->nr_sectors - slot->sectors_done, (u64)most);
	slot->wire->range.flags = 0;
	set_desc(slot->wire, 1, WIRE_DMA(slot, range), sizeof(slot->wire->range), 0);
}

/** Put the slot's request on the queue. Returns 0, or -EIO for a bio that cannot be mapped. Lock
 * held. */
static int issue(struct virtio_blk *vblk, struct blk_slot *slot)
{
	struct blk_wire *w = slot->wire;
	struct bio *bio = slot->bio;
	int n = 0;

	w->header.sector = 0;
	switch (bio->op) {
	case BIO_READ:
	case BIO_WRITE:
		w->header.type = bio->op == BIO_READ ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
		w->header.sector = bio->sector;
		n = map_pages(vblk, slot);
		if (n < 0)
			return n;
		break;
	case BIO_FLUSH:
		w->header.type = VIRTIO_BLK_T_FLUSH;
		break;
	case BIO_DISCARD:
	case BIO_WRITE_ZEROES:
		w->header.type =
			bio->op == BIO_DISCARD ? VIRTIO_BLK_T_DISCARD : VIRTIO_BLK_T_WRITE_ZEROES;
		set_range(vblk, slot);
		n = 1;
		break;
	}
	w->status = VIRTIO_BLK_S_NONE;
	set_desc(w, 0, WIRE_DMA(slot, header), sizeof(w->header), 0);
	w->table[n + 1] = (struct vring_desc){WIRE_DMA(slot, status), 1, VRING_DESC_F_WRITE, 0};
	/* It cannot be full: all slots together fit the queue (setup_slots()). */
	BUG_ON(virtqueue_add(&vblk->vq, w->table, slot->wire_dma, n + 2, slot));
	return 0;
}

/** Assign a bio to a free slot. A bio that fails at once is put on `done`, and NULL is returned. Lock held. */
static struct blk_slot *start_bio(struct virtio_blk *vblk, struct bio *bio, struct list_head *done)
{
	struct blk_slot *slot = vblk->free;

	vblk->free = slot->next_free;
	slot->bio = bio;
	slot->sectors_done = 0;
	bio->status = issue(vblk, slot);
	if (unlikely(bio->status)) {
		slot->bio = NULL;
		slot->next_free = vblk->free;
		vblk->free = slot;
		list_add_tail(&bio->node, done);
		return NULL;
	}
	return slot;
}

static void complete_all(struct list_head *done)
{
	while (!list_empty(done)) {
		struct bio *bio = list_first_entry(done, struct bio, node);

		list_del(&bio->node);
		bio->end_io(bio);
	}
}

static int wire_status(const struct blk_slot *slot)
{
	switch (READ_ONCE(slot->wire->status)) {
	case VIRTIO_BLK_S_OK:
		return 0;
	case VIRTIO_BLK_S_UNSUPP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

/** A request was completed: submit its next piece, or put its bio on `done`. Lock held. */
static void finish_slot(struct virtio_blk *vblk, struct blk_slot *slot, int status,
			struct list_head *done)
{
	struct bio *bio = slot->bio;

	if (bio->op == BIO_READ || bio->op == BIO_WRITE) {
		unmap_pages(vblk, slot);
	} else if (bio->op != BIO_FLUSH && !status) {
		slot->sectors_done += slot->wire->range.num_sectors;
		if (slot->sectors_done < bio->nr_sectors) {
			issue(vblk, slot); /* maps nothing: cannot fail */
			return;
		}
	}
	bio->status = status;
	list_add_tail(&bio->node, done);
	slot->bio = NULL;
	slot->next_free = vblk->free;
	vblk->free = slot;
}

/** Stop the device, and fail the requests that it has and those that wait (B3). Lock held. */
static void vblk_die(struct virtio_blk *vblk, struct list_head *done)
{
	printk("%s: device needs a reset, all its requests fail\n", vblk->bdev.name);
	vblk->dead = true;
	virtio_device_reset(&vblk->vdev);
	for (int i = 0; i < NR_SLOTS; i++)
		if (vblk->slot[i].bio)
			finish_slot(vblk, &vblk->slot[i], -EIO, done);
	while (!list_empty(&vblk->pending)) {
		struct bio *bio = list_first_entry(&vblk->pending, struct bio, node);

		bio->status = -EIO;
		list_move_tail(&bio->node, done);
	}
}

/** Take what the device has completed, put waiting bios into the slots that became free, and enable the next
 * interrupt. True: the device must be notified. Lock held. */
static bool collect(struct virtio_blk *vblk, struct list_head *done)
{
	do {
		struct blk_slot *slot;
		u32 len;

		while ((slot = virtqueue_get(&vblk->vq, &len)))
			finish_slot(vblk, slot, wire_status(slot), done);
	} while (!vblk->vq.broken && !virtqueue_enable_cb(&vblk->vq));

	if (unlikely(vblk->vq.broken)) {
		vblk_die(vblk, done);
		return false;
	}
	while (vblk->free && !list_empty(&vblk->pending)) {
		struct bio *bio = list_first_entry(&vblk->pending, struct bio, node);

		list_del(&bio->node);
		start_bio(vblk, bio, done);
	}
	return virtqueue_kick(&vblk->vq);
}

static void vblk_interrupt(void *arg)
{
	struct virtio_blk *vblk = arg;
	u32 why = virtio_interrupt_ack(&vblk->vdev);
	bool notify = false;
	unsigned long flags;
	LIST_HEAD(done);

	flags = spin_lock_irqsave(&vblk->lock);
	vblk->counts.interrupts++;
	if (likely(!vblk->dead)) {
		notify = collect(vblk, &done);
		if (unlikely(why & VIRTIO_INT_CONFIG) && !vblk->dead &&
		    (virtio_status(&vblk->vdev) & VIRTIO_S_NEEDS_RESET)) {
			vblk_die(vblk, &done);
			notify = false;
		}
	}
	spin_unlock_irqrestore(&vblk->lock, flags);
	if (notify)
		virtqueue_notify(&vblk->vq);
	complete_all(&done);
}

/** Poll for the read in `slot` for a short time. Other requests that complete meanwhile are finished here, too. */
static void poll_read(struct virtio_blk *vblk, struct blk_slot *slot, const struct bio *bio)
{
	u64 until = get_cycles() + vblk->poll_cycles;
	bool notify, waiting = true;
	unsigned long flags;

	while (waiting) {
		LIST_HEAD(done);

		while (!virtqueue_pending(&vblk->vq) && get_cycles() < until)
			cpu_relax();
		flags = arch_irq_save();
		spin_lock(&vblk->lock);
		notify = !vblk->dead && collect(vblk, &done);
		/* The bio may have been freed. If its slot serves another one, it was completed. */
		if (slot->bio != bio) {
			waiting = false;
			vblk->counts.polled++;
		} else if (get_cycles() >= until) {
			waiting = false; /* collect() has asked for the interrupt */
		} else {
			virtqueue_disable_cb(&vblk->vq);
		}
		spin_unlock(&vblk->lock);
		if (notify)
			virtqueue_notify(&vblk->vq);
		complete_all(&done);
		arch_irq_restore(flags);
	}
}

static void vblk_submit(struct block_device *bdev, struct bio *bio)
{
	struct virtio_blk *vblk = bdev->private_;
	bool notify = false, read = bio->op == BIO_READ;
	struct blk_slot *slot = NULL;
	unsigned long flags;
	LIST_HEAD(done);

	/* While a task polls, interrupts of the device are switched off, so it must not be preempted. */
	preempt_disable();
	flags = spin_lock_irqsave(&vblk->lock);
	if (unlikely(vblk->dead)) {
		bio->status = -EIO;
		list_add_tail(&bio->node, &done);
	} else if (bio->op == BIO_FLUSH && !vblk->has_flush) {
		bio->status = 0; /* write-through: nothing to flush */
		list_add_tail(&bio->node, &done);
	} else if (!vblk->free) {
		vblk->counts.queue_full++;
		list_add_tail(&bio->node, &vblk->pending);
	} else {
		slot = start_bio(vblk, bio, &done);
		if (read && slot)
			virtqueue_disable_cb(&vblk->vq);
		notify = virtqueue_kick(&vblk->vq);
	}
	spin_unlock_irqrestore(&vblk->lock, flags);
	/* Writing the doorbell is an exit, so do it without the lock: other CPUs need not wait for it. */
	if (notify)
		virtqueue_notify(&vblk->vq);
	complete_all(&done);
	if (read && slot)
		poll_read(vblk, slot, bio);
	preempt_enable();
}

void virtio_blk_get_counts(const struct block_device *bdev, struct virtio_blk_counts *c)
{
	const struct virtio_blk *vblk = bdev->private_;

	*c = vblk->counts;
	c->kicks = vblk->vq.nr_kicks;
	c->kicks_avoided = vblk->vq.nr_kicks_avoided;
}

/** Create as many slots as the queue certainly has room for. */
static int setup_slots(struct virtio_blk *vblk)
{
	u16 per_chain = virtio_has_feature(&vblk->vdev, VIRTIO_F_INDIRECT_DESC) ? 1 : TABLE_SIZE;
	u16 nr = min(vblk->vq.size / per_chain, NR_SLOTS);

	if (!nr)
		return -ENODEV;
	vblk->wires_bytes = nr * sizeof(struct blk_wire);
	vblk->wires = dma_alloc_coherent(&vblk->vdev.dev, vblk->wires_bytes, &vblk->wires_dma,
					 GFP_KERNEL);
	if (!vblk->wires)
		return -ENOMEM;
	for (u16 i = 0; i < nr; i++) {
		struct blk_slot *slot = &vblk->slot[i];

		slot->wire = &vblk->wires[i];
		slot->wire_dma = vblk->wires_dma + i * sizeof(struct blk_wire);
		slot->next_free = vblk->free;
		vblk->free = slot;
	}
	return 0;
}

static void read_config(struct virtio_blk *vblk)
{
	struct virtio_device *vdev = &vblk->vdev;
	struct block_device *bdev = &vblk->bdev;

	bdev->nr_sectors = virtio_config_read64(vdev, BLK_CFG_CAPACITY);
	bdev->read_only = virtio_has_feature(vdev, VIRTIO_BLK_F_RO);
	vblk->has_flush = virtio_has_feature(vdev, VIRTIO_BLK_F_FLUSH);
	if (virtio_has_feature(vdev, VIRTIO_BLK_F_DISCARD))
		vblk->max_discard = virtio_config_read32(vdev, BLK_CFG_MAX_DISCARD_SECTORS);
	if (virtio_has_feature(vdev, VIRTIO_BLK_F_WRITE_ZEROES))
		vblk->max_write_zeroes =
			virtio_config_read32(vdev, BLK_CFG_MAX_WRITE_ZEROES_SECTORS);
	bdev->has_discard = vblk->max_discard != 0;
	bdev->has_write_zeroes = vblk->max_write_zeroes != 0;
}

static int virtio_blk_probe(const struct boot_device *bd)
{
	static char next_letter = 'a';
	struct virtio_blk *vblk = kzalloc(sizeof(*vblk), GFP_KERNEL);
	struct block_device *bdev;
	int err;

	if (!vblk)
		return -ENOMEM;
	spin_lock_init(&vblk->lock);
	INIT_LIST_HEAD(&vblk->pending);
	err = virtio_mmio_probe(&vblk->vdev, bd,
				1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_RO |
					1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_DISCARD |
					1ull << VIRTIO_BLK_F_WRITE_ZEROES);
	if (err)
		goto free;
	err = -ENODEV;
	if (vblk->vdev.device_id != VIRTIO_ID_BLOCK)
		goto reset;
	if (virtio_has_feature(&vblk->vdev, VIRTIO_BLK_F_SEG_MAX) &&
	    virtio_config_read32(&vblk->vdev, BLK_CFG_SEG_MAX) < BIO_MAX_PAGES)
		goto reset; /* its requests are shorter than our bios */
	err = virtqueue_create(&vblk->vq, &vblk->vdev, 0, NR_SLOTS);
	if (err)
		goto reset;
	err = setup_slots(vblk);
	if (err)
		goto destroy;
	err = request_irq(bd->gsi, vblk_interrupt, vblk, "virtio-blk");
	if (err)
		goto free_wires;

	read_config(vblk);
	bdev = &vblk->bdev;
	ksnprintf(bdev->name, sizeof(bdev->name), "vd%c", next_letter++);
	strscpy(bdev->role, bd->role, sizeof(bdev->role));
	bdev->submit = vblk_submit;
	bdev->private_ = vblk;
	bdev->dma_dev = &vblk->vdev.dev;
	vblk->poll_cycles = boot_info.tsc_hz / POLL_HZ;
	virtqueue_enable_cb(&vblk->vq);
	virtio_device_ready(&vblk->vdev);
	register_block_device(bdev);
	printk("%s: %s, %lu KiB%s\n", bdev->name, bdev->role, (unsigned long)bdev->nr_sectors / 2,
	       bdev->read_only ? ", read-only" : "");
	return 0;

free_wires:
	dma_free_coherent(&vblk->vdev.dev, vblk->wires_bytes, vblk->wires, vblk->wires_dma);
destroy:
	virtio_device_reset(&vblk->vdev);
	virtqueue_destroy(&vblk->vq);
reset:
	virtio_device_reset(&vblk->vdev);
free:
	kfree(vblk);
	return err;
}

DRIVER(virtio_blk, "virtio,mmio", virtio_blk_probe);
