/*
 * kmalloc: memory by size.
 *
 *   size   8 16 32 64 96 128 192 256 512 1k 2k 4k 8k      one cache each, the smallest that fits
 *   above 8 KiB, or for a DMA zone                        a block of pages, type PAGE_KMALLOC
 *
 * Memory with __GFP_ACCOUNT comes from caches of its own, kmalloc-cg-*, whose objects are charged to the task's memory
 * cgroup.
 *
 * kfree finds the owner through the page: a slab's pages carry their cache, a block's head its
 * order. Sizes that are powers of two are aligned to themselves (to a page at most); 96 and 192 to
 * 8 bytes.
 */
#include "arch/thread_info.h"
#include "mm/memcg/memcg.h"
#include "mm/slab/slab_internal.h"
#include "lib/string.h"

#define KMALLOC_MAX_CACHE 8192
#define NR_KMALLOC	  13

static const struct {
	u16 size;
	const char *name;
} kmalloc_info[NR_KMALLOC] = {
	{8, "8"},     {16, "16"},   {32, "32"},	  {64, "64"},	{96, "96"},
	{128, "128"}, {192, "192"}, {256, "256"}, {512, "512"}, {1024, "1k"},
	{2048, "2k"}, {4096, "4k"}, {8192, "8k"},
};

/* Without and with __GFP_ACCOUNT. */
enum { PLAIN, ACCOUNT, NR_KINDS };
/* Cache for a size up to 192, by (size - 1) / 8; the larger ones follow from the number of bits. */
static struct kmem_cache *small_cache[NR_KINDS][24];
static struct kmem_cache *large_cache[NR_KINDS][14]; /* by bits of size - 1 */

static void make_caches(unsigned int kind)
{
	for (unsigned int i = 0, k = 0; i < NR_KMALLOC; i++) {
		unsigned int size = kmalloc_info[i].size;
		bool power = !(size & (size - 1));
		struct kmem_cache *c;
		char name[CACHE_NAME];

		ksnprintf(name, sizeof(name), "kmalloc-%s%s", kind == ACCOUNT ? "cg-" : "",
			  kmalloc_info[i].name);
		c = kmem_cache_create(name, size, power ? min(size, (unsigned int)PAGE_SIZE) : 8,
				      SLAB_PANIC | (kind == ACCOUNT ? SLAB_ACCOUNT : 0), NULL);
		for (; k < ARRAY_SIZE(small_cache[0]) && (k + 1) * 8 <= size; k++)
			small_cache[kind][k] = c;
		if (power && size >= 256)
			large_cache[kind][31 - __builtin_clz(size)] = c;
	}
}

void kmalloc_init(void)
{
	make_caches(PLAIN);
	make_caches(ACCOUNT);
}

static __attribute__((noinline)) void *kmalloc_pages(size_t size, gfp_t gfp)
{
	unsigned int order = 0;
	struct page *page;

	if (size > PAGE_SIZE << MAX_ORDER)
		return NULL;
	while (PAGE_SIZE << order < size)
		order++;
	page = alloc_pages_type(gfp | __GFP_COMP, order, PAGE_KMALLOC);
	if (page && (gfp & __GFP_ACCOUNT) &&
	    mem_cgroup_charge_kernel(page, current_thread_info()->mm, gfp)) {
		__free_pages(page, order);
		page = NULL;
	}
	return page ? page_address(page) : NULL;
}

static inline struct kmem_cache *cache_for(unsigned int kind, size_t size)
{
	if (size <= 192)
		return small_cache[kind][(size - 1) / 8];
	return large_cache[kind][32 - __builtin_clz((unsigned int)size - 1)];
}

/* Not from the plain caches: too large, for a DMA zone, or charged to a memory cgroup. */
static __attribute__((noinline)) void *kmalloc_special(size_t size, gfp_t gfp, const void *caller)
{
	if (size > KMALLOC_MAX_CACHE || (gfp & (__GFP_DMA | __GFP_DMA32)))
		return kmalloc_pages(size, gfp);
	return slab_alloc(cache_for(ACCOUNT, size), gfp, caller);
}

static inline void *do_kmalloc(size_t size, gfp_t gfp, const void *caller)
{
	/* size 0 becomes huge */
	if (unlikely(size - 1 >= KMALLOC_MAX_CACHE ||
		     (gfp & (__GFP_DMA | __GFP_DMA32 | __GFP_ACCOUNT))))
		return size ? kmalloc_special(size, gfp, caller) : ZERO_SIZE_PTR;
	return slab_alloc(cache_for(PLAIN, size), gfp, caller);
}

void *kmalloc(size_t size, gfp_t gfp)
{
	return do_kmalloc(size, gfp, __builtin_return_address(0));
}

void *kzalloc(size_t size, gfp_t gfp)
{
	return do_kmalloc(size, gfp | __GFP_ZERO, __builtin_return_address(0));
}

void *kcalloc(size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return do_kmalloc(bytes, gfp | __GFP_ZERO, __builtin_return_address(0));
}

static __attribute__((noinline)) void kfree_pages(void *p)
{
	struct page *page = virt_to_page(p);

	if (page->type != PAGE_KMALLOC || page_address(page) != p)
		bad_page(page, "kfree of what kmalloc did not give");
	__free_pages(page, page->order);
}

void kfree(void *p)
{
	struct page *page;
	struct kmem_cache *c;

	if (unlikely((unsigned long)p <= (unsigned long)ZERO_SIZE_PTR))
		return;
	page = virt_to_page(p);
	if (unlikely(page->type != PAGE_SLAB)) {
		kfree_pages(p);
		return;
	}
	c = ((struct slab *)page)->cache; /* a tail has it too */
	if (unlikely(!sheaf_push(c, p)))
		slab_free_slow(c, p, __builtin_return_address(0));
}

size_t ksize(const void *p)
{
	struct page *page;

	if ((unsigned long)p <= (unsigned long)ZERO_SIZE_PTR)
		return 0;
	page = virt_to_page(p);
	if (page->type == PAGE_SLAB)
		return ((struct kmem_cache *)((struct slab *)page)->cache)->object_size;
	return PAGE_SIZE << page->order;
}

void *krealloc(void *p, size_t size, gfp_t gfp)
{
	size_t old = ksize(p);
	void *bigger;

	if (!size) {
		kfree(p);
		return ZERO_SIZE_PTR;
	}
	if (old >= size)
		return p;
	bigger = do_kmalloc(size, gfp, __builtin_return_address(0));
	if (bigger && old) {
		memcpy(bigger, p, old);
		kfree(p);
	}
	return bigger;
}
