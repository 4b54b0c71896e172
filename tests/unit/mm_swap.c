/*
 * Swap end to end on the host: a process with twice the memory there is, over a disk in memory;
 * each way through the swap cache by its counter; a disk that fails; areas that come and go.
 */
#include "unit.h"
#include "mm_user.h"
#include "mm/reclaim/policy_twolist.h"
#include "mm/reclaim/workingset.h"

static struct host_disk *disk;

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static u64 pattern(u64 i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

/* kswapd has no thread here: it runs whenever somebody sleeps or a test says so. */
static void run_kswapd(void)
{
	u32 flags = host_thread_info.flags;

	host_set_tif(TIF_MEMALLOC);
	for (int i = 0; i < MMVM_MAX_NODES; i++)
		if (node_data[i].present)
			balance_pgdat(&node_data[i], 0, ZONE_NORMAL);
	host_set_tif(flags);
}

/* Throw out everything that can go. */
static void swap_everything_out(struct mm_struct *mm)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};

	lru_add_drain();
	for (int i = 0; i < 20 && mm->rss_anon; i++) {
		shrink_node(&node_data[0], &sc);
		while (host_disk_complete(disk, 100))
			;
	}
	CU_ASSERT_EQUAL_FATAL(mm->rss_anon, 0);
	/* And out of the swap cache. */
	for (int i = 0; i < 20 && global_stat(NR_SWAPCACHE); i++) {
		shrink_node(&node_data[0], &sc);
		while (host_disk_complete(disk, 100))
			;
	}
	CU_ASSERT_EQUAL_FATAL(global_stat(NR_SWAPCACHE), 0);
}

static struct mm_struct *process_with(unsigned long pages, unsigned long *at)
{
	struct mm_struct *mm = mm_alloc();

	*at = do_mmap(mm, 0, pages << PAGE_SHIFT, RW, PRIVATE, 0);
	for (u64 i = 0; i < pages; i++)
		MUST(!user_write(mm, *at + i * PAGE_SIZE, pattern(i)), "page %lu", (long)i);
	return mm;
}

static void check_contents(struct mm_struct *mm, unsigned long at, u64 pages, u64 step)
{
	for (u64 n = 0, i = 0; n < pages; n++, i = (i + step) % pages) {
		u64 v = 0;
		unsigned int err = user_read(mm, at + i * PAGE_SIZE, &v);

		MUST(!err && v == pattern(i), "page %lu: %#lx, fault %#x", (long)i, (long)v, err);
	}
}

static void twice_the_memory(void)
{
	/* 48 MiB of RAM, 96 MiB of pages; each way of completing I/O. */
	for (int deferred = 0; deferred < 2; deferred++) {
		u64 reads = disk->pages_read, writes = disk->pages_written;
		u64 in = event(PSWPIN), out = event(PSWPOUT), n = 96 * MIB / PAGE_SIZE;
		unsigned long at;
		struct mm_struct *mm;

		disk->deferred = deferred;
		mm = process_with(n, &at);
		check_all();
		check_contents(mm, at, n, 7919);
		check_all();
		check_contents(mm, at, n, 1);
		check_all();
		/* The guest's counts are the disk's. */
		while (host_disk_complete(disk, 100))
			;
		CU_ASSERT_EQUAL(event(PSWPOUT) - out, disk->pages_written - writes);
		CU_ASSERT_EQUAL(event(PSWPIN) - in, disk->pages_read - reads);
		CU_ASSERT(disk->pages_written - writes >= n / 2);
		mmput(mm);
		CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
		check_all();
	}
	disk->deferred = false;
	CU_ASSERT(event(OOM_KILL) == 0);
}

