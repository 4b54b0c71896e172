/*
 * A machine's life: built in the order RAM, vCPUs, kernel, devices, device tree; run; taken apart
 * in reverse. The device tree is last because it names what the others made.
 *
 * machine_run() waits on one eventfd. Whoever ends the run (a vCPU that saw the guest exit or
 * crash, a signal handler in machine_stop()) leaves a flag and writes to it; ticks and the time
 * limit are the wait's own time-outs.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include "kvm/debug.h"
#include "devices/devices.h"
#include "machine/internal.h"
#include "machine/own_time.h"
#include "sandbox/sandbox.h"

#define NS_PER_SEC 1000000000ull
#define NS_PER_MS  1000000ull
#define MSR_TSC	   0x10u

/* KVM's local APIC timer counts 1 ns ticks unless KVM_CAP_X86_APIC_BUS_CYCLES_NS says otherwise. */
#ifndef KVM_CAP_X86_APIC_BUS_CYCLES_NS
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS 237
#endif

/* Out of the guest's way, below the IOAPIC: Intel hosts without unrestricted guest need them. */
#define INTEL_IDENTITY_GPA 0xfeffc000ull
#define INTEL_TSS_GPA	   0xfeffd000ull

static uint64_t process_start_ns;

__attribute__((constructor)) static void note_process_start(void)
{
	process_start_ns = machine_now_ns();
}

static int open_kvm(struct machine *m, struct mmvm_error *err)
{
	static const struct {
		int cap;
		const char *what;
	} need[] = {
		{KVM_CAP_IRQCHIP, "an in-kernel interrupt controller (KVM_CAP_IRQCHIP)"},
		{KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
		{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
		{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
		{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
		{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
	};
	const char *path = kvm_device_path();
	int rc = kvm_system_open(&m->sys);

	if (rc == -ENOENT || rc == -ENXIO || rc == -ENODEV)
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "no KVM on this host (%s: %s): load the kvm module, turn on "
				  "virtualization, or use --accel lab",
				  path, kvm_error_text(rc));
	if (rc == -EACCES || rc == -EPERM)
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "no permission to open %s: join its group (usually `usermod -aG "
				  "kvm $USER`, then log in again), or use --accel lab",
				  path);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot open %s: %s", path,
				  kvm_error_text(rc));
	for (unsigned int i = 0; i < sizeof(need) / sizeof(need[0]); i++)
		if (!kvm_system_check(&m->sys, need[i].cap))
			return mmvm_error(err, MMVM_EXIT_HOST,
					  "this host's KVM lacks %s; use --accel lab",
					  need[i].what);
	return 0;
}

static int create_vm(struct machine *m, struct mmvm_error *err)
{
	int rc, fd;

	m->vm = kvm_system_create_vm(&m->sys);
	if (m->vm < 0)
		return mmvm_error(err, MMVM_EXIT_HOST, "KVM cannot create a VM: %s%s",
				  kvm_error_text(m->vm),
				  m->vm == -EBUSY ? " (another hypervisor holds the CPU)" : "");
	if (m->sys.backend == KVM_BACKEND_VMX) {
		rc = kvm_vm_set_identity_map(m->vm, INTEL_IDENTITY_GPA);
		if (!rc)
			rc = kvm_vm_set_tss_addr(m->vm, INTEL_TSS_GPA);
		if (rc)
			return mmvm_error(err, MMVM_EXIT_HOST, "KVM refuses the TSS address: %s",
					  kvm_error_text(rc));
	}
	rc = kvm_vm_create_irqchip(m->vm);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "KVM cannot create the interrupt controller: %s",
				  kvm_error_text(rc));
	fd = kvm_vm_stats_fd(m->vm);
	m->vm_stats = fd >= 0 ? kvm_stats_open(fd) : NULL;
	return 0;
}

static void find_clocks(struct machine *m)
{
	int khz = kvm_vcpu_tsc_khz(&m->vcpu[0].kvm);
	int bus_ns = kvm_vm_check(m->vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS);

	m->tsc_hz = khz > 0 ? (uint64_t)khz * 1000 : 0;
	m->lapic_hz = NS_PER_SEC / (bus_ns > 0 ? (uint64_t)bus_ns : 1);
}

/** At the end of low RAM, page-aligned, clear of the kernel. Behind the kernel if guestmm is to keep the end of RAM out
 * of its direct map (highmem=). */
static int load_initrd(struct machine *m, struct mmvm_error *err)
{
	const struct machine_config *c = &m->config;
	uint64_t size = (c->initrd_len + MMVM_PAGE_SIZE - 1) & ~(MMVM_PAGE_SIZE - 1);

	if (!c->initrd)
		return 0;
	if (size > m->initrd_top || m->initrd_top - size < m->kernel_end)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "the %s (%llu KiB) and the kernel do not fit into %llu MiB "
				  "of RAM below 4 GiB: choose a larger --memory",
				  m->linux_guest ? "initrd" : "program",
				  (unsigned long long)(size >> 10),
				  (unsigned long long)(c->ram_low >> 20));
	m->initrd_gpa = m->initrd_top - size;
	if (!m->linux_guest && *machine_boot_option(m, "highmem="))
		m->initrd_gpa = (m->kernel_end + MMVM_PAGE_SIZE - 1) & ~(MMVM_PAGE_SIZE - 1);
	/* An empty archive still has an address. */
	if (guest_ram_write(&m->ram, m->initrd_gpa, c->initrd, c->initrd_len))
		return mmvm_error(err, MMVM_EXIT_USAGE, "the initrd is empty");
	return 0;
}

