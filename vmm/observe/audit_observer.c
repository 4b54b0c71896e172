/*
 * The audit as an observer, the same for mmvm run, test, bench and profile.
 */
#include "observe/audit_observer.h"

#include <errno.h>
#include <stdlib.h>

static int on_open(void *self, struct observation *run, struct machine_config *config,
		   struct mmvm_error *err)
{
	((struct audit_watch *)self)->symbols = run->symbols;
	return 0;
}

/** Findings are said at most once a second. */
static bool may_say(struct audit_watch *w)
{
	uint64_t now = machine_now_ns();

	if (w->said_ns && now - w->said_ns < 1000000000) {
		w->unsaid++;
		return false;
	}
	w->said_ns = now;
	return true;
}

static int on_request(void *self, struct machine *m, const struct machine_request *q)
{
	struct audit_watch *w = self;
	struct audit_result *found;
	int n;

	if (q->kind != REQUEST_AUDIT)
		return -ENOSYS;
	found = calloc(1, sizeof(*found));
	if (!found)
		return -ENOMEM;
	n = audit_machine(m, w->symbols, q->cr3, found);
	if (n >= 0) {
		w->audits++;
		w->findings += (uint64_t)n;
		w->ns += found->ns;
		w->has_memcg = found->has_memcg && found->nr_memcgs;
		w->memcg_groups = found->nr_memcgs;
		w->memcg_charged = found->memcg_charged;
		w->memcg_uncharged = found->memcg_uncharged;
		w->memcg_free = found->memcg_free;
	} else {
		w->error = n;
	}
	if (w->taken)
		w->taken(w->arg, n, found);
	else if (n > 0 && may_say(w))
		audit_print(stderr, w->prefix ? w->prefix : "mmvm: ", found, AUDIT_BRIEF);
	free(found);
	return n;
}

static int on_stop(void *self, struct machine *m, const struct machine_outcome *out)
{
	struct audit_watch *w = self;

	w->end = out->kind;
	if (w->unsaid)
		fprintf(stderr,
			"mmvm: audit: findings of %llu more audits were counted, not said\n",
			(unsigned long long)w->unsaid);
	return 0;
}

const char *audit_missing(const struct audit_watch *w, bool linux_guest)
{
	if (w->audits)
		return NULL;
	if (linux_guest)
		return "a Linux guest's memory manager is not known to mmvm";
	if (w->error == -ENOSYS)
		return "this kernel has no audit root";
	if (w->error)
		return "it could not be made";
	switch (w->end) {
	case OUTCOME_EXITED:
		return "the guest did not ask for one";
	case OUTCOME_CRASHED:
		return "the guest died, its memory is not at rest";
	default:
		return "the guest was stopped, its memory is not at rest";
	}
}

static void on_result(void *self, struct machine *m, struct run_result *r)
{
	const struct audit_watch *w = self;
	const char *why = audit_missing(w, machine_runs_linux(m));

	r->has_audit = !why;
	r->audit_findings = w->findings;
	r->has_memcg = w->has_memcg;
	r->memcg_groups = w->memcg_groups;
	r->memcg_charged = w->memcg_charged;
	r->memcg_uncharged = w->memcg_uncharged;
	r->memcg_free = w->memcg_free;
	snprintf(r->audit_missing, sizeof(r->audit_missing), "%s", why ? why : "");
}

static void on_cost(void *self, struct machine *m, struct run_result *r)
{
	const struct audit_watch *w = self;

	if (w->audits)
		run_result_add_observer(
			r, &(struct run_observer){.name = "audit",
						  .times = w->audits,
						  .ns = w->ns,
						  .exits = w->audits,
						  .has_stall = true,
						  .stall_ns = w->ns,
						  .note = "all of the guest's memory was read"});
}

const struct observer audit_observer = {
	.name = "audit",
	.what = "the guest's memory manager read from outside, and everything added up",
	.size = sizeof(struct audit_watch),
	.open = on_open,
	.request = on_request,
	.stop = on_stop,
	.result = on_result,
	.cost = on_cost,
};
