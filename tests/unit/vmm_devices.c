/*
 * Guest RAM, console, test channel and fast operations: what each does, and what each does not let
 * a guest do.
 */
#include "vmm_virtqueue_driver.h"
#include "../host/unit.h"
#include <linux/serial_reg.h>
#include <pthread.h>

static struct rig rig;

/* ---- guest RAM ---------------------------------------------------- */

static void test_ram_bounds(void)
{
	static const struct {
		uint64_t gpa, len;
		bool ok;
	} range[] = {
		{0, 1, true},
		{0, MIB, true},
		{0, MIB + 1, false}, /* two regions: no single pointer */
		{0, 0, false},
		{MIB - 1, 1, true},
		{MIB - 1, 2, false},
		{2 * MIB - 1, 1, true},
		{2 * MIB, 1, false},
		{HIGH_BASE - 1, 1, false},
		{HIGH_BASE, MIB, true},
		{HIGH_BASE + MIB - 8, 8, true},
		{HIGH_BASE + MIB - 8, 9, false},
		{HIGH_BASE, ~0ull, false},
		{~0ull, 1, false},
		{~0ull, 2, false},
		{16, ~0ull - 8, false}, /* the sum wraps */
	};

	rig_init(&rig);
	for (unsigned int i = 0; i < sizeof(range) / sizeof(range[0]); i++)
		CU_ASSERT_EQUAL(guest_ram_ptr(&rig.ram, range[i].gpa, range[i].len) != NULL,
				range[i].ok);
	CU_ASSERT_PTR_EQUAL(guest_ram_ptr(&rig.ram, HIGH_BASE + 5, 1), rig.ram.region[2].hva + 5);
	CU_ASSERT_EQUAL(guest_ram_span(&rig.ram, MIB - 1), 1);
	CU_ASSERT_EQUAL(guest_ram_span(&rig.ram, MIB), MIB);
	CU_ASSERT_EQUAL(guest_ram_span(&rig.ram, 2 * MIB), 0);
	rig_exit(&rig);
}

static void test_ram_copy_is_all_or_nothing(void)
{
	static uint8_t buf[8192], back[8192];

	rig_init(&rig);
	for (unsigned int i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 31 + 7);
	/* Over the seam of two regions. */
	CU_ASSERT_EQUAL(guest_ram_write(&rig.ram, MIB - 5000, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(guest_ram_read(&rig.ram, MIB - 5000, back, sizeof(back)), 0);
	CU_ASSERT(memcmp(buf, back, sizeof(buf)) == 0);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, MIB - 5001), 0);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, MIB - 5000 + 8192), 0);
	CU_ASSERT_EQUAL(count_dirty(&rig), 3);
	CU_ASSERT(page_dirty(&rig, MIB - 8192));
	CU_ASSERT(page_dirty(&rig, MIB - 4096));
	CU_ASSERT(page_dirty(&rig, MIB));
	/* Off the end: not one byte. */
	clear_dirty(&rig);
	CU_ASSERT_EQUAL(guest_ram_write(&rig.ram, 2 * MIB - 8191, buf, 8192), -EFAULT);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, 2 * MIB - 8191), 0);
	CU_ASSERT_EQUAL(count_dirty(&rig), 0);
	memset(back, 0x11, sizeof(back));
	CU_ASSERT_EQUAL(guest_ram_read(&rig.ram, 2 * MIB - 8191, back, 8192), -EFAULT);
	CU_ASSERT_EQUAL(back[0], 0x11);
	CU_ASSERT_EQUAL(guest_ram_read(&rig.ram, ~0ull - 3, back, 8), -EFAULT);
	rig_exit(&rig);
}

static void *mark_every_other(void *arg)
{
	for (uint64_t p = (uintptr_t)arg; p < RAM_PAGES; p += 2)
		guest_ram_mark_dirty(&rig.ram, p * 4096, 1);
	return NULL;
}

