/*
 * Names of sockets: paths, and abstract names, which begin with a NUL and are in no file system.
 *
 * A path is a file of its own kind (S_IFSOCK). A bound socket holds a reference on the inode, so a look-up of the
 * path leads to the socket.
 */
#include "fs/unix/unix.h"
#include "fs/vfs.h"
#include "fs/internal.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define AUTOBIND_NAMES 0x100000u

void unix_name_put(struct unix_name *n)
{
	if (n && atomic_dec_and_test(&n->refs))
		kfree(n);
}

static struct unix_name *name_alloc(void)
{
	struct unix_name *n = kmalloc(sizeof(*n), GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (n) {
		n->refs = 1;
		n->family = AF_UNIX;
	}
	return n;
}

struct unix_name *unix_name_get(unsigned long user, u64 len)
{
	struct unix_name *n;
	int err = -EINVAL;

	/* The length is an int. */
	if ((s32)len < 0 || (u32)len > UNIX_FAMILY_SIZE + UNIX_PATH_MAX)
		return ERR_PTR(-EINVAL);
	n = name_alloc();
	if (!n)
		return ERR_PTR(-ENOMEM);
	len = (u32)len;
	if (len >= UNIX_FAMILY_SIZE &&
	    (copy_from_user(&n->family, user, UNIX_FAMILY_SIZE) ||
	     copy_from_user(n->path, user + UNIX_FAMILY_SIZE, len - UNIX_FAMILY_SIZE)))
		err = -EFAULT;
	else if (len >= UNIX_FAMILY_SIZE && n->family == AF_UNIX)
		err = 0;
	if (err) {
		kfree(n);
		return ERR_PTR(err);
	}
	n->len = (u32)len;
	if (n->path[0]) /* a path ends with a NUL, whatever was passed */
		n->len = UNIX_FAMILY_SIZE + strlen(n->path) + 1;
	return n;
}

static bool is_path(const struct unix_name *n)
{
	return n->path[0];
}

/* unix_lock held: the socket of a type with this abstract name: each type has names of its own. */
static struct unix_sock *find_abstract(const struct unix_name *name, int type)
{
	struct unix_sock *s;

	list_for_each_entry (s, &unix_all, all) {
		if (s->name && !s->dead && s->type == type && s->name->len == name->len &&
		    !memcmp(s->name->path, name->path, name->len - UNIX_FAMILY_SIZE))
			return s;
	}
	return NULL;
}

/* unix_lock held: the socket bound to the inode. */
static struct unix_sock *find_inode(const struct inode *inode)
{
	struct unix_sock *s;

	list_for_each_entry (s, &unix_all, all) {
		if (s->inode == inode && !s->dead)
			return s;
	}
	return NULL;
}

static struct unix_sock *find_path(const char *name)
{
	struct unix_sock *s = NULL;
	struct path path;
	int err = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &path);

	if (err)
		return ERR_PTR(err);
	err = inode_permission(path.dentry->inode, MAY_WRITE);
	if (!err && (path.dentry->inode->mode & S_IFMT) == S_IFSOCK) {
		spin_lock(&unix_lock);
		s = find_inode(path.dentry->inode);
		if (s)
			unix_get(s);
		spin_unlock(&unix_lock);
	}
	path_put(&path);
	return s ? s : ERR_PTR(err ? err : -ECONNREFUSED);
}

struct unix_sock *unix_find(const struct unix_name *name, int type)
{
	struct unix_sock *s;

	if (is_path(name)) {
		s = find_path(name->path);
		if (IS_ERR(s))
			return s;
	} else {
		spin_lock(&unix_lock);
		s = find_abstract(name, type);
		if (s)
			unix_get(s);
		spin_unlock(&unix_lock);
		if (!s)
			return ERR_PTR(-ECONNREFUSED);
	}
	if (s->type != type) {
		unix_put(s);
		return ERR_PTR(-EPROTOTYPE);
	}
	return s;
}

static int bind_path(struct unix_sock *s, struct unix_name *name)
{
	struct path path;
	int err = vfs_mknod(AT_FDCWD, name->path, S_IFSOCK | 0777, 0);

	if (err)
		return err == -EEXIST ? -EADDRINUSE : err;
	err = path_lookup(AT_FDCWD, name->path, 0, &path);
	if (err)
		return err; /* somebody has removed it again */
	iget_ref(path.dentry->inode);
	spin_lock(&unix_lock);
	s->inode = path.dentry->inode;
	s->name = name;
	spin_unlock(&unix_lock);
	path_put(&path);
	return 0;
}

static int bind_abstract(struct unix_sock *s, struct unix_name *name)
{
	int err = 0;

	spin_lock(&unix_lock);
	if (find_abstract(name, s->type))
		err = -EADDRINUSE;
	else
		s->name = name;
	spin_unlock(&unix_lock);
	return err;
}

int unix_autobind(struct unix_sock *s)
{
	static u32 next; /* A */
	struct unix_name *n;
	int err = -EADDRINUSE;

	if (READ_ONCE(s->name))
		return 0;
	n = name_alloc();
	if (!n)
		return -ENOMEM;
	mutex_lock(&s->bind_lock);
	if (s->name) {
		mutex_unlock(&s->bind_lock);
		unix_name_put(n);
		return 0;
	}
	for (u32 tries = 0; err == -EADDRINUSE && tries < AUTOBIND_NAMES; tries++) {
		u32 number = atomic_add_return(&next, 1u) & (AUTOBIND_NAMES - 1);

		ksnprintf(n->path + 1, sizeof(n->path) - 1, "%05x", number);
		n->len = UNIX_FAMILY_SIZE + 6;
		err = bind_abstract(s, n);
	}
	mutex_unlock(&s->bind_lock);
	if (err)
		unix_name_put(n);
	return err;
}

int unix_bind(struct unix_sock *s, unsigned long user, u64 len)
{
	struct unix_name *n = unix_name_get(user, len);
	int err;

	if (IS_ERR(n))
		return PTR_ERR(n);
	if (n->len == UNIX_FAMILY_SIZE) { /* as Linux: any name */
		unix_name_put(n);
		return READ_ONCE(s->name) ? -EINVAL : unix_autobind(s);
	}
	mutex_lock(&s->bind_lock);
	if (s->name)
		err = -EINVAL;
	else
		err = is_path(n) ? bind_path(s, n) : bind_abstract(s, n);
	mutex_unlock(&s->bind_lock);
	if (err)
		unix_name_put(n);
	return err;
}

int unix_name_out(const struct unix_name *n, unsigned long to, unsigned long user_len)
{
	struct {
		u16 family;
		char path[UNIX_PATH_MAX + 2];
	} out = {AF_UNIX, {0}};
	u32 len = n ? n->len : UNIX_FAMILY_SIZE;
	s32 room;

	if (copy_from_user(&room, user_len, sizeof(room)))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	if (n)
		memcpy(out.path, n->path, len - UNIX_FAMILY_SIZE);
	if (copy_to_user(to, &out, min((u32)room, len)) ||
	    copy_to_user(user_len, &len, sizeof(len)))
		return -EFAULT;
	return 0;
}
