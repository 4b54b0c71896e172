/*
 * Condition variables whose mutex has priority inheritance: FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI. A transcript to
 * compare (tests/vm/conform_programs.sh).
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "asleep.h"
#include "transcript.h"

#define WAKE	    1
#define REQUEUE	    3
#define CMP_REQUEUE 4
#define LOCK	    6
#define UNLOCK	    7
#define WAIT_PI	    11
#define CMP_PI	    12
#define REALTIME    256
#define WAITERS	    0x80000000u
#define TID	    0x3fffffffu
#define MAX	    4
#define ROUNDS	    100

/* In shared memory: processes use them, too. */
static struct words {
	uint32_t cond, lock, other;
	uint32_t done, order[MAX];
	pid_t tid[MAX];
} * s;

static long futex(uint32_t *word, int op, uint32_t val, const void *time, uint32_t *word2,
		  uint32_t val3)
{
	return syscall(SYS_futex, word, op, val, time, word2, val3);
}

static long wait_pi(const struct timespec *until)
{
	return futex(&s->cond, WAIT_PI, 0, until, &s->lock, 0);
}

static long move(long n)
{
	return futex(&s->cond, CMP_PI, 1, (void *)n, &s->lock, 0);
}

static char heard[MAX][32];
static struct timespec deadline;
static int timed; /* the clock may still be below a second */

static void *waiter(void *arg)
{
	long n = (long)arg, ret;

	__atomic_store_n(&s->tid[n], gettid(), __ATOMIC_SEQ_CST);
	ret = wait_pi(timed ? &deadline : NULL);
	strcpy(heard[n], result(ret));
	if (ret)
		return NULL;
	/* The lock is ours: nobody else is here. */
	snprintf(heard[n] + strlen(heard[n]), 16, " %s",
		 (s->lock & TID) == (uint32_t)gettid() ? "owner" : "?");
	s->order[s->done++] = n;
	futex(&s->lock, UNLOCK, 0, NULL, NULL, 0);
	return NULL;
}

static pthread_t thread[MAX];

static void start(int n)
{
	memset(s->tid, 0, sizeof(s->tid));
	s->done = 0;
	for (long i = 0; i < n; i++) {
		pthread_create(&thread[i], NULL, waiter, (void *)i);
		until_asleep(getpid(), &s->tid[i]);
	}
}

