/*
 * cgroup2: the tree of control groups as a file system.
 *
 *   directory = struct cgroup        mkdir, rmdir make and remove groups
 *   file      = row of a table       its text is generated when it is read (fs/text_file.h)
 *
 * The group stores owner and mode of its directory and of changed files. The file system itself stores nothing: an
 * inode has the numbers of its group and file, and a reference on the group. Files of a removed group are -ENODEV.
 * Names are looked up each time they are used.
 *
 * Which files a group has: those of cgroup_files[]; of memcg_files[] only if its parent gives the
 * memory controller to its children. The root has those that say so. A group whose cgroup.pressure is 0 has no
 * pressure files, and one that is open gives -ENODEV.
 *
 * Locks: cgroup_lock whenever the tree is read or a file is written.
 */
#include "fs/cgroup/cgroupfs.h"
#include "fs/internal.h"
#include "fs/poll.h"
#include "fs/sysfs/sysfs.h"
#include "fs/text_file.h"
#include "kernel/cred.h"
#include "kernel/process.h"
#include "kernel/psi.h"
#include "lib/errno.h"
#include "lib/string.h"

#define CGROUP2_SUPER_MAGIC 0x63677270
#define MAX_WRITE	    256u
#define FILE_BITS \
	CGROUP_FILE_BITS /* inode number = group's id << 8 | file + 1; a directory: file = -1 */
#define MEMCG_FILES 128u /* file numbers from here on are rows of memcg_files[] */
#define DT(mode)    ((mode) >> 12 & 15)

static const struct inode_ops dir_inode_ops, file_inode_ops;
static const struct file_ops cgroup_dir_ops, cgroup_text_ops;

static struct cgroup *inode_cgroup(const struct inode *inode)
{
	return inode->private_;
}

static u32 inode_file(const struct inode *inode)
{
	return (inode->ino & ((1u << FILE_BITS) - 1)) - 1;
}

/* ---- which files there are -------------------------------------------------------------------- */

/* A file as both tables describe it. */
struct file_info {
	const char *name;
	u32 mode;
	bool there;
};

static u32 file_mode(bool readable, bool writable)
{
	return S_IFREG | (readable ? 0444 : 0) | (writable ? 0200 : 0);
}

/* The stored owner and mode of a file. NULL: they were never changed. cgroup_lock held. */
static struct cgroup_file_attr *file_attr(const struct cgroup *cg, u32 file)
{
	struct cgroup_file_attr *attr;

	list_for_each_entry (attr, &cg->file_attrs, link) {
		if (attr->file == file)
			return attr;
	}
	return NULL;
}

static bool is_readable(u32 n)
{
	return n < MEMCG_FILES
		       ? cgroup_files[n].show || cgroup_files[n].pressure
		       : memcg_files[n - MEMCG_FILES].show || memcg_files[n - MEMCG_FILES].peak;
}

/* File number `n` of a group. name NULL: the table has ended. cgroup_lock held. */
static struct file_info file_info(const struct cgroup *cg, u32 n)
{
	const struct cgroup_file *core;
	bool root = !cg->parent;

	if (n >= MEMCG_FILES) {
		const struct memcg_file *f = &memcg_files[n - MEMCG_FILES];

		return (struct file_info){f->name, file_mode(is_readable(n), f->write || f->peak),
					  cg->owns_memcg && (!root || f->on_root) &&
						  !memcg_disabled};
	}
	core = &cgroup_files[n];
	return (struct file_info){
		core->name, file_mode(is_readable(n), core->write || core->pressure),
		(!root || core->on_root) && (!core->pressure || psi_group_is_on(cg->psi))};
}

/* The next file the group has, at or after *n. False: there is none. cgroup_lock held. */
static bool next_file(const struct cgroup *cg, u32 *n, struct file_info *info)
{
	for (;; (*n)++) {
		*info = file_info(cg, *n);
		if (!info->name) {
			if (*n >= MEMCG_FILES)
				return false;
			*n = MEMCG_FILES - 1;
		} else if (info->there) {
			return true;
		}
	}
}

/* ---- inodes: cgroup_lock held where one is created -------------------------------------------- */

static struct inode *make_inode(struct super_block *sb, struct cgroup *cg, u32 file, u32 mode)
{
	struct inode *inode = new_inode(sb, cg->id << FILE_BITS | ((file + 1) & 0xff));
	const struct cgroup_file_attr *attr = S_ISDIR(mode) ? NULL : file_attr(cg, file);

