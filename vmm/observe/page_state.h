/*
 * Who owns a frame, at any moment: the guest's page array read from outside, without stopping the
 * guest and without the audit's checks. For sorting many pages cheaply, e.g. those in the dirty
 * log.
 */
#ifndef VMM_OBSERVE_PAGE_STATE_H
#define VMM_OBSERVE_PAGE_STATE_H

#include <stdint.h>
#include "devices/device.h"
#include "machine/machine.h"
#include "mmvm/page.h"

struct page_state;
/** Find the guest's page array by its audit root. Returns 0; -ENOSYS: this guest has none; -EAGAIN: it has not
 * filled its root yet; -EPROTO: its contents are invalid; -ENOMEM. */
int page_state_open(struct machine *m, const struct symtab *symbols, struct page_state **out);
/** The same for a root whose address is known. */
int page_state_open_at(const struct guest_ram *ram, uint64_t root_gva, struct page_state **out);
void page_state_close(struct page_state *p);
/** Look afresh: what was found before may have changed. */
void page_state_begin(struct page_state *p);
/** State of the frame at `gpa`, and the slot of its zone (MMVM_MAX_ZONES: none). Cheapest for
 * rising addresses. While the guest runs, a block that is being split or merged may be reported wrongly. */
enum mmvm_page_type page_state_get(struct page_state *p, uint64_t gpa, unsigned int *zone);
/** page->flags (1 << PG_*, and the zone) of the block or folio that the frame belongs to; 0: the frame has no state. */
uint64_t page_state_flags(struct page_state *p, uint64_t gpa);
/** Frames that belong together: of a free block, of a folio, or one. */
struct page_block {
	uint64_t pfn, frames;
	enum mmvm_page_type type;
	unsigned int zone; /* slot; MMVM_MAX_ZONES: none */
};
/** Every block of every range, by rising addresses. While the guest runs, one that is being split or merged may be
 * reported wrongly; none leaves its 2^MAX_ORDER frames. */
void page_state_walk(struct page_state *p, void (*block)(void *arg, const struct page_block *b),
		     void *arg);
/** The migrate type of the pageblock of a frame of a zone (its slot); -1: it is not known. */
int page_state_block_type(struct page_state *p, unsigned int zone, uint64_t pfn);
/** "anon", "slab" ... */
const char *page_state_name(enum mmvm_page_type type);

#endif
