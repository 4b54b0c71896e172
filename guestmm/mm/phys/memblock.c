/*
 * Boot memory.
 *
 * Before the buddy allocator exists, memory is two short sorted tables of byte ranges:
 *
 *   memory     what the device tree calls RAM, with its node
 *   reserved   what is taken: the kernel image, the initrd, and everything memblock_phys_alloc gave
 *
 * Free is memory minus reserved. At hand-over each whole frame of RAM becomes either PAGE_RESERVED
 * or part of exactly one free block (zone.c), and the tables are only read from then on.
 *
 * I1  Ranges of a table are sorted, not empty and do not overlap; reserved ranges do not even
 *     touch.
 * I2  RAM comes zeroed from the VMM. A third table remembers what has been freed again and may
 *     hold bytes, so that allocations clear only that: clearing is what boot would spend its time
 *     on.
 *
 * One CPU, no interrupts, no locks.
 */
#include "mm/phys/memblock.h"
#include "mm/phys/internal.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MAX_RESERVED 64

struct region {
	phys_addr_t base, end;
	int node;
};

struct table {
	struct region *region;
	unsigned int nr, max;
};

static struct region memory_region[MMVM_MAX_RAM_REGIONS];
static struct region reserved_region[MAX_RESERVED];
static struct region dirty_region[MAX_RESERVED];
static phys_addr_t limit = ~0ull; /* allocations end here: what is above is not in the direct map */
static struct table memory = {memory_region, 0, MMVM_MAX_RAM_REGIONS};
static struct table reserved = {reserved_region, 0, MAX_RESERVED};
static struct table dirty = {dirty_region, 0, MAX_RESERVED};

static void remove_at(struct table *t, unsigned int i)
{
	t->nr--;
	memmove(&t->region[i], &t->region[i + 1], (t->nr - i) * sizeof(*t->region));
}

static int insert_at(struct table *t, unsigned int i, phys_addr_t base, phys_addr_t end, int node)
{
	if (t->nr == t->max)
		return -ENOMEM;
	memmove(&t->region[i + 1], &t->region[i], (t->nr - i) * sizeof(*t->region));
	t->region[i] = (struct region){base, end, node};
	t->nr++;
	return 0;
}

/* First region that ends at or behind `base`. */
static unsigned int find(const struct table *t, phys_addr_t base)
{
	unsigned int i = 0;

	while (i < t->nr && t->region[i].end < base)
		i++;
	return i;
}

/* Add a range to a table whose ranges merge: all that it touches become one. */
static int add_merged(struct table *t, phys_addr_t base, phys_addr_t end)
{
	unsigned int i = find(t, base);

	if (i == t->nr || t->region[i].base > end)
		return insert_at(t, i, base, end, 0);
	t->region[i].base = min(t->region[i].base, base);
	t->region[i].end = max(t->region[i].end, end);
	while (i + 1 < t->nr && t->region[i + 1].base <= t->region[i].end) {
		t->region[i].end = max(t->region[i].end, t->region[i + 1].end);
		remove_at(t, i + 1);
	}
	return 0;
}

int memblock_add(phys_addr_t base, u64 size, int node)
{
	phys_addr_t end = base + size;
	unsigned int i;

	if (!size || end < base || node < 0 || node >= MMVM_MAX_NODES)
		return -EINVAL;
	for (i = 0; i < memory.nr && memory.region[i].base < end; i++)
		if (memory.region[i].end > base)
			return -EINVAL;
	if (i && memory.region[i - 1].end == base && memory.region[i - 1].node == node) {
		memory.region[i - 1].end = end;
		return 0;
	}
	return insert_at(&memory, i, base, end, node);
}

int memblock_reserve(phys_addr_t base, u64 size)
{
	if (!size || base + size < base)
		return -EINVAL;
	return add_merged(&reserved, base, base + size);
}

