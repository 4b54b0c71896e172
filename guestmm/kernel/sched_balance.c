/*
 * Scheduler, several queues: where a new task starts, and which one an idle CPU takes from another. The
 * invariants are in sched.c.
 *
 * Locks: one rq->lock at a time. Lengths of queues are read without it.
 */
#include "kernel/sched_internal.h"
#include "kernel/psi.h"

unsigned int sched_pick_cpu(u32 allowed)
{
	unsigned int me = cpu_id(), best = me, least = ~0u;

	for (unsigned int i = 0; i < nr_cpu_ids; i++) {
		unsigned int cpu = (me + i) % nr_cpu_ids, load;
		const struct rq *rq = cpu_rq(cpu);

		if (!cpu_is_online(cpu) || !(allowed >> cpu & 1))
			continue;
		load = READ_ONCE(rq->nr) + (READ_ONCE(rq->curr) != rq->idle);
		if (load < least) {
			least = load;
			best = cpu;
		}
	}
	return best;
}

/* Take the first task that may run on another CPU off a queue (I5, I6). */
static struct task *steal_from(struct rq *rq, unsigned int cpu)
{
	struct task *t, *found = NULL;

	rq_lock(rq);
	list_for_each_entry (t, &rq->queue, run) {
		if (t->preempted || t->bound || !(t->cpus >> cpu & 1))
			continue;
		list_del(&t->run);
		rq->nr--;
		WRITE_ONCE(t->ti->cpu, cpu);
		if (t->psi[PSI_CPU])
			psi_taken(t);
		found = t;
		break;
	}
	rq_unlock(rq);
	return found;
}

bool sched_pull_task(void)
{
	unsigned int me = cpu_id();
	u32 tried = 1u << me;

	for (;;) {
		unsigned int longest = 0, from = 0;
		struct task *t;

		for_each_possible_cpu (cpu) {
			u32 nr = READ_ONCE(cpu_rq(cpu)->nr);

			if (!(tried >> cpu & 1) && nr > longest) {
				longest = nr;
				from = cpu;
			}
		}
		if (!longest)
			return false;
		tried |= 1u << from;
		t = steal_from(cpu_rq(from), me);
		if (!t)
			continue;
		rq_lock(cpu_rq(me));
		list_add_tail(&t->run, &cpu_rq(me)->queue);
		cpu_rq(me)->nr++;
		rq_unlock(cpu_rq(me));
		return true;
	}
}

u32 sched_nr_running(void)
{
	u32 n = 0;

	for_each_possible_cpu (cpu) {
		const struct rq *rq = cpu_rq(cpu);

		n += READ_ONCE(rq->nr) + (READ_ONCE(rq->curr) != rq->idle);
	}
	return n;
}

bool cpus_are_idle(void)
{
	for_each_possible_cpu (cpu) {
		const struct rq *rq = cpu_rq(cpu);

		/* Our own queue counts, too: a preempted task may wait there. */
		if (cpu_is_online(cpu) &&
		    (READ_ONCE(rq->nr) || (cpu != cpu_id() && READ_ONCE(rq->curr) != rq->idle)))
			return false;
	}
	return true;
}
