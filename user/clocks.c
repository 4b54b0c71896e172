/*
 * Compare the clock of the vDSO with that of the system call:
 *
 *    clocks READINGS    two processes take turns at reading one way and the other; no reading may be earlier than the last
 *
 * While it runs, the kernel changes how the vDSO finds the time (guestmm/tests/test_vdso.c). A reader that
 * mixed old and new values would be noticed here.
 */
#include "vdso.h"

#define SYS_fork	57
#define SYS_wait4	61
#define CLOCK_MONOTONIC 1

/* In memory that both share: the last reading, under a lock of one bit. */
struct shared {
	volatile uint32_t lock;
	volatile uint64_t last;
	volatile uint64_t backwards;
};

static uint64_t read_clock(vdso_clock_gettime gettime, bool by_call)
{
	struct vdso_timespec t = {0, 0};

	if (by_call)
		syscall3(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&t, 0);
	else
		gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.sec * 1000000000ull + (uint64_t)t.nsec;
}

static void readings(struct shared *s, vdso_clock_gettime gettime, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t now;

		while (__atomic_exchange_n(&s->lock, 1, __ATOMIC_ACQUIRE))
			syscall3(SYS_sched_yield, 0, 0, 0);
		now = read_clock(gettime, i % 8 == 0);
		if (now < s->last)
			s->backwards++;
		s->last = now;
		__atomic_store_n(&s->lock, 0, __ATOMIC_RELEASE);
	}
}

int main(int argc, char **argv)
{
	vdso_clock_gettime gettime =
		(vdso_clock_gettime)vdso_function(argv, "__vdso_clock_gettime");
	struct shared *s = (struct shared *)syscall6(SYS_mmap, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
						     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t n = 1000;
	int status = 0;
	long child;

	if (!gettime || is_error((long)s) || (argc > 1 && !parse_size(argv[1], &n)))
		return 2;
	child = syscall3(SYS_fork, 0, 0, 0);
	readings(s, gettime, n);
	if (!child)
		return 0;
	syscall6(SYS_wait4, child, (long)&status, 0, 0, 0, 0);
	print("%lu readings, %lu went back\n", (unsigned long)(2 * n), (unsigned long)s->backwards);
	return s->backwards || status || child < 0;
}
