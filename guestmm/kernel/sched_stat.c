/*
 * How long tasks and CPUs have run. Time in the kernel is estimated from samples (take_sample() in sched.c), as in
 * Linux without exact accounting, so entering and leaving the kernel costs nothing.
 *
 * Locks: rq->lock of the CPU whose times are read.
 */
#include "kernel/sched_internal.h"
#include "kernel/console.h"
#include "kernel/pid.h"

static u64 kernel_part(u64 ns, u64 in_kernel, u64 in_user)
{
	return in_kernel ? ns / (in_kernel + in_user) * in_kernel : 0;
}

u64 task_run_ns(const struct task *t)
{
	u64 ns = READ_ONCE(t->run_ns);

	return t == current ? ns + ktime_ns() - READ_ONCE(t->run_since) : ns;
}

u64 task_system_ns(const struct task *t, u64 run_ns)
{
	return kernel_part(run_ns, READ_ONCE(t->samples[0]), READ_ONCE(t->samples[1]));
}

enum sched_cpu_state sched_cpu_state(unsigned int cpu)
{
	const struct task *curr = cpu < nr_cpu_ids ? READ_ONCE(cpu_rq(cpu)->curr) : NULL;

	if (!curr || curr == cpu_rq(cpu)->idle)
		return SCHED_CPU_IDLE;
	return READ_ONCE(curr->memstall) ? SCHED_CPU_STALLS : SCHED_CPU_WORKS;
}

void sched_totals(struct sched_totals *t, int cpu)
{
	u64 now = ktime_ns(), in_kernel;

	*t = (struct sched_totals){.nr_running = sched_nr_running(),
				   .last_pid = pid_last(),
				   .nr_forks = pid_taken() + 1}; /* and the idle task */
	for_each_possible_cpu (i) {
		struct rq *rq = cpu_rq(i);
		unsigned long flags;

		if (!READ_ONCE(rq->curr) || (cpu >= 0 && (unsigned int)cpu != i))
			continue;
		flags = arch_irq_save();
		rq_lock(rq);
		for (int kind = 0; kind < NR_CPU_TIMES; kind++)
			t->ns[kind] += rq->ran_ns[kind];
		t->ns[rq->curr->kind] += now - min(now, rq->curr->run_since);
		for (int k = 0; k < 4; k++)
			t->samples[k / 2][k % 2] += rq->samples[k / 2][k % 2];
		t->nr_iowait += rq->nr_iowait;
		t->nr_switches += rq->nr_switches;
		rq_unlock(rq);
		arch_irq_restore(flags);
	}
	/* The time that programs spent in the kernel counts as system time. */
	for (int kind = CPU_USER; kind <= CPU_NICE; kind++) {
		const u64 *samples = t->samples[kind == CPU_NICE];

		in_kernel = kernel_part(t->ns[kind], samples[0], samples[1]);
		t->ns[kind] -= in_kernel;
		t->ns[CPU_KERNEL] += in_kernel;
	}
}

void sched_describe_cpu(unsigned int cpu)
{
	const struct task *t = cpu_rq(cpu)->curr;

	console_printf("\nCPU %u was running %s[%d], %u wait for it\n", cpu, t->comm, t->pid,
		       cpu_rq(cpu)->nr);
}
