/*
 * Whole machines on this host's KVM, with guests of a few instructions: how they end, what the
 * outcome says, what the host sees of them. Each guest is position-independent code below, put into
 * an ELF file made in memory.
 *
 * Needs a /dev/kvm that opens; without one the program says so and ends with 77, which the test
 * runner counts as skipped.
 */
#include <CUnit/Basic.h>
#include <CUnit/TestRun.h>
#include <dirent.h>
#include <errno.h>
#include <libfdt.h>
#include <sys/resource.h>
#include <time.h>
#include "devices/device.h"
#include "kvm/kvm.h"
#include "machine/internal.h"
#include "mmvm/trace.h"
#include "../host/unit.h"
#include "vmm_machine_elf.h"

/* The guest's record stands at 2 MiB, its crash record at 2 MiB + 4096; the boot tables map both at
 * their physical addresses. RAM starts as zeroes, so only what is not zero is written. */
__asm__(".pushsection .rodata\n"
	".macro GUEST name\n"
	".globl guest_\\name\nguest_\\name:\n"
	".endm\n"
	".macro END name\n"
	".globl guest_\\name\\()_end\nguest_\\name\\()_end:\n"
	".endm\n"
	/* Send a record of the kind in %ecx with the value in %rdi. */
	".macro RECORD\n"
	"  mov $0x200000, %ebx\n"
	"  mov %ecx, (%rbx)\n"
	"  movl $96, 4(%rbx)\n"
	"  mov %rdi, 16(%rbx)\n"
	"  mov %ebx, %eax\n"
	"  shr $4, %eax\n"
	"  mov $0x600, %edx\n"
	"  out %eax, %dx\n"
	".endm\n"
	".macro EXIT\n"
	"  mov $1, %ecx\n"
	"  RECORD\n"
	"9: jmp 9b\n"
	".endm\n"

	/* Print "hi", exit with 42 if the device tree is where RSI says. */
	"GUEST hello\n"
	"  mov $0x3f8, %edx\n"
	"  mov $'h', %al\n"
	"  out %al, %dx\n"
	"  mov $'i', %al\n"
	"  out %al, %dx\n"
	"  mov $1, %edi\n"
	"  cmpl $0xedfe0dd0, (%rsi)\n"
	"  jne 1f\n"
	"  mov $42, %edi\n"
	"1: EXIT\n"
	"END hello\n"

	/* A page fault with no IDT: triple fault. */
	"GUEST fault\n"
	"  mov $0x1234, %r15d\n"
	"  movabs $0xffffc00000000000, %rax\n"
	"  mov %rax, (%rax)\n"
	"END fault\n"

	"GUEST spin\n"
	"1: inc %r15\n"
	"  jmp 1b\n"
	"END spin\n"

	/* Interrupts off and halted: nothing will ever happen. */
	"GUEST halt\n"
	"1: hlt\n"
	"  jmp 1b\n"
	"END halt\n"

	"GUEST chatter\n"
	"  mov $0x3f8, %edx\n"
	"  mov $'x', %al\n"
	"1: out %al, %dx\n"
	"  jmp 1b\n"
	"END chatter\n"

	/* Reads of nothing are all ones, writes to nothing do nothing. Exits with 7 when so. */
	"GUEST nothing\n"
	"  mov $1, %edi\n"
	"  mov $0x999, %edx\n"
	"  xor %eax, %eax\n"
	"  in %dx, %eax\n"
	"  cmp $-1, %eax\n"
	"  jne 1f\n"
	"  out %eax, %dx\n"
	"  mov $0xd0ff0000, %ebx\n"
	"  mov (%rbx), %rax\n"
	"  cmp $-1, %rax\n"
	"  jne 1f\n"
	"  mov %rax, (%rbx)\n"
	"  mov (%rbx), %al\n"
	"  cmp $0xff, %al\n"
	"  jne 1f\n"
	"  mov $7, %edi\n"
	"1: EXIT\n"
	"END nothing\n"

	/* Write a word to every third page from 4 MiB to 6 MiB. */
	"GUEST dirty\n"
	"  mov $0x400000, %ebx\n"
	"1: mov %rbx, (%rbx)\n"
	"  add $0x3000, %rbx\n"
	"  cmp $0x600000, %ebx\n"
	"  jb 1b\n"
	"  xor %edi, %edi\n"
	"  EXIT\n"
	"END dirty\n"

	/* Panic with a crash record whose RIP is 0x1122. */
	"GUEST panic\n"
	"  mov $0x201000, %edi\n"
	"  movq $0x1122, 160(%rdi)\n"
	"  movq $14, (%rdi)\n"
	"  mov $9, %ecx\n"
	"  RECORD\n"
	"1: jmp 1b\n"
	"END panic\n"

	/* Ask for an audit, exit with the answer. */
	"GUEST audit\n"
	"  mov $8, %ecx\n"
	"  xor %edi, %edi\n"
	"  RECORD\n"
	"  mov 8(%rbx), %edi\n"
	"  EXIT\n"
	"END audit\n"
	".popsection\n");

