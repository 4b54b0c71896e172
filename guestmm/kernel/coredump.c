/*
 * Core dumps: which processes leave one, and stopping the process meanwhile. fs/exec/coredump.c writes the file.
 *
 *   signal ──> process->core set, the other threads killed ──> each of them on its way to user mode: parked
 *          ──> all parked or ended: the file is written ──> core NULL: all go on to their end
 *
 * I1  While core is set, group_exit is set, too: no thread is added, and no signal is delivered. SIGKILL and the OOM
 *     killer still act: they mark the dumper, which gives up after the page that it is writing.
 * I2  A parked thread has all user registers in the frame on top of its stack, and its SSE registers in t->fpu.
 * I3  Other processes in the same address space continue to run (as in Linux since 5.16), so memory may change while it
 *     is being dumped.
 *
 * Locks: task_list_lock. Nothing is held while the file is written.
 */
#include "kernel/coredump.h"
#include "lib/errno.h"
#include "mm/virt/mm.h"

/* Signals whose default action is "core" (signal(7)). */
#define DUMPING                                                                                  \
	(SIGBIT(SIGQUIT) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGABRT) | SIGBIT(SIGBUS) | \
	 SIGBIT(SIGFPE) | SIGBIT(SIGSEGV) | SIGBIT(SIGXCPU) | SIGBIT(SIGXFSZ) | SIGBIT(SIGSYS))

static bool may_dump(int sig)
{
	/* A limit below one page means no core, as in Linux. */
	return SIGBIT(sig) & DUMPING && current->mm &&
	       READ_ONCE(current->mm->dumpable) != MM_DUMP_DISABLE &&
	       rlimit(RLIMIT_CORE) >= PAGE_SIZE;
}

static void save_fpu(void)
{
	preempt_disable();
	arch_fpu_save(current->fpu); /* they are in the processor: the kernel uses none */
	preempt_enable();
}

/* Stop the other threads. False: the process is ending already, or another thread is in execve(). */
static bool begin(struct core_dump *core)
{
	struct process *p = current_process();
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	bool mine = !p->group_exit && !p->group_exec && !coredump_killed();
	struct task *t;

	if (mine) {
		p->group_exit = true;
		p->exit_status = core->sig;
		p->core = core;
		list_for_each_entry (t, &p->threads, thread) {
			if (t == current || !t->mm)
				continue;
			atomic_or(&t->ti->flags, TIF_KILLED);
			wake_up_task(t);
		}
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return mine;
}

static void end(bool dumped)
{
	struct process *p = current_process();
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	if (dumped && !coredump_killed())
		p->exit_status |= CORE_DUMPED;
	p->core = NULL;
	wake_up(&p->core_wq);
	spin_unlock_irqrestore(&task_list_lock, flags);
}

void process_exit_signal(const struct pt_regs *regs, int sig, const struct siginfo_short *info)
{
	struct core_dump core = {.dumper = current, .regs = regs, .sig = sig, .info = *info};
	struct process *p = current_process();
	bool dumped = false;

	if (may_dump(sig) && begin(&core)) {
		save_fpu();
		wait_event(&p->core_wq, READ_ONCE(p->nr_live) == READ_ONCE(core.nr_parked) + 1 ||
						coredump_killed());
		if (!coredump_killed())
			dumped = core_dump_write(&core);
		end(dumped);
	}
	process_exit(sig);
}

void coredump_park(void)
{
	struct process *p = current_process();
	unsigned long flags;
	bool park;

	if (likely(!READ_ONCE(p->core)))
		return;
	save_fpu();
	flags = spin_lock_irqsave(&task_list_lock);
	park = p->core && p->core->dumper != current;
	if (park) {
		p->core->nr_parked++;
		wake_up(&p->core_wq);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (park)
		wait_event(&p->core_wq, !READ_ONCE(p->core));
}
