/*
 * Several CPUs: they start, run what they are given, answer each other; and the memory manager
 * holds its invariants when all of them use it at once. The audit follows each case.
 *
 * Threads of a case run on CPUs of their own (kthread_run_on()) and begin together.
 */
#include "arch/smp.h"
#include "arch/tlb.h"
#include "arch/uaccess.h"
#include "kernel/task.h"
#include "mm/reclaim/lru.h"
#include "tests/tests.h"

#define TWO  "memory=24M,high=4M cpus=2"
#define FOUR "memory=24M,high=4M cpus=4"

/* ---- a thread on each CPU ---- */

struct crew {
	void (*fn)(struct crew *crew, unsigned int cpu);
	struct mm_struct *mm;
	unsigned long base;
	u32 nr;
	u32 ready, left; /* A */
	u32 errors;	 /* A */
	struct wait_queue wq;
	bool stop;
};

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

/* Run fn on each of the first `nr` CPUs at once. What they count as errors must be none. */
static void run_crew(struct test *t, struct crew *c, u32 nr)
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

static void crew_error(struct crew *c)
{
	atomic_add(&c->errors, 1);
}

/* ---- CPUs ---- */

GUEST_TEST(smp, all_cpus_come_up, 0, 0, FOUR)
{
	CHECK_EQ(cpus_online, 0xf);
	CHECK_EQ(kthread_run_on(4, NULL, NULL, "nowhere"), -EINVAL);
}

GUEST_TEST(smp, one_cpu_is_enough, 0, 0, "memory=24M,high=4M cpus=1")
{
	CHECK_EQ(cpus_online, 1);
	CHECK(!static_key(KEY_SMP));
}

static void count_here(void *arg)
{
	u32 *seen = arg;

	atomic_or(seen, 1u << cpu_id());
	if (!arch_irqs_disabled())
		atomic_or(seen, 1u << 31);
}

GUEST_TEST(smp, a_call_runs_on_every_cpu, 0, 0, FOUR)
{
	u32 seen = 0;

	on_each_cpu(count_here, &seen);
	CHECK_EQ(seen, 0xf);
}

/* All CPUs call all others at once, with interrupts on and off, and get their answers. */
static void call_around(struct crew *c, unsigned int cpu)
{
	for (unsigned int i = 0; i < 50; i++) {
		unsigned long flags = 0;
		u32 seen = 0, refused;

		preempt_disable();
		if (i & 1)
			flags = arch_irq_save();
		refused = smp_call(~0u, count_here, &seen, true);
		if (i & 1)
			arch_irq_restore(flags);
		preempt_enable();
		if (refused || seen != (0xfu & ~(1u << cpu)))
			crew_error(c);
	}
}

GUEST_TEST(smp, calls_cross_without_waiting_for_ever, 0, 0, FOUR)
{
	struct crew c = {.fn = call_around};

	run_crew(t, &c, 4);
}

/* ---- scheduling ---- */

static u32 busy_on; /* A: CPUs on which a spinner was seen */
static bool spin_on;

static int spinner(void *arg)
{
	u64 until = ktime_ns() + 3000000000ull;

	while (READ_ONCE(spin_on) && ktime_ns() < until) {
		atomic_or(&busy_on, 1u << cpu_id());
		cond_resched();
	}
	atomic_sub((u32 *)arg, 1);
	return 0;
}

static bool all_busy(void *arg)
{
	return atomic_load(&busy_on) == 0xf;
}

static bool all_gone(void *arg)
{
	return !atomic_load((u32 *)arg);
}

GUEST_TEST(smp, new_threads_spread_over_the_cpus, 0, 30, FOUR)
{
	static u32 left = 8;

	spin_on = true;
	for (int i = 0; i < 8; i++)
		REQUIRE(!kthread_run(spinner, &left, "spinner"));
	CHECK(wait_until(all_busy, NULL, 5000));
	WRITE_ONCE(spin_on, false);
	CHECK(wait_until(all_gone, &left, 5000));
}

static struct wait_queue ping_wq = WAIT_QUEUE_INIT(ping_wq);
static u32 turn;

static void ping_pong(struct crew *c, unsigned int cpu)
{
	for (u32 i = 0; i < 100; i++) {
		wait_event(&ping_wq, atomic_load(&turn) == 2 * i + cpu);
		atomic_add(&turn, 1);
		wake_up(&ping_wq);
	}
}

