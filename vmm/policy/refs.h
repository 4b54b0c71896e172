/* Reference strings from traces. */
#ifndef VMM_POLICY_REFS_H
#define VMM_POLICY_REFS_H

#include "policy/policy.h"
#include "result/trace_read.h"

/** The string of a recorded run, to be freed with refs_free(). 0 or -ENOMEM. */
int refs_load(struct ref_string *r, const struct trace_data *t);

#endif
