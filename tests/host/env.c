/*
 * lib/env.h for one thread on one CPU, or for two that take turns (race.h).
 *
 * Unless two threads race, nobody else runs. So a lock that is taken twice, or a wait that no pending I/O
 * can end, is a bug of the code under test or of the test: each panics with a message. A panic inside of
 * host_panics() is reported to the waiting parent; any other ends the program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "host.h"
#include "race.h"
#include "arch/pkey.h"
#include "lib/format.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/phys/zone.h"
#include "mm/memcg/memcg.h"
#include "mm/reclaim/oom.h"

struct thread_info host_thread_info = {.stack_magic = STACK_MAGIC, .limits = host_limits};
bool host_irqs_off;
unsigned int host_nr_cpus = 1;
struct mmvm_shared *mmvm_shared;
bool host_pku;
static u32 host_pkru = 0x55555554;
u64 host_time_ns, host_nr_wakeups;
u64 host_random = 0x9e3779b97f4a7c15ull;
bool (*host_idle_hook)(void);
struct host_kthread host_kthreads[HOST_MAX_KTHREADS];
unsigned int host_nr_kthreads;
struct process_view host_process[HOST_MAX_PROCESSES];
unsigned int host_nr_processes;
int host_last_killed;
extern int host_panic_fd;

static char log_text[16384];
static size_t log_len;

u32 arch_pkru(void)
{
	return host_pkru;
}

void arch_set_pkru(u32 pkru)
{
	host_pkru = pkru;
}

void boot_option_asked(const char *name) {}

struct rlimit host_limits[RLIM_NLIMITS];

__attribute__((constructor)) void host_limits_reset(void)
{
	for (unsigned int i = 0; i < RLIM_NLIMITS; i++)
		host_limits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	host_limits[RLIMIT_STACK].cur = 8u << 20;
	host_limits[RLIMIT_MEMLOCK] = (struct rlimit){8u << 20, 8u << 20};
}

void host_set_tif(u32 flags)
{
	host_thread_info.flags = flags;
}

void host_set_cpu(unsigned int cpu)
{
	host_thread_info.cpu = cpu;
}

const char *host_log(void)
{
	return log_text;
}

void host_log_clear(void)
{
	log_len = 0;
	log_text[0] = 0;
}

void host_spin_wait(void)
{
	static unsigned long turns;

	if (host_race_wait("a spinlock"))
		return;
	if (++turns > 100000000)
		panic("spinlock taken twice by the only thread");
}

void printk(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	n = min(n, (int)sizeof(line) - 1);
	if (log_len + n >= sizeof(log_text)) {
		size_t keep = sizeof(log_text) / 2;

		memmove(log_text, log_text + log_len - min(keep, log_len), min(keep, log_len));
		log_len = min(keep, log_len);
	}
	memcpy(log_text + log_len, line, n + 1);
	log_len += n;
	if (getenv("HOST_VERBOSE"))
		fputs(line, stderr);
}

void panic(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	n = min(n, (int)sizeof(line) - 1);
	if (host_panic_fd >= 0)
		_exit(write(host_panic_fd, line, n) == n ? 99 : 97);
	fprintf(stderr, "guest panic: %s\n", line);
	abort();
}

void preempt_schedule(void)
{
	if (host_racing)
		host_race_point("after a lock's release");
	else
		host_thread_info.need_resched = 0;
}

bool may_sleep(void)
{
	return !host_irqs_off && host_thread_info.preempt_count == 0;
}

void __wait_queue_init(struct wait_queue *wq, u32 key)
{
	spin_lock_init(&wq->lock);
	INIT_LIST_HEAD(&wq->waiters);
}

void prepare_to_wait(struct wait_queue *wq, struct wait_entry *we)
{
	unsigned long flags = spin_lock_irqsave(&wq->lock);

	we->task = NULL;
	list_add_tail(&we->node, &wq->waiters);
	spin_unlock_irqrestore(&wq->lock, flags);
}

void finish_wait(struct wait_queue *wq, struct wait_entry *we)
{
	unsigned long flags = spin_lock_irqsave(&wq->lock);

	list_del(&we->node);
	spin_unlock_irqrestore(&wq->lock, flags);
}

void wake_up(struct wait_queue *wq)
{
	host_nr_wakeups++;
}

void schedule(void)
{
	if (!may_sleep())
		panic("schedule() with interrupts off or a spinlock held");
	if (host_race_point("schedule()"))
		return;
	if (host_race_lazy() && host_race_wait("an event"))
		return;
	if (host_disks_poll())
		return;
	if (host_race_wait("an event"))
		return;
	if (!host_idle_hook || !host_idle_hook())
		panic("a wait that nothing can end");
}

/* Nobody looks at pressure here. */
void psi_memstall_enter(void) {}

void psi_memstall_leave(void) {}

void psi_exit_mm(struct mm_struct *mm) {}
void io_wait_begin(void) {}
void io_wait_end(void) {}

u64 schedule_timeout(u64 ns)
{
	if (!may_sleep())
		panic("schedule_timeout() with interrupts off or a spinlock held");
	host_race_point("schedule_timeout()");
	/* The flushers work meanwhile, and a disk that is done earlier ends the wait. */
	if (host_disks_take_time() && host_idle_hook)
		host_idle_hook();
	if (host_disks_next() <= host_time_ns + ns) {
		u64 left = host_time_ns + ns;

		host_disks_poll();
		return left > host_time_ns ? left - host_time_ns : 0;
	}
	host_time_ns += ns;
	if (!host_disks_poll() && !host_race_wait("some time") && host_idle_hook)
		host_idle_hook();
	return 0;
}

