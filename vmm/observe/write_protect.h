/* A userfaultfd over guest RAM that may write-protect it: for observers that ask the host which pages were written
 * or accessed. */
#ifndef VMM_OBSERVE_WRITE_PROTECT_H
#define VMM_OBSERVE_WRITE_PROTECT_H

#include <stdint.h>
#include "devices/device.h"

#define WRITE_PROTECT_SHMEM	  (1ull << 12) /* UFFD_FEATURE_WP_HUGETLBFS_SHMEM */
#define WRITE_PROTECT_UNPOPULATED (1ull << 13) /* UFFD_FEATURE_WP_UNPOPULATED */
#define WRITE_PROTECT_ASYNC	  (1ull << 15) /* UFFD_FEATURE_WP_ASYNC, Linux 6.7 */

/** Register all of RAM, with these features. A descriptor, or -errno. */
int write_protect_open(const struct guest_ram *ram, uint64_t features);

/** The same in two steps, for a caller that registers where nothing may be opened (sandbox/sandbox.h): a descriptor,
 * then RAM and features. A negative descriptor is returned as it is; one that fails is closed. */
int write_protect_new(void);
int write_protect_register(int fd, const struct guest_ram *ram, uint64_t features);

#endif
