/*
 * A page's life: what a frame is, from event to event of a trace, and which events are legal.
 *
 *              ALLOC                MAP (n times)            CACHE_ADD        SWAP_OUT
 *   free  ──────────────> used  ──────────────────> mapped  ───────────> +slot ────────> +writing
 *    ^                     ^ │                        │                    ^ │              │
 *    └────────FREE─────────┼─┘ <──────UNMAP───────────┘                    │ └──CACHE_DEL──> │
 *                          └── CACHE_ADD, SWAP_IN: +slot +reading ──READ_END           WRITE_END
 *
 * Before its first event a frame is unknown: boot decided.
 */
#ifndef VMM_RESULT_PAGE_LIFE_H
#define VMM_RESULT_PAGE_LIFE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "result/trace_read.h"

#define LIFE_RULES(X)                                                                      \
	X(LIFE_ALLOC, "L1", "only a free frame is allocated")                              \
	X(LIFE_FREE, "L2", "a frame is freed once, mapped nowhere, without slot and I/O")  \
	X(LIFE_MAP, "L3", "only an allocated frame is mapped")                             \
	X(LIFE_UNMAP, "L4", "a page is unmapped as often as it was mapped")                \
	X(LIFE_SLOT, "L5", "a page in use gets one slot at a time")                        \
	X(LIFE_UNSLOT, "L6", "a page loses the slot it has, and under no I/O")             \
	X(LIFE_WRITE, "L7", "what is written has that slot and nothing under way")         \
	X(LIFE_WRITTEN, "L8", "a write that ends had begun")                               \
	X(LIFE_READ, "L9", "what is read in has that slot and nothing under way")          \
	X(LIFE_HAS_READ, "L10", "a read that ends had begun")                              \
	X(LIFE_PUTBACK, "L11", "what is put back to a list was isolated from one")         \
	X(LIFE_CACHED, "L12", "a page comes into the page cache once, and leaves it once") \
	X(LIFE_FILE_WRITE, "L13", "a page of a file is written once at a time")

#define MMVM_ENUM_(name, number, text) name,
enum life_rule { LIFE_LEGAL, LIFE_RULES(MMVM_ENUM_) NR_LIFE_RULES };
#undef MMVM_ENUM_
/** "L1", and what it says. */
const char *life_rule_number(enum life_rule rule);
const char *life_rule_text(enum life_rule rule);

struct life_frame {
	uint8_t state; /* enum life_state */
	uint8_t type;  /* enum mmvm_page_type, while used */
	bool slot, writing, reading, isolated, on_disk;
	bool file, file_writing; /* in the page cache */
	int32_t mapped;
	uint64_t entry; /* while slot */
	int64_t io_end; /* on_disk: when the host had served the request under way */
};
enum life_state { LIFE_UNKNOWN, LIFE_IS_FREE, LIFE_USED };

/** Apply a guest event to the frame it is about (each of a block). Returns the rule it breaks; the
 * frame is as the event says then. */
enum life_rule life_step(struct life_frame *f, const struct mmvm_trace_rec *r);
/** "anon, mapped twice, slot 0:17, being written". Returns buf. */
const char *life_describe(const struct life_frame *f, char *buf, size_t size);

/** Who did it: names of processes and whose an address space is. */
struct life_who;
struct life_who *life_who_create(const struct trace_data *t); /* NULL: no memory */
void life_who_free(struct life_who *w);
/** "swapstress", or "" when the trace has no name. */
const char *life_who_name(const struct life_who *w, uint32_t pid);
/** The process that has the address space at that event, or 0. */
uint32_t life_who_pid(const struct life_who *w, uint32_t mm, int64_t ns);

/** All pages of a trace, and its counts against the guest's and the disk's. */
#define LIFE_MAX_COUNTS 24u
struct life_count {
	char name[40], against[40];
	uint64_t trace, other;
};
struct life_check {
	bool whole;		 /* nothing dropped, damaged or cut off: counts must be equal */
	uint64_t events, frames; /* that the rules were applied to */
	uint64_t broken[NR_LIFE_RULES];
	struct {
		uint64_t pfn;
		int64_t ns;
	} first[NR_LIFE_RULES];
	struct life_count count[LIFE_MAX_COUNTS];
	unsigned int nr_counts;
};
/** 0 or -ENOMEM. */
int life_check(const struct trace_data *t, struct life_check *out);
bool life_check_ok(const struct life_check *c);

#endif
