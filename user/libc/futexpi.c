/*
 * Locks with priority inheritance, by futex(2) and by pthread mutexes: results, errors, the value of the
 * word, which thread inherits from which, and what happens when an owner dies. The output is a transcript
 * that is compared with Linux's (tests/vm/conform_programs.sh).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "asleep.h"

#define LOCK	 6
#define UNLOCK	 7
#define TRYLOCK	 8
#define LOCK2	 13
#define PRIVATE	 128
#define REALTIME 256
#define WAITERS	 0x80000000u
#define DIED	 0x40000000u
#define TID	 0x3fffffffu

static uint32_t one, two;

static const char *futex(uint32_t *word, int op, const struct timespec *until)
{
	static __thread char text[32];

	if (!syscall(SYS_futex, word, op, 0, until, NULL, 0))
		return "0";
	snprintf(text, sizeof(text), "%d", -errno);
	return text;
}

/* The word, with names for who is named. */
static const char *says(uint32_t word, pid_t me)
{
	static char text[64];
	uint32_t tid = word & TID;

	snprintf(text, sizeof(text), "%s%s%s",
		 !tid			     ? "nobody"
		 : tid == (uint32_t)gettid() ? "main"
		 : me && tid == (uint32_t)me ? "it"
					     : "another",
		 word & WAITERS ? " waiters" : "", word & DIED ? " died" : "");
	return text;
}

static void until_waited_for(const uint32_t *word)
{
	while (!(__atomic_load_n(word, __ATOMIC_SEQ_CST) & WAITERS))
		usleep(1000);
}

static void arguments(void)
{
	static const struct timespec past = {0, 1}, bad = {0, -1};
	char *gone = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	printf("trylock %s", futex(&one, TRYLOCK, NULL));
	printf(" word %s", says(one, 0));
	printf(" again %s", futex(&one, TRYLOCK, NULL));
	printf(" lock %s", futex(&one, LOCK, NULL));
	printf(" unlock %s", futex(&one, UNLOCK, NULL));
	printf(" word %s", says(one, 0));
	printf(" again %s\n", futex(&one, UNLOCK, NULL));
	printf("lock %s", futex(&one, LOCK | PRIVATE, &past));
	printf(" word %s", says(one, 0));
	printf(" unlock %s\n", futex(&one, UNLOCK | PRIVATE, NULL));
	printf("lock2 %s", futex(&one, LOCK2, NULL));
	printf(" unlock %s", futex(&one, UNLOCK, NULL));
	printf(" of day %s", futex(&one, LOCK2 | REALTIME, NULL));
	printf(" unlock %s\n", futex(&one, UNLOCK, NULL));
	printf("clock: lock %s", futex(&one, LOCK | REALTIME, NULL));
	printf(" trylock %s", futex(&one, TRYLOCK | REALTIME, NULL));
	printf(" unlock %s\n", futex(&one, UNLOCK | REALTIME, NULL));
	printf("time %s\n", futex(&one, LOCK, &bad));
	printf("odd: lock %s", futex((uint32_t *)((char *)&one + 1), LOCK, NULL));
	printf(" unlock %s\n", futex((uint32_t *)((char *)&one + 2), UNLOCK, NULL));
	printf("untouched: lock %s", futex((uint32_t *)gone, LOCK, NULL));
	printf(" unlock %s\n", futex((uint32_t *)gone, UNLOCK, NULL));
	mprotect(gone, 4096, PROT_READ);
	printf("read-only: lock %s", futex((uint32_t *)gone, LOCK, NULL));
	printf(" trylock %s\n", futex((uint32_t *)gone, TRYLOCK, NULL));
	munmap(gone, 4096);
	printf("gone: lock %s", futex((uint32_t *)gone, LOCK | PRIVATE, NULL));
	printf(" unlock %s\n", futex((uint32_t *)gone, UNLOCK | PRIVATE, NULL));
	one = 0x3ffffff0;
	printf("no such owner: lock %s", futex(&one, LOCK, NULL));
	printf(" unlock %s\n", futex(&one, UNLOCK, NULL));
	one = DIED;
	printf("a dead owner's: lock %s", futex(&one, LOCK, NULL));
	printf(" word %s", says(one, 0));
	printf(" unlock %s", futex(&one, UNLOCK, NULL));
	printf(" word %s\n", says(one, 0));
	one = two = 0;
}

/* ---- another thread --------------------------------------------------------------------------- */

static char heard[8][32];
static pid_t its_tid;

static void *lock_one(void *arg)
{
	its_tid = gettid();
	strcpy(heard[0], futex(&one, LOCK, arg));
	strcpy(heard[1], futex(&one, UNLOCK, NULL));
	return NULL;
}

