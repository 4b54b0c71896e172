/*
 * /proc/PID/clear_refs and the soft-dirty bits of pagemap, as a transcript: run unchanged on Linux and on
 * guestmm, the two must be equal (tests/vm/conform_softdirty.sh). As root.
 *
 * An area of pages is shown as one letter each:  -  nothing there    c  there, not soft-dirty
 *                                                N  nothing there, but soft-dirty    S  there, soft-dirty
 */
#include "transcript.h"

#define AT	   0x100000000000ul
#define ELSEWHERE  0x200000000000ul
#define SOFT_DIRTY (1ull << 55)
#define PRESENT	   (3ull << 62) /* or in swap */
#define MAYMOVE	   1
#define FIXED_MOVE 3
#define MADV_HUGE  14
#define RW	   (PROT_READ | PROT_WRITE)
#define PRIVATE	   (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
#define SHARED	   (MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED)

static unsigned long page(unsigned long i)
{
	return AT + i * PAGE_SIZE;
}

static void show_at(const char *what, unsigned long addr, unsigned long n)
{
	static uint64_t entry[1024];
	char line[80];
	long fd = sys_open("/proc/self/pagemap", O_RDONLY, 0);

	sys_pread(fd, entry, n * 8, (long)(addr / PAGE_SIZE * 8));
	sys_close(fd);
	for (unsigned long i = 0; i < n; i++)
		line[i] = entry[i] & SOFT_DIRTY ? (entry[i] & PRESENT ? 'S' : 'N')
						: (entry[i] & PRESENT ? 'c' : '-');
	line[n] = 0;
	print("%s: %s\n", what, line);
}
static void show(const char *what, unsigned long n)
{
	show_at(what, AT, n);
}

static long clear(const char *what)
{
	return write_file("/proc/self/clear_refs", what);
}
static void write_page(unsigned long i)
{
	*(volatile char *)page(i) = (char)(i + 1);
}
static void read_page(unsigned long i)
{
	(void)*(volatile char *)page(i);
}
static void map(unsigned long n, int prot, int flags)
{
	T(sys_mmap(AT, n * PAGE_SIZE, prot, flags));
}
static void done(unsigned long n)
{
	T(sys_munmap(AT, n * PAGE_SIZE));
}

static void private_memory(void)
{
	print("# private memory\n");
	map(8, RW, PRIVATE);
	show("new", 8);
	write_page(1);
	read_page(2);
	show("touched", 8);
	T(clear("4\n"));
	show("cleared", 8);
	read_page(1);
	read_page(3);
	show("read", 8);
	write_page(1);
	write_page(2);
	write_page(5);
	show("written", 8);
	T(clear("4"));
	write_page(5);
	show("one", 8);
	/* Given up: a hole of an old mapping. */
	T(sys_madvise(page(5), PAGE_SIZE, MADV_DONTNEED));
	show("given up", 8);
	T(sys_mprotect(page(0), 4 * PAGE_SIZE, PROT_READ));
	T(sys_mprotect(page(0), 4 * PAGE_SIZE, RW));
	show("rights to and fro", 8);
	write_page(1);
	show("then written", 8);
	/* The kernel writes for the program. */
	T(clear("4"));
	T(syscall3(SYS_uname, (long)page(2), 0, 0));
	show("by the kernel", 8);
	done(8);
	show("unmapped", 8);
}

static void neighbours(void)
{
	print("# a new mapping beside an old one\n");
	map(4, RW, PRIVATE);
	write_page(1);
	T(clear("4"));
	show("old", 8);
	T(sys_mmap(page(4), 4 * PAGE_SIZE, RW, PRIVATE));
	show("with the new one", 8);
	T(clear("4"));
	T(sys_mmap(page(4), 2 * PAGE_SIZE, PROT_READ, PRIVATE));
	show("rights apart", 8);
	done(8);
}

static void child(long arg)
{
	show("child", 6);
	write_page(1);
	write_page(2);
	show("child wrote", 6);
	T(clear("4"));
	show("child cleared", 6);
}

static void forks(void)
{
	print("# fork\n");
	map(6, RW, PRIVATE);
	for (unsigned long i = 0; i < 4; i++)
		write_page(i);
	T(clear("4"));
	write_page(3);
	show("parent", 6);
	T(in_child(child, 0));
	show("after the child", 6);
	write_page(0);
	show("parent wrote", 6);
	done(6);
}

static void moves(void)
{
	print("# mremap\n");
	map(4, RW, PRIVATE);
	write_page(0);
	write_page(2);
	T(clear("4"));
	T(syscall6(SYS_mremap, AT, 4 * PAGE_SIZE, 4 * PAGE_SIZE, FIXED_MOVE, ELSEWHERE, 0));
	show("from", 4);
	show_at("to", ELSEWHERE, 4);
	T(clear("4"));
	T(syscall6(SYS_mremap, ELSEWHERE, 4 * PAGE_SIZE, 6 * PAGE_SIZE, 0, 0, 0));
	show_at("grown", ELSEWHERE, 6);
	T(sys_munmap(ELSEWHERE, 6 * PAGE_SIZE));
}

