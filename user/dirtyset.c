/*
 * A program that reports to the VMM which pages it has written.
 *
 * dirtyset [--mb N] [--rounds K] [--percent P] [--seed S] [--pageout N] [--lie 1]
 *
 * Each round: some pages are given back (MADV_DONTNEED, so that they will be new frames), all dirty
 * bits of the process are cleared, and the VMM gets a record that the round begins. Then a random set of
 * pages is written, in random order and some of them again and again, and others are only read. At
 * the end the VMM gets the set; it compares that, page by page, with what it saw
 * (vmm/observe/dirty_exact.c) and answers with the number of differences it cannot explain.
 *
 * With --pageout N, at the end of each round, N pages are given to swap one by one (MADV_PAGEOUT) and read at once:
 * those whose frame was not free yet come back from the swap cache, with clean PTEs.
 *
 * With --lie 1 the program hides one page that it wrote in the first round and claims one that it did
 * not write in the second: the VMM must find both.
 *
 * If the kernel or the VMM does not support rounds, the answer is an error. Then nothing is compared, and
 * the program says so.
 *
 * Exit status: 0 no differences (or nobody compared), 1 differences, 2 usage or no memory.
 */
#include "mmvm/testchan.h"
#include "rt.h"

#define WORDS (PAGE_SIZE / sizeof(uint64_t))

/* Read by the VMM at the end of a round. */
static struct mmvm_round round __attribute__((aligned(64)));

struct job {
	uint64_t *base, *written;
	uint64_t pages, percent, state;
};

static long tell_round(const char *phase)
{
	return syscall6(MMVM_SYS_REPORT, MMVM_USER_ROUND, (long)phase, (long)&round, 0, 0, 0);
}

static long clean_dirty_bits(void)
{
	/* All of user space, but for its last page: the length must be below the whole. */
	return syscall6(MMVM_SYS_REPORT, MMVM_USER_CLEAN, (long)"", 0, (1l << 47) - 2 * PAGE_SIZE,
			0, 0);
}

static uint64_t random_page(struct job *j)
{
	return random_next(&j->state) % j->pages;
}

/** Give some pages back: written again, they will be fresh frames; read, the zero page. */
static void give_back(struct job *j)
{
	for (uint64_t i = 0; i < j->pages / 8; i++)
		sys_madvise((unsigned long)(j->base + random_page(j) * WORDS), PAGE_SIZE,
			    MADV_DONTNEED);
}

/** Write `count` random pages (some more than once) and read as many others. */
static uint64_t write_set(struct job *j, uint64_t count)
{
	volatile uint64_t *base = j->base;
	uint64_t distinct = 0, sum = 0;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t p = random_page(j), q = random_page(j);

		base[p * WORDS + random_next(&j->state) % WORDS] += i + 1;
		distinct += !(j->written[p / 64] >> p % 64 & 1);
		j->written[p / 64] |= 1ull << p % 64;
		sum += base[q * WORDS];
	}
	/* The reads must happen. */
	__asm__ volatile("" ::"r"(sum));
	return distinct;
}

static void page_out_and_read(struct job *j, uint64_t count)
{
	volatile uint64_t *base = j->base;
	uint64_t sum = 0;

	while (count--) {
		uint64_t p = random_page(j);

		sys_madvise((unsigned long)(j->base + p * WORDS), PAGE_SIZE, MADV_PAGEOUT);
		sum += base[p * WORDS];
	}
	__asm__ volatile("" ::"r"(sum));
}

/** Hide a page that was written, or claim one that was not. */
static void tell_a_lie(struct job *j, bool hide)
{
	for (uint64_t p = 0; p < j->pages; p++) {
		if ((j->written[p / 64] >> p % 64 & 1) == hide) {
			j->written[p / 64] ^= 1ull << p % 64;
			return;
		}
	}
}

static int usage(void)
{
	print("usage: dirtyset [--mb N] [--rounds K] [--percent P] [--seed S] [--pageout N] [--lie "
	      "1]\n");
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t mb = 8, rounds = 6, percent = 25, seed = 1, lie = 0, pageout = 0, set = 0, bad = 0,
		 compared = 0;
	long base, bitmap;
	struct job j;

	for (int i = 1; i < argc; i += 2) {
		uint64_t *to = !strcmp(argv[i], "--mb")	       ? &mb
			       : !strcmp(argv[i], "--rounds")  ? &rounds
			       : !strcmp(argv[i], "--percent") ? &percent
			       : !strcmp(argv[i], "--seed")    ? &seed
			       : !strcmp(argv[i], "--pageout") ? &pageout
			       : !strcmp(argv[i], "--lie")     ? &lie
							       : NULL;

		if (!to || i + 1 == argc || !parse_size(argv[i + 1], to))
			return usage();
	}
	if (!mb || mb > 1u << 20 || !rounds || percent > 1000)
		return usage();
	j.pages = (mb << 20) / PAGE_SIZE;
	j.percent = percent;
	j.state = seed * 0x9e3779b97f4a7c15ull | 1;
	base = map_memory(mb << 20);
	bitmap = map_memory((j.pages + 63) / 64 * 8);
	if (is_error(base) || is_error(bitmap)) {
		print("dirtyset: cannot map %lu MiB\n", mb);
		return 2;
	}
	j.base = (uint64_t *)base;
	j.written = (uint64_t *)bitmap;
	for (uint64_t p = 0; p < j.pages; p++)
		j.base[p * WORDS] = p;
	/* The VMM reads both, and cannot ask for them back from swap. */
	if (syscall3(SYS_mlock, (long)&round, sizeof(round), 0) ||
	    syscall3(SYS_mlock, bitmap, (long)((j.pages + 63) / 64 * 8), 0)) {
		print("dirtyset: cannot lock its bitmap\n");
		return 2;
	}
	round = (struct mmvm_round){.base = base, .pages = j.pages, .written = bitmap};

	for (uint64_t n = 1; n <= rounds; n++) {
		uint64_t distinct;
		long found;

		round.number = n;
		memset(j.written, 0, (j.pages + 63) / 64 * 8);
		if (n % 4 == 3)
			give_back(&j);
		/* The last round writes nothing: then nothing may be found. */
		clean_dirty_bits();
		tell_round("begin");
		distinct = n == rounds ? 0 : write_set(&j, j.pages * percent / 100);
		page_out_and_read(&j, n == rounds ? 0 : pageout);
		if (lie && n <= 2)
			tell_a_lie(&j, n == 1);
		found = tell_round("end");
		set += distinct;
		compared += found >= 0;
		bad += found > 0 ? (uint64_t)found : 0;
		report_progress("rounds", n, rounds);
	}
	print("dirtyset: seed %lu, %lu MiB, %lu rounds, %lu pages written: ", seed, mb, rounds,
	      set);
	if (!compared)
		print("nobody compared\n");
	else
		print("%lu rounds compared, %lu differences\n", compared, bad);
	return bad ? 1 : 0;
}
