/*
 * Reclaim policy "twolist": an inactive and an active list each for anonymous memory and for files, with refault
 * distances. Linux had it before the multi-generational LRU, and still has it.
 *
 *   inactive  head (new) ... tail (looked at next)      a second use ──> active
 *   active    head ... tail (becomes inactive next)     ageing ──> inactive
 *
 * A new page starts inactive, with the accessed bit of its first touch, so everybody gets a second
 * look. The active list gives pages to the inactive one while it is larger (inactive_is_low).
 *
 * scan_balance() decides how much is taken from anonymous memory and how much from files: by swappiness, by what
 * each has cost lately, and by how many pages each has.
 *
 * Refaults: was a page evicted that should have stayed? Each lruvec has a clock that ticks when a page leaves an
 * inactive list, by eviction or activation. Eviction leaves the clock's reading as the shadow's token. When the
 * page comes back, the ticks since then show how much longer the inactive list would have had to be to keep it. If
 * the active pages could have made that much room, the page belongs among them: it is activated at once and
 * competes with them, instead of being read and evicted again and again.
 *
 * A page that was ever moved from the active list to the inactive one belongs to the working set (PG_workingset).
 * The token records that, too (TOKEN_WORKINGSET). When such a page is evicted and activated again, the working set
 * itself does not fit into memory, and the time that a thread waits for the page is a memory stall.
 *
 * Locks: lruvec->lock for the lists. The clock and the costs are relaxed: a lost tick does no harm.
 */
#include "mm/reclaim/policy_twolist.h"
#include "mm/swap/swap.h"
#include "mm/reclaim/vmscan.h"
#include "mm/reclaim/workingset.h"
#include "mm/rmap/rmap.h"

enum { INACTIVE_ANON = 1, ACTIVE_ANON, INACTIVE_FILE, ACTIVE_FILE };
#define FLAG(f) (1ull << (f))
#define PLACE	(FLAG(PG_unevictable) | FLAG(PG_active))
static const struct lru_list_desc lists[] = {
	{"inactive anon", NR_INACTIVE_ANON, PLACE, 0, MMVM_LRU_ANON},
	{"active anon", NR_ACTIVE_ANON, PLACE, FLAG(PG_active), MMVM_LRU_ANON},
	{"inactive file", NR_INACTIVE_FILE, PLACE, 0, MMVM_LRU_FILE},
	{"active file", NR_ACTIVE_FILE, PLACE, FLAG(PG_active), MMVM_LRU_FILE},
};

/* lv->state */
struct twolist {
	u64 cost[2];	 /* relaxed: of taking anonymous pages, and pages of files */
	u32 clock;	 /* relaxed: pages that have left the inactive lists */
	u32 clock_shift; /* C: ticks of a token are 1 << clock_shift ticks of the clock */
};
_Static_assert(sizeof(struct twolist) <= LRUVEC_POLICY_WORDS * 8, "fits into lruvec->state");

/* A token: the clock's reading above, PG_workingset below. */
#define TOKEN_WORKINGSET 1u
#define CLOCK_BITS	 (SHADOW_TOKEN_BITS - 1)
#define CLOCK_MASK	 ((1u << CLOCK_BITS) - 1)

#define SWAP_COST 32u /* one request costs as much as looking at this many pages */

static struct twolist *state(struct lruvec *lv)
{
	return (struct twolist *)lv->state;
}

static void init(struct lruvec *lv)
{
	struct twolist *s = state(lv);
	u64 pages = 0;

	*s = (struct twolist){0};
	for (unsigned int i = 0; i < MAX_NR_ZONES; i++)
		pages += lv->node->zones[i].managed;
	/* A distance of the whole memory must fit into half a token. */
	while (pages >> s->clock_shift >= 1ull << (CLOCK_BITS - 1))
		s->clock_shift++;
}

/* ---- decisions ---- */

bool inactive_is_low(u64 inactive, u64 active)
{
	u64 gib = (inactive + active) >> (30 - PAGE_SHIFT), ratio = 1;

	while (ratio * ratio < 10 * gib)
		ratio++;
	return inactive * ratio < active;
}

enum page_verdict twolist_judge(const struct page_use *use)
{
	if (!use->ptes)
		return PAGE_RECLAIM;
	return use->referenced || use->ptes > 1 || (use->file && use->exec) ? PAGE_ACTIVATE
									    : PAGE_KEEP;
}

u64 scan_target(u64 size, int priority, int swappiness, bool can_swap)
{
	/* With swappiness 0, swap only when nothing else is left. */
	if (!can_swap || (!swappiness && priority))
		return 0;
	/* At least a cluster: a write of a few pages costs nearly as much as one of 32. */
	if (size >> priority < SWAP_CLUSTER_MAX)
		return min(size, (u64)SWAP_CLUSTER_MAX);
	return size >> priority;
}

