/*
 * userfaultfd: a program answers the faults of an area.
 *
 *   faulting thread                    context                        answering thread
 *   touches an empty PTE
 *   ── pending ──────────────────────> [a][b]  ── uffd_take() ──────> learns the address
 *   sleeps                             [c] delivered                  uffd_fill(): the page is there
 *   looks again  <──────────────────── woken   <───────────────────── uffd_wake()
 *
 * The hook is in fault_in_vma(), where the PTE is empty: VMAs of a context have VM_UFFD. A thread that is
 * to wait has released mmap_lock, puts itself on the list, and looks once more whether the page is still
 * missing before it sleeps; an answer fills the PTE before it wakes. So one of the two sees the other.
 *
 * Write protection (UFFD_MODE_WP): a PTE with _PAGE_UFFD_WP is not writable, and a write to it is asked about in
 * fault_at_pte(). The bit goes with the page to swap and back, and through migration. Where nothing is mapped a marker
 * (uffd_wp_marker()) has the bit: set by UFFDIO_WRITEPROTECT in shared memory, and in private memory with
 * UFFD_FEATURE_WP_UNPOPULATED, and left by whatever unmaps a protected page of shared memory: reclaim, truncation,
 * MADV_DONTNEED. Private memory that is thrown away is not protected any more.
 *
 * Areas: anonymous memory, and shared memory (shmem), where a page of the file that is not mapped is a
 * minor fault. mremap(2) and fork(2) leave the context behind, and the copy is ordinary memory, unless the context has
 * the features UFFD_FEATURE_EVENT_* (userfault_event.c).
 *
 * I1  vma->uffd != NULL exactly if the VMA has VM_UFFD flags; it holds a reference. Two VMAs of different
 *     contexts do not merge (desc_joins()).
 * I2  ctx->mm is NULL from the end of the address space on; who uses it takes a reference under uffd_lock.
 * I3  A PTE or swap entry has the bit only in a VMA with VM_UFFD_WP: who takes the flag away, or copies or moves the
 *     entry to a VMA without it, clears the bit. There are no huge pages of bits: they are split first.
 *
 * Locks: mmap_lock > ctx->lock > wait queues. uffd_lock is taken alone.
 */
#include "mm/fault/userfault_internal.h"
#include "mm/phys/highmem.h"
#include "arch/static_key.h"
#include "arch/tlb.h"
#include "lib/errno.h"
#include "mm/cache/pagecache.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"
#include "mm/pgtable/large.h"
#include "mm/pgtable/pgtable.h"

/** A thread that waits for an answer. On its stack. */
struct waiter {
	struct list_head node; /* lock */
	struct uffd_fault fault;
	bool woken; /* lock */
};

s32 nr_uffd, nr_uffd_unmap;
int sysctl_unprivileged_userfaultfd;
static spinlock_t uffd_lock = SPINLOCK_INIT;
static LIST_HEAD(contexts); /* uffd_lock */

/* ---- contexts ---------------------------------------------------------------------------------- */

struct uffd_ctx *uffd_create(struct mm_struct *mm, enum uffd_faults whose)
{
	struct uffd_ctx *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);

	if (!ctx)
		return NULL;
	ctx->refs = 1;
	ctx->mm = mm;
	ctx->user_only = whose == UFFD_USER_FAULTS;
	spin_lock_init(&ctx->lock);
	INIT_LIST_HEAD(&ctx->pending);
	INIT_LIST_HEAD(&ctx->delivered);
	INIT_LIST_HEAD(&ctx->events);
	wait_queue_init(&ctx->faulters);
	wait_queue_init(&ctx->readers);
	wait_queue_init(&ctx->causers);
	spin_lock(&uffd_lock);
	list_add_tail(&ctx->all, &contexts);
	spin_unlock(&uffd_lock);
	atomic_add(&nr_uffd, 1);
	return ctx;
}

void uffd_put(struct uffd_ctx *ctx)
{
	if (!atomic_dec_and_test(&ctx->refs))
		return;
	spin_lock(&uffd_lock);
	list_del(&ctx->all);
	spin_unlock(&uffd_lock);
	if (ctx->features & UFFD_FEATURE_EVENT_UNMAP)
		atomic_sub(&nr_uffd_unmap, 1);
	atomic_sub(&nr_uffd, 1);
	kfree(ctx);
}

