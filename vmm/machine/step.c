/*
 * One instruction at a time, without the guest's noticing.
 *
 * KVM's single-stepping sets the trap flag (TF) in the guest's RFLAGS and takes the #DB that
 * follows. That alone loses the guest at each exception: the processor stores RFLAGS, TF
 * included, in the frame and clears TF for the handler. So two things are done more:
 *
 *   - While stepping, every handler the guest's IDT names, and the target of SYSCALL, begins with a
 *     breakpoint of ours. A handler is entered -> exit -> the true bytes are put back, stepped
 *     over, and the breakpoint put in again. It is `out %al, $0x7e`, which leaves the guest on
 *     every backend: int3 would be the natural choice, but QEMU's SVM does not intercept it. For
 *     this one port KVM steps over the instruction before the exit, not at the next entry
 *     (KVM_X86_QUIRK_OUT_7E_INC_RIP), so that RIP can be set back.
 *   - What the processor stored with TF in it is stored again without: the exception's frame, R11
 *     of SYSCALL, what PUSHF pushed.
 *
 * Where ring 0 is emulated (KVM-PVM), KVM's emulator counts steps itself, in handlers too, and
 * needs no breakpoints. It exits after a handler's first instruction, not
 * before, and leaves user mode alone; what was not seen is taken from the frame.
 *
 * Hardware holds the trap back for one instruction after STI: that one is reported, too.
 *
 * Interrupts are held back (KVM_GUESTDBG_BLOCKIRQ): time does not stop while the vCPU is stepped,
 * and a timer would fire every few instructions. Only at HLT they may come, since the guest waits
 * for one then.
 *
 * S1  Guest memory has our breakpoints only while step->on; the bytes of `open` are the true ones.
 * S2  TF is in no register and no memory that the guest can read.
 *
 * Runs on the vCPU's own thread; no locks. The guest is not trusted: gates may point anywhere, and
 * an address that is not in RAM gets no breakpoint.
 */
#include "machine/step.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "kvm/debug.h"
#include "machine/internal.h"

#define MAX_TRAPS     257 /* gates of the IDT, and the target of SYSCALL */
#define SYSCALL_TRAP  256u
#define MSR_LSTAR     0xc0000082u
#define TF	      (1ull << 8)
#define STEP_PORT     0x7e
#define BP_LEN	      2u
#define FIRST_MAX     8u /* bytes of a handler's first instruction */
#define INSN_BYTES    4u /* two prefixes and an opcode of two bytes */
#define KERNEL_SPAN   (1ull << 30)
#define STEP_LIMIT    (8u << 20) /* an operation of more is a marker that is missing */
#define HAS_CODE(vec) ((0x60227d00u >> (vec)) & 1) /* 8 10-14 17 21 29 30 */

struct trap {
	uint64_t rip;
	unsigned char *at; /* in guest RAM; NULL: no breakpoint */
	unsigned char bytes[BP_LEN];
	unsigned int vector;
};

static const unsigned char breakpoint[BP_LEN] = {0xe6, STEP_PORT};

struct machine_stepper {
	bool wanted; /* the guest has begun an operation */
	bool on;     /* breakpoints are in, KVM steps */
	bool breakpoints;
	bool settle; /* registers are to be set when the exit is complete */
	uint32_t control;
	uint64_t steps;
	struct machine_step last;    /* as told */
	struct trap trap[MAX_TRAPS]; /* by rip */
	unsigned int nr_traps;
	struct trap *open; /* its true byte is in place, to be stepped over */
};

enum step_insn step_decode(const unsigned char *b, unsigned int n)
{
	unsigned int i = 0;

	/* prefixes: operand and address size, rep, lock, segments; then REX */
	while (i < n &&
	       (b[i] == 0x66 || b[i] == 0x67 || b[i] == 0xf2 || b[i] == 0xf3 || b[i] == 0xf0 ||
		b[i] == 0x2e || b[i] == 0x3e || b[i] == 0x64 || b[i] == 0x65))
		i++;
	if (i < n && (b[i] & 0xf0) == 0x40)
		i++;
	if (i >= n)
		return INSN_OTHER;
	switch (b[i]) {
	case 0xe8:
		return INSN_CALL;
	case 0xff:
		/* /2: call; /3: far call */
		return i + 1 < n && ((b[i + 1] >> 3 & 7) == 2 || (b[i + 1] >> 3 & 7) == 3)
			       ? INSN_CALL
			       : INSN_OTHER;
	case 0xc2:
	case 0xc3:
	case 0xca:
	case 0xcb:
		return INSN_RET;
	case 0xcf:
		return INSN_IRET;
	case 0x9c:
		return INSN_PUSHF;
	case 0x9d:
		return INSN_POPF;
	case 0xf4:
		return INSN_HLT;
	case 0xfb:
		return INSN_STI;
	case 0x0f:
		if (i + 1 < n && b[i + 1] == 0x05)
			return INSN_SYSCALL;
		return i + 1 < n && b[i + 1] == 0x07 ? INSN_SYSRET : INSN_OTHER;
	default:
		return INSN_OTHER;
	}
}

