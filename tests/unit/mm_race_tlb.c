/*
 * Two who clear page table entries, or bits of them, of one address space at a time (tests/host/race.h).
 * One of them may find that the other one has cleared an entry and not flushed it yet. When an operation
 * returns, what it promises holds, whoever cleared the entry:
 *
 *   zap, guard, punch, page out, reap   nobody uses the old translation of the pages
 *   fork, protect, write-protect, free  nobody writes through an old translation
 *   move                                nobody uses the old addresses
 *   clean, clear soft-dirty             the next write is seen
 *   sample                              the next access is seen
 *
 * Every pair is tried at every point of the first.
 */
#include "mm/ksm/ksm.h"
#include "mm/reclaim/oom.h"
#include "mm/report/access.h"
#include "mm/pgtable/soft_dirty.h"
#include "mm/fault/userfault.h"
#include "mm_user.h"
#include "race.h"
#include "unit.h"

#define PAGES  3
#define LENGTH (PAGES * PAGE_SIZE)

static struct host_disk *disk;
static struct mm_struct *mm, *child;
static unsigned long at;
static bool under_pressure; /* the first is reclaim */
static u64 nr_races, nr_nested;

/* ---- operations ------------------------------------------------------------------------------ */

/* They may be refused: the other one moves the pages away, and back. Then nothing was promised. */

static void promised(const char *who, bool accessed)
{
	MUST(!host_tlb_stale_in(mm, at, at + LENGTH, accessed),
	     "%s has returned, and a stale translation is in use", who);
}

static void zap(void)
{
	if (!do_madvise(mm, at, LENGTH, MADV_DONTNEED))
		promised("MADV_DONTNEED", false);
}

static void punch(void)
{
	if (!do_madvise(mm, at, LENGTH, MADV_REMOVE))
		promised("MADV_REMOVE", false);
}

static void guard(void)
{
	if (!do_madvise(mm, at, LENGTH, MADV_GUARD_INSTALL))
		promised("MADV_GUARD_INSTALL", false);
}

static void page_out(void)
{
	do_madvise(mm, at, LENGTH, MADV_PAGEOUT);
	while (host_disk_complete(disk, 100))
		;
}

static void reap(void)
{
	mm_release_early(mm);
	promised("the OOM reaper", false);
}

static void clean(void)
{
	mm_clean_range(mm, at, at + LENGTH);
	promised("cleaning", false);
}

static void clear_soft_dirty(void)
{
	MUST(!mm_clear_refs(mm, CLEAR_REFS_SOFT_DIRTY), "clear_refs");
	promised("clear_refs", false);
}

static void sample(void)
{
	static u64 bitmap[1];

	mm_access_sample(mm, bitmap, 0);
	promised("sampling", true);
}

static void do_fork(void)
{
	struct mm_struct *forked = dup_mm(mm);

	MUST(forked, "fork");
	promised("fork", false);
	if (child)
		mmput(child);
	child = forked;
}

static void protect(void)
{
	if (!do_mprotect(mm, at, LENGTH, PROT_READ))
		promised("mprotect", false);
	do_mprotect(mm, at, LENGTH, RW);
}

/* The old mapping stays, so no munmap flushes for it. */
static void move(void)
{
	const int how = MREMAP_MAYMOVE | MREMAP_FIXED;
	const unsigned long away = at + 64 * MIB;

	if (do_mremap(mm, at, LENGTH, LENGTH, how | MREMAP_DONTUNMAP, away) != (long)away)
		return; /* the other one has it away just now */
	promised("mremap", false);
	do_mremap(mm, away, LENGTH, LENGTH, how, at); /* if the other one has not moved them back */
}

static void write_protect(void)
{
	struct uffd_ctx *ctx = uffd_create(mm, UFFD_ALL_FAULTS);

	MUST(ctx, "userfaultfd");
	if (!uffd_register(ctx, at, at + LENGTH, UFFD_MODE_WP)) {
		if (!uffd_writeprotect(ctx, at, at + LENGTH, UFFD_PROTECT))
			promised("userfaultfd's write protection", false);
		uffd_unregister(ctx, at, at + LENGTH);
	}
	uffd_release(ctx);
}

/* A write after it is kept. It may be lost to a zap that has not returned yet. */
static void free_lazily(void)
{
	if (!do_madvise(mm, at, LENGTH, MADV_FREE) && under_pressure)
		promised("MADV_FREE", false);
}

