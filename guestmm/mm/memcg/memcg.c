/*
 * Memory cgroups: the groups themselves. The rules are in memcg.h.
 *
 *   root ── A ── B          ids[64] ──> leaf of 512 pointers each, made when the first id in it is used
 *        └─ C (offline)
 *
 * I1  An id names its group from mem_cgroup_create() until the last reference is dropped. A caller
 *     that holds a charged page, a charged slot or a reference may look it up without a lock.
 * I2  A group holds a reference on its parent, so an ancestor outlives its descendants.
 * I3  mm->memcg is NULL (the root) or holds a reference. Only mem_cgroup_set_mm() changes it. Before it
 *     drops the old group it waits until every CPU has passed a point with preemption on, so a reader
 *     needs only to switch preemption off.
 */
#include "mm/memcg/memcg.h"
#include "arch/thread_info.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/reclaim/lru.h"
#include "mm/slab/slab.h"
#include "mm/swap/swapcache.h"
#include "mmvm/audit.h"

#define IDS_PER_LEAF 512u
#define ID_LEAVES    64u
#define MAX_MEMCGS   (IDS_PER_LEAF * ID_LEAVES)

struct mem_cgroup root_mem_cgroup = {
	.ino = 1 << 8, /* cgroup_ino() of the root, id 1 */
	.refs = 1,
	.children = LIST_HEAD_INIT(root_mem_cgroup.children),
	.sibling = LIST_HEAD_INIT(root_mem_cgroup.sibling),
	.memory = {.max = PAGE_COUNTER_MAX, .high = PAGE_COUNTER_MAX},
	.swap = {.max = PAGE_COUNTER_MAX, .high = PAGE_COUNTER_MAX},
	.zswap_max = PAGE_COUNTER_MAX,
	.events_wq = WAIT_QUEUE_INIT(root_mem_cgroup.events_wq),
	.peaks = {LIST_HEAD_INIT(root_mem_cgroup.peaks[MEMCG_PEAK_MEMORY]),
		  LIST_HEAD_INIT(root_mem_cgroup.peaks[MEMCG_PEAK_SWAP])},
};
spinlock_t memcg_lock = SPINLOCK_INIT;
u32 memcg_in_use;
static struct mem_cgroup **ids[ID_LEAVES]; /* memcg_lock to change */
static u32 next_id = 1;			   /* memcg_lock */
static LIST_HEAD(dead_groups);		   /* memcg_lock */
static struct wait_queue reaper_wq = WAIT_QUEUE_INIT(reaper_wq);

bool memcg_disabled;

__init void mem_cgroup_boot_options(const char *cmdline,
				    bool (*get)(const char *cmdline, const char *name, char *buf,
						size_t size))
{
	char value[64];

	if (!get(cmdline, "cgroup_disable", value, sizeof(value)))
		return;
	for (char *word = value, *end; *word; word = end) {
		bool more;

		for (end = word; *end && *end != ',';)
			end++;
		more = *end;
		*end = 0;
		if (!strcmp(word, "memory")) {
			memcg_disabled = true;
			printk("Disabling memory control group subsystem\n");
		} else if (*word) {
			printk("cgroup_disable=%s: no such controller, ignored\n", word);
		}
		end += more;
	}
}

struct mem_cgroup *mem_cgroup_from_id(u16 id)
{
	return id ? ids[id / IDS_PER_LEAF][id % IDS_PER_LEAF] : &root_mem_cgroup;
}

struct lruvec *mem_cgroup_page_lruvec(const struct page *page)
{
	return mem_cgroup_from_id(READ_ONCE(page->memcg_id))->lruvec[page_node_id(page)];
}

struct mem_cgroup *mem_cgroup_of(const struct page *page)
{
	return test_bit(PG_charged, &page->flags) ? mem_cgroup_from_id(READ_ONCE(page->memcg_id))
						  : &root_mem_cgroup;
}

u64 mem_cgroup_frame_ino(const struct page *page)
{
	const struct mem_cgroup *memcg;
	unsigned long flags;
	u64 ino = 0;

	if (memcg_disabled)
		return 0;
	if (!test_bit(PG_charged, &page->flags))
		return page->type == PAGE_ANON || page->type == PAGE_FILE ||
				       page->type == PAGE_SHMEM
			       ? root_mem_cgroup.ino
			       : 0;
	flags = spin_lock_irqsave(&memcg_lock);
	/* The page may be freed meanwhile. A group that is still in `ids` cannot be freed while we hold the lock. */
	memcg = mem_cgroup_from_id(READ_ONCE(page->memcg_id));
	while (memcg && memcg->offline)
		memcg = memcg->parent;
	if (memcg)
		ino = memcg->ino;
	spin_unlock_irqrestore(&memcg_lock, flags);
	return ino;
}

