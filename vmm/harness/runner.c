/*
 * Jobs side by side, verdicts in order.
 *
 *   slot 0: [child pid, pipe, deadline, what came through]     done[]: verdicts not yet put out,
 *   slot 1: ...                                                because an earlier one is missing
 *
 * A child is judged by what it wrote and by how it ended: a complete message and status 0 make its
 * verdict; anything else (a signal, a sanitizer's exit) is a failure of mmvm itself, told with what
 * it printed. A child past its limit is killed. When mmvm is killed, its children die with it
 * (PR_SET_PDEATHSIG), and with them their machines and their unlinked disks.
 */
#include "harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/cli.h"
#include "machine/own_time.h"

#define MAX_JOBS 64u

struct slot {
	pid_t pid; /* 0 = free */
	unsigned int test;
	int pipe, log; /* log: the child's stdout and stderr, a memory file */
	uint64_t started, looked;
	struct own_time own; /* of the child: what its limit counts */
	char *got;
	size_t got_len;
	bool killed;
};

struct runner {
	const struct harness *h;
	const struct mmvm_test_desc *const *t;
	unsigned int nr, next; /* next to start */
	struct slot slot[MAX_JOBS];
	unsigned int nr_slots;
	struct verdict *done;
	bool *is_done;
	unsigned int shown; /* verdicts put out */
	struct test_output *o;
};

