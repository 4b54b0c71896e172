/*
 * System V shared memory: segments that outlive their processes. shmget(2), shmop(2), shmctl(2).
 *
 *   segment ──> file of shared memory (mm/cache/shmem.c), or of huge pages: holds the pages
 *      ↑ private
 *   attachment: a file of its own for each shmat(2), on which its VMAs have references
 *
 * The pages are shared memory: they are swapped, charged and counted like those of a tmpfs. Memory for the
 * whole segment is reserved when it is created (overcommit.c), unless SHM_NORESERVE is given.
 *
 * I1  A segment that IPC_RMID has removed lives as long as it has attachments (SHM_DEST), and is found
 *     by its identifier, not by its key, until then.
 * I2  s->attachments counts open attachment files. The last VMA of an attachment closes its file. The number
 *     of attaches in IPC_STAT is that of the VMAs, which forks and splits increase.
 *
 * Locks: shm_ids.lock for everything here; below it the locks of files and of shmem.
 */
#include "fs/ipc/ipc.h"
#include "fs/file.h"
#include "fs/tmpfs.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "kernel/process.h"
#include "lib/string.h"
#include "lib/syscall.h"
#include "mm/cache/pagecache.h"
#include "mm/cache/shmem.h"
#include "mm/huge/hugetlb.h"
#include "mm/slab/slab.h"
#include "mm/virt/vma.h"

#define SHM_RDONLY     010000u
#define SHM_RND	       020000u
#define SHM_REMAP      040000u
#define SHM_EXEC       0100000u
#define SHM_HUGETLB    04000u /* of shmget */
#define SHM_NORESERVE  010000u
#define SHM_HUGE_SHIFT 26
#define SHM_HUGE_MASK  0x3fu
#define SHM_LOCK       11
#define SHM_UNLOCK     12
#define SHM_STAT       13
#define SHM_INFO       14
#define SHM_STAT_ANY   15
#define SHM_DEST       01000u /* of perm.mode */
#define SHM_LOCKED     02000u
#define SHMMIN	       1

u64 sysctl_shmmax = ~0ull - (1ull << 24), sysctl_shmall = ~0ull - (1ull << 24); /* as Linux */
int sysctl_shmmni = 4096;

struct segment {
	struct ipc_perm perm;
	struct file *file;
	u64 size; /* C: bytes, as asked for */
	struct vm_promise promise;
	s64 atime, dtime, ctime;
	int cpid, lpid;
	s32 attachments; /* I2 */
	u32 locked_by;	 /* with SHM_LOCKED: the user in whose limit it counts */
};

static struct ipc_ids shm_ids = IPC_IDS_INIT(shm_ids);
static u64 shm_pages; /* shm_ids.lock: pages of all segments */

static struct segment *to_segment(struct ipc_perm *perm)
{
	return container_of(perm, struct segment, perm);
}

static bool is_huge(const struct segment *s)
{
	return s->file->mapping->flags & AS_HUGETLB;
}

static u64 pages_of(u64 size)
{
	return DIV_ROUND_UP(size, PAGE_SIZE);
}

/* ---- making and freeing ----------------------------------------------------------------------- */

/* Create a file of huge pages, all of which are reserved. */
static struct inode *huge_inode(u64 size, u32 flags)
{
	unsigned int log = flags >> SHM_HUGE_SHIFT & SHM_HUGE_MASK;
	struct inode *inode;
	struct hstate *h;
	int err = 0;

	if (!capable(CAP_IPC_LOCK))
		return ERR_PTR(-EPERM);
	inode = hugetlb_inode(IPC_MODE, log);
	if (IS_ERR(inode))
		return PTR_ERR(inode) == -ENODEV ? ERR_PTR(-EINVAL) : inode;
	h = hugetlb_file(&inode->i_data)->h;
	inode->i_data.size = ALIGN_UP(size, hstate_size(h));
	if (!(flags & SHM_NORESERVE))
		err = hugetlb_reserve_file(&inode->i_data, 0, inode->i_data.size / hstate_size(h));
	if (!err)
		return inode;
	iput(inode);
	return ERR_PTR(err);
}

/* Free a segment whose identifier was removed. Its pages are freed with the file. */
static void segment_free(struct segment *s)
{
	file_put(s->file);
	vm_promise_end(&s->promise);
	kfree(s);
}

static struct ipc_perm *segment_create(u64 size, u32 flags)
{
	u64 pages = pages_of(size);
	struct segment *s;
	struct inode *inode;
	int err;

