/*
 * Control groups (version 2): a tree of groups of processes.
 *
 *   root ── build ── gcc        each process is in one group; a child begins in its parent's
 *        └─ web
 *
 * A controller is given to the children of a group by writing "+memory" into its
 * cgroup.subtree_control. The only controller here is memory. A group that has it owns a struct
 * mem_cgroup; a group without it shares that of the nearest ancestor that has one.
 *
 * Rules and files: Documentation/admin-guide/cgroup-v2.rst. Threads of one process cannot be in
 * different groups ("threaded" groups are not built).
 *
 * Locks: cgroup_lock (mutex): the tree, names, controllers, and moving of processes; outside of
 * mmap_lock and memory allocation. task_list_lock (T): which group a process is in, and counts of
 * processes.
 */
#ifndef KERNEL_CGROUP_H
#define KERNEL_CGROUP_H
#include "lib/env.h"
#include "lib/format.h"
#include "mm/memcg/memcg.h"

struct process;
struct psi_group;

/** The owner and mode of one control file, if they differ from a new group's: single files can be delegated. */
struct cgroup_file_attr {
	struct list_head link; /* cgroup_lock */
	u32 file, uid, gid, mode;
};

struct cgroup {
	struct cgroup *parent;	     /* C, with a reference; NULL at the root */
	struct list_head children;   /* cgroup_lock */
	struct list_head sibling;    /* cgroup_lock */
	char *name;		     /* C */
	u64 id;			     /* C: see cgroup_ino() */
	s32 refs;		     /* A: the tree, processes, open files and inodes, children */
	u32 uid, gid, mode;	     /* cgroup_lock: of its directory */
	u32 file_uid, file_gid;	     /* C once it is in use: its creator, who owns its files */
	struct list_head file_attrs; /* cgroup_lock: files whose owner or mode was changed */
	bool dead;		     /* cgroup_lock: its directory is removed */
	bool memory_for_children;    /* cgroup_lock: in cgroup.subtree_control */
	bool owns_memcg;	     /* cgroup_lock: it has the memory controller */
	struct mem_cgroup
		*memcg;	       /* cgroup_lock to change, T: its own, or its ancestor's; reference */
	struct psi_group *psi; /* C, with a reference: stalls of its tasks; the root: NULL */
	u32 nr_procs;	       /* T: live processes in it */
	u32 nr_populated;      /* T: live processes in it and below */
	u32 nr_descendants;    /* cgroup_lock: directories below */
	u64 max_descendants, max_depth; /* cgroup_lock: ~0 = "max" */
	u64 events_seen;		/* A: changes of cgroup.events */
	struct wait_queue events_wq;	/* woken when events_seen changes */
};
/** Inode number of a group's directory. Its files have the same number with other low bits (fs/cgroup/cgroupfs.c). */
#define CGROUP_FILE_BITS 8
static inline u64 cgroup_ino(const struct cgroup *cg)
{
	return cg->id << CGROUP_FILE_BITS;
}
extern struct cgroup root_cgroup;
void cgroup_lock(void);
void cgroup_unlock(void);

void cgroup_get(struct cgroup *cg);
void cgroup_put(struct cgroup *cg);

/** Create a group. *cg receives it with a reference. 0, -EEXIST, -ENOMEM, -ENODEV (the parent was removed), -EAGAIN
 * (cgroup.max.depth or max.descendants), -EINVAL (name). */
int cgroup_mkdir(struct cgroup *parent, const char *name, u32 len, struct cgroup **cg);
/** Remove a group. 0, or -EBUSY: it has processes or children. */
int cgroup_rmdir(struct cgroup *cg);
/** Child by name, with a reference, or NULL. */
struct cgroup *cgroup_child(struct cgroup *cg, const char *name, u32 len);
/** The child with index n, counted from 0, with a reference, or NULL. For directory listings. */
struct cgroup *cgroup_nth_child(struct cgroup *cg, u64 n);

/** The nearest common ancestor of `cg` and of the group of process `pid`. NULL: there is no such process. cgroup_lock
 * held, so that the answer stays true. */
struct cgroup *cgroup_common_ancestor(struct cgroup *cg, int pid);
/** Move a process. 0, -ESRCH, -EBUSY (the group has children with controllers), -ENODEV. */
int cgroup_attach(struct cgroup *cg, int pid);
/** Write cgroup.subtree_control: enable or disable the memory controller for the children. 0, -EBUSY, -ENOENT,
 * -ENOMEM. */
int cgroup_enable_memory(struct cgroup *cg, bool on);
/** Kill all processes of the group and of all groups below it. */
void cgroup_kill(struct cgroup *cg);
/** The process of the group with the smallest pid >= from, or -1. */
int cgroup_next_pid(struct cgroup *cg, int from);
/** Write the group's path from the root ("/a/b") to buf. Returns buf. */
const char *cgroup_path(struct cgroup *cg, char *buf, size_t size);
/** Write "0::/path" of a process, as /proc/PID/cgroup has it. 0 or -ESRCH. */
int report_proc_cgroup(struct report *r, int pid);

/* Life of a process */
/** Put a new process into its parent's group (parent NULL: the root). T held. */
void cgroup_fork(struct process *p, struct process *parent);
/** The new process is published but does not run yet: charge its memory to the group it is in now. May sleep. */
void cgroup_post_fork(struct process *p, struct mm_struct *mm);
/** The last thread of the process has ended. T held. */
void cgroup_exit(struct process *p);
/** The struct of the process is being freed: drop its reference on its group. */
void cgroup_release(struct process *p);
/** The current process has a new address space: charge it to the process's group. */
void cgroup_attach_mm(struct mm_struct *mm);
#endif