static int start(struct runner *r, struct slot *s, unsigned int test, struct mmvm_error *err)
{
	pid_t parent = getpid();
	int fds[2] = {-1, -1}, log = -1;

	if (pipe2(fds, O_CLOEXEC))
		goto fail;
	log = memfd_create("mmvm-test", MFD_CLOEXEC);
	if (log < 0)
		goto fail;
	/* Flush first: the child would write buffered output a second time. */
	fflush(NULL);
	memset(s, 0, sizeof(*s));
	s->pid = fork();
	if (s->pid < 0) {
		s->pid = 0;
		goto fail;
	}
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(MMVM_EXIT_HOST);
		/* The parent decides. */
		signal(SIGINT, SIG_IGN);
		signal(SIGQUIT, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		signal(SIGPIPE, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		dup2(log, STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
		close(fds[0]);
		r->h->child(r->h, r->t[test], fds[1]);
		_exit(0);
	}
	close(fds[1]);
	s->pipe = fds[0];
	s->log = log;
	s->test = test;
	s->started = machine_now_ns();
	own_time_init(&s->own);
	return 0;
fail:
	mmvm_error(err, MMVM_EXIT_HOST, "cannot start a test: %s", strerror(errno));
	if (fds[0] >= 0) {
		close(fds[0]);
		close(fds[1]);
	}
	if (log >= 0)
		close(log);
	return -1;
}

/** What the child printed, appended to `detail` (allocated or NULL). */
static char *with_log(char *detail, int log)
{
	char buf[16384];
	ssize_t n = pread(log, buf, sizeof(buf), 0);
	size_t old = detail ? strlen(detail) : 0;
	char *all;

	if (n <= 0)
		return detail;
	all = realloc(detail, old + (size_t)n + 32);
	if (!all)
		return detail;
	memcpy(all + old, "mmvm printed:\n", 14);
	memcpy(all + old + 14, buf, (size_t)n);
	all[old + 14 + (size_t)n] = '\0';
	return all;
}

static void __attribute__((format(printf, 2, 3))) fail_mmvm(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	v->kind = VERDICT_FAIL;
	va_start(ap, fmt);
	vsnprintf(v->reason, sizeof(v->reason), fmt, ap);
	va_end(ap);
}

/** The child has said what it had to say: it ends now, or is made to. Nobody reads its pipe any
 * more, so that one that still writes gets an error. */
static void reap(struct slot *s, unsigned int grace_s, int *status)
{
	uint64_t end = machine_now_ns() + 1000000000ull * grace_s;
	pid_t pid;

	close(s->pipe);
	while ((pid = waitpid(s->pid, status, s->killed ? 0 : WNOHANG)) != s->pid) {
		if (pid < 0 && errno != EINTR)
			return;
		if (pid == 0 && machine_now_ns() > end) {
			s->killed = true;
			kill(s->pid, SIGKILL);
		} else if (pid == 0) {
			usleep(500);
		}
	}
}

/** The child is at its end: its verdict. */
static void finish(struct runner *r, struct slot *s)
{
	struct verdict *v = &r->done[s->test];
	const struct job_message *msg = (const void *)s->got;
	bool complete = s->got_len >= sizeof(*msg) && msg->magic == JOB_MAGIC &&
			msg->detail_len <= JOB_DETAIL_MAX &&
			s->got_len == sizeof(*msg) + msg->detail_len;
	int status = 0;

	reap(s, r->h->grace_s, &status);
	memset(v, 0, sizeof(*v));
	v->seed = r->h->seed;
	v->ns = machine_now_ns() - s->started;
	if (complete) {
		v->kind = msg->kind;
		v->host_error = msg->host_error;
		v->ns = msg->ns;
		memcpy(v->reason, msg->reason, sizeof(v->reason));
		v->reason[sizeof(v->reason) - 1] = '\0';
		if (msg->detail_len)
			v->detail = strndup(s->got + sizeof(*msg), msg->detail_len);
	}
	if (s->killed)
		fail_mmvm(v, "mmvm itself hung and was killed");
	else if (WIFSIGNALED(status))
		fail_mmvm(v, "mmvm itself died: %s", strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		fail_mmvm(v, "mmvm itself failed with status %d", WEXITSTATUS(status));
	else if (!complete)
		fail_mmvm(v, "mmvm itself gave no verdict");
	if (v->kind == VERDICT_FAIL)
		v->detail = with_log(v->detail, s->log);
	r->is_done[s->test] = true;
	close(s->log);
	free(s->got);
	own_time_free(&s->own);
	memset(s, 0, sizeof(*s));
}

/** Read the bytes available. True at the end of the pipe. */
static bool drain(struct slot *s)
{
	char buf[8192], *more;
	ssize_t n = read(s->pipe, buf, sizeof(buf));

	if (n < 0)
		return errno != EINTR && errno != EAGAIN;
	if (n == 0)
		return true;
	if (s->got_len + (size_t)n > sizeof(struct job_message) + JOB_DETAIL_MAX)
		return true;
	more = realloc(s->got, s->got_len + (size_t)n);
	if (!more)
		return true;
	memcpy(more + s->got_len, buf, (size_t)n);
	s->got = more;
	s->got_len += (size_t)n;
	return false;
}

static void show(struct runner *r)
{
	while (r->shown < r->nr && r->is_done[r->shown]) {
		output_test(r->o, r->t[r->shown], &r->done[r->shown]);
		free(r->done[r->shown].detail);
		r->done[r->shown].detail = NULL;
		r->shown++;
	}
}

/** Own time after which a test's process hangs. */
static uint64_t limit_ns(const struct runner *r, unsigned int test)
{
	return 1000000000ull *
	       (plan_limit_s(r->t[test], r->h->emulated, r->h->scale) + r->h->grace_s);
}

/** Wait for something to happen, at most half a second (a signal may come just before poll). */
static void wait_for_jobs(struct runner *r)
{
	struct pollfd fds[MAX_JOBS];
	unsigned int which[MAX_JOBS], nr = 0;
	uint64_t now;

	for (unsigned int i = 0; i < r->nr_slots; i++) {
		if (!r->slot[i].pid)
			continue;
		which[nr] = i;
		fds[nr++] = (struct pollfd){.fd = r->slot[i].pipe, .events = POLLIN};
	}
	if (poll(fds, nr, 500) < 0)
		return;
	now = machine_now_ns();
	for (unsigned int i = 0; i < nr; i++) {
		struct slot *s = &r->slot[which[i]];

		if (fds[i].revents && drain(s)) {
			finish(r, s);
		} else if (!s->killed && now > s->looked + 1000000000) {
			s->looked = now;
			if (own_time_look(&s->own, &s->pid, 1) <= limit_ns(r, s->test))
				continue;
			s->killed = true;
			kill(s->pid, SIGKILL);
		}
	}
}

int runner_run(const struct harness *h, const struct mmvm_test_desc *const *t, unsigned int nr,
	       struct test_output *o, struct mmvm_error *err)
{
	struct runner *r = calloc(1, sizeof(*r));
	unsigned int running;
	int ret = 0;

	if (!r)
		return mmvm_error(err, MMVM_EXIT_HOST, "out of memory");
	r->h = h;
	r->t = t;
	r->nr = nr;
	r->o = o;
	r->nr_slots = h->jobs < MAX_JOBS ? h->jobs : MAX_JOBS;
	r->done = calloc(nr, sizeof(*r->done));
	r->is_done = calloc(nr, sizeof(*r->is_done));
	if (!r->done || !r->is_done) {
		ret = mmvm_error(err, MMVM_EXIT_HOST, "out of memory");
		goto out;
	}
	cli_stop_on_signals(NULL);
	do {
		running = 0;
		for (unsigned int i = 0; i < r->nr_slots; i++) {
			struct slot *s = &r->slot[i];

			if (!s->pid && r->next < nr && !ret) {
				ret = start(r, s, r->next, err);
				r->next += ret == 0;
			}
			running += s->pid != 0;
		}
		if (running)
			wait_for_jobs(r);
		/* Where no machine can be made, the first test says why, once. */
		for (unsigned int i = r->shown; i < r->next && !ret; i++)
			if (r->is_done[i] && r->done[i].host_error)
				ret = mmvm_error(err, MMVM_EXIT_HOST, "%s", r->done[i].reason);
		if (!ret)
			show(r);
		if (!ret && cli_signal())
			ret = cli_signal();
	} while (!ret && (running || r->next < nr));
out:
	for (unsigned int i = 0; i < r->nr_slots; i++) {
		if (!r->slot[i].pid)
			continue;
		r->slot[i].killed = true;
		kill(r->slot[i].pid, SIGKILL);
		finish(r, &r->slot[i]);
	}
	for (unsigned int i = 0; r->done && i < nr; i++)
		free(r->done[i].detail);
	free(r->done);
	free(r->is_done);
	free(r);
	return ret;
}
