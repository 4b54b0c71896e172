/*
 * Futexes that are locks with priority inheritance. The word says which thread holds the lock. The kernel is called
 * only when the lock is contended; then it knows the owner and all waiters:
 *
 *   word: tid | FUTEX_WAITERS | FUTEX_OWNER_DIED
 *   state[key] ──owner──> task ──blocked──> waiter ──> state of another lock ──owner──> ...
 *        └──waiters, the longest turns first, then in order of arrival
 *
 * A task's turn (task.turn) is its time slice. A task that holds locks has the longest turn among its own and those of
 * the tasks that wait for these locks, directly or through other locks. This scheduler inherits priority in this way.
 *
 * I1  A state exists while a task waits, or while the new owner must still write its tid into the word (`fixing`).
 * I2  Without `fixing`, the word of a state has the tid of its owner and FUTEX_WAITERS, so each unlock calls the
 * kernel.
 * I3  A task that owns a state has not passed its last futex_release_pi(), which comes after pi_gone.
 * I4  Blocked tasks form no cycle: lock_pi() looks along the chain before it adds to it.
 *
 * The word is read and changed under pi_lock. A page that is not present cannot be faulted in then (a fault with
 * preemption off fails). So the lock is released, the page is touched, and everything is checked again.
 *
 * FUTEX_CMP_REQUEUE_PI moves a task that waits for a word (futex.c) to a lock. It is queued as if it had called
 * FUTEX_LOCK_PI itself, and continues to sleep.
 *
 * Locks: a futex's bucket > pi_lock > task_list_lock; pi_lock > wait queues.
 */
#include "kernel/futex.h"
#include "kernel/futex_internal.h"
#include "kernel/sched_internal.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "mm/slab/slab.h"

struct pi_state {
	struct list_head link;	  /* states */
	struct list_head owned;	  /* owner's pi_owned */
	struct list_head waiters; /* struct pi_waiter */
	struct futex_key key;
	struct task *owner;
	bool fixing; /* the owner has not written its tid into the word yet */
};

/* Results of looking at the word, besides 0 and -errno */
#define RETRY FUTEX_PI_RETRY /* the word has changed meanwhile */
#define WAITS FUTEX_PI_WAITS /* another task has the lock, and this one waits for it */

static spinlock_t pi_lock = SPINLOCK_INIT;
static LIST_HEAD(states); /* pi_lock; as many as there are contended locks */

/* ---- states: pi_lock held --------------------------------------------------------------------- */

static struct pi_state *find_state(const struct futex_key *key)
{
	struct pi_state *s;

	list_for_each_entry (s, &states, link)
		if (futex_same_key(&s->key, key))
			return s;
	return NULL;
}

static void set_owner(struct pi_state *s, struct task *t)
{
	if (s->owner)
		list_del(&s->owned);
	s->owner = t;
	if (!t->pi_owned.next)
		INIT_LIST_HEAD(&t->pi_owned);
	list_add(&s->owned, &t->pi_owned);
}

/* Free the state if no task needs it (I1). */
static void drop_if_unused(struct pi_state *s)
{
	if (!list_empty(&s->waiters) || s->fixing)
		return;
	list_del(&s->owned);
	list_del(&s->link);
	kfree(s);
}

static void queue_waiter(struct pi_waiter *w)
{
	struct list_head *p;

	list_for_each (p, &w->state->waiters)
		if (list_entry(p, struct pi_waiter, node)->task->turn > w->task->turn)
			break;
	list_add_tail(&w->node, p);
}

static s32 turn_of_waiters(const struct task *t)
{
	struct pi_state *s;
	s32 turn = TURN_IDLE;

	if (!t->pi_owned.next)
		return turn;
	list_for_each_entry (s, &t->pi_owned, owned)
		if (!list_empty(&s->waiters))
			turn = min(
				turn,
				list_first_entry(&s->waiters, struct pi_waiter, node)->task->turn);
	return turn;
}

/* The waiters of t have changed: update its turn, and that of the owner it waits for. */
static void inherit(struct task *t)
{
	while (t) {
		s32 boost = turn_of_waiters(t), before;
		unsigned long flags = spin_lock_irqsave(&task_list_lock);

		before = t->turn;
		t->pi_boost = boost;
		sched_set_turn(t);
		spin_unlock_irqrestore(&task_list_lock, flags);
		if (t->turn == before || !t->pi_blocked)
			return;
		list_del(&t->pi_blocked->node);
		queue_waiter(t->pi_blocked);
		t = t->pi_blocked->state->owner;
	}
}

