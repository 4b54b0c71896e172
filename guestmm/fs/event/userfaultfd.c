/*
 * userfaultfd(2) as a file: read(2) reports faults, ioctl(2) registers areas and resolves faults. mm/fault/userfault.c
 * does the work. See ioctl_userfaultfd(2).
 *
 * Features: UFFD_FEATURE_PAGEFAULT_FLAG_WP, UFFD_FEATURE_EVENT_*, UFFD_FEATURE_MISSING_SHMEM, UFFD_FEATURE_MINOR_SHMEM,
 * UFFD_FEATURE_SIGBUS, UFFD_FEATURE_WP_UNPOPULATED (Linux 6.4), UFFD_FEATURE_POISON (Linux 6.6). Shared memory can be
 * protected against writing, hugetlb cannot: so UFFD_FEATURE_WP_HUGETLBFS_SHMEM, which promises both, is -EINVAL.
 */
#include "fs/poll.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/syscall.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"
#include "mm/fault/userfault.h"

#define UFFD_USER_MODE_ONLY	   1u
#define UFFD_API		   0xaaull
#define UFFD_FEATURE_FLAG_WP	   (1ull << 0)
#define UFFD_FEATURE_MISSING_SHMEM (1ull << 5)
#define UFFD_FEATURE_MINOR_SHMEM   (1ull << 10)
#define UFFD_FEATURE_POISON	   (1ull << 14)
#define UFFD_FEATURES                                                                        \
	(UFFD_FEATURE_FLAG_WP | UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |         \
	 UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_MISSING_SHMEM | \
	 UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_WP_UNPOPULATED |      \
	 UFFD_FEATURE_POISON)
#define UFFD_FEATURE_INITIALIZED \
	(1u << 31) /* Linux's own bit, seen in fdinfo: UFFDIO_API was successful */
#define API_IOCTLS (1ull << NR_REGISTER | 1ull << NR_UNREGISTER | 1ull << NR_API)
#define RANGE_IOCTLS                                                                         \
	(1ull << NR_WAKE | 1ull << NR_COPY | 1ull << NR_ZEROPAGE | 1ull << NR_WRITEPROTECT | \
	 1ull << NR_CONTINUE | 1ull << NR_POISON)
#define UFFD_EVENT_PAGEFAULT 0x12
/* Numbers of ioctls, and the bits by which they are reported. */
#define NR_REGISTER	      0x00
#define NR_UNREGISTER	      0x01
#define NR_WAKE		      0x02
#define NR_COPY		      0x03
#define NR_ZEROPAGE	      0x04
#define NR_WRITEPROTECT	      0x06
#define NR_CONTINUE	      0x07
#define NR_POISON	      0x08
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
#define UFFDIO_POISON	      UFFDIO(NR_POISON, BOTH, sizeof(struct uffdio_zeropage))
#define UFFDIO_WRITEPROTECT   UFFDIO(NR_WRITEPROTECT, BOTH, sizeof(struct uffdio_writeprotect))
#define MODE_DONTWAKE	      1ull /* of COPY, ZEROPAGE, CONTINUE, POISON */
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
/** Of UFFDIO_ZEROPAGE, UFFDIO_CONTINUE and UFFDIO_POISON. */
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
	u64 arg[3]; /* PAGEFAULT: flags, address; FORK: a descriptor; others: struct uffd_event */
};
_Static_assert(sizeof(struct uffd_msg) == 32, "Linux's ABI");

struct userfaultfd {
	struct uffd_ctx *ctx;
	bool ready; /* A: UFFDIO_API was successful */
	u64 features;
	u32 flags; /* C: O_CLOEXEC and O_NONBLOCK as it was made, for the files of children */
};

/* ---- reading ----------------------------------------------------------------------------------- */

static const struct file_ops uffd_ops;

/* Create a file and descriptor for a context. The file takes over the caller's reference, unless there is an error.
 * `like` has the features of the API. Returns the descriptor or -errno. */
