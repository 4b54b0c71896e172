/*
 * Processes: their structs, their list, and starting a process from the kernel.
 *
 * A process that the kernel starts loads its own program. The spawner passes it the path and waits for the
 * result. So the program is read and mapped in its own address space, and an error is returned as a number
 * instead of a dead process.
 *
 *   spawn ──> exec_load ──> user mode ──> process_exit ──> reaper frees the stack ──> process_wait
 *
 * Locks: spawn_lock (one at a time); task_list_lock guards the lists and the tree.
 */
#include "kernel/cred.h"
#include "kernel/process.h"
#include "kernel/cgroup.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/virt/mm.h"
#include "mm/slab/slab.h"

LIST_HEAD(process_list);
static struct kmem_cache *process_cache;

/* What the spawner passes to the new process; guarded by spawn_lock. */
static struct {
	struct exec_args args;
	int result;
	bool done;
} spawn;
static struct mutex spawn_lock = MUTEX_INIT(spawn_lock);
static struct wait_queue spawn_wq = WAIT_QUEUE_INIT(spawn_wq);

#define STATUS_EXEC_FAILED (127 << 8)

void processes_init(void)
{
	/* As in Linux: half the maximal number of threads. */
	kernel_limits[RLIMIT_SIGPENDING].cur = kernel_limits[RLIMIT_SIGPENDING].max =
		(u64)threads_max() / 2;
	process_cache = kmem_cache_create("process", sizeof(struct process), 64,
					  SLAB_PANIC | SLAB_ACCOUNT, NULL);
}

struct process *process_alloc(struct process *parent, const char *comm)
{
	struct process *p = kmem_cache_alloc(process_cache, GFP_KERNEL_ACCOUNT);

	if (!p)
		return NULL;
	memset(p, 0, offsetof(struct process, info));
	p->refs = 1;
	p->started_ns = ktime_ns();
	INIT_LIST_HEAD(&p->children);
	INIT_LIST_HEAD(&p->sibling);
	INIT_LIST_HEAD(&p->threads);
	INIT_LIST_HEAD(&p->sig_pending.queue);
	INIT_LIST_HEAD(&p->posix_timers);
	wait_queue_init(&p->wait);
	wait_queue_init(&p->stop_wq);
	wait_queue_init(&p->exit_wq);
	wait_queue_init(&p->core_wq);
	strscpy(p->comm, comm, sizeof(p->comm));
	if (parent) {
		p->personality = parent->personality;
		p->membarrier = parent->membarrier;
	}
	memcpy(p->limits, parent ? parent->limits : kernel_limits, sizeof(p->limits));
	return p;
}

void process_get(struct process *p)
{
	atomic_add(&p->refs, 1);
}

void process_put(struct process *p)
{
	if (!atomic_dec_and_test(&p->refs))
		return;
	sighand_put(p->sighand);
	cgroup_release(p);
	kmem_cache_free(process_cache, p);
}

struct process *find_process(int pid)
{
	struct process *p;

	list_for_each_entry (p, &process_list, all) {
		if (p->pid == pid)
			return p;
	}
	return NULL;
}

void comm_from_path(char comm[TASK_COMM_LEN], const char *path)
{
	const char *base = path;

	for (; *path; path++) {
		if (*path == '/')
			base = path + 1;
	}
	strscpy(comm, base, TASK_COMM_LEN);
}

/* ---- started by the kernel ---- */

static void spawn_result(int result)
{
	spawn.result = result;
	atomic_store_release(&spawn.done, true);
	wake_up(&spawn_wq);
}

static int process_main(void *arg)
{
	unsigned long entry, sp;
	struct cred *cred;
	struct mm_struct *mm = mm_alloc();
	int err;

	if (!mm) {
		spawn_result(-ENOMEM);
		process_exit(STATUS_EXEC_FAILED);
	}
	task_set_mm(mm);
	err = exec_load(&spawn.args, &entry, &sp, &cred);
	spawn_result(err);
	if (err)
		process_exit(STATUS_EXEC_FAILED);
	cred_commit(cred);
	task_trace_exec();
	arch_enter_user(entry, sp);
}

static u32 count_strings(const char *s, u32 len)
{
	u32 n = 0;

	for (u32 i = 0; i < len; i++)
		n += !s[i];
	return n;
}

