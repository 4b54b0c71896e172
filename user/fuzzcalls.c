/*
 * Fuzz system calls: random numbers with random and with nearly valid arguments.
 *
 * fuzzcalls [--seed N] [--calls N] [--batch N]
 *
 * The parent only forks and waits. Each child makes a batch of calls and ends, unless a call has ended it
 * before (it may unmap its own text, set handlers to invalid addresses, or execute another program). A
 * child that sleeps for ever is killed. Child i has the seed `seed + i`, so `--seed S+i --calls 1` repeats
 * child i alone. Calls are counted by a pipe that the fuzzed calls do not use: a byte is written before
 * every sixteenth call.
 *
 * Calls come from the kernel's own table, with arguments of the kinds it names.
 *
 * Some calls would end the test without finding anything, and are left out: signals to other processes,
 * limits of other processes, records that have an effect in the VMM.
 *
 * It passes if the parent is alive and all calls were made. Whether the kernel is alive, the VMM decides.
 */
#include <asm/unistd_64.h>

#include "mmvm/syscalls.h"
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

/* Which calls there are, and what each argument is: include/mmvm/syscalls.h. */
static const struct call {
	short nr;
	unsigned char kind[MMVM_SYSCALL_ARGS];
} call_table[] = {
#define CALL(nr, name, fn, ...) {nr, {MMVM_ARG_KINDS(__VA_ARGS__)}},
	MMVM_SYSCALLS(CALL)
#undef CALL
};
#define NR_CALLS (sizeof(call_table) / sizeof(call_table[0]))

