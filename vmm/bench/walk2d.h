/*
 * How many memory references a TLB miss costs, counted by a walker in software.
 *
 * It has tables of its own, made of plain words: a guest's tables in guest-physical pages, and,
 * when there is a second stage, tables that map each of those pages, and the data, to the host.
 * Counting by walking, rather than by formula, counts what hardware without any walk cache does.
 */
#ifndef VMM_BENCH_WALK2D_H
#define VMM_BENCH_WALK2D_H

#include <stdint.h>

enum walk2d_size { WALK2D_4K, WALK2D_2M };

/** What a miss refers to. */
struct walk2d_refs {
	unsigned int guest;  /* entries of the guest's tables (shadow: of the shadow's) */
	unsigned int nested; /* entries of the second stage's tables */
	uint64_t address;    /* where the walk ends: host-physical */
};

/** Nested paging, four levels on both sides. 0, -ENOMEM, or -EFAULT: the walk ends nowhere. */
int walk2d_nested(enum walk2d_size guest, enum walk2d_size host, uint64_t gva,
		  struct walk2d_refs *out);
/** Shadow paging: one table, whose pages are as large as the smaller of the two. As above. */
int walk2d_shadow(enum walk2d_size guest, enum walk2d_size host, uint64_t gva,
		  struct walk2d_refs *out);
/** Where both walks must end for `gva`. */
uint64_t walk2d_expected(uint64_t gva);

#endif
