/*
 * The system calls that ask about files and change what they are: stat and its relatives, modes,
 * owners, times, sizes, and what makes them safe on the disk.
 *
 * Most take "a file" in one of three ways: by name, by a name relative to a descriptor, or by the
 * descriptor itself (AT_EMPTY_PATH). target_get() turns all of them into an inode and its mount.
 */
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "fs/internal.h"
#include "kernel/cred.h"
#include "fs/user_path.h"
#include "lib/errno.h"
#include "lib/string.h"

struct target {
	struct path path;  /* with references, or empty */
	struct file *file; /* with a reference, or NULL */
	struct inode *inode;
};

static long target_by_fd(struct target *t, int fd)
{
	t->path = (struct path){NULL, NULL};
	t->file = fd_get(fd);
	if (!t->file)
		return -EBADF;
	t->inode = t->file->inode;
	return 0;
}

static long target_get(struct target *t, int dfd, unsigned long name, u32 flags)
{
	struct user_path p;
	long ret = user_path_get(&p, name);

	if (ret < 0)
		return ret;
	t->file = NULL;
	if (!ret && flags & AT_EMPTY_PATH) {
		user_path_put(&p);
		if (dfd != AT_FDCWD)
			return target_by_fd(t, dfd);
		fs_get_pwd(&t->path);
	} else {
		ret = path_lookup_file(dfd, p.name, flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW,
				       &t->path, &t->file);
		user_path_put(&p);
		if (ret)
			return ret;
	}
	t->inode = t->file ? t->file->inode : t->path.dentry->inode;
	return 0;
}

static void target_put(struct target *t)
{
	path_put(&t->path);
	if (t->file)
		file_put(t->file);
}

static bool target_read_only(const struct target *t)
{
	const struct mount *m = t->file ? t->file->path.mnt : t->path.mnt;

	return m && m->read_only;
}

/* ---- stat ------------------------------------------------------------------------------------- */

/* Pipes and the like have no inode: what Linux shows of them. */
static void target_stat(const struct target *t, struct vfs_stat *st)
{
	if (t->inode) {
		vfs_getattr(t->inode, st);
		return;
	}
	*st = (struct vfs_stat){
		.mode = S_IFIFO | 0600,
		.nlink = 1,
		.ino = (unsigned long)t->file->private >> 6 & 0xffffff,
		.dev = 13,
		.blksize = PAGE_SIZE,
	};
}

static long stat_call(int dfd, unsigned long name, unsigned long to, u32 flags)
{
	struct vfs_stat st;
	struct target t;
	long ret = target_get(&t, dfd, name, flags);

	if (ret)
		return ret;
	target_stat(&t, &st);
	target_put(&t);
	return copy_to_user(to, &st, sizeof(st)) ? -EFAULT : 0;
}

long sys_stat(struct pt_regs *r)
{
	return stat_call(AT_FDCWD, r->rdi, r->rsi, 0);
}

long sys_lstat(struct pt_regs *r)
{
	return stat_call(AT_FDCWD, r->rdi, r->rsi, AT_SYMLINK_NOFOLLOW);
}

long sys_fstat(struct pt_regs *r)
{
	struct vfs_stat st;
	struct target t;
	long ret = target_by_fd(&t, r->rdi);

	if (ret)
		return ret;
	target_stat(&t, &st);
	target_put(&t);
	return copy_to_user(r->rsi, &st, sizeof(st)) ? -EFAULT : 0;
}

long sys_newfstatat(struct pt_regs *r)
{
	if ((u32)r->r10 & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -EINVAL;
	return stat_call((int)r->rdi, r->rsi, r->rdx, r->r10);
}

struct statx_time {
	s64 sec;
	u32 nsec;
	s32 pad;
};
struct statx {
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode, pad;
	u64 ino, size, blocks, attributes_mask;
	struct statx_time atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor, dev_major, dev_minor;
	u64 mnt_id, spare[13];
};
_Static_assert(sizeof(struct statx) == 256, "Linux's ABI");
#define STATX_BASIC_STATS 0x7ffu
#define STATX_RESERVED	  0x80000000u
#define AT_STATX_SYNC	  0x6000u

long sys_statx(struct pt_regs *r)
{
	struct vfs_stat st;
	struct statx sx;
	struct target t;
	long ret;

	if ((u32)r->r10 & STATX_RESERVED || ((u32)r->rdx & AT_STATX_SYNC) == AT_STATX_SYNC ||
	    (u32)r->rdx & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC))
		return -EINVAL;
	ret = target_get(&t, (int)r->rdi, r->rsi, r->rdx);
	if (ret)
		return ret;
	target_stat(&t, &st);
	target_put(&t);
	sx = (struct statx){
		.mask = STATX_BASIC_STATS,
		.blksize = st.blksize,
		.nlink = st.nlink,
		.uid = st.uid,
		.gid = st.gid,
		.mode = st.mode,
		.ino = st.ino,
		.size = st.size,
		.blocks = st.blocks,
		.atime = {st.atime, st.atime_nsec, 0},
		.ctime = {st.ctime, st.ctime_nsec, 0},
		.mtime = {st.mtime, st.mtime_nsec, 0},
		.rdev_major = st.rdev >> 8,
		.rdev_minor = st.rdev & 0xff,
		.dev_major = st.dev >> 8,
		.dev_minor = st.dev & 0xff,
	};
	return copy_to_user(r->r8, &sx, sizeof(sx)) ? -EFAULT : 0;
}

