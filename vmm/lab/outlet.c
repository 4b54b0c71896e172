/*
 * The thread behind an outlet: see outlet.h.
 */
#include "lab/outlet.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Write it all, however long the reader takes. False when that is not possible any more. */
static bool write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);
		struct pollfd ready = {fd, POLLOUT, 0};

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			/* A non-blocking descriptor, shared with the process that made it so. */
			poll(&ready, 1, -1);
		} else if (!n || errno != EINTR) {
			return false;
		}
	}
	return true;
}

static void *outlet_main(void *arg)
{
	struct outlet *o = arg;

	pthread_mutex_lock(&o->lock);
	for (;;) {
		char *data = o->queue;
		size_t len = o->len;
		bool good;

		if (!len) {
			o->idle = true;
			if (o->closing)
				break;
			pthread_cond_wait(&o->more, &o->lock);
			continue;
		}
		o->idle = false;
		o->queue = NULL;
		o->len = o->room = 0;
		good = !o->broken;
		pthread_mutex_unlock(&o->lock);
		if (good && !write_all(o->fd, data, len)) {
			good = false;
			/* The reader went away. Our own SIGPIPE, if blocked, is not delivered: the thread that
			 * watches the lab ends it in order. */
			if (errno == EPIPE)
				kill(getpid(), SIGPIPE);
		}
		free(data);
		pthread_mutex_lock(&o->lock);
		o->broken |= !good;
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

int outlet_open(struct outlet *o, int fd)
{
	int rc;

	memset(o, 0, sizeof(*o));
	o->fd = fd;
	o->idle = true;
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->more, NULL);
	rc = pthread_create(&o->thread, NULL, outlet_main, o);
	o->running = !rc;
	return -rc;
}

int outlet_put(struct outlet *o, const char *data, size_t len)
{
	int rc = 0;

	pthread_mutex_lock(&o->lock);
	if (o->len + len > o->room) {
		size_t room = (o->len + len) * 2;
		char *grown = realloc(o->queue, room);

		if (grown) {
			o->queue = grown;
			o->room = room;
		} else {
			rc = -ENOMEM;
		}
	}
	if (!rc) {
		memcpy(o->queue + o->len, data, len);
		o->len += len;
		o->idle = false;
		pthread_cond_signal(&o->more);
	}
	pthread_mutex_unlock(&o->lock);
	return rc;
}

bool outlet_full(struct outlet *o)
{
	bool full;

	pthread_mutex_lock(&o->lock);
	full = o->len > OUTLET_FULL;
	pthread_mutex_unlock(&o->lock);
	return full;
}

bool outlet_done(struct outlet *o)
{
	bool done;

	pthread_mutex_lock(&o->lock);
	done = o->idle || o->broken;
	pthread_mutex_unlock(&o->lock);
	return done;
}

void outlet_close(struct outlet *o)
{
	bool done;

	if (!o->running)
		return;
	pthread_mutex_lock(&o->lock);
	o->closing = true;
	done = o->idle || o->broken;
	pthread_cond_signal(&o->more);
	pthread_mutex_unlock(&o->lock);
	o->running = false;
	/* The struct is the caller's: a caller that stops waiting leaves it to the thread (lab.c). */
	if (done)
		pthread_join(o->thread, NULL);
	else
		pthread_detach(o->thread);
}
