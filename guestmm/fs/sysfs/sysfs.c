/*
 * /sys: settings and values of the kernel's parts, one in each file, with Linux's names.
 *
 *   sysfs_register("kernel/mm/x/y")      root ─ kernel ─ mm ─ x ─ y ── entry: show, store
 *
 * The tree of nodes is created from the paths when they are registered, and only grows. A text is generated
 * when a file is read from its start (fs/text_file.h).
 *
 * Locks: tree_lock guards the tree's links; nodes are never freed, so that a pointer to one stays valid.
 */
#include "fs/sysfs/sysfs.h"
#include "fs/text_file.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define SYSFS_MAGIC 0x62656572
#define MAX_WRITE   256u

struct sysfs_node {
	const char *name; /* within the entry's path */
	u32 len;
	u64 ino;
	const struct sysfs_entry *entry; /* NULL: a directory */
	struct sysfs_node *parent, *child, *next;
};

static struct sysfs_node root = {.name = "", .ino = 1, .parent = &root};
static struct mutex tree_lock = MUTEX_INIT(tree_lock);
static u64 next_ino = 2; /* tree_lock */

/* ---- the tree --------------------------------------------------------------------------------- */

/* tree_lock held. */
static struct sysfs_node *find_child(struct sysfs_node *dir, const char *name, u32 len)
{
	for (struct sysfs_node *n = dir->child; n; n = n->next)
		if (n->len == len && !memcmp(n->name, name, len))
			return n;
	return NULL;
}

/* Add a child at the end, so that a directory is listed in the order of its table. tree_lock held. */
static struct sysfs_node *add_child(struct sysfs_node *dir, const char *name, u32 len)
{
	struct sysfs_node *n = kzalloc(sizeof(*n), GFP_KERNEL), **last = &dir->child;

	if (!n)
		return NULL;
	n->name = name;
	n->len = len;
	n->parent = dir;
	n->ino = next_ino++;
	while (*last)
		last = &(*last)->next;
	*last = n;
	return n;
}

/* Create the missing parts of a path. e NULL: the path is a directory, which may exist. tree_lock held. */
static int add_path(const char *path, const struct sysfs_entry *e)
{
	struct sysfs_node *at = &root, *n;

	for (const char *name = path;;) {
		const char *slash = strchr(name, '/');
		u32 len = slash ? (u32)(slash - name) : strlen(name);

		n = find_child(at, name, len);
		if (n && ((!slash && e) || n->entry))
			return -EEXIST;
		if (!n)
			n = add_child(at, name, len);
		if (!n)
			return -ENOMEM;
		if (!slash)
			break;
		at = n;
		name = slash + 1;
	}
	n->entry = e;
	return 0;
}

int sysfs_make_dir(const char *path)
{
	int err;

	mutex_lock(&tree_lock);
	err = add_path(path, NULL);
	mutex_unlock(&tree_lock);
	return err;
}

int sysfs_register(const struct sysfs_entry *entries, u32 nr)
{
	int err = 0;

	mutex_lock(&tree_lock);
	for (u32 i = 0; i < nr && !err; i++)
		err = add_path(entries[i].path, &entries[i]);
	mutex_unlock(&tree_lock);
	return err;
}

/* ---- inodes ----------------------------------------------------------------------------------- */

static const struct inode_ops sysfs_inode_ops;
static const struct file_ops sysfs_dir_ops, sysfs_file_ops;

static struct sysfs_node *inode_node(const struct inode *inode)
{
	return inode->private_;
}

static struct inode *sysfs_inode(struct super_block *sb, struct sysfs_node *n)
{
	struct inode *inode = new_inode(sb, n->ino);

	if (!inode)
		return NULL;
	inode->mode = n->entry ? S_IFREG | n->entry->mode : S_IFDIR | 0755;
	inode->nlink = n->entry ? 1 : 2;
	inode->ops = &sysfs_inode_ops;
	inode->fops = n->entry ? &sysfs_file_ops : &sysfs_dir_ops;
	inode->private_ = n;
	inode->i_data.size = n->entry ? PAGE_SIZE : 0;
	return inode;
}

