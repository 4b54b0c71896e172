/*
 * DMA checking: every live mapping and coherent block has an entry in a hash by device address. The arguments of
 * later calls are compared with those of the call that made it.
 *
 *   buckets[hash(page of addr)] -> entry -> entry ...        free -> entry -> entry ...
 *
 * Entries come from one array taken when checking is switched on: the checker must not need memory in the middle of
 * reclaim. When the array is used up, checking ends with a message: from then on an unknown address would not be an
 * error any more.
 *
 * DD1: while dma_debug is true, an entry exists for each live mapping, and for nothing else.
 *
 * Two mappings of one address are legal (a buffer may be read by two requests), so a lookup takes the entry that
 * matches the caller's arguments best and reports an error only if no entry matches all of them.
 *
 * Lock: dd_lock, innermost but for the console.
 */
#include "lib/errno.h"
#include "lib/spinlock.h"
#include "mm/dma/dma_debug.h"
#include "mm/kvirt/vmalloc.h"

#define NR_ENTRIES 4096
#define NR_BUCKETS 256

struct dd_entry {
	struct dd_entry *next; /* in its bucket, or on the free list */
	struct device *dev;
	dma_addr_t addr;
	size_t size;
	u8 kind, dir;
};

bool dma_debug;
static struct dd_entry *buckets[NR_BUCKETS]; /* dd_lock */
static struct dd_entry *free_entries;	     /* dd_lock */
static spinlock_t dd_lock = SPINLOCK_INIT;

/* What can be wrong; the first of each is printed. */
enum dd_error {
	DD_UNKNOWN,
	DD_SIZE,
	DD_DIRECTION,
	DD_KIND,
	DD_DEVICE,
	DD_SYNC_RANGE,
	DD_BAD_MAP,
	DD_LEAK,
	NR_DD_ERRORS
};
static const char *const dd_text[NR_DD_ERRORS] = {
	[DD_UNKNOWN] = "unmapping or syncing what is not mapped (a second time?)",
	[DD_SIZE] = "unmapping with another size",
	[DD_DIRECTION] = "another direction than at mapping",
	[DD_KIND] = "a streaming mapping freed as coherent memory, or the reverse",
	[DD_DEVICE] = "another device than at mapping",
	[DD_SYNC_RANGE] = "syncing beyond the mapping",
	[DD_BAD_MAP] = "mapping what cannot be mapped",
	[DD_LEAK] = "device goes with something still mapped",
};
static u64 nr_errors[NR_DD_ERRORS]; /* atomic */

static const char *const dir_name[] = {"bidirectional", "to device", "from device", "none"};

static void dd_error(enum dd_error what, const struct device *dev, dma_addr_t addr, size_t size,
		     const char *detail)
{
	if (atomic_add_return(&nr_errors[what], 1) == 1)
		printk("DMA-API: %s: %s: address 0x%lx size %zu: %s\n", dev ? dev->name : "?",
		       dd_text[what], (unsigned long)addr, size, detail);
}

u64 dma_debug_errors(void)
{
	u64 sum = 0;

	for (int i = 0; i < NR_DD_ERRORS; i++)
		sum += READ_ONCE(nr_errors[i]);
	return sum;
}

int dma_debug_init(void)
{
	struct dd_entry *e = vzalloc(NR_ENTRIES * sizeof(*e));

	if (!e)
		return -ENOMEM;
	for (int i = 0; i < NR_ENTRIES; i++) {
		e[i].next = free_entries;
		free_entries = &e[i];
	}
	dma_debug = true;
	return 0;
}

static struct dd_entry **bucket(dma_addr_t addr)
{
	u64 pfn = addr >> PAGE_SHIFT;

	return &buckets[(pfn ^ pfn >> 8) % NR_BUCKETS];
}

void dma_debug_add(struct device *dev, enum dma_debug_kind kind, dma_addr_t addr, size_t size,
		   enum dma_data_direction dir)
{
	unsigned long flags = spin_lock_irqsave(&dd_lock);
	struct dd_entry *e = free_entries, **b = bucket(addr);

	if (e) {
		free_entries = e->next;
		*e = (struct dd_entry){*b, dev, addr, size, kind, dir};
		*b = e;
	} else {
		dma_debug = false;
	}
	spin_unlock_irqrestore(&dd_lock, flags);
	if (!e)
		printk("DMA-API: more than %d mappings, checking ends\n", NR_ENTRIES);
}

