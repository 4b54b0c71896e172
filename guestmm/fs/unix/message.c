/*
 * Messages: sending bytes, files and credentials from one socket to another.
 *
 *   sendmsg: the message is built from the caller's memory. Then, under unix_lock, it is added to the
 *            receiver's queue if there is room; otherwise the sender sleeps
 *   recvmsg: under the socket's read_lock the first message is copied while it stays in the queue, so that
 *            no bytes are lost if the caller's memory cannot be written
 *
 * A stream is cut into messages of up to UNIX_CHUNK bytes, which a receiver joins again. A read ends after a
 * message with files. If credentials are wanted, bytes from different senders are not joined.
 */
#include "fs/unix/unix.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"

/* ---- making and freeing ------------------------------------------------------------------------- */

void unix_message_free(struct unix_message *m)
{
	/* Close them later: a file may be a socket, whose messages carry files in turn. */
	for (u32 i = 0; i < m->nr_files; i++)
		file_put_later(m->files[i]);
	kfree(m->files);
	for (u32 i = 0; i < m->nr_pages; i++)
		free_pages((unsigned long)m->pages[i], 0);
	kfree(m->pages);
	unix_name_put(m->from);
	kfree(m);
}

/* Allocate a message with room for len bytes. NULL: no memory. */
static struct unix_message *message_alloc(u32 len)
{
	u32 small = len <= UNIX_SMALL ? len : 0, nr = small ? 0 : DIV_ROUND_UP(len, PAGE_SIZE);
	struct unix_message *m = kmalloc(sizeof(*m) + small, GFP_KERNEL_ACCOUNT);

	if (!m)
		return NULL;
	memset(m, 0, sizeof(*m));
	m->len = len;
	if (!nr)
		return m;
	m->pages = kmalloc(nr * sizeof(*m->pages), GFP_KERNEL_ACCOUNT);
	for (; m->pages && m->nr_pages < nr; m->nr_pages++) {
		m->pages[m->nr_pages] = (void *)__get_free_pages(GFP_KERNEL_ACCOUNT, 0);
		if (!m->pages[m->nr_pages])
			break;
	}
	if (m->nr_pages == nr)
		return m;
	unix_message_free(m);
	return NULL;
}

/* The address of byte `at` of a message, and in *n how many bytes are contiguous there. */
static void *message_bytes(struct unix_message *m, u32 at, size_t *n)
{
	*n = m->len - at;
	if (!m->pages)
		return m->small + at;
	*n = min(*n, PAGE_SIZE - at % PAGE_SIZE);
	return (char *)m->pages[at / PAGE_SIZE] + at % PAGE_SIZE;
}

static int message_fill(struct unix_message *m, struct unix_msg *from)
{
	size_t n;

	for (u32 at = 0; at < m->len; at += n) {
		void *to = message_bytes(m, at, &n);

		if (from->kernel) {
			memcpy(to, from->kernel, n);
			from->kernel += n;
			from->kernel_len -= n;
		} else if (iov_copy_from(from->iov, to, n) < n) {
			return -EFAULT;
		}
	}
	return 0;
}

/* Copy the message from byte `at` on to the caller's buffers. Returns how many bytes fit and could be written. */
static size_t message_drain(struct unix_message *m, u32 at, struct iov_iter *to)
{
	size_t done = 0, n;

	while (at + done < m->len && to->left) {
		const void *from = message_bytes(m, at + done, &n);
		size_t want = min(n, to->left), got = iov_copy_to(to, from, want);

		done += got;
		if (got < want)
			break;
	}
	return done;
}

/* ---- sending ------------------------------------------------------------------------------------ */

/* unix_lock held: may the caller have this many more files in flight? */
static bool too_many_in_flight(u32 nr)
{
	return nr && unix_total_inflight + nr > rlimit(RLIMIT_NOFILE) &&
	       !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN);
}

static long broken(const struct unix_msg *m)
{
	if (!(m->flags & MSG_NOSIGNAL))
		signal_current(SIGPIPE);
	return -EPIPE;
}

/* Take the pending error of s. unix_lock held. */
static int take_error(struct unix_sock *s)
{
	int err = s->error;

	s->error = 0;
	return -err;
}

/* unix_lock held: put the message on the peer's queue. 0; -EAGAIN: no room. `limit`: messages at most. */
static int enqueue(struct unix_sock *s, struct unix_sock *to, struct unix_message *m)
{
	bool stranger = s->type == SOCK_DGRAM && to->peer != s;

	if (to->dead)
		return s->type == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE;
	if (s->type == SOCK_DGRAM && to->peer && to->peer != s)
		return -EPERM;
	if (to->shut & UNIX_SHUT_RD || s->shut & UNIX_SHUT_WR)
		return -EPIPE;
	if (stranger && to->nr_queued > UNIX_DGRAM_QUEUE)
		return -EAGAIN;
	if (to->queued && to->queued + m->len > s->sndbuf)
		return -EAGAIN;
	if (too_many_in_flight(m->nr_files))
		return -ETOOMANYREFS;
	unix_inflight(m);
	list_add_tail(&m->node, &to->queue);
	to->queued += m->len;
	to->nr_queued++;
	return 0;
}

