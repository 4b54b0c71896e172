/*
 * Fragmentation over time, from outside: at each sample the guest's page array is read from its first frame to its
 * last, a step for each block, and summed up in the newest sample.
 *
 *   frames   | free order 3   |a|a|f|a| huge page ...            |
 *   summed   free_blocks[3]++   free_blocks[0]++   huge_anon += 512
 *   by address (a part of RAM each):  free pages, the mean size of the free block that one of them is in, pages of
 *   large folios, pages in pageblocks that are not movable
 *
 * The mean size says what a look at free memory alone does not: half of a part may be free, and no two pages of it
 * side by side. The guest runs on meanwhile: a block that is being split or merged may be counted wrongly (page_state.h).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/option.h"
#include "machine/machine.h"
#include "mmvm/layout.h"
#include "observe/observers.h"
#include "observe/page_state.h"

#define PAGEBLOCK (2u << 20 >> MMVM_PAGE_SHIFT)

struct fragmentation {
	bool asked;
	struct observation *run;
	struct page_state *states;
	bool hopeless; /* this guest has no page array that we could read */
	uint64_t ram_low;
	uint64_t times, ns;
};

/** One look. */
struct look {
	struct page_state *states;
	struct run_fragmentation *out;
	uint64_t ram_low, part;		   /* bytes; pages */
	uint64_t weight[RUN_HEAT_BUCKETS]; /* of each free page the size of its block */
	uint64_t last_block;		   /* pageblock whose type is `type` */
	int type;
};

/** Part of RAM that a frame is in. */
static unsigned int part_of(const struct look *l, uint64_t pfn)
{
	uint64_t gpa = pfn << MMVM_PAGE_SHIFT, part;

	if (gpa >= l->ram_low)
		gpa = gpa - MMVM_RAM_HIGH_BASE + l->ram_low;
	part = (gpa >> MMVM_PAGE_SHIFT) / l->part;
	return part < RUN_HEAT_BUCKETS ? (unsigned int)part : RUN_HEAT_BUCKETS - 1;
}

static void add_free(struct look *l, const struct page_block *b)
{
	unsigned int order = 0;

	while (order + 1 < RUN_FREE_ORDERS && 2ull << order <= b->frames)
		order++;
	l->out->free_blocks[order]++;
	for (uint64_t i = 0; i < b->frames; i++) {
		unsigned int part = part_of(l, b->pfn + i);

		l->out->map_free[part]++;
		l->weight[part] += b->frames;
	}
}

static void add_huge(struct look *l, const struct page_block *b)
{
	if (b->type == PAGE_ANON)
		l->out->huge_anon += (uint32_t)b->frames;
	else if (b->type == PAGE_SHMEM)
		l->out->huge_shmem += (uint32_t)b->frames;
	else if (b->type == PAGE_HUGETLB)
		l->out->huge_hugetlb += (uint32_t)b->frames;
	else
		return;
	for (uint64_t i = 0; i < b->frames; i++)
		l->out->map_huge[part_of(l, b->pfn + i)]++;
}

/** The pageblocks that begin in the block or hold it. */
static void add_types(struct look *l, const struct page_block *b)
{
	for (uint64_t pfn = b->pfn, next; pfn < b->pfn + b->frames; pfn = next) {
		next = (pfn / PAGEBLOCK + 1) * PAGEBLOCK;
		next = next < b->pfn + b->frames ? next : b->pfn + b->frames;
		if (pfn / PAGEBLOCK != l->last_block) {
			l->last_block = pfn / PAGEBLOCK;
			l->type = page_state_block_type(l->states, b->zone, pfn);
			if (l->type >= 0 && l->type < RUN_NR_BLOCK_TYPES)
				l->out->block_types[l->type]++;
		}
		for (uint64_t i = pfn; l->type >= 0 && l->type != RUN_BLOCK_MOVABLE && i < next;
		     i++)
			l->out->map_unmovable[part_of(l, i)]++;
	}
}

static void add_block(void *arg, const struct page_block *b)
{
	struct look *l = arg;

	/* Holes between ranges of RAM have frames without an owner. */
	if (b->type == PAGE_INVALID || b->zone >= MMVM_MAX_ZONES)
		return;
	add_types(l, b);
	if (b->type == PAGE_BUDDY || b->type == PAGE_PCP)
		add_free(l, b);
	else if (b->frames > 1)
		add_huge(l, b);
}

/** Adds to the newest sample. */
static void take_look(struct fragmentation *f, struct machine *m)
{
	struct run_result *r = f->run->result;
	uint64_t t0 = machine_now_ns();
	struct run_sample *s;
	struct look l = {.ram_low = f->ram_low, .last_block = UINT64_MAX};
	int err;

	if (f->hopeless || !r || !r->nr_samples || !r->heat_pages)
		return;
	err = f->states ? 0 : page_state_open(m, f->run->symbols, &f->states);
	if (err) {
		f->hopeless = err != -EAGAIN; /* it may still be booting */
		return;
	}
	s = &r->samples[r->nr_samples - 1];
	memset(&s->fragmentation, 0, sizeof(s->fragmentation));
	l.states = f->states;
	l.out = &s->fragmentation;
	l.part = r->heat_pages;
	page_state_walk(f->states, add_block, &l);
	for (unsigned int i = 0; i < RUN_HEAT_BUCKETS; i++)
		if (l.out->map_free[i])
			l.out->map_block[i] = (uint32_t)(l.weight[i] / l.out->map_free[i]);
	s->has_fragmentation = true;
	f->times++;
	f->ns += machine_now_ns() - t0;
}

static bool wanted(const void *self, const struct observation *run,
		   const struct machine_config *config)
{
	return ((const struct fragmentation *)self)->asked;
}

static int on_open(void *self, struct observation *run, struct machine_config *config,
		   struct mmvm_error *err)
{
	struct fragmentation *f = self;

	f->run = run;
	f->ram_low = config->ram_low;
	return 0;
}

static void on_tick(void *self, struct machine *m)
{
	take_look(self, m);
}

/** The sampler, which is called before, has taken its last sample. */
static int on_stop(void *self, struct machine *m, const struct machine_outcome *out)
{
	take_look(self, m);
	return 0;
}

static void on_cost(void *self, struct machine *m, struct run_result *r)
{
	const struct fragmentation *f = self;
	struct run_observer o = {
		.name = "fragmentation", .times = f->times, .ns = f->ns, .has_stall = true};

	snprintf(o.note, sizeof(o.note), "%s",
		 f->times ? "the guest's page array, read from end to end"
			  : "this guest has no page array that can be read");
	run_result_add_observer(r, &o);
}

static void on_close(void *self)
{
	page_state_close(((struct fragmentation *)self)->states);
}

static const struct cli_option options[] = {
	{.name = "--fragmentation",
	 .help = "map free blocks, huge pages and migrate types by address at each sample",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct fragmentation, asked)},
	{0},
};

const struct observer fragmentation_observer = {
	.name = "fragmentation",
	.what = "free blocks by order, huge pages and migrate types, by address over time",
	.size = sizeof(struct fragmentation),
	.options = options,
	.wanted = wanted,
	.needs_samples = true,
	.open = on_open,
	.tick = on_tick,
	.stop = on_stop,
	.cost = on_cost,
	.close = on_close,
};
