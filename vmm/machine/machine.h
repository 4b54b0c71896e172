/*
 * A machine: configuration in, outcome out. Built from the KVM wrappers (vmm/kvm) and the device
 * models.
 *
 *   machine_create(config) -> machine_run() -> outcome, records, statistics -> machine_destroy()
 *
 * Nothing here prints results or knows of sub-commands. Threads: one per vCPU, one per disk worker;
 * the thread that calls machine_run() waits, calls the observers at each tick and enforces the
 * time limit.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "machine/clock.h"
#include "mmvm/layout.h"
#include "mmvm/shared.h"
#include "mmvm/testchan.h"

struct machine;
struct machine_exit_event;
struct observers;
struct balloon_state;
struct pmem_state;

/** One clear sentence for the user: what, why, what to do; and the exit status it means. */
struct mmvm_error {
	int status; /* MMVM_EXIT_* */
	char text[512];
};
/** Fill `e` (when not NULL) and return -1, so that callers can `return mmvm_error(...)`. */
int mmvm_error(struct mmvm_error *e, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** Exit statuses, documented in doc/commands.md. */
enum mmvm_exit {
	MMVM_EXIT_OK = 0,
	MMVM_EXIT_FAILED = 1, /* the guest's program or a check failed */
	MMVM_EXIT_USAGE = 2,
	MMVM_EXIT_HOST = 3,	 /* this host cannot run it */
	MMVM_EXIT_CRASHED = 4,	 /* the guest crashed */
	MMVM_EXIT_TIMEOUT = 124, /* time limit */
};

struct disk_config {
	char role[16];	  /* "swap", "disk0" ... */
	const char *path; /* NULL: a temporary file, unlinked as soon as it is open */
	uint64_t size;	  /* bytes, for temporary files and files to be created */
	bool format_swap; /* write a mkswap header (SWAPSPACE2) */
	bool read_only;
};

/** How KVM keeps the dirty log (machine/dirty.c). AUTO: cleared by hand where KVM can. */
enum dirty_mode { DIRTY_AUTO, DIRTY_BITMAP, DIRTY_BITMAP_MANUAL, DIRTY_RING };
const char *dirty_mode_name(enum dirty_mode mode);
/** 0 or -EINVAL. */
int dirty_mode_parse(const char *text, enum dirty_mode *mode);

/** Where the guest's console gets its input from. TTY: somebody types, the guest's end is a terminal.
 * STREAM: a pipe or file, which has an end and whose bytes mean nothing to a terminal. */
enum console_input { CONSOLE_INPUT_NONE, CONSOLE_INPUT_STREAM, CONSOLE_INPUT_TTY };

enum accel { ACCEL_AUTO, ACCEL_KVM, ACCEL_LAB };

/** What holds guest RAM on the host. */
enum ram_backing {
	BACKING_4K,	 /* no huge pages */
	BACKING_THP,	 /* transparent huge pages where the host has them */
	BACKING_HUGETLB, /* pages of 2 MiB reserved on the host (vm.nr_hugepages) */
	BACKING_FILE,	 /* config.backing_file: what RAM holds is left in it */
};
/** "4k", "thp", "hugetlb", "file". */
const char *ram_backing_name(enum ram_backing backing);

/** A NUMA node of the guest. */
struct machine_node {
	uint64_t memory;		  /* bytes */
	uint64_t cpus;			  /* bit i: vCPU i */
	uint8_t distance[MMVM_MAX_NODES]; /* to each node; 0: 10 to itself, 20 to others */
};

struct disk_config;
struct sandbox_config;
/**
 * Lock a disk's file as machine_create() does, for a machine in the lab: locks do not work through its
 * shared folders, so the process outside holds them. Returns a descriptor to keep open, -ENOENT when
 * there is no file (yet), or -1 with `err`.
 */
int machine_disk_lock(const struct disk_config *c, struct mmvm_error *err);

struct machine_config {
	uint64_t ram_low, ram_high; /* bytes */
	unsigned int cpus;
	const char *kernel; /* path of the guest ELF */
	const void *initrd; /* newc cpio archive in memory, or NULL */
	size_t initrd_len;
	const char *append;	 /* kernel command line, or NULL */
	const char *const *argv; /* program and arguments, NULL-terminated, or NULL */
	const char *test;	 /* guest test to run instead, or NULL */
	struct disk_config disk[8];
	unsigned int nr_disks;
	struct disk_config pmem[MMVM_MAX_PMEM]; /* files that are memory; roles pmem0, pmem1 */
	unsigned int nr_pmem;
	bool balloon;		 /* there is a virtio-balloon */
	uint64_t balloon_target; /* pages that it is to hold at first */
	bool rng;		 /* there is a virtio-rng; its bytes come from the seed */
	uint64_t seed;
	unsigned int timeout_s; /* 0 = none */
	bool timeout_own;	/* it is own time (machine/own_time.h), not the clock's */
	bool dirty_log;		/* keep KVM's dirty log and the devices' own */
	enum dirty_mode dirty_mode;
	unsigned int dirty_chunk; /* pages cleared by one request; 0: a good number */
	bool untimed;		  /* do not take the time of exits */
	bool exit_sites;	  /* count exits by place, too (machine/exit_sites.h) */
	/* Guest: sample accessed bits so often, and tell by MMVM_REC_ACCESS; 0: do not */
	unsigned int access_ms;
	enum ram_backing backing;
	const char *backing_file;
	struct machine_node node[MMVM_MAX_NODES]; /* RAM in this order, from address 0 up */
	unsigned int nr_nodes;			  /* 0: one, with everything */
	unsigned int pin[MMVM_MAX_CPUS];	  /* host processor of each vCPU */
	unsigned int nr_pin;			  /* 0: they are not pinned */
	/* Given up before the guest's first instruction (sandbox/sandbox.h); NULL: nothing */
	const struct sandbox_config *sandbox;
	int console_fd; /* where console bytes go as they come; -1 = kept in machine_console() only
			 */
	enum console_input console_input;
	bool virtio_console;		     /* what is typed goes to a virtio-console */
	uint16_t console_rows, console_cols; /* of the terminal; 0: not known */
	/** The guest can take input again after machine_console_input() took less than it was given.
	 * Called on a vCPU's or a device's thread, perhaps with a lock of the device held. NULL: nobody waits. */
	void (*console_room)(void *arg);
	void *console_arg;
	unsigned int tick_ms;	     /* time between ticks of the observers; 0 = none */
	uint64_t vcpu_sample_ns;     /* time between two samples of a vCPU; 0: none */
	struct observers *observers; /* the observers (machine/observer.h); NULL: none */
};

enum outcome_kind {
	OUTCOME_EXITED,	 /* the guest said MMVM_REC_EXIT: status */
	OUTCOME_CRASHED, /* panic record, triple fault, or KVM could not continue: text, crash */
	OUTCOME_TIMEOUT,
	OUTCOME_STOPPED,    /* machine_stop(): a signal to mmvm */
	OUTCOME_HOST_ERROR, /* the host failed (text) */
};
struct machine_outcome {
	enum outcome_kind kind;
	int status;
	char text[1024];
	bool has_crash;
	struct mmvm_crash crash;
};

/** Exits of one reason over all vCPUs: how many, and time spent in the VMM. */
struct exit_stat {
	const char *name; /* "io", "mmio", "hlt", ... */
	uint64_t count, ns;
};
#define MACHINE_MAX_EXITS    40
#define MACHINE_EXIT_BUCKETS 40u

/** Build it. Returns NULL and fills `err` when it cannot. */
struct machine *machine_create(const struct machine_config *config, struct mmvm_error *err);
/** Run until the guest exits, crashes, times out or is stopped. All vCPU threads have ended on
 * return. */
void machine_run(struct machine *m, struct machine_outcome *out);
/** Ask a running machine to stop. Async-signal-safe. */
void machine_stop(struct machine *m);
void machine_destroy(struct machine *m);

/* What is to be seen, during ticks and after the run */
const struct mmvm_shared *machine_shared(const struct machine *m);
/** The whole shared window, MMVM_SHARED_SIZE bytes, to write to. */
void *machine_shared_window(struct machine *m);
/** Guest TSC and host TSC (rdtsc) at one moment, known to within *error ticks, for CPU 0. While the
 * vCPU does not run. 0 or -errno. */
int machine_tsc_pair(struct machine *m, uint64_t *guest, uint64_t *host, uint64_t *error);
/** What a reason of struct machine_exit_event is called; NULL past the last. */
const char *machine_exit_name(unsigned int reason);
struct guest_ram *machine_ram(struct machine *m);
/** False: exits have counts, and no times (config.untimed). */
bool machine_exits_timed(const struct machine *m);
unsigned int machine_exit_stats(const struct machine *m, struct exit_stat *out, unsigned int max);
/** Exits of a reason by how long the VMM took: out[i] of those from 2^i ticks of the TSC on; out[0]
 * of those below 2. Returns picoseconds a tick. */
uint64_t machine_exit_histogram(const struct machine *m, const char *reason,
				uint64_t out[MACHINE_EXIT_BUCKETS]);
/** Records the guest sent, oldest first, kept up to a bound (then counted as dropped). */
const struct mmvm_record *machine_record(const struct machine *m,
					 unsigned int i); /* NULL past the end */
uint64_t machine_records_dropped(const struct machine *m);
/** Console output so far (NUL-terminated, last MiB kept); *len may be NULL. Stays valid until the
 * next console output: call it when the machine has stopped, or from audit. */
const char *machine_console(const struct machine *m, size_t *len);
/** Copy console output from byte *pos of all that was ever printed on (what is gone is skipped),
 * and advance *pos. Returns the bytes copied; 0 = nothing new. Any thread, any time. */
size_t machine_console_read(struct machine *m, uint64_t *pos, void *buf, size_t size);
/** Bytes typed at the console; returns how many were taken, the rest when config.console_room was
 * called. Any thread while the machine exists, as the next two. */
size_t machine_console_input(struct machine *m, const void *bytes, size_t len);
/** The input is at its end: a break, by which guestmm knows the end of a stream. */
void machine_console_eof(struct machine *m);
/** The terminal's window has another size. A Linux guest learns it from a virtio-console only. */
void machine_console_resize(struct machine *m, uint16_t rows, uint16_t cols);
/** Stop the machine and call fn on vCPU 0's thread, with that vCPU's CR3. Waits until it has returned.
 * Not from a vCPU's thread. 0; -ESRCH: the machine ends; -EBUSY: another call waits. */
int machine_call_stopped(struct machine *m, void (*fn)(struct machine *m, uint64_t cr3, void *arg),
			 void *arg);
/** Guest virtual to physical through the tables at `cr3` (0: vCPU 0's current). Returns 0 or
 * -EFAULT. */
int machine_translate(struct machine *m, uint64_t cr3, uint64_t gva, uint64_t *gpa);
/** Levels of the guest's page tables, 4 or 5 (machine/walk.h). */
unsigned int machine_paging_levels(const struct machine *m);
/** In a call-back on a vCPU's thread: is the machine about to end? Long loops check it. Always false on other
 * threads. */
bool machine_call_is_late(const struct machine *m);
/** Read guest virtual memory. All or nothing: 0 or -EFAULT. */
int machine_read_virt(struct machine *m, uint64_t cr3, uint64_t gva, void *buf, size_t len);
bool machine_disk_stats(const struct machine *m, const char *role, struct mmvm_disk_stats *out);
/* The balloon (devices/virtio_balloon.c), from any thread while the machine exists */
/** False: there is none. */
bool machine_balloon_state(const struct machine *m, struct balloon_state *out);
/** Set the balloon's target, in pages. 0, -ENODEV, -EINVAL: more than there is RAM. */
int machine_balloon_set_target(struct machine *m, uint64_t pages);
/** Have the guest send its statistics: they are in a later state. */
void machine_balloon_ask_stats(struct machine *m);
/** Serve what the guest has asked for and the device has not done yet. */
void machine_balloon_settle(struct machine *m);
/** Does the host have this page? Exact after machine_balloon_settle() while no vCPU runs. */
bool machine_balloon_has(const struct machine *m, uint64_t gpa);
/* Files that are memory (machine/pmem.c, devices/virtio_pmem.c), from any thread while the machine exists */
struct machine_pmem_info {
	const char *role;
	uint64_t gpa, size; /* bytes */
	const uint8_t *hva;
	bool read_only;
};
/** Number i; false past the last. */
bool machine_pmem(const struct machine *m, unsigned int i, struct machine_pmem_info *out);
bool machine_pmem_state(const struct machine *m, unsigned int i, struct pmem_state *out);
/** The dirty log of guest RAM has readers that do not disturb each other: each gets every page that
 * was written since it last asked; one that has never asked, what no other has taken yet. */
enum dirty_reader {
	DIRTY_READER_SAMPLER,
	DIRTY_READER_EXACT,
	DIRTY_READER_ACCESS,
	DIRTY_READER_TRACE,
	DIRTY_READER_MONITOR,
	NR_DIRTY_READERS
};
#define DIRTY_BY_GUEST	1u /* in KVM's log */
#define DIRTY_BY_DEVICE 2u /* written by the VMM or a device */
/** Read the log: fn (may be NULL) for each page, by rising address, with who wrote it. Returns
 * pages or -errno (-EOPNOTSUPP: there is no log). Any thread. */
int64_t machine_dirty_read(struct machine *m, enum dirty_reader reader,
			   void (*fn)(uint64_t gpa, unsigned int by, void *arg), void *arg);
/** machine_dirty_read() for the sampler. */
int64_t machine_dirty_collect(struct machine *m, void (*fn)(uint64_t gpa, void *arg), void *arg);
/** Is a dirty log kept? */
bool machine_dirty_on(const struct machine *m);
/** The bitmap of mmvm/access.h: the guest writes it. */
uint64_t *machine_access_bitmap(struct machine *m);
/** Guest-physical address behind the last byte of RAM. */
uint64_t machine_ram_end(const struct machine *m);
enum dirty_mode machine_dirty_mode(const struct machine *m);
/** Switch KVM's logging off and on again while the machine exists. 0 or -errno. */
enum dirty_logging { DIRTY_LOGGING_OFF, DIRTY_LOGGING_ON };
int machine_dirty_switch(struct machine *m, enum dirty_logging to);
/** What keeping and reading the log has cost so far. */
struct machine_dirty_cost {
	uint64_t readings, pages;     /* pages: given to readers */
	uint64_t requests;	      /* to KVM */
	uint64_t ns;		      /* of readings, all in all */
	uint64_t get_ns, clear_ns;    /* of it in KVM: get; clear, or reset the rings */
	uint64_t ring_entries;	      /* read from rings; the same page may be there twice */
	uint64_t full_exits, full_ns; /* a vCPU left the guest because its ring was full */
};
void machine_dirty_cost(struct machine *m, struct machine_dirty_cost *out);
/** Nanoseconds from process start to the first KVM_RUN. */
uint64_t machine_start_ns(const struct machine *m);
/** Is this file a Linux kernel (a bzImage)? False too when it cannot be read. */
bool machine_kernel_is_linux(const char *path);
/** The guest is such a kernel: it sends no records and keeps no statistics in the shared window. */
bool machine_runs_linux(const struct machine *m);
/** What the host is: "VMX", "SVM", "PVM"; its quirks (MMVM_QUIRK_*); the guest's TSC in Hz. */
const char *machine_backend(const struct machine *m);
uint32_t machine_quirks(const struct machine *m);
uint64_t machine_tsc_hz(const struct machine *m);
/** Accesses to addresses where no device is, and mistakes the devices noted. */
uint64_t machine_guest_errors(const struct machine *m);
/** The mistakes of device i, and its role or model. False past the last. */
bool machine_device_errors(const struct machine *m, unsigned int i, const char **name, uint64_t *n);
/** Disks in order: role and size in bytes. False past the last. */
bool machine_disk(const struct machine *m, unsigned int i, const char **role, uint64_t *size);
/** KVM's binary statistics: fn for each value of the VM ("vm"), then of each vCPU ("vcpu"). Returns
 * 0 or -errno (-EOPNOTSUPP: the host has none). */
struct kvm_stat;
int machine_kvm_stats(struct machine *m,
		      void (*fn)(const char *scope, const struct kvm_stat *stat, void *arg),
		      void *arg);
/* Nodes (machine/numa.c) */
unsigned int machine_nr_nodes(const struct machine_config *c);
unsigned int machine_cpu_node(const struct machine_config *c, unsigned int cpu);
/** As ACPI's SLIT: 10 is local. */
unsigned int machine_node_distance(const struct machine_config *c, unsigned int from,
				   unsigned int to);
/** A piece of RAM that lies in one node; false past the last. Pieces rise by address. */
struct machine_node_range {
	uint64_t gpa, size;
	uint8_t *hva;
	unsigned int node;
};
bool machine_node_range(const struct machine *m, unsigned int i, struct machine_node_range *out);
/** The host's node that a guest node's memory is bound to; -1: it is not bound. */
int machine_host_node(const struct machine *m, unsigned int node);

/** Bytes of guest RAM that the host has given memory for. */
uint64_t machine_ram_resident(const struct machine *m);

/** Symbols of the guest ELF. Returns "name+0x12" in buf, or hex when unknown. */
struct symtab;
struct symtab *symtab_load(const char *elf_path);
void symtab_free(struct symtab *s);
const char *symtab_name(const struct symtab *s, uint64_t addr, char *buf, size_t size);
/** Address of a symbol, or 0. */
uint64_t symtab_lookup(const struct symtab *s, const char *name);
/** Symbol i in the order of addresses; false past the last. */
struct symtab_symbol {
	const char *name;
	uint64_t addr, size;
	char type; /* as nm prints it */
};
bool symtab_at(const struct symtab *s, size_t i, struct symtab_symbol *out);

#endif
