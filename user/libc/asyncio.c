/*
 * Signal-driven input and output: O_ASYNC, F_SETOWN, F_SETSIG, FIOASYNC with pipes, sockets, inotify and files that
 * do not support it. The output is a transcript that is compared with Linux's (tests/vm/conform_programs.sh).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "asleep.h"
#include "transcript.h"

/* SIGRTMIN is 34 in glibc and 35 in musl, and numbers are printed. */
#define REALTIME 40

#ifndef FIOSETOWN
#define FIOSETOWN 0x8901
#define FIOGETOWN 0x8903
#endif
#define F_GETOWNER_UIDS_ 17
#define FOLDER		 "/asyncio"

static const char *const names[] = {"IN", "OUT", "MSG", "ERR", "PRI", "HUP"};

/* What has come, without waiting: signal, code, band, whether the descriptor is `fd`. */
static void pending(const char *what, int fd)
{
	static const struct timespec now = {0, 0};
	siginfo_t info;
	sigset_t all;
	int sig, n = 0;

	sigfillset(&all);
	printf("%s:", what);
	while ((sig = sigtimedwait(&all, &info, &now)) > 0) {
		int code = info.si_code;

		printf(" signal %d ", sig);
		if (sig != SIGCHLD && code >= POLL_IN && code <= POLL_HUP)
			printf("%s %lx %d", names[code - 1], (long)info.si_band, info.si_fd == fd);
		else
			printf("code %d", code);
		n++;
	}
	printf(n ? "\n" : " none\n");
}

static void flags(const char *what, int fd)
{
	printf("%s: O_ASYNC %d, owner %s, signal %d\n", what, !!(fcntl(fd, F_GETFL) & O_ASYNC),
	       fcntl(fd, F_GETOWN) == getpid() ? "me"
	       : fcntl(fd, F_GETOWN)	       ? "another"
					       : "nobody",
	       fcntl(fd, F_GETSIG));
}

static int on(int fd, int sig)
{
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETSIG, sig);
	return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC);
}

static void pipes(int sig)
{
	static char buf[65536];
	int p[2];

	printf("# a pipe, signal %d\n", sig);
	pipe2(p, O_NONBLOCK);
	flags("new", p[0]);
	printf("without an owner %s\n", result(fcntl(p[0], F_SETFL, O_NONBLOCK | O_ASYNC)));
	write(p[1], "a", 1);
	flags("set", p[0]);
	pending("nobody", p[0]);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	flags("off", p[0]);
	printf("on %s\n", result(on(p[0], sig)));
	printf("on %s\n", result(on(p[1], sig)));
	flags("on", p[0]);
	pending("turned on", p[0]);
	write(p[1], "bc", 2);
	pending("written", p[0]);
	read(p[0], buf, 1);
	pending("read a part", p[1]);
	read(p[0], buf, 100);
	pending("read the rest", p[1]);
	printf("%s\n", result(read(p[0], buf, 1)));
	pending("empty", p[1]);
	write(p[1], buf, 0);
	pending("nothing", p[0]);
	write(p[1], buf, sizeof(buf));
	pending("filled", p[0]);
	printf("%s\n", result(write(p[1], "x", 1)));
	pending("full", p[0]);
	read(p[0], buf, 4096);
	pending("a page is free", p[1]);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	read(p[0], buf, 4096);
	pending("off", p[1]);
	close(p[1]);
	pending("writer closed", p[0]);
	close(p[0]);
	pipe2(p, O_NONBLOCK);
	on(p[1], sig);
	close(p[0]);
	pending("reader closed", p[1]);
	close(p[1]);
}