/* Find a free id whose leaf exists; 0: there is none. *leaf: the first leaf that does not exist, or ID_LEAVES.
 * memcg_lock held. */
static u32 find_id(u32 *leaf)
{
	*leaf = ID_LEAVES;
	for (u32 i = 0; i < MAX_MEMCGS; i++) {
		u32 id = (next_id + i) % MAX_MEMCGS;

		if (!ids[id / IDS_PER_LEAF]) {
			if (*leaf == ID_LEAVES)
				*leaf = id / IDS_PER_LEAF;
			i += IDS_PER_LEAF - id % IDS_PER_LEAF - 1;
			continue;
		}
		if (id && !ids[id / IDS_PER_LEAF][id % IDS_PER_LEAF])
			return id;
	}
	return 0;
}

/* Give the group an id, and link it to its parent. 0, -ENOMEM, -ENOSPC. */
static int assign_id(struct mem_cgroup *memcg)
{
	struct mem_cgroup **fresh = NULL;
	unsigned long flags;
	u32 id, leaf;

	for (;;) {
		flags = spin_lock_irqsave(&memcg_lock);
		id = find_id(&leaf);
		if (!id && leaf < ID_LEAVES && fresh) {
			ids[leaf] = fresh;
			fresh = NULL;
			id = find_id(&leaf);
		}
		if (id) {
			memcg->id = id;
			next_id = id + 1;
			ids[id / IDS_PER_LEAF][id % IDS_PER_LEAF] = memcg;
			list_add_tail(&memcg->sibling, &memcg->parent->children);
		}
		spin_unlock_irqrestore(&memcg_lock, flags);
		if (id || leaf == ID_LEAVES)
			break;
		fresh = kzalloc(IDS_PER_LEAF * sizeof(*fresh), GFP_KERNEL);
		if (!fresh)
			return -ENOMEM;
	}
	kfree(fresh);
	return id ? 0 : -ENOSPC;
}

static void forget_id(struct mem_cgroup *memcg)
{
	unsigned long flags = spin_lock_irqsave(&memcg_lock);

	ids[memcg->id / IDS_PER_LEAF][memcg->id % IDS_PER_LEAF] = NULL;
	list_del(&memcg->sibling);
	spin_unlock_irqrestore(&memcg_lock, flags);
}

static void free_lruvecs(struct mem_cgroup *memcg)
{
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		kfree(memcg->lruvec[i]);
		memcg->lruvec[i] = NULL;
	}
}

/* Create an lruvec for each present node. 0, -ENOMEM, or -ENOSPC: no lruvec id is free. */
static int make_lruvecs(struct mem_cgroup *memcg)
{
	int err = 0;

	for (unsigned int i = 0; i < MMVM_MAX_NODES && !err; i++) {
		if (!node_data[i].present)
			continue;
		err = -ENOMEM;
		memcg->lruvec[i] = kmalloc(sizeof(struct lruvec), GFP_KERNEL);
		if (memcg->lruvec[i])
			err = lruvec_init(memcg->lruvec[i], &node_data[i], memcg->id);
		if (err) {
			kfree(memcg->lruvec[i]);
			memcg->lruvec[i] = NULL;
		}
	}
	if (!err)
		return 0;
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++)
		if (memcg->lruvec[i])
			lruvec_destroy(memcg->lruvec[i]);
	synchronize_cpus();
	free_lruvecs(memcg);
	return err;
}

static int reaper(void *arg);

/* Start the thread that frees groups, when the first group is created. 0 or -ENOMEM. */
static int start_reaper(void)
{
	static bool started;
	int err;

	if (atomic_xchg(&started, true))
		return 0;
	err = kthread_run(reaper, NULL, "memcg_reaper");
	if (err)
		atomic_store(&started, false);
	return err;
}

struct mem_cgroup *mem_cgroup_create(struct mem_cgroup *parent)
{
	struct mem_cgroup *memcg = kzalloc(sizeof(*memcg), GFP_KERNEL);
	int err;

