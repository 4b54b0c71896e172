/* The file that a system call is about: target.h. */
#include "fs/target.h"
#include "fs/internal.h"
#include "fs/user_path.h"

long target_by_fd(struct target *t, int fd)
{
	t->path = (struct path){NULL, NULL};
	t->file = fd_get(fd);
	if (!t->file)
		return -EBADF;
	t->inode = t->file->inode;
	return 0;
}

long target_get(struct target *t, int dfd, unsigned long name, u32 flags)
{
	struct user_path p;
	long ret = user_path_get(&p, name);

	if (ret < 0)
		return ret;
	t->file = NULL;
	if (!ret && flags & AT_EMPTY_PATH) {
		user_path_put(&p);
		if (dfd != AT_FDCWD)
			return target_by_fd(t, dfd);
		fs_get_pwd(&t->path);
	} else {
		ret = path_lookup_file(dfd, p.name, flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW,
				       &t->path, &t->file);
		user_path_put(&p);
		if (ret)
			return ret;
	}
	t->inode = t->file ? t->file->inode : t->path.dentry->inode;
	return 0;
}

void target_put(struct target *t)
{
	path_put(&t->path);
	if (t->file)
		file_put(t->file);
}

bool target_read_only(const struct target *t)
{
	const struct mount *m = t->file ? t->file->path.mnt : t->path.mnt;

	return m && mount_read_only(m);
}

/* Not for descriptors that were opened with O_PATH. */
long target_by_open_fd(struct target *t, int fd)
{
	long ret = target_by_fd(t, fd);

	if (!ret && t->file->flags & O_PATH) {
		target_put(t);
		ret = -EBADF;
	}
	return ret;
}
