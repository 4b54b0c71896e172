/*
 * System calls about process groups and sessions.
 *
 * Locks: task_list_lock for groups and sessions.
 */
#include "kernel/cred.h"
#include "kernel/process.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/ksm/ksm.h"
#include "mm/virt/mm.h"

/* T held. The process `pid`, 0 = the caller, or NULL. */
static struct process *process_or_self(int pid)
{
	return pid ? find_process(pid) : current_process();
}

enum group_kind { PROCESS_GROUP, SESSION };

static long get_group(int pid, enum group_kind kind)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p = process_or_self(pid);
	long ret = !p ? -ESRCH : kind == SESSION ? p->sid : p->pgid;

	spin_unlock_irqrestore(&task_list_lock, flags);
	return ret;
}

long sys_getpgid(struct pt_regs *r)
{
	return get_group((int)r->rdi, PROCESS_GROUP);
}

long sys_getpgrp(struct pt_regs *r)
{
	return get_group(0, PROCESS_GROUP);
}

long sys_getsid(struct pt_regs *r)
{
	return get_group((int)r->rdi, SESSION);
}

/* T held. */
static bool group_in_session(int pgid, int sid)
{
	struct process *p;

	list_for_each_entry (p, &process_list, all) {
		if (p->pgid == pgid && p->sid == sid)
			return true;
	}
	return false;
}

/* T held. */
static long set_group(struct process *p, int pgid)
{
	struct process *me = current_process();

	if (!p || (p != me && p->parent != me))
		return -ESRCH;
	if (p->sid == p->pid || p->sid != me->sid)
		return -EPERM; /* it leads its session, or is in another session */
	if (p != me && p->execed)
		return -EACCES;
	if (pgid != p->pid && !group_in_session(pgid, me->sid))
		return -EPERM;
	p->pgid = pgid;
	return 0;
}

long sys_setpgid(struct pt_regs *r)
{
	int pid = (int)r->rdi, pgid = (int)r->rsi;
	unsigned long flags;
	struct process *p;
	long ret;

	if (pgid < 0)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	p = process_or_self(pid);
	ret = set_group(p, pgid ? pgid : p ? p->pid : 0);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ret;
}

long sys_setsid(struct pt_regs *r)
{
	struct process *me = current_process(), *p;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	long ret = me->pid;

	list_for_each_entry (p, &process_list, all) {
		if (p->pgid == me->pid)
			ret = -EPERM; /* there is a group with its number already */
	}
	if (ret > 0)
		me->pgid = me->sid = me->pid;
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ret;
}

/* ---- names and other properties -------------------------------------------------------------- */

#define PR_SET_PDEATHSIG    1
#define PR_GET_PDEATHSIG    2
#define PR_GET_DUMPABLE	    3
#define PR_SET_DUMPABLE	    4
#define PR_GET_KEEPCAPS	    7
#define PR_SET_KEEPCAPS	    8
#define PR_CAPBSET_READ	    23
#define PR_CAPBSET_DROP	    24
#define PR_SET_NAME	    15
#define PR_GET_NAME	    16
#define PR_SET_MM	    35
#define PR_SET_NO_NEW_PRIVS 38
#define PR_GET_NO_NEW_PRIVS 39
#define PR_SET_THP_DISABLE  41
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#define PR_GET_THP_DISABLE  42

/* The prctl(2) options that change credentials. */
static long prctl_cred(struct pt_regs *r)
{
	const struct cred *old = current_cred();
	int op = (int)r->rdi;
	struct cred *c;

	if (op == PR_GET_KEEPCAPS)
		return old->keep_caps;
	if (op == PR_CAPBSET_READ)
		return r->rsi > CAP_LAST ? -EINVAL : (long)(old->bounding >> r->rsi & 1);
	if (op == PR_GET_NO_NEW_PRIVS)
		return r->rsi || r->rdx || r->r10 || r->r8 ? -EINVAL : old->no_new_privs;
	if (op == PR_SET_KEEPCAPS && r->rsi > 1)
		return -EINVAL;
	if (op == PR_SET_NO_NEW_PRIVS && (r->rsi != 1 || r->rdx || r->r10 || r->r8))
		return -EINVAL;
	if (op == PR_CAPBSET_DROP && !capable(CAP_SETPCAP))
		return -EPERM;
	if (op == PR_CAPBSET_DROP && r->rsi > CAP_LAST)
		return -EINVAL;
	c = cred_prepare();
	if (!c)
		return -ENOMEM;
	if (op == PR_SET_KEEPCAPS)
		c->keep_caps = r->rsi;
	else if (op == PR_SET_NO_NEW_PRIVS)
		c->no_new_privs = true;
	else
		c->bounding &= ~(1ull << r->rsi);
	cred_commit(c);
	return 0;
}

