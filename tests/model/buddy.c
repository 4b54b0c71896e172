/*
 * The page allocator against a trivial reference: a table that says which block owns each frame.
 *
 * 300,000 random allocations and frees of every order, zone and mobility; each block carries its
 * number in its first and last word. Often the whole of memory is walked (check.c). In the end all
 * is given back, and memory must be what it was after boot, in blocks as large.
 *
 *   buddy [SEED [OPERATIONS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "host.h"
#include "mm/phys/folio.h"
#include "mm/phys/internal.h"

#define MAX_BLOCKS 6000

static struct block {
	struct page *page;
	unsigned int order;
	u64 stamp;
} block[MAX_BLOCKS];
static unsigned int nr_blocks;
static u32 *owner; /* by frame: stamp's low bits, 0 = free */

#define REQUIRE(cond, ...)                                              \
	do {                                                            \
		if (!(cond)) {                                          \
			fprintf(stderr, "operation %lu: " __VA_ARGS__); \
			fputc('\n', stderr);                            \
			exit(1);                                        \
		}                                                       \
	} while (0)

static unsigned long op;

static u64 *last_word(const struct block *b)
{
	return (u64 *)((char *)host_page(b->page) + (PAGE_SIZE << b->order)) - 1;
}

static void take(gfp_t gfp, unsigned int order)
{
	struct block *b = &block[nr_blocks];
	struct page *page = alloc_pages(gfp | __GFP_NOWARN, order);
	pfn_t pfn;

	if (!page) {
		/* Only when no zone that the flags allow has a block of that order at all, or the
		 * watermarks forbid it: the exact rules are in mm_phys.c. Here: memory must be low
		 * or in pieces. */
		u64 free = 0;

		for (unsigned int i = 0; i < nr_zones; i++)
			if (zone_table[i]->type <= gfp_zone(gfp))
				for (unsigned int o = max(order, 4u); o < NR_ORDERS; o++)
					free += zone_table[i]->free_area[o].nr_free << o;
		REQUIRE(free < 1024 || order > 3, "order %u failed with %lu pages in large blocks",
			op, order, (unsigned long)free);
		return;
	}
	pfn = page_to_pfn(page);
	REQUIRE(page->refcount == 1 && page->mapcount == -1 && page->type == PAGE_OTHER &&
			page->order == order && !page->mapping && !page->private_,
		"I1: frame %lx comes in a bad state", op, pfn);
	REQUIRE(page_zone(page)->type <= gfp_zone(gfp), "gfp %x got zone %s", op, gfp,
		page_zone(page)->shared->name);
	*b = (struct block){page, order, op + 1};
	for (pfn_t i = pfn; i < pfn + (1ul << order); i++) {
		REQUIRE(pfn_valid(i) && !owner[i], "frame %lx is given out twice", op, i);
		owner[i] = b->stamp;
		REQUIRE(page_folio(pfn_to_page(i)) ==
				(const struct folio *)((gfp & __GFP_COMP) ? page : pfn_to_page(i)),
			"frame %lx has a wrong head", op, i);
	}
	if (gfp & __GFP_ZERO)
		REQUIRE(!*(u64 *)host_page(page) && !*last_word(b), "not zero", op);
	*(u64 *)host_page(page) = b->stamp;
	*last_word(b) = b->stamp;
	nr_blocks++;
}

static void put(unsigned int which)
{
	struct block *b = &block[which];
	pfn_t pfn = page_to_pfn(b->page);

	REQUIRE(*(u64 *)host_page(b->page) == b->stamp && *last_word(b) == b->stamp,
		"block %lx was overwritten", op, pfn);
	for (pfn_t i = pfn; i < pfn + (1ul << b->order); i++)
		owner[i] = 0;
	switch (get_random_u64() % 4) {
	case 0:
		put_page(b->page);
		break;
	case 1:
		if (b->order && b->order <= 4 && !PageHead(b->page)) {
			unsigned int n = 1u << b->order;
			LIST_HEAD(list);

			split_page(b->page, b->order);
			for (unsigned int i = 0; i < n; i++) {
				b->page[i].refcount = 0;
				list_add(&b->page[i].lru, &list);
			}
			free_unref_page_list(&list);
			break;
		}
		/* fallthrough */
	default:
		__free_pages(b->page, b->order);
	}
	*b = block[--nr_blocks];
}

