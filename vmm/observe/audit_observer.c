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
	}
	if (w->taken)
		w->taken(w->arg, n, found);
	else if (n > 0)
		audit_print(stderr, w->prefix ? w->prefix : "mmvm: audit: ", found, false);
	free(found);
	return n;
}

static void on_result(void *self, struct machine *m, struct run_result *r)
{
	const struct audit_watch *w = self;

	r->has_audit = w->audits > 0;
	r->audit_findings = w->findings;
}

static void on_cost(void *self, struct machine *m, struct run_result *r)
{
	const struct audit_watch *w = self;

	if (w->audits)
		run_result_add_observer(r, &(struct run_observer){.name = "audit",
								  .times = w->audits,
								  .ns = w->ns,
								  .exits = w->audits,
								  .has_stall = true,
								  .stall_ns = w->ns,
								  .note = "as the guest asked"});
}

const struct observer audit_observer = {
	.name = "audit",
	.what = "the guest's memory manager read from outside, and everything added up",
	.size = sizeof(struct audit_watch),
	.open = on_open,
	.request = on_request,
	.result = on_result,
	.cost = on_cost,
};
