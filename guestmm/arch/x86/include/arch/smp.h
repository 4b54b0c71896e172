/*
 * Several CPUs: starting them, calls across, stopping. Masks have a bit a CPU.
 */
#ifndef ARCH_SMP_H
#define ARCH_SMP_H
#include "lib/types.h"
#include "arch/static_key.h"

/** CPUs that run the scheduler. Bit 0 from the beginning. */
extern u32 cpus_online;
static inline bool cpu_is_online(unsigned int cpu)
{
	return READ_ONCE(cpus_online) >> cpu & 1;
}

/** Start all CPUs of the device tree and wait until they run. Once, from a thread, before init
 * sections are freed. */
void smp_start_cpus(void);
/** Make `cpu` look at its run queue (scheduler_ipi()). Any context. */
void smp_send_reschedule(unsigned int cpu);
/**
 * Run fn(arg) on the other CPUs of `mask`, with interrupts off there, and wait until it has run.
 * CALL_ANYWHERE: the caller may have interrupts off, and hold locks that others wait for with interrupts off. fn may
 * then run in the middle of another CPU's wait for a lock, and must take none itself. CALL_PREEMPTIBLE: fn runs only
 * where preemption was on; the CPUs where it was off are returned. The caller has preemption off, and is no interrupt
 * handler.
 */
enum smp_call_where { CALL_PREEMPTIBLE, CALL_ANYWHERE };
u32 smp_call(u32 mask, void (*fn)(void *arg), void *arg, enum smp_call_where where);
/** A turn of a loop that waits for another CPU. *turns counts them, from 0. */
void smp_relax(unsigned int *turns);

/** A panic: all other CPUs stop. Then smp_print_stopped() says where they were. */
void smp_stop_others(void);
/** Others have been stopped, perhaps with locks in their hands: wait for none. */
bool smp_crashed(void);
void smp_print_stopped(void (*backtrace)(u64 rip, u64 rbp, u64 rsp));
struct pt_regs;
/** An NMI: if CPUs are being stopped, this one does and does not return. */
void smp_nmi(const struct pt_regs *regs);
#endif
