/*
 * System calls about processes, limits, signals, locks and files, with their results and errors: run on
 * Linux and in guestmm, the two transcripts must be equal (tests/vm/conform.sh).
 *
 *   conform_calls          all cases; a case is a function, its lines are "case: what = result (errno)"
 *
 * Nothing that depends on time, addresses or process numbers is printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "asleep.h"

#define PAGE 4096l
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

static const char *now_in;

static void say(const char *what, long got)
{
	int err = errno;

	printf("%s: %s = %ld", now_in, what, got);
	if (got == -1)
		printf(" (%s)", strerror(err));
	printf("\n");
}
#define TRY(call) (errno = 0, say(#call, (long)(call)))

/** Run in a child, which gives its own transcript; its status is printed. */
static void in_child(const char *what, void (*fn)(void))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		fn();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("%s: %s ended by signal %d\n", now_in, what, WTERMSIG(status));
	else
		printf("%s: %s ended with %d\n", now_in, what, WEXITSTATUS(status));
}

/* ---- execve ---------------------------------------------------------------------------------- */

static void *sleeper(void *arg)
{
	pause();
	return arg;
}

static void exec_from_main(void)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], 0, sleeper, 0);
	execl("/proc/self/exe", "conform_calls", "status", "7", (char *)0);
}

static void *exec_now(void *arg)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	execl("/proc/self/exe", "conform_calls", "pid", pid, (char *)0);
	return arg;
}

static void exec_from_thread(void)
{
	pthread_t t;

	pthread_create(&t, 0, exec_now, 0);
	pause();
}

static void exec_from_both(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], 0, exec_now, 0);
	exec_now(0);
}

static void exec_without_arguments(void)
{
	char *none[] = {0}, *env[] = {"ARGC=1", 0};

	execve("/proc/self/exe", none, env);
}

static char *many[20000];
static void exec_many(void)
{
	static char word[100];

	memset(word, 'a', sizeof(word) - 1);
	many[0] = "conform_calls";
	many[1] = "count";
	for (int i = 2; i < 10000; i++)
		many[i] = word;
	execv("/proc/self/exe", many);
	say("execv with 1 MB", -1);
}

static void exec_too_many(void)
{
	struct rlimit l = {1 << 20, 8 << 20};

	setrlimit(RLIMIT_STACK, &l);
	exec_many();
}

static void exec_long_word(void)
{
	static char word[131073];
	char *args[] = {"conform_calls", "count", word, 0};

	memset(word, 'b', sizeof(word) - 2);
	execv("/proc/self/exe", args);
	say("execv", -1);
}

static void exec_too_long_word(void)
{
	static char word[131074];
	char *args[] = {"conform_calls", "count", word, 0};

	memset(word, 'b', sizeof(word) - 1);
	execv("/proc/self/exe", args);
	say("execv with a word of 128 KiB", -1);
}

static void exec_cases(void)
{
	in_child("execve of a process with threads", exec_from_main);
	in_child("execve by a thread", exec_from_thread);
	in_child("execve by five threads at once", exec_from_both);
	in_child("execve without arguments", exec_without_arguments);
	in_child("a megabyte of arguments", exec_many);
	in_child("more than a quarter of the stack", exec_too_many);
	in_child("a word of 131071 bytes", exec_long_word);
	in_child("a word of 131072 bytes", exec_too_long_word);
}

/* ---- clone ----------------------------------------------------------------------------------- */

static char stack[65536] __attribute__((aligned(16)));
static volatile int seen;

static void on_signal(int sig)
{
	seen = sig;
}

static int set_handler(void *arg)
{
	signal(SIGUSR2, on_signal);
	return 0;
}