struct mm_struct *uffd_get_mm(struct uffd_ctx *ctx)
{
	struct mm_struct *mm;

	spin_lock(&uffd_lock);
	mm = ctx->mm;
	if (mm && !mmget_not_zero(mm))
		mm = NULL;
	spin_unlock(&uffd_lock);
	return mm;
}

void uffd_mm_gone(struct mm_struct *mm)
{
	struct uffd_ctx *ctx;

	spin_lock(&uffd_lock);
	list_for_each_entry (ctx, &contexts, all) {
		if (ctx->mm == mm)
			ctx->mm = NULL;
	}
	spin_unlock(&uffd_lock);
}

void uffd_set_features(struct uffd_ctx *ctx, u32 features)
{
	WRITE_ONCE(ctx->features, features);
	if (features & UFFD_FEATURE_EVENT_UNMAP)
		atomic_add(&nr_uffd_unmap, 1);
}

struct wait_queue *uffd_readers(struct uffd_ctx *ctx)
{
	return &ctx->readers;
}

/* ---- VMAs -------------------------------------------------------------------------------------- */

void uffd_vma_share(struct vm_area_struct *high, const struct vm_area_struct *low)
{
	high->uffd = low->uffd;
	atomic_add(&high->uffd->refs, 1);
}

void uffd_vma_drop(struct vm_area_struct *vma)
{
	uffd_put(vma->uffd);
	vma->uffd = NULL;
}

bool uffd_is_shmem(const struct vm_area_struct *vma)
{
	return vma->mapping && vma->mapping->flags & AS_SHMEM;
}

static int check_vma(const struct vm_area_struct *vma, const struct uffd_ctx *ctx, u32 modes)
{
	if (vma->flags & (VM_HUGETLB | VM_SPECIAL) || (vma->mapping && !uffd_is_shmem(vma)))
		return -EINVAL;
	if (modes & UFFD_MODE_WP && vma->mapping && !(vma->flags & VM_SHARED))
		return -EINVAL;
	if (modes & UFFD_MODE_MINOR && !(uffd_is_shmem(vma) && vma->flags & VM_SHARED))
		return -EINVAL;
	if (!(vma->flags & VM_MAYWRITE))
		return -EPERM;
	return vma->uffd && vma->uffd != ctx ? -EBUSY : 0;
}

/* How to treat what is not there: as it is, or protected by a marker. */
enum wp_empty { WP_LEAVE_EMPTY, WP_MARK_EMPTY };

/* P held: n entries of one table. Returns whether the CPU may know one of them otherwise. */
static bool change_wp_ptes(pte_t *pte, unsigned long n, enum uffd_wp wp, enum wp_empty empty)
{
	bool changed = false;

	for (; n; n--, pte++) {
		pte_t e = pte_read(pte);

		if (pte_none(e)) {
			if (empty == WP_MARK_EMPTY)
				pte_set(pte, uffd_wp_marker());
			continue;
		}
		if (pte_uffd_wp(e) == (wp == UFFD_PROTECT))
			continue;
		if (pte_present(e)) {
			e = pte_get_and_clear(pte); /* with the last A and D bits */
			changed = true;
		}
		pte_set(pte, wp == UFFD_PROTECT ? pte_mkuffd_wp(e) : pte_clear_uffd_wp(e));
	}
	return changed;
}

/* mmap_lock held: protect what is there, or no longer. A write right is given back by the next fault. 0, -ENOMEM:
 * there is no memory for the tables of markers. */
static int change_wp(struct mm_struct *mm, unsigned long start, unsigned long end, enum uffd_wp wp,
		     enum wp_empty empty)
{
	unsigned long addr, next;
	unsigned int level;

	for (addr = start; addr < end; addr = next) {
		pte_t *leaf = walk_leaf(mm->pgd, addr, &level, &next);

		next = min(next, end);
		if (!leaf) {
			if (empty == WP_LEAVE_EMPTY)
				continue;
			if (!walk_pte_alloc(mm, addr) && !walk_leaf(mm->pgd, addr, &level, &next))
				return -ENOMEM;
			next = addr; /* there is a table now, or a huge page */
			continue;
		}
		if (level) {
			if (wp == UFFD_PROTECT) {
				split_large(mm, leaf, addr);
				next = addr;
			}
			continue;
		}
		spin_lock(&mm->page_table_lock);
		flush_tlb_batched_pending(mm);
		if (change_wp_ptes(leaf, (next - addr) >> PAGE_SHIFT, wp, empty))
			flush_tlb_range(mm, addr, next);
		spin_unlock(&mm->page_table_lock);
		cond_resched();
	}
	return 0;
}

