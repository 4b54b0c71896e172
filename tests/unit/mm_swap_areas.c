/*
 * Several swap areas: areas of equal priority take turns, slots that cannot be written are left out, and
 * files serve as areas.
 */
#include "unit.h"
#include "mm_user.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/swap/swapcache.h"

#define AREA_PAGES 1024u

static u64 pattern(u64 i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static void reclaim_some(struct host_disk *const *disk, unsigned int nr)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};

	lru_add_drain();
	for (int i = 0; i < 12; i++) {
		shrink_node(&node_data[0], &sc);
		for (unsigned int k = 0; k < nr; k++)
			while (host_disk_complete(disk[k], 100))
				;
	}
}

static struct mm_struct *process_with(unsigned long pages, unsigned long *at)
{
	struct mm_struct *mm = mm_alloc();

	*at = do_mmap(mm, 0, pages << PAGE_SHIFT, RW, PRIVATE, 0);
	for (u64 i = 0; i < pages; i++)
		MUST(!user_write(mm, *at + i * PAGE_SIZE, pattern(i)), "page %lu", (long)i);
	return mm;
}

static void check_contents(struct mm_struct *mm, unsigned long at, u64 pages)
{
	for (u64 i = 0; i < pages; i++) {
		u64 v = 0;
		unsigned int err = user_read(mm, at + i * PAGE_SIZE, &v);

		MUST(!err && v == pattern(i), "page %lu: %#lx, fault %#x", (long)i, (long)v, err);
	}
}

static struct host_disk *new_disk(u64 pages)
{
	static unsigned int nr;
	char role[16];
	struct host_disk *d;

	snprintf(role, sizeof(role), "area%u", nr++);
	d = host_disk_create(role, pages << PAGE_SHIFT);
	host_disk_mkswap(d);
	return d;
}

static void equal_areas_take_turns(void)
{
	struct host_disk *disk[4];
	unsigned long at;
	struct mm_struct *mm;

	for (int i = 0; i < 4; i++)
		disk[i] = new_disk(AREA_PAGES);
	/* Two above, two below. */
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(do_swapon(&disk[i]->bdev, i < 2 ? 7 : 3), 0);
	mm = process_with(10 * SWAP_TURN, &at);
	reclaim_some(disk, 4);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 5 * SWAP_TURN);
	CU_ASSERT_EQUAL(swap_areas[1].inuse, 5 * SWAP_TURN);
	CU_ASSERT_EQUAL(swap_areas[2].inuse + swap_areas[3].inuse, 0);
	/* And still in long requests. */
	CU_ASSERT(disk[0]->nr_writes <= 5 * SWAP_TURN / 32 + 5);
	check_all();
	check_contents(mm, at, 10 * SWAP_TURN);
	mmput(mm);
	/* The first two are too small: the rest goes to the others, in turn again. */
	mm = process_with(2 * AREA_PAGES + 8 * SWAP_TURN, &at);
	reclaim_some(disk, 4);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, AREA_PAGES - 1);
	CU_ASSERT_EQUAL(swap_areas[1].inuse, AREA_PAGES - 1);
	CU_ASSERT_EQUAL(swap_areas[2].inuse + swap_areas[3].inuse, 8 * SWAP_TURN + 2);
	CU_ASSERT(swap_areas[2].inuse >= 3 * SWAP_TURN && swap_areas[3].inuse >= 3 * SWAP_TURN);
	check_all();
	/* One leaves: its equal has what it had. */
	CU_ASSERT_EQUAL(do_swapoff(&disk[0]->bdev), 0);
	reclaim_some(disk, 4);
	check_contents(mm, at, 2 * AREA_PAGES + 8 * SWAP_TURN);
	check_all();
	mmput(mm);
	for (int i = 1; i < 4; i++)
		CU_ASSERT_EQUAL(do_swapoff(&disk[i]->bdev), 0);
	CU_ASSERT_EQUAL(swap_total_pages(), 0);
}

