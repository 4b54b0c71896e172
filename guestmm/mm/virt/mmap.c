/*
 * mmap: where a mapping is placed, and what it may be. munmap.c takes mappings away, brk.c has heaps and stacks.
 *
 * Placement is top-down from mm->mmap_base, below the stack's room. Each call checks and reserves
 * first (limits, overcommit charge, a VMA for the split that a hole needs), then changes the tree.
 *
 * I1  total_vm, data_vm, stack_vm, locked_vm are the sums over the VMAs.
 * I2  mm->committed = pages of the VMAs with VM_ACCOUNT.
 *
 * Locks: mmap_lock for writing; populating runs after it is released.
 */
#include "lib/errno.h"
#include "mm/fault/userfault.h"
#include "mm/cache/dax.h"
#include "mm/reclaim/lru.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/ksm/ksm.h"
#include "mm/pgtable/pgtable.h"
#include "mm/virt/pkey.h"
#include "mm/rmap/rmap.h"
#include "mm/cache/shmem.h"
#include "mm/virt/vma.h"

#define MMAP32_LOW  0x40000000ul
#define MMAP32_HIGH 0x80000000ul

#define MAX_FILE_BYTES 0x7fffffffffffffffull
/* What MAP_SHARED_VALIDATE lets pass. */
#define MAP_KNOWN_FLAGS                                                                         \
	(MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_UNINITIALIZED |       \
	 MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | \
	 MAP_HUGETLB | MAP_32BIT | MAP_FIXED_NOREPLACE | MAP_HUGE_MASK << MAP_HUGE_SHIFT)

/* ---- mapping ---- */

static unsigned long calc_vm_flags(int prot, int flags)
{
	unsigned long vm = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;

	vm |= (prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) |
	      (prot & PROT_EXEC ? VM_EXEC : 0);
	vm |= (flags & MAP_GROWSDOWN ? VM_GROWSDOWN : 0) | (flags & MAP_LOCKED ? VM_LOCKED : 0);
	if ((flags & MAP_NORESERVE) && sysctl_overcommit_memory != 2)
		vm |= VM_NORESERVE;
	return vm;
}

/* Highest hole of `len` bytes that has an aligned place for them. */
static unsigned long highest_hole(struct mm_struct *mm, unsigned long len, unsigned long low,
				  unsigned long high, unsigned long align)
{
	unsigned long room = len + align - PAGE_SIZE;
	unsigned long found = unmapped_area_topdown(mm, room, low, high);

	return found ? (found + room - len) & ~(align - 1) : 0;
}

long find_free_range(struct mm_struct *mm, unsigned long addr, unsigned long len, int flags)
{
	return find_free_range_aligned(mm, addr, len, flags, PAGE_SIZE);
}

/* What was asked for if free or MAP_FIXED, else the highest hole. */
long find_free_range_aligned(struct mm_struct *mm, unsigned long addr, unsigned long len, int flags,
			     unsigned long align)
{
	unsigned long low = MMAP_MIN_ADDR, high = mm->mmap_base, end = DEFAULT_MAP_WINDOW, found;
	struct vm_area_struct *vma;

	if (len > TASK_SIZE)
		return -ENOMEM;
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (addr & (align - 1))
			return -EINVAL;
		if (addr > TASK_SIZE - len)
			return -ENOMEM;
		if (addr < MMAP_MIN_ADDR)
			return -EPERM;
		if ((flags & MAP_FIXED_NOREPLACE) && find_vma_intersection(mm, addr, addr + len))
			return -EEXIST;
		return addr;
	}
	if (flags & MAP_32BIT) {
		low = MMAP32_LOW;
		high = MMAP32_HIGH;
	}
	addr = addr > TASK_SIZE ? 0 : ALIGN_UP(addr & PAGE_MASK, align);
	if (addr && addr < MMAP_MIN_ADDR)
		addr = MMAP_MIN_ADDR;
	if (addr >= MMAP_MIN_ADDR && addr <= TASK_SIZE - len &&
	    (!(flags & MAP_32BIT) || addr + len <= high)) {
		vma = find_vma(mm, addr);
		if (!vma || addr + len <= vm_start_gap(vma)) {
			struct vm_area_struct *prev;

			prev = vma ? vma_prev(vma)
				   : (list_empty(&mm->mmap)
					      ? NULL
					      : list_last_entry(&mm->mmap, struct vm_area_struct,
								link));
			if (!prev || addr >= prev->vm_end)
				return addr;
		}
	}
	/* Beyond 47 bits only for programs that have named an address there, as on Linux: others may
	 * keep something in the upper bits of pointers. */
	if (unlikely(addr > DEFAULT_MAP_WINDOW) && !(flags & MAP_32BIT)) {
		end = TASK_SIZE;
		high += TASK_SIZE - DEFAULT_MAP_WINDOW;
	}
	found = highest_hole(mm, len, low, high, align);
	if (!found && !(flags & MAP_32BIT))
		found = highest_hole(mm, len, low, end, align);
	return found ? (long)found : -ENOMEM;
}

