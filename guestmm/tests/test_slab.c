/*
 * The slab allocator in the running kernel: sizes, constructors, bulk, growth and shrinking, and
 * the debug flags, which must catch what is planted here.
 */
#include "tests/tests.h"

#define MEM	  "memory=24M,high=4M"
#define MEM_DEBUG "memory=24M,high=4M append=slab_debug=FZPU"

GUEST_TEST(slab, kmalloc_every_size_fits_and_is_apart, 0, 0, MEM)
{
	static const size_t sizes[] = {1,    7,	   8,	 9,    31,   32,   33,	64,
				       65,   96,   97,	 128,  192,  193,  256, 1000,
				       1024, 2048, 4096, 5000, 8192, 20000};
	u8 *p[ARRAY_SIZE(sizes)];

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		p[i] = kmalloc(sizes[i], GFP_KERNEL);
		REQUIRE(p[i]);
		CHECK(ksize(p[i]) >= sizes[i]);
		CHECK_EQ((unsigned long)p[i] & 7, 0);
		memset(p[i], i + 1, sizes[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		CHECK_EQ(p[i][0], i + 1);
		CHECK_EQ(p[i][sizes[i] - 1], i + 1);
		kfree(p[i]);
	}
	CHECK(kmalloc(0, GFP_KERNEL) == ZERO_SIZE_PTR);
	kfree(ZERO_SIZE_PTR);
	kfree(NULL);
}

GUEST_TEST(slab, powers_of_two_are_aligned_to_themselves, 0, 0, MEM)
{
	for (size_t size = 8; size <= 8192; size *= 2) {
		void *a = kmalloc(size, GFP_KERNEL), *b = kmalloc(size, GFP_KERNEL);

		REQUIRE(a && b);
		CHECK_EQ((unsigned long)a & (size - 1), 0);
		CHECK_EQ((unsigned long)b & (size - 1), 0);
		kfree(a);
		kfree(b);
	}
}

GUEST_TEST(slab, large_kmalloc_comes_from_pages, 0, 0, MEM)
{
	u64 before = settled_free_pages();
	void *p = kmalloc(64 * KIB, GFP_KERNEL);

	REQUIRE(p);
	CHECK_EQ(virt_to_page(p)->type, PAGE_KMALLOC);
	CHECK_EQ(virt_to_page(p)->order, 4);
	CHECK_EQ(settled_free_pages(), before - 16);
	kfree(p);
	CHECK_EQ(settled_free_pages(), before);
	CHECK(!kmalloc(64 * MIB, GFP_KERNEL | __GFP_NOWARN));
}

GUEST_TEST(slab, calloc_checks_overflow_and_zeroes, 0, 0, MEM)
{
	u8 *p = kmalloc(512, GFP_KERNEL), sum = 0;

	REQUIRE(p);
	memset(p, 0xff, 512);
	kfree(p);
	p = kcalloc(64, 8, GFP_KERNEL);
	REQUIRE(p);
	for (int i = 0; i < 512; i++)
		sum |= p[i];
	CHECK_EQ(sum, 0);
	kfree(p);
	CHECK(!kcalloc(1ul << 33, 1ul << 33, GFP_KERNEL | __GFP_NOWARN));
}

GUEST_TEST(slab, krealloc_keeps_the_contents, 0, 0, MEM)
{
	u8 *p = kmalloc(40, GFP_KERNEL), *q;

	REQUIRE(p);
	for (int i = 0; i < 40; i++)
		p[i] = i;
	q = krealloc(p, 5000, GFP_KERNEL);
	REQUIRE(q);
	CHECK(q != p);
	for (int i = 0; i < 40; i++)
		CHECK_EQ(q[i], i);
	CHECK(krealloc(q, 4900, GFP_KERNEL) == q);
	kfree(q);
}

static int nr_ctor;
static void counting_ctor(void *obj)
{
	nr_ctor++;
	*(u64 *)obj = 0xc0ffee;
}

GUEST_TEST(slab, constructor_runs_once_an_object, 0, 0, MEM)
{
	struct kmem_cache *c = kmem_cache_create("test_ctor", 128, 8, 0, counting_ctor);
	void *obj[100];
	int after;

	REQUIRE(c);
	for (int i = 0; i < 100; i++) {
		obj[i] = kmem_cache_alloc(c, GFP_KERNEL);
		REQUIRE(obj[i]);
		CHECK_EQ(*(u64 *)obj[i], 0xc0ffee);
	}
	after = nr_ctor;
	CHECK(after >= 100);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++)
			kmem_cache_free(c, obj[i]);
		for (int i = 0; i < 100; i++) {
			obj[i] = kmem_cache_alloc(c, GFP_KERNEL);
			REQUIRE(obj[i]);
			CHECK_EQ(*(u64 *)obj[i], 0xc0ffee); /* free objects keep it */
		}
	}
	CHECK_EQ(nr_ctor, after);
	for (int i = 0; i < 100; i++)
		kmem_cache_free(c, obj[i]);
	CHECK_EQ(kmem_cache_destroy(c), 0);
}

