/*
 * inotify: which events each call causes, in which order, and how the queue behaves. A transcript to compare with
 * Linux's (tests/vm/conform_programs.sh). Needs root. Arguments: a directory to work in, and a disk with ext2 to
 * mount there. Without arguments a tmpfs is mounted on /inotify.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "transcript.h"

#ifndef IN_MASK_CREATE
#define IN_MASK_CREATE 0x10000000
#endif

static int in;

static void print_mask(uint32_t mask)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{IN_ACCESS, "ACCESS"},
		{IN_MODIFY, "MODIFY"},
		{IN_ATTRIB, "ATTRIB"},
		{IN_CLOSE_WRITE, "CLOSE_WRITE"},
		{IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"},
		{IN_OPEN, "OPEN"},
		{IN_MOVED_FROM, "MOVED_FROM"},
		{IN_MOVED_TO, "MOVED_TO"},
		{IN_CREATE, "CREATE"},
		{IN_DELETE, "DELETE"},
		{IN_DELETE_SELF, "DELETE_SELF"},
		{IN_MOVE_SELF, "MOVE_SELF"},
		{IN_UNMOUNT, "UNMOUNT"},
		{IN_Q_OVERFLOW, "Q_OVERFLOW"},
		{IN_IGNORED, "IGNORED"},
		{IN_ISDIR, "ISDIR"},
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (mask & names[i].bit)
			printf(" %s", names[i].name);
}

/* Everything that is queued. Cookies are numbered as they come. */
static void events(const char *what)
{
	static char buf[65536] __attribute__((aligned(8)));
	uint32_t cookie[16];
	int n_cookies = 0, queued = -1;
	long n;

	ioctl(in, FIONREAD, &queued);
	printf("%s:", what);
	n = read(in, buf, sizeof(buf));
	if (n < 0) {
		printf(" -%d\n", errno);
		return;
	}
	printf(queued == n ? "\n" : " FIONREAD says %d, there were %ld\n", queued, n);
	for (char *p = buf; p < buf + n;) {
		struct inotify_event *e = (void *)p;
		int c = 0;

		if (e->cookie) {
			while (c < n_cookies && cookie[c] != e->cookie)
				c++;
			if (c == n_cookies && n_cookies < 16)
				cookie[n_cookies++] = e->cookie;
			c++;
		}
		printf("  %d:", e->wd);
		print_mask(e->mask);
		if (c)
			printf(" cookie %d", c);
		if (e->len)
			printf(" '%s' in %u", e->name, e->len);
		printf("\n");
		p += sizeof(*e) + e->len;
	}
}

static long watch(const char *path, uint32_t mask)
{
	long wd = inotify_add_watch(in, path, mask);

	printf("watch %s %x: %s\n", path, mask, result(wd));
	return wd;
}

static void begin(const char *what)
{
	printf("# %s\n", what);
	in = inotify_init1(IN_NONBLOCK);
}

static void end(void)
{
	close(in);
}

static int make(const char *name)
{
	return open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
}

static void touch(const char *name)
{
	close(make(name));
}

