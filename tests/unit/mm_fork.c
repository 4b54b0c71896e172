/*
 * Copies of address spaces: what is shared, who may write, what a write copies, that nothing is left over
 * when a copy fails at any of its allocations, and that the reverse map finds every relative. The last case
 * plays a random family against plain arrays, under memory pressure with swap.
 */
#include "mm_user.h"
#include "unit.h"

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

static void pages_are_shared_until_written(void)
{
	u64 cow = event(MMVM_FAULT_COW), reuse = event(PGREUSE), flushes = host_tlb.mm;
	unsigned long at;
	struct mm_struct *mm = user_mm_with(8, &at), *child;

	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT_EQUAL(host_tlb.mm - flushes, 1); /* the parent may have cached the right */
	check_all();
	for (int i = 0; i < 8; i++) {
		CU_ASSERT_PTR_EQUAL(page_at(mm, at + i * PAGE_SIZE),
				    page_at(child, at + i * PAGE_SIZE));
		CU_ASSERT_EQUAL(page_mapcount(page_at(mm, at + i * PAGE_SIZE)), 2);
		CU_ASSERT_EQUAL(user_get(child, at + i * PAGE_SIZE), i + 1);
	}
	CU_ASSERT_EQUAL(event(MMVM_FAULT_COW), cow);

	user_put(child, at, 100); /* the first to write copies */
	CU_ASSERT_EQUAL(event(MMVM_FAULT_COW), cow + 1);
	CU_ASSERT_PTR_NOT_EQUAL(page_at(mm, at), page_at(child, at));
	CU_ASSERT_EQUAL(user_get(mm, at), 1);
	user_put(mm, at, 200); /* the other is the only owner then */
	CU_ASSERT_EQUAL(event(PGREUSE), reuse + 1);
	CU_ASSERT_EQUAL(event(MMVM_FAULT_COW), cow + 1);
	CU_ASSERT_EQUAL(user_get(child, at), 100);

	user_put(mm, at + PAGE_SIZE, 201);
	CU_ASSERT_EQUAL(user_get(child, at + PAGE_SIZE), 2);
	check_all();
	mmput(mm); /* now the child is the only owner of all */
	check_all();
	reuse = event(PGREUSE);
	cow = event(MMVM_FAULT_COW);
	for (int i = 1; i < 8; i++)
		user_put(child, at + i * PAGE_SIZE, 300 + i);
	CU_ASSERT_EQUAL(event(PGREUSE), reuse + 7);
	CU_ASSERT_EQUAL(event(MMVM_FAULT_COW), cow);
	check_all();
	mmput(child);
	check_all();
}

static void layout_and_charges_follow(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(4, &at), *child;
	long ro = do_mmap(mm, 0, 4 * PAGE_SIZE, PROT_READ, PRIVATE, 0);
	long locked = do_mmap(mm, 0, 2 * PAGE_SIZE, RW, PRIVATE | MAP_LOCKED, 0);
	u64 promised = vm_committed();

	user_get(mm, ro); /* the zero page */
	CU_ASSERT(locked > 0);
	CU_ASSERT_EQUAL(mm->locked_vm, 2);
	do_mprotect(mm, at + PAGE_SIZE, PAGE_SIZE, PROT_NONE);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	check_all();
	CU_ASSERT_EQUAL(child->map_count, mm->map_count);
	CU_ASSERT_EQUAL(child->total_vm, mm->total_vm);
	CU_ASSERT_EQUAL(child->locked_vm, 0); /* fork(2): locks are not inherited */
	CU_ASSERT_EQUAL(vm_committed(), promised + mm->committed);
	CU_ASSERT_EQUAL(user_get(child, ro), 0);
	CU_ASSERT_EQUAL(user_write(child, at + PAGE_SIZE, 1), VM_FAULT_SIGSEGV_ACCERR);
	do_mprotect(child, at + PAGE_SIZE, PAGE_SIZE, RW);
	user_put(child, at + PAGE_SIZE, 77);
	do_mprotect(mm, at + PAGE_SIZE, PAGE_SIZE, RW);
	CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), 2);
	check_all();
	mmput(mm);
	mmput(child);
	check_all();
}

static void overcommit_refuses_a_copy(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long free;

	CU_ASSERT(do_mmap(mm, 0, 30 * MIB, RW, PRIVATE, 0) > 0);
	free = nr_free_pages();
	sysctl_overcommit_memory = 2;
	sysctl_overcommit_ratio = 80;
	CU_ASSERT(vm_commit_limit() << PAGE_SHIFT < 200 * MIB);
	while (vm_committed() + (30 * MIB >> PAGE_SHIFT) <= vm_commit_limit())
		MUST(do_mmap(mm, 0, 30 * MIB, RW, PRIVATE, 0) > 0, "mapping within the limit");
	CU_ASSERT_PTR_NULL(dup_mm(mm));
	check_all();
	sysctl_overcommit_memory = 0;
	sysctl_overcommit_ratio = 50;
	CU_ASSERT(nr_free_pages() + 8 >= free);
	mmput(mm);
	check_all();
}

