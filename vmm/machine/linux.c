/*
 * An unmodified Linux kernel in the same machine: a bzImage, entered by the 64-bit boot protocol
 * (Linux, Documentation/arch/x86/boot.rst).
 *
 *   0x01000   GDT and identity page tables, as for guestmm (boot.c)
 *   0x10000   boot_params, the "zero page", where guestmm finds its device tree: RSI points here
 *   0x20000   command line
 *   0xe0000   ACPI tables (acpi.c): processors, interrupts, the serial port, virtio devices
 *   pref_address .. + init_size   the kernel; it is entered 0x200 above its start
 *   .. end of low RAM             initrd
 *
 * How a run ends:
 *
 *   what the guest does                                        outcome
 *   power off (ACPI S5), reset (ACPI, keyboard controller)     exited, status 0
 *   triple fault after "reboot: " on the console               exited, status 0
 *   "reboot: System halted" on the console (`halt`)            exited, status 0
 *   "Kernel panic" on the console, then a reset or its end     crashed, with that line
 *   any other triple fault                                     crashed
 *
 * The command line makes Linux restart by the ACPI reset register (reboot=a): otherwise it jumps into a BIOS,
 * which this machine does not have, and goes on in low memory for ever. What the user adds to the
 * command line comes last, and wins.
 *
 * The file is a stranger's: every field is compared with the file's size and with RAM before it is
 * used, and each thing that can be wrong has its sentence.
 *
 *   I1  what Linux must not reuse before it has read it lies in reserved places (ACPI) or is what it
 *       copies first of all (boot_params, command line)
 *
 * Locks: what is known of the console (line, panic, said_bye) is under R, for any vCPU may print.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "devices/devices.h"
#include "machine/acpi.h"
#include "machine/internal.h"

#define BOOT_PARAMS   MMVM_FDT_BASE /* machine_vcpu_reset() points RSI there */
#define CMDLINE_BASE  0x20000ull
#define CMDLINE_MAX   0x10000ull
#define BASE_MEM_END  0x9fc00ull /* RAM until here; the last KiB is where BIOSes keep MP tables */
#define HIGH_MEM      0x100000ull
#define ENTRY_64      0x200u
#define SECTOR	      512u
#define HDR_OFFSET    0x1f1u	  /* of the setup header in the file */
#define HDR_MAGIC     0x53726448u /* "HdrS" */
#define BOOT_FLAG     0xaa55u
#define PROTOCOL_MIN  0x020cu /* xloadflags */
#define LOADER_OTHER  0xffu
#define SLP_TYP_SHIFT 2 /* of the sleep control register, ACPI 6.4, 4.8.3.7 */
#define SLP_EN	      0x20
#define I8042_READY   0xfd /* its input buffer is empty; nothing else is true of it */

struct machine_linux {
	struct setup_header hdr;
	uint64_t load;
	char line[256]; /* of the console, so far */
	size_t line_len;
	char panic[256]; /* what Linux said when it gave up */
	bool said_bye;	 /* it has said that it restarts or ends */
};

static int bad(struct mmvm_error *err, const char *path, const char *why)
{
	return mmvm_error(err, MMVM_EXIT_USAGE, "%s cannot be booted as a Linux kernel: %s", path,
			  why);
}

static int read_exact(int fd, void *buf, uint64_t len, uint64_t offset)
{
	uint64_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, (char *)buf + got, len - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		got += (uint64_t)n;
	}
	return 0;
}

bool machine_kernel_is_linux(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint16_t flag = 0;
	uint32_t magic = 0;
	bool is = false;

	if (fd < 0)
		return false;
	if (!read_exact(fd, &flag, sizeof(flag), 0x1fe) &&
	    !read_exact(fd, &magic, sizeof(magic), 0x202))
		is = flag == BOOT_FLAG && magic == HDR_MAGIC;
	close(fd);
	return is;
}

static int check_header(const struct setup_header *h, const char *path, struct mmvm_error *err)
{
	if (h->boot_flag != BOOT_FLAG || h->header != HDR_MAGIC)
		return bad(err, path, "it has no setup header");
	if (h->version < PROTOCOL_MIN)
		return bad(err, path, "its boot protocol is older than 2.12 (Linux 3.8)");
	if (!(h->loadflags & LOADED_HIGH))
		return bad(err, path, "it is a zImage, to be loaded below 1 MiB");
	if (!(h->xloadflags & XLF_KERNEL_64))
		return bad(err, path,
			   "it has no 64-bit entry point (XLF_KERNEL_64); is it for "
			   "32-bit processors?");
	if (h->pref_address < HIGH_MEM || h->pref_address % MMVM_PAGE_SIZE)
		return bad(err, path,
			   "the address it wants to be loaded at is below 1 MiB or not "
			   "that of a page");
	return 0;
}

