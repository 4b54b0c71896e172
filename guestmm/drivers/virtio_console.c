/*
 * virtio-console (virtio 1.2, section 5.3): one port, /dev/hvc0.
 *
 *   receive   BUFFERS buffers wait at the device; interrupt ──> take() ──> client, in order
 *   transmit  one request at a time, polled. The bytes have left when write() returns, as with the 16550, because the
 *             machine may end right after it.
 *
 * I1  Bytes that the client has no room for stay in their buffer, and later buffers stay in the ring, until
 *     start_receiving() is called. When all buffers are full, the VMM stops reading its standard input.
 * I2  The CPU that sets `receiving` passes bytes to the client. If another CPU asks for the same meanwhile (`again`),
 *     it looks once more before it clears `receiving`.
 * I3  A device that breaks the rules is reset and not used any more: output goes to the serial port, input ends.
 *
 * Locks: rx_lock for the receive queue and the buffer that is being read; tx_lock for the transmit queue, inside the
 * terminal's lock. The client is called with neither.
 */
#include "arch/irqflags.h"
#include "drivers/console_port.h"
#include "drivers/driver.h"
#include "drivers/virtio.h"
#include "kernel/console.h"
#include "kernel/irq.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define VIRTIO_ID_CONSOLE     3
#define VIRTIO_CONSOLE_F_SIZE 0
#define CONFIG_SIZE	      0 /* two bytes of columns, two of rows */
#define BUFFERS		      4u
#define BUFFER_BYTES	      (PAGE_SIZE / (BUFFERS + 1)) /* the last buffer is for output */

struct virtio_console {
	struct virtio_device vdev;
	struct virtqueue rx, tx;
	spinlock_t rx_lock, tx_lock;
	u8 *buffer; /* BUFFERS to receive, then one to transmit */
	dma_addr_t buffer_dma;
	const struct console_client *client; /* C after open */
	u32 receiving, again;		     /* A: I2 */
	u8 *at;				     /* rx_lock: the rest of a buffer... */
	u32 left;			     /* ...of so many bytes */
	u32 which;			     /* rx_lock: the buffer that `at` is in */
	bool dead;			     /* A: I3 */
};

static struct virtio_console *vc;

static void give_up(const char *why)
{
	if (atomic_xchg(&vc->dead, true))
		return;
	virtio_device_reset(&vc->vdev);
	printk("hvc0: the device %s, it is not used any more\n", why);
}

/* ---- receiving -------------------------------------------------------------------------------- */

/* Give a buffer to the device. rx_lock held, except during initialisation. */
static void offer(u32 which)
{
	const struct vring_desc d = {.addr = vc->buffer_dma + which * BUFFER_BYTES,
				     .len = BUFFER_BYTES,
				     .flags = VRING_DESC_F_WRITE};

	BUG_ON(virtqueue_add(&vc->rx, &d, 0, 1, vc->buffer + which * BUFFER_BYTES));
	if (virtqueue_kick(&vc->rx))
		virtqueue_notify(&vc->rx);
}

/* Take the next buffer that the device has filled. False: there is none, and an interrupt will come with the next.
 * rx_lock held. */
static bool next_buffer(void)
{
	u32 len;
	u8 *buf;

	do {
		buf = virtqueue_get(&vc->rx, &len);
	} while (!buf && !vc->rx.broken && !virtqueue_enable_cb(&vc->rx));
	if (!buf)
		return false;
	vc->at = buf;
	vc->left = min(len, (u32)BUFFER_BYTES);
	vc->which = (buf - vc->buffer) / BUFFER_BYTES;
	return true;
}

/* Copy up to `max` received bytes. Returns how many. */
static u32 take(u8 *to, u32 max)
{
	unsigned long flags = spin_lock_irqsave(&vc->rx_lock);
	u32 n = 0;

	while (max && !vc->dead && (vc->left || next_buffer())) {
		n = min(vc->left, max);
		memcpy(to, vc->at, n);
		vc->at += n;
		vc->left -= n;
		if (!vc->left)
			offer(vc->which);
		if (n)
			break;
	}
	spin_unlock_irqrestore(&vc->rx_lock, flags);
	return n;
}

static void receive(void)
{
	u8 chunk[64];
	u32 n;

	atomic_xchg(&vc->again, 1);
	while (READ_ONCE(vc->again) && !atomic_xchg(&vc->receiving, 1)) {
		atomic_xchg(&vc->again, 0);
		while ((n = take(chunk, min(vc->client->room(), (u32)sizeof(chunk)))))
			vc->client->receive(chunk, n);
		atomic_xchg(&vc->receiving, 0);
	}
	if (vc->rx.broken)
		give_up("returned a buffer that it does not have");
}

