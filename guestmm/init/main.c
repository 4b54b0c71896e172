/*
 * The boot, from the first C function to the first program.
 *
 *   on the VMM's page tables   device tree -> memblock; descriptor tables; our own page tables
 *   with memblock              struct pages; then the memory manager takes all memory over
 *   with memory                interrupts, scheduler; the boot stack becomes the idle thread
 *   init thread                drivers, swap, the program or the test, the reports, the exit status
 *
 * What runs only up to the idle loop is in init sections, given to the buddy before the program
 * starts.
 */
#include "arch/boot.h"
#include "arch/processor.h"
#include "arch/smp.h"
#include "drivers/driver.h"
#include "fs/cgroup/cgroupfs.h"
#include "fs/notify.h"
#include "fs/sysfs/sysfs.h"
#include "fs/tty.h"
#include "fs/vfs.h"
#include "kernel/vdso.h"
#include "kernel/accessd.h"
#include "kernel/boot.h"
#include "kernel/console.h"
#include "kernel/process.h"
#include "kernel/psi.h"
#include "kernel/testchan.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/cache/pagecache.h"
#include "mm/huge/thp.h"
#include "mm/init.h"
#include "mm/ksm/ksm.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/alloc.h"
#include "mm/move/balloon.h"
#include "mm/move/compaction.h"
#include "mm/phys/memblock.h"
#include "mm/phys/highmem.h"
#include "mm/move/reporting.h"
#include "mm/reclaim/reclaim.h"
#include "mm/slab/slab.h"
#include "mm/swap/swap.h"
#include "mm/virt/mm.h"
#include "mm/reclaim/oom.h"
#include "mm/zswap/zswap.h"
#include "tests/tests.h"

static __init void report_zones(void)
{
	static const char *const names[MAX_NR_ZONES] = {"DMA", "DMA32", "Normal", "HighMem",
							"Movable"};

	for (unsigned int i = 0; i < nr_zones; i++) {
		const struct zone *z = zone_table[i];

		printk("zone %s: %lu pages from %lx, %lu managed\n", names[z->type], z->present,
		       z->start_pfn << PAGE_SHIFT, z->managed);
	}
}

/* Before the direct map. */
static __init bool switched_on(const char *name)
{
	char value[8];

	return cmdline_get_early(name, value, sizeof(value)) && boot_option_is_on(name, value);
}

/* Before the direct map. */
static __init void highmem_setup(void)
{
	char option[32], why[64];

	if (!cmdline_get_early("highmem", option, sizeof(option)))
		return;
	highmem_reserve(option, why, sizeof(why));
	if (why[0])
		printk("highmem=%s: %s, ignored\n", option, why);
	if (highmem_start)
		static_key_enable(KEY_HIGHMEM);
}

static void swap_init(void)
{
	struct block_device *bdev = find_block_device("swap");
	int err;

	if (!bdev)
		return;
	err = do_swapon(bdev, -1);
	if (err)
		printk("swap: cannot use %s: error %d\n", bdev->name, -err);
	else
		printk("swap: %lu KiB on %s\n", (unsigned long)swap_total_pages() << 2, bdev->name);
}

/* Run the program and return the status mmvm exits with, as a shell would say it. */
static int run_first_program(void)
{
	char init[128];
	int pid, status;

	/* init=PATH: what is on the root's disk, with the program's arguments */
	if (!cmdline_get("init", init, sizeof(init)))
		strscpy(init, boot_info.argv, sizeof(init));
	pid = process_spawn(init, boot_info.argv, boot_info.argv_len);
	if (pid < 0) {
		printk("cannot run %s: error %d\n", init, -pid);
		return pid == -ENOENT ? 127 : 126;
	}
	status = process_wait(pid);
	processes_end();
	return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
}

/* The last act of a run. A process that cannot end could change memory while the host reads it: then
 * there is no audit, and the host says so. */
static void final_audit(void)
{
	if (!processes_end())
		return;
	balloon_freeze();
	page_reporting_freeze();
	memory_settle();
	testchan_audit();
}

static int init_thread(void *arg)
{
	int status = 0;

	smp_start_cpus();
	vfs_init();
	sysfs_init();
	cgroupfs_init();
	drivers_init();
	tty_init(); /* a virtio-console is a driver's */
	swap_init();
	zswap_init();
	blockdev_init();
	inotify_setup();
	hwrng_init();
	ext2_init();
	initramfs_unpack();
	mount_root();
	audit_root_fill();
	free_initmem();
	mmvm_shared->totalram = totalram_pages();
	mmvm_shared->boot_ticks = boot_ticks();
	mmvm_shared->booted = 1;
	testchan_record(MMVM_REC_BOOTED, "", mmvm_shared->boot_ticks, 0, "");
	printk("up: %lu KiB of %lu KiB free, %lu thousand ticks\n",
	       (unsigned long)nr_free_pages() << 2, (unsigned long)totalram_pages() << 2,
	       (unsigned long)mmvm_shared->boot_ticks / 1000);

	boot_option_asked("init");
	boot_options_report();
	if (boot_info.test)
		run_guest_test(boot_info.test);
	if (boot_info.argv)
		status = run_first_program();
	vfs_shutdown();
	final_audit();
	testchan_report("meminfo", report_meminfo);
	testchan_report("vmstat", report_vmstat);
	testchan_report("buddyinfo", report_buddyinfo);
	testchan_report("zoneinfo", report_zoneinfo);
	testchan_report("slabinfo", report_slabinfo);
	testchan_exit(status);
}

/* Called by entry.S on the boot stack, interrupts off, on the VMM's page tables. */
void start_kernel(phys_addr_t fdt);
__init void __noreturn start_kernel(phys_addr_t fdt)
{
	time_init_early(rdtsc());
	fdt_scan(fdt);
	memblock_reserve(image_pa(_image_start),
			 ALIGN_UP(image_pa(_image_end), PAGE_SIZE) - image_pa(_image_start));
	time_init();
	if (boot_info.nr_cpus > 1)
		static_key_enable(KEY_SMP);
	if (boot_info.nr_nodes > 1)
		static_key_enable(KEY_NUMA);
	if (switched_on("lockdep"))
		static_key_enable(KEY_LOCKDEP);
	if (switched_on("page_poison"))
		static_key_enable(KEY_POISON);
	if (switched_on("fault_inject"))
		static_key_enable(KEY_FAIL);
	highmem_setup();
	cpu_init();
	paging_init();
	percpu_areas_init();
	if (static_key(KEY_LOCKDEP))
		lockdep_init();
	vmemmap_init();
	trace_init(); /* before the first page is given out, so that counts are whole */
	mm_boot_init(boot_info.cmdline);
	report_zones();

	apic_init();
	sched_init();
	mm_init();
	vdso_init();
	processes_init();
	syscalls_init();
	khugepaged_start();
	ksm_start();
	if (kswapd_init() || oom_reaper_init() || kcompactd_init() || flusher_init() ||
	    psi_init() || accessd_init() || kthread_run(init_thread, NULL, "init"))
		panic("no memory for the first threads");
	cpu_idle();
}
