/*
 * Heap and stack: mappings that grow. brk(2), the stack of a new program, and its growth by faults.
 *
 * Each call checks and reserves first, then changes the tree, as in mmap.c, which has the invariants.
 *
 * Locks: mmap_lock for writing.
 */
#include "lib/errno.h"
#include "mm/fault/userfault.h"
#include "mm/ksm/ksm.h"
#include "mm/virt/vma.h"

unsigned long do_brk(struct mm_struct *mm, unsigned long brk)
{
	unsigned long flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
	unsigned long old_end = 0, new_end = 0, ret, pages;
	struct uffd_change *changes;
	struct vm_area_struct *next;
	bool populate = false;

	down_write(&mm->mmap_lock);
	ret = mm->brk;
	if (brk < mm->start_brk || brk > TASK_SIZE)
		goto out;
	if (brk - mm->start_brk + (mm->end_data - mm->start_data) > rlimit(RLIMIT_DATA))
		goto out;
	old_end = ALIGN_UP(mm->brk, PAGE_SIZE);
	new_end = ALIGN_UP(brk, PAGE_SIZE);
	if (new_end < old_end) {
		if (__do_munmap(mm, new_end, old_end))
			goto out;
	} else if (new_end > old_end) {
		pages = (new_end - old_end) >> PAGE_SHIFT;
		next = find_vma(mm, old_end);
		if (next && new_end + PAGE_SIZE > vm_start_gap(next))
			goto out;
		flags = ksm_vma_flags(mm, flags | mm->def_flags);
		if (mm->map_count > sysctl_max_map_count || mlock_exceeds_limit(mm, flags, pages))
			goto out;
		if (mm_reserve_mapping(mm, &flags, pages))
			goto out;
		if (mm_map_range(mm, old_end, new_end, flags, "[heap]")) {
			if (flags & VM_ACCOUNT)
				vm_uncharge(mm, pages);
			goto out;
		}
		populate = (flags & (VM_LOCKED | VM_LOCKONFAULT)) == VM_LOCKED;
	}
	ret = mm->brk = brk;
out:
	changes = uffd_take_changes(mm);
	up_write(&mm->mmap_lock);
	if (unlikely(changes))
		uffd_unmap_complete(changes);
	if (populate)
		mm_populate(mm, old_end, new_end - old_end);
	return ret;
}

int mm_setup_stack(struct mm_struct *mm, unsigned long top, unsigned long initial)
{
	unsigned long flags =
		VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_GROWSDOWN;
	unsigned long pages = initial >> PAGE_SHIFT;
	int err;

	down_write(&mm->mmap_lock);
	err = mm_reserve_mapping(mm, &flags, pages);
	if (err)
		goto out;
	err = mm_map_range(mm, top - initial, top, flags, "[stack]");
	if (err && (flags & VM_ACCOUNT))
		vm_uncharge(mm, pages);
	if (!err)
		mm->start_stack = top;
out:
	up_write(&mm->mmap_lock);
	return err;
}

int expand_stack(struct vm_area_struct *vma, unsigned long addr)
{
	struct mm_struct *mm = vma->mm;
	struct vm_area_struct *prev = vma_prev(vma);
	unsigned long start = addr & PAGE_MASK, grow;

	if (start >= vma->vm_start)
		return 0; /* somebody else's fault was first */
	if (start < MMAP_MIN_ADDR)
		return -ENOMEM;
	/* The guard: a stack must not grow up to a mapping that a stray access could hit. */
	if (prev && !(prev->flags & VM_GROWSDOWN) && (prev->flags & VM_ACCESS_FLAGS) &&
	    (start < STACK_GUARD_GAP || start - STACK_GUARD_GAP < prev->vm_end))
		return -ENOMEM;
	if (prev && start < prev->vm_end)
		return -ENOMEM;
	grow = (vma->vm_start - start) >> PAGE_SHIFT;
	if (vma->vm_end - start > rlimit(RLIMIT_STACK) || !may_expand_vm(mm, vma->flags, grow))
		return -ENOMEM;
	if (mlock_exceeds_limit(mm, vma->flags, grow))
		return -ENOMEM;
	if ((vma->flags & VM_ACCOUNT) && vm_charge(mm, grow))
		return -ENOMEM;
	vm_stat_account(mm, vma->flags, grow);
	vma_set_range(vma, start, vma->vm_end);
	return 0;
}
