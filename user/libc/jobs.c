/*
 * Stopping and continuing processes as Linux does it: a transcript to compare
 * (tests/vm/conform_programs.sh). The program itself expects no particular answers.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "asleep.h"

static void nap(long ms)
{
	const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static const char *told(int st)
{
	static char s[64];

	if (WIFSTOPPED(st))
		snprintf(s, sizeof(s), "stopped %d", WSTOPSIG(st));
	else if (WIFCONTINUED(st))
		snprintf(s, sizeof(s), "continued");
	else if (WIFSIGNALED(st))
		snprintf(s, sizeof(s), "signal %d", WTERMSIG(st));
	else
		snprintf(s, sizeof(s), "exit %d", WEXITSTATUS(st));
	return s;
}

static volatile sig_atomic_t chld;
static siginfo_t last;
static void on_chld(int sig, siginfo_t *si, void *u)
{
	(void)sig;
	(void)u;
	chld++;
	last = *si;
}

static void catch (int flags)
{
	struct sigaction sa = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | flags};

	sigaction(SIGCHLD, &sa, NULL);
	chld = 0;
}

/* The child says that it is where it is to be found: no time limit on that. */
static int ready_fd[2];
static void ready(void)
{
	if (write(ready_fd[1], "r", 1) != 1)
		_exit(8);
}

static pid_t child(void (*fn)(void))
{
	pid_t p;
	char c;

	if (pipe(ready_fd))
		return -1;
	p = fork();
	if (!p) {
		setpgid(0, 0);
		fn();
		_exit(0);
	}
	if (read(ready_fd[0], &c, 1) != 1)
		puts("the child has not begun");
	close(ready_fd[0]);
	close(ready_fd[1]);
	return p;
}

/* Until so many SIGCHLD have come; a second more would be an error that shows. */
static void wait_chld(int n)
{
	for (int i = 0; i < 600 && chld < n; i++)
		nap(50);
}

static void sleeps(void)
{
	ready();
	for (;;)
		nap(1000);
}

static void spins(void)
{
	ready();
	for (volatile unsigned long i = 0;; i++)
		;
}

static void *spin_thread(void *arg)
{
	for (volatile unsigned long i = 0;; i++)
		;
	return arg;
}

static void many(void)
{
	pthread_t t;

	for (int i = 0; i < 3; i++)
		pthread_create(&t, NULL, spin_thread, NULL);
	sleeps();
}

