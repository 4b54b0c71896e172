/* Automatic balancing: pages follow the CPUs that use them (balancing.c). */
#ifndef MM_NUMA_BALANCING_H
#define MM_NUMA_BALANCING_H
#include "mm/virt/mm_types.h"

struct vm_fault;

/** Bits of /proc/sys/kernel/numa_balancing. TIERING alone looks only at memory of nodes without CPUs. */
#define NUMA_BALANCING_NORMAL  1u
#define NUMA_BALANCING_TIERING 2u
extern unsigned int sysctl_numa_balancing;
/** Balancing has been on, so page tables may hold hints. For the host's audit. */
extern u32 numa_hints_ever;
/** 0, -EINVAL (no such mode, or the machine has one node) or -ENOMEM. May sleep. */
int numa_balancing_set(unsigned int mode);
/** Make hints in the next `pages` pages of the address space; at its end the scan begins again. Returns how many
 * were made. Takes mmap_lock. */
unsigned long numa_scan_mm(struct mm_struct *mm, unsigned long pages);
/** vmf->orig is a hint. mmap_lock held for reading. Afterwards the entry allows what it allowed, or has changed. */
void numa_hint_fault(struct vm_fault *vmf);
#endif
