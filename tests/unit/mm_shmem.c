/*
 * Shared anonymous memory: one page for all who map it, whether it is in memory or in swap; when pages and
 * promises are given back; and the interval tree of the reverse map. The last case plays families that share
 * and unshare against a plain array, under memory pressure.
 */
#include "mm/cache/shmem.h"
#include "mm_user.h"
#include "unit.h"

#define SHARED (MAP_SHARED | MAP_ANONYMOUS)

static struct host_disk *disk;

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static struct page *page_at(struct mm_struct *mm, unsigned long addr)
{
	pte_t *pte = walk_pte(mm->pgd, addr);

	return pte && pte_present(pte_read(pte)) ? pfn_to_page(pte_pfn(pte_read(pte))) : NULL;
}

static unsigned long map_shared(struct mm_struct *mm, unsigned long pages)
{
	long at = do_mmap(mm, 0, pages << PAGE_SHIFT, RW, SHARED, 0);

	MUST(at > 0, "mmap: %ld", at);
	return at;
}

static void reclaim_all(void)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};

	for (int i = 0; i < 8; i++) {
		lru_add_drain();
		sc.priority = 0;
		for (unsigned int n = 0; n < MMVM_MAX_NODES; n++)
			if (node_data[n].present)
				shrink_node(&node_data[n], &sc);
		while (swap_writes_in_flight())
			swap_wait_for_write();
	}
}

static s64 in_use(void)
{
	drain_all_pages();
	return (s64)nr_free_pages();
}

