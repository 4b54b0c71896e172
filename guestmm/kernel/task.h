/*
 * Tasks: the struct, and what arch/ calls.
 *
 * A task is a thread: a kernel thread, or a thread of a process (kernel/process.h), which then has
 * an address space and user registers. The task lies outside its stack; thread_info lies at the
 * bottom of the stack and points back. The registers of user mode are at the top of the stack.
 *
 * Lock legend: R run-queue lock, T task_list_lock, S written by the task itself, C constant.
 */
#ifndef KERNEL_TASK_H
#define KERNEL_TASK_H
#include "arch/ptrace.h"
#include "arch/switch.h"
#include "arch/thread_info.h"
#include "lib/env.h"
#include "lib/format.h"
#include "mm/virt/mm_types.h"

#define TASK_COMM_LEN 16
#define TICK_NS	      10000000ull /* time slice: 10 ms */

enum task_state { TASK_RUNNING, TASK_SLEEPING, TASK_DEAD };

/** An exception in user mode, as a signal. */
struct fault_info {
	int sig, code; /* SIG*, si_code */
	unsigned int trap;
	unsigned long addr, error, cr2;
	bool fatal; /* there is no handler, or the signal is blocked: the process ends */
	int pkey;   /* SEGV_PKUERR: of the page */
};

/** Pending signals: a bit for each, and the queue of those that carry siginfo (sigqueue.c). */
struct sigpending {
	u64 set;
	struct list_head queue;
};

struct process;
struct psi_group;
struct task {
	unsigned long ksp;	/* R: stack pointer while not running */
	struct thread_info *ti; /* C: bottom of the stack */
	struct list_head run;	/* R: on the run queue while on_rq */
	struct list_head sleep; /* R: on the timed sleepers' list while wake_at != 0 */
	u64 wake_at;		/* R: ktime, 0 = no time limit */
	enum task_state state;	/* R; the task itself sets SLEEPING */
	bool on_rq;		/* R */
	bool preempted;		/* R: on the queue, and must continue on this CPU */
	bool bound;		/* C: runs on one CPU */
	s32 nice;		/* A: -20 .. 19 */
#define TURN_IDLE 100
	s32 turn;     /* T: length of its slices, as a nice value, or TURN_IDLE */
	s32 pi_boost; /* T: the longest turn of tasks that wait for its locks, or TURN_IDLE */
	struct pi_waiter *pi_blocked; /* pi_lock: while it waits for a PI lock */
	struct list_head pi_owned;    /* pi_lock: its contended PI locks; next NULL: unused */
	bool pi_gone;		      /* T: it is ending and gets no more PI locks */
#define SCHED_IDLE 5
	u8 policy;		  /* T: SCHED_OTHER, SCHED_BATCH, SCHED_IDLE */
	bool policy_reset;	  /* T: SCHED_RESET_ON_FORK */
	bool migrating;		  /* migrate_lock: on the list of sched_migrate_self() */
	u32 cpus;		  /* R: where it may run (sched_setaffinity(2)) */
	struct list_head migrate; /* migrate_lock */
	u64 slice_end;		  /* R: ktime at which another may take over */
	u64 nvcsw, nivcsw;	  /* R: how often it left a CPU to sleep, and otherwise */
	u64 run_ns;		  /* R: time on a CPU, up to when it last left one */
	u8 memstall;		  /* S: nesting of psi_memstall_enter() */
	bool in_iowait;		  /* S: if it sleeps, a disk is to wake it */
	struct psi_group *psi[3]; /* psi_lock: where it waits for each enum psi_res, or NULL */
	u8 kind;		  /* A: enum cpu_time, the account that its time is added to */
	u64 run_since;		  /* R: ktime since which it runs */
	u32 samples[2];		  /* R: of its time: in the kernel, in user mode */
	int (*fn)(void *);	  /* C: body of a kernel thread */
	void *arg;		  /* C */
	char comm[TASK_COMM_LEN]; /* S */
	int pid;		  /* C */
	struct list_head tasks;	  /* T: all tasks */
	struct mm_struct *mm;	  /* T to change: user address space, NULL for kernel threads */
	int oom_score_adj;	  /* T */
	bool user;		  /* C: a thread of a process */
	struct process *proc;	  /* C: NULL for kernel threads */
	bool nproc_exceeded; /* S: became a user with more processes than RLIMIT_NPROC: execve() checks */
	struct cred *cred;	 /* T to change, by itself; with a reference. NULL: kernel thread */
	struct list_head thread; /* T: in proc->threads */
	struct sigpending sig_pending; /* T: signals for this thread alone */
	u64 sig_blocked;	       /* T to change, by the task itself */
	u64 sig_saved;		 /* S: sigsuspend's: saved in the next signal frame, or restored */
	bool sig_restore;	 /* S: sig_saved is valid */
	struct fault_info fault; /* S: sig != 0: to be delivered before all others */
	unsigned long altstack, altstack_size;	      /* S: size 0 = none */
	unsigned long set_child_tid, clear_child_tid; /* S: user addresses or 0 */
	unsigned long robust_list;		      /* S: user address or 0 */
	unsigned long rseq;			      /* S: user address of its area, or 0 */
	u32 rseq_sig;				      /* S: of rseq(2) */
	long (*regs_call)(struct pt_regs *regs);      /* S: the deferred call, with TIF_REGS_CALL */
	struct file *files_to_close;		      /* S: file_put_later(), with TIF_FILES */
	u64 fs_base, gs_base;			      /* S */
	const char *wchan; /* R: the function in which it sleeps (waits_here()), or NULL */
	u32 fpu_cpu;	   /* S: CPU + 1 where its SSE registers were loaded last; 0 = none */
	u8 fpu[ARCH_FPU_SIZE]
		__attribute__((aligned(16))); /* S: user SSE state while not running */
};

