/*
 * /proc/mounts and /proc/self/mountinfo: one line for each mount.
 *
 * Locks: mount_mutex while the lines are written.
 */
#include "fs/internal.h"
#include "mm/phys/alloc.h"

struct flag_name {
	u32 flag;
	const char *text;
};

static void report_names(struct report *r, u32 flags, const struct flag_name *names, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (flags & names[i].flag)
			report_printf(r, "%s", names[i].text);
}

/* ",nosuid,noexec,relatime", in Linux's order. */
static void report_mount_flags(struct report *r, struct mount *m)
{
	static const struct flag_name names[] = {
		{MS_NOSUID, ",nosuid"},		  {MS_NODEV, ",nodev"},
		{MS_NOEXEC, ",noexec"},		  {MS_NOATIME, ",noatime"},
		{MS_NODIRATIME, ",nodiratime"},	  {MS_RELATIME, ",relatime"},
		{MS_NOSYMFOLLOW, ",nosymfollow"},
	};
	u32 flags = READ_ONCE(m->flags);

	if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
		flags |= MS_RELATIME;
	report_names(r, flags, names, ARRAY_SIZE(names));
}

static void report_sb_flags(struct report *r, const struct super_block *sb)
{
	static const struct flag_name names[] = {
		{MS_SYNCHRONOUS, ",sync"},
		{MS_DIRSYNC, ",dirsync"},
		{MS_MANDLOCK, ",mand"},
		{MS_LAZYTIME, ",lazytime"},
	};

	report_names(r, READ_ONCE(sb->flags), names, ARRAY_SIZE(names));
}

/* Write a line for each mount that the reader can reach, with the name of its place. */
static void report_each_mount(struct report *r,
			      void (*line)(struct report *r, struct mount *m, const char *name))
{
	char *buf = (char *)__get_free_pages(GFP_KERNEL, 0);
	struct mount *m;

	if (!buf)
		return;
	mutex_lock(&mount_mutex);
	list_for_each_entry (m, &mounts, list) {
		struct path p = {m, m->root};
		const char *name;
		bool reachable;

		spin_lock(&dcache_lock);
		reachable = mount_is_reachable(m, &current_fs()->root);
		spin_unlock(&dcache_lock);
		if (!reachable)
			continue;
		name = path_name(&p, buf, PAGE_SIZE);
		line(r, m, name ? name : "?");
	}
	mutex_unlock(&mount_mutex);
	free_pages((unsigned long)buf, 0);
}

static void mounts_line(struct report *r, struct mount *m, const char *name)
{
	report_printf(r, "%s %s %s %s", m->source, name, m->sb->type->name,
		      mount_read_only(m) ? "ro" : "rw");
	report_sb_flags(r, m->sb);
	report_mount_flags(r, m);
	if (m->sb->ops->show_options)
		m->sb->ops->show_options(r, m->sb);
	report_printf(r, " 0 0\n");
}

void report_mounts(struct report *r)
{
	report_each_mount(r, mounts_line);
}

/* The root of the mount within its file system: "/" except for bind mounts. */
static void report_mount_root(struct report *r, struct mount *m)
{
	struct mount whole = {.root = m->sb->root_dentry};
	struct path p = {&whole, m->root};
	char *buf = (char *)__get_free_pages(GFP_KERNEL, 0);
	const char *name = buf ? path_name(&p, buf, PAGE_SIZE) : NULL;

	report_printf(r, "%s", name ? name : "?");
	free_pages((unsigned long)buf, 0);
}

static void mountinfo_line(struct report *r, struct mount *m, const char *name)
{
	report_printf(r, "%d %d %u:%u ", m->id, m->parent ? m->parent->id : m->id,
		      (u32)(m->sb->dev >> 8 & 0xfff),
		      (u32)(m->sb->dev & 0xff) | (u32)(m->sb->dev >> 12 & 0xfff00));
	report_mount_root(r, m);
	report_printf(r, " %s %s", name, m->read_only ? "ro" : "rw");
	report_mount_flags(r, m);
	mount_report_type(r, m);
	report_printf(r, " - %s %s %s", m->sb->type->name, m->source,
		      m->sb->read_only ? "ro" : "rw");
	report_sb_flags(r, m->sb);
	if (m->sb->ops->show_options)
		m->sb->ops->show_options(r, m->sb);
	report_printf(r, "\n");
}

void report_mountinfo(struct report *r)
{
	report_each_mount(r, mountinfo_line);
}