static void *try_one(void *arg)
{
	(void)arg;
	strcpy(heard[0], futex(&one, TRYLOCK, NULL));
	strcpy(heard[1], futex(&one, UNLOCK, NULL));
	return NULL;
}

static void contended(void)
{
	struct timespec soon;
	pthread_t t;

	futex(&one, LOCK, NULL);
	pthread_create(&t, NULL, try_one, NULL);
	pthread_join(t, NULL);
	printf("another: trylock %s unlock %s\n", heard[0], heard[1]);
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 20000000;
	soon.tv_sec += soon.tv_nsec / 1000000000;
	soon.tv_nsec %= 1000000000;
	pthread_create(&t, NULL, lock_one, &soon);
	pthread_join(t, NULL);
	printf("too late: lock %s unlock %s word %s\n", heard[0], heard[1], says(one, 0));
	printf("unlock %s\n", futex(&one, UNLOCK, NULL));
	futex(&one, LOCK, NULL);
	pthread_create(&t, NULL, lock_one, NULL);
	until_waited_for(&one);
	printf("waited for: word %s unlock %s", says(one, 0), futex(&one, UNLOCK, NULL));
	pthread_join(t, NULL);
	printf(" the other: lock %s unlock %s word %s\n", heard[0], heard[1], says(one, 0));
}

static void *hold_two_want_one(void *arg)
{
	(void)arg;
	strcpy(heard[0], futex(&two, LOCK, NULL));
	strcpy(heard[1], futex(&one, LOCK, NULL));
	strcpy(heard[2], futex(&one, UNLOCK, NULL));
	strcpy(heard[3], futex(&two, UNLOCK, NULL));
	return NULL;
}

static void deadlock(void)
{
	pthread_t t;

	futex(&one, LOCK, NULL);
	pthread_create(&t, NULL, hold_two_want_one, NULL);
	until_waited_for(&one);
	printf("a circle: %s", futex(&two, LOCK, NULL));
	printf(" unlock %s", futex(&one, UNLOCK, NULL));
	pthread_join(t, NULL);
	printf(" the other: %s %s %s %s\n", heard[0], heard[1], heard[2], heard[3]);
	printf("words %s,", says(one, 0));
	printf(" %s\n", says(two, 0));
}

/* ---- inheritance ------------------------------------------------------------------------------ */

/* The 18th and 19th number of a thread's stat: its priority as it acts, and its nice value. */
static void priority(pid_t tid, long *prio, long *nice)
{
	char path[64], text[512], *p;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	f = fopen(path, "r");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = 0;
	if (f)
		fclose(f);
	p = strrchr(text, ')');
	*prio = *nice = -1;
	if (p)
		sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %ld %ld",
		       prio, nice);
}

static int exact;

static void inheritance(void)
{
	uint32_t *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long prio, nice;
	pid_t holder, middle, waiter;
	int status;

	/* holder, nice 15, has [0]; middle, nice 10, has [1] and wants [0]; we want [1]. */
	holder = fork();
	if (!holder) {
		setpriority(PRIO_PROCESS, 0, 15);
		futex(&shared[0], LOCK, NULL);
		__atomic_store_n(&shared[4], 1, __ATOMIC_SEQ_CST);
		while (!__atomic_load_n(&shared[5], __ATOMIC_SEQ_CST))
			usleep(1000);
		_exit(strcmp(futex(&shared[0], UNLOCK, NULL), "0") != 0);
	}
	while (!__atomic_load_n(&shared[4], __ATOMIC_SEQ_CST))
		usleep(1000);
	priority(holder, &prio, &nice);
	printf("alone: %ld, nice %ld\n", prio, nice);
	middle = fork();
	if (!middle) {
		setpriority(PRIO_PROCESS, 0, 10);
		futex(&shared[1], LOCK, NULL);
		futex(&shared[0], LOCK, NULL);
		futex(&shared[0], UNLOCK, NULL);
		_exit(strcmp(futex(&shared[1], UNLOCK, NULL), "0") != 0);
	}
	/* It has said that it waits before it has lent its priority, and sleeps when it has. */
	until_waited_for(&shared[0]);
	until_asleep(middle, &middle);
	priority(holder, &prio, &nice);
	printf("waited for: %ld, nice %ld\n", prio, nice);
	waiter = fork();
	if (!waiter) {
		futex(&shared[1], LOCK, NULL);
		_exit(strcmp(futex(&shared[1], UNLOCK, NULL), "0") != 0);
	}
	until_waited_for(&shared[1]);
	until_asleep(waiter, &waiter);
	priority(middle, &prio, &nice);
	printf("the one between: %ld, nice %ld\n", prio, nice);
	priority(holder, &prio, &nice);
	/* Among tasks without a real-time class Linux stops at the first that is boosted already; we do not. */
	printf("by way of it: %s, nice %ld\n", prio <= 30 ? "30 or better" : "worse", nice);
	if (exact)
		printf("exactly %ld\n", prio);
	__atomic_store_n(&shared[5], 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 3; i++) {
		pid_t p[3] = {holder, middle, waiter};

		waitpid(p[i], &status, 0);
		printf("ended %d\n", status);
	}
	printf("words %u %u\n", shared[0], shared[1]);
	munmap(shared, 4096);
}

