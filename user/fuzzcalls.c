/*
 * System calls nobody would make: random numbers with random and with nearly valid arguments.
 *
 * fuzzcalls [--seed N] [--calls N] [--batch N]
 *
 * The parent does nothing but fork and bury. Each child makes a batch of calls and ends, unless a
 * call ended it first (it may unmap its own text, point its handlers at nothing, or execute another
 * program); one that sleeps for ever is killed. Child i has the seed `seed + i`, so `--seed S+i
 * --calls 1` repeats the i-th child alone. Calls are counted in a pipe no call is made on: a byte
 * ahead of every sixteenth.
 *
 * What is not asked, as it would end the test and not find anything: signals to others than
 * oneself, limits of others, records to the VMM that mean something there.
 *
 * It passes when the parent lives and all calls were made; that the kernel lives is for the VMM to
 * say.
 */
#include <asm/unistd_64.h>

#include "rt.h"

#define WNOHANG	  1
#define SIGKILL	  9
#define PATIENCE  40 /* milliseconds a child may go without a call */
#define COUNT_BIT 16
#define COUNT_FD  200 /* and the next: read end, write end */

static uint64_t rng;
static const char path_program[] = "/bin/hello", path_none[] = "/bin/none";
/* Addresses are of the first 8 pages; the rest keeps ranges from what lies behind. */
static char arena[40 * PAGE_SIZE] __attribute__((aligned(4096)));

static const int known[] = {
	__NR_read,	    __NR_write,		__NR_mmap,	   __NR_mprotect,
	__NR_munmap,	    __NR_brk,		__NR_sched_yield,  __NR_mremap,
	__NR_msync,	    __NR_mincore,	__NR_madvise,	   __NR_nanosleep,
	__NR_getpid,	    __NR_close,		__NR_rt_sigaction, __NR_rt_sigprocmask,
	__NR_rt_sigreturn,  __NR_ioctl,		__NR_readv,	   __NR_writev,
	__NR_pipe,	    __NR_dup,		__NR_dup2,	   __NR_pause,
	__NR_clone,	    __NR_fork,		__NR_vfork,	   __NR_execve,
	__NR_exit,	    __NR_wait4,		__NR_kill,	   __NR_fcntl,
	__NR_rt_sigpending, __NR_rt_sigsuspend, __NR_sigaltstack,  __NR_tkill,
	__NR_futex,	    __NR_tgkill,	__NR_waitid,	   __NR_dup3,
	__NR_pipe2,	    __NR_uname,		__NR_sysinfo,	   __NR_getuid,
	__NR_getppid,	    __NR_arch_prctl,	__NR_gettid,	   __NR_set_tid_address,
	__NR_clock_gettime, __NR_exit_group,	__NR_getrlimit,	   __NR_mlock,
	__NR_munlock,	    __NR_mlockall,	__NR_munlockall,   __NR_setrlimit,
	__NR_prlimit64,	    __NR_getrandom,	__NR_mlock2,	   __NR_poll,
	__NR_lseek,	    __NR_open,		__NR_ptrace,	   __NR_userfaultfd,
};
/* Memory is what this kernel is about: these come up twice as often as all others together. */
static const int memory[] = {
	__NR_mmap,   __NR_mprotect, __NR_munmap,     __NR_brk,	 __NR_mremap,
	__NR_msync,  __NR_mincore,  __NR_madvise,    __NR_mlock, __NR_munlock,
	__NR_mlock2, __NR_mlockall, __NR_munlockall,
};

/* Names and files. Not asked: close_range and whatever else would close the pipe the calls are counted
 * in, swapoff, and anything of the program's own file, whose mode the next run needs. */
