/*
 * Running one command in the lab: what it is given, and watching it until it ends.
 *
 *   1. the job (program, arguments, environment, folder) and, in a sealed run, the files it needs
 *      are appended to the lab's initramfs, in memory
 *   2. QEMU is started on it (qemu.c)
 *   3. supervise(): output is passed on as it comes; the control channel says "start", ".", "fail",
 *      "exit N" (images/lab_init.c); standard input goes in as records, as much as "in N" has asked
 *      for
 *   4. QEMU is ended, whatever happened
 *
 * A run is live or sealed. Live: the command sees this machine's files through 9p. Sealed, for
 * instruction counts: it sees copies of the files it was named, and what it wrote comes back at its
 * end, so that no traffic with the outer machine falls into the count.
 *
 *   I1  the machine is ended on every way out of run_job(), and its death is waited for
 *   I2  "exit" comes after the last byte of output: what is in the sockets when it has been read is
 *       all there will be
 */
#include "lab/lab.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "terminal/terminal.h"
#include "lab/job.h"
#include "lab/monitor.h"
#include "lab/outlet.h"
#include "lab/qemu.h"
#include "machine/clock.h"
#include "machine/own_time.h"

/* Seconds of own time without a sign of life after which the machine counts as hung. Signs come every second of
 * its clock, which is ours, or much slower when instructions are counted. */
#define PATIENCE_ICOUNT_S 240
#define CLOCK_UNIT_NS	  10000000ull

/** The last few KiB of a stream, for the sentence about a failure. */
struct tail {
	char text[8192];
	size_t len;
};

static void tail_add(struct tail *t, const char *data, size_t len)
{
	size_t drop;

	if (len > sizeof(t->text) - 1) {
		data += len - (sizeof(t->text) - 1);
		len = sizeof(t->text) - 1;
	}
	drop = t->len + len > sizeof(t->text) - 1 ? t->len + len - (sizeof(t->text) - 1) : 0;
	memmove(t->text, t->text + drop, t->len - drop);
	t->len -= drop;
	memcpy(t->text + t->len, data, len);
	t->len += len;
	t->text[t->len] = 0;
}

/** The line of a tail that contains `what`, or its last line when `what` is NULL. */
static const char *tail_line(struct tail *t, const char *what, char *buf, size_t size)
{
	char *line, *end;

	while (t->len && strchr("\r\n", t->text[t->len - 1]))
		t->text[--t->len] = 0;
	line = what ? strstr(t->text, what) : t->text + t->len;
	if (!line)
		return NULL;
	while (line > t->text && line[-1] != '\n')
		line--;
	end = line + strcspn(line, "\r\n");
	snprintf(buf, size, "%.*s", (int)(end - line), line);
	return *buf ? buf : NULL;
}

bool lab_available(char *why, size_t size)
{
	struct lab_files files;

	if (lab_inside()) {
		snprintf(why, size, "this is the lab");
		return false;
	}
	return !lab_find_files(&files, why, size);
}

bool lab_inside(void)
{
	return getenv(LAB_INSIDE_ENV) != NULL;
}

/* ---- supervision ---------------------------------------------------------------------------- */

struct watch {
	struct lab_qemu qemu;
	const struct lab_options *opt;
	int patience_s, boot_patience_s;
	enum lab_input input; /* NONE: none, or at its end */
	unsigned int credit;  /* bytes of input the machine has asked for */
	struct tail console, qemu_stderr;
	struct outlet out, err; /* the command's standard output and error, to ours */
	char line[600];		/* of the control channel, so far */
	size_t line_len;
	bool started, finished, raw;
	uint64_t started_ns; /* by the clock */
	int status;
	char failure[512];
	struct own_time own; /* of QEMU */
	uint64_t last_sign;  /* by that: ns */
	uint64_t last_look;  /* by the clock: s */
	uint64_t passed_on;  /* of it, ns: what the machine knows */
	uint64_t busy_ns;    /* since the last sign, CPU time that QEMU's threads took or wanted */
};

