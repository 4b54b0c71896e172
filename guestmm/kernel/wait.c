/*
 * Wait queues and the sleeping locks made of them.
 *
 * A waiter puts itself on the queue and declares itself asleep (prepare_to_wait) before it looks at
 * its condition for the last time; a waker changes the condition before it looks at the queue. Both
 * steps are separated by a locked instruction on each side, so one of the two sees the other and no
 * wake-up is lost. wake_up() wakes everybody; each looks again.
 *
 * Locks: wq->lock > run-queue lock. wq->lock is taken with interrupts off, so wake_up() works in
 * interrupt handlers.
 */
#include "kernel/task.h"

void wait_queue_init(struct wait_queue *wq)
{
	spin_lock_init(&wq->lock);
	INIT_LIST_HEAD(&wq->waiters);
}

void prepare_to_wait(struct wait_queue *wq, struct wait_entry *we)
{
	unsigned long flags = spin_lock_irqsave(&wq->lock);

	we->task = current;
	list_add_tail(&we->node, &wq->waiters);
	WRITE_ONCE(we->task->state, TASK_SLEEPING);
	/* Unlocking is only a release: the caller's look at its condition must not move up. */
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

void wake_up(struct wait_queue *wq)
{
	unsigned long flags;
	struct wait_entry *we;

	smp_mb();
	if (list_empty(&wq->waiters))
		return;
	flags = spin_lock_irqsave(&wq->lock);
	list_for_each_entry (we, &wq->waiters, node)
		wake_up_task(we->task);
	spin_unlock_irqrestore(&wq->lock, flags);
}

/* ---- mutex ---- */

void mutex_init(struct mutex *m)
{
	m->locked = 0;
	wait_queue_init(&m->wq);
}

bool mutex_trylock(struct mutex *m)
{
	return !atomic_xchg(&m->locked, 1);
}

void mutex_lock(struct mutex *m)
{
	if (likely(mutex_trylock(m)))
		return;
	wait_event(&m->wq, mutex_trylock(m));
}

void mutex_unlock(struct mutex *m)
{
	if (unlikely(!__atomic_exchange_n(&m->locked, 0, __ATOMIC_SEQ_CST)))
		panic("mutex unlocked twice");
	wake_up(&m->wq);
}

/* ---- reader-writer semaphore ---- */

void init_rwsem(struct rw_semaphore *s)
{
	s->count = 0;
	wait_queue_init(&s->wq);
}

bool down_read_trylock(struct rw_semaphore *s)
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

static bool down_write_trylock(struct rw_semaphore *s)
{
	return atomic_cmpxchg(&s->count, 0, -1) == 0;
}

void down_read(struct rw_semaphore *s)
{
	if (likely(down_read_trylock(s)))
		return;
	wait_event(&s->wq, down_read_trylock(s));
}

void up_read(struct rw_semaphore *s)
{
	s32 left = __atomic_sub_fetch(&s->count, 1, __ATOMIC_SEQ_CST);

	if (unlikely(left < 0))
		panic("rwsem released for reading, but not held");
	if (left == 0)
		wake_up(&s->wq);
}

void down_write(struct rw_semaphore *s)
{
	if (likely(down_write_trylock(s)))
		return;
	wait_event(&s->wq, down_write_trylock(s));
}

void up_write(struct rw_semaphore *s)
{
	if (unlikely(__atomic_exchange_n(&s->count, 0, __ATOMIC_SEQ_CST) != -1))
		panic("rwsem released for writing, but not held");
	wake_up(&s->wq);
}
