/*
 * Folios: a compound block's tails find their head, hold no references, and are plain pages again
 * after the block is freed; a free with something left over stops the machine.
 */
#include "check.h"
#include "host.h"
#include "unit.h"
#include "lib/string.h"
#include "mm/phys/folio.h"
#include "mm/phys/internal.h"

static void tails(void)
{
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct folio *f = folio_alloc(GFP_KERNEL, order);

		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		CU_ASSERT_EQUAL(folio_order(f), order);
		CU_ASSERT_EQUAL(folio_nr_pages(f), 1ul << order);
		CU_ASSERT_EQUAL(folio_size(f), PAGE_SIZE << order);
		CU_ASSERT_EQUAL(folio_test_large(f), order > 0);
		CU_ASSERT_EQUAL(folio_mapcount(f), 0);
		CU_ASSERT_EQUAL(folio_entire_mapcount(f), 0);
		CU_ASSERT_EQUAL(folio_ref_count(f), 1);
		CU_ASSERT(!PageTail(&f->page));
		f->page.index = 1000;
		for (unsigned long i = 0; i < 1ul << order; i++) {
			struct page *p = folio_page(f, i);

			CU_ASSERT_PTR_EQUAL(page_folio(p), f);
			CU_ASSERT_EQUAL(PageTail(p), i > 0);
			CU_ASSERT_EQUAL(PageHead(p), i == 0 && order > 0);
			CU_ASSERT_PTR_EQUAL(page_zone(p), folio_zone(f));
			CU_ASSERT_EQUAL(folio_page_index(f, p), 1000 + i);
			if (i) {
				CU_ASSERT(!get_page_unless_zero(p));
				CU_ASSERT_EQUAL(page_mapcount(p), 0);
			}
		}
		CU_ASSERT_EQUAL(check_pages(), 0);
		folio_get(f);
		folio_put(f);
		folio_put(f);
		for (unsigned long i = 0; i < 1ul << order; i++) {
			CU_ASSERT(!PageTail(&f->page + i));
			CU_ASSERT(!PageHead(&f->page + i));
		}
		CU_ASSERT_EQUAL(check_pages(), 0);
	}
}

/* Whatever the tails of a free block held, those of a folio are as they must be, and nothing else is written. */
static void scribbled(void)
{
	for (unsigned int order = 1; order <= MAX_ORDER; order++) {
		const unsigned long n = 1ul << order;
		struct page *head = alloc_pages(GFP_KERNEL, order), was;

		CU_ASSERT_PTR_NOT_NULL_FATAL(head);
		was = *head;
		memset(head + 1, 0x5a, (n - 1) * sizeof(*head));
		prep_compound(head, order);
		was.flags |= 1ull << PG_head;
		CU_ASSERT_EQUAL(memcmp(head, &was, sizeof(was)), 0);
		for (unsigned long i = 1; i < n; i++) {
			struct page *p = head + i;

			CU_ASSERT_EQUAL(p->flags, was.flags & PAGE_FLAGS_KEPT);
			CU_ASSERT_PTR_EQUAL(page_folio(p), head);
			CU_ASSERT_PTR_NULL(p->mapping);
			CU_ASSERT_EQUAL(p->mapcount, -1);
			CU_ASSERT_EQUAL(p->refcount, 0);
			CU_ASSERT_EQUAL(page_state(p), PAGE_STATE(PAGE_INVALID, 0, 0, 0));
		}
		CU_ASSERT_EQUAL(folio_mapcount((struct folio *)head), 0);
		CU_ASSERT_EQUAL(check_pages(), 0);
		folio_put((struct folio *)head);
		CU_ASSERT_EQUAL(check_pages(), 0);
	}
}

/* The first tails' counts lie where nothing else of a tail does. */
static void overlays(void)
{
	struct folio *f = folio_alloc(GFP_KERNEL, 2);
	struct folio_counts *c = folio_counts(f);

	c->large_mapcount = 4;
	c->entire_mapcount = 2;
	c->nr_pages_mapped = 3;
	c->pincount = 9;
	CU_ASSERT_PTR_EQUAL(page_folio(folio_page(f, 1)), f);
	CU_ASSERT_EQUAL(folio_mapcount(f), 5);
	CU_ASSERT_EQUAL(folio_entire_mapcount(f), 3);
	CU_ASSERT(folio_mapped(f));
	CU_ASSERT_EQUAL(page_mapcount(folio_page(f, 1)), 0);
	CU_ASSERT_EQUAL(page_ref_count(folio_page(f, 1)), 0);
	INIT_LIST_HEAD(&folio_links(f)->deferred);
	CU_ASSERT_PTR_EQUAL(page_folio(folio_page(f, 2)), f);
	c->large_mapcount = c->entire_mapcount = -1;
	c->nr_pages_mapped = c->pincount = 0;
	memset(&folio_links(f)->deferred, 0, sizeof(struct list_head));
	folio_put(f);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static struct folio *victim;

static void free_victim(void *arg)
{
	folio_put(victim);
}

static void left_overs(void)
{
	victim = folio_alloc(GFP_KERNEL, 2);
	folio_counts(victim)->large_mapcount = 0;
	CU_ASSERT(host_panics(free_victim, NULL, "large folio freed while mapped"));

	victim = folio_alloc(GFP_KERNEL, 2);
	folio_counts(victim)->pincount = 1;
	CU_ASSERT(host_panics(free_victim, NULL, "counts or links"));

	victim = folio_alloc(GFP_KERNEL, 2);
	INIT_LIST_HEAD(&folio_links(victim)->deferred);
	CU_ASSERT(host_panics(free_victim, NULL, "counts or links"));

	victim = folio_alloc(GFP_KERNEL, 2);
	folio_page(victim, 3)->refcount = 1;
	CU_ASSERT(host_panics(free_victim, NULL, "tail freed while in use"));

	victim = folio_alloc(GFP_KERNEL, 2);
	folio_page(victim, 3)->lru.next = NULL;
	CU_ASSERT(host_panics(free_victim, NULL, "names another head"));
}

/* A batch may hold folios of any order. */
static void batches(void)
{
	u64 freed, free_before;
	LIST_HEAD(list);

	drain_all_pages();
	free_before = nr_free_pages();
	freed = sum_vm_event(PGFREE);
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct folio *f = folio_alloc(GFP_KERNEL | __GFP_NOWARN, order);

		if (!f)
			continue;
		f->page.refcount = 0;
		freed += 1ul << order;
		list_add(&f->page.lru, &list);
	}
	free_unref_page_list(&list);
	CU_ASSERT_EQUAL(sum_vm_event(PGFREE), freed);
	drain_all_pages();
	CU_ASSERT_EQUAL(nr_free_pages(), free_before);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"tails find their head", tails},
		{"tails are made whatever they held", scribbled},
		{"counts of a large folio", overlays},
		{"what is left over is named", left_overs},
		{"batches of all orders", batches},
	};

	host_boot_default("");
	return unit_run("folios", cases, ARRAY_SIZE(cases));
}
