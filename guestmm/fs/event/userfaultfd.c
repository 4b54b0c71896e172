/*
 * userfaultfd(2) as a file: read(2) tells of faults, ioctl(2) registers areas and answers. The work is
 * mm/virt/userfault.c's. ioctl_userfaultfd(2).
 *
 * Features: UFFD_FEATURE_PAGEFAULT_FLAG_WP (anonymous memory), UFFD_FEATURE_MISSING_SHMEM, UFFD_FEATURE_MINOR_SHMEM,
 * UFFD_FEATURE_SIGBUS. Write protection of shared memory, huge pages and the events of a non-cooperative monitor are not there, and asking for them is -EINVAL,
 * as on a Linux without them.
 */
#include "fs/poll.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/syscall.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"
#include "mm/virt/userfault.h"

#define UFFD_USER_MODE_ONLY	   1u
#define UFFD_API		   0xaaull
#define UFFD_FEATURE_FLAG_WP	   (1ull << 0)
#define UFFD_FEATURE_MISSING_SHMEM (1ull << 5)
#define UFFD_FEATURE_SIGBUS	   (1ull << 7)
#define UFFD_FEATURE_MINOR_SHMEM   (1ull << 10)
#define UFFD_FEATURES                                                              \
	(UFFD_FEATURE_FLAG_WP | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_SIGBUS | \
	 UFFD_FEATURE_MINOR_SHMEM)
#define UFFD_EVENT_PAGEFAULT 0x12
/* Numbers of ioctls, and the bits by which they are told of. */
#define NR_REGISTER	      0x00
#define NR_UNREGISTER	      0x01
#define NR_WAKE		      0x02
#define NR_COPY		      0x03
#define NR_ZEROPAGE	      0x04
#define NR_WRITEPROTECT	      0x06
#define NR_CONTINUE	      0x07
#define NR_API		      0x3f
#define UFFDIO(nr, dir, size) ((dir) << 30 | (u32)(size) << 16 | 0xaau << 8 | (nr))
#define READS		      2u /* _IOR, _IOWR */
#define BOTH		      3u
#define UFFDIO_API	      UFFDIO(NR_API, BOTH, sizeof(struct uffdio_api))
#define UFFDIO_REGISTER	      UFFDIO(NR_REGISTER, BOTH, sizeof(struct uffdio_register))
#define UFFDIO_UNREGISTER     UFFDIO(NR_UNREGISTER, READS, sizeof(struct uffdio_range))
#define UFFDIO_WAKE	      UFFDIO(NR_WAKE, READS, sizeof(struct uffdio_range))
#define UFFDIO_COPY	      UFFDIO(NR_COPY, BOTH, sizeof(struct uffdio_copy))
#define UFFDIO_ZEROPAGE	      UFFDIO(NR_ZEROPAGE, BOTH, sizeof(struct uffdio_zeropage))
#define UFFDIO_CONTINUE	      UFFDIO(NR_CONTINUE, BOTH, sizeof(struct uffdio_zeropage))
#define UFFDIO_WRITEPROTECT   UFFDIO(NR_WRITEPROTECT, BOTH, sizeof(struct uffdio_writeprotect))
#define MODE_DONTWAKE	      1ull /* of COPY, ZEROPAGE, CONTINUE */
#define COPY_MODE_WP	      2ull
#define WP_MODE_WP	      1ull /* of WRITEPROTECT */
#define WP_MODE_DONTWAKE      2ull

struct uffdio_api {
	u64 api, features, ioctls;
};
struct uffdio_range {
	u64 start, len;
};
struct uffdio_register {
	struct uffdio_range range;
	u64 mode, ioctls;
};
struct uffdio_copy {
	u64 dst, src, len, mode;
	s64 copy;
};
/** Of UFFDIO_ZEROPAGE and UFFDIO_CONTINUE. */
struct uffdio_zeropage {
	struct uffdio_range range;
	u64 mode;
	s64 done;
};
struct uffdio_writeprotect {
	struct uffdio_range range;
	u64 mode;
};
struct uffd_msg {
	u8 event, reserved[7];
	u64 flags, address, feature;
};
_Static_assert(sizeof(struct uffd_msg) == 32, "Linux's ABI");

struct userfaultfd {
	struct uffd_ctx *ctx;
	bool ready; /* A: UFFDIO_API was successful */
	u64 features;
};

/* ---- reading ----------------------------------------------------------------------------------- */

static long uffd_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct userfaultfd *u = f->private;
	size_t done = 0;

	if (!READ_ONCE(u->ready))
		return -EINVAL;
	while (len - done >= sizeof(struct uffd_msg)) {
		struct uffd_msg msg = {.event = UFFD_EVENT_PAGEFAULT};
		struct uffd_fault fault;
		long err;

		if (!uffd_take(u->ctx, &fault)) {
			if (done)
				break;
			if (f->flags & O_NONBLOCK)
				return -EAGAIN;
			err = wait_event_interruptible(uffd_readers(u->ctx),
						       uffd_has_pending(u->ctx));
			if (err)
				return err;
			continue;
		}
		msg.flags = fault.flags;
		msg.address = fault.addr;
		if (copy_to_user(buf + done, &msg, sizeof(msg)))
			return done ? (long)done : -EFAULT;
		done += sizeof(msg);
	}
	return done ? (long)done : -EINVAL;
}

