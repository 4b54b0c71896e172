/*
 * A disk's own file through the page cache:   devtest DISK check SEED | write SEED fsync|nothing|wait
 *
 * Each word of the disk is computed from its place and a seed, so that the host can compute it as well
 * (tests/vm/devfile.sh). `write` writes the whole disk in pieces of odd sizes and in no order. After that it calls
 * fsync; or does nothing, so that the data are written when the machine ends; or, with `wait`, calls fsync, prints
 * that it has returned, and waits to be killed. Exit status 0: all was as expected.
 */
#include "fs.h"

#define PIECE	  24000u
#define SYS_fsync 74
#define SYS_lseek 8

static uint64_t buf[PIECE / 8 + 1];

static void fail(const char *what, long r)
{
	print("devtest: %s: %ld\n", what, r);
	exit(1);
}

static uint64_t word(uint64_t pos, uint64_t seed)
{
	return pos * 16 + seed;
}

static void write_all(int fd, uint64_t size, uint64_t seed)
{
	unsigned long pieces = (size + PIECE - 1) / PIECE, step = pieces / 2 | 1;

	while (pieces % step == 0 && step > 1)
		step += 2; /* so that every piece has its turn */
	for (unsigned long i = 0, at = 0; i < pieces; i++, at = (at + step) % pieces) {
		uint64_t pos = at * PIECE;
		long n = size - pos < PIECE ? size - pos : PIECE, r;

		for (long w = 0; w < n / 8; w++)
			buf[w] = word(pos + w * 8, seed);
		r = syscall6(18 /* pwrite64 */, fd, (long)buf, n, pos, 0, 0);
		if (r != n)
			fail("pwrite", r);
	}
}

static void check_all(int fd, uint64_t size, uint64_t seed)
{
	for (uint64_t pos = 0; pos < size;) {
		long r = sys_read(fd, buf, PIECE);

		if (r <= 0)
			fail("read", r);
		for (long w = 0; w < r / 8; w++)
			if (buf[w] != word(pos + w * 8, seed))
				fail("wrong word at", pos + w * 8);
		pos += r;
	}
	if (sys_read(fd, buf, PIECE) != 0)
		fail("there is something behind the end", 0);
}

int main(int argc, char **argv)
{
	uint64_t seed;
	long fd, size;

	if (argc < 4 || !parse_size(argv[3], &seed))
		fail("DISK check|write SEED", argc);
	fd = sys_open(argv[1], O_RDWR, 0);
	if (is_error(fd))
		fail(argv[1], fd);
	size = syscall3(SYS_lseek, fd, 0, 2);
	if (size <= 0 || syscall3(SYS_lseek, fd, 0, 0))
		fail("lseek", size);
	if (!strcmp(argv[2], "check")) {
		check_all(fd, size, seed);
	} else {
		write_all(fd, size, seed);
		check_all(fd, size, seed);
		if (argc > 4 && strcmp(argv[4], "nothing")) {
			long r = syscall3(SYS_fsync, fd, 0, 0);

			if (r)
				fail("fsync", r);
		}
	}
	print("devtest: done, %ld bytes\n", size);
	if (argc > 4 && !strcmp(argv[4], "wait"))
		for (;;)
			syscall3(34 /* pause */, 0, 0, 0);
	return 0;
}
