/*
 * Signals to handlers, as Linux delivers them: the frame, what a handler may change in it, masks,
 * the alternate stack, interrupted and restarted system calls. It passes on Linux too.
 *
 *   sigtest [CASE]    no argument: all
 *
 * Exit status: 0 all as expected, 1 not (each difference is printed).
 */
#include "fs.h"

#define SYS_read	   0
#define SYS_rt_sigaction   13
#define SYS_rt_sigprocmask 14
#define SYS_rt_sigreturn   15
#define SYS_pipe	   22
#define SYS_pause	   34
#define SYS_fork	   57
#define SYS_wait4	   61
#define SYS_kill	   62
#define SYS_rt_sigpending  127
#define SYS_rt_sigsuspend  130
#define SYS_sigaltstack	   131
#define SYS_gettid	   186
#define SYS_tkill	   200

#define EINTR	     4
#define EPERM	     1
#define SIGILL	     4
#define SIGFPE	     8
#define SIGKILL	     9
#define SIGUSR1	     10
#define SIGSEGV	     11
#define SIGUSR2	     12
#define SIGTERM	     15
#define SIGCHLD	     17
#define SA_SIGINFO   4ul
#define SA_ONSTACK   0x08000000ul
#define SA_RESTART   0x10000000ul
#define SA_NODEFER   0x40000000ul
#define SA_RESETHAND 0x80000000ul
#define SA_RESTORER  0x04000000ul
#define SIG_BLOCK    0
#define SIG_UNBLOCK  1
#define SIG_SETMASK  2
#define BIT(sig)     (1ul << ((sig)-1))

struct action {
	void (*handler)(int, void *, void *);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
};
struct siginfo {
	int signo, err, code, pad;
	union {
		unsigned long addr;
		struct {
			int pid, uid, status;
		};
	};
	long more[12];
};
struct ucontext {
	unsigned long flags, link, stack_sp, stack_flags, stack_size;
	unsigned long r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp,
		rip, rflags;
	unsigned short cs, gs, fs, ss;
	unsigned long err, trapno, oldmask, cr2, fpstate, reserved[8];
	unsigned long sigmask;
};

static int different;
static volatile int calls, seen_signo, seen_code;
static volatile unsigned long seen_addr, seen_sp, seen_mask;

static void expect(const char *what, long got, long want)
{
	if (got == want)
		return;
	print("sigtest: %s: got %ld, expected %ld\n", what, got, want);
	different++;
}

void restorer(void);
__asm__("restorer: movl $15, %eax\n"
	"	syscall\n");

static void handle(int sig, void (*fn)(int, void *, void *), unsigned long flags,
		   unsigned long mask)
{
	struct action a = {fn, flags | SA_RESTORER | SA_SIGINFO, restorer, mask};

	expect("sigaction", syscall6(SYS_rt_sigaction, sig, (long)&a, 0, 8, 0, 0), 0);
}

static void reset(int sig)
{
	struct action a = {0, 0, 0, 0};

	syscall6(SYS_rt_sigaction, sig, (long)&a, 0, 8, 0, 0);
}

static void send(int sig)
{
	syscall3(SYS_kill, sys_getpid(), sig, 0);
}

static unsigned long mask_now(void)
{
	unsigned long m = 0;

	syscall6(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&m, 8, 0, 0);
	return m;
}

static void set_mask(int how, unsigned long m)
{
	expect("sigprocmask", syscall6(SYS_rt_sigprocmask, how, (long)&m, 0, 8, 0, 0), 0);
}

static void note(int sig, void *info, void *context)
{
	struct siginfo *si = info;

	calls++;
	seen_signo = si->signo == sig ? sig : -1;
	seen_code = si->code;
	seen_addr = si->addr;
	seen_sp = (unsigned long)&si;
	seen_mask = mask_now();
}

/* ---- repair and go on ---- */

static unsigned long page;

static void make_writable(int sig, void *info, void *context)
{
	struct siginfo *si = info;
	struct ucontext *uc = context;

	note(sig, info, context);
	expect("error code", (uc->err & 7) == 7 || (uc->err & 7) == 6, 1);
	expect("trap", uc->trapno, 14);
	expect("CR2", uc->cr2, si->addr);
	sys_mprotect(si->addr & ~(PAGE_SIZE - 1), PAGE_SIZE, PROT_READ | PROT_WRITE);
}