/* ---- owners that die -------------------------------------------------------------------------- */

static void dead_owner(void)
{
	uint32_t *word =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	int status;

	if (!pid) {
		futex(word, LOCK, NULL);
		until_waited_for(word);
		_exit(7);
	}
	while (!__atomic_load_n(word, __ATOMIC_SEQ_CST))
		usleep(1000);
	printf("its owner ends: lock %s", futex(word, LOCK, NULL));
	printf(" word %s", says(*word, pid));
	waitpid(pid, &status, 0);
	printf(" status %d", WEXITSTATUS(status));
	printf(" unlock %s", futex(word, UNLOCK, NULL));
	printf(" word %s\n", says(*word, pid));
	/* Nobody waits yet. */
	pid = fork();
	if (!pid) {
		futex(word, LOCK, NULL);
		_exit(7);
	}
	waitpid(pid, &status, 0);
	printf("it has ended: word %s", says(*word, pid));
	printf(" trylock %s", futex(word, TRYLOCK, NULL));
	printf(" lock %s\n", futex(word, LOCK, NULL));
	munmap(word, 4096);
}

static pthread_mutex_t *mutex_new(int robust, int shared)
{
	pthread_mutex_t *m =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	printf("protocol %d", pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
	if (robust)
		pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	if (shared)
		pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	printf(" init %d\n", pthread_mutex_init(m, &a));
	return m;
}

static void robust(void)
{
	pthread_mutex_t *m = mutex_new(1, 1);
	pid_t pid;
	int r;

	for (int early = 0; early < 2; early++) {
		volatile int *held = (int *)((char *)m + 2048);

		*held = 0;
		pid = fork();
		if (!pid) {
			pthread_mutex_lock(m);
			*held = 1;
			if (!early)
				usleep(50000);
			_exit(0);
		}
		while (!*held)
			usleep(1000);
		if (early)
			waitpid(pid, NULL, 0);
		r = pthread_mutex_lock(m);
		printf("robust, %s: lock %d", early ? "dead before" : "dies meanwhile", r);
		printf(" consistent %d", r == EOWNERDEAD ? pthread_mutex_consistent(m) : -1);
		printf(" unlock %d", pthread_mutex_unlock(m));
		printf(" lock %d", pthread_mutex_lock(m));
		printf(" unlock %d\n", pthread_mutex_unlock(m));
		if (!early)
			waitpid(pid, NULL, 0);
	}
}

/* ---- signals, and many threads ---------------------------------------------------------------- */

static volatile int handled;

static void on_signal(int sig)
{
	(void)sig;
	handled++;
}

static void broken_off(void)
{
	struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART */
	pthread_t t;

	sigaction(SIGUSR1, &sa, NULL);
	futex(&one, LOCK, NULL);
	pthread_create(&t, NULL, lock_one, NULL);
	until_waited_for(&one);
	pthread_kill(t, SIGUSR1);
	while (!handled)
		usleep(1000);
	/* It goes on waiting. */
	until_waited_for(&one);
	printf("signals %d, unlock %s", handled, futex(&one, UNLOCK, NULL));
	pthread_join(t, NULL);
	printf(" the other: lock %s unlock %s\n", heard[0], heard[1]);
	printf("word %s\n", says(one, 0));
}

#define THREADS 6
#define ROUNDS	1500
static pthread_mutex_t *many;
static long counter;

static void *count(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(many);
		counter++;
		pthread_mutex_unlock(many);
		if (!(i % 100))
			usleep(100);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t t[THREADS];

	many = mutex_new(0, 0);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, count, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	printf("counted %ld\n", counter);
}

int main(int argc, char **argv)
{
	exact = argc > 1 && !strcmp(argv[1], "exact");
	setvbuf(stdout, NULL, _IONBF, 0);
	arguments();
	contended();
	deadlock();
	inheritance();
	dead_owner();
	robust();
	broken_off();
	threads();
	puts("end");
	return 0;
}
