/*
 * Threads and processes: the struct, and what arch/ calls.
 *
 * A task is a kernel thread; with an address space it is a process too (one thread each for now).
 * The task lies outside its stack; thread_info lies at the bottom of the stack and points back.
 *
 * Lock legend: R run-queue lock, T task_list_lock, S written by the task itself, C constant.
 */
#ifndef KERNEL_TASK_H
#define KERNEL_TASK_H
#include "arch/ptrace.h"
#include "arch/switch.h"
#include "arch/thread_info.h"
#include "kernel/kernel.h"

#define TASK_COMM_LEN 16
#define TICK_NS	      10000000ull /* time slice: 10 ms */

enum task_state { TASK_RUNNING, TASK_SLEEPING, TASK_DEAD };

struct task {
	unsigned long ksp;	  /* R: stack pointer while not running */
	struct thread_info *ti;	  /* C: bottom of the stack */
	struct list_head run;	  /* R: on the run queue while on_rq */
	struct list_head sleep;	  /* R: on the timed sleepers' list while wake_at != 0 */
	u64 wake_at;		  /* R: ktime, 0 = no time limit */
	enum task_state state;	  /* R; the task itself sets SLEEPING */
	bool on_rq;		  /* R */
	u64 slice_end;		  /* R: ktime at which another may take over */
	u64 nr_switches;	  /* R */
	int (*fn)(void *);	  /* C: body of a kernel thread */
	void *arg;		  /* C */
	char comm[TASK_COMM_LEN]; /* S */
	int pid;		  /* C */
	struct list_head tasks;	  /* T: all tasks */
	struct mm_struct *mm;	  /* T to change: user address space, NULL for kernel threads */
	int oom_score_adj;	  /* T */
	int exit_status;	  /* T: as wait(2) encodes it, valid when exited */
	bool exited;		  /* T: process_wait may collect it */
	bool user;		  /* C: a process: collected by process_wait, not by the reaper */
	u64 fs_base;		  /* S */
	u8 fpu[ARCH_FPU_SIZE]
		__attribute__((aligned(16))); /* S: user SSE state while not running */
};

static inline struct task *current_task(void)
{
	return current_thread_info()->task;
}
#define current current_task()

/* Scheduler (kernel/sched.c) */
/** Turn the boot stack into the idle thread; after it threads can be made and run. Interrupts may
 * still be off. The boot stack must be THREAD_SIZE aligned. */
void sched_init(void);
/** Become the idle loop of this CPU. Never returns. */
void __noreturn cpu_idle(void);
/** Timer interrupt (interrupts off, called by arch): wakes sleepers, ends time slices, arms the
 * next interrupt. */
void scheduler_tick(void);
/** At the end of an interrupt that came from kernel mode: switch if due and allowed. Interrupts off
 * before and after. */
void preempt_schedule_irq(void);
/** At every return to user mode with need_resched or a flag set (interrupts off before and after):
 * reschedules, and ends a killed process. */
void exit_to_user_work(struct pt_regs *regs);
/** New task, runnable only after wake_up_task(). NULL if no memory. May sleep. */
struct task *task_create(int (*fn)(void *), void *arg, const char *name);
/** The same for a process: with user registers, collected by process_wait(). */
struct task *task_create_user(int (*fn)(void *), void *arg, const char *name);
/** Unlink and free a task whose stack is gone. */
void task_free(struct task *t);
/** Let others run now. May sleep. */
void sched_yield(void);
void wake_up_task(struct task *t);
/** Borrow an address space in a kernel thread (tests, populate): user addresses work until
 * kthread_unuse_mm(). The caller holds a reference on `mm`. */
void kthread_use_mm(struct mm_struct *mm);
void kthread_unuse_mm(void);
/** Make `mm` (NULL: none) the current task's address space and load it. */
void task_set_mm(struct mm_struct *mm);
/** Find a task by pid. T held by the caller. */
struct task *find_task(int pid);
extern spinlock_t task_list_lock; /* taken with interrupts off; above the run-queue lock */
extern struct list_head task_list;
/** End the current task. Never returns. */
void __noreturn task_exit(int status);

/* Processes (kernel/process.c, exec.c) */
/** A dead process has left its stack: process_wait() may collect it. Called by the reaper. */
void process_dead(struct task *t);
/** End the current process; status as wait(2) encodes it. Tears the address space down. */
void __noreturn process_exit(int status);
/** A fault of the current user program that nothing can repair: report it in Linux's form and end
 * the process with `sig`. `why`: "segfault", "general protection fault", "bus error"...
 * Never returns. */
void __noreturn process_fault(struct pt_regs *regs, int sig, const char *why, unsigned long addr,
			      unsigned long error);
/** Load the static ELF program into the current address space. Returns 0 and entry and stack
 * pointer, or -errno. May sleep. */
int exec_load(const char *path, const char *argv, u32 argv_len, unsigned long *entry,
	      unsigned long *sp);

/** System call from user mode (arch calls it with interrupts on): number in regs->orig_rax,
 * arguments in rdi rsi rdx r10 r8 r9. Returns the value for rax. */
long syscall_dispatch(struct pt_regs *regs);

#define SIGILL	4
#define SIGTRAP 5
#define SIGBUS	7
#define SIGFPE	8
#define SIGKILL 9
#define SIGSEGV 11
#define SIGSYS	31
#endif
