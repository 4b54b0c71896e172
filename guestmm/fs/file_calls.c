/*
 * The system calls that take names: opening, creating, removing and querying files.
 *
 * A name is copied from the program once, to the stack if it is short, otherwise to a page. The other
 * files of fs/ do the work.
 */
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "fs/internal.h"
#include "fs/notify.h"
#include "kernel/cred.h"
#include "fs/user_path.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"

long user_path_get(struct user_path *p, unsigned long user)
{
	long len = strncpy_from_user(p->small, user, sizeof(p->small));

	p->big = NULL;
	p->name = p->small;
	if (len >= 0 || len != -ENAMETOOLONG)
		return len;
	p->big = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!p->big)
		return -ENOMEM;
	p->name = p->big;
	len = strncpy_from_user(p->big, user, PATH_MAX);
	if (len < 0)
		kfree(p->big);
	return len;
}

void user_path_put(struct user_path *p)
{
	kfree(p->big);
}

/* ---- opening ---------------------------------------------------------------------------------- */

static long do_open(int dfd, unsigned long name, u32 flags, u32 mode)
{
	struct user_path p;
	struct file *f;
	long ret = user_path_get(&p, name);

	if (ret < 0)
		return ret;
	ret = vfs_open(dfd, p.name, flags, mode, &f);
	user_path_put(&p);
	if (ret)
		return ret;
	notify_file(f, IN_OPEN);
	ret = fd_install(f, 0, flags & O_CLOEXEC);
	if (ret < 0)
		file_put(f);
	return ret;
}

long sys_open(struct pt_regs *r)
{
	return do_open(AT_FDCWD, r->rdi, r->rsi, r->rdx);
}

long sys_openat(struct pt_regs *r)
{
	return do_open((int)r->rdi, r->rsi, r->rdx, r->r10);
}

long sys_creat(struct pt_regs *r)
{
	return do_open(AT_FDCWD, r->rdi, O_CREAT | O_WRONLY | O_TRUNC, r->rsi);
}

/* ---- one name --------------------------------------------------------------------------------- */

/* The arguments of a call with names; the names are in kernel memory. */
struct name_args {
	int dfd, new_dfd;
	u32 mode, dev, flags;
	const char *name, *new_name; /* set by with_name(), with_names() */
};

static long with_name(unsigned long user, int (*call)(const struct name_args *a),
		      struct name_args a)
{
	struct user_path p;
	long ret = user_path_get(&p, user);

	if (ret < 0)
		return ret;
	a.name = p.name;
	ret = call(&a);
	user_path_put(&p);
	return ret;
}

static int mkdir_at(const struct name_args *a)
{
	return vfs_mkdir(a->dfd, a->name, a->mode);
}

long sys_mkdir(struct pt_regs *r)
{
	return with_name(r->rdi, mkdir_at, (struct name_args){.dfd = AT_FDCWD, .mode = r->rsi});
}

long sys_mkdirat(struct pt_regs *r)
{
	return with_name(r->rsi, mkdir_at, (struct name_args){.dfd = (int)r->rdi, .mode = r->rdx});
}

static int mknod_at(const struct name_args *a)
{
	return vfs_mknod(a->dfd, a->name, a->mode, a->dev);
}

/* The device number as the kernel passes it, in 32 bits: minor in bits 0-7 and 20-31, major between. */
long sys_mknod(struct pt_regs *r)
{
	return with_name(r->rdi, mknod_at,
			 (struct name_args){.dfd = AT_FDCWD, .mode = r->rsi, .dev = r->rdx});
}

long sys_mknodat(struct pt_regs *r)
{
	return with_name(r->rsi, mknod_at,
			 (struct name_args){.dfd = (int)r->rdi, .mode = r->rdx, .dev = r->r10});
}

static int unlink_at(const struct name_args *a)
{
	return a->flags & AT_REMOVEDIR ? vfs_rmdir(a->dfd, a->name) : vfs_unlink(a->dfd, a->name);
}

long sys_unlink(struct pt_regs *r)
{
	return with_name(r->rdi, unlink_at, (struct name_args){.dfd = AT_FDCWD});
}

long sys_rmdir(struct pt_regs *r)
{
	return with_name(r->rdi, unlink_at,
			 (struct name_args){.dfd = AT_FDCWD, .flags = AT_REMOVEDIR});
}

