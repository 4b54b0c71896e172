/* The inside of tmpfs, for file systems that are based on it: devtmpfs, hugetlbfs. */
#ifndef FS_TMPFS_H
#define FS_TMPFS_H
#include "fs/vfs.h"

struct hstate;
struct hugepage_subpool;

struct tmpfs {
	u64 next_ino;
	u64 nr_inodes, max_inodes; /* A */
	struct shmem_limit size;
	u32 root_mode, root_uid, root_gid;
	u32 mapping_flags; /* AS_SHMEM, and AS_UNEVICTABLE if its pages are not to be swapped */
	/* hugetlbfs: the pool and subpool (or NULL) of the pages of regular files */
	struct hstate *hstate;
	struct hugepage_subpool *spool;
};

/** Create an inode: a regular file, directory, link or node, depending on mode. Or ERR_PTR(-ENOSPC, -ENOMEM). */
struct inode *tmpfs_inode(struct super_block *sb, u32 mode, u64 rdev);
void tmpfs_free_inode(struct inode *inode);
/** Create a file system for files without names, mounted nowhere. Panics if it cannot. Boot only. */
struct super_block *tmpfs_unmounted(struct fs_type *type);

/* hugetlbfs.c */
/** Make the inode a file of huge pages. 0 or -ENOMEM. */
int hugetlbfs_init_file(struct inode *inode, const struct tmpfs *fs);
/** memfd_create(2) with MFD_HUGETLB: create a file without a name. Or ERR_PTR(-ENODEV, -ENOMEM). */
struct inode *hugetlb_inode(u32 mode, unsigned int log2_size);
void hugetlbfs_init(void);
void secretmem_init(void); /* secretmem.c */
#endif
