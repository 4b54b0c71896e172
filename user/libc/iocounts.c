/*
 * /proc/PID/io and /proc/PID/task/TID/io: a transcript of differences (tests/vm/conform_programs.sh). Reading the
 * file is counted, too: each time it takes two calls of read(2).
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

struct io {
	long rchar, wchar, syscr, syscw, read_bytes, write_bytes, cancelled;
	long length; /* of the text */
};

/* One read(2) gives all of it. */
static struct io look(const char *path)
{
	struct io io = {-1, -1, -1, -1, -1, -1, -1, 0};
	char text[512] = "";
	int fd = open(path, O_RDONLY);
	long n = read(fd, text, sizeof(text) - 1);

	close(fd);
	io.length = n;
	if (n > 0)
		sscanf(text,
		       "rchar: %ld\nwchar: %ld\nsyscr: %ld\nsyscw: %ld\nread_bytes: %ld\n"
		       "write_bytes: %ld\ncancelled_write_bytes: %ld\n",
		       &io.rchar, &io.wchar, &io.syscr, &io.syscw, &io.read_bytes, &io.write_bytes,
		       &io.cancelled);
	return io;
}

/* What came to pass since `a`, without the look itself: its read is counted after the text was made, so the
 * look before is in it. */
static void tell(const char *what, const struct io *a, const char *path)
{
	struct io b = look(path);

	printf("%s: rchar %ld wchar %ld syscr %ld syscw %ld write_bytes %ld cancelled %ld\n", what,
	       b.rchar - a->rchar - a->length, b.wchar - a->wchar, b.syscr - a->syscr - 1,
	       b.syscw - a->syscw, b.write_bytes - a->write_bytes, b.cancelled - a->cancelled);
	fflush(stdout);
}

static pid_t tid;

/* Who is joined has not ended yet; what a thread has counted is the process's when it is gone. */
static void until_gone(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d", tid);
	while (!access(path, F_OK))
		usleep(1000);
}

static void *thread(void *arg)
{
	char buf[100] = "";
	int *p = arg;

	tid = (pid_t)syscall(SYS_gettid);

	for (int i = 0; i < 10; i++)
		write(p[1], buf, sizeof(buf));
	return NULL;
}

int main(void)
{
	static const char *const path = "/proc/self/io";
	static char buf[20000];
	struct iovec v[2] = {{buf, 100}, {buf, 200}};
	char mine[64];
	char *volatile bad = (char *)8;
	struct io a;
	int p[2], fd;
	pthread_t t;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	mkdir("/proc", 0755);
	mount("none", "/proc", "proc", 0, NULL);
	mkdir("/tmp", 0777);
	fd = open("/tmp/io", O_CREAT | O_RDWR | O_TRUNC, 0600);
	if (pipe(p) || fd < 0)
		return 1;

#define CASE(what, where, ...)         \
	do {                           \
		a = look(where);       \
		{                      \
			__VA_ARGS__;   \
		}                      \
		tell(what, &a, where); \
	} while (0)

	CASE("nothing", path, ;);
	CASE("write", path, write(p[1], buf, 1000));
	CASE("read", path, read(p[0], buf, 300); read(p[0], buf, 1000));
	CASE("writev, readv", path, writev(p[1], v, 2); readv(p[0], v, 2));
	CASE("pread, pwrite", path, pwrite(fd, buf, 5000, 7); pread(fd, buf, 20000, 100));
	CASE("sendfile", path, lseek(fd, 0, SEEK_SET); sendfile(p[1], fd, NULL, 3000));
	CASE("what fails", path, read(p[1], buf, 1); write(99, buf, 1); read(p[0], bad, 10));
	CASE("an open file's end", path, lseek(fd, 0, SEEK_END); read(fd, buf, 10));
	CASE("a thread that has ended", path, pthread_create(&t, NULL, thread, p);
	     pthread_join(t, NULL); until_gone());
	snprintf(mine, sizeof(mine), "/proc/self/task/%d/io", (int)syscall(SYS_gettid));
	CASE("of this thread", mine, pthread_create(&t, NULL, thread, p); pthread_join(t, NULL);
	     write(p[1], buf, 3));
	CASE(
		"a child", path, if (!fork()) {
			write(p[1], buf, 10);
			_exit(0);
		} wait(NULL));
	CASE("preadv, pwritev", path, pwritev(fd, v, 2, 0); preadv(fd, v, 2, 100));
	CASE("splice to a file", path, splice(p[0], NULL, fd, NULL, 10, 0));
	CASE("other calls", path, lseek(fd, 0, SEEK_SET); ftruncate(fd, 10));
	CASE("a buffer at a time", path, read(p[0], buf, 5); read(p[0], buf, 5));
	printf("end\n");
	return 0;
}
