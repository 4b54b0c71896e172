/*
 * System V semaphores: sets, and operations on them. semget(2), semop(2), semtimedop(2). sem.h has the picture.
 *
 * The operations of a call are done all at once or not at all. They are tried under the lock of all sets. A task whose
 * operations cannot be done sleeps until the set changes, and tries again.
 */
#include "fs/ipc/sem.h"
#include "arch/uaccess.h"
#include "kernel/process.h"
#include "kernel/time_calls.h"
#include "lib/string.h"
#include "lib/syscall.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/slab/slab.h"

#define SEM_UNDO  0x1000
#define SMALL_OPS 16u

int sysctl_sem[4] = {[SEMMSL] = 32000, [SEMMNS] = 1024000000, [SEMOPM] = 500, [SEMMNI] = 32000};
struct ipc_ids sem_ids = IPC_IDS_INIT(sem_ids);
int sems_used;

void *sem_get_zeroed(size_t size)
{
	void *p = size <= PAGE_SIZE ? kmalloc(size, GFP_KERNEL_ACCOUNT) : vmalloc(size);

	return p ? memset(p, 0, size) : NULL;
}

void sem_put_sized(void *p, size_t size)
{
	if (size <= PAGE_SIZE)
		kfree(p);
	else
		vfree(p);
}

static size_t set_size(int nr)
{
	return sizeof(struct sem_set) + nr * sizeof(struct sem);
}

static size_t undo_size(int nr)
{
	return sizeof(struct sem_undo) + nr * sizeof(s16);
}

/* ---- sets: the lock held ----------------------------------------------------------------------- */

static void set_put(struct sem_set *s)
{
	if (!--s->refs)
		sem_put_sized(s, set_size(s->nr));
}

static struct ipc_perm *set_create(u64 nr, u32 flags)
{
	struct sem_set *s;

	if (!nr)
		return ERR_PTR(-EINVAL);
	if ((int)nr > sysctl_sem[SEMMNS] - sems_used)
		return ERR_PTR(-ENOSPC);
	s = sem_get_zeroed(set_size((int)nr));
	if (!s)
		return ERR_PTR(-ENOMEM);
	s->refs = 1;
	s->nr = (int)nr;
	s->ctime = ipc_now();
	wait_queue_init(&s->wq);
	INIT_LIST_HEAD(&s->sleepers);
	INIT_LIST_HEAD(&s->undos);
	sems_used += s->nr;
	return &s->perm;
}

static void set_discard(struct ipc_perm *perm)
{
	sems_used -= to_sem_set(perm)->nr;
	set_put(to_sem_set(perm));
}

static int set_check(const struct ipc_perm *perm, u64 nr)
{
	return (u64)container_of(perm, const struct sem_set, perm)->nr < nr ? -EINVAL : 0;
}

static void undo_free(struct sem_undo *u)
{
	list_del(&u->in_set);
	list_del(&u->in_process);
	sem_put_sized(u, undo_size(u->set->nr));
}

void sem_set_remove(struct sem_set *s)
{
	struct sem_undo *u, *next;

	ipc_remove(&sem_ids, &s->perm);
	sems_used -= s->nr;
	list_for_each_entry_safe (u, next, &s->undos, in_set)
		undo_free(u);
	s->removed = true;
	wake_up(&s->wq);
	set_put(s);
}

long sys_semget(struct pt_regs *r)
{
	static const struct ipc_kind kind = {&sem_ids, &sysctl_sem[SEMMNI], set_create, set_discard,
					     set_check};
	int nr = (int)r->rsi;

	if (nr < 0 || nr > sysctl_sem[SEMMSL])
		return -EINVAL;
	return ipc_get(&kind, (s32)r->rdi, (u64)nr, (u32)r->rdx);
}

/* ---- operations: the lock held ------------------------------------------------------------------ */

static struct sem_undo *find_undo(const struct sem_set *s, const struct process *p)
{
	struct sem_undo *u;

	list_for_each_entry (u, &s->undos, in_set) {
		if (u->process == p)
			return u;
	}
	return NULL;
}

/* Is the undo value within its limits after this operation? */
static bool adjust_fits(const struct sem_undo *u, const struct sembuf *op)
{
	int v = u->adjust[op->num] - op->op;

	return v >= -SEMVMX - 1 && v <= SEMVMX;
}

/* Undo the first n operations. */
static void take_back(struct sem_set *s, struct sem_undo *u, const struct sembuf *op, u32 n)
{
	while (n--) {
		s->sem[op[n].num].value -= op[n].op;
		if (op[n].flags & SEM_UNDO)
			u->adjust[op[n].num] += op[n].op;
	}
}

/* Do all operations or none. 0; 1: the task must wait because of operation *why; -ERANGE, -EAGAIN. */
static int try_ops(struct sem_set *s, struct sem_undo *u, const struct sembuf *op, u32 n,
		   struct sembuf *why)
{
	int err = 0;
	u32 i;

	for (i = 0; i < n; i++) {
		struct sem *sem = &s->sem[op[i].num];
		s32 v = sem->value + op[i].op;

		if ((!op[i].op && sem->value) || v < 0) {
			*why = op[i];
			err = op[i].flags & (s16)IPC_NOWAIT ? -EAGAIN : 1;
			break;
		}
		if (v > SEMVMX || (op[i].flags & SEM_UNDO && !adjust_fits(u, &op[i]))) {
			err = -ERANGE;
			break;
		}
		sem->value = v;
		if (op[i].flags & SEM_UNDO)
			u->adjust[op[i].num] -= op[i].op;
	}
	if (err) {
		take_back(s, u, op, i);
		return err;
	}
	for (i = 0; i < n; i++)
		s->sem[op[i].num].pid = current_process()->pid;
	s->otime = ipc_now();
	return 0;
}

