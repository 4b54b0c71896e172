/*
 * Sockets of this machine (AF_UNIX) as Linux answers them: a transcript to compare
 * (tests/vm/conform_programs.sh). How much fits into a socket is not printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

static socklen_t address(struct sockaddr_un *a, const char *name)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path + (name[0] == '@'), name + (name[0] == '@'),
	       strlen(name) - (name[0] == '@'));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) +
			   (name[0] != '@'));
}

static int bind_to(int s, const char *name)
{
	struct sockaddr_un a;
	socklen_t n = address(&a, name);

	return bind(s, (struct sockaddr *)&a, n);
}

static int connect_to(int s, const char *name)
{
	struct sockaddr_un a;
	socklen_t n = address(&a, name);

	return connect(s, (struct sockaddr *)&a, n);
}

static short look(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};

	poll(&p, 1, 0);
	return p.revents;
}

static void show_name(const char *what, int r, const struct sockaddr_un *a, socklen_t n)
{
	printf("%s %s", what, result(r));
	if (!r) {
		printf(" len %u family %d ", n, a->sun_family);
		if (n > 2)
			printf("[%s%.*s]", a->sun_path[0] ? "" : "@", (int)n - 2 - !a->sun_path[0],
			       a->sun_path + !a->sun_path[0]);
	}
	puts("");
}

static void names_of(const char *what, int s)
{
	struct sockaddr_un a;
	socklen_t n = sizeof(a);

	int r = getsockname(s, (struct sockaddr *)&a, &n);

	printf("%s:", what);
	show_name(" own", r, &a, n);
	n = sizeof(a);
	r = getpeername(s, (struct sockaddr *)&a, &n);
	show_name("  peer", r, &a, n);
}

/* ---- making, pairs ---------------------------------------------------------------------------- */

static void making(void)
{
	int s, v[2], n;
	socklen_t len = sizeof(n);
	struct stat st;
	char text[64] = "", path[64];

	printf("family %s", result(socket(77, SOCK_STREAM, 0)));
	printf(" type %s", result(socket(AF_UNIX, 9, 0)));
	printf(" %s", result(socket(AF_UNIX, 77, 0)));
	printf(" rdm %s", result(socket(AF_UNIX, SOCK_RDM, 0)));
	printf(" protocol %s", result(socket(AF_UNIX, SOCK_STREAM, 6)));
	printf(" pair of one %s", result(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8)));
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	printf(" made %s %x %x\n", done(s), fcntl(s, F_GETFD), fcntl(s, F_GETFL));
	fstat(s, &st);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s);
	n = (int)readlink(path, text, sizeof(text) - 1);
	printf("stat %o name %.8s\n", st.st_mode & S_IFMT, text);
	for (int i = 0; i < 8; i++) {
		static const int names[] = {SO_TYPE,	 SO_DOMAIN,	SO_PROTOCOL,  SO_ERROR,
					    SO_PASSCRED, SO_ACCEPTCONN, SO_REUSEADDR, SO_SNDBUF};
		len = sizeof(n);
		printf("option %d: %s", i, result(getsockopt(s, SOL_SOCKET, names[i], &n, &len)));
		printf(" %d len %u\n", n, len);
	}
	n = 1;
	printf("set passcred %s", result(setsockopt(s, SOL_SOCKET, SO_PASSCRED, &n, sizeof(n))));
	printf(" short %s", result(setsockopt(s, SOL_SOCKET, SO_PASSCRED, &n, 2)));
	printf(" type %s", result(setsockopt(s, SOL_SOCKET, SO_TYPE, &n, sizeof(n))));
	printf(" unknown %s", result(setsockopt(s, SOL_SOCKET, 999, &n, sizeof(n))));
	printf(" level %s", result(setsockopt(s, 6, 1, &n, sizeof(n))));
	printf(" get %s\n", result(getsockopt(s, 6, 1, &n, &len)));
	n = 20000;
	setsockopt(s, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n));
	getsockopt(s, SOL_SOCKET, SO_SNDBUF, &n, &len);
	printf("sndbuf %d", n);
	n = 1;
	setsockopt(s, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n));
	getsockopt(s, SOL_SOCKET, SO_SNDBUF, &n, &len);
	printf(" least %d\n", n);
	printf("no socket: %s", result(listen(1, 1)));
	printf(" closed %s\n", result(listen(99, 1)));
	printf("not connected: read %s", result(read(s, v, 4)));
	printf(" write %s", result(send(s, v, 4, MSG_NOSIGNAL)));
	printf(" poll %x", look(s));
	printf(" shutdown %s", result(shutdown(s, SHUT_RDWR)));
	printf(" how %s", result(shutdown(s, 9)));
	printf(" lseek %s\n", result(lseek(s, 0, SEEK_SET)));
	names_of("nameless", s);
	close(s);
}

