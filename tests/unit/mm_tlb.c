/*
 * Each place that changes a page table and owes a flush: after it, no translation that the fake TLB
 * was given disagrees with the tables (tests/host/tlb.c). Pages that are freed before the flush end
 * the program. Mappings of files are in mm_filemap.c, whose checks look at the TLB as well.
 *
 * tests/mutation/tlb.bugs takes each of these flushes away and names the test that fails without it;
 * tests/mutation/run.py --flushes, part of `make test`, fails when a place that flushes is in none of them.
 * Large pages are in mm_tlb_huge.c, two who clear entries at a time, reclaim and KSM in mm_race_tlb.c,
 * mappings of files in mm_filemap.c and mm_race_file.c, pages that move in mm_migrate.c, special ones in mm_special.c.
 */
#include "arch/tlb.h"
#include "mm/numa/balancing.h"
#include "mm/reclaim/oom.h"
#include "mm/report/access.h"
#include "mm/fault/userfault.h"
#include "mm_user.h"
#include "unit.h"

static struct host_disk *disk;

/** Written, so that the TLB knows each page as writable and dirty. */
static struct mm_struct *parent_with(unsigned long pages, unsigned long *at)
{
	struct mm_struct *mm = user_mm_with(pages, at);

	CU_ASSERT_TRUE(host_tlb_entries(mm) >= pages);
	return mm;
}

static void end(struct mm_struct *mm)
{
	mmput(mm);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	check_all();
}

/* A translation must be seen to be stale, else nothing here can fail. */
static void stale_is_seen(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(2, &at);
	pte_t *pte = walk_pte(mm->pgd, at), old = pte_read(pte);

	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	pte_set(pte, pte_wrprotect(old));
	CU_ASSERT_EQUAL(host_tlb_stale(), 1);
	pte_set(pte, __pte(0));
	CU_ASSERT_EQUAL(host_tlb_stale(), 1);
	flush_tlb_page(mm, at + PAGE_SIZE);
	CU_ASSERT_EQUAL(host_tlb_stale(), 1);
	flush_tlb_page(mm, at);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	pte_set(pte, old);
	end(mm);
}

static void fork_owes_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at), *child = dup_mm(mm);

	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	user_put(mm, at, 100);
	CU_ASSERT_EQUAL(user_get(child, at), 1);
	mmput(child);
	end(mm);
}

/* Another CPU reads while this one writes. */
static void copy_on_write_owes_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(4, &at), *child = dup_mm(mm);

	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), i + 1);
	CU_ASSERT_EQUAL(handle_mm_fault(mm, at, FAULT_FLAG_WRITE | FAULT_FLAG_USER), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(user_get(child, at), 1);
	mmput(child);
	end(mm);
}

/* The zero page was read by another CPU. */
static void zero_page_owes_a_flush(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE, 0);

	CU_ASSERT_EQUAL(user_get(mm, at), 0);
	CU_ASSERT_EQUAL(handle_mm_fault(mm, at, FAULT_FLAG_WRITE | FAULT_FLAG_USER), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	end(mm);
}

static void mremap_owes_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at);
	long to;

	/* No room to grow in place. */
	CU_ASSERT(do_mmap(mm, at + 8 * PAGE_SIZE, PAGE_SIZE, PROT_READ, PRIVATE | MAP_FIXED, 0) >
		  0);
	to = do_mremap(mm, at, 8 * PAGE_SIZE, 16 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
	CU_ASSERT_FATAL(to > 0 && (unsigned long)to != at);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	for (int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(user_get(mm, to + i * PAGE_SIZE), i + 1);
	end(mm);
}

static void mprotect_owes_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at);

	CU_ASSERT_EQUAL(do_mprotect(mm, at + PAGE_SIZE, 3 * PAGE_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(user_write(mm, at + PAGE_SIZE, 5), VM_FAULT_SIGSEGV_ACCERR);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, 8 * PAGE_SIZE, PROT_NONE), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	end(mm);
}

static void one_page_owes_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at);

	CU_ASSERT_EQUAL(do_madvise(mm, at + 3 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(user_get(mm, at + 3 * PAGE_SIZE), 0);
	end(mm);
}

static void a_range_owes_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(300, &at);

	/* More than one gather holds */
	CU_ASSERT_EQUAL(do_madvise(mm, at + PAGE_SIZE, 290 * PAGE_SIZE, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	end(mm);
}

static void tables_owe_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at);

	CU_ASSERT_EQUAL(do_munmap(mm, at, 8 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(host_tlb_entries(mm), 0);
	end(mm);
}

static void reclaim(void)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ul};

	lru_add_drain();
	shrink_node(&node_data[0], &sc);
	while (host_disk_complete(disk, 100))
		;
}

static void swap_out_owes_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(64, &at);

	for (int i = 0; i < 40 && mm->rss_anon; i++) {
		reclaim();
		CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	}
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	for (int i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), i + 1);
	end(mm);
}

