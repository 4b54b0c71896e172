/*
 * The audit of memory cgroups: page by page, whose is it?
 *
 *   C1  A charged page names a group that there is; one that is not charged names none. (memcg_page)
 *   C2  A group's memory.current = the pages charged to it and to the groups below it, and what they have
 *       in zswap's pool; the root's = all of that. (memcg_charge)
 *   C3  A group's count of kernel pages = its charged pages that are neither anonymous nor of a file.
 *       (memcg_kernel)
 *   C4  A group's count of bytes of slab objects = the sizes of the objects whose slabs name it; audit_slab.c has added
 *       them up. They count as pages in C2 and C3, rounded up. (memcg_object)
 *   C5  A group's effective min and low, worked out for the usage of now, are: its setting, just below the root; else
 *       what it uses of its setting, or, where the claims of all its parent's children are more than the parent's
 *       effective value, its share of that in proportion to its claim. (memcg_protection)
 *
 * So the sum of all groups and of what nobody is charged for is the machine; the numbers are left in
 * audit_result. Groups are found through the guest's table of ids, which bounds every walk: a parent chain
 * takes a step of the budget for each link, and is cut at MAX_DEPTH.
 */
#include <errno.h>
#include <inttypes.h>

#include "observe/audit_impl.h"

#define MAX_DEPTH 64u

struct group {
	uint64_t gva, own, kernel; /* pages charged to it: all, of the kernel's */
	uint64_t below;		   /* with the groups below */
	uint32_t parent;	   /* id */
	bool there;
	/* C5: both settings and what the guest made of them, pages; claims: sum over its children of what each uses of
	 * its setting. */
	uint64_t setting[2], effective[2], claims[2];
	bool settled;	      /* worked out for the usage and the settings of now */
	bool unsettled_below; /* one of its children's is not */
};

static uint64_t read_u64(struct audit *a, uint64_t gva)
{
	uint64_t v = 0;

	return audit_read(a, gva, &v, sizeof(v)) ? 0 : v;
}

static void load_groups(struct audit *a, struct group *group)
{
	const struct mmvm_audit_memcg_layout *l = &a->root.memcg;

	for (uint32_t i = 0; i < l->nr_leaves; i++) {
		uint64_t leaf = read_u64(a, l->ids_gva + 8ull * i);

		if (!leaf || !audit_steps(a, 8))
			continue;
		for (uint32_t j = 0; j < l->ids_per_leaf; j++) {
			struct group *g = &group[i * l->ids_per_leaf + j];

			g->gva = read_u64(a, leaf + 8ull * j);
			g->there = g->gva != 0;
		}
	}
	group[0] = (struct group){.gva = l->root_gva, .there = true};
}

/** C1, and what each group has by itself. */
static void count_pages(struct audit *a, struct group *group, uint32_t nr)
{
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];
		const struct page *p = &a->page[i];
		const uint64_t pages = 1ull << (p->order < 11 ? p->order : 0);
		const bool charged = p->flags & 1ull << PG_charged;

		if (!(f->seen & SEEN_IN_RAM) || (f->seen & SEEN_TAIL))
			continue;
		if (type_is_free(f->state)) {
			a->out->memcg_free += pages;
			continue;
		}
		if (!charged) {
			a->out->memcg_uncharged += pages;
			/* A slab uses the field for itself. */
			if (p->memcg_id && f->state != PAGE_SLAB)
				audit_find(a, AUDIT_MEMCG_PAGE,
					   "frame %#" PRIx64
					   " is not charged, but names memory cgroup %u",
					   frame_pfn(a, i), p->memcg_id);
			continue;
		}
		a->out->memcg_charged += pages;
		if (!p->memcg_id || p->memcg_id >= nr || !group[p->memcg_id].there) {
			audit_find(a, AUDIT_MEMCG_PAGE,
				   "frame %#" PRIx64
				   " is charged to memory cgroup %u, which does not exist",
				   frame_pfn(a, i), p->memcg_id);
			continue;
		}
		group[p->memcg_id].own += pages;
		if (!type_is_user(f->state))
			group[p->memcg_id].kernel += pages;
	}
}

