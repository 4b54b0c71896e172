/*
 * The audit of swap slots.
 *
 *   W1  A slot's count = entries in page tables and in trees of shared memory that name it; its
 *       cache bit = a page in the swap cache says that it holds it. (swap_map)
 *   W2  The area's count of used slots = slots with a non-zero byte that are not bad; its count of
 *       usable slots = slots that are not bad. (swap_count)
 *   W3  A slot to which a write has failed is in use or bad, not free. (swap_bad)
 *
 * Bounds: a map is a byte a slot in the guest's own memory, each page of it in a frame of its own,
 * so that it is no larger than RAM. The map is read where it is, never copied; beside it we keep a
 * byte a slot, in memory that costs nothing until a slot is used.
 */
#include <errno.h>
#include <inttypes.h>

#include "observe/audit_impl.h"

enum map_marks { UNMARK_MAP, MARK_MAP };

/** Mark the frames that hold the map, or unmark them. Returns false when one is unreadable, is
 * no frame in use, or holds two parts of it. */
static bool mark_map(struct audit *a, const struct mmvm_audit_swap *s, enum map_marks how)
{
	uint64_t first = s->map_gva >> MMVM_PAGE_SHIFT;
	uint64_t last = (s->map_gva + s->nr_slots - 1) >> MMVM_PAGE_SHIFT;

	for (uint64_t vpn = first; vpn <= last; vpn++) {
		struct guest_leaf leaf;
		uint32_t i;

		if (guest_tables_find(&a->tables, vpn << MMVM_PAGE_SHIFT, &leaf))
			return false;
		i = frame_index(a, leaf.gpa >> MMVM_PAGE_SHIFT);
		if (i == NO_FRAME || !(a->frame[i].seen & SEEN_IN_RAM) ||
		    type_is_free(a->frame[i].state) ||
		    !!(a->frame[i].seen & SEEN_SWAP_MAP) == (how == MARK_MAP))
			return false;
		a->frame[i].seen ^= SEEN_SWAP_MAP;
	}
	return true;
}

int audit_swap(struct audit *a)
{
	for (unsigned int t = 0; t < MMVM_AUDIT_MAX_SWAP; t++) {
		const struct mmvm_audit_swap *s = &a->root.swap[t];
		bool sound;

		if (!s->present)
			continue;
		if (!audit_step(a))
			return 0;
		if (s->nr_slots == 0 || s->nr_slots > a->out->ram_frames << MMVM_PAGE_SHIFT ||
		    s->map_gva + s->nr_slots < s->map_gva) {
			audit_find(a, AUDIT_ROOT, "swap area %u: %" PRIu64 " slots", t,
				   s->nr_slots);
			continue;
		}
		sound = mark_map(a, s, MARK_MAP);
		mark_map(a, s, UNMARK_MAP);
		if (!sound) {
			audit_find(a, AUDIT_SWAP_MAP,
				   "swap area %u: no map of %" PRIu64 " slots at %#" PRIx64, t,
				   s->nr_slots, s->map_gva);
			continue;
		}
		a->swap[t].users = calloc(s->nr_slots, 1);
		if (!a->swap[t].users)
			return -ENOMEM;
		a->swap[t].nr = s->nr_slots;
	}
	return 0;
}

void audit_swap_free(struct audit *a)
{
	for (unsigned int t = 0; t < MMVM_AUDIT_MAX_SWAP; t++)
		free(a->swap[t].users);
}

static bool slot_exists(const struct audit *a, uint64_t type, uint64_t slot)
{
	return type < MMVM_AUDIT_MAX_SWAP && slot != 0 && slot < a->swap[type].nr;
}

bool audit_swap_use(struct audit *a, uint64_t type, uint64_t slot)
{
	uint8_t *users;

	if (!slot_exists(a, type, slot))
		return false;
	users = &a->swap[type].users[slot];
	if ((*users & SWAP_USERS_MAX) != SWAP_USERS_MAX)
		++*users;
	return true;
}

/** Pages that say they are in the swap cache mark their slots. */
static void mark_cached(struct audit *a)
{
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct page *p = &a->page[i];
		uint64_t type = p->private_ >> 58, slot = p->private_ & ((1ull << 50) - 1);

		if ((a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM ||
		    !type_is_user(a->frame[i].state) || !(p->flags & 1ull << PG_swapcache))
			continue;
		if (!slot_exists(a, type, slot)) {
			audit_find(a, AUDIT_SWAP_MAP,
				   "frame %#" PRIx64 " is in the swap cache for slot %" PRIu64
				   " of area %" PRIu64 ", which does not exist",
				   frame_pfn(a, i), slot, type);
			continue;
		}
		if (a->swap[type].users[slot] & SWAP_CACHED)
			audit_find(a, AUDIT_SWAP_MAP,
				   "frame %#" PRIx64 ": slot %" PRIu64 " of area %" PRIu64
				   " is in the swap cache twice",
				   frame_pfn(a, i), slot, type);
		a->swap[type].users[slot] |= SWAP_CACHED;
	}
}

