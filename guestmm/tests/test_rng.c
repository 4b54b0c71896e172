/* Random bytes of the machine: those that the seed gives, in order, whatever the requests' lengths. */
#include "drivers/hwrng.h"
#include "kernel/boot_info.h"
#include "tests/tests.h"

static u64 expected(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

GUEST_TEST(rng, bytes_come_from_the_seed, 0, 0, "memory=24M rng=1")
{
	u64 state = boot_info.seed, *words = kmalloc(PAGE_SIZE, GFP_KERNEL);
	static const u16 lengths[] = {8, 64, 4096, 16, 1024};

	REQUIRE(words != NULL);
	CHECK(hwrng_present());
	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(words, 0, PAGE_SIZE);
		CHECK_EQ(hwrng_read(words, lengths[i]), lengths[i]);
		for (unsigned int w = 0; w < lengths[i] / 8u; w++)
			CHECK(words[w] == expected(&state));
	}
	/* No more than a page at once. */
	CHECK_EQ(hwrng_read(words, 1), 1);
	kfree(words);
}

GUEST_TEST(rng, none_where_there_is_no_device, 0, 0, "memory=24M")
{
	u64 word;

	CHECK(!hwrng_present());
	CHECK_EQ(hwrng_read(&word, sizeof(word)), -ENODEV);
}