int mm_map_range(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned long flags,
		 const char *name)
{
	struct vm_area_struct *vma;

	flags |= VM_SOFTDIRTY;
	if (!vma_merge_new(mm, start, end, flags, name)) {
		vma = vma_alloc(mm, start, end, flags, name);
		if (!vma)
			return -ENOMEM;
		vma_link(vma);
	}
	vm_stat_account(mm, flags, (end - start) >> PAGE_SHIFT);
	return 0;
}

/* mm_map_range() for pages of a file, from pgoff on. */
static int map_file_range(struct mm_struct *mm, unsigned long start, unsigned long end,
			  unsigned long flags, struct file *file, struct address_space *mapping,
			  unsigned long pgoff)
{
	struct vma_desc mid = {.flags = flags | VM_SOFTDIRTY,
			       .pgoff = pgoff,
			       .pages = (end - start) >> PAGE_SHIFT,
			       .file = file,
			       .mapping = mapping};
	struct vm_area_struct *vma;

	if (!vma_merge_range(mm, start, end, &mid)) {
		vma = vma_alloc(mm, start, end, flags | VM_SOFTDIRTY, NULL);
		if (!vma)
			return -ENOMEM;
		vma_set_backing(vma, file, mapping, pgoff);
		if (unlikely(flags & VM_HUGETLB)) {
			int err = hugetlb_reserve_vma(vma);

			if (err) {
				vma_free(vma);
				return err;
			}
			/* A mapping that may write makes its file as long as itself. */
			if ((flags & VM_WRITE) && mapping->size < (pgoff + mid.pages) << PAGE_SHIFT)
				WRITE_ONCE(mapping->size, (pgoff + mid.pages) << PAGE_SHIFT);
		}
		vma_link(vma);
	}
	vm_stat_account(mm, flags, mid.pages);
	return 0;
}

/* Promise `pages`, if such a mapping is a promise: sets VM_ACCOUNT in *flags then. */
static int charge_mapping(struct mm_struct *mm, unsigned long *flags, unsigned long pages)
{
	int err;

	/* Pages of hugetlb are promised by their pool. */
	if ((*flags & VM_HUGETLB) || !vm_accountable(*flags, sysctl_overcommit_memory))
		return 0;
	err = vm_charge(mm, pages);
	if (!err)
		*flags |= VM_ACCOUNT;
	return err;
}

int mm_reserve_mapping(struct mm_struct *mm, unsigned long *flags, unsigned long pages)
{
	return may_expand_vm(mm, *flags, pages) ? charge_mapping(mm, flags, pages) : -ENOMEM;
}

static unsigned long mapped_pages(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = find_vma_intersection(mm, start, end);
	unsigned long n = 0;

	for (; vma && vma->vm_start < end; vma = vma_next(vma))
		n += (min(end, vma->vm_end) - max(start, vma->vm_start)) >> PAGE_SHIFT;
	return n;
}

/* May the file be mapped so? Puts VM_SHARED... into *vm_flags. */
static int check_source(struct map_source *src, unsigned long len, int flags, unsigned long pgoff,
			unsigned long *vm_flags)
{
	if (pgoff + (len >> PAGE_SHIFT) > (unsigned long)MAX_FILE_BYTES >> PAGE_SHIFT)
		return -EOVERFLOW;
	switch (flags & MAP_TYPE) {
	case MAP_SHARED_VALIDATE:
		if (flags & ~(MAP_TYPE | MAP_KNOWN_FLAGS))
			return -EOPNOTSUPP;
		/* fall through */
	case MAP_SHARED:
		if ((*vm_flags & VM_WRITE) && !src->writable)
			return -EACCES;
		*vm_flags |= VM_SHARED | VM_MAYSHARE;
		/* What may never be written is like a private mapping, but is shown as shared. */
		if (!src->writable)
			*vm_flags &= ~(VM_MAYWRITE | VM_SHARED);
		break;
	case MAP_PRIVATE:
		break;
	default:
		return -EINVAL;
	}
	if (!src->readable)
		return -EACCES;
	if (src->noexec) {
		if (*vm_flags & VM_EXEC)
			return -EPERM;
		*vm_flags &= ~VM_MAYEXEC;
	}
	if (!src->prepare)
		return -ENODEV;
	return *vm_flags & VM_GROWSDOWN ? -EINVAL : 0;
}

