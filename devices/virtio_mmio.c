/*
 * virtio-mmio transport, version 2: registers, status and life. The queues are served in virtio_worker.c.
 *
 *   vCPU threads                              worker (virtio_worker.c)
 *   ------------                              ------
 *   register read/write   [lock]              poll(notify_fd[], stop_fd)
 *   QueueNotify -> notify_fd[q]  ----------->   serve_queue(q)   [io_lock]
 *     (or KVM, by ioeventfd)                      pop -> model->handle -> push
 *   interrupt handler  <--- irq->raise() -----    isr |= 1, when the guest asked for it
 *
 * Status moves only forward, one writer at a time:
 *
 *   0 -> ACKNOWLEDGE -> DRIVER -> FEATURES_OK -> DRIVER_OK      write 0 from anywhere: reset
 *                                      any of them | NEEDS_RESET: set by the device, left by reset
 *
 * I1. No guest memory is touched by the worker once a reset, or QueueReady = 0, has returned.
 * I2. Queues are served only while DRIVER_OK is set and NEEDS_RESET is not.
 * I3. A ring starts only after its size and addresses were checked (QueueReady = 1); its registers
 *     do not change while it is ready.
 * I4. Each chain that was popped is pushed once, or kept by the model, or the device is in
 *     NEEDS_RESET. What is kept is forgotten when its queue stops.
 * I5. Nothing a guest does keeps a vCPU thread waiting longer than one request: a thread that needs
 *     io_lock raises `quiesce` first, and the worker leaves between two requests.
 *
 * Locks, in order: lock, io_lock. The worker takes only io_lock. Interrupts are raised under
 * io_lock or none, never under `lock`, except for NEEDS_RESET found while a register is written:
 * raise() only signals an eventfd.
 */
#include "devices/virtio_mmio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "devices/device_impl.h"
#include "devices/virtio_impl.h"

#define VIRTIO_MAGIC  0x74726976 /* "virt" */
#define VIRTIO_VENDOR 0x4d564d4d /* "MMVM" */
#define TRANSPORT_FEATURES                                                      \
	((1ull << VIRTIO_F_VERSION_1) | (1ull << VIRTIO_RING_F_INDIRECT_DESC) | \
	 (1ull << VIRTIO_RING_F_EVENT_IDX))

static struct virtio_mmio *to_virtio(struct device *dev)
{
	return container_of(dev, struct virtio_mmio, dev);
}

static void reset_locked(struct virtio_mmio *v) NEEDS_LOCK(v->lock)
{
	virtio_mmio_hold(v);
	__atomic_store_n(&v->status, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&v->isr, 0, __ATOMIC_RELEASE);
	v->driver_features = 0;
	v->features_sel = v->driver_features_sel = v->queue_sel = 0;
	for (unsigned int q = 0; q < v->nr_queues; q++)
		v->vq[q] = (struct virtqueue){.ram = v->dev.ram};
	virtio_forget_chains(v, VIRTIO_MMIO_ALL_QUEUES);
	virtio_mmio_release(v);
}

static void virtio_reset(struct device *dev)
{
	struct virtio_mmio *v = to_virtio(dev);

	pthread_mutex_lock(&v->lock);
	reset_locked(v);
	pthread_mutex_unlock(&v->lock);
}

/* Bits of `features` the driver may leave out are its choice; VERSION_1 is not (6.1). */
static bool features_acceptable(const struct virtio_mmio *v) NEEDS_LOCK(v->lock)
{
	return !(v->driver_features & ~v->features) &&
	       (v->driver_features & (1ull << VIRTIO_F_VERSION_1));
}

static void write_status(struct virtio_mmio *v, uint32_t val) NEEDS_LOCK(v->lock)
{
	const uint32_t driver_bits = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				     VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
				     VIRTIO_CONFIG_S_FAILED;
	uint32_t cur = virtio_status(v), set = val & driver_bits;

	if (val == 0) {
		reset_locked(v);
		return;
	}
	/* Bits are only added, each after the one it builds on (2.1.1, 3.1.1). */
	if ((val & ~(driver_bits | VIRTIO_CONFIG_S_NEEDS_RESET)) || (cur & driver_bits & ~set) ||
	    ((set & VIRTIO_CONFIG_S_DRIVER) && !(set & VIRTIO_CONFIG_S_ACKNOWLEDGE)) ||
	    ((set & VIRTIO_CONFIG_S_FEATURES_OK) && !(set & VIRTIO_CONFIG_S_DRIVER)) ||
	    ((set & VIRTIO_CONFIG_S_DRIVER_OK) && !(cur & VIRTIO_CONFIG_S_FEATURES_OK))) {
		device_guest_error(&v->dev);
		return;
	}
	if ((set & ~cur & VIRTIO_CONFIG_S_FEATURES_OK) && !features_acceptable(v)) {
		device_guest_error(&v->dev);
		set &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	}
	__atomic_fetch_or(&v->status, set, __ATOMIC_ACQ_REL);
	if (set & ~cur & VIRTIO_CONFIG_S_DRIVER_OK) {
		for (unsigned int q = 0; q < v->nr_queues; q++)
			virtio_kick(v, q); /* notifications before DRIVER_OK */
	}
}

