/*
 * Directories whose dentries are their only contents, as in tmpfs.
 *
 * A reader's position is the cookie of a dentry. Each new name gets a larger cookie, so names that are added or removed
 * between two reads do not shift the others.
 *
 * Locks: the caller of iterate() holds the directory's inode lock for reading, so its children stay. dcache_lock guards
 * their list.
 */
#include "fs/internal.h"
#include "kernel/process.h"

/* The first child with a name at or after position `cookie`, with a reference. Its name is copied, because it may
 * change. */
static struct dentry *child_at(struct dentry *dir, u64 cookie, char name[NAME_MAX + 1])
{
	struct dentry *d, *found = NULL;

	spin_lock(&dcache_lock);
	list_for_each_entry (d, &dir->children, sibling) {
		if (d->inode && d->cookie >= cookie) {
			dget_locked(d);
			memcpy(name, d->name, d->len + 1);
			found = d;
			break;
		}
	}
	spin_unlock(&dcache_lock);
	return found;
}

/* The child after d. The directory's lock is held, so that its children stay; dcache_lock is not. */
static struct dentry *child_behind(struct dentry *dir, struct dentry *d, char name[NAME_MAX + 1])
{
	struct list_head *p;
	struct dentry *found = NULL;

	spin_lock(&dcache_lock);
	for (p = d->sibling.next; p != &dir->children; p = p->next) {
		struct dentry *c = list_entry(p, struct dentry, sibling);

		if (c->inode) {
			dget_locked(c);
			memcpy(name, c->name, c->len + 1);
			found = c;
			break;
		}
	}
	spin_unlock(&dcache_lock);
	dput(d);
	return found;
}

/** "." and ".." of any directory, at positions 0 and 1. True: both have been stored. */
bool dir_emit_dots(struct file *f, struct dir_context *ctx)
{
	struct dentry *dir = f->path.dentry;

	if (ctx->pos == 0) {
		if (!ctx->actor(ctx, ".", 1, dir->inode->ino, S_IFDIR >> 12))
			return false;
		ctx->pos = 1;
	}
	if (ctx->pos == 1) {
		if (!ctx->actor(ctx, "..", 2, dir->parent->inode->ino, S_IFDIR >> 12))
			return false;
		ctx->pos = 2;
	}
	return true;
}

static int simple_iterate(struct file *f, struct dir_context *ctx)
{
	struct dentry *dir = f->path.dentry, *d;
	char name[NAME_MAX + 1];

	if (!dir_emit_dots(f, ctx))
		return 0;
	d = child_at(dir, ctx->pos, name);
	while (d) {
		ctx->pos = d->cookie;
		if (!ctx->actor(ctx, name, strlen(name), d->inode->ino, d->inode->mode >> 12)) {
			dput(d);
			return 0;
		}
		ctx->pos = d->cookie + 1;
		d = child_behind(dir, d, name);
	}
	return 0;
}

static int dir_fsync(struct file *f, u64 start, u64 end)
{
	return f->inode->sb->ops->sync_fs ? f->inode->sb->ops->sync_fs(f->inode->sb) : 0;
}

const struct file_ops simple_dir_ops = {
	.llseek = generic_llseek,
	.iterate = simple_iterate,
	.fsync = dir_fsync,
};
