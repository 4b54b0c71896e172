/*
 * Fragment memory, and let it be compacted:   fragment [PAGES | all] [MS | --lie]
 *
 * Fills PAGES pages (default 4096; all: 256 at a time until no block of 2 MiB is free), frees every other one, has
 * memory compacted (/proc/sys/vm/compact_memory), and reads every page that was kept. Prints the old and the new
 * frame of each page, so that an observer can compare them with the moves that it saw:
 *
 *   page ADDRESS OLD-FRAME NEW-FRAME
 *   blocks BEFORE AFTER      free blocks of 2 MiB or more, of all zones (/proc/buddyinfo)
 *   order9 BEFORE AFTER      1: a fault that may not compact gets a huge page
 *   huge N                   huge pages that could be had afterwards (/proc/sys/vm/nr_hugepages)
 *   host N                   differences between the pages that moved and those that the VMM saw written; or
 *                            "nobody": the VMM does not observe, or this is another kernel
 *   wrong N                  pages whose contents are not what they were
 *
 * The VMM gets the list of the pages that moved, compares it with what it saw (vmm/observe/dirty_exact.c), and answers.
 * With --lie the list lacks one page that moved and has one that did not: the VMM must find both. With MS each state
 * (fragmented, compacted, with the huge page) lasts at least that many milliseconds, so that it can be observed from
 * outside.
 *
 * Exit status: 0 all contents are right, 1 not, 2 a file is missing or there is no memory.
 */
#include "fs.h"
#include "mmvm/testchan.h"

#define BLOCK_ORDER	9
#define HUGE_SIZE	(PAGE_SIZE << BLOCK_ORDER)
#define STEP		256ul	    /* pages that are filled between two looks */
#define MOST		(1ul << 20) /* pages, of "all" */
#define WORDS		(PAGE_SIZE / sizeof(uint64_t))
#define MADV_HUGEPAGE	14
#define MADV_NOHUGEPAGE 15

#define THP "/sys/kernel/mm/transparent_hugepage/"

static char text[8192];

static long read_file(const char *path)
{
	int fd = (int)sys_open(path, O_RDONLY, 0);
	long n;

	if (fd < 0)
		return fd;
	n = sys_read(fd, text, sizeof(text) - 1);
	sys_close(fd);
	text[n > 0 ? n : 0] = 0;
	return n;
}

static long write_file(const char *path, const char *value)
{
	int fd = (int)sys_open(path, O_WRONLY, 0);
	long n;

	if (fd < 0)
		return fd;
	n = sys_write(fd, value, strlen(value));
	sys_close(fd);
	return n;
}

static uint64_t frame_of(int pagemap, unsigned long addr)
{
	uint64_t entry = 0;

	if (sys_pread(pagemap, &entry, sizeof(entry), addr / PAGE_SIZE * sizeof(entry)) !=
	    (long)sizeof(entry))
		return 0;
	return entry >> 63 ? entry & ((1ull << 55) - 1) : 0;
}

/** Free blocks of 2 MiB or more. */
static unsigned long large_blocks(void)
{
	unsigned long sum = 0;

	if (read_file("/proc/buddyinfo") <= 0)
		return 0;
	/* Node 0, zone    DMA32   12  3 ... : eleven numbers after the zone's name */
	for (char *line = text; *line;) {
		unsigned int column = 0;

		while (*line && *line != '\n') {
			unsigned long n = 0;

			while (*line == ' ')
				line++;
			if (column >= 4)
				for (const char *p = line; *p >= '0' && *p <= '9'; p++)
					n = n * 10 + (unsigned long)(*p - '0');
			if (column >= 4 + BLOCK_ORDER)
				sum += n << (column - 4 - BLOCK_ORDER);
			column++;
			while (*line && *line != ' ' && *line != '\n')
				line++;
			while (*line == ' ')
				line++;
		}
		line += *line == '\n';
	}
	return sum;
}

/* In turns of 10 ms: where the host lets us run now and then, whoever looks needs as much longer as we do. */
static void wait_ms(uint64_t ms)
{
	int64_t t[2] = {0, 10000000};

	for (uint64_t turn = 0; turn < (ms + 9) / 10; turn++)
		syscall3(SYS_nanosleep, (long)t, 0, 0);
}

/** Huge pages that a pool of one could get. The pool is emptied again. */
static unsigned long huge_pages(uint64_t ms)
{
	unsigned long n;

	write_file("/proc/sys/vm/nr_hugepages", "1");
	n = read_file("/proc/sys/vm/nr_hugepages") > 0 ? (unsigned long)(text[0] - '0') : 0;
	wait_ms(ms);
	write_file("/proc/sys/vm/nr_hugepages", "0");
	return n;
}

/** Does a fault get a huge page without anything being moved for it? It is given back. */
static unsigned long order9_at_once(int pagemap)
{
	unsigned long region = (unsigned long)map_memory(2 * HUGE_SIZE), addr;
	bool huge;

	if (is_error((long)region))
		return 0;
	addr = (region + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1);
	sys_madvise(addr, HUGE_SIZE, MADV_HUGEPAGE);
	*(volatile char *)addr = 1;
	/* All of it is there after one write. */
	huge = frame_of(pagemap, addr) && frame_of(pagemap, addr + PAGE_SIZE);
	sys_munmap(region, 2 * HUGE_SIZE);
	return huge;
}

