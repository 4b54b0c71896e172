/*
 * A file that lies in memory (ext2 mounted with dax from /dev/pmem0), as a program sees it:   daxtest MODE
 *
 *   cases    what holds on every kernel, one line each: run on guestmm and on Linux, and the lines are compared
 *   store    write a file by a mapping, make it durable by msync(2) or fsync(2), and end without unmounting
 *   verify   what `store` has left is there after another boot
 *   refused  errors of guestmm's ext2 alone: options, a disk that is not memory (/dev/vda)
 *
 * The file system is made beforehand (mke2fs -b 4096). Exit status 0: all was as expected.
 */
#include "fs.h"

#define MNT	     "/mnt"
#define PAGES	     8ul
#define MAP_SYNC     0x80000
#define MAP_VALIDATE 3
#define MS_SYNC	     4
#define EOPNOTSUPP   95
#define AT_FDCWD     (-100)
#define O_DIRECT     040000
#define DAX_BIT	     0x200000ull

static unsigned int failures;

#define CHECK(cond)                                                   \
	do {                                                          \
		if (!(cond)) {                                        \
			print("FAIL line %d: %s\n", __LINE__, #cond); \
			failures++;                                   \
		}                                                     \
	} while (0)

static char page[PAGE_SIZE] __attribute__((aligned(4096)));
static char text[16384];

static void say(const char *what, long value)
{
	print("%s: %ld\n", what, value);
}

static bool same(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static void fill(char *p, size_t n, unsigned int seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(seed * 31 + i * 7 + (i >> 8));
}

static bool holds(const char *p, size_t n, unsigned int seed)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != (char)(seed * 31 + i * 7 + (i >> 8)))
			return false;
	return true;
}

static long mount_dax(const char *dev, const char *options)
{
	sys_mkdir(MNT, 0755);
	return syscall6(165, (long)dev, (long)MNT, (long)"ext2", 0, (long)options, 0);
}

static long msync(void *p, size_t n)
{
	return syscall3(26, (long)p, (long)n, MS_SYNC);
}

static int make_file(const char *name, unsigned long pages, unsigned int seed)
{
	int fd = (int)sys_open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	for (unsigned long i = 0; fd >= 0 && i < pages; i++) {
		fill(page, PAGE_SIZE, seed + (unsigned int)i);
		CHECK(sys_pwrite(fd, page, PAGE_SIZE, i * PAGE_SIZE) == (long)PAGE_SIZE);
	}
	return fd;
}

