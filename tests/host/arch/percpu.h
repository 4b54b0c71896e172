/*
 * Per-CPU variables of the host build: a section of variables and an array of areas, each with a copy of
 * it. Names and meanings are those of the guest's own header.
 */
#ifndef HOST_ARCH_PERCPU_H
#define HOST_ARCH_PERCPU_H
#include "lib/types.h"
#include "mmvm/layout.h"

static inline unsigned int cpu_id(void);

#define __percpu
#define DECLARE_PER_CPU(type, name) extern __attribute__((section("percpu"))) __typeof__(type) name
#define DEFINE_PER_CPU(type, name)  __attribute__((section("percpu"))) __typeof__(type) name
#define DEFINE_PER_CPU_ALIGNED(type, name) \
	__attribute__((section("percpu"), aligned(64))) __typeof__(type) name

extern unsigned long __per_cpu_offset[MMVM_MAX_CPUS];

/** C after boot: CPUs of the machine, numbered from 0. Others have no area. */
extern unsigned int nr_cpu_ids;
#define for_each_possible_cpu(cpu) for (unsigned int cpu = 0; cpu < nr_cpu_ids; cpu++)

#define per_cpu_ptr(ptr, cpu) ((__typeof__(ptr))((unsigned long)(ptr) + __per_cpu_offset[cpu]))
#define per_cpu(var, cpu)     (*per_cpu_ptr(&(var), cpu))
#define this_cpu_ptr(ptr)     per_cpu_ptr(ptr, cpu_id())

#define this_cpu_read(var)	  (*this_cpu_ptr(&(var)))
#define this_cpu_read_stable(var) this_cpu_read(var)
#define this_cpu_write(var, val)  ((void)(*this_cpu_ptr(&(var)) = (val)))
#define this_cpu_add(var, n)	  ((void)(*this_cpu_ptr(&(var)) += (n)))
#define this_cpu_sub(var, n)	  ((void)(*this_cpu_ptr(&(var)) -= (n)))
#define this_cpu_or(var, bits)	  ((void)(*this_cpu_ptr(&(var)) |= (bits)))
#define this_cpu_and(var, bits)	  ((void)(*this_cpu_ptr(&(var)) &= (bits)))
#define this_cpu_inc(var)	  this_cpu_add(var, 1)
#define this_cpu_dec(var)	  this_cpu_sub(var, 1)
#define this_cpu_xchg(var, val)                          \
	({                                               \
		__typeof__(var) _o = this_cpu_read(var); \
		this_cpu_write(var, val);                \
		_o;                                      \
	})
#define this_cpu_add_event(e, n) (mmvm_shared->event[cpu_id()][e] += (n))

struct mmvm_audit_percpu;
/** Areas here do not tell themselves. */
static inline void arch_percpu_audit_layout(struct mmvm_audit_percpu *l)
{
	(void)l;
}
#endif
