/* /sys/kernel/debug/swiotlb: the pool of bounce buffers, in slots of 2 KiB, under Linux's names. */
#include "fs/sysfs/sysfs.h"
#include "mm/dma/swiotlb.h"

static int show(struct report *r, u64 arg)
{
	static u64 (*const count[])(void) = {swiotlb_nr_slots, swiotlb_used, swiotlb_used_hiwater};

	report_printf(r, "%lu\n", (unsigned long)count[arg]());
	return 0;
}

static const struct sysfs_entry entries[] = {
	{"kernel/debug/swiotlb/io_tlb_nslabs", 0444, show, NULL, 0},
	{"kernel/debug/swiotlb/io_tlb_used", 0444, show, NULL, 1},
	{"kernel/debug/swiotlb/io_tlb_used_hiwater", 0444, show, NULL, 2},
};

int sysfs_swiotlb_register(void)
{
	return sysfs_register(entries, ARRAY_SIZE(entries));
}