static void kswapd_keeps_direct_reclaim_away(void)
{
	u64 n = 64 * MIB / PAGE_SIZE, direct = event(PGSCAN_DIRECT), steal = event(PGSTEAL_KSWAPD);
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, n << PAGE_SHIFT, RW, PRIVATE, 0);

	for (u64 i = 0; i < n; i++) {
		CU_ASSERT(!user_write(mm, at + i * PAGE_SIZE, pattern(i)));
		if (i % 32 == 0 && !pgdat_balanced(&node_data[0], 0, ZONE_NORMAL))
			run_kswapd();
	}
	CU_ASSERT_EQUAL(event(PGSCAN_DIRECT), direct);
	CU_ASSERT(event(PGSTEAL_KSWAPD) > steal + n / 4);
	check_contents(mm, at, n, 4099);
	check_all();
	mmput(mm);
}

static void a_clean_page_is_dropped_without_a_write(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(64, &at);
	u64 writes, clean;

	swap_everything_out(mm);
	check_contents(mm, at, 64, 1);
	CU_ASSERT(global_stat(NR_SWAPCACHE) == 64); /* slots kept: plenty are free */
	check_all();
	writes = disk->pages_written;
	clean = event(MMVM_SWAP_DROP_CLEAN);
	swap_everything_out(mm);
	CU_ASSERT_EQUAL(disk->pages_written, writes);
	CU_ASSERT_EQUAL(event(MMVM_SWAP_DROP_CLEAN), clean + 64);
	/* Written after it came back: must be written again. */
	check_contents(mm, at, 64, 1);
	for (u64 i = 0; i < 64; i++)
		CU_ASSERT(!user_write(mm, at + i * PAGE_SIZE + 8, i));
	swap_everything_out(mm);
	CU_ASSERT_EQUAL(disk->pages_written, writes + 64);
	for (u64 i = 0; i < 64; i++) {
		u64 v;

		CU_ASSERT(!user_read(mm, at + i * PAGE_SIZE + 8, &v) && v == i);
	}
	check_contents(mm, at, 64, 1);
	check_all();
	mmput(mm);
}

static void neighbours_share_requests(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(256, &at);
	u64 bios = disk->nr_writes, ra = event(SWAP_RA), hit = event(SWAP_RA_HIT);

	swap_everything_out(mm);
	CU_ASSERT(disk->nr_writes - bios <= 256 / 32 + 2);
	bios = disk->nr_reads;
	check_contents(mm, at, 256, 1);
	CU_ASSERT(disk->nr_reads - bios < 256 / 4); /* the window grew */
	CU_ASSERT(event(SWAP_RA) - ra > 128);
	CU_ASSERT(event(SWAP_RA_HIT) - hit > 128);
	mmput(mm);
}

/* Every page comes in once: as the wanted one of a request, or read ahead by one. Who touches them all turns each that was
 * read ahead into one hit; who touches some turns only those into hits; and who jumps about gets nothing read ahead. */
static void each_page_read_ahead_is_one_hit_when_used(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(256, &at);
	u64 reads, in, ra, hit, touched = 0;

	swap_everything_out(mm);
	reads = disk->nr_reads;
	in = event(PSWPIN);
	ra = event(SWAP_RA);
	hit = event(SWAP_RA_HIT);
	check_contents(mm, at, 256, 1);
	reads = disk->nr_reads - reads;
	CU_ASSERT_EQUAL(event(PSWPIN) - in, 256);
	CU_ASSERT_EQUAL(event(SWAP_RA) - ra, 256 - reads);
	CU_ASSERT_EQUAL(event(SWAP_RA_HIT) - hit, 256 - reads);
	CU_ASSERT(reads < 64);

	/* The first half of each 16: what was read ahead in the other half is no hit. */
	swap_everything_out(mm);
	reads = disk->nr_reads;
	in = event(PSWPIN);
	ra = event(SWAP_RA);
	hit = event(SWAP_RA_HIT);
	for (u64 i = 0; i < 256; i++) {
		u64 v = 0;

		if (i % 16 >= 8)
			continue;
		CU_ASSERT(!user_read(mm, at + i * PAGE_SIZE, &v) && v == pattern(i));
		touched++;
	}
	reads = disk->nr_reads - reads;
	CU_ASSERT_EQUAL(event(PSWPIN) - in, reads + event(SWAP_RA) - ra);
	CU_ASSERT_EQUAL(event(SWAP_RA_HIT) - hit, touched - reads);
	CU_ASSERT(event(SWAP_RA) - ra > event(SWAP_RA_HIT) - hit);

	/* 101 and 256 have no common divisor: all pages, none of them beside the one before. */
	swap_everything_out(mm);
	mm->swap_ra_win = 0;
	mm->swap_ra_hits = 0;
	reads = disk->nr_reads;
	ra = event(SWAP_RA);
	hit = event(SWAP_RA_HIT);
	check_contents(mm, at, 256, 101);
	CU_ASSERT_EQUAL(disk->nr_reads - reads, 256);
	CU_ASSERT_EQUAL(event(SWAP_RA) - ra, 0);
	CU_ASSERT_EQUAL(event(SWAP_RA_HIT) - hit, 0);
	check_all();
	mmput(mm);
}