static u32 uffd_poll(struct file *f, struct wait_queue **wq)
{
	struct userfaultfd *u = f->private;

	if (wq)
		*wq = uffd_readers(u->ctx);
	/* As Linux: one that blocks is not for poll(2). */
	if (!READ_ONCE(u->ready) || !(f->flags & O_NONBLOCK))
		return POLLERR;
	return uffd_has_pending(u->ctx) ? POLLIN : 0;
}

/* ---- commands ---------------------------------------------------------------------------------- */

static long do_api(struct userfaultfd *u, unsigned long arg)
{
	static const struct uffdio_api zero;
	struct uffdio_api api;

	if (copy_from_user(&api, arg, sizeof(api)))
		return -EFAULT;
	if (READ_ONCE(u->ready) || api.api != UFFD_API || api.features & ~UFFD_FEATURES)
		return copy_to_user(arg, &zero, sizeof(zero)) ? -EFAULT : -EINVAL;
	if (api.features & UFFD_FEATURE_SIGBUS)
		uffd_set_sigbus(u->ctx);
	u->features = api.features;
	api.features = UFFD_FEATURES;
	api.ioctls = 1ull << NR_REGISTER | 1ull << NR_UNREGISTER | 1ull << NR_API;
	if (copy_to_user(arg, &api, sizeof(api)))
		return -EFAULT;
	WRITE_ONCE(u->ready, true);
	return 0;
}

static long check_range(u64 start, u64 len)
{
	if ((start | len) & ~PAGE_MASK || !len || start < MMAP_MIN_ADDR || start >= TASK_SIZE ||
	    len > TASK_SIZE - start)
		return -EINVAL;
	return 0;
}

static long do_register(struct userfaultfd *u, unsigned long arg)
{
	struct uffdio_register r;
	u64 ioctls = 1ull << NR_WAKE | 1ull << NR_COPY | 1ull << NR_ZEROPAGE;
	long err;

	if (copy_from_user(&r, arg, sizeof(r) - sizeof(r.ioctls)))
		return -EFAULT;
	if (!r.mode || r.mode & ~(u64)(UFFD_MODE_MISSING | UFFD_MODE_WP | UFFD_MODE_MINOR))
		return -EINVAL;
	err = check_range(r.range.start, r.range.len);
	if (!err)
		err = uffd_register(u->ctx, r.range.start, r.range.start + r.range.len, r.mode);
	if (err)
		return err;
	if (r.mode & UFFD_MODE_WP)
		ioctls |= 1ull << NR_WRITEPROTECT;
	if (r.mode & UFFD_MODE_MINOR)
		ioctls |= 1ull << NR_CONTINUE;
	return copy_to_user(arg + offsetof(struct uffdio_register, ioctls), &ioctls, sizeof(ioctls))
		       ? -EFAULT
		       : 0;
}