/* Clears entries without mmap_lock, and flushes them in batches. */
static void pressure(void)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};

	lru_add_drain();
	shrink_node(&node_data[0], &sc);
}

static const struct op {
	const char *name;
	void (*run)(void);
	bool private_only, shared_only;
} ops[] = {
	{"fork", do_fork, true, false},
	{"protect", protect, false, false},
	{"move", move, true, false},
	{"write-protect", write_protect, true, false},
	{"free", free_lazily, true, false},
	{"pressure", pressure, false, false},
	{"zap", zap, false, false},
	{"punch", punch, false, true},
	{"guard", guard, true, false},
	{"page out", page_out, false, false},
	{"reap", reap, false, false},
	{"clean", clean, false, false},
	{"clear soft-dirty", clear_soft_dirty, false, false},
	{"sample", sample, false, false},
};

static void run(void *arg)
{
	((const struct op *)arg)->run();
}

/* ---- races ----------------------------------------------------------------------------------- */

static bool mapped_and_young(void)
{
	pte_t e = pte_read(walk_pte(mm->pgd, at));

	return pte_present(e) && pte_young(e);
}

static bool race(const struct op *first, const struct op *second, int flags, unsigned int when,
		 enum host_race_order order)
{
	const struct host_racer a = {first->name, run, (void *)first},
				b = {second->name, run, (void *)second};
	u64 flushes;
	bool met;

	under_pressure = first->run == pressure;
	mm = mm_alloc();
	at = do_mmap(mm, 0, LENGTH, RW, flags, 0);
	for (unsigned int i = 0; i < PAGES; i++)
		user_put(mm, at + i * PAGE_SIZE, i + 1);
	lru_add_drain();
	/* Reclaim takes A bits and leaves the TLB as it is: what is used through it looks unused. */
	for (int i = 0; under_pressure && i < 8 && mapped_and_young(); i++)
		pressure();
	flushes = host_tlb.mm;
	met = host_race(&a, &b, when, order);
	nr_nested += host_tlb.mm - flushes;
	nr_races++;
	while (host_disk_complete(disk, 100))
		;
	MUST(!mm->tlb_flush_pending, "%u flushes are pending for ever", mm->tlb_flush_pending);
	lru_add_drain_all();
	/* check_all() knows no guards */
	do_madvise(mm, at, LENGTH, MADV_GUARD_REMOVE);
	if (child)
		do_madvise(child, at, LENGTH, MADV_GUARD_REMOVE);
	check_all();
	if (child)
		mmput(child);
	child = NULL;
	mmput(mm);
	return met;
}

static void all_pairs(int flags, bool shared)
{
	const u64 before = nr_races;

	nr_nested = 0;
	for (unsigned int a = 0; a < ARRAY_SIZE(ops); a++)
		for (unsigned int b = 0; b < ARRAY_SIZE(ops); b++) {
			if (shared ? ops[a].private_only || ops[b].private_only
				   : ops[a].shared_only || ops[b].shared_only)
				continue;
			/* See race(): no access is seen while the TLB has the translation. */
			if (ops[a].run == pressure && ops[b].run == sample)
				continue;
			for (unsigned int when = 1; race(&ops[a], &ops[b], flags, when, RACE_EAGER);
			     when++)
				race(&ops[a], &ops[b], flags, when, RACE_LAZY);
		}
	CU_ASSERT(nr_races > before + 49);
	CU_ASSERT(nr_nested > 0);
}

static void private_pages(void)
{
	all_pairs(PRIVATE, false);
}

static void shared_pages(void)
{
	all_pairs(MAP_SHARED | MAP_ANONYMOUS, true);
}