#define GUEST(name) extern const unsigned char guest_##name[], guest_##name##_end[]
GUEST(hello);
GUEST(fault);
GUEST(spin);
GUEST(halt);
GUEST(chatter);
GUEST(nothing);
GUEST(dirty);
GUEST(panic);
GUEST(audit);

static struct test_elf elf;

#define MAKE(name, config) make(guest_##name, guest_##name##_end, config)

static struct machine_config plain(void)
{
	return (struct machine_config){
		.ram_low = 8ull << 20,
		.ram_high = 2ull << 20,
		.cpus = 1,
		.seed = 5,
		.timeout_s = 20,
		.console_fd = -1,
	};
}

static struct machine *make(const unsigned char *code, const unsigned char *end,
			    struct machine_config *c)
{
	struct mmvm_error err = {0};
	struct machine *m;

	test_elf_make(&elf, code, (size_t)(end - code));
	c->kernel = test_elf_write(&elf, elf.len);
	m = machine_create(c, &err);
	if (!m)
		printf("machine_create: %s\n", err.text);
	test_elf_free(&elf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	return m;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t exits(const struct machine *m, const char *name)
{
	struct exit_stat s[MACHINE_MAX_EXITS];
	unsigned int n = machine_exit_stats(m, s, MACHINE_MAX_EXITS);

	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(s[i].name, name))
			return s[i].count;
	return 0;
}

static void test_exit(void)
{
	struct machine_config c = plain();
	struct machine *m = MAKE(hello, &c);
	struct machine_outcome out;
	size_t len;

	machine_run(m, &out);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_EXITED);
	CU_ASSERT_EQUAL(out.status, 42);
	CU_ASSERT_STRING_EQUAL(machine_console(m, &len), "hi");
	CU_ASSERT_EQUAL(len, 2);
	CU_ASSERT_EQUAL(exits(m, "pio_out"), 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(machine_record(m, 0));
	CU_ASSERT_EQUAL(machine_record(m, 0)->kind, MMVM_REC_EXIT);
	CU_ASSERT_PTR_NULL(machine_record(m, 1));
	CU_ASSERT_EQUAL(machine_guest_errors(m), 0);
	CU_ASSERT(machine_start_ns(m) > 0);
	CU_ASSERT(machine_tsc_hz(m) > 100000000);
	machine_destroy(m);
}

static void test_triple_fault(void)
{
	struct machine_config c = plain();
	struct machine *m = MAKE(fault, &c);
	struct machine_outcome out;
	uint64_t gpa;

	machine_run(m, &out);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_CRASHED);
	CU_ASSERT_EQUAL(out.status, MMVM_EXIT_CRASHED);
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "triple fault"));
	if (kvm_backend_detect() == KVM_BACKEND_SVM) {
		CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "resets the CPU"));
		machine_destroy(m);
		return;
	}
	CU_ASSERT(out.has_crash);
	CU_ASSERT_EQUAL(out.crash.r15, 0x1234);
	CU_ASSERT_EQUAL(out.crash.cr3, MMVM_BOOT_PML4);
	CU_ASSERT_EQUAL(out.crash.cs, MMVM_KERNEL_CS);
	CU_ASSERT(out.crash.rip - (MMVM_KERNEL_VIRT + MMVM_KERNEL_BASE) < 0x40);
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "rip 0xffffffff801000"));
	/* mov %rax, (%rax) */
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "code bytes: 48 89 00"));
	printf("[%s] ", out.text);
	/* It has stopped, so its page tables can be walked. */
	CU_ASSERT_EQUAL(machine_translate(m, 0, out.crash.rip, &gpa), 0);
	CU_ASSERT_EQUAL(gpa, out.crash.rip - MMVM_KERNEL_VIRT);
	machine_destroy(m);
}

