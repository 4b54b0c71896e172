/*
 * Small things every model does. Included by the models only.
 */
#ifndef DEVICES_DEVICE_IMPL_H
#define DEVICES_DEVICE_IMPL_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "devices/devices.h"

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/** Fill the common part from `env`. */
static inline void device_init(struct device *dev, const struct device_model *model,
			       const struct device_env *env)
{
	dev->model = model;
	dev->compatible = env->compatible ? env->compatible : model->compatible;
	snprintf(dev->role, sizeof(dev->role), "%s", env->role ? env->role : "");
	dev->base = env->base;
	dev->size = model->size;
	dev->pio = model->pio;
	dev->gsi = env->gsi;
	dev->irq = env->irq;
	dev->ram = env->ram;
	for (unsigned int i = 0; i < 8; i++)
		dev->notify_fd[i] = -1;
}

/** Count a mistake of the guest. */
static inline void device_guest_error(struct device *dev)
{
	__atomic_fetch_add(&dev->guest_errors, 1, __ATOMIC_RELAXED);
}

/** Answer for a read the model does not support. */
static inline void device_bad_read(struct device *dev, void *data, unsigned int size)
{
	memset(data, 0xff, size);
	device_guest_error(dev);
}

static inline void device_raise_irq(struct device *dev)
{
	if (dev->irq && dev->irq->raise)
		dev->irq->raise(dev->irq);
}

/** pthread's start routine for a worker; `arg` is a struct device_worker, which it frees. */
struct device_worker {
	void *(*fn)(void *);
	void *arg;
};
void *device_worker_main(void *arg);

/** A thread of the device's own, named after its role, that takes no signals: those are for the
 * machine's threads. 0 or -errno. */
static inline int device_start_worker(struct device *dev, pthread_t *thread, void *(*fn)(void *),
				      void *arg)
{
	struct device_worker *worker = malloc(sizeof(*worker));
	sigset_t all, old;
	int err;

	if (!worker)
		return -ENOMEM;
	*worker = (struct device_worker){fn, arg};
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(thread, NULL, device_worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		free(worker);
	else
		pthread_setname_np(*thread, dev->role[0] ? dev->role : dev->model->name);
	return -err;
}

#endif