static void pairs(void)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	char buf[64];
	int v[2], n;

	for (int i = 0; i < 3; i++) {
		struct iovec two[2] = {{"ab", 2}, {"cde", 3}};

		printf("pair %d: %s\n", i,
		       result(socketpair(AF_UNIX, types[i] | SOCK_NONBLOCK, 0, v)));
		printf(" empty %s poll %x\n", result(read(v[0], buf, 9)), look(v[0]));
		printf(" write %s", result(write(v[0], "hello", 5)));
		printf(" %s", result(writev(v[0], two, 2)));
		printf(" poll %x", look(v[1]));
		printf(" FIONREAD %s", result(ioctl(v[1], FIONREAD, &n)));
		printf(" %d\n", n);
		memset(buf, 0, sizeof(buf));
		printf(" read 3: %s", result(read(v[1], buf, 3)));
		printf(" [%s]", buf);
		memset(buf, 0, sizeof(buf));
		printf(" rest: %s", result(read(v[1], buf, 60)));
		printf(" [%s]", buf);
		memset(buf, 0, sizeof(buf));
		printf(" more: %s", result(read(v[1], buf, 60)));
		printf(" [%s]\n", buf);
		printf(" nothing: %s", result(write(v[0], "", 0)));
		printf(" read %s\n", result(read(v[1], buf, 60)));
		names_of(" names", v[0]);
		write(v[1], "unread", 6);
		close(v[1]);
		printf(" closed: poll %x", look(v[0]));
		printf(" read %s", result(read(v[0], buf, 60)));
		printf(" again %s", result(read(v[0], buf, 60)));
		printf(" write %s", result(send(v[0], "x", 1, MSG_NOSIGNAL)));
		printf(" again %s\n", result(send(v[0], "x", 1, MSG_NOSIGNAL)));
		close(v[0]);
	}
	/* what was not read is lost for who sent it */
	socketpair(AF_UNIX, SOCK_STREAM, 0, v);
	write(v[0], "lost", 4);
	close(v[1]);
	n = 0;
	{
		socklen_t len = sizeof(n);

		printf("reset: poll %x", look(v[0]));
		getsockopt(v[0], SOL_SOCKET, SO_ERROR, &n, &len);
		printf(" error %d", n);
		printf(" read %s\n", result(read(v[0], buf, 1)));
	}
	close(v[0]);
}

static int got_pipe;
static void on_pipe(int sig)
{
	got_pipe = sig;
}

static void shutting(void)
{
	char buf[8];
	int v[2];

	signal(SIGPIPE, on_pipe);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, v);
	write(v[0], "abc", 3);
	printf("shut down writing %s poll %x other %x\n", result(shutdown(v[0], SHUT_WR)),
	       look(v[0]), look(v[1]));
	printf("write %s", result(write(v[0], "x", 1)));
	printf(" signal %d", got_pipe);
	printf(" other reads %s", result(read(v[1], buf, 8)));
	printf(" and the end %s", result(read(v[1], buf, 8)));
	printf(" writes %s", result(write(v[1], "yz", 2)));
	printf(" we read %s\n", result(read(v[0], buf, 8)));
	printf("shut down reading %s poll %x other %x\n", result(shutdown(v[0], SHUT_RD)),
	       look(v[0]), look(v[1]));
	printf("read %s other writes %s\n", result(read(v[0], buf, 8)),
	       result(send(v[1], "x", 1, MSG_NOSIGNAL)));
	close(v[0]);
	close(v[1]);
}

/* ---- names and connections -------------------------------------------------------------------- */

