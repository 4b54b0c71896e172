/*
 * The page cache of a block device: /dev/vda read and written as a file, and metadata of file
 * systems that want it there.
 *
 * Each device has one address space, made at the first use and kept; page i holds the bytes from 4096 i on.
 * Adjacent pages share a request. If a device's size is not a multiple of a page, its last page is partial: it has
 * a request of its own, and the rest of the page is zero.
 *
 * Requests come from a pool: writing frees memory, so it must not need memory.
 *
 * Locks: make_lock (a mutex) > caches_lock (a spinlock: the list, which only grows).
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache/bdi.h"
#include "mm/phys/highmem.h"
#include "mm/cache/filemap.h"
#include "mm/slab/mempool.h"
#include "mm/slab/slab.h"

#define SECTORS_PER_PAGE (PAGE_SIZE / 512)
#define MIN_BIOS	 4

struct bdev_cache {
	struct block_device *bdev;
	struct address_space mapping;
	struct list_head node;
};

static struct mutex make_lock = MUTEX_INIT(make_lock);
static LIST_HEAD(caches); /* caches_lock */
static spinlock_t caches_lock = SPINLOCK_INIT;
static struct mempool *bios; /* make_lock to set, then constant */

static struct block_device *bdev_of(const struct address_space *mapping)
{
	return container_of(mapping, struct bdev_cache, mapping)->bdev;
}

/* How many sectors of the page lie on the device. */
static u32 sectors_of(const struct block_device *bdev, unsigned long index)
{
	return min(bdev->nr_sectors - index * SECTORS_PER_PAGE, (u64)SECTORS_PER_PAGE);
}

static void end_io(struct bio *bio)
{
	for (u32 i = 0; i < bio->nr_pages; i++) {
		struct page *page = bio->pages[i];

		if (bio->op == BIO_READ) {
			if (likely(!bio->status))
				SetPageUptodate(page);
			else
				SetPageError(page);
			unlock_page(page);
		} else {
			if (unlikely(bio->status))
				mapping_set_error(page_mapping_file(page), bio->status);
			end_page_writeback(page);
		}
	}
	mempool_free(bios, bio);
}

static struct bio *new_bio(struct block_device *bdev, enum bio_op op, struct page *page)
{
	struct bio *bio = mempool_alloc(bios, GFP_NOIO);
	u32 sectors = sectors_of(bdev, page->index);

	bio->bdev = bdev;
	bio->op = op;
	bio->sector = page->index * SECTORS_PER_PAGE;
	bio->nr_pages = 1;
	bio->nr_sectors = 0;
	bio->offset = 0;
	bio->len = sectors < SECTORS_PER_PAGE ? sectors * 512 : 0;
	bio->pages[0] = page;
	bio->end_io = end_io;
	return bio;
}

/* May the page be added to the request? It must be adjacent, whole like the others, and the request must have
 * room. */
static bool may_append(const struct bio *bio, const struct block_device *bdev,
		       const struct page *page)
{
	return bio && bio->bdev == bdev && !bio->len && bio->nr_pages < BIO_MAX_PAGES &&
	       bio->pages[bio->nr_pages - 1]->index + 1 == page->index &&
	       sectors_of(bdev, page->index) == SECTORS_PER_PAGE;
}

static struct bio *append(struct bio *bio, struct block_device *bdev, enum bio_op op,
			  struct page *page)
{
	if (may_append(bio, bdev, page)) {
		bio->pages[bio->nr_pages++] = page;
		return bio;
	}
	if (bio)
		submit_bio(bio);
	return new_bio(bdev, op, page);
}

static int readpages(struct address_space *mapping, struct page **pages, unsigned int n)
{
	struct block_device *bdev = bdev_of(mapping);
	struct bio *bio = NULL;

	for (unsigned int i = 0; i < n; i++) {
		u64 sector = pages[i]->index * SECTORS_PER_PAGE;

		if (unlikely(sector + SECTORS_PER_PAGE > bdev->nr_sectors))
			clear_highpage(pages[i]);
		if (unlikely(sector >= bdev->nr_sectors)) {
			SetPageUptodate(pages[i]);
			unlock_page(pages[i]);
			continue;
		}
		bio = append(bio, bdev, BIO_READ, pages[i]);
	}
	if (bio)
		submit_bio(bio);
	return 0;
}

