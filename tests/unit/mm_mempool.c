/*
 * Memory pools: the reserve serves when the allocator fails, a freed element refills the reserve first, and
 * a sleeper gets the element that comes back.
 */
#include "unit.h"
#include "host.h"
#include "lib/errno.h"
#include "mm/phys/alloc.h"
#include "mm/slab/mempool.h"

static char storage[16][64];
static unsigned int next_free, allocs, frees;
static bool refuse;

static void *fake_alloc(gfp_t gfp, void *data)
{
	allocs++;
	return refuse || next_free == ARRAY_SIZE(storage) ? NULL : storage[next_free++];
}

static void fake_free(void *element, void *data)
{
	frees++;
}

static struct mempool *fake_pool(unsigned int min_nr)
{
	next_free = 0;
	allocs = 0;
	frees = 0;
	refuse = false;
	return mempool_create(min_nr, fake_alloc, fake_free, NULL);
}

static void reserve_serves(void)
{
	struct mempool *p = fake_pool(3);
	void *e[4];
	int i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->curr_nr, 3);
	CU_ASSERT_EQUAL(allocs, 3);
	e[3] = mempool_alloc(p, GFP_ATOMIC);
	CU_ASSERT_PTR_NOT_NULL(e[3]);
	CU_ASSERT_EQUAL(p->nr_from_reserve, 0); /* the allocator first */
	refuse = true;
	for (i = 0; i < 3; i++)
		CU_ASSERT_PTR_NOT_NULL((e[i] = mempool_alloc(p, GFP_ATOMIC)));
	CU_ASSERT_EQUAL(p->nr_from_reserve, 3);
	CU_ASSERT_PTR_NULL(mempool_alloc(p, GFP_ATOMIC)); /* dry, and may not sleep */
	for (i = 0; i < 3; i++)
		mempool_free(p, e[i]);
	CU_ASSERT_EQUAL(frees, 0); /* the reserve is filled first */
	mempool_free(p, e[3]);
	CU_ASSERT_EQUAL(frees, 1);
	mempool_free(p, NULL);
	mempool_destroy(p);
	CU_ASSERT_EQUAL(frees, 4);
}

static struct mempool *sleeper_pool;
static void *sleeper_element;

static bool give_back(void)
{
	if (!sleeper_element)
		return false;
	mempool_free(sleeper_pool, sleeper_element);
	sleeper_element = NULL;
	return true;
}

static void sleeper_gets_it(void)
{
	void *e;

	sleeper_pool = fake_pool(1);
	refuse = true;
	sleeper_element = mempool_alloc(sleeper_pool, GFP_ATOMIC);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sleeper_element);
	host_idle_hook = give_back;
	e = mempool_alloc(sleeper_pool, GFP_KERNEL);
	host_idle_hook = NULL;
	CU_ASSERT_PTR_NOT_NULL(e);
	CU_ASSERT_PTR_NULL(sleeper_element); /* it came through the wait */
	mempool_free(sleeper_pool, e);
	mempool_destroy(sleeper_pool);
}

static void half_made_pool_is_undone(void)
{
	struct mempool *p;

	next_free = ARRAY_SIZE(storage) - 2;
	frees = 0;
	refuse = false;
	p = mempool_create(4, fake_alloc, fake_free, NULL);
	CU_ASSERT_PTR_NULL(p);
	CU_ASSERT_EQUAL(frees, 2);
}

static void destroy_short(void *arg)
{
	mempool_destroy(arg);
}

static void missing_element_is_found(void)
{
	struct mempool *p = fake_pool(1);
	void *e;

	refuse = true;
	e = mempool_alloc(p, GFP_ATOMIC);
	CU_ASSERT_TRUE(host_panics(destroy_short, p, "min_nr"));
	mempool_free(p, e);
	mempool_destroy(p);
}

static void over_pages_and_slab(void)
{
	struct kmem_cache *c = kmem_cache_create("pooled", 120, 0, 0, NULL);
	struct mempool *slab = mempool_create(2, mempool_alloc_slab, mempool_free_slab, c);
	struct mempool *pages =
		mempool_create(2, mempool_alloc_pages, mempool_free_pages, (void *)1ul);
	struct page *page;
	void *obj;

	CU_ASSERT_PTR_NOT_NULL_FATAL(slab);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pages);
	alloc_fail_nth(1);
	page = mempool_alloc(pages, GFP_ATOMIC);
	CU_ASSERT_EQUAL(pages->nr_from_reserve, 1); /* the failed allocation is made good */
	CU_ASSERT_PTR_NOT_NULL_FATAL(page);
	CU_ASSERT_EQUAL(page->order, 1);
	alloc_fail_nth(0);
	obj = mempool_alloc(slab, GFP_KERNEL);
	CU_ASSERT_PTR_NOT_NULL(obj);
	mempool_free(slab, obj);
	mempool_free(pages, page);
	mempool_destroy(slab);
	mempool_destroy(pages);
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"the reserve serves, and is topped up first", reserve_serves},
		{"a sleeper gets the element that comes back", sleeper_gets_it},
		{"a pool that cannot be filled is undone", half_made_pool_is_undone},
		{"a pool destroyed with an element out panics", missing_element_is_found},
		{"over page blocks and a slab cache", over_pages_and_slab},
	};

	host_boot_default("");
	return unit_run("mempool", cases, sizeof(cases) / sizeof(cases[0]));
}
