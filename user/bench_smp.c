/*
 * What memory costs a program whose threads run on several CPUs. Where instructions are counted for the
 * whole machine (the lab with --icount), the TSC counts those of all CPUs together. So a row is the number of
 * instructions that all CPUs executed, divided by the number of operations that all of them did.
 *
 *   bench_smp CPUS
 *
 *   fault_Ncpu    Each of N threads, pinned to its CPU, touches 256 fresh pages of its own 2 MiB. All
 *                 are threads of one process: they have one mmap_lock, one set of LRU lists, one zone.
 *   spin_Ncpu     The additional cost, compared with the same faults on one CPU: waiting for locks, and
 *                 other work for several CPUs.
 *   unmap_Ncpu    Clean pages of a file that N CPUs have in their TLBs are reclaimed by one of them.
 *   ipi_Ncpu      Interrupts for the TLB that CPUs received for 1,000 such pages.
 *
 * A thread that has nothing to do waits in a loop in user mode, with four instructions a turn. The turns
 * are counted and subtracted.
 */
#include "bench.h"

#define PAGES	   256ul
#define WINDOW	   (PAGES * PAGE_SIZE)
#define TABLE	   (2ul << 20)
#define MAX_CPUS   4u
#define WARM	   2
#define REPS	   15
#define WAIT_INSNS 4u /* of a turn in wait_while() */

#define SYS_mincore	      27
#define SYS_clone	      56
#define SYS_sched_setaffinity 203
#define SYS_sched_getaffinity 204
#define CLONE_THREAD_FLAGS    0x50f00 /* VM, FS, FILES, SIGHAND, THREAD, SYSVSEM */
#define MADV_PAGEOUT	      21

enum work { WRITE_OWN, READ_SHARED };

struct worker {
	uint64_t turns; /* of waiting; by this thread alone */
	unsigned int cpu;
	uint8_t *stack;
} __attribute__((aligned(64)));

static struct worker worker[MAX_CPUS];
/* Written by the first thread while all others wait: what the next round is, and for how many CPUs. */
static enum work work;
static unsigned int round_cpus;
static volatile uint64_t round_nr __attribute__((aligned(64)));
static volatile uint64_t done __attribute__((aligned(64)));
static volatile char *own[MAX_CPUS], *shared;

/** Wait while *word is `value`. A turn is WAIT_INSNS instructions, and is counted. */
static void wait_while(struct worker *w, volatile uint64_t *word, uint64_t value)
{
	__asm__ volatile("1:	incq	%0\n"
			 "	pause\n"
			 "	cmpq	%2, %1\n"
			 "	je	1b\n"
			 : "+m"(w->turns)
			 : "m"(*word), "r"(value)
			 : "memory", "cc");
}

static uint64_t all_turns(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < MAX_CPUS; i++)
		sum += *(volatile uint64_t *)&worker[i].turns;
	return sum;
}

static void do_work(unsigned int cpu)
{
	for (unsigned long i = 0; i < PAGES; i++) {
		if (work == WRITE_OWN)
			own[cpu][i * PAGE_SIZE] = 1;
		else
			(void)shared[i * PAGE_SIZE];
	}
}

/** Let this thread run on the `cpu`th of the CPUs that the program may run on. */
static void pin(unsigned int cpu)
{
	static unsigned long allowed; /* read before there are other threads */
	unsigned long mask;

	if (!allowed)
		must(syscall3(SYS_sched_getaffinity, 0, sizeof(allowed), (long)&allowed),
		     "sched_getaffinity");
	mask = allowed;
	while (cpu--)
		mask &= mask - 1;
	mask &= -mask;
	must(syscall3(SYS_sched_setaffinity, 0, sizeof(mask), (long)&mask), "sched_setaffinity");
}

static __attribute__((noreturn, used)) void thread_main(struct worker *w)
{
	pin(w->cpu);
	for (uint64_t seen = 0;; seen++) {
		__atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
		wait_while(w, &round_nr, seen);
		if (w->cpu < round_cpus)
			do_work(w->cpu);
	}
}

