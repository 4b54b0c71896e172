/*
 * Block devices as files, such as /dev/vda.
 *
 *   file ──> device_node ──> block_device ──> bdev_mapping: its pages
 *
 * The pages of a device file are a separate cache from that of a file system on the disk. The last close writes and
 * drops them, and mounting writes the dirty ones first, so neither cache has stale data. But a program that keeps the
 * device file of a mounted disk open may see stale data that it has read before.
 *
 * B1  `openers` counts the open files. When it is 0, the mapping has no pages.
 *
 * Lock: bd->lock: opening, closing, writing. Outside of all page locks.
 */
#include "arch/uaccess.h"
#include "fs/internal.h"
#include "mm/block/bio.h"

#define BLKROGET     0x125e
#define BLKGETSIZE   0x1260
#define BLKFLSBUF    0x1261
#define BLKSSZGET    0x1268
#define BLKDISCARD   0x1277
#define BLKIOMIN     0x1278
#define BLKIOOPT     0x1279
#define BLKPBSZGET   0x127b
#define BLKZEROOUT   0x127f
#define BLKBSZGET    0x80081270
#define BLKGETSIZE64 0x80081272

#define VIRTBLK_MAJOR	254
#define VIRTBLK_MINORS	16
#define BLOCK_EXT_MAJOR 259 /* of pmem0 and so on */

struct bdev_node {
	struct device_node node;
	struct block_device *bdev;
	struct mutex lock;
	u32 openers; /* lock */
};

static struct bdev_node *node_of(const struct file *f)
{
	return f->private;
}

static u64 bdev_bytes(const struct block_device *bdev)
{
	return bdev->nr_sectors * 512;
}

u64 bdev_number(const struct block_device *bdev)
{
	if (bdev->dax)
		return MKDEV(BLOCK_EXT_MAJOR, bdev->name[4] - '0');
	return MKDEV(VIRTBLK_MAJOR, (bdev->name[2] - 'a') * VIRTBLK_MINORS);
}

int bdev_write_back(struct block_device *bdev)
{
	struct address_space *mapping = bdev_mapping(bdev);
	struct bio flush = {.bdev = bdev, .op = BIO_FLUSH};
	int err, e;

	if (!mapping)
		return -ENOMEM;
	if (bdev->read_only)
		return 0;
	err = filemap_write_and_wait_range(mapping, 0, ~0ull);
	e = submit_bio_wait(&flush);
	return err ? err : e;
}

static int bdev_open(struct file *f, struct device_node *dev)
{
	struct bdev_node *bd = dev->private_;
	struct address_space *mapping = bdev_mapping(bd->bdev);

	if (!mapping)
		return -ENOMEM;
	if (bd->bdev->read_only && file_can_write(f))
		return -EROFS;
	f->private = bd;
	f->mapping = mapping;
	mutex_lock(&bd->lock);
	bd->openers++;
	mutex_unlock(&bd->lock);
	return 0;
}

static void bdev_release(struct file *f)
{
	struct bdev_node *bd = node_of(f);

	mutex_lock(&bd->lock);
	if (!--bd->openers) {
		bdev_write_back(bd->bdev);
		truncate_inode_pages(f->mapping);
	}
	mutex_unlock(&bd->lock);
}

static long bdev_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	u64 start = *pos;
	long ret = direct_begin(f, buf, len, start);

	return ret ? ret
		   : direct_end(f, start, generic_file_read(f->mapping, &f->ra, buf, len, pos));
}

static long bdev_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct bdev_node *bd = node_of(f);
	u64 start = *pos, limit = bdev_bytes(bd->bdev);
	long ret;

	if (!len)
		return 0;
	if (start >= limit)
		return -ENOSPC;
	ret = direct_begin(f, buf, len, start);
	if (ret)
		return ret;
	mutex_lock(&bd->lock);
	ret = generic_file_write(f->mapping, buf, min((u64)len, limit - start), pos, limit);
	mutex_unlock(&bd->lock);
	if (ret > 0 && f->flags & O_DSYNC) {
		int err = vfs_fsync(f, start, start + ret - 1);

		if (err)
			return err;
	}
	return direct_end(f, start, ret);
}

static long bdev_llseek(struct file *f, s64 offset, int whence)
{
	s64 size = bdev_bytes(node_of(f)->bdev);

	if (whence == 1)
		offset += f->pos;
	else if (whence == 2)
		offset += size;
	else if (whence != 0)
		return -EINVAL;
	if (offset < 0 || offset > size)
		return -EINVAL;
	return f->pos = offset;
}

