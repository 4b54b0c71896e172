/*
 * The memory balloon: pages that the guest has given to the host. Its driver (drivers/virtio_balloon.c)
 * knows the device; here is whose pages they are.
 *
 * Locks: `work` (balloon.c) is held during the request to the host and may be taken with oom_lock held. Order:
 * oom_lock > work > page lock (trylock only) > the list's lock. With a page lock held (migration) `work` is
 * only tried.
 */
#ifndef MM_BALLOON_H
#define MM_BALLOON_H
#include "lib/list.h"
#include "lib/types.h"

#define BALLOON_BATCH 256u /* pages of one request, as Linux */

enum balloon_way { BALLOON_INFLATED, BALLOON_DEFLATED };

/** What the driver does. */
struct balloon_host {
	/** Hand these frames to the host, or take them back; returns when the host has answered. n <=
	 * BALLOON_BATCH. 0, or -EIO: the device does not work any more. May sleep, allocates nothing. */
	int (*tell)(enum balloon_way way, const u32 *pfn, u32 n);
	bool deflate_on_oom; /* pages are taken back before somebody is killed */
};

/** There is one balloon, and this is its host. Once. */
void balloon_register(const struct balloon_host *host);
/** Give up to min(nr, BALLOON_BATCH) pages to the host. Returns how many were given. May sleep and
 * reclaim, kills nobody. */
u32 balloon_inflate(u64 nr);
/** Take up to min(nr, BALLOON_BATCH) pages back. Returns how many. May sleep. */
u32 balloon_deflate(u64 nr);
/** Nothing is left to reclaim. Returns the pages that were taken back, 0: look for somebody to kill. */
u32 balloon_oom(void);
/** Pages that the host has. */
u64 balloon_pages(void);
/** Nobody is telling the host anything. A look without a lock. */
bool balloon_is_quiet(void);
/** The end of a run: from now on the balloon stays as it is. May sleep. */
void balloon_freeze(void);

struct mmvm_audit_balloon;
void balloon_audit_layout(struct mmvm_audit_balloon *l);
#endif
