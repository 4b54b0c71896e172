/*
 * Kernel virtual memory: contiguous addresses over pages that are not.
 *
 *   VMALLOC_START                                                            VMALLOC_END
 *   | area |guard| gap |guard| stack |guard| area |guard|lazy area|guard|        gap         |
 *
 * A tree holds the areas by address; each knows the gap in front of it and the largest gap of its
 * subtree, so that the lowest gap that fits is found on one way down. The page that follows an area
 * (and, when it is aligned to more than a page, the one in front) belongs to it and is never
 * mapped.
 *
 * vfree clears the entries and frees the pages, but the addresses stay taken ("lazy"): TLBs may
 * still hold them. When enough have gathered, one flush makes them all free. That is what makes
 * vfree cheap.
 *
 * I1  Areas do not overlap; `gap` = start - end of the area before (or VMALLOC_START).
 * I2  An address is handed out only after a TLB flush that came after its last unmapping.
 * I3  Tables of the vmalloc area are added, never freed, and the top-level entries are made by
 *     arch/ at boot: so a new mapping is seen by every address space at once and needs no flush.
 * I4  The entries say which pages are behind an area; there is no second list of them.
 *
 * Locks: vmap_lock (tree, lazy list, entries of tables). Innermost but for the slab's, never held
 * while pages are allocated. None of this from interrupts.
 */
#include "mm/memcg/memcg.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab.h"
#include "lib/errno.h"
#include "lib/rbtree.h"
#include "lib/string.h"
#include "arch/tlb.h"
#include "mm/virt/pgtable.h"

enum vmap_kind { VMAP_ALLOC, VMAP_MAP, VMAP_IOREMAP };

struct vmap_area {
	struct rb_node rb;
	unsigned long start, end; /* with guards */
	unsigned long gap, subtree_gap;
	unsigned long addr; /* first mapped byte */
	unsigned int nr_pages;
	enum vmap_kind kind;
	enum mmvm_page_type type; /* VMAP_ALLOC: of the pages */
	bool lazy;
	struct list_head lazy_node;
	const char *who;
	phys_addr_t phys; /* ioremap */
};

/* Addresses that wait for a flush, in pages: more of them flush less often, and cost some
 * tables. */
#define LAZY_MAX 2048

static struct kmem_cache *area_cache;
static struct rb_root areas = RB_ROOT;
static LIST_HEAD(lazy_areas);
static unsigned long nr_lazy_pages;
static spinlock_t vmap_lock = SPINLOCK_INIT;
s64 kernel_pgtables;

#define area_of(node) rb_entry(node, struct vmap_area, rb)

/* ---- addresses ---- */

static void update_gap(struct rb_node *node)
{
	struct vmap_area *a = area_of(node);
	unsigned long gap = a->gap;

	if (node->left)
		gap = max(gap, area_of(node->left)->subtree_gap);
	if (node->right)
		gap = max(gap, area_of(node->right)->subtree_gap);
	a->subtree_gap = gap;
}

static void set_gap(struct vmap_area *a, unsigned long gap)
{
	a->gap = gap;
	for (struct rb_node *n = &a->rb; n; n = rb_parent(n)) {
		unsigned long old = area_of(n)->subtree_gap;

		update_gap(n);
		if (area_of(n)->subtree_gap == old)
			break;
	}
}

/* The lowest area with at least `len` free bytes in front of it. */
static struct vmap_area *lowest_gap(unsigned long len)
{
	struct rb_node *n = areas.node;

	if (!n || area_of(n)->subtree_gap < len)
		return NULL;
	for (;;) {
		if (n->left && area_of(n->left)->subtree_gap >= len)
			n = n->left;
		else if (area_of(n)->gap >= len)
			return area_of(n);
		else
			n = n->right;
	}
}

/* Put `a` with `size` bytes and its guards into the tree. `align` above a page asks for a front
 * guard. */