static void test_dirty_marks_from_two_threads(void)
{
	pthread_t t[2];

	rig_init(&rig);
	for (unsigned int round = 0; round < 20; round++) {
		clear_dirty(&rig);
		for (uintptr_t i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, mark_every_other, (void *)i);
		for (unsigned int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
		CU_ASSERT_EQUAL(count_dirty(&rig), RAM_PAGES);
	}
	/* Not kept: not touched. Outside: ignored. */
	rig.ram.region[0].dirty = NULL;
	guest_ram_mark_dirty(&rig.ram, 0, MIB);
	guest_ram_mark_dirty(&rig.ram, 3 * MIB, MIB);
	rig_exit(&rig);
}

/* ---- console ------------------------------------------------------ */

static char out[256];
static size_t out_len;
static void sink(void *arg, const void *bytes, size_t len)
{
	if (len > sizeof(out) - out_len)
		len = sizeof(out) - out_len;
	memcpy(out + out_len, bytes, len);
	out_len += len;
}

static uint8_t in8(struct device *dev, uint64_t port)
{
	uint8_t v = 0;

	dev->model->read(dev, port, 1, &v);
	return v;
}
static void out8(struct device *dev, uint64_t port, uint8_t v)
{
	dev->model->write(dev, port, 1, &v);
}

static struct device *serial_start(void)
{
	struct device_env env;
	struct device *dev;

	rig_init(&rig);
	env = rig_env(&rig, "console");
	out_len = 0;
	dev = serial_create(&env, sink, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	return dev;
}

static void serial_stop(struct device *dev)
{
	dev->model->destroy(dev);
	rig_exit(&rig);
}

static void test_serial_output(void)
{
	struct device *dev = serial_start();

	CU_ASSERT(dev->pio);
	CU_ASSERT_EQUAL(in8(dev, UART_LSR) & (UART_LSR_THRE | UART_LSR_TEMT | UART_LSR_DR),
			UART_LSR_THRE | UART_LSR_TEMT);
	for (const char *p = "hello"; *p; p++)
		out8(dev, UART_TX, (uint8_t)*p);
	CU_ASSERT_EQUAL(out_len, 5);
	CU_ASSERT(memcmp(out, "hello", 5) == 0);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 0); /* polled: no interrupt */
	/* The divisor hides THR and IER. */
	out8(dev, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	out8(dev, UART_DLL, 1);
	out8(dev, UART_DLM, 2);
	CU_ASSERT_EQUAL(in8(dev, UART_DLL), 1);
	CU_ASSERT_EQUAL(in8(dev, UART_DLM), 2);
	out8(dev, UART_LCR, UART_LCR_WLEN8);
	CU_ASSERT_EQUAL(in8(dev, UART_LCR), UART_LCR_WLEN8);
	CU_ASSERT_EQUAL(in8(dev, UART_IER), 0);
	CU_ASSERT_EQUAL(out_len, 5);
	/* Scratch, and the loop-back by which drivers find a UART. */
	out8(dev, UART_SCR, 0xa5);
	CU_ASSERT_EQUAL(in8(dev, UART_SCR), 0xa5);
	out8(dev, UART_MCR, UART_MCR_LOOP | UART_MCR_DTR | UART_MCR_OUT1);
	CU_ASSERT_EQUAL(in8(dev, UART_MCR), UART_MCR_LOOP | UART_MCR_DTR | UART_MCR_OUT1);
	CU_ASSERT_EQUAL(in8(dev, UART_MSR), UART_MSR_DSR | UART_MSR_RI);
	out8(dev, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT2);
	CU_ASSERT_EQUAL(in8(dev, UART_MSR), UART_MSR_CTS | UART_MSR_DCD);
	out8(dev, UART_TX, 'x');
	CU_ASSERT_EQUAL(out_len, 5);
	CU_ASSERT_EQUAL(in8(dev, UART_RX), 'x');
	out8(dev, UART_MCR, 0);
	CU_ASSERT_EQUAL(in8(dev, UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
	out8(dev, UART_LSR, 0); /* read-only, as on hardware: no harm */
	out8(dev, UART_MSR, 0);
	CU_ASSERT_EQUAL(in8(dev, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	CU_ASSERT_EQUAL(errors(dev), 0);
	dev->model->reset(dev);
	CU_ASSERT_EQUAL(in8(dev, UART_SCR), 0);
	serial_stop(dev);
}

static void test_serial_transmit_interrupt(void)
{
	struct device *dev = serial_start();

	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_NO_INT);
	out8(dev, UART_IER, UART_IER_THRI);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 1); /* empty now: the driver may start */
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_THRI);
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_NO_INT); /* reading acknowledged it */
	out8(dev, UART_TX, 'a');
	CU_ASSERT_EQUAL(rig.irq.line.raised, 2);
	out8(dev, UART_IER, 0);
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_NO_INT);
	out8(dev, UART_TX, 'b');
	CU_ASSERT_EQUAL(rig.irq.line.raised, 2);
	out8(dev, UART_FCR, UART_FCR_ENABLE_FIFO);
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_NO_INT | 0xc0);
	serial_stop(dev);
}

