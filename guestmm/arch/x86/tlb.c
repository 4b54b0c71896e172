/*
 * TLB maintenance. Kernel mappings alone are global. Without PCIDs a load of CR3 empties all but global
 * entries, so an address space that a CPU has not loaded has no entries there. With them (below) it may
 * have some, which cannot be used until it is loaded again.
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
 * PCIDs (SDM vol. 3, 4.10.1; CPUID leaf 1, PCID; `nopcid` turns them off) tag the entries of address spaces, so
 * that those of an mm outlive a switch. Each CPU has NR_PCIDS of them, which it gives to the address spaces it
 * loads, in turn; PCID 0 is that of the kernel's own tables, which have no user entries.
 *
 * T4  mm->tlb_gen counts the flushes asked for. It is raised after entries were changed and before
 *     cpumask is read (T3). A PCID's `gen` is the count up to which all flushes were done on this CPU. So a CPU
 *     that loads the mm finds its PCID behind, and flushes then, or was asked.
 * T5  `gen` is raised after the flush, never past a flush that was not done. A request for flush gen + 1 forgets
 *     what it names; a later one, when others came between, forgets everything.
 * T6  A PCID's owner is named by tlb_id, which is never used again: an mm at the address of one that has ended
 *     finds no PCID.
 *
 * A CPU's PCIDs change with interrupts off.
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

/* From this many pages on, one reload of CR3 and the refills after it cost less. */
#define FLUSH_ONE_BY_ONE_MAX 33

static DEFINE_PER_CPU(struct mm_struct *, loaded_mm);

#define NR_PCIDS    6u
#define CR3_NOFLUSH (1ul << 63)

struct pcid {
	u64 id;	 /* tlb_id of its mm; 0: none yet */
	u64 gen; /* T5 */
};
static DEFINE_PER_CPU(struct pcid[NR_PCIDS], pcids);
static DEFINE_PER_CPU(u32, loaded_pcid); /* index of loaded_mm's */
static DEFINE_PER_CPU(u32, next_pcid);	 /* that is given away next */
static u64 last_tlb_id;			 /* A */

struct flush {
	struct mm_struct *mm;	  /* NULL: kernel addresses */
	unsigned long start, end; /* end 0: everything */
	u64 gen;		  /* T4; without PCIDs unused */
};

static inline bool mm_is_loaded(const struct mm_struct *mm)
{
	return this_cpu_read(loaded_mm) == mm;
}

static void leave_mm(unsigned int cpu)
{
	struct mm_struct *mm = this_cpu_read(loaded_mm);

	this_cpu_write(loaded_mm, NULL);
	WRITE_CR(3, static_key(KEY_PCID) ? kernel_cr3 | CR3_NOFLUSH : kernel_cr3);
	atomic_and(&mm->cpumask, ~(1u << cpu));
}

