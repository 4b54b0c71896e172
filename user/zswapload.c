/*
 * Write and read back more memory than fits, with contents that compress well or badly, to test the compressed pool.
 *
 *   zswapload [--mb N] [--passes K] text|value|noise|mixed
 *
 * text    one word of five is noise: compresses to about a quarter
 * value   each page is filled with one value of eight bytes
 * noise   does not compress
 * mixed   a third of each, page by page
 *
 * Exit status: 0 all right, 1 a word was wrong, 2 usage.
 */
#include "rt.h"

#define WORDS (PAGE_SIZE / sizeof(uint64_t))

enum content { TEXT, VALUE, NOISE, MIXED };
static const char *const names[] = {"text", "value", "noise", "mixed"};

static uint64_t word_at(enum content what, uint64_t page, uint64_t i)
{
	uint64_t noise = (page * WORDS + i + 1) * 0x9e3779b97f4a7c15ull;

	if (what == MIXED)
		what = (enum content)(page % 3);
	switch (what) {
	case TEXT:
		return i % 5 ? page : noise;
	case VALUE:
		return (page + 1) * 0x0101010101010101ull;
	default:
		return noise ^ noise >> 29;
	}
}

static void write_all(uint64_t *base, uint64_t pages, enum content what)
{
	for (uint64_t n = 0; n < pages; n++)
		for (uint64_t i = 0; i < WORDS; i++)
			base[n * WORDS + i] = word_at(what, n, i);
}

static uint64_t wrong_pages(const uint64_t *base, uint64_t pages, enum content what)
{
	uint64_t bad = 0;

	for (uint64_t n = 0, at = 0; n < pages; n++, at = (at + 7919) % pages) {
		for (uint64_t i = 0; i < WORDS; i++) {
			if (base[at * WORDS + i] != word_at(what, at, i)) {
				bad++;
				break;
			}
		}
	}
	return bad;
}

int main(int argc, char **argv)
{
	uint64_t pages = total_ram() / PAGE_SIZE * 5 / 4, passes = 2, n, bad = 0;
	enum content what = TEXT;
	long mem;

	if (argc < 2)
		goto usage;
	for (int i = 1; i < argc - 1; i += 2) {
		if (!parse_size(argv[i + 1], &n) || !n)
			goto usage;
		if (!strcmp(argv[i], "--mb"))
			pages = (n << 20) / PAGE_SIZE;
		else if (!strcmp(argv[i], "--passes"))
			passes = n;
		else
			goto usage;
	}
	while (what <= MIXED && strcmp(names[what], argv[argc - 1]))
		what++;
	if (what > MIXED || argc % 2)
		goto usage;
	mem = map_memory(pages * PAGE_SIZE);
	if (is_error(mem)) {
		print("zswapload: no memory for %lu pages\n", pages);
		return 2;
	}
	write_all((uint64_t *)mem, pages, what);
	for (uint64_t pass = 0; pass < passes; pass++) {
		bad += wrong_pages((const uint64_t *)mem, pages, what);
		report_progress(names[what], pass + 1, passes);
	}
	print("zswapload %s: %lu pages, %lu passes, %lu wrong\n", names[what], pages, passes, bad);
	return bad != 0;
usage:
	print("usage: zswapload [--mb N] [--passes K] text|value|noise|mixed\n");
	return 2;
}
