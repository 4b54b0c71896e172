/*
 * The pause protocol (vmm/machine/park.c), in every order of its steps.
 *
 * The file is compiled into this program with locks, condition variables, signals and atomics of our
 * own. Threads are coroutines; each of those calls, each entry to the guest and each exit is a point
 * at which any thread that can go on may be the next. All choices are tried, depth first, by running
 * from the start each time. A state that was seen before (the machine, and each coroutine's stack
 * from its stack pointer on) is not gone on from: what follows it has been tried.
 *
 * The world: vCPUs that run in the guest until they are kicked, ask for a number of pauses, and an
 * owner that lets them run and ends it all at any moment. A signal that comes while a thread is not
 * in KVM_RUN is lost, as it is in the real world.
 */
#include "../host/unit.h"
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include "machine/internal.h"

#define MAX_THREADS 5u
#define STACK_SIZE  (32u << 10)
#define MAX_DEPTH   4096u
#define SEEN_SLOTS  (1u << 22)

enum wait { READY, WANTS_LOCK, WAITS_COND, IN_GUEST, JOINS, ENDED };

struct thread {
	ucontext_t context;
	enum wait wait;
	bool signalled; /* in the guest, and a signal came */
	bool in_guest;
	unsigned int asks; /* pauses still to ask for */
	bool asking;	   /* has asked for one, and waits */
	uint64_t stack_pointer;
};

static struct world {
	struct machine m;
	struct kvm_run run[MAX_THREADS];
	struct thread thread[MAX_THREADS];
	unsigned int nr, current;
	int lock_owner; /* -1: free */
	unsigned int pauses, cancelled;
	bool looked;
} w;
static char stack[MAX_THREADS][STACK_SIZE] __attribute__((aligned(64)));
static ucontext_t scheduler;
static const char *wrong;

/* ---- what park.c calls ------------------------------------------------------------------------ */

static void __attribute__((noinline)) yield_as(enum wait wait)
{
	struct thread *t = &w.thread[w.current];

	t->wait = wait;
	t->stack_pointer = (uint64_t)__builtin_frame_address(0);
	swapcontext(&t->context, &scheduler);
}

static void model_lock(void)
{
	yield_as(WANTS_LOCK);
	w.lock_owner = (int)w.current;
}

static void model_unlock(void)
{
	if (w.lock_owner != (int)w.current)
		wrong = "a lock is dropped by who has not taken it";
	w.lock_owner = -1;
}

static void model_wait(void)
{
	model_unlock();
	yield_as(WAITS_COND);
	w.lock_owner = (int)w.current;
}

static void model_broadcast(void)
{
	for (unsigned int i = 0; i < w.nr; i++)
		if (w.thread[i].wait == WAITS_COND)
			w.thread[i].wait = WANTS_LOCK;
}

static void model_kill(pthread_t who)
{
	struct thread *t = &w.thread[who];

	yield_as(READY);
	/* Only KVM_RUN notices. */
	if (t->wait == IN_GUEST)
		t->signalled = true;
}

static pthread_t model_self(void)
{
	return w.current;
}

#undef atomic_load
#undef atomic_store
#define pthread_mutex_lock(l)	  model_lock()
#define pthread_mutex_unlock(l)	  model_unlock()
#define pthread_cond_wait(c, l)	  model_wait()
#define pthread_cond_broadcast(c) model_broadcast()
#define pthread_kill(t, s)	  model_kill(t)
#define pthread_self()		  model_self()
/* Not under the lock, an atomic is a point of choice; under it, only the owner's quit matters. */
#define atomic_load(p)	       (yield_as(READY), __atomic_load_n(p, __ATOMIC_SEQ_CST))
#define atomic_store(p, v)     (yield_as(READY), __atomic_store_n(p, v, __ATOMIC_SEQ_CST))
#define machine_vcpu_release   model_vcpu_release
#define machine_park_begin     model_park_begin
#define machine_park_may_enter model_park_may_enter
#define machine_park_end       model_park_end
#define machine_pause_others   model_pause_others
#define machine_resume_others  model_resume_others
#define machine_park_quit      model_park_quit
#define machine_call_stopped   model_call_stopped
int model_call_stopped(struct machine *m, void (*fn)(struct machine *m, uint64_t cr3, void *arg),
		       void *arg);
/* Its other prototypes, under our names */
#undef VMM_MACHINE_PARK_H
#include "../../vmm/machine/park.c"

/* ---- the threads ------------------------------------------------------------------------------ */