static const int files[] = {
	__NR_open,
	__NR_openat,
	__NR_creat,
	__NR_stat,
	__NR_lstat,
	__NR_fstat,
	__NR_newfstatat,
	__NR_statx,
	__NR_access,
	__NR_faccessat2,
	__NR_getdents64,
	__NR_getcwd,
	__NR_chdir,
	__NR_fchdir,
	__NR_mkdir,
	__NR_rmdir,
	__NR_unlink,
	__NR_unlinkat,
	__NR_rename,
	__NR_renameat2,
	__NR_link,
	__NR_symlink,
	__NR_readlink,
	__NR_chmod,
	__NR_fchmod,
	__NR_chown,
	__NR_utimensat,
	__NR_truncate,
	__NR_ftruncate,
	__NR_fallocate,
	__NR_fsync,
	__NR_fdatasync,
	__NR_sync,
	__NR_syncfs,
	__NR_fadvise64,
	__NR_statfs,
	__NR_fstatfs,
	__NR_mount,
	__NR_umount2,
	__NR_umask,
	__NR_mknod,
	__NR_sendfile,
	__NR_flock,
	__NR_memfd_create,
	__NR_pread64,
	__NR_pwrite64,
	__NR_preadv,
	__NR_pwritev,
	__NR_lseek,
	__NR_copy_file_range,
	__NR_poll,
	__NR_ppoll,
	__NR_select,
	__NR_pselect6,
	__NR_clock_nanosleep,
	__NR_setitimer,
	__NR_getrusage,
	__NR_clone3,
	__NR_setpgid,
	__NR_setsid,
	__NR_prctl,
	__NR_personality,
	__NR_sched_getaffinity,
	__NR_set_robust_list,
	__NR_mmap,
};
static const char *const paths[] = {
	"fz",
	"fz/a",
	"fz/b",
	"fz/d",
	"fz/d/c",
	"fz/d/../a",
	"fz/link",
	"/proc/self/maps",
	"/proc/self/status",
	"/proc/self/fd/0",
	"/proc/self/cwd/fz/a",
	"/proc/self/pagemap",
	"/proc/1/smaps",
	"/proc",
	"/dev/zero",
	"/dev/null",
	"/dev/full",
	"/dev/random",
	"/dev/shm/x",
	"/proc/sys/vm/swappiness",

	".",
	"..",
	"",
	"/",
	"fz/none/none",
	"tmpfs",
	"proc",
	"ext2",
};

static uint64_t rnd(uint64_t n);

static long path(void)
{
	static char name[300];

	switch (rnd(12)) {
	case 0:
		return rnd(2) ? (long)arena : (long)name;
	case 1: /* too long */
		memset(name, 'x', sizeof(name) - 1 - rnd(60));
		return (long)name;
	default:
		return (long)paths[rnd(sizeof(paths) / sizeof(paths[0]))];
	}
}

static uint64_t rnd(uint64_t n)
{
	return (random_next(&rng) >> 16) % n;
}

static long address(void)
{
	static const uint64_t odd[] = {
		0,
		1,
		0xfff,
		0x1000,
		0x7ffffffff000,
		0x7fffffffefff,
		0x7ffffffffff8,
		0x800000000000,
		0xffff800000000000,
		0xffff888000000000,
		0xffffffff80000000,
		0xffffffff80000ffc,
		0xfffffffffffff000,
		-1ul,
		-8ul,
		0x4000000000000000,
	};

	switch (rnd(8)) {
	case 0:
		return odd[rnd(sizeof(odd) / sizeof(odd[0]))];
	case 1: /* straddling the end of something */
		return (long)arena + PAGE_SIZE * (1 + rnd(8)) - 1 - rnd(24);
	case 2:
		return random_next(&rng);
	case 3: /* the stack, the text */
		return rnd(2) ? (long)__builtin_frame_address(0) - (long)rnd(65536)
			      : (long)&address;
	case 4: /* low memory that mmap with an address gets */
		return 0x10000000 + PAGE_SIZE * rnd(1024);
	default:
		return (long)arena + PAGE_SIZE * rnd(8);
	}
}

static long length(void)
{
	switch (rnd(12)) {
	case 0:
		return random_next(&rng);
	case 1:
		return -(long)rnd(3 * PAGE_SIZE);
	case 2:
		return 1ul << rnd(48);
	case 3:
		return rnd(64);
	default:
		return PAGE_SIZE * rnd(24);
	}
}

static long small(void)
{
	return rnd(8) ? (long)rnd(16) : (long)rnd(4096) - 8;
}

static long argument(void)
{
	switch (rnd(5)) {
	case 0:
		return small();
	case 1:
		return length();
	case 2:
		return 1ul << rnd(64);
	default:
		return address();
	}
}

