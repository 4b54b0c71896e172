/*
 * Two threads that change places (race.h).
 *
 *   I1  side[running].go is taken, the other side's thread sleeps in sem_wait.
 *   I2  host_thread_info and host_irqs_off are those of the running side.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sanitizer/common_interface_defs.h>
#include "host.h"
#include "mm/phys/highmem.h"
#include "race.h"

#define MAX_CHANGES \
	20000u	     /* of places in one race: more is a deadlock, or a loop that does not end */
#define PATIENCE 64u /* times that one may give way before the other runs */

static struct side {
	sem_t go;
	const struct host_racer *racer;
	struct thread_info ti;
	bool irqs_off, begun, ended;
	const char *waits; /* for what; NULL: it could run */
} side[2];

bool host_racing;
static unsigned int running, points, start_at, changes, yields;
static enum host_race_order order;
static const char *started_where;
static bool worker_exists, show;
static char context[256];

/* Whatever ends the program says in which race. */
void host_race_say(void)
{
	if (context[0] && write(STDERR_FILENO, context, strlen(context)) < 0)
		context[0] = 0;
}

static void on_abort(int sig)
{
	host_race_say();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void note_context(void)
{
	snprintf(context, sizeof(context), "race: %s, then %s at its point %u (%s), %s\n",
		 side[0].racer->name, side[1].racer->name, start_at,
		 started_where ? started_where : "after its end",
		 order == RACE_EAGER ? "eager" : "lazy");
}

void host_race_init(void)
{
	host_nr_cpus = 2;
	signal(SIGABRT, on_abort);
	__sanitizer_set_death_callback(host_race_say);
}

static void change_places(void)
{
	struct side *me = &side[running], *other = &side[!running];

	if (++changes > MAX_CHANGES) {
		host_racing = false;
		panic("race: neither gets on: %s waits for %s, %s for %s", me->racer->name,
		      me->waits ? me->waits : "nothing", other->racer->name,
		      other->waits ? other->waits : "nothing");
	}
	me->ti = host_thread_info;
	me->irqs_off = host_irqs_off;
	running = !running;
	host_thread_info = other->ti;
	host_irqs_off = other->irqs_off;
	sem_post(&other->go);
	while (sem_wait(&me->go))
		;
}

/* The thread of B: waits for its turn, runs, and gives the turn back for good. */
static void *worker(void *arg)
{
	struct side *me = &side[1];

	while (sem_wait(&me->go))
		;
	for (;;) {
		me->racer->fn(me->racer->arg);
		me->ended = true;
		change_places();
	}
	return NULL;
}

static void begin_b(const char *where)
{
	side[1].begun = true;
	started_where = where;
	note_context();
	if (show)
		__sanitizer_print_stack_trace();
	change_places();
}

bool host_race_point(const char *where)
{
	if (!host_racing || running)
		return false;
	if (!side[1].begun) {
		if (++points != start_at)
			return false;
		begin_b(where);
		return true;
	}
	if (side[1].ended || order != RACE_EAGER)
		return false;
	change_places();
	return side[1].ended; /* otherwise it waits still */
}

bool host_race_wait(const char *why)
{
	struct side *me = &side[running], *other = &side[!running];

	if (!host_racing || !other->begun || other->ended)
		return false;
	me->waits = why;
	change_places();
	me->waits = NULL;
	return true;
}

void host_race_quiesce(void)
{
	const struct side *other = &side[!running];

	while (host_racing && other->begun && !other->ended &&
	       (other->irqs_off || other->ti.preempt_count))
		host_race_wait("the other CPU's critical section");
}

/* A loop that repeats until the other one has done something gives way each time. Long work gives way,
 * too, but is not to be cut into pieces. */
void host_race_yield(void)
{
	if (host_racing && side[1].begun && ++yields % PATIENCE == 0)
		host_race_wait("its turn");
}

bool host_race_lazy(void)
{
	return host_racing && order == RACE_LAZY && !side[!running].waits;
}

unsigned int host_race_points(void)
{
	return points;
}

bool host_race(const struct host_racer *a, const struct host_racer *b, unsigned int at,
	       enum host_race_order how)
{
	struct thread_info before = host_thread_info;
	bool met;

	if (!worker_exists) {
		pthread_t t;

		show = getenv("RACE_SHOW");
		for (int i = 0; i < 2; i++)
			sem_init(&side[i].go, 0, 0);
		if (pthread_create(&t, NULL, worker, NULL))
			panic("pthread_create");
		pthread_detach(t);
		worker_exists = true;
	}
	side[0] = (struct side){.go = side[0].go, .racer = a, .begun = true};
	side[1] = (struct side){.go = side[1].go, .racer = b};
	side[1].ti = before;
	side[1].ti.cpu = 1;
	if (highmem_start)
		kmap_boot_thread_init(&side[1].ti, 1);
	/* Each release of a lock asks the scheduler: a point. */
	side[1].ti.need_resched = host_thread_info.need_resched = 1;
	running = points = changes = yields = 0;
	start_at = at;
	order = how;
	started_where = NULL;
	note_context();
	host_racing = true;
	a->fn(a->arg);
	side[0].ended = true;
	met = side[1].begun;
	if (!met)
		side[1].begun = true;
	while (!side[1].ended)
		change_places();
	host_racing = false;
	host_thread_info = before;
	return met;
}