/* Send a message to `to`, and wait for room if necessary. 0; -errno: the message is still the caller's. */
static int deliver(struct unix_sock *s, struct unix_sock *to, struct unix_message *m, u64 until)
{
	for (;;) {
		bool waited_for;
		int err;

		spin_lock(&unix_lock);
		err = take_error(s);
		if (!err)
			err = enqueue(s, to, m);
		s->was_full |= err == -EAGAIN;
		waited_for = to->waited_for;
		spin_unlock(&unix_lock);
		if (!err) {
			wake_up(&to->wq);
			if (!waited_for)
				async_notify(to, POLL_IN);
		}
		if (err != -EAGAIN || !until)
			return err;
		/* The receiver wakes its own queue when it makes room: wait there. */
		err = unix_wait(&to->wq,
				READ_ONCE(to->dead) || READ_ONCE(to->shut) || READ_ONCE(s->shut) ||
					READ_ONCE(to->nr_queued) == 0 ||
					(READ_ONCE(to->nr_queued) <= UNIX_DGRAM_QUEUE &&
					 READ_ONCE(to->queued) + m->len <= s->sndbuf),
				until);
		if (err)
			return err;
	}
}

/* Build a message of the next len bytes, with the files and credentials of `c`. */
static struct unix_message *compose(struct unix_sock *s, struct unix_msg *msg,
				    struct unix_carried *c, u32 len)
{
	struct unix_message *m = message_alloc(len);
	int err;

	if (!m)
		return ERR_PTR(-ENOMEM);
	err = message_fill(m, msg);
	if (err) {
		unix_message_free(m);
		return ERR_PTR(err);
	}
	m->cred = c->cred;
	m->files = c->files;
	m->nr_files = c->nr_files;
	c->files = NULL; /* they are sent with the first message */
	c->nr_files = 0;
	spin_lock(&unix_lock);
	m->from = s->name;
	if (m->from)
		atomic_add(&m->from->refs, 1);
	spin_unlock(&unix_lock);
	return m;
}

/* The peer, with a reference. Or ERR_PTR(-errno): why there is none. */
static struct unix_sock *get_peer(struct unix_sock *s)
{
	struct unix_sock *peer;

	spin_lock(&unix_lock);
	peer = s->peer;
	if (peer)
		unix_get(peer);
	spin_unlock(&unix_lock);
	return peer;
}

static u64 length_of(const struct unix_msg *m)
{
	return m->kernel ? m->kernel_len : m->iov->left;
}

/* The receiver of a message that is sent whole: the name that was given, or the peer. */
static struct unix_sock *destination(struct unix_sock *s, const struct unix_msg *m)
{
	struct unix_sock *to;
	struct unix_name *n;

	if (!m->name || !m->name_len || s->type == SOCK_SEQPACKET) {
		to = get_peer(s);
		return to ? to : ERR_PTR(-ENOTCONN);
	}
	n = unix_name_get(m->name, m->name_len);
	if (IS_ERR(n))
		return ERR_PTR(PTR_ERR(n));
	to = n->len == UNIX_FAMILY_SIZE ? ERR_PTR(-EINVAL) : unix_find(n, s->type);
	unix_name_put(n);
	return to;
}

static long send_whole(struct unix_sock *s, struct unix_msg *msg, struct unix_carried *c, u64 until)
{
	u64 len = length_of(msg);
	struct unix_message *m;
	struct unix_sock *to;
	int err;

	if (s->type == SOCK_SEQPACKET && READ_ONCE(s->state) != UNIX_ESTABLISHED)
		return -ENOTCONN;
	if (len > READ_ONCE(s->sndbuf) - 32)
		return -EMSGSIZE;
	to = destination(s, msg);
	if (IS_ERR(to))
		return PTR_ERR(to);
	if (s->passcred)
		unix_autobind(s);
	m = compose(s, msg, c, (u32)len);
	err = IS_ERR(m) ? (int)PTR_ERR(m) : deliver(s, to, m, until);
	if (err && !IS_ERR(m))
		unix_message_free(m);
	if (err == -ECONNREFUSED) { /* a peer that was closed counts as no peer */
		struct unix_sock *old = NULL;

		spin_lock(&unix_lock);
		if (s->peer == to) {
			old = to;
			s->peer = NULL;
		}
		spin_unlock(&unix_lock);
		unix_put(old);
	}
	unix_put(to);
	return err ? err : (long)len;
}

