/*
 * Pages that are lost, MADV_HWPOISON and MADV_SOFT_OFFLINE: a transcript to compare (tests/vm/conform_programs.sh).
 * Private memory, and shared memory with a file.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#define PAGE	4096
#define PAGES	8
#define RW	(PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

static char *at;

static void on_bus(int sig, siginfo_t *si, void *uc)
{
	printf("signal %d code %d page %ld lsb %d\n", sig, si->si_code,
	       (long)((char *)si->si_addr - at) / PAGE, si->si_addr_lsb);
	fflush(stdout);
	_exit(0);
}

/* What a child that writes there gets. */
static void touch(const char *what, volatile char *p)
{
	if (!fork()) {
		struct sigaction sa = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};

		sigaction(SIGBUS, &sa, NULL);
		printf("%s: ", what);
		printf("reads %d ", *p);
		*p = 9;
		printf("writes %d\n", *p);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static long corrupted(void)
{
	char line[200];
	FILE *f = fopen("/proc/meminfo", "r");
	long kb = -1;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "HardwareCorrupted: %ld", &kb);
	if (f)
		fclose(f);
	return kb;
}

/* The file's pages 1 and 2 are lost, for all its mappings, until it is truncated. */
static void shared(void)
{
	int fd = memfd_create("lost", 0);
	long before = corrupted();
	char buf[3 * PAGE], *private, *late;

	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		exit(1);
	at = mmap(NULL, PAGES * PAGE, RW, MAP_SHARED, fd, 0);
	private = mmap(NULL, PAGES * PAGE, RW, MAP_PRIVATE, fd, 0);
	for (int i = 0; i < PAGES; i++)
		at[i * PAGE] = (char)(i + 1);
	printf("private sees %d\n", private[2 * PAGE]);
	printf("lost %s\n", result(madvise(at + PAGE, 2 * PAGE, MADV_HWPOISON)));
	touch("the page", at + PAGE);
	touch("the next", at + 2 * PAGE);
	touch("after them", at + 3 * PAGE);
	late = mmap(NULL, PAGES * PAGE, RW, MAP_SHARED, fd, 0);
	printf("read before them %s,", result(pread(fd, buf, sizeof(buf), 0)));
	printf(" there %s,", result(pread(fd, buf, 8, PAGE)));
	printf(" written %s", result(pwrite(fd, buf, 8, PAGE + 8)));
	printf(" synced %s %s\n", result(fsync(fd)), result(msync(at, PAGES * PAGE, MS_SYNC)));
	at = private;
	touch("the private mapping, seen before", at + 2 * PAGE);
	touch("not seen before", at + PAGE);
	at = late;
	touch("a mapping made later", at + PAGE);
	printf("allocated %s", result(fallocate(fd, 0, 0, PAGES * PAGE)));
	printf(" data at %ld\n", (long)lseek(fd, PAGE, SEEK_DATA));
	touch("still lost", at + PAGE);
	printf("once more %s\n", result(madvise(at + PAGE, PAGE, MADV_HWPOISON)));
	printf("ends within it %s\n", result(ftruncate(fd, 2 * PAGE + 100)));
	touch("it", at + 2 * PAGE);
	printf("hole %s:",
	       result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE)));
	printf(" read %s", result(pread(fd, buf, 8, PAGE)));
	printf(" %d\n", buf[0]);
	touch("a mapping that had not asked", mmap(NULL, PAGE, RW, MAP_SHARED, fd, PAGE));
	printf("shorter %s", result(ftruncate(fd, 0)));
	printf(" longer %s:", result(ftruncate(fd, PAGES * PAGE)));
	printf(" %d %d\n", at[PAGE], private[2 * PAGE]);
	printf("moved elsewhere %s", result(madvise(at, 2 * PAGE, MADV_SOFT_OFFLINE)));
	at[2 * PAGE] = 3;
	printf(" locked %s:", result(mlock(at + 2 * PAGE, PAGE)));
	printf(" lost %s\n", result(madvise(at + 2 * PAGE, PAGE, MADV_HWPOISON)));
	touch("it", at + 2 * PAGE);
	close(fd);
	printf("%ld kB\n", corrupted() - before);
}

int main(void)
{
	long before = corrupted();
	char buf[8], *zero;
	struct iovec to = {buf, 8}, from;
	int pipes[2];

	setvbuf(stdout, NULL, _IOLBF, 0);
	at = mmap(NULL, PAGES * PAGE, RW, PRIVATE, -1, 0);
	for (int i = 0; i < PAGES; i++)
		at[i * PAGE] = (char)(i + 1);
	printf("not aligned %s", result(madvise(at + 1, PAGE, MADV_HWPOISON)));
	printf(" nothing %s", result(madvise(at, 0, MADV_HWPOISON)));
	printf(" not mapped %s\n", result(madvise((void *)(16 * PAGE), PAGE, MADV_HWPOISON)));
	if (!fork()) {
		setuid(1000);
		printf("a user %s", result(madvise(at, PAGE, MADV_HWPOISON)));
		printf(" %s", result(madvise(at, PAGE, MADV_SOFT_OFFLINE)));
		printf(" nothing %s", result(madvise(at, 0, MADV_HWPOISON)));
		printf(" not aligned %s\n", result(madvise(at + 1, PAGE, MADV_HWPOISON)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	printf("lost %s, ", result(madvise(at + PAGE, PAGE, MADV_HWPOISON)));
	printf("%ld kB\n", corrupted() - before);
	touch("the page", at + PAGE);
	touch("the one before", at);
	touch("the one after", at + 2 * PAGE);
	from = (struct iovec){at + PAGE, 8};
	printf("read by another call %s", result(process_vm_readv(getpid(), &to, 1, &from, 1, 0)));
	if (pipe(pipes))
		return 1;
	printf(" by write %s\n", result(write(pipes[1], at + PAGE, 8)));
	printf("several %s, ", result(madvise(at + 3 * PAGE, 2 * PAGE, MADV_HWPOISON)));
	printf("%ld kB\n", corrupted() - before);
	touch("first", at + 3 * PAGE);
	touch("second", at + 4 * PAGE);
	printf("thrown away %s: ", result(madvise(at + PAGE, PAGE, MADV_DONTNEED)));
	printf("%d\n", at[PAGE]);
	printf("moved elsewhere %s, ", result(madvise(at + 5 * PAGE, 2 * PAGE, MADV_SOFT_OFFLINE)));
	printf("%ld kB: %d %d\n", corrupted() - before, at[5 * PAGE], at[6 * PAGE]);
	at = mremap(at, PAGES * PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE);
	touch("after mremap", at + 3 * PAGE);
	printf("unmapped %s, ", result(munmap(at, 2 * PAGES * PAGE)));
	printf("%ld kB\n", corrupted() - before);
	/* Linux counts it all the same. */
	zero = mmap(NULL, PAGE, RW, PRIVATE, -1, 0);
	printf("never touched %s\n", result(madvise(zero, PAGE, MADV_HWPOISON)));
	shared();
	puts("end");
	return 0;
}