	if (!inode)
		return NULL;
	cgroup_get(cg);
	inode->private_ = cg;
	inode->mode = attr ? S_IFREG | attr->mode : mode;
	inode->uid = attr ? attr->uid : S_ISDIR(mode) ? cg->uid : cg->file_uid;
	inode->gid = attr ? attr->gid : S_ISDIR(mode) ? cg->gid : cg->file_gid;
	inode->nlink = S_ISDIR(mode) ? 2 : 1;
	inode->ops = S_ISDIR(mode) ? &dir_inode_ops : &file_inode_ops;
	inode->fops = S_ISDIR(mode) ? &cgroup_dir_ops : &cgroup_text_ops;
	return inode;
}

static struct inode *dir_inode(struct super_block *sb, struct cgroup *cg)
{
	return make_inode(sb, cg, ~0u, S_IFDIR | cg->mode);
}

static int cgroupfs_lookup(struct inode *dir, const char *name, u32 len, struct inode **inode)
{
	struct cgroup *cg = inode_cgroup(dir), *child;
	struct file_info info;
	int err = -ENOENT;

	cgroup_lock();
	if (cg->dead)
		goto unlock;
	child = cgroup_child(cg, name, len);
	if (child) {
		*inode = dir_inode(dir->sb, child);
		cgroup_put(child);
		err = *inode ? 0 : -ENOMEM;
		goto unlock;
	}
	for (u32 n = 0; next_file(cg, &n, &info); n++) {
		if (strlen(info.name) == len && !memcmp(info.name, name, len)) {
			*inode = make_inode(dir->sb, cg, n, info.mode);
			err = *inode ? 0 : -ENOMEM;
			break;
		}
	}
unlock:
	cgroup_unlock();
	return err;
}

static int cgroupfs_create(struct inode *dir, const char *name, u32 len, u32 mode, u64 rdev,
			   struct inode **inode)
{
	struct cgroup *cg;
	int err;

	if (!S_ISDIR(mode))
		return -EACCES;
	cgroup_lock();
	err = cgroup_mkdir(inode_cgroup(dir), name, len, &cg);
	if (!err) {
		cg->mode = mode & 07777;
		cg->uid = cg->file_uid = current_cred()->fsuid;
		cg->gid = cg->file_gid = current_cred()->fsgid;
		*inode = dir_inode(dir->sb, cg);
		if (!*inode) {
			cgroup_rmdir(cg);
			err = -ENOMEM;
		}
		cgroup_put(cg);
	}
	cgroup_unlock();
	return err;
}

static int cgroupfs_rmdir(struct inode *dir, const char *name, u32 len, struct inode *inode)
{
	int err;

	if (!S_ISDIR(inode->mode))
		return -ENOTDIR;
	cgroup_lock();
	err = cgroup_rmdir(inode_cgroup(inode));
	cgroup_unlock();
	return err;
}

static int cgroupfs_unlink(struct inode *dir, const char *name, u32 len, struct inode *inode)
{
	return -EPERM;
}

/* Store the owner and mode of a file whose owner or mode was changed. cgroup_lock held. */
static void keep_file_attr(struct cgroup *cg, const struct inode *inode)
{
	u32 file = inode_file(inode), mode = inode->mode & 07777;
	struct cgroup_file_attr *attr = file_attr(cg, file);

	if (!attr) {
		if (inode->uid == cg->file_uid && inode->gid == cg->file_gid &&
		    mode == (file_info(cg, file).mode & 07777))
			return;
		attr = kmalloc(sizeof(*attr), GFP_KERNEL | __GFP_NOFAIL);
		attr->file = file;
		list_add(&attr->link, &cg->file_attrs);
	}
	attr->uid = inode->uid;
	attr->gid = inode->gid;
	attr->mode = mode;
}

/* Owners and modes, which serve delegation, are stored in the group. */
static void cgroupfs_dirty(struct inode *inode)
{
	struct cgroup *cg = inode_cgroup(inode);

	cgroup_lock();
	if (!S_ISDIR(inode->mode)) {
		keep_file_attr(cg, inode);
		cgroup_unlock();
		return;
	}
	cg->uid = inode->uid;
	cg->gid = inode->gid;
	cg->mode = inode->mode & 07777;
	cgroup_unlock();
}

/* Opening with O_TRUNC, as a shell's "echo >" does, changes nothing. */
static int cgroupfs_truncate(struct inode *inode, u64 size)
{
	return 0;
}

static const struct inode_ops dir_inode_ops = {.lookup = cgroupfs_lookup,
					       .create = cgroupfs_create,
					       .unlink = cgroupfs_unlink,
					       .rmdir = cgroupfs_rmdir,
					       .dirty = cgroupfs_dirty};
static const struct inode_ops file_inode_ops = {.truncate = cgroupfs_truncate,
						.dirty = cgroupfs_dirty};

/* ---- directories ------------------------------------------------------------------------------ */

/* Positions in a directory: 0 and 1 are "." and ".."; 2 + n are files; from CHILDREN on there are the child groups. */
#define CHILDREN (1ull << 32)

