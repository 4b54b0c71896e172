/*
 * Standard input to the guest's console.
 *
 *   stdin ──read──> buf ──> escape() ──> machine_console_input() ──> 16550
 *                             └─ Ctrl-A c: monitor line ──> command()
 *
 * stdin is read only while buf is empty, and buf empties only as the guest takes bytes: what the
 * guest does not read stays in the pipe. `room` and the signal SIGWINCH wake the thread through an
 * eventfd.
 *
 * Locks: none. After console_start() all fields but `wake_fd`, `stop` and `left` are the thread's.
 */
#include "console/console.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "sandbox/sandbox.h"
#include "terminal/terminal.h"

#define ESCAPE	     0x01 /* Ctrl-A */
#define END_AGAIN_MS 500
#define GUEST_EOF    0x04 /* Ctrl-D: VEOF of every terminal that was not told otherwise */

enum input_state { TO_GUEST, AFTER_ESCAPE, IN_MONITOR };

struct console {
	enum console_input input;
	bool terminal; /* stdin is one, and raw */
	int wake_fd;
	atomic_bool stop, left;
	pthread_t thread;
	bool started;
	struct machine *m;
	const struct machine_config *config;
	console_command_fn command;
	void *arg;
	enum input_state state;
	char line[128]; /* of the monitor */
	size_t line_len;
	unsigned char buf[512];
	size_t begin, end; /* what waits in buf for the guest */
	bool eof;
	uint16_t rows, cols; /* as the guest knows them */
};

static _Atomic int winch_fd = -1;

static void wake_up(int fd)
{
	uint64_t one = 1;
	int error = errno;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n; /* full: awake already */
	errno = error;
}

static void on_winch(int sig)
{
	(void)sig;
	wake_up(atomic_load(&winch_fd));
}

static void on_room(void *arg)
{
	struct console *c = arg;

	wake_up(c->wake_fd);
}

int console_open(struct console **out, enum console_input input, struct machine_config *config,
		 struct mmvm_error *err)
{
	struct console *c = calloc(1, sizeof(*c));

	*out = NULL;
	if (!c)
		return mmvm_error(err, MMVM_EXIT_HOST, "no memory for the console");
	c->input = input;
	c->terminal = input == CONSOLE_INPUT_TTY && isatty(STDIN_FILENO);
	c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake_fd < 0) {
		free(c);
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot create an eventfd: %s",
				  strerror(errno));
	}
	c->config = config;
	config->console_input = input;
	config->console_room = on_room;
	config->console_arg = c;
	if (c->terminal)
		terminal_size(STDIN_FILENO, &c->rows, &c->cols);
	config->console_rows = c->rows;
	config->console_cols = c->cols;
	*out = c;
	return 0;
}

static void say(const char *text)
{
	ssize_t n = write(STDOUT_FILENO, text, strlen(text));

	(void)n;
}

static void prompt(struct console *c)
{
	c->line_len = 0;
	c->state = IN_MONITOR;
	say("\n(mmvm) ");
}

static void monitor_byte(struct console *c, unsigned char byte)
{
	char echo[2] = {(char)byte, 0};

	if (byte == '\r' || byte == '\n') {
		c->line[c->line_len] = 0;
		say("\n");
		c->state = TO_GUEST;
		if (c->line_len && c->command)
			c->command(c->arg, c->line);
	} else if (byte == 3 || byte == 0x1b) { /* Ctrl-C, Esc: back to the guest */
		say("\n");
		c->state = TO_GUEST;
	} else if (byte == 0x7f || byte == 8) {
		if (c->line_len) {
			c->line_len--;
			say("\b \b");
		}
	} else if (byte >= ' ' && c->line_len < sizeof(c->line) - 1) {
		c->line[c->line_len++] = (char)byte;
		say(echo);
	}
}

static void escaped_byte(struct console *c, unsigned char byte)
{
	c->state = TO_GUEST;
	switch (byte) {
	case 'x':
	case 'X':
		atomic_store(&c->left, true);
		machine_stop(c->m);
		break;
	case 'c':
	case 'C':
		prompt(c);
		break;
	case ESCAPE:
		c->buf[c->end++] = ESCAPE;
		break;
	default:
		say("\n(mmvm) Ctrl-A x: leave, Ctrl-A c: monitor, Ctrl-A Ctrl-A: type Ctrl-A\n");
	}
}

