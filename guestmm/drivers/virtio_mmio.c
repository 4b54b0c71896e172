/*
 * The virtio-mmio transport (virtio 1.2, section 4.2): finding out what the device is, agreeing on
 * features, starting and stopping it. Registers are 32 bits wide; each access is an exit to the
 * VMM, so nothing here is on a hot path except acknowledging an interrupt.
 *
 * No locks: initialisation runs in one thread, and a hot path accesses a single register.
 */
#include "arch/io.h"
#include "drivers/virtio.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"
#include "mm/kvirt/vmalloc.h"

static u32 reg_read(const struct virtio_device *vdev, unsigned int reg)
{
	return readl(vdev->regs + reg);
}
static void reg_write(struct virtio_device *vdev, unsigned int reg, u32 v)
{
	writel(vdev->regs + reg, v);
}
static void reg_write64(struct virtio_device *vdev, unsigned int reg, u64 v)
{
	reg_write(vdev, reg, v);
	reg_write(vdev, reg + 4, v >> 32);
}

static void add_status(struct virtio_device *vdev, u32 bits)
{
	reg_write(vdev, VIRTIO_MMIO_STATUS, reg_read(vdev, VIRTIO_MMIO_STATUS) | bits);
}

u32 virtio_status(struct virtio_device *vdev)
{
	return reg_read(vdev, VIRTIO_MMIO_STATUS);
}

