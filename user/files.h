/* The system calls about files, by Linux's numbers; results are the kernel's, -errno included. */
#ifndef USER_FILES_H
#define USER_FILES_H
#include "rt.h"

#define O_RDONLY    0
#define O_WRONLY    1
#define O_RDWR	    2
#define O_CREAT	    0100
#define O_EXCL	    0200
#define O_TRUNC	    01000
#define O_APPEND    02000
#define O_NONBLOCK  04000
#define O_DIRECTORY 0200000
#define O_NOFOLLOW  0400000
#define O_CLOEXEC   02000000
#define O_PATH	    010000000
#define O_TMPFILE   020200000

#define AT_FDCWD	    (-100)
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_REMOVEDIR	    0x200
#define AT_SYMLINK_FOLLOW   0x400
#define AT_EMPTY_PATH	    0x1000

#define S_IFMT	 0170000
#define S_IFLNK	 0120000
#define S_IFREG	 0100000
#define S_IFBLK	 0060000
#define S_IFDIR	 0040000
#define S_IFCHR	 0020000
#define S_IFIFO	 0010000
#define S_IFSOCK 0140000

struct stat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, pad;
	uint64_t rdev;
	int64_t size, blksize, blocks;
	uint64_t atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec;
	int64_t unused[3];
};
struct iovec {
	void *base;
	size_t len;
};
struct dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

#define CALL(name, nr, params, ...)               \
	static inline long name params            \
	{                                         \
		return syscall6(nr, __VA_ARGS__); \
	}
#define P(x) ((long)(x))
CALL(sys_open, 2, (const char *p, long flags, long mode), P(p), flags, mode, 0, 0, 0)
CALL(sys_close, 3, (long fd), fd, 0, 0, 0, 0, 0)
CALL(sys_read, 0, (long fd, void *b, size_t n), fd, P(b), n, 0, 0, 0)
CALL(sys_pread, 17, (long fd, void *b, size_t n, long at), fd, P(b), n, at, 0, 0)
CALL(sys_pwrite, 18, (long fd, const void *b, size_t n, long at), fd, P(b), n, at, 0, 0)
CALL(sys_readv, 19, (long fd, struct iovec *v, long n), fd, P(v), n, 0, 0, 0)
CALL(sys_writev, 20, (long fd, struct iovec *v, long n), fd, P(v), n, 0, 0, 0)
CALL(sys_stat, 4, (const char *p, struct stat *st), P(p), P(st), 0, 0, 0, 0)
CALL(sys_fstat, 5, (long fd, struct stat *st), fd, P(st), 0, 0, 0, 0)
CALL(sys_lstat, 6, (const char *p, struct stat *st), P(p), P(st), 0, 0, 0, 0)
CALL(sys_lseek, 8, (long fd, long off, long whence), fd, off, whence, 0, 0, 0)
CALL(sys_access, 21, (const char *p, long mode), P(p), mode, 0, 0, 0, 0)
CALL(sys_pipe, 22, (int fd[2]), P(fd), 0, 0, 0, 0, 0)
CALL(sys_dup, 32, (long fd), fd, 0, 0, 0, 0, 0)
CALL(sys_dup2, 33, (long fd, long to), fd, to, 0, 0, 0, 0)
CALL(sys_sendfile, 40, (long out, long in, long *pos, size_t n), out, in, P(pos), n, 0, 0)
CALL(sys_fork, 57, (void), 0, 0, 0, 0, 0, 0)
CALL(sys_execve, 59, (const char *p, char **argv, char **env), P(p), P(argv), P(env), 0, 0, 0)
CALL(sys_wait4, 61, (long pid, int *status, long flags), pid, P(status), flags, 0, 0, 0)
CALL(sys_fcntl, 72, (long fd, long cmd, long arg), fd, cmd, arg, 0, 0, 0)
CALL(sys_flock, 73, (long fd, long op), fd, op, 0, 0, 0, 0)
CALL(sys_fsync, 74, (long fd), fd, 0, 0, 0, 0, 0)
CALL(sys_truncate, 76, (const char *p, long n), P(p), n, 0, 0, 0, 0)
CALL(sys_ftruncate, 77, (long fd, long n), fd, n, 0, 0, 0, 0)
CALL(sys_getcwd, 79, (char *b, size_t n), P(b), n, 0, 0, 0, 0)
CALL(sys_chdir, 80, (const char *p), P(p), 0, 0, 0, 0, 0)
CALL(sys_fchdir, 81, (long fd), fd, 0, 0, 0, 0, 0)
CALL(sys_rename, 82, (const char *a, const char *b), P(a), P(b), 0, 0, 0, 0)
CALL(sys_mkdir, 83, (const char *p, long mode), P(p), mode, 0, 0, 0, 0)
CALL(sys_rmdir, 84, (const char *p), P(p), 0, 0, 0, 0, 0)
CALL(sys_link, 86, (const char *a, const char *b), P(a), P(b), 0, 0, 0, 0)
CALL(sys_unlink, 87, (const char *p), P(p), 0, 0, 0, 0, 0)
CALL(sys_symlink, 88, (const char *to, const char *p), P(to), P(p), 0, 0, 0, 0)
CALL(sys_readlink, 89, (const char *p, char *b, long n), P(p), P(b), n, 0, 0, 0)
CALL(sys_chmod, 90, (const char *p, long mode), P(p), mode, 0, 0, 0, 0)
CALL(sys_fchmod, 91, (long fd, long mode), fd, mode, 0, 0, 0, 0)
CALL(sys_chown, 92, (const char *p, long u, long g), P(p), u, g, 0, 0, 0)
CALL(sys_umask, 95, (long m), m, 0, 0, 0, 0, 0)
CALL(sys_getrlimit, 97, (long which, void *to), which, P(to), 0, 0, 0, 0)
CALL(sys_setrlimit, 160, (long which, void *from), which, P(from), 0, 0, 0, 0)
CALL(sys_mknod, 133, (const char *p, long mode, long dev), P(p), mode, dev, 0, 0, 0)
CALL(sys_statfs, 137, (const char *p, void *b), P(p), P(b), 0, 0, 0, 0)
CALL(sys_chroot, 161, (const char *p), P(p), 0, 0, 0, 0, 0)
CALL(sys_mount, 165, (const char *s, const char *t, const char *type, long flags, const char *opt),
     P(s), P(t), P(type), flags, P(opt), 0)
