/*
 * What the calls about huge pages answer, as a transcript: run unchanged on Linux and on guestmm, the
 * two must be equal (tests/vm/conform_huge.sh).
 *
 *   conform_huge         the written cases of hugetlb; those of transparent huge pages: conform_thp.c
 *
 * Pages of a child that dies are counted by how it ended: a signal's number is part of the transcript.
 * The pool of 2 MiB pages is set by the program; it expects it empty.
 */
#include "transcript.h"

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"
static void pool(const char *when)
{
	print("%s: nr %ld free %ld resv %ld surplus %ld\n", when, number_in(POOL "nr_hugepages"),
	      number_in(POOL "free_hugepages"), number_in(POOL "resv_hugepages"),
	      number_in(POOL "surplus_hugepages"));
}

static long map_huge(unsigned long len, int flags)
{
	return sys_mmap(0, len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_HUGETLB | flags);
}
static long map_file(long fd, unsigned long len, int prot, int flags, unsigned long at)
{
	return syscall6(SYS_mmap, 0, len, prot, flags, fd, at);
}

/* ---- hugetlb: mapping ------------------------------------------------------------------------- */

static void calls(void)
{
	long a, b;

	pool("at first");
	T(map_huge(HUGE, MAP_PRIVATE));
	T(map_huge(HUGE, MAP_SHARED));
	T(map_huge(HUGE, MAP_PRIVATE | 12 << 26));
	T(map_huge(HUGE, MAP_PRIVATE | (int)(63u << 26)));
	T(map_huge(0, MAP_PRIVATE));
	T(write_file("/proc/sys/vm/nr_hugepages", "8\n"));
	T(write_file("/proc/sys/vm/nr_hugepages", "-1\n"));
	T(write_file("/proc/sys/vm/nr_hugepages", "x\n"));
	T(write_file(POOL "nr_hugepages", "x\n"));
	T(write_file(POOL "free_hugepages", "1\n"));
	pool("eight");
	a = T(map_huge(3 * HUGE, MAP_PRIVATE));
	pool("mapped");
	print("read %ld\n", get(a + 100));
	pool("read");
	put(a + HUGE, 5);
	put(a + HUGE + 4096, 6);
	print("wrote %ld %ld\n", get(a + HUGE), get(a + HUGE + 4096));
	pool("written");
	read_file("/proc/self/status");
	lines("HugetlbPages");
	T(sys_munmap(a + 4096, HUGE));
	T(sys_munmap(a, 4096));
	T(sys_mprotect(a, 4096, PROT_READ));
	T(sys_mprotect(a, HUGE, PROT_READ));
	print("touch = %ld\n", in_child(touch, a));
	T(sys_mprotect(a, HUGE, PROT_READ | PROT_WRITE));
	put(a, 9);
	T(sys_munmap(a + HUGE, HUGE));
	pool("a hole");
	print("touch = %ld\n", in_child(touch, a + HUGE));
	print("look = %ld\n", in_child(look, a));
	T(sys_munmap(a, 3 * HUGE));
	pool("all gone");
	b = T(map_huge(4096, MAP_PRIVATE));
	put(b + HUGE - 8, 3);
	print("the whole page: %ld\n", get(b + HUGE - 8));
	T(sys_munmap(b, HUGE));
	T(map_huge(9 * HUGE, MAP_PRIVATE));
	a = T(map_huge(9 * HUGE, MAP_PRIVATE | MAP_NORESERVE));
	for (int i = 0; i < 9; i++)
		print("page %d: %ld\n", i, in_child(touch, a + i * HUGE));
	T(sys_munmap(a, 9 * HUGE));
	a = T(map_huge(2 * HUGE, MAP_PRIVATE | MAP_POPULATE));
	pool("populated");
	T(sys_munmap(a, 2 * HUGE));
	a = T(map_huge(2 * HUGE, MAP_PRIVATE | MAP_LOCKED));
	pool("locked");
	T(sys_munmap(a, 2 * HUGE));
	T(sys_mmap(4096 * 1024 + 4096, HUGE, PROT_READ,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED));
	a = T(sys_mmap(1024 * MIB, HUGE, PROT_READ,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED));
	T(sys_munmap(a, HUGE));
	pool("end of calls");
}