static int load_kernel(struct machine *m, struct mmvm_error *err)
{
	m->initrd_top = m->config.ram_low;
	return machine_kernel_is_linux(m->config.kernel)
		       ? machine_load_linux(m, m->config.kernel, err)
		       : machine_load_elf(m, m->config.kernel, err);
}

/** Devices, and what tells the guest of them. */
static int describe_machine(struct machine *m, const uint8_t seed[32], struct mmvm_error *err)
{
	if (machine_create_devices(m, err))
		return -1;
	if (!m->linux_guest)
		return machine_build_fdt(m, seed, err);
	return machine_create_linux_devices(m, err) ? -1 : machine_build_linux_params(m, err);
}

/** 32 bytes from the 64-bit seed (splitmix64): the same run again has the same randomness. */
static void expand_seed(uint64_t seed, uint8_t out[32])
{
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15ull;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ z >> 27) * 0x94d049bb133111ebull;
		z ^= z >> 31;
		memcpy(out + 8 * i, &z, 8);
	}
}

static int check_config(const struct machine_config *c, struct mmvm_error *err)
{
	if (c->ram_low < MMVM_RAM_MIN)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "%llu KiB of RAM below 4 GiB: a machine needs at least %llu MiB",
				  (unsigned long long)(c->ram_low >> 10), MMVM_RAM_MIN >> 20);
	if (c->ram_low > MMVM_RAM_LOW_MAX)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "at most %llu MiB of RAM fit below 4 GiB: give the rest as "
				  "high=SIZE",
				  MMVM_RAM_LOW_MAX >> 20);
	if (c->ram_low % MMVM_PAGE_SIZE || c->ram_high % MMVM_PAGE_SIZE)
		return mmvm_error(err, MMVM_EXIT_USAGE, "RAM must be whole pages of 4 KiB");
	if (!c->cpus || c->cpus > MMVM_MAX_CPUS)
		return mmvm_error(err, MMVM_EXIT_USAGE, "a machine has 1 to %u CPUs",
				  MMVM_MAX_CPUS);
	if (c->nr_disks > sizeof(c->disk) / sizeof(c->disk[0]))
		return mmvm_error(err, MMVM_EXIT_USAGE, "at most %zu disks",
				  sizeof(c->disk) / sizeof(c->disk[0]));
	if (c->nr_pmem > MMVM_MAX_PMEM)
		return mmvm_error(err, MMVM_EXIT_USAGE, "at most %u files as memory (--pmem)",
				  MMVM_MAX_PMEM);
	return machine_check_nodes(c, err) || machine_check_pin(c, err) ? -1 : 0;
}

static const struct sandbox_config *worker_sandbox;

/** On the thread of a device, before it has done anything. Without its filter it does nothing at all. */
static void enter_worker(void)
{
	int rc = sandbox_enter_thread(SANDBOX_WORKER, worker_sandbox);

	if (!rc)
		return;
	fprintf(stderr, "mmvm: no sandbox for a device's thread: %s (--sandbox off runs without)\n",
		strerror(-rc));
	_exit(MMVM_EXIT_HOST);
}

struct machine *machine_create(const struct machine_config *config, struct mmvm_error *err)
{
	struct machine *m = calloc(1, sizeof(*m));
	uint8_t seed[32];

