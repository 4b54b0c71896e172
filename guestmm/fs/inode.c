/*
 * Inodes: files, without their names.
 *
 *   hash (sb, number) ──> inode ──> i_data: the pages of a regular file
 *                           └── sb->inodes: all inodes of one file system
 *
 * I1  An inode with refs > 0 is in use, by dentries, open files, or the file system.
 * I2  refs == 0 and nlink != 0: if the file system can read the inode again, it stays in memory for the
 *     next use, on its LRU list (mm/slab/list_lru.h). Otherwise it is freed.
 * I3  refs == 0 and nlink == 0: the file is deleted. Its pages are dropped, and evict_inode() frees its
 *     blocks. Meanwhile it is marked INODE_FREEING, and a task that asks for its number waits.
 * I4  The shrinker frees only clean inodes without pages. It never does I/O, because it runs inside
 *     allocations. It skips an inode with pages once. If the inode is still unused at the next scan, its
 *     clean pages are dropped (pginodesteal), and the scan after that frees it.
 *
 * Locks: inode_lock for hash, lists and state; never held while a file system is called.
 */
#include "kernel/boot_info.h"
#include "fs/internal.h"
#include "fs/xattr.h"
#include "mm/cache/bdi.h"
#include "mm/huge/hugetlb.h"
#include "mm/phys/alloc.h"

#define INODE_BUCKETS 256u

enum { INODE_READY, INODE_NEW, INODE_FREEING };

static spinlock_t inode_lock = SPINLOCK_INIT;
static struct list_head buckets[INODE_BUCKETS];
static unsigned long nr_inode;
static struct wait_queue state_wq = WAIT_QUEUE_INIT(state_wq); /* an inode was read or freed */
static struct kmem_cache *inode_cache;

static struct list_head *bucket_of(const struct super_block *sb, u64 ino)
{
	u64 h = ((unsigned long)sb >> 6 ^ ino) * 0x9e3779b97f4a7c15ull;

	return &buckets[h >> 32 & (INODE_BUCKETS - 1)];
}

struct inode *new_inode(struct super_block *sb, u64 ino)
{
	struct inode *inode = kmem_cache_alloc(inode_cache, GFP_KERNEL_ACCOUNT);

	if (!inode)
		return NULL;
	memset(inode, 0, sizeof(*inode));
	inode->sb = sb;
	inode->ino = ino;
	inode->refs = 1;
	inode->nlink = 1;
	inode->state = INODE_READY;
	init_rwsem(&inode->lock);
	INIT_LIST_HEAD(&inode->hash);
	INIT_LIST_HEAD(&inode->lru);
	address_space_init(&inode->i_data, inode, NULL, 0);
	inode->i_data.wb = bdi_of(sb->bdev);
	inode->atime = inode->mtime = inode->ctime = current_time();
	spin_lock(&inode_lock);
	list_add_tail(&inode->sb_list, &sb->inodes);
	nr_inode++;
	spin_unlock(&inode_lock);
	return inode;
}

void insert_inode(struct inode *inode)
{
	spin_lock(&inode_lock);
	list_add(&inode->hash, bucket_of(inode->sb, inode->ino));
	spin_unlock(&inode_lock);
}

/* inode_lock held. */
static struct inode *find_inode(const struct super_block *sb, u64 ino)
{
	struct inode *inode;

	list_for_each_entry (inode, bucket_of(sb, ino), hash) {
		if (inode->ino == ino && inode->sb == sb)
			return inode;
	}
	return NULL;
}

/* inode_lock held. */
static void get_locked(struct inode *inode)
{
	if (inode->refs++ == 0)
		list_lru_del(list_lru_of(LIST_LRU_INODE, inode), &inode->lru);
}

void iget_ref(struct inode *inode)
{
	spin_lock(&inode_lock);
	get_locked(inode);
	spin_unlock(&inode_lock);
}

static bool inode_settled(struct super_block *sb, u64 ino)
{
	struct inode *inode;
	bool settled;

	spin_lock(&inode_lock);
	inode = find_inode(sb, ino);
	settled = !inode || inode->state == INODE_READY;
	spin_unlock(&inode_lock);
	return settled;
}

/* Take the inode out of all lists, and free its memory. */
static void inode_free(struct inode *inode)
{
	struct super_block *sb = inode->sb;

	spin_lock(&inode_lock);
	list_del_init(&inode->hash);
	list_del(&inode->sb_list);
	nr_inode--;
	spin_unlock(&inode_lock);
	wake_up(&state_wq);
	if (sb->ops->free_inode)
		sb->ops->free_inode(inode);
	if (inode->xattrs)
		xattrs_free(inode);
	kmem_cache_free(inode_cache, inode);
}