static u64 device_features(struct virtio_device *vdev)
{
	u64 f;

	reg_write(vdev, VIRTIO_MMIO_DEVICE_FEAT_SEL, 1);
	f = (u64)reg_read(vdev, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	reg_write(vdev, VIRTIO_MMIO_DEVICE_FEAT_SEL, 0);
	return f | reg_read(vdev, VIRTIO_MMIO_DEVICE_FEATURES);
}

/** Section 3.1.1, steps 4 to 6. */
static int negotiate(struct virtio_device *vdev, u64 wanted)
{
	u64 f = device_features(vdev);

	if (!(f >> VIRTIO_F_VERSION_1 & 1))
		return -ENODEV;
	f &= wanted | 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC |
	     1ull << VIRTIO_F_EVENT_IDX;
	reg_write(vdev, VIRTIO_MMIO_DRIVER_FEAT_SEL, 0);
	reg_write(vdev, VIRTIO_MMIO_DRIVER_FEATURES, f);
	reg_write(vdev, VIRTIO_MMIO_DRIVER_FEAT_SEL, 1);
	reg_write(vdev, VIRTIO_MMIO_DRIVER_FEATURES, f >> 32);
	add_status(vdev, VIRTIO_S_FEATURES_OK);
	if (!(virtio_status(vdev) & VIRTIO_S_FEATURES_OK))
		return -EIO;
	vdev->features = f;
	return 0;
}

int virtio_mmio_probe(struct virtio_device *vdev, const struct boot_device *bd, u64 wanted)
{
	int err;

	vdev->regs = ioremap(bd->base, bd->size);
	if (!vdev->regs)
		return -ENOMEM;
	err = -ENODEV;
	if (reg_read(vdev, VIRTIO_MMIO_MAGIC) != VIRTIO_MAGIC ||
	    reg_read(vdev, VIRTIO_MMIO_VERSION) != 2)
		goto unmap;
	vdev->device_id = reg_read(vdev, VIRTIO_MMIO_DEVICE_ID);
	if (!vdev->device_id)
		goto unmap;
	vdev->gsi = bd->gsi;
	strscpy(vdev->role, bd->role, sizeof(vdev->role));
	vdev->dev.name = vdev->role;
	err = dma_set_mask_and_coherent(&vdev->dev, DMA_BIT_MASK(64));
	if (err)
		goto unmap;

	virtio_device_reset(vdev);
	add_status(vdev, VIRTIO_S_ACKNOWLEDGE);
	add_status(vdev, VIRTIO_S_DRIVER);
	err = negotiate(vdev, wanted);
	if (err)
		goto fail;
	return 0;
fail:
	add_status(vdev, VIRTIO_S_FAILED);
unmap:
	iounmap(vdev->regs);
	vdev->regs = NULL;
	return err;
}

void virtio_device_ready(struct virtio_device *vdev)
{
	add_status(vdev, VIRTIO_S_DRIVER_OK);
}

void virtio_device_reset(struct virtio_device *vdev)
{
	reg_write(vdev, VIRTIO_MMIO_STATUS, 0);
	/* The VMM's devices have stopped when the write has ended. The specification allows a device to stop later. */
	while (reg_read(vdev, VIRTIO_MMIO_STATUS))
		cpu_relax();
}

u32 virtio_interrupt_ack(struct virtio_device *vdev)
{
	u32 status = reg_read(vdev, VIRTIO_MMIO_INTERRUPT_STATUS);

	if (status)
		reg_write(vdev, VIRTIO_MMIO_INTERRUPT_ACK, status);
	return status;
}

u32 virtio_config_read32(struct virtio_device *vdev, unsigned int offset)
{
	return reg_read(vdev, VIRTIO_MMIO_CONFIG + offset);
}

void virtio_config_write32(struct virtio_device *vdev, unsigned int offset, u32 value)
{
	reg_write(vdev, VIRTIO_MMIO_CONFIG + offset, value);
}

u64 virtio_config_read64(struct virtio_device *vdev, unsigned int offset)
{
	u32 gen, lo, hi;

	do {
		gen = reg_read(vdev, VIRTIO_MMIO_CONFIG_GEN);
		lo = virtio_config_read32(vdev, offset);
		hi = virtio_config_read32(vdev, offset + 4);
	} while (gen != reg_read(vdev, VIRTIO_MMIO_CONFIG_GEN));
	return (u64)hi << 32 | lo;
}

/* The transport's part of creating and destroying a queue; the other part is in virtqueue.c. */
int virtqueue_create(struct virtqueue *vq, struct virtio_device *vdev, u16 index, u16 max_size)
{
	size_t avail_off, used_off;
	u32 size;
	u8 *ring;

	reg_write(vdev, VIRTIO_MMIO_QUEUE_SEL, index);
	size = reg_read(vdev, VIRTIO_MMIO_QUEUE_NUM_MAX);
	if (!size || reg_read(vdev, VIRTIO_MMIO_QUEUE_READY))
		return -ENOENT;
	/* Split rings are powers of two (2.7). */
	size = min(size, (u32)max_size);
	while (size & (size - 1))
		size &= size - 1;

	/* descriptors | avail, used_event | used, avail_event: alignments 16, 2, 4 */
	avail_off = size * sizeof(struct vring_desc);
	used_off = ALIGN_UP(avail_off + sizeof(struct vring_avail) + (size + 1) * sizeof(u16), 4ul);
	memset(vq, 0, sizeof(*vq));
	vq->bytes = used_off + sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) +
		    sizeof(u16);
	vq->token = kcalloc(size, sizeof(*vq->token), GFP_KERNEL);
	if (!vq->token)
		return -ENOMEM;
	ring = dma_alloc_coherent(&vdev->dev, vq->bytes, &vq->dma, GFP_KERNEL);
	if (!ring) {
		kfree(vq->token);
		return -ENOMEM;
	}
	vq->vdev = vdev;
	vq->index = index;
	vq->size = size;
	vq->num_free = size;
	vq->desc = (struct vring_desc *)ring;
	vq->avail = (struct vring_avail *)(ring + avail_off);
	vq->used = (struct vring_used *)(ring + used_off);
	for (u32 i = 0; i < size; i++)
		vq->desc[i].next = i + 1;

	reg_write(vdev, VIRTIO_MMIO_QUEUE_NUM, size);
	reg_write64(vdev, VIRTIO_MMIO_QUEUE_DESC, vq->dma);
	reg_write64(vdev, VIRTIO_MMIO_QUEUE_DRIVER, vq->dma + avail_off);
	reg_write64(vdev, VIRTIO_MMIO_QUEUE_DEVICE, vq->dma + used_off);
	reg_write(vdev, VIRTIO_MMIO_QUEUE_READY, 1);
	return 0;
}

void virtqueue_destroy(struct virtqueue *vq)
{
	dma_free_coherent(&vq->vdev->dev, vq->bytes, vq->desc, vq->dma);
	kfree(vq->token);
}

void virtqueue_notify(struct virtqueue *vq)
{
	reg_write(vq->vdev, VIRTIO_MMIO_QUEUE_NOTIFY, vq->index);
}
