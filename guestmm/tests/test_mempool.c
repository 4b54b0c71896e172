/*
 * Memory pools in the running kernel: when the allocator has nothing the reserve serves, then who may not
 * sleep gets NULL, and a thread that may sleeps until an element comes back.
 */
#include "mm/slab/mempool.h"
#include "tests/tests.h"

#define MEM	"memory=24M,high=4M"
#define RESERVE 4u

static struct mempool *pool;
static bool no_memory; /* what the allocator below the pool says */
static void *got_by_waiter;
static bool waiter_done;

static void *alloc_unless_empty(gfp_t gfp, void *order)
{
	return READ_ONCE(no_memory) ? NULL : mempool_alloc_pages(gfp, order);
}

static int waiter(void *arg)
{
	got_by_waiter = mempool_alloc(pool, GFP_NOIO);
	WRITE_ONCE(waiter_done, true);
	return 0;
}

static bool is_done(void *arg)
{
	return READ_ONCE(waiter_done);
}

GUEST_TEST(mempool, reserve_then_null_then_wait, 0, 0, MEM)
{
	u64 before = settled_free_pages();
	void *plenty, *element[RESERVE];

	no_memory = waiter_done = false;
	pool = mempool_create(RESERVE, alloc_unless_empty, mempool_free_pages, (void *)0ul);
	REQUIRE(pool);
	CHECK_EQ(pool->curr_nr, RESERVE);
	plenty = mempool_alloc(pool, GFP_KERNEL);
	CHECK(plenty != NULL);
	CHECK_EQ(pool->nr_from_reserve, 0); /* the allocator had some */

	no_memory = true;
	for (unsigned int i = 0; i < RESERVE; i++) {
		element[i] = mempool_alloc(pool, GFP_ATOMIC);
		REQUIRE(element[i]);
		memset(page_address(element[i]), (int)i + 1, PAGE_SIZE);
		CHECK_EQ(pool->curr_nr, RESERVE - 1 - i);
	}
	CHECK_EQ(pool->nr_from_reserve, RESERVE);
	CHECK(!mempool_alloc(pool, GFP_ATOMIC)); /* may not wait */

	CHECK_EQ(kthread_run(waiter, NULL, "sleeper"), 0);
	CHECK(!wait_until(is_done, NULL, 50)); /* there is nothing to give */
	CHECK_EQ(*(u8 *)page_address(element[2]), 3);
	mempool_free(pool, element[2]);
	CHECK(wait_until(is_done, NULL, 10000));
	CHECK(got_by_waiter == element[2]); /* what came back */

	no_memory = false;
	element[2] = got_by_waiter;
	for (unsigned int i = 0; i < RESERVE; i++) {
		mempool_free(pool, element[i]); /* the reserve is filled first */
		CHECK_EQ(pool->curr_nr, i + 1);
	}
	mempool_free(pool, plenty); /* it is full: to the allocator */
	CHECK_EQ(pool->curr_nr, RESERVE);
	mempool_destroy(pool);
	memory_settle();			   /* the thread's stack */
	CHECK(settled_free_pages() + 4 >= before); /* a slab of its structures may stay */
}