static void test_serial_input(void)
{
	struct device *dev = serial_start();
	char typed[300];

	memset(typed, 'k', sizeof(typed));
	CU_ASSERT_EQUAL(serial_input(dev, "ab", 2), 2);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 0);
	CU_ASSERT_EQUAL(in8(dev, UART_LSR) & UART_LSR_DR, UART_LSR_DR);
	out8(dev, UART_IER, UART_IER_RDI | UART_IER_RLSI);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 1);
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_RDI);
	CU_ASSERT_EQUAL(in8(dev, UART_RX), 'a');
	CU_ASSERT_EQUAL(rig.irq.line.raised, 2); /* one more waits */
	CU_ASSERT_EQUAL(in8(dev, UART_RX), 'b');
	CU_ASSERT_EQUAL(rig.irq.line.raised, 2);
	CU_ASSERT_EQUAL(in8(dev, UART_RX), 0);
	CU_ASSERT_EQUAL(in8(dev, UART_LSR) & UART_LSR_DR, 0);
	/* What does not fit waits outside; what the guest sends itself is lost: an overrun, told once. */
	CU_ASSERT_EQUAL(serial_input(dev, typed, sizeof(typed)), 256);
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_RDI);
	out8(dev, UART_MCR, UART_MCR_LOOP);
	out8(dev, UART_TX, 'x');
	out8(dev, UART_MCR, 0);
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_RLSI);
	CU_ASSERT_EQUAL(in8(dev, UART_LSR) & UART_LSR_OE, UART_LSR_OE);
	CU_ASSERT_EQUAL(in8(dev, UART_LSR) & UART_LSR_OE, 0);
	out8(dev, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	CU_ASSERT_EQUAL(in8(dev, UART_LSR) & UART_LSR_DR, 0);
	serial_stop(dev);
}

static unsigned int room_calls;
static void on_room(void *arg)
{
	room_calls += arg == &room_calls;
}

/* With the FIFO on, a whole level reads otherwise than fewer bytes, and a break comes in its place. */
static void test_serial_fifo(void)
{
	struct device *dev = serial_start();

	out8(dev, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_14);
	out8(dev, UART_IER, UART_IER_RDI);
	CU_ASSERT_EQUAL(serial_input(dev, "0123456789abcd", 14), 14);
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_RDI | 0xc0);
	CU_ASSERT_EQUAL(in8(dev, UART_RX), '0');
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_RX_TIMEOUT | 0xc0);
	serial_break(dev);
	CU_ASSERT_EQUAL(serial_input(dev, "after", 5), 0); /* until it is read */
	for (unsigned int i = 1; i < 14; i++) {
		CU_ASSERT_EQUAL(in8(dev, UART_LSR) & (UART_LSR_DR | UART_LSR_BI), UART_LSR_DR);
		in8(dev, UART_RX);
	}
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_RX_TIMEOUT | 0xc0);
	CU_ASSERT_EQUAL(in8(dev, UART_LSR) & UART_LSR_BI, UART_LSR_BI);
	CU_ASSERT_EQUAL(in8(dev, UART_RX), 0);
	CU_ASSERT_EQUAL(in8(dev, UART_LSR) & (UART_LSR_DR | UART_LSR_BI), 0);
	CU_ASSERT_EQUAL(serial_input(dev, "after", 5), 5);
	serial_stop(dev);
}

