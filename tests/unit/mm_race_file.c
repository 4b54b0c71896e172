/*
 * Three operations that meet on the pages of a file, or of shared memory: one is interrupted at each of its points
 * (tests/host/race.h) by two others, one after the other. So truncation, migration and swap-in, or a fault, a
 * zap, a truncation and the last unmap, are tried in every order with one change of places.
 *
 * Two processes map the pages; the operations are those of the first, the second one looks at the end. After
 * each race
 *
 *   - every page holds what one of the orders a b c, b a c, b c a leaves in it, and what lies beyond the
 *     size is neither in the cache nor in swap, and cannot be read;
 *   - the disk holds what the cache held, once that is written;
 *   - all invariants of mm_user.h hold, no TLB flush is owed, and in the end nothing is left.
 *
 * RACES=all runs all points of all triples; otherwise some, others with each SEED. RACE=STATE/A/B/C runs one.
 */
#include "lib/errno.h"
#include "mm/cache/filemap.h"
#include "mm/cache/shmem.h"
#include "mm/swap/swapcache.h"
#include "mm_race.h"

#define PAGES  3
#define P      1 /* the page that all are after; a truncation leaves those before it */
#define LENGTH (PAGES * PAGE_SIZE)
#define ABSENT (~0ull)
#define SIDES  3

static struct host_disk *disk;
static struct file *file;

struct model {
	u64 page[PAGES]; /* ABSENT: beyond the size */
};

static struct world {
	struct mm_struct *mm[2];
	struct address_space *mapping;
	unsigned long at[2];
	struct model model;
	bool failed[SIDES]; /* it was refused, or found nothing to change */
	bool unmapped;
} w;

/* ---- operations ------------------------------------------------------------------------------ */

struct op {
	const char *name;
	void (*run)(unsigned int side);
	void (*model)(struct model *m, unsigned int side); /* NULL: changes nothing */
};

static void fault_read(unsigned int side)
{
	u64 v;

	if (!w.unmapped)
		user_read(w.mm[0], w.at[0] + P * PAGE_SIZE, &v);
}

static void fault_write(unsigned int side)
{
	w.failed[side] = w.unmapped || user_write(w.mm[0], w.at[0] + P * PAGE_SIZE, 1000 + side);
}
static void model_write(struct model *m, unsigned int side)
{
	if (m->page[P] != ABSENT)
		m->page[P] = 1000 + side;
}

static void advise(int advice)
{
	if (!w.unmapped)
		do_madvise(w.mm[0], w.at[0], LENGTH, advice);
}
static void zap(unsigned int side)
{
	advise(MADV_DONTNEED);
}
static void page_out(unsigned int side)
{
	advise(MADV_PAGEOUT);
}
static void page_in(unsigned int side)
{
	advise(MADV_WILLNEED);
}

static void truncate(unsigned int side)
{
	WRITE_ONCE(w.mapping->size, P * PAGE_SIZE);
	truncate_pagecache(w.mapping, P * PAGE_SIZE);
}
static void model_truncate(struct model *m, unsigned int side)
{
	for (int i = P; i < PAGES; i++)
		m->page[i] = ABSENT;
}

static void punch(unsigned int side)
{
	shmem_truncate_range(w.mapping, P, P + 1);
}
static void model_punch(struct model *m, unsigned int side)
{
	if (m->page[P] != ABSENT)
		m->page[P] = 0;
}

/* As compaction finds a page: somewhere in memory. */
static void migrate(unsigned int side)
{
	struct page *page = find_get_page(w.mapping, P);
	bool taken;

	if (!page)
		return;
	lru_add_drain();
	taken = isolate_movable_page(page);
	put_page(page);
	if (taken)
		migrate_isolated(page);
}

static void unmap(unsigned int side)
{
	if (!w.unmapped)
		do_munmap(w.mm[0], w.at[0], LENGTH);
	w.unmapped = true;
}

static void write_back(unsigned int side)
{
	MUST(!filemap_write_and_wait_range(w.mapping, 0, ~0ull >> 1), "writeback");
}

static void drop_clean(unsigned int side)
{
	invalidate_mapping_pages(w.mapping, 0, ~0ul);
}

static void swap_off(unsigned int side)
{
	int err = swap_areas[0].bdev ? do_swapoff(&swap->bdev) : 0;

	MUST(!err || err == -EINVAL, "swapoff: %d", err);
}

static const struct op ops[] = {
	{"truncate", truncate, model_truncate},
	{"migrate", migrate, NULL},
	{"page in", page_in, NULL},
	{"read", fault_read, NULL},
	{"write", fault_write, model_write},
	{"zap", zap, NULL},
	{"page out", page_out, NULL},
	{"unmap", unmap, NULL},
	{"pressure", pressure, NULL},
	{"punch", punch, model_punch},	  /* shared memory */
	{"swapoff", swap_off, NULL},	  /* shared memory */
	{"write back", write_back, NULL}, /* files */
	{"drop", drop_clean, NULL},	  /* files */
};

