/* The audit of the policies with four lists, twolist and s3fifo, which describe them alike: a young and an old list of
 * anonymous memory, and two of files. Each kind of damage is planted in each of the four.
 *
 * twolist calls them inactive and active, s3fifo small and main; pages of the second of each pair have PG_active. */
#include "audit_plant.h"

#define NR_LISTS 4u

static unsigned int list; /* the one that is damaged */
static uint32_t pfn;	  /* a page on it */

static const struct mmvm_audit_lru_list *described(unsigned int nr)
{
	return &im.g->root.policy[0].list[nr - 1];
}

static void count(unsigned int nr, int64_t n)
{
	im.g->lruvec.nr[nr] += (uint64_t)n;
	level_add(0, described(nr)->level, n);
}

/* The page moves to the list, as the policy would move it. */
static void enter_page(uint32_t which)
{
	unsigned int old;

	pfn = which;
	old = page(pfn)->flags >> PAGE_LIST_SHIFT & PAGE_LIST_MASK;
	list_del(lru_gva(pfn));
	count(old, -1);
	page(pfn)->flags &= ~(PAGE_LIST_MASK << PAGE_LIST_SHIFT | 1ull << PG_active);
	page(pfn)->flags |= (uint64_t)list << PAGE_LIST_SHIFT | described(list)->flags_value;
	list_add_tail(GVA(lruvec.list[0]) + list * sizeof(struct mmvm_list), lru_gva(pfn));
	count(list, 1);
}

/* A page of the list's kind. */
static void enter(void)
{
	enter_page(list <= 2 ? im.anon[0] : im.file);
}

static void d_link(void)
{
	enter();
	page(pfn)->lru.prev = 0;
}
static void d_head(void)
{
	enter();
	im.g->lruvec.list[list].next = 8;
}
static void d_loop(void)
{
	enter();
	page(pfn)->lru.next = lru_gva(pfn);
}
static void d_number(void)
{
	enter();
	page(pfn)->flags ^= 1ull << PAGE_LIST_SHIFT;
}
/* PG_active says which of a pair it belongs to. */
static void d_flags(void)
{
	enter();
	page(pfn)->flags ^= 1ull << PG_active;
}
static void d_kind(void)
{
	enter_page(list <= 2 ? im.file : im.anon[0]);
}
static void d_unevictable(void)
{
	enter();
	page(pfn)->flags |= 1ull << PG_unevictable;
}
static void d_node(void)
{
	enter();
	page(pfn)->flags |= 1ull << PAGE_NODE_SHIFT;
}
static void d_not_on_lru(void)
{
	enter();
	page(pfn)->flags &= ~(1ull << PG_lru);
}
static void d_on_none(void)
{
	enter();
	list_del(lru_gva(pfn));
	count(list, -1);
}
static void d_count(void)
{
	enter();
	im.g->lruvec.nr[list]++;
}
static void d_level(void)
{
	enter();
	level_add(0, described(list)->level, 1);
}

static const struct damage damages[] = {
	PLANT(d_link, AUDIT_LRU_LIST),	      PLANT(d_head, AUDIT_LRU_LIST),
	PLANT(d_loop, AUDIT_LRU_LIST),	      PLANT(d_number, AUDIT_LRU_LIST),
	PLANT(d_flags, AUDIT_LRU_LIST),	      PLANT(d_kind, AUDIT_LRU_LIST),
	PLANT(d_unevictable, AUDIT_LRU_LIST), PLANT(d_node, AUDIT_LRU_LIST),
	PLANT(d_not_on_lru, AUDIT_LRU_LIST),  PLANT(d_on_none, AUDIT_LRU_LIST),
	PLANT(d_count, AUDIT_LRU_COUNT),      PLANT(d_level, AUDIT_LRU_COUNT),
};

static void findings(void)
{
	for (list = 1; list <= NR_LISTS; list++)
		plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static void each_list_in_order_is_no_finding(void)
{
	for (list = 1; list <= NR_LISTS; list++) {
		build();
		enter();
		CU_ASSERT_EQUAL(run(), 0);
	}
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"each list in order is no finding", each_list_in_order_is_no_finding},
	};

	return plant_run("audit: queues", cases, sizeof(cases) / sizeof(cases[0]));
}