/* Make the first waiter the owner, because the old owner unlocked (GRANTED) or died. */
static void grant(struct pi_state *s, enum pi_grant how)
{
	struct task *before = s->owner;
	struct pi_waiter *w = list_first_entry(&s->waiters, struct pi_waiter, node);

	list_del(&w->node);
	w->task->pi_blocked = NULL;
	w->how = how;
	s->fixing = how == GRANTED_BY_DEATH;
	set_owner(s, w->task);
	wake_up(&w->wq); /* w stays valid: its task takes pi_lock before it returns */
	inherit(w->task);
	inherit(before);
	if (how == GRANTED)
		drop_if_unused(s);
}

/* Would t wait for a lock that it holds itself, directly or through other locks? */
static bool would_deadlock(const struct task *owner, const struct task *t)
{
	for (; owner; owner = owner->pi_blocked ? owner->pi_blocked->state->owner : NULL)
		if (owner == t)
			return true;
	return false;
}

/* ---- the word: pi_lock held ------------------------------------------------------------------- */

static long read_word(unsigned long addr, u32 *word)
{
	return copy_from_user(word, addr, sizeof(*word)) ? -EFAULT : 0;
}

static long change_word(unsigned long addr, u32 old, u32 new)
{
	u32 seen;

	if (cmpxchg_user(addr, old, new, &seen))
		return -EFAULT;
	return seen == old ? 0 : RETRY;
}

/* Make the word's page present and writable. No lock held. */
static long fault_in(unsigned long addr)
{
	u32 seen;

	return cmpxchg_user(addr, 0, 0, &seen) ? -EFAULT : 0;
}

/* After the result *ret of reading or changing the word: should the caller try again? */
static bool again(long *ret, unsigned long addr)
{
	if (*ret == RETRY) {
		cond_resched();
		return true;
	}
	if (*ret != -EFAULT)
		return false;
	*ret = fault_in(addr);
	return !*ret;
}

/* Find the task whose tid is in the word. If there is a state, the task becomes its owner. */
static long find_owner(u32 tid, struct pi_state *s)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct task *t = find_task((int)tid);
	long ret = 0;

	if (!t || t->pi_gone)
		ret = -ESRCH;
	else if (!t->user)
		ret = -EPERM;
	else if (s)
		set_owner(s, t); /* it cannot end before it has taken pi_lock (I3) */
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ret;
}

/* Take the lock for task t, or queue t's waiter w. 0: t has the lock; WAITS: w is queued. *fresh is used if a new state
 * is needed. */
static long take_or_queue(const struct futex_key *key, unsigned long addr, struct task *t,
			  struct pi_waiter *w, struct pi_state **fresh)
{
	struct pi_state *s;
	u32 word, tid;
	long ret = read_word(addr, &word);

	if (ret)
		return ret;
	tid = word & FUTEX_TID_MASK;
	if (tid == (u32)t->pid)
		return -EDEADLK;
	s = find_state(key);
	if (!s && !tid)
		return change_word(addr, word, (word & FUTEX_OWNER_DIED) | (u32)t->pid);
	/* The owner is ending: its robust list was handled, but it still owns the state. Treat it as the owner. */
	if (s && !s->fixing && tid != (u32)s->owner->pid && !(word & FUTEX_OWNER_DIED && !tid))
		return -EINVAL;
	if (!w) {
		ret = s ? 0 : find_owner(tid, NULL);
		return ret ? ret : -EAGAIN;
	}
	if (!s) {
		s = *fresh;
		s->key = *key;
		s->owner = NULL;
		s->fixing = false;
		INIT_LIST_HEAD(&s->waiters);
		ret = find_owner(tid, s);
		if (!ret && would_deadlock(s->owner, t))
			ret = -EDEADLK;
		if (!ret && !(word & FUTEX_WAITERS))
			ret = change_word(addr, word, word | FUTEX_WAITERS);
		if (ret) {
			if (s->owner)
				list_del(&s->owned);
			return ret;
		}
		list_add(&s->link, &states);
		*fresh = NULL;
	} else if (would_deadlock(s->owner, t)) {
		return -EDEADLK;
	}
	w->state = s;
	w->task = t;
	w->how = NOT_YET;
	t->pi_blocked = w;
	queue_waiter(w);
	inherit(s->owner);
	return WAITS;
}

/* ---- the calls -------------------------------------------------------------------------------- */

long futex_wait_for_grant(struct pi_waiter *w, u64 until)
{
	while (!READ_ONCE(w->how)) {
		struct wait_entry we;
		u64 ns = ktime_ns();
		long ret = 0;

		if (ns >= until)
			return -ETIMEDOUT;
		prepare_to_wait(&w->wq, &we);
		waits_here();
		if (READ_ONCE(w->how))
			ret = 0;
		else if (signal_pending())
			ret = -ERESTARTNOINTR;
		else if (until == ~0ull)
			schedule();
		else
			schedule_timeout(until - ns);
		finish_wait(&w->wq, &we);
		if (ret)
			return ret;
	}
	return 0;
}