static void as_many_areas_as_linux_has(void)
{
	struct host_disk *disk[MAX_SWAP_AREAS + 1];

	for (unsigned int i = 0; i <= MAX_SWAP_AREAS; i++) {
		disk[i] = new_disk(16);
		CU_ASSERT_EQUAL(do_swapon(&disk[i]->bdev, -1), i < MAX_SWAP_AREAS ? 0 : -EPERM);
	}
	CU_ASSERT_EQUAL(MAX_SWAP_AREAS, 23);
	CU_ASSERT_EQUAL(swap_total_pages(), 15 * MAX_SWAP_AREAS);
	check_all();
	for (unsigned int i = 0; i < MAX_SWAP_AREAS; i++)
		CU_ASSERT_EQUAL(do_swapoff(&disk[i]->bdev), 0);
	check_all();
}

/* ---- a disk on which some sectors cannot be written --------------------------------------------- */

static void (*real_submit)(struct block_device *, struct bio *);
static u64 bad_slot[4], nr_bad, refused;
static bool all_bad;

static void submit_with_bad_slots(struct block_device *bdev, struct bio *bio)
{
	bool bad = all_bad;

	for (u64 i = 0; i < nr_bad; i++)
		bad |= bio->sector <= bad_slot[i] * 8 &&
		       bad_slot[i] * 8 < bio->sector + bio->nr_pages * 8;
	if (bad && bio->op == BIO_WRITE) {
		refused++;
		bio->status = -EIO;
		bio->end_io(bio);
		return;
	}
	real_submit(bdev, bio);
}

static void a_slot_that_cannot_be_written_is_not_used_again(void)
{
	struct host_disk *disk = new_disk(AREA_PAGES);
	u64 before = sum_vm_event(MMVM_SWAP_BAD_SLOT), total;
	unsigned long at;
	struct mm_struct *mm;

	CU_ASSERT_EQUAL(do_swapon(&disk->bdev, -1), 0);
	total = swap_total_pages();
	real_submit = disk->bdev.submit;
	disk->bdev.submit = submit_with_bad_slots;
	nr_bad = 2;
	bad_slot[0] = 5;
	bad_slot[1] = 40;
	refused = 0;
	mm = process_with(64, &at);
	reclaim_some(&disk, 1);
	/* The two pages are in memory, and nowhere else; all the others went. */
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_SWAP_BAD_SLOT) - before, 2);
	CU_ASSERT_EQUAL(global_stat(NR_SWAPCACHE), 2);
	CU_ASSERT_EQUAL(swap_nr_failed, 2);
	/* Two requests of many, and each of their bad pages alone. */
	CU_ASSERT_EQUAL(refused, 4);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 64);
	check_all();
	/* Back in use they lose their slots, which are bad from then on. */
	check_contents(mm, at, 64);
	reclaim_some(&disk, 1);
	CU_ASSERT_EQUAL(refused, 4);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	CU_ASSERT_EQUAL(global_stat(NR_SWAPCACHE), 0);
	CU_ASSERT_EQUAL(swap_nr_failed, 0);
	CU_ASSERT_EQUAL(swap_areas[0].map[5], SWAP_MAP_BAD);
	CU_ASSERT_EQUAL(swap_areas[0].map[40], SWAP_MAP_BAD);
	CU_ASSERT_EQUAL(swap_areas[0].usable, AREA_PAGES - 3);
	CU_ASSERT_EQUAL(swap_total_pages(), total - 2);
	CU_ASSERT_EQUAL(swap_free_pages(), total - 2 - 64);
	check_all();
	check_contents(mm, at, 64);
	mmput(mm);
	/* Filled to the brim, they are left out. */
	mm = process_with(AREA_PAGES + 64, &at);
	reclaim_some(&disk, 1);
	CU_ASSERT_EQUAL(refused, 4);
	CU_ASSERT_EQUAL(swap_free_pages(), 0);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, AREA_PAGES - 3);
	check_all();
	check_contents(mm, at, AREA_PAGES + 64);
	mmput(mm);
	check_all();
	disk->bdev.submit = real_submit;
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
}

