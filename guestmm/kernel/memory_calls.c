/*
 * System calls about memory. They read the arguments, and mm/ does the work. mmap(2), which may map a file, is in
 * fs/file_map.c.
 *
 * RLIMIT_MEMLOCK holds for root, too, as if no process had CAP_IPC_LOCK. Most programs here run as root, so the limit
 * would never act otherwise. All limits are in limits.c.
 */
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "kernel/task.h"
#include "lib/errno.h"
#include "mm/virt/mm.h"
#include "mm/virt/pkey.h"

long sys_munmap(struct pt_regs *r)
{
	return do_munmap(current->mm, r->rdi, r->rsi);
}

long sys_mprotect(struct pt_regs *r)
{
	return do_mprotect(current->mm, r->rdi, r->rsi, (int)r->rdx);
}

long sys_pkey_mprotect(struct pt_regs *r)
{
	return do_pkey_mprotect(current->mm, r->rdi, r->rsi, (int)r->rdx, (int)r->r10);
}

long sys_pkey_alloc(struct pt_regs *r)
{
	return do_pkey_alloc(current->mm, r->rdi, r->rsi);
}

long sys_pkey_free(struct pt_regs *r)
{
	return do_pkey_free(current->mm, (int)r->rdi);
}

long sys_brk(struct pt_regs *r)
{
	return (long)do_brk(current->mm, r->rdi);
}

long sys_madvise(struct pt_regs *r)
{
	const int advice = r->rdx;
	bool nothing = r->rdi & ~PAGE_MASK || !r->rsi; /* madvise(2) checks this before all else */

	if ((advice == MADV_HWPOISON || advice == MADV_SOFT_OFFLINE) && !nothing &&
	    !capable(CAP_SYS_ADMIN))
		return -EPERM;
	return do_madvise(current->mm, r->rdi, r->rsi, advice);
}

long sys_mremap(struct pt_regs *r)
{
	return do_mremap(current->mm, r->rdi, r->rsi, r->rdx, r->r10, r->r8);
}

long sys_mseal(struct pt_regs *r)
{
	return do_mseal(current->mm, r->rdi, r->rsi, r->rdx);
}

long sys_remap_file_pages(struct pt_regs *r)
{
	return do_remap_file_pages(current->mm, r->rdi, r->rsi, (int)r->rdx, r->r10, (int)r->r8);
}

long sys_msync(struct pt_regs *r)
{
	return do_msync(current->mm, r->rdi, r->rsi, (int)r->rdx);
}

static bool user_range_ok(unsigned long addr, unsigned long len)
{
	return len <= TASK_SIZE && addr <= TASK_SIZE - len;
}

long sys_mincore(struct pt_regs *r)
{
	unsigned long addr = r->rdi, len = r->rsi, vec = r->rdx, left;
	u8 chunk[256];

	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (!user_range_ok(addr, len))
		return -ENOMEM;
	left = ALIGN_UP(len, PAGE_SIZE) >> PAGE_SHIFT;
	if (!user_range_ok(vec, left))
		return -EFAULT;
	while (left) {
		long n = mincore_pages(current->mm, addr, min(left, sizeof(chunk)), chunk);

		if (n < 0)
			return n;
		if (copy_to_user(vec, chunk, n))
			return -EFAULT;
		left -= n;
		vec += n;
		addr += n << PAGE_SHIFT;
	}
	return 0;
}

long sys_mlock(struct pt_regs *r)
{
	return do_mlock(current->mm, r->rdi, r->rsi, 0);
}

long sys_mlock2(struct pt_regs *r)
{
	return do_mlock(current->mm, r->rdi, r->rsi, (int)r->rdx);
}

long sys_munlock(struct pt_regs *r)
{
	return do_munlock(current->mm, r->rdi, r->rsi);
}

long sys_mlockall(struct pt_regs *r)
{
	return do_mlockall(current->mm, (int)r->rdi);
}

long sys_munlockall(struct pt_regs *r)
{
	return do_munlockall(current->mm);
}