/* mmap_lock for writing: the VMA's part [start, end) gets these VM_UFFD flags, or none. *pvma is what
 * covers it then. */
static int set_part(struct vm_area_struct **pvma, unsigned long start, unsigned long end,
		    struct uffd_ctx *ctx, unsigned long uffd_flags)
{
	struct vm_area_struct *vma;
	int err = vma_cut_out(pvma, start, end);

	if (err)
		return err;
	vma = *pvma;
	if (vma->flags & VM_UFFD_WP && !(uffd_flags & VM_UFFD_WP))
		change_wp(vma->mm, start, end, UFFD_UNPROTECT, WP_LEAVE_EMPTY);
	vma_set_flags(vma, (vma->flags & ~VM_UFFD) | uffd_flags);
	if (uffd_flags && !vma->uffd) {
		vma->uffd = ctx;
		atomic_add(&ctx->refs, 1);
	} else if (!uffd_flags) {
		uffd_vma_drop(vma);
	}
	*pvma = vma_merge_around(vma);
	return 0;
}

static int register_locked(struct mm_struct *mm, struct uffd_ctx *ctx, unsigned long start,
			   unsigned long end, u32 modes)
{
	struct vm_area_struct *vma = find_vma_intersection(mm, start, end), *v;
	unsigned long flags = (modes & UFFD_MODE_MISSING ? VM_UFFD_MISSING : 0) |
			      (modes & UFFD_MODE_WP ? VM_UFFD_WP : 0) |
			      (modes & UFFD_MODE_MINOR ? VM_UFFD_MINOR : 0);
	int err = vma ? 0 : -EINVAL;

	for (v = vma; v && v->vm_start < end && !err; v = vma_next(v))
		err = check_vma(v, ctx, modes);
	while (!err && vma && vma->vm_start < end) {
		unsigned long from = max(start, vma->vm_start), to = min(end, vma->vm_end);

		if ((vma->flags & VM_UFFD) != flags)
			err = set_part(&vma, from, to, ctx, flags);
		vma = vma_next(vma);
	}
	return err;
}

int uffd_register(struct uffd_ctx *ctx, unsigned long start, unsigned long end, u32 modes)
{
	struct mm_struct *mm = uffd_get_mm(ctx);
	int err;

	if (!mm)
		return -ESRCH;
	down_write(&mm->mmap_lock);
	err = register_locked(mm, ctx, start, end, modes);
	up_write(&mm->mmap_lock);
	mmput(mm);
	return err;
}

/* mmap_lock for writing: what is the context's of [start, end) is ordinary memory again. */
static int unregister_locked(struct mm_struct *mm, struct uffd_ctx *ctx, unsigned long start,
			     unsigned long end)
{
	struct vm_area_struct *vma = find_vma_intersection(mm, start, end);
	int err = 0;

	while (vma && vma->vm_start < end && !err) {
		if (vma->uffd == ctx)
			err = set_part(&vma, max(start, vma->vm_start), min(end, vma->vm_end), ctx,
				       0);
		vma = vma_next(vma);
	}
	return err;
}

int uffd_unregister(struct uffd_ctx *ctx, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = uffd_get_mm(ctx);
	int err;

	if (!mm)
		return -ESRCH;
	down_write(&mm->mmap_lock);
	err = find_vma_intersection(mm, start, end) ? unregister_locked(mm, ctx, start, end)
						    : -EINVAL;
	up_write(&mm->mmap_lock);
	mmput(mm);
	uffd_wake(ctx, start, end);
	return err;
}

void uffd_release(struct uffd_ctx *ctx)
{
	struct mm_struct *mm = uffd_get_mm(ctx);

	spin_lock(&ctx->lock);
	ctx->released = true;
	spin_unlock(&ctx->lock);
	if (mm) {
		down_write(&mm->mmap_lock);
		unregister_locked(mm, ctx, 0, TASK_SIZE); /* whole VMAs: nothing is cut */
		up_write(&mm->mmap_lock);
		mmput(mm);
	}
	uffd_wake(ctx, 0, ~0ul);
	wake_up(&ctx->causers);
	uffd_put(ctx);
}

