/*
 * User memory of the host build: any memory. A test may declare a range that can be touched only where
 * faults are resolved, like a page of a program that is not in memory, or not at all.
 */
#include "arch/uaccess.h"
#include "host.h"
#include "lib/string.h"

struct host_user_fault host_user_fault;

/* Bytes of [addr, addr + n) that can be had; brings in what can be brought in. */
static size_t reachable(unsigned long addr, size_t n)
{
	struct host_user_fault *f = &host_user_fault;

	if (f->end <= addr || addr + n <= f->start)
		return n;
	if (f->can_resolve && may_sleep()) {
		f->nr_resolved++;
		*f = (struct host_user_fault){.nr_resolved = f->nr_resolved,
					      .nr_refused = f->nr_refused};
		return n;
	}
	f->nr_refused++;
	return addr < f->start ? f->start - addr : 0;
}

size_t copy_to_user(unsigned long to, const void *from, size_t n)
{
	size_t can = reachable(to, n);

	memcpy((void *)to, from, can);
	return n - can;
}

size_t copy_from_user(void *to, unsigned long from, size_t n)
{
	size_t can = reachable(from, n);

	memcpy(to, (const void *)from, can);
	return n - can;
}

size_t clear_user(unsigned long to, size_t n)
{
	size_t can = reachable(to, n);

	memset((void *)to, 0, can);
	return n - can;
}
