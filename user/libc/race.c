/*
 * Threads that compete for the same locks, for the lock-order checker (`--append lockdep`):
 *
 *   race DEVICE DIRECTORY ROUNDS
 *
 * One writes to the device from memory that must be faulted in, one opens, maps and closes it; files of
 * the directory are written, mapped, cut off and removed; shared memory has holes punched while others
 * touch it; memory is pushed to swap; processes are forked and pipes filled. Each kind of thread makes
 * ROUNDS rounds and says so: a deadlock is seen as rounds that never end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul

static const char *device, *dir;
static int rounds;
static char *shared; /* pages of a memfd */
static int shared_fd;
#define SHARED (64 * PAGE)

static void fail(const char *what)
{
	printf("race: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *map(size_t size, int flags, int fd)
{
	void *p = mmap(0, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	return p;
}

/* The kernel faults the buffer in while it writes to the device. */
static void device_writer(int round, unsigned int *seed)
{
	size_t size = 64 * PAGE;
	char *p = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int fd = open(device, O_RDWR);

	if (fd < 0 || pwrite(fd, p, size, 0) != (ssize_t)size)
		fail("write to the device");
	if (pread(fd, p, size, 0) != (ssize_t)size)
		fail("read from the device");
	close(fd);
	munmap(p, size);
}

/* The mapping holds the last reference of the device's file. */
static void device_mapper(int round, unsigned int *seed)
{
	int fd = open(device, O_RDWR);
	char *p = mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	volatile char c;

	if (p == MAP_FAILED)
		fail("mmap of the device");
	close(fd);
	c = *p;
	(void)c;
	munmap(p, PAGE);
}

static void file_user(int round, unsigned int *seed)
{
	static int numbers;
	char name[100], buf[3 * PAGE];
	int fd;
	char *p;

	snprintf(name, sizeof(name), "%s/f%d", dir,
		 __atomic_add_fetch(&numbers, 1, __ATOMIC_SEQ_CST) % 7);
	fd = open(name, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		fail("open");
	memset(buf, round, sizeof(buf));
	if (pwrite(fd, buf, sizeof(buf), rand_r(seed) % 10000) < 0 && errno != ENOSPC)
		fail("pwrite");
	p = map(2 * PAGE, MAP_SHARED, fd);
	close(fd);
	msync(p, 2 * PAGE, MS_ASYNC);
	madvise(p, 2 * PAGE, MADV_DONTNEED);
	if (rand_r(seed) % 3 == 0)
		unlink(name);
	if (rand_r(seed) % 3 == 0 && truncate(name, rand_r(seed) % 9000) && errno != ENOENT)
		fail("truncate");
	munmap(p, 2 * PAGE);
}

static void shared_user(int round, unsigned int *seed)
{
	for (int i = 0; i < 20; i++)
		shared[rand_r(seed) % SHARED] = round;
	madvise(shared + rand_r(seed) % 32 * PAGE, 8 * PAGE,
		rand_r(seed) % 2 ? MADV_PAGEOUT : MADV_REMOVE);
}

static void swapper(int round, unsigned int *seed)
{
	size_t size = 1024 * PAGE;
	char *p = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	for (size_t i = 0; i < size; i += PAGE)
		p[i] = i / PAGE;
	madvise(p, size, MADV_PAGEOUT);
	for (size_t i = 0; i < size; i += PAGE) {
		if (p[i] != (char)(i / PAGE)) {
			printf("race: page %zu is wrong\n", i / PAGE);
			exit(1);
		}
	}
	munmap(p, size);
}

static void forker(int round, unsigned int *seed)
{
	int fds[2], status;
	char buf[2 * PAGE];
	pid_t pid;

	if (pipe(fds))
		fail("pipe");
	pid = fork();
	if (!pid) {
		shared[0]++;
		_exit(write(fds[1], buf, sizeof(buf)) != sizeof(buf));
	}
	if (pid < 0)
		fail("fork");
	close(fds[1]);
	while (read(fds[0], buf, sizeof(buf)) > 0)
		;
	close(fds[0]);
	if (waitpid(pid, &status, 0) != pid || status)
		fail("child");
}

static const struct kind {
	const char *name;
	void (*round)(int round, unsigned int *seed);
	int percent; /* of ROUNDS */
} kinds[] = {{"device_writer", device_writer, 100},
	     {"device_mapper", device_mapper, 400},
	     {"file_user", file_user, 300},
	     {"file_user", file_user, 300},
	     {"shared_user", shared_user, 300},
	     {"swapper", swapper, 20},
	     {"forker", forker, 50}};
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void *thread(void *arg)
{
	const struct kind *k = arg;
	unsigned int seed = (unsigned int)(k - kinds) + 1;

	for (int i = 0; i < rounds * k->percent / 100; i++)
		k->round(i, &seed);
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t t[NR_KINDS];

	if (argc != 4) {
		printf("usage: race DEVICE DIRECTORY ROUNDS\n");
		return 2;
	}
	device = argv[1];
	dir = argv[2];
	rounds = atoi(argv[3]);
	shared_fd = memfd_create("race", 0);
	if (ftruncate(shared_fd, SHARED))
		fail("ftruncate");
	shared = map(SHARED, MAP_SHARED, shared_fd);
	for (unsigned int i = 0; i < NR_KINDS; i++)
		if (pthread_create(&t[i], 0, thread, (void *)&kinds[i]))
			fail("pthread_create");
	for (unsigned int i = 0; i < NR_KINDS; i++) {
		pthread_join(t[i], 0);
		printf("race: %s: %d rounds\n", kinds[i].name, rounds * kinds[i].percent / 100);
	}
	printf("race passed\n");
	return 0;
}
