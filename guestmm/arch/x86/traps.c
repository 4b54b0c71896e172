/*
 * Exceptions.
 *
 * From user mode: a page fault goes to the memory manager; what it cannot repair, and every other
 * exception, becomes a signal of the program (process_fault()), which ends it unless it has a
 * handler, and nothing else.
 *
 * From kernel mode there are three cases, told apart in this order:
 *
 *   1. The instruction is in the exception table: it is one of uaccess.S's accesses to user memory.
 *      A page fault is resolved as if the program had made it; failing that, execution goes on at
 *      the fixup, which reports how much was not done.
 *   2. A double fault whose address lies just below the stack pointer: the stack ran into its guard
 *      page.
 *   3. A bug of ours: registers, stack and message, and the machine stops.
 *
 * Kernel memory is mapped before it is used, so a fault on a kernel address is never repaired here.
 */
#include "arch/boot.h"
#include "arch/irqflags.h"
#include "arch/processor.h"
#include "arch/smp.h"
#include "arch/thread_info.h"
#include "lib/lockdep.h"
#include "kernel/testchan.h"
#include "kernel/console.h"
#include "kernel/task.h"
#include "mm/virt/mm.h"
#include "mm/virt/pkey.h"

/* Error code of a page fault, APM vol. 2, 8.4.2 */
#define PF_PRESENT (1u << 0)
#define PF_WRITE   (1u << 1)
#define PF_USER	   (1u << 2)
#define PF_RSVD	   (1u << 3)
#define PF_INSTR   (1u << 4)
#define PF_PK	   (1u << 5) /* refused by a protection key: the page is present */

enum {
	X86_DE = 0,
	X86_DB = 1,
	X86_NMI = 2,
	X86_BP = 3,
	X86_OF = 4,
	X86_BR = 5,
	X86_UD = 6,
	X86_DF = 8,
	X86_TS = 10,
	X86_NP = 11,
	X86_SS = 12,
	X86_GP = 13,
	X86_PF = 14,
	X86_MF = 16,
	X86_AC = 17,
	X86_XF = 19
};

static const char *const trap_names[] = {
	[X86_DE] = "divide error",
	[X86_DB] = "debug exception",
	[X86_NMI] = "NMI",
	[X86_BP] = "int3",
	[X86_OF] = "overflow",
	[X86_BR] = "bounds",
	[X86_UD] = "invalid opcode",
	[7] = "device not available",
	[X86_DF] = "double fault",
	[X86_TS] = "invalid TSS",
	[X86_NP] = "segment not present",
	[X86_SS] = "stack segment",
	[X86_GP] = "general protection fault",
	[X86_PF] = "page fault",
	[X86_MF] = "x87 error",
	[X86_AC] = "alignment check",
	[18] = "machine check",
	[X86_XF] = "SIMD error",
	[21] = "control protection",
};

static const char *trap_name(unsigned int vector)
{
	if (vector < ARRAY_SIZE(trap_names) && trap_names[vector])
		return trap_names[vector];
	return "unknown exception";
}

static int trap_signal(unsigned int vector)
{
	switch (vector) {
	case X86_DE:
	case X86_MF:
	case X86_XF:
		return SIGFPE;
	case X86_DB:
	case X86_BP:
		return SIGTRAP;
	case X86_UD:
		return SIGILL;
	case X86_SS:
	case X86_NP:
	case X86_AC:
		return SIGBUS;
	default:
		return SIGSEGV;
	}
}

static int trap_code(unsigned int vector)
{
	switch (vector) {
	case X86_DE:
		return FPE_INTDIV;
	case X86_UD:
		return ILL_ILLOPN;
	default:
		return SI_KERNEL;
	}
}

/* Go on at the fixup if the instruction has one. */
static bool fixup_exception(struct pt_regs *regs)
{
	unsigned long fixup = search_exception_table(regs->rip);

	if (!fixup)
		return false;
	regs->rip = fixup;
	return true;
}

void do_trap(struct pt_regs *regs, unsigned int vector)
{
	u64 cr2 = READ_CR(2);

	if (vector == X86_NMI)
		smp_nmi(regs);
	if (user_mode(regs) && vector != X86_NMI && vector != X86_DF && vector != 18) {
		struct fault_info f = {.sig = trap_signal(vector),
				       .code = trap_code(vector),
				       .trap = vector,
				       .addr = regs->rip,
				       .error = regs->orig_rax,
				       .cr2 = cr2};

		arch_irq_enable();
		process_fault(regs, &f, trap_name(vector));
		arch_irq_disable();
		return;
	}
	if (vector == X86_GP && fixup_exception(regs))
		return; /* a non-canonical user address */
	/* The push that failed lies below RSP, by at most the frame of one function. */
	if (vector == X86_DF && regs->rsp - cr2 + 64 <= PAGE_SIZE)
		die(regs, vector, cr2, "kernel stack overflow");
	die(regs, vector, cr2, "%s, error %lx", trap_name(vector), (unsigned long)regs->orig_rax);
}

