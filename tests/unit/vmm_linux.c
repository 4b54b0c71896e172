/*
 * The bzImage loader against damaged files, what it tells a good kernel, and how a run of Linux ends:
 * no KVM needed. The kernel here is a setup header and 8 KiB of code that nobody runs.
 */
#include "../host/unit.h"
#include <asm/bootparam.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "devices/devices.h"
#include "machine/acpi.h"
#include "machine/internal.h"

#define RAM_SIZE (32ull << 20)
#define SETUP	 1024u
#define CODE	 8192u
#define LOAD	 (16ull << 20)

static char path[64];
static int fd;

static struct setup_header good_header(void)
{
	return (struct setup_header){
		.setup_sects = SETUP / 512 - 1,
		.syssize = CODE / 16,
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH | CAN_USE_HEAP,
		.xloadflags = XLF_KERNEL_64,
		.initrd_addr_max = 0x7fffffff,
		.cmdline_size = 2047,
		.pref_address = LOAD,
		.init_size = 1u << 20,
		.setup_data = 0x1234,
	};
}

/** The file of `size` bytes with that header. */
static void write_kernel(const struct setup_header *h, uint64_t size)
{
	unsigned char *image = calloc(1, SETUP + CODE);

	for (unsigned int i = 0; i < CODE; i++)
		image[SETUP + i] = (unsigned char)(i * 7 + 1);
	memcpy(image + 0x1f1, h, sizeof(*h));
	CU_ASSERT_FATAL(!ftruncate(fd, 0));
	CU_ASSERT_FATAL(pwrite(fd, image, size, 0) == (ssize_t)size);
	free(image);
}

static struct machine *ram_machine(void)
{
	struct machine *m = calloc(1, sizeof(*m));

	m->config.ram_low = m->initrd_top = RAM_SIZE;
	m->config.cpus = 1;
	m->config.console_fd = -1;
	m->wake_fd = -1;
	m->sys.backend = KVM_BACKEND_SVM;
	m->ram.nr = 2;
	m->ram.region[0] = (struct guest_ram_region){.size = RAM_SIZE, .hva = calloc(1, RAM_SIZE)};
	m->ram.region[1] = (struct guest_ram_region){
		.gpa = MMVM_RAM_HIGH_BASE, .size = 8192, .hva = calloc(1, 8192)};
	pthread_mutex_init(&m->outcome_lock, NULL);
	pthread_mutex_init(&m->record_lock, NULL);
	CU_ASSERT_EQUAL_FATAL(machine_record_init(m, &(struct mmvm_error){0}), 0);
	return m;
}

static void ram_machine_free(struct machine *m)
{
	machine_bus_destroy(m);
	machine_linux_free(m);
	machine_record_destroy(m);
	free(m->ram.region[0].hva);
	free(m->ram.region[1].hva);
	free(m);
}

/** Load the file into a new machine; the error's text is kept. */
static int load(struct mmvm_error *err)
{
	struct machine *m = ram_machine();
	int rc = machine_load_linux(m, path, err);

	ram_machine_free(m);
	return rc;
}

