/*
 * Open files and descriptors.
 *
 *   process ──> struct files: fd[0..] ──> struct file ──> ops, private
 *
 * A file is shared by all descriptors that dup(2) and fork(2) made of it; the last one closes it.
 *
 * Beside the fields of struct file: the lock that protects them; A atomic, C constant once the file can be
 * found, S the task that drops the last reference.
 */
#ifndef FS_FILE_H
#define FS_FILE_H
#include "fs/vfs.h"
#include "kernel/process.h"

#define O_ACCMODE   3u
#define O_RDONLY    0u
#define O_WRONLY    1u
#define O_RDWR	    2u
#define O_CREAT	    0100u
#define O_EXCL	    0200u
#define O_NOCTTY    0400u
#define O_TRUNC	    01000u
#define O_APPEND    02000u
#define O_NONBLOCK  04000u
#define O_DSYNC	    010000u
#define O_ASYNC	    020000u
#define O_DIRECT    040000u
#define O_LARGEFILE 0100000u
#define O_DIRECTORY 0200000u
#define O_NOFOLLOW  0400000u
#define O_NOATIME   01000000u
#define O_CLOEXEC   02000000u
#define O_SYNC	    04010000u
#define O_PATH	    010000000u
#define O_TMPFILE   020200000u
#define FIONREAD    0x541bu

struct file;
struct psi_trigger;
/** The operations of a kind of file. Buffers are in user memory; *pos advances by the bytes read or written (pipes
 * ignore it); the results are those of the system calls. NULL read or write: -EINVAL. */
struct file_ops {
	long (*read)(struct file *f, unsigned long buf, size_t len, u64 *pos);
	long (*write)(struct file *f, unsigned long buf, size_t len, u64 *pos);
	/** Write from kernel memory, for sendfile(2). NULL: -EINVAL if the file has no mapping. */
	long (*write_kernel)(struct file *f, const void *buf, size_t len);
	/** Transfer all buffers of a readv(2) or writev(2) at once, for files where they are one message. NULL: the
	 * buffers are transferred one by one. */
	long (*vector)(struct file *f, unsigned long vec, u64 n, bool write);
	long (*llseek)(struct file *f, s64 offset, int whence);		    /* NULL: -ESPIPE */
	int (*iterate)(struct file *f, struct dir_context *ctx);	    /* NULL: -ENOTDIR */
	long (*ioctl)(struct file *f, unsigned int cmd, unsigned long arg); /* NULL: -ENOTTY */
	/** The POLL* bits that are true now. *wq, if wq is not NULL, receives the queue that is woken when they change.
	 * NULL: the file is always readable and writable. */
	u32 (*poll)(struct file *f, struct wait_queue **wq);
	/** The object for which async_notify() is called. NULL: O_ASYNC has no effect. */
	const void *(*async_object)(struct file *f);
	/** The owner when O_ASYNC is set before F_SETOWN: a process group; 0: the caller. NULL: there is no owner. */
	s32 (*async_owner)(struct file *f);
	bool socket; /* FIOSETOWN is supported */
	/** Write the file's own lines of /proc/PID/fdinfo/N. NULL: there are none. */
	void (*show_fdinfo)(struct report *r, struct file *f);
	int (*fsync)(struct file *f, u64 start, u64 end); /* NULL: -EINVAL */
	int (*open)(struct file *f); /* of regular files and directories. NULL: nothing to do */
	void (*release)(struct file *f);
	/** May the file be mapped? Pages come from f->mapping. 0 or -errno. NULL: -ENODEV. To map another file (a
	 * shared mapping of /dev/zero), *instead receives that one with a reference. */
	int (*mmap)(struct file *f, unsigned long vm_flags, struct file **instead);
};
struct file {
	s32 refs;	    /* A */
	struct file *later; /* S: file_put_later() */
	u32 flags;	    /* C except the bits of F_SETFL, where the last writer wins: O_* */
	const struct file_ops *ops;    /* C */
	void *private;		       /* C; the ops define what it points to */
	struct path path;	       /* C: with references; dentry NULL: it has no name */
	struct inode *inode;	       /* C: with a reference, or NULL (pipes, console) */
	struct address_space *mapping; /* C: where its pages are, or NULL */
	struct mutex pos_lock;	       /* serialises read, write, lseek, getdents of one file */
	u64 pos;		       /* pos_lock */
	struct file_ra_state ra;       /* pos_lock, or mmap_lock for faults */
	union {
		u64 poll_seen; /* A: changes that its reader has seen: cgroup2's event files */
		struct memcg_peak *peak;     /* memcg_lock: cgroup2's files of peaks */
		struct psi_trigger *trigger; /* psi_lock to set, once: pressure files */
	};
	s32 wb_err;		  /* A: errors that were reported to this opener */
	bool writer;		  /* C: counted in inode->writers */
	char label[32];		  /* C: its name when it has no path: "/memfd:x" */
	struct file_owner *owner; /* A: set once: fs/async.c. NULL: none */
	struct epitem *watched;	  /* epoll_mutex (fs/event/eventpoll.c): the sets it is in */
};
/** llseek of files that ignore their position: it does nothing and succeeds. */
long noop_llseek(struct file *f, s64 offset, int whence);
bool file_can_read(const struct file *f);
bool file_can_write(const struct file *f);
/** Count a finished read (or write) for /proc/PID/io. `ret` is its result in bytes or -errno. Returns ret. */
static inline long count_read(long ret)
{
	struct io_counts *io = &current_thread_info()->io;

	io->syscr++;
	io->rchar += ret > 0 ? ret : 0;
	return ret;
}
static inline long count_write(long ret)
{
	struct io_counts *io = &current_thread_info()->io;

	io->syscw++;
	io->wchar += ret > 0 ? ret : 0;
	return ret;
}

