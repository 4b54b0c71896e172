/*
 * Mistakes of the guest that its devices noted: requests and rings of a wrong form, accesses that no driver makes.
 * All are counted in the result. They are said at most once a second: a hostile guest makes millions.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "observe/observers.h"

#define SAY_NS 1000000000ull

struct damage {
	uint64_t said_ns; /* when something was said last; 0: never */
	uint64_t said;	  /* mistakes found at that time */
};

/** All of them; the device with most of them in `most`. */
static uint64_t count(const struct machine *m, const char **most)
{
	uint64_t n, sum = 0, max = 0;
	const char *name;

	for (unsigned int i = 0; machine_device_errors(m, i, &name, &n); i++) {
		if (n > max) {
			max = n;
			*most = name;
		}
		sum += n;
	}
	return sum;
}

static void say(struct damage *d, const struct machine *m, uint64_t now)
{
	const char *most = "";
	uint64_t n = count(m, &most);

	if (n == d->said || (d->said_ns && now - d->said_ns < SAY_NS))
		return;
	fprintf(stderr,
		"mmvm: the guest broke the rules of its devices %" PRIu64 " times, most with %s\n",
		n, most);
	d->said = n;
	d->said_ns = now;
}

static void on_tick(void *self, struct machine *m)
{
	say(self, m, machine_now_ns());
}

static int on_stop(void *self, struct machine *m, const struct machine_outcome *out)
{
	struct damage *d = self;

	d->said_ns = 0;
	say(d, m, machine_now_ns());
	return 0;
}

static void on_result(void *self, struct machine *m, struct run_result *r)
{
	const char *most;

	r->guest_errors = count(m, &most);
}

const struct observer damage_observer = {
	.name = "damage",
	.what = "mistakes of the guest that its devices noted",
	.size = sizeof(struct damage),
	.tick = on_tick,
	.stop = on_stop,
	.result = on_result,
};
