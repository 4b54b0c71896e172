/*
 * Real-time signals that queue and timer_create(2): a transcript to compare (tests/vm/conform_programs.sh). Nothing
 * that depends on how long something took is printed.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "transcript.h"

#define SI_TIMER_ (-2)
/* Where the kernel finds the thread of SIGEV_THREAD_ID, whatever the C library calls it */
#define SIGEV_TID(ev) (((int *)&(ev))[4])
static sigset_t all;

static long queue(pid_t pid, int sig, int code, long value)
{
	siginfo_t si;

	memset(&si, 0, sizeof(si));
	si.si_code = code;
	si.si_pid = 4711;
	si.si_uid = 42;
	si.si_value.sival_ptr = (void *)value;
	return syscall(SYS_rt_sigqueueinfo, pid, sig, &si);
}

/* What is pending, in the order in which it is taken. */
static void drain(const char *what)
{
	const struct timespec now = {0, 0};
	siginfo_t si;
	int sig;

	printf("%s:", what);
	for (int n = 0; (sig = sigtimedwait(&all, &si, &now)) > 0; n++) {
		if (n > 20)
			continue;
		printf(" %d", sig < 32 ? sig : 1000 + sig - SIGRTMIN);
		if (si.si_code == SI_QUEUE)
			printf("=%ld", (long)si.si_value.sival_ptr);
		else
			printf("(%d)", si.si_code == SI_TKILL ? 0 : si.si_code); /* glibc does so */
	}
	printf("\n");
}

/* A timer expires in the kernel's own time: how soon after it was due is up to the machine. */
static void until_pending(int sig)
{
	sigset_t set;

	do {
		usleep(1000);
		sigpending(&set);
	} while (!sigismember(&set, sig));
}

static void order(void)
{
	pid_t me = getpid();

	for (int i = 0; i < 3; i++) {
		queue(me, SIGRTMIN + 5, SI_QUEUE, i);
		queue(me, SIGRTMIN + 2, SI_QUEUE, 10 + i);
		queue(me, SIGUSR1, SI_QUEUE, 20 + i);
	}
	drain("the lowest first, real-time ones in their order");
	kill(me, SIGRTMIN);
	kill(me, SIGRTMIN);
	kill(me, SIGUSR2);
	kill(me, SIGUSR2);
	drain("kill queues, too");
	syscall(SYS_tgkill, me, syscall(SYS_gettid), SIGRTMIN + 1);
	queue(me, SIGRTMIN + 1, SI_QUEUE, 1);
	syscall(SYS_tgkill, me, syscall(SYS_gettid), SIGRTMIN + 1);
	drain("the thread's own first");
	queue(me, SIGRTMIN + 1, SI_QUEUE, 1);
	queue(me, SIGRTMIN + 1, SI_QUEUE, 2);
	signal(SIGRTMIN + 1, SIG_IGN);
	signal(SIGRTMIN + 1, SIG_DFL);
	drain("ignored meanwhile");
	printf("code of the kernel's: to oneself %s", result(queue(me, SIGRTMIN, SI_USER, 1)));
	printf(" to others %s", result(queue(getppid(), SIGRTMIN, SI_USER, 1)));
	printf(" of a timer %s\n", result(queue(me, SIGRTMIN, SI_TIMER_, 7)));
	drain("those");
}

static int handled[64], nr_handled;
static void on_signal(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	handled[nr_handled++] = (int)(long)si->si_value.sival_ptr;
}

static void handlers(void)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	sigset_t none;

	sigemptyset(&none);
	for (int i = 0; i < 4; i++)
		sigaction(SIGRTMIN + i, &sa, NULL);
	for (int i = 0; i < 3; i++) {
		queue(getpid(), SIGRTMIN + 1, SI_QUEUE, i);
		queue(getpid(), SIGRTMIN + 2, SI_QUEUE, 10 + i);
	}
	nr_handled = 0;
	sigprocmask(SIG_SETMASK, &none, NULL);
	sigprocmask(SIG_SETMASK, &all, NULL);
	printf("handlers of one return to user mode, the last first:");
	for (int i = 0; i < nr_handled; i++)
		printf(" %d", handled[i]);
	printf("\n");
	for (int i = 0; i < 4; i++)
		signal(SIGRTMIN + i, SIG_DFL);
}

