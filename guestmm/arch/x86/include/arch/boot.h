/*
 * What the files of arch/x86 tell each other, and what init/main.c calls to bring the machine up.
 * Portable code above does not include it.
 */
#ifndef ARCH_BOOT_H
#define ARCH_BOOT_H
#include "arch/asm.h"
#include "arch/ptrace.h"
#include "lib/types.h"

/* Boot, in this order (init/main.c) */
/** GDT, TSS, IDT, CR0/CR4/EFER, SYSCALL. From here on a fault is reported. */
void cpu_init(void);
/** For the other CPUs: the tables they will load, made by the first one, which gives `emergency`, a
 * stack for faults; then on the CPU itself. */
void cpu_prepare_secondary(unsigned int cpu, void *emergency);
void cpu_init_secondary(unsigned int cpu);
/** Direct map, kernel image with W^X, fixmap; loads CR3. memblock must know all RAM. */
void paging_init(void);
/** An area of per-CPU variables for each CPU; this one moves to its own. After paging_init(). */
void percpu_areas_init(void);
/** Part of it: the first CPU's tables for faults, made anew in its area; GS gets its base. */
void cpu_move_to_area(void);
/** Map [va, va + size) to pa in the kernel's tables, page by page or large; until vmalloc_init(). */
void boot_map_range(unsigned long va, phys_addr_t pa, u64 size, u64 prot);
/** Map struct pages for every RAM range, from memblock. After paging_init(). */
void vmemmap_init(void);
/** Local APIC, I/O APIC; the legacy PIC is masked. */
void apic_init(void);
void apic_init_secondary(void);
/** Give what only the boot needed to the buddy: init sections, page tables left over. */
void free_initmem(void);

/* Image, from guestmm.lds */
extern char _image_start[], _image_end[], _text_start[], _text_end[], _rodata_start[],
	_rodata_end[], _init_start[], _init_text_end[], _init_end[], _data_start[], _data_end[],
	_boot_stack_guard[], _syscall_ud_page[];
/** Physical address of something in the kernel image. */
static inline phys_addr_t image_pa(const void *p)
{
	return (unsigned long)p - 0xffffffff80000000ul;
}

/* Processor features that change what we do, found in cpu_init() */
extern bool cpu_has_smap;
/* CR3 value of the kernel's own tables. */
extern u64 kernel_cr3;

/** Fixup address for a faulting instruction of uaccess, or 0. */
unsigned long search_exception_table(unsigned long ip);

/* Exceptions (entry.S calls them; interrupts off, see E1) */
void do_trap(struct pt_regs *regs, unsigned int vector);
void do_user_fault(struct pt_regs *regs);
void do_kernel_fault(struct pt_regs *regs);
void do_irq(struct pt_regs *regs);
void do_timer_irq(struct pt_regs *regs);
void do_call_ipi(struct pt_regs *regs);
void do_resched_ipi(struct pt_regs *regs);

/* Interrupts of this CPU and to others (apic.c) */
/** First and last thing in an interrupt handler; the latter may switch threads. */
void apic_irq_enter(void);
void apic_irq_exit(struct pt_regs *regs);
void apic_send_ipi(unsigned int cpu, unsigned int vector);
void apic_send_nmi(unsigned int cpu);

/** Print registers and stack, tell the VMM, stop. */
void __noreturn die(struct pt_regs *regs, unsigned int vector, u64 cr2, const char *fmt, ...)
	__printf(4, 5);

/** Ask the VMM (enum mmvm_fastop). 0 or -errno. */
int vmm_fastop(u32 op, u64 dst, u64 src, u64 len, u64 value);
/** Send GSI to its vector on this CPU (edge triggered). */
void ioapic_route(u32 gsi);

#endif
