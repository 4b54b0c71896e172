/* What the profiled operations share. */
#ifndef TESTS_PROF_H
#define TESTS_PROF_H
#include "tests/tests.h"

/** Warm `fn`, then call it some times between marks, for the VMM to step through. */
void profile_kernel(struct test *t, const char *name, void (*fn)(void));
#endif