static void test_timeout(void)
{
	struct machine_config c = plain();
	struct machine_outcome out;
	struct machine *m;
	uint64_t t = now_ms();

	c.timeout_s = 1;
	m = MAKE(spin, &c);
	machine_run(m, &out);
	t = now_ms() - t;
	CU_ASSERT_EQUAL(out.kind, OUTCOME_TIMEOUT);
	CU_ASSERT_EQUAL(out.status, MMVM_EXIT_TIMEOUT);
	CU_ASSERT(t >= 1000); /* and no end to it where others run */
	/* and where it was */
	CU_ASSERT(out.has_crash);
	CU_ASSERT(out.crash.r15 > 0);
	machine_destroy(m);
	m = MAKE(halt, &c);
	machine_run(m, &out);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_TIMEOUT);
	machine_destroy(m);
}

struct stopper {
	struct machine *m;
	unsigned int us;
};

static void *stop_later(void *arg)
{
	struct stopper *s = arg;
	struct timespec t = {.tv_nsec = s->us * 1000l};

	nanosleep(&t, NULL);
	machine_stop(s->m);
	return NULL;
}

/** From every state: before the start, while running, halted, and leaving for the VMM all the time.
 */
static void test_stop(void)
{
	static const unsigned char *const guest[][2] = {
		{guest_spin, guest_spin_end},
		{guest_halt, guest_halt_end},
		{guest_chatter, guest_chatter_end},
	};

	for (unsigned int i = 0; i < 30; i++) {
		struct machine_config c = plain();
		struct machine *m = make(guest[i % 3][0], guest[i % 3][1], &c);
		struct stopper s = {.m = m, .us = (i / 3) * 700};
		struct machine_outcome out;
		pthread_t thread;

		if (i < 3)
			machine_stop(m);
		else
			CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, stop_later, &s), 0);
		machine_run(m, &out);
		if (i >= 3)
			pthread_join(thread, NULL);
		CU_ASSERT_EQUAL(out.kind, OUTCOME_STOPPED); /* not the time limit of 20 s */
		machine_destroy(m);
	}
}

/** The console's reader does not read: the guest waits, a stop does not. */
static void test_stop_console(void)
{
	struct machine_config c = plain();
	struct machine_outcome out;
	struct machine *m;
	struct stopper s;
	pthread_t thread;
	char byte = 'b';
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(pipe2(fd, O_NONBLOCK), 0);
	while (write(fd[1], &byte, 1) == 1)
		;
	CU_ASSERT_EQUAL(fcntl(fd[1], F_SETFL, 0), 0);
	c.console_fd = fd[1];
	m = MAKE(chatter, &c);
	s = (struct stopper){.m = m, .us = 100000};
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, stop_later, &s), 0);
	machine_run(m, &out);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_STOPPED);
	CU_ASSERT(exits(m, "pio_out") <= 1);
	machine_destroy(m);
	close(fd[0]);
	close(fd[1]);
}

static void test_nothing(void)
{
	struct machine_config c = plain();
	struct machine *m = MAKE(nothing, &c);
	struct machine_outcome out;

	machine_run(m, &out);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_EXITED);
	CU_ASSERT_EQUAL(out.status, 7);
	CU_ASSERT_EQUAL(machine_guest_errors(m), 5);
	CU_ASSERT_EQUAL(exits(m, "pio_in"), 1);
	CU_ASSERT_EQUAL(exits(m, "mmio_read"), 2);
	CU_ASSERT_EQUAL(exits(m, "mmio_write"), 1);
	machine_destroy(m);
}

struct dirty_set {
	uint64_t expected, tables, other, last_other;
};