static void write_driver_features(struct virtio_mmio *v, uint32_t val) NEEDS_LOCK(v->lock)
{
	unsigned int shift = 32 * v->driver_features_sel;

	/* Frozen once FEATURES_OK is set; words past the second hold no feature. */
	if ((virtio_status(v) & VIRTIO_CONFIG_S_FEATURES_OK) || v->driver_features_sel > 1) {
		if (val || v->driver_features_sel <= 1)
			device_guest_error(&v->dev);
		return;
	}
	v->driver_features &= ~(0xffffffffull << shift);
	v->driver_features |= (uint64_t)val << shift;
}

static void write_queue_ready(struct virtio_mmio *v, struct virtqueue *vq, uint32_t val)
	NEEDS_LOCK(v->lock)
{
	bool bad = false;

	virtio_mmio_hold(v);
	if (val == 0) {
		vq->ready = false;
		virtio_forget_chains(v, (unsigned int)(vq - v->vq));
	} else if (val != 1 || vq->ready || !(virtio_status(v) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		device_guest_error(&v->dev);
	} else {
		vq->ram = v->dev.ram;
		vq->event_idx = v->driver_features & (1ull << VIRTIO_RING_F_EVENT_IDX);
		vq->indirect = v->driver_features & (1ull << VIRTIO_RING_F_INDIRECT_DESC);
		bad = virtqueue_start(vq) != 0;
		vq->ready = !bad;
	}
	virtio_mmio_release(v);
	if (bad)
		virtio_broken(v);
}

static void set_low(uint64_t *addr, uint32_t val)
{
	*addr = (*addr & ~0xffffffffull) | val;
}
static void set_high(uint64_t *addr, uint32_t val)
{
	*addr = (*addr & 0xffffffffull) | (uint64_t)val << 32;
}

/* Registers of the selected queue. */
static void write_queue_register(struct virtio_mmio *v, uint64_t offset, uint32_t val)
	NEEDS_LOCK(v->lock)
{
	struct virtqueue *vq;

	if (v->queue_sel >= v->nr_queues) {
		device_guest_error(&v->dev);
		return;
	}
	vq = &v->vq[v->queue_sel];
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		write_queue_ready(v, vq, val);
		return;
	}
	if (vq->ready) { /* I3 */
		device_guest_error(&v->dev);
		return;
	}
	/* The worker reads these only of a ready queue, and ready changes under io_lock. */
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		vq->num = val;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&vq->desc, val);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&vq->desc, val);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&vq->avail, val);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&vq->avail, val);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&vq->used, val);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&vq->used, val);
		break;
	}
}

static void write_register(struct virtio_mmio *v, uint64_t offset, uint32_t val) NEEDS_LOCK(v->lock)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		v->features_sel = val;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_driver_features(v, val);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		v->driver_features_sel = val;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		v->queue_sel = val;
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
	case VIRTIO_MMIO_QUEUE_READY:
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		write_queue_register(v, offset, val);
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(v, val);
		break;
	default: /* read-only, or none */
		device_guest_error(&v->dev);
		break;
	}
}

/* Returns false when there is no such register to read. */
static bool read_register(struct virtio_mmio *v, uint64_t offset, uint32_t *val) NEEDS_LOCK(v->lock)
{
	bool have_queue = v->queue_sel < v->nr_queues;

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		*val = VIRTIO_MAGIC;
		break;
	case VIRTIO_MMIO_VERSION:
		*val = 2;
		break;
	case VIRTIO_MMIO_DEVICE_ID:
		*val = v->model->device_id;
		break;
	case VIRTIO_MMIO_VENDOR_ID:
		*val = VIRTIO_VENDOR;
		break;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		*val = v->features_sel > 1 ? 0 : (uint32_t)(v->features >> 32 * v->features_sel);
		break;
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		*val = have_queue ? VIRTQUEUE_MAX_SIZE : 0;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		*val = have_queue && v->vq[v->queue_sel].ready;
		break;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		*val = __atomic_load_n(&v->isr, __ATOMIC_ACQUIRE);
		break;
	case VIRTIO_MMIO_STATUS:
		*val = virtio_status(v);
		break;
	case VIRTIO_MMIO_SHM_LEN_LOW: /* no shared memory region: length -1 (4.2.2) */
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		*val = 0xffffffff;
		break;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		*val = __atomic_load_n(&v->generation, __ATOMIC_ACQUIRE);
		break;
	default:
		return false;
	}
	return true;
}

/* Device-specific configuration: any width, naturally aligned, inside (4.2.2.2). */
static bool read_config(struct virtio_mmio *v, uint64_t offset, unsigned int size, void *data)
	NEEDS_LOCK(v->lock)
{
	if (size == 0 || offset % size || offset > v->config_size || size > v->config_size - offset)
		return false;
	memcpy(data, v->config + offset, size);
	return true;
}