static void test_serial_gate(void)
{
	struct device *dev = serial_start();
	char typed[300] = {0};

	room_calls = 0;
	serial_on_room(dev, true, on_room, &room_calls);
	CU_ASSERT_EQUAL(serial_input(dev, typed, 1), 0);
	CU_ASSERT_EQUAL(room_calls, 0);
	out8(dev, UART_IER, UART_IER_RDI);
	CU_ASSERT_EQUAL(room_calls, 1);
	CU_ASSERT_EQUAL(serial_input(dev, typed, sizeof(typed)), 256);
	for (unsigned int i = 0; i < 256; i++)
		in8(dev, UART_RX);
	CU_ASSERT_EQUAL(room_calls, 2); /* once, when half of it was free */
	serial_stop(dev);
}

static void test_serial_modem(void)
{
	struct device *dev = serial_start();

	serial_modem_change(dev);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 0);
	out8(dev, UART_IER, UART_IER_MSI);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 1);
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_MSI);
	CU_ASSERT_EQUAL(in8(dev, UART_MSR) & UART_MSR_DCTS, UART_MSR_DCTS);
	CU_ASSERT_EQUAL(in8(dev, UART_MSR) & UART_MSR_DCTS, 0);
	CU_ASSERT_EQUAL(in8(dev, UART_IIR), UART_IIR_NO_INT);
	serial_stop(dev);
}

static void test_serial_widths(void)
{
	struct device *dev = serial_start();
	uint32_t v = 0;

	dev->model->read(dev, UART_LSR, 4, &v);
	CU_ASSERT_EQUAL(v, 0xffffffff);
	dev->model->write(dev, UART_TX, 2, "no");
	dev->model->write(dev, 8, 1, "n");
	CU_ASSERT_EQUAL(in8(dev, 9), 0xff);
	CU_ASSERT_EQUAL(out_len, 0);
	CU_ASSERT_EQUAL(errors(dev), 4);
	serial_stop(dev);
}

/* ---- test channel ------------------------------------------------- */

static struct {
	uint64_t value;
	char name[64], text[128];
	unsigned int records, consoles, exits, audits, stats, faults;
	int exit_status;
	char role[64];
	uint64_t k, count;
} seen;

static void on_record(void *arg, const struct mmvm_record *rec)
{
	seen.records++;
	seen.value = rec->value;
	snprintf(seen.name, sizeof(seen.name), "%s", rec->name);
	snprintf(seen.text, sizeof(seen.text), "%s", rec->text);
	CU_ASSERT_EQUAL(rec->text[rec->text_len], 0);
}
static void on_console(void *arg, const char *text, size_t len)
{
	seen.consoles++;
	sink(NULL, text, len);
}
static void on_exit_record(void *arg, int status)
{
	seen.exits++;
	seen.exit_status = status;
}
static int on_audit(void *arg)
{
	seen.audits++;
	return 42;
}
static int on_disk_stats(void *arg, const char *role, struct mmvm_disk_stats *st)
{
	seen.stats++;
	snprintf(seen.role, sizeof(seen.role), "%s", role);
	if (strcmp(role, "swap"))
		return -ENODEV;
	*st = (struct mmvm_disk_stats){.reads = 7, .sectors_written = 99};
	return 0;
}
static int on_hostfault(void *arg, const char *role, uint64_t k, uint64_t count)
{
	seen.faults++;
	seen.k = k;
	seen.count = count;
	return 0;
}
static const struct testchan_ops ops = {
	.on_record = on_record,
	.on_console = on_console,
	.on_exit = on_exit_record,
	.on_audit = on_audit,
	.on_disk_stats = on_disk_stats,
	.on_hostfault = on_hostfault,
};

static struct device *chan_start(void)
{
	struct device_env env;
	struct device *dev;

