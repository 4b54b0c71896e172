/*
 * The exact comparison: a program says which pages it wrote in a round (MMVM_REC_ROUND), and every
 * witness must agree, page by page.
 *
 *   struct dirty_exact x = {.symbols = ...};
 *   dirty_exact_round() from machine_config.round  ->  dirty_exact_result()  ->  dirty_exact_free()
 */
#ifndef VMM_OBSERVE_DIRTY_EXACT_H
#define VMM_OBSERVE_DIRTY_EXACT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "machine/machine.h"
#include "mmvm/page.h"
#include "result/result.h"

#define DIRTY_EXACT_KEPT 16 /* differences kept with their text; all are counted */

struct host_writes;
struct page_state;

struct dirty_exact {
	const struct symtab *symbols; /* of the guest, for its page states; set by the caller */
	struct host_writes *host;
	char host_why[96]; /* why there is no `host` */
	bool tried_host, in_round;
	struct page_state *states;
	uint8_t *frame; /* what each witness says of each page of RAM (dirty_exact.c) */
	uint64_t nr_frames;

	uint64_t rounds, written;	  /* pages the program wrote and still has */
	uint64_t in_log, in_pte, in_host; /* of them, found by each witness */
	uint64_t rounds_of_moves;	  /* of the rounds, those in which the kernel moved pages */
	uint64_t moved, moved_in_log;	  /* pages with another frame; found in the log */
	uint64_t returned;	/* of those written, read back from swap: their PTEs are clean */
	uint64_t extra_filled;	/* not written, filled by the kernel: pages of the swap cache */
	uint64_t kept_in_cache; /* of those written, mapped again from the swap cache: the same */
	uint64_t swapped;	/* written, and without a frame since */
	uint64_t log_guest, log_device;	  /* pages in the log, by who wrote them */
	uint64_t extra[NR_PAGE_TYPES];	  /* in the log, and of no concern to the program */
	uint64_t extra_own, extra_device; /* its stack and data; written by devices only */
	uint64_t bad;			  /* differences without an explanation */
	uint64_t ns;			  /* the guest stood still */
	unsigned int nr_kept;
	char kept[DIRTY_EXACT_KEPT][160];
};

/** A record of a round. Returns the answer for the guest: differences found, or -errno
 * (-EOPNOTSUPP: no dirty log is kept). */
int dirty_exact_round(struct dirty_exact *x, struct machine *m, uint64_t cr3,
		      const struct mmvm_record *rec);
/** Checks and counts into the result; nothing when there was no round. */
void dirty_exact_result(const struct dirty_exact *x, struct run_result *r);
/** The differences kept, one a line behind `prefix`. */
void dirty_exact_print(FILE *f, const char *prefix, const struct dirty_exact *x);
void dirty_exact_free(struct dirty_exact *x);

#endif