static void errors(void)
{
	int fd = open("/", O_RDONLY), i;

	begin("errors");
	printf("init1 %s\n", result(syscall(SYS_inotify_init1, 1)));
	printf("bad fd %s\n", result(inotify_add_watch(-1, ".", IN_OPEN)));
	printf("no inotify %s %s\n", result(inotify_add_watch(fd, ".", IN_OPEN)),
	       result(inotify_rm_watch(fd, 1)));
	printf("no bits %s\n", result(inotify_add_watch(in, ".", 0)));
	printf("unknown bits %s %s\n", result(inotify_add_watch(in, ".", 0x1000)),
	       result(inotify_add_watch(in, ".", 0x800000)));
	printf("add and create %s\n",
	       result(inotify_add_watch(in, ".", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE)));
	printf("the same, bad fd %s\n",
	       result(inotify_add_watch(-1, ".", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE)));
	printf("not there %s\n", result(inotify_add_watch(in, "nothing", IN_OPEN)));
	printf("bad address %s\n", result(syscall(SYS_inotify_add_watch, in, 1, IN_OPEN)));
	printf("only flags %s\n", result(inotify_add_watch(in, ".", IN_ONESHOT)));
	touch("file");
	printf("no directory %s\n", result(inotify_add_watch(in, "file", IN_OPEN | IN_ONLYDIR)));
	printf("rm %s %s %s\n", result(inotify_rm_watch(in, 77)), result(inotify_rm_watch(in, -1)),
	       result(inotify_rm_watch(-1, 1)));
	printf("write %s, lseek %s\n", result(write(in, "x", 1)), result(lseek(in, 5, SEEK_SET)));
	printf("pread %s\n", result(pread(in, &i, 4, 0)));
	unlink("file");
	end();
	close(fd);
}

static void files(void)
{
	char buf[10];
	int fd, other;

	begin("a file, and its directory");
	mkdir("d", 0755);
	touch("d/file");
	watch("d", IN_ALL_EVENTS);
	watch("d/file", IN_ALL_EVENTS);
	fd = open("d/file", O_RDWR);
	events("open");
	write(fd, "12345", 5);
	events("write");
	write(fd, "", 0);
	events("write nothing");
	pread(fd, buf, 5, 0);
	pread(fd, buf, 5, 0);
	events("read twice");
	pread(fd, buf, 5, 100);
	events("read beyond the end");
	ftruncate(fd, 3);
	events("ftruncate");
	truncate("d/file", 2);
	events("truncate");
	fchmod(fd, 0600);
	events("fchmod");
	chown("d/file", 1, 1);
	events("chown");
	utimensat(AT_FDCWD, "d/file", NULL, 0);
	events("utimensat");
	utimensat(AT_FDCWD, "d/file", (struct timespec[2]){{1, UTIME_OMIT}, {1, 0}}, 0);
	utimensat(AT_FDCWD, "d/file", (struct timespec[2]){{1, 0}, {1, UTIME_OMIT}}, 0);
	events("one time");
	posix_fallocate(fd, 0, 100);
	events("fallocate");
	setxattr("d/file", "trusted.x", "1", 1, 0);
	events(errno == EOPNOTSUPP ? "setxattr is not there" : "setxattr");
	link("d/file", "d/second");
	events("link");
	unlink("d/second");
	events("unlink one of two");
	close(fd);
	events("close");
	close(open("d/file", O_RDONLY));
	events("open, close");
	close(open("d/file", O_WRONLY | O_TRUNC));
	events("O_TRUNC");
	close(open("d/file", O_PATH));
	events("O_PATH");
	fd = open("d/file", O_RDWR);
	other = make("elsewhere");
	write(other, "abc", 3);
	lseek(other, 0, SEEK_SET);
	events("open");
	sendfile(fd, other, NULL, 3);
	events("sendfile");
	unlink("d/file");
	events("unlink while it is open");
	write(fd, "x", 1);
	events("written");
	close(fd);
	events("closed");
	close(other);
	unlink("elsewhere");
	rmdir("d");
	events("rmdir");
	end();
}

static void directories(void)
{
	begin("a directory");
	mkdir("d", 0755);
	mkdir("e", 0755);
	watch("d", IN_ALL_EVENTS);
	watch("e", IN_ALL_EVENTS);
	touch("d/a");
	events("creat");
	mkdir("d/sub", 0755);
	symlink("a", "d/link");
	mkfifo("d/fifo", 0644);
	events("mkdir, symlink, mkfifo");
	rename("d/a", "d/a-longer-name-than-sixteen");
	events("rename");
	rename("d/a-longer-name-than-sixteen", "e/a");
	events("move");
	rename("d/sub", "e/sub");
	events("move a directory");
	touch("d/b");
	events("creat");
	rename("d/b", "e/a");
	events("move over another");
	touch("d/c");
	events("creat");
	syscall(SYS_renameat2, AT_FDCWD, "d/c", AT_FDCWD, "e/a", 2);
	events("exchange");
	chmod("d", 0700);
	events("chmod");
	unlink("d/link");
	unlink("d/fifo");
	unlink("d/c");
	unlink("e/a");
	events("unlink");
	rmdir("e/sub");
	events("rmdir");
	rename("d", "f");
	events("the directory itself moves");
	rmdir("f");
	rmdir("e");
	events("and goes");
	end();
}

