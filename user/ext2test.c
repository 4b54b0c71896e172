/*
 * Tests of a file system on a disk:   ext2test MODE DISK... [SEED]
 *
 *   tree     create directories, files of all kinds, sparse files, links; rename them at random; unmount,
 *            mount, compare everything with a model; leave a third of it on the disk
 *   verify   check that what `tree` has left is there (in another boot)
 *   full     fill the disk, get ENOSPC, delete everything: as much must be free as before
 *   synced   write and fsync without end, and print a line for each file that is safe; to be killed
 *   small    a short test with a few files
 *   plant    create files that others will damage
 *   hostile  on damaged disks: walk everything, change what can be changed; any error is right
 *   swap     a swap area on the disk, made through its file
 *   swapfile a file as a swap area: what is refused, and more memory than the machine has; it is left in
 *            use
 *   raw      the disk's own file, /dev/vdX: size, write, read back
 *
 * Contents are lines of 64 bytes with the names of the file, its generation and the line, so that they can
 * be computed again. Exit status 0: all was as expected.
 */
#include "fs.h"

#define LINE 64u
static unsigned int failures;
static uint64_t seed = 1;

#define CHECK(cond)                                                   \
	do {                                                          \
		if (!(cond)) {                                        \
			print("FAIL line %d: %s\n", __LINE__, #cond); \
			if (++failures > 20)                          \
				exit(1);                              \
		}                                                     \
	} while (0)
#define CHECK_EQ(a, b)                                                                    \
	do {                                                                              \
		long _a = (long)(a), _b = (long)(b);                                      \
		if (_a != _b) {                                                           \
			print("FAIL line %d: %s = %ld, not %ld\n", __LINE__, #a, _a, _b); \
			if (++failures > 20)                                              \
				exit(1);                                                  \
		}                                                                         \
	} while (0)

static uint32_t random_below(uint32_t n)
{
	return random_next(&seed) % n;
}

/* ---- text ---- */

static char *put(char *p, const char *s)
{
	while (*s)
		*p++ = *s++;
	*p = 0;
	return p;
}
static char *put_number(char *p, uint32_t v, unsigned int digits)
{
	for (unsigned int i = digits; i-- > 0; v /= 10)
		p[i] = '0' + v % 10;
	p[digits] = 0;
	return p + digits;
}

/** The bytes of file `id`, generation `gen`, from `pos` on. `pos` is a multiple of LINE. */
static void fill(char *buf, size_t n, uint32_t id, uint32_t gen, uint64_t pos)
{
	for (size_t i = 0; i < n; i += LINE) {
		char line[LINE + 1], *p = line;

		p = put(p, "file ");
		p = put_number(p, id, 6);
		p = put(p, " generation ");
		p = put_number(p, gen, 6);
		p = put(p, " line ");
		p = put_number(p, (pos + i) / LINE, 9);
		while (p < line + LINE - 1)
			*p++ = '.';
		*p = '\n';
		memcpy(buf + i, line, n - i < LINE ? n - i : LINE);
	}
}

#define CHUNK 8192u
static char chunk[CHUNK], expected[CHUNK];

/** Write bytes [0, size). Returns what was written or the first error. */
static long write_file(int fd, uint32_t id, uint32_t gen, uint64_t size)
{
	for (uint64_t pos = 0; pos < size;) {
		size_t n = size - pos < CHUNK ? size - pos : CHUNK;
		long ret;

		fill(chunk, n, id, gen, pos);
		ret = sys_pwrite(fd, chunk, n, pos);
		if (ret < 0)
			return ret;
		pos += ret;
		if (ret < (long)n)
			return pos;
	}
	return size;
}

/** Is this what the file holds? */
static bool file_holds(int fd, uint32_t id, uint32_t gen, uint64_t size)
{
	struct fs_stat st;

	if (sys_fstat(fd, &st) || (uint64_t)st.size != size)
		return false;
	for (uint64_t pos = 0; pos < size; pos += CHUNK) {
		size_t n = size - pos < CHUNK ? size - pos : CHUNK;

		fill(expected, n, id, gen, pos);
		if (sys_pread(fd, chunk, CHUNK, pos) != (long)n || memcmp(chunk, expected, n))
			return false;
	}
	return true;
}

static bool path_holds(const char *path, uint32_t id, uint32_t gen, uint64_t size)
{
	long fd = sys_open(path, O_RDONLY, 0);
	bool ok;

	if (fd < 0)
		return false;
	ok = file_holds(fd, id, gen, size);
	sys_close(fd);
	return ok;
}

/* ---- tree ---- */

#define NR_DIRS	   8u
#define NR_FILES   240u
#define NR_RENAMES 400u

static const char *disk;
static struct {
	uint32_t dir, name; /* where it is now */
	uint32_t size;
	bool gone;
} file[NR_FILES];

static char *dir_path(char *buf, uint32_t dir)
{
	return put_number(put(buf, "/mnt/directory-"), dir, 2);
}
static void file_path(char *buf, uint32_t dir, uint32_t name)
{
	char *p = dir_path(buf, dir);

	p = put_number(put(p, "/f"), name, 5);
	/* Names of many lengths. */
	for (uint32_t i = 0; i < name * 7 % 60; i++)
		*p++ = 'a' + i % 26;
	*p = 0;
}
static uint32_t size_of(uint32_t id)
{
	return id % 16 == 15 ? 60000 + id * 101 : id * 977 % 9000;
}

static void mount_disk(void)
{
	CHECK_EQ(sys_mount(disk, "/mnt", "ext2", 0), 0);
}
static void unmount(void)
{
	CHECK_EQ(sys_umount("/mnt"), 0);
}

static void plan_files(void)
{
	for (uint32_t i = 0; i < NR_FILES; i++) {
		file[i].dir = i % NR_DIRS;
		file[i].name = i;
		file[i].size = size_of(i);
	}
}

static void make_files(void)
{
	char path[200];

	plan_files();
	for (uint32_t d = 0; d < NR_DIRS; d++) {
		dir_path(path, d);
		CHECK_EQ(sys_mkdir(path, 0755), 0);
		CHECK_EQ(sys_mkdir(path, 0755), -EEXIST);
	}
	for (uint32_t i = 0; i < NR_FILES; i++) {
		long fd;

		file_path(path, file[i].dir, i);
		fd = sys_open(path, O_CREAT | O_EXCL | O_RDWR, 0644);
		CHECK(fd >= 0);
		CHECK_EQ(write_file(fd, i, 0, file[i].size), file[i].size);
		sys_close(fd);
	}
}

/** Names listed by getdents, "." and ".." included. */
static unsigned int count_names(const char *dir)
{
	static char buf[1024];
	long fd = sys_open(dir, O_RDONLY | O_DIRECTORY, 0), n;
	unsigned int names = 0;

	if (fd < 0)
		return 0;
	while ((n = sys_getdents(fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n; at += ((struct fs_dirent *)(buf + at))->reclen)
			names++;
	CHECK_EQ(n, 0);
	sys_close(fd);
	return names;
}

static void check_files(void)
{
	uint32_t per_dir[NR_DIRS] = {0};
	char path[200];

	for (uint32_t i = 0; i < NR_FILES; i++) {
		file_path(path, file[i].dir, file[i].name);
		if (file[i].gone)
			continue;
		per_dir[file[i].dir]++;
		if (!path_holds(path, i, 0, file[i].size)) {
			print("FAIL: %s does not hold file %u\n", path, i);
			failures++;
		}
	}
	for (uint32_t d = 0; d < NR_DIRS; d++) {
		dir_path(path, d);
		CHECK_EQ(count_names(path), per_dir[d] + 2);
	}
}

/** Each file gets a new place many times; now and then onto another, which is removed by that. */
static void rename_storm(unsigned int times, bool for_real)
{
	char from[200], to[200];

	for (unsigned int n = 0; n < times; n++) {
		uint32_t i = random_below(NR_FILES), over = random_below(NR_FILES);

		if (file[i].gone || file[over].gone || i == over)
			continue;
		file_path(from, file[i].dir, file[i].name);
		if (n % 16 == 0) {
			file_path(to, file[over].dir, file[over].name);
			file[i].dir = file[over].dir;
			file[i].name = file[over].name;
			file[over].gone = true;
		} else {
			file[i].dir = random_below(NR_DIRS);
			file[i].name = 1000 + n;
			file_path(to, file[i].dir, file[i].name);
		}
		if (for_real)
			CHECK_EQ(sys_rename(from, to), 0);
	}
}

static void directories(void)
{
	struct fs_stat st;

	CHECK_EQ(sys_mkdir("/mnt/a", 0755), 0);
	CHECK_EQ(sys_mkdir("/mnt/a/b", 0700), 0);
	CHECK_EQ(sys_mkdir("/mnt/c", 0755), 0);
	CHECK_EQ(sys_rmdir("/mnt/a"), -39);
	CHECK_EQ(sys_rename("/mnt/a/b", "/mnt/c/b2"), 0);
	CHECK_EQ(sys_lstat("/mnt/a", &st), 0);
	CHECK_EQ(st.nlink, 2);
	CHECK_EQ(sys_lstat("/mnt/c", &st), 0);
	CHECK_EQ(st.nlink, 3);
	CHECK_EQ(sys_rename("/mnt/c", "/mnt/c/b2/x"), -EINVAL);
	CHECK_EQ(sys_rename("/mnt/c/b2", "/mnt/a"), 0); /* over an empty one */
	CHECK_EQ(sys_lstat("/mnt/a", &st), 0);
	CHECK_EQ(st.mode, S_IFDIR | 0700);
	CHECK_EQ(sys_lstat("/mnt/c", &st), 0);
	CHECK_EQ(st.nlink, 2);
	CHECK_EQ(sys_rmdir("/mnt/c"), 0);
	CHECK_EQ(sys_rmdir("/mnt/c"), -ENOENT);
	CHECK_EQ(sys_lstat("/mnt/a/..", &st), 0);
	CHECK_EQ(st.ino, 2);
}

static void links(void)
{
	static char target[300], buf[400];
	struct fs_stat st;
	long fd = sys_open("/mnt/one", O_CREAT | O_RDWR, 0640);

	CHECK(fd >= 0);
	CHECK_EQ(write_file(fd, 777, 1, 5000), 5000);
	CHECK_EQ(sys_link("/mnt/one", "/mnt/a/two"), 0);
	CHECK_EQ(sys_fstat(fd, &st), 0);
	CHECK_EQ(st.nlink, 2);
	CHECK_EQ(sys_unlink("/mnt/one"), 0);
	CHECK(path_holds("/mnt/a/two", 777, 1, 5000));
	CHECK_EQ(sys_unlink("/mnt/a/two"), 0);
	CHECK(file_holds(fd, 777, 1, 5000)); /* no name, but open */
	CHECK_EQ(write_file(fd, 777, 2, 30000), 30000);
	CHECK(file_holds(fd, 777, 2, 30000));
	sys_close(fd);

	for (unsigned int i = 0; i < sizeof(target) - 1; i++)
		target[i] = 'a' + i % 26;
	CHECK_EQ(sys_symlink("short", "/mnt/fast"), 0);
	CHECK_EQ(sys_symlink(target, "/mnt/slow"), 0);
	target[59] = 0;
	CHECK_EQ(sys_symlink(target, "/mnt/edge59"), 0);
	target[59] = 'z';
	target[60] = 0;
	CHECK_EQ(sys_symlink(target, "/mnt/edge60"), 0);
	CHECK_EQ(sys_readlink("/mnt/fast", buf, sizeof(buf)), 5);
	CHECK_EQ(sys_readlink("/mnt/slow", buf, sizeof(buf)), 299);
	CHECK_EQ(sys_readlink("/mnt/edge59", buf, sizeof(buf)), 59);
	CHECK_EQ(sys_readlink("/mnt/edge60", buf, sizeof(buf)), 60);
	CHECK(!memcmp(buf, target, 60));
	CHECK_EQ(sys_mknod("/mnt/null", S_IFCHR | 0666, 1 << 8 | 3), 0);
	CHECK_EQ(sys_mknod("/mnt/pipe", S_IFIFO | 0600, 0), 0);
	CHECK_EQ(sys_lstat("/mnt/null", &st), 0);
	CHECK_EQ(st.rdev, 1 << 8 | 3);
}

/** Holes, indirect blocks of each kind, truncation down and up. */
static void sparse(uint64_t far)
{
	static const uint64_t at[] = {0, 300 * 1024, 70 << 20};
	long fd = sys_open("/mnt/sparse", O_CREAT | O_TRUNC | O_RDWR, 0600);
	struct fs_stat st;

	CHECK(fd >= 0);
	for (unsigned int i = 0; i < 3; i++) {
		fill(chunk, CHUNK, i, 5, 0);
		CHECK_EQ(sys_pwrite(fd, chunk, CHUNK, at[i]), CHUNK);
	}
	fill(chunk, CHUNK, 3, 5, 0);
	CHECK_EQ(sys_pwrite(fd, chunk, CHUNK, far), CHUNK);
	CHECK_EQ(sys_fsync(fd), 0);
	CHECK_EQ(sys_fstat(fd, &st), 0);
	CHECK_EQ(st.size, far + CHUNK);
	CHECK(st.blocks * 512 < 200 * 1024);
	sys_close(fd);
	unmount();
	mount_disk();
	fd = sys_open("/mnt/sparse", O_RDWR, 0);
	CHECK(fd >= 0);
	for (unsigned int i = 0; i < 4; i++) {
		fill(expected, CHUNK, i, 5, 0);
		CHECK_EQ(sys_pread(fd, chunk, CHUNK, i < 3 ? at[i] : far), CHUNK);
		CHECK(!memcmp(chunk, expected, CHUNK));
	}
	memset(expected, 0, CHUNK);
	CHECK_EQ(sys_pread(fd, chunk, CHUNK, 100 * 1024), CHUNK);
	CHECK(!memcmp(chunk, expected, CHUNK));
	CHECK_EQ(sys_pread(fd, chunk, CHUNK, far / 2 & ~4095ull), CHUNK);
	CHECK(!memcmp(chunk, expected, CHUNK));
	/* In the middle of a line in the middle of a block; then up again: zeroes. */
	CHECK_EQ(sys_ftruncate(fd, at[1] + 1000), 0);
	CHECK_EQ(sys_ftruncate(fd, at[1] + 20000), 0);
	CHECK_EQ(sys_pread(fd, chunk, CHUNK, at[1]), CHUNK);
	fill(expected, CHUNK, 1, 5, 0);
	memset(expected + 1000, 0, CHUNK - 1000);
	CHECK(!memcmp(chunk, expected, CHUNK));
	CHECK_EQ(sys_fstat(fd, &st), 0);
	CHECK_EQ(st.size, at[1] + 20000);
	sys_close(fd);
}

/** A shared mapping writes to the file: into a hole, over data, behind what was written before. */
static void mapped(void)
{
	long fd = sys_open("/mnt/mapped", O_CREAT | O_TRUNC | O_RDWR, 0600);
	char *p;

	CHECK(fd >= 0);
	CHECK_EQ(sys_ftruncate(fd, 5 * PAGE_SIZE + 100), 0);
	p = (char *)sys_mmap_file(6 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(!is_error((long)p));
	if (is_error((long)p))
		return;
	fill(p, 2 * PAGE_SIZE, 8, 8, 0);
	fill(p + 5 * PAGE_SIZE, 100, 8, 8, 5 * PAGE_SIZE);
	CHECK_EQ(syscall3(26, (long)p, 6 * PAGE_SIZE, 4), 0); /* msync(MS_SYNC) */
	CHECK_EQ(sys_pread(fd, chunk, CHUNK, 0), CHUNK);
	CHECK(!memcmp(chunk, p, CHUNK));
	CHECK_EQ(sys_munmap((long)p, 6 * PAGE_SIZE), 0);
	sys_close(fd);
}
static void check_mapped(void)
{
	long fd = sys_open("/mnt/mapped", O_RDONLY, 0);
	struct fs_stat st;

	CHECK(fd >= 0);
	fill(expected, CHUNK, 8, 8, 0);
	CHECK_EQ(sys_pread(fd, chunk, CHUNK, 0), CHUNK);
	CHECK(!memcmp(chunk, expected, CHUNK));
	memset(expected, 0, PAGE_SIZE);
	CHECK_EQ(sys_pread(fd, chunk, PAGE_SIZE, 3 * PAGE_SIZE), PAGE_SIZE);
	CHECK(!memcmp(chunk, expected, PAGE_SIZE));
	fill(expected, 100, 8, 8, 5 * PAGE_SIZE);
	CHECK_EQ(sys_pread(fd, chunk, PAGE_SIZE, 5 * PAGE_SIZE), 100);
	CHECK(!memcmp(chunk, expected, 100));
	CHECK_EQ(sys_fstat(fd, &st), 0);
	CHECK(st.blocks <= 4 * 8); /* the hole is one still */
	sys_close(fd);
}

static int tree(void)
{
	struct fs_statfs before, after;

	mount_disk();
	CHECK_EQ(sys_statfs("/mnt", &before), 0);
	CHECK_EQ(before.type, 0xef53);
	make_files();
	check_files();
	directories();
	links();
	/* With 1K blocks a file ends at 16 GiB, the highest that all can do is below that. */
	sparse(3ull << 30);
	mapped();
	rename_storm(NR_RENAMES, true);
	check_files();
	unmount();
	mount_disk();
	check_files();
	check_mapped();
	for (uint32_t i = 0; i < NR_FILES; i++) {
		char path[200];

		file_path(path, file[i].dir, file[i].name);
		if (!file[i].gone && i % 3 == 0)
			CHECK_EQ(sys_unlink(path), 0);
		file[i].gone |= i % 3 == 0;
	}
	check_files();
	CHECK_EQ(sys_unlink("/mnt/sparse"), 0);
	CHECK_EQ(sys_statfs("/mnt", &after), 0);
	CHECK(after.bfree < before.bfree);
	unmount();
	return failures != 0;
}

static int verify(void)
{
	plan_files();
	rename_storm(NR_RENAMES, false);
	for (uint32_t i = 0; i < NR_FILES; i += 3)
		file[i].gone = true;
	mount_disk();
	check_files();
	check_mapped();
	unmount();
	return failures != 0;
}

/* ---- full ---- */

static uint64_t blocks_free(void)
{
	struct fs_statfs st = {0};

	CHECK_EQ(sys_statfs("/mnt", &st), 0);
	return st.bfree;
}

static void full_path(char *path, uint32_t i)
{
	put_number(put(path, "/mnt/full-"), i, 5);
}

/** Files of `size` bytes until one does not fit. Returns the error that said so. */
static long fill_up(uint32_t *n, uint64_t size)
{
	for (; *n < 5000; ++*n) {
		char path[64];
		long fd, ret;

		full_path(path, *n);
		fd = sys_open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
		if (fd < 0)
			return fd;
		ret = write_file(fd, *n, 9, size);
		if (ret >= 0 &&
		    ret < (long)size) /* the last write was short: the next one says why */
			ret = sys_pwrite(fd, chunk, 1, ret);
		sys_close(fd);
		if (ret < 0) {
			++*n;
			return ret;
		}
	}
	return 0;
}

static int full(void)
{
	uint64_t before;
	char path[64];
	uint32_t n = 0;

	mount_disk();
	before = blocks_free();
	CHECK_EQ(fill_up(&n, 50000), -ENOSPC);
	CHECK_EQ(fill_up(&n, 100), -ENOSPC); /* the last blocks: too few for a long one */
	CHECK_EQ(blocks_free(), 0);
	CHECK_EQ(sys_mkdir("/mnt/no-room", 0700), -ENOSPC);
	/* Full is full: what is there stays. */
	full_path(path, 0);
	CHECK(path_holds(path, 0, 9, 50000));
	unmount();
	mount_disk();
	CHECK(path_holds(path, 0, 9, 50000));
	for (uint32_t i = 0; i < n; i++) {
		full_path(path, i);
		CHECK_EQ(sys_unlink(path), 0);
	}
	CHECK_EQ(blocks_free(), before);
	unmount();
	print("full: %u files\n", n);
	return failures != 0;
}

/* ---- synced ---- */

static int synced(void)
{
	uint32_t gen[12] = {0};
	char path[64];

	mount_disk();
	for (uint32_t turn = 0;; turn++) {
		uint32_t i = random_below(12), size = 100 + random_below(turn % 8 ? 20000 : 120000);
		long fd, dir;

		put_number(put(path, "/mnt/sync-"), i, 3);
		gen[i]++;
		if (turn % 5 == 4) { /* in the way of those that are synced: never promised */
			CHECK_EQ(sys_mkdir("/mnt/t", 0700), 0);
			fd = sys_open("/mnt/t/x", O_CREAT | O_WRONLY, 0600);
			write_file(fd, 900, turn, 50000);
			sys_close(fd);
			CHECK_EQ(sys_unlink("/mnt/t/x"), 0);
			CHECK_EQ(sys_rmdir("/mnt/t"), 0);
		}
		print("writing %s\n", path + 5);
		fd = sys_open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
		CHECK(fd >= 0);
		CHECK_EQ(write_file(fd, i, gen[i], size), size);
		CHECK_EQ(sys_fsync(fd), 0);
		sys_close(fd);
		dir = sys_open("/mnt", O_RDONLY | O_DIRECTORY, 0);
		CHECK_EQ(sys_fsync(dir), 0);
		sys_close(dir);
		print("synced %s %u %u %u\n", path + 5, i, gen[i], size);
		if (failures)
			return 1;
	}
}

/* ---- hostile ---- */

static uint64_t things, errors;

/** Look at everything below a directory; change some of it. `path` has room for more. */
static void walk(char *path, unsigned int depth)
{
	static char entries[12][4096];
	char *end = path + strlen(path), *buf = entries[depth], other[300];
	long fd = sys_open(path, O_RDONLY | O_DIRECTORY, 0), n = 0;

	if (fd < 0) {
		errors++;
		return;
	}
	while (things < 3000 && (n = sys_getdents(fd, buf, sizeof(entries[0]))) > 0) {
		for (long at = 0; at < n; at += ((struct fs_dirent *)(buf + at))->reclen) {
			struct fs_dirent *d = (struct fs_dirent *)(buf + at);
			struct fs_stat st;
			long f;

			if (!strcmp(d->name, ".") || !strcmp(d->name, ".."))
				continue;
			things++;
			put(put(end, "/"), d->name);
			if (sys_lstat(path, &st)) {
				errors++;
			} else if ((st.mode & S_IFMT) == S_IFDIR) {
				if (depth + 1 < 12)
					walk(path, depth + 1);
			} else if ((st.mode & S_IFMT) == S_IFLNK) {
				errors += sys_readlink(path, chunk, CHUNK) < 0;
			} else if ((st.mode & S_IFMT) == S_IFREG) {
				f = sys_open(path, O_RDWR, 0);
				for (uint64_t pos = 0; f >= 0 && pos < (1 << 20); pos += CHUNK)
					if (sys_pread(f, chunk, CHUNK, pos) <= 0)
						break;
				if (f >= 0 && things % 3 == 0) {
					errors += sys_pwrite(f, chunk, 5000,
							     random_below(1 << 21)) < 0;
					errors += sys_ftruncate(f, random_below(100000)) < 0;
				}
				errors += f < 0;
				sys_close(f);
			}
			put_number(put(other, "/mnt/moved-"), things, 5);
			if (things % 5 == 0)
				errors += sys_rename(path, other) < 0;
			else if (things % 5 == 1)
				errors += sys_unlink(path) < 0;
			*end = 0;
		}
	}
	errors += n < 0;
	sys_close(fd);
	*end = 0;
	put(put(end, "/"), "a-new-one");
	errors += sys_mkdir(path, 0700) < 0;
	put(end, "/another");
	fd = sys_open(path, O_CREAT | O_RDWR, 0600);
	errors += fd < 0 || write_file(fd, 1, 1, 40000) != 40000;
	sys_close(fd);
	*end = 0;
}

static int hostile(void)
{
	static char path[12 * 300] = "/mnt";
	long ret = sys_mount(disk, "/mnt", "ext2", 0);

	things = errors = 0;
	path[4] = 0;
	if (ret) {
		print("hostile: mount: %ld\n", ret);
		return 0;
	}
	walk(path, 0);
	sys_sync();
	ret = sys_umount("/mnt");
	print("hostile: %lu names, %lu errors, umount %ld\n", things, errors, ret);
	return 0;
}

/* ---- small, plant ---- */

/** One of everything, in a few instructions. */
static int small(void)
{
	long fd;

	mount_disk();
	CHECK_EQ(sys_mkdir("/mnt/d", 0755), 0);
	fd = sys_open("/mnt/d/file", O_CREAT | O_RDWR, 0644);
	CHECK(fd >= 0);
	CHECK_EQ(write_file(fd, 1, 1, 3000), 3000);
	CHECK_EQ(sys_fsync(fd), 0);
	sys_close(fd);
	CHECK_EQ(sys_symlink("d/file", "/mnt/link"), 0);
	CHECK_EQ(sys_rename("/mnt/d/file", "/mnt/file"), 0);
	unmount();
	mount_disk();
	CHECK(path_holds("/mnt/file", 1, 1, 3000));
	unmount();
	return failures != 0;
}

/** What is worth being damaged: few blocks, but of all kinds. */
static int plant(void)
{
	char path[100];
	long fd;

	mount_disk();
	CHECK_EQ(sys_mkdir("/mnt/a", 0755), 0);
	CHECK_EQ(sys_mkdir("/mnt/a/b", 0755), 0);
	for (uint32_t i = 0; i < 60; i++) {
		put_number(put(path, i % 2 ? "/mnt/a/b/long-name-for-a-file-" : "/mnt/f"), i, 4);
		fd = sys_open(path, O_CREAT | O_WRONLY, 0644);
		CHECK(fd >= 0);
		write_file(fd, i, 0, i % 10 ? 1500 : 30000);
		sys_close(fd);
	}
	fd = sys_open("/mnt/sparse", O_CREAT | O_WRONLY, 0600);
	sys_pwrite(fd, "x", 1, 500000);
	sys_pwrite(fd, "x", 1, 80 << 20);
	sys_close(fd);
	memset(chunk, 's', 200);
	chunk[200] = 0;
	CHECK_EQ(sys_symlink(chunk, "/mnt/a/slow"), 0);
	CHECK_EQ(sys_symlink("b", "/mnt/a/fast"), 0);
	CHECK_EQ(sys_mknod("/mnt/null", S_IFCHR | 0666, 1 << 8 | 3), 0);
	unmount();
	return failures != 0;
}

/* ---- raw ---- */

#define BLKGETSIZE64 0x80081272

#define O_DIRECT 040000

/** Is the page of the disk at `pos` in memory? */
static int in_cache(int fd, uint64_t pos)
{
	long at = sys_mmap_file(PAGE_SIZE, PROT_READ, 1, fd, pos);
	unsigned char there = 2;

	CHECK_EQ(syscall3(27, at, PAGE_SIZE, (long)&there), 0);
	sys_munmap(at, PAGE_SIZE);
	return there & 1;
}

/** O_DIRECT: whole sectors, and nothing stays in the cache. */
static void direct(void)
{
	static char block[2 * PAGE_SIZE] __attribute__((aligned(4096)));
	int fd = (int)sys_open(disk, O_RDWR | O_DIRECT, 0),
	    cached = (int)sys_open(disk, O_RDONLY, 0);
	const uint64_t pos = 16 * PAGE_SIZE;

	fill(block, PAGE_SIZE, 9, 9, 0);
	CHECK_EQ(sys_pwrite(fd, block, PAGE_SIZE, pos), PAGE_SIZE);
	CHECK_EQ(in_cache(fd, pos), 0);
	CHECK_EQ(sys_pread(cached, chunk, 100, pos), 100);
	CHECK_EQ(in_cache(fd, pos), 1);
	CHECK_EQ(sys_pread(fd, block + PAGE_SIZE, PAGE_SIZE, pos), PAGE_SIZE);
	CHECK_EQ(in_cache(fd, pos), 0);
	CHECK(!memcmp(block, block + PAGE_SIZE, PAGE_SIZE));
	CHECK_EQ(sys_pwrite(fd, block, 100, pos), -EINVAL);
	CHECK_EQ(sys_pwrite(fd, block + 1, 512, pos), -EINVAL);
	CHECK_EQ(sys_pread(fd, block, 512, pos + 1), -EINVAL);
	CHECK_EQ(sys_pread(fd, block, 512, pos + 512), 512);
	sys_close(fd);
	sys_close(cached);
}

static int raw(void)
{
	long fd = sys_open(disk, O_RDWR, 0);
	uint64_t size = 0;
	struct fs_stat st;

	CHECK(fd >= 0);
	CHECK_EQ(sys_fstat(fd, &st), 0);
	CHECK_EQ(st.mode & S_IFMT, 0060000);
	CHECK_EQ(sys_ioctl(fd, BLKGETSIZE64, &size), 0);
	CHECK_EQ(syscall3(8, fd, 0, 2), size); /* lseek to the end */
	fill(chunk, CHUNK, 4, 4, 0);
	CHECK_EQ(sys_pwrite(fd, chunk, CHUNK, 0), CHUNK);
	CHECK_EQ(sys_pwrite(fd, chunk, 1000, 100000), 1000);
	CHECK_EQ(sys_pwrite(fd, chunk, CHUNK, size - 4096), 4096);
	CHECK_EQ(sys_pwrite(fd, chunk, CHUNK, size), -ENOSPC);
	CHECK_EQ(sys_pread(fd, chunk, CHUNK, size), 0);
	CHECK_EQ(sys_fsync(fd), 0);
	sys_close(fd);
	fd = sys_open(disk, O_RDONLY,
		      0); /* read from the disk again: the last close has dropped all */
	fill(expected, CHUNK, 4, 4, 0);
	CHECK_EQ(sys_pread(fd, chunk, CHUNK, 0), CHUNK);
	CHECK(!memcmp(chunk, expected, CHUNK));
	CHECK_EQ(sys_pread(fd, chunk, 1000, 100000), 1000);
	CHECK(!memcmp(chunk, expected, 1000));
	CHECK_EQ(sys_pread(fd, chunk, CHUNK, size - 4096), 4096);
	CHECK(!memcmp(chunk, expected, 4096));
	sys_close(fd);
	direct();
	print("raw: %lu bytes\n", size);
	return failures != 0;
}

/* ---- swap ---- */

#define SYS_swapon  167
#define SYS_swapoff 168

/** mkswap by hand, through the disk's file, and a swap area of it for a while. */
static int swap(void)
{
	uint32_t header[3] = {1, 0, 0}; /* version, last page, bad pages */
	uint64_t size = 0;
	long fd = sys_open(disk, O_RDWR, 0);

	CHECK(fd >= 0);
	CHECK_EQ(syscall3(SYS_swapon, (long)disk, 0, 0), -EINVAL); /* no header yet */
	CHECK_EQ(sys_ioctl(fd, BLKGETSIZE64, &size), 0);
	header[1] = size / PAGE_SIZE - 1;
	CHECK_EQ(sys_pwrite(fd, header, sizeof(header), 1024), sizeof(header));
	CHECK_EQ(sys_pwrite(fd, "SWAPSPACE2", 10, PAGE_SIZE - 10), 10);
	CHECK_EQ(syscall3(SYS_swapon, (long)disk, 0, 0), 0);
	CHECK_EQ(syscall3(SYS_swapon, (long)disk, 0, 0), -16);
	CHECK_EQ(syscall3(SYS_swapoff, (long)disk, 0, 0), 0);
	CHECK_EQ(syscall3(SYS_swapoff, (long)disk, 0, 0), -EINVAL);
	CHECK_EQ(syscall3(SYS_swapon, (long)"/dev/null", 0, 0), -EINVAL);
	CHECK_EQ(syscall3(SYS_swapon, (long)"/none", 0, 0), -ENOENT);
	CHECK_EQ(syscall3(SYS_swapon, (long)disk, 1 << 20, 0), -EINVAL);
	sys_close(fd);
	return failures != 0;
}

#define SWAP_FILE     "/mnt/swapfile"
#define SWAP_FILE_MIB 24ul

/** A file with a swap header, every block of it written, or with a hole at page `hole`. */
static void make_swap_file(const char *path, uint64_t pages, uint64_t hole)
{
	static char page[PAGE_SIZE];
	uint32_t header[3] = {1, pages - 1, 0};
	long fd = sys_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	for (uint64_t i = 0; i < pages; i++)
		if (i != hole)
			CHECK_EQ(sys_pwrite(fd, page, PAGE_SIZE, i * PAGE_SIZE), PAGE_SIZE);
	CHECK_EQ(sys_pwrite(fd, header, sizeof(header), 1024), sizeof(header));
	CHECK_EQ(sys_pwrite(fd, "SWAPSPACE2", 10, PAGE_SIZE - 10), 10);
	sys_close(fd);
}

/** Does /proc/swaps name the file? */
static bool is_listed(void)
{
	static char text[4096];
	static const char name[] = SWAP_FILE " ";
	long fd = sys_open("/proc/swaps", O_RDONLY, 0), n = sys_read(fd, text, sizeof(text) - 1);

	sys_close(fd);
	for (long i = 0; i + (long)sizeof(name) - 1 <= n; i++)
		if (!memcmp(text + i, name, sizeof(name) - 1))
			return true;
	return false;
}

/** Nobody may change a file that is in use. The errors are Linux's. */
static void refused_while_in_use(void)
{
	long fd = sys_open(SWAP_FILE, O_RDWR, 0);

	CHECK(fd >= 0);
	CHECK_EQ(sys_pwrite(fd, "x", 1, 0), -26);
	CHECK_EQ(sys_ftruncate(fd, 0), -26);
	CHECK_EQ(sys_mmap_file(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), -26);
	CHECK(!is_error(sys_mmap_file(PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0)));
	sys_close(fd);
	CHECK_EQ(sys_unlink(SWAP_FILE), -1);
	CHECK_EQ(sys_rename(SWAP_FILE, "/mnt/other"), -1);
	CHECK_EQ(sys_rename("/mnt/hole", SWAP_FILE), -1);
	CHECK_EQ(syscall3(SYS_swapon, (long)SWAP_FILE, 0, 0), -16);
	CHECK_EQ(sys_umount("/mnt"), -16);
}

/** More than the machine has. Returns what is in swap, as the area says. */
static void use_memory(uint64_t bytes)
{
	uint64_t *p = (uint64_t *)map_memory(bytes), words = PAGE_SIZE / sizeof(*p);

	CHECK(!is_error((long)p));
	for (int round = 0; round < 2; round++)
		for (uint64_t i = 0; i < bytes / PAGE_SIZE; i++) {
			CHECK(!round || p[i * words] == i * 31 + 7);
			p[i * words] = i * 31 + 7;
			p[i * words + 5] = ~i;
		}
	CHECK_EQ(sys_munmap((long)p, bytes), 0);
}

static int swapfile(void)
{
	uint64_t pages = (SWAP_FILE_MIB << 20) / PAGE_SIZE;

	mount_disk();
	make_swap_file("/mnt/hole", 64, 40);
	CHECK_EQ(syscall3(SYS_swapon, (long)"/mnt/hole", 0, 0), -EINVAL);
	make_swap_file("/mnt/hole", 1, 1);
	CHECK_EQ(syscall3(SYS_swapon, (long)"/mnt/hole", 0, 0), -EINVAL);
	CHECK_EQ(syscall3(SYS_swapon, (long)"/mnt", 0, 0), -21);
	CHECK_EQ(syscall3(SYS_swapoff, (long)"/mnt/hole", 0, 0), -EINVAL);
	/* In memory: it has no place on a disk. */
	make_swap_file("/in_memory", 64, 64);
	CHECK_EQ(syscall3(SYS_swapon, (long)"/in_memory", 0, 0), -EINVAL);
	make_swap_file(SWAP_FILE, pages, pages);
	CHECK_EQ(syscall3(SYS_swapon, (long)SWAP_FILE, 0, 0), 0);
	CHECK(is_listed());
	refused_while_in_use();
	use_memory(total_ram() * 5 / 4);
	CHECK_EQ(syscall3(SYS_swapoff, (long)SWAP_FILE, 0, 0), 0);
	CHECK(!is_listed());
	CHECK_EQ(sys_rename(SWAP_FILE, "/mnt/other"), 0);
	CHECK_EQ(sys_rename("/mnt/other", SWAP_FILE), 0);
	/* The machine ends with it in use. */
	make_swap_file(SWAP_FILE, pages, pages);
	CHECK_EQ(syscall3(SYS_swapon, (long)SWAP_FILE, 0, 0), 0);
	return failures != 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} mode[] = {{"tree", tree},	{"verify", verify},    {"full", full}, {"raw", raw},
		    {"synced", synced}, {"hostile", hostile},  {"swap", swap}, {"small", small},
		    {"plant", plant},	{"swapfile", swapfile}};

	if (argc > 2)
		disk = argv[2];
	if (argc > 3 && argv[3][0] != '/')
		parse_size(argv[3], &seed);
	sys_mkdir("/mnt", 0755);
	for (unsigned int i = 0; argc > 2 && i < sizeof(mode) / sizeof(mode[0]); i++) {
		if (!strcmp(argv[1], mode[i].name)) {
			int status = mode[i].run();

			/* hostile takes any number of disks */
			for (int d = 3; d < argc && mode[i].run == hostile; d++) {
				disk = argv[d];
				status |= hostile();
			}
			print("%s %s\n", argv[1], status ? "FAILED" : "passed");
			return status;
		}
	}
	print("usage: ext2test MODE DISK [SEED]\n");
	return 2;
}
