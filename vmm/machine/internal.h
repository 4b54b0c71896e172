/*
 * The machine from inside: one struct, and what each file of this folder does with it.
 *
 *   numa.c     nodes, host nodes              pin.c    vCPU threads on host processors
 *   ram.c      guest RAM, the shared window, memory slots   dirty.c  the dirty log
 *   elf.c      the guest's ELF file into RAM            symtab.c  its symbols
 *   linux.c    or a bzImage, its parameters, its end
 *   fdt.c      the device tree                          boot.c    tables and registers at entry
 *   pmem.c     files that are memory of the guest
 *   bus.c      devices by address, interrupt lines      disk.c    disk files
 *   record.c   what the guest sends on the test channel, and its console
 *   park.c     who may enter the guest, pauses
 *   vcpu.c     vCPU threads and their exits             walk.c    guest page tables, from outside
 *   step.c     one instruction at a time
 *   observer.c who watches it
 *   machine.c  all of it, put together and taken apart
 *
 * Locks, none held while taking another, but D inside W:
 *   W  m->ram.writes    shared by devices that write to RAM; alone by who wants them to stand still
 *   D  m->dirty_lock    m->dirty
 *   O  m->outcome_lock  m->outcome, first one wins
 *   R  m->record_lock   records and console
 *   P  m->park_lock     who may enter the guest; park_cond is signalled on every change
 *
 * Everything else is set up before the first vCPU thread starts and does not change until the last
 * has ended, but for counters, which have one writer each.
 */
#ifndef VMM_MACHINE_INTERNAL_H
#define VMM_MACHINE_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include "devices/locking.h"
#include "devices/device.h"
#include "kvm/kvm.h"
#include "machine/machine.h"
#include "machine/park.h"
#include "machine/observer.h"
#include "mmvm/layout.h"

#define MACHINE_MAX_DEVICES 24
#define MACHINE_SHARED_SLOT MMVM_MAX_RAM_REGIONS
#define MACHINE_PMEM_SLOT   (MACHINE_SHARED_SLOT + 1) /* and on */
#define MACHINE_CONSOLE_MAX (1u << 20)
#define MACHINE_MAX_RECORDS 65536u
#define MACHINE_RECORD_ROOM (32u << 20) /* bytes of records kept */

/** Reasons we count. KVM's numbers go up to the thirties; io and mmio are split by direction. */
enum {
	EXIT_PIO_IN = 48,
	EXIT_PIO_OUT,
	EXIT_MMIO_READ,
	EXIT_MMIO_WRITE,
	EXIT_INTERRUPTED,
	EXIT_SLOTS,
};

/** An interrupt line with an eventfd that KVM watches. */
struct machine_irq {
	struct irq_line line;
	uint32_t gsi;
};

struct machine_vcpu {
	struct machine *m;
	unsigned int id;
	struct kvm_vcpu kvm;
	pthread_t thread;
	bool started;
	/* P: may it enter the guest? A vCPU of guestmm but the first is released by the guest,
	 * which says where it begins. */
	bool released;
	uint64_t start_rip, start_cr3, start_rsp; /* P */
	bool parked;	/* P: outside the guest, and asks before it enters (park.c) */
	pthread_t self; /* P: the thread, once it has taken its first step */
	bool ended;	/* P: its thread will not enter the guest again */
	struct kvm_stats *stats;
	/* Written by the vCPU's thread only, read by others at any time. */
	uint64_t exit_count[EXIT_SLOTS];
	uint64_t exit_tsc[EXIT_SLOTS];			      /* TSC ticks spent in the VMM */
	uint64_t exit_log2[EXIT_SLOTS][MACHINE_EXIT_BUCKETS]; /* exits by log2 of those */
	struct exit_table *exit_table;			      /* NULL: not asked for */
	/* Valid while `stopped`: the thread waits in a call-back, or has ended. */
	atomic_bool stopped;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct machine_stepper *step; /* step.c; NULL until the guest asks for it */
};

/** dirty.c; lock D once threads run. */
struct machine_dirty {
	enum dirty_mode mode; /* never AUTO once set up */
	bool on;	      /* KVM logs now */
	uint32_t chunk;	      /* pages of one clear request */
	uint32_t ring_entries;
	struct kvm_dirty_ring ring[MMVM_MAX_CPUS];
	/* Bitmaps over all RAM: region i begins at word first_word[i]. */
	uint64_t words, first_word[MMVM_MAX_RAM_REGIONS];
	unsigned long *fresh; /* taken from KVM, not yet handed out */
	unsigned long *mask;  /* of one clear request */
	/* [][0] written by the guest, [][1] by devices; NULL: no such reader so far */
	unsigned long *pending[NR_DIRTY_READERS][2];
	struct machine_dirty_cost cost;
};

struct machine_disk {
	char role[16];
	struct device *dev;
	uint64_t size;
	int fd;
};