static void dirty_page(uint64_t gpa, void *arg)
{
	struct dirty_set *d = arg;

	if (gpa >= 0x400000 && gpa < 0x600000 && (gpa - 0x400000) % 0x3000 == 0) {
		d->expected++;
	} else if (gpa <= MMVM_KERNEL_BASE) {
		/* With nested paging, walks of the boot tables count as writes to them (APM vol. 2,
		 * 15.25.5), and KVM notes a page as dirty when it first maps it writable, be it for
		 * a read: so the page of the code. */
		d->tables++;
	} else {
		d->other++;
		d->last_other = gpa;
	}
}

static void test_dirty(void)
{
	struct machine_config c = plain();
	struct dirty_set d = {0};
	struct machine_outcome out;
	struct machine *m;

	c.dirty_log = true;
	c.ram_low += 3 * MMVM_PAGE_SIZE; /* the log's last word is not full */
	m = MAKE(dirty, &c);
	machine_run(m, &out);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_EXITED);
	/* What a device writes is in the log as well. */
	CU_ASSERT_EQUAL(guest_ram_write(machine_ram(m), MMVM_RAM_HIGH_BASE + 0x5ffc, "12345678", 8),
			0);
	CU_ASSERT_EQUAL(guest_ram_write(machine_ram(m), c.ram_low - 1, "z", 1), 0);
	CU_ASSERT_EQUAL((uint64_t)machine_dirty_collect(m, dirty_page, &d), 171 + 1 + 3 + d.tables);
	CU_ASSERT_EQUAL(d.expected, 171);
	CU_ASSERT(d.tables <= MMVM_BOOT_PT_PAGES + 1);
	CU_ASSERT_EQUAL(d.other, 4); /* the record's page, and the device's three */
	CU_ASSERT_EQUAL(d.last_other, MMVM_RAM_HIGH_BASE + 0x6000);
	CU_ASSERT_EQUAL(machine_dirty_collect(m, NULL, NULL), 0);
	machine_destroy(m);

	c.dirty_log = false;
	m = MAKE(dirty, &c);
	CU_ASSERT_EQUAL(machine_dirty_collect(m, NULL, NULL), -EOPNOTSUPP);
	machine_destroy(m);
}

static void test_panic(void)
{
	struct machine_config c = plain();
	struct machine *m = MAKE(panic, &c);
	struct machine_outcome out;

	machine_run(m, &out);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_CRASHED);
	CU_ASSERT(out.has_crash);
	CU_ASSERT_EQUAL(out.crash.vector, 14);
	CU_ASSERT_EQUAL(out.crash.rip, 0x1122);
	machine_destroy(m);
}

static int count_audit(void *self, struct machine *m, const struct machine_request *q)
{
	uint64_t gpa;

	if (q->kind != REQUEST_AUDIT)
		return -ENOSYS;
	CU_ASSERT_EQUAL(q->cr3, MMVM_BOOT_PML4);
	CU_ASSERT_EQUAL(machine_translate(m, 0, MMVM_KERNEL_VIRT + 0x200000, &gpa), 0);
	CU_ASSERT_EQUAL(gpa, 0x200000);
	return ++*(int *)self + 10;
}

static const struct observer audit_counter = {.name = "audits", .request = count_audit};

static void test_audit(void)
{
	struct observers o = {.nr = 0};
	struct machine_config c = plain();
	struct machine_outcome out;
	struct machine *m;
	int calls = 0;

	observers_attach(&o, &audit_counter, &calls);
	c.observers = &o;
	m = MAKE(audit, &c);
	machine_run(m, &out);
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_EXITED);
	CU_ASSERT_EQUAL(out.status, 11);
	machine_destroy(m);

	c.observers = NULL;
	m = MAKE(audit, &c);
	machine_run(m, &out);
	CU_ASSERT_EQUAL(out.status, -ENOSYS);
	machine_destroy(m);
}

#define TICKS 6

static void count_tick(void *self, struct machine *m)
{
	if (++*(int *)self == TICKS)
		machine_stop(m);
}

static const struct observer tick_counter = {
	.name = "ticks", .tick = count_tick, .every_tick = true};