/* Fill some of what the addresses point to with what structs are made of. */
static void fill_arena(void)
{
	uint64_t *p = (uint64_t *)(arena + PAGE_SIZE * rnd(8));

	for (int i = 0; i < 20; i++)
		p[i] = rnd(3) ? (uint64_t)argument() : rnd(1000);
}

static void shape(long nr, long *a)
{
	switch (nr) {
	case __NR_mmap:
		a[0] = rnd(2) ? 0 : address();
		a[1] = length();
		a[2] = rnd(16) ? (long)rnd(8) : argument();
		a[3] = rnd(16) ? (long)(0x22 | (rnd(4) ? 0 : 1ul << rnd(21)) |
					(rnd(4) ? 0 : MAP_FIXED))
			       : argument();
		a[4] = rnd(4) ? -1 : small();
		a[5] = rnd(4) ? 0 : argument();
		break;
	case __NR_mprotect:
	case __NR_munmap:
	case __NR_msync:
	case __NR_madvise:
	case __NR_mlock:
	case __NR_munlock:
	case __NR_mlock2:
	case __NR_mremap:
	case __NR_mincore:
		a[0] = address();
		if (rnd(8))
			a[0] &= ~(PAGE_SIZE - 1);
		a[1] = length();
		a[2] = nr == __NR_mremap ? length() : nr == __NR_mincore ? address() : small();
		a[3] = rnd(8);
		break;
	case __NR_brk:
		a[0] = rnd(2) ? syscall3(__NR_brk, 0, 0, 0) + (long)rnd(1 << 18) - (1 << 16)
			      : address();
		break;
	case __NR_kill: /* asked each time: a variable may have been mapped over, and 0 is all */
	case __NR_tkill:
		a[0] = rnd(4) ? sys_getpid() : 0x40000000 + (long)rnd(1 << 20);
		a[1] = rnd(70);
		break;
	case __NR_tgkill:
		a[0] = rnd(4) ? sys_getpid() : 0x40000000;
		a[1] = rnd(4) ? sys_getpid() : 0x40000000;
		a[2] = rnd(70);
		break;
	case __NR_prlimit64:
		a[0] = rnd(2) ? 0 : 0x40000000;
		a[1] = small();
		break;
	case __NR_execve:
		a[0] = !rnd(3) ? (long)path_program : rnd(2) ? (long)path_none : address();
		a[1] = rnd(2) ? (long)arena : address();
		break;
	case __NR_rt_sigaction:
		a[0] = rnd(70);
		a[3] = rnd(8) ? 8 : argument();
		break;
	case __NR_rt_sigprocmask:
		a[0] = rnd(4);
		a[3] = rnd(8) ? 8 : argument();
		break;
	case __NR_futex:
		a[1] = rnd(2) ? (long)rnd(14) : 128 + (long)rnd(14);
		break;
	case __NR_clone:
		if (rnd(2)) /* threads, with and without what belongs to them */
			a[0] = 0x50f00 | (rnd(4) ? 0 : 1l << rnd(32));
		break;
	case __NR_nanosleep:
		if (rnd(2)) {
			((long *)arena)[0] = 0;
			((long *)arena)[1] = rnd(100000);
			a[0] = (long)arena;
		}
		break;
	case __NR_read:
	case __NR_write:
	case __NR_readv:
	case __NR_writev:
	case __NR_dup:
	case __NR_dup2:
	case __NR_dup3:
	case __NR_fcntl:
	case __NR_ioctl:
	case __NR_close:
		a[0] = rnd(16) ? (long)rnd(12) : argument();
		for (int i = 0; i < 2; i++)
			a[i] = (int)a[i] == COUNT_FD || (int)a[i] == COUNT_FD + 1 ? 0 : a[i];
		if (rnd(2))
			a[2] = length();
		break;
	case __NR_openat:
	case __NR_newfstatat:
	case __NR_statx:
	case __NR_faccessat2:
	case __NR_unlinkat:
	case __NR_utimensat:
		a[0] = rnd(4) ? -100 : small();
		a[1] = rnd(8) ? path() : address();
		if (nr == __NR_openat)
			a[2] = rnd(2) ? 0x42 : (long)rnd(1 << 22);
		break;
	case __NR_renameat2:
		a[0] = a[2] = -100;
		a[1] = path();
		a[3] = path();
		a[4] = rnd(2) ? 0 : (long)rnd(8);
		break;
	case __NR_open:
	case __NR_creat:
	case __NR_stat:
	case __NR_lstat:
	case __NR_access:
	case __NR_chdir:
	case __NR_mkdir:
	case __NR_rmdir:
	case __NR_unlink:
	case __NR_readlink:
	case __NR_chmod:
	case __NR_chown:
	case __NR_truncate:
	case __NR_statfs:
	case __NR_mknod:
	case __NR_umount2:
	case __NR_rename:
	case __NR_link:
	case __NR_symlink:
	case __NR_mount:
		a[0] = path();
		if (nr == __NR_rename || nr == __NR_link || nr == __NR_symlink || nr == __NR_mount)
			a[1] = path();
		if (nr == __NR_mount) {
			a[1] = (long)"fz/d"; /* not over what others need */
			a[2] = path();
		} else if (nr == __NR_open)
			a[1] = rnd(2) ? 0x42 : (long)rnd(1 << 22);
		else if (nr == __NR_mknod)
			a[1] = rnd(2) ? 010644 : (long)rnd(1 << 17);
		break;
	case __NR_memfd_create:
		a[0] = path();
		a[1] = rnd(8);
		break;
	case __NR_ftruncate:
	case __NR_fallocate:
	case __NR_fsync:
	case __NR_fdatasync:
	case __NR_syncfs:
	case __NR_fadvise64:
	case __NR_fstat:
	case __NR_fstatfs:
	case __NR_fchmod:
	case __NR_fchdir:
	case __NR_getdents64:
	case __NR_flock:
	case __NR_pread64:
	case __NR_pwrite64:
	case __NR_preadv:
	case __NR_pwritev:
	case __NR_lseek:
	case __NR_sendfile:
	case __NR_copy_file_range:
		a[0] = rnd(12);
		if (nr == __NR_sendfile)
			a[1] = rnd(12);
		if (nr == __NR_copy_file_range)
			a[2] = rnd(12);
		if (nr == __NR_ftruncate || nr == __NR_lseek)
			a[1] = length();
		if (nr == __NR_fallocate)
			a[2] = length(), a[3] = length(), a[1] = rnd(4);
		break;
	case __NR_poll:
	case __NR_ppoll:
		a[1] = rnd(40);
		a[2] = rnd(2) ? 0 : small();
		break;
	case __NR_select:
	case __NR_pselect6:
		a[0] = rnd(80);
		break;
	case MMVM_SYS_REPORT:
		switch (a[0] & 0xff) {
		case MMVM_USER_PROGRESS:
		case MMVM_USER_BENCH:
		case MMVM_USER_PROFILE:
		case MMVM_USER_ROUND:
			a[0] = MMVM_USER_MAPS;
		}
		break;
	}
}

