/*
 * Options of sockets: setsockopt(2), getsockopt(2), as socket(7) and unix(7) have them.
 */
#include "fs/unix/unix.h"
#include "arch/uaccess.h"
#include "kernel/time_calls.h"
#include "lib/errno.h"
#include "lib/syscall.h"

#define SO_DEBUG      1
#define SO_REUSEADDR  2
#define SO_TYPE	      3
#define SO_ERROR      4
#define SO_SNDBUF     7
#define SO_RCVBUF     8
#define SO_KEEPALIVE  9
#define SO_PASSCRED   16
#define SO_PEERCRED   17
#define SO_RCVTIMEO   20
#define SO_SNDTIMEO   21
#define SO_ACCEPTCONN 30
#define SO_PROTOCOL   38
#define SO_DOMAIN     39
#define RCVBUF_LEAST  2304u /* SOCK_MIN_RCVBUF */

static long set_time(u64 *to, unsigned long user, u64 len)
{
	u64 ns;
	long err;

	if (len < sizeof(struct timeval))
		return -EINVAL;
	err = get_user_time(user, TIMEVAL, &ns);
	if (err)
		return err == -EINVAL ? -EDOM : err;
	WRITE_ONCE(*to, ns);
	return 0;
}

/* As Linux: twice the requested size, within bounds. */
static u32 buffer_size(s32 v, u32 least)
{
	u64 twice = 2 * (u64)(v < 0 ? UNIX_SNDBUF : min((u32)v, (u32)UNIX_SNDBUF));

	return (u32)max(twice, (u64)least);
}

static long set_option(struct unix_sock *s, int name, unsigned long user, u64 len)
{
	s32 v;

	if (name == SO_RCVTIMEO || name == SO_SNDTIMEO)
		return set_time(name == SO_RCVTIMEO ? &s->rcvtimeo : &s->sndtimeo, user, len);
	if (len < sizeof(v))
		return -EINVAL;
	if (copy_from_user(&v, user, sizeof(v)))
		return -EFAULT;
	switch (name) {
	case SO_PASSCRED:
		WRITE_ONCE(s->passcred, v != 0);
		return 0;
	case SO_REUSEADDR:
		s->reuse = v != 0;
		return 0;
	case SO_KEEPALIVE:
		s->keepalive = v != 0;
		return 0;
	case SO_SNDBUF:
		WRITE_ONCE(s->sndbuf, buffer_size(v, SNDBUF_LEAST));
		wake_up(&s->wq);
		return 0;
	case SO_RCVBUF:
		WRITE_ONCE(s->rcvbuf, buffer_size(v, RCVBUF_LEAST));
		return 0;
	case SO_TYPE:
	case SO_PROTOCOL:
	case SO_DOMAIN:
	case SO_ERROR:
		return -ENOPROTOOPT;
	}
	return -ENOPROTOOPT;
}

long sys_setsockopt(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s;
	long ret;

	if ((s32)r->r8 < 0)
		return -EINVAL;
	s = unix_get_socket(r->rdi, &f);
	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = (int)r->rsi == SOL_SOCKET ? set_option(s, (int)r->rdx, r->r10, r->r8) : -EOPNOTSUPP;
	file_put(f);
	return ret;
}

/* An option that is a number. */
static long option_value(struct unix_sock *s, int name, s32 *v)
{
	switch (name) {
	case SO_TYPE:
		*v = s->type;
		return 0;
	case SO_DOMAIN:
		*v = AF_UNIX;
		return 0;
	case SO_PROTOCOL:
	case SO_DEBUG:
		*v = 0;
		return 0;
	case SO_ERROR:
		spin_lock(&unix_lock);
		*v = s->error;
		s->error = 0;
		spin_unlock(&unix_lock);
		return 0;
	case SO_SNDBUF:
		*v = (s32)s->sndbuf;
		return 0;
	case SO_RCVBUF:
		*v = (s32)s->rcvbuf;
		return 0;
	case SO_PASSCRED:
		*v = s->passcred;
		return 0;
	case SO_REUSEADDR:
		*v = s->reuse;
		return 0;
	case SO_KEEPALIVE:
		*v = s->keepalive;
		return 0;
	case SO_ACCEPTCONN:
		*v = READ_ONCE(s->state) == UNIX_LISTEN;
		return 0;
	}
	return -ENOPROTOOPT;
}

static long get_option(struct unix_sock *s, int name, unsigned long to, unsigned long user_len)
{
	union {
		s32 number;
		struct unix_cred cred;
		struct timeval time;
	} v = {0};
	u32 size = sizeof(v.number);
	s32 len;
	u64 ns;
	long err;

	if (copy_from_user(&len, user_len, sizeof(len)))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	if (name == SO_PEERCRED) {
		size = sizeof(v.cred);
		spin_lock(&unix_lock);
		v.cred = s->cred;
		if (!v.cred.pid) /* no user or group */
			v.cred.uid = v.cred.gid = ~0u;
		spin_unlock(&unix_lock);
	} else if (name == SO_RCVTIMEO || name == SO_SNDTIMEO) {
		size = sizeof(v.time);
		ns = name == SO_RCVTIMEO ? s->rcvtimeo : s->sndtimeo;
		v.time =
			(struct timeval){(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000)};
	} else {
		err = option_value(s, name, &v.number);
		if (err)
			return err;
	}
	size = min(size, (u32)len);
	if (copy_to_user(to, &v, size) || copy_to_user(user_len, &size, sizeof(size)))
		return -EFAULT;
	return 0;
}

long sys_getsockopt(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s = unix_get_socket(r->rdi, &f);
	long ret;

	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = (int)r->rsi == SOL_SOCKET ? get_option(s, (int)r->rdx, r->r10, r->r8) : -EOPNOTSUPP;
	file_put(f);
	return ret;
}
