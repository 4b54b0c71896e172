/*
 * Lists of unused objects, least recently used first, one for each memory cgroup and node.
 *
 *   dentry, inode ──list_lru_of()──> struct list_lru of (group charged for the object, node of its slab)
 *
 * A shrinker whose objects are on such lists is asked list by list: reclaim of one group or one node
 * frees objects of that group and that node only.
 *
 * L1  An object that is unused is on the list that list_lru_of() gives for it.
 * L2  nr is the number of objects on the list.
 * L3  A group whose directory is removed has empty lists: its objects, also those that become unused later, are on
 *     the lists of the nearest group above whose directory exists. The lists move to the parent first
 *     (list_lru_reparent()), then the objects become the parent's one by one (slab_account_reparent()). The parent
 *     keeps its directory meanwhile, so list_lru_of() gives the same list before and after. An object that a task
 *     was allocating for the group stays the group's; list_lru_of() finds its list, too.
 *
 * Lock: that of the objects' owner (dcache_lock, inode_lock), a spinlock, for list, nr and `moved`; nr may
 * be read without. Under it a group that an object names is not freed: mem_cgroup_free_dead() waits for
 * CPUs that hold a spinlock.
 */
#ifndef MM_LIST_LRU_H
#define MM_LIST_LRU_H
#include "lib/list.h"
#include "mmvm/layout.h"

enum list_lru_kind { LIST_LRU_DENTRY, LIST_LRU_INODE, NR_LIST_LRUS };

struct list_lru {
	struct list_head list;
	u64 nr;
	s64 deferred; /* A: scans put off to a later call of the shrinker */
	bool moved;   /* L3: the group's directory was removed */
};
struct mem_cgroup;

/** The list for an object of a slab cache. Never NULL. The owner's lock is held. */
struct list_lru *list_lru_of(enum list_lru_kind kind, const void *obj);
/** A group's directory is removed: see L3. Takes the owners' locks. */
void list_lru_reparent(struct mem_cgroup *from);
/** Empty lists. */
void list_lrus_init(struct list_lru lru[NR_LIST_LRUS][MMVM_MAX_NODES]);

/* The owner's lock is held. */
static inline void list_lru_add(struct list_lru *lru, struct list_head *item)
{
	list_add_tail(item, &lru->list);
	WRITE_ONCE(lru->nr, lru->nr + 1);
}
static inline void list_lru_del(struct list_lru *lru, struct list_head *item)
{
	list_del_init(item);
	WRITE_ONCE(lru->nr, lru->nr - 1);
}
#endif
