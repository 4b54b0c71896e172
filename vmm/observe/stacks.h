/*
 * What the guest is doing, sampled from outside: registers of each vCPU so many times a second and
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
#include "report/report.h"

#define STACKS_HZ 499u /* no multiple of what timers in the guest go by */

struct stacks;
/** NULL: no memory. */
struct stacks *stacks_new(void);
void stacks_free(struct stacks *s);
/** Have the machine that this makes call us. `file`: take stacks, for it. */
void stacks_watch(struct stacks *s, struct machine_config *c, const char *file, bool counters);
/** After the run: write the file, folded ("outer;inner COUNT"), and add to the result what watching
 * cost and what was counted. 0 or -errno of the file. */
int stacks_finish(struct stacks *s, const struct symtab *symbols, struct run_result *r);

/* For tests. */
#define STACKS_DEPTH 48u
/** One sample of `n` addresses, innermost first; none: user mode. */
void stacks_add(struct stacks *s, const uint64_t *pc, unsigned int n);
int stacks_write(FILE *f, const struct stacks *s, const struct symtab *symbols);

#endif
