/*
 * A disk in memory. It completes each bio at once, or later if the test asks for that, and fails the
 * requests that the test names. Completion runs with interrupts off, as from a device's interrupt.
 */
#include <stdlib.h>
#include <string.h>
#include "host.h"
#include "lib/errno.h"

#define MAX_DISKS 32
static struct host_disk *disks[MAX_DISKS];
static unsigned int nr_disks;

static int transfer(struct host_disk *d, struct bio *bio)
{
	u32 len = bio->len ? bio->len : PAGE_SIZE; /* of each page */
	u64 bytes = bio->op == BIO_READ || bio->op == BIO_WRITE ? (u64)bio->nr_pages * len
								: bio->nr_sectors * 512;
	u8 *at = d->data + bio->sector * 512;

	if (bio->sector * 512 + bytes > d->bdev.nr_sectors * 512)
		return -EIO;
	if (bio->op == BIO_READ || bio->op == BIO_WRITE) {
		if (d->fail_at && --d->fail_at == 0)
			return -EIO;
		for (u32 i = 0; i < bio->nr_pages; i++, at += len) {
			u8 *data = (u8 *)host_page(bio->pages[i]) + (bio->len ? bio->offset : 0);

			if (bio->op == BIO_READ)
				memcpy(data, at, len);
			else
				memcpy(at, data, len);
		}
		*(bio->op == BIO_READ ? &d->nr_reads : &d->nr_writes) += 1;
		*(bio->op == BIO_READ ? &d->pages_read : &d->pages_written) += bio->nr_pages;
	} else if (bio->op == BIO_DISCARD || bio->op == BIO_WRITE_ZEROES) {
		memset(at, 0, bytes);
		d->nr_discards++;
	}
	return 0;
}

static void complete(struct host_disk *d, struct bio *bio)
{
	unsigned long flags = arch_irq_save();

	bio->status = transfer(d, bio);
	bio->end_io(bio);
	arch_irq_restore(flags);
}

static void host_disk_submit(struct block_device *bdev, struct bio *bio)
{
	struct host_disk *d = bdev->private_;

	if (d->deferred && list_empty(&d->pending) && d->idle_at < host_time_ns)
		d->idle_at = host_time_ns;
	if (d->deferred)
		list_add_tail(&bio->node, &d->pending);
	else
		complete(d, bio);
}

unsigned int host_disk_complete(struct host_disk *d, unsigned int n)
{
	unsigned int done = 0;

	for (; done < n && !list_empty(&d->pending); done++) {
		struct bio *bio = list_first_entry(&d->pending, struct bio, node);

		list_del(&bio->node);
		complete(d, bio);
	}
	return done;
}

static u64 next_of(const struct host_disk *d)
{
	const struct bio *bio;

	if (!d->page_ns || list_empty(&d->pending))
		return ~0ull;
	bio = list_first_entry(&d->pending, struct bio, node);
	return d->idle_at + bio->nr_pages * d->page_ns;
}

bool host_disks_take_time(void)
{
	for (unsigned int i = 0; i < nr_disks; i++)
		if (disks[i]->page_ns)
			return true;
	return false;
}

u64 host_disks_next(void)
{
	u64 next = ~0ull;

	for (unsigned int i = 0; i < nr_disks; i++)
		next = next_of(disks[i]) < next ? next_of(disks[i]) : next;
	return next;
}

void host_disks_run(void)
{
	for (unsigned int i = 0; i < nr_disks; i++) {
		struct host_disk *d = disks[i];

		while (next_of(d) <= host_time_ns) {
			d->idle_at = next_of(d);
			host_disk_complete(d, 1);
		}
	}
}

bool host_disks_poll(void)
{
	u64 next = host_disks_next();

	/* Who waits for a disk that takes its time waits so long. */
	if (next != ~0ull) {
		host_time_ns = next > host_time_ns ? next : host_time_ns;
		host_disks_run();
		return true;
	}
	for (unsigned int i = 0; i < nr_disks; i++)
		if (host_disk_complete(disks[i], 1))
			return true;
	return false;
}

struct host_disk *host_disk_create(const char *role, u64 bytes)
{
	struct host_disk *d = calloc(1, sizeof(*d));

	if (!d || nr_disks == MAX_DISKS)
		abort();
	d->data = calloc(1, bytes);
	if (!d->data)
		abort();
	INIT_LIST_HEAD(&d->pending);
	strncpy(d->bdev.role, role, sizeof(d->bdev.role) - 1);
	d->bdev.name[0] = 'v';
	d->bdev.name[1] = 'd';
	d->bdev.name[2] = 'a' + nr_disks;
	d->bdev.nr_sectors = bytes / 512;
	d->bdev.has_discard = true;
	d->bdev.has_write_zeroes = true;
	d->bdev.submit = host_disk_submit;
	d->bdev.private_ = d;
	disks[nr_disks++] = d;
	register_block_device(&d->bdev);
	return d;
}

void host_disk_mkswap(struct host_disk *d)
{
	u32 header[3] = {1, d->bdev.nr_sectors / 8 - 1, 0}; /* version, last page, bad pages */

	memset(d->data, 0, PAGE_SIZE);
	memcpy(d->data + 1024, header, sizeof(header));
	memcpy(d->data + PAGE_SIZE - 10, "SWAPSPACE2", 10);
}
