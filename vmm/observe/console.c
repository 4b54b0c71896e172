/*
 * The guest's console on a terminal, and the live line below it.
 *
 * There the console is printed at each tick, so that the line stays whole. Elsewhere the machine
 * writes the console's bytes as they come (config.console_fd), and this observer is not wanted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lab/lab.h"
#include "observe/console.h"
#include "observe/observers.h"
#include "observe/sample.h"

/** The console is looked at this often. */
#define CONSOLE_MS 100

struct console_state {
	struct observation *run;
	uint64_t pos;
};

static bool wanted(const void *self, const struct observation *run,
		   const struct machine_config *config)
{
	return run->sample_ms && config->console_input != CONSOLE_INPUT_TTY &&
	       (isatty(STDOUT_FILENO) || (lab_inside() && getenv(CONSOLE_LIVE_ENV)));
}

static int on_open(void *self, struct observation *run, struct machine_config *config,
		   struct mmvm_error *err)
{
	((struct console_state *)self)->run = run;
	config->console_fd = -1;
	observers_want_tick(config, CONSOLE_MS);
	return 0;
}

/* While the machine runs only whole lines are printed. */
enum console_part { WHOLE_LINES, EVERYTHING };

/** Print what is new: what could drive the terminal is replaced. A line that is not complete yet
 * waits, unless it is to print EVERYTHING: the live line would stand in its middle. */
static void print_console(struct console_state *c, struct machine *m, enum console_part part)
{
	char buf[4096];
	size_t n;

	while ((n = machine_console_read(m, &c->pos, buf, sizeof(buf)))) {
		const char *last = memrchr(buf, '\n', n);
		size_t whole = last ? (size_t)(last - buf) + 1 : 0;

		if (!whole && (part == EVERYTHING || n == sizeof(buf)))
			whole = n;
		c->pos -= n - whole;
		for (size_t i = 0; i < whole; i++) {
			unsigned char b = (unsigned char)buf[i];

			if (b == '\r')
				continue;
			putchar((b < ' ' && b != '\n' && b != '\t') || b == 0x7f ? '?' : b);
		}
		if (!whole)
			break;
	}
}

static void on_tick(void *self, struct machine *m)
{
	static const struct run_sample none;
	struct console_state *c = self;
	const struct run_result *r = c->run->result;
	char line[160] = "";

	if (r->nr_samples)
		sampler_line(&r->samples[r->nr_samples - 1],
			     r->nr_samples > 1 ? &r->samples[r->nr_samples - 2] : &none, line,
			     sizeof(line));
	fputs("\r\033[K", stdout);
	print_console(c, m, WHOLE_LINES);
	fputs(line, stdout);
	fflush(stdout);
}

static int on_stop(void *self, struct machine *m, const struct machine_outcome *out)
{
	fputs("\r\033[K", stdout);
	print_console(self, m, EVERYTHING);
	return 0;
}

const struct observer console_observer = {
	.name = "console",
	.what = "the guest's console and a live line, on a terminal",
	.size = sizeof(struct console_state),
	.wanted = wanted,
	.open = on_open,
	.tick = on_tick,
	.every_tick = true,
	.stop = on_stop,
};
