/*
 * Making and finding lruvecs, and the table of policies.
 *
 * Each node has one of the root cgroup; mm/memcg makes one per group and node with lruvec_init().
 * Whatever walks them (reclaim, the host's audit) uses next_lruvec() or lruvec_list.
 *
 * Locks: lruvec_list_lock, the innermost: for lruvec_list and lruvec_table.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/memcg/memcg.h"
#include "mm/reclaim/lru.h"

/* All policies; each is a file policy_NAME.c. The first is the default. */
#define POLICIES(X) \
	X(twolist)  \
	X(s3fifo)   \
	X(mglru)

#define DECLARE(name) extern const struct reclaim_policy policy_##name;
#define ROW(name)     &policy_##name,
POLICIES(DECLARE)
const struct reclaim_policy *const reclaim_policies[] = {POLICIES(ROW) NULL};
_Static_assert(ARRAY_SIZE(reclaim_policies) - 1 <= LRU_MAX_POLICIES, "rows as the host reads them");

const struct reclaim_policy *reclaim_policy = &policy_twolist;
struct lruvec root_lruvec[MMVM_MAX_NODES];
struct list_head lruvec_list = LIST_HEAD_INIT(lruvec_list);
struct lruvec *lruvec_table[MAX_LRUVECS];
static spinlock_t lruvec_list_lock = SPINLOCK_INIT;

int reclaim_policy_row(const char *name)
{
	for (int i = 0; reclaim_policies[i]; i++)
		if (!strcmp(reclaim_policies[i]->name, name))
			return i;
	return -EINVAL;
}

int lruvec_init(struct lruvec *lv, pg_data_t *node, u64 memcg)
{
	unsigned long flags;
	int err = -ENOSPC;

	memset(lv, 0, sizeof(*lv));
	spin_lock_init(&lv->lock);
	lv->node = node;
	lv->memcg = memcg;
	lv->policy = reclaim_policy;
	lv->policy_index = (u32)reclaim_policy_row(reclaim_policy->name);
	for (unsigned int l = 0; l < LRU_MAX_LISTS; l++)
		INIT_LIST_HEAD(&lv->list[l]);
	lv->policy->init(lv);

	flags = spin_lock_irqsave(&lruvec_list_lock);
	for (u32 id = 0; id < MAX_LRUVECS; id++) {
		if (lruvec_table[id])
			continue;
		lv->id = id;
		lruvec_table[id] = lv;
		list_add_tail(&lv->link, &lruvec_list);
		err = 0;
		break;
	}
	spin_unlock_irqrestore(&lruvec_list_lock, flags);
	return err;
}

void lruvec_destroy(struct lruvec *lv)
{
	unsigned long flags = spin_lock_irqsave(&lruvec_list_lock);

	list_del(&lv->link);
	WRITE_ONCE(lruvec_table[lv->id], NULL);
	spin_unlock_irqrestore(&lruvec_list_lock, flags);
}

void lruvecs_init(const char *policy)
{
	int row = policy ? reclaim_policy_row(policy) : 0;

	if (row < 0) {
		printk("reclaim_policy=%s: no such policy, %s it is\n", policy,
		       reclaim_policies[0]->name);
		row = 0;
	}
	reclaim_policy = reclaim_policies[row];
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++)
		if (node_data[i].present && lruvec_init(&root_lruvec[i], &node_data[i], 0))
			panic("no id for a node's lruvec");
}

u64 lruvec_level(const struct lruvec *lv, enum zone_stat_item level)
{
	u64 sum = 0;

	if (level == NR_UNEVICTABLE)
		return lv->nr[LRU_UNEVICTABLE];
	for (unsigned int l = 0; l < lv->policy->nr_lists; l++)
		if (lv->policy->lists[l].level == level)
			sum += lv->nr[l + 1];
	return sum;
}

struct lruvec *next_lruvec(pg_data_t *node, struct mem_cgroup *target, struct lruvec *prev)
{
	struct mem_cgroup *top = target ? target : &root_mem_cgroup, *m;

	if (likely(!mem_cgroup_enabled()))
		return prev ? NULL : &root_lruvec[node->id];
	m = mem_cgroup_iter(top, prev ? mem_cgroup_from_id(prev->memcg) : NULL);
	return m ? mem_cgroup_lruvec(m, node) : NULL;
}

u64 node_lru_level(const pg_data_t *node, enum zone_stat_item level)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < MAX_NR_ZONES; i++)
		if (node->zones[i].managed)
			sum += max(zone_stat(&node->zones[i], level), (s64)0);
	return sum;
}
