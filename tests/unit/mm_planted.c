/*
 * Tests for planted bugs that no other test had noticed. They compare whole pages; they poison freed pages
 * (tests/host/tlb.c); they count the objects of every cache before and after a failure; and they read back
 * from swap what only a dirty bit protects.
 */
#include "mm_user.h"
#include "unit.h"

static struct host_disk *disk;

static void reclaim(gfp_t gfp)
{
	struct scan_control sc = {.gfp = gfp, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ul};

	lru_add_drain();
	shrink_node(&node_data[0], &sc);
	while (host_disk_complete(disk, 100))
		;
}

static void swap_out(struct mm_struct *mm)
{
	for (int i = 0; i < 40 && mm->rss_anon; i++)
		reclaim(GFP_KERNEL);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
}

/** Bytes of the user's page that are not `byte`, word 0 aside. */
static unsigned int others(struct mm_struct *mm, unsigned long addr, u8 byte)
{
	unsigned int fault, n = 0;
	u8 *p = user_touch(mm, addr, false, &fault);

	MUST(p, "read of %#lx", addr);
	for (unsigned int i = 8; i < PAGE_SIZE; i++)
		n += p[i] != byte;
	return n;
}

/** Frames of every zone's lists that hold something: poison. */
static void dirty_free_pages(void)
{
	unsigned long at;

	mmput(user_mm_with(300, &at));
}

static void new_pages_are_zeroes(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 128 * PAGE_SIZE, RW, PRIVATE, 0);

	dirty_free_pages();
	for (int i = 0; i < 128; i++) {
		/* Half of them by way of the zero page */
		if (i & 1)
			CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), 0);
		user_put(mm, at + i * PAGE_SIZE, 1);
		CU_ASSERT_EQUAL(others(mm, at + i * PAGE_SIZE, 0), 0);
	}
	mmput(mm);
	check_all();
}

static void copies_are_whole(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(8, &at), *child;
	unsigned int fault;

	for (int i = 0; i < 8; i++)
		memset((u8 *)user_touch(mm, at + i * PAGE_SIZE, true, &fault) + 8, 0x30 + i,
		       PAGE_SIZE - 8);
	child = dup_mm(mm);
	dirty_free_pages();
	for (int i = 0; i < 8; i++) {
		user_put(child, at + i * PAGE_SIZE, 500 + i);
		CU_ASSERT_EQUAL(others(child, at + i * PAGE_SIZE, (u8)(0x30 + i)), 0);
		CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), i + 1);
	}
	mmput(child);
	mmput(mm);
	check_all();
}

/** Pages that are in the swap cache, clean, with a slot that holds 1, 2, ...; then written, so that
 * only the PTE's dirty bit says that the slot is stale. */
static struct mm_struct *written_behind_swap(unsigned long pages, unsigned long *at)
{
	struct mm_struct *mm = user_mm_with(pages, at);

	swap_out(mm);
	for (unsigned long i = 0; i < pages; i++)
		CU_ASSERT_EQUAL(user_get(mm, *at + i * PAGE_SIZE), i + 1);
	for (unsigned long i = 0; i < pages; i++)
		user_put(mm, *at + i * PAGE_SIZE, 1000 + i);
	return mm;
}

static void fork_keeps_what_is_dirty(void)
{
	unsigned long at;
	struct mm_struct *mm = written_behind_swap(32, &at), *child = dup_mm(mm);

	/* The parent's writes copy: the child alone has the old pages now. */
	for (int i = 0; i < 32; i++)
		user_put(mm, at + i * PAGE_SIZE, 2000 + i);
	swap_out(child);
	for (int i = 0; i < 32; i++)
		CU_ASSERT_EQUAL(user_get(child, at + i * PAGE_SIZE), 1000 + i);
	mmput(child);
	mmput(mm);
	check_all();
}

static void mprotect_keeps_what_is_dirty(void)
{
	unsigned long at;
	struct mm_struct *mm = written_behind_swap(32, &at);

	CU_ASSERT_EQUAL(do_mprotect(mm, at, 32 * PAGE_SIZE, PROT_READ), 0);
	swap_out(mm);
	for (int i = 0; i < 32; i++)
		CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), 1000 + i);
	mmput(mm);
	check_all();
}

