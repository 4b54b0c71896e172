/*
 * The load for `mmvm bench fault`: it causes each kind of fault by accesses to memory, one for each page,
 * and measures the time of each. The VMM stores the times, and prepares the faults that the host handles.
 *
 * bench_fault --pages N --rounds R
 *
 * For each kind in each round a record MMVM_REC_ROUND named "begin:KIND" before the first access and
 * "end:KIND" after the last: base, pages: the region; written: address of `pages` words of 64 bits,
 * the ticks of the TSC for each access; number: the round. Kinds:
 *
 *   none       the page is there                      anon     first write to a page
 *   zero       first read of a page                   cow      write after that read
 *   swap       read of a page that was swapped out: those that needed the disk, one record "part"
 *   swap_ahead    a word; those that were read ahead already are of a kind of their own
 *   cow_fork   write to a page that a child shares: its own copy
 *   shared     first write to a page of shared memory
 *   file       read of a page that the page cache has, which maps its neighbours, too: one of each
 *              aligned sixteen
 *   s2_mapped  the VMM has taken the page out of the second stage, and the host has it mapped; one
 *              page of each aligned eight, because KVM's shadows take what is mapped of eight at once
 *   s2_cached  and not mapped either                  s2_none  and the host's page is gone
 *   wp         the VMM's dirty log protects the page
 *
 *   page of the region: | word | ...     order: a permutation, the same for all kinds
 *
 * Each round is a separate process, so that it does not profit from page tables, caches and free pages
 * that the round before has left. It touches its data first, so that they do not fault later.
 *
 * Exit status: 0, 1 when the VMM does not answer or a word is wrong, 2 usage or no memory.
 */
#include "mmvm/testchan.h"
#include "rt.h"

#define MADV_PAGEOUT 21
#define SYS_pause    34
#define SYS_fork     57
#define SYS_wait4    61
#define SYS_kill     62
#define SIGKILL	     9
#define MAX_PAGES    1024ul

static struct mmvm_round round __attribute__((aligned(64)));
static uint64_t sample[MAX_PAGES], ahead[MAX_PAGES];
static uint32_t order[MAX_PAGES];
static uint32_t rank[MAX_PAGES]; /* order, the other way */
static volatile uint64_t sink;
static char *base;
static uint64_t pages = 128;

static void tell(const char *when, const char *kind, const uint64_t *samples, uint64_t n)
{
	char name[32];
	size_t len = strlen(when);

	memcpy(name, when, len);
	memcpy(name + len, kind, strlen(kind) + 1);
	round.base = (uint64_t)base;
	round.pages = n;
	round.written = (uint64_t)samples;
	if (syscall6(MMVM_SYS_REPORT, MMVM_USER_ROUND, (long)name, (long)&round, 0, 0, 0) < 0) {
		print("bench_fault: the VMM refuses \"%s\"\n", name);
		exit(1);
	}
}

static inline uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static volatile uint64_t *word(uint64_t i)
{
	return (volatile uint64_t *)(base + order[i] * PAGE_SIZE);
}

static uint64_t timed_read(uint64_t i)
{
	volatile uint64_t *p = word(i);
	uint64_t start = ticks();

	sink = *p;
	return ticks() - start;
}

static uint64_t timed_write(uint64_t i)
{
	volatile uint64_t *p = word(i);
	uint64_t start = ticks();

	*p = i + 1;
	return ticks() - start;
}

/** After a fork: pages of this program's that are written later are its own. */
static void touch_data(void)
{
	memset(sample, 1, sizeof(sample));
	memset(ahead, 1, sizeof(ahead));
	sink = 0;
	*(volatile uint64_t *)&round.pages = 0;
}

/** Only one page of each aligned `spread` of them. */
static void measure(const char *kind, uint64_t (*access)(uint64_t i), unsigned int spread)
{
	uint64_t n = 0;

	/* The samples' own pages are not to fault in between. */
	memset(sample, 1, sizeof(sample));
	tell("begin:", kind, sample, pages);
	for (uint64_t i = 0; i < pages; i++)
		if ((uint64_t)word(i) / PAGE_SIZE % spread == 0)
			sample[n++] = access(i);
	tell("end:", kind, sample, n);
}

static void advise(int advice)
{
	long r = sys_madvise((unsigned long)base, pages * PAGE_SIZE, advice);

	if (r) {
		print("bench_fault: advice %d: error %ld\n", advice, r);
		exit(1);
	}
}