/** Compressed pages of a group lie in pages of the pool, which are charged to nobody: the group is charged for
 * their bytes. */
static void count_zswap(struct audit *a, struct group *group, uint32_t nr)
{
	const struct mmvm_audit_memcg_layout *l = &a->root.memcg;

	for (uint32_t i = 1; i < nr; i++) {
		int64_t bytes =
			group[i].there ? (int64_t)read_u64(a, group[i].gva + l->zswap_offset) : 0;
		uint64_t pages = bytes > 0 ? ((uint64_t)bytes - 1) / MMVM_PAGE_SIZE + 1 : 0;

		group[i].own += pages;
		group[i].kernel += pages;
	}
}

/** C4; and the pages that objects are charged as. */
static void count_objects(struct audit *a, struct group *group, uint32_t nr)
{
	const struct mmvm_audit_memcg_layout *l = &a->root.memcg;

	for (uint32_t id = 1; a->obj_bytes && id < MAX_MEMCG_IDS; id++) {
		uint64_t bytes = a->obj_bytes[id], said;

		if (id >= nr || !group[id].there) {
			if (bytes)
				audit_find(a, AUDIT_MEMCG_OBJECT,
					   "slab objects of %" PRIu64
					   " bytes are charged to memory cgroup %u, which does "
					   "not exist",
					   bytes, id);
			continue;
		}
		said = l->obj_offset ? read_u64(a, group[id].gva + l->obj_offset) : bytes;
		if (said != bytes)
			audit_find(
				a, AUDIT_MEMCG_OBJECT,
				"memory cgroup %u: %" PRId64
				" bytes of slab objects are said to be charged; counted %" PRIu64,
				id, (int64_t)said, bytes);
		bytes = (bytes + MMVM_PAGE_SIZE - 1) / MMVM_PAGE_SIZE;
		group[id].own += bytes;
		group[id].kernel += bytes;
	}
}

/** What a group has counts in each group above it. */
static void add_up(struct audit *a, struct group *group, uint32_t nr)
{
	const struct mmvm_audit_memcg_layout *l = &a->root.memcg;

	for (uint32_t i = 0; i < nr; i++) {
		uint64_t at = group[i].gva;

		for (unsigned int depth = 0; at && group[i].own; depth++) {
			uint16_t id;

			if (depth == MAX_DEPTH || !audit_step(a) ||
			    audit_read(a, at + l->id_offset, &id, sizeof(id)) || id >= nr ||
			    group[id].gva != at) {
				audit_find(a, AUDIT_MEMCG_CHARGE,
					   "memory cgroup %u: the groups above it make no sense",
					   i);
				break;
			}
			group[id].below += group[i].own;
			at = read_u64(a, at + l->parent_offset);
		}
	}
}