/** The protected-mode part: `len` bytes at `offset` of the file. */
static int load_image(struct machine *m, int fd, const char *path, uint64_t offset, uint64_t len,
		      struct mmvm_error *err)
{
	const struct setup_header *h = &m->linux_guest->hdr;
	uint64_t room = h->init_size > len ? h->init_size : len, ram = m->config.ram_low;
	char *to;

	if (h->pref_address > ram || room > ram - h->pref_address)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "%s unpacks itself at %llu MiB and needs %llu MiB there; the "
				  "machine has %llu MiB below 4 GiB: choose a larger --memory",
				  path, (unsigned long long)(h->pref_address >> 20),
				  (unsigned long long)(room >> 20) + 1,
				  (unsigned long long)(ram >> 20));
	to = guest_ram_ptr(&m->ram, h->pref_address, len);
	if (!to || read_exact(fd, to, len, offset))
		return bad(err, path, "it cannot be read");
	m->linux_guest->load = h->pref_address;
	m->entry = h->pref_address + ENTRY_64;
	m->kernel_end = h->pref_address + room;
	/* The last address an initrd may have. */
	if (h->initrd_addr_max && h->initrd_addr_max + 1ull < m->initrd_top)
		m->initrd_top = (h->initrd_addr_max + 1ull) & ~(MMVM_PAGE_SIZE - 1);
	return 0;
}

int machine_load_linux(struct machine *m, const char *path, struct mmvm_error *err)
{
	struct setup_header *h;
	uint64_t setup, len;
	struct stat st;
	int fd, rc = -1;

	if (m->sys.backend == KVM_BACKEND_PVM)
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "%s is a Linux kernel, and this host's KVM (PVM) emulates ring 0 "
				  "in part only: use --accel lab",
				  path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return mmvm_error(err, MMVM_EXIT_USAGE, "cannot open kernel %s: %s", path,
				  strerror(errno));
	m->linux_guest = calloc(1, sizeof(*m->linux_guest));
	if (!m->linux_guest) {
		mmvm_error(err, MMVM_EXIT_HOST, "no memory");
		goto out;
	}
	h = &m->linux_guest->hdr;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		bad(err, path, "it is not a regular file");
		goto out;
	}
	if (read_exact(fd, h, sizeof(*h), HDR_OFFSET)) {
		bad(err, path, "it is shorter than its setup header");
		goto out;
	}
	if (check_header(h, path, err))
		goto out;
	/* 0 means 4, from the days of boot sectors. */
	setup = ((h->setup_sects ? h->setup_sects : 4u) + 1ull) * SECTOR;
	len = h->syssize * 16ull;
	if (len <= ENTRY_64) {
		bad(err, path, "its setup header gives it no code");
		goto out;
	}
	/* The size is in paragraphs of 16 bytes, and the last may be short; what follows it is no
	 * part of the kernel (a signature). */
	if (setup > (uint64_t)st.st_size || len - 15 > (uint64_t)st.st_size - setup) {
		bad(err, path, "it is cut short: its setup header promises more than the file has");
		goto out;
	}
	if (len > (uint64_t)st.st_size - setup)
		len = (uint64_t)st.st_size - setup;
	rc = load_image(m, fd, path, setup, len, err);
out:
	close(fd);
	return rc;
}

/* ---- what Linux is given -------------------------------------------------------------------- */

static void add_range(struct boot_params *bp, uint64_t start, uint64_t end, uint32_t type)
{
	struct boot_e820_entry *e = &bp->e820_table[bp->e820_entries++];

	*e = (struct boot_e820_entry){.addr = start, .size = end - start, .type = type};
}

/** Room for it has been checked: MMVM_MAX_RAM_REGIONS and two are far below E820_MAX_ENTRIES. */
static void put_memory(struct boot_params *bp, const struct machine *m)
{
	enum { USABLE = 1, RESERVED = 2 };

	_Static_assert(MMVM_MAX_RAM_REGIONS + 2 < E820_MAX_ENTRIES_ZEROPAGE, "e820 entries");
	for (unsigned int i = 0; i < m->ram.nr; i++) {
		const struct guest_ram_region *r = &m->ram.region[i];

		if (r->gpa) {
			add_range(bp, r->gpa, r->gpa + r->size, USABLE);
			continue;
		}
		add_range(bp, 0, BASE_MEM_END, USABLE);
		add_range(bp, BASE_MEM_END, HIGH_MEM, RESERVED);
		add_range(bp, HIGH_MEM, r->size, USABLE);
	}
}

/** The console, an end to panics, no search for a PCI bus (it takes seconds), and what the user
 * says. 0, or -E2BIG. */
static int put_command_line(const struct machine *m, char *buf, size_t size)
{
	const char *user = m->config.append ? m->config.append : "";
	int n = snprintf(buf, size, "console=ttyS0 panic=-1 reboot=a pci=off%s%s", *user ? " " : "",
			 user);

	return (size_t)n < size ? 0 : -E2BIG;
}