static long major_faults(void)
{
	long n = vm_event("pgmajfault");

	if (n < 0) {
		print("bench_fault: no count of major faults\n");
		exit(1);
	}
	return n;
}

/** Pages that were written go to swap, all of them, and come back. */
static void measure_swap(void)
{
	uint64_t slow = 0, fast = 0;
	long before, now;

	advise(MADV_PAGEOUT);
	tell("begin:", "swap", sample, 0);
	before = major_faults();
	for (uint64_t n = 0; n < pages; n++) {
		/* by rising address in every second round, so that there is something to read ahead */
		uint64_t i = round.number % 2 ? rank[n] : n;
		uint64_t t = timed_read(i);

		now = major_faults();
		if (now != before)
			sample[slow++] = t;
		else
			ahead[fast++] = t;
		before = now;
		if (sink != i + 1) {
			print("bench_fault: page %lu came back with %lx\n", i, sink);
			exit(1);
		}
	}
	tell("part:", "swap_ahead", ahead, fast);
	tell("end:", "swap", sample, slow);
}

static void shuffle(void)
{
	uint64_t seed = 0x9e3779b97f4a7c15ull;

	for (uint32_t i = 0; i < pages; i++)
		order[i] = i;
	for (uint64_t i = pages - 1; i; i--) {
		uint64_t j = random_next(&seed) % (i + 1);
		uint32_t t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	for (uint32_t i = 0; i < pages; i++)
		rank[order[i]] = i;
}

static long fork_or_die(void)
{
	long child = syscall3(SYS_fork, 0, 0, 0);

	if (is_error(child)) {
		print("bench_fault: fork: error %ld\n", child);
		exit(2);
	}
	return child;
}

static void measure_cow_fork(void)
{
	long child = fork_or_die();

	if (!child)
		for (;;)
			syscall3(SYS_pause, 0, 0, 0);
	/* What is ours beside the region is copied now. */
	touch_data();
	measure("cow_fork", timed_write, 1);
	syscall3(SYS_kill, child, SIGKILL, 0);
	syscall6(SYS_wait4, child, 0, 0, 0, 0, 0);
}

/** Shared memory is a file in the page cache; without its PTEs it is found there. */
static void measure_file(void)
{
	char *keep = base;
	long r = sys_mmap(0, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);

	if (is_error(r))
		exit(2);
	base = (char *)r;
	measure("shared", timed_write, 1);
	advise(MADV_DONTNEED);
	measure("file", timed_read, 16);
	sys_munmap(r, pages * PAGE_SIZE);
	base = keep;
}

static void one_round(void)
{
	/* A page beyond stays, so that the last table of PTEs does. */
	long r = map_memory((pages + 1) * PAGE_SIZE);

	if (is_error(r))
		exit(2);
	base = (char *)r;
	base[pages * PAGE_SIZE] = 1;
	touch_data();
	measure("zero", timed_read, 1);
	measure("cow", timed_write, 1);
	advise(MADV_DONTNEED);
	measure("anon", timed_write, 1);
	measure("none", timed_write, 1);
	measure_cow_fork();
	measure_file();
	measure_swap();
	/* Writable again, in page tables too, for what follows. */
	for (uint64_t i = 0; i < pages; i++)
		*word(i) = i + 1;
	measure("s2_mapped", timed_write, 8);
	measure("s2_cached", timed_write, 1);
	measure("wp", timed_write, 1);
	measure("s2_none", timed_write, 1);
}

int main(int argc, char **argv)
{
	uint64_t rounds = 2;

	for (int i = 1; i < argc; i += 2) {
		uint64_t *to = !strcmp(argv[i], "--pages")    ? &pages
			       : !strcmp(argv[i], "--rounds") ? &rounds
							      : NULL;

		if (!to || i + 1 == argc || !parse_size(argv[i + 1], to) || !*to) {
			print("usage: bench_fault [--pages N] [--rounds R]\n");
			return 2;
		}
	}
	if (pages < 16 || pages > MAX_PAGES) {
		print("bench_fault: from 16 to %lu pages\n", MAX_PAGES);
		return 2;
	}
	shuffle();
	for (round.number = 0; round.number < rounds; round.number++) {
		long child = fork_or_die();
		int status = -1;

		if (!child) {
			one_round();
			exit(0);
		}
		syscall6(SYS_wait4, child, (long)&status, 0, 0, 0, 0);
		if (status)
			return status >> 8 & 0xff ? status >> 8 & 0xff : 1;
	}
	return 0;
}
