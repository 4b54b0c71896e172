/*
 * kmalloc: memory by size.
 *
 *   size   8 16 32 64 96 128 192 256 512 1k 2k 4k 8k      one cache each, the smallest that fits
 *   above 8 KiB, or for a DMA zone                        a block of pages, type PAGE_KMALLOC
 *
 * kfree finds the owner through the page: a slab's pages carry their cache, a block's head its
 * order. Sizes that are powers of two are aligned to themselves (to a page at most); 96 and 192 to
 * 8 bytes.
 */
#include "mm/slab/slab_internal.h"
#include "lib/string.h"

#define KMALLOC_MAX_CACHE 8192
#define NR_KMALLOC	  13

static const struct {
	u16 size;
	const char *name;
} kmalloc_info[NR_KMALLOC] = {
	{8, "kmalloc-8"},     {16, "kmalloc-16"},   {32, "kmalloc-32"},	  {64, "kmalloc-64"},
	{96, "kmalloc-96"},   {128, "kmalloc-128"}, {192, "kmalloc-192"}, {256, "kmalloc-256"},
	{512, "kmalloc-512"}, {1024, "kmalloc-1k"}, {2048, "kmalloc-2k"}, {4096, "kmalloc-4k"},
	{8192, "kmalloc-8k"},
};

static struct kmem_cache *kmalloc_cache[NR_KMALLOC];
/* Cache for a size up to 192, by (size - 1) / 8; the larger ones follow from the number of bits. */
static struct kmem_cache *small_cache[24];
static struct kmem_cache *large_cache[14]; /* by bits of size - 1 */

void kmalloc_init(void)
{
	for (unsigned int i = 0, k = 0; i < NR_KMALLOC; i++) {
		unsigned int size = kmalloc_info[i].size;
		bool power = !(size & (size - 1));

		kmalloc_cache[i] = kmem_cache_create(kmalloc_info[i].name, size,
						     power ? min(size, (unsigned int)PAGE_SIZE) : 8,
						     SLAB_PANIC, NULL);
		for (; k < ARRAY_SIZE(small_cache) && (k + 1) * 8 <= size; k++)
			small_cache[k] = kmalloc_cache[i];
		if (power && size >= 256)
			large_cache[31 - __builtin_clz(size)] = kmalloc_cache[i];
	}
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
	return page ? page_address(page) : NULL;
}

static inline void *do_kmalloc(size_t size, gfp_t gfp, const void *caller)
{
	struct kmem_cache *c;

	/* size 0 becomes huge */
	if (unlikely(size - 1 >= KMALLOC_MAX_CACHE || (gfp & (__GFP_DMA | __GFP_DMA32))))
		return size ? kmalloc_pages(size, gfp) : ZERO_SIZE_PTR;
	if (size <= 192)
		c = small_cache[(size - 1) / 8];
	else
		c = large_cache[32 - __builtin_clz((unsigned int)size - 1)];
	return slab_alloc(c, gfp, caller);
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
