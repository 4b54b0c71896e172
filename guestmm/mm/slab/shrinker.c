/*
 * Shrinkers: kernel caches that can free objects when memory is short.
 *
 * Reclaim asks each for a share that grows with the pressure on the LRU lists. At priority p it is, as
 * on Linux,
 *
 *     objects >> p * 4 / seeks
 *
 * where seeks is the cost of recreating an object, in disk accesses; 2 is usual. A share below one batch is
 * deferred to the next call, so that small shares add up.
 *
 * A shrinker with list_lrus (mm/slab/list_lru.h) is asked for one node and one memory cgroup at a time.
 * The others know neither nodes nor groups and are asked only when no group is the target.
 *
 * Lock: shrinker_mutex around the list and each call. Reclaim does not wait for it: its holder registers a shrinker
 * or reclaims as well.
 */
#include "lib/trace.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab.h"

#define SHRINK_BATCH  128ul
#define DEFAULT_SEEKS 2u

static struct mutex shrinker_mutex = MUTEX_INIT(shrinker_mutex);
static LIST_HEAD(shrinkers);
static u16 next_id;
static spinlock_t *owner_lock[NR_LIST_LRUS]; /* C once its shrinker is registered, for good */

void register_shrinker(struct shrinker *s)
{
	s->deferred = 0;
	if (s->lru_lock)
		owner_lock[s->kind] = s->lru_lock;
	mutex_lock(&shrinker_mutex);
	s->id = next_id++;
	list_add_tail(&s->node, &shrinkers);
	mutex_unlock(&shrinker_mutex);
}

void unregister_shrinker(struct shrinker *s)
{
	mutex_lock(&shrinker_mutex);
	list_del(&s->node);
	mutex_unlock(&shrinker_mutex);
}

void list_lrus_init(struct list_lru lru[NR_LIST_LRUS][MMVM_MAX_NODES])
{
	for (unsigned int kind = 0; kind < NR_LIST_LRUS; kind++)
		for (unsigned int node = 0; node < MMVM_MAX_NODES; node++)
			lru[kind][node] =
				(struct list_lru){.list = LIST_HEAD_INIT(lru[kind][node].list)};
}

struct list_lru *list_lru_of(enum list_lru_kind kind, const void *obj)
{
	struct mem_cgroup *memcg = mem_cgroup_from_id(slab_object_group(obj));
	const unsigned int node = page_node_id(virt_to_page(obj));

	while (unlikely(memcg->slab_lru[kind][node].moved))
		memcg = memcg->parent;
	return &memcg->slab_lru[kind][node];
}

/* The lock of the objects' owner is held. */
static void move_list(struct mem_cgroup *from, enum list_lru_kind kind, unsigned int node)
{
	struct list_lru *lru = &from->slab_lru[kind][node];
	struct list_lru *to = &from->parent->slab_lru[kind][node];

	list_splice_init(&lru->list, &to->list);
	WRITE_ONCE(to->nr, to->nr + lru->nr);
	WRITE_ONCE(lru->nr, 0);
	atomic_add(&to->deferred, atomic_xchg(&lru->deferred, 0));
	lru->moved = true;
}

void list_lru_reparent(struct mem_cgroup *from)
{
	for (unsigned int kind = 0; kind < NR_LIST_LRUS; kind++) {
		if (!owner_lock[kind])
			continue;
		spin_lock(owner_lock[kind]);
		for (unsigned int node = 0; node < MMVM_MAX_NODES; node++)
			move_list(from, kind, node);
		spin_unlock(owner_lock[kind]);
	}
}

unsigned long shrink_share(unsigned long objects, int priority, unsigned int seeks)
{
	return (objects >> priority) * 4 / (seeks ? seeks : DEFAULT_SEEKS);
}

static unsigned long shrink_one(struct shrinker *s, struct shrink_control *sc)
{
	s64 *deferred = sc->lru ? &sc->lru->deferred : &s->deferred;
	unsigned long freeable = s->count(s, sc), put_off, share, total, scanned = 0, freed = 0;

	if (!freeable)
		return 0;
	put_off = (unsigned long)atomic_xchg(deferred, 0);
	share = shrink_share(freeable, sc->priority, s->seeks);
	total = min((put_off >> sc->priority) + share, 2 * freeable);
	trace_point(SHRINK_SLAB_START, total, .arg = s->id, .order = (u8)sc->priority);
	/* Less than a batch waits for more, unless it is all there is. */
	while (total >= SHRINK_BATCH || total >= freeable) {
		unsigned long got;

		sc->nr_scanned = sc->nr_to_scan = min(SHRINK_BATCH, total);
		got = s->scan(s, sc);
		count_vm_events(SLABS_SCANNED, sc->nr_scanned);
		freed += got;
		scanned += sc->nr_scanned;
		total -= sc->nr_scanned;
		if (sc->nr_scanned < sc->nr_to_scan)
			break; /* the list has no more */
		if (!got && !s->lru_lock)
			break; /* it cannot free anything now */
		cond_resched();
	}
	put_off += share;
	put_off = put_off > scanned ? min(put_off - scanned, 2 * freeable) : 0;
	atomic_add(deferred, (s64)put_off);
	trace_point(SHRINK_SLAB_END, freed, .arg = s->id, .order = (u8)sc->priority);
	return freed;
}

unsigned long shrink_slab_group(struct shrink_control *sc)
{
	bool root = !sc->memcg || mem_cgroup_is_root(sc->memcg);
	struct mem_cgroup *memcg = root ? &root_mem_cgroup : sc->memcg;
	unsigned long freed = 0;
	struct shrinker *s;

	if (!(sc->gfp & __GFP_FS)) /* a shrinker may take locks of the code that allocates */
		return 0;
	if (!mutex_trylock(&shrinker_mutex))
		return 0;
	list_for_each_entry (s, &shrinkers, node) {
		if (!s->lru_lock && !root)
			continue;
		sc->lru = s->lru_lock ? &memcg->slab_lru[s->kind][sc->node] : NULL;
		freed += shrink_one(s, sc);
	}
	mutex_unlock(&shrinker_mutex);
	return freed;
}

unsigned long shrink_slab(gfp_t gfp, int priority)
{
	unsigned long freed = 0;

	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		struct shrink_control sc = {.gfp = gfp, .node = i, .priority = priority};

		if (!node_data[i].present)
			continue;
		while ((sc.memcg = mem_cgroup_iter(&root_mem_cgroup, sc.memcg)))
			freed += shrink_slab_group(&sc);
	}
	return freed;
}

void drop_slab(void)
{
	unsigned long freed;
	unsigned int round = 0;

	/* As Linux: repeat while a round frees many objects; each round requires more. */
	do {
		freed = shrink_slab(GFP_KERNEL, 0);
		cond_resched();
	} while (freed >> round++ > 1);
}
