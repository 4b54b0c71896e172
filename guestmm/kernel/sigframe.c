/*
 * The frame a signal handler runs on, as Linux lays it out on x86-64.
 *
 *   higher   ... the interrupted program's stack, its red zone of 128 bytes left alone
 *            FXSAVE image, 512 bytes, 64-aligned; PKRU in its last 4 <- mcontext.fpstate
 *            siginfo_t, 128 bytes                                    <- rsi
 *            ucontext: flags, link, stack, mcontext, signal mask     <- rdx
 *   lower    return address: the restorer, which calls rt_sigreturn  <- rsp, so that rsp + 8 is
 *                                                                       a multiple of 16
 *
 * The handler may change all of it. rt_sigreturn loads the program's state from there, as far as user
 * mode may set it: only some processor flags, valid selectors, a user address in RIP, no reserved bit of
 * MXCSR.
 *
 * Sources: <asm/ucontext.h>, <asm/sigcontext.h>, System V ABI AMD64 3.2.2; struct layouts asserted.
 */
#include "kernel/process.h"
#include "arch/pkey.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mmvm/layout.h"

struct sigcontext {
	u64 r8, r9, r10, r11, r12, r13, r14, r15;
	u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	u16 cs, gs, fs, ss;
	u64 err, trapno, oldmask, cr2, fpstate, reserved[8];
};
struct ucontext {
	u64 flags, link;
	struct sigaltstack {
		u64 sp;
		u32 flags, pad;
		u64 size;
	} stack;
	struct sigcontext mc;
	u64 sigmask;
};
struct rt_sigframe {
	u64 pretcode;
	struct ucontext uc;
	u8 info[128];
};
_Static_assert(sizeof(struct sigcontext) == 256, "Linux's ABI");
_Static_assert(offsetof(struct ucontext, sigmask) == 296, "Linux's ABI");
_Static_assert(sizeof(struct rt_sigframe) == 440, "Linux's ABI");

#define UC_SIGCONTEXT_SS     2
#define UC_STRICT_RESTORE_SS 4
#define RED_ZONE	     128
#define SS_ONSTACK	     1
#define SS_DISABLE	     2
#define USER_RFLAGS	     0x240dd5ul /* ID AC OF DF TF SF ZF AF PF CF */
#define RFLAGS_FIXED	     0x202ul
#define FXSAVE_MXCSR	     24
#define FXSAVE_MXCSR_MASK    28
#define MXCSR_DEFAULT_MASK   0xffbfu

static void put32(u8 *at, u32 v)
{
	memcpy(at, &v, sizeof(v));
}

static void put64(u8 *at, u64 v)
{
	memcpy(at, &v, sizeof(v));
}

/* siginfo_t begins with signo, errno, code. What follows depends on the signal: pid, uid and status, or an address. */
/* The signals whose positive si_codes have a meaning of their own. For other signals they are POLL_*. */
#define OWN_CODES                                                                               \
	(SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGBUS) | SIGBIT(SIGFPE) | SIGBIT(SIGSEGV) | \
	 SIGBIT(SIGSYS))

void siginfo_fill(u8 out[128], int sig, const struct siginfo_short *info)
{
	memset(out, 0, 128);
	put32(out, sig);
	put32(out + 8, info->code);
	if (sig == SIGCHLD && info->code > 0) {
		put32(out + 16, info->pid);
		put32(out + 20, info->uid);
		put32(out + 24, info->value);
	} else if (info->code > 0 && info->code < SI_KERNEL && !(OWN_CODES & SIGBIT(sig))) {
		put64(out + 16, (u32)info->pid); /* si_band: fs/async.c */
		put32(out + 24, info->value);	 /* si_fd */
	} else if (info->code > 0) {
		put64(out + 16, info->value); /* si_addr */
		if (sig == SIGSEGV && info->code == SEGV_PKUERR)
			put32(out + 32, info->pid); /* si_pkey */
		if (sig == SIGBUS && info->code == BUS_MCEERR_AR)
			put32(out + 24, PAGE_SHIFT); /* si_addr_lsb: a page is lost */
	} else {
		put32(out + 16, info->pid);
		put32(out + 20, info->uid); /* of a timer: overruns */
		put64(out + 24, info->value);
	}
}

static bool on_altstack(const struct task *t, unsigned long sp)
{
	return t->altstack_size && sp - t->altstack - 1 < t->altstack_size;
}

static void fill_context(struct ucontext *uc, const struct pt_regs *r, const struct task *t,
			 const struct fault_info *fault, u64 mask, unsigned long fpstate)
{
	memset(uc, 0, sizeof(*uc));
	uc->flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	uc->stack.sp = t->altstack;
	uc->stack.size = t->altstack_size;
	uc->stack.flags = !t->altstack_size ? SS_DISABLE : on_altstack(t, r->rsp) ? SS_ONSTACK : 0;
	uc->mc = (struct sigcontext){r->r8,	   r->r9,  r->r10,  r->r11,	  r->r12, r->r13,
				     r->r14,	   r->r15, r->rdi,  r->rsi,	  r->rbp, r->rbx,
				     r->rdx,	   r->rax, r->rcx,  r->rsp,	  r->rip, r->rflags,
				     MMVM_USER_CS, 0,	   0,	    MMVM_USER_DS, 0,	  0,
				     mask,	   0,	   fpstate, {0}};
	if (fault) {
		uc->mc.err = fault->error;
		uc->mc.trapno = fault->trap;
		uc->mc.cr2 = fault->cr2;
	}
	uc->sigmask = mask;
}

