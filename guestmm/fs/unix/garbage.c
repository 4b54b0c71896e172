/*
 * Files in flight: sockets that nobody can reach any more.
 *
 * A socket's file may be sent over a socket (SCM_RIGHTS). Two sockets that lie in each other's queues, and
 * nowhere else, would live for ever. When a socket ends while files are in flight, the sockets among them
 * are looked at:
 *
 *   1  A candidate is a socket whose file has no reference but those of messages (refs = inflight).
 *   2  From each candidate's count what lies in the queues of candidates is subtracted: what is left has
 *      come from outside, and such a candidate can be reached.
 *   3  What lies in the queue of one that can be reached can be reached as well.
 *   4  The messages of the others are taken away, which drops the references that kept them.
 *
 * All under unix_lock, so that no message comes or goes; nobody can take a reference on the file of a
 * candidate otherwise, as no descriptor leads to it.
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

/* Call fn for each candidate socket that lies in the queue of s, or of a connection that waits there. */
static void for_each_inside(struct unix_sock *s, void (*fn)(struct unix_sock *child, void *arg),
			    void *arg)
{
	struct unix_message *m;

	list_for_each_entry (m, &s->queue, node) {
		if (m->sock)
			for_each_inside(m->sock, fn, arg); /* which has none that wait */
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
	list_for_each_entry (s, &reached, gc) /* which grows meanwhile */
		for_each_inside(s, reach, &reached);
	list_for_each_entry (s, &candidates, gc)
		unix_queue_take(s, dead);
	list_for_each_entry (s, &in_flight, in_flight)
		s->gc_state = GC_NONE;
}