static void sockets(int sig)
{
	static char buf[4096];
	int s[2], n;

	printf("# sockets, signal %d\n", sig);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
	printf("on %s\n", result(on(s[0], sig)));
	write(s[1], "abc", 3);
	pending("written", s[0]);
	write(s[1], "def", 3);
	pending("again", s[0]);
	read(s[0], buf, 3);
	pending("read", s[0]);
	write(s[0], "x", 1);
	read(s[1], buf, 1);
	pending("not full", s[0]);
	while (write(s[0], buf, sizeof(buf)) > 0)
		;
	pending("full", s[0]);
	for (n = 0; read(s[1], buf, sizeof(buf)) > 0; n++)
		;
	pending("empty", s[0]);
	shutdown(s[1], SHUT_WR);
	pending("half closed", s[0]);
	close(s[1]);
	pending("closed", s[0]);
	close(s[0]);
	socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s);
	on(s[0], sig);
	write(s[1], "abc", 3);
	write(s[1], "def", 3);
	pending("datagrams", s[0]);
	close(s[1]);
	pending("closed", s[0]);
	close(s[0]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	n = getpid();
	printf("FIOSETOWN %s\n", result(ioctl(s[0], FIOSETOWN, &n)));
	n = 0;
	printf("FIOGETOWN %s %d\n", result(ioctl(s[0], FIOGETOWN, &n)), n == getpid());
	n = 1;
	printf("FIOASYNC %s\n", result(ioctl(s[0], FIOASYNC, &n)));
	flags("then", s[0]);
	write(s[1], "abc", 3);
	pending("by ioctl", s[0]);
	n = 0;
	printf("FIOASYNC %s\n", result(ioctl(s[0], FIOASYNC, &n)));
	write(s[1], "abc", 3);
	pending("off", s[0]);
	printf("FIOASYNC %s\n", result(ioctl(s[0], FIOASYNC, NULL)));
	close(s[0]);
	close(s[1]);
}

static pid_t receiver; /* 0: it has not come to its call yet */

static void *receives(void *arg)
{
	char c;

	__atomic_store_n(&receiver, gettid(), __ATOMIC_SEQ_CST);
	return (void *)recv(*(int *)arg, &c, 1, 0);
}

/* A thread sleeps in recv(2) when something comes. */
static void while_received(int type, const char *what)
{
	pthread_t thread;
	void *got;
	int s[2];

	for (int closes = 0; closes < 2; closes++) {
		socketpair(AF_UNIX, type, 0, s);
		on(s[0], REALTIME);
		receiver = 0;
		pthread_create(&thread, NULL, receives, s);
		until_asleep(getpid(), &receiver);
		if (closes)
			shutdown(s[1], SHUT_RDWR);
		else
			write(s[1], "a", 1);
		pthread_join(thread, &got);
		printf("%s, %s %ld", what, closes ? "closed" : "written", (long)got);
		pending("", s[0]);
		write(s[1], "b", 1);
		pending("nobody waits", s[0]);
		close(s[0]);
		close(s[1]);
	}
}

static void watching(void)
{
	int fd = inotify_init1(IN_NONBLOCK);

	printf("# inotify\n");
	printf("on %s\n", result(on(fd, REALTIME)));
	inotify_add_watch(fd, ".", IN_CREATE);
	close(open("made", O_CREAT | O_WRONLY, 0600));
	pending("an event", fd);
	close(fd);
}

/* A file, or what else has no such thing. */
static void without(const char *what, int fd)
{
	int p, one = 1, zero = 0;

	printf("# %s\n", what);
	printf("on %s\n", result(on(fd, REALTIME)));
	flags("then", fd);
	write(fd, "x", 1);
	pending("written", fd);
	printf("FIOASYNC %s %s\n", result(ioctl(fd, FIOASYNC, &one)),
	       result(ioctl(fd, FIOASYNC, &zero)));
	p = getpid();
	printf("FIOSETOWN %s\n", result(ioctl(fd, FIOSETOWN, &p)));
	close(fd);
}

