/*
 * Weak stand-ins for what a test's link may lack: the virtual half of mm/, and the drivers' block
 * layer. A strong definition anywhere in the link takes their place.
 */
#include <string.h>
#include "host.h"
#include "mm/mm.h"
#include "mm/swap.h"

#define __weak __attribute__((weak))

static LIST_HEAD(block_devices);

__weak void register_block_device(struct block_device *bdev)
{
	list_add_tail(&bdev->node, &block_devices);
}

__weak struct block_device *find_block_device(const char *role_or_name)
{
	struct block_device *b;

	list_for_each_entry (b, &block_devices, node)
		if (!strcmp(b->role, role_or_name) || !strcmp(b->name, role_or_name))
			return b;
	return NULL;
}

__weak void submit_bio(struct bio *bio)
{
	bio->bdev->submit(bio->bdev, bio);
}

static void end_wait(struct bio *bio)
{
	*(bool *)bio->private_ = true;
}

__weak int submit_bio_wait(struct bio *bio)
{
	bool done = false;

	bio->private_ = &done;
	bio->end_io = end_wait;
	submit_bio(bio);
	while (!done)
		schedule();
	return bio->status;
}

/* Without reclaim nothing can be reclaimed, and nobody be killed. */
__weak void wakeup_kswapd(struct zone *zone, gfp_t gfp, unsigned int order, enum zone_type highest)
{
}

__weak unsigned long try_to_free_pages(gfp_t gfp, unsigned int order)
{
	return 0;
}

__weak bool out_of_memory(gfp_t gfp, unsigned int order)
{
	return false;
}
