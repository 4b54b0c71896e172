/*
 * mmvm top: a running machine in the terminal, from the status file that its `mmvm run` keeps
 * (result/status.h).
 *
 * On a terminal each frame fills the screen, cut to its size; q or ^C ends, and the terminal is as
 * before whatever ends us short of SIGKILL. Without one, frames follow each other as lines.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "cli/cli.h"
#include "commands.h"
#include "result/status.h"
#include "report/report.h"
#include "report/top.h"

#define MAX_RUNS	 64u
#define DEFAULT_INTERVAL 1000u /* ms */
/** How often a run is waited for that has no sample yet, or a file that is being written. */
#define RETRY_MS 50u
#define RETRIES	 200u

struct options {
	unsigned int interval;
	bool once, list;
};

static const struct cli_option options[] = {
	{.name = "--once",
	 .help = "one frame, then end",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct options, once)},
	{.name = "--interval",
	 .value = "MS",
	 .help = "time between frames (1000); a run has news at each of its samples",
	 .kind = OPTION_UINT,
	 .offset = offsetof(struct options, interval),
	 .min = 10,
	 .max = 3600000},
	{.name = "--list",
	 .help = "the runs there are",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct options, list)},
	{0},
};

static volatile sig_atomic_t stop, suspended;

static void on_signal(int sig)
{
	if (sig == SIGTSTP)
		suspended = 1;
	else
		stop = 1;
}

/* ---- the terminal ---------------------------------------------------------------------------- */

static struct termios before;
static bool raw, at_exit;

static void restore(void)
{
	static const char leave[] = "\033[?25h\033[?1049l";

	if (!raw)
		return;
	raw = false;
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	if (write(STDOUT_FILENO, leave, sizeof(leave) - 1) < 0)
		return; /* the terminal was closed */
}

/** Keys come at once and are not shown; another screen, no cursor. */
static void take_terminal(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &before))
		return;
	t = before;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 0;
	raw = true;
	if (!at_exit)
		atexit(restore);
	at_exit = true;
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
	fputs("\033[?1049h\033[?25l", stdout);
}

/** ^Z: the terminal as the shell knows it while we are stopped, and ours again afterwards. */
static void suspend(void)
{
	bool was_raw = raw;

	suspended = 0;
	restore();
	raise(SIGSTOP);
	if (was_raw)
		take_terminal();
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART: poll() ends */

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGQUIT, &sa, NULL);
	sigaction(SIGTSTP, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL); /* a reader that has seen enough: fflush() says so */
}

static void wait_ms(unsigned int ms, bool keys)
{
	struct pollfd pfd = {.fd = STDIN_FILENO, .events = POLLIN};
	char c;

	if (poll(&pfd, keys ? 1 : 0, (int)ms) <= 0)
		return;
	if (read(STDIN_FILENO, &c, 1) <= 0 || c == 'q' || c == 'Q')
		stop = 1;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static int draw_plain(const struct status *s, bool more)
{
	top_frame(stdout, s, 0, 0, report_want_colour(stdout), "\n");
	if (more)
		putchar('\n');
	return fflush(stdout);
}

static int draw_screen(const struct status *s)
{
	struct winsize ws = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) || !ws.ws_row || !ws.ws_col)
		ws = (struct winsize){.ws_row = 24, .ws_col = 80};
	fputs("\033[H", stdout);
	/* The last line stays free: a newline there would scroll. */
	top_frame(stdout, s, ws.ws_row - 1u, ws.ws_col, report_want_colour(stdout), "\033[K\n");
	fputs("\033[J", stdout);
	return fflush(stdout);
}

enum reading { READ_AGAIN, READ_FIRST };

/** Read until it is whole; for the first frame also until there are two snapshots, when the run
 * takes any. */
