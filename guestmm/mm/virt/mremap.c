/*
 * mremap: make a mapping longer or shorter, or move it with its pages.
 *
 *   old VMA  [ a b c d ]                       PTEs move table by table, pages stay where they are:
 *                 \ \ \ \                      page->index is relative to pgoff, and the new VMA
 *   new VMA        [ a b c d . . ]             takes the old one's pgoff along
 *
 * A move is: a new VMA for the whole new length, in the same anon_vmas; the PTEs carried over; the
 * old range unmapped. What cannot be carried for want of a page table is carried back, and the new
 * range unmapped instead.
 *
 * I1  Until one of the two ranges is unmapped both are accounted, so unmapping is always right.
 * I2  The reverse map sees every page in exactly one place: the family's lock, and a file's
 *     i_mmap_lock, are held while a table's PTEs are between their places, and the old translations are flushed before
 *     page_table_lock is released.
 * I3  The old range is cut out of its VMA before anything else happens, so unmapping cannot fail.
 *
 * Locks: mmap_lock for writing > i_mmap_lock > root->lock > page_table_lock.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/fault/userfault.h"
#include "mm/cache/pagecache.h"
#include "mm/huge/hugetlb.h"
#include "mm/pgtable/large.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

#define MREMAP_FLAGS (MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)

struct remap {
	struct mm_struct *mm;
	unsigned long addr, old_len, new_len, to, flags;
	bool populate;		   /* locked: what was added is faulted in at the end */
	struct uffd_change *early; /* what was unmapped at the new place */
	struct uffd_ctx *uffd;	   /* is to read of the move: uffd_remap_begin() was called */
};

/* ---- carrying page tables over ---- */

static __attribute__((noinline)) void trace_moved(const struct mm_struct *mm, pte_t e,
						  unsigned long from, unsigned long to)
{
	u32 pfn = pte_pfn(e), id = trace_mm_id(mm);

	if (pte_special(e))
		return;
	trace_point(UNMAP, from, .pfn = pfn, .mm = id, .arg = TRACE_UNMAP_MOVE);
	trace_point(MAP, to, .pfn = pfn, .mm = id, .arg = TRACE_MAP_MOVE);
}

/* A userfaultfd whose registration does not follow does not know the new place. */
enum wp_bits { DROP_UFFD_WP, KEEP_UFFD_WP };

/* P held: move n entries of one table, `dst` for addresses from `to` on, `src` from `from` on.
 * Returns whether the CPU may know one of them. */
static bool move_ptes(const struct mm_struct *mm, pte_t *dst, pte_t *src, unsigned long n,
		      unsigned long from, unsigned long to, enum wp_bits wp)
{
	bool flush = false;

	for (; n; n--, src++, dst++, from += PAGE_SIZE, to += PAGE_SIZE) {
		pte_t e = pte_read(src);

		if (pte_none(e))
			continue;
		if (pte_present(e)) {
			e = pte_get_and_clear(src); /* with the last A and D bits */
			flush = true;
		} else {
			pte_set(src, __pte(0));
		}
		if (wp == DROP_UFFD_WP)
			e = pte_clear_uffd_wp(e);
		if (pte_none(e))
			continue;	 /* it was only a marker */
		e = pte_mksoft_dirty(e); /* as Linux: a moved page counts as written */
		pte_set(dst, e);
		if (unlikely(trace_on) && pte_present(e))
			trace_moved(mm, e, from, to);
	}
	return flush;
}

/* Move the entries of [from, from + len) to `to`. Returns how much was moved: all of it, or less if
 * there was no memory for a table. */