int machine_build_linux_params(struct machine *m, struct mmvm_error *err)
{
	/* The kernel's own load address has shown that the first MiB is there. */
	struct boot_params *bp = guest_ram_ptr(&m->ram, BOOT_PARAMS, sizeof(*bp));
	char *cmdline = guest_ram_ptr(&m->ram, CMDLINE_BASE, CMDLINE_MAX);
	const struct machine_linux *l = m->linux_guest;
	size_t room = CMDLINE_MAX;

	if (l->hdr.cmdline_size < room)
		room = l->hdr.cmdline_size + 1ull;
	if (put_command_line(m, cmdline, room))
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "the kernel's command line is too long: it takes %zu bytes",
				  room - 1);
	memset(bp, 0, sizeof(*bp));
	bp->hdr = l->hdr;
	bp->hdr.type_of_loader = LOADER_OTHER;
	bp->hdr.loadflags &= (uint8_t)~CAN_USE_HEAP;
	bp->hdr.code32_start = (uint32_t)l->load;
	bp->hdr.cmd_line_ptr = (uint32_t)CMDLINE_BASE;
	bp->hdr.setup_data = 0;
	if (m->config.initrd) {
		/* Below 3 GiB both (MMVM_RAM_LOW_MAX). */
		bp->hdr.ramdisk_image = (uint32_t)m->initrd_gpa;
		bp->hdr.ramdisk_size = (uint32_t)m->config.initrd_len;
	}
	put_memory(bp, m);
	return machine_build_acpi(m, err);
}

/* ---- its end -------------------------------------------------------------------------------- */

static void finish_exited(struct machine *m)
{
	struct machine_outcome out = {.kind = OUTCOME_EXITED};

	machine_finish(m, &out);
}

/** A whole line. Returns whether it ends the run. Lock R held. */
static bool console_line(struct machine_linux *l)
{
	const char *p;

	l->line[l->line_len] = 0;
	l->line_len = 0;
	p = strstr(l->line, "Kernel panic - ");
	if (p && !l->panic[0])
		snprintf(l->panic, sizeof(l->panic), "%s", p);
	if (strstr(l->line, "] reboot: "))
		l->said_bye = true;
	return (strstr(l->line, "end Kernel panic") && l->panic[0]) ||
	       strstr(l->line, "] reboot: System halted");
}

bool machine_linux_console(struct machine *m, const char *text, size_t len)
{
	struct machine_linux *l = m->linux_guest;
	bool over = false;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			over |= console_line(l);
		else if (text[i] != '\r' && text[i] && l->line_len < sizeof(l->line) - 1)
			l->line[l->line_len++] = text[i];
	}
	return over;
}

bool machine_linux_reset(struct machine *m)
{
	struct machine_linux *l = m->linux_guest;
	struct machine_outcome out = {.kind = OUTCOME_EXITED};
	bool over;

	if (!l)
		return false;
	pthread_mutex_lock(&m->record_lock);
	over = l->panic[0] || l->said_bye;
	if (l->panic[0]) {
		out.kind = OUTCOME_CRASHED;
		out.status = MMVM_EXIT_CRASHED;
		snprintf(out.text, sizeof(out.text), "Linux: %s", l->panic);
	}
	pthread_mutex_unlock(&m->record_lock);
	if (over)
		machine_finish(m, &out);
	return over;
}

/** The keyboard controller pulls the reset line: nobody does that by mistake. */
static void on_reset_port(void *arg, uint8_t command)
{
	if (command == ACPI_RESET_VALUE && !machine_linux_reset(arg))
		finish_exited(arg);
}

static void on_sleep_port(void *arg, uint8_t command)
{
	if (command == (ACPI_SLEEP_OFF << SLP_TYP_SHIFT | SLP_EN))
		finish_exited(arg);
}

static int add_port(struct machine *m, uint16_t port, uint8_t reads_as,
		    void (*fn)(void *arg, uint8_t command), struct mmvm_error *err)
{
	struct device_env env = {.base = port, .ram = &m->ram};
	struct device *dev = command_port_create(&env, reads_as, fn, m);

	if (!dev)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot create the port 0x%x: %s", port,
				  strerror(errno));
	return machine_add_device(m, dev, err);
}

int machine_create_linux_devices(struct machine *m, struct mmvm_error *err)
{
	if (add_port(m, ACPI_RESET_PORT, I8042_READY, on_reset_port, err))
		return -1;
	return add_port(m, ACPI_SLEEP_PORT, 0, on_sleep_port, err);
}

bool machine_runs_linux(const struct machine *m)
{
	return m->linux_guest != NULL;
}

void machine_linux_free(struct machine *m)
{
	free(m->linux_guest);
	m->linux_guest = NULL;
}
