/*
 * The table of observers, in the order in which they are called and stand in the result. Samples are
 * first: what others show of the moment is in the newest sample. The console is last: its live line
 * shows that sample.
 */
#include "observe/observers.h"

/* clang-format off */
#define OBSERVERS(X) \
	X(sampler) \
	X(status) \
	X(exit_places) \
	X(fragmentation) \
	X(access) \
	X(stacks) \
	X(trace) \
	X(dirty_exact) \
	X(audit) \
	X(damage) \
	X(console)
/* clang-format on */

#define DECLARE(name) extern const struct observer name##_observer;
#define ROW(name)     &name##_observer,
OBSERVERS(DECLARE)
static const struct observer *const all[] = {OBSERVERS(ROW)};
#define NR_ALL (sizeof(all) / sizeof(all[0]))

const struct observer *observer_at(unsigned int i)
{
	return i < NR_ALL ? all[i] : NULL;
}

int observers_attach_all(struct observers *o, struct mmvm_error *err)
{
	for (unsigned int i = 0; i < NR_ALL; i++)
		if (!observers_attach(o, all[i], NULL))
			return mmvm_error(err, MMVM_EXIT_HOST, "no memory for observers");
	return 0;
}

unsigned int observers_option_tables(struct option_set *out, unsigned int max)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < NR_ALL && nr < max; i++)
		if (all[i]->options)
			out[nr++] = (struct option_set){.option = all[i]->options};
	return nr;
}

unsigned int observers_option_sets(const struct observers *o, struct option_set *out,
				   unsigned int max)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < o->nr && nr < max; i++)
		if (o->slot[i].ops->options)
			out[nr++] = (struct option_set){.option = o->slot[i].ops->options,
							.base = o->slot[i].self};
	return nr;
}
