/*
 * Where the devices' own threads begin.
 */
#include "devices/device_impl.h"

void (*device_worker_begins)(void);

void *device_worker_main(void *arg)
{
	struct device_worker worker = *(struct device_worker *)arg;

	free(arg);
	if (device_worker_begins)
		device_worker_begins();
	return worker.fn(worker.arg);
}
