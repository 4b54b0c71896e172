/*
 * The audit of pipes: rings of references to pages of any owner.
 *
 *   Q1  A buffer's bytes lie within one page, which is in use, and the page it holds is the head of that
 *       page's folio; only a zero page is not held. (pipe)
 *   Q2  A ring has no more buffers than it has room for; the list of pipes is whole. (pipe)
 *   Q3  A page of the pipes' own has one reference for each buffer that holds it, and no others. (used_refcount)
 *
 * That pages of other owners have a reference for each buffer is checked with those owners' other references
 * (audit_frames.c, audit_mapping.c, audit_thp.c, audit_hugetlb.c).
 */
#include <inttypes.h>

#include "observe/audit_impl.h"

#define MAX_RING (1u << 19) /* 2 GiB of pages: what F_SETPIPE_SZ allows at most */

/** Q1: the buffer at guest address `at` of the pipe `node`. */
static void check_buffer(struct audit *a, uint64_t node, uint64_t at)
{
	const struct mmvm_audit_pipe_layout *l = &a->root.pipes;
	uint64_t page = 0, held = 0;
	uint32_t start = 0, len = 0, i, head;

	if (audit_read(a, at + l->buf_page_offset, &page, 8) ||
	    audit_read(a, at + l->buf_held_offset, &held, 8) ||
	    audit_read(a, at + l->buf_start_offset, &start, 4) ||
	    audit_read(a, at + l->buf_len_offset, &len, 4)) {
		audit_find(a, AUDIT_PIPE, "pipe %#" PRIx64 ": buffer %#" PRIx64 " is unreadable",
			   node, at);
		return;
	}
	i = frame_of_page(a, page);
	if (i == NO_FRAME || type_is_free(a->frame[i].state) || !len || start > MMVM_PAGE_SIZE ||
	    len > MMVM_PAGE_SIZE - start) {
		audit_find(a, AUDIT_PIPE,
			   "pipe %#" PRIx64 ": %u bytes at %u of page %#" PRIx64 ", which is %s",
			   node, len, start, page,
			   i == NO_FRAME ? "no page" : type_name(a->frame[i].state));
		return;
	}
	if (!held) {
		/* Nobody frees the kernel's own: pages of the image are mapped to programs, too. */
		if (a->frame[i].state != PAGE_ZERO && a->frame[i].state != PAGE_RESERVED)
			audit_find(a, AUDIT_PIPE,
				   "pipe %#" PRIx64 " has no reference on frame %#" PRIx64 ", %s",
				   node, frame_pfn(a, i), type_name(a->frame[i].state));
		return;
	}
	head = frame_of_page(a, held);
	if (head == NO_FRAME || head > i || i - head >= 1u << (a->page[head].order & 31)) {
		audit_find(a, AUDIT_PIPE,
			   "pipe %#" PRIx64 " holds %#" PRIx64 " for frame %#" PRIx64, node, held,
			   frame_pfn(a, i));
		return;
	}
	a->frame[head].piped++;
}

/** Q2 */
static void check_pipe(struct audit *a, uint64_t node)
{
	const struct mmvm_audit_pipe_layout *l = &a->root.pipes;
	uint64_t pipe = node - l->link_offset, bufs = 0;
	uint32_t ring = 0, head = 0, tail = 0, locked = 0;

	if (audit_read(a, pipe + l->bufs_offset, &bufs, 8) ||
	    audit_read(a, pipe + l->ring_offset, &ring, 4) ||
	    audit_read(a, pipe + l->head_offset, &head, 4) ||
	    audit_read(a, pipe + l->tail_offset, &tail, 4) ||
	    audit_read(a, pipe + l->locked_offset, &locked, 4)) {
		audit_find(a, AUDIT_PIPE, "pipe %#" PRIx64 " is unreadable", pipe);
		return;
	}
	if (!ring || ring > MAX_RING || (ring & (ring - 1)) || head - tail > ring) {
		audit_find(a, AUDIT_PIPE, "pipe %#" PRIx64 ": %u buffers of %u are used", pipe,
			   head - tail, ring);
		return;
	}
	a->pipe_busy |= locked != 0;
	for (; tail != head && audit_step(a); tail++)
		check_buffer(a, pipe, bufs + (uint64_t)(tail & (ring - 1)) * l->buf_stride);
}

int audit_pipes(struct audit *a)
{
	const char *why = "unreadable";
	struct list_walk w;
	uint64_t node;
	int r = -1;

	if (!a->root.pipes.list_gva)
		return 0;
	if (!list_walk_start(a, &w, a->root.pipes.list_gva, a->nr_frames))
		while ((r = list_walk_next(a, &w, &node, &why)) > 0)
			check_pipe(a, node);
	if (r < 0 && !a->over)
		audit_find(a, AUDIT_PIPE, "the list of pipes is broken: %s", why);
	return 0;
}

/** Q3 */
void audit_pipes_check(struct audit *a)
{
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];
		const struct page *p = &a->page[i];

		if ((f->seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM || f->state != PAGE_PIPE)
			continue;
		if (p->order || p->refcount < (int64_t)f->piped ||
		    p->refcount > (int64_t)f->piped + a->pipe_busy)
			audit_find(a, AUDIT_USED_REFCOUNT,
				   "frame %#" PRIx64
				   ": pipe page of order %u has refcount %d; %u buffers hold it",
				   frame_pfn(a, i), p->order, p->refcount, f->piped);
	}
}
