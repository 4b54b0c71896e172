/*
 * Dentries: the tree of names that has been walked, and the cache of it.
 *
 *     hash (parent, name) ──> dentry ──parent──> dentry ──> ... ──> root
 *                               └── inode, or NULL: there is no such name
 *
 * I1  A dentry in the tree holds a reference on its parent, one on its inode, and is in the bucket of
 *     its name and in its parent's list of children.
 * I2  A dentry with refs == 0 is on its LRU list (mm/slab/list_lru.h), and the shrinker may free it. In a
 *     file system in memory refs is never 0, because the directory entry holds a reference (`pinned`).
 * I3  An unlinked dentry is in no bucket and in no list of children, but still has its reference on its
 *     parent, so that the name of an open file can be shown.
 * I4  In file systems whose names appear and disappear by themselves (volatile_names: proc) dentries are in no
 *     bucket: every look-up asks the file system. The exceptions are mount points and their parents.
 *
 * Locks: dcache_lock for all of it. Dentries are freed after it is released, because iput() may sleep.
 */
#include "fs/internal.h"
#include "fs/notify.h"
#include "mm/phys/alloc.h"

#define DENTRY_BUCKETS 512u

spinlock_t dcache_lock = SPINLOCK_INIT;
static struct kmem_cache *dentry_cache;
static struct list_head buckets[DENTRY_BUCKETS];
static unsigned long nr_dentry;
static u64 next_cookie = 2;

u32 name_hash(const struct dentry *parent, const char *name, u32 len)
{
	u64 h = (unsigned long)parent >> 5;

	for (u32 i = 0; i < len; i++)
		h = (h ^ (u8)name[i]) * 0x9e3779b1u;
	return (u32)(h ^ h >> 32);
}

static struct list_head *bucket_of(u32 hash)
{
	return &buckets[(hash ^ hash >> 16) % DENTRY_BUCKETS];
}

struct dentry *d_find(const struct dentry *parent, const char *name, u32 len)
{
	u32 hash = name_hash(parent, name, len);
	struct dentry *d;

	list_for_each_entry (d, bucket_of(hash), bucket) {
		if (d->hash == hash && d->parent == parent && d->len == len &&
		    !memcmp(d->name, name, len))
			return d;
	}
	return NULL;
}

struct dentry *d_alloc(struct dentry *parent, const char *name, u32 len)
{
	struct dentry *d = kmem_cache_alloc(dentry_cache, GFP_KERNEL_ACCOUNT);
	char *own;

	if (!d)
		return NULL;
	memset(d, 0, sizeof(*d));
	own = len < DNAME_SMALL ? d->small : kmalloc(len + 1, GFP_KERNEL_ACCOUNT);
	if (!own) {
		kmem_cache_free(dentry_cache, d);
		return NULL;
	}
	memcpy(own, name, len);
	own[len] = '\0';
	d->name = own;
	d->len = len;
	d->refs = 1;
	d->parent = parent ? parent : d;
	INIT_LIST_HEAD(&d->children);
	INIT_LIST_HEAD(&d->sibling);
	INIT_LIST_HEAD(&d->bucket);
	INIT_LIST_HEAD(&d->lru);
	if (parent) {
		d->hash = name_hash(parent, name, len);
		dget(parent);
	}
	atomic_add(&nr_dentry, 1);
	return d;
}

struct dentry *d_alloc_root(struct inode *inode)
{
	struct dentry *d = d_alloc(NULL, "/", 1);

	if (d)
		d->inode = inode;
	return d;
}

/* dcache_lock held. */
static void enter(struct dentry *d)
{
	d->cookie = next_cookie++;
	list_add_tail(&d->sibling, &d->parent->children);
	if (!d->parent->inode->sb->type->volatile_names)
		list_add(&d->bucket, bucket_of(d->hash));
}

/* Is the dentry in a file system whose names are not in the hash (I4)? */
static bool is_volatile(const struct dentry *d)
{
	return d->parent->inode->sb->type->volatile_names;
}

void dentry_clear_mounted(struct dentry *d)
{
	d->mounted = false;
	if (is_volatile(d) && !d->unlinked)
		list_del_init(&d->bucket);
}

void dentry_set_mounted(struct dentry *d)
{
	d->mounted = true;
	if (!is_volatile(d) || d->unlinked)
		return;
	/* I4's exception: a lookup by name must find this dentry, and those on the path to it. */
	for (; d->parent != d && list_empty(&d->bucket); d = d->parent)
		list_add(&d->bucket, bucket_of(d->hash));
}