GUEST_TEST(slab, cache_gives_all_pages_back, 0, 0, MEM)
{
	u64 before = settled_free_pages();
	struct kmem_cache *c = kmem_cache_create("test_pages", 200, 8, 0, NULL);
	static void *obj[400];
	u64 low;

	REQUIRE(c);
	CHECK(kmem_cache_size(c) >= 200);
	for (int i = 0; i < 400; i++) {
		obj[i] = kmem_cache_alloc(c, GFP_KERNEL);
		REQUIRE(obj[i]);
	}
	low = settled_free_pages();
	CHECK(low <= before - 400 * 200 / PAGE_SIZE);
	CHECK_EQ(kmem_cache_destroy(c), -EBUSY); /* objects are out */
	for (int i = 0; i < 399; i++)
		kmem_cache_free(c, obj[i]);
	CHECK(kmem_cache_shrink(c) > 0);
	CHECK(settled_free_pages() > low);
	kmem_cache_free(c, obj[399]);
	CHECK_EQ(kmem_cache_destroy(c), 0);
	CHECK(settled_free_pages() + 2 >= before); /* the cache's own object may hold a slab */
}

GUEST_TEST(slab, bulk_is_all_or_nothing, 0, 0, MEM)
{
	struct kmem_cache *c = kmem_cache_create("test_bulk", 2048, 8, 0, NULL);
	static void *obj[64];

	REQUIRE(c);
	CHECK_EQ(kmem_cache_alloc_bulk(c, GFP_KERNEL, 64, obj), 64);
	for (int i = 0; i < 64; i++) {
		for (int j = 0; j < i; j++)
			CHECK(obj[i] != obj[j]);
		*(u64 *)obj[i] = i;
	}
	for (int i = 0; i < 64; i++)
		CHECK_EQ(*(u64 *)obj[i], i);
	kmem_cache_free_bulk(c, 64, obj);
	CHECK_EQ(kmem_cache_destroy(c), 0);
}

GUEST_TEST(slab, bulk_that_cannot_be_leaves_nothing_out, 0, 0, MEM)
{
	const unsigned int n = 4096; /* of 8 KiB each: more than there is */
	struct kmem_cache *c = kmem_cache_create("test_bulk", 8192, 8, 0, NULL);
	void **obj = vmalloc(n * sizeof(*obj));
	u64 before;

	REQUIRE(c && obj);
	before = settled_free_pages();
	CHECK_EQ(kmem_cache_alloc_bulk(c, GFP_NOWAIT, n, obj), 0);
	kmem_cache_shrink(c);
	CHECK(settled_free_pages() + 16 >= before);
	CHECK_EQ(kmem_cache_destroy(c), 0);
	CHECK_EQ(settled_free_pages(), before);
	vfree(obj);
}

#define NR_SLOTS 256
static struct {
	u8 *p;
	size_t size;
	u8 tag;
} slot[NR_SLOTS];

static bool slot_intact(int i)
{
	for (size_t b = 0; b < slot[i].size; b += 61)
		if (slot[i].p[b] != slot[i].tag)
			return false;
	return slot[i].p[slot[i].size - 1] == slot[i].tag;
}

