/*
 * Changing the reclaim policy while the machine runs.
 *
 * Locks: policy_mutex > memcg_lock (in next_lruvec), lruvec->lock.
 */
#include "lib/env.h"
#include "mm/memcg/memcg.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/policy.h"

static struct mutex policy_mutex = MUTEX_INIT(policy_mutex);

/* Move all pages of the lruvec to the lists of another policy, also pages that are about to be freed: whoever frees
 * them takes them off a list. It is done in one step with interrupts off, because half way a page's list number
 * would be ambiguous. */
static void lruvec_set_policy(struct lruvec *lv, const struct reclaim_policy *policy, u32 row)
{
	const struct reclaim_policy *old = lv->policy;
	unsigned long flags = spin_lock_irqsave(&lv->lock);
	struct lru_delta d = {0};
	struct page *page, *next;
	LIST_HEAD(pages);

	for (unsigned int l = 1; l <= old->nr_lists; l++) {
		/* Oldest page first, which keeps the order within a list. */
		while (!list_empty(&lv->list[l])) {
			page = list_last_entry(&lv->list[l], struct page, lru);
			lruvec_del_page(lv, page, &d);
			list_add(&page->lru, &pages);
		}
	}
	lru_delta_flush(lv, &d);
	lv->policy = policy;
	lv->policy_index = row;
	policy->init(lv);
	for (page = list_last_entry(&pages, struct page, lru); &page->lru != &pages; page = next) {
		next = list_last_entry(&page->lru, struct page, lru);
		list_del(&page->lru);
		atomic_and(&page->flags, ~(PAGE_POLICY_MASK << PAGE_POLICY_SHIFT));
		lruvec_add_page(lv, page, policy->place(lv, page), &d);
	}
	lru_delta_flush(lv, &d);
	spin_unlock_irqrestore(&lv->lock, flags);
}

int reclaim_policy_set(const char *name)
{
	int row = reclaim_policy_row(name);

	if (row < 0)
		return row;
	mutex_lock(&policy_mutex);
	WRITE_ONCE(reclaim_policy, reclaim_policies[row]); /* for groups that are made meanwhile */
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		if (!node_data[i].present)
			continue;
		for (struct lruvec *lv = NULL; (lv = next_lruvec(&node_data[i], NULL, lv));)
			if (lv->policy != reclaim_policies[row])
				lruvec_set_policy(lv, reclaim_policies[row], row);
	}
	mutex_unlock(&policy_mutex);
	return 0;
}
