/* What memory.min and memory.low keep from reclaim: exact counts, at every priority. */
#include "mm/memcg/memcg.h"
#include "mm/reclaim/lru.h"
#include "tests/tests.h"

#define MEM	   "memory=48M,high=0M swap=64M cpus=1"
#define SMALL(pol) "memory=14M,high=4M swap=48M cpus=1 append=reclaim_policy=" pol
#define PAGES	   300ul /* of each group; less than a huge page */

/* A group with one address space that has pages in it. */
struct tenant {
	struct mem_cgroup *memcg;
	struct mm_struct *mm;
	unsigned long at, pages;
};

static struct mem_cgroup *new_group(struct test *t, struct mem_cgroup *parent)
{
	struct mem_cgroup *memcg = mem_cgroup_create(parent);

	CHECK(!IS_ERR(memcg));
	return memcg;
}

static struct tenant move_in(struct test *t, struct mem_cgroup *parent, unsigned long pages)
{
	struct tenant n = {.memcg = new_group(t, parent), .mm = testmm_create(t), .pages = pages};

	mem_cgroup_get(n.memcg);
	mem_cgroup_set_mm(n.mm, n.memcg);
	n.at = testmm_map(t, n.mm, pages * PAGE_SIZE);
	testmm_fill(t, n.mm, n.at, pages, 1);
	lru_add_drain();
	return n;
}

static void move_out(struct tenant *n)
{
	mmput(n->mm);
	mem_cgroup_offline(n->memcg);
}

static unsigned long in_memory(const struct tenant *n)
{
	unsigned long there = 0;

	for (unsigned long i = 0; i < n->pages; i++)
		there += testmm_page(n->mm, n->at + i * PAGE_SIZE) != NULL;
	return there;
}

/* Pages that reclaim could still take: mapped, or written and not freed yet. */
static u64 on_lists(const struct tenant *n)
{
	return (u64)(mem_cgroup_stat(n->memcg, -1, NR_INACTIVE_ANON) +
		     mem_cgroup_stat(n->memcg, -1, NR_ACTIVE_ANON));
}

static u64 usage(const struct tenant *n)
{
	return page_counter_read(&n->memcg->memory);
}

/* Pages of the group that reclaim has looked at. */
static u64 looked_at(const struct tenant *n)
{
	return atomic_load(&n->memcg->event[PGSCAN_DIRECT]) +
	       atomic_load(&n->memcg->event[PGSCAN_KSWAPD]);
}

/* Reclaim below `top` until a call that went through all priorities finds nothing. */
static void exhaust(struct test *t, struct mem_cgroup *top)
{
	unsigned int calls = 0;

	while (calls < 10000 && try_to_free_group_pages(top, 64, GFP_KERNEL))
		calls++;
	CHECK(calls > 0);
	CHECK(calls < 10000);
}

GUEST_TEST(memcg, below_min_no_page_is_looked_at, 0, 120, MEM)
{
	struct mem_cgroup *top = new_group(t, &root_mem_cgroup);
	struct tenant kept = move_in(t, top, PAGES), other = move_in(t, top, PAGES);

	kept.memcg->memory.min = usage(&kept);
	exhaust(t, top);
	CHECK_EQ(in_memory(&kept), PAGES);
	CHECK_EQ(looked_at(&kept), 0);
	CHECK_EQ(in_memory(&other), 0);
	/* One page less is protected: one page is freed. */
	kept.memcg->memory.min--;
	exhaust(t, top);
	CHECK(in_memory(&kept) < PAGES);
	CHECK_EQ(on_lists(&kept), PAGES - 1);
	CHECK_EQ(usage(&kept), kept.memcg->memory.min);
	/* Its own limit is not what memory.min protects it from. */
	exhaust(t, kept.memcg);
	CHECK_EQ(in_memory(&kept), 0);
	testmm_verify(t, kept.mm, kept.at, PAGES, 1);
	move_out(&kept);
	move_out(&other);
	mem_cgroup_offline(top);
}

/* At the end every priority has been tried, and the group has exactly what is protected: at priority 0, too. */
GUEST_TEST(memcg, above_min_only_what_is_above_goes, 0, 120, MEM)
{
	struct mem_cgroup *top = new_group(t, &root_mem_cgroup);
	struct tenant kept = move_in(t, top, PAGES);

	kept.memcg->memory.min = usage(&kept) - 100;
	exhaust(t, top);
	CHECK_EQ(usage(&kept), kept.memcg->memory.min);
	CHECK_EQ(on_lists(&kept), PAGES - 100);
	CHECK_EQ(kept.memcg->events[MEMCG_LOW], 0);
	move_out(&kept);
	mem_cgroup_offline(top);
}

