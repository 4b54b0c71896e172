/*
 * Random mmap, munmap, mprotect, madvise and accesses in a window of addresses, compared with a model: an
 * array with the expected state of each page.
 *
 * mapstress [--ops N] [--seed S] [--pages P]
 *
 * After each operation its result is compared with the model's. Pages are read and written all the time,
 * and at the end every page is checked. Accesses that would fault are not made; segv.c tests those.
 *
 * Exit status: 0 all right, 1 a difference (the operation, the page and the seed are printed), 2
 * usage or no memory.
 */
#include "rt.h"

#define MAX_PAGES 1024

enum { UNMAPPED = 0xff };

static struct {
	uint8_t prot;	/* PROT_*, or UNMAPPED */
	uint64_t value; /* first word; 0 = never written, or dropped */
} model[MAX_PAGES];

static unsigned long window;
static uint64_t nr_pages = 256, ops = 2000, seed = 1, rng;
static uint64_t op_nr;
static int failed;

static uint64_t random_below(uint64_t n)
{
	return random_next(&rng) % n;
}

static unsigned long page_addr(uint64_t i)
{
	return window + i * PAGE_SIZE;
}

static void differ(const char *what, uint64_t page, long got, long expected)
{
	if (!failed++)
		print("mapstress: op %lu: %s, page %lu: got %ld, expected %ld (--seed %lu)\n",
		      op_nr, what, page, got, expected, seed);
}

static bool range_mapped(uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++)
		if (model[i].prot == UNMAPPED)
			return false;
	return true;
}

static void model_set(uint64_t first, uint64_t n, int prot, bool zero)
{
	for (uint64_t i = first; i < first + n; i++) {
		model[i].prot = prot;
		if (zero)
			model[i].value = 0;
	}
}

static int random_prot(void)
{
	static const int prots[] = {PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ,
				    PROT_NONE};

	return prots[random_below(4)];
}

static void op_mmap(uint64_t first, uint64_t n)
{
	int prot = random_prot(), flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	bool free = true;
	long got;

	if (random_below(4) == 0) {
		/* Only where nothing is. */
		for (uint64_t i = first; i < first + n; i++)
			free = free && model[i].prot == UNMAPPED;
		got = sys_mmap(page_addr(first), n * PAGE_SIZE, prot,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE);
		if (got != (free ? (long)page_addr(first) : -EEXIST))
			differ("mmap noreplace", first, got,
			       free ? (long)page_addr(first) : -EEXIST);
		if (free)
			model_set(first, n, prot, true);
		return;
	}
	if (random_below(8) == 0)
		flags |= MAP_POPULATE;
	got = sys_mmap(page_addr(first), n * PAGE_SIZE, prot, flags);
	if (got != (long)page_addr(first))
		differ("mmap", first, got, page_addr(first));
	model_set(first, n, prot, true);
}

static void op_munmap(uint64_t first, uint64_t n)
{
	long got = sys_munmap(page_addr(first), n * PAGE_SIZE);

	if (got)
		differ("munmap", first, got, 0);
	model_set(first, n, UNMAPPED, true);
}

static void op_mprotect(uint64_t first, uint64_t n)
{
	int prot = random_prot();
	long got = sys_mprotect(page_addr(first), n * PAGE_SIZE, prot);

	if (range_mapped(first, n)) {
		if (got)
			differ("mprotect", first, got, 0);
		model_set(first, n, prot, false);
		return;
	}
	if (got != -ENOMEM)
		differ("mprotect over a hole", first, got, -ENOMEM);
	/* As Linux does: what lies before the hole has changed. */
	for (uint64_t i = first; i < first + n && model[i].prot != UNMAPPED; i++)
		model[i].prot = prot;
}

static void op_dontneed(uint64_t first, uint64_t n)
{
	bool whole = range_mapped(first, n);
	long got = sys_madvise(page_addr(first), n * PAGE_SIZE, MADV_DONTNEED);

	if (got != (whole ? 0 : -ENOMEM))
		differ("madvise", first, got, whole ? 0 : -ENOMEM);
	/* Holes are reported, and skipped. */
	for (uint64_t i = first; i < first + n; i++)
		model[i].value = 0;
}

static void check_page(uint64_t i)
{
	uint64_t got;

	if (model[i].prot == UNMAPPED || !(model[i].prot & PROT_READ))
		return;
	got = *(volatile uint64_t *)page_addr(i);
	if (got != model[i].value)
		differ("contents", i, got, model[i].value);
	got = *(volatile uint64_t *)(page_addr(i) + PAGE_SIZE - 8);
	if (got != model[i].value)
		differ("contents at the end", i, got, model[i].value);
}

static void op_access(uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++) {
		check_page(i);
		if (model[i].prot == UNMAPPED || !(model[i].prot & PROT_WRITE) ||
		    random_below(3) == 0)
			continue;
		model[i].value = random_next(&rng);
		*(volatile uint64_t *)page_addr(i) = model[i].value;
		*(volatile uint64_t *)(page_addr(i) + PAGE_SIZE - 8) = model[i].value;
	}
}

static void one_op(void)
{
	uint64_t first = random_below(nr_pages);
	uint64_t n = 1 + random_below(random_below(4) ? 8 : nr_pages / 4);

	if (n > nr_pages - first)
		n = nr_pages - first;
	switch (random_below(10)) {
	case 0:
	case 1:
		op_mmap(first, n);
		break;
	case 2:
		op_munmap(first, n);
		break;
	case 3:
	case 4:
		op_mprotect(first, n);
		break;
	case 5:
		op_dontneed(first, n);
		break;
	default:
		op_access(first, n);
	}
}

int main(int argc, char **argv)
{
	long p;

	for (int i = 1; i < argc; i += 2) {
		uint64_t *to = !strcmp(argv[i], "--ops")     ? &ops
			       : !strcmp(argv[i], "--seed")  ? &seed
			       : !strcmp(argv[i], "--pages") ? &nr_pages
							     : NULL;

		if (!to || i + 1 == argc || !parse_size(argv[i + 1], to)) {
			print("usage: mapstress [--ops N] [--seed S] [--pages P]\n");
			return 2;
		}
	}
	if (nr_pages < 8 || nr_pages > MAX_PAGES || !seed)
		return 2;
	rng = seed;
	/* A window with nothing else in it: take it, then give it back. */
	p = map_memory(nr_pages * PAGE_SIZE);
	if (is_error(p))
		return 2;
	window = p;
	model_set(0, nr_pages, PROT_READ | PROT_WRITE, true);

	for (op_nr = 0; op_nr < ops && !failed; op_nr++) {
		one_op();
		if (op_nr % (ops / 16 + 1) == 0)
			report_progress("operations", op_nr, ops);
	}
	for (uint64_t i = 0; i < nr_pages; i++)
		check_page(i);
	print("mapstress: %lu operations on %lu pages, seed %lu: %s\n", op_nr, nr_pages, seed,
	      failed ? "DIFFERENT" : "as the model says");
	return failed ? 1 : 0;
}
