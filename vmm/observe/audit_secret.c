/*
 * The audit of memory that only its programs see (memfd_secret, guestmm/mm/cache/secretmem.c).
 *
 *   N1  A page of such a file, uptodate and not locked, is mapped by no entry of the kernel's half. (secret_page)
 *   N2  Every other frame of RAM is: only such pages are taken out of the direct map, and none stays out when it is
 *       freed. (secret_page)
 *
 * What the kernel maps comes from the walk of its half (audit_kvirt.c), the files' pages from the walk of their trees
 * (audit_mapping.c). A locked page is on its way in or out.
 */
#include <inttypes.h>

#include "observe/audit_impl.h"

void audit_secret_check(struct audit *a)
{
	const uint64_t settled = 1ull << PG_locked | 1ull << PG_uptodate;
	const uint64_t high = a->root.kvirt.highmem_start >> MMVM_PAGE_SHIFT;

	if (!a->root.mapping.secret_flag || !a->root.kvirt.areas_gva || a->over)
		return;
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];
		bool secret = f->seen & SEEN_SECRET, mapped = f->seen & SEEN_KERNEL;

		if (!(f->seen & SEEN_IN_RAM) || secret != mapped)
			continue;
		if (!secret && high && frame_pfn(a, i) >= high)
			continue; /* high memory is in no direct map to be missing from */
		if (!secret)
			audit_find(a, AUDIT_SECRET,
				   "frame %#" PRIx64 ": the kernel does not map this %s page",
				   frame_pfn(a, i), type_name(f->state));
		else if ((a->page[i].flags & settled) == 1ull << PG_uptodate)
			audit_find(a, AUDIT_SECRET,
				   "frame %#" PRIx64 ": secret page %" PRIu64
				   " of mapping %#" PRIx64 " is mapped by the kernel",
				   frame_pfn(a, i), a->page[i].index, a->page[i].mapping);
	}
}
