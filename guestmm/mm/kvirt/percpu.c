/*
 * The allocator of per-CPU memory.
 *
 * Memory comes in chunks. A chunk has one unit per CPU, all of the same size and one after the other. So the copies
 * of an object are one unit apart in every chunk, and one offset per CPU leads to them (I1). The first chunk holds
 * the static variables (arch/); the rest of it is the reserve. Further chunks come from vmalloc; a CPU's unit is
 * made of memory of its node.
 *
 *   chunk   | unit of CPU 0 | unit of CPU 1 | ...      allocated: the same bytes of each unit
 *
 * A unit is divided into granules of 4 bytes. Two bitmaps record which are taken, and where objects begin. A chunk
 * records its longest run of free granules, or an upper bound, and is on the list for that length (by powers of
 * two). An allocation takes the first chunk that fits, starting with the shortest runs, so that long runs are kept
 * and chunks become empty.
 *
 * I1  ptr + __per_cpu_offset[cpu] is the CPU's copy, for each object of each chunk:
 *     __per_cpu_offset[cpu] = __per_cpu_offset[0] + cpu * unit.
 * I2  free + the granules set in `taken` = granules of a unit. `longest` is never less than the longest run
 *     of zeroes there.
 * I3  After an allocation or a free by a caller that may sleep, at most one chunk beyond the first is empty.
 *
 * Locks: percpu_mutex > percpu_lock (interrupts off). The maps are percpu_lock's; the set of chunks
 * changes under both.
 */
#include "arch/irqflags.h"
#include "lib/env.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/kvirt/percpu.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab.h"
#include "mmvm/audit.h"

#define GRANULE	    4u
#define MAX_UNIT    (64u << 10)
#define MIN_UNIT    (32u << 10) /* Linux's PCPU_MIN_UNIT_SIZE */
#define MIN_RESERVE (16u << 10) /* of the first chunk: what boot takes before there is vmalloc */
#define WORD	    (8 * sizeof(unsigned long))
#define NR_LISTS    16 /* list i: longest run of 2^i granules and more; 0: none */

unsigned long __per_cpu_offset[MMVM_MAX_CPUS];
unsigned int nr_cpu_ids = 1;

struct chunk {
	struct list_head node;	    /* percpu_lock: lists[] */
	struct list_head all;	    /* percpu_lock */
	unsigned long base;	    /* C: unit of CPU 0 */
	unsigned int free, longest; /* percpu_lock: granules */
	unsigned int first;	    /* percpu_lock: all granules before it are taken */
	unsigned int statics;	    /* C: granules of static variables at the front, never freed */
	unsigned long *taken;	    /* percpu_lock: a bit per granule */
	unsigned long
		*begins; /* percpu_lock: the same, first of an object or of a free run behind one */
};

static spinlock_t percpu_lock = SPINLOCK_INIT;
static struct mutex percpu_mutex = MUTEX_INIT(percpu_mutex);
static struct list_head lists[NR_LISTS];
static struct list_head chunks = LIST_HEAD_INIT(chunks);
static struct chunk first_chunk;
static unsigned long first_maps[2][MAX_UNIT / GRANULE / WORD];

static unsigned int nr_units, unit_granules; /* C */
static u64 unit_size;			     /* C */
static u64 nr_pages;			     /* percpu_mutex to change, read without */
static unsigned int nr_chunks, nr_empty;     /* percpu_lock */

/* ---- bits ---- */

static inline bool test_bit_of(const unsigned long *map, unsigned int i)
{
	return map[i / WORD] >> i % WORD & 1;
}

/* First bit that is `value` in [i, end), or end. */
static unsigned int find_bit(const unsigned long *map, unsigned int i, unsigned int end,
			     unsigned int value)
{
	while (i < end) {
		unsigned long w = value ? map[i / WORD] : ~map[i / WORD];

		w >>= i % WORD;
		if (w)
			return min(i + (unsigned int)__builtin_ctzl(w), end);
		i = (i / WORD + 1) * WORD;
	}
	return end;
}

static void fill_bits(unsigned long *map, unsigned int i, unsigned int n, unsigned int value)
{
	for (; n && i % WORD; i++, n--)
		map[i / WORD] = (map[i / WORD] & ~(1ul << i % WORD)) | (unsigned long)value
									       << i % WORD;
	for (; n >= WORD; i += WORD, n -= WORD)
		map[i / WORD] = value ? ~0ul : 0;
	for (; n; i++, n--)
		map[i / WORD] = (map[i / WORD] & ~(1ul << i % WORD)) | (unsigned long)value
									       << i % WORD;
}

/* ---- chunks ---- */

static unsigned int list_of(unsigned int longest)
{
	unsigned int i = longest ? 32 - (unsigned int)__builtin_clz(longest) : 0;

	return min(i, NR_LISTS - 1u);
}

static void chunk_relist(struct chunk *c)
{
	list_del(&c->node);
	list_add(&c->node, &lists[list_of(c->longest)]);
}

