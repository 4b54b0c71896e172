/*
 * Reclaim policy "mglru": generations, after Linux's multi-generational LRU (mm/vmscan.c, and
 * Documentation/mm/multigen_lru.rst, 6.12).
 *
 *   seq    min_seq           ...            max_seq
 *          oldest  ────────────────────>    youngest
 *            │ ^                              ^   ^
 *   evicted  │ └─ tier worth protecting:      │   └── new pages of faults; pages found in use
 *   <────────┘    one generation younger      └────── aging: a new youngest generation
 *
 * A page enters the youngest generation when a fault brings it, the oldest when a read of a file does. Aging walks
 * page tables, finds the pages that were used, and begins a new generation; so a page's generation says between
 * which two walks it was last used. Eviction takes from the oldest generation, and leaves the two youngest alone.
 *
 * A page that was found in use is marked with the generation it belongs to, and moves there when eviction reaches
 * it: aging touches no list. The mark is in PAGE_POLICY, as is the count of uses that leave no accessed bit (read,
 * write), which gives the page's tier.
 *
 * Feedback decides which kind (anonymous memory, files) and which of its tiers to take from: for each kind and tier
 * the evicted pages are counted, and those of them that came back soon. A tier is evicted while its refault rate is
 * not higher than that of tier 0. Pages are taken from the kind with the lower rate, weighted by swappiness. Counts
 * of earlier generations fade by half (the I term); there is no D term.
 *
 * G1  max_seq - min_seq[kind] is 1 to 3 (between two and four generations). List 1 + kind * 4 + seq % 4
 *     is that of generation seq.
 * G2  A mark names a generation that exists, or the page's own. (It is cleared when the page moves, and
 *     generations end only when their pages have moved on.)
 *
 * Locks: lruvec->lock for lists and sequence numbers. Counts and marks are relaxed.
 */
#include "mm/reclaim/mglru.h"
#include "lib/format.h"
#include "mm/reclaim/policy_twolist.h"
#include "mm/reclaim/vmscan.h"
#include "mm/reclaim/workingset.h"

#define FLAG(f) (1ull << (f))
/* The flags of a list's pages do not depend on its age: which list is the youngest changes all the time. */
#define GEN(kind_name, gen, kind, level)                                     \
	{                                                                    \
		kind_name " gen " #gen, level, FLAG(PG_unevictable), 0, kind \
	}
static const struct lru_list_desc lists[] = {
	GEN("anon", 0, MMVM_LRU_ANON, NR_INACTIVE_ANON),
	GEN("anon", 1, MMVM_LRU_ANON, NR_INACTIVE_ANON),
	GEN("anon", 2, MMVM_LRU_ANON, NR_INACTIVE_ANON),
	GEN("anon", 3, MMVM_LRU_ANON, NR_INACTIVE_ANON),
	GEN("file", 0, MMVM_LRU_FILE, NR_INACTIVE_FILE),
	GEN("file", 1, MMVM_LRU_FILE, NR_INACTIVE_FILE),
	GEN("file", 2, MMVM_LRU_FILE, NR_INACTIVE_FILE),
	GEN("file", 3, MMVM_LRU_FILE, NR_INACTIVE_FILE),
};

/* PAGE_POLICY: 0 or 1 + generation % 4 that the page belongs to; uses that left no accessed bit. */
#define MARK_SHIFT PAGE_POLICY_SHIFT
#define MARK_MASK  (7ull << MARK_SHIFT)
#define USES_SHIFT (PAGE_POLICY_SHIFT + 3)
#define MAX_USES   7ull
#define USES_MASK  (MAX_USES << USES_SHIFT)

#define MIN_BATCH      64u /* fewer refaults are not significant (Linux: MIN_LRU_BATCH) */
#define SORT_PER_PAGE  8u  /* pages looked at for one that is taken */
#define TOKEN_SEQ_BITS (SHADOW_TOKEN_BITS - 2)
#define TOKEN_SEQ_MASK ((1u << TOKEN_SEQ_BITS) - 1)