/** One slot, whose byte in the map is `byte` (W1). Returns whether it is in use. */
static bool check_slot(struct audit *a, unsigned int t, uint64_t slot, uint8_t byte)
{
	const struct mmvm_audit_swap *s = &a->root.swap[t];
	unsigned int users = a->swap[t].users[slot] & SWAP_USERS_MAX;
	unsigned int claimed = byte & s->count_mask;
	bool cached = a->swap[t].users[slot] & SWAP_CACHED;

	if (byte == s->bad_value) {
		if (users || cached)
			audit_find(a, AUDIT_SWAP_MAP,
				   "area %u: bad slot %" PRIu64 " has %u users%s", t, slot, users,
				   cached ? " and a cached page" : "");
		return false;
	}
	if ((claimed < SWAP_USERS_MAX ? claimed : SWAP_USERS_MAX) != users ||
	    !!(byte & s->has_cache_bit) != cached)
		audit_find(a, AUDIT_SWAP_MAP,
			   "area %u slot %" PRIu64 ": map says %u users%s; found %u%s", t, slot,
			   claimed, byte & s->has_cache_bit ? " and a cached page" : "", users,
			   cached ? " and a cached page" : "");
	return byte != 0;
}

/** Slots that the area says it has failed to write, 64 from `slot` on. */
static uint64_t failed_word(struct audit *a, unsigned int t, uint64_t slot)
{
	uint64_t word = 0;

	if (a->root.swap[t].failed_gva)
		audit_read(a, a->root.swap[t].failed_gva + slot / 64 * 8, &word, sizeof(word));
	return word;
}

struct map_count {
	uint64_t used, bad;
};

/** `n` bytes of the map, those of the slots from `slot` on. */
static void check_bytes(struct audit *a, unsigned int t, uint64_t slot, const uint8_t *byte,
			uint64_t n, struct map_count *count)
{
	const uint8_t bad = a->root.swap[t].bad_value;
	uint64_t failed = 0;

	for (uint64_t i = 0; i < n; i++, slot++) {
		if (!i || slot % 64 == 0)
			failed = failed_word(a, t, slot);
		count->bad += byte[i] == bad;
		/* Slot 0 is the header, which has no user. */
		if (slot)
			count->used += check_slot(a, t, slot, byte[i]);
		if (failed >> slot % 64 & 1 && !byte[i])
			audit_find(a, AUDIT_SWAP_BAD,
				   "area %u slot %" PRIu64 " cannot be written, but is free", t,
				   slot);
	}
}

/** The whole map of an area. Returns false when it could not be read to its end. */
static bool check_map(struct audit *a, unsigned int t, struct map_count *count)
{
	uint64_t gva = a->root.swap[t].map_gva, slot = 0;

	while (slot < a->swap[t].nr) {
		const uint8_t *page = audit_page_at(a, gva + slot);
		uint64_t in_page = (gva + slot) % MMVM_PAGE_SIZE, n = MMVM_PAGE_SIZE - in_page;

		if (!page || !audit_step(a))
			return false;
		if (n > a->swap[t].nr - slot)
			n = a->swap[t].nr - slot;
		check_bytes(a, t, slot, page + in_page, n, count);
		slot += n;
	}
	return true;
}

static void check_counts(struct audit *a, unsigned int t, const struct map_count *count)
{
	uint64_t inuse, usable;

	if (audit_read(a, a->root.swap[t].inuse_gva, &inuse, sizeof(inuse)) ||
	    audit_read(a, a->root.swap[t].usable_gva, &usable, sizeof(usable))) {
		audit_find(a, AUDIT_SWAP_COUNT, "area %u: count unreadable", t);
		return;
	}
	if (inuse != count->used)
		audit_find(a, AUDIT_SWAP_COUNT,
			   "area %u: %" PRIu64 " slots in use by its count; the map has %" PRIu64,
			   t, inuse, count->used);
	if (usable != a->swap[t].nr - count->bad)
		audit_find(a, AUDIT_SWAP_COUNT,
			   "area %u: %" PRIu64 " slots usable by its count; the map has %" PRIu64,
			   t, usable, a->swap[t].nr - count->bad);
}

void audit_swap_check(struct audit *a)
{
	mark_cached(a);
	for (unsigned int t = 0; t < MMVM_AUDIT_MAX_SWAP && !a->over; t++) {
		struct map_count count = {0};
		bool whole;

		if (!a->swap[t].nr)
			continue;
		whole = check_map(a, t, &count);
		a->out->nr_swap_used += count.used;
		if (whole)
			check_counts(a, t, &count);
	}
}
