/*
 * System calls, by Linux's numbers and with Linux's results.
 *
 * A table of functions that take the saved registers; arguments are rdi, rsi, rdx, r10, r8, r9. A
 * number that is not in the table gives -ENOSYS and is named once in the log.
 *
 * Sources: arch/x86/entry/syscalls/syscall_64.tbl of Linux for the numbers (from
 * <asm/unistd_64.h>), man-pages section 2 for the results.
 */
#include <asm/unistd_64.h>

#include "kernel/accessd.h"
#include "fs/file.h"
#include "fs/file_calls.h"
#include "kernel/futex.h"
#include "kernel/id_calls.h"
#include "kernel/memory_calls.h"
#include "fs/poll.h"
#include "kernel/swap_calls.h"
#include "kernel/time_calls.h"
#include "kernel/version.h"
#include "../user/mmvm_calls.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/virt/mm.h"
#include "mm/swap/swap.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/zone.h"
#include "mmvm/shared.h"

typedef long (*syscall_fn)(struct pt_regs *r);

/* ---- process and time ---- */

static long sys_getpid(struct pt_regs *r)
{
	return current_process()->pid;
}

static long sys_gettid(struct pt_regs *r)
{
	return current->pid;
}

static long sys_set_tid_address(struct pt_regs *r)
{
	current->clear_child_tid = r->rdi;
	return current->pid;
}

static long sys_getppid(struct pt_regs *r)
{
	return READ_ONCE(current_process()->ppid);
}

static long sys_zero(struct pt_regs *r)
{
	return 0; /* root's ids */
}

static long sys_sched_yield(struct pt_regs *r)
{
	sched_yield();
	return 0;
}

static long sys_arch_prctl(struct pt_regs *r)
{
	switch (r->rdi) {
	case 0x1002: /* ARCH_SET_FS */
		if (r->rsi >= TASK_SIZE)
			return -EPERM;
		current->fs_base = r->rsi;
		arch_set_fs_base(r->rsi);
		return 0;
	case 0x1003: /* ARCH_GET_FS */
		return copy_to_user(r->rsi, &current->fs_base, 8) ? -EFAULT : 0;
	default:
		return -EINVAL;
	}
}

static long sys_uname(struct pt_regs *r)
{
	static const char uts[6][65] = {GUESTMM_SYSNAME, GUESTMM_HOST,	  GUESTMM_RELEASE,
					"#1 guestmm",	 GUESTMM_MACHINE, "(none)"};

	return copy_to_user(r->rdi, uts, sizeof(uts)) ? -EFAULT : 0;
}

static long sys_getrandom(struct pt_regs *r)
{
	size_t done = 0, len = min(r->rsi, 1ul << 20);

	if (r->rdx & ~7ul)
		return -EINVAL;
	while (done < len) {
		u64 v = get_random_u64();
		size_t n = min(len - done, sizeof(v));

		if (copy_to_user(r->rdi + done, &v, n))
			return done ? (long)done : -EFAULT;
		done += n;
	}
	return done;
}

static long sys_sysinfo(struct pt_regs *r)
{
	struct mmvm_sysinfo si = {
		.uptime = (long)(ktime_ns() / NSEC_PER_SEC),
		.totalram = totalram_pages(),
		.freeram = nr_free_pages(),
		.totalswap = swap_total_pages(),
		.freeswap = swap_free_pages(),
		.procs = 1,
		.mem_unit = PAGE_SIZE,
	};

	return copy_to_user(r->rdi, &si, sizeof(si)) ? -EFAULT : 0;
}

static long vm_event_by_name(const char *name)
{
#define EVENT_NAME(id, text) [id] = text,
	static const char *const names[] = {MMVM_VM_EVENTS(EVENT_NAME)};
	unsigned int i;

	for (i = 0; i < NR_VM_EVENT_ITEMS; i++) {
		if (!strcmp(names[i], name))
			return (long)sum_vm_event(i);
	}
	return -EINVAL;
}