/* lv->state, from this word on: policies do not share words, so an operation of the old policy that ends after a
 * change of policy does not overwrite state of the new one. */
#define STATE_WORD 16
struct mglru {
	u64 max_seq, min_seq[2];   /* lv->lock to change */
	u64 birth[MGLRU_MAX_GENS]; /* lv->lock: ns, by seq % 4 */
	/* relaxed: pages by kind and tier, since the kind's oldest generation began; and a decayed rest of earlier
	 * generations */
	u32 evicted[2][MGLRU_TIERS], refaulted[2][MGLRU_TIERS], protected[2][MGLRU_TIERS];
	u32 past_total[2][MGLRU_TIERS], past_refaulted[2][MGLRU_TIERS];
	bool active_came; /* lv->lock: add() has pages with PG_active, and clears it */
};
_Static_assert(sizeof(struct mglru) <= (LRUVEC_POLICY_WORDS - STATE_WORD) * 8, "lruvec->state");

#define STATE_OFFSET (offsetof(struct lruvec, state) + STATE_WORD * sizeof(u64))

u64 mglru_min_ttl_ns;

static struct mglru *state(struct lruvec *lv)
{
	return (struct mglru *)&lv->state[STATE_WORD];
}

static const struct mglru *state_of(const struct lruvec *lv)
{
	return (const struct mglru *)&lv->state[STATE_WORD];
}

static unsigned int list_of(unsigned int kind, u64 seq)
{
	return 1 + kind * MGLRU_MAX_GENS + seq % MGLRU_MAX_GENS;
}

static void init(struct lruvec *lv)
{
	struct mglru *s = state(lv);

	*s = (struct mglru){.max_seq = MGLRU_MIN_GENS};
	s->min_seq[0] = s->min_seq[1] = s->max_seq + 1 - MGLRU_MIN_GENS;
	for (unsigned int g = 0; g < MGLRU_MAX_GENS; g++)
		s->birth[g] = ktime_ns();
}

/* ---- marks and uses: hints, lost when other flags change at that moment ------------------------- */

static void set_policy_bits(struct page *page, u64 mask, u64 value)
{
	u64 old = READ_ONCE(page->flags);

	if ((old & mask) != value)
		atomic_cmpxchg(&page->flags, old, (old & ~mask) | value);
}

void mglru_page_young(struct page *page)
{
	const struct mglru *s = state_of(page_lruvec(page));

	if (page_lruvec(page)->policy == &policy_mglru)
		set_policy_bits(page, MARK_MASK,
				(1 + READ_ONCE(s->max_seq) % MGLRU_MAX_GENS) << MARK_SHIFT);
}

static unsigned int mark_of(const struct page *page)
{
	return (READ_ONCE(page->flags) & MARK_MASK) >> MARK_SHIFT;
}

static unsigned int uses_of(u64 flags)
{
	return (flags & USES_MASK) >> USES_SHIFT;
}

static void used(struct page *page)
{
	unsigned int n = uses_of(READ_ONCE(page->flags));

	if (n < MAX_USES)
		set_policy_bits(page, USES_MASK, (u64)(n + 1) << USES_SHIFT);
}

unsigned int mglru_tier(unsigned int uses)
{
	return uses < 2 ? 0 : uses < 3 ? 1 : uses < 5 ? 2 : 3;
}

static unsigned int tier_of(const struct page *page)
{
	u64 flags = READ_ONCE(page->flags);
	unsigned int tier = mglru_tier(uses_of(flags));

	/* PG_workingset: it has refaulted before. */
	return tier || !(flags >> PG_workingset & 1) ? tier : 1;
}

/* ---- feedback --------------------------------------------------------------------------------- */

bool mglru_refaults_less(const struct mglru_pos *set_point, const struct mglru_pos *variable)
{
	return variable->refaulted < MIN_BATCH ||
	       variable->refaulted * (set_point->total + MIN_BATCH) * set_point->gain <=
		       (set_point->refaulted + 1) * variable->total * variable->gain;
}

