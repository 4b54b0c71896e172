/*
 * System calls about memory: arguments from registers and user memory, work in mm/. mmap(2), which may
 * be about a file, is in file_map.c.
 *
 * Limits: the four that mm/ keeps to (stack, data, address space, locked memory) can be read and
 * set; a process may raise its hard limits, as root may on Linux. But RLIMIT_MEMLOCK holds for
 * everybody, as if nobody had CAP_IPC_LOCK: a limit that no program meets would show nothing. The
 * other limits are not kept here and cannot be set.
 */
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "fs/file.h"
#include "kernel/task.h"
#include "lib/errno.h"
#include "mm/virt/mm.h"

long sys_munmap(struct pt_regs *r)
{
	return do_munmap(current->mm, r->rdi, r->rsi);
}

long sys_mprotect(struct pt_regs *r)
{
	return do_mprotect(current->mm, r->rdi, r->rsi, (int)r->rdx);
}

long sys_brk(struct pt_regs *r)
{
	return (long)do_brk(current->mm, r->rdi);
}

long sys_madvise(struct pt_regs *r)
{
	return do_madvise(current->mm, r->rdi, r->rsi, (int)r->rdx);
}

long sys_mremap(struct pt_regs *r)
{
	return do_mremap(current->mm, r->rdi, r->rsi, r->rdx, r->r10, r->r8);
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

/* ---- limits ---- */

struct rlimit {
	u64 cur, max;
};
#define RLIMIT_DATA    2
#define RLIMIT_STACK   3
#define RLIMIT_NOFILE  7
#define RLIMIT_MEMLOCK 8
#define RLIMIT_AS      9
#define RLIM_NLIMITS   16
#define RLIM_INFINITY  (~0ull)

/* Where the limit is kept, soft and hard; false: it is none of ours. */
static bool find_limit(struct mm_struct *mm, unsigned int resource, u64 **cur, u64 **max)
{
	switch (resource) {
	case RLIMIT_DATA:
		*cur = &mm->rlimit_data;
		*max = &mm->rlimit_max.data;
		return true;
	case RLIMIT_STACK:
		*cur = &mm->rlimit_stack;
		*max = &mm->rlimit_max.stack;
		return true;
	case RLIMIT_MEMLOCK:
		*cur = &mm->rlimit_memlock;
		*max = &mm->rlimit_max.memlock;
		return true;
	case RLIMIT_AS:
		*cur = &mm->rlimit_as;
		*max = &mm->rlimit_max.as;
		return true;
	default:
		return false;
	}
}

/* The process's own: how many descriptors it may have. */
static long limit_files(const struct rlimit *new, struct rlimit *old)
{
	struct process *p = current_process();

	if (new &&new->cur > new->max)
		return -EINVAL;
	if (new &&new->max > MAX_FDS)
		return -EPERM;
	*old = (struct rlimit){p->rlimit_nofile.cur, p->rlimit_nofile.max};
	if (new) {
		p->rlimit_nofile.cur = new->cur;
		p->rlimit_nofile.max = new->max;
	}
	return 0;
}

static long do_prlimit(unsigned int resource, const struct rlimit *new, struct rlimit *old)
{
	struct mm_struct *mm = current->mm;
	u64 *cur, *max;
	bool kept;

	if (resource == RLIMIT_NOFILE)
		return limit_files(new, old);
	if (resource >= RLIM_NLIMITS || (new &&new->cur > new->max))
		return -EINVAL;
	kept = find_limit(mm, resource, &cur, &max);
	if (new && !kept)
		return -EINVAL;
	down_write(&mm->mmap_lock);
	if (kept)
		*old = (struct rlimit){*cur, *max};
	else
		*old = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	if (new) {
		*cur = new->cur;
		*max = new->max;
	}
	up_write(&mm->mmap_lock);
	return 0;
}

static long prlimit_user(unsigned int resource, unsigned long new, unsigned long old)
{
	struct rlimit in, out;
	long err;

	if (new &&copy_from_user(&in, new, sizeof(in)))
		return -EFAULT;
	err = do_prlimit(resource, new ? &in : NULL, &out);
	if (!err && old && copy_to_user(old, &out, sizeof(out)))
		err = -EFAULT;
	return err;
}

/* A NULL pointer means "not wanted" to prlimit64(2) only. */
long sys_getrlimit(struct pt_regs *r)
{
	return r->rsi ? prlimit_user((unsigned int)r->rdi, 0, r->rsi) : -EFAULT;
}

long sys_setrlimit(struct pt_regs *r)
{
	return r->rsi ? prlimit_user((unsigned int)r->rdi, r->rsi, 0) : -EFAULT;
}

long sys_prlimit64(struct pt_regs *r)
{
	/* Only its own: the limits belong to the address space. */
	if ((int)r->rdi && (int)r->rdi != current_pid())
		return -ESRCH;
	return prlimit_user((unsigned int)r->rsi, r->rdx, r->r10);
}
