/*
 * Invariants of the physical half, checked from outside by walking everything. Each returns 0 or
 * the number of findings, having printed the first few; the names are those of the essays (buddy.c
 * I1 ...).
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include "lib/types.h"

/** Every frame in one state; buddy and per-CPU lists, counts and merging. */
unsigned int check_pages(void);
/** Every slab's free list, every cache's lists and counts. */
unsigned int check_slabs(void);
/** Frames of one type (enum mmvm_page_type), counted by walking all of RAM. */
u64 count_frames(unsigned int type);
/** Pages that are free: buddy and per-CPU lists together. */
u64 count_free(void);

#endif