static unsigned long move_page_tables(struct vm_area_struct *vma, unsigned long from,
				      unsigned long to, unsigned long len, enum wp_bits wp)
{
	struct mm_struct *mm = vma->mm;
	struct anon_vma *root = vma->anon_vma ? vma->anon_vma->root : NULL;
	struct address_space *mapping = vma->mapping;
	unsigned long done, n, next;

	for (done = 0; done < len; done += n) {
		unsigned int level;
		pte_t *src = walk_leaf(mm->pgd, from + done, &level, &next), *dst;
		unsigned long room = PMD_SIZE - ((to + done) & (PMD_SIZE - 1));

		n = min(len - done, next - (from + done));
		if (!src)
			continue;
		if (unlikely(level)) {
			if (!(vma->flags & VM_HUGETLB) &&
			    !large_moves_whole(mm, level, from + done, to + done, n)) {
				split_large(mm, src, from + done);
				n = 0;
				continue;
			}
			n = level_size(level);
		} else {
			n = min(n, room); /* both within one table */
		}
		dst = walk_level_alloc(mm, to + done, level);
		if (!dst)
			break;
		if (mapping)
			spin_lock(&mapping->i_mmap_lock);
		if (root)
			spin_lock(&root->lock);
		spin_lock(&mm->page_table_lock);
		flush_tlb_batched_pending(mm);
		if (unlikely(level)
			    ? move_large(mm, dst, src, level, from + done, to + done)
			    : move_ptes(mm, dst, src, n >> PAGE_SHIFT, from + done, to + done, wp))
			flush_tlb_range(mm, from + done, from + done + n);
		spin_unlock(&mm->page_table_lock);
		if (root)
			spin_unlock(&root->lock);
		if (mapping)
			spin_unlock(&mapping->i_mmap_lock);
		cond_resched();
	}
	return done;
}

/* ---- moving ---- */

/* The VMA for the new place: a neighbour that took it in, or a new one. NULL if no memory. */
static struct vm_area_struct *copy_vma(struct vm_area_struct *old, const struct remap *r)
{
	struct uffd_ctx *follows = uffd_follows(old);
	unsigned long flags = follows ? old->flags : old->flags & ~VM_UFFD;
	struct vma_desc mid = vma_desc_part(old, r->addr, r->addr + r->new_len, flags);
	unsigned long end = r->to + r->new_len;
	struct vm_area_struct *vma;

	/* Without pages nothing ties it to its old offset: one that fits the new place may let it
	 * join its neighbours there. */
	mid.uffd = follows;
	if (!old->anon_vma && !old->mapping && likely(!(old->flags & VM_SPECIAL)))
		mid.pgoff = r->to >> PAGE_SHIFT;
	vma = vma_merge_range(r->mm, r->to, end, &mid);
	if (vma)
		return vma;
	vma = vma_alloc(r->mm, r->to, end, flags, old->name);
	if (!vma)
		return NULL;
	vma->pgoff = mid.pgoff;
	if (anon_vma_clone(vma, old)) {
		vma_free(vma);
		return NULL;
	}
	if (unlikely(follows))
		uffd_vma_share(vma, old);
	vma_copy_policy(vma, old);
	vma_set_backing(vma, old->file, old->mapping, mid.pgoff);
	if (unlikely(old->resv))
		hugetlb_vma_share_resv(vma, old);
	vma_link(vma);
	return vma;
}

/* The old range stays mapped, but empty and unlocked. */
static void leave_behind(struct vm_area_struct *vma, const struct remap *r)
{
	unsigned long unlocked = vma->flags & ~(VM_LOCKED | VM_LOCKONFAULT);

	vm_stat_account(r->mm, vma->flags, -(long)vma_pages(vma));
	vma_set_flags(vma, unlocked);
	vm_stat_account(r->mm, unlocked, vma_pages(vma));
	if (vma->vm_start == r->addr && vma->vm_end == r->addr + r->old_len)
		unlink_anon_vmas(vma); /* all its pages were removed */
}

