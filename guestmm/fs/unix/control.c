/*
 * What a message carries besides bytes: open files (SCM_RIGHTS) and credentials (SCM_CREDENTIALS).
 *
 *   sendmsg: unix_carried_get() reads the caller's control messages and takes references on the files they name
 *   recvmsg: unix_put_carried() installs descriptors for the files and writes the control messages
 */
#include "fs/unix/unix.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define SCM_RIGHTS	1
#define SCM_CREDENTIALS 2

struct cmsghdr {
	u64 len;
	s32 level, type;
};
#define CMSG_ALIGN(n) ALIGN_UP(n, 8ul)

void unix_carried_put(struct unix_carried *c)
{
	for (u32 i = 0; i < c->nr_files; i++)
		file_put(c->files[i]);
	kfree(c->files);
	c->files = NULL;
	c->nr_files = 0;
}

static int take_files(struct unix_carried *c, unsigned long user, u32 n)
{
	if (c->nr_files + n > SCM_MAX_FDS)
		return -EINVAL;
	if (!c->files)
		c->files = kmalloc(SCM_MAX_FDS * sizeof(*c->files), GFP_KERNEL_ACCOUNT);
	if (!c->files)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++) {
		struct file *f;
		s32 fd;

		if (copy_from_user(&fd, user + i * sizeof(fd), sizeof(fd)))
			return -EFAULT;
		f = fd < 0 ? NULL : fd_get(fd);
		if (!f)
			return -EBADF;
		c->files[c->nr_files++] = f;
	}
	return 0;
}

static bool process_is_there(int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	bool there = find_process(pid);

	spin_unlock_irqrestore(&task_list_lock, flags);
	return there;
}

/* Read the sender's credentials, and check that it may claim them. */
static int take_cred(struct unix_carried *c, unsigned long user)
{
	const struct cred *me = current_cred();
	struct unix_cred in;

	if (copy_from_user(&in, user, sizeof(in)))
		return -EFAULT;
	if (in.pid != current_process()->pid && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (in.uid != me->uid && in.uid != me->euid && in.uid != me->suid && !capable(CAP_SETUID))
		return -EPERM;
	if (in.gid != me->gid && in.gid != me->egid && in.gid != me->sgid && !capable(CAP_SETGID))
		return -EPERM;
	if (in.uid == ~0u || in.gid == ~0u)
		return -EINVAL;
	if (!process_is_there(in.pid))
		return -ESRCH;
	c->cred = in;
	return 0;
}

int unix_carried_get(struct unix_carried *c, const struct unix_msg *m)
{
	u64 at = 0;
	int err = 0;

	*c = (struct unix_carried){.cred = unix_my_cred()};
	while (!err && m->control_len - at >= sizeof(struct cmsghdr)) {
		unsigned long user = m->control + at, data = user + sizeof(struct cmsghdr);
		struct cmsghdr h;
		u64 len;

		if (copy_from_user(&h, user, sizeof(h))) {
			err = -EFAULT;
			break;
		}
		if (h.len < sizeof(h) || h.len > m->control_len - at) {
			err = -EINVAL;
			break;
		}
		len = h.len - sizeof(h);
		if (h.level == SOL_SOCKET) {
			if (h.type == SCM_RIGHTS)
				err = take_files(c, data, (u32)(len / sizeof(s32)));
			else if (h.type == SCM_CREDENTIALS && len == sizeof(struct unix_cred))
				err = take_cred(c, data);
			else
				err = -EINVAL;
		}
		if (CMSG_ALIGN(h.len) >= m->control_len - at)
			break;
		at += CMSG_ALIGN(h.len);
	}
	if (err)
		unix_carried_put(c);
	return err;
}

/* Write a header and the `len` bytes of data after it, unless the data are written already. False: no room. */
static bool put_control(struct unix_control *c, int type, const void *data, u64 len)
{
	struct cmsghdr h = {sizeof(h) + len, SOL_SOCKET, type};
	u64 space = CMSG_ALIGN(h.len);

	if (c->left < sizeof(h)) {
		c->flags |= MSG_CTRUNC;
		return false;
	}
	if (c->left < h.len) {
		c->flags |= MSG_CTRUNC;
		h.len = c->left;
	}
	if (copy_to_user(c->to, &h, sizeof(h)) ||
	    (data && copy_to_user(c->to + sizeof(h), data, h.len - sizeof(h))))
		return false;
	space = min(space, c->left);
	c->to += space;
	c->left -= space;
	c->done += space;
	return true;
}

/* Create descriptors for the files of a message, as many as there is room for. As in Linux, the others are closed. */
static void put_files(struct unix_control *c, struct file **files, u32 nr, u32 flags)
{
	u32 room = c->left > sizeof(struct cmsghdr)
			   ? (u32)min((c->left - sizeof(struct cmsghdr)) / sizeof(s32), (u64)nr)
			   : 0;
	u32 n = 0;

	for (; n < room; n++) {
		s32 fd;

		file_get(files[n]);
		fd = fd_install(files[n], 0, flags & MSG_CMSG_CLOEXEC ? O_CLOEXEC : 0);
		if (fd < 0) {
			file_put(files[n]);
			break;
		}
		if (copy_to_user(c->to + sizeof(struct cmsghdr) + n * sizeof(fd), &fd,
				 sizeof(fd))) {
			fd_close(fd);
			break;
		}
	}
	if (n)
		put_control(c, SCM_RIGHTS, NULL, n * sizeof(s32));
	if (n < nr)
		c->flags |= MSG_CTRUNC;
}

void unix_put_carried(struct unix_sock *s, struct unix_msg *out, struct unix_control *c,
		      struct unix_message *m)
{
	if (!out->from && m->from) {
		out->from = m->from;
		atomic_add(&m->from->refs, 1);
	}
	if (READ_ONCE(s->passcred) && out->control_len)
		put_control(c, SCM_CREDENTIALS, &m->cred, sizeof(m->cred));
	if (m->nr_files)
		put_files(c, m->files, m->nr_files, out->flags);
}

/* unix_lock not held: the files were received, or are lost. */