	if (!m) {
		mmvm_error(err, MMVM_EXIT_HOST, "no memory");
		return NULL;
	}
	m->config = *config;
	m->sys.fd = m->vm = m->wake_fd = -1;
	pthread_mutex_init(&m->dirty_lock, NULL);
	pthread_mutex_init(&m->outcome_lock, NULL);
	pthread_mutex_init(&m->record_lock, NULL);
	pthread_mutex_init(&m->park_lock, NULL);
	pthread_cond_init(&m->park_cond, NULL);
	worker_sandbox = m->config.sandbox;
	device_worker_begins = m->config.sandbox ? enter_worker : NULL;
	if (observers_open(m->config.observers, &m->config, err))
		goto fail;
	config = &m->config;
	if (check_config(config, err) || machine_record_init(m, err) || open_kvm(m, err) ||
	    create_vm(m, err) || machine_dirty_setup(m, err) || machine_ram_create(m, err) ||
	    load_kernel(m, err))
		goto fail;
	m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->wake_fd < 0) {
		mmvm_error(err, MMVM_EXIT_HOST, "cannot create an eventfd: %s", strerror(errno));
		goto fail;
	}
	if (m->sys.backend == KVM_BACKEND_PVM)
		m->quirks = MMVM_QUIRK_SYSCALL_UD | MMVM_QUIRK_NO_SYSRET | MMVM_QUIRK_FASTOP;
	for (unsigned int i = 0; i < config->cpus; i++)
		if (machine_vcpu_create(m, i, err))
			goto fail;
	find_clocks(m);
	machine_boot_tables(m);
	expand_seed(config->seed, seed);
	if (load_initrd(m, err) || describe_machine(m, seed, err) ||
	    observers_start(m->config.observers, m, err))
		goto fail;
	return m;
fail:
	machine_destroy(m);
	return NULL;
}

void machine_destroy(struct machine *m)
{
	if (!m)
		return;
	machine_vcpus_stop(m);
	machine_bus_destroy(m);
	machine_pmem_destroy(m);
	for (unsigned int i = 0; i < m->nr_vcpus; i++)
		machine_vcpu_destroy(&m->vcpu[i]);
	kvm_stats_close(m->vm_stats);
	if (m->vm >= 0)
		close(m->vm);
	machine_ram_destroy(m);
	machine_linux_free(m);
	machine_record_destroy(m);
	kvm_system_close(&m->sys);
	if (m->wake_fd >= 0)
		close(m->wake_fd);
	pthread_mutex_destroy(&m->dirty_lock);
	pthread_mutex_destroy(&m->outcome_lock);
	pthread_mutex_destroy(&m->record_lock);
	pthread_mutex_destroy(&m->park_lock);
	pthread_cond_destroy(&m->park_cond);
	free(m);
}

static void wake(struct machine *m)
{
	uint64_t one = 1;
	ssize_t n = write(m->wake_fd, &one, sizeof(one));

	/* Fails only when the counter is full, and then the reader is awake already. */
	(void)n;
}

void machine_finish(struct machine *m, const struct machine_outcome *out)
{
	pthread_mutex_lock(&m->outcome_lock);
	if (!atomic_load(&m->finished)) {
		m->outcome = *out;
		atomic_store(&m->finished, true);
	}
	pthread_mutex_unlock(&m->outcome_lock);
	wake(m);
}

void machine_stop(struct machine *m)
{
	int saved = errno;

	atomic_store(&m->stop, true);
	wake(m);
	errno = saved;
}

/** Wait until something has ended the run; ticks and the time limit fall due meanwhile. */
static void wait_for_end(struct machine *m, uint64_t begin)
{
	const bool ticks = observers_have(m->config.observers, OBSERVER_HAS_TICK);
	uint64_t tick = ticks ? m->config.tick_ms * NS_PER_MS : 0;
	uint64_t limit = m->config.timeout_s * NS_PER_SEC, next_tick = begin + tick;
	struct pollfd pfd = {.fd = m->wake_fd, .events = POLLIN};
	const pid_t self = getpid();
	struct own_time own;

	own_time_init(&own);
	while (!atomic_load(&m->finished) && !atomic_load(&m->stop)) {
		uint64_t now = machine_now_ns(), due = UINT64_MAX;
		/* How long the run has lasted as the limit counts. */
		uint64_t lasted = limit && m->config.timeout_own ? own_time_look(&own, &self, 1)
								 : now - begin;
		struct timespec wait;

		if (limit && lasted >= limit) {
			struct machine_outcome out = {.kind = OUTCOME_TIMEOUT,
						      .status = MMVM_EXIT_TIMEOUT};

			machine_finish(m, &out);
			break;
		}
		if (tick && now >= next_tick) {
			observers_tick(m->config.observers, m, m->config.tick_ms);
			/* After a late tick, the next is a whole interval away: no bursts. */
			next_tick += tick;
			if (next_tick < machine_now_ns())
				next_tick = machine_now_ns() + tick;
			continue;
		}
		if (limit)
			due = now + limit - lasted;
		if (limit && m->config.timeout_own && due > now + NS_PER_SEC)
			due = now + NS_PER_SEC;
		if (tick && next_tick < due)
			due = next_tick;
		wait.tv_sec = (time_t)((due - now) / NS_PER_SEC);
		wait.tv_nsec = (long)((due - now) % NS_PER_SEC);
		ppoll(&pfd, 1, due == UINT64_MAX ? NULL : &wait, NULL);
	}
	own_time_free(&own);
}