static void madv_free_owes_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(16, &at);

	CU_ASSERT_EQUAL(do_madvise(mm, at, 16 * PAGE_SIZE, MADV_FREE), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	user_put(mm, at, 77); /* it stays */
	for (int i = 1; i < 16; i++)
		user_get(mm, at + i * PAGE_SIZE);
	for (int i = 0; i < 20; i++) {
		reclaim();
		CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	}
	CU_ASSERT_EQUAL(user_get(mm, at), 77);
	CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), 0);
	end(mm);
}

/* A translation that stays would not set the A bit again, and the page would look unused. */
static void cold_pages_owe_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at);

	CU_ASSERT_EQUAL(do_madvise(mm, at, 8 * PAGE_SIZE, MADV_COLD), 0);
	CU_ASSERT(!pte_young(pte_read(walk_pte(mm->pgd, at))));
	CU_ASSERT_EQUAL(host_tlb_entries(mm), 0);
	end(mm);
}

static void sampling_owes_a_flush(void)
{
	static u64 bitmap[1];
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at);

	CU_ASSERT_EQUAL(mm_access_sample(mm, bitmap, 0), 8);
	CU_ASSERT_EQUAL(host_tlb_entries(mm), 0);
	end(mm);
}

/* Nor the D bit: what is written next would not be seen. */
static void cleaning_owes_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at);

	CU_ASSERT_EQUAL(mm_clean_range(mm, at, at + 8 * PAGE_SIZE), 8);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	user_put(mm, at, 100);
	CU_ASSERT(pte_dirty(pte_read(walk_pte(mm->pgd, at))));
	end(mm);
}

static void userfaultfd_protects_with_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at);
	struct uffd_ctx *ctx = uffd_create(mm, UFFD_ALL_FAULTS);

	CU_ASSERT_PTR_NOT_NULL_FATAL(ctx);
	uffd_set_features(ctx, UFFD_FEATURE_SIGBUS);
	CU_ASSERT_EQUAL(uffd_register(ctx, at, at + 8 * PAGE_SIZE, UFFD_MODE_WP), 0);
	CU_ASSERT_EQUAL(uffd_writeprotect(ctx, at, at + 8 * PAGE_SIZE, UFFD_PROTECT), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(user_write(mm, at, 5), VM_FAULT_SIGBUS);
	CU_ASSERT_EQUAL(uffd_unregister(ctx, at, at + 8 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(user_write(mm, at, 5), 0);
	uffd_release(ctx);
	end(mm);
}

/* A CPU that faults though the PTE allows the access has an older translation, and would fault for ever. */
static void a_fault_for_nothing_owes_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at);
	const unsigned int entries = host_tlb_entries(mm);
	const u64 spurious = sum_vm_event(MMVM_FAULT_SPURIOUS);

	CU_ASSERT_EQUAL(handle_mm_fault(mm, at, FAULT_FLAG_WRITE | FAULT_FLAG_USER), 0);
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_FAULT_SPURIOUS), spurious + 1);
	CU_ASSERT_EQUAL(host_tlb_entries(mm), entries - 1);
	end(mm);
}

/* The pages of a victim, and of process_mrelease(2). */
static void reaping_owes_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at);

	mm_release_early(mm);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(host_tlb_entries(mm), 0);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	end(mm);
}

static void numa_hints_owe_a_flush(void)
{
	unsigned long at;
	struct mm_struct *mm = parent_with(8, &at);

	lru_add_drain();
	sysctl_numa_balancing = NUMA_BALANCING_NORMAL;
	CU_ASSERT_EQUAL(numa_scan_mm(mm, 64), 8);
	sysctl_numa_balancing = 0;
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(host_tlb_entries(mm), 0);
	end(mm);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"a stale translation is seen", stale_is_seen},
		{"fork owes a TLB flush", fork_owes_a_flush},
		{"copy on write owes a TLB flush", copy_on_write_owes_a_flush},
		{"leaving the zero page owes a TLB flush", zero_page_owes_a_flush},
		{"mremap owes a TLB flush", mremap_owes_a_flush},
		{"mprotect owes a TLB flush", mprotect_owes_a_flush},
		{"one page owes a TLB flush", one_page_owes_a_flush},
		{"a range owes a TLB flush", a_range_owes_a_flush},
		{"tables owe a TLB flush", tables_owe_a_flush},
		{"swap out owes a TLB flush", swap_out_owes_a_flush},
		{"MADV_FREE owes a TLB flush", madv_free_owes_a_flush},
		{"MADV_COLD owes a TLB flush", cold_pages_owe_a_flush},
		{"sampling accesses owes a TLB flush", sampling_owes_a_flush},
		{"cleaning PTEs owes a TLB flush", cleaning_owes_a_flush},
		{"userfaultfd's protection owes a TLB flush", userfaultfd_protects_with_a_flush},
		{"a fault for nothing owes a TLB flush", a_fault_for_nothing_owes_a_flush},
		{"reaping owes a TLB flush", reaping_owes_a_flush},
		{"a hint of NUMA balancing owes a TLB flush", numa_hints_owe_a_flush},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", 64 * MIB);
	host_disk_mkswap(disk);
	MUST(!do_swapon(&disk->bdev, -1), "swapon");
	return unit_run("tlb", cases, ARRAY_SIZE(cases));
}
