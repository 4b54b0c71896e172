/* Queued signals: sigqueue.c. All functions are called with task_list_lock held, unless they say otherwise. */
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
	struct posix_timer *timer; /* its owner; NULL: the entry is freed when it is taken */
};

/** This signal and those above it queue. */
#define SIGRTMIN 32

/** Allocate an entry for a signal to p. NULL: no memory, or RLIMIT_SIGPENDING is reached. Does not sleep. */
struct sigqueue *sigqueue_alloc(struct process *p);
void sigqueue_free(struct sigqueue *q);
/** Add an entry at the end of the queue. The caller sets the signal's bit. */
void sigqueue_add(struct sigpending *pending, struct sigqueue *q);
/** Queue an arrival of a real-time signal. The caller sets the signal's bit. 0, or -EAGAIN: there is no room, and the
 * sender must be told. */
int sigqueue_send(struct process *p, struct sigpending *pending, int sig,
		  const struct siginfo_short *info);
/** Take the oldest arrival of `sig`, and clear its bit if it was the last one. *info is unchanged if there is no
 * entry. */
void sigqueue_take(struct sigpending *pending, int sig, struct siginfo_short *info);
/** Discard the pending signals of the set. */
void sigqueue_drop(struct sigpending *pending, u64 set);

/* posix_timer.c */
/** The timer's signal was taken. *info receives the overruns, and the timer may send the next signal. T held. */
void posix_timer_taken(struct posix_timer *t, struct siginfo_short *info);
/** The process ends or runs another program: delete its timers. T not held. May sleep. */
void posix_timers_exit(struct process *p);
/** Queue the signal of a timer for the process (t NULL) or for thread t, unless it is ignored. T held. */
void signal_send_queued(struct process *p, struct task *t, struct sigqueue *q);
#endif
