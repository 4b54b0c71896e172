/*
 * ext2 against a trivial reference, and against damage.
 *
 *   model   random operations on a file system that mke2fs has made, each checked against files kept
 *           in memory; now and then unmounted, mounted again and compared whole; at the end e2fsck has
 *           nothing to say
 *   damage  the same operations on images with random bytes and words changed: any error is fine,
 *           a wild access (sanitizers), a loop (alarm) or a panic is not
 *
 * Compiled with the page cache that the guest has, on a disk in memory; the walk along names is left
 * out, the inodes' operations are called as it calls them.    ext2 [SECONDS [SEED]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "fs/internal.h"
#include "fs/xattr.h"
#include "host.h"
#include "kernel/boot.h"
#include "mm/phys/alloc.h"
#include "mm/virt/mm.h"

/* ---- what is above us in the guest ---- */

struct boot_info boot_info = {.epoch_ns = 1700000000000000000ull};
const struct file_ops generic_file_ops;
static struct fs_type *ext2;

void register_filesystem(struct fs_type *type)
{
	ext2 = type;
}
u64 bdev_number(const struct block_device *bdev)
{
	return 0xfe00;
}
int bdev_write_back(struct block_device *bdev)
{
	return 0;
}
/* Nobody asks for extended attributes here (tests/vm/ext2.sh does), so that none is in memory. */
int xattr_add(struct inode *inode, const char *name, const void *value, u32 size)
{
	return -ENOMEM;
}
void xattrs_free(struct inode *inode)
{
	(void)inode;
	abort();
}

long generic_llseek(struct file *f, s64 offset, int whence)
{
	return -ESPIPE;
}
void ext2_init(void);

/* ---- random numbers and complaints ---- */

static u64 seed;