static void test_ticks(void)
{
	struct observers o = {.nr = 0};
	struct machine_config c = plain();
	struct machine_outcome out;
	struct machine *m;
	int ticks = 0;
	uint64_t t;

	c.timeout_s = 100;
	c.tick_ms = 50;
	observers_attach(&o, &tick_counter, &ticks);
	c.observers = &o;
	m = MAKE(halt, &c);
	t = now_ms();
	machine_run(m, &out);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_STOPPED);
	CU_ASSERT_EQUAL(ticks, TICKS);
	CU_ASSERT(now_ms() - t >= TICKS * 50 - 1); /* never more often than asked */
	machine_destroy(m);
}

static uint64_t fdt_u64(const void *fdt, int node, const char *name)
{
	fdt64_t value = 0;
	int len;
	const void *p = fdt_getprop(fdt, node, name, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL_FATAL(len, 8);
	memcpy(&value, p, sizeof(value));
	return fdt64_to_cpu(value);
}

static void test_fdt(void)
{
	unsigned int fastops = 0;
	const fdt32_t *reg;
	static const char *const argv[] = {"/bin/prog", "-a", "two words", NULL};
	struct machine_config c = plain();
	struct machine *m;
	const void *fdt;
	const char *s;
	int node, len, virtio = 0;

	c.append = "one two=3";
	c.argv = argv;
	c.initrd = "070701initrd";
	c.initrd_len = 12;
	c.disk[0] = (struct disk_config){.role = "swap", .size = 1 << 20, .format_swap = true};
	c.disk[1] = (struct disk_config){.role = "disk0", .size = 1 << 20};
	c.nr_disks = 2;
	m = MAKE(hello, &c);
	fdt = guest_ram_ptr(machine_ram(m), MMVM_FDT_BASE, MMVM_FDT_MAX);
	CU_ASSERT_EQUAL_FATAL(fdt_check_full(fdt, MMVM_FDT_MAX), 0);
	node = fdt_path_offset(fdt, "/chosen");
	CU_ASSERT_FATAL(node >= 0);
	s = fdt_getprop(fdt, node, "bootargs", NULL);
	CU_ASSERT_STRING_EQUAL(s, "one two=3");
	CU_ASSERT_EQUAL(fdt_stringlist_count(fdt, node, MMVM_FDT_ARGV), 3);
	CU_ASSERT_STRING_EQUAL(fdt_stringlist_get(fdt, node, MMVM_FDT_ARGV, 2, &len), "two words");
	CU_ASSERT_EQUAL(fdt_u64(fdt, node, "linux,initrd-start"), (8ull << 20) - 4096);
	CU_ASSERT_EQUAL(fdt_u64(fdt, node, "linux,initrd-end"), (8ull << 20) - 4096 + 12);
	CU_ASSERT(!memcmp(guest_ram_ptr(machine_ram(m), (8ull << 20) - 4096, 12), "070701initrd",
			  12));
	CU_ASSERT_EQUAL(fdt_u64(fdt, node, MMVM_FDT_SEED), 5);
	CU_ASSERT_EQUAL(fdt_u64(fdt, node, MMVM_FDT_TSC_HZ), machine_tsc_hz(m));
	CU_ASSERT_EQUAL(fdt_u64(fdt, node, MMVM_FDT_LAPIC_HZ), 1000000000);
	CU_ASSERT(fdt_path_offset(fdt, "/memory@0") > 0);
	CU_ASSERT(fdt_path_offset(fdt, "/memory@100000000") > 0);
	CU_ASSERT(fdt_path_offset(fdt, "/cpus/cpu@0") > 0);
	for (node = fdt_node_offset_by_compatible(fdt, -1, "virtio,mmio"); node >= 0;
	     node = fdt_node_offset_by_compatible(fdt, node, "virtio,mmio")) {
		CU_ASSERT_STRING_EQUAL(fdt_getprop(fdt, node, MMVM_FDT_ROLE, NULL),
				       virtio ? "disk0" : "swap");
		virtio++;
	}
	CU_ASSERT_EQUAL(virtio, 2);
	CU_ASSERT(fdt_node_offset_by_compatible(fdt, -1, MMVM_FDT_COMPAT_DMA) > 0);
	CU_ASSERT(fdt_node_offset_by_compatible(fdt, -1, MMVM_FDT_COMPAT_TESTCHAN) > 0);
	/* Each port is what it is, and nothing else is a fast operations port. */
	for (node = fdt_node_offset_by_compatible(fdt, -1, MMVM_FDT_COMPAT_FASTOP); node >= 0;
	     node = fdt_node_offset_by_compatible(fdt, node, MMVM_FDT_COMPAT_FASTOP))
		fastops++;
	CU_ASSERT_EQUAL(fastops, 1);
	CU_ASSERT(fdt_path_offset(fdt, "/isa/fastop@610") > 0);
	node = fdt_node_offset_by_compatible(fdt, -1, MMVM_FDT_COMPAT_TRACE);
	CU_ASSERT_FATAL(node > 0);
	reg = fdt_getprop(fdt, node, "reg", &len);
	CU_ASSERT_EQUAL_FATAL(len, 12);
	CU_ASSERT_EQUAL(fdt32_to_cpu(reg[1]), MMVM_TRACE_PORT);
	machine_destroy(m);
}

static void test_nodes(void)
{
	static const uint32_t distances[] = {0, 0, 10, 0, 1, 21, 1, 0, 20, 1, 1, 10};
	static const struct {
		const char *path;
		uint64_t size;
		uint32_t node;
	} memory[] = {{"/memory@0", 8 << 20, 0},
		      {"/memory@800000", 4 << 20, 1},
		      {"/memory@100000000", 2 << 20, 1}};
	struct machine_config c = plain();
	const fdt32_t *map, *reg;
	struct machine *m;
	const void *fdt;
	int len, node;

	c.cpus = 2;
	c.ram_low = 12 << 20;
	c.ram_high = 2 << 20;
	c.nr_nodes = 2;
	c.node[0] = (struct machine_node){.memory = 8 << 20, .cpus = 2, .distance = {10, 21}};
	c.node[1] = (struct machine_node){.memory = 6 << 20, .cpus = 1};
	m = MAKE(halt, &c);
	fdt = guest_ram_ptr(machine_ram(m), MMVM_FDT_BASE, MMVM_FDT_MAX);
	for (unsigned int i = 0; i < 3; i++) {
		node = fdt_path_offset(fdt, memory[i].path);
		CU_ASSERT_FATAL(node > 0);
		reg = fdt_getprop(fdt, node, "reg", &len);
		CU_ASSERT_EQUAL_FATAL(len, 16);
		CU_ASSERT_EQUAL(fdt32_to_cpu(reg[3]), memory[i].size);
		map = fdt_getprop(fdt, node, "numa-node-id", NULL);
		CU_ASSERT_EQUAL(fdt32_to_cpu(*map), memory[i].node);
	}
	map = fdt_getprop(fdt, fdt_path_offset(fdt, "/cpus/cpu@0"), "numa-node-id", NULL);
	CU_ASSERT_EQUAL(fdt32_to_cpu(*map), 1);
	node = fdt_node_offset_by_compatible(fdt, -1, "numa-distance-map-v1");
	CU_ASSERT_FATAL(node > 0);
	map = fdt_getprop(fdt, node, "distance-matrix", &len);
	CU_ASSERT_EQUAL_FATAL(len, (int)sizeof(distances));
	for (unsigned int i = 0; i < 12; i++)
		CU_ASSERT_EQUAL(fdt32_to_cpu(map[i]), distances[i]);
	machine_destroy(m);
}

static void refused(struct machine_config *c, int status, const char *word)
{
	struct mmvm_error err = {0};

	test_elf_make(&elf, guest_hello, (size_t)(guest_hello_end - guest_hello));
	c->kernel = test_elf_write(&elf, elf.len);
	CU_ASSERT_PTR_NULL(machine_create(c, &err));
	CU_ASSERT_EQUAL(err.status, status);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, word));
	if (!strstr(err.text, word))
		printf("expected '%s' in '%s'\n", word, err.text);
	test_elf_free(&elf);
}