	rig_init(&rig);
	memset(&seen, 0, sizeof(seen));
	out_len = 0;
	env = rig_env(&rig, "testchan");
	dev = testchan_create(&env, &ops, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	return dev;
}

#define REC_AT 0x20000ull

static struct mmvm_record *put_record(uint64_t gpa, uint32_t kind, const char *name,
				      const char *text)
{
	struct mmvm_record *r = at(&rig, gpa);

	memset(r, 0, sizeof(*r));
	r->kind = kind;
	r->text_len = (uint32_t)strlen(text);
	r->len = sizeof(*r) + r->text_len;
	r->status = 12345;
	strcpy(r->name, name);
	memcpy(r->text, text, r->text_len);
	return r;
}

static void send(struct device *dev, uint64_t gpa)
{
	uint32_t v = (uint32_t)(gpa >> 4);

	dev->model->write(dev, 0, 4, &v);
}

static void test_channel_dispatch(void)
{
	struct device *dev = chan_start();
	struct mmvm_record *r;
	struct mmvm_disk_stats st;

	r = put_record(REC_AT, MMVM_REC_TEST_END, "suite.case", "because");
	r->value = 1;
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(r->status, 0);
	CU_ASSERT_EQUAL(seen.records, 1);
	CU_ASSERT_EQUAL(seen.value, 1);
	CU_ASSERT_STRING_EQUAL(seen.name, "suite.case");
	CU_ASSERT_STRING_EQUAL(seen.text, "because");

	r = put_record(HIGH_BASE, MMVM_REC_CONSOLE, "", "fast console\n");
	send(dev, HIGH_BASE);
	CU_ASSERT_EQUAL(r->status, 0);
	CU_ASSERT_EQUAL(seen.consoles, 1);
	CU_ASSERT_EQUAL(out_len, 13);
	CU_ASSERT_EQUAL(seen.records, 1);

	r = put_record(REC_AT, MMVM_REC_AUDIT, "", "");
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(r->status, 42);

	r = put_record(REC_AT, MMVM_REC_DISK_STATS, "swap", "");
	r->text_len = sizeof(st);
	r->len = sizeof(*r) + sizeof(st);
	clear_dirty(&rig);
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(r->status, 0);
	memcpy(&st, r->text, sizeof(st));
	CU_ASSERT_EQUAL(st.reads, 7);
	CU_ASSERT_EQUAL(st.sectors_written, 99);
	CU_ASSERT(page_dirty(&rig, REC_AT));
	strcpy(r->name, "nosuch");
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(r->status, -ENODEV);
	r->text_len = sizeof(st) - 1; /* no room */
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(r->status, -EINVAL);
	CU_ASSERT_EQUAL(seen.stats, 2);

	r = put_record(REC_AT, MMVM_REC_HOSTFAULT, "swap", "");
	r->value = 5;
	r->value2 = 2;
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(seen.k, 5);
	CU_ASSERT_EQUAL(seen.count, 2);

	r = put_record(REC_AT, MMVM_REC_EXIT, "", "");
	r->value = 3;
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(seen.exits, 1);
	CU_ASSERT_EQUAL(seen.exit_status, 3);
	CU_ASSERT_EQUAL(seen.records, 2); /* EXIT is a record too */
	CU_ASSERT_EQUAL(errors(dev), 0);
	dev->model->destroy(dev);
	rig_exit(&rig);
}

static void test_channel_refuses(void)
{
	struct device *dev = chan_start();
	struct mmvm_record *r = put_record(REC_AT, MMVM_REC_REPORT, "x", "y");
	uint8_t snapshot[sizeof(*r) + 1];
	uint64_t n = 0;

	/* Address: the hole, the end of RAM, a header that does not fit. */
	send(dev, 0x300000);
	send(dev, 0xfffffffull << 4);
	send(dev, 2 * MIB - 64);
	CU_ASSERT_EQUAL(errors(dev), n += 3);

	r->len = sizeof(*r) - 1;
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(r->status, -EINVAL);
	r->len = MMVM_RECORD_MAX + 1;
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(r->status, -EINVAL);
	r->len = 0xffffffff;
	r->text_len = 0xffffffff;
	send(dev, REC_AT);
	r->len = sizeof(*r) + 1;
	r->text_len = 2;
	r->status = 0;
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(r->status, -EINVAL);
	r->text_len = 1;
	r->kind = 0;
	send(dev, REC_AT);
	r->kind = MMVM_REC_KINDS;
	r->status = 0;
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(r->status, -EINVAL);
	r->kind = MMVM_REC_REPORT;
	memset(r->name, 'n', sizeof(r->name)); /* no NUL */
	r->status = 0;
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(r->status, -EINVAL);
	CU_ASSERT_EQUAL(errors(dev), n += 7);

	/* The text leaves the region, though the header is inside: answered, not read. */
	r = put_record(2 * MIB - 96, MMVM_REC_REPORT, "x", "");
	r->len = sizeof(*r) + 1;
	r->text_len = 1;
	send(dev, 2 * MIB - 96);
	CU_ASSERT_EQUAL(r->status, -EFAULT);
	CU_ASSERT_EQUAL(errors(dev), n += 1);
	CU_ASSERT_EQUAL(seen.records, 0);

	/* Wrong width or port: nothing is looked at. */
	r = put_record(REC_AT, MMVM_REC_REPORT, "x", "y");
	memcpy(snapshot, r, sizeof(snapshot));
	dev->model->write(dev, 0, 2, "\0\x20");
	dev->model->write(dev, 2, 4, "\0\x20\0\0");
	dev->model->write(dev, 0, 8, "\0\x20\0\0\0\0\0\0");
	CU_ASSERT(memcmp(snapshot, r, sizeof(snapshot)) == 0);
	CU_ASSERT_EQUAL(reg_read(dev, 0), 0xffffffff);
	CU_ASSERT_EQUAL(errors(dev), n + 4);
	CU_ASSERT_EQUAL(seen.records, 0);

	/* The largest record is fine. */
	r->len = MMVM_RECORD_MAX;
	r->text_len = MMVM_RECORD_MAX - sizeof(*r);
	send(dev, REC_AT);
	CU_ASSERT_EQUAL(r->status, 0);
	CU_ASSERT_EQUAL(seen.records, 1);
	dev->model->destroy(dev);
	rig_exit(&rig);
}

/* ---- fast operations ---------------------------------------------- */

static struct mmvm_shared *shared;

static struct device *fast_start(void)
{
	struct device_env env;
	struct device *dev;

