/*
 * The data that the kernel provides for the vDSO: one page, [vvar], which every program may read. The kernel writes
 * it (kernel/vdso.c), the vDSO's code reads it (arch/x86/vdso/vdso.c). Both are built from this header.
 */
#ifndef ARCH_VDSO_H
#define ARCH_VDSO_H
#include <stdint.h>

/** Where the time comes from. */
#define VDSO_CLOCK_NONE 0u /* call the kernel: user mode does not read the guest's TSC */
#define VDSO_CLOCK_TSC	1u

/** Segment whose limit holds CPU and node, as on Linux: cpu | node << 12. */
#define VDSO_CPUNODE_ENTRY 15
#define VDSO_CPUNODE_SEG   (VDSO_CPUNODE_ENTRY * 8 + 3)
#define VDSO_CPU_BITS	   12

/**
 * The clock is kernel/time.c's: ns = (TSC - tsc_zero) * ns_per_tick >> 32, and the time of day is epoch_ns more.
 * `seq` is odd while the fields below it change; a reader checks it before and after.
 */
struct vdso_data {
	uint32_t seq;
	uint32_t clock;	      /* VDSO_CLOCK_* */
	uint64_t tsc_zero;    /* ticks */
	uint64_t ns_per_tick; /* 32.32 fixed point */
	uint64_t epoch_ns;    /* time of day at tsc_zero */
	uint32_t getcpu;      /* 1: VDSO_CPUNODE_SEG is set up */
	uint32_t reserved;
};
#endif
