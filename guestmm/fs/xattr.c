/*
 * Extended attributes: small named values of a file, which are in memory with its inode.
 *
 * tmpfs and ext2 support them (struct fs_type: xattrs). In other file systems reading, writing and removing fails with
 * EOPNOTSUPP, and the list is empty, as in a Linux file system built without them. Those of ext2 are also on the disk:
 * they are read when they are first used, and written at each change (struct super_ops: xattr_load, xattr_store).
 *
 * I1  Each name is in the list of an inode once. The list is sorted by name, on ext2 as on the disk: by kind, length,
 *     name.
 * I2  The list changes under inode->lock held for writing. It is read under the same lock.
 *
 * The prefix of a name says who may use it (xattr(7)). "user.": by the file's permissions, on regular files and
 * directories only. "trusted.": only with CAP_SYS_ADMIN, and not visible without. "security.": all may read it, and
 * CAP_SYS_ADMIN may write it. "system." (ACLs) and "security.capability" would have no effect here, so they are
 * EOPNOTSUPP. A name has up to 255 bytes, a value up to 64 KiB (Linux, include/uapi/linux/limits.h).
 */
#include "fs/xattr.h"
#include "arch/uaccess.h"
#include "fs/internal.h"
#include "fs/notify.h"
#include "fs/target.h"
#include "kernel/process.h"
#include "kernel/cred.h"

#define XATTR_SIZE_MAX 65536u
#define XATTR_CREATE   1u
#define XATTR_REPLACE  2u

enum xattr_space { SPACE_NONE, SPACE_USER, SPACE_TRUSTED, SPACE_SECURITY };

/* The kind of a name, by its prefix. -EINVAL: nothing follows the prefix. */
static int name_space(const char *name)
{
	static const struct {
		const char *prefix;
		int space;
	} spaces[] = {
		{"user.", SPACE_USER}, {"trusted.", SPACE_TRUSTED}, {"security.", SPACE_SECURITY}};

	for (u32 i = 0; i < ARRAY_SIZE(spaces); i++) {
		size_t n = strlen(spaces[i].prefix);

		if (!strncmp(name, spaces[i].prefix, n))
			return name[n] ? spaces[i].space : -EINVAL;
	}
	return SPACE_NONE;
}

/* May the caller read (MAY_READ) or change (MAY_WRITE) an attribute of this name? inode->lock held. */
static int xattr_permission(const struct inode *inode, const char *name, u32 mask)
{
	const int refused = mask & MAY_WRITE ? -EPERM : -ENODATA;

	if (!strncmp(name, "system.", 7))
		return 0;
	if (!strncmp(name, "security.", 9))
		return !(mask & MAY_WRITE) || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
	if (!strncmp(name, "trusted.", 8))
		return capable(CAP_SYS_ADMIN) ? 0 : refused;
	if (!strncmp(name, "user.", 5)) {
		if (!S_ISREG(inode->mode) && !S_ISDIR(inode->mode))
			return refused;
		if (S_ISDIR(inode->mode) && inode->mode & 01000 && mask & MAY_WRITE &&
		    !inode_owner_or_capable(inode))
			return -EPERM;
	}
	return inode_permission(inode, mask);
}

/* Does the file's file system support this name? 0, -EINVAL, -EOPNOTSUPP. */
static int xattr_supported(const struct inode *inode, const char *name)
{
	int space = name_space(name);

	if (!inode->sb || !inode->sb->type->xattrs)
		return -EOPNOTSUPP;
	if (space < 0)
		return space;
	if (space == SPACE_NONE || !strcmp(name, "security.capability"))
		return -EOPNOTSUPP;
	return 0;
}

static int xattr_order(const struct inode *inode, const char *a, const char *b)
{
	int by = 0;

	if (inode->sb->ops->xattr_store) {
		by = name_space(a) - name_space(b);
		if (!by)
			by = (int)strlen(a) - (int)strlen(b);
	}
	return by ? by : strcmp(a, b);
}

/* The link to the attribute of this name, or to the one before which it would be inserted. inode->lock held. */
static struct xattr **find(struct inode *inode, const char *name, bool *is_there)
{
	struct xattr **link = &inode->xattrs;
	int order = -1;

	while (*link && (order = xattr_order(inode, (*link)->name, name)) < 0)
		link = &(*link)->next;
	*is_there = *link && !order;
	return link;
}

void xattrs_free(struct inode *inode)
{
	struct xattr *x;

	while ((x = inode->xattrs)) {
		inode->xattrs = x->next;
		kfree(x);
	}
}