static inline struct task *current_task(void)
{
	return this_cpu_read_stable(current_task_ptr);
}
#define current current_task()
/** After prepare_to_wait(): /proc/PID/wchan says that the current task sleeps in the function that calls this. */
#define waits_here() WRITE_ONCE(current->wchan, __func__)

/* Scheduler (kernel/sched.c) */
/** Make the boot stack, which must be THREAD_SIZE aligned, the stack of the idle thread. After this, threads can be
 * created and run. Interrupts may still be off. */
void sched_init(void);
/** Create the idle thread of another CPU, on the stack that `ti` is on. */
void sched_init_idle(unsigned int cpu, struct thread_info *ti);
/** Handle the interrupt that another CPU sent after it changed this CPU's queue, or one that this CPU may pull from.
 * Interrupts off. */
void scheduler_ipi(void);
/** Is the caller the only task that can run, on all CPUs? */
bool cpus_are_idle(void);
/** Print which task a CPU was running. For a panic. */
void sched_describe_cpu(unsigned int cpu);
/** kthread_run() for a thread that stays on one CPU. -EINVAL: no such CPU. */
int kthread_run_on(unsigned int cpu, int (*fn)(void *), void *arg, const char *name);
/** Trace the name of the current task, when it begins or runs another program. */
void task_trace_exec(void);
/** Become the idle loop of this CPU. Never returns. */
void __noreturn cpu_idle(void);
/** Timer interrupt (interrupts off, called by arch): wakes sleepers, ends time slices, arms the
 * next interrupt. */
void scheduler_tick(bool user_mode); /* user_mode: it interrupted user mode */
/** At the end of an interrupt that came from kernel mode: switch if due and allowed. Interrupts off
 * before and after. */
void preempt_schedule_irq(void);
/** Called on the way to user mode when need_resched or a flag is set, or RIP is no user address. Reschedules, makes
 * calls that need all registers, delivers signals, and ends a killed process. The frame has all registers;
 * `in_syscall`: it is a system call's. Interrupts off before and after. */
void exit_to_user_work(struct pt_regs *regs, bool in_syscall);
/** Create a task. It runs after wake_up_task(). NULL: no memory. May sleep. */
struct task *task_create(int (*fn)(void *), void *arg, const char *name);
/** Create a thread of a process, with room for the frame of user registers at the top of its stack. The caller sets
 * t->proc. */
