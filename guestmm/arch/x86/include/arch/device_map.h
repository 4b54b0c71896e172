/* Kernel mappings of memory that is not RAM. */
#ifndef ARCH_DEVICE_MAP_H
#define ARCH_DEVICE_MAP_H
#include "lib/types.h"

/** Map [start, start + size), whole units of 2 MiB above all RAM, in the direct map, and zeroed struct pages for it in
 * the vmemmap. 0 or -ENOMEM. Boot only. May sleep. */
int arch_map_device(phys_addr_t start, u64 size);
#endif
