/*
 * Propagation of mounts: which mounts receive a copy of what is mounted on another mount (mount(2), MS_SHARED,
 * MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE).
 *
 *   group 1:   A <──peers──> B         mounted on A: on B, S, T and U as well
 *              │             │         mounted on S: on T and U as well
 *   group 2:   S <──> T      U         mounted on U: there alone
 *
 * A shared mount and its peers are a group. A slave receives from its master's group, but mounts on the slave are not
 * propagated to the master. A slave may be shared with peers of its own, which have the same master. Each receiver gets
 * a copy of the mounted tree. The copies are related like their places: those on A and B are peers; those on S and T
 * are peers in another group, a slave of the first; the one on U is a slave.
 *
 * P1  Peers are in a ring, have one group number, are `shared`, and have masters of one group.
 * P2  m->slave is in m->master->slaves, or is empty and m->master NULL.
 * P3 Only mounts in the tree, and copies that are about to be attached (m->list is empty), are peers or masters.
 *     Copies do not receive yet.
 * P4  m->received is NULL, m->receive and m->going are empty between calls.
 *
 * Numbers of groups are not reused.
 *
 * Locks: mount_mutex for groups; dcache_lock, too, where the tree is walked while names are looked up.
 */
#include "fs/internal.h"

static int next_group = 1; /* mount_mutex */

/* ---- groups ----------------------------------------------------------------------------------- */

static void set_master(struct mount *m, struct mount *master)
{
	m->master = master;
	list_del_init(&m->slave);
	if (master)
		list_add(&m->slave, &master->slaves);
}

/* The mount that becomes master of m's slaves when m leaves its group: a peer, if possible one with the same root. */
static struct mount *heir(struct mount *m)
{
	struct mount *p;

	if (list_empty(&m->peers))
		return m->master;
	list_for_each_entry (p, &m->peers, peers) {
		if (p->root == m->root)
			return p;
	}
	return list_first_entry(&m->peers, struct mount, peers);
}

/* Take m out of its group. It becomes a slave of the group or, if it was alone, of its old master. So do its slaves. */
static void make_slave(struct mount *m)
{
	struct mount *master = heir(m);

	while (!list_empty(&m->slaves))
		set_master(list_first_entry(&m->slaves, struct mount, slave), master);
	set_master(m, master);
	list_del_init(&m->peers);
	m->group = 0;
	m->shared = false;
}

void mount_set_type(struct mount *m, u32 type)
{
	if (type == MS_SHARED) {
		m->shared = true;
		m->unbindable = false;
		return;
	}
	make_slave(m);
	if (type == MS_SLAVE)
		return;
	set_master(m, NULL);
	m->unbindable = type == MS_UNBINDABLE;
}

void mount_join(struct mount *copy, struct mount *from, u32 how)
{
	copy->unbindable = from->unbindable;
	if (how & COPY_SLAVE) {
		set_master(copy, from);
	} else {
		set_master(copy, from->master);
		if (from->shared || how & COPY_SHARED) {
			copy->shared = true;
			copy->group = from->group;
			list_add(&copy->peers, &from->peers);
		}
	}
	if (!(how & COPY_SHARED))
		return;
	if (!copy->group)
		copy->group = next_group++;
	mount_set_type(copy, MS_SHARED);
}

static void number_groups(struct mount *m)
{
	if (!m->group)
		m->group = next_group++;
}

int mount_change_type(const struct path *at, u32 flags)
{
	u32 type = flags & ~(MS_REC | MS_SILENT);
	struct mount *top = at->mnt, *m;

	if (at->dentry != top->root)
		return -EINVAL;
	if (type != MS_SHARED && type != MS_PRIVATE && type != MS_SLAVE && type != MS_UNBINDABLE)
		return -EINVAL;
	for (m = top; m; m = flags & MS_REC ? mount_next(m, top) : NULL) {
		if (type == MS_SHARED)
			number_groups(m);
		mount_set_type(m, type);
	}
	return 0;
}

/* ---- who receives ----------------------------------------------------------------------------- */

static void add_receiver(struct mount *m, struct list_head *receivers)
{
	if (list_empty(&m->receive) && !list_empty(&m->list))
		list_add_tail(&m->receive, receivers);
}

/* Link by `receive` the mounts, except m, that receive what is mounted on `point` of m: its peers, the slaves of the
 * group, their peers, and so on, if `point` is visible in them. A group comes before its slaves. dcache_lock held. */
static void collect_receivers(struct mount *m, const struct dentry *point,
			      struct list_head *receivers)
{
	struct mount *r, *other, *next;

	list_add_tail(&m->receive, receivers);
	list_for_each_entry (r, receivers, receive) {
		list_for_each_entry (other, &r->peers, peers)
			add_receiver(other, receivers);
		list_for_each_entry (other, &r->slaves, slave)
			add_receiver(other, receivers);
	}
	list_del_init(&m->receive);
	list_for_each_entry_safe (r, next, receivers, receive) {
		if (!d_is_ancestor(r->root, point))
			list_del_init(&r->receive);
	}
}

static void forget_receivers(struct list_head *receivers)
{
	while (!list_empty(receivers)) {
		struct mount *r = list_first_entry(receivers, struct mount, receive);

		r->received = NULL;
		list_del_init(&r->receive);
	}
}

/* The copy that m or one of its peers has received; for `first` that is `top` itself. NULL: there is none. */
static struct mount *received_by_group(struct mount *m, const struct mount *first,
				       struct mount *top)
{
	struct mount *p = m;

