/*
 * Which pages of guest RAM were written, by the host kernel's page tables of this process: another
 * witness beside KVM's dirty log, and one that sees the VMM's own writes as well.
 */
#ifndef VMM_OBSERVE_HOST_WRITES_H
#define VMM_OBSERVE_HOST_WRITES_H

#include <stdint.h>
#include "devices/device.h"

struct host_writes;
/** What host_writes_open() opens, while files may still be opened: it is called on the thread of a vCPU,
 * whose sandbox has no names of files. Without it, or a second time, host_writes_open() tries itself. */
void host_writes_prepare(void);
/** Begin to watch. NULL when this kernel cannot: then `why` says so. */
struct host_writes *host_writes_open(const struct guest_ram *ram, char *why, size_t size);
void host_writes_close(struct host_writes *h);
/** "PAGEMAP_SCAN" or "soft-dirty". */
const char *host_writes_method(const struct host_writes *h);
/** Forget all writes so far. 0 or -errno. */
int host_writes_clear(struct host_writes *h);
/** fn for each page written since the last clear, by rising address. 0 or -errno. */
int host_writes_read(struct host_writes *h, void (*fn)(uint64_t gpa, void *arg), void *arg);

#endif