/* Memory is what this kernel is about: these come up as often as all together. */
static const short memory[] = {
#define NUMBER(nr, name, fn, ...) nr,
	MMVM_SYSCALLS_MEMORY(NUMBER)
#undef NUMBER
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

/* Not the pipe that the calls are counted in. */
static long descriptor(void)
{
	long fd = rnd(16) ? (long)rnd(12) : argument();

	return (int)fd == COUNT_FD || (int)fd == COUNT_FD + 1 ? 0 : fd;
}

static long bits(void)
{
	return rnd(3) ? (long)rnd(8) : rnd(2) ? 1l << rnd(32) : argument();
}

/* At most a tenth of a millisecond. */
static long short_time(void)
{
	((long *)arena)[0] = 0;
	((long *)arena)[1] = rnd(100000);
	return (long)arena;
}

static long of_kind(unsigned int kind)
{
	switch (kind) {
	case MMVM_ARG_FD:
		return descriptor();
	case MMVM_ARG_DIRFD:
		return rnd(4) ? -100 : descriptor();
	case MMVM_ARG_PID: /* asked each time: a variable may have been mapped over; 0 is all, for kill */
		return rnd(4) ? sys_getpid() : 0x40000000 + (long)rnd(1 << 20);
	}
	if (!rnd(12))
		return argument();
	switch (kind) {
	case MMVM_ARG_PATH:
		return rnd(8) ? path() : address();
	case MMVM_ARG_IN:
	case MMVM_ARG_OUT:
	case MMVM_ARG_INOUT:
	case MMVM_ARG_IOV:
		return rnd(8) ? address() : 0;
	case MMVM_ARG_TIME:
		return rnd(3) ? short_time() : address();
	case MMVM_ARG_ADDR:
		return rnd(8) ? address() & -(long)PAGE_SIZE : address();
	case MMVM_ARG_LEN:
	case MMVM_ARG_POS:
		return length();
	case MMVM_ARG_COUNT:
		return rnd(40);
	case MMVM_ARG_PROT:
		return rnd(8);
	case MMVM_ARG_OPEN:
		return rnd(2) ? 0x42 : (long)rnd(1 << 22);
	case MMVM_ARG_MODE:
		return rnd(2) ? 0644 : (long)rnd(1 << 13);
	case MMVM_ARG_FLAGS:
		return bits();
	case MMVM_ARG_ID:
		return rnd(3) ? 0 : small();
	case MMVM_ARG_SIG:
		return rnd(70);
	case MMVM_ARG_SIGSET_SIZE:
		return 8;
	default:
		return small();
	}
}

static const unsigned int uffd_commands[] = {
	0xc018aa3f, 0xc020aa00, 0x8010aa01, 0x8010aa02,
	0xc028aa03, 0xc020aa04, 0xc018aa06, 0xc020aa07,
};

/* What the kinds do not say. */
static void special(long nr, long *a)
{
	switch (nr) {
	case __NR_mmap:
		a[0] = rnd(2) ? 0 : a[0];
		a[3] = rnd(16) ? (long)(0x22 | (rnd(4) ? 0 : 1ul << rnd(21)) |
					(rnd(4) ? 0 : MAP_FIXED))
			       : argument();
		a[4] = rnd(4) ? -1 : a[4];
		a[5] = rnd(4) ? 0 : argument();
		break;
	case __NR_brk:
		if (rnd(2))
			a[0] = syscall3(__NR_brk, 0, 0, 0) + (long)rnd(1 << 18) - (1 << 16);
		break;
	case __NR_madvise: /* what is lost is lost for the whole run: a page at a time */
		if (!rnd(400))
			a[2] = 100 + (long)rnd(2);
		if (a[2] == 100 || a[2] == 101)
			a[1] = PAGE_SIZE;
		break;
	case __NR_prlimit64:
		a[0] = rnd(2) ? 0 : 0x40000000;
		break;
	case __NR_setpriority: /* of others than oneself: no */
		a[0] = 0;
		break;
	case __NR_execve:
		a[0] = !rnd(3) ? (long)path_program : rnd(2) ? (long)path_none : address();
		a[1] = rnd(2) ? (long)arena : address();
		break;
	case __NR_futex:
		a[1] = rnd(2) ? (long)rnd(14) : 128 + (long)rnd(14);
		break;
	case __NR_clone:
		if (rnd(2)) /* threads, with and without what belongs to them */
			a[0] = 0x50f00 | (rnd(4) ? 0 : 1l << rnd(32));
		break;
	case __NR_mount:
		a[1] = (long)"fz/d"; /* not over what others need */
		break;
	case __NR_mknod:
		a[1] = rnd(2) ? 010644 : (long)rnd(1 << 17);
		break;
	case __NR_poll:
		a[2] = rnd(2) ? 0 : small();
		break;
	case __NR_ioctl: /* UFFDIO_*, among others */
		if (rnd(2))
			a[1] = uffd_commands[rnd(sizeof(uffd_commands) / sizeof(uffd_commands[0]))];
		break;
	case __NR_socket:
	case __NR_socketpair:
		a[0] = rnd(8) ? 1 : small();
		a[1] = (rnd(8) ? (long)(1 + rnd(5)) : small()) | (rnd(2) ? 04000 : 0);
		a[2] = rnd(8) ? 0 : small();
		break;
	case __NR_setsockopt:
	case __NR_getsockopt:
		a[1] = rnd(8) ? 1 : small();
		a[2] = rnd(48);
		break;
	case __NR_shmget: /* few of them, and small: nobody frees what is left */
		a[1] = PAGE_SIZE * rnd(16);
		/* fall through */
	case __NR_semget:
		a[0] = 1 + rnd(6);
		a[2] = rnd(2) ? 01600 : bits();
		break;
	}
}

static void shape(const struct call *call, long *a)
{
	for (int i = 0; i < MMVM_SYSCALL_ARGS && call->kind[i] != MMVM_ARG_NONE; i++)
		a[i] = of_kind(call->kind[i]);
	special(call->nr, a);
}

/* Our own call: not what means something to the VMM. */
static void shape_report(long *a)
{
	switch (a[0] & 0xff) {
	case MMVM_USER_PROGRESS:
	case MMVM_USER_BENCH:
	case MMVM_USER_PROFILE:
	case MMVM_USER_ROUND:
		a[0] = MMVM_USER_MAPS;
	}
}

static const struct call *find_call(long nr)
{
	for (unsigned int i = 0; i < NR_CALLS; i++)
		if (call_table[i].nr == nr)
			return &call_table[i];
	return NULL;
}

/* What is never asked: it would close the pipe that the calls are counted in, or take the swap from
 * under the test; and what ends or stops the child: often enough, but not every other time. */
static bool asked(long nr)
{
	switch (nr) {
	case __NR_close_range:
	case __NR_swapon:
	case __NR_swapoff:
		return false;
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
	case __NR_nanosleep:
	case __NR_clock_nanosleep:
	case __NR_flock:
	case __NR_accept:
	case __NR_accept4:
	case __NR_connect:
	case __NR_recvfrom:
	case __NR_recvmsg:
	case __NR_recvmmsg:
	case __NR_semop:
	case __NR_semtimedop:
	case __NR_futex_waitv:
	case __NR_rt_sigtimedwait:
	case __NR_setitimer:
	case __NR_alarm:
	case __NR_chroot:
		return !rnd(8);
	}
	return true;
}

/* A call and its arguments. */
static long choose(long *a)
{
	static const uint64_t unknown[] = {
		335, 511, 512, 1023, 1024, 0xffffffff, -1ul, 0x8000000000000000, 0x4d4d0000};
	const struct call *call;

	for (int k = 0; k < MMVM_SYSCALL_ARGS; k++)
		a[k] = argument();
	if (!rnd(24))
		return unknown[rnd(sizeof(unknown) / sizeof(unknown[0]))];
	if (!rnd(24)) {
		shape_report(a);
		return MMVM_SYS_REPORT;
	}
	call = rnd(2) ? find_call(memory[rnd(sizeof(memory) / sizeof(memory[0]))])
		      : &call_table[rnd(NR_CALLS)];
	if (!asked(call->nr))
		return __NR_getppid;
	shape(call, a);
	return call->nr;
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
		long a[MMVM_SYSCALL_ARGS], nr = choose(a), ret;

		if (!rnd(4) && nr != __NR_munmap && nr != __NR_nanosleep)
			fill_arena();
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
