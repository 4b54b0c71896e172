/*
 * epoll, eventfd, timerfd and similar calls as Linux answers them: a transcript to compare
 * (tests/vm/conform_programs.sh). The program itself expects no particular answers; times are only compared with each
 * other.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "asleep.h"
#include "transcript.h"

static int ctl(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};

	return epoll_ctl(ep, op, fd, &e);
}

/* Without the header's idea of what is a mistake. */
static long raw_wait(int ep, void *events, int max)
{
	return syscall(SYS_epoll_wait, ep, events, max, 0);
}

/* What a set tells within ms. */
static void show(const char *what, int ep, int ms)
{
	struct epoll_event e[8];
	int n = epoll_wait(ep, e, 8, ms);

	printf("%s: %s", what, result(n));
	for (int i = 0; i < n; i++)
		printf(" [%lx: %x]", (unsigned long)e[i].data.u64, e[i].events);
	puts("");
}

static void levels_and_edges(void)
{
	int p[2], q[2], ep = epoll_create1(0);
	char c[4];

	if (pipe(p) || pipe(q))
		return;
	printf("add %s", result(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 0xa)));
	printf(" %s\n", result(ctl(ep, EPOLL_CTL_ADD, q[0], EPOLLIN | EPOLLET, 0xb)));
	show("nothing", ep, 0);
	write(p[1], "xy", 2);
	write(q[1], "xy", 2);
	show("both", ep, 0);
	show("level only", ep, 0);
	read(p[0], c, 1);
	show("level still", ep, 0);
	read(p[0], c, 1);
	show("neither", ep, 0);
	write(q[1], "z", 1);
	show("a new edge", ep, 0);
	printf("mod %s\n",
	       result(ctl(ep, EPOLL_CTL_MOD, q[0], EPOLLIN | EPOLLET | EPOLLONESHOT, 0xc)));
	show("modified: told again", ep, 0);
	write(q[1], "z", 1);
	show("one shot is over", ep, 0);
	printf("rearm %s\n", result(ctl(ep, EPOLL_CTL_MOD, q[0], EPOLLIN | EPOLLONESHOT, 0xd)));
	show("armed again", ep, 0);
	close(p[1]);
	show("hang-up", ep, 0);
	printf("del %s\n", result(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL)));
	show("removed", ep, 0);
	ctl(ep, EPOLL_CTL_ADD, q[1], EPOLLOUT, 0xe);
	show("writable", ep, 0);
	close(q[0]);
	show("reader gone", ep, 0);
	close(q[1]);
	show("closed: no more", ep, 0);
	close(p[0]);
	close(ep);
}

static void errors(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), ep2 = epoll_create(1), p[2], file;
	struct epoll_event e;

	if (pipe(p))
		return;
	file = open("/proc/self/exe", O_RDONLY);
	printf("cloexec %d\n", fcntl(ep, F_GETFD));
	printf("create(0) %s", result((int)syscall(SYS_epoll_create, 0)));
	printf(" create1(1) %s\n", result(epoll_create1(1)));
	printf("bad ep %s", result(ctl(99, EPOLL_CTL_ADD, p[0], EPOLLIN, 0)));
	printf(" bad fd %s", result(ctl(ep, EPOLL_CTL_ADD, 99, EPOLLIN, 0)));
	printf(" not a set %s", result(ctl(p[0], EPOLL_CTL_ADD, p[1], EPOLLIN, 0)));
	printf(" itself %s", result(ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 0)));
	printf(" a file %s", result(ctl(ep, EPOLL_CTL_ADD, file, EPOLLIN, 0)));
	printf(" op %s", result(ctl(ep, 9, p[0], EPOLLIN, 0)));
	printf(" mod what is not there %s", result(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN, 0)));
	printf(" del %s\n", result(ctl(ep, EPOLL_CTL_DEL, p[0], 0, 0)));
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 0);
	printf("twice %s", result(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 0)));
	printf(" fault %s", result(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], (void *)1)));
	printf(" del without event %s\n", result(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL)));
	printf("exclusive %s", result(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLEXCLUSIVE, 0)));
	printf(" its mod %s", result(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN, 0)));
	printf(" mod to it %s", result(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLEXCLUSIVE, 0)));
	printf(" with one shot %s",
	       result(ctl(ep, EPOLL_CTL_ADD, p[1], EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT, 0)));
	printf(" a set %s\n", result(ctl(ep, EPOLL_CTL_ADD, ep2, EPOLLIN | EPOLLEXCLUSIVE, 0)));
	printf("wait 0 %s", result(epoll_wait(ep, &e, 0, 0)));
	printf(" -1 %s", result(raw_wait(ep, &e, -1)));
	printf(" not a set %s", result(epoll_wait(p[0], &e, 1, 0)));
	printf(" closed %s", result(epoll_wait(99, &e, 1, 0)));
	write(p[1], "x", 1);
	printf(" fault %s", result(raw_wait(ep, (void *)8, 1)));
	printf(" after it %s\n", result(epoll_wait(ep, &e, 1, 0)));
	printf("read %s write %s\n", result(read(ep, &e, 1)), result(write(ep, &e, 1)));
	close(ep);
	close(ep2);
	close(p[0]);
	close(p[1]);
	close(file);
}

