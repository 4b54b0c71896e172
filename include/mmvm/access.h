/*
 * Accessed pages, told by the guest: what it found in the accessed bits of its page tables.
 *
 *   guest: clears A bits, sets the frames' bits here, then sends MMVM_REC_ACCESS
 *   VMM:   takes the bits (and clears them) before the record is answered
 *
 * The bitmap lies in the upper half of the shared window, one bit a frame number: the first 16 GiB
 * of guest-physical addresses. Only one sampling is under way at a time, so that the bits taken are
 * those of the samplings since the record before. The guest is asked by mmvm_shared.access_ms,
 * which the VMM writes before the first instruction: 0 means no observer; the guest then takes no samples.
 *
 * On a machine with nodes a sampling has several records. The bits of each are what CPUs of one
 * node have accessed; the record's name says which:
 *
 *   "0", "1" ...   CPUs of this node alone
 *   "several"      CPUs of more than one node, or not known which
 *   ""             as "several", and the sampling is over
 *
 * A record without pages is left out, but for the last. A page may be in more than one.
 */
#ifndef MMVM_ACCESS_H
#define MMVM_ACCESS_H

#include <stdint.h>
#include "mmvm/shared.h"

#define MMVM_ACCESS_OFFSET  (MMVM_SHARED_SIZE / 2)
#define MMVM_ACCESS_SEVERAL "several"
#define MMVM_ACCESS_FRAMES  ((MMVM_SHARED_SIZE - MMVM_ACCESS_OFFSET) * 8)
_Static_assert(sizeof(struct mmvm_shared) <= MMVM_ACCESS_OFFSET, "the bitmap needs the upper half");

#endif
