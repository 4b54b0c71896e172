/*
 * Ownership of the terminal. At most one session has it, and one group of the session is in the foreground and may
 * read. Processes of other groups get SIGTTIN, or SIGTTOU when they change settings (POSIX.1-2017, 11.1).
 *
 * Locks: task_list_lock (T below, interrupts off) protects the session and the group; it is never taken
 * inside tty.lock.
 */
#include "fs/tty_internal.h"
#include "arch/uaccess.h"
#include "kernel/fs_hooks.h"
#include "lib/errno.h"

static int session, foreground; /* T: 0 = none */

/* Signal each process of the group. T held. */
static void signal_all(int pgid, int sig, const struct siginfo_short *info)
{
	struct process *p;

	list_for_each_entry (p, &process_list, all) {
		if (p->pgid == pgid)
			signal_process(p, sig, info);
	}
}

static void signal_group(int pgid, int sig)
{
	struct siginfo_short info = {SI_KERNEL, 0, 0, 0};
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	if (pgid)
		signal_all(pgid, sig, &info);
	spin_unlock_irqrestore(&task_list_lock, flags);
}

void tty_signal_foreground(int sig)
{
	signal_group(READ_ONCE(foreground), sig);
}

void tty_adopt_session(struct process *p)
{
	if (!tty_is_terminal() || session)
		return;
	session = p->sid;
	foreground = p->pgid;
}

void tty_session_ends(struct process *p)
{
	struct siginfo_short info = {SI_KERNEL, 0, 0, 0};
	struct process *q;

	if (!session || p->pid != session)
		return;
	list_for_each_entry (q, &process_list, all) {
		if (q != p && foreground && q->pgid == foreground) {
			signal_process(q, SIGHUP, &info);
			signal_process(q, SIGCONT, &info);
		}
	}
	session = foreground = 0;
}

void tty_of_process(const struct process *p, u32 *tty_nr, int *tpgid)
{
	bool has = session && p->sid == session;

	*tty_nr = has ? tty_number() : 0;
	*tpgid = has ? foreground : -1;
}

bool tty_is_mine(void)
{
	return READ_ONCE(session) && current_process()->sid == READ_ONCE(session);
}

int tty_session(void)
{
	return READ_ONCE(session);
}

int tty_foreground(void)
{
	return READ_ONCE(foreground);
}

long tty_check_foreground(int sig)
{
	struct process *me = current_process();
	struct siginfo_short info = {SI_KERNEL, 0, 0, 0};
	unsigned long flags;
	bool deaf;
	long ret = 0;

	if (!tty_is_mine() || me->pgid == READ_ONCE(foreground))
		return 0;
	flags = spin_lock_irqsave(&task_list_lock);
	deaf = signal_action(me, sig).handler == SIG_IGN || current->sig_blocked & SIGBIT(sig);
	if (deaf && sig == SIGTTOU) {
		ret = 0;
	} else if (deaf || group_is_orphaned(me->pgid)) {
		ret = -EIO;
	} else {
		signal_all(me->pgid, sig, &info);
		ret = -ERESTARTSYS;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ret;
}

long tty_set_foreground(unsigned long arg)
{
	long ret = tty_is_mine() ? tty_check_foreground(SIGTTOU) : -ENOTTY;
	struct process *p;
	unsigned long flags;
	s32 pgid;

	if (ret)
		return ret;
	if (copy_from_user(&pgid, arg, sizeof(pgid)))
		return -EFAULT;
	if (pgid < 0)
		return -EINVAL;
	ret = -ESRCH;
	flags = spin_lock_irqsave(&task_list_lock);
	list_for_each_entry (p, &process_list, all) {
		if (p->pgid != pgid)
			continue;
		ret = p->sid == session ? 0 : -EPERM;
		break;
	}
	if (!ret)
		foreground = pgid;
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ret;
}

long tty_set_controlling(void)
{
	struct process *me = current_process();
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	long ret = 0;

	if (me->sid != me->pid || (session && session != me->sid)) {
		ret = -EPERM;
	} else if (!session) {
		session = me->sid;
		foreground = me->pgid;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ret;
}

long tty_give_up(void)
{
	struct process *me = current_process();
	unsigned long flags;

	if (!tty_is_mine())
		return -ENOTTY;
	flags = spin_lock_irqsave(&task_list_lock);
	tty_session_ends(me); /* does nothing unless the caller leads the session */
	spin_unlock_irqrestore(&task_list_lock, flags);
	return 0;
}
