/*
 * Two threads meet at every point (tests/host/race.h): each operation of a process, of reclaim and of
 * migration, interrupted by each other one, on pages in each state. After each race
 *
 *   - every page holds what one of the two orders, A before B or B before A, leaves in it;
 *   - all invariants of mm_user.h hold, no TLB flush is owed, no freed page is used;
 *   - when the processes have ended, no page, slot, or object is left.
 *
 * RACES=all runs all of it; otherwise some of the points of each pair, others with each SEED. RACE=STATE/A/B
 * runs one pair, RACE_SHOW=1 with it shows where A was interrupted.
 */
#include "mm_race.h"

#define SHARED	(MAP_SHARED | MAP_ANONYMOUS)
#define PAGES	3
#define P	1 /* the page that both are after */
#define ABSENT	(~0ull)
#define LENGTH	(PAGES * PAGE_SIZE)
#define FAILED	(~0ull - 1)
#define MEMBERS 3 /* parent, child, and the child that a race forks */

/* ---- the world, and what it should hold ----------------------------------------------------- */

struct model {
	u64 page[MEMBERS][PAGES]; /* ABSENT: not mapped */
	bool shared;		  /* writes by one are seen by all */
};

static struct world {
	struct mm_struct *mm[MEMBERS];
	unsigned long at;    /* where the pages are, in every member */
	unsigned long moved; /* 0, or where the parent's pages went */
	struct model model;
	bool failed[2]; /* what side A, B wanted to change was refused */
	u64 seen[2];	/* what a reader saw, or FAILED */
} w;

static void model_write(struct model *m, unsigned int who, unsigned int page, u64 value)
{
	if (m->page[who][page] == ABSENT)
		return;
	for (unsigned int i = 0; i < MEMBERS; i++)
		if (i == who || (m->shared && m->page[i][page] != ABSENT))
			m->page[i][page] = value;
}

/* ---- operations ------------------------------------------------------------------------------ */

enum member { PARENT, CHILD, FORKED };

struct op {
	const char *name;
	void (*run)(unsigned int side);
	void (*model)(struct model *m, unsigned int side);
};

static void nothing(struct model *m, unsigned int side) {}

static void touch_read(unsigned int side)
{
	u64 v;

	w.seen[side] = user_read(w.mm[PARENT], w.at + P * PAGE_SIZE, &v) ? FAILED : v;
}

static void touch_write(unsigned int side)
{
	w.failed[side] = user_write(w.mm[PARENT], w.at + P * PAGE_SIZE, 1000 + side);
}
static void model_touch_write(struct model *m, unsigned int side)
{
	model_write(m, PARENT, P, 1000 + side);
}

static void child_writes(unsigned int side)
{
	w.failed[side] = user_write(w.mm[CHILD], w.at + P * PAGE_SIZE, 2000 + side);
}
static void model_child_writes(struct model *m, unsigned int side)
{
	model_write(m, CHILD, P, 2000 + side);
}

static void zap(unsigned int side)
{
	/* Refused while the memory is locked */
	w.failed[side] = do_madvise(w.mm[PARENT], w.at, LENGTH, MADV_DONTNEED);
}
static void model_zap(struct model *m, unsigned int side)
{
	if (!m->shared)
		for (int i = 0; i < PAGES; i++)
			model_write(m, PARENT, i, 0);
}

static void punch(unsigned int side)
{
	w.failed[side] = do_madvise(w.mm[PARENT], w.at, LENGTH, MADV_REMOVE);
}
static void model_punch(struct model *m, unsigned int side)
{
	for (int i = 0; i < PAGES; i++)
		model_write(m, PARENT, i, 0);
}

static void page_out(unsigned int side)
{
	do_madvise(w.mm[PARENT], w.at, LENGTH, MADV_PAGEOUT);
}

static void page_in(unsigned int side)
{
	do_madvise(w.mm[PARENT], w.at, LENGTH, MADV_WILLNEED);
}