/* ---- access: by the real ids, unless AT_EACCESS says otherwise -------------------------------- */

static long access_call(int dfd, unsigned long name, u32 mode, u32 flags)
{
	struct target t;
	long ret;

	if (mode & ~7u || flags & ~(u32)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	ret = target_get(&t, dfd, name, flags);
	if (ret)
		return ret;
	if (mode && t.inode)
		ret = flags & AT_EACCESS ? inode_permission(t.inode, mode)
					 : inode_permission_real(t.inode, mode);
	if (!ret && mode & MAY_EXEC && t.inode && S_ISREG(t.inode->mode) &&
	    path_noexec(t.file ? &t.file->path : &t.path))
		ret = -EACCES;
	if (!ret && mode & MAY_WRITE && target_read_only(&t) && t.inode &&
	    (S_ISREG(t.inode->mode) || S_ISDIR(t.inode->mode) || S_ISLNK(t.inode->mode)))
		ret = -EROFS;
	target_put(&t);
	return ret;
}

long sys_access(struct pt_regs *r)
{
	return access_call(AT_FDCWD, r->rdi, r->rsi, 0);
}

long sys_faccessat(struct pt_regs *r)
{
	return access_call((int)r->rdi, r->rsi, r->rdx, 0);
}

long sys_faccessat2(struct pt_regs *r)
{
	return access_call((int)r->rdi, r->rsi, r->rdx, r->r10);
}

/* ---- changing --------------------------------------------------------------------------------- */

static long set_mode(struct target *t, u32 mode)
{
	struct inode *inode = t->inode;

	if (target_read_only(t))
		return -EROFS;
	if (!inode)
		return 0;
	if (!inode_owner_or_capable(inode))
		return -EPERM;
	if (!in_group(inode->gid) && !capable(CAP_FSETID))
		mode &= ~S_ISGID;
	down_write(&inode->lock);
	inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
	inode_touch(inode, false);
	up_write(&inode->lock);
	return 0;
}

static long chmod_call(int dfd, unsigned long name, u32 mode)
{
	struct target t;
	long ret = target_get(&t, dfd, name, 0);

	if (ret)
		return ret;
	ret = set_mode(&t, mode);
	target_put(&t);
	return ret;
}

long sys_chmod(struct pt_regs *r)
{
	return chmod_call(AT_FDCWD, r->rdi, r->rsi);
}

long sys_fchmodat(struct pt_regs *r)
{
	return chmod_call((int)r->rdi, r->rsi, r->rdx);
}

/* A descriptor that is a real one, not O_PATH's. */
static long target_by_open_fd(struct target *t, int fd)
{
	long ret = target_by_fd(t, fd);

	if (!ret && t->file->flags & O_PATH) {
		target_put(t);
		ret = -EBADF;
	}
	return ret;
}

long sys_fchmod(struct pt_regs *r)
{
	struct target t;
	long ret = target_by_open_fd(&t, r->rdi);

	if (ret)
		return ret;
	ret = set_mode(&t, r->rsi);
	target_put(&t);
	return ret;
}

/* The owner may give a file to another of his groups, and keep it. */
static bool may_chown(const struct inode *inode, u32 uid, u32 gid)
{
	bool mine = current_cred()->fsuid == inode->uid;

	if (capable(CAP_CHOWN))
		return true;
	if (uid != ~0u && (!mine || uid != inode->uid))
		return false;
	return gid == ~0u || (mine && (gid == inode->gid || in_group(gid)));
}

static long set_owner(struct target *t, u32 uid, u32 gid)
{
	struct inode *inode = t->inode;

	if (target_read_only(t))
		return -EROFS;
	if (!inode)
		return 0;
	if (!may_chown(inode, uid, gid))
		return -EPERM;
	down_write(&inode->lock);
	if (uid != ~0u)
		inode->uid = uid;
	if (gid != ~0u)
		inode->gid = gid;
	if (!S_ISDIR(inode->mode) && (uid != ~0u || gid != ~0u))
		inode->mode &= ~(inode->mode & 010 ? 06000u : 04000u);
	inode_touch(inode, false);
	up_write(&inode->lock);
	return 0;
}

static long chown_call(int dfd, unsigned long name, u32 uid, u32 gid, u32 flags)
{
	struct target t;
	long ret;

	if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	ret = target_get(&t, dfd, name, flags);
	if (ret)
		return ret;
	ret = set_owner(&t, uid, gid);
	target_put(&t);
	return ret;
}

long sys_chown(struct pt_regs *r)
{
	return chown_call(AT_FDCWD, r->rdi, r->rsi, r->rdx, 0);
}

long sys_lchown(struct pt_regs *r)
{
	return chown_call(AT_FDCWD, r->rdi, r->rsi, r->rdx, AT_SYMLINK_NOFOLLOW);
}

long sys_fchownat(struct pt_regs *r)
{
	return chown_call((int)r->rdi, r->rsi, r->rdx, r->r10, r->r8);
}

long sys_fchown(struct pt_regs *r)
{
	struct target t;
	long ret = target_by_open_fd(&t, r->rdi);

	if (ret)
		return ret;
	ret = set_owner(&t, r->rsi, r->rdx);
	target_put(&t);
	return ret;
}

/* ---- times ------------------------------------------------------------------------------------ */

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
	inode_touch(inode, false);
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

/* ---- sizes ------------------------------------------------------------------------------------ */

long sys_truncate(struct pt_regs *r)
{
	struct target t;
	long ret;

	if ((s64)r->rsi < 0)
		return -EINVAL;
	ret = target_get(&t, AT_FDCWD, r->rdi, 0);
	if (ret)
		return ret;
	if (S_ISDIR(t.inode->mode))
		ret = -EISDIR;
	else if (!S_ISREG(t.inode->mode))
		ret = -EINVAL;
	else if (target_read_only(&t))
		ret = -EROFS;
	else
		ret = inode_permission(t.inode, MAY_WRITE);
	if (!ret)
		ret = inode_get_write(t.inode);
	if (!ret) {
		file_remove_privs(t.inode);
		ret = vfs_truncate(t.inode, r->rsi);
		inode_put_write(t.inode);
	}
	target_put(&t);
	return ret;
}

long sys_ftruncate(struct pt_regs *r)
{
	struct file *f;
	long ret;

	if ((s64)r->rsi < 0)
		return -EINVAL;
	f = fd_get(r->rdi);
	if (!f)
		return -EBADF;
	if (f->flags & O_PATH)
		ret = -EBADF;
	else if (!f->inode || !S_ISREG(f->inode->mode) || !file_can_write(f))
		ret = -EINVAL;
	else
		ret = vfs_truncate(f->inode, r->rsi);
	file_put(f);
	return ret;
}

#define FALLOC_KNOWN 0x7fu

static long do_fallocate(struct file *f, u32 mode, s64 offset, s64 len)
{
	struct inode *inode = f->inode;
	int err;

	if (offset < 0 || len <= 0)
		return -EINVAL;
	if (mode & ~FALLOC_KNOWN)
		return -EOPNOTSUPP;
	if (mode & FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!file_can_write(f))
		return -EBADF;
	if (!inode || (inode->mode & S_IFMT) == S_IFIFO)
		return -ESPIPE;
	if (S_ISDIR(inode->mode))
		return -EISDIR;
	if (!S_ISREG(inode->mode))
		return -ENODEV;
	if (offset > (s64)(inode->sb->max_size - len))
		return -EFBIG;
	if (!inode->ops->fallocate)
		return -EOPNOTSUPP;
	down_write(&inode->lock);
	err = inode->ops->fallocate(inode, mode, offset, len);
	if (!err)
		inode_touch(inode, true);
	up_write(&inode->lock);
	return err;
}

long sys_fallocate(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH ? -EBADF : do_fallocate(f, r->rsi, r->rdx, r->r10);
	file_put(f);
	return ret;
}

/* ---- safe on the disk ------------------------------------------------------------------------- */

static long fsync_call(unsigned int fd, u64 start, u64 end, bool datasync)
{
	struct file *f = fd_get(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH ? -EBADF : vfs_fsync(f, start, end, datasync);
	file_put(f);
	return ret;
}

long sys_fsync(struct pt_regs *r)
{
	return fsync_call(r->rdi, 0, ~0ull, false);
}

long sys_fdatasync(struct pt_regs *r)
{
	return fsync_call(r->rdi, 0, ~0ull, true);
}

long sys_sync(struct pt_regs *r)
{
	vfs_sync();
	return 0;
}

long sys_syncfs(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH ? -EBADF : f->path.mnt ? sync_filesystem(f->path.mnt->sb) : 0;
	file_put(f);
	return ret;
}

/* SYNC_FILE_RANGE_WAIT_BEFORE, WRITE, WAIT_AFTER: whichever, the range is written and waited for. */
long sys_sync_file_range(struct pt_regs *r)
{
	s64 offset = r->rsi, len = r->rdx;
	struct file *f;
	long ret = 0;

	if ((u32)r->r10 & ~7u || offset < 0 || len < 0 || len > __LONG_MAX__ - offset)
		return -EINVAL;
	f = fd_get(r->rdi);
	if (!f)
		return -EBADF;
	if (f->flags & O_PATH)
		ret = -EBADF;
	else if (!f->mapping)
		ret = f->inode && S_ISDIR(f->inode->mode) ? 0 : -ESPIPE;
	else if (!(f->mapping->flags & AS_SHMEM) && (u32)r->r10)
		ret = filemap_write_and_wait_range(f->mapping, offset,
						   len ? (u64)(offset + len - 1) : ~0ull);
	file_put(f);
	return ret;
}

#define FADV_RANDOM   1
#define FADV_WILLNEED 3
#define FADV_DONTNEED 4
#define FADV_NOREUSE  5

static long do_fadvise(struct file *f, u64 offset, u64 len, int advice)
{
	u64 end = len && offset + len >= offset ? offset + len : ~0ull;

	if (!f->inode)
		return -ESPIPE;
	if ((s64)len < 0 || advice < 0 || advice > FADV_NOREUSE)
		return -EINVAL;
	if (!f->mapping || f->mapping->flags & AS_SHMEM)
		return 0;
	switch (advice) {
	case FADV_RANDOM:
		f->ra.max = 0;
		break;
	case FADV_WILLNEED:
		force_page_cache_readahead(f->mapping, offset >> PAGE_SHIFT,
					   DIV_ROUND_UP(min(end, f->mapping->size), PAGE_SIZE));
		break;
	case FADV_DONTNEED:
		filemap_write_and_wait_range(f->mapping, offset, end - 1);
		invalidate_mapping_pages(f->mapping, DIV_ROUND_UP(offset, PAGE_SIZE),
					 end == ~0ull ? ~0ul : end >> PAGE_SHIFT);
		break;
	case FADV_NOREUSE:
		break;
	default: /* NORMAL, SEQUENTIAL */
		file_ra_state_init(&f->ra);
	}
	return 0;
}

long sys_fadvise64(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH ? -EBADF : do_fadvise(f, r->rsi, r->rdx, (int)r->r10);
	file_put(f);
	return ret;
}

/* ---- file systems ----------------------------------------------------------------------------- */

#define ST_RDONLY   1
#define ST_VALID    0x20
#define ST_RELATIME 0x1000

static s64 statfs_flags(const struct mount *m)
{
	/* ST_* have the values of MS_* but for relatime. */
	u32 flags = READ_ONCE(m->flags);
	s64 st = ST_VALID | (flags & (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS |
				      MS_NOATIME | MS_NODIRATIME));

	st |= m->read_only ? ST_RDONLY : 0;
	return flags & (MS_NOATIME | MS_STRICTATIME) ? st : st | ST_RELATIME;
}

static long statfs_to_user(const struct target *t, unsigned long to)
{
	const struct mount *m = t->file ? t->file->path.mnt : t->path.mnt;
	struct vfs_statfs st = {
		.bsize = PAGE_SIZE,
		.frsize = PAGE_SIZE,
		.namelen = NAME_MAX,
		.flags = ST_VALID,
	};

	if (m) {
		st.type = m->sb->type->magic;
		st.bsize = st.frsize = m->sb->blocksize;
		st.fsid[0] = m->sb->dev;
		st.flags = statfs_flags(m);
		if (m->sb->ops->statfs)
			m->sb->ops->statfs(m->sb, &st);
	} else {
		st.type = 0x50495045; /* pipefs */
	}
	return copy_to_user(to, &st, sizeof(st)) ? -EFAULT : 0;
}

long sys_statfs(struct pt_regs *r)
{
	struct target t;
	long ret = target_get(&t, AT_FDCWD, r->rdi, 0);

	if (ret)
		return ret;
	ret = statfs_to_user(&t, r->rsi);
	target_put(&t);
	return ret;
}

long sys_fstatfs(struct pt_regs *r)
{
	struct target t;
	long ret = target_by_fd(&t, r->rdi);

	if (ret)
		return ret;
	ret = statfs_to_user(&t, r->rsi);
	target_put(&t);
	return ret;
}
