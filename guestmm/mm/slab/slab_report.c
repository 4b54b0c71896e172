/*
 * /proc/slabinfo, version 2.1 of Linux's format. active_objs counts objects in use, not those in sheaves or on
 * slabs' free lists.
 */
#include "mm/slab/slab_internal.h"

static unsigned long free_objects(struct kmem_cache *c)
{
	unsigned long n = 0;

	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		struct cache_node *node = &c->node[i];
		unsigned long flags = spin_lock_irqsave(&node->list_lock);
		struct slab *slab;

		list_for_each_entry (slab, &node->partial, list)
			n += slab->objects - slab->inuse;
		spin_unlock_irqrestore(&node->list_lock, flags);
	}
	for_each_possible_cpu (cpu)
		n += READ_ONCE((*per_cpu_ptr(c->sheaf, cpu))->nr);
	return n;
}

u64 slab_objects_in_use(void)
{
	struct kmem_cache *c;
	u64 n = 0;

	mutex_lock(&slab_mutex);
	list_for_each_entry (c, &slab_caches, list) {
		kmem_cache_shrink(c);
		if (!(c->flags & SLAB_KEPT))
			n += c->nr_objects - free_objects(c);
	}
	mutex_unlock(&slab_mutex);
	return n;
}

void report_slabinfo(struct report *r)
{
	struct kmem_cache *c;

	report_printf(r, "slabinfo - version: 2.1\n"
			 "# name            <active_objs> <num_objs> <objsize> <objperslab> "
			 "<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata "
			 "<active_slabs> <num_slabs> <sharedavail>\n");
	mutex_lock(&slab_mutex);
	list_for_each_entry (c, &slab_caches, list) {
		unsigned long slabs = c->nr_slabs, objects = c->nr_objects;
		unsigned int per_slab = ((PAGE_SIZE << c->order) - c->offset_of_first) / c->size;

		report_printf(r,
			      "%-17s %6lu %6lu %6u %4u %4d : tunables %4u %4u %4u : slabdata %6lu "
			      "%6lu %6lu\n",
			      c->name, objects - free_objects(c), objects, c->size, per_slab,
			      1 << c->order, 0, 0, 0, slabs, slabs, 0ul);
	}
	mutex_unlock(&slab_mutex);
}
