/*
 * The addresses of the vmalloc range: a tree of areas.
 *
 *   VMALLOC_START                                                            VMALLOC_END
 *   | area |guard| gap |guard| stack |guard| area |guard|lazy area|guard|        gap         |
 *
 * Each area knows the gap in front of it and the largest gap of its subtree, so that one descent finds the lowest
 * gap that fits. The page that follows an area (and, when it is aligned to more than a page, the one in front)
 * belongs to it and is never mapped.
 *
 * A freed area stays in the tree ("lazy"): TLBs may still hold its addresses. When enough have accumulated, one
 * flush frees them all. That makes vfree cheap.
 *
 * I1  Areas do not overlap; `gap` = start - end of the area before (or VMALLOC_START).
 * I2  An address is handed out only after a TLB flush that came after its last unmapping.
 *
 * Locks: vmap_lock. Innermost but for the slab's, never held while pages are allocated.
 */
#include "arch/pgtable.h"
#include "arch/tlb.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/kvirt/vmap_area.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab.h"
#include "mmvm/audit.h"

/* How many pages of addresses may wait for a flush. A larger value means fewer flushes and more page tables. */
#define LAZY_MAX 2048

static struct kmem_cache *area_cache;
static struct rb_root areas = RB_ROOT;
static LIST_HEAD(lazy_areas);
static unsigned long nr_lazy_pages;
spinlock_t vmap_lock = SPINLOCK_INIT;

#define area_of(node) rb_entry(node, struct vmap_area, rb)

/* ---- the tree ---- */

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

	/* The gap after the area grows by the area and by the gap before it. */
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

struct vmap_area *vmap_area_alloc(size_t size, size_t align, enum vmap_kind kind, const char *who)
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

struct vmap_area *vmap_area_claim(const void *p, enum vmap_kind kind, const char *what)
{
	struct vmap_area *a;

	spin_lock(&vmap_lock);
	a = find_area((unsigned long)p);
	if (unlikely(!a || a->lazy || a->kind != kind || a->addr != (unsigned long)p))
		panic("BUG: %s of %p, which is %s", what, p,
		      !a		? "in no area"
		      : a->lazy		? "free already"
		      : a->kind != kind ? "of another kind"
					: "not the start of an area");
	a->lazy = true; /* a concurrent second free must not find it */
	spin_unlock(&vmap_lock);
	return a;
}

void vmap_area_retire(struct vmap_area *a)
{
	spin_lock(&vmap_lock);
	a->lazy = true;
	list_add(&a->lazy_node, &lazy_areas);
	nr_lazy_pages += (a->end - a->start) >> PAGE_SHIFT;
	if (unlikely(nr_lazy_pages > LAZY_MAX))
		purge_locked();
	spin_unlock(&vmap_lock);
}

/* ---- reports ---- */

u64 vmalloc_used_pages(void)
{
	struct rb_node *n;
	u64 pages = 0;

	spin_lock(&vmap_lock);
	for (n = rb_first(&areas); n; n = rb_next(n))
		if (!area_of(n)->lazy && area_of(n)->kind == VMAP_ALLOC &&
		    area_of(n)->type != PAGE_PERCPU)
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

void vmap_area_init(void)
{
	area_cache = kmem_cache_create("vmap_area", sizeof(struct vmap_area), 0, SLAB_PANIC, NULL);
}

void vmalloc_audit_layout(struct mmvm_audit_kvirt *l)
{
	*l = (struct mmvm_audit_kvirt){
		.areas_gva = (u64)(unsigned long)&areas.node,
		.vmalloc_start = VMALLOC_START,
		.vmalloc_end = VMALLOC_END,
		.node_offset = offsetof(struct vmap_area, rb),
		.left_offset = offsetof(struct rb_node, left),
		.right_offset = offsetof(struct rb_node, right),
		.start_offset = offsetof(struct vmap_area, start),
		.end_offset = offsetof(struct vmap_area, end),
		.addr_offset = offsetof(struct vmap_area, addr),
		.gap_offset = offsetof(struct vmap_area, gap),
		.nr_pages_offset = offsetof(struct vmap_area, nr_pages),
		.kind_offset = offsetof(struct vmap_area, kind),
		.type_offset = offsetof(struct vmap_area, type),
		.lazy_offset = offsetof(struct vmap_area, lazy),
	};
}
