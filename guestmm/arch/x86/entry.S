/*
 * All the ways into the kernel and out of it: the first instruction, exceptions, interrupts,
 * system calls, and the switch from one stack to another.
 *
 * Entry from user mode lands on the task's kernel stack (TSS rsp0, or the same value read by
 * asm_syscall). In the kernel GS has the base of the CPU's area (arch/percpu.h), in user mode that of
 * the program: every way in from user mode begins with ENTER_GS, every way out ends with LEAVE_GS.
 *
 * Two frames, one layout (struct pt_regs):
 *
 *   full     all 15 registers stored. Exceptions that may print them, interrupts.
 *   partial  rbx rbp r12-r15 left to the C code, which preserves them; their slots are garbage.
 *            Page faults from user mode and system calls: the hot ways in. It becomes a full one
 *            when there is work to do before user mode, so signals see and change all registers.
 *
 * E1  C handlers are entered with interrupts off and DF clear, and return with interrupts off.
 * E2  On the way to user mode, thread_info.need_resched and .flags are both zero at the last look,
 *     with interrupts off since then.
 * E3  GS has the kernel's base wherever C code runs. An exception in kernel mode may come between the
 *     way in and ENTER_GS, or between LEAVE_GS and the way out, only if it is one that nothing holds
 *     back (NMI, double fault, machine check): so all but page faults look at the base themselves.
 * E4  A RIP that user mode chose (SYSCALL's rcx, a signal frame) is canonical before SYSRET or
 *     IRETQ gets it: exit_to_user_work() sees to it, and is called for one that is not.
 *
 * Registers are saved by pushes in pt_regs order; `cld` because user mode may have set DF.
 */
#include "arch/asm.h"

	.section .note.mmvm, "a", @note
	.balign 4
	.long	5, 4, 1			/* name size, description size, MMVM_NOTE_CONTRACT */
	.asciz	"mmvm"
	.balign 4
	.long	1			/* MMVM_CONTRACT_VERSION; asserted in cpu.c */

/* ---- the first instruction: RSI = physical address of the device tree ------------------------ */

	.section .head.text, "ax", @progbits
	.globl	_start
_start:
	cli
	cld
	movq	$boot_stack + ASM_THREAD_SIZE, %rsp
	xorl	%ebp, %ebp
	movabsq	$ASM_STACK_MAGIC, %rax
	movq	%rax, boot_stack + ASM_TI_STACK_MAGIC(%rip)
	movl	$ASM_MSR_GS_BASE, %ecx	/* until percpu_init(): the variables' first copy */
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr
	movq	%rsi, %rdi
	call	start_kernel
1:	cli
	hlt
	jmp	1b

/* The first instruction of another CPU: 64-bit mode, our page tables, its idle thread's stack, its
 * number in EDI. */
	.globl	secondary_entry
secondary_entry:
	cld
	xorl	%ebp, %ebp
	movl	%edi, %edi
	movq	__per_cpu_offset(, %rdi, 8), %rdx
	movl	%edx, %eax
	shrq	$32, %rdx
	movl	$ASM_MSR_GS_BASE, %ecx
	wrmsr
	call	start_secondary

	/* zeroed by the loader: thread_info of CPU 0, no preemption pending */
	.section .boot_stack, "aw", @nobits
	.balign	ASM_THREAD_SIZE
	.globl	boot_stack
boot_stack:
	.skip	ASM_THREAD_SIZE

/* ---- frames ------------------------------------------------------------------------------------ */

	.text
/* Caller-saved registers; orig_rax is on the stack already. */
.macro PUSH_SCRATCH
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
.endm
.macro POP_SAVED
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
.endm
.macro PUSH_ALL
	PUSH_SCRATCH
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
.endm
/* Leaves with RSP at the processor's frame. */
.macro POP_SCRATCH
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	addq	$8, %rsp
.endm
/*
 * The program's GS base becomes the kernel's, and back. One instruction, made five bytes long by
 * prefixes without effect: where ring 0 is emulated and has no swapgs, gs_sites_init() turns it into a
 * call of a function that writes the register. Interrupts off; all registers are preserved; on the
 * way out nothing but the processor's frame is on the stack.
 */
