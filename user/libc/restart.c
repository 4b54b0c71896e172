/*
 * rseq(2): a transcript to compare (tests/vm/conform_programs.sh). glibc registers an area of its own, so each
 * thread first unregisters that one. The sequence below increments a counter, and is interrupted by signals and other
 * threads. Each time it must continue at its abort address, and no increment may be lost or done in part.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

#ifndef SYS_rseq
#define SYS_rseq 334
#endif
#define SIG 0x53053053

struct area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t cs;
	uint32_t flags, pad[3];
} __attribute__((aligned(32)));

struct description {
	uint32_t version, flags;
	uint64_t start_ip, post_commit_offset, abort_ip;
} __attribute__((aligned(32)));

static struct area area, other;
static struct description first; /* of the sequence, as it stands in the program */

static long rseq(struct area *a, uint32_t len, int flags, uint32_t sig)
{
	return syscall(SYS_rseq, a, len, flags, sig);
}

#ifdef __GLIBC__
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));
static void take_away(void)
{
	if (&__rseq_size && __rseq_size)
		rseq((struct area *)((char *)__builtin_thread_pointer() + __rseq_offset), 32, 1,
		     SIG);
}
#else
static void take_away(void) {}
#endif

/*
 * Add one to *count in a sequence that spins `spin` times before its last instruction. Returns 1 when it
 * was aborted, and *count is as it was.
 */
static int step(struct area *a, struct description *d, uint64_t *count, uint64_t spin)
{
	int aborted = 0;

	__asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
			 "movq %%rax, 8(%[d])\n\t"
			 "movq $(2f - 1f), 16(%[d])\n\t"
			 "leaq 4f(%%rip), %%rax\n\t"
			 "movq %%rax, 24(%[d])\n\t"
			 "movq %[d], 8(%[a])\n"
			 "1:\n\t"
			 "movq (%[count]), %%rax\n\t"
			 "incq %%rax\n"
			 "3:\n\t"
			 "decq %[spin]\n\t"
			 "jns 3b\n\t"
			 "movq %%rax, (%[count])\n"
			 "2:\n\t"
			 "jmp 5f\n\t"
			 ".long 0x53053053\n"
			 "4:\n\t"
			 "movl $1, %[aborted]\n"
			 "5:\n"
			 : [aborted] "+r"(aborted), [spin] "+r"(spin)
			 : [d] "r"(d), [a] "r"(a), [count] "r"(count)
			 : "rax", "memory", "cc");
	return aborted;
}

static void calls(void)
{
	printf("unregister: nothing %s\n", result(rseq(&area, 32, 1, SIG)));
	printf("flags %s", result(rseq(&area, 32, 2, SIG)));
	printf(" unaligned %s", result(rseq((void *)((char *)&area + 8), 32, 0, SIG)));
	printf(" size %s", result(rseq(&area, 16, 0, SIG)));
	printf(" address %s\n", result(rseq((void *)-32l, 32, 0, SIG)));
	area.cpu_id = area.cpu_id_start = 99;
	printf("register %s", result(rseq(&area, 32, 0, SIG)));
	printf(" again %s", result(rseq(&area, 32, 0, SIG)));
	printf(" other %s", result(rseq(&other, 32, 0, SIG)));
	printf(" signature %s", result(rseq(&area, 32, 0, SIG + 1)));
	printf(" size %s\n", result(rseq(&area, 64, 0, SIG)));
	printf("a CPU of the machine: %d %d\n", area.cpu_id < 64, area.cpu_id == area.cpu_id_start);
	printf("unregister: other %s", result(rseq(&other, 32, 1, SIG)));
	printf(" signature %s", result(rseq(&area, 32, 1, SIG + 1)));
	printf(" flags %s", result(rseq(&area, 32, 3, SIG)));
	printf(" size %s", result(rseq(&area, 64, 1, SIG)));
	printf(" right %s", result(rseq(&area, 32, 1, SIG)));
	printf(" again %s", result(rseq(&area, 32, 1, SIG)));
	printf(": %d", (int)area.cpu_id);
	printf(" %d\n", (int)area.cpu_id_start);
}

static volatile sig_atomic_t alarms;
static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

/* Signals hit the sequence, in most cases while it spins. */
static void interrupted(void)
{
	const struct itimerval every = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
	uint64_t count = 0, commits = 0, aborts = 0;

	rseq(&area, 32, 0, SIG);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &every, NULL);
	while (aborts < 5 || commits < 100) {
		if (step(&area, &first, &count, aborts < 5 ? 3000000 : 10))
			aborts++;
		else
			commits++;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	printf("interrupted: aborts %d commits %d, of each commit one: %d\n", aborts >= 5,
	       commits >= 100, count == commits);
}

static int stop;
static void *spin(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		sched_yield();
	return arg;
}

/* Another thread takes the processor. */
static void preempted(void)
{
	uint64_t count = 0, commits = 0, aborts = 0;
	cpu_set_t one;
	pthread_t t;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	pthread_create(&t, NULL, spin, NULL);
	while (aborts < 3) {
		if (step(&area, &first, &count, 30000000))
			aborts++;
		else
			commits++;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	printf("preempted: aborts %d, of each commit one: %d, CPU %u\n", aborts >= 3,
	       count == commits, area.cpu_id);
}

/* fork keeps the registration, a thread has none. */
static void *thread(void *arg)
{
	take_away();
	printf("a thread: own area %s %d\n", result(rseq(&other, 32, 0, SIG)), other.cpu_id < 64);
	printf("a thread: away %s\n", result(rseq(&other, 32, 1, SIG)));
	return arg;
}

static void children(void)
{
	pthread_t t;

	fflush(stdout);
	if (!fork()) {
		printf("a child: registered already %s\n", result(rseq(&area, 32, 0, SIG)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
}

/* What ends with SIGSEGV: a description that is wrong, when the kernel looks at it. */
static void wrong(const char *what, int version, int flags, uint64_t start, uint64_t len,
		  uint64_t abort_ip, uint64_t at)
{
	static struct description d;
	int st = 0;

	fflush(stdout);
	if (!fork()) {
		d = (struct description){version, flags, start, len, abort_ip};
		area.cs = at ? at : (uint64_t)&d;
		for (int i = 0; i < 3; i++)
			sched_yield();
		usleep(1000);
		raise(SIGALRM);
		printf("%s: %s\n", what, area.cs ? "not looked at" : "left");
		fflush(stdout);
		_exit(0);
	}
	wait(&st);
	if (WIFSIGNALED(st))
		printf("%s: signal %d\n", what, WTERMSIG(st));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	take_away();
	calls();
	interrupted();
	preempted();
	children();
	wrong("far from here", 0, 0, 4096, 16, first.abort_ip, 0);
	wrong("flags of one that is far", 0, 1, 4096, 16, first.abort_ip, 0);
	wrong("version", 1, 0, 4096, 16, first.abort_ip, 0);
	wrong("abort in the sequence", 0, 0, first.abort_ip, 16, first.abort_ip, 0);
	wrong("no signature", 0, 0, 4096, 16, first.start_ip, 0);
	wrong("abort beyond user memory", 0, 0, 4096, 16, -4096l, 0);
	wrong("start beyond user memory", 0, 0, -8192l, 16, first.abort_ip, 0);
	wrong("end before start", 0, 0, 4096, -16l, first.abort_ip, 0);
	wrong("no description there", 0, 0, 0, 0, 0, 8);
	printf("away %s\n", result(rseq(&area, 32, 1, SIG)));
	puts("end");
	return 0;
}
