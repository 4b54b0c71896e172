/*
 * Tasks: creating and ending them, and their address spaces.
 *
 * A task that ends cannot free the stack that it runs on. When its CPU has left the stack, the reaper frees it and
 * calls process_dead() (exit.c).
 *
 * Locks: task_list_lock for the list, the numbers, and whose address space a task has; dead_lock for the
 * reaper's list.
 */
#include "kernel/sched_internal.h"
#include "arch/tlb.h"
#include "kernel/cred.h"
#include "kernel/pid.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/highmem.h"
#include "mm/slab/slab.h"
#include "mm/numa/mempolicy.h"

spinlock_t task_list_lock = SPINLOCK_INIT;
struct list_head task_list = LIST_HEAD_INIT(task_list);
int nr_tasks;
static bool first_pid_taken; /* the first process is 1; T */
static struct kmem_cache *task_cache;
static struct wait_queue reaper_wq = WAIT_QUEUE_INIT(reaper_wq);
static LIST_HEAD(dead_tasks); /* dead_lock: for the reaper, linked by run */
static spinlock_t dead_lock = SPINLOCK_INIT;

/* ---- address spaces of tasks ---- */

void task_set_mm(struct mm_struct *mm)
{
	struct task *t = current;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	t->mm = mm;
	t->ti->mm = mm;
	arch_switch_mm(mm);
	spin_unlock_irqrestore(&task_list_lock, flags);
}

void kthread_use_mm(struct mm_struct *mm)
{
	BUG_ON(current->user || current->mm);
	task_set_mm(mm);
}

void kthread_unuse_mm(void)
{
	BUG_ON(current->user || !current->mm);
	task_set_mm(NULL);
}

/* ---- life of a task ---- */

void task_trace_exec(void)
{
	u64 name;

	memcpy(&name, current->comm, sizeof(name));
	trace_point(EXEC, name, .mm = trace_mm_id(current->mm));
}

static void task_start(void)
{
	sched_first_run();
	task_trace_exec();
	current->fn(current->arg);
	task_exit();
}

enum task_sort { KERNEL_TASK, USER_TASK };

static struct task *__task_create(int (*fn)(void *), void *arg, const char *name,
				  enum task_sort sort)
{
	bool user = sort == USER_TASK;
	struct task *t = kmem_cache_alloc(task_cache, GFP_KERNEL | __GFP_ZERO);
	unsigned long flags;

	if (!t)
		return NULL;
	t->ti = __vmalloc(THREAD_SIZE, THREAD_SIZE, GFP_KERNEL_ACCOUNT, PAGE_STACK, name);
	if (!t->ti) {
		kmem_cache_free(task_cache, t);
		return NULL;
	}
	memset(t->ti, 0, sizeof(*t->ti));
	if (static_key(KEY_HIGHMEM) && kmap_thread_init(t->ti)) {
		vfree(t->ti);
		kmem_cache_free(task_cache, t);
		return NULL;
	}
	t->ti->task = t;
	t->ti->stack_magic = STACK_MAGIC;
	t->ti->limits = kernel_limits; /* a process's own: task_set_process() */
	if (static_key(KEY_LOCKDEP))
		lockdep_thread_init(t->ti);
	t->ti->cpu = static_key(KEY_SMP) ? sched_pick_cpu(~0u) : cpu_id();
	t->cpus = ~0u;
	t->ti->preempt_count = 1; /* of rq->lock, which finish_switch() releases */
	t->ksp = arch_init_stack(user ? ALIGN_DOWN((unsigned long)task_user_regs(t), 16ul)
				      : (unsigned long)t->ti + THREAD_SIZE,
				 task_start);
	INIT_LIST_HEAD(&t->sig_pending.queue);
	t->fn = fn;
	t->arg = arg;
	t->user = user;
	t->kind = user ? CPU_USER : CPU_KERNEL;
	t->state = TASK_SLEEPING;
	strscpy(t->comm, name, sizeof(t->comm));
	if (user)
		arch_fpu_init(t->fpu);

	flags = spin_lock_irqsave(&task_list_lock);
	if (user && !first_pid_taken) {
		t->pid = 1;
		first_pid_taken = true;
	} else {
		t->pid = pid_take();
	}
	if (likely(t->pid)) {
		list_add_tail(&t->tasks, &task_list);
		nr_tasks++;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (unlikely(!t->pid)) { /* no number is left */
		vfree(t->ti);
		kmem_cache_free(task_cache, t);
		return NULL;
	}
	return t;
}

struct task *task_create(int (*fn)(void *), void *arg, const char *name)
{
	return __task_create(fn, arg, name, KERNEL_TASK);
}

struct task *task_create_user(int (*fn)(void *), void *arg, const char *name)
{
	return __task_create(fn, arg, name, USER_TASK);
}

int kthread_run_on(unsigned int cpu, int (*fn)(void *), void *arg, const char *name)
{
	struct task *t = cpu_is_online(cpu) ? task_create(fn, arg, name) : NULL;

	if (!t)
		return cpu_is_online(cpu) ? -ENOMEM : -EINVAL;
	t->bound = true;
	t->ti->cpu = cpu; /* no other CPU can reach it yet (I6) */
	wake_up_task(t);
	return 0;
}

int kthread_run(int (*fn)(void *), void *arg, const char *name)
{
	struct task *t = task_create(fn, arg, name);

	if (!t)
		return -ENOMEM;
	wake_up_task(t);
	return 0;
}

void task_free(struct task *t)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	list_del(&t->tasks);
	nr_tasks--;
	spin_unlock_irqrestore(&task_list_lock, flags);
	cred_put(t->cred);
	kmem_cache_free(task_cache, t);
}

void task_destroy(struct task *t)
{
	mempolicy_exit(t->ti);
	vfree(t->ti);
	task_free(t);
}

static int reaper(void *arg)
{
	for (;;) {
		struct task *t = NULL;
		unsigned long flags;

		wait_event(&reaper_wq, !list_empty(&dead_tasks));
		flags = spin_lock_irqsave(&dead_lock);
		if (!list_empty(&dead_tasks)) {
			t = list_first_entry(&dead_tasks, struct task, run);
			list_del(&t->run);
		}
		spin_unlock_irqrestore(&dead_lock, flags);
		if (!t)
			continue;
		vfree(t->ti);
		t->ti = NULL;
		if (t->user)
			process_dead(t);
		task_free(t);
	}
	return 0;
}

void tasks_reap(struct list_head *dead)
{
	spin_lock(&dead_lock);
	list_splice_init(dead, dead_tasks.prev); /* at the end */
	spin_unlock(&dead_lock);
	wake_up(&reaper_wq);
}

struct task *find_task(int pid)
{
	struct task *t;

	list_for_each_entry (t, &task_list, tasks) {
		if (t->pid == pid)
			return t;
	}
	return NULL;
}

void tasks_init(void)
{
	task_cache =
		kmem_cache_create("task", sizeof(struct task), 64, SLAB_PANIC | SLAB_ACCOUNT, NULL);
	if (kthread_run(reaper, NULL, "kreaper"))
		panic("no memory for the reaper thread");
}
