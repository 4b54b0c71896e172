/*
 * Shadows of evicted pages, and the memory they cost.
 *
 * Each takes eight bytes in a tree node that could otherwise be freed. Without a limit, a large file that was read
 * once would keep a node for every 64 of its pages for ever. So when there are more nodes than the cache's pages
 * account for, the shrinker removes shadows, a few at a time, from the mapping that has had shadows for longest.
 *
 * I1  A mapping with shadows is on `mappings`.
 *
 * Locks: mapping->lock > shadow_lock. The shrinker takes them in reverse order, so it only tries mapping->lock.
 */
#include "mm/cache/filemap.h"
#include "mm/memcg/memcg.h"
#include "mm/slab/slab.h"

#define SCAN_ITEMS 1024u /* looked at with interrupts off */

s64 nr_shadows;
static spinlock_t shadow_lock = SPINLOCK_INIT;
static LIST_HEAD(mappings);  /* shadow_lock; by shadow_list */
static unsigned long cursor; /* shadow_lock: where the first mapping is looked at next */

bool shadow_wanted(struct address_space *mapping)
{
	if (unlikely(list_empty(&mapping->shadow_list))) {
		spin_lock(&shadow_lock);
		list_add_tail(&mapping->shadow_list, &mappings);
		spin_unlock(&shadow_lock);
	}
	atomic_add(&nr_shadows, 1);
	return true;
}

void shadows_forget(struct address_space *mapping)
{
	unsigned long flags;

	if (list_empty(&mapping->shadow_list))
		return;
	flags = spin_lock_irqsave(&shadow_lock);
	if (mappings.next == &mapping->shadow_list)
		cursor = 0;
	list_del(&mapping->shadow_list);
	INIT_LIST_HEAD(&mapping->shadow_list);
	spin_unlock_irqrestore(&shadow_lock, flags);
}

/* Interrupts are off, so the group that the node is charged to is not freed. */
static void count_node(const void *node)
{
	struct mem_cgroup *memcg = mem_cgroup_from_id(slab_object_group(node));
	unsigned int nid = page_node_id(virt_to_page(node));

	count_lruvec_events(mem_cgroup_lruvec(memcg, &node_data[nid]), WORKINGSET_NODERECLAIM, 1);
}

/* Remove up to nr shadows. Returns how many. Both locks are held. */
static unsigned long drop_shadows(struct address_space *mapping, unsigned long nr)
{
	unsigned long dropped = 0;

	for (unsigned int seen = 0; seen < SCAN_ITEMS && dropped < nr; seen++) {
		void *item = radix_next(&mapping->pages, &cursor);

		if (!item) {
			cursor = 0;
			list_del(&mapping->shadow_list);
			if (mapping->nrvalues)
				list_add_tail(&mapping->shadow_list, &mappings);
			else
				INIT_LIST_HEAD(&mapping->shadow_list);
			break;
		}
		if (radix_is_value(item)) {
			const void *node = radix_sole_node(&mapping->pages, cursor);

			if (node)
				count_node(node);
			radix_delete(&mapping->pages, cursor);
			mapping->nrvalues--;
			dropped++;
		}
		cursor++;
	}
	atomic_sub(&nr_shadows, (s64)dropped);
	return dropped;
}

static unsigned long shadow_count(struct shrinker *s, struct shrink_control *sc)
{
	s64 fair = global_stat(NR_FILE_PAGES) / 16 + (s64)totalram_pages() / 256;

	return READ_ONCE(radix_nr_nodes) > fair ? max(READ_ONCE(nr_shadows), (s64)0) : 0;
}

static unsigned long shadow_scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long flags = spin_lock_irqsave(&shadow_lock), dropped = 0;

	if (!list_empty(&mappings)) {
		struct address_space *mapping =
			list_first_entry(&mappings, struct address_space, shadow_list);

		if (spin_trylock(&mapping->lock)) {
			dropped = drop_shadows(mapping, sc->nr_to_scan);
			spin_unlock(&mapping->lock);
		}
	}
	spin_unlock_irqrestore(&shadow_lock, flags);
	return dropped;
}

static struct shrinker shrinker = {.count = shadow_count, .scan = shadow_scan, .name = "mm-shadow"};

void shadows_init(void)
{
	register_shrinker(&shrinker);
}
