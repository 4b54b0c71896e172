/*
 * Drivers declare themselves. A device in the tree is offered to every driver that is compatible with
 * it, until one takes it:
 *
 *   DRIVER(virtio_blk, "virtio,mmio", virtio_blk_probe);
 */
#ifndef DRIVERS_DRIVER_H
#define DRIVERS_DRIVER_H
#include "kernel/boot_info.h"

struct driver {
	const char *name;
	const char *compatible;
	/** 0: the driver has taken the device. -ENODEV: the device is of another kind, ask the next driver. Another
	 * error: the device is of this kind, but does not work. May sleep. */
	int (*probe)(const struct boot_device *d);
};

#define DRIVER(id, compat, fn)                   \
	static const struct driver __driver_##id \
		__attribute__((used, section(".mmvm_drivers"), aligned(8))) = {#id, compat, fn}

/** Offer every device of the tree to the drivers. Call it once, in a thread, when interrupts work. */
void drivers_init(void);

extern const struct driver __mmvm_drivers_start[], __mmvm_drivers_end[];
#endif
