/*
 * poll and select.
 *
 *   check all ── none ready ──> enter all queues ──> check again ──> sleep ──> leave the queues
 *        └ ready: return                                 └ ready: leave, return
 *
 * Both calls use a list of (descriptor, wanted, got). A file without a wait queue cannot wake the caller,
 * so it is checked again every RECHECK_NS.
 *
 * I1  Every file is checked once more between entering the queues and sleeping, so no wake-up is lost.
 * I2  Each file has a reference from the first check to the end, because another thread may close its
 *     descriptor.
 */
#include "fs/poll.h"
#include "kernel/psi.h"
#include "kernel/time_calls.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/kvirt/vmalloc.h"

#define RECHECK_NS  (10 * 1000 * 1000ull)
#define SIGSET_SIZE 8
#define FD_WORDS    (MAX_FDS / 64)
#define ALWAYS	    (POLLERR | POLLHUP)
/* The POLL* bits that select(2) calls readable, writable, exceptional. */
#define SELECT_IN  (POLLIN | POLLRDNORM | POLLHUP | POLLERR)
#define SELECT_OUT (POLLOUT | POLLWRNORM | POLLERR)
#define SELECT_EX  POLLPRI

struct pollfd {
	s32 fd;
	u16 events, revents;
};

struct poll_entry {
	struct file *file; /* NULL: descriptor is not open, or below 0 */
	struct wait_entry we;
	struct wait_queue *wq; /* NULL: not queued */
	u32 wanted, got;
};

struct poll_set {
	struct poll_entry *entry;
	u32 nr;
};

static u32 file_poll(struct file *f, struct wait_queue **wq)
{
	if (!f->ops->poll)
		return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
	return f->ops->poll(f, wq);
}

enum queueing { LOOK_ONLY, LOOK_AND_QUEUE };

/* Check all files. Returns how many are ready. LOOK_AND_QUEUE: also enter the wait queue of each. */
static u32 look_at_all(struct poll_set *s, enum queueing queueing, bool *recheck)
{
	u32 ready = 0;

	for (u32 i = 0; i < s->nr; i++) {
		struct poll_entry *e = &s->entry[i];
		struct wait_queue *wq = NULL;

		if (!e->file) {
			ready += e->got != 0; /* POLLNVAL */
			continue;
		}
		if (queueing == LOOK_AND_QUEUE) {
			file_poll(e->file, &wq);
			e->wq = wq;
			if (wq)
				prepare_to_wait(wq, &e->we);
			else
				*recheck = true;
		}
		e->got = file_poll(e->file, &wq) & (e->wanted | ALWAYS);
		ready += e->got != 0;
	}
	return ready;
}

static void leave_queues(struct poll_set *s)
{
	for (u32 i = 0; i < s->nr; i++) {
		if (s->entry[i].wq)
			finish_wait(s->entry[i].wq, &s->entry[i].we);
		s->entry[i].wq = NULL;
	}
}

/* Wait until one is ready, `until`, or a signal. Returns how many are ready, or -EINTR. */
static long wait_for_any(struct poll_set *s, u64 until)
{
	for (;;) {
		struct wait_queue own = WAIT_QUEUE_INIT(own);
		struct wait_entry we;
		bool recheck = false;
		u64 now, limit = until;
		u32 ready = look_at_all(s, LOOK_ONLY, &recheck);

		if (ready)
			return ready;
		if (signal_pending())
			return -EINTR;
		now = ktime_ns();
		if (now >= until)
			return 0;
		/* A queue of our own, so that the state is set to sleeping even if there is no file. */
		prepare_to_wait(&own, &we);
		ready = look_at_all(s, LOOK_AND_QUEUE, &recheck);
		waits_here();
		if (!ready && !signal_pending()) {
			if (recheck)
				limit = min(until, now + RECHECK_NS);
			if (limit == TIME_FOREVER)
				schedule();
			else
				schedule_timeout(limit - now);
		}
		leave_queues(s);
		finish_wait(&own, &we);
	}
}

