/*
 * The load for `mmvm bench tlb`: a pointer chase through one word a page, in a random order that
 * visits every page once a lap, so that neither prefetchers nor neighbours help.
 *
 * bench_tlb --mb N --reps R --steps S
 *
 *   page p:  | ...... word ...... |   the word's cache line is chosen by p, so that the words of
 *                                     many pages do not fall into one set of the cache
 *
 * Footprints are 4 pages (16 KiB), four times that, and so on up to N MiB; all of them in each
 * repetition. The chase of a footprint is timed twice in a row: what the two differ by is noise.
 * Each time is told by a record MMVM_REC_ROUND named "chase": number: repetition x 2 + (0 or 1),
 * base: KiB, pages: steps, written: ticks of the TSC. "arm" comes before it. "warm" is told when
 * all memory has been written, and nothing timed yet.
 * Exit status: 0, 1 when the VMM does not answer or a lap is wrong, 2 usage or no memory.
 */
#include "mmvm/testchan.h"
#include "rt.h"

static struct mmvm_round round __attribute__((aligned(64)));
static char *base;

static void tell(const char *phase)
{
	if (syscall6(MMVM_SYS_REPORT, MMVM_USER_ROUND, (long)phase, (long)&round, 0, 0, 0) < 0) {
		print("bench_tlb: nobody listens to \"%s\"\n", phase);
		exit(1);
	}
}

static inline uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static void **node(uint64_t page)
{
	uint64_t line = page * 0x9e3779b97f4a7c15ull >> 58;

	return (void **)(base + page * PAGE_SIZE + line * 64);
}

/** One cycle through all pages (Sattolo's shuffle). */
static void link_pages(uint64_t pages, uint64_t *seed)
{
	for (uint64_t i = 0; i < pages; i++)
		*node(i) = node(i);
	for (uint64_t i = pages - 1; i; i--) {
		void **a = node(i), **b = node(random_next(seed) % i), *next = *a;

		*a = *b;
		*b = next;
	}
}

static void **chase(void **at, uint64_t steps)
{
	for (; steps; steps--)
		at = *(void **volatile *)at;
	return at;
}

static void measure(uint64_t pages, uint64_t steps, uint64_t rep, uint64_t *seed)
{
	void **at;

	link_pages(pages, seed);
	/* The lap that warms also shows that it is one. */
	at = chase(node(0), pages - 1);
	if (at == node(0) || chase(at, 1) != node(0)) {
		print("bench_tlb: %lu pages are not one cycle\n", pages);
		exit(1);
	}
	for (uint64_t i = 0; i < 2; i++) {
		uint64_t start;

		tell("arm");
		/* What the call has thrown out of the TLB comes back before the clock runs. */
		at = chase(node(0), pages < steps ? pages : steps);
		start = ticks();
		at = chase(at, steps);
		round.written = ticks() - start;
		round.number = rep * 2 + i;
		round.base = pages * PAGE_SIZE >> 10;
		round.pages = steps;
		tell("chase");
	}
}

int main(int argc, char **argv)
{
	uint64_t mb = 16, reps = 2, steps = 20000, seed = 0x2545f4914f6cdd1dull;
	long r;

	for (int i = 1; i < argc; i += 2) {
		uint64_t *to = !strcmp(argv[i], "--mb")	     ? &mb
			       : !strcmp(argv[i], "--reps")  ? &reps
			       : !strcmp(argv[i], "--steps") ? &steps
							     : NULL;

		if (!to || i + 1 == argc || !parse_size(argv[i + 1], to) || !*to) {
			print("usage: bench_tlb [--mb N] [--reps R] [--steps S]\n");
			return 2;
		}
	}
	r = map_memory(mb << 20);
	if (is_error(r)) {
		print("bench_tlb: cannot map %lu MiB\n", mb);
		return 2;
	}
	base = (char *)r;
	memset(base, 1, mb << 20);
	tell("warm");
	for (uint64_t rep = 0; rep < reps; rep++) {
		uint64_t pages = 4, most = (mb << 20) / PAGE_SIZE;

		for (; pages < most; pages *= 4)
			measure(pages, steps, rep, &seed);
		measure(most, steps, rep, &seed);
	}
	return 0;
}
