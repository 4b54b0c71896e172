/*
 * Between the registers of a virtio-mmio device (virtio_mmio.c) and its queues (virtio_worker.c). Nobody else includes this.
 */
#ifndef DEVICES_VIRTIO_IMPL_H
#define DEVICES_VIRTIO_IMPL_H

#include "devices/virtio_mmio.h"

/** VIRTIO_CONFIG_S_*, with everything that was written before it was set. */
uint32_t virtio_status(const struct virtio_mmio *v);
/** Set VIRTIO_MMIO_INT_* in the interrupt status and raise the interrupt. */
void virtio_interrupt(struct virtio_mmio *v, uint32_t why);
/** The guest broke a rule from which there is no way on: NEEDS_RESET (virtio 1.2, section 2.1.2). */
void virtio_broken(struct virtio_mmio *v);
/** As if the guest had rung the doorbell of queue q. */
void virtio_kick(struct virtio_mmio *v, unsigned int q);
/** The model forgets the chains it kept, of a queue or of all (VIRTIO_MMIO_ALL_QUEUES). */
void virtio_forget_chains(struct virtio_mmio *v, unsigned int queue) NEEDS_LOCK(v->io_lock);
/** The worker's thread, until stop_fd is readable. */
void *virtio_worker_main(void *v);

#endif