static void test_refused(void)
{
	struct machine_config c = plain();
	char *big = malloc(70000);

	c.ram_low = 1 << 20;
	refused(&c, MMVM_EXIT_USAGE, "at least 8 MiB");
	c = plain();
	c.ram_low += 512;
	refused(&c, MMVM_EXIT_USAGE, "whole pages");
	c = plain();
	c.cpus = 0;
	refused(&c, MMVM_EXIT_USAGE, "CPUs");
	c = plain();
	c.initrd = big;
	c.initrd_len = 100ull << 20;
	refused(&c, MMVM_EXIT_USAGE, "larger --memory");
	c = plain();
	memset(big, 'a', 70000);
	big[69999] = 0;
	c.append = big;
	refused(&c, MMVM_EXIT_USAGE, "too long");
	free(big);
	c = plain();
	setenv("MMVM_KVM_DEVICE", "/nonexistent/kvm", 1);
	refused(&c, MMVM_EXIT_HOST, "no KVM on this host");
	unsetenv("MMVM_KVM_DEVICE");
}

static unsigned int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/** Whichever file descriptor is the last that can be had: an error or a machine, and no leak. */
static void test_no_descriptors(void)
{
	unsigned int before = open_files(), failed = 0, made = 0;
	struct rlimit old;

	getrlimit(RLIMIT_NOFILE, &old);
	for (unsigned int more = 0; more < 40; more++) {
		struct rlimit few = {.rlim_cur = before - 2 + more, .rlim_max = old.rlim_max};
		struct machine_config c = plain();
		struct mmvm_error err = {0};
		struct machine *m;

		c.disk[0] = (struct disk_config){.role = "swap", .size = 1 << 20};
		c.nr_disks = 1;
		test_elf_make(&elf, guest_hello, (size_t)(guest_hello_end - guest_hello));
		c.kernel = test_elf_write(&elf, elf.len);
		setrlimit(RLIMIT_NOFILE, &few);
		m = machine_create(&c, &err);
		setrlimit(RLIMIT_NOFILE, &old);
		if (m)
			made++;
		else
			failed++;
		CU_ASSERT(m || (err.status && err.text[0]));
		machine_destroy(m);
		test_elf_free(&elf);
	}
	CU_ASSERT(failed >= 10);
	CU_ASSERT(made >= 5);
	CU_ASSERT_EQUAL(open_files(), before);
}

