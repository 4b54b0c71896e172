/* The system calls about files, for the table. */
#ifndef KERNEL_FILE_CALLS_H
#define KERNEL_FILE_CALLS_H
#include "arch/ptrace.h"

/* file.c */
long sys_read(struct pt_regs *r);
long sys_write(struct pt_regs *r);
long sys_pread64(struct pt_regs *r);
long sys_pwrite64(struct pt_regs *r);
long sys_readv(struct pt_regs *r);
long sys_writev(struct pt_regs *r);
long sys_preadv(struct pt_regs *r);
long sys_pwritev(struct pt_regs *r);
long sys_preadv2(struct pt_regs *r);
long sys_pwritev2(struct pt_regs *r);
long sys_lseek(struct pt_regs *r);
long sys_ioctl(struct pt_regs *r);
/* fdtable.c */
long sys_close(struct pt_regs *r);
long sys_close_range(struct pt_regs *r);
long sys_dup(struct pt_regs *r);
long sys_dup2(struct pt_regs *r);
long sys_dup3(struct pt_regs *r);
/* fcntl.c */
long sys_fcntl(struct pt_regs *r);
long sys_flock(struct pt_regs *r);
/* pipe.c */
long sys_pipe(struct pt_regs *r);
long sys_pipe2(struct pt_regs *r);
/* file_calls.c */
long sys_open(struct pt_regs *r);
long sys_openat(struct pt_regs *r);
long sys_creat(struct pt_regs *r);
long sys_mkdir(struct pt_regs *r);
long sys_mkdirat(struct pt_regs *r);
long sys_mknod(struct pt_regs *r);
long sys_mknodat(struct pt_regs *r);
long sys_unlink(struct pt_regs *r);
long sys_rmdir(struct pt_regs *r);
long sys_unlinkat(struct pt_regs *r);
long sys_readlink(struct pt_regs *r);
long sys_readlinkat(struct pt_regs *r);
long sys_symlink(struct pt_regs *r);
long sys_symlinkat(struct pt_regs *r);
long sys_link(struct pt_regs *r);
long sys_linkat(struct pt_regs *r);
long sys_rename(struct pt_regs *r);
long sys_renameat(struct pt_regs *r);
long sys_renameat2(struct pt_regs *r);
long sys_chdir(struct pt_regs *r);
long sys_fchdir(struct pt_regs *r);
long sys_chroot(struct pt_regs *r);
long sys_getcwd(struct pt_regs *r);
long sys_umask(struct pt_regs *r);
long sys_mount(struct pt_regs *r);
long sys_umount2(struct pt_regs *r);
/* attr_calls.c */
long sys_stat(struct pt_regs *r);
long sys_lstat(struct pt_regs *r);
long sys_fstat(struct pt_regs *r);
long sys_newfstatat(struct pt_regs *r);
long sys_statx(struct pt_regs *r);
long sys_access(struct pt_regs *r);
long sys_faccessat(struct pt_regs *r);
long sys_faccessat2(struct pt_regs *r);
long sys_chmod(struct pt_regs *r);
long sys_fchmod(struct pt_regs *r);
long sys_fchmodat(struct pt_regs *r);
long sys_chown(struct pt_regs *r);
long sys_lchown(struct pt_regs *r);
long sys_fchown(struct pt_regs *r);
long sys_fchownat(struct pt_regs *r);
long sys_utimensat(struct pt_regs *r);
long sys_utime(struct pt_regs *r);
long sys_utimes(struct pt_regs *r);
long sys_futimesat(struct pt_regs *r);
long sys_truncate(struct pt_regs *r);
long sys_ftruncate(struct pt_regs *r);
long sys_fallocate(struct pt_regs *r);
long sys_fsync(struct pt_regs *r);
long sys_fdatasync(struct pt_regs *r);
long sys_sync(struct pt_regs *r);
long sys_syncfs(struct pt_regs *r);
long sys_sync_file_range(struct pt_regs *r);
long sys_fadvise64(struct pt_regs *r);
long sys_statfs(struct pt_regs *r);
long sys_fstatfs(struct pt_regs *r);
/* transfer_calls.c */
long sys_getdents(struct pt_regs *r);
long sys_getdents64(struct pt_regs *r);
long sys_sendfile(struct pt_regs *r);
long sys_copy_file_range(struct pt_regs *r);
long sys_memfd_create(struct pt_regs *r);

#endif
