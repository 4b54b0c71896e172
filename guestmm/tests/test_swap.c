/*
 * Reclaim and swap under real pressure: a test address space larger than RAM, a swap disk behind
 * it, and the host's count of what the disk did beside the guest's.
 */
#include "mm/block/bio.h"
#include "mm/swap/swapcache.h"
#include "tests/tests.h"

#define MEM		"memory=14M,high=4M swap=48M append=page_poison"
#define SWAP_PTE(mm, a) pte_is_swap(testmm_pte(mm, a))

/** The host's count for the swap disk. */
static struct mmvm_disk_stats disk_stats(struct test *t)
{
	struct mmvm_disk_stats s = {0};

	CHECK_EQ(testchan_call(MMVM_REC_DISK_STATS, "swap", 0, 0, &s, sizeof(s)), 0);
	return s;
}

/** Fail `count` requests of the swap disk, from the nth on. */
static void inject(struct test *t, u64 nth, u64 count)
{
	CHECK_EQ(testchan_call(MMVM_REC_HOSTFAULT, "swap", nth, count, NULL, 0), 0);
}

static void write_all(struct test *t, struct mm_struct *mm, unsigned long a, unsigned long pages,
		      u64 seed)
{
	for (unsigned long i = 0; i < pages; i++) {
		unsigned long addr = a + i * PAGE_SIZE;

		CHECK_EQ(testmm_write(mm, addr, word_for(addr, seed)), 0);
		CHECK_EQ(testmm_write(mm, addr + PAGE_SIZE - 8, word_for(addr, ~seed)), 0);
	}
}

/** Read all in an order of its own. Returns the number of wrong pages. */
static unsigned long check_all(struct mm_struct *mm, unsigned long a, unsigned long pages, u64 seed)
{
	unsigned long bad = 0, at = 0;

	for (unsigned long i = 0; i < pages; i++) {
		unsigned long addr = a + at * PAGE_SIZE;
		u64 v = 0, w = 0;

		bad += testmm_read(mm, addr, &v) || v != word_for(addr, seed) ||
		       testmm_read(mm, addr + PAGE_SIZE - 8, &w) || w != word_for(addr, ~seed);
		at = (at + 7919) % pages; /* a prime larger than any region here */
	}
	return bad;
}

/** Reclaim until the page at `a` is gone to swap. */
static bool push_out(struct mm_struct *mm, unsigned long a)
{
	for (int i = 0; i < 300 && !SWAP_PTE(mm, a); i++) {
		try_to_free_pages(GFP_KERNEL, 0);
		sleep_ms(1);
	}
	return SWAP_PTE(mm, a);
}

GUEST_TEST(swap, twice_the_memory_keeps_every_word, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = totalram_pages() * 3 / 2;
	unsigned long a = testmm_map(t, mm, pages * PAGE_SIZE);
	struct mmvm_disk_stats disk = disk_stats(t), now;
	s64 out = ev(PSWPOUT), in = ev(PSWPIN), major = ev(PGMAJFAULT), swapf = ev(MMVM_FAULT_SWAP);

	REQUIRE(a);
	write_all(t, mm, a, pages, 1);
	CHECK_EQ(check_all(mm, a, pages, 1), 0);
	/* kswapd may still be at work: until the last write is done, and nobody begins another one. */
	memory_settle();
	now = disk_stats(t);
	out = ev(PSWPOUT) - out;
	in = ev(PSWPIN) - in;
	CHECK(out >= (s64)(pages - totalram_pages()));
	CHECK(in > 0);
	CHECK(ev(PGMAJFAULT) > major);
	CHECK(ev(MMVM_FAULT_SWAP) > swapf);
	CHECK(mm->rss_swap > 0);
	CHECK_EQ(now.sectors_written - disk.sectors_written, out * 8);
	CHECK_EQ(now.sectors_read - disk.sectors_read, in * 8);
	CHECK_EQ(now.errors, 0);
	/* Batching: far fewer requests than pages. */
	CHECK((s64)(now.writes - disk.writes) * 4 < out);
	mmput(mm);
	CHECK(swap_becomes_empty());
}

