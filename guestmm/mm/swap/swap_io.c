/*
 * Swap I/O: from pages and slots to requests, and back from the disk's interrupt.
 *
 * Requests come from two small pools made at boot, because swap is written when memory is short. If a pool is
 * empty, the caller sleeps until a request has completed. Sixteen writes of up to 32 pages limit the pages under
 * write to 2 MiB, so reclaim cannot overload the disk. Reads have a pool of their own: a fault does not queue
 * behind all writes.
 *
 * Write:  locked, dirty, unmapped ─> Writeback + Reclaim, unlocked ─(disk)─> end: the policy
 *         moves it to where the next look finds it clean and drops it.
 * Read:   locked, not up to date ─(disk)─> end: up to date or Error, unlocked.
 *
 * I1  A page under I/O is in the swap cache, whose reference keeps it; it does not leave the cache
 *     while Writeback or locked.
 * I2  A failed write leaves the page dirty: the only copy stays in memory. A failed request of several pages does
 *     not say which of them failed: each is tried again alone (PG_error). If a page fails alone, its slot is bad
 *     (swap_slot_fail()) and never written again. So a slot is tried at most twice.
 * I3  NR_WRITEBACK = pages with Writeback.
 *
 * Locks: pool lock, interrupts off; lruvec->lock in the end of a write.
 */
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/reclaim/lru.h"
#include "mm/swap/swapcache.h"
#include "mm/phys/zone.h"

#define NR_WRITE_BIOS 16
#define NR_READ_BIOS  8

struct bio_pool {
	spinlock_t lock;
	struct list_head free; /* lock; linked by bio->node */
	struct wait_queue wait;
};

static struct bio write_bios[NR_WRITE_BIOS], read_bios[NR_READ_BIOS];
static struct bio_pool write_pool, read_pool;
static s64 pages_in_flight; /* A: written, not completed */
static u64 writes_done;	    /* write_pool.lock: requests completed since boot */

static void pool_init(struct bio_pool *p, struct bio *bios, unsigned int n)
{
	spin_lock_init(&p->lock);
	INIT_LIST_HEAD(&p->free);
	wait_queue_init(&p->wait);
	for (unsigned int i = 0; i < n; i++)
		list_add_tail(&bios[i].node, &p->free);
}

void swap_io_init(void)
{
	pool_init(&write_pool, write_bios, NR_WRITE_BIOS);
	pool_init(&read_pool, read_bios, NR_READ_BIOS);
}

static struct bio *pool_take(struct bio_pool *p)
{
	unsigned long flags = spin_lock_irqsave(&p->lock);
	struct bio *bio = NULL;

	if (!list_empty(&p->free)) {
		bio = list_first_entry(&p->free, struct bio, node);
		list_del(&bio->node);
	}
	spin_unlock_irqrestore(&p->lock, flags);
	return bio;
}

static struct bio *pool_get(struct bio_pool *p)
{
	struct bio *bio;

	wait_event_io(&p->wait, (bio = pool_take(p)) != NULL);
	return bio;
}

static void pool_put(struct bio_pool *p, struct bio *bio)
{
	unsigned long flags = spin_lock_irqsave(&p->lock);

	list_add(&bio->node, &p->free);
	if (p == &write_pool)
		writes_done++;
	spin_unlock_irqrestore(&p->lock, flags);
	wake_up(&p->wait);
}

u64 swap_writes_in_flight(void)
{
	s64 n = atomic_load(&pages_in_flight);

	return n > 0 ? n : 0;
}

void swap_wait_for_write(void)
{
	u64 seen = READ_ONCE(writes_done);

	wait_event_io(&write_pool.wait, READ_ONCE(writes_done) != seen || !swap_writes_in_flight());
}

#define trace_io(event, page, arg_) \
	trace_point(event, (page)->private_, .pfn = page_to_pfn(page), .arg = (u16)(arg_))

static void report_io_error(const char *what, const struct bio *bio)
{
	static unsigned int printed;

	count_vm_events(MMVM_SWAP_IO_ERROR, bio->nr_pages);
	if (printed < 10) { /* a failed disk must not fill the log */
		printed++;
		printk("%s-error on swap-device (%s:%lu): %u pages\n", what, bio->bdev->name,
		       (unsigned long)bio->sector, bio->nr_pages);
	}
}