.macro GS_SITE target
.Lgs\@:
	.byte	0x2e, 0x2e, 0x0f, 0x01, 0xf8	/* cs cs swapgs */
	.pushsection .init.rodata, "a", @progbits
	.long	.Lgs\@ - ., \target - .
	.popsection
.endm
.macro ENTER_GS
	GS_SITE	gs_enter_emulated
.endm
.macro LEAVE_GS
	GS_SITE	gs_leave_emulated
.endm
/* ENTER_GS if user mode was interrupted; a full frame is on the stack. */
.macro ENTER_GS_IF_USER
	testb	$3, PT_CS(%rsp)
	jz	9f
	ENTER_GS
9:
.endm
/* Jump to \slow when thread_info asks for work before user mode (E2). Clobbers rax. */
.macro CHECK_WORK slow
	movq	%gs:current_ti, %rax
	cmpq	$0, ASM_TI_WORK(%rax)
	jne	\slow
.endm

/* ---- exceptions --------------------------------------------------------------------------------- */

.macro TRAP name vector has_code=0
	.balign 16
	.globl	asm_trap_\name
asm_trap_\name:
	.if !\has_code
	pushq	$0
	.endif
	PUSH_ALL
	movl	$\vector, %esi
	jmp	trap_common
.endm

	TRAP de 0
	TRAP db 1
	TRAP nmi 2
	TRAP bp 3
	TRAP of 4
	TRAP br 5
	TRAP ud 6
	TRAP nm 7
	TRAP df 8 1
	TRAP ts 10 1
	TRAP np 11 1
	TRAP ss 12 1
	TRAP gp 13 1
	TRAP mf 16
	TRAP ac 17 1
	TRAP mc 18
	TRAP xf 19
	TRAP cp 21 1

	.balign 16
trap_common:
	testb	$3, PT_CS(%rsp)
	jz	trap_kernel
	ENTER_GS
	movq	%rsp, %rdi
	call	do_trap			/* (regs, vector) */
return_full:
	testb	$3, PT_CS(%rsp)
	jz	restore_kernel
	CHECK_WORK work_full
restore_full:
	POP_SAVED
	POP_SCRATCH
	LEAVE_GS
	iretq

/* Kernel mode was interrupted, perhaps where GS has the program's base (E3): rbx = the base it has,
 * r12 = the one of this CPU, whose number is at the bottom of every stack. */
trap_kernel:
	movl	$ASM_MSR_GS_BASE, %ecx
	rdmsr
	shlq	$32, %rdx
	movl	%eax, %ebx
	orq	%rdx, %rbx
	movq	%rsp, %rax
	andq	$-ASM_THREAD_SIZE, %rax
	movl	ASM_TI_CPU(%rax), %eax
	movq	__per_cpu_offset(, %rax, 8), %r12
	cmpq	%rbx, %r12
	je	1f
	movl	%r12d, %eax
	movq	%r12, %rdx
	shrq	$32, %rdx
	wrmsr
1:	movq	%rsp, %rdi
	call	do_trap
	cmpq	%rbx, %r12
	je	restore_kernel
	movl	$ASM_MSR_GS_BASE, %ecx
	movl	%ebx, %eax
	movq	%rbx, %rdx
	shrq	$32, %rdx
	wrmsr
restore_kernel:
	POP_SAVED
	POP_SCRATCH
	iretq

/* ENTER_GS and LEAVE_GS where ring 0 is emulated: called, all registers preserved. */
gs_enter_emulated:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	movq	%rsp, %rax
	andq	$-ASM_THREAD_SIZE, %rax
	movl	ASM_TI_CPU(%rax), %eax
	movq	__per_cpu_offset(, %rax, 8), %rax
1:	movq	%rax, %rdx
	shrq	$32, %rdx
	movl	$ASM_MSR_GS_BASE, %ecx
	wrmsr
	popq	%rdx
	popq	%rcx
	popq	%rax
	ret