static long uffd_install(struct uffd_ctx *ctx, u32 flags, const struct userfaultfd *like)
{
	struct userfaultfd *u = kzalloc(sizeof(*u), GFP_KERNEL_ACCOUNT);
	struct file *f = u ? file_alloc(&uffd_ops, O_RDONLY | (flags & O_NONBLOCK), u) : NULL;
	long fd;

	if (!f) {
		kfree(u);
		return -ENOMEM;
	}
	u->flags = flags;
	if (like) {
		u->features = like->features;
		u->ready = true;
	}
	strscpy(f->label, "anon_inode:[userfaultfd]", sizeof(f->label));
	u->ctx = ctx;
	fd = fd_install(f, 0, flags & O_CLOEXEC);
	if (fd < 0) {
		u->ctx = NULL;
		file_put(f);
	}
	return fd;
}

/* The child's context gets a descriptor in the reader's table. */
static long read_fork(struct userfaultfd *u, struct uffd_event *ev)
{
	long fd = uffd_install(ev->child, u->flags, u);

	if (fd < 0)
		uffd_put(ev->child);
	uffd_fork_read(u->ctx, ev->id, fd < 0 ? UFFD_FORK_AGAIN : UFFD_FORK_DONE);
	return fd;
}

/* Get the next message; as in Linux, faults first. 1; 0: there is none; or -errno. */
static long next_message(struct userfaultfd *u, struct uffd_msg *msg)
{
	struct uffd_fault fault;
	struct uffd_event ev;

	*msg = (struct uffd_msg){.event = UFFD_EVENT_PAGEFAULT};
	if (uffd_take(u->ctx, &fault)) {
		msg->arg[0] = fault.flags;
		msg->arg[1] = fault.addr;
		return 1;
	}
	if (!uffd_take_event(u->ctx, &ev))
		return 0;
	msg->event = ev.event;
	memcpy(msg->arg, ev.arg, sizeof(msg->arg));
	if (ev.event == UFFD_EVENT_FORK) {
		long fd = read_fork(u, &ev);

		if (fd < 0)
			return fd;
		msg->arg[0] = fd;
	}
	return 1;
}