static bool place_area(struct vmap_area *a, unsigned long size, unsigned long align)
{
	unsigned long front = align > PAGE_SIZE ? PAGE_SIZE : 0;
	unsigned long len = size + front + PAGE_SIZE + align - PAGE_SIZE;
	struct vmap_area *next = lowest_gap(len);
	struct rb_node *parent, **link;
	unsigned long from;

	if (next) {
		from = next->start - next->gap;
	} else {
		struct rb_node *last = rb_last(&areas);

		from = last ? area_of(last)->end : VMALLOC_START;
		if (VMALLOC_END - from < len)
			return false;
	}
	a->addr = ALIGN_UP(from + front, align);
	a->start = a->addr - front;
	a->end = a->addr + size + PAGE_SIZE;
	a->gap = a->start - from;
	a->subtree_gap = a->gap;

	if (!next) {
		parent = rb_last(&areas);
		link = parent ? &parent->right : &areas.node;
	} else if (!next->rb.left) {
		parent = &next->rb;
		link = &parent->left;
	} else {
		parent = rb_prev(&next->rb);
		link = &parent->right;
	}
	rb_insert(&areas, &a->rb, parent, link, update_gap);
	if (next)
		set_gap(next, next->start - a->end);
	return true;
}

static void remove_area(struct vmap_area *a)
{
	struct rb_node *next = rb_next(&a->rb);

	/* The gap that follows grows by the area and the gap before it. */
	if (next)
		set_gap(area_of(next), area_of(next)->start - a->start + a->gap);
	rb_erase(&areas, &a->rb, update_gap);
}

/* vmap_lock held. */
static struct vmap_area *find_area(unsigned long addr)
{
	struct rb_node *n = areas.node;

	while (n) {
		struct vmap_area *a = area_of(n);

		if (addr < a->start)
			n = n->left;
		else if (addr >= a->end)
			n = n->right;
		else
			return a;
	}
	return NULL;
}

/* vmap_lock held. */
static void purge_locked(void)
{
	unsigned long start = ~0ul, end = 0;
	struct vmap_area *a, *next;

	if (list_empty(&lazy_areas))
		return;
	list_for_each_entry (a, &lazy_areas, lazy_node) {
		start = min(start, a->start);
		end = max(end, a->end);
	}
	flush_tlb_kernel_range(start, end);
	list_for_each_entry_safe (a, next, &lazy_areas, lazy_node) {
		remove_area(a);
		kmem_cache_free(area_cache, a);
	}
	INIT_LIST_HEAD(&lazy_areas);
	nr_lazy_pages = 0;
}

void purge_vmap_areas(void)
{
	spin_lock(&vmap_lock);
	purge_locked();
	spin_unlock(&vmap_lock);
}

static struct vmap_area *new_area(size_t size, size_t align, enum vmap_kind kind, const char *who)
{
	struct vmap_area *a;
	bool placed;

	if (!size || size > VMALLOC_END - VMALLOC_START || (align & (align - 1)) ||
	    align > VMALLOC_END - VMALLOC_START)
		return NULL;
	a = kmem_cache_alloc(area_cache, GFP_KERNEL);
	if (!a)
		return NULL;
	a->nr_pages = 0;
	a->kind = kind;
	a->lazy = false;
	a->who = who;
	a->phys = 0;
	spin_lock(&vmap_lock);
	placed = place_area(a, size, align);
	if (!placed) {
		purge_locked();
		placed = place_area(a, size, align);
	}
	spin_unlock(&vmap_lock);
	if (placed)
		return a;
	kmem_cache_free(area_cache, a);
	return NULL;
}

/* ---- page tables ---- */

static pte_t *table_of(pte_t entry)
{
	return __va(entry.v & PTE_PFN_MASK);
}

/* Leaf table for `addr`, or NULL when it is missing or a large page is there. */
static pte_t *leaf_table(unsigned long addr)
{
	pte_t *table = kernel_pgd();

	for (int level = pt_top_level; level > 0; level--) {
		pte_t e = pte_read(&table[pt_index(addr, level)]);

		if (!pte_present(e) || pte_huge(e))
			return NULL;
		table = table_of(e);
	}
	return table;
}