GUEST_TEST(smp, a_sleeper_is_woken_from_another_cpu, 0, 30, TWO)
{
	struct crew c = {.fn = ping_pong};

	run_crew(t, &c, 2);
	CHECK_EQ(turn, 200);
}

static struct mutex count_mutex = MUTEX_INIT(count_mutex);
static struct rw_semaphore count_sem;
static spinlock_t count_spin = SPINLOCK_INIT;
static u64 counted[3];
static s32 readers;

static void count_under_locks(struct crew *c, unsigned int cpu)
{
	for (u32 i = 0; i < 300; i++) {
		unsigned long flags;

		mutex_lock(&count_mutex);
		counted[0]++;
		mutex_unlock(&count_mutex);
		flags = spin_lock_irqsave(&count_spin);
		counted[1]++;
		spin_unlock_irqrestore(&count_spin, flags);
		if (i & 3) {
			down_read(&count_sem);
			atomic_add(&readers, 1);
			if (atomic_load(&readers) < 1)
				crew_error(c);
			atomic_sub(&readers, 1);
			up_read(&count_sem);
			continue;
		}
		down_write(&count_sem);
		if (atomic_load(&readers))
			crew_error(c);
		counted[2]++;
		up_write(&count_sem);
	}
}

GUEST_TEST(smp, locks_exclude_across_cpus, 0, 30, FOUR)
{
	struct crew c = {.fn = count_under_locks};

	init_rwsem(&count_sem);
	run_crew(t, &c, 4);
	CHECK_EQ(counted[0], 4 * 300);
	CHECK_EQ(counted[1], 4 * 300);
	CHECK_EQ(counted[2], 4 * 75);
}

/* ---- the allocators ---- */

static void churn_pages(struct crew *c, unsigned int cpu)
{
	struct page *held[24] = {NULL};
	u64 x = cpu + 1;

	for (u32 i = 0; i < 1500; i++) {
		u32 slot, order;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		slot = (x >> 33) % ARRAY_SIZE(held);
		order = (x >> 40) % 5;
		if (held[slot]) {
			u64 *p = page_address(held[slot]);

			if (p[0] != (u64)held[slot] || p[1] != cpu)
				crew_error(c);
			p[0] = 0;
			__free_pages(held[slot], held[slot]->order);
			held[slot] = NULL;
			continue;
		}
		held[slot] = alloc_pages(GFP_KERNEL | __GFP_NOWARN, order);
		if (held[slot]) {
			u64 *p = page_address(held[slot]);

			p[0] = (u64)held[slot];
			p[1] = cpu;
		}
	}
	for (u32 i = 0; i < ARRAY_SIZE(held); i++)
		if (held[i])
			__free_pages(held[i], held[i]->order);
}

GUEST_TEST(smp, pages_from_all_cpus, 0, 60, FOUR)
{
	u64 before = settled_free_pages();
	struct crew c = {.fn = churn_pages};

	run_crew(t, &c, 4);
	/* Stacks of the crew may still wait for the reaper, and for a flush. */
	CHECK(settled_free_pages() + 64 >= before);
}

/* Objects are freed by the next CPU, so that they change sheaves. */
static void *belt[4][16];

static void churn_slab(struct crew *c, unsigned int cpu)
{
	for (u32 i = 0; i < 1500; i++) {
		void **mine = &belt[cpu][i % 16], *obj = kmalloc(24 + 40 * (i % 5), GFP_KERNEL),
		     *old;

		if (!obj) {
			crew_error(c);
			continue;
		}
		*(u64 *)obj = (u64)obj ^ 0x5a5a;
		old = atomic_xchg(mine, obj);
		if (old && *(u64 *)old != ((u64)old ^ 0x5a5a))
			crew_error(c);
		kfree(old);
		old = atomic_xchg(&belt[(cpu + 1) % 4][i * 7 % 16], NULL);
		if (old && *(u64 *)old != ((u64)old ^ 0x5a5a))
			crew_error(c);
		kfree(old);
	}
}

GUEST_TEST(smp, objects_change_cpus, 0, 60, FOUR)
{
	struct crew c = {.fn = churn_slab};

	run_crew(t, &c, 4);
	for (u32 i = 0; i < 4; i++)
		for (u32 j = 0; j < 16; j++)
			kfree(belt[i][j]);
}

