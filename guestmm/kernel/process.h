/*
 * Processes: what threads share besides memory.
 *
 *   process ──threads──> task, task, ...      each with its own stack, registers, signal mask
 *      │ parent, children, sibling            the family tree, for wait(2) and SIGCHLD
 *      └ sighand, files                       shared by reference
 *
 * A process lives from fork to the moment its parent has collected its status; its threads have ended before that.
 * parent NULL is the kernel, which starts the first programs, waits for those, and frees all orphans as soon as
 * they end.
 *
 * Lock legend: T task_list_lock, S the process's own threads, C constant, A atomic.
 */
#ifndef KERNEL_PROCESS_H
#define KERNEL_PROCESS_H
#include "kernel/fs_hooks.h"
#include "kernel/task.h"
#include "lib/syscall.h"

#define ADDR_NO_RANDOMIZE 0x0040000u /* of personality(2) */

#define SIG_DFL 0ul
#define SIG_IGN 1ul

#define SA_NOCLDSTOP 1ul
#define SA_NOCLDWAIT 2ul
#define SA_SIGINFO   4ul
#define SA_ONSTACK   0x08000000ul
#define SA_RESTART   0x10000000ul
#define SA_NODEFER   0x40000000ul
#define SA_RESETHAND 0x80000000ul
#define SA_RESTORER  0x04000000ul

/** As rt_sigaction(2) passes it. */
struct sigaction {
	unsigned long handler, flags, restorer;
	u64 mask;
};
_Static_assert(sizeof(struct sigaction) == 32, "Linux's ABI");

/** What a process does on each signal. Children share it until one of the processes changes it. */
struct sighand {
	s32 refs;    /* A: processes */
	bool shared; /* C: CLONE_SIGHAND: a change holds for all. Else copied on change */
	struct sigaction action[NR_SIGNALS];
};

/* ITIMER_VIRTUAL or ITIMER_PROF; times are nanoseconds that the process has run. */
struct cpu_timer {
	u64 at;	      /* when the next signal is due, 0 = none */
	u64 interval; /* time between later expirations, 0 = once */
};

/** The part of siginfo_t that is stored with a signal. */
struct siginfo_short {
	s32 code, pid; /* SEGV_PKUERR: pid is the page's key */
	u64 value;     /* SIGCHLD: status; faults: address */
	u32 uid;       /* of the sender; of a timer: its overruns */
};