static void stop_and_go(const char *what, void (*fn)(void))
{
	static const int sigs[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
	pid_t p = child(fn);
	int st;

	for (unsigned int i = 0; i < 4; i++) {
		kill(p, sigs[i]);
		printf("%s: %s\n", what, waitpid(p, &st, WUNTRACED) == p ? told(st) : "error");
		printf("again: %d", waitpid(p, &st, WUNTRACED | WNOHANG));
		printf(" not asked: %d\n", waitpid(p, &st, WNOHANG));
		kill(p, SIGCONT);
		printf("%s\n", waitpid(p, &st, WCONTINUED) == p ? told(st) : "error");
		printf("again: %d\n", waitpid(p, &st, WCONTINUED | WNOHANG));
	}
	kill(p, SIGSTOP);
	waitpid(p, &st, WUNTRACED);
	kill(p, SIGTERM);
	nap(50);
	printf("SIGTERM waits: %d\n", waitpid(p, &st, WNOHANG));
	kill(p, SIGCONT);
	printf("%s\n", waitpid(p, &st, 0) == p ? told(st) : "error");
	p = child(fn);
	kill(p, SIGSTOP);
	waitpid(p, &st, WUNTRACED);
	kill(p, SIGKILL);
	printf("SIGKILL does not wait: %s\n", waitpid(p, &st, 0) == p ? told(st) : "error");
}

static void information(void)
{
	siginfo_t si;
	pid_t p;
	int st;

	catch (0);
	p = child(sleeps);
	kill(p, SIGSTOP);
	memset(&si, 0, sizeof(si));
	while (waitid(P_PID, p, &si, WSTOPPED | WNOWAIT) && errno == EINTR)
		;
	printf("waitid: code %d status %d signo %d\n", si.si_code, si.si_status, si.si_signo);
	memset(&si, 0, sizeof(si));
	waitid(P_PID, p, &si, WSTOPPED);
	printf("it was left: code %d\n", si.si_code);
	memset(&si, 0, sizeof(si));
	printf("now taken: %d pid %d\n", waitid(P_PID, p, &si, WSTOPPED | WNOHANG), si.si_pid);
	wait_chld(1);
	printf("SIGCHLD %d: code %d status %d\n", chld, last.si_code, last.si_status);
	kill(p, SIGCONT);
	wait_chld(2);
	printf("SIGCHLD %d: code %d status %d\n", chld, last.si_code, last.si_status);
	waitid(P_PID, p, &si, WCONTINUED);
	printf("waitid: code %d status %d\n", si.si_code, si.si_status);
	catch (SA_NOCLDSTOP);
	kill(p, SIGSTOP);
	waitpid(p, &st, WUNTRACED);
	kill(p, SIGCONT);
	nap(50);
	printf("SA_NOCLDSTOP: SIGCHLD %d\n", chld);
	kill(p, SIGKILL);
	while (waitpid(p, &st, 0) < 0 && errno == EINTR)
		;
	printf("but its end is told: %d\n", chld);
	signal(SIGCHLD, SIG_DFL);
}

static int fd[2];
static void on_cont(int sig)
{
	(void)sig;
	if (write(fd[1], "c", 1) < 0)
		_exit(9);
}

static void handles(void)
{
	signal(SIGCONT, on_cont);
	signal(SIGTSTP, SIG_IGN);
	sleeps();
}

static void reads(void)
{
	char c;

	/* A call that a stop breaks off goes on afterwards. */
	ready();
	_exit(read(fd[0], &c, 1) == 1 ? c : 99);
}

static void handled(void)
{
	char c = 0;
	pid_t p;
	int st;

	if (pipe(fd))
		return;
	p = child(handles);
	kill(p, SIGTSTP);
	nap(50);
	printf("ignored: %d\n", waitpid(p, &st, WUNTRACED | WNOHANG));
	kill(p, SIGSTOP);
	waitpid(p, &st, WUNTRACED);
	kill(p, SIGCONT);
	printf("handler of SIGCONT: %zd %c\n", read(fd[0], &c, 1), c);
	kill(p, SIGKILL);
	waitpid(p, &st, 0);
	p = child(reads);
	kill(p, SIGSTOP);
	waitpid(p, &st, WUNTRACED);
	kill(p, SIGCONT);
	nap(50);
	if (write(fd[1], "*", 1) != 1)
		return;
	printf("read goes on: %s\n", waitpid(p, &st, 0) == p ? told(st) : "error");
	/* A stop that was pending is dropped by SIGCONT, and the other way round. */
	fflush(stdout);
	p = fork();
	if (!p) {
		sigset_t set;

		sigfillset(&set);
		sigprocmask(SIG_BLOCK, &set, NULL);
		kill(getpid(), SIGTSTP);
		kill(getpid(), SIGCONT);
		sigpending(&set);
		printf("pending: TSTP %d CONT %d\n", sigismember(&set, SIGTSTP),
		       sigismember(&set, SIGCONT));
		kill(getpid(), SIGTSTP);
		sigpending(&set);
		printf("pending: TSTP %d CONT %d\n", sigismember(&set, SIGTSTP),
		       sigismember(&set, SIGCONT));
		fflush(stdout);
		_exit(0);
	}
	waitpid(p, &st, 0);
	close(fd[0]);
	close(fd[1]);
}

/* A stopped group whose last link to its session ends gets SIGHUP and SIGCONT. */
static void leader(void)
{
	pid_t p = fork();
	int st;

	if (!p) {
		setpgid(0, 0);
		signal(SIGCONT, on_cont);
		for (;;)
			nap(1000);
	}
	until_asleep(p, &p); /* in its group, and with its handler */
	kill(p, SIGSTOP);
	waitpid(p, &st, WUNTRACED);
	_exit(0);
}

static void orphans(void)
{
	char c = 0;
	pid_t p;
	int st;

	if (pipe(fd))
		return;
	fflush(stdout);
	p = fork();
	if (!p) {
		setsid(); /* so that nobody outside is of its session, not even process 1 */
		leader();
	}
	waitpid(p, &st, 0);
	close(fd[1]);
	/* It dies of SIGHUP before or after SIGCONT's handler has run: the pipe ends in any case. */
	while (read(fd[0], &c, 1) == 1)
		;
	puts("the orphans are gone");
	close(fd[0]);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	stop_and_go("sleeping", sleeps);
	stop_and_go("running", spins);
	stop_and_go("threads", many);
	information();
	handled();
	orphans();
	puts("end");
	return 0;
}