/* ---- the call ---------------------------------------------------------------------------------- */

/** One semop(2). */
struct request {
	struct sembuf small[SMALL_OPS], *op;
	u32 nr;
	int highest;
	bool alters, undoes;
	u64 until;
};

static long request_get(struct request *q, unsigned long user, u64 nr)
{
	*q = (struct request){.op = q->small, .nr = (u32)nr, .until = TIME_FOREVER};
	if (!nr)
		return -EINVAL;
	if (nr > (u64)sysctl_sem[SEMOPM])
		return -E2BIG;
	if (nr > SMALL_OPS) {
		q->op = vmalloc(nr * sizeof(*q->op));
		if (!q->op)
			return -ENOMEM;
	}
	if (copy_from_user(q->op, user, nr * sizeof(*q->op)))
		return -EFAULT;
	for (u32 i = 0; i < nr; i++) {
		q->highest = max(q->highest, (int)q->op[i].num);
		q->alters |= q->op[i].op != 0;
		q->undoes |= (q->op[i].flags & SEM_UNDO) != 0;
	}
	return 0;
}

static void request_put(struct request *q)
{
	if (q->op != q->small)
		vfree(q->op);
}

/* Find the set and the process's undo, and check whether the request is allowed. The lock is held. */
static long find_set(int id, const struct request *q, struct sem_set **set, struct sem_undo **undo)
{
	struct ipc_perm *perm = ipc_find(&sem_ids, id);
	struct sem_undo *u;
	struct sem_set *s;
	int err;

	if (IS_ERR(perm))
		return PTR_ERR(perm);
	s = to_sem_set(perm);
	if (q->highest >= s->nr)
		return -EFBIG;
	err = ipc_permission(perm, q->alters ? 0222 : 0444);
	if (err)
		return err;
	*set = s;
	*undo = NULL;
	if (!q->undoes)
		return 0;
	u = find_undo(s, current_process());
	if (!u) {
		struct process *p = current_process();

		u = sem_get_zeroed(undo_size(s->nr));
		if (!u)
			return -ENOMEM;
		u->set = s;
		u->process = p;
		list_add_tail(&u->in_set, &s->undos);
		if (!p->sem_undos.next)
			INIT_LIST_HEAD(&p->sem_undos);
		list_add_tail(&u->in_process, &p->sem_undos);
	}
	*undo = u;
	return 0;
}

/* Sleep until the set changes. 0, -EIDRM, -EINTR, -EAGAIN. The lock is held on entry and on return. */
static long sleep_for(struct sem_set *s, const struct sembuf *why, u64 until)
{
	struct sem_sleeper me = {.why = *why};
	struct wait_entry we;
	u64 now = ktime_ns();
	long ret = 0;

	if (now >= until)
		return -EAGAIN;
	s->refs++;
	list_add_tail(&me.node, &s->sleepers);
	prepare_to_wait(&s->wq, &we);
	waits_here();
	mutex_unlock(&sem_ids.lock);
	if (signal_pending())
		ret = -EINTR;
	else if (until == TIME_FOREVER)
		schedule();
	else
		schedule_timeout(until - now);
	finish_wait(&s->wq, &we);
	mutex_lock(&sem_ids.lock);
	list_del(&me.node);
	if (s->removed)
		ret = -EIDRM;
	set_put(s);
	return ret;
}

static long do_semop(int id, struct request *q)
{
	struct sembuf why;
	struct sem_undo *u;
	struct sem_set *s;
	long ret;

	mutex_lock(&sem_ids.lock);
	ret = find_set(id, q, &s, &u);
	while (!ret) {
		ret = try_ops(s, u, q->op, q->nr, &why);
		if (!ret && q->alters)
			wake_up(&s->wq);
		if (ret != 1)
			break;
		ret = sleep_for(s, &why, q->until);
		/* Removal of the set has freed the undo as well; SETVAL may have cleared it. */
	}
	mutex_unlock(&sem_ids.lock);
	return ret;
}

static long semop(struct pt_regs *r, unsigned long timeout)
{
	struct request q;
	long ret;
	u64 ns;

	if ((int)r->rdi < 0)
		return -EINVAL;
	ret = request_get(&q, r->rsi, (u32)r->rdx);
	if (!ret && timeout) {
		ret = get_user_time(timeout, TIMESPEC, &ns);
		q.until = ret ? 0 : deadline_after(ns);
	}
	if (!ret)
		ret = do_semop((int)r->rdi, &q);
	request_put(&q);
	return ret;
}

long sys_semop(struct pt_regs *r)
{
	return semop(r, 0);
}

long sys_semtimedop(struct pt_regs *r)
{
	return semop(r, r->r10);
}

void sem_exit(struct process *p)
{
	struct sem_undo *u, *next;

	if (likely(!p->sem_undos.next))
		return;
	mutex_lock(&sem_ids.lock);
	list_for_each_entry_safe (u, next, &p->sem_undos, in_process) {
		struct sem_set *s = u->set;

		for (int i = 0; i < s->nr; i++) {
			s32 v = s->sem[i].value + u->adjust[i];

			if (!u->adjust[i])
				continue;
			s->sem[i].value = v < 0 ? 0 : min(v, SEMVMX);
			s->sem[i].pid = p->pid;
		}
		s->otime = ipc_now();
		undo_free(u);
		wake_up(&s->wq);
	}
	mutex_unlock(&sem_ids.lock);
}