static void failure_at_every_allocation(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(40, &at), *child;
	u64 before;
	int k;

	for (int i = 4; i < 40; i += 8) /* several VMAs */
		do_mprotect(mm, at + i * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ);
	child = dup_mm(mm);
	mmput(child);
	before = vm_committed();
	for (k = 1; k < 200; k++) {
		u64 failed = alloc_fail_count();

		drain_all_pages();
		alloc_fail_nth(k);
		child = dup_mm(mm);
		alloc_fail_nth(0);
		if (alloc_fail_count() == failed)
			break;
		CU_ASSERT_EQUAL(vm_committed(), child ? 2 * before : before);
		check_all();
		if (child)
			mmput(child);
		for (int i = 0; i < 40; i++)
			MUST(user_get(mm, at + i * PAGE_SIZE) == (u64)i + 1, "page %d", i);
	}
	CU_ASSERT(k > 4 && k < 200);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	mmput(child);
	mmput(mm);
	check_all();
}

static void reclaim(unsigned long nr)
{
	struct scan_control sc = {.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = nr};

	lru_add_drain();
	shrink_node(&node_data[0], &sc);
	while (host_disk_complete(disk, 100))
		;
}

static void shared_pages_are_swapped_once(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(64, &at), *child = dup_mm(mm), *third;
	u64 out = event(PSWPOUT);

	for (int i = 0; i < 40 && (mm->rss_anon || child->rss_anon); i++)
		reclaim(~0ul);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	CU_ASSERT_EQUAL(child->rss_anon, 0);
	CU_ASSERT_EQUAL(event(PSWPOUT) - out, 64); /* not once for each */
	check_all();
	third = dup_mm(child); /* swap entries are shared likewise */
	CU_ASSERT_PTR_NOT_NULL_FATAL(third);
	CU_ASSERT_EQUAL(third->rss_swap, 64);
	check_all();
	for (int i = 0; i < 64; i++) {
		user_put(third, at + i * PAGE_SIZE, 1000 + i);
		MUST(user_get(mm, at + i * PAGE_SIZE) == (u64)i + 1, "parent's page %d", i);
		MUST(user_get(child, at + i * PAGE_SIZE) == (u64)i + 1, "child's page %d", i);
		MUST(user_get(third, at + i * PAGE_SIZE) == 1000 + (u64)i, "third page %d", i);
	}
	check_all();
	mmput(child);
	mmput(mm);
	for (int i = 0; i < 64; i++)
		MUST(user_get(third, at + i * PAGE_SIZE) == 1000 + (u64)i, "third page %d", i);
	mmput(third);
	check_all();
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
}

/* A slot's byte counts 62 users: the copies after that share the page instead. */
static void more_relatives_than_a_slot_counts(void)
{
	static struct mm_struct *child[SWAP_MAP_MAX + 8];
	unsigned long at;
	struct mm_struct *mm = user_mm_with(4, &at);

	for (int i = 0; i < 40 && mm->rss_anon; i++)
		reclaim(~0ul);
	for (unsigned int i = 0; i < ARRAY_SIZE(child); i++) {
		child[i] = dup_mm(mm);
		CU_ASSERT_PTR_NOT_NULL_FATAL(child[i]);
	}
	check_all();
	for (unsigned int i = 0; i < ARRAY_SIZE(child); i++) {
		MUST(user_get(child[i], at) == 1, "child %u", i);
		user_put(child[i], at, i);
	}
	check_all();
	for (unsigned int i = 0; i < ARRAY_SIZE(child); i++) {
		MUST(user_get(child[i], at) == i, "child %u", i);
		mmput(child[i]);
	}
	MUST(user_get(mm, at) == 1, "parent");
	mmput(mm);
	check_all();
}

static unsigned int chains(const struct vm_area_struct *vma)
{
	const struct anon_vma_chain *c;
	unsigned int n = 0;

	list_for_each_entry (c, &vma->anon_vma_chain, same_vma)
		n++;
	return n;
}

/* Each generation forks the next and ends: neither chains nor anon_vmas pile up. */
static void a_line_of_forks_stays_short(void)
{
	unsigned long at;
	struct mm_struct *mm = user_mm_with(2, &at);

	for (u64 i = 0; i < 300; i++) {
		struct mm_struct *child = dup_mm(mm);

		CU_ASSERT_PTR_NOT_NULL_FATAL(child);
		user_put(child, at, i);
		mmput(mm);
		mm = child;
		MUST(chains(find_vma(mm, at)) <= 4, "%u chains after %lu forks",
		     chains(find_vma(mm, at)), (long)i);
		MUST(user_get(mm, at) == i && user_get(mm, at + PAGE_SIZE) == 2, "generation %lu",
		     (long)i);
	}
	check_all();
	/* All of it is still found from the page. */
	for (int i = 0; i < 40 && mm->rss_anon; i++)
		reclaim(~0ul);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	MUST(user_get(mm, at) == 299 && user_get(mm, at + PAGE_SIZE) == 2, "after swap");
	mmput(mm);
	check_all();
}