static void naming(void)
{
	struct sockaddr_un a;
	int s = socket(AF_UNIX, SOCK_STREAM, 0), t = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;
	socklen_t n;

	unlink("/tmp/s1");
	printf("listen without a name %s\n", result(listen(s, 5)));
	printf("bind %s", result(bind_to(s, "/tmp/s1")));
	printf(" twice %s", result(bind_to(s, "/tmp/s2")));
	printf(" taken %s", result(bind_to(t, "/tmp/s1")));
	printf(" nowhere %s", result(bind_to(t, "/tmp/none/s")));
	n = address(&a, "/tmp/s3");
	a.sun_family = 77;
	printf(" family %s", result(bind(t, (struct sockaddr *)&a, n)));
	a.sun_family = AF_UNIX;
	printf(" short %s", result(bind(t, (struct sockaddr *)&a, 1)));
	printf(" long %s", result(bind(t, (struct sockaddr *)&a, 200)));
	printf(" fault %s\n", result(bind(t, (struct sockaddr *)8, 20)));
	stat("/tmp/s1", &st);
	printf("file %o open %s\n", st.st_mode & S_IFMT, result(open("/tmp/s1", O_RDWR)));
	names_of("bound", s);
	printf("connect before listen %s", result(connect_to(t, "/tmp/s1")));
	printf(" no such %s", result(connect_to(t, "/tmp/none")));
	printf(" a directory %s", result(connect_to(t, "/tmp")));
	printf(" abstract %s\n", result(connect_to(t, "@none")));
	printf("listen %s again %s\n", result(listen(s, 5)), result(listen(s, 1)));
	printf("poll %x connect itself %s\n", look(s), result(connect_to(s, "/tmp/s1")));
	close(s);
	printf("nobody there %s\n", result(connect_to(t, "/tmp/s1")));
	unlink("/tmp/s1");
	close(t);
	/* abstract names */
	s = socket(AF_UNIX, SOCK_DGRAM, 0);
	t = socket(AF_UNIX, SOCK_DGRAM, 0);
	printf("abstract %s taken %s\n", result(bind_to(s, "@name")), result(bind_to(t, "@name")));
	names_of("abstract", s);
	close(s);
	printf("free again %s\n", result(bind_to(t, "@name")));
	close(t);
	s = socket(AF_UNIX, SOCK_DGRAM, 0);
	a.sun_family = AF_UNIX;
	printf("any name %s", result(bind(s, (struct sockaddr *)&a, 2)));
	n = sizeof(a);
	getsockname(s, (struct sockaddr *)&a, &n);
	printf(" len %u first %d\n", n, a.sun_path[0]);
	close(s);
}

static void *connects(void *arg)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	char c;

	if (connect_to(s, arg) || write(s, "c", 1) != 1 || read(s, &c, 1) != 1)
		return (void *)1;
	close(s);
	return NULL;
}

static void connections(void)
{
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c, s, n;
	struct sockaddr_un a;
	struct ucred cred;
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 3};
	socklen_t len = sizeof(a);
	pthread_t t;
	char buf[16];
	void *r;
	int ep = epoll_create1(0);

	unlink("/tmp/l");
	bind_to(l, "/tmp/l");
	listen(l, 1);
	epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
	fcntl(l, F_SETFL, O_NONBLOCK);
	printf("nobody %s", result(accept(l, NULL, NULL)));
	printf(" epoll %s\n", result(epoll_wait(ep, &e, 1, 0)));
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	bind_to(c, "@client");
	printf("connect %s again %s", result(connect_to(c, "/tmp/l")),
	       result(connect_to(c, "/tmp/l")));
	printf(" poll %x listener %x epoll %s\n", look(c), look(l),
	       result(epoll_wait(ep, &e, 1, 0)));
	printf("write before accept %s\n", result(write(c, "early", 5)));
	s = accept4(l, (struct sockaddr *)&a, &len, SOCK_CLOEXEC);
	printf("accept %s cloexec %d ", done(s), fcntl(s, F_GETFD));
	show_name("from", 0, &a, len);
	memset(buf, 0, sizeof(buf));
	printf("read %s [%s]\n", result(read(s, buf, 9)), buf);
	names_of("client", c);
	names_of("server", s);
	for (int i = 0; i < 3; i++) {
		int fd = i == 0 ? c : i == 1 ? s : l;

		len = sizeof(cred);
		n = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
		printf("peer %d: %s pid %s uid %d gid %d len %u\n", i, result(n),
		       cred.pid == getpid() ? "me"
		       : cred.pid	    ? "other"
					    : "0",
		       (int)cred.uid, (int)cred.gid, len);
	}
	len = sizeof(n);
	getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &n, &len);
	printf("accepts %d", n);
	printf(" listener reads %s writes %s\n", result(read(l, buf, 1)),
	       result(send(l, "x", 1, MSG_NOSIGNAL)));
	close(c);
	close(s);
	/* the queue is full: who comes waits, or does not */
	for (int i = 0; i < 2; i++) {
		int q = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		printf("queue %d: %s\n", i, result(connect_to(q, "/tmp/l")));
	}
	c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	printf("full: %s\n", result(connect_to(c, "/tmp/l")));
	pthread_create(&t, NULL, connects, "/tmp/l");
	for (int i = 0; i < 2; i++)
		close(accept(l, NULL, NULL));
	fcntl(l, F_SETFL, 0);
	s = accept(l, NULL, NULL);
	printf("it came: %s", result(read(s, buf, 1)));
	printf(" %s", result(write(s, "s", 1)));
	pthread_join(t, &r);
	printf(" ended %ld\n", (long)r);
	close(s);
	/* one that is not accepted */
	connect_to(c, "/tmp/l");
	close(l);
	printf("listener gone: poll %x read %s write %s\n", look(c), result(read(c, buf, 1)),
	       result(send(c, "x", 1, MSG_NOSIGNAL)));
	close(c);
	close(ep);
	unlink("/tmp/l");
}

