/*
 * The list of observers: each call is passed to the observers that have the hook, in the order of the list.
 */
#include "machine/observer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "machine/machine.h"

#define FOR_EACH_HOOK(o, i, hook)                         \
	for (unsigned int i = 0; (o) && i < (o)->nr; i++) \
		if ((o)->slot[i].ops->hook)

void *observers_attach(struct observers *o, const struct observer *ops, void *self)
{
	bool allocated = !self && ops->size;

	if (o->nr == OBSERVERS_MAX)
		return NULL;
	if (allocated)
		self = calloc(1, ops->size);
	if (!self)
		return NULL;
	o->slot[o->nr].ops = ops;
	o->slot[o->nr].self = self;
	o->slot[o->nr++].allocated = allocated;
	return self;
}

static void close_slot(struct observers *o, unsigned int i)
{
	if (o->slot[i].ops->close)
		o->slot[i].ops->close(o->slot[i].self);
	if (o->slot[i].allocated)
		free(o->slot[i].self);
}

void observers_drop_unwanted(struct observers *o, const struct machine_config *config)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < o->nr; i++) {
		const struct observer *ops = o->slot[i].ops;

		if (ops->wanted && !ops->wanted(o->slot[i].self, &o->run, config))
			close_slot(o, i);
		else
			o->slot[kept++] = o->slot[i];
	}
	o->nr = kept;
}

const struct observer *observers_need_samples(const struct observers *o,
					      const struct machine_config *config)
{
	for (unsigned int i = 0; i < o->nr; i++) {
		const struct observer *ops = o->slot[i].ops;

		if (ops->needs_samples &&
		    (!ops->wanted || ops->wanted(o->slot[i].self, &o->run, config)))
			return ops;
	}
	return NULL;
}

void observers_want_tick(struct machine_config *config, unsigned int ms)
{
	if (!config->tick_ms || config->tick_ms > ms)
		config->tick_ms = ms;
}

int observers_open(struct observers *o, struct machine_config *config, struct mmvm_error *err)
{
	if (!o)
		return 0;
	o->run.begin_ns = machine_now_ns();
	o->hooks = 0;
	o->since_ms = 0;
	for (unsigned int i = 0; i < o->nr; i++) {
		const struct observer *ops = o->slot[i].ops;

		o->hooks |= (ops->tick ? OBSERVER_HAS_TICK : 0) |
			    (ops->exit_event ? OBSERVER_HAS_EXIT : 0) |
			    (ops->device_event ? OBSERVER_HAS_DEVICE : 0) |
			    (ops->vcpu_sample ? OBSERVER_HAS_SAMPLE : 0) |
			    (ops->step ? OBSERVER_HAS_STEP : 0);
	}
	FOR_EACH_HOOK(o, i, open)
	if (o->slot[i].ops->open(o->slot[i].self, &o->run, config, err))
		return -1;
	return 0;
}

int observers_start(struct observers *o, struct machine *m, struct mmvm_error *err)
{
	FOR_EACH_HOOK(o, i, start)
	if (o->slot[i].ops->start(o->slot[i].self, m, err))
		return -1;
	return 0;
}

void observers_tick(struct observers *o, struct machine *m, unsigned int tick_ms)
{
	bool sample;

	if (!o)
		return;
	o->since_ms += tick_ms;
	sample = o->run.sample_ms && o->since_ms >= o->run.sample_ms;
	if (sample)
		o->since_ms = 0;
	FOR_EACH_HOOK(o, i, tick)
	if (sample || o->slot[i].ops->every_tick)
		o->slot[i].ops->tick(o->slot[i].self, m);
}

void observers_exit_event(struct observers *o, const struct machine_exit_event *e)
{
	FOR_EACH_HOOK(o, i, exit_event) o->slot[i].ops->exit_event(o->slot[i].self, e);
}

void observers_device_event(struct observers *o, const struct device_event *e)
{
	FOR_EACH_HOOK(o, i, device_event) o->slot[i].ops->device_event(o->slot[i].self, e);
}

void observers_ring_full(struct observers *o, unsigned int cpu)
{
	FOR_EACH_HOOK(o, i, ring_full) o->slot[i].ops->ring_full(o->slot[i].self, cpu);
}

void observers_vcpu_start(struct observers *o, struct machine *m, unsigned int cpu)
{
	FOR_EACH_HOOK(o, i, vcpu_start) o->slot[i].ops->vcpu_start(o->slot[i].self, m, cpu);
}

void observers_vcpu_sample(struct observers *o, struct machine *m, const struct machine_sample *s)
{
	FOR_EACH_HOOK(o, i, vcpu_sample) o->slot[i].ops->vcpu_sample(o->slot[i].self, m, s);
}

int observers_request(struct observers *o, struct machine *m, const struct machine_request *q)
{
	int answer = -ENOSYS;

	FOR_EACH_HOOK(o, i, request)
	{
		answer = o->slot[i].ops->request(o->slot[i].self, m, q);
		if (answer != -ENOSYS)
			break;
	}
	return answer;
}

void observers_record(struct observers *o, struct machine *m, const struct mmvm_record *rec)
{
	FOR_EACH_HOOK(o, i, record) o->slot[i].ops->record(o->slot[i].self, m, rec);
}

void observers_step(struct observers *o, struct machine *m, const struct machine_step *s)
{
	FOR_EACH_HOOK(o, i, step) o->slot[i].ops->step(o->slot[i].self, m, s);
}

int observers_stop(struct observers *o, struct machine *m, const struct machine_outcome *out)
{
	int status = 0;

	FOR_EACH_HOOK(o, i, stop)
	{
		int rc = o->slot[i].ops->stop(o->slot[i].self, m, out);

		if (!status)
			status = rc;
	}
	return status;
}

void observers_result(struct observers *o, struct machine *m, struct run_result *r)
{
	for (unsigned int i = 0; o && i < o->nr; i++) {
		if (o->slot[i].ops->result)
			o->slot[i].ops->result(o->slot[i].self, m, r);
		if (o->slot[i].ops->cost)
			o->slot[i].ops->cost(o->slot[i].self, m, r);
	}
}

void observers_close(struct observers *o)
{
	for (unsigned int i = 0; o && i < o->nr; i++)
		close_slot(o, i);
	if (o)
		o->nr = 0;
}
