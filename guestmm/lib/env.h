/*
 * The environment that mm/ and drivers/ stand on: printing, sleeping locks, waiting, threads, time.
 *
 * In the guest kernel/ implements it; on the host tests/host/env.c does, so that mm/ compiles and
 * runs in both. This is the only door from mm/ to what lies above it.
 */
#ifndef LIB_ENV_H
#define LIB_ENV_H

#include "lib/list.h"
#include "lib/spinlock.h"
#include "lib/types.h"

/* Printing and giving up */
/** Formatted print to the console, prefixed with the time; formats as in lib/format.h. Any
 * context. */
void printk(const char *fmt, ...) __printf(1, 2);
/** Print, dump registers and stack, tell the VMM, stop the machine. Never returns. Any context. */
void __noreturn panic(const char *fmt, ...) __printf(1, 2);

#define BUG_ON(cond)                                                          \
	do {                                                                  \
		if (unlikely(cond))                                           \
			panic("BUG: %s at %s:%d", #cond, __FILE__, __LINE__); \
	} while (0)
/** Run-time debug switch: `debug_vm` on the command line turns VM_BUG_ON checks on. */
extern bool debug_vm;
#define VM_BUG_ON(cond)                 \
	do {                            \
		if (unlikely(debug_vm)) \
			BUG_ON(cond);   \
	} while (0)

/** A page (with all of its block) has lost its last reference and is about to go on a free list. The
 * host build checks that no TLB translates to it, and fills it with poison; the guest fills it when it was booted
 * with `page_poison`. */
struct page;
#ifdef MMVM_HOSTED
void env_page_freed(struct page *page);
#else
#include "arch/static_key.h"
/* It saves every register, and the compiler is not told of a call: a path that never makes it saves none either. */
__attribute__((no_caller_saved_registers)) void page_poison(struct page *page);
static inline void env_page_freed(struct page *page)
{
	if (static_key(KEY_POISON))
		__asm__ volatile("call page_poison" : : "D"(page) : "memory", "cc");
}
#endif

/** The host build: another thread may run here, as on another CPU (tests/host/race.h). */
#if defined(MMVM_HOSTED) && defined(HOST_RACES)
bool host_race_point(const char *where);
#define env_race_point(where) host_race_point(where)
#else
#define env_race_point(where) ((void)0)
#endif

/* Waiting. A wait queue holds threads; wake_up makes them runnable. wake_up: any context,
 * interrupts too. */
struct wait_queue {
	spinlock_t lock;
	struct list_head waiters;
};
#define WAIT_QUEUE_INIT(name)                                 \
	{                                                     \
		SPINLOCK_INIT, LIST_HEAD_INIT((name).waiters) \
	}
struct wait_entry {
	struct list_head node;
	struct task *task;
	/** Called instead of waking `task`, with the queue's lock held and interrupts off; true: somebody
	 * was told. NULL: wake the task. */
	bool (*func)(struct wait_entry *we);
	bool exclusive; /* with func: enough when one of these has told somebody */
};
/* Each place that makes one makes a class of locks (lib/lockdep.h). */
#define lock_key(what)                                            \
	({                                                        \
		static const struct lock_class_key _key = {what}; \
		lock_class_of(&_key);                             \
	})
void __wait_queue_init(struct wait_queue *wq, u32 key);
#define wait_queue_init(wq) __wait_queue_init(wq, lock_key(#wq))
void prepare_to_wait(struct wait_queue *wq, struct wait_entry *we);
void finish_wait(struct wait_queue *wq, struct wait_entry *we);
void wake_up(struct wait_queue *wq);
/** wake_up() while the lock of another queue of its class is held (sets of files that watch sets). */
void wake_up_nested(struct wait_queue *wq);
/** Sleep until woken (state set by prepare_to_wait) or, with preemption, just yield. May sleep. */
void schedule(void);
/** As schedule(), at most `ns` nanoseconds. Returns 0 on time-out, the rest otherwise. */
u64 schedule_timeout(u64 ns);
/** Sleep for `ns` nanoseconds. schedule_timeout() alone only yields: it limits a wait that
 * prepare_to_wait() has begun. */
void sleep_ns(u64 ns);
/** Give way to others if a reschedule is due. May sleep. */
void cond_resched(void);

/* Once `cond` came true it is not evaluated again: it may be something that takes, like a
 * trylock. */
#define wait_event(wq, cond)                           \
	do {                                           \
		struct wait_entry _we;                 \
		if (cond)                              \
			break;                         \
		for (;;) {                             \
			prepare_to_wait(wq, &_we);     \
			if (cond) {                    \
				finish_wait(wq, &_we); \
				break;                 \
			}                              \
			schedule();                    \
			finish_wait(wq, &_we);         \
		}                                      \
	} while (0)

/** The same for at most `ns` nanoseconds. Returns what was left of them, 0 when the time is over. */
#define wait_event_timeout(wq, cond, ns)                 \
	({                                               \
		struct wait_entry _we;                   \
		u64 _left = (ns);                        \
		while (_left) {                          \
			prepare_to_wait(wq, &_we);       \
			if (cond) {                      \
				finish_wait(wq, &_we);   \
				break;                   \
			}                                \
			_left = schedule_timeout(_left); \
			finish_wait(wq, &_we);           \
		}                                        \
		_left;                                   \
	})

/* Sleeping locks */
struct mutex {
	u32 locked;
	struct wait_queue wq;
};
void __mutex_init(struct mutex *m, u32 key);
#define mutex_init(m) __mutex_init(m, lock_key(#m))
void mutex_lock(struct mutex *m);
/** While another one of the same class is held. */
void mutex_lock_nested(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
#define MUTEX_INIT(name)                      \
	{                                     \
		0, WAIT_QUEUE_INIT((name).wq) \
	}

struct rw_semaphore {
	s32 count; /* readers, or -1 with a writer */
	struct wait_queue wq;
};
void __init_rwsem(struct rw_semaphore *s, u32 key);
#define init_rwsem(s) __init_rwsem(s, lock_key(#s))
void down_read(struct rw_semaphore *s);
bool down_read_trylock(struct rw_semaphore *s);
void up_read(struct rw_semaphore *s);
void down_write(struct rw_semaphore *s);
/** While another one of the same class is held. */
void down_write_nested(struct rw_semaphore *s);
void up_write(struct rw_semaphore *s);

/** True where sleeping is allowed: no spinlock held, interrupts on, scheduler running. */
bool may_sleep(void);

/** Run fn(arg) on every CPU, with interrupts off there and no critical section underway, one after
 * the other or at once. May sleep. */
void on_each_cpu(void (*fn)(void *arg), void *arg);
static inline void on_each_cpu_nothing(void *arg) {}
/** Wait until every CPU has passed a point where preemption is on: whoever found something with preemption off before
 * the call has let go of it. May sleep. */
static inline void synchronize_cpus(void)
{
	on_each_cpu(on_each_cpu_nothing, NULL);
}

/** Boot: somebody looks for this option on the command line. `name` lives for ever. */
void boot_option_asked(const char *name);

/* Limits of the current process (getrlimit(2)), by Linux's numbers; kernel threads have those of a new
 * process. */
enum rlimit_kind {
	RLIMIT_CPU,
	RLIMIT_FSIZE,
	RLIMIT_DATA,
	RLIMIT_STACK,
	RLIMIT_CORE,
	RLIMIT_RSS,
	RLIMIT_NPROC,
	RLIMIT_NOFILE,
	RLIMIT_MEMLOCK,
	RLIMIT_AS,
	RLIMIT_LOCKS,
	RLIMIT_SIGPENDING,
	RLIMIT_MSGQUEUE,
	RLIMIT_NICE,
	RLIMIT_RTPRIO,
	RLIMIT_RTTIME,
	RLIM_NLIMITS
};
#define RLIM_INFINITY (~0ull)
struct rlimit {
	u64 cur, max; /* soft, hard */
};
/** The soft limit. */
static inline u64 rlimit(enum rlimit_kind kind)
{
	return READ_ONCE(current_thread_info()->limits[kind].cur);
}
static inline u64 rlimit_max(enum rlimit_kind kind)
{
	return READ_ONCE(current_thread_info()->limits[kind].max);
}

/* Threads and time */
/** Start a kernel thread. Returns 0 or -ENOMEM. */
int kthread_run(int (*fn)(void *), void *arg, const char *name);
u64 ktime_ns(void);	  /* monotonic, ns since boot */
u64 get_cycles(void);	  /* TSC; with the lab's icount it counts instructions */
u64 get_random_u64(void); /* seeded from the device tree: repeatable */

/** The current task stands still for lack of memory until it leaves again; may nest (psi). */
void psi_memstall_enter(void);
void psi_memstall_leave(void);
/** From now on, if the current task sleeps, it waits for a disk. Nothing else that may wait between the two. */
void io_wait_begin(void);
void io_wait_end(void);
/** wait_event() until a disk has done something. */
#define wait_event_io(wq, cond)       \
	do {                          \
		io_wait_begin();      \
		wait_event(wq, cond); \
		io_wait_end();        \
	} while (0)

/** A signal waits for the current task: long work that can stop half way should. */
bool task_interrupted(void);
/** Has the current task the privilege CAP_SYS_ADMIN? Some reserves of memory are kept for such tasks. */
bool task_is_admin(void);

struct mm_struct;
/** No thread uses the address space any more: it leaves its group of stalls (psi). */
void psi_exit_mm(struct mm_struct *mm);

/* Processes, as the memory manager sees them: for the OOM killer. */
struct mem_cgroup;
struct process_view {
	int pid;
	const char *comm;
	struct mm_struct *mm; /* NULL: an OOM victim that has left it and still has its files */
	const struct mem_cgroup *memcg; /* its group if mm is NULL; NULL: the root */
	int oom_score_adj;		/* -1000 .. 1000 */
	bool exiting;			/* already killed or exiting */
	u64 oom_since;			/* ktime when it became an OOM victim; 0: it is none */
	void *cookie;
};
/** Call `fn` for every user process with an mm, and for every OOM victim that has not closed its files, under
 * the process-list lock; stop when it returns false. */
void for_each_process(bool (*fn)(const struct process_view *p, void *arg), void *arg);
/** Kill process `pid` with SIGKILL: it gets no further than its next return to user mode; waits in
 * the allocator fail for it, and its allocations may use all reserves. It is an OOM victim until its files are
 * closed. */
void process_kill(int pid);
/** The process dies already, and that is waited for: an OOM victim from now on, without a signal. */
void process_is_oom_victim(int pid);

/* Open files, as the memory manager sees them: what keeps a mapped file alive, and its name. */
struct file;
void file_get(struct file *f);
void file_put(struct file *f); /* may sleep */
/** The same where mmap_lock is held, which what closes a file may need: a program's thread closes it on
 * its way to user mode, or when it ends. */
void file_put_later(struct file *f);
/** A file is a program that runs: a reference, and nobody may open it for writing. 0, or -ETXTBSY when
 * somebody has; a file that is held so already may always be held once more. */
int exe_file_get(struct file *f);
void exe_file_put(struct file *f);
/** For /proc/PID/maps: device, inode number, and the name copied to buf. */
void file_describe(struct file *f, u32 *major, u32 *minor, u64 *ino, char *buf, size_t size);
/** Its read-ahead. */
struct file_ra_state;
struct file_ra_state *file_ra(struct file *f);
/** Bytes [start, end] are to be on the disk, as fsync(2) has it. 0 or -errno. May sleep. */
int file_sync_range(struct file *f, u64 start, u64 end);

#endif
