/*
 * Slab caches, kmalloc and shrinkers: each path through the allocator, proved by the counters of the caches.
 */
#include "check.h"
#include "host.h"
#include "unit.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab_internal.h"

static void hot_path_is_the_sheaf(void)
{
	struct kmem_cache *c = kmem_cache_create("hot", 96, 0, 0, NULL);
	void *a, *b, *many[300];
	u64 refills, flushes;

	a = kmem_cache_alloc(c, GFP_KERNEL);
	CU_ASSERT_EQUAL(c->nr_refills, 1);
	CU_ASSERT_EQUAL(kmem_cache_size(c), 96);
	kmem_cache_free(c, a);
	refills = c->nr_refills;
	flushes = c->nr_flushes;
	for (int i = 0; i < 1000; i++) {
		b = kmem_cache_alloc(c, GFP_ATOMIC);
		CU_ASSERT_PTR_EQUAL(a, b);
		kmem_cache_free(c, b);
	}
	CU_ASSERT_EQUAL(c->nr_refills, refills);
	CU_ASSERT_EQUAL(c->nr_flushes, flushes);
	/* Each trip to the slabs serves half a sheaf. */
	for (int i = 0; i < 300; i++)
		many[i] = kmem_cache_alloc(c, GFP_KERNEL);
	CU_ASSERT(c->nr_refills - refills >= 300 / 16 - 1 && c->nr_refills - refills <= 300 / 10);
	CU_ASSERT_EQUAL(check_slabs(), 0);
	for (int i = 0; i < 300; i++)
		kmem_cache_free(c, many[i]);
	CU_ASSERT(c->nr_flushes - flushes >= 300 / 16 - 2 && c->nr_flushes - flushes <= 300 / 10);
	CU_ASSERT_EQUAL(check_slabs(), 0);
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
}

static int nr_constructed;
static void ctor(void *obj)
{
	nr_constructed++;
	memset(obj, 0x77, 40);
}

static void constructed_once(void)
{
	struct kmem_cache *c = kmem_cache_create("ctor", 40, 0, 0, ctor);
	u8 *a = kmem_cache_alloc(c, GFP_KERNEL);
	int n = nr_constructed;

	CU_ASSERT_EQUAL(n, (int)c->nr_objects);
	CU_ASSERT(a[0] == 0x77 && !memcmp(a, a + 1, 39));
	kmem_cache_free(c, a);
	kmem_cache_shrink(c); /* the free pointer may not have touched it */
	for (int i = 0; i < 10; i++) {
		a = kmem_cache_alloc(c, GFP_KERNEL);
		CU_ASSERT(a[0] == 0x77 && !memcmp(a, a + 1, 39));
		kmem_cache_free(c, a);
	}
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
}

static void alignment(void)
{
	for (unsigned int align = 8; align <= PAGE_SIZE; align *= 2) {
		struct kmem_cache *c = kmem_cache_create("align", 24, align, 0, NULL);
		void *a = kmem_cache_alloc(c, GFP_KERNEL), *b = kmem_cache_alloc(c, GFP_KERNEL);

		CU_ASSERT(IS_ALIGNED((unsigned long)a | (unsigned long)b, align));
		kmem_cache_free(c, a);
		kmem_cache_free(c, b);
		CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
	}
	for (unsigned int size = 10; size < 100; size += 13) {
		struct kmem_cache *c = kmem_cache_create("line", size, 0, SLAB_HWCACHE_ALIGN, NULL);

		CU_ASSERT_EQUAL(c->size % (size <= 16 ? 16 : size <= 32 ? 32 : 64), 0);
		CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
	}
	CU_ASSERT_PTR_NULL(kmem_cache_create("bad", 24, 24, 0, NULL));
	CU_ASSERT_PTR_NULL(kmem_cache_create("bad", 0, 0, 0, NULL));
	CU_ASSERT_PTR_NULL(kmem_cache_create(NULL, 24, 0, 0, NULL));
	CU_ASSERT_PTR_NULL(kmem_cache_create("bad", 64u << 20, 0, 0, NULL));
}

static void orders_waste_little(void)
{
	for (unsigned int size = 8; size <= 8192; size += size < 256 ? 8 : 72) {
		struct kmem_cache *c = kmem_cache_create("order", size, 0, 0, NULL);
		unsigned int n = (PAGE_SIZE << c->order) / c->size;

		CU_ASSERT(c->order <= 3 && n >= 1);
		CU_ASSERT((PAGE_SIZE << c->order) - n * c->size <= (PAGE_SIZE << c->order) / 4);
		CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
	}
}

