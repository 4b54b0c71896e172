/*
 * The main test: use twice the RAM that there is, and read every byte back.
 *
 * swapstress [--mb N] [--passes K] [--seed S]
 *
 * Writes a pattern to every page of a region of N MiB (default: twice the RAM), reads all pages
 * back in another order and checks every word. Each word is a function of its address, the pass
 * and the seed. So a page that is swapped in at a wrong place, with old data, or in part is found. Later
 * passes overwrite pages that swap already has.
 *
 * Exit status: 0 all right, 1 a word was wrong, 2 usage or no memory.
 */
#include "rt.h"

#define WORDS (PAGE_SIZE / sizeof(uint64_t))

struct job {
	uint64_t *base;
	uint64_t pages;
	uint64_t seed;
};

/* Two multiplications and a rotation a page, one addition and one xor a word: user mode must not
 * be what takes the time. */
static uint64_t page_key(const struct job *j, uint64_t page, unsigned int pass)
{
	uint64_t k = (page + 1) * 0x9e3779b97f4a7c15ull + j->seed + pass * 0xd1b54a32d192ed03ull;

	return (k ^ k >> 31) * 0xbf58476d1ce4e5b9ull;
}

static void write_page(const struct job *j, uint64_t page, unsigned int pass)
{
	uint64_t *p = j->base + page * WORDS, key = page_key(j, page, pass);

	for (uint64_t i = 0; i < WORDS; i++)
		p[i] = (key += 0x632be59bd9b4e019ull) ^ i;
}

/** Index of the first wrong word of a page, or WORDS. */
static uint64_t check_page(const struct job *j, uint64_t page, unsigned int pass)
{
	const uint64_t *p = j->base + page * WORDS;
	uint64_t key = page_key(j, page, pass);

	for (uint64_t i = 0; i < WORDS; i++)
		if (p[i] != ((key += 0x632be59bd9b4e019ull) ^ i))
			return i;
	return WORDS;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/** A stride that visits each of n pages once, in an order unlike the one of writing. */
static uint64_t stride_for(uint64_t n)
{
	uint64_t s = n * 5 / 8 | 1;

	while (gcd(s, n) != 1)
		s += 2;
	return s;
}

static int usage(void)
{
	print("usage: swapstress [--mb N] [--passes K] [--seed S]\n");
	return 2;
}

/** Write all, then read all. Returns the number of wrong pages. */
static uint64_t run_pass(const struct job *j, unsigned int pass, uint64_t *done, uint64_t total)
{
	uint64_t step = j->pages / 32 + 1, stride = stride_for(j->pages), bad = 0;
	uint64_t at = j->pages / 3;

	for (uint64_t i = 0; i < j->pages; i++) {
		write_page(j, i, pass);
		if (++*done % step == 0)
			report_progress("write", *done, total);
	}
	for (uint64_t i = 0; i < j->pages; i++) {
		uint64_t wrong = check_page(j, at, pass);

		if (wrong != WORDS && !bad++) {
			uint64_t *p = j->base + at * WORDS + wrong;

			print("swapstress: pass %u: first wrong word at %p: %lx\n", pass, (void *)p,
			      *p);
		}
		at = (at + stride) % j->pages;
		if (++*done % step == 0)
			report_progress("read", *done, total);
	}
	return bad;
}

int main(int argc, char **argv)
{
	uint64_t mb = 0, passes = 1, seed = 1, done = 0, bad = 0, start;
	struct job j;
	long addr;

	for (int i = 1; i < argc; i += 2) {
		uint64_t *to = !strcmp(argv[i], "--mb")	      ? &mb
			       : !strcmp(argv[i], "--passes") ? &passes
			       : !strcmp(argv[i], "--seed")   ? &seed
							      : NULL;

		if (!to || i + 1 == argc || !parse_size(argv[i + 1], to))
			return usage();
	}
	if (mb > UINT64_MAX >> 20 || !passes || passes > 1000)
		return usage();
	j.pages = (mb ? mb << 20 : total_ram() * 2) / PAGE_SIZE;
	j.seed = seed;
	if (!j.pages) {
		print("swapstress: the kernel does not say how much RAM there is: give --mb\n");
		return 2;
	}
	addr = sys_mmap(0, j.pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
	if (is_error(addr)) {
		print("swapstress: cannot map %lu pages: error %ld\n", j.pages, -addr);
		return 2;
	}
	j.base = (uint64_t *)addr;

	start = now_ns();
	for (unsigned int pass = 0; pass < passes; pass++)
		bad += run_pass(&j, pass, &done, j.pages * 2 * passes);
	report_progress("done", done, done);
	print("swapstress: %lu MiB, %lu pages, %lu pass%s, seed %lu, %lu ms: %s\n",
	      j.pages * PAGE_SIZE >> 20, j.pages, passes, passes == 1 ? "" : "es", seed,
	      (now_ns() - start) / 1000000, bad ? "WRONG" : "every word right");
	if (bad)
		print("swapstress: %lu pages wrong\n", bad);
	return bad ? 1 : 0;
}
