/*
 * The system calls of sockets: socket(2), bind(2), sendmsg(2) and so on. The only family is AF_UNIX; others
 * are -EAFNOSUPPORT, as in a Linux without networks.
 */
#include "fs/unix/unix.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "kernel/time_calls.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/syscall.h"

#define TYPE_MASK 0xfu

struct unix_sock *unix_get_socket(u32 fd, struct file **f)
{
	struct unix_sock *s;

	*f = fd_get(fd);
	if (!*f)
		return ERR_PTR(-EBADF);
	s = (*f)->flags & O_PATH ? NULL : unix_of(*f);
	if (s)
		return s;
	s = ERR_PTR((*f)->flags & O_PATH ? -EBADF : -ENOTSOCK);
	file_put(*f);
	return s;
}

/* Create a socket for the arguments of socket(2). Or ERR_PTR(-errno). */
static struct unix_sock *make_socket(int family, int type, int protocol)
{
	struct unix_sock *s;

	if (type & ~(int)(TYPE_MASK | O_CLOEXEC | O_NONBLOCK))
		return ERR_PTR(-EINVAL);
	type &= (int)TYPE_MASK;
	if (family < 0 || family >= 46)
		return ERR_PTR(-EAFNOSUPPORT);
	if (type > 10)
		return ERR_PTR(-EINVAL);
	if (family != AF_UNIX)
		return ERR_PTR(-EAFNOSUPPORT);
	if (protocol && protocol != AF_UNIX)
		return ERR_PTR(-EPROTONOSUPPORT);
	if (type == SOCK_RAW)
		type = SOCK_DGRAM;
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return ERR_PTR(-ESOCKTNOSUPPORT);
	s = unix_alloc(type);
	return s ? s : ERR_PTR(-ENOMEM);
}