	if (size < SHMMIN || size > READ_ONCE(sysctl_shmmax))
		return ERR_PTR(-EINVAL);
	if (pages << PAGE_SHIFT < size)
		return ERR_PTR(-ENOSPC);
	if (shm_pages + pages < shm_pages || shm_pages + pages > READ_ONCE(sysctl_shmall))
		return ERR_PTR(-ENOSPC);
	s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);
	if (!s)
		return ERR_PTR(-ENOMEM);
	if (!(flags & (SHM_HUGETLB | SHM_NORESERVE)) ||
	    (!(flags & SHM_HUGETLB) && sysctl_overcommit_memory == 2)) {
		err = vm_promise(&s->promise, pages);
		if (err)
			goto free;
	}
	inode = flags & SHM_HUGETLB ? huge_inode(size, flags) : shmem_inode(IPC_MODE, size);
	err = !inode ? -ENOMEM : IS_ERR(inode) ? (int)PTR_ERR(inode) : 0;
	if (err)
		goto uncharge;
	if (s->promise.pages)
		inode->i_data.flags |= AS_CHARGED;
	s->file = file_from_inode(inode, "/SYSV", O_RDWR | O_LARGEFILE);
	iput(inode);
	err = -ENOMEM;
	if (!s->file)
		goto uncharge;
	s->size = size;
	s->ctime = ipc_now();
	s->cpid = current_process()->pid;
	shm_pages += pages;
	return &s->perm;
uncharge:
	vm_promise_end(&s->promise);
free:
	kfree(s);
	return ERR_PTR(err);
}

/* Remove the segment's identifier. The caller frees the segment after releasing the lock. The lock is held. */
static void segment_remove(struct segment *s)
{
	ipc_remove(&shm_ids, &s->perm);
	shm_pages -= pages_of(s->size);
}

/* Free a segment that no other task has found. */
static void segment_discard(struct ipc_perm *perm)
{
	struct segment *s = to_segment(perm);

	shm_pages -= pages_of(s->size);
	segment_free(s);
}

static int segment_check(const struct ipc_perm *perm, u64 size)
{
	return container_of(perm, const struct segment, perm)->size < size ? -EINVAL : 0;
}

long sys_shmget(struct pt_regs *r)
{
	static const struct ipc_kind kind = {&shm_ids, &sysctl_shmmni, segment_create,
					     segment_discard, segment_check};

	return ipc_get(&kind, (s32)r->rdi, r->rsi, (u32)r->rdx);
}

/* ---- attaching -------------------------------------------------------------------------------- */

static int attachment_mmap(struct file *f, unsigned long vm_flags, struct file **instead)
{
	struct segment *s = f->private;

	return s->file->ops->mmap(f, vm_flags, instead);
}

/* Its last VMA was removed. */
static void attachment_release(struct file *f)
{
	struct segment *s = f->private;
	bool last;

	mutex_lock(&shm_ids.lock);
	s->dtime = ipc_now();
	if (current_process())
		s->lpid = current_process()->pid;
	last = !--s->attachments && s->perm.mode & SHM_DEST;
	if (last)
		segment_remove(s);
	mutex_unlock(&shm_ids.lock);
	if (last)
		segment_free(s);
}

static const struct file_ops attachment_ops = {
	.llseek = noop_llseek,
	.mmap = attachment_mmap,
	.release = attachment_release,
};

static int prepare(struct map_source *src, unsigned long vm_flags)
{
	struct file *instead = NULL;

	return src->file->ops->mmap(src->file, vm_flags, &instead);
}

/* Create the file of an attachment. Or ERR_PTR(-errno). The lock is held. */
static struct file *attachment(struct segment *s, u32 flags)
{
	u32 want = flags & SHM_RDONLY ? 0444 : 0666;
	char label[32];
	struct file *f;
	int err;

	err = ipc_permission(&s->perm, flags & SHM_EXEC ? want | 0111 : want);
	if (err)
		return ERR_PTR(err);
	ksnprintf(label, sizeof(label), "/SYSV%08x", (u32)s->perm.key);
	f = file_from_inode(s->file->inode, label, flags & SHM_RDONLY ? O_RDONLY : O_RDWR);
	if (!f)
		return ERR_PTR(-ENOMEM);
	f->ops = &attachment_ops;
	f->private = s;
	s->attachments++;
	return f;
}

/* The mmap(2) flags for the address that was asked for, or -EINVAL. */
static long attach_place(unsigned long *addr, u32 flags)
{
	if (!*addr)
		return flags & SHM_REMAP ? -EINVAL : 0;
	if (*addr & ~PAGE_MASK) {
		if (!(flags & SHM_RND))
			return -EINVAL;
		*addr &= PAGE_MASK;
		if (!*addr && flags & SHM_REMAP)
			return -EINVAL;
	}
	return flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
}

