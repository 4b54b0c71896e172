/*
 * The state of a process: /proc/PID/stat, statm, status, comm, oom_score.
 *
 * The values are copied under task_list_lock into a snapshot. A reference keeps the process's address space while the
 * text is written. A process that is ending has no address space, so its numbers are 0, like those of a zombie.
 */
#include "fs/proc/proc.h"
#include "fs/tty.h"
#include "kernel/boot_info.h"
#include "kernel/cred.h"
#include "kernel/psi.h"
#include "fs/proc/process_view.h"
#include "kernel/time_calls.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/reclaim/reclaim.h"
#include "mm/swap/swap.h"
#include "mm/phys/alloc.h"
#include "mm/virt/mm.h"
#include "mm/pgtable/pgtable.h"

#define TICKS(ns) ((unsigned long)((ns) / (NSEC_PER_SEC / 100)))

/** The state of a process or thread. */
struct snapshot {
	int pid, tgid, ppid, pgid, sid, nr_threads, oom_score_adj, exit_status, nice, turn, cpu;
	char comm[TASK_COMM_LEN];
	char state;
	u32 tty_nr, ids[8]; /* users, then groups: real, effective, saved, file system */
	int tpgid;
	u64 pending, blocked, ignored, caught, started_ns, nvcsw, nivcsw;
	u64 user_ns, sys_ns, children_ns, children_sys_ns;
	u64 min_flt, maj_flt, children_min_flt, children_maj_flt;
	u32 fd_size, cpus;
	u64 caps[5]; /* inheritable, permitted, effective, bounding, ambient */
	bool no_new_privs;
	struct mm_struct *mm; /* with a reference, or NULL */
};

static void copy_signals(struct snapshot *s, const struct process *p)
{
	s->pending = p->sig_pending.set;
	for (int sig = 1; sig <= NR_SIGNALS; sig++) {
		unsigned long handler = signal_action(p, sig).handler;

		if (handler == SIG_IGN)
			s->ignored |= SIGBIT(sig);
		else if (handler != SIG_DFL)
			s->caught |= SIGBIT(sig);
	}
}

/* Copy the values of one thread, whose times and signals are its own. T held. */
static void copy_thread(struct snapshot *s, const struct task *t)
{
	u64 run_ns = task_run_ns(t);

	s->pid = t->pid;
	s->sys_ns = task_system_ns(t, run_ns);
	s->user_ns = run_ns - s->sys_ns;
	s->pending = t->sig_pending.set;
	memcpy(s->comm, t->comm, sizeof(s->comm));
}