struct job {
	uint64_t *base, *frames, *moved;
	uint64_t pages;
	int pagemap;
};

static unsigned long address(const struct job *j, uint64_t i)
{
	return (unsigned long)(j->base + i * WORDS);
}

static uint64_t content(uint64_t i)
{
	return i * 0x9e3779b97f4a7c15ull;
}

/** Fill j->pages pages, or for 0 as many as leave no large block; free every other one. False: no memory. */
static bool make_pieces(struct job *j)
{
	const uint64_t room = j->pages ? j->pages : MOST;
	uint64_t n = 0;

	j->base = (uint64_t *)sys_mmap(0, room * PAGE_SIZE, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
	if (is_error((long)j->base))
		return false;
	sys_madvise((unsigned long)j->base, room * PAGE_SIZE, MADV_NOHUGEPAGE);
	while (n < room && (j->pages || large_blocks()))
		for (uint64_t end = n + STEP; n < end && n < room; n++)
			j->base[n * WORDS] = content(n);
	j->pages = n;
	j->frames = (uint64_t *)map_memory(n * sizeof(*j->frames));
	j->moved = (uint64_t *)map_memory((n + 63) / 64 * sizeof(*j->moved));
	if (is_error((long)j->frames) || is_error((long)j->moved))
		return false;
	memset(j->moved, 0, (n + 63) / 64 * sizeof(*j->moved));
	for (uint64_t i = 1; i < n; i += 2)
		sys_madvise(address(j, i), PAGE_SIZE, MADV_DONTNEED);
	for (uint64_t i = 0; i < n; i += 2)
		j->frames[i] = frame_of(j->pagemap, address(j, i));
	return true;
}

static struct mmvm_round round __attribute__((aligned(64)));

/** From here on the VMM sees what is written. Dirty bits are cleared, as the program itself writes nothing. */
static void begin_round(const struct job *j)
{
	round = (struct mmvm_round){.number = 1,
				    .base = (uint64_t)j->base,
				    .pages = j->pages,
				    .written = (uint64_t)j->moved};
	syscall6(MMVM_SYS_REPORT, MMVM_USER_CLEAN, (long)"", (long)j->base,
		 (long)(j->pages * PAGE_SIZE), 0, 0);
	syscall6(MMVM_SYS_REPORT, MMVM_USER_ROUND, (long)"begin", (long)&round, 0, 0, 0);
}

/* The first page whose bit in `moved` has that value. */
static uint64_t first_page(const struct job *j, unsigned int value)
{
	uint64_t i = 0;

	while (i + 2 < j->pages && (j->moved[i / 64] >> i % 64 & 1) != value)
		i += 2;
	return i;
}

/** Tell the VMM which pages have another frame. Returns how many differences it found, or -errno. */
static long end_round(const struct job *j, bool lie)
{
	for (uint64_t i = 0; i < j->pages; i += 2)
		if (frame_of(j->pagemap, address(j, i)) != j->frames[i])
			j->moved[i / 64] |= 1ull << i % 64;
	if (lie) {
		uint64_t stayed = first_page(j, 0),
			 went = first_page(j, 1); /* both before either is changed */

		j->moved[stayed / 64] ^= 1ull << stayed % 64;
		j->moved[went / 64] ^= 1ull << went % 64;
	}
	return syscall6(MMVM_SYS_REPORT, MMVM_USER_ROUND, (long)"moved", (long)&round, 0, 0, 0);
}

static unsigned long print_pages(const struct job *j)
{
	unsigned long wrong = 0;

	for (uint64_t i = 0; i < j->pages; i += 2) {
		wrong += j->base[i * WORDS] != content(i);
		print("page %lx %lx %lx\n", address(j, i), (unsigned long)j->frames[i],
		      (unsigned long)frame_of(j->pagemap, address(j, i)));
	}
	return wrong;
}

int main(int argc, char **argv)
{
	struct job j = {.pages = 4096};
	unsigned long blocks[2], order9[2], huge, wrong;
	bool lie = argc == 3 && !strcmp(argv[2], "--lie");
	uint64_t ms = 0;
	long host;

	if (argc > 1 && !strcmp(argv[1], "all"))
		j.pages = 0;
	else if (argc > 1 && (!parse_size(argv[1], &j.pages) || !j.pages))
		return 2;
	if (argc > 3 || (argc == 3 && !lie && !parse_size(argv[2], &ms)))
		return 2;
	j.pagemap = (int)sys_open("/proc/self/pagemap", O_RDONLY, 0);
	write_file(THP "enabled", "madvise");
	write_file(THP "defrag", "never");
	if (j.pagemap < 0 || !make_pieces(&j))
		return 2;
	blocks[0] = large_blocks();
	order9[0] = order9_at_once(j.pagemap);
	wait_ms(ms);
	begin_round(&j);
	if (write_file("/proc/sys/vm/compact_memory", "1") < 0)
		return 2;
	host = end_round(&j, lie);
	blocks[1] = large_blocks();
	order9[1] = order9_at_once(j.pagemap);
	wait_ms(ms);
	huge = huge_pages(ms);
	wrong = print_pages(&j);
	print("blocks %lu %lu\norder9 %lu %lu\nhuge %lu\n", blocks[0], blocks[1], order9[0],
	      order9[1], huge);
	if (host < 0)
		print("host nobody\n");
	else
		print("host %ld\n", host);
	print("wrong %lu\n", wrong);
	return wrong ? 1 : 0;
}
