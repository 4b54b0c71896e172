/*
 * Mappings of files: what read and write faults bring in, when a write is seen by other mappings and by the
 * disk, the end of the file, reclaim of mapped pages, and what mmap(2) refuses. The file is a disk in
 * memory, through its page cache. The last case plays processes with private and shared mappings, and
 * truncations, against plain arrays.
 */
#include "mm/cache/filemap.h"
#include "mm/init.h"
#include "mm/swap/swapcache.h"
#include "mm_user.h"
#include "unit.h"

#define FILE_PAGES 256ul
#define FILE_BYTES (FILE_PAGES * PAGE_SIZE)

static struct host_disk *disk;
static struct address_space *dev;
static struct file *file;

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static u64 word_at(unsigned long page)
{
	return page * 0x9e3779b97f4a7c15ull + 1;
}

static u64 *on_disk(unsigned long page)
{
	return (u64 *)(disk->data + page * PAGE_SIZE);
}

static void fresh(void)
{
	dev->size = FILE_BYTES;
	truncate_inode_pages(dev);
	for (unsigned long i = 0; i < FILE_PAGES; i++) {
		memset(on_disk(i), 0, PAGE_SIZE);
		*on_disk(i) = word_at(i);
	}
	disk->nr_reads = disk->nr_writes = disk->pages_read = disk->pages_written = 0;
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 0);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_MAPPED), 0);
	CU_ASSERT_EQUAL(host_file_refs(file), 1);
}

static pte_t pte_at(struct mm_struct *mm, unsigned long addr)
{
	pte_t *pte = walk_pte(mm->pgd, addr);

	return pte ? pte_read(pte) : __pte(0);
}

static int may_map(struct map_source *src, unsigned long vm_flags)
{
	return 0;
}

static long map_as(struct mm_struct *mm, int prot, int flags, unsigned long page,
		   unsigned long pages)
{
	struct map_source src = {.file = file,
				 .mapping = dev,
				 .readable = true,
				 .writable = true,
				 .prepare = may_map};

	return do_mmap_file(mm, 0, pages << PAGE_SHIFT, prot, flags, page, &src);
}

static unsigned long map(struct mm_struct *mm, int prot, int flags, unsigned long page,
			 unsigned long pages)
{
	long at = map_as(mm, prot, flags, page, pages);

	MUST(at > 0, "mmap: %ld", at);
	return at;
}

static void sync_file(void)
{
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 0, ~0ull >> 1), 0);
}

static void shrink_all(bool write)
{
	struct scan_control sc = {.gfp = GFP_KERNEL,
				  .highest = ZONE_MOVABLE,
				  .nr_to_reclaim = ~0ull,
				  .may_writepage = write};

	for (int i = 0; i < 8; i++) {
		lru_add_drain();
		sc.priority = 0;
		for (unsigned int n = 0; n < MMVM_MAX_NODES; n++)
			if (node_data[n].present)
				shrink_node(&node_data[n], &sc);
		while (host_disks_poll())
			;
	}
}

/* ---- reading ---- */

static void faults_bring_the_files_contents(void)
{
	struct mm_struct *mm = mm_alloc();
	u64 major = mm->maj_flt, faults = event(PGFAULT);
	unsigned long at;

	fresh();
	at = map(mm, PROT_READ, MAP_PRIVATE, 3, 200);
	CU_ASSERT_EQUAL(host_file_refs(file), 2);
	for (unsigned long i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), word_at(i + 3));
	CU_ASSERT(mm->maj_flt - major >= 1);
	CU_ASSERT(mm->maj_flt - major <= 12); /* 32 pages are read at a time */
	CU_ASSERT(event(PGFAULT) - faults <= 50);
	CU_ASSERT_EQUAL(mm->rss_file, 200);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	check_all();
	mmput(mm);
	CU_ASSERT_EQUAL(host_file_refs(file), 1);
	check_all();
}

static void what_is_there_costs_no_request(void)
{
	struct mm_struct *mm = mm_alloc(), *other = mm_alloc();
	unsigned long at, reads;
	u64 faults;

	fresh();
	at = map(mm, PROT_READ, MAP_SHARED, 0, 64);
	for (unsigned long i = 0; i < 64; i++)
		user_get(mm, at + i * PAGE_SIZE);
	reads = disk->nr_reads;
	faults = event(PGFAULT);
	at = map(other, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0, 64);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(user_get(other, at + i * PAGE_SIZE), word_at(i));
	CU_ASSERT_EQUAL(disk->nr_reads, reads);
	CU_ASSERT_EQUAL(other->maj_flt, 0);
	CU_ASSERT(event(PGFAULT) - faults <= 8);
	mmput(mm);
	mmput(other);
	check_all();
}

