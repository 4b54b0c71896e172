/*
 * Who may enter the guest. A vCPU waits outside of it until the guest releases it, and while
 * another vCPU has the machine looked at (audit, round): that one is the pauser.
 *
 * The state, all under lock P; park_cond is signalled on every change:
 *
 *   m->pauser     the vCPU that may look; NULL: none
 *   v->parked     v's thread is outside of the guest and asks, under P, before it enters. True
 *                 before the thread's first instruction and after its last.
 *   ending        m->quit or m->finished: set once, without P, and never cleared
 *
 * The steps:
 *
 *   vCPU thread   may_enter: if there is a pauser, park; then enter unless the machine is ending.
 *   park          parked = true; wait until (released and no other is pauser) or ending. Not
 *                 ending: parked = false, immediate_exit = 0. Ending: parked stays true, for this
 *                 thread will not enter the guest again.
 *   pause         parked = true (be looked at first); wait until there is no pauser, or ending.
 *                 Still a pauser: give up, -ECANCELED, and parked stays true. Else pauser = v,
 *                 parked = false; kick all who are not parked; wait until all others are parked.
 *   resume        pauser = NULL.
 *   owner         quit = true; signal; kick all; join all.
 *   call          (machine_call_stopped(), another thread) m->call = fn; kick vCPU 0; wait until it
 *                 is NULL again or vCPU 0's thread has ended. vCPU 0 sees it in may_enter, after it
 *                 has parked: pause, fn, resume, m->call = NULL. A pause that is cancelled leaves
 *                 m->call for the end, which the caller sees.
 *
 * A kick is run->immediate_exit = 1, which makes a KVM_RUN that has not begun return at once, then
 * a signal, which makes one that has begun return. immediate_exit is cleared under P, by park, when
 * there is no pauser: a later pauser finds the thread not parked and sets it again.
 *
 * What follows, and is checked by trying every order of steps (tests/unit/vmm_park.c):
 *   K1  Between a successful pause and its resume no other vCPU is in the guest.
 *   K2  Nobody waits for ever. A pauser waits for threads that come to park: they are in the guest
 *       (and kicked), in the VMM (and will ask), or waiting to be the pauser (and parked). Of two
 *       that ask while the machine ends, one is the pauser and the other gives up.
 *   K3  After the owner's joins every thread has ended.
 */
#include "machine/park.h"

#include <errno.h>
#include <signal.h>
#include "machine/internal.h"
#include "devices/locking.h"

static bool ending(const struct machine *m)
{
	return atomic_load(&m->quit) || atomic_load(&m->finished);
}

int machine_vcpu_release(void *machine, uint64_t cpu, uint64_t rip, uint64_t cr3, uint64_t rsp)
{
	struct machine *m = machine;
	struct machine_vcpu *v;
	int rc = 0;

	if (!cpu || cpu >= m->nr_vcpus || m->linux_guest)
		return -EINVAL;
	v = &m->vcpu[cpu];
	pthread_mutex_lock(&m->park_lock);
	if (v->released) {
		rc = -EBUSY;
	} else {
		v->start_rip = rip;
		v->start_cr3 = cr3;
		v->start_rsp = rsp;
		v->released = true;
		pthread_cond_broadcast(&m->park_cond);
	}
	pthread_mutex_unlock(&m->park_lock);
	return rc;
}

