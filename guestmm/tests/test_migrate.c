/*
 * Migration while programs run: every page that can move is moved, over and over, from a thread on one
 * CPU, while the programs that own the pages use them on the other and check what they find. After each
 * program the host audits all memory.
 */
#include "mm/phys/internal.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/lru.h"
#include "tests/tests.h"

#define TWO_CPUS "memory=14M,high=4M cpus=2 swap=32M"

static bool stop;
static u32 ended;
static u64 passes, taken;

/* One pass over RAM, in batches as compaction takes them. */
static void move_everything(void)
{
	LIST_HEAD(list);
	unsigned int n = 0;

	lru_add_drain_all();
	for (unsigned int r = 0; r < nr_ram_ranges; r++)
		for (pfn_t pfn = ram_range[r].start; pfn < ram_range[r].end; pfn++) {
			struct page *page = pfn_to_page(pfn);

			if (!isolate_movable_page(page))
				continue;
			list_add_tail(&page->lru, &list);
			taken++;
			if (++n % 32)
				continue;
			migrate_pages(&list, alloc_migration_target, NULL, NULL,
				      passes % 2 ? MIGRATE_SYNC : MIGRATE_ASYNC, MR_SYSCALL, NULL);
			putback_movable_pages(&list);
		}
	migrate_pages(&list, alloc_migration_target, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL, NULL);
	putback_movable_pages(&list);
	passes++;
}

static int mover(void *arg)
{
	while (!READ_ONCE(stop)) {
		move_everything();
		sleep_ms(2);
	}
	atomic_add(&ended, 1);
	return 0;
}

static bool mover_gone(void *arg)
{
	return atomic_load(&ended) == 1;
}

/* Run the program while its pages move, `least` of them. */
static void run_moved(struct test *t, const char *path, const char *args, s64 least)
{
	s64 moved = ev(PGMIGRATE_SUCCESS);

	stop = false;
	ended = 0;
	REQUIRE(!kthread_run(mover, NULL, "mover"));
	CHECK_EQ(run_program(path, args), 0);
	WRITE_ONCE(stop, true);
	REQUIRE(wait_until(mover_gone, NULL, 60000));
	CHECK(ev(PGMIGRATE_SUCCESS) - moved >= least);
	memory_settle();
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(migrate, every_page_of_running_programs, MMVM_TESTF_USER | MMVM_TESTF_LAB_ONLY, 300,
	   TWO_CPUS)
{
	run_moved(t, "/bin/swapstress", "--mb 3 --passes 1", 500);
	run_moved(t, "/bin/mapstress", "--ops 1500 --pages 300", 50);
	run_moved(t, "/bin/forktest", "identity", 0);
	CHECK(passes > 3);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
	CHECK_EQ(ev(OOM_KILL), 0);
}

GUEST_TEST(migrate, pages_of_a_program_that_swaps, MMVM_TESTF_USER | MMVM_TESTF_LAB_ONLY, 300,
	   "memory=12M,high=1M cpus=2 swap=32M")
{
	s64 out = ev(PSWPOUT);

	run_moved(t, "/bin/swapstress", "--mb 10 --passes 1", 500);
	CHECK(ev(PSWPOUT) > out);
}

/* Without a second CPU: each page of a test's address space once, and its words are there. */
GUEST_TEST(migrate, contents_and_counts, 0, 0, "memory=16M,high=4M")
{
	struct mm_struct *mm = testmm_create(t);
	const unsigned long n = 64;
	unsigned long a;
	s64 moved = ev(PGMIGRATE_SUCCESS), mapped;
	unsigned int same = 0;
	LIST_HEAD(list);
	pfn_t was[64];
	u64 v;

	REQUIRE(mm);
	a = testmm_map(t, mm, n * PAGE_SIZE);
	for (unsigned long i = 0; i < n; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, word_for(a + i * PAGE_SIZE, 1)), 0);
	lru_add_drain();
	mapped = global_stat(NR_ANON_MAPPED);
	for (unsigned long i = 0; i < n; i++) {
		struct page *page = testmm_page(mm, a + i * PAGE_SIZE);

		was[i] = page_to_pfn(page);
		REQUIRE(isolate_movable_page(page));
		list_add_tail(&page->lru, &list);
	}
	CHECK_EQ(migrate_pages(&list, alloc_migration_target, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL,
			       NULL),
		 0);
	CHECK(list_empty(&list));
	CHECK_EQ(ev(PGMIGRATE_SUCCESS) - moved, n);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), mapped);
	CHECK_EQ(settled_audit(), 0);
	for (unsigned long i = 0; i < n; i++) {
		same += page_to_pfn(testmm_page(mm, a + i * PAGE_SIZE)) == was[i];
		CHECK_EQ(testmm_read(mm, a + i * PAGE_SIZE, &v), 0);
		CHECK_EQ(v, word_for(a + i * PAGE_SIZE, 1));
	}
	CHECK_EQ(same, 0);
	mmput(mm);
}
