/*
 * The file that a system call is about. It is named in one of three ways: by a path, by a path relative to
 * a descriptor, or by the descriptor itself (AT_EMPTY_PATH).
 */
#ifndef FS_TARGET_H
#define FS_TARGET_H
#include "fs/file.h"

struct target {
	struct path path;    /* with references, or empty */
	struct file *file;   /* with a reference, or NULL */
	struct inode *inode; /* NULL: none, as for a pipe */
};
/** Get the file of a descriptor. 0: end it with target_put(). Or -EBADF. */
long target_by_fd(struct target *t, int fd);
/** The same; also -EBADF if the descriptor was opened with O_PATH. */
long target_by_open_fd(struct target *t, int fd);
/** Get the file of a path in user memory. flags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. 0: end it with target_put(). Or
 * -errno. May sleep. */
long target_get(struct target *t, int dfd, unsigned long name, u32 flags);
void target_put(struct target *t);
/** Its name, or NULL. */
static inline struct dentry *target_dentry(const struct target *t)
{
	return t->file ? t->file->path.dentry : t->path.dentry;
}
/** Is its mount read-only? */
bool target_read_only(const struct target *t);
#endif