struct vm_area_struct *uffd_find_registered(struct mm_struct *mm, unsigned long addr,
					    unsigned long end)
{
	struct vm_area_struct *vma = find_vma(mm, addr);

	return vma && vma->vm_start <= addr && end <= vma->vm_end && vma->uffd ? vma : NULL;
}

int uffd_writeprotect(struct uffd_ctx *ctx, unsigned long start, unsigned long end, enum uffd_wp wp)
{
	struct mm_struct *mm = uffd_get_mm(ctx);
	struct vm_area_struct *vma;
	int err = -ENOENT;

	if (!mm)
		return -ESRCH;
	down_read(&mm->mmap_lock);
	vma = uffd_find_registered(mm, start, end);
	if (uffd_changing(ctx)) {
		err = -EAGAIN;
	} else if (vma && vma->flags & VM_UFFD_WP) {
		bool mark = wp == UFFD_PROTECT &&
			    (vma->mapping || ctx->features & UFFD_FEATURE_WP_UNPOPULATED);

		err = change_wp(mm, start, end, wp, mark ? WP_MARK_EMPTY : WP_LEAVE_EMPTY);
	}
	up_read(&mm->mmap_lock);
	mmput(mm);
	return err;
}

/* ---- faults ------------------------------------------------------------------------------------ */

/* Has the file the page, in memory or in swap? */
static bool file_has_page(const struct vm_area_struct *vma, unsigned long addr)
{
	struct address_space *mapping = vma->mapping;
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	bool there = radix_lookup(&mapping->pages, linear_page_index(vma, addr));

	spin_unlock_irqrestore(&mapping->lock, flags);
	return there;
}

/* mmap_lock held, the PTE is empty: is it a fault for the context? 0, or VM_FAULT_USERFAULT*. */
static unsigned int kind_of(const struct vm_area_struct *vma, unsigned long addr)
{
	bool there = uffd_is_shmem(vma) && file_has_page(vma, addr);

	if (there)
		return vma->flags & VM_UFFD_MINOR ? VM_FAULT_USERFAULT | VM_FAULT_USERFAULT_MINOR
						  : 0;
	return vma->flags & VM_UFFD_MISSING ? VM_FAULT_USERFAULT : 0;
}

unsigned int userfault_check(struct vm_fault *vmf)
{
	struct uffd_ctx *ctx = vmf->vma->uffd;
	unsigned int kind = kind_of(vmf->vma, vmf->addr);

	if (!kind)
		return 0;
	if (READ_ONCE(ctx->features) & UFFD_FEATURE_SIGBUS ||
	    (ctx->user_only && vmf->flags & FAULT_FLAG_KERNEL))
		return VM_FAULT_SIGBUS;
	atomic_add(&ctx->refs, 1);
	vmf->uffd = ctx;
	return kind;
}

unsigned int userfault_check_wp(struct vm_fault *vmf)
{
	struct uffd_ctx *ctx = vmf->vma->uffd;

	if (READ_ONCE(ctx->features) & UFFD_FEATURE_SIGBUS ||
	    (ctx->user_only && vmf->flags & FAULT_FLAG_KERNEL))
		return VM_FAULT_SIGBUS;
	atomic_add(&ctx->refs, 1);
	vmf->uffd = ctx;
	return VM_FAULT_USERFAULT | VM_FAULT_USERFAULT_WP;
}

/* What is at the PTE (NULL: no table) is what the fault is about. */
static bool still_so(const struct vm_area_struct *vma, unsigned long addr, const pte_t *pte,
		     unsigned int kind)
{
	pte_t e = pte ? pte_read(pte) : __pte(0);

	if (kind & VM_FAULT_USERFAULT_WP)
		return !pte_none(e) && pte_uffd_wp(e);
	return (pte_none(e) || pte_is_uffd_wp_marker(e)) && kind_of(vma, addr) == kind;
}