GUEST_TEST(swap, page_goes_out_and_comes_back, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 64 * PAGE_SIZE);
	s64 in = ev(PSWPIN), major = ev(PGMAJFAULT);
	u64 v = 0;

	REQUIRE(a);
	write_all(t, mm, a, 64, 2);
	REQUIRE(push_out(mm, a + 5 * PAGE_SIZE));
	CHECK(mm->rss_swap > 0);
	CHECK_EQ(mm->rss_swap + mm->rss_anon, 64);
	CHECK(swap_free_pages() < swap_total_pages());
	while (global_stat(NR_WRITEBACK))
		sleep_ms(1);
	CHECK_EQ(testmm_read(mm, a + 5 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, word_for(a + 5 * PAGE_SIZE, 2));
	CHECK(ev(PSWPIN) > in || ev(MMVM_SWAP_CACHE_HIT) > 0);
	CHECK(ev(PGMAJFAULT) >= major);
	CHECK_EQ(check_all(mm, a, 64, 2), 0);
	mmput(mm);
	CHECK(swap_becomes_empty());
}

GUEST_TEST(swap, clean_page_is_dropped_without_a_write, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = totalram_pages() * 9 / 8;
	unsigned long a = testmm_map(t, mm, pages * PAGE_SIZE);
	s64 out, dropped;

	REQUIRE(a);
	write_all(t, mm, a, pages, 3);
	/* Everything to the disk, whatever the policy prefers. From here on nothing is written, so
	 * what is dropped is mostly what the disk has. */
	CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK(mm->rss_swap > (s64)pages * 3 / 4);
	out = ev(PSWPOUT);
	dropped = ev(MMVM_SWAP_DROP_CLEAN);
	CHECK_EQ(check_all(mm, a, pages, 3), 0);
	CHECK(ev(MMVM_SWAP_DROP_CLEAN) > dropped);
	CHECK(ev(MMVM_SWAP_DROP_CLEAN) - dropped > ev(PSWPOUT) - out);
	mmput(mm);
}

GUEST_TEST(swap, unmapping_frees_the_slots, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 64 * PAGE_SIZE);

	REQUIRE(a);
	write_all(t, mm, a, 64, 4);
	REQUIRE(push_out(mm, a));
	REQUIRE(push_out(mm, a + 63 * PAGE_SIZE));
	while (global_stat(NR_WRITEBACK))
		sleep_ms(1);
	CHECK_EQ(do_madvise(mm, a, 32 * PAGE_SIZE, MADV_DONTNEED), 0);
	CHECK(!SWAP_PTE(mm, a));
	CHECK_EQ(do_munmap(mm, a, 64 * PAGE_SIZE), 0);
	CHECK_EQ(mm->rss_swap, 0);
	CHECK(swap_becomes_empty());
	mmput(mm);
}

GUEST_TEST(swap, protection_survives_the_disk, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 64 * PAGE_SIZE);
	u64 v;

	REQUIRE(a);
	write_all(t, mm, a, 64, 5);
	REQUIRE(push_out(mm, a));
	CHECK_EQ(do_mprotect(mm, a, PAGE_SIZE, PROT_READ), 0);
	CHECK_EQ(testmm_read(mm, a, &v), 0);
	CHECK_EQ(v, word_for(a, 5));
	CHECK_EQ(testmm_write(mm, a, 1), VM_FAULT_SIGSEGV_ACCERR);
	CHECK_EQ(do_mprotect(mm, a, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(testmm_write(mm, a, word_for(a, 5)), 0);
	CHECK_EQ(check_all(mm, a, 64, 5), 0);
	mmput(mm);
}

GUEST_TEST(swap, swapoff_brings_everything_back, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 128 * PAGE_SIZE);
	struct block_device *bdev = find_block_device("swap");
	s64 in;

	REQUIRE(a && bdev);
	write_all(t, mm, a, 128, 6);
	REQUIRE(push_out(mm, a));
	REQUIRE(push_out(mm, a + 100 * PAGE_SIZE));
	CHECK_EQ(do_swapon(bdev, -1), -EBUSY);
	in = ev(PSWPIN);
	CHECK_EQ(do_swapoff(bdev), 0);
	CHECK(ev(PSWPIN) >= in);
	CHECK_EQ(swap_total_pages(), 0);
	CHECK_EQ(mm->rss_swap, 0);
	CHECK_EQ(mm->rss_anon, 128);
	for (int i = 0; i < 128; i++)
		CHECK(!SWAP_PTE(mm, a + i * PAGE_SIZE));
	CHECK_EQ(check_all(mm, a, 128, 6), 0);
	CHECK_EQ(do_swapoff(bdev), -EINVAL);
	CHECK_EQ(do_swapon(bdev, -1), 0);
	CHECK(swap_total_pages() > 0);
	mmput(mm);
}

