/*
 * System V semaphores: semctl(2) and /proc/sysvipc/sem.
 */
#include "fs/ipc/sem.h"
#include "arch/uaccess.h"
#include "kernel/process.h"
#include "lib/syscall.h"

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
		const struct sem_set *s = to_sem_set(perm);

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

/* Number of tasks that wait for the semaphore to grow (GETNCNT) or to become zero (GETZCNT). The lock is held. */
static long count_sleepers(const struct sem_set *s, int num, int cmd)
{
	const struct sem_sleeper *w;
	long n = 0;

	list_for_each_entry (w, &s->sleepers, node)
		n += w->why.num == num && !w->why.op == (cmd == GETZCNT);
	return n;
}

/* Clear the undo values of this semaphore. The lock is held. */
static void forget_undos(struct sem_set *s, int num)
{
	struct sem_undo *u;

	list_for_each_entry (u, &s->undos, in_set)
		u->adjust[num] = 0;
}

static void set_value(struct sem_set *s, int num, s32 value)
{
	s->sem[num].value = value;
	s->sem[num].pid = current_process()->pid;
	forget_undos(s, num);
}

/* Commands about one semaphore. The lock is held. */
static long one(struct sem_set *s, int num, int cmd, s32 value)
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
	case GETZCNT:
		return count_sleepers(s, num, cmd);
	}
	set_value(s, num, value);
	s->ctime = ipc_now();
	wake_up(&s->wq);
	return 0;
}

/* Read or set all values of the set (GETALL, SETALL). `values` has room for `room` of them. The lock is held. */
static long all(struct sem_set *s, int cmd, u16 *values, int room)
{
	int err = ipc_permission(&s->perm, cmd == SETALL ? 0222 : 0444);

	if (err)
		return err;
	if (room < s->nr)
		return -EAGAIN; /* the set was replaced meanwhile */
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

/* Number of semaphores in the set, or -errno if the caller may not access it. The lock is held. */
static long size_of(int id, int cmd)
{
	struct ipc_perm *perm = ipc_find(&sem_ids, id);
	int err = IS_ERR(perm) ? (int)PTR_ERR(perm)
			       : ipc_permission(perm, cmd == SETALL ? 0222 : 0444);

	return err ? err : to_sem_set(perm)->nr;
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
	values = sem_get_zeroed(size);
	if (!values)
		return -ENOMEM;
	ret = cmd == SETALL && copy_from_user(values, user, size) ? -EFAULT : 0;
	if (!ret) {
		mutex_lock(&sem_ids.lock);
		perm = ipc_find(&sem_ids, id);
		ret = IS_ERR(perm) ? -EIDRM : all(to_sem_set(perm), cmd, values, (int)nr);
		mutex_unlock(&sem_ids.lock);
	}
	if (ret >= 0)
		ret = cmd == GETALL && copy_to_user(user, values, size) ? -EFAULT : 0;
	sem_put_sized(values, size);
	return ret;
}

static long change(struct sem_set *s, int cmd, const struct semid64_ds *in)
{
	long err = ipc_may_change(&s->perm);

	if (err)
		return err;
	if (cmd == IPC_RMID) {
		sem_set_remove(s);
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
	      : cmd == IPC_SET || cmd == IPC_RMID ? change(to_sem_set(perm), cmd, &in)
						  : one(to_sem_set(perm), num, cmd, value);
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
			      p->id, p->mode, (unsigned long)to_sem_set(p)->nr, p->uid, p->gid,
			      p->cuid, p->cgid, (unsigned long)to_sem_set(p)->otime,
			      (unsigned long)to_sem_set(p)->ctime);
	}
	mutex_unlock(&sem_ids.lock);
}