/* End a wait that failed with `ret`. If the lock has been granted meanwhile, it has succeeded. */
static long end_wait(struct pi_waiter *w, long ret)
{
	struct pi_state *s = w->state;

	spin_lock(&pi_lock);
	if (w->how) {
		ret = 0;
	} else {
		list_del(&w->node);
		current->pi_blocked = NULL;
		inherit(s->owner);
		drop_if_unused(s);
	}
	spin_unlock(&pi_lock);
	return ret;
}

/* We received the lock because its owner died: write our tid into the word. */
static long fix_word(struct pi_waiter *w, unsigned long addr)
{
	struct pi_state *s = w->state;
	long ret;

	do {
		u32 word;

		spin_lock(&pi_lock);
		ret = read_word(addr, &word);
		if (!ret)
			ret = change_word(addr, word,
					  FUTEX_WAITERS | FUTEX_OWNER_DIED | (u32)current->pid);
		if (!ret) {
			s->fixing = false;
			drop_if_unused(s);
		}
		spin_unlock(&pi_lock);
	} while (again(&ret, addr));
	if (!ret)
		return 0;
	/* The word is no longer mapped. Grant the lock to the next waiter, who finds that out as well. */
	spin_lock(&pi_lock);
	if (list_empty(&s->waiters)) {
		s->fixing = false;
		drop_if_unused(s);
	} else {
		grant(s, GRANTED_BY_DEATH);
	}
	spin_unlock(&pi_lock);
	return ret;
}

long futex_lock_pi(const struct futex_key *key, unsigned long addr, u64 until)
{
	struct pi_state *fresh = kmalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	struct pi_waiter w;
	long ret;

	if (!fresh)
		return -ENOMEM;
	wait_queue_init(&w.wq);
	do {
		spin_lock(&pi_lock);
		ret = take_or_queue(key, addr, current, &w, &fresh);
		spin_unlock(&pi_lock);
	} while (again(&ret, addr));
	kfree(fresh);
	if (ret != WAITS)
		return ret;
	ret = end_wait(&w, futex_wait_for_grant(&w, until));
	if (!ret && w.how == GRANTED_BY_DEATH)
		ret = fix_word(&w, addr);
	return ret;
}

long futex_trylock_pi(const struct futex_key *key, unsigned long addr)
{
	long ret;

	do {
		spin_lock(&pi_lock);
		ret = take_or_queue(key, addr, current, NULL, NULL);
		spin_unlock(&pi_lock);
	} while (again(&ret, addr));
	return ret;
}

static long unlock_pi(const struct futex_key *key, unsigned long addr)
{
	struct pi_state *s;
	u32 word;
	long ret = read_word(addr, &word);

	if (ret)
		return ret;
	if ((word & FUTEX_TID_MASK) != (u32)current->pid)
		return -EPERM;
	s = find_state(key);
	if (!s)
		return change_word(addr, word, 0);
	if (s->owner != current)
		return -EINVAL;
	ret = change_word(
		addr, word,
		FUTEX_WAITERS |
			(u32)list_first_entry(&s->waiters, struct pi_waiter, node)->task->pid);
	if (!ret)
		grant(s, GRANTED);
	return ret;
}

long futex_unlock_pi(const struct futex_key *key, unsigned long addr)
{
	long ret;

	do {
		spin_lock(&pi_lock);
		ret = unlock_pi(key, addr);
		spin_unlock(&pi_lock);
	} while (again(&ret, addr));
	return ret;
}

/* ---- for those who waited for a word ----------------------------------------------------------- */

struct pi_state *futex_pi_alloc(void)
{
	return kmalloc(sizeof(struct pi_state), GFP_KERNEL_ACCOUNT);
}

void futex_pi_free(struct pi_state *s)
{
	kfree(s);
}

long futex_requeue_pi(const struct futex_key *to, unsigned long addr, struct pi_waiter *w,
		      struct pi_state **fresh)
{
	long ret;

	spin_lock(&pi_lock);
	ret = take_or_queue(to, addr, w->task, w, fresh);
	if (!ret) {
		w->state = NULL;
		w->how = GRANTED;
		wake_up(&w->wq);
	}
	spin_unlock(&pi_lock);
	return ret;
}

bool futex_pi_again(long *ret, unsigned long addr)
{
	return again(ret, addr);
}

long futex_requeued_pi(struct pi_waiter *w, unsigned long addr, long ret)
{
	ret = end_wait(w, ret);
	if (!ret && w->how == GRANTED_BY_DEATH)
		return fix_word(w, addr);
	/* The wait for the word is over, so the call cannot be restarted. */
	return ret == -ERESTARTNOINTR ? -EAGAIN : ret;
}

void __futex_release_pi(void)
{
	struct pi_state *s, *n;

	spin_lock(&pi_lock);
	list_for_each_entry_safe (s, n, &current->pi_owned, owned)
		grant(s, GRANTED_BY_DEATH);
	spin_unlock(&pi_lock);
}