/* ---- states ---------------------------------------------------------------------------------- */

static u64 disk_word(int page)
{
	return *(u64 *)(disk->data + page * PAGE_SIZE);
}

static int may_map(struct map_source *src, unsigned long vm_flags)
{
	return 0;
}

static void map_both(struct address_space *mapping)
{
	w = (struct world){.mapping = mapping};
	for (int m = 0; m < 2; m++) {
		struct map_source src = {.file = file,
					 .mapping = mapping,
					 .readable = true,
					 .writable = true,
					 .prepare = may_map};
		long at;

		w.mm[m] = mm_alloc();
		at = do_mmap_file(w.mm[m], 0, LENGTH, RW, MAP_SHARED, 0, &src);
		MUST(at > 0, "mmap: %ld", at);
		w.at[m] = at;
	}
}

static void touch_all(bool write)
{
	for (int i = 0; i < PAGES; i++) {
		if (write)
			user_put(w.mm[0], w.at[0] + i * PAGE_SIZE, i + 1);
		else
			user_get(w.mm[0], w.at[0] + i * PAGE_SIZE);
		w.model.page[i] = user_get(w.mm[1], w.at[1] + i * PAGE_SIZE);
	}
	lru_add_drain();
}

static void shmem_mapped(void)
{
	struct address_space *mapping;

	MUST(!shmem_object_create(LENGTH, false, &mapping), "object");
	map_both(mapping);
	touch_all(true);
}

static void evict(void)
{
	for (int i = 0; i < 20 && global_stat(NR_SHMEM) + global_stat(NR_SWAPCACHE); i++)
		pressure(0);
	MUST(global_stat(NR_SHMEM) + global_stat(NR_SWAPCACHE) == 0, "eviction");
}

static void shmem_swapped(void)
{
	shmem_mapped();
	evict();
}

/* One page is back, its slot is still in use; the others may be in the swap cache. */
static void shmem_half(void)
{
	shmem_swapped();
	user_get(w.mm[1], w.at[1] + P * PAGE_SIZE);
}

static void file_begins(void)
{
	struct address_space *dev = bdev_mapping(&disk->bdev);

	truncate_inode_pages(dev);
	writeback_pass(~0ull); /* nothing to write: off the list */
	for (int i = 0; i < PAGES; i++)
		*(u64 *)(disk->data + i * PAGE_SIZE) = 100 + i;
	dev->size = LENGTH;
	map_both(dev);
}

static void file_clean(void)
{
	file_begins();
	touch_all(false);
}

static void file_dirty(void)
{
	file_begins();
	touch_all(true);
}

static void file_absent(void)
{
	file_clean();
	for (int m = 0; m < 2; m++)
		do_madvise(w.mm[m], w.at[m], LENGTH, MADV_DONTNEED);
	invalidate_mapping_pages(w.mapping, 0, ~0ul);
	MUST(!w.mapping->nrpages, "dropped");
}

static const struct state {
	const char *name;
	void (*make)(void);
	bool shmem;
} states[] = {
	{"shmem", shmem_mapped, true},	   {"shmem swapped", shmem_swapped, true},
	{"shmem half", shmem_half, true},  {"file clean", file_clean, false},
	{"file dirty", file_dirty, false}, {"file absent", file_absent, false},
};

static bool fits(const struct op *op, const struct state *s)
{
	if (op->run == punch || op->run == swap_off)
		return s->shmem;
	if (op->run == write_back || op->run == drop_clean)
		return !s->shmem;
	return true;
}

/* ---- a race ---------------------------------------------------------------------------------- */

static const struct state *state;
static const struct op *triple[SIDES];

static void run_a(void *arg)
{
	triple[0]->run(0);
}

static void run_b_and_c(void *arg)
{
	triple[1]->run(1);
	triple[2]->run(2);
}

static struct model model_of(const unsigned int order[SIDES])
{
	struct model m = w.model;

	for (int i = 0; i < SIDES; i++) {
		unsigned int side = order[i];

		if (triple[side]->model && !w.failed[side])
			triple[side]->model(&m, side);
	}
	return m;
}

static void check_contents(void)
{
	static const unsigned int orders[][SIDES] = {{0, 1, 2}, {1, 0, 2}, {1, 2, 0}};
	bool cut = READ_ONCE(w.mapping->size) == P * PAGE_SIZE;
	unsigned long index = P;
	struct model want[3];

	for (int o = 0; o < 3; o++)
		want[o] = model_of(orders[o]);
	/* Beyond the size lies neither a page nor an entry of swap. Of a file there may be shadows, and pages that
	 * were read while it was cut: reclaim's, as on Linux. */
	for (void *item; cut && (item = radix_next(&w.mapping->pages, &index)); index++) {
		struct page *page = item;

		MUST(!state->shmem &&
			     (radix_is_value(item) || (!PageDirty(page) && !page_mapped(page))),
		     "page %lu is beyond the size", index);
	}
	for (int i = 0; i < PAGES; i++) {
		u64 v = 0;

		if (user_read(w.mm[1], w.at[1] + i * PAGE_SIZE, &v))
			v = ABSENT;
		MUST(v == want[0].page[i] || v == want[1].page[i] || v == want[2].page[i],
		     "page %d holds %lu, should be %lu, %lu or %lu", i, (long)v,
		     (long)want[0].page[i], (long)want[1].page[i], (long)want[2].page[i]);
		if (state->shmem || v == ABSENT)
			continue;
		write_back(0);
		MUST(disk_word(i) == v, "page %d holds %lu, the disk %lu", i, (long)v,
		     (long)disk_word(i));
	}
}