/** A record for the machine: kind, length in two bytes, data. It has asked for no more than its
 * socket has room for. */
static void send_record(struct watch *w, char kind, const void *data, size_t len)
{
	unsigned char rec[3 + 4096] = {(unsigned char)kind, len & 0xff, (unsigned char)(len >> 8)};
	size_t done = 0, all = 3 + len;

	memcpy(rec + 3, data, len);
	while (done < all && w->qemu.fd[LAB_INPUT] >= 0) {
		struct pollfd p = {w->qemu.fd[LAB_INPUT], POLLOUT, 0};
		ssize_t n = write(p.fd, rec + done, all - done);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && (errno == EAGAIN || errno == EINTR))
			poll(&p, 1, 1000);
		else
			return; /* the machine has ended: supervise() sees it */
	}
}

static void send_window_size(struct watch *w)
{
	uint16_t size[2];

	if (w->input != LAB_INPUT_TTY)
		return;
	terminal_size(STDIN_FILENO, &size[0], &size[1]);
	send_record(w, 'w', size, sizeof(size));
}

/** The machine can take `n` more bytes. Before the first of it keys are signals for us, as always:
 * the lab's start can be broken off. */
static void input_wanted(struct watch *w, unsigned int more)
{
	if (!w->credit && w->input == LAB_INPUT_TTY && !w->raw) {
		w->raw = !terminal_raw(STDIN_FILENO);
		send_window_size(w);
	}
	w->credit = more < 4096 - w->credit ? w->credit + more : 4096;
}

static void pass_input(struct watch *w)
{
	char buf[4096];
	ssize_t n = read(STDIN_FILENO, buf, w->credit);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		w->credit -= (unsigned int)n;
		send_record(w, 'd', buf, (size_t)n);
	} else {
		w->input = LAB_INPUT_NONE;
		send_record(w, 'e', "", 0);
	}
}

static void control_line(struct watch *w)
{
	unsigned int more;

	w->last_sign = w->own.ns;
	w->busy_ns = 0;
	if (!strcmp(w->line, "start")) {
		w->started = true;
		w->started_ns = machine_now_ns();
	}
	if (!strcmp(w->line, "turns"))
		lab_monitor_take_turns(w->qemu.fd[LAB_MONITOR]);
	if (sscanf(w->line, "in %u", &more) == 1)
		input_wanted(w, more);
	else if (!strncmp(w->line, "fail ", 5))
		snprintf(w->failure, sizeof(w->failure), "%s", w->line + 5);
	else if (sscanf(w->line, "exit %d", &w->status) == 1)
		w->finished = true;
}

static void take_control(struct watch *w, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] != '\n') {
			if (w->line_len < sizeof(w->line) - 1)
				w->line[w->line_len++] = data[i];
			continue;
		}
		w->line[w->line_len] = 0;
		w->line_len = 0;
		control_line(w);
	}
}

/** Our reader is far behind: no more output is taken from the lab. Then the lab's command waits, as one would
 * whose output goes into a full pipe. */
static bool must_wait(struct watch *w, enum lab_channel channel)
{
	return (channel == LAB_STDOUT && outlet_full(&w->out)) ||
	       ((channel == LAB_STDERR || channel == LAB_CONSOLE) && outlet_full(&w->err));
}

/** Take what a channel has. Returns false when there is nothing now, or nothing ever again. */
static bool take(struct watch *w, enum lab_channel channel)
{
	char buf[16384];
	ssize_t n;

	if (w->qemu.fd[channel] < 0 || must_wait(w, channel))
		return false;
	n = read(w->qemu.fd[channel], buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close(w->qemu.fd[channel]);
		w->qemu.fd[channel] = -1;
		return false;
	}
	switch (channel) {
	case LAB_CONTROL:
		take_control(w, buf, (size_t)n);
		break;
	case LAB_STDOUT:
		if (w->opt->output)
			w->opt->output(buf, (size_t)n, w->opt->output_arg);
		else
			outlet_put(&w->out, buf, (size_t)n);
		break;
	case LAB_STDERR:
		outlet_put(&w->err, buf, (size_t)n);
		break;
	case LAB_CONSOLE:
		tail_add(&w->console, buf, (size_t)n);
		if (w->opt->verbose)
			outlet_put(&w->err, buf, (size_t)n);
		break;
	default:
		tail_add(&w->qemu_stderr, buf, (size_t)n);
		break;
	}
	return true;
}