	if (!memcg)
		return ERR_PTR(-ENOMEM);
	memcg->refs = 1;
	memcg->parent = parent;
	INIT_LIST_HEAD(&memcg->children);
	wait_queue_init(&memcg->events_wq);
	for (unsigned int i = 0; i < NR_MEMCG_PEAKS; i++)
		INIT_LIST_HEAD(&memcg->peaks[i]);
	list_lrus_init(memcg->slab_lru);
	page_counter_init(&memcg->memory, &parent->memory);
	page_counter_init(&memcg->swap, &parent->swap);
	memcg->zswap_max = PAGE_COUNTER_MAX;
	slab_account_begin();
	err = start_reaper();
	if (!err)
		err = swap_memcg_prepare();
	if (!err)
		err = assign_id(memcg);
	if (err)
		goto free;
	err = make_lruvecs(memcg);
	if (err)
		goto forget;
	mem_cgroup_get(parent);
	atomic_add(&memcg_in_use, 1);
	return memcg;
forget:
	forget_id(memcg);
free:
	kfree(memcg);
	return ERR_PTR(err);
}

/* The last reference was dropped, so nothing is charged to the group. The reaper frees it, because the caller may hold
 * any lock or be in an interrupt, and workingset.c may still be reading its lruvecs. */
static void bury(struct mem_cgroup *memcg)
{
	unsigned long flags = spin_lock_irqsave(&memcg_lock);

	list_add_tail(&memcg->dead, &dead_groups);
	spin_unlock_irqrestore(&memcg_lock, flags);
	wake_up(&reaper_wq);
}

static void pass_on_workingset(const struct mem_cgroup *from, const struct mem_cgroup *to)
{
	for (unsigned int n = 0; n < MMVM_MAX_NODES; n++) {
		const struct lruvec *lv = from->lruvec[n];

		for (unsigned int i = 0; lv && i < NR_WORKINGSET_ITEMS; i++)
			atomic_add(&mem_cgroup_lruvec(to, lv->node)->workingset[i],
				   lv->workingset[i]);
	}
}

void mem_cgroup_free_dead(void)
{
	struct mem_cgroup *memcg, *n;
	unsigned long flags;
	LIST_HEAD(dead);

	flags = spin_lock_irqsave(&memcg_lock);
	list_splice_init(&dead_groups, &dead);
	spin_unlock_irqrestore(&memcg_lock, flags);
	if (list_empty(&dead))
		return;
	list_for_each_entry (memcg, &dead, dead) {
		for (unsigned int i = 0; i < MMVM_MAX_NODES; i++)
			if (memcg->lruvec[i])
				lruvec_destroy(memcg->lruvec[i]);
	}
	synchronize_cpus();
	list_for_each_entry_safe (memcg, n, &dead, dead) {
		struct mem_cgroup *parent = memcg->parent;

		/* Events must not vanish from the ancestors' sums: the parent takes them over. */
		for (unsigned int i = 0; i < NR_VM_EVENT_ITEMS; i++)
			atomic_add(&parent->event[i], memcg->event[i]);
		pass_on_workingset(memcg, parent);
		forget_id(memcg);
		free_lruvecs(memcg);
		kfree(memcg);
		mem_cgroup_put(parent);
	}
}

static int reaper(void *arg)
{
	for (;;) {
		wait_event(&reaper_wq, !list_empty(&dead_groups));
		mem_cgroup_free_dead();
	}
	return 0;
}

void mem_cgroup_put_many(struct mem_cgroup *memcg, s64 n)
{
	if (!mem_cgroup_is_root(memcg) && !atomic_sub_return(&memcg->refs, n))
		bury(memcg);
}

void mem_cgroup_offline(struct mem_cgroup *memcg)
{
	unsigned long flags = spin_lock_irqsave(&memcg_lock);

	VM_BUG_ON(memcg->parent->offline);
	memcg->offline = true;
	/* The memory of a removed group is not protected. */
	memcg->memory.min = memcg->memory.low = 0;
	mem_cgroup_protection_changed();
	spin_unlock_irqrestore(&memcg_lock, flags);
	/* A CPU's batch may hold pages of processes that have ended; without this, it might hold them for ever. */
	lru_add_drain_all();
	list_lru_reparent(memcg);
	slab_account_reparent(memcg, memcg->parent);
	mem_cgroup_put(memcg);
}

struct mem_cgroup *mem_cgroup_get_from_mm(struct mm_struct *mm)
{
	struct mem_cgroup *memcg = NULL;

	if (mm) {
		preempt_disable();
		memcg = READ_ONCE(mm->memcg);
		if (memcg)
			mem_cgroup_get(memcg);
		preempt_enable();
	}
	return memcg ? memcg : &root_mem_cgroup;
}

