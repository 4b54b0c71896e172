/*
 * membarrier(2): when it returns, every thread that it concerns has executed a full memory barrier, so
 * the fast paths of these threads need none.
 *
 * All CPUs are interrupted to execute a barrier, whatever task they run, so expedited commands do the same as global
 * ones. The interrupt returns by IRETQ, which is serialising (SDM 8.3, APM volume 2, 7.6.4), as the SYNC_CORE commands
 * promise. The caller's own CPU executes CPUID instead.
 *
 * A process must register before it uses a private command. Registration is inherited by fork and cleared by
 * execve, as on Linux.
 */
#include "arch/processor.h"
#include "kernel/process.h"
#include "lib/errno.h"
#include "lib/syscall.h"

#define CMD_GLOBAL		       (1u << 0)
#define CMD_GLOBAL_EXPEDITED	       (1u << 1)
#define CMD_REGISTER_GLOBAL_EXPEDITED  (1u << 2)
#define CMD_PRIVATE_EXPEDITED	       (1u << 3)
#define CMD_REGISTER_PRIVATE_EXPEDITED (1u << 4)
#define CMD_PRIVATE_SYNC_CORE	       (1u << 5)
#define CMD_REGISTER_PRIVATE_SYNC_CORE (1u << 6)
/* All commands but those for restartable sequences, which are not implemented. */
#define CMD_ALL ((1u << 7) - 1)

static void barrier_here(void *arg)
{
	(void)arg;
	smp_mb();
}

long sys_membarrier(struct pt_regs *r)
{
	struct process *p = current_process();
	u32 cmd = r->rdi;

	/* A flag and its CPU number belong to a command that is not implemented. */
	if (r->rsi || (cmd & (cmd - 1)) || cmd & ~CMD_ALL)
		return -EINVAL;
	switch (cmd) {
	case 0: /* MEMBARRIER_CMD_QUERY */
		return CMD_ALL;
	case CMD_REGISTER_GLOBAL_EXPEDITED:
		return 0; /* every process is registered */
	case CMD_REGISTER_PRIVATE_EXPEDITED:
	case CMD_REGISTER_PRIVATE_SYNC_CORE:
		atomic_or(&p->membarrier, cmd);
		return 0;
	case CMD_PRIVATE_EXPEDITED:
	case CMD_PRIVATE_SYNC_CORE:
		if (!(atomic_load(&p->membarrier) & cmd << 1))
			return -EPERM;
	}
	on_each_cpu(barrier_here, NULL);
	if (cmd == CMD_PRIVATE_SYNC_CORE)
		arch_sync_core();
	return 0;
}
