/*
 * Block devices by name, and passing requests to their drivers.
 *
 * Devices register once at boot and are never removed, so a pointer to one stays valid; the lock protects only the
 * list. A bio belongs to the driver from submit_bio() until its end_io is called. That happens exactly once, also
 * for a bad request (B1).
 *
 * Locks: bdev_lock, innermost, never held across a call. bio_wait_lock > wait queue > run queue.
 */
#include "lib/errno.h"
#include "lib/fail.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/block/bio.h"
#include "mm/phys/zone.h"

#define SECTORS_PER_PAGE (PAGE_SIZE / 512)

static LIST_HEAD(bdev_list); /* bdev_lock */
static spinlock_t bdev_lock = SPINLOCK_INIT;
/* Held while a waiter is woken: the bio is on the waiter's stack, which must stay until end_io is done. */
static spinlock_t bio_wait_lock = SPINLOCK_INIT;

void register_block_device(struct block_device *bdev)
{
	unsigned long flags = spin_lock_irqsave(&bdev_lock);

	list_add_tail(&bdev->node, &bdev_list);
	spin_unlock_irqrestore(&bdev_lock, flags);
}

struct block_device *find_block_device(const char *role_or_name)
{
	struct block_device *bdev, *found = NULL;
	unsigned long flags = spin_lock_irqsave(&bdev_lock);

	list_for_each_entry (bdev, &bdev_list, node) {
		if (!strcmp(bdev->role, role_or_name) || !strcmp(bdev->name, role_or_name)) {
			found = bdev;
			break;
		}
	}
	spin_unlock_irqrestore(&bdev_lock, flags);
	return found;
}

/** Is the request valid for the device? Returns 0 or the error that it is completed with. [pure] */
static int bio_check(const struct bio *bio)
{
	const struct block_device *bdev = bio->bdev;
	u64 n = 0;

	switch (bio->op) {
	case BIO_FLUSH:
		return 0;
	case BIO_READ:
	case BIO_WRITE:
		if (!bio->nr_pages || bio->nr_pages > BIO_MAX_PAGES)
			return -EINVAL;
		n = bio->nr_pages * SECTORS_PER_PAGE;
		if (bio->len) {
			if (bio->nr_pages != 1 || (bio->offset | bio->len) % 512 ||
			    bio->offset + bio->len > PAGE_SIZE)
				return -EINVAL;
			n = bio->len / 512;
		}
		break;
	case BIO_DISCARD:
		if (!bdev->has_discard)
			return -EOPNOTSUPP;
		n = bio->nr_sectors;
		break;
	case BIO_WRITE_ZEROES:
		if (!bdev->has_write_zeroes)
			return -EOPNOTSUPP;
		n = bio->nr_sectors;
		break;
	default:
		return -EINVAL;
	}
	if (bio->op != BIO_READ && bdev->read_only)
		return -EROFS;
	if (!n || n > bdev->nr_sectors || bio->sector > bdev->nr_sectors - n)
		return -EIO; /* beyond the end */
	return 0;
}

void submit_bio(struct bio *bio)
{
	bio->status = should_fail(FAIL_BIO) ? -EIO : bio_check(bio);
	if (unlikely(bio->status)) {
		bio->end_io(bio);
		return;
	}
	if (bio->nr_pages && (bio->op == BIO_READ || bio->op == BIO_WRITE)) {
		u32 bytes = bio->len ? bio->len : bio->nr_pages * PAGE_SIZE;

		if (bio->op == BIO_READ)
			current_thread_info()->io.read_bytes += bytes;
		preempt_disable(); /* in KiB, as Linux shows them */
		count_vm_events(bio->op == BIO_READ ? PGPGIN : PGPGOUT, DIV_ROUND_UP(bytes, 1024));
		preempt_enable();
	}
	bio->bdev->submit(bio->bdev, bio);
}

struct bio_wait {
	struct wait_queue wq;
	bool done;
};

static void bio_wait_end_io(struct bio *bio)
{
	struct bio_wait *w = bio->private_;
	unsigned long flags;

	flags = spin_lock_irqsave(&bio_wait_lock);
	WRITE_ONCE(w->done, true);
	wake_up(&w->wq);
	spin_unlock_irqrestore(&bio_wait_lock, flags);
}

int submit_bio_wait(struct bio *bio)
{
	struct bio_wait w = {.done = false};
	unsigned long flags;

	wait_queue_init(&w.wq);
	bio->end_io = bio_wait_end_io;
	bio->private_ = &w;
	submit_bio(bio);
	wait_event_io(&w.wq, READ_ONCE(w.done));
	flags = spin_lock_irqsave(&bio_wait_lock);
	spin_unlock_irqrestore(&bio_wait_lock, flags);
	return bio->status;
}
