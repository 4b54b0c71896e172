/*
 * A swap area that costs nothing but a copy: a block device whose sectors are memory. With it a
 * benchmark or profile of swap holds the kernel's work and one copy a page and way, no device's and
 * no waiting; Linux's column has a RAM disk, too.
 *
 *   disk: DISK_PAGES pages of vmalloc memory; request for page n copies to or from disk + n pages
 */
#include "tests/ram_disk.h"
#include "fs/vfs.h"
#include "mm/block/bio.h"
#include "mm/phys/highmem.h"
#include "tests/tests.h"

#define DISK_PAGES   8192ul
#define PAGE_SECTORS (PAGE_SIZE / 512)

#define FILE_PAGES 1024ul

static char *disk, *file_disk_data;
static u64 requests;

static void ram_submit(struct block_device *bdev, struct bio *bio)
{
	u64 at = bio->sector * 512;
	char *data = bdev->private_;

	requests++;
	bio->status = 0;
	if (bio->op == BIO_READ || bio->op == BIO_WRITE) {
		if (bio->sector + bio->nr_pages * PAGE_SECTORS > bdev->nr_sectors)
			bio->status = -EIO;
		for (u32 i = 0; i < bio->nr_pages && !bio->status; i++) {
			char *on_disk = data + at + i * PAGE_SIZE;

			if (bio->op == BIO_READ)
				memcpy_to_page(bio->pages[i], 0, on_disk, PAGE_SIZE);
			else
				memcpy_from_page(on_disk, bio->pages[i], 0, PAGE_SIZE);
		}
	} else if (bio->op != BIO_FLUSH) {
		bio->status = -EOPNOTSUPP;
	}
	bio->end_io(bio);
}

static struct block_device ram_disk = {
	.name = "ram0",
	.role = "ram0",
	.nr_sectors = DISK_PAGES * PAGE_SECTORS,
	.submit = ram_submit,
};

/** mkswap's header: version and last page at 1024, the word at the page's end. */
static void format_swap(void)
{
	u32 info[3] = {1, DISK_PAGES - 1, 0};

	memset(disk, 0, PAGE_SIZE);
	memcpy(disk + 1024, info, sizeof(info));
	memcpy(disk + PAGE_SIZE - 10, "SWAPSPACE2", 10);
}

int ram_disk_swapon(void)
{
	disk = vmalloc(DISK_PAGES * PAGE_SIZE);
	if (!disk)
		return -ENOMEM;
	format_swap();
	ram_disk.private_ = disk;
	register_block_device(&ram_disk);
	return do_swapon(&ram_disk, -1);
}

static struct block_device file_disk = {
	.name = "vdr",
	.role = "vdr",
	.nr_sectors = FILE_PAGES * PAGE_SECTORS,
	.submit = ram_submit,
};

int ram_disk_add_file(void)
{
	file_disk_data = vmalloc(FILE_PAGES * PAGE_SIZE);
	if (!file_disk_data)
		return -ENOMEM;
	memset(file_disk_data, 0, FILE_PAGES * PAGE_SIZE);
	file_disk.private_ = file_disk_data;
	register_block_device(&file_disk);
	return blockdev_add_node(&file_disk);
}

u64 ram_disk_requests(void)
{
	return requests;
}
