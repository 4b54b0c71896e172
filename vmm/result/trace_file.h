/*
 * The trace file, as it lies on the disk. Little-endian, fields naturally aligned.
 *
 *   struct trace_file_header
 *   struct trace_chunk, its payload; struct trace_chunk, its payload; ...
 *
 *   TRACE_CHUNK_GUEST   struct mmvm_trace_rec ...    of CPU `cpu`, in the order of their times
 *   TRACE_CHUNK_HOST    struct trace_host_rec ...    in the order they were noted
 *   TRACE_CHUNK_TEXT    lines that name things (below), in any order, whenever they become known
 *   TRACE_CHUNK_END     struct trace_file_end        the run has ended, nothing follows
 *
 * Each begins at a multiple of 8. A chunk is written by one write(2), and a file is never changed
 * beyond the end: a process that is killed, or a full disk, leaves a readable prefix. A reader
 * takes whole chunks with a right sum and stops at the first that is none; without TRACE_CHUNK_END
 * it says that the run was cut short.
 *
 * Lines of text:
 *   exit N NAME        reason N of HOST_EXIT
 *   disk N ROLE        device N of HOST_BLK
 *   stat N NAME        value N of HOST_STAT
 *   sym ADDRESS NAME   a function of the guest kernel (hexadecimal)
 *   vmstat NAME VALUE  a counter of the guest at the end
 *
 * One clock: every time in the file is a TSC. Those of host records are the host's. Those of guest
 * records are the guest's = host's + tsc_offset, which was measured before the first instruction
 * by reading the guest's TSC between two readings of the host's (error: half of the time between
 * them), and again at the end: the two must agree, or the clocks drifted.
 */
#ifndef VMM_RESULT_TRACE_FILE_H
#define VMM_RESULT_TRACE_FILE_H

#include <stdint.h>
#include "mmvm/trace.h"

#define TRACE_FILE_MAGIC   0x0a4352544d564d4dull /* "MMVMTRC\n" */
#define TRACE_FILE_VERSION 1u
#define TRACE_CHUNK_MAGIC  0x4b484354u /* "TCHK" */
#define TRACE_CHUNK_MAX	   (1u << 20)  /* bytes of payload */

struct trace_file_header {
	uint64_t magic;
	uint32_t version;
	uint32_t size; /* of this header */
	uint64_t tsc_hz;
	int64_t tsc_offset;   /* guest - host */
	uint64_t tsc_error;   /* ticks */
	uint64_t begin_tsc;   /* host's, when the run began: time 0 */
	uint64_t begin_epoch; /* the same moment, ns since 1970 */
	uint64_t ram_low, ram_high;
	uint32_t cpus, pad;
	char backend[16], accel[16];
	char command[256];
};
_Static_assert(sizeof(struct trace_file_header) == 368, "the header is part of the format");

enum trace_chunk_kind {
	TRACE_CHUNK_GUEST = 1,
	TRACE_CHUNK_HOST,
	TRACE_CHUNK_TEXT,
	TRACE_CHUNK_END,
};
struct trace_chunk {
	uint32_t magic;
	uint16_t kind, cpu;
	uint32_t len; /* bytes of payload */
	uint32_t sum; /* trace_sum() of the payload */
};
_Static_assert(sizeof(struct trace_chunk) == 16, "chunks are part of the format");

/*
 * What the host sees: name, text, category, what device, arg, a and b say.
 */
#define TRACE_HOST_EVENTS(X)                                                                   \
	X(EXIT, "exit", "vmm")		     /* device: CPU; arg: reason; a: address */        \
	X(BLK, "blk", "device")		     /* arg: op | status << 8; a: sector; b: bytes */  \
	X(BLK_PAGE, "blk_page", "device")    /* arg: as BLK; a: frame; b: sector */            \
	X(DMA, "dma", "device")		     /* arg: op | status << 8; a: address; b: bytes */ \
	X(DMA_PAGE, "dma_page", "device")    /* arg: 1 written, 0 read; a: frame */            \
	X(HARVEST, "dirty_harvest", "dirty") /* a: pages */                                    \
	X(DIRTY, "dirty", "dirty")	     /* arg: 1 guest, 2 device; a: frame; b: frames */ \
	X(STAT, "kvm_stat", "kvm")	     /* arg: which; a: rise; b: value */               \
	X(RING_FULL, "ring_full", "vmm")     /* device: CPU; a: records taken */

#define MMVM_ENUM_(name, text, category) HOST_##name,
enum trace_host_event { HOST_NONE, TRACE_HOST_EVENTS(MMVM_ENUM_) NR_HOST_EVENTS };
#undef MMVM_ENUM_

struct trace_host_rec {
	uint64_t tsc; /* when it began */
	uint8_t event;
	uint8_t device;
	uint16_t arg;
	uint32_t ticks; /* how long it took; all ones: longer */
	uint64_t a, b;
};
_Static_assert(sizeof(struct trace_host_rec) == 32, "host records are part of the format");

struct trace_file_end {
	uint64_t guest_records, host_records; /* in the file */
	uint64_t guest_dropped;		      /* the guest found no room in its ring */
	uint64_t file_dropped;		      /* beyond the size limit of the file */
	uint64_t broken_rings;		      /* the guest wrote nonsense: bit i: CPU i's */
	int64_t tsc_offset;		      /* measured again */
	uint64_t tsc_error;
	uint64_t end_tsc;
	uint32_t exited;      /* 1: the guest ended by itself, so counts are whole */
	uint32_t write_error; /* errno of the first write that failed; 0: none */
};
_Static_assert(sizeof(struct trace_file_end) == 72, "the end is part of the format");

/** Sum of a payload: words added and rotated, the rest of a word padded with zeroes. */
uint32_t trace_sum(const void *data, uint32_t len);
/** A chunk from `len` bytes of payload that others may write to meanwhile: header, then a copy of
 * the payload, for which there is room behind it. */
void trace_chunk_fill(struct trace_chunk *chunk, enum trace_chunk_kind kind, unsigned int cpu,
		      const void *payload, uint32_t len);

#endif
