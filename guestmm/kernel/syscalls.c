/*
 * System calls, by Linux's numbers and with Linux's results: the dispatch, and the calls that have no
 * better place.
 *
 * The table is made from include/mmvm/syscalls.h, where each call is declared once. A number that is
 * not in it returns -ENOSYS and is logged once.
 *
 * Sources: <asm/unistd_64.h> for the numbers, man-pages section 2 for the results.
 */
#include <asm/unistd_64.h>

#include "kernel/testchan.h"
#include "kernel/accessd.h"
#include "kernel/loadavg.h"
#include "kernel/process.h"
#include "kernel/psi.h"
#include "kernel/time_calls.h"
#include "kernel/version.h"
#include "../user/mmvm_calls.h"
#include "arch/static_key.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/syscall.h"
#include "lib/trace.h"
#include "mm/cache/pagecache.h"
#include "mm/phys/alloc.h"
#include "mm/virt/mm.h"
#include "mm/swap/swap.h"
#include "mm/reclaim/reclaim.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/zone.h"
#include "mmvm/shared.h"

typedef long (*syscall_fn)(struct pt_regs *r);

/* ---- process and time ---- */

long sys_getpid(struct pt_regs *r)
{
	return current_process()->pid;
}

long sys_gettid(struct pt_regs *r)
{
	return current->pid;
}

long sys_set_tid_address(struct pt_regs *r)
{
	current->clear_child_tid = r->rdi;
	return current->pid;
}

long sys_getppid(struct pt_regs *r)
{
	return READ_ONCE(current_process()->ppid);
}

long sys_sched_yield(struct pt_regs *r)
{
	sched_yield();
	return 0;
}

long sys_arch_prctl(struct pt_regs *r)
{
	switch (r->rdi) {
	case 0x1002: /* ARCH_SET_FS */
		if (r->rsi >= TASK_SIZE)
			return -EPERM;
		current->fs_base = r->rsi;
		arch_set_fs_base(r->rsi);
		return 0;
	case 0x1003: /* ARCH_GET_FS */
		return copy_to_user(r->rsi, &current->fs_base, 8) ? -EFAULT : 0;
	case 0x1001: /* ARCH_SET_GS */
		if (r->rsi >= TASK_SIZE)
			return -EPERM;
		preempt_disable();
		current->gs_base = r->rsi;
		arch_set_gs_base(r->rsi);
		preempt_enable();
		return 0;
	case 0x1004: /* ARCH_GET_GS */
		return copy_to_user(r->rsi, &current->gs_base, 8) ? -EFAULT : 0;
	default:
		return -EINVAL;
	}
}

long sys_uname(struct pt_regs *r)
{
	static const char uts[6][65] = {GUESTMM_SYSNAME, GUESTMM_HOST,	  GUESTMM_RELEASE,
					GUESTMM_VERSION, GUESTMM_MACHINE, "(none)"};

	return copy_to_user(r->rdi, uts, sizeof(uts)) ? -EFAULT : 0;
}

long sys_getrandom(struct pt_regs *r)
{
	size_t done = 0, len = min(r->rsi, 1ul << 20);

	if (r->rdx & ~7ul)
		return -EINVAL;
	while (done < len) {
		u64 v = get_random_u64();
		size_t n = min(len - done, sizeof(v));

		if (copy_to_user(r->rdi + done, &v, n))
			return done ? (long)done : -EFAULT;
		done += n;
	}
	return done;
}

long sys_sysinfo(struct pt_regs *r)
{
	struct sched_totals cpus;
	u64 load[3];
	struct mmvm_sysinfo si = {
		.uptime = (long)(ktime_ns() / NSEC_PER_SEC),
		.totalram = totalram_pages(),
		.freeram = nr_free_pages(),
		.sharedram = global_stat(NR_SHMEM),
		.bufferram = nr_blockdev_pages(),
		.totalswap = swap_total_pages(),
		.freeswap = swap_free_pages(),
		.procs = READ_ONCE(nr_tasks),
		.mem_unit = PAGE_SIZE,
	};

	sched_totals(&cpus, -1);
	load_read(load, ktime_ns(), cpus.nr_running);
	for (int i = 0; i < 3; i++)
		si.loads[i] = load[i] << (16 - LOAD_SHIFT);
	return copy_to_user(r->rdi, &si, sizeof(si)) ? -EFAULT : 0;
}

static long vm_event_by_name(const char *name)
{
#define EVENT_NAME(id, text) [id] = text,
	static const char *const names[] = {MMVM_VM_EVENTS(EVENT_NAME)};
	unsigned int i;

	for (i = 0; i < NR_VM_EVENT_ITEMS; i++) {
		if (!strcmp(names[i], name))
			return (long)sum_vm_event(i);
	}
	return -EINVAL;
}

