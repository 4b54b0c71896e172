/*
 * swapon(2) and swapoff(2): the names are looked up here, the rest is mm/swap/swapon.c's.
 *
 * A disk: data that a program (mkswap) has written to the device file is written to the disk first, because the
 * header is read from there.
 *
 * A file: it is open for writing as long as it is a swap area, so that its file system stays mounted. The places of its
 * pages on the disk are looked up once. So its dirty pages are written first, and from then on it may not be written,
 * truncated or unlinked (inode->swapfile). A file with holes is refused (EINVAL).
 *
 * Locks: files_mutex (the list of files) > those of vfs.h > swapon_mutex.
 */
#include "kernel/cred.h"
#include "lib/syscall.h"
#include "arch/ptrace.h"
#include "fs/file.h"
#include "fs/user_path.h"
#include "lib/errno.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/slab/slab.h"
#include "mm/swap/swapcache.h"

#define SWAP_FLAG_PREFER    0x8000u
#define SWAP_FLAG_PRIO_MASK 0x7fffu
#define SWAP_FLAGS_VALID    0x7ffffu /* with SWAP_FLAG_DISCARD* */

static struct mutex files_mutex = MUTEX_INIT(files_mutex);
static struct file *swap_file[MAX_SWAP_AREAS]; /* files_mutex; with references; NULL: free */

/* ---- files -------------------------------------------------------------------------------------- */

/** Count the extents of the file's first nr_pages pages and, if x is not NULL, store them there. 0 or -errno. */
static int walk_extents(struct inode *inode, u64 nr_pages, struct swap_extent *x, u32 *nr_extents)
{
	u64 sector, nr, end = 0;
	u32 n = 0;

	for (u64 at = 0; at < nr_pages; at += nr ? nr : 1) {
		int err = inode->ops->bmap(inode, at, nr_pages - at, &sector, &nr);

		if (err)
			return err;
		if (!nr) {
			end = 0; /* the next page begins a new extent */
			continue;
		}
		/* Sector 0 belongs to no file, so `end` 0 never matches. */
		if (sector != end) {
			if (x)
				x[n] = (struct swap_extent){.first = at, .sector = sector};
			n++;
		}
		if (x)
			x[n - 1].nr += nr;
		end = sector + nr * SECTORS_PER_SLOT;
	}
	*nr_extents = n;
	return 0;
}

/** Find the extents of the file. They do not change, because inode->swapfile is set. */
static int find_extents(struct inode *inode, struct swap_source *s)
{
	u32 nr;
	int err = walk_extents(inode, s->nr_pages, NULL, &nr);

	if (err)
		return err;
	if (!nr)
		return -EINVAL;
	s->extent = vzalloc((u64)nr * sizeof(*s->extent));
	if (!s->extent)
		return -ENOMEM;
	return walk_extents(inode, s->nr_pages, s->extent, &s->nr_extents);
}

static void set_swapfile(struct inode *inode, bool on)
{
	down_write(&inode->lock);
	inode->swapfile = on;
	up_write(&inode->lock);
}

static int swapon_file(struct file *f, unsigned int place, int prio, u32 flags)
{
	struct inode *inode = f->inode;
	struct swap_source s = {.bdev = inode->sb->bdev, .file = inode, .flags = flags};
	char *name = kmalloc(PATH_MAX, GFP_KERNEL);
	int err = -ENOMEM;

	if (!name)
		return err;
	s.name = path_name(&f->path, name, PATH_MAX);
	s.nr_pages = inode->i_data.size >> PAGE_SHIFT;
	set_swapfile(inode, true);
	err = filemap_write_and_wait_range(f->mapping, 0, ~0ull);
	if (!err)
		err = s.name && s.nr_pages ? find_extents(inode, &s) : -EINVAL;
	if (!err)
		err = swapon_area(&s, prio);
	if (!err) {
		swap_file[place] = f;
	} else {
		vfree(s.extent);
		set_swapfile(inode, false);
	}
	kfree(name);
	return err;
}

static int swapon_path(const char *name, int prio, u32 flags)
{
	unsigned int place = 0;
	struct file *f;
	int err = vfs_open(AT_FDCWD, name, O_RDWR | O_LARGEFILE, 0, &f);

	if (err)
		return err;
	mutex_lock(&files_mutex);
	while (place < MAX_SWAP_AREAS && swap_file[place])
		place++;
	if (!f->inode || !S_ISREG(f->inode->mode))
		err = -EINVAL;
	else if (f->inode->swapfile)
		err = -EBUSY;
	else if (!f->inode->ops->bmap || !f->inode->sb->bdev || f->mapping->flags & AS_DAX)
		err = -EINVAL;
	else if (place == MAX_SWAP_AREAS)
		err = -EPERM;
	else
		err = swapon_file(f, place, prio, flags);
	mutex_unlock(&files_mutex);
	if (err)
		file_put(f);
	return err;
}

/** files_mutex held. */
static int swapoff_file(unsigned int place)
{
	struct inode *inode = swap_file[place]->inode;
	int err = swapoff_area(NULL, inode);

	if (!err) {
		/* The file's pages in the cache do not have the data that was swapped to it. Neither is needed any
		 * more. */
		set_swapfile(inode, false);
		file_put(swap_file[place]);
		swap_file[place] = NULL;
	}
	return err;
}

static int swapoff_path(const char *name)
{
	struct path path;
	int err = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &path);

	if (err)
		return err;
	mutex_lock(&files_mutex);
	/* The errors are those of Linux, which opens it for writing. */
	err = S_ISDIR(path.dentry->inode->mode) ? -EISDIR : -EINVAL;
	for (unsigned int i = 0; i < MAX_SWAP_AREAS && err; i++) {
		if (swap_file[i] && swap_file[i]->inode == path.dentry->inode) {
			err = swapoff_file(i);
			break;
		}
	}
	mutex_unlock(&files_mutex);
	path_put(&path);
	return err;
}

void swap_files_off(void)
{
	mutex_lock(&files_mutex);
	for (unsigned int i = 0; i < MAX_SWAP_AREAS; i++)
		if (swap_file[i] && swapoff_file(i))
			printk("swap: a file is in use at the end\n");
	mutex_unlock(&files_mutex);
}

/* ---- the calls ---------------------------------------------------------------------------------- */

static int swapon_name(const char *name, u32 flags)
{
	int prio = flags & SWAP_FLAG_PREFER ? (int)(flags & SWAP_FLAG_PRIO_MASK) : -1;
	struct block_device *bdev;
	int err = bdev_lookup(name, &bdev);

	if (err == -ENOTBLK)
		return swapon_path(name, prio, flags);
	if (!err)
		err = bdev_write_back(bdev);
	return err ? err : swapon_area(&(struct swap_source){.bdev = bdev, .flags = flags}, prio);
}

long sys_swapon(struct pt_regs *r)
{
	u32 flags = r->rsi;
	struct user_path p;
	long ret;

	if (flags & ~SWAP_FLAGS_VALID)
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = user_path_get(&p, r->rdi);
	if (ret < 0)
		return ret;
	ret = swapon_name(p.name, flags);
	user_path_put(&p);
	return ret;
}

long sys_swapoff(struct pt_regs *r)
{
	struct block_device *bdev;
	struct user_path p;
	long ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = user_path_get(&p, r->rdi);
	if (ret < 0)
		return ret;
	ret = bdev_lookup(p.name, &bdev);
	if (!ret)
		ret = do_swapoff(bdev);
	else if (ret == -ENOTBLK)
		ret = swapoff_path(p.name);
	user_path_put(&p);
	return ret;
}
