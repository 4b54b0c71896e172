/*
 * Reclaim policy "s3fifo": three static FIFO queues, after Yang, Zhang, Qiu, Yue, Rashmi, "FIFO
 * Queues are All You Need for Cache Eviction", SOSP 2023. The small example of a policy.
 *
 *   new page ──> small (10 %) ──used more than once──> main (90 %) ──┐ used: to the head, one
 *                  │    ^                               │    ^───────┘ use fewer
 *                  │    └ first look, used once         │ not used
 *                  v                                    v
 *               evicted, remembered in ghost         evicted
 *                  │
 *                  └──comes back while in ghost ──> main
 *
 * A page that is used once passes through the small queue quickly and never displaces pages that are used often. No
 * page moves when it is used: a use only counts, up to 3, and moves happen when the page reaches the tail.
 *
 * The paper counts each use. Reads and writes of files are counted this way (PAGE_POLICY, 2 bits), including the
 * one that brought the page in. For mapped memory the hardware records only that it was used since the last look.
 * The bit found at the first look stems from the access that created the page, so the page passes the small queue
 * once more (PG_referenced); a bit found then means "more than once".
 *
 * The ghost queue holds no pages, only their shadows: a clock counts evictions from the small queue,
 * and a shadow is in the ghost queue while the clock has gone on by no more than the main queue's
 * length, as in the paper.
 *
 * Locks: lruvec->lock for the lists. The clock is relaxed: a lost tick does no harm.
 */
#include "mm/reclaim/policy_twolist.h"
#include "mm/reclaim/vmscan.h"
#include "mm/reclaim/workingset.h"

enum { SMALL_ANON = 1, MAIN_ANON, SMALL_FILE, MAIN_FILE };
#define FLAG(f) (1ull << (f))
#define PLACE	(FLAG(PG_unevictable) | FLAG(PG_active))
static const struct lru_list_desc lists[] = {
	{"small anon", NR_INACTIVE_ANON, PLACE, 0, MMVM_LRU_ANON},
	{"main anon", NR_ACTIVE_ANON, PLACE, FLAG(PG_active), MMVM_LRU_ANON},
	{"small file", NR_INACTIVE_FILE, PLACE, 0, MMVM_LRU_FILE},
	{"main file", NR_ACTIVE_FILE, PLACE, FLAG(PG_active), MMVM_LRU_FILE},
};

#define MAX_USES      3ull
#define USES_SHIFT    PAGE_POLICY_SHIFT
#define USES_MASK     (3ull << USES_SHIFT)
#define SMALL_PERCENT 10
#define TOKEN_SMALL   (1u << (SHADOW_TOKEN_BITS - 1)) /* was evicted from the small queue */
#define TOKEN_CLOCK   (TOKEN_SMALL - 1)

#define STATE_WORD 8
/* lv->state, from this word on */
struct s3fifo {
	u32 clock; /* relaxed: pages evicted from the small queues */
};

static struct s3fifo *state(struct lruvec *lv)
{
	return (struct s3fifo *)&lv->state[STATE_WORD];
}

static void init(struct lruvec *lv)
{
	*state(lv) = (struct s3fifo){0};
}

static unsigned int uses(u64 flags)
{
	return (flags & USES_MASK) >> USES_SHIFT;
}

/* Set the count of uses. If other flags change meanwhile, this change is lost: it is a hint. */
static void set_uses(struct page *page, u64 n)
{
	u64 old = READ_ONCE(page->flags);

	atomic_cmpxchg(&page->flags, old, (old & ~USES_MASK) | n << USES_SHIFT);
}

/* ---- decisions ---- */

static enum page_verdict judge(const struct page_use *use)
{
	unsigned int counted = use->policy & MAX_USES;

	if (use->active)
		return use->ptes || counted ? PAGE_KEEP : PAGE_RECLAIM;
	/* More than one use besides the one that made the page. */
	if (counted > 2 || use->ptes > 1 || (use->ptes && (use->referenced || counted)))
		return PAGE_ACTIVATE;
	return use->ptes ? PAGE_KEEP : PAGE_RECLAIM;
}