static long choose(void)
{
	static const uint64_t unknown[] = {
		335, 511, 512, 1023, 1024, 0xffffffff, -1ul, 0x8000000000000000, 0x4d4d0000};
	long nr;

	if (!rnd(24))
		return unknown[rnd(sizeof(unknown) / sizeof(unknown[0]))];
	if (!rnd(24))
		return MMVM_SYS_REPORT;
	if (rnd(2))
		return memory[rnd(sizeof(memory) / sizeof(memory[0]))];
	nr = rnd(2) ? files[rnd(sizeof(files) / sizeof(files[0]))]
		    : known[rnd(sizeof(known) / sizeof(known[0]))];
	/* What ends or stops the child: often enough, but not every other time. */
	switch (nr) {
	case __NR_exit:
	case __NR_exit_group:
	case __NR_pause:
	case __NR_rt_sigsuspend:
	case __NR_rt_sigreturn:
	case __NR_execve:
	case __NR_vfork:
	case __NR_fork:
	case __NR_clone:
	case __NR_clone3:
	case __NR_poll:
	case __NR_ppoll:
	case __NR_select:
	case __NR_pselect6:
	case __NR_clock_nanosleep:
	case __NR_flock:
	case __NR_setitimer:
		return rnd(8) ? __NR_getppid : nr;
	}
	return nr;
}

