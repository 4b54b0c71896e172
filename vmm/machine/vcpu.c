/*
 * vCPU threads: enter the guest, serve the exit, count it, again.
 *
 * Stopping works from any state. `quit` is set first; then run->immediate_exit, which makes a
 * KVM_RUN that has not begun return at once; then a signal, which makes one that has begun return.
 * Whichever way the race goes, the thread comes back to the top of its loop and sees `quit`.
 *
 *   owner thread                          vCPU thread
 *   quit = true                           loop: quit? -> end
 *   run->immediate_exit = 1               KVM_RUN -> EINTR if immediate_exit or signal pending
 *   pthread_kill(MACHINE_KICK_SIGNAL)
 *
 * Who may enter the guest, and when, is in park.c.
 *
 * Time in the VMM is counted in TSC ticks from the return of one KVM_RUN to the call of the next:
 * two RDTSC an exit, some 40 cycles; none with config.untimed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include "machine/exit_sites.h"
#include "machine/internal.h"
#include "sandbox/sandbox.h"

#define CR4_LA57 (1ull << 12)

static _Thread_local struct machine_vcpu *current_vcpu;

struct machine_vcpu *machine_current_vcpu(void)
{
	return current_vcpu;
}

int machine_vcpu_sync(struct machine_vcpu *v)
{
	int rc = kvm_vcpu_get_regs(&v->kvm, &v->regs);

	if (!rc)
		rc = kvm_vcpu_get_sregs(&v->kvm, &v->sregs);
	if (!rc)
		atomic_store(&v->m->la57, v->sregs.cr4 & CR4_LA57);
	return rc;
}

bool machine_call_is_late(const struct machine *m)
{
	return current_vcpu && current_vcpu->m == m &&
	       (atomic_load(&m->quit) || atomic_load(&m->finished) || atomic_load(&m->stop));
}

void machine_vcpu_crash(const struct machine_vcpu *v, struct mmvm_crash *c)
{
	const struct kvm_regs *r = &v->regs;
	const struct kvm_sregs *s = &v->sregs;

	*c = (struct mmvm_crash){
		.vector = ~0ull,
		.error = ~0ull,
		.cr2 = s->cr2,
		.cr3 = s->cr3,
		.rax = r->rax,
		.rbx = r->rbx,
		.rcx = r->rcx,
		.rdx = r->rdx,
		.rsi = r->rsi,
		.rdi = r->rdi,
		.rbp = r->rbp,
		.rsp = r->rsp,
		.r8 = r->r8,
		.r9 = r->r9,
		.r10 = r->r10,
		.r11 = r->r11,
		.r12 = r->r12,
		.r13 = r->r13,
		.r14 = r->r14,
		.r15 = r->r15,
		.rip = r->rip,
		.rflags = r->rflags,
		.cs = s->cs.selector,
		.ss = s->ss.selector,
	};
}

/** "0f 0b ..." of the bytes at RIP, as many as can be read. */
static void code_bytes(struct machine_vcpu *v, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = 0;
	for (unsigned int i = 0; i < 15 && at + 4 < size; i++) {
		uint8_t byte;

		if (machine_read_virt(v->m, v->sregs.cr3, v->regs.rip + i, &byte, 1))
			break;
		at += (size_t)snprintf(buf + at, size - at, "%s%02x", i ? " " : "", byte);
	}
	if (!at)
		snprintf(buf, size, "not mapped");
}

/** The guest cannot continue: report why, where, and with which registers. */
static void finish_crashed(struct machine_vcpu *v, const char *why)
{
	struct machine_outcome out = {.kind = OUTCOME_CRASHED, .status = MMVM_EXIT_CRASHED};
	char code[64];

	if (machine_vcpu_sync(v)) {
		snprintf(out.text, sizeof(out.text), "%s; its registers cannot be read", why);
	} else if (!(v->sregs.cr0 & 1)) {
		/* Guests never leave protected mode. On SVM, shutdown leaves the VMCB undefined and
		 * KVM puts the CPU into its INIT state (APM vol. 2, 15.14.3). */
		snprintf(out.text, sizeof(out.text),
			 "%s; this host's KVM resets the CPU then, where it happened is lost", why);
	} else {
		code_bytes(v, code, sizeof(code));
		machine_vcpu_crash(v, &out.crash);
		out.has_crash = true;
		snprintf(out.text, sizeof(out.text), "%s at rip 0x%llx, in ring %u, code bytes: %s",
			 why, (unsigned long long)v->regs.rip, v->sregs.cs.selector & 3u, code);
	}
	machine_finish(v->m, &out);
}

