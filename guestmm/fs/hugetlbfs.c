/*
 * hugetlbfs: files of huge pages.
 *
 *   mount -t hugetlbfs -o pagesize=2M,size=64M,min_size=8M none /mnt/huge
 *
 * It is a tmpfs whose regular files take their pages from a pool (mm/huge). They can be mapped, read and
 * truncated, but not written with write(2). Truncation sets a size that is a multiple of the page size;
 * fallocate(2) and mappings may set others. size= and min_size= are the mount's subpool.
 *
 * Source: Documentation/admin-guide/mm/hugetlbpage.rst.
 */
#include "fs/tmpfs.h"
#include "arch/uaccess.h"
#include "fs/file.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/huge/hugetlb.h"
#include "mm/phys/highmem.h"
#include "mm/slab/slab.h"

#define HUGETLBFS_MAGIC 0x958458f6u

static u64 page_bytes(const struct inode *inode)
{
	return hstate_size(hugetlb_file(&inode->i_data)->h);
}

/* ---- files ------------------------------------------------------------------------------------ */

static long hugetlbfs_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct address_space *mapping = f->mapping;
	u64 size = page_bytes(f->inode);
	long done = 0;

	while (len && *pos < READ_ONCE(mapping->size)) {
		u64 offset = *pos & (size - 1), room = min(mapping->size - *pos, size - offset);
		u64 in_page = PAGE_SIZE - (offset & ~PAGE_MASK), most = min(room, in_page);
		size_t n = min((u64)len, most);
		struct page *head = hugetlb_find_page(mapping, *pos / size);
		unsigned long left;

		if (head) {
			left = copy_page_to_user(buf, head + (offset >> PAGE_SHIFT),
						 offset & ~PAGE_MASK, n);
			put_page(head);
		} else {
			left = clear_user(buf, n);
		}
		if (left)
			return done ? done : -EFAULT;
		buf += n;
		len -= n;
		*pos += n;
		done += n;
	}
	return done;
}

static int hugetlbfs_mmap(struct file *f, unsigned long vm_flags, struct file **instead)
{
	return generic_file_ops.mmap(f, vm_flags, instead);
}

static const struct file_ops hugetlbfs_file_ops = {
	.read = hugetlbfs_read, .llseek = generic_llseek, .mmap = hugetlbfs_mmap};

/* inode->lock held. */
static int hugetlbfs_truncate(struct inode *inode, u64 size)
{
	struct address_space *mapping = &inode->i_data;
	u64 old = mapping->size;

	if (size & (page_bytes(inode) - 1))
		return -EINVAL;
	WRITE_ONCE(mapping->size, size);
	if (size < old)
		hugetlb_truncate(mapping, size / page_bytes(inode));
	return 0;
}

static int hugetlbfs_fallocate(struct inode *inode, u32 mode, u64 offset, u64 len)
{
	struct address_space *mapping = &inode->i_data;
	u64 size = page_bytes(inode), end = offset + len;
	int err;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		if (inode->i_data.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
			return -EPERM;
		return hugetlb_punch_hole_bytes(mapping, offset, end);
	}
	if (inode->i_data.seals & F_SEAL_GROW && end > mapping->size)
		return -EPERM;
	err = hugetlb_fallocate(mapping, offset / size, DIV_ROUND_UP(end, size));
	if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && end > mapping->size)
		WRITE_ONCE(mapping->size, end);
	return err;
}

static void hugetlbfs_getattr(struct inode *inode, struct vfs_stat *st)
{
	st->blksize = page_bytes(inode);
	st->blocks = inode->i_data.nrpages * (page_bytes(inode) / 512);
}

static const struct inode_ops hugetlbfs_inode_ops = {
	.truncate = hugetlbfs_truncate,
	.fallocate = hugetlbfs_fallocate,
	.getattr = hugetlbfs_getattr,
};

int hugetlbfs_init_file(struct inode *inode, const struct tmpfs *fs)
{
	int err;

	address_space_init(&inode->i_data, inode, NULL, AS_HUGETLB);
	err = hugetlb_file_init(&inode->i_data, fs->hstate, fs->spool);
	if (err)
		return err;
	inode->ops = &hugetlbfs_inode_ops;
	inode->fops = &hugetlbfs_file_ops;
	inode->i_data.seals = F_SEAL_SEAL;
	return 0;
}

/* ---- the file system -------------------------------------------------------------------------- */

static void hugetlbfs_statfs(struct super_block *sb, struct vfs_statfs *st)
{
	struct tmpfs *fs = sb->private_;
	s64 left = hugepage_subpool_free(fs->spool);

	st->bsize = st->frsize = hstate_size(fs->hstate);
	if (left >= 0) {
		st->blocks = fs->spool->max_pages;
		st->bfree = st->bavail = left;
	}
	st->files = fs->max_inodes;
	st->ffree = fs->max_inodes - atomic_load(&fs->nr_inodes);
}

static void hugetlbfs_put_super(struct super_block *sb)
{
	struct tmpfs *fs = sb->private_;

	if (fs->spool)
		hugepage_subpool_put(fs->spool);
	kfree(fs);
}

