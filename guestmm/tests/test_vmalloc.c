/*
 * Kernel virtual memory: vmalloc and its guards, vmap, kernel stacks, and the protection of the
 * kernel's own image.
 */
#include "arch/tlb.h"
#include "tests/tests.h"

#define MEM "memory=24M,high=4M"

GUEST_TEST(vmalloc, contents_pages_and_return, 0, 0, MEM)
{
	u64 before;
	u64 *p = vmalloc(40 * KIB);

	REQUIRE(p);
	vfree(p); /* tables of the area stay: from here on the count must balance */
	purge_vmap_areas();
	before = settled_free_pages();

	p = vmalloc(40 * KIB + 1);
	REQUIRE(p);
	CHECK((unsigned long)p >= VMALLOC_START && (unsigned long)p < VMALLOC_END);
	CHECK_EQ((unsigned long)p & ~PAGE_MASK, 0);
	for (unsigned int i = 0; i < 44 * KIB / 8; i++)
		p[i] = word_for((unsigned long)&p[i], 7);
	for (unsigned int i = 0; i < 11; i++) {
		struct page *page = vmalloc_to_page((u8 *)p + i * PAGE_SIZE);

		REQUIRE(page);
		CHECK_EQ(page->type, PAGE_VMALLOC);
		/* The direct map shows the same memory. */
		CHECK_EQ(*(u64 *)page_address(page), word_for((unsigned long)p + i * PAGE_SIZE, 7));
	}
	CHECK(settled_free_pages() <= before - 11);
	vfree(p);
	purge_vmap_areas();
	CHECK_EQ(settled_free_pages(), before);
}

GUEST_TEST(vmalloc, areas_are_apart_with_guards, 0, 0, MEM)
{
	u8 *p[16];

	for (int i = 0; i < 16; i++) {
		p[i] = vmalloc(PAGE_SIZE * (1 + i % 3));
		REQUIRE(p[i]);
		CHECK(!vmalloc_to_page(p[i] + PAGE_SIZE * (1 + i % 3)));
		for (int j = 0; j < i; j++) {
			unsigned long a = (unsigned long)p[i], b = (unsigned long)p[j];

			CHECK(a + PAGE_SIZE * (2 + i % 3) <= b || b + PAGE_SIZE * (2 + j % 3) <= a);
		}
	}
	for (int i = 0; i < 16; i++)
		vfree(p[i]);
}

GUEST_TEST(vmalloc, vzalloc_is_zero, 0, 0, MEM)
{
	u64 *p = vmalloc(3 * PAGE_SIZE), sum = 0;

	REQUIRE(p);
	memset(p, 0xee, 3 * PAGE_SIZE);
	vfree(p);
	purge_vmap_areas();
	p = vzalloc(3 * PAGE_SIZE);
	REQUIRE(p);
	for (unsigned int i = 0; i < 3 * PAGE_SIZE / 8; i++)
		sum |= p[i];
	CHECK_EQ(sum, 0);
	vfree(p);
	vfree(NULL);
}

GUEST_TEST(vmalloc, vmap_shows_the_callers_pages, 0, 0, MEM)
{
	struct page *page[4];
	u64 *p;

	for (int i = 0; i < 4; i++) {
		page[i] = alloc_page(GFP_KERNEL);
		REQUIRE(page[i]);
		*(u64 *)page_address(page[i]) = 100 + i;
	}
	p = vmap(page, 4, PAGE_KERNEL);
	REQUIRE(p);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(p[i * PAGE_SIZE / 8], 100 + i);
		p[i * PAGE_SIZE / 8] = 200 + i;
	}
	vunmap(p);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(*(u64 *)page_address(page[i]), 200 + i);
		CHECK_EQ(page[i]->refcount, 1);
		__free_page(page[i]);
	}
}

GUEST_TEST(vmalloc, addresses_are_used_again, 0, 0, MEM)
{
	unsigned long lowest = ~0ul, highest = 0;

	for (int i = 0; i < 300; i++) {
		void *p = vmalloc(2 * PAGE_SIZE);

		REQUIRE(p);
		lowest = min(lowest, (unsigned long)p);
		highest = max(highest, (unsigned long)p);
		vfree(p);
		if (i % 30 == 29)
			purge_vmap_areas();
	}
	/* 300 areas with guards side by side would take 3.5 MiB; purging brings them back. */
	CHECK(highest - lowest < MIB);
}