static long move_vma(struct vm_area_struct *vma, struct remap *r)
{
	unsigned long grow = (r->new_len - r->old_len) >> PAGE_SHIFT, flags = vma->flags;
	bool stays = (r->flags & MREMAP_DONTUNMAP) || !r->old_len;
	struct mm_struct *mm = r->mm;
	struct vm_area_struct *new;
	enum wp_bits wp;
	int err;

	/* Cutting out takes two VMAs, the new place one. */
	if (mm->map_count + 3 >= sysctl_max_map_count)
		return -ENOMEM;
	if (flags & VM_ACCOUNT) {
		/* The old part is promised already, and will be given back in a moment. */
		err = vm_charge(mm, stays ? r->new_len >> PAGE_SHIFT : grow);
		if (err)
			return err;
		if (!stays)
			vm_charge_unchecked(mm, r->old_len >> PAGE_SHIFT);
	}
	err = stays ? 0 : vma_cut_out(&vma, r->addr, r->addr + r->old_len);
	if (err)
		goto uncharge;
	err = -ENOMEM;
	new = copy_vma(vma, r);
	if (!new) {
		if (!stays)
			vma_merge_around(vma);
		goto uncharge;
	}
	vm_stat_account(mm, flags, r->new_len >> PAGE_SHIFT);
	vma = find_vma(mm, r->addr); /* the new place may have joined it */
	wp = uffd_follows(vma) ? KEEP_UFFD_WP : DROP_UFFD_WP;
	if (move_page_tables(vma, r->addr, r->to, r->old_len, wp) < r->old_len) {
		/* The tables at the old place are all there still. */
		move_page_tables(new, r->to, r->addr, r->old_len, KEEP_UFFD_WP);
		if (unlikely(new->resv))
			hugetlb_vma_drop_resv(new);
		err = __do_munmap(mm, r->to, r->to + r->new_len);
		if (!stays)
			vma_merge_around(find_vma(mm, r->addr));
		return -ENOMEM;
	}
	if (unlikely(vma->resv))
		hugetlb_vma_drop_resv(vma); /* it was moved with the pages */
	if (unlikely(wp == KEEP_UFFD_WP)) {
		r->uffd = vma->uffd;
		uffd_remap_begin(r->uffd);
	}
	if (r->flags & MREMAP_DONTUNMAP)
		leave_behind(vma, r);
	else if (!stays)
		err = __do_munmap(mm, r->addr, r->addr + r->old_len);
	r->populate = (flags & (VM_LOCKED | VM_LOCKONFAULT)) == VM_LOCKED;
	return r->to;
uncharge:
	if (flags & VM_ACCOUNT)
		vm_uncharge(mm, r->new_len >> PAGE_SHIFT);
	return err;
}

/* ---- the call ---- */

/* May old_len bytes at addr, of one VMA, become new_len? */
static int check_resize(struct vm_area_struct *vma, const struct remap *r)
{
	struct mm_struct *mm = r->mm;
	unsigned long grow, at;

	/* Nothing moves: a second mapping of what is shared. */
	if (!r->old_len && !(vma->flags & VM_MAYSHARE))
		return -EINVAL;
	if ((r->flags & MREMAP_DONTUNMAP) && vma->flags & VM_SPECIAL)
		return -EINVAL;
	if (r->old_len > vma->vm_end - r->addr)
		return -EFAULT;
	if (r->new_len <= r->old_len)
		return 0;
	if (vma->flags & VM_SPECIAL)
		return -EFAULT;
	grow = (r->new_len - r->old_len) >> PAGE_SHIFT;
	at = linear_page_index(vma, r->addr);
	if (at + (r->new_len >> PAGE_SHIFT) < at)
		return -EINVAL;
	if (mlock_exceeds_limit(mm, vma->flags, grow))
		return -EAGAIN;
	return may_expand_vm(mm, vma->flags, grow) ? 0 : -ENOMEM;
}

/* Whole huge pages, and never longer: a promise is not made here. */
static int check_hugetlb(const struct vm_area_struct *vma, struct remap *r)
{
	unsigned long size = hstate_size(vma_hstate(vma));

	r->old_len = ALIGN_UP(r->old_len, size);
	r->new_len = ALIGN_UP(r->new_len, size);
	if ((r->addr | r->to) & (size - 1) || r->new_len > r->old_len)
		return -EINVAL;
	return 0;
}

/* Longer at the same place, where nothing follows it. */
static long expand_in_place(struct vm_area_struct *vma, struct remap *r)
{
	unsigned long start = vma->vm_end, end = r->addr + r->new_len;
	unsigned long pages = (end - start) >> PAGE_SHIFT;
	struct vma_desc mid = vma_desc_part(vma, start, end, vma->flags);
	int err;

	if (vma->flags & VM_ACCOUNT) {
		err = vm_charge(r->mm, pages);
		if (err)
			return err;
	}
	vm_stat_account(r->mm, vma->flags, pages);
	r->populate = (vma->flags & (VM_LOCKED | VM_LOCKONFAULT)) == VM_LOCKED;
	vma_merge_range(r->mm, start, end, &mid); /* with the VMA itself at least */
	r->to = r->addr;
	return r->addr;
}

static bool can_expand(struct vm_area_struct *vma, const struct remap *r)
{
	unsigned long end = r->addr + r->new_len;

	return r->addr + r->old_len == vma->vm_end && end > vma->vm_end && end <= TASK_SIZE &&
	       !find_vma_intersection(r->mm, vma->vm_end, end);
}