/* PR_SET_THP_DISABLE, PR_GET_THP_DISABLE. See also madvise_collapse(). */
static long prctl_thp(struct pt_regs *r)
{
	struct mm_struct *mm = current->mm;

	if (r->rdx || r->r10 || r->r8)
		return -EINVAL;
	if ((int)r->rdi == PR_GET_THP_DISABLE)
		return r->rsi ? -EINVAL : mm->thp_disabled;
	down_write(&mm->mmap_lock);
	WRITE_ONCE(mm->thp_disabled, r->rsi != 0);
	up_write(&mm->mmap_lock);
	return 0;
}

/* PR_SET_MEMORY_MERGE, PR_GET_MEMORY_MERGE. */
static long prctl_merge(struct pt_regs *r)
{
	struct mm_struct *mm = current->mm;

	if (r->rdx || r->r10 || r->r8)
		return -EINVAL;
	if ((int)r->rdi == PR_GET_MEMORY_MERGE)
		return r->rsi ? -EINVAL : READ_ONCE(mm->merge_any);
	return ksm_set_merge_any(mm, r->rsi != 0);
}

/* PR_SET_PDEATHSIG: a signal when the parent process ends. (In Linux: when the thread that forked ends.) */
static long prctl_pdeathsig(const struct pt_regs *r)
{
	struct process *p = current_process();
	int sig = READ_ONCE(p->pdeath_signal);
	unsigned long flags;

	if ((int)r->rdi == PR_GET_PDEATHSIG)
		return copy_to_user(r->rsi, &sig, sizeof(sig)) ? -EFAULT : 0;
	if (r->rsi > NR_SIGNALS)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	p->pdeath_signal = r->rsi;
	spin_unlock_irqrestore(&task_list_lock, flags);
	return 0;
}

long sys_prctl(struct pt_regs *r)
{
	struct task *t = current;
	char name[TASK_COMM_LEN];
	long len;

	switch ((int)r->rdi) {
	case PR_SET_NAME:
		len = strncpy_from_user(name, r->rsi, sizeof(name));
		if (len == -EFAULT)
			return len;
		name[sizeof(name) - 1] = 0;
		strscpy(t->comm, name, sizeof(t->comm));
		if (t->pid == t->proc->pid)
			memcpy(t->proc->comm, t->comm, sizeof(t->comm));
		return 0;
	case PR_GET_NAME:
		return copy_to_user(r->rsi, t->comm, sizeof(t->comm)) ? -EFAULT : 0;
	case PR_SET_PDEATHSIG:
	case PR_GET_PDEATHSIG:
		return prctl_pdeathsig(r);
	case PR_GET_DUMPABLE:
		return READ_ONCE(t->mm->dumpable);
	case PR_SET_DUMPABLE:
		if (r->rsi != MM_DUMP_DISABLE && r->rsi != MM_DUMP_USER)
			return -EINVAL;
		WRITE_ONCE(t->mm->dumpable, (u8)r->rsi);
		return 0;
	case PR_SET_MM:
		return prctl_set_mm(r);
	case PR_SET_THP_DISABLE:
	case PR_GET_THP_DISABLE:
		return prctl_thp(r);
	case PR_SET_MEMORY_MERGE:
	case PR_GET_MEMORY_MERGE:
		return prctl_merge(r);
	case PR_GET_KEEPCAPS:
	case PR_SET_KEEPCAPS:
	case PR_CAPBSET_READ:
	case PR_CAPBSET_DROP:
	case PR_GET_NO_NEW_PRIVS:
	case PR_SET_NO_NEW_PRIVS:
		return prctl_cred(r);
	}
	return -EINVAL;
}

/* Only ADDR_NO_RANDOMIZE has an effect here; the other bits are stored and returned. */
long sys_personality(struct pt_regs *r)
{
	struct process *p = current_process();
	u32 old = p->personality;

	if ((u32)r->rdi != 0xffffffff)
		p->personality = r->rdi;
	return old;
}