static inline bool chunk_is_empty(const struct chunk *c)
{
	return c->free == unit_granules;
}

static void chunk_add(struct chunk *c)
{
	list_add_tail(&c->all, &chunks);
	list_add(&c->node, &lists[list_of(c->longest)]);
}

static struct chunk *chunk_create(gfp_t gfp)
{
	const unsigned int map_bytes = DIV_ROUND_UP(unit_granules, WORD) * sizeof(unsigned long);
	struct chunk *c = kzalloc(sizeof(*c) + 2 * map_bytes, gfp);

	if (!c)
		return NULL;
	c->base = (unsigned long)vmalloc_percpu(unit_size, nr_units, gfp);
	if (!c->base) {
		kfree(c);
		return NULL;
	}
	c->taken = (unsigned long *)(c + 1);
	c->begins = c->taken + map_bytes / sizeof(unsigned long);
	c->free = c->longest = unit_granules;
	nr_pages += nr_units * (unit_size >> PAGE_SHIFT);
	return c;
}

static void chunk_destroy(struct chunk *c)
{
	nr_pages -= nr_units * (unit_size >> PAGE_SHIFT);
	vfree((void *)c->base);
	kfree(c);
}

/* Free all empty chunks but one (I3). percpu_mutex held. */
static void trim_chunks(void)
{
	for (;;) {
		struct chunk *c, *victim = NULL;
		unsigned long flags = spin_lock_irqsave(&percpu_lock);

		if (nr_empty > 1) {
			list_for_each_entry (c, &chunks, all)
				if (c != &first_chunk && chunk_is_empty(c))
					victim = c;
		}
		if (victim) {
			list_del(&victim->all);
			list_del(&victim->node);
			nr_empty--;
			nr_chunks--;
		}
		spin_unlock_irqrestore(&percpu_lock, flags);
		if (!victim)
			return;
		chunk_destroy(victim);
	}
}

/* ---- allocating ---- */

/* First granule of a free run of n, aligned in the unit, or unit_granules; then `longest` is exact. */
static unsigned int chunk_find(struct chunk *c, unsigned int n, unsigned int align)
{
	unsigned int longest = 0, i = c->first, end;

	for (; i < unit_granules; i = end) {
		unsigned int at;

		i = find_bit(c->taken, i, unit_granules, 0);
		end = find_bit(c->taken, i, unit_granules, 1);
		at = ALIGN_UP(i, align);
		if (at < end && end - at >= n)
			return at;
		longest = max(longest, end - i);
	}
	c->longest = longest;
	chunk_relist(c);
	return unit_granules;
}

static void chunk_take(struct chunk *c, unsigned int at, unsigned int n)
{
	const unsigned int end = at + n;

	if (c != &first_chunk && chunk_is_empty(c))
		nr_empty--;
	fill_bits(c->taken, at, n, 1);
	fill_bits(c->begins, at, n, 0); /* bits of earlier objects */
	c->begins[at / WORD] |= 1ul << at % WORD;
	if (end < unit_granules)
		c->begins[end / WORD] |= 1ul << end % WORD;
	c->free -= n;
	if (at == c->first)
		c->first = end;
	if (c->longest > c->free) {
		c->longest = c->free;
		chunk_relist(c);
	}
}

/* An object of n granules of any chunk. Returns its address in the unit of CPU 0, or 0. percpu_lock held. */
static unsigned long take(unsigned int n, unsigned int align)
{
	for (unsigned int l = list_of(n); l < NR_LISTS; l++) {
		struct list_head *pos, *next;

		for (pos = lists[l].next; pos != &lists[l]; pos = next) {
			struct chunk *c = list_entry(pos, struct chunk, node);
			unsigned int at;

			next = pos->next;
			if (c->longest < n)
				continue;
			at = chunk_find(c, n, align);
			if (at == unit_granules)
				continue;
			chunk_take(c, at, n);
			return c->base + (unsigned long)at * GRANULE;
		}
	}
	return 0;
}

void __percpu *alloc_percpu_gfp(size_t size, size_t align, gfp_t gfp)
{
	unsigned int n = DIV_ROUND_UP(size, GRANULE), a = DIV_ROUND_UP(align, GRANULE);
	unsigned long addr, flags;

	if (!size || size > unit_size / 4 || align > PAGE_SIZE || (align & (align - 1)))
		return NULL;
	a = max(a, 1u);
	flags = spin_lock_irqsave(&percpu_lock);
	addr = take(n, a);
	spin_unlock_irqrestore(&percpu_lock, flags);
	if (unlikely(!addr) && gfp & __GFP_DIRECT_RECLAIM) {
		mutex_lock(&percpu_mutex);
		flags = spin_lock_irqsave(&percpu_lock);
		addr = take(n, a); /* another thread may have made a chunk */
		spin_unlock_irqrestore(&percpu_lock, flags);
		if (!addr) {
			struct chunk *c = chunk_create(gfp & ~__GFP_ACCOUNT);

			if (c) {
				flags = spin_lock_irqsave(&percpu_lock);
				chunk_add(c);
				nr_chunks++;
				nr_empty++;
				addr = take(n, a);
				spin_unlock_irqrestore(&percpu_lock, flags);
			}
		}
		mutex_unlock(&percpu_mutex);
	}
	if (!addr)
		return NULL;
	for (unsigned int cpu = 0; cpu < nr_cpu_ids; cpu++)
		memset((void *)(addr + cpu * unit_size), 0, size);
	return (void *)(addr - __per_cpu_offset[0]);
}