static bool emit_files(struct cgroup *cg, struct dir_context *ctx)
{
	struct file_info info;

	while (ctx->pos < CHILDREN) {
		u32 n = ctx->pos - 2;

		if (!next_file(cg, &n, &info)) {
			ctx->pos = CHILDREN;
			break;
		}
		if (!ctx->actor(ctx, info.name, strlen(info.name), cg->id << FILE_BITS | (n + 1),
				DT(S_IFREG)))
			return false;
		ctx->pos = n + 3;
	}
	return true;
}

static int cgroupfs_iterate(struct file *f, struct dir_context *ctx)
{
	struct cgroup *cg = inode_cgroup(f->inode), *child;
	int err = 0;

	if (!dir_emit_dots(f, ctx))
		return 0;
	cgroup_lock();
	if (cg->dead) {
		err = -ENOENT;
	} else if (emit_files(cg, ctx)) {
		while ((child = cgroup_nth_child(cg, ctx->pos - CHILDREN))) {
			bool more = ctx->actor(ctx, child->name, strlen(child->name),
					       child->id << FILE_BITS, DT(S_IFDIR));

			cgroup_put(child);
			if (!more)
				break;
			ctx->pos++;
		}
	}
	cgroup_unlock();
	return err;
}

static const struct file_ops cgroup_dir_ops = {.iterate = cgroupfs_iterate,
					       .llseek = text_file_llseek};

/* ---- files ------------------------------------------------------------------------------------ */

static bool is_pressure(u32 n)
{
	return n < MEMCG_FILES && cgroup_files[n].pressure;
}

/* The group was removed, or its pressure files were switched off, while the file is open. */
static bool is_gone(const struct cgroup *cg, u32 n)
{
	return READ_ONCE(cg->dead) || (is_pressure(n) && !psi_group_is_on(cg->psi));
}

static int make(struct report *r, struct file *f)
{
	struct cgroup *cg = inode_cgroup(f->inode);
	u32 n = inode_file(f->inode);
	int err = 0;

	cgroup_lock();
	if (is_gone(cg, n)) {
		err = -ENODEV;
	} else if (is_pressure(n)) {
		psi_group_report(r, cg->psi, cgroup_files[n].pressure - 1u);
	} else if (n >= MEMCG_FILES) {
		const struct memcg_file *file = &memcg_files[n - MEMCG_FILES];

		if (file->peak)
			report_printf(r, "%lu\n",
				      (unsigned long)mem_cgroup_peak_read(&f->peak, cg->memcg,
									  file->peak - 1u)
					      << PAGE_SHIFT);
		if (file->notifies)
			f->poll_seen = atomic_load(&cg->memcg->notified[file->notifies]);
		if (file->show)
			file->show(r, cg->memcg);
	} else {
		if (cgroup_files[n].notifies)
			f->poll_seen = atomic_load(&cg->events_seen);
		cgroup_files[n].show(r, cg);
	}
	cgroup_unlock();
	return err;
}

static long cgroupfs_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	u32 n = inode_file(f->inode);

	if (!is_readable(n))
		return -EINVAL;
	return text_file_read(f, buf, len, pos, make);
}

/* Applying a memory limit may take long, so it is done with a reference on the group and without cgroup_lock. */
static int write_memcg(struct file *f, struct cgroup *cg, const struct memcg_file *file,
		       const char *text)
{
	struct mem_cgroup *memcg;
	int err;

	cgroup_lock();
	if (cg->dead || !cg->owns_memcg) {
		cgroup_unlock();
		return -ENODEV;
	}
	memcg = cg->memcg;
	mem_cgroup_get(memcg);
	cgroup_unlock();
	err = file->peak ? mem_cgroup_peak_reset(&f->peak, memcg, file->peak - 1u)
			 : file->write(memcg, text);
	mem_cgroup_put(memcg);
	return err;
}

/* A trigger of a pressure file. */
static int write_pressure(struct cgroup *cg, struct file *f, u32 n, const char *text)
{
	int err = -ENODEV;

	cgroup_lock();
	if (!is_gone(cg, n))
		err = psi_trigger_write(&f->trigger, cg->psi, cgroup_files[n].pressure - 1u, text);
	cgroup_unlock();
	return err;
}

/* To move a process, the writer must also be allowed to write cgroup.procs of the nearest common ancestor of the old
 * and the new group. So a user who owns one subtree cannot move processes into it or out of it. cgroup_lock held. */
static int may_move(struct super_block *sb, struct cgroup *cg, u32 n, const char *text)
{
	struct cgroup *common;
	struct inode *procs;
	int err, pid;

	err = cgroup_parse_pid(text, &pid);
	if (err)
		return err;
	common = cgroup_common_ancestor(cg, pid);
	if (!common)
		return -ESRCH;
	procs = make_inode(sb, common, n, file_info(common, n).mode);
	if (!procs)
		return -ENOMEM;
	err = inode_permission(procs, MAY_WRITE);
	iput(procs);
	return err;
}

