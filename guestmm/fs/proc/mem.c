/*
 * /proc/PID/mem: the memory of a process at its own addresses, for who could trace it.
 *
 * What the process itself may not do is done all the same, as a debugger needs it (FOLL_FORCE in Linux): a private
 * mapping that is read-only is written, and what is PROT_NONE is read (mm/fault/remote.h). EIO: nothing is there, or
 * it is shared and not writable.
 *
 * The right is looked at when the file is opened, and again with each call, because the process may have changed its
 * user since. Linux looks once and keeps the address space: after execve(2) it reads nothing there.
 */
#include "fs/proc/proc.h"
#include "arch/uaccess.h"
#include "fs/process_vm.h"
#include "lib/errno.h"
#include "mm/fault/remote.h"
#include "mm/phys/alloc.h"

static int access_of(const struct proc_ctx *ctx, struct mm_struct **mm)
{
	return process_access_mm(ctx->tid ? ctx->tid : ctx->pid, mm);
}

int proc_open_mem(struct file *f, const struct proc_ctx *ctx)
{
	struct mm_struct *mm;
	int err = access_of(ctx, &mm);

	if (!err)
		mmput(mm);
	/* One without memory has a file that is empty. */
	return err == -ESRCH && proc_pid_exists(ctx->pid) ? 0 : err;
}

/* Up to a page. Bytes, 0: there is none at addr, or -EFAULT of the caller's own memory. */
static long read_piece(struct mm_struct *mm, unsigned long addr, unsigned long buf, void *page,
		       size_t n)
{
	n = read_remote_vm_forced(mm, addr, page, n);
	return n && copy_to_user(buf, page, n) ? -EFAULT : (long)n;
}

static long write_piece(struct mm_struct *mm, unsigned long addr, unsigned long buf, void *page,
			size_t n)
{
	if (copy_from_user(page, buf, n))
		return -EFAULT;
	return write_remote_vm_forced(mm, addr, page, n);
}

static long transfer(const struct proc_ctx *ctx, unsigned long buf, size_t len, u64 *pos,
		     long (*piece)(struct mm_struct *mm, unsigned long addr, unsigned long buf,
				   void *page, size_t n))
{
	struct mm_struct *mm;
	void *page;
	size_t done = 0;
	long err = access_of(ctx, &mm), n;

	if (err)
		return err == -ESRCH ? 0 : err; /* it has ended */
	page = (void *)__get_free_pages(GFP_KERNEL, 0);
	if (!page)
		err = -ENOMEM;
	while (!err && done < len && !(atomic_load(&current_thread_info()->flags) & TIF_KILLED)) {
		n = piece(mm, *pos, buf + done, page, min(len - done, (size_t)PAGE_SIZE));
		if (n <= 0) {
			/* As Linux: a fault of the caller's own counts, whatever was moved before. */
			err = n ? n : done ? 0 : -EIO;
			break;
		}
		*pos += n;
		done += n;
		cond_resched();
	}
	if (page)
		free_pages((unsigned long)page, 0);
	mmput(mm);
	return err ? err : (long)done;
}

long proc_read_mem(struct file *f, unsigned long buf, size_t len, u64 *pos,
		   const struct proc_ctx *ctx)
{
	return transfer(ctx, buf, len, pos, read_piece);
}

long proc_write_mem(struct file *f, unsigned long buf, size_t len, u64 *pos,
		    const struct proc_ctx *ctx)
{
	return transfer(ctx, buf, len, pos, write_piece);
}