static long do_range(struct userfaultfd *u, unsigned long arg, bool wake)
{
	struct uffdio_range r;
	long err;

	if (copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	err = check_range(r.start, r.len);
	if (err)
		return err;
	if (!wake)
		return uffd_unregister(u->ctx, r.start, r.start + r.len);
	uffd_wake(u->ctx, r.start, r.start + r.len);
	return 0;
}

/* What an answer of several pages gives: the bytes that were answered, or the error of the first. */
static long finish(struct userfaultfd *u, u64 start, u64 len, u64 done, long err, bool wake,
		   unsigned long result_at)
{
	s64 result = done ? (s64)done : err;

	if (copy_to_user(result_at, &result, sizeof(result)))
		return -EFAULT;
	if (!done)
		return err;
	if (wake)
		uffd_wake(u->ctx, start, start + done);
	return done == len ? 0 : -EAGAIN;
}

static long do_copy(struct userfaultfd *u, unsigned long arg)
{
	struct uffdio_copy c;
	void *page;
	u64 done = 0;
	long err;

	if (copy_from_user(&c, arg, sizeof(c) - sizeof(c.copy)))
		return -EFAULT;
	err = check_range(c.dst, c.len);
	if (!err && (c.src + c.len <= c.src || c.mode & ~(MODE_DONTWAKE | COPY_MODE_WP)))
		err = -EINVAL;
	if (err)
		return err;
	page = (void *)__get_free_pages(GFP_KERNEL, 0);
	if (!page)
		return -ENOMEM;
	while (!err && done < c.len) {
		/* First whether it may be answered: the source may have to be waited for. */
		err = uffd_may_fill(u->ctx, c.dst + done, c.dst + c.len);
		if (!err && copy_from_user(page, c.src + done, PAGE_SIZE))
			err = -EFAULT;
		if (!err)
			err = uffd_fill(u->ctx, c.dst + done, c.dst + c.len, page,
					c.mode & COPY_MODE_WP ? UFFD_FILL_WP : UFFD_FILL);
		if (!err)
			done += PAGE_SIZE;
		if (task_interrupted() && done < c.len && !err)
			err = -EINTR;
		cond_resched();
	}
	free_pages((unsigned long)page, 0);
	return finish(u, c.dst, c.len, done, err, !(c.mode & MODE_DONTWAKE),
		      arg + offsetof(struct uffdio_copy, copy));
}

/* UFFDIO_ZEROPAGE and UFFDIO_CONTINUE. */
static long do_fill(struct userfaultfd *u, unsigned long arg, bool minor)
{
	struct uffdio_zeropage z;
	u64 done = 0;
	long err;

	if (copy_from_user(&z, arg, sizeof(z) - sizeof(z.done)))
		return -EFAULT;
	err = check_range(z.range.start, z.range.len);
	if (!err && z.mode & ~MODE_DONTWAKE)
		err = -EINVAL;
	if (err)
		return err;
	while (!err && done < z.range.len) {
		u64 at = z.range.start + done, end = z.range.start + z.range.len;

		err = minor ? uffd_continue(u->ctx, at, end)
			    : uffd_fill(u->ctx, at, end, NULL, UFFD_FILL);
		if (!err)
			done += PAGE_SIZE;
		cond_resched();
	}
	return finish(u, z.range.start, z.range.len, done, err, !(z.mode & MODE_DONTWAKE),
		      arg + offsetof(struct uffdio_zeropage, done));
}

static long do_writeprotect(struct userfaultfd *u, unsigned long arg)
{
	struct uffdio_writeprotect w;
	long err;

	if (copy_from_user(&w, arg, sizeof(w)))
		return -EFAULT;
	err = check_range(w.range.start, w.range.len);
	if (err)
		return err;
	/* Who is to be asked does not go on. */
	if (w.mode & ~(WP_MODE_WP | WP_MODE_DONTWAKE) || w.mode == (WP_MODE_WP | WP_MODE_DONTWAKE))
		return -EINVAL;
	err = uffd_writeprotect(u->ctx, w.range.start, w.range.start + w.range.len,
				w.mode & WP_MODE_WP);
	if (!err && !w.mode)
		uffd_wake(u->ctx, w.range.start, w.range.start + w.range.len);
	return err;
}

static long uffd_ioctl(struct file *f, unsigned int cmd, unsigned long arg)
{
	struct userfaultfd *u = f->private;

	if (cmd != UFFDIO_API && !READ_ONCE(u->ready))
		return -EINVAL;
	switch (cmd) {
	case UFFDIO_API:
		return do_api(u, arg);
	case UFFDIO_REGISTER:
		return do_register(u, arg);
	case UFFDIO_UNREGISTER:
		return do_range(u, arg, false);
	case UFFDIO_WAKE:
		return do_range(u, arg, true);
	case UFFDIO_COPY:
		return do_copy(u, arg);
	case UFFDIO_ZEROPAGE:
		return do_fill(u, arg, false);
	case UFFDIO_CONTINUE:
		return do_fill(u, arg, true);
	case UFFDIO_WRITEPROTECT:
		return do_writeprotect(u, arg);
	}
	return -EINVAL;
}

static void uffd_show(struct report *r, struct file *f)
{
	struct userfaultfd *u = f->private;
	u64 pending, total;

	uffd_count(u->ctx, &pending, &total);
	report_printf(
		r, "pending:\t%lu\ntotal:\t%lu\nAPI:\t%lx:%x:%lx\n", (unsigned long)pending,
		(unsigned long)total, (unsigned long)UFFD_API, (u32)u->features,
		(unsigned long)(1ull << NR_REGISTER | 1ull << NR_UNREGISTER | 1ull << NR_API));
}

static void uffd_close(struct file *f)
{
	struct userfaultfd *u = f->private;

	uffd_release(u->ctx);
	kfree(u);
}

static const struct file_ops uffd_ops = {
	.read = uffd_read,
	.llseek = noop_llseek,
	.ioctl = uffd_ioctl,
	.poll = uffd_poll,
	.show_fdinfo = uffd_show,
	.release = uffd_close,
};

long sys_userfaultfd(struct pt_regs *r)
{
	u32 flags = r->rdi;
	struct userfaultfd *u;
	struct file *f;
	long fd;

	if (!(flags & UFFD_USER_MODE_ONLY) && !READ_ONCE(sysctl_unprivileged_userfaultfd) &&
	    !capable(CAP_SYS_PTRACE))
		return -EPERM;
	if (flags & ~(UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	u = kzalloc(sizeof(*u), GFP_KERNEL_ACCOUNT);
	if (!u)
		return -ENOMEM;
	u->ctx = uffd_create(current->mm, flags & UFFD_USER_MODE_ONLY);
	if (!u->ctx) {
		kfree(u);
		return -ENOMEM;
	}
	f = file_alloc(&uffd_ops, O_RDONLY | (flags & O_NONBLOCK), u);
	if (!f) {
		uffd_release(u->ctx);
		kfree(u);
		return -ENOMEM;
	}
	strscpy(f->label, "anon_inode:[userfaultfd]", sizeof(f->label));
	fd = fd_install(f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}
