/*
 * Control groups: see cgroup.h.
 *
 * I1  nr_populated of a group is the sum of nr_procs over it and everything below: both change under
 *     task_list_lock. cgroup.events reports when it becomes or stops being 0.
 * I2  A group has processes or children with controllers, not both (the root may): so no process
 *     competes with a group below its own.
 * I3  A group's memcg is its own or that of its parent; its psi is always its own. mm->memcg and mm->psi of a process
 *     are its group's; they are set after the process has moved, so what it allocates or waits for meanwhile may
 *     still go to the old group.
 * I4  A dead group gets no process, no child and no controller. It is freed with its last reference.
 */
#include "kernel/cgroup.h"
#include "kernel/process.h"
#include "kernel/psi.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"
#include "mm/virt/mm.h"

#define NO_LIMIT (~0ull)

static struct mutex lock = MUTEX_INIT(lock);
static u64 next_id = 2; /* lock; the root is 1 */

struct cgroup root_cgroup = {
	.children = LIST_HEAD_INIT(root_cgroup.children),
	.sibling = LIST_HEAD_INIT(root_cgroup.sibling),
	.file_attrs = LIST_HEAD_INIT(root_cgroup.file_attrs),
	.name = "",
	.id = 1,
	.refs = 1,
	.mode = 0555,
	.owns_memcg = true,
	.memcg = &root_mem_cgroup,
	.max_descendants = NO_LIMIT,
	.max_depth = NO_LIMIT,
	.events_wq = WAIT_QUEUE_INIT(root_cgroup.events_wq),
};

void cgroup_lock(void)
{
	mutex_lock(&lock);
}

void cgroup_unlock(void)
{
	mutex_unlock(&lock);
}

void cgroup_get(struct cgroup *cg)
{
	atomic_add(&cg->refs, 1);
}

void cgroup_put(struct cgroup *cg)
{
	while (cg && atomic_dec_and_test(&cg->refs)) {
		struct cgroup *parent = cg->parent;
		struct cgroup_file_attr *attr, *n;

		list_for_each_entry_safe (attr, n, &cg->file_attrs, link)
			kfree(attr);
		mem_cgroup_put(cg->memcg);
		psi_group_put(cg->psi);
		kfree(cg->name);
		kfree(cg);
		cg = parent;
	}
}

/* ---- processes ------------------------------------------------------------------------------- */

/* T held. */
static void count_procs(struct cgroup *cg, int n)
{
	cg->nr_procs += n;
	for (; cg; cg = cg->parent) {
		bool was = cg->nr_populated;

		cg->nr_populated += n;
		if (was != !!cg->nr_populated) {
			atomic_add(&cg->events_seen, 1);
			wake_up(&cg->events_wq);
		}
	}
}

void cgroup_fork(struct process *p, struct process *parent)
{
	p->cgroup = parent ? parent->cgroup : &root_cgroup;
	cgroup_get(p->cgroup);
	count_procs(p->cgroup, 1);
}

void cgroup_exit(struct process *p)
{
	if (p->cgroup)
		count_procs(p->cgroup, -1);
}

void cgroup_release(struct process *p)
{
	cgroup_put(p->cgroup);
}

/* The memory group of a process, with a reference. */
static struct mem_cgroup *process_memcg(struct process *p)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct mem_cgroup *memcg = p && p->cgroup ? p->cgroup->memcg : &root_mem_cgroup;

	mem_cgroup_get(memcg);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return memcg;
}

/* The group that its threads' stalls count in, with a reference. */
static struct psi_group *process_psi(struct process *p)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct psi_group *psi = p && p->cgroup ? p->cgroup->psi : NULL;

	psi_group_get(psi);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return psi;
}

static void sync_psi(struct process *p, struct mm_struct *mm)
{
	struct psi_group *psi;

	if (!READ_ONCE(psi_has_groups))
		return;
	psi = process_psi(p);
	if (psi == mm->psi)
		psi_group_put(psi);
	else
		psi_group_set_mm(mm, psi);
}

static void sync_mm(struct process *p, struct mm_struct *mm)
{
	struct mem_cgroup *memcg;

	sync_psi(p, mm);
	if (!mem_cgroup_enabled())
		return;
	memcg = process_memcg(p);
	if (memcg == (mm->memcg ? mm->memcg : &root_mem_cgroup))
		mem_cgroup_put(memcg);
	else
		mem_cgroup_set_mm(mm, memcg);
}

void cgroup_post_fork(struct process *p, struct mm_struct *mm)
{
	sync_mm(p, mm);
}

void cgroup_attach_mm(struct mm_struct *mm)
{
	if (current_process())
		sync_mm(current_process(), mm);
}

int cgroup_next_pid(struct cgroup *cg, int from)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p;
	int best = -1;

	list_for_each_entry (p, &process_list, all) {
		if (p->cgroup == cg && !p->zombie && p->pid >= from && (best < 0 || p->pid < best))
			best = p->pid;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return best;
}

