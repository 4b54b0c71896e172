/*
 * virtio-mmio transport, version 2 (virtio 1.2, section 4.2): registers, status, queues, worker.
 *
 * A model (virtio_blk.c) embeds struct virtio_mmio first, fills a struct virtio_model and its
 * configuration bytes, and handles one chain at a time.
 */
#ifndef DEVICES_VIRTIO_MMIO_H
#define DEVICES_VIRTIO_MMIO_H

#include <pthread.h>
#include "devices/devices.h"
#include "devices/locking.h"
#include "devices/virtqueue.h"

#define VIRTIO_MMIO_MAX_QUEUES 8
#define VIRTIO_MMIO_MAX_CONFIG 128
#define VIRTIO_MMIO_ALL_QUEUES UINT32_MAX
#define VIRTIO_MMIO_KEEP       INT64_MAX /* what handle() returns for a chain that is kept */

struct virtio_mmio;
struct virtio_model {
	const char *name;
	uint32_t device_id;
	/** Serve one chain, with io_lock held. Returns bytes written into its in segments;
	 * VIRTIO_MMIO_KEEP: the device keeps the chain until virtio_mmio_give_back(); or -EPROTO
	 * when the chain does not have the form the device type demands. */
	int64_t (*handle)(struct virtio_mmio *v, unsigned int queue, struct virtqueue_chain *chain);
	/** The device begins anew, or a queue was stopped (`queue`; VIRTIO_MMIO_ALL_QUEUES: a reset):
	 * chains that were kept are no longer the device's. With io_lock held. NULL: nothing to do. */
	void (*forget)(struct virtio_mmio *v, unsigned int queue);
	/** The driver writes to the configuration. With `lock` held. False: it may not. NULL: never. */
	bool (*write_config)(struct virtio_mmio *v, uint64_t offset, unsigned int size,
			     const void *data);
	/** Properties of its node in the device tree (struct device_model). NULL: none. */
	bool (*property)(const struct device *dev, unsigned int i, struct device_property *out);
	/** Close what the model opened. */
	void (*destroy)(struct virtio_mmio *v);
};

struct virtio_mmio {
	struct device dev;
	const struct virtio_model *model;

	/* (L) lock, (IO) io_lock, (A) atomic, (C) constant after creation */
	pthread_mutex_t lock;
	uint64_t features;			     /* C: offered */
	uint64_t driver_features;		     /* L: accepted by the driver */
	uint32_t features_sel, driver_features_sel;  /* L */
	uint32_t queue_sel;			     /* L */
	uint32_t status;			     /* A */
	uint32_t isr;				     /* A: InterruptStatus */
	uint32_t generation;			     /* A: ConfigGeneration */
	uint8_t config[VIRTIO_MMIO_MAX_CONFIG];	     /* L */
	size_t config_size;			     /* C */
	unsigned int nr_queues;			     /* C */
	struct virtqueue vq[VIRTIO_MMIO_MAX_QUEUES]; /* written under L and IO, read under either */

	pthread_mutex_t io_lock;
	pthread_cond_t resume;	      /* IO: quiesce went to 0 */
	unsigned int quiesce;	      /* A: threads that want io_lock; the worker gives way */
	struct virtqueue_chain chain; /* IO */
	bool stop;		      /* A: destroy() has begun */
	bool has_worker;	      /* C */
	pthread_t worker;
	int stop_fd; /* readable: the worker ends */
};

/** Create queues, locks and, with `worker`, the thread. `v` is zeroed but for config, config_size, features and
 * nr_queues. 0, or -errno: then nothing was created. */
int virtio_mmio_init(struct virtio_mmio *v, const struct virtio_model *model,
		     const struct device_env *env, bool worker);
/** Change the configuration: bump the generation and interrupt the guest. */
void virtio_mmio_set_config(struct virtio_mmio *v, size_t offset, const void *bytes, size_t len);
/** Tell the guest to read the configuration, which has not changed. Any lock may be held. */
void virtio_mmio_announce_config(struct virtio_mmio *v);
/** Serve all queues on this thread, beside the worker if there is one. Returns chains completed. */
unsigned int virtio_mmio_poll(struct virtio_mmio *v);
/** Keep the worker, and threads that poll, out of the queues. */
void virtio_mmio_hold(struct virtio_mmio *v) ACQUIRES_LOCK(v->io_lock);
void virtio_mmio_release(struct virtio_mmio *v) RELEASES_LOCK(v->io_lock);
/** Between those two: is the queue served? When not, nothing that was kept of it may be touched. */
bool virtio_mmio_serves(const struct virtio_mmio *v, unsigned int queue);
/** Between those two: give back a chain that was kept, and interrupt the guest if it wants that. */
void virtio_mmio_give_back(struct virtio_mmio *v, unsigned int queue, uint16_t head,
			   uint32_t written);

#endif