static long copy_maps(unsigned long to, size_t size)
{
	struct report report = {.size = min(size, 256ul << 10)};
	long ret;

	report.buf = vmalloc(report.size);
	if (!report.buf)
		return -ENOMEM;
	report_maps(&report, current->mm);
	ret = report.overflow				 ? -ERANGE
	      : copy_to_user(to, report.buf, report.len) ? -EFAULT
							 : (long)report.len;
	vfree(report.buf);
	return ret;
}

static long sys_mmvm_report(struct pt_regs *r)
{
	char name[64];
	long len = strncpy_from_user(name, r->rsi, sizeof(name));

	if (len < 0)
		return len == -ENAMETOOLONG ? -EINVAL : len;
	switch (r->rdi) {
	case MMVM_USER_PROGRESS:
		mmvm_shared->progress_done = r->rdx;
		mmvm_shared->progress_total = r->r10;
		testchan_record(MMVM_REC_PROGRESS, name, r->rdx, r->r10, NULL);
		return 0;
	case MMVM_USER_BENCH:
		testchan_record(MMVM_REC_BENCH, name, r->rdx, r->r10, NULL);
		return 0;
	case MMVM_USER_PROFILE:
		testchan_record(MMVM_REC_PROFILE, name, r->rdx, 0, NULL);
		return 0;
	case MMVM_USER_EVENT:
		return vm_event_by_name(name);
	case MMVM_USER_MAPS:
		return copy_maps(r->rdx, r->r10);
	case MMVM_USER_ROUND:
		return testchan_call(MMVM_REC_ROUND, name, r->rdx, 0, NULL, 0);
	case MMVM_USER_CLEAN:
		if ((r->rdx | r->r10) & ~PAGE_MASK || r->r10 > TASK_SIZE ||
		    r->rdx > TASK_SIZE - r->r10)
			return -EINVAL;
		return (long)mm_clean_range(current->mm, r->rdx, r->rdx + r->r10);
	case MMVM_USER_ACCESS:
		return accessd_sample_current();
	default:
		return -EINVAL;
	}
}

#define ENTRY(nr, name, fn, ...) [nr] = fn,
static const syscall_fn functions[] = {MMVM_SYSCALLS(ENTRY)};
/* The functions of the calls, or traced_call() in their place. */
static syscall_fn table[] = {MMVM_SYSCALLS(ENTRY)};
#undef ENTRY
#ifndef __NR_mseal /* younger than the headers of some machines */
#define __NR_mseal 462
#endif
#define SAME_NUMBER(nr, name, fn, ...) _Static_assert(nr == __NR_##name, #name);
MMVM_SYSCALLS(SAME_NUMBER)
#undef SAME_NUMBER

/* Each unknown number is named once; beyond the bitmap's range all share the last bit. */
static void log_unknown(u64 nr)
{
	static u64 seen[16];
	unsigned int bit = min(nr, 1023ul);

	if (!test_and_set_bit(bit % 64, &seen[bit / 64]))
		printk("%s[%d]: system call %lu is not known here (ENOSYS)\n", current->comm,
		       current->pid, (unsigned long)nr);
}

/* A call that needs all registers saved (regs_call()) returns to make_regs_call(). */
static long traced_call(struct pt_regs *regs)
{
	u16 nr = (u16)regs->orig_rax;
	long ret;

	psi_assert_balanced(); /* an exception before the call might have left the count wrong */
	trace_point(SYS_ENTER, regs->rdi, .arg = nr, .mm = trace_mm_id(current->mm));
	ret = functions[nr](regs);
	psi_assert_balanced();
	if (!current->regs_call)
		trace_point(SYS_EXIT, ret, .arg = nr, .mm = trace_mm_id(current->mm));
	return ret;
}

/* The table's functions are wrapped only if there is a trace or lockdep, so other machines pay nothing. */
void syscalls_init(void)
{
	bool checked = trace_on || static_key(KEY_LOCKDEP);

	for (unsigned int nr = 0; checked && nr < ARRAY_SIZE(table); nr++)
		if (functions[nr])
			table[nr] = traced_call;
}

long syscall_dispatch(struct pt_regs *regs)
{
	u64 nr = regs->orig_rax;

	if (likely(nr < ARRAY_SIZE(table) && table[nr]))
		return table[nr](regs);
	if (nr == MMVM_SYS_REPORT)
		return sys_mmvm_report(regs);
	log_unknown(nr);
	return -ENOSYS;
}
