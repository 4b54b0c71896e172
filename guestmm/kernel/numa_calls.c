/*
 * System calls about nodes: sets of nodes from and to user memory, rights, and the loop of move_pages(2).
 * The work is in mm/numa. The order of the checks is that of Linux 6.1 (mm/mempolicy.c, mm/migrate.c).
 *
 * There are no cpusets: every process may use all nodes that have memory.
 */
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "kernel/process.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/numa/mempolicy.h"
#include "mm/phys/zone.h"
#include "mm/reclaim/lru.h"
#include "mm/virt/mm.h"

/* ---- sets of nodes ---------------------------------------------------------------------------- */

/* A user's set may be longer than ours. Check that the words beyond ours are 0, up to `bits` bits in all. */
static int check_beyond(unsigned long at, unsigned long bits)
{
	for (unsigned long bit = MAX_NUMNODES; bit < bits; bit += 64) {
		u64 word;

		if (copy_from_user(&word, at + bit / 8, sizeof(word)))
			return -EFAULT;
		if (bits - bit < 64)
			word &= (1ull << (bits - bit)) - 1;
		if (word)
			return -EINVAL;
	}
	return 0;
}

/* Read a set from user memory. The set has maxnode - 1 bits, as in Linux, because libnuma always passes one more. */
static int get_nodes(struct nodemask *nodes, unsigned long at, unsigned long maxnode)
{
	unsigned long bits = maxnode - 1;
	int err;

	*nodes = (struct nodemask){0};
	if (!bits || !at)
		return 0;
	if (bits > PAGE_SIZE * 8)
		return -EINVAL;
	err = check_beyond(at, bits);
	if (err)
		return err;
	bits = min(bits, (unsigned long)MAX_NUMNODES);
	if (copy_from_user(nodes->bits, at, DIV_ROUND_UP(bits, 64) * 8))
		return -EFAULT;
	if (bits % 64)
		nodes->bits[bits / 64] &= (1ull << bits % 64) - 1;
	return 0;
}

static int put_nodes(unsigned long at, unsigned long maxnode, u64 nodes)
{
	unsigned long bytes = ALIGN_UP(maxnode - 1, 64ul) / 8;

	if (bytes > sizeof(nodes)) {
		if (bytes > PAGE_SIZE)
			return -EINVAL;
		if (clear_user(at + sizeof(nodes), bytes - sizeof(nodes)))
			return -EFAULT;
		bytes = sizeof(nodes);
	}
	return copy_to_user(at, &nodes, bytes) ? -EFAULT : 0;
}

/* ---- policies --------------------------------------------------------------------------------- */

long sys_set_mempolicy(struct pt_regs *r)
{
	struct mempolicy *pol;
	struct nodemask nodes;
	u16 mode, flags;
	int err;

	err = mpol_parse_mode((u32)r->rdi, &mode, &flags);
	if (!err)
		err = get_nodes(&nodes, r->rsi, r->rdx);
	if (!err)
		err = mpol_new(mode, flags, &nodes, &pol);
	if (!err)
		mempolicy_set_task(pol);
	return err;
}

