/*
 * Kernel samepage merging: pages of equal contents, in memory that programs have marked, are merged into one.
 * ksm_scan.c describes how, doc/ksm.md what it does not do.
 *
 * Lock order: ksm_mutex > mmap_lock > page lock > page_table_lock. ksm_list_lock is taken last.
 */
#ifndef MM_KSM_H
#define MM_KSM_H
#include "mm/phys/page.h"
#include "mm/virt/mm_types.h"
#include "mmvm/ksm.h"

/* What /sys/kernel/mm/ksm sets. R: a stale value does no harm; ksm_mutex guards merge_across_nodes. */
enum ksm_run { KSM_RUN_STOP, KSM_RUN_MERGE, KSM_RUN_UNMERGE };
struct ksm_settings {
	u64 run;	   /* enum ksm_run */
	u64 pages_to_scan; /* before ksmd sleeps */
	u64 sleep_millisecs;
	u64 merge_across_nodes; /* 0: only pages of one node */
	u64 max_page_sharing;	/* how many PTEs the scanner lets map one merged page */
	u64 use_zero_pages;	/* map the zero page instead of a page of zeroes */
};
extern struct ksm_settings ksm;

struct ksm_counts {
	u64 pages_shared;   /* merged pages in use */
	u64 pages_sharing;  /* places that share them, beyond the first of each */
	u64 pages_unshared; /* scanned, unchanged since, and with contents of their own */
	u64 rmap_items;	    /* places that are known */
	u64 pages_scanned;
	u64 full_scans;
	u64 stable_node_chains; /* contents for which there is more than one merged page */
	u64 stable_node_dups;	/* merged pages of such contents */
};

struct ksm_slot;

/** madvise(MADV_MERGEABLE, MADV_UNMERGEABLE): change *flags of the VMA, which are to be set then. mmap_lock for
 * writing. 0 or -ENOMEM. Memory that cannot be merged (shared, hugetlb) is skipped, as in Linux. */
int ksm_madvise(struct vm_area_struct *vma, unsigned long start, unsigned long end, bool merge,
		unsigned long *flags);
/** prctl(PR_SET_MEMORY_MERGE): all of the address space, now and what will be mapped. 0 or -ENOMEM. */
int ksm_set_merge_any(struct mm_struct *mm, bool on);
/** May memory with these flags be merged at all? */
static inline bool ksm_may_merge(unsigned long flags)
{
	return !(flags & (VM_SHARED | VM_MAYSHARE | VM_HUGETLB | VM_SPECIAL));
}
/** Flags for a new private mapping of mm. mmap_lock for writing. */
static inline unsigned long ksm_vma_flags(const struct mm_struct *mm, unsigned long flags)
{
	if (likely(!mm->merge_any) || !ksm_may_merge(flags))
		return flags;
	return flags | VM_MERGEABLE;
}
/** mm is the child of oldmm and has its VMAs: have its memory scanned as well. 0 or -ENOMEM. */
int ksm_fork(struct mm_struct *mm, const struct mm_struct *oldmm);
/** A new program starts in mm in the place of oldmm: it inherits PR_SET_MEMORY_MERGE. 0 or -ENOMEM. */
int ksm_execve(struct mm_struct *mm, const struct mm_struct *oldmm);
/** mm ends. Its pages are unmapped. */
void __ksm_exit(struct mm_struct *mm);
static inline void ksm_exit(struct mm_struct *mm)
{
	if (unlikely(mm->ksm))
		__ksm_exit(mm);
}

/** Look at `pages` places. ksmd's work; tests call it as well. */
void ksm_scan(u64 pages);
/** Set `run`, an enum ksm_run. KSM_RUN_UNMERGE gives every place a page of its own again. 0 or -ENOMEM: run is 0 then. */
int ksm_set_run(u64 run);
/** Set merge_across_nodes, 0 or 1. -EBUSY: pages are merged. */
int ksm_set_merge_across_nodes(u64 on);
/** Set max_page_sharing. -EBUSY: pages are merged. */
int ksm_set_max_page_sharing(u64 max);
/** Wake ksmd, so that it reads the settings again. */
void ksm_wake(void);
/** The current counts, without address spaces that have ended. Takes ksm_mutex. */
struct ksm_counts ksm_read_counts(void);
/** Bytes saved less bytes spent. */
s64 ksm_general_profit(const struct ksm_counts *c);

struct ksm_mm_counts {
	u64 rmap_items, merging_pages;
	s64 profit; /* bytes */
};
/** Of one address space, to which the caller holds a reference. Takes ksm_mutex. */
struct ksm_mm_counts ksm_mm_counts(const struct mm_struct *mm);

void ksm_start(void); /* the thread; after boot */
struct mmvm_audit_ksm_layout;
void ksm_audit_layout(struct mmvm_audit_ksm_layout *l);
#endif
