/*
 * memfd_secret(2): the files. Their pages are mm/cache/secretmem.c's.
 *
 * A file has no name. Its size can be set once, and it can only be mapped shared: not read, written or truncated
 * further.
 *
 * Source: Linux, mm/secretmem.c.
 */
#include "mm/cache/secretmem.h"
#include "fs/file.h"
#include "fs/tmpfs.h"
#include "kernel/task.h"
#include "lib/errno.h"
#include "lib/syscall.h"

#define SECRETMEM_MAGIC 0x5345434du

static int secretmem_mmap(struct file *f, unsigned long vm_flags, struct file **instead)
{
	return 0; /* mmap.c checks the kind of mapping */
}

static const struct file_ops secretmem_file_ops = {.mmap = secretmem_mmap};

/* inode->lock held. */
static int secretmem_truncate(struct inode *inode, u64 size)
{
	if (inode->i_data.size)
		return -EINVAL;
	WRITE_ONCE(inode->i_data.size, size);
	return 0;
}

static const struct inode_ops secretmem_inode_ops = {.truncate = secretmem_truncate};

static struct fs_type secretmem_type = {.name = "secretmem", .magic = SECRETMEM_MAGIC};
static struct super_block *secretmem_sb;

static struct inode *secretmem_inode(void)
{
	struct inode *inode = tmpfs_inode(secretmem_sb, S_IFREG | 0600, 0);

	if (IS_ERR(inode))
		return inode;
	address_space_init(&inode->i_data, inode, &secretmem_aops, AS_SECRET | AS_UNEVICTABLE);
	inode->ops = &secretmem_inode_ops;
	inode->fops = &secretmem_file_ops;
	return inode;
}

long sys_memfd_secret(struct pt_regs *r)
{
	u32 flags = r->rdi;
	struct inode *inode;
	struct file *f;
	long ret;

	if (flags & ~(u32)O_CLOEXEC)
		return -EINVAL;
	inode = secretmem_inode();
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	f = file_from_inode(inode, "/secretmem", O_RDWR | O_LARGEFILE);
	iput(inode);
	if (!f)
		return -ENOMEM;
	ret = fd_install(f, 0, flags);
	if (ret < 0)
		file_put(f);
	return ret;
}

void secretmem_init(void)
{
	secretmem_sb = tmpfs_unmounted(&secretmem_type);
}