static void zero_pages_need_no_disk(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 32 << PAGE_SHIFT, RW, PRIVATE, 0);
	u64 writes = disk->pages_written, reads = disk->pages_read, out = event(SWPOUT_ZERO);

	for (u64 i = 0; i < 32; i++)
		CU_ASSERT(!user_write(mm, at + i * PAGE_SIZE, 0));
	swap_everything_out(mm);
	CU_ASSERT_EQUAL(event(SWPOUT_ZERO), out + 32);
	CU_ASSERT_EQUAL(disk->pages_written, writes);
	check_all();
	for (u64 i = 0; i < 32; i++) {
		u64 v = 1;

		CU_ASSERT(!user_read(mm, at + i * PAGE_SIZE, &v) && v == 0);
	}
	CU_ASSERT_EQUAL(disk->pages_read, reads);
	/* No longer zero: the slot must forget that it was. */
	for (u64 i = 0; i < 32; i++)
		CU_ASSERT(!user_write(mm, at + i * PAGE_SIZE, pattern(i)));
	swap_everything_out(mm);
	check_contents(mm, at, 32, 1);
	check_all();
	mmput(mm);
}

static void a_failed_read_of_many_is_tried_again_alone(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(64, &at);
	u64 errors = event(MMVM_SWAP_IO_ERROR), v;

	swap_everything_out(mm);
	disk->fail_at = 1;
	CU_ASSERT(!user_read(mm, at, &v) && v == pattern(0)); /* read again, alone */
	CU_ASSERT(event(MMVM_SWAP_IO_ERROR) > errors);
	check_all();
	check_contents(mm, at, 64, 1);
	check_all();
	mmput(mm);
}

static void (*real_submit)(struct block_device *, struct bio *);
static u64 bad_sector;

/* A disk with one bad sector. */
static void submit_with_bad_sector(struct block_device *bdev, struct bio *bio)
{
	if (bio->sector <= bad_sector && bad_sector < bio->sector + bio->nr_pages * 8) {
		bio->status = -EIO;
		bio->end_io(bio);
		return;
	}
	real_submit(bdev, bio);
}

static void a_bad_sector_gives_sigbus_never_wrong_data(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(64, &at);
	u64 v, lost = 0;

	swap_everything_out(mm);
	bad_sector = swp_offset(pte_to_swp_entry(*walk_pte(mm->pgd, at + 9 * PAGE_SIZE))) * 8;
	real_submit = disk->bdev.submit;
	disk->bdev.submit = submit_with_bad_sector;
	for (int round = 0; round < 2; round++) {
		for (u64 i = 0; i < 64; i++) {
			unsigned int fault = user_read(mm, at + i * PAGE_SIZE, &v);

			if (fault) {
				CU_ASSERT_EQUAL(fault, VM_FAULT_SIGBUS);
				CU_ASSERT_EQUAL(i, 9);
				lost++;
			} else {
				CU_ASSERT_EQUAL(v, pattern(i));
			}
		}
		check_all();
	}
	CU_ASSERT_EQUAL(lost, 2);
	disk->bdev.submit = real_submit;
	/* The disk is well again: so is the page. */
	CU_ASSERT(!user_read(mm, at + 9 * PAGE_SIZE, &v) && v == pattern(9));
	mmput(mm);
	check_all();
}

