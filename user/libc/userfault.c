/*
 * userfaultfd as Linux answers it: a transcript to compare (tests/vm/conform_programs.sh). Addresses
 * are printed as pages of an area.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "asleep.h"
#include "transcript.h"

#ifndef SYS_userfaultfd
#define SYS_userfaultfd 323
#endif
#define PAGE  4096ul
#define API   0xc018aa3fu
#define REG   0xc020aa00u
#define UNREG 0x8010aa01u
#define WAKE  0x8010aa02u
#define COPY  0xc028aa03u
#define ZERO  0xc020aa04u
#define CONT  0xc020aa07u
#define LOST  0xc020aa08u /* UFFDIO_POISON */
#define SHMEM (1ull << 5)
#define SIGB  (1ull << 7)
#define MINOR (1ull << 10)
#define POIS  (1ull << 14)
#define PAGES 16ul

static int uffd;
static char *area;

static int new_uffd(uint64_t features, int flags)
{
	uint64_t api[3] = {0xaa, features, 0};
	int fd = (int)syscall(SYS_userfaultfd, flags);

	if (fd >= 0 && ioctl(fd, API, api))
		puts("no API");
	return fd;
}

static int reg(int fd, void *at, unsigned long pages, uint64_t mode)
{
	uint64_t r[4] = {(uint64_t)at, pages * PAGE, mode, 0};

	return ioctl(fd, REG, r);
}

static int range(int fd, unsigned int cmd, void *at, unsigned long pages)
{
	uint64_t r[2] = {(uint64_t)at, pages * PAGE};

	return ioctl(fd, cmd, r);
}

/* What the command says, and what it has done. */
static const char *answer(unsigned int cmd, void *at, unsigned long pages, const void *from,
			  uint64_t mode)
{
	static char text[4][64];
	static unsigned int n;
	char *t = text[n++ % 4];
	uint64_t c[5] = {(uint64_t)at, (uint64_t)from, pages * PAGE, mode, 0};
	uint64_t z[4] = {(uint64_t)at, pages * PAGE, mode, 0};
	int r = cmd == COPY ? ioctl(uffd, cmd, c) : ioctl(uffd, cmd, z);
	long did = (long)(cmd == COPY ? c[4] : z[3]);

	snprintf(t, 64, "%s (%s%ld)", result(r), did < 0 ? "error " : "bytes ", did);
	return t;
}

/* The next message; waits for it. */
static long next_fault(const char *what)
{
	struct {
		uint8_t event, pad[7];
		uint64_t flags, address, more;
	} msg;
	long r = read(uffd, &msg, sizeof(msg));

	if (r != sizeof(msg)) {
		printf("%s: %s\n", what, result(r));
		return -1;
	}
	printf("%s: event %x flags %lx page %ld\n", what, msg.event, (unsigned long)msg.flags,
	       ((long)msg.address - (long)area) / (long)PAGE);
	return ((long)msg.address - (long)area) / (long)PAGE;
}

static char *map_area(int flags, int fd)
{
	return mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
}

static void *reads(void *arg)
{
	return (void *)(long)*(volatile unsigned char *)arg;
}

static void *writes(void *arg)
{
	*(volatile char *)arg = 77;
	return (void *)(long)*(volatile unsigned char *)arg;
}

/* -1: SIGBUS. The kernel says which by an error of a call. */
static void *reads_or_not(void *arg)
{
	int p[2];
	long r = pipe(p) ? -2 : write(p[1], arg, 1);

	close(p[0]);
	close(p[1]);
	return (void *)r;
}

static pthread_t thread;
static void touch(void *(*how)(void *), unsigned long page)
{
	pthread_create(&thread, NULL, how, area + page * PAGE + 5);
}

static long touched(void)
{
	void *r;

	pthread_join(thread, &r);
	return (long)r;
}