static void clone_cases(void)
{
	static const struct {
		int flags;
		const char *name;
	} kind[] = {{CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND, "VM|FS|FILES|SIGHAND"},
		    {CLONE_VM, "VM"},
		    {CLONE_FS, "FS"},
		    {CLONE_VM | CLONE_FILES, "VM|FILES"},
		    {CLONE_IO, "IO"},
		    {CLONE_SIGHAND, "SIGHAND alone"}};

	for (unsigned int i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		struct sigaction act;
		int status = -1, pid;

		signal(SIGUSR2, SIG_DFL);
		errno = 0;
		pid = clone(set_handler, stack + sizeof(stack), kind[i].flags | SIGCHLD, 0);
		say(kind[i].name, pid < 0 ? -1 : 1);
		if (pid < 0)
			continue;
		waitpid(pid, &status, 0);
		sigaction(SIGUSR2, 0, &act);
		printf("%s: %s: status %d, its handler is %sours\n", now_in, kind[i].name, status,
		       act.sa_handler == on_signal ? "" : "not ");
	}
}

/* ---- futexes --------------------------------------------------------------------------------- */

static void futex_cases(void)
{
	static int word[2];
	char *gone = mmap(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(gone, PAGE);
	TRY(syscall(SYS_futex, gone, 1, 1));
	TRY(syscall(SYS_futex, gone, 129, 1));
	TRY(syscall(SYS_futex, word, 4, 1, 1L, gone, 0));
	TRY(syscall(SYS_futex, word, 4, -1, 1L, word + 1, 0));
	TRY(syscall(SYS_futex, word, 4, 1, -1L, word + 1, 0));
	TRY(syscall(SYS_futex, (char *)word + 1, 1, 1));
}

/* ---- limits ---------------------------------------------------------------------------------- */

static int limit_in_clone(void *arg)
{
	struct rlimit l = {8 << 20, 8 << 20};

	return setrlimit((int)(long)arg, &l);
}

static void file_size_limit(void)
{
	struct rlimit l = {3 * PAGE, 3 * PAGE};
	int fd = open("limited", O_CREAT | O_RDWR | O_TRUNC, 0600);
	static char buf[4 * PAGE];

	setrlimit(RLIMIT_FSIZE, &l);
	TRY(pwrite(fd, buf, sizeof(buf), PAGE));
	signal(SIGXFSZ, on_signal);
	seen = 0;
	TRY(pwrite(fd, buf, 1, 3 * PAGE));
	say("signal", seen);
	seen = 0;
	TRY(ftruncate(fd, 4 * PAGE));
	say("signal", seen);
	TRY(ftruncate(fd, 2 * PAGE));
	TRY(fallocate(memfd_create("limited", 0), 0, 0, 4 * PAGE));
	signal(SIGXFSZ, SIG_DFL);
	fflush(stdout);
	pwrite(fd, buf, 1, 3 * PAGE);
}

static void size_and_signal(int fd)
{
	struct stat st;

	fstat(fd, &st);
	say("size", st.st_size);
	say("signal", seen);
	seen = 0;
}

/* Every way for a file to grow, against a limit in the middle of a page. */
static void file_size_ways(void)
{
	const long limit = 3 * PAGE + 100;
	static char buf[4 * PAGE];
	struct iovec v[2] = {{buf, 3 * PAGE}, {buf, 2 * PAGE}};
	struct rlimit l = {limit, 8 * PAGE};
	int from, to, mem, big, p[2];
	off_t at;
	char *map;

	big = open("big", O_CREAT | O_RDWR | O_TRUNC, 0600);
	TRY(ftruncate(big, 6 * PAGE));
	map = mmap(0, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, big, 0);
	from = open("from", O_CREAT | O_RDWR | O_TRUNC, 0600);
	TRY(pwrite(from, buf, sizeof(buf), 0));
	TRY(pipe(p));
	signal(SIGXFSZ, on_signal);
	seen = 0;
	TRY(setrlimit(RLIMIT_FSIZE, &l));

	to = open("to", O_CREAT | O_RDWR | O_TRUNC, 0600);
	TRY(writev(to, v, 2));
	size_and_signal(to);
	TRY(write(to, buf, 0)); /* nothing, at the limit */
	TRY(write(to, buf, 1));
	size_and_signal(to);
	TRY(ftruncate(to, limit + 1));
	size_and_signal(to);
	TRY(truncate("to", limit + 1));
	size_and_signal(to);
	TRY(ftruncate(to, limit));
	TRY(ftruncate(to, 10));
	close(to);

	to = open("to", O_RDWR | O_APPEND);
	TRY(write(to, buf, sizeof(buf)));
	size_and_signal(to);
	TRY(write(to, buf, 1));
	size_and_signal(to);
	close(to);

	to = open("to", O_RDWR | O_TRUNC);
	TRY(sendfile(to, from, &(off_t){0}, sizeof(buf)));
	size_and_signal(to);
	TRY(sendfile(to, from, &(off_t){0}, 10));
	size_and_signal(to);
	TRY(ftruncate(to, 0));
	at = 0;
	TRY(syscall(SYS_copy_file_range, from, &(long long){0}, to, &at, sizeof(buf), 0));
	say("at", at);
	size_and_signal(to);
	TRY(syscall(SYS_copy_file_range, from, &(long long){0}, to, &at, 10, 0));
	size_and_signal(to);
	TRY(ftruncate(to, 2 * PAGE));
	TRY(write(p[1], buf, 2 * PAGE));
	at = 2 * PAGE;
	TRY(splice(p[0], 0, to, &at, 2 * PAGE, 0));
	say("at", at);
	size_and_signal(to);

	TRY(ftruncate(to, 0));
	TRY(fallocate(to, 0, PAGE, 3 * PAGE));
	size_and_signal(to);
	TRY(fallocate(to, FALLOC_FL_KEEP_SIZE, PAGE, 3 * PAGE));
	size_and_signal(to);
	TRY(fallocate(to, 0, 0, limit));
	size_and_signal(to);

	/* What lies beyond the limit already: it can be read, mapped and cut, not written. */
	TRY(pwrite(big, buf, 10, 4 * PAGE));
	size_and_signal(big);
	TRY(pwrite(big, buf, PAGE, 3 * PAGE));
	size_and_signal(big);
	TRY(pread(big, buf, 10, 4 * PAGE));
	map[5 * PAGE] = 1;
	TRY(fallocate(big, 0, 0, 5 * PAGE));
	TRY(fallocate(big, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * PAGE, PAGE));
	say("mapped", map[5 * PAGE]);
	TRY(ftruncate(big, 5 * PAGE));
	size_and_signal(big);

	mem = memfd_create("limited", MFD_ALLOW_SEALING);
	TRY(ftruncate(mem, limit + 1));
	size_and_signal(mem);
	TRY(write(mem, buf, sizeof(buf)));
	size_and_signal(mem);
	TRY(fcntl(mem, F_ADD_SEALS, F_SEAL_GROW));
	TRY(ftruncate(mem, limit + 1)); /* the seal comes first */
	TRY(pwrite(mem, buf, 1, limit));
	size_and_signal(mem);

	/* Numbers at the end of what a position can be: the limit comes first, or not. */
	TRY(pwrite(to, buf, 1, INT64_MAX));
	size_and_signal(to);
	TRY(ftruncate(to, INT64_MAX));
	size_and_signal(to);
	TRY(fallocate(to, 0, INT64_MAX, 1));
	size_and_signal(to);

	/* Blocked, ignored: the call fails all the same. */
	signal(SIGXFSZ, SIG_IGN);
	TRY(pwrite(to, buf, 1, limit));
	size_and_signal(to);
	l.rlim_cur = 8 * PAGE + 1;
	TRY(setrlimit(RLIMIT_FSIZE, &l));
	l.rlim_cur = 0;
	TRY(setrlimit(RLIMIT_FSIZE, &l));
	TRY(write(p[1], buf, 100)); /* a pipe is no file */
	TRY(ftruncate(to, 0));
	TRY(pwrite(to, buf, 1, 0));
	TRY(mkdir("limited-folder", 0700));
	TRY(symlink("limited", "limited-link"));
	TRY(rmdir("limited-folder"));
	TRY(unlink("limited-link"));
	fflush(stdout);
}

/* A child that ends at once; its number, or -1. */
static pid_t fork_short(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(0);
	return pid;
}

static void *nothing(void *arg)
{
	return arg;
}

/* Root has as many processes as it likes. A user's are counted until they are waited for, and threads count. */
static void process_limit(void)
{
	struct rlimit l = {2, 2};
	siginfo_t info;
	pthread_t t;
	pid_t first;

	TRY(setrlimit(RLIMIT_NPROC, &l));
	for (int i = 0; i < 3; i++)
		say("root's child", fork_short() > 0);
	while (wait(0) > 0)
		;
	TRY(setuid(1000));
	first = fork_short();
	say("a second process", first > 0);
	TRY(waitid(P_PID, first, &info, WEXITED | WNOWAIT));
	TRY(fork_short());
	say("a thread", pthread_create(&t, 0, nothing, 0));
	say("waitpid", waitpid(first, 0, 0) == first);
	say("a thread", pthread_create(&t, 0, nothing, 0));
	pthread_join(t, 0);
	l.rlim_cur = 1;
	TRY(setrlimit(RLIMIT_NPROC, &l));
	TRY(fork_short());
	l.rlim_cur = 0;
	TRY(setrlimit(RLIMIT_NPROC, &l));
	TRY(fork_short());
}

static void exec_status(void)
{
	execl("/proc/self/exe", "conform_calls", "status", "7", (char *)0);
	say("errno", errno);
}

/* setuid() to a user who has more processes than allowed succeeds, execve() after it does not. */
static void process_limit_exec(void)
{
	struct rlimit l = {0, 2};
	int ready[2];
	pid_t other;
	char c;

	fflush(stdout);
	pipe(ready);
	other = fork();
	if (!other) {
		write(ready[1], "", setuid(1001) == 0);
		pause();
		_exit(0);
	}
	read(ready[0], &c, 1);
	TRY(setrlimit(RLIMIT_NPROC, &l));
	TRY(setuid(1001));
	exec_status();
	l.rlim_cur = 1;
	TRY(setrlimit(RLIMIT_NPROC, &l));
	exec_status();
	l.rlim_cur = 2;
	TRY(setrlimit(RLIMIT_NPROC, &l));
	TRY(kill(other, SIGKILL));
	fflush(stdout);
	exec_status();
}

static void data_limit_zero(void)
{
	struct rlimit l = {0, RLIM_INFINITY};
	char *old = (char *)syscall(SYS_brk, 0);

	TRY(setrlimit(RLIMIT_DATA, &l));
	TRY(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	    MAP_FAILED);
	say("brk grows", (char *)syscall(SYS_brk, old + 16 * PAGE) != old);
}

static void limit_cases(void)
{
	static const int ours[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_NOFILE};

	for (int i = 0; i < 17; i++) {
		struct rlimit l = {7, 70}, back = {0, 0};

		if (i == RLIMIT_STACK || i == RLIMIT_AS || i == RLIMIT_DATA || i == RLIMIT_NOFILE ||
		    i == RLIMIT_FSIZE || i == RLIMIT_CPU)
			l.rlim_cur = l.rlim_max = 1 << 26;
		if (i == RLIMIT_NOFILE)
			l.rlim_cur = 100, l.rlim_max = 1000;
		TRY(getrlimit(i, &back));
		if (i == RLIMIT_CORE || i == RLIMIT_FSIZE || i == RLIMIT_DATA || i == RLIMIT_AS ||
		    i == RLIMIT_LOCKS || i == RLIMIT_RTTIME)
			printf("%s: limit %d is %lld, %lld\n", now_in, i, (long long)back.rlim_cur,
			       (long long)back.rlim_max);
		TRY(setrlimit(i, &l));
		getrlimit(i, &back);
		printf("%s: limit %d is now %lld, %lld\n", now_in, i, (long long)back.rlim_cur,
		       (long long)back.rlim_max);
		l.rlim_max = l.rlim_cur - 1;
		TRY(setrlimit(i, &l));
	}
	for (int i = 0; i < 4; i++) {
		struct rlimit before, after;
		int status, pid;

		getrlimit(ours[i], &before);
		pid = clone(limit_in_clone, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD,
			    (void *)(long)ours[i]);
		waitpid(pid, &status, 0);
		getrlimit(ours[i], &after);
		printf("%s: limit %d of the parent of a vfork child %s\n", now_in, ours[i],
		       before.rlim_cur == after.rlim_cur ? "stays" : "changes");
	}
}

/* ---- job control ----------------------------------------------------------------------------- */

static void stopper(void)
{
	raise(SIGSTOP);
	for (;;)
		pause();
}

static void show_wait(const char *what, int status)
{
	printf("%s: %s: exited %d, signalled %d, stopped %d by %d, continued %d\n", now_in, what,
	       WIFEXITED(status), WIFSIGNALED(status), WIFSTOPPED(status),
	       WIFSTOPPED(status) ? WSTOPSIG(status) : 0, WIFCONTINUED(status));
}

static volatile int child_signals;
static void on_child(int sig, siginfo_t *info, void *context)
{
	child_signals = child_signals * 10 + info->si_code;
}

static void stop_cases(void)
{
	struct sigaction act = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART};
	siginfo_t info = {0};
	int status, pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		stopper();
	say("waitpid, WUNTRACED", waitpid(pid, &status, WUNTRACED) == pid);
	show_wait("stopped", status);
	say("again", waitpid(pid, &status, WUNTRACED | WNOHANG));
	kill(pid, SIGCONT);
	say("waitpid, WCONTINUED", waitpid(pid, &status, WCONTINUED) == pid);
	show_wait("continued", status);
	kill(pid, SIGUSR1);
	say("waitpid", waitpid(pid, &status, 0) == pid);
	show_wait("ended", status);

	sigaction(SIGCHLD, &act, 0);
	fflush(stdout);
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	setpgid(pid, pid); /* a group whose parent is in another one may stop */
	kill(pid, SIGTSTP);
	say("waitid, WSTOPPED", waitid(P_PID, pid, &info, WSTOPPED));
	printf("%s: code %d status %d ours %d\n", now_in, info.si_code, info.si_status,
	       info.si_pid == pid);
	kill(pid, SIGTERM); /* does not come through while it is stopped */
	usleep(20000);
	say("still there", waitid(P_PID, pid, &info, WEXITED | WNOHANG) == 0 && !info.si_pid);
	kill(pid, SIGCONT);
	say("waitid, WEXITED", waitid(P_PID, pid, &info, WEXITED));
	printf("%s: code %d status %d\n", now_in, info.si_code, info.si_status);
	/* The last, CLD_KILLED, has no signal of its own when the one before it is still pending. */
	if (child_signals > 99)
		child_signals /= 10;
	printf("%s: SIGCHLD's codes: %d\n", now_in, child_signals);

	act.sa_flags |= SA_NOCLDSTOP;
	sigaction(SIGCHLD, &act, 0);
	child_signals = 0;
	pid = fork();
	if (!pid)
		stopper();
	waitpid(pid, &status, WUNTRACED);
	printf("%s: SA_NOCLDSTOP: codes %d\n", now_in, child_signals);
	kill(pid, SIGKILL); /* also what is stopped */
	waitpid(pid, &status, 0);
	show_wait("killed", status);
	signal(SIGCHLD, SIG_DFL);
}

