/*
 * The audit of frames that were withdrawn from use (guestmm/mm/move/memory_failure.c).
 *
 *   H1  A frame of type hwpoison is single, has one reference, is mapped by no user page table, is on no LRU list, in no
 *       tree and in no pipe. (hwpoison)
 *   H2  The guest's count, HardwareCorrupted of /proc/meminfo, is the number of such frames. (hwpoison)
 *
 * That it is on no free list is check_free()'s: what is free is of another type.
 */
#include <inttypes.h>

#include "observe/audit_impl.h"

void audit_hwpoison_check(struct audit *a)
{
	int64_t found = 0, counted;

	if (!a->root.poisoned_gva || a->over)
		return;
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];
		const struct page *p = &a->page[i];
		const unsigned int used = SEEN_LRU | SEEN_CACHE | SEEN_FREE_LIST | SEEN_TABLE;

		if (!(f->seen & SEEN_IN_RAM) || f->state != PAGE_HWPOISON)
			continue;
		found++;
		if (p->order || p->refcount != 1 || f->mapped || f->piped || f->seen & used)
			audit_find(a, AUDIT_HWPOISON,
				   "frame %#" PRIx64 " is withdrawn, but has order %u, refcount "
				   "%d, %u PTEs, %u pipes (seen %#x)",
				   frame_pfn(a, i), p->order, p->refcount, f->mapped, f->piped,
				   f->seen);
	}
	if (audit_read(a, a->root.poisoned_gva, &counted, sizeof(counted)) || counted != found)
		audit_find(a, AUDIT_HWPOISON,
			   "HardwareCorrupted is %" PRId64 " pages; %" PRId64 " are withdrawn",
			   counted, found);
}
