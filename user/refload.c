/*
 * Workloads on which reclaim policies differ, for mmvm policy.
 *
 * refload zipf|loop|scan|phases|mix|fork [--mb N] [--turns K] [--seed S] [--work W] [--alone 1]
 *
 *   zipf    few pages are used often, most seldom (the product of three uniform numbers)
 *   loop    all pages in turn, again and again: the worst case for LRU
 *   scan    an eighth is hot; between its uses the rest is read once, a part at a time
 *   phases  an eighth is used at random for a while, then another eighth
 *   mix     as zipf, while a file of half the size is read from beginning to end
 *   fork    as zipf, every other sixteenth of a turn by a child, which then exits: copy on write
 *
 * Pages are N MiB (default: 5/4 of RAM), numbered in an order unlike that of their addresses, so that
 * read-around does not guess right. A turn is as many uses as there are pages. --alone: misses read one page
 * (vm.page-cluster 0), so that each is a major fault. --work: turns of an empty loop at each use
 * (200): more makes samples of accessed bits finer. Every use checks the page's word.
 *
 * Exit status: 0, 1 a word was wrong, 2 usage or no memory.
 */
#include "files.h"

#define SYS_memfd_create 319

struct load {
	uint64_t *base;
	uint64_t pages, stride, seed;
	uint64_t wrong;
	uint64_t work; /* turns of an empty loop at each use */
};

static void use(struct load *l, uint64_t n)
{
	uint64_t *p = l->base + n * l->stride % l->pages * (PAGE_SIZE / sizeof(*p));

	if (*p && *p != n + 1)
		l->wrong++;
	*p = n + 1;
	/* Something that a program would do with it. */
	for (uint64_t i = 0; i < l->work; i++)
		__asm__ volatile("" ::: "memory");
}

static uint64_t below(struct load *l, uint64_t n)
{
	return random_next(&l->seed) % n;
}

/* Few are drawn often, most seldom. */
static uint64_t skewed(struct load *l)
{
	uint64_t n = l->pages;

	for (int k = 0; k < 3; k++)
		n = n * below(l, 1 << 20) >> 20;
	return n;
}

static void zipf(struct load *l, uint64_t turn)
{
	for (uint64_t i = 0; i < l->pages; i++)
		use(l, skewed(l));
}

static void loop(struct load *l, uint64_t turn)
{
	for (uint64_t i = 0; i < l->pages; i++)
		use(l, i);
}

static void scan(struct load *l, uint64_t turn)
{
	uint64_t hot = l->pages / 8, cold = l->pages - hot;

	for (uint64_t i = 0; i < cold; i++) {
		use(l, hot + i);
		use(l, below(l, hot));
	}
}

static void phases(struct load *l, uint64_t turn)
{
	uint64_t part = l->pages / 8;

	for (uint64_t i = 0; i < l->pages; i++)
		use(l, turn % 8 * part + below(l, part));
}

/* The file of `pages`, made at the first call. */
static int file_of(uint64_t pages)
{
	static char zeroes[PAGE_SIZE];
	static int fd = -1;

	if (fd >= 0)
		return fd;
	fd = (int)syscall3(SYS_memfd_create, (long)"refload", 0, 0);
	for (uint64_t i = 0; i < pages; i++) {
		if (sys_pwrite(fd, zeroes, PAGE_SIZE, (long)(i * PAGE_SIZE)) != PAGE_SIZE) {
			print("refload: no memory for the file\n");
			exit(2);
		}
	}
	return fd;
}

static void mix(struct load *l, uint64_t turn)
{
	static char buf[PAGE_SIZE];
	int fd = file_of(l->pages / 2);

	for (uint64_t i = 0; i < l->pages; i++) {
		use(l, skewed(l));
		if (i % 2 == 0 &&
		    sys_pread(fd, buf, PAGE_SIZE, (long)(i / 2 % (l->pages / 2) * PAGE_SIZE)) !=
			    PAGE_SIZE)
			l->wrong++;
	}
}

static void fork_turn(struct load *l, uint64_t turn)
{
	uint64_t part = l->pages / 16;

	for (int child = 0; child < 8; child++) {
		int status = 0;
		long pid;

		for (uint64_t i = 0; i < part; i++)
			use(l, skewed(l));
		pid = sys_fork();
		if (is_error(pid)) {
			l->wrong++;
			return;
		}
		/* The parent draws the child's numbers, too, so that the next child has others. */
		for (uint64_t i = 0; i < part; i++) {
			uint64_t n = skewed(l);

			if (!pid)
				use(l, n);
		}
		if (!pid)
			exit(l->wrong != 0);
		sys_wait4(pid, &status, 0);
		l->wrong += status != 0;
	}
}

static const struct {
	const char *name;
	void (*turn)(struct load *l, uint64_t turn);
} loads[] = {{"zipf", zipf},	 {"loop", loop}, {"scan", scan},
	     {"phases", phases}, {"mix", mix},	 {"fork", fork_turn}};
#define NR_LOADS (sizeof(loads) / sizeof(loads[0]))

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

static void read_alone(void)
{
	long fd = sys_open("/proc/sys/vm/page-cluster", O_WRONLY, 0);

	if (is_error(fd) || sys_write((int)fd, "0", 1) != 1) {
		print("refload: cannot set vm.page-cluster\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct load l = {.pages = total_ram() / PAGE_SIZE * 5 / 4, .seed = 1, .work = 200};
	uint64_t turns = 4, n;
	unsigned int which = 0;
	long mem;

	if (argc < 2)
		goto usage;
	while (which < NR_LOADS && strcmp(loads[which].name, argv[1]))
		which++;
	if (which == NR_LOADS)
		goto usage;
	for (int i = 2; i < argc; i += 2) {
		if (i + 1 == argc || !parse_size(argv[i + 1], &n))
			goto usage;
		if (!strcmp(argv[i], "--mb"))
			l.pages = (n << 20) / PAGE_SIZE;
		else if (!strcmp(argv[i], "--turns"))
			turns = n;
		else if (!strcmp(argv[i], "--work"))
			l.work = n;
		else if (!strcmp(argv[i], "--alone"))
			read_alone();
		else if (!strcmp(argv[i], "--seed"))
			l.seed = n | 1;
		else
			goto usage;
	}
	if (l.pages < 64)
		goto usage;
	mem = map_memory(l.pages * PAGE_SIZE);
	if (is_error(mem)) {
		print("refload: no memory for %lu pages\n", l.pages);
		return 2;
	}
	l.base = (uint64_t *)mem;
	l.stride = l.pages * 5 / 8 | 1;
	while (gcd(l.stride, l.pages) != 1)
		l.stride += 2;
	for (uint64_t t = 0; t < turns; t++) {
		loads[which].turn(&l, t);
		report_progress(loads[which].name, t + 1, turns);
	}
	print("refload %s: %lu pages, %lu turns, %lu wrong\n", argv[1], l.pages, turns, l.wrong);
	return l.wrong != 0;
usage:
	print("usage: refload zipf|loop|scan|phases|mix|fork [--mb N] [--turns K] [--seed S] "
	      "[--work W] "
	      "[--alone 1]\n");
	return 2;
}