static int sysfs_lookup(struct inode *dir, const char *name, u32 len, struct inode **inode)
{
	struct sysfs_node *n;

	mutex_lock(&tree_lock);
	n = find_child(inode_node(dir), name, len);
	mutex_unlock(&tree_lock);
	if (!n)
		return -ENOENT;
	*inode = sysfs_inode(dir->sb, n);
	return *inode ? 0 : -ENOMEM;
}

/* Opening with O_TRUNC has no effect. */
static int sysfs_truncate(struct inode *inode, u64 size)
{
	return 0;
}

static const struct inode_ops sysfs_inode_ops = {.lookup = sysfs_lookup,
						 .truncate = sysfs_truncate};

/* ---- directories ------------------------------------------------------------------------------ */

#define DT_DIR_ 4
#define DT_REG_ 8

/* Positions: 0 and 1 are "." and ".."; 2 + n is child n. Children are only added at the end. */
static int sysfs_iterate(struct file *f, struct dir_context *ctx)
{
	struct sysfs_node *dir = inode_node(f->inode), *n;
	u64 at = 2;

	if (ctx->pos == 0) {
		if (!ctx->actor(ctx, ".", 1, dir->ino, DT_DIR_))
			return 0;
		ctx->pos = 1;
	}
	if (ctx->pos == 1) {
		if (!ctx->actor(ctx, "..", 2, dir->parent->ino, DT_DIR_))
			return 0;
		ctx->pos = 2;
	}
	mutex_lock(&tree_lock);
	for (n = dir->child; n && at < ctx->pos; n = n->next)
		at++;
	mutex_unlock(&tree_lock);
	for (; n; n = READ_ONCE(n->next)) {
		if (!ctx->actor(ctx, n->name, n->len, n->ino, n->entry ? DT_REG_ : DT_DIR_))
			return 0;
		ctx->pos++;
	}
	return 0;
}

static long sysfs_dir_llseek(struct file *f, s64 offset, int whence)
{
	if (whence != 0 || offset < 0)
		return -EINVAL;
	return f->pos = offset;
}

static const struct file_ops sysfs_dir_ops = {.iterate = sysfs_iterate, .llseek = sysfs_dir_llseek};

/* ---- files ------------------------------------------------------------------------------------ */

static int make(struct report *r, struct file *f)
{
	const struct sysfs_entry *e = inode_node(f->inode)->entry;

	return e->show(r, e->arg);
}

static long sysfs_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	return inode_node(f->inode)->entry->show ? text_file_read(f, buf, len, pos, make) : -EIO;
}

/* As in Linux, even root cannot open a file for reading or writing that has no such permission bit at all. */
static int sysfs_open(struct file *f)
{
	if ((file_can_write(f) && !(f->inode->mode & 0222)) ||
	    (file_can_read(f) && !(f->inode->mode & 0444)))
		return -EACCES;
	return 0;
}

static long sysfs_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	const struct sysfs_entry *e = inode_node(f->inode)->entry;
	char text[MAX_WRITE];
	int err;

	if (!e->store)
		return -EIO;
	err = text_file_copy(buf, len, text, sizeof(text));
	if (err)
		return err;
	err = e->store(text, e->arg);
	if (err)
		return err;
	*pos += len;
	return len;
}

static const struct file_ops sysfs_file_ops = {.open = sysfs_open,
					       .read = sysfs_read,
					       .write = sysfs_write,
					       .llseek = text_file_llseek,
					       .release = text_file_release};

/* ---- for the tables --------------------------------------------------------------------------- */

