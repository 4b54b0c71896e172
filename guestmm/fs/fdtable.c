/*
 * Descriptors: the numbers of a process's open files.
 *
 *   struct files: fd[0 .. size)  ──> struct file, NULL
 *                 cloexec[]          one bit each
 *
 * I1  used = 1 + the highest descriptor in use. No descriptor below next_free is free.
 * I2  A call holds a reference on its file, so that another thread may close the descriptor.
 * I3  The table grows by doubling up to MAX_FDS; at first it is in `files` itself.
 *
 * Locks: files->lock, taken alone.
 */
#include "fs/file.h"
#include "lib/syscall.h"
#include "fs/tty.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define SMALL_FDS 64u

struct files {
	s32 refs; /* A */
	spinlock_t lock;
	u32 used;	  /* lock */
	u32 next_free;	  /* lock */
	u32 size;	  /* lock */
	u64 *cloexec;	  /* lock */
	struct file **fd; /* lock */
	u64 small_cloexec[SMALL_FDS / 64];
	struct file *small_fd[SMALL_FDS];
};

static struct files *files_alloc(void)
{
	struct files *files = kmalloc(sizeof(*files), GFP_KERNEL_ACCOUNT);

	if (!files)
		return NULL;
	files->refs = 1;
	spin_lock_init(&files->lock);
	files->used = files->next_free = 0;
	files->size = SMALL_FDS;
	files->fd = files->small_fd;
	files->cloexec = files->small_cloexec;
	files->small_cloexec[0] = 0;
	return files;
}

static void free_table(struct file **fd, u64 *cloexec, const struct files *files)
{
	if (fd != files->small_fd)
		kfree(fd);
	if (cloexec != files->small_cloexec)
		kfree(cloexec);
}

/* Make room for `want` descriptors. 0, -EMFILE, -ENOMEM. */
static int grow(struct files *files, u32 want)
{
	struct file **fd, **old_fd;
	u64 *cloexec, *old_cloexec;
	u32 size = files->size;

	if (want > MAX_FDS)
		return -EMFILE;
	while (size < want)
		size *= 2;
	fd = kmalloc(size * sizeof(*fd), GFP_KERNEL_ACCOUNT);
	cloexec = kzalloc(size / 8, GFP_KERNEL_ACCOUNT);
	if (!fd || !cloexec) {
		kfree(fd);
		kfree(cloexec);
		return -ENOMEM;
	}
	spin_lock(&files->lock);
	old_fd = fd;
	old_cloexec = cloexec;
	if (files->size < size) { /* no other thread has grown it meanwhile */
		memcpy(fd, files->fd, files->used * sizeof(*fd));
		memcpy(cloexec, files->cloexec, DIV_ROUND_UP(files->used, 64) * 8);
		old_fd = files->fd;
		old_cloexec = files->cloexec;
		files->fd = fd;
		files->cloexec = cloexec;
		files->size = size;
	}
	spin_unlock(&files->lock);
	free_table(old_fd, old_cloexec, files);
	return 0;
}

struct files *files_console(void)
{
	struct files *files = files_alloc();
	struct file *f;

	if (!files)
		return NULL;
	if (vfs_open(AT_FDCWD, "/dev/console", O_RDWR, 0, &f)) {
		f = console_file();
		if (!f) {
			kfree(files);
			return NULL;
		}
	}
	f->refs = 3;
	files->fd[0] = files->fd[1] = files->fd[2] = f;
	files->used = files->next_free = 3;
	return files;
}

struct files *files_dup(struct files *old)
{
	struct files *files = files_alloc();

	if (!files)
		return NULL;
	spin_lock(&old->lock);
	while (old->used > files->size) {
		u32 used = old->used;

		spin_unlock(&old->lock);
		if (grow(files, used)) {
			kfree(files);
			return NULL;
		}
		spin_lock(&old->lock);
	}
	files->used = old->used;
	files->next_free = old->next_free;
	memcpy(files->cloexec, old->cloexec, DIV_ROUND_UP(old->used, 64) * 8);
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
	if (!files)
		return;
	if (!atomic_dec_and_test(&files->refs))
		return;
	for (u32 i = 0; i < files->used; i++) {
		if (files->fd[i]) {
			locks_remove_posix(files->fd[i], files);
			file_put(files->fd[i]);
		}
	}
	free_table(files->fd, files->cloexec, files);
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
	files->next_free = min(files->next_free, fd);
	while (files->used && !files->fd[files->used - 1])
		files->used--;
	return f;
}

/* Store the file at a descriptor that is free and within the table. lock held. */
static void put_fd(struct files *files, unsigned int fd, struct file *f, u32 flags)
{
	for (; files->used <= fd; files->used++)
		files->fd[files->used] = NULL;
	files->fd[fd] = f;
	if (flags & O_CLOEXEC)
		files->cloexec[fd / 64] |= 1ull << fd % 64;
}

void files_exec(struct files *files)
{
	for (unsigned int fd = 0; fd < READ_ONCE(files->used); fd++) {
		struct file *f = NULL;

		spin_lock(&files->lock);
		if (fd < files->used && files->cloexec[fd / 64] >> fd % 64 & 1)
			f = take_fd(files, fd);
		spin_unlock(&files->lock);
		if (f) {
			locks_remove_posix(f, files);
			file_put(f);
		}
	}
}

