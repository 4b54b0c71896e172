/*
 * The queues of a virtio-mmio device: one chain after another, on the worker's thread or on one that polls. Who may
 * touch what, and when, is said in virtio_mmio.c.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <poll.h>
#include <sys/eventfd.h>
#include "devices/device_impl.h"
#include "devices/virtio_impl.h"

/* Interrupt after at most this many completions, so that a long batch does not hold back the
 * first of its requests. */
#define SIGNAL_BATCH 8

uint32_t virtio_status(const struct virtio_mmio *v)
{
	return __atomic_load_n(&v->status, __ATOMIC_ACQUIRE);
}

void virtio_interrupt(struct virtio_mmio *v, uint32_t why)
{
	__atomic_fetch_or(&v->isr, why, __ATOMIC_RELEASE);
	device_raise_irq(&v->dev);
}

void virtio_broken(struct virtio_mmio *v)
{
	uint32_t old = __atomic_fetch_or(&v->status, VIRTIO_CONFIG_S_NEEDS_RESET, __ATOMIC_ACQ_REL);

	device_guest_error(&v->dev);
	if ((old & VIRTIO_CONFIG_S_DRIVER_OK) && !(old & VIRTIO_CONFIG_S_NEEDS_RESET))
		virtio_interrupt(v, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_kick(struct virtio_mmio *v, unsigned int q)
{
	eventfd_write(v->dev.notify_fd[q], 1);
}

void virtio_mmio_hold(struct virtio_mmio *v) ACQUIRES_LOCK(v->io_lock)
{
	__atomic_fetch_add(&v->quiesce, 1, __ATOMIC_ACQ_REL);
	pthread_mutex_lock(&v->io_lock);
}

void virtio_mmio_release(struct virtio_mmio *v) RELEASES_LOCK(v->io_lock)
{
	__atomic_fetch_sub(&v->quiesce, 1, __ATOMIC_ACQ_REL);
	pthread_cond_broadcast(&v->resume);
	pthread_mutex_unlock(&v->io_lock);
}

static bool stopping(const struct virtio_mmio *v)
{
	return __atomic_load_n(&v->stop, __ATOMIC_ACQUIRE);
}

static bool wanted_elsewhere(const struct virtio_mmio *v)
{
	return __atomic_load_n(&v->quiesce, __ATOMIC_ACQUIRE) != 0;
}

static bool may_serve(const struct virtio_mmio *v, const struct virtqueue *vq)
{
	uint32_t status = virtio_status(v);

	return (status & VIRTIO_CONFIG_S_DRIVER_OK) && !(status & VIRTIO_CONFIG_S_NEEDS_RESET) &&
	       vq->ready;
}

/* Chains until the ring is empty, a rule is broken or somebody waits for io_lock. Returns 1 when
 * the ring is empty, 0 when it was left early, -EPROTO. */
static int drain_queue(struct virtio_mmio *v, unsigned int q, unsigned int *done)
	NEEDS_LOCK(v->io_lock)
{
	struct virtqueue *vq = &v->vq[q];
	int64_t written;
	int r;

	while (!wanted_elsewhere(v) && !stopping(v)) {
		r = virtqueue_pop(vq, &v->chain);
		if (r < 0)
			return r;
		if (r == 0)
			return 1;
		written = v->model->handle(v, q, &v->chain);
		if (written < 0)
			return -EPROTO;
		if (written == VIRTIO_MMIO_KEEP)
			continue;
		virtqueue_push(vq, v->chain.head, (uint32_t)written);
		if (++*done % SIGNAL_BATCH == 0 && virtqueue_should_signal(vq))
			virtio_interrupt(v, VIRTIO_MMIO_INT_VRING);
	}
	return 0;
}

static unsigned int serve_queue(struct virtio_mmio *v, unsigned int q)
{
	struct virtqueue *vq = &v->vq[q];
	unsigned int done = 0;
	bool more;
	int r;

	pthread_mutex_lock(&v->io_lock);
	while (wanted_elsewhere(v) && !stopping(v))
		pthread_cond_wait(&v->resume, &v->io_lock);
	if (!may_serve(v, vq) || stopping(v))
		goto out;
	do {
		virtqueue_disable_notify(vq);
		r = drain_queue(v, q, &done);
		more = virtqueue_enable_notify(vq);
	} while (r == 1 && more);
	if (virtqueue_should_signal(vq))
		virtio_interrupt(v, VIRTIO_MMIO_INT_VRING);
	if (r < 0)
		virtio_broken(v);
	else if (r == 0)
		virtio_kick(v, q); /* the rest is served later */
out:
	pthread_mutex_unlock(&v->io_lock);
	return done;
}

void *virtio_worker_main(void *arg)
{
	struct virtio_mmio *v = arg;
	struct pollfd fds[VIRTIO_MMIO_MAX_QUEUES + 1];
	eventfd_t count;

	for (unsigned int q = 0; q < v->nr_queues; q++)
		fds[q] = (struct pollfd){.fd = v->dev.notify_fd[q], .events = POLLIN};
	fds[v->nr_queues] = (struct pollfd){.fd = v->stop_fd, .events = POLLIN};

	for (;;) {
		if (poll(fds, v->nr_queues + 1, -1) < 0)
			continue; /* EINTR: all signals are blocked, but a debugger stops us */
		if (fds[v->nr_queues].revents)
			return NULL;
		for (unsigned int q = 0; q < v->nr_queues; q++) {
			if (fds[q].revents && eventfd_read(fds[q].fd, &count) == 0)
				serve_queue(v, q);
		}
	}
}

unsigned int virtio_mmio_poll(struct virtio_mmio *v)
{
	unsigned int done = 0;

	for (unsigned int q = 0; q < v->nr_queues; q++)
		done += serve_queue(v, q);
	return done;
}

bool virtio_mmio_serves(const struct virtio_mmio *v, unsigned int queue)
{
	return may_serve(v, &v->vq[queue]);
}

void virtio_mmio_give_back(struct virtio_mmio *v, unsigned int queue, uint16_t head,
			   uint32_t written)
{
	struct virtqueue *vq = &v->vq[queue];

	if (!may_serve(v, vq))
		return;
	virtqueue_push(vq, head, written);
	if (virtqueue_should_signal(vq))
		virtio_interrupt(v, VIRTIO_MMIO_INT_VRING);
}

void virtio_forget_chains(struct virtio_mmio *v, unsigned int queue) NEEDS_LOCK(v->io_lock)
{
	if (v->model->forget)
		v->model->forget(v, queue);
}