static void shared_memory(void)
{
	print("# shared memory\n");
	map(6, RW, SHARED);
	show("new", 6);
	write_page(0);
	read_page(1);
	write_page(2);
	show("touched", 6);
	T(clear("4"));
	show("cleared", 6);
	read_page(0);
	read_page(3);
	show("read", 6);
	write_page(0);
	write_page(3);
	write_page(4);
	show("written", 6);
	T(clear("4"));
	T(sys_madvise(AT, 6 * PAGE_SIZE, MADV_DONTNEED));
	read_page(0);
	read_page(2);
	show("found again", 1);
	write_page(2);
	show_at("and written", page(2), 1);
	T(sys_mprotect(AT, 6 * PAGE_SIZE, PROT_READ));
	T(sys_mprotect(AT, 6 * PAGE_SIZE, RW));
	write_page(0);
	show("after rights to and fro", 1);
	done(6);
}

static void a_file(void)
{
	static const char bytes[] = "soft-dirty";
	long fd = sys_memfd("f", 0);

	print("# a file, privately\n");
	T(sys_ftruncate(fd, 4 * PAGE_SIZE));
	T(sys_pwrite(fd, bytes, sizeof(bytes), 0));
	T(syscall6(SYS_mmap, AT, 4 * PAGE_SIZE, RW, MAP_PRIVATE | MAP_FIXED, fd, 0));
	read_page(0);
	show("read", 1);
	T(clear("4"));
	show("cleared", 1);
	write_page(0);
	show("copied", 1);
	T(clear("4"));
	write_page(3);
	show_at("copied at once", page(3), 1);
	show("not the other", 1);
	done(4);
	sys_close(fd);
}

static void huge_pages(void)
{
	print("# huge pages\n");
	T(sys_mmap(AT, 2 * HUGE, RW, PRIVATE));
	T(sys_madvise(AT, 2 * HUGE, MADV_HUGE));
	write_page(0);
	show("written", 4);
	T(clear("4"));
	show("cleared", 4);
	read_page(3);
	show("read", 4);
	write_page(3);
	/* One bit for all of it. */
	show("written", 4);
	show_at("its last", AT + HUGE - 2 * PAGE_SIZE, 4);
	/* Split: the pages have the bit that it had. */
	T(sys_mprotect(page(2), PAGE_SIZE, PROT_READ));
	show("split", 6);
	T(clear("4"));
	write_page(1);
	show("then one by one", 6);
	T(sys_munmap(AT, 2 * HUGE));
	T(sys_mmap(AT, HUGE, RW, PRIVATE));
	T(sys_madvise(AT, HUGE, MADV_HUGE));
	write_page(0);
	T(clear("4"));
	T(sys_madvise(page(4), PAGE_SIZE, MADV_DONTNEED));
	show("split clean", 6);
	/* Not as a whole table: Linux would move it without a look at the entries. */
	T(syscall6(SYS_mremap, AT, HUGE, HUGE, FIXED_MOVE, ELSEWHERE + PAGE_SIZE, 0));
	show_at("moved", ELSEWHERE + PAGE_SIZE, 6);
	T(sys_munmap(ELSEWHERE, HUGE + PAGE_SIZE));
}

/* A line of the first mapping at AT or above */
static void smaps_field(const char *field)
{
	char *p = text, *end;

	read_file("/proc/self/smaps");
	while (*p && memcmp(p, "100000000000-", 13))
		p = next_line(p);
	while (*p && memcmp(p, field, strlen(field)))
		p = next_line(p);
	if (!*p)
		return;
	for (end = p; *end && *end != '\n';)
		end++;
	*end = 0;
	print("  %s\n", p);
}

static void accessed(void)
{
	long kb = 0;

	print("# accessed bits\n");
	map(8, RW, PRIVATE);
	for (unsigned long i = 0; i < 4; i++)
		write_page(i);
	smaps_field("Referenced:");
	smaps_field("VmFlags:");
	T(clear("3\n"));
	smaps_field("Referenced:");
	T(clear("2\n"));
	smaps_field("Referenced:");
	T(sys_mprotect(AT, 8 * PAGE_SIZE, PROT_NONE)); /* the TLB forgets */
	T(sys_mprotect(AT, 8 * PAGE_SIZE, RW));
	read_page(1);
	smaps_field("Referenced:");
	T(clear("1\n"));
	smaps_field("Referenced:");
	T(clear("4\n"));
	smaps_field("VmFlags:");
	T(clear("5\n"));
	done(8);
	/* VmHWM begins again. */
	T(sys_mmap(AT, 4 * MIB, RW, PRIVATE | MAP_POPULATE));
	T(sys_munmap(AT, 4 * MIB));
	T(clear("5"));
	read_file("/proc/self/status");
	for (char *p = text; *p && !number_of(p, "VmHWM:", &kb); p = next_line(p))
		;
	print("VmHWM is below 4 MiB: %d\n", kb > 0 && kb < 4096);
}

static void errors(void)
{
	char byte;
	long fd;

	print("# errors\n");
	T(clear("0"));
	T(clear("6"));
	T(clear("-1"));
	T(clear("x"));
	T(clear("4x"));
	T(clear("4 4"));
	T(clear("99999999999"));
	T(clear(" 1 "));
	fd = T(sys_open("/proc/self/clear_refs", O_RDONLY, 0) < 0);
	fd = sys_open("/proc/self/clear_refs", O_RDWR, 0);
	T(sys_read(fd, &byte, 1));
	sys_close(fd);
	T(write_file("/proc/1/task/1/clear_refs", "1"));
	T(write_file("/proc/999999/clear_refs", "1"));
}

int main(int argc, char **argv)
{
	private_memory();
	neighbours();
	forks();
	moves();
	shared_memory();
	a_file();
	huge_pages();
	accessed();
	errors();
	print("end of the cases\n");
	return 0;
}
