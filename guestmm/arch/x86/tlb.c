/*
 * TLB maintenance. CR3 is loaded without PCID, which empties all but global entries, and kernel
 * mappings alone are global; so an address space that a CPU has not loaded has no entries there.
 *
 * T1  A user entry can be in a CPU's TLB only if its mm is the one loaded there (loaded_mm), and
 *     then the CPU's bit is in mm->cpumask. The bit is set before CR3 is loaded and cleared after
 *     it was left.
 * T2  Kernel threads run on the kernel's own tables or on those of the mm last loaded ("lazy"). A
 *     lazy CPU that is asked to flush leaves the mm instead: it is asked once. Before an mm's tables
 *     go, all CPUs have left it (arch_release_mm()).
 * T3  Whoever changes an entry does so before it looks at cpumask, with a full barrier between; a
 *     CPU that loads the mm sets its bit, with a full barrier, before it can read an entry. So one
 *     of the two sees the other.
 *
 * Other CPUs are asked by an interrupt, exactly those of cpumask, and answer when it is done
 * (smp.c). Their flushes may run in the middle of a wait for a lock, so callers may hold locks.
 */
#include "arch/boot.h"
#include "arch/pgtable.h"
#include "arch/processor.h"
#include "arch/smp.h"
#include "arch/thread_info.h"
#include "arch/tlb.h"
#include "mm/virt/mm_types.h"
#include "mm/phys/zone.h"

/* Beyond so many pages, one reload of CR3 and the refills after it cost less. */
#define FLUSH_ONE_BY_ONE_MAX 33

static struct mm_struct *loaded_mm[MMVM_MAX_CPUS];

struct flush {
	struct mm_struct *mm;	  /* NULL: kernel addresses */
	unsigned long start, end; /* end 0: everything */
};

static inline bool mm_is_loaded(const struct mm_struct *mm)
{
	return loaded_mm[cpu_id()] == mm;
}

static void leave_mm(unsigned int cpu)
{
	struct mm_struct *mm = loaded_mm[cpu];

	loaded_mm[cpu] = NULL;
	WRITE_CR(3, kernel_cr3);
	atomic_and(&mm->cpumask, ~(1u << cpu));
}

static void flush_kernel_range_here(unsigned long start, unsigned long end)
{
	unsigned long cr4;

	if (end - start <= FLUSH_ONE_BY_ONE_MAX << PAGE_SHIFT) {
		for (; start < end; start += PAGE_SIZE)
			invlpg(start);
		return;
	}
	/* Global entries survive a reload of CR3, not a change of CR4.PGE. */
	cr4 = READ_CR(4);
	WRITE_CR(4, cr4 & ~CR4_PGE);
	WRITE_CR(4, cr4);
}

/* ---- other CPUs ---- */

/* On the CPU that was asked, interrupts off. */
static void flush_remote(void *arg)
{
	const struct flush *f = arg;
	const struct thread_info *ti = current_thread_info();

	count_vm_event(NR_TLB_REMOTE_FLUSH_RECEIVED);
	if (!f->mm) {
		flush_kernel_range_here(f->start, f->end);
		return;
	}
	if (loaded_mm[ti->cpu] != f->mm)
		return; /* it has left meanwhile */
	if (ti->mm != f->mm)
		leave_mm(ti->cpu);
	else if (!f->end)
		WRITE_CR(3, READ_CR(3));
	else
		for (unsigned long addr = f->start; addr < f->end; addr += PAGE_SIZE)
			invlpg(addr);
}

static __attribute__((noinline)) void flush_others(struct mm_struct *mm, unsigned long start,
						   unsigned long end)
{
	struct flush f = {mm, start, end};
	u32 mask;

	preempt_disable();
	smp_mb(); /* T3 */
	mask = (mm ? READ_ONCE(mm->cpumask) : ~0u) & READ_ONCE(cpus_online) & ~(1u << cpu_id());
	if (mask) {
		count_vm_event(NR_TLB_REMOTE_FLUSH);
		smp_call(mask, flush_remote, &f, true);
	}
	preempt_enable();
}

/* ---- the interface ---- */

void flush_tlb_page(struct mm_struct *mm, unsigned long addr)
{
	if (mm_is_loaded(mm)) {
		count_vm_event(NR_TLB_LOCAL_FLUSH_ONE);
		invlpg(addr);
	}
	if (static_key(KEY_SMP))
		flush_others(mm, addr, addr + PAGE_SIZE);
}