static void empty_slabs_go_back(void)
{
	struct kmem_cache *c = kmem_cache_create("empty", 1000, 0, SLAB_RECLAIM_ACCOUNT, NULL);
	static void *many[400];
	s64 level = global_stat(NR_SLAB_RECLAIMABLE);
	u64 slabs;

	for (int i = 0; i < 400; i++)
		many[i] = kmem_cache_alloc(c, GFP_KERNEL);
	slabs = c->nr_slabs;
	CU_ASSERT_EQUAL(global_stat(NR_SLAB_RECLAIMABLE) - level, (s64)slabs << c->order);
	CU_ASSERT(slabs >= 25);
	for (int i = 0; i < 400; i++)
		kmem_cache_free(c, many[i]);
	CU_ASSERT(c->nr_slabs <= c->min_partial + 3);
	CU_ASSERT(kmem_cache_shrink(c) > 0);
	CU_ASSERT_EQUAL(c->nr_slabs, 0);
	CU_ASSERT_EQUAL(global_stat(NR_SLAB_RECLAIMABLE), level);
	CU_ASSERT_EQUAL(kmem_cache_shrink(c), 0);
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
}

static void a_cache_in_use_stays(void)
{
	struct kmem_cache *c = kmem_cache_create("busy", 64, 0, 0, NULL);
	void *a = kmem_cache_alloc(c, GFP_KERNEL);

	host_log_clear();
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(host_log(), "slab cache busy: destroyed with objects in use"));
	memset(a, 1, 64);
	kmem_cache_free(c, a);
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
	CU_ASSERT_EQUAL(kmem_cache_destroy(NULL), 0);
}

static void bulk(void)
{
	struct kmem_cache *c = kmem_cache_create("bulk", 200, 0, 0, NULL);
	static void *objs[500];
	LIST_HEAD(list);

	CU_ASSERT_EQUAL(kmem_cache_alloc_bulk(c, GFP_KERNEL | __GFP_ZERO, 500, objs), 500);
	for (int i = 0; i < 500; i++) {
		u8 *p = objs[i];

		CU_ASSERT(!p[0] && !memcmp(p, p + 1, 199));
		memset(p, i, 200);
	}
	for (int i = 0; i < 500; i++)
		CU_ASSERT_EQUAL(*(u8 *)objs[i], (u8)i);
	kmem_cache_free_bulk(c, 500, objs);
	CU_ASSERT_EQUAL(check_slabs(), 0);
	kmem_cache_shrink(c);
	/* All or nothing: the third slab cannot be had. */
	alloc_fail_nth(5);
	CU_ASSERT_EQUAL(kmem_cache_alloc_bulk(c, GFP_KERNEL, 500, objs), 0);
	alloc_fail_nth(0);
	CU_ASSERT_EQUAL(check_slabs(), 0);
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
}

/* Whatever fails, an allocation gives an object or NULL, and loses nothing. */
static void failure_at_each_step(void)
{
	struct kmem_cache *c = kmem_cache_create("fail", 128, 0, 0, NULL);
	unsigned int nulls = 0;

	for (u64 k = 1; k < 6; k++) {
		void *a;

		alloc_fail_nth(k);
		a = kmem_cache_alloc(c, GFP_KERNEL);
		alloc_fail_nth(0);
		if (a)
			kmem_cache_free(c, a);
		else
			nulls++;
		kmem_cache_shrink(c);
		CU_ASSERT_EQUAL(check_slabs(), 0);
	}
	CU_ASSERT(nulls >= 2); /* the object's turn and its slab's */
	alloc_fail_nth(1);
	CU_ASSERT_PTR_NULL(kmem_cache_create("x", 16, 0, 0, NULL));
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
}