static long copy_maps(unsigned long to, size_t size)
{
	struct report report = {.size = min(size, 256ul << 10)};
	long ret;

	report.buf = vmalloc(report.size);
	if (!report.buf)
		return -ENOMEM;
	report_maps(&report, current->mm);
	ret = report.overflow				 ? -ERANGE
	      : copy_to_user(to, report.buf, report.len) ? -EFAULT
							 : (long)report.len;
	vfree(report.buf);
	return ret;
}

static long sys_mmvm_report(struct pt_regs *r)
{
	char name[64];
	long len = strncpy_from_user(name, r->rsi, sizeof(name));

	if (len < 0)
		return len == -ENAMETOOLONG ? -EINVAL : len;
	switch (r->rdi) {
	case MMVM_USER_PROGRESS:
		mmvm_shared->progress_done = r->rdx;
		mmvm_shared->progress_total = r->r10;
		testchan_record(MMVM_REC_PROGRESS, name, r->rdx, r->r10, NULL);
		return 0;
	case MMVM_USER_BENCH:
		testchan_record(MMVM_REC_BENCH, name, r->rdx, r->r10, NULL);
		return 0;
	case MMVM_USER_PROFILE:
		testchan_record(MMVM_REC_PROFILE, name, r->rdx, 0, NULL);
		return 0;
	case MMVM_USER_EVENT:
		return vm_event_by_name(name);
	case MMVM_USER_MAPS:
		return copy_maps(r->rdx, r->r10);
	case MMVM_USER_ROUND:
		return testchan_call(MMVM_REC_ROUND, name, r->rdx, 0, NULL, 0);
	case MMVM_USER_CLEAN:
		if ((r->rdx | r->r10) & ~PAGE_MASK || r->r10 > TASK_SIZE ||
		    r->rdx > TASK_SIZE - r->r10)
			return -EINVAL;
		return (long)mm_clean_range(current->mm, r->rdx, r->rdx + r->r10);
	case MMVM_USER_ACCESS:
		return accessd_sample_current();
	default:
		return -EINVAL;
	}
}