	do {
		if (p == first)
			return top;
		if (p->received)
			return p->received;
		p = list_entry(p->peers.next, struct mount, peers);
	} while (p != m);
	return NULL;
}

/* Make r's copy, from the one that its group has received. If r is the first of its group: from that of its master's
 * group. */
static struct mount *copy_for(struct mount *r, const struct mount *first, struct mount *top)
{
	struct mount *m, *from = received_by_group(r, first, top);
	u32 how = COPY_SHARED;

	if (!from) {
		how = COPY_SLAVE | (r->shared ? COPY_SHARED : 0);
		for (m = r->master; !from; m = m->master)
			from = received_by_group(m, first, top);
	}
	return mount_copy(&(struct path){from, from->root}, true, how);
}

int mount_propagate(struct mount *top, const struct path *at, struct list_head *receivers)
{
	struct mount *m, *r;
	int err = 0;

	for (m = top; m; m = mount_next(m, top))
		number_groups(m);
	spin_lock(&dcache_lock);
	collect_receivers(at->mnt, at->dentry, receivers);
	spin_unlock(&dcache_lock);
	list_for_each_entry (r, receivers, receive) {
		struct mount *copy = copy_for(r, at->mnt, top);

		if (IS_ERR(copy)) {
			err = PTR_ERR(copy);
			break;
		}
		r->received = copy;
	}
	if (err)
		mount_propagate_end(top, receivers, false);
	return err;
}

void mount_propagate_end(struct mount *top, struct list_head *receivers, bool attached)
{
	struct mount *m, *r;

	if (!attached) {
		list_for_each_entry (r, receivers, receive) {
			if (r->received)
				unmake_tree(r->received);
		}
	}
	forget_receivers(receivers);
	for (m = top; m; m = mount_next(m, top)) {
		if (attached)
			mount_set_type(m, MS_SHARED);
		else if (!m->shared)
			m->group = 0;
	}
}

/* ---- unmounting ------------------------------------------------------------------------------- */

/* The mount that covers m's root, if nothing else is mounted on m. */
static struct mount *only_top(const struct mount *m)
{
	struct mount *c = list_empty(&m->children)
				  ? NULL
				  : list_first_entry(&m->children, struct mount, child);

	return c && c->child.next == &m->children && c->point == m->root ? c : NULL;
}

/* A propagated copy that has mounts on it is not unmounted, so it does not count as busy. */
bool mount_is_busy(struct mount *m, int own)
{
	LIST_HEAD(receivers);
	struct mount *r;
	bool busy = m->refs > 1 + own; /* each mount on it has a reference, too */

	if (busy)
		return true;
	collect_receivers(m->parent, m->point, &receivers);
	list_for_each_entry (r, &receivers, receive) {
		struct mount *copy = mounted_at(r, m->point);

		if (!copy)
			continue;
		if (list_empty(&copy->children))
			busy |= copy->refs > 1;
		else if (only_top(copy))
			busy |= copy->refs > 2;
	}
	forget_receivers(&receivers);
	return busy;
}

/* Do mounts on m stay, so that m must stay, too? A mount that covers the whole of m does not count. */
static bool keeps_children(const struct mount *m)
{
	const struct mount *c;

	list_for_each_entry (c, &m->children, child) {
		if (c->point != m->root && list_empty(&c->going))
			return true;
	}
	return false;
}

void mount_collect(struct mount *top, struct list_head *going)
{
	LIST_HEAD(receivers);
	LIST_HEAD(copies);
	struct mount *m, *r, *next;
	bool changed;

	for (m = top; m; m = mount_next(m, top))
		list_add_tail(&m->going, going);
	list_for_each_entry (m, going, going) {
		collect_receivers(m->parent, m->point, &receivers);
		list_for_each_entry (r, &receivers, receive) {
			struct mount *copy = mounted_at(r, m->point);

			if (copy && list_empty(&copy->going))
				list_add_tail(&copy->going, &copies);
		}
		forget_receivers(&receivers);
	}
	do { /* if a mount stays, the mount below it stays, too */
		changed = false;
		list_for_each_entry_safe (m, next, &copies, going) {
			if (keeps_children(m)) {
				list_del_init(&m->going);
				changed = true;
			}
		}
	} while (changed);
	list_splice_init(&copies, going);
}

/* ---- reporting -------------------------------------------------------------------------------- */

bool mount_is_reachable(const struct mount *m, const struct path *root)
{
	const struct dentry *d = m->root;

	for (; m != root->mnt && m->parent; m = m->parent)
		d = m->point;
	return m == root->mnt && d_is_ancestor(root->dentry, d);
}

/* The nearest master group of which the reader can reach a mount. 0: there is none. */
static int visible_master(const struct mount *m, const struct path *root)
{
	int group = 0;

	spin_lock(&dcache_lock);
	for (struct mount *p = m->master; p && !group; p = p->master) {
		struct mount *peer = p;

		do {
			if (mount_is_reachable(peer, root))
				group = p->group;
			peer = list_entry(peer->peers.next, struct mount, peers);
		} while (peer != p && !group);
	}
	spin_unlock(&dcache_lock);
	return group;
}

void mount_report_type(struct report *r, struct mount *m)
{
	if (m->shared)
		report_printf(r, " shared:%d", m->group);
	if (m->master) {
		int from = visible_master(m, &current_fs()->root);

		report_printf(r, " master:%d", m->master->group);
		if (from && from != m->master->group)
			report_printf(r, " propagate_from:%d", from);
	}
	if (m->unbindable)
		report_printf(r, " unbindable");
}
