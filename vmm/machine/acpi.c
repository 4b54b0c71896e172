/*
 * ACPI tables for a Linux guest: the least that names processors, the IOAPIC, the serial port and
 * the virtio-mmio devices, and says how to switch the machine off. Distributors build virtio_mmio
 * without its command-line parameter, so this is the way that works with their kernels.
 *
 *   0xe0000  RSDP -> XSDT -> FADT -> DSDT     where PCs' firmware keeps it: found without being told
 *                         -> MADT
 *
 * The machine is "hardware-reduced" (ACPI 6.4, 4.1): no fixed registers, no SCI, no 8254, no 8259.
 * What is left are two ports: the sleep control register and the reset register, which is the
 * keyboard controller's command port.
 *
 * DSDT, in the source language:
 *
 *   Scope (\_SB) {
 *       Device (COM1) { _HID "PNP0501"   _UID 0   _CRS: ports, interrupt }
 *       Device (VR00) { _HID "LNRO0005"  _UID 0   _CRS: Memory32Fixed, Interrupt }  and so on
 *   }
 *   Name (\_S5, Package () { 5, 0, 0, 0 })
 *
 * I1  every length in AML is written in the two-byte form of PkgLength, which holds 4095: the whole
 *     table is smaller (DSDT_MAX)
 */
#include <stdio.h>
#include <string.h>
#include "machine/acpi.h"
#include "machine/internal.h"

#define ACPI_AREA 0x2000u
#define DSDT_MAX  0xf00u

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t extended_checksum, reserved[3];
} __attribute__((packed));

struct acpi_xsdt {
	struct acpi_header h;
	uint64_t table[2];
} __attribute__((packed));

/** Generic address: where a register is. */
struct acpi_gas {
	uint8_t space, bits, offset, access;
	uint64_t address;
} __attribute__((packed));

