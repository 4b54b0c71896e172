/*
 * /proc/PID: finding processes, and all files of a process except those of pid_status.c and maps.c.
 *
 * Each read looks the process up, under task_list_lock, and copies what it needs. A reference keeps the process's
 * address space meanwhile.
 */
#include "fs/proc/proc.h"
#include "fs/file.h"
#include "kernel/cgroup.h"
#include "fs/proc/process_view.h"
#include "kernel/cred.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/ksm/ksm.h"
#include "mm/virt/mm.h"
#include "mm/fault/remote.h"
#include "mm/numa/mempolicy.h"

#define MAX_AREA (128ul << 10) /* largest size of arguments or environment */

int proc_pid_of_thread(int tid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	const struct process *p;
	const struct task *t;
	int pid = -1;

	/* Not by the task, because a task that ends may outlive its process. */
	list_for_each_entry (p, &process_list, all) {
		list_for_each_entry (t, &p->threads, thread) {
			if (t->pid == tid)
				pid = p->pid;
		}
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return pid;
}

int proc_next_tid(int pid, int from)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	const struct process *p = find_process(pid);
	const struct task *t;
	int best = -1;

	if (p) {
		list_for_each_entry (t, &p->threads, thread) {
			if (t->pid >= from && (best < 0 || t->pid < best))
				best = t->pid;
		}
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return best;
}

bool proc_pid_exists(int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	bool there = find_process(pid) != NULL;

	spin_unlock_irqrestore(&task_list_lock, flags);
	return there;
}

int proc_get_mm(const struct proc_ctx *ctx, struct mm_struct **mm)
{
	*mm = process_get_mm(ctx->pid);
	return *mm || proc_pid_exists(ctx->pid) ? 0 : -ESRCH;
}

int proc_next_pid(int from)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p;
	int best = -1;

	list_for_each_entry (p, &process_list, all) {
		if (p->pid >= from && (best < 0 || p->pid < best))
			best = p->pid;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return best;
}

int proc_next_fd(int pid, u32 from)
{
	u32 size = process_fd_end(pid);

	for (; from < size; from++) {
		struct file *f = process_get_file(pid, from);

		if (!f)
			continue;
		file_put(f);
		return from;
	}
	return -1;
}

/* ---- names and arguments --------------------------------------------------------------------- */

/* Copy bytes of a process's memory, unchanged, up to the report's room. */
static void copy_area(struct report *r, struct mm_struct *mm, unsigned long start,
		      unsigned long end)
{
	size_t want = end > start ? min(end - start, MAX_AREA) : 0;

	if (want > r->size - r->len) {
		r->overflow = true;
		return;
	}
	r->len += read_remote_vm(mm, start, r->buf + r->len, want);
}

static int show_cmdline(struct report *r, const struct proc_ctx *ctx)
{
	struct mm_struct *mm;
	int err = proc_get_mm(ctx, &mm);

	if (err || !mm)
		return err;
	copy_area(r, mm, mm->arg_start, mm->arg_end);
	mmput(mm);
	return 0;
}

static int show_environ(struct report *r, const struct proc_ctx *ctx)
{
	struct mm_struct *mm;
	int err = proc_get_mm(ctx, &mm);

	if (err || !mm)
		return err;
	copy_area(r, mm, mm->env_start, mm->env_end);
	mmput(mm);
	return 0;
}

/* ---- places ---------------------------------------------------------------------------------- */

static int follow_exe(struct path *path, const struct proc_ctx *ctx)
{
	struct file *f = process_get_exe(ctx->pid);
	int err = -ENOENT;

	if (!f)
		return err;
	if (f->path.dentry) {
		path_get(&f->path);
		*path = f->path;
		err = 0;
	}
	file_put(f);
	return err;
}

static long path_text(char *buf, size_t size, struct path *path)
{
	char *name = path_name(path, buf, size);
	long len = -ENAMETOOLONG;

	if (name) {
		len = strlen(name);
		memmove(buf, name, len + 1);
	}
	path_put(path);
	return len;
}

static long read_exe(char *buf, size_t size, const struct proc_ctx *ctx)
{
	struct path path;
	int err = follow_exe(&path, ctx);

	return err ? err : path_text(buf, size, &path);
}

static int follow_cwd(struct path *path, const struct proc_ctx *ctx)
{
	return process_get_place(ctx->pid, PLACE_CWD, path);
}

static int follow_root(struct path *path, const struct proc_ctx *ctx)
{
	return process_get_place(ctx->pid, PLACE_ROOT, path);
}

static long read_cwd(char *buf, size_t size, const struct proc_ctx *ctx)
{
	struct path path;
	int err = follow_cwd(&path, ctx);

	return err ? err : path_text(buf, size, &path);
}

static long read_root(char *buf, size_t size, const struct proc_ctx *ctx)
{
	struct path path;
	int err = follow_root(&path, ctx);

	return err ? err : path_text(buf, size, &path);
}

static int show_limits(struct report *r, const struct proc_ctx *ctx)
{
	static const struct {
		const char *name, *units;
	} text[RLIM_NLIMITS] = {
		[RLIMIT_CPU] = {"Max cpu time", "seconds"},
		[RLIMIT_FSIZE] = {"Max file size", "bytes"},
		[RLIMIT_DATA] = {"Max data size", "bytes"},
		[RLIMIT_STACK] = {"Max stack size", "bytes"},
		[RLIMIT_CORE] = {"Max core file size", "bytes"},
		[RLIMIT_RSS] = {"Max resident set", "bytes"},
		[RLIMIT_NPROC] = {"Max processes", "processes"},
		[RLIMIT_NOFILE] = {"Max open files", "files"},
		[RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
		[RLIMIT_AS] = {"Max address space", "bytes"},
		[RLIMIT_LOCKS] = {"Max file locks", "locks"},
		[RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
		[RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
		[RLIMIT_NICE] = {"Max nice priority", ""},
		[RLIMIT_RTPRIO] = {"Max realtime priority", ""},
		[RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
	};
	struct rlimit limits[RLIM_NLIMITS];
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	const struct process *p = find_process(ctx->pid);

	if (p)
		memcpy(limits, p->limits, sizeof(limits));
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!p)
		return -ESRCH;
	report_printf(r, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (u32 i = 0; i < RLIM_NLIMITS; i++) {
		report_printf(r, "%-25s ", text[i].name);
		for (int hard = 0; hard < 2; hard++) {
			u64 v = hard ? limits[i].max : limits[i].cur;

			if (v == RLIM_INFINITY)
				report_printf(r, "%-20s ", "unlimited");
			else
				report_printf(r, "%-20lu ", (unsigned long)v);
		}
		report_printf(r, "%-10s\n", text[i].units);
	}
	return 0;
}

/* The policy of the process's first living thread. */
static struct mempolicy *process_policy(int pid)
{
	struct mempolicy *pol = NULL;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p = find_process(pid);
	struct task *t;

	if (p)
		list_for_each_entry (t, &p->threads, thread)
			if (t->mm) { /* else its stack may be freed */
				pol = mempolicy_get_task(t->ti);
				break;
			}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return pol;
}

static int show_numa_maps(struct report *r, const struct proc_ctx *ctx)
{
	struct mempolicy *pol;
	struct mm_struct *mm;
	int err = proc_get_mm(ctx, &mm);

	if (err || !mm)
		return err;
	pol = process_policy(ctx->pid);
	report_numa_maps(r, mm, pol);
	mpol_put(pol);
	mmput(mm);
	return 0;
}

static int get_ksm_counts(const struct proc_ctx *ctx, struct ksm_mm_counts *c)
{
	struct mm_struct *mm;
	int err = proc_get_mm(ctx, &mm);

	if (err || !mm)
		return err ? err : -ESRCH;
	*c = ksm_mm_counts(mm);
	mmput(mm);
	return 0;
}

static int show_ksm_merging(struct report *r, const struct proc_ctx *ctx)
{
	struct ksm_mm_counts c;
	int err = get_ksm_counts(ctx, &c);

	if (!err)
		report_printf(r, "%lu\n", (unsigned long)c.merging_pages);
	return err == -ESRCH ? 0 : err;
}

static int show_ksm_stat(struct report *r, const struct proc_ctx *ctx)
{
	struct ksm_mm_counts c;
	int err = get_ksm_counts(ctx, &c);

	if (!err)
		report_printf(r,
			      "ksm_rmap_items %lu\nksm_merging_pages %lu\n"
			      "ksm_process_profit %ld\n",
			      (unsigned long)c.rmap_items, (unsigned long)c.merging_pages,
			      (long)c.profit);
	return err == -ESRCH ? 0 : err;
}

/* The counts of the process, with those of ended threads, or of one thread. */
static int show_io(struct report *r, const struct proc_ctx *ctx)
{
	struct io_counts io = {0};
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	const struct process *p = find_process(ctx->pid);
	const struct task *t;

	if (p) {
		if (!ctx->tid)
			io = p->dead_io;
		list_for_each_entry (t, &p->threads, thread)
			if (t->mm &&
			    (!ctx->tid || t->pid == ctx->tid)) /* else its stack may be freed */
				io_counts_add(&io, &t->ti->io);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!p)
		return -ESRCH;
#define X(name) report_printf(r, "%s: %lu\n", #name, (unsigned long)io.name);
	IO_COUNTS(X)
#undef X
	return 0;
}

void proc_set_owner(struct inode *inode, int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	const struct process *p = find_process(pid);
	const struct task *t;

	if (p) {
		list_for_each_entry (t, &p->threads, thread) {
			if (!t->cred || (inode->mode != (S_IFDIR | 0555) &&
					 (!t->mm || READ_ONCE(t->mm->dumpable) != MM_DUMP_USER)))
				continue;
			inode->uid = t->cred->euid;
			inode->gid = t->cred->egid;
			break;
		}
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
}

/* May the caller inspect the process, by ptrace(2)'s rules? T held. */
static bool may_look(const struct process *p, const struct task *t)
{
	return p == current_process() || capable(CAP_SYS_PTRACE) ||
	       (t->cred && same_user(p) && t->mm && READ_ONCE(t->mm->dumpable) == MM_DUMP_USER);
}

/* The kernel function in which the thread sleeps. "0": it does not sleep, or the reader may not inspect it. */
static int show_wchan(struct report *r, const struct proc_ctx *ctx)
{
	int which = ctx->tid ? ctx->tid : ctx->pid;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	const struct process *p = find_process(ctx->pid);
	const char *where = NULL;
	const struct task *t;

	if (p) {
		list_for_each_entry (t, &p->threads, thread)
			if (t->pid == which && READ_ONCE(t->state) == TASK_SLEEPING &&
			    may_look(p, t))
				where = READ_ONCE(t->wchan);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!p)
		return -ESRCH;
	report_printf(r, "%s", where ? where : "0");
	return 0;
}

static int show_coredump_filter(struct report *r, const struct proc_ctx *ctx)
{
	struct mm_struct *mm;
	int err = proc_get_mm(ctx, &mm);

	if (err || !mm)
		return err;
	report_printf(r, "%08x\n", READ_ONCE(mm->dump_filter));
	mmput(mm);
	return 0;
}

/* A number as C writes one: decimal, 0x..., 0... */
static int set_coredump_filter(const char *text, const struct proc_ctx *ctx)
{
	struct mm_struct *mm;
	u64 n;
	int err = proc_parse_unsigned(text, &n);

	if (!err && n > 0xffffffffu)
		err = -ERANGE;
	if (!err)
		err = proc_get_mm(ctx, &mm);
	if (err)
		return err;
	if (!mm)
		return -ESRCH;
	WRITE_ONCE(mm->dump_filter, (u16)(n & DUMP_FILTER_ALL));
	mmput(mm);
	return 0;
}

/* The auxiliary vector that the program found above its environment. */
static int show_auxv(struct report *r, const struct proc_ctx *ctx)
{
	struct mm_struct *mm;
	size_t i = 0, len;
	int err = proc_get_mm(ctx, &mm);

	if (err || !mm)
		return err;
	while (i + 2 < ARRAY_SIZE(mm->saved_auxv) && mm->saved_auxv[i])
		i += 2;
	len = (i + 2) * sizeof(mm->saved_auxv[0]);
	if (len > r->size - r->len) {
		r->overflow = true;
	} else {
		memcpy(r->buf + r->len, mm->saved_auxv, len);
		r->len += len;
	}
	mmput(mm);
	return 0;
}

static int show_cgroup(struct report *r, const struct proc_ctx *ctx)
{
	return report_proc_cgroup(r, ctx->pid);
}

const struct proc_entry proc_pid_entries[] = {
	{"stat", PROC_PID, S_IFREG | 0444, .show = proc_show_stat},
	{"statm", PROC_PID, S_IFREG | 0444, .show = proc_show_statm},
	{"status", PROC_PID, S_IFREG | 0444, .show = proc_show_status},
	{"comm", PROC_PID, S_IFREG | 0444, .show = proc_show_comm},
	{"cgroup", PROC_PID, S_IFREG | 0444, .show = show_cgroup},
	{"cmdline", PROC_PID, S_IFREG | 0444, .show = show_cmdline},
	{"environ", PROC_PID, S_IFREG | 0400, .show = show_environ},
	{"wchan", PROC_PID, S_IFREG | 0444, .show = show_wchan},
	{"auxv", PROC_PID, S_IFREG | 0400, .show = show_auxv},
	{"coredump_filter", PROC_PID, S_IFREG | 0644, .show = show_coredump_filter,
	 .write = set_coredump_filter},
	{"io", PROC_PID, S_IFREG | 0400, .show = show_io},
	{"limits", PROC_PID, S_IFREG | 0444, .show = show_limits},
	{"oom_score", PROC_PID, S_IFREG | 0444, .show = proc_show_oom_score},
	{"oom_score_adj", PROC_PID, S_IFREG | 0644, .show = proc_show_oom_score_adj,
	 .write = proc_set_oom_score_adj},
	{"maps", PROC_PID, S_IFREG | 0444, .show = proc_show_maps},
	{"smaps", PROC_PID, S_IFREG | 0444, .show = proc_show_smaps},
	{"smaps_rollup", PROC_PID, S_IFREG | 0444, .show = proc_show_smaps_rollup},
	{"numa_maps", PROC_PID, S_IFREG | 0444, .show = show_numa_maps},
	{"clear_refs", PROC_PID, S_IFREG | 0200, .write = proc_write_clear_refs},
	{"ksm_merging_pages", PROC_PID, S_IFREG | 0400, .show = show_ksm_merging},
	{"ksm_stat", PROC_PID, S_IFREG | 0400, .show = show_ksm_stat},
	{"mem", PROC_PID, S_IFREG | 0600, .open = proc_open_mem, .read = proc_read_mem,
	 .write_at = proc_write_mem},
	{"pagemap", PROC_PID, S_IFREG | 0400, .read = proc_read_pagemap},
	{"exe", PROC_PID, S_IFLNK | 0777, .readlink = read_exe, .follow = follow_exe},
	{"cwd", PROC_PID, S_IFLNK | 0777, .readlink = read_cwd, .follow = follow_cwd},
	{"root", PROC_PID, S_IFLNK | 0777, .readlink = read_root, .follow = follow_root},
	{.name = NULL},
};