static void wrong_types(void)
{
	int l = socket(AF_UNIX, SOCK_SEQPACKET, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0),
	    s = socket(AF_UNIX, SOCK_STREAM, 0);

	unlink("/tmp/q");
	bind_to(l, "/tmp/q");
	listen(l, 5);
	printf("stream to seqpacket %s", result(connect_to(s, "/tmp/q")));
	printf(" dgram %s", result(connect_to(d, "/tmp/q")));
	printf(" dgram listens %s accepts %s\n", result(listen(d, 1)),
	       result(accept(d, NULL, NULL)));
	printf("not a listener accepts %s\n", result(accept(s, NULL, NULL)));
	close(l);
	close(d);
	close(s);
	unlink("/tmp/q");
}

/* ---- datagrams -------------------------------------------------------------------------------- */

static void datagrams(void)
{
	int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0),
	    c = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), n = 0;
	struct sockaddr_un to, from;
	socklen_t tolen = address(&to, "@b"), len = sizeof(from);
	static char big[300000];
	struct timeval tv = {0, 20000};
	char buf[64];

	bind_to(a, "@a");
	bind_to(b, "@b");
	printf("no destination %s", result(send(a, "x", 1, 0)));
	printf(" sendto %s", result(sendto(a, "hello", 5, 0, (struct sockaddr *)&to, tolen)));
	memset(buf, 0, sizeof(buf));
	n = (int)recvfrom(b, buf, 3, 0, (struct sockaddr *)&from, &len);
	printf(" received %s [%s] ", result(n), buf);
	show_name("from", 0, &from, len);
	sendto(a, "hello", 5, 0, (struct sockaddr *)&to, tolen);
	printf("peek %s", result(recv(b, buf, 2, MSG_PEEK)));
	printf(" its length %s", result(recv(b, buf, 2, MSG_PEEK | MSG_TRUNC)));
	printf(" take %s", result(recv(b, buf, 60, 0)));
	printf(" none %s\n", result(recv(b, buf, 60, MSG_DONTWAIT)));
	printf("connect %s", result(connect_to(a, "@b")));
	printf(" send %s", result(send(a, "one", 3, 0)));
	printf(" %s\n", result(recv(b, buf, 60, 0)));
	printf("b hears a alone: connect %s", result(connect_to(b, "@a")));
	printf(" c sends %s", result(sendto(c, "x", 1, 0, (struct sockaddr *)&to, tolen)));
	printf(" c connects %s\n", result(connect_to(c, "@b")));
	printf("empty %s", result(send(a, "", 0, 0)));
	printf(" received %s\n", result(recv(b, buf, 60, 0)));
	printf("too large %s\n", result(send(a, big, sizeof(big), 0)));
	to.sun_family = AF_UNSPEC;
	printf("no peer any more %s", result(connect(b, (struct sockaddr *)&to, sizeof(to))));
	to.sun_family = AF_UNIX;
	printf(" c connects %s\n", result(connect_to(c, "@b")));
	for (n = 0; n < 100 && send(c, "x", 1, 0) == 1; n++)
		;
	printf("full after some: %d %s poll %x\n", n > 1 && n < 100, result(-1), look(c) & POLLOUT);
	recv(b, buf, 60, 0);
	printf("room again: poll %x send %s\n", look(c) & POLLOUT, result(send(c, "y", 1, 0)));
	while (recv(b, buf, 60, MSG_DONTWAIT) >= 0)
		;
	setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	printf("time is over %s", result(recv(b, buf, 60, 0)));
	len = sizeof(tv);
	getsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &tv, &len);
	printf(" %ld %s\n", (long)tv.tv_sec, tv.tv_usec ? "some" : "none");
	close(b);
	printf("receiver gone: %s", result(send(c, "x", 1, 0)));
	printf(" then %s", result(send(c, "x", 1, 0)));
	printf(" by name %s\n", result(sendto(c, "x", 1, 0, (struct sockaddr *)&to, tolen)));
	close(a);
	close(c);
}

