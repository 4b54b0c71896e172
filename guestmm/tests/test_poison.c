/* Poison of free pages (mm/phys/poison.c). Other suites run with it as well. */
#include "kernel/boot_info.h"
#include "mm/phys/alloc.h"
#include "tests/tests.h"

#define MEM    "memory=24M,high=4M append=page_poison"
#define POISON 0xaaaaaaaaaaaaaaaaull

GUEST_TEST(poison, a_freed_page_holds_the_pattern, 0, 0, MEM)
{
	for (unsigned int order = 0; order <= 4; order += 2) {
		struct page *page = alloc_pages(GFP_KERNEL, order);
		u64 *word, wrong = 0;

		REQUIRE(page);
		word = page_address(page);
		memset(word, 0x11, PAGE_SIZE << order);
		__free_pages(page, order);
		for (unsigned long i = 0; i < PAGE_SIZE / 8 << order; i++)
			wrong += word[i] != POISON;
		CHECK_EQ(wrong, 0);
	}
}

/* The word is there, and says no. */
GUEST_TEST(poison, switched_off_it_does_nothing, 0, 0, "memory=24M,high=4M append=page_poison=off")
{
	struct page *page = alloc_page(GFP_KERNEL);
	u64 *word;

	REQUIRE(page);
	word = page_address(page);
	memset(word, 0x11, PAGE_SIZE);
	__free_page(page);
	CHECK_EQ(word[0], 0x1111111111111111ull);
	CHECK_EQ(word[PAGE_SIZE / 8 - 1], 0x1111111111111111ull);
	CHECK(!boot_option_is_on("planted", "0"));
	CHECK(!boot_option_is_on("planted", "off"));
	CHECK(!boot_option_is_on("planted", "perhaps"));
	CHECK(boot_option_is_on("planted", ""));
	CHECK(boot_option_is_on("planted", "on"));
}

GUEST_TEST(poison, zeroed_pages_are_zero, 0, 0, MEM)
{
	u64 *word = (u64 *)get_zeroed_page(GFP_KERNEL), wrong = 0;

	REQUIRE(word);
	for (unsigned long i = 0; i < PAGE_SIZE / 8; i++)
		wrong += word[i] != 0;
	CHECK_EQ(wrong, 0);
	free_pages((unsigned long)word, 0);
}

GUEST_TEST(poison, a_write_to_a_freed_page_is_found, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	LIST_HEAD(list);
	struct page *page = alloc_page(GFP_KERNEL);
	u64 *word;

	REQUIRE(page);
	word = page_address(page);
	__free_page(page);
	test_expect_words(t, "pagealloc: memory corruption: a free page was written");
	WRITE_ONCE(word[17], 1);
	/* It is one of these. */
	while ((page = alloc_page(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY)))
		list_add(&page->lru, &list);
	CHECK(!"nobody has looked at the page");
}

GUEST_TEST(poison, without_the_option_pages_stay_as_they_are, 0, 0, "memory=24M,high=4M")
{
	struct page *page = alloc_page(GFP_KERNEL);
	u64 *word;

	REQUIRE(page);
	word = page_address(page);
	word[511] = 0x1234;
	__free_page(page);
	CHECK_EQ(word[511], 0x1234);
}