/** Lock P held. */
static void park_locked(struct machine *m, struct machine_vcpu *v) NEEDS_LOCK(m->park_lock)
{
	v->parked = true;
	pthread_cond_broadcast(&m->park_cond);
	while (!ending(m) && (!v->released || (m->pauser && m->pauser != v)))
		pthread_cond_wait(&m->park_cond, &m->park_lock);
	if (ending(m))
		return;
	v->parked = false;
	/* The kick is over. One for the end comes after `quit`, which is looked at next. */
	__atomic_store_n(&v->kvm.run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

bool machine_park_begin(struct machine_vcpu *v)
{
	struct machine *m = v->m;

	pthread_mutex_lock(&m->park_lock);
	v->self = pthread_self();
	park_locked(m, v);
	pthread_mutex_unlock(&m->park_lock);
	return !ending(m);
}

/** What machine_call_stopped() waits for. On vCPU 0's thread, outside of the guest. */
static void serve_call(struct machine_vcpu *v)
{
	struct machine *m = v->m;

	/* The kick is over. One for the end comes after `quit`, which is looked at next; one of
	 * another pauser finds this thread parked, in the pause. */
	__atomic_store_n(&v->kvm.run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	if (!machine_vcpu_sync(v)) {
		if (machine_pause_others(v))
			return; /* the machine is ending */
		atomic_store(&v->stopped, true);
		m->call(m, v->sregs.cr3, m->call_arg);
		atomic_store(&v->stopped, false);
		machine_resume_others(v);
	}
	pthread_mutex_lock(&m->park_lock);
	atomic_store(&m->call, NULL);
	pthread_cond_broadcast(&m->park_cond);
	pthread_mutex_unlock(&m->park_lock);
}

int machine_call_stopped(struct machine *m, void (*fn)(struct machine *m, uint64_t cr3, void *arg),
			 void *arg)
{
	struct machine_vcpu *v = &m->vcpu[0];
	int rc = 0;

	pthread_mutex_lock(&m->park_lock);
	if (atomic_load(&m->call) || !v->started || v->ended) {
		rc = atomic_load(&m->call) ? -EBUSY : -ESRCH;
		goto out;
	}
	m->call_arg = arg;
	atomic_store(&m->call, fn);
	__atomic_store_n(&v->kvm.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(v->thread, MACHINE_KICK_SIGNAL);
	while (atomic_load(&m->call)) {
		/* The vCPU's thread has ended: the call is taken back. */
		if (v->ended) {
			atomic_store(&m->call, NULL);
			rc = -ESRCH;
			break;
		}
		pthread_cond_wait(&m->park_cond, &m->park_lock);
	}
out:
	pthread_mutex_unlock(&m->park_lock);
	return rc;
}

bool machine_park_may_enter(struct machine_vcpu *v)
{
	struct machine *m = v->m;

	if (atomic_load(&m->pauser)) {
		pthread_mutex_lock(&m->park_lock);
		park_locked(m, v);
		pthread_mutex_unlock(&m->park_lock);
	}
	if (!v->id && atomic_load(&m->call))
		serve_call(v);
	return !ending(m);
}

void machine_park_end(struct machine_vcpu *v)
{
	pthread_mutex_lock(&v->m->park_lock);
	v->parked = v->ended = true;
	pthread_cond_broadcast(&v->m->park_cond);
	pthread_mutex_unlock(&v->m->park_lock);
}

int machine_pause_others(struct machine_vcpu *v)
{
	struct machine *m = v->m;

	pthread_mutex_lock(&m->park_lock);
	v->parked = true;
	pthread_cond_broadcast(&m->park_cond);
	while (m->pauser && !ending(m))
		pthread_cond_wait(&m->park_cond, &m->park_lock);
	if (m->pauser) {
		pthread_mutex_unlock(&m->park_lock);
		return -ECANCELED;
	}
	v->parked = false;
	atomic_store(&m->pauser, v);
	for (unsigned int i = 0; i < m->nr_vcpus; i++) {
		struct machine_vcpu *other = &m->vcpu[i];

		if (other == v || other->parked)
			continue;
		__atomic_store_n(&other->kvm.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(other->self, MACHINE_KICK_SIGNAL);
	}
	for (unsigned int i = 0; i < m->nr_vcpus; i++)
		while (&m->vcpu[i] != v && !m->vcpu[i].parked)
			pthread_cond_wait(&m->park_cond, &m->park_lock);
	pthread_mutex_unlock(&m->park_lock);
	return 0;
}

void machine_resume_others(struct machine_vcpu *v)
{
	struct machine *m = v->m;

	pthread_mutex_lock(&m->park_lock);
	atomic_store(&m->pauser, NULL);
	pthread_cond_broadcast(&m->park_cond);
	pthread_mutex_unlock(&m->park_lock);
}

void machine_park_quit(struct machine *m)
{
	atomic_store(&m->quit, true);
	pthread_mutex_lock(&m->park_lock);
	pthread_cond_broadcast(&m->park_cond);
	pthread_mutex_unlock(&m->park_lock);
	for (unsigned int i = 0; i < m->nr_vcpus; i++) {
		struct machine_vcpu *v = &m->vcpu[i];

		if (!v->started)
			continue;
		__atomic_store_n(&v->kvm.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(v->thread, MACHINE_KICK_SIGNAL);
	}
}