int sysfs_parse_u64(const char *text, u64 *out)
{
	bool hex = text[0] == '0' && (text[1] | 0x20) == 'x';
	u64 base = hex ? 16 : 10, n = 0;

	if (hex)
		text += 2;
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		u64 digit = *text >= '0' && *text <= '9' ? (u64)(*text - '0')
			    : (*text | 0x20) >= 'a' && (*text | 0x20) <= 'f'
				    ? (u64)((*text | 0x20) - 'a' + 10)
				    : base;

		if (digit >= base || n > (~0ull - digit) / base)
			return -EINVAL;
		n = n * base + digit;
	}
	*out = n;
	return 0;
}

int sysfs_show_u64(struct report *r, u64 arg)
{
	report_printf(r, "%lu\n", (unsigned long)READ_ONCE(*(const u64 *)(unsigned long)arg));
	return 0;
}

int sysfs_show_number(struct report *r, u64 number)
{
	const struct sysfs_number *what = (void *)(unsigned long)number;

	return sysfs_show_u64(r, (u64)what->value);
}

int sysfs_store_number(const char *text, u64 number)
{
	const struct sysfs_number *what = (void *)(unsigned long)number;
	u64 n;

	if (sysfs_parse_u64(text, &n) || n < what->least || n > what->most)
		return -EINVAL;
	if (what->set)
		return what->set(n);
	WRITE_ONCE(*what->value, n);
	if (what->changed)
		what->changed();
	return 0;
}

void sysfs_show_choice(struct report *r, const char *const *choices, u32 nr, u32 now)
{
	for (u32 i = 0; i < nr; i++)
		report_printf(r, i == now ? "%s[%s]" : "%s%s", i ? " " : "", choices[i]);
	report_printf(r, "\n");
}

int sysfs_parse_choice(const char *text, const char *const *choices, u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		if (!strcmp(text, choices[i]))
			return i;
	return -EINVAL;
}

/* ---- mounting --------------------------------------------------------------------------------- */

static void sysfs_statfs(struct super_block *sb, struct vfs_statfs *st)
{
	st->type = SYSFS_MAGIC;
	st->bsize = PAGE_SIZE;
	st->namelen = NAME_MAX;
}

void sysfs_show_list(struct report *r, u32 set)
{
	const char *between = "";

	for (unsigned int n = 0; n < 32; n++) {
		unsigned int last = n;

		if (!(set & 1u << n))
			continue;
		while (last < 31 && (set & 2u << last))
			last++;
		report_printf(r, last > n ? "%s%u-%u" : "%s%u", between, n, last);
		between = ",";
		n = last;
	}
	report_printf(r, "\n");
}

static const struct super_ops sysfs_super_ops = {.statfs = sysfs_statfs};

static int sysfs_mount(struct super_block *sb, const char *options)
{
	sb->ops = &sysfs_super_ops;
	sb->blocksize = PAGE_SIZE;
	sb->root = sysfs_inode(sb, &root);
	return sb->root ? 0 : -ENOMEM;
}

static struct fs_type sysfs_type = {
	.name = "sysfs", .magic = SYSFS_MAGIC, .volatile_names = true, .mount = sysfs_mount};

void sysfs_init(void)
{
	static int (*const tables[])(void) = {
		sysfs_hugepages_register, sysfs_extfrag_register, sysfs_demotion_register,
		sysfs_zswap_register,	  sysfs_ksm_register,	  sysfs_thp_register,
		sysfs_node_register,	  sysfs_lru_gen_register, sysfs_swiotlb_register,
		sysfs_cpu_register,
	};
	int err = 0;

	register_filesystem(&sysfs_type);
	for (unsigned int i = 0; !err && i < ARRAY_SIZE(tables); i++)
		err = tables[i]();
	if (!err)
		err = vfs_mkdir(AT_FDCWD, "/sys", 0555);
	if (!err || err == -EEXIST)
		err = vfs_mount("sysfs", "sysfs", "/sys", 0, "");
	if (err)
		printk("VFS: no /sys: error %d\n", -err);
}
