/*
 * hugetlb at boot: the command line, and pages larger than the buddy's largest block.
 *
 *   default_hugepagesz=SIZE          what MAP_HUGETLB without a size means, and nr_hugepages
 *   hugepagesz=SIZE hugepages=N      N pages of that size; without hugepagesz= of the default size
 *
 * At boot a page of 1 GiB is taken from memblock before the zones exist, and becomes memory of its zone
 * when hugetlb_init() makes it a page of the pool. Later ones come from alloc_contig_pages(). A page that
 * leaves the pool is given to the buddy in blocks of the largest order.
 */
#include "arch/pgtable.h"
#include "lib/string.h"
#include "mm/huge/hugetlb.h"
#include "mm/init.h"
#include "mm/phys/alloc.h"
#include "mm/move/contig.h"
#include "mm/phys/internal.h"
#include "mm/phys/memblock.h"
#include "mm/phys/zone.h"

#define MAX_BOOT_GIGANTIC 64u
static phys_addr_t boot_gigantic[MAX_BOOT_GIGANTIC] __initdata;
static unsigned int nr_boot_gigantic __initdata;

/* ---- the command line ------------------------------------------------------------------------- */

/* Next word of *s that begins with `name`: its value, or NULL. */
static __init const char *option_value(const char *word, const char *name)
{
	size_t len = strlen(name);

	return strncmp(word, name, len) ? NULL : word + len;
}

static __init struct hstate *hstate_option(const char *name, const char *value)
{
	struct hstate *h = NULL;
	u64 size;

	if (!parse_size(value, &size))
		h = size_to_hstate(size);
	if (!h)
		printk("HugeTLB: unsupported %s%s\n", name, value);
	return h;
}

static __init void count_option(struct hstate *h, const char *value)
{
	u64 n = 0;
	const char *p = value;

	for (; *p >= '0' && *p <= '9' && n < 1ull << 40; p++)
		n = n * 10 + (u64)(*p - '0');
	if (*p || p == value)
		printk("HugeTLB: Invalid hugepages parameter %s\n", value);
	else
		h->boot_pages = n;
}

/* Take the pages of 1 GiB now. */
static __init void reserve_gigantic(struct hstate *h)
{
	u64 size = hstate_size(h), n;

	for (n = 0; n < h->boot_pages && nr_boot_gigantic < MAX_BOOT_GIGANTIC; n++) {
		phys_addr_t pa = memblock_phys_alloc(size, size, 0, 0);

		if (!pa)
			break;
		boot_gigantic[nr_boot_gigantic++] = pa;
	}
	if (n < h->boot_pages)
		printk("HugeTLB: allocating %lu of page size 1.00 GiB failed.  Only allocated %lu "
		       "hugepages.\n",
		       (unsigned long)h->boot_pages, (unsigned long)n);
}

__init void hugetlb_boot_options(const char *cmdline)
{
	struct hstate *h = NULL, *found;
	char word[48];

	boot_option_asked("default_hugepagesz");
	boot_option_asked("hugepagesz");
	boot_option_asked("hugepages");
	nr_hstates = arch_has_gbpages() ? 2 : 1;
	/* The default size first, because hugepages= without a size means it. */
	for (int pass = 0; pass < 2; pass++) {
		for (const char *s = cmdline; *s;) {
			const char *value;
			size_t len = 0;

			while (s[len] && s[len] != ' ')
				len++;
			if (len < sizeof(word)) {
				memcpy(word, s, len);
				word[len] = 0;
				value = option_value(word, "default_hugepagesz=");
				if (value && !pass) {
					found = hstate_option("default_hugepagesz=", value);
					default_hstate = found ? found : default_hstate;
				}
				value = option_value(word, "hugepagesz=");
				if (value && pass)
					h = hstate_option("hugepagesz=", value);
				value = option_value(word, "hugepages=");
				if (value && pass)
					count_option(h ? h : default_hstate, value);
			}
			for (s += len; *s == ' '; s++)
				;
		}
	}
	for (unsigned int i = 0; i < nr_hstates; i++)
		if (hstates[i].order > MAX_ORDER)
			reserve_gigantic(&hstates[i]);
}

/* ---- pages of 1 GiB --------------------------------------------------------------------------- */

static __init void adopt_gigantic(struct hstate *h, phys_addr_t pa)
{
	struct page *head = pfn_to_page(pa >> PAGE_SHIFT);
	u64 pages = 1ull << h->order;
	struct zone *z = page_zone(head);

	head->refcount = 0;
	head->mapcount = -1;
	prep_compound(head, h->order);
	page_set_state(head, PAGE_STATE(PAGE_HUGETLB, h->order, 0, 0));
	z->managed += pages;
	z->shared->managed = z->managed;
	mmvm_shared->totalram += pages;
	hugetlb_add_to_pool(h, head);
}

struct page *hugetlb_alloc_gigantic(unsigned int order)
{
	struct page *head = alloc_contig_pages(1ul << order, GFP_HIGHUSER);

	if (!head)
		return NULL;
	head->refcount = 0;
	prep_compound(head, order);
	page_set_state(head, PAGE_STATE(PAGE_HUGETLB, order, 0, 0));
	return head;
}

void hugetlb_free_gigantic(struct page *head, unsigned int order)
{
	u64 home = head->flags & PAGE_FLAGS_KEPT;

	/* Make the struct pages look like those of a buddy block: boot has left other contents in them. */
	for (u64 i = 0; i < 1ull << order; i++) {
		head[i].flags = home;
		head[i].refcount = 0;
		head[i].mapcount = -1;
		head[i].mapping = NULL;
		head[i].lru.next = NULL;
	}
	for (u64 i = 0; i < 1ull << order; i += 1ull << MAX_ORDER) {
		page_set_state(&head[i], PAGE_STATE(PAGE_OTHER, MAX_ORDER, 0, 0));
		head[i].refcount = 1;
		__free_pages(&head[i], MAX_ORDER);
	}
}

__init void hugetlb_init(void)
{
	for (unsigned int i = 0; i < nr_boot_gigantic; i++)
		adopt_gigantic(&hstates[1], boot_gigantic[i]);
	if (nr_boot_gigantic)
		setup_per_zone_wmarks();
	for (unsigned int i = 0; i < nr_hstates; i++) {
		struct hstate *h = &hstates[i];

		if (!h->boot_pages)
			continue;
		/* Pages of 1 GiB were taken from memblock; those that it could not give are not tried again. */
		if (h->order <= MAX_ORDER)
			hugetlb_set_pool(h, h->boot_pages);
		else
			h->max_huge_pages = h->nr;
		printk("HugeTLB: registered %s page size, pre-allocated %lu pages\n",
		       i ? "1.00 GiB" : "2.00 MiB", (unsigned long)h->nr);
	}
}
