/*
 * How the audit reads guest memory: addresses, frames, lists, and the budget that bounds it all.
 */
#include "observe/audit_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

/* ---- guest memory --------------------------------------------------------------------------- */

bool audit_steps(struct audit *a, unsigned int n)
{
	const struct audit_source *src = a->src;

	if (a->over)
		return false;
	if (src->late && src->late(src->late_arg))
		a->over = a->late = true;
	else if (a->budget < n)
		a->over = true;
	else
		a->out->steps += n, a->budget -= n;
	if (a->over && !a->late)
		audit_find(a, AUDIT_BUDGET,
			   "more lists, tables and trees than fit into %" PRIu64 " frames",
			   a->out->ram_frames);
	return !a->over;
}

const uint8_t *audit_page_at(struct audit *a, uint64_t gva)
{
	uint64_t vpn = gva >> MMVM_PAGE_SHIFT;
	unsigned int slot = vpn % (sizeof(a->tlb) / sizeof(a->tlb[0]));
	struct guest_leaf leaf;
	const uint8_t *host;

	if (a->tlb[slot].tag == vpn + 1)
		return a->tlb[slot].host;
	if (guest_tables_find(&a->tables, gva & ~(MMVM_PAGE_SIZE - 1), &leaf))
		return NULL;
	host = guest_ram_ptr(a->src->ram, leaf.gpa, MMVM_PAGE_SIZE);
	if (host) {
		a->tlb[slot].tag = vpn + 1;
		a->tlb[slot].host = host;
	}
	return host;
}

int audit_read(struct audit *a, uint64_t gva, void *buf, size_t len)
{
	uint8_t *out = buf;

	while (len) {
		size_t offset = gva & (MMVM_PAGE_SIZE - 1), n = MMVM_PAGE_SIZE - offset;
		const uint8_t *page = audit_page_at(a, gva);

		if (!page)
			return -EFAULT;
		if (n > len)
			n = len;
		memcpy(out, page + offset, n);
		out += n;
		gva += n;
		len -= n;
	}
	return 0;
}

uint32_t frame_index(const struct audit *a, uint64_t pfn)
{
	for (uint32_t i = 0; i < a->root.nr_ranges; i++)
		if (pfn >= a->root.range[i].start_pfn && pfn < a->root.range[i].end_pfn)
			return a->first_index[i] + (uint32_t)(pfn - a->root.range[i].start_pfn);
	return NO_FRAME;
}

uint64_t frame_pfn(const struct audit *a, uint32_t index)
{
	uint32_t i = a->root.nr_ranges - 1;

	while (index < a->first_index[i])
		i--;
	return a->root.range[i].start_pfn + (index - a->first_index[i]);
}

uint32_t frame_of_page(const struct audit *a, uint64_t gva)
{
	uint64_t offset = gva - a->root.vmemmap_gva;

	if (offset % sizeof(struct page))
		return NO_FRAME;
	return frame_index(a, offset / sizeof(struct page));
}

uint32_t frame_of_lru(const struct audit *a, uint64_t gva)
{
	return frame_of_page(a, gva - offsetof(struct page, lru));
}

uint32_t frame_of_head(const struct audit *a, uint32_t i)
{
	return a->frame[i].seen & SEEN_TAIL ? frame_of_page(a, a->page[i].lru.next & ~UINT64_C(1))
					    : i;
}

const uint8_t *frame_data(const struct audit *a, uint64_t pfn)
{
	if (pfn >> (64 - MMVM_PAGE_SHIFT))
		return NULL;
	return guest_ram_ptr(a->src->ram, pfn << MMVM_PAGE_SHIFT, MMVM_PAGE_SIZE);
}

uint32_t frame_of_direct(const struct audit *a, uint64_t gva)
{
	return gva < a->root.direct_map_gva
		       ? NO_FRAME
		       : frame_index(a, (gva - a->root.direct_map_gva) >> MMVM_PAGE_SHIFT);
}

/* ---- lists ---------------------------------------------------------------------------------- */

int list_walk_start(struct audit *a, struct list_walk *w, uint64_t head, uint64_t limit)
{
	struct mmvm_list l;

	if (audit_read(a, head, &l, sizeof(l)))
		return -EFAULT;
	w->head = w->prev = head;
	w->at = l.next;
	w->steps = 0;
	w->limit = limit;
	return 0;
}

int list_walk_next(struct audit *a, struct list_walk *w, uint64_t *node, const char **why)
{
	struct mmvm_list l;

	if (audit_read(a, w->at, &l, sizeof(l))) {
		*why = "points outside mapped memory";
		return -EFAULT;
	}
	if (l.prev != w->prev) {
		*why = "has a prev that is not where we came from";
		return -EINVAL;
	}
	if (w->at == w->head)
		return 0;
	if (!audit_step(a)) {
		*why = "is longer than can be";
		return -EINTR;
	}
	if (w->steps++ >= w->limit) {
		*why = "does not end";
		return -ELOOP;
	}
	*node = w->at;
	w->prev = w->at;
	w->at = l.next;
	return 1;
}
