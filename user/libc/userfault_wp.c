/*
 * userfaultfd's write protection as Linux answers it: a transcript to compare (tests/vm/conform_programs.sh). Addresses
 * are printed as pages of an area.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

#ifndef SYS_userfaultfd
#define SYS_userfaultfd 323
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#define PAGE	4096ul
#define PAGES	16ul
#define API	0xc018aa3fu
#define REG	0xc020aa00u
#define UNREG	0x8010aa01u
#define COPY	0xc028aa03u
#define ZERO	0xc020aa04u
#define WP	0xc018aa06u
#define MISSING 1
#define PROTECT 2

static int uffd, pagemap;
static char *area;

static long reg(void *at, unsigned long pages, uint64_t mode, uint64_t *ioctls)
{
	uint64_t r[4] = {(uint64_t)at, pages * PAGE, mode, 0};
	long ret = ioctl(uffd, REG, r);

	if (ioctls)
		*ioctls = r[3];
	return ret;
}

static long unreg(void *at, unsigned long pages)
{
	uint64_t r[2] = {(uint64_t)at, pages * PAGE};

	return ioctl(uffd, UNREG, r);
}

static long wp(void *at, unsigned long bytes, uint64_t mode)
{
	uint64_t r[3] = {(uint64_t)at, bytes, mode};

	return ioctl(uffd, WP, r);
}

static long copy(void *at, const void *from, uint64_t mode)
{
	uint64_t c[5] = {(uint64_t)at, (uint64_t)from, PAGE, mode, 0};

	return ioctl(uffd, COPY, c);
}

/* What pagemap says of the protection: a digit a page. */
static void show(const char *what)
{
	printf("%s: ", what);
	for (unsigned long i = 0; i < PAGES; i++) {
		uint64_t e = 0;

		if (pread(pagemap, &e, 8, ((uintptr_t)area / PAGE + i) * 8) != 8)
			break;
		putchar(e >> 57 & 1 ? 'p' : e >> 62 ? '.' : '-');
	}
	printf("\n");
}

struct job {
	volatile char *at;
	char value;
};
static void *writes(void *arg)
{
	struct job *j = arg;

	*j->at = j->value;
	return NULL;
}

static int from_kernel[2];
static void *kernel_writes(void *arg)
{
	struct job *j = arg;

	return (void *)(long)read(from_kernel[0], (char *)j->at, 5);
}

/* A thread writes; the question it leads to, and its answer. */
static void asked(const char *what, void *(*fn)(void *), unsigned long page, char value)
{
	struct job j = {area + page * PAGE, value};
	struct {
		uint8_t event, pad[7];
		uint64_t flags, address, more;
	} msg;
	pthread_t t;
	long r;

	pthread_create(&t, NULL, fn, &j);
	r = read(uffd, &msg, sizeof(msg));
	printf("%s: %s event %x flags %lx page %ld", what, result(r), msg.event,
	       (unsigned long)msg.flags, ((long)msg.address - (long)area) / (long)PAGE);
	printf(" before %d", area[page * PAGE]);
	printf(" answer %s", result(wp(area + page * PAGE, PAGE, 0)));
	pthread_join(t, NULL);
	printf(" after %d\n", area[page * PAGE]);
}

static void nothing_asked(const char *what)
{
	struct pollfd p = {uffd, POLLIN, 0};

	fcntl(uffd, F_SETFL, O_NONBLOCK);
	printf("%s: %d\n", what, poll(&p, 1, 0));
	fcntl(uffd, F_SETFL, 0);
}

static void fill(void)
{
	madvise(area, PAGES * PAGE, MADV_DONTNEED);
	for (unsigned long i = 0; i < PAGES; i++)
		area[i * PAGE] = (char)(i + 1);
}

static void calls(void)
{
	uint64_t api[3] = {0xaa, 1, 0}, ioctls = 0;
	char *ro = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, open("/proc/self/exe", O_RDONLY), 0);

	uffd = (int)syscall(SYS_userfaultfd, 0);
	printf("API %s", result(ioctl(uffd, API, api)));
	printf(" feature %d", (int)(api[1] & 1));
	printf(" file %s", result(reg(ro, 1, PROTECT, NULL)));
	printf(" no mode %s", result(reg(area, PAGES, 0, NULL)));
	printf(" missing %s", result(reg(area, 4, MISSING, &ioctls)));
	printf(" ioctl %d", (int)(ioctls >> 6 & 1));
	printf(" protect %s", result(reg(area + 4 * PAGE, 4, PROTECT, &ioctls)));
	printf(" ioctl %d\n", (int)(ioctls >> 6 & 1));
	printf("unaligned %s", result(wp(area + 1, PAGE, 1)));
	printf(" length %s", result(wp(area, 100, 1)));
	printf(" none %s", result(wp(area, 0, 1)));
	printf(" mode %s", result(wp(area, PAGE, 4)));
	printf(" without waking %s", result(wp(area, PAGE, 3)));
	printf(" missing only %s", result(wp(area, PAGE, 1)));
	printf(" not registered %s", result(wp(area + 8 * PAGE, PAGE, 1)));
	printf(" address %s\n", result(ioctl(uffd, WP, 8)));
	printf("copy to protect: missing only %s", result(copy(area, area + 8 * PAGE, 2)));
	printf(" mode %s\n", result(copy(area, area + 8 * PAGE, 4)));
	printf("all of it %s\n", result(reg(area, PAGES, PROTECT, NULL)));
	pagemap = open("/proc/self/pagemap", O_RDONLY);
}

