/*
 * Files mapped into programs: what reads, writes, other mappings and other processes see of each
 * other, the end of the file, and what mmap(2) refuses. Each case has one correct answer, so the
 * program passes on Linux, too.
 *
 *   mapfile [FILE]     FILE is created and removed (default /tmp/mapfile)
 *
 * Exit status: 0 all as expected, 1 not (each difference is printed).
 */
#include "rt.h"

#define SYS_read	 0
#define SYS_open	 2
#define SYS_close	 3
#define SYS_rt_sigaction 13
#define SYS_pread64	 17
#define SYS_pwrite64	 18
#define SYS_msync	 26
#define SYS_mincore	 27
#define SYS_fork	 57
#define SYS_wait4	 61
#define SYS_ftruncate	 77
#define SYS_mkdir	 83
#define SYS_unlink	 87
#define SYS_memfd_create 319
#define O_RDONLY	 0
#define O_WRONLY	 1
#define O_RDWR		 2
#define O_CREAT		 0100
#define O_TRUNC		 01000
#define O_APPEND	 02000
#define MS_SYNC		 4
#define EBADF		 9
#define ENODEV		 19
#define EOVERFLOW	 75
#define SIGBUS		 7
#define PAGES		 32

static int different;
static const char *path = "/tmp/mapfile";

static void expect(const char *what, long got, long want)
{
	if (got == want)
		return;
	print("mapfile: %s: got %ld, expected %ld\n", what, got, want);
	different++;
}

static long map_fd(int prot, int flags, long fd, long page, long pages)
{
	return syscall6(SYS_mmap, 0, pages * PAGE_SIZE, prot, flags, fd, page * PAGE_SIZE);
}

static long open_file(int flags)
{
	return syscall3(SYS_open, (long)path, flags, 0600);
}

static unsigned long read_word(long fd, long page)
{
	unsigned long v = 0;

	expect("pread", syscall6(SYS_pread64, fd, (long)&v, sizeof(v), page * PAGE_SIZE, 0, 0),
	       sizeof(v));
	return v;
}

static void write_word(long fd, long page, unsigned long v)
{
	expect("pwrite", syscall6(SYS_pwrite64, fd, (long)&v, sizeof(v), page * PAGE_SIZE, 0, 0),
	       sizeof(v));
}

static volatile unsigned long *word(long at, long page)
{
	return (volatile unsigned long *)(at + page * PAGE_SIZE);
}

/* Ends a child with status 7 when it touches what is beyond the end; returns the child's status. */
static long touch_in_child(long at, long page, bool write)
{
	int status = -1;

	if (!syscall3(SYS_fork, 0, 0, 0)) {
		if (write)
			*word(at, page) = 1;
		else
			(void)*word(at, page);
		exit(0);
	}
	syscall6(SYS_wait4, -1, (long)&status, 0, 0, 0, 0);
	return status;
}

static void views_agree(long fd)
{
	long shared, own, at;
	int status = -1;

	for (long i = 0; i < PAGES; i++)
		write_word(fd, i, 1000 + i);
	shared = map_fd(PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, PAGES);
	own = map_fd(PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0, PAGES);
	expect("mmap", is_error(shared) || is_error(own), 0);
	if (is_error(shared) || is_error(own))
		return;
	for (long i = 0; i < PAGES; i++)
		expect("through the mapping", *word(shared, i), 1000 + i);
	write_word(fd, 3, 33);
	expect("after a write to the file", *word(shared, 3), 33);
	expect("private, untouched", *word(own, 3), 33);
	*word(shared, 4) = 44;
	expect("read from the file", read_word(fd, 4), 44);
	*word(own, 5) = 55;
	expect("a private write is not in the file", read_word(fd, 5), 1005);
	write_word(fd, 5, 56);
	expect("nor is the file in a private copy", *word(own, 5), 55);
	if (!syscall3(SYS_fork, 0, 0, 0)) {
		*word(shared, 6) = 66;
		*word(own, 7) = 77;
		exit(*word(own, 5) == 55 ? 0 : 1);
	}
	syscall6(SYS_wait4, -1, (long)&status, 0, 0, 0, 0);
	expect("child", status, 0);
	expect("shared with the child", *word(shared, 6), 66);
	expect("private to the child", *word(own, 7), 1007);
	expect("msync", syscall3(SYS_msync, shared, PAGES * PAGE_SIZE, MS_SYNC), 0);
	at = map_fd(PROT_READ, MAP_SHARED, fd, 6, 1);
	expect("at an offset", *word(at, 0), 66);
	sys_munmap(at, PAGE_SIZE);
	sys_munmap(own, PAGES * PAGE_SIZE);
	sys_munmap(shared, PAGES * PAGE_SIZE);
}

