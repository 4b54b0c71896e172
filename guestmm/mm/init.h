/*
 * Bringing the memory manager up, in this order:
 *
 *   arch           memblock_add/reserve from the device tree; direct map; vmemmap (memblock memory
 *                  mapped at VMEMMAP_START)
 *   mm_boot_init() zones and struct pages from memblock, buddy, per-CPU lists, slab, vmalloc.
 *                  After it kmalloc works.
 *   arch, kernel   traps, timer, scheduler
 *   mm_init()      address spaces, zero page, rmap, swap (mm/virt/mm.h)
 *   kswapd_init()
 */
#ifndef MM_INIT_H
#define MM_INIT_H
#include "lib/types.h"
#include "lib/format.h"
/** `cmdline` options read here: movablecore=, kernelcore=, slab_debug=, norandmaps, debug_vm, min_free_kbytes=,
 * reclaim_policy=. Panics on no memory. */
void mm_boot_init(const char *cmdline);
/** Give boot-only memory (init text/data, the boot FDT...) to the buddy: frames [start, end). */
void free_reserved_area(phys_addr_t start, phys_addr_t end, const char *what);
/** Fill mmvm_audit_root. After mm_init(). Called again when a swap area is added or removed. */
void audit_root_fill(void);

/** Pages that a new program could use without swapping: MemAvailable. */
u64 mem_available(void);
void report_meminfo(struct report *r);
void report_vmstat(struct report *r);
void report_buddyinfo(struct report *r);
void report_zoneinfo(struct report *r);
void report_pagetypeinfo(struct report *r);
#endif