static inline unsigned long nr_pages_of(unsigned long start, unsigned long end)
{
	return (end - start + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

static inline void forget_range(unsigned long start, unsigned long end)
{
	for (; start < end; start += PAGE_SIZE)
		invlpg(start);
}

static void flush_kernel_range_here(unsigned long start, unsigned long end)
{
	unsigned long cr4;

	if (end - start <= FLUSH_ONE_BY_ONE_MAX << PAGE_SHIFT) {
		forget_range(start, end);
		return;
	}
	/* Global entries survive a reload of CR3, not a change of CR4.PGE. */
	cr4 = READ_CR(4);
	WRITE_CR(4, cr4 & ~CR4_PGE);
	WRITE_CR(4, cr4);
}

/* ---- PCIDs ---- */

/* That of the mm which is loaded. */
static struct pcid *this_pcid(void)
{
	return &(*this_cpu_ptr(&pcids))[this_cpu_read(loaded_pcid)];
}

/* The value of CR3 for `mm`, whose bit in cpumask is set (T3). Interrupts off until it is loaded: a flush in between
 * would go to the PCID that is loaded now. */
static __attribute__((noinline)) unsigned long cr3_with_pcid(struct mm_struct *mm)
{
	const u64 gen = atomic_load(&mm->tlb_gen);
	struct pcid *pcids_here = *this_cpu_ptr(&pcids), *p;
	u64 id = atomic_load(&mm->tlb_id);
	unsigned long flush = 0;
	u32 i;

	if (!id) {
		atomic_cmpxchg(&mm->tlb_id, 0, atomic_add_return(&last_tlb_id, 1));
		id = atomic_load(&mm->tlb_id);
	}
	for (i = 0; i < NR_PCIDS && pcids_here[i].id != id; i++)
		;
	if (i == NR_PCIDS) {
		i = this_cpu_read(next_pcid);
		this_cpu_write(next_pcid, (i + 1) % NR_PCIDS);
		pcids_here[i].id = id;
		flush = 1;
	}
	p = &pcids_here[i];
	if (flush || p->gen != gen) {
		flush = 1;
		p->gen = gen;
	}
	this_cpu_write(loaded_pcid, i);
	return __pa(mm->pgd) | (i + 1) | (flush ? 0 : CR3_NOFLUSH);
}

/* Forget all of the mm that is loaded. */
static void flush_loaded_mm(void)
{
	if (static_key(KEY_PCID)) {
		struct mm_struct *mm = this_cpu_read(loaded_mm);
		u64 gen = atomic_load(&mm->tlb_gen);

		WRITE_CR(3, READ_CR(3)); /* reads without NOFLUSH */
		this_pcid()->gen = gen;
		return;
	}
	WRITE_CR(3, READ_CR(3));
}

/* A request for the mm that is loaded, with PCIDs. Interrupts off. */
static void flush_loaded_pcid(const struct flush *f)
{
	struct pcid *p = this_pcid();

	if (p->gen >= f->gen)
		return; /* it was loaded, or flushed as a whole, since */
	if (!f->end || f->gen != p->gen + 1) {
		flush_loaded_mm();
		return;
	}
	forget_range(f->start, f->end);
	p->gen = f->gen;
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
	if (this_cpu_read(loaded_mm) != f->mm)
		return; /* it has left since */
	if (ti->mm != f->mm)
		leave_mm(ti->cpu);
	else if (static_key(KEY_PCID))
		flush_loaded_pcid(f);
	else if (!f->end)
		flush_loaded_mm();
	else
		forget_range(f->start, f->end);
}

static void ask_others(struct flush *f)
{
	u32 mask;

	preempt_disable();
	smp_mb(); /* T3 */
	mask = (f->mm ? READ_ONCE(f->mm->cpumask) : ~0u) & READ_ONCE(cpus_online) &
	       ~(1u << cpu_id());
	if (mask) {
		count_vm_event(NR_TLB_REMOTE_FLUSH);
		smp_call(mask, flush_remote, f, CALL_ANYWHERE);
	}
	preempt_enable();
}

static __attribute__((noinline)) void flush_others(struct mm_struct *mm, unsigned long start,
						   unsigned long end)
{
	ask_others(&(struct flush){mm, start, end, 0});
}

/* The interface's three with PCIDs; `end` 0: all of mm. The CPU may be another one by the time interrupts are off: then
 * that one has loaded the mm since (T4). */
static __attribute__((noinline)) void flush_pcid(struct mm_struct *mm, unsigned long start,
						 unsigned long end)
{
	struct flush f = {mm, start, end, atomic_add_return(&mm->tlb_gen, 1)};
	unsigned long flags = arch_irq_save();

	if (mm_is_loaded(mm)) {
		if (end)
			count_vm_events(NR_TLB_LOCAL_FLUSH_ONE, nr_pages_of(start, end));
		else
			count_vm_event(NR_TLB_LOCAL_FLUSH_ALL);
		flush_loaded_pcid(&f);
	}
	arch_irq_restore(flags);
	if (static_key(KEY_SMP))
		ask_others(&f);
}

/* ---- the interface ---- */

void flush_tlb_page(struct mm_struct *mm, unsigned long addr)
{
	if (static_key(KEY_PCID)) {
		flush_pcid(mm, addr, addr + PAGE_SIZE);
		return;
	}
	if (mm_is_loaded(mm)) {
		count_vm_event(NR_TLB_LOCAL_FLUSH_ONE);
		invlpg(addr);
	}
	if (static_key(KEY_SMP))
		flush_others(mm, addr, addr + PAGE_SIZE);
}

void flush_tlb_mm(struct mm_struct *mm)
{
	if (static_key(KEY_PCID)) {
		flush_pcid(mm, 0, 0);
		return;
	}
	if (mm_is_loaded(mm)) {
		count_vm_event(NR_TLB_LOCAL_FLUSH_ALL);
		flush_loaded_mm();
	}
	if (static_key(KEY_SMP))
		flush_others(mm, 0, 0);
}

void flush_tlb_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long n = nr_pages_of(start, end);

	if (n > FLUSH_ONE_BY_ONE_MAX) {
		flush_tlb_mm(mm);
		return;
	}
	if (static_key(KEY_PCID)) {
		flush_pcid(mm, start, end);
		return;
	}
	if (mm_is_loaded(mm)) {
		count_vm_events(NR_TLB_LOCAL_FLUSH_ONE, n);
		forget_range(start, end);
	}
	if (static_key(KEY_SMP))
		flush_others(mm, start, end);
}

void flush_tlb_kernel_page_here(unsigned long addr)
{
	invlpg(addr);
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

enum flush_for { FOR_MYSELF, FOR_ANOTHER_CPU };

/* Forget the batch's entries on this CPU. Interrupts or preemption off. */
static void flush_batch_here(const struct tlb_batch *b, enum flush_for whom)
{
	const struct thread_info *ti = current_thread_info();
	const struct mm_struct *mm = this_cpu_read(loaded_mm);
	unsigned int n = min(b->nr, TLB_BATCH_MAX), flushed = 0;

	if (!mm)
		return;
	if (whom == FOR_ANOTHER_CPU && ti->mm != mm) {
		leave_mm(ti->cpu); /* T2 */
		return;
	}
	if (b->nr > TLB_BATCH_MAX) {
		count_vm_event(NR_TLB_LOCAL_FLUSH_ALL);
		flush_loaded_mm();
		return;
	}
	/* A PCID's gen stays behind: other entries may have been added between these. */
	for (unsigned int i = 0; i < n; i++) {
		if (b->entry[i].mm != mm)
			continue;
		flushed++;
		invlpg(b->entry[i].addr);
	}
	if (whom != FOR_ANOTHER_CPU)
		count_vm_events(NR_TLB_LOCAL_FLUSH_ONE, flushed);
}

static void flush_batch_remote(void *arg)
{
	count_vm_event(NR_TLB_REMOTE_FLUSH_RECEIVED);
	flush_batch_here(arg, FOR_ANOTHER_CPU);
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
		flush_batch_here(b, FOR_MYSELF);
	if (others) {
		count_vm_event(NR_TLB_REMOTE_FLUSH);
		smp_call(others, flush_batch_remote, b, CALL_ANYWHERE);
	}
	preempt_enable();
	b->nr = 0;
	b->cpumask = 0;
}

void arch_switch_mm(struct mm_struct *mm)
{
	unsigned int cpu = cpu_id();
	struct mm_struct *prev = this_cpu_read(loaded_mm);

	if (prev == mm)
		return;
	if (mm) {
		atomic_or(&mm->cpumask, 1u << cpu);
		/* After cpumask: see access_begin(). */
		if (static_key(KEY_NUMA) && mmvm_shared->access_ms)
			atomic_or(&mm->access_cpus, 1u << cpu);
	}
	this_cpu_write(loaded_mm, mm);
	if (static_key(KEY_PCID))
		WRITE_CR(3, mm ? cr3_with_pcid(mm) : kernel_cr3 | CR3_NOFLUSH);
	else
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
