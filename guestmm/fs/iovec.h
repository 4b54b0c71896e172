/* A vector of buffers in user memory (Linux's struct iovec), and the position of a transfer in it. */
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
	u64 done; /* bytes of iov[at] */
	u64 left; /* bytes of the whole vector */
};

enum iov_side {
	IOV_LOCAL, /* memory of the caller: it must be user space, and MAX_RW_COUNT bytes are the limit */
	IOV_REMOTE /* memory of another process */
};
/** Copy a vector from user memory and check it. 0: end it with iov_put(). -EINVAL, -EFAULT, -ENOMEM: do not. */
int iov_get(struct iov_iter *v, unsigned long user, u64 nr, enum iov_side side);
/** Make a vector of one buffer. It needs no iov_put(). */
void iov_one(struct iov_iter *v, unsigned long buf, u64 len);
void iov_put(struct iov_iter *v);
/** The size of the next contiguous piece, and its address in *addr. 0: the end. */
u64 iov_piece(struct iov_iter *v, unsigned long *addr);
/** Advance by n bytes of the piece. */
void iov_advance(struct iov_iter *v, u64 n);
/** Copy n bytes between the caller's buffers and kernel memory. Returns how many: fewer if the buffers end, or one
 * cannot be accessed. */
size_t iov_copy_from(struct iov_iter *v, void *to, size_t n);
size_t iov_copy_to(struct iov_iter *v, const void *from, size_t n);
#endif