static void the_end(long fd)
{
	long shared = map_fd(PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, PAGES + 2);
	long own = map_fd(PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0, PAGES + 2);

	expect("read behind the end", touch_in_child(shared, PAGES, false), SIGBUS);
	expect("write behind the end", touch_in_child(shared, PAGES + 1, true), SIGBUS);
	expect("copy behind the end", touch_in_child(own, PAGES, true), SIGBUS);
	*word(own, 20) = 1;
	*word(shared, 20) = 2;
	*word(shared, 10) = 3;
	word(shared, 10)[100] = 4;
	expect("ftruncate", syscall3(SYS_ftruncate, fd, 10 * PAGE_SIZE + 8, 0), 0);
	expect("truncated, shared", touch_in_child(shared, 20, false), SIGBUS);
	expect("truncated, private", touch_in_child(own, 20, false), SIGBUS);
	expect("before the end", *word(shared, 10), 3);
	expect("behind it in its page", word(shared, 10)[100], 0);
	expect("ftruncate back", syscall3(SYS_ftruncate, fd, PAGES * PAGE_SIZE, 0), 0);
	expect("zero where it was cut", *word(shared, 20), 0);
	expect("and in the copy's place", *word(own, 20), 0);
	sys_munmap(own, (PAGES + 2) * PAGE_SIZE);
	sys_munmap(shared, (PAGES + 2) * PAGE_SIZE);
}

static void refused(void)
{
	long rd = open_file(O_RDONLY), wr = open_file(O_WRONLY), ap = open_file(O_RDWR | O_APPEND),
	     at;

	expect("no such descriptor", map_fd(PROT_READ, MAP_PRIVATE, 99, 0, 1), -EBADF);
	expect("shared and writable of a reader",
	       map_fd(PROT_READ | PROT_WRITE, MAP_SHARED, rd, 0, 1), -EACCES);
	expect("of a writer", map_fd(PROT_READ, MAP_PRIVATE, wr, 0, 1), -EACCES);
	expect("offset within a page",
	       syscall6(SYS_mmap, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE, rd, 100), -EINVAL);
	expect("offset beyond all files",
	       syscall6(SYS_mmap, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE, rd, 0x7ffffffffffff000),
	       -EOVERFLOW);
	expect("no kind", map_fd(PROT_READ, 0, rd, 0, 1), -EINVAL);
	expect("a bit too much", map_fd(PROT_READ, 3 | 0x80000, rd, 0, 1), -95);
	at = map_fd(PROT_READ, MAP_SHARED, rd, 0, 1);
	expect("shared of a reader", is_error(at), 0);
	expect("never writable", sys_mprotect(at, PAGE_SIZE, PROT_READ | PROT_WRITE), -EACCES);
	syscall3(SYS_close, rd, 0, 0);
	expect("when the file is closed", *word(at, 0) != 0, 1);
	sys_munmap(at, PAGE_SIZE);
	at = map_fd(PROT_READ | PROT_WRITE, MAP_SHARED, ap, 0, 1);
	expect("of an appender", is_error(at), 0);
	sys_munmap(at, PAGE_SIZE);
	syscall3(SYS_close, wr, 0, 0);
	syscall3(SYS_close, ap, 0, 0);
}

static void memory_files(void)
{
	long fd = syscall3(SYS_memfd_create, (long)"x", 0, 0), one, two;

	expect("memfd", is_error(fd), 0);
	if (is_error(fd))
		return;
	expect("size", syscall3(SYS_ftruncate, fd, 4 * PAGE_SIZE, 0), 0);
	one = map_fd(PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, 4);
	two = map_fd(PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, 4);
	*word(one, 1) = 9;
	expect("second mapping", *word(two, 1), 9);
	expect("through the descriptor", read_word(fd, 1), 9);
	syscall3(SYS_close, fd, 0, 0);
	expect("closed", *word(two, 1), 9);
	sys_munmap(one, 4 * PAGE_SIZE);
	sys_munmap(two, 4 * PAGE_SIZE);
}

static void zeroes(void)
{
	long fd = syscall3(SYS_open, (long)"/dev/zero", O_RDWR, 0), at;

	if (is_error(fd))
		return; /* no devices here */
	at = map_fd(PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0, 4);
	expect("private /dev/zero", is_error(at), 0);
	*word(at, 1) = 1;
	expect("a word of it", *word(at, 2), 0);
	sys_munmap(at, 4 * PAGE_SIZE);
	at = map_fd(PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, 4);
	expect("shared /dev/zero", is_error(at), 0);
	expect("a child writes", touch_in_child(at, 3, true), 0);
	expect("and is seen", *word(at, 3), 1);
	sys_munmap(at, 4 * PAGE_SIZE);
	syscall3(SYS_close, fd, 0, 0);
}

int main(int argc, char **argv)
{
	long fd;

	if (argc > 1)
		path = argv[1];
	else
		syscall3(SYS_mkdir, (long)"/tmp", 01777, 0);
	fd = open_file(O_RDWR | O_CREAT | O_TRUNC);
	if (is_error(fd)) {
		print("mapfile: %s: %ld\n", path, fd);
		return 1;
	}
	views_agree(fd);
	the_end(fd);
	write_word(fd, 0, 1);
	refused();
	memory_files();
	zeroes();
	syscall3(SYS_close, fd, 0, 0);
	syscall3(SYS_unlink, (long)path, 0, 0);
	return different != 0;
}
