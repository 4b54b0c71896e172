/*
 * The threads of a crew: each runs on a CPU of its own (kthread_run_on()), and all begin together.
 */
#include "kernel/task.h"
#include "tests/crew.h"

struct member {
	struct crew *crew;
	unsigned int cpu;
};

static int member_body(void *arg)
{
	struct member *m = arg;
	struct crew *c = m->crew;

	if (c->mm)
		kthread_use_mm(c->mm);
	atomic_add(&c->ready, 1);
	while (atomic_load(&c->ready) < c->nr)
		cond_resched(), cpu_relax();
	c->fn(c, m->cpu);
	if (cpu_id() != m->cpu)
		atomic_add(&c->errors, 1);
	if (c->mm)
		kthread_unuse_mm();
	atomic_sub(&c->left, 1);
	wake_up(&c->wq);
	return 0;
}

void run_crew(struct test *t, struct crew *c, u32 nr)
{
	static struct member members[MMVM_MAX_CPUS];
	static struct crew kept; /* wake_up() may look at it after we have gone */

	kept = *c;
	kept.nr = kept.left = nr;
	wait_queue_init(&kept.wq);
	for (u32 cpu = 0; cpu < nr; cpu++) {
		members[cpu] = (struct member){&kept, cpu};
		REQUIRE(!kthread_run_on(cpu, member_body, &members[cpu], "crew"));
	}
	wait_event(&kept.wq, !atomic_load(&kept.left));
	CHECK_EQ(kept.errors, 0);
}
