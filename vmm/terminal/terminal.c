/*
 * Raw mode, and the promise that it ends.
 *
 *   terminal_raw() ── a return from main, exit()              ──> atexit: restored
 *                  ── a signal that ends the process          ──> handler: restored, then the signal again
 *                  ── SIGTSTP from outside                    ──> restored, stopped; raw again at SIGCONT
 *                  ── SIGINT, SIGTERM                         ──> cli.c stops the machine; then exit()
 *
 * Only SIGKILL leaves it raw. Handlers use what POSIX allows in them: tcsetattr, sigaction, raise.
 */
#include "terminal/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int terminal_fd = -1;
static struct termios saved, raw;
static volatile sig_atomic_t is_raw;

void terminal_restore(void)
{
	int error = errno;

	if (is_raw) {
		is_raw = 0;
		tcsetattr(terminal_fd, TCSADRAIN, &saved);
	}
	errno = error;
}

/* The process ends: SA_RESETHAND has made the signal's action the default one again. */
static void on_end(int sig)
{
	terminal_restore();
	raise(sig);
}

static void on_stop(int sig)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL}, old;
	bool was_raw = is_raw;
	sigset_t set, mask;
	int error = errno;

	terminal_restore();
	sigaction(sig, &dfl, &old);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	/* Stopped here, until SIGCONT. */
	pthread_sigmask(SIG_UNBLOCK, &set, &mask);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	sigaction(sig, &old, NULL);
	if (was_raw && !tcsetattr(terminal_fd, TCSADRAIN, &raw))
		is_raw = 1;
	errno = error;
}

static void catch_signals(void)
{
	static const int end[] = {SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	struct sigaction sa = {.sa_handler = on_end, .sa_flags = (int)SA_RESETHAND | SA_NODEFER},
			 stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART}, old;

	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++) {
		/* Ignored signals (nohup) stay ignored; sanitizers keep their handlers. */
		if (!sigaction(end[i], NULL, &old) && !(old.sa_flags & SA_SIGINFO) &&
		    old.sa_handler == SIG_DFL)
			sigaction(end[i], &sa, NULL);
	}
	sigaction(SIGTSTP, &stop, NULL);
}

int terminal_raw(int fd)
{
	static bool registered;

	if (tcgetattr(fd, &saved))
		return -errno;
	terminal_fd = fd;
	raw = saved;
	raw.c_iflag &=
		(tcflag_t) ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	raw.c_cflag |= CS8;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (!registered)
		atexit(terminal_restore);
	registered = true;
	catch_signals();
	is_raw = 1;
	if (tcsetattr(fd, TCSADRAIN, &raw)) {
		is_raw = 0;
		return -errno;
	}
	return 0;
}

void terminal_size(int fd, uint16_t *rows, uint16_t *cols)
{
	struct winsize w = {0};

	if (ioctl(fd, TIOCGWINSZ, &w))
		w.ws_row = w.ws_col = 0;
	*rows = w.ws_row;
	*cols = w.ws_col;
}
