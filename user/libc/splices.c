/*
 * splice(2), tee(2), vmsplice(2), sendfile(2), sizes of pipes: a transcript to compare
 * (tests/vm/conform_programs.sh). Files are on a tmpfs.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

#define PAGE 4096
#define NB   SPLICE_F_NONBLOCK

static char buf[1 << 18];
static char *volatile bad = (char *)8;

static unsigned int sum(const char *p, long n)
{
	unsigned int s = 0;

	for (long i = 0; i < n; i++)
		s = s * 31 + (unsigned char)p[i];
	return s;
}

/* All that is in a pipe: how it comes out. */
static void drain(const char *what, int fd)
{
	int waits = 0, flags = fcntl(fd, F_GETFL);
	long n;

	ioctl(fd, FIONREAD, &waits);
	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	n = read(fd, buf, sizeof(buf));
	printf("%s: %d wait, read %s, sum %u\n", what, waits, result(n), n > 0 ? sum(buf, n) : 0);
	fcntl(fd, F_SETFL, flags);
}

static int make_file(const char *name, long size)
{
	int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0600);

	for (long i = 0; i < size; i++)
		buf[i] = (char)(i * 7 + i / 251);
	if (write(fd, buf, size) != size)
		printf("no file\n");
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void from_file(void)
{
	int fd = make_file("/tmp/a", 20000), p[2];
	loff_t off = 100;

	if (pipe(p))
		return;
	printf("splice %s", result(splice(fd, &off, p[1], NULL, 10000, 0)));
	printf(" offset %ld position %ld\n", (long)off, (long)lseek(fd, 0, SEEK_CUR));
	drain("from offset", p[0]);
	printf("splice %s", result(splice(fd, NULL, p[1], NULL, 5000, SPLICE_F_MOVE)));
	printf(" position %ld\n", (long)lseek(fd, 0, SEEK_CUR));
	drain("from position", p[0]);
	off = 19990;
	printf("at the end %s", result(splice(fd, &off, p[1], NULL, 100, SPLICE_F_MORE)));
	printf(" beyond %s\n", result(splice(fd, &off, p[1], NULL, 100, 0)));
	drain("the end", p[0]);
	/* More than the pipe has buffers for. */
	ftruncate(fd, 100000);
	off = 1;
	printf("full %s", result(splice(fd, &off, p[1], NULL, 100000, 0)));
	printf(" then %s\n", result(splice(fd, &off, p[1], NULL, 1, NB)));
	drain("a full pipe with a hole", p[0]);
	/* Written after it was spliced: the pipe has the page, not a copy. */
	off = 0;
	splice(fd, &off, p[1], NULL, 8, 0);
	pwrite(fd, "CHANGED", 7, 0);
	printf("read %s", result(read(p[0], buf, 8)));
	printf(" %.7s\n", buf);
	close(fd);
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	fd = open("/tmp/a", O_RDONLY);
	printf("nobody reads %s\n", result(splice(fd, NULL, p[1], NULL, 1, 0)));
	close(fd);
	close(p[1]);
}

static void to_file(void)
{
	int fd = make_file("/tmp/b", 0), p[2], ap, null = open("/dev/null", O_WRONLY);
	loff_t off = 10;

	if (pipe(p))
		return;
	memset(buf, 'x', sizeof(buf));
	write(p[1], buf, 9000);
	printf("splice %s", result(splice(p[0], NULL, fd, &off, 3000, 0)));
	printf(" offset %ld position %ld\n", (long)off, (long)lseek(fd, 0, SEEK_CUR));
	printf("splice %s", result(splice(p[0], NULL, fd, NULL, 1 << 20, 0)));
	printf(" position %ld size %ld\n", (long)lseek(fd, 0, SEEK_CUR),
	       (long)lseek(fd, 0, SEEK_END));
	drain("what is left", p[0]);
	printf("empty %s\n", result(splice(p[0], NULL, fd, NULL, 10, NB)));
	write(p[1], "abc", 3);
	ap = open("/tmp/b", O_WRONLY | O_APPEND);
	printf("to the end of a file %s\n", result(splice(p[0], NULL, ap, NULL, 10, 0)));
	close(ap);
	ap = open("/tmp/b", O_RDONLY);
	printf("read only %s\n", result(splice(p[0], NULL, ap, NULL, 10, 0)));
	close(ap);
	printf("to nowhere %s\n", result(splice(p[0], NULL, null, NULL, 10, 0)));
	close(p[1]);
	printf("no writer %s\n", result(splice(p[0], NULL, fd, NULL, 10, 0)));
	close(p[0]);
	close(fd);
	close(null);
}

