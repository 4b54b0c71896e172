/*
 * High memory: which part of RAM it is.
 *
 *   0                                      highmem_start                       end of RAM
 *   | direct map, low memory: all zones    | no address: ZONE_HIGHMEM, ZONE_MOVABLE |
 *
 * I1  Boot memory (memblock) is low: the image, the initrd, struct pages, what is asked for before the buddy runs.
 * I2  A frame is in the direct map exactly if it is below highmem_start. What it holds is reached through a thread's
 *     window otherwise (kvirt/kmap.c).
 */
#include "mm/phys/highmem.h"
#include "mm/phys/internal.h"
#include "mm/phys/memblock.h"

phys_addr_t highmem_start;
unsigned long highmem_map, highmem_map_bytes;

/* The kernel itself must find room. */
#define LOW_AT_LEAST (16ull << 20)

struct cut {
	u64 low; /* bytes that stay in the direct map */
	phys_addr_t at;
};

/* Regions come in address order. */
static __init void find_cut(phys_addr_t base, u64 size, int node, void *arg)
{
	struct cut *c = arg;

	if (c->at)
		return;
	if (c->low < size)
		c->at = max(base, (phys_addr_t)ALIGN_DOWN(base + c->low, PMD_SIZE));
	c->low -= min(c->low, size);
}

__init void highmem_reserve(const char *option, char *why, size_t why_size)
{
	const u64 total = memblock_total();
	struct cut cut = {0};
	u64 size;

	why[0] = 0;
	if (parse_size(option, &size)) {
		strscpy(why, "not a size", why_size);
		return;
	}
	if (!size)
		return; /* none wanted */
	if (size > total || total - size < LOW_AT_LEAST) {
		strscpy(why, "it would leave less than 16M to the kernel", why_size);
		return;
	}
	cut.low = total - size;
	memblock_for_each(find_cut, &cut);
	if (memblock_reserved_from(cut.at)) {
		strscpy(why, "what the VMM has loaded lies there", why_size);
		return;
	}
	memblock_set_limit(cut.at);
	highmem_start = cut.at;
}

__init void highmem_init(void)
{
	if (!highmem_start)
		return;
	highmem_map = (unsigned long)pfn_to_page(highmem_start >> PAGE_SHIFT);
	highmem_map_bytes = (unsigned long)pfn_to_page(memblock_end() >> PAGE_SHIFT) - highmem_map;
}

static bool zone_is_high(const struct zone *z)
{
	return highmem_start && z->start_pfn >= highmem_start >> PAGE_SHIFT;
}

u64 highmem_pages(void)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < nr_zones; i++)
		sum += zone_is_high(zone_table[i]) ? zone_table[i]->managed : 0;
	return sum;
}

u64 highmem_free_pages(void)
{
	s64 sum = 0;

	for (unsigned int i = 0; i < nr_zones; i++)
		sum += zone_is_high(zone_table[i]) ? zone_stat(zone_table[i], NR_FREE_PAGES) : 0;
	return sum > 0 ? sum : 0;
}

void clear_highpages(struct page *page, unsigned long nr)
{
	if (!static_key(KEY_HIGHMEM)) {
		clear_pages(page_address(page), nr);
		return;
	}
	for (unsigned long i = 0; i < nr; i++)
		clear_highpage(page + i);
}

void copy_highpages(struct page *to, const struct page *from, unsigned long nr)
{
	if (!static_key(KEY_HIGHMEM)) {
		copy_pages(page_address(to), page_address(from), nr);
		return;
	}
	for (unsigned long i = 0; i < nr; i++)
		copy_highpage(to + i, from + i);
}
