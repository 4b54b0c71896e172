/*
 * The console on the 16550: input, and how it reaches the terminal (National Semiconductor PC16550D data sheet, table
 * II and section 8).
 *
 *   interrupt ──> IIR: trigger level reached ── read 14 bytes without reading LSR in between ──> client
 *                      fewer bytes wait      ── read one by one while LSR says that there is one
 *                      line status           ── a break: the stream ends
 *                      modem status          ── the window has changed its size
 *
 * Each access to a register is an exit of the machine; the trigger level saves most of them.
 *
 * I1  While the client has no room the receive interrupt is masked; bytes wait in the device, and the
 *     VMM stops reading its standard input. If bytes wait when the interrupt is unmasked, it fires at once.
 *
 * Lock: serial_lock for IER; the handler runs on one CPU at a time.
 */
#include "arch/io.h"
#include "drivers/console_port.h"
#include "kernel/console.h"
#include "kernel/irq.h"
#include "lib/env.h"
#include "mmvm/layout.h"
#include "lib/shared.h"

enum { RBR = 0, IER = 1, IIR = 2, FCR = 2, MCR = 4, LSR = 5, MSR = 6 };
#define IER_RDI	    1u
#define IER_RLSI    4u
#define IER_MSI	    8u
#define IIR_NONE    1u
#define IIR_ID	    0x0fu
#define IIR_MSI	    0x00u
#define IIR_RDI	    0x04u
#define IIR_RLSI    0x06u
#define IIR_TIMEOUT 0x0cu
#define FCR_ON	    0x01u
#define FCR_CLEAR   0x06u
#define FCR_LEVEL14 0xc0u
#define MCR_OUT2    0x0bu /* DTR, RTS, and the interrupt's gate */
#define LSR_DR	    0x01u
#define LSR_BI	    0x10u
#define LEVEL	    14u

static spinlock_t serial_lock = SPINLOCK_INIT;
static bool receiving;
static const struct console_client *client; /* C after serial_open() */

static u8 in(unsigned int reg)
{
	return inb(MMVM_SERIAL_PORT + reg);
}

static void out(unsigned int reg, u8 v)
{
	outb(MMVM_SERIAL_PORT + reg, v);
}

static void serial_start_receiving(void)
{
	unsigned long flags = spin_lock_irqsave(&serial_lock);

	if (!receiving) {
		receiving = true;
		out(IER, IER_MSI | IER_RDI | IER_RLSI);
	}
	spin_unlock_irqrestore(&serial_lock, flags);
}

static void stop_receiving(void)
{
	unsigned long flags = spin_lock_irqsave(&serial_lock);

	if (receiving) {
		receiving = false;
		out(IER, IER_MSI);
	}
	spin_unlock_irqrestore(&serial_lock, flags);
}

/* Read the waiting bytes one by one. False: the client has no room. */
static bool receive_some(void)
{
	u8 lsr, c;

	while ((lsr = in(LSR)) & LSR_DR) {
		if (!client->room())
			return false;
		c = in(RBR);
		if (lsr & LSR_BI)
			client->line_break();
		else
			client->receive(&c, 1);
	}
	return true;
}

static bool receive_level(void)
{
	u8 bytes[LEVEL];

	if (client->room() < LEVEL)
		return receive_some();
	for (u32 i = 0; i < LEVEL; i++)
		bytes[i] = in(RBR);
	client->receive(bytes, LEVEL);
	return true;
}

static void serial_interrupt(void *arg)
{
	for (;;) {
		u8 iir = in(IIR)&IIR_ID;
		bool room = true;

		if (iir & IIR_NONE)
			return;
		if (iir == IIR_RDI)
			room = receive_level();
		else if (iir == IIR_TIMEOUT || iir == IIR_RLSI)
			room = receive_some();
		else if (iir == IIR_MSI && in(MSR))
			client->resized();
		if (!room)
			stop_receiving(); /* I1 */
	}
}

static int serial_open(const struct console_client *c)
{
	int err;

	client = c; /* before the first interrupt */
	err = request_irq(MMVM_SERIAL_GSI, serial_interrupt, NULL, "ttyS0");

	if (err)
		return err;
	out(FCR, FCR_ON | FCR_CLEAR | FCR_LEVEL14);
	out(MCR, MCR_OUT2);
	out(IER, IER_MSI);
	return 0;
}

/* A serial line knows no window. The VMM writes the window's size into the shared page. */
static void serial_size(u16 *rows, u16 *cols)
{
	u32 v = READ_ONCE(mmvm_shared->console_size);

	*rows = v >> 16;
	*cols = v & 0xffff;
}

const struct console_port serial_port = {
	.name = "ttyS0",
	.major = 4,
	.minor = 64,
	.open = serial_open,
	.start_receiving = serial_start_receiving,
	.write = console_write,
	.size = serial_size,
};