void __percpu *alloc_percpu(size_t size, size_t align)
{
	return alloc_percpu_gfp(size, align, GFP_KERNEL);
}

static struct chunk *chunk_of(unsigned long addr)
{
	struct chunk *c;

	list_for_each_entry (c, &chunks, all)
		if (addr - c->base < unit_size)
			return c;
	return NULL;
}

void free_percpu(void __percpu *ptr)
{
	unsigned long addr = (unsigned long)ptr + __per_cpu_offset[0], flags;
	unsigned int at, n, run;
	struct chunk *c;
	bool trim;

	if (!ptr)
		return;
	flags = spin_lock_irqsave(&percpu_lock);
	c = chunk_of(addr);
	at = c ? (unsigned int)((addr - c->base) / GRANULE) : 0;
	if (unlikely(!c || addr % GRANULE || at < c->statics || !test_bit_of(c->taken, at) ||
		     !test_bit_of(c->begins, at)))
		panic("BUG: free_percpu of %p, which is no per-CPU object in use", ptr);
	n = find_bit(c->begins, at + 1, unit_granules, 1) - at;
	fill_bits(c->taken, at, n, 0);
	c->free += n;
	c->first = min(c->first, at);
	/* The run that it is part of now. */
	run = find_bit(c->taken, at, unit_granules, 1);
	while (at && !test_bit_of(c->taken, at - 1))
		at--;
	if (run - at > c->longest) {
		c->longest = run - at;
		chunk_relist(c);
	}
	if (c != &first_chunk && chunk_is_empty(c))
		nr_empty++;
	trim = nr_empty > 1;
	spin_unlock_irqrestore(&percpu_lock, flags);
	if (unlikely(trim) && may_sleep()) {
		mutex_lock(&percpu_mutex);
		trim_chunks();
		mutex_unlock(&percpu_mutex);
	}
}

/* ---- reports ---- */

u64 percpu_nr_pages(void)
{
	return READ_ONCE(nr_pages);
}

unsigned int percpu_nr_chunks(void)
{
	return READ_ONCE(nr_chunks);
}

u64 percpu_used_bytes(void)
{
	unsigned long flags = spin_lock_irqsave(&percpu_lock);
	struct chunk *c;
	u64 n = 0;

	list_for_each_entry (c, &chunks, all)
		n += unit_granules - c->free - c->statics;
	spin_unlock_irqrestore(&percpu_lock, flags);
	return n * GRANULE;
}

void percpu_audit_layout(struct mmvm_audit_percpu *l)
{
	*l = (struct mmvm_audit_percpu){
		.offsets_gva = (u64)__per_cpu_offset,
		.unit = unit_size,
		.chunks_gva = (u64)&chunks,
		.nr_pages_gva = (u64)&nr_pages,
		.locked_gva = (u64)&percpu_mutex.locked,
		.nr_cpus = nr_units,
		.granule = GRANULE,
		.link_offset = offsetof(struct chunk, all),
		.base_offset = offsetof(struct chunk, base),
		.free_offset = offsetof(struct chunk, free),
		.longest_offset = offsetof(struct chunk, longest),
		.taken_offset = offsetof(struct chunk, taken),
	};
	arch_percpu_audit_layout(l);
}

/* ---- boot ---- */

u64 percpu_unit_size(u64 statics)
{
	return max(ALIGN_UP(statics + MIN_RESERVE, PAGE_SIZE), (u64)MIN_UNIT);
}

void percpu_first_chunk(unsigned long base, u64 unit, u64 statics, unsigned int n,
			unsigned int pages)
{
	struct chunk *c = &first_chunk;

	if (unit > MAX_UNIT)
		panic("per-CPU variables of %lu bytes, more than the allocator's maps hold",
		      (unsigned long)statics);
	for (unsigned int i = 0; i < NR_LISTS; i++)
		INIT_LIST_HEAD(&lists[i]);
	nr_units = nr_cpu_ids = n;
	unit_size = unit;
	unit_granules = unit / GRANULE;
	nr_pages = (u64)n * pages;
	c->base = base;
	c->taken = first_maps[0];
	c->begins = first_maps[1];
	c->statics = c->first = DIV_ROUND_UP(statics, GRANULE);
	fill_bits(c->taken, 0, c->statics, 1);
	c->begins[c->first / WORD] |= 1ul << c->first % WORD;
	c->free = c->longest = unit_granules - c->statics;
	chunk_add(c);
}