/* As leaf_table, making what is missing. NULL: no memory. */
static pte_t *leaf_table_alloc(unsigned long addr)
{
	pte_t *table = kernel_pgd();

	for (int level = pt_top_level; level > 0; level--) {
		pte_t *slot = &table[pt_index(addr, level)];
		struct page *page;

		if (likely(pte_present(pte_read(slot)))) {
			table = table_of(pte_read(slot));
			continue;
		}
		page = alloc_pages_type(GFP_KERNEL | __GFP_ZERO, 0, PAGE_PGTABLE);
		if (!page)
			return NULL;
		spin_lock(&vmap_lock);
		if (!pte_present(pte_read(slot))) {
			page_stat_add(page, NR_PAGETABLE, 1);
			kernel_pgtables++;
			pte_set(slot, __pte(page_to_phys(page) | _PAGE_TABLE));
			page = NULL;
		}
		spin_unlock(&vmap_lock);
		if (page)
			__free_page(page);
		table = table_of(pte_read(slot));
	}
	return table;
}

/* Pages of one type that come or go behind areas: counted zone by zone, as they come in runs. */
struct tally {
	enum mmvm_page_type type;
	unsigned int zone; /* index */
	s64 n;
};

static void tally_flush(struct tally *t)
{
	if (t->n && t->type == PAGE_STACK)
		zone_stat_add(zone_table[t->zone], NR_KERNEL_STACK_KB,
			      t->n * (s64)(PAGE_SIZE / 1024));
	else if (t->n && t->type == PAGE_VMALLOC)
		zone_stat_add(zone_table[t->zone], NR_VMALLOC, t->n);
	t->n = 0;
}

/* A stack's pages count for their memory cgroup, too. Nothing else here is charged. */
static void count_charged(const struct page *page, s64 n)
{
	if (unlikely(PageCharged(page)))
		mem_cgroup_page_stat(page, NR_KERNEL_STACK_KB, n * (s64)(PAGE_SIZE / 1024));
}

static inline void tally_add(struct tally *t, const struct page *page, s64 n)
{
	unsigned int zone = page_zone_index(page);

	if (unlikely(t->zone != zone)) {
		tally_flush(t);
		t->zone = zone;
	}
	t->n += n;
}

/* Pages handled at a time, on the stack. */
#define HANDFUL 32u

/* How many of the `left` entries from `addr` on lie in one table, a handful at most. */
static unsigned int entries_here(unsigned long addr, unsigned int left)
{
	left = min(left, HANDFUL);
	return min(left, PTRS_PER_PTE - pt_index(addr, 0));
}

/* Clear the entries of an area; free the pages if they are ours. */
static void unmap_area(struct vmap_area *a)
{
	struct tally tally = {.type = a->type};
	unsigned long addr = a->addr;
	struct page *dead[HANDFUL];

	for (unsigned int left = a->nr_pages, n; left; left -= n, addr += n << PAGE_SHIFT) {
		pte_t *pte = leaf_table(addr) + pt_index(addr, 0);
		unsigned int nr_dead = 0;

		n = entries_here(addr, left);
		for (pte_t *end = pte + n; pte < end; pte++) {
			struct page *page = pfn_to_page(pte_pfn(pte_read(pte)));

			pte_set(pte, __pte(0));
			if (a->kind != VMAP_ALLOC)
				continue;
			tally_add(&tally, page, -1);
			if (a->type == PAGE_STACK)
				count_charged(page, -1);
			if (likely(atomic_dec_and_test(&page->refcount)))
				dead[nr_dead++] = page;
		}
		free_unref_pages(dead, nr_dead);
	}
	tally_flush(&tally);
}

/* Unmap, and leave the addresses for the next purge. */
static void release_area(struct vmap_area *a)
{
	unmap_area(a);
	spin_lock(&vmap_lock);
	a->lazy = true;
	list_add(&a->lazy_node, &lazy_areas);
	nr_lazy_pages += (a->end - a->start) >> PAGE_SHIFT;
	if (unlikely(nr_lazy_pages > LAZY_MAX))
		purge_locked();
	spin_unlock(&vmap_lock);
}

