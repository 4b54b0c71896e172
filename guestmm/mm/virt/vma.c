/*
 * VMAs: which parts of an address space mean something.
 *
 *   mm->mmap (list, address order)   [text][data] ......[heap]......[a][b]...[stack]
 *   mm->mm_rb (tree by address)      each node also knows the largest free gap directly below any
 *                                    VMA of its subtree, so that a free range is found in O(log n)
 *
 * I1  VMAs do not overlap, are not empty, are page aligned, and the list is in the tree's order.
 * I2  rb_subtree_gap = max over the subtree of (vm_start_gap(vma) - end of the VMA below, or 0).
 * I3  Every call that makes or changes a mapping joins it with the neighbours that vma_merge_policy()
 *     lets it join; it does not look further. So neighbours without pages that are alike are one.
 * I4  map_count is the length of the list.
 *
 * Locks: mmap_lock for writing to change anything here; for reading to look. mmap_cache may be set
 * by any reader: it is a pointer that is checked before use and cleared when its VMA is freed.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache/pagecache.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/numa/mempolicy.h"
#include "mm/rmap/rmap.h"
#include "mm/fault/userfault.h"
#include "mm/cache/shmem.h"
#include "mm/slab/slab.h"
#include "mm/virt/vma.h"

static struct kmem_cache *vma_cache;

void vma_init(void)
{
	vma_cache = kmem_cache_create("vm_area_struct", sizeof(struct vm_area_struct), 8,
				      SLAB_PANIC | SLAB_ACCOUNT, NULL);
	mempolicy_init();
}

pgprot_t vm_get_page_prot(unsigned long flags)
{
	pgprot_t prot = _PAGE_USER;

	/* x86 has no way to grant writing or fetching without reading. */
	prot |= flags & VM_ACCESS_FLAGS ? _PAGE_PRESENT : _PAGE_PROTNONE;
	if (!(flags & VM_EXEC))
		prot |= _PAGE_NX;
	return prot | (flags & VM_PKEY_MASK) << (_PAGE_PKEY_SHIFT - VM_PKEY_SHIFT);
}

void vma_set_flags(struct vm_area_struct *vma, unsigned long flags)
{
	vma->flags = flags;
	vma->prot = vm_get_page_prot(flags);
}

struct vm_area_struct *vma_alloc(struct mm_struct *mm, unsigned long start, unsigned long end,
				 unsigned long flags, const char *name)
{
	struct vm_area_struct *vma = kmem_cache_alloc(vma_cache, GFP_KERNEL_ACCOUNT);

	if (!vma)
		return NULL;
	vma->vm_start = start;
	vma->vm_end = end;
	vma->mm = mm;
	vma->pgoff = start >> PAGE_SHIFT;
	vma->anon_vma = NULL;
	vma->name = name;
	vma->file = NULL;
	vma->mapping = NULL;
	vma->policy = NULL;
	vma->policy_held = false;
	vma->resv = 0;
	vma->uffd = NULL;
	INIT_LIST_HEAD(&vma->anon_vma_chain);
	vma_set_flags(vma, flags);
	return vma;
}

void vma_copy_policy(struct vm_area_struct *to, const struct vm_area_struct *from)
{
	to->policy = mpol_get(from->policy);
	to->policy_held = from->policy_held;
}

void mapping_object_get(struct address_space *mapping)
{
	if (mapping && (mapping->flags & AS_OBJECT))
		(mapping->flags & AS_HUGETLB ? hugetlb_object_get : shmem_object_get)(mapping);
}

void mapping_object_put(struct address_space *mapping)
{
	if (mapping && (mapping->flags & AS_OBJECT))
		(mapping->flags & AS_HUGETLB ? hugetlb_object_put : shmem_object_put)(mapping);
}