static void selves(void)
{
	int fd;

	begin("a file that moves and goes");
	touch("x");
	touch("y");
	watch("x", IN_ALL_EVENTS);
	watch("y", IN_ALL_EVENTS);
	rename("x", "z");
	events("rename");
	rename("z", "y");
	events("over another");
	fd = open("y", O_RDONLY);
	unlink("y");
	close(fd);
	events("unlink, close");
	printf("rm of what is gone %s\n", result(inotify_rm_watch(in, 1)));
	end();
}

static void masks(void)
{
	long wd;
	int fd;

	begin("masks");
	touch("f");
	wd = watch("f", IN_OPEN);
	printf("again the same: %d\n", watch("f", IN_CLOSE) == wd);
	close(open("f", O_RDONLY));
	events("replaced");
	watch("f", IN_OPEN | IN_MASK_ADD);
	close(open("f", O_RDONLY));
	events("added");
	watch("f", IN_OPEN | IN_MASK_CREATE);
	printf("rm %s\n", result(inotify_rm_watch(in, (int)wd)));
	events("removed");
	watch("f", IN_OPEN | IN_MASK_CREATE);
	close(open("f", O_RDONLY));
	events("a new one");
	watch("f", IN_OPEN | IN_CLOSE | IN_ONESHOT);
	close(open("f", O_RDONLY));
	events("once");
	close(open("f", O_RDONLY));
	events("no more");
	symlink("f", "l");
	watch("l", IN_ALL_EVENTS | IN_DONT_FOLLOW);
	watch("l", IN_OPEN);
	close(open("l", O_RDONLY));
	unlink("l");
	events("through a link");
	mkdir("d", 0755);
	watch("d", IN_ALL_EVENTS | IN_EXCL_UNLINK);
	fd = make("d/f");
	events("creat");
	unlink("d/f");
	events("unlink");
	write(fd, "x", 1);
	close(fd);
	events("not any more");
	watch("d", IN_ALL_EVENTS);
	fd = make("d/f");
	unlink("d/f");
	write(fd, "x", 1);
	close(fd);
	events("without IN_EXCL_UNLINK");
	rmdir("d");
	unlink("f");
	end();
}

static void reading(void)
{
	char buf[64];
	struct pollfd p;
	struct epoll_event ev = {.events = EPOLLIN};
	int ep = epoll_create1(0), status;
	pid_t pid;

	begin("reading");
	touch("f");
	p = (struct pollfd){.fd = in, .events = POLLIN | POLLOUT};
	epoll_ctl(ep, EPOLL_CTL_ADD, in, &ev);
	watch(".", IN_OPEN | IN_CREATE);
	printf("poll %s %x\n", result(poll(&p, 1, 0)), p.revents);
	printf("empty %s\n", result(read(in, buf, sizeof(buf))));
	close(open("f", O_RDONLY));
	printf("poll %s %x\n", result(poll(&p, 1, 0)), p.revents);
	printf("epoll %s\n", result(epoll_wait(ep, &ev, 1, 0)));
	printf("too small %s %s %s\n", result(read(in, buf, 0)), result(read(in, buf, 16)),
	       result(read(in, buf, 31)));
	printf("bad address %s\n", result(syscall(SYS_read, in, 1l, 32l)));
	printf("it is gone %s\n", result(read(in, buf, 32)));
	close(open("f", O_RDONLY));
	touch("g");
	printf("as many as fit %s %s %s\n", result(read(in, buf, 63)), result(read(in, buf, 64)),
	       result(read(in, buf, 64)));
	fcntl(in, F_SETFL, 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		usleep(50000);
		close(open("f", O_RDONLY));
		_exit(0);
	}
	printf("waited for %s\n", result(read(in, buf, sizeof(buf))));
	waitpid(pid, &status, 0);
	unlink("f");
	unlink("g");
	close(ep);
	end();
}

