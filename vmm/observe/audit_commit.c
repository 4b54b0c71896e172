/*
 * The audit of promised memory (overcommit; Committed_AS in /proc/meminfo).
 *
 *   O1  mm->committed = pages of its VMAs whose flags say that they count. (committed)
 *   O2  The total = the sum of mm->committed, of the promises for objects of shared memory, and of the pages of
 *       shared memory that no promise covers, in memory or in swap. (committed)
 *
 * Bounds: each VMA and tree is walked by others (audit_mm.c, audit_mapping.c); a step of the budget for each promise.
 */
#include <errno.h>
#include <inttypes.h>

#include "observe/audit_impl.h"

void audit_commit_vma(struct audit *a, const struct vma_range *v)
{
	if (v->flags & a->root.commit.vm_account)
		a->committed_vmas += (v->end - v->start) >> MMVM_PAGE_SHIFT;
}

void audit_commit_mm(struct audit *a, uint64_t mm)
{
	const struct mmvm_audit_commit_layout *l = &a->root.commit;
	uint64_t claimed;

	if (!l->total_gva)
		return;
	if (audit_read(a, mm + l->mm_committed_offset, &claimed, sizeof(claimed)))
		audit_find(a, AUDIT_COMMITTED, "mm %#" PRIx64 ": committed unreadable", mm);
	else if (claimed != a->committed_vmas)
		audit_find(a, AUDIT_COMMITTED,
			   "mm %#" PRIx64 ": committed is %" PRId64
			   "; its VMAs that count have %" PRIu64 " pages",
			   mm, (int64_t)claimed, a->committed_vmas);
	a->committed += a->committed_vmas;
	a->committed_vmas = 0;
}

void audit_commit_mapping(struct audit *a, uint32_t flags, uint64_t pages)
{
	if (!(flags & a->root.commit.mapping_promised_flag))
		a->committed += pages;
}

static int add_promises(struct audit *a)
{
	const struct mmvm_audit_commit_layout *l = &a->root.commit;
	struct list_walk w;
	const char *why;
	uint64_t link, pages;
	int ret;

	/* An object may have no page, and be smaller than a frame: the budget bounds the list. */
	if (list_walk_start(a, &w, l->promises_gva, UINT32_MAX)) {
		audit_find(a, AUDIT_COMMITTED, "list of promises unreadable");
		return -EFAULT;
	}
	while ((ret = list_walk_next(a, &w, &link, &why)) > 0) {
		if (audit_read(a, link - l->promise_link_offset + l->promise_pages_offset, &pages,
			       sizeof(pages))) {
			audit_find(a, AUDIT_COMMITTED, "promise %" PRIu64 " unreadable", w.steps);
			return -EFAULT;
		}
		a->committed += pages;
	}
	if (ret < 0)
		audit_find(a, AUDIT_COMMITTED, "list of promises: link %" PRIu64 " %s", w.steps,
			   why);
	return ret;
}

void audit_commit_check(struct audit *a)
{
	const struct mmvm_audit_commit_layout *l = &a->root.commit;
	uint64_t claimed;

	if (!l->total_gva || add_promises(a) || a->over)
		return;
	if (audit_read(a, l->total_gva, &claimed, sizeof(claimed)))
		audit_find(a, AUDIT_COMMITTED, "the total is unreadable");
	else if (claimed != a->committed)
		audit_find(a, AUDIT_COMMITTED,
			   "Committed_AS is %" PRId64 " pages; %" PRIu64 " are promised",
			   (int64_t)claimed, a->committed);
}