static void advice(void)
{
	unsigned char vec[1024] = {0};
	long a = map_huge(2 * HUGE, MAP_PRIVATE), b, n = 0;

	put(a, 1);
	put(a + HUGE, 2);
	T(sys_madvise(a, 4096, MADV_DONTNEED));
	T(sys_madvise(a + 4096, HUGE, MADV_DONTNEED));
	T(sys_madvise(a, HUGE, MADV_FREE));
	T(sys_madvise(a, HUGE, MADV_COLD));
	T(sys_madvise(a, HUGE, MADV_PAGEOUT));
	T(sys_madvise(a, HUGE, MADV_REMOVE));
	T(sys_madvise(a, HUGE, MADV_WILLNEED));
	print("%ld %ld\n", get(a), get(a + HUGE));
	T(sys_madvise(a, HUGE, MADV_DONTNEED));
	print("%ld %ld\n", get(a), get(a + HUGE));
	T(syscall3(SYS_mincore, a, 2 * HUGE, (long)vec));
	for (int i = 0; i < 1024; i++)
		n += vec[i] & 1;
	print("resident %ld\n", n);
	T(syscall3(SYS_mlock, a, 4096, 0));
	T(syscall3(SYS_mlock, a, 2 * HUGE, 0));
	T(syscall3(SYS_munlock, a, 2 * HUGE, 0));
	b = T(syscall6(SYS_mremap, a, HUGE, 2 * HUGE, 1, 0, 0));
	b = T(syscall6(SYS_mremap, a, 2 * HUGE, 2 * HUGE, 3, 1024 * MIB, 0));
	print("%ld %ld\n", get(b), get(b + HUGE));
	T(syscall6(SYS_mremap, b, 2 * HUGE, HUGE, 0, 0, 0));
	pool("moved");
	T(sys_munmap(b, HUGE));
	pool("end of advice");
}

/* ---- hugetlb: sharing ------------------------------------------------------------------------- */

static void child_writes(long a)
{
	put(a, 50);
	exit((int)get(a) + (int)get(a + HUGE));
}

static void forks(void)
{
	long a = map_huge(2 * HUGE, MAP_PRIVATE), s = map_huge(HUGE, MAP_SHARED);

	put(a, 1);
	put(a + HUGE, 2);
	put(s, 3);
	print("child = %ld\n", in_child(child_writes, a));
	print("parent %ld %ld\n", get(a), get(a + HUGE));
	print("child = %ld\n", in_child(touch, s));
	print("shared %ld\n", get(s));
	pool("after children");
	T(sys_munmap(a, 2 * HUGE));
	T(sys_munmap(s, HUGE));
	pool("end of forks");
}

/* The pool holds two pages, both the parent's: it writes while its child lives, and must win. */
static void owner_wins(void)
{
	int to_child[2], to_parent[2], status = 0;
	long a, pid;
	char c = 0;

	T(write_file("/proc/sys/vm/nr_hugepages", "2\n"));
	a = T(map_huge(2 * HUGE, MAP_PRIVATE));
	put(a, 1);
	put(a + HUGE, 2);
	sys_pipe(to_child);
	sys_pipe(to_parent);
	pid = sys_fork();
	if (!pid) {
		c = (char)(get(a) + get(a + HUGE));
		sys_write(to_parent[1], &c, 1);
		sys_read(to_child[0], &c, 1);
		c = (char)get(a + HUGE);
		sys_write(to_parent[1], &c, 1);
		get(a); /* taken away */
		exit(1);
	}
	sys_read(to_parent[0], &c, 1);
	print("child read %d\n", c);
	put(a, 10);
	print("owner wrote %ld\n", get(a));
	sys_write(to_child[1], &c, 1);
	sys_read(to_parent[0], &c, 1);
	print("child read %d\n", c);
	sys_wait4(pid, &status, 0);
	print("child ended by %d\n", status & 0x7f);
	/* The other way round: the child writes first, and cannot have a page. */
	print("child writes = %ld\n", in_child(touch, a));
	print("owner %ld %ld\n", get(a), get(a + HUGE));
	T(sys_munmap(a, 2 * HUGE));
	for (int i = 0; i < 2; i++) {
		sys_close(to_child[i]);
		sys_close(to_parent[i]);
	}
	pool("end of owners");
}