/** How many of the caller's arguments match the entry; 4: all. */
static int dd_fit(const struct dd_entry *e, const struct device *dev, enum dma_debug_kind kind,
		  size_t size, enum dma_data_direction dir)
{
	return (e->dev == dev) + (e->kind == kind) + (e->size == size) + (e->dir == dir);
}

bool dma_debug_remove(struct device *dev, enum dma_debug_kind kind, dma_addr_t addr, size_t size,
		      enum dma_data_direction dir)
{
	unsigned long flags = spin_lock_irqsave(&dd_lock);
	struct dd_entry **link, **best = NULL, e;
	int best_fit = -1;

	for (link = bucket(addr); *link; link = &(*link)->next) {
		int fit = (*link)->addr == addr ? dd_fit(*link, dev, kind, size, dir) : -1;

		if (fit > best_fit) {
			best_fit = fit;
			best = link;
		}
	}
	if (best && (*best)->kind == kind) {
		struct dd_entry *gone = *best;

		e = *gone;
		*best = gone->next;
		gone->next = free_entries;
		free_entries = gone;
	} else if (best) {
		e = **best; /* an entry of the other kind stays, because its owner will still free it */
	}
	spin_unlock_irqrestore(&dd_lock, flags);

	if (!best) {
		dd_error(DD_UNKNOWN, dev, addr, size, "no entry");
		return false;
	}
	if (e.kind != kind) {
		dd_error(DD_KIND, dev, addr, size, e.dev->name);
		return false;
	}
	if (e.dev != dev)
		dd_error(DD_DEVICE, dev, addr, size, e.dev->name);
	if (e.dir != dir)
		dd_error(DD_DIRECTION, dev, addr, size, dir_name[e.dir]);
	if (e.size != size)
		dd_error(DD_SIZE, dev, addr, size, "mapped with another");
	/* Freeing coherent memory by a wrong size would free somebody else's pages. */
	return kind == DMA_DEBUG_STREAMING || e.size == size;
}

/** May a mapping of direction `mapped` be synced as `dir`? */
static bool sync_dir_ok(enum dma_data_direction mapped, enum dma_data_direction dir)
{
	return dir == mapped || (mapped == DMA_BIDIRECTIONAL && dir < DMA_NONE);
}

void dma_debug_sync(struct device *dev, dma_addr_t addr, size_t size, enum dma_data_direction dir)
{
	const struct dd_entry *found = NULL;
	enum dd_error what = DD_UNKNOWN;
	unsigned long flags = spin_lock_irqsave(&dd_lock);

	/* A part of a mapping may be synced, so its entry may be in any bucket. */
	for (int i = 0; i < NR_BUCKETS && what != NR_DD_ERRORS; i++) {
		for (found = buckets[i]; found; found = found->next) {
			if (found->dev != dev || found->kind != DMA_DEBUG_STREAMING ||
			    addr < found->addr || addr - found->addr >= found->size)
				continue;
			if (size > found->size - (addr - found->addr)) {
				what = DD_SYNC_RANGE;
			} else if (!sync_dir_ok(found->dir, dir)) {
				what = DD_DIRECTION;
			} else {
				what = NR_DD_ERRORS; /* all is well */
				break;
			}
		}
	}
	spin_unlock_irqrestore(&dd_lock, flags);
	if (what != NR_DD_ERRORS)
		dd_error(what, dev, addr, size, dir <= DMA_NONE ? dir_name[dir] : "?");
}

void dma_debug_bad_map(struct device *dev, const void *ptr, size_t size, const char *why)
{
	if (dma_debug)
		dd_error(DD_BAD_MAP, dev, (unsigned long)ptr, size, why);
}

unsigned int dma_debug_check_leaks(struct device *dev)
{
	unsigned long flags;
	unsigned int n = 0;
	struct dd_entry first = {.size = 0};

	flags = spin_lock_irqsave(&dd_lock);
	for (int i = 0; i < NR_BUCKETS; i++) {
		for (struct dd_entry *e = buckets[i]; e; e = e->next) {
			if (e->dev != dev)
				continue;
			if (!n++)
				first = *e;
		}
	}
	spin_unlock_irqrestore(&dd_lock, flags);
	for (unsigned int i = 0; i < n; i++)
		dd_error(DD_LEAK, dev, first.addr, first.size,
			 first.kind == DMA_DEBUG_COHERENT ? "coherent" : dir_name[first.dir]);
	return n;
}
