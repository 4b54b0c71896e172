/*
 * Lists of unused objects, least recently used first, one for each memory cgroup and node.
 *
 *   dentry, inode ──lru_of──> struct list_lru of (group charged for the object, node of its slab)
 *
 * A shrinker whose objects are on such lists is asked list by list: reclaim of one group or one node
 * frees objects of that group and that node only.
 *
 * L1  An object is on the list list_lru_of() gave when it was allocated. That list lives as long as
 *     the object: an object holds a reference of the group that is charged for it.
 * L2  nr is the number of objects on the list.
 *
 * Lock: that of the objects' owner (dcache_lock, inode_lock) for list and nr; nr may be read without.
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
};

/** The list for an object of a slab cache. Never NULL. */
struct list_lru *list_lru_of(enum list_lru_kind kind, const void *obj);
/** Empty lists. */
void list_lrus_init(struct list_lru lru[NR_LIST_LRUS][MMVM_MAX_NODES]);

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