static void advice_about_order_is_followed(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at;

	fresh();
	at = map(mm, PROT_READ, MAP_PRIVATE, 0, FILE_PAGES);
	CU_ASSERT_EQUAL(do_madvise(mm, at, FILE_BYTES, MADV_RANDOM), 0);
	user_get(mm, at + 100 * PAGE_SIZE);
	CU_ASSERT_EQUAL(disk->pages_read, 1);
	CU_ASSERT_EQUAL(do_madvise(mm, at + 200 * PAGE_SIZE, 20 * PAGE_SIZE, MADV_WILLNEED), 0);
	while (host_disks_poll())
		;
	CU_ASSERT_EQUAL(disk->pages_read, 21);
	user_get(mm, at + 210 * PAGE_SIZE);
	CU_ASSERT_EQUAL(disk->pages_read, 21);
	check_all();
	mmput(mm);
}

/* ---- writing ---- */

static void private_writes_stay_private(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at, shared;
	u64 cow = event(MMVM_FAULT_COW);

	fresh();
	at = map(mm, RW, MAP_PRIVATE, 0, 16);
	shared = map(mm, PROT_READ, MAP_SHARED, 0, 16);
	CU_ASSERT_EQUAL(mm->committed, 16);
	user_put(mm, at, 1); /* a write first */
	CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), word_at(1));
	user_put(mm, at + PAGE_SIZE, 2); /* a read first */
	CU_ASSERT_EQUAL(event(MMVM_FAULT_COW) - cow, 2);
	CU_ASSERT_EQUAL(mm->rss_anon, 2);
	CU_ASSERT_EQUAL(user_get(mm, shared), word_at(0));
	CU_ASSERT_EQUAL(user_get(mm, shared + PAGE_SIZE), word_at(1));
	check_all();
	child = dup_mm(mm);
	user_put(child, at, 3);
	CU_ASSERT_EQUAL(user_get(mm, at), 1);
	CU_ASSERT_EQUAL(user_get(child, at + PAGE_SIZE), 2);
	CU_ASSERT_EQUAL(user_get(child, at + 2 * PAGE_SIZE), word_at(2));
	check_all();
	mmput(child);
	sync_file();
	CU_ASSERT_EQUAL(disk->pages_written, 0);
	/* What was thrown away comes back from the file. */
	CU_ASSERT_EQUAL(do_madvise(mm, at, 2 * PAGE_SIZE, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(user_get(mm, at), word_at(0));
	mmput(mm);
	check_all();
}

static void shared_writes_reach_the_disk(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at;
	u64 again;

	fresh();
	at = map(mm, RW, MAP_SHARED, 0, 16);
	CU_ASSERT_EQUAL(mm->committed, 0);
	CU_ASSERT_EQUAL(user_get(mm, at), word_at(0));
	CU_ASSERT(!pte_write(pte_at(mm, at))); /* not dirty: a write must be noticed */
	user_put(mm, at, 1);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 1);
	user_put(mm, at + 5 * PAGE_SIZE, 2);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 2);
	child = dup_mm(mm);
	CU_ASSERT_EQUAL(user_get(child, at), 1);
	user_put(child, at, 3);
	CU_ASSERT_EQUAL(user_get(mm, at), 3);
	check_all();
	sync_file();
	CU_ASSERT_EQUAL(*on_disk(0), 3);
	CU_ASSERT_EQUAL(*on_disk(5), 2);
	CU_ASSERT_EQUAL(disk->pages_written, 2);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 0);
	CU_ASSERT(!pte_write(pte_at(mm, at)) && !pte_dirty(pte_at(mm, at)));
	CU_ASSERT(!pte_write(pte_at(child, at)));
	check_all();
	again = event(MMVM_FAULT_MKWRITE);
	user_put(mm, at, 4);
	CU_ASSERT_EQUAL(event(MMVM_FAULT_MKWRITE) - again, 1);
	CU_ASSERT_EQUAL(user_get(child, at), 4);
	sync_file();
	CU_ASSERT_EQUAL(*on_disk(0), 4);
	user_put(mm, at + 7 * PAGE_SIZE, 9);
	mmput(mm); /* what the PTE alone knew is not lost with it */
	mmput(child);
	sync_file();
	CU_ASSERT_EQUAL(*on_disk(7), 9);
	check_all();
}