GUEST_TEST(swap, disk_without_header_is_refused, 0, 0, MEM)
{
	struct block_device *bdev = find_block_device("swap");
	struct page *p = alloc_page(GFP_KERNEL | __GFP_ZERO);
	static struct bio bio;

	REQUIRE(bdev && p);
	REQUIRE(!do_swapoff(bdev));
	bio = (struct bio){.bdev = bdev, .op = BIO_WRITE, .nr_pages = 1, .pages = {p}};
	REQUIRE(!submit_bio_wait(&bio));
	CHECK_EQ(do_swapon(bdev, -1), -EINVAL);
	memcpy((u8 *)page_address(p) + PAGE_SIZE - 10, "SWAPSPACE2", 10);
	REQUIRE(!submit_bio_wait(&bio)); /* a header, but of version 0 and no pages */
	CHECK_EQ(do_swapon(bdev, -1), -EINVAL);
	CHECK_EQ(swap_total_pages(), 0);
	__free_page(p);
}

GUEST_TEST(swap, read_error_reaches_who_asked_and_nobody_else, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 64 * PAGE_SIZE), victim = a + 9 * PAGE_SIZE;
	s64 errors = ev(MMVM_SWAP_IO_ERROR);
	unsigned int bad = 0;
	u64 v;

	REQUIRE(a);
	write_all(t, mm, a, 64, 8);
	REQUIRE(push_out(mm, victim));
	while (global_stat(NR_WRITEBACK))
		sleep_ms(1);
	/* Let reclaim drop what still sits in the swap cache, so that reading means the disk. */
	for (int i = 0; i < 20; i++)
		try_to_free_pages(GFP_KERNEL, 0);
	for (int i = 0; i < 64 && !bad; i++) {
		s64 major = ev(PSWPIN);

		if (!SWAP_PTE(mm, a + i * PAGE_SIZE))
			continue;
		inject(t, 1, 1000); /* read-around that fails is tried again page by page */
		bad = testmm_read(mm, a + i * PAGE_SIZE, &v);
		inject(t, 0, 0);
		if (!bad)
			CHECK_EQ(ev(PSWPIN), major); /* from the cache: no request was made */
		victim = a + i * PAGE_SIZE;
	}
	CHECK_EQ(bad & VM_FAULT_ERROR, VM_FAULT_SIGBUS);
	CHECK(ev(MMVM_SWAP_IO_ERROR) > errors);
	/* The disk is well again: so is the data. */
	CHECK_EQ(testmm_read(mm, victim, &v), 0);
	CHECK_EQ(v, word_for(victim, 8));
	CHECK_EQ(check_all(mm, a, 64, 8), 0);
	mmput(mm);
}

GUEST_TEST(swap, write_error_loses_nothing, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = totalram_pages() * 5 / 4;
	unsigned long a = testmm_map(t, mm, pages * PAGE_SIZE);
	s64 errors = ev(MMVM_SWAP_IO_ERROR);

	REQUIRE(a);
	inject(t, 3, 4); /* requests 3 to 6 fail: all of them writes, as nothing was swapped yet */
	write_all(t, mm, a, pages, 9);
	inject(t, 0, 0);
	CHECK(ev(MMVM_SWAP_IO_ERROR) > errors);
	CHECK_EQ(check_all(mm, a, pages, 9), 0);
	mmput(mm);
}