/* Weigh anonymous memory against files: as twolist does, but without its costs. */
static void plan(const struct lruvec *lv, const struct reclaim_pressure *p, u64 target[2])
{
	struct scan_balance b = {
		.p = *p,
		.inactive = {lv->nr[SMALL_ANON], lv->nr[SMALL_FILE]},
		.active = {lv->nr[MAIN_ANON], lv->nr[MAIN_FILE]},
	};

	scan_balance(&b, target);
}

static inline unsigned int place(const struct lruvec *lv, const struct page *page)
{
	u64 f = READ_ONCE(page->flags);

	return (f >> PG_swapbacked & 1 ? SMALL_ANON : SMALL_FILE) + (f >> PG_active & 1);
}

/* The list for an isolated page. If it was written meanwhile, the end of the write found it on no list, so it goes
 * to the tail here. */
static unsigned int place_back(const struct lruvec *lv, const struct page *page)
{
	return place(lv, page) |
	       (PageReclaim(page) && !PageWriteback(page) && PageSwapBacked(page) ? LRU_AT_TAIL
										  : 0);
}

/* ---- the queues ---- */

static void add(struct lruvec *lv, struct page **pages, unsigned int nr)
{
	lruvec_add_pages(lv, pages, nr, place);
}

static void used(struct page *page)
{
	unsigned int n = uses(READ_ONCE(page->flags));

	if (n < MAX_USES)
		set_uses(page, n + 1);
}

static u64 isolate(struct isolated *iso, unsigned int nr, const struct scan_control *sc)
{
	unsigned int small = iso->file ? SMALL_FILE : SMALL_ANON;
	const u64 *len = iso->lruvec->nr;
	u64 all = len[small] + len[small + 1];
	bool from_small = len[small] * 100 >= all * SMALL_PERCENT && len[small];

	return isolate_list_tail(iso, small + !from_small, nr, sc);
}

static void put_back(struct isolated *iso)
{
	struct page *page;

	list_for_each_entry (page, &iso->pages, lru) {
		u64 f = READ_ONCE(page->flags);

		if (!(f & FLAG(PG_active)))
			continue;
		/* A page that stays in main loses one use. A page that is new in main starts with none. */
		if (iso->list == MAIN_ANON || iso->list == MAIN_FILE) {
			if (f & FLAG(PG_referenced) && uses(f))
				set_uses(page, uses(f) - 1);
		} else {
			set_uses(page, 0);
		}
		ClearPageReferenced(page);
	}
	put_back_pages(iso, &policy_s3fifo, place_back);
}

static bool written(struct lruvec *lv, struct page *page)
{
	list_move_tail(&page->lru, &lv->list[page_list(page)]);
	return true;
}

static void demote(struct page *page)
{
	atomic_and(&page->flags, ~(FLAG(PG_active) | FLAG(PG_referenced) | USES_MASK));
}

/* ---- ghost ---- */

static u32 evicted(struct lruvec *lv, const struct page *page)
{
	struct s3fifo *s = state(lv);

	if (PageActive(page))
		return 0;
	return TOKEN_SMALL | (atomic_add_return(&s->clock, 1u) & TOKEN_CLOCK);
}

static void refault(struct lruvec *lv, struct page *page, u32 token)
{
	bool file = page_is_file_lru(page);
	u64 ghost = lv->nr[file ? MAIN_FILE : MAIN_ANON];

	/* It was in main, so it belongs to the working set; it starts in small again. */
	if (!(token & TOKEN_SMALL)) {
		SetPageWorkingset(page);
		count_lruvec_events(lv, file ? WORKINGSET_RESTORE_FILE : WORKINGSET_RESTORE_ANON,
				    1);
		return;
	}
	if (((atomic_load(&state(lv)->clock) - token) & TOKEN_CLOCK) > ghost)
		return;
	SetPageActive(page);
	count_lruvec_events(lv, file ? WORKINGSET_ACTIVATE_FILE : WORKINGSET_ACTIVATE_ANON, 1);
}

const struct reclaim_policy policy_s3fifo = {
	.name = "s3fifo",
	.lists = lists,
	.nr_lists = ARRAY_SIZE(lists),
	.init = init,
	.place = place,
	.add = add,
	.used = used,
	.plan = plan,
	.isolate = isolate,
	.judge = judge,
	.put_back = put_back,
	.written = written,
	.demote = demote,
	.evicted = evicted,
	.refault = refault,
};
