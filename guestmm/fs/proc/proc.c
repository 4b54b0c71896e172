/*
 * /proc: information of the kernel as files, with the names and formats of Linux
 * (Documentation/filesystems/proc.rst, proc(5)), so that programs for Linux can read them.
 *
 *   entries:  directories | system | sysctl | of a process       one table, tree by `parent`
 *   inode number = pid << 32 | fd << 16 | index of the entry
 *   In task/TID: tid << 32 | PROC_THREAD << 16 | index; the thread's process is looked up each time.
 *
 * An inode has only the numbers of its entry and its process. A text is generated when a file is read from its start,
 * and is kept with the open file (text_file.h).
 *
 * I1  A name is looked up each time it is used (volatile_names), so there are no names of processes that have ended.
 *
 * Locks: none of its own; a file's pos_lock guards its text.
 */
#include "fs/proc/proc.h"
#include "fs/file.h"
#include "fs/poll.h"
#include "fs/text_file.h"
#include "fs/proc/process_view.h"
#include "lib/errno.h"
#include "lib/string.h"

#define PROC_SUPER_MAGIC 0x9fa0
#define MAX_WRITE	 256u

static const struct proc_entry directories[NR_PROC_DIRS + 1] = {
	[PROC_ROOT] = {"/", PROC_ROOT, S_IFDIR | 0555, .show = NULL},
	[PROC_SYS] = {"sys", PROC_ROOT, S_IFDIR | 0555, .show = NULL},
	[PROC_SYS_VM] = {"vm", PROC_SYS, S_IFDIR | 0555, .show = NULL},
	[PROC_SYS_KERNEL] = {"kernel", PROC_SYS, S_IFDIR | 0555, .show = NULL},
	[PROC_SYS_RANDOM] = {"random", PROC_SYS_KERNEL, S_IFDIR | 0555, .show = NULL},
	[PROC_SYS_FS] = {"fs", PROC_SYS, S_IFDIR | 0555, .show = NULL},
	[PROC_SYS_INOTIFY] = {"inotify", PROC_SYS_FS, S_IFDIR | 0555, .show = NULL},
	[PROC_PRESSURE] = {"pressure", PROC_ROOT, S_IFDIR | 0555, .show = NULL},
	[PROC_SYSVIPC] = {"sysvipc", PROC_ROOT, S_IFDIR | 0555, .show = NULL},
	[PROC_PID] = {"", PROC_ROOT, S_IFDIR | 0555, .show = NULL},
	[PROC_FD] = {"fd", PROC_PID, S_IFDIR | 0500, .show = NULL},
	[PROC_FDINFO] = {"fdinfo", PROC_PID, S_IFDIR | 0555, .show = NULL},
	[PROC_TASK] = {"task", PROC_PID, S_IFDIR | 0555, .show = NULL},
	[PROC_TID] = {"", PROC_TASK, S_IFDIR | 0555, .show = NULL},
};

static long read_fd_link(char *buf, size_t size, const struct proc_ctx *ctx);
static int follow_fd_link(struct path *path, const struct proc_ctx *ctx);
static int show_fdinfo(struct report *r, const struct proc_ctx *ctx);
static const struct proc_entry fd_link = {
	.name = "", .mode = S_IFLNK | 0700, .readlink = read_fd_link, .follow = follow_fd_link};
static const struct proc_entry fd_info = {.name = "", .mode = S_IFREG | 0444, .show = show_fdinfo};

static const struct proc_entry *const tables[] = {directories,	       proc_system_entries,
						  proc_sysctl_entries, proc_sysctl_vm_entries,
						  proc_pid_entries,    proc_pressure_entries};
#define TABLE_SHIFT 12
#define FD_LINK	    0xffffu /* index of links in fd/ */
#define FD_INFO	    0xfffeu /* and of files in fdinfo/ */
#define PROC_THREAD 0xffffu /* for a descriptor: the number is a thread's */
_Static_assert(MAX_FDS <= PROC_THREAD, "no descriptor is PROC_THREAD");

static u64 make_ino(int pid, u32 fd, u32 index)
{
	/* Inode number 0 is not valid. */
	return ((u64)(u32)pid << 32 | (u64)fd << 16 | index) + 1;
}

static u32 ino_index(const struct inode *inode)
{
	return (inode->ino - 1) & 0xffff;
}

static struct proc_ctx inode_ctx(const struct inode *inode)
{
	int pid = (int)((inode->ino - 1) >> 32);
	u32 fd = (inode->ino - 1) >> 16 & 0xffff;

	if (likely(fd != PROC_THREAD))
		return (struct proc_ctx){.pid = pid, .fd = fd};
	return (struct proc_ctx){.pid = proc_pid_of_thread(pid), .tid = pid};
}

