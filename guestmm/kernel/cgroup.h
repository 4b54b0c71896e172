/*
 * Control groups (version 2): a tree of groups of processes.
 *
 *   root ── build ── gcc        each process is in one group; a child begins in its parent's
 *        └─ web
 *
 * A controller is given to the children of a group by writing "+memory" into its
 * cgroup.subtree_control. The one controller there is, is memory: a group that has it owns a struct
 * mem_cgroup; one that has not shares that of its nearest ancestor with one.
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

/** A file whose owner or mode is not what a new group's is: delegation gives single files away. */
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
	u32 file_uid, file_gid;	     /* C once it is in use: who made it, the owner of its files */
	struct list_head file_attrs; /* cgroup_lock: those of files that were changed */
	bool dead;		     /* cgroup_lock: its directory is removed */
	bool memory_for_children;    /* cgroup_lock: in cgroup.subtree_control */
	bool owns_memcg;	     /* cgroup_lock: has the memory controller */
	struct mem_cgroup
		*memcg;	       /* cgroup_lock to change, T: its own, or its ancestor's; reference */
	struct psi_group *psi; /* C, with a reference: stalls of its tasks; the root: NULL */
	u32 nr_procs;	       /* T: live processes in it */
	u32 nr_populated;      /* T: live processes in it and below */
	u32 nr_descendants;    /* cgroup_lock: directories below */
	u64 max_descendants, max_depth; /* cgroup_lock: ~0 = "max" */
	u64 events_seen;		/* A: changes of cgroup.events */
	struct wait_queue events_wq;	/* woken by them */
};
/** Inode number of a group's directory; its files' have more in the low bits (fs/cgroup/cgroupfs.c). */
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

/** A directory is made. 0, -EEXIST, -ENOMEM, -ENODEV (parent removed), -EAGAIN (max.depth,
 * max.descendants), -EINVAL (name). *cg with a reference. */
int cgroup_mkdir(struct cgroup *parent, const char *name, u32 len, struct cgroup **cg);
/** 0, or -EBUSY while it has processes or children. */
int cgroup_rmdir(struct cgroup *cg);
/** Child by name, with a reference, or NULL. */
struct cgroup *cgroup_child(struct cgroup *cg, const char *name, u32 len);
/** The child after `n` others, with a reference, or NULL: for listings. */
struct cgroup *cgroup_nth_child(struct cgroup *cg, u64 n);

/** The nearest group that `cg` and the group of a process lie in, or NULL: there is no such process. cgroup_lock held,
 * so that it stays true. */
struct cgroup *cgroup_common_ancestor(struct cgroup *cg, int pid);
/** Move a process. 0, -ESRCH, -EBUSY (the group has children with controllers), -ENODEV. */
int cgroup_attach(struct cgroup *cg, int pid);
/** cgroup.subtree_control: memory for the children or not. 0, -EBUSY, -ENOENT, -ENOMEM. */
int cgroup_enable_memory(struct cgroup *cg, bool on);
/** Kill everything in the group and below. */
void cgroup_kill(struct cgroup *cg);
/** The process of the group with the smallest pid >= from, or -1. */
int cgroup_next_pid(struct cgroup *cg, int from);
/** "/a/b" into buf: the path from the root; returns buf. */
const char *cgroup_path(struct cgroup *cg, char *buf, size_t size);
/** "0::/path" of a process. 0 or -ESRCH. */
int report_proc_cgroup(struct report *r, int pid);

/* Life of a process */
/** T held: a new process begins in its parent's group (NULL: the root). */
void cgroup_fork(struct process *p, struct process *parent);
/** Published, not running yet: its memory is charged where it is now. May sleep. */
void cgroup_post_fork(struct process *p, struct mm_struct *mm);
/** T held: its last thread has ended. */
void cgroup_exit(struct process *p);
/** Its struct is freed. */
void cgroup_release(struct process *p);
/** A new address space of the current process: charged to its group. */
void cgroup_attach_mm(struct mm_struct *mm);
#endif
