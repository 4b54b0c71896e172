/*
 * Bounce buffers. If a page lies beyond a device's mask, the device uses a copy of it in a pool that every device
 * can reach:
 *
 *   page of the driver            slots of 2 KiB, below 16 MiB
 *   ┌──────────────┐  map         ┌────┬────┬────┬────┐
 *   │ 0x104321000  │ ───────────> │ first of 2 │ free │   <── the device reads and writes here
 *   └──────────────┘ <─────────── └────┴────┴────┴────┘
 *                     unmap, sync_for_cpu: unless the device only reads
 *
 * map copies in every direction. Otherwise bytes that a writing device leaves out would come back as data of the
 * previous user of the slots (Linux copies since 5.18). A mapping is a run of slots within a segment of 128, so
 * none is larger than 256 KiB.
 *
 * W1  A mapping's slots are `used`; the first has its length in slots, its size and its page's address.
 * W2  nr_used = slots that are used.
 *
 * Lock: pool_lock, innermost, interrupts off; copies are made outside of it, for the slots belong to the
 * mapping by then.
 */
#include "mm/dma/swiotlb.h"
#include "mm/phys/highmem.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/phys/memblock.h"
#include "mm/slab/slab.h"
#include "mmvm/audit.h"

#define IO_TLB_SHIFT   11
#define IO_TLB_SIZE    (1ul << IO_TLB_SHIFT)
#define IO_TLB_SEGSIZE 128u /* slots that a mapping may have */

struct io_tlb_slot {
	phys_addr_t orig; /* of the first slot of a mapping */
	u32 size;	  /* bytes; of the first */
	u16 nr;		  /* slots; of the first; 0: the slot is a later one, or free */
	u16 used;
};

phys_addr_t swiotlb_base;
u64 swiotlb_bytes;
static struct io_tlb_slot *slots;	    /* pool_lock, but for what a mapping owns */
static u64 nr_slots, nr_used, used_hiwater; /* pool_lock */
static unsigned int next_slot;		    /* where the last search ended; pool_lock */
static bool full_said;
static spinlock_t pool_lock = SPINLOCK_INIT;

void swiotlb_reserve(const char *option, char *why, size_t why_size)
{
	u64 n = 0;
	const char *p = option;

	why[0] = 0;
	for (; *p >= '0' && *p <= '9' && n < 1ull << 32; p++)
		n = n * 10 + (u64)(*p - '0');
	if (*p || p == option) {
		strscpy(why, "not a number of slots of 2 KiB", why_size);
		return;
	}
	if (!n)
		return; /* none was asked for */
	n = ALIGN_UP(n, (u64)IO_TLB_SEGSIZE);
	if (n << IO_TLB_SHIFT > memblock_total() / 4) {
		strscpy(why, "more than a quarter of memory", why_size);
		return;
	}
	swiotlb_base = memblock_phys_alloc(n << IO_TLB_SHIFT, PAGE_SIZE, 0, 16ull << 20);
	if (!swiotlb_base)
		swiotlb_base = memblock_phys_alloc(n << IO_TLB_SHIFT, PAGE_SIZE, 0, 4ull << 30);
	if (!swiotlb_base) {
		strscpy(why, "there is no such piece of low memory", why_size);
		return;
	}
	nr_slots = n;
}

void swiotlb_init(void)
{
	if (!nr_slots)
		return;
	slots = kcalloc(nr_slots, sizeof(*slots), GFP_KERNEL);
	if (!slots) {
		printk("swiotlb: no memory for the table of %lu slots: no bounce buffers\n",
		       (unsigned long)nr_slots);
		nr_slots = 0;
		return;
	}
	swiotlb_bytes = nr_slots << IO_TLB_SHIFT;
	printk("swiotlb: %lu KiB at 0x%lx\n", (unsigned long)swiotlb_bytes >> 10,
	       (unsigned long)swiotlb_base);
}

/* First free run of `want` slots in [from, to), within a segment; `to` if there is none. */
static unsigned int find_run(unsigned int from, unsigned int to, unsigned int want)
{
	unsigned int run = 0;

	for (unsigned int i = from; i < to; i++) {
		if (i % IO_TLB_SEGSIZE == 0)
			run = 0;
		run = slots[i].used ? 0 : run + 1;
		if (run == want)
			return i + 1 - want;
	}
	return to;
}

/* Slots for a mapping whose last byte must lie within the mask, or nr_slots. */
static unsigned int take_slots(u64 mask, phys_addr_t pa, size_t size)
{
	const unsigned int want = (size + IO_TLB_SIZE - 1) >> IO_TLB_SHIFT;
	unsigned long flags;
	unsigned int at, end = nr_slots;

	/* How many slots of the pool the device can reach. */
	if (mask < swiotlb_base)
		return nr_slots;
	if (mask - swiotlb_base < swiotlb_bytes - 1)
		end = (mask - swiotlb_base + 1) >> IO_TLB_SHIFT;
	flags = spin_lock_irqsave(&pool_lock);
	at = next_slot < end ? find_run(next_slot, end, want) : end;
	if (at == end)
		at = find_run(0, end, want);
	if (at == end) {
		at = nr_slots;
	} else {
		for (unsigned int i = at; i < at + want; i++)
			slots[i] = (struct io_tlb_slot){.used = 1};
		slots[at].orig = pa;
		slots[at].size = size;
		slots[at].nr = want;
		nr_used += want;
		used_hiwater = max(used_hiwater, nr_used);
		next_slot = at + want;
	}
	spin_unlock_irqrestore(&pool_lock, flags);
	return at;
}