struct task *task_create_user(int (*fn)(void *), void *arg, const char *name);
/** Undo task_create_user() for a task that was never woken. */
void task_destroy(struct task *t);
static inline struct pt_regs *task_user_regs(const struct task *t)
{
	return (struct pt_regs *)((unsigned long)t->ti + THREAD_SIZE) - 1;
}
/** Nanoseconds a task has run, user and kernel. Another CPU's current task: up to its last switch. */
u64 task_run_ns(const struct task *t);
/** The part of that, as far as known, that the task spent in the kernel. */
u64 task_system_ns(const struct task *t, u64 run_ns);
/** What a CPU runs: nothing, a task that stalls for memory, or one that works. Read without a lock. */
enum sched_cpu_state { SCHED_CPU_IDLE, SCHED_CPU_STALLS, SCHED_CPU_WORKS };
enum sched_cpu_state sched_cpu_state(unsigned int cpu);
/** Number of tasks. */
extern int nr_tasks; /* T */
/** Unlink and free a task whose stack was freed. */
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
/** T held: run on these CPUs only, from the next return to user mode on. Call sched_migration_init() first: 0 or
 * -ENOMEM. */
void sched_set_cpus(struct task *t, u32 cpus);
int sched_migration_init(void);
/** Move the current task away from a CPU that it may not run on. May sleep. */
void sched_migrate_self(void);
/** Give a new task, which does not run yet, the current task's nice value and CPUs. */
void sched_fork(struct task *t);
/** Recompute the turn of a task whose nice value, policy or boost has changed. T held, or the task is not published
 * yet. */
static inline void sched_set_turn(struct task *t)
{
	s32 own = t->policy == SCHED_IDLE ? TURN_IDLE : t->nice;

	WRITE_ONCE(t->turn, min(own, t->pi_boost));
}
/** cpu_timer.c: does the process have a timer or a limit on the time that it runs? Read without a lock. */
bool cpu_timers_set(const struct process *p);
/** Send the current process the signals of timers and limits that its running time has reached. */
void cpu_timers_run(void);
/** The limits of kernel threads and of processes that the kernel starts (limits.c). */
extern struct rlimit kernel_limits[RLIM_NLIMITS];
/** The task with this number, or NULL. No reference: the task is not freed while T is held. T held. */
struct task *find_task(int pid);
extern spinlock_t task_list_lock; /* taken with interrupts off; above the run-queue lock */
extern struct list_head task_list;
/** End the current task. Never returns. */
void __noreturn task_exit(void);

/* Processes (kernel/exit.c, signal.c) */
/** The CPU has left the stack of a dead thread. Called by the reaper, which frees the task after it. */
void process_dead(struct task *t);
/** End the current process with all its threads; status as wait(2) encodes it. */
void __noreturn process_exit(int status);
/** The current user program caused an exception that cannot be handled. If it has a handler, send the signal; else
 * report the exception in Linux's form and end the process. `why`: "segfault", "general protection fault", "bus
 * error"... Interrupts on. */
void process_fault(struct pt_regs *regs, const struct fault_info *f, const char *why);

/** System call from user mode (arch calls it with interrupts on): number in regs->orig_rax,
 * arguments in rdi rsi rdx r10 r8 r9. Returns the value for rax. */
long syscall_dispatch(struct pt_regs *regs);

#define SIGHUP	   1
#define SIGINT	   2
#define SIGQUIT	   3
#define SIGILL	   4
#define SIGTRAP	   5
#define SIGABRT	   6
#define SIGBUS	   7
#define SIGFPE	   8
#define SIGKILL	   9
#define SIGSEGV	   11
#define SIGPIPE	   13
#define SIGALRM	   14
#define SIGCHLD	   17
#define SIGCONT	   18
#define SIGSTOP	   19
#define SIGTSTP	   20
#define SIGTTIN	   21
#define SIGTTOU	   22
#define SIGURG	   23
#define SIGXCPU	   24
#define SIGXFSZ	   25
#define SIGVTALRM  26
#define SIGPROF	   27
#define SIGWINCH   28
#define SIGIO	   29
#define SIGSYS	   31
#define NR_SIGNALS 64

/* si_code */
#define SI_USER	      0
#define SI_KERNEL     0x80
#define SI_TIMER      (-2)
#define SI_TKILL      (-6)
#define ILL_ILLOPN    2
#define FPE_INTDIV    1
#define SEGV_MAPERR   1
#define SEGV_ACCERR   2
#define SEGV_PKUERR   4
#define BUS_ADRERR    2
#define BUS_MCEERR_AR 4 /* the program accessed a lost page */
#define CLD_EXITED    1
#define CLD_KILLED    2
#define CLD_STOPPED   5
#define CLD_CONTINUED 6
#endif
