/*
 * slab_debug=FZPU: each corruption stops the machine with a message that names the cache, the object and
 * what was found.
 */
#include "check.h"
#include "host.h"
#include "unit.h"
#include "lib/string.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab_internal.h"

static struct kmem_cache *cache;

/* Aligned, so that all of it lies in one page and owners_are_named() can foretell the address. */
static __attribute__((aligned(1024))) void after_the_end(void *arg)
{
	u8 *p = kmem_cache_alloc(cache, GFP_KERNEL);

	p[50] = 1;
	kmem_cache_free(cache, p);
}
static void before_the_start(void *arg)
{
	u8 *p = kmem_cache_alloc(cache, GFP_KERNEL);

	p[-1] = 1;
	kmem_cache_free(cache, p);
}
static void after_free(void *arg)
{
	u8 *p = kmem_cache_alloc(cache, GFP_KERNEL);

	kmem_cache_free(cache, p);
	p[20] = 1;
	for (int i = 0; i < 100; i++)
		kmem_cache_alloc(cache, GFP_KERNEL);
}
static void beyond_a_free_object(void *arg)
{
	u8 *p = kmem_cache_alloc(cache, GFP_KERNEL);

	kmem_cache_free(cache, p);
	p[51] = 1;
	for (int i = 0; i < 100; i++)
		kmem_cache_alloc(cache, GFP_KERNEL);
}
static void link_broken(void *arg)
{
	u8 *p = kmem_cache_alloc(cache, GFP_KERNEL);

	kmem_cache_free(cache, p);
	set_free_pointer(cache, p, p + 3);
	for (int i = 0; i < 100; i++)
		kmem_cache_alloc(cache, GFP_KERNEL);
}
static void free_twice(void *arg)
{
	u8 *p = kmem_cache_alloc(cache, GFP_KERNEL), *q = kmem_cache_alloc(cache, GFP_KERNEL);

	kmem_cache_free(cache, p);
	kmem_cache_free(cache, q);
	kmem_cache_free(cache, p);
}
static void free_inside(void *arg)
{
	kmem_cache_free(cache, (u8 *)kmem_cache_alloc(cache, GFP_KERNEL) + 8);
}
static void kmalloc_overrun(void *arg)
{
	u8 *p = kmalloc(64, GFP_KERNEL);

	p[64] = 0;
	kfree(p);
}

static void corruption_is_named(void)
{
	CU_ASSERT(cache->flags & SLAB_RED_ZONE);
	CU_ASSERT(host_panics(after_the_end, NULL, "BUG victim: Right Redzone overwritten"));
	CU_ASSERT(host_panics(before_the_start, NULL, "BUG victim: Left Redzone overwritten"));
	CU_ASSERT(host_panics(after_free, NULL, "BUG victim: Poison overwritten"));
	CU_ASSERT(host_panics(beyond_a_free_object, NULL, "BUG victim: Right Redzone overwritten"));
	CU_ASSERT(host_panics(link_broken, NULL, "BUG victim: Freepointer corrupt"));
	CU_ASSERT(host_panics(free_twice, NULL, "BUG victim: Object already free"));
	CU_ASSERT(host_panics(free_inside, NULL, "BUG victim: Invalid object pointer"));
	CU_ASSERT(host_panics(kmalloc_overrun, NULL, "BUG kmalloc-64: Right Redzone overwritten"));
}

static void owners_are_named(void)
{
	char needle[64];

	/* The return address is within the function that allocated: same leading digits. */
	snprintf(needle, sizeof(needle), "last allocated by 0x%.9lx", (unsigned long)after_the_end);
	needle[strlen("last allocated by 0x") + 8] = 0;
	CU_ASSERT(host_panics(after_the_end, NULL, needle));
	CU_ASSERT(host_panics(after_the_end, NULL, "last freed by 0x0"));
}

static void poison_shows_what_was_not_set(void)
{
	u8 *p = kmem_cache_alloc(cache, GFP_KERNEL);

	CU_ASSERT(p[0] == 0x5a && p[49] == 0x5a);
	memset(p, 1, 50);
	kmem_cache_free(cache, p);
	CU_ASSERT(p[0] == 0x6b && p[49] == 0xa5);
	p = kmem_cache_alloc(cache, GFP_KERNEL | __GFP_ZERO);
	CU_ASSERT(!p[0] && !p[49]);
	kmem_cache_free(cache, p);
}

static void no_sheaf_hides_an_object(void)
{
	CU_ASSERT_EQUAL(cache->sheaf_cap, 0);
	CU_ASSERT_EQUAL(check_slabs(), 0);
}

static void options(void)
{
	slab_debug_setup("ZT,dentry,buf*");
	CU_ASSERT_EQUAL(slab_debug_flags("dentry"), SLAB_RED_ZONE | SLAB_TRACE);
	CU_ASSERT_EQUAL(slab_debug_flags("dentry2"), 0);
	CU_ASSERT_EQUAL(slab_debug_flags("dent"), 0);
	CU_ASSERT_EQUAL(slab_debug_flags("buffer_head"), SLAB_RED_ZONE | SLAB_TRACE);
	CU_ASSERT_EQUAL(slab_debug_flags("kmalloc-8"), 0);
	slab_debug_setup("");
	CU_ASSERT_EQUAL(slab_debug_flags("any"),
			SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER);
	slab_debug_setup(",kmalloc-8");
	CU_ASSERT_EQUAL(slab_debug_flags("any"), 0);
	CU_ASSERT(slab_debug_flags("kmalloc-8") != 0);
	slab_debug_setup("-");
	CU_ASSERT_EQUAL(slab_debug_flags("kmalloc-8"), 0);
	host_log_clear();
	slab_debug_setup("ZQu,one;T,two");
	CU_ASSERT_EQUAL(slab_debug_flags("one"), SLAB_RED_ZONE | SLAB_STORE_USER);
	CU_ASSERT_EQUAL(slab_debug_flags("two"), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(host_log(), "slab_debug option 'Q' unknown. skipped\n"));
	CU_ASSERT_PTR_NULL(strstr(host_log(), "option 'u'"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(host_log(), "one block of options is known, skipped: ;T,two\n"));
	host_log_clear();
	slab_debug_setup("fu");
	CU_ASSERT_STRING_EQUAL(host_log(), "");
	CU_ASSERT_EQUAL(slab_debug_flags("x"), SLAB_CONSISTENCY_CHECKS | SLAB_STORE_USER);
}

static void trace(void)
{
	struct kmem_cache *c;
	void *p;

	slab_debug_setup("T,traced");
	c = kmem_cache_create("traced", 30, 0, 0, NULL);
	host_log_clear();
	p = kmem_cache_alloc(c, GFP_KERNEL);
	CU_ASSERT_PTR_NOT_NULL(strstr(host_log(), "TRACE traced alloc"));
	kmem_cache_free(c, p);
	CU_ASSERT_PTR_NOT_NULL(strstr(host_log(), "TRACE traced free"));
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"corruption is named", corruption_is_named},
		{"owners are named", owners_are_named},
		{"poison shows what was not set", poison_shows_what_was_not_set},
		{"no sheaf hides an object", no_sheaf_hides_an_object},
		{"options", options},
		{"trace", trace},
	};

	host_boot_default("console=ttyS0 slab_debug=FZPU debug_vm");
	cache = kmem_cache_create("victim", 50, 0, 0, NULL);
	return unit_run("slab_debug", cases, ARRAY_SIZE(cases));
}