static void a_failed_write_keeps_the_page(void)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};
	unsigned long at;
	struct mm_struct *mm = process_with(64, &at);

	lru_add_drain();
	for (int i = 0; i < 12; i++) {
		disk->fail_at = 1 + i % 3; /* one write in a few fails */
		shrink_node(&node_data[0], &sc);
	}
	disk->fail_at = 0;
	check_all();
	CU_ASSERT_EQUAL(global_stat(NR_WRITEBACK), 0);
	check_contents(mm, at, 64, 1);
	swap_everything_out(mm);
	check_contents(mm, at, 64, 1);
	check_all();
	mmput(mm);
}

/* ---- what others do meanwhile ---------------------------------------------------------------- */

/* The disk takes its time: `meanwhile` runs after a request was given to it and before it is done,
 * as another thread would. */
static void (*meanwhile)(void);
static struct mm_struct *their_mm;
static unsigned long their_at;
static u64 their_from;
static unsigned int times_run;

static void slow_submit(struct block_device *bdev, struct bio *bio)
{
	void (*fn)(void) = meanwhile;

	meanwhile = NULL;
	if (fn) {
		fn();
		times_run++;
	}
	real_submit(bdev, bio);
}

static void with_slow_disk(void (*fn)(void))
{
	if (!real_submit || disk->bdev.submit != slow_submit)
		real_submit = disk->bdev.submit;
	disk->bdev.submit = slow_submit;
	times_run = 0;
	meanwhile = fn;
}

static void fast_disk_again(void)
{
	CU_ASSERT_EQUAL(times_run, 1);
	disk->bdev.submit = real_submit;
	meanwhile = NULL;
}

static void they_drop_the_range(void)
{
	CU_ASSERT_EQUAL(do_madvise(their_mm, their_at, 64 << PAGE_SHIFT, MADV_DONTNEED), 0);
}

/* Not try_to_free_pages: it would wait for the very request that it interrupts here. */
static void they_reclaim(void)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};

	for (int i = 0; i < 6; i++)
		shrink_node(&node_data[0], &sc);
}

static void they_fault_on_all_they_can(void)
{
	/* Not those that the interrupted one has locked: they would wait for it. */
	for (u64 i = their_from; i < their_from + 24; i++)
		MUST(!user_write(their_mm, their_at + i * PAGE_SIZE, pattern(i)), "write");
}

static void they_exit(void)
{
	mmput(their_mm);
	their_mm = NULL;
}

static void a_range_dropped_while_its_page_is_read(void)
{
	u64 v = 1;

	their_mm = process_with(64, &their_at);
	swap_everything_out(their_mm);
	with_slow_disk(they_drop_the_range);
	CU_ASSERT(!user_read(their_mm, their_at + 3 * PAGE_SIZE, &v));
	CU_ASSERT_EQUAL(v, 0); /* what was read is nobody's any more */
	fast_disk_again();
	check_all();
	swap_everything_out(their_mm);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	mmput(their_mm);
	check_all();
}

static void reclaim_while_a_page_is_read(void)
{
	u64 v;

	their_mm = process_with(64, &their_at);
	swap_everything_out(their_mm);
	check_contents(their_mm, their_at, 20, 1);
	with_slow_disk(they_reclaim);
	CU_ASSERT(!user_read(their_mm, their_at + 63 * PAGE_SIZE, &v) && v == pattern(63));
	fast_disk_again();
	check_all();
	check_contents(their_mm, their_at, 64, 3);
	mmput(their_mm);
	check_all();
}

static void writes_nearby_while_a_page_is_read(void)
{
	u64 v;

	their_mm = process_with(64, &their_at);
	swap_everything_out(their_mm);
	their_from = 32;
	with_slow_disk(they_fault_on_all_they_can);
	CU_ASSERT(!user_read(their_mm, their_at, &v) && v == pattern(0));
	fast_disk_again();
	check_all();
	check_contents(their_mm, their_at, 64, 3);
	mmput(their_mm);
	check_all();
}