/* ---- hugetlb: pools --------------------------------------------------------------------------- */

static void pools(void)
{
	long a, b;

	T(write_file("/proc/sys/vm/nr_hugepages", "4\n"));
	a = map_huge(3 * HUGE, MAP_PRIVATE);
	put(a, 1);
	T(write_file("/proc/sys/vm/nr_hugepages", "1\n"));
	pool("shrunk below what is in use and promised");
	put(a + HUGE, 1);
	put(a + 2 * HUGE, 1);
	pool("all used");
	T(sys_munmap(a, HUGE));
	pool("one back");
	T(sys_munmap(a + HUGE, 2 * HUGE));
	pool("all back");
	T(write_file("/proc/sys/vm/nr_overcommit_hugepages", "2\n"));
	a = T(map_huge(3 * HUGE, MAP_PRIVATE));
	pool("two more than there are");
	b = T(map_huge(HUGE, MAP_PRIVATE));
	put(a, 1);
	put(a + HUGE, 2);
	pool("touched");
	T(write_file("/proc/sys/vm/nr_hugepages", "2\n"));
	pool("surplus becomes pool");
	T(sys_munmap(a, 3 * HUGE));
	pool("surplus gone");
	T(write_file("/proc/sys/vm/nr_overcommit_hugepages", "0\n"));
	T(write_file("/proc/sys/vm/nr_hugepages", "8\n"));
	read_file("/proc/meminfo");
	lines("HugePages_");
	lines("Hugepagesize");
	(void)b;
}

/* ---- hugetlb: files --------------------------------------------------------------------------- */

static void show_stat(long fd)
{
	struct stat st = {0};

	sys_fstat(fd, &st);
	print("size %ld blksize %ld blocks %ld\n", st.size, st.blksize, st.blocks);
}

