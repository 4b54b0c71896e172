/*
 * Pages as things: validity, references, the page lock and waiting for writeback.
 *
 * Life of a frame's head:
 *
 *   RESERVED --free_reserved_area--> BUDDY <--> PCP --alloc--> KERNEL, ANON, SLAB ... --free--> PCP
 *
 * I1  refcount is 0 exactly for frames that no one owns: BUDDY, PCP, and tails of any block.
 * I2  Zone and node in flags are right in every head. Tails get theirs when a split makes them
 *     heads, so that boot does not touch every struct page.
 * I3  mapcount is -1 in every head in use that no page table maps.
 *
 * Waiting for a page (locked, writeback) is rare and short, so pages share a few wait queues by
 * address; PG_waiters tells the owner that a wake-up is worth while.
 */
#include "lib/trace.h"
#include "mm/phys/internal.h"
#include "mm/cache/pagecache.h"
#include "mm/swap/swap.h"
#include "mm/reclaim/reclaim.h"

struct mmvm_pfn_range ram_range[MMVM_MAX_RAM_REGIONS];
unsigned int nr_ram_ranges;

unsigned long pfn_valid_until(unsigned long pfn)
{
	for (unsigned int i = 0; i < nr_ram_ranges; i++)
		if (pfn >= ram_range[i].start && pfn < ram_range[i].end)
			return ram_range[i].end;
	return 0;
}

bool pfn_valid(unsigned long pfn)
{
	return pfn_valid_until(pfn);
}

void bad_page(const struct page *page, const char *why)
{
	static const char *const type_name[] = {
#define X(type, name) name,
		MMVM_PAGE_TYPES(X)
#undef X
	};

	panic("bad page 0x%lx: %s (type %s, order %u, refcount %d, mapcount %d, flags 0x%lx, "
	      "mapping "
	      "%p)",
	      page_to_pfn(page), why, page->type < NR_PAGE_TYPES ? type_name[page->type] : "?",
	      page->order, page->refcount, page->mapcount, (unsigned long)page->flags,
	      page->mapping);
}

bool get_page_unless_zero(struct page *p)
{
	env_race_point("page reference");

	s32 count = READ_ONCE(p->refcount);

	while (count > 0) {
		s32 seen = atomic_cmpxchg(&p->refcount, count, count + 1);

		if (seen == count)
			return true;
		count = seen;
	}
	return false;
}

#define WAIT_TABLE_BITS 4
#define WAIT_TABLE_SIZE (1u << WAIT_TABLE_BITS)
static struct wait_queue wait_table[WAIT_TABLE_SIZE];

void page_wait_init(void)
{
	for (unsigned int i = 0; i < WAIT_TABLE_SIZE; i++)
		wait_queue_init(&wait_table[i]);
}

static struct wait_queue *page_waitqueue(const struct page *p)
{
	return &wait_table[page_to_pfn(p) & (WAIT_TABLE_SIZE - 1)];
}

/* PG_waiters may stay set with nobody waiting: then one wake-up is for nothing, and clears it. */
static void wake_up_page(struct page *p)
{
	if (test_bit(PG_waiters, &p->flags)) {
		clear_bit(PG_waiters, &p->flags);
		wake_up(page_waitqueue(p));
	}
}

/* Say that we wait, and only then look at the bit: the owner clears the bit, then looks at
 * PG_waiters. Queue-sharing and the clearing above mean that a waiter sets PG_waiters anew each
 * turn. */
static bool still_set(struct page *p, unsigned int bit)
{
	if (!test_bit(bit, &p->flags))
		return false;
	set_bit(PG_waiters, &p->flags);
	return test_bit(bit, &p->flags);
}

bool trylock_page(struct page *p)
{
	env_race_point("page lock");
	return !TestSetPageLocked(p);
}

static bool try_or_wait(struct page *p)
{
	if (trylock_page(p))
		return true;
	set_bit(PG_waiters, &p->flags);
	return trylock_page(p);
}

void lock_page(struct page *p)
{
	if (likely(trylock_page(p)))
		return;
	trace_point(LOCK_WAIT, 0, .pfn = page_to_pfn(p));
	wait_event_io(page_waitqueue(p), try_or_wait(p));
}

void unlock_page(struct page *p)
{
	if (unlikely(!TestClearPageLocked(p)))
		bad_page(p, "unlocked, but it was not locked");
	wake_up_page(p);
	env_race_point("page unlock");
}

void wait_for_unlock(const struct page *p, bool (*done)(void *arg), void *arg)
{
	wait_event_io(page_waitqueue(p), done(arg));
}

void wait_on_page_writeback(struct page *p)
{
	if (likely(!PageWriteback(p)))
		return;
	wait_event_io(page_waitqueue(p), !still_set(p, PG_writeback));
}

void end_page_writeback(struct page *p)
{
	bool cached = page_mapping_file(p) && !PageSwapCache(p), was;

	/* Once the bit is cleared the cache may free the page before its waiters are woken. */
	if (cached)
		get_page(p);
	was = cached ? file_page_written(p) : TestClearPageWriteback(p);
	if (unlikely(!was))
		bad_page(p, "end of a writeback that had not begun");
	wake_up_page(p);
	if (cached)
		put_page(p);
}