static void put_number(const char *path, const char *n)
{
	int fd = open(path, O_WRONLY);

	printf("%s %s: %s\n", path, n, result(write(fd, n, strlen(n))));
	close(fd);
}

static void limits(void)
{
	char name[20];
	int fd[8], n;

	printf("# limits\n");
	put_number("/proc/sys/fs/inotify/max_queued_events", "5");
	begin("the queue is full");
	watch(".", IN_CREATE | IN_DELETE);
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		touch(name);
	}
	events("overflow");
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		unlink(name);
	}
	events("again");
	end();
	put_number("/proc/sys/fs/inotify/max_queued_events", "16384");
	begin("watches");
	put_number("/proc/sys/fs/inotify/max_user_watches", "2");
	mkdir("a", 0755);
	mkdir("b", 0755);
	watch(".", IN_OPEN);
	watch("a", IN_OPEN);
	watch("b", IN_OPEN);
	watch("a", IN_CLOSE);
	printf("rm %s\n", result(inotify_rm_watch(in, 1)));
	watch("b", IN_OPEN);
	rmdir("a");
	rmdir("b");
	end();
	put_number("/proc/sys/fs/inotify/max_user_watches", "8192");
	put_number("/proc/sys/fs/inotify/max_user_instances", "3");
	for (n = 0; n < 8; n++) {
		fd[n] = inotify_init();
		if (fd[n] < 0)
			break;
	}
	printf("%d instances, then %d\n", n, errno);
	while (n--)
		close(fd[n]);
	put_number("/proc/sys/fs/inotify/max_user_instances", "128");
	put_number("/proc/sys/fs/inotify/max_user_instances", "-1");
}

static void unmounting(void)
{
	begin("unmounting");
	mkdir("m", 0755);
	if (mount("none", "m", "tmpfs", 0, ""))
		printf("mount %d\n", errno);
	touch("m/f");
	watch("m", IN_ALL_EVENTS);
	watch("m/f", IN_OPEN);
	watch(".", IN_ALL_EVENTS);
	printf("umount %s\n", result(umount("m")));
	events("umount");
	rmdir("m");
	events("rmdir");
	end();
}

static void rights(void)
{
	pid_t pid;
	int status;

	begin("rights");
	touch("secret");
	chmod("secret", 0600);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (setresuid(12, 12, 12))
			_exit(1);
		watch("secret", IN_OPEN);
		watch(".", IN_OPEN);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	unlink("secret");
	events("of the child's");
	end();
}

static void executing(void)
{
	pid_t pid;
	int status;

	begin("a child that runs a file");
	touch("prog");
	chmod("prog", 0755);
	watch("prog", IN_OPEN | IN_CLOSE);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl("./prog", "prog", NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	printf("exit %d\n", WEXITSTATUS(status));
	events("execve");
	unlink("prog");
	end();
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		if (argc > 2 && (mkdir(argv[1], 0755) || mount(argv[2], argv[1], "ext2", 0, "")))
			return 1;
		if (chdir(argv[1]))
			return 1;
	} else {
		mkdir("/inotify", 0755);
		if (mount("none", "/inotify", "tmpfs", 0, "") || chdir("/inotify"))
			return 1;
	}
	errors();
	files();
	directories();
	selves();
	masks();
	reading();
	limits();
	unmounting();
	rights();
	executing();
	chdir("/");
	umount("/inotify");
	printf("end\n");
	return 0;
}
