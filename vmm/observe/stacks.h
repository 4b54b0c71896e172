/*
 * What the guest is doing, sampled from outside: registers of each vCPU at a fixed rate and
 * the kernel stack behind them; and the processor's counts of each vCPU.
 *
 * Works on every backend, for it needs no more than a signal and KVM_GET_REGS. Time that a vCPU
 * spends in the VMM is not sampled (exits are counted elsewhere), time that it sleeps is.
 */
#ifndef VMM_OBSERVE_STACKS_H
#define VMM_OBSERVE_STACKS_H

#include <stdio.h>
#include "machine/machine.h"
#include "observe/perf.h"
#include "result/result.h"

#define STACKS_HZ 499u /* no multiple of what timers in the guest go by */

struct stacks;
/** NULL: no memory. */
struct stacks *stacks_new(void);
void stacks_free(struct stacks *s);

/** The observer's state. */
struct stacks_observer {
	const char *file; /* take stacks, for it */
	bool counters;
	const struct symtab *symbols;
	struct stacks *stacks;
};

/* For tests. */
#define STACKS_DEPTH 48u
/** One sample of `n` addresses, innermost first; none: user mode. */
void stacks_add(struct stacks *s, const uint64_t *pc, unsigned int n);
int stacks_write(FILE *f, const struct stacks *s, const struct symtab *symbols);

#endif
