/* ZONE_DEVICE: frames that are not RAM, but memory that a device offers (virtio-pmem). */
#ifndef MM_DEVICE_H
#define MM_DEVICE_H
#include "mm/phys/page.h"

/** Frames [start, end); C once added. */
struct device_range {
	unsigned long start, end;
};
extern struct device_range device_range[MMVM_MAX_PMEM];
extern unsigned int nr_device_ranges;

/** Give the range struct pages (PAGE_DEVICE, one reference, never free) and a place in the direct map. Boot
 * only, one caller at a time, may sleep. 0, -EINVAL: not whole units of MMVM_PMEM_UNIT, RAM, or there already;
 * -ENOSPC: too many ranges; -ENOMEM. */
int device_memory_add(phys_addr_t start, u64 size);

/** Is the frame one of ZONE_DEVICE? pfn_valid() is false for it: it is no RAM. */
static inline bool pfn_is_device(unsigned long pfn)
{
	for (unsigned int i = 0; i < nr_device_ranges; i++)
		if (pfn >= device_range[i].start && pfn < device_range[i].end)
			return true;
	return false;
}

/** Flushes that a device was asked for, and that it has answered. A. The driver's; here for the host's audit. */
extern u64 device_flush_issued, device_flush_done;

struct mmvm_audit_device;
void device_audit_layout(struct mmvm_audit_device *l);
#endif
