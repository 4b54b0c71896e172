/* A vector of buffers in user memory, and where in it a transfer is: struct iovec of Linux. */
#ifndef FS_IOVEC_H
#define FS_IOVEC_H
#include "lib/types.h"

#define IOV_MAX	     1024u
#define IOV_SMALL    8u
#define MAX_RW_COUNT 0x7ffff000ul

struct iovec {
	u64 base, len;
};

struct iov_iter {
	struct iovec small[IOV_SMALL], *iov;
	u32 nr, at;
	u64 done; /* of iov[at] */
	u64 left; /* bytes, in all */
};

enum iov_side {
	IOV_LOCAL, /* memory of the caller: it must be user space, and MAX_RW_COUNT bytes are the limit */
	IOV_REMOTE /* memory of another process */
};
/** Copy and check a vector. 0, or -EINVAL, -EFAULT, -ENOMEM with nothing to put. */
int iov_get(struct iov_iter *v, unsigned long user, u64 nr, enum iov_side side);
/** One buffer; nothing to put. */
void iov_one(struct iov_iter *v, unsigned long buf, u64 len);
void iov_put(struct iov_iter *v);
/** The next piece: bytes that lie together at *addr, 0 at the end. */
u64 iov_piece(struct iov_iter *v, unsigned long *addr);
/** n bytes of the piece are done. */
void iov_advance(struct iov_iter *v, u64 n);
/** Copy n bytes between the caller's buffers and kernel memory: fewer where a buffer cannot be used, or
 * they end. */
size_t iov_copy_from(struct iov_iter *v, void *to, size_t n);
size_t iov_copy_to(struct iov_iter *v, const void *from, size_t n);
#endif