static long send_stream(struct unix_sock *s, struct unix_msg *msg, struct unix_carried *c,
			u64 until)
{
	struct unix_sock *to;
	long done = 0;
	int err = 0;

	if (msg->name && msg->name_len)
		return READ_ONCE(s->state) == UNIX_ESTABLISHED ? -EISCONN : -EOPNOTSUPP;
	to = get_peer(s);
	if (!to)
		return -ENOTCONN;
	if (READ_ONCE(s->shut) & UNIX_SHUT_WR)
		err = -EPIPE;
	while (!err && length_of(msg)) {
		u32 most = min(READ_ONCE(s->sndbuf) / 2, (u32)UNIX_CHUNK),
		    len = min(length_of(msg), most);
		struct unix_message *m = compose(s, msg, c, len);

		err = IS_ERR(m) ? (int)PTR_ERR(m) : deliver(s, to, m, until);
		if (err && !IS_ERR(m))
			unix_message_free(m);
		if (!err)
			done += len;
	}
	unix_put(to);
	return done ? done : err;
}

long unix_send(struct file *f, struct unix_sock *s, struct unix_msg *msg)
{
	u64 until = unix_deadline(f, msg->flags, s->sndtimeo);
	struct unix_carried c;
	long ret;

	if (msg->flags & MSG_OOB)
		return -EOPNOTSUPP;
	ret = unix_carried_get(&c, msg);
	if (ret)
		return ret;
	ret = s->type == SOCK_STREAM ? send_stream(s, msg, &c, until)
				     : send_whole(s, msg, &c, until);
	unix_carried_put(&c);
	return ret == -EPIPE && s->type == SOCK_STREAM ? broken(msg) : ret; /* as Linux */
}

/* ---- receiving ---------------------------------------------------------------------------------- */

/* The first message, which stays in the queue. NULL: there is none; *err has the reason, 0: the end. read_lock held. */
static struct unix_message *first_message(struct file *f, struct unix_sock *s, int *err)
{
	struct unix_message *m = NULL;

	spin_lock(&unix_lock);
	*err = -EAGAIN;
	if (!list_empty(&s->queue))
		m = list_first_entry(&s->queue, struct unix_message, node);
	else if (s->error)
		*err = take_error(s);
	else if (s->shut & UNIX_SHUT_RD)
		*err = 0;
	spin_unlock(&unix_lock);
	return m;
}

/* Wake a sender that may send again. unix_lock held. */
static void wake_sender(struct unix_sock *s)
{
	wake_up(&s->wq);
	if (s->was_full)
		async_notify(s, POLL_OUT);
	s->was_full = false;
}

/* Sockets that are connected to it and found it full can continue. */
static void wake_senders(struct unix_sock *s)
{
	struct unix_sock *o;

	spin_lock(&unix_lock);
	if (s->type != SOCK_DGRAM) {
		if (s->peer)
			wake_sender(s->peer);
		spin_unlock(&unix_lock);
		return;
	}
	list_for_each_entry (o, &unix_all, all) {
		if (o->peer == s)
			wake_sender(o);
	}
	spin_unlock(&unix_lock);
}

/* Take the first message, which has been received, off the queue. It is the caller's then. read_lock held. */
static void dequeue(struct unix_sock *s, struct unix_message *m)
{
	bool was_full;

	spin_lock(&unix_lock);
	/* A sender may wait because of its own limit, which is lower than this socket's. */
	was_full = s->nr_queued > UNIX_DGRAM_QUEUE || s->queued * 4 > SNDBUF_LEAST;
	list_del(&m->node);
	s->queued -= m->len;
	s->nr_queued--;
	unix_notinflight(m);
	spin_unlock(&unix_lock);
	wake_up(&s->wq);
	if (was_full)
		wake_senders(s);
}

static void drop_files(struct unix_message *m)
{
	struct file **files;
	u32 nr;

	spin_lock(&unix_lock);
	unix_notinflight(m);
	files = m->files;
	nr = m->nr_files;
	m->files = NULL;
	m->nr_files = 0;
	spin_unlock(&unix_lock);
	for (u32 i = 0; i < nr; i++)
		file_put_later(files[i]);
	kfree(files);
}

/* While a thread waits in recv(2) on a stream, its owner gets no SIGIO, as in Linux (SOCKWQ_ASYNC_WAITDATA). Waiting
 * for a datagram does not have this effect. */
static void set_waited_for(struct unix_sock *s, bool waited)
{
	if (s->type != SOCK_STREAM)
		return;
	spin_lock(&unix_lock);
	s->waited_for = waited;
	spin_unlock(&unix_lock);
}

