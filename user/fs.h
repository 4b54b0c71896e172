/* Files for our user programs: the system calls, by Linux's numbers. Results or -errno. */
#ifndef USER_FS_H
#define USER_FS_H
#include "rt.h"

#define O_RDONLY    0
#define O_WRONLY    1
#define O_RDWR	    2
#define O_CREAT	    0100
#define O_EXCL	    0200
#define O_TRUNC	    01000
#define O_APPEND    02000
#define O_DIRECTORY 0200000

#define ENOSPC 28

#define S_IFMT	0170000
#define S_IFDIR 0040000
#define S_IFREG 0100000
#define S_IFLNK 0120000
#define S_IFCHR 0020000
#define S_IFIFO 0010000

struct fs_stat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, pad;
	uint64_t rdev;
	int64_t size, blksize, blocks;
	uint64_t times[6];
	int64_t unused[3];
};
struct fs_statfs {
	int64_t type, bsize;
	uint64_t blocks, bfree, bavail, files, ffree;
	int32_t fsid[2];
	int64_t namelen, frsize, flags, spare[4];
};
struct fs_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static inline long sys_open(const char *path, int flags, int mode)
{
	return syscall3(2, (long)path, flags, mode);
}
static inline long sys_close(int fd)
{
	return syscall3(3, fd, 0, 0);
}
static inline long sys_read(int fd, void *buf, size_t n)
{
	return syscall3(0, fd, (long)buf, n);
}
static inline long sys_pread(int fd, void *buf, size_t n, uint64_t pos)
{
	return syscall6(17, fd, (long)buf, n, pos, 0, 0);
}
static inline long sys_pwrite(int fd, const void *buf, size_t n, uint64_t pos)
{
	return syscall6(18, fd, (long)buf, n, pos, 0, 0);
}
static inline long sys_lstat(const char *path, struct fs_stat *st)
{
	return syscall3(6, (long)path, (long)st, 0);
}
static inline long sys_fstat(int fd, struct fs_stat *st)
{
	return syscall3(5, fd, (long)st, 0);
}
static inline long sys_ioctl(int fd, unsigned int cmd, void *arg)
{
	return syscall3(16, fd, cmd, (long)arg);
}
static inline long sys_fsync(int fd)
{
	return syscall3(74, fd, 0, 0);
}
static inline long sys_ftruncate(int fd, uint64_t size)
{
	return syscall3(77, fd, size, 0);
}
static inline long sys_rename(const char *from, const char *to)
{
	return syscall3(82, (long)from, (long)to, 0);
}
static inline long sys_mkdir(const char *path, int mode)
{
	return syscall3(83, (long)path, mode, 0);
}
static inline long sys_rmdir(const char *path)
{
	return syscall3(84, (long)path, 0, 0);
}
static inline long sys_link(const char *from, const char *to)
{
	return syscall3(86, (long)from, (long)to, 0);
}
static inline long sys_unlink(const char *path)
{
	return syscall3(87, (long)path, 0, 0);
}
static inline long sys_symlink(const char *target, const char *path)
{
	return syscall3(88, (long)target, (long)path, 0);
}
static inline long sys_readlink(const char *path, char *buf, size_t n)
{
	return syscall3(89, (long)path, (long)buf, n);
}
static inline long sys_mknod(const char *path, int mode, uint64_t dev)
{
	return syscall3(133, (long)path, mode, dev);
}
static inline long sys_statfs(const char *path, struct fs_statfs *st)
{
	return syscall3(137, (long)path, (long)st, 0);
}
static inline long sys_sync(void)
{
	return syscall3(162, 0, 0, 0);
}
static inline long sys_mount(const char *dev, const char *dir, const char *type,
			     unsigned long flags)
{
	return syscall6(165, (long)dev, (long)dir, (long)type, flags, 0, 0);
}
static inline long sys_umount(const char *dir)
{
	return syscall3(166, (long)dir, 0, 0);
}
static inline long sys_getdents(int fd, void *buf, size_t n)
{
	return syscall3(217, fd, (long)buf, n);
}
static inline long sys_mmap_file(size_t len, int prot, int flags, int fd, uint64_t offset)
{
	return syscall6(SYS_mmap, 0, len, prot, flags, fd, offset);
}
#endif