static void sets_of_sets(void)
{
	int ep[6], p[2], fd[8];
	struct pollfd pfd;
	char c;

	if (pipe(p))
		return;
	for (int i = 0; i < 6; i++)
		ep[i] = epoll_create1(0);
	printf("chain");
	for (int i = 0; i < 5; i++)
		printf(" %s", result(ctl(ep[i], EPOLL_CTL_ADD, ep[i + 1], EPOLLIN, i)));
	printf(" loop %s\n", result(ctl(ep[3], EPOLL_CTL_ADD, ep[0], EPOLLIN, 9)));
	ctl(ep[3], EPOLL_CTL_ADD, p[0], EPOLLIN, 0xf);
	show("quiet", ep[0], 0);
	write(p[1], "x", 1);
	show("from below", ep[0], 0);
	show("its set", ep[3], 0);
	pfd = (struct pollfd){ep[1], POLLIN, 0};
	printf("poll %s", result(poll(&pfd, 1, 0)));
	read(p[0], &c, 1);
	printf(" and after reading %s\n", result(poll(&pfd, 1, 0)));
	show("quiet again", ep[0], 0);
	for (int i = 0; i < 6; i++)
		close(ep[i]);
	/* a descriptor that leads to the same file is another item, and keeps the file */
	ep[0] = epoll_create1(0);
	fd[0] = dup(p[0]);
	ctl(ep[0], EPOLL_CTL_ADD, p[0], EPOLLIN, 1);
	printf("dup %s\n", result(ctl(ep[0], EPOLL_CTL_ADD, fd[0], EPOLLIN, 2)));
	write(p[1], "x", 1);
	show("both", ep[0], 0);
	close(p[0]);
	show("the file lives", ep[0], 0);
	close(fd[0]);
	show("and is gone", ep[0], 0);
	close(ep[0]);
	close(p[1]);
}

static void *later(void *arg)
{
	const struct timespec t = {0, 50000000};

	nanosleep(&t, NULL);
	if (write(*(int *)arg, "x", 1) < 0)
		puts("lost");
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
}

static void waiting(void)
{
	int ep = epoll_create1(0), p[2];
	struct timespec none = {0, 0}, bad = {0, 1000000000};
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct epoll_event e;
	sigset_t set, all;
	pthread_t t;

	if (pipe(p))
		return;
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 5);
	pthread_create(&t, NULL, later, &p[1]);
	show("somebody writes", ep, 20000);
	pthread_join(t, NULL);
	ctl(ep, EPOLL_CTL_MOD, p[0], 0, 5);
	show("time passes", ep, 20);
	sigaction(SIGALRM, &sa, NULL);
	ualarm(30000, 30000);
	show("a signal", ep, 20000);
	ualarm(0, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ualarm(1000, 0);
	usleep(50000);
	sigemptyset(&all);
	printf("pwait lets it in: %s\n", result(epoll_pwait(ep, &e, 1, 20000, &all)));
	sigprocmask(SIG_BLOCK, NULL, &all);
	printf("blocked again: %d\n", sigismember(&all, SIGALRM));
	printf("pwait2 %s", result(syscall(SYS_epoll_pwait2, ep, &e, 1, &none, NULL, 8)));
	printf(" bad %s\n", result(syscall(SYS_epoll_pwait2, ep, &e, 1, &bad, NULL, 8)));
	close(ep);
	close(p[0]);
	close(p[1]);
}

struct waiter {
	int ep;
	pid_t tid;
};

/* Of the waiters on one exclusive item each, at least one, and never more than there are, wake. */
static void *wait_once(void *arg)
{
	struct waiter *w = arg;
	struct epoll_event e;

	__atomic_store_n(&w->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	return (void *)(long)epoll_wait(w->ep, &e, 1, 4000);
}

static void exclusive(void)
{
	struct waiter w[4] = {0};
	pthread_t t[4];
	long woken = 0;
	int p[2];
	void *r;

	if (pipe(p))
		return;
	for (int i = 0; i < 4; i++) {
		w[i].ep = epoll_create1(0);
		ctl(w[i].ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLET, i);
		pthread_create(&t[i], NULL, wait_once, &w[i]);
	}
	for (int i = 0; i < 4; i++)
		until_asleep(getpid(), &w[i].tid);
	write(p[1], "x", 1);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		woken += (long)r;
	}
	printf("exclusive: woken %s\n", woken >= 1 && woken < 4 ? "some, not all" : "wrong");
	for (int i = 0; i < 4; i++)
		close(w[i].ep);
	close(p[0]);
	close(p[1]);
}