static void msync_asks_the_file(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at;
	u64 syncs = host_file_syncs;

	fresh();
	at = map(mm, RW, MAP_SHARED, 10, 16);
	CU_ASSERT_EQUAL(do_msync(mm, at + PAGE_SIZE, 2 * PAGE_SIZE, MS_SYNC), 0);
	CU_ASSERT_EQUAL(host_file_syncs - syncs, 1);
	CU_ASSERT_EQUAL(host_file_sync_start, 11 * PAGE_SIZE);
	CU_ASSERT_EQUAL(host_file_sync_end, 13 * PAGE_SIZE - 1);
	CU_ASSERT_EQUAL(do_msync(mm, at, PAGE_SIZE, MS_ASYNC), 0);
	CU_ASSERT_EQUAL(host_file_syncs - syncs, 1);
	CU_ASSERT_EQUAL(do_msync(mm, at, 64 * PAGE_SIZE, MS_SYNC), -ENOMEM);
	CU_ASSERT_EQUAL(host_file_syncs - syncs, 2);
	CU_ASSERT_EQUAL(do_mlock(mm, at, PAGE_SIZE, 0), 0);
	CU_ASSERT_EQUAL(do_msync(mm, at, PAGE_SIZE, MS_SYNC | MS_INVALIDATE), -EBUSY);
	mmput(mm);
	CU_ASSERT_EQUAL(host_file_refs(file), 1);
	check_all();
}

/* ---- the end of the file ---- */

static void behind_the_end_is_sigbus(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at, copy;
	u64 v;

	fresh();
	at = map(mm, RW, MAP_SHARED, FILE_PAGES - 4, 8);
	copy = map(mm, RW, MAP_PRIVATE, FILE_PAGES - 4, 8);
	CU_ASSERT_EQUAL(user_get(mm, at + 3 * PAGE_SIZE), word_at(FILE_PAGES - 1));
	CU_ASSERT_EQUAL(user_read(mm, at + 4 * PAGE_SIZE, &v), VM_FAULT_SIGBUS);
	CU_ASSERT_EQUAL(user_write(mm, at + 4 * PAGE_SIZE, 1), VM_FAULT_SIGBUS);
	CU_ASSERT_EQUAL(user_write(mm, copy + 4 * PAGE_SIZE, 1), VM_FAULT_SIGBUS);
	user_put(mm, at + 2 * PAGE_SIZE, 7);
	user_put(mm, copy + 3 * PAGE_SIZE, 8);
	user_put(mm, copy, 9);
	/* The file gets shorter: by two pages and a half. */
	dev->size = FILE_BYTES - 3 * PAGE_SIZE + PAGE_SIZE / 2;
	truncate_pagecache(dev, dev->size);
	check_all();
	CU_ASSERT_EQUAL(user_read(mm, at + 2 * PAGE_SIZE, &v), VM_FAULT_SIGBUS);
	CU_ASSERT_EQUAL(user_read(mm, copy + 3 * PAGE_SIZE, &v), VM_FAULT_SIGBUS);
	CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), word_at(FILE_PAGES - 3));
	CU_ASSERT_EQUAL(user_get(mm, copy), 9); /* a copy before the end stays */
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 0);
	dev->size = FILE_BYTES;
	CU_ASSERT_EQUAL(user_get(mm, at + 2 * PAGE_SIZE),
			word_at(FILE_PAGES - 2)); /* 7 was not written */
	check_all();
	mmput(mm);
	check_all();
}

static void a_read_error_is_sigbus(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at;
	u64 v;

	fresh();
	at = map(mm, PROT_READ, MAP_PRIVATE, 0, 16);
	CU_ASSERT_EQUAL(do_madvise(mm, at, 16 * PAGE_SIZE, MADV_RANDOM), 0);
	disk->fail_at = 1;
	CU_ASSERT_EQUAL(user_read(mm, at, &v), VM_FAULT_SIGBUS);
	CU_ASSERT_EQUAL(user_get(mm, at), word_at(0)); /* the next try */
	check_all();
	mmput(mm);
}

/* ---- reclaim ---- */

