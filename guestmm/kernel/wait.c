/*
 * Wait queues and the sleeping locks made of them.
 *
 * A waiter enters the queue and sets its state to sleeping (prepare_to_wait) before it checks its
 * condition for the last time. A waker changes the condition before it checks the queue. On each side a
 * locked instruction separates the two steps, so one of the two sees the other, and no wake-up is lost.
 * wake_up() wakes all waiters; each checks its condition again.
 *
 * Locks: wq->lock > run-queue lock. wq->lock is taken with interrupts off, so wake_up() works in
 * interrupt handlers.
 */
#include "kernel/task.h"

void __wait_queue_init(struct wait_queue *wq, u32 key)
{
	wq->lock = (spinlock_t){0, key};
	INIT_LIST_HEAD(&wq->waiters);
}

void prepare_to_wait(struct wait_queue *wq, struct wait_entry *we)
{
	unsigned long flags = spin_lock_irqsave(&wq->lock);

	we->task = current;
	we->func = NULL;
	WRITE_ONCE(we->task->wchan, NULL);
	list_add_tail(&we->node, &wq->waiters);
	WRITE_ONCE(we->task->state, TASK_SLEEPING);
	/* Unlocking is only a release barrier. The caller's check of its condition must not move before it. */
	spin_unlock_irqrestore(&wq->lock, flags);
	smp_mb();
}

void finish_wait(struct wait_queue *wq, struct wait_entry *we)
{
	unsigned long flags = spin_lock_irqsave(&wq->lock);

	WRITE_ONCE(current->state, TASK_RUNNING);
	list_del(&we->node);
	spin_unlock_irqrestore(&wq->lock, flags);
}

/* The queue's lock held. */
static void wake_all(struct wait_queue *wq)
{
	struct wait_entry *we;
	bool enough = false;

	list_for_each_entry (we, &wq->waiters, node) {
		if (likely(!we->func))
			wake_up_task(we->task);
		else if (!we->exclusive)
			we->func(we);
		else if (!enough)
			enough = we->func(we);
	}
}

void wake_up(struct wait_queue *wq)
{
	unsigned long flags;

	smp_mb();
	if (list_empty(&wq->waiters))
		return;
	flags = spin_lock_irqsave(&wq->lock);
	wake_all(wq);
	spin_unlock_irqrestore(&wq->lock, flags);
}

void wake_up_nested(struct wait_queue *wq)
{
	unsigned long flags;

	smp_mb();
	if (list_empty(&wq->waiters))
		return;
	flags = arch_irq_save();
	spin_lock_nested(&wq->lock);
	wake_all(wq);
	spin_unlock(&wq->lock);
	arch_irq_restore(flags);
}

/* For the lock-order checker, a mutex has the class of its wait queue's lock, marked as one that sleeps. The checker is
 * called before a thread waits, and again once the thread holds the lock. */
static inline void order_check(const void *lock, const struct wait_queue *wq, u32 how)
{
	if (static_key(KEY_LOCKDEP))
		arch_lockdep_acquire(lock, wq->lock.key, "sleeping lock",
				     LOCK_CHECK | LOCK_SLEEP | how);
}
static inline void order_hold(const void *lock, const struct wait_queue *wq, u32 how)
{
	if (static_key(KEY_LOCKDEP))
		arch_lockdep_acquire(lock, wq->lock.key, "sleeping lock",
				     LOCK_HOLD | LOCK_SLEEP | how);
}
static inline void order_release(const void *lock)
{
	if (static_key(KEY_LOCKDEP))
		arch_lockdep_release(lock);
}

/* Called after a locked instruction, which orders the change of the lock before the check of the queue. So the
 * barrier of wake_up() is not needed. */
static inline void wake_waiters(struct wait_queue *wq)
{
	if (unlikely(!list_empty(&wq->waiters)))
		wake_up(wq);
}

/* ---- mutex ---- */

void __mutex_init(struct mutex *m, u32 key)
{
	m->locked = 0;
	__wait_queue_init(&m->wq, key);
}

static bool mutex_take(struct mutex *m)
{
	return !atomic_xchg(&m->locked, 1);
}

bool mutex_trylock(struct mutex *m)
{
	bool taken = mutex_take(m);

	if (taken)
		order_hold(m, &m->wq, LOCK_TRY);
	return taken;
}

/* Waiting is a separate function, here and below, so that taking a free lock needs no stack frame. */
static __attribute__((noinline)) void mutex_wait(struct mutex *m)
{
	wait_event(&m->wq, mutex_take(m));
}

static inline void __mutex_lock(struct mutex *m, u32 how)
{
	order_check(m, &m->wq, how);
	if (unlikely(!mutex_take(m)))
		mutex_wait(m);
	order_hold(m, &m->wq, how);
}

void mutex_lock(struct mutex *m)
{
	__mutex_lock(m, 0);
}

void mutex_lock_nested(struct mutex *m)
{
	__mutex_lock(m, LOCK_NESTED);
}

void mutex_unlock(struct mutex *m)
{
	order_release(m);
	if (unlikely(!__atomic_exchange_n(&m->locked, 0, __ATOMIC_SEQ_CST)))
		panic("mutex unlocked twice");
	wake_waiters(&m->wq);
}

/* ---- reader-writer semaphore ---- */

void __init_rwsem(struct rw_semaphore *s, u32 key)
{
	s->count = 0;
	__wait_queue_init(&s->wq, key);
}

static bool read_take(struct rw_semaphore *s)
{
	s32 c = atomic_load(&s->count);

	while (c >= 0) {
		s32 seen = atomic_cmpxchg(&s->count, c, c + 1);

		if (seen == c)
			return true;
		c = seen;
	}
	return false;
}

static bool write_take(struct rw_semaphore *s)
{
	return atomic_cmpxchg(&s->count, 0, -1) == 0;
}

bool down_read_trylock(struct rw_semaphore *s)
{
	bool taken = read_take(s);

	if (taken)
		order_hold(s, &s->wq, LOCK_TRY | LOCK_READ);
	return taken;
}

static __attribute__((noinline)) void read_wait(struct rw_semaphore *s)
{
	wait_event(&s->wq, read_take(s));
}

void down_read(struct rw_semaphore *s)
{
	s32 c = atomic_load(&s->count);

	order_check(s, &s->wq, LOCK_READ);
	if (unlikely(c < 0 || atomic_cmpxchg(&s->count, c, c + 1) != c))
		read_wait(s);
	order_hold(s, &s->wq, LOCK_READ);
}

void up_read(struct rw_semaphore *s)
{
	s32 left;

	order_release(s);
	left = __atomic_sub_fetch(&s->count, 1, __ATOMIC_SEQ_CST);
	if (unlikely(left < 0))
		panic("rwsem released for reading, but not held");
	if (left == 0)
		wake_waiters(&s->wq);
}

static __attribute__((noinline)) void write_wait(struct rw_semaphore *s)
{
	wait_event(&s->wq, write_take(s));
}

static inline void __down_write(struct rw_semaphore *s, u32 how)
{
	order_check(s, &s->wq, how);
	if (unlikely(!write_take(s)))
		write_wait(s);
	order_hold(s, &s->wq, how);
}

void down_write(struct rw_semaphore *s)
{
	__down_write(s, 0);
}

void down_write_nested(struct rw_semaphore *s)
{
	__down_write(s, LOCK_NESTED);
}

void up_write(struct rw_semaphore *s)
{
	order_release(s);
	if (unlikely(__atomic_exchange_n(&s->count, 0, __ATOMIC_SEQ_CST) != -1))
		panic("rwsem released for writing, but not held");
	wake_waiters(&s->wq);
}