struct cgroup;
struct process {
	int pid;		/* C */
	int pgid, sid;		/* T */
	s32 refs;		/* A: the tree, and parents in vfork */
	struct process *parent; /* T: NULL = the kernel */
	int ppid; /* T to change: parent's pid, or 0; its own field so that getppid() needs no lock */
	struct list_head children; /* T */
	struct list_head sibling;  /* T: in parent->children */
	struct list_head all;	   /* T: in process_list */
	struct list_head threads;  /* T */
	int nr_threads;		   /* T: threads whose stacks exist */
	int nr_live;		   /* T: threads that have not begun to exit */
	int exit_status;	   /* T: valid when group_exit */
	u32 exit_uid;		   /* T: real user of its last thread */
	int exit_signal;	   /* T: what the parent gets, 0 = nothing */
	bool group_exit;	   /* T: all threads are to end */
	bool group_exec;	   /* T: one thread is in execve(), the others are to end */
	bool zombie;		   /* T: may be collected */
	u8 stop_sig;		   /* T: the signal because of which its threads stop; 0 = none */
	int nr_stopped;		   /* T: threads that stand still in signal_stop() */
	bool stop_report;	   /* T: it has stopped, and wait(2) has not reported that yet */
	bool cont_report;	   /* T: the same for having continued */
	bool may_be_orphan;	   /* T: marks a stopped group that may become orphaned (exit.c) */
	struct wait_queue stop_wq; /* its stopped threads */
	struct core_dump *core;	   /* T: the dump in progress (coredump.c); else NULL */
	struct wait_queue core_wq; /* threads that wait for the dump, and the dumper for them */
	struct wait_queue exit_wq; /* pidfds: woken when it is a zombie */
	u8 pdeath_signal;  /* T: sent to it when its parent ends (PR_SET_PDEATHSIG); 0 = none */
	bool collected;	   /* T: a parent has waited for it */
	bool execed;	   /* T: has run a program since it was forked */
	bool kernel_waits; /* C: process_wait() will collect it */
	bool mm_released;  /* T: it has left its parent's memory: a parent in vfork may continue */
	struct wait_queue wait; /* its threads that wait for children */
	struct files *files;	/* S */
	struct fs_struct *fs;	/* S: root, working directory, umask */
	struct cgroup *cgroup;	/* T: with a reference, from publishing to the end of the struct */
	struct rlimit limits[RLIM_NLIMITS]; /* T to change */
	struct sighand *sighand;	    /* T: NULL = everything default */
	struct sigpending sig_pending;	    /* T */
	u32 nr_sigqueued;	       /* T: entries of queued signals and timers (sigqueue.c) */
	int next_timer_id;	       /* posix_timer.c */
	struct list_head posix_timers; /* timers_lock: posix_timer.c */
	u64 started_ns;		       /* C: ktime of the fork */
	u64 oom_since; /* T: ktime when the OOM killer chose it; 0: it did not, or its files are closed */
	struct io_counts dead_io;     /* T: of threads that have ended, and of collected children */
	u64 dead_run_ns, dead_sys_ns; /* T: time that ended threads have run; in the kernel */
	u64 children_run_ns, children_sys_ns; /* T: of collected children, with theirs */
	s64 past_min_flt,
		past_maj_flt; /* A: faults in address spaces that it has left; less what had been
					   counted in one that it shared from the start */
	u64 children_min_flt, children_maj_flt; /* T: as children_run_ns */
	u64 shown_user_ns,
		shown_sys_ns; /* T: the largest times that process_times() has returned: they never decrease */
	struct cpu_timer cpu_timers[2]; /* T: cpu_timer.c */
	u64 itimer_at;			/* T: ktime of the next SIGALRM, 0 = none */
	u64 itimer_interval;		/* T: 0 = once */
	struct list_head itimer;	/* T: time_calls.c */
	u32 personality;		/* S: as personality(2) */
	struct list_head sem_undos;	/* sem_ids.lock: fs/ipc/sem.c; next NULL: none ever */
	u32 membarrier;			/* A: commands of membarrier(2) it has registered for */
	char comm[TASK_COMM_LEN];	/* S */
	struct siginfo_short info[NR_SIGNALS]; /* T: of pending signals; not initialised */
};
extern struct list_head process_list; /* T: all processes, zombies too */

/** Assign a new thread, which does not run yet, to the process. */
static inline void task_set_process(struct task *t, struct process *p)
{
	t->proc = p;
	t->ti->limits = p->limits;
}

static inline struct process *current_process(void)
{
	return current->proc;
}

/* process.c */
/** Create a process without threads, in no list. It inherits from `parent` what fork inherits; NULL: the kernel starts
 * it. NULL: no memory. */
struct process *process_alloc(struct process *parent, const char *comm);
void process_get(struct process *p);
void process_put(struct process *p);
/** The process with this pid, zombies too, or NULL. No reference. T held. */
struct process *find_process(int pid);
void processes_init(void);
/** Nanoseconds its threads have run. */
u64 process_run_ns(const struct process *p);
/** The same time, divided into user and system time. Neither ever decreases. T held. */
void process_times(struct process *p, u64 *user_ns, u64 *sys_ns);
/** Number of page faults of the process, also in address spaces that it has left. T held. */
void process_faults(struct process *p, u64 *min_flt, u64 *maj_flt);
/** The process's last thread, or exec, leaves `mm`: add the faults counted there to the process's. */
void process_leaves_mm(struct process *p, const struct mm_struct *mm);
/** Start the program `path` in a new process whose parent is the kernel. argv: `argv_len` bytes of strings, each with
 * its NUL. Returns the pid, or -errno, also if loading the program failed. May sleep. */
int process_spawn(const char *path, const char *argv, u32 argv_len);
/** Wait for the end of a process that process_spawn() started. Returns its status in wait(2)'s form, or -ECHILD. May
 * sleep. */