static void clean_pages_leave_and_come_back(void)
{
	struct mm_struct *mm = mm_alloc();
	u64 refaults = event(WORKINGSET_REFAULT_FILE), steal = event(PGSTEAL_FILE);
	unsigned long at;

	fresh();
	at = map(mm, PROT_READ, MAP_SHARED, 0, 64);
	for (unsigned long i = 0; i < 64; i++)
		user_get(mm, at + i * PAGE_SIZE);
	shrink_all(false);
	CU_ASSERT_EQUAL(mm->rss_file, 0);
	CU_ASSERT(event(PGSTEAL_FILE) - steal >= 64);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_PAGES), 0);
	check_all();
	CU_ASSERT_EQUAL(disk->nr_writes, 0);
	CU_ASSERT_EQUAL(user_get(mm, at), word_at(0));
	CU_ASSERT(event(WORKINGSET_REFAULT_FILE) > refaults);
	mmput(mm);
	check_all();
}

static void dirty_pages_wait_for_the_flusher_or_are_written(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at;

	fresh();
	at = map(mm, RW, MAP_SHARED, 0, 32);
	for (unsigned long i = 0; i < 32; i++)
		user_put(mm, at + i * PAGE_SIZE, i + 100);
	shrink_all(false);
	CU_ASSERT_EQUAL(disk->nr_writes, 0);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 32);
	check_all();
	shrink_all(true);
	CU_ASSERT_EQUAL(disk->pages_written, 32);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 0);
	shrink_all(true);
	CU_ASSERT_EQUAL(mm->rss_file, 0);
	for (unsigned long i = 0; i < 32; i++) {
		CU_ASSERT_EQUAL(*on_disk(i), i + 100);
		CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), i + 100);
	}
	mmput(mm);
	check_all();
}

