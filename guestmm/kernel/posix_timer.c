/*
 * timer_create(2) and its relatives: timers of a process that send signals.
 *
 * A timer owns one queue entry for its signal (sigqueue.c). While the entry is queued, further expirations count as
 * overruns, whose number is delivered with the signal.
 *
 * Clocks: CLOCK_REALTIME, MONOTONIC, BOOTTIME; the time of day cannot be set. Timers of CPU time are EOPNOTSUPP. So are
 * alarm timers, which would wake a sleeping machine, as on Linux without such hardware. If a standard signal is
 * already pending, an expiration counts as an overrun; Linux would queue the signal once more.
 *
 * Locks: timers_lock for the list and the life of timers, ktimer_lock > task_list_lock for what has expired.
 */
#include "arch/uaccess.h"
#include "kernel/ktimer.h"
#include "kernel/sigqueue.h"
#include "kernel/time_calls.h"
#include "lib/errno.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"

#define CLOCK_LAST	11
#define CLOCK_OLD	10 /* was CLOCK_SGI_CYCLE */
#define TIMER_ABSTIME	1
#define SIGEV_SIGNAL	0
#define SIGEV_NONE	1
#define SIGEV_THREAD	2
#define SIGEV_THREAD_ID 4
#define OVERRUN_MAX	0x7fffffffu /* as Linux reports them: at most INT_MAX */

struct sigevent {
	u64 value;
	s32 signo, notify, tid;
	s32 pad[11];
};
_Static_assert(sizeof(struct sigevent) == 64, "Linux's ABI");

struct posix_timer {
	struct ktimer timer;
	struct list_head list;	/* timers_lock: process->posix_timers */
	struct process *proc;	/* C */
	int id, clock;		/* C */
	int tid;		/* C: the thread that gets the signal; 0: any */
	struct sigqueue *queue; /* T; NULL: SIGEV_NONE, or deleted */
	u64 overrun;		/* T: expirations beyond the one that is queued */
	u32 overrun_last;	/* T: overruns of the signal that was delivered last */
};

static struct mutex timers_lock = MUTEX_INIT(timers_lock);

/* ---- expiry ---- */

/* The thread with this number, if it belongs to the process; else NULL. T held. */
static struct task *thread_of(const struct process *p, int tid)
{
	struct task *t;

	list_for_each_entry (t, &p->threads, thread) {
		if (t->pid == tid)
			return t;
	}
	return NULL;
}

/* The timer has expired: send its signal, or count an overrun. ktimer_lock held, interrupts off. */
static void on_time(struct ktimer *k)
{
	struct posix_timer *pt = container_of(k, struct posix_timer, timer);
	u64 n = k->expirations;
	struct task *t;

	k->expirations = 0;
	spin_lock(&task_list_lock);
	t = pt->tid ? thread_of(pt->proc, pt->tid) : NULL;
	if (!pt->queue || (pt->tid && !t)) {
		/* no signal (SIGEV_NONE) */
	} else if (pt->queue->queued) {
		pt->overrun += n;
	} else {
		pt->overrun = n - 1;
		signal_send_queued(pt->proc, t, pt->queue);
	}
	spin_unlock(&task_list_lock);
}

void posix_timer_taken(struct posix_timer *t, struct siginfo_short *info)
{
	t->overrun_last = min(t->overrun, (u64)OVERRUN_MAX);
	t->overrun = 0;
	info->uid = t->overrun_last;
}

/* ---- calls ---- */

/* timers_lock held. */
static struct posix_timer *find_timer(int id)
{
	struct process *p = current_process();
	struct posix_timer *t;

	list_for_each_entry (t, &p->posix_timers, list) {
		if (t->id == id)
			return t;
	}
	return NULL;
}

static long check_clock(int clock)
{
	if (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME)
		return 0;
	return clock < 0 || clock > CLOCK_LAST || clock == CLOCK_OLD ? -EINVAL : -EOPNOTSUPP;
}

/* Is the request valid: does the thread that is to get the signal exist, and does the signal? T held. */
static long check_event(const struct sigevent *ev)
{
	switch (ev->notify) {
	case SIGEV_SIGNAL | SIGEV_THREAD_ID:
		if (!thread_of(current_process(), ev->tid))
			return -EINVAL;
		/* fall through */
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		return ev->signo <= 0 || ev->signo > NR_SIGNALS ? -EINVAL : 0;
	case SIGEV_NONE:
		return 0;
	}
	return -EINVAL;
}