static int read_settled(const char *path, struct status *s, enum reading reading)
{
	int rc = -EAGAIN;

	for (unsigned int i = 0; i < RETRIES && !stop; i++) {
		rc = status_read(path, s);
		if (rc && rc != -EAGAIN)
			return rc;
		if (!rc && (reading != READ_FIRST || (s->before.t_ns && s->now.t_ns) ||
			    (s->cpus && !s->tick_ms)))
			return 0;
		wait_ms(RETRY_MS, raw);
		if (suspended)
			suspend();
	}
	return rc;
}

static int show(const char *path, struct status *s, bool once, unsigned int interval)
{
	bool screen = !once && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO), first = true;
	int rc;

	catch_signals();
	if (screen)
		take_terminal();
	for (;;) {
		rc = read_settled(path, s, first ? READ_FIRST : READ_AGAIN);
		if (stop || rc == -ESRCH)
			break;
		if (rc && rc != -EAGAIN) {
			restore();
			fprintf(stderr, "mmvm: top: %s: %s\n", path, strerror(-rc));
			return MMVM_EXIT_HOST;
		}
		if (!rc && (screen ? draw_screen(s) : draw_plain(s, !once)))
			break; /* nobody reads any more */
		if (once && !rc)
			break;
		first = false;
		wait_ms(interval, screen);
		if (suspended)
			suspend();
		if (stop)
			break;
	}
	restore();
	if (rc == -ESRCH && !stop)
		fprintf(stderr, "mmvm: top: the run has ended\n");
	return rc == -ESRCH && first && once ? MMVM_EXIT_FAILED : MMVM_EXIT_OK;
}

static int list(char (*path)[PATH_MAX], unsigned int nr, struct status *s)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (!read_settled(path[i], s, READ_AGAIN)) {
			printf("%8u  %8.1f s  ", s->pid, (double)s->now.t_ns / 1e9);
			put_safe(stdout, s->command, sizeof(s->command));
			putchar('\n');
		}
	}
	return fflush(stdout) ? MMVM_EXIT_HOST : MMVM_EXIT_OK;
}

static int run_top(uint64_t pid, bool once, bool want_list, unsigned int interval)
{
	char(*path)[PATH_MAX] = calloc(MAX_RUNS, sizeof(*path));
	struct status *s = calloc(1, sizeof(*s));
	unsigned int nr, at = 0;
	int status = MMVM_EXIT_FAILED;

	if (!path || !s) {
		fprintf(stderr, "mmvm: top: no memory\n");
		status = MMVM_EXIT_HOST;
		goto out;
	}
	nr = status_list(path, MAX_RUNS);
	while (pid && at < nr && (read_settled(path[at], s, READ_AGAIN) || s->pid != pid))
		at++;
	if (want_list)
		status = list(path, nr, s);
	else if (at < nr)
		status = show(path[at], s, once, interval);
	else if (pid)
		fprintf(stderr, "mmvm: top: process %llu is no run of mmvm\n",
			(unsigned long long)pid);
	else
		fprintf(stderr, "mmvm: top: nothing is running (start one: mmvm run)\n");
out:
	free(path);
	free(s);
	return status;
}

static int cmd_top(const struct command *self, int argc, char **argv)
{
	struct options o = {.interval = DEFAULT_INTERVAL};
	struct option_list operands = {.nr = 0};
	uint64_t pid = 0;
	int status = command_parse(self, &o, argc, argv, &operands);

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	for (unsigned int i = 0; i < operands.nr; i++)
		if (pid || cli_parse_u64(operands.item[i], 1, INT32_MAX, &pid))
			return cli_usage_error("top", "unknown argument '%s'", operands.item[i]);
	return run_top(pid, o.once, o.list, o.interval);
}

const struct command command_top = {
	.name = "top",
	.run = cmd_top,
	.what = "a running machine in the terminal",
	.synopsis = "[PID] [OPTIONS]",
	.about = "Show what a running `mmvm run` does: the guest's memory, zones and rates, what "
		 "the host\n"
		 "sees. PID: which run; else the one that began last. q ends.",
	.options = options,
};
