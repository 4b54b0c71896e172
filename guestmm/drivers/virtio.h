/*
 * Virtio over MMIO: the transport and the split virtqueue. Section numbers are those of the virtio
 * 1.2 specification.
 */
#ifndef DRIVERS_VIRTIO_H
#define DRIVERS_VIRTIO_H
#include "kernel/boot_info.h"
#include "mm/dma/dma.h"

/* Device registers (4.2.2) */
#define VIRTIO_MMIO_MAGIC	     0x000
#define VIRTIO_MMIO_VERSION	     0x004
#define VIRTIO_MMIO_DEVICE_ID	     0x008
#define VIRTIO_MMIO_DEVICE_FEATURES  0x010
#define VIRTIO_MMIO_DEVICE_FEAT_SEL  0x014
#define VIRTIO_MMIO_DRIVER_FEATURES  0x020
#define VIRTIO_MMIO_DRIVER_FEAT_SEL  0x024
#define VIRTIO_MMIO_QUEUE_SEL	     0x030
#define VIRTIO_MMIO_QUEUE_NUM_MAX    0x034
#define VIRTIO_MMIO_QUEUE_NUM	     0x038
#define VIRTIO_MMIO_QUEUE_READY	     0x044
#define VIRTIO_MMIO_QUEUE_NOTIFY     0x050
#define VIRTIO_MMIO_INTERRUPT_STATUS 0x060
#define VIRTIO_MMIO_INTERRUPT_ACK    0x064
#define VIRTIO_MMIO_STATUS	     0x070
#define VIRTIO_MMIO_QUEUE_DESC	     0x080 /* low, high */
#define VIRTIO_MMIO_QUEUE_DRIVER     0x090
#define VIRTIO_MMIO_QUEUE_DEVICE     0x0a0
#define VIRTIO_MMIO_CONFIG_GEN	     0x0fc
#define VIRTIO_MMIO_CONFIG	     0x100

#define VIRTIO_MAGIC	  0x74726976u /* "virt" */
#define VIRTIO_ID_BLOCK	  2
#define VIRTIO_INT_USED	  1u
#define VIRTIO_INT_CONFIG 2u

/* Status bits (2.1) */
#define VIRTIO_S_ACKNOWLEDGE 1u
#define VIRTIO_S_DRIVER	     2u
#define VIRTIO_S_DRIVER_OK   4u
#define VIRTIO_S_FEATURES_OK 8u
#define VIRTIO_S_NEEDS_RESET 64u
#define VIRTIO_S_FAILED	     128u

/* Feature bits of every device (6) */
#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX     29
#define VIRTIO_F_VERSION_1     32

struct virtio_device {
	struct device dev;
	u8 *regs;     /* registers, mapped */
	u64 features; /* negotiated */
	u32 device_id;
	char role[16];
	u32 gsi;
};

/* Split virtqueue (2.7) */
struct vring_desc {
	u64 addr;
	u32 len;
	u16 flags, next;
};
#define VRING_DESC_F_NEXT     1
#define VRING_DESC_F_WRITE    2
#define VRING_DESC_F_INDIRECT 4
#define VRING_NO_NOTIFY	      1 /* used->flags */
#define VRING_NO_INTERRUPT    1 /* avail->flags */

struct vring_avail {
	u16 flags, idx;
	u16 ring[]; /* then used_event */
};
struct vring_used_elem {
	u32 id, len;
};
struct vring_used {
	u16 flags, idx;
	struct vring_used_elem ring[]; /* then avail_event */
};

/* All fields are under the driver's lock; the rings are shared with the device. */
struct virtqueue {
	struct virtio_device *vdev;
	u16 index, size;
	u16 free_head, num_free; /* free descriptors, linked by desc.next */
	u16 avail_idx;		 /* next slot of avail->ring; published by virtqueue_kick() */
	u16 kicked_idx;		 /* avail_idx at the last kick */
	u16 used_idx;		 /* next slot of used->ring to look at */
	bool broken;		 /* the device returned a descriptor that it does not own */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	void **token; /* by head descriptor: NULL = not with the device */
	dma_addr_t dma;
	size_t bytes;
	u64 nr_kicks, nr_kicks_avoided;
};

/** Initialise the device up to FEATURES_OK. Of the features in `wanted` those that it offers are negotiated, and always
 * VERSION_1. Returns 0, -ENODEV (it is no virtio device of version 2, or a placeholder) or -EIO. May sleep. */
int virtio_mmio_probe(struct virtio_device *vdev, const struct boot_device *bd, u64 wanted);
/** The queues are set up: set DRIVER_OK, so that the device begins to work. */
void virtio_device_ready(struct virtio_device *vdev);
/** Stop the device at once: afterwards it touches no memory of the kernel. */
void virtio_device_reset(struct virtio_device *vdev);
u32 virtio_status(struct virtio_device *vdev);
static inline bool virtio_has_feature(const struct virtio_device *vdev, unsigned int bit)
{
	return vdev->features >> bit & 1;
}
/** Acknowledge the interrupt. Returns its reasons (VIRTIO_INT_*). */
u32 virtio_interrupt_ack(struct virtio_device *vdev);
u32 virtio_config_read32(struct virtio_device *vdev, unsigned int offset);
u64 virtio_config_read64(struct virtio_device *vdev, unsigned int offset);

void virtio_config_write32(struct virtio_device *vdev, unsigned int offset, u32 value);

/** Create queue `index` with at most `max_size` entries. Returns 0, -ENOENT (the device has no such queue) or -ENOMEM.
 * May sleep. */
int virtqueue_create(struct virtqueue *vq, struct virtio_device *vdev, u16 index, u16 max_size);
void virtqueue_destroy(struct virtqueue *vq);
/**
 * Offer a chain of `n` descriptors, table[0] to table[n - 1], to the device. When the device has used them,
 * virtqueue_get() returns `token`. With indirect descriptors the ring has only the table's address, so the
 * table must not change until then. Returns 0 or -ENOSPC.
 */
int virtqueue_add(struct virtqueue *vq, const struct vring_desc *table, dma_addr_t table_dma, u16 n,
		  void *token);
/** Publish the buffers that were added. True: the device wants a notification, so call virtqueue_notify(). */
bool virtqueue_kick(struct virtqueue *vq);
void virtqueue_notify(struct virtqueue *vq);
/** Take the next completed chain: its token, and in *len the number of bytes that the device wrote. NULL: there is
 * none. */
void *virtqueue_get(struct virtqueue *vq, u32 *len);
/** Ask for an interrupt at the next completion. False: a buffer was completed meanwhile, so check again. */
bool virtqueue_enable_cb(struct virtqueue *vq);
/** Ask for no interrupts until virtqueue_enable_cb(), because the caller polls. One may still arrive. */
void virtqueue_disable_cb(struct virtqueue *vq);
/** Has the device completed a chain that has not been taken yet? No lock needed. */
static inline bool virtqueue_pending(const struct virtqueue *vq)
{
	return READ_ONCE(vq->used->idx) != READ_ONCE(vq->used_idx);
}

struct block_device;
/** Counts of a disk since boot. */
struct virtio_blk_counts {
	u64 interrupts, polled; /* reads that were done before anybody had to sleep */
	u64 queue_full;		/* bios that waited for a slot */
	u64 kicks, kicks_avoided;
};
void virtio_blk_get_counts(const struct block_device *bdev, struct virtio_blk_counts *c);
#endif
