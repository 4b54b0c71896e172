/*
 * Passing a stream on to a reader who may be slow, or never read: a queue and a thread that writes.
 *
 * The lab is watched by one thread, which must answer signals and notice time limits whatever happens to
 * our standard output. So only the outlet's own thread ever waits for the reader. No byte is lost: what
 * cannot be written waits, also when the descriptor is non-blocking.
 *
 * Locks: `lock` protects everything below it in the struct.
 */
#ifndef VMM_LAB_OUTLET_H
#define VMM_LAB_OUTLET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/** With more than this in the queue its owner takes nothing more in. */
#define OUTLET_FULL (1u << 20)

struct outlet {
	int fd;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t more;
	char *queue;
	size_t len, room;
	bool closing; /* the owner adds nothing more */
	bool idle;    /* the thread is not writing, and has nothing to */
	bool broken;  /* the reader is gone, or the disk is full: the rest is thrown away */
};

/** 0 or -errno. Signals that the owner has blocked stay blocked in the thread. */
int outlet_open(struct outlet *o, int fd);
/** Add bytes; -ENOMEM when they find no room. */
int outlet_put(struct outlet *o, const char *data, size_t len);
/** The reader is far behind. */
bool outlet_full(struct outlet *o);
/** All that was put has been written, or never will be. */
bool outlet_done(struct outlet *o);
/** End. What has not been written is lost: ask outlet_done() before. A thread that waits for a reader
 * who does not read is left alone: it holds nothing but the queue. */
void outlet_close(struct outlet *o);

#endif