struct file *files_lookup(struct files *files, u32 fd)
{
	struct file *f;

	spin_lock(&files->lock);
	f = fd < files->used ? files->fd[fd] : NULL;
	if (f)
		file_get(f);
	spin_unlock(&files->lock);
	return f;
}

bool files_cloexec(struct files *files, u32 fd)
{
	bool on;

	spin_lock(&files->lock);
	on = fd < files->used && files->fd[fd] && files->cloexec[fd / 64] >> fd % 64 & 1;
	spin_unlock(&files->lock);
	return on;
}

u32 files_end(struct files *files)
{
	return READ_ONCE(files->used);
}

struct file *fd_get(unsigned int fd)
{
	return files_lookup(current_process()->files, fd);
}

unsigned int fd_end(void)
{
	return files_end(current_process()->files);
}

int fd_install(struct file *f, unsigned int from, u32 flags)
{
	struct files *files = current_process()->files;
	u64 limit = min(rlimit(RLIMIT_NOFILE), (u64)MAX_FDS);
	unsigned int fd;
	int err;

	for (;;) {
		u32 size;

		spin_lock(&files->lock);
		for (fd = max(from, files->next_free); fd < files->used && files->fd[fd]; fd++)
			;
		size = files->size;
		if (fd < limit && fd < size) {
			put_fd(files, fd, f, flags);
			if (from <= files->next_free)
				files->next_free = fd + 1;
		}
		spin_unlock(&files->lock);
		if (fd >= limit)
			return -EMFILE;
		if (fd < size)
			return fd;
		err = grow(files, fd + 1);
		if (err)
			return err;
	}
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
	locks_remove_posix(f, files);
	file_put(f);
	return 0;
}

/* ---- calls ---- */

long sys_close(struct pt_regs *r)
{
	return fd_close(r->rdi);
}

#define CLOSE_RANGE_UNSHARE 2u
#define CLOSE_RANGE_CLOEXEC 4u

long sys_close_range(struct pt_regs *r)
{
	struct process *p = current_process();
	unsigned int first = r->rdi, last = r->rsi, end = fd_end();
	u32 flags = r->rdx;

	if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE && atomic_load(&p->files->refs) > 1) {
		struct files *mine = files_dup(p->files), *old = p->files;

		if (!mine)
			return -ENOMEM;
		p->files = mine;
		files_put(old);
	}
	for (unsigned int fd = first; fd < end && fd <= last; fd++) {
		if (flags & CLOSE_RANGE_CLOEXEC)
			fd_set_cloexec(fd, true);
		else
			fd_close(fd);
	}
	return 0;
}

static long dup_from(unsigned int fd, unsigned int from, u32 flags)
{
	struct file *f = fd_get(fd);
	int ret;

	if (!f)
		return -EBADF;
	ret = fd_install(f, from, flags);
	if (ret < 0)
		file_put(f);
	return ret;
}

long fd_dup_from(unsigned int fd, u64 from, u32 flags)
{
	if (from >= min(rlimit(RLIMIT_NOFILE), (u64)MAX_FDS))
		return -EINVAL;
	return dup_from(fd, from, flags);
}

static long dup_to(unsigned int fd, unsigned int to, u32 flags)
{
	struct files *files = current_process()->files;
	struct file *f, *old;
	int err;

	if (to >= min(rlimit(RLIMIT_NOFILE), (u64)MAX_FDS))
		return -EBADF;
	f = fd_get(fd);
	if (!f)
		return -EBADF;
	if (to >= READ_ONCE(files->size)) {
		err = grow(files, to + 1);
		if (err) {
			file_put(f);
			return err;
		}
	}
	spin_lock(&files->lock);
	old = take_fd(files, to);
	put_fd(files, to, f, flags);
	spin_unlock(&files->lock);
	if (old) {
		locks_remove_posix(old, files);
		file_put(old);
	}
	return to;
}

long sys_dup(struct pt_regs *r)
{
	return dup_from(r->rdi, 0, 0);
}

long sys_dup2(struct pt_regs *r)
{
	struct file *f;

	if ((u32)r->rdi != (u32)r->rsi)
		return dup_to(r->rdi, r->rsi, 0);
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

int fd_set_cloexec(unsigned int fd, bool on)
{
	struct files *files = current_process()->files;
	u64 bit = 1ull << fd % 64;
	int ret = -EBADF;

	spin_lock(&files->lock);
	if (fd < files->used && files->fd[fd]) {
		ret = 0;
		if (on)
			files->cloexec[fd / 64] |= bit;
		else
			files->cloexec[fd / 64] &= ~bit;
	}
	spin_unlock(&files->lock);
	return ret;
}

int fd_get_cloexec(unsigned int fd)
{
	struct files *files = current_process()->files;
	int ret = -EBADF;

	spin_lock(&files->lock);
	if (fd < files->used && files->fd[fd])
		ret = files->cloexec[fd / 64] >> fd % 64 & 1;
	spin_unlock(&files->lock);
	return ret;
}