struct inode *iget(struct super_block *sb, u64 ino, int *err)
{
	struct inode *inode, *fresh = NULL;

	for (;;) {
		spin_lock(&inode_lock);
		inode = find_inode(sb, ino);
		if (inode && inode->state == INODE_READY) {
			get_locked(inode);
			spin_unlock(&inode_lock);
			break;
		}
		if (!inode && fresh) {
			list_add(&fresh->hash, bucket_of(sb, ino));
			spin_unlock(&inode_lock);
			*err = sb->ops->read_inode(fresh);
			if (*err) {
				fresh->nlink = 1; /* so that its blocks on the disk are not freed */
				inode_free(fresh);
				return NULL;
			}
			spin_lock(&inode_lock);
			fresh->state = INODE_READY;
			spin_unlock(&inode_lock);
			wake_up(&state_wq);
			return fresh;
		}
		spin_unlock(&inode_lock);
		if (inode) { /* another task is reading or freeing it */
			wait_event(&state_wq, inode_settled(sb, ino));
			continue;
		}
		fresh = new_inode(sb, ino);
		if (!fresh) {
			*err = -ENOMEM;
			return NULL;
		}
		fresh->state = INODE_NEW;
	}
	if (fresh)
		inode_free(fresh);
	return inode;
}

/* Free the inode's pages and what the file system has for it. It cannot be found any more (INODE_FREEING). */
static void inode_drop(struct inode *inode)
{
	if (inode->i_data.flags & AS_HUGETLB) {
		hugetlb_file_destroy(&inode->i_data);
	} else if (inode->i_data.flags & AS_SHMEM) {
		shmem_truncate_range(&inode->i_data, 0, ~0ul);
	} else {
		truncate_inode_pages(&inode->i_data);
		writeback_forget(&inode->i_data);
	}
	if (!inode->nlink && inode->sb->ops->evict_inode)
		inode->sb->ops->evict_inode(inode);
	inode_free(inode);
}

/* Pass changed fields to the file system. */
static int write_back_inode(struct inode *inode)
{
	atomic_store(&inode->dirty, false);
	if (!inode->ops->dirty)
		return inode->sb->ops->write_inode(inode);
	inode->ops->dirty(inode);
	return 0;
}

void iput(struct inode *inode)
{
	bool keep;

	if (!inode)
		return;
	spin_lock(&inode_lock);
	if (--inode->refs) {
		spin_unlock(&inode_lock);
		return;
	}
	/* Changed times may be in memory only (MS_LAZYTIME). Pass them on now: when the unused inode is freed, there
	 * is no waiting for the disk. */
	while (unlikely(atomic_load(&inode->dirty)) && inode->nlink && inode->ops->dirty) {
		inode->refs++;
		spin_unlock(&inode_lock);
		write_back_inode(inode);
		spin_lock(&inode_lock);
		if (--inode->refs) {
			spin_unlock(&inode_lock);
			return;
		}
	}
	keep = inode->nlink && !sb_in_memory(inode->sb) && !list_empty(&inode->hash);
	if (keep) {
		inode->rotated = false;
		list_lru_add(list_lru_of(LIST_LRU_INODE, inode), &inode->lru);
	} else {
		inode->state = INODE_FREEING;
	}
	spin_unlock(&inode_lock);
	if (!keep)
		inode_drop(inode);
}

void mark_inode_dirty(struct inode *inode)
{
	if (inode->ops->dirty) {
		atomic_store(&inode->dirty, false); /* times are written with the rest */
		inode->ops->dirty(inode);
	} else if (inode->sb->ops->write_inode) {
		atomic_store(&inode->dirty, true);
	}
}

void mark_inode_times_dirty(struct inode *inode)
{
	if (inode->ops->dirty && READ_ONCE(inode->sb->flags) & MS_LAZYTIME)
		atomic_store(&inode->dirty, true);
	else
		mark_inode_dirty(inode);
}

/* ---- all of a file system ---- */

/* A dirty inode of sb (NULL: of any file system), with a reference. NULL: there is none. inode_lock held. */
static struct inode *next_dirty(struct super_block *sb)
{
	struct inode *inode;

	list_for_each_entry (inode, &sb->inodes, sb_list) {
		if (inode->state == INODE_READY && atomic_load(&inode->dirty)) {
			get_locked(inode);
			return inode;
		}
	}
	return NULL;
}

int sync_inodes(struct super_block *sb)
{
	int err = 0;

	for (;;) {
		struct inode *inode;
		int e;

		spin_lock(&inode_lock);
		inode = next_dirty(sb);
		spin_unlock(&inode_lock);
		if (!inode)
			return err;
		e = write_back_inode(inode);
		err = err ? err : e;
		iput(inode);
	}
}