long sys_unlinkat(struct pt_regs *r)
{
	if ((u32)r->rdx & ~AT_REMOVEDIR)
		return -EINVAL;
	return with_name(r->rsi, unlink_at,
			 (struct name_args){.dfd = (int)r->rdi, .flags = r->rdx});
}

static long do_readlink(int dfd, unsigned long name, unsigned long to, s32 size)
{
	struct user_path p;
	struct path path;
	char *buf;
	long ret;

	if (size <= 0)
		return -EINVAL;
	ret = user_path_get(&p, name);
	if (ret < 0)
		return ret;
	if (!ret) { /* "": the link that an O_PATH descriptor refers to */
		struct file *f = dfd >= 0 ? fd_get(dfd) : NULL;

		ret = f && f->path.dentry && S_ISLNK(f->inode->mode) ? 0 : -ENOENT;
		if (!ret) {
			path = f->path;
			path_get(&path);
		}
		if (f)
			file_put(f);
	} else {
		ret = path_lookup(dfd, p.name, 0, &path);
	}
	user_path_put(&p);
	if (ret)
		return ret;
	ret = -EINVAL;
	if (!S_ISLNK(path.dentry->inode->mode))
		goto put;
	ret = -ENOMEM;
	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!buf)
		goto put;
	ret = path.dentry->inode->ops->readlink(path.dentry->inode, buf, PATH_MAX);
	if (ret >= 0) {
		ret = min(ret, (long)size);
		if (copy_to_user(to, buf, ret))
			ret = -EFAULT;
	}
	kfree(buf);
put:
	path_put(&path);
	return ret;
}

long sys_readlink(struct pt_regs *r)
{
	return do_readlink(AT_FDCWD, r->rdi, r->rsi, r->rdx);
}

long sys_readlinkat(struct pt_regs *r)
{
	return do_readlink((int)r->rdi, r->rsi, r->rdx, r->r10);
}

/* ---- two names -------------------------------------------------------------------------------- */

static long with_names(unsigned long old, unsigned long new, int (*call)(const struct name_args *a),
		       struct name_args a)
{
	struct user_path p, q;
	long ret = user_path_get(&p, old);

	if (ret < 0)
		return ret;
	a.name = p.name;
	ret = user_path_get(&q, new);
	if (ret >= 0) {
		a.new_name = q.name;
		ret = call(&a);
		user_path_put(&q);
	}
	user_path_put(&p);
	return ret;
}

static int symlink_at(const struct name_args *a)
{
	return vfs_symlink(a->name, a->new_dfd, a->new_name);
}

long sys_symlink(struct pt_regs *r)
{
	return with_names(r->rdi, r->rsi, symlink_at, (struct name_args){.new_dfd = AT_FDCWD});
}

long sys_symlinkat(struct pt_regs *r)
{
	return with_names(r->rdi, r->rdx, symlink_at, (struct name_args){.new_dfd = (int)r->rsi});
}

static int link_at(const struct name_args *a)
{
	return vfs_link(a->dfd, a->name, a->new_dfd, a->new_name, a->flags);
}

static int rename_at(const struct name_args *a)
{
	return vfs_rename(a->dfd, a->name, a->new_dfd, a->new_name, a->flags);
}

/* link(2) and rename(2): both names are relative to the working directory. */
static const struct name_args here = {.dfd = AT_FDCWD, .new_dfd = AT_FDCWD};

/* linkat(2) and renameat2(2) have descriptors, names and flags in the same registers. */
static struct name_args there(const struct pt_regs *r, u32 flags)
{
	return (struct name_args){.dfd = (int)r->rdi, .new_dfd = (int)r->rdx, .flags = flags};
}

long sys_link(struct pt_regs *r)
{
	return with_names(r->rdi, r->rsi, link_at, here);
}

long sys_linkat(struct pt_regs *r)
{
	return with_names(r->rsi, r->r10, link_at, there(r, r->r8));
}

long sys_rename(struct pt_regs *r)
{
	return with_names(r->rdi, r->rsi, rename_at, here);
}

long sys_renameat(struct pt_regs *r)
{
	return with_names(r->rsi, r->r10, rename_at, there(r, 0));
}