static void limit(void)
{
	struct rlimit l;
	int fd = signalfd(-1, &all, SFD_NONBLOCK);
	struct signalfd_siginfo si;
	pid_t me = getpid();
	int n = 0;

	getrlimit(RLIMIT_SIGPENDING, &l);
	printf("limit: there is one %d\n", l.rlim_cur == l.rlim_max && l.rlim_cur < 1000000);
	l.rlim_cur = 5;
	setrlimit(RLIMIT_SIGPENDING, &l);
	fflush(stdout);
	if (!fork()) {
		if (setuid(4242))
			_exit(1);
		me = getpid();
		while (n < 100 && !queue(me, SIGRTMIN + 3, SI_QUEUE, n))
			n++;
		printf("queued %d, then %s", n, result(queue(me, SIGRTMIN + 3, SI_QUEUE, n)));
		printf(" kill %s", result(kill(me, SIGRTMIN + 4)));
		printf(" standard %s", result(queue(me, SIGUSR1, SI_QUEUE, 3)));
		printf(" tgkill %s\n", result(syscall(SYS_tgkill, me, me, SIGRTMIN + 3)));
		printf("signalfd %s", result(read(fd, &si, sizeof(si))));
		printf(" signal %u\n", si.ssi_signo);
		printf("signalfd %s", result(read(fd, &si, sizeof(si))));
		printf(" value %d pid %u uid %u code %d\n", si.ssi_int, si.ssi_pid, si.ssi_uid,
		       si.ssi_code);
		printf("room again %s\n", result(queue(me, SIGRTMIN + 3, SI_QUEUE, 77)));
		drain("all of it");
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_SIGPENDING, &l);
	close(fd);
}

/* ---- timers ---- */

static long create(int clock, struct sigevent *ev, int *id)
{
	return syscall(SYS_timer_create, clock, ev, id);
}

static long settime(int id, int flags, long first_ns, long every_ns, struct itimerspec *old)
{
	struct itimerspec its = {{every_ns / 1000000000, every_ns % 1000000000},
				 {first_ns / 1000000000, first_ns % 1000000000}};

	return syscall(SYS_timer_settime, id, flags, &its, old);
}

static void wait_one(const char *what, long overruns_least)
{
	siginfo_t si;
	int sig = sigwaitinfo(&all, &si);

	printf("%s: %d code %d value %ld timer %d overruns %s\n", what,
	       sig < 32 ? sig : 1000 + sig - SIGRTMIN, si.si_code, (long)si.si_value.sival_ptr,
	       si.si_timerid, si.si_overrun >= overruns_least ? "as many" : "fewer");
}

static void bad_calls(void)
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	struct itimerspec its = {{0, 0}, {0, 1000000000}};
	int id = -1;

	printf("clock %s", result(create(77, NULL, &id)));
	printf(" signal %s", result(create(CLOCK_MONOTONIC, &ev, &id)));
	ev.sigev_signo = 0;
	printf(" none %s", result(create(CLOCK_MONOTONIC, &ev, &id)));
	ev.sigev_signo = SIGUSR1;
	ev.sigev_notify = 77;
	printf(" notify %s", result(create(CLOCK_MONOTONIC, &ev, &id)));
	ev.sigev_notify = 4;
	SIGEV_TID(ev) = 0x3fffffff;
	printf(" thread %s", result(create(CLOCK_MONOTONIC, &ev, &id)));
	printf(" address %s", result(create(CLOCK_MONOTONIC, (void *)8, &id)));
	printf(" of the id %s\n", result(create(CLOCK_MONOTONIC, NULL, (void *)8)));
	printf("no timer: settime %s", result(settime(999, 0, 1, 0, NULL)));
	printf(" gettime %s", result(syscall(SYS_timer_gettime, 999, &its)));
	printf(" overrun %s", result(syscall(SYS_timer_getoverrun, 999)));
	printf(" delete %s\n", result(syscall(SYS_timer_delete, 999)));
	create(CLOCK_MONOTONIC, NULL, &id);
	its.it_value.tv_nsec = 1000000000;
	printf("no new time %s", result(syscall(SYS_timer_settime, id, 0, NULL, NULL)));
	printf(" bad time %s", result(syscall(SYS_timer_settime, id, 0, &its, NULL)));
	printf(" delete %s", result(syscall(SYS_timer_delete, id)));
	printf(" again %s\n", result(syscall(SYS_timer_delete, id)));
}

