/*
 * Driver of the DMA engine.
 *
 *   ring   | done | done | with the device ... | free | free |      coherent, RING_SIZE descriptors
 *                          ^ tail                ^ head             free-running counts
 *
 * The driver writes the new head to the doorbell register. The device completes requests in order, writes
 * status and checksum into each descriptor, and interrupts for descriptors that ask for it. All do here.
 *
 * E1: tail <= head <= tail + RING_SIZE (as free-running counts); request[i % RING_SIZE] is set for
 *     each i in [tail, head).
 * E2: a request is done exactly once, after the device has written its status.
 *
 * Lock: engine.lock with interrupts off; the interrupt handler takes it. `complete` is called
 * without it.
 */
#include "arch/io.h"
#include "kernel/irq.h"
#include "drivers/dmaengine.h"
#include "drivers/driver.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/kvirt/vmalloc.h"

#define RING_SIZE 64u

static struct {
	struct device dev;
	u8 *regs; /* NULL: no engine */
	struct mmvm_dma_desc *ring;
	dma_addr_t ring_dma;
	spinlock_t lock;
	struct wait_queue wq;			/* for room, and for completion */
	struct dma_request *request[RING_SIZE]; /* lock */
	u32 head, tail;				/* lock */
} engine;

static u32 reg_read(unsigned int reg)
{
	return readl(engine.regs + reg);
}
static void reg_write(unsigned int reg, u32 v)
{
	writel(engine.regs + reg, v);
}

u64 fnv1a_64(const void *buf, size_t len)
{
	const u8 *p = buf;
	u64 h = 0xcbf29ce484222325ull;

	while (len--) {
		h ^= *p++;
		h *= 0x100000001b3ull;
	}
	return h;
}

struct device *dmaengine_device(void)
{
	return engine.regs ? &engine.dev : NULL;
}

u64 dmaengine_completed(void)
{
	return READ_ONCE(engine.tail);
}

/** Take the oldest request off the ring if the device has completed it; else NULL. */
static struct dma_request *take_completed(void)
{
	unsigned long flags = spin_lock_irqsave(&engine.lock);
	struct dma_request *r = NULL;

	if (engine.tail != engine.head) {
		struct mmvm_dma_desc *d = &engine.ring[engine.tail % RING_SIZE];
		u32 status = __atomic_load_n(&d->status, __ATOMIC_ACQUIRE);

		if (status != MMVM_DMA_PENDING) {
			r = engine.request[engine.tail % RING_SIZE];
			engine.request[engine.tail % RING_SIZE] = NULL;
			engine.tail++;
			r->status = status;
			r->checksum = d->checksum;
		}
	}
	spin_unlock_irqrestore(&engine.lock, flags);
	return r;
}

static void engine_interrupt(void *arg)
{
	struct dma_request *r;

	/* Acknowledge first, so that a request that completes after this point interrupts again. */
	reg_write(MMVM_DMA_REG_IRQ_ACK, reg_read(MMVM_DMA_REG_IRQ_STATUS));
	while ((r = take_completed())) {
		void (*complete)(struct dma_request *) = r->complete;

		if (complete)
			complete(r);
		__atomic_store_n(&r->done, true, __ATOMIC_RELEASE); /* may be freed from here on */
	}
	wake_up(&engine.wq);
}

static bool ring_put(struct dma_request *r)
{
	unsigned long flags = spin_lock_irqsave(&engine.lock);
	bool room = engine.head - engine.tail < RING_SIZE;

	if (room) {
		engine.ring[engine.head % RING_SIZE] = (struct mmvm_dma_desc){
			.src = r->src,
			.dst = r->dst,
			.len = r->len,
			.op = r->op,
			.flags = MMVM_DMA_F_IRQ,
			.pattern = r->pattern,
			.status = MMVM_DMA_PENDING,
		};
		engine.request[engine.head % RING_SIZE] = r;
		engine.head++;
		barrier(); /* x86 keeps stores in order */
		reg_write(MMVM_DMA_REG_DOORBELL, engine.head);
	}
	spin_unlock_irqrestore(&engine.lock, flags);
	return room;
}

void dmaengine_submit(struct dma_request *r)
{
	r->done = false;
	r->status = MMVM_DMA_PENDING;
	wait_event(&engine.wq, ring_put(r));
}

int dmaengine_wait(struct dma_request *r)
{
	wait_event(&engine.wq, __atomic_load_n(&r->done, __ATOMIC_ACQUIRE));
	return r->status == MMVM_DMA_OK ? 0 : -EIO;
}

int dmaengine_transfer(struct dma_request *r)
{
	dmaengine_submit(r);
	return dmaengine_wait(r);
}

int dmaengine_set_mask(unsigned int bits)
{
	if (!engine.regs || (bits != 24 && bits != 32 && bits != 64))
		return -EINVAL;
	reg_write(MMVM_DMA_REG_MASK_BITS, bits);
	engine.dev.dma_mask = DMA_BIT_MASK(bits);
	return 0;
}

void dmaengine_inject(u32 fail_nth, u32 delay_us)
{
	reg_write(MMVM_DMA_REG_FAIL_AT, fail_nth);
	reg_write(MMVM_DMA_REG_DELAY_US, delay_us);
}

static int dmaengine_probe(const struct boot_device *bd)
{
	int err;

	spin_lock_init(&engine.lock);
	wait_queue_init(&engine.wq);
	engine.dev.name = "dma-engine";
	engine.regs = ioremap(bd->base, bd->size);
	if (!engine.regs)
		return -ENOMEM;
	err = -ENODEV;
	if (reg_read(MMVM_DMA_REG_ID) != MMVM_DMA_ID || reg_read(MMVM_DMA_REG_VERSION) != 1)
		goto unmap;
	/* The ring may lie anywhere. Buffers must lie within the mask that is set later. */
	err = dma_set_mask_and_coherent(&engine.dev, DMA_BIT_MASK(64));
	if (err)
		goto unmap;
	err = -ENOMEM;
	engine.ring = dma_alloc_coherent(&engine.dev, RING_SIZE * sizeof(*engine.ring),
					 &engine.ring_dma, GFP_KERNEL);
	if (!engine.ring)
		goto unmap;
	err = request_irq(bd->gsi, engine_interrupt, NULL, "dma-engine");
	if (err)
		goto free_ring;

	reg_write(MMVM_DMA_REG_CONTROL, 2);
	reg_write(MMVM_DMA_REG_RING_LO, engine.ring_dma);
	reg_write(MMVM_DMA_REG_RING_HI, engine.ring_dma >> 32);
	reg_write(MMVM_DMA_REG_RING_SIZE, RING_SIZE);
	reg_write(MMVM_DMA_REG_MASK_BITS, 64);
	reg_write(MMVM_DMA_REG_CONTROL, 1);
	err = -EIO;
	if ((reg_read(MMVM_DMA_REG_STATUS) & (MMVM_DMA_ST_ENABLED | MMVM_DMA_ST_HALTED)) ==
	    MMVM_DMA_ST_ENABLED)
		return 0;
	printk("dma-engine: refuses its ring\n");
free_ring:
	dma_free_coherent(&engine.dev, RING_SIZE * sizeof(*engine.ring), engine.ring,
			  engine.ring_dma);
unmap:
	iounmap(engine.regs);
	engine.regs = NULL;
	return err;
}

DRIVER(dma_engine, MMVM_FDT_COMPAT_DMA, dmaengine_probe);
