/* Block I/O requests, which swap and the page cache pass to a disk driver. */
#ifndef MM_BIO_H
#define MM_BIO_H
#include "lib/env.h"
#include "mm/phys/page.h"

enum bio_op { BIO_READ, BIO_WRITE, BIO_FLUSH, BIO_DISCARD, BIO_WRITE_ZEROES };
#define BIO_MAX_PAGES 32

struct bio {
	struct block_device *bdev;
	enum bio_op op;
	u64 sector;	/* 512 bytes each */
	u32 nr_pages;	/* READ, WRITE: whole pages, contiguous on disk */
	u64 nr_sectors; /* DISCARD, WRITE_ZEROES */
	/* READ, WRITE of less than a page: bytes [offset, offset + len) of pages[0], in sectors; the
	 * only page. len 0: whole pages. */
	u16 offset, len;
	struct page *pages[BIO_MAX_PAGES];
	int status;			 /* 0 or -EIO, -EOPNOTSUPP, -ENOSPC; set before end_io */
	void (*end_io)(struct bio *bio); /* interrupt context; may free the bio */
	void *private_;
	struct device *dma_dev; /* that pages are mapped for; NULL: none is */
	struct list_head node;	/* belongs to the driver while submitted */
};

struct device;
struct block_device {
	char name[16]; /* "vda" */
	char role[16]; /* "swap", "disk0": from the device tree */
	u64 nr_sectors;
	bool read_only, has_discard, has_write_zeroes;
	struct page
		*dax; /* C: the first page of a device that is memory (mm/phys/device.h), or NULL */
	/** Queue a request; sleeps only when the queue is full and the caller may sleep, otherwise
	 * keeps it on an internal list. Every bio is completed exactly once. */
	void (*submit)(struct block_device *bdev, struct bio *bio);
	void *private_;
	struct device *dma_dev; /* that pages are mapped for; NULL: none is */
	struct list_head node;
	struct bdi_writeback *wb; /* mm/cache/bdi.h; NULL until files of it are written */
};

void register_block_device(struct block_device *bdev);
struct block_device *find_block_device(const char *role_or_name);
void submit_bio(struct bio *bio);
/** Submit and sleep until done. Returns bio->status. */
int submit_bio_wait(struct bio *bio);
#endif