/* Is the page still missing, and the context's? */
static bool must_wait(const struct vm_fault *vmf, const struct uffd_ctx *ctx, unsigned int kind)
{
	struct vm_area_struct *vma;
	unsigned int level;
	unsigned long next;
	bool wait = false;
	pte_t *pte;

	down_read(&vmf->mm->mmap_lock);
	vma = find_vma(vmf->mm, vmf->addr);
	if (vma && vma->vm_start <= vmf->addr && vma->uffd == ctx) {
		pte = walk_leaf(vmf->mm->pgd, vmf->addr, &level, &next);
		wait = still_so(vma, vmf->addr, level ? NULL : pte, kind);
	}
	up_read(&vmf->mm->mmap_lock);
	return wait;
}

static bool woken(struct uffd_ctx *ctx, const struct waiter *w)
{
	return READ_ONCE(w->woken) || READ_ONCE(ctx->released);
}

static bool interrupted(const struct vm_fault *vmf)
{
	/* A program's own access can be broken off and made again; the kernel's would fail. */
	if (vmf->flags & FAULT_FLAG_KERNEL)
		return atomic_load(&current_thread_info()->flags) & TIF_KILLED;
	return task_interrupted();
}

unsigned int userfault_wait(struct vm_fault *vmf, unsigned int ret)
{
	unsigned int kind =
		ret & (VM_FAULT_USERFAULT | VM_FAULT_USERFAULT_MINOR | VM_FAULT_USERFAULT_WP);
	struct uffd_ctx *ctx = vmf->uffd;
	struct waiter w = {.fault.addr = vmf->addr};
	bool broken = false;

	w.fault.flags = (vmf->flags & FAULT_FLAG_WRITE ? UFFD_FLAG_WRITE : 0) |
			(kind & VM_FAULT_USERFAULT_WP ? UFFD_FLAG_WP : 0) |
			(kind & VM_FAULT_USERFAULT_MINOR ? UFFD_FLAG_MINOR : 0);
	spin_lock(&ctx->lock);
	list_add_tail(&w.node, &ctx->pending);
	spin_unlock(&ctx->lock);
	if (must_wait(vmf, ctx, kind)) {
		wake_up(&ctx->readers);
		while (!woken(ctx, &w) && !broken) {
			struct wait_entry we;

			prepare_to_wait(&ctx->faulters, &we);
			broken = interrupted(vmf);
			if (!woken(ctx, &w) && !broken)
				schedule();
			finish_wait(&ctx->faulters, &we);
		}
	}
	spin_lock(&ctx->lock);
	broken = broken && !w.woken;
	list_del(&w.node);
	spin_unlock(&ctx->lock);
	uffd_put(ctx);
	return broken && vmf->flags & FAULT_FLAG_KERNEL ? VM_FAULT_SIGBUS : 0;
}

bool uffd_take(struct uffd_ctx *ctx, struct uffd_fault *out)
{
	struct waiter *w;
	bool found = false;

	spin_lock(&ctx->lock);
	list_for_each_entry (w, &ctx->pending, node) {
		if (w->woken)
			continue;
		*out = w->fault;
		list_del(&w->node);
		list_add_tail(&w->node, &ctx->delivered);
		found = true;
		break;
	}
	spin_unlock(&ctx->lock);
	return found;
}

void uffd_count(struct uffd_ctx *ctx, u64 *pending, u64 *total)
{
	struct waiter *w;

	*pending = *total = 0;
	spin_lock(&ctx->lock);
	list_for_each_entry (w, &ctx->pending, node)
		*pending += !w->woken;
	list_for_each_entry (w, &ctx->delivered, node)
		*total += !w->woken;
	spin_unlock(&ctx->lock);
	*total += *pending;
}

bool uffd_has_pending(struct uffd_ctx *ctx)
{
	u64 pending, total;

	uffd_count(ctx, &pending, &total);
	return pending || uffd_event_pending(ctx);
}

static void wake_list(struct list_head *list, unsigned long start, unsigned long end)
{
	struct waiter *w;

	list_for_each_entry (w, list, node) {
		if (w->fault.addr >= start && w->fault.addr < end)
			w->woken = true;
	}
}

void uffd_wake(struct uffd_ctx *ctx, unsigned long start, unsigned long end)
{
	spin_lock(&ctx->lock);
	wake_list(&ctx->pending, start, end);
	wake_list(&ctx->delivered, start, end);
	spin_unlock(&ctx->lock);
	wake_up(&ctx->faulters);
}