void scan_balance(const struct scan_balance *b, u64 target[2])
{
	u64 size[2] = {b->inactive[0] + b->active[0], b->inactive[1] + b->active[1]};
	u64 total, weight[2], sum;

	target[0] = scan_target(size[0], b->p.priority, b->p.swappiness, b->p.can_swap);
	/* Files need no swap, so can_swap and swappiness do not matter for them here. */
	target[1] = size[1] ? scan_target(size[1], b->p.priority, 200, true) : 0;
	if (!target[0] || !target[1])
		return;
	if (!b->p.priority)
		return; /* look at everything */
	if (b->p.file_is_tiny) {
		target[1] = 0; /* the last file pages are those that everybody uses */
		return;
	}
	/* Many file pages were used only once: take those first, nothing else. */
	if (!inactive_is_low(b->inactive[1], b->active[1]) && b->inactive[1] >> b->p.priority) {
		target[0] = 0;
		return;
	}
	/* Each kind gets its share of swappiness (of 200), reduced by what it has cost; but neither cost counts
	 * more than three times the other's. */
	total = b->cost[0] + b->cost[1];
	sum = 3 * total + 2;
	weight[0] = b->p.swappiness * sum / (total + b->cost[0] + 1);
	weight[1] = (200 - b->p.swappiness) * sum / (total + b->cost[1] + 1);
	sum = weight[0] + weight[1];
	for (unsigned int i = 0; i < 2; i++)
		target[i] = target[i] * weight[i] / sum;
}

bool twolist_was_active(u32 evicted_at, u32 now, u64 workingset)
{
	return ((now - evicted_at) & CLOCK_MASK) <= workingset;
}

static void plan(const struct lruvec *lv, const struct reclaim_pressure *p, u64 target[2])
{
	const struct twolist *s = (const struct twolist *)lv->state;
	struct scan_balance b = {
		.p = *p,
		.inactive = {lv->nr[INACTIVE_ANON], lv->nr[INACTIVE_FILE]},
		.active = {lv->nr[ACTIVE_ANON], lv->nr[ACTIVE_FILE]},
		.cost = {s->cost[0], s->cost[1]},
	};

	scan_balance(&b, target);
}

/* The list that the page's flags name. */
static inline unsigned int place(const struct lruvec *lv, const struct page *page)
{
	u64 f = READ_ONCE(page->flags);

	return (f >> PG_swapbacked & 1 ? INACTIVE_ANON : INACTIVE_FILE) + (f >> PG_active & 1);
}

/* The list for an isolated page. If it was written to swap meanwhile, the end of the write found it on no list, so
 * it goes to the tail here. */
static unsigned int place_back(const struct lruvec *lv, const struct page *page)
{
	unsigned int list = place(lv, page);

	if (list == INACTIVE_ANON && PageReclaim(page) && !PageWriteback(page))
		list |= LRU_AT_TAIL;
	return list;
}

/* ---- costs and the clock ---- */

/* Taking pages of one kind has cost something: `io` requests, or `rotated` pages looked at in vain.
 * Older costs count less and less. */
static void note_cost(struct lruvec *lv, unsigned int file, u64 io, u64 rotated)
{
	struct twolist *s = state(lv);
	u64 size = 0;

	s->cost[file] += io * SWAP_COST + rotated;
	for (unsigned int i = INACTIVE_ANON; i <= ACTIVE_FILE; i++)
		size += lv->nr[i];
	if (s->cost[0] + s->cost[1] > size / 4) {
		s->cost[0] /= 2;
		s->cost[1] /= 2;
	}
}

void twolist_age_clock(struct lruvec *lv, u64 pages)
{
	atomic_add(&state(lv)->clock, (u32)pages);
}

static u32 evicted(struct lruvec *lv, const struct page *page)
{
	struct twolist *s = state(lv);

	return (atomic_add_return(&s->clock, (u32)page_lru_pages(page)) >> s->clock_shift) << 1 |
	       (PageWorkingset(page) ? TOKEN_WORKINGSET : 0);
}

