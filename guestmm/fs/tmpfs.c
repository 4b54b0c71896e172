/*
 * tmpfs: files that live in memory and in swap.
 *
 * The tree of dentries is the directory tree, so nothing is looked up or written. This file counts links
 * and sizes. mm/cache/shmem.c has the pages. devtmpfs, the file system of /dev, is a tmpfs that creates
 * its own nodes.
 *
 * I1  A directory's nlink is 2 plus the number of directories in it.
 * I2  nr_inodes counts the inodes of the file system. Beyond max_inodes creating one fails (-ENOSPC),
 *     because inodes are kernel memory that nothing else limits. `size` limits the pages of all files
 *     together in the same way. 0: no limit.
 */
#include "fs/internal.h"
#include "kernel/process.h"
#include "fs/tmpfs.h"
#include "lib/format.h"
#include "mm/cache/shmem.h"
#include "mm/phys/highmem.h"
#include "mm/huge/thp.h"
#include "mm/phys/alloc.h"

#define TMPFS_MAGIC 0x01021994u
#define DIRENT_SIZE 20 /* a directory's size per name, as in Linux */

static const struct inode_ops dir_ops, file_ops_, link_ops, node_ops;

struct inode *tmpfs_inode(struct super_block *sb, u32 mode, u64 rdev)
{
	struct tmpfs *fs = sb->private_;
	struct inode *inode;

	if (atomic_add_return(&fs->nr_inodes, 1) > fs->max_inodes && fs->max_inodes) {
		atomic_sub(&fs->nr_inodes, 1);
		return ERR_PTR(-ENOSPC);
	}
	inode = new_inode(sb, atomic_add_return(&fs->next_ino, 1));
	if (!inode) {
		atomic_sub(&fs->nr_inodes, 1);
		return ERR_PTR(-ENOMEM);
	}
	inode->mode = mode;
	inode->rdev = rdev;
	switch (mode & S_IFMT) {
	case S_IFREG:
		if (fs->hstate) {
			if (!hugetlbfs_init_file(inode, fs))
				break;
			inode->nlink = 0;
			iput(inode);
			return ERR_PTR(-ENOMEM);
		}
		address_space_init(&inode->i_data, inode, &shmem_aops, fs->mapping_flags);
		inode->i_data.limit = &fs->size;
		inode->ops = &file_ops_;
		inode->fops = &generic_file_ops;
		inode->i_data.seals = F_SEAL_SEAL;
		break;
	case S_IFDIR:
		inode->ops = &dir_ops;
		inode->fops = &simple_dir_ops;
		inode->nlink = 2;
		inode->i_data.size = 2 * DIRENT_SIZE;
		break;
	case S_IFLNK:
		inode->ops = &link_ops;
		break;
	default:
		inode->ops = &node_ops;
	}
	return inode;
}

void tmpfs_free_inode(struct inode *inode)
{
	struct tmpfs *fs = inode->sb->private_;

	atomic_sub(&fs->nr_inodes, 1);
	kfree(inode->private_);
}

/* ---- names: the parent's lock is held ---------------------------------------------------------- */

static int tmpfs_lookup(struct inode *dir, const char *name, u32 len, struct inode **inode)
{
	return -ENOENT;
}

static int tmpfs_create(struct inode *dir, const char *name, u32 len, u32 mode, u64 rdev,
			struct inode **result)
{
	struct inode *inode = tmpfs_inode(dir->sb, mode, rdev);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	if (dir->mode & 02000) {
		inode->gid = dir->gid;
		if (S_ISDIR(mode))
			inode->mode |= 02000;
	}
	dir->nlink += S_ISDIR(mode);
	dir->i_data.size += DIRENT_SIZE;
	*result = inode;
	return 0;
}

static int tmpfs_symlink(struct inode *dir, const char *name, u32 len, const char *target,
			 struct inode **result)
{
	size_t size = strlen(target);
	char *copy = kmalloc(size + 1, GFP_KERNEL_ACCOUNT);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, target, size + 1);
	err = tmpfs_create(dir, name, len, S_IFLNK | 0777, 0, result);
	if (err) {
		kfree(copy);
		return err;
	}
	(*result)->private_ = copy;
	(*result)->i_data.size = size;
	return 0;
}

static long tmpfs_readlink(struct inode *inode, char *buf, size_t size)
{
	return strscpy(buf, inode->private_, size);
}

static int tmpfs_link(struct inode *dir, const char *name, u32 len, struct inode *inode)
{
	inode->nlink++;
	dir->i_data.size += DIRENT_SIZE;
	return 0;
}

static int tmpfs_unlink(struct inode *dir, const char *name, u32 len, struct inode *inode)
{
	inode->nlink--;
	dir->i_data.size -= DIRENT_SIZE;
	return 0;
}

