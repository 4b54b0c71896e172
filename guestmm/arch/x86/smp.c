/*
 * Several CPUs: how they start, how one calls another, how all stop.
 *
 * Start. The VMM starts a CPU on request (MMVM_FASTOP_CPU_START) straight in 64-bit mode, on our
 * page tables and on the stack of its idle thread: secondary_entry ─> start_secondary() ─> idle.
 *
 * Calls. Each CPU has one request that all its targets read, and a word of "who wants something
 * from me":
 *
 *   source s                                 target t
 *   request[s] = fn, arg
 *   request[s].waiting = targets
 *   inbox[t].sources |= s, IPI if it was 0   IPI ─> take all of inbox[t].sources
 *   wait until waiting = 0                   for each: run fn, clear our bit of waiting
 *
 * A CPU that waits for a lock with interrupts off would not see the IPI, and the lock's owner may be
 * the one that waits for the answer. So a waiting CPU looks into its inbox (smp_relax()) and serves
 * what may run anywhere: TLB flushes, and the order to stop.
 *
 * A waiting CPU is of no use to anybody: after a while it gives its turn on the host away
 * (MMVM_FASTOP_YIELD), because with more virtual CPUs than real ones, the one it waits for may be
 * the one that is not running.
 *
 * I1  request[s] is written by s alone, while its `waiting` is 0; a target does not touch it after
 *     it has cleared its bit.
 * I2  A source waits with preemption off and serves its own inbox meanwhile, by interrupt or, with
 *     interrupts off, by smp_relax(): two that call each other do not wait for ever.
 * I3  A CPU that waits in on_each_cpu() is in no critical section but that wait, and runs what others ask for
 *     there. Were it to refuse, two of them could refuse each other for ever.
 *
 * Locks: none.
 */
#include "arch/smp.h"
#include "arch/spin.h"
#include "arch/boot.h"
#include "arch/irqflags.h"
#include "arch/processor.h"
#include "kernel/boot_info.h"
#include "kernel/console.h"
#include "kernel/task.h"
#include "lib/errno.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/zone.h"

#define START_TIMEOUT_NS 20000000000ull
#define STOP_TIMEOUT_NS	 100000000ull
/* Turns of a waiting loop before the host is asked for others' turn: some microseconds. */
#define TURNS	       1000u
#define TURNS_EMULATED 32u

u32 cpus_online = 1;

struct request {
	void (*fn)(void *arg);
	void *arg;
	bool anywhere;
	u32 waiting; /* A: targets that have not answered */
	u32 refused; /* A: targets that could not run it now */
} __attribute__((aligned(64)));
static struct request request[MMVM_MAX_CPUS];

static struct {
	u32 sources; /* A */
	bool open;   /* I3; by the CPU itself, with preemption off */
} __attribute__((aligned(64))) inbox[MMVM_MAX_CPUS];

/* ---- start ---- */

extern char secondary_entry[];

/* The first C function of a CPU, on its idle thread's stack, interrupts off. */
void start_secondary(void);
void __noreturn start_secondary(void)
{
	unsigned int cpu = cpu_id();

	cpu_init_secondary(cpu);
	apic_init_secondary();
	atomic_or(&cpus_online, 1u << cpu);
	cpu_idle();
}

static void *alloc_stack(const char *who)
{
	void *stack = __vmalloc(THREAD_SIZE, THREAD_SIZE, GFP_KERNEL | __GFP_ZERO, PAGE_STACK, who);

	if (!stack)
		panic("no memory for the stacks of a CPU");
	return stack;
}

static void start_cpu(unsigned int cpu)
{
	char *stack = alloc_stack("idle"), *emergency = alloc_stack("emergency");
	u64 until = ktime_ns() + START_TIMEOUT_NS;
	unsigned int turns = 0;
	int err;

	sched_init_idle(cpu, (struct thread_info *)stack);
	cpu_prepare_secondary(cpu, emergency);
	err = vmm_fastop(MMVM_FASTOP_CPU_START, (u64)secondary_entry, kernel_cr3,
			 (u64)stack + THREAD_SIZE, cpu);
	if (err)
		panic("CPU %u cannot be started: error %d", cpu, -err);
	while (!cpu_is_online(cpu)) {
		smp_relax(&turns);
		if (ktime_ns() > until)
			panic("CPU %u was started and did not come up", cpu);
	}
}

