/*
 * Another process's memory (process_vm_readv, process_vm_writev, process_madvise), membarrier, readahead
 * and the newer futex calls as Linux answers them: a transcript to compare (tests/vm/conform_programs.sh).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "transcript.h"

#define PAGE 4096ul
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static long vm_read(pid_t pid, void *to, void *from, size_t n)
{
	struct iovec l = {to, n}, r = {from, n};

	return syscall(SYS_process_vm_readv, pid, &l, 1, &r, 1, 0);
}

static long vm_write(pid_t pid, void *from, void *to, size_t n)
{
	struct iovec l = {from, n}, r = {to, n};

	return syscall(SYS_process_vm_writev, pid, &l, 1, &r, 1, 0);
}

static int to_child[2], from_child[2];
static char c;

/* The child does one thing each time it is asked, and says so. */
static void tell(void)
{
	write(to_child[1], "x", 1);
	read(from_child[0], &c, 1);
}

static void wait_asked(void)
{
	if (read(to_child[0], &c, 1) != 1)
		_exit(1);
}

static pid_t start_child(void (*fn)(char *), char *mem)
{
	pid_t pid;

	if (pipe(to_child) || pipe(from_child))
		return -1;
	pid = fork();
	if (!pid) {
		close(to_child[1]);
		fn(mem);
		_exit(0);
	}
	close(to_child[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	int status = 0;

	close(to_child[1]);
	waitpid(pid, &status, 0);
	printf("child ended with %x\n", status);
	close(from_child[0]);
	close(from_child[1]);
}

/* mem: 8 pages: 0 and 1 written, 2 not touched, 3 read-only, 4 PROT_NONE, 5 unmapped, 6 and 7 shared. */
static void child(char *mem)
{
	strcpy(mem, "the child's first page");
	memset(mem + PAGE, 'B', PAGE);
	mprotect(mem + 3 * PAGE, PAGE, PROT_READ);
	mprotect(mem + 4 * PAGE, PAGE, PROT_NONE);
	munmap(mem + 5 * PAGE, PAGE);
	for (;;) {
		write(from_child[1], "x", 1);
		if (read(to_child[0], &c, 1) != 1)
			break;
	}
	printf("the child has: %.30s, %c%c, %d\n", mem, mem[PAGE], mem[PAGE + 100],
	       mem[2 * PAGE + 7]);
	fflush(stdout);
}

static void transfers(char *mem)
{
	static char buf[8 * 4096];
	struct iovec l[4], r[4];
	pid_t pid;
	char *hole;

	strcpy(mem, "the parent's first page");
	fflush(stdout);
	pid = start_child(child, mem);
	read(from_child[0], &c, 1);
	printf("read %s", result(vm_read(pid, buf, mem, 23)));
	printf(" [%s], ours [%s]\n", buf, mem);
	printf("untouched %s", result(vm_read(pid, buf, mem + 2 * PAGE, PAGE)));
	printf(" %d\n", buf[5]);
	printf("read-only %s", result(vm_read(pid, buf, mem + 3 * PAGE, PAGE)));
	printf(" write %s", result(vm_write(pid, buf, mem + 3 * PAGE, PAGE)));
	printf(" none %s", result(vm_read(pid, buf, mem + 4 * PAGE, PAGE)));
	printf(" unmapped %s\n", result(vm_read(pid, buf, mem + 5 * PAGE, PAGE)));
	printf("until it ends: %s", result(vm_read(pid, buf, mem + 2 * PAGE + 100, 4 * PAGE)));
	printf(" written %s\n", result(vm_write(pid, buf, mem + PAGE + 100, 3 * PAGE)));
	printf("write %s", result(vm_write(pid, "written by the parent", mem, 22)));
	printf(" shared %s", result(vm_write(pid, "shared", mem + 6 * PAGE + 4094, 7)));
	printf(" [%s]\n", mem + 6 * PAGE + 4094);
	/* several pieces, of different lengths on the two sides */
	l[0] = (struct iovec){buf, 3};
	l[1] = (struct iovec){buf + 100, 0};
	l[2] = (struct iovec){buf + 200, 5000};
	r[0] = (struct iovec){mem, 10};
	r[1] = (struct iovec){mem + PAGE, PAGE};
	r[2] = (struct iovec){mem + 2 * PAGE, 7};
	memset(buf, 0, sizeof(buf));
	printf("pieces %s", result(syscall(SYS_process_vm_readv, pid, l, 3, r, 3, 0)));
	printf(" [%.3s] [%.7s] %d\n", buf, buf + 200, buf[200 + 7]);
	r[1] = (struct iovec){mem + 5 * PAGE, PAGE};
	printf("a bad one amid %s\n", result(syscall(SYS_process_vm_readv, pid, l, 3, r, 3, 0)));
	/* our side ends */
	hole = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(hole + PAGE, PAGE);
	printf("ours ends: read %s", result(vm_read(pid, hole + PAGE, mem, 100)));
	printf(" write %s", result(vm_write(pid, hole + PAGE, mem + PAGE, 100)));
	printf(" kernel's %s\n", result(vm_read(pid, (void *)0xffff800000000000, mem, 100)));
	/* arguments */
	printf("flags %s", result(syscall(SYS_process_vm_readv, pid, l, 1, r, 1, 1)));
	printf(" too many %s", result(syscall(SYS_process_vm_readv, pid, l, 1025, r, 1, 0)));
	printf(" remote %s", result(syscall(SYS_process_vm_readv, pid, l, 1, r, 1025, 0)));
	printf(" fault %s", result(syscall(SYS_process_vm_readv, pid, (void *)8, 1, r, 1, 0)));
	printf(" remote %s\n", result(syscall(SYS_process_vm_readv, pid, l, 1, (void *)8, 1, 0)));
	printf("none of ours %s", result(syscall(SYS_process_vm_readv, pid, l, 0, r, 1, 0)));
	printf(" and nobody %s", result(syscall(SYS_process_vm_readv, 0x3fffffff, l, 0, r, 1, 0)));
	printf(" none of theirs %s", result(syscall(SYS_process_vm_readv, pid, l, 1, r, 0, 0)));
	printf(" nobody %s", result(vm_read(0x3fffffff, buf, mem, 10)));
	l[0].iov_len = (size_t)-1;
	printf(" length %s", result(syscall(SYS_process_vm_readv, pid, l, 1, r, 1, 0)));
	l[0].iov_len = 1;
	r[0].iov_len = (size_t)-1;
	printf(" remote %s", result(syscall(SYS_process_vm_readv, pid, l, 1, r, 1, 0)));
	printf(" kernel's %s\n", result(vm_read(pid, buf, (void *)0xffff800000000000, 100)));
	printf("oneself %s", result(vm_read(getpid(), buf, mem, 24)));
	printf(" [%s]\n", buf);
	tell();
	fflush(stdout);
	end_child(pid);
	printf("ended %s\n", result(vm_read(pid, buf, mem, 10)));
}

static void as_user(char *mem)
{
	if (setgid(65534) || setuid(65534))
		_exit(2);
	printf("another user's: %s\n", result(vm_read(getppid(), mem, mem, 10)));
	printf("to advise: %s\n", result(syscall(SYS_pidfd_open, getppid(), 0) < 0 ? -1 : 0));
	{
		struct iovec v = {mem, PAGE};
		int fd = (int)syscall(SYS_pidfd_open, getppid(), 0);

		printf("advise: %s\n", result(syscall(SYS_process_madvise, fd, &v, 1, 20, 0)));
		fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
		printf("oneself: %s\n", result(syscall(SYS_process_madvise, fd, &v, 1, 20, 0)));
	}
	fflush(stdout);
	wait_asked();
}

static void idle(char *mem)
{
	memset(mem, 'x', 3 * PAGE);
	write(from_child[1], "x", 1);
	while (read(to_child[0], &c, 1) == 1)
		;
	printf("still there: %c %c\n", mem[0], mem[2 * PAGE]);
	fflush(stdout);
}

static void advice(char *mem)
{
	struct iovec v[2] = {{mem, PAGE}, {mem + PAGE, 2 * PAGE}},
		     bad[2] = {{mem, PAGE}, {(void *)PAGE, PAGE}};
	pid_t pid;
	int fd;

	fflush(stdout);
	pid = start_child(idle, mem);
	read(from_child[0], &c, 1);
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	printf("cold %s", result(syscall(SYS_process_madvise, fd, v, 2, 20, 0)));
	printf(" out %s", result(syscall(SYS_process_madvise, fd, v, 2, 21, 0)));
	printf(" needed %s", result(syscall(SYS_process_madvise, fd, v, 2, 3, 0)));
	printf(" dontneed %s", result(syscall(SYS_process_madvise, fd, v, 2, 4, 0)));
	printf(" flags %s", result(syscall(SYS_process_madvise, fd, v, 2, 20, 1)));
	printf(" fd %s", result(syscall(SYS_process_madvise, 999, v, 2, 20, 0)));
	printf(" other file %s", result(syscall(SYS_process_madvise, 1, v, 2, 20, 0)));
	printf(" fault %s", result(syscall(SYS_process_madvise, fd, (void *)8, 2, 20, 0)));
	printf(" half %s", result(syscall(SYS_process_madvise, fd, bad, 2, 20, 0)));
	bad[0].iov_base = mem + 1;
	printf(" odd %s", result(syscall(SYS_process_madvise, fd, bad, 1, 20, 0)));
	printf(" nothing %s\n", result(syscall(SYS_process_madvise, fd, v, 0, 20, 0)));
	end_child(pid);
	printf("ended %s\n", result(syscall(SYS_process_madvise, fd, v, 2, 20, 0)));
	close(fd);
}

static void barriers(void)
{
	long all = syscall(SYS_membarrier, 0, 0, 0);

	printf("membarrier: the first seven: %lx\n", all & 0x7f);
	printf("global %s", result(syscall(SYS_membarrier, 1, 0, 0)));
	printf(" expedited %s", result(syscall(SYS_membarrier, 2, 0, 0)));
	printf(" register %s", result(syscall(SYS_membarrier, 4, 0, 0)));
	printf(" private %s", result(syscall(SYS_membarrier, 8, 0, 0)));
	printf(" sync %s", result(syscall(SYS_membarrier, 32, 0, 0)));
	printf(" flags %s", result(syscall(SYS_membarrier, 1, 2, 0)));
	printf(" two %s", result(syscall(SYS_membarrier, 3, 0, 0)));
	printf(" none such %s\n", result(syscall(SYS_membarrier, 1 << 20, 0, 0)));
	printf("registered %s", result(syscall(SYS_membarrier, 16, 0, 0)));
	printf(" private %s", result(syscall(SYS_membarrier, 8, 0, 0)));
	printf(" sync %s", result(syscall(SYS_membarrier, 32, 0, 0)));
	printf(" registered %s", result(syscall(SYS_membarrier, 64, 0, 0)));
	printf(" sync %s\n", result(syscall(SYS_membarrier, 32, 0, 0)));
	fflush(stdout);
	if (!fork()) {
		printf("inherited %s\n", result(syscall(SYS_membarrier, 8, 0, 0)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void ahead(void)
{
	int file = open("/proc/self/exe", O_RDONLY), p[2], m = memfd_create("m", 0), w;

	if (pipe(p))
		return;
	w = open("/dev/null", O_WRONLY);
	printf("readahead: file %s", result(readahead(file, 0, 65536)));
	printf(" beyond %s", result(readahead(file, 1l << 40, 65536)));
	printf(" memfd %s", result(readahead(m, 0, 4096)));
	printf(" pipe %s", result(readahead(p[0], 0, 4096)));
	printf(" not readable %s", result(readahead(w, 0, 4096)));
	printf(" pipe's other end %s", result(readahead(p[1], 0, 4096)));
	printf(" closed %s\n", result(readahead(99, 0, 4096)));
	close(file);
	close(p[0]);
	close(p[1]);
	close(m);
	close(w);
}

/* ---- futexes ---------------------------------------------------------------------------------- */

struct waitv {
	uint64_t val, addr;
	uint32_t flags, reserved;
};
static uint32_t word[4];
static long waited[4];

static long futex(uint32_t *a, int op, uint32_t v, unsigned long t, uint32_t *b, uint32_t v3)
{
	return syscall(SYS_futex, a, op, v, t, b, v3);
}

static void *wait_word(void *arg)
{
	long i = (long)arg;

	waited[i] = futex(&word[i], 0, word[i], 0, NULL, 0);
	return NULL;
}

static void *wait_several(void *arg)
{
	struct waitv v[3] = {{0, (uint64_t)&word[0], 2, 0},
			     {0, (uint64_t)&word[1], 2 | 128, 0},
			     {0, (uint64_t)&word[2], 2, 0}};

	(void)arg;
	waited[3] = syscall(SYS_futex_waitv, v, 3, 0, NULL, 1);
	return NULL;
}

/* Wake until somebody was there: he may not have gone to sleep yet. */
static long wake_somebody(uint32_t *a, int op, uint32_t *b, uint32_t v3)
{
	long r = 0;

	for (int i = 0; i < 5000 && !r; i++) {
		r = futex(a, op, 1, 1, b, v3);
		if (!r)
			usleep(1000);
	}
	return r;
}

#define OP(op, arg, cmp, cmparg) \
	((uint32_t)(op) << 28 | (cmp) << 24 | ((arg)&0xfff) << 12 | ((cmparg)&0xfff))

static void wake_op(void)
{
	static const struct {
		const char *what;
		uint32_t before, op;
	} t[] = {
		{"set", 5, OP(0, 77, 0, 5)},   {"add", 5, OP(1, 3, 1, 5)},
		{"or", 5, OP(2, 10, 2, 6)},    {"andn", 7, OP(3, 2, 3, 7)},
		{"xor", 7, OP(4, 5, 4, 7)},    {"ge", 7, OP(0, 1, 5, 7)},
		{"shift", 7, OP(8, 12, 0, 7)}, {"minus", 7, OP(1, -1, 0, 7)},
		{"bad op", 7, OP(5, 1, 0, 7)}, {"bad cmp", 7, OP(0, 1, 6, 7)},
	};
	pthread_t a;

	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		word[0] = word[1] = t[i].before;
		printf("wake_op %s: %s", t[i].what,
		       result(futex(&word[0], 5, 1, 1, &word[1], t[i].op)));
		printf(" %u\n", word[1]);
	}
	word[0] = word[1] = 0;
	printf("fault %s", result(futex(&word[0], 5, 1, 1, (uint32_t *)8, OP(0, 1, 0, 0))));
	printf(" odd %s\n", result(futex(&word[0], 5, 1, 1, (uint32_t *)2, OP(0, 1, 0, 0))));
	word[1] = 0;
	pthread_create(&a, NULL, wait_word, (void *)1);
	printf("woken by the second word: %s",
	       result(wake_somebody(&word[0], 5, &word[1], OP(1, 0, 0, 0))));
	pthread_join(a, NULL);
	printf(" %ld\n", waited[1]);
	pthread_create(&a, NULL, wait_word, (void *)0);
	printf("by the first: %s", result(wake_somebody(&word[0], 5, &word[1], OP(1, 1, 0, 0x7f))));
	pthread_join(a, NULL);
	printf(" %ld\n", waited[0]);
}

static void several(void)
{
	struct waitv v[2] = {{0, (uint64_t)&word[0], 2, 0}, {1, (uint64_t)&word[1], 2, 0}};
	struct timespec past = {0, 1}, bad = {0, -1};
	pthread_t a;

	memset(word, 0, sizeof(word));
	printf("waitv: value %s", result(syscall(SYS_futex_waitv, v, 2, 0, NULL, 0)));
	printf(" none %s", result(syscall(SYS_futex_waitv, v, 0, 0, NULL, 0)));
	printf(" too many %s", result(syscall(SYS_futex_waitv, v, 129, 0, NULL, 0)));
	printf(" flags %s", result(syscall(SYS_futex_waitv, v, 1, 1, NULL, 0)));
	printf(" NULL %s", result(syscall(SYS_futex_waitv, NULL, 1, 0, NULL, 0)));
	printf(" fault %s", result(syscall(SYS_futex_waitv, (void *)8, 1, 0, NULL, 0)));
	printf(" clock %s", result(syscall(SYS_futex_waitv, v, 1, 0, &past, 7)));
	printf(" time %s", result(syscall(SYS_futex_waitv, v, 1, 0, &bad, 1)));
	printf(" over %s", result(syscall(SYS_futex_waitv, v, 1, 0, &past, 1)));
	printf(" of day %s\n", result(syscall(SYS_futex_waitv, v, 1, 0, &past, 0)));
	v[0].flags = 0;
	printf("size %s", result(syscall(SYS_futex_waitv, v, 1, 0, &past, 1)));
	v[0].flags = 2 | 4;
	printf(" unknown %s", result(syscall(SYS_futex_waitv, v, 1, 0, &past, 1)));
	v[0].flags = 2;
	v[0].reserved = 1;
	printf(" reserved %s", result(syscall(SYS_futex_waitv, v, 1, 0, &past, 1)));
	v[0].reserved = 0;
	v[0].addr++;
	printf(" odd %s", result(syscall(SYS_futex_waitv, v, 1, 0, &past, 1)));
	v[0].addr = 8;
	printf(" nowhere %s\n", result(syscall(SYS_futex_waitv, v, 1, 0, &past, 1)));
	for (int i = 0; i < 3; i++) {
		pthread_create(&a, NULL, wait_several, NULL);
		printf("wake %d: %s", i,
		       result(wake_somebody(&word[i], i == 1 ? 129 : 1, NULL, 0)));
		pthread_join(a, NULL);
		printf(" index %ld\n", waited[3]);
	}
}

int main(void)
{
	char *mem =
		mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	mmap(mem + 6 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	transfers(mem);
	fflush(stdout);
	pid = start_child(as_user, mem);
	end_child(pid);
	advice(mem);
	barriers();
	ahead();
	wake_op();
	several();
	puts("end");
	return 0;
}