static void test_good(void)
{
	struct setup_header h = good_header();
	struct machine *m = ram_machine();
	struct boot_params *bp = (void *)(m->ram.region[0].hva + MMVM_FDT_BASE);
	struct mmvm_error err = {0};
	const char *cmdline;

	write_kernel(&h, SETUP + CODE);
	CU_ASSERT(machine_kernel_is_linux(path));
	m->config.append = "quiet";
	m->config.initrd = "x";
	m->config.initrd_len = 1;
	m->initrd_gpa = RAM_SIZE - 4096;
	CU_ASSERT_FATAL(!machine_load_linux(m, path, &err));
	CU_ASSERT(machine_runs_linux(m));
	CU_ASSERT_EQUAL(m->entry, LOAD + 0x200);
	CU_ASSERT_EQUAL(m->kernel_end, LOAD + h.init_size);
	CU_ASSERT_EQUAL(m->initrd_top, RAM_SIZE);
	CU_ASSERT_EQUAL(m->ram.region[0].hva[LOAD + 1000], (unsigned char)(1000 * 7 + 1));
	CU_ASSERT_FATAL(!machine_build_linux_params(m, &err));
	CU_ASSERT_EQUAL(bp->hdr.type_of_loader, 0xff);
	CU_ASSERT_EQUAL(bp->hdr.setup_data, 0);
	CU_ASSERT_EQUAL(bp->hdr.ramdisk_image, RAM_SIZE - 4096);
	CU_ASSERT_EQUAL(bp->hdr.ramdisk_size, 1);
	cmdline = (char *)m->ram.region[0].hva + bp->hdr.cmd_line_ptr;
	CU_ASSERT(strstr(cmdline, "console=ttyS0") == cmdline);
	CU_ASSERT(strstr(cmdline, " quiet") != NULL);
	/* All RAM but what lies between base memory and 1 MiB, in order. */
	CU_ASSERT_EQUAL_FATAL(bp->e820_entries, 4);
	CU_ASSERT_EQUAL(bp->e820_table[0].addr, 0);
	CU_ASSERT_EQUAL(bp->e820_table[1].type, 2);
	CU_ASSERT_EQUAL(bp->e820_table[1].addr, bp->e820_table[0].size);
	CU_ASSERT(bp->e820_table[1].addr <= ACPI_BASE);
	CU_ASSERT_EQUAL(bp->e820_table[2].addr, 1 << 20);
	CU_ASSERT_EQUAL(bp->e820_table[2].size, RAM_SIZE - (1 << 20));
	CU_ASSERT_EQUAL(bp->e820_table[3].addr, MMVM_RAM_HIGH_BASE);
	CU_ASSERT_EQUAL(bp->e820_table[3].size, 8192);
	ram_machine_free(m);
}

#define BAD(field, value, size, what)                            \
	do {                                                     \
		struct setup_header h_ = good_header();          \
		struct mmvm_error err_ = {0};                    \
		h_.field = (value);                              \
		write_kernel(&h_, (size));                       \
		CU_ASSERT_EQUAL(load(&err_), -1);                \
		CU_ASSERT_EQUAL(err_.status, MMVM_EXIT_USAGE);   \
		CU_ASSERT_PTR_NOT_NULL(strstr(err_.text, what)); \
	} while (0)

static void test_bad(void)
{
	const uint64_t all = SETUP + CODE;

	BAD(header, 0, all, "no setup header");
	BAD(boot_flag, 0, all, "no setup header");
	BAD(version, 0x020b, all, "older than 2.12");
	BAD(loadflags, 0, all, "zImage");
	BAD(xloadflags, 0, all, "64-bit entry");
	BAD(pref_address, 4096, all, "below 1 MiB");
	BAD(pref_address, LOAD + 1, all, "below 1 MiB");
	BAD(pref_address, 1ull << 40, all, "larger --memory");
	BAD(pref_address, ~4095ull, all, "larger --memory");
	BAD(init_size, ~0u, all, "larger --memory");
	BAD(syssize, 0, all, "no code");
	BAD(syssize, 32, all, "no code");
	BAD(syssize, ~0u, all, "cut short");
	BAD(setup_sects, 255, all, "cut short");
	BAD(setup_sects, 0, SETUP + 512, "cut short");
	BAD(version, 0x020f, all - 16, "cut short");
	BAD(version, 0x020f, SETUP - 1, "cut short");
	BAD(version, 0x020f, 0x210, "shorter than its setup header");
}

/** Random bytes anywhere in the header: refused with a sentence, or loaded within RAM (ASan). */
static void test_random(void)
{
	uint64_t state = 88172645463325252ull;
	unsigned int loaded = 0;

	for (unsigned int i = 0; i < 300; i++) {
		struct setup_header h = good_header();
		struct mmvm_error err = {0};
		unsigned int n = 1 + i % 4;

		while (n--) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			((unsigned char *)&h)[state % sizeof(h)] = (unsigned char)(state >> 32);
		}
		write_kernel(&h, SETUP + CODE);
		if (load(&err)) {
			CU_ASSERT(err.text[0] && err.status == MMVM_EXIT_USAGE);
		} else {
			loaded++;
		}
	}
	CU_ASSERT(loaded > 0 && loaded < 300);
}

