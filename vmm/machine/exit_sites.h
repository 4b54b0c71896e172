/*
 * Exits by place: reason x guest address x guest instruction, counted on each vCPU's own table.
 */
#ifndef VMM_MACHINE_EXIT_SITES_H
#define VMM_MACHINE_EXIT_SITES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;

/** Exits of one kind from one place. */
struct exit_site {
	unsigned int reason; /* machine_exit_name() */
	uint64_t addr;	     /* port, or guest physical address; 0 for other reasons */
	uint64_t rip;	    /* where the vCPU was; past the instruction where KVM had finished it */
	const char *device; /* whose window it is, or "" */
	uint64_t count, ns;
};

struct exit_table;
/** For one vCPU. NULL if no memory. */
struct exit_table *exit_table_new(void);
void exit_table_free(struct exit_table *t);
/** Count one; on the vCPU's thread. */
void exit_table_add(struct exit_table *t, unsigned int reason, uint64_t addr, uint64_t rip,
		    uint64_t ticks);
/** Ticks that counting the last one took. */
void exit_table_cost(struct exit_table *t, uint64_t ticks);
/** Exits that found the table full. */
uint64_t exit_table_lost(const struct exit_table *t);
/** fn for each entry. */
void exit_table_each(const struct exit_table *t,
		     void (*fn)(unsigned int reason, uint64_t addr, uint64_t rip, uint64_t count,
				uint64_t ticks, void *arg),
		     void *arg);

/** All vCPUs' together, most frequent first. The machine has stopped. Returns how many there are, of which the
 * first `max` are in out. *lost: exits that are in none. *counted: all that were looked at, which took *cost_ns. */
size_t machine_exit_sites(const struct machine *m, struct exit_site *out, size_t max,
			  uint64_t *counted, uint64_t *lost, uint64_t *cost_ns);
#endif