struct machine_pmem {
	char role[16];
	struct device *dev;
	uint64_t gpa, size; /* bytes */
	uint8_t *hva;
	bool read_only;
};

struct machine {
	struct machine_config config;
	struct kvm_system sys;
	int vm;
	uint32_t quirks;
	uint64_t tsc_hz, lapic_hz;
	struct kvm_stats *vm_stats;

	/* ram.c */
	struct guest_ram ram;
	int ram_fd[MMVM_MAX_RAM_REGIONS];
	struct mmvm_shared *shared;
	int host_node[MMVM_MAX_NODES]; /* numa.c; -1: not bound */

	/* dirty.c */
	struct machine_dirty dirty;
	pthread_mutex_t dirty_lock;

	/* What was loaded */
	uint64_t entry, kernel_end, initrd_gpa;
	uint64_t initrd_top;		   /* the initrd ends at or below */
	struct machine_linux *linux_guest; /* linux.c; NULL: the guest is guestmm */

	/* bus.c */
	struct device *device[MACHINE_MAX_DEVICES];
	unsigned int nr_devices;
	struct machine_irq irq[MACHINE_MAX_DEVICES];
	unsigned int nr_irqs;
	uint64_t unclaimed; /* accesses to addresses without a device; atomic */

	struct machine_disk disk[8];
	unsigned int nr_disks;

	/* pmem.c */
	struct machine_pmem pmem[MMVM_MAX_PMEM];
	unsigned int nr_pmem;

	struct device *serial;	/* devices.c */
	struct device *balloon; /* devices.c; NULL: none */
	struct device
		*console_dev; /* devices.c: what is typed goes there; NULL: to the serial port */

	/* record.c */
	pthread_mutex_t record_lock;
	struct mmvm_record **record;
	unsigned int nr_records, record_room;
	size_t record_bytes;
	uint64_t records_dropped;
	char *console; /* twice MACHINE_CONSOLE_MAX, so that the last half is always in one piece */
	size_t console_len;
	uint64_t console_total; /* bytes ever printed */

	/* vcpu.c, machine.c */
	struct machine_vcpu vcpu[MMVM_MAX_CPUS];
	unsigned int nr_vcpus;
	pthread_mutex_t park_lock;
	pthread_cond_t park_cond;
	/* P: machine_call_stopped(); `call` is set while somebody waits */
	void (*_Atomic call)(struct machine *m, uint64_t cr3, void *arg);
	void *call_arg;
	struct machine_vcpu *_Atomic pauser; /* P to change: the one vCPU that may continue */
	int wake_fd;			     /* eventfd: look at `stop` and `finished` */
	atomic_bool stop;		     /* machine_stop() was called */
	atomic_bool finished;		     /* the outcome is known */
	atomic_bool quit;		     /* vCPU threads are to end */
	bool boot_la57;			     /* boot.c: guestmm starts with five levels */
	atomic_bool la57; /* CR4.LA57, as last seen: it never changes in long mode */
	pthread_mutex_t outcome_lock;
	struct machine_outcome outcome;
	uint64_t start_ns; /* process start to first KVM_RUN */
	uint64_t tsc0, ns0;
};

/* ram.c */
int machine_ram_create(struct machine *m, struct mmvm_error *err);
void machine_ram_destroy(struct machine *m);
/** RAM or the shared window; NULL elsewhere or across an edge. */
void *machine_gpa_ptr(struct machine *m, uint64_t gpa, uint64_t len);

/** The mapping of a file behind an address that equals gpa modulo 2 MiB; NULL: errno says why. */
void *machine_map_aligned(int fd, uint64_t offset, uint64_t gpa, uint64_t size, int prot);

/* pmem.c. 0, or -1 with err. */
int machine_pmem_create(struct machine *m, struct mmvm_error *err);
/** After the devices were destroyed. */
void machine_pmem_destroy(struct machine *m);

/* numa.c, pin.c: 0, or -1 with err. */
int machine_check_nodes(const struct machine_config *c, struct mmvm_error *err);
int machine_bind_nodes(struct machine *m, struct mmvm_error *err);
int machine_check_pin(const struct machine_config *c, struct mmvm_error *err);
/** The thread runs. 0 or -errno. */
int machine_pin_thread(const struct machine_vcpu *v);

/* dirty.c, in the order of calls: before there is RAM, when there is RAM, for each vCPU. 0, or -1
 * with err. */
int machine_dirty_setup(struct machine *m, struct mmvm_error *err);
int machine_dirty_bitmaps(struct machine *m, struct mmvm_error *err);
int machine_dirty_vcpu(struct machine_vcpu *v, struct mmvm_error *err);
/** The run begins: pages written before are not reported, and their cost is not part of the run. */
void machine_dirty_start(struct machine *m);
void machine_dirty_destroy(struct machine *m);
/** A vCPU thread cannot continue before its ring is read. 0 or -errno. */
int machine_dirty_ring_full(struct machine *m);