static void hoard(struct crew *c, unsigned int cpu)
{
	struct page *page[20];
	u32 n = 0;

	while (n < 20 && (page[n] = alloc_page(GFP_KERNEL)))
		n++;
	while (n)
		__free_page(page[--n]);
}

static bool quiet(void *arg)
{
	return cpus_are_idle();
}

GUEST_TEST(smp, drains_reach_every_cpu, 0, 30, FOUR)
{
	struct crew c = {.fn = hoard};
	u32 cached = 0;

	run_crew(t, &c, 4);
	for (u32 i = 0; i < nr_zones; i++)
		for (u32 cpu = 1; cpu < 4; cpu++)
			cached += zone_table[i]->pcp[cpu].count;
	CHECK(cached > 0);
	CHECK(wait_until(quiet, NULL, 5000)); /* the crew's stacks are freed on some CPU */
	drain_all_pages();
	for (u32 i = 0; i < nr_zones; i++)
		for (u32 cpu = 1; cpu < 4; cpu++)
			CHECK_EQ(zone_table[i]->pcp[cpu].count, 0);
}

/* ---- address spaces ---- */

#define SHARED_PAGES 64u

/* All CPUs touch, unmap and protect the same pages of one address space. */
static void churn_mm(struct crew *c, unsigned int cpu)
{
	u64 x = cpu * 77 + 5, v;

	for (u32 i = 0; i < 400; i++) {
		unsigned long addr;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		addr = c->base + ((x >> 33) % SHARED_PAGES) * PAGE_SIZE;
		switch ((x >> 50) % 8) {
		case 0:
			do_madvise(c->mm, addr, PAGE_SIZE * (1 + cpu), MADV_DONTNEED);
			break;
		case 1:
			do_mprotect(c->mm, addr, PAGE_SIZE, PROT_READ);
			do_mprotect(c->mm, addr, PAGE_SIZE, PROT_READ | PROT_WRITE);
			break;
		case 2:
			/* Zero, or what somebody has written there; never another page's. */
			if (!copy_from_user(&v, addr, sizeof(v)) && v && v != word_for(addr, 0))
				crew_error(c);
			break;
		default:
			v = word_for(addr, 0);
			copy_to_user(addr, &v, sizeof(v)); /* fails while it is read-only */
		}
	}
}