/* read_lock held on entry and return; released while the caller sleeps. */
static int wait_for_message(struct unix_sock *s, u64 until)
{
	int err;

	if (!until)
		return -EAGAIN;
	set_waited_for(s, true);
	mutex_unlock(&s->read_lock);
	err = unix_wait(&s->wq,
			READ_ONCE(s->nr_queued) || READ_ONCE(s->error) ||
				READ_ONCE(s->shut) & UNIX_SHUT_RD,
			until);
	mutex_lock(&s->read_lock);
	set_waited_for(s, false);
	return err;
}

/* read_lock held. */
static long receive_whole(struct file *f, struct unix_sock *s, struct unix_msg *out,
			  struct unix_control *c, u64 until)
{
	struct unix_message *m;
	size_t want, got;
	long ret;
	int err;

	if (s->type == SOCK_SEQPACKET && READ_ONCE(s->state) != UNIX_ESTABLISHED)
		return -ENOTCONN;
	while (!(m = first_message(f, s, &err))) {
		if (err != -EAGAIN)
			return err;
		err = wait_for_message(s, until);
		if (err)
			return err;
	}
	want = min((u64)m->len, out->iov->left);
	got = message_drain(m, 0, out->iov);
	unix_put_carried(s, out, c, m);
	if (want < m->len)
		c->flags |= MSG_TRUNC;
	ret = got < want ? -EFAULT : out->flags & MSG_TRUNC ? (long)m->len : (long)got;
	if (!(out->flags & MSG_PEEK)) {
		dequeue(s, m);
		unix_message_free(m);
	}
	return ret;
}

static bool same_cred(const struct unix_cred *a, const struct unix_cred *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

/* The message after this one, for a peek beyond it. read_lock held. */
static struct unix_message *next_message(struct unix_sock *s, struct unix_message *m)
{
	struct unix_message *n = NULL;

	spin_lock(&unix_lock);
	if (m->node.next != &s->queue)
		n = list_entry(m->node.next, struct unix_message, node);
	spin_unlock(&unix_lock);
	return n;
}

/* Copy bytes from the queue until the buffers are full or a message of another kind follows. *wait: the caller
 * needs more, and the queue is empty. read_lock held. */
static long join(struct file *f, struct unix_sock *s, struct unix_msg *out, struct unix_control *c,
		 bool first, bool *wait)
{
	struct unix_message *m, *last = NULL;
	struct unix_cred cred = {0};
	long done = 0;
	bool stop = false;
	int err = 0;

	*wait = false;
	while (out->iov->left && !stop) {
		bool peek = out->flags & MSG_PEEK, fresh;
		size_t want, got;

		m = peek && last ? next_message(s, last) : first_message(f, s, &err);
		if (!m) {
			*wait = err == -EAGAIN || (peek && last);
			return done ? done : err;
		}
		fresh = !m->at;
		if (!first && READ_ONCE(s->passcred) && (!done || !same_cred(&cred, &m->cred)))
			return done;
		cred = m->cred;
		want = min((u64)(m->len - m->at), out->iov->left);
		got = message_drain(m, m->at, out->iov);
		if (got || !want) {
			if (first || (fresh && m->nr_files))
				unix_put_carried(s, out, c, m);
			stop = m->nr_files;
			first = false;
		}
		done += got;
		last = m;
		if (!peek) {
			m->at += got;
			if (m->nr_files && got)
				drop_files(m);
			if (m->at == m->len) {
				dequeue(s, m);
				unix_message_free(m);
				last = NULL;
			}
		}
		if (got < want)
			return done ? done : -EFAULT;
	}
	return done;
}

/* read_lock held. */
static long receive_stream(struct file *f, struct unix_sock *s, struct unix_msg *out,
			   struct unix_control *c, u64 until)
{
	long done = 0;
	bool wait;

	if (READ_ONCE(s->state) != UNIX_ESTABLISHED)
		return -EINVAL;
	if (!out->iov->left)
		return 0;
	for (;;) {
		long got = join(f, s, out, c, !done, &wait);
		int err;

		if (got > 0)
			done += got;
		if (!out->iov->left || !wait || (done && !(out->flags & MSG_WAITALL)) ||
		    (done && out->flags & MSG_PEEK))
			return done ? done : got;
		err = wait_for_message(s, until);
		if (err)
			return done ? done : err;
	}
}

long unix_receive(struct file *f, struct unix_sock *s, struct unix_msg *out)
{
	struct unix_control c = {.to = out->control, .left = out->control_len};
	u64 until = unix_deadline(f, out->flags, s->rcvtimeo);
	long ret;

	out->from = NULL;
	if (out->flags & MSG_OOB)
		return -EOPNOTSUPP;
	mutex_lock(&s->read_lock);
	ret = s->type == SOCK_STREAM ? receive_stream(f, s, out, &c, until)
				     : receive_whole(f, s, out, &c, until);
	mutex_unlock(&s->read_lock);
	out->control_len = c.done;
	out->flags = (out->flags & MSG_CMSG_CLOEXEC) | c.flags;
	return ret;
}