/** A thread that runs thread_main(w), on a stack of its own. */
static void start_thread(struct worker *w)
{
	long r = map_memory(16 * PAGE_SIZE);
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;
	register struct worker *r12 __asm__("r12") = w;
	long stack;

	must(r, "stack");
	stack = r + 16 * PAGE_SIZE - 64;
	*(volatile char *)stack = 0;
	__asm__ volatile("syscall\n"
			 "	test	%%rax, %%rax\n"
			 "	jnz	1f\n"
			 "	mov	%%r12, %%rdi\n"
			 "	call	thread_main\n"
			 "1:\n"
			 : "=a"(r)
			 : "a"(SYS_clone), "D"(CLONE_THREAD_FLAGS), "S"(stack), "d"(0), "r"(r10),
			   "r"(r8), "r"(r12)
			 : "rcx", "r11", "memory", "cc");
	must(r, "clone");
}

/** Wait until `n` threads besides the first have done the round. */
static void wait_done(unsigned int n)
{
	uint64_t now;

	while ((now = done) < n)
		wait_while(&worker[0], &done, now);
}

/** One round on `cpus` CPUs, this one included: instructions of all. */
static uint64_t run_round(enum work what, unsigned int cpus, unsigned int threads)
{
	uint64_t t, turns;

	work = what;
	round_cpus = cpus;
	done = 0;
	turns = all_turns();
	t = ticks();
	round_nr++;
	do_work(0);
	wait_done(threads - 1);
	t = ticks() - t;
	turns = all_turns() - turns;
	return t - turns * WAIT_INSNS;
}

static void map_own(unsigned int cpus)
{
	for (unsigned int i = 0; i < cpus; i++)
		must(sys_mmap((unsigned long)own[i], WINDOW, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED),
		     "mmap");
}

static void unmap_own(unsigned int cpus)
{
	for (unsigned int i = 0; i < cpus; i++)
		must(sys_munmap((unsigned long)own[i], WINDOW), "munmap");
}

static uint64_t once_fault(unsigned int cpus, unsigned int threads)
{
	uint64_t t;

	map_own(cpus);
	t = run_round(WRITE_OWN, cpus, threads);
	unmap_own(cpus);
	return t;
}

static void name_row(char *buf, const char *what, unsigned int cpus)
{
	size_t n = strlen(what);

	memcpy(buf, what, n);
	memcpy(buf + n, "_0cpu", 6);
	buf[n + 1] += cpus;
}

/** The median; all of them sorted in t[]. */
static uint64_t median_fault(uint64_t *t, unsigned int cpus, unsigned int threads)
{
	for (int i = -WARM; i < REPS; i++) {
		uint64_t once = once_fault(cpus, threads);

		if (i >= 0)
			t[i] = once;
	}
	sort(t, REPS);
	return t[REPS / 2];
}

static void fault_rows(unsigned int cpus, unsigned int threads)
{
	uint64_t t[REPS], one = median_fault(t, 1, threads);
	char name[24];

	median_fault(t, cpus, threads);
	name_row(name, "fault", cpus);
	put_row(name, t, REPS, PAGES * cpus);
	name_row(name, "spin", cpus);
	for (unsigned int i = 0; i < REPS; i++)
		t[i] = t[i] > one * cpus ? t[i] - one * cpus : 0;
	put_row(name, t, REPS, PAGES * cpus);
}

/** Interrupts for the TLB that all CPUs have received: guestmm counts them, Linux's /proc/interrupts has a
 * line of them. */
