/* The system calls that set the times of files: utimensat(2) and the older ones. */
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "fs/internal.h"
#include "fs/notify.h"
#include "fs/target.h"

struct timespec64 {
	s64 sec, nsec;
};
#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe

static bool valid_nsec(s64 nsec)
{
	return nsec == UTIME_NOW || nsec == UTIME_OMIT || (nsec >= 0 && nsec < 1000000000);
}

static void set_time(struct vfs_time *to, const struct timespec64 *t)
{
	if (t->nsec == UTIME_OMIT)
		return;
	*to = t->nsec == UTIME_NOW ? current_time() : (struct vfs_time){t->sec, t->nsec};
}

static long set_times(struct target *t, const struct timespec64 ts[2])
{
	struct inode *inode = t->inode;

	if (target_read_only(t))
		return -EROFS;
	if (!inode)
		return 0;
	if (!inode_owner_or_capable(inode)) {
		int err = ts[0].nsec == UTIME_NOW && ts[1].nsec == UTIME_NOW
				  ? inode_permission(inode, MAY_WRITE)
				  : -EPERM;

		if (err)
			return err;
	}
	down_write(&inode->lock);
	set_time(&inode->atime, &ts[0]);
	set_time(&inode->mtime, &ts[1]);
	inode_touch(inode, S_CTIME);
	up_write(&inode->lock);
	return 0;
}

static long times_call(int dfd, unsigned long name, const struct timespec64 ts[2], u32 flags)
{
	struct target t;
	long ret;

	if (ts[0].nsec == UTIME_OMIT && ts[1].nsec == UTIME_OMIT)
		return 0;
	if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	ret = name ? target_get(&t, dfd, name, flags) : target_by_open_fd(&t, dfd);
	if (ret)
		return ret;
	ret = set_times(&t, ts);
	if (!ret)
		notify_dentry(target_dentry(&t), ts[1].nsec == UTIME_OMIT   ? IN_ACCESS
						 : ts[0].nsec == UTIME_OMIT ? IN_MODIFY
									    : IN_ATTRIB);
	target_put(&t);
	return ret;
}

long sys_utimensat(struct pt_regs *r)
{
	struct timespec64 ts[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};

	if (r->rdx && copy_from_user(ts, r->rdx, sizeof(ts)))
		return -EFAULT;
	if (!valid_nsec(ts[0].nsec) || !valid_nsec(ts[1].nsec))
		return -EINVAL;
	if (!r->rsi && (int)r->rdi == AT_FDCWD)
		return -EFAULT;
	if (!r->rsi && r->r10)
		return -EINVAL;
	return times_call((int)r->rdi, r->rsi, ts, r->r10);
}

long sys_utime(struct pt_regs *r)
{
	struct timespec64 ts[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
	s64 sec[2];

	if (r->rsi) {
		if (copy_from_user(sec, r->rsi, sizeof(sec)))
			return -EFAULT;
		ts[0] = (struct timespec64){sec[0], 0};
		ts[1] = (struct timespec64){sec[1], 0};
	}
	if (!r->rdi)
		return -EFAULT;
	return times_call(AT_FDCWD, r->rdi, ts, 0);
}

static long timeval_call(int dfd, unsigned long name, unsigned long user)
{
	struct timespec64 ts[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};

	if (user) {
		if (copy_from_user(ts, user, sizeof(ts)))
			return -EFAULT;
		for (int i = 0; i < 2; i++) {
			if (ts[i].nsec < 0 || ts[i].nsec >= 1000000)
				return -EINVAL;
			ts[i].nsec *= 1000;
		}
	}
	if (!name)
		return -EFAULT;
	return times_call(dfd, name, ts, 0);
}

long sys_utimes(struct pt_regs *r)
{
	return timeval_call(AT_FDCWD, r->rdi, r->rsi);
}

long sys_futimesat(struct pt_regs *r)
{
	return timeval_call((int)r->rdi, r->rsi, r->rdx);
}