/** Guest memory at `gva`, within one page. */
static void *virt_ptr(struct machine_vcpu *v, uint64_t gva, uint64_t len)
{
	uint64_t gpa;

	if (gva % MMVM_PAGE_SIZE + len > MMVM_PAGE_SIZE)
		return NULL;
	/* The kernel's image lies where the contract says: no walk, which asks KVM for CR3. */
	if (gva - MMVM_KERNEL_VIRT < KERNEL_SPAN)
		gpa = gva - MMVM_KERNEL_VIRT;
	else if (machine_translate(v->m, 0, gva, &gpa))
		return NULL;
	return machine_gpa_ptr(v->m, gpa, len);
}

/** S2: TF out of the flags word at `gva`. */
static void clear_tf_at(struct machine_vcpu *v, uint64_t gva)
{
	uint64_t *flags = virt_ptr(v, gva, sizeof(*flags));

	if (flags)
		*flags &= ~TF;
}

static int by_rip(const void *a, const void *b)
{
	const struct trap *x = a, *y = b;

	return (x->rip > y->rip) - (x->rip < y->rip);
}

static struct trap *find_trap(struct machine_stepper *s, uint64_t rip)
{
	const struct trap key = {.rip = rip};

	return bsearch(&key, s->trap, s->nr_traps, sizeof(key), by_rip);
}

/** Every way into the kernel: the gates of the IDT and LSTAR. */
static void find_traps(struct machine_vcpu *v, struct machine_stepper *s)
{
	unsigned int nr = 0, kept = 0;
	uint64_t lstar;

	s->nr_traps = 0;
	for (unsigned int vec = 0; vec < 256; vec++) {
		uint64_t gate[2];

		if (vec * 16 + 15 > v->sregs.idt.limit ||
		    machine_read_virt(v->m, v->sregs.cr3, v->sregs.idt.base + vec * 16, gate,
				      sizeof(gate)))
			break;
		if (!(gate[0] >> 47 & 1))
			continue;
		s->trap[nr++] = (struct trap){
			.rip = (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000) | gate[1] << 32,
			.vector = vec,
		};
	}
	if (!kvm_vcpu_get_msr(&v->kvm, MSR_LSTAR, &lstar) && lstar)
		s->trap[nr++] = (struct trap){.rip = lstar, .vector = SYSCALL_TRAP};
	qsort(s->trap, nr, sizeof(s->trap[0]), by_rip);
	/* Vectors may share a handler; the first stands for all. */
	for (unsigned int i = 0; i < nr; i++)
		if (!kept || s->trap[kept - 1].rip != s->trap[i].rip)
			s->trap[kept++] = s->trap[i];
	s->nr_traps = kept;
}

static void set_breakpoints(struct machine_vcpu *v, struct machine_stepper *s)
{
	for (unsigned int i = 0; i < s->nr_traps && s->breakpoints; i++) {
		struct trap *t = &s->trap[i];

		t->at = virt_ptr(v, t->rip, BP_LEN);
		if (t->at) {
			memcpy(t->bytes, t->at, BP_LEN);
			memcpy(t->at, breakpoint, BP_LEN);
		}
	}
}

static void clear_breakpoints(struct machine_stepper *s)
{
	for (unsigned int i = 0; i < s->nr_traps; i++) {
		struct trap *t = &s->trap[i];

		if (t->at && t != s->open)
			memcpy(t->at, t->bytes, BP_LEN);
		t->at = NULL;
	}
	s->open = NULL;
}

static void emit(struct machine_vcpu *v, struct machine_step step)
{
	observers_step(v->m->config.observers, v->m, &step);
}

/** KVM looks for interrupts to deliver when something new has come; one that it found while they
 * were held back would wait for the next. Setting registers counts as something new. v->regs holds
 * them. */
static void look_for_events(struct machine_vcpu *v)
{
	kvm_vcpu_set_regs(&v->kvm, &v->regs);
}