static uint64_t tlb_interrupts(void)
{
	static char text[32768];
	long count = vm_event("nr_tlb_remote_flush_received"), fd, n;
	size_t len = 0;

	if (!is_error(count))
		return count;
	fd = syscall3(SYS_open, (long)"/proc/interrupts", 0, 0);
	must(fd, "/proc/interrupts");
	while ((n = syscall3(SYS_read, fd, (long)(text + len), sizeof(text) - 1 - len)) > 0)
		len += n;
	syscall3(SYS_close, fd, 0, 0);
	for (char *p = text; p + 4 < text + len; p++) {
		if (memcmp(p, "TLB:", 4))
			continue;
		for (count = 0, p += 4; *p == ' ' || (*p >= '0' && *p <= '9');) {
			long one = 0;

			while (*p == ' ')
				p++;
			while (*p >= '0' && *p <= '9')
				one = one * 10 + (*p++ - '0');
			count += one;
		}
		return count;
	}
	die("no line TLB", 0);
	return 0;
}

/** Pages of the shared window that are in memory. */
static unsigned int resident(void)
{
	static uint8_t in_memory[PAGES];
	unsigned int n = 0;

	must(syscall3(SYS_mincore, (long)shared, WINDOW, (long)in_memory), "mincore");
	for (unsigned int i = 0; i < PAGES; i++)
		n += in_memory[i] & 1;
	return n;
}

static void unmap_rows(unsigned int cpus, unsigned int threads)
{
	uint64_t t[REPS], ipis[REPS];
	char name[24];
	long fd = syscall3(SYS_open, (long)"/dev/ram1", 2 /* O_RDWR */, 0);

	if (is_error(fd))
		fd = syscall3(SYS_open, (long)"/dev/vdr", 2, 0);
	must(fd, "RAM disk");
	must(syscall6(SYS_mmap, (long)shared, WINDOW, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED, fd, 0),
	     "mmap");
	for (int i = -WARM; i < REPS; i++) {
		uint64_t turns, once, got, gone;

		run_round(READ_SHARED, cpus, threads);
		got = tlb_interrupts();
		turns = all_turns();
		once = ticks();
		must(sys_madvise((unsigned long)shared, WINDOW, MADV_PAGEOUT), "madvise");
		once = ticks() - once;
		turns = all_turns() - turns;
		got = tlb_interrupts() - got;
		gone = PAGES - resident();
		/* Linux leaves those that a CPU has not put on an LRU list yet. */
		if (gone < PAGES / 4 * 3)
			die("pages were not reclaimed", PAGES - gone);
		if (i < 0)
			continue;
		t[i] = (once - turns * WAIT_INSNS) * PAGES / gone;
		ipis[i] = got * 1000 * PAGES / gone;
	}
	must(sys_munmap((unsigned long)shared, WINDOW), "munmap");
	syscall3(SYS_close, fd, 0, 0);
	name_row(name, "unmap", cpus);
	put_row(name, t, REPS, PAGES);
	name_row(name, "ipi", cpus);
	put_row(name, ipis, REPS, PAGES);
}

/* Windows in tables of their own, which stay: a page beside each is mapped and touched. */
static void place_windows(unsigned int cpus)
{
	unsigned long at = map_memory((cpus + 2) * TABLE);

	must((long)at, "mmap");
	at = (at + TABLE - 1) & ~(TABLE - 1);
	for (unsigned int i = 0; i <= cpus; i++) {
		volatile char *window = (volatile char *)at + i * TABLE;

		*window = 1;
		window += 64 * PAGE_SIZE;
		must(sys_munmap((unsigned long)window - 8 * PAGE_SIZE, WINDOW + 16 * PAGE_SIZE),
		     "munmap");
		if (i < cpus)
			own[i] = window;
		else
			shared = window;
	}
}

int main(int argc, char **argv)
{
	uint64_t cpus = 0;

	if (argc < 2 || !parse_size(argv[1], &cpus) || cpus < 2 || cpus > MAX_CPUS) {
		print("usage: bench_smp 2-4\n");
		return 2;
	}
	place_windows(cpus);
	pin(0);
	for (unsigned int i = 1; i < cpus; i++) {
		worker[i].cpu = i;
		start_thread(&worker[i]);
	}
	wait_done(cpus - 1);
	fault_rows(cpus, cpus);
	unmap_rows(cpus, cpus);
	return 0;
}