static struct mglru_pos position(const struct mglru *s, unsigned int kind, unsigned int tier,
				 u32 gain)
{
	return (struct mglru_pos){
		.refaulted = (u64)s->past_refaulted[kind][tier] + s->refaulted[kind][tier],
		.total = (u64)s->past_total[kind][tier] + s->evicted[kind][tier] +
			 s->protected[kind][tier],
		.gain = gain,
	};
}

/* The highest tier that may be evicted. */
static unsigned int tier_to_take(const struct mglru *s, unsigned int kind)
{
	struct mglru_pos base = position(s, kind, 0, 1);
	unsigned int tier = 1;

	for (; tier < MGLRU_TIERS; tier++) {
		/* Gain 2: a tier above has to be clearly worse to be protected. */
		struct mglru_pos p = position(s, kind, tier, 2);

		if (!mglru_refaults_less(&base, &p))
			break;
	}
	return tier - 1;
}

static unsigned int kind_to_take(const struct mglru *s, int swappiness)
{
	struct mglru_pos anon = position(s, 0, 0, (u32)swappiness);
	struct mglru_pos file = position(s, 1, 0, (u32)(200 - swappiness));

	return mglru_refaults_less(&anon, &file);
}

/* The kind's oldest generation has ended: add its counts to the decayed ones. lv->lock held. */
static void carry_over(struct mglru *s, unsigned int kind)
{
	for (unsigned int t = 0; t < MGLRU_TIERS; t++) {
		s->past_refaulted[kind][t] =
			(s->past_refaulted[kind][t] + s->refaulted[kind][t]) / 2;
		s->past_total[kind][t] =
			(s->past_total[kind][t] + s->evicted[kind][t] + s->protected[kind][t]) / 2;
		s->refaulted[kind][t] = s->evicted[kind][t] = s->protected[kind][t] = 0;
	}
}

/* ---- where pages belong ------------------------------------------------------------------------ */

/* Inline, once in add(): a fault executes it for each page. */
static inline __attribute__((always_inline)) unsigned int place(const struct lruvec *lv,
								const struct page *page)
{
	const u64 f = READ_ONCE(page->flags), swapbacked = 1ull << PG_swapbacked;
	const struct mglru *s = state_of(lv);

	if (likely((f & (swapbacked | 1ull << PG_active)) == swapbacked && page->type == PAGE_ANON))
		return list_of(0, s->max_seq);
	return list_of(!(f & swapbacked),
		       f >> PG_active & 1 ? s->max_seq : s->min_seq[!(f & swapbacked)]);
}

/* The list for a new page; notes in the state whether it has PG_active. lv->lock held. */
static inline __attribute__((always_inline)) unsigned int place_new(const struct lruvec *lv,
								    const struct page *page)
{
	if (unlikely(PageActive(page)))
		((struct mglru *)state_of(lv))->active_came = true;
	return place(lv, page);
}

/* The list for a page that was isolated: it was in use, could not be evicted yet, or was not needed. */
static unsigned int place_back(const struct lruvec *lv, const struct page *page)
{
	const struct mglru *s = state_of(lv);
	unsigned int kind = page_is_file_lru(page);

	unsigned int mark = mark_of(page);

	if (mark)
		return list_of(kind, mark - 1);
	if (PageReclaim(page) && !PageWriteback(page) && !kind)
		return list_of(kind, s->min_seq[kind]) | LRU_AT_TAIL;
	if (PageWriteback(page) || PageDirty(page))
		return list_of(kind, s->min_seq[kind] + 1);
	return list_of(kind, s->min_seq[kind]);
}

static void forget_mark(struct page *page)
{
	if (mark_of(page))
		atomic_and(&page->flags, ~MARK_MASK);
}

static void add(struct lruvec *lv, struct page **pages, unsigned int nr)
{
	lruvec_add_pages(lv, pages, nr, place_new);
	if (likely(!state(lv)->active_came))
		return;
	state(lv)->active_came = false;
	for (unsigned int i = 0; i < nr; i++)
		if (PageActive(pages[i]))
			ClearPageActive(pages[i]);
}