/** New file with one reference, or NULL. */
struct file *file_alloc(const struct file_ops *ops, u32 flags, void *private);
/** The file of a descriptor of the current process, with a reference, or NULL. */
struct file *fd_get(unsigned int fd);
/** Assign the lowest free descriptor >= from to the file. Flags: 0 or O_CLOEXEC. Returns its number, and takes over the
 * caller's reference; or -EMFILE, and does not. */
int fd_install(struct file *f, unsigned int from, u32 flags);
/** Returns 0 or -EBADF. */
int fd_close(unsigned int fd);
/** The highest descriptor in use + 1. */
unsigned int fd_end(void);

/* files_dup(), files_get(), files_put(): kernel/fs_hooks.h. */
/** The file of a descriptor in any table, with a reference, or NULL. */
struct file *files_lookup(struct files *files, u32 fd);
/** Highest descriptor in use + 1. */
u32 files_end(struct files *files);
/** Is descriptor `fd` open, with FD_CLOEXEC? */
bool files_cloexec(struct files *files, u32 fd);
/** execve: close the descriptors with FD_CLOEXEC. */
void files_exec(struct files *files);

/* file.c */
/** Does the file have a position that its users share? Then calls that use it take turns. */
bool file_has_position(const struct file *f);
/** fd_get(), and lock the file's position. */
struct file *file_lock_position(unsigned int fd);
void file_unlock_position(struct file *f);

/* fdtable.c */
int fd_set_cloexec(unsigned int fd, bool on); /* 0 or -EBADF */
int fd_get_cloexec(unsigned int fd);	      /* 0, 1 or -EBADF */
/** fcntl(2) F_DUPFD: assign the lowest free descriptor >= from to the file of fd. Flags: 0 or O_CLOEXEC. Returns the
 * number or -errno. */
long fd_dup_from(unsigned int fd, u64 from, u32 flags);

/* event/eventpoll.c */
/** The last reference to a watched file was dropped: remove it from all sets. May sleep. */
void eventpoll_release_file(struct file *f);

/* fcntl.c: locks on files */
/** A process closes a descriptor of this file: drop its fcntl locks on the file. */
void locks_remove_posix(struct file *f, struct files *files);
/** The open file is freed, with the locks it owns. */
void locks_remove_file(struct file *f);

/* regular.c */
/** Check a write of *len bytes at *pos. 0: *pos is adjusted for O_APPEND, and *len is cut to what may be written.
 * -EFBIG: RLIMIT_FSIZE (SIGXFSZ was sent) or the file system's limit is reached; -EPERM: the file is sealed;
 * -ETXTBSY: it is a swap area. inode->lock held for writing. */
int file_write_check(struct file *f, u64 *pos, size_t *len);

/* sendfile.c */
/** Write kernel memory at *pos, and advance *pos. The bytes go to the page cache, or to ops->write_kernel. Returns
 * bytes or -errno, as write(2). The file is open for writing. */
long file_write_kernel(struct file *out, const void *buf, size_t len, u64 *pos);

/* direct_io.c */
/** May the file be opened with O_DIRECT? */
bool file_can_direct(const struct file *f);
/** Call these before and after a transfer of bytes [pos, pos + len). Without O_DIRECT they do nothing.
 * direct_begin(): 0, -EINVAL: position, length or memory is not in whole sectors; -EIO. direct_end(): the result of
 * the system call. No inode lock held. */
int __direct_begin(struct file *f, unsigned long buf, size_t len, u64 pos);
long __direct_end(struct file *f, u64 pos, long done);
static inline int direct_begin(struct file *f, unsigned long buf, size_t len, u64 pos)
{
	return unlikely(f->flags & O_DIRECT) ? __direct_begin(f, buf, len, pos) : 0;
}
static inline long direct_end(struct file *f, u64 pos, long done)
{
	return unlikely(f->flags & O_DIRECT) ? __direct_end(f, pos, done) : done;
}

/* pipe.c */
/** Open a further end of the pipe that `old` is an end of. Returns a new file; NULL: `old` is no pipe; or
 * ERR_PTR(-ENOMEM). */
struct file *pipe_open_again(struct file *old, u32 flags);
/** How many bytes a pipe has room for when it is empty; -EBADF: it is no pipe. */
long pipe_capacity(const struct file *f);
/** Open a named pipe. Waits for the other end, unless O_NONBLOCK is set. 0 or -errno. */
int fifo_open(struct file *f);
#endif