static void between_pipes(void)
{
	int p[2], q[2];

	if (pipe(p) || pipe(q))
		return;
	memset(buf, 'y', 5000);
	write(p[1], buf, 5000);
	printf("tee %s", result(tee(p[0], q[1], 4500, 0)));
	printf(" again %s\n", result(tee(p[0], q[1], 1 << 20, 0)));
	drain("teed", q[0]);
	/* The last page has a second user; what is appended is not seen there. */
	printf("tee %s", result(tee(p[0], q[1], 1 << 20, 0)));
	printf(" write %s\n", result(write(p[1], "more", 4)));
	drain("without what was appended", q[0]);
	printf("splice %s", result(splice(p[0], NULL, q[1], NULL, 10, 0)));
	printf(" all %s\n", result(splice(p[0], NULL, q[1], NULL, 1 << 20, 0)));
	drain("moved", q[0]);
	printf("empty: tee %s", result(tee(p[0], q[1], 1, NB)));
	printf(" splice %s\n", result(splice(p[0], NULL, q[1], NULL, 1, NB)));
	/* A part of a buffer, and writing beyond it. */
	write(p[1], "0123456789", 10);
	splice(p[0], NULL, q[1], NULL, 4, 0);
	write(q[1], "ABC", 3);
	write(p[1], "abc", 3);
	drain("cut in two: first", q[0]);
	drain("cut in two: second", p[0]);
	printf("the same pipe: splice %s", result(splice(p[0], NULL, p[1], NULL, 1, NB)));
	printf(" tee %s\n", result(tee(p[0], p[1], 1, NB)));
	for (int i = 0; i < 16; i++) {
		write(q[1], buf, PAGE);
		write(p[1], buf, PAGE);
	}
	printf("full: splice %s", result(splice(p[0], NULL, q[1], NULL, 1, NB)));
	printf(" tee %s\n", result(tee(p[0], q[1], 1, NB)));
	fcntl(q[1], F_SETFL, O_NONBLOCK);
	printf("full, O_NONBLOCK: tee %s\n", result(tee(p[0], q[1], 1, 0)));
	close(p[1]);
	drain("before the end", p[0]);
	drain("full", q[0]);
	printf("no writer: tee %s", result(tee(p[0], q[1], 1, 0)));
	printf(" splice %s\n", result(splice(p[0], NULL, q[1], NULL, 1, 0)));
	close(p[0]);
	close(q[0]);
	close(q[1]);
}

static void memory(void)
{
	char *m = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec v[3] = {{m + 100, 5000}, {m + 3 * PAGE, 10}, {m + 6 * PAGE, PAGE}}, w;
	int p[2];

	if (m == MAP_FAILED || pipe(p))
		return;
	memset(m, 'm', 6 * PAGE);
	printf("vmsplice %s\n", result(vmsplice(p[1], v, 3, 0)));
	drain("memory", p[0]);
	vmsplice(p[1], v, 1, SPLICE_F_GIFT);
	m[100] = '!';
	printf("read %s", result(read(p[0], buf, 1)));
	printf(" %c\n", buf[0]);
	/* A mapping that is gone stays in the pipe. */
	munmap(m, 4 * PAGE);
	drain("unmapped", p[0]);
	printf("no memory %s", result(vmsplice(p[1], v, 1, 0)));
	v[0] = (struct iovec){m + 5 * PAGE, PAGE};
	v[1] = (struct iovec){bad, 10};
	printf(" half %s\n", result(vmsplice(p[1], v, 2, 0)));
	drain("half", p[0]);
	for (int i = 0; i < 3; i++)
		v[i] = (struct iovec){m + 5 * PAGE, PAGE};
	for (int i = 0; i < 5; i++)
		vmsplice(p[1], v, 3, 0);
	printf("short %s", result(vmsplice(p[1], v, 3, 0)));
	printf(" full %s\n", result(vmsplice(p[1], v, 3, NB)));
	w = (struct iovec){buf, 10000};
	printf("out %s", result(vmsplice(p[0], &w, 1, 0)));
	printf(" sum %u\n", sum(buf, 10000));
	drain("the rest", p[0]);
	w.iov_len = 0;
	printf("nothing %s", result(vmsplice(p[1], &w, 1, 0)));
	printf(" flags %s", result(vmsplice(p[1], v, 1, 16)));
	printf(" no pipe %s", result(vmsplice(open("/tmp/a", O_RDWR), v, 1, 0)));
	printf(" empty %s\n", result(vmsplice(p[0], v, 1, NB)));
	/* After fork: whose page it is does not change. */
	strcpy(m + 6 * PAGE, "parent");
	v[0] = (struct iovec){m + 6 * PAGE, 7};
	vmsplice(p[1], v, 1, 0);
	if (!fork()) {
		strcpy(m + 6 * PAGE, "child!");
		_exit(0);
	}
	wait(NULL);
	printf("read %s", result(read(p[0], buf, 7)));
	printf(" %s\n", buf);
	munmap(m + 4 * PAGE, 4 * PAGE);
	close(p[0]);
	close(p[1]);
}