static const syscall_fn table[] = {
	[__NR_read] = sys_read,
	[__NR_write] = sys_write,
	[__NR_pread64] = sys_pread64,
	[__NR_pwrite64] = sys_pwrite64,
	[__NR_readv] = sys_readv,
	[__NR_writev] = sys_writev,
	[__NR_preadv] = sys_preadv,
	[__NR_pwritev] = sys_pwritev,
	[__NR_preadv2] = sys_preadv2,
	[__NR_pwritev2] = sys_pwritev2,
	[__NR_lseek] = sys_lseek,
	[__NR_ioctl] = sys_ioctl,
	[__NR_close] = sys_close,
	[__NR_close_range] = sys_close_range,
	[__NR_dup] = sys_dup,
	[__NR_dup2] = sys_dup2,
	[__NR_dup3] = sys_dup3,
	[__NR_fcntl] = sys_fcntl,
	[__NR_flock] = sys_flock,
	[__NR_pipe] = sys_pipe,
	[__NR_pipe2] = sys_pipe2,
	[__NR_open] = sys_open,
	[__NR_openat] = sys_openat,
	[__NR_creat] = sys_creat,
	[__NR_mkdir] = sys_mkdir,
	[__NR_mkdirat] = sys_mkdirat,
	[__NR_mknod] = sys_mknod,
	[__NR_mknodat] = sys_mknodat,
	[__NR_unlink] = sys_unlink,
	[__NR_rmdir] = sys_rmdir,
	[__NR_unlinkat] = sys_unlinkat,
	[__NR_readlink] = sys_readlink,
	[__NR_readlinkat] = sys_readlinkat,
	[__NR_symlink] = sys_symlink,
	[__NR_symlinkat] = sys_symlinkat,
	[__NR_link] = sys_link,
	[__NR_linkat] = sys_linkat,
	[__NR_rename] = sys_rename,
	[__NR_renameat] = sys_renameat,
	[__NR_renameat2] = sys_renameat2,
	[__NR_chdir] = sys_chdir,
	[__NR_fchdir] = sys_fchdir,
	[__NR_chroot] = sys_chroot,
	[__NR_getcwd] = sys_getcwd,
	[__NR_umask] = sys_umask,
	[__NR_mount] = sys_mount,
	[__NR_umount2] = sys_umount2,
	[__NR_swapon] = sys_swapon,
	[__NR_swapoff] = sys_swapoff,
	[__NR_stat] = sys_stat,
	[__NR_lstat] = sys_lstat,
	[__NR_fstat] = sys_fstat,
	[__NR_newfstatat] = sys_newfstatat,
	[__NR_statx] = sys_statx,
	[__NR_access] = sys_access,
	[__NR_faccessat] = sys_faccessat,
	[__NR_faccessat2] = sys_faccessat2,
	[__NR_chmod] = sys_chmod,
	[__NR_fchmod] = sys_fchmod,
	[__NR_fchmodat] = sys_fchmodat,
	[__NR_chown] = sys_chown,
	[__NR_lchown] = sys_lchown,
	[__NR_fchown] = sys_fchown,
	[__NR_fchownat] = sys_fchownat,
	[__NR_utimensat] = sys_utimensat,
	[__NR_utime] = sys_utime,
	[__NR_utimes] = sys_utimes,
	[__NR_futimesat] = sys_futimesat,
	[__NR_truncate] = sys_truncate,
	[__NR_ftruncate] = sys_ftruncate,
	[__NR_fallocate] = sys_fallocate,
	[__NR_fsync] = sys_fsync,
	[__NR_fdatasync] = sys_fdatasync,
	[__NR_sync] = sys_sync,
	[__NR_syncfs] = sys_syncfs,
	[__NR_sync_file_range] = sys_sync_file_range,
	[__NR_fadvise64] = sys_fadvise64,
	[__NR_statfs] = sys_statfs,
	[__NR_fstatfs] = sys_fstatfs,
	[__NR_getdents] = sys_getdents,
	[__NR_getdents64] = sys_getdents64,
	[__NR_sendfile] = sys_sendfile,
	[__NR_copy_file_range] = sys_copy_file_range,
	[__NR_memfd_create] = sys_memfd_create,
	[__NR_mmap] = sys_mmap,
	[__NR_mprotect] = sys_mprotect,
	[__NR_munmap] = sys_munmap,
	[__NR_brk] = sys_brk,
	[__NR_sched_yield] = sys_sched_yield,
	[__NR_mremap] = sys_mremap,
	[__NR_msync] = sys_msync,
	[__NR_mincore] = sys_mincore,
	[__NR_madvise] = sys_madvise,
	[__NR_nanosleep] = sys_nanosleep,
	[__NR_getpid] = sys_getpid,
	[__NR_rt_sigaction] = sys_rt_sigaction,
	[__NR_rt_sigprocmask] = sys_rt_sigprocmask,
	[__NR_rt_sigreturn] = sys_rt_sigreturn,
	[__NR_pause] = sys_pause,
	[__NR_clone] = sys_clone,
	[__NR_fork] = sys_fork,
	[__NR_vfork] = sys_vfork,
	[__NR_execve] = sys_execve,
	[__NR_exit] = sys_exit,
	[__NR_wait4] = sys_wait4,
	[__NR_kill] = sys_kill,
	[__NR_rt_sigpending] = sys_rt_sigpending,
	[__NR_rt_sigsuspend] = sys_rt_sigsuspend,
	[__NR_sigaltstack] = sys_sigaltstack,
	[__NR_tkill] = sys_tkill,
	[__NR_futex] = sys_futex,
	[__NR_tgkill] = sys_tgkill,
	[__NR_waitid] = sys_waitid,
	[__NR_uname] = sys_uname,
	[__NR_sysinfo] = sys_sysinfo,
	[__NR_getuid] = sys_zero,
	[__NR_getgid] = sys_zero,
	[__NR_geteuid] = sys_zero,
	[__NR_getegid] = sys_zero,
	[__NR_getppid] = sys_getppid,
	[__NR_arch_prctl] = sys_arch_prctl,
	[__NR_gettid] = sys_gettid,
	[__NR_set_tid_address] = sys_set_tid_address,
	[__NR_clock_gettime] = sys_clock_gettime,
	[__NR_clock_getres] = sys_clock_getres,
	[__NR_clock_nanosleep] = sys_clock_nanosleep,
	[__NR_gettimeofday] = sys_gettimeofday,
	[__NR_time] = sys_time,
	[__NR_times] = sys_times,
	[__NR_getrusage] = sys_getrusage,
	[__NR_setitimer] = sys_setitimer,
	[__NR_getitimer] = sys_getitimer,
	[__NR_alarm] = sys_alarm,
	[__NR_exit_group] = sys_exit_group,
	[__NR_getrlimit] = sys_getrlimit,
	[__NR_mlock] = sys_mlock,
	[__NR_munlock] = sys_munlock,
	[__NR_mlockall] = sys_mlockall,
	[__NR_munlockall] = sys_munlockall,
	[__NR_setrlimit] = sys_setrlimit,
	[__NR_set_robust_list] = sys_set_robust_list,
	[__NR_get_robust_list] = sys_get_robust_list,
	[__NR_poll] = sys_poll,
	[__NR_ppoll] = sys_ppoll,
	[__NR_select] = sys_select,
	[__NR_pselect6] = sys_pselect6,
	[__NR_clone3] = sys_clone3,
	[__NR_getpgid] = sys_getpgid,
	[__NR_getpgrp] = sys_getpgrp,
	[__NR_getsid] = sys_getsid,
	[__NR_setpgid] = sys_setpgid,
	[__NR_setsid] = sys_setsid,
	[__NR_getresuid] = sys_getresid,
	[__NR_getresgid] = sys_getresid,
	[__NR_setuid] = sys_set_id,
	[__NR_setgid] = sys_set_id,
	[__NR_setreuid] = sys_setre_id,
	[__NR_setregid] = sys_setre_id,
	[__NR_setresuid] = sys_setres_id,
	[__NR_setresgid] = sys_setres_id,
	[__NR_getgroups] = sys_getgroups,
	[__NR_setgroups] = sys_setgroups,
	[__NR_prctl] = sys_prctl,
	[__NR_personality] = sys_personality,
	[__NR_sched_getaffinity] = sys_sched_getaffinity,
	[__NR_sched_setaffinity] = sys_sched_setaffinity,
	[__NR_getcpu] = sys_getcpu,
	[__NR_sched_getscheduler] = sys_sched_getscheduler,
	[__NR_sched_getparam] = sys_sched_getparam,
	[__NR_sched_get_priority_max] = sys_sched_priority_limit,
	[__NR_sched_get_priority_min] = sys_sched_priority_limit,
	[__NR_getpriority] = sys_getpriority,
	[__NR_setpriority] = sys_setpriority,
	[__NR_prlimit64] = sys_prlimit64,
	[__NR_getrandom] = sys_getrandom,
	[__NR_mlock2] = sys_mlock2,
};

/* Each unknown number is named once; beyond the bitmap's range all share the last bit. */
static void log_unknown(u64 nr)
{
	static u64 seen[16];
	unsigned int bit = min(nr, 1023ul);

	if (!test_and_set_bit(bit % 64, &seen[bit / 64]))
		printk("%s[%d]: system call %lu is not known here (ENOSYS)\n", current->comm,
		       current->pid, (unsigned long)nr);
}

long syscall_dispatch(struct pt_regs *regs)
{
	u64 nr = regs->orig_rax;

	if (likely(nr < ARRAY_SIZE(table) && table[nr]))
		return table[nr](regs);
	if (nr == MMVM_SYS_REPORT)
		return sys_mmvm_report(regs);
	log_unknown(nr);
	return -ENOSYS;
}