static int tmpfs_rmdir(struct inode *dir, const char *name, u32 len, struct inode *inode)
{
	inode->nlink = 0;
	dir->nlink--;
	dir->i_data.size -= DIRENT_SIZE;
	return 0;
}

static int tmpfs_rename(struct inode *old_dir, const char *old_name, u32 old_len,
			struct inode *inode, struct inode *new_dir, const char *new_name,
			u32 new_len, struct inode *victim)
{
	if (victim && S_ISDIR(victim->mode))
		tmpfs_rmdir(new_dir, new_name, new_len, victim);
	else if (victim)
		tmpfs_unlink(new_dir, new_name, new_len, victim);
	old_dir->nlink -= S_ISDIR(inode->mode);
	new_dir->nlink += S_ISDIR(inode->mode);
	old_dir->i_data.size -= DIRENT_SIZE;
	new_dir->i_data.size += DIRENT_SIZE;
	return 0;
}

static int tmpfs_tmpfile(struct inode *dir, u32 mode, struct inode **result)
{
	struct inode *inode = tmpfs_inode(dir->sb, mode, 0);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	inode->nlink = 0;
	*result = inode;
	return 0;
}

/* ---- sizes: the inode's lock is held ----------------------------------------------------------- */

/* Zero bytes [from, to), which lie within one page, if that page exists. */
static int zero_part(struct address_space *mapping, u64 from, u64 to)
{
	struct page *page;
	bool major;
	int err;

	if (from == to)
		return 0;
	err = shmem_get_page(mapping, from >> PAGE_SHIFT, SHMEM_FIND, &page, &major);
	if (err)
		return err == -ENOENT || err == -EHWPOISON ? 0 : err; /* lost pages stay lost */
	memzero_page(page, from & ~PAGE_MASK, to - from);
	shmem_put_page(page);
	return 0;
}

static int tmpfs_truncate(struct inode *inode, u64 size)
{
	struct address_space *mapping = &inode->i_data;
	u64 old = mapping->size, first = ALIGN_UP(size, PAGE_SIZE);
	int err;

	if (size >= old) {
		mapping->size = size;
		return 0;
	}
	err = zero_part(mapping, size, first);
	if (err)
		return err;
	mapping->size = size;
	unmap_mapping_range(mapping, first >> PAGE_SHIFT, ~0ul, UNMAP_COPIES);
	shmem_truncate_range(mapping, first >> PAGE_SHIFT, ~0ul);
	return 0;
}

static int punch_hole(struct address_space *mapping, u64 start, u64 end)
{
	u64 first = ALIGN_UP(start, PAGE_SIZE), last = ALIGN_DOWN(end, PAGE_SIZE);
	int err;

	if (first > last) /* within one page */
		return zero_part(mapping, start, end);
	if (first < last) {
		unmap_mapping_range(mapping, first >> PAGE_SHIFT, last >> PAGE_SHIFT, LEAVE_COPIES);
		shmem_truncate_range(mapping, first >> PAGE_SHIFT, last >> PAGE_SHIFT);
	}
	err = zero_part(mapping, start, first);
	return err ? err : zero_part(mapping, last, end);
}

static int tmpfs_fallocate(struct inode *inode, u32 mode, u64 offset, u64 len)
{
	struct address_space *mapping = &inode->i_data;
	u64 end = offset + len;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		if (inode->i_data.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
			return -EPERM;
		return punch_hole(mapping, offset, end);
	}
	if (inode->i_data.seals & F_SEAL_GROW && end > mapping->size)
		return -EPERM;
	if (end > mapping->size && limit_file_size(end))
		return -EFBIG;
	if (mapping->limit->max && (end - offset) >> PAGE_SHIFT > mapping->limit->max)
		return -ENOSPC;
	for (u64 i = offset >> PAGE_SHIFT; i < DIV_ROUND_UP(end, PAGE_SIZE); i++) {
		struct page *page;
		int err = signal_pending() ? -EINTR
					   : shmem_get_page(mapping, i, SHMEM_CREATE, &page, NULL);

		if (err == -EHWPOISON)
			continue; /* the page exists */
		if (err)
			return err;
		shmem_put_page(page); /* a new page is dirty */
	}
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > mapping->size)
		mapping->size = end;
	return 0;
}

static void tmpfs_getattr(struct inode *inode, struct vfs_stat *st)
{
	if (S_ISREG(inode->mode))
		st->blocks = (inode->i_data.nrpages + inode->i_data.nrvalues) * (PAGE_SIZE / 512);
}

