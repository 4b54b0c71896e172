/*
 * The audit of what each memory cgroup has on each node, as memory.stat and memory.numa_stat report it.
 *
 *   C5  A level of a group on a node = the pages there that are charged to it and that the walks found in that
 *       state. (memcg_level)
 *   C6  Its bytes of slab objects on a node, unreclaimable and reclaimable = the sizes of the objects there that
 *       name it. (memcg_level)
 *
 * The levels of LRU lists are counted by the guest for the lruvec, and here for the page's group: so a page on the
 * list of another group is found, too. Levels of the root group are those of the machine, which others check.
 */
#include <errno.h>
#include <inttypes.h>

#include "observe/audit_impl.h"

/* Our index, the guest's, the name in memory.stat. The LRU lists first, in the order of their levels. */
#define LEVELS(X)                                           \
	X(INACTIVE_ANON, NR_INACTIVE_ANON, "inactive_anon") \
	X(ACTIVE_ANON, NR_ACTIVE_ANON, "active_anon")       \
	X(INACTIVE_FILE, NR_INACTIVE_FILE, "inactive_file") \
	X(ACTIVE_FILE, NR_ACTIVE_FILE, "active_file")       \
	X(UNEVICTABLE, NR_UNEVICTABLE, "unevictable")       \
	X(ANON, NR_ANON_MAPPED, "anon")                     \
	X(FILE_PAGES, NR_FILE_PAGES, "file")                \
	X(SHMEM, NR_SHMEM, "shmem")                         \
	X(FILE_MAPPED, NR_FILE_MAPPED, "file_mapped")       \
	X(FILE_DIRTY, NR_FILE_DIRTY, "file_dirty")          \
	X(SWAPCACHED, NR_SWAPCACHE, "swapcached")           \
	X(ANON_THP, NR_ANON_THPS, "anon_thp")               \
	X(SHMEM_THP, NR_SHMEM_THPS, "shmem_thp")            \
	X(PAGETABLES, NR_PAGETABLE, "pagetables")           \
	X(KERNEL_STACK, NR_KERNEL_STACK_KB, "kernel_stack")
#define INDEX_(index, item, name) index,
enum level { LEVELS(INDEX_) NR_LEVELS };
#undef INDEX_
#define ROW_(index, item, name) {item, name},
static const struct {
	enum zone_stat_item item;
	const char *name;
} levels[NR_LEVELS] = {LEVELS(ROW_)};
#undef ROW_

/** The counts of one group, by node. */
struct counted {
	int64_t level[MMVM_MAX_NODES][NR_LEVELS];
};

static void count_user_page(const struct audit *a, uint32_t i, int64_t *level)
{
	const struct frame *f = &a->frame[i];
	const struct page *p = &a->page[i];
	const int64_t pages = 1ll << p->order;

	if (f->lru)
		level[INACTIVE_ANON + f->lru - 1] += pages;
	if (p->flags & 1ull << PG_swapcache)
		level[SWAPCACHED] += pages;
	if (f->state == PAGE_ANON || f->state == PAGE_KSM) {
		level[ANON] += (int64_t)audit_thp_mapped(a, i);
		level[ANON_THP] += f->pmd != 0;
		return;
	}
	level[FILE_MAPPED] += (int64_t)audit_thp_mapped(a, i);
	if (!(f->seen & SEEN_CACHE))
		return;
	level[FILE_PAGES] += pages;
	if (f->state == PAGE_SHMEM) {
		level[SHMEM] += pages;
		level[SHMEM_THP] += pages > 1;
	} else if (p->flags & 1ull << PG_dirty) {
		level[FILE_DIRTY] += pages;
	}
}

static void count_frames(const struct audit *a, struct counted *of)
{
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];
		const struct page *p = &a->page[i];
		const unsigned int node = p->flags >> PAGE_NODE_SHIFT & PAGE_NODE_MASK;

		if ((f->seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM ||
		    !(p->flags & 1ull << PG_charged) || p->memcg_id >= a->memcg.nr ||
		    node >= MMVM_MAX_NODES)
			continue;
		if (type_is_user(f->state))
			count_user_page(a, i, of[p->memcg_id].level[node]);
		else if (f->state == PAGE_PGTABLE)
			of[p->memcg_id].level[node][PAGETABLES] += 1ll << p->order;
		else if (f->state == PAGE_STACK)
			of[p->memcg_id].level[node][KERNEL_STACK] +=
				(int64_t)(MMVM_PAGE_SIZE / 1024) << p->order;
	}
}

/** C5, of one group on one node. */
static void check_levels(struct audit *a, uint32_t id, unsigned int node, const int64_t *counted)
{
	int64_t said[NR_ZONE_STAT_ITEMS];

	if (audit_read(a,
		       a->memcg.gva[id] + a->root.memcg.stat_offset + node * (uint64_t)sizeof(said),
		       said, sizeof(said))) {
		audit_find(a, AUDIT_MEMCG_LEVEL, "memory cgroup %u: its levels are unreadable", id);
		return;
	}
	for (unsigned int l = 0; l < NR_LEVELS; l++)
		if (said[levels[l].item] != counted[l])
			audit_find(a, AUDIT_MEMCG_LEVEL,
				   "memory cgroup %u, node %u: %s is said to be %" PRId64
				   "; counted %" PRId64,
				   id, node, levels[l].name, said[levels[l].item], counted[l]);
}

/** C6, likewise. */
static void check_objects(struct audit *a, uint32_t id, unsigned int node)
{
	static const char *const kinds[] = {"slab_unreclaimable", "slab_reclaimable"};
	int64_t said[2];

	if (audit_read(a,
		       a->memcg.gva[id] + a->root.memcg.slab_offset + node * (uint64_t)sizeof(said),
		       said, sizeof(said))) {
		audit_find(a, AUDIT_MEMCG_LEVEL, "memory cgroup %u: its objects are unreadable",
			   id);
		return;
	}
	for (unsigned int k = 0; k < 2; k++)
		if ((uint64_t)said[k] != a->obj_by_node[id][node][k])
			audit_find(a, AUDIT_MEMCG_LEVEL,
				   "memory cgroup %u, node %u: %s is said to be %" PRId64
				   " bytes; counted %" PRIu64,
				   id, node, kinds[k], said[k], a->obj_by_node[id][node][k]);
}

int audit_memcg_levels(struct audit *a)
{
	struct counted *of;

	if (!a->memcg.nr || !a->out->nr_memcgs)
		return 0;
	of = calloc(a->memcg.nr, sizeof(*of));
	if (!of)
		return -ENOMEM;
	if (a->root.memcg.stat_offset)
		count_frames(a, of);
	for (uint32_t id = 1; id < a->memcg.nr; id++) {
		if (!a->memcg.gva[id])
			continue;
		for (unsigned int node = 0; node < MMVM_MAX_NODES && audit_steps(a, 16); node++) {
			if (a->root.memcg.stat_offset)
				check_levels(a, id, node, of[id].level[node]);
			if (a->root.memcg.slab_offset && a->obj_by_node)
				check_objects(a, id, node);
		}
	}
	free(of);
	return 0;
}

void audit_memcg_free(struct audit *a)
{
	free(a->memcg.gva);
}