/* ---- locks on files -------------------------------------------------------------------------- */

/* Each of two has a byte and waits for the other's. */
static void lock_circle(const char *what, const char *theirs, int set, int wait)
{
	struct flock a = {.l_type = F_WRLCK, .l_start = 0, .l_len = 1};
	struct flock b = {.l_type = F_WRLCK, .l_start = 1, .l_len = 1};
	int fd = open("locked", O_CREAT | O_RDWR, 0600), ready[2], pid;
	struct sigaction act = {.sa_handler = on_signal};
	char c;

	sigaction(SIGALRM, &act, 0);
	pipe(ready);
	say(what, fcntl(fd, set, &a));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		fd = open("locked", O_RDWR);
		fcntl(fd, set, &b);
		write(ready[1], "x", 1);
		fcntl(fd, wait, &a);
		_exit(0);
	}
	read(ready[0], &c, 1);
	/* Who closes the circle must come last. */
	until_asleep(pid, &pid);
	alarm(2);
	say(theirs, fcntl(fd, wait, &b));
	alarm(0);
	kill(pid, SIGKILL);
	waitpid(pid, 0, 0);
	close(ready[0]);
	close(ready[1]);
	close(fd);
}

/* Deadlocks of processes are found; those of open files are not, as nobody in particular waits. */
static void lock_cases(void)
{
	lock_circle("F_SETLK", "F_SETLKW in a circle", F_SETLK, F_SETLKW);
	lock_circle("F_OFD_SETLK", "F_OFD_SETLKW in a circle", F_OFD_SETLK, F_OFD_SETLKW);
}