long sys_renameat2(struct pt_regs *r)
{
	return with_names(r->rsi, r->r10, rename_at, there(r, r->r8));
}

/* ---- where the process is --------------------------------------------------------------------- */

static long look_up_directory(unsigned long name, struct path *path)
{
	struct user_path p;
	long ret = user_path_get(&p, name);

	if (ret < 0)
		return ret;
	ret = path_lookup(AT_FDCWD, p.name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, path);
	user_path_put(&p);
	if (ret)
		return ret;
	ret = inode_permission(path->dentry->inode, MAY_EXEC);
	if (ret)
		path_put(path);
	return ret;
}

long sys_chdir(struct pt_regs *r)
{
	struct path path;
	long ret = look_up_directory(r->rdi, &path);

	if (!ret)
		fs_set_pwd(&path);
	return ret;
}

long sys_chroot(struct pt_regs *r)
{
	struct path path;
	long ret = look_up_directory(r->rdi, &path);

	if (!ret && !capable(CAP_SYS_CHROOT)) {
		path_put(&path);
		ret = -EPERM;
	}
	if (!ret)
		fs_set_root(&path);
	return ret;
}

long sys_fchdir(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	struct path path;
	long ret = -ENOTDIR;

	if (!f)
		return -EBADF;
	if (f->inode && S_ISDIR(f->inode->mode) && f->path.dentry)
		ret = inode_permission(f->inode, MAY_EXEC);
	if (!ret) {
		path = f->path;
		path_get(&path);
		fs_set_pwd(&path);
	}
	file_put(f);
	return ret;
}

long sys_getcwd(struct pt_regs *r)
{
	char *buf = kmalloc(PATH_MAX, GFP_KERNEL), *name;
	static const char unreachable[] = "(unreachable)";
	const size_t before = sizeof(unreachable) - 1;
	struct path pwd;
	size_t len;
	long ret;

	if (!buf)
		return -ENOMEM;
	fs_get_pwd(&pwd);
	ret = -ENOENT;
	if (pwd.dentry->unlinked)
		goto out;
	ret = -ENAMETOOLONG;
	name = path_name(&pwd, buf + before, PATH_MAX - before);
	if (!name)
		goto out;
	if (READ_ONCE(pwd.mnt->detached)) {
		name -= before;
		memcpy(name, unreachable, before);
	}
	len = strlen(name) + 1;
	ret = -ERANGE;
	if (len <= r->rsi)
		ret = copy_to_user(r->rdi, name, len) ? -EFAULT : (long)len;
out:
	path_put(&pwd);
	kfree(buf);
	return ret;
}

long sys_umask(struct pt_regs *r)
{
	return atomic_xchg(&current_fs()->umask, (u32)r->rdi & 0777);
}

/* ---- mounting --------------------------------------------------------------------------------- */

long sys_mount(struct pt_regs *r)
{
	const char *nothing = r->r10 & (MS_BIND | MS_MOVE) ? "" : "none";
	struct user_path source = {.name = nothing}, target, type = {.name = NULL},
			 options = {.name = ""};
	long ret;

	ret = user_path_get(&target, r->rsi);
	if (ret < 0)
		return ret;
	if (r->rdi)
		ret = user_path_get(&source, r->rdi);
	if (ret < 0)
		goto put_target;
	if (r->rdx)
		ret = user_path_get(&type, r->rdx);
	if (ret < 0)
		goto put_source;
	if (r->r8)
		ret = user_path_get(&options, r->r8);
	if (ret < 0)
		goto put_type;
	ret = vfs_mount(type.name, source.name, target.name, r->r10, options.name);
	if (r->r8)
		user_path_put(&options);
put_type:
	if (r->rdx)
		user_path_put(&type);
put_source:
	if (r->rdi)
		user_path_put(&source);
put_target:
	user_path_put(&target);
	return ret;
}

long sys_umount2(struct pt_regs *r)
{
	struct user_path p;
	long ret;

	if ((u32)r->rsi & ~(1u | 2u | 4u | 8u)) /* MNT_FORCE DETACH EXPIRE, UMOUNT_NOFOLLOW */
		return -EINVAL;
	ret = user_path_get(&p, r->rdi);
	if (ret < 0)
		return ret;
	ret = vfs_umount(p.name, (u32)r->rsi);
	user_path_put(&p);
	return ret;
}
