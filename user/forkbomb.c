/*
 * Forks without limit: until the kernel refuses, or it is stopped.
 *
 * forkbomb             forks as long as it can; all children sleep
 * forkbomb --bombs     each child forks without end, too, until all are killed
 *
 * The first form exits with 0 if fork failed with EAGAIN or ENOMEM, and all children could be killed and
 * waited for.
 */
#include "rt.h"

#define SYS_fork  57
#define SYS_wait4 61
#define SYS_kill  62
#define SYS_pause 34
#define SIGKILL	  9
#define EAGAIN	  11
#define MOST	  4096

static int pids[MOST];

int main(int argc, char **argv)
{
	bool bombs = argc > 1 && !strcmp(argv[1], "--bombs");
	int n = 0, status;
	long pid = 0;

	while (n < MOST) {
		pid = syscall3(SYS_fork, 0, 0, 0);
		if (pid < 0)
			break;
		if (pid) {
			pids[n++] = (int)pid;
			continue;
		}
		n = 0;
		if (!bombs) {
			for (;;)
				syscall3(SYS_pause, 0, 0, 0);
		}
	}
	if (pid != -EAGAIN && pid != -ENOMEM) {
		print("forkbomb: fork ended with %ld after %d children\n", pid, n);
		return 1;
	}
	print("forkbomb: refused after %d children: error %ld\n", n, -pid);
	for (int i = 0; i < n; i++)
		syscall3(SYS_kill, pids[i], SIGKILL, 0);
	for (int i = 0; i < n; i++) {
		long gone = syscall6(SYS_wait4, pids[i], (long)&status, 0, 0, 0, 0);

		if (gone != pids[i]) {
			print("forkbomb: child %d cannot be buried: %ld\n", pids[i], gone);
			return 1;
		}
	}
	return 0;
}
