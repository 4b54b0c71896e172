/* A source of random bytes outside the guest (drivers/virtio_rng.c). */
#ifndef DRIVERS_HWRNG_H
#define DRIVERS_HWRNG_H
#include "lib/types.h"

/** Up to `len` bytes into buf (kernel memory). Returns how many, at least 1; -ENODEV: there is no device, -EIO:
 * it broke. One caller at a time, others wait. May sleep. */
long hwrng_read(void *buf, size_t len);
bool hwrng_present(void);
#endif
