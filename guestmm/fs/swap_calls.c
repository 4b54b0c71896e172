/*
 * swapon(2) and swapoff(2), on block devices: the names are looked up here, the rest is mm/swap/swapon.c's.
 *
 * What a program (mkswap) has written through the device's file goes to the disk first, because the
 * header is read from there.
 */
#include "kernel/cred.h"
#include "lib/syscall.h"
#include "arch/ptrace.h"
#include "fs/vfs.h"
#include "fs/user_path.h"
#include "lib/errno.h"
#include "mm/swap/swap.h"

#define SWAP_FLAG_PREFER    0x8000u
#define SWAP_FLAG_PRIO_MASK 0x7fffu
#define SWAP_FLAGS_VALID    0x7ffffu /* discard flags, too: they are wishes */

/** The disk that a program's path names. */
static int find_disk(unsigned long user, struct block_device **bdev)
{
	struct user_path p;
	long ret = user_path_get(&p, user);

	if (ret < 0)
		return ret;
	ret = bdev_lookup(p.name, bdev);
	user_path_put(&p);
	/* As Linux: swap is on a block device or a regular file; files we do not take. */
	return ret == -ENOTBLK ? -EINVAL : ret;
}

long sys_swapon(struct pt_regs *r)
{
	u32 flags = r->rsi;
	struct block_device *bdev;
	int err;

	if (flags & ~SWAP_FLAGS_VALID)
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = find_disk(r->rdi, &bdev);
	if (!err)
		err = bdev_write_back(bdev);
	if (err)
		return err;
	return do_swapon(bdev, flags & SWAP_FLAG_PREFER ? (int)(flags & SWAP_FLAG_PRIO_MASK) : -1);
}

long sys_swapoff(struct pt_regs *r)
{
	struct block_device *bdev;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = find_disk(r->rdi, &bdev);
	return err ? err : do_swapoff(bdev);
}