/* elf.c: 0, or -1 with err. Sets m->entry and m->kernel_end. */
int machine_load_elf(struct machine *m, const char *path, struct mmvm_error *err);

/* linux.c. The loader: as machine_load_elf(). */
int machine_load_linux(struct machine *m, const char *path, struct mmvm_error *err);
/** When RAM, initrd and devices are there: boot_params, command line, MP table. 0, or -1 with err. */
int machine_build_linux_params(struct machine *m, struct mmvm_error *err);
/** What only Linux wants. 0, or -1 with err. */
int machine_create_linux_devices(struct machine *m, struct mmvm_error *err);
/** What a Linux guest prints, as it comes. Returns whether the console shows that the kernel has ended: the caller
 * calls machine_linux_reset() then, without the lock. Lock R held. */
bool machine_linux_console(struct machine *m, const char *text, size_t len)
	NEEDS_LOCK(m->record_lock);
/** The guest has reset the machine, or triple-faulted: is it the end of a Linux that has said so?
 * Then the outcome is set. */
bool machine_linux_reset(struct machine *m);
void machine_linux_free(struct machine *m);

/* fdt.c: writes the tree at MMVM_FDT_BASE. */
int machine_build_fdt(struct machine *m, const uint8_t seed[32], struct mmvm_error *err);

/* boot.c */
/** What follows `name`, which ends in "=", on the guest's command line, to the end of the line; "": it is not there. */
const char *machine_boot_option(const struct machine *m, const char *name);
void machine_boot_tables(struct machine *m);
int machine_vcpu_reset(struct machine_vcpu *v, struct mmvm_error *err);
/** On the vCPU's own thread: the registers with which it was released. 0 or -errno. */
int machine_vcpu_set_start(struct machine_vcpu *v);

/* bus.c */
int machine_add_device(struct machine *m, struct device *dev, struct mmvm_error *err);
struct irq_line *machine_irq_line(struct machine *m, uint32_t gsi, struct mmvm_error *err);
enum bus_space { BUS_MMIO, BUS_PIO };
void machine_bus_read(struct machine *m, enum bus_space space, uint64_t addr, void *data,
		      unsigned int size);
void machine_bus_write(struct machine *m, enum bus_space space, uint64_t addr, const void *data,
		       unsigned int size);
void machine_bus_destroy(struct machine *m);

/* devices.c: creates the devices of the configuration. */
struct device_env;
/** Where the virtio device at `place` is, and its interrupt. 0, or -1 with err. */
int machine_virtio_env(struct machine *m, struct device_env *env, const char *role,
		       unsigned int place, struct mmvm_error *err);
int machine_create_devices(struct machine *m, struct mmvm_error *err);

/* disk.c: opens or creates the file behind a disk. Returns its descriptor, or -1 with err. */
int machine_disk_open(const struct disk_config *config, uint64_t *size, struct mmvm_error *err);

/* record.c */
int machine_record_init(struct machine *m, struct mmvm_error *err);
void machine_record_destroy(struct machine *m);
struct testchan_ops;
/** What the test channel calls; its argument is the machine. */
extern const struct testchan_ops machine_testchan_ops;
/** Bytes of the console; a device_sink_fn whose argument is the machine. */
void machine_console_write(void *machine, const void *text, size_t len);

/* vcpu.c */
int machine_vcpu_create(struct machine *m, unsigned int id, struct mmvm_error *err);
int machine_vcpu_start(struct machine_vcpu *v);
/** Make every vCPU thread leave the guest and end; joins them. */
void machine_vcpus_stop(struct machine *m);
void machine_vcpu_destroy(struct machine_vcpu *v);
/** The vCPU the calling thread runs, or NULL. */
struct machine_vcpu *machine_current_vcpu(void);
/** Fetch the registers of the calling thread's vCPU into v->regs and v->sregs. */
int machine_vcpu_sync(struct machine_vcpu *v);
/** Registers of a stopped or synced vCPU as a crash record; vector and error are all ones. */
void machine_vcpu_crash(const struct machine_vcpu *v, struct mmvm_crash *crash);

/* step.c, all on the vCPU's own thread */
/** The guest's MMVM_REC_PROFILE: begin or end. */
void machine_step_mark(struct machine *m, const struct mmvm_record *rec);
/** v->step is set. Sets registers that could not be set in the middle of an exit. Clears a kick, so
 * the reasons for one are looked at after it. */
void machine_step_settle(struct machine_vcpu *v);
/** v->step is set, the vCPU is about to enter the guest. */
void machine_step_before_run(struct machine_vcpu *v);
/** The vCPU has left the guest: was it a step? */
bool machine_step_exit(struct machine_vcpu *v);
void machine_step_free(struct machine_vcpu *v);

/* machine.c */
/** Keep the outcome if it is the first, and wake machine_run(). */
void machine_finish(struct machine *m, const struct machine_outcome *out);

#endif