static const struct proc_entry *entry_at(u32 index)
{
	if (index >> TABLE_SHIFT >= ARRAY_SIZE(tables))
		return index == FD_LINK ? &fd_link : &fd_info;
	return &tables[index >> TABLE_SHIFT][index & ((1u << TABLE_SHIFT) - 1)];
}

/* Inodes in the directory of a process or thread. */
static u64 make_ino_of(const struct proc_ctx *ctx, u32 index)
{
	return ctx->tid ? make_ino(ctx->tid, PROC_THREAD, index) : make_ino(ctx->pid, 0, index);
}

/* The next entry in directory `dir` at or after *index, or NULL. */
static const struct proc_entry *next_entry(u32 dir, u32 *index)
{
	for (; *index >> TABLE_SHIFT < ARRAY_SIZE(tables);
	     *index = ((*index >> TABLE_SHIFT) + 1) << TABLE_SHIFT) {
		for (; entry_at(*index)->name; (*index)++) {
			const struct proc_entry *e = entry_at(*index);

			if (e->name[0] && *index != PROC_ROOT &&
			    (e->parent == dir ||
			     (dir == PROC_TID && e->parent == PROC_PID && *index != PROC_TASK)))
				return e;
		}
	}
	return NULL;
}

static const struct inode_ops proc_inode_ops, proc_magic_ops;
static const struct file_ops proc_dir_ops, proc_text_ops;

static struct inode *proc_inode(struct super_block *sb, u64 ino, u32 index)
{
	const struct proc_entry *e = entry_at(index);
	struct inode *inode = new_inode(sb, ino);
	struct proc_ctx ctx;

	if (!inode)
		return NULL;
	inode->mode = e->mode;
	inode->nlink = S_ISDIR(e->mode) ? 2 : 1;
	inode->ops = e->follow ? &proc_magic_ops : &proc_inode_ops;
	inode->fops = S_ISDIR(e->mode) ? &proc_dir_ops : &proc_text_ops;
	ctx = inode_ctx(inode);
	if (ctx.pid > 0)
		proc_set_owner(inode, ctx.pid);
	return inode;
}

/* A number without leading zeroes, or -1. */
static s64 parse_number(const char *name, u32 len)
{
	s64 n = 0;

	if (!len || len > 9 || (name[0] == '0' && len > 1))
		return -1;
	for (u32 i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		n = n * 10 + (name[i] - '0');
	}
	return n;
}

/* The mode of a link in fd/, as in Linux: 0500 if the descriptor can be read, 0300 if it can be written. */
static u32 fd_rights(const struct proc_ctx *ctx, u32 fd)
{
	struct file *f = process_get_file(ctx->pid, fd);
	u32 rights = 0;

	if (!f)
		return 0;
	if ((f->flags & O_ACCMODE) != O_WRONLY)
		rights |= 0500;
	if ((f->flags & O_ACCMODE) != O_RDONLY)
		rights |= 0300;
	file_put(f);
	return rights;
}

static int proc_lookup(struct inode *dir, const char *name, u32 len, struct inode **inode)
{
	struct proc_ctx ctx = inode_ctx(dir);
	u32 at = ino_index(dir), index = 0;
	const struct proc_entry *e;
	s64 n = parse_number(name, len);

	*inode = NULL;
	if (ctx.pid && !proc_pid_exists(ctx.pid))
		return -ENOENT;
	if (at == PROC_FD || at == PROC_FDINFO) {
		u32 kind = at == PROC_FD ? FD_LINK : FD_INFO;

		if (n < 0 || n >= MAX_FDS || proc_next_fd(ctx.pid, n) != n)
			return -ENOENT;
		*inode = proc_inode(dir->sb, make_ino(ctx.pid, n, kind), kind);
		if (*inode && kind == FD_LINK)
			(*inode)->mode = S_IFLNK | fd_rights(&ctx, (u32)n);
	} else if (at == PROC_TASK) {
		if (n < 0 || proc_pid_of_thread(n) != ctx.pid)
			return -ENOENT;
		*inode = proc_inode(dir->sb, make_ino(n, PROC_THREAD, PROC_TID), PROC_TID);
	} else if (at == PROC_ROOT && n > 0) {
		if (!proc_pid_exists(n))
			return -ENOENT;
		*inode = proc_inode(dir->sb, make_ino(n, 0, PROC_PID), PROC_PID);
	} else {
		while ((e = next_entry(at, &index)) &&
		       (strlen(e->name) != len || memcmp(e->name, name, len)))
			index++;
		if (!e)
			return -ENOENT;
		*inode = proc_inode(dir->sb, make_ino_of(&ctx, index), index);
	}
	return *inode ? 0 : -ENOMEM;
}