/** Where the vCPU was when the time was up or the user stopped it. */
static void add_registers(struct machine *m, struct machine_outcome *out)
{
	if (out->has_crash || out->kind == OUTCOME_EXITED || !atomic_load(&m->vcpu[0].stopped))
		return;
	machine_vcpu_crash(&m->vcpu[0], &out->crash);
	out->has_crash = true;
	if (!out->text[0])
		snprintf(out->text, sizeof(out->text), "CPU 0 was at rip 0x%llx, in ring %llu",
			 (unsigned long long)out->crash.rip,
			 (unsigned long long)(out->crash.cs & 3));
}

void machine_run(struct machine *m, struct machine_outcome *out)
{
	struct machine_outcome stopped = {.kind = OUTCOME_STOPPED, .status = MMVM_EXIT_FAILED};
	char why[160];
	uint64_t begin;
	int rc;

	/* The loader's writes and KVM's all-set initial log are not the guest's. */
	if (m->config.dirty_log)
		machine_dirty_start(m);
	if (m->config.sandbox && sandbox_enter_process(m->config.sandbox, why, sizeof(why))) {
		*out = (struct machine_outcome){.kind = OUTCOME_HOST_ERROR,
						.status = MMVM_EXIT_HOST};
		snprintf(out->text, sizeof(out->text),
			 "no sandbox: %s (--sandbox off runs without)", why);
		machine_finish(m, out);
		return;
	}
	begin = m->ns0 = machine_now_ns();
	m->tsc0 = __rdtsc();
	m->start_ns = begin - process_start_ns;
	for (unsigned int i = 0; i < m->nr_vcpus; i++) {
		rc = machine_vcpu_start(&m->vcpu[i]);
		if (rc) {
			struct machine_outcome err = {.kind = OUTCOME_HOST_ERROR,
						      .status = MMVM_EXIT_HOST};

			snprintf(err.text, sizeof(err.text), "cannot start a vCPU thread: %s",
				 kvm_error_text(rc));
			machine_finish(m, &err);
			break;
		}
	}
	wait_for_end(m, begin);
	machine_vcpus_stop(m);
	if (!atomic_load(&m->finished))
		machine_finish(m, &stopped);
	*out = m->outcome;
	add_registers(m, out);
}

int machine_tsc_pair(struct machine *m, uint64_t *guest, uint64_t *host, uint64_t *error)
{
	*error = UINT64_MAX;
	/* The reading that took least is the most exact. */
	for (unsigned int i = 0; i < 32; i++) {
		uint64_t t0 = __rdtsc(), g, t1;
		int rc = kvm_vcpu_get_msr(&m->vcpu[0].kvm, MSR_TSC, &g);

		t1 = __rdtsc();
		if (rc)
			return rc;
		if (t1 - t0 >= *error)
			continue;
		*error = t1 - t0;
		*host = t0 + (t1 - t0) / 2;
		*guest = g;
	}
	*error = *error / 2 + 1;
	return 0;
}

uint64_t machine_start_ns(const struct machine *m)
{
	return m->start_ns;
}

const char *machine_backend(const struct machine *m)
{
	return kvm_backend_name(m->sys.backend);
}

uint32_t machine_quirks(const struct machine *m)
{
	return m->quirks;
}

uint64_t machine_tsc_hz(const struct machine *m)
{
	return m->tsc_hz;
}

