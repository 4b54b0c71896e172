/* TLB maintenance, as mm/ asks for it. Each counts its event (NR_TLB_*). Host build: tests/host/.
 */
#ifndef ARCH_TLB_H
#define ARCH_TLB_H
struct mm_struct;
/** Forget one user page of `mm`, on every CPU that may have it. */
void flush_tlb_page(struct mm_struct *mm, unsigned long addr);
/** Forget [start, end) of `mm`; large ranges become a full flush. */
void flush_tlb_range(struct mm_struct *mm, unsigned long start, unsigned long end);
void flush_tlb_mm(struct mm_struct *mm);
void flush_tlb_kernel_range(unsigned long start, unsigned long end);
/** Fill the kernel half of a new top-level table so that it shares the kernel's lower tables. */
void arch_pgd_init(void *pgd);
/** Load `mm` (NULL: the kernel's own tables) into the current CPU. */
void arch_switch_mm(struct mm_struct *mm);
/** Its last user has gone: no CPU keeps it loaded any longer, not even while kernel threads run.
 * Interrupts on. */
void arch_release_mm(struct mm_struct *mm);
/** Kernel's top-level table (kernel virtual address), for vmalloc. All top-level entries of the
 * vmalloc area are filled at boot, so new kernel mappings never need to be copied to other
 * top-level tables. */
void *kernel_pgd(void);
#endif
