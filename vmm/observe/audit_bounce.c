/*
 * The audit of bounce buffers (swiotlb):
 *
 *   W1  A slot in use belongs to a mapping: its first slot says how many there are, and of which memory.
 *   W2  The guest's count of slots in use is right.
 *   W3  The memory that is mapped is in use: that of a free page means that the mapping was forgotten.
 *
 * All are reported as `bounce`.
 */
#include <inttypes.h>

#include "observe/audit_impl.h"

#define MAX_SLOT_SIZE 64u

struct slot {
	uint64_t orig;
	uint32_t bytes;
	uint16_t run, in_use;
};

static bool layout_ok(const struct audit *a, const struct mmvm_audit_swiotlb *s)
{
	/* Slots are of 2 KiB: not more of them than RAM has room for. */
	return s->slot_size <= MAX_SLOT_SIZE && s->nr_slots <= (uint64_t)a->nr_frames * 2 &&
	       s->orig_offset <= MAX_SLOT_SIZE - 8 && s->bytes_offset <= MAX_SLOT_SIZE - 4 &&
	       s->run_offset <= MAX_SLOT_SIZE - 2 && s->in_use_offset <= MAX_SLOT_SIZE - 2;
}

static bool read_slot(struct audit *a, const struct mmvm_audit_swiotlb *s, uint64_t i,
		      struct slot *slot)
{
	uint8_t raw[MAX_SLOT_SIZE] = {0};

	if (audit_read(a, s->slots_gva + i * s->slot_size, raw, s->slot_size))
		return false;
	memcpy(&slot->orig, raw + s->orig_offset, sizeof(slot->orig));
	memcpy(&slot->bytes, raw + s->bytes_offset, sizeof(slot->bytes));
	memcpy(&slot->run, raw + s->run_offset, sizeof(slot->run));
	memcpy(&slot->in_use, raw + s->in_use_offset, sizeof(slot->in_use));
	return true;
}

/** W3 */
static void check_memory(struct audit *a, uint64_t i, const struct slot *slot)
{
	uint64_t first = slot->orig >> MMVM_PAGE_SHIFT;
	uint64_t last = (slot->orig + slot->bytes - 1) >> MMVM_PAGE_SHIFT;

	/* A mapping has at most 256 KiB, but the guest's value cannot be trusted. */
	for (uint64_t pfn = first; pfn <= last && pfn - first <= 64; pfn++) {
		uint32_t frame = frame_index(a, pfn);

		if (frame == NO_FRAME)
			audit_find(a, AUDIT_BOUNCE,
				   "slot %" PRIu64 ": frame %#" PRIx64 " is no RAM", i, pfn);
		else if (type_is_free(a->frame[frame].state))
			audit_find(a, AUDIT_BOUNCE,
				   "slot %" PRIu64 ": still mapped is frame %#" PRIx64
				   ", which is free",
				   i, pfn);
	}
}

int audit_bounce(struct audit *a)
{
	const struct mmvm_audit_swiotlb *s = &a->root.swiotlb;
	uint64_t in_use = 0, claimed, left = 0;

	if (!s->nr_slots)
		return 0;
	if (!layout_ok(a, s)) {
		audit_find(a, AUDIT_ROOT, "swiotlb: %" PRIu64 " slots of %u bytes", s->nr_slots,
			   s->slot_size);
		return 0;
	}
	for (uint64_t i = 0; i < s->nr_slots; i++) {
		struct slot slot;

		if (!audit_step(a))
			return 0;
		if (!read_slot(a, s, i, &slot)) {
			audit_find(a, AUDIT_BOUNCE, "slot %" PRIu64 " is unreadable", i);
			return 0;
		}
		in_use += !!slot.in_use;
		if (slot.in_use && !left) {
			if (!slot.run || !slot.bytes)
				audit_find(a, AUDIT_BOUNCE,
					   "slot %" PRIu64 " is in use, but of no mapping", i);
			else
				check_memory(a, i, &slot);
			left = slot.run;
		} else if (!slot.in_use && left) {
			audit_find(a, AUDIT_BOUNCE, "slot %" PRIu64 " is free inside of a mapping",
				   i);
		}
		left -= left > 0;
	}
	if (audit_read(a, s->used_gva, &claimed, sizeof(claimed)))
		audit_find(a, AUDIT_BOUNCE, "the count of slots in use is unreadable");
	else if (claimed != in_use)
		audit_find(a, AUDIT_BOUNCE,
			   "%" PRIu64 " slots are in use; the guest counts %" PRIu64, in_use,
			   claimed);
	return 0;
}
