/*
 * Two threads of the host build, each on a CPU of its own, and every place where they can meet.
 *
 * Only one of them runs at a time. A runs until its n-th point; there B runs, to its end or until it
 * must wait for something that A has; then A runs on. A driver does that for n = 1, 2, ... until A
 * has fewer points: then it has seen every order with one change of places that nobody was forced to
 * ("preemption bounding", Musuvathi and Qadeer, PLDI 2007).
 *
 * Points: before a lock is taken and after it was released (spinlocks, mutexes, semaphores, page
 * locks), before a reference is taken of a page that was found, at each allocation, before each TLB
 * flush, and where a thread waits or could give way. Interrupts that are off, and preemption, do not
 * matter: the other thread is another CPU.
 *
 * Who waits for what the other one holds lets it run on. When neither can, that is a deadlock, and a
 * panic.
 */
#ifndef TESTS_RACE_H
#define TESTS_RACE_H
#include <stdbool.h>

struct host_racer {
	const char *name;
	void (*fn)(void *arg);
	void *arg;
};

enum host_race_order {
	RACE_EAGER, /* B runs on as soon as what it waited for is free; waiters complete I/O first */
	RACE_LAZY,  /* B runs on when A has ended or waits; waiters let the other one run first */
};

/** A race is on. */
extern bool host_racing;

/** Before host_boot(): the machine has two CPUs. */
void host_race_init(void);

/** Race: B begins at A's point `at` (1, 2, ...), or after A when it has fewer: then false. On return
 * both have ended, and the caller is on CPU 0. */
bool host_race(const struct host_racer *a, const struct host_racer *b, unsigned int at,
	       enum host_race_order order);

/** Points that A passed in the last race. */
unsigned int host_race_points(void);

/** Print in which race the program is, for whatever ends it. */
void host_race_say(void);

/* For env.c: a point, and whether the other thread has run there. */
bool host_race_point(const char *where);
/* For env.c: the running thread cannot go on before *something* changes. `why` is printed when
 * nothing ever does. False: there is no race, or the other thread has ended. */
bool host_race_wait(const char *why);
/* For env.c: who gives way often enough lets the other one run. */
void host_race_yield(void);
/* For env.c: a waiter lets the other one run before it completes I/O. */
bool host_race_lazy(void);
/* For env.c: no critical section is under way on the other CPU. Waits for that. */
void host_race_quiesce(void);

#endif