static void put_back(struct isolated *iso)
{
	struct page *page;

	list_for_each_entry (page, &iso->pages, lru) {
		if (!PageActive(page))
			continue;
		ClearPageActive(page);
		mglru_page_young(page);
	}
	put_back_pages(iso, &policy_mglru, place_back);
}

/* ---- generations ------------------------------------------------------------------------------- */

/* lv->lock held. Up to `nr` pages of the oldest generation join the next. Returns whether it is empty. */
static bool merge_oldest(struct lruvec *lv, unsigned int kind, unsigned int nr)
{
	struct mglru *s = state(lv);
	unsigned int from = list_of(kind, s->min_seq[kind]);
	unsigned int to = list_of(kind, s->min_seq[kind] + 1);
	struct lru_delta d = {0};

	while (nr-- && !list_empty(&lv->list[from])) {
		/* The youngest of them first, to the tail of those that are younger. */
		struct page *page = list_first_entry(&lv->list[from], struct page, lru);

		if (mark_of(page) == 1 + s->min_seq[kind] % MGLRU_MAX_GENS)
			forget_mark(page); /* the generation ends: G2 */
		lruvec_move_page(lv, page, to, &d);
		list_move_tail(&page->lru, &lv->list[to]);
	}
	lru_delta_flush(lv, &d);
	return list_empty(&lv->list[from]);
}

/* End the oldest generations that are empty, but leave MGLRU_MIN_GENS. lv->lock held. */
static void end_empty(struct lruvec *lv, unsigned int kind)
{
	struct mglru *s = state(lv);

	while (s->max_seq - s->min_seq[kind] >= MGLRU_MIN_GENS &&
	       list_empty(&lv->list[list_of(kind, s->min_seq[kind])])) {
		WRITE_ONCE(s->min_seq[kind], s->min_seq[kind] + 1);
		carry_over(s, kind);
	}
}

/* A new youngest generation. The list that it takes is emptied first. */
static void begin_generation(struct lruvec *lv, u64 seq)
{
	struct mglru *s = state(lv);
	unsigned long flags = spin_lock_irqsave(&lv->lock);

	for (unsigned int kind = 0; kind < 2; kind++) {
		while (lv->policy == &policy_mglru && s->max_seq == seq &&
		       s->max_seq - s->min_seq[kind] == MGLRU_MAX_GENS - 1) {
			if (merge_oldest(lv, kind, MIN_BATCH)) {
				WRITE_ONCE(s->min_seq[kind], s->min_seq[kind] + 1);
				carry_over(s, kind);
			}
			spin_unlock_irqrestore(&lv->lock, flags);
			cond_resched();
			flags = spin_lock_irqsave(&lv->lock);
		}
	}
	/* Unless another thread has begun it, or the policy has changed. */
	if (lv->policy == &policy_mglru && s->max_seq == seq) {
		WRITE_ONCE(s->max_seq, seq + 1);
		s->birth[s->max_seq % MGLRU_MAX_GENS] = ktime_ns();
	}
	spin_unlock_irqrestore(&lv->lock, flags);
}

static void age(struct lruvec *lv, unsigned int kind, unsigned int nr, struct scan_control *sc)
{
	struct mglru *s = state(lv);
	u64 seq = READ_ONCE(s->max_seq);

	if (seq - READ_ONCE(s->min_seq[kind]) >= MGLRU_MIN_GENS)
		return;
	/* Direct reclaim relies on what rmap finds (mglru_walk.c says why). */
	if (sc->kswapd)
		mglru_walk(lv, seq);
	begin_generation(lv, seq);
}

/* ---- eviction ---------------------------------------------------------------------------------- */

/* Pages of one kind in generations that may be evicted from, or in all. */
static u64 pages_of(const struct lruvec *lv, unsigned int kind)
{
	u64 n = 0;

	for (unsigned int g = 0; g < MGLRU_MAX_GENS; g++)
		n += lv->nr[list_of(kind, g)];
	return n;
}

