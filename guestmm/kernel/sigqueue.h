/* Signals that queue: sigqueue.c. All under task_list_lock. */
#ifndef KERNEL_SIGQUEUE_H
#define KERNEL_SIGQUEUE_H
#include "kernel/process.h"

struct posix_timer;
struct sigqueue {
	struct list_head list; /* while queued */
	bool queued;
	int sig;
	struct siginfo_short info;
	struct process *owner;	   /* C: counted in its nr_sigqueued */
	struct posix_timer *timer; /* whose it is, or NULL: freed when it is taken */
};

/** Signals from here on queue. */
#define SIGRTMIN 32

/** An entry that p is to receive. NULL: no memory, or RLIMIT_SIGPENDING. Does not sleep. */
struct sigqueue *sigqueue_alloc(struct process *p);
void sigqueue_free(struct sigqueue *q);
/** Put it at the end. The caller sets the bit. */
void sigqueue_add(struct sigpending *pending, struct sigqueue *q);
/** Queue an arrival of a real-time signal; the caller sets the bit. 0, or -EAGAIN: no room, and the sender is to
 * know. */
int sigqueue_send(struct process *p, struct sigpending *pending, int sig,
		  const struct siginfo_short *info);
/** Take the oldest arrival of `sig` out, its bit with the last one. *info is as it was when there is no entry. */
void sigqueue_take(struct sigpending *pending, int sig, struct siginfo_short *info);
/** Forget the signals of the set. */
void sigqueue_drop(struct sigpending *pending, u64 set);

/* posix_timer.c */
/** T held: the timer's signal has been taken: *info gets its overruns, and it may send the next. */
void posix_timer_taken(struct posix_timer *t, struct siginfo_short *info);
/** The process ends, or runs another program: no timer is left. May sleep. */
void posix_timers_exit(struct process *p);
/** T held: queue the signal of a timer for the process, or for one thread, unless it is ignored. */
void signal_send_queued(struct process *p, struct task *t, struct sigqueue *q);
#endif
