/*
 * Free page reporting: the host learns of large free blocks, and takes their memory until they are used
 * again. Nothing has to be asked back: whoever allocates a reported page finds zeroes, and the host a fault.
 */
#ifndef MM_REPORTING_H
#define MM_REPORTING_H
#include "lib/types.h"

#define REPORTING_CAPACITY 8u /* blocks of one report */

struct reported_range {
	phys_addr_t start;
	u32 bytes;
};

/** Report n <= REPORTING_CAPACITY ranges to the host and wait for its answer. 0, or -EIO: no
 * more reports. May sleep, allocates nothing. */
typedef int (*reporting_fn)(const struct reported_range *range, u32 n);

/** There is a host that wants reports: start the thread. Once. 0 or -ENOMEM. */
int page_reporting_register(reporting_fn report);
/** Look at all zones once. 0, or what `report` returned. May sleep. */
int page_reporting_round(reporting_fn report);
/** Rounds that are over: each looks at all zones. */
u64 page_reporting_rounds(void);
/** The end of a run: no block is with the host, and none will be. May sleep. */
void page_reporting_freeze(void);
#endif
