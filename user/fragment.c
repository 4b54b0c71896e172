/*
 * Memory in pieces, and made whole again:   fragment [PAGES]
 *
 * Fills PAGES pages (default 4096), frees every other one, has memory compacted
 * (/proc/sys/vm/compact_memory), and reads every page that was kept. Says of each where it was and where
 * it is now, so that somebody else can tell whether the moves he saw explain it:
 *
 *   page ADDRESS OLD-FRAME NEW-FRAME
 *   blocks BEFORE AFTER      free blocks of 2 MiB or more, of all zones (/proc/buddyinfo)
 *   huge N                   huge pages that could be had afterwards (/proc/sys/vm/nr_hugepages)
 *   wrong N                  pages whose contents are not what they were
 *
 * Exit status: 0 all contents are right, 1 not, 2 a file is missing or there is no memory.
 */
#include "fs.h"

#define BLOCK_ORDER 9

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

/** Huge pages that a pool of one could get. The pool is emptied again. */
static unsigned long huge_pages(void)
{
	unsigned long n;

	write_file("/proc/sys/vm/nr_hugepages", "1");
	n = read_file("/proc/sys/vm/nr_hugepages") > 0 ? (unsigned long)(text[0] - '0') : 0;
	write_file("/proc/sys/vm/nr_hugepages", "0");
	return n;
}

int main(int argc, char **argv)
{
	unsigned long blocks[2], huge, wrong = 0;
	uint64_t pages = 4096;
	uint64_t *base, *frames;
	int pagemap;

	if (argc > 1 && !parse_size(argv[1], &pages))
		return 2;
	pagemap = (int)sys_open("/proc/self/pagemap", O_RDONLY, 0);
	base = (uint64_t *)map_memory(pages * PAGE_SIZE);
	frames = (uint64_t *)map_memory(pages * sizeof(*frames));
	if (pagemap < 0 || is_error((long)base) || is_error((long)frames))
		return 2;
	memset(frames, 0, pages * sizeof(*frames));
	for (unsigned long i = 0; i < pages; i++)
		base[i * (PAGE_SIZE / 8)] = i * 0x9e3779b97f4a7c15ull;
	for (unsigned long i = 1; i < pages; i += 2)
		sys_madvise((unsigned long)(base + i * (PAGE_SIZE / 8)), PAGE_SIZE, MADV_DONTNEED);
	for (unsigned long i = 0; i < pages; i += 2)
		frames[i] = frame_of(pagemap, (unsigned long)(base + i * (PAGE_SIZE / 8)));
	blocks[0] = large_blocks();
	if (write_file("/proc/sys/vm/compact_memory", "1") < 0)
		return 2;
	blocks[1] = large_blocks();
	for (unsigned long i = 0; i < pages; i += 2) {
		unsigned long addr = (unsigned long)(base + i * (PAGE_SIZE / 8));

		wrong += base[i * (PAGE_SIZE / 8)] != i * 0x9e3779b97f4a7c15ull;
		print("page %lx %lx %lx\n", addr, (unsigned long)frames[i],
		      (unsigned long)frame_of(pagemap, addr));
	}
	huge = huge_pages();
	print("blocks %lu %lu\nhuge %lu\nwrong %lu\n", blocks[0], blocks[1], huge, wrong);
	return wrong ? 1 : 0;
}
