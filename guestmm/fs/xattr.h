/* Extended attributes of a file: xattr.c. */
#ifndef FS_XATTR_H
#define FS_XATTR_H
struct inode;

/** The inode is about to be freed: free its attributes. */
void xattrs_free(struct inode *inode);
#endif