GUEST_TEST(swap, a_slot_that_cannot_be_written_is_not_used_again, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 256 * PAGE_SIZE);
	s64 bad = ev(MMVM_SWAP_BAD_SLOT), total = swap_total_pages();

	REQUIRE(a);
	write_all(t, mm, a, 256, 12);
	inject(t, 1, 100000);
	for (int i = 0; i < 300 && ev(MMVM_SWAP_BAD_SLOT) < bad + 16; i++) {
		try_to_free_pages(GFP_KERNEL, 0);
		sleep_ms(1);
	}
	while (global_stat(NR_WRITEBACK))
		sleep_ms(1);
	inject(t, 0, 0);
	bad = ev(MMVM_SWAP_BAD_SLOT) - bad;
	CHECK(bad >= 16);
	/* The disk is well again, but those slots are not trusted: they are bad when nobody uses them. */
	CHECK_EQ(check_all(mm, a, 256, 12), 0);
	mmput(mm);
	CHECK(swap_becomes_empty());
	CHECK_EQ(total - (s64)swap_total_pages(), bad);
	CHECK_EQ(swap_free_pages(), swap_total_pages());
}

#define ALL_REQUESTS (1ull << 32)

/* Each slot is tried with its neighbours and alone, and never again. When all are taken the swap area is full, and the OOM killer ends
 * the program. It may do so while the last writes are under way: a page that has failed with its neighbours is then freed before it is
 * tried alone. Those are at most what one round of reclaim writes. */
GUEST_TEST(swap, disk_that_only_fails_ends_its_program, MMVM_TESTF_USER, 120,
	   "memory=12M,high=2M swap=8M")
{
	const s64 total = swap_total_pages();

	REQUIRE(total > 0);
	inject(t, 1, ALL_REQUESTS);
	CHECK_EQ(SIGNALLED(run_program("/bin/oomhog", "")), 9);
	CHECK_EQ(ev(OOM_KILL), 1);
	CHECK(swap_becomes_empty());
	CHECK(disk_stats(t).errors > 0);
	CHECK(ev(MMVM_SWAP_BAD_SLOT) <= total);
	CHECK(ev(MMVM_SWAP_BAD_SLOT) >= total - 2 * SWAP_CLUSTER_MAX);
	CHECK(ev(MMVM_SWAP_IO_ERROR) <= 2 * total); /* with its neighbours, and alone */
	/* The program's are gone; the root's files have the others in use. */
	CHECK(total - (s64)swap_total_pages() > total / 2);
	CHECK_EQ(ev(PSWPIN), 0);
	CHECK_EQ(run_program("/bin/hello", ""), 0); /* the disk still fails */
	inject(t, 0, 0);
}

/* At least so many of the program's pages are on the disk alone: it has more entries of swap than the swap cache has
 * pages. A page that is being written or read is in the cache. */
static s64 only_on_disk(const struct mm_struct *mm)
{
	return (s64)READ_ONCE(mm->rss_swap) - (s64)global_stat(NR_SWAPCACHE);
}

/* The program reads its pages back all the time, so whether some are left is asked again when the disk fails. */
static bool disk_fails_with_pages_on_it(struct test *t, const struct mm_struct *mm)
{
	for (int i = 0; i < 5000; i++) {
		try_to_free_pages(GFP_KERNEL, 0);
		if (only_on_disk(mm) < 256)
			continue;
		inject(t, 1, ALL_REQUESTS);
		if (only_on_disk(mm) >= 128)
			return true;
		inject(t, 0, 0);
	}
	return false;
}

/* The disk fails for ever when the program's pages are on it: the program gets SIGBUS, and nobody is killed. */
GUEST_TEST(swap, program_whose_pages_cannot_be_read_gets_sigbus, MMVM_TESTF_USER, 120, MEM)
{
	static const char argv[] = "/bin/swapstress\0--mb\0006\0--passes\0001000";
	const int pid = process_spawn("/bin/swapstress", argv, sizeof(argv));
	struct mm_struct *mm = pid > 0 ? process_get_mm(pid) : NULL;
	const s64 errors = ev(MMVM_SWAP_IO_ERROR);

	REQUIRE(mm);
	CHECK(disk_fails_with_pages_on_it(t, mm));
	mmput(mm);
	CHECK_EQ(SIGNALLED(process_wait(pid)), 7);
	CHECK(ev(MMVM_SWAP_IO_ERROR) > errors);
	CHECK_EQ(ev(OOM_KILL), 0);
	inject(t, 0, 0);
	CHECK(swap_becomes_empty());
	CHECK_EQ(run_program("/bin/hello", ""), 0);
}

static bool discarded_since(void *before)
{
	return ev(MMVM_SWAP_DISCARD) >= *(s64 *)before + SWAP_CLUSTER;
}

