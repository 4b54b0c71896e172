/*
 * The inside of /proc: a tree of entries, each of which is a directory, a link, or a text that is generated when it is
 * read.
 */
#ifndef FS_PROC_H
#define FS_PROC_H
#include "fs/vfs.h"
#include "kernel/process.h"

/** Context of an entry's functions: the process of the directory, and the descriptor. */
struct proc_ctx {
	int pid; /* 0: not in a process's directory; -1: of a thread that has ended */
	int tid; /* in task/TID: the thread; else 0 */
	u32 fd;	 /* in fd/ and fdinfo/ */
};

struct proc_entry {
	const char *name;
	u16 parent; /* index in the table */
	u32 mode;
	/** Write the text to r. May sleep. 0, or -ESRCH: the process has ended. */
	int (*show)(struct report *r, const struct proc_ctx *ctx);
	/** A text was written: `text` ends with NUL, a last newline is cut off. 0 or -errno. */
	int (*write)(const char *text, const struct proc_ctx *ctx);
	/** Symbolic links: copy the target to buf. Returns its length or -errno. */
	long (*readlink)(char *buf, size_t size, const struct proc_ctx *ctx);
	/** Magic links: get the place itself, whatever its name is. */
	int (*follow)(struct path *path, const struct proc_ctx *ctx);
	/** Files that are not texts: read at *pos. */
	long (*read)(struct file *f, unsigned long buf, size_t len, u64 *pos,
		     const struct proc_ctx *ctx);
	/** Files that are not texts: write at *pos. */
	long (*write_at)(struct file *f, unsigned long buf, size_t len, u64 *pos,
			 const struct proc_ctx *ctx);
	/** Operations of the open file, as in struct file_ops. NULL: as for all texts. */
	int (*open)(struct file *f, const struct proc_ctx *ctx);
	long (*write_file)(struct file *f, unsigned long buf, size_t len);
	u32 (*poll)(struct file *f, struct wait_queue **wq);
	void (*release)(struct file *f);
};

/* The directories by index; proc.c's table begins with them in this order. */
enum proc_dir {
	PROC_ROOT,
	PROC_SYS,
	PROC_SYS_VM,
	PROC_SYS_KERNEL,
	PROC_SYS_RANDOM,
	PROC_SYS_FS,
	PROC_SYS_INOTIFY,
	PROC_PRESSURE,
	PROC_SYSVIPC,
	PROC_PID, /* of every process */
	PROC_FD,
	PROC_FDINFO,
	PROC_TASK,
	PROC_TID, /* of every thread of a process: as PROC_PID, without task/ */
	NR_PROC_DIRS
};

/* Tables of the other files; each ends with name NULL. */
extern const struct proc_entry proc_system_entries[];
extern const struct proc_entry proc_pressure_entries[];
extern const struct proc_entry proc_pid_entries[];
extern const struct proc_entry proc_sysctl_entries[];
extern const struct proc_entry proc_sysctl_vm_entries[];

/* sysctl.c */
/** Parse a text that is a decimal number. 0 or -EINVAL. */
int proc_parse_decimal(const char *text, s64 *out);
/** Parse a number in C's notation: decimal, 0x... or 0... Returns 0, -EINVAL, or -ERANGE (more than 64 bits). */
int proc_parse_unsigned(const char *text, u64 *out);

/* pid.c */
/** The smallest pid >= from, or -1. */
int proc_next_pid(int from);
bool proc_pid_exists(int pid);
/** Set the owner of a process's file: the process's user, or root if the process is not dumpable. (A process that has
 * given up rights must not be inspected by its new user.) */
void proc_set_owner(struct inode *inode, int pid);
/** Get the address space of the process, with a reference. *mm NULL: it has none, or has left it. 0, or -ESRCH: there
 * is no such process. */
int proc_get_mm(const struct proc_ctx *ctx, struct mm_struct **mm);
/** The process that a thread belongs to, or -1. */
int proc_pid_of_thread(int tid);
/** The smallest number >= from of a thread of a process, or -1. */
int proc_next_tid(int pid, int from);
/** Smallest open descriptor >= from of a process, or -1. */
int proc_next_fd(int pid, u32 from);

/* pid_status.c */
int proc_show_stat(struct report *r, const struct proc_ctx *ctx);
int proc_show_statm(struct report *r, const struct proc_ctx *ctx);
int proc_show_status(struct report *r, const struct proc_ctx *ctx);
int proc_show_comm(struct report *r, const struct proc_ctx *ctx);
int proc_show_oom_score(struct report *r, const struct proc_ctx *ctx);
int proc_show_oom_score_adj(struct report *r, const struct proc_ctx *ctx);
int proc_set_oom_score_adj(const char *text, const struct proc_ctx *ctx);

/* kpage.c */
long proc_read_kpageflags(struct file *f, unsigned long buf, size_t len, u64 *pos,
			  const struct proc_ctx *ctx);
long proc_read_kpagecount(struct file *f, unsigned long buf, size_t len, u64 *pos,
			  const struct proc_ctx *ctx);
long proc_read_kpagecgroup(struct file *f, unsigned long buf, size_t len, u64 *pos,
			   const struct proc_ctx *ctx);

/* config.c */
long proc_read_config(struct file *f, unsigned long buf, size_t len, u64 *pos,
		      const struct proc_ctx *ctx);

/* mem.c */
int proc_open_mem(struct file *f, const struct proc_ctx *ctx);
long proc_read_mem(struct file *f, unsigned long buf, size_t len, u64 *pos,
		   const struct proc_ctx *ctx);
long proc_write_mem(struct file *f, unsigned long buf, size_t len, u64 *pos,
		    const struct proc_ctx *ctx);

/* maps.c */
int proc_show_maps(struct report *r, const struct proc_ctx *ctx);
int proc_show_smaps(struct report *r, const struct proc_ctx *ctx);
int proc_show_smaps_rollup(struct report *r, const struct proc_ctx *ctx);
int proc_write_clear_refs(const char *text, const struct proc_ctx *ctx);
long proc_read_pagemap(struct file *f, unsigned long buf, size_t len, u64 *pos,
		       const struct proc_ctx *ctx);
#endif