/** Fixed description table, revision 6; what hardware-reduced machines do not have is left out. */
struct acpi_fadt {
	struct acpi_header h;
	uint32_t facs, dsdt;
	uint8_t fixed_1[109 - 44];
	uint16_t boot_flags;
	uint8_t reserved;
	uint32_t flags;
	struct acpi_gas reset;
	uint8_t reset_value;
	uint16_t arm_flags;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	uint8_t fixed_2[244 - 148];
	struct acpi_gas sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

struct acpi_madt {
	struct acpi_header h;
	uint32_t lapic, flags;
} __attribute__((packed));

struct madt_lapic {
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} __attribute__((packed));

_Static_assert(sizeof(struct acpi_header) == 36 && sizeof(struct acpi_rsdp) == 36, "ACPI");
_Static_assert(sizeof(struct acpi_fadt) == 276 && offsetof(struct acpi_fadt, flags) == 112 &&
		       offsetof(struct acpi_fadt, x_dsdt) == 140 &&
		       offsetof(struct acpi_fadt, sleep_control) == 244,
	       "FADT");
_Static_assert(sizeof(struct madt_lapic) == 8 && sizeof(struct madt_ioapic) == 12, "MADT");

#define FADT_NO_VGA	   (1u << 2)
#define FADT_NO_CMOS_RTC   (1u << 5)
#define FADT_PWR_BUTTON	   (1u << 4) /* none of the fixed kind */
#define FADT_SLP_BUTTON	   (1u << 5)
#define FADT_RESET_REG	   (1u << 10)
#define FADT_HW_REDUCED	   (1u << 20)
#define GAS_SYSTEM_IO	   1
#define GAS_BYTE	   1
#define MADT_LAPIC	   0
#define MADT_IOAPIC	   1
#define MADT_LAPIC_ENABLED 1u

/* ---- AML ------------------------------------------------------------------------------------- */

struct aml {
	uint8_t *buf;
	size_t len;
	bool full;
};

static void put(struct aml *a, const void *bytes, size_t n)
{
	if (n > DSDT_MAX - a->len) {
		a->full = true;
		return;
	}
	memcpy(a->buf + a->len, bytes, n);
	a->len += n;
}

static void put_byte(struct aml *a, uint8_t byte)
{
	put(a, &byte, 1);
}

/** Begin what carries a length: its operator, room for the length. Returns where that is. */
static size_t open_package(struct aml *a, const char *op, size_t op_len)
{
	size_t at;

	put(a, op, op_len);
	at = a->len;
	put(a, "\0\0", 2);
	return at;
}

/** The length counts its own two bytes (ACPI 6.4, 20.2.4). */
static void close_package(struct aml *a, size_t at)
{
	size_t n = a->len - at;

	if (a->full)
		return;
	a->buf[at] = (uint8_t)(0x40 | (n & 0xf));
	a->buf[at + 1] = (uint8_t)(n >> 4);
}

/** `name` has four characters. */
static void put_name(struct aml *a, const char *name)
{
	put_byte(a, 0x08);
	put(a, name, 4);
}

static void put_identity(struct aml *a, const char *hid, uint8_t uid)
{
	put_name(a, "_HID");
	put_byte(a, 0x0d);
	put(a, hid, strlen(hid) + 1);
	put_name(a, "_UID");
	put_byte(a, 0x0a);
	put_byte(a, uid);
}

/** _CRS: `where` (a descriptor of memory or ports), then the interrupt: an edge, active high. */
static void put_resources(struct aml *a, const void *where, size_t len, uint32_t gsi)
{
	const uint8_t irq[] = {0x89,
			       6,
			       0,
			       0x03,
			       1,
			       (uint8_t)gsi,
			       (uint8_t)(gsi >> 8),
			       (uint8_t)(gsi >> 16),
			       (uint8_t)(gsi >> 24)};
	size_t at;

	put_name(a, "_CRS");
	at = open_package(a, "\x11", 1);
	put_byte(a, 0x0a);
	put_byte(a, (uint8_t)(len + sizeof(irq) + 2));
	put(a, where, len);
	put(a, irq, sizeof(irq));
	put(a, "\x79\0", 2); /* end; checksum not given */
	close_package(a, at);
}

static void put_serial(struct aml *a)
{
	const uint8_t ports[] = {0x47,
				 1,
				 MMVM_SERIAL_PORT & 0xff,
				 MMVM_SERIAL_PORT >> 8,
				 MMVM_SERIAL_PORT & 0xff,
				 MMVM_SERIAL_PORT >> 8,
				 1,
				 8};
	size_t at = open_package(a, "\x5b\x82", 2);

	put(a, "COM1", 4);
	put_identity(a, "PNP0501", 0);
	put_resources(a, ports, sizeof(ports), MMVM_SERIAL_GSI);
	close_package(a, at);
}

static void put_virtio(struct aml *a, unsigned int i, const struct device *d)
{
	const uint32_t base = (uint32_t)d->base, size = (uint32_t)d->size;
	uint8_t memory[12] = {0x86, 9, 0, 1 /* writable */};
	char name[5];
	size_t at = open_package(a, "\x5b\x82", 2);

	memcpy(memory + 4, &base, 4);
	memcpy(memory + 8, &size, 4);
	snprintf(name, sizeof(name), "VR%02X", i & 0xff);
	put(a, name, 4);
	put_identity(a, "LNRO0005", (uint8_t)i);
	put_resources(a, memory, sizeof(memory), d->gsi);
	close_package(a, at);
}

static void put_devices(struct aml *a, const struct machine *m)
{
	static const uint8_t s5[] = {0x0a, ACPI_SLEEP_OFF, 0, 0, 0};
	size_t at = open_package(a, "\x10", 1);
	unsigned int nr_virtio = 0;

	put(a, "\\_SB_", 5);
	put_serial(a);
	for (unsigned int i = 0; i < m->nr_devices; i++)
		if (m->device[i]->compatible && !strcmp(m->device[i]->compatible, "virtio,mmio"))
			put_virtio(a, nr_virtio++, m->device[i]);
	close_package(a, at);
	put_byte(a, 0x08);
	put(a, "\\_S5_", 5);
	at = open_package(a, "\x12", 1);
	put_byte(a, 4);
	put(a, s5, sizeof(s5));
	close_package(a, at);
}

/* ---- tables ---------------------------------------------------------------------------------- */

/** What makes all bytes sum to 0. */
static uint8_t checksum(const void *p, size_t len)
{
	const uint8_t *byte = p;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *byte++);
	return (uint8_t)-sum;
}

