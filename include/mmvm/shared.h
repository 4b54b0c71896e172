/*
 * The shared window: one MiB at MMVM_SHARED_BASE that both sides map, a memory slot of its own.
 *
 * The guest keeps its event counters and levels here, so that the host reads them at any moment
 * without an exit. Each field has one writer. The host treats every value as untrusted: it prints,
 * compares and never indexes with them unchecked.
 */
#ifndef MMVM_SHARED_H
#define MMVM_SHARED_H

#include <stddef.h>
#include <stdint.h>
#include "mmvm/layout.h"
#include "mmvm/vmstat.h"

#define MMVM_SHARED_MAGIC 0x53564d4dull /* "MMVS" */

#define MMVM_MAX_EVENTS	    512 /* a page */
#define MMVM_MAX_ZONES	    16
#define MMVM_MAX_ZONE_STATS 48
_Static_assert(NR_VM_EVENT_ITEMS <= MMVM_MAX_EVENTS, "grow MMVM_MAX_EVENTS");
_Static_assert(NR_ZONE_STAT_ITEMS <= MMVM_MAX_ZONE_STATS, "grow MMVM_MAX_ZONE_STATS");

/** Where the pages of counters begin. */
#define MMVM_SHARED_EVENTS 0x2000

/** One zone's levels, written by the guest as they change (relaxed atomics). */
struct mmvm_shared_zone {
	char name[16]; /* "DMA", "DMA32", "Normal", "Movable"; "" = slot not in use */
	uint32_t node;
	uint32_t reserved;
	uint64_t start_pfn, spanned, present, managed; /* pages */
	uint64_t wmark[3];			       /* min, low, high; pages */
	int64_t stat[MMVM_MAX_ZONE_STATS];	       /* enum zone_stat_item */
};

/** A vCPU's request to the VMM: filled by the guest, executed by `out` to MMVM_FASTOP_PORT. */
struct mmvm_mailbox {
	uint32_t op;		/* enum mmvm_fastop */
	int32_t result;		/* written by the VMM: 0 or -errno */
	uint64_t dst, src, len; /* guest physical addresses in RAM; bytes */
	uint64_t value;		/* FILL: 64-bit pattern */
	uint8_t pad[24];
};
_Static_assert(sizeof(struct mmvm_mailbox) == 64, "mailbox is part of the contract");

enum mmvm_fastop {
	MMVM_FASTOP_NOP = 0,
	MMVM_FASTOP_FILL = 1, /* dst, len, value: any alignment of 8, any length up to 2 MiB */
	MMVM_FASTOP_COPY = 2, /* dst, src, len: not overlapping */
	/** The vCPU waits for another one: let the host run that. */
	MMVM_FASTOP_YIELD = 3,
	/** Start vCPU `value` in 64-bit mode, interrupts off: RIP dst, CR3 src, RSP len, RDI value.
	 * -EINVAL: no such vCPU, or it runs from the beginning; -EBUSY: it was started before. */
	MMVM_FASTOP_CPU_START = 4,
};

struct mmvm_shared {
	uint64_t magic;	  /* written by the VMM */
	uint32_t version; /* MMVM_CONTRACT_VERSION */
	uint32_t nr_cpus;

	/* guest: levels for the live line */
	uint64_t booted;			/* 1 once the kernel is up */
	uint64_t boot_ticks;			/* TSC from first instruction to booted */
	uint64_t progress_done, progress_total; /* of the running program */
	uint64_t swap_total, swap_free;		/* pages */
	uint64_t totalram;			/* pages handed to the buddy */
	uint64_t
		access_ms; /* written by the VMM: sample accessed bits so often; 0: never (access.h) */
	/** Written by the VMM: rows << 16 | columns of the console's terminal; 0: not known. A change is
	 * followed by a modem status interrupt of the serial port. */
	uint32_t console_size;
	uint32_t reserved1;
	uint64_t reserved0[5];

	struct mmvm_mailbox mailbox[MMVM_MAX_CPUS];
	struct mmvm_shared_zone zone[MMVM_MAX_ZONES];
	uint8_t pad[MMVM_SHARED_EVENTS - 128 - MMVM_MAX_CPUS * sizeof(struct mmvm_mailbox) -
		    MMVM_MAX_ZONES * sizeof(struct mmvm_shared_zone)];
	/** enum vm_event_item. The guest maps each CPU's page a second time, into the area that it reaches
	 * through GS: one instruction counts an event. */
	uint64_t event[MMVM_MAX_CPUS][MMVM_MAX_EVENTS];
};
_Static_assert(offsetof(struct mmvm_shared, event) == MMVM_SHARED_EVENTS, "whole pages");
_Static_assert(MMVM_MAX_EVENTS * 8 == 4096, "a page for each CPU");
_Static_assert(sizeof(struct mmvm_shared) <= MMVM_SHARED_SIZE, "shared window too small");

#endif