static void step_off(struct machine_vcpu *v, const char *why)
{
	struct machine_stepper *s = v->step;

	s->wanted = false;
	if (!s->on)
		return;
	clear_breakpoints(s);
	kvm_vcpu_set_guest_debug(&v->kvm, 0);
	s->settle = true;
	s->on = false;
	if (why)
		emit(v, (struct machine_step){.kind = STEP_FAILED, .name = why});
}

static void step_on(struct machine_vcpu *v)
{
	struct machine_stepper *s = v->step;
	int rc = machine_vcpu_sync(v);

	if (!rc) {
		find_traps(v, s);
		rc = kvm_vcpu_set_guest_debug(&v->kvm, s->control);
	}
	if (rc) {
		s->wanted = false;
		emit(v, (struct machine_step){
				.kind = STEP_FAILED,
				.name = "KVM refuses to single-step (KVM_SET_GUEST_DEBUG)"});
		return;
	}
	s->on = true;
	s->steps = 0;
	s->last = (struct machine_step){0};
	set_breakpoints(v, s);
}

void machine_step_mark(struct machine *m, const struct mmvm_record *rec)
{
	struct machine_vcpu *v = machine_current_vcpu();
	uint32_t known;

	if (!observers_have(m->config.observers, OBSERVER_HAS_STEP) || !v)
		return;
	if (!rec->value) {
		step_off(v, NULL);
		emit(v, (struct machine_step){.kind = STEP_END, .name = rec->name});
		return;
	}
	if (!v->step)
		v->step = calloc(1, sizeof(*v->step));
	known = kvm_debug_supported(&m->sys);
	if (!v->step || !(known & KVM_GUESTDBG_SINGLESTEP)) {
		emit(v,
		     (struct machine_step){.kind = STEP_FAILED,
					   .name = v->step ? "this KVM cannot single-step a guest"
							   : "out of memory"});
		return;
	}
	v->step->breakpoints = m->sys.backend != KVM_BACKEND_PVM;
	v->step->control =
		known & (KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ);
	v->step->wanted = true;
	emit(v, (struct machine_step){.kind = STEP_BEGIN, .name = rec->name, .root = rec->value2});
}

void machine_step_settle(struct machine_vcpu *v)
{
	struct machine_stepper *s = v->step;

	if (!s->settle)
		return;
	s->settle = false;
	if (!kvm_vcpu_complete_exit(&v->kvm) && !kvm_vcpu_get_regs(&v->kvm, &v->regs))
		look_for_events(v);
}

void machine_step_before_run(struct machine_vcpu *v)
{
	if (v->step->wanted && !v->step->on)
		step_on(v);
}

/** The handler has been entered, its frame is at `frame`: where from, and the stored flags made
 * what they were. */
static uint64_t enter_trap(struct machine_vcpu *v, const struct trap *t, uint64_t frame)
{
	uint64_t *from;

	if (t->vector == SYSCALL_TRAP) {
		v->regs.r11 &= ~TF;
		kvm_vcpu_set_regs(&v->kvm, &v->regs);
		return v->regs.rcx;
	}
	if (t->vector < 32 && HAS_CODE(t->vector))
		frame += 8;
	clear_tf_at(v, frame + 16);
	from = virt_ptr(v, frame, sizeof(*from));
	return from ? *from : 0;
}

static enum step_insn insn_at(struct machine_vcpu *v, uint64_t rip)
{
	uint64_t left = MMVM_PAGE_SIZE - rip % MMVM_PAGE_SIZE;
	unsigned int n = left < INSN_BYTES ? (unsigned int)left : INSN_BYTES;
	const unsigned char *bytes = virt_ptr(v, rip, n);

	return bytes ? step_decode(bytes, n) : INSN_OTHER;
}

static void emit_insn(struct machine_vcpu *v, struct machine_step step)
{
	struct machine_stepper *s = v->step;

	step.insn = insn_at(v, step.rip);
	s->last = step;
	s->steps++;
	emit(v, step);
}

/** After STI the processor holds traps back for one instruction, which has been executed unseen. */
static void emit_shadowed(struct machine_vcpu *v)
{
	struct machine_stepper *s = v->step;
	uint64_t next = s->last.rip + 1;

	if (s->last.insn == INSN_STI && v->regs.rip != next)
		emit_insn(v, (struct machine_step){
				     .kind = STEP_INSN, .rip = next, .rsp = s->last.rsp});
}

