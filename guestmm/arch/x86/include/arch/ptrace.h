/* The registers of an interrupted context, as entry.S pushes them on the kernel stack: the frame of
 * the processor at the end, the system-call number or error code before it. */
#ifndef ARCH_PTRACE_H
#define ARCH_PTRACE_H
#ifndef __ASSEMBLY__
#include "lib/types.h"

struct pt_regs {
	u64 r15, r14, r13, r12, rbp, rbx;
	u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	u64 orig_rax; /* error code, interrupt vector or system-call number */
	u64 rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct pt_regs) == 21 * 8, "entry.S knows this layout");

static inline bool user_mode(const struct pt_regs *regs)
{
	return regs->cs & 3;
}
#endif
#endif