GUEST_TEST(swap, freed_clusters_are_discarded, 0, 0, MEM)
{
	struct block_device *bdev = find_block_device("swap");
	struct swap_source source = {.bdev = bdev, .flags = SWAP_FLAG_DISCARD};
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = 4 * SWAP_CLUSTER, a = testmm_map(t, mm, pages * PAGE_SIZE);
	u64 discards = disk_stats(t).discards, at_swapon;
	s64 before = ev(MMVM_SWAP_DISCARD);

	REQUIRE(bdev && a && bdev->has_discard);
	REQUIRE(!do_swapoff(bdev));
	REQUIRE(!swapon_area(&source, -1));
	at_swapon = disk_stats(t).discards;
	CHECK(at_swapon > discards);
	CHECK_EQ(ev(MMVM_SWAP_DISCARD) - before, (s64)swap_total_pages());
	write_all(t, mm, a, pages, 13);
	CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK(mm->rss_swap > (s64)pages * 3 / 4);
	CHECK_EQ(check_all(mm, a, pages, 13), 0);
	CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_PAGEOUT), 0);
	before = ev(MMVM_SWAP_DISCARD);
	mmput(mm);
	CHECK(swap_becomes_empty());
	CHECK(wait_until(discarded_since, &before, 5000));
	CHECK(disk_stats(t).discards > at_swapon);
}

/** kswapd is woken when every zone is below its low mark, and goes on until one is high. So when it
 * sleeps one zone is not low, but for a batch that went to a CPU's list. */
static bool some_zone_is_not_low(void *arg)
{
	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];

		if (z->managed && zone_stat(z, NR_FREE_PAGES) + this_cpu_ptr(z->pcp)->batch >=
					  (s64)z->watermark[WMARK_LOW])
			return true;
	}
	return false;
}

GUEST_TEST(reclaim, kswapd_keeps_free_memory_between_the_marks, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = totalram_pages() * 5 / 4;
	unsigned long a = testmm_map(t, mm, pages * PAGE_SIZE);
	s64 steal = ev(PGSTEAL_KSWAPD), runs = ev(PAGEOUTRUN);
	s64 quickly = ev(KSWAPD_LOW_WMARK_HIT_QUICKLY) + ev(KSWAPD_HIGH_WMARK_HIT_QUICKLY);

	REQUIRE(a);
	for (unsigned long i = 0; i < pages; i++) {
		CHECK_EQ(testmm_touch(mm, a + i * PAGE_SIZE, TOUCH_WRITE), 0);
		if (i % 64 == 0)
			sleep_ms(1); /* so slowly that kswapd can keep up */
	}
	CHECK(ev(PAGEOUTRUN) > runs);
	CHECK(ev(PGSTEAL_KSWAPD) > steal);
	/* A steady need: it is asked again while it sleeps shortly, 100 ms of the clock. Where the host lets us run now and
	 * then that takes luck. */
	for (unsigned long i = 0;
	     i < 20 * pages &&
	     ev(KSWAPD_LOW_WMARK_HIT_QUICKLY) + ev(KSWAPD_HIGH_WMARK_HIT_QUICKLY) == quickly;
	     i++)
		CHECK_EQ(testmm_touch(mm, a + i % pages * PAGE_SIZE, TOUCH_WRITE), 0);
	CHECK(ev(KSWAPD_LOW_WMARK_HIT_QUICKLY) + ev(KSWAPD_HIGH_WMARK_HIT_QUICKLY) > quickly);
	CHECK(wait_until(some_zone_is_not_low, NULL, 5000));
	/* Below min only those may go who help to free memory; a batch may be on a CPU's list. */
	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];

		CHECK(zone_stat(z, NR_FREE_PAGES) + this_cpu_ptr(z->pcp)->batch >=
		      (s64)z->watermark[WMARK_MIN] / 2);
	}
	CHECK_EQ(ev(OOM_KILL), 0);
	mmput(mm);
}

/** Nobody sleeps here: kswapd has to run as soon as it is woken, not when a slice is over. Pages of zeroes
 * need no disk, so that nothing depends on how fast that is. */
