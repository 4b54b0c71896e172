/*
 * Counters: levels per zone and events per CPU, in the window shared with the host. Writers add in place (zone.h);
 * readers sum them up here. A sum over CPUs or zones need not be a snapshot.
 */
#include "mm/phys/internal.h"

s64 global_stat(enum zone_stat_item item)
{
	s64 sum = 0;

	for (unsigned int i = 0; i < nr_zones; i++)
		sum += zone_stat(zone_table[i], item);
	return sum;
}

u64 sum_vm_event(enum vm_event_item e)
{
	u64 sum = 0;

	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		sum += READ_ONCE(mmvm_shared->event[cpu][e]);
	return sum;
}