/** Sort what was typed: the guest's part is left in c->buf, which is never longer than the input. */
static void sort_input(struct console *c, const unsigned char *in, size_t len)
{
	c->begin = c->end = 0;
	for (size_t i = 0; i < len; i++) {
		if (c->state == IN_MONITOR)
			monitor_byte(c, in[i]);
		else if (c->state == AFTER_ESCAPE)
			escaped_byte(c, in[i]);
		else if (c->terminal && in[i] == ESCAPE)
			c->state = AFTER_ESCAPE;
		else
			c->buf[c->end++] = in[i];
	}
}

/** A terminal has no end: the key that says so. */
static void type_end(struct console *c)
{
	c->buf[0] = GUEST_EOF;
	c->begin = 0;
	c->end = 1;
}

static void end_of_input(struct console *c)
{
	c->eof = true;
	if (c->input == CONSOLE_INPUT_STREAM)
		machine_console_eof(c->m);
	else if (!c->terminal)
		type_end(c);
}

static void read_input(struct console *c)
{
	unsigned char in[sizeof(c->buf)];
	ssize_t n = read(STDIN_FILENO, in, sizeof(in));

	if (n > 0)
		sort_input(c, in, (size_t)n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		end_of_input(c);
}

static void take_resize(struct console *c)
{
	uint16_t rows, cols;

	if (!c->terminal)
		return;
	terminal_size(STDIN_FILENO, &rows, &cols);
	if (rows == c->rows && cols == c->cols)
		return;
	c->rows = rows;
	c->cols = cols;
	machine_console_resize(c->m, rows, cols);
}

static void *console_main(void *arg)
{
	struct console *c = arg;
	/* A stream is not touched before the guest wants it: then `room` is called. */
	bool wanted = c->input == CONSOLE_INPUT_TTY;

	int rc;

	prctl(PR_SET_NAME, "console");
	rc = c->config->sandbox ? sandbox_enter_thread(SANDBOX_CONSOLE, c->config->sandbox) : 0;
	if (rc) {
		fprintf(stderr,
			"mmvm: no sandbox for the console's thread: %s (--sandbox off runs "
			"without)\n",
			strerror(-rc));
		machine_stop(c->m);
		return NULL;
	}
	while (!atomic_load(&c->stop)) {
		struct pollfd p[2] = {{c->wake_fd, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
		bool typed_end = c->eof && c->input == CONSOLE_INPUT_TTY && !c->terminal;
		uint64_t n;
		int ready;

		c->begin += machine_console_input(c->m, c->buf + c->begin, c->end - c->begin);
		if (c->eof && !c->terminal && !typed_end && c->begin == c->end)
			break; /* nothing more can come */
		ready = poll(p, c->begin == c->end && !c->eof && wanted ? 2 : 1,
			     typed_end ? END_AGAIN_MS : -1);
		if (ready < 0)
			continue;
		/* Every read finds the end, as a file's: a program that throws away what was typed
		 * before it began to read (a shell's line editor does) has thrown away the key. */
		if (!ready && typed_end && c->begin == c->end)
			type_end(c);
		if (p[0].revents && read(c->wake_fd, &n, sizeof(n)) == sizeof(n)) {
			wanted = true;
			take_resize(c);
		}
		if (p[1].revents && !atomic_load(&c->stop))
			read_input(c);
	}
	return NULL;
}

int console_start(struct console *c, struct machine *m, console_command_fn command, void *arg,
		  struct mmvm_error *err)
{
	struct sigaction winch = {.sa_handler = on_winch, .sa_flags = SA_RESTART};
	sigset_t all, old;
	int rc;

	c->m = m;
	c->command = command;
	c->arg = arg;
	if (c->terminal) {
		atomic_store(&winch_fd, c->wake_fd);
		sigaction(SIGWINCH, &winch, NULL);
		rc = terminal_raw(STDIN_FILENO);
		if (rc)
			return mmvm_error(err, MMVM_EXIT_HOST, "cannot use this terminal: %s",
					  strerror(-rc));
	}
	/* Signals are for the main thread: their handlers make calls that this one may not. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&c->thread, NULL, console_main, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		terminal_restore();
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot start the console's thread: %s",
				  strerror(rc));
	}
	c->started = true;
	return 0;
}

void console_stop(struct console *c)
{
	if (!c->started)
		return;
	atomic_store(&c->stop, true);
	wake_up(c->wake_fd);
	pthread_join(c->thread, NULL);
	c->started = false;
	terminal_restore();
}

bool console_left(const struct console *c)
{
	return atomic_load(&c->left);
}

void console_free(struct console *c)
{
	if (!c)
		return;
	console_stop(c);
	signal(SIGWINCH, SIG_DFL);
	close(c->wake_fd);
	free(c);
}