int process_wait(int pid);
/** The address space of a process, with a reference. NULL: there is no such process, or it has left its memory. */
struct mm_struct *process_get_mm(int pid);
/** Copy the last part of a path. */
void comm_from_path(char comm[TASK_COMM_LEN], const char *path);

/* syscalls.c */
/** Set up the table of calls. At boot, after trace_init(). */
void syscalls_init(void);

/* limits.c */
#define MAX_FDS		     4096u /* RLIMIT_NOFILE: the hard limit */
#define DEFAULT_FDS	     1024u /* and the soft one */
#define DEFAULT_STACK_RLIMIT (8ull << 20)
#define DEFAULT_MEMLOCK	     (8ull << 20)
/** Check RLIMIT_FSIZE before a file grows to `size`. 0, or -EFBIG after sending SIGXFSZ to the current thread. */
int limit_file_size(u64 size);

/* fork.c */
#define CLONE_VM	     0x100u
#define CLONE_FS	     0x200u
#define CLONE_FILES	     0x400u
#define CLONE_SIGHAND	     0x800u
#define CLONE_PIDFD	     0x1000u
#define CLONE_VFORK	     0x4000u
#define CLONE_PARENT	     0x8000u
#define CLONE_THREAD	     0x10000u
#define CLONE_SYSVSEM	     0x40000u
#define CLONE_SETTLS	     0x80000u
#define CLONE_PARENT_SETTID  0x100000u
#define CLONE_CHILD_CLEARTID 0x200000u
#define CLONE_DETACHED	     0x400000u
#define CLONE_UNTRACED	     0x800000u
#define CLONE_CHILD_SETTID   0x1000000u
#define CLONE_IO	     0x80000000u
#define THREADS_MAX_LEAST    20
/** /proc/sys/kernel/threads-max; 0: as memory allows. */
extern int sysctl_threads_max;
int threads_max(void);
/** Does the user have at least `many` threads, counting those of zombies? */
bool user_has_processes(u32 uid, u64 many);
/** The current thread leaves its address space: let a parent in vfork continue. */
void vfork_release(void);

/* exit.c */
/** Remove a zombie whose status was collected from the list and the tree. The caller drops the reference that they had.
 * T held. */
void process_unlink(struct process *p);
/** End all threads except the caller, which waits until they have ended. Returns false if the caller itself must
 * die. */
bool kill_other_threads(void);
/** End the current thread, which has TIF_KILLED: its process ends, or another thread is in execve(). */
void thread_killed(void) __noreturn;
/** The current thread is about to leave its address space: wake the waiters for its locks (robust list) and for
 * its end (CLONE_CHILD_CLEARTID). */
void thread_release_mm(void);

/* signal.c */
#define SIGBIT(sig) (1ull << ((sig)-1))
#define UNMASKABLE  (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))
/* Results of system calls that a signal broke off; never seen by user mode. */
#define ERESTARTSYS    512 /* restart if no handler ran or it has SA_RESTART */
#define ERESTARTNOINTR 513 /* always restart */
#define ERESTARTNOHAND 514 /* restart if no handler ran */
static inline bool signal_pending(void)
{
	return atomic_load(&current_thread_info()->flags) & (TIF_SIGPENDING | TIF_KILLED);
}
/** Write the thread's CPU to its registered area (rseq(2)), and abort the sequence that it was in. On the way to user
 * mode, or before a signal frame is made. May sleep. */
void rseq_resume(struct pt_regs *regs);
/** Send `sig` to the process; SIGKILL ends it. 0, or -EAGAIN: there is no room for a real-time signal, and its sender
 * must be told. T held. */
int signal_process(struct process *p, int sig, const struct siginfo_short *info);
/** Send `sig` to one thread. T held. */
int signal_thread(struct task *t, int sig, const struct siginfo_short *info);
/** Discard the pending signals of the set, for the process and all its threads. T held. */
void signal_drop_pending(struct process *p, u64 set);
/** Send a signal (SIGPIPE, SIGXFSZ) to the current thread, as if it came from the thread itself (Linux's send_sig()).
 * */