static const struct super_ops hugetlbfs_super_ops = {
	.free_inode = tmpfs_free_inode,
	.statfs = hugetlbfs_statfs,
	.put_super = hugetlbfs_put_super,
};

/* Take the next of mount(2)'s options, "name=value" or "name", from *options. `word` receives it, and *value the part
 * after the '=', or NULL. 1; 0: the end; -EINVAL: it is too long. */
static int mount_option(const char **options, char *word, size_t size, char **value)
{
	const char *end = strchr(*options, ',');
	size_t len = end ? (size_t)(end - *options) : strlen(*options);

	if (!**options)
		return 0;
	if (len >= size)
		return -EINVAL;
	memcpy(word, *options, len);
	word[len] = '\0';
	*options += len + (end != NULL);
	*value = strchr(word, '=');
	if (*value)
		*(*value)++ = '\0';
	return 1;
}

/* A size, or per cent of the pool. Parsed when the page size is known. */
struct limit {
	char text[24];
	bool set;
};

static int limit_pages(const struct limit *l, const struct hstate *h, s64 *pages)
{
	size_t len = strlen(l->text);
	char number[24];
	u64 v;

	*pages = -1;
	if (!l->set)
		return 0;
	strscpy(number, l->text, sizeof(number));
	if (len && number[len - 1] == '%')
		number[len - 1] = 0;
	if (parse_size(number, &v))
		return -EINVAL;
	if (len && l->text[len - 1] == '%')
		*pages = h->max_huge_pages * v / 100;
	else
		*pages = v / hstate_size(h);
	return 0;
}

struct options {
	struct limit size, min_size;
};

static int parse_options(struct tmpfs *fs, struct options *o, const char *text)
{
	char word[64], *value;
	int more;
	u64 v;

	while ((more = mount_option(&text, word, sizeof(word), &value)) > 0) {
		struct limit *l = !strcmp(word, "size")	      ? &o->size
				  : !strcmp(word, "min_size") ? &o->min_size
							      : NULL;

		if (!value)
			return -EINVAL;
		if (l) {
			l->set = true;
			if (strscpy(l->text, value, sizeof(l->text)) < 0)
				return -EINVAL;
		} else if (!strcmp(word, "mode")) {
			for (fs->root_mode = 0; *value >= '0' && *value <= '7'; value++)
				fs->root_mode = (fs->root_mode << 3 | (*value - '0')) & 01777;
			if (*value)
				return -EINVAL;
		} else if (parse_size(value, &v)) {
			return -EINVAL;
		} else if (!strcmp(word, "pagesize")) {
			fs->hstate = size_to_hstate(v);
			if (!fs->hstate)
				return -EINVAL;
		} else if (!strcmp(word, "nr_inodes")) {
			fs->max_inodes = v;
		} else if (strcmp(word, "uid") && strcmp(word, "gid")) {
			return -EINVAL;
		}
	}
	return more;
}

static int hugetlbfs_mount(struct super_block *sb, const char *options)
{
	struct tmpfs *fs = kzalloc(sizeof(*fs), GFP_KERNEL);
	struct options o = {0};
	s64 most, least;
	int err;

	if (!fs)
		return -ENOMEM;
	fs->max_inodes = 0; /* no limit */
	fs->root_mode = 0755;
	fs->hstate = default_hstate;
	err = parse_options(fs, &o, options);
	if (!err)
		err = limit_pages(&o.size, fs->hstate, &most);
	if (!err)
		err = limit_pages(&o.min_size, fs->hstate, &least);
	if (!err && most >= 0 && least > most)
		err = -EINVAL;
	if (err)
		goto free;
	if (most >= 0 || least >= 0) {
		fs->spool = hugepage_subpool_create(fs->hstate, most, least, &err);
		if (err)
			goto free;
	}
	sb->private_ = fs;
	sb->ops = &hugetlbfs_super_ops;
	sb->root = tmpfs_inode(sb, S_IFDIR | fs->root_mode, 0);
	if (!IS_ERR(sb->root))
		return 0;
	err = PTR_ERR(sb->root);
	if (fs->spool)
		hugepage_subpool_put(fs->spool);
free:
	kfree(fs);
	return err;
}

static struct fs_type hugetlbfs_type = {
	.name = "hugetlbfs", .magic = HUGETLBFS_MAGIC, .mount = hugetlbfs_mount};
static struct super_block *memfd_sb[MAX_HSTATES];

struct inode *hugetlb_inode(u32 mode, unsigned int log2_size)
{
	struct hstate *h = hstate_of_log(log2_size);
	struct inode *inode;

	if (!h)
		return ERR_PTR(-ENODEV);
	inode = tmpfs_inode(memfd_sb[h - hstates], S_IFREG | mode, 0);
	if (!IS_ERR(inode))
		inode->nlink = 0;
	return inode;
}

void hugetlbfs_init(void)
{
	register_filesystem(&hugetlbfs_type);
	for (unsigned int i = 0; i < nr_hstates; i++) {
		memfd_sb[i] = tmpfs_unmounted(&hugetlbfs_type);
		((struct tmpfs *)memfd_sb[i]->private_)->hstate = &hstates[i];
	}
}