static void mremap_keeps_what_is_dirty(void)
{
	unsigned long at;
	struct mm_struct *mm = written_behind_swap(32, &at);
	long to;

	CU_ASSERT(do_mmap(mm, at + 32 * PAGE_SIZE, PAGE_SIZE, PROT_READ, PRIVATE | MAP_FIXED, 0) >
		  0);
	to = do_mremap(mm, at, 32 * PAGE_SIZE, 64 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
	CU_ASSERT_FATAL(to > 0);
	swap_out(mm);
	for (int i = 0; i < 32; i++)
		CU_ASSERT_EQUAL(user_get(mm, to + i * PAGE_SIZE), 1000 + i);
	mmput(mm);
	check_all();
}

/* mprotect must not open a page that a child shares. */
static void mprotect_leaves_shared_pages(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(8, &at), *child = dup_mm(mm);

	CU_ASSERT_EQUAL(do_mprotect(mm, at, 8 * PAGE_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, 8 * PAGE_SIZE, RW), 0);
	for (int i = 0; i < 8; i++)
		user_put(mm, at + i * PAGE_SIZE, 100 + i);
	for (int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(user_get(child, at + i * PAGE_SIZE), i + 1);
	mmput(child);
	mmput(mm);
	check_all();
}

static void wipe_on_fork(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(8, &at), *child;

	CU_ASSERT_EQUAL(do_madvise(mm, at, 4 * PAGE_SIZE, MADV_WIPEONFORK), 0);
	child = dup_mm(mm);
	for (int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(user_get(child, at + i * PAGE_SIZE), i < 4 ? 0 : i + 1);
	mmput(child);
	mmput(mm);
	check_all();
}

/* Whoever mapped the page first has gone; it can be reclaimed all the same. */
static void pages_outlive_their_first_mapper(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(32, &at), *child = dup_mm(mm);

	mmput(mm);
	swap_out(child);
	for (int i = 0; i < 32; i++)
		CU_ASSERT_EQUAL(user_get(child, at + i * PAGE_SIZE), i + 1);
	mmput(child);
	check_all();
}

static void noio_starts_no_io(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(32, &at);
	u64 writes = disk->nr_writes;

	for (int i = 0; i < 10; i++)
		reclaim(GFP_NOIO);
	CU_ASSERT_EQUAL(mm->rss_anon, 32);
	CU_ASSERT_EQUAL(disk->nr_writes, writes);
	mmput(mm);
	check_all();
}

static void failed_forks_leave_no_objects(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(40, &at), *child;
	u64 before;
	int k;

	for (int i = 4; i < 40; i += 8)
		do_mprotect(mm, at + i * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ);
	/* A line of forks: chains to several anon_vmas. */
	for (int i = 0; i < 3; i++) {
		child = dup_mm(mm);
		MUST(child, "fork");
		user_put(child, at, i);
		mmput(mm);
		mm = child;
	}
	mmput(dup_mm(mm));
	before = slab_objects_in_use();
	for (k = 1; k < 200; k++) {
		u64 failed = alloc_fail_count();

		drain_all_pages();
		alloc_fail_nth(k);
		child = dup_mm(mm);
		alloc_fail_nth(0);
		if (child)
			mmput(child);
		CU_ASSERT_EQUAL(slab_objects_in_use(), before);
		if (alloc_fail_count() == failed)
			break;
	}
	CU_ASSERT(k > 4 && k < 200);
	mmput(mm);
	check_all();
}

static void free_twice(void *arg)
{
	swp_entry_t e = *(swp_entry_t *)arg;

	swap_free(e);
	swap_free(e);
}

static void a_slot_is_freed_once(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(1, &at);
	swp_entry_t e;

	swap_out(mm);
	e = pte_to_swp_entry(pte_read(walk_pte(mm->pgd, at)));
	CU_ASSERT(host_panics(free_twice, &e, "freed, but its byte is"));
	mmput(mm);
	check_all();
}

static void shared_memory_counts_for_the_oom_killer(void)
{
	struct mm_struct *small = mm_alloc(), *big = mm_alloc();
	unsigned long a, b;

	a = do_mmap(small, 0, 100 * PAGE_SIZE, RW, PRIVATE | MAP_POPULATE, 0);
	b = do_mmap(big, 0, 500 * PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, 0);
	MUST((long)a > 0 && (long)b > 0, "mmap: %ld", (long)b);
	for (int i = 0; i < 500; i++)
		user_put(big, b + i * PAGE_SIZE, 1);
	CU_ASSERT_EQUAL(big->rss_shmem, 500);
	host_process[0] = (struct process_view){.pid = 21, .comm = "small", .mm = small};
	host_process[1] = (struct process_view){.pid = 22, .comm = "shared", .mm = big};
	host_nr_processes = 2;
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 22);
	host_nr_processes = 0;
	mmput(small);
	mmput(big);
	check_all();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"new pages are zeroes", new_pages_are_zeroes},
		{"copies are whole", copies_are_whole},
		{"fork keeps what is dirty", fork_keeps_what_is_dirty},
		{"mprotect keeps what is dirty", mprotect_keeps_what_is_dirty},
		{"mremap keeps what is dirty", mremap_keeps_what_is_dirty},
		{"mprotect leaves shared pages alone", mprotect_leaves_shared_pages},
		{"memory is wiped on fork", wipe_on_fork},
		{"pages outlive their first mapper", pages_outlive_their_first_mapper},
		{"GFP_NOIO starts no I/O", noio_starts_no_io},
		{"failed forks leave no objects", failed_forks_leave_no_objects},
		{"a swap slot is freed once", a_slot_is_freed_once},
		{"shared memory counts for the OOM killer",
		 shared_memory_counts_for_the_oom_killer},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", 64 * MIB);
	host_disk_mkswap(disk);
	MUST(!do_swapon(&disk->bdev, -1), "swapon");
	return unit_run("planted", cases, ARRAY_SIZE(cases));
}