static void check_groups(struct audit *a, const struct group *group, uint32_t nr)
{
	const struct mmvm_audit_memcg_layout *l = &a->root.memcg;

	for (uint32_t i = 0; i < nr; i++) {
		const struct group *g = &group[i];
		uint64_t usage, kernel;

		if (!g->there)
			continue;
		a->out->nr_memcgs += i != 0;
		if (audit_read(a, g->gva + l->usage_offset, &usage, 8) ||
		    audit_read(a, g->gva + l->kernel_offset, &kernel, 8)) {
			audit_find(a, AUDIT_MEMCG_CHARGE, "memory cgroup %u is unreadable", i);
			continue;
		}
		if (usage != g->below)
			audit_find(a, AUDIT_MEMCG_CHARGE,
				   "memory cgroup %u: %" PRId64 " pages are said to be charged; "
				   "counted %" PRIu64,
				   i, (int64_t)usage, g->below);
		if (i && kernel != g->kernel)
			audit_find(a, AUDIT_MEMCG_KERNEL,
				   "memory cgroup %u: %" PRId64
				   " kernel pages are said to be charged; "
				   "counted %" PRIu64,
				   i, (int64_t)kernel, g->kernel);
	}
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void load_protection(struct audit *a, struct group *group, uint32_t nr)
{
	const struct mmvm_audit_memcg_layout *l = &a->root.memcg;
	uint64_t as_of = read_u64(a, l->settings_gva);

	for (uint32_t i = 0; i < nr; i++) {
		struct group *g = &group[i];
		uint64_t parent;
		uint16_t id = 0;

		if (!g->there)
			continue;
		parent = read_u64(a, g->gva + l->parent_offset);
		if (i && (!parent || audit_read(a, parent + l->id_offset, &id, sizeof(id)) ||
			  id >= nr || group[id].gva != parent)) {
			g->there = false; /* C2 has said so */
			continue;
		}
		g->parent = id;
		g->setting[0] = read_u64(a, g->gva + l->min_offset);
		g->setting[1] = read_u64(a, g->gva + l->low_offset);
		g->effective[0] = read_u64(a, g->gva + l->effective_min_offset);
		g->effective[1] = read_u64(a, g->gva + l->effective_low_offset);
		g->settled = as_of && read_u64(a, g->gva + l->settled_as_of_offset) == as_of &&
			     read_u64(a, g->gva + l->settled_usage_offset) == g->below;
		if (!i)
			continue;
		group[id].unsettled_below |= !g->settled;
		for (unsigned int k = 0; k < 2; k++)
			group[id].claims[k] += at_most(g->below, g->setting[k]);
	}
}

/** C5. */
static void check_protection(struct audit *a, struct group *group, uint32_t nr)
{
	static const char *const name[2] = {"min", "low"};

	if (!a->root.memcg.settings_gva)
		return;
	load_protection(a, group, nr);
	for (uint32_t i = 1; i < nr; i++) {
		const struct group *g = &group[i], *parent = &group[g->parent];

		if (!g->there || !g->settled || !parent->settled || parent->unsettled_below)
			continue;
		a->out->memcg_protections++;
		for (unsigned int k = 0; k < 2; k++) {
			uint64_t want = g->setting[k];

			if (g->parent)
				want = at_most(want, g->below);
			if (g->parent && parent->claims[k] > parent->effective[k])
				want = (uint64_t)((unsigned __int128)want * parent->effective[k] /
						  parent->claims[k]);
			if (g->effective[k] != want)
				audit_find(a, AUDIT_MEMCG_PROTECTION,
					   "memory cgroup %u: effective %s is %" PRIu64
					   " pages; its share is %" PRIu64,
					   i, name[k], g->effective[k], want);
		}
	}
}

int audit_memcg(struct audit *a)
{
	const struct mmvm_audit_memcg_layout *l = &a->root.memcg;
	uint32_t nr = l->nr_leaves * l->ids_per_leaf;
	struct group *group;

	if (!l->root_gva)
		return 0; /* a guest without groups */
	if (l->nr_leaves > MAX_MEMCG_IDS || l->ids_per_leaf > MAX_MEMCG_IDS || !nr ||
	    nr > MAX_MEMCG_IDS) {
		audit_find(a, AUDIT_ROOT, "%u times %u ids of memory cgroups", l->nr_leaves,
			   l->ids_per_leaf);
		return 0;
	}
	group = calloc(nr, sizeof(*group));
	a->memcg.gva = calloc(nr, sizeof(*a->memcg.gva));
	if (!group || !a->memcg.gva) {
		free(group);
		return -ENOMEM;
	}
	load_groups(a, group);
	for (uint32_t i = 1; i < nr; i++)
		a->memcg.gva[i] = group[i].gva;
	a->memcg.nr = nr;
	count_pages(a, group, nr);
	count_zswap(a, group, nr);
	count_objects(a, group, nr);
	add_up(a, group, nr);
	check_groups(a, group, nr);
	check_protection(a, group, nr);
	a->out->has_memcg = true;
	free(group);
	return 0;
}
