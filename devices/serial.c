/*
 * 16550 UART at eight ports: enough for a polled and for an interrupt-driven driver.
 *
 * Output leaves at once, so the transmitter is always empty; what is left of the hardware's timing
 * is the order of events: a byte written to THR makes "transmitter empty" pending again. Input
 * waits in a ring until the guest reads RBR.
 *
 *   serial_input() -> rx[] -> RBR          THR -> sink
 *                      |                    |
 *                   RDI pending          THRE pending    -- IER --> IIR --> edge on the line
 *
 * With the FIFO on, IIR tells whether a whole trigger level of bytes waits (RDI) or fewer (character
 * timeout): a driver may read a level without looking at LSR between, one exit a byte instead of two.
 * A break comes after the bytes that were typed before it. serial_modem_change() is a change of CTS: a
 * driver that asked for modem status looks at what has changed about its peer (the window's size).
 *
 * I1. The line is edge triggered: an edge is sent when a condition becomes pending and enabled, and
 *     again for each further byte, so that no wake-up is lost when the guest reads IIR meanwhile.
 * I2. A caller that could not put all bytes in is called back (serial_on_room) once there is room again.
 *
 * Locks: s->lock protects every register and the ring. The sink is called under it, which keeps
 * bytes of several vCPUs in order; the interrupt is raised after it is dropped.
 */
#include "devices/device_impl.h"
#include "devices/locking.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <pthread.h>
#include <stdlib.h>

#define SERIAL_PORTS 8
#define SERIAL_RX    256 /* bytes waiting for the guest; a power of two */

struct serial {
	struct device dev;
	pthread_mutex_t lock;
	device_sink_fn sink;
	void *sink_arg;
	uint8_t ier, lcr, mcr, scr, fcr, dll, dlm;
	bool thre_pending; /* THR became empty, and the guest has not read that from IIR yet */
	bool overrun;
	bool gated;	 /* take input only while the guest has asked for RDI */
	bool starved;	 /* somebody has input that was not taken */
	bool brk;	 /* a break waits in the ring... */
	uint32_t brk_at; /* ...before the byte of this number */
	bool cts_changed;
	void (*room)(void *arg); /* I2; NULL: nobody waits */
	void *room_arg;
	uint8_t rx[SERIAL_RX];
	unsigned int rx_head, rx_tail; /* free-running; head - tail bytes are waiting */
};

static unsigned int rx_waiting(const struct serial *s) NEEDS_LOCK(s->lock)
{
	return s->rx_head - s->rx_tail;
}

static bool break_next(const struct serial *s) NEEDS_LOCK(s->lock)
{
	return s->brk && s->brk_at == s->rx_tail;
}

/* Bytes that may be read without looking at LSR between. */
static unsigned int rx_ready(const struct serial *s) NEEDS_LOCK(s->lock)
{
	return s->brk ? s->brk_at - s->rx_tail : rx_waiting(s);
}

static unsigned int trigger_level(const struct serial *s) NEEDS_LOCK(s->lock)
{
	static const uint8_t level[] = {1, 4, 8, 14};

	return s->fcr & UART_FCR_ENABLE_FIFO ? level[s->fcr >> 6] : 1;
}