static void a_dead_disk_is_tried_a_bounded_number_of_times(void)
{
	struct host_disk *disk = new_disk(64);
	unsigned long at;
	struct mm_struct *mm;

	CU_ASSERT_EQUAL(do_swapon(&disk->bdev, -1), 0);
	real_submit = disk->bdev.submit;
	disk->bdev.submit = submit_with_bad_slots;
	all_bad = true;
	refused = 0;
	mm = process_with(200, &at);
	for (int round = 0; round < 6; round++) {
		reclaim_some(&disk, 1);
		check_contents(mm, at, 200);
		check_all();
	}
	/* 63 slots, each at most once with others and once alone; then there are none. */
	CU_ASSERT(refused <= 63 * 2);
	CU_ASSERT_EQUAL(swap_free_pages(), 0);
	refused = 0;
	reclaim_some(&disk, 1);
	CU_ASSERT_EQUAL(refused, 0);
	mmput(mm);
	CU_ASSERT_EQUAL(swap_areas[0].usable, 0);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	check_all();
	all_bad = false;
	disk->bdev.submit = real_submit;
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
}

/* ---- a file -------------------------------------------------------------------------------------- */

static void a_file_in_pieces_is_an_area(void)
{
	struct host_disk *disk = new_disk(AREA_PAGES);
	struct swap_extent *x = vzalloc(4 * sizeof(*x));
	u8 header[PAGE_SIZE];
	int me;
	struct swap_source s = {.bdev = &disk->bdev,
				.file = &me,
				.name = "/mnt/a file",
				.nr_pages = 200,
				.extent = x,
				.nr_extents = 4};
	u32 words[3] = {1, 199, 0};
	struct report r;
	unsigned long at;
	struct mm_struct *mm;
	char text[512];

	/* Pages 0-9, 10-99 and 100-149 behind and before each other; 150 in pieces, 151-199. */
	x[0] = (struct swap_extent){0, 10, 500 * 8};
	x[1] = (struct swap_extent){10, 90, 300 * 8};
	x[2] = (struct swap_extent){100, 50, 390 * 8}; /* goes on where the second ends */
	x[3] = (struct swap_extent){151, 49, 700 * 8};
	memcpy(header, disk->data, PAGE_SIZE);
	memcpy(header + 1024, words, sizeof(words));
	memset(disk->data, 0xaa, AREA_PAGES << PAGE_SHIFT);
	memcpy(disk->data + (500u << PAGE_SHIFT), header, PAGE_SIZE);
	CU_ASSERT_EQUAL(swapon_area(&s, -1), 0);
	CU_ASSERT_EQUAL(swapon_area(&s, -1), -EBUSY);
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), -EINVAL); /* not the disk */
	CU_ASSERT_EQUAL(swap_total_pages(), 198);
	r = (struct report){text, sizeof(text), 0, false};
	report_swaps(&r);
	CU_ASSERT(strstr(text, "/mnt/a file                             file\t\t792\t\t0\t\t-") !=
		  NULL);
	mm = process_with(250, &at);
	reclaim_some(&disk, 1);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 198);
	CU_ASSERT_EQUAL(swap_areas[0].map[150], SWAP_MAP_BAD);
	check_all();
	check_contents(mm, at, 250);
	/* Only the file's pages have been written, and not its header. */
	CU_ASSERT(!memcmp(disk->data + (500u << PAGE_SHIFT), header, PAGE_SIZE));
	for (u64 i = 0; i < AREA_PAGES; i++) {
		bool file = (i >= 500 && i < 510) || (i >= 300 && i < 440) || (i >= 700 && i < 749);

		if (!file)
			MUST(disk->data[i << PAGE_SHIFT] == 0xaa, "page %lu", (long)i);
	}
	CU_ASSERT_EQUAL(swapoff_area(NULL, &me), 0);
	CU_ASSERT_EQUAL(swap_total_pages(), 0);
	check_contents(mm, at, 250);
	mmput(mm);
	check_all();
	/* Longer than the file; and one whose header does not lie in one piece. */
	x = vzalloc(sizeof(*x));
	s.extent = x;
	s.nr_extents = 1;
	x[0] = (struct swap_extent){0, 10, 500 * 8};
	s.nr_pages = 199;
	CU_ASSERT_EQUAL(swapon_area(&s, -1), -EINVAL);
	x[0].first = 1;
	s.nr_pages = 200;
	CU_ASSERT_EQUAL(swapon_area(&s, -1), -EINVAL);
	vfree(x);
	check_all();
}

/* ---- discard ------------------------------------------------------------------------------------- */

