/*
 * Per-CPU variables: each CPU has an area with a copy of all of them, and GS has the distance from the
 * first copy, where the linker put them, to that of the CPU. An operation on the copy of the CPU it
 * runs on is one instruction: an interrupt comes before it or after it, and a task that is moved to
 * another CPU has done it wholly on one.
 *
 *   PERCPU_START  +-- unit of CPU 0 --+-- unit of CPU 1 --+ ...
 *                 | counters' page | variables | reserve  |
 *
 * The unit's first page is the CPU's row of counters in the window that the monitor reads
 * (mmvm/shared.h); the reserve is the first that alloc_percpu() gives out (mm/kvirt/percpu.h).
 *
 * A pointer to a per-CPU object is that of no CPU's copy: only this_cpu_ptr() and per_cpu_ptr() give one
 * that may be followed. With this_cpu_ptr(), preemption is off for as long as the pointer is used.
 *
 * tests/host/arch has the host build's version: the same with a plain array of areas.
 */
#ifndef ARCH_PERCPU_H
#define ARCH_PERCPU_H
#include "lib/types.h"
#include "mmvm/layout.h"

#define __percpu /* a pointer to a per-CPU object */
#define DECLARE_PER_CPU(type, name) \
	extern __attribute__((section(".data..percpu"))) __typeof__(type) name
#define DEFINE_PER_CPU(type, name) __attribute__((section(".data..percpu"))) __typeof__(type) name
#define DEFINE_PER_CPU_ALIGNED(type, name) \
	__attribute__((section(".data..percpu"), aligned(64))) __typeof__(type) name

/** C after percpu_init(): bytes from the linker's copy to that of each CPU. */
extern unsigned long __per_cpu_offset[MMVM_MAX_CPUS];
DECLARE_PER_CPU(unsigned long, this_cpu_off); /* C: the CPU's own of these */
DECLARE_PER_CPU(unsigned int, cpu_number);    /* C */

/* One instruction; `op` without its size. */
#define __percpu_rmw(op, var, val)                                         \
	do {                                                               \
		switch (sizeof(var)) {                                     \
		case 1:                                                    \
			__asm__ volatile(op "b %1, %%gs:%0"                \
					 : "+m"(var)                       \
					 : "qi"((u8)(unsigned long)(val))  \
					 : "cc");                          \
			break;                                             \
		case 2:                                                    \
			__asm__ volatile(op "w %1, %%gs:%0"                \
					 : "+m"(var)                       \
					 : "ri"((u16)(unsigned long)(val)) \
					 : "cc");                          \
			break;                                             \
		case 4:                                                    \
			__asm__ volatile(op "l %1, %%gs:%0"                \
					 : "+m"(var)                       \
					 : "ri"((u32)(unsigned long)(val)) \
					 : "cc");                          \
			break;                                             \
		default:                                                   \
			__asm__ volatile(op "q %1, %%gs:%0"                \
					 : "+m"(var)                       \
					 : "re"((u64)(unsigned long)(val)) \
					 : "cc");                          \
		}                                                          \
	} while (0)
#define __percpu_unary(op, var)                                                \
	do {                                                                   \
		switch (sizeof(var)) {                                         \
		case 4:                                                        \
			__asm__ volatile(op "l %%gs:%0" : "+m"(var) : : "cc"); \
			break;                                                 \
		default:                                                       \
			__asm__ volatile(op "q %%gs:%0" : "+m"(var) : : "cc"); \
		}                                                              \
	} while (0)

/** Of a number or pointer. The value may be another CPU's by the time it is used. */
#define this_cpu_read(var)                                                 \
	({                                                                 \
		__typeof__(var) _v;                                        \
		switch (sizeof(var)) {                                     \
		case 1:                                                    \
			__asm__("movb %%gs:%1, %0" : "=q"(_v) : "m"(var)); \
			break;                                             \
		case 2:                                                    \
			__asm__("movw %%gs:%1, %0" : "=r"(_v) : "m"(var)); \
			break;                                             \
		case 4:                                                    \
			__asm__("movl %%gs:%1, %0" : "=r"(_v) : "m"(var)); \
			break;                                             \
		default:                                                   \
			__asm__("movq %%gs:%1, %0" : "=r"(_v) : "m"(var)); \
		}                                                          \
		_v;                                                        \
	})
/** Of one that is the same on whatever CPU the thread runs: it is read once in a function. */
#define this_cpu_read_stable(var)                                      \
	({                                                             \
		__typeof__(var) _v;                                    \
		__asm__("movq %%gs:%P1, %0" : "=r"(_v) : "p"(&(var))); \
		_v;                                                    \
	})
#define this_cpu_write(var, val) __percpu_rmw("mov", var, val)
#define this_cpu_add(var, n)	 __percpu_rmw("add", var, n)
#define this_cpu_sub(var, n)	 __percpu_rmw("sub", var, n)
#define this_cpu_or(var, bits)	 __percpu_rmw("or", var, bits)
#define this_cpu_and(var, bits)	 __percpu_rmw("and", var, bits)
#define this_cpu_inc(var)	 __percpu_unary("inc", var)
#define this_cpu_dec(var)	 __percpu_unary("dec", var)
/** Atomic against interrupts of this CPU only. Returns the old value. 64 bits. */
#define this_cpu_xchg(var, val)                                      \
	({                                                           \
		__typeof__(var) _new = (val), _old;                  \
		_old = this_cpu_read(var);                           \
		__asm__ volatile("1: cmpxchgq %2, %%gs:%1\n\tjne 1b" \
				 : "+a"(_old), "+m"(var)             \
				 : "r"(_new)                         \
				 : "cc", "memory");                  \
		_old;                                                \
	})

#define this_cpu_ptr(ptr)                                                          \
	({                                                                         \
		__typeof__(ptr) _p = (ptr);                                        \
		__asm__("addq %%gs:%1, %0" : "+r"(_p) : "m"(this_cpu_off) : "cc"); \
		_p;                                                                \
	})
/** C after boot: CPUs of the machine, numbered from 0. Others have no area. */
extern unsigned int nr_cpu_ids;
#define for_each_possible_cpu(cpu) for (unsigned int cpu = 0; cpu < nr_cpu_ids; cpu++)

#define per_cpu_ptr(ptr, cpu) ((__typeof__(ptr))((unsigned long)(ptr) + __per_cpu_offset[cpu]))
#define per_cpu(var, cpu)     (*per_cpu_ptr(&(var), cpu))

/* The CPU's row of mmvm_shared->event, in its area. */
extern u64 vm_event_row[];
#define this_cpu_add_event(e, n) this_cpu_add(vm_event_row[e], n)

/** Number of the CPU we run on, which may be another one soon unless preemption is off. */
static inline unsigned int cpu_id(void)
{
	return this_cpu_read(cpu_number);
}

/** The linker's copy; its first page is that of the counters. */
extern char __per_cpu_start[], __per_cpu_end[];

struct mmvm_audit_percpu;
/** Where the variables lie that an area tells itself by. */
void arch_percpu_audit_layout(struct mmvm_audit_percpu *l);
#endif