static int write_core(struct super_block *sb, struct cgroup *cg, u32 n, const char *text)
{
	int err;

	if (cg->dead)
		return -ENODEV;
	err = cgroup_files[n].moves ? may_move(sb, cg, n, text) : 0;
	return err ? err : cgroup_files[n].write(cg, text);
}

static long cgroupfs_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct cgroup *cg = inode_cgroup(f->inode);
	u32 n = inode_file(f->inode);
	char text[MAX_WRITE], *start = text;
	int err;

	if (!len)
		return 0; /* of any file, as on Linux */
	err = text_file_copy(buf, len, text, sizeof(text));
	if (err)
		return err;
	while (*start == ' ' || *start == '\t')
		start++;
	for (char *end = start + strlen(start); end > start && (end[-1] == ' ' || end[-1] == '\n');)
		*--end = 0;
	if (n >= MEMCG_FILES) {
		const struct memcg_file *file = &memcg_files[n - MEMCG_FILES];

		err = file->write || file->peak ? write_memcg(f, cg, file, start) : -EINVAL;
	} else if (cgroup_files[n].pressure) {
		err = write_pressure(cg, f, n, start);
	} else if (!cgroup_files[n].write) {
		err = -EINVAL;
	} else {
		cgroup_lock();
		err = write_core(f->inode->sb, cg, n, start);
		cgroup_unlock();
	}
	if (err)
		return err;
	*pos += len;
	return len;
}

static void cgroupfs_release(struct file *f)
{
	u32 n = inode_file(f->inode);

	if (is_pressure(n))
		psi_trigger_free(f->trigger);
	else if (n >= MEMCG_FILES && memcg_files[n - MEMCG_FILES].peak)
		mem_cgroup_peak_free(f->peak);
	text_file_release(f);
}

/* A change since the text was read is an exceptional condition, as Linux's kernfs has it, and so is the file's end. */
static u32 cgroupfs_poll(struct file *f, struct wait_queue **wq)
{
	struct cgroup *cg = inode_cgroup(f->inode);
	u32 n = inode_file(f->inode), mask = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
	u8 notifies =
		n >= MEMCG_FILES ? memcg_files[n - MEMCG_FILES].notifies : cgroup_files[n].notifies;
	u64 *seen = &cg->events_seen;

	if (is_gone(cg, n))
		return mask | POLLERR | POLLPRI;
	if (is_pressure(n))
		return poll_pressure(READ_ONCE(f->trigger), wq);
	if (!notifies)
		return mask;
	*(wq ? wq : &(struct wait_queue *){NULL}) = &cg->events_wq;
	if (n >= MEMCG_FILES) {
		seen = &cg->memcg->notified[notifies];
		if (wq)
			*wq = &cg->memcg->events_wq;
	}
	return atomic_load(seen) != f->poll_seen ? mask | POLLERR | POLLPRI : mask;
}

static const struct file_ops cgroup_text_ops = {.read = cgroupfs_read,
						.write = cgroupfs_write,
						.llseek = text_file_llseek,
						.poll = cgroupfs_poll,
						.release = cgroupfs_release};

/* ---- mounting --------------------------------------------------------------------------------- */

static void cgroupfs_statfs(struct super_block *sb, struct vfs_statfs *st)
{
	st->type = CGROUP2_SUPER_MAGIC;
	st->bsize = PAGE_SIZE;
	st->namelen = NAME_MAX;
}

static void cgroupfs_free_inode(struct inode *inode)
{
	cgroup_put(inode_cgroup(inode));
}

static const struct super_ops cgroupfs_super_ops = {.statfs = cgroupfs_statfs,
						    .free_inode = cgroupfs_free_inode};

/* There is one tree, which all mounts show. */
static int cgroupfs_mount(struct super_block *sb, const char *options)
{
	if (options && *options)
		return -EINVAL;
	sb->ops = &cgroupfs_super_ops;
	sb->blocksize = PAGE_SIZE;
	sb->root = dir_inode(sb, &root_cgroup);
	return sb->root ? 0 : -ENOMEM;
}

static struct fs_type cgroup2_type = {.name = "cgroup2",
				      .magic = CGROUP2_SUPER_MAGIC,
				      .volatile_names = true,
				      .mount = cgroupfs_mount};

void cgroupfs_init(void)
{
	int err;

	register_filesystem(&cgroup2_type);
	err = sysfs_make_dir("fs/cgroup");
	if (!err)
		err = vfs_mount("cgroup2", "cgroup2", "/sys/fs/cgroup", 0, "");
	if (err)
		printk("VFS: no /sys/fs/cgroup: error %d\n", -err);
}
