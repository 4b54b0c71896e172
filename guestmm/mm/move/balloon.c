/*
 * The memory balloon: pages that are allocated, belong to nobody in the guest, and whose memory the host
 * has taken.
 *
 *   alloc ──> tell the host ──> list, movable ──────────> tell the host ──> free
 *                                │        ▲
 *                     isolate    ▼        │ another page takes its place: the host learns of both
 *                               migrate_pages()
 *
 * Pages are allocated without trying hard (__GFP_NORETRY): reclaim makes room, but no process is killed. The
 * pages can move, so they do not stand in the way of compaction and CMA.
 *
 * B1  A page of the list has type BALLOON, is marked movable, and has one reference, the balloon's.
 * B2  The host has a page no longer than it is BALLOON: the host takes it out of its set before the page is
 *     freed. When one page replaces another, the host learns of the new one first.
 * B3  balloon_nr is the length of the list and the pages that are isolated.
 *
 * Locks: balloon.h. list_lock guards the list and both counts.
 */
#include "mm/move/balloon.h"
#include "lib/env.h"
#include "lib/errno.h"
#include "mm/phys/alloc.h"
#include "mm/move/migrate.h"
#include "mm/phys/zone.h"
#include "mmvm/audit.h"

#define GFP_BALLOON (GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC)

static LIST_HEAD(balloon_list); /* list_lock: page->lru */
static u64 balloon_nr;		/* list_lock: B3 */
static spinlock_t list_lock = SPINLOCK_INIT;
static struct mutex work = MUTEX_INIT(work);
static const struct balloon_host *balloon_host; /* work */
static bool frozen;				/* work */
static u32 request[BALLOON_BATCH];		/* work: frames to report */

static void list_insert(struct page *page, s64 more)
{
	unsigned long flags = spin_lock_irqsave(&list_lock);

	list_add(&page->lru, &balloon_list);
	balloon_nr += more;
	spin_unlock_irqrestore(&list_lock, flags);
}

/* ---- pages that move -------------------------------------------------------------------------- */

static bool balloon_isolate(struct page *page)
{
	unsigned long flags = spin_lock_irqsave(&list_lock);

	list_del(&page->lru);
	spin_unlock_irqrestore(&list_lock, flags);
	return true;
}

static void balloon_putback(struct page *page)
{
	list_insert(page, 0);
}

/* What is in the page does not matter, so nothing is copied. */
static int balloon_migrate(struct page *dst, struct page *src, enum migrate_mode mode)
{
	const u32 to = page_to_pfn(dst), from = page_to_pfn(src);
	int err = -EAGAIN;

	if (!mutex_trylock(&work))
		return err;
	if (!frozen && !balloon_host->tell(BALLOON_INFLATED, &to, 1)) {
		balloon_host->tell(BALLOON_DEFLATED, &from, 1);
		get_page(dst);
		list_insert(dst, 0);
		count_vm_event(BALLOON_MIGRATE);
		err = 0;
	}
	mutex_unlock(&work);
	if (!err)
		put_page(src);
	return err;
}

static const struct movable_ops balloon_ops = {
	.isolate_page = balloon_isolate,
	.migrate_page = balloon_migrate,
	.putback_page = balloon_putback,
};

/* ---- in and out ------------------------------------------------------------------------------- */

static void free_list(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe (page, next, pages, lru) {
		list_del(&page->lru);
		put_page(page);
	}
}

u32 balloon_inflate(u64 nr)
{
	struct page *page, *next;
	LIST_HEAD(pages);
	u32 n = 0;

	/* Before `work` is taken: this may reclaim, and a thread that is out of memory takes
	 * pages back under `work`. */
	while (n < min(nr, (u64)BALLOON_BATCH) && !READ_ONCE(frozen)) {
		page = alloc_pages_type(GFP_BALLOON, 0, PAGE_BALLOON);
		if (!page)
			break;
		list_add_tail(&page->lru, &pages);
		n++;
	}
	if (!n)
		return 0;
	mutex_lock(&work);
	n = 0;
	list_for_each_entry (page, &pages, lru)
		request[n++] = page_to_pfn(page);
	if (!balloon_host || frozen || balloon_host->tell(BALLOON_INFLATED, request, n))
		n = 0;
	list_for_each_entry_safe (page, next, &pages, lru) {
		if (!n)
			break;
		list_del(&page->lru);
		BUG_ON(!trylock_page(page)); /* nobody else knows it */
		page_set_movable(page, &balloon_ops);
		list_insert(page, 1);
		unlock_page(page);
	}
	mutex_unlock(&work);
	free_list(&pages); /* empty, if they were taken */
	count_vm_events(BALLOON_INFLATE, n);
	return n;
}

/* Off the list, no longer movable; what somebody is about to move is passed over. `work` held. */
static u32 take_pages(struct list_head *taken, u32 nr)
{
	unsigned long flags = spin_lock_irqsave(&list_lock);
	struct page *page, *next;
	u32 n = 0;

	list_for_each_entry_safe (page, next, &balloon_list, lru) {
		if (n == nr)
			break;
		if (!trylock_page(page))
			continue;
		list_move(&page->lru, taken);
		page_clear_movable(page);
		unlock_page(page);
		request[n++] = page_to_pfn(page);
	}
	balloon_nr -= n;
	spin_unlock_irqrestore(&list_lock, flags);
	return n;
}

u32 balloon_deflate(u64 nr)
{
	LIST_HEAD(taken);
	u32 n = 0;

	mutex_lock(&work);
	if (balloon_host && !frozen)
		n = take_pages(&taken, min(nr, (u64)BALLOON_BATCH));
	/* Without a host the balloon holds no pages. */
	if (n)
		balloon_host->tell(BALLOON_DEFLATED, request, n);
	mutex_unlock(&work);
	free_list(&taken);
	count_vm_events(BALLOON_DEFLATE, n);
	return n;
}

u32 balloon_oom(void)
{
	const struct balloon_host *host = READ_ONCE(balloon_host);

	return host && host->deflate_on_oom && balloon_pages() ? balloon_deflate(BALLOON_BATCH) : 0;
}

/* ---- for others ------------------------------------------------------------------------------- */

void balloon_register(const struct balloon_host *host)
{
	mutex_lock(&work);
	BUG_ON(balloon_host);
	WRITE_ONCE(balloon_host, host);
	mutex_unlock(&work);
}

u64 balloon_pages(void)
{
	return READ_ONCE(balloon_nr);
}

bool balloon_is_quiet(void)
{
	return !READ_ONCE(work.locked);
}

void balloon_freeze(void)
{
	mutex_lock(&work);
	frozen = true;
	mutex_unlock(&work);
}

void balloon_audit_layout(struct mmvm_audit_balloon *l)
{
	*l = (struct mmvm_audit_balloon){
		.list_gva = (u64)(unsigned long)&balloon_list,
		.nr_gva = (u64)(unsigned long)&balloon_nr,
	};
}
