/*
 * Processes: start, end, wait, kill.
 *
 * A new process loads its own program: the spawner hands it the path and waits for the outcome, so
 * that everything is read and mapped in the address space it belongs to, and an error comes back as
 * a number, not as a dead process.
 *
 *   spawn ──> exec_load ──> user mode ──> process_exit ──> reaper frees the stack ──> process_wait
 *
 * Locks: spawn_lock (one at a time); task_list_lock guards the list, task->mm and the exit fields.
 */
#include "kernel/task.h"
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/slab.h"

/* What the spawner hands to the new process; under spawn_lock. */
static struct {
	const char *path, *argv;
	u32 argv_len;
	int result;
	bool done;
} spawn;
static struct mutex spawn_lock = MUTEX_INIT(spawn_lock);
static struct wait_queue spawn_wq = WAIT_QUEUE_INIT(spawn_wq);
static struct wait_queue exit_wq = WAIT_QUEUE_INIT(exit_wq);

#define STATUS_EXEC_FAILED (127 << 8)

static void spawn_result(int result)
{
	spawn.result = result;
	atomic_store_release(&spawn.done, true);
	wake_up(&spawn_wq);
}

static int process_main(void *arg)
{
	unsigned long entry, sp;
	struct mm_struct *mm = mm_alloc();
	int err;

	if (!mm) {
		spawn_result(-ENOMEM);
		process_exit(STATUS_EXEC_FAILED);
	}
	task_set_mm(mm);
	err = exec_load(spawn.path, spawn.argv, spawn.argv_len, &entry, &sp);
	spawn_result(err);
	if (err)
		process_exit(STATUS_EXEC_FAILED);
	arch_enter_user(entry, sp);
}

int process_spawn(const char *path, const char *argv, u32 argv_len)
{
	const char *base = path, *p;
	struct task *t;
	int result, pid;

	for (p = path; *p; p++) {
		if (*p == '/')
			base = p + 1;
	}
	mutex_lock(&spawn_lock);
	t = task_create_user(process_main, NULL, base);
	if (!t) {
		mutex_unlock(&spawn_lock);
		return -ENOMEM;
	}
	pid = t->pid;
	spawn.path = path;
	spawn.argv = argv;
	spawn.argv_len = argv_len;
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
}

void process_exit(int status)
{
	struct task *t = current;
	struct mm_struct *mm = t->mm;

	/* Leave the address space before dropping it: nothing may run on freed tables. */
	task_set_mm(NULL);
	atomic_and(&t->ti->flags, ~(TIF_KILLED | TIF_OOM_VICTIM));
	if (mm)
		mmput(mm);
	t->exit_status = status;
	task_exit(status);
}

void process_dead(struct task *t)
{
	atomic_store_release(&t->exited, true);
	wake_up(&exit_wq);
}

static struct task *find_process(int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct task *t = find_task(pid);

	spin_unlock_irqrestore(&task_list_lock, flags);
	return t && t->user ? t : NULL;
}

int process_wait(int pid)
{
	struct task *t = find_process(pid);
	int status;

	if (!t)
		return -ECHILD;
	wait_event(&exit_wq, atomic_load_acquire(&t->exited));
	status = t->exit_status;
	task_free(t);
	return status;
}

int current_pid(void)
{
	return current->pid;
}

struct mm_struct *process_get_mm(int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct task *t = find_task(pid);
	struct mm_struct *mm = t && t->user ? t->mm : NULL;

	if (mm)
		mmget(mm);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return mm;
}

void for_each_process(bool (*fn)(const struct process_view *p, void *arg), void *arg)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct task *t;

	list_for_each_entry (t, &task_list, tasks) {
		struct process_view v;

		if (!t->user || !t->mm)
			continue;
		v = (struct process_view){
			.pid = t->pid,
			.comm = t->comm,
			.mm = t->mm,
			.oom_score_adj = t->oom_score_adj,
			.exiting = atomic_load(&t->ti->flags) & TIF_KILLED,
			.cookie = t,
		};
		if (!fn(&v, arg))
			break;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
}

void process_kill(int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct task *t = find_task(pid);

	/* A task without mm is leaving already, and its stack may be gone. */
	if (t && t->user && t->mm) {
		atomic_or(&t->ti->flags, TIF_KILLED | TIF_OOM_VICTIM);
		wake_up_task(t);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
}

void exit_to_user_work(struct pt_regs *regs)
{
	struct thread_info *ti = current_thread_info();

	while (atomic_load(&ti->flags) & TIF_KILLED || ti->need_resched) {
		arch_irq_enable();
		if (atomic_load(&ti->flags) & TIF_KILLED) {
			testchan_printf(MMVM_REC_KILLED, current->comm, SIGKILL, "%s[%d]: killed",
					current->comm, current->pid);
			process_exit(SIGKILL);
		}
		sched_yield();
		arch_irq_disable();
	}
}

void process_fault(struct pt_regs *regs, int sig, const char *why, unsigned long addr,
		   unsigned long error)
{
	struct task *t = current;
	char text[192];

	arch_irq_enable();
	ksnprintf(text, sizeof(text), "%s[%d]: %s at %lx ip %lx sp %lx error %lx", t->comm, t->pid,
		  why, addr, (unsigned long)regs->rip, (unsigned long)regs->rsp, error);
	printk("%s\n", text);
	testchan_record(MMVM_REC_KILLED, t->comm, sig, addr, text);
	process_exit(sig);
}
