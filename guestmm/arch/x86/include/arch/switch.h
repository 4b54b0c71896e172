/*
 * The processor-specific part of the scheduler: switching stacks, entering user mode, the timer.
 */
#ifndef ARCH_SWITCH_H
#define ARCH_SWITCH_H
#include "lib/types.h"

struct task;
#define ARCH_FPU_SIZE 512 /* FXSAVE image */

/** Save callee-saved registers on the current stack, store the stack pointer in *prev_sp, continue
 * on next_sp. Interrupts off. */
void arch_switch_stack(unsigned long *prev_sp, unsigned long next_sp);
/** Build on an empty stack (top = one past its last byte) the frame from which arch_switch_stack
 * enters `entry` with interrupts off. Returns the stack pointer to switch to. */
unsigned long arch_init_stack(unsigned long top, void (*entry)(void));
/** Where user mode enters the kernel from now on (TSS rsp0 and the SYSCALL stack). */
void arch_set_kernel_stack(unsigned long top);
/** Enter user mode for the first time: registers zero, interrupts on. Never returns. */
void __noreturn arch_enter_user(unsigned long ip, unsigned long sp);

/** Leave for user mode with the registers of a whole frame on the current stack. Never returns. */
struct pt_regs;
void __noreturn arch_return_to_user(struct pt_regs *regs);

void arch_fpu_init(void *image); /* the state a program starts with */
void arch_fpu_save(void *image);
void arch_fpu_restore(const void *image);
void arch_set_fs_base(u64 base);
/** What GS has in user mode. Preemption off. */
void arch_set_gs_base(u64 base);
/** Boot: what user mode on this CPU learns by VDSO_CPUNODE_SEG (arch/vdso.h). */
void arch_set_cpunode(unsigned int cpu, unsigned int node);

/** One timer interrupt in `ns` from now (it calls scheduler_tick()); 0 = none. */
void arch_timer_oneshot(u64 ns);
/** Enable interrupts and halt until one arrives; returns with interrupts on. */
void arch_idle(void);
#endif
