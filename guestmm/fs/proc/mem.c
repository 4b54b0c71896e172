/*
 * /proc/PID/mem: the memory of a process at its own addresses, for a caller that is allowed to trace it.
 *
 * Accesses that the process itself may not do are possible, as a debugger needs (FOLL_FORCE in Linux): read-only
 * private mappings can be written, and PROT_NONE mappings can be read (mm/fault/remote.h). EIO: nothing is mapped, or
 * the mapping is shared and not writable.
 *
 * The permission is checked when the file is opened, and again at each call, because the process may have changed its
 * user. Linux checks once and keeps the address space, so after execve(2) nothing can be read there.
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
	/* The file of a process without memory is empty. */
	return err == -ESRCH && proc_pid_exists(ctx->pid) ? 0 : err;
}

/* Copy up to a page. Returns bytes; 0: nothing is mapped at addr; -EFAULT: the caller's own memory is bad. */
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
		return err == -ESRCH ? 0 : err; /* the process has ended */
	page = (void *)__get_free_pages(GFP_KERNEL, 0);
	if (!page)
		err = -ENOMEM;
	while (!err && done < len && !(atomic_load(&current_thread_info()->flags) & TIF_KILLED)) {
		n = piece(mm, *pos, buf + done, page, min(len - done, (size_t)PAGE_SIZE));
		if (n <= 0) {
			/* As in Linux, -EFAULT is returned even if bytes were copied before. */
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