/* Take the timer off its list and free it. A signal that it has sent stays pending. timers_lock held. */
static void timer_free(struct posix_timer *t)
{
	unsigned long flags;
	u64 left, interval;

	ktimer_set(&t->timer, 0, 0, &left, &interval);
	list_del(&t->list);
	flags = spin_lock_irqsave(&task_list_lock);
	if (t->queue) {
		t->queue->timer = NULL;
		if (!t->queue->queued)
			sigqueue_free(t->queue);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	kfree(t);
}

/* Create the timer's queue entry, unless the timer sends no signal. */
static long make_entry(struct posix_timer *t, const struct sigevent *ev, bool by_default)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	long err = check_event(ev);

	if (!err && ev->notify != SIGEV_NONE) {
		t->queue = sigqueue_alloc(t->proc);
		err = t->queue ? 0 : -EAGAIN;
	}
	if (!err && t->queue) {
		t->queue->timer = t;
		t->queue->sig = ev->signo;
		t->queue->info = (struct siginfo_short){SI_TIMER, t->id,
							by_default ? (u64)t->id : ev->value, 0};
		t->tid = ev->notify & SIGEV_THREAD_ID ? ev->tid : 0;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return err;
}

long sys_timer_create(struct pt_regs *r)
{
	struct sigevent ev = {.signo = SIGALRM, .notify = SIGEV_SIGNAL};
	struct process *p = current_process();
	struct posix_timer *t;
	long err = check_clock((int)r->rdi);

	if (!err && r->rsi && copy_from_user(&ev, r->rsi, sizeof(ev)))
		err = -EFAULT;
	if (err)
		return err;
	t = kmalloc(sizeof(*t), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!t)
		return -EAGAIN;
	t->timer.fn = on_time;
	t->proc = p;
	t->clock = (int)r->rdi;
	mutex_lock(&timers_lock);
	t->id = p->next_timer_id++ & 0x7fffffff;
	err = make_entry(t, &ev, !r->rsi);
	if (!err) {
		list_add_tail(&t->list, &p->posix_timers);
		if (copy_to_user(r->rdx, &t->id, sizeof(t->id))) {
			timer_free(t);
			err = -EFAULT;
		}
	} else {
		kfree(t);
	}
	mutex_unlock(&timers_lock);
	return err;
}

long sys_timer_settime(struct pt_regs *r)
{
	u64 value, interval, left, old_interval;
	struct posix_timer *t;
	unsigned long flags;
	long err;

	if (!r->rdx)
		return -EINVAL;
	err = get_user_itimer(r->rdx, TIMESPEC, &interval, &value);
	if (err)
		return err;
	mutex_lock(&timers_lock);
	t = find_timer((int)r->rdi);
	if (!t) {
		mutex_unlock(&timers_lock);
		return -EINVAL;
	}
	if (value)
		value = (int)r->rsi & TIMER_ABSTIME ? clock_to_ktime(t->clock, value)
						    : deadline_after(value);
	/* A timer that is off has no interval, as timer_gettime() shows. */
	err = ktimer_set(&t->timer, value, value ? interval : 0, &left, &old_interval);
	if (!err) {
		flags = spin_lock_irqsave(&task_list_lock);
		t->overrun = t->overrun_last = 0;
		spin_unlock_irqrestore(&task_list_lock, flags);
	}
	mutex_unlock(&timers_lock);
	if (!err && r->r10)
		err = put_user_itimer(r->r10, TIMESPEC, old_interval, left);
	return err;
}

long sys_timer_gettime(struct pt_regs *r)
{
	struct posix_timer *t;
	u64 left, interval;

	mutex_lock(&timers_lock);
	t = find_timer((int)r->rdi);
	if (t)
		ktimer_get(&t->timer, &left, &interval);
	mutex_unlock(&timers_lock);
	return t ? put_user_itimer(r->rsi, TIMESPEC, interval, left) : -EINVAL;
}

long sys_timer_getoverrun(struct pt_regs *r)
{
	struct posix_timer *t;
	long n = -EINVAL;

	mutex_lock(&timers_lock);
	t = find_timer((int)r->rdi);
	if (t)
		n = READ_ONCE(t->overrun_last);
	mutex_unlock(&timers_lock);
	return n;
}

long sys_timer_delete(struct pt_regs *r)
{
	struct posix_timer *t;

	mutex_lock(&timers_lock);
	t = find_timer((int)r->rdi);
	if (t)
		timer_free(t);
	mutex_unlock(&timers_lock);
	return t ? 0 : -EINVAL;
}

void posix_timers_exit(struct process *p)
{
	struct posix_timer *t, *next;

	if (list_empty(&p->posix_timers))
		return;
	mutex_lock(&timers_lock);
	list_for_each_entry_safe (t, next, &p->posix_timers, list)
		timer_free(t);
	mutex_unlock(&timers_lock);
}