static void protected(void)
{
	fill();
	madvise(area + 9 * PAGE, 2 * PAGE, MADV_DONTNEED);
	(void)*(volatile char *)(area + 10 * PAGE); /* zeroes */
	printf("protect %s\n", result(wp(area + 2 * PAGE, 10 * PAGE, 1)));
	show("what is there");
	asked("a write", writes, 3, 77);
	printf("again at once %d\n", (area[3 * PAGE] = 78));
	asked("zeroes", writes, 10, 5);
	area[9 * PAGE] = 4;
	nothing_asked("what was not there");
	if (pipe(from_kernel) || write(from_kernel[1], "hello", 5) != 5)
		return;
	asked("a write of the kernel", kernel_writes, 4, 0);
	printf("it is there: %.5s\n", area + 4 * PAGE);
	show("then");
	printf("no longer %s", result(wp(area, PAGES * PAGE, 0)));
	area[5 * PAGE] = 1;
	printf(" written %d\n", area[5 * PAGE]);
	show("then");
}

static void moves(void)
{
	char *other = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *to;

	fill();
	wp(area, PAGES * PAGE, 1);
	madvise(area + 2 * PAGE, 4 * PAGE, MADV_PAGEOUT);
	show("paged out, where there is swap");
	printf("read %d %d\n", area[2 * PAGE], area[3 * PAGE]);
	asked("after that", writes, 2, 66);
	madvise(area + 6 * PAGE, PAGE, MADV_PAGEOUT);
	asked("written at once", writes, 6, 67);
	mprotect(area, PAGES * PAGE, PROT_READ);
	mprotect(area, PAGES * PAGE, PROT_READ | PROT_WRITE);
	show("after mprotect");
	asked("still", writes, 7, 68);
	fflush(stdout);
	if (!fork()) {
		area[8 * PAGE] = 42;
		show("a child's");
		printf("written by a child: %d\n", area[8 * PAGE]);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	printf("not by its parent: %d\n", area[8 * PAGE]);
	asked("after fork", writes, 8, 69);
	to = mremap(area + 9 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other);
	to[0] = 50;
	nothing_asked("moved away");
	printf("moved: %d %d\n", to[0], to[PAGE]);
	printf("part unregistered %s", result(unreg(area + 12 * PAGE, 2)));
	area[12 * PAGE] = 1;
	printf(" written %d\n", area[12 * PAGE]);
	madvise(area, 2 * PAGE, MADV_DONTNEED);
	area[0] = 9;
	nothing_asked("given up");
	mmap(area + 9 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	show("at the end");
	unreg(area, 9);
	unreg(area + 11 * PAGE, 5);
	show("nobody's");
}

/* Missing and protected: a page comes, and its first write is asked about. */
static void both(void)
{
	static char from[PAGE];

	madvise(area, PAGES * PAGE, MADV_DONTNEED);
	printf("both %s\n", result(reg(area, PAGES, MISSING | PROTECT, NULL)));
	from[0] = 11;
	printf("copy %s", result(copy(area, from, 2)));
	printf(" and another %s", result(copy(area + PAGE, from, 0)));
	printf(" there %s\n", result(copy(area, from, 2)));
	show("one of two");
	area[PAGE] = 3;
	asked("the first write", writes, 0, 12);
	close(uffd);
	show("closed");
	area[5 * PAGE] = 3;
	printf("an ordinary page: %d\n", area[5 * PAGE]);
}

static char *shared_area(int *fd)
{
	*fd = (int)syscall(SYS_memfd_create, "shared", 0);
	if (*fd < 0 || ftruncate(*fd, PAGES * PAGE))
		return MAP_FAILED;
	return mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
}

static void api(uint64_t features)
{
	uint64_t a[3] = {0xaa, features, 0};

	uffd = (int)syscall(SYS_userfaultfd, 0);
	printf("API %s\n", result(ioctl(uffd, API, a)));
}

/* A child of fork(2) writes to page `i`, and nobody is asked. */
static void written_by_a_child(int i)
{
	fflush(stdout);
	if (!fork()) {
		area[i * PAGE] = 70;
		printf("written by a child: %d\n", area[i * PAGE]);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

/* Shared memory: what is not mapped is protected, too, and stays so when its page leaves. */
static void shared(void)
{
	char *other = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *to;
	uint64_t ioctls = 0;
	int fd;

	area = shared_area(&fd);
	api(1);
	printf("shared: protect %s", result(reg(area, PAGES, PROTECT, &ioctls)));
	printf(" ioctl %d\n", (int)(ioctls >> 6 & 1));
	for (unsigned long i = 0; i < 4; i++)
		area[i * PAGE] = (char)(i + 1);
	printf("protect %s\n", result(wp(area, 14 * PAGE, 1)));
	show("all of it");
	asked("a write", writes, 1, 61);
	printf("again at once %d\n", (area[1 * PAGE] = 62));
	asked("where nothing was", writes, 6, 63);
	printf("read %d %d\n", area[2 * PAGE], area[7 * PAGE]);
	show("after reading");
	asked("what was read", writes, 7, 64);
	asked("one more", writes, 8, 65);
	printf("given up %s\n", result(madvise(area + 2 * PAGE, 2 * PAGE, MADV_DONTNEED)));
	show("then");
	asked("after that", writes, 2, 66);
	printf("paged out %s\n", result(madvise(area, PAGES * PAGE, MADV_PAGEOUT)));
	printf("read %d %d\n", area[3 * PAGE], area[0]);
	asked("after that", writes, 3, 67);
	asked("and another", writes, 0, 68);
	wp(area, 5 * PAGE, 1);
	printf("hole %s\n", result(fallocate(fd, 3, 2 * PAGE, PAGE)));
	show("then");
	asked("a new page", writes, 2, 69);
	written_by_a_child(3);
	asked("by its parent", writes, 3, 71);
	mprotect(area, PAGES * PAGE, PROT_READ);
	mprotect(area, PAGES * PAGE, PROT_READ | PROT_WRITE);
	asked("after mprotect", writes, 4, 72);
	to = mremap(area + 9 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other);
	to[0] = 50;
	nothing_asked("moved away");
	printf("moved: %d %d\n", to[0], to[PAGE]);
	printf("no longer %s\n", result(wp(area, 9 * PAGE, 0)));
	area[5 * PAGE] = 1;
	nothing_asked("nothing is");
	show("then");
	close(uffd);
	show("closed");
}

static void shared_both(void)
{
	static char from[PAGE];
	int fd;

	area = shared_area(&fd);
	api(1);
	printf("shared: both %s\n", result(reg(area, PAGES, MISSING | PROTECT, NULL)));
	from[0] = 11;
	printf("copy %s", result(copy(area, from, 2)));
	printf(" and another %s", result(copy(area + PAGE, from, 0)));
	printf(" there %s\n", result(copy(area, from, 2)));
	wp(area + 2 * PAGE, 4 * PAGE, 1);
	show("and a few without pages");
	printf("copy %s", result(copy(area + 2 * PAGE, from, 2)));
	printf(" and another %s\n", result(copy(area + 3 * PAGE, from, 0)));
	show("then");
	area[PAGE] = area[3 * PAGE] = 3;
	asked("the first write", writes, 0, 12);
	asked("and there", writes, 2, 13);
	close(uffd);
	show("closed");
}

/* Private memory, UFFD_FEATURE_WP_UNPOPULATED: Linux 6.4 and later. Linux 6.1 is not asked. */
static int unpopulated(void)
{
	char *other = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *to;
	static char from[PAGE];
	uint64_t zero[4];

	api(1 << 13);
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	printf("protect %s", result(reg(area, PAGES, PROTECT, NULL)));
	printf(" %s\n", result(wp(area, 14 * PAGE, 1)));
	show("nothing is there");
	printf("read %d\n", area[0]);
	show("then");
	asked("what was read", writes, 0, 61);
	asked("what was not", writes, 1, 62);
	printf("given up %s\n", result(madvise(area, 4 * PAGE, MADV_DONTNEED)));
	show("then");
	area[2 * PAGE] = 1;
	nothing_asked("it is not protected");
	written_by_a_child(6);
	asked("by its parent", writes, 6, 71);
	to = mremap(area + 8 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other);
	to[0] = 50;
	nothing_asked("moved away");
	printf("no longer %s\n", result(wp(area, 6 * PAGE, 0)));
	show("then");
	unreg(area, 8);
	show("half is nobody's");
	printf("both %s", result(reg(area, 8, MISSING | PROTECT, NULL)));
	printf(" %s\n", result(wp(area, 8 * PAGE, 1)));
	from[0] = 11;
	printf("copy %s", result(copy(area, from, 2)));
	printf(" and another %s", result(copy(area + PAGE, from, 0)));
	zero[0] = (uintptr_t)(area + 3 * PAGE);
	zero[1] = PAGE;
	zero[2] = zero[3] = 0;
	printf(" zeroes %s\n", result(ioctl(uffd, ZERO, zero)));
	show("then");
	close(uffd);
	show("closed");
	puts("end");
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (argc > 1 && !strcmp(argv[1], "unpopulated"))
		return unpopulated();
	calls();
	protected();
	moves();
	both();
	shared();
	shared_both();
	puts("end");
	return 0;
}
