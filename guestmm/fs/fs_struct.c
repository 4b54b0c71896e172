/*
 * A process's root, working directory and umask. Processes that were cloned with CLONE_FS share them, and
 * all kernel threads share one, whose directories are the root.
 *
 * Lock: dcache_lock for the two paths, so that a walk begins without references.
 */
#include "fs/internal.h"
#include "kernel/process.h"

static struct fs_struct init_fs = {.refs = 1, .umask = 022};

struct fs_struct *current_fs(void)
{
	struct process *p = current->proc;

	return p && p->fs ? p->fs : &init_fs;
}

struct fs_struct *fs_dup(struct fs_struct *old)
{
	struct fs_struct *fs = kmalloc(sizeof(*fs), GFP_KERNEL_ACCOUNT);

	if (!fs)
		return NULL;
	if (!old)
		old = &init_fs;
	fs->refs = 1;
	fs->umask = atomic_load(&old->umask);
	spin_lock(&dcache_lock);
	fs->root = old->root;
	fs->pwd = old->pwd;
	path_get_locked(&fs->root);
	path_get_locked(&fs->pwd);
	spin_unlock(&dcache_lock);
	return fs;
}

void fs_get(struct fs_struct *fs)
{
	atomic_add(&fs->refs, 1);
}

void fs_put(struct fs_struct *fs)
{
	if (!fs || !atomic_dec_and_test(&fs->refs))
		return;
	path_put(&fs->root);
	path_put(&fs->pwd);
	kfree(fs);
}

void fs_get_place(struct fs_struct *fs, enum fs_place place, struct path *path)
{
	spin_lock(&dcache_lock);
	*path = place == PLACE_ROOT ? fs->root : fs->pwd;
	path_get_locked(path);
	spin_unlock(&dcache_lock);
}

void fs_get_pwd(struct path *path)
{
	fs_get_place(current_fs(), PLACE_CWD, path);
}

static void replace(struct path *place, const struct path *path)
{
	struct path old;

	spin_lock(&dcache_lock);
	old = *place;
	*place = *path;
	spin_unlock(&dcache_lock);
	path_put(&old);
}

void fs_set_pwd(struct path *path)
{
	replace(&current_fs()->pwd, path);
}

void fs_set_root(struct path *path)
{
	replace(&current_fs()->root, path);
}