static void one_page_for_all(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at = map_shared(mm, 8), other = at + PAGE_SIZE;
	u64 cow = event(MMVM_FAULT_COW);

	CU_ASSERT_EQUAL(vm_committed(), 8);
	CU_ASSERT_EQUAL(mm->committed, 0);
	user_put(mm, at, 1);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NULL(page_at(child, at)); /* found by its own fault */
	CU_ASSERT_EQUAL(user_get(child, at), 1);
	user_put(child, at, 2);
	CU_ASSERT_EQUAL(user_get(mm, at), 2);
	user_put(child, other, 3);
	CU_ASSERT_EQUAL(user_get(mm, other), 3);
	CU_ASSERT_PTR_EQUAL(page_at(mm, at), page_at(child, at));
	CU_ASSERT_EQUAL(page_mapcount(page_at(mm, at)), 2);
	CU_ASSERT_EQUAL(event(MMVM_FAULT_COW), cow);
	CU_ASSERT_EQUAL(user_get(mm, at + 7 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(mm->rss_shmem, 3);
	CU_ASSERT_EQUAL(global_stat(NR_SHMEM), 3);
	check_all();
	mmput(mm);
	CU_ASSERT_EQUAL(user_get(child, at), 2);
	CU_ASSERT_EQUAL(do_munmap(child, at, PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(global_stat(NR_SHMEM), 3); /* the object has it still */
	check_all();
	mmput(child);
	CU_ASSERT_EQUAL(global_stat(NR_SHMEM), 0);
	CU_ASSERT_EQUAL(vm_committed(), 0);
	check_all();
}

static void what_is_there_is_mapped_around(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at = map_shared(mm, 64);
	u64 faults, around;

	for (int i = 0; i < 64; i++)
		user_put(mm, at + i * PAGE_SIZE, i);
	child = dup_mm(mm);
	faults = event(PGFAULT);
	around = event(MMVM_FAULT_AROUND);
	for (int i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(user_get(child, at + i * PAGE_SIZE), i);
	CU_ASSERT(event(PGFAULT) - faults <= 5);
	CU_ASSERT_EQUAL(event(MMVM_FAULT_AROUND) - around, 64);
	check_all();
	mmput(child);
	mmput(mm);
	check_all();
}

static void rights_are_kept_to(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map_shared(mm, 4);
	u64 v;

	user_put(mm, at, 1);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, 4 * PAGE_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(user_write(mm, at, 2), VM_FAULT_SIGSEGV_ACCERR);
	CU_ASSERT_EQUAL(user_get(mm, at), 1);
	CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), 0); /* made by a reader */
	check_all();
	CU_ASSERT_EQUAL(do_mprotect(mm, at, 4 * PAGE_SIZE, RW), 0);
	user_put(mm, at, 2);
	user_put(mm, at + PAGE_SIZE, 3);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, 4 * PAGE_SIZE, PROT_NONE), 0);
	CU_ASSERT_EQUAL(user_read(mm, at, &v), VM_FAULT_SIGSEGV_ACCERR);
	check_all();
	mmput(mm);
	CU_ASSERT_EQUAL(do_mmap(mm = mm_alloc(), 0, PAGE_SIZE, RW, SHARED | MAP_GROWSDOWN, 0),
			-EINVAL);
	CU_ASSERT_EQUAL(do_mmap(mm, 0, PAGE_SIZE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, 0),
			-EINVAL);
	mmput(mm);
}

static void splits_and_moves_keep_the_offset(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map_shared(mm, 16), to;
	long ret;

	for (int i = 0; i < 16; i++)
		user_put(mm, at + i * PAGE_SIZE, i);
	CU_ASSERT_EQUAL(do_munmap(mm, at + 4 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(mm->map_count, 2);
	CU_ASSERT_EQUAL(user_get(mm, at + 6 * PAGE_SIZE), 6);
	check_all();
	to = at - 0x40000000;
	ret = do_mremap(mm, at + 6 * PAGE_SIZE, 10 * PAGE_SIZE, 12 * PAGE_SIZE,
			MREMAP_MAYMOVE | MREMAP_FIXED, to);
	CU_ASSERT_EQUAL(ret, (long)to);
	for (int i = 6; i < 16; i++)
		CU_ASSERT_EQUAL(user_get(mm, to + (i - 6) * PAGE_SIZE), i);
	/* The object has not grown. */
	CU_ASSERT_EQUAL(user_write(mm, to + 10 * PAGE_SIZE, 1), VM_FAULT_SIGBUS);
	check_all();
	/* Nothing of it moves: a second mapping. */
	ret = do_mremap(mm, at, 0, 4 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
	MUST(ret > 0, "mremap of nothing: %ld", ret);
	user_put(mm, ret + PAGE_SIZE, 77);
	CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), 77);
	CU_ASSERT_EQUAL(page_mapcount(page_at(mm, at + PAGE_SIZE)), 2);
	check_all();
	ret = do_mremap(mm, at, 4 * PAGE_SIZE, 4 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	MUST(ret > 0, "mremap that leaves: %ld", ret);
	CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), 77); /* faulted in again */
	CU_ASSERT_EQUAL(user_get(mm, ret + PAGE_SIZE), 77);
	check_all();
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(global_stat(NR_SHMEM), 0);
}

static void private_memory_cannot_be_doubled(void)
{
	struct mm_struct *mm = mm_alloc();
	long at = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE, 0);

	CU_ASSERT_EQUAL(do_mremap(mm, at, 0, PAGE_SIZE, MREMAP_MAYMOVE, 0), -EINVAL);
	mmput(mm);
}

static void a_hole_is_zero_for_everybody(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at = map_shared(mm, 8);

	for (int i = 0; i < 8; i++)
		user_put(mm, at + i * PAGE_SIZE, i + 1);
	child = dup_mm(mm);
	CU_ASSERT_EQUAL(user_get(child, at), 1);
	CU_ASSERT_EQUAL(do_madvise(mm, at, 4 * PAGE_SIZE, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), 2); /* only forgotten by this mapping */
	CU_ASSERT_EQUAL(do_madvise(mm, at, 4 * PAGE_SIZE, MADV_REMOVE), 0);
	CU_ASSERT_EQUAL(global_stat(NR_SHMEM), 4);
	CU_ASSERT_EQUAL(user_get(child, at), 0);
	CU_ASSERT_EQUAL(user_get(mm, at + 4 * PAGE_SIZE), 5);
	CU_ASSERT_EQUAL(do_madvise(mm, at, PAGE_SIZE, MADV_FREE), -EINVAL);
	CU_ASSERT_EQUAL(do_madvise(mm, at, PAGE_SIZE, MADV_WIPEONFORK), -EINVAL);
	/* The right to make a hole is that of the file, not of the mapping now. */
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(do_madvise(mm, at, PAGE_SIZE, MADV_REMOVE), 0);
	check_all();
	mmput(child);
	mmput(mm);
	check_all();
}

