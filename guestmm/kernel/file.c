/*
 * Descriptors, and the calls that work on any file. The console is a file: output goes to the
 * serial line, input is always at its end.
 *
 * I1  used = 1 + the highest descriptor in use; beyond it fd[] means nothing.
 * I2  A call holds a reference on its file, so that another thread may close the descriptor.
 *
 * Locks: files->lock, taken alone.
 */
#include "kernel/file.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab.h"

struct files {
	s32 refs; /* A */
	spinlock_t lock;
	u32 used;		   /* lock */
	u64 cloexec[MAX_FDS / 64]; /* lock */
	struct file *fd[MAX_FDS];  /* lock */
};

#define MAX_RW_COUNT 0x7ffff000ul
#define MAX_IOV	     1024u

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

void file_put(struct file *f)
{
	if (!atomic_dec_and_test(&f->refs))
		return;
	if (f->ops->release)
		f->ops->release(f);
	kfree(f);
}

static long console_out(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	char chunk[256];
	size_t done = 0;

	while (done < len) {
		size_t n = min(len - done, sizeof(chunk));

		if (copy_from_user(chunk, buf + done, n))
			return done ? (long)done : -EFAULT;
		console_write(chunk, n);
		done += n;
	}
	return done;
}

static long console_in(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	return 0;
}

static const struct file_ops console_ops = {.read = console_in, .write = console_out};

/* ---- tables -----------------------------------------------------------------------------------
 */

static struct files *files_alloc(void)
{
	struct files *files = kmalloc(sizeof(*files), GFP_KERNEL_ACCOUNT);

	if (!files)
		return NULL;
	files->refs = 1;
	spin_lock_init(&files->lock);
	files->used = 0;
	memset(files->cloexec, 0, sizeof(files->cloexec));
	return files;
}

struct files *files_console(void)
{
	struct files *files = files_alloc();
	struct file *f = files ? file_alloc(&console_ops, O_RDWR, NULL) : NULL;

	if (!f) {
		kfree(files);
		return NULL;
	}
	f->refs = 3;
	files->fd[0] = files->fd[1] = files->fd[2] = f;
	files->used = 3;
	return files;
}

struct files *files_dup(struct files *old)
{
	struct files *files = files_alloc();

	if (!files)
		return NULL;
	spin_lock(&old->lock);
	files->used = old->used;
	memcpy(files->cloexec, old->cloexec, sizeof(files->cloexec));
	for (u32 i = 0; i < old->used; i++) {
		files->fd[i] = old->fd[i];
		if (old->fd[i])
			atomic_add(&old->fd[i]->refs, 1);
	}
	spin_unlock(&old->lock);
	return files;
}

void files_get(struct files *files)
{
	atomic_add(&files->refs, 1);
}

void files_put(struct files *files)
{
	if (!files || !atomic_dec_and_test(&files->refs))
		return;
	for (u32 i = 0; i < files->used; i++) {
		if (files->fd[i])
			file_put(files->fd[i]);
	}
	kfree(files);
}

/* lock held. */
static struct file *take_fd(struct files *files, unsigned int fd)
{
	struct file *f = fd < files->used ? files->fd[fd] : NULL;

	if (!f)
		return NULL;
	files->fd[fd] = NULL;
	files->cloexec[fd / 64] &= ~(1ull << fd % 64);
	while (files->used && !files->fd[files->used - 1])
		files->used--;
	return f;
}

/* lock held; the place is free. */
static void put_fd(struct files *files, unsigned int fd, struct file *f, bool cloexec)
{
	for (; files->used <= fd; files->used++)
		files->fd[files->used] = NULL;
	files->fd[fd] = f;
	if (cloexec)
		files->cloexec[fd / 64] |= 1ull << fd % 64;
}

void files_exec(struct files *files)
{
	for (unsigned int fd = 0; fd < MAX_FDS; fd++) {
		struct file *f = NULL;

		spin_lock(&files->lock);
		if (files->cloexec[fd / 64] >> fd % 64 & 1)
			f = take_fd(files, fd);
		spin_unlock(&files->lock);
		if (f)
			file_put(f);
	}
}

struct file *fd_get(unsigned int fd)
{
	struct files *files = current_process()->files;
	struct file *f;

	spin_lock(&files->lock);
	f = fd < files->used ? files->fd[fd] : NULL;
	if (f)
		atomic_add(&f->refs, 1);
	spin_unlock(&files->lock);
	return f;
}

int fd_install(struct file *f, unsigned int from, bool cloexec)
{
	struct files *files = current_process()->files;
	unsigned int fd;

	spin_lock(&files->lock);
	for (fd = from; fd < files->used && files->fd[fd]; fd++)
		;
	if (fd < MAX_FDS)
		put_fd(files, fd, f, cloexec);
	spin_unlock(&files->lock);
	return fd < MAX_FDS ? (int)fd : -EMFILE;
}

/* ---- calls ------------------------------------------------------------------------------------
 */