static long uffd_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct userfaultfd *u = f->private;
	size_t done = 0;

	if (!READ_ONCE(u->ready))
		return -EINVAL;
	while (len - done >= sizeof(struct uffd_msg)) {
		struct uffd_msg msg;
		long err = next_message(u, &msg);

		if (err < 0)
			return done ? (long)done : err;
		if (!err) {
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
	/* As in Linux, poll(2) needs O_NONBLOCK. */
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
	/* Reading a fork event gives the reader a descriptor for the child's memory, so it needs the right to trace. */
	if (api.features & UFFD_FEATURE_EVENT_FORK && !capable(CAP_SYS_PTRACE))
		return copy_to_user(arg, &zero, sizeof(zero)) ? -EFAULT : -EPERM;
	uffd_set_features(u->ctx, api.features);
	u->features = api.features;
	api.features = UFFD_FEATURES;
	api.ioctls = API_IOCTLS;
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
	u64 ioctls = 1ull << NR_WAKE | 1ull << NR_COPY | 1ull << NR_ZEROPAGE | 1ull << NR_POISON;
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

static long get_range(struct uffdio_range *r, unsigned long arg)
{
	return copy_from_user(r, arg, sizeof(*r)) ? -EFAULT : check_range(r->start, r->len);
}

static long do_unregister(struct userfaultfd *u, unsigned long arg)
{
	struct uffdio_range r;
	long err = get_range(&r, arg);

	return err ? err : uffd_unregister(u->ctx, r.start, r.start + r.len);
}

static long do_wake(struct userfaultfd *u, unsigned long arg)
{
	struct uffdio_range r;
	long err = get_range(&r, arg);

	if (!err)
		uffd_wake(u->ctx, r.start, r.start + r.len);
	return err;
}

/* The result of resolving several pages: the bytes that were resolved, or the error of the first page. `mode`: of the
 * call. */
static long finish(struct userfaultfd *u, u64 start, u64 len, u64 done, long err, u64 mode,
		   unsigned long result_at)
{
	s64 result = done ? (s64)done : err;

	if (!done && err == -ESRCH)
		return err; /* as Linux: nothing is written then */
	if (copy_to_user(result_at, &result, sizeof(result)))
		return -EFAULT;
	if (!done)
		return err;
	if (!(mode & MODE_DONTWAKE))
		uffd_wake(u->ctx, start, start + done);
	return done == len ? 0 : -EAGAIN;
}

static long do_copy(struct userfaultfd *u, unsigned long arg)
{
	struct uffdio_copy c;
	void *page;
	u64 done = 0;
	long err;

	if (uffd_changing(u->ctx))
		return -EAGAIN;
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
		/* Check first whether the page may be resolved, because reading the source may sleep. */
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
	return finish(u, c.dst, c.len, done, err, c.mode, arg + offsetof(struct uffdio_copy, copy));
}

/* UFFDIO_ZEROPAGE, UFFDIO_CONTINUE and UFFDIO_POISON. */
static long do_fill(struct userfaultfd *u, unsigned long arg, enum uffd_fill how)
{
	struct uffdio_zeropage z;
	u64 done = 0;
	long err;

	if (uffd_changing(u->ctx))
		return -EAGAIN;
	if (copy_from_user(&z, arg, sizeof(z) - sizeof(z.done)))
		return -EFAULT;
	err = check_range(z.range.start, z.range.len);
	if (!err && z.mode & ~MODE_DONTWAKE)
		err = -EINVAL;
	if (err)
		return err;
	while (!err && done < z.range.len) {
		u64 at = z.range.start + done, end = z.range.start + z.range.len;

		err = uffd_fill(u->ctx, at, end, NULL, how);
		if (!err)
			done += PAGE_SIZE;
		cond_resched();
	}
	return finish(u, z.range.start, z.range.len, done, err, z.mode,
		      arg + offsetof(struct uffdio_zeropage, done));
}

static long do_writeprotect(struct userfaultfd *u, unsigned long arg)
{
	struct uffdio_writeprotect w;
	long err;

	if (uffd_changing(u->ctx))
		return -EAGAIN;
	if (copy_from_user(&w, arg, sizeof(w)))
		return -EFAULT;
	err = check_range(w.range.start, w.range.len);
	if (err)
		return err;
	/* As Linux: DONTWAKE is allowed only together with the removal of protection. */
	if (w.mode & ~(WP_MODE_WP | WP_MODE_DONTWAKE) || w.mode == (WP_MODE_WP | WP_MODE_DONTWAKE))
		return -EINVAL;
	err = uffd_writeprotect(u->ctx, w.range.start, w.range.start + w.range.len,
				w.mode & WP_MODE_WP ? UFFD_PROTECT : UFFD_UNPROTECT);
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
		return do_unregister(u, arg);
	case UFFDIO_WAKE:
		return do_wake(u, arg);
	case UFFDIO_COPY:
		return do_copy(u, arg);
	case UFFDIO_ZEROPAGE:
		return do_fill(u, arg, UFFD_FILL);
	case UFFDIO_CONTINUE:
		return do_fill(u, arg, UFFD_MAP_PRESENT);
	case UFFDIO_POISON:
		return do_fill(u, arg, UFFD_POISON);
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
	report_printf(r, "pending:\t%lu\ntotal:\t%lu\nAPI:\t%lx:%x:%lx\n", (unsigned long)pending,
		      (unsigned long)total, (unsigned long)UFFD_API,
		      (u32)u->features | (READ_ONCE(u->ready) ? UFFD_FEATURE_INITIALIZED : 0),
		      (unsigned long)(API_IOCTLS | RANGE_IOCTLS));
}

static void uffd_close(struct file *f)
{
	struct userfaultfd *u = f->private;

	if (u->ctx)
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
	struct uffd_ctx *ctx;
	long fd;

	if (!(flags & UFFD_USER_MODE_ONLY) && !READ_ONCE(sysctl_unprivileged_userfaultfd) &&
	    !capable(CAP_SYS_PTRACE))
		return -EPERM;
	if (flags & ~(UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	ctx = uffd_create(current->mm,
			  flags & UFFD_USER_MODE_ONLY ? UFFD_USER_FAULTS : UFFD_ALL_FAULTS);
	if (!ctx)
		return -ENOMEM;
	fd = uffd_install(ctx, flags & (O_CLOEXEC | O_NONBLOCK), NULL);
	if (fd < 0)
		uffd_release(ctx);
	return fd;
}