GUEST_TEST(vmalloc, too_much_fails_and_leaks_nothing, 0, 0, MEM)
{
	void *warm = vmalloc(PAGE_SIZE);
	u64 before;

	vfree(warm);
	purge_vmap_areas();
	before = settled_free_pages();
	CHECK(!__vmalloc(64 * MIB, PAGE_SIZE, GFP_NOWAIT, PAGE_VMALLOC, "test"));
	CHECK(!vmalloc(0));
	purge_vmap_areas();
	/* Page tables for the address range may stay, pages may not. */
	CHECK(settled_free_pages() + 40 >= before);
}

GUEST_TEST(vmalloc, read_behind_the_end_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	volatile u8 *p = vmalloc(PAGE_SIZE);

	CHECK_EQ(p[PAGE_SIZE - 1], p[PAGE_SIZE - 1]);
	CHECK_EQ(p[PAGE_SIZE], 0);
	CHECK(!"the guard page was readable");
}

GUEST_TEST(vmalloc, use_after_vfree_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	volatile u8 *p = vmalloc(PAGE_SIZE);

	p[0] = 1;
	vfree((const void *)p);
	purge_vmap_areas();
	CHECK_EQ(p[0], 1);
	CHECK(!"the freed area was readable");
}

static __attribute__((noinline)) u64 eat_stack(u64 depth)
{
	volatile u64 frame[64];

	frame[0] = depth;
	if (depth)
		frame[1] = eat_stack(depth - 1);
	return frame[0] + frame[1];
}

GUEST_TEST(stack, threads_have_their_own_with_pages_of_that_type, 0, 0, MEM)
{
	unsigned long sp;

	__asm__("movq %%rsp, %0" : "=r"(sp));
	/* This test runs on a thread's stack, not on the boot stack. */
	REQUIRE(sp >= VMALLOC_START && sp < VMALLOC_END);
	CHECK_EQ(vmalloc_to_page((void *)sp)->type, PAGE_STACK);
	CHECK(!vmalloc_to_page((u8 *)(sp & ~(THREAD_SIZE - 1)) - 1)); /* the guard below */
	CHECK_EQ(current_thread_info()->stack_magic, STACK_MAGIC);
	CHECK(eat_stack(10) > 0);
}

GUEST_TEST(stack, overflow_hits_the_guard_page, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	eat_stack(10000);
	CHECK(!"the stack has no end");
}

/* Protection of the kernel's image. */
static const u64 in_rodata = 42;

static pte_t kernel_pte(unsigned long va)
{
	pte_t *ptep = walk_pte(kernel_pgd(), va);

	return ptep ? pte_read(ptep) : __pte(0);
}

GUEST_TEST(wx, no_kernel_page_is_both_writable_and_executable, 0, 0, MEM)
{
	static u64 in_data = 1;
	pte_t text = kernel_pte((unsigned long)test_fail),
	      ro = kernel_pte((unsigned long)&in_rodata);
	pte_t data = kernel_pte((unsigned long)&in_data);

	CHECK(pte_present(text) && !pte_write(text) && !(pte_val(text) & _PAGE_NX));
	CHECK(pte_present(ro) && !pte_write(ro) && (pte_val(ro) & _PAGE_NX));
	CHECK(pte_present(data) && pte_write(data) && (pte_val(data) & _PAGE_NX));
}

GUEST_TEST(wx, write_to_text_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	*(volatile u8 *)(unsigned long)test_fail = 0xc3;
	CHECK(!"text was writable");
}

GUEST_TEST(wx, write_to_rodata_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	*(volatile u64 *)(unsigned long)&in_rodata = 1;
	CHECK(!"rodata was writable");
}

GUEST_TEST(wx, execution_of_data_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	u8 *p = (u8 *)get_zeroed_page(GFP_KERNEL);

	p[0] = 0xc3; /* ret */
	((void (*)(void))p)();
	CHECK(!"the direct map was executable");
}

GUEST_TEST(wx, null_pointer_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	volatile u64 *p = NULL;

	__asm__("" : "+r"(p)); /* or the compiler knows what we are about */
	CHECK_EQ(*p, 0);
	CHECK(!"page 0 was readable");
}

GUEST_TEST(wx, protection_can_be_taken_from_a_kernel_page, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	u8 *p = vmalloc(PAGE_SIZE);

	REQUIRE(p);
	p[0] = 1;
	REQUIRE(!set_memory_prot((unsigned long)p, 1, PAGE_KERNEL_RO));
	CHECK_EQ(p[0], 1); /* reading goes on */
	*(volatile u8 *)p = 2;
	CHECK(!"the page stayed writable");
}