static bool too_young(const struct mglru *s, unsigned int kind)
{
	u64 ttl = READ_ONCE(mglru_min_ttl_ns);

	return ttl && ktime_ns() - s->birth[s->min_seq[kind] % MGLRU_MAX_GENS] < ttl;
}

static void plan(const struct lruvec *lv, const struct reclaim_pressure *p, u64 target[2])
{
	const struct mglru *s = state_of(lv);
	u64 size[2] = {pages_of(lv, 0), pages_of(lv, 1)};
	unsigned int kind;

	target[0] = size[0] ? scan_target(size[0], p->priority, p->swappiness, p->can_swap) : 0;
	target[1] = size[1] ? scan_target(size[1], p->priority, 200, true) : 0;
	for (unsigned int k = 0; k < 2; k++)
		if (too_young(s, k))
			target[k] = 0;
	if (!target[0] || !target[1] || !p->priority)
		return;
	kind = p->file_is_tiny ? 0 : kind_to_take(s, p->swappiness);
	target[!kind] = 0;
}

/* lv->lock held. Is the page to stay? Then it moves to where it belongs. */
static bool sort_page(struct lruvec *lv, struct page *page, unsigned int kind, unsigned int take,
		      struct lru_delta *d)
{
	struct mglru *s = state(lv);
	unsigned int mark = mark_of(page), tier;

	forget_mark(page);
	if (mark && list_of(kind, mark - 1) != page_list(page)) {
		lruvec_move_page(lv, page, list_of(kind, mark - 1), d);
		return true;
	}
	tier = tier_of(page);
	if (tier > take) {
		s->protected[kind][tier] += (u32)page_lru_pages(page);
		lruvec_move_page(lv, page, list_of(kind, s->min_seq[kind] + 1), d);
		return true;
	}
	return false;
}

/* Move the pages at the tail of the oldest generation that are to stay to other lists, until up to nr pages that
 * are to be evicted are left at the tail. Returns how many, and their list. */
static unsigned int sort_tail(struct lruvec *lv, unsigned int kind, unsigned int nr,
			      unsigned int *list_nr)
{
	struct mglru *s = state(lv);
	struct lru_delta d = {0};
	unsigned long flags = spin_lock_irqsave(&lv->lock);
	unsigned int list = 0, left = nr * SORT_PER_PAGE, found = 0;
	unsigned int take = tier_to_take(s, kind);

	while (lv->policy == &policy_mglru && !found && left) {
		struct page *page, *before;

		end_empty(lv, kind);
		if (s->max_seq - s->min_seq[kind] < MGLRU_MIN_GENS)
			break;
		list = list_of(kind, s->min_seq[kind]);
		page = list_last_entry(&lv->list[list], struct page, lru);
		for (; found < nr && left && &page->lru != &lv->list[list]; page = before) {
			before = list_last_entry(&page->lru, struct page, lru);
			left--;
			found += !sort_page(lv, page, kind, take, &d);
		}
		lru_delta_flush(lv, &d);
	}
	spin_unlock_irqrestore(&lv->lock, flags);
	*list_nr = list;
	return found;
}

static u64 isolate(struct isolated *iso, unsigned int nr, const struct scan_control *sc)
{
	unsigned int list, found = sort_tail(iso->lruvec, iso->file, nr, &list);

	/* Isolate only as many as were sorted: the next one may be one that is to stay. */
	return found ? isolate_list_tail(iso, list, found, sc) : 0;
}

static enum page_verdict judge(const struct page_use *use)
{
	/* sort_page() has cleared the mark, so a mark here is new: a look around another page has found and cleared
	 * this page's accessed bit. */
	return use->ptes || (use->policy & MARK_MASK >> MARK_SHIFT) ? PAGE_ACTIVATE : PAGE_RECLAIM;
}