long sys_mbind(struct pt_regs *r)
{
	unsigned int move = (u32)r->r9;
	struct nodemask nodes;
	u16 mode, flags;
	int err;

	err = mpol_parse_mode((u32)r->rdx, &mode, &flags);
	if (!err)
		err = get_nodes(&nodes, r->r10, r->r8);
	if (err)
		return err;
	if (move & ~(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	if ((move & MPOL_MF_MOVE_ALL) && !capable(CAP_SYS_NICE))
		return -EPERM;
	return do_mbind(current->mm, r->rdi, r->rsi, mode, flags, &nodes, move);
}

long sys_set_mempolicy_home_node(struct pt_regs *r)
{
	if (r->r10)
		return -EINVAL;
	return do_set_home_node(current->mm, r->rdi, r->rsi, r->rdx);
}

/* The answer of get_mempolicy() about a policy: its mode in *word, its nodes in *nodes. */
static int describe_policy(struct mempolicy *pol, unsigned long addr, unsigned long flags,
			   u32 *word, u64 *nodes)
{
	const bool of_task = !(flags & MPOL_F_ADDR);
	int nid;

	*nodes = mpol_shown_nodes(pol);
	if (!(flags & MPOL_F_NODE)) {
		*word = pol ? pol->mode | pol->flags : MPOL_DEFAULT;
		return 0;
	}
	if (!of_task) {
		nid = node_of_address(current->mm, addr);
		*word = (u32)nid;
		return nid < 0 ? nid : 0;
	}
	if (!pol || (pol->mode != MPOL_INTERLEAVE && pol->mode != MPOL_WEIGHTED_INTERLEAVE))
		return -EINVAL;
	*word = mempolicy_next_node(pol);
	return 0;
}

long sys_get_mempolicy(struct pt_regs *r)
{
	unsigned long mask = r->rsi, maxnode = r->rdx, addr = r->r10, flags = r->r8;
	struct mempolicy *pol = NULL;
	u64 nodes = 0;
	u32 word = 0;
	int err = 0;

	if (mask && maxnode < nr_node_ids)
		return -EINVAL;
	if (flags & ~(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (flags & MPOL_F_MEMS_ALLOWED) {
		if (flags & (MPOL_F_NODE | MPOL_F_ADDR))
			return -EINVAL;
		nodes = memory_nodes;
	} else {
		if (flags & MPOL_F_ADDR)
			err = mempolicy_at(current->mm, addr, &pol);
		else if (addr)
			err = -EINVAL;
		else
			pol = mempolicy_get_task(current_thread_info());
		if (!err)
			err = describe_policy(pol, addr, flags, &word, &nodes);
		mpol_put(pol);
	}
	if (err)
		return err;
	if (r->rdi && copy_to_user(r->rdi, &word, sizeof(word)))
		return -EFAULT;
	return mask ? put_nodes(mask, maxnode, nodes) : 0;
}

/* ---- moving ----------------------------------------------------------------------------------- */

/* The address space of a process, with a reference; pid 0: the caller's. 0, -ESRCH, -EPERM (the caller may not inspect
 * it), -EINVAL (a kernel thread has none). */
static int get_others_mm(int pid, struct mm_struct **mm)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct task *t = pid ? find_task(pid) : current;
	int err = 0, leader = 0;

	if (!t)
		err = -ESRCH;
	else if (!t->proc)
		err = capable(CAP_SYS_PTRACE) ? -EINVAL : -EPERM;
	else if (t->proc != current->proc && !same_user(t->proc) && !capable(CAP_SYS_PTRACE))
		err = -EPERM;
	else
		leader = t->proc->pid;
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (err)
		return err;
	*mm = process_get_mm(leader);
	return *mm ? 0 : -EINVAL;
}

long sys_migrate_pages(struct pt_regs *r)
{
	struct nodemask from, to;
	struct mm_struct *mm;
	u32 targets;
	long ret;

	ret = get_nodes(&from, r->rdx, r->rsi);
	if (!ret)
		ret = get_nodes(&to, r->r10, r->rsi);
	if (!ret)
		ret = get_others_mm((int)r->rdi, &mm);
	if (ret)
		return ret;
	targets = (u32)to.bits[0] & memory_nodes;
	for (unsigned int i = 0; i < ARRAY_SIZE(to.bits) && !ret; i++)
		if ((to.bits[i] & ~(i ? 0 : (u64)memory_nodes)) && !capable(CAP_SYS_NICE))
			ret = -EPERM;
	if (!ret && !targets)
		ret = -EINVAL;
	if (!ret)
		ret = do_migrate_pages(mm, (u32)from.bits[0], targets,
				       capable(CAP_SYS_NICE) ? MIGRATE_SHARED_TOO : MIGRATE_OWN);
	mmput(mm);
	return ret;
}

/* One move_pages() call. Consecutive pages for the same node are moved together. */
struct move {
	struct mm_struct *mm;
	unsigned long pages, nodes, status; /* user addresses */
	unsigned long nr;
	enum migrate_whose whose;
	int node;	     /* target node of the pages on `list`, or NUMA_NO_NODE */
	unsigned long start; /* the first of them */
	struct list_head list;
	unsigned long first, read; /* elements [first, read) are in these buffers: */
	unsigned long addr[MOVE_CHUNK];
	int to[MOVE_CHUNK];
};

static int store_status(const struct move *m, unsigned long i, int value, unsigned long n)
{
	int values[MOVE_CHUNK];

	for (unsigned long k = 0; k < min(n, MOVE_CHUNK); k++)
		values[k] = value;
	while (n) {
		const unsigned long now = min(n, MOVE_CHUNK);

		if (copy_to_user(m->status + i * sizeof(int), values, now * sizeof(int)))
			return -EFAULT;
		n -= now;
		i += now;
	}
	return 0;
}

static bool read_moves(struct move *m, unsigned long i, unsigned long n)
{
	m->first = i;
	m->read = i + n;
	return !copy_from_user(m->addr, m->pages + i * sizeof(*m->addr), n * sizeof(*m->addr)) &&
	       !copy_from_user(m->to, m->nodes + i * sizeof(*m->to), n * sizeof(*m->to));
}

/* Read page i and its node from user memory, and some elements after them. An element that cannot be read is an error
 * only when it is reached, so the pages before it are still moved. */
static int read_nth(struct move *m, unsigned long i)
{
	if (i < m->read)
		return 0;
	if (likely(read_moves(m, i, min(m->nr - i, MOVE_CHUNK))) || read_moves(m, i, 1))
		return 0;
	return -EFAULT;
}

/* Move the pages on the list, which are from elements [start, i). Returns 0; the number of pages that did not move or
 * were not tried; or -errno. */
static long flush_moves(struct move *m, unsigned long i)
{
	long err;

	if (list_empty(&m->list))
		return 0;
	err = move_list_to_node(&m->list, m->node);
	if (err > 0)
		return err + (long)(m->nr - i);
	if (err)
		return err;
	return store_status(m, m->start, m->node, i - m->start);
}

/* Add page *i, and the pages after it with the same target node, to the list. Stop after the first page that is not
 * added. *i becomes the next element. Not 0: the call ends at *i with this result, as of flush_moves(). */
static long move_run(struct move *m, unsigned long *i)
{
	const unsigned long k = *i - m->first;
	const int node = m->to[k];
	unsigned long n = 1;
	int taken;
	long err;

	while (*i + n < m->read && m->to[k + n] == node)
		n++;
	if (m->node != NUMA_NO_NODE && node != m->node) {
		err = flush_moves(m, *i);
		if (err)
			return err;
		m->node = NUMA_NO_NODE;
	}
	if (m->node == NUMA_NO_NODE) {
		m->node = node;
		m->start = *i;
	}
	*i += move_pages_isolate(m->mm, m->addr + k, n, node, m->whose, &m->list, &taken);
	if (taken > 0)
		return 0;
	err = store_status(m, *i, taken ? taken : m->node, 1);
	if (err)
		return err;
	err = flush_moves(m, *i);
	if (err)
		return err > 0 ? err - 1 : err; /* page *i has been counted */
	m->node = NUMA_NO_NODE;
	++*i;
	return 0;
}

static long move_pages(struct move *m)
{
	unsigned long i = 0;
	long err = 0, last;

	lru_add_drain_all();
	while (i < m->nr) {
		int node;

		err = read_nth(m, i);
		if (err)
			break;
		node = m->to[i - m->first];
		err = -ENODEV;
		if (node < 0 || node >= MMVM_MAX_NODES || !(memory_nodes & 1u << node))
			break;
		err = move_run(m, &i);
		if (err) {
			if (!list_empty(&m->list))
				break;
			return err;
		}
		cond_resched();
	}
	last = flush_moves(m, i);
	return err >= 0 ? last : err;
}

static long report_nodes(const struct move *m)
{
	for (unsigned long i = 0; i < m->nr; i++) {
		unsigned long addr;

		if (copy_from_user(&addr, m->pages + i * sizeof(addr), sizeof(addr)) ||
		    store_status(m, i, page_node_at(m->mm, addr), 1))
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

long sys_move_pages(struct pt_regs *r)
{
	struct move m = {.nr = r->rsi,
			 .pages = r->rdx,
			 .nodes = r->r10,
			 .status = r->r8,
			 .whose = r->r9 & MPOL_MF_MOVE_ALL ? MIGRATE_SHARED_TOO : MIGRATE_OWN,
			 .node = NUMA_NO_NODE,
			 .list = LIST_HEAD_INIT(m.list)};
	long ret;

	if ((u32)r->r9 & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	if (m.whose == MIGRATE_SHARED_TOO && !capable(CAP_SYS_NICE))
		return -EPERM;
	ret = get_others_mm((int)r->rdi, &m.mm);
	if (ret)
		return ret;
	ret = m.nodes ? move_pages(&m) : report_nodes(&m);
	mmput(m.mm);
	return ret;
}