enum bounce_dir { TO_BUFFER, TO_PAGE };

/* Between the buffer and the pages that the device cannot reach. */
static void copy_part(dma_addr_t addr, phys_addr_t pa, size_t size, enum bounce_dir dir)
{
	char *buffer = __va(addr);

	for (size_t n; size; size -= n, pa += n, buffer += n) {
		struct page *page = pfn_to_page(pa >> PAGE_SHIFT);
		const size_t offset = pa & ~PAGE_MASK;

		n = min(size, PAGE_SIZE - offset);
		if (dir == TO_PAGE)
			memcpy_to_page(page, offset, buffer, n);
		else
			memcpy_from_page(buffer, page, offset, n);
	}
}

dma_addr_t swiotlb_map(const struct device *dev, phys_addr_t pa, size_t size)
{
	dma_addr_t addr;
	unsigned int at;

	if (!swiotlb_bytes || !size || size > IO_TLB_SEGSIZE * IO_TLB_SIZE)
		return DMA_MAPPING_ERROR;
	at = take_slots(dev->dma_mask, pa, size);
	if (at == nr_slots) {
		if (!full_said)
			printk("%s: swiotlb buffer is full (sz: %zu bytes), total %lu (slots), "
			       "used "
			       "%lu (slots)\n",
			       dev->name, size, (unsigned long)nr_slots, (unsigned long)nr_used);
		full_said = true;
		return DMA_MAPPING_ERROR;
	}
	addr = swiotlb_base + ((u64)at << IO_TLB_SHIFT);
	copy_part(addr, pa, size, TO_BUFFER);
	return addr;
}

/* First slot of the mapping that holds the address. */
static struct io_tlb_slot *slot_of(dma_addr_t addr)
{
	u64 i = (addr - swiotlb_base) >> IO_TLB_SHIFT;

	while (i && slots[i].used && !slots[i].nr)
		i--;
	return &slots[i];
}

/* Copy `size` bytes at `addr` between the buffer and the page, not beyond the mapping. */
static void bounce(dma_addr_t addr, size_t size, enum bounce_dir dir)
{
	const struct io_tlb_slot *s = slot_of(addr);
	const dma_addr_t start = swiotlb_base + ((u64)(s - slots) << IO_TLB_SHIFT);
	const u64 offset = addr - start;

	if (!s->nr || offset >= s->size)
		return; /* a sync of an address that is not mapped: dma_debug reports it */
	size = min(size, (size_t)(s->size - offset));
	copy_part(addr, s->orig + offset, size, dir);
}

void swiotlb_sync_for_cpu(dma_addr_t addr, size_t size, enum dma_data_direction dir)
{
	if (dir == DMA_FROM_DEVICE || dir == DMA_BIDIRECTIONAL)
		bounce(addr, size, TO_PAGE);
}

void swiotlb_sync_for_device(dma_addr_t addr, size_t size, enum dma_data_direction dir)
{
	if (dir == DMA_TO_DEVICE || dir == DMA_BIDIRECTIONAL)
		bounce(addr, size, TO_BUFFER);
}

void swiotlb_unmap(dma_addr_t addr, size_t size, enum dma_data_direction dir)
{
	struct io_tlb_slot *s = slot_of(addr);
	unsigned long flags;
	unsigned int nr;

	swiotlb_sync_for_cpu(addr, size, dir);
	flags = spin_lock_irqsave(&pool_lock);
	nr = s->nr;
	for (unsigned int i = 0; i < nr; i++)
		s[i] = (struct io_tlb_slot){0};
	nr_used -= nr;
	spin_unlock_irqrestore(&pool_lock, flags);
}

u64 swiotlb_nr_slots(void)
{
	return nr_slots;
}

u64 swiotlb_used(void)
{
	return READ_ONCE(nr_used);
}

u64 swiotlb_used_hiwater(void)
{
	return READ_ONCE(used_hiwater);
}

void swiotlb_audit_layout(struct mmvm_audit_swiotlb *a)
{
	a->slots_gva = (u64)slots;
	a->nr_slots = slots ? nr_slots : 0;
	a->used_gva = (u64)&nr_used;
	a->slot_size = sizeof(struct io_tlb_slot);
	a->orig_offset = offsetof(struct io_tlb_slot, orig);
	a->bytes_offset = offsetof(struct io_tlb_slot, size);
	a->run_offset = offsetof(struct io_tlb_slot, nr);
	a->in_use_offset = offsetof(struct io_tlb_slot, used);
}
