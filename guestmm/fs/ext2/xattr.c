/*
 * Extended attributes of ext2: a block of its own for a file, as Linux writes it.
 *
 *   | header 32 | entry | entry | ... | 0 0 0 0 |    free    | value | value |
 *                 ordered by kind, length, name                  from the end, 4 bytes aligned
 *
 * In memory they are the inode's list (fs/xattr.c), in the same order. The list is read from the block when it is first
 * used, and each change writes the whole block. If the list does not fit, the change fails with -ENOSPC.
 *
 * A block may belong to several files, because Linux lets files with equal attributes share one. At a change, the
 * others keep it, and the file gets a new block. The hashes are written because Linux and e2fsck check them.
 *
 * A block with attributes that are not supported here (ACLs) is not changed: -EOPNOTSUPP.
 *
 * Lock: inode->lock for writing. Source: Linux, fs/ext2/xattr.c and xattr.h.
 */
#include "fs/ext2/ext2.h"
#include "fs/xattr.h"

#define EXT2_COMPAT_EXT_ATTR 0x8u
#define ENTRY_SIZE(name_len) ALIGN_UP(sizeof(struct ext2_xattr_entry) + (name_len), 4u)
#define VALUE_SIZE(size)     ALIGN_UP(size, 4u)

struct ext2_xattr_entry {
	u8 name_len, name_index;
	u16 value_offset;
	u32 value_block; /* always 0 */
	u32 value_size;
	u32 hash;
	char name[];
};
_Static_assert(sizeof(struct ext2_xattr_entry) == 16, "on disk");
_Static_assert(sizeof(struct ext2_xattr_header) == 32, "on disk");

static const struct kind {
	const char *prefix;
	u8 index, len;
} kinds[] = {{"user.", 1, 5}, {"trusted.", 4, 8}, {"security.", 6, 9}};

static const struct kind *kind_by_index(u8 index)
{
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].index == index)
			return &kinds[i];
	return NULL;
}

/* The kind of a name that xattr.c has accepted. */
static const struct kind *kind_by_name(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(name, kinds[i].prefix, kinds[i].len))
			return &kinds[i];
	return NULL;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static int damaged(const struct inode *inode, u32 block)
{
	return ext2_error(ext2_sb(inode->sb), "inode %lu: attributes in block %u are damaged",
			  (unsigned long)inode->ino, block);
}

/* Load an entry, whose head and name are within the block. 0 or -errno. */
static int load_entry(struct inode *inode, const char *data, u32 block,
		      const struct ext2_xattr_entry *e)
{
	const u32 size = ext2_sb(inode->sb)->block_size;
	const struct kind *kind = kind_by_index(e->name_index);
	char name[XATTR_NAME_MAX + 1];

	if (!kind)
		return -EOPNOTSUPP;
	if (!e->name_len || kind->len + e->name_len > XATTR_NAME_MAX || e->value_block ||
	    e->value_size > size || e->value_offset > size - e->value_size)
		return damaged(inode, block);
	memcpy(name, kind->prefix, kind->len);
	memcpy(name + kind->len, e->name, e->name_len);
	name[kind->len + e->name_len] = 0;
	if (strlen(name) != kind->len + e->name_len)
		return damaged(inode, block);
	return xattr_add(inode, name, data + e->value_offset, e->value_size);
}

static int load_block(struct inode *inode, const char *data, u32 block)
{
	const struct ext2_xattr_header *h = (const void *)data;
	u32 size = ext2_sb(inode->sb)->block_size, at = sizeof(*h);
	int err = 0;

	if (h->magic != EXT2_XATTR_MAGIC || h->blocks != 1)
		return damaged(inode, block);
	while (!err) {
		const struct ext2_xattr_entry *e = (const void *)(data + at);

		if (at + sizeof(u32) > size)
			return damaged(inode, block);
		if (!*(const u32 *)e)
			return 0;
		if (at + sizeof(*e) > size || at + ENTRY_SIZE(e->name_len) > size)
			return damaged(inode, block);
		err = load_entry(inode, data, block, e);
		at += ENTRY_SIZE(e->name_len);
	}
	return err;
}

int ext2_xattr_load(struct inode *inode)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	u32 block = ext2_i(inode)->raw->file_acl;
	struct page *page;
	int err;

	if (!block)
		return 0;
	if (!ext2_blocks_ok(sbi, block, 1))
		return damaged(inode, block);
	page = ext2_meta_read(sbi, block, &err);
	if (!page)
		return err;
	err = load_block(inode, page_address(page), block);
	put_page(page);
	return err;
}

