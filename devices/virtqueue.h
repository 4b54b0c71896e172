/*
 * Split virtqueue, the device's side (virtio 1.2, section 2.7). Used by the transport only.
 */
#ifndef DEVICES_VIRTQUEUE_H
#define DEVICES_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "devices/device.h"

#define VIRTQUEUE_MAX_SIZE 256 /* descriptors in a ring, and in an indirect table */
/* A buffer that runs over two RAM regions takes a segment in each. */
#define VIRTQUEUE_MAX_SEGS (VIRTQUEUE_MAX_SIZE + 16)

struct virtqueue {
	struct guest_ram *ram;
	/* Set by the transport while the queue is not ready. Addresses are the guest's. */
	uint32_t num;
	uint64_t desc, avail, used;
	bool event_idx, indirect; /* negotiated features */
	bool ready;
	/* The device's own place in the rings. */
	uint16_t last_avail; /* next entry of the available ring to take */
	uint16_t used_idx;   /* next entry of the used ring to fill */
	uint16_t signalled;  /* used_idx at the last interrupt, or when one was suppressed */
};

/** A chain taken from the available ring: out segments (device reads) come first, then in segments
 * (device writes). Every iovec lies in guest RAM; no length is zero. */
struct virtqueue_chain {
	uint16_t head;
	unsigned int nr_out, nr_in;
	uint64_t out_len, in_len; /* bytes */
	struct iovec iov[VIRTQUEUE_MAX_SEGS];
	uint64_t gpa[VIRTQUEUE_MAX_SEGS]; /* of each segment, to mark it dirty */
};

/** Check size, alignment and place of the rings and start at index 0. 0 or -EINVAL. */
int virtqueue_start(struct virtqueue *vq);
/** Take the next chain. 1 = taken, 0 = none available, -EPROTO = the guest broke the rules. */
int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain);
/** Give a chain back, `written` bytes of it written. Exactly once for each pop that returned 1. */
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written);
/** Does the guest want an interrupt for the chains pushed since the last call? */
bool virtqueue_should_signal(struct virtqueue *vq);
/** Doorbells are not needed while the device looks at the ring by itself. */
void virtqueue_disable_notify(struct virtqueue *vq);
/** Ask for a doorbell again. Returns true if a chain became available meanwhile: look again. */
bool virtqueue_enable_notify(struct virtqueue *vq);

#endif