/* Anonymous memory: what kind? */
static int check_anonymous(int flags, unsigned long *vm_flags)
{
	switch (flags & MAP_TYPE) {
	case MAP_SHARED:
		if (*vm_flags & VM_GROWSDOWN)
			return -EINVAL;
		*vm_flags |= VM_SHARED | VM_MAYSHARE;
		return 0;
	case MAP_PRIVATE:
		return 0;
	default:
		return -EINVAL;
	}
}

/*
 * A shared mapping of a file that was opened for writing: what the file's seals leave of it. While
 * VM_MAYWRITE is left no seal against writing can be added, until mapping_unmap_writable().
 */
static int check_seals(struct address_space *mapping, unsigned long *vm_flags)
{
	const u32 against = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
	bool sealed = atomic_load(&mapping->seals) & against;
	int err;

	if (!sealed) {
		err = mapping_map_writable(mapping);
		if (err)
			return err;
		sealed = atomic_load(&mapping->seals) & against;
		if (sealed)
			mapping_unmap_writable(mapping);
	}
	if (!sealed)
		return 0;
	*vm_flags &= ~VM_MAYWRITE;
	return *vm_flags & VM_WRITE ? -EPERM : 0;
}

static int map_file(struct mm_struct *mm, unsigned long start, unsigned long end,
		    unsigned long vm_flags, unsigned long pgoff, struct map_source *src)
{
	struct address_space *shared = vm_flags & VM_SHARED ? src->mapping : NULL;
	int err = shared ? check_seals(shared, &vm_flags) : 0;

	if (err)
		return err;
	err = src->prepare(src, vm_flags);
	/* A device that means anonymous memory (/dev/zero) has no pages of its own. */
	if (!err)
		err = map_file_range(mm, start, end, vm_flags, src->file, src->mapping,
				     src->mapping ? pgoff : start >> PAGE_SHIFT);
	if (shared && vm_flags & VM_MAYWRITE)
		mapping_unmap_writable(shared); /* the VMA counts itself */
	return err;
}

/* Everything is checked, charged and free: make the mapping. */
static int map_source(struct mm_struct *mm, unsigned long start, unsigned long end,
		      unsigned long vm_flags, unsigned long pgoff, struct map_source *src,
		      struct hstate *h)
{
	struct address_space *object;
	int err;

	if (src)
		return map_file(mm, start, end, vm_flags, pgoff, src);
	if (h) {
		err = hugetlb_object_create(h, end - start, &object);
		if (err)
			return err;
		err = map_file_range(mm, start, end, vm_flags, NULL, object, 0);
		hugetlb_object_put(object); /* the VMA has its own */
		return err;
	}
	if (!(vm_flags & VM_SHARED))
		return mm_map_range(mm, start, end, vm_flags, NULL);
	err = shmem_object_create(end - start, !(vm_flags & VM_NORESERVE), &object);
	if (err)
		return err;
	err = map_file_range(mm, start, end, vm_flags, NULL, object, 0);
	shmem_object_put(object); /* the VMA has its own */
	return err;
}

/* Where huge pages are always wanted, memory that could be huge is placed so that it can. */
static unsigned long mapping_align(unsigned long hint, unsigned long len, int flags,
				   unsigned long pgoff, const struct map_source *src,
				   const struct hstate *h)
{
	if (h)
		return hstate_size(h);
	if (unlikely(shmem_huge_ever) && !hint && len >= PMD_SIZE &&
	    !(pgoff & (HPAGE_PMD_NR - 1)) && (src ? !!src->mapping : flags & MAP_SHARED) &&
	    shmem_huge_mount(src ? src->mapping : NULL))
		return PMD_SIZE;
	return thp_enabled == THP_ALWAYS && !src && !hint && !(len & (PMD_SIZE - 1)) ? PMD_SIZE
										     : PAGE_SIZE;
}

