/*
 * The DMA engine: an emulated device that copies, fills and checksums guest memory.
 *
 * Registers are 32 bits wide at MMVM_DMAENGINE_BASE, little-endian; accesses of another width or
 * misaligned read as all-ones and are ignored on write (counted as guest errors). One descriptor
 * ring in guest memory; the driver writes the head index to DOORBELL; the device completes
 * descriptors in order, writes `status` and `checksum` back, advances TAIL and raises GSI 5 if the
 * descriptor asks.
 */
#ifndef MMVM_DMAENGINE_H
#define MMVM_DMAENGINE_H

#include <stdint.h>

#define MMVM_DMA_ID	       0x414d444du /* "MDMA" */
#define MMVM_DMA_REG_ID	       0x00	   /* RO */
#define MMVM_DMA_REG_VERSION   0x04	   /* RO: 1 */
#define MMVM_DMA_REG_CONTROL   0x08	   /* bit 0 enable, bit 1 reset */
#define MMVM_DMA_REG_STATUS    0x0c	   /* RO: MMVM_DMA_ST_* */
#define MMVM_DMA_REG_RING_LO   0x10	   /* guest physical address of the ring, 64-byte aligned */
#define MMVM_DMA_REG_RING_HI   0x14
#define MMVM_DMA_REG_RING_SIZE 0x18 /* descriptors, power of two, 2..1024; only while disabled */
#define MMVM_DMA_REG_DOORBELL \
	0x1c			     /* WO: new head (free-running count of submitted descriptors) \
				      */
#define MMVM_DMA_REG_TAIL	0x20 /* RO: free-running count of completed descriptors */
#define MMVM_DMA_REG_MASK_BITS	0x24 /* RW: addressable bits: 24, 32 or 64; others are refused */
#define MMVM_DMA_REG_IRQ_STATUS 0x28 /* RO: bit 0 completion, bit 1 error */
#define MMVM_DMA_REG_IRQ_ACK	0x2c /* WO: bits to clear */
#define MMVM_DMA_REG_DELAY_US	0x30 /* RW: delay before each completion, <= 1,000,000 */
#define MMVM_DMA_REG_FAIL_AT \
	0x34 /* RW: fail the n-th descriptor from now with DMA_ERR_INJECTED; 0 off */

#define MMVM_DMA_ST_ENABLED (1u << 0)
#define MMVM_DMA_ST_HALTED  (1u << 1) /* bad ring or index: reset to go on */

enum mmvm_dma_op { MMVM_DMA_COPY = 1, MMVM_DMA_FILL = 2, MMVM_DMA_CHECKSUM = 3 };

enum mmvm_dma_err {
	MMVM_DMA_PENDING = 0,
	MMVM_DMA_OK = 1,
	MMVM_DMA_ERR_OP = 2,	  /* unknown operation or flags */
	MMVM_DMA_ERR_MASK = 3,	  /* an address does not fit the mask */
	MMVM_DMA_ERR_ADDRESS = 4, /* outside guest RAM */
	MMVM_DMA_ERR_LENGTH = 5,  /* zero, or above MMVM_DMA_LEN_MAX */
	MMVM_DMA_ERR_INJECTED = 6,
};

#define MMVM_DMA_LEN_MAX (1u << 20)
#define MMVM_DMA_F_IRQ	 (1u << 0)

struct mmvm_dma_desc {
	uint64_t src; /* COPY, CHECKSUM */
	uint64_t dst; /* COPY, FILL */
	uint32_t len; /* bytes */
	uint16_t op;
	uint16_t flags;
	uint64_t pattern; /* FILL: repeated little-endian from the first byte */
	uint32_t status;  /* written by the device: enum mmvm_dma_err */
	uint32_t reserved;
	uint64_t checksum; /* written by the device: FNV-1a 64 of the bytes written or read */
	uint64_t cookie;   /* untouched */
	uint64_t pad;
};
_Static_assert(sizeof(struct mmvm_dma_desc) == 64, "DMA descriptor is part of the contract");

#endif
