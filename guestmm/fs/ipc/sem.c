/*
 * System V semaphores. semget(2), semop(2), semctl(2).
 *
 * A call's operations are done all at once or not at all: they are tried under the lock of all sets, and
 * who cannot go on sleeps until a set changes, and tries again.
 *
 *   set ── sem[0..n)                              process ── undo ── undo
 *    └── undos ── undo: what one process owes to this set ──┘
 *
 * I1  A set lives while it has an identifier or somebody sleeps for it (refs).
 * I2  An undo is in the lists of its set and of its process; the set's removal takes it out of both.
 *
 * Locks: sem_ids.lock for everything.
 */
#include "fs/ipc/ipc.h"
#include "arch/uaccess.h"
#include "kernel/process.h"
#include "kernel/time_calls.h"
#include "lib/string.h"
#include "lib/syscall.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/slab/slab.h"

#define SEMVMX	     32767
#define SEM_UNDO     0x1000
#define GETPID	     11
#define GETVAL	     12
#define GETALL	     13
#define GETNCNT	     14
#define GETZCNT	     15
#define SETVAL	     16
#define SETALL	     17
#define SEM_STAT     18
#define SEM_INFO     19
#define SEM_STAT_ANY 20
#define SMALL_OPS    16u
typedef short s16;

enum { SEMMSL, SEMMNS, SEMOPM, SEMMNI };
int sysctl_sem[4] = {[SEMMSL] = 32000, [SEMMNS] = 1024000000, [SEMOPM] = 500, [SEMMNI] = 32000};

struct sembuf {
	u16 num;
	s16 op, flags;
};

struct sem {
	s32 value;
	int pid; /* who has changed it last */
};

struct set {
	struct ipc_perm perm;
	s32 refs; /* I1 */
	bool removed;
	int nr;
	s64 otime, ctime;
	struct wait_queue wq;
	struct list_head sleepers, undos;
	struct sem sem[];
};

struct undo {
	struct list_head in_set, in_process;
	struct set *set;
	struct process *process;
	s16 adjust[]; /* added at the end of the process: one a semaphore */
};

struct sleeper {
	struct list_head node;
	struct sembuf why; /* the operation it waits for */
};

static struct ipc_ids sem_ids = IPC_IDS_INIT(sem_ids);
static int sems_used; /* sem_ids.lock: in all sets */

static struct set *to_set(struct ipc_perm *perm)
{
	return container_of(perm, struct set, perm);
}

/* Memory of any size. */
static void *get_zeroed(size_t size)
{
	void *p = size <= PAGE_SIZE ? kmalloc(size, GFP_KERNEL_ACCOUNT) : vmalloc(size);

	return p ? memset(p, 0, size) : NULL;
}

static void put_sized(void *p, size_t size)
{
	if (size <= PAGE_SIZE)
		kfree(p);
	else
		vfree(p);
}

static size_t set_size(int nr)
{
	return sizeof(struct set) + nr * sizeof(struct sem);
}

static size_t undo_size(int nr)
{
	return sizeof(struct undo) + nr * sizeof(s16);
}

/* ---- sets: the lock held ----------------------------------------------------------------------- */

static void set_put(struct set *s)
{
	if (!--s->refs)
		put_sized(s, set_size(s->nr));
}

static struct ipc_perm *set_create(u64 nr, u32 flags)
{
	struct set *s;

	if (!nr)
		return ERR_PTR(-EINVAL);
	if ((int)nr > sysctl_sem[SEMMNS] - sems_used)
		return ERR_PTR(-ENOSPC);
	s = get_zeroed(set_size((int)nr));
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
	sems_used -= to_set(perm)->nr;
	set_put(to_set(perm));
}

static int set_check(const struct ipc_perm *perm, u64 nr)
{
	return (u64)container_of(perm, const struct set, perm)->nr < nr ? -EINVAL : 0;
}

static void undo_free(struct undo *u)
{
	list_del(&u->in_set);
	list_del(&u->in_process);
	put_sized(u, undo_size(u->set->nr));
}