static const struct inode_ops dir_ops = {
	.lookup = tmpfs_lookup,
	.create = tmpfs_create,
	.symlink = tmpfs_symlink,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.tmpfile = tmpfs_tmpfile,
};
static const struct inode_ops file_ops_ = {
	.truncate = tmpfs_truncate,
	.fallocate = tmpfs_fallocate,
	.getattr = tmpfs_getattr,
};
static const struct inode_ops link_ops = {.readlink = tmpfs_readlink};
static const struct inode_ops node_ops = {};

/* ---- the file system --------------------------------------------------------------------------- */

static void tmpfs_statfs(struct super_block *sb, struct vfs_statfs *st)
{
	struct tmpfs *fs = sb->private_;
	u64 used = atomic_load(&fs->size.used), inodes = atomic_load(&fs->nr_inodes);

	if (fs->size.max) {
		st->blocks = fs->size.max;
		st->bfree = st->bavail = fs->size.max - min(used, fs->size.max);
	}
	if (fs->max_inodes) {
		st->files = fs->max_inodes;
		st->ffree = fs->max_inodes - min(inodes, fs->max_inodes);
	}
}

static void tmpfs_put_super(struct super_block *sb)
{
	kfree(sb->private_);
}

static u64 default_pages(void)
{
	return totalram_pages() / 2;
}

static u64 default_inodes(void)
{
	return max(totalram_pages() / 2, (u64)4096);
}

/* Parse bytes, or with % a part of RAM. *pages receives it in pages. 0 or -EINVAL. */
static int parse_pages(char *value, u64 *pages)
{
	size_t len = strlen(value);
	u64 v;

	if (len && value[len - 1] == '%') {
		value[len - 1] = '\0';
		if (parse_size(value, &v))
			return -EINVAL;
		*pages = totalram_pages() * v / 100;
		return 0;
	}
	if (parse_size(value, &v))
		return -EINVAL;
	*pages = DIV_ROUND_UP(v, PAGE_SIZE);
	return 0;
}

static int parse_mode(const char *value, u32 *mode)
{
	if (!*value)
		return -EINVAL;
	for (*mode = 0; *value >= '0' && *value <= '7'; value++)
		*mode = (*mode << 3 | (*value - '0')) & 07777;
	return *value ? -EINVAL : 0;
}

/* Parse "huge=within_size". The values that override all mounts (deny, force) are not valid for a mount. */
static int parse_huge(const char *value, u32 *huge)
{
	for (u32 i = 0; i <= SHMEM_HUGE_NEVER; i++) {
		if (strcmp(value, shmem_huge_names[i]))
			continue;
		*huge = i;
		return 0;
	}
	return -EINVAL;
}

/* Parse one option: "size=64M". 0 or -EINVAL. */
static int parse_option(struct tmpfs *fs, char *word)
{
	char *value = strchr(word, '=');
	u64 v;

	if (!strcmp(word, "noswap")) {
		fs->mapping_flags |= AS_UNEVICTABLE;
		return 0;
	}
	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (!strcmp(word, "mode"))
		return parse_mode(value, &fs->root_mode);
	if (!strcmp(word, "huge"))
		return parse_huge(value, &fs->size.huge);
	if (!strcmp(word, "size"))
		return parse_pages(value, &fs->size.max);
	if (parse_size(value, &v))
		return -EINVAL;
	if (!strcmp(word, "nr_blocks"))
		fs->size.max = v;
	else if (!strcmp(word, "nr_inodes"))
		fs->max_inodes = v;
	else if (!strcmp(word, "uid"))
		fs->root_uid = v;
	else if (!strcmp(word, "gid"))
		fs->root_gid = v;
	else
		return -EINVAL;
	return 0;
}

/* Parse all options: "size=64M,nr_inodes=1k,mode=755,noswap". 0 or -EINVAL. */
static int parse_options(struct tmpfs *fs, const char *options)
{
	char word[64];

	while (*options) {
		const char *end = strchr(options, ',');
		size_t len = end ? (size_t)(end - options) : strlen(options);
		int err;

		if (len >= sizeof(word))
			return -EINVAL;
		memcpy(word, options, len);
		word[len] = '\0';
		options += len + (end != NULL);
		err = len ? parse_option(fs, word) : 0;
		if (err)
			return err;
	}
	return 0;
}

static void use_huge(struct tmpfs *fs, u32 huge)
{
	WRITE_ONCE(fs->size.huge, huge);
	if (huge != SHMEM_HUGE_NEVER)
		shmem_huge_allow();
}

/* As in Linux, limits may change, but not below what is in use. */
static int tmpfs_remount(struct super_block *sb, bool read_only, const char *options)
{
	struct tmpfs *fs = sb->private_, wanted = *fs;
	int err = parse_options(&wanted, options);

	if (err)
		return err;
	if (wanted.size.max && wanted.size.max < atomic_load(&fs->size.used))
		return -EINVAL;
	if (wanted.max_inodes && wanted.max_inodes < atomic_load(&fs->nr_inodes))
		return -EINVAL;
	if (wanted.mapping_flags != fs->mapping_flags)
		return -EINVAL; /* existing files cannot be changed */
	atomic_store(&fs->size.max, wanted.size.max);
	use_huge(fs, wanted.size.huge);
	fs->max_inodes = wanted.max_inodes;
	return 0;
}