static void write_end_io(struct bio *bio)
{
	unsigned int n = bio->nr_pages;

	if (unlikely(bio->status)) {
		report_io_error("Write", bio);
		for (unsigned int i = 0; i < n; i++) {
			ClearPageReclaim(bio->pages[i]);
			if (n == 1)
				swap_slot_fail((swp_entry_t){bio->pages[i]->private_});
			else
				SetPageError(bio->pages[i]);
			SetPageDirty(bio->pages[i]); /* I2 */
		}
	} else {
		lru_written(bio->pages, n);
	}
	for (unsigned int i = 0; i < n; i++) {
		page_stat_add(bio->pages[i], NR_WRITEBACK, -1);
		trace_io(WRITE_END, bio->pages[i], bio->status);
		end_page_writeback(bio->pages[i]); /* from here the page may be freed */
	}
	atomic_sub(&pages_in_flight, (s64)n);
	pool_put(&write_pool, bio);
}

void swap_write_flush(struct swap_write_batch *b)
{
	struct bio *bio = b->bio;

	if (!bio)
		return;
	b->bio = NULL;
	count_vm_events(PSWPOUT, bio->nr_pages);
	atomic_add(&pages_in_flight, (s64)bio->nr_pages);
	if (unlikely(trace_on))
		for (unsigned int i = 0; i < bio->nr_pages; i++)
			trace_io(SWAP_OUT, bio->pages[i], 0);
	submit_bio(bio);
}

void swap_write_page(struct swap_write_batch *b, struct page *page)
{
	swp_entry_t e = {page->private_};
	struct swap_info *si = swap_area(e);
	u64 sector = swap_sector(si, swp_offset(e));
	bool alone = unlikely(PageError(page));
	struct bio *bio = b->bio;

	if (bio && (alone || bio->bdev != si->bdev || bio->nr_pages == BIO_MAX_PAGES ||
		    bio->sector + bio->nr_pages * SECTORS_PER_SLOT != sector))
		swap_write_flush(b);
	if (!b->bio) {
		bio = b->bio = pool_get(&write_pool);
		bio->bdev = si->bdev;
		bio->op = BIO_WRITE;
		bio->sector = sector;
		bio->nr_pages = 0;
		bio->end_io = write_end_io;
	}
	bio = b->bio;
	atomic_and(&page->flags, ~(1ull << PG_dirty | 1ull << PG_error));
	atomic_or(&page->flags, 1ull << PG_writeback | 1ull << PG_reclaim);
	page_stat_add(page, NR_WRITEBACK, 1);
	bio->pages[bio->nr_pages++] = page;
	unlock_page(page);
	if (alone)
		swap_write_flush(b);
}

static void read_end_io(struct bio *bio)
{
	unsigned int n = bio->nr_pages;

	if (unlikely(bio->status))
		report_io_error("Read", bio);
	for (unsigned int i = 0; i < n; i++) {
		set_bit(bio->status ? PG_error : PG_uptodate, &bio->pages[i]->flags);
		trace_io(READ_END, bio->pages[i], bio->status);
		unlock_page(bio->pages[i]); /* from here the page may be freed */
	}
	pool_put(&read_pool, bio);
}

static void read_run(struct page **pages, unsigned int n)
{
	swp_entry_t e = {pages[0]->private_};
	struct bio *bio = pool_get(&read_pool);

	bio->bdev = swap_area(e)->bdev;
	bio->op = BIO_READ;
	bio->sector = swap_sector(swap_area(e), swp_offset(e));
	bio->nr_pages = n;
	bio->end_io = read_end_io;
	memcpy(bio->pages, pages, n * sizeof(pages[0]));
	count_vm_events(PSWPIN, n);
	if (unlikely(trace_on))
		for (unsigned int i = 0; i < n; i++)
			trace_io(SWAP_IN, pages[i], !PageReadahead(pages[i]));
	submit_bio(bio);
}

void swap_read_pages(struct page **pages, unsigned int n)
{
	swp_entry_t e = {pages[0]->private_};
	struct swap_info *si = swap_area(e);

	if (unlikely(si->extent)) {
		unsigned int from = 0;

		/* Adjacent slots need not be adjacent on the disk. */
		for (unsigned int i = 1; i < n; i++) {
			if (swap_sector(si, swp_offset(e) + i) ==
			    swap_sector(si, swp_offset(e) + i - 1) + SECTORS_PER_SLOT)
				continue;
			read_run(pages + from, i - from);
			from = i;
		}
		pages += from;
		n -= from;
	}
	read_run(pages, n);
}
