/*
 * ext2 on the disk: super block, group descriptor, inode, directory entry.
 *
 *   | boot 1K | super block | group descriptors | bitmaps | inode table | data ... | next group ...
 *
 * Numbers are little-endian, like x86, so the structs are used in place, in the pages that they are in.
 * Their contents cannot be trusted: super.c checks the super block and descriptors, and ext2_blocks_ok()
 * checks each block number before it is used.
 */
#ifndef EXT2_DISK_H
#define EXT2_DISK_H
#include "lib/types.h"

#define EXT2_MAGIC	  0xef53
#define EXT2_SUPER_OFFSET 1024 /* bytes, whatever the block size */
#define EXT2_MIN_BLOCK	  1024u
#define EXT2_MAX_BLOCK	  4096u
#define EXT2_ROOT_INO	  2u
#define EXT2_OLD_FIRST	  11u  /* revision 0: the first inode for files */
#define EXT2_OLD_INODE	  128u /* revision 0: bytes of an inode */
#define EXT2_LINK_MAX	  32000u

#define EXT2_VALID_FS 1u /* state: unmounted in order */
#define EXT2_ERROR_FS 2u /* state: damage was seen */

#define EXT2_ERRORS_CONTINUE 1u

#define EXT2_COMPAT_RESIZE_INODE    0x10u
#define EXT2_INCOMPAT_FILETYPE	    0x2u
#define EXT2_RO_COMPAT_SPARSE_SUPER 0x1u
#define EXT2_RO_COMPAT_LARGE_FILE   0x2u

struct ext2_super {
	u32 inodes_count, blocks_count, r_blocks_count;
	u32 free_blocks_count, free_inodes_count;
	u32 first_data_block, log_block_size, log_frag_size;
	u32 blocks_per_group, frags_per_group, inodes_per_group;
	u32 mtime, wtime;
	u16 mnt_count, max_mnt_count, magic, state, errors, minor_rev;
	u32 lastcheck, checkinterval, creator_os, rev_level;
	u16 def_resuid, def_resgid;
	/* revision 1 */
	u32 first_ino;
	u16 inode_size, block_group_nr;
	u32 feature_compat, feature_incompat, feature_ro_compat;
	u8 uuid[16];
	char volume_name[16], last_mounted[64];
	u32 algorithm_bitmap;
	u8 prealloc_blocks, prealloc_dir_blocks;
	u16 reserved_gdt_blocks;
};
_Static_assert(offsetof(struct ext2_super, magic) == 56, "on disk");
_Static_assert(offsetof(struct ext2_super, reserved_gdt_blocks) == 206, "on disk");

struct ext2_group {
	u32 block_bitmap, inode_bitmap, inode_table; /* block numbers */
	u16 free_blocks_count, free_inodes_count, used_dirs_count, flags;
	u32 reserved[3];
};
_Static_assert(sizeof(struct ext2_group) == 32, "on disk");

#define EXT2_NDIR     12u /* pointers to data in the inode */
#define EXT2_N_BLOCKS 15u /* and one each to indirect, double, triple indirect blocks */
#define EXT2_INDEX_FL 0x1000u

struct ext2_raw_inode {
	u16 mode, uid;
	u32 size, atime, ctime, mtime, dtime;
	u16 gid, links_count;
	u32 blocks, flags, osd1; /* blocks: of 512 bytes, indirect ones included */
	u32 block[EXT2_N_BLOCKS];
	u32 generation, file_acl, size_high;
	u32 faddr;
	u8 frag, fsize;
	u16 pad;
	u16 uid_high, gid_high;
	u32 reserved;
};
_Static_assert(sizeof(struct ext2_raw_inode) == EXT2_OLD_INODE, "on disk");

struct ext2_dirent {
	u32 inode;   /* 0: free space */
	u16 rec_len; /* to the next entry; the last one's ends with the block */
	u8 name_len;
	u8 type; /* EXT2_FT_*, with EXT2_INCOMPAT_FILETYPE */
	char name[];
};
#define EXT2_DIRENT(len) ALIGN_UP(8u + (len), 4u) /* bytes for a name */
#define EXT2_MIN_DIRENT	 12u

enum {
	EXT2_FT_UNKNOWN,
	EXT2_FT_REG,
	EXT2_FT_DIR,
	EXT2_FT_CHR,
	EXT2_FT_BLK,
	EXT2_FT_FIFO,
	EXT2_FT_SOCK,
	EXT2_FT_LNK
};

/** Extended attributes' block (xattr.c). */
struct ext2_xattr_header {
	u32 magic, refcount, blocks, hash, reserved[4];
};
#define EXT2_XATTR_MAGIC 0xea020000u
#endif