static bool written(struct lruvec *lv, struct page *page)
{
	const struct mglru *s = state_of(lv);
	unsigned int kind = page_is_file_lru(page), list = list_of(kind, s->min_seq[kind]);
	struct lru_delta d = {0};

	forget_mark(page);
	if (page_list(page) != list) {
		lruvec_move_page(lv, page, list, &d);
		lru_delta_flush(lv, &d);
	}
	list_move_tail(&page->lru, &lv->list[list]);
	return true;
}

static void demote(struct page *page)
{
	atomic_and(&page->flags, ~(MARK_MASK | USES_MASK | FLAG(PG_active) | FLAG(PG_referenced)));
}

/* ---- refaults ---------------------------------------------------------------------------------- */

static u32 evicted(struct lruvec *lv, const struct page *page)
{
	struct mglru *s = state(lv);
	unsigned int kind = page_is_file_lru(page), tier = tier_of(page);

	s->evicted[kind][tier] += (u32)page_lru_pages(page);
	return (u32)(s->min_seq[kind] & TOKEN_SEQ_MASK) << 2 | tier;
}

static void refault(struct lruvec *lv, struct page *page, u32 token)
{
	struct mglru *s = state(lv);
	unsigned int kind = page_is_file_lru(page), tier = token & 3;
	u32 age_of_it = ((u32)s->min_seq[kind] - (token >> 2)) & TOKEN_SEQ_MASK;

	if (lv->policy != &policy_mglru || age_of_it >= MGLRU_MAX_GENS)
		return;
	s->refaulted[kind][tier] += (u32)page_lru_pages(page);
	SetPageActive(page); /* the youngest generation */
	count_lruvec_events(lv, kind ? WORKINGSET_ACTIVATE_FILE : WORKINGSET_ACTIVATE_ANON, 1);
	/* The page was used through page tables, or more than once by read(): with more room it would have been
	 * kept. */
	if (tier || !kind) {
		SetPageWorkingset(page);
		count_lruvec_events(lv, kind ? WORKINGSET_RESTORE_FILE : WORKINGSET_RESTORE_ANON,
				    1);
	}
}

/* ---- from outside ------------------------------------------------------------------------------ */

static void report_lruvec(struct report *r, struct lruvec *lv)
{
	const struct mglru *s = state_of(lv);
	u64 oldest = min(s->min_seq[0], s->min_seq[1]), now = ktime_ns();

	report_printf(r, "memcg %5lu\n node %5u\n", (unsigned long)lv->memcg, lv->node->id);
	for (u64 seq = oldest; seq <= s->max_seq; seq++) {
		u64 nr[2];

		for (unsigned int k = 0; k < 2; k++)
			nr[k] = seq < s->min_seq[k] ? 0 : lv->nr[list_of(k, seq)];
		report_printf(r, " %10lu %10lu %10lu %10lu\n", (unsigned long)seq,
			      (unsigned long)((now - s->birth[seq % MGLRU_MAX_GENS]) / 1000000),
			      (unsigned long)nr[0], (unsigned long)nr[1]);
	}
}

void mglru_report(struct report *r)
{
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		if (!node_data[i].present)
			continue;
		for (struct lruvec *lv = NULL; (lv = next_lruvec(&node_data[i], NULL, lv));)
			if (lv->policy == &policy_mglru)
				report_lruvec(r, lv);
	}
}

const struct reclaim_policy policy_mglru = {
	.name = "mglru",
	.lists = lists,
	.nr_lists = ARRAY_SIZE(lists),
	.gens = {.max_gens = MGLRU_MAX_GENS,
		 .min_gens = MGLRU_MIN_GENS,
		 .max_seq_offset = STATE_OFFSET + offsetof(struct mglru, max_seq),
		 .min_seq_offset = STATE_OFFSET + offsetof(struct mglru, min_seq)},
	.init = init,
	.place = place,
	.add = add,
	.used = used,
	.plan = plan,
	.age = age,
	.isolate = isolate,
	.judge = judge,
	.put_back = put_back,
	.written = written,
	.demote = demote,
	.evicted = evicted,
	.refault = refault,
	.look_around = mglru_look_around,
};
