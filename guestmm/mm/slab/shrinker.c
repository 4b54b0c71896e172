/*
 * Shrinkers: caches above the page allocator that can give something back when asked.
 *
 * Reclaim asks each for a share that grows as its own search gets desperate: at priority p, a
 * 2^p-th of what the shrinker has, twice (an object is as cheap to make again as a page scanned
 * is). What a shrinker could not do is put off to the next time, so that small shares add up.
 *
 * Lock: shrinker_mutex around the list and each call. Reclaim does not wait for it: who holds it is
 * registering, or reclaiming as well.
 */
#include "mm/phys/internal.h"
#include "mm/slab/slab.h"

#define SHRINK_BATCH 128ul

static struct mutex shrinker_mutex = MUTEX_INIT(shrinker_mutex);
static LIST_HEAD(shrinkers);

void register_shrinker(struct shrinker *s)
{
	s->deferred = 0;
	mutex_lock(&shrinker_mutex);
	list_add_tail(&s->node, &shrinkers);
	mutex_unlock(&shrinker_mutex);
}

void unregister_shrinker(struct shrinker *s)
{
	mutex_lock(&shrinker_mutex);
	list_del(&s->node);
	mutex_unlock(&shrinker_mutex);
}

static unsigned long shrink_one(struct shrinker *s, int priority)
{
	unsigned long freeable = s->count(s), total, left, freed = 0;

	if (!freeable)
		return 0;
	left = s->deferred - (s->deferred >> priority);
	total = (s->deferred >> priority) + 2 * (freeable >> priority);
	total = min(total, 2 * freeable);
	/* Less than a batch waits for more, unless it is all there is. */
	while (total >= SHRINK_BATCH || total >= freeable) {
		unsigned long nr = min(SHRINK_BATCH, total), got = s->scan(s, nr);

		count_vm_events(SLABS_SCANNED, nr);
		freed += got;
		total -= nr;
		if (!got || !total)
			break;
		cond_resched();
	}
	s->deferred = min(total + left, 2 * freeable);
	return freed;
}

unsigned long shrink_slab(gfp_t gfp, int priority)
{
	unsigned long freed = 0;
	struct shrinker *s;

	if (!(gfp & __GFP_FS)) /* a shrinker may take locks of the code that allocates */
		return 0;
	if (!mutex_trylock(&shrinker_mutex))
		return 0;
	list_for_each_entry (s, &shrinkers, node)
		freed += shrink_one(s, priority);
	mutex_unlock(&shrinker_mutex);
	return freed;
}