static void locked_and_advised_pages(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at;
	u8 vec[32];

	fresh();
	at = map(mm, PROT_READ, MAP_SHARED, 0, 32);
	CU_ASSERT_EQUAL(do_mlock(mm, at, 16 * PAGE_SIZE, 0), 0);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 16);
	for (unsigned long i = 16; i < 32; i++)
		user_get(mm, at + i * PAGE_SIZE);
	shrink_all(true);
	CU_ASSERT_EQUAL(mm->rss_file, 16);
	CU_ASSERT_EQUAL(mincore_pages(mm, at, 32, vec), 16); /* the locked VMA ends */
	CU_ASSERT_EQUAL(mincore_pages(mm, at + 16 * PAGE_SIZE, 16, vec + 16), 16);
	CU_ASSERT(vec[0] && vec[15] && !vec[16] && !vec[31]);
	CU_ASSERT_EQUAL(do_munlock(mm, at, 16 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 0);
	check_all();
	CU_ASSERT_EQUAL(do_madvise(mm, at, 16 * PAGE_SIZE, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(mm->rss_file, 0);
	CU_ASSERT_EQUAL(mincore_pages(mm, at, 32, vec), 32);
	CU_ASSERT(vec[3]); /* not mapped, but in the cache */
	for (unsigned long i = 0; i < 16; i++)
		user_get(mm, at + i * PAGE_SIZE);
	CU_ASSERT_EQUAL(do_madvise(mm, at, 16 * PAGE_SIZE, MADV_PAGEOUT), 0);
	CU_ASSERT_EQUAL(mm->rss_file, 0);
	CU_ASSERT_EQUAL(mincore_pages(mm, at, 32, vec), 32);
	CU_ASSERT(!vec[3]);
	CU_ASSERT_EQUAL(do_madvise(mm, at, PAGE_SIZE, MADV_FREE), -EINVAL);
	CU_ASSERT_EQUAL(do_madvise(mm, at, PAGE_SIZE, MADV_REMOVE), -EOPNOTSUPP);
	mmput(mm);
	check_all();
}

/* One table holds pages of the file, and entries of copies whose pages were read ahead from swap and are not mapped.
 * Both are gathered when the mapping ends, but only the file's are unmapped. */
static void copies_that_were_read_ahead_end_with_the_mapping(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at;
	u64 ahead;

	fresh();
	at = map(mm, RW, MAP_PRIVATE, 0, 32);
	for (unsigned long i = 16; i < 32; i++)
		user_put(mm, at + i * PAGE_SIZE, i);
	shrink_all(true);
	CU_ASSERT_EQUAL(mm->rss_swap, 16);
	CU_ASSERT_EQUAL(global_stat(NR_SWAPCACHE), 0);
	for (unsigned long i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), word_at(i));
	mm->swap_ra_hits = SWAP_RA_MAX; /* the next miss reads the largest window */
	ahead = event(SWAP_RA);
	CU_ASSERT_EQUAL(user_get(mm, at + 20 * PAGE_SIZE), 20);
	ahead = event(SWAP_RA) - ahead;
	CU_ASSERT(ahead > 0);
	while (host_disks_poll())
		;
	CU_ASSERT_EQUAL(global_stat(NR_SWAPCACHE), ahead + 1);
	CU_ASSERT_EQUAL(mm->rss_swap, 15);
	CU_ASSERT_EQUAL(mm->rss_anon, 1);
	CU_ASSERT_EQUAL(do_munmap(mm, at, 32 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(mm->rss_file, 0);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	CU_ASSERT_EQUAL(mm->rss_swap, 0);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_MAPPED), 0);
	CU_ASSERT_EQUAL(global_stat(NR_SWAPCACHE), 0);
	mmput(mm);
	check_all();
}

/* ---- the shape ---- */

static void offsets_follow_splits_merges_and_moves(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at;
	long to;

	fresh();
	at = map(mm, RW, MAP_SHARED, 20, 32);
	CU_ASSERT_EQUAL(do_mprotect(mm, at + 8 * PAGE_SIZE, 8 * PAGE_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(mm->map_count, 3);
	CU_ASSERT_EQUAL(host_file_refs(file), 4);
	CU_ASSERT_EQUAL(user_get(mm, at + 10 * PAGE_SIZE), word_at(30));
	CU_ASSERT_EQUAL(user_write(mm, at + 10 * PAGE_SIZE, 1), VM_FAULT_SIGSEGV_ACCERR);
	CU_ASSERT_EQUAL(do_mprotect(mm, at + 8 * PAGE_SIZE, 8 * PAGE_SIZE, RW), 0);
	CU_ASSERT_EQUAL(mm->map_count, 1);
	CU_ASSERT_EQUAL(host_file_refs(file), 2);
	user_put(mm, at + 10 * PAGE_SIZE, 5);
	to = do_mremap(mm, at + 8 * PAGE_SIZE, 8 * PAGE_SIZE, 16 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
	MUST(to > 0, "mremap: %ld", to);
	CU_ASSERT_EQUAL(user_get(mm, to + 2 * PAGE_SIZE), 5);
	CU_ASSERT_EQUAL(user_get(mm, to + 12 * PAGE_SIZE),
			word_at(40)); /* the part that was added */
	CU_ASSERT_EQUAL(user_get(mm, at + 16 * PAGE_SIZE), word_at(36));
	check_all();
	/* Neighbours in memory and in the file, mapped one after the other, are one. */
	CU_ASSERT_EQUAL(do_munmap(mm, at, 32 * PAGE_SIZE), 0);
	{
		struct map_source src = {
			.file = file, .mapping = dev, .readable = true, .prepare = may_map};
		u32 count = mm->map_count;

		CU_ASSERT_EQUAL(do_mmap_file(mm, at, 4 * PAGE_SIZE, PROT_READ,
					     MAP_PRIVATE | MAP_FIXED, 50, &src),
				(long)at);
		CU_ASSERT_EQUAL(do_mmap_file(mm, at + 4 * PAGE_SIZE, 4 * PAGE_SIZE, PROT_READ,
					     MAP_PRIVATE | MAP_FIXED, 54, &src),
				(long)at + 4 * (long)PAGE_SIZE);
		CU_ASSERT_EQUAL(mm->map_count, count + 1);
		CU_ASSERT_EQUAL(do_mmap_file(mm, at + 8 * PAGE_SIZE, 4 * PAGE_SIZE, PROT_READ,
					     MAP_PRIVATE | MAP_FIXED, 59, &src),
				(long)at + 8 * (long)PAGE_SIZE);
		CU_ASSERT_EQUAL(mm->map_count, count + 2);
	}
	CU_ASSERT_EQUAL(user_get(mm, at + 5 * PAGE_SIZE), word_at(55));
	CU_ASSERT_EQUAL(user_get(mm, at + 9 * PAGE_SIZE), word_at(60));
	check_all();
	mmput(mm);
	CU_ASSERT_EQUAL(host_file_refs(file), 1);
	check_all();
}

static void what_is_refused(void)
{
	static const struct {
		bool readable, writable, maps;
		int prot, flags;
		unsigned long pgoff;
		long want;
	} t[] = {
		{1, 1, 1, RW, MAP_SHARED, 0, 0},
		{1, 0, 1, RW, MAP_SHARED, 0, -EACCES},
		{1, 0, 1, PROT_READ, MAP_SHARED, 0, 0},
		{1, 0, 1, RW, MAP_PRIVATE, 0, 0},
		{0, 1, 1, PROT_READ, MAP_PRIVATE, 0, -EACCES},
		{0, 1, 1, PROT_WRITE, MAP_SHARED, 0, -EACCES},
		{1, 1, 0, PROT_READ, MAP_PRIVATE, 0, -ENODEV},
		{1, 0, 0, RW, MAP_SHARED, 0, -EACCES}, /* rights come before ENODEV */
		{1, 1, 1, PROT_READ, 0, 0, -EINVAL},
		{1, 1, 1, PROT_READ, MAP_SHARED_VALIDATE, 0, 0},
		{1, 1, 1, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, 0, -EOPNOTSUPP},
		{1, 1, 1, PROT_READ, MAP_SHARED | MAP_SYNC, 0, 0},
		{1, 1, 1, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, 0, -EINVAL},
		{1, 1, 1, PROT_READ, MAP_PRIVATE, ~0ul >> 12, -EOVERFLOW},
		{1, 1, 1, PROT_READ, MAP_PRIVATE, ~0ul, -EOVERFLOW},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
		struct mm_struct *mm = mm_alloc();
		struct map_source src = {.file = file,
					 .mapping = dev,
					 .readable = t[i].readable,
					 .writable = t[i].writable,
					 .prepare = t[i].maps ? may_map : NULL};
		long got = do_mmap_file(mm, 0, PAGE_SIZE, t[i].prot, t[i].flags, t[i].pgoff, &src);

		if (got > 0)
			got = 0;
		if (got != t[i].want)
			fprintf(stderr, "row %u: %ld, expected %ld\n", i, got, t[i].want);
		CU_ASSERT_EQUAL(got, t[i].want);
		mmput(mm);
	}
	CU_ASSERT_EQUAL(host_file_refs(file), 1);
	check_all();
}

static void read_only_and_shared_never_becomes_writable(void)
{
	struct mm_struct *mm = mm_alloc();
	struct map_source src = {
		.file = file, .mapping = dev, .readable = true, .prepare = may_map};
	long at;
	char text[512];
	struct report r = {text, sizeof(text), 0, false};

	fresh();
	at = do_mmap_file(mm, 0, PAGE_SIZE, PROT_READ, MAP_SHARED, 2, &src);
	MUST(at > 0, "mmap: %ld", at);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, RW), -EACCES);
	CU_ASSERT_EQUAL(user_get(mm, at), word_at(2));
	report_maps(&r, mm);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " r--s 00002000 08:01 42 "));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "/the/file\n"));
	CU_ASSERT_EQUAL(dev->nr_mmap_writable, 0);
	CU_ASSERT_EQUAL(do_madvise(mm, at, PAGE_SIZE, MADV_REMOVE), -EACCES);
	mmput(mm);
}

