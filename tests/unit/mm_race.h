/*
 * What the drivers of races share (mm_race.c, mm_race_file.c): which races are wanted, the machine with its swap
 * area, reclaim and migration as operations, and that no slot of swap is left.
 *
 * RACES=all in the environment asks for all points, RACE=NAME for the races whose names begin so, SEED=N for
 * another choice of points.
 */
#ifndef TESTS_MM_RACE_H
#define TESTS_MM_RACE_H
#include "mm/init.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/move/migrate.h"
#include "mm_user.h"
#include "race.h"
#include "unit.h"

static struct host_disk *swap;
static u64 nr_races;

static bool all_races(void)
{
	const char *races = getenv("RACES");

	return races && !strcmp(races, "all");
}

static bool wanted(const char *name)
{
	const char *want = getenv("RACE");

	return !want || !strncmp(name, want, strlen(want));
}

static void pressure(unsigned int side)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};

	lru_add_drain();
	shrink_node(&node_data[0], &sc);
}

/* A page that isolate_movable_page() gave moves to another frame. */
static void migrate_isolated(struct page *page)
{
	LIST_HEAD(list);
	int node = NUMA_NO_NODE;

	list_add(&page->lru, &list);
	migrate_pages(&list, alloc_migration_target, NULL, &node, MIGRATE_SYNC, MR_SYSCALL, NULL);
	putback_movable_pages(&list);
}

static void swap_on(void)
{
	MUST(!do_swapon(&swap->bdev, -1), "swapon");
}

/* What was read for somebody who then did not want it is the next reclaim's. */
static void no_slot_is_left(void)
{
	for (int i = 0; swap_areas[0].inuse && i < 4; i++)
		pressure(0);
	MUST(!swap_areas[0].inuse, "%lu swap slots are left", (long)swap_areas[0].inuse);
}

/* What somebody has of all caches, those aside whose owners keep objects (slab.h). */
static u64 objects_in_use(void)
{
	purge_vmap_areas();
	return slab_objects_in_use();
}

static void races_boot(void)
{
	if (getenv("SEED"))
		host_random ^= strtoull(getenv("SEED"), NULL, 0) + 1;
	host_race_init();
	host_boot_default("debug_vm");
	mm_init();
	swap = host_disk_create("swap", 8 * MIB);
	host_disk_mkswap(swap);
	swap_on();
}

static int races_run(const char *name, const struct unit_case *cases, unsigned int n)
{
	int status = unit_run(name, cases, n);

	printf("%lu races\n", (unsigned long)nr_races);
	return status;
}

/* The driver's races_of() one of its states */
#define STATE_TEST(n)                  \
	static void state_##n##_(void) \
	{                              \
		races_of(&states[n]);  \
	}
#endif