static void unmap(unsigned int side)
{
	do_munmap(w.mm[PARENT], w.at, LENGTH);
}
static void model_unmap(struct model *m, unsigned int side)
{
	for (int i = 0; i < PAGES; i++)
		m->page[PARENT][i] = ABSENT;
}

static void protect(unsigned int side)
{
	do_mprotect(w.mm[PARENT], w.at, LENGTH, PROT_READ);
	do_mprotect(w.mm[PARENT], w.at, LENGTH, RW);
}

static void move(unsigned int side)
{
	unsigned long to = w.at + (64ul << 20);
	long r = do_mremap(w.mm[PARENT], w.at, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	if (r > 0)
		w.moved = r;
}

static void do_fork(unsigned int side)
{
	w.mm[FORKED] = dup_mm(w.mm[PARENT]);
}
static void model_fork(struct model *m, unsigned int side)
{
	memcpy(m->page[FORKED], m->page[PARENT], sizeof(m->page[FORKED]));
}

static void child_ends(unsigned int side)
{
	mmput(w.mm[CHILD]);
	w.mm[CHILD] = NULL;
}
static void model_child_ends(struct model *m, unsigned int side)
{
	for (int i = 0; i < PAGES; i++)
		m->page[CHILD][i] = ABSENT;
}

static void lock_memory(unsigned int side)
{
	do_mlock(w.mm[PARENT], w.at, LENGTH, 0);
	do_munlock(w.mm[PARENT], w.at, LENGTH);
}

static void migrate(unsigned int side)
{
	/* As compaction finds a page: by its frame, without a lock. */
	pte_t *pte = walk_pte(w.mm[PARENT]->pgd, w.at + P * PAGE_SIZE);
	pte_t e = pte ? pte_read(pte) : __pte(0);
	struct page *page;

	if (!pte_present(e) || pte_special(e))
		return;
	page = pfn_to_page(pte_pfn(e));
	lru_add_drain();
	if (isolate_movable_page(page))
		migrate_isolated(page);
}

static void swap_off(unsigned int side)
{
	int err = do_swapoff(&swap->bdev);

	MUST(!err, "swapoff: %d", err);
}

static const struct op ops[] = {
	{"read", touch_read, nothing},
	{"write", touch_write, model_touch_write},
	{"child writes", child_writes, model_child_writes},
	{"zap", zap, model_zap},
	{"page out", page_out, nothing},
	{"page in", page_in, nothing},
	{"pressure", pressure, nothing},
	{"migrate", migrate, nothing},
	{"fork", do_fork, model_fork},
	{"child ends", child_ends, model_child_ends},
	{"swapoff", swap_off, nothing},
	{"unmap", unmap, model_unmap},
	{"move", move, nothing},
	{"protect", protect, nothing},
	{"mlock", lock_memory, nothing},
	{"punch", punch, model_punch},
};

/* ---- states ---------------------------------------------------------------------------------- */

/* Written and unmapped; the pages are still in the swap cache. */
static void write_out(void)
{
	lru_add_drain_all();
	for (int i = 0; i < 20 && global_stat(NR_ANON_MAPPED) + global_stat(NR_SHMEM); i++)
		pressure(0);
}

static void evict_all(void)
{
	write_out();
	for (int i = 0; i < 20 && global_stat(NR_SWAPCACHE); i++)
		pressure(0);
	MUST(!global_stat(NR_SWAPCACHE) && global_stat(NR_ANON_MAPPED) + global_stat(NR_SHMEM) == 0,
	     "eviction");
}

static void read_back(void)
{
	u64 v;

	for (int i = 0; i < PAGES; i++)
		user_read(w.mm[PARENT], w.at + i * PAGE_SIZE, &v);
}

static void map_pages(int flags)
{
	long at;

	w = (struct world){.mm = {mm_alloc()}};
	at = do_mmap(w.mm[PARENT], 0, LENGTH, RW, flags, 0);
	MUST(at > 0, "mmap: %ld", at);
	w.at = at;
	w.model.shared = flags & MAP_SHARED;
	for (int m = 0; m < MEMBERS; m++)
		for (int i = 0; i < PAGES; i++)
			w.model.page[m][i] = m ? ABSENT : 0;
}

static void fill_pages(void)
{
	for (int i = 0; i < PAGES; i++) {
		MUST(!user_write(w.mm[PARENT], w.at + i * PAGE_SIZE, i + 1), "write");
		w.model.page[PARENT][i] = i + 1;
	}
}

static void make_child(void)
{
	w.mm[CHILD] = dup_mm(w.mm[PARENT]);
	MUST(w.mm[CHILD], "fork");
	memcpy(w.model.page[CHILD], w.model.page[PARENT], sizeof(w.model.page[CHILD]));
}

static void state_empty(void)
{
	map_pages(PRIVATE);
}
static void state_zero(void)
{
	map_pages(PRIVATE);
	read_back();
}
static void state_anon(void)
{
	map_pages(PRIVATE);
	fill_pages();
	lru_add_drain();
}
static void state_family(void)
{
	state_anon();
	make_child();
}
static void state_swapped(void)
{
	state_anon();
	evict_all();
}
static void state_family_swapped(void)
{
	state_family();
	evict_all();
}
static void state_family_written(void)
{
	state_family();
	write_out();
}
static void state_swap_cache(void)
{
	state_family();
	evict_all();
	read_back();
}
static void state_shared(void)
{
	map_pages(SHARED);
	fill_pages();
	make_child();
	read_back();
	lru_add_drain();
}
static void state_shared_cached(void)
{
	state_shared();
	do_madvise(w.mm[PARENT], w.at, LENGTH, MADV_DONTNEED);
}
static void state_shared_swapped(void)
{
	state_shared();
	evict_all();
}

static const struct state {
	const char *name;
	void (*make)(void);
	bool family, swapped, shared;
} states[] = {
	{"empty", state_empty, false, false, false},
	{"zero", state_zero, false, false, false},
	{"anon", state_anon, false, false, false},
	{"family", state_family, true, false, false},
	{"swapped", state_swapped, false, true, false},
	{"family swapped", state_family_swapped, true, true, false},
	{"swap cache", state_swap_cache, true, true, false},
	{"shared", state_shared, true, false, true},
	{"shared swapped", state_shared_swapped, true, true, true},
	{"shared cached", state_shared_cached, true, false, true},
	{"family written", state_family_written, true, true, false},
};

/* Does the operation mean anything there? */
static bool fits(const struct op *op, const struct state *s)
{
	if (op->run == child_writes || op->run == child_ends)
		return s->family;
	if (op->run == punch)
		return s->shared;
	if (op->run == swap_off || op->run == page_in)
		return s->swapped;
	return true;
}

/* ---- a race ---------------------------------------------------------------------------------- */

static const struct state *state;
static const struct op *pair[2];

static void run_side(void *arg)
{
	unsigned int side = (unsigned long)arg;

	pair[side]->run(side);
}

static struct model model_of(unsigned int first)
{
	struct model m = w.model;

	for (unsigned int i = 0; i < 2; i++) {
		unsigned int side = i ? !first : first;

		if (!w.failed[side])
			pair[side]->model(&m, side);
	}
	return m;
}

static void check_contents(void)
{
	struct model before = w.model, order[2] = {model_of(0), model_of(1)};
	bool late;

	for (int side = 0; side < 2; side++) {
		struct model other = before;

		if (pair[side]->run != touch_read || w.seen[side] == FAILED)
			continue;
		pair[!side]->model(&other, !side);
		MUST(w.seen[side] == before.page[PARENT][P] ||
			     w.seen[side] == other.page[PARENT][P],
		     "a reader saw %lu", (long)w.seen[side]);
	}
	/* What comes to the old address after the pages moved finds nothing there. */
	late = pair[0]->run == move || pair[1]->run == move;
	for (int m = 0; m < MEMBERS; m++) {
		for (int i = 0; w.mm[m] && i < PAGES; i++) {
			unsigned long at = m == PARENT && w.moved ? w.moved : w.at;
			u64 v = 0;

			if (m == FORKED && w.moved && find_vma(w.mm[m], w.moved))
				at = w.moved;
			if (user_read(w.mm[m], at + i * PAGE_SIZE, &v))
				v = ABSENT;
			MUST(v == order[0].page[m][i] || v == order[1].page[m][i] ||
				     (late && v == before.page[m][i]),
			     "page %d of process %d holds %lu, should be %lu or %lu", i, m, (long)v,
			     (long)order[0].page[m][i], (long)order[1].page[m][i]);
		}
	}
}

static bool race(unsigned int at, enum host_race_order order)
{
	const struct host_racer a = {pair[0]->name, run_side, (void *)0};
	const struct host_racer b = {pair[1]->name, run_side, (void *)1};
	bool met;

	state->make();
	swap->deferred = true;
	nr_races++;
	met = host_race(&a, &b, at, order);
	while (host_disk_complete(swap, 100))
		;
	lru_add_drain_all();
	check_all();
	check_contents();
	for (int m = 0; m < MEMBERS; m++)
		if (w.mm[m])
			mmput(w.mm[m]);
	swap->deferred = false;
	if (!swap_areas[0].bdev)
		swap_on();
	lru_add_drain_all();
	MUST(!global_stat(NR_ANON_MAPPED) && !global_stat(NR_SHMEM), "pages are left");
	no_slot_is_left();
	return met;
}

static void race_pair(const struct op *a, const struct op *b)
{
	bool all = all_races();
	unsigned int step = 1, at, n;
	u64 objects;

	pair[0] = a;
	pair[1] = b;
	race(~0u, RACE_EAGER); /* one after the other; and how many points A has */
	n = host_race_points();
	objects = objects_in_use();
	if (!all && n > 12)
		step = 1 + n / 12;
	for (at = 1 + (unsigned int)(get_random_u64() % step); at <= n; at += step) {
		race(at, RACE_EAGER);
		if (all || at % 2)
			race(at, RACE_LAZY);
	}
	MUST(objects_in_use() == objects, "%s, %s: %lu objects, were %lu", a->name, b->name,
	     (long)objects_in_use(), (long)objects);
}

static void races_of(const struct state *s)
{
	u64 before = nr_races;
	char name[128];

	state = s;
	for (unsigned int a = 0; a < ARRAY_SIZE(ops); a++)
		for (unsigned int b = 0; b < ARRAY_SIZE(ops); b++) {
			/* The child ends once, and so does the swap area. */
			if (a == b && (ops[a].run == child_ends || ops[a].run == swap_off ||
				       ops[a].run == do_fork))
				continue;
			if ((ops[a].run == child_ends && ops[b].run == child_writes) ||
			    (ops[b].run == child_ends && ops[a].run == child_writes))
				continue;
			snprintf(name, sizeof(name), "%s/%s/%s", s->name, ops[a].name, ops[b].name);
			if (fits(&ops[a], s) && fits(&ops[b], s) && wanted(name))
				race_pair(&ops[a], &ops[b]);
		}
	CU_ASSERT(nr_races > before || getenv("RACE"));
}

STATE_TEST(0)
STATE_TEST(1)
STATE_TEST(2)
STATE_TEST(3)
STATE_TEST(4)
STATE_TEST(5)
STATE_TEST(6)
STATE_TEST(7)
STATE_TEST(8)
STATE_TEST(9)
STATE_TEST(10)

int main(void)
{
	static const struct unit_case cases[] = {
		{"never touched", state_0_},
		{"the zero page", state_1_},
		{"a page of its own", state_2_},
		{"shared with a child", state_3_},
		{"swapped out", state_4_},
		{"swapped out, shared with a child", state_5_},
		{"in the swap cache", state_6_},
		{"shared memory", state_7_},
		{"shared memory, swapped out", state_8_},
		{"shared memory, not mapped by the parent", state_9_},
		{"written to swap, not dropped yet", state_10_},
	};

	races_boot();
	return races_run("races", cases, ARRAY_SIZE(cases));
}