static void test_refused_here(void)
{
	struct setup_header h = good_header();
	struct machine *m = ram_machine();
	struct mmvm_error err = {0};
	char *longest;

	write_kernel(&h, SETUP + CODE);
	m->sys.backend = KVM_BACKEND_PVM;
	CU_ASSERT_EQUAL(machine_load_linux(m, path, &err), -1);
	CU_ASSERT_EQUAL(err.status, MMVM_EXIT_HOST);
	m->sys.backend = KVM_BACKEND_VMX;
	CU_ASSERT_FATAL(!machine_load_linux(m, path, &err));
	longest = calloc(1, 2048);
	memset(longest, 'a', 2047);
	m->config.append = longest;
	CU_ASSERT_EQUAL(machine_build_linux_params(m, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "2047 bytes"));
	free(longest);
	ram_machine_free(m);
}

static uint8_t sum(const uint8_t *p, uint32_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

static void test_acpi(void)
{
	struct machine *m = ram_machine();
	const uint8_t *ram = m->ram.region[0].hva, *rsdp = ram + ACPI_BASE, *xsdt, *table;
	struct device disk = {.compatible = "virtio,mmio",
			      .base = MMVM_VIRTIO_BASE,
			      .size = 0x1000,
			      .gsi = MMVM_VIRTIO_GSI};
	struct device other = {.compatible = "something else"}, unnamed = {.compatible = NULL};
	struct mmvm_error err = {0};
	uint64_t at;
	uint32_t len;

	m->device[0] = &unnamed;
	m->device[1] = m->device[3] = &disk;
	m->device[2] = &other;
	m->nr_devices = 4;
	CU_ASSERT_FATAL(!machine_build_acpi(m, &err));
	CU_ASSERT(!memcmp(rsdp, "RSD PTR ", 8));
	CU_ASSERT_EQUAL(sum(rsdp, 20), 0);
	CU_ASSERT_EQUAL(sum(rsdp, 36), 0);
	memcpy(&at, rsdp + 24, 8);
	xsdt = ram + at;
	memcpy(&len, xsdt + 4, 4);
	CU_ASSERT_EQUAL(sum(xsdt, len), 0);
	CU_ASSERT_EQUAL(len, 36 + 2 * 8);
	for (unsigned int i = 0; i < 2; i++) {
		memcpy(&at, xsdt + 36 + 8 * i, 8);
		table = ram + at;
		memcpy(&len, table + 4, 4);
		CU_ASSERT_EQUAL(sum(table, len), 0);
		CU_ASSERT(!memcmp(table, i ? "APIC" : "FACP", 4));
		if (i)
			continue;
		memcpy(&at, table + 140, 8);
		table = ram + at;
		memcpy(&len, table + 4, 4);
		CU_ASSERT_EQUAL(sum(table, len), 0);
		CU_ASSERT(!memcmp(table, "DSDT", 4));
		CU_ASSERT_PTR_NOT_NULL(memmem(table, len, "VR01", 4));
		CU_ASSERT_PTR_NULL(memmem(table, len, "VR02", 4));
		/* The scope's length in AML ends where the name \_S5 begins. */
		CU_ASSERT_EQUAL(table[36], 0x10);
		CU_ASSERT(!memcmp(table + 37 + (table[37] & 0xf) + (table[38] << 4), "\x08\\_S5_",
				  6));
	}
	m->nr_devices = 0;
	ram_machine_free(m);
}

static struct machine *running_linux(void)
{
	struct setup_header h = good_header();
	struct machine *m = ram_machine();
	struct mmvm_error err = {0};

	write_kernel(&h, SETUP + CODE);
	CU_ASSERT_FATAL(!machine_load_linux(m, path, &err));
	CU_ASSERT_FATAL(!machine_create_linux_devices(m, &err));
	return m;
}

static void say(struct machine *m, const char *text)
{
	machine_console_write(m, text, strlen(text));
}

static void out(struct machine *m, uint16_t port, uint8_t byte)
{
	machine_bus_write(m, BUS_PIO, port, &byte, 1);
}

static void test_ends(void)
{
	struct machine *m = running_linux();
	uint8_t status = 0;

	/* Not an end: other commands, other sleep states, ordinary lines. */
	out(m, ACPI_RESET_PORT, 0xd1);
	out(m, ACPI_SLEEP_PORT, 0x20);
	out(m, ACPI_SLEEP_PORT + 1, 0x80);
	say(m, "reboot: System halted\n[    1.0] all is well\n");
	CU_ASSERT(!atomic_load(&m->finished));
	CU_ASSERT(!machine_linux_reset(m));
	machine_bus_read(m, BUS_PIO, ACPI_RESET_PORT, &status, 1);
	CU_ASSERT(!(status & 2)); /* who writes a command need not wait */
	out(m, ACPI_SLEEP_PORT, 0x34);
	CU_ASSERT(atomic_load(&m->finished));
	CU_ASSERT_EQUAL(m->outcome.kind, OUTCOME_EXITED);
	CU_ASSERT_EQUAL(m->outcome.status, 0);
	ram_machine_free(m);

	m = running_linux();
	out(m, ACPI_RESET_PORT, ACPI_RESET_VALUE);
	CU_ASSERT(atomic_load(&m->finished) && m->outcome.kind == OUTCOME_EXITED);
	ram_machine_free(m);

	m = running_linux();
	say(m, "[    2.0] reboot: Restarting system\r\n");
	CU_ASSERT(!atomic_load(&m->finished));
	CU_ASSERT(machine_linux_reset(m)); /* a triple fault */
	CU_ASSERT_EQUAL(m->outcome.kind, OUTCOME_EXITED);
	ram_machine_free(m);

	m = running_linux();
	say(m, "[    2.0] reboot: Sys");
	say(m, "tem halted\n");
	CU_ASSERT(atomic_load(&m->finished) && m->outcome.kind == OUTCOME_EXITED);
	ram_machine_free(m);
}

static void test_panics(void)
{
	struct machine *m = running_linux();

	say(m, "[    2.0] Kernel panic - not syncing: no root\r\n");
	CU_ASSERT(!atomic_load(&m->finished));
	out(m, ACPI_RESET_PORT, ACPI_RESET_VALUE);
	CU_ASSERT(atomic_load(&m->finished));
	CU_ASSERT_EQUAL(m->outcome.kind, OUTCOME_CRASHED);
	CU_ASSERT_STRING_EQUAL(m->outcome.text, "Linux: Kernel panic - not syncing: no root");
	ram_machine_free(m);

	/* panic=0: it does not reset, and the run ends all the same. */
	m = running_linux();
	say(m, "[    2.0] Kernel panic - not syncing: no init\n");
	say(m, "[    2.1] ---[ end Kernel panic - not syncing: no init ]---\n");
	CU_ASSERT(atomic_load(&m->finished) && m->outcome.kind == OUTCOME_CRASHED);
	ram_machine_free(m);

	/* A line longer than is kept. */
	m = running_linux();
	for (unsigned int i = 0; i < 1000; i++)
		say(m, "Kernel panic - ");
	say(m, "\n");
	CU_ASSERT(machine_linux_reset(m));
	CU_ASSERT(m->outcome.kind == OUTCOME_CRASHED);
	ram_machine_free(m);
}

#define PRINTERS 4u
/* More than a half of what is kept of a line */
#define PART                                                               \
	"[    1.0] 012345678901234567890123456789012345678901234567890123" \
	"0123456789012345678901234567890123456789012345678901234567890123456789"

/** Prints lines as a vCPU does, a part at a time. */
static void *prints(void *machine)
{
	for (unsigned int i = 0; i < 3000; i++) {
		say(machine, PART);
		say(machine, PART);
		say(machine, "\n");
	}
	return NULL;
}

/** Several vCPUs print at once: no byte is lost, and none is written beyond the line. */
static void test_many_print(void)
{
	struct machine *m = running_linux();
	pthread_t t[PRINTERS];
	uint64_t each = 3000ull * (2 * strlen(PART) + 1);

	for (unsigned int i = 0; i < PRINTERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, prints, m), 0);
	for (unsigned int i = 0; i < PRINTERS; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(m->console_total, PRINTERS * each);
	CU_ASSERT(!atomic_load(&m->finished));
	say(m, "\n[    2.0] reboot: System halted\n");
	CU_ASSERT(atomic_load(&m->finished) && m->outcome.kind == OUTCOME_EXITED);
	ram_machine_free(m);
}

int main(void)
{
	int status;
	static const struct unit_case cases[] = {
		{"a good kernel, and what it is told", test_good},
		{"each bad field has its sentence", test_bad},
		{"random headers", test_random},
		{"what this host or the header refuses", test_refused_here},
		{"ACPI tables", test_acpi},
		{"how a run ends", test_ends},
		{"panics", test_panics},
		{"several CPUs print at once", test_many_print},
	};

	fd = memfd_create("kernel", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0)
		return 1;
	status = unit_run("linux", cases, sizeof(cases) / sizeof(cases[0]));
	close(fd);
	return status;
}