int process_spawn(const char *path, const char *argv, u32 argv_len)
{
	char comm[TASK_COMM_LEN];
	unsigned long flags;
	struct process *p;
	struct task *t;
	int result, pid;

	if (argv_len && argv[argv_len - 1])
		return -EINVAL;
	comm_from_path(comm, path);
	mutex_lock(&spawn_lock);
	result = -ENOMEM;
	p = process_alloc(NULL, comm);
	if (!p)
		goto unlock;
	p->files = files_console();
	p->fs = fs_dup(NULL);
	t = p->files && p->fs ? task_create_user(process_main, NULL, comm) : NULL;
	if (!t)
		goto put;
	task_set_process(t, p);
	t->cred = cred_init();
	pid = p->pid = p->pgid = p->sid = t->pid;
	p->kernel_waits = true;
	p->nr_threads = p->nr_live = 1;
	flags = spin_lock_irqsave(&task_list_lock);
	list_add_tail(&t->thread, &p->threads);
	list_add_tail(&p->all, &process_list);
	cgroup_fork(p, NULL);
	tty_adopt_session(p);
	spin_unlock_irqrestore(&task_list_lock, flags);

	spawn.args = (struct exec_args){path, argv, argv_len, count_strings(argv, argv_len), 0};
	spawn.done = false;
	wake_up_task(t);
	wait_event(&spawn_wq, atomic_load_acquire(&spawn.done));
	result = spawn.result;
	mutex_unlock(&spawn_lock);
	if (result) {
		process_wait(pid);
		return result;
	}
	return pid;
put:
	fs_put(p->fs);
	files_put(p->files);
	process_put(p);
unlock:
	mutex_unlock(&spawn_lock);
	return result;
}

u64 process_run_ns(const struct process *p)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	u64 ns = p->dead_run_ns;
	struct task *t;

	list_for_each_entry (t, &p->threads, thread)
		ns += task_run_ns(t);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ns;
}

void process_times(struct process *p, u64 *user_ns, u64 *sys_ns)
{
	u64 run = p->dead_run_ns, sys = p->dead_sys_ns, user;
	struct task *t;

	list_for_each_entry (t, &p->threads, thread) {
		u64 ns = task_run_ns(t);

		run += ns;
		sys += task_system_ns(t, ns);
	}
	sys = max(sys, p->shown_sys_ns);
	user = run > sys ? run - sys : 0;
	if (user < p->shown_user_ns) {
		user = p->shown_user_ns;
		sys = max(run > user ? run - user : 0, p->shown_sys_ns);
	}
	p->shown_sys_ns = sys;
	p->shown_user_ns = user;
	*user_ns = user;
	*sys_ns = sys;
}

void process_faults(struct process *p, u64 *min_flt, u64 *maj_flt)
{
	s64 min = atomic_load(&p->past_min_flt), maj = atomic_load(&p->past_maj_flt);
	struct task *t;

	list_for_each_entry (t, &p->threads, thread) {
		const struct mm_struct *mm = t->mm;

		if (!mm)
			continue;
		min += mm->min_flt;
		maj += mm->maj_flt;
		break; /* they share it */
	}
	*min_flt = max(min, (s64)0);
	*maj_flt = max(maj, (s64)0);
}

void process_leaves_mm(struct process *p, const struct mm_struct *mm)
{
	atomic_add(&p->past_min_flt, (s64)mm->min_flt);
	atomic_add(&p->past_maj_flt, (s64)mm->maj_flt);
}

int current_pid(void)
{
	return current ? current->pid : 0; /* none before sched_init() */
}

bool task_interrupted(void)
{
	return signal_pending();
}

bool task_is_admin(void)
{
	return capable(CAP_SYS_ADMIN);
}

/* ---- for memory management ---- */

/* A thread of the process that still has its mm, or NULL. T held. */
static struct task *thread_with_mm(const struct process *p)
{
	struct task *t;

	list_for_each_entry (t, &p->threads, thread) {
		if (t->mm)
			return t;
	}
	return NULL;
}

struct mm_struct *process_get_mm(int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p = find_process(pid);
	struct task *t = p ? thread_with_mm(p) : NULL;
	struct mm_struct *mm = t ? t->mm : NULL;

	if (mm)
		mmget(mm);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return mm;
}

void for_each_process(bool (*fn)(const struct process_view *p, void *arg), void *arg)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p;

	list_for_each_entry (p, &process_list, all) {
		struct task *t = thread_with_mm(p);
		struct process_view v;

		if (!t && !p->oom_since)
			continue;
		v = (struct process_view){
			.pid = p->pid,
			.comm = p->comm,
			.mm = t ? t->mm : NULL,
			.memcg = !t && p->cgroup ? p->cgroup->memcg : NULL,
			.oom_score_adj = t ? t->oom_score_adj : 0,
			.exiting = p->group_exit && !p->core, /* a dump may take long */
			.oom_since = p->oom_since,
			.cookie = t,
		};
		if (!fn(&v, arg))
			break;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
}

/* Mark the process as killed by the OOM killer. Not if its files are closed: nothing would clear the mark. T held. */
static void mark_oom_victim(struct process *p)
{
	if (!p->oom_since && p->files)
		p->oom_since = ktime_ns();
}

void process_kill(int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p = find_process(pid);

	if (p) {
		kill_process(p, SIGKILL, TIF_OOM_VICTIM);
		mark_oom_victim(p);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
}

void process_is_oom_victim(int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p = find_process(pid);

	if (p)
		mark_oom_victim(p);
	spin_unlock_irqrestore(&task_list_lock, flags);
}
