/*
 * Numbers that entry.S and C must agree on, usable from both. cpu.c asserts each against the C
 * definition it stands for.
 */
#ifndef ARCH_ASM_H
#define ARCH_ASM_H

#define ASM_KERNEL_CS	     0x10
#define ASM_KERNEL_DS	     0x18
#define ASM_USER_DS	     0x2b
#define ASM_USER_CS	     0x33
#define ASM_THREAD_SIZE	     16384
#define ASM_MSR_GS_BASE	     0xc0000101
#define ASM_TI_CPU	     16 /* thread_info: the CPU's number */
#define ASM_TI_WORK	     24 /* thread_info: need_resched and flags, looked at as one u64 */
#define ASM_TI_STACK_MAGIC   32
#define ASM_STACK_MAGIC	     0x57acce1157acce11
#define ASM_CPU_ENTRY_RSP0   4 /* struct cpu_entry */
#define ASM_CPU_ENTRY_URSP   104
#define ASM_IRQ_VECTOR_FIRST 0x30
#define ASM_NR_IRQ_VECTORS   32
#define VECTOR_TIMER	     0xec
#define VECTOR_CALL	     0xfb /* IPI: look into the inbox (smp.c) */
#define VECTOR_RESCHED	     0xfd /* IPI: look at the run queue */
#define VECTOR_SPURIOUS	     0xff

/* struct pt_regs */
#define PT_RBX	    40
#define PT_R11	    48
#define PT_RAX	    80
#define PT_ORIG_RAX 120
#define PT_RIP	    128
#define PT_CS	    136
#define PT_RFLAGS   144
#define PT_RSP	    152
#define PT_SIZE	    168

/* Fixmap: one page each from FIXMAP_START. The ud2 page is the only kernel address that user mode
 * may execute, and exists only under MMVM_QUIRK_SYSCALL_UD. */
#define FIX_LAPIC      0xffffffffff000000
#define FIX_IOAPIC     0xffffffffff001000
#define FIX_SYSCALL_UD 0xffffffffff002000
#define FIX_SHARED     0xffffffffff010000
/* The static per-CPU areas, one after the other (percpu.c). */
#define PERCPU_START 0xffffffffff200000
#define PERCPU_END   0xffffffffff400000

#endif
