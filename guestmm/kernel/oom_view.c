/* The OOM killer's queries about the process list (mm/reclaim/oom.h). */
#include "mm/reclaim/oom.h"
#include "kernel/cgroup.h"
#include "kernel/cred.h"
#include "kernel/process.h"
#include "lib/string.h"
#include "mm/numa/mempolicy.h"

void oom_current(struct oom_victim *t)
{
	const struct task *me = current;

	t->pid = me->proc ? me->proc->pid : me->pid;
	t->oom_score_adj = me->oom_score_adj;
	ksnprintf(t->comm, sizeof(t->comm), "%s", me->comm);
}

u32 oom_view_uid(const struct process_view *p)
{
	const struct task *t = p->cookie;

	return t->cred ? t->cred->uid : 0;
}

bool oom_view_on_nodes(const struct process_view *p, u32 nodes)
{
	const struct task *t = p->cookie;

	return nodes == ALL_NODES || mempolicy_reaches(t->ti, nodes);
}

static void copy_path(char *buf, size_t size, struct cgroup *cg)
{
	static char path[512]; /* oom_lock */

	ksnprintf(buf, size, "%s", cgroup_path(cg, path, sizeof(path)));
}

void oom_group_paths(int pid, const struct mem_cgroup *top, char *own, char *over, size_t size)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p = find_process(pid);
	struct cgroup *cg = p ? p->cgroup : NULL;

	ksnprintf(own, size, "/");
	ksnprintf(over, size, "/");
	/* The process has a reference on its group, and each group has one on its parent. */
	while (cg && cg->parent && !cg->owns_memcg)
		cg = cg->parent;
	if (cg)
		copy_path(own, size, cg);
	while (cg && cg->parent && !(cg->owns_memcg && cg->memcg == top))
		cg = cg->parent;
	if (cg && top)
		copy_path(over, size, cg);
	spin_unlock_irqrestore(&task_list_lock, flags);
}