void smp_start_cpus(void)
{
	for (unsigned int cpu = 1; cpu < boot_info.nr_cpus && cpu < MMVM_MAX_CPUS; cpu++)
		start_cpu(cpu);
	if (boot_info.nr_cpus > 1)
		printk("smp: %u CPUs\n", boot_info.nr_cpus);
}

/* ---- stop ---- */

static bool stopping;	 /* set once, by the CPU in `stopper` */
static u32 stopper;	 /* its number + 1, A */
static u32 cpus_stopped; /* A */
static struct {
	u64 rip, rbp, rsp;
	bool user;
} stopped_at[MMVM_MAX_CPUS];

static void __noreturn stop_here(u64 rip, u64 rbp, u64 rsp, bool user)
{
	unsigned int cpu = cpu_id();

	stopped_at[cpu].rip = rip;
	stopped_at[cpu].rbp = rbp;
	stopped_at[cpu].rsp = rsp;
	stopped_at[cpu].user = user;
	__atomic_fetch_or(&cpus_stopped, 1u << cpu, __ATOMIC_RELEASE);
	cpu_stop();
}

static inline bool must_stop(void)
{
	return unlikely(READ_ONCE(stopping)) && READ_ONCE(stopper) != cpu_id() + 1;
}

static void wait_stopped(u32 others)
{
	u64 until = ktime_ns() + STOP_TIMEOUT_NS;

	while ((READ_ONCE(cpus_stopped) & others) != others && ktime_ns() < until) {
		cpu_relax();
		vmm_fastop(MMVM_FASTOP_YIELD, 0, 0, 0, 0);
	}
}

void smp_stop_others(void)
{
	unsigned int me = cpu_id();
	u32 others = READ_ONCE(cpus_online) & ~(1u << me);

	if (!others)
		return;
	if (atomic_cmpxchg(&stopper, 0, me + 1)) {
		/* Two at a time: the other one reports. */
		if (stopper != me + 1)
			stop_here((u64)__builtin_return_address(0), (u64)__builtin_frame_address(0),
				  (u64)__builtin_frame_address(0), false);
		return;
	}
	atomic_store_release(&stopping, true);
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		if (others >> cpu & 1)
			apic_send_ipi(cpu, VECTOR_CALL);
	wait_stopped(others);
	others &= ~READ_ONCE(cpus_stopped);
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		if (others >> cpu & 1)
			apic_send_nmi(cpu); /* interrupts are off there, for ever perhaps */
	if (others)
		wait_stopped(others);
}

bool smp_crashed(void)
{
	return READ_ONCE(stopping);
}

void smp_print_stopped(void (*backtrace)(u64 rip, u64 rbp, u64 rsp))
{
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++) {
		if (!cpu_is_online(cpu) || cpu + 1 == READ_ONCE(stopper) || !READ_ONCE(stopper))
			continue;
		if (!(READ_ONCE(cpus_stopped) >> cpu & 1)) {
			console_printf("\nCPU %u does not answer\n", cpu);
			continue;
		}
		sched_describe_cpu(cpu);
		if (stopped_at[cpu].user)
			console_printf(" user mode, rip %016lx\n",
				       (unsigned long)stopped_at[cpu].rip);
		else
			backtrace(stopped_at[cpu].rip, stopped_at[cpu].rbp, stopped_at[cpu].rsp);
	}
}

void smp_nmi(const struct pt_regs *regs)
{
	if (must_stop())
		stop_here(regs->rip, regs->rbp, regs->rsp, user_mode(regs));
}

/* ---- calls ---- */

enum inbox_at { AT_INTERRUPT, WHILE_WAITING };

