/*
 * What the rest of the guest kernel offers to arch/, drivers/ and tests/: tasks, processes, boot
 * information, and interrupt registration. Threads, locks and printing are in lib/env.h.
 */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H
#include "lib/env.h"
#include "lib/format.h"
#include "mm/virt/mm_types.h"
#include "mmvm/testchan.h"

/** What the device tree said. Strings point into a copy that lives for ever. */
struct boot_device {
	u64 base, size;
	u32 gsi;
	char role[16];	     /* virtio: "swap", "disk0" ... */
	char compatible[24]; /* what its driver is found by */
};
#define BOOT_MAX_DEVICES 32

struct boot_info {
	const char *cmdline;
	const char *argv; /* stringlist of argv_len bytes: strings one behind the other */
	u32 argv_len;
	const char *test;	   /* "suite.case" or NULL */
	const char *console_input; /* "tty", "stream", or NULL: none */
	u32 quirks;		   /* MMVM_QUIRK_* */
	u32 nr_cpus;
	u8 cpu_node[MMVM_MAX_CPUS];
	u32 nr_nodes;					  /* with memory or CPUs */
	u8 node_distance[MMVM_MAX_NODES][MMVM_MAX_NODES]; /* 10 is local; 0: not said */
	u64 tsc_hz, lapic_hz, epoch_ns, seed;
	phys_addr_t initrd_start, initrd_end;	     /* 0 = none; reserved in memblock */
	struct boot_device device[BOOT_MAX_DEVICES]; /* those with memory, in the tree's order */
	u32 nr_devices;
};
extern struct boot_info boot_info;
/** Value of `name=` on the command line copied to buf, or false. `name` alone gives "". */
bool cmdline_get(const char *name, char *buf, size_t size);

/** The end of boot: name the options that nobody has asked for (boot_option_asked()). */
void boot_options_report(void);

/** Raw bytes to the console, no prefix (kernel/printk.c). Any context. */
void console_write(const char *buf, size_t len);

/* Interrupts (arch): handler runs with interrupts off, acknowledged by the caller. */
int request_irq(u32 gsi, void (*handler)(void *arg), void *arg, const char *name);

/* Test channel (drivers/testchan.c). Any context, no allocation. */
void testchan_exit(int status) __noreturn; /* stop the VM with this exit status */
void testchan_record(enum mmvm_record_kind kind, const char *name, u64 value, u64 value2,
		     const char *text);
/** Send and return the host's answer (record.status). */
int testchan_call(enum mmvm_record_kind kind, const char *name, u64 value, u64 value2, void *text,
		  u32 text_len);
void testchan_printf(enum mmvm_record_kind kind, const char *name, u64 value, const char *fmt, ...)
	__printf(4, 5);
/** Run a report producer into a buffer and send it as MMVM_REC_REPORT. May sleep. */
void testchan_report(const char *name, void (*producer)(struct report *r));
/** Ask the host to audit now. Returns findings, or -errno. */
int testchan_audit(void);

/* Guest tests: declare with GUEST_TEST(suite, case, flags, timeout, "vm args") { ... use t ... } */
struct test {
	const char *name;
	u32 checks, failures;
	bool skipped;
	char reason[256];
};
void test_fail(struct test *t, const char *file, int line, const char *fmt, ...) __printf(4, 5);
void test_skip(struct test *t, const char *fmt, ...) __printf(2, 3);
#define CHECK(cond)                                                    \
	do {                                                           \
		t->checks++;                                           \
		if (!(cond))                                           \
			test_fail(t, __FILE__, __LINE__, "%s", #cond); \
	} while (0)
#define CHECK_EQ(a, b)                                                                      \
	do {                                                                                \
		s64 _a = (s64)(a), _b = (s64)(b);                                           \
		t->checks++;                                                                \
		if (_a != _b)                                                               \
			test_fail(t, __FILE__, __LINE__, "%s = %ld, expected %s = %ld", #a, \
				  (long)_a, #b, (long)_b);                                  \
	} while (0)
/** Stop the case (return) when cond is false: for what the rest depends on. */
#define REQUIRE(cond)                                                  \
	do {                                                           \
		t->checks++;                                           \
		if (!(cond)) {                                         \
			test_fail(t, __FILE__, __LINE__, "%s", #cond); \
			return;                                        \
		}                                                      \
	} while (0)
#define GUEST_TEST(suite, case_, flags_, timeout_, args_)                                 \
	static void test_##suite##_##case_(struct test *t);                               \
	__attribute__((section(".mmvm_tests"),                                            \
		       used)) static struct mmvm_test_desc desc_##suite##_##case_ = {     \
		#suite "." #case_, (u64)test_##suite##_##case_, flags_, timeout_, args_}; \
	static void test_##suite##_##case_(struct test *t __maybe_unused)
/** Run the named test, report it, and stop the VM. */
void run_guest_test(const char *name) __noreturn;

/* Processes (kernel/process.c) */
/** Load `path` from the initrd and start it in a new process. argv: stringlist. Returns pid or
 * -errno. */
int process_spawn(const char *path, const char *argv, u32 argv_len);
/** Wait for a process; returns its status as wait(2) encodes it (exit code << 8, or signal). May
 * sleep. */
int process_wait(int pid);
int current_pid(void);
/** mm of a process for reports, with a reference, or NULL. */
struct mm_struct *process_get_mm(int pid);

/* Start of the drivers, called by kernel/main.c in this order once threads and interrupts work. */
void drivers_init(void); /* drivers/init.c: virtio devices, DMA engine */
int dmaengine_self_test(
	void); /* moves data between zones and checks it: 0 or -errno; -ENODEV without device */
#endif