static void out_to_swap_and_back(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at = map_shared(mm, 64);
	s64 out = event(PSWPOUT);
	u8 vec[64];

	for (int i = 0; i < 64; i++)
		user_put(mm, at + i * PAGE_SIZE, i % 8 ? i : 0); /* some all zero */
	child = dup_mm(mm);
	CU_ASSERT_EQUAL(user_get(child, at + PAGE_SIZE), 1);
	reclaim_all();
	check_all();
	CU_ASSERT_EQUAL(global_stat(NR_SHMEM), 0);
	CU_ASSERT_EQUAL(mm->rss_shmem, 0);
	CU_ASSERT_EQUAL(mm->rss_swap, 0); /* the tree has the entries, no page table */
	CU_ASSERT_EQUAL(event(PSWPOUT) - out, 56);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 64);
	CU_ASSERT_EQUAL(mincore_pages(mm, at, 64, vec), 64);
	CU_ASSERT_EQUAL(vec[3], 0);
	for (int i = 0; i < 64; i += 2)
		CU_ASSERT_EQUAL(user_get(child, at + i * PAGE_SIZE), (u64)(i % 8 ? i : 0));
	CU_ASSERT_EQUAL(event(PGMAJFAULT) > 0, true);
	check_all();
	user_put(mm, at + 2 * PAGE_SIZE, 1000);
	CU_ASSERT_EQUAL(user_get(child, at + 2 * PAGE_SIZE), 1000);
	reclaim_all();
	CU_ASSERT_EQUAL(user_get(mm, at + 2 * PAGE_SIZE), 1000);
	/* A hole where pages are in swap. */
	CU_ASSERT_EQUAL(do_madvise(mm, at + 32 * PAGE_SIZE, 32 * PAGE_SIZE, MADV_REMOVE), 0);
	check_all();
	CU_ASSERT_EQUAL(user_get(mm, at + 33 * PAGE_SIZE), 0);
	mmput(mm);
	mmput(child);
	check_all();
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
}

static void swapoff_brings_it_back(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map_shared(mm, 64);

	for (int i = 0; i < 64; i++)
		user_put(mm, at + i * PAGE_SIZE, i + 1);
	reclaim_all();
	CU_ASSERT(swap_areas[0].inuse >= 64);
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
	CU_ASSERT_EQUAL(global_stat(NR_SHMEM), 64);
	for (int i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), (u64)i + 1);
	CU_ASSERT_EQUAL(do_swapon(&disk->bdev, -1), 0);
	check_all();
	mmput(mm);
	check_all();
}

static void a_read_error_is_tried_again_alone(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map_shared(mm, 2);
	u64 v;

	user_put(mm, at, 5);
	reclaim_all();
	disk->fail_at = 1;
	CU_ASSERT_EQUAL(user_read(mm, at, &v), 0); /* the second try is alone, and works */
	CU_ASSERT_EQUAL(v, 5);
	reclaim_all();
	disk->fail_at = 1;
	CU_ASSERT_EQUAL(do_madvise(mm, at, PAGE_SIZE, MADV_WILLNEED), 0);
	disk->fail_at = 0;
	CU_ASSERT_EQUAL(user_get(mm, at), 5);
	check_all();
	mmput(mm);
	check_all();
}

static void promises_are_kept_or_refused(void)
{
	struct mm_struct *mm = mm_alloc();
	u64 pages = totalram_pages() + swap_total_pages() + 1;
	unsigned long at;

	CU_ASSERT_EQUAL(do_mmap(mm, 0, pages << PAGE_SHIFT, RW, SHARED, 0), -ENOMEM);
	CU_ASSERT_EQUAL(vm_committed(), 0);
	CU_ASSERT_EQUAL(mm->map_count, 0);
	at = do_mmap(mm, 0, pages << PAGE_SHIFT, RW, SHARED | MAP_NORESERVE, 0);
	CU_ASSERT_EQUAL(vm_committed(), 0);
	user_put(mm, at, 1); /* page by page then */
	CU_ASSERT_EQUAL(vm_committed(), 1);
	check_all();
	reclaim_all();
	CU_ASSERT_EQUAL(vm_committed(), 1);
	CU_ASSERT_EQUAL(user_get(mm, at), 1);
	CU_ASSERT_EQUAL(do_madvise(mm, at, PAGE_SIZE, MADV_REMOVE), 0);
	CU_ASSERT_EQUAL(vm_committed(), 0);
	mmput(mm);
	check_all();
}