long sys_shmat(struct pt_regs *r)
{
	unsigned long addr = r->rsi;
	u32 flags = r->rdx;
	struct segment *s;
	struct ipc_perm *perm;
	struct file *f;
	u64 size;
	int prot = PROT_READ;
	long place = attach_place(&addr, flags), ret;

	if ((int)r->rdi < 0 || place < 0)
		return -EINVAL;
	mutex_lock(&shm_ids.lock);
	perm = ipc_find(&shm_ids, (int)r->rdi);
	s = IS_ERR(perm) ? NULL : to_segment(perm);
	f = s ? attachment(s, flags) : ERR_PTR(PTR_ERR(perm));
	size = s ? s->size : 0;
	mutex_unlock(&shm_ids.lock);
	if (IS_ERR(f))
		return PTR_ERR(f);
	if (!(flags & SHM_RDONLY))
		prot |= PROT_WRITE;
	if (flags & SHM_EXEC)
		prot |= PROT_EXEC;
	ret = do_mmap_file(current->mm, addr, size, prot, MAP_SHARED | (int)place, 0,
			   &(struct map_source){.file = f,
						.mapping = f->mapping,
						.readable = true,
						.writable = !(flags & SHM_RDONLY),
						.prepare = prepare});
	if (ret == -EEXIST)
		ret = -EINVAL;
	if (ret >= 0) {
		mutex_lock(&shm_ids.lock);
		s->atime = ipc_now(); /* the attachment keeps the segment */
		s->lpid = current_process()->pid;
		mutex_unlock(&shm_ids.lock);
	}
	file_put(f); /* the VMA has its own */
	return ret;
}

static bool is_attachment(const struct file *f, u64 *size)
{
	const struct segment *s = f->private;

	if (f->ops != &attachment_ops)
		return false;
	*size = s->size;
	return true;
}

long sys_shmdt(struct pt_regs *r)
{
	if (r->rdi & ~PAGE_MASK)
		return -EINVAL;
	return do_munmap_attached(current->mm, r->rdi, is_attachment);
}

/* ---- control ---------------------------------------------------------------------------------- */

struct shmid64_ds {
	struct ipc64_perm perm;
	u64 size;
	s64 atime, dtime, ctime;
	s32 cpid, lpid;
	u64 nattch, unused[2];
};
_Static_assert(sizeof(struct shmid64_ds) == 112, "Linux's ABI");
struct shminfo64 {
	u64 shmmax, shmmin, shmmni, shmseg, shmall, unused[4];
};
struct shm_info {
	s32 used_ids;
	u64 total, rss, swapped, swap_attempts, swap_successes;
};

/* Pages of 4 KiB in memory and in swap. */
static u64 resident(const struct segment *s)
{
	u64 n = READ_ONCE(s->file->mapping->nrpages);

	return is_huge(s) ? n << hugetlb_file(s->file->mapping)->h->order : n;
}

static u64 swapped(const struct segment *s)
{
	return is_huge(s) ? 0 : READ_ONCE(s->file->mapping->nrvalues);
}

static long stat_out(unsigned long to, int id, int cmd)
{
	struct shmid64_ds out = {0};
	struct ipc_perm *perm;
	long ret;

	mutex_lock(&shm_ids.lock);
	perm = cmd == IPC_STAT ? ipc_find(&shm_ids, id) : ipc_at(&shm_ids, id);
	ret = IS_ERR(perm) ? PTR_ERR(perm) : cmd == SHM_STAT_ANY ? 0 : ipc_permission(perm, 0444);
	if (!ret) {
		const struct segment *s = to_segment(perm);

		ipc_perm_out(&out.perm, perm);
		out.size = s->size;
		out.atime = s->atime;
		out.dtime = s->dtime;
		out.ctime = s->ctime;
		out.cpid = s->cpid;
		out.lpid = s->lpid;
		out.nattch = i_mmap_count(s->file->mapping);
		ret = cmd == IPC_STAT ? 0 : perm->id;
	}
	mutex_unlock(&shm_ids.lock);
	if (ret >= 0 && copy_to_user(to, &out, sizeof(out)))
		return -EFAULT;
	return ret;
}

static long limits_out(unsigned long to)
{
	struct shminfo64 out = {.shmmax = sysctl_shmmax,
				.shmmin = SHMMIN,
				.shmmni = sysctl_shmmni,
				.shmseg = sysctl_shmmni,
				.shmall = sysctl_shmall};
	int most;

	mutex_lock(&shm_ids.lock);
	most = ipc_max_index(&shm_ids);
	mutex_unlock(&shm_ids.lock);
	return copy_to_user(to, &out, sizeof(out)) ? -EFAULT : max(most, 0);
}

static long totals_out(unsigned long to)
{
	struct shm_info out = {0};
	int most;

	mutex_lock(&shm_ids.lock);
	out.used_ids = shm_ids.in_use;
	out.total = shm_pages;
	most = ipc_max_index(&shm_ids);
	for (int i = 0; i <= most; i++) {
		struct ipc_perm *perm = ipc_at(&shm_ids, i);

		if (IS_ERR(perm))
			continue;
		out.rss += resident(to_segment(perm));
		out.swapped += swapped(to_segment(perm));
	}
	mutex_unlock(&shm_ids.lock);
	return copy_to_user(to, &out, sizeof(out)) ? -EFAULT : max(most, 0);
}