/* A mapping of a file whose pages do not leave: it cannot be locked, or is locked from the beginning. */
static int map_kept(struct mm_struct *mm, const struct address_space *mapping, unsigned long pages,
		    unsigned long *vm_flags)
{
	if (mapping_is_dax(mapping)) {
		*vm_flags &= ~(VM_LOCKED | VM_LOCKONFAULT); /* as mlock_fixup() */
		return 0;
	}
	if (!(*vm_flags & VM_MAYSHARE))
		return -EINVAL; /* a private copy would be seen by the kernel */
	*vm_flags |= VM_LOCKED | VM_DONTDUMP;
	return mlock_exceeds_limit(mm, *vm_flags, pages) ? -EAGAIN : 0;
}

static long mmap_locked(struct mm_struct *mm, unsigned long addr, unsigned long len, int flags,
			unsigned long vm_flags, bool *populate, unsigned long pgoff,
			struct map_source *src, struct hstate *h)
{
	bool over = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE); /* something may be there */
	unsigned long end, pages;
	int err;

	if (mm->map_count > sysctl_max_map_count)
		return -ENOMEM;
	addr = find_free_range_aligned(mm, addr, len, flags,
				       mapping_align(addr, len, flags, pgoff, src, h));
	if (IS_ERR((void *)addr))
		return addr;
	vm_flags |= mm->def_flags | (h ? VM_HUGETLB : 0);
	if ((flags & MAP_LOCKED) && !rlimit(RLIMIT_MEMLOCK))
		return -EPERM;
	if (mlock_exceeds_limit(mm, vm_flags, len >> PAGE_SHIFT))
		return -EAGAIN;
	err = src ? check_source(src, len, flags, pgoff, &vm_flags)
		  : check_anonymous(flags, &vm_flags);
	if (err)
		return err;
	vm_flags = ksm_vma_flags(mm, vm_flags);
	if ((vm_flags & (VM_LOCKED | VM_LOCKONFAULT)) == VM_LOCKED)
		*populate = true;
	if (src && src->mapping && unlikely(src->mapping->flags & (AS_DAX | AS_SECRET))) {
		err = map_kept(mm, src->mapping, len >> PAGE_SHIFT, &vm_flags);
		if (err)
			return err;
	}
	end = addr + len;
	pages = len >> PAGE_SHIFT;
	if (!may_expand_vm(mm, vm_flags, pages - (over ? mapped_pages(mm, addr, end) : 0)))
		return -ENOMEM;
	/* As in Linux, old mappings are removed first: if the charge then fails, a hole is left. */
	err = over ? __do_munmap(mm, addr, end) : 0;
	if (err)
		return err;
	err = charge_mapping(mm, &vm_flags, pages);
	if (err)
		return err;
	err = map_source(mm, addr, end, vm_flags, pgoff, src, h);
	if (err) {
		if (vm_flags & VM_ACCOUNT)
			vm_uncharge(mm, pages);
		return err;
	}
	return addr;
}

/* Whose huge pages are mapped, if any: the file's, or those that MAP_HUGETLB names. 0 or -EINVAL. */
static int mmap_hstate(const struct map_source *src, int flags, struct hstate **h)
{
	if (src && src->mapping && (src->mapping->flags & AS_HUGETLB)) {
		*h = hugetlb_file(src->mapping)->h;
	} else if (flags & MAP_HUGETLB) {
		if (src)
			return -EINVAL;
		*h = hstate_of_log((unsigned int)flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK);
		if (!*h)
			return -EINVAL;
	}
	return 0;
}