/* MREMAP_FIXED and MREMAP_DONTUNMAP: always a move. */
static long remap_to(struct remap *r)
{
	struct mm_struct *mm = r->mm;
	struct vm_area_struct *vma;
	long to;
	int err;

	if ((r->to & ~PAGE_MASK) || r->new_len > TASK_SIZE || r->to > TASK_SIZE - r->new_len)
		return -EINVAL;
	if (r->addr + r->old_len > r->to && r->to + r->new_len > r->addr)
		return -EINVAL;
	if (mm->map_count + 5 >= sysctl_max_map_count)
		return -ENOMEM;
	if (r->flags & MREMAP_FIXED) {
		err = do_munmap_locked(mm, r->to, r->new_len);
		r->early = uffd_take_changes(mm);
		if (err)
			return err;
	}
	if (r->old_len > r->new_len) {
		err = do_munmap_locked(mm, r->addr + r->new_len, r->old_len - r->new_len);
		if (err)
			return err;
		r->old_len = r->new_len;
	}
	vma = find_vma_intersection(mm, r->addr, r->addr + 1);
	if (!vma)
		return -EFAULT;
	err = check_resize(vma, r);
	if (err)
		return err;
	if ((r->flags & MREMAP_DONTUNMAP) &&
	    !may_expand_vm(mm, vma->flags, r->old_len >> PAGE_SHIFT))
		return -ENOMEM;
	to = find_free_range(mm, r->to, r->new_len, r->flags & MREMAP_FIXED ? MAP_FIXED : 0);
	if (IS_ERR((void *)to))
		return to;
	r->to = to;
	return move_vma(vma, r);
}

static long mremap_locked(struct remap *r)
{
	struct vm_area_struct *vma = find_vma_intersection(r->mm, r->addr, r->addr + 1);
	int err;

	if (!vma)
		return -EFAULT;
	if (unlikely(vma->flags & VM_SEALED))
		return -EPERM;
	if (unlikely(vma->flags & VM_HUGETLB)) {
		err = check_hugetlb(vma, r);
		if (err)
			return err;
	}
	if (r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		return remap_to(r);
	if (r->old_len >= r->new_len) {
		/* Only the end is unmapped, whatever VMAs it consists of. */
		err = r->old_len == r->new_len ? 0
					       : do_munmap_locked(r->mm, r->addr + r->new_len,
								  r->old_len - r->new_len);
		return err ? err : (long)r->addr;
	}
	err = check_resize(vma, r);
	if (err)
		return err;
	if (can_expand(vma, r))
		return expand_in_place(vma, r);
	if (!(r->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	r->to = find_free_range(r->mm, 0, r->new_len, 0);
	return IS_ERR((void *)r->to) ? (long)r->to : move_vma(vma, r);
}

long do_mremap(struct mm_struct *mm, unsigned long addr, unsigned long old_len,
	       unsigned long new_len, unsigned long flags, unsigned long new_addr)
{
	struct remap r = {.mm = mm,
			  .addr = addr,
			  .old_len = ALIGN_UP(old_len, PAGE_SIZE),
			  .new_len = ALIGN_UP(new_len, PAGE_SIZE),
			  .to = new_addr,
			  .flags = flags};
	struct uffd_change *late;
	long ret;

	if ((flags & ~MREMAP_FLAGS) || ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE)))
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && (!(flags & MREMAP_MAYMOVE) || old_len != new_len))
		return -EINVAL;
	if ((addr & ~PAGE_MASK) || !r.new_len)
		return -EINVAL;
	down_write(&mm->mmap_lock);
	ret = mremap_locked(&r);
	late = uffd_take_changes(mm);
	up_write(&mm->mmap_lock);
	if (!IS_ERR((void *)ret) && r.populate && r.new_len > r.old_len)
		mm_populate(mm, r.to + r.old_len, r.new_len - r.old_len);
	if (unlikely(r.early))
		uffd_unmap_complete(r.early);
	if (unlikely(r.uffd))
		uffd_remap_complete(r.uffd, addr, ret, ALIGN_UP(old_len, PAGE_SIZE));
	if (unlikely(late))
		uffd_unmap_complete(late);
	return ret;
}