static u32 below(u32 n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

#define MUST(cond, ...)                                                        \
	do {                                                                   \
		if (!(cond)) {                                                 \
			printf("FAIL %s:%d: %s: ", __FILE__, __LINE__, #cond); \
			printf(__VA_ARGS__);                                   \
			printf("\n%s\n", host_log());                          \
			exit(1);                                               \
		}                                                              \
	} while (0)

/* ---- a mounted disk ---- */

static struct host_disk *disk;
static struct super_block *sb;

static int mount_disk(void)
{
	int err;

	sb = kzalloc(sizeof(*sb), GFP_KERNEL);
	if (!sb)
		return -ENOMEM;
	sb->type = ext2;
	sb->bdev = &disk->bdev;
	INIT_LIST_HEAD(&sb->inodes);
	mutex_init(&sb->rename_lock);
	err = ext2->mount(sb, "");
	if (err) {
		MUST(list_empty(&sb->inodes), "inodes left by a mount that failed");
		kfree(sb);
		sb = NULL;
	}
	return err;
}

static void unmount(void)
{
	iput(sb->root);
	if (!sb->read_only) {
		sync_inodes(sb);
		sb->ops->sync_fs(sb);
	}
	MUST(evict_inodes(sb), "inodes in use at unmount");
	sb->ops->put_super(sb);
	kfree(sb);
	sb = NULL;
}

static const char *work_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir ? dir : "/tmp";
}

static void run(const char *fmt, const char *a, const char *b, int want)
{
	char cmd[600];
	int status;

	snprintf(cmd, sizeof(cmd), fmt, a, b);
	status = system(cmd);
	MUST(status >= 0 && status >> 8 == want, "%s: status %d", cmd, status >> 8);
}

static char image[300];

static void load_image(void)
{
	FILE *f = fopen(image, "rb");

	MUST(f, "%s", image);
	memset(disk->data, 0, disk->bdev.nr_sectors * 512);
	MUST(fread(disk->data, 1, disk->bdev.nr_sectors * 512, f) > 0, "%s is empty", image);
	fclose(f);
}

static void save_image(void)
{
	FILE *f = fopen(image, "wb");

	MUST(f && fwrite(disk->data, 512, disk->bdev.nr_sectors, f) == disk->bdev.nr_sectors, "%s",
	     image);
	fclose(f);
}

static void make_image(u32 block_size)
{
	char options[64];

	snprintf(options, sizeof(options), "-b %u %s", block_size,
		 block_size == 2048 ? "-O ^resize_inode,^dir_index" : "");
	unlink(image);
	run("PATH=$PATH:/sbin:/usr/sbin mke2fs -q -F -t ext2 -N 200 %s %s 2M 2>/dev/null", options,
	    image, 0);
	load_image();
}

/* ---- the reference ---- */

#define NR_NODES 48u
#define MAX_SIZE 400000u

enum kind { NONE, REG, DIR, LNK };
static struct node {
	enum kind kind;
	u32 parent;    /* node; 0 is the root */
	char name[40]; /* in it */
	u8 *data;      /* contents, or the target */
	u32 size;
} node[NR_NODES];

static bool strict; /* the disk is whole: results must be the reference's */
static u64 nr_ops, nr_done;

static u32 pick(enum kind kind)
{
	u32 from = below(NR_NODES);

	for (u32 i = 0; i < NR_NODES; i++)
		if (node[(from + i) % NR_NODES].kind == kind)
			return (from + i) % NR_NODES;
	return kind == DIR ? 0 : NR_NODES;
}

/** Inode of a node by its names, with a reference; NULL and *err. */
static struct inode *inode_of(u32 n, int *err)
{
	struct inode *dir, *inode = NULL;

	if (!n) {
		iget_ref(sb->root);
		return sb->root;
	}
	dir = inode_of(node[n].parent, err);
	if (!dir)
		return NULL;
	*err = S_ISDIR(dir->mode)
		       ? dir->ops->lookup(dir, node[n].name, strlen(node[n].name), &inode)
		       : -ENOTDIR;
	iput(dir);
	if (*err)
		inode = NULL;
	MUST(!strict || inode, "node %u, %s, is not found: %d", n, node[n].name, *err);
	return inode;
}

/** The same for a directory: damage may have made something else of it. */
static struct inode *dir_of(u32 n, int *err)
{
	struct inode *dir = inode_of(n, err);

	if (dir && !S_ISDIR(dir->mode)) {
		iput(dir);
		dir = NULL;
		*err = -ENOTDIR;
	}
	return dir;
}

static bool is_below(u32 n, u32 dir)
{
	for (; n; n = node[n].parent)
		if (n == dir)
			return true;
	return dir == 0;
}

static bool has_children(u32 dir)
{
	for (u32 i = 1; i < NR_NODES; i++)
		if (node[i].kind != NONE && node[i].parent == dir)
			return true;
	return false;
}

static void new_name(char *name)
{
	u32 len = 1 + below(30);

	for (u32 i = 0; i < len; i++)
		name[i] = 'a' + below(26);
	snprintf(name + len, 9, "%u", below(1000000));
}

static void op_create(void)
{
	u32 n = pick(NONE), parent = pick(DIR), what = below(10);
	static char target[200];
	struct inode *dir, *inode = NULL;
	char name[40];
	int err = 0;

	if (n >= NR_NODES || !n)
		return;
	dir = dir_of(parent, &err);
	if (!dir)
		return;
	new_name(name);
	if (what < 6) {
		err = dir->ops->create(dir, name, strlen(name), S_IFREG | 0644, 0, &inode);
	} else if (what < 8) {
		err = dir->ops->create(dir, name, strlen(name), S_IFDIR | 0755, 0, &inode);
	} else {
		u32 len = 1 + below(sizeof(target) - 1);

		memset(target, 'x', len);
		target[len] = 0;
		err = dir->ops->symlink(dir, name, strlen(name), target, &inode);
	}
	iput(dir);
	MUST(!err || !strict || err == -ENOSPC, "create: %d", err);
	if (err)
		return;
	nr_done++;
	node[n] = (struct node){.kind = what < 6 ? REG : what < 8 ? DIR : LNK, .parent = parent};
	strcpy(node[n].name, name);
	if (what >= 8) {
		node[n].size = strlen(target);
		node[n].data = (u8 *)strdup(target);
	}
	iput(inode);
}

static void op_write(void)
{
	static u8 buf[50000];
	u32 n = pick(REG), len = 1 + below(below(3) ? 3000 : sizeof(buf)), pos;
	struct inode *inode;
	int err = 0;
	long done;

	if (n >= NR_NODES || !(inode = inode_of(n, &err)))
		return;
	pos = below(4) ? below(node[n].size + 1) : below(MAX_SIZE);
	for (u32 i = 0; i < len; i++)
		buf[i] = below(256);
	if (S_ISREG(inode->mode)) {
		done = kernel_file_write(&inode->i_data, buf, len, pos);
		MUST(!strict || done == len || done == -ENOSPC || done > 0, "write: %ld", done);
		if (done > 0) {
			nr_done++;
			if (pos + done > node[n].size) {
				node[n].data = realloc(node[n].data, pos + done);
				if (pos > node[n].size)
					memset(node[n].data + node[n].size, 0, pos - node[n].size);
				node[n].size = pos + done;
			}
			memcpy(node[n].data + pos, buf, done);
		}
		MUST(!strict || inode->i_data.size == node[n].size, "size after write: %lu, not %u",
		     (unsigned long)inode->i_data.size, node[n].size);
	}
	iput(inode);
}

static void op_truncate(void)
{
	u32 n = pick(REG), size = below(3) ? below(MAX_SIZE) : 0;
	struct inode *inode;
	int err = 0;

	if (n >= NR_NODES || !(inode = inode_of(n, &err)))
		return;
	if (S_ISREG(inode->mode)) {
		err = inode->ops->truncate(inode, size);
		MUST(!strict || !err, "truncate: %d", err);
		if (!err) {
			nr_done++;
			node[n].data = realloc(node[n].data, size + 1);
			if (size > node[n].size)
				memset(node[n].data + node[n].size, 0, size - node[n].size);
			node[n].size = size;
		}
	}
	iput(inode);
}

static void op_unlink(void)
{
	u32 n = 1 + below(NR_NODES - 1);
	struct inode *dir, *inode;
	int err = 0, want = 0;

	if (node[n].kind == NONE || !(inode = inode_of(n, &err)))
		return;
	dir = dir_of(node[n].parent, &err);
	if (dir && S_ISDIR(inode->mode)) {
		want = has_children(n) ? -ENOTEMPTY : 0;
		err = dir->ops->rmdir(dir, node[n].name, strlen(node[n].name), inode);
	} else if (dir) {
		err = dir->ops->unlink(dir, node[n].name, strlen(node[n].name), inode);
	}
	MUST(!strict || err == want, "unlink: %d, not %d", err, want);
	iput(inode);
	iput(dir);
	if (err)
		return;
	nr_done++;
	free(node[n].data);
	node[n] = (struct node){0};
}

static void op_rename(void)
{
	u32 n = 1 + below(NR_NODES - 1), to = pick(DIR), over = below(4) ? 0 : pick(REG);
	struct inode *inode, *victim = NULL, *old_dir, *new_dir;
	char name[40];
	int err = 0;

	if (node[n].kind == NONE || (node[n].kind == DIR && is_below(to, n)) || over >= NR_NODES ||
	    over == n || (over && node[n].kind == DIR))
		return;
	new_name(name);
	if (over) {
		to = node[over].parent;
		strcpy(name, node[over].name);
	}
	inode = inode_of(n, &err);
	old_dir = dir_of(node[n].parent, &err);
	new_dir = dir_of(to, &err);
	if (over)
		victim = inode_of(over, &err);
	if (!inode || !old_dir || !new_dir || (over && !victim))
		goto put;
	if (victim && S_ISDIR(victim->mode) != S_ISDIR(inode->mode))
		goto put;
	err = old_dir->ops->rename(old_dir, node[n].name, strlen(node[n].name), inode, new_dir,
				   name, strlen(name), victim);
	MUST(!err || !strict || err == -ENOSPC, "rename: %d", err);
	if (!err) {
		nr_done++;
		node[n].parent = to;
		strcpy(node[n].name, name);
		if (over) {
			free(node[over].data);
			node[over] = (struct node){0};
		}
	}
put:
	iput(inode);
	iput(old_dir);
	iput(new_dir);
	iput(victim);
}

static void check_node(u32 n)
{
	static u8 buf[MAX_SIZE + 100000];
	struct inode *inode;
	int err = 0;
	long got;

	if (node[n].kind == NONE || !(inode = inode_of(n, &err)))
		return;
	if (S_ISREG(inode->mode)) {
		got = kernel_file_read(&inode->i_data, buf, sizeof(buf), 0);
		if (strict) {
			MUST(got == node[n].size, "node %u: %ld bytes, not %u", n, got,
			     node[n].size);
			for (u32 i = 0; i < node[n].size; i++)
				MUST(buf[i] == node[n].data[i], "node %u differs at %u of %u", n, i,
				     node[n].size);
		}
	} else if (S_ISLNK(inode->mode)) {
		got = inode->ops->readlink(inode, (char *)buf, 4096);
		if (strict)
			MUST(got == node[n].size && !memcmp(buf, node[n].data, got), "link %u: %ld",
			     n, got);
	}
	if (strict)
		MUST(S_ISDIR(inode->mode) == (node[n].kind == DIR), "node %u is not what it was",
		     n);
	iput(inode);
}

static unsigned int listed;
static bool count_entry(struct dir_context *ctx, const char *name, u32 len, u64 ino, u32 type)
{
	listed++;
	return true;
}

static void check_dir(u32 n)
{
	struct dir_context ctx = {.actor = count_entry};
	unsigned int want = 2;
	struct file f = {0};
	int err = 0;

	if (n && node[n].kind != DIR)
		return;
	f.inode = inode_of(n, &err);
	if (!f.inode || !S_ISDIR(f.inode->mode)) {
		iput(f.inode);
		return;
	}
	listed = 0;
	err = f.inode->fops->iterate(&f, &ctx);
	for (u32 i = 1; i < NR_NODES; i++)
		want += node[i].kind != NONE && node[i].parent == n;
	if (!n)
		want++; /* lost+found */
	MUST(!strict || (!err && listed == want), "directory %u: %u names, not %u", n, listed,
	     want);
	iput(f.inode);
}

static void drop_caches(void)
{
	struct inode *inode;

	list_for_each_entry (inode, &sb->inodes, sb_list)
		invalidate_mapping_pages(&inode->i_data, 0, ~0ul);
}

static void step(void)
{
	u32 what = below(100);

	nr_ops++;
	if (what < 25)
		op_create();
	else if (what < 55)
		op_write();
	else if (what < 65)
		op_truncate();
	else if (what < 75)
		op_unlink();
	else if (what < 85)
		op_rename();
	else if (what < 95)
		check_node(1 + below(NR_NODES - 1));
	else if (what < 97)
		check_dir(pick(DIR));
	else if (what < 99)
		drop_caches();
	else
		sb->ops->sync_fs(sb);
}

static void forget_all(void)
{
	for (u32 i = 0; i < NR_NODES; i++) {
		free(node[i].data);
		node[i] = (struct node){0};
	}
	node[0].kind = DIR;
}

static void check_all(void)
{
	for (u32 i = 1; i < NR_NODES; i++) {
		check_node(i);
		check_dir(i);
	}
	check_dir(0);
}

static void fsck(void)
{
	save_image();
	run("PATH=$PATH:/sbin:/usr/sbin; out=$(e2fsck -fn %1$s 2>&1) || { echo \"$out\"; exit 9; }",
	    image, "", 0);
}

static void model(u32 block_size, unsigned int steps)
{
	strict = true;
	make_image(block_size);
	forget_all();
	for (unsigned int round = 0; round < 4; round++) {
		MUST(!mount_disk(), "mount");
		check_all();
		for (unsigned int i = 0; i < steps; i++)
			step();
		check_all();
		unmount();
		fsck();
	}
	strict = false;
}

/* ---- damage ---- */

static void damage(u8 *data, u32 block_size)
{
	u32 blocks = disk->bdev.nr_sectors * 512 / block_size;
	u32 n = 1 + below(below(4) ? 4 : 60);

	while (n) {
		u32 where = below(10), at;

		if (where == 0)
			at = 1024 + below(264);
		else if (where == 1)
			at = max(2048u, block_size) + below(64);
		else
			at = below(where < 6 ? min(blocks, 120u) : blocks) * block_size +
			     below(block_size);
		if (where > 1) { /* what is empty is not worth it */
			u64 *w = (u64 *)(data + (at & ~511u));
			bool empty = true;

			for (u32 i = 0; i < 64; i++)
				empty &= !w[i];
			if (empty && below(50))
				continue;
		}
		n--;
		switch (below(3)) {
		case 0:
			data[at] = below(256);
			break;
		case 1:
			data[at] ^= 1u << below(8);
			break;
		default: {
			static const u32 words[] = {0, ~0u, 0x7fffffff, 12, 2, 1};
			u32 w = below(2) ? words[below(6)] : below(2) ? below(3000) : below(~0u);

			memcpy(data + (at & ~3u), &w, 4);
		}
		}
	}
}

static u32 nr_mounted;

/** SIGPROF after so many seconds of computing, however busy the machine is; 0: never. */
static void limit_cpu(long seconds)
{
	const struct itimerval after = {.it_value = {.tv_sec = seconds}};

	setitimer(ITIMER_PROF, &after, NULL);
}

static void damaged(const u8 *base, const struct node *nodes, u32 block_size)
{
	memcpy(disk->data, base, disk->bdev.nr_sectors * 512);
	for (u32 i = 0; i < NR_NODES; i++) {
		node[i] = nodes[i];
		node[i].data = node[i].size ? malloc(node[i].size) : NULL;
		if (node[i].data)
			memcpy(node[i].data, nodes[i].data, node[i].size);
	}
	damage(disk->data, block_size);
	host_log_clear();
	limit_cpu(20);
	/* Beside what it reads: a request that fails, memory that is not there. */
	if (!below(3))
		disk->fail_at = 1 + below(60);
	if (!below(3))
		alloc_fail_nth(1 + below(150));
	if (!mount_disk()) {
		nr_mounted++;
		check_all();
		for (unsigned int i = 0; i < 60; i++)
			step();
		unmount();
	}
	limit_cpu(0);
	disk->fail_at = 0;
	alloc_fail_nth(0);
	forget_all();
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? atoi(argv[1]) : 6;
	const char *s = getenv("SEED");
	static const u32 sizes[] = {1024, 2048, 4096};
	time_t start;
	u32 images = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : s ? strtoull(s, NULL, 0) : (u64)time(NULL);
	if (system("PATH=$PATH:/sbin:/usr/sbin command -v mke2fs >/dev/null && "
		   "PATH=$PATH:/sbin:/usr/sbin command -v e2fsck >/dev/null")) {
		printf("SKIP: mke2fs and e2fsck are missing (package e2fsprogs)\n");
		return 77;
	}
	printf("seed %lu\n", (unsigned long)seed);
	snprintf(image, sizeof(image), "%s/ext2-model-%d", work_dir(), (int)getpid());
	host_boot_default("");
	mm_init();
	inode_cache_init();
	ext2_init();
	disk = host_disk_create("disk0", 4 << 20);
	start = time(NULL);
	for (unsigned int i = 0; i < 3; i++)
		model(sizes[i], 150);
	/* Some seconds of it, and where others have the processor all that time, one round. */
	while (time(NULL) - start < (time_t)seconds || !nr_mounted) {
		u32 bs = sizes[below(3)];
		static struct node nodes[NR_NODES];
		u8 *base = malloc(disk->bdev.nr_sectors * 512);

		model(bs, 60);
		memcpy(base, disk->data, disk->bdev.nr_sectors * 512);
		memcpy(nodes, node, sizeof(nodes));
		memset(node, 0, sizeof(node));
		for (unsigned int i = 0; i < 40; i++, images++) {
			u64 here = seed;

			damaged(base, nodes, bs);
			if (argc > 3)
				printf("image %u, seed %lu\n", images, (unsigned long)here);
		}
		memcpy(node, nodes, sizeof(nodes));
		free(base);
	}
	unlink(image);
	strcat(image, ".log");
	unlink(image);
	printf("%lu operations, %lu done; %u damaged images, %u mounted\n", (unsigned long)nr_ops,
	       (unsigned long)nr_done, images, nr_mounted);
	return nr_mounted && images ? 0 : 1;
}