/* Write the mode in octal, with three digits at least. */
static void report_mode(struct report *r, u32 mode)
{
	report_printf(r, ",mode=");
	if (mode >> 9)
		report_printf(r, "%u", mode >> 9);
	report_printf(r, "%u%u%u", mode >> 6 & 7, mode >> 3 & 7, mode & 7);
}

/* Write the options that differ from the defaults, in Linux's order. */
static void tmpfs_show_options(struct report *r, struct super_block *sb)
{
	const struct tmpfs *fs = sb->private_;

	if (fs->size.max != default_pages())
		report_printf(r, ",size=%luk", (unsigned long)(fs->size.max << (PAGE_SHIFT - 10)));
	if (fs->max_inodes != default_inodes())
		report_printf(r, ",nr_inodes=%lu", (unsigned long)fs->max_inodes);
	if (fs->root_mode != 01777)
		report_mode(r, fs->root_mode);
	if (fs->root_uid)
		report_printf(r, ",uid=%u", fs->root_uid);
	if (fs->root_gid)
		report_printf(r, ",gid=%u", fs->root_gid);
	if (fs->size.huge != SHMEM_HUGE_NEVER)
		report_printf(r, ",huge=%s", shmem_huge_names[fs->size.huge]);
	if (fs->mapping_flags & AS_UNEVICTABLE)
		report_printf(r, ",noswap");
}

static const struct super_ops tmpfs_super_ops = {
	.free_inode = tmpfs_free_inode,
	.statfs = tmpfs_statfs,
	.remount = tmpfs_remount,
	.show_options = tmpfs_show_options,
	.put_super = tmpfs_put_super,
};

static int tmpfs_mount(struct super_block *sb, const char *options)
{
	struct tmpfs *fs = kzalloc(sizeof(*fs), GFP_KERNEL);
	int err;

	if (!fs)
		return -ENOMEM;
	fs->size.max = default_pages();
	fs->max_inodes = default_inodes();
	fs->root_mode = 01777;
	fs->mapping_flags = AS_SHMEM;
	fs->size.huge = SHMEM_HUGE_NEVER;
	err = parse_options(fs, options);
	if (err)
		goto free;
	use_huge(fs, fs->size.huge);
	sb->private_ = fs;
	sb->ops = &tmpfs_super_ops;
	sb->root = tmpfs_inode(sb, S_IFDIR | fs->root_mode, 0);
	if (!IS_ERR(sb->root)) {
		sb->root->uid = fs->root_uid;
		sb->root->gid = fs->root_gid;
		return 0;
	}
	err = PTR_ERR(sb->root);
free:
	kfree(fs);
	return err;
}

/* The file system of memfd_create(2)'s files, which is mounted nowhere. */
static struct super_block *memfd_sb;

struct inode *shmem_inode(u32 mode, u64 size)
{
	struct inode *inode = tmpfs_inode(memfd_sb, S_IFREG | mode, 0);

	if (IS_ERR(inode))
		return NULL;
	inode->nlink = 0;
	inode->i_data.size = size;
	return inode;
}

static struct fs_type tmpfs_type = {
	.name = "tmpfs",
	.xattrs = true,
	.magic = TMPFS_MAGIC,
	.mount = tmpfs_mount,
};
static struct fs_type devtmpfs_type = {
	.name = "devtmpfs",
	.xattrs = true,
	.magic = TMPFS_MAGIC,
	.mount = tmpfs_mount,
};

struct super_block *tmpfs_unmounted(struct fs_type *type)
{
	struct super_block *sb = kzalloc(sizeof(*sb), GFP_KERNEL);

	if (!sb)
		panic("VFS: no memory");
	sb->type = type;
	sb->blocksize = PAGE_SIZE;
	sb->max_size = 0x7fffffffffffffffull;
	sb->dev = 1;
	INIT_LIST_HEAD(&sb->inodes);
	mutex_init(&sb->rename_lock);
	if (tmpfs_mount(sb, "size=0,nr_inodes=0"))
		panic("VFS: no memory");
	return sb;
}

void tmpfs_init(void)
{
	register_filesystem(&tmpfs_type);
	register_filesystem(&devtmpfs_type);
	memfd_sb = tmpfs_unmounted(&tmpfs_type);
	((struct tmpfs *)memfd_sb->private_)->size.huge = SHMEM_HUGE_UNMOUNTED;
	hugetlbfs_init();
	secretmem_init();
}