/* ---- seals and rights ------------------------------------------------------------------------ */

static void seal_cases(void)
{
	int fd = memfd_create("s", MFD_ALLOW_SEALING);
	char *m, *p;

	ftruncate(fd, 4 * PAGE);
	m = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	munmap(m + PAGE, 2 * PAGE);
	munmap(m, PAGE);
	TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	munmap(m + 3 * PAGE, PAGE);
	p = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	p[0] = 'p';
	TRY(pwrite(fd, "x", 1, 0));
	TRY(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
	TRY(mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
	TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
	TRY(fcntl(fd, F_GET_SEALS));

	fd = memfd_create("f", MFD_ALLOW_SEALING);
	ftruncate(fd, 4 * PAGE);
	m = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK));
	m[0] = 1;
	TRY(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
	p = mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	say("a mapping that reads", p != MAP_FAILED);
	TRY(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	TRY(madvise(m, PAGE, MADV_REMOVE));
	TRY(ftruncate(fd, PAGE));
	TRY(ftruncate(fd, 8 * PAGE));
}

/* ---- files without names, named pipes --------------------------------------------------------- */

static long reopen(int fd, int flags)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return open(name, flags);
}

static void file_cases(void)
{
	int fds[2], fd, memfd = memfd_create("m", 0);
	struct stat st;
	struct pollfd p;
	char buf[8] = "";
	off_t *bad = mmap(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pipe(fds);
	fd = (int)reopen(fds[1], O_WRONLY);
	say("a pipe's end opened again", fd >= 0);
	TRY(write(fd, "hello", 5));
	close(fd);
	fd = (int)reopen(fds[0], O_RDONLY);
	TRY(read(fd, buf, 8));
	say("a pipe's stat by name", stat("/proc/self/fd/0", &st) >= -1);
	close(fd);
	close(fds[1]);
	TRY(read(fds[0], buf, 8));
	write(memfd, "abcdef", 6);
	fd = (int)reopen(memfd, O_RDONLY);
	TRY(read(fd, buf, 3));
	TRY(write(fd, buf, 3));
	TRY(reopen(memfd, O_RDWR | O_TRUNC) >= 0);
	fstat(memfd, &st);
	say("size after O_TRUNC", st.st_size);

	unlink("fifo");
	TRY(mkfifo("fifo", 0600));
	fd = open("fifo", O_RDWR);
	write(fd, "x", 1);
	p = (struct pollfd){fd, POLLIN | POLLOUT, 0};
	TRY(poll(&p, 1, 0));
	say("revents", p.revents);
	TRY(syscall(SYS_sync_file_range, fd, 0L, 1L, 4));
	close(fd);
	fd = open("fifo", O_RDONLY | O_NONBLOCK);
	p = (struct pollfd){fd, POLLIN, 0};
	TRY(poll(&p, 1, 0));
	TRY(open("fifo", O_WRONLY | O_NONBLOCK) >= 0);
	TRY(fcntl(fds[0], F_GETPIPE_SZ));

	memfd = memfd_create("y", 0);
	TRY(ftruncate(memfd, 0x7fffffffffffffff));
	TRY(pwrite(memfd, "z", 1, 0x7ffffffffffffffe));
	TRY(pwrite(memfd, "zz", 2, 0x7ffffffffffffffe));
	TRY(pread(memfd, buf, 2, 0x7ffffffffffffffe));
	fd = open("empty", O_CREAT | O_RDWR | O_TRUNC, 0600);
	TRY(sendfile(fds[0], fd, bad, 1));
	TRY(sendfile(memfd, fd, bad, 1));
	TRY(open("direct", O_CREAT | O_RDWR | O_DIRECT, 0600) >= 0);
	TRY(fcntl(fd, F_SETFL, O_DIRECT));
}

/* ---- scheduling ------------------------------------------------------------------------------- */

static void sched_cases(void)
{
	cpu_set_t set;

	TRY(setpriority(PRIO_PROCESS, 0, 5));
	TRY(getpriority(PRIO_PROCESS, 0));
	TRY(setpriority(PRIO_PROCESS, 0, 100));
	TRY(getpriority(PRIO_PROCESS, 0));
	TRY(setpriority(PRIO_PROCESS, -1, 2));
	TRY(getpriority(4, 0));
	TRY(setpriority(PRIO_PROCESS, 0, -30));
	TRY(getpriority(PRIO_PROCESS, 0));
	TRY(setpriority(PRIO_PROCESS, 0, 0));
	CPU_ZERO(&set);
	TRY(sched_setaffinity(0, sizeof(set), &set));
	CPU_SET(0, &set);
	CPU_SET(900, &set);
	TRY(sched_setaffinity(0, sizeof(set), &set));
	CPU_ZERO(&set);
	TRY(sched_getaffinity(0, sizeof(set), &set));
	say("CPUs", CPU_COUNT(&set));
	TRY(sched_setaffinity(0x3fffffff, sizeof(set), &set));
	TRY(syscall(SYS_sched_getaffinity, 0, 4, &set));
	CPU_ZERO(&set);
	CPU_SET(100, &set);
	TRY(sched_setaffinity(0, sizeof(set), &set));
}

/* ---- time that the process runs --------------------------------------------------------------- */

static volatile sig_atomic_t came[65];

static void count_signal(int sig)
{
	came[sig]++;
}

/* Run until the signal has come so often. */
static void burn_until(int sig, int times)
{
	while (came[sig] < times)
		;
}

/* Nothing is said of the call: the next tick of the clock may end the process before it has. */
static void cpu_limit_kills(void)
{
	struct rlimit l = {0, 0};

	if (setrlimit(RLIMIT_CPU, &l))
		_exit(1);
	for (;;)
		;
}

static void cpu_limit_ends(void)
{
	struct rlimit l = {0, 100};

	if (setrlimit(RLIMIT_CPU, &l))
		_exit(1);
	for (;;)
		;
}

static void cpu_timer_cases(void)
{
	struct itimerval it = {{0, 20000}, {0, 30000}}, old, off = {{0, 0}, {0, 0}},
			 hour = {{0, 0}, {3600, 0}};
	struct rlimit l = {0, 1000};

	signal(SIGVTALRM, count_signal);
	signal(SIGPROF, count_signal);
	signal(SIGXCPU, count_signal);
	TRY(setitimer(3, &it, NULL));
	TRY(getitimer(ITIMER_PROF, &old));
	say("nothing is set", old.it_value.tv_sec || old.it_value.tv_usec);
	TRY(setitimer(ITIMER_VIRTUAL, &it, NULL));
	burn_until(SIGVTALRM, 2);
	TRY(setitimer(ITIMER_VIRTUAL, &off, &old));
	say("interval", old.it_interval.tv_usec);
	say("due within it", old.it_value.tv_usec <= 30000);
	TRY(setitimer(ITIMER_PROF, &it, NULL));
	burn_until(SIGPROF, 2);
	it.it_interval.tv_usec = 0;
	TRY(setitimer(ITIMER_PROF, &it, NULL));
	burn_until(SIGPROF, came[SIGPROF] + 1);
	TRY(getitimer(ITIMER_PROF, &old));
	say("once", old.it_value.tv_usec || old.it_interval.tv_usec);
	TRY(setitimer(ITIMER_PROF, &hour, NULL));
	TRY(getitimer(ITIMER_PROF, &old));
	say("an hour", old.it_value.tv_sec >= 3590 && old.it_value.tv_sec <= 3600);
	say("SIGXCPU before there is a limit", came[SIGXCPU]);
	TRY(setrlimit(RLIMIT_CPU, &l));
	burn_until(SIGXCPU, 1);
	TRY(getrlimit(RLIMIT_CPU, &l));
	say("soft limit", l.rlim_cur);
	in_child("no second", cpu_limit_kills);
	signal(SIGXCPU, SIG_DFL);
	in_child("the default action", cpu_limit_ends);
}

/* ---- packets in pipes ------------------------------------------------------------------------- */

static void packet_cases(void)
{
	static char big[10000], buf[70000];
	struct pollfd p;
	int fds[2], n;

	TRY(pipe2(fds, O_DIRECT | O_NONBLOCK | 1));
	TRY(pipe2(fds, O_DIRECT | O_NONBLOCK));
	TRY(fcntl(fds[1], F_GETFL) & O_DIRECT);
	TRY(write(fds[1], "abc", 3));
	TRY(write(fds[1], "defgh", 5));
	TRY(write(fds[1], "", 0));
	TRY(ioctl(fds[0], FIONREAD, &n));
	say("bytes", n);
	TRY(read(fds[0], buf, 100));
	TRY(read(fds[0], buf, 2)); /* what it has no room for is lost */
	say("first", buf[0]);
	TRY(read(fds[0], buf, 100));
	TRY(write(fds[1], big, 10000)); /* packets of a page */
	TRY(read(fds[0], buf, 10000));
	TRY(read(fds[0], buf, 10000));
	TRY(read(fds[0], buf, 10000));
	TRY(read(fds[0], buf, 10000));
	for (n = 0; write(fds[1], "x", 1) == 1; n++)
		;
	say("packets that fit", n);
	p = (struct pollfd){fds[1], POLLOUT, 0};
	TRY(poll(&p, 1, 0));
	TRY(read(fds[0], buf, 100));
	TRY(poll(&p, 1, 0));
	TRY(write(fds[1], "yy", 2));
	TRY(fcntl(fds[1], F_SETFL, O_NONBLOCK)); /* a stream from now on */
	for (n = 0; n < 16; n++)
		read(fds[0], buf, 100);
	say("last packet", buf[0]);
	TRY(write(fds[1], "one", 3));
	TRY(write(fds[1], "two", 3));
	TRY(read(fds[0], buf, 100));
	TRY(write(fds[1], big, 4096));
	TRY(fcntl(fds[1], F_SETFL, O_NONBLOCK | O_DIRECT));
	TRY(write(fds[1], "a", 1));
	close(fds[1]);
	TRY(read(fds[0], buf, 4000));
	TRY(read(fds[0], buf, 4000));
	TRY(read(fds[0], buf, 4000));
	close(fds[0]);
}

static const struct {
	const char *name;
	void (*fn)(void);
	int forked; /* it spoils the process */
} cases[] = {
	{"exec", exec_cases, 0},       {"clone", clone_cases, 0},
	{"futex", futex_cases, 0},     {"limits", limit_cases, 1},
	{"fsize", file_size_limit, 1}, {"fsizeways", file_size_ways, 1},
	{"nproc", process_limit, 1},   {"nprocexec", process_limit_exec, 1},
	{"data0", data_limit_zero, 1}, {"stop", stop_cases, 0},
	{"locks", lock_cases, 0},      {"seals", seal_cases, 0},
	{"files", file_cases, 0},      {"sched", sched_cases, 1},
	{"packets", packet_cases, 0},  {"cputime", cpu_timer_cases, 1},
};

int main(int argc, char **argv)
{
	char dir[] = "/tmp/conform-XXXXXX";

	if (argc == 3 && !strcmp(argv[1], "status"))
		return atoi(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "pid"))
		return getpid() != atoi(argv[2]);
	if (argc > 1 && !strcmp(argv[1], "count")) {
		size_t bytes = 0;

		for (int i = 0; i < argc; i++)
			bytes += strlen(argv[i]) + 1;
		printf("%d arguments, %zu bytes\n", argc, bytes);
		return 3;
	}
	if (getenv("ARGC"))
		return argc == atoi(getenv("ARGC")) && !argv[0][0] ? 5 : 6;
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/tmp", 0777);
	/* A file system that has everything, where we may mount one. */
	if (!mkdtemp(dir) || (mount("none", dir, "tmpfs", 0, "") && geteuid() == 0) || chdir(dir)) {
		perror(dir);
		return 1;
	}
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (argc > 1 && strcmp(argv[1], cases[i].name))
			continue;
		now_in = cases[i].name;
		if (cases[i].forked)
			in_child("all", cases[i].fn);
		else
			cases[i].fn();
	}
	if (!chdir("/"))
		umount(dir);
	printf("%zu groups\n", sizeof(cases) / sizeof(cases[0]));
	return 0;
}