static void fire(void)
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 6};
	const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
	struct itimerspec its, old;
	struct timespec now;
	int id, other;

	for (int i = 0; i < 3; i++) {
		ev.sigev_value.sival_ptr = (void *)(100l + i);
		create(clocks[i], &ev, &id);
		settime(id, 0, 1000000, 0, NULL);
		wait_one("once", 0);
		clock_gettime(clocks[i], &now);
		settime(id, TIMER_ABSTIME, now.tv_sec * 1000000000l + now.tv_nsec + 1000000, 0,
			NULL);
		wait_one("at a time", 0);
		settime(id, TIMER_ABSTIME, 1, 0, NULL);
		wait_one("in the past", 0);
		syscall(SYS_timer_gettime, id, &its);
		printf("over: %ld %ld\n", (long)its.it_value.tv_sec, its.it_value.tv_nsec);
		syscall(SYS_timer_delete, id);
	}
	create(CLOCK_MONOTONIC, NULL, &id);
	settime(id, 0, 1000000, 0, NULL);
	{
		siginfo_t si;
		int sig = sigwaitinfo(&all, &si);

		printf("without an event: %d code %d value is the id %d\n", sig, si.si_code,
		       si.si_value.sival_int == id);
	}
	settime(id, 0, 500000000000l, 7000000000l, NULL);
	settime(id, 0, 0, 0, &old);
	printf("it was: %d %ld\n", old.it_value.tv_sec / 100 == 4, (long)old.it_interval.tv_sec);
	syscall(SYS_timer_gettime, id, &its);
	printf("off: %ld %ld interval %ld\n", (long)its.it_value.tv_sec, its.it_value.tv_nsec,
	       (long)its.it_interval.tv_sec);
	syscall(SYS_timer_delete, id);

	/* Overruns: of 200 ms at 1 ms each. */
	ev.sigev_value.sival_ptr = (void *)5l;
	create(CLOCK_MONOTONIC, &ev, &id);
	create(CLOCK_MONOTONIC, &ev, &other);
	printf("numbers go up: %d\n", other == id + 1);
	settime(id, 0, 1000000, 1000000, NULL);
	usleep(200000);
	wait_one("again and again", 5);
	printf("getoverrun: %d\n", syscall(SYS_timer_getoverrun, id) >= 5);
	wait_one("and again", 0);
	settime(id, 0, 0, 0, NULL);
	usleep(2000);
	{
		/* Whether one came before the timer was stopped is chance. */
		const struct timespec now = {0, 0};
		int left = 0;

		while (sigtimedwait(&all, NULL, &now) > 0)
			left++;
		printf("at most one is left: %d\n", left <= 1);
	}
}

static void *thread(void *arg)
{
	struct sigevent ev = {.sigev_notify = 4, .sigev_signo = SIGRTMIN + 7};
	int id;

	SIGEV_TID(ev) = (int)syscall(SYS_gettid);
	ev.sigev_value.sival_ptr = (void *)9l;
	create(CLOCK_MONOTONIC, &ev, &id);
	settime(id, 0, 1000000, 0, NULL);
	wait_one("the thread that was named", 0);
	ev.sigev_notify = SIGEV_NONE;
	create(CLOCK_MONOTONIC, &ev, &id);
	settime(id, 0, 1000000, 0, NULL);
	usleep(20000);
	drain("nobody is told");
	return arg;
}

static void others(void)
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	pthread_t t;
	int id;

	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	create(CLOCK_MONOTONIC, &ev, &id);
	settime(id, 0, 1000000, 0, NULL);
	until_pending(SIGUSR1);
	printf("delete while it is pending %s\n", result(syscall(SYS_timer_delete, id)));
	drain("it stays");
	create(CLOCK_MONOTONIC, &ev, &id);
	fflush(stdout);
	if (!fork()) {
		printf("a child has none: %s\n", result(syscall(SYS_timer_delete, id)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	if (!fork()) {
		sigset_t none;

		sigemptyset(&none);
		settime(id, 0, 1000000, 0, NULL);
		create(CLOCK_MONOTONIC, NULL, &id);
		settime(id, 0, 2000000000l, 0, NULL); /* exec is over by then */
		sigprocmask(SIG_SETMASK, &none, NULL);
		execl("/proc/self/exe", "timers", "sleep", NULL);
		_exit(1);
	}
	wait(NULL);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "sleep")) {
		usleep(3000000);
		puts("none is left after execve");
		return 0;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	order();
	handlers();
	limit();
	bad_calls();
	drain("of the child");
	fire();
	others();
	puts("end");
	return 0;
}
