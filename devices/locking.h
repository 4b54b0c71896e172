/*
 * Lock rules that clang checks (-Wthread-safety, in `make check`): a mutex that is taken is released on every
 * path, no mutex is taken twice, and a function that needs a lock is called with it.
 *
 * The C library does not annotate its mutexes, so they are declared again here. gcc sees nothing of it.
 * clang's C cannot name a sibling in a struct: which lock protects a field stays a comment beside it.
 */
#ifndef DEVICES_LOCKING_H
#define DEVICES_LOCKING_H

#include <pthread.h>

#ifdef __clang__
#pragma clang diagnostic ignored "-Wthread-safety-attributes"
/** The caller holds this mutex. */
#define NEEDS_LOCK(mutex) __attribute__((requires_capability(mutex)))
/** The function returns with it, or without it. */
#define ACQUIRES_LOCK(mutex) __attribute__((acquire_capability(mutex)))
#define RELEASES_LOCK(mutex) __attribute__((release_capability(mutex)))
int pthread_mutex_lock(pthread_mutex_t *m) __attribute__((acquire_capability(*m)));
int pthread_mutex_unlock(pthread_mutex_t *m) __attribute__((release_capability(*m)));
int pthread_cond_wait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m) NEEDS_LOCK(*m);
int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
			   const struct timespec *restrict until) NEEDS_LOCK(*m);
#else
#define NEEDS_LOCK(mutex)
#define ACQUIRES_LOCK(mutex)
#define RELEASES_LOCK(mutex)
#endif

#endif
