/*
 * /proc/PID/mem as Linux has it, read and written: a transcript to compare (tests/vm/conform_programs.sh).
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

#define PAGE 4096ul
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#define RW (PROT_READ | PROT_WRITE)

static const char constant[] = "a constant of the program";
static char *mem, buf[3 * 4096];
static int fd;

static const char *put(const void *at, const char *text)
{
	return result(pwrite(fd, text, strlen(text) + 1, (off_t)at));
}

static const char *get(const void *at, size_t n)
{
	memset(buf, 0, sizeof(buf));
	return result(pread(fd, buf, n, (off_t)at));
}

static sigjmp_buf back;
static void on_fault(int sig)
{
	siglongjmp(back, sig);
}

/* Does a plain write of the program fault? */
static int faults(volatile char *at)
{
	int sig = sigsetjmp(back, 1);

	if (!sig) {
		char was = *at;

		*at = was;
	}
	return sig;
}

static char *map(unsigned long pages, int prot, int flags, int file)
{
	return mmap(NULL, pages * PAGE, prot, flags, file, 0);
}

static int open_mem(pid_t pid, int how)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return open(path, how);
}

static void protected(void)
{
	puts("== private memory");
	mem = map(8, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	strcpy(mem, "first");
	printf("own %s", put(mem + 10, "by its own file"));
	printf(" [%s]", mem + 10);
	printf(" read %s [%s]\n", get(mem, 26), buf + 10);
	mprotect(mem, 2 * PAGE, PROT_READ);
	printf("read-only %s [%s]", put(mem, "changed"), mem);
	printf(" untouched %s [%s]", put(mem + PAGE, "new"), mem + PAGE);
	printf(" plain writes: %d %d\n", faults(mem), faults(mem + PAGE));
	(void)*(volatile char *)(mem + 2 * PAGE);
	mprotect(mem + 2 * PAGE, PAGE, PROT_READ);
	printf("zeroes %s [%s] %d\n", put(mem + 2 * PAGE, "no zeroes"), mem + 2 * PAGE,
	       faults(mem + 2 * PAGE));
	strcpy(mem + 3 * PAGE, "hidden");
	mprotect(mem + 3 * PAGE, 2 * PAGE, PROT_NONE);
	printf("none: read %s [%s]", get(mem + 3 * PAGE, 7), buf);
	printf(" write %s", put(mem + 3 * PAGE, "seen"));
	printf(" read %s [%s]", get(mem + 3 * PAGE, 5), buf);
	printf(" empty %s [%s]", get(mem + 4 * PAGE, 5), buf);
	printf(" write %s\n", put(mem + 4 * PAGE, "full"));
	mprotect(mem + 3 * PAGE, 2 * PAGE, PROT_READ);
	printf("then [%s] [%s] %d\n", mem + 3 * PAGE, mem + 4 * PAGE, faults(mem + 4 * PAGE));
	mprotect(mem, 2 * PAGE, RW);
	printf("writable again %d", faults(mem));
	strcat(mem, ", and more");
	printf(" [%s]\n", mem);
	/* out to swap, where there is one */
	mprotect(mem, PAGE, PROT_READ);
	madvise(mem, PAGE, MADV_PAGEOUT);
	printf("paged out %s [%s] %d\n", put(mem, "came back"), mem, faults(mem));
	madvise(mem, PAGE, MADV_PAGEOUT);
	printf("again [%s]\n", mem);
}

static void shared(void)
{
	int file = memfd_create("m", 0), status;
	char *ro, *priv;
	pid_t pid;

	puts("== what is shared");
	ftruncate(file, 4 * PAGE);
	pwrite(file, "of the file", 12, 0);
	mem = map(4, RW, MAP_SHARED, file);
	ro = map(4, PROT_READ, MAP_SHARED, file);
	priv = map(4, PROT_READ, MAP_PRIVATE, file);
	printf("writable %s [%s]\n", put(mem, "by file"), mem);
	printf("read-only %s [%s]\n", put(ro, "refused"), mem);
	printf("private %s [%s] [%s]", put(priv, "copied"), priv, mem);
	printf(" untouched %s [%s] [%s]\n", put(priv + PAGE, "copy"), priv + PAGE, mem + PAGE);
	mprotect(mem, PAGE, PROT_NONE);
	printf("none: read %s [%s]", get(mem, 8), buf);
	printf(" write %s\n", put(mem, "refused"));
	/* pages that fork has shared */
	mem = map(2, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	strcpy(mem, "of both");
	mprotect(mem, PAGE, PROT_READ);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	printf("own %s [%s]", put(mem, "parent"), mem);
	close(fd);
	fd = open_mem(pid, O_RDWR);
	printf(" the child's %s [%s]", get(mem, 8), buf);
	printf(" written %s", put(mem, "child"));
	printf(" %s [%s] [%s]\n", get(mem, 8), buf, mem);
	{
		struct iovec l = {(char *)"vm", 3}, r = {mem, 3};

		printf("process_vm_writev %s\n",
		       result(syscall(SYS_process_vm_writev, pid, &l, 1, &r, 1, 0)));
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	printf("it has ended: %s", get(mem, 8));
	printf(" %s", put(mem, "x"));
	printf(" open %s\n", result(open_mem(pid, O_RDONLY)));
	close(fd);
	fd = open_mem(getpid(), O_RDWR);
	close(file);
}

static void ends(void)
{
	char *volatile nowhere = (char *)8;
	char *hole;

	puts("== ends and errors");
	printf("text %s [%s] %d\n", put(constant, "A CONSTANT"), (const char *)(uintptr_t)constant,
	       faults((char *)(uintptr_t)constant));
	mem = map(4, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	mprotect(mem + PAGE, PAGE, PROT_READ);
	munmap(mem + 2 * PAGE, PAGE);
	memset(buf, 'w', sizeof(buf));
	printf("up to a hole %s", result(pwrite(fd, buf, 3 * PAGE, (off_t)(mem + 100))));
	printf(" %c%c", mem[100], mem[2 * PAGE - 1]);
	printf(" read %s", result(pread(fd, buf, 3 * PAGE, (off_t)(mem + 100))));
	printf(" at it %s", put(mem + 2 * PAGE, "x"));
	printf(" read %s\n", get(mem + 2 * PAGE, 1));
	printf("zero page %s", get(NULL, 1));
	printf(" nothing %s", result(pread(fd, buf, 0, 0)));
	printf(" beyond %s\n", get((void *)0x7ffffffff000, 1));
	hole = map(3, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	munmap(hole + 2 * PAGE, PAGE);
	printf("own buffer %s", result(pwrite(fd, nowhere, 5, (off_t)mem)));
	printf(" read %s", result(pread(fd, nowhere, 5, (off_t)mem)));
	printf(" ends %s", result(pwrite(fd, hole + PAGE, 2 * PAGE, (off_t)mem)));
	printf(" read %s\n", result(pread(fd, hole + PAGE, 2 * PAGE, (off_t)mem)));
	printf("seek %d", lseek(fd, (off_t)mem, SEEK_SET) == (off_t)mem);
	printf(" write %s", result(write(fd, "abc", 3)));
	printf(" %s", result(write(fd, "def", 4)));
	printf(" [%s] %ld", mem, (long)(lseek(fd, 0, SEEK_CUR) - (off_t)mem));
	printf(" end %s\n", result(lseek(fd, 0, SEEK_END)));
}

static void rights(void)
{
	pid_t user, other = getpid();
	int status;

	puts("== rights");
	fflush(stdout);
	user = fork();
	if (!user) {
		pid_t pid;
		int f;

		if (setgid(65534) || setuid(65534))
			_exit(2);
		prctl(PR_SET_DUMPABLE, 1);
		printf("another's %s", result(open_mem(other, O_RDONLY)));
		f = open_mem(getpid(), O_RDWR);
		printf(" own %s", done(f));
		fflush(stdout);
		pid = fork();
		if (!pid) {
			pause();
			_exit(0);
		}
		f = open_mem(pid, O_RDWR);
		printf(" a child's %s", done(f));
		printf(" read %s\n", result(pread(f, buf, 10, (off_t)constant)));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		fflush(stdout);
		_exit(0);
	}
	waitpid(user, &status, 0);
	printf("ended with %x\n", status);
	fd = open("/proc/self/mem", O_RDONLY);
	printf("opened to read: %s\n", put(buf, "x"));
	close(fd);
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	sigaction(SIGSEGV, &sa, NULL);
	fd = open("/proc/self/mem", O_RDWR);
	printf("open %s\n", done(fd));
	protected();
	shared();
	ends();
	rights();
	puts("end");
	return 0;
}