static void count_stat(const char *scope, const struct kvm_stat *stat, void *arg)
{
	unsigned int *n = arg;

	if (!strcmp(scope, "vcpu") && !strcmp(stat->name, "exits"))
		n[1] = (unsigned int)stat->values[0];
	n[0]++;
}

static void test_kvm_stats(void)
{
	struct machine_config c = plain();
	struct machine *m = MAKE(hello, &c);
	struct machine_outcome out;
	unsigned int n[2] = {0};
	int rc;

	machine_run(m, &out);
	rc = machine_kvm_stats(m, count_stat, n);
	if (rc == -EOPNOTSUPP) {
		printf("[this KVM has no binary statistics] ");
	} else {
		CU_ASSERT_EQUAL(rc, 0);
		CU_ASSERT(n[0] > 10);
		CU_ASSERT(n[1] >= 3);
	}
	machine_destroy(m);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"a guest prints and exits", test_exit},
		{"triple fault: where, and with which registers", test_triple_fault},
		{"time limit, running and halted", test_timeout},
		{"stopped from every state", test_stop},
		{"stopped while nobody reads the console", test_stop_console},
		{"addresses without a device", test_nothing},
		{"dirty log: exactly the pages written", test_dirty},
		{"a panic's own registers", test_panic},
		{"audit on the stopped vCPU", test_audit},
		{"ticks", test_ticks},
		{"device tree", test_fdt},
		{"nodes", test_nodes},
		{"what cannot be made is refused in one sentence", test_refused},
		{"no descriptor left, at every place", test_no_descriptors},
		{"KVM's binary statistics", test_kvm_stats},
	};
	struct kvm_system sys;

	if (kvm_system_open(&sys)) {
		printf("SKIP: %s cannot be opened\n", kvm_device_path());
		return 77;
	}
	kvm_system_close(&sys);
	return unit_run("vmm_machine_run", cases, sizeof(cases) / sizeof(cases[0]));
}
