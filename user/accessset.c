/*
 * A program that reports to the VMM which pages it has accessed.
 *
 * accessset [--mb N] [--rounds K] [--percent P] [--phases N] [--ms N] [--seed S]
 *
 * Rounds: the accessed bits of the process are cleared, the VMM gets a record that a round begins, a
 * random set of pages is accessed in random order (most are read, some written), the accessed bits
 * are sampled, and the VMM gets the set. It compares the set with what each of its methods has found
 * (vmm/observe/access_score.c).
 *
 * Phases: a random set is accessed again and again for the given number of milliseconds, then another
 * set. The VMM measures how long each method takes to notice. On a busy machine the time may be too short,
 * so a phase lasts until the methods that see every access have noticed, at most ten times as long.
 *
 * If the kernel or the VMM does not support rounds, nothing is compared, and the program says so.
 *
 * Exit status: 0; 2 usage or no memory.
 */
#include "mmvm/testchan.h"
#include "rt.h"

#define WORDS (PAGE_SIZE / sizeof(uint64_t))

/* Read by the VMM. */
static struct mmvm_round round __attribute__((aligned(64)));

struct job {
	volatile uint64_t *base;
	uint64_t *set; /* bits by page */
	uint64_t pages, percent, state, sum;
};

static long tell(const char *phase)
{
	return syscall6(MMVM_SYS_REPORT, MMVM_USER_ROUND, (long)phase, (long)&round, 0, 0, 0);
}

static long sample_accessed_bits(void)
{
	return syscall6(MMVM_SYS_REPORT, MMVM_USER_ACCESS, (long)"", 0, 0, 0, 0);
}

static void choose_set(struct job *j)
{
	memset(j->set, 0, (j->pages + 63) / 64 * 8);
	for (uint64_t i = 0; i < j->pages * j->percent / 100; i++) {
		uint64_t p = random_next(&j->state) % j->pages;

		j->set[p / 64] |= 1ull << p % 64;
	}
}

/** One in four is written. */
static void access_page(struct job *j, uint64_t page)
{
	uint64_t r = random_next(&j->state);
	volatile uint64_t *word = &j->base[page * WORDS + r % WORDS];

	if (r >> 32 & 3)
		j->sum += *word;
	else
		*word = r;
}

static uint64_t access_set(struct job *j)
{
	uint64_t n = 0;

	for (uint64_t p = 0; p < j->pages; p++) {
		if (j->set[p / 64] >> p % 64 & 1) {
			access_page(j, p);
			n++;
		}
	}
	return n;
}

static long one_round(struct job *j, uint64_t *accessed)
{
	/* The last of these is the program's own memory, not the region's: it may be looked at. */
	sample_accessed_bits();
	tell("access-begin");
	*accessed += access_set(j);
	sample_accessed_bits();
	return tell("access-end");
}

static long one_phase(struct job *j, uint64_t ms)
{
	long sampled = tell("access-phase");

	uint64_t begin = now_ns(), least = ms * 1000000;

	while (now_ns() - begin < least ||
	       (tell("access-lag") > 0 && now_ns() - begin < 10 * least))
		access_set(j);
	return sampled;
}

static int usage(void)
{
	print("usage: accessset [--mb N] [--rounds K] [--percent P] [--phases N] [--ms N] "
	      "[--seed S]\n");
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t mb = 8, rounds = 4, phases = 0, ms = 1000, seed = 1, accessed = 0, compared = 0,
		 sampled = 0;
	struct job j = {.percent = 25};
	long base, bitmap;

	for (int i = 1; i < argc; i += 2) {
		uint64_t *to = !strcmp(argv[i], "--mb")	       ? &mb
			       : !strcmp(argv[i], "--rounds")  ? &rounds
			       : !strcmp(argv[i], "--percent") ? &j.percent
			       : !strcmp(argv[i], "--phases")  ? &phases
			       : !strcmp(argv[i], "--ms")      ? &ms
			       : !strcmp(argv[i], "--seed")    ? &seed
							       : NULL;

		if (!to || i + 1 == argc || !parse_size(argv[i + 1], to))
			return usage();
	}
	if (!mb || mb > 1u << 20 || j.percent > 1000)
		return usage();
	j.pages = (mb << 20) / PAGE_SIZE;
	j.state = seed * 0x9e3779b97f4a7c15ull | 1;
	base = map_memory(mb << 20);
	bitmap = map_memory((j.pages + 63) / 64 * 8);
	if (is_error(base) || is_error(bitmap)) {
		print("accessset: cannot map %lu MiB\n", mb);
		return 2;
	}
	j.base = (uint64_t *)base;
	j.set = (uint64_t *)bitmap;
	for (uint64_t p = 0; p < j.pages; p++)
		j.base[p * WORDS] = p;
	round = (struct mmvm_round){.base = base, .pages = j.pages, .written = bitmap};

	for (uint64_t n = 1; n <= rounds + phases; n++) {
		round.number = n;
		choose_set(&j);
		if (n <= rounds)
			compared += one_round(&j, &accessed) > 0;
		else
			sampled += one_phase(&j, ms) > 0;
		report_progress("rounds", n, rounds + phases);
	}
	print("accessset: seed %lu, %lu MiB, %lu rounds, %lu pages accessed: ", seed, mb, rounds,
	      accessed);
	if (!compared && !sampled)
		print("nobody compared\n");
	else
		print("%lu rounds compared, %lu of %lu phases sampled\n", compared, sampled,
		      phases);
	return 0;
}
