/* The audit of the balloon: pages that one side has and the other has not, lists and counts. */
#include "audit_plant.h"

/* Two pages in the balloon, listed and counted. They were the compound block's. */
static struct {
	uint32_t page[2];
	struct mmvm_list *head;
	uint64_t *nr;
} b;

static void link_pages(void)
{
	const uint64_t head = DIRECT + ((uint64_t)im.dma << 12), lru = offsetof(struct page, lru);
	uint64_t first = page_gva(b.page[0]) + lru, second = page_gva(b.page[1]) + lru;

	*b.head = (struct mmvm_list){.next = first, .prev = second};
	page(b.page[0])->lru = (struct mmvm_list){.next = second, .prev = head};
	page(b.page[1])->lru = (struct mmvm_list){.next = head, .prev = first};
}

static void balloon(void)
{
	const uint64_t at = DIRECT + ((uint64_t)im.dma << 12);

	for (unsigned int i = 0; i < 4; i++) {
		set_page(im.folio + i, i < 2 ? PAGE_BALLOON : PAGE_OTHER, 0, 1);
		page(im.folio + i)->lru.next = 0;
		page(im.folio + i)->flags &= ~(1ull << PG_head);
	}
	for (unsigned int i = 0; i < 2; i++)
		im.host_has[i] = b.page[i] = im.folio + i;
	b.head = (struct mmvm_list *)frame_ptr(im.dma);
	b.nr = (uint64_t *)(frame_ptr(im.dma) + 64);
	*b.nr = 2;
	im.g->root.balloon = (struct mmvm_audit_balloon){.list_gva = at, .nr_gva = at + 64};
	link_pages();
}

static void d_used_by_the_guest(void)
{
	balloon();
	im.host_has[2] = im.slab;
}
static void d_free_in_the_guest(void)
{
	balloon();
	im.host_has[2] = first_buddy(0, 10, 1) + 5;
}
static void d_not_with_the_host(void)
{
	balloon();
	im.host_has[1] = 0;
}
static void d_count(void)
{
	balloon();
	*b.nr = 3;
}
static void d_not_on_the_list(void)
{
	balloon();
	*b.nr = 2;
	b.head->prev = b.head->next;
	page(b.page[0])->lru.next = page(b.page[0])->lru.prev;
}
static void d_another_page_on_the_list(void)
{
	balloon();
	b.page[0] = im.slab;
	link_pages();
}
static void d_broken_list(void)
{
	balloon();
	page(b.page[1])->lru.prev ^= 64;
}
static void d_unreadable(void)
{
	balloon();
	im.g->root.balloon.list_gva = 0xffff000000000000ull;
}
static void d_unreadable_count(void)
{
	balloon();
	im.g->root.balloon.nr_gva = 0xffff000000000000ull;
}
static void d_no_list(void)
{
	balloon();
	im.g->root.balloon.list_gva = 0;
}
static void d_in_use(void)
{
	balloon();
	page(b.page[0])->refcount = 2;
}

static const struct damage damages[] = {
	PLANT(d_used_by_the_guest, AUDIT_BALLOON_SET),
	PLANT(d_free_in_the_guest, AUDIT_BALLOON_SET),
	PLANT(d_not_with_the_host, AUDIT_BALLOON_SET),
	PLANT(d_count, AUDIT_BALLOON_LIST),
	PLANT(d_not_on_the_list, AUDIT_BALLOON_LIST),
	PLANT(d_another_page_on_the_list, AUDIT_BALLOON_LIST),
	PLANT(d_broken_list, AUDIT_BALLOON_LIST),
	PLANT(d_unreadable, AUDIT_BALLOON_LIST),
	PLANT(d_unreadable_count, AUDIT_BALLOON_LIST),
	PLANT(d_no_list, AUDIT_BALLOON_LIST),
	PLANT(d_in_use, AUDIT_USED_REFCOUNT),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static void a_balloon(void)
{
	int ret;

	build();
	balloon();
	ret = run();
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT_EQUAL(im.r.frames[PAGE_BALLOON], 2);
	if (ret)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"a balloon", a_balloon},
	};

	return plant_run("audit: balloon", cases, sizeof(cases) / sizeof(cases[0]));
}