bool evict_inodes(struct super_block *sb)
{
	struct inode *inode;

	for (;;) {
		bool found = false;

		spin_lock(&inode_lock);
		list_for_each_entry (inode, &sb->inodes, sb_list) {
			if (inode->state == INODE_READY && !inode->refs) {
				list_lru_del(list_lru_of(LIST_LRU_INODE, inode), &inode->lru);
				inode->state = INODE_FREEING;
				found = true;
				break;
			}
		}
		spin_unlock(&inode_lock);
		if (!found)
			break;
		inode_drop(inode);
	}
	return list_empty(&sb->inodes);
}

/* ---- under pressure (I4) ---------------------------------------------------------------------- */

int sysctl_vfs_cache_pressure = 100;

static unsigned long inodes_count(struct shrinker *s, struct shrink_control *sc)
{
	return vfs_pressure_ratio(READ_ONCE(sc->lru->nr));
}

/* Drop the clean pages of an inode, and then the caller's reference. */
static void steal_pages(struct inode *inode, bool kswapd)
{
	u64 n = invalidate_mapping_pages(&inode->i_data, 0, ~0ul);

	count_vm_events(kswapd ? KSWAPD_INODESTEAL : PGINODESTEAL, n);
	iput(inode);
}

static unsigned long inodes_scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long freed = 0, seen;

	for (seen = 0; seen < sc->nr_to_scan; seen++) {
		struct inode *inode;
		bool take = false, steal = false;

		spin_lock(&inode_lock);
		if (list_empty(&sc->lru->list)) {
			spin_unlock(&inode_lock);
			break;
		}
		inode = list_first_entry(&sc->lru->list, struct inode, lru);
		if (inode->i_data.nrpages && inode->rotated) {
			steal = true;
			get_locked(inode);
		} else if (inode->i_data.nrpages || atomic_load(&inode->dirty)) {
			inode->rotated = true;
			list_move_tail(&inode->lru, &sc->lru->list);
		} else {
			take = true;
			list_lru_del(sc->lru, &inode->lru);
			inode->state = INODE_FREEING;
		}
		spin_unlock(&inode_lock);
		if (steal)
			steal_pages(inode, sc->kswapd);
		if (take)
			inode_drop(inode);
		freed += take;
	}
	sc->nr_scanned = seen;
	return freed;
}

static struct shrinker inode_shrinker = {
	.count = inodes_count,
	.scan = inodes_scan,
	.name = "inode",
	.lru_lock = &inode_lock,
	.kind = LIST_LRU_INODE,
};

u64 nr_inodes(void)
{
	return READ_ONCE(nr_inode);
}

void inode_cache_init(void)
{
	for (unsigned int i = 0; i < INODE_BUCKETS; i++)
		INIT_LIST_HEAD(&buckets[i]);
	inode_cache = kmem_cache_create("inode", sizeof(struct inode), 8,
					SLAB_PANIC | SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, NULL);
	register_shrinker(&inode_shrinker);
}

/* ---- times and attributes --------------------------------------------------------------------- */

struct vfs_time current_time(void)
{
	u64 ns = boot_info.epoch_ns + ktime_ns();

	return (struct vfs_time){ns / 1000000000u, ns % 1000000000u};
}

void inode_touch_data(struct inode *inode)
{
	inode->mtime = inode->ctime = current_time();
	mark_inode_times_dirty(inode);
}

void inode_touch(struct inode *inode, unsigned int which)
{
	struct vfs_time now = current_time();

	if (which & S_CTIME)
		inode->ctime = now;
	if (which & S_MTIME)
		inode->mtime = now;
	mark_inode_dirty(inode);
}

void vfs_getattr(struct inode *inode, struct vfs_stat *st)
{
	*st = (struct vfs_stat){
		.dev = inode->sb->dev,
		.ino = inode->ino,
		.nlink = inode->nlink,
		.mode = inode->mode,
		.uid = inode->uid,
		.gid = inode->gid,
		.rdev = inode->rdev,
		.size = inode->i_data.size,
		.blksize = inode->sb->blocksize,
		.blocks = inode->blocks,
		.atime = inode->atime.sec,
		.atime_nsec = inode->atime.nsec,
		.mtime = inode->mtime.sec,
		.mtime_nsec = inode->mtime.nsec,
		.ctime = inode->ctime.sec,
		.ctime_nsec = inode->ctime.nsec,
	};
	if (inode->ops->getattr)
		inode->ops->getattr(inode, st);
}
