/* Sampling of accessed bits. */
#ifndef MM_ACCESS_H
#define MM_ACCESS_H
#include "mm/virt/mm_types.h"

/** Clear the accessed bits of an address space and flush them out of the TLBs. Each frame found
 * accessed becomes a bit of `bitmap` (frames from `nr_bits` on do not); returns pages found. May
 * sleep. */
unsigned long mm_access_sample(struct mm_struct *mm, u64 *bitmap, unsigned long nr_bits);
/** All address spaces, one after the other. */
unsigned long access_sample_all(u64 *bitmap, unsigned long nr_bits);
/** Those that only CPUs of node `nid` have loaded since their sample before. *exact: false when
 * another CPU loaded one of them in the meantime, and the bits of this call may be of either. */
unsigned long access_sample_node(unsigned int nid, u64 *bitmap, unsigned long nr_bits, bool *exact);
#endif