/** KVM_RUN: returns when it is kicked, or for another reason when there is still something to ask. */
static void enter_guest(struct machine_vcpu *v)
{
	struct thread *t = &w.thread[w.current];

	yield_as(READY);
	if (v->kvm.run->immediate_exit)
		return;
	t->in_guest = true;
	t->signalled = false;
	for (unsigned int i = 0; i < w.nr; i++)
		if (w.looked && w.m.pauser && w.m.pauser != v)
			wrong = "a vCPU enters the guest while another looks (K1)";
	yield_as(IN_GUEST);
	t->in_guest = false;
	t->signalled = false;
}

static void look(struct machine_vcpu *v)
{
	struct thread *t = &w.thread[w.current];

	t->asks--;
	t->asking = true;
	if (model_pause_others(v)) {
		t->asking = false;
		w.cancelled++;
		return;
	}
	t->asking = false;
	w.looked = true;
	for (int step = 0; step < 2; step++) {
		for (unsigned int i = 0; i < w.nr - 1; i++)
			if (i != w.current && w.thread[i].in_guest)
				wrong = "a vCPU is in the guest while another looks (K1)";
		if (!step)
			yield_as(READY);
	}
	w.looked = false;
	w.pauses++;
	model_resume_others(v);
}

static void vcpu_thread(void)
{
	struct machine_vcpu *v = &w.m.vcpu[w.current];
	struct thread *t = &w.thread[w.current];

	if (!model_park_begin(v)) {
		model_park_end(v);
		yield_as(ENDED);
	}
	while (model_park_may_enter(v)) {
		enter_guest(v);
		if (t->asks)
			look(v);
	}
	model_park_end(v);
	yield_as(ENDED);
}

static void owner_thread(void)
{
	/* vCPU 0 starts the others, as the guest does; here the owner, at any moment. */
	for (unsigned int i = 1; i < w.nr - 1; i++)
		model_vcpu_release(&w.m, i, 0, 0, 0);
	yield_as(READY);
	model_park_quit(&w.m);
	yield_as(JOINS);
	yield_as(ENDED);
}

/* ---- the scheduler ---------------------------------------------------------------------------- */

static bool all_vcpus_ended(void)
{
	for (unsigned int i = 0; i < w.nr - 1; i++)
		if (w.thread[i].wait != ENDED)
			return false;
	return true;
}

static bool can_go_on(unsigned int i)
{
	const struct thread *t = &w.thread[i];

	switch (t->wait) {
	case READY:
		return true;
	case WANTS_LOCK:
		return w.lock_owner < 0;
	case IN_GUEST:
		return t->signalled || t->asks;
	case JOINS:
		return all_vcpus_ended();
	default:
		return false;
	}
}

/* Stacks have red zones, and frames that were left for good. */
static uint64_t __attribute__((no_sanitize_address))
hash_bytes(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h ^ h >> 29;
}

static uint64_t state_hash(void)
{
	uint64_t h = 0xcbf29ce484222325ull;

	h = hash_bytes(h, &w.m.pauser, sizeof(w.m.pauser));
	h = hash_bytes(h, &w.m.quit, sizeof(w.m.quit));
	h = hash_bytes(h, &w.lock_owner, sizeof(w.lock_owner));
	for (unsigned int i = 0; i < w.nr; i++) {
		const struct thread *t = &w.thread[i];
		const struct machine_vcpu *v = &w.m.vcpu[i];
		const struct {
			unsigned int wait, signalled, in_guest, asks, released, parked, immediate;
		} s = {t->wait,
		       t->signalled,
		       t->in_guest,
		       t->asks,
		       v->released,
		       v->parked,
		       i < w.nr - 1 ? w.run[i].immediate_exit : 0};
		/* Where it is: its return addresses and variables. */
		const char *top = stack[i] + STACK_SIZE;

		h = hash_bytes(h, &s, sizeof(s));
		if (t->stack_pointer && t->wait != ENDED)
			h = hash_bytes(h, (const char *)t->stack_pointer,
				       (size_t)(top - (const char *)t->stack_pointer));
	}
	return h;
}

static uint64_t *seen;
static uint64_t nr_seen;

/** True when the state is new. */
static bool remember(uint64_t h)
{
	uint64_t i = h % SEEN_SLOTS;

	h |= 1;
	while (seen[i]) {
		if (seen[i] == h)
			return false;
		i = (i + 1) % SEEN_SLOTS;
	}
	seen[i] = h;
	nr_seen++;
	return true;
}