/* Create a descriptor for a socket. Takes over the caller's reference, also if it fails. */
static long install(struct unix_sock *s, u32 flags)
{
	struct file *f = unix_file(s, flags);
	long fd;

	if (!f) {
		unix_end(s);
		return -ENOMEM;
	}
	fd = fd_install(f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

long sys_socket(struct pt_regs *r)
{
	struct unix_sock *s = make_socket((int)r->rdi, (int)r->rsi, (int)r->rdx);

	return IS_ERR(s) ? PTR_ERR(s) : install(s, (u32)r->rsi);
}

long sys_socketpair(struct pt_regs *r)
{
	struct unix_sock *a = make_socket((int)r->rdi, (int)r->rsi, (int)r->rdx), *b;
	u32 flags = r->rsi;
	s32 fd[2];

	if (IS_ERR(a))
		return PTR_ERR(a);
	b = make_socket((int)r->rdi, (int)r->rsi, (int)r->rdx);
	if (IS_ERR(b)) {
		unix_end(a);
		return PTR_ERR(b);
	}
	unix_pair(a, b);
	fd[0] = (s32)install(a, flags);
	if (fd[0] < 0) {
		unix_end(b);
		return fd[0];
	}
	fd[1] = (s32)install(b, flags);
	if (fd[1] < 0 || copy_to_user(r->r10, fd, sizeof(fd))) {
		if (fd[1] >= 0)
			fd_close(fd[1]);
		fd_close(fd[0]);
		return fd[1] < 0 ? fd[1] : -EFAULT;
	}
	return 0;
}

long sys_bind(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s = unix_get_socket(r->rdi, &f);
	long ret;

	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = unix_bind(s, r->rsi, r->rdx);
	file_put(f);
	return ret;
}

long sys_connect(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s = unix_get_socket(r->rdi, &f);
	long ret;

	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = unix_connect(f, s, r->rsi, r->rdx);
	file_put(f);
	return ret;
}

long sys_listen(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s = unix_get_socket(r->rdi, &f);
	long ret;

	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = unix_listen(s, (int)r->rsi);
	file_put(f);
	return ret;
}

long sys_shutdown(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s = unix_get_socket(r->rdi, &f);
	long ret;

	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = unix_shutdown(s, (int)r->rsi);
	file_put(f);
	return ret;
}

/* Whose name: the socket's own, or its peer's. */
enum end { OWN_END, PEERS_END };

/* The name of a socket, or of its peer, with a reference. *err: -ENOTCONN: it has no peer. */
static struct unix_name *name_of(struct unix_sock *s, enum end end, long *err)
{
	struct unix_name *n = NULL;

	*err = 0;
	spin_lock(&unix_lock);
	if (end == PEERS_END && !s->peer)
		*err = -ENOTCONN;
	else
		n = end == PEERS_END ? s->peer->name : s->name;
	if (n)
		atomic_add(&n->refs, 1);
	spin_unlock(&unix_lock);
	return n;
}

static long accept(u32 fd, unsigned long addr, unsigned long len, u32 flags)
{
	struct file *f;
	struct unix_sock *s, *got;
	struct unix_name *n;
	long ret, err;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	s = unix_get_socket(fd, &f);
	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = unix_accept(f, s, flags, &got);
	file_put(f);
	if (ret)
		return ret;
	unix_get(got); /* another thread may close the descriptor at once */
	ret = install(got, flags);
	if (ret >= 0 && addr) {
		n = name_of(got, PEERS_END, &err);
		err = unix_name_out(n, addr, len);
		unix_name_put(n);
		if (err) {
			fd_close(ret);
			ret = err;
		}
	}
	unix_put(got);
	return ret;
}

long sys_accept(struct pt_regs *r)
{
	return accept(r->rdi, r->rsi, r->rdx, 0);
}

long sys_accept4(struct pt_regs *r)
{
	return accept(r->rdi, r->rsi, r->rdx, r->r10);
}

static long socket_name(struct pt_regs *r, enum end end)
{
	struct file *f;
	struct unix_sock *s = unix_get_socket(r->rdi, &f);
	struct unix_name *n;
	long err;

	if (IS_ERR(s))
		return PTR_ERR(s);
	n = name_of(s, end, &err);
	if (!err)
		err = unix_name_out(n, r->rsi, r->rdx);
	unix_name_put(n);
	file_put(f);
	return err;
}

long sys_getsockname(struct pt_regs *r)
{
	return socket_name(r, OWN_END);
}

long sys_getpeername(struct pt_regs *r)
{
	return socket_name(r, PEERS_END);
}

/* ---- bytes ------------------------------------------------------------------------------------- */

long sys_sendto(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s = unix_get_socket(r->rdi, &f);
	struct iov_iter iov;
	struct unix_msg m = {
		.iov = &iov, .flags = (u32)r->r10, .name = r->r8, .name_len = r->r8 ? r->r9 : 0};
	long ret;

	if (IS_ERR(s))
		return PTR_ERR(s);
	iov_one(&iov, r->rsi, min(r->rdx, MAX_RW_COUNT));
	ret = unix_send(f, s, &m);
	file_put(f);
	return ret;
}

long sys_recvfrom(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s = unix_get_socket(r->rdi, &f);
	struct iov_iter iov;
	struct unix_msg m = {.iov = &iov, .flags = (u32)r->r10};
	long ret, err = 0;

	if (IS_ERR(s))
		return PTR_ERR(s);
	iov_one(&iov, r->rsi, min(r->rdx, MAX_RW_COUNT));
	ret = unix_receive(f, s, &m);
	if (ret >= 0 && r->r8) {
		u32 none = 0;

		/* A stream, and a sender without a name: of length 0. */
		err = m.from ? unix_name_out(m.from, r->r8, r->r9)
		      : copy_to_user(r->r9, &none, sizeof(none)) ? -EFAULT
								 : 0;
	}
	unix_name_put(m.from);
	file_put(f);
	return err ? err : ret;
}

struct msghdr {
	u64 name;
	u32 name_len, pad;
	u64 iov, iov_len;
	u64 control, control_len;
	u32 flags, pad2;
};
_Static_assert(sizeof(struct msghdr) == 56, "Linux's ABI");

static long get_header(struct msghdr *h, struct iov_iter *iov, unsigned long user)
{
	if (copy_from_user(h, user, sizeof(*h)))
		return -EFAULT;
	if ((s32)h->name_len < 0)
		return -EINVAL;
	if (h->iov_len > IOV_MAX)
		return -EMSGSIZE;
	return iov_get(iov, h->iov, h->iov_len, IOV_LOCAL);
}

static long send_header(struct file *f, struct unix_sock *s, unsigned long user, u32 flags)
{
	struct iov_iter iov;
	struct msghdr h;
	struct unix_msg m = {.iov = &iov, .flags = flags};
	long ret = get_header(&h, &iov, user);

	if (ret)
		return ret;
	m.name = h.name;
	m.name_len = h.name ? h.name_len : 0;
	m.control = h.control;
	m.control_len = h.control ? h.control_len : 0;
	ret = m.control_len > 0x7fffffff ? -ENOBUFS : unix_send(f, s, &m);
	iov_put(&iov);
	return ret;
}

static long receive_header(struct file *f, struct unix_sock *s, unsigned long user, u32 flags)
{
	struct iov_iter iov;
	struct msghdr h;
	struct unix_msg m = {.iov = &iov, .flags = flags};
	long ret = get_header(&h, &iov, user), err = 0;
	unsigned long len_at = user + offsetof(struct msghdr, name_len);
	u32 none = 0;

	if (ret)
		return ret;
	m.control = h.control;
	m.control_len = h.control ? h.control_len : 0;
	ret = unix_receive(f, s, &m);
	if (ret >= 0) {
		if (h.name && m.from)
			err = unix_name_out(m.from, h.name, len_at);
		else if (h.name && copy_to_user(len_at, &none, sizeof(none)))
			err = -EFAULT;
		if (copy_to_user(user + offsetof(struct msghdr, flags), &m.flags,
				 sizeof(m.flags)) ||
		    copy_to_user(user + offsetof(struct msghdr, control_len), &m.control_len,
				 sizeof(m.control_len)))
			err = -EFAULT;
	}
	unix_name_put(m.from);
	iov_put(&iov);
	return err ? err : ret;
}

long sys_sendmsg(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s = unix_get_socket(r->rdi, &f);
	long ret;

	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = send_header(f, s, r->rsi, (u32)r->rdx);
	file_put(f);
	return ret;
}

long sys_recvmsg(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s = unix_get_socket(r->rdi, &f);
	long ret;

	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = receive_header(f, s, r->rsi, (u32)r->rdx);
	file_put(f);
	return ret;
}

#define MMSG_SIZE      (sizeof(struct msghdr) + 8)
#define MSG_WAITFORONE 0x10000u

long sys_sendmmsg(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s = unix_get_socket(r->rdi, &f);
	u32 n = min((u32)r->rdx, IOV_MAX), done = 0;
	long ret = 0;

	if (IS_ERR(s))
		return PTR_ERR(s);
	for (; done < n; done++) {
		unsigned long at = r->rsi + done * MMSG_SIZE;
		u32 sent;

		ret = send_header(f, s, at, (u32)r->r10);
		sent = (u32)ret;
		if (ret >= 0 && copy_to_user(at + sizeof(struct msghdr), &sent, sizeof(sent)))
			ret = -EFAULT;
		if (ret < 0)
			break;
	}
	file_put(f);
	return done ? done : ret < 0 ? ret : 0;
}

long sys_recvmmsg(struct pt_regs *r)
{
	struct file *f;
	struct unix_sock *s;
	u32 n = min((u32)r->rdx, IOV_MAX), done = 0, flags = (u32)r->r10;
	u64 until = TIME_FOREVER, ns;
	long ret = 0;

	if (r->r8) {
		ret = get_user_time(r->r8, TIMESPEC, &ns);
		if (ret)
			return ret;
		until = deadline_after(ns);
	}
	s = unix_get_socket(r->rdi, &f);
	if (IS_ERR(s))
		return PTR_ERR(s);
	for (; done < n; done++) {
		unsigned long at = r->rsi + done * MMSG_SIZE;
		u32 got;

		ret = receive_header(f, s, at, flags & ~MSG_WAITFORONE);
		got = (u32)ret;
		if (ret >= 0 && copy_to_user(at + sizeof(struct msghdr), &got, sizeof(got)))
			ret = -EFAULT;
		if (ret < 0)
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (ktime_ns() >= until) {
			done++;
			break;
		}
	}
	file_put(f);
	return done ? done : ret < 0 ? ret : 0;
}
