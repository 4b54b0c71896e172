/*
 * Timers for timerfd(2) and timer_create(2).
 *
 *   timers, soonest first ──> ktimerfd (a thread) sleeps until the first is due ──> fn()
 *
 * I1  Whenever the time of the first entry becomes earlier, the thread is woken.
 *
 * Lock: ktimer_lock (interrupts off), above task_list_lock (timers that send signals) and wait queues' locks.
 */
#include "kernel/ktimer.h"
#include "kernel/loadavg.h"
#include "kernel/task.h"
#include "kernel/time_calls.h"
#include "lib/errno.h"

static spinlock_t ktimer_lock = SPINLOCK_INIT;
static LIST_HEAD(ktimers); /* ktimer_lock */
static struct wait_queue ktimer_wq = WAIT_QUEUE_INIT(ktimer_wq);
static struct mutex start_lock = MUTEX_INIT(start_lock);
static bool running;  /* start_lock */
static bool resooner; /* ktimer_lock: the time of the first entry has become earlier */

/* ktimer_lock held. */
static void insert(struct ktimer *t)
{
	struct list_head *at;

	list_for_each (at, &ktimers) {
		if (list_entry(at, struct ktimer, list)->at > t->at)
			break;
	}
	list_add_tail(&t->list, at);
	if (ktimers.next == &t->list)
		resooner = true;
}

/* Call the handlers of expired timers. Returns the time at which the next timer expires. */
static u64 run_due(void)
{
	unsigned long flags = spin_lock_irqsave(&ktimer_lock);
	u64 now = ktime_ns(), next = TIME_FOREVER;

	resooner = false;
	while (!list_empty(&ktimers)) {
		struct ktimer *t = list_first_entry(&ktimers, struct ktimer, list);

		if (t->at > now) {
			next = t->at;
			break;
		}
		list_del(&t->list);
		if (t->interval) {
			/* If the thread is late, one call stands for all expirations so far. */
			u64 n = (now - t->at) / t->interval + 1;

			t->expirations += n;
			t->at += n * t->interval;
			insert(t);
		} else {
			t->expirations++;
			t->at = 0;
		}
		t->fn(t);
	}
	spin_unlock_irqrestore(&ktimer_lock, flags);
	return next;
}

static int ktimer_thread(void *arg)
{
	current->kind = CPU_SOFTIRQ; /* on Linux expired timers are run by TIMER_SOFTIRQ */
	for (;;) {
		u64 next = run_due(), now;
		struct wait_entry we;

		prepare_to_wait(&ktimer_wq, &we);
		now = ktime_ns();
		if (!READ_ONCE(resooner)) {
			if (next == TIME_FOREVER)
				schedule();
			else if (next > now)
				schedule_timeout(next - now);
		}
		finish_wait(&ktimer_wq, &we);
	}
	return 0;
}

static int start_thread(void)
{
	int err = 0;

	mutex_lock(&start_lock);
	if (!running) {
		err = kthread_run(ktimer_thread, NULL, "ktimers");
		running = !err;
	}
	mutex_unlock(&start_lock);
	return err;
}

/* ktimer_lock held. */
static u64 time_left(const struct ktimer *t)
{
	u64 now = ktime_ns();

	return !t->at ? 0 : t->at > now ? t->at - now : 1;
}

int ktimer_set(struct ktimer *t, u64 at, u64 interval, u64 *left, u64 *old_interval)
{
	unsigned long flags;
	int err = at ? start_thread() : 0;

	if (err)
		return err;
	flags = spin_lock_irqsave(&ktimer_lock);
	*left = time_left(t);
	*old_interval = t->interval;
	if (t->at)
		list_del(&t->list);
	t->at = at;
	t->interval = interval;
	t->expirations = 0;
	if (at)
		insert(t);
	spin_unlock_irqrestore(&ktimer_lock, flags);
	if (at)
		wake_up(&ktimer_wq);
	return 0;
}

void ktimer_get(struct ktimer *t, u64 *left, u64 *interval)
{
	unsigned long flags = spin_lock_irqsave(&ktimer_lock);

	*left = time_left(t);
	*interval = t->interval;
	spin_unlock_irqrestore(&ktimer_lock, flags);
}

u64 ktimer_take(struct ktimer *t)
{
	unsigned long flags = spin_lock_irqsave(&ktimer_lock);
	u64 n = t->expirations;

	t->expirations = 0;
	spin_unlock_irqrestore(&ktimer_lock, flags);
	return n;
}