static void finish_host_error(struct machine_vcpu *v, const char *what, int err)
{
	struct machine_outcome out = {.kind = OUTCOME_HOST_ERROR, .status = MMVM_EXIT_HOST};

	snprintf(out.text, sizeof(out.text), "vCPU %u: %s: %s", v->id, what, strerror(err));
	machine_finish(v->m, &out);
}

static unsigned int serve_pio(struct machine_vcpu *v)
{
	struct kvm_run *run = v->kvm.run;
	bool write = run->io.direction == KVM_EXIT_IO_OUT;
	char *data = (char *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size)
		if (write)
			machine_bus_write(v->m, BUS_PIO, run->io.port, data, run->io.size);
		else
			machine_bus_read(v->m, BUS_PIO, run->io.port, data, run->io.size);
	return write ? EXIT_PIO_OUT : EXIT_PIO_IN;
}

static unsigned int serve_mmio(struct machine_vcpu *v)
{
	struct kvm_run *run = v->kvm.run;
	uint64_t addr = run->mmio.phys_addr;

	if (run->mmio.is_write) {
		machine_bus_write(v->m, BUS_MMIO, addr, run->mmio.data, run->mmio.len);
		return EXIT_MMIO_WRITE;
	}
	machine_bus_read(v->m, BUS_MMIO, addr, run->mmio.data, run->mmio.len);
	return EXIT_MMIO_READ;
}

static void serve_internal_error(struct machine_vcpu *v)
{
	const struct kvm_run *run = v->kvm.run;
	char why[128];

	switch (run->internal.suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		snprintf(why, sizeof(why), "KVM could not emulate an instruction");
		break;
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		snprintf(why, sizeof(why), "KVM could not deliver an event");
		break;
	default:
		snprintf(why, sizeof(why), "KVM internal error %u", run->internal.suberror);
	}
	finish_crashed(v, why);
}

/** Serve one exit; returns the slot to count it under. */
static unsigned int serve_exit(struct machine_vcpu *v)
{
	struct kvm_run *run = v->kvm.run;
	char why[96];
	int rc;

	if (v->step && machine_step_exit(v))
		return KVM_EXIT_DEBUG;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return serve_pio(v);
	case KVM_EXIT_MMIO:
		return serve_mmio(v);
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_DIRTY_RING_FULL:
		rc = machine_dirty_ring_full(v->m);
		if (rc)
			finish_host_error(v, "KVM_RESET_DIRTY_RINGS", -rc);
		break;
	case KVM_EXIT_SHUTDOWN:
		if (!machine_linux_reset(v->m))
			finish_crashed(v, "triple fault");
		break;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(why, sizeof(why), "the CPU refuses the guest's state (reason 0x%llx)",
			 run->fail_entry.hardware_entry_failure_reason);
		finish_crashed(v, why);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		serve_internal_error(v);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		snprintf(why, sizeof(why), "the guest asked KVM for system event %u",
			 run->system_event.type);
		finish_crashed(v, why);
		break;
	default:
		snprintf(why, sizeof(why), "KVM exit %u, which this program does not know",
			 run->exit_reason);
		finish_crashed(v, why);
	}
	return run->exit_reason < EXIT_PIO_IN ? run->exit_reason : 0;
}

/** KVM_RUN failed. Returns whether to try again. */
static bool run_failed(struct machine_vcpu *v, int err)
{
	if (err == EINTR || err == EAGAIN)
		return true;
	/* EFAULT: the host has no memory for a page of guest RAM (tmpfs or cgroup limit). */
	finish_host_error(v, err == EFAULT ? "KVM_RUN, no memory behind guest RAM" : "KVM_RUN",
			  err);
	return false;
}

