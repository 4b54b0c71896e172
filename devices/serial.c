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
 * I1. The line is edge triggered: an edge is sent when a condition becomes pending and enabled, and
 *     again for each further byte, so that no wake-up is lost when the guest reads IIR meanwhile.
 *
 * Locks: s->lock protects every register and the ring. The sink is called under it, which keeps
 * bytes of several vCPUs in order; the interrupt is raised after it is dropped.
 */
#include "devices/device_impl.h"

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
	bool thre_pending; /* THR became empty and IIR has not told yet */
	bool overrun;
	uint8_t rx[SERIAL_RX];
	unsigned int rx_head, rx_tail; /* free-running; head - tail bytes are waiting */
};

static unsigned int rx_waiting(const struct serial *s)
{
	return s->rx_head - s->rx_tail;
}

/* Identification of the most urgent pending and enabled condition. */
static uint8_t pending_iir(const struct serial *s)
{
	if ((s->ier & UART_IER_RLSI) && s->overrun)
		return UART_IIR_RLSI;
	if ((s->ier & UART_IER_RDI) && rx_waiting(s))
		return UART_IIR_RDI;
	if ((s->ier & UART_IER_THRI) && s->thre_pending)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

/* Does the line go up? Called under the lock; the caller raises after dropping it. */
static bool wants_irq(const struct serial *s)
{
	return pending_iir(s) != UART_IIR_NO_INT;
}

/* A byte into the ring. Returns false, and notes the overrun, when there is no room. */
static bool rx_put(struct serial *s, uint8_t byte)
{
	if (rx_waiting(s) == SERIAL_RX) {
		s->overrun = true;
		return false;
	}
	s->rx[s->rx_head++ % SERIAL_RX] = byte;
	return true;
}

static uint8_t read_lsr(struct serial *s)
{
	uint8_t lsr = UART_LSR_TEMT | UART_LSR_THRE;

	if (rx_waiting(s))
		lsr |= UART_LSR_DR;
	if (s->overrun)
		lsr |= UART_LSR_OE;
	s->overrun = false; /* cleared by reading */
	return lsr;
}

/* In loop-back the modem outputs come back as inputs; otherwise a peer is there and ready. */
static uint8_t read_msr(const struct serial *s)
{
	uint8_t msr = 0;

	if (!(s->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
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

static uint8_t read_iir(struct serial *s)
{
	uint8_t iir = pending_iir(s);

	if (iir == UART_IIR_THRI)
		s->thre_pending = false; /* cleared by reading IIR */
	if (s->fcr & UART_FCR_ENABLE_FIFO)
		iir |= 0xc0;
	return iir;
}

static void serial_read(struct device *dev, uint64_t offset, unsigned int size, void *data)
{
	struct serial *s = container_of(dev, struct serial, dev);
	bool dlab, raise = false;
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
		} else if (rx_waiting(s)) {
			v = s->rx[s->rx_tail++ % SERIAL_RX];
			raise = rx_waiting(s) && wants_irq(s);
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
}

static void write_thr(struct serial *s, uint8_t v)
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
	bool dlab, raise = false;
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
		break;
	case UART_FCR:
		s->fcr = v;
		if (v & UART_FCR_CLEAR_RCVR)
			s->rx_tail = s->rx_head;
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
}

size_t serial_input(struct device *dev, const void *bytes, size_t len)
{
	struct serial *s = container_of(dev, struct serial, dev);
	size_t taken = 0;
	bool raise;

	pthread_mutex_lock(&s->lock);
	while (taken < len && rx_put(s, ((const uint8_t *)bytes)[taken]))
		taken++;
	raise = wants_irq(s);
	pthread_mutex_unlock(&s->lock);
	if (raise)
		device_raise_irq(dev);
	return taken;
}

static void serial_reset(struct device *dev)
{
	struct serial *s = container_of(dev, struct serial, dev);

	pthread_mutex_lock(&s->lock);
	s->ier = s->lcr = s->mcr = s->scr = s->fcr = s->dll = s->dlm = 0;
	s->thre_pending = s->overrun = false;
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