static bool count_visit(struct page *page, struct vm_area_struct *vma, unsigned long addr,
			void *arg)
{
	++*(unsigned int *)arg;
	return true;
}

/* A page that only a child has is looked for in the child alone, however many relatives live. */
static void cost_is_that_of_the_sharers(void)
{
	struct mm_struct *child[20];
	unsigned int visits = 0;
	unsigned long at;
	struct mm_struct *mm = user_mm_with(4, &at);

	for (unsigned int i = 0; i < ARRAY_SIZE(child); i++)
		child[i] = dup_mm(mm);
	user_put(child[7], at, 7);
	rmap_walk_anon(page_at(child[7], at), count_visit, &visits);
	CU_ASSERT_EQUAL(visits, 1);
	visits = 0;
	rmap_walk_anon(page_at(mm, at + PAGE_SIZE), count_visit, &visits);
	CU_ASSERT_EQUAL(visits, 21);
	for (unsigned int i = 0; i < ARRAY_SIZE(child); i++)
		mmput(child[i]);
	mmput(mm);
	check_all();
}

/* ---- a random family ------------------------------------------------------------------------- */

#define FAMILY	  6
#define MAX_PAGES 3000ul
static struct mm_struct *member[FAMILY];
static u64 model[FAMILY][MAX_PAGES];

static u64 random_below(u64 n)
{
	host_random ^= host_random << 13;
	host_random ^= host_random >> 7;
	host_random ^= host_random << 17;
	return host_random % n;
}

static void random_family(void)
{
	unsigned long at;

	host_random = 88172645463325252ull;
	member[0] = mm_alloc();
	at = do_mmap(member[0], 0, MAX_PAGES << PAGE_SHIFT, RW, PRIVATE, 0);
	for (int step = 0; step < 60000; step++) {
		unsigned int who = random_below(FAMILY);
		struct mm_struct *mm = member[who];
		unsigned long i = random_below(MAX_PAGES), addr = at + i * PAGE_SIZE;

		if (!mm)
			continue;
		switch (random_below(1000)) {
		case 0: { /* fork into a free place */
			unsigned int to = random_below(FAMILY);

			if (member[to])
				break;
			member[to] = dup_mm(mm);
			MUST(member[to], "fork at step %d", step);
			memcpy(model[to], model[who], sizeof(model[to]));
			break;
		}
		case 1: { /* die, unless alone */
			unsigned int alive = 0;

			for (int k = 0; k < FAMILY; k++)
				alive += member[k] != NULL;
			if (alive > 1) {
				mmput(mm);
				member[who] = NULL;
			}
			break;
		}
		case 2: /* drop some pages */
			do_madvise(mm, addr, min(MAX_PAGES - i, 40ul) << PAGE_SHIFT, MADV_DONTNEED);
			memset(&model[who][i], 0, min(MAX_PAGES - i, 40ul) * sizeof(u64));
			break;
		case 3:
			reclaim(random_below(600));
			break;
		default:
			if (random_below(2)) {
				user_put(mm, addr, step);
				model[who][i] = step;
			} else {
				MUST(user_get(mm, addr) == model[who][i], "step %d: page %lu of %u",
				     step, i, who);
			}
		}
		if (step % 5000 == 0)
			check_all();
	}
	for (int k = 0; k < FAMILY; k++) {
		for (unsigned long i = 0; member[k] && i < MAX_PAGES; i++)
			MUST(user_get(member[k], at + i * PAGE_SIZE) == model[k][i],
			     "end: %lu of %d", i, k);
	}
	check_all();
	for (int k = 0; k < FAMILY; k++) {
		if (member[k])
			mmput(member[k]);
		member[k] = NULL;
	}
	check_all();
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	CU_ASSERT(event(PSWPIN) > 100);
	CU_ASSERT(event(MMVM_FAULT_COW) > 1000);
	CU_ASSERT(event(PGREUSE) > 100);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"pages are shared until written", pages_are_shared_until_written},
		{"layout and charges follow", layout_and_charges_follow},
		{"overcommit refuses a copy", overcommit_refuses_a_copy},
		{"failure at every allocation", failure_at_every_allocation},
		{"shared pages are swapped once", shared_pages_are_swapped_once},
		{"more relatives than a slot counts", more_relatives_than_a_slot_counts},
		{"a line of forks stays short", a_line_of_forks_stays_short},
		{"cost is that of the sharers", cost_is_that_of_the_sharers},
		{"a random family", random_family},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", 128 * MIB);
	host_disk_mkswap(disk);
	MUST(!do_swapon(&disk->bdev, -1), "swapon");
	return unit_run("fork", cases, ARRAY_SIZE(cases));
}