void sleep_ns(u64 ns)
{
	do
		ns = schedule_timeout(ns);
	while (ns);
}

void cond_resched(void)
{
	if (!may_sleep())
		panic("cond_resched() with interrupts off or a spinlock held");
	host_race_point("cond_resched()");
	host_race_yield();
}

void __mutex_init(struct mutex *m, u32 key)
{
	m->locked = 0;
	__wait_queue_init(&m->wq, key);
}

void mutex_lock(struct mutex *m)
{
	if (!may_sleep())
		panic("mutex_lock() where sleeping is not allowed");
	host_race_point("a mutex");
	while (m->locked)
		if (!host_race_wait("a mutex"))
			panic("mutex taken twice by the only thread");
	m->locked = 1;
}

bool mutex_trylock(struct mutex *m)
{
	if (m->locked)
		return false;
	m->locked = 1;
	return true;
}

void mutex_unlock(struct mutex *m)
{
	if (!m->locked)
		panic("mutex released that is not held");
	m->locked = 0;
	host_race_point("after a mutex");
}

void __init_rwsem(struct rw_semaphore *s, u32 key)
{
	s->count = 0;
	__wait_queue_init(&s->wq, key);
}

void down_read(struct rw_semaphore *s)
{
	if (!may_sleep())
		panic("down_read() where sleeping is not allowed");
	host_race_point("a semaphore, for reading");
	while (!down_read_trylock(s))
		if (!host_race_wait("a semaphore, for reading"))
			panic("down_read() while the only thread holds it for writing");
}

bool down_read_trylock(struct rw_semaphore *s)
{
	if (s->count < 0)
		return false;
	s->count++;
	return true;
}

void up_read(struct rw_semaphore *s)
{
	if (s->count <= 0)
		panic("up_read() of a semaphore not held for reading");
	s->count--;
	host_race_point("after a semaphore");
}

void down_write(struct rw_semaphore *s)
{
	if (!may_sleep())
		panic("down_write() where sleeping is not allowed");
	host_race_point("a semaphore, for writing");
	while (s->count)
		if (!host_race_wait("a semaphore, for writing"))
			panic("down_write() while the only thread holds it");
	s->count = -1;
}

void down_write_nested(struct rw_semaphore *s)
{
	down_write(s);
}

void up_write(struct rw_semaphore *s)
{
	if (s->count != -1)
		panic("up_write() of a semaphore not held for writing");
	s->count = 0;
	host_race_point("after a semaphore");
}

int kthread_run(int (*fn)(void *), void *arg, const char *name)
{
	struct host_kthread *t;

	if (host_nr_kthreads == HOST_MAX_KTHREADS)
		return -12; /* ENOMEM */
	t = &host_kthreads[host_nr_kthreads++];
	t->fn = fn;
	t->arg = arg;
	strncpy(t->name, name, sizeof(t->name) - 1);
	return 0;
}

u64 ktime_ns(void)
{
	return host_time_ns++;
}

u64 get_cycles(void)
{
	return __builtin_ia32_rdtsc();
}

void oom_current(struct oom_victim *t)
{
	strcpy(t->comm, "host");
	t->pid = 0;
	t->oom_score_adj = 0;
}

u32 oom_view_uid(const struct process_view *p)
{
	return 0;
}

/* A process whose cookie is set may only use the nodes that it names. */
bool oom_view_on_nodes(const struct process_view *p, u32 nodes)
{
	return !p->cookie || ((u32)(unsigned long)p->cookie & nodes);
}

void oom_group_paths(int pid, const struct mem_cgroup *top, char *own, char *over, size_t size)
{
	strcpy(own, "/own");
	strcpy(over, "/over");
}

int current_pid(void)
{
	return 0;
}

void on_each_cpu(void (*fn)(void *arg), void *arg)
{
	unsigned int cpu = host_thread_info.cpu;
	unsigned long flags;

	host_race_quiesce();
	flags = arch_irq_save();
	for (unsigned int i = 0; i < host_nr_cpus; i++) {
		host_thread_info.cpu = (cpu + i) % host_nr_cpus;
		fn(arg);
	}
	host_thread_info.cpu = cpu;
	arch_irq_restore(flags);
}

u64 get_random_u64(void)
{
	host_random ^= host_random << 13;
	host_random ^= host_random >> 7;
	host_random ^= host_random << 17;
	return host_random;
}

bool task_interrupted(void)
{
	return false;
}

bool host_task_is_admin = true;

bool task_is_admin(void)
{
	return host_task_is_admin;
}

void for_each_process(bool (*fn)(const struct process_view *p, void *arg), void *arg)
{
	for (unsigned int i = 0; i < host_nr_processes; i++)
		if (!fn(&host_process[i], arg))
			return;
}

void process_kill(int pid)
{
	host_last_killed = pid;
	for (unsigned int i = 0; i < host_nr_processes; i++)
		if (host_process[i].pid == pid)
			host_process[i].exiting = true;
	process_is_oom_victim(pid);
}

void process_is_oom_victim(int pid)
{
	for (unsigned int i = 0; i < host_nr_processes; i++)
		if (host_process[i].pid == pid)
			host_process[i].oom_since = ktime_ns();
}