/* Pages are unmapped, in the cache and on their way to the disk. */
static void each_thing_that_may_happen_while_pages_are_written(void)
{
	void (*const what[])(void) = {they_drop_the_range, they_reclaim, they_fault_on_all_they_can,
				      they_exit};

	for (unsigned int i = 0; i < ARRAY_SIZE(what); i++) {
		struct scan_control sc = {
			.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};

		their_mm = process_with(64, &their_at);
		their_from = 0; /* in the first request */
		lru_add_drain();
		with_slow_disk(what[i]);
		shrink_node(&node_data[0], &sc);
		shrink_node(&node_data[0], &sc);
		fast_disk_again();
		check_all();
		for (u64 p = 0; p < 64 && their_mm; p++) {
			u64 v;

			CU_ASSERT(!user_read(their_mm, their_at + p * PAGE_SIZE, &v));
			CU_ASSERT_EQUAL(v, what[i] == they_drop_the_range ? 0 : pattern(p));
		}
		if (their_mm) {
			swap_everything_out(their_mm);
			mmput(their_mm);
		} else {
			shrink_node(&node_data[0], &sc);
			shrink_node(&node_data[0], &sc);
		}
		check_all();
		CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
		CU_ASSERT_EQUAL(global_stat(NR_SWAPCACHE), 0);
	}
}

/* Nobody reclaims after a process has exited while its pages are written: they and their slots are freed
 * nevertheless. */
static void pages_of_the_dead_are_freed_after_their_write(void)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};
	u64 stale = event(MMVM_SWAP_STALE), left;

	their_mm = process_with(64, &their_at);
	lru_add_drain();
	with_slow_disk(they_exit);
	for (int i = 0; i < 20 && !times_run; i++)
		shrink_node(&node_data[0], &sc);
	fast_disk_again();
	while (host_disk_complete(disk, 100))
		;
	left = global_stat(NR_SWAPCACHE);
	CU_ASSERT(left > 0);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, left);
	swap_stale_work();
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	CU_ASSERT_EQUAL(global_stat(NR_SWAPCACHE), 0);
	CU_ASSERT_EQUAL(event(MMVM_SWAP_STALE), stale + left);
	check_all();
}

/* What is mapped, or still wanted, keeps its slot. */
static void slots_with_users_are_not_stale(void)
{
	u64 stale = event(MMVM_SWAP_STALE);
	unsigned long at;
	struct mm_struct *mm = process_with(64, &at);

	swap_everything_out(mm);
	check_contents(mm, at, 20, 1);
	CU_ASSERT(global_stat(NR_SWAPCACHE) >= 20);
	swap_stale_work();
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 64);
	CU_ASSERT_EQUAL(event(MMVM_SWAP_STALE), stale);
	check_contents(mm, at, 64, 1);
	check_all();
	mmput(mm);
}

static void errors_while_overcommitted(void)
{
	u64 n = 80 * MIB / PAGE_SIZE, bus = 0, good = 0;
	unsigned long at;
	struct mm_struct *mm = mm_alloc();

	at = do_mmap(mm, 0, n << PAGE_SHIFT, RW, PRIVATE, 0);
	for (u64 i = 0; i < n; i++) {
		if (i % 997 == 0)
			disk->fail_at = 1;
		CU_ASSERT(!user_write(mm, at + i * PAGE_SIZE, pattern(i)));
	}
	for (u64 k = 0, i = 0; k < n; k++, i = (i + 5003) % n) {
		u64 v = 0;
		unsigned int fault;

		if (k % 97 == 0)
			disk->fail_at = 1 + k % 5;
		fault = user_read(mm, at + i * PAGE_SIZE, &v);
		if (fault) {
			CU_ASSERT_EQUAL(fault, VM_FAULT_SIGBUS);
			bus++;
		} else {
			MUST(v == pattern(i), "page %lu is %#lx", (long)i, (long)v);
			good++;
		}
	}
	disk->fail_at = 0;
	CU_ASSERT(good > n - n / 50);
	check_all();
	mmput(mm);
	check_all();
}

