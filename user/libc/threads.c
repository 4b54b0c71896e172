/*
 * POSIX threads, with musl and with glibc, in static programs that are built as for Linux.
 *
 * Each case is a function that returns what went wrong, or NULL. Counts are checked, never times.
 *
 *    threads [CASE...]    all, or those
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS	2000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *add_under_mutex(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		long v = counter;

		if (i % 64 == 0)
			sched_yield(); /* so that the lock is met while it is held */
		counter = v + 1;
		pthread_mutex_unlock(&mutex);
	}
	return (void *)((uintptr_t)arg + 100);
}

static const char *mutexes(void)
{
	pthread_t t[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, add_under_mutex, (void *)i))
			return "pthread_create";
	for (uintptr_t i = 0; i < THREADS; i++) {
		void *ret;

		if (pthread_join(t[i], &ret) || (uintptr_t)ret != i + 100)
			return "a thread's value is not what it returned";
	}
	return counter == (long)THREADS * ROUNDS ? NULL : "increments were lost";
}

/* ---- condition variables: a bounded queue ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	int slot[4], head, used;
	long sum;
} queue = {PTHREAD_MUTEX_INITIALIZER,
	   PTHREAD_COND_INITIALIZER,
	   PTHREAD_COND_INITIALIZER,
	   {0},
	   0,
	   0,
	   0};

static void *produce(void *arg)
{
	for (int i = 1; i <= 500; i++) {
		pthread_mutex_lock(&queue.lock);
		while (queue.used == 4)
			pthread_cond_wait(&queue.not_full, &queue.lock);
		queue.slot[(queue.head + queue.used++) % 4] = i;
		pthread_cond_signal(&queue.not_empty);
		pthread_mutex_unlock(&queue.lock);
	}
	return NULL;
}

static void *consume(void *arg)
{
	for (int i = 1; i <= 500; i++) {
		pthread_mutex_lock(&queue.lock);
		while (!queue.used)
			pthread_cond_wait(&queue.not_empty, &queue.lock);
		queue.sum += queue.slot[queue.head];
		queue.head = (queue.head + 1) % 4;
		queue.used--;
		pthread_cond_signal(&queue.not_full);
		pthread_mutex_unlock(&queue.lock);
	}
	return NULL;
}

static const char *conditions(void)
{
	pthread_t t[6];

	for (int i = 0; i < 6; i++)
		if (pthread_create(&t[i], NULL, i < 3 ? produce : consume, NULL))
			return "pthread_create";
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	return queue.sum == 3L * 500 * 501 / 2 ? NULL : "the queue lost something";
}

static const char *timed_wait(void)
{
	struct timespec until;
	int err;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 20000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&queue.lock);
	err = pthread_cond_timedwait(&queue.not_empty, &queue.lock, &until);
	pthread_mutex_unlock(&queue.lock);
	return err == ETIMEDOUT ? NULL : "a wait for nothing did not end by time";
}

/* ---- thread-local storage, keys with destructors ---- */

static __thread int local = 42;
static __thread char big[10000];
static pthread_key_t key;
static atomic_int destroyed;

static void destroy(void *value)
{
	if (value == (void *)&key)
		destroyed++;
}

static void *use_local(void *arg)
{
	int mine = (int)(uintptr_t)arg;

	if (local != 42 || big[9999])
		return "not as it was initialised";
	local = mine;
	memset(big, mine, sizeof(big));
	pthread_setspecific(key, &key);
	for (int i = 0; i < 50; i++) {
		sched_yield();
		if (local != mine || big[0] != (char)mine || big[9999] != (char)mine)
			return "another thread's value";
	}
	return NULL;
}

static const char *local_storage(void)
{
	pthread_t t[THREADS];
	void *ret;

	pthread_key_create(&key, destroy);
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, use_local, (void *)(i + 1)))
			return "pthread_create";
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], &ret);
		if (ret)
			return ret;
	}
	if (local != 42)
		return "the first thread's value has changed";
	return destroyed == THREADS ? NULL : "destructors did not run once a thread";
}