static void files(const char *what, long fd)
{
	long a, b;
	char c[16];

	print("-- %s\n", what);
	if (T(fd > 0) != 1)
		return;
	T(sys_pwrite(fd, "x", 1, 0));
	T(sys_ftruncate(fd, 4096));
	T(sys_ftruncate(fd, 4 * HUGE));
	show_stat(fd);
	T(map_file(fd, HUGE, PROT_READ, MAP_SHARED, 4096));
	a = T(map_file(fd, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	pool("mapped");
	put(a, 11);
	put(a + 3 * HUGE, 14);
	show_stat(fd);
	b = T(map_file(fd, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0));
	pool("private, too");
	print("private sees %ld\n", get(b));
	put(b, 21);
	put(b + HUGE, 22);
	print("private %ld %ld shared %ld %ld\n", get(b), get(b + HUGE), get(a), get(a + HUGE));
	pool("copied");
	T(sys_pread(fd, c, 8, 3 * HUGE));
	print("read %d\n", c[0]);
	T(sys_pread(fd, c, 8, 2 * HUGE));
	T(sys_pread(fd, c, 16, 4 * HUGE - 8));
	T(sys_fallocate(fd, 3, HUGE * 3, HUGE));
	print("after the hole %ld, private %ld\n", get(a + 3 * HUGE), get(b));
	pool("hole");
	T(sys_fallocate(fd, 3, 0, 8));
	print("zeroed %ld, private %ld\n", get(a), get(b));
	T(sys_fallocate(fd, 0, 0, 2 * HUGE));
	show_stat(fd);
	T(sys_fallocate(fd, 1, 5 * HUGE, HUGE));
	show_stat(fd);
	T(sys_fallocate(fd, 0, 0, 100 * HUGE));
	pool("too much");
	T(sys_ftruncate(fd, HUGE));
	show_stat(fd);
	pool("truncated");
	print("shared 0: %ld\n", in_child(look, a));
	print("beyond: %ld\n", in_child(look, a + HUGE));
	print("private 0: %ld\n", in_child(look, b));
	print("private beyond: %ld\n", in_child(look, b + HUGE));
	T(sys_munmap(a, 4 * HUGE));
	T(sys_munmap(b, 4 * HUGE));
	pool("unmapped");
	T(sys_close(fd));
	pool("closed");
}

/* ---- hugetlb: System V shared memory ---------------------------------------------------------- */

#define SHM_HUGETLB 04000
#define IPC_CREAT   01000
#define SHM_RDONLY  010000
static long shmget(unsigned long size, long flags)
{
	return syscall3(29, 0, (long)size, flags | IPC_CREAT | 0600);
}
static long shmat(long id, unsigned long at, long flags)
{
	return syscall3(30, id, (long)at, flags);
}

static void shared_memory(void)
{
	long id, a, b;

	T(write_file("/proc/sys/vm/nr_hugepages", "4\n"));
	T(shmget(5 * HUGE, SHM_HUGETLB));
	T(shmget(HUGE, SHM_HUGETLB | 12 << 26));
	T(shmget(0, SHM_HUGETLB));
	id = shmget(2 * HUGE - 5, SHM_HUGETLB);
	print("made: %d\n", id >= 0);
	pool("made");
	a = T(shmat(id, 0, 0));
	b = T(shmat(id, 0, SHM_RDONLY));
	put(a + (long)HUGE, 7);
	print("%ld\n", get(b + (long)HUGE));
	pool("used");
	print("child: %ld\n", in_child(touch, a));
	print("%ld\n", get(b));
	print("child, read-only: %ld\n", in_child(touch, b));
	T(shmat(id, (unsigned long)a + 4 * HUGE + PAGE_SIZE, 0));
	T(syscall3(67, a, 0, 0));
	T(syscall3(31, id, 0, 0));
	pool("removed, attached");
	print("%ld\n", get(b));
	T(syscall3(67, b, 0, 0));
	pool("detached");
}

struct statfs {
	long type, bsize, blocks, bfree, bavail, files, ffree;
	int fsid[2];
	long namelen, frsize, flags, spare[4];
};

static void show_space(const char *path)
{
	struct statfs st = {0};

	T(sys_statfs(path, &st));
	print("type %lx bsize %ld blocks %ld free %ld\n", st.type, st.bsize, st.blocks, st.bfree);
}

static void mounts(void)
{
	long fd, a, b;

	T(sys_mkdir("/huge", 0755));
	T(sys_mount("none", "/huge", "hugetlbfs", 0, "pagesize=3M"));
	T(sys_mount("none", "/huge", "hugetlbfs", 0, "pagesize=4096"));
	T(sys_mount("none", "/huge", "hugetlbfs", 0, "size=2M,min_size=4M"));
	T(sys_mount("none", "/huge", "hugetlbfs", 0, "min_size=200M"));
	T(sys_mount("none", "/huge", "hugetlbfs", 0, "size=8M,min_size=4M,pagesize=2M"));
	pool("mounted");
	show_space("/huge");
	fd = sys_open("/huge/a", O_RDWR | O_CREAT, 0600);
	a = T(map_file(fd, 3 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	show_stat(fd);
	pool("three of four, two of them the mount's");
	show_space("/huge");
	T(map_file(fd, 5 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
	T(map_file(fd, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0));
	b = T(map_file(fd, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0));
	put(a, 1);
	put(b, 2);
	print("%ld %ld\n", get(a), get(b));
	pool("used");
	show_space("/huge");
	T(sys_unlink("/huge/a"));
	T(sys_close(fd));
	T(sys_munmap(a, 3 * HUGE));
	pool("one still mapped");
	T(sys_munmap(b, HUGE));
	pool("unmapped");
	show_space("/huge");
	T(sys_umount("/huge", 0));
	pool("unmounted");
	T(sys_mount("none", "/huge", "hugetlbfs", 0, ""));
	files("a file of a mount", sys_open("/huge/b", O_RDWR | O_CREAT, 0600));
	T(sys_unlink("/huge/b"));
	pool("unlinked");
	T(sys_umount("/huge", 0));
	T(sys_rmdir("/huge"));
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	calls();
	advice();
	forks();
	owner_wins();
	pools();
	T(sys_memfd("x", MFD_HUGETLB | 12 << 26));
	T(sys_memfd("x", 21 << 26));
	files("memfd", sys_memfd("huge", MFD_HUGETLB | MFD_CLOEXEC));
	files("memfd of 2 MiB", sys_memfd("huge", MFD_HUGETLB | 21 << 26));
	mounts();
	shared_memory();
	T(write_file("/proc/sys/vm/nr_hugepages", "0\n"));
	pool("at the end");
	print("end of the cases\n");
	return 0;
}