static void end_world(void)
{
	for (int m = 0; m < 2; m++)
		mmput(w.mm[m]);
	if (state->shmem)
		shmem_object_put(w.mapping);
	if (!swap_areas[0].bdev)
		swap_on();
	lru_add_drain_all();
	MUST(!global_stat(NR_SHMEM) && !global_stat(NR_FILE_MAPPED), "pages are left");
	no_slot_is_left();
}

static void race(unsigned int at, enum host_race_order order)
{
	static char names[96];
	const struct host_racer a = {triple[0]->name, run_a, NULL}, b = {names, run_b_and_c, NULL};

	snprintf(names, sizeof(names), "%s and %s (%s)", triple[1]->name, triple[2]->name,
		 state->name);
	state->make();
	swap->deferred = disk->deferred = true;
	nr_races++;
	host_race(&a, &b, at, order);
	while (host_disk_complete(swap, 100) + host_disk_complete(disk, 100))
		;
	swap->deferred = disk->deferred = false;
	lru_add_drain_all();
	check_all();
	check_contents();
	check_all();
	end_world();
}

static void race_triple(bool all)
{
	unsigned int n, step, at;

	race(~0u, RACE_EAGER); /* how many points A has */
	n = host_race_points();
	step = all || n < 3 ? 1 : n / 2;
	for (at = 1 + (unsigned int)(get_random_u64() % step); at <= n; at += step)
		race(at, all || get_random_u64() % 2 ? RACE_EAGER : RACE_LAZY);
	for (at = 1; all && at <= n; at++)
		race(at, RACE_LAZY);
}

/* The file's pages aside */
static u64 objects_kept(void)
{
	truncate_inode_pages(bdev_mapping(&disk->bdev));
	writeback_pass(~0ull);
	return objects_in_use();
}

/* Truncation, migration and what brings pages in: each point of these is always tried. */
static bool is_core(const struct op *op)
{
	return op->run == truncate || op->run == migrate || op->run == page_in ||
	       op->run == fault_read;
}

/* What found a fault once. */
static bool found_before(const struct op *a, const struct op *b, const struct op *c)
{
	return a->run == zap && (b->run == punch || b->run == write_back) && c->run == fault_write;
}

static void races_of(const struct state *s)
{
	const bool all = all_races();
	const unsigned int n = ARRAY_SIZE(ops);
	u64 before = nr_races, objects;
	char name[128];

	state = s;
	for (unsigned int i = 0; i < n * n * n; i++) {
		const struct op *a = &ops[i / n / n], *b = &ops[i / n % n], *c = &ops[i % n];
		bool core = (is_core(a) && is_core(b) && is_core(c)) || found_before(a, b, c);

		if (a == b || b == c || a == c || !fits(a, s) || !fits(b, s) || !fits(c, s))
			continue;
		snprintf(name, sizeof(name), "%s/%s/%s/%s", s->name, a->name, b->name, c->name);
		if (!wanted(name))
			continue;
		if (!all && !core && !getenv("RACE") && get_random_u64() % 4)
			continue;
		triple[0] = a;
		triple[1] = b;
		triple[2] = c;
		race(~0u, RACE_EAGER); /* fills the caches */
		objects = objects_kept();
		race_triple(all || core);
		MUST(objects_kept() == objects, "%s, %s, %s: %lu objects, were %lu", a->name,
		     b->name, c->name, (long)objects_kept(), (long)objects);
	}
	CU_ASSERT(nr_races > before || getenv("RACE"));
}

STATE_TEST(0)
STATE_TEST(1)
STATE_TEST(2)
STATE_TEST(3)
STATE_TEST(4)
STATE_TEST(5)

int main(void)
{
	static const struct unit_case cases[] = {
		{"shared memory", state_0_},
		{"shared memory, swapped out", state_1_},
		{"shared memory, one page is back", state_2_},
		{"a file, clean", state_3_},
		{"a file, dirty", state_4_},
		{"a file, not in memory", state_5_},
	};

	races_boot();
	disk = host_disk_create("data", LENGTH);
	MUST(bdev_mapping(&disk->bdev), "bdev_mapping");
	file = host_file("/the/file");
	return races_run("races on files", cases, ARRAY_SIZE(cases));
}