static void leave(struct dentry *d)
{
	list_del_init(&d->sibling);
	list_del_init(&d->bucket);
}

/* dcache_lock held, or nobody else knows the dentry. */
static void pin(struct dentry *d)
{
	d->pinned = true;
	d->refs++;
}

void d_add(struct dentry *d, struct inode *inode)
{
	spin_lock(&dcache_lock);
	d->inode = inode;
	enter(d);
	spin_unlock(&dcache_lock);
}

void d_instantiate(struct dentry *d, struct inode *inode)
{
	spin_lock(&dcache_lock);
	d->inode = inode;
	/* With volatile_names a later look-up creates another dentry, and that one would be removed. So the pin of this
	 * one would never be dropped. */
	if (sb_in_memory(inode->sb) && !inode->sb->type->volatile_names)
		pin(d);
	spin_unlock(&dcache_lock);
}

void dget_locked(struct dentry *d)
{
	if (d->refs++ == 0)
		list_lru_del(list_lru_of(LIST_LRU_DENTRY, d), &d->lru);
}

void dget(struct dentry *d)
{
	spin_lock(&dcache_lock);
	dget_locked(d);
	spin_unlock(&dcache_lock);
}

static void d_free(struct dentry *d)
{
	if (d->name != d->small)
		kfree((void *)d->name);
	kmem_cache_free(dentry_cache, d);
	atomic_sub(&nr_dentry, 1);
}

/* Free a dentry whose refs are 0 and that is in no LRU list. dcache_lock is held and released. Returns the parent;
 * its reference passes to the caller. */
static struct dentry *kill_and_unlock(struct dentry *d)
{
	struct dentry *parent = d->parent != d ? d->parent : NULL;
	struct inode *inode = d->inode;

	leave(d);
	spin_unlock(&dcache_lock);
	d_free(d);
	if (inode && !inode->nlink && anybody_watches())
		notify_removed(inode);
	iput(inode);
	return parent;
}

/* Should a dentry stay in memory without users? dcache_lock held. */
static bool worth_keeping(const struct dentry *d)
{
	return !d->unlinked && !d->parent->unlinked && !list_empty(&d->bucket);
}

void dput(struct dentry *d)
{
	while (d) {
		spin_lock(&dcache_lock);
		if (--d->refs) {
			spin_unlock(&dcache_lock);
			return;
		}
		if (worth_keeping(d)) {
			list_lru_add(list_lru_of(LIST_LRU_DENTRY, d), &d->lru);
			spin_unlock(&dcache_lock);
			return;
		}
		d = kill_and_unlock(d);
	}
}

/* Drop the negative dentries of a removed directory, because they hold references on it. dcache_lock held before and
 * after. */
static void drop_negative_children(struct dentry *dir)
{
	struct dentry *d;
again:
	list_for_each_entry (d, &dir->children, sibling) {
		if (d->refs)
			continue;
		list_lru_del(list_lru_of(LIST_LRU_DENTRY, d), &d->lru);
		dput(kill_and_unlock(d));
		spin_lock(&dcache_lock);
		goto again;
	}
}

void d_unlink(struct dentry *d)
{
	bool pinned;

	spin_lock(&dcache_lock);
	leave(d);
	d->unlinked = true;
	drop_negative_children(d);
	pinned = d->pinned;
	d->pinned = false;
	spin_unlock(&dcache_lock);
	if (pinned)
		dput(d);
}

/* ---- renaming ---- */

int d_name_alloc(struct new_name *n, const char *name, u32 len)
{
	n->name = name;
	n->len = len;
	n->own = NULL;
	if (len < DNAME_SMALL)
		return 0;
	n->own = kmalloc(len + 1, GFP_KERNEL_ACCOUNT);
	return n->own ? 0 : -ENOMEM;
}

/* Set the dentry's name. Returns the memory of the old name, to be freed, or NULL. dcache_lock held. */
static void *take_name(struct dentry *d, struct new_name *n)
{
	void *old = d->name != d->small ? (void *)d->name : NULL;
	char *to = n->own ? n->own : d->small;

	memcpy(to, n->name, n->len);
	to[n->len] = '\0';
	d->name = to;
	d->len = n->len;
	n->own = NULL;
	return old;
}

/* Move the dentry below another directory. Returns the old parent, whose reference the caller must drop. dcache_lock
 * held. */