void mem_cgroup_set_mm(struct mm_struct *mm, struct mem_cgroup *memcg)
{
	struct mem_cgroup *old;

	if (mem_cgroup_is_root(memcg))
		memcg = NULL;
	old = atomic_xchg(&mm->memcg, memcg);
	if (!old)
		return;
	synchronize_cpus(); /* I3 */
	mem_cgroup_put(old);
}

void mem_cgroup_init_mm(struct mm_struct *mm)
{
	struct mem_cgroup *memcg;

	if (!mem_cgroup_enabled())
		return;
	memcg = mem_cgroup_get_from_mm(current_thread_info()->mm);
	mm->memcg = mem_cgroup_is_root(memcg) ? NULL : memcg;
}

void mem_cgroup_exit_mm(struct mm_struct *mm)
{
	if (mm->memcg)
		mem_cgroup_put(mm->memcg);
	mm->memcg = NULL;
}

u32 mem_cgroup_nr_offline(struct mem_cgroup *top)
{
	u32 n = 0;

	for (struct mem_cgroup *m = mem_cgroup_iter(top, NULL); m; m = mem_cgroup_iter(top, m))
		n += READ_ONCE(m->offline);
	return n;
}

bool mem_cgroup_is_descendant(const struct mem_cgroup *memcg, const struct mem_cgroup *top)
{
	for (; memcg; memcg = memcg->parent) {
		if (memcg == top)
			return true;
	}
	return false;
}

/* The next group of the walk: first a parent, then its children, then its next sibling. memcg_lock held. */
static struct mem_cgroup *next_group(struct mem_cgroup *top, struct mem_cgroup *pos)
{
	if (!list_empty(&pos->children))
		return list_first_entry(&pos->children, struct mem_cgroup, sibling);
	while (pos != top) {
		if (pos->sibling.next != &pos->parent->children)
			return list_entry(pos->sibling.next, struct mem_cgroup, sibling);
		pos = pos->parent;
	}
	return NULL;
}

/* Take a reference, unless the group has none: such a group is about to be freed, but is still in the tree. */
static bool tryget(struct mem_cgroup *memcg)
{
	s64 refs = atomic_load(&memcg->refs);

	if (mem_cgroup_is_root(memcg))
		return true;
	while (refs > 0) {
		s64 seen = atomic_cmpxchg(&memcg->refs, refs, refs + 1);

		if (seen == refs)
			return true;
		refs = seen;
	}
	return false;
}

struct mem_cgroup *mem_cgroup_iter(struct mem_cgroup *top, struct mem_cgroup *prev)
{
	struct mem_cgroup *next = top;
	unsigned long flags;

	if (!prev && !mem_cgroup_enabled())
		return top;
	flags = spin_lock_irqsave(&memcg_lock);
	next = prev ? next_group(top, prev) : top;
	while (next && !tryget(next))
		next = next_group(top, next);
	spin_unlock_irqrestore(&memcg_lock, flags);
	if (prev)
		mem_cgroup_put(prev);
	return next;
}

void mem_cgroup_iter_break(struct mem_cgroup *pos)
{
	mem_cgroup_put(pos);
}

void mem_cgroup_audit_layout(struct mmvm_audit_memcg_layout *l)
{
	*l = (struct mmvm_audit_memcg_layout){
		.root_gva = (unsigned long)&root_mem_cgroup,
		.ids_gva = (unsigned long)ids,
		.nr_leaves = ID_LEAVES,
		.ids_per_leaf = IDS_PER_LEAF,
		.id_offset = offsetof(struct mem_cgroup, id),
		.parent_offset = offsetof(struct mem_cgroup, parent),
		.usage_offset = offsetof(struct mem_cgroup, memory.usage),
		.kernel_offset = offsetof(struct mem_cgroup, kernel_pages),
		.zswap_offset = offsetof(struct mem_cgroup, zswap_bytes),
		.obj_offset = offsetof(struct mem_cgroup, obj_bytes),
		.stat_offset = offsetof(struct mem_cgroup, stat),
		.slab_offset = offsetof(struct mem_cgroup, slab_bytes),
		.settings_gva = mem_cgroup_settings_gva(),
		.settled_usage_offset = offsetof(struct mem_cgroup, settled_usage),
		.settled_as_of_offset = offsetof(struct mem_cgroup, settled_as_of),
		.min_offset = offsetof(struct mem_cgroup, memory.min),
		.low_offset = offsetof(struct mem_cgroup, memory.low),
		.effective_min_offset = offsetof(struct mem_cgroup, memory.effective_min),
		.effective_low_offset = offsetof(struct mem_cgroup, memory.effective_low),
	};
}