/* ---- files and credentials -------------------------------------------------------------------- */

static long send_fds(int s, const int *fd, int n, const char *text, struct ucred *cred)
{
	char control[CMSG_SPACE(260 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))] = {0};
	struct iovec iov = {(void *)text, strlen(text)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *c = (struct cmsghdr *)control;

	if (n) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fd, n * sizeof(int));
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	if (cred) {
		c = (struct cmsghdr *)(control + m.msg_controllen);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_CREDENTIALS;
		c->cmsg_len = CMSG_LEN(sizeof(*cred));
		memcpy(CMSG_DATA(c), cred, sizeof(*cred));
		m.msg_controllen += CMSG_SPACE(sizeof(*cred));
	}
	/* Not the library's: musl has room for fewer. */
	return syscall(SYS_sendmsg, s, &m, MSG_NOSIGNAL);
}

/* Receive and tell; the last descriptor that came. */
static int receive(const char *what, int s, size_t want, size_t room, int flags)
{
	char control[CMSG_SPACE(260 * sizeof(int))] = {0}, text[128] = "";
	struct iovec iov = {text, want};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
	struct cmsghdr *c;
	long r = recvmsg(s, &m, flags | MSG_DONTWAIT);
	int fd = -1;

	printf("%s: %s [%s] flags %x", what, result(r), text, m.msg_flags & ~MSG_CMSG_CLOEXEC);
	for (c = r < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_type == SCM_RIGHTS) {
			int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

			printf(" %d files", n);
			for (int i = 0; i < n; i++) {
				if (fd >= 0)
					close(fd);
				memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			}
		} else if (c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred u;

			memcpy(&u, CMSG_DATA(c), sizeof(u));
			printf(" from %s uid %d gid %d",
			       u.pid == getpid() ? "me"
			       : u.pid		 ? "other"
						 : "0",
			       u.uid, u.gid);
		}
	}
	puts("");
	return fd;
}

static void files(void)
{
	static int many[260];
	int v[2], p[2], fd, bad[2] = {0, 999}, two[2];
	char c;

	socketpair(AF_UNIX, SOCK_STREAM, 0, v);
	pipe(p);
	two[0] = p[0];
	two[1] = p[1];
	printf("send %s", result(send_fds(v[0], two, 2, "take", NULL)));
	close(p[0]);
	fd = receive(" received", v[1], 100, 200, MSG_CMSG_CLOEXEC);
	printf("it is the pipe: %s cloexec %d\n", result(write(fd, "x", 1)), fcntl(fd, F_GETFD));
	close(fd);
	close(p[1]);
	printf("not open %s", result(send_fds(v[0], bad, 2, "x", NULL)));
	for (int i = 0; i < 260; i++)
		many[i] = 1;
	printf(" too many %s", result(send_fds(v[0], many, 254, "x", NULL)));
	printf(" as many as may be %s\n", result(send_fds(v[0], many, 253, "x", NULL)));
	fd = receive("all", v[1], 100, CMSG_SPACE(253 * sizeof(int)), 0);
	close(fd);
	for (int i = 3; i < 400; i++) {
		if (i != v[0] && i != v[1])
			close(i);
	}
	/* bytes are not joined across files */
	write(v[0], "abc", 3);
	send_fds(v[0], many, 1, "def", NULL);
	write(v[0], "ghi", 3);
	close(receive("first", v[1], 100, 200, 0));
	close(receive("with a file", v[1], 100, 200, 0));
	receive("last", v[1], 100, 200, 0);
	/* room for fewer */
	send_fds(v[0], (int[]){1, 1, 1}, 3, "three", NULL);
	close(receive("room for one", v[1], 100, CMSG_LEN(sizeof(int)), 0));
	send_fds(v[0], (int[]){1}, 1, "one", NULL);
	receive("no room", v[1], 100, 0, 0);
	send_fds(v[0], (int[]){1}, 1, "read", NULL);
	printf("read drops it %s\n", result(read(v[1], &c, 1)));
	receive("the rest", v[1], 100, 200, 0);
	send_fds(v[0], (int[]){1}, 1, "peek", NULL);
	close(receive("peek", v[1], 100, 200, MSG_PEEK));
	close(receive("take", v[1], 100, 200, 0));
	/* a file that is in flight lives, and ends with the socket */
	pipe(p);
	send_fds(v[0], &p[1], 1, "w", NULL);
	close(p[1]);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	printf("in flight: the pipe is open: %s", result(read(p[0], &c, 1)));
	close(v[1]);
	close(v[0]);
	printf(" closed: %s\n", result(read(p[0], &c, 1)));
	close(p[0]);
}