/* The access that the program asked for, also where the kernel executes it (uaccess). */
static inline unsigned int fault_flags(u64 error)
{
	_Static_assert(FAULT_FLAG_WRITE == PF_WRITE && FAULT_FLAG_USER == PF_USER &&
			       FAULT_FLAG_EXEC == PF_INSTR,
		       "passed on as they are");
	return (error & (PF_WRITE | PF_INSTR)) | FAULT_FLAG_USER;
}

/* Would the key have refused it as well, had the page been there? Linux says so first. */
static bool refused_by_key(int pkey, u64 error)
{
	u32 rights;

	if (!arch_has_pkeys() || error & PF_INSTR)
		return false;
	rights = arch_pkru() >> pkey * 2;
	return rights & PKEY_DISABLE_ACCESS || (error & PF_WRITE && rights & PKEY_DISABLE_WRITE);
}

/* A signal for the program, or the end of it all when the page tables themselves are broken. */
static void user_fault_failed(struct pt_regs *regs, unsigned long addr, unsigned int ret)
{
	struct fault_info f = {.sig = SIGSEGV,
			       .code = SEGV_MAPERR,
			       .trap = X86_PF,
			       .addr = addr,
			       .error = regs->orig_rax,
			       .cr2 = addr};

	if (regs->orig_rax & PF_RSVD)
		die(regs, X86_PF, addr, "reserved bit set in a page-table entry");
	if (ret & VM_FAULT_HWPOISON) {
		f.sig = SIGBUS;
		f.code = BUS_MCEERR_AR;
	} else if (ret & VM_FAULT_SIGBUS) {
		f.sig = SIGBUS;
		f.code = BUS_ADRERR;
	} else if (regs->orig_rax & PF_PK || ret & VM_FAULT_SIGSEGV_ACCERR) {
		f.pkey = pkey_at(current_thread_info()->mm, addr);
		f.code = regs->orig_rax & PF_PK || refused_by_key(f.pkey, regs->orig_rax)
				 ? SEGV_PKUERR
				 : SEGV_ACCERR;
	}
	process_fault(regs, &f, f.sig == SIGBUS ? "bus error" : "segfault");
}

void do_user_fault(struct pt_regs *regs)
{
	struct thread_info *ti = current_thread_info();
	unsigned long addr = READ_CR(2);
	unsigned int ret;

	arch_irq_enable();
	ret = handle_mm_fault(ti->mm, addr, fault_flags(regs->orig_rax));
	/* Out of memory is no fault of the program's: it touches the page again, after the OOM
	 * killer made room, or never if the killer chose this very process. */
	if (unlikely(ret & VM_FAULT_ERROR & ~VM_FAULT_OOM || regs->orig_rax & (PF_RSVD | PF_PK)))
		user_fault_failed(regs, addr, ret);
	arch_irq_disable();
}

void do_kernel_fault(struct pt_regs *regs)
{
	struct thread_info *ti = current_thread_info();
	unsigned long addr = READ_CR(2);
	unsigned long fixup = search_exception_table(regs->rip);
	unsigned int ret;

	if (!fixup || regs->orig_rax & PF_RSVD)
		die(regs, X86_PF, addr, "%s %s at %016lx",
		    addr < PAGE_SIZE		? "null pointer:"
		    : regs->orig_rax & PF_INSTR ? "bad jump:"
		    : regs->orig_rax & PF_WRITE ? "bad write:"
						: "bad read:",
		    regs->orig_rax & PF_PRESENT ? "protection" : "not mapped", addr);
	if (!(addr >> 63) && !(regs->orig_rax & PF_PK) && ti->mm && ti->preempt_count == 0 &&
	    regs->rflags & RFLAGS_IF) {
		/* AC is on inside uaccess; it must not be on while other code runs. */
		if (cpu_has_smap)
			__asm__ volatile("clac" ::: "memory");
		arch_irq_enable();
		do {
			ret = handle_mm_fault(ti->mm, addr,
					      fault_flags(regs->orig_rax) | FAULT_FLAG_KERNEL);
		} while (ret & VM_FAULT_OOM && !(READ_ONCE(ti->flags) & TIF_KILLED));
		arch_irq_disable();
		if (!(ret & VM_FAULT_ERROR))
			return;
	}
	regs->rip = fixup;
}