/** Wait until the guest starts this vCPU, and set the registers it asked for. */
static void await_release(struct machine_vcpu *v)
{
	bool first = !v->id || v->m->linux_guest;

	if (!machine_park_begin(v) || first)
		return;
	if (machine_vcpu_set_start(v))
		finish_crashed(v, "the start registers of a vCPU cannot be");
}

/* Port or guest physical address that the exit is about; 0: it is about none. */
static uint64_t exit_address(const struct machine_vcpu *v, unsigned int slot)
{
	const struct kvm_run *run = v->kvm.run;

	if (slot == EXIT_PIO_IN || slot == EXIT_PIO_OUT)
		return run->io.port;
	if (slot == EXIT_MMIO_READ || slot == EXIT_MMIO_WRITE)
		return run->mmio.phys_addr;
	return 0;
}

static void trace_exit(const struct machine_vcpu *v, unsigned int slot, uint64_t t0, uint64_t now)
{
	struct machine_exit_event e = {.cpu = v->id,
				       .reason = slot,
				       .addr = exit_address(v, slot),
				       .tsc = t0,
				       .ticks = now - t0};

	observers_exit_event(v->m->config.observers, &e);
}

static void count_site(struct machine_vcpu *v, unsigned int slot, uint64_t ticks)
{
	uint64_t begin = __rdtsc();
	struct kvm_regs regs;

	if (kvm_vcpu_get_regs(&v->kvm, &regs))
		regs.rip = 0;
	exit_table_add(v->exit_table, slot, exit_address(v, slot), regs.rip, ticks);
	exit_table_cost(v->exit_table, __rdtsc() - begin);
}

/* Only this thread writes; a concurrent reader may see the value before the last. */
static void count_time(uint64_t log2[MACHINE_EXIT_BUCKETS], uint64_t ticks)
{
	unsigned int b = 63u - (unsigned int)__builtin_clzll(ticks | 1);

	b = b < MACHINE_EXIT_BUCKETS ? b : MACHINE_EXIT_BUCKETS - 1;
	__atomic_store_n(&log2[b], log2[b] + 1, __ATOMIC_RELAXED);
}

/* ---- samples ---------------------------------------------------------------------------------- */

/** The timer of a thread's samples: a kick, as for a stop, which nothing but KVM_RUN notices. */
static bool start_samples(struct machine_vcpu *v, timer_t *timer)
{
	const struct machine_config *c = &v->m->config;
	const struct itimerspec each = {
		.it_interval = {.tv_sec = (time_t)(c->vcpu_sample_ns / 1000000000),
				.tv_nsec = (long)(c->vcpu_sample_ns % 1000000000)},
		.it_value = {.tv_nsec = 1000000},
	};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
				 .sigev_signo = MACHINE_KICK_SIGNAL};

	observers_vcpu_start(c->observers, v->m, v->id);
	if (!c->vcpu_sample_ns || !observers_have(c->observers, OBSERVER_HAS_SAMPLE))
		return false;
	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, timer))
		return false;
	return !timer_settime(*timer, 0, &each, NULL);
}

/** KVM_RUN was interrupted; by the timer, unless somebody wants this vCPU out. */
static void take_sample(struct machine_vcpu *v)
{
	const struct machine_config *c = &v->m->config;
	struct machine_sample s = {.cpu = v->id};

	if (!c->vcpu_sample_ns || v->m->pauser || atomic_load(&v->m->quit) || machine_vcpu_sync(v))
		return;
	s.rip = v->regs.rip;
	s.rsp = v->regs.rsp;
	s.rbp = v->regs.rbp;
	s.cr3 = v->sregs.cr3;
	observers_vcpu_sample(c->observers, v->m, &s);
}