/* ---- barriers, read-write locks, semaphores, once ---- */

static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_int serial, initialised, inside;
static sem_t sem;
static int pair[2];

static void initialise(void)
{
	initialised++;
}

static void *meet(void *arg)
{
	for (int i = 0; i < 20; i++) {
		int err = pthread_barrier_wait(&barrier);

		if (err == PTHREAD_BARRIER_SERIAL_THREAD)
			serial++;
		pthread_once(&once, initialise);
		if ((uintptr_t)arg % 4 == 0) {
			pthread_rwlock_wrlock(&rwlock);
			pair[0]++;
			sched_yield();
			pair[1]++;
			pthread_rwlock_unlock(&rwlock);
		} else {
			pthread_rwlock_rdlock(&rwlock);
			if (pair[0] != pair[1])
				return "a reader saw half a write";
			pthread_rwlock_unlock(&rwlock);
		}
		sem_wait(&sem);
		if (++inside > 2)
			return "more than the semaphore lets in";
		sched_yield();
		inside--;
		sem_post(&sem);
	}
	return NULL;
}

static const char *meeting_points(void)
{
	const char *wrong = NULL;
	pthread_t t[THREADS];
	void *ret;

	pthread_barrier_init(&barrier, NULL, THREADS);
	sem_init(&sem, 0, 2);
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, meet, (void *)i))
			return "pthread_create";
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], &ret);
		if (ret)
			wrong = ret;
	}
	if (wrong)
		return wrong;
	if (serial != 20)
		return "not one serial thread a meeting";
	return initialised == 1 ? NULL : "once was not once";
}

/* ---- memory under threads ---- */

static void *allocate(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	unsigned char *block[32] = {0};
	size_t size[32] = {0};

	for (int i = 0; i < 1500; i++) {
		unsigned int k = (seed = seed * 1103515245 + 12345) >> 16 & 31;

		if (block[k]) {
			unsigned char v = (unsigned char)(k + (uintptr_t)arg);

			if (block[k][0] != v || block[k][size[k] - 1] != v)
				return "malloc gave one block to two";
			free(block[k]);
		}
		size[k] = 1 + (seed >> 8) % 30000;
		if (i % 100 == 0)
			size[k] += 300000; /* its own mapping */
		block[k] = malloc(size[k]);
		if (!block[k])
			return "malloc";
		memset(block[k], (int)(k + (uintptr_t)arg), size[k]);
	}
	for (int k = 0; k < 32; k++)
		free(block[k]);
	return NULL;
}

static const char *allocation(void)
{
	pthread_t t[4];
	void *ret;

	for (uintptr_t i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, allocate, (void *)(i * 7 + 1)))
			return "pthread_create";
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &ret);
		if (ret)
			return ret;
	}
	return NULL;
}

/* ---- signals and threads ---- */

static pthread_t target;
static atomic_int handled_by_target, handled_by_other;

static void on_usr1(int sig)
{
	if (pthread_equal(pthread_self(), target))
		handled_by_target++;
	else
		handled_by_other++;
}

static void *wait_for_signal(void *arg)
{
	while (!handled_by_target)
		usleep(1000);
	return NULL;
}

static const char *signals(void)
{
	struct sigaction act = {.sa_handler = on_usr1};

	sigaction(SIGUSR1, &act, NULL);
	if (pthread_create(&target, NULL, wait_for_signal, NULL))
		return "pthread_create";
	if (pthread_kill(target, SIGUSR1))
		return "pthread_kill";
	pthread_join(target, NULL);
	return handled_by_target == 1 && !handled_by_other ? NULL
							   : "the signal went to another thread";
}

static atomic_int cleaned;

static void clean(void *arg)
{
	cleaned++;
}

static void *sleep_for_ever(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return NULL;
}

static const char *cancellation(void)
{
	pthread_t t;
	void *ret;

	if (pthread_create(&t, NULL, sleep_for_ever, NULL))
		return "pthread_create";
	usleep(1000);
	if (pthread_cancel(t) || pthread_join(t, &ret))
		return "pthread_cancel";
	return ret == PTHREAD_CANCELED && cleaned == 1 ? NULL : "not cancelled, or not cleaned up";
}