void vma_set_backing(struct vm_area_struct *vma, struct file *file, struct address_space *mapping,
		     unsigned long pgoff)
{
	vma->pgoff = pgoff;
	vma->file = file;
	vma->mapping = mapping;
	if (file)
		file_get(file);
	else
		mapping_object_get(mapping);
	if (mapping)
		i_mmap_link(vma);
}

static void drop_backing(struct vm_area_struct *vma)
{
	struct address_space *mapping = vma->mapping;

	if (mapping)
		i_mmap_unlink(vma);
	if (vma->file)
		file_put_later(vma->file);
	else
		mapping_object_put(mapping);
}

void vma_free(struct vm_area_struct *vma)
{
	unlink_anon_vmas(vma);
	if (unlikely(vma->resv))
		hugetlb_vma_drop_resv(vma);
	if (unlikely(vma->uffd))
		uffd_vma_drop(vma);
	if (unlikely(vma->mapping || vma->file))
		drop_backing(vma);
	if (unlikely(vma->policy))
		mpol_put(vma->policy);
	kmem_cache_free(vma_cache, vma);
}

/* ---- tree and gaps -------------------------------------------------------------------------- */

static unsigned long vma_gap(const struct vm_area_struct *vma)
{
	const struct vm_area_struct *prev = vma_prev(vma);
	unsigned long start = vm_start_gap(vma), below = prev ? prev->vm_end : 0;

	return start > below ? start - below : 0;
}

static void vma_gap_augment(struct rb_node *node)
{
	struct vm_area_struct *vma = rb_entry(node, struct vm_area_struct, rb);
	unsigned long gap = vma_gap(vma), sub;

	if (node->left) {
		sub = rb_entry(node->left, struct vm_area_struct, rb)->rb_subtree_gap;
		gap = max(gap, sub);
	}
	if (node->right) {
		sub = rb_entry(node->right, struct vm_area_struct, rb)->rb_subtree_gap;
		gap = max(gap, sub);
	}
	vma->rb_subtree_gap = gap;
}

static void vma_gap_update(struct vm_area_struct *vma)
{
	if (vma)
		rb_augment_path(&vma->rb, vma_gap_augment);
}

void vma_link(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	struct rb_node **link = &mm->mm_rb.node, *parent = NULL;
	struct list_head *after = &mm->mmap;

	while (*link) {
		struct vm_area_struct *here = rb_entry(*link, struct vm_area_struct, rb);

		parent = *link;
		if (vma->vm_start < here->vm_start) {
			link = &parent->left;
		} else {
			link = &parent->right;
			after = &here->link;
		}
	}
	list_add(&vma->link, after);
	/* The gap of the next VMA shrinks. That VMA is an ancestor of the new leaf, so the way
	 * up updates it. */
	rb_insert(&mm->mm_rb, &vma->rb, parent, link, vma_gap_augment);
	mm->map_count++;
}

void vma_unlink(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	struct vm_area_struct *next = vma_next(vma);

	list_del(&vma->link);
	rb_erase(&mm->mm_rb, &vma->rb, vma_gap_augment);
	vma_gap_update(next); /* it may have taken the place, which does not recompute it */
	mm->map_count--;
	if (mm->mmap_cache == vma)
		mm->mmap_cache = NULL;
}

void vma_set_range(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	const bool start_moves = start != vma->vm_start, end_moves = end != vma->vm_end;

	if (vma->mapping)
		i_mmap_range_change_begin(vma);
	anon_vma_range_change_begin(vma);
	vma->pgoff += (long)(start - vma->vm_start) >> PAGE_SHIFT;
	vma->vm_start = start;
	vma->vm_end = end;
	anon_vma_range_change_end(vma);
	if (vma->mapping)
		i_mmap_range_change_end(vma);
	/* Each end borders on one gap. */
	if (start_moves)
		vma_gap_update(vma);
	if (end_moves)
		vma_gap_update(vma_next(vma));
}

struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *best = READ_ONCE(mm->mmap_cache);
	struct rb_node *n;

	if (likely(best && addr >= best->vm_start && addr < best->vm_end))
		return best;
	best = NULL;
	for (n = mm->mm_rb.node; n;) {
		struct vm_area_struct *vma = rb_entry(n, struct vm_area_struct, rb);

		if (addr < vma->vm_end) {
			best = vma;
			if (addr >= vma->vm_start)
				break;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	if (best)
		WRITE_ONCE(mm->mmap_cache, best);
	return best;
}

struct vm_area_struct *find_vma_intersection(struct mm_struct *mm, unsigned long start,
					     unsigned long end)
{
	struct vm_area_struct *vma = find_vma(mm, start);

	return vma && vma->vm_start < end ? vma : NULL;
}

struct gap_query {
	unsigned long len, low, high;
};

/* Highest gap that fits in the subtree. Right before own before left; subtrees whose largest gap is
 * too small, or that lie outside [low, high), are not entered. The depth is the tree's height. */
static unsigned long gap_search(const struct rb_node *n, const struct gap_query *q)
{
	const struct vm_area_struct *vma, *prev;
	unsigned long lo, hi, below, addr;

	if (!n)
		return 0;
	vma = rb_entry(n, struct vm_area_struct, rb);
	if (vma->rb_subtree_gap < q->len)
		return 0;
	if (vma->vm_end <= q->high - q->len) {
		addr = gap_search(n->right, q);
		if (addr)
			return addr;
	}
	prev = vma_prev(vma);
	below = prev ? prev->vm_end : 0;
	lo = max(below, q->low);
	hi = min(vm_start_gap(vma), q->high);
	if (hi > lo && hi - lo >= q->len)
		return hi - q->len;
	return below > q->low ? gap_search(n->left, q) : 0;
}

unsigned long unmapped_area_topdown(struct mm_struct *mm, unsigned long len, unsigned long low,
				    unsigned long high)
{
	struct gap_query q = {len, low, high};
	unsigned long last = 0;

	if (high <= low || high - low < len)
		return 0;
	if (!list_empty(&mm->mmap))
		last = list_last_entry(&mm->mmap, struct vm_area_struct, link)->vm_end;
	last = max(last, low);
	if (last < high && high - last >= len) /* above everything mapped: in no VMA's gap */
		return high - len;
	return gap_search(mm->mm_rb.node, &q);
}

/* ---- merging and splitting ------------------------------------------------------------------ */

static bool desc_joins(const struct vma_desc *lo, const struct vma_desc *hi)
{
	/* Reservations of hugetlb belong to one VMA: two do not merge. */
	return !((lo->flags ^ hi->flags) & ~VM_SOFTDIRTY) && !(lo->flags & VM_HUGETLB) &&
	       lo->name == hi->name && lo->pgoff + lo->pages == hi->pgoff &&
	       lo->mapping == hi->mapping && lo->file == hi->file &&
	       mpol_equal(lo->policy, hi->policy) && lo->uffd == hi->uffd;
}

/* Pages know their anon_vma, so two VMAs with different ones stay apart. A neighbour with one takes
 * in a mapping that has no pages yet, unless it came through a fork: then its chains would grow for
 * pages that no relative has. The other way round, pages that move into a neighbour without an
 * anon_vma, is not done: it would need memory. */
static bool anon_joins(const struct vma_desc *mid, const struct vma_desc *near)
{
	return mid->anon_vma == near->anon_vma || (!mid->anon_vma && !near->inherited);
}

enum vma_merge vma_merge_policy(const struct vma_desc *prev, const struct vma_desc *mid,
				const struct vma_desc *next)
{
	bool p = prev && desc_joins(prev, mid) && anon_joins(mid, prev);
	bool n = next && desc_joins(mid, next) && anon_joins(mid, next);

	if (p && n)
		return prev->anon_vma == next->anon_vma || !prev->anon_vma || !next->anon_vma
			       ? VMA_MERGE_BOTH
			       : VMA_MERGE_PREV;
	return p ? VMA_MERGE_PREV : n ? VMA_MERGE_NEXT : VMA_MERGE_NONE;
}

struct vma_desc vma_desc_part(const struct vm_area_struct *vma, unsigned long start,
			      unsigned long end, unsigned long flags)
{
	return (struct vma_desc){flags,
				 linear_page_index(vma, start),
				 (end - start) >> PAGE_SHIFT,
				 vma->anon_vma,
				 vma->name,
				 anon_vma_inherited(vma),
				 vma->file,
				 vma->mapping,
				 vma->policy,
				 vma->policy_held,
				 vma->uffd};
}

static struct vma_desc *vma_describe(const struct vm_area_struct *vma, struct vma_desc *d)
{
	if (!vma)
		return NULL;
	*d = vma_desc_part(vma, vma->vm_start, vma->vm_end, vma->flags);
	return d;
}

/* The VMA grows by pages of a mapping with these properties. */
static void vma_inherit(struct vm_area_struct *vma, bool policy_held, unsigned long flags)
{
	vma->policy_held &= policy_held;
	vma->flags |= flags & VM_SOFTDIRTY;
}

/* `left` takes over `right`, which touches it. */
static void vma_absorb(struct vm_area_struct *left, struct vm_area_struct *right)
{
	unsigned long end = right->vm_end;

	vma_unlink(right);
	if (!left->anon_vma && right->anon_vma)
		anon_vma_move(left, right);
	vma_inherit(left, right->policy_held, right->flags);
	vma_set_range(left, left->vm_start, end);
	vma_free(right);
}

struct vm_area_struct *vma_merge_range(struct mm_struct *mm, unsigned long start, unsigned long end,
				       const struct vma_desc *mid)
{
	struct vm_area_struct *next = find_vma(mm, start), *prev;
	struct vma_desc p, n;

	if (next)
		prev = vma_prev(next);
	else
		prev = list_empty(&mm->mmap)
			       ? NULL
			       : list_last_entry(&mm->mmap, struct vm_area_struct, link);
	if (prev && prev->vm_end != start)
		prev = NULL;
	if (next && next->vm_start != end)
		next = NULL;
	switch (vma_merge_policy(vma_describe(prev, &p), mid, vma_describe(next, &n))) {
	case VMA_MERGE_PREV:
		vma_set_range(prev, prev->vm_start, end);
		vma_inherit(prev, mid->policy_held, mid->flags);
		return prev;
	case VMA_MERGE_NEXT:
		vma_set_range(next, start, next->vm_end);
		vma_inherit(next, mid->policy_held, mid->flags);
		return next;
	case VMA_MERGE_BOTH:
		vma_set_range(prev, prev->vm_start, end);
		vma_inherit(prev, mid->policy_held, mid->flags);
		vma_absorb(prev, next);
		return prev;
	case VMA_MERGE_NONE:
		break;
	}
	return NULL;
}

struct vm_area_struct *vma_merge_new(struct mm_struct *mm, unsigned long start, unsigned long end,
				     unsigned long flags, const char *name)
{
	struct vma_desc mid = {.flags = flags,
			       .pgoff = start >> PAGE_SHIFT,
			       .pages = (end - start) >> PAGE_SHIFT,
			       .name = name};

	return vma_merge_range(mm, start, end, &mid);
}

struct vm_area_struct *vma_merge_around(struct vm_area_struct *vma)
{
	struct vm_area_struct *prev = vma_prev(vma), *next = vma_next(vma);
	struct vma_desc p, m, n;
	enum vma_merge how;

	if (prev && prev->vm_end != vma->vm_start)
		prev = NULL;
	if (next && next->vm_start != vma->vm_end)
		next = NULL;
	how = vma_merge_policy(vma_describe(prev, &p), vma_describe(vma, &m),
			       vma_describe(next, &n));
	if (how == VMA_MERGE_NEXT || how == VMA_MERGE_BOTH)
		vma_absorb(vma, next);
	if (how == VMA_MERGE_PREV || how == VMA_MERGE_BOTH) {
		vma_absorb(prev, vma);
		vma = prev;
	}
	return vma;
}

int vma_may_split(const struct vm_area_struct *vma, unsigned long addr)
{
	if (likely(!(vma->flags & VM_HUGETLB)))
		return 0;
	return addr & (hstate_size(vma_hstate(vma)) - 1) ? -EINVAL : 0;
}

int vma_split(struct vm_area_struct *vma, unsigned long addr)
{
	struct vm_area_struct *high;
	int err = vma_may_split(vma, addr);

	if (err)
		return err;
	if (vma->mm->map_count >= sysctl_max_map_count)
		return -ENOMEM;
	high = vma_alloc(vma->mm, addr, vma->vm_end, vma->flags, vma->name);
	if (!high)
		return -ENOMEM;
	high->pgoff = linear_page_index(vma, addr);
	if (anon_vma_clone(high, vma)) {
		kmem_cache_free(vma_cache, high);
		return -ENOMEM;
	}
	vma_copy_policy(high, vma);
	/* It enters the reverse map before the other half leaves it, so that no page is missing
	 * there. */
	thp_split_at(vma->mm, addr);
	vma_set_backing(high, vma->file, vma->mapping, high->pgoff);
	if (unlikely(vma->resv))
		hugetlb_vma_share_resv(high, vma);
	if (unlikely(vma->uffd))
		uffd_vma_share(high, vma);
	vma_set_range(vma, vma->vm_start, addr);
	vma_link(high);
	return 0;
}

int vma_cut_out(struct vm_area_struct **pvma, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = *pvma;
	int err;

	if (start > vma->vm_start) {
		err = vma_split(vma, start);
		if (err)
			return err;
		*pvma = vma = vma_next(vma);
	}
	if (end < vma->vm_end) {
		err = vma_split(vma, end);
		if (err) {
			*pvma = vma_merge_around(vma);
			return err;
		}
	}
	return 0;
}

/* Does the part [start, end) of `vma` join `near` once it has these flags? */
static bool part_joins(const struct vm_area_struct *vma, unsigned long start, unsigned long end,
		       unsigned long flags, const struct vm_area_struct *near)
{
	struct vma_desc mid = vma_desc_part(vma, start, end, flags), n;

	if (!near)
		return false;
	vma_describe(near, &n);
	if (near->vm_end == start)
		return vma_merge_policy(&n, &mid, NULL) == VMA_MERGE_PREV;
	return near->vm_start == end && vma_merge_policy(NULL, &mid, &n) == VMA_MERGE_NEXT;
}

int vma_modify_flags(struct vm_area_struct **pvma, unsigned long start, unsigned long end,
		     unsigned long flags)
{
	struct vm_area_struct *vma = *pvma, *near;
	int err;

	/* One end of a VMA becomes like its neighbour: only the border moves, which needs no
	 * memory. The neighbour grows first, so that no page is missing in the reverse map. */
	if (start == vma->vm_start && end < vma->vm_end) {
		near = vma_prev(vma);
		if (part_joins(vma, start, end, flags, near)) {
			near->policy_held &= vma->policy_held;
			thp_split_at(vma->mm, end);
			vma_set_range(near, near->vm_start, end);
			vma_set_range(vma, end, vma->vm_end);
			*pvma = near;
			return 0;
		}
	} else if (end == vma->vm_end && start > vma->vm_start) {
		near = vma_next(vma);
		if (part_joins(vma, start, end, flags, near)) {
			near->policy_held &= vma->policy_held;
			thp_split_at(vma->mm, start);
			vma_set_range(near, start, near->vm_end);
			vma_set_range(vma, vma->vm_start, start);
			*pvma = near;
			return 0;
		}
	}
	err = vma_cut_out(pvma, start, end);
	if (err)
		return err;
	vma_set_flags(*pvma, flags);
	*pvma = vma_merge_around(*pvma);
	return 0;
}