gs_leave_emulated:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	movq	%gs:user_gs_base, %rax
	jmp	1b

/* exit_to_user_work(regs, in a system call?) */
work_full:
	xorl	%esi, %esi
	movq	%rsp, %rdi
	call	exit_to_user_work
	jmp	restore_full
work_syscall:
	movl	$1, %esi
	jmp	1f
work_partial:
	xorl	%esi, %esi
1:	movq	%r15, (%rsp)		/* the frame becomes a full one */
	movq	%r14, 8(%rsp)
	movq	%r13, 16(%rsp)
	movq	%r12, 24(%rsp)
	movq	%rbp, 32(%rsp)
	movq	%rbx, PT_RBX(%rsp)
	movq	%rsp, %rdi
	call	exit_to_user_work
	jmp	restore_full

/* #PF: from user mode the short way with a partial frame. */
	.balign 16
	.globl	asm_trap_pf
asm_trap_pf:
	testb	$3, 16(%rsp)		/* CS behind error code and RIP */
	jz	1f
	ENTER_GS
	PUSH_SCRATCH
	subq	$PT_R11, %rsp
	cld
	movq	%rsp, %rdi
	call	do_user_fault
	CHECK_WORK work_partial
restore_partial:
	addq	$PT_R11, %rsp
	POP_SCRATCH
	LEAVE_GS
	iretq
1:	PUSH_ALL
	movq	%rsp, %rdi
	call	do_kernel_fault
	jmp	restore_kernel

/* ---- interrupts: one stub a vector --------------------------------------------------------------- */

/*
 * A maskable interrupt does not come with interrupts off. QEMU's emulation of SVM lets one: it
 * remembers the vector that its hypervisor injected, and should its own loop be interrupted before
 * the next exit, it delivers it once more, whatever RFLAGS.IF says. Taken for real, such a phantom
 * spins for ever on the lock that the interrupted code holds. orig_rax is on the stack already.
 */
.macro NOT_A_PHANTOM
	testb	$2, 25(%rsp)		/* IF, in bits 8-15 of RFLAGS */
	jz	irq_phantom
.endm
	.balign 16
irq_phantom:
	addq	$8, %rsp		/* orig_rax */
	.globl	asm_irq_spurious
asm_irq_spurious:
	iretq

	.balign 16
	.globl	asm_irq_stubs
asm_irq_stubs:
	.set	vec, ASM_IRQ_VECTOR_FIRST
	.rept	ASM_NR_IRQ_VECTORS
	.balign 16
	pushq	$vec
	jmp	irq_common
	.set	vec, vec + 1
	.endr

	.balign 16
	.globl	asm_irq_timer
asm_irq_timer:
	pushq	$0
	NOT_A_PHANTOM
	PUSH_ALL
	ENTER_GS_IF_USER
	movq	%rsp, %rdi
	call	do_timer_irq
	jmp	return_full

	.balign 16
	.globl	asm_ipi_call
asm_ipi_call:
	pushq	$0
	NOT_A_PHANTOM
	PUSH_ALL
	ENTER_GS_IF_USER
	movq	%rsp, %rdi
	call	do_call_ipi
	jmp	return_full

	.balign 16
	.globl	asm_ipi_resched
asm_ipi_resched:
	pushq	$0
	NOT_A_PHANTOM
	PUSH_ALL
	ENTER_GS_IF_USER
	movq	%rsp, %rdi
	call	do_resched_ipi
	jmp	return_full

	.balign 16
irq_common:
	NOT_A_PHANTOM
	PUSH_ALL
	ENTER_GS_IF_USER
	movq	%rsp, %rdi
	call	do_irq
	jmp	return_full

/* ---- system calls ---------------------------------------------------------------------------------- */

.macro CALL_DISPATCH
	pushq	%rax			/* orig_rax: the number */
	PUSH_SCRATCH
	subq	$PT_R11, %rsp
	movq	%rsp, %rdi
	sti
	call	syscall_dispatch
	cli
	movq	%rax, PT_RAX(%rsp)
