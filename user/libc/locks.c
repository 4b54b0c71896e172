/*
 * Uses as much of the kernel's memory manager and file systems as one program can in a short time, so that the
 * lock-order checker sees their locks; then prints what the checker has recorded (/proc/lockdep).
 *
 *   locks [DEVICE]    DEVICE: a disk with ext2, to be mounted
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB (1ul << 20)

static void check(int good, const char *what)
{
	if (good)
		return;
	printf("locks: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Files: written, mapped, cut, renamed, removed. */
static void files(const char *dir)
{
	char a[200], b[200];
	struct stat st;
	char *p;
	int fd;

	snprintf(a, sizeof(a), "%s/locks.a", dir);
	snprintf(b, sizeof(b), "%s/locks.b", dir);
	fd = open(a, O_RDWR | O_CREAT | O_TRUNC, 0600);
	check(fd >= 0, a);
	for (int i = 0; i < 64; i++)
		check(write(fd, a, sizeof(a)) == sizeof(a), "write");
	check(!ftruncate(fd, 1 * MB), "ftruncate");
	p = mmap(NULL, 1 * MB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(p != MAP_FAILED, "mmap a file");
	for (unsigned long i = 0; i < 1 * MB; i += 4096)
		p[i] = 1;
	fsync(fd);
	check(!ftruncate(fd, 4096), "cut a mapped file");
	munmap(p, 1 * MB);
	check(!rename(a, b) && !stat(b, &st) && !unlink(b), "rename and unlink");
	close(fd);
}

/* Anonymous memory: more than there is, shared with a child, moved, protected, given back. */
static void memory(unsigned long size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;
	char *s = mmap(NULL, 1 * MB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	check(p != MAP_FAILED && s != MAP_FAILED, "mmap");
	for (unsigned long i = 0; i < size; i += 4096)
		p[i] = (char)(i >> 12 | 1);
	memset(s, 1, 1 * MB);
	pid = fork();
	check(pid >= 0, "fork");
	if (!pid) {
		for (unsigned long i = 0; i < size; i += 4096)
			p[i]++;
		memset(s, 2, 1 * MB);
		_exit(0);
	}
	for (unsigned long i = 0; i < size; i += 4096)
		p[i]--;
	check(waitpid(pid, &status, 0) == pid && !status, "the child");
	check(!mprotect(p, size / 2, PROT_READ) && !mlock(p, 64 * 4096), "mprotect and mlock");
	check(!mprotect(p, size / 2, PROT_READ | PROT_WRITE) && !munlock(p, 64 * 4096), "and back");
	q = mremap(p, size, size + 1 * MB, MREMAP_MAYMOVE);
	check(q != MAP_FAILED, "mremap");
	check(!madvise(q, size / 2, MADV_DONTNEED), "madvise");
	munmap(q, size + 1 * MB);
	munmap(s, 1 * MB);
}

/* A pipe whose lock is held while files and sockets are written. */
static void splices(int ends[2], int pair[2])
{
	int fd = open("spliced", O_CREAT | O_RDWR, 0600), more[2];
	char buf[64];

	check(fd >= 0 && !pipe(more), "a file and a pipe");
	check(write(fd, "spliced", 7) == 7 && !lseek(fd, 0, SEEK_SET), "write");
	check(splice(fd, NULL, ends[1], NULL, 7, 0) == 7, "splice from a file");
	check(tee(ends[0], more[1], 7, 0) == 7 && tee(ends[0], more[1], 7, 0) == 7, "tee");
	check(splice(more[0], NULL, ends[1], NULL, 7, 0) == 7, "splice between pipes");
	check(splice(ends[0], NULL, fd, NULL, 10, 0) == 10, "splice to a file");
	check(splice(ends[0], NULL, pair[1], NULL, 4, 0) == 4 && read(pair[0], buf, 4) == 4,
	      "splice to a socket");
	check(fcntl(more[0], F_SETPIPE_SZ, 32 << 12) == 32 << 12, "F_SETPIPE_SZ");
	close(fd);
	close(more[0]);
	close(more[1]);
}

/* Everything that waits. */
static void events(void)
{
	struct itimerspec soon = {.it_value = {0, 1000000}};
	struct epoll_event ev = {.events = EPOLLIN};
	int pair[2], ends[2], ep = epoll_create1(0), efd = eventfd(0, 0);
	int tfd = timerfd_create(CLOCK_MONOTONIC, 0);
	char buf[64] = "x";

	check(ep >= 0 && efd >= 0 && tfd >= 0 && !pipe(ends), "descriptors");
	check(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	check(!epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &ev) &&
		      !epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &ev) &&
		      !epoll_ctl(ep, EPOLL_CTL_ADD, efd, &ev) &&
		      !epoll_ctl(ep, EPOLL_CTL_ADD, tfd, &ev),
	      "epoll_ctl");
	timerfd_settime(tfd, 0, &soon, NULL);
	check(write(ends[1], buf, 8) == 8 && write(pair[1], buf, 8) == 8 &&
		      write(efd, "\1\0\0\0\0\0\0", 8) == 8,
	      "write");
	check(epoll_wait(ep, &ev, 1, 1000) == 1, "epoll_wait");
	check(read(ends[0], buf, 8) == 8 && read(pair[0], buf, 8) == 8, "read");
	splices(ends, pair);
	for (int i = 0; i < 2; i++) {
		close(ends[i]);
		close(pair[i]);
	}
	close(ep);
	close(efd);
	close(tfd);
}

static void ipc(void)
{
	int id = shmget(IPC_PRIVATE, 1 * MB, 0600);
	char *p;

	check(id >= 0, "shmget");
	p = shmat(id, NULL, 0);
	check(p != (void *)-1, "shmat");
	memset(p, 1, 1 * MB);
	check(!shmdt(p) && !shmctl(id, IPC_RMID, NULL), "shmdt");
}

int main(int argc, char **argv)
{
	char buf[4096];
	ssize_t n;
	int fd;

	mkdir("/tmp", 0777);
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	files("/tmp");
	if (argc > 1) {
		mkdir("/mnt", 0755);
		check(!mount(argv[1], "/mnt", "ext2", 0, NULL), "mount");
		files("/mnt");
		check(!umount("/mnt"), "umount");
	}
	events();
	ipc();
	memory(40 * MB);
	files("/tmp");
	fd = open("/proc/lockdep", O_RDONLY);
	check(fd >= 0, "/proc/lockdep");
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, stdout);
	check(!n, "reading /proc/lockdep");
	return 0;
}
