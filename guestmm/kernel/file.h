/*
 * Open files and descriptors.
 *
 *   process ──> struct files: fd[0..] ──> struct file ──> ops, private
 *
 * A file is shared by all descriptors that dup(2) and fork(2) made of it; the last one closes it.
 */
#ifndef KERNEL_FILE_H
#define KERNEL_FILE_H
#include "kernel/process.h"

#define MAX_FDS	   256u /* RLIMIT_NOFILE */
#define O_ACCMODE  3u
#define O_RDONLY   0u
#define O_WRONLY   1u
#define O_RDWR	   2u
#define O_NONBLOCK 04000u
#define O_CLOEXEC  02000000u

struct file;
/** What a kind of file does. Buffers are in user memory; results as the system calls'. NULL read or
 * write: -EBADF. */
struct file_ops {
	long (*read)(struct file *f, unsigned long buf, size_t len);
	long (*write)(struct file *f, unsigned long buf, size_t len);
	long (*ioctl)(struct file *f, unsigned int cmd, unsigned long arg); /* NULL: -ENOTTY */
	u32 (*poll)(struct file *f); /* POLL* that hold now; NULL: always readable, writable */
	void (*release)(struct file *f);
};
struct file {
	s32 refs;  /* A */
	u32 flags; /* O_* */
	const struct file_ops *ops;
	void *private;
};

/** New file with one reference, or NULL. */
struct file *file_alloc(const struct file_ops *ops, u32 flags, void *private);
void file_put(struct file *f);
/** The file behind a descriptor of the current process, with a reference, or NULL. */
struct file *fd_get(unsigned int fd);
/** Give the file, with its reference, the lowest free descriptor >= from: its number, or -EMFILE
 * (the reference stays the caller's). */
int fd_install(struct file *f, unsigned int from, bool cloexec);
/** Returns 0 or -EBADF. */
int fd_close(unsigned int fd);

/** A table with descriptors 0, 1, 2 on the console. NULL if no memory. */
struct files *files_console(void);
/** A copy for fork. NULL if no memory. */
struct files *files_dup(struct files *files);
void files_get(struct files *files);
/** NULL is fine. */
void files_put(struct files *files);
/** A new program: close what is marked so. */
void files_exec(struct files *files);

long sys_read(struct pt_regs *r);
long sys_write(struct pt_regs *r);
long sys_readv(struct pt_regs *r);
long sys_writev(struct pt_regs *r);
long sys_close(struct pt_regs *r);
long sys_dup(struct pt_regs *r);
long sys_dup2(struct pt_regs *r);
long sys_dup3(struct pt_regs *r);
long sys_fcntl(struct pt_regs *r);
long sys_ioctl(struct pt_regs *r);

/* pipe.c */
long sys_pipe(struct pt_regs *r);
long sys_pipe2(struct pt_regs *r);
#endif
