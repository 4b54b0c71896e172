/*
 * Garbage collection of sockets in flight that no process can reach.
 *
 * A socket's file may be sent over a socket (SCM_RIGHTS). Two sockets that are only in each other's queues
 * would exist for ever. So when a socket ends while files are in flight, the sockets among them are checked:
 *
 *   1  A candidate is a socket whose file has only references of messages (refs = inflight).
 *   2  For each candidate, the references from queues of candidates are subtracted. If some are left, they
 *      come from outside, so the candidate can be reached.
 *   3  Sockets in the queue of a socket that can be reached can be reached, too.
 *   4  The messages of the others are taken away, which drops the references that keep them.
 *
 * All of it is done under unix_lock, so no message is sent or received meanwhile. No task can take another
 * reference on the file of a candidate, because no descriptor refers to it.
 *
 * Source: the algorithm of Linux's net/unix/garbage.c up to 6.9.
 */
#include "fs/unix/unix.h"

enum { GC_NONE, GC_CANDIDATE, GC_REACHED };

u32 unix_total_inflight;
static LIST_HEAD(in_flight); /* unix_lock: sockets */

void unix_inflight(struct unix_message *m)
{
	unix_total_inflight += m->nr_files;
	for (u32 i = 0; i < m->nr_files; i++) {
		struct unix_sock *s = unix_of(m->files[i]);

		if (s && !s->inflight++)
			list_add_tail(&s->in_flight, &in_flight);
	}
}

void unix_notinflight(struct unix_message *m)
{
	unix_total_inflight -= m->nr_files;
	for (u32 i = 0; i < m->nr_files; i++) {
		struct unix_sock *s = unix_of(m->files[i]);

		if (s && !--s->inflight)
			list_del(&s->in_flight);
	}
}

void unix_queue_take(struct unix_sock *s, struct list_head *to)
{
	struct unix_message *m;

	list_for_each_entry (m, &s->queue, node)
		unix_notinflight(m);
	list_splice_init(&s->queue, to->prev);
	s->queued = s->nr_queued = 0;
}

/* Call fn for each candidate in the queue of s, or in the queue of a connection that waits to be accepted there. */
static void for_each_inside(struct unix_sock *s, void (*fn)(struct unix_sock *child, void *arg),
			    void *arg)
{
	struct unix_message *m;

	list_for_each_entry (m, &s->queue, node) {
		if (m->sock)
			for_each_inside(m->sock, fn, arg); /* no listener: the recursion ends */
		for (u32 i = 0; i < m->nr_files; i++) {
			struct unix_sock *child = unix_of(m->files[i]);

			if (child && child->gc_state != GC_NONE)
				fn(child, arg);
		}
	}
}

static void count_down(struct unix_sock *child, void *arg)
{
	child->gc_refs--;
}

static void reach(struct unix_sock *child, void *list)
{
	if (child->gc_state == GC_REACHED)
		return;
	child->gc_state = GC_REACHED;
	list_del(&child->gc);
	list_add_tail(&child->gc, list);
}

void unix_collect(struct list_head *dead)
{
	struct unix_sock *s, *next;
	LIST_HEAD(candidates);
	LIST_HEAD(reached);

	list_for_each_entry (s, &in_flight, in_flight) {
		s->gc_state = GC_NONE;
		if ((u32)atomic_load(&s->file->refs) != s->inflight)
			continue;
		s->gc_state = GC_CANDIDATE;
		s->gc_refs = s->inflight;
		list_add_tail(&s->gc, &candidates);
	}
	list_for_each_entry (s, &candidates, gc)
		for_each_inside(s, count_down, NULL);
	list_for_each_entry_safe (s, next, &candidates, gc) {
		if (s->gc_refs)
			reach(s, &reached);
	}
	list_for_each_entry (s, &reached, gc) /* the list grows meanwhile */
		for_each_inside(s, reach, &reached);
	list_for_each_entry (s, &candidates, gc)
		unix_queue_take(s, dead);
	list_for_each_entry (s, &in_flight, in_flight)
		s->gc_state = GC_NONE;
}
