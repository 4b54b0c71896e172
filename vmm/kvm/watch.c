/*
 * Noticing that a vCPU makes no progress, from the thread that runs it: see kvm.h.
 *
 * A halted vCPU waits in KVM_RUN for an interrupt that may never come. A timer's signal brings the
 * thread out of it; the registers then say whether anything was executed since the last time.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "kvm/kvm.h"

#define WATCH_SIGNAL (SIGRTMIN + 3)

static void interrupted(int sig) {}

int kvm_watch_start(struct kvm_watch *w, unsigned int limit)
{
	const struct itimerspec each_second = {.it_interval = {.tv_sec = 1},
					       .it_value = {.tv_sec = 1}};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = WATCH_SIGNAL};
	struct sigaction sa = {.sa_handler = interrupted};

	memset(w, 0, sizeof(*w));
	w->limit = limit;
	event._sigev_un._tid = gettid();
	sigemptyset(&sa.sa_mask);
	if (sigaction(WATCH_SIGNAL, &sa, NULL) || timer_create(CLOCK_MONOTONIC, &event, &w->timer))
		return -errno;
	w->on = true;
	return timer_settime(w->timer, 0, &each_second, NULL) ? -errno : 0;
}

int kvm_watch_interrupted(struct kvm_watch *w, const struct kvm_vcpu *vcpu)
{
	struct kvm_regs now;
	int rc = kvm_vcpu_get_regs(vcpu, &now);

	if (rc)
		return rc;
	w->still = memcmp(&now, &w->last, sizeof(now)) ? 0 : w->still + 1;
	w->last = now;
	return w->still < w->limit ? 0 : -ETIMEDOUT;
}

void kvm_watch_stop(struct kvm_watch *w)
{
	if (w->on)
		timer_delete(w->timer);
	w->on = false;
}