static void errors(void)
{
	uint64_t api[3] = {0xaa, 0, 0}, r[4] = {0, PAGE, 1, 0};
	int fd;
	struct pollfd p;
	char c;

	printf("flags %s", result(syscall(SYS_userfaultfd, 2)));
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	printf(" made %s cloexec %d", fd < 0 ? result(fd) : "yes", fcntl(fd, F_GETFD));
	p = (struct pollfd){fd, POLLIN, 0};
	poll(&p, 1, 0);
	printf(" poll %x read %s", p.revents, result(read(fd, &c, 1)));
	printf(" before the API: %s\n", result(ioctl(fd, REG, r)));
	api[0] = 0xab;
	printf("another API %s", result(ioctl(fd, API, api)));
	printf(" %lx %lx", (unsigned long)api[0], (unsigned long)api[1]);
	api[0] = 0xaa;
	api[1] = 1ull << 60;
	printf(" feature %s", result(ioctl(fd, API, api)));
	printf(" fault %s", result(ioctl(fd, API, (void *)8)));
	api[0] = 0xaa;
	api[1] = 0;
	printf(" right %s", result(ioctl(fd, API, api)));
	printf(" features %lx ioctls %lx", (unsigned long)(api[1] & (SHMEM | SIGB | MINOR)),
	       (unsigned long)api[2]);
	printf(" again %s\n", result(ioctl(fd, API, api)));
	poll(&p, 1, 0);
	printf("poll %x read %s write %s", p.revents, result(read(fd, api, 8)),
	       result(write(fd, api, 8)));
	{
		char msg[32];

		printf(" nothing %s", result(read(fd, msg, 32)));
	}
	printf(" unknown %s\n", result(ioctl(fd, 0xaa55, api)));
	area = map_area(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	printf("register: odd %s", result(reg(fd, area + 1, 1, 1)));
	r[0] = (uint64_t)area;
	r[1] = 100;
	printf(" length %s", result(ioctl(fd, REG, r)));
	printf(" none %s", result(reg(fd, area, 0, 1)));
	printf(" no mode %s", result(reg(fd, area, 1, 0)));
	printf(" mode %s", result(reg(fd, area, 1, 8)));
	printf(" nothing there %s", result(reg(fd, (void *)0x10000, 1, 1)));
	printf(" kernel's %s", result(reg(fd, (void *)0xffff800000000000, 1, 1)));
	printf(" fault %s\n", result(ioctl(fd, REG, (void *)8)));
	printf("minor of anonymous %s\n", result(reg(fd, area, 1, 4)));
	r[0] = (uint64_t)area;
	r[1] = 4 * PAGE;
	r[2] = 1;
	printf("registered %s", result(ioctl(fd, REG, r)));
	printf(" ioctls %lx", (unsigned long)(r[3] & 0x9c));
	printf(" again %s", result(reg(fd, area, 4, 1)));
	uffd = new_uffd(0, 0);
	printf(" another's %s", result(reg(uffd, area + PAGE, 1, 1)));
	printf(" beside it %s\n", result(reg(uffd, area + 8 * PAGE, 2, 1)));
	printf("answers: not registered %s", answer(COPY, area + 12 * PAGE, 1, area, 0));
	printf(" source %s", answer(COPY, area + 8 * PAGE, 1, (void *)PAGE, 0));
	printf(" odd %s", answer(COPY, area + 8 * PAGE + 1, 1, area, 0));
	printf(" mode %s\n", answer(COPY, area + 8 * PAGE, 1, area, 8));
	printf("beyond %s", answer(ZERO, area + 8 * PAGE, 3, NULL, 0));
	printf(" zeroes %s", answer(ZERO, area + 8 * PAGE, 1, NULL, 0));
	printf(" twice %s", answer(ZERO, area + 8 * PAGE, 1, NULL, 0));
	printf(" half %s\n", answer(ZERO, area + 8 * PAGE, 2, NULL, 0));
	printf("unregister %s", result(range(uffd, UNREG, area + 8 * PAGE, 2)));
	printf(" nothing there %s", result(range(uffd, UNREG, (void *)0x10000, 1)));
	printf(" wake %s\n", result(range(uffd, WAKE, area, 1)));
	close(uffd);
	close(fd);
	printf("closed: ordinary again: %d\n", area[0] + area[PAGE]);
	munmap(area, PAGES * PAGE);
}

static void missing(int map_flags, const char *what)
{
	static char buf[4 * 4096];
	int fd = -1;

	printf("== %s\n", what);
	if (map_flags & MAP_SHARED && !(map_flags & MAP_ANONYMOUS)) {
		fd = memfd_create("m", 0);
		ftruncate(fd, PAGES * PAGE);
	}
	memset(buf, 'a', PAGE);
	memset(buf + PAGE, 'b', PAGE);
	memset(buf + 2 * PAGE, 'c', PAGE);
	area = map_area(map_flags, fd);
	uffd = new_uffd(0, 0);
	area[9 * PAGE] = 'x'; /* there before */
	printf("register %s\n", result(reg(uffd, area, PAGES, 1)));
	printf("what is there is there: %c\n", area[9 * PAGE]);
	touch(reads, 2);
	next_fault("read");
	printf("copy %s", answer(COPY, area + 2 * PAGE, 1, buf, 0));
	printf(" it read %c\n", (char)touched());
	touch(writes, 3);
	next_fault("write");
	printf("zeroes %s", answer(ZERO, area + 3 * PAGE, 1, NULL, 0));
	printf(" it wrote %ld %d\n", touched(), area[3 * PAGE]);
	printf("several before anybody asks %s", answer(COPY, area + 4 * PAGE, 3, buf, 0));
	printf(" %c%c%c", area[4 * PAGE], area[5 * PAGE], area[6 * PAGE]);
	printf(" again %s", answer(COPY, area + 4 * PAGE, 1, buf, 0));
	printf(" the first is missing %s\n", answer(COPY, area + 3 * PAGE, 2, buf, 0));
	/* woken without an answer */
	touch(reads, 7);
	next_fault("read");
	printf("woken for nothing %s\n", result(range(uffd, WAKE, area + 7 * PAGE, 1)));
	next_fault("it asks again");
	printf("copied, not woken %s", answer(COPY, area + 7 * PAGE, 1, buf, 1));
	printf(" woken %s", result(range(uffd, WAKE, area + 7 * PAGE, 1)));
	printf(" it read %c\n", (char)touched());
	/* it is missing again */
	if (!(map_flags & MAP_SHARED)) {
		printf("dontneed %s\n", result(madvise(area + 4 * PAGE, PAGE, MADV_DONTNEED)));
		touch(writes, 4);
		next_fault("missing again");
		printf("copy %s", answer(COPY, area + 4 * PAGE, 1, buf, 0));
		printf(" it wrote %ld\n", touched());
	} else {
		madvise(area + 4 * PAGE, PAGE, MADV_DONTNEED);
		printf("dontneed: the file has it: %c\n", area[4 * PAGE]);
		printf("remove %s\n", result(madvise(area + 4 * PAGE, PAGE, MADV_REMOVE)));
		touch(reads, 4);
		next_fault("missing again");
		printf("copy %s", answer(COPY, area + 4 * PAGE, 1, buf + PAGE, 0));
		printf(" it read %c\n", (char)touched());
	}
	/* out to swap and back: nobody asks */
	madvise(area + 2 * PAGE, PAGE, MADV_PAGEOUT);
	printf("after pageout %c\n", area[2 * PAGE]);
	/* a part is protected: areas are cut */
	printf("cut %s", result(mprotect(area + 5 * PAGE, PAGE, PROT_READ)));
	printf(" joined %s\n", result(mprotect(area + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE)));
	touch(reads, 8);
	next_fault("still registered");
	printf("unregister %s", result(range(uffd, UNREG, area + 8 * PAGE, 1)));
	printf(" it read %ld\n", touched());
	touch(reads, 10);
	next_fault("one waits");
	close(uffd);
	printf("closed: it read %ld\n", touched());
	munmap(area, PAGES * PAGE);
	if (fd >= 0)
		close(fd);
}

static void minor(void)
{
	static char buf[4096];
	int fd = memfd_create("m", 0);
	char *other;

	puts("== minor faults");
	ftruncate(fd, PAGES * PAGE);
	area = map_area(MAP_SHARED, fd);
	other = map_area(MAP_SHARED, fd);
	uffd = new_uffd(0, 0);
	memset(other + 2 * PAGE, 'm', 3 * PAGE);
	printf("register %s\n", result(reg(uffd, area, PAGES, 4)));
	touch(reads, 2);
	next_fault("minor");
	other[2 * PAGE + 5] = 'n';
	printf("continue: none there %s", answer(CONT, area + 9 * PAGE, 1, NULL, 0));
	printf(" it %s", answer(CONT, area + 2 * PAGE, 1, NULL, 0));
	printf(" read %c", (char)touched());
	printf(" twice %s\n", answer(CONT, area + 2 * PAGE, 1, NULL, 0));
	touch(writes, 3);
	next_fault("minor write");
	printf("continue two %s", answer(CONT, area + 3 * PAGE, 2, NULL, 0));
	printf(" wrote %ld", touched());
	printf(" other %d\n", other[3 * PAGE + 5]);
	printf("not there: an ordinary one %d\n", area[12 * PAGE]);
	printf("both modes %s\n", result(reg(uffd, area, PAGES, 5)));
	touch(reads, 13);
	next_fault("missing");
	memset(buf, 'q', PAGE);
	printf("copy %s", answer(COPY, area + 13 * PAGE, 1, buf, 0));
	printf(" read %c other %c\n", (char)touched(), other[13 * PAGE]);
	close(uffd);
	munmap(area, PAGES * PAGE);
	munmap(other, PAGES * PAGE);
	close(fd);
}

static sigjmp_buf back;
static void on_bus(int sig)
{
	siglongjmp(back, sig);
}

static int pipe_fd[2];
static void *writes_out(void *arg)
{
	return (void *)write(pipe_fd[1], arg, 10);
}

static void *populates(void *arg)
{
	return (void *)(long)madvise((char *)arg - 5, PAGE, 22);
}

/* Its context is left by a process that is gone. */
static void killed_while_it_waits(void)
{
	int v[2], status;
	pid_t pid;
	char c;

	pipe(v);
	uffd = -1;
	pid = fork();
	if (!pid) {
		uffd = new_uffd(0, 0);
		reg(uffd, area + 12 * PAGE, 1, 1);
		write(v[1], "x", 1);
		_exit(area[12 * PAGE]);
	}
	/* After this byte it sleeps for nothing but the answer to its fault. */
	read(v[0], &c, 1);
	until_asleep(pid, &pid);
	kill(pid, SIGALRM);
	waitpid(pid, &status, 0);
	printf("a signal ends who waits: %x\n", status);
}

static void others(void)
{
	static char buf[4096] = "from the monitor";
	char *to;
	pid_t pid;
	int status;

	puts("== others");
	signal(SIGBUS, on_bus);
	area = map_area(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	pipe(pipe_fd);
	uffd = new_uffd(0, 0);
	reg(uffd, area, PAGES, 1);
	touch(writes_out, 1);
	next_fault("the kernel reads it");
	printf("copy %s", answer(COPY, area + PAGE, 1, buf, 0));
	printf(" written %ld\n", touched());
	touch(populates, 2);
	next_fault("populated");
	printf("copy %s", answer(COPY, area + 2 * PAGE, 1, buf, 0));
	printf(" done %ld\n", touched());
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(area[5 * PAGE] + area[PAGE] == 'f' ? 5 : 6);
	waitpid(pid, &status, 0);
	printf("a child has ordinary memory: %x\n", status);
	to = mremap(area + 6 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		    mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	printf("moved: ordinary %d\n", to[0]);
	printf("unmapped, then answered %s", result(munmap(area + 7 * PAGE, PAGE)));
	printf(" %s\n", answer(COPY, area + 7 * PAGE, 1, buf, 0));
	close(uffd);
	uffd = new_uffd(0, 1 | O_NONBLOCK);
	reg(uffd, area, 4, 1);
	printf("user mode only: the kernel's own %s\n",
	       result(write(pipe_fd[1], area + 3 * PAGE, 10)));
	next_fault("nobody waits");
	close(uffd);
	uffd = new_uffd(SIGB, O_NONBLOCK);
	reg(uffd, area + 8 * PAGE, 4, 1);
	if (!sigsetjmp(back, 1))
		printf("it read %d\n", *(volatile char *)(area + 9 * PAGE));
	else
		puts("SIGBUS");
	printf("copy %s", answer(COPY, area + 9 * PAGE, 1, buf, 0));
	printf(" then %c\n", area[9 * PAGE]);
	close(uffd);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		uffd = new_uffd(0, O_NONBLOCK);
		if (setgid(65534) || setuid(65534))
			_exit(2);
		printf("user: %s", result(syscall(SYS_userfaultfd, 0)));
		printf(" user mode only %s\n", syscall(SYS_userfaultfd, 1) < 0 ? "no" : "yes");
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	killed_while_it_waits();
}

static bool has_poison(void)
{
	uint64_t api[3] = {0xaa, 0, 0};
	int fd = (int)syscall(SYS_userfaultfd, 0);
	bool has = fd >= 0 && !ioctl(fd, API, api) && api[1] & POIS;

	close(fd);
	return has;
}

static void on_lost(int sig, siginfo_t *si, void *uc)
{
	printf("signal %d code %d page %ld lsb %d\n", sig, si->si_code,
	       ((char *)si->si_addr - area) / (long)PAGE, si->si_addr_lsb);
	siglongjmp(back, 1);
}

/* Linux has it since 6.6. For an older one its answers stand here, so that a guest's are compared with them. */
static void poison(void)
{
	static const char answers[] =
		"not registered -2 (error -2) mode -22 (bytes 0)\n"
		"poisoned 0 (bytes 8192) again -17 (error -17) copy -17 (error -17)\n"
		"up to what is there -11 (bytes 4096)\n"
		"signal 7 code 4 page 3 lsb 12\n"
		"the kernel's own -14\n"
		"missing again: read: event 12 flags 0 page 3\n"
		"poisoned 0 (bytes 4096) it read -1\n";
	struct sigaction sa = {.sa_sigaction = on_lost, .sa_flags = SA_SIGINFO};

	puts("== poison");
	if (!has_poison()) {
		fputs(answers, stdout);
		return;
	}
	sigaction(SIGBUS, &sa, NULL);
	area = map_area(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	uffd = new_uffd(0, 0);
	printf("not registered %s", answer(LOST, area + 3 * PAGE, 1, NULL, 0));
	area[8 * PAGE] = 1;
	reg(uffd, area, PAGES, 1);
	printf(" mode %s\n", answer(LOST, area + 3 * PAGE, 1, NULL, 2));
	printf("poisoned %s", answer(LOST, area + 3 * PAGE, 2, NULL, 0));
	printf(" again %s", answer(LOST, area + 4 * PAGE, 1, NULL, 0));
	printf(" copy %s\n", answer(COPY, area + 3 * PAGE, 1, answers, 0));
	printf("up to what is there %s\n", answer(LOST, area + 7 * PAGE, 2, NULL, 0));
	if (!sigsetjmp(back, 1))
		printf("it read %d\n", *(volatile char *)(area + 3 * PAGE));
	printf("the kernel's own %s\n", result(write(pipe_fd[1], area + 3 * PAGE, 10)));
	madvise(area + 3 * PAGE, PAGE, MADV_DONTNEED);
	touch(reads_or_not, 3);
	printf("missing again: ");
	next_fault("read");
	printf("poisoned %s", answer(LOST, area + 3 * PAGE, 1, NULL, 0));
	printf(" it read %ld\n", touched());
	close(uffd);
	munmap(area, PAGES * PAGE);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	errors();
	missing(MAP_PRIVATE | MAP_ANONYMOUS, "private");
	missing(MAP_SHARED | MAP_ANONYMOUS, "shared, anonymous");
	missing(MAP_SHARED, "a file in memory");
	minor();
	others();
	poison();
	puts("end");
	return 0;
}