static int bdev_fsync(struct file *f, u64 start, u64 end)
{
	struct bio flush = {.bdev = node_of(f)->bdev, .op = BIO_FLUSH};
	int err = filemap_write_and_wait_range(f->mapping, start, end), e;

	e = submit_bio_wait(&flush);
	err = err ? err : e;
	e = mapping_check_error(f->mapping, &f->wb_err);
	return err ? err : e;
}

static int bdev_mmap(struct file *f, unsigned long vm_flags, struct file **instead)
{
	return 0;
}

/** Discard or zero a range that the program gives as {start, length} in bytes. */
static long erase_range(struct file *f, enum bio_op op, unsigned long arg)
{
	struct block_device *bdev = node_of(f)->bdev;
	struct bio bio = {.bdev = bdev, .op = op};
	u64 range[2];
	int err;

	if (!file_can_write(f))
		return -EBADF;
	if (copy_from_user(range, arg, sizeof(range)))
		return -EFAULT;
	if ((range[0] | range[1]) % 512 || !range[1] || range[0] + range[1] < range[0] ||
	    range[0] + range[1] > bdev_bytes(bdev))
		return -EINVAL;
	err = bdev_write_back(bdev);
	if (err)
		return err;
	bio.sector = range[0] / 512;
	bio.nr_sectors = range[1] / 512;
	err = submit_bio_wait(&bio);
	invalidate_mapping_pages(f->mapping, range[0] >> PAGE_SHIFT,
				 DIV_ROUND_UP(range[0] + range[1], PAGE_SIZE));
	return err;
}

static long give(unsigned long arg, const void *value, size_t size)
{
	return copy_to_user(arg, value, size) ? -EFAULT : 0;
}

static long bdev_ioctl(struct file *f, unsigned int cmd, unsigned long arg)
{
	struct block_device *bdev = node_of(f)->bdev;
	u64 bytes = bdev_bytes(bdev), sectors = bdev->nr_sectors, page = PAGE_SIZE;
	u32 sector = 512, none = 0, read_only = bdev->read_only;
	long err;

	switch (cmd) {
	case BLKGETSIZE64:
		return give(arg, &bytes, sizeof(bytes));
	case BLKGETSIZE:
		return give(arg, &sectors, sizeof(sectors));
	case BLKSSZGET:
	case BLKPBSZGET:
	case BLKIOMIN:
		return give(arg, &sector, sizeof(sector));
	case BLKIOOPT:
		return give(arg, &none, sizeof(none));
	case BLKBSZGET:
		return give(arg, &page, sizeof(page));
	case BLKROGET:
		return give(arg, &read_only, sizeof(read_only));
	case BLKDISCARD:
		return erase_range(f, BIO_DISCARD, arg);
	case BLKZEROOUT:
		return erase_range(f, BIO_WRITE_ZEROES, arg);
	case BLKFLSBUF:
		err = bdev_write_back(bdev);
		invalidate_mapping_pages(f->mapping, 0, ~0ul);
		return err;
	}
	return -ENOTTY;
}

static const struct file_ops bdev_ops = {
	.read = bdev_read,
	.write = bdev_write,
	.llseek = bdev_llseek,
	.ioctl = bdev_ioctl,
	.fsync = bdev_fsync,
	.release = bdev_release,
	.mmap = bdev_mmap,
};

int blockdev_add_node(struct block_device *bdev)
{
	struct bdev_node *bd = kzalloc(sizeof(*bd), GFP_KERNEL);

	if (!bd)
		return -ENOMEM;
	mutex_init(&bd->lock);
	bd->bdev = bdev;
	bd->node = (struct device_node){
		.name = bdev->name,
		.mode = S_IFBLK | (bdev->read_only ? 0440 : 0660),
		.rdev = bdev_number(bdev),
		.ops = &bdev_ops,
		.open = bdev_open,
		.private_ = bd,
	};
	register_device_node(&bd->node);
	return 0;
}

void blockdev_init(void)
{
	char name[] = "vda", memory[] = "pmem0";

	for (; memory[4] < '0' + MMVM_MAX_PMEM; memory[4]++) {
		struct block_device *bdev = find_block_device(memory);

		if (bdev && blockdev_add_node(bdev))
			return;
	}
	for (; name[2] <= 'z'; name[2]++) {
		struct block_device *bdev = find_block_device(name);

		if (bdev && blockdev_add_node(bdev))
			return;
	}
}