static void owners(void)
{
	struct f_owner_ex ex = {F_OWNER_PID, 0};
	unsigned int ids[2] = {9, 9};
	int p[2];
	pid_t child;

	printf("# owners\n");
	pipe2(p, O_NONBLOCK);
	printf("%s\n", result(fcntl(p[0], F_GETOWN_EX, &ex)));
	printf("type %d, %d\n", ex.type, ex.pid);
	printf("uids %s", result(fcntl(p[0], F_GETOWNER_UIDS_, ids)));
	printf(" %u %u\n", ids[0], ids[1]);
	printf("no such %s %s\n", result(fcntl(p[0], F_SETOWN, 4000000)),
	       result(fcntl(p[0], F_SETOWN, -4000000)));
	printf("least %s\n", result(fcntl(p[0], F_SETOWN, 0x80000000)));
	printf("signals %s %s %s\n", result(fcntl(p[0], F_SETSIG, 65)),
	       result(fcntl(p[0], F_SETSIG, -1)), result(fcntl(p[0], F_SETSIG, 64)));
	ex = (struct f_owner_ex){3, 1};
	printf("type 3 %s\n", result(fcntl(p[0], F_SETOWN_EX, &ex)));
	printf("NULL %s\n", result(fcntl(p[0], F_SETOWN_EX, NULL)));
	ex = (struct f_owner_ex){F_OWNER_TID, gettid()};
	printf("thread %s\n", result(fcntl(p[0], F_SETOWN_EX, &ex)));
	flags("thread", p[0]);
	fcntl(p[0], F_SETFL, O_NONBLOCK | O_ASYNC);
	write(p[1], "a", 1);
	pending("thread", p[0]);
	setpgid(0, 0);
	printf("group %s\n", result(fcntl(p[0], F_SETOWN, -getpgrp())));
	ex.type = 9;
	fcntl(p[0], F_GETOWN_EX, &ex);
	printf("type %d, %d\n", ex.type, ex.pid == getpgrp());
	write(p[1], "a", 1);
	pending("group", p[0]);
	fcntl(p[0], F_SETOWN, 0);
	ex.type = 9;
	fcntl(p[0], F_GETOWN_EX, &ex);
	printf("type %d, %d\n", ex.type, ex.pid);
	write(p[1], "a", 1);
	pending("nobody", p[0]);
	/* One that ends. */
	fflush(stdout);
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	printf("child %s\n", result(fcntl(p[0], F_SETOWN, child)));
	flags("child", p[0]);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	flags("ended", p[0]);
	write(p[1], "a", 1);
	pending("ended", p[0]);
	/* Another user's. */
	fflush(stdout);
	child = fork();
	if (!child) {
		fcntl(p[0], F_SETSIG, SIGUSR1);
		fcntl(p[0], F_SETOWN, getpid());
		setresuid(12, 12, 12);
		write(p[1], "a", 1);
		pending("root's, to a user", p[0]);
		fcntl(p[0], F_SETOWN, getppid());
		write(p[1], "a", 1);
		printf("uids %s", result(fcntl(p[0], F_GETOWNER_UIDS_, ids)));
		printf(" %u %u\n", ids[0], ids[1]);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	signal(SIGCHLD, SIG_DFL);
	pending("a user's, to root (and its end)", p[0]);
	close(p[0]);
	close(p[1]);
}

/* All copies of a descriptor are one open file; its last close ends it. */
static void copies(void)
{
	int p[2], copy;

	printf("# copies\n");
	pipe2(p, O_NONBLOCK);
	on(p[0], REALTIME + 1);
	copy = dup(p[0]);
	write(p[1], "a", 1);
	pending("once", p[0]);
	flags("copy", copy);
	close(p[0]);
	write(p[1], "a", 1);
	pending("by the old number", p[0]);
	close(copy);
	signal(SIGPIPE, SIG_IGN);
	printf("%s\n", result(write(p[1], "a", 1)));
	pending("closed", p[0]);
	close(p[1]);
	printf("open: O_ASYNC %d\n", !!(fcntl(open("made", O_RDWR | O_ASYNC), F_GETFL) & O_ASYNC));
}

int main(void)
{
	sigset_t all;

	mkdir(FOLDER, 0755);
	if (mount("base", FOLDER, "tmpfs", 0, "") || chdir(FOLDER))
		return 1;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	pipes(0);
	pipes(REALTIME);
	pipes(SIGIO);
	pipes(SIGUSR1);
	pipes(SIGSEGV);
	sockets(0);
	sockets(REALTIME);
	printf("# somebody waits\n");
	while_received(SOCK_STREAM, "stream");
	while_received(SOCK_SEQPACKET, "seqpacket");
	watching();
	without("a file", open("made", O_RDWR));
	without("/dev/null", open("/dev/null", O_RDWR));
	owners();
	copies();
	chdir("/");
	umount(FOLDER);
	printf("end\n");
	return 0;
}
