/*
 * Permissions of files (path_resolution(7), capabilities(7)).
 *
 *   owner ── its three bits │ one of the file's groups ── the middle three │ others ── the last three
 *   CAP_DAC_OVERRIDE: everything, except executing a file that has no execute bit
 *   CAP_DAC_READ_SEARCH: reading files, and reading and searching directories
 *
 * Permissions are checked with the file-system ids. Kernel threads may do everything.
 *
 * Locks: none; mode and owner are read once, as they are at that moment.
 */
#include "fs/internal.h"
#include "kernel/cred.h"

/* The caller's ids and capabilities. */
struct asker {
	const struct cred *cred;
	u32 uid, gid;
	u64 caps;
};

static bool may(const struct asker *a, int cap)
{
	return a->caps >> cap & 1;
}

static int permission(const struct inode *inode, u32 mask, const struct asker *a)
{
	u32 mode = READ_ONCE(inode->mode), bits = mode, gid = READ_ONCE(inode->gid);

	if (likely(a->uid == READ_ONCE(inode->uid)))
		bits >>= 6;
	else if (a->gid == gid || cred_has_group(a->cred, gid))
		bits >>= 3;
	if (likely(!(mask & ~bits & 7)))
		return 0;
	if (S_ISDIR(mode)) {
		if (!(mask & MAY_WRITE) && may(a, CAP_DAC_READ_SEARCH))
			return 0;
		return may(a, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	}
	if (mask == MAY_READ && may(a, CAP_DAC_READ_SEARCH))
		return 0;
	if (!(mask & MAY_EXEC) || mode & 0111)
		return may(a, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	return -EACCES;
}

int inode_permission(const struct inode *inode, u32 mask)
{
	const struct cred *c = current_cred();

	return permission(inode, mask, &(struct asker){c, c->fsuid, c->fsgid, c->effective});
}

int inode_permission_real(const struct inode *inode, u32 mask)
{
	const struct cred *c = current_cred();

	/* As in Linux, use the capabilities that a program of the real user would have. */
	return permission(inode, mask,
			  &(struct asker){c, c->uid, c->gid, c->uid ? 0 : c->permitted});
}

bool inode_owner_or_capable(const struct inode *inode)
{
	return current_cred()->fsuid == READ_ONCE(inode->uid) || capable(CAP_FOWNER);
}

int may_create_in(const struct inode *dir)
{
	return inode_permission(dir, MAY_WRITE | MAY_EXEC);
}

int may_delete(const struct inode *dir, const struct inode *victim)
{
	u32 me = current_cred()->fsuid;
	int err = inode_permission(dir, MAY_WRITE | MAY_EXEC);

	if (!err && victim->swapfile)
		return -EPERM;
	if (err || !(dir->mode & S_ISVTX) || me == victim->uid || me == dir->uid)
		return err;
	return capable(CAP_FOWNER) ? 0 : -EPERM;
}

void inode_init_owner(struct inode *inode, const struct inode *dir)
{
	const struct cred *c = current_cred();

	inode->uid = c->fsuid;
	inode->gid = c->fsgid;
	if (!dir || !(dir->mode & S_ISGID))
		return;
	inode->gid = dir->gid;
	if (S_ISDIR(inode->mode))
		inode->mode |= S_ISGID;
}

void file_remove_privs(struct inode *inode)
{
	u32 kill = S_ISUID | (inode->mode & 0010 ? S_ISGID : 0);

	if (likely(!(inode->mode & kill)) || !S_ISREG(inode->mode) || capable(CAP_FSETID))
		return;
	inode->mode &= ~kill;
	mark_inode_dirty(inode);
}