static struct xattr *xattr_alloc(const char *name, u32 size)
{
	size_t name_size = strlen(name) + 1;
	struct xattr *x = kmalloc(sizeof(*x) + name_size + size, GFP_KERNEL_ACCOUNT);

	if (!x)
		return NULL;
	x->size = size;
	x->name_size = name_size;
	memcpy(x->name, name, name_size);
	x->value = x->name + name_size;
	return x;
}

int xattr_add(struct inode *inode, const char *name, const void *value, u32 size)
{
	struct xattr **link, *x;
	bool is_there;

	link = find(inode, name, &is_there);
	if (is_there)
		return 0;
	x = xattr_alloc(name, size);
	if (!x)
		return -ENOMEM;
	memcpy(x->value, value, size);
	x->next = *link;
	*link = x;
	return 0;
}

/* Make sure that the list is in memory. 0 or -errno. inode->lock held for writing. */
static int xattrs_ready(struct inode *inode)
{
	int err;

	if (!inode->sb || !inode->sb->ops->xattr_load || inode->xattrs_loaded)
		return 0;
	err = inode->sb->ops->xattr_load(inode);
	if (err)
		xattrs_free(inode); /* all or none */
	inode->xattrs_loaded = !err;
	return err;
}

/* Take inode->lock for reading, with the list in memory. 0, or -errno: the lock is not held. */
static int lock_to_read(struct inode *inode)
{
	int err;

	if (inode->sb && inode->sb->ops->xattr_load && !READ_ONCE(inode->xattrs_loaded)) {
		down_write(&inode->lock);
		err = xattrs_ready(inode);
		up_write(&inode->lock);
		if (err)
			return err;
	}
	down_read(&inode->lock);
	return 0;
}

/* ---- the operations: of a file, with a name that has been copied ------------------------------- */

/* Set the attribute to `new`; NULL: remove it. */
static long change(struct inode *inode, const char *name, struct xattr *new, u32 flags)
{
	struct xattr **link, *old = NULL;
	bool is_there;
	long ret;

	down_write(&inode->lock);
	ret = xattr_permission(inode, name, MAY_WRITE);
	if (!ret)
		ret = xattr_supported(inode, name);
	if (!ret)
		ret = xattrs_ready(inode);
	if (ret)
		goto out;
	link = find(inode, name, &is_there);
	if (is_there && flags & XATTR_CREATE) {
		ret = -EEXIST;
	} else if (!is_there && flags & XATTR_REPLACE) {
		ret = -ENODATA;
	} else {
		if (is_there) {
			old = *link;
			*link = old->next;
		}
		if (new) {
			new->next = *link;
			*link = new;
		}
		if (inode->sb->ops->xattr_store)
			ret = inode->sb->ops->xattr_store(inode);
		if (ret && new)
			*link = new->next;
		if (ret && old) {
			old->next = *link;
			*link = old;
		}
		if (!ret)
			inode_touch(inode, S_CTIME);
	}
out:
	up_write(&inode->lock);
	kfree(ret ? new : old);
	return ret;
}

/* Create an attribute with a value from user memory. *out receives it. */
static long copy_value(const char *name, unsigned long value, size_t size, struct xattr **out)
{
	struct xattr *x;

	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	x = xattr_alloc(name, size);
	if (!x)
		return -ENOMEM;
	if (size && copy_from_user(x->value, value, size)) {
		kfree(x);
		return -EFAULT;
	}
	*out = x;
	return 0;
}

static long get(struct inode *inode, const char *name, unsigned long buf, size_t size)
{
	struct xattr **link;
	bool is_there;
	long ret = lock_to_read(inode);

	if (ret)
		return ret;
	ret = xattr_permission(inode, name, MAY_READ);
	if (!ret)
		ret = xattr_supported(inode, name);
	if (ret)
		goto out;
	link = find(inode, name, &is_there);
	if (!is_there)
		ret = -ENODATA;
	else if (size && (*link)->size > size)
		ret = -ERANGE;
	else if (size && copy_to_user(buf, (*link)->value, (*link)->size))
		ret = -EFAULT;
	else
		ret = (*link)->size;
out:
	up_read(&inode->lock);
	return ret;
}