static void locked_memory_stays(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map_shared(mm, 16);

	CU_ASSERT_EQUAL(do_mlock(mm, at, 16 * PAGE_SIZE, 0), 0);
	CU_ASSERT_EQUAL(mm->rss_shmem, 16);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 16);
	reclaim_all();
	CU_ASSERT_EQUAL(mm->rss_shmem, 16);
	check_all();
	CU_ASSERT_EQUAL(do_munlock(mm, at, 16 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 0);
	reclaim_all();
	CU_ASSERT_EQUAL(mm->rss_shmem, 0);
	mmput(mm);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 0);
	check_all();
}

/* shmctl(SHM_LOCK): no reclaim of the object, whoever maps it; SHM_UNLOCK looks at each page again. */
static void a_locked_object_stays(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map_shared(mm, 16);
	u64 scanned = event(UNEVICTABLE_PGSCANNED);
	struct address_space *mapping;

	for (int i = 0; i < 16; i++)
		user_put(mm, at + i * PAGE_SIZE, i);
	mapping = page_at(mm, at)->mapping;
	shmem_set_unevictable(mapping, LRU_KEEP);
	CU_ASSERT_EQUAL(event(UNEVICTABLE_PGSCANNED), scanned);
	reclaim_all();
	CU_ASSERT_EQUAL(mm->rss_shmem, 16);
	shmem_set_unevictable(mapping, LRU_LET_GO);
	CU_ASSERT_EQUAL(event(UNEVICTABLE_PGSCANNED), scanned + 16);
	reclaim_all();
	CU_ASSERT_EQUAL(mm->rss_shmem, 0);
	for (int i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), i);
	mmput(mm);
	check_all();
}

/* One object, mapped piece by piece by very many VMAs of others, and at one place by ours. */
static void unrelated_mappings_cost_nothing(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long n = 1000, at, whole;
	u64 before, few, many;

	whole = map_shared(mm, n);
	user_put(mm, whole + 500 * PAGE_SIZE, 1);
	before = i_mmap_visits;
	unmap_mapping_range(find_vma(mm, whole)->mapping, 500, 501, LEAVE_COPIES);
	few = i_mmap_visits - before;
	for (unsigned long i = 0; i < n; i++) {
		if (i == 500)
			continue;
		at = do_mremap(mm, whole + i * PAGE_SIZE, 0, PAGE_SIZE, MREMAP_MAYMOVE, 0);
		MUST((long)at > 0, "mremap: %ld", (long)at);
	}
	CU_ASSERT(mm->map_count > 900);
	user_put(mm, whole + 500 * PAGE_SIZE, 1);
	before = i_mmap_visits;
	unmap_mapping_range(find_vma(mm, whole)->mapping, 500, 501, LEAVE_COPIES);
	many = i_mmap_visits - before;
	CU_ASSERT_EQUAL(few, 1);
	CU_ASSERT(many <= 40); /* twice a tree of a thousand deep */
	CU_ASSERT_PTR_NULL(page_at(mm, whole + 500 * PAGE_SIZE));
	mmput(mm);
	check_all();
}

static void a_failed_allocation_leaves_nothing(void)
{
	s64 free_before;
	u64 k;

	reclaim_all();
	free_before = in_use();
	for (k = 1; k < 60; k++) {
		struct mm_struct *mm;
		u64 failed = alloc_fail_count();
		long at;

		alloc_fail_nth(k);
		mm = mm_alloc();
		if (mm) {
			at = do_mmap(mm, 0, 4 * PAGE_SIZE, RW, SHARED, 0);
			if (at > 0) {
				struct mm_struct *child = dup_mm(mm);

				user_write(mm, at, 1);
				if (child)
					mmput(child);
			}
			mmput(mm);
		}
		alloc_fail_nth(0);
		check_all();
		CU_ASSERT_EQUAL(vm_committed(), 0);
		CU_ASSERT_EQUAL(global_stat(NR_SHMEM), 0);
		if (alloc_fail_count() == failed)
			break;
	}
	CU_ASSERT(k > 3 && k < 60);
	CU_ASSERT(in_use() + 8 >= free_before); /* what caches keep */
}