static void interrupt(void *arg)
{
	u32 why = virtio_interrupt_ack(&vc->vdev);

	if (vc->dead || !vc->client)
		return;
	if (why & VIRTIO_INT_CONFIG)
		vc->client->resized();
	receive();
}

/* ---- the port --------------------------------------------------------------------------------- */

static int port_open(const struct console_client *client)
{
	vc->client = client;
	virtio_device_ready(&vc->vdev);
	for (u32 i = 0; i < BUFFERS; i++)
		offer(i);
	return 0;
}

static void port_start_receiving(void)
{
	if (!vc->dead)
		receive();
}

/* Send n <= BUFFER_BYTES bytes. False: the device is broken. tx_lock held. */
static bool transmit(const char *buf, u32 n)
{
	const struct vring_desc d = {.addr = vc->buffer_dma + BUFFERS * BUFFER_BYTES, .len = n};
	u32 len;

	memcpy(vc->buffer + BUFFERS * BUFFER_BYTES, buf, n);
	BUG_ON(virtqueue_add(&vc->tx, &d, 0, 1, vc->buffer)); /* one at a time: there is room */
	if (virtqueue_kick(&vc->tx))
		virtqueue_notify(&vc->tx);
	while (!virtqueue_get(&vc->tx, &len)) {
		/* Reading the status is an exit, so do it only once in a while. */
		for (int i = 0; i < 1000 && !virtqueue_pending(&vc->tx); i++)
			cpu_relax();
		if (vc->tx.broken || (virtio_status(&vc->vdev) & VIRTIO_S_NEEDS_RESET))
			return false;
	}
	return true;
}

static void port_write(const char *buf, size_t n)
{
	unsigned long flags = spin_lock_irqsave(&vc->tx_lock);
	bool broken = false;

	while (n && !vc->dead && !broken) {
		u32 part = min(n, (size_t)BUFFER_BYTES);

		broken = !transmit(buf, part);
		if (broken)
			break;
		buf += part;
		n -= part;
	}
	spin_unlock_irqrestore(&vc->tx_lock, flags);
	if (broken)
		give_up("does not print");
	if (n)
		console_write(buf, n);
}

static void port_size(u16 *rows, u16 *cols)
{
	u32 size = 0;

	if (virtio_has_feature(&vc->vdev, VIRTIO_CONSOLE_F_SIZE))
		size = virtio_config_read32(&vc->vdev, CONFIG_SIZE);
	*cols = size & 0xffff;
	*rows = size >> 16;
}

static const struct console_port port = {
	.name = "hvc0",
	.major = 229,
	.open = port_open,
	.start_receiving = port_start_receiving,
	.write = port_write,
	.size = port_size,
};

const struct console_port *virtio_console_port(void)
{
	return vc ? &port : NULL;
}

static int virtio_console_probe(const struct boot_device *bd)
{
	struct virtio_console *c;
	int err;

	if (strcmp(bd->role, "console"))
		return -ENODEV;
	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return -ENOMEM;
	spin_lock_init(&c->rx_lock);
	spin_lock_init(&c->tx_lock);
	err = virtio_mmio_probe(&c->vdev, bd, 1ull << VIRTIO_CONSOLE_F_SIZE);
	if (err)
		goto free;
	err = -ENODEV;
	if (c->vdev.device_id != VIRTIO_ID_CONSOLE || vc)
		goto reset;
	err = -ENOMEM;
	c->buffer = dma_alloc_coherent(&c->vdev.dev, PAGE_SIZE, &c->buffer_dma, GFP_KERNEL);
	if (!c->buffer)
		goto reset;
	err = virtqueue_create(&c->rx, &c->vdev, 0, 2 * BUFFERS);
	if (err)
		goto buffer;
	err = virtqueue_create(&c->tx, &c->vdev, 1, 2);
	if (err)
		goto rx;
	vc = c;
	err = request_irq(bd->gsi, interrupt, c, "virtio-console");
	if (err)
		goto tx;
	virtqueue_disable_cb(&c->tx);
	virtqueue_enable_cb(&c->rx);
	return 0;
tx:
	vc = NULL;
	virtio_device_reset(&c->vdev);
	virtqueue_destroy(&c->tx);
rx:
	virtio_device_reset(&c->vdev);
	virtqueue_destroy(&c->rx);
buffer:
	dma_free_coherent(&c->vdev.dev, PAGE_SIZE, c->buffer, c->buffer_dma);
reset:
	virtio_device_reset(&c->vdev);
free:
	kfree(c);
	return err;
}

DRIVER(virtio_console, "virtio,mmio", virtio_console_probe);