static char *map_file(int fd, unsigned long pages, int flags)
{
	long at = sys_mmap_file(pages * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	CHECK(!is_error(at));
	return is_error(at) ? NULL : (char *)at;
}

/** The whole of a small file, terminated. */
static size_t slurp(const char *name)
{
	int fd = (int)sys_open(name, O_RDONLY, 0);
	size_t n = 0;
	long got;

	while (fd >= 0 && n < sizeof(text) - 1 &&
	       (got = sys_read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = 0;
	sys_close(fd);
	return n;
}

static char *find(char *p, const char *word)
{
	size_t n = 0;

	while (word[n])
		n++;
	for (; *p; p++)
		if (same(p, word, n))
			return p;
	return NULL;
}

static long number_after(char *p, const char *word)
{
	long v = 0;

	p = p ? find(p, word) : NULL;
	if (!p)
		return -1;
	while (*p && (*p < '0' || *p > '9'))
		p++;
	for (; *p >= '0' && *p <= '9'; p++)
		v = v * 10 + (*p - '0');
	return v;
}

/** Bits 61 (of a file), 62 (swapped), 63 (present) of an address in /proc/self/pagemap. */
static long pagemap(const char *at)
{
	int fd = (int)sys_open("/proc/self/pagemap", O_RDONLY, 0);
	uint64_t e = 0;

	CHECK(sys_pread(fd, &e, 8, (uint64_t)at / PAGE_SIZE * 8) == 8);
	sys_close(fd);
	return (long)(e >> 61);
}

/** "Rss:" of the mapping that begins there, in KiB. */
static long smaps_rss(const char *at)
{
	static const char digits[] = "0123456789abcdef";
	char hex[20], *p = hex + sizeof(hex);
	uint64_t v = (uint64_t)at;

	*--p = 0;
	*--p = '-';
	for (; v; v >>= 4)
		*--p = digits[v & 15];
	slurp("/proc/self/smaps");
	return number_after(find(text, p), "Rss:");
}

static long dax_attribute(int fd)
{
	uint64_t sx[32] = {0};
	long ret = syscall6(332, fd, (long)"", 0x1000 /* AT_EMPTY_PATH */, 0x7ff, (long)sx, 0);

	return ret ? ret : !!(sx[1] & DAX_BIT);
}

/* ---- cases ------------------------------------------------------------------------------------------ */

static void reading_and_mapping(void)
{
	int fd = make_file(MNT "/a", PAGES, 1);
	char *p = map_file(fd, PAGES, MAP_SHARED);

	say("statx says DAX", dax_attribute(fd));
	if (!p)
		return;
	for (unsigned long i = 0; i < PAGES; i++)
		CHECK(holds(p + i * PAGE_SIZE, PAGE_SIZE, 1 + (unsigned int)i));
	say("pagemap of a page that was read", pagemap(p));
	p[100] = 'x';
	say("pagemap of a page that was written", pagemap(p));
	say("Rss in KiB", smaps_rss(p));
	CHECK(sys_pread(fd, page, 1, 100) == 1);
	say("read(2) sees the store", page[0] == 'x');
	page[0] = 'y';
	CHECK(sys_pwrite(fd, page, 1, 5 * PAGE_SIZE) == 1);
	say("the mapping sees write(2)", p[5 * PAGE_SIZE] == 'y');
	say("msync", msync(p, PAGES * PAGE_SIZE));
	p[100] = 'z';
	CHECK(sys_pread(fd, page, 1, 100) == 1);
	say("read(2) sees a store after msync", page[0] == 'z');
	say("fsync", sys_fsync(fd));
	say("madvise(DONTNEED)", sys_madvise((unsigned long)p, PAGE_SIZE, MADV_DONTNEED));
	say("and it is there", p[100] == 'z');
	say("mlock", syscall3(149, (long)p, PAGE_SIZE, 0));
	slurp("/proc/self/status");
	say("VmLck in kB", number_after(text, "VmLck:"));
	say("MAP_SYNC", sys_mmap_file(PAGE_SIZE, PROT_READ, MAP_VALIDATE | MAP_SYNC, fd, 0));
	sys_munmap((unsigned long)p, PAGES * PAGE_SIZE);
	sys_close(fd);
}

static void private_copies(void)
{
	int fd = make_file(MNT "/b", 4, 20);
	char *p = map_file(fd, 4, MAP_PRIVATE);

	if (!p)
		return;
	CHECK(holds(p, PAGE_SIZE, 20));
	p[0] = 'a';
	p[PAGE_SIZE] = 'b'; /* at once */
	say("private: Rss in KiB", smaps_rss(p));
	say("private: pagemap of a copy", pagemap(p));
	CHECK(sys_pread(fd, page, PAGE_SIZE, 0) == (long)PAGE_SIZE);
	say("private: the file is as it was", holds(page, PAGE_SIZE, 20));
	page[7] = '!';
	CHECK(sys_pwrite(fd, page + 7, 1, 2 * PAGE_SIZE + 7) == 1);
	say("private: what is not copied shows the file", p[2 * PAGE_SIZE + 7] == '!');
	sys_munmap((unsigned long)p, 4 * PAGE_SIZE);
	sys_close(fd);
}

static void ends_and_holes(void)
{
	int fd = make_file(MNT "/c", 4, 40), other = (int)sys_open("/proc/self/maps", O_RDONLY, 0);
	char *p = map_file(fd, 6, MAP_SHARED);
	struct fs_stat st;

	if (!p)
		return;
	say("beyond the end", sys_pread(other, p + 5 * PAGE_SIZE, 16, 0));
	CHECK(sys_ftruncate(fd, PAGE_SIZE + 100) == 0);
	say("cut off", sys_pread(other, p + 2 * PAGE_SIZE, 16, 0));
	say("behind the end is zero", p[PAGE_SIZE + 200]);
	CHECK(sys_ftruncate(fd, 6 * PAGE_SIZE) == 0);
	say("and after the file has grown", p[PAGE_SIZE + 200]);
	say("a hole is zero", p[3 * PAGE_SIZE]);
	CHECK(!sys_fstat(fd, &st));
	say("blocks with holes", (long)st.blocks);
	p[3 * PAGE_SIZE] = 'h';
	CHECK(!sys_fstat(fd, &st));
	say("blocks with one hole less", (long)st.blocks);
	CHECK(sys_pread(fd, page, 1, 3 * PAGE_SIZE) == 1);
	say("and it is the file's", page[0] == 'h');
	sys_close(other);
	sys_munmap((unsigned long)p, 6 * PAGE_SIZE);
	sys_close(fd);
}

static void other_ways(void)
{
	int fd = make_file(MNT "/d", 4, 60), direct = (int)sys_open(MNT "/d", O_RDWR | O_DIRECT, 0);
	uint64_t offset = 0;
	int pipe[2];

	say("O_DIRECT", direct >= 0);
	say("O_DIRECT read", sys_pread(direct, page, PAGE_SIZE, PAGE_SIZE));
	CHECK(holds(page, PAGE_SIZE, 61));
	fill(page, PAGE_SIZE, 99);
	say("O_DIRECT write", sys_pwrite(direct, page, PAGE_SIZE, PAGE_SIZE));
	sys_close(direct);
	CHECK(syscall3(22, (long)pipe, 0, 0) == 0);
	say("splice to a pipe", syscall6(275, fd, (long)&offset, pipe[1], 0, PAGE_SIZE, 0));
	say("read from it", sys_read(pipe[0], text, PAGE_SIZE));
	say("the same bytes", holds(text, PAGE_SIZE, 60));
	offset = PAGE_SIZE;
	say("sendfile", syscall6(40, pipe[1], fd, (long)&offset, PAGE_SIZE, 0, 0));
	CHECK(sys_read(pipe[0], text, PAGE_SIZE) == (long)PAGE_SIZE);
	say("what O_DIRECT wrote", holds(text, PAGE_SIZE, 99));
	sys_close(pipe[0]);
	sys_close(pipe[1]);
	sys_close(fd);
}

/* A file that would do as swap anywhere else. */
static void swap(void)
{
	int fd = make_file(MNT "/swap", 32, 0);
	uint32_t *head = (uint32_t *)(page + 1024);

	for (size_t i = 0; i < PAGE_SIZE; i++)
		page[i] = 0;
	head[0] = 1;
	head[1] = 31;
	for (int i = 0; i < 10; i++)
		page[PAGE_SIZE - 10 + i] = "SWAPSPACE2"[i];
	CHECK(sys_pwrite(fd, page, PAGE_SIZE, 0) == (long)PAGE_SIZE);
	CHECK(sys_fsync(fd) == 0);
	syscall3(91, fd, 0600, 0); /* fchmod */
	sys_close(fd);
	say("swapon", syscall3(167, (long)MNT "/swap", 0, 0));
}

static void zone(void)
{
	char *p;

	slurp("/proc/zoneinfo");
	p = find(text, "zone   Device");
	say("zoneinfo: present", number_after(p, "present"));
	say("zoneinfo: managed", number_after(p, "managed"));
	say("zoneinfo: spans the file", number_after(p, "spanned") > 0);
}

static void cases(void)
{
	say("mount", mount_dax("/dev/pmem0", "dax"));
	reading_and_mapping();
	private_copies();
	ends_and_holes();
	other_ways();
	swap();
	zone();
	say("umount", sys_umount(MNT));
	print("end of the cases\n");
}

/* ---- over two boots --------------------------------------------------------------------------------- */

static void store(void)
{
	static const char *const name[] = {MNT "/by_msync", MNT "/by_fsync"};

	CHECK(mount_dax("/dev/pmem0", "dax") == 0);
	for (unsigned int i = 0; i < 2; i++) {
		int fd = (int)sys_open(name[i], O_RDWR | O_CREAT, 0644);
		char *p;

		CHECK(fd >= 0 && sys_ftruncate(fd, 64 * PAGE_SIZE) == 0);
		p = map_file(fd, 64, MAP_SHARED);
		if (!p)
			return;
		fill(p, 64 * PAGE_SIZE, 7 + i);
		CHECK((i ? sys_fsync(fd) : msync(p, 64 * PAGE_SIZE)) == 0);
	}
	print("stored\n");
}

static void verify(void)
{
	static const char *const name[] = {MNT "/by_msync", MNT "/by_fsync"};

	CHECK(mount_dax("/dev/pmem0", "dax") == 0);
	for (unsigned int i = 0; i < 2; i++) {
		int fd = (int)sys_open(name[i], O_RDWR, 0);
		char *p = fd < 0 ? NULL : map_file(fd, 64, MAP_SHARED);

		CHECK(p && holds(p, 64 * PAGE_SIZE, 7 + i));
		sys_close(fd);
		if (p)
			sys_munmap((unsigned long)p, 64 * PAGE_SIZE);
	}
	CHECK(sys_umount(MNT) == 0);
	print("verified\n");
}

/* ---- what is said no to ------------------------------------------------------------------------------ */

static void refused(void)
{
	int fd;

	CHECK(mount_dax("/dev/pmem0", "dax=sometimes") == -EINVAL);
	CHECK(mount_dax("/dev/pmem0", "dax") == 0);
	slurp("/proc/mounts");
	CHECK(find(text, "/dev/pmem0 /mnt ext2 rw,relatime,dax 0 0\n") != NULL);
	CHECK(sys_umount(MNT) == 0);
	CHECK(mount_dax("/dev/pmem0", "") == 0);
	fd = make_file(MNT "/cached", 2, 3);
	CHECK(dax_attribute(fd) == 0);
	sys_close(fd);
	CHECK(sys_umount(MNT) == 0);
	/* A disk is mounted without dax, as Linux's ext2 does. */
	CHECK(mount_dax("/dev/vda", "dax") == 0);
	fd = make_file(MNT "/file", 2, 3);
	CHECK(dax_attribute(fd) == 0);
	sys_close(fd);
	CHECK(sys_umount(MNT) == 0);
	print("refused as it should be\n");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} modes[] = {{"cases", cases}, {"store", store}, {"verify", verify}, {"refused", refused}};

	for (size_t i = 0; argc == 2 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (same(argv[1], modes[i].name, 5)) {
			modes[i].fn();
			return failures != 0;
		}
	}
	print("daxtest: cases, store, verify or refused\n");
	return 2;
}
