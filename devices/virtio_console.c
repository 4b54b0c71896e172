/*
 * virtio-console (virtio 1.2, section 5.3), one port:
 *
 *   queue 0, receive     empty buffers, kept until somebody types    virtio_console_input() ──> buffer ──> guest
 *   queue 1, transmit    what the guest prints                       chain ──> sink
 *
 * The window's size is in the configuration (VIRTIO_CONSOLE_F_SIZE); a new one is a configuration interrupt. So is the
 * first, when the guest first gives a buffer: Linux reads the size in that interrupt only.
 *
 * Input is never stored here: what no buffer of the guest's takes stays with the caller, who is called back (`room`)
 * when the guest has given another one.
 *
 * I1. A kept chain is used once: for its first segment at most, which may be all of it or less.
 * I2. As many chains are kept as a ring has descriptors at most. A guest that offers one twice breaks the protocol.
 * I3. A transmit buffer for the device to write, or a receive buffer for it to read, breaks the protocol.
 *
 * Locks: kept chains are under the transport's io_lock; the size is under its lock.
 */
#include "devices/virtio_mmio.h"

#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include "devices/device_impl.h"

#define QUEUE_RECEIVE  0
#define QUEUE_TRANSMIT 1

struct kept {
	uint16_t head;
	uint8_t *to;
	uint64_t gpa, len;
};

struct virtio_console {
	struct virtio_mmio v; /* first: freed by the transport */
	struct virtio_console_params params;
	/* IO: receive buffers in the order they came; free-running, to - from of them */
	struct kept kept[VIRTQUEUE_MAX_SIZE];
	uint32_t from, to;
	bool starved;	/* IO: somebody has input that was not taken */
	bool announced; /* IO: the driver was told to read the window's size */
};

static int64_t keep_buffer(struct virtio_console *c, const struct virtqueue_chain *chain)
{
	if (chain->nr_out || !chain->nr_in || c->to - c->from == VIRTQUEUE_MAX_SIZE)
		return -EPROTO;
	c->kept[c->to++ % VIRTQUEUE_MAX_SIZE] = (struct kept){.head = chain->head,
							      .to = chain->iov[0].iov_base,
							      .gpa = chain->gpa[0],
							      .len = chain->iov[0].iov_len};
	if (!c->announced)
		virtio_mmio_announce_config(&c->v);
	c->announced = true;
	if (c->starved && c->params.room) {
		c->starved = false;
		c->params.room(c->params.arg);
	}
	return VIRTIO_MMIO_KEEP;
}

static int64_t print(struct virtio_console *c, const struct virtqueue_chain *chain)
{
	if (chain->nr_in)
		return -EPROTO;
	for (unsigned int i = 0; i < chain->nr_out; i++)
		c->params.sink(c->params.sink_arg, chain->iov[i].iov_base, chain->iov[i].iov_len);
	return 0;
}

static int64_t console_handle(struct virtio_mmio *v, unsigned int queue,
			      struct virtqueue_chain *chain)
{
	struct virtio_console *c = container_of(v, struct virtio_console, v);

	return queue == QUEUE_RECEIVE ? keep_buffer(c, chain) : print(c, chain);
}

static void console_forget(struct virtio_mmio *v, unsigned int queue)
{
	struct virtio_console *c = container_of(v, struct virtio_console, v);

	if (queue == QUEUE_RECEIVE || queue == VIRTIO_MMIO_ALL_QUEUES)
		c->from = c->to;
	if (queue == VIRTIO_MMIO_ALL_QUEUES)
		c->announced = false;
}

static void console_destroy(struct virtio_mmio *v)
{
	/* Nothing beside the struct. */
}

static const struct virtio_model console_model = {
	.name = "virtio-console",
	.device_id = VIRTIO_ID_CONSOLE,
	.handle = console_handle,
	.forget = console_forget,
	.destroy = console_destroy,
};

size_t virtio_console_input(struct device *dev, const void *bytes, size_t len)
{
	struct virtio_console *c = container_of(dev, struct virtio_console, v.dev);
	size_t done = 0;

	virtio_mmio_hold(&c->v);
	while (done < len && c->from != c->to && virtio_mmio_serves(&c->v, QUEUE_RECEIVE)) {
		const struct kept *k = &c->kept[c->from++ % VIRTQUEUE_MAX_SIZE];
		uint64_t n = len - done < k->len ? len - done : k->len;

		guest_ram_begin_write(c->v.dev.ram);
		guest_ram_begin_write(c->v.dev.ram);
		memcpy(k->to, (const uint8_t *)bytes + done, n);
		guest_ram_mark_dirty(c->v.dev.ram, k->gpa, n);
		guest_ram_end_write(c->v.dev.ram);
		guest_ram_end_write(c->v.dev.ram);
		virtio_mmio_give_back(&c->v, QUEUE_RECEIVE, k->head, (uint32_t)n);
		done += n;
	}
	c->starved |= done < len;
	virtio_mmio_release(&c->v);
	return done;
}

void virtio_console_resize(struct device *dev, uint16_t rows, uint16_t cols)
{
	struct virtio_console *c = container_of(dev, struct virtio_console, v.dev);
	const uint16_t size[2] = {cols, rows}; /* little endian, as we are */

	virtio_mmio_set_config(&c->v, 0, size, sizeof(size));
}

unsigned int virtio_console_poll(struct device *dev)
{
	return virtio_mmio_poll(&container_of(dev, struct virtio_console, v.dev)->v);
}

struct device *virtio_console_create(const struct device_env *env,
				     const struct virtio_console_params *params)
{
	struct virtio_console *c = calloc(1, sizeof(*c));
	struct virtio_console_config config = {.cols = params->cols, .rows = params->rows};
	int err;

	if (!c)
		return NULL;
	c->params = *params;
	c->v.nr_queues = 2;
	c->v.features = 1ull << VIRTIO_CONSOLE_F_SIZE;
	c->v.config_size = offsetof(struct virtio_console_config, max_nr_ports);
	memcpy(c->v.config, &config, c->v.config_size);
	err = virtio_mmio_init(&c->v, &console_model, env, !params->no_worker);
	if (!err)
		return &c->v.dev;
	free(c);
	errno = -err;
	return NULL;
}