.endm

/* SYSCALL: RCX = user RIP, R11 = user RFLAGS, interrupts off (SFMASK), user's stack. */
	.balign 64
	.globl	asm_syscall
asm_syscall:
	swapgs
	movq	%rsp, %gs:cpu_entry + ASM_CPU_ENTRY_URSP
	movq	%gs:cpu_entry + ASM_CPU_ENTRY_RSP0, %rsp
	pushq	$ASM_USER_DS
	pushq	%gs:cpu_entry + ASM_CPU_ENTRY_URSP
	pushq	%r11
	pushq	$ASM_USER_CS
	pushq	%rcx
	CALL_DISPATCH
	CHECK_WORK work_syscall
	movq	PT_RIP(%rsp), %rcx
	shrq	$47, %rcx		/* E4: Intel's SYSRET faults in ring 0 on such a RIP */
	jnz	work_syscall
	addq	$PT_R11 + 8, %rsp
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	addq	$8, %rsp
	popq	%rdx
	popq	%rsi
	popq	%rdi
	movq	8(%rsp), %rcx
	movq	24(%rsp), %r11
	movq	32(%rsp), %rsp
	swapgs
	sysretq

/*
 * System call where ring 0 is emulated: LSTAR points at a ud2 that user mode may execute, and its
 * #UD is a proper exception with RCX and R11 as SYSCALL left them. User mode can also jump there,
 * so both are checked: RFLAGS keeps only what user mode may set. Returns by IRETQ.
 */
	.balign 16
	.globl	asm_trap_ud_syscall
asm_trap_ud_syscall:
	cmpq	$FIX_SYSCALL_UD, (%rsp)
	jne	asm_trap_ud
	ENTER_GS
	movq	%rcx, (%rsp)
	movq	$ASM_USER_CS, 8(%rsp)
	andl	$0x240dd5, %r11d	/* ID AC OF DF TF SF ZF AF PF CF */
	orl	$0x202, %r11d
	movq	%r11, 16(%rsp)
	movq	$ASM_USER_DS, 32(%rsp)
	cld
	CALL_DISPATCH
	CHECK_WORK work_syscall
	movq	PT_RIP(%rsp), %rcx
	shrq	$47, %rcx
	jz	restore_partial
	jmp	work_syscall

/* Where LSTAR points then. Filled with ud2: whatever offset is entered, #UD it is. */
	.section .syscall_ud, "ax", @progbits
	.balign	4096
	.fill	2048, 2, 0x0b0f

/* ---- switching ---------------------------------------------------------------------------------------- */

	.text
/* void arch_switch_stack(unsigned long *prev_sp, unsigned long next_sp) */
	.balign 16
	.globl	arch_switch_stack
arch_switch_stack:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret

/* void arch_enter_user(unsigned long ip, unsigned long sp): as if returning from an exception, with
 * all registers zero. */
	.balign 16
	.globl	arch_enter_user
arch_enter_user:
	cli
	pushq	$ASM_USER_DS
	pushq	%rsi
	pushq	$0x202
	pushq	$ASM_USER_CS
	pushq	%rdi
	.rept	PT_RIP / 8
	pushq	$0
	.endr
	jmp	return_full

/* void arch_return_to_user(struct pt_regs *regs) */
	.balign 16
	.globl	arch_return_to_user
arch_return_to_user:
	cli
	movq	%rdi, %rsp
	jmp	return_full

/* Calls to C that their callers do not see: all registers are preserved. */
.macro QUIET_CALL name target
	.balign 16
	.globl	\name
\name:
	pushq	%rbp
	movq	%rsp, %rbp
	PUSH_SCRATCH
	movq	8(%rbp), %r8		/* where it was called: a fifth argument */
	call	\target
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	popq	%rbp
	ret
.endm
	QUIET_CALL asm_spin_wait spin_wait
	QUIET_CALL asm_lockdep_acquire lockdep_acquire
	QUIET_CALL asm_lockdep_release lockdep_release

	.section .note.GNU-stack, "", @progbits
