/* Steps of the boot, called by main.c alone. */
#ifndef KERNEL_BOOT_H
#define KERNEL_BOOT_H
#include "kernel/boot_info.h"

/** Read the device tree at `pa`, which is below 1 GiB and mapped by the VMM's boot page tables. Fills boot_info, adds
 * RAM to memblock, and reserves the boot tables, the tree and the initrd. Strings are not copied: boot_info points to
 * them in the direct map, so they can be used once that exists. */
void fdt_scan(phys_addr_t pa);
/** Is the word on the command line? Before the direct map exists. */
bool cmdline_has_early(const char *name);
/** The same; the word's value is copied to buf, cut to fit. Before the direct map exists. */
bool cmdline_get_early(const char *name, char *buf, size_t size);
/** Set the clock's zero. The first thing that the kernel does. */
void time_init_early(u64 tsc);
/** Set the clock's rate and the random seed. After fdt_scan(). */
void time_init(void);
/** End all processes, as at a power-off. False: one is left after the time limit (settle.c), because it waits for a
 * device that does not answer. May sleep. */
bool processes_end(void);
/** Would an audit now find all counts consistent? True if no page is isolated or being written back, and no other task
 * can run. */
bool memory_is_quiet(void);
/** Prepare for testchan_audit(): wait until memory_is_quiet(), up to the time limit (settle.c), and empty the per-CPU
 * lists. May sleep. */
void memory_settle(void);
/** TSC ticks since the first instruction. */
u64 boot_ticks(void);
#endif
