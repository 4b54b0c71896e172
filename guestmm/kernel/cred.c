/*
 * Users, groups and capabilities (capabilities(7), credentials(7)) with the rules of Linux 6.1. There are no user
 * name spaces, file capabilities and securebits.
 *
 *   ids change ── effective uid 0 -> other: effective capabilities are cleared
 *              ── no id is 0 any more: permitted ones too (except with PR_SET_KEEPCAPS)
 *   execve ────── set-user-ID, set-group-ID; root gets all that the bounding set allows
 *
 * Locks: task->cred changes under task_list_lock, by its own thread.
 */
#include "kernel/cred.h"
#include "kernel/process.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/mode.h"
#include "lib/string.h"
#include "lib/syscall.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/slab/slab.h"

static struct cred init_cred = {
	.refs = 1,
	.permitted = CAP_ALL,
	.effective = CAP_ALL,
	.bounding = CAP_ALL,
};

/* NGROUPS_MAX allows lists of groups that need more than a page; those credentials come from vmalloc(). */
static size_t cred_size(u32 nr_groups)
{
	return sizeof(struct cred) + nr_groups * sizeof(u32);
}

static struct cred *cred_alloc(u32 nr_groups)
{
	size_t size = cred_size(nr_groups);

	return size <= PAGE_SIZE ? kmalloc(size, GFP_KERNEL_ACCOUNT) : vmalloc(size);
}

static void cred_free(struct cred *c)
{
	if (cred_size(c->nr_groups) <= PAGE_SIZE)
		kfree(c);
	else
		vfree(c);
}

struct cred *cred_get(struct cred *c)
{
	atomic_add(&c->refs, 1);
	return c;
}

void cred_put(struct cred *c)
{
	if (c && atomic_dec_and_test(&c->refs))
		cred_free(c);
}

struct cred *cred_init(void)
{
	return cred_get(&init_cred);
}

const struct cred *current_cred(void)
{
	const struct cred *c = current->cred;

	return c ? c : &init_cred;
}

static struct cred *cred_copy(const struct cred *from, u32 nr_groups)
{
	struct cred *c = cred_alloc(nr_groups);

	if (!c)
		return NULL;
	memcpy(c, from, cred_size(min(nr_groups, from->nr_groups)));
	c->refs = 1;
	c->nr_groups = nr_groups;
	return c;
}

struct cred *cred_prepare(void)
{
	const struct cred *old = current_cred();

	return cred_copy(old, old->nr_groups);
}

int sysctl_suid_dumpable;

void cred_commit(struct cred *c)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct cred *old = current->cred;

	current->cred = c;
	/* PR_SET_PDEATHSIG was requested with the old credentials, so it does not hold with the new ones. */
	if (old && current_process() &&
	    (old->euid != c->euid || old->egid != c->egid || old->fsuid != c->fsuid ||
	     old->fsgid != c->fsgid || c->permitted & ~old->permitted)) {
		current_process()->pdeath_signal = 0;
		/* Its memory may hold data of the old user, which the new one must not see in a core. */
		if (current->mm)
			WRITE_ONCE(current->mm->dumpable, (u8)sysctl_suid_dumpable);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	cred_put(old);
}

struct cred *cred_override(struct cred *c)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct cred *old = current->cred;

	current->cred = c;
	spin_unlock_irqrestore(&task_list_lock, flags);
	return old;
}

bool capable(int cap)
{
	return current_cred()->effective >> cap & 1;
}

