/* Vectors of user buffers: readv(2)'s, sendmsg(2)'s, process_vm_readv(2)'s. */
#include "fs/iovec.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/virt/mm.h"

void iov_put(struct iov_iter *v)
{
	if (v->iov != v->small)
		vfree(v->iov);
}

static int check(struct iov_iter *v, enum iov_side side)
{
	for (u32 i = 0; i < v->nr; i++) {
		struct iovec *iov = &v->iov[i];

		if ((s64)iov->len < 0)
			return -EINVAL;
		if (side == IOV_LOCAL &&
		    (iov->base > TASK_SIZE || iov->len > TASK_SIZE - iov->base))
			return -EFAULT;
		if (side == IOV_LOCAL)
			iov->len = min(iov->len, MAX_RW_COUNT - v->left);
		v->left += iov->len;
	}
	return 0;
}

int iov_get(struct iov_iter *v, unsigned long user, u64 nr, enum iov_side side)
{
	int err = 0;

	v->iov = v->small;
	v->nr = (u32)nr;
	v->at = 0;
	v->done = v->left = 0;
	if (nr > IOV_MAX)
		return -EINVAL;
	if (nr > IOV_SMALL) {
		v->iov = vmalloc(nr * sizeof(struct iovec));
		if (!v->iov)
			return -ENOMEM;
	}
	if (copy_from_user(v->iov, user, nr * sizeof(struct iovec)))
		err = -EFAULT;
	if (!err)
		err = check(v, side);
	if (err)
		iov_put(v);
	return err;
}

void iov_one(struct iov_iter *v, unsigned long buf, u64 len)
{
	v->iov = v->small;
	v->small[0] = (struct iovec){buf, len};
	v->nr = 1;
	v->at = 0;
	v->done = 0;
	v->left = len;
}

u64 iov_piece(struct iov_iter *v, unsigned long *addr)
{
	while (v->at < v->nr && v->done == v->iov[v->at].len) {
		v->at++;
		v->done = 0;
	}
	if (v->at == v->nr)
		return 0;
	*addr = v->iov[v->at].base + v->done;
	return v->iov[v->at].len - v->done;
}

void iov_advance(struct iov_iter *v, u64 n)
{
	v->done += n;
	v->left -= n;
}

size_t iov_copy_from(struct iov_iter *v, void *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		unsigned long addr = 0;
		size_t part = min(iov_piece(v, &addr), n - done), bad;

		if (!part)
			break;
		bad = copy_from_user((char *)to + done, addr, part);
		iov_advance(v, part - bad);
		done += part - bad;
		if (bad)
			break;
	}
	return done;
}

size_t iov_copy_to(struct iov_iter *v, const void *from, size_t n)
{
	size_t done = 0;

	while (done < n) {
		unsigned long addr = 0;
		size_t part = min(iov_piece(v, &addr), n - done), bad;

		if (!part)
			break;
		bad = copy_to_user(addr, (const char *)from + done, part);
		iov_advance(v, part - bad);
		done += part - bad;
		if (bad)
			break;
	}
	return done;
}