/* Take a snapshot. 0 or -ESRCH. The caller puts s->mm. */
static int take_snapshot(const struct proc_ctx *ctx, struct snapshot *s)
{
	int pid = ctx->pid, which = ctx->tid ? ctx->tid : pid;
	unsigned long flags;
	struct process *p;
	struct task *t;

	memset(s, 0, sizeof(*s));
	flags = spin_lock_irqsave(&task_list_lock);
	p = find_process(pid);
	if (!p) {
		spin_unlock_irqrestore(&task_list_lock, flags);
		return -ESRCH;
	}
	s->pid = s->tgid = pid;
	s->ppid = p->ppid;
	s->pgid = p->pgid;
	s->sid = p->sid;
	s->nr_threads = p->nr_threads;
	s->exit_status = p->exit_status;
	process_times(p, &s->user_ns, &s->sys_ns);
	s->children_sys_ns = p->children_sys_ns;
	process_faults((struct process *)p, &s->min_flt, &s->maj_flt);
	s->children_min_flt = p->children_min_flt;
	s->children_maj_flt = p->children_maj_flt;
	s->children_ns = p->children_run_ns - p->children_sys_ns;
	s->started_ns = p->started_ns;
	memcpy(s->comm, p->comm, sizeof(s->comm));
	s->state = p->zombie ? 'Z' : p->stop_sig && p->nr_stopped == p->nr_live ? 'T' : 'S';
	tty_of_process(p, &s->tty_nr, &s->tpgid);
	copy_signals(s, p);
	list_for_each_entry (t, &p->threads, thread) {
		s->oom_score_adj = t->oom_score_adj;
		if (t->pid != which)
			continue;
		if (ctx->tid)
			copy_thread(s, t);
		if (t->cred) {
			memcpy(s->ids, &t->cred->uid, 16);
			memcpy(s->ids + 4, &t->cred->gid, 16);
			memcpy(s->caps, &t->cred->inheritable, sizeof(s->caps));
			s->no_new_privs = t->cred->no_new_privs;
		}
		/* As in Linux, the state of the first thread. */
		if (READ_ONCE(t->state) == TASK_RUNNING && s->state == 'S')
			s->state = 'R';
		else if (READ_ONCE(t->psi[PSI_IO]) && s->state == 'S')
			s->state = 'D';
		s->nvcsw = READ_ONCE(t->nvcsw);
		s->nivcsw = READ_ONCE(t->nivcsw);
		s->blocked = t->sig_blocked;
		s->nice = t->nice;
		s->turn = t->turn == TURN_IDLE ? t->nice : t->turn;
		s->cpus = t->cpus;
		s->cpu =
			t->ti ? READ_ONCE(t->ti->cpu) : 0; /* the reaper may have freed its stack */
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	s->mm = process_get_mm(pid);
	s->fd_size = process_fd_end(pid);
	return 0;
}

static void put_snapshot(struct snapshot *s)
{
	if (s->mm)
		mmput(s->mm);
}

/* ---- one line of numbers --------------------------------------------------------------------- */

static u64 mm_pages(const struct snapshot *s)
{
	return s->mm ? s->mm->total_vm : 0;
}

static u64 mm_resident(const struct snapshot *s)
{
	return s->mm ? mm_rss(s->mm) : 0;
}

/* The numbers of fields are those of proc(5). A field that has no meaning here is 0, like obsolete ones in Linux. */
int proc_show_stat(struct report *r, const struct proc_ctx *ctx)
{
	struct snapshot s;
	struct mm_struct *mm;

	if (take_snapshot(ctx, &s))
		return -ESRCH;
	mm = s.mm;
	report_printf(r, "%d (%s) %c %d %d %d %u %d 0 ", s.pid, s.comm, s.state, s.ppid, s.pgid,
		      s.sid, s.tty_nr, s.tpgid); /* 1-9 */
	report_printf(r, "%lu %lu %lu %lu ", (unsigned long)s.min_flt,
		      (unsigned long)s.children_min_flt, (unsigned long)s.maj_flt,
		      (unsigned long)s.children_maj_flt); /* 10-13 */
	report_printf(r, "%lu %lu %lu %lu %d %d %d 0 %lu ", TICKS(s.user_ns), TICKS(s.sys_ns),
		      TICKS(s.children_ns), TICKS(s.children_sys_ns), 20 + s.turn, s.nice,
		      s.nr_threads, TICKS(s.started_ns)); /* 14-22 */
	report_printf(r, "%lu %ld %lu ", (unsigned long)mm_pages(&s) << PAGE_SHIFT,
		      (long)mm_resident(&s), ~0ul); /* 23-25 */
	report_printf(r, "%lu %lu %lu 0 0 ", mm ? mm->start_code : 0, mm ? mm->end_code : 0,
		      mm ? mm->start_stack : 0); /* 26-30 */
	report_printf(r, "%lu %lu %lu %lu 0 0 0 17 %d 0 0 0 0 0 ",
		      (unsigned long)s.pending & 0x7fffffff, (unsigned long)s.blocked & 0x7fffffff,
		      (unsigned long)s.ignored & 0x7fffffff, (unsigned long)s.caught & 0x7fffffff,
		      s.cpu); /* 31-44 */
	report_printf(r, "%lu %lu %lu %lu %lu %lu %lu %d\n", mm ? mm->start_data : 0,
		      mm ? mm->end_data : 0, mm ? mm->start_brk : 0, mm ? mm->arg_start : 0,
		      mm ? mm->arg_end : 0, mm ? mm->env_start : 0, mm ? mm->env_end : 0,
		      s.exit_status); /* 45-52 */
	put_snapshot(&s);
	return 0;
}

static u64 text_pages(const struct mm_struct *mm)
{
	return (ALIGN_UP(mm->end_code, PAGE_SIZE) - ALIGN_DOWN(mm->start_code, PAGE_SIZE)) >>
	       PAGE_SHIFT;
}

int proc_show_statm(struct report *r, const struct proc_ctx *ctx)
{
	struct snapshot s;

	if (take_snapshot(ctx, &s))
		return -ESRCH;
	report_printf(r, "%lu %lu %lu %lu 0 %lu 0\n", (unsigned long)mm_pages(&s),
		      (unsigned long)mm_resident(&s),
		      s.mm ? (unsigned long)(s.mm->rss_file + s.mm->rss_shmem) : 0ul,
		      s.mm ? (unsigned long)text_pages(s.mm) : 0ul,
		      s.mm ? (unsigned long)(s.mm->data_vm + s.mm->stack_vm) : 0ul);
	put_snapshot(&s);
	return 0;
}

/* ---- status ---------------------------------------------------------------------------------- */

static void kb(struct report *r, const char *label, u64 pages)
{
	report_printf(r, "%s:\t%8lu kB\n", label, (unsigned long)(pages << (PAGE_SHIFT - 10)));
}

static void status_memory(struct report *r, struct mm_struct *mm)
{
	u64 rss = mm_rss(mm);

	kb(r, "VmPeak", max(mm->hiwater_vm, mm->total_vm));
	kb(r, "VmSize", mm->total_vm);
	kb(r, "VmLck", mm->locked_vm);
	/* Linux counts here what io_uring, RDMA, VFIO and XDP sockets pin. There is none of them, and pages
	 * that O_DIRECT holds during a transfer are not counted by Linux either. */
	kb(r, "VmPin", 0);
	kb(r, "VmHWM", max((u64)mm->hiwater_rss, rss));
	kb(r, "VmRSS", rss);
	kb(r, "RssAnon", mm->rss_anon);
	kb(r, "RssFile", mm->rss_file);
	kb(r, "RssShmem", mm->rss_shmem);
	kb(r, "VmData", mm->data_vm);
	kb(r, "VmStk", mm->stack_vm);
	kb(r, "VmExe", text_pages(mm));
	kb(r, "VmLib", mm->exec_vm - min(mm->exec_vm, (u64)text_pages(mm)));
	kb(r, "VmPTE", mm->pgtables_bytes >> PAGE_SHIFT);
	kb(r, "VmSwap", mm->rss_swap);
	kb(r, "HugetlbPages", mm->hugetlb_usage);
	report_printf(r, "THP_enabled:\t%d\n", !mm->thp_disabled);
}

static const char *state_name(char state)
{
	return state == 'R'   ? "running"
	       : state == 'D' ? "disk sleep"
	       : state == 'Z' ? "zombie"
	       : state == 'T' ? "stopped"
			      : "sleeping";
}

/* Capabilities, and the existing CPUs on which it may run. */
static void status_rights(struct report *r, const struct snapshot *s)
{
	static const char *const names[] = {"Inh", "Prm", "Eff", "Bnd", "Amb"};
	u32 cpus = s->cpus & (u32)((1ull << boot_info.nr_cpus) - 1), first;
	const char *comma = "";

	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		report_printf(r, "Cap%s:\t%016lx\n", names[i], (unsigned long)s->caps[i]);
	report_printf(r, "NoNewPrivs:\t%d\nCpus_allowed:\t%x\nCpus_allowed_list:\t",
		      s->no_new_privs, cpus);
	for (u32 cpu = 0; cpu < boot_info.nr_cpus; cpu++) {
		if (!(cpus >> cpu & 1))
			continue;
		for (first = cpu; cpu + 1 < boot_info.nr_cpus && cpus >> (cpu + 1) & 1;)
			cpu++;
		report_printf(r, first == cpu ? "%s%u" : "%s%u-%u", comma, first, cpu);
		comma = ",";
	}
	report_printf(r, "\n");
}

int proc_show_status(struct report *r, const struct proc_ctx *ctx)
{
	struct snapshot s;

	if (take_snapshot(ctx, &s))
		return -ESRCH;
	report_printf(r, "Name:\t%s\nState:\t%c (%s)\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\n", s.comm,
		      s.state, state_name(s.state), s.tgid, s.pid, s.ppid);
	report_printf(r, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\n", s.ids[0],
		      s.ids[1], s.ids[2], s.ids[3], s.ids[4], s.ids[5], s.ids[6], s.ids[7],
		      s.fd_size);
	if (s.mm)
		status_memory(r, s.mm);
	report_printf(r,
		      "Threads:\t%d\nSigPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\n"
		      "SigCgt:\t%016lx\n",
		      s.nr_threads, (unsigned long)s.pending, (unsigned long)s.blocked,
		      (unsigned long)s.ignored, (unsigned long)s.caught);
	status_rights(r, &s);
	report_printf(r, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
		      (unsigned long)s.nvcsw, (unsigned long)s.nivcsw);
	put_snapshot(&s);
	return 0;
}

int proc_show_comm(struct report *r, const struct proc_ctx *ctx)
{
	struct snapshot s;

	if (take_snapshot(ctx, &s))
		return -ESRCH;
	report_printf(r, "%s\n", s.comm);
	put_snapshot(&s);
	return 0;
}

/* ---- the OOM killer's view ------------------------------------------------------------------- */

int proc_show_oom_score_adj(struct report *r, const struct proc_ctx *ctx)
{
	struct snapshot s;

	if (take_snapshot(ctx, &s))
		return -ESRCH;
	report_printf(r, "%d\n", s.oom_score_adj);
	put_snapshot(&s);
	return 0;
}

int proc_set_oom_score_adj(const char *text, const struct proc_ctx *ctx)
{
	unsigned long flags;
	struct process *p;
	struct task *t;
	s64 n;

	if (proc_parse_decimal(text, &n) || n < -1000 || n > 1000)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	p = find_process(ctx->pid);
	if (p) {
		list_for_each_entry (t, &p->threads, thread)
			t->oom_score_adj = (int)n;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return p ? 0 : -ESRCH;
}

/* Badness in thousandths of all memory, shifted as in Linux, so that a process with adj 0 and no memory has 667. */
int proc_show_oom_score(struct report *r, const struct proc_ctx *ctx)
{
	struct snapshot s;
	u64 total = totalram_pages() + swap_total_pages();
	long points = 0;

	if (take_snapshot(ctx, &s))
		return -ESRCH;
	if (s.mm) {
		long bad = oom_badness_points(mm_rss(s.mm), s.mm->rss_swap,
					      s.mm->pgtables_bytes >> PAGE_SHIFT, total,
					      s.oom_score_adj);

		if (bad != (long)(1ul << 63))
			points = (1000 + bad * 1000 / (long)total) * 2 / 3;
	}
	report_printf(r, "%ld\n", points);
	put_snapshot(&s);
	return 0;
}
