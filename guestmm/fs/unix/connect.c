/*
 * Connections: connect(2), listen(2), accept(2), shutdown(2), and the end of a socket.
 *
 *   connect: a new socket, the caller's peer, waits in the listener's queue
 *   accept:  takes it out and gives it a file
 */
#include "fs/unix/unix.h"
#include "fs/poll.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define SOMAXCONN 4096

int unix_pair(struct unix_sock *a, struct unix_sock *b)
{
	unix_get(a);
	unix_get(b);
	spin_lock(&unix_lock);
	a->peer = b;
	b->peer = a;
	a->cred = b->cred = unix_my_cred();
	if (a->type != SOCK_DGRAM)
		a->state = b->state = UNIX_ESTABLISHED;
	spin_unlock(&unix_lock);
	return 0;
}

/* Set a datagram socket's peer, to which it sends unless a message names another receiver. */
static int connect_dgram(struct unix_sock *s, unsigned long user, u64 len)
{
	struct unix_sock *peer = NULL, *old;
	struct unix_name *n;
	u16 family = 0;
	int err = 0;

	if ((u32)len < sizeof(family))
		return -EINVAL;
	if (copy_from_user(&family, user, sizeof(family)))
		return -EFAULT;
	if (family) { /* AF_UNSPEC removes the peer */
		n = unix_name_get(user, len);
		if (IS_ERR(n))
			return PTR_ERR(n);
		err = n->len == UNIX_FAMILY_SIZE ? -EINVAL : s->passcred ? unix_autobind(s) : 0;
		peer = err ? NULL : unix_find(n, s->type);
		unix_name_put(n);
		if (err || IS_ERR(peer))
			return err ? err : (int)PTR_ERR(peer);
	}
	spin_lock(&unix_lock);
	if (peer && peer->peer && peer->peer != s) {
		err = -EPERM; /* the other is connected, and receives only from its own peer */
		old = peer;
	} else {
		old = s->peer;
		s->peer = peer;
	}
	spin_unlock(&unix_lock);
	unix_put(old);
	wake_up(&s->wq);
	return err;
}

/* Connect s to the listener, if its queue has room. 0; -EAGAIN: it is full; or another error. unix_lock held. */
static int try_connect(struct unix_sock *s, struct unix_sock *listener, struct unix_sock *child,
		       struct unix_message *m)
{
	if (s->state == UNIX_ESTABLISHED)
		return -EISCONN;
	if (s->state == UNIX_LISTEN)
		return -EINVAL;
	if (listener->state != UNIX_LISTEN || listener->dead || listener->shut & UNIX_SHUT_RD)
		return -ECONNREFUSED;
	if (listener->nr_queued > listener->backlog)
		return -EAGAIN;
	unix_get(s);
	unix_get(child);
	child->peer = s;
	s->peer = child;
	child->cred = unix_my_cred();
	s->cred = listener->cred;
	child->state = s->state = UNIX_ESTABLISHED;
	if (listener->name) {
		child->name = listener->name;
		atomic_add(&child->name->refs, 1);
	}
	child->sndbuf = listener->sndbuf;
	child->passcred = listener->passcred;
	list_add_tail(&m->node, &listener->queue);
	listener->nr_queued++;
	return 0;
}

static int connect_stream(struct file *f, struct unix_sock *s, unsigned long user, u64 len)
{
	struct unix_name *n = unix_name_get(user, len);
	u64 until = unix_deadline(f, 0, s->sndtimeo);
	struct unix_sock *child, *listener;
	struct unix_message *m;
	int err;

	if (IS_ERR(n))
		return PTR_ERR(n);
	err = n->len == UNIX_FAMILY_SIZE ? -EINVAL : s->passcred ? unix_autobind(s) : 0;
	child = unix_alloc(s->type);
	m = kmalloc(sizeof(*m), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!err && (!child || !m))
		err = -ENOMEM;
	if (err)
		goto free;
	m->sock = child;
	do {
		listener = unix_find(n, s->type);
		if (IS_ERR(listener)) {
			err = PTR_ERR(listener);
			break;
		}
		spin_lock(&unix_lock);
		err = try_connect(s, listener, child, m);
		spin_unlock(&unix_lock);
		if (!err) {
			wake_up(&listener->wq);
			async_notify(listener, POLL_IN);
		}
		if (err == -EAGAIN && until) {
			err = unix_wait(&listener->wq,
					READ_ONCE(listener->nr_queued) <= listener->backlog ||
						READ_ONCE(listener->dead),
					until);
			err = err ? err : -EBUSY; /* check again */
		}
		unix_put(listener);
	} while (err == -EBUSY);
free:
	unix_name_put(n);
	if (err) {
		kfree(m);
		unix_put(child);
	} else {
		wake_up(&s->wq);
	}
	return err;
}