static void release_addr(const void *p, enum vmap_kind kind, const char *what)
{
	struct vmap_area *a;

	if (!p)
		return;
	spin_lock(&vmap_lock);
	a = find_area((unsigned long)p);
	if (unlikely(!a || a->lazy || a->kind != kind || a->addr != (unsigned long)p))
		panic("BUG: %s of %p, which is %s", what, p,
		      !a		? "in no area"
		      : a->lazy		? "free already"
		      : a->kind != kind ? "of another kind"
					: "not the start of an area");
	a->lazy = true; /* a second free at the same time must not find it */
	spin_unlock(&vmap_lock);
	release_area(a);
}

/* ---- vmalloc ---- */

/* Charge new pages to the current task's memory cgroup. Those from the first that cannot be charged
 * are freed. Returns how many are left. */
static unsigned int charge_pages(struct page **pages, unsigned int nr, gfp_t gfp)
{
	unsigned int n = 0;

	while (n < nr && !mem_cgroup_charge_kernel(pages[n], current_thread_info()->mm, gfp)) {
		count_charged(pages[n], 1);
		n++;
	}
	for (unsigned int i = n; i < nr; i++)
		__free_page(pages[i]);
	return n;
}

/* Pages behind the whole area, a handful at a time. False: no memory; a->nr_pages are mapped. */
static bool map_new_pages(struct vmap_area *a, unsigned int nr, gfp_t gfp)
{
	struct tally tally = {.type = a->type};
	unsigned long addr = a->addr;
	struct page *pages[HANDFUL];
	unsigned int n, got;

	for (; a->nr_pages < nr; addr += n << PAGE_SHIFT) {
		pte_t *pte = leaf_table_alloc(addr);

		if (!pte)
			break;
		pte += pt_index(addr, 0);
		n = entries_here(addr, nr - a->nr_pages);
		got = alloc_pages_bulk(gfp, n, a->type, pages);
		if (unlikely(gfp & __GFP_ACCOUNT))
			got = charge_pages(pages, got, gfp);
		for (unsigned int i = 0; i < got; i++, pte++) {
			tally_add(&tally, pages[i], 1);
			pte_set(pte, mk_pte(page_to_pfn(pages[i]), PAGE_KERNEL));
		}
		a->nr_pages += got;
		if (got < n)
			break;
	}
	tally_flush(&tally);
	return a->nr_pages == nr;
}

void *__vmalloc(size_t size, size_t align, gfp_t gfp, enum mmvm_page_type type, const char *who)
{
	unsigned int nr = DIV_ROUND_UP(size, PAGE_SIZE);
	struct vmap_area *a;

	if (size > totalram_pages() << PAGE_SHIFT)
		return NULL;
	a = new_area((size_t)nr << PAGE_SHIFT, max(align, (size_t)PAGE_SIZE), VMAP_ALLOC, who);
	if (!a)
		return NULL;
	a->type = type;
	if (map_new_pages(a, nr, gfp))
		return (void *)a->addr;
	release_area(a);
	return NULL;
}

void *vmalloc(size_t size)
{
	return __vmalloc(size, PAGE_SIZE, GFP_KERNEL, PAGE_VMALLOC, "vmalloc");
}

void *vzalloc(size_t size)
{
	return __vmalloc(size, PAGE_SIZE, GFP_KERNEL | __GFP_ZERO, PAGE_VMALLOC, "vzalloc");
}

void vfree(const void *p)
{
	release_addr(p, VMAP_ALLOC, "vfree");
}

/* ---- other people's pages ---- */

void *vmap(struct page **pages, unsigned int n, pgprot_t prot)
{
	struct vmap_area *a = new_area((size_t)n << PAGE_SHIFT, PAGE_SIZE, VMAP_MAP, "vmap");
	pte_t *table = NULL;
	unsigned long addr;

	if (!a)
		return NULL;
	addr = a->addr;
	for (unsigned int i = 0; i < n; i++, addr += PAGE_SIZE) {
		unsigned int index = pt_index(addr, 0);

		if (!table || !index)
			table = leaf_table_alloc(addr);
		if (!table) {
			release_area(a);
			return NULL;
		}
		pte_set(&table[index], mk_pte(page_to_pfn(pages[i]), prot));
		a->nr_pages = i + 1;
	}
	return (void *)a->addr;
}

void vunmap(const void *p)
{
	release_addr(p, VMAP_MAP, "vunmap");
}

