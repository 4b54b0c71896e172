/*
 * High memory on the host: 16 of the 48 MiB are not in the direct map, where they are PROT_NONE. What it is, what is
 * refused, and when windows onto it flush: the host's mapping of a window is its TLB entry, and stays until a flush.
 */
#include <stdlib.h>
#include "mm/cache/pagecache.h"
#include "mm/init.h"
#include "mm/phys/highmem.h"
#include "mm/phys/memblock.h"
#include "mm_user.h"
#include "unit.h"

static struct page *high_page(void)
{
	struct page *page = alloc_pages(GFP_HIGHUSER | __GFP_ZERO, 0);

	MUST(page && page_is_high(page), "a page of high memory");
	return page;
}

static void what_is_high(void)
{
	struct page *high = high_page(), *low = alloc_pages(GFP_KERNEL, 0);

	CU_ASSERT_EQUAL(highmem_pages(), 16 * MIB / PAGE_SIZE);
	CU_ASSERT(highmem_free_pages() > 0 && highmem_free_pages() < highmem_pages());
	CU_ASSERT_EQUAL(page_zone(high)->type, ZONE_HIGHMEM);
	CU_ASSERT(!page_is_high(low));
	/* Of the 16 MiB half are the 8 above 4 GiB, which are the last. */
	CU_ASSERT_EQUAL(highmem_start, 32 * MIB);
	CU_ASSERT_EQUAL(memblock_phys_alloc(PAGE_SIZE, PAGE_SIZE, highmem_start, 0), 0);
	__free_page(high);
	__free_page(low);
}

static void what_is_refused(void)
{
	const phys_addr_t start = highmem_start;
	char why[64];

	highmem_reserve("much", why, sizeof(why));
	CU_ASSERT_STRING_EQUAL(why, "not a size");
	highmem_reserve("40M", why, sizeof(why));
	CU_ASSERT_STRING_EQUAL(why, "it would leave less than 16M to the kernel");
	highmem_reserve("100G", why, sizeof(why));
	CU_ASSERT_STRING_EQUAL(why, "it would leave less than 16M to the kernel");
	highmem_reserve("0", why, sizeof(why));
	CU_ASSERT_STRING_EQUAL(why, "");
	CU_ASSERT(!memblock_reserve(40 * MIB - PAGE_SIZE, PAGE_SIZE));
	highmem_reserve("9M", why, sizeof(why));
	CU_ASSERT_STRING_EQUAL(why, "what the VMM has loaded lies there");
	CU_ASSERT(!memblock_free(40 * MIB - PAGE_SIZE, PAGE_SIZE));
	CU_ASSERT_EQUAL(highmem_start, start);
}

/* The second page comes to the address of the first. */
static void a_window_is_flushed(void)
{
	struct page *a = high_page(), *b = high_page();
	u64 *w = kmap_local_page(a);
	const void *was = w;

	*w = 1;
	kunmap_local(w);
	w = kmap_local_page(b);
	CU_ASSERT_PTR_EQUAL(w, was);
	CU_ASSERT_EQUAL(*w, 0);
	*w = 2;
	kunmap_local(w);
	CU_ASSERT_EQUAL(*(u64 *)host_page(a), 1);
	CU_ASSERT_EQUAL(*(u64 *)host_page(b), 2);
	__free_page(a);
	__free_page(b);
}

/* A thread that comes to another CPU flushes there what it has mapped, and nothing else. */
static void a_move_flushes(void)
{
	struct thread_info *ti = current_thread_info();
	struct page *a = high_page(), *b = high_page();
	u64 *v = kmap_local_page(a), *w = kmap_local_page(b);
	u64 flushes = host_tlb.kernel_page;

	*v = 1;
	*w = 2;
	kmap_switch_to(ti);
	CU_ASSERT_EQUAL(host_tlb.kernel_page, flushes);
	host_set_cpu(1);
	kmap_switch_to(ti);
	CU_ASSERT_EQUAL(host_tlb.kernel_page, flushes + 2);
	kmap_switch_to(ti);
	CU_ASSERT_EQUAL(host_tlb.kernel_page, flushes + 2);
	CU_ASSERT(*v == 1 && *w == 2);
	kunmap_local(w);
	kunmap_local(v);
	host_set_cpu(0);
	kmap_switch_to(ti); /* nothing is mapped */
	CU_ASSERT_EQUAL(host_tlb.kernel_page, flushes + 2);
	__free_page(a);
	__free_page(b);
}

static void the_end_is_flushed_if_asked(void)
{
	struct page *page = high_page();
	u64 flushes = host_tlb.kernel_page;

	kunmap_local(kmap_local_page(page));
	CU_ASSERT_EQUAL(host_tlb.kernel_page, flushes + 1);
	debug_vm = true;
	kunmap_local(kmap_local_page(page));
	debug_vm = false;
	CU_ASSERT_EQUAL(host_tlb.kernel_page, flushes + 3);
	__free_page(page);
}

static void wrong_order(void *arg)
{
	void *v = kmap_local_page(high_page());

	kmap_local_page(high_page());
	kunmap_local(v);
}

static void too_many(void *arg)
{
	for (unsigned int i = 0; i <= KMAP_SLOTS; i++)
		kmap_local_page(high_page());
}

static void misuse_is_seen(void)
{
	CU_ASSERT(host_panics(wrong_order, NULL, "kmap_addr"));
	CU_ASSERT(host_panics(too_many, NULL, "KMAP_SLOTS"));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"what is high", what_is_high},
		{"what is refused", what_is_refused},
		{"a window is flushed when it is used again", a_window_is_flushed},
		{"a move to another CPU flushes", a_move_flushes},
		{"the end is flushed if that was asked", the_end_is_flushed_if_asked},
		{"misuse is seen", misuse_is_seen},
	};

	setenv("HIGHMEM", "16M", 1);
	host_boot_default("");
	mm_init();
	return unit_run("highmem", cases, ARRAY_SIZE(cases));
}
