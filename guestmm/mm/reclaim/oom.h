/*
 * Out of memory: the interface within mm/, and what the OOM killer needs from the kernel's process list.
 *
 *   oom.c         which process is killed, and killing it
 *   oom_report.c  what is printed about it
 *   oom_reaper.c  the thread that frees a victim's memory
 */
#ifndef MM_OOM_H
#define MM_OOM_H
#include "lib/env.h"
#include "mm/phys/gfp.h"

struct mem_cgroup;

/** Which limit has run out of memory: the machine, the nodes of a policy, or a group. */
enum oom_constraint { OOM_NONE, OOM_MEMORY_POLICY, OOM_MEMCG };
struct oom_control {
	gfp_t gfp;
	unsigned int order;
	u32 nodes; /* where the allocation may look, a bit each; ALL_NODES: anywhere */
	struct mem_cgroup *memcg; /* the group that is full; NULL: the machine is */
	enum oom_constraint constraint;
	u64 totalpages;
};

/** A victim has freed memory. A thread that looked for memory before that looks again before it kills. */
void oom_memory_freed(void);

/** As out_of_memory() (reclaim.h), for an allocation that may only look at these nodes. */
bool out_of_memory_on(u32 nodes, gfp_t gfp, unsigned int order);

/* vm.panic_on_oom (1: not where a group, policy or node is the reason; 2: always), and so on. */
extern int sysctl_panic_on_oom, sysctl_oom_kill_allocating_task, sysctl_oom_dump_tasks;

struct oom_victim {
	int pid; /* 0: none */
	int oom_score_adj;
	u32 uid;
	char comm[16];
	struct mm_struct *mm; /* with a reference, once it is chosen */
};

/* oom_report.c */
/** "X invoked oom-killer", memory, tasks if wanted, and with a victim "oom-kill:constraint=". */
void oom_report(const struct oom_control *oc, const struct oom_victim *v);
/** GFP flags by name, as in "GFP_KERNEL|__GFP_ZERO". */
void gfp_to_text(char *buf, size_t size, gfp_t gfp);
/** Does the process belong to the group (NULL: any)? The process list's lock is held. */
bool oom_in_group(const struct mm_struct *mm, const struct mem_cgroup *top);

/* oom_reaper.c */
/** Start the thread. 0 or -ENOMEM. Before that, the thread that kills also reaps. */
int oom_reaper_init(void);
/** The thread's work: free the memory of the victim that has waited longest. False: no victim waits. May sleep. */
bool oom_reap_next(void);
/** Queue a killed victim, so that the thread frees its memory soon. Takes over the reference on v->mm. oom_lock
 * held. */
void oom_reap(const struct oom_victim *v);
/** Is the mm queued or being reaped? Then it is worth waiting. */
bool oom_reap_pending(const struct mm_struct *mm);
/** The same for any address space of the group (NULL: of all), also one whose process has exited. */
bool oom_reap_pending_in(const struct mem_cgroup *memcg);
/** ktime at which the thread began to reap or free its present mm, whose process may have ended already. 0: it is
 * idle. */
u64 oom_reaper_since(void);

/** process_mrelease(2): free the memory of an address space none of whose threads returns to user mode. The caller
 * holds a reference. May sleep. */
void mm_release_early(struct mm_struct *mm);
/** Is no mm left for the thread? Read without a lock, so the answer may be stale. */
bool oom_reaper_idle(void);

/* Provided by the kernel (kernel/oom_view.c; tests/host/env.c on the host) */
/** The allocating thread: comm, oom_score_adj; pid of its process. mm is not set. */
void oom_current(struct oom_victim *t);
/** The user that the process belongs to; and whether its memory may be on one of these nodes. The process list's
 * lock is held. */
u32 oom_view_uid(const struct process_view *p);
bool oom_view_on_nodes(const struct process_view *p, u32 nodes);
/** Paths of the victim's group and of `top` above it. "/" when there are none. */
void oom_group_paths(int pid, const struct mem_cgroup *top, char *own, char *over, size_t size);
#endif
