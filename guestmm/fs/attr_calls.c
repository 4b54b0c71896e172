/*
 * System calls that read and change the attributes of files: stat and its relatives, permissions, modes, owners,
 * and statfs.
 */
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "fs/internal.h"
#include "fs/notify.h"
#include "fs/target.h"
#include "kernel/cred.h"
#include "mm/cache/secretmem.h"

/* ---- stat ------------------------------------------------------------------------------------- */

/* stat(2) of the target. Pipes and similar files have no inode; for them the values are those of Linux. */
static void target_stat(const struct target *t, struct vfs_stat *st)
{
	if (t->inode) {
		vfs_getattr(t->inode, st);
		return;
	}
	*st = (struct vfs_stat){
		.mode = !strncmp(t->file->label, "socket:", 7) ? S_IFSOCK | 0777 : S_IFIFO | 0600,
		.nlink = 1,
		.ino = file_number(t->file),
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
#define STATX_ATTR_DAX	  0x200000u
#define AT_STATX_SYNC	  0x6000u

long sys_statx(struct pt_regs *r)
{
	struct vfs_stat st;
	struct statx sx;
	struct target t;
	bool dax;
	long ret;

	if ((u32)r->r10 & STATX_RESERVED || ((u32)r->rdx & AT_STATX_SYNC) == AT_STATX_SYNC ||
	    (u32)r->rdx & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC))
		return -EINVAL;
	ret = target_get(&t, (int)r->rdi, r->rsi, r->rdx);
	if (ret)
		return ret;
	target_stat(&t, &st);
	dax = t.inode && t.inode->i_data.flags & AS_DAX;
	target_put(&t);
	sx = (struct statx){
		.mask = STATX_BASIC_STATS,
		.blksize = st.blksize,
		.attributes = dax ? STATX_ATTR_DAX : 0,
		.attributes_mask = STATX_ATTR_DAX,
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
	inode_touch(inode, S_CTIME);
	up_write(&inode->lock);
	notify_dentry(target_dentry(t), IN_ATTRIB);
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

/* May the caller change owner and group? The owner may change the group to another of his groups. */
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
	inode_touch(inode, S_CTIME);
	up_write(&inode->lock);
	notify_dentry(target_dentry(t), IN_ATTRIB);
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

/* ---- file systems ----------------------------------------------------------------------------- */

#define ST_RDONLY      1
#define ST_VALID       0x20
#define ST_RELATIME    0x1000
#define ST_NOSYMFOLLOW 0x2000

static s64 statfs_flags(const struct mount *m)
{
	/* ST_* have the values of MS_*, except the last two. */
	u32 flags = READ_ONCE(m->flags);
	s64 st = ST_VALID |
		 (flags & (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME)) |
		 (READ_ONCE(m->sb->flags) & (MS_SYNCHRONOUS | MS_MANDLOCK));

	st |= flags & MS_NOSYMFOLLOW ? ST_NOSYMFOLLOW : 0;
	st |= mount_read_only(m) ? ST_RDONLY : 0;
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
	} else if (t->inode && mapping_is_secret(&t->inode->i_data)) {
		st.type = t->inode->sb->type->magic;
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
