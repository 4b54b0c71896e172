/* A source of random bytes outside the guest (drivers/virtio_rng.c). */
#ifndef DRIVERS_HWRNG_H
#define DRIVERS_HWRNG_H
#include "lib/types.h"

/** Read up to `len` random bytes into buf, which is kernel memory. Returns how many, at least 1; -ENODEV: there is no
 * device; -EIO: the device is broken. Callers take turns, so it may sleep. */
long hwrng_read(void *buf, size_t len);
bool hwrng_present(void);
#endif
