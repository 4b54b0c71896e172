/*
 * QEMU's machine protocol (QMP), as much as one question and one command need: lines of JSON both ways. The answer
 * to "info registers -a" is one string, which is compared as it is.
 */
#include "lab/monitor.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (1u << 20)
#define ANSWER_MS  3000
#define LOOKS	   6
#define BETWEEN_NS 500000000

static const char negotiate[] = "{\"execute\":\"qmp_capabilities\"}\n";
static const char ask[] = "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
			  "\"info registers -a\"}}\n";

static const char turns[] =
	"{\"execute\":\"object-add\",\"arguments\":{\"qom-type\":\"filter-buffer\","
	"\"id\":\"turns\",\"netdev\":\"none\",\"queue\":\"rx\",\"interval\":2}}\n";

struct reader {
	int fd;
	char *text; /* the line so far, or the last whole one */
	size_t len;
};

/** The next line into r->text; false at the end, when it is too long or does not come. */
static bool read_line(struct reader *r)
{
	r->len = 0;
	while (r->len < ANSWER_MAX - 1) {
		struct pollfd p = {r->fd, POLLIN, 0};
		char c;

		/* The socket is non-blocking; a byte at a time is good enough for a few answers. */
		if (read(r->fd, &c, 1) == 1) {
			if (c == '\n') {
				r->text[r->len] = 0;
				return true;
			}
			r->text[r->len++] = c;
		} else if ((errno != EAGAIN && errno != EINTR) || poll(&p, 1, ANSWER_MS) <= 0) {
			return false;
		}
	}
	return false;
}

/** Send a command and leave the answer in r->text. Greeting and events are passed over. */
static bool command(struct reader *r, const char *text)
{
	size_t len = strlen(text);

	if (send(r->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
		return false;
	do {
		if (!read_line(r))
			return false;
	} while (strncmp(r->text, "{\"return\"", 9) && strncmp(r->text, "{\"error\"", 8));
	return r->text[2] == 'r';
}

bool lab_monitor_stands_still(int fd)
{
	const struct timespec between = {.tv_nsec = BETWEEN_NS};
	struct reader r = {.fd = fd, .text = malloc(ANSWER_MAX)};
	char *first = NULL;
	bool still = true;

	if (!r.text)
		return false;
	/* Said once a run; the second time it is an error, and no matter. */
	command(&r, negotiate);
	for (unsigned int i = 0; i < LOOKS && still; i++) {
		if (i)
			nanosleep(&between, NULL);
		if (!command(&r, ask))
			break;
		if (!first)
			first = strdup(r.text);
		else
			still = !strcmp(first, r.text);
	}
	free(first);
	free(r.text);
	return still;
}

void lab_monitor_take_turns(int fd)
{
	struct reader r = {.fd = fd, .text = malloc(ANSWER_MAX)};

	if (!r.text)
		return;
	command(&r, negotiate);
	command(&r, turns);
	free(r.text);
}