GUEST_TEST(smp, one_address_space_on_all_cpus, 0, 60, FOUR)
{
	struct crew c = {.fn = churn_mm, .mm = testmm_create(t)};

	REQUIRE(c.mm);
	c.base = testmm_map(t, c.mm, SHARED_PAGES * PAGE_SIZE);
	REQUIRE(c.base);
	run_crew(t, &c, 4);
	mmput(c.mm);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

/* ---- shootdown ---------------------------------------------------------------------------------
 *
 * CPU 1 reads pages, so that its TLB holds them, and waits without leaving the address space; CPU 0
 * changes the mapping; CPU 1 looks again. It must see the change, and the flush must have come to
 * it and to no CPU that has nothing of this address space. */
#define FLUSH_PAGES 8u
#define ROUNDS	    6u

enum { CHANGE_UNMAP, CHANGE_PROTECT, CHANGE_DISCARD, NR_CHANGES };

static struct {
	unsigned long base;
	u32 step; /* A: odd: CPU 1's turn; even: CPU 0's */
	u32 change, wrong;
} shoot;

static u64 received(unsigned int cpu)
{
	return READ_ONCE(mmvm_shared->event[cpu][NR_TLB_REMOTE_FLUSH_RECEIVED]);
}

/* Wait as a program would that computes: no way out of this address space. */
static void await_step(u32 step)
{
	while (atomic_load_acquire(&shoot.step) != step)
		cpu_relax(); /* no exit to the host either: it might flush for us */
}

static int shoot_reader(struct mm_struct *mm)
{
	u64 v;

	for (u32 i = 0; i < ROUNDS * NR_CHANGES; i++) {
		await_step(4 * i + 1);
		for (u32 p = 0; p < FLUSH_PAGES; p++)
			if (copy_from_user(&v, shoot.base + p * PAGE_SIZE, 8) || v != i + 1)
				shoot.wrong++;
		atomic_add(&shoot.step, 1);
		await_step(4 * i + 3);
		for (u32 p = 0; p < FLUSH_PAGES; p++) {
			unsigned long addr = shoot.base + p * PAGE_SIZE;
			u64 w = ~0ull;

			if (shoot.change == CHANGE_UNMAP && !copy_from_user(&v, addr, 8))
				shoot.wrong += 1000;
			else if (shoot.change == CHANGE_PROTECT && !copy_to_user(addr, &w, 8))
				shoot.wrong += 1000;
			else if (shoot.change == CHANGE_DISCARD &&
				 (copy_from_user(&v, addr, 8) || v))
				shoot.wrong += 1000;
		}
		atomic_add(&shoot.step, 1);
	}
	return 0;
}

static int shoot_changer(struct mm_struct *mm)
{
	const unsigned long len = FLUSH_PAGES * PAGE_SIZE;

	for (u32 i = 0; i < ROUNDS * NR_CHANGES; i++) {
		u64 v = i + 1, before[4], after[4];
		long err = 0;

		if (do_mmap(mm, shoot.base, len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0) != (long)shoot.base)
			return -1;
		for (u32 p = 0; p < FLUSH_PAGES; p++)
			if (copy_to_user(shoot.base + p * PAGE_SIZE, &v, 8))
				return -2;
		atomic_add(&shoot.step, 1);
		await_step(4 * i + 2);
		shoot.change = i % NR_CHANGES;
		for (u32 cpu = 0; cpu < 4; cpu++)
			before[cpu] = received(cpu);
		if (shoot.change == CHANGE_UNMAP)
			err = do_munmap(mm, shoot.base, len);
		else if (shoot.change == CHANGE_PROTECT)
			err = do_mprotect(mm, shoot.base, len, PROT_READ);
		else
			err = do_madvise(mm, shoot.base, len, MADV_DONTNEED);
		for (u32 cpu = 0; cpu < 4; cpu++)
			after[cpu] = received(cpu);
		if (err)
			return -3;
		if (after[1] == before[1] || after[2] != before[2] || after[3] != before[3])
			shoot.wrong++;
		atomic_add(&shoot.step, 1);
		await_step(4 * i + 4);
	}
	return 0;
}

static void shoot_turns(struct crew *c, unsigned int cpu)
{
	int err = 0;

	if (cpu == 0)
		err = shoot_changer(c->mm);
	else
		err = shoot_reader(c->mm);
	if (err)
		panic("shootdown: step %u failed: %d", shoot.step, err);
}

GUEST_TEST(smp, other_cpus_forget_what_was_unmapped, 0, 60, FOUR)
{
	struct crew c = {.fn = shoot_turns, .mm = testmm_create(t)};

	REQUIRE(c.mm);
	/* A page more, so that its page table stays when the others go: freeing it flushes, too. */
	shoot.base = testmm_map(t, c.mm, (FLUSH_PAGES + 1) * PAGE_SIZE);
	REQUIRE(shoot.base);
	CHECK(!testmm_touch(c.mm, shoot.base + FLUSH_PAGES * PAGE_SIZE, true));
	run_crew(t, &c, 2);
	mmput(c.mm);
	CHECK_EQ(shoot.wrong, 0);
}

/* A CPU whose thread sleeps keeps the thread's address space loaded while it idles. The first flush
 * makes it leave, the second does not go there any more. */
static struct wait_queue lazy_wq = WAIT_QUEUE_INIT(lazy_wq);
static bool lazy_asleep, lazy_wake;

static void lazy_sleeper(struct crew *c)
{
	u64 v = 4711;

	if (copy_to_user(c->base, &v, sizeof(v)))
		crew_error(c);
	WRITE_ONCE(lazy_asleep, true);
	wait_event(&lazy_wq, READ_ONCE(lazy_wake));
	if (copy_from_user(&v, c->base, sizeof(v)) || v != 4711)
		crew_error(c);
	if (!(READ_ONCE(c->mm->cpumask) & 2))
		crew_error(c);
}

static bool lazy_idle(void *arg)
{
	return READ_ONCE(lazy_asleep) && cpus_are_idle();
}

static void lazy_flusher(struct crew *c)
{
	u64 before;

	if (!wait_until(lazy_idle, NULL, 5000) || !(READ_ONCE(c->mm->cpumask) & 2))
		crew_error(c);
	before = received(1);
	flush_tlb_mm(c->mm);
	if (received(1) != before + 1 || READ_ONCE(c->mm->cpumask) & 2)
		crew_error(c);
	flush_tlb_mm(c->mm);
	if (received(1) != before + 1)
		crew_error(c);
	WRITE_ONCE(lazy_wake, true);
	wake_up(&lazy_wq);
}

static void lazy_turns(struct crew *c, unsigned int cpu)
{
	if (cpu)
		lazy_sleeper(c);
	else
		lazy_flusher(c);
}

GUEST_TEST(smp, an_idle_cpu_is_asked_to_flush_once, 0, 60, TWO)
{
	struct crew c = {.fn = lazy_turns, .mm = testmm_create(t)};

	REQUIRE(c.mm);
	c.base = testmm_map(t, c.mm, PAGE_SIZE);
	REQUIRE(c.base);
	run_crew(t, &c, 2);
	mmput(c.mm);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

/* Its last user gone, the address space of an idle CPU is unloaded there before its tables go. */
static int sleep_in_mm(void *arg)
{
	struct crew *c = arg;
	u64 v = 1;

	kthread_use_mm(c->mm);
	if (copy_to_user(c->base, &v, sizeof(v)))
		crew_error(c);
	WRITE_ONCE(lazy_asleep, true);
	wait_event(&lazy_wq, READ_ONCE(lazy_wake));
	kthread_unuse_mm();
	atomic_sub(&c->left, 1);
	return 0;
}

GUEST_TEST(smp, an_address_space_is_left_before_it_goes, 0, 60, TWO)
{
	static struct crew c;

	c.mm = testmm_create(t);
	REQUIRE(c.mm);
	c.base = testmm_map(t, c.mm, PAGE_SIZE);
	c.left = 1;
	REQUIRE(!kthread_run_on(1, sleep_in_mm, &c, "sleeper"));
	CHECK(wait_until(lazy_idle, NULL, 5000));
	CHECK_EQ(READ_ONCE(c.mm->cpumask), 2);
	arch_release_mm(c.mm);
	CHECK_EQ(READ_ONCE(c.mm->cpumask), 0);
	WRITE_ONCE(lazy_wake, true);
	wake_up(&lazy_wq);
	CHECK(wait_until(all_gone, &c.left, 5000));
	CHECK_EQ(c.errors, 0);
	mmput(c.mm);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

/* ---- programs ---- */

static int spawn_args(const char *path, const char *const *args)
{
	char argv[128];
	u32 len = strscpy(argv, path, sizeof(argv)) + 1;

	for (; *args; args++)
		len += strscpy(argv + len, *args, sizeof(argv) - len) + 1;
	return process_spawn(path, argv, len);
}

/* Two programs that need more memory than there is, and one that maps and forks, on two CPUs: faults
 * on one, reclaim of the same address spaces on the other. Each finds its words or fails. */
GUEST_TEST(smp, programs_swap_on_two_cpus, MMVM_TESTF_USER | MMVM_TESTF_LAB_ONLY, 180,
	   "memory=12M,high=1M cpus=2 swap=32M")
{
	static const char *const swap1[] = {"--mb", "9", "--passes", "1", NULL};
	static const char *const swap2[] = {"--mb", "2", "--passes", "1", "--seed", "9", NULL};
	static const char *const map[] = {"--ops", "800", "--pages", "200", NULL};
	s64 out = ev(PSWPOUT), asked = ev(NR_TLB_REMOTE_FLUSH);
	int pid[3];

	/* Until a flush had to be asked of the other CPU: where they take turns, that needs a moment of luck. */
	for (int round = 0; round < 10 && ev(NR_TLB_REMOTE_FLUSH) == asked; round++) {
		pid[0] = spawn_args("/bin/swapstress", swap1);
		pid[1] = spawn_args("/bin/swapstress", swap2);
		pid[2] = spawn_args("/bin/mapstress", map);
		for (int i = 0; i < 3; i++) {
			REQUIRE(pid[i] > 0);
			CHECK_EQ(process_wait(pid[i]), 0);
		}
	}
	CHECK(ev(PSWPOUT) > out);
	CHECK(ev(NR_TLB_REMOTE_FLUSH) > asked);
	/* A page that one CPU unmaps for good while another one has it locked keeps its slot until
	 * reclaim comes by: what is left belongs to such pages, to the root's files, and to nobody. */
	CHECK((s64)(swap_total_pages() - swap_free_pages()) <=
	      global_stat(NR_SWAPCACHE) + (s64)root_pages() - global_stat(NR_SHMEM));
}

GUEST_TEST(smp, families_fork_on_all_cpus, MMVM_TESTF_USER, 120, FOUR)
{
	CHECK_EQ(run_program("/bin/forktest", "identity"), 0);
	CHECK_EQ(run_program("/bin/forktest", "killing"), 0);
	CHECK_EQ(run_program("/bin/forktest", "pipes"), 0);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

/* ---- a panic ---- */

/* One CPU idles, one spins with interrupts on, one with interrupts off; all are named. */
static void spin_for_ever(struct crew *c, unsigned int cpu)
{
	static u32 ready;

	if (cpu == 0) {
		while (atomic_load(&ready) != 2)
			cpu_relax();
		panic("told to");
	}
	if (cpu == 2)
		arch_irq_disable();
	atomic_add(&ready, 1);
	for (;;)
		cpu_relax();
}

GUEST_TEST(smp, a_panic_stops_every_cpu_and_names_it, MMVM_TESTF_EXPECT_CRASH, 60, FOUR)
{
	struct crew c = {.fn = spin_for_ever};

	test_expect_words(t, "Kernel panic: told to");
	test_expect_words(t, "CPU 1 was running crew");
	test_expect_words(t, "CPU 2 was running crew");
	test_expect_words(t, "CPU 3 was running idle");
	run_crew(t, &c, 3);
}

/* ---- reclaim flushes a batch at a time ---- */

#define BATCH_PAGES	512ul
#define WITH_SWAP(cpus) "memory=24M,high=4M swap=32M cpus=" cpus

/* CPU 0 sends all pages to swap, again and again. The others write to some of them all the time:
 * a write through a stale TLB entry would be lost, and a read would find an older number. */
static void swap_under_writers(struct crew *c, unsigned int cpu)
{
	if (!cpu) {
		for (int round = 0; round < 6; round++) {
			u64 v;

			for (unsigned long i = 0; i < BATCH_PAGES; i++)
				if (copy_from_user(&v, c->base + i * PAGE_SIZE, sizeof(v)))
					crew_error(c);
			if (do_madvise(c->mm, c->base, BATCH_PAGES * PAGE_SIZE, MADV_PAGEOUT))
				crew_error(c);
		}
		WRITE_ONCE(c->stop, true);
		return;
	}
	for (u64 v = 1; !READ_ONCE(c->stop); v++) {
		for (unsigned long i = 0; i < 8; i++) {
			unsigned long at = c->base + (i * 64 + cpu * 8) * PAGE_SIZE;
			u64 seen = 0;

			if (v > 1 && (copy_from_user(&seen, at, sizeof(seen)) || seen != v - 1))
				crew_error(c);
			if (copy_to_user(at, &v, sizeof(v)))
				crew_error(c);
		}
		cond_resched();
	}
}

static void flushes_by_the_batch(struct test *t, u32 cpus)
{
	struct mm_struct *mm = testmm_create(t);
	struct crew c = {.fn = swap_under_writers, .mm = mm};
	s64 out, asked;

	c.base = testmm_map(t, mm, BATCH_PAGES * PAGE_SIZE);
	for (unsigned long i = 0; i < BATCH_PAGES; i++)
		CHECK_EQ(testmm_write(mm, c.base + i * PAGE_SIZE, i), 0);
	out = ev(PSWPOUT) + ev(MMVM_SWAP_DROP_CLEAN);
	asked = ev(NR_TLB_REMOTE_FLUSH);
	run_crew(t, &c, cpus);
	out = ev(PSWPOUT) + ev(MMVM_SWAP_DROP_CLEAN) - out;
	asked = ev(NR_TLB_REMOTE_FLUSH) - asked;
	printk("swapped out: %ld pages, TLBs of others flushed: %ld times\n", (long)out,
	       (long)asked);
	CHECK(out >= (s64)BATCH_PAGES);
	CHECK(asked > 0);
	/* One for a batch of 32, and one for the accessed bits of a table each round. */
	CHECK(asked * 8 < out);
	mmput(mm);
}

GUEST_TEST(smp, reclaim_flushes_by_the_batch_2, MMVM_TESTF_LAB_ONLY, 60, WITH_SWAP("2"))
{
	flushes_by_the_batch(t, 2);
}

GUEST_TEST(smp, reclaim_flushes_by_the_batch_4, MMVM_TESTF_LAB_ONLY, 60, WITH_SWAP("4"))
{
	flushes_by_the_batch(t, 4);
}
