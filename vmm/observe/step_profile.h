/*
 * A profile of one guest operation, in instructions, from its steps (machine/step.h).
 *
 *   steps -> profiler_step() -> a repetition's steps -> call tree -> costs by function
 *
 * The tree belongs to the cheapest repetition. What the marks themselves cost is not in it: of an
 * operation with a function (step.root) only what lies between its first instruction and its
 * return, of one done from user mode only what lies between the first and the last instruction of
 * user mode, the last system call (which is the mark) left out.
 */
#ifndef VMM_OBSERVE_STEP_PROFILE_H
#define VMM_OBSERVE_STEP_PROFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "machine/step.h"

#define PROFILE_NAME	 64
#define PROFILE_MAX_REPS 64u

struct profile_func {
	char name[PROFILE_NAME];
	uint64_t self;	/* instructions of its own */
	uint64_t total; /* with all it called; once, however deep it recurses */
	uint64_t calls;
};

struct profile_node {
	uint32_t func;
	uint32_t parent, child, next; /* indices of nodes; 0 = none (node 0 is the root) */
	uint64_t self, total, calls;
};

struct profile {
	char op[PROFILE_NAME];
	char error[160]; /* "" or why there is no profile */
	struct profile_func *func;
	unsigned int nr_funcs, func_room;
	struct profile_node *node;
	unsigned int nr_nodes, node_room;
	unsigned int reps;
	uint64_t min, max; /* instructions of a repetition */
	bool identical;	   /* the same instructions in the same order, all of them */
};

/** Name of the function that holds `rip`, as "name+0x12", "name" or "0x..."; symtab_name(). */
typedef const char *(*profile_namer)(const void *arg, uint64_t rip, char *buf, size_t size);

struct profiler;
struct profiler *profiler_new(profile_namer namer, const void *arg);
void profiler_free(struct profiler *p);
/** Take a step. Errors are kept and reported by profiler_result(). */
void profiler_step(struct profiler *p, const struct machine_step *step);
/** The profile so far, valid until the next step. Functions are sorted: most instructions of their
 * own first, then by name. */
const struct profile *profiler_result(struct profiler *p);

/* folded.c: the forms in which a profile is shown */
/** Functions: self, total, calls, percent of self. */
void profile_print_table(FILE *f, const struct profile *p);
/** One line a stack: "a;b;c 123", as flamegraph.pl reads. */
void profile_print_folded(FILE *f, const struct profile *p);
/** The call tree, indented. */
void profile_print_tree(FILE *f, const struct profile *p);

#endif