static void flush_mm_here(void)
{
	count_vm_event(NR_TLB_LOCAL_FLUSH_ALL);
	WRITE_CR(3, READ_CR(3));
}

void flush_tlb_mm(struct mm_struct *mm)
{
	if (mm_is_loaded(mm))
		flush_mm_here();
	if (static_key(KEY_SMP))
		flush_others(mm, 0, 0);
}

void flush_tlb_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long n = (end - start + PAGE_SIZE - 1) >> PAGE_SHIFT;

	if (n > FLUSH_ONE_BY_ONE_MAX) {
		flush_tlb_mm(mm);
		return;
	}
	if (mm_is_loaded(mm)) {
		count_vm_events(NR_TLB_LOCAL_FLUSH_ONE, n);
		for (unsigned long addr = start; addr < end; addr += PAGE_SIZE)
			invlpg(addr);
	}
	if (static_key(KEY_SMP))
		flush_others(mm, start, end);
}

void flush_tlb_kernel_range(unsigned long start, unsigned long end)
{
	if (end - start <= FLUSH_ONE_BY_ONE_MAX << PAGE_SHIFT)
		count_vm_events(NR_TLB_LOCAL_FLUSH_ONE, (end - start) >> PAGE_SHIFT);
	else
		count_vm_event(NR_TLB_LOCAL_FLUSH_ALL);
	flush_kernel_range_here(start, end);
	if (static_key(KEY_SMP))
		flush_others(NULL, start, end);
}

/* Forget the batch's entries on this CPU. Interrupts or preemption off. */
static void flush_batch_here(const struct tlb_batch *b, bool remote)
{
	const struct thread_info *ti = current_thread_info();
	const struct mm_struct *mm = loaded_mm[ti->cpu];
	unsigned int n = min(b->nr, TLB_BATCH_MAX), flushed = 0;

	if (!mm)
		return;
	if (remote && ti->mm != mm) {
		leave_mm(ti->cpu); /* T2 */
		return;
	}
	if (b->nr > TLB_BATCH_MAX) {
		count_vm_event(NR_TLB_LOCAL_FLUSH_ALL);
		WRITE_CR(3, READ_CR(3));
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (b->entry[i].mm != mm)
			continue;
		flushed++;
		invlpg(b->entry[i].addr);
	}
	if (!remote)
		count_vm_events(NR_TLB_LOCAL_FLUSH_ONE, flushed);
}

static void flush_batch_remote(void *arg)
{
	count_vm_event(NR_TLB_REMOTE_FLUSH_RECEIVED);
	flush_batch_here(arg, true);
}

/* T3 holds: an entry is cleared by an exchange, a full barrier, before its mm's cpumask is read. */
void tlb_batch_flush(struct tlb_batch *b)
{
	u32 others;

	if (!b->nr)
		return;
	preempt_disable();
	others = b->cpumask & READ_ONCE(cpus_online) & ~(1u << cpu_id());
	if (b->cpumask & 1u << cpu_id())
		flush_batch_here(b, false);
	if (others) {
		count_vm_event(NR_TLB_REMOTE_FLUSH);
		smp_call(others, flush_batch_remote, b, true);
	}
	preempt_enable();
	b->nr = 0;
	b->cpumask = 0;
}

void arch_switch_mm(struct mm_struct *mm)
{
	unsigned int cpu = cpu_id();
	struct mm_struct *prev = loaded_mm[cpu];

	if (prev == mm)
		return;
	if (mm)
		atomic_or(&mm->cpumask, 1u << cpu);
	loaded_mm[cpu] = mm;
	WRITE_CR(3, mm ? __pa(mm->pgd) : kernel_cr3);
	if (prev)
		atomic_and(&prev->cpumask, ~(1u << cpu));
}

void arch_release_mm(struct mm_struct *mm)
{
	if (!static_key(KEY_SMP))
		return;
	preempt_disable();
	if (mm_is_loaded(mm)) {
		unsigned long flags = arch_irq_save();

		leave_mm(cpu_id());
		arch_irq_restore(flags);
	}
	preempt_enable();
	flush_others(mm, 0, 0);
}