/* Sockets that lie in each other's queues, and nowhere else: what they keep must go. */
static void cycles(void)
{
	int v[2], w[2], p[2];
	char c;

	pipe(p);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 20; i++) {
		socketpair(AF_UNIX, i % 2 ? SOCK_STREAM : SOCK_DGRAM, 0, v);
		send_fds(v[0], &v[1], 1, "itself", NULL);
		send_fds(v[0], &p[1], 1, "pipe", NULL);
		close(v[0]);
		close(v[1]);
		socketpair(AF_UNIX, SOCK_STREAM, 0, v);
		socketpair(AF_UNIX, SOCK_STREAM, 0, w);
		send_fds(v[0], &w[1], 1, "a", NULL);
		send_fds(w[0], &v[1], 1, "b", NULL);
		send_fds(v[0], &p[1], 1, "pipe", NULL);
		close(v[0]);
		close(v[1]);
		close(w[0]);
		close(w[1]);
	}
	/* one that can still be reached keeps its own */
	socketpair(AF_UNIX, SOCK_STREAM, 0, v);
	socketpair(AF_UNIX, SOCK_STREAM, 0, w);
	send_fds(v[0], &w[1], 1, "kept", NULL);
	send_fds(w[0], (int[]){1}, 1, "inside", NULL);
	close(w[1]);
	close(p[1]);
	/* The kernel looks for cycles when a socket is closed, and may be at it a while. */
	long n = -1;
	for (int i = 0; i < 1000 && (n = read(p[0], &c, 1)) < 0; i++) {
		int x[2];

		socketpair(AF_UNIX, SOCK_STREAM, 0, x);
		close(x[0]);
		close(x[1]);
		usleep(1000);
	}
	printf("cycles are gone: the pipe is %s\n", result(n));
	w[1] = receive("the one that was kept", v[1], 100, 200, 0);
	close(receive("what it had", w[1], 100, 200, 0));
	/* deep, but no cycle */
	socketpair(AF_UNIX, SOCK_STREAM, 0, w);
	for (int i = 0; i < 3; i++) {
		int x[2];

		socketpair(AF_UNIX, SOCK_STREAM, 0, x);
		if (send_fds(x[0], &w[1], 1, "deep", NULL) < 0)
			puts("not so deep");
		close(w[0]);
		close(w[1]);
		memcpy(w, x, sizeof(w));
	}
	close(w[0]);
	close(w[1]);
	close(v[0]);
	close(v[1]);
	close(p[0]);
}