static void refault(struct lruvec *lv, struct page *page, u32 token)
{
	struct twolist *s = state(lv);
	bool file = page_is_file_lru(page);
	u64 workingset;
	u32 now;

	note_cost(lv, file, 1, 0);
	/* The pages that compete with this one: all but the inactive pages of its own kind. */
	workingset = lv->nr[ACTIVE_ANON] + lv->nr[ACTIVE_FILE];
	if (!file)
		workingset += lv->nr[INACTIVE_FILE];
	else if (swap_free_pages())
		workingset += lv->nr[INACTIVE_ANON];
	else
		workingset -= lv->nr[ACTIVE_ANON];
	now = atomic_load(&s->clock) >> s->clock_shift;
	if (!twolist_was_active(token >> 1, now, workingset >> s->clock_shift))
		return;
	SetPageActive(page);
	twolist_age_clock(lv, 1);
	count_lruvec_events(lv, file ? WORKINGSET_ACTIVATE_FILE : WORKINGSET_ACTIVATE_ANON, 1);
	if (!(token & TOKEN_WORKINGSET))
		return;
	SetPageWorkingset(page);
	count_lruvec_events(lv, file ? WORKINGSET_RESTORE_FILE : WORKINGSET_RESTORE_ANON, 1);
}

/* ---- the lists ---- */

static void add(struct lruvec *lv, struct page **pages, unsigned int nr)
{
	lruvec_add_pages(lv, pages, nr, place);
}

static void activate_page(struct page *page)
{
	struct lruvec *lv = page_lruvec(page);
	unsigned long flags = spin_lock_irqsave(&lv->lock);

	if (PageLRU(page) && !PageActive(page) && !PageUnevictable(page) &&
	    lv->policy == &policy_twolist) {
		struct lru_delta d = {0};

		SetPageActive(page);
		lruvec_move_page(lv, page, place(lv, page), &d);
		lru_delta_flush(lv, &d);
		count_lruvec_events(lv, PGACTIVATE, 1);
	}
	spin_unlock_irqrestore(&lv->lock, flags);
}

static void used(struct page *page)
{
	if (!PageReferenced(page)) {
		SetPageReferenced(page);
	} else if (!PageActive(page) && PageLRU(page)) {
		activate_page(page);
		ClearPageReferenced(page);
	}
}

static u64 isolate(struct isolated *iso, unsigned int nr, const struct scan_control *sc)
{
	return isolate_list_tail(iso, iso->file ? INACTIVE_FILE : INACTIVE_ANON, nr, sc);
}

static void put_back(struct isolated *iso)
{
	struct lruvec *lv = iso->lruvec;
	u64 activated = 0;

	if (iso->list == INACTIVE_ANON || iso->list == INACTIVE_FILE) {
		struct page *page;

		list_for_each_entry (page, &iso->pages, lru)
			activated += PageActive(page) ? page_lru_pages(page) : 0;
		twolist_age_clock(lv, activated);
		note_cost(lv, iso->file, 0, activated);
	}
	put_back_pages(iso, &policy_twolist, place_back);
}

/* Move pages from the active to the inactive list; their accessed bits start afresh. */
static void age(struct lruvec *lv, unsigned int file, unsigned int nr, struct scan_control *sc)
{
	unsigned int inactive = file ? INACTIVE_FILE : INACTIVE_ANON;
	struct isolated iso = ISOLATED_INIT(iso, lv, file);
	u64 deactivated = 0;
	struct page *page;

	if (!inactive_is_low(lv->nr[inactive], lv->nr[inactive + 1]))
		return;
	count_lruvec_events(lv, PGREFILL, isolate_list_tail(&iso, inactive + 1, nr, sc));
	list_for_each_entry (page, &iso.pages, lru) {
		bool anon = PageAnon(page);
		unsigned long vm_flags;
		unsigned int ptes;

		/* Lock a page of a file: it could be removed from the file while its mappings are checked. */
		if (!anon && !trylock_page(page))
			continue;
		ptes = page_referenced(page, &vm_flags);
		if (!anon)
			unlock_page(page);
		/* Program text in use stays active: a program that misses a page of text has to wait for the
		 * disk. */
		if ((vm_flags & VM_LOCKED) || (file && ptes && (vm_flags & VM_EXEC)))
			continue;
		SetPageWorkingset(page);
		atomic_and(&page->flags, ~(FLAG(PG_active) | FLAG(PG_referenced)));
		deactivated += page_lru_pages(page);
	}
	count_lruvec_events(lv, PGDEACTIVATE, deactivated);
	put_back(&iso);
}

static bool written(struct lruvec *lv, struct page *page)
{
	if (PageActive(page))
		return false;
	list_move_tail(&page->lru, &lv->list[page_list(page)]);
	return true;
}

static void demote(struct page *page)
{
	atomic_and(&page->flags, ~(FLAG(PG_active) | FLAG(PG_referenced)));
}

const struct reclaim_policy policy_twolist = {
	.name = "twolist",
	.lists = lists,
	.nr_lists = ARRAY_SIZE(lists),
	.init = init,
	.place = place,
	.add = add,
	.used = used,
	.plan = plan,
	.age = age,
	.isolate = isolate,
	.judge = twolist_judge,
	.put_back = put_back,
	.written = written,
	.demote = demote,
	.evicted = evicted,
	.refault = refault,
};
