/*
 * All observers there are. A new one: one file with its `struct observer`, and one row in
 * observers.c.
 */
#ifndef VMM_OBSERVE_OBSERVERS_H
#define VMM_OBSERVE_OBSERVERS_H

#include "cli/option.h"
#include "machine/machine.h"
#include "machine/observer.h"
#include "result/result.h"

/** Those that are attached or looked for by name. */
extern const struct observer stacks_observer, dirty_exact_observer, audit_observer;

/** Attach one of each. 0, or -1 with err. */
int observers_attach_all(struct observers *o, struct mmvm_error *err);
/** The tables of options of all of them: for command.more. */
unsigned int observers_option_tables(struct option_set *out, unsigned int max);
/** The tables of those that are attached, with their bases. */
unsigned int observers_option_sets(const struct observers *o, struct option_set *out,
				   unsigned int max);
/** Observer i in their order; NULL past the last. */
const struct observer *observer_at(unsigned int i);

#endif
