/*
 * /proc/meminfo and /proc/vmstat, in Linux's format (Documentation/filesystems/proc.rst), so that existing tools
 * and readers understand them. A line is printed if this kernel has what it counts. Things that do not exist here
 * (NFS_Unstable, ...) have no line, except a few zeroes that free(1) needs.
 */
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/init.h"
#include "mm/move/contig.h"
#include "mm/phys/highmem.h"
#include "mm/phys/internal.h"
#include "mm/move/memory_failure.h"
#include "mm/virt/mm.h"
#include "mm/cache/filemap.h"
#include "mm/swap/swap.h"
#include "mm/reclaim/reclaim.h"
#include "mm/kvirt/percpu.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/zswap/zswap.h"

static void kb(struct report *r, const char *label, u64 pages)
{
	report_printf(r, "%-16s%8lu kB\n", label, (unsigned long)(pages << (PAGE_SHIFT - 10)));
}

/* Pages that allocations of user memory leave alone. */
static u64 total_reserve(void)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < nr_zones; i++) {
		const struct zone *z = zone_table[i];
		u64 most = 0;

		for (int t = 0; t < MAX_NR_ZONES; t++)
			most = max(most, z->lowmem_reserve[t]);
		sum += min(most + z->watermark[WMARK_HIGH], (u64)z->managed);
	}
	return sum;
}

/* Memory that a new program could use without swapping: free pages, and at least half of the pages that are easy to
 * drop. */
u64 mem_available(void)
{
	s64 pages = global_stat(NR_FREE_PAGES) - (s64)total_reserve();
	s64 cache = global_stat(NR_ACTIVE_FILE) + global_stat(NR_INACTIVE_FILE);
	s64 slab = global_stat(NR_SLAB_RECLAIMABLE), low = 0;

	for (unsigned int i = 0; i < nr_zones; i++)
		low += zone_table[i]->watermark[WMARK_LOW];
	pages += cache - min(cache / 2, low);
	pages += slab - min(slab / 2, low);
	return pages < 0 ? 0 : pages;
}

/* The lines that Linux prints on machines with high memory. */
static void report_highmem(struct report *r)
{
	const u64 total = highmem_pages(), free = highmem_free_pages();

	kb(r, "HighTotal:", total);
	kb(r, "HighFree:", free);
	kb(r, "LowTotal:", totalram_pages() - total);
	kb(r, "LowFree:", nr_free_pages() - free);
}

void report_meminfo(struct report *r)
{
	const s64 active_anon = global_stat(NR_ACTIVE_ANON);
	const s64 inactive_anon = global_stat(NR_INACTIVE_ANON);
	const s64 active_file = global_stat(NR_ACTIVE_FILE);
	const s64 inactive_file = global_stat(NR_INACTIVE_FILE);
	const s64 reclaimable = global_stat(NR_SLAB_RECLAIMABLE);
	const s64 unreclaimable = global_stat(NR_SLAB_UNRECLAIMABLE);
	const s64 swapcache = global_stat(NR_SWAPCACHE);
	const s64 buffers = nr_blockdev_pages();

	kb(r, "MemTotal:", totalram_pages());
	kb(r, "MemFree:", global_stat(NR_FREE_PAGES));
	kb(r, "MemAvailable:", mem_available());
	kb(r, "Buffers:", buffers);
	kb(r, "Cached:", max(global_stat(NR_FILE_PAGES) - buffers, (s64)0));
	kb(r, "SwapCached:", swapcache);
	kb(r, "Active:", active_anon + active_file);
	kb(r, "Inactive:", inactive_anon + inactive_file);
	kb(r, "Active(anon):", active_anon);
	kb(r, "Inactive(anon):", inactive_anon);
	kb(r, "Active(file):", active_file);
	kb(r, "Inactive(file):", inactive_file);
	kb(r, "Unevictable:", global_stat(NR_UNEVICTABLE));
	kb(r, "Mlocked:", global_stat(NR_MLOCK));
	if (highmem_start)
		report_highmem(r);
	kb(r, "SwapTotal:", swap_total_pages());
	kb(r, "SwapFree:", swap_free_pages());
	kb(r, "Zswap:", zs_pages());
	kb(r, "Zswapped:", atomic_load(&zswap_counts.stored_pages));
	kb(r, "Dirty:", global_stat(NR_FILE_DIRTY));
	kb(r, "Writeback:", global_stat(NR_WRITEBACK));
	kb(r, "AnonPages:", global_stat(NR_ANON_MAPPED));
	kb(r, "Mapped:", global_stat(NR_FILE_MAPPED));
	kb(r, "Shmem:", global_stat(NR_SHMEM));
	kb(r, "KReclaimable:", reclaimable);
	kb(r, "Slab:", reclaimable + unreclaimable);
	kb(r, "SReclaimable:", reclaimable);
	kb(r, "SUnreclaim:", unreclaimable);
	report_printf(r, "%-16s%8lu kB\n",
		      "KernelStack:", (unsigned long)global_stat(NR_KERNEL_STACK_KB));
	kb(r, "PageTables:", global_stat(NR_PAGETABLE));
	kb(r, "CommitLimit:", vm_commit_limit());
	kb(r, "Committed_AS:", vm_committed());
	kb(r, "VmallocTotal:", (VMALLOC_END - VMALLOC_START) >> PAGE_SHIFT);
	kb(r, "VmallocUsed:", vmalloc_used_pages());
	kb(r, "VmallocChunk:", 0);
	kb(r, "HardwareCorrupted:", atomic_load(&num_poisoned_pages));
	kb(r, "Percpu:", percpu_nr_pages());
	kb(r, "AnonHugePages:", (u64)global_stat(NR_ANON_THPS) * HPAGE_PMD_NR);
	kb(r, "ShmemHugePages:", (u64)global_stat(NR_SHMEM_THPS) * HPAGE_PMD_NR);
	kb(r, "ShmemPmdMapped:", (u64)global_stat(NR_SHMEM_PMDMAPPED) * HPAGE_PMD_NR);
	hugetlb_report_meminfo(r);
	kb(r, "CmaTotal:", cma_total_pages());
	kb(r, "CmaFree:", global_stat(NR_FREE_CMA));
}

void report_vmstat(struct report *r)
{
	u64 background, limit;

#define X(item, name) report_printf(r, "%s %ld\n", name, (long)global_stat(item));
	MMVM_ZONE_STATS(X)
#undef X
#define X(item, name) report_printf(r, "%s %lu\n", name, (unsigned long)sum_vm_event(item));
	MMVM_VM_EVENTS(X)
#undef X
	dirty_limits(&background, &limit);
	report_printf(r, "nr_dirty_threshold %lu\n", (unsigned long)limit);
	report_printf(r, "nr_dirty_background_threshold %lu\n", (unsigned long)background);
}