void signal_current(int sig);
#define CORE_DUMPED 0x80 /* in an exit status: there is a core */
/** End all threads of the process, with this status (wait(2)'s form). T held. */
void kill_process(struct process *p, int status, u32 tif);
/** Before a signal is sent: SIGCONT discards pending stop signals, and they discard SIGCONT. SIGCONT also continues
 * the process, even if it is blocked or ignored. T held. */
void signal_prepare(struct process *p, int sig);
/** A thread of a process that is stopping has ended or stands still. If it was the last one that ran, signal the
 * parent. T held. */
void check_all_stopped(struct process *p);
/** Tell the parent that p has stopped (CLD_STOPPED) or continued (CLD_CONTINUED). T held. */
void notify_parent_stop(struct process *p, int code, int sig);
/** Set or clear the current thread's TIF_SIGPENDING: is a signal pending and not blocked? T held. */
void recalc_sigpending(void);
void sighand_put(struct sighand *s);
/** Give a new process, which is not published yet, its parent's handlers. `share`: changes hold for both
 * (CLONE_SIGHAND). 0 or -ENOMEM. */
int sighand_fork(struct process *child, struct process *parent, bool share);
/** execve: handlers of the old program are reset to the default; ignored signals stay ignored. */
int sighand_exec(struct process *p);
/** Change the current thread's mask, except for signals that cannot be blocked, and check for pending signals. */
void set_blocked(u64 set);
/** What the process does on this signal. T held. */
struct sigaction signal_action(const struct process *p, int sig);
/** Is the group orphaned, that is, does no member have a parent that is in its session but outside of the group
 * (POSIX.1-2017 3.264)? T held. */
bool group_is_orphaned(int pgid);
/** Take a signal of `set` that is pending for the current thread. Returns its number, or 0: there is none. */
int signal_take(u64 set, struct siginfo_short *info);
/** Signals pending for the current thread or its process, blocked or not. */
u64 signals_waiting(void);
/** Woken whenever a signal becomes pending (signalfd). */
extern struct wait_queue signalfd_wq;
/** Deliver a pending signal, or restart the system call that it interrupted. */
void deliver_signals(struct pt_regs *regs, bool in_syscall);

/* sigframe.c */
#define SIGFRAME_SIZE 2048 /* stack that a handler needs at least: MINSIGSTKSZ */
/** Write a frame for `sig` to the user's stack and enter the handler. Returns 0 or -EFAULT. */
int sigframe_push(struct pt_regs *regs, int sig, const struct sigaction *act,
		  const struct siginfo_short *info, const struct fault_info *fault, u64 mask);
/** rt_sigreturn(2): restore the registers from the frame. Returns the value for rax. A bad frame causes SIGSEGV. */
long sigframe_pop(struct pt_regs *regs);
/** Fill in the 128 bytes of a siginfo_t. */
void siginfo_fill(u8 out[128], int sig, const struct siginfo_short *info);

/* sigcalls.c */

/** Defer the call to the way out of the kernel, where all registers are in the frame. */
static inline long regs_call(long (*fn)(struct pt_regs *))
{
	current->regs_call = fn;
	atomic_or(&current_thread_info()->flags, TIF_REGS_CALL);
	return 0;
}

/** wait_event() that a signal interrupts. 0, or -ERESTARTSYS. */
#define wait_event_interruptible(wq, cond)             \
	({                                             \
		int _err = 0;                          \
		struct wait_entry _we;                 \
		while (!(cond)) {                      \
			prepare_to_wait(wq, &_we);     \
			waits_here();                  \
			if (cond) {                    \
				finish_wait(wq, &_we); \
				break;                 \
			}                              \
			if (signal_pending()) {        \
				finish_wait(wq, &_we); \
				_err = -ERESTARTSYS;   \
				break;                 \
			}                              \
			schedule();                    \
			finish_wait(wq, &_we);         \
		}                                      \
		_err;                                  \
	})
/** prctl(PR_SET_MM), prctl_mm.c. 0, -EINVAL, -EPERM, -EFAULT. */
long prctl_set_mm(struct pt_regs *r);
#endif