static bool write_config(struct virtio_mmio *v, uint64_t offset, unsigned int size,
			 const void *data)
{
	bool ok = false;

	pthread_mutex_lock(&v->lock);
	if (v->model->write_config && offset <= v->config_size && size <= v->config_size - offset)
		ok = v->model->write_config(v, offset, size, data);
	pthread_mutex_unlock(&v->lock);
	return ok;
}

static void virtio_read(struct device *dev, uint64_t offset, unsigned int size, void *data)
{
	struct virtio_mmio *v = to_virtio(dev);
	uint32_t val = 0;
	bool ok;

	pthread_mutex_lock(&v->lock);
	if (offset >= VIRTIO_MMIO_CONFIG) {
		ok = read_config(v, offset - VIRTIO_MMIO_CONFIG, size, data);
	} else {
		ok = size == 4 && read_register(v, offset, &val);
		if (ok)
			memcpy(data, &val, 4);
	}
	pthread_mutex_unlock(&v->lock);
	if (!ok)
		device_bad_read(dev, data, size);
}

static void virtio_write(struct device *dev, uint64_t offset, unsigned int size, const void *data)
{
	struct virtio_mmio *v = to_virtio(dev);
	uint32_t val;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		if (!write_config(v, offset - VIRTIO_MMIO_CONFIG, size, data))
			device_guest_error(dev);
		return;
	}
	if (size != 4) {
		device_guest_error(dev);
		return;
	}
	memcpy(&val, data, 4);
	switch (offset) {
	/* These two without the lock: they touch an eventfd, and an atomic field. */
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		if (val < v->nr_queues)
			virtio_kick(v, val);
		else
			device_guest_error(dev);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		__atomic_fetch_and(&v->isr, ~val, __ATOMIC_ACQ_REL);
		break;
	default:
		pthread_mutex_lock(&v->lock);
		write_register(v, offset, val);
		pthread_mutex_unlock(&v->lock);
		break;
	}
}

void virtio_mmio_announce_config(struct virtio_mmio *v)
{
	if (virtio_status(v) & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_interrupt(v, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_mmio_set_config(struct virtio_mmio *v, size_t offset, const void *bytes, size_t len)
{
	pthread_mutex_lock(&v->lock);
	memcpy(v->config + offset, bytes, len);
	__atomic_fetch_add(&v->generation, 1, __ATOMIC_ACQ_REL);
	pthread_mutex_unlock(&v->lock);
	virtio_mmio_announce_config(v);
}

/* ---- life --------------------------------------------------------- */

static void close_fds(struct virtio_mmio *v)
{
	for (unsigned int q = 0; q < v->nr_queues; q++) {
		if (v->dev.notify_fd[q] >= 0)
			close(v->dev.notify_fd[q]);
	}
	if (v->stop_fd >= 0)
		close(v->stop_fd);
}

static void virtio_destroy(struct device *dev)
{
	struct virtio_mmio *v = to_virtio(dev);

	if (v->has_worker) {
		__atomic_store_n(&v->stop, true, __ATOMIC_RELEASE);
		eventfd_write(v->stop_fd, 1);
		pthread_join(v->worker, NULL);
	}
	close_fds(v);
	pthread_cond_destroy(&v->resume);
	pthread_mutex_destroy(&v->io_lock);
	pthread_mutex_destroy(&v->lock);
	v->model->destroy(v);
	free(v);
}

static bool virtio_property(const struct device *dev, unsigned int i, struct device_property *out)
{
	const struct virtio_mmio *v = container_of(dev, struct virtio_mmio, dev);

	return v->model->property && v->model->property(dev, i, out);
}

static const struct device_model virtio_device_model = {
	.name = "virtio-mmio",
	.node = "virtio",
	.compatible = "virtio,mmio",
	.size = MMVM_VIRTIO_STRIDE,
	.property = virtio_property,
	.read = virtio_read,
	.write = virtio_write,
	.reset = virtio_reset,
	.destroy = virtio_destroy,
};

int virtio_mmio_init(struct virtio_mmio *v, const struct virtio_model *model,
		     const struct device_env *env, bool worker)
{
	int err;

	device_init(&v->dev, &virtio_device_model, env);
	v->model = model;
	v->features |= TRANSPORT_FEATURES;
	v->has_worker = worker;
	pthread_mutex_init(&v->lock, NULL);
	pthread_mutex_init(&v->io_lock, NULL);
	pthread_cond_init(&v->resume, NULL);
	v->dev.nr_notify = v->nr_queues;
	v->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->stop_fd < 0)
		goto fail;
	for (unsigned int q = 0; q < v->nr_queues; q++) {
		v->vq[q].ram = v->dev.ram;
		v->dev.notify_fd[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (v->dev.notify_fd[q] < 0)
			goto fail;
	}
	if (worker) {
		err = device_start_worker(&v->dev, &v->worker, virtio_worker_main, v);
		if (err) {
			errno = -err;
			goto fail;
		}
	}
	return 0;

fail:
	err = -errno;
	close_fds(v);
	pthread_cond_destroy(&v->resume);
	pthread_mutex_destroy(&v->io_lock);
	pthread_mutex_destroy(&v->lock);
	return err;
}
