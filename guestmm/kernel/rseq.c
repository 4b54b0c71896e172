/*
 * Restartable sequences: rseq(2), as Linux 6.1.
 *
 * A thread registers 32 bytes of its memory. The kernel writes the number of the thread's CPU there, so that the thread
 * can use per-CPU data without a system call. The thread writes there which sequence of instructions it is in. If it
 * is interrupted within the sequence (another thread ran, it moved to another CPU, or a signal is delivered), it
 * continues at the sequence's abort address.
 *
 * R1  When a thread with a registered area returns to user mode after it was switched to, cpu_id is the CPU it
 *     runs on, and RIP is in no sequence that began before the switch. The switch sets TIF_RSEQ
 *     (sched.c: switch_user_state()); rseq_resume() runs on the way out until no switch came between.
 * R2  For threads that have registered nothing, the cost is one test in a switch.
 *
 * Layout: include/uapi/linux/rseq.h. task->rseq and rseq_sig are the thread's own.
 */
#include "arch/smp.h"
#include "arch/uaccess.h"
#include "kernel/process.h"
#include "lib/errno.h"
#include "mm/virt/mm.h"

#define RSEQ_SIZE		  32u
#define RSEQ_FLAG_UNREGISTER	  1u
#define RSEQ_CPU_ID_UNINITIALIZED (-1)
/* Offsets in the registered area */
#define RSEQ_AT_CPUS  0 /* cpu_id_start, cpu_id */
#define RSEQ_AT_CS    8 /* address of the sequence's description, 0: none */
#define RSEQ_AT_FLAGS 16

/* The program's description of a sequence. */
struct rseq_cs {
	u32 version, flags;
	u64 start_ip, post_commit_offset, abort_ip;
};
_Static_assert(sizeof(struct rseq_cs) == 32, "Linux's ABI");

static int write_cpus(unsigned long area, u32 start, s32 id)
{
	const u32 cpus[2] = {start, (u32)id};

	return copy_to_user(area + RSEQ_AT_CPUS, cpus, sizeof(cpus)) ? -EFAULT : 0;
}

/* Refuse a description whose abort address is inside the sequence, or lacks the signature `sig` before it. */
static int check_cs(const struct rseq_cs *cs, u32 sig)
{
	u32 there;

	if (cs->version || cs->start_ip >= TASK_SIZE || cs->abort_ip >= TASK_SIZE ||
	    cs->abort_ip < sizeof(there))
		return -EINVAL;
	if (cs->start_ip + cs->post_commit_offset >= TASK_SIZE ||
	    cs->start_ip + cs->post_commit_offset < cs->start_ip)
		return -EINVAL;
	if (cs->abort_ip - cs->start_ip < cs->post_commit_offset)
		return -EINVAL;
	if (copy_from_user(&there, cs->abort_ip - sizeof(there), sizeof(there)))
		return -EFAULT;
	return there == sig ? 0 : -EINVAL;
}

/* If RIP is in the sequence, let the thread continue at its abort address. 0 or -EFAULT, -EINVAL. */
static int leave_sequence(struct pt_regs *regs)
{
	const struct task *t = current;
	const u64 none = 0;
	struct rseq_cs cs;
	u32 flags;
	u64 at;
	int err;

	if (copy_from_user(&at, t->rseq + RSEQ_AT_CS, sizeof(at)))
		return -EFAULT;
	if (!at)
		return 0;
	if (copy_from_user(&cs, at, sizeof(cs)))
		return -EFAULT;
	err = check_cs(&cs, t->rseq_sig);
	if (err)
		return err;
	if (regs->rip - cs.start_ip < cs.post_commit_offset) {
		/* Older kernels had flags that prevent the abort; Linux refuses them since 6.1. */
		if (copy_from_user(&flags, t->rseq + RSEQ_AT_FLAGS, sizeof(flags)))
			return -EFAULT;
		if (flags || cs.flags)
			return -EINVAL;
		regs->rip = cs.abort_ip;
	}
	return copy_to_user(t->rseq + RSEQ_AT_CS, &none, sizeof(none)) ? -EFAULT : 0;
}

void rseq_resume(struct pt_regs *regs)
{
	struct fault_info f = {.sig = SIGSEGV, .code = SI_KERNEL};
	struct task *t = current;
	unsigned int cpu;
	int err;

	atomic_and(&current_thread_info()->flags, ~TIF_RSEQ);
	if (!t->rseq)
		return;
	err = leave_sequence(regs);
	if (!err) {
		cpu = READ_ONCE(current_thread_info()->cpu);
		err = write_cpus(t->rseq, cpu, (s32)cpu);
	}
	if (!err)
		return;
	t->rseq = 0;
	process_fault(regs, &f, "bad restartable sequence");
}

long sys_rseq(struct pt_regs *r)
{
	const unsigned long area = r->rdi;
	const u32 len = (u32)r->rsi, flags = (u32)r->rdx, sig = (u32)r->r10;
	struct task *t = current;

	if (flags & RSEQ_FLAG_UNREGISTER) {
		if (flags & ~RSEQ_FLAG_UNREGISTER || !t->rseq || t->rseq != area ||
		    len != RSEQ_SIZE)
			return -EINVAL;
		if (t->rseq_sig != sig)
			return -EPERM;
		if (write_cpus(area, 0, RSEQ_CPU_ID_UNINITIALIZED))
			return -EFAULT;
		t->rseq = 0;
		return 0;
	}
	if (flags)
		return -EINVAL;
	if (t->rseq) {
		if (t->rseq != area || len != RSEQ_SIZE)
			return -EINVAL;
		return t->rseq_sig != sig ? -EPERM : -EBUSY;
	}
	if (area % RSEQ_SIZE || len != RSEQ_SIZE)
		return -EINVAL;
	if (area > TASK_SIZE - RSEQ_SIZE)
		return -EFAULT;
	t->rseq = area;
	t->rseq_sig = sig;
	atomic_or(&current_thread_info()->flags, TIF_RSEQ);
	return 0;
}