static int writepage(struct page *page, struct writeback_control *wbc)
{
	struct block_device *bdev = bdev_of(page_mapping_file(page));

	set_page_writeback(page);
	unlock_page(page);
	if (unlikely(page->index * SECTORS_PER_PAGE >= bdev->nr_sectors))
		end_page_writeback(page);
	else
		wbc->bio = append(wbc->bio, bdev, BIO_WRITE, page);
	return 0;
}

static void writepages_end(struct address_space *mapping, struct writeback_control *wbc)
{
	struct bio *bio = wbc->bio;

	wbc->bio = NULL;
	if (bio)
		submit_bio(bio);
}

static int write_begin(struct address_space *mapping, u64 pos, unsigned int len,
		       struct page **result)
{
	struct page *page;
	int err;

	if (bdev_of(mapping)->read_only)
		return -EROFS;
	if (pos >= mapping->size)
		return -ENOSPC;
	for (;;) {
		page = find_or_create_page(mapping, pos >> PAGE_SHIFT, GFP_HIGHUSER_MOVABLE);
		if (!page)
			return -ENOMEM;
		if (PageUptodate(page) || len == PAGE_SIZE)
			break;
		unlock_page(page);
		put_page(page);
		page = read_cache_page(mapping, pos >> PAGE_SHIFT, &err);
		if (!page)
			return err;
		lock_page(page);
		if (likely(page->mapping == mapping && PageUptodate(page)))
			break;
		unlock_page(page);
		put_page(page);
	}
	*result = page;
	return 0;
}

static int write_end(struct address_space *mapping, u64 pos, unsigned int len, unsigned int copied,
		     struct page *page)
{
	copied = min((u64)copied, mapping->size - pos); /* a device does not grow */
	if (!PageUptodate(page)) {
		if (len < PAGE_SIZE || copied < min((u64)PAGE_SIZE, mapping->size - pos))
			copied = 0; /* the rest of the page is not known */
		else
			SetPageUptodate(page);
	}
	if (copied)
		set_page_dirty(page);
	unlock_page(page);
	put_page(page);
	return copied;
}

static const struct address_space_ops bdev_aops = {
	.readpages = readpages,
	.writepage = writepage,
	.writepages_end = writepages_end,
	.write_begin = write_begin,
	.write_end = write_end,
};

static struct bdev_cache *find_cache(const struct block_device *bdev)
{
	struct bdev_cache *c, *found = NULL;

	spin_lock(&caches_lock);
	list_for_each_entry (c, &caches, node)
		if (c->bdev == bdev)
			found = c;
	spin_unlock(&caches_lock);
	return found;
}

static struct bdev_cache *make_cache(struct block_device *bdev)
{
	struct bdev_cache *c;

	if (!bios) {
		struct kmem_cache *cache =
			kmem_cache_create("bdev_bio", sizeof(struct bio), 0, 0, NULL);

		if (!cache)
			return NULL;
		bios = mempool_create(MIN_BIOS, mempool_alloc_slab, mempool_free_slab, cache);
		if (!bios) {
			kmem_cache_destroy(cache);
			return NULL;
		}
	}
	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return NULL;
	c->bdev = bdev;
	address_space_init(&c->mapping, NULL, &bdev_aops, 0);
	c->mapping.wb = bdi_of(bdev);
	c->mapping.size = bdev->nr_sectors * 512;
	spin_lock(&caches_lock);
	list_add_tail(&c->node, &caches);
	spin_unlock(&caches_lock);
	return c;
}

struct address_space *bdev_mapping(struct block_device *bdev)
{
	struct bdev_cache *c;

	mutex_lock(&make_lock);
	c = find_cache(bdev);
	if (!c)
		c = make_cache(bdev);
	mutex_unlock(&make_lock);
	return c ? &c->mapping : NULL;
}

u64 nr_blockdev_pages(void)
{
	struct bdev_cache *c;
	u64 n = 0;

	spin_lock(&caches_lock);
	list_for_each_entry (c, &caches, node)
		n += READ_ONCE(c->mapping.nrpages);
	spin_unlock(&caches_lock);
	return n;
}