/* Set mm->memcg of one process to its group's (I3). */
static void sync_process(int pid)
{
	struct mm_struct *mm = process_get_mm(pid);
	unsigned long flags;
	struct process *p;

	if (!mm)
		return;
	flags = spin_lock_irqsave(&task_list_lock);
	p = find_process(pid);
	if (p)
		process_get(p);
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (p) {
		sync_mm(p, mm);
		process_put(p);
	}
	mmput(mm);
}

struct cgroup *cgroup_common_ancestor(struct cgroup *cg, int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p = find_process(pid);
	struct cgroup *from = p && !p->zombie ? p->cgroup : NULL;

	spin_unlock_irqrestore(&task_list_lock, flags);
	for (; from; from = from->parent) {
		for (struct cgroup *c = cg; c; c = c->parent)
			if (c == from)
				return c;
	}
	return NULL;
}

int cgroup_attach(struct cgroup *cg, int pid)
{
	struct cgroup *old = NULL;
	unsigned long flags;
	struct process *p;
	int err = 0;

	if (cg->dead)
		return -ENODEV;
	if (cg != &root_cgroup && cg->memory_for_children)
		return -EBUSY; /* I2 */
	flags = spin_lock_irqsave(&task_list_lock);
	p = find_process(pid);
	if (!p || p->zombie) {
		err = -ESRCH;
	} else if (p->cgroup != cg) {
		old = p->cgroup;
		cgroup_get(cg);
		count_procs(cg, 1);
		p->cgroup = cg;
		count_procs(old, -1);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (old) {
		sync_process(pid);
		cgroup_put(old);
	}
	return err;
}

static void kill_one_group(struct cgroup *cg)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p;

	list_for_each_entry (p, &process_list, all) {
		if (p->cgroup == cg && !p->zombie)
			signal_process(p, SIGKILL, NULL);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
}

/* ---- the tree: cgroup_lock held --------------------------------------------------------------- */

/* The group after `pos` in a walk of the groups below `top`, parents before children. NULL: the walk is over. */
static struct cgroup *next_below(struct cgroup *top, struct cgroup *pos)
{
	if (!list_empty(&pos->children))
		return list_first_entry(&pos->children, struct cgroup, sibling);
	for (; pos != top; pos = pos->parent) {
		if (pos->sibling.next != &pos->parent->children)
			return list_entry(pos->sibling.next, struct cgroup, sibling);
	}
	return NULL;
}

void cgroup_kill(struct cgroup *top)
{
	for (struct cgroup *cg = top; cg; cg = next_below(top, cg))
		kill_one_group(cg);
}

/* Replace the group's memcg. Takes over the reference. */
static void set_memcg(struct cgroup *cg, struct mem_cgroup *memcg)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct mem_cgroup *old = cg->memcg;

	cg->memcg = memcg;
	spin_unlock_irqrestore(&task_list_lock, flags);
	mem_cgroup_put(old);
}

/* The memcg of `top` has changed. Groups below that have none of their own share it, so theirs change, too. */
static void spread_memcg(struct cgroup *top)
{
	for (struct cgroup *cg = top; cg; cg = next_below(top, cg)) {
		if (cg != top && !cg->owns_memcg && cg->memcg != cg->parent->memcg) {
			mem_cgroup_get(cg->parent->memcg);
			set_memcg(cg, cg->parent->memcg);
		}
		for (int pid = cgroup_next_pid(cg, 0); pid >= 0; pid = cgroup_next_pid(cg, pid + 1))
			sync_process(pid);
	}
}

/* Give the group its own memcg. */
static int own_memcg(struct cgroup *cg)
{
	struct mem_cgroup *memcg = mem_cgroup_create(cg->parent->memcg);

	if (IS_ERR(memcg))
		return PTR_ERR(memcg);
	memcg->ino = cgroup_ino(cg);
	mem_cgroup_get(memcg); /* one for cg->memcg, one that mem_cgroup_offline() drops */
	cg->owns_memcg = true;
	set_memcg(cg, memcg);
	spread_memcg(cg);
	return 0;
}

static void disown_memcg(struct cgroup *cg)
{
	struct mem_cgroup *memcg = cg->memcg;

	cg->owns_memcg = false;
	mem_cgroup_get(cg->parent->memcg);
	mem_cgroup_get(memcg);
	set_memcg(cg, cg->parent->memcg);
	spread_memcg(cg);
	mem_cgroup_offline(memcg);
	mem_cgroup_put(memcg);
}

int cgroup_enable_memory(struct cgroup *cg, bool on)
{
	struct cgroup *child;
	int err = 0;

	if (cg->dead)
		return -ENODEV;
	if (cg->memory_for_children == on)
		return 0;
	if (on && cg != &root_cgroup && !cg->owns_memcg)
		return -ENOENT; /* not in cgroup.controllers */
	if (on && cg != &root_cgroup && cg->nr_procs)
		return -EBUSY; /* I2 */
	if (!on) {
		list_for_each_entry (child, &cg->children, sibling) {
			if (child->memory_for_children)
				return -EBUSY;
		}
	}
	list_for_each_entry (child, &cg->children, sibling) {
		if (on)
			err = own_memcg(child);
		else
			disown_memcg(child);
		if (err)
			break;
	}
	if (err) {
		list_for_each_entry (child, &cg->children, sibling) {
			if (child->owns_memcg)
				disown_memcg(child);
		}
		return err;
	}
	cg->memory_for_children = on;
	return 0;
}

