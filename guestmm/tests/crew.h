/* A thread on each CPU, for tests of several: they begin together. */
#ifndef TESTS_CREW_H
#define TESTS_CREW_H
#include "tests/tests.h"

struct crew {
	void (*fn)(struct crew *crew, unsigned int cpu);
	struct mm_struct *mm;
	unsigned long base;
	u32 nr;
	u32 ready, left; /* A */
	u32 errors;	 /* A */
	struct wait_queue wq;
	bool stop;
};

/** Run fn on each of the first `nr` CPUs at once. The errors that they count must be none. */
void run_crew(struct test *t, struct crew *c, u32 nr);
static inline void crew_error(struct crew *c)
{
	atomic_add(&c->errors, 1);
}
/** For wait_until(): a count of threads is 0. */
static inline bool all_gone(void *arg)
{
	return !atomic_load((u32 *)arg);
}
#endif