static void exit_frees_slots_and_cached_pages(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(128, &at);

	swap_everything_out(mm);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 128);
	check_contents(mm, at, 40, 1); /* some are in memory and cached */
	CU_ASSERT(!do_madvise(mm, at, 20 << PAGE_SHIFT, MADV_DONTNEED));
	check_all();
	mmput(mm);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	check_all();
}

static void willneed_reads_ahead(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(64, &at);
	u64 maj;

	swap_everything_out(mm);
	CU_ASSERT(!do_madvise(mm, at, 64 << PAGE_SHIFT, MADV_WILLNEED));
	maj = event(PGMAJFAULT);
	check_contents(mm, at, 64, 1);
	CU_ASSERT_EQUAL(event(PGMAJFAULT), maj);
	check_all();
	mmput(mm);
}

static void refaults_are_seen_and_activate(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(64, &at);
	u64 refault = event(WORKINGSET_REFAULT_ANON);

	swap_everything_out(mm);
	check_contents(mm, at, 64, 1);
	CU_ASSERT_EQUAL(event(WORKINGSET_REFAULT_ANON), refault + 64);
	/* Gone and back while as many pages are active: it belongs among them. */
	{
		u64 activated = event(WORKINGSET_ACTIVATE_ANON);
		u64 restored = event(WORKINGSET_RESTORE_ANON);
		struct page *page = alloc_pages_type(GFP_KERNEL, 0, PAGE_ANON);
		u32 shadow;

		SetPageSwapBacked(page);
		lru_add_drain();
		for (u64 i = 0; i < 64; i++)
			for (int twice = 0; twice < 2; twice++)
				mark_page_accessed(pfn_to_page(
					pte_pfn(*walk_pte(mm->pgd, at + i * PAGE_SIZE))));
		CU_ASSERT_EQUAL(lruvec_level(&root_lruvec[0], NR_ACTIVE_ANON), 64);
		shadow = workingset_eviction(page);
		twolist_age_clock(&root_lruvec[0], 65);
		workingset_refault(page, shadow);
		CU_ASSERT(!PageActive(page));
		shadow = workingset_eviction(page);
		twolist_age_clock(&root_lruvec[0], 63);
		workingset_refault(page, shadow);
		CU_ASSERT(PageActive(page) && !PageWorkingset(page));
		CU_ASSERT_EQUAL(event(WORKINGSET_ACTIVATE_ANON), activated + 1);
		CU_ASSERT_EQUAL(event(WORKINGSET_RESTORE_ANON), restored);
		/* It had been active before: it is of the working set. */
		ClearPageActive(page);
		SetPageWorkingset(page);
		shadow = workingset_eviction(page);
		ClearPageWorkingset(page);
		twolist_age_clock(&root_lruvec[0], 65);
		workingset_refault(page, shadow);
		CU_ASSERT(!PageActive(page) && !PageWorkingset(page));
		SetPageWorkingset(page);
		shadow = workingset_eviction(page);
		ClearPageWorkingset(page);
		workingset_refault(page, shadow);
		CU_ASSERT(PageActive(page) && PageWorkingset(page));
		CU_ASSERT_EQUAL(event(WORKINGSET_ACTIVATE_ANON), activated + 2);
		CU_ASSERT_EQUAL(event(WORKINGSET_RESTORE_ANON), restored + 1);
		release_page(page);
	}
	/* Pages that leave the active list are of the working set. */
	{
		struct scan_control sc = {.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE};
		struct page *page = pfn_to_page(pte_pfn(*walk_pte(mm->pgd, at)));

		CU_ASSERT(PageActive(page) && !PageWorkingset(page));
		policy_twolist.age(&root_lruvec[0], 0, 64, &sc);
		policy_twolist.age(&root_lruvec[0], 0, 64, &sc);
		CU_ASSERT(!PageActive(page) && PageWorkingset(page));
	}
	/* The decision itself. */
	CU_ASSERT(twolist_was_active(100, 150, 50));
	CU_ASSERT(!twolist_was_active(100, 151, 50));
	CU_ASSERT(twolist_was_active(0x1ffff0, 10, 30)); /* the clock went round */
	mmput(mm);
}