static long proc_readlink(struct inode *inode, char *buf, size_t size)
{
	struct proc_ctx ctx = inode_ctx(inode);
	const struct proc_entry *e = entry_at(ino_index(inode));

	return e->readlink ? e->readlink(buf, size, &ctx) : -EINVAL;
}

static int proc_follow(struct inode *inode, struct path *path)
{
	struct proc_ctx ctx = inode_ctx(inode);
	const struct proc_entry *e = entry_at(ino_index(inode));

	return e->follow(path, &ctx);
}

static struct file *proc_follow_file(struct inode *inode)
{
	struct proc_ctx ctx = inode_ctx(inode);

	return entry_at(ino_index(inode)) == &fd_link ? process_get_file(ctx.pid, ctx.fd) : NULL;
}

static const struct inode_ops proc_inode_ops = {.lookup = proc_lookup, .readlink = proc_readlink};
/* Links that lead to a place, not to a name. */
static const struct inode_ops proc_magic_ops = {
	.readlink = proc_readlink, .follow = proc_follow, .follow_file = proc_follow_file};

/* ---- directories ----------------------------------------------------------------------------- */

static bool emit_number(struct dir_context *ctx, u32 n, u64 ino, u32 type)
{
	char name[12];

	ksnprintf(name, sizeof(name), "%u", n);
	return ctx->actor(ctx, name, strlen(name), ino, type);
}

#define DT(mode) ((mode) >> 12 & 15)

/* Positions in a directory: 0 and 1 are "." and ".."; 2 + index are entries; from POS_NUMBERS on there are processes,
 * threads or descriptors. */
#define POS_NUMBERS (1ull << 32)

/* Directories whose names are numbers. */
static int iterate_numbers(struct dir_context *ctx, u32 at, int pid)
{
	for (;;) {
		u32 from = ctx->pos - POS_NUMBERS;
		bool more;
		int n;

		n = at == PROC_ROOT   ? proc_next_pid(from)
		    : at == PROC_TASK ? proc_next_tid(pid, from)
				      : proc_next_fd(pid, from);
		if (n < 0)
			return 0;
		if (at == PROC_FD)
			more = emit_number(ctx, n, make_ino(pid, n, FD_LINK), DT(S_IFLNK));
		else if (at == PROC_FDINFO)
			more = emit_number(ctx, n, make_ino(pid, n, FD_INFO), DT(S_IFREG));
		else if (at == PROC_TASK)
			more = emit_number(ctx, n, make_ino(n, PROC_THREAD, PROC_TID), DT(S_IFDIR));
		else
			more = emit_number(ctx, n, make_ino(n, 0, PROC_PID), DT(S_IFDIR));
		if (!more)
			return 0;
		ctx->pos = POS_NUMBERS + n + 1;
	}
}

static int proc_iterate(struct file *f, struct dir_context *ctx)
{
	struct inode *inode = f->inode;
	struct proc_ctx who = inode_ctx(inode);
	u32 at = ino_index(inode);

	if (ctx->pos == 0) {
		if (!ctx->actor(ctx, ".", 1, inode->ino, DT(S_IFDIR)))
			return 0;
		ctx->pos = 1;
	}
	if (ctx->pos == 1) {
		if (!ctx->actor(ctx, "..", 2, make_ino(0, 0, PROC_ROOT), DT(S_IFDIR)))
			return 0;
		ctx->pos = 2;
	}
	while (ctx->pos < POS_NUMBERS) {
		u32 index = ctx->pos - 2;
		const struct proc_entry *e = next_entry(at, &index);

		if (!e) {
			ctx->pos = POS_NUMBERS;
			break;
		}
		if (!ctx->actor(ctx, e->name, strlen(e->name), make_ino_of(&who, index),
				DT(e->mode)))
			return 0;
		ctx->pos = index + 3;
	}
	return at == PROC_ROOT || at == PROC_FD || at == PROC_FDINFO || at == PROC_TASK
		       ? iterate_numbers(ctx, at, who.pid)
		       : 0;
}

static long proc_dir_llseek(struct file *f, s64 offset, int whence)
{
	if (whence != 0 || offset < 0)
		return -EINVAL;
	return f->pos = offset;
}

static const struct file_ops proc_dir_ops = {.iterate = proc_iterate, .llseek = proc_dir_llseek};

/* ---- texts ----------------------------------------------------------------------------------- */

static int proc_make(struct report *r, struct file *f)
{
	struct proc_ctx ctx = inode_ctx(f->inode);

	return entry_at(ino_index(f->inode))->show(r, &ctx);
}

