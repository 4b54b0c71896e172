/*
 * memory.peak and memory.swap.peak: the highest usage of a group, since the group was created, or since a write to the
 * same open file (Linux 6.12). So each open file may measure from another moment.
 *
 * The counter keeps one recent peak for all open files. To restart the measurement of one, the recent peak is first
 * saved in the value of each of the others, and then set to the present usage:
 *
 *   what an open file shows = the larger of its own value and the counter's recent peak
 *
 * Lock: memcg_lock for the list and the values. A charge that runs meanwhile may note its peak before or after.
 */
#include "lib/errno.h"
#include "mm/memcg/memcg.h"
#include "mm/slab/slab.h"

struct memcg_peak {
	struct list_head link;	  /* memcg_lock: memcg->peaks[] */
	struct mem_cgroup *memcg; /* C, with a reference */
	s64 highest;		  /* memcg_lock: pages */
};

static struct page_counter *counter_of(struct mem_cgroup *memcg, enum memcg_peak_of which)
{
	return which == MEMCG_PEAK_SWAP ? &memcg->swap : &memcg->memory;
}

/* memcg_lock held. */
static void begin_anew(struct memcg_peak *peak, struct page_counter *c, struct list_head *all)
{
	s64 usage = (s64)page_counter_read(c), recent = READ_ONCE(c->recent_peak);
	struct memcg_peak *other;

	list_for_each_entry (other, all, link)
		other->highest = max(other->highest, recent);
	WRITE_ONCE(c->recent_peak, usage);
	peak->highest = usage;
}

int mem_cgroup_peak_reset(struct memcg_peak **slot, struct mem_cgroup *memcg,
			  enum memcg_peak_of which)
{
	struct memcg_peak *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL), *old = NULL;
	unsigned long flags;

	if (!fresh)
		return -ENOMEM;
	mem_cgroup_get(memcg);
	fresh->memcg = memcg;
	flags = spin_lock_irqsave(&memcg_lock);
	old = *slot;
	if (old)
		list_del(&old->link);
	begin_anew(fresh, counter_of(memcg, which), &memcg->peaks[which]);
	list_add(&fresh->link, &memcg->peaks[which]);
	WRITE_ONCE(*slot, fresh);
	spin_unlock_irqrestore(&memcg_lock, flags);
	if (old)
		mem_cgroup_put(old->memcg);
	kfree(old);
	return 0;
}

u64 mem_cgroup_peak_read(struct memcg_peak *const *slot, struct mem_cgroup *memcg,
			 enum memcg_peak_of which)
{
	const struct page_counter *c = counter_of(memcg, which);
	unsigned long flags = spin_lock_irqsave(&memcg_lock);
	const struct memcg_peak *peak = *slot;
	s64 highest;

	if (peak && peak->memcg == memcg)
		highest = max(peak->highest, READ_ONCE(c->recent_peak));
	else
		highest = READ_ONCE(c->peak);
	spin_unlock_irqrestore(&memcg_lock, flags);
	return (u64)max(highest, (s64)0);
}

void mem_cgroup_peak_free(struct memcg_peak *peak)
{
	unsigned long flags;

	if (!peak)
		return;
	flags = spin_lock_irqsave(&memcg_lock);
	list_del(&peak->link);
	spin_unlock_irqrestore(&memcg_lock, flags);
	mem_cgroup_put(peak->memcg);
	kfree(peak);
}