static void swapoff_brings_everything_back(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(300, &at);
	struct report r;
	char text[512], line[80];

	swap_everything_out(mm);
	check_contents(mm, at, 10, 3);
	r = (struct report){text, sizeof(text), 0, false};
	report_swaps(&r);
	CU_ASSERT(strstr(text, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n") == text);
	/* A write that failed before has cost a slot. */
	CU_ASSERT_EQUAL(swap_areas[0].usable, 40959 - sum_vm_event(MMVM_SWAP_BAD_SLOT));
	snprintf(line, sizeof(line), "/dev/vda                                partition\t%lu\t\t",
		 (unsigned long)swap_areas[0].usable * 4);
	CU_ASSERT(strstr(text, line) != NULL);
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
	CU_ASSERT_EQUAL(mm->rss_anon, 300);
	CU_ASSERT_EQUAL(mm->rss_swap, 0);
	CU_ASSERT_EQUAL(swap_total_pages(), 0);
	CU_ASSERT_EQUAL(swap_free_pages(), 0);
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), -EINVAL);
	check_all();
	check_contents(mm, at, 300, 7);
	CU_ASSERT_EQUAL(do_swapon(&disk->bdev, -1), 0);
	CU_ASSERT_EQUAL(do_swapon(&disk->bdev, -1), -EBUSY);
	swap_everything_out(mm);
	check_contents(mm, at, 300, 7);
	mmput(mm);
	check_all();
}

static void swapoff_refuses_what_does_not_fit(void)
{
	unsigned long at;
	struct mm_struct *mm = process_with(96 * MIB / PAGE_SIZE, &at);

	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), -ENOMEM);
	check_all();
	check_contents(mm, at, 96 * MIB / PAGE_SIZE, 4099);
	mmput(mm);
}

static void areas_are_used_by_priority_and_bad_slots_never(void)
{
	struct host_disk *small = host_disk_create("disk1", 64 << PAGE_SHIFT);
	unsigned long at;
	struct mm_struct *mm;
	u32 *header = (u32 *)(small->data + 1024);

	host_disk_mkswap(small);
	header[2] = 3; /* nr_badpages, and the list 512 bytes on */
	header[128] = 5;
	header[129] = 63;
	header[130] = 5; /* named twice */
	CU_ASSERT_EQUAL(do_swapon(&small->bdev, 10), 0);
	CU_ASSERT_EQUAL(swap_areas[1].usable, 61);
	mm = process_with(100, &at);
	swap_everything_out(mm);
	CU_ASSERT_EQUAL(swap_areas[1].inuse, 61); /* the higher priority first, to the brim */
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 39);
	CU_ASSERT_EQUAL(swap_areas[1].map[5], SWAP_MAP_BAD);
	check_all();
	check_contents(mm, at, 100, 3);
	CU_ASSERT_EQUAL(do_swapoff(&small->bdev), 0);
	check_contents(mm, at, 100, 1);
	mmput(mm);
	check_all();
	/* Headers that lie. */
	header[2] = 2000;
	CU_ASSERT_EQUAL(do_swapon(&small->bdev, -1), -EINVAL);
	header[2] = 1;
	header[128] = 64;
	CU_ASSERT_EQUAL(do_swapon(&small->bdev, -1), -EINVAL);
	header[2] = 0;
	header[1] = 64; /* one page more than the disk has */
	CU_ASSERT_EQUAL(do_swapon(&small->bdev, -1), -EINVAL);
	header[1] = 0;
	CU_ASSERT_EQUAL(do_swapon(&small->bdev, -1), -EINVAL);
	header[1] = 63;
	header[0] = 2;
	CU_ASSERT_EQUAL(do_swapon(&small->bdev, -1), -EINVAL);
	header[0] = 1;
	small->data[PAGE_SIZE - 1] = 'x';
	CU_ASSERT_EQUAL(do_swapon(&small->bdev, -1), -EINVAL);
	small->data[PAGE_SIZE - 1] = '2';
	small->fail_at = 1;
	CU_ASSERT_EQUAL(do_swapon(&small->bdev, -1), -EIO);
	for (u64 k = 1; k < 6; k++) {
		alloc_fail_nth(k);
		int err = do_swapon(&small->bdev, -1);

		alloc_fail_nth(0);
		CU_ASSERT(!err || err == -ENOMEM);
		if (!err)
			CU_ASSERT_EQUAL(do_swapoff(&small->bdev), 0);
	}
	check_all();
}