/* One who clears alone flushes what it has cleared and not a page more. */
static void alone_flushes_what_it_cleared(void)
{
	u64 all;

	mm = user_mm_with(8, &at);
	all = host_tlb.mm;
	CU_ASSERT_EQUAL(do_madvise(mm, at, 2 * PAGE_SIZE, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(host_tlb.mm, all);
	CU_ASSERT_EQUAL(host_tlb_entries(mm), 6);
	CU_ASSERT_EQUAL(mm_clean_range(mm, at, at + PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(host_tlb.mm, all);
	CU_ASSERT_EQUAL(mm->tlb_flush_pending, 0);
	mmput(mm);
}

/* ---- reclaim stops half way ---------------------------------------------------------------------- */

static struct mm_struct *keeper, *loser;
static struct page *watched;

/* A page that stays mapped by one process is unlocked at once, before the batch is full: then nobody may have
 * another one's old translation any more (evict.c, I4). Looks at each point of reclaim that is left. */
static void lock_and_look(void *arg)
{
	unsigned long pfn;

	do_mlock(keeper, at, LENGTH, MLOCK_ONFAULT); /* without a copy */
	do {
		const pte_t e = pte_read(walk_pte(loser->pgd, at));

		if (pte_is_swap(e) && !PageLocked(watched))
			MUST(!host_tlb_lookup(loser, at, false, &pfn),
			     "an unlocked page that one process has lost is in use there");
		nr_nested += pte_is_swap(e) && page_mapped(watched);
	} while (host_race_wait("the next point of reclaim"));
}

static void reclaim_stops_half_way(void)
{
	const struct host_racer a = {"pressure", run, NULL}, b = {"mlock", lock_and_look, NULL};

	nr_nested = 0;
	for (int child_keeps = 0; child_keeps < 2; child_keeps++) {
		bool met = true;

		for (unsigned int when = 1; met; when++) {
			struct host_racer pressed = a;

			for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++)
				if (ops[i].run == pressure)
					pressed.arg = (void *)&ops[i];
			mm = user_mm_with(PAGES, &at);
			child = dup_mm(mm);
			keeper = child_keeps ? child : mm;
			loser = child_keeps ? mm : child;
			for (unsigned int i = 0; i < PAGES; i++)
				CU_ASSERT_EQUAL(user_get(child, at + i * PAGE_SIZE),
						user_get(mm, at + i * PAGE_SIZE));
			lru_add_drain();
			watched = pfn_to_page(pte_pfn(pte_read(walk_pte(mm->pgd, at))));
			for (int i = 0; i < 8 && mapped_and_young(); i++)
				pressure();
			met = host_race(&pressed, &b, when, RACE_EAGER);
			nr_races++;
			while (host_disk_complete(disk, 100))
				;
			lru_add_drain_all();
			check_all();
			mmput(child);
			mmput(mm);
		}
	}
	child = NULL;
	CU_ASSERT(nr_nested > 0);
}

/* ---- merging ------------------------------------------------------------------------------------ */

static void merge(void *arg)
{
	ksm_scan(~0ull);
}

static void write_one(void *arg)
{
	user_put(mm, at, 99);
}

static void read_one(void *arg)
{
	user_get(mm, at);
}

/* Returns how often the pages were merged. */
static u64 merge_beside(void (*what)(void *arg), u64 expected)
{
	const struct host_racer a = {"merge", merge, NULL}, b = {"the other CPU", what, NULL};
	u64 merged = 0;
	bool met = true;

	for (unsigned int when = 1; met; when++) {
		mm = user_mm_with(2, &at);
		MUST(!do_madvise(mm, at, 2 * PAGE_SIZE, MADV_MERGEABLE), "MADV_MERGEABLE");
		user_put(mm, at, 7);
		user_put(mm, at + PAGE_SIZE, 7);
		lru_add_drain();
		ksm_scan(~0ull);     /* learns the contents */
		user_put(mm, at, 7); /* through the TLB */
		met = host_race(&a, &b, when, RACE_EAGER);
		nr_races++;
		merged += ksm_read_counts().pages_shared;
		CU_ASSERT_EQUAL(host_tlb_stale(), 0);
		CU_ASSERT_EQUAL(user_get(mm, at), expected);
		CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), 7);
		mmput(mm);
		ksm_scan(1);
	}
	return merged;
}

/* A write that comes while two pages are compared is kept, and is its writer's alone. */
static void write_beside_merge(void)
{
	CU_ASSERT(merge_beside(write_one, 99) > 0);
}

/* The page that is merged away is not freed while it is read. */
static void read_beside_merge(void)
{
	CU_ASSERT(merge_beside(read_one, 7) > 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"alone, one flushes what it has cleared", alone_flushes_what_it_cleared},
		{"two clear private pages", private_pages},
		{"two clear shared pages", shared_pages},
		{"reclaim stops half way", reclaim_stops_half_way},
		{"a write beside a merge is kept", write_beside_merge},
		{"a read beside a merge finds its page", read_beside_merge},
	};
	int status;

	host_race_init();
	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", 64 * MIB);
	host_disk_mkswap(disk);
	MUST(!do_swapon(&disk->bdev, -1), "swapon");
	status = unit_run("race_tlb", cases, ARRAY_SIZE(cases));
	printf("%lu races\n", (unsigned long)nr_races);
	return status;
}
