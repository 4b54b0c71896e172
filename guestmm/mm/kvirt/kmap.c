/*
 * Windows onto high memory: every thread has one, of KMAP_SLOTS pages.
 *
 *   VMALLOC_START + n * THREAD_SIZE   a thread's stack
 *   KMAP_START + n * KMAP_SLOTS pages its window; the windows of the CPUs' first threads come after all others
 *
 * A window belongs to the thread, not to the CPU, as Linux's do. So the thread may be preempted, sleep and move to
 * another CPU with pages mapped, and a thread switch changes no entries.
 *
 * I1  Entries [0, kmap_depth) of a window map pages, the others nothing. Only the thread changes them, and
 *     interrupts that run on its stack; those restore them before they return.
 * I2  On the CPU kmap_cpu no entry of the TLB is older than the window's entry for that address: kmap_high()
 *     flushes there, and a thread that comes to another CPU with pages mapped flushes them there. The TLBs of other
 *     CPUs may hold old entries: nobody uses them.
 * I3  Tables of the windows are made with the thread and never freed (vmalloc.c, I3): addresses of stacks are
 *     reused.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "mm/init.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/highmem.h"
#include "mm/pgtable/pgtable.h"
#include "mmvm/audit.h"

#define WINDOW (KMAP_SLOTS * PAGE_SIZE)

static int make_window(struct thread_info *ti, unsigned long addr)
{
	pte_t *pte = kernel_pte_alloc(addr);

	if (!pte)
		return -ENOMEM;
	ti->kmap_addr = addr;
	ti->kmap_pte = pte; /* a window does not cross a table's end: WINDOW divides 2 MiB */
	return 0;
}

int kmap_thread_init(struct thread_info *ti)
{
	const unsigned long n = ((unsigned long)ti - VMALLOC_START) / THREAD_SIZE;

	return make_window(ti, KMAP_START + n * WINDOW);
}

void kmap_boot_thread_init(struct thread_info *ti, unsigned int cpu)
{
	/* Their tables were made at boot (arch/). */
	BUG_ON(make_window(ti, KMAP_BOOT_START + cpu * WINDOW));
}

void kmap_init(void)
{
	kmap_boot_thread_init(current_thread_info(), 0);
}

void *kmap_high(const struct page *page)
{
	struct thread_info *ti;
	unsigned long addr;
	unsigned int i;

	preempt_disable();
	ti = current_thread_info();
	i = ti->kmap_depth++;
	BUG_ON(i >= KMAP_SLOTS || !ti->kmap_pte);
	addr = ti->kmap_addr + i * PAGE_SIZE;
	pte_set((pte_t *)ti->kmap_pte + i, mk_pte(page_to_pfn(page), PAGE_KERNEL));
	flush_tlb_kernel_page_here(addr); /* I2 */
	ti->kmap_cpu = ti->cpu;
	preempt_enable();
	return (void *)addr;
}

void kunmap_high(const void *p)
{
	struct thread_info *ti = current_thread_info();
	const unsigned long at = (unsigned long)p & PAGE_MASK;
	unsigned int i;

	if (at - KMAP_START >= KMAP_END - KMAP_START)
		return; /* a page of low memory has no entry in the window */
	i = ti->kmap_depth - 1;
	BUG_ON(i >= KMAP_SLOTS || at != ti->kmap_addr + i * PAGE_SIZE);
	pte_set((pte_t *)ti->kmap_pte + i, __pte(0));
	ti->kmap_depth = i;
	if (debug_vm) /* any later use faults at once */
		flush_tlb_kernel_page_here(at);
}

void kmap_switch_to(struct thread_info *ti)
{
	if (likely(!ti->kmap_depth || ti->kmap_cpu == ti->cpu))
		return;
	for (unsigned int i = 0; i < ti->kmap_depth; i++)
		flush_tlb_kernel_page_here(ti->kmap_addr + i * PAGE_SIZE);
	ti->kmap_cpu = ti->cpu;
}

void kmap_audit_layout(struct mmvm_audit_kvirt *l)
{
	l->kmap_start = highmem_start ? KMAP_START : 0;
	l->kmap_end = highmem_start ? KMAP_END : 0;
	l->highmem_start = highmem_start;
}