/* Interrupts off. WHILE_WAITING: this CPU is in the middle of something, and waits for a lock. */
static void serve_inbox(enum inbox_at at)
{
	struct thread_info *ti = current_thread_info();
	u32 cpu = cpu_id(), me = 1u << cpu, sources = atomic_xchg(&inbox[cpu].sources, 0);
	bool critical = ti->preempt_count > (inbox[cpu].open ? 1 : 0);

	for (; sources; sources &= sources - 1) {
		struct request *r = &request[__builtin_ctz(sources)];

		if (r->anywhere || (at != WHILE_WAITING && !critical)) {
			ti->preempt_count++;
			r->fn(r->arg);
			ti->preempt_count--;
		} else {
			atomic_or(&r->refused, me);
		}
		__atomic_fetch_and(&r->waiting, ~me, __ATOMIC_RELEASE);
	}
}

void do_call_ipi(struct pt_regs *regs)
{
	apic_irq_enter();
	if (must_stop())
		stop_here(regs->rip, regs->rbp, regs->rsp, user_mode(regs));
	serve_inbox(AT_INTERRUPT);
	apic_irq_exit(regs);
}

void do_resched_ipi(struct pt_regs *regs)
{
	apic_irq_enter();
	scheduler_ipi();
	apic_irq_exit(regs);
}

void smp_relax(unsigned int *turns)
{
	unsigned int max = boot_info.quirks & MMVM_QUIRK_SYSCALL_UD ? TURNS_EMULATED : TURNS;

	if (unlikely(READ_ONCE(inbox[cpu_id()].sources)) && arch_irqs_disabled())
		serve_inbox(WHILE_WAITING);
	if (must_stop())
		stop_here((u64)__builtin_return_address(0), (u64)__builtin_frame_address(0),
			  (u64)__builtin_frame_address(0), false);
	cpu_relax();
	if (++*turns < max)
		return;
	*turns = 0;
	vmm_fastop(MMVM_FASTOP_YIELD, 0, 0, 0, 0);
}

void spin_wait(const u32 *locked)
{
	unsigned int turns = 0;

	while (READ_ONCE(*locked))
		smp_relax(&turns);
}

void smp_send_reschedule(unsigned int cpu)
{
	apic_send_ipi(cpu, VECTOR_RESCHED);
}

u32 smp_call(u32 mask, void (*fn)(void *arg), void *arg, enum smp_call_where where)
{
	unsigned int me = cpu_id(), turns = 0;
	struct request *r = &request[me];

	mask &= READ_ONCE(cpus_online) & ~(1u << me);
	if (!mask)
		return 0;
	BUG_ON(READ_ONCE(r->waiting)); /* I1: called from an interrupt handler */
	r->fn = fn;
	r->arg = arg;
	r->anywhere = where == CALL_ANYWHERE;
	r->refused = 0;
	atomic_store_release(&r->waiting, mask);
	for (u32 left = mask; left; left &= left - 1) {
		unsigned int cpu = __builtin_ctz(left);

		if (!__atomic_fetch_or(&inbox[cpu].sources, 1u << me, __ATOMIC_ACQ_REL))
			apic_send_ipi(cpu, VECTOR_CALL);
	}
	while (atomic_load_acquire(&r->waiting))
		smp_relax(&turns);
	return r->refused;
}

void on_each_cpu(void (*fn)(void *arg), void *arg)
{
	u32 left = static_key(KEY_SMP) ? READ_ONCE(cpus_online) & ~(1u << cpu_id()) : 0;
	unsigned long flags = arch_irq_save();

	fn(arg);
	arch_irq_restore(flags);
	/* A CPU in a critical section is asked again; here we may be moved to one of them. */
	while (unlikely(left)) {
		unsigned int me;

		preempt_disable();
		me = cpu_id();
		if (left >> me & 1) {
			flags = arch_irq_save();
			fn(arg);
			arch_irq_restore(flags);
			left &= ~(1u << me);
		}
		WRITE_ONCE(inbox[me].open, true);
		left = smp_call(left, fn, arg, CALL_PREEMPTIBLE);
		WRITE_ONCE(inbox[me].open, false);
		preempt_enable();
		if (left)
			sched_yield();
	}
}