static void map_it(int sig, void *info, void *context)
{
	struct siginfo *si = info;

	note(sig, info, context);
	sys_mmap(si->addr & ~(PAGE_SIZE - 1), PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
}

static void repaired(void)
{
	volatile uint64_t *p;

	page = map_memory(4 * PAGE_SIZE);
	p = (volatile uint64_t *)page;
	p[0] = 1;
	sys_mprotect(page, PAGE_SIZE, PROT_READ);
	handle(SIGSEGV, make_writable, 0, 0);
	calls = 0;
	p[3] = 42;
	expect("one fault", calls, 1);
	expect("written after the repair", p[3], 42);
	expect("the address", seen_addr, page + 24);
	expect("SEGV_ACCERR", seen_code, 2);

	sys_munmap(page + PAGE_SIZE, PAGE_SIZE);
	handle(SIGSEGV, map_it, 0, 0);
	calls = 0;
	p[512 + 5] = 43;
	expect("one fault more", calls, 1);
	expect("mapped and written", p[512 + 5], 43);
	expect("that address", seen_addr, page + PAGE_SIZE + 40);
	expect("SEGV_MAPERR", seen_code, 1);
	expect("mask while in the handler", seen_mask & BIT(SIGSEGV), BIT(SIGSEGV));
	expect("mask after", mask_now(), 0);
	reset(SIGSEGV);
}

/* ---- a context that is changed ---- */

static void skip_two(int sig, void *info, void *context)
{
	struct ucontext *uc = context;

	calls++;
	seen_code = ((struct siginfo *)info)->code;
	uc->rip += 2; /* ud2, or div %ecx */
	uc->rbx = 0x1111;
	uc->r12 = 0x2222;
	uc->r15 = 0x3333;
	uc->rax = 0x4444;
	uc->rcx = 0x5555;
	uc->r11 = 0x6666;
}

static void changed(void)
{
	unsigned long rbx, r12, r15, rax, rcx, r11;

	handle(SIGILL, skip_two, 0, 0);
	handle(SIGFPE, skip_two, 0, 0);
	calls = 0;
	__asm__ volatile("movq $1, %%rbx; movq $2, %%r12; movq $3, %%r15; ud2"
			 : "=b"(rbx), "=a"(rax), "=c"(rcx)
			 :
			 : "r12", "r15", "r11", "memory");
	__asm__ volatile("movq $1, %%rbx; ud2; movq %%r12, %0; movq %%r15, %1; movq %%r11, %2"
			 : "=&S"(r12), "=&D"(r15), "=&d"(r11), "=b"(rbx), "=a"(rax), "=c"(rcx)
			 :
			 : "r12", "r15", "r11", "memory");
	expect("SIGILL", calls, 2);
	expect("ILL_ILLOPN", seen_code, 2);
	expect("rbx", rbx, 0x1111);
	expect("r12", r12, 0x2222);
	expect("r15", r15, 0x3333);
	expect("rax", rax, 0x4444);
	expect("rcx", rcx, 0x5555);
	expect("r11", r11, 0x6666);
	__asm__ volatile("xorl %%edx, %%edx; movl $1, %%eax; xorl %%ecx, %%ecx; divl %%ecx"
			 : "=a"(rax), "=c"(rcx)
			 :
			 : "rdx", "rbx", "r12", "r15", "r11", "memory");
	expect("SIGFPE", calls, 3);
	expect("FPE_INTDIV", seen_code, 1);
	reset(SIGILL);
	reset(SIGFPE);
}

/* ---- registers of the floating point unit, and the red zone ---- */

static void clobber(int sig, void *info, void *context)
{
	calls++;
	__asm__ volatile("pcmpeqb %%xmm0, %%xmm0; pcmpeqb %%xmm7, %%xmm7; pxor %%xmm15, %%xmm15" ::
				 : "xmm0", "xmm7", "xmm15");
}

static void preserved(void)
{
	uint64_t in[2] = {0x0123456789abcdef, 0xfedcba9876543210}, out[2][2], below = 0;
	long me = sys_getpid();

	handle(SIGUSR1, clobber, 0, 0);
	calls = 0;
	/* kill(me, SIGUSR1): delivered at the end of the call, between the loads and the stores. */
	__asm__ volatile("movdqu %4, %%xmm0\n"
			 "	movdqu %4, %%xmm15\n"
			 "	movq $0x77, -64(%%rsp)\n"
			 "	syscall\n"
			 "	movq -64(%%rsp), %2\n"
			 "	movdqu %%xmm0, %0\n"
			 "	movdqu %%xmm15, %1\n"
			 : "=m"(out[0]), "=m"(out[1]), "=&r"(below)
			 : "a"(SYS_kill), "m"(in), "D"(me), "S"((long)SIGUSR1)
			 : "rcx", "r11", "memory", "xmm0", "xmm15");
	expect("delivered", calls, 1);
	expect("xmm0", memcmp(out[0], in, 16), 0);
	expect("xmm15", memcmp(out[1], in, 16), 0);
	expect("red zone", below, 0x77);
	reset(SIGUSR1);
}

/* ---- masks ---- */

static volatile int depth, deepest;

static void nested(int sig, void *info, void *context)
{
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (calls++ < 3)
		send(sig);
	depth--;
}

static void masks(void)
{
	unsigned long pending = 0;

	handle(SIGUSR1, note, 0, BIT(SIGUSR2));
	calls = 0;
	set_mask(SIG_SETMASK, BIT(SIGUSR1) | BIT(SIGKILL));
	expect("SIGKILL cannot be blocked", mask_now(), BIT(SIGUSR1));
	send(SIGUSR1);
	send(SIGUSR1);
	expect("blocked", calls, 0);
	syscall3(SYS_rt_sigpending, (long)&pending, 8, 0);
	expect("pending", pending, BIT(SIGUSR1));
	set_mask(SIG_UNBLOCK, BIT(SIGUSR1));
	expect("delivered once", calls, 1);
	expect("SI_USER", seen_code, 0);
	expect("in the handler", seen_mask, BIT(SIGUSR1) | BIT(SIGUSR2));
	expect("afterwards", mask_now(), 0);
	syscall3(SYS_tkill, syscall3(SYS_gettid, 0, 0, 0), SIGUSR1, 0);
	expect("for the thread", calls, 2);
	expect("SI_TKILL", seen_code, -6);

	handle(SIGUSR1, nested, 0, 0);
	calls = deepest = 0;
	send(SIGUSR1);
	expect("one after the other", deepest, 1);
	expect("four in all", calls, 4);
	handle(SIGUSR1, nested, SA_NODEFER, 0);
	calls = deepest = 0;
	send(SIGUSR1);
	expect("one in the other", deepest, 4);

	handle(SIGUSR1, note, SA_RESETHAND, 0);
	calls = 0;
	send(SIGUSR1);
	expect("the first time", calls, 1);
	if (!syscall3(SYS_fork, 0, 0, 0)) {
		send(SIGUSR1);
		exit(0);
	}
	int status = 0;

	syscall6(SYS_wait4, -1, (long)&status, 0, 0, 0, 0);
	expect("the second time it is the default", status, SIGUSR1);
	expect("no handler for SIGKILL",
	       syscall6(SYS_rt_sigaction, SIGKILL, (long)&(struct action){note, 0, 0, 0}, 0, 8, 0,
			0),
	       -EINVAL);
	reset(SIGUSR1);
}

/* ---- the alternate stack ---- */

static unsigned char alternate[16384] __attribute__((aligned(16)));

static long endless(long n)
{
	volatile char room[1024];

	room[0] = n;
	return n > 1 << 30 ? 0 : endless(n + 1) + room[0];
}

static void leave(int sig, void *info, void *context)
{
	exit((unsigned long)&info - (unsigned long)alternate < sizeof(alternate) ? 55 : 56);
}

static void other_stack(void)
{
	struct {
		unsigned long sp;
		int flags, pad;
		unsigned long size;
	} ss = {(unsigned long)alternate, 0, 0, sizeof(alternate)}, old;
	int status = 0;

	expect("sigaltstack", syscall3(SYS_sigaltstack, (long)&ss, (long)&old, 0), 0);
	expect("there was none", old.flags, 2);
	handle(SIGUSR1, note, SA_ONSTACK, 0);
	send(SIGUSR1);
	expect("on the other stack", seen_sp - ss.sp < ss.size, 1);
	handle(SIGUSR1, note, 0, 0);
	send(SIGUSR1);
	expect("on the usual stack", seen_sp - ss.sp < ss.size, 0);
	ss.size = 100;
	expect("too small", syscall3(SYS_sigaltstack, (long)&ss, 0, 0), -ENOMEM);
	/* A stack that is used up: only on another one can a handler say so. */
	if (!syscall3(SYS_fork, 0, 0, 0)) {
		handle(SIGSEGV, leave, SA_ONSTACK, 0);
		endless(0);
		exit(57);
	}
	syscall6(SYS_wait4, -1, (long)&status, 0, 0, 0, 0);
	expect("told of the overflow", status, 55 << 8);
	if (!syscall3(SYS_fork, 0, 0, 0)) {
		handle(SIGSEGV, leave, 0, 0);
		endless(0);
		exit(57);
	}
	syscall6(SYS_wait4, -1, (long)&status, 0, 0, 0, 0);
	expect("no room for the frame", status & 0x7f, SIGSEGV);
	reset(SIGUSR1);
}

/* ---- system calls broken off ---- */

/** Wait until the process sleeps in a call: on a busy machine it may take any time to come there. */
static void until_asleep(long pid)
{
	char path[32] = "/proc/", text[256], *p = path + 6, digits[20];
	long ts[2] = {0, 2000000}, fd, n, len = 0;

	for (; pid; pid /= 10)
		digits[len++] = (char)('0' + pid % 10);
	while (len)
		*p++ = digits[--len];
	memcpy(p, "/stat", 6);
	do {
		syscall3(SYS_nanosleep, (long)ts, 0, 0);
		fd = sys_open(path, O_RDONLY, 0);
		n = sys_read((int)fd, text, sizeof(text));
		sys_close((int)fd);
		/* "PID (NAME) STATE ..." */
		while (n > 3 && text[n - 3] != ')')
			n--;
	} while (n > 3 && text[n - 1] != 'S');
}

/** A child that sends the signal when this process sleeps, then writes to fd. */
static long child_that_signals(int sig, int fd)
{
	long parent = sys_getpid(), child = syscall3(SYS_fork, 0, 0, 0);

	if (!child) {
		long ts[2] = {0, 20000000};

		until_asleep(parent);
		syscall3(SYS_kill, parent, sig, 0);
		syscall3(SYS_nanosleep, (long)ts, 0, 0);
		sys_write(fd, "z", 1);
		exit(0);
	}
	return child;
}

static void broken_off(void)
{
	unsigned long none = 0;
	long ts[2] = {10, 0}, left[2] = {0, 0};
	uint64_t begin, rest;
	char c = 0;
	int fd[2];

	syscall3(SYS_pipe, (long)fd, 0, 0);
	handle(SIGUSR1, note, SA_RESTART, 0);
	calls = 0;
	child_that_signals(SIGUSR1, fd[1]);
	expect("read goes on", syscall3(SYS_read, fd[0], (long)&c, 1), 1);
	expect("with its byte", c, 'z');
	expect("the handler ran", calls, 1);
	syscall6(SYS_wait4, -1, 0, 0, 0, 0, 0);

	handle(SIGUSR1, note, 0, 0);
	child_that_signals(SIGUSR1, fd[1]);
	expect("read is broken off", syscall3(SYS_read, fd[0], (long)&c, 1), -EINTR);
	expect("then there is a byte", syscall3(SYS_read, fd[0], (long)&c, 1), 1);
	syscall6(SYS_wait4, -1, 0, 0, 0, 0, 0);

	child_that_signals(SIGUSR1, fd[1]);
	begin = now_ns();
	expect("sleep is broken off", syscall3(SYS_nanosleep, (long)ts, (long)left, 0), -EINTR);
	/* Some has passed, and no more than the clock says. */
	rest = (uint64_t)left[0] * 1000000000 + (uint64_t)left[1];
	expect("and says how much is left",
	       rest < 10000000000 && rest + (now_ns() - begin) >= 10000000000, 1);
	syscall3(SYS_read, fd[0], (long)&c, 1);
	syscall6(SYS_wait4, -1, 0, 0, 0, 0, 0);

	handle(SIGUSR1, note, SA_RESTART, 0);
	child_that_signals(SIGUSR1, fd[1]);
	expect("pause ends all the same", syscall3(SYS_pause, 0, 0, 0), -EINTR);
	syscall3(SYS_read, fd[0], (long)&c, 1);
	syscall6(SYS_wait4, -1, 0, 0, 0, 0, 0);

	set_mask(SIG_BLOCK, BIT(SIGUSR1));
	calls = 0;
	send(SIGUSR1);
	expect("sigsuspend", syscall3(SYS_rt_sigsuspend, (long)&none, 8, 0), -EINTR);
	expect("it let the signal in", calls, 1);
	expect("and put the mask back", mask_now(), BIT(SIGUSR1));
	set_mask(SIG_SETMASK, 0);
	reset(SIGUSR1);
}

/* ---- children ---- */

static void of_children(void)
{
	int status = 0;
	long child;

	handle(SIGCHLD, note, SA_RESTART, 0);
	calls = 0;
	child = syscall3(SYS_fork, 0, 0, 0);
	if (!child)
		exit(6);
	expect("wait", syscall6(SYS_wait4, child, (long)&status, 0, 0, 0, 0), child);
	expect("SIGCHLD", calls, 1);
	expect("CLD_EXITED", seen_code, 1);
	expect("from whom", (int)seen_addr, child);
	reset(SIGCHLD);
}

/* ---- frames that are not right ---- */

static void spoil_rip(int sig, void *info, void *context)
{
	((struct ucontext *)context)->rip = 0x8000000000000000ul;
}

static void spoil_flags(int sig, void *info, void *context)
{
	struct ucontext *uc = context;

	uc->rflags |= 0x3000 | 0x4000; /* IOPL, NT */
	uc->rflags &= ~0x200ul;	       /* IF */
	uc->cs = 0x10;
	uc->ss = 0x18;
	for (int i = 24; i < 32; i++)
		if (uc->fpstate)
			((volatile unsigned char *)uc->fpstate)[i] = 0xff; /* MXCSR */
}

static void die_in_child(const char *what, void (*fn)(int, void *, void *), int sig)
{
	int status = 0;

	if (!syscall3(SYS_fork, 0, 0, 0)) {
		handle(SIGUSR1, fn, 0, 0);
		send(SIGUSR1);
		exit(3);
	}
	syscall6(SYS_wait4, -1, (long)&status, 0, 0, 0, 0);
	expect(what, status & 0x7f, sig);
}

static void bad_frames(void)
{
	int status = 0;

	die_in_child("an address that is none", spoil_rip, SIGSEGV);
	if (!syscall3(SYS_fork, 0, 0, 0)) {
		__asm__ volatile("movq $64, %%rsp; movl $15, %%eax; syscall" ::: "memory");
		exit(3);
	}
	syscall6(SYS_wait4, -1, (long)&status, 0, 0, 0, 0);
	expect("sigreturn without a frame", status & 0x7f, SIGSEGV);
	/* A handler that faults while its signal is blocked. */
	if (!syscall3(SYS_fork, 0, 0, 0)) {
		set_mask(SIG_BLOCK, BIT(SIGSEGV));
		handle(SIGSEGV, note, 0, 0);
		sys_munmap(page, PAGE_SIZE);
		*(volatile char *)page = 1;
		exit(3);
	}
	syscall6(SYS_wait4, -1, (long)&status, 0, 0, 0, 0);
	expect("a fault while blocked", status & 0x7f, SIGSEGV);
}

/** Only our kernel repairs selectors; Linux lets IRETQ fault. */
static void hostile_frames(void)
{
	unsigned long flags;
	int status = 0;

	if (!syscall3(SYS_fork, 0, 0, 0)) {
		handle(SIGUSR1, spoil_flags, 0, 0);
		send(SIGUSR1);
		__asm__ volatile("pushfq; popq %0" : "=r"(flags));
		exit((flags & 0x7200) == 0x200 ? 8 : 9);
	}
	syscall6(SYS_wait4, -1, (long)&status, 0, 0, 0, 0);
	expect("a frame that asks for too much", status, 8 << 8);
}

static const struct {
	const char *name;
	void (*fn)(void);
} cases[] = {
	{"repaired", repaired},	   {"changed", changed},   {"preserved", preserved},
	{"masks", masks},	   {"stack", other_stack}, {"restart", broken_off},
	{"children", of_children}, {"frames", bad_frames},
};

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "all";

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!strcmp(name, "all") || !strcmp(name, cases[i].name))
			cases[i].fn();
	if (!strcmp(name, "hostile"))
		hostile_frames();
	if (different)
		print("sigtest %s: %d differences\n", name, different);
	return different != 0;
}