static void finish(const char *what, int n)
{
	for (int i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	printf("%s:", what);
	for (int i = 0; i < n; i++)
		printf(" [%s]", heard[i]);
	printf(" in order");
	for (unsigned int i = 0; i < s->done; i++)
		printf(" %u", s->order[i]);
	printf(" word %s\n", !s->lock				     ? "free"
			     : (s->lock & TID) == (uint32_t)gettid() ? "ours"
								     : "another's");
}

static void set_deadline(long ms)
{
	timed = 1;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_nsec += ms * 1000000;
	deadline.tv_sec += deadline.tv_nsec / 1000000000;
	deadline.tv_nsec %= 1000000000;
}

static void arguments(void)
{
	static const struct timespec past = {0, 1}, bad = {0, -1};

	printf("wait: the same word %s", result(futex(&s->cond, WAIT_PI, 0, NULL, &s->cond, 0)));
	printf(" odd %s",
	       result(futex(&s->cond, WAIT_PI, 0, NULL, (uint32_t *)((char *)s + 2), 0)));
	printf(" nowhere %s", result(futex(&s->cond, WAIT_PI, 0, NULL, (uint32_t *)16, 0)));
	printf(" value %s", result(futex(&s->cond, WAIT_PI, 5, NULL, &s->lock, 0)));
	printf(" time %s", result(wait_pi(&bad)));
	printf(" past %s", result(wait_pi(&past)));
	printf(" of day %s\n", result(futex(&s->cond, WAIT_PI | REALTIME, 0, &past, &s->lock, 0)));
	printf("move: nobody %s", result(move(5)));
	printf(" value %s", result(futex(&s->cond, CMP_PI, 1, NULL, &s->lock, 7)));
	printf(" wake two %s", result(futex(&s->cond, CMP_PI, 2, NULL, &s->lock, 0)));
	printf(" wake none %s", result(futex(&s->cond, CMP_PI, 0, NULL, &s->lock, 0)));
	printf(" negative %s", result(move(-1)));
	printf(" the same word %s", result(futex(&s->cond, CMP_PI, 1, NULL, &s->cond, 0)));
	printf(" of day %s\n", result(futex(&s->cond, CMP_PI | REALTIME, 1, NULL, &s->lock, 0)));
}

static void moved(void)
{
	/* Nobody holds the lock: the first has it, the others wait for it. */
	start(1);
	printf("one, free: %s\n", result(move(0)));
	finish("one", 1);
	start(MAX);
	printf("four, free: %s\n", result(move(MAX)));
	finish("four", MAX);
	/* We hold it: all wait until we let go. */
	futex(&s->lock, LOCK, 0, NULL, NULL, 0);
	start(MAX);
	printf("held: two of four %s", result(move(1)));
	printf(" done %u waiters %d", s->done, !!(s->lock & WAITERS));
	printf(" the rest %s", result(move(MAX)));
	printf(" nobody is left %s\n", result(move(MAX)));
	futex(&s->lock, UNLOCK, 0, NULL, NULL, 0);
	finish("unlocked", MAX);
}

static void refused(void)
{
	start(1);
	printf("wake %s", result(futex(&s->cond, WAKE, 1, NULL, NULL, 0)));
	printf(" requeue %s", result(futex(&s->cond, REQUEUE, 0, (void *)1, &s->other, 0)));
	printf(" compare and requeue %s",
	       result(futex(&s->cond, CMP_REQUEUE, 0, (void *)1, &s->other, 0)));
	printf(" to another lock %s", result(futex(&s->cond, CMP_PI, 1, (void *)1, &s->other, 0)));
	printf(" then %s\n", result(move(0)));
	finish("after all", 1);
}

static volatile int signals;

static void on_signal(int sig)
{
	signals = signals + 1;
}

static void ends_early(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigaction(SIGUSR1, &sa, NULL);
	/* It may be over before we look whether it sleeps. */
	set_deadline(30);
	s->done = 0;
	pthread_create(&thread[0], NULL, waiter, NULL);
	finish("late, not moved", 1);
	futex(&s->lock, LOCK, 0, NULL, NULL, 0);
	set_deadline(4000);
	start(1);
	printf("moved %s\n", result(move(0)));
	finish("late, moved", 1);
	printf("we are still the owner: %d\n", (s->lock & TID) == (uint32_t)gettid());
	timed = 0;
	start(1);
	pthread_kill(thread[0], SIGUSR1);
	while (!signals)
		usleep(1000);
	until_asleep(getpid(), &s->tid[0]);
	printf("after a signal it waits again: %s\n", result(move(0)));
	until_asleep(getpid(), &s->tid[0]);
	pthread_kill(thread[0], SIGUSR1);
	finish("a signal, moved", 1);
	futex(&s->lock, UNLOCK, 0, NULL, NULL, 0);
	printf("the lock is free: %x\n", s->lock);
}

/* A process that has been moved dies; its place is nobody's. */
static void killed(void)
{
	pid_t pid;

	memset(s->tid, 0, sizeof(s->tid));
	futex(&s->lock, LOCK, 0, NULL, NULL, 0);
	pid = fork();
	if (!pid) {
		waiter((void *)0);
		_exit(0);
	}
	until_asleep(pid, &s->tid[0]);
	printf("another process %s", result(move(0)));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf(" unlocked %s", result(futex(&s->lock, UNLOCK, 0, NULL, NULL, 0)));
	printf(" word %x\n", s->lock);
}

/* A condition variable as a library makes it: `cond` counts, each waiter takes one of what is given. */
static struct {
	uint32_t seq, given, taken, left;
} c;

static void *taker(void *arg)
{
	for (int n = 0; n < ROUNDS; n++) {
		uint32_t me = (uint32_t)gettid(), none = 0;

		if (!__atomic_compare_exchange_n(&s->lock, &none, me, 0, __ATOMIC_SEQ_CST,
						 __ATOMIC_SEQ_CST))
			futex(&s->lock, LOCK, 0, NULL, NULL, 0);
		while (!c.given) {
			uint32_t seq = __atomic_load_n(&c.seq, __ATOMIC_SEQ_CST), mine = me;

			if (!__atomic_compare_exchange_n(&s->lock, &mine, 0, 0, __ATOMIC_SEQ_CST,
							 __ATOMIC_SEQ_CST))
				futex(&s->lock, UNLOCK, 0, NULL, NULL, 0);
			if (futex(&c.seq, WAIT_PI, seq, NULL, &s->lock, 0))
				futex(&s->lock, LOCK, 0, NULL, NULL, 0);
		}
		c.given--;
		c.taken++;
		if (!__atomic_compare_exchange_n(&s->lock, &me, 0, 0, __ATOMIC_SEQ_CST,
						 __ATOMIC_SEQ_CST))
			futex(&s->lock, UNLOCK, 0, NULL, NULL, 0);
	}
	__atomic_sub_fetch(&c.left, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void many(void)
{
	uint32_t given = 0;

	c.left = MAX;
	for (int i = 0; i < MAX; i++)
		pthread_create(&thread[i], NULL, taker, NULL);
	while (__atomic_load_n(&c.left, __ATOMIC_SEQ_CST)) {
		uint32_t seq, n;

		futex(&s->lock, LOCK, 0, NULL, NULL, 0);
		n = given < ROUNDS * MAX ? 1 + given % 3 : 0;
		if (n > ROUNDS * MAX - given)
			n = ROUNDS * MAX - given;
		c.given += n;
		given += n;
		seq = __atomic_add_fetch(&c.seq, 1, __ATOMIC_SEQ_CST);
		futex(&c.seq, CMP_PI, 1, (void *)(long)MAX, &s->lock, seq);
		futex(&s->lock, UNLOCK, 0, NULL, NULL, 0);
	}
	for (int i = 0; i < MAX; i++)
		pthread_join(thread[i], NULL);
	printf("given %u taken %u left %u word %x\n", given, c.taken, c.given, s->lock);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(200); /* rather than for ever */
	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	arguments();
	moved();
	refused();
	ends_early();
	killed();
	many();
	puts("end");
	return 0;
}