/** Where there are no breakpoints, the first instruction of a handler is executed before the exit.
 * User mode is not stepped, so the instruction that came from there has not been reported yet. */
static void emit_unseen_trap(struct machine_vcpu *v)
{
	struct machine_stepper *s = v->step;
	struct machine_step step = {.kind = STEP_TRAP, .rsp = v->regs.rsp};
	const unsigned char *first;
	struct trap *t = NULL;
	uint64_t from;

	for (unsigned int n = 2; n <= FIRST_MAX && !t; n++)
		t = find_trap(s, v->regs.rip - n);
	if (!t || (s->last.rip >= t->rip && s->last.rip < v->regs.rip))
		return;
	step.rip = t->rip;
	first = virt_ptr(v, t->rip, 1);
	/* push imm8, push imm32 */
	if (first && (*first == 0x6a || *first == 0x68))
		step.rsp += 8;
	from = step.from = enter_trap(v, t, step.rsp);
	if (s->last.insn == INSN_IRET || s->last.insn == INSN_SYSRET) {
		/* SYSCALL where its target is a ud2: RCX has been set, and lies behind it */
		const struct trap *entry = find_trap(s, from);

		if (entry && entry->vector == SYSCALL_TRAP)
			from = step.from = v->regs.rcx - 2;
		emit_insn(v, (struct machine_step){.kind = STEP_INSN, .rip = from});
	}
	emit_insn(v, step);
}

static void tell_steps(struct machine_vcpu *v)
{
	struct machine_stepper *s = v->step;
	struct machine_step step = {.kind = STEP_INSN, .rip = v->regs.rip, .rsp = v->regs.rsp};
	struct trap *t = find_trap(s, step.rip);

	if (!t)
		emit_shadowed(v);
	if (s->last.insn == INSN_PUSHF) {
		clear_tf_at(v, v->regs.rsp);
	} else if (s->last.insn == INSN_SYSRET) {
		v->regs.r11 &= ~TF;
		kvm_vcpu_set_regs(&v->kvm, &v->regs);
	}
	if (t) {
		step.kind = STEP_TRAP;
		step.from = enter_trap(v, t, step.rsp);
		if (t->at) {
			memcpy(t->at, t->bytes, BP_LEN);
			s->open = t;
		}
	} else if (!s->breakpoints) {
		emit_unseen_trap(v);
	}
	emit_insn(v, step);
	/* SYSRET takes its flags from R11 and looks at TF when it has them. The flags of user mode
	 * are KVM's again at the next exit. */
	if (s->last.insn == INSN_SYSRET) {
		v->regs.r11 |= TF;
		kvm_vcpu_set_regs(&v->kvm, &v->regs);
	}
}

/** The vCPU has left at a breakpoint: RIP back before it. False: the guest's own `out`. */
static bool at_breakpoint(struct machine_vcpu *v)
{
	const struct trap *t = find_trap(v->step, v->regs.rip - BP_LEN);

	if (!t || !t->at || t == v->step->open || kvm_vcpu_complete_exit(&v->kvm))
		return false;
	v->regs.rip = t->rip;
	return !kvm_vcpu_set_regs(&v->kvm, &v->regs);
}

bool machine_step_exit(struct machine_vcpu *v)
{
	struct machine_stepper *s = v->step;
	const struct kvm_run *run = v->kvm.run;
	uint32_t control;

	if (!s || !s->on ||
	    (run->exit_reason != KVM_EXIT_DEBUG &&
	     (run->exit_reason != KVM_EXIT_IO || run->io.port != STEP_PORT)))
		return false;
	if (kvm_vcpu_get_regs(&v->kvm, &v->regs)) {
		step_off(v, "KVM does not give the registers");
		return true;
	}
	if (run->exit_reason == KVM_EXIT_IO && !at_breakpoint(v))
		return false;
	if (s->open) {
		memcpy(s->open->at, breakpoint, BP_LEN);
		s->open = NULL;
	}
	tell_steps(v);
	if (s->steps >= STEP_LIMIT) {
		step_off(v, "the operation did not end within 8 million instructions");
		return true;
	}
	control = s->control;
	if (s->last.insn == INSN_HLT) {
		control &= ~KVM_GUESTDBG_BLOCKIRQ;
		look_for_events(v);
	}
	if (kvm_vcpu_set_guest_debug(&v->kvm, control))
		step_off(v, "KVM stops single-stepping");
	return true;
}

void machine_step_free(struct machine_vcpu *v)
{
	free(v->step);
	v->step = NULL;
}