uint64_t machine_ram_resident(const struct machine *m)
{
	uint64_t bytes = 0;
	struct stat st;

	/* With one file for all regions, once. */
	for (unsigned int i = 0; i < (m->config.backing == BACKING_FILE ? 1 : m->ram.nr); i++)
		if (!fstat(m->ram_fd[i], &st))
			bytes += (uint64_t)st.st_blocks * 512;
	return bytes;
}

static const char *exit_name(unsigned int slot)
{
	switch (slot) {
	case EXIT_PIO_IN:
		return "pio_in";
	case EXIT_PIO_OUT:
		return "pio_out";
	case EXIT_MMIO_READ:
		return "mmio_read";
	case EXIT_MMIO_WRITE:
		return "mmio_write";
	case EXIT_INTERRUPTED:
		return "interrupted";
	case KVM_EXIT_INTR:
		return "intr";
	case KVM_EXIT_DEBUG:
		return "step";
	case KVM_EXIT_SHUTDOWN:
		return "shutdown";
	case KVM_EXIT_DIRTY_RING_FULL:
		return "dirty_ring_full";
	case KVM_EXIT_FAIL_ENTRY:
		return "fail_entry";
	case KVM_EXIT_INTERNAL_ERROR:
		return "internal_error";
	case KVM_EXIT_SYSTEM_EVENT:
		return "system_event";
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return "irq_window";
	default:
		return "other";
	}
}

const char *machine_exit_name(unsigned int reason)
{
	return reason < EXIT_SLOTS ? exit_name(reason) : NULL;
}

unsigned int machine_exit_stats(const struct machine *m, struct exit_stat *out, unsigned int max)
{
	uint64_t ticks = __rdtsc() - m->tsc0, ns = machine_now_ns() - m->ns0;
	double ns_per_tick = ticks ? (double)ns / (double)ticks : 0;
	unsigned int n = 0;

	for (unsigned int slot = 0; slot < EXIT_SLOTS && n < max; slot++) {
		uint64_t count = 0, tsc = 0;

		for (unsigned int i = 0; i < m->nr_vcpus; i++) {
			const struct machine_vcpu *v = &m->vcpu[i];

			count += __atomic_load_n(&v->exit_count[slot], __ATOMIC_RELAXED);
			tsc += __atomic_load_n(&v->exit_tsc[slot], __ATOMIC_RELAXED);
		}
		if (!count)
			continue;
		out[n++] = (struct exit_stat){
			.name = exit_name(slot),
			.count = count,
			.ns = (uint64_t)((double)tsc * ns_per_tick),
		};
	}
	return n;
}

uint64_t machine_exit_histogram(const struct machine *m, const char *reason,
				uint64_t out[MACHINE_EXIT_BUCKETS])
{
	uint64_t ticks = __rdtsc() - m->tsc0, ns = machine_now_ns() - m->ns0;

	memset(out, 0, MACHINE_EXIT_BUCKETS * sizeof(*out));
	for (unsigned int slot = 0; slot < EXIT_SLOTS; slot++) {
		if (strcmp(exit_name(slot), reason))
			continue;
		for (unsigned int i = 0; i < m->nr_vcpus; i++)
			for (unsigned int b = 0; b < MACHINE_EXIT_BUCKETS; b++)
				out[b] += __atomic_load_n(&m->vcpu[i].exit_log2[slot][b],
							  __ATOMIC_RELAXED);
	}
	return ticks ? (uint64_t)((double)ns * 1000 / (double)ticks) : 0;
}

bool machine_exits_timed(const struct machine *m)
{
	return !m->config.untimed;
}

struct stats_call {
	const char *scope;
	void (*fn)(const char *scope, const struct kvm_stat *stat, void *arg);
	void *arg;
};

static void stats_one(const struct kvm_stat *stat, void *arg)
{
	struct stats_call *call = arg;

	call->fn(call->scope, stat, call->arg);
}

int machine_kvm_stats(struct machine *m,
		      void (*fn)(const char *scope, const struct kvm_stat *stat, void *arg),
		      void *arg)
{
	struct stats_call call = {.scope = "vm", .fn = fn, .arg = arg};
	int rc;

	if (!m->vm_stats)
		return -EOPNOTSUPP;
	rc = kvm_stats_read(m->vm_stats, stats_one, &call);
	call.scope = "vcpu";
	for (unsigned int i = 0; i < m->nr_vcpus && !rc; i++)
		if (m->vcpu[i].stats)
			rc = kvm_stats_read(m->vcpu[i].stats, stats_one, &call);
	return rc;
}