	rig_init(&rig);
	shared = (struct mmvm_shared *)guarded_map(MMVM_SHARED_SIZE);
	env = rig_env(&rig, "fastop");
	dev = fastop_create(&env, shared, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	return dev;
}

static void fast_stop(struct device *dev)
{
	dev->model->destroy(dev);
	munmap((uint8_t *)shared - 4096, MMVM_SHARED_SIZE + 8192);
	rig_exit(&rig);
}

static int fast(struct device *dev, uint32_t op, uint64_t dst, uint64_t src, uint64_t len,
		uint64_t value)
{
	uint8_t cpu = 1;

	shared->mailbox[1] = (struct mmvm_mailbox){
		.op = op, .result = 999, .dst = dst, .src = src, .len = len, .value = value};
	dev->model->write(dev, 0, 1, &cpu);
	return shared->mailbox[1].result;
}

static void test_fast_fill_and_copy(void)
{
	struct device *dev = fast_start();
	uint8_t *p = at(&rig, 0x10000);

	memset(p, 0xcc, 8192);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_FILL, 0x10000, 0, 4096, 0), 0);
	CU_ASSERT_EQUAL(p[0], 0);
	CU_ASSERT_EQUAL(p[4095], 0);
	CU_ASSERT_EQUAL(p[4096], 0xcc);
	CU_ASSERT(page_dirty(&rig, 0x10000));
	CU_ASSERT_EQUAL(count_dirty(&rig), 1);
	/* A pattern whose bytes differ, and a tail. */
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_FILL, 0x10008, 0, 21, 0x0807060504030201ull), 0);
	CU_ASSERT_EQUAL(p[7], 0);
	for (unsigned int i = 0; i < 21; i++)
		CU_ASSERT_EQUAL(p[8 + i], 1 + i % 8);
	CU_ASSERT_EQUAL(p[29], 0);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_COPY, HIGH_BASE + 1, 0x10008, 21, 0), 0);
	CU_ASSERT(memcmp(at(&rig, HIGH_BASE + 1), p + 8, 21) == 0);
	CU_ASSERT(page_dirty(&rig, HIGH_BASE));
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_NOP, 0, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_FILL, 0, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(errors(dev), 0);
	/* Neighbours that touch do not overlap. */
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_COPY, 0x11000, 0x10000, 4096, 0), 0);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_COPY, 0x10000, 0x11000, 4096, 0), 0);
	fast_stop(dev);
}

