/*
 * Operations for `mmvm profile`, those that are called inside the kernel. Each is a test of its
 * own, so that one can be run alone; the VMM single-steps between the two marks and counts what
 * lies inside the operation's function (MMVM_REC_PROFILE).
 *
 * Warmed first: what is profiled is the steady state. Repeated, so that the VMM can say whether it
 * always costs the same.
 */
#include "kernel/task.h"
#include "tests/prof.h"

#define WARM 4
#define REPS 5

static struct kmem_cache *cache;
static u32 failed;

void profile_kernel(struct test *t, const char *name, void (*fn)(void))
{
	/* volatile: the function is to be called, at the address that the VMM gets */
	void (*volatile once)(void) = fn;

	failed = 0;
	for (int i = 0; i < WARM; i++)
		once();
	for (int i = 0; i < REPS; i++) {
		testchan_record(MMVM_REC_PROFILE, name, 1, (u64)fn, NULL);
		once();
		testchan_record(MMVM_REC_PROFILE, name, 0, 0, NULL);
	}
	CHECK_EQ(failed, 0);
}

static void op_page_0(void)
{
	struct page *p = alloc_pages(GFP_KERNEL, 0);

	if (p)
		__free_pages(p, 0);
	else
		failed++;
}

static void op_page_9(void)
{
	struct page *p = alloc_pages(GFP_KERNEL | __GFP_NOWARN, 9);

	if (p)
		__free_pages(p, 9);
	else
		failed++;
}

static void op_slab_96(void)
{
	void *p = kmem_cache_alloc(cache, GFP_KERNEL);

	if (p)
		kmem_cache_free(cache, p);
	else
		failed++;
}

static void op_kmalloc_128(void)
{
	void *p = kmalloc(128, GFP_KERNEL);

	failed += !p;
	kfree(p);
}

static void op_vmalloc_64k(void)
{
	void *p = vmalloc(65536);

	failed += !p;
	vfree(p);
}

GUEST_TEST(profile, page_0, MMVM_TESTF_BENCH, 60, "memory=64M,high=16M")
{
	profile_kernel(t, "page_0", op_page_0);
}

GUEST_TEST(profile, page_9, MMVM_TESTF_BENCH, 60, "memory=64M,high=16M")
{
	profile_kernel(t, "page_9", op_page_9);
}

GUEST_TEST(profile, slab_96, MMVM_TESTF_BENCH, 60, "memory=64M,high=16M")
{
	cache = kmem_cache_create("profile_96", 96, 0, 0, NULL);
	REQUIRE(cache);
	profile_kernel(t, "slab_96", op_slab_96);
	CHECK_EQ(kmem_cache_destroy(cache), 0);
}

GUEST_TEST(profile, kmalloc_128, MMVM_TESTF_BENCH, 60, "memory=64M,high=16M")
{
	profile_kernel(t, "kmalloc_128", op_kmalloc_128);
}

GUEST_TEST(profile, vmalloc_64k, MMVM_TESTF_BENCH, 60, "memory=64M,high=16M")
{
	profile_kernel(t, "vmalloc_64k", op_vmalloc_64k);
}

static bool partner_ends, partner_ended;

static int partner(void *arg)
{
	while (!READ_ONCE(partner_ends))
		sched_yield();
	WRITE_ONCE(partner_ended, true);
	return 0;
}

static bool has_ended(void *arg)
{
	return READ_ONCE(partner_ended);
}

/** To the other thread and back: two switches. */
static void op_switch(void)
{
	sched_yield();
}

GUEST_TEST(profile, switch, MMVM_TESTF_BENCH, 60, "")
{
	REQUIRE(kthread_run(partner, NULL, "partner") == 0);
	profile_kernel(t, "switch", op_switch);
	WRITE_ONCE(partner_ends, true);
	CHECK(wait_until(has_ended, NULL, 1000));
}