GUEST_TEST(reclaim, kswapd_is_ahead_of_who_uses_memory, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = totalram_pages() * 5 / 4;
	unsigned long a = testmm_map(t, mm, pages * PAGE_SIZE);
	s64 kswapd = ev(PGSTEAL_KSWAPD), direct = ev(PGSTEAL_DIRECT), out = ev(PSWPOUT);

	REQUIRE(a);
	for (unsigned long i = 0; i < pages; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, 0), 0);
	CHECK_EQ(ev(PSWPOUT), out);
	kswapd = ev(PGSTEAL_KSWAPD) - kswapd;
	direct = ev(PGSTEAL_DIRECT) - direct;
	/* A tenth of this when it waits for its slice. The share itself depends on how many instructions a
	 * slice has: tests/vm/versus.sh, which counts them, holds it against Linux's. */
	CHECK(kswapd > (s64)totalram_pages() / 8);
	CHECK(kswapd + direct > (s64)totalram_pages() / 4);
	mmput(mm);
}

GUEST_TEST(reclaim, direct_reclaim_frees_what_was_asked, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 512 * PAGE_SIZE), freed = 0;
	s64 scan = ev(PGSCAN_DIRECT), steal = ev(PGSTEAL_DIRECT);

	REQUIRE(a);
	write_all(t, mm, a, 512, 10);
	for (int i = 0; i < 50 && freed < 64; i++) {
		freed += try_to_free_pages(GFP_KERNEL, 0);
		sleep_ms(1);
	}
	CHECK(freed >= 64);
	CHECK(ev(PGSCAN_DIRECT) > scan);
	CHECK(ev(PGSTEAL_DIRECT) - steal >= 32);
	CHECK_EQ(check_all(mm, a, 512, 10), 0);
	mmput(mm);
}

GUEST_TEST(reclaim, pages_in_use_stay_and_idle_pages_go, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long hot = 200, cold = totalram_pages() * 5 / 4;
	unsigned long a = testmm_map(t, mm, (hot + cold) * PAGE_SIZE);
	unsigned long hot_out = 0, cold_out = 0;

	REQUIRE(a);
	write_all(t, mm, a, hot + cold / 2, 11);
	/* Every few cold pages the hot ones are used again. */
	for (unsigned long i = hot + cold / 2; i < hot + cold; i++) {
		CHECK_EQ(testmm_touch(mm, a + i * PAGE_SIZE, TOUCH_WRITE), 0);
		if (i % 16 == 0)
			for (unsigned long h = 0; h < hot; h += 4)
				testmm_touch(mm, a + (h + i / 16 % 4) * PAGE_SIZE, TOUCH_READ);
	}
	for (unsigned long i = 0; i < hot; i++)
		hot_out += SWAP_PTE(mm, a + i * PAGE_SIZE);
	for (unsigned long i = hot; i < hot + cold; i++)
		cold_out += SWAP_PTE(mm, a + i * PAGE_SIZE);
	CHECK(cold_out > 0);
	/* Relative to their number the hot ones are out at most a quarter as often. */
	CHECK(hot_out * cold * 4 <= cold_out * hot + hot * cold / 20);
	/* Looked at and left alone: that is what the referenced bits are for. */
	CHECK(ev(PGSCAN_ANON) - ev(PGSTEAL_ANON) > (s64)hot);
	mmput(mm);
}

GUEST_TEST(reclaim, swap_program_finds_every_word, MMVM_TESTF_USER, 120, MEM)
{
	s64 out = ev(PSWPOUT);

	CHECK_EQ(run_program("/bin/swapstress", "--mb 14 --passes 1 --seed 5"), 0);
	CHECK(ev(PSWPOUT) > out);
	CHECK(swap_becomes_empty());
}

GUEST_TEST(reclaim, swap_program_again_with_two_passes, MMVM_TESTF_USER | MMVM_TESTF_LAB_ONLY, 300,
	   "memory=16M,high=4M swap=64M")
{
	s64 dropped = ev(MMVM_SWAP_DROP_CLEAN);

	CHECK_EQ(run_program("/bin/swapstress", "--passes 2"), 0);
	CHECK(ev(MMVM_SWAP_DROP_CLEAN) >= dropped);
	CHECK_EQ(ev(OOM_KILL), 0);
	CHECK(swap_becomes_empty());
}