static gfp_t random_gfp(void)
{
	static const gfp_t kinds[] = {
		GFP_KERNEL & ~__GFP_DIRECT_RECLAIM,
		GFP_ATOMIC,
		GFP_NOWAIT,
		GFP_NOWAIT | __GFP_DMA,
		GFP_NOWAIT | __GFP_DMA32,
		GFP_NOWAIT | __GFP_MOVABLE | __GFP_HIGHMEM,
		GFP_NOWAIT | __GFP_MOVABLE | __GFP_HIGHMEM,
		GFP_NOWAIT | __GFP_RECLAIMABLE,
		GFP_NOWAIT | __GFP_ZERO,
		GFP_NOWAIT | __GFP_COMP,
	};

	return kinds[get_random_u64() % ARRAY_SIZE(kinds)];
}

int main(int argc, char **argv)
{
	unsigned long ops = argc > 2 ? strtoul(argv[2], NULL, 0) : 300000;
	u64 before[NR_ORDERS] = {0}, after[NR_ORDERS] = {0}, free_before;
	unsigned int target = 0;

	if (argc > 1)
		host_random = strtoull(argv[1], NULL, 0);
	printf("seed %#lx, %lu operations\n", (unsigned long)host_random, ops);
	owner = calloc(HOST_PHYS_SIZE >> PAGE_SHIFT, sizeof(*owner));
	if (!owner)
		return 1;
	host_boot_default("");
	drain_all_pages();
	free_before = nr_free_pages();
	for (unsigned int i = 0; i < nr_zones; i++)
		for (unsigned int o = 0; o < NR_ORDERS; o++)
			before[o] += zone_table[i]->free_area[o].nr_free;

	for (op = 0; op < ops; op++) {
		/* Wander between nearly empty and nearly full. */
		if (op % 5000 == 0)
			target = get_random_u64() % MAX_BLOCKS;
		if (nr_blocks < MAX_BLOCKS &&
		    (!nr_blocks || get_random_u64() % 100 < (nr_blocks < target ? 65 : 35))) {
			u64 r = get_random_u64() % 100;
			unsigned int order = r < 70 ? 0 : r < 95 ? r % 4 : r % 11;

			take(random_gfp(), order);
		} else {
			put(get_random_u64() % nr_blocks);
		}
		if (op % 64 == 0)
			drain_local_pages();
		if (op % 2500 == 0)
			REQUIRE(!check_pages(), "invariants broken", op);
	}
	while (nr_blocks)
		put(nr_blocks - 1);
	drain_all_pages();
	REQUIRE(!check_pages(), "invariants broken", op);
	REQUIRE(nr_free_pages() == free_before, "%ld pages lost", op,
		(long)(free_before - nr_free_pages()));
	for (unsigned int i = 0; i < nr_zones; i++)
		for (unsigned int o = 0; o < NR_ORDERS; o++)
			after[o] += zone_table[i]->free_area[o].nr_free;
	for (unsigned int o = 0; o < NR_ORDERS; o++)
		REQUIRE(after[o] == before[o], "order %u: %lu blocks, after boot %lu", op, o,
			(unsigned long)after[o], (unsigned long)before[o]);
	/* The paths that this is about were taken. */
	REQUIRE(sum_vm_event(MMVM_PCP_REFILL) > 1000, "too few refills", op);
	REQUIRE(sum_vm_event(MMVM_PCP_DRAIN) > 1000, "too few drains", op);
	REQUIRE(sum_vm_event(MMVM_BUDDY_FALLBACK) > 100, "too few fallbacks", op);
	REQUIRE(sum_vm_event(MMVM_BUDDY_STEAL_BLOCK) > 10, "too few pageblocks taken over", op);
	printf("ok: %lu refills, %lu drains, %lu fallbacks, %lu pageblocks taken over\n",
	       (unsigned long)sum_vm_event(MMVM_PCP_REFILL),
	       (unsigned long)sum_vm_event(MMVM_PCP_DRAIN),
	       (unsigned long)sum_vm_event(MMVM_BUDDY_FALLBACK),
	       (unsigned long)sum_vm_event(MMVM_BUDDY_STEAL_BLOCK));
	return 0;
}