static void errors(void)
{
	int fd = make_file("/tmp/a", 100), p[2], q[2], dir = open("/tmp", O_RDONLY);
	loff_t off = 0, minus = -1;

	if (pipe(p) || pipe(q))
		return;
	printf("no pipe %s", result(splice(fd, NULL, fd, NULL, 1, 0)));
	printf(" nothing %s", result(splice(-1, NULL, -1, NULL, 0, 99)));
	printf(" flags %s", result(splice(fd, NULL, p[1], NULL, 1, 16)));
	printf(" no file %s", result(splice(-1, NULL, p[1], NULL, 1, 0)));
	printf(" %s\n", result(splice(fd, NULL, -1, NULL, 1, 0)));
	printf("offset of a pipe %s", result(splice(fd, NULL, p[1], &off, 1, 0)));
	printf(" %s", result(splice(p[0], &off, fd, NULL, 1, 0)));
	printf(" bad %s", result(splice(fd, (loff_t *)bad, p[1], NULL, 1, 0)));
	printf(" negative %s\n", result(splice(fd, &minus, p[1], NULL, 1, 0)));
	printf("wrong end %s", result(splice(fd, NULL, p[0], NULL, 1, 0)));
	printf(" %s", result(splice(p[1], NULL, fd, NULL, 1, 0)));
	printf(" directory %s\n", result(splice(dir, NULL, p[1], NULL, 1, 0)));
	printf("tee: flags %s", result(tee(p[0], q[1], 1, 16)));
	printf(" nothing %s", result(tee(-1, -1, 0, 0)));
	printf(" no file %s", result(tee(-1, q[1], 1, 0)));
	printf(" no pipe %s", result(tee(fd, q[1], 1, 0)));
	printf(" wrong end %s\n", result(tee(p[1], q[1], 1, 0)));
	close(fd);
	close(dir);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(q[i]);
	}
}

static void sendfiles(void)
{
	int in = make_file("/tmp/a", 100000), out = make_file("/tmp/b", 0), p[2];
	off_t off = 50;

	if (pipe(p))
		return;
	printf("file %s", result(sendfile(out, in, &off, 60000)));
	printf(" offset %ld out at %ld\n", (long)off, (long)lseek(out, 0, SEEK_CUR));
	printf("pread %s", result(pread(out, buf, 60000, 0)));
	printf(" sum %u\n", sum(buf, 60000));
	printf("pipe %s", result(sendfile(p[1], in, &off, 100000)));
	printf(" offset %ld\n", (long)off);
	drain("sent", p[0]);
	off = 0;
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	printf("pipe %s", result(sendfile(p[1], in, &off, 100000)));
	printf(" full %s\n", result(sendfile(p[1], in, &off, 100000)));
	drain("sent", p[0]);
	printf("from a pipe %s\n", result(sendfile(out, p[0], NULL, 1)));
	close(in);
	close(out);
	close(p[0]);
	close(p[1]);
}

static void sizes(void)
{
	struct pollfd poll_out;
	int p[2], n = 0;

	if (pipe2(p, O_NONBLOCK))
		return;
	printf("size %s", result(fcntl(p[0], F_GETPIPE_SZ)));
	printf(" set %s", result(fcntl(p[1], F_SETPIPE_SZ, 5000)));
	printf(" %s", result(fcntl(p[1], F_SETPIPE_SZ, 0)));
	printf(" %s", result(fcntl(p[1], F_SETPIPE_SZ, 1 << 18)));
	printf(" get %s\n", result(fcntl(p[0], F_GETPIPE_SZ)));
	while (write(p[1], buf, PAGE) == PAGE)
		n++;
	printf("pages %d", n);
	printf(" smaller %s\n", result(fcntl(p[1], F_SETPIPE_SZ, 1 << 17)));
	drain("all", p[0]);
	fcntl(p[1], F_SETPIPE_SZ, 4 * PAGE);
	/* Each write that does not fit into the last page takes a page. */
	for (n = 0; write(p[1], buf, 3000) == 3000;)
		n++;
	poll_out = (struct pollfd){p[1], POLLOUT, 0};
	printf("writes of 3000: %d, poll %s\n", n, result(poll(&poll_out, 1, 0)));
	read(p[0], buf, 100);
	printf("after 100 bytes: poll %s", result(poll(&poll_out, 1, 0)));
	read(p[0], buf, 2900);
	printf(" after 3000: poll %s\n", result(poll(&poll_out, 1, 0)));
	printf("no pipe %s\n", result(fcntl(open("/tmp/a", O_RDONLY), F_SETPIPE_SZ, PAGE)));
	printf("user: set");
	fflush(stdout);
	if (!fork()) {
		if (setuid(1000))
			_exit(1);
		printf(" %s", result(fcntl(p[1], F_SETPIPE_SZ, 1 << 20)));
		printf(" %s\n", result(fcntl(p[1], F_SETPIPE_SZ, 1 << 21)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(100);
	mkdir("/tmp", 0777);
	from_file();
	to_file();
	between_pipes();
	memory();
	errors();
	sendfiles();
	sizes();
	printf("end\n");
	return 0;
}