static long file_read(struct file *f, unsigned long buf, size_t len)
{
	if ((f->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (!f->ops->read)
		return -EINVAL;
	return f->ops->read(f, buf, min(len, MAX_RW_COUNT), &f->pos);
}

static long file_write(struct file *f, unsigned long buf, size_t len)
{
	if ((f->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (!f->ops->write)
		return -EINVAL;
	return f->ops->write(f, buf, min(len, MAX_RW_COUNT), &f->pos);
}

long sys_read(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	long ret;

	if (!f)
		return -EBADF;
	ret = file_read(f, r->rsi, r->rdx);
	file_put(f);
	return ret;
}

long sys_write(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	long ret;

	if (!f)
		return -EBADF;
	ret = file_write(f, r->rsi, r->rdx);
	file_put(f);
	return ret;
}

static long vector(struct pt_regs *r, long (*fn)(struct file *f, unsigned long buf, size_t len))
{
	struct file *f = fd_get(r->rdi);
	long ret = 0, total = 0;

	if (!f)
		return -EBADF;
	if (r->rdx > MAX_IOV) {
		file_put(f);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < r->rdx; i++) {
		struct {
			u64 base, len;
		} iov;

		ret = -EFAULT;
		if (copy_from_user(&iov, r->rsi + i * sizeof(iov), sizeof(iov)))
			break;
		ret = -EINVAL;
		if (iov.len >> 63)
			break;
		ret = iov.len ? fn(f, iov.base, iov.len) : 0;
		if (ret < 0)
			break;
		total += ret;
		if ((u64)ret < iov.len)
			break;
	}
	file_put(f);
	return total ? total : ret;
}

long sys_readv(struct pt_regs *r)
{
	return vector(r, file_read);
}

long sys_writev(struct pt_regs *r)
{
	return vector(r, file_write);
}

int fd_close(unsigned int fd)
{
	struct files *files = current_process()->files;
	struct file *f;

	spin_lock(&files->lock);
	f = take_fd(files, fd);
	spin_unlock(&files->lock);
	if (!f)
		return -EBADF;
	file_put(f);
	return 0;
}

long sys_close(struct pt_regs *r)
{
	return fd_close(r->rdi);
}

static long dup_from(unsigned int fd, unsigned int from, bool cloexec)
{
	struct file *f = fd_get(fd);
	int ret;

	if (!f)
		return -EBADF;
	ret = fd_install(f, from, cloexec);
	if (ret < 0)
		file_put(f);
	return ret;
}

static long dup_to(unsigned int fd, unsigned int to, bool cloexec)
{
	struct files *files = current_process()->files;
	struct file *f, *old;

	if (to >= MAX_FDS)
		return -EBADF;
	f = fd_get(fd);
	if (!f)
		return -EBADF;
	spin_lock(&files->lock);
	old = take_fd(files, to);
	put_fd(files, to, f, cloexec);
	spin_unlock(&files->lock);
	if (old)
		file_put(old);
	return to;
}

long sys_dup(struct pt_regs *r)
{
	return dup_from(r->rdi, 0, false);
}

long sys_dup2(struct pt_regs *r)
{
	struct file *f;

	if ((u32)r->rdi != (u32)r->rsi)
		return dup_to(r->rdi, r->rsi, false);
	f = fd_get(r->rdi);
	if (!f)
		return -EBADF;
	file_put(f);
	return (u32)r->rsi;
}

long sys_dup3(struct pt_regs *r)
{
	if (r->rdx & ~(u64)O_CLOEXEC || (u32)r->rdi == (u32)r->rsi)
		return -EINVAL;
	return dup_to(r->rdi, r->rsi, r->rdx & O_CLOEXEC);
}

#define F_DUPFD		0
#define F_GETFD		1
#define F_SETFD		2
#define F_GETFL		3
#define F_SETFL		4
#define F_DUPFD_CLOEXEC 1030
#define FD_CLOEXEC	1

static long fd_flags(unsigned int fd, bool set, bool cloexec)
{
	struct files *files = current_process()->files;
	u64 bit = 1ull << fd % 64;
	long ret = -EBADF;

	spin_lock(&files->lock);
	if (fd < files->used && files->fd[fd]) {
		ret = files->cloexec[fd / 64] & bit ? FD_CLOEXEC : 0;
		if (set) {
			ret = 0;
			files->cloexec[fd / 64] &= ~bit;
			if (cloexec)
				files->cloexec[fd / 64] |= bit;
		}
	}
	spin_unlock(&files->lock);
	return ret;
}

long sys_fcntl(struct pt_regs *r)
{
	unsigned int fd = r->rdi;
	struct file *f;
	long ret = 0;

	switch ((int)r->rsi) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if (r->rdx >= MAX_FDS)
			return -EINVAL;
		return dup_from(fd, r->rdx, (int)r->rsi == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_flags(fd, false, false);
	case F_SETFD:
		return fd_flags(fd, true, r->rdx & FD_CLOEXEC);
	}
	f = fd_get(fd);
	if (!f)
		return -EBADF;
	switch ((int)r->rsi) {
	case F_GETFL:
		ret = f->flags;
		break;
	case F_SETFL:
		f->flags = (f->flags & ~O_NONBLOCK) | (r->rdx & O_NONBLOCK);
		break;
	default:
		ret = -EINVAL;
	}
	file_put(f);
	return ret;
}

long sys_ioctl(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->ops->ioctl ? f->ops->ioctl(f, r->rsi, r->rdx) : -ENOTTY;
	file_put(f);
	return ret;
}
