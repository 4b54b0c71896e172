/*
 * Flushes of other CPUs' TLBs: they come to the CPUs that need them and to no others, and reclaim sends one for
 * a batch of pages.
 */
#include "arch/smp.h"
#include "arch/tlb.h"
#include "arch/uaccess.h"
#include "kernel/task.h"
#include "mm/reclaim/lru.h"
#include "tests/crew.h"

#define TWO  "memory=24M,high=4M cpus=2"
#define FOUR "memory=24M,high=4M cpus=4"

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
	CHECK(!testmm_touch(c.mm, shoot.base + FLUSH_PAGES * PAGE_SIZE, TOUCH_WRITE));
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