int unix_connect(struct file *f, struct unix_sock *s, unsigned long user, u64 len)
{
	return s->type == SOCK_DGRAM ? connect_dgram(s, user, len)
				     : connect_stream(f, s, user, len);
}

int unix_listen(struct unix_sock *s, int backlog)
{
	int err = 0;

	if (s->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	spin_lock(&unix_lock);
	if (!s->name || s->state == UNIX_ESTABLISHED) {
		err = -EINVAL;
	} else {
		s->backlog = (u32)backlog > SOMAXCONN ? SOMAXCONN : (u32)backlog;
		s->state = UNIX_LISTEN;
		s->cred = unix_my_cred();
	}
	spin_unlock(&unix_lock);
	wake_up(&s->wq); /* there may be more room */
	return err;
}

long unix_accept(struct file *f, struct unix_sock *s, u32 flags, struct unix_sock **got)
{
	u64 until = unix_deadline(f, 0, s->rcvtimeo);

	if (s->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	for (;;) {
		struct unix_message *m = NULL;
		long err = 0;

		spin_lock(&unix_lock);
		if (s->state != UNIX_LISTEN || s->shut & UNIX_SHUT_RD) {
			err = -EINVAL;
		} else if (!list_empty(&s->queue)) {
			m = list_first_entry(&s->queue, struct unix_message, node);
			list_del(&m->node);
			s->nr_queued--;
		}
		spin_unlock(&unix_lock);
		if (m) {
			*got = m->sock;
			kfree(m);
			wake_up(&s->wq); /* tasks that wait to connect */
			return 0;
		}
		if (!err)
			err = unix_wait(&s->wq, READ_ONCE(s->nr_queued) || READ_ONCE(s->shut),
					until);
		if (err)
			return err;
	}
}

int unix_shutdown(struct unix_sock *s, int how)
{
	struct unix_sock *peer;
	bool waited_for = false;
	u8 mine, theirs;

	if (how < 0 || how > 2)
		return -EINVAL;
	mine = (u8)(how + 1); /* SHUT_RD, SHUT_WR, SHUT_RDWR */
	theirs =
		(mine & UNIX_SHUT_RD ? UNIX_SHUT_WR : 0) | (mine & UNIX_SHUT_WR ? UNIX_SHUT_RD : 0);
	spin_lock(&unix_lock);
	s->shut |= mine;
	peer = s->type == SOCK_DGRAM ? NULL : s->peer;
	if (peer) {
		unix_get(peer);
		peer->shut |= theirs;
		waited_for = peer->waited_for;
	}
	spin_unlock(&unix_lock);
	wake_up(&s->wq);
	if (peer) {
		wake_up(&peer->wq);
		if (!waited_for)
			async_notify(peer, peer->shut == (UNIX_SHUT_RD | UNIX_SHUT_WR) ? POLL_HUP
										       : POLL_IN);
		unix_put(peer);
	}
	return 0;
}

void unix_end(struct unix_sock *s)
{
	struct unix_message *m, *next;
	struct unix_sock *peer;
	bool waited_for = false;
	LIST_HEAD(messages);

	spin_lock(&unix_lock);
	s->dead = true;
	s->file = NULL;
	peer = s->peer;
	s->peer = NULL;
	if (peer && s->type != SOCK_DGRAM) {
		waited_for = peer->waited_for;
		peer->shut = UNIX_SHUT_RD | UNIX_SHUT_WR;
		if (!list_empty(&s->queue)) /* it has unread messages */
			peer->error = ECONNRESET;
	}
	s->state = UNIX_CLOSE;
	unix_queue_take(s, &messages);
	if (unix_total_inflight)
		unix_collect(&messages);
	spin_unlock(&unix_lock);
	wake_up(&s->wq); /* tasks that wait for room in its queue */
	if (peer) {
		wake_up(&peer->wq);
		if (s->type != SOCK_DGRAM && !waited_for)
			async_notify(peer, POLL_HUP);
		unix_put(peer);
	}
	list_for_each_entry_safe (m, next, &messages, node) {
		struct unix_sock *child = m->sock;

		m->sock = NULL;
		if (child) { /* it was not accepted, so there is no file that would end it */
			struct unix_sock *client;
			LIST_HEAD(its);

			spin_lock(&unix_lock);
			client = child->peer;
			child->peer = NULL;
			child->dead = true;
			if (client) {
				client->shut = UNIX_SHUT_RD | UNIX_SHUT_WR;
				client->error = ECONNRESET;
			}
			unix_queue_take(child, &its);
			list_splice_init(&its, messages.prev);
			spin_unlock(&unix_lock);
			if (client) {
				wake_up(&client->wq);
				async_notify(client, POLL_HUP);
				unix_put(client);
			}
			next = list_entry(m->node.next, struct unix_message, node);
			unix_put(child);
		}
		list_del(&m->node);
		unix_message_free(m);
	}
	unix_put(s);
}

void unix_release(struct file *f)
{
	unix_end(f->private);
}