static void fill_header(struct acpi_header *h, const char *signature, uint8_t revision, size_t len)
{
	memcpy(h->signature, signature, 4);
	h->length = (uint32_t)len;
	h->revision = revision;
	memcpy(h->oem, "MMVM  ", 6);
	memcpy(h->oem_table, "MMVM    ", 8);
	memcpy(h->creator, "MMVM", 4);
	h->oem_revision = h->creator_revision = 1;
	h->checksum = 0;
	h->checksum = checksum(h, len);
}

static struct acpi_gas port(uint16_t number)
{
	return (struct acpi_gas){
		.space = GAS_SYSTEM_IO, .bits = 8, .access = GAS_BYTE, .address = number};
}

static void fill_fadt(struct acpi_fadt *f, uint64_t dsdt)
{
	f->dsdt = (uint32_t)dsdt;
	f->x_dsdt = dsdt;
	f->boot_flags = FADT_NO_VGA | FADT_NO_CMOS_RTC;
	f->flags = FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_RESET_REG | FADT_HW_REDUCED;
	f->reset = port(ACPI_RESET_PORT);
	f->reset_value = ACPI_RESET_VALUE;
	f->sleep_control = port(ACPI_SLEEP_PORT);
	f->sleep_status = port(ACPI_SLEEP_PORT + 1);
	fill_header(&f->h, "FACP", 6, sizeof(*f));
}

static void fill_madt(struct acpi_madt *t, unsigned int cpus)
{
	struct madt_lapic *cpu = (void *)(t + 1);
	struct madt_ioapic *io = (void *)(cpu + cpus);
	size_t len = (size_t)((char *)(io + 1) - (char *)t);

	t->lapic = (uint32_t)MMVM_LAPIC_BASE;
	for (unsigned int i = 0; i < cpus; i++)
		cpu[i] = (struct madt_lapic){.type = MADT_LAPIC,
					     .length = sizeof(*cpu),
					     .uid = (uint8_t)i,
					     .apic_id = (uint8_t)i,
					     .flags = MADT_LAPIC_ENABLED};
	*io = (struct madt_ioapic){
		.type = MADT_IOAPIC, .length = sizeof(*io), .address = (uint32_t)MMVM_IOAPIC_BASE};
	fill_header(&t->h, "APIC", 5, len);
}

int machine_build_acpi(struct machine *m, struct mmvm_error *err)
{
	/* MMVM_RAM_MIN guarantees that the first MiB exists. */
	char *area = guest_ram_ptr(&m->ram, ACPI_BASE, ACPI_AREA);
	struct acpi_rsdp *rsdp = (void *)area;
	struct acpi_xsdt *xsdt = (void *)(area + 0x40);
	struct acpi_fadt *fadt = (void *)(area + 0x100);
	struct acpi_madt *madt = (void *)(area + 0x300);
	struct acpi_header *dsdt = (void *)(area + 0x400);
	struct aml aml = {.buf = (uint8_t *)(dsdt + 1)};

	_Static_assert(sizeof(struct acpi_madt) + MMVM_MAX_CPUS * sizeof(struct madt_lapic) +
				       sizeof(struct madt_ioapic) <=
			       0x100,
		       "MADT");
	_Static_assert(0x400 + sizeof(struct acpi_header) + DSDT_MAX <= ACPI_AREA, "DSDT");
	memset(area, 0, ACPI_AREA);
	put_devices(&aml, m);
	if (aml.full)
		return mmvm_error(err, MMVM_EXIT_USAGE, "too many devices for the ACPI tables");
	fill_header(dsdt, "DSDT", 2, sizeof(*dsdt) + aml.len);
	fill_madt(madt, m->config.cpus);
	fill_fadt(fadt, ACPI_BASE + 0x400);
	xsdt->table[0] = ACPI_BASE + 0x100;
	xsdt->table[1] = ACPI_BASE + 0x300;
	fill_header(&xsdt->h, "XSDT", 1, sizeof(*xsdt));
	memcpy(rsdp->signature, "RSD PTR ", 8);
	memcpy(rsdp->oem, "MMVM  ", 6);
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = ACPI_BASE + 0x40;
	rsdp->checksum = checksum(rsdp, 20); /* what ACPI 1.0 knew of it */
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
	return 0;
}