static void full_swap_still_serves_clean_pages(void)
{
	/* A swap area that is too small: pages with slots can be dropped and read again for ever.
	 */
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};
	struct host_disk *tiny = host_disk_create("disk2", 33 << PAGE_SHIFT);
	unsigned long at;
	struct mm_struct *mm = process_with(64, &at);

	host_disk_mkswap(tiny);
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
	CU_ASSERT_EQUAL(do_swapon(&tiny->bdev, -1), 0);
	lru_add_drain();
	for (int i = 0; i < 10; i++)
		shrink_node(&node_data[0], &sc);
	CU_ASSERT_EQUAL(swap_free_pages(), 0);
	CU_ASSERT_EQUAL(mm->rss_swap, 32);
	check_all();
	for (int round = 0; round < 5; round++) {
		check_contents(mm, at, 64, 5);
		for (int i = 0; i < 10; i++)
			shrink_node(&node_data[0], &sc);
		check_all();
	}
	mmput(mm);
	CU_ASSERT_EQUAL(do_swapoff(&tiny->bdev), 0);
	CU_ASSERT_EQUAL(do_swapon(&disk->bdev, -1), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"a_clean_page_is_dropped_without_a_write",
		 a_clean_page_is_dropped_without_a_write},
		{"neighbours_share_requests", neighbours_share_requests},
		{"each_page_read_ahead_is_one_hit_when_used",
		 each_page_read_ahead_is_one_hit_when_used},
		{"zero_pages_need_no_disk", zero_pages_need_no_disk},
		{"a_failed_read_of_many_is_tried_again_alone",
		 a_failed_read_of_many_is_tried_again_alone},
		{"a_bad_sector_gives_sigbus_never_wrong_data",
		 a_bad_sector_gives_sigbus_never_wrong_data},
		{"a_failed_write_keeps_the_page", a_failed_write_keeps_the_page},
		{"exit_frees_slots_and_cached_pages", exit_frees_slots_and_cached_pages},
		{"willneed_reads_ahead", willneed_reads_ahead},
		{"refaults_are_seen_and_activate", refaults_are_seen_and_activate},
		{"a_range_dropped_while_its_page_is_read", a_range_dropped_while_its_page_is_read},
		{"reclaim_while_a_page_is_read", reclaim_while_a_page_is_read},
		{"writes_nearby_while_a_page_is_read", writes_nearby_while_a_page_is_read},
		{"each_thing_that_may_happen_while_pages_are_written",
		 each_thing_that_may_happen_while_pages_are_written},
		{"pages of the dead are freed after their write",
		 pages_of_the_dead_are_freed_after_their_write},
		{"slots with users are not stale", slots_with_users_are_not_stale},
		{"swapoff_brings_everything_back", swapoff_brings_everything_back},
		{"areas_are_used_by_priority_and_bad_slots_never",
		 areas_are_used_by_priority_and_bad_slots_never},
		{"full_swap_still_serves_clean_pages", full_swap_still_serves_clean_pages},
		{"kswapd_keeps_direct_reclaim_away", kswapd_keeps_direct_reclaim_away},
		{"twice_the_memory", twice_the_memory},
		{"swapoff_refuses_what_does_not_fit", swapoff_refuses_what_does_not_fit},
		{"errors_while_overcommitted", errors_while_overcommitted},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", 160 * MIB);
	host_disk_mkswap(disk);
	if (do_swapon(&disk->bdev, -1))
		abort();
	return unit_run("swap", cases, sizeof(cases) / sizeof(cases[0]));
}