GUEST_TEST(slab, random_objects_keep_their_contents, 0, 0, MEM)
{
	int made = 0;

	for (int op = 0; op < 4000; op++) {
		int i = get_random_u64() % NR_SLOTS;

		if (slot[i].p) {
			CHECK(slot_intact(i));
			kfree(slot[i].p);
			slot[i].p = NULL;
		} else {
			slot[i].size = 1 + get_random_u64() % (op % 16 ? 300 : 9000);
			slot[i].tag = op;
			slot[i].p = kmalloc(slot[i].size, GFP_KERNEL);
			REQUIRE(slot[i].p);
			memset(slot[i].p, slot[i].tag, slot[i].size);
			made++;
		}
	}
	CHECK(made > 1500);
	for (int i = 0; i < NR_SLOTS; i++) {
		if (slot[i].p) {
			CHECK(slot_intact(i));
			kfree(slot[i].p);
		}
	}
}

static unsigned long shrinkable = 1000, nr_scans;
static unsigned long test_count(struct shrinker *s, struct shrink_control *sc)
{
	return shrinkable;
}
static unsigned long test_scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long n = min(sc->nr_to_scan, shrinkable);

	nr_scans++;
	shrinkable -= n;
	return n;
}

GUEST_TEST(slab, shrinkers_are_asked_for_their_share, 0, 0, MEM)
{
	static struct shrinker s = {.count = test_count, .scan = test_scan, .name = "test"};
	s64 scanned = ev(SLABS_SCANNED);

	register_shrinker(&s);
	for (int prio = 12; prio >= 0 && shrinkable; prio--)
		shrink_slab(GFP_KERNEL, prio);
	CHECK_EQ(shrinkable, 0);
	CHECK(nr_scans > 1); /* in portions that grow with the need */
	CHECK(ev(SLABS_SCANNED) - scanned >= 1000);
	unregister_shrinker(&s);
	shrinkable = 10;
	nr_scans = 0;
	shrink_slab(GFP_KERNEL, 0);
	CHECK_EQ(nr_scans, 0);
}

/* What the debug flags must catch. Each of these stops the kernel with a report. */
static u8 *debug_object(struct test *t)
{
	u8 *p = kmalloc(100, GFP_KERNEL);

	if (!p)
		test_fail(t, __FILE__, __LINE__, "no memory");
	return p;
}

GUEST_TEST(slab_debug, clean_use_is_silent, 0, 0, MEM_DEBUG)
{
	u8 *p[50];

	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 50; i++) {
			p[i] = debug_object(t);
			REQUIRE(p[i]);
			memset(p[i], i, 100);
		}
		for (int i = 0; i < 50; i++) {
			CHECK_EQ(p[i][99], i);
			kfree(p[i]);
		}
	}
}

GUEST_TEST(slab_debug, write_behind_the_object_is_caught, MMVM_TESTF_EXPECT_CRASH, 0, MEM_DEBUG)
{
	u8 *p = debug_object(t);

	p[ksize(p)] = 1;
	kfree(p);
	CHECK(!"the red zone was not looked at");
}

GUEST_TEST(slab_debug, use_after_free_is_caught, MMVM_TESTF_EXPECT_CRASH, 0, MEM_DEBUG)
{
	u8 *p = debug_object(t);

	kfree(p);
	p[50] = 1;
	/* Found when the object is handed out again. */
	for (int i = 0; i < 2000; i++)
		debug_object(t);
	CHECK(!"the poison was not looked at");
}

GUEST_TEST(slab_debug, double_free_is_caught, MMVM_TESTF_EXPECT_CRASH, 0, MEM_DEBUG)
{
	u8 *p = debug_object(t), *q = debug_object(t);

	kfree(p);
	kfree(q);
	kfree(p);
	CHECK(!"the second free went through");
}

GUEST_TEST(slab_debug, free_inside_an_object_is_caught, MMVM_TESTF_EXPECT_CRASH, 0, MEM_DEBUG)
{
	kfree(debug_object(t) + 16);
	CHECK(!"the free went through");
}

GUEST_TEST(slab, free_of_a_page_that_is_no_slab_is_caught, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	kfree((void *)(__get_free_pages(GFP_KERNEL, 0) + 64));
	CHECK(!"the free went through");
}