void *ioremap(phys_addr_t pa, size_t size)
{
	unsigned long offset = pa & ~PAGE_MASK;
	unsigned int n = DIV_ROUND_UP(offset + size, PAGE_SIZE);
	struct vmap_area *a;
	pte_t *table = NULL;
	unsigned long addr;

	if (!size || pa + size < pa)
		return NULL;
	a = new_area((size_t)n << PAGE_SHIFT, PAGE_SIZE, VMAP_IOREMAP, "ioremap");
	if (!a)
		return NULL;
	a->phys = pa;
	addr = a->addr;
	for (unsigned int i = 0; i < n; i++, addr += PAGE_SIZE) {
		unsigned int index = pt_index(addr, 0);

		if (!table || !index)
			table = leaf_table_alloc(addr);
		if (!table) {
			release_area(a);
			return NULL;
		}
		pte_set(&table[index], mk_pte((pa >> PAGE_SHIFT) + i, PAGE_KERNEL_NOCACHE));
		a->nr_pages = i + 1;
	}
	return (void *)(a->addr + offset);
}

void iounmap(void *p)
{
	release_addr((void *)((unsigned long)p & PAGE_MASK), VMAP_IOREMAP, "iounmap");
}

/* ---- looking and changing ---- */

struct page *vmalloc_to_page(const void *p)
{
	unsigned long addr = (unsigned long)p;
	pte_t *table, e;

	if (addr < VMALLOC_START || addr >= VMALLOC_END)
		return NULL;
	table = leaf_table(addr);
	if (!table)
		return NULL;
	e = pte_read(&table[pt_index(addr, 0)]);
	return pte_present(e) && pfn_valid(pte_pfn(e)) ? pfn_to_page(pte_pfn(e)) : NULL;
}

static pte_t *kernel_pte(unsigned long addr)
{
	pte_t *table = leaf_table(addr);
	pte_t *pte = table ? &table[pt_index(addr, 0)] : NULL;

	return pte && pte_present(pte_read(pte)) ? pte : NULL;
}

int set_memory_prot(unsigned long start, unsigned int npages, pgprot_t prot)
{
	unsigned long end = start + ((unsigned long)npages << PAGE_SHIFT);

	if (start & ~PAGE_MASK)
		return -EINVAL;
	for (unsigned long addr = start; addr < end; addr += PAGE_SIZE)
		if (!kernel_pte(addr))
			return -EINVAL;
	for (unsigned long addr = start; addr < end; addr += PAGE_SIZE) {
		pte_t *pte = kernel_pte(addr);

		pte_set(pte, mk_pte(pte_pfn(pte_read(pte)), prot));
	}
	flush_tlb_kernel_range(start, end);
	return 0;
}

u64 vmalloc_used_pages(void)
{
	struct rb_node *n;
	u64 pages = 0;

	spin_lock(&vmap_lock);
	for (n = rb_first(&areas); n; n = rb_next(n))
		if (!area_of(n)->lazy && area_of(n)->kind == VMAP_ALLOC)
			pages += area_of(n)->nr_pages;
	spin_unlock(&vmap_lock);
	return pages;
}

void report_vmallocinfo(struct report *r)
{
	static const char *const kind_name[] = {"vmalloc", "vmap", "ioremap"};

	spin_lock(&vmap_lock);
	for (struct rb_node *n = rb_first(&areas); n; n = rb_next(n)) {
		const struct vmap_area *a = area_of(n);

		report_printf(r, "0x%lx-0x%lx %7lu", a->addr, a->end,
			      (unsigned long)(a->end - a->addr));
		if (a->lazy) {
			report_printf(r, " unpurged vm_area\n");
			continue;
		}
		report_printf(r, " %s", a->who);
		if (a->kind == VMAP_IOREMAP)
			report_printf(r, " phys=0x%lx", (unsigned long)a->phys);
		else
			report_printf(r, " pages=%u", a->nr_pages);
		report_printf(r, " %s\n", kind_name[a->kind]);
	}
	spin_unlock(&vmap_lock);
}

void vmalloc_init(void)
{
	area_cache = kmem_cache_create("vmap_area", sizeof(struct vmap_area), 0, SLAB_PANIC, NULL);
}