struct cgroup *cgroup_child(struct cgroup *cg, const char *name, u32 len)
{
	struct cgroup *child;

	list_for_each_entry (child, &cg->children, sibling) {
		if (strlen(child->name) == len && !memcmp(child->name, name, len)) {
			cgroup_get(child);
			return child;
		}
	}
	return NULL;
}

struct cgroup *cgroup_nth_child(struct cgroup *cg, u64 n)
{
	struct cgroup *child;

	list_for_each_entry (child, &cg->children, sibling) {
		if (!n--) {
			cgroup_get(child);
			return child;
		}
	}
	return NULL;
}

/* Do cgroup.max.depth and cgroup.max.descendants of the parent and its ancestors allow one more group? */
static bool may_have_child(const struct cgroup *parent)
{
	u64 depth = 1;

	for (; parent; parent = parent->parent, depth++) {
		if (parent->nr_descendants >= parent->max_descendants || depth > parent->max_depth)
			return false;
	}
	return true;
}

int cgroup_mkdir(struct cgroup *parent, const char *name, u32 len, struct cgroup **result)
{
	struct cgroup *cg;
	int err;

	if (parent->dead)
		return -ENODEV;
	if (!may_have_child(parent))
		return -EAGAIN;
	for (u32 i = 0; i < len; i++) {
		if (name[i] == '\n')
			return -EINVAL;
	}
	cg = kzalloc(sizeof(*cg), GFP_KERNEL);
	if (!cg)
		return -ENOMEM;
	cg->name = kmalloc(len + 1, GFP_KERNEL);
	cg->psi = psi_group_create(parent->psi);
	if (!cg->name || IS_ERR(cg->psi)) {
		if (!IS_ERR(cg->psi))
			psi_group_put(cg->psi);
		kfree(cg->name);
		kfree(cg);
		return -ENOMEM;
	}
	memcpy(cg->name, name, len);
	cg->name[len] = 0;
	INIT_LIST_HEAD(&cg->children);
	INIT_LIST_HEAD(&cg->file_attrs);
	wait_queue_init(&cg->events_wq);
	cg->id = next_id++;
	cg->refs = 2; /* the tree's and the caller's */
	cg->mode = 0755;
	cg->max_descendants = cg->max_depth = NO_LIMIT;
	cg->parent = parent;
	cgroup_get(parent);
	mem_cgroup_get(parent->memcg);
	cg->memcg = parent->memcg;
	if (parent->memory_for_children) {
		err = own_memcg(cg);
		if (err) {
			cg->refs = 1;
			cgroup_put(cg);
			return err;
		}
	}
	list_add_tail(&cg->sibling, &parent->children);
	for (struct cgroup *c = parent; c; c = c->parent)
		c->nr_descendants++;
	*result = cg;
	return 0;
}

int cgroup_rmdir(struct cgroup *cg)
{
	if (cg == &root_cgroup)
		return -EBUSY;
	if (cg->dead)
		return -ENOENT;
	if (cg->nr_procs || !list_empty(&cg->children))
		return -EBUSY;
	cg->dead = true;
	list_del(&cg->sibling);
	for (struct cgroup *c = cg->parent; c; c = c->parent)
		c->nr_descendants--;
	if (cg->owns_memcg)
		disown_memcg(cg);
	atomic_add(&cg->events_seen, 1);
	wake_up(&cg->events_wq);
	cgroup_put(cg);
	return 0;
}

/* ---- names ------------------------------------------------------------------------------------ */

const char *cgroup_path(struct cgroup *cg, char *buf, size_t size)
{
	char *end = buf + size - 1;
	bool dead = cg->dead;

	*end = 0;
	if (dead) {
		static const char mark[] = " (deleted)";

		end -= sizeof(mark) - 1;
		memcpy(end, mark, sizeof(mark) - 1);
	}
	if (!cg->parent)
		*--end = '/';
	for (; cg->parent; cg = cg->parent) {
		size_t len = strlen(cg->name);

		if ((size_t)(end - buf) < len + 1)
			break;
		end -= len;
		memcpy(end, cg->name, len);
		*--end = '/';
	}
	return memmove(buf, end, buf + size - end);
}

int report_proc_cgroup(struct report *r, int pid)
{
	char path[512];
	unsigned long flags;
	struct cgroup *cg = NULL;
	struct process *p;

	flags = spin_lock_irqsave(&task_list_lock);
	p = find_process(pid);
	if (p) {
		cg = p->cgroup;
		cgroup_get(cg);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!cg)
		return -ESRCH;
	report_printf(r, "0::%s\n", cgroup_path(cg, path, sizeof(path)));
	cgroup_put(cg);
	return 0;
}