/* ---- a random play ---- */

#define MEMBERS 3
static u64 copy_of[MEMBERS][FILE_PAGES]; /* private copies; 0: none */
static u64 in_file[FILE_PAGES];

static struct mm_struct *member[MEMBERS];
static unsigned long own[MEMBERS], shared[MEMBERS]; /* where they have the file */

/* The file ends within the page, and is then made as long as before. */
static void cut_the_file(unsigned int k, unsigned long page)
{
	unsigned long end = page * PAGE_SIZE + 1000;

	dev->size = end;
	truncate_pagecache(dev, end);
	for (unsigned long i = page + 1; i < FILE_PAGES; i++) {
		u64 v;

		MUST(user_read(member[k], own[k] + i * PAGE_SIZE, &v) == VM_FAULT_SIGBUS,
		     "page %lu is behind the end", i);
		in_file[i] = *on_disk(i);
		for (int m = 0; m < MEMBERS; m++)
			copy_of[m][i] = 0;
	}
	dev->size = FILE_BYTES;
}

/* Member k reads or writes the page, in its private or its shared mapping. */
static void touch_one(unsigned int k, unsigned long page, u64 what, u64 step)
{
	unsigned long a = own[k] + page * PAGE_SIZE, s = shared[k] + page * PAGE_SIZE;

	switch (what & 3) {
	case 0:
		MUST(user_get(member[k], a) ==
			     (copy_of[k][page] ? copy_of[k][page] : in_file[page]),
		     "own page %lu of %u at %lu", page, k, (long)step);
		break;
	case 1:
		user_put(member[k], a, copy_of[k][page] = step);
		break;
	case 2:
		MUST(user_get(member[k], s) == in_file[page], "page %lu at %lu", page, (long)step);
		break;
	case 3:
		user_put(member[k], s, in_file[page] = step);
		break;
	}
}