/* Are the bytes of these pages of the disk all the same? */
static bool all_are(const struct host_disk *disk, u64 from, u64 to, u8 byte)
{
	for (u64 i = from << PAGE_SHIFT; i < to << PAGE_SHIFT; i++)
		if (disk->data[i] != byte)
			return false;
	return true;
}

static void freed_clusters_are_discarded(void)
{
	struct host_disk *disk = new_disk(5 * SWAP_CLUSTER);
	struct swap_source s = {.bdev = &disk->bdev, .flags = SWAP_FLAG_DISCARD};
	u64 pages = sum_vm_event(MMVM_SWAP_DISCARD);
	unsigned long at;
	struct mm_struct *mm;

	/* All but the header at swapon; this disk's discarded pages read as zeroes. */
	memset(disk->data + PAGE_SIZE, 0xaa, (5 * SWAP_CLUSTER - 1) << PAGE_SHIFT);
	CU_ASSERT_EQUAL(swapon_area(&s, -1), 0);
	CU_ASSERT(all_are(disk, 1, 5 * SWAP_CLUSTER, 0));
	CU_ASSERT(!memcmp(disk->data + PAGE_SIZE - 10, "SWAPSPACE2", 10));
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_SWAP_DISCARD) - pages, 5 * SWAP_CLUSTER - 1);
	/* Slots 1 to 800: the first cluster has the header, the fourth is used in part. */
	mm = process_with(800, &at);
	reclaim_some(&disk, 1);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 800);
	swap_discard_work();
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_SWAP_DISCARD) - pages, 5 * SWAP_CLUSTER - 1);
	CU_ASSERT(!all_are(disk, SWAP_CLUSTER, 2 * SWAP_CLUSTER, 0));
	mmput(mm);
	swap_discard_work();
	CU_ASSERT(all_are(disk, SWAP_CLUSTER, 5 * SWAP_CLUSTER, 0));
	CU_ASSERT(!all_are(disk, 1, SWAP_CLUSTER, 0)); /* not with the header in it */
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_SWAP_DISCARD) - pages, 8 * SWAP_CLUSTER - 1);
	swap_discard_work();
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_SWAP_DISCARD) - pages, 8 * SWAP_CLUSTER - 1);
	check_all();
	/* Freed and used again before the thread comes: kept. */
	mm = process_with(1200, &at);
	reclaim_some(&disk, 1);
	mmput(mm);
	mm = process_with(1200, &at);
	reclaim_some(&disk, 1);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 1200);
	swap_discard_work();
	check_contents(mm, at, 1200);
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
	/* Once only, later only. */
	disk->nr_discards = 0;
	s.flags = SWAP_FLAG_DISCARD | SWAP_FLAG_DISCARD_ONCE;
	CU_ASSERT_EQUAL(swapon_area(&s, -1), 0);
	CU_ASSERT_EQUAL(disk->nr_discards, 1);
	CU_ASSERT(!swap_areas[0].to_discard);
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
	s.flags = SWAP_FLAG_DISCARD | SWAP_FLAG_DISCARD_PAGES;
	CU_ASSERT_EQUAL(swapon_area(&s, -1), 0);
	CU_ASSERT_EQUAL(disk->nr_discards, 1);
	CU_ASSERT(swap_areas[0].to_discard != NULL);
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
	disk->bdev.has_discard = false;
	s.flags = SWAP_FLAG_DISCARD;
	CU_ASSERT_EQUAL(swapon_area(&s, -1), 0);
	CU_ASSERT(!swap_areas[0].to_discard);
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
	CU_ASSERT_EQUAL(disk->nr_discards, 1);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"equal_areas_take_turns", equal_areas_take_turns},
		{"as_many_areas_as_linux_has", as_many_areas_as_linux_has},
		{"a_slot_that_cannot_be_written_is_not_used_again",
		 a_slot_that_cannot_be_written_is_not_used_again},
		{"a_dead_disk_is_tried_a_bounded_number_of_times",
		 a_dead_disk_is_tried_a_bounded_number_of_times},
		{"a_file_in_pieces_is_an_area", a_file_in_pieces_is_an_area},
		{"freed_clusters_are_discarded", freed_clusters_are_discarded},
	};

	host_boot_default("debug_vm");
	mm_init();
	return unit_run("swap areas", cases, ARRAY_SIZE(cases));
}