static int poll_set_alloc(struct poll_set *s, u32 nr)
{
	s->nr = nr;
	s->entry = nr ? vmalloc(nr * sizeof(*s->entry)) : NULL;
	if (nr && !s->entry)
		return -ENOMEM;
	memset(s->entry, 0, nr * sizeof(*s->entry));
	return 0;
}

static void poll_set_free(struct poll_set *s)
{
	for (u32 i = 0; i < s->nr; i++) {
		if (s->entry[i].file)
			file_put(s->entry[i].file);
	}
	if (s->entry)
		vfree(s->entry);
}

/* ---- the signal mask that ppoll and pselect put in place for the time of the wait ---- */

long mask_begin(unsigned long mask, u64 size)
{
	struct task *t = current;
	u64 set;

	if (!mask)
		return 0;
	if (size != SIGSET_SIZE)
		return -EINVAL;
	if (copy_from_user(&set, mask, sizeof(set)))
		return -EFAULT;
	t->sig_saved = t->sig_blocked;
	set_blocked(set);
	return 0;
}

/* A signal that ended the wait is delivered under the mask of the wait; the old mask is restored from the signal's
 * frame. */
void mask_end(unsigned long mask, long ret)
{
	struct task *t = current;

	if (!mask)
		return;
	if (ret == -EINTR)
		t->sig_restore = true;
	else
		set_blocked(t->sig_saved);
}

/* ---- poll ---- */

static long do_poll(unsigned long user, u64 nr, u64 until)
{
	struct poll_set s;
	struct pollfd p;
	long ret;
	u32 i;

	if (nr > MAX_FDS)
		return -EINVAL;
	if (poll_set_alloc(&s, nr))
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		ret = -EFAULT;
		if (copy_from_user(&p, user + i * sizeof(p), sizeof(p)))
			goto out;
		if (p.fd < 0)
			continue;
		s.entry[i].file = fd_get(p.fd);
		s.entry[i].wanted = p.events;
		if (!s.entry[i].file)
			s.entry[i].got = POLLNVAL;
	}
	ret = wait_for_any(&s, until);
	for (i = 0; i < nr; i++) {
		u16 got = s.entry[i].got;

		/* As in Linux, also if a signal ended the wait. */
		if (copy_to_user(user + i * sizeof(p) + offsetof(struct pollfd, revents), &got,
				 sizeof(got)))
			ret = -EFAULT;
	}
out:
	poll_set_free(&s);
	return ret;
}

long sys_poll(struct pt_regs *r)
{
	s32 ms = (s32)r->rdx;
	u64 until = ms < 0 ? TIME_FOREVER : deadline_after(ms * 1000000ull);

	return do_poll(r->rdi, (u32)r->rsi, until);
}

static int user_deadline(unsigned long addr, enum time_form form, u64 *until)
{
	u64 ns;
	int err;

	*until = TIME_FOREVER;
	if (!addr)
		return 0;
	err = get_user_time(addr, form, &ns);
	if (!err)
		*until = deadline_after(ns);
	return err;
}

/* As in Linux, select(2) and ppoll(2) write the remaining time back. */
static void put_remaining(unsigned long addr, enum time_form form, u64 until)
{
	u64 now = ktime_ns();

	if (addr && until != TIME_FOREVER)
		put_user_time(addr, form, until > now ? until - now : 0);
}

long sys_ppoll(struct pt_regs *r)
{
	u64 until;
	long ret = user_deadline(r->rdx, TIMESPEC, &until);

	if (!ret)
		ret = mask_begin(r->r10, r->r8);
	if (ret)
		return ret;
	ret = do_poll(r->rdi, (u32)r->rsi, until);
	mask_end(r->r10, ret);
	put_remaining(r->rdx, TIMESPEC, until);
	return ret;
}

/* ---- select ---- */

struct fd_sets {
	u64 in[FD_WORDS], out[FD_WORDS], ex[FD_WORDS];
};

