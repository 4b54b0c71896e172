/*
 * Protection keys: a thread closes memory to itself, or opens it, by one instruction and without a change
 * of page tables.
 *
 *   VMA   VM_PKEY_MASK   ── vm_get_page_prot() ──>   PTE   _PAGE_PKEY_MASK   ── CPU, with PKRU ──>   fault
 *
 * The memory manager only carries the four bits. Page tables are what they are without keys: a forbidden
 * access is one that the CPU refuses once the page is there, and arch/ makes the signal of it (SEGV_PKUERR).
 *
 * A mapping that may be executed only is given a key whose reading and writing is closed to the thread
 * that asks, because a page-table entry cannot forbid reading alone.
 *
 * K1  A present entry's key is its VMA's. (The audit: pkey.)
 * K2  mm->pkey_map has a bit for each key that is allocated; key 0 always is. Without keys in the CPU it is 0,
 *     and so is the key of each VMA.
 * K3  A key that was freed stays with the pages that have it, as on Linux.
 *
 * Locks: mmap_lock for writing for pkey_map and exec_pkey.
 */
#include "mm/virt/pkey.h"
#include "lib/errno.h"
#include "mm/virt/vma.h"

#define ALL_KEYS ((1u << NR_PKEYS) - 1)

/* -1: all are taken. */
static int take_key(struct mm_struct *mm)
{
	int pkey;

	if (mm->pkey_map == ALL_KEYS)
		return -1;
	pkey = __builtin_ctz(~mm->pkey_map);
	mm->pkey_map |= 1u << pkey;
	return pkey;
}

static void set_rights(int pkey, u32 rights)
{
	u32 pkru = arch_pkru() & ~(3u << pkey * 2);

	arch_set_pkru(pkru | rights << pkey * 2);
}

bool mm_pkey_is_allocated(const struct mm_struct *mm, int pkey)
{
	if (pkey < 0 || pkey >= NR_PKEYS || (pkey && pkey == mm->exec_pkey))
		return false;
	return mm->pkey_map & 1u << pkey;
}

/* The key of what may be executed only; 0: there is none left. */
static int execute_only_key(struct mm_struct *mm)
{
	int pkey = mm->exec_pkey;

	if (pkey && arch_pkru() & PKEY_DISABLE_ACCESS << pkey * 2)
		return pkey;
	if (!pkey) {
		pkey = take_key(mm);
		if (pkey < 0)
			return 0;
	}
	set_rights(pkey, PKEY_DISABLE_ACCESS);
	mm->exec_pkey = pkey;
	return pkey;
}

unsigned long pkey_execute_only(struct mm_struct *mm)
{
	return arch_has_pkeys() ? (unsigned long)execute_only_key(mm) << VM_PKEY_SHIFT : 0;
}

unsigned long pkey_for_mprotect(struct vm_area_struct *vma, unsigned long access, int pkey)
{
	const unsigned long own = vma->flags & VM_PKEY_MASK;
	unsigned long only;

	if (!arch_has_pkeys())
		return 0;
	if (pkey >= 0)
		return (unsigned long)pkey << VM_PKEY_SHIFT;
	if (access == VM_EXEC) {
		only = pkey_execute_only(vma->mm);
		return only ? only : own;
	}
	/* Not execute-only any more. */
	if ((vma->flags & VM_ACCESS_FLAGS) == VM_EXEC && own && vma_pkey(vma) == vma->mm->exec_pkey)
		return 0;
	return own;
}

int pkey_at(struct mm_struct *mm, unsigned long addr)
{
	const struct vm_area_struct *vma;
	int pkey;

	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	pkey = vma && vma->vm_start <= addr ? vma_pkey(vma) : 0;
	up_read(&mm->mmap_lock);
	return pkey;
}

int do_pkey_alloc(struct mm_struct *mm, unsigned long flags, unsigned long rights)
{
	int pkey;

	if (flags || rights & ~(unsigned long)(PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE))
		return -EINVAL;
	if (!arch_has_pkeys())
		return -EINVAL; /* measured: so does Linux on a CPU without them */
	down_write(&mm->mmap_lock);
	pkey = take_key(mm);
	if (pkey >= 0)
		set_rights(pkey, (u32)rights);
	up_write(&mm->mmap_lock);
	return pkey < 0 ? -ENOSPC : pkey;
}

int do_pkey_free(struct mm_struct *mm, int pkey)
{
	int err = -EINVAL;

	down_write(&mm->mmap_lock);
	if (mm_pkey_is_allocated(mm, pkey)) {
		mm->pkey_map &= ~(1u << pkey);
		err = 0;
	}
	up_write(&mm->mmap_lock);
	return err;
}
