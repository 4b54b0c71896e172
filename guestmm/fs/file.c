/*
 * Open files, and all kinds of reading and writing: at the file's position or at another one, with one buffer or
 * several.
 *
 * I1  A call that uses the position of a file (regular files, directories) holds pos_lock, so there is one at a time.
 *     Pipes and terminals have no position: a thread that waits there must not block the others.
 *
 * Locks: pos_lock, before all locks that a file's operations take.
 */
#include "fs/async.h"
#include "fs/internal.h"
#include "fs/notify.h"
#include "fs/iovec.h"
#include "fs/pipe.h"
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "fs/tty.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"
#include "mm/phys/alloc.h"

#define MAX_IOV IOV_MAX

/* ---- files ----------------------------------------------------------------------------------- */

struct file *file_alloc(const struct file_ops *ops, u32 flags, void *private)
{
	struct file *f = kmalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);

	if (!f)
		return NULL;
	*f = (struct file){.refs = 1, .flags = flags, .ops = ops, .private = private};
	mutex_init(&f->pos_lock);
	return f;
}

void file_get(struct file *f)
{
	atomic_add(&f->refs, 1);
}

/* The last reference was dropped: close the file. */
static void file_close(struct file *f)
{
	if (unlikely(f->watched))
		eventpoll_release_file(f);
	notify_file(f, file_can_write(f) ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
	if (unlikely(f->owner))
		async_release(f);
	if (f->inode)
		locks_remove_file(f);
	if (f->ops->release)
		f->ops->release(f);
	if (f->writer) {
		inode_put_write(f->inode);
		if (f->path.mnt)
			atomic_sub(&f->path.mnt->writers, 1);
	}
	iput(f->inode); /* before path_put(), which may free the file system with the mount */
	path_put(&f->path);
	kfree(f);
}

void file_put(struct file *f)
{
	if (atomic_dec_and_test(&f->refs))
		file_close(f);
}

void file_put_later(struct file *f)
{
	struct task *t = current;

	if (!atomic_dec_and_test(&f->refs))
		return;
	if (!t->user) {
		file_close(f);
		return;
	}
	f->later = t->files_to_close;
	t->files_to_close = f;
	atomic_or(&t->ti->flags, TIF_FILES);
}

void task_close_files(void)
{
	struct task *t = current;

	atomic_and(&t->ti->flags, ~TIF_FILES);
	while (t->files_to_close) {
		struct file *f = t->files_to_close;

		t->files_to_close = f->later;
		file_close(f);
	}
	mounts_reap();
}

long noop_llseek(struct file *f, s64 offset, int whence)
{
	return 0;
}

bool file_has_position(const struct file *f)
{
	return f->mapping || (f->inode && S_ISDIR(f->inode->mode));
}

struct file *file_lock_position(unsigned int fd)
{
	struct file *f = fd_get(fd);

	if (f && file_has_position(f))
		mutex_lock(&f->pos_lock);
	return f;
}

void file_unlock_position(struct file *f)
{
	if (file_has_position(f))
		mutex_unlock(&f->pos_lock);
	file_put(f);
}

/* ---- one buffer ------------------------------------------------------------------------------- */

typedef long (*transfer_fn)(struct file *f, unsigned long buf, size_t len, u64 *pos);

/* Get the file's function for reading. 0 or -errno. */
static long reader(struct file *f, transfer_fn *fn)
{
	if (!file_can_read(f) || f->flags & O_PATH)
		return -EBADF;
	*fn = f->ops->read;
	if (*fn)
		return 0;
	return f->inode && S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
}

static long writer(struct file *f, transfer_fn *fn)
{
	if (!file_can_write(f) || f->flags & O_PATH)
		return -EBADF;
	*fn = f->ops->write;
	return *fn ? 0 : -EINVAL;
}

/* A read or write has finished: count it for /proc/PID/io and notify watchers. */
static inline long counted(struct file *f, long (*which)(struct file *, transfer_fn *), long ret)
{
	if (anybody_watches() && ret > 0)
		notify_file(f, which == reader ? IN_ACCESS : IN_MODIFY);
	return which == reader ? count_read(ret) : count_write(ret);
}

/* Refuse a buffer that is not in user space, before any byte is transferred. */
static long check_buffer(unsigned long buf, size_t len)
{
	return len > TASK_SIZE || buf > TASK_SIZE - len ? -EFAULT : 0;
}

/* As in Linux, pos + len must be a valid position, too, unless the file has no position. */
static long check_end(const struct file *f, u64 pos, u64 len)
{
	return f->ops->llseek && (s64)(pos + len) < 0 ? -EINVAL : 0;
}

static long transfer_one(unsigned int fd, unsigned long buf, size_t len,
			 long (*which)(struct file *, transfer_fn *))
{
	struct file *f = file_lock_position(fd);
	transfer_fn fn;
	long ret;

	if (!f)
		return -EBADF;
	ret = which(f, &fn);
	if (!ret)
		ret = check_buffer(buf, len);
	if (!ret)
		ret = check_end(f, f->pos, len);
	if (!ret)
		ret = counted(f, which, fn(f, buf, min(len, MAX_RW_COUNT), &f->pos));
	file_unlock_position(f);
	return ret;
}

long sys_read(struct pt_regs *r)
{
	return transfer_one(r->rdi, r->rsi, r->rdx, reader);
}

long sys_write(struct pt_regs *r)
{
	return transfer_one(r->rdi, r->rsi, r->rdx, writer);
}

/* Transfer at a position of the caller (pread(2), pwrite(2)), which needs no pos_lock. */
static long transfer_at(unsigned int fd, unsigned long buf, size_t len, s64 at,
			long (*which)(struct file *, transfer_fn *))
{
	struct file *f;
	transfer_fn fn;
	u64 pos = at;
	long ret;

	if (at < 0)
		return -EINVAL;
	f = fd_get(fd);
	if (!f)
		return -EBADF;
	ret = f->ops->llseek || f->flags & O_PATH ? which(f, &fn) : -ESPIPE;
	if (!ret)
		ret = check_buffer(buf, len);
	if (!ret)
		ret = check_end(f, pos, len);
	if (!ret)
		ret = counted(f, which, fn(f, buf, min(len, MAX_RW_COUNT), &pos));
	file_put(f);
	return ret;
}

long sys_pread64(struct pt_regs *r)
{
	return transfer_at(r->rdi, r->rsi, r->rdx, r->r10, reader);
}

long sys_pwrite64(struct pt_regs *r)
{
	return transfer_at(r->rdi, r->rsi, r->rdx, r->r10, writer);
}

/* ---- several buffers -------------------------------------------------------------------------- */

/* Check all lengths before the first byte is transferred. Returns their sum or -errno. */
static long check_vector(unsigned long vec, unsigned long n)
{
	u64 total = 0;

	if (n > MAX_IOV)
		return -EINVAL;
	for (unsigned long i = 0; i < n; i++) {
		struct iovec iov;

		if (copy_from_user(&iov, vec + i * sizeof(iov), sizeof(iov)))
			return -EFAULT;
		if ((s64)iov.len < 0)
			return -EINVAL;
		if (iov.len && (iov.base >= TASK_SIZE || iov.len > TASK_SIZE - iov.base))
			return -EFAULT;
		total += min(iov.len, MAX_RW_COUNT - total);
	}
	return total;
}

static long transfer_vector(struct file *f, unsigned long vec, unsigned long n, u64 *pos,
			    transfer_fn fn)
{
	size_t total = 0;
	long ret;

	if (unlikely(f->ops->vector))
		return f->ops->vector(f, vec, n, fn == f->ops->write);
	ret = check_vector(vec, n);
	if (ret > 0)
		ret = check_end(f, *pos, ret);
	for (unsigned long i = 0; !ret && i < n && total < MAX_RW_COUNT; i++) {
		struct iovec iov;
		long got;

		if (copy_from_user(&iov, vec + i * sizeof(iov), sizeof(iov))) {
			ret = -EFAULT;
			break;
		}
		if (!iov.len)
			continue;
		got = fn(f, iov.base, min(iov.len, MAX_RW_COUNT - total), pos);
		if (got < 0)
			ret = got;
		else
			total += got;
		if (got < 0 || (u64)got < iov.len)
			break;
	}
	return total ? (long)total : ret;
}

static long vector_call(struct pt_regs *r, long (*which)(struct file *, transfer_fn *))
{
	struct file *f = file_lock_position(r->rdi);
	transfer_fn fn;
	long ret;

	if (!f)
		return -EBADF;
	ret = which(f, &fn);
	if (!ret)
		ret = counted(f, which, transfer_vector(f, r->rsi, r->rdx, &f->pos, fn));
	file_unlock_position(f);
	return ret;
}

long sys_readv(struct pt_regs *r)
{
	return vector_call(r, reader);
}

long sys_writev(struct pt_regs *r)
{
	return vector_call(r, writer);
}

static long vector_at(struct pt_regs *r, s64 at, long (*which)(struct file *, transfer_fn *))
{
	struct file *f;
	transfer_fn fn;
	u64 pos = at;
	long ret;

	if (at < 0)
		return -EINVAL;
	f = fd_get(r->rdi);
	if (!f)
		return -EBADF;
	ret = f->ops->llseek || f->flags & O_PATH ? which(f, &fn) : -ESPIPE;
	if (!ret)
		ret = counted(f, which, transfer_vector(f, r->rsi, r->rdx, &pos, fn));
	file_put(f);
	return ret;
}

long sys_preadv(struct pt_regs *r)
{
	return vector_at(r, r->r10, reader);
}

long sys_pwritev(struct pt_regs *r)
{
	return vector_at(r, r->r10, writer);
}

/* preadv2(2), pwritev2(2). No flag (RWF_*) is supported. Position -1 is the file's own. */
static long vector_v2(struct pt_regs *r, long (*which)(struct file *, transfer_fn *))
{
	if ((u32)r->r9)
		return -EOPNOTSUPP;
	return (s64)r->r10 == -1 ? vector_call(r, which) : vector_at(r, r->r10, which);
}

long sys_preadv2(struct pt_regs *r)
{
	return vector_v2(r, reader);
}

long sys_pwritev2(struct pt_regs *r)
{
	return vector_v2(r, writer);
}

/* ---- position, control ------------------------------------------------------------------------ */

long sys_lseek(struct pt_regs *r)
{
	struct file *f = file_lock_position(r->rdi);
	long ret;

	if (!f)
		return -EBADF;
	if (f->flags & O_PATH)
		ret = -EBADF;
	else if ((u32)r->rdx > 4)
		ret = -EINVAL;
	else
		ret = f->ops->llseek ? f->ops->llseek(f, r->rsi, (int)r->rdx) : -ESPIPE;
	file_unlock_position(f);
	return ret;
}

#define FIONBIO	 0x5421u
#define FIOCLEX	 0x5451u
#define FIONCLEX 0x5450u
#define FIGETBSZ 2u

static long int_to_user(unsigned long to, s64 value)
{
	s32 v = value;

	return copy_to_user(to, &v, sizeof(v)) ? -EFAULT : 0;
}

/* The ioctls of all files. */
static long common_ioctl(struct file *f, unsigned int fd, u32 cmd, unsigned long arg)
{
	long err;
	s32 on;

	switch (cmd) {
	case FIOCLEX:
		return fd_set_cloexec(fd, true);
	case FIONCLEX:
		return fd_set_cloexec(fd, false);
	case FIONBIO:
		if (copy_from_user(&on, arg, sizeof(on)))
			return -EFAULT;
		f->flags = on ? f->flags | O_NONBLOCK : f->flags & ~O_NONBLOCK;
		return 0;
	case FIONREAD:
		if (f->inode && S_ISREG(f->inode->mode))
			return int_to_user(arg, f->inode->i_data.size - f->pos);
		break;
	case FIGETBSZ:
		if (f->inode && f->path.mnt)
			return int_to_user(arg, f->inode->sb->blocksize);
		break;
	}
	err = async_ioctl(f, fd, cmd, arg);
	if (err != -ENOTTY)
		return err;
	return f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
}

long sys_ioctl(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH ? -EBADF : common_ioctl(f, r->rdi, r->rsi, r->rdx);
	file_put(f);
	return ret;
}

/* ---- names, for /proc/PID/maps and fd ---- */

u64 file_number(const struct file *f)
{
	return (unsigned long)f->private >> 6 & 0xffffff;
}

const char *file_name(struct file *f, char *buf, size_t size)
{
	const char *name;

	if (f->path.dentry) {
		name = path_name(&f->path, buf, size);
		return name ? name : "";
	}
	if (file_pipe(f)) {
		ksnprintf(buf, size, "pipe:[%lu]", (unsigned long)file_number(f));
		return buf;
	}
	if (!f->label[0])
		return "";
	ksnprintf(buf, size, f->inode ? "%s (deleted)" : "%s", f->label);
	return buf;
}

void file_describe(struct file *f, u32 *major, u32 *minor, u64 *ino, char *buf, size_t size)
{
	char *page = (char *)__get_free_pages(GFP_KERNEL, 0);
	u64 dev = f->inode ? f->inode->sb->dev : 0;

	*major = dev >> 8;
	*minor = dev & 0xff;
	*ino = f->inode ? f->inode->ino : 0;
	strscpy(buf, page ? file_name(f, page, PAGE_SIZE) : "", size);
	if (page)
		free_pages((unsigned long)page, 0);
}
