/*
 * The files that every control group has, whatever its controllers. Formats and errors:
 * Documentation/admin-guide/cgroup-v2.rst, "Core Interface Files".
 *
 * Not built, and therefore not listed: cgroup.freeze, threaded groups (cgroup.type is always "domain"; a thread cannot
 * be moved alone).
 */
#include "fs/cgroup/cgroupfs.h"
#include "kernel/process.h"
#include "kernel/psi.h"
#include "lib/errno.h"
#include "lib/string.h"

#define NO_LIMIT (~0ull)

/* Parse a text that is a decimal number. 0 or -EINVAL. */
static int parse_number(const char *text, u64 *out)
{
	u64 n = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || n > 0x7fffffff)
			return -EINVAL;
		n = n * 10 + (*text - '0');
	}
	*out = n;
	return 0;
}

/* A decimal number with a sign, as Linux's kstrtoint(). */
static int parse_int(const char *text, s64 *out)
{
	bool minus = *text == '-';
	u64 n;
	int err = parse_number(text + (minus || *text == '+'), &n);

	if (!err)
		*out = minus ? -(s64)n : (s64)n;
	return err;
}

static void show_type(struct report *r, struct cgroup *cg)
{
	report_printf(r, "domain\n");
}

static int write_type(struct cgroup *cg, const char *text)
{
	return strcmp(text, "threaded") ? -EINVAL : -EOPNOTSUPP;
}

static void show_controllers(struct report *r, struct cgroup *cg)
{
	report_printf(r, "%s\n", cg->owns_memcg && !memcg_disabled ? "memory" : "");
}

static void show_subtree_control(struct report *r, struct cgroup *cg)
{
	report_printf(r, "%s\n", cg->memory_for_children ? "memory" : "");
}

/* "+memory" or "-memory". Of several words the last one counts. */
static int write_subtree_control(struct cgroup *cg, const char *text)
{
	int want = -1;

	while (*text) {
		const char *end = text;

		while (*end && *end != ' ')
			end++;
		if (end == text) {
			text++;
			continue;
		}
		if (end - text != 7 || memcmp(text + 1, "memory", 6) ||
		    (text[0] != '+' && text[0] != '-') || memcg_disabled)
			return -EINVAL;
		want = text[0] == '+';
		text = end;
	}
	return want < 0 ? 0 : cgroup_enable_memory(cg, want);
}

static void show_procs(struct report *r, struct cgroup *cg)
{
	for (int pid = cgroup_next_pid(cg, 0); pid >= 0; pid = cgroup_next_pid(cg, pid + 1))
		report_printf(r, "%d\n", pid);
}

int cgroup_parse_pid(const char *text, int *pid)
{
	u64 n;
	int err = parse_number(text, &n);

	if (!err)
		*pid = n ? (int)n : current_process()->pid;
	return err;
}

static int write_procs(struct cgroup *cg, const char *text)
{
	int pid, err = cgroup_parse_pid(text, &pid);

	return err ? err : cgroup_attach(cg, pid);
}

static void show_threads(struct report *r, struct cgroup *cg)
{
	unsigned long flags;
	struct task *t;

	/* Take a few pids at a time, because the text is written without the list's lock. */
	for (int last = 0;;) {
		int next = -1;

		flags = spin_lock_irqsave(&task_list_lock);
		list_for_each_entry (t, &task_list, tasks) {
			if (t->proc && t->proc->cgroup == cg && t->pid > last &&
			    (next < 0 || t->pid < next))
				next = t->pid;
		}
		spin_unlock_irqrestore(&task_list_lock, flags);
		if (next < 0)
			break;
		report_printf(r, "%d\n", next);
		last = next;
	}
}

static int write_threads(struct cgroup *cg, const char *text)
{
	return -EOPNOTSUPP;
}

static void show_events(struct report *r, struct cgroup *cg)
{
	report_printf(r, "populated %d\n", READ_ONCE(cg->nr_populated) != 0);
}

static void show_limit(struct report *r, u64 limit)
{
	if (limit == NO_LIMIT)
		report_printf(r, "max\n");
	else
		report_printf(r, "%lu\n", (unsigned long)limit);
}

static int set_limit(u64 *limit, const char *text)
{
	u64 n = NO_LIMIT;
	int err;

	if (text[0] == '-' && !parse_number(text + 1, &n))
		return -ERANGE;
	n = NO_LIMIT;
	err = strcmp(text, "max") ? parse_number(text, &n) : 0;

	if (!err)
		*limit = n;
	return err;
}

static void show_max_descendants(struct report *r, struct cgroup *cg)
{
	show_limit(r, cg->max_descendants);
}

static int write_max_descendants(struct cgroup *cg, const char *text)
{
	return set_limit(&cg->max_descendants, text);
}

static void show_max_depth(struct report *r, struct cgroup *cg)
{
	show_limit(r, cg->max_depth);
}

static int write_max_depth(struct cgroup *cg, const char *text)
{
	return set_limit(&cg->max_depth, text);
}

static void show_cgroup_stat(struct report *r, struct cgroup *cg)
{
	report_printf(r, "nr_descendants %u\n", cg->nr_descendants);
	report_printf(r, "nr_dying_descendants %u\n", mem_cgroup_nr_offline(cg->memcg));
}

static int write_kill(struct cgroup *cg, const char *text)
{
	s64 n;
	int err = parse_int(text, &n);

	if (err)
		return err;
	if (n != 1)
		return -ERANGE;
	cgroup_kill(cg);
	return 0;
}

static void show_pressure_switch(struct report *r, struct cgroup *cg)
{
	report_printf(r, "%d\n", psi_group_is_on(cg->psi));
}

static int write_pressure_switch(struct cgroup *cg, const char *text)
{
	s64 n;
	int err = parse_int(text, &n);

	if (err)
		return err;
	if (n != 0 && n != 1)
		return -ERANGE;
	psi_group_switch(cg->psi, n);
	return 0;
}

const struct cgroup_file cgroup_files[] = {
	{"cgroup.type", .show = show_type, .write = write_type},
	{"cgroup.procs", .on_root = true, .moves = true, .show = show_procs, .write = write_procs},
	{"cgroup.threads", .on_root = true, .show = show_threads, .write = write_threads},
	{"cgroup.controllers", .on_root = true, .show = show_controllers},
	{"cgroup.subtree_control", .on_root = true, .show = show_subtree_control,
	 .write = write_subtree_control},
	{"cgroup.events", .notifies = true, .show = show_events},
	{"cgroup.max.descendants", .on_root = true, .show = show_max_descendants,
	 .write = write_max_descendants},
	{"cgroup.max.depth", .on_root = true, .show = show_max_depth, .write = write_max_depth},
	{"cgroup.stat", .on_root = true, .show = show_cgroup_stat},
	{"cgroup.kill", .write = write_kill},
	{"io.pressure", .on_root = true, .pressure = PSI_IO + 1},
	{"memory.pressure", .on_root = true, .pressure = PSI_MEM + 1},
	{"cpu.pressure", .on_root = true, .pressure = PSI_CPU + 1},
	{"cgroup.pressure", .on_root = true, .show = show_pressure_switch,
	 .write = write_pressure_switch},
	{.name = NULL},
};