static void processes_against_arrays(void)
{
	u64 seed = 99, cow = event(MMVM_FAULT_COW), written;

	fresh();
	memset(copy_of, 0, sizeof(copy_of));
	for (unsigned long i = 0; i < FILE_PAGES; i++)
		in_file[i] = word_at(i);
	for (int k = 0; k < MEMBERS; k++) {
		member[k] = mm_alloc();
		own[k] = map(member[k], RW, MAP_PRIVATE, 0, FILE_PAGES);
		shared[k] = map(member[k], RW, MAP_SHARED, 0, FILE_PAGES);
	}
	for (u64 step = 1; step < 20000; step++) {
		unsigned long page, a;
		unsigned int k;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		page = (seed >> 33) % FILE_PAGES;
		k = (seed >> 25) % MEMBERS;
		a = own[k] + page * PAGE_SIZE;
		switch (seed >> 55) {
		case 0:
			cut_the_file(k, page);
			break;
		case 1:
			sync_file();
			for (unsigned long i = 0; i < FILE_PAGES; i++)
				MUST(*on_disk(i) == in_file[i], "page %lu on the disk", i);
			break;
		case 2:
			shrink_all(seed >> 20 & 1);
			break;
		case 3:
			MUST(!do_madvise(member[k], a, PAGE_SIZE, MADV_DONTNEED), "DONTNEED");
			copy_of[k][page] = 0;
			break;
		case 4:
			MUST(!do_madvise(member[k], shared[k] + page * PAGE_SIZE, PAGE_SIZE,
					 MADV_PAGEOUT),
			     "PAGEOUT");
			break;
		case 5: { /* a child in its place: the same memory */
			struct mm_struct *child = dup_mm(member[k]);

			MUST(child, "dup_mm");
			mmput(member[k]);
			member[k] = child;
			break;
		}
		default:
			touch_one(k, page, seed >> 50, step);
		}
		if (step % 1000 == 0)
			check_all();
	}
	written = disk->pages_written;
	CU_ASSERT(written > 100);
	CU_ASSERT(event(MMVM_FAULT_COW) - cow > 1000);
	for (int k = 0; k < MEMBERS; k++)
		mmput(member[k]);
	CU_ASSERT_EQUAL(host_file_refs(file), 1);
	check_all();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"faults bring the file's contents", faults_bring_the_files_contents},
		{"what is there costs no request", what_is_there_costs_no_request},
		{"advice about order is followed", advice_about_order_is_followed},
		{"private writes stay private", private_writes_stay_private},
		{"shared writes reach the disk", shared_writes_reach_the_disk},
		{"msync asks the file", msync_asks_the_file},
		{"behind the end is SIGBUS", behind_the_end_is_sigbus},
		{"a read error is SIGBUS", a_read_error_is_sigbus},
		{"clean pages leave and come back", clean_pages_leave_and_come_back},
		{"dirty pages wait or are written",
		 dirty_pages_wait_for_the_flusher_or_are_written},
		{"locked and advised pages", locked_and_advised_pages},
		{"copies that were read ahead", copies_that_were_read_ahead_end_with_the_mapping},
		{"offsets follow the shape", offsets_follow_splits_merges_and_moves},
		{"what is refused", what_is_refused},
		{"read-only and shared", read_only_and_shared_never_becomes_writable},
		{"processes against arrays", processes_against_arrays},
	};
	struct host_disk *swap;

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("data", FILE_BYTES);
	swap = host_disk_create("swap", 16 * MIB);
	host_disk_mkswap(swap);
	MUST(!do_swapon(&swap->bdev, -1), "swapon");
	dev = bdev_mapping(&disk->bdev);
	MUST(dev, "bdev_mapping");
	file = host_file("/the/file");
	return unit_run("mappings of files", cases, ARRAY_SIZE(cases));
}