int memblock_free(phys_addr_t base, u64 size)
{
	phys_addr_t end = base + size;
	unsigned int i;
	int err;

	if (!size || end < base)
		return -EINVAL;
	i = find(&reserved, base);
	if (i < reserved.nr && reserved.region[i].end == base)
		i++;
	if (i == reserved.nr || reserved.region[i].base > base || reserved.region[i].end < end)
		return -EINVAL;
	err = add_merged(&dirty, base, end);
	if (err)
		return err;
	if (reserved.region[i].end > end) {
		phys_addr_t last = reserved.region[i].end;

		if (reserved.region[i].base == base) {
			reserved.region[i].base = end;
			return 0;
		}
		err = insert_at(&reserved, i + 1, end, last, 0);
		if (err)
			return err;
	}
	reserved.region[i].end = base;
	if (reserved.region[i].base == base)
		remove_at(&reserved, i);
	return 0;
}

static void clear_dirty(phys_addr_t base, phys_addr_t end)
{
	for (unsigned int i = 0; i < dirty.nr; i++) {
		phys_addr_t from = max(base, dirty.region[i].base);
		phys_addr_t to = min(end, dirty.region[i].end);

		if (from < to)
			memset(__va(from), 0, to - from);
	}
}

phys_addr_t memblock_phys_alloc(u64 size, u64 align, phys_addr_t lo, phys_addr_t hi)
{
	if (!size || !align || (align & (align - 1)))
		return 0;
	lo = max(lo, (phys_addr_t)PAGE_SIZE); /* 0 means failure */
	hi = hi ? min(hi, limit) : limit;
	for (unsigned int i = 0; i < memory.nr; i++) {
		phys_addr_t end = min(memory.region[i].end, hi);
		phys_addr_t base = ALIGN_UP(max(memory.region[i].base, lo), align);

		for (unsigned int r = 0; r < reserved.nr; r++) {
			if (reserved.region[r].end <= base)
				continue;
			if (base + size <= reserved.region[r].base)
				break;
			base = ALIGN_UP(reserved.region[r].end, align);
		}
		if (base + size < base || base + size > end)
			continue;
		if (add_merged(&reserved, base, base + size))
			return 0;
		clear_dirty(base, base + size);
		return base;
	}
	return 0;
}

void memblock_set_limit(phys_addr_t addr)
{
	limit = addr;
}

bool memblock_reserved_from(phys_addr_t addr)
{
	return reserved.nr && reserved.region[reserved.nr - 1].end > addr;
}

u64 memblock_total(void)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < memory.nr; i++)
		sum += memory.region[i].end - memory.region[i].base;
	return sum;
}

phys_addr_t memblock_end(void)
{
	return memory.nr ? memory.region[memory.nr - 1].end : 0;
}

void memblock_for_each(void (*fn)(phys_addr_t base, u64 size, int node, void *arg), void *arg)
{
	for (unsigned int i = 0; i < memory.nr; i++)
		fn(memory.region[i].base, memory.region[i].end - memory.region[i].base,
		   memory.region[i].node, arg);
}

void memblock_for_each_span(memblock_span_fn fn, void *arg)
{
	for (unsigned int i = 0; i < memory.nr; i++) {
		pfn_t pfn = DIV_ROUND_UP(memory.region[i].base, PAGE_SIZE);
		pfn_t end = memory.region[i].end >> PAGE_SHIFT;
		int node = memory.region[i].node;

		for (unsigned int r = 0; r < reserved.nr && pfn < end; r++) {
			/* A frame that is reserved in part is reserved. */
			pfn_t from = reserved.region[r].base >> PAGE_SHIFT;
			pfn_t to = DIV_ROUND_UP(reserved.region[r].end, PAGE_SIZE);

			if (to <= pfn || from >= end)
				continue;
			if (from > pfn)
				fn(pfn, from, node, false, arg);
			from = max(from, pfn);
			to = min(to, end);
			fn(from, to, node, true, arg);
			pfn = to;
		}
		if (pfn < end)
			fn(pfn, end, node, false, arg);
	}
}