long do_mmap_file(struct mm_struct *mm, unsigned long addr, unsigned long len, int prot, int flags,
		  unsigned long pgoff, struct map_source *src)
{
	bool populate = (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE;
	struct hstate *h = NULL;
	struct uffd_change *changes;
	unsigned long size, vm_flags;
	long ret = mmap_hstate(src, flags, &h);

	if (ret || !len)
		return ret ? ret : -EINVAL;
	size = ALIGN_UP(len, h ? hstate_size(h) : PAGE_SIZE);
	if (h && pgoff & ((1ul << h->order) - 1))
		return -EINVAL;
	if (!size || size > TASK_SIZE)
		return -ENOMEM;
	if (pgoff + (size >> PAGE_SHIFT) < pgoff)
		return -EOVERFLOW;
	vm_flags = calc_vm_flags(prot, flags);
	down_write(&mm->mmap_lock);
	if (unlikely(prot == PROT_EXEC))
		vm_flags |= pkey_execute_only(mm);
	ret = mmap_locked(mm, addr, size, flags, vm_flags, &populate, pgoff, src, h);
	changes = uffd_take_changes(mm);
	up_write(&mm->mmap_lock);
	if (unlikely(changes))
		uffd_unmap_complete(changes);
	if (!IS_ERR((void *)ret) && populate && prot != PROT_NONE)
		mm_populate(mm, ret, size); /* as Linux: what does not fit now faults later */
	return ret;
}

/* Nothing new about the file: a VMA maps it so already. */
static int prepare_nothing(struct map_source *src, unsigned long vm_flags)
{
	return 0;
}

/* What is about to be mapped over may be the last to hold what is mapped anew. */
static void source_hold(const struct map_source *src)
{
	if (src->file)
		file_get(src->file);
	else
		mapping_object_get(src->mapping);
}

static void source_put(const struct map_source *src)
{
	if (src->file)
		file_put(src->file);
	else
		mapping_object_put(src->mapping);
}

/* Is [start, end) of VMAs that touch, of one file, with equal flags? `vma`: that of start. */
static bool one_shared_mapping(struct vm_area_struct *vma, unsigned long end)
{
	const struct vm_area_struct *first = vma;

	while (end > vma->vm_end) {
		struct vm_area_struct *next = vma_next(vma);

		if (!next || next->vm_start != vma->vm_end || next->mapping != first->mapping ||
		    next->file != first->file || (next->flags ^ first->flags) & ~VM_SOFTDIRTY)
			return false;
		vma = next;
	}
	return true;
}

int do_remap_file_pages(struct mm_struct *mm, unsigned long start, unsigned long size, int prot,
			unsigned long pgoff, int flags)
{
	struct uffd_change *changes;
	struct map_source src = {.readable = true, .prepare = prepare_nothing};
	int map = MAP_SHARED | MAP_FIXED | MAP_POPULATE | (flags & MAP_NONBLOCK), rights;
	bool populate = !(flags & MAP_NONBLOCK);
	struct vm_area_struct *vma;
	struct hstate *h = NULL;
	long ret = -EINVAL;

	start &= PAGE_MASK;
	size &= PAGE_MASK;
	if (prot || start + size <= start || pgoff + (size >> PAGE_SHIFT) < pgoff)
		return -EINVAL;
	down_write(&mm->mmap_lock);
	vma = find_vma_intersection(mm, start, start + 1);
	if (!vma || !(vma->flags & VM_SHARED) || !vma->mapping ||
	    !one_shared_mapping(vma, start + size))
		goto out;
	rights = (vma->flags & VM_READ ? PROT_READ : 0) | (vma->flags & VM_WRITE ? PROT_WRITE : 0) |
		 (vma->flags & VM_EXEC ? PROT_EXEC : 0);
	if (vma->flags & VM_LOCKED)
		map |= MAP_LOCKED;
	if (vma->flags & VM_HUGETLB) {
		h = vma_hstate(vma);
		if ((start | size | pgoff << PAGE_SHIFT) & (hstate_size(h) - 1))
			goto out;
	}
	src.file = vma->file;
	src.mapping = vma->mapping;
	src.writable = vma->flags & VM_MAYWRITE;
	src.noexec = !(vma->flags & VM_MAYEXEC);
	source_hold(&src);
	ret = mmap_locked(mm, start, size, map, calc_vm_flags(rights, map), &populate, pgoff, &src,
			  h);
out:
	changes = uffd_take_changes(mm);
	up_write(&mm->mmap_lock);
	if (unlikely(changes))
		uffd_unmap_complete(changes);
	if (src.mapping)
		source_put(&src);
	if (IS_ERR((void *)ret))
		return (int)ret;
	if (populate)
		mm_populate(mm, start, size);
	return 0;
}

long do_mmap(struct mm_struct *mm, unsigned long addr, unsigned long len, int prot, int flags,
	     unsigned long pgoff)
{
	return do_mmap_file(mm, addr, len, prot, flags, pgoff, NULL);
}