bool cred_has_group(const struct cred *c, u32 gid)
{
	u32 lo = 0, hi = c->nr_groups;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (c->groups[mid] == gid)
			return true;
		if (c->groups[mid] < gid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

bool in_group(u32 gid)
{
	const struct cred *c = current_cred();

	return gid == c->fsgid || cred_has_group(c, gid);
}

/* T held: the credentials of a process are those of its first thread. */
static const struct cred *process_cred(const struct process *p)
{
	struct task *t;

	list_for_each_entry (t, &p->threads, thread)
		return t->cred;
	return NULL;
}

bool may_signal(const struct process *p, int sig)
{
	const struct cred *me = current_cred(), *other = process_cred(p);

	if (!other || p == current_process() || me->effective >> CAP_KILL & 1)
		return true;
	if (me->euid == other->uid || me->euid == other->suid || me->uid == other->uid ||
	    me->uid == other->suid)
		return true;
	return sig == SIGCONT && p->sid == current_process()->sid;
}

bool same_user(const struct process *p)
{
	const struct cred *me = current_cred(), *other = process_cred(p);

	return !other || p == current_process() ||
	       (me->uid == other->uid && me->uid == other->euid && me->uid == other->suid &&
		me->gid == other->gid && me->gid == other->egid && me->gid == other->sgid);
}

/* ---- changing ids ----------------------------------------------------------------------------- */

static bool has_root(const struct cred *c)
{
	return !c->uid || !c->euid || !c->suid;
}

/* Capabilities follow the users: capabilities(7), "Effect of user ID changes on capabilities". */
static void caps_follow(const struct cred *old, struct cred *c)
{
	const u64 files = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH |
			  1u << CAP_FOWNER | 1u << CAP_FSETID | 1u << CAP_MKNOD;

	if (has_root(old) && !has_root(c)) {
		if (!c->keep_caps)
			c->permitted = c->effective = 0;
		c->ambient = 0;
	}
	if (!old->euid && c->euid)
		c->effective = 0;
	else if (old->euid && !c->euid)
		c->effective = c->permitted;
	if (old->euid == c->euid && !old->fsuid && c->fsuid)
		c->effective &= ~files;
	else if (old->euid == c->euid && old->fsuid && !c->fsuid)
		c->effective |= c->permitted & files;
}

/* New values of the three user ids or of the three group ids. ~0: unchanged. */
struct new_ids {
	bool groups;
	u32 real, effective, saved;
};

static u32 *ids_of(struct cred *c, bool groups)
{
	return groups ? &c->gid : &c->uid; /* real, effective, saved, fs in this order */
}

/* As in Linux, setuid() to a user who has more processes than RLIMIT_NPROC succeeds, because programs do not check its
 * result. Instead, execve() fails as long as the user has too many. */
static void note_process_limit(u32 uid)
{
	u64 limit = rlimit(RLIMIT_NPROC);

	if (uid != current_cred()->uid)
		current->nproc_exceeded =
			uid && limit != RLIM_INFINITY && user_has_processes(uid, limit + 1);
}

static long commit_ids(const struct new_ids *n)
{
	struct cred *c = cred_prepare();
	u32 *id;

	if (!c)
		return -ENOMEM;
	id = ids_of(c, n->groups);
	if (n->real != ~0u)
		id[0] = n->real;
	if (n->effective != ~0u)
		id[1] = n->effective;
	if (n->saved != ~0u)
		id[2] = n->saved;
	id[3] = id[1];
	if (!n->groups) {
		caps_follow(current_cred(), c);
		note_process_limit(c->uid);
	}
	cred_commit(c);
	return 0;
}

enum id_kind { USER_IDS, GROUP_IDS };

static const u32 *my_ids(enum id_kind kind)
{
	const struct cred *c = current_cred();

	return kind == GROUP_IDS ? &c->gid : &c->uid;
}

static bool may_set(enum id_kind kind)
{
	return capable(kind == GROUP_IDS ? CAP_SETGID : CAP_SETUID);
}

static long set_id(u32 id, enum id_kind kind)
{
	const u32 *my = my_ids(kind);
	bool all = may_set(kind);

	if (id == ~0u)
		return -EINVAL;
	if (!all && id != my[0] && id != my[2])
		return -EPERM;
	return commit_ids(&(struct new_ids){kind == GROUP_IDS, all ? id : ~0u, id, all ? id : ~0u});
}

long sys_setuid(struct pt_regs *r)
{
	return set_id(r->rdi, USER_IDS);
}

long sys_setgid(struct pt_regs *r)
{
	return set_id(r->rdi, GROUP_IDS);
}

static long setre_id(u32 real, u32 effective, enum id_kind kind)
{
	const u32 *my = my_ids(kind);
	struct new_ids n = {kind == GROUP_IDS, real, effective, ~0u};

	if (!may_set(kind)) {
		if (real != ~0u && real != my[0] && real != my[1])
			return -EPERM;
		if (effective != ~0u && effective != my[0] && effective != my[1] &&
		    effective != my[2])
			return -EPERM;
	}
	if (real != ~0u || (effective != ~0u && effective != my[0]))
		n.saved = effective != ~0u ? effective : my[1];
	return commit_ids(&n);
}

long sys_setreuid(struct pt_regs *r)
{
	return setre_id(r->rdi, r->rsi, USER_IDS);
}

long sys_setregid(struct pt_regs *r)
{
	return setre_id(r->rdi, r->rsi, GROUP_IDS);
}

static bool is_mine(const u32 *my, u32 id)
{
	return id == ~0u || id == my[0] || id == my[1] || id == my[2];
}

static long setres_id(struct pt_regs *r, enum id_kind kind)
{
	const u32 *my = my_ids(kind);
	struct new_ids n = {kind == GROUP_IDS, r->rdi, r->rsi, r->rdx};

	if (!may_set(kind) &&
	    (!is_mine(my, n.real) || !is_mine(my, n.effective) || !is_mine(my, n.saved)))
		return -EPERM;
	return commit_ids(&n);
}

long sys_setresuid(struct pt_regs *r)
{
	return setres_id(r, USER_IDS);
}

long sys_setresgid(struct pt_regs *r)
{
	return setres_id(r, GROUP_IDS);
}

/* Returns the old id, whether or not the call has changed it. */
static long setfs_id(u32 id, enum id_kind kind)
{
	const u32 *my = my_ids(kind);
	u32 old = my[3];
	struct cred *c;

	if (id == old || id == ~0u || (!may_set(kind) && !is_mine(my, id)))
		return old;
	c = cred_prepare();
	if (!c)
		return old;
	ids_of(c, kind == GROUP_IDS)[3] = id;
	if (kind != GROUP_IDS)
		caps_follow(current_cred(), c);
	cred_commit(c);
	return old;
}

long sys_setfsuid(struct pt_regs *r)
{
	return setfs_id(r->rdi, USER_IDS);
}

long sys_setfsgid(struct pt_regs *r)
{
	return setfs_id(r->rdi, GROUP_IDS);
}

/* ---- asking ----------------------------------------------------------------------------------- */

long sys_getuid(struct pt_regs *r)
{
	return current_cred()->uid;
}

long sys_geteuid(struct pt_regs *r)
{
	return current_cred()->euid;
}

long sys_getgid(struct pt_regs *r)
{
	return current_cred()->gid;
}

long sys_getegid(struct pt_regs *r)
{
	return current_cred()->egid;
}

static long getres_id(struct pt_regs *r, enum id_kind kind)
{
	const u32 *my = my_ids(kind);

	return copy_to_user(r->rdi, &my[0], sizeof(u32)) ||
			       copy_to_user(r->rsi, &my[1], sizeof(u32)) ||
			       copy_to_user(r->rdx, &my[2], sizeof(u32))
		       ? -EFAULT
		       : 0;
}

long sys_getresuid(struct pt_regs *r)
{
	return getres_id(r, USER_IDS);
}

long sys_getresgid(struct pt_regs *r)
{
	return getres_id(r, GROUP_IDS);
}

/* ---- groups ----------------------------------------------------------------------------------- */

long sys_getgroups(struct pt_regs *r)
{
	const struct cred *c = current_cred();
	s32 room = r->rdi;

	if (room < 0)
		return -EINVAL;
	if (room && (u32)room < c->nr_groups)
		return -EINVAL;
	if (room && copy_to_user(r->rsi, c->groups, c->nr_groups * sizeof(u32)))
		return -EFAULT;
	return c->nr_groups;
}

/* Heap sort, because a program may pass 65536 groups in any order. */
static void sift_down(u32 *v, u32 root, u32 n)
{
	for (u32 child; (child = 2 * root + 1) < n; root = child) {
		u32 t;

		if (child + 1 < n && v[child] < v[child + 1])
			child++;
		if (v[root] >= v[child])
			return;
		t = v[root];
		v[root] = v[child];
		v[child] = t;
	}
}

static void sort(u32 *v, u32 n)
{
	for (u32 i = n / 2; i--;)
		sift_down(v, i, n);
	for (u32 i = n; i-- > 1;) {
		u32 t = v[0];

		v[0] = v[i];
		v[i] = t;
		sift_down(v, 0, i);
	}
}

long sys_setgroups(struct pt_regs *r)
{
	u32 n = r->rdi;
	struct cred *c;

	if (!capable(CAP_SETGID))
		return -EPERM;
	if (n > NGROUPS_MAX)
		return -EINVAL;
	c = cred_copy(current_cred(), n);
	if (!c)
		return -ENOMEM;
	if (copy_from_user(c->groups, r->rsi, n * sizeof(u32))) {
		cred_put(c);
		return -EFAULT;
	}
	sort(c->groups, n);
	cred_commit(c);
	return 0;
}

/* ---- capabilities ----------------------------------------------------------------------------- */

#define CAP_VERSION_1 0x19980330u
#define CAP_VERSION_2 0x20071026u
#define CAP_VERSION_3 0x20080522u

struct cap_header {
	u32 version;
	s32 pid;
};
struct cap_data {
	u32 effective, permitted, inheritable;
};

/* The number of words in this version of the header. -EINVAL: it is unknown, and the preferred version was stored
 * there. */
static long cap_words(unsigned long user, struct cap_header *h)
{
	u32 right = CAP_VERSION_3;

	if (copy_from_user(h, user, sizeof(*h)))
		return -EFAULT;
	if (h->version == CAP_VERSION_1)
		return 1;
	if (h->version == CAP_VERSION_2 || h->version == CAP_VERSION_3)
		return 2;
	return copy_to_user(user, &right, sizeof(right)) ? -EFAULT : -EINVAL;
}

long sys_capget(struct pt_regs *r)
{
	struct cap_data d[2] = {0};
	struct cap_header h;
	long words = cap_words(r->rdi, &h);
	u64 effective, permitted, inheritable;
	const struct cred *c;
	unsigned long flags;
	struct task *t;

	if (words < 0) /* without a buffer for the answer the call only asks for the version */
		return words == -EINVAL && !r->rsi ? 0 : words;
	if (h.pid < 0)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	t = h.pid ? find_task(h.pid) : current;
	c = t ? t->cred ? t->cred : &init_cred : NULL;
	if (c) {
		effective = c->effective;
		permitted = c->permitted;
		inheritable = c->inheritable;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!c)
		return -ESRCH;
	for (u32 i = 0; i < 2; i++)
		d[i] = (struct cap_data){effective >> 32 * i, permitted >> 32 * i,
					 inheritable >> 32 * i};
	return r->rsi && copy_to_user(r->rsi, d, words * sizeof(d[0])) ? -EFAULT : 0;
}

long sys_capset(struct pt_regs *r)
{
	struct cap_data d[2] = {0};
	struct cap_header h;
	long words = cap_words(r->rdi, &h);
	const struct cred *old = current_cred();
	u64 effective, permitted, inheritable;
	struct cred *c;

	if (words < 0)
		return words;
	if (h.pid && h.pid != current->pid)
		return -EPERM;
	if (copy_from_user(d, r->rsi, words * sizeof(d[0])))
		return -EFAULT;
	effective = (d[0].effective | (u64)d[1].effective << 32) & CAP_ALL;
	permitted = (d[0].permitted | (u64)d[1].permitted << 32) & CAP_ALL;
	inheritable = (d[0].inheritable | (u64)d[1].inheritable << 32) & CAP_ALL;
	if (inheritable & ~(old->inheritable | old->permitted) && !capable(CAP_SETPCAP))
		return -EPERM;
	if (inheritable & ~(old->inheritable | old->bounding) || permitted & ~old->permitted ||
	    effective & ~permitted)
		return -EPERM;
	c = cred_prepare();
	if (!c)
		return -ENOMEM;
	c->effective = effective;
	c->permitted = permitted;
	c->inheritable = inheritable;
	c->ambient &= permitted & inheritable;
	cred_commit(c);
	return 0;
}

/* ---- execve ----------------------------------------------------------------------------------- */

struct cred *cred_for_exec(const struct program_owner *owner, bool *secure)
{
	const struct cred *old = current_cred();
	struct cred *c = cred_prepare();
	u32 mode = owner->mode;
	bool root;

	if (!c)
		return NULL;
	if (old->no_new_privs)
		mode &= ~(S_ISUID | S_ISGID);
	if (mode & S_ISUID)
		c->euid = owner->uid;
	if ((mode & (S_ISGID | 0010)) == (S_ISGID | 0010))
		c->egid = owner->gid;
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	c->keep_caps = false;
	root = !c->uid || !c->euid;
	c->permitted = root ? (c->inheritable | c->bounding) : c->ambient;
	c->effective = !c->euid ? c->permitted : root ? 0 : c->ambient;
	*secure = c->euid != old->uid || c->egid != old->gid || c->uid != c->euid ||
		  c->gid != c->egid;
	return c;
}