/* Identification of the most urgent pending and enabled condition. */
static uint8_t pending_iir(const struct serial *s) NEEDS_LOCK(s->lock)
{
	if ((s->ier & UART_IER_RLSI) && (s->overrun || break_next(s)))
		return UART_IIR_RLSI;
	if ((s->ier & UART_IER_RDI) && rx_ready(s) >= trigger_level(s))
		return UART_IIR_RDI;
	if ((s->ier & UART_IER_RDI) && (rx_waiting(s) || break_next(s)))
		return UART_IIR_RX_TIMEOUT;
	if ((s->ier & UART_IER_THRI) && s->thre_pending)
		return UART_IIR_THRI;
	if ((s->ier & UART_IER_MSI) && s->cts_changed)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

/* Must the line be raised? Called under the lock; the caller raises it after dropping the lock. */
static bool wants_irq(const struct serial *s) NEEDS_LOCK(s->lock)
{
	return pending_iir(s) != UART_IIR_NO_INT;
}

/* A byte into the ring. Returns false, and notes the overrun, when there is no room. */
static bool rx_put(struct serial *s, uint8_t byte) NEEDS_LOCK(s->lock)
{
	if (rx_waiting(s) == SERIAL_RX) {
		s->overrun = true;
		return false;
	}
	s->rx[s->rx_head++ % SERIAL_RX] = byte;
	return true;
}

static uint8_t read_lsr(struct serial *s) NEEDS_LOCK(s->lock)
{
	uint8_t lsr = UART_LSR_TEMT | UART_LSR_THRE;

	if (break_next(s))
		lsr |= UART_LSR_DR | UART_LSR_BI;
	else if (rx_waiting(s))
		lsr |= UART_LSR_DR;
	if (s->overrun)
		lsr |= UART_LSR_OE;
	s->overrun = false; /* cleared by reading */
	return lsr;
}

/* In loop-back mode the modem outputs are the inputs; otherwise a peer is present and ready. */
static uint8_t read_msr(struct serial *s) NEEDS_LOCK(s->lock)
{
	uint8_t msr = s->cts_changed ? UART_MSR_DCTS : 0;

	s->cts_changed = false; /* cleared by reading */
	if (!(s->mcr & UART_MCR_LOOP))
		return msr | UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	if (s->mcr & UART_MCR_DTR)
		msr |= UART_MSR_DSR;
	if (s->mcr & UART_MCR_RTS)
		msr |= UART_MSR_CTS;
	if (s->mcr & UART_MCR_OUT1)
		msr |= UART_MSR_RI;
	if (s->mcr & UART_MCR_OUT2)
		msr |= UART_MSR_DCD;
	return msr;
}

static uint8_t read_iir(struct serial *s) NEEDS_LOCK(s->lock)
{
	uint8_t iir = pending_iir(s);

	if (iir == UART_IIR_THRI)
		s->thre_pending = false; /* cleared by reading IIR */
	if (s->fcr & UART_FCR_ENABLE_FIFO)
		iir |= 0xc0;
	return iir;
}

/* A byte leaves the ring; a break reads as 0. */
static uint8_t read_rbr(struct serial *s) NEEDS_LOCK(s->lock)
{
	if (break_next(s)) {
		s->brk = false;
		return 0;
	}
	return rx_waiting(s) ? s->rx[s->rx_tail++ % SERIAL_RX] : 0;
}

/* Should the sender that waits for room be called? The caller does so after dropping the lock. */
static bool take_room(struct serial *s) NEEDS_LOCK(s->lock)
{
	if (!s->starved || rx_waiting(s) > SERIAL_RX / 2 || (s->gated && !(s->ier & UART_IER_RDI)))
		return false;
	s->starved = false;
	return s->room != NULL;
}

static void serial_read(struct device *dev, uint64_t offset, unsigned int size, void *data)
{
	struct serial *s = container_of(dev, struct serial, dev);
	bool dlab, raise = false, room = false;
	uint8_t v = 0;

	if (size != 1 || offset >= SERIAL_PORTS) {
		device_bad_read(dev, data, size);
		return;
	}
	pthread_mutex_lock(&s->lock);
	dlab = s->lcr & UART_LCR_DLAB;
	switch (offset) {
	case UART_RX:
		if (dlab) {
			v = s->dll;
		} else {
			v = read_rbr(s);
			raise = (rx_waiting(s) || break_next(s)) && wants_irq(s);
			room = take_room(s);
		}
		break;
	case UART_IER:
		v = dlab ? s->dlm : s->ier;
		break;
	case UART_IIR:
		v = read_iir(s);
		break;
	case UART_LCR:
		v = s->lcr;
		break;
	case UART_MCR:
		v = s->mcr;
		break;
	case UART_LSR:
		v = read_lsr(s);
		break;
	case UART_MSR:
		v = read_msr(s);
		break;
	case UART_SCR:
		v = s->scr;
		break;
	}
	pthread_mutex_unlock(&s->lock);
	*(uint8_t *)data = v;
	if (raise)
		device_raise_irq(dev);
	if (room)
		s->room(s->room_arg);
}

static void write_thr(struct serial *s, uint8_t v) NEEDS_LOCK(s->lock)
{
	if (s->mcr & UART_MCR_LOOP)
		rx_put(s, v);
	else
		s->sink(s->sink_arg, &v, 1);
	s->thre_pending = true;
}

static void serial_write(struct device *dev, uint64_t offset, unsigned int size, const void *data)
{
	struct serial *s = container_of(dev, struct serial, dev);
	bool dlab, raise = false, room = false;
	uint8_t v;

	if (size != 1 || offset >= SERIAL_PORTS) {
		device_guest_error(dev);
		return;
	}
	v = *(const uint8_t *)data;
	pthread_mutex_lock(&s->lock);
	dlab = s->lcr & UART_LCR_DLAB;
	switch (offset) {
	case UART_TX:
		if (dlab) {
			s->dll = v;
		} else {
			write_thr(s, v);
			raise = wants_irq(s);
		}
		break;
	case UART_IER:
		if (dlab) {
			s->dlm = v;
			break;
		}
		/* Enabling THRI while the transmitter is empty makes it pending: drivers rely on
		 * this first interrupt to start sending. */
		if ((v & UART_IER_THRI) && !(s->ier & UART_IER_THRI))
			s->thre_pending = true;
		s->ier = v & 0x0f;
		raise = wants_irq(s);
		room = take_room(s);
		break;
	case UART_FCR:
		s->fcr = v;
		if (v & UART_FCR_CLEAR_RCVR) {
			s->rx_tail = s->rx_head;
			s->brk = false;
			room = take_room(s);
		}
		break;
	case UART_LCR:
		s->lcr = v;
		break;
	case UART_MCR:
		s->mcr = v & 0x1f;
		break;
	case UART_SCR:
		s->scr = v;
		break;
	default: /* LSR and MSR: factory test only, ignored by hardware too */
		break;
	}
	pthread_mutex_unlock(&s->lock);
	if (raise)
		device_raise_irq(dev);
	if (room)
		s->room(s->room_arg);
}

/* Input that arrives while the ring is full is not read yet, so no overrun occurs. */
size_t serial_input(struct device *dev, const void *bytes, size_t len)
{
	struct serial *s = container_of(dev, struct serial, dev);
	bool closed, raise;
	size_t taken = 0;

	pthread_mutex_lock(&s->lock);
	closed = s->brk || (s->gated && !(s->ier & UART_IER_RDI));
	while (!closed && taken < len && rx_waiting(s) < SERIAL_RX)
		rx_put(s, ((const uint8_t *)bytes)[taken++]);
	if (taken < len)
		s->starved = true;
	raise = taken && wants_irq(s);
	pthread_mutex_unlock(&s->lock);
	if (raise)
		device_raise_irq(dev);
	return taken;
}

void serial_break(struct device *dev)
{
	struct serial *s = container_of(dev, struct serial, dev);
	bool raise;

	pthread_mutex_lock(&s->lock);
	s->brk = true;
	s->brk_at = s->rx_head;
	raise = wants_irq(s);
	pthread_mutex_unlock(&s->lock);
	if (raise)
		device_raise_irq(dev);
}

void serial_modem_change(struct device *dev)
{
	struct serial *s = container_of(dev, struct serial, dev);
	bool raise;

	pthread_mutex_lock(&s->lock);
	s->cts_changed = true;
	raise = wants_irq(s);
	pthread_mutex_unlock(&s->lock);
	if (raise)
		device_raise_irq(dev);
}

void serial_on_room(struct device *dev, bool gated, void (*room)(void *arg), void *arg)
{
	struct serial *s = container_of(dev, struct serial, dev);

	pthread_mutex_lock(&s->lock);
	s->gated = s->starved = gated; /* the first call says that input is wanted */
	s->room = room;
	s->room_arg = arg;
	pthread_mutex_unlock(&s->lock);
}

static void serial_reset(struct device *dev)
{
	struct serial *s = container_of(dev, struct serial, dev);

	pthread_mutex_lock(&s->lock);
	s->ier = s->lcr = s->mcr = s->scr = s->fcr = s->dll = s->dlm = 0;
	s->thre_pending = s->overrun = s->brk = s->cts_changed = false;
	s->rx_head = s->rx_tail = 0;
	pthread_mutex_unlock(&s->lock);
}

static void serial_destroy(struct device *dev)
{
	struct serial *s = container_of(dev, struct serial, dev);

	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const struct device_model serial_model = {
	.name = "serial",
	.node = "serial",
	.compatible = "ns16550a",
	.size = SERIAL_PORTS,
	.pio = true,
	.read = serial_read,
	.write = serial_write,
	.reset = serial_reset,
	.destroy = serial_destroy,
};

struct device *serial_create(const struct device_env *env, device_sink_fn sink, void *arg)
{
	struct serial *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	device_init(&s->dev, &serial_model, env);
	pthread_mutex_init(&s->lock, NULL);
	s->sink = sink;
	s->sink_arg = arg;
	return &s->dev;
}
