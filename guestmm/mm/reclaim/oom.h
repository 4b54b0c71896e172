/*
 * Out of memory: from inside mm/, and what it asks of the kernel's lists of processes.
 *
 *   oom.c         who is to go, and killing it
 *   oom_report.c  what is printed about it
 *   oom_reaper.c  the thread that takes a victim's memory
 */
#ifndef MM_OOM_H
#define MM_OOM_H
#include "lib/env.h"
#include "mm/phys/gfp.h"

struct mem_cgroup;

/** What there is too little of. */
enum oom_constraint { OOM_NONE, OOM_MEMORY_POLICY, OOM_MEMCG };
struct oom_control {
	gfp_t gfp;
	unsigned int order;
	u32 nodes; /* where the allocation may look, a bit each; ALL_NODES: anywhere */
	struct mem_cgroup *memcg; /* the group that is full; NULL: the machine is */
	enum oom_constraint constraint;
	u64 totalpages;
};

/** A victim has given something back. Whoever looked for memory before that looks again before it kills. */
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
/** Does the process belong to the group (NULL: any)? Under the process list's lock. */
bool oom_in_group(const struct mm_struct *mm, const struct mem_cgroup *top);

/* oom_reaper.c */
/** Start the thread. 0 or -ENOMEM. Before, victims are reaped by whoever kills. */
int oom_reaper_init(void);
/** What the thread does: take the memory of the victim that waits longest. False: there is none. May sleep. */
bool oom_reap_next(void);
/** The victim has been killed: take its memory soon. Takes over the reference on v->mm. oom_lock held. */
void oom_reap(const struct oom_victim *v);
/** The reaper has it, or will: worth waiting for. */
bool oom_reap_pending(const struct mm_struct *mm);
/** The same for any address space of the group (NULL: of all), also where its process has left it. */
bool oom_reap_pending_in(const struct mem_cgroup *memcg);

/** process_mrelease(2): take the memory of an address space none of whose threads returns to user mode. The caller has a
 * reference. May sleep. */
void mm_release_early(struct mm_struct *mm);
/** Nothing is left for the thread to take. A look without a lock. */
bool oom_reaper_idle(void);

/* What the kernel knows (kernel/oom_view.c; tests/host/env.c on the host) */
/** The thread that has no memory: comm, oom_score_adj; pid of its process. mm is not set. */
void oom_current(struct oom_victim *t);
/** Under the process list's lock: the user it belongs to; might its memory be on one of these nodes? */
u32 oom_view_uid(const struct process_view *p);
bool oom_view_on_nodes(const struct process_view *p, u32 nodes);
/** Paths of the victim's group and of `top` above it. "/" when there are none. */
void oom_group_paths(int pid, const struct mem_cgroup *top, char *own, char *over, size_t size);
#endif
