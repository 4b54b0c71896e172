/*
 * Pressure triggers: poll(2) on a pressure file reports POLLPRI when tasks stalled for more than a threshold within
 * a window of time. Format, errors and the window's arithmetic are Linux's (Documentation/accounting/psi.rst,
 * window_update() in kernel/sched/psi.c). The growth of the total in the sliding window is estimated: the growth since
 * the current window began, plus a part of the previous window's growth, in proportion to how much of that window is
 * still within the sliding one.
 *
 * The worker of psi_average.c checks a trigger ten times in a window while a task waits. A trigger fires at most once
 * in a window.
 *
 * Lock: psi_lock. The one wait queue of all triggers is woken outside of it: waking takes the run-queue lock.
 */
#include "kernel/cred.h"
#include "kernel/psi_internal.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define WINDOW_MIN_US	   500000u
#define WINDOW_MAX_US	   10000000u
#define UPDATES_PER_WINDOW 10u

static struct wait_queue triggers_wq = WAIT_QUEUE_INIT(triggers_wq);

/* Fields without a lock are constant. */
struct psi_trigger {
	struct list_head link;	 /* psi_lock: in the group's triggers */
	struct psi_group *group; /* with a reference */
	u32 state;		 /* PSI_STATE() */
	u64 threshold, window;	 /* ns */
	/* psi_lock: the window in use */
	u64 start, start_total, previous_growth;
	u64 seen;	/* psi_lock: the total at the last check */
	u64 last_event; /* psi_lock: ktime */
	bool pending;	/* psi_lock: passed, but it fired in this window already */
	u32 event;	/* A: it fired, and poll(2) has not reported that yet */
};

static bool parse_u32(const char **text, u32 *out)
{
	const char *p = *text;
	u64 n = 0;

	while (*p == ' ' || *p == '\t')
		p++;
	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (*p - '0');
	*text = p;
	*out = (u32)n; /* what does not fit is cut off, as by Linux's sscanf() */
	return true;
}

/* Text after the two numbers is ignored, as by Linux's sscanf(). */
static int parse(const char *text, u32 *full, u32 *threshold, u32 *window)
{
	if (!strncmp(text, "some", 4))
		*full = 0;
	else if (!strncmp(text, "full", 4))
		*full = 1;
	else
		return -EINVAL;
	text += 4;
	if (!parse_u32(&text, threshold) || !parse_u32(&text, window))
		return -EINVAL;
	if (*window < WINDOW_MIN_US || *window > WINDOW_MAX_US)
		return -EINVAL;
	/* Without the privilege a window must be a multiple of the averages' period. */
	if (!capable(CAP_SYS_RESOURCE) && *window % (PSI_PERIOD_NS / 1000))
		return -EINVAL;
	return *threshold && *threshold <= *window ? 0 : -EINVAL;
}

int psi_trigger_write(struct psi_trigger **slot, struct psi_group *g, enum psi_res res,
		      const char *text)
{
	u32 full = 0, threshold = 0, window = 0;
	struct psi_trigger *t;
	unsigned long flags;
	int err;

	if (READ_ONCE(*slot))
		return -EBUSY;
	err = parse(text, &full, &threshold, &window);
	if (err)
		return err;
	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	t->group = g ? g : &psi_machine;
	t->state = PSI_STATE(res, full);
	t->threshold = threshold * 1000ull;
	t->window = window * 1000ull;
	flags = spin_lock_irqsave(&psi_lock);
	if (*slot) {
		err = -EBUSY;
	} else {
		t->start = psi_now(ktime_ns());
		psi_account(t->group, t->start);
		t->start_total = t->seen = t->group->total[t->state];
		list_add_tail(&t->link, &t->group->triggers);
		psi_group_get(t->group);
		WRITE_ONCE(*slot, t);
		if (list_empty(&t->group->active_link))
			list_add_tail(&t->group->active_link, &psi_active_groups);
		psi_want_worker();
	}
	spin_unlock_irqrestore(&psi_lock, flags);
	if (err)
		kfree(t);
	else if (READ_ONCE(psi_wake_wanted))
		psi_wake_worker();
	return err;
}

bool psi_trigger_take_event(struct psi_trigger *t, struct wait_queue **wq)
{
	if (wq)
		*wq = &triggers_wq;
	return atomic_xchg(&t->event, 0);
}

void psi_trigger_free(struct psi_trigger *t)
{
	unsigned long flags;

	if (!t)
		return;
	flags = spin_lock_irqsave(&psi_lock);
	list_del(&t->link);
	spin_unlock_irqrestore(&psi_lock, flags);
	psi_group_put(t->group);
	kfree(t);
}

/* The growth of the total in the window that ends now. psi_lock held. */
static u64 update_window(struct psi_trigger *t, u64 now, u64 total)
{
	u64 elapsed = now - t->start, growth = total - t->start_total;

	if (elapsed <= t->window)
		return growth + t->previous_growth * (t->window - elapsed) / t->window;
	t->start = now;
	t->start_total = total;
	t->previous_growth = growth;
	return growth;
}

/* Check one trigger. True: it fired, so pollers must be woken. psi_lock held. */
static bool update_trigger(struct psi_trigger *t, u64 now)
{
	u64 total = t->group->total[t->state];

	if (total == t->seen && !t->pending)
		return false;
	t->seen = total;
	if (update_window(t, now, total) >= t->threshold)
		t->pending = true;
	if (!t->pending || (t->last_event && now < t->last_event + t->window))
		return false;
	t->pending = false;
	t->last_event = now;
	return !atomic_xchg(&t->event, 1);
}

u64 psi_update_triggers(struct psi_group *g, u64 now, bool *fired)
{
	struct psi_trigger *t;
	u64 again = ~0ull;

	list_for_each_entry (t, &g->triggers, link) {
		*fired |= update_trigger(t, now);
		again = min(again, now + t->window / UPDATES_PER_WINDOW);
	}
	return again;
}

void psi_wake_pollers(void)
{
	wake_up(&triggers_wq);
}

bool psi_triggers_pending(const struct psi_group *g)
{
	const struct psi_trigger *t;

	list_for_each_entry (t, &g->triggers, link)
		if (t->pending)
			return true;
	return false;
}