GUEST_TEST(memcg, low_is_broken_when_nothing_else_is_left, 0, 120, MEM)
{
	struct mem_cgroup *top = new_group(t, &root_mem_cgroup);
	struct tenant must = move_in(t, top, PAGES), should = move_in(t, top, PAGES),
		      other = move_in(t, top, PAGES);
	unsigned int calls = 0;

	must.memcg->memory.min = usage(&must);
	should.memcg->memory.low = usage(&should);
	/* While a sibling without protection has pages, the call takes these. */
	while (on_lists(&other) && calls++ < 10000) {
		try_to_free_group_pages(top, 32, GFP_KERNEL);
		CHECK_EQ(looked_at(&should), 0);
		CHECK_EQ(should.memcg->events[MEMCG_LOW], 0);
	}
	CHECK(calls >= PAGES / 64);
	CHECK_EQ(on_lists(&other), 0);
	CHECK_EQ(in_memory(&should), PAGES);
	/* Then it breaks memory.low, says so, and leaves memory.min. */
	CHECK(try_to_free_group_pages(top, 32, GFP_KERNEL) > 0);
	CHECK(should.memcg->events[MEMCG_LOW] > 0);
	CHECK_EQ(should.memcg->events_local[MEMCG_LOW], should.memcg->events[MEMCG_LOW]);
	CHECK_EQ(top->events[MEMCG_LOW], should.memcg->events[MEMCG_LOW]);
	CHECK_EQ(top->events_local[MEMCG_LOW], 0);
	CHECK(in_memory(&should) < PAGES);
	exhaust(t, top);
	CHECK_EQ(in_memory(&should), 0);
	CHECK_EQ(in_memory(&must), PAGES);
	CHECK_EQ(looked_at(&must), 0);
	CHECK_EQ(must.memcg->events[MEMCG_LOW], 0);
	move_out(&must);
	move_out(&should);
	move_out(&other);
	mem_cgroup_offline(top);
}

/* Two children claim twice what their parent protects. The groups are left for the audit, which works out the shares. */
GUEST_TEST(memcg, a_parents_min_is_shared_by_its_children, 0, 120, MEM)
{
	struct mem_cgroup *top = new_group(t, &root_mem_cgroup), *middle = new_group(t, top);
	struct tenant one = move_in(t, middle, PAGES), two = move_in(t, middle, PAGES);
	u64 left;

	top->memory.min = middle->memory.min = 200;
	one.memcg->memory.min = 200;
	two.memcg->memory.min = 200;
	mem_cgroup_settle_protection();
	CHECK_EQ(middle->memory.effective_min, 200);
	CHECK_EQ(one.memcg->memory.effective_min, 100);
	CHECK_EQ(two.memcg->memory.effective_min, 100);
	exhaust(t, top);
	left = page_counter_read(&middle->memory);
	/* Each division may round down by a page. */
	CHECK(left >= 198 && left <= 200);
	CHECK(usage(&one) > 0 && usage(&two) > 0);
	testmm_fill(t, one.mm, one.at, PAGES, 1);
	testmm_fill(t, two.mm, two.at, PAGES / 2, 1);
}

/* The machine is short: kswapd and direct reclaim take other pages, many times over. */
static void short_of_memory(struct test *t)
{
	struct tenant must = move_in(t, &root_mem_cgroup, PAGES),
		      should = move_in(t, &root_mem_cgroup, PAGES), other;
	s64 scanned = ev(PGSCAN_KSWAPD) + ev(PGSCAN_DIRECT);

	must.memcg->memory.min = usage(&must);
	should.memcg->memory.low = usage(&should);
	other = move_in(t, &root_mem_cgroup, totalram_pages() * 5 / 4);
	testmm_verify(t, other.mm, other.at, other.pages, 1);
	CHECK(ev(PGSCAN_KSWAPD) + ev(PGSCAN_DIRECT) - scanned > (s64)other.pages / 4);
	CHECK(looked_at(&other) > 0);
	CHECK_EQ(in_memory(&must), PAGES);
	CHECK_EQ(looked_at(&must), 0);
	CHECK_EQ(in_memory(&should), PAGES);
	CHECK_EQ(looked_at(&should), 0);
	CHECK_EQ(should.memcg->events[MEMCG_LOW], 0);
	move_out(&must);
	move_out(&should);
	move_out(&other);
}

GUEST_TEST(memcg, protection_holds_against_the_machine, 0, 180, SMALL("twolist"))
{
	short_of_memory(t);
}

GUEST_TEST(memcg, protection_holds_against_mglru, 0, 180, SMALL("mglru"))
{
	short_of_memory(t);
}
