/* Steps of the boot, called by main.c alone. */
#ifndef KERNEL_BOOT_H
#define KERNEL_BOOT_H
#include "kernel/boot_info.h"

/** Read the device tree at `pa` (below 1 GiB, reached through the VMM's boot tables): fills
 * boot_info, adds RAM to memblock, and reserves the VMM's boot tables, the tree itself and the
 * initrd. Its
 * strings stay where they are: pointers into the direct map, usable once that exists. */
void fdt_scan(phys_addr_t pa);
/** Is the word on the command line? Before the direct map exists. */
bool cmdline_has_early(const char *name);
/** The same, and its value, cut to the buffer. */
bool cmdline_get_early(const char *name, char *buf, size_t size);
/** First thing of all: the clock's zero. */
void time_init_early(u64 tsc);
/** After the device tree: the clock's rate, and the random seed. */
void time_init(void);
/** End all processes, as at any power-off. Returns false when one is left after 2 s: it waits for a device that does
 * not answer. May sleep. */
bool processes_end(void);
/** True when nobody is between two steps that the audit would see as one wrong count: no page is isolated or
 * written back, no other task can run. */
bool memory_is_quiet(void);
/** Wait until writeback, isolation and other CPUs have come to rest, at most 2 s, and empty the per-CPU
 * lists: for a testchan_audit() that follows. May sleep. */
void memory_settle(void);
/** TSC ticks since the first instruction. */
u64 boot_ticks(void);
#endif