static void *vcpu_main(void *arg)
{
	struct machine_vcpu *v = arg;
	struct machine *m = v->m;
	const bool traced = observers_have(m->config.observers, OBSERVER_HAS_EXIT);
	const bool timed = !m->config.untimed || traced || m->config.exit_sites;
	bool sampled;
	timer_t timer;
	uint64_t t0;
	int rc;

	current_vcpu = v;
	rc = m->config.sandbox ? sandbox_enter_thread(SANDBOX_VCPU, m->config.sandbox) : 0;
	if (rc)
		finish_host_error(v, "no sandbox", -rc);
	await_release(v);
	sampled = start_samples(v, &timer);
	for (;;) {
		unsigned int slot;
		uint64_t now;

		/* Before the reasons to stay out are looked at: completing an exit clears the kick
		 * that says so. */
		if (v->step)
			machine_step_settle(v);
		if (!machine_park_may_enter(v))
			break;
		if (v->step)
			machine_step_before_run(v);
		rc = kvm_vcpu_run(&v->kvm);
		t0 = timed ? __rdtsc() : 0;
		if (!rc)
			slot = serve_exit(v);
		else if (run_failed(v, -rc))
			slot = EXIT_INTERRUPTED;
		else
			break;
		if (sampled && rc)
			take_sample(v);
		now = timed ? __rdtsc() : 0;
		__atomic_store_n(&v->exit_count[slot], v->exit_count[slot] + 1, __ATOMIC_RELAXED);
		__atomic_store_n(&v->exit_tsc[slot], v->exit_tsc[slot] + (now - t0),
				 __ATOMIC_RELAXED);
		if (timed)
			count_time(v->exit_log2[slot], now - t0);
		if (traced)
			trace_exit(v, slot, t0, now);
		if (v->exit_table)
			count_site(v, slot, now - t0);
	}
	if (sampled)
		timer_delete(timer);
	machine_park_end(v);
	/* So that the registers are those of a whole instruction. */
	kvm_vcpu_complete_exit(&v->kvm);
	if (!machine_vcpu_sync(v))
		atomic_store(&v->stopped, true);
	current_vcpu = NULL;
	return NULL;
}

static void kicked(int sig) {}

int machine_vcpu_create(struct machine *m, unsigned int id, struct mmvm_error *err)
{
	struct machine_vcpu *v = &m->vcpu[id];
	struct sigaction sa = {.sa_handler = kicked};
	int rc, fd;

	v->m = m;
	v->id = id;
	rc = kvm_vcpu_open(&v->kvm, &m->sys, m->vm, id);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot create vCPU %u: %s", id,
				  kvm_error_text(rc));
	m->nr_vcpus = id + 1;
	fd = kvm_vcpu_stats_fd(&v->kvm);
	v->stats = fd >= 0 ? kvm_stats_open(fd) : NULL;
	sigemptyset(&sa.sa_mask);
	sigaction(MACHINE_KICK_SIGNAL, &sa, NULL);
	if (v->m->config.exit_sites) {
		v->exit_table = exit_table_new();
		if (!v->exit_table)
			return mmvm_error(err, MMVM_EXIT_HOST, "no memory for counting exits"), -1;
	}
	return machine_dirty_vcpu(v, err) ? -1 : machine_vcpu_reset(v, err);
}

int machine_vcpu_start(struct machine_vcpu *v)
{
	sigset_t all, old;
	int rc;

	v->released = !v->id || v->m->linux_guest;
	v->parked = true; /* until its own first step */

	/* Signals to the process are for the thread that waits in machine_run(). SIGPIPE goes to the
	 * thread that wrote, whichever it is: a vCPU writes the console. */
	sigfillset(&all);
	sigdelset(&all, MACHINE_KICK_SIGNAL);
	sigdelset(&all, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&v->thread, NULL, vcpu_main, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	v->started = !rc;
	return rc ? -rc : machine_pin_thread(v);
}

void machine_vcpus_stop(struct machine *m)
{
	machine_park_quit(m);
	for (unsigned int i = 0; i < m->nr_vcpus; i++) {
		struct machine_vcpu *v = &m->vcpu[i];

		if (!v->started)
			continue;
		pthread_join(v->thread, NULL);
		v->started = false;
	}
}

void machine_vcpu_destroy(struct machine_vcpu *v)
{
	machine_step_free(v);
	kvm_stats_close(v->stats);
	kvm_vcpu_close(&v->kvm);
	exit_table_free(v->exit_table);
	v->exit_table = NULL;
}
