/* TLB maintenance for mm/. Each counts its event (NR_TLB_*). Host build: tests/host/. */
#ifndef ARCH_TLB_H
#define ARCH_TLB_H
#include "lib/types.h"
struct mm_struct;
/** Forget one user page of `mm`, on every CPU that may have it. */
void flush_tlb_page(struct mm_struct *mm, unsigned long addr);
/** Forget [start, end) of `mm`; large ranges become a full flush. */
void flush_tlb_range(struct mm_struct *mm, unsigned long start, unsigned long end);
void flush_tlb_mm(struct mm_struct *mm);
void flush_tlb_kernel_range(unsigned long start, unsigned long end);
/** One page, on this CPU alone. */
void flush_tlb_kernel_page_here(unsigned long addr);

/** User entries to forget, of any address spaces, with one request for all of them. An entry is added after it was
 * cleared; until tlb_batch_flush() returns a CPU may still use the old one. */
#define TLB_BATCH_MAX 33u
struct tlb_batch {
	u32 cpumask; /* CPUs that may have one of them */
	u32 nr;	     /* entries; more than TLB_BATCH_MAX: forget everything */
	struct {
		const struct mm_struct *mm; /* compared, never followed: it may be freed by then */
		unsigned long addr;
	} entry[TLB_BATCH_MAX];
};
/** `cpumask`: what tlb_changed() (mm/pgtable/tlb_pending.h) returned after the entry was cleared. */
static inline void tlb_batch_add(struct tlb_batch *b, const struct mm_struct *mm,
				 unsigned long addr, u32 cpumask)
{
	b->cpumask |= cpumask;
	if (b->nr < TLB_BATCH_MAX) {
		b->entry[b->nr].mm = mm;
		b->entry[b->nr].addr = addr;
	}
	b->nr++;
}
/** Do the batch's flush, if it needs one, and empty the batch. */
void tlb_batch_flush(struct tlb_batch *b);
/** Fill the kernel half of a new top-level table so that it shares the kernel's lower tables. */
void arch_pgd_init(void *pgd);
/** Load `mm` (NULL: the kernel's own tables) into the current CPU. Interrupts off. */
void arch_switch_mm(struct mm_struct *mm);
/** Its last user has ended: afterwards no CPU keeps it loaded, not even while kernel threads run.
 * Interrupts on. */
void arch_release_mm(struct mm_struct *mm);
/** Kernel's top-level table (kernel virtual address), for vmalloc. All top-level entries of the
 * vmalloc area are filled at boot, so new kernel mappings never need to be copied to other
 * top-level tables. */
void *kernel_pgd(void);
#endif