/* ---- fork from one thread of several; a word shared between processes ---- */

static atomic_int stop;

static void *spin(void *arg)
{
	while (!stop)
		usleep(500);
	return NULL;
}

static const char *fork_from_thread(void)
{
	pthread_t t;
	int status;
	pid_t pid;

	if (pthread_create(&t, NULL, spin, NULL))
		return "pthread_create";
	pid = fork();
	if (!pid) {
		/* only this thread is here, and may make others */
		pthread_t u;

		stop = 1;
		if (pthread_create(&u, NULL, spin, NULL) || pthread_join(u, NULL))
			_exit(1);
		_exit(stop == 1 ? 7 : 2);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return "fork";
	if (stop)
		return "the child's write is seen here";
	stop = 1;
	pthread_join(t, NULL);
	return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? NULL : "the child failed";
}

static const char *shared_between_processes(void)
{
	struct shared {
		pthread_mutex_t lock;
		sem_t done;
		long n;
	} *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;

	if (s == MAP_FAILED)
		return "mmap shared";
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&s->lock, &attr);
	sem_init(&s->done, 1, 0);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return "fork";
		if (pid)
			continue;
		for (int k = 0; k < 300; k++) {
			pthread_mutex_lock(&s->lock);
			long v = s->n;

			if (k % 16 == 0)
				sched_yield();
			s->n = v + 1;
			pthread_mutex_unlock(&s->lock);
		}
		sem_post(&s->done);
		_exit(0);
	}
	for (int i = 0; i < 3; i++)
		sem_wait(&s->done);
	while (wait(NULL) > 0)
		;
	return s->n == 900 ? NULL : "increments of processes were lost";
}

static pthread_mutex_t robust;

static void *die_holding(void *arg)
{
	pthread_mutex_lock(&robust);
	return NULL;
}

static const char *robust_mutexes(void)
{
	pthread_mutexattr_t attr;
	pthread_t t;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	if (pthread_create(&t, NULL, die_holding, NULL) || pthread_join(t, NULL))
		return "pthread_create";
	if (pthread_mutex_lock(&robust) != EOWNERDEAD)
		return "nobody said that the owner has died";
	if (pthread_mutex_consistent(&robust) || pthread_mutex_unlock(&robust) ||
	    pthread_mutex_lock(&robust))
		return "the lock does not recover";
	pthread_mutex_unlock(&robust);
	return NULL;
}

static void *detached(void *arg)
{
	sem_post(arg);
	return NULL;
}

static const char *many_short_threads(void)
{
	pthread_attr_t attr;
	sem_t done;

	sem_init(&done, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 65536);
	for (int i = 0; i < 200; i++) {
		pthread_t t;

		if (pthread_create(&t, &attr, detached, &done))
			return "pthread_create";
		sem_wait(&done);
	}
	return NULL;
}

static int wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return 1;
	return argc == 1;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		const char *(*run)(void);
	} cases[] = {
		{"mutexes", mutexes},
		{"conditions", conditions},
		{"timed_wait", timed_wait},
		{"local_storage", local_storage},
		{"meeting_points", meeting_points},
		{"allocation", allocation},
		{"signals", signals},
		{"cancellation", cancellation},
		{"fork_from_thread", fork_from_thread},
		{"shared_between_processes", shared_between_processes},
		{"robust_mutexes", robust_mutexes},
		{"many_short_threads", many_short_threads},
	};
	int failed = 0, ran = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *wrong;

		if (!wanted(cases[i].name, argc, argv))
			continue;
		wrong = cases[i].run();
		printf("threads %s: %s\n", cases[i].name, wrong ? wrong : "ok");
		fflush(stdout);
		failed += wrong != NULL;
		ran++;
	}
	printf("threads: %d ran, %d failed\n", ran, failed);
	return failed || !ran;
}