static void take_all(struct watch *w)
{
	for (int i = 0; i < LAB_CLOCK; i++) {
		while (take(w, i)) {
		}
	}
}

/** Once a second: send the machine how much processor time QEMU has had. Each byte is a number of hundredths of a
 * second. What does not fit is sent the next time. */
static void look_at_time(struct watch *w)
{
	const uint64_t second = machine_now_ns() / 1000000000u;
	uint64_t units;

	if (second == w->last_look)
		return;
	w->last_look = second;
	own_time_look(&w->own, &w->qemu.pid, 1);
	w->busy_ns += w->own.ran + w->own.waited;
	while ((units = (w->own.ns - w->passed_on) / CLOCK_UNIT_NS) > 0) {
		unsigned char byte = units < 255 ? (unsigned char)units : 255;

		if (send(w->qemu.fd[LAB_CLOCK], &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
			break;
		w->passed_on += byte * CLOCK_UNIT_NS;
	}
}

/** Seconds of silence that are a hang. */
static int patience_now(const struct watch *w)
{
	return w->started ? w->patience_s : w->boot_patience_s;
}

/** Since the last sign of life QEMU has been busy, and yet its processors do not move. */
static bool stands_still(struct watch *w)
{
	uint64_t silent = w->own.ns - w->last_sign;

	return w->busy_ns > silent / 4 * 3 && lab_monitor_stands_still(w->qemu.fd[LAB_MONITOR]);
}

enum qemu_end { QEMU_ENDED, QEMU_SILENT };

/** QEMU has ended, or says nothing: why, in a sentence. */
static int explain(struct watch *w, enum qemu_end how, struct mmvm_error *err)
{
	char line[300];

	if (tail_line(&w->console, "Kernel panic", line, sizeof(line)))
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "the lab's kernel crashed (%s); see it with -v, or give the lab "
				  "more memory",
				  line);
	/*
	 * QEMU's emulation of SVM sometimes stops executing, its threads busy with the delivery of
	 * an interrupt, above all when its processors run side by side. A guest that is deadlocked
	 * is another matter: then the lab's own Linux is alive and says so every second.
	 */
	if (how == QEMU_SILENT && w->started && stands_still(w)) {
		if (w->opt->hang)
			*w->opt->hang = LAB_EMULATOR_HUNG;
		return mmvm_error(
			err, MMVM_EXIT_HOST,
			"the lab's emulator hung: in %d s its processors executed nothing, "
			"though QEMU was busy; run it again",
			patience_now(w));
	}
	if (how == QEMU_SILENT && w->started && w->opt->hang)
		*w->opt->hang = LAB_SILENT;
	if (how == QEMU_SILENT)
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "the lab %s for %d s and was ended; is this machine overloaded?",
				  w->started ? "hung: no sign of life" : "did not start",
				  patience_now(w));
	if (tail_line(&w->qemu_stderr, NULL, line, sizeof(line)))
		return mmvm_error(err, MMVM_EXIT_HOST, "QEMU could not run the lab: %s", line);
	if (w->started && w->opt->cpus > 1 && w->opt->hang)
		*w->opt->hang = LAB_RESET;
	return mmvm_error(err, MMVM_EXIT_HOST, "QEMU ended before the command did; see -v");
}

/** Is there more in the channels, that is not taken because our reader is behind? */
static bool held_up(struct watch *w)
{
	return outlet_full(&w->out) || outlet_full(&w->err);
}

static bool outlets_done(struct watch *w)
{
	return outlet_done(&w->out) && outlet_done(&w->err);
}