int sigframe_push(struct pt_regs *regs, int sig, const struct sigaction *act,
		  const struct siginfo_short *info, const struct fault_info *fault, u64 mask)
{
	struct task *t = current;
	unsigned long sp = regs->rsp - RED_ZONE, fpstate;
	struct rt_sigframe f;

	if (!(act->flags & SA_RESTORER))
		return -EFAULT; /* without a restorer there is no way back on x86-64 */
	if (act->flags & SA_ONSTACK && t->altstack_size && !on_altstack(t, regs->rsp))
		sp = t->altstack + t->altstack_size;
	fpstate = (sp - ARCH_FPU_SIZE) & ~63ul;
	sp = ((fpstate - sizeof(f)) & ~15ul) - 8;
	/* If the frame does not fit on the alternate stack, it must not overwrite what lies below. */
	if (on_altstack(t, regs->rsp) && !on_altstack(t, sp))
		return -EFAULT;

	f.pretcode = act->restorer;
	fill_context(&f.uc, regs, t, fault, mask, fpstate);
	siginfo_fill(f.info, sig, info);
	arch_fpu_save(t->fpu); /* they are in the processor: the kernel uses none */
	if (copy_to_user(fpstate, t->fpu, ARCH_FPU_SIZE) || copy_to_user(sp, &f, sizeof(f)))
		return -EFAULT;
	/* A handler starts with the keys of a new program: key 0 allows access, even if the interrupted code had
	 * denied it. */
	if (arch_has_pkeys())
		arch_set_pkru(PKRU_DEFAULT);
	regs->rdi = sig;
	regs->rsi = sp + offsetof(struct rt_sigframe, info);
	regs->rdx = sp + offsetof(struct rt_sigframe, uc);
	regs->rax = 0;
	regs->rsp = sp;
	regs->rip = act->handler;
	regs->rflags &= ~0x10500ul; /* RF DF TF: as the ABI has them at a function's start */
	return 0;
}

/* The program wrote the image: clear the bits with which FXRSTOR would fault. */
static int restore_fpu(unsigned long from)
{
	u8 image[ARCH_FPU_SIZE] __attribute__((aligned(16)));
	struct task *t = current;
	u32 mxcsr, mask;

	if (copy_from_user(image, from, sizeof(image)))
		return -EFAULT;
	preempt_disable();
	arch_fpu_save(t->fpu); /* writes the mask of the valid bits of MXCSR */
	memcpy(&mask, t->fpu + FXSAVE_MXCSR_MASK, sizeof(mask));
	memcpy(&mxcsr, image + FXSAVE_MXCSR, sizeof(mxcsr));
	put32(image + FXSAVE_MXCSR, mxcsr & (mask ? mask : MXCSR_DEFAULT_MASK));
	memcpy(t->fpu, image, sizeof(image));
	arch_fpu_restore(t->fpu);
	preempt_enable();
	return 0;
}

static void init_fpu(void)
{
	struct task *t = current;

	preempt_disable();
	arch_fpu_init(t->fpu);
	arch_fpu_restore(t->fpu);
	preempt_enable();
}

long sigframe_pop(struct pt_regs *r)
{
	struct fault_info bad = {.sig = SIGSEGV, .code = SI_KERNEL};
	struct task *t = current;
	struct ucontext uc;
	const struct sigcontext *c = &uc.mc;
	unsigned long flags;

	/* The handler's return has popped the first word of the frame. */
	if (copy_from_user(&uc, r->rsp - 8 + offsetof(struct rt_sigframe, uc), sizeof(uc)))
		goto bad_frame;
	if (!c->fpstate)
		init_fpu();
	else if (restore_fpu(c->fpstate))
		goto bad_frame;
	r->r8 = c->r8;
	r->r9 = c->r9;
	r->r10 = c->r10;
	r->r11 = c->r11;
	r->r12 = c->r12;
	r->r13 = c->r13;
	r->r14 = c->r14;
	r->r15 = c->r15;
	r->rdi = c->rdi;
	r->rsi = c->rsi;
	r->rbp = c->rbp;
	r->rbx = c->rbx;
	r->rdx = c->rdx;
	r->rcx = c->rcx;
	r->rsp = c->rsp;
	r->rip = c->rip;
	r->rflags = (c->rflags & USER_RFLAGS) | RFLAGS_FIXED;
	r->cs = MMVM_USER_CS;
	r->ss = MMVM_USER_DS;

	flags = spin_lock_irqsave(&task_list_lock);
	t->sig_blocked = uc.sigmask & ~UNMASKABLE;
	recalc_sigpending();
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!on_altstack(t, r->rsp)) {
		t->altstack = uc.stack.flags & SS_DISABLE ? 0 : uc.stack.sp;
		t->altstack_size = uc.stack.flags & SS_DISABLE ? 0 : uc.stack.size;
	}
	return c->rax;
bad_frame:
	process_fault(r, &bad, "bad signal frame");
	return 0;
}