/* When no large block can be had, a slab is made of what there is. */
static void small_slabs_when_memory_is_in_pieces(void)
{
	struct kmem_cache *c = kmem_cache_create("pieces", 1024, 0, 0, NULL);
	static struct page *keep[8000];
	unsigned int n = 0;
	void *a;

	CU_ASSERT(c->order > c->min_order);
	/* Take everything, give every second page back: nothing can merge. */
	drain_all_pages();
	while (n < ARRAY_SIZE(keep)) {
		struct page *p = alloc_pages(GFP_NOWAIT | __GFP_MEMALLOC, 1);

		if (!p)
			break;
		split_page(p, 1);
		keep[n++] = p;
	}
	for (unsigned int i = 0; i < n; i++)
		__free_page(keep[i] + 1);
	drain_all_pages();
	a = kmem_cache_alloc(c, GFP_NOWAIT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_EQUAL(virt_to_page(a)->order, 0);
	CU_ASSERT_EQUAL(slab_of(a)->objects, 4);
	CU_ASSERT_EQUAL(check_slabs(), 0);
	kmem_cache_free(c, a);
	while (n--)
		__free_pages(keep[n], keep[n]->order);
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* ---- kmalloc ---- */

static void kmalloc_sizes(void)
{
	static const unsigned int sizes[] = {8,	  16,  32,   64,   96,	 128, 192,
					     256, 512, 1024, 2048, 4096, 8192};
	unsigned int k = 0;

	for (size_t size = 1; size <= 8192; size++) {
		u8 *p = kmalloc(size, GFP_KERNEL);

		if (size > sizes[k])
			k++;
		if (ksize(p) != sizes[k]) {
			CU_FAIL("wrong size class");
			break;
		}
		if (!(sizes[k] & (sizes[k] - 1)))
			CU_ASSERT(IS_ALIGNED((unsigned long)p, min(sizes[k], 4096u)));
		memset(p, 0xff, size);
		kfree(p);
	}
	CU_ASSERT_PTR_EQUAL(kmalloc(0, GFP_KERNEL), ZERO_SIZE_PTR);
	kfree(ZERO_SIZE_PTR);
	kfree(NULL);
	CU_ASSERT_EQUAL(ksize(NULL), 0);
	CU_ASSERT_EQUAL(ksize(ZERO_SIZE_PTR), 0);
}

static void kmalloc_large(void)
{
	u8 *p = kmalloc(8193, GFP_KERNEL), *q;

	CU_ASSERT_EQUAL(ksize(p), 16384);
	CU_ASSERT_EQUAL(virt_to_page(p)->type, PAGE_KMALLOC);
	memset(p, 0x11, 16384);
	q = krealloc(p, 16384, GFP_KERNEL);
	CU_ASSERT_PTR_EQUAL(p, q);
	q = krealloc(p, 16385, GFP_KERNEL);
	CU_ASSERT(q[0] == 0x11 && !memcmp(q, q + 1, 16383));
	CU_ASSERT_EQUAL(count_frames(PAGE_KMALLOC), 8);
	kfree(q);
	CU_ASSERT_EQUAL(count_frames(PAGE_KMALLOC), 0);
	CU_ASSERT_PTR_NULL(kmalloc(5u << 20, GFP_KERNEL));
	CU_ASSERT_PTR_NULL(kmalloc(~0ul, GFP_KERNEL));
	/* DMA memory of any size is below 16 MiB. */
	p = kmalloc(100, GFP_KERNEL | __GFP_DMA);
	CU_ASSERT(__pa(p) < 16u << 20);
	kfree(p);
}

static void zeroed_and_counted(void)
{
	u8 *p = kmalloc(192, GFP_KERNEL);

	memset(p, 0xff, 192);
	kfree(p);
	p = kzalloc(192, GFP_KERNEL);
	CU_ASSERT(!p[0] && !memcmp(p, p + 1, 191));
	kfree(p);
	p = kcalloc(3, 50, GFP_KERNEL);
	CU_ASSERT(ksize(p) >= 150 && !p[149]);
	kfree(p);
	CU_ASSERT_PTR_NULL(kcalloc(1ul << 33, 1ul << 33, GFP_KERNEL));
	CU_ASSERT_PTR_EQUAL(kcalloc(0, 8, GFP_KERNEL), ZERO_SIZE_PTR);
}

static void krealloc_rules(void)
{
	u8 *p = krealloc(NULL, 10, GFP_KERNEL), *q;

	memcpy(p, "123456789", 10);
	CU_ASSERT_PTR_EQUAL(krealloc(p, 16, GFP_KERNEL), p);
	q = krealloc(p, 1000, GFP_KERNEL);
	CU_ASSERT_STRING_EQUAL((char *)q, "123456789");
	alloc_fail_nth(1);
	CU_ASSERT_PTR_NULL(krealloc(q, 3000, GFP_KERNEL));
	CU_ASSERT_STRING_EQUAL((char *)q, "123456789"); /* the old one is still ours */
	CU_ASSERT_PTR_EQUAL(krealloc(q, 0, GFP_KERNEL), ZERO_SIZE_PTR);
	CU_ASSERT_PTR_NOT_NULL(p = krealloc(ZERO_SIZE_PTR, 5, GFP_KERNEL));
	kfree(p);
}

/* ---- shrinkers ---- */

static unsigned long objects, asked, calls;
static unsigned long count_objects(struct shrinker *s, struct shrink_control *sc)
{
	return objects;
}
static unsigned long scan_objects(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long n = min(sc->nr_to_scan, objects);

	calls++;
	asked += sc->nr_to_scan;
	objects -= n;
	return n;
}

static void shrinkers(void)
{
	struct shrinker s = {.count = count_objects, .scan = scan_objects, .name = "test"};
	u64 scanned = sum_vm_event(SLABS_SCANNED);

	register_shrinker(&s);
	objects = 10000;
	CU_ASSERT_EQUAL(shrink_slab(GFP_NOFS, 0), 0); /* may hold the shrinker's locks */
	/* Two 16ths are 1250: nine batches of 128 now, the rest with the next call. */
	CU_ASSERT_EQUAL(shrink_slab(GFP_KERNEL, 4), 1152);
	CU_ASSERT_EQUAL(s.deferred, 98);
	CU_ASSERT_EQUAL(sum_vm_event(SLABS_SCANNED) - scanned, 1152);
	CU_ASSERT_EQUAL(objects, 10000 - 1152);
	/* Small shares add up until they are worth a call. */
	objects = 100;
	s.deferred = 0;
	calls = 0;
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(shrink_slab(GFP_KERNEL, 2), 0);
	CU_ASSERT_EQUAL(calls, 0);
	CU_ASSERT_EQUAL(shrink_slab(GFP_KERNEL, 2), 100);
	CU_ASSERT_EQUAL(calls, 1);
	/* Desperate: all of it. */
	objects = 1000;
	CU_ASSERT_EQUAL(shrink_slab(GFP_KERNEL, 0), 1000);
	CU_ASSERT_EQUAL(objects, 0);
	CU_ASSERT_EQUAL(shrink_slab(GFP_KERNEL, 0), 0);
	unregister_shrinker(&s);
	objects = 5000;
	CU_ASSERT_EQUAL(shrink_slab(GFP_KERNEL, 0), 0);
}

/* ---- misuse ---- */

static void wrong_cache(void *arg)
{
	struct kmem_cache *a = kmem_cache_create("a", 64, 0, 0, NULL);
	struct kmem_cache *b = kmem_cache_create("b", 64, 0, 0, NULL);

	kmem_cache_free(b, kmem_cache_alloc(a, GFP_KERNEL));
	kmem_cache_shrink(b);
}
static void free_twice(void *arg)
{
	void *a = kmalloc(64, GFP_KERNEL);

	kfree(a);
	kmem_cache_shrink(virt_to_page(a)->mapping);
	kfree(a);
	kmem_cache_shrink(virt_to_page(a)->mapping);
}
static void free_page_memory(void *arg)
{
	kfree((void *)__get_free_pages(GFP_KERNEL, 0));
}
static void free_inside_large(void *arg)
{
	kfree((char *)kmalloc(20000, GFP_KERNEL) + PAGE_SIZE);
}
static void must_have(void *arg)
{
	kmem_cache_create("impossible", 0, 0, SLAB_PANIC, NULL);
}

static void misuse_is_named(void)
{
	CU_ASSERT(host_panics(wrong_cache, NULL, "cache that it is not from"));
	CU_ASSERT(host_panics(free_twice, NULL, "bad page"));
	CU_ASSERT(host_panics(free_page_memory, NULL, "kfree of what kmalloc did not give"));
	CU_ASSERT(host_panics(free_inside_large, NULL, "kfree of what kmalloc did not give"));
	CU_ASSERT(host_panics(must_have, NULL, "cannot create slab cache impossible"));
	CU_ASSERT_EQUAL(check_slabs(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"hot path is the sheaf", hot_path_is_the_sheaf},
		{"constructed once", constructed_once},
		{"alignment", alignment},
		{"orders waste little", orders_waste_little},
		{"empty slabs go back", empty_slabs_go_back},
		{"a cache in use stays", a_cache_in_use_stays},
		{"bulk", bulk},
		{"failure at each step", failure_at_each_step},
		{"small slabs when memory is in pieces", small_slabs_when_memory_is_in_pieces},
		{"kmalloc sizes", kmalloc_sizes},
		{"kmalloc large", kmalloc_large},
		{"zeroed and counted", zeroed_and_counted},
		{"krealloc", krealloc_rules},
		{"shrinkers", shrinkers},
		{"misuse is named", misuse_is_named},
	};

	host_boot_default("");
	return unit_run("slab", cases, ARRAY_SIZE(cases));
}