static long proc_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	const struct proc_entry *e = entry_at(ino_index(f->inode));
	struct proc_ctx ctx = inode_ctx(f->inode);

	if (e->read)
		return e->read(f, buf, len, pos, &ctx);
	return e->show ? text_file_read(f, buf, len, pos, proc_make) : -EINVAL;
}

static long proc_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	const struct proc_entry *e = entry_at(ino_index(f->inode));
	struct proc_ctx ctx = inode_ctx(f->inode);
	char text[MAX_WRITE];
	int err;

	if (e->write_at)
		return e->write_at(f, buf, len, pos, &ctx);
	if (e->write_file)
		return e->write_file(f, buf, len);
	if (!e->write)
		return -EINVAL;
	err = text_file_copy(buf, len, text, sizeof(text));
	if (err)
		return err;
	err = e->write(text, &ctx);
	if (err)
		return err;
	*pos += len;
	return len;
}

static u32 proc_poll(struct file *f, struct wait_queue **wq)
{
	const struct proc_entry *e = entry_at(ino_index(f->inode));

	return e->poll ? e->poll(f, wq) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

static void proc_release(struct file *f)
{
	const struct proc_entry *e = entry_at(ino_index(f->inode));

	if (e->release)
		e->release(f);
	text_file_release(f);
}

static int proc_open(struct file *f)
{
	const struct proc_entry *e = entry_at(ino_index(f->inode));
	struct proc_ctx ctx = inode_ctx(f->inode);

	return e->open ? e->open(f, &ctx) : 0;
}

static const struct file_ops proc_text_ops = {.open = proc_open,
					      .read = proc_read,
					      .write = proc_write,
					      .llseek = text_file_llseek,
					      .poll = proc_poll,
					      .release = proc_release};

/* ---- links to open files --------------------------------------------------------------------- */

static long read_fd_link(char *buf, size_t size, const struct proc_ctx *ctx)
{
	struct file *f = process_get_file(ctx->pid, ctx->fd);
	const char *name;
	long len;

	if (!f)
		return -ENOENT;
	name = file_name(f, buf, size);
	len = strlen(name);
	memmove(buf, name, len + 1);
	file_put(f);
	return len;
}

static int follow_fd_link(struct path *path, const struct proc_ctx *ctx)
{
	struct file *f = process_get_file(ctx->pid, ctx->fd);
	int err = 0;

	if (!f)
		return -ENOENT;
	if (f->path.dentry) {
		path_get(&f->path);
		*path = f->path;
	} else {
		err = -ENXIO; /* see proc_follow_file() */
	}
	file_put(f);
	return err;
}

#define FDINFO_CLOEXEC 02000000u

static int show_fdinfo(struct report *r, const struct proc_ctx *ctx)
{
	struct file *f = process_get_file(ctx->pid, ctx->fd);
	bool cloexec;

	if (!f)
		return -ENOENT;
	cloexec = process_fd_cloexec(ctx->pid, ctx->fd);
	report_printf(r, "pos:\t%lu\nflags:\t0%o\nmnt_id:\t%d\nino:\t%lu\n",
		      file_has_position(f) ? (unsigned long)READ_ONCE(f->pos) : 0ul,
		      f->flags | (cloexec ? FDINFO_CLOEXEC : 0), f->path.mnt ? f->path.mnt->id : 0,
		      f->inode ? (unsigned long)f->inode->ino : 0ul);
	if (f->ops->show_fdinfo)
		f->ops->show_fdinfo(r, f);
	file_put(f);
	return 0;
}

/* ---- mounting -------------------------------------------------------------------------------- */

static void proc_statfs(struct super_block *sb, struct vfs_statfs *st)
{
	st->type = PROC_SUPER_MAGIC;
	st->bsize = PAGE_SIZE;
	st->namelen = NAME_MAX;
}

static const struct super_ops proc_super_ops = {.statfs = proc_statfs};

static int proc_mount(struct super_block *sb, const char *options)
{
	if (*options)
		return -EINVAL;
	sb->ops = &proc_super_ops;
	sb->blocksize = PAGE_SIZE;
	sb->root = proc_inode(sb, make_ino(0, 0, PROC_ROOT), PROC_ROOT);
	return sb->root ? 0 : -ENOMEM;
}

static struct fs_type proc_type = {
	.name = "proc", .magic = PROC_SUPER_MAGIC, .volatile_names = true, .mount = proc_mount};

void proc_init(void)
{
	int err;

	register_filesystem(&proc_type);
	err = vfs_mkdir(AT_FDCWD, "/proc", 0555);
	if (!err || err == -EEXIST)
		err = vfs_mount("proc", "proc", "/proc", 0, "");
	if (err)
		printk("VFS: no /proc: error %d\n", -err);
}