static int get_fd_set(u64 *set, unsigned long user, u32 n)
{
	memset(set, 0, FD_WORDS * 8);
	return user && copy_from_user(set, user, (n + 63) / 64 * 8) ? -EFAULT : 0;
}

static int put_fd_set(const u64 *set, unsigned long user, u32 n)
{
	return user && copy_to_user(user, set, (n + 63) / 64 * 8) ? -EFAULT : 0;
}

static bool in_set(const u64 *set, u32 fd)
{
	return set[fd / 64] >> fd % 64 & 1;
}

static u32 put_in_set(u64 *set, u32 fd, bool on)
{
	set[fd / 64] &= ~(1ull << fd % 64);
	set[fd / 64] |= (u64)on << fd % 64;
	return on;
}

/* Make a list of the descriptors in the sets. All must be open. */
static int select_files(struct poll_set *s, const struct fd_sets *sets, u32 n)
{
	for (u32 fd = 0; fd < n; fd++) {
		struct poll_entry *e = &s->entry[fd];

		e->wanted = (in_set(sets->in, fd) ? SELECT_IN : 0) |
			    (in_set(sets->out, fd) ? SELECT_OUT : 0) |
			    (in_set(sets->ex, fd) ? SELECT_EX : 0);
		if (!e->wanted)
			continue;
		e->file = fd_get(fd);
		if (!e->file)
			return -EBADF;
	}
	return 0;
}

static long do_select(struct pt_regs *r, u64 until)
{
	struct fd_sets sets;
	struct poll_set s;
	long ret;
	u32 n;

	if ((s32)r->rdi < 0)
		return -EINVAL;
	n = min((u32)r->rdi, MAX_FDS);
	if (get_fd_set(sets.in, r->rsi, n) || get_fd_set(sets.out, r->rdx, n) ||
	    get_fd_set(sets.ex, r->r10, n))
		return -EFAULT;
	if (poll_set_alloc(&s, n))
		return -ENOMEM;
	ret = select_files(&s, &sets, n);
	if (!ret)
		ret = wait_for_any(&s, until);
	if (ret >= 0) {
		ret = 0;
		for (u32 fd = 0; fd < n; fd++) {
			u32 got = s.entry[fd].got;

			ret += put_in_set(sets.in, fd, in_set(sets.in, fd) && got & SELECT_IN);
			ret += put_in_set(sets.out, fd, in_set(sets.out, fd) && got & SELECT_OUT);
			ret += put_in_set(sets.ex, fd, in_set(sets.ex, fd) && got & SELECT_EX);
		}
		if (put_fd_set(sets.in, r->rsi, n) || put_fd_set(sets.out, r->rdx, n) ||
		    put_fd_set(sets.ex, r->r10, n))
			ret = -EFAULT;
	}
	poll_set_free(&s);
	return ret;
}

long sys_select(struct pt_regs *r)
{
	u64 until;
	long ret = user_deadline(r->r8, TIMEVAL, &until);

	if (ret)
		return ret;
	ret = do_select(r, until);
	put_remaining(r->r8, TIMEVAL, until);
	return ret;
}

long sys_pselect6(struct pt_regs *r)
{
	struct {
		u64 mask, size;
	} arg = {0, 0};
	u64 until;
	long ret = user_deadline(r->r8, TIMESPEC, &until);

	if (!ret && r->r9 && copy_from_user(&arg, r->r9, sizeof(arg)))
		ret = -EFAULT;
	if (!ret)
		ret = mask_begin(arg.mask, arg.size);
	if (ret)
		return ret;
	ret = do_select(r, until);
	mask_end(arg.mask, ret);
	put_remaining(r->r8, TIMESPEC, until);
	return ret;
}

u32 poll_pressure(struct psi_trigger *t, struct wait_queue **wq)
{
	u32 mask = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

	if (!t)
		return mask | POLLERR | POLLPRI;
	return psi_trigger_take_event(t, wq) ? mask | POLLPRI : mask;
}
