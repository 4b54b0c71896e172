/*
 * Between open files and the memory manager: mmap(2)'s descriptor, and the functions that mm/ needs for a mapped
 * file (lib/env.h).
 */
#include "fs/file.h"
#include "lib/syscall.h"
#include "kernel/task.h"
#include "lib/errno.h"
#include "mm/cache/secretmem.h"
#include "mm/virt/mm.h"

struct file_ra_state *file_ra(struct file *f)
{
	return &f->ra;
}

int file_sync_range(struct file *f, u64 start, u64 end)
{
	return vfs_fsync(f, start, end);
}

struct opened_source {
	struct map_source src;
	struct file *instead; /* the file to map instead, with a reference */
};

static int prepare(struct map_source *src, unsigned long vm_flags)
{
	struct opened_source *o = container_of(src, struct opened_source, src);
	int err = src->file->ops->mmap(src->file, vm_flags, &o->instead);

	if (!err && o->instead) {
		src->file = o->instead;
		src->mapping = o->instead->mapping;
	}
	return err;
}

static long mmap_fd(const struct pt_regs *r)
{
	struct file *f = fd_get((unsigned int)r->r8);
	struct opened_source o = {0};
	unsigned int mode;
	bool secret;
	long ret;

	if (!f)
		return -EBADF;
	secret = f->inode && mapping_is_secret(&f->inode->i_data);
	ret = -EBADF;
	if (f->flags & O_PATH)
		goto out;
	mode = f->flags & O_ACCMODE;
	o.src.file = f;
	o.src.mapping = secret ? &f->inode->i_data : f->mapping;
	o.src.readable = mode != O_WRONLY;
	o.src.writable = mode != O_RDONLY;
	o.src.noexec = path_noexec(&f->path) || secret;
	o.src.prepare = f->ops->mmap ? prepare : NULL;
	ret = do_mmap_file(current->mm, r->rdi, r->rsi, (int)r->rdx, (int)r->r10,
			   r->r9 >> PAGE_SHIFT, &o.src);
	if (o.instead)
		file_put(o.instead);
out:
	file_put(f);
	return ret;
}

long sys_mmap(struct pt_regs *r)
{
	if (r->r9 & ~PAGE_MASK)
		return -EINVAL;
	if (!(r->r10 & MAP_ANONYMOUS))
		return mmap_fd(r);
	return do_mmap(current->mm, r->rdi, r->rsi, (int)r->rdx, (int)r->r10, r->r9 >> PAGE_SHIFT);
}
