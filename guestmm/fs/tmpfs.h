/* tmpfs from inside, for the file systems that are one with other contents: devtmpfs, hugetlbfs. */
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
	/* hugetlbfs: regular files are of these pages, within these limits (or NULL) */
	struct hstate *hstate;
	struct hugepage_subpool *spool;
};

/** A new inode: a regular file, directory, link or node, as mode says. ERR_PTR(-ENOSPC, -ENOMEM). */
struct inode *tmpfs_inode(struct super_block *sb, u32 mode, u64 rdev);
void tmpfs_free_inode(struct inode *inode);
/** A file system for files without names, mounted nowhere. Panics where it cannot. Boot only. */
struct super_block *tmpfs_unmounted(struct fs_type *type);

/* hugetlbfs.c */
/** Make the inode one of huge pages. 0 or -ENOMEM. */
int hugetlbfs_init_file(struct inode *inode, const struct tmpfs *fs);
/** memfd_create(MFD_HUGETLB): a file without a name. ERR_PTR(-ENODEV, -ENOMEM). */
struct inode *hugetlb_inode(u32 mode, unsigned int log2_size);
void hugetlbfs_init(void);
void secretmem_init(void); /* secretmem.c */
#endif