static void test_fast_refuses(void)
{
	struct device *dev = fast_start();
	struct device_env env = rig_env(&rig, "fastop");
	uint8_t cpu = 2;

	CU_ASSERT_PTR_NULL(fastop_create(&env, shared, 0));
	CU_ASSERT_PTR_NULL(fastop_create(&env, shared, MMVM_MAX_CPUS + 1));
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_FILL, 4, 0, 8, 1), -EINVAL);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_FILL, 2 * MIB - 8, 0, 9, 1), -EFAULT);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_FILL, ~7ull, 0, 16, 1), -EFAULT);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_FILL, MMVM_SHARED_BASE, 0, 8, 1), -EFAULT);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_FILL, 0, 0, 2 * MIB + 1, 1), -EINVAL);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_FILL, 0, 0, ~0ull, 1), -EINVAL);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_COPY, 0, 2 * MIB, 8, 0), -EFAULT);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_COPY, 2 * MIB, 0, 8, 0), -EFAULT);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_COPY, 0x1000, 0x1800, 0x1000, 0), -EINVAL);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_COPY, 0x1800, 0x1000, 0x1000, 0), -EINVAL);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_COPY, 0x1000, 0x1000, 8, 0), -EINVAL);
	CU_ASSERT_EQUAL(fast(dev, 5, 0, 0, 8, 0), -EINVAL);
	CU_ASSERT_EQUAL(errors(dev), 12);
	CU_ASSERT_EQUAL(count_dirty(&rig), 0);
	/* A vCPU that is not there, another width, another port, a read. */
	shared->mailbox[2].op = MMVM_FASTOP_FILL;
	shared->mailbox[2].len = 8;
	shared->mailbox[2].result = 999;
	dev->model->write(dev, 0, 1, &cpu);
	CU_ASSERT_EQUAL(shared->mailbox[2].result, 999);
	dev->model->write(dev, 0, 4, "\1\0\0\0");
	dev->model->write(dev, 1, 1, "\1");
	CU_ASSERT_EQUAL(in8(dev, 0), 0xff);
	CU_ASSERT_EQUAL(errors(dev), 16);
	fast_stop(dev);
}

/* What a request to start a vCPU hands on, and the answer that goes back. */
static struct {
	uint64_t cpu, rip, cr3, rsp;
	unsigned int calls;
} started;

static int note_start(void *arg, uint64_t cpu, uint64_t rip, uint64_t cr3, uint64_t rsp)
{
	CU_ASSERT_PTR_EQUAL(arg, &started);
	started.calls++;
	started.cpu = cpu;
	started.rip = rip;
	started.cr3 = cr3;
	started.rsp = rsp;
	return cpu == 1 ? 0 : -EINVAL;
}

static void test_fast_cpus(void)
{
	struct device *dev = fast_start();

	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_YIELD, ~0ull, ~0ull, ~0ull, 0), 0);
	/* Nobody there to start one. */
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_CPU_START, 7, 8, 9, 1), -EINVAL);
	fastop_set_cpu_start(dev, note_start, &started);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_CPU_START, 7, 8, 9, 1), 0);
	CU_ASSERT_EQUAL(started.cpu, 1);
	CU_ASSERT_EQUAL(started.rip, 7);
	CU_ASSERT_EQUAL(started.cr3, 8);
	CU_ASSERT_EQUAL(started.rsp, 9);
	CU_ASSERT_EQUAL(fast(dev, MMVM_FASTOP_CPU_START, 7, 8, 9, ~0ull), -EINVAL);
	CU_ASSERT_EQUAL(started.calls, 2);
	CU_ASSERT_EQUAL(errors(dev), 2);
	CU_ASSERT_EQUAL(count_dirty(&rig), 0);
	fast_stop(dev);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(test_ram_bounds),
		UNIT_CASE(test_ram_copy_is_all_or_nothing),
		UNIT_CASE(test_dirty_marks_from_two_threads),
		UNIT_CASE(test_serial_output),
		UNIT_CASE(test_serial_transmit_interrupt),
		UNIT_CASE(test_serial_input),
		UNIT_CASE(test_serial_fifo),
		UNIT_CASE(test_serial_gate),
		UNIT_CASE(test_serial_modem),
		UNIT_CASE(test_serial_widths),
		UNIT_CASE(test_channel_dispatch),
		UNIT_CASE(test_channel_refuses),
		UNIT_CASE(test_fast_fill_and_copy),
		UNIT_CASE(test_fast_refuses),
		UNIT_CASE(test_fast_cpus),
	};

	return unit_run("devices", cases, sizeof(cases) / sizeof(cases[0]));
}