/* ---- the end ---- */

static struct mmvm_crash crash;
#define NO_VECTOR (~0ull) /* panic(): no exception, no registers worth printing */

/* Return addresses along the frame pointers, as far as they stay on the stack they started on. */
static bool is_text(u64 addr)
{
	return addr >= (u64)_text_start && addr < (u64)_init_text_end;
}

static void print_backtrace(u64 rip, u64 rbp, u64 rsp)
{
	u64 low = rbp & ~(THREAD_SIZE - 1), high = low + THREAD_SIZE;

	console_printf("Call trace:\n %016lx\n", (unsigned long)rip);
	/* After a call through a bad pointer the caller's address is on top of the stack. */
	if (!is_text(rip) && rsp >= low && rsp < high && !(rsp & 7))
		console_printf(" %016lx\n", *(const unsigned long *)rsp);
	for (unsigned int depth = 0; depth < 24; depth++) {
		const u64 *frame = (const u64 *)rbp;

		if (rbp < PAGE_OFFSET || rbp & 7 || rbp < low || rbp + 16 > high ||
		    !is_text(frame[1]))
			return;
		console_printf(" %016lx\n", (unsigned long)frame[1]);
		if (frame[0] <= rbp)
			return;
		rbp = frame[0];
	}
}

static void print_registers(const struct mmvm_crash *c)
{
	console_printf("RIP %04lx:%016lx RFLAGS %08lx vector %lu error %lx CR2 %016lx CR3 %lx\n"
		       "RAX %016lx RBX %016lx RCX %016lx RDX %016lx\n"
		       "RSI %016lx RDI %016lx RBP %016lx RSP %016lx\n"
		       "R8  %016lx R9  %016lx R10 %016lx R11 %016lx\n"
		       "R12 %016lx R13 %016lx R14 %016lx R15 %016lx\n",
		       c->cs, c->rip, c->rflags, c->vector, c->error, c->cr2, c->cr3, c->rax,
		       c->rbx, c->rcx, c->rdx, c->rsi, c->rdi, c->rbp, c->rsp, c->r8, c->r9, c->r10,
		       c->r11, c->r12, c->r13, c->r14, c->r15);
}

static void __noreturn crash_end(const char *message)
{
	console_printf("\nKernel panic: %s\n", message);
	if (crash.vector != NO_VECTOR)
		print_registers(&crash);
	print_backtrace(crash.rip, crash.rbp, crash.rsp);
	smp_print_stopped(print_backtrace);
	testchan_record(MMVM_REC_PANIC, "panic", (u64)&crash, 0, message);
	cpu_stop();
}

/* A second crash while reporting the first must not start over: say so and stop. */
static void crash_begin(void)
{
	static u32 crashing;

	arch_irq_disable();
	current_thread_info()->preempt_count++;
	lockdep_off();
	smp_stop_others();
	if (atomic_xchg(&crashing, 1)) {
		testchan_record(MMVM_REC_PANIC, "panic", (u64)&crash, 0, "crashed while crashing");
		cpu_stop();
	}
	crash.cr3 = READ_CR(3);
	crash.cr2 = READ_CR(2);
}

void die(struct pt_regs *regs, unsigned int vector, u64 cr2, const char *fmt, ...)
{
	static char message[256];
	va_list ap;

	crash_begin();
	crash = (struct mmvm_crash){vector,    regs->orig_rax, cr2,	  crash.cr3, regs->rax,
				    regs->rbx, regs->rcx,      regs->rdx, regs->rsi, regs->rdi,
				    regs->rbp, regs->rsp,      regs->r8,  regs->r9,  regs->r10,
				    regs->r11, regs->r12,      regs->r13, regs->r14, regs->r15,
				    regs->rip, regs->rflags,   regs->cs,  regs->ss};
	va_start(ap, fmt);
	kvsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	crash_end(message);
}

void arch_panic(const char *message, u64 rip, u64 rbp)
{
	crash_begin();
	/* Only what a function call preserves means something here. */
	crash.vector = NO_VECTOR;
	crash.rip = rip;
	crash.rbp = rbp;
	crash.rsp = rbp;
	crash.cs = MMVM_KERNEL_CS;
	crash.ss = MMVM_KERNEL_DS;
	crash_end(message);
}
