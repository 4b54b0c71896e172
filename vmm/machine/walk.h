/*
 * Page tables of the guest, read from outside: one walker for all users.
 *
 * It knows tables of four and five levels and leaves of 4 KiB, 2 MiB and 1 GiB (SDM vol. 3, 4.5).
 * Levels are numbered from the bottom: a table of level 0 holds PTEs, of level 1 PMDs, of level 4
 * P5Ds. The guest is not trusted: a table is read only where there is RAM, an entry is read once,
 * and a walk never goes deeper than the levels there are.
 */
#ifndef VMM_MACHINE_WALK_H
#define VMM_MACHINE_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include "devices/device.h"

#define GUEST_PTE_PRESENT  1ull
#define GUEST_PTE_WRITE	   (1ull << 1)
#define GUEST_PTE_LARGE	   (1ull << 7)
#define GUEST_PTE_ADDR	   0x000ffffffffff000ull
#define GUEST_TABLE_SIZE   512u
#define GUEST_LEVELS_48	   4u
#define GUEST_LEVELS_57	   5u
#define GUEST_TOP_HALF(lv) (~0ull << (11 + 9 * (lv))) /* the lowest address of the upper half */

struct guest_tables {
	const struct guest_ram *ram;
	uint64_t root;	     /* physical address of the top table, as in CR3 */
	unsigned int levels; /* GUEST_LEVELS_48 or GUEST_LEVELS_57 */
};

/** Bytes that one entry of a table of that level covers. */
static inline uint64_t guest_level_size(unsigned int level)
{
	return 1ull << (12 + 9 * level);
}

/** Is the entry the address of a table, seen in a table of that level? */
static inline bool guest_entry_is_table(uint64_t entry, unsigned int level)
{
	return level && (entry & GUEST_PTE_PRESENT) && (level > 2 || !(entry & GUEST_PTE_LARGE));
}

struct guest_leaf {
	uint64_t entry;	    /* as it stands in its table */
	unsigned int level; /* 0: 4 KiB, 1: 2 MiB, 2: 1 GiB */
	uint64_t gpa;	    /* of the address that was looked up */
};
/** What maps `gva`. 0, or -EFAULT: not canonical, nothing, or a table is not RAM. */
int guest_tables_find(const struct guest_tables *t, uint64_t gva, struct guest_leaf *leaf);

struct guest_walk_ops {
	/** The entry for `addr` is the table at `gpa`, of that level. 1: walk it; 0: leave it out;
	 * negative: end the walk. */
	int (*table)(void *arg, uint64_t addr, unsigned int level, uint64_t gpa);
	/** An entry that is neither empty nor a table: a leaf, a swap entry, or nonsense. */
	void (*entry)(void *arg, uint64_t addr, unsigned int level, uint64_t entry);
};
/** Walk entries [first, last] of the top table and everything below them, in the order of
 * addresses. Tables are copied before they are walked. 0, or what table() returned to end it. */
int guest_tables_walk(const struct guest_tables *t, unsigned int first, unsigned int last,
		      const struct guest_walk_ops *ops, void *arg);

#endif
