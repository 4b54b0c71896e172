/*
 * Pressure (PSI) computed by the host, from the times at which the guest's states begin and end: an account of its
 * own to hold the guest's /proc/pressure against.
 *
 * A state's average over 10, 60 and 300 seconds changes at each multiple of 2 s of the guest's clock, by the part of
 * these 2 s, in whole percent, that was spent in the state: Linux's calc_avgs() and calc_load()
 * (kernel/sched/psi.c, include/linux/sched/loadavg.h), fixed point with 11 bits.
 */
#ifndef VMM_RESULT_PRESSURE_H
#define VMM_RESULT_PRESSURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mmvm/trace.h"

#define NR_PRESSURES (NR_TRACE_STALLS / 2u)

struct pressure_state {
	bool on;
	uint64_t since;	     /* accounted up to here, ns */
	uint64_t total;	     /* ns */
	uint64_t in_period;  /* ns of the running period */
	uint64_t average[3]; /* percent << 11 */
};
/** All zero at the guest's boot. */
struct pressure {
	struct pressure_state state[NR_TRACE_STALLS];
	uint64_t
		impossible; /* events that begin what has begun, end what has not, or are older than the last */
};
enum stall_edge { STALL_END, STALL_BEGIN };
/** An event TRACE_STALL_BEGIN or _END of the trace. `state` < NR_TRACE_STALLS. */
void pressure_event(struct pressure *p, unsigned int state, enum stall_edge edge, uint64_t ns);
/** What a pressure file says at that time: two lines, "some avg10=..." and "full ...". Returns buf.
 * `resource` < NR_PRESSURES. */
const char *pressure_text(struct pressure *p, unsigned int resource, uint64_t ns, char *buf,
			  size_t size);
const char *pressure_state_name(unsigned int state); /* "io some" */
const char *pressure_name(unsigned int resource);    /* "io" */

#endif