/* ---- writing ---------------------------------------------------------------------------------- */

static u32 hash_entry(const char *data, const struct ext2_xattr_entry *e)
{
	const u32 *value = (const void *)(data + e->value_offset);
	u32 hash = 0;

	for (u32 i = 0; i < e->name_len; i++)
		hash = (hash << 5) ^ (hash >> 27) ^ (u8)e->name[i];
	for (u32 i = 0; i < VALUE_SIZE(e->value_size) / 4; i++)
		hash = (hash << 16) ^ (hash >> 16) ^ value[i];
	return hash;
}

/* Write the list to a block of zeroes. 0, or -ENOSPC: it does not fit. */
static int fill_block(const struct inode *inode, char *data)
{
	struct ext2_xattr_header *h = (void *)data;
	u32 at = sizeof(*h), end = ext2_sb(inode->sb)->block_size, hash = 0;

	h->magic = EXT2_XATTR_MAGIC;
	h->refcount = h->blocks = 1;
	for (const struct xattr *x = inode->xattrs; x; x = x->next) {
		const struct kind *kind = kind_by_name(x->name);
		struct ext2_xattr_entry *e = (void *)(data + at);
		u32 len = x->name_size - 1 - kind->len;

		/* After the last entry there are four zero bytes. */
		if (at + ENTRY_SIZE(len) + sizeof(u32) + (u64)VALUE_SIZE(x->size) > end)
			return -ENOSPC;
		at += ENTRY_SIZE(len);
		e->name_len = len;
		e->name_index = kind->index;
		e->value_size = x->size;
		memcpy(e->name, x->name + kind->len, len);
		if (x->size) {
			end -= VALUE_SIZE(x->size);
			e->value_offset = end;
			memcpy(data + end, x->value, x->size);
		}
		e->hash = hash_entry(data, e);
		hash = (hash << 16) ^ (hash >> 16) ^ e->hash;
	}
	h->hash = hash;
	return 0;
}

/* The page of the file's block, with a reference. NULL: there is none, or other files share it. */
static struct page *own_block(struct inode *inode)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	u32 block = ext2_i(inode)->raw->file_acl;
	struct ext2_xattr_header *h;
	struct page *page;
	int err;

	if (!block || !ext2_blocks_ok(sbi, block, 1))
		return NULL;
	page = ext2_meta_read(sbi, block, &err);
	if (!page)
		return NULL;
	h = page_address(page);
	if (h->magic == EXT2_XATTR_MAGIC && h->refcount == 1)
		return page;
	put_page(page);
	return NULL;
}

/* Allocate a block for the file, instead of one that it may have shared. NULL: *err has the error. */
static struct page *new_block(struct inode *inode, int *err)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	struct ext2_raw_inode *raw = ext2_i(inode)->raw;
	u32 group = (inode->ino - 1) / sbi->inodes_per_group, block;
	struct page *page;

	*err = ext2_alloc_block(sbi, ext2_group_first(sbi, group), &block);
	if (*err)
		return NULL;
	page = ext2_meta_new(sbi, block);
	if (!page) {
		ext2_free_blocks(sbi, block, 1);
		*err = -ENOMEM;
		return NULL;
	}
	if (raw->file_acl)
		ext2_drop_xattr_block(inode);
	else
		inode->blocks += ext2_sectors(sbi);
	raw->file_acl = block;
	return page;
}

int ext2_xattr_store(struct inode *inode)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	struct page *page = NULL;
	char *data;
	int err;

	if (!inode->xattrs) {
		if (ext2_i(inode)->raw->file_acl) {
			ext2_drop_xattr_block(inode);
			inode->blocks -= min(inode->blocks, (u64)ext2_sectors(sbi));
			ext2_update_inode(inode);
		}
		return 0;
	}
	data = kzalloc(sbi->block_size, GFP_NOFS);
	if (!data)
		return -ENOMEM;
	err = fill_block(inode, data);
	if (!err) {
		page = own_block(inode);
		if (!page)
			page = new_block(inode, &err);
	}
	if (page) {
		memcpy(page_address(page), data, sbi->block_size);
		set_page_dirty(page);
		put_page(page);
		ext2_update_inode(inode);
		mutex_lock(&sbi->alloc_lock);
		if (!(sbi->es->feature_compat & EXT2_COMPAT_EXT_ATTR)) {
			sbi->es->feature_compat |= EXT2_COMPAT_EXT_ATTR;
			ext2_super_dirty(sbi);
		}
		mutex_unlock(&sbi->alloc_lock);
	}
	kfree(data);
	return err;
}