static void counters(void)
{
	int e = eventfd(3, EFD_NONBLOCK), s = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK), ep;
	uint64_t v = 0;
	struct pollfd p = {e, POLLIN | POLLOUT, 0};

	printf("flags %s\n", result(eventfd(0, 8)));
	printf("read %s", result(read(e, &v, 8)));
	printf(" %lu", (unsigned long)v);
	printf(" again %s", result(read(e, &v, 8)));
	printf(" short %s\n", result(read(e, &v, 7)));
	v = ~0ull;
	printf("write max %s", result(write(e, &v, 8)));
	v = ~0ull - 1;
	printf(" less %s", result(write(e, &v, 8)));
	v = 1;
	printf(" more %s", result(write(e, &v, 8)));
	poll(&p, 1, 0);
	printf(" poll %x\n", p.revents);
	for (int i = 0; i < 3; i++) {
		printf("semaphore %s", result(read(s, &v, 8)));
		printf(" %lu\n", (unsigned long)v);
	}
	ep = epoll_create1(0);
	ctl(ep, EPOLL_CTL_ADD, s, EPOLLIN | EPOLLET, 1);
	show("empty", ep, 0);
	v = 1;
	write(s, &v, 8);
	show("counted", ep, 0);
	write(s, &v, 8);
	show("each write is an edge", ep, 0);
	printf("lseek %s\n", result(lseek(e, 0, SEEK_SET)));
	close(ep);
	close(e);
	close(s);
}

static void timers(void)
{
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), r, ep = epoll_create1(0);
	struct itimerspec its = {{0, 20000000}, {0, 10000000}}, old, off = {{0, 0}, {0, 0}};
	struct timespec now, wait = {0, 200000000};
	uint64_t n = 0;

	printf("clock %s", result(timerfd_create(77, 0)));
	printf(" flags %s", result(timerfd_create(CLOCK_MONOTONIC, 1)));
	printf(" cpu time %s\n", result(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0)));
	printf("unset %s\n", result(read(t, &n, 8)));
	printf("set %s\n", result(timerfd_settime(t, 0, &its, &old)));
	printf("was %ld.%09ld\n", (long)old.it_value.tv_sec, old.it_value.tv_nsec);
	ctl(ep, EPOLL_CTL_ADD, t, EPOLLIN, 7);
	show("it expires", ep, 20000);
	nanosleep(&wait, NULL);
	r = read(t, &n, 8);
	printf("read %d, %s\n", r, n >= 5 ? "many" : "few");
	printf("get %s", result(timerfd_gettime(t, &old)));
	printf(" interval %ld\n", old.it_interval.tv_nsec);
	printf("off %s", result(timerfd_settime(t, 0, &off, NULL)));
	timerfd_gettime(t, &old);
	printf(" %ld %s\n", old.it_value.tv_nsec, result(read(t, &n, 8)));
	clock_gettime(CLOCK_MONOTONIC, &now);
	its = (struct itimerspec){{0, 0}, {now.tv_sec, now.tv_nsec}};
	printf("in the past %s\n", result(timerfd_settime(t, TFD_TIMER_ABSTIME, &its, NULL)));
	show("at once", ep, 20000);
	printf("%s", result(read(t, &n, 8)));
	printf(" %lu\n", (unsigned long)n);
	its.it_value.tv_nsec = -1;
	printf("bad %s", result(timerfd_settime(t, 0, &its, NULL)));
	printf(" flags %s", result(timerfd_settime(t, 8, &off, NULL)));
	printf(" other file %s\n", result(timerfd_settime(ep, 0, &off, NULL)));
	r = timerfd_create(CLOCK_REALTIME, 0);
	clock_gettime(CLOCK_REALTIME, &now);
	its = (struct itimerspec){{0, 0}, {now.tv_sec + 1000, 0}};
	timerfd_settime(r, TFD_TIMER_ABSTIME, &its, NULL);
	timerfd_gettime(r, &old);
	printf("time of day: %s\n",
	       old.it_value.tv_sec > 900 && old.it_value.tv_sec <= 1000 ? "right" : "wrong");
	close(r);
	close(t);
	close(ep);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	levels_and_edges();
	errors();
	sets_of_sets();
	waiting();
	exclusive();
	counters();
	timers();
	puts("end");
	return 0;
}