CALL(sys_umount, 166, (const char *p, long flags), P(p), flags, 0, 0, 0, 0)
CALL(sys_getdents, 217, (long fd, void *b, size_t n), fd, P(b), n, 0, 0, 0)
CALL(sys_openat, 257, (long d, const char *p, long flags, long mode), d, P(p), flags, mode, 0, 0)
CALL(sys_mkdirat, 258, (long d, const char *p, long mode), d, P(p), mode, 0, 0, 0)
CALL(sys_unlinkat, 263, (long d, const char *p, long flags), d, P(p), flags, 0, 0, 0)
CALL(sys_linkat, 265, (long d, const char *a, long e, const char *b, long flags), d, P(a), e, P(b),
     flags, 0)
CALL(sys_readlinkat, 267, (long d, const char *p, char *b, long n), d, P(p), P(b), n, 0, 0)
CALL(sys_fstatat, 262, (long d, const char *p, struct stat *st, long flags), d, P(p), P(st), flags,
     0, 0)
CALL(sys_utimensat, 280, (long d, const char *p, void *ts, long flags), d, P(p), P(ts), flags, 0, 0)
CALL(sys_fallocate, 285, (long fd, long mode, long at, long n), fd, mode, at, n, 0, 0)
CALL(sys_renameat2, 316, (long d, const char *a, long e, const char *b, long flags), d, P(a), e,
     P(b), flags, 0)
CALL(sys_memfd, 319, (const char *name, long flags), P(name), flags, 0, 0, 0, 0)
CALL(sys_copy_range, 326, (long in, long *ip, long out, long *op, size_t n), in, P(ip), out, P(op),
     n, 0)
CALL(sys_close_range, 436, (long a, long b, long flags), a, b, flags, 0, 0, 0)
CALL(sys_faccessat2, 439, (long d, const char *p, long mode, long flags), d, P(p), mode, flags, 0,
     0)
#undef CALL
#undef P
#endif