/* Locked bytes that count in this user's limit. The lock is held. */
static u64 locked_bytes(u32 uid)
{
	u64 sum = 0;

	for (int i = 0; i <= ipc_max_index(&shm_ids); i++) {
		struct ipc_perm *perm = ipc_at(&shm_ids, i);

		if (!IS_ERR(perm) && perm->mode & SHM_LOCKED && to_segment(perm)->locked_by == uid)
			sum += pages_of(to_segment(perm)->size) << PAGE_SHIFT;
	}
	return sum;
}

/* The lock held. */
static long set_lock(struct segment *s, bool lock)
{
	u32 uid = current_cred()->euid;
	bool may = capable(CAP_IPC_LOCK);

	if (!may && uid != s->perm.uid && uid != s->perm.cuid)
		return -EPERM;
	if (!may && lock && !rlimit(RLIMIT_MEMLOCK))
		return -EPERM;
	if (is_huge(s) || lock == !!(s->perm.mode & SHM_LOCKED))
		return 0;
	if (lock && !may &&
	    locked_bytes(uid) + (pages_of(s->size) << PAGE_SHIFT) > rlimit(RLIMIT_MEMLOCK))
		return -ENOMEM;
	s->perm.mode ^= SHM_LOCKED;
	s->locked_by = uid;
	shmem_set_unevictable(s->file->mapping, lock ? LRU_KEEP : LRU_LET_GO);
	return 0;
}

/* Commands that change a segment. The caller frees *gone after releasing the lock. The lock is held. */
static long change(struct segment *s, int cmd, const struct shmid64_ds *in, struct segment **gone)
{
	long err;

	if (cmd == SHM_LOCK || cmd == SHM_UNLOCK)
		return set_lock(s, cmd == SHM_LOCK);
	err = ipc_may_change(&s->perm);
	if (!err && cmd == IPC_SET) {
		err = ipc_perm_set(&s->perm, &in->perm);
		if (!err)
			s->ctime = ipc_now();
	} else if (!err && s->attachments) {
		s->perm.mode |= SHM_DEST;
		s->perm.key = IPC_PRIVATE;
	} else if (!err) {
		segment_remove(s);
		*gone = s;
	}
	return err;
}

long sys_shmctl(struct pt_regs *r)
{
	int id = (int)r->rdi, cmd = (int)r->rsi;
	struct segment *gone = NULL;
	struct shmid64_ds in;
	struct ipc_perm *perm;
	long ret;

	if (cmd < 0 || id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
		return limits_out(r->rdx);
	case SHM_INFO:
		return totals_out(r->rdx);
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY:
		return stat_out(r->rdx, id, cmd);
	case IPC_SET:
		if (copy_from_user(&in, r->rdx, sizeof(in)))
			return -EFAULT;
		break;
	case IPC_RMID:
	case SHM_LOCK:
	case SHM_UNLOCK:
		break;
	default:
		return -EINVAL;
	}
	mutex_lock(&shm_ids.lock);
	perm = ipc_find(&shm_ids, id);
	ret = IS_ERR(perm) ? PTR_ERR(perm) : change(to_segment(perm), cmd, &in, &gone);
	mutex_unlock(&shm_ids.lock);
	if (gone)
		segment_free(gone);
	return ret;
}

void report_sysvipc_shm(struct report *r)
{
	report_printf(
		r, "       key      shmid perms                  size  cpid  lpid nattch   uid   "
		   "gid  cuid  cgid      atime      dtime      ctime                   rss"
		   "                  swap\n");
	mutex_lock(&shm_ids.lock);
	for (int i = 0; i <= ipc_max_index(&shm_ids); i++) {
		struct ipc_perm *p = ipc_at(&shm_ids, i);
		const struct segment *s = to_segment(p);

		if (IS_ERR(p))
			continue;
		report_printf(r, "%10d %10d  %4o ", p->key, p->id, p->mode);
		report_printf(r,
			      "%21lu %5u %5u  %5lu %5u %5u %5u %5u %10lu %10lu %10lu %21lu %21lu\n",
			      (unsigned long)s->size, s->cpid, s->lpid,
			      (unsigned long)i_mmap_count(s->file->mapping), p->uid, p->gid,
			      p->cuid, p->cgid, (unsigned long)s->atime, (unsigned long)s->dtime,
			      (unsigned long)s->ctime, (unsigned long)resident(s) << PAGE_SHIFT,
			      (unsigned long)swapped(s) << PAGE_SHIFT);
	}
	mutex_unlock(&shm_ids.lock);
}