static void credentials(void)
{
	struct ucred me = {getpid(), getuid(), getgid()}, other = {0, 1, 1};
	int v[2], on = 1;
	pid_t sleeper = fork();

	if (!sleeper) {
		pause();
		_exit(0);
	}
	other.pid = sleeper;

	socketpair(AF_UNIX, SOCK_DGRAM, 0, v);
	setsockopt(v[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	write(v[0], "plain", 5);
	receive("by itself", v[1], 100, 200, 0);
	printf("own %s\n", result(send_fds(v[0], NULL, 0, "own", &me)));
	receive("told", v[1], 100, 200, 0);
	send_fds(v[0], (int[]){1}, 1, "both", &me);
	close(receive("with a file", v[1], 100, 200, 0));
	printf("root may lie %s\n", result(send_fds(v[0], NULL, 0, "lie", &other)));
	receive("lie", v[1], 100, 200, 0);
	other.pid = 0x3fffffff;
	printf("nobody %s\n", result(send_fds(v[0], NULL, 0, "lie", &other)));
	other.pid = sleeper;
	fflush(stdout);
	if (!fork()) {
		if (setgid(65534) || setuid(65534))
			_exit(2);
		me = (struct ucred){getpid(), getuid(), getgid()};
		printf("user: own %s other %s", result(send_fds(v[0], NULL, 0, "u", &me)),
		       result(send_fds(v[0], NULL, 0, "u", &other)));
		other = (struct ucred){getpid(), 0, 65534};
		printf(" root's %s\n", result(send_fds(v[0], NULL, 0, "u", &other)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	receive("from a user", v[1], 100, 200, 0);
	kill(sleeper, SIGKILL);
	wait(NULL);
	close(v[0]);
	close(v[1]);
}

/* ---- waiting, and much ------------------------------------------------------------------------ */

static void *reader(void *arg)
{
	static unsigned char buf[70000];
	long sum = 0, n, at = 0;

	while ((n = read(*(int *)arg, buf, 1 + (size_t)(at % sizeof(buf)))) > 0) {
		for (long i = 0; i < n; i++)
			sum += buf[i] != (unsigned char)((at + i) * 7);
		at += n;
	}
	return (void *)(sum ? -1 : at);
}

static void streams(void)
{
	static unsigned char buf[100000];
	int v[2];
	long at = 0;
	pthread_t t;
	void *r;

	socketpair(AF_UNIX, SOCK_STREAM, 0, v);
	pthread_create(&t, NULL, reader, &v[1]);
	for (int i = 1; i <= 60; i++) {
		long n = i * 997 % 60000;

		for (long k = 0; k < n; k++)
			buf[k] = (unsigned char)((at + k) * 7);
		if (write(v[0], buf, (size_t)n) != n)
			puts("short");
		at += n;
	}
	close(v[0]);
	pthread_join(t, &r);
	printf("all came, in order: %s\n", (long)r == at ? "yes" : "no");
	close(v[1]);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, v);
	for (at = 0; write(v[0], buf, 1000) > 0; at++)
		;
	printf("full: %s poll %x\n", result(-1), look(v[0]) & POLLOUT);
	while (read(v[1], buf, sizeof(buf)) > 0)
		;
	printf("empty: poll %x write %s\n", look(v[0]) & POLLOUT, result(write(v[0], buf, 1000)));
	fcntl(v[1], F_SETFL, 0);
	printf("wait for all, end comes:");
	shutdown(v[0], SHUT_WR);
	printf(" %s\n", result(recv(v[1], buf, 5000, MSG_WAITALL)));
	close(v[0]);
	close(v[1]);
}

static void several(void)
{
	struct mmsghdr m[3] = {0};
	struct iovec iov[3] = {{"one", 3}, {"second", 6}, {"3", 1}}, in[3];
	char buf[3][8] = {{0}};
	int v[2];

	socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, v);
	for (int i = 0; i < 3; i++)
		m[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	printf("sendmmsg %s", result(sendmmsg(v[0], m, 3, 0)));
	printf(" %u %u %u\n", m[0].msg_len, m[1].msg_len, m[2].msg_len);
	for (int i = 0; i < 3; i++) {
		in[i] = (struct iovec){buf[i], 4};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &in[i], .msg_iovlen = 1};
	}
	printf("recvmmsg 2: %s", result(recvmmsg(v[1], m, 2, 0, NULL)));
	printf(" %u %u flags %x %x\n", m[0].msg_len, m[1].msg_len, m[0].msg_hdr.msg_flags,
	       m[1].msg_hdr.msg_flags);
	printf("the rest: %s", result(recvmmsg(v[1], m, 3, 0, NULL)));
	printf(" none: %s\n", result(recvmmsg(v[1], m, 3, 0, NULL)));
	close(v[0]);
	close(v[1]);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	mkdir("/tmp", 01777);
	making();
	pairs();
	shutting();
	naming();
	connections();
	wrong_types();
	datagrams();
	files();
	cycles();
	credentials();
	streams();
	several();
	puts("end");
	return 0;
}
