/*
 * virtio-rng (virtio 1.2, section 5.4): the device fills one buffer at a time.
 *
 * Locks: none. The thread that sets `busy` owns the queue and the buffer until it clears `busy`; others wait. The
 * interrupt handler only wakes the thread that waits for the device.
 */
#include "drivers/driver.h"
#include "drivers/hwrng.h"
#include "drivers/virtio.h"
#include "kernel/irq.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define VIRTIO_ID_RNG 4
#define BUFFER_BYTES  PAGE_SIZE

struct virtio_rng {
	struct virtio_device vdev;
	struct virtqueue vq;
	struct wait_queue wait;
	u8 *buffer;
	dma_addr_t buffer_dma;
	u32 busy;  /* A: somebody has a request */
	bool dead; /* busy: the device broke the rules and was reset */
};

static struct virtio_rng *rng;

static void interrupt(void *arg)
{
	virtio_interrupt_ack(&rng->vdev);
	wake_up(&rng->wait);
}

static bool answered(void)
{
	return virtqueue_pending(&rng->vq) || (virtio_status(&rng->vdev) & VIRTIO_S_NEEDS_RESET);
}

/* Let the device fill the buffer. Returns the number of bytes, or -EIO. The caller has set `busy`. */
static long request(size_t len)
{
	const struct vring_desc d = {
		.addr = rng->buffer_dma, .len = len, .flags = VRING_DESC_F_WRITE};
	u32 got = 0;

	BUG_ON(virtqueue_add(&rng->vq, &d, 0, 1, rng)); /* one at a time: there is room */
	if (virtqueue_kick(&rng->vq))
		virtqueue_notify(&rng->vq);
	wait_event(&rng->wait, answered());
	/* If the device says that it wrote more than the buffer holds, or nothing, it gets no other buffer. */
	if (!virtqueue_get(&rng->vq, &got) || !got || got > len) {
		rng->dead = true;
		virtio_device_reset(&rng->vdev);
		printk("hwrng: the device does not keep to the rules, it is not used any more\n");
		return -EIO;
	}
	virtqueue_enable_cb(&rng->vq);
	return got;
}

long hwrng_read(void *buf, size_t len)
{
	long n = -EIO;

	if (!rng)
		return -ENODEV;
	wait_event(&rng->wait, !atomic_xchg(&rng->busy, 1));
	if (!rng->dead)
		n = request(min(len, (size_t)BUFFER_BYTES));
	if (n > 0)
		memcpy(buf, rng->buffer, n);
	atomic_store_release(&rng->busy, 0);
	wake_up(&rng->wait);
	return n;
}

bool hwrng_present(void)
{
	return rng != NULL;
}

static int virtio_rng_probe(const struct boot_device *bd)
{
	struct virtio_rng *r;
	int err;

	if (strcmp(bd->role, "rng"))
		return -ENODEV;
	r = kzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	wait_queue_init(&r->wait);
	err = virtio_mmio_probe(&r->vdev, bd, 0);
	if (err)
		goto free;
	err = -ENODEV;
	if (r->vdev.device_id != VIRTIO_ID_RNG || rng)
		goto reset;
	err = -ENOMEM;
	r->buffer = dma_alloc_coherent(&r->vdev.dev, BUFFER_BYTES, &r->buffer_dma, GFP_KERNEL);
	if (!r->buffer)
		goto reset;
	err = virtqueue_create(&r->vq, &r->vdev, 0, 4);
	if (err)
		goto buffer;
	rng = r;
	err = request_irq(bd->gsi, interrupt, r, "virtio-rng");
	if (err)
		goto queue;
	virtqueue_enable_cb(&r->vq);
	virtio_device_ready(&r->vdev);
	return 0;
queue:
	rng = NULL;
	virtio_device_reset(&r->vdev);
	virtqueue_destroy(&r->vq);
buffer:
	dma_free_coherent(&r->vdev.dev, BUFFER_BYTES, r->buffer, r->buffer_dma);
reset:
	virtio_device_reset(&r->vdev);
free:
	kfree(r);
	return err;
}

DRIVER(virtio_rng, "virtio,mmio", virtio_rng_probe);
