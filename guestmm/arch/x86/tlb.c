/*
 * TLB maintenance of one CPU. Only one CPU runs so far, so an address space that is not loaded here
 * has no entries anywhere: CR3 is loaded without PCID, which empties all but global entries, and
 * kernel mappings alone are global.
 *
 * T1  A user entry can be in the TLB only if its mm is the one loaded (loaded_mm).
 * T2  Kernel threads run on the kernel's own tables or on those of the mm last loaded; a mm is
 *     unloaded before its tables are freed (arch_switch_mm()).
 */
#include "arch/boot.h"
#include "arch/pgtable.h"
#include "arch/processor.h"
#include "arch/thread_info.h"
#include "arch/tlb.h"
#include "mm/mm_types.h"
#include "mm/zone.h"

/* Beyond so many pages, one reload of CR3 and the refills after it cost less. */
#define FLUSH_ONE_BY_ONE_MAX 33

static struct mm_struct *loaded_mm[MMVM_MAX_CPUS];

static inline bool mm_is_loaded(const struct mm_struct *mm)
{
	return loaded_mm[cpu_id()] == mm;
}

void flush_tlb_page(struct mm_struct *mm, unsigned long addr)
{
	if (!mm_is_loaded(mm))
		return;
	count_vm_event(NR_TLB_LOCAL_FLUSH_ONE);
	invlpg(addr);
}

void flush_tlb_mm(struct mm_struct *mm)
{
	if (!mm_is_loaded(mm))
		return;
	count_vm_event(NR_TLB_LOCAL_FLUSH_ALL);
	WRITE_CR(3, READ_CR(3));
}

void flush_tlb_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long n = (end - start + PAGE_SIZE - 1) >> PAGE_SHIFT;

	if (!mm_is_loaded(mm))
		return;
	if (n > FLUSH_ONE_BY_ONE_MAX) {
		flush_tlb_mm(mm);
		return;
	}
	count_vm_events(NR_TLB_LOCAL_FLUSH_ONE, n);
	for (; n; n--, start += PAGE_SIZE)
		invlpg(start);
}

void flush_tlb_kernel_range(unsigned long start, unsigned long end)
{
	unsigned long cr4;

	if (end - start <= FLUSH_ONE_BY_ONE_MAX << PAGE_SHIFT) {
		count_vm_events(NR_TLB_LOCAL_FLUSH_ONE, (end - start) >> PAGE_SHIFT);
		for (; start < end; start += PAGE_SIZE)
			invlpg(start);
		return;
	}
	/* Global entries survive a reload of CR3, not a change of CR4.PGE. */
	count_vm_event(NR_TLB_LOCAL_FLUSH_ALL);
	cr4 = READ_CR(4);
	WRITE_CR(4, cr4 & ~CR4_PGE);
	WRITE_CR(4, cr4);
}

void arch_switch_mm(struct mm_struct *mm)
{
	unsigned int cpu = cpu_id();
	struct mm_struct *prev = loaded_mm[cpu];

	if (prev == mm)
		return;
	loaded_mm[cpu] = mm;
	if (prev)
		atomic_and(&prev->cpumask, ~(1u << cpu));
	if (mm)
		atomic_or(&mm->cpumask, 1u << cpu);
	WRITE_CR(3, mm ? __pa(mm->pgd) : kernel_cr3);
}