static long list(struct inode *inode, unsigned long buf, size_t size)
{
	const bool all = capable(CAP_SYS_ADMIN);
	size_t done = 0;
	long ret = lock_to_read(inode);

	/* The file system supports no attributes, so the list is empty. */
	if (ret)
		return ret == -EOPNOTSUPP ? 0 : ret;
	for (struct xattr *x = inode->xattrs; x && !ret; x = x->next) {
		if (!all && name_space(x->name) == SPACE_TRUSTED)
			continue;
		if (size && done + x->name_size > size)
			ret = -ERANGE;
		else if (size && copy_to_user(buf + done, x->name, x->name_size))
			ret = -EFAULT;
		done += x->name_size;
	}
	up_read(&inode->lock);
	return ret ? ret : (long)done;
}

/* ---- system calls ------------------------------------------------------------------------------ */

/* How a call names its file. */
enum by { BY_PATH, BY_LINK, BY_FD };

static long get_target(struct target *t, enum by by, unsigned long arg)
{
	long ret;

	if (by == BY_FD)
		ret = target_by_open_fd(t, (int)arg);
	else
		ret = target_get(t, AT_FDCWD, arg, by == BY_LINK ? AT_SYMLINK_NOFOLLOW : 0);
	if (!ret && !t->inode) {
		target_put(t);
		ret = -EOPNOTSUPP;
	}
	return ret;
}

/* -ERANGE: no name, or too long a one. */
static long copy_name(char name[XATTR_NAME_MAX + 1], unsigned long user)
{
	long len = strncpy_from_user(name, user, XATTR_NAME_MAX + 1);

	if (len == 0 || len == -ENAMETOOLONG)
		return -ERANGE;
	return len < 0 ? len : 0;
}

static long set_call(const struct pt_regs *r, enum by by)
{
	const u32 flags = (u32)r->r8;
	char name[XATTR_NAME_MAX + 1];
	struct xattr *x = NULL;
	struct target t;
	long ret = get_target(&t, by, r->rdi);

	if (ret)
		return ret;
	if (target_read_only(&t))
		ret = -EROFS;
	else if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		ret = -EINVAL;
	else
		ret = copy_name(name, r->rsi);
	if (!ret)
		ret = copy_value(name, r->rdx, r->r10, &x);
	if (!ret)
		ret = change(t.inode, name, x, flags);
	if (!ret)
		notify_dentry(target_dentry(&t), IN_ATTRIB);
	target_put(&t);
	return ret;
}

static long get_call(const struct pt_regs *r, enum by by)
{
	char name[XATTR_NAME_MAX + 1];
	struct target t;
	long ret = get_target(&t, by, r->rdi);

	if (ret)
		return ret;
	ret = copy_name(name, r->rsi);
	if (!ret)
		ret = get(t.inode, name, r->rdx, r->r10);
	target_put(&t);
	return ret;
}

static long list_call(const struct pt_regs *r, enum by by)
{
	struct target t;
	long ret = get_target(&t, by, r->rdi);

	if (ret)
		return ret;
	ret = list(t.inode, r->rsi, r->rdx);
	target_put(&t);
	return ret;
}

static long remove_call(const struct pt_regs *r, enum by by)
{
	char name[XATTR_NAME_MAX + 1];
	struct target t;
	long ret = get_target(&t, by, r->rdi);

	if (ret)
		return ret;
	ret = target_read_only(&t) ? -EROFS : copy_name(name, r->rsi);
	if (!ret)
		ret = change(t.inode, name, NULL, XATTR_REPLACE);
	if (!ret)
		notify_dentry(target_dentry(&t), IN_ATTRIB);
	target_put(&t);
	return ret;
}

long sys_setxattr(struct pt_regs *r)
{
	return set_call(r, BY_PATH);
}

long sys_lsetxattr(struct pt_regs *r)
{
	return set_call(r, BY_LINK);
}

long sys_fsetxattr(struct pt_regs *r)
{
	return set_call(r, BY_FD);
}

long sys_getxattr(struct pt_regs *r)
{
	return get_call(r, BY_PATH);
}

long sys_lgetxattr(struct pt_regs *r)
{
	return get_call(r, BY_LINK);
}

long sys_fgetxattr(struct pt_regs *r)
{
	return get_call(r, BY_FD);
}

long sys_listxattr(struct pt_regs *r)
{
	return list_call(r, BY_PATH);
}

long sys_llistxattr(struct pt_regs *r)
{
	return list_call(r, BY_LINK);
}

long sys_flistxattr(struct pt_regs *r)
{
	return list_call(r, BY_FD);
}

long sys_removexattr(struct pt_regs *r)
{
	return remove_call(r, BY_PATH);
}

long sys_lremovexattr(struct pt_regs *r)
{
	return remove_call(r, BY_LINK);
}

long sys_fremovexattr(struct pt_regs *r)
{
	return remove_call(r, BY_FD);
}
