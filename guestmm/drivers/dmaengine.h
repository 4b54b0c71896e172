/* The DMA engine (mmvm/dmaengine.h): copies, fills and checksums guest memory on request. */
#ifndef DRIVERS_DMAENGINE_H
#define DRIVERS_DMAENGINE_H
#include "mm/dma/dma.h"
#include "mmvm/dmaengine.h"

/** A request. The caller fills in the first block of fields, and must not free or change the request before it is
 * done. Buffers are device addresses from the DMA API, mapped for dmaengine_device(). */
struct dma_request {
	enum mmvm_dma_op op;
	dma_addr_t src, dst;
	u32 len;
	u64 pattern;
	void (*complete)(struct dma_request *r); /* interrupt context; NULL: wake waiters only */

	u32 status; /* enum mmvm_dma_err when done */
	u64 checksum;
	bool done;
};

/** The device for mapping buffers, or NULL when there is no engine. */
struct device *dmaengine_device(void);
/** Set how many address bits the device uses: 24, 32 or 64. No request may be in flight. 0, or -EINVAL: another
 * number. */
int dmaengine_set_mask(unsigned int bits);
/** Put a request on the ring. Sleeps while the ring is full. */
void dmaengine_submit(struct dma_request *r);
/** Sleep until done. Returns 0, or -EIO for any status but OK. */
int dmaengine_wait(struct dma_request *r);
/** dmaengine_submit() and dmaengine_wait(). */
int dmaengine_transfer(struct dma_request *r);
/** Make the device fail the n-th descriptor from now on (0: none), and delay each one by `us` microseconds. For
 * tests. */
void dmaengine_inject(u32 fail_nth, u32 delay_us);
u64 dmaengine_completed(void);

/** FNV-1a of memory, as the engine computes it. [pure] */
u64 fnv1a_64(const void *buf, size_t len);

/** Move data between zones and check it (dmaengine_test.c). 0 or -errno; -ENODEV: there is no engine. May sleep. */
int dmaengine_self_test(void);
#endif