/* The child: never returns. */
static void make_calls(uint64_t seed, uint64_t batch)
{
	rng = seed * 0x9e3779b97f4a7c15ull | 1;
	for (int i = 0; i < 8; i++)
		random_next(&rng);
	for (int fd = 0; fd < 3; fd++)
		syscall3(__NR_close, fd, 0, 0);
	for (uint64_t i = 0; i < batch; i++) {
		long nr = choose(), a[6], ret;

		for (int k = 0; k < 6; k++)
			a[k] = argument();
		if (!rnd(4) && nr != __NR_munmap)
			fill_arena();
		shape(nr, a);
		if (i % COUNT_BIT == 0)
			sys_write(COUNT_FD + 1, "", 1);
		ret = syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		if (!ret &&
		    (nr == __NR_fork || nr == __NR_vfork || nr == __NR_clone || nr == __NR_clone3))
			syscall3(__NR_exit_group, 0, 0, 0);
	}
	exit(0);
}

static void sleep_ms(long ms)
{
	long ts[2] = {0, ms * 1000000};

	syscall3(__NR_nanosleep, (long)ts, 0, 0);
}

/* Calls that were announced: a count per byte. */
static uint64_t announced(void)
{
	static char buf[256];
	long n = syscall3(__NR_read, COUNT_FD, (long)buf, sizeof(buf));

	return n > 0 ? (uint64_t)n * COUNT_BIT : 0;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, calls = 10000, batch = 192, made = 0, children = 0, killed = 0, died = 0;
	int fds[2], status;

	syscall3(__NR_mkdir, (long)"fz", 0755, 0);
	syscall3(__NR_mkdir, (long)"fz/d", 0755, 0);
	for (int i = 1; i < argc; i += 2) {
		uint64_t *to = !strcmp(argv[i], "--seed")    ? &seed
			       : !strcmp(argv[i], "--calls") ? &calls
			       : !strcmp(argv[i], "--batch") ? &batch
							     : NULL;

		if (!to || i + 1 == argc || !parse_size(argv[i + 1], to) || !batch) {
			print("usage: fuzzcalls [--seed N] [--calls N] [--batch N]\n");
			return 2;
		}
	}
	print("fuzzcalls: seed %lu, %lu calls\n", seed, calls);
	if (syscall3(__NR_pipe2, (long)fds, 04000 /* O_NONBLOCK */, 0) ||
	    syscall3(__NR_dup2, fds[0], COUNT_FD, 0) != COUNT_FD ||
	    syscall3(__NR_dup2, fds[1], COUNT_FD + 1, 0) != COUNT_FD + 1 ||
	    syscall3(__NR_close, fds[0], 0, 0) || syscall3(__NR_close, fds[1], 0, 0)) {
		print("fuzzcalls: no pipe\n");
		return 1;
	}
	while (made < calls) {
		long pid = syscall3(__NR_fork, 0, 0, 0), idle = 0, gone;
		uint64_t its = 0;

		if (!pid)
			make_calls(seed + children, batch);
		if (pid < 0) {
			print("fuzzcalls: child %lu cannot be forked: error %ld\n", children, -pid);
			return 1;
		}
		for (;;) {
			uint64_t n = announced();

			made += n;
			gone = syscall6(__NR_wait4, pid, (long)&status, WNOHANG, 0, 0, 0);
			if (gone)
				break;
			its += n;
			idle = n ? 0 : idle + 1;
			/* Asleep; or it has overwritten its own count, and would go on for ever. */
			if (idle > PATIENCE || its > 4 * batch) {
				syscall3(__NR_kill, pid, SIGKILL, 0);
				killed++;
				gone = syscall6(__NR_wait4, pid, (long)&status, 0, 0, 0, 0);
				break;
			}
			sleep_ms(1);
		}
		if (gone != pid) {
			print("fuzzcalls: child %ld was not there to be buried: %ld\n", pid, gone);
			return 1;
		}
		made += announced();
		died += status != 0;
		children++;
		report_progress("calls", made, calls);
	}
	print("fuzzcalls: %lu calls by %lu children, %lu ended early, %lu were killed\n", made,
	      children, died, killed);
	return 0;
}
