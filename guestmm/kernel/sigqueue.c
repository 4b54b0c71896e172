/*
 * Queued signals: real-time signals, each arrival of which counts, and the signals of POSIX timers.
 *
 *   pending set  ...0100...   bit of SIGRTMIN+1
 *   queue        [RTMIN+1, 7] ──> [RTMIN+3, 0] ──> [RTMIN+1, 8]      oldest first
 *
 * A standard signal (below 32) has one bit, and the origin of its first arrival is in process->info. A
 * real-time signal has an entry for each arrival. A thread and its process have a set and a queue each.
 *
 * Q1  An entry's signal has its bit in the set that belongs to the queue. The bit of a real-time signal is cleared
 *     with its last entry. It may be set without an entry, if kill(2) found no memory or RLIMIT_SIGPENDING was
 *     reached. Then the signal arrives without its origin, as on Linux.
 * Q2  An entry is counted in its receiver's nr_sigqueued until it is freed. The entry of a timer is counted while
 *     the timer exists, so that a timer never fails to send.
 *
 * Locks: task_list_lock for all of it.
 */
#include "kernel/sigqueue.h"
#include "kernel/cred.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"

static u32 uid_of(const struct process *p)
{
	const struct task *t;

	list_for_each_entry (t, &p->threads, thread)
		return t->cred ? t->cred->uid : 0;
	return 0;
}

/* Does the real user of p have as many entries as RLIMIT_SIGPENDING of p allows? T held. */
static bool user_has_too_many(const struct process *p)
{
	u64 limit = p->limits[RLIMIT_SIGPENDING].cur, n = 0;
	const struct process *q;
	u32 uid;

	if (limit == RLIM_INFINITY)
		return false;
	uid = uid_of(p);
	list_for_each_entry (q, &process_list, all) {
		if (q->nr_sigqueued && uid_of(q) == uid)
			n += q->nr_sigqueued;
	}
	return n >= limit;
}

struct sigqueue *sigqueue_alloc(struct process *p)
{
	struct sigqueue *q = user_has_too_many(p) ? NULL : kmalloc(sizeof(*q), GFP_ATOMIC);

	if (!q)
		return NULL;
	memset(q, 0, sizeof(*q));
	q->owner = p;
	p->nr_sigqueued++;
	return q;
}

void sigqueue_free(struct sigqueue *q)
{
	q->owner->nr_sigqueued--;
	kfree(q);
}

void sigqueue_add(struct sigpending *pending, struct sigqueue *q)
{
	q->queued = true;
	list_add_tail(&q->list, &pending->queue);
}

int sigqueue_send(struct process *p, struct sigpending *pending, int sig,
		  const struct siginfo_short *info)
{
	struct sigqueue *q = sigqueue_alloc(p);

	/* A signal of kill(2) or of the kernel is delivered even without an entry. */
	if (!q)
		return info->code == SI_USER || info->code == SI_KERNEL ? 0 : -EAGAIN;
	q->sig = sig;
	q->info = *info;
	sigqueue_add(pending, q);
	return 0;
}

/* Take an entry off its queue and copy its siginfo to *info. If it is a timer's, the timer may use it again. */
static void take(struct sigqueue *q, struct siginfo_short *info)
{
	list_del(&q->list);
	q->queued = false;
	*info = q->info;
	if (q->timer)
		posix_timer_taken(q->timer, info);
	else
		sigqueue_free(q);
}

void sigqueue_take(struct sigpending *pending, int sig, struct siginfo_short *info)
{
	struct sigqueue *q, *first = NULL;
	bool more = false;

	list_for_each_entry (q, &pending->queue, list) {
		if (q->sig != sig)
			continue;
		if (first) {
			more = true;
			break;
		}
		first = q;
	}
	if (!more)
		pending->set &= ~SIGBIT(sig);
	if (first)
		take(first, info);
}

void sigqueue_drop(struct sigpending *pending, u64 set)
{
	struct siginfo_short info;
	struct sigqueue *q, *next;

	pending->set &= ~set;
	list_for_each_entry_safe (q, next, &pending->queue, list) {
		if (SIGBIT(q->sig) & set)
			take(q, &info);
	}
}