/** ^Z: QEMU, which is in a process group of its own, stops and goes on with us. */
static void stop_both(struct watch *w)
{
	kill(w->qemu.pid, SIGSTOP);
	raise(SIGSTOP);
	kill(w->qemu.pid, SIGCONT);
	/* The time between was nobody's. */
	own_time_look(&w->own, &w->qemu.pid, 1);
	w->last_sign = w->passed_on = w->own.ns;
	w->busy_ns = 0;
}

/** Handle signals that have come. Returns 128 + one that ends the run, or 0; *ended: QEMU has. */
static int take_signals(struct watch *w, int signal_fd, bool *ended)
{
	struct signalfd_siginfo info;
	siginfo_t child = {0};

	while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH) {
			send_window_size(w);
			continue;
		}
		if (info.ssi_signo == SIGTSTP) {
			stop_both(w);
			continue;
		}
		if (info.ssi_signo != SIGCHLD)
			return 128 + (int)info.ssi_signo;
		/* it may only have been stopped: then waitid() leaves si_pid 0 */
		*ended = !waitid(P_PID, (id_t)w->qemu.pid, &child, WEXITED | WNOHANG | WNOWAIT) &&
			 child.si_pid;
	}
	return 0;
}

/** The command has ended and all it wrote is in the outlets: until our reader has it. */
static int drain(struct watch *w, int signal_fd, int status)
{
	uint64_t begin = machine_now_ns(), limit = (uint64_t)w->opt->timeout_s * 1000000000u;
	bool ended;

	while (!outlets_done(w)) {
		struct pollfd p = {signal_fd, POLLIN, 0};
		int rc;

		poll(&p, 1, 10);
		rc = take_signals(w, signal_fd, &ended);
		if (rc)
			return rc;
		if (limit && machine_now_ns() - begin > limit)
			return MMVM_EXIT_TIMEOUT;
	}
	return status;
}

/** Returns the command's status, 128 + signal when one came, or -1 with `err`. */
static int supervise(struct watch *w, int signal_fd, struct mmvm_error *err)
{
	const uint64_t limit = (uint64_t)w->opt->timeout_s * 1000000000u;
	bool ended = false;

	for (;;) {
		struct pollfd p[LAB_CLOCK + 2];
		int i, rc;

		for (i = 0; i < LAB_CLOCK; i++)
			p[i] = (struct pollfd){must_wait(w, i) ? -1 : w->qemu.fd[i], POLLIN, 0};
		p[i++] = (struct pollfd){signal_fd, POLLIN, 0};
		p[i] = (struct pollfd){w->input && w->credit ? STDIN_FILENO : -1, POLLIN, 0};
		/* Nothing tells when a full outlet has room again. */
		if (poll(p, LAB_CLOCK + 2, held_up(w) ? 20 : 1000) < 0 && errno != EINTR)
			return mmvm_error(err, MMVM_EXIT_HOST, "poll: %s", strerror(errno));
		rc = take_signals(w, signal_fd, &ended);
		if (rc)
			return rc;
		take_all(w);
		if (p[LAB_CLOCK + 1].revents)
			pass_input(w);
		/* What came between reading the first and the last channel is still to be taken. */
		if (w->finished && !held_up(w)) {
			take_all(w);
			if (!held_up(w))
				return drain(w, signal_fd, w->status);
		}
		if (*w->failure)
			return mmvm_error(err, MMVM_EXIT_HOST, "the lab failed: %s", w->failure);
		if (ended && !held_up(w))
			return explain(w, QEMU_ENDED, err);
		look_at_time(w);
		if (held_up(w)) {
			/* The machine waits for us; its own time limit may be behind that. */
			w->last_sign = w->own.ns;
			w->busy_ns = 0;
			if (limit && w->started && machine_now_ns() - w->started_ns > limit)
				return MMVM_EXIT_TIMEOUT;
		}
		if (w->own.ns - w->last_sign > (uint64_t)patience_now(w) * 1000000000)
			return explain(w, QEMU_SILENT, err);
	}
}

