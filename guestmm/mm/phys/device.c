/*
 * ZONE_DEVICE: frames that are not RAM.
 *
 *   RAM range, RAM range, ...      zones, buddy, LRU: zone.c
 *   device range                   struct pages and a place in the direct map, and nothing else
 *
 * I1  A frame of a device range has type DEVICE and refcount 1 for ever. It is in no zone of zone_table[]
 *     (its zone index is PAGE_ZONE_DEVICE, whose row is NULL), on no list of the allocator, on no LRU,
 *     and is counted nowhere as memory: pfn_valid() is false for it.
 * I2  Who maps one in a page table takes no reference and no mapcount: the PTE is special
 *     (_PAGE_SPECIAL | _PAGE_DEVMAP). What a frame is used for, and when it may be used for something else, is
 *     the owner's affair: of a file system with dax, mm/cache/dax.c.
 * I3  device_range[] is written before nr_device_ranges, and does not change after.
 */
#include "mm/phys/device.h"
#include "arch/device_map.h"
#include "lib/errno.h"
#include "mm/cache/pagecache.h"
#include "mm/phys/internal.h"
#include "mm/phys/zone.h"
#include "mmvm/audit.h"

struct device_range device_range[MMVM_MAX_PMEM];
unsigned int nr_device_ranges;
u64 device_flush_issued, device_flush_done;

static bool overlaps_memory(pfn_t start, pfn_t end)
{
	for (unsigned int i = 0; i < nr_ram_ranges; i++)
		if (start < ram_range[i].end && ram_range[i].start < end)
			return true;
	for (unsigned int i = 0; i < nr_device_ranges; i++)
		if (start < device_range[i].end && device_range[i].start < end)
			return true;
	return false;
}

static void init_page(struct page *p)
{
	p->flags = (u64)PAGE_ZONE_DEVICE << PAGE_ZONE_SHIFT;
	INIT_LIST_HEAD(&p->lru);
	p->mapcount = -1;
	p->refcount = 1;
	page_set_state(p, PAGE_STATE(PAGE_DEVICE, 0, 0, 0));
}

int device_memory_add(phys_addr_t start, u64 size)
{
	pfn_t first = start >> PAGE_SHIFT, end = (start + size) >> PAGE_SHIFT;
	int err;

	if (!size || (start | size) % MMVM_PMEM_UNIT || start + size < start ||
	    start + size > 1ull << 46 || overlaps_memory(first, end))
		return -EINVAL;
	if (nr_device_ranges == MMVM_MAX_PMEM)
		return -ENOSPC;
	err = arch_map_device(start, size);
	if (err)
		return err;
	for (pfn_t pfn = first; pfn < end; pfn++) {
		init_page(pfn_to_page(pfn));
		if (!(pfn & 1023))
			cond_resched();
	}
	device_range[nr_device_ranges] = (struct device_range){first, end};
	atomic_store_release(&nr_device_ranges, nr_device_ranges + 1);
	return 0;
}

void device_audit_layout(struct mmvm_audit_device *l)
{
	l->dax_flag = AS_DAX;
	l->issued_gva = (u64)&device_flush_issued;
	l->done_gva = (u64)&device_flush_done;
	l->nr_ranges = nr_device_ranges;
	for (unsigned int i = 0; i < nr_device_ranges; i++)
		l->range[i] = (struct mmvm_audit_range){.start_pfn = device_range[i].start,
							.end_pfn = device_range[i].end};
}