static void set_remove(struct set *s)
{
	struct undo *u, *next;

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

static struct undo *find_undo(const struct set *s, const struct process *p)
{
	struct undo *u;

	list_for_each_entry (u, &s->undos, in_set) {
		if (u->process == p)
			return u;
	}
	return NULL;
}

/* May the undo's number become so? */
static bool adjust_fits(const struct undo *u, const struct sembuf *op)
{
	int v = u->adjust[op->num] - op->op;

	return v >= -SEMVMX - 1 && v <= SEMVMX;
}

/* Undo the first n operations. */
static void take_back(struct set *s, struct undo *u, const struct sembuf *op, u32 n)
{
	while (n--) {
		s->sem[op[n].num].value -= op[n].op;
		if (op[n].flags & SEM_UNDO)
			u->adjust[op[n].num] += op[n].op;
	}
}

/* All of them, or none: 0; 1: it has to wait, for *why; -ERANGE, -EAGAIN. */
static int try_ops(struct set *s, struct undo *u, const struct sembuf *op, u32 n,
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

/* The lock held: the set, if the request may be made, with what it is undone by. */
static long find_set(int id, const struct request *q, struct set **set, struct undo **undo)
{
	struct ipc_perm *perm = ipc_find(&sem_ids, id);
	struct undo *u;
	struct set *s;
	int err;

	if (IS_ERR(perm))
		return PTR_ERR(perm);
	s = to_set(perm);
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

		u = get_zeroed(undo_size(s->nr));
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

/* The lock held, and again on return: sleep until the set changes. 0, -EIDRM, -EINTR, -EAGAIN. */
static long sleep_for(struct set *s, const struct sembuf *why, u64 until)
{
	struct sleeper me = {.why = *why};
	struct wait_entry we;
	u64 now = ktime_ns();
	long ret = 0;

	if (now >= until)
		return -EAGAIN;
	s->refs++;
	list_add_tail(&me.node, &s->sleepers);
	prepare_to_wait(&s->wq, &we);
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
	struct undo *u;
	struct set *s;
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
		/* Who removed the set has freed the undo as well; SETVAL may have cleared it. */
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
		ret = get_user_time(timeout, false, &ns);
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
	struct undo *u, *next;

	if (likely(!p->sem_undos.next))
		return;
	mutex_lock(&sem_ids.lock);
	list_for_each_entry_safe (u, next, &p->sem_undos, in_process) {
		struct set *s = u->set;

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

/* ---- control ----------------------------------------------------------------------------------- */

struct semid64_ds {
	struct ipc64_perm perm;
	s64 otime;
	u64 unused1;
	s64 ctime;
	u64 unused2, nsems, unused3, unused4;
};
_Static_assert(sizeof(struct semid64_ds) == 104, "Linux's ABI");
struct seminfo {
	s32 semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem;
};

static long stat_out(unsigned long to, int id, int cmd)
{
	struct semid64_ds out = {0};
	struct ipc_perm *perm;
	long ret;

	mutex_lock(&sem_ids.lock);
	perm = cmd == IPC_STAT ? ipc_find(&sem_ids, id) : ipc_at(&sem_ids, id);
	ret = IS_ERR(perm) ? PTR_ERR(perm) : cmd == SEM_STAT_ANY ? 0 : ipc_permission(perm, 0444);
	if (!ret) {
		const struct set *s = to_set(perm);

		ipc_perm_out(&out.perm, perm);
		out.otime = s->otime;
		out.ctime = s->ctime;
		out.nsems = s->nr;
		ret = cmd == IPC_STAT ? 0 : perm->id;
	}
	mutex_unlock(&sem_ids.lock);
	if (ret >= 0 && copy_to_user(to, &out, sizeof(out)))
		return -EFAULT;
	return ret;
}

static long info_out(unsigned long to, int cmd)
{
	struct seminfo out = {.semmap = 1024000000,
			      .semmnu = 1024000000,
			      .semume = 500,
			      .semusz = 20,
			      .semvmx = SEMVMX,
			      .semaem = SEMVMX};
	int most;

	mutex_lock(&sem_ids.lock);
	out.semmni = sysctl_sem[SEMMNI];
	out.semmns = sysctl_sem[SEMMNS];
	out.semmsl = sysctl_sem[SEMMSL];
	out.semopm = sysctl_sem[SEMOPM];
	if (cmd == SEM_INFO) {
		out.semusz = sem_ids.in_use;
		out.semaem = sems_used;
	}
	most = ipc_max_index(&sem_ids);
	mutex_unlock(&sem_ids.lock);
	return copy_to_user(to, &out, sizeof(out)) ? -EFAULT : max(most, 0);
}

/* The lock held: who waits for it to grow, or to become zero? */
static long count_sleepers(const struct set *s, int num, bool for_zero)
{
	const struct sleeper *w;
	long n = 0;

	list_for_each_entry (w, &s->sleepers, node)
		n += w->why.num == num && !w->why.op == for_zero;
	return n;
}

/* The lock held: what was owed to this semaphore is forgotten. */
static void forget_undos(struct set *s, int num)
{
	struct undo *u;

	list_for_each_entry (u, &s->undos, in_set)
		u->adjust[num] = 0;
}

static void set_value(struct set *s, int num, s32 value)
{
	s->sem[num].value = value;
	s->sem[num].pid = current_process()->pid;
	forget_undos(s, num);
}

/* The lock held: commands about one semaphore. */
static long one(struct set *s, int num, int cmd, s32 value)
{
	int err;

	if (cmd == SETVAL && (num < 0 || num >= s->nr))
		return -EINVAL;
	err = ipc_permission(&s->perm, cmd == SETVAL ? 0222 : 0444);
	if (err)
		return err;
	if (num < 0 || num >= s->nr)
		return -EINVAL;
	switch (cmd) {
	case GETPID:
		return s->sem[num].pid;
	case GETVAL:
		return s->sem[num].value;
	case GETNCNT:
		return count_sleepers(s, num, false);
	case GETZCNT:
		return count_sleepers(s, num, true);
	}
	set_value(s, num, value);
	s->ctime = ipc_now();
	wake_up(&s->wq);
	return 0;
}

/* The lock held: all values out of the set, or into it. `values` has `room` of them. */
static long all(struct set *s, int cmd, u16 *values, int room)
{
	int err = ipc_permission(&s->perm, cmd == SETALL ? 0222 : 0444);

	if (err)
		return err;
	if (room < s->nr)
		return -EAGAIN; /* another set of that identifier */
	for (int i = 0; i < s->nr && cmd == SETALL; i++) {
		if (values[i] > SEMVMX)
			return -ERANGE;
	}
	for (int i = 0; i < s->nr; i++) {
		if (cmd == SETALL)
			set_value(s, i, values[i]);
		else
			values[i] = (u16)s->sem[i].value;
	}
	if (cmd == SETALL) {
		s->ctime = ipc_now();
		wake_up(&s->wq);
	}
	return s->nr;
}

/* The lock held: number of semaphores, or why the caller may not see it. */
static long size_of(int id, int cmd)
{
	struct ipc_perm *perm = ipc_find(&sem_ids, id);
	int err = IS_ERR(perm) ? (int)PTR_ERR(perm)
			       : ipc_permission(perm, cmd == SETALL ? 0222 : 0444);

	return err ? err : to_set(perm)->nr;
}

static long get_or_set_all(int id, int cmd, unsigned long user)
{
	struct ipc_perm *perm;
	u16 *values;
	size_t size;
	long nr, ret;

	mutex_lock(&sem_ids.lock);
	nr = size_of(id, cmd);
	mutex_unlock(&sem_ids.lock);
	if (nr < 0)
		return nr;
	size = nr * sizeof(*values);
	values = get_zeroed(size);
	if (!values)
		return -ENOMEM;
	ret = cmd == SETALL && copy_from_user(values, user, size) ? -EFAULT : 0;
	if (!ret) {
		mutex_lock(&sem_ids.lock);
		perm = ipc_find(&sem_ids, id);
		ret = IS_ERR(perm) ? -EIDRM : all(to_set(perm), cmd, values, (int)nr);
		mutex_unlock(&sem_ids.lock);
	}
	if (ret >= 0)
		ret = cmd == GETALL && copy_to_user(user, values, size) ? -EFAULT : 0;
	put_sized(values, size);
	return ret;
}

static long change(struct set *s, int cmd, const struct semid64_ds *in)
{
	long err = ipc_may_change(&s->perm);

	if (err)
		return err;
	if (cmd == IPC_RMID) {
		set_remove(s);
		return 0;
	}
	err = ipc_perm_set(&s->perm, &in->perm);
	if (!err)
		s->ctime = ipc_now();
	return err;
}

long sys_semctl(struct pt_regs *r)
{
	int id = (int)r->rdi, num = (int)r->rsi, cmd = (int)r->rdx;
	s32 value = (s32)r->r10;
	struct semid64_ds in;
	struct ipc_perm *perm;
	long ret;

	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case SEM_INFO:
		return info_out(r->r10, cmd);
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY:
		return stat_out(r->r10, id, cmd);
	case GETALL:
	case SETALL:
		return get_or_set_all(id, cmd, r->r10);
	case IPC_SET:
		if (copy_from_user(&in, r->r10, sizeof(in)))
			return -EFAULT;
		break;
	case SETVAL:
		if (value < 0 || value > SEMVMX)
			return -ERANGE;
		break;
	case IPC_RMID:
	case GETPID:
	case GETVAL:
	case GETNCNT:
	case GETZCNT:
		break;
	default:
		return -EINVAL;
	}
	mutex_lock(&sem_ids.lock);
	perm = ipc_find(&sem_ids, id);
	ret = IS_ERR(perm)			  ? PTR_ERR(perm)
	      : cmd == IPC_SET || cmd == IPC_RMID ? change(to_set(perm), cmd, &in)
						  : one(to_set(perm), num, cmd, value);
	mutex_unlock(&sem_ids.lock);
	return ret;
}

void report_sysvipc_sem(struct report *r)
{
	report_printf(
		r, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      "
		   "ctime\n");
	mutex_lock(&sem_ids.lock);
	for (int i = 0; i <= ipc_max_index(&sem_ids); i++) {
		struct ipc_perm *p = ipc_at(&sem_ids, i);

		if (IS_ERR(p))
			continue;
		report_printf(r, "%10d %10d  %4o %10lu %5u %5u %5u %5u %10lu %10lu\n", p->key,
			      p->id, p->mode, (unsigned long)to_set(p)->nr, p->uid, p->gid, p->cuid,
			      p->cgid, (unsigned long)to_set(p)->otime,
			      (unsigned long)to_set(p)->ctime);
	}
	mutex_unlock(&sem_ids.lock);
}
