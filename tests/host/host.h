/*
 * The host build's machine: a fake physical memory, a software MMU for the vmalloc area, one thread
 * on one CPU, and a block device in memory. mm/ runs on it unchanged.
 *
 * A test program boots once (host_boot) and then calls mm/ as the guest would. What must panic is
 * run in a forked child by host_panics(), which leaves the parent's machine as it was.
 */
#ifndef TESTS_HOST_H
#define TESTS_HOST_H

#include "lib/env.h"
#include "lib/types.h"
#include "mm/block/bio.h"

#define HOST_PHYS_SIZE	  (8ull << 30)	/* fake physical address space */
#define HOST_VMALLOC_SIZE (64ull << 30) /* size of the fake vmalloc area */

struct host_region {
	phys_addr_t base;
	u64 size;
	int node;
};

/** Map RAM, tell memblock, make the kernel's top-level table, run mm_boot_init(cmdline). Once a
 * program. The first 64 KiB are reserved, as firmware would. */
void host_boot(const struct host_region *region, unsigned int n, const char *cmdline);
/** 40 MiB low (DMA and DMA32) and 8 MiB above 4 GiB (NORMAL): the default machine of `mmvm run`. */
void host_boot_default(const char *cmdline);
/** RAM and memblock only, for tests that come before mm_boot_init. */
void host_arena_init(const struct host_region *region, unsigned int n);

/** What is at a physical address, as the programs' CPU and devices see it: high memory (HIGHMEM=SIZE in the
 * environment), too, which the kernel's direct map does not have. */
extern unsigned long host_ram_base;
static inline void *host_ram(phys_addr_t pa)
{
	return (void *)(host_ram_base + pa);
}
static inline void *host_page(const struct page *page)
{
	return host_ram(page_to_phys(page));
}
/** Run fn(arg) in a forked child. True when it panicked with a message that contains `needle`. */
bool host_panics(void (*fn)(void *arg), void *arg, const char *needle);

/** Give the current thread TIF_* flags; pretend to be on another CPU. */
void host_set_tif(u32 flags);
void host_set_cpu(unsigned int cpu);
/** CPUs of the machine; on_each_cpu() runs on all of them. Changed before host_boot() only. */
extern unsigned int host_nr_cpus;

/** What printk said since the last call of host_log_clear (bounded, newest kept). */
const char *host_log(void);
void host_log_clear(void);

/** User memory [start, end) is not there (uaccess.c): until touched where faults are resolved, or, if
 * not can_resolve, for ever. Cleared when resolved; counts stay. */
struct host_user_fault {
	unsigned long start, end;
	bool can_resolve;
	u64 nr_resolved, nr_refused;
};
extern struct host_user_fault host_user_fault;

/** Called by schedule() when no deferred I/O is pending: return true when something happened that
 * a waiter may wait for. Without a hook, or when it returns false, schedule() panics. */
extern bool (*host_idle_hook)(void);

extern u64 host_time_ns;	/* ktime_ns(); schedule_timeout() advances it */
extern u64 host_random;		/* state of get_random_u64() */
extern bool host_task_is_admin; /* what task_is_admin() says */
extern u64 host_nr_wakeups;	/* wake_up() calls */

/** TLB maintenance asked for since boot. */
struct host_tlb_counts {
	u64 page, range, mm, kernel_range, kernel_page, batch, batched;
};
extern struct host_tlb_counts host_tlb;

/** The fake TLB of user addresses (tlb.c). A walk of the tables loads it. */
void host_tlb_load(const struct mm_struct *mm, unsigned long addr, unsigned long pfn,
		   unsigned long table_pfn, bool writable, bool dirty);
/** The same of 2 MiB: pfn is the first frame's, table_pfn that of the table of PMDs. */
void host_tlb_load_large(const struct mm_struct *mm, unsigned long addr, unsigned long pfn,
			 unsigned long table_pfn, bool writable, bool dirty);
/** A walk for addr has come to this table of PTEs and found no page: the CPU may remember the table. */
void host_tlb_load_table(const struct mm_struct *mm, unsigned long addr, unsigned long table_pfn);
/** Is there a translation that allows the access? It may be stale. */
bool host_tlb_lookup(const struct mm_struct *mm, unsigned long addr, bool write,
		     unsigned long *pfn);
unsigned int host_tlb_entries(const struct mm_struct *mm);
/** Translations that disagree with their tables: flushes that are owed. The first few are printed. */
unsigned int host_tlb_stale(void);
/** The same of [start, end) of one address space; with `accessed`, one whose entry says that it was not
 * accessed is stale as well. */
unsigned int host_tlb_stale_in(const struct mm_struct *mm, unsigned long start, unsigned long end,
			       bool accessed);
/** What a freed page is filled with. */
#define HOST_POISON 0xa5

/** Kernel threads that kthread_run() was asked for: recorded, never run by themselves. */
struct host_kthread {
	int (*fn)(void *arg);
	void *arg;
	char name[32];
};
#define HOST_MAX_KTHREADS 16
extern struct host_kthread host_kthreads[HOST_MAX_KTHREADS];
extern unsigned int host_nr_kthreads;

/** Processes that for_each_process() shows; process_kill() sets `exiting` and `killed`. */
#define HOST_MAX_PROCESSES 16
extern struct process_view host_process[HOST_MAX_PROCESSES];
extern unsigned int host_nr_processes;
/** Limits of "the process" (rlimit()). A test puts back what it changes: host_limits_reset(). */
extern struct rlimit host_limits[];
void host_limits_reset(void);
extern int host_last_killed; /* pid, 0 = none yet */

/** An open file, with one reference that the test keeps; and what file_sync_range() was asked. */
struct file;
struct file *host_file(const char *name);
int host_file_refs(const struct file *f);
extern u64 host_file_syncs, host_file_sync_start, host_file_sync_end;

/** A disk in memory. */
struct host_disk {
	struct block_device bdev;
	u8 *data;
	bool deferred; /* complete bios from schedule() or host_disk_complete(), not in submit */
	u64 page_ns;   /* deferred: time that a page takes; 0: none, and polling completes one */
	u64 idle_at;   /* then: when it is done with what it has begun */
	u64 fail_at;   /* the n-th read or write from now fails with -EIO; 0 = off */
	u64 nr_reads, nr_writes, nr_discards; /* bios */
	u64 pages_read, pages_written;
	struct list_head pending;
};
struct host_disk *host_disk_create(const char *role, u64 bytes);
/** Write a swap header (SWAPSPACE2, version 1) as mkswap does. */
void host_disk_mkswap(struct host_disk *d);
/** Complete up to n deferred bios, oldest first. Returns how many. */
unsigned int host_disk_complete(struct host_disk *d, unsigned int n);
/** Complete one deferred bio of any disk; false when there is none. */
bool host_disks_poll(void);
/** Of disks with page_ns: when the next bio is done; ~0: none is under way. */
u64 host_disks_next(void);
/** Has any disk page_ns? */
bool host_disks_take_time(void);
/** Complete those that are done by host_time_ns. */
void host_disks_run(void);

#endif
