/*
 * Pinning: each vCPU's thread on one processor of the host.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include "machine/internal.h"

int machine_check_pin(const struct machine_config *c, struct mmvm_error *err)
{
	cpu_set_t may;

	if (!c->nr_pin)
		return 0;
	if (c->nr_pin != c->cpus)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "--pin names %u processors of the host for %u CPUs", c->nr_pin,
				  c->cpus);
	if (sched_getaffinity(0, sizeof(may), &may))
		return mmvm_error(err, MMVM_EXIT_HOST, "sched_getaffinity: %s", strerror(errno));
	for (unsigned int i = 0; i < c->nr_pin; i++)
		if (c->pin[i] >= CPU_SETSIZE || !CPU_ISSET(c->pin[i], &may))
			return mmvm_error(
				err, MMVM_EXIT_USAGE,
				"--pin %u: this process may not run on processor %u of the "
				"host",
				c->pin[i], c->pin[i]);
	return 0;
}

int machine_pin_thread(const struct machine_vcpu *v)
{
	const struct machine_config *c = &v->m->config;
	cpu_set_t one;

	if (!c->nr_pin)
		return 0;
	CPU_ZERO(&one);
	CPU_SET(c->pin[v->id], &one);
	return -pthread_setaffinity_np(v->thread, sizeof(one), &one);
}