/* ---- a random family ------------------------------------------------------------------------- */

#define PAGES	1500
#define MEMBERS 4

static void a_family_under_pressure(void)
{
	struct mm_struct *member[MEMBERS] = {mm_alloc()};
	unsigned long at = map_shared(member[0], PAGES);
	u32 *model = calloc(PAGES, sizeof(*model));
	s64 out = event(PSWPOUT), in = event(PSWPIN);
	u64 seed = 12345;

	for (int step = 0; step < 12000; step++) {
		unsigned int who, page;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		who = seed >> 60 & (MEMBERS - 1);
		page = (seed >> 30) % PAGES;
		if (!member[who]) {
			unsigned int from = (who + 1) % MEMBERS;

			while (!member[from])
				from = (from + 1) % MEMBERS;
			member[who] = dup_mm(member[from]);
			continue;
		}
		switch (seed >> 52 & 63) {
		case 0: { /* one ends, if another stays */
			unsigned int alive = 0;

			for (unsigned int i = 0; i < MEMBERS; i++)
				alive += member[i] != NULL;
			if (alive > 1) {
				mmput(member[who]);
				member[who] = NULL;
			}
			break;
		}
		case 1: {
			unsigned int n = min(PAGES - page, 8u);

			MUST(!do_madvise(member[who], at + page * PAGE_SIZE, n * PAGE_SIZE,
					 MADV_REMOVE),
			     "MADV_REMOVE");
			memset(&model[page], 0, n * sizeof(*model));
			break;
		}
		case 2:
			MUST(!do_madvise(member[who], at + page * PAGE_SIZE, PAGE_SIZE,
					 MADV_PAGEOUT),
			     "MADV_PAGEOUT");
			break;
		case 3:
			MUST(!do_madvise(member[who], at + page * PAGE_SIZE, PAGE_SIZE,
					 MADV_DONTNEED),
			     "MADV_DONTNEED");
			break;
		default:
			MUST(user_get(member[who], at + page * PAGE_SIZE) == model[page],
			     "page %u at step %d", page, step);
			if (seed >> 50 & 1)
				user_put(member[who], at + page * PAGE_SIZE,
					 model[page] = step + 1);
		}
		if (step % 1000 == 0)
			reclaim_all();
		if (step % 2000 == 0)
			check_all();
	}
	for (unsigned int i = 0; i < MEMBERS; i++)
		if (member[i])
			mmput(member[i]);
	CU_ASSERT(event(PSWPOUT) - out > 500);
	CU_ASSERT(event(PSWPIN) - in > 500);
	check_all();
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	CU_ASSERT_EQUAL(global_stat(NR_SHMEM), 0);
	free(model);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"one page for all", one_page_for_all},
		{"what is there is mapped around", what_is_there_is_mapped_around},
		{"rights are kept to", rights_are_kept_to},
		{"splits and moves keep the offset", splits_and_moves_keep_the_offset},
		{"private memory cannot be doubled", private_memory_cannot_be_doubled},
		{"a hole is zero for everybody", a_hole_is_zero_for_everybody},
		{"out to swap and back", out_to_swap_and_back},
		{"swapoff brings it back", swapoff_brings_it_back},
		{"a read error is tried again alone", a_read_error_is_tried_again_alone},
		{"promises are kept or refused", promises_are_kept_or_refused},
		{"locked memory stays", locked_memory_stays},
		{"a locked object stays", a_locked_object_stays},
		{"unrelated mappings cost nothing", unrelated_mappings_cost_nothing},
		{"a failed allocation leaves nothing", a_failed_allocation_leaves_nothing},
		{"a family under pressure", a_family_under_pressure},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", 16 * MIB);
	host_disk_mkswap(disk);
	MUST(!do_swapon(&disk->bdev, -1), "swapon");
	return unit_run("shared memory", cases, ARRAY_SIZE(cases));
}