/** The watch and its threads, when there is nothing to wait for any more. */
static void free_watch(struct watch *w)
{
	bool done = outlets_done(w);

	outlet_close(&w->out);
	outlet_close(&w->err);
	own_time_free(&w->own);
	/* A reader who never reads keeps a thread, and the thread its outlet, until we end. */
	if (done)
		free(w);
}

/** Watch for a signal, unless whoever started us chose that it is ignored (nohup). */
static void watch_for(sigset_t *set, int sig)
{
	struct sigaction now;

	if (sigaction(sig, NULL, &now) || now.sa_handler != SIG_IGN)
		sigaddset(set, sig);
}

static int run_job(struct job *job, const struct lab_files *files, const struct lab_options *opt,
		   struct mmvm_error *err)
{
	struct watch *w = calloc(1, sizeof(*w));
	sigset_t set, old;
	int signal_fd, status = -1, usual, rc;

	if (!w)
		return mmvm_error(err, MMVM_EXIT_HOST, "out of memory");
	w->opt = opt;
	w->input = opt->input;
	usual = opt->icount ? PATIENCE_ICOUNT_S : LAB_PATIENCE_S;
	w->patience_s = opt->patience_s ? opt->patience_s : usual;
	w->boot_patience_s = opt->boot_patience_s ? opt->boot_patience_s : usual;
	own_time_init(&w->own);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	watch_for(&set, SIGHUP);
	watch_for(&set, SIGPIPE); /* from an outlet's thread */
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGCHLD);
	if (w->input == LAB_INPUT_TTY)
		sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, &old);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	rc = outlet_open(&w->out, opt->stdout_fd ? opt->stdout_fd : STDOUT_FILENO);
	if (!rc)
		rc = outlet_open(&w->err, STDERR_FILENO);
	if (signal_fd < 0 || rc)
		mmvm_error(err, MMVM_EXIT_HOST, "cannot watch the lab: %s",
			   strerror(rc ? -rc : errno));
	else if (!lab_qemu_start(&w->qemu, files, job->archive.fd, job->share, job->nr_shares, opt,
				 err)) {
		status = supervise(w, signal_fd, err);
		lab_qemu_stop(&w->qemu);
	}
	terminal_restore();
	if (signal_fd >= 0)
		close(signal_fd);
	/* Before signals are let through again: no thread may take one that we wait for. */
	free_watch(w);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return status;
}

bool lab_wants_la57(const char *append)
{
	return append && strstr(append, "la57=on");
}

int lab_exec_command(int argc, char **argv, const struct lab_options *opt, struct mmvm_error *err)
{
	struct lab_files files;
	struct job job;
	char why[300];
	int status = -1;

	if (lab_inside())
		return mmvm_error(err, MMVM_EXIT_HOST, "this is the lab already");
	if (lab_find_files(&files, why, sizeof(why)))
		return mmvm_error(err, MMVM_EXIT_HOST, "the lab is not available: %s", why);
	fflush(NULL);
	if (!job_prepare(&job, &files, argc, argv, opt, err))
		status = run_job(&job, &files, opt, err);
	job_free(&job);
	return status;
}

int lab_exec(int argc, char **argv, const struct lab_options *opt, struct mmvm_error *err)
{
	char self[PATH_MAX], **v;
	int i, n = 0, status;
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	v = calloc((size_t)argc + 4, sizeof(*v));
	if (len < 0 || !v) {
		free(v);
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot find this program: %s",
				  strerror(errno));
	}
	self[len] = 0;
	v[n++] = self;
	if (argc > 1)
		v[n++] = argv[1];
	v[n++] = (char *)"--accel";
	v[n++] = (char *)"kvm";
	for (i = 2; i < argc; i++) {
		/* what follows belongs to the guest's program */
		if (!strcmp(argv[i], "--exec") || !strcmp(argv[i], "--"))
			break;
		if (!strcmp(argv[i], "--accel"))
			i++;
		else if (strncmp(argv[i], "--accel=", 8) && strcmp(argv[i], "--icount"))
			v[n++] = argv[i];
	}
	for (; i < argc; i++)
		v[n++] = argv[i];
	status = lab_exec_command(n, v, opt, err);
	free(v);
	return status;
}