static struct dentry *take_parent(struct dentry *d, struct dentry *parent)
{
	struct dentry *old = d->parent;

	dget_locked(parent);
	d->parent = parent;
	d->hash = name_hash(parent, d->name, d->len);
	enter(d);
	return old;
}

void d_move(struct dentry *d, struct dentry *new_parent, struct new_name *n)
{
	struct dentry *old_parent;
	void *old_name;

	spin_lock(&dcache_lock);
	leave(d);
	old_name = take_name(d, n);
	old_parent = take_parent(d, new_parent);
	spin_unlock(&dcache_lock);
	kfree(old_name);
	dput(old_parent);
}

void d_exchange(struct dentry *a, struct dentry *b)
{
	struct dentry *pa, *pb;
	char small[DNAME_SMALL];
	const char *name_a, *name_b;
	u32 len;

	spin_lock(&dcache_lock);
	leave(a);
	leave(b);
	name_a = a->name == a->small ? b->small : a->name;
	name_b = b->name == b->small ? a->small : b->name;
	memcpy(small, a->small, sizeof(small));
	memcpy(a->small, b->small, sizeof(small));
	memcpy(b->small, small, sizeof(small));
	a->name = name_b;
	b->name = name_a;
	len = a->len;
	a->len = b->len;
	b->len = len;
	pb = b->parent;
	pa = take_parent(a, pb);
	pb = take_parent(b, pa);
	spin_unlock(&dcache_lock);
	dput(pa);
	dput(pb);
}

/* ---- the tree ---- */

bool d_is_ancestor(const struct dentry *a, const struct dentry *d)
{
	for (; d != a; d = d->parent) {
		if (d->parent == d)
			return false;
	}
	return true;
}

bool d_has_children(struct dentry *d)
{
	struct dentry *c;
	bool found = false;

	spin_lock(&dcache_lock);
	list_for_each_entry (c, &d->children, sibling) {
		if (c->inode) {
			found = true;
			break;
		}
	}
	spin_unlock(&dcache_lock);
	return found;
}

/* A dentry without children in the tree of `root`; perhaps `root` itself. dcache_lock held. */
static struct dentry *deepest(struct dentry *root)
{
	while (!list_empty(&root->children))
		root = list_first_entry(&root->children, struct dentry, sibling);
	return root;
}

void d_shrink_tree(struct dentry *root)
{
	struct dentry *d;

	spin_lock(&dcache_lock);
	while ((d = deepest(root)) != root) {
		if (d->pinned) {
			d->pinned = false;
			d->refs--;
		} else if (!d->refs) {
			list_lru_del(list_lru_of(LIST_LRU_DENTRY, d), &d->lru);
		}
		if (d->refs)
			break;
		dput(kill_and_unlock(d));
		spin_lock(&dcache_lock);
	}
	spin_unlock(&dcache_lock);
}

/* ---- under pressure -------------------------------------------------------------------------- */

static unsigned long dcache_count(struct shrinker *s, struct shrink_control *sc)
{
	return vfs_pressure_ratio(READ_ONCE(sc->lru->nr));
}

/* dget() takes a dentry off the list, so the list is in the order of last use. */
static unsigned long dcache_scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long freed;

	for (freed = 0; freed < sc->nr_to_scan; freed++) {
		struct dentry *d;

		spin_lock(&dcache_lock);
		if (list_empty(&sc->lru->list)) {
			spin_unlock(&dcache_lock);
			break;
		}
		d = list_first_entry(&sc->lru->list, struct dentry, lru);
		list_lru_del(sc->lru, &d->lru);
		dput(kill_and_unlock(d));
	}
	sc->nr_scanned = freed;
	return freed;
}

static struct shrinker dcache_shrinker = {
	.count = dcache_count,
	.scan = dcache_scan,
	.name = "dentry",
	.lru_lock = &dcache_lock,
	.kind = LIST_LRU_DENTRY,
};

u64 nr_dentries(void)
{
	return READ_ONCE(nr_dentry);
}

void dcache_init(void)
{
	for (unsigned int i = 0; i < DENTRY_BUCKETS; i++)
		INIT_LIST_HEAD(&buckets[i]);
	dentry_cache = kmem_cache_create("dentry", sizeof(struct dentry), 8,
					 SLAB_PANIC | SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, NULL);
	register_shrinker(&dcache_shrinker);
}