static void begin_world(unsigned int vcpus, unsigned int asks)
{
	memset(&w, 0, sizeof(w));
	ASAN_UNPOISON_MEMORY_REGION(stack, sizeof(stack));
	memset(stack, 0, sizeof(stack[0]) * (vcpus + 1));
	w.nr = vcpus + 1;
	w.lock_owner = -1;
	w.m.nr_vcpus = vcpus;
	for (unsigned int i = 0; i < w.nr; i++) {
		struct thread *t = &w.thread[i];

		getcontext(&t->context);
		t->context.uc_stack.ss_sp = stack[i];
		t->context.uc_stack.ss_size = STACK_SIZE;
		makecontext(&t->context, i == vcpus ? owner_thread : vcpu_thread, 0);
		if (i == vcpus)
			break;
		t->asks = asks;
		w.m.vcpu[i] = (struct machine_vcpu){.m = &w.m,
						    .id = i,
						    .kvm.run = &w.run[i],
						    .released = i == 0,
						    .parked = true,
						    .started = true,
						    .thread = i,
						    .self = i};
	}
}

static void step(unsigned int i)
{
	w.current = i;
	swapcontext(&scheduler, &w.thread[i].context);
}

/** A pause that only the machine's end would bring forward. */
static bool pause_is_stuck(void)
{
	bool asking = false;

	for (unsigned int i = 0; i < w.nr - 1; i++) {
		if (can_go_on(i))
			return false;
		asking |= w.thread[i].asking;
	}
	return asking && !w.m.quit;
}

/** One run: follow `choice`, then the first thread that can go on, until an old state or the end.
 * Returns the number of choices made; those that have a sibling left are in choice[]. */
static unsigned int run_once(unsigned char *choice, unsigned int depth)
{
	unsigned int d;

	for (d = 0; d < MAX_DEPTH; d++) {
		unsigned int i = d < depth ? choice[d] : 0;

		if (pause_is_stuck()) {
			wrong = "a pause waits for ever (K2)";
			return d;
		}
		while (i < w.nr && !can_go_on(i))
			i++;
		if (i == w.nr) {
			if (d < depth)
				return d; /* the last choice has no further sibling */
			for (unsigned int t = 0; t < w.nr; t++)
				if (w.thread[t].wait != ENDED)
					wrong = "threads wait for ever (K2, K3)";
			return d;
		}
		choice[d] = (unsigned char)i;
		step(i);
		if (wrong)
			return d + 1;
		if (d + 1 >= depth && !remember(state_hash()))
			return d + 1;
	}
	wrong = "a run without end";
	return d;
}

struct outcome {
	uint64_t states, runs, pauses, cancelled;
};

static struct outcome explore(unsigned int vcpus, unsigned int asks)
{
	static unsigned char choice[MAX_DEPTH];
	struct outcome o = {0};
	unsigned int depth = 0;

	seen = calloc(SEEN_SLOTS, sizeof(*seen));
	CU_ASSERT_PTR_NOT_NULL_FATAL(seen);
	nr_seen = 0;
	wrong = NULL;
	do {
		unsigned int made;

		begin_world(vcpus, asks);
		made = run_once(choice, depth);
		o.runs++;
		o.pauses += w.pauses;
		o.cancelled += w.cancelled;
		if (wrong) {
			printf("\n    %u vCPUs, %u pauses each: %s, after ", vcpus, asks, wrong);
			for (unsigned int i = 0; i < made; i++)
				printf("%u", choice[i]);
			break;
		}
		/* The next: the last choice that has a sibling not tried. */
		for (depth = made; depth > 0; depth--)
			if (++choice[depth - 1] < w.nr)
				break;
	} while (depth && nr_seen < SEEN_SLOTS / 2);
	o.states = nr_seen;
	CU_ASSERT_TRUE(nr_seen < SEEN_SLOTS / 2);
	free(seen);
	return o;
}

static void check(unsigned int vcpus, unsigned int asks, uint64_t at_least)
{
	struct outcome o = explore(vcpus, asks);

	CU_ASSERT_PTR_NULL(wrong);
	CU_ASSERT_TRUE(o.states >= at_least);
	CU_ASSERT_TRUE(o.pauses > 0);
	CU_ASSERT_TRUE(vcpus == 1 || o.cancelled > 0);
	printf("%llu states, %llu runs ", (unsigned long long)o.states, (unsigned long long)o.runs);
}

static void test_one(void)
{
	check(1, 2, 20);
}

static void test_two(void)
{
	check(2, 1, 1000);
}

static void test_two_twice(void)
{
	check(2, 2, 1000);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"one vCPU", test_one},
		{"two vCPUs ask once each", test_two},
		{"two vCPUs ask twice each", test_two_twice},
	};

	return unit_run("park", cases, sizeof(cases) / sizeof(cases[0]));
}
