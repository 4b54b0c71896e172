/* Extended attributes of a file: xattr.c. */
#ifndef FS_XATTR_H
#define FS_XATTR_H
#include "lib/types.h"
struct inode;

#define XATTR_NAME_MAX 255u

struct xattr {
	struct xattr *next;
	u32 size;      /* of the value */
	u32 name_size; /* with its NUL */
	char *value;   /* behind the name */
	char name[];
};

/** For super_ops.xattr_load: add an attribute that was read from the disk. A duplicate name is ignored. 0 or -ENOMEM.
 * */
int xattr_add(struct inode *inode, const char *name, const void *value, u32 size);

/** The inode is about to be freed: free its attributes. */
void xattrs_free(struct inode *inode);
#endif
