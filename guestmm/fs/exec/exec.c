/*
 * execve(2): the arguments, and the change from one program to the next. elf.c loads the program.
 *
 * The new program is built in an address space of its own. The old one is left only when nothing can fail any more,
 * so a program whose execve() fails continues unchanged.
 */
#include "lib/syscall.h"
#include "fs/file.h"
#include "fs/user_path.h"
#include "kernel/cred.h"
#include "kernel/sigqueue.h"
#include "arch/processor.h"
#include "arch/uaccess.h"
#include "kernel/cgroup.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/ksm/ksm.h"
#include "mm/virt/mm.h"
#include "mm/slab/slab.h"
#include "mm/kvirt/vmalloc.h"

/* Limits as in Linux, in bytes: of one string, and for all strings and pointers the least and the largest limit. */
#define MAX_ARG_STRLEN	(128ul << 10)
#define MIN_ARGS_LIMIT	(128ul << 10)
#define MAX_ARGS_LIMIT	(6ul << 20)
#define STRINGS_AT_ONCE (16u << 10) /* bytes of memory to begin with */

/* The strings of argv and environment, in memory that grows. */
struct strings {
	char *buf;
	u32 len, room; /* bytes */
	u64 left;      /* bytes that strings and pointers may still have */
};

/* A quarter of the stack's limit, within bounds: as Linux. */
static u64 args_limit(void)
{
	u64 quarter = min(rlimit(RLIMIT_STACK) / 4, MAX_ARGS_LIMIT);

	return max(quarter, MIN_ARGS_LIMIT);
}

static int strings_grow(struct strings *s)
{
	u32 room = s->room ? s->room * 2 : STRINGS_AT_ONCE;
	char *buf = vmalloc(room);

	if (!buf)
		return -ENOMEM;
	if (s->len)
		memcpy(buf, s->buf, s->len);
	vfree(s->buf);
	s->buf = buf;
	s->room = room;
	return 0;
}

/* Append a string from user memory. */
static int strings_add(struct strings *s, unsigned long str)
{
	for (;;) {
		size_t room = min((u64)(s->room - s->len), MAX_ARG_STRLEN);
		long got = strncpy_from_user(s->buf + s->len, str, room);
		int err;

		if (got >= 0) {
			if ((u64)got + 1 + sizeof(u64) > s->left)
				return -E2BIG;
			s->left -= got + 1 + sizeof(u64);
			s->len += got + 1;
			return 0;
		}
		if (got != -ENAMETOOLONG)
			return got;
		if (room == MAX_ARG_STRLEN || room > s->left)
			return -E2BIG;
		err = strings_grow(s);
		if (err)
			return err;
	}
}

/* Append the strings of a user array (NULL: none). Returns their number, or -errno. */
static int strings_add_array(struct strings *s, unsigned long array)
{
	if (!array)
		return 0;
	for (int n = 0;; n++, array += sizeof(u64)) {
		unsigned long str;
		int err;

		if (copy_from_user(&str, array, sizeof(str)))
			return -EFAULT;
		if (!str)
			return n;
		err = strings_add(s, str);
		if (err)
			return err;
		if (n % 1024 == 0)
			cond_resched();
	}
}

/* The new program is loaded, and in current->mm. Reset what belonged to the old program. */
static void become(const struct exec_args *args, struct pt_regs *regs, unsigned long entry,
		   unsigned long sp)
{
	struct task *t = current;
	struct process *p = t->proc;

	files_exec(p->files);
	posix_timers_exit(p);
	comm_from_path(t->comm, args->path);
	memcpy(p->comm, t->comm, sizeof(p->comm));
	t->pid = p->pid; /* of several threads only the caller survives */
	p->execed = true;
	p->membarrier = 0;
	p->exit_signal = SIGCHLD; /* regardless of the flags of clone(2) */
	t->altstack = t->altstack_size = 0;
	t->set_child_tid = t->clear_child_tid = 0;
	t->rseq = 0;
	preempt_disable();
	arch_fpu_init(t->fpu);
	arch_fpu_restore(t->fpu);
	t->fs_base = 0;
	arch_set_fs_base(0);
	t->gs_base = 0;
	arch_set_gs_base(0);
	preempt_enable();
	memset(regs, 0, sizeof(*regs));
	regs->rip = entry;
	regs->rsp = sp;
	regs->rflags = 0x202;
	regs->cs = MMVM_USER_CS;
	regs->ss = MMVM_USER_DS;
}

static long do_execve(struct pt_regs *regs, const struct exec_args *args)
{
	struct mm_struct *old = current->mm, *mm;
	unsigned long entry, sp;
	struct cred *cred = NULL;
	long err;

	mm = mm_alloc();
	if (!mm)
		return -ENOMEM;
	/* Until the new program is loaded, /proc/self/exe is the old one. */
	if (old->exe_file)
		exe_file_get(old->exe_file);
	mm_set_exe_file(mm, old->exe_file);
	mm->thp_disabled = old->thp_disabled;
	mm->dump_filter = READ_ONCE(old->dump_filter);
	if (ksm_execve(mm, old)) {
		mmput(mm);
		return -ENOMEM;
	}
	task_set_mm(mm);
	err = exec_load(args, &entry, &sp, &cred);
	if (!err)
		err = sighand_exec(current_process());
	if (!err && !kill_other_threads())
		err = -EINTR; /* the process is ending */
	task_set_mm(old);
	if (err) {
		mmput(mm);
		cred_put(cred);
		return err;
	}
	thread_release_mm();
	task_set_mm(mm);
	cred_commit(cred); /* may make its memory not dumpable */
	cgroup_attach_mm(mm);
	process_leaves_mm(current_process(), old);
	mmput(old);
	vfork_release();
	become(args, regs, entry, sp);
	task_trace_exec();
	return 0;
}

/* RLIMIT_NPROC of a thread that has changed its user: cred.c. */
static long process_limit_exec(void)
{
	u64 limit = rlimit(RLIMIT_NPROC);

	if (current->nproc_exceeded && limit != RLIM_INFINITY &&
	    user_has_processes(current_cred()->uid, limit + 1))
		return -EAGAIN;
	current->nproc_exceeded = false;
	return 0;
}

static long execve_call(struct pt_regs *regs)
{
	struct strings strings = {.left = args_limit()};
	struct exec_args args = {0};
	struct user_path path;
	long err;
	int n;

	err = user_path_get(&path, regs->rdi);
	if (err < 0)
		return err;
	err = process_limit_exec();
	if (err)
		goto put;
	err = strings_grow(&strings);
	if (err)
		goto put;
	err = n = strings_add_array(&strings, regs->rsi);
	if (n < 0)
		goto out;
	args.argc = n;
	if (!n) { /* as in Linux since 5.18, argv[0] always exists */
		strings.buf[strings.len++] = '\0';
		args.argc = 1;
	}
	err = n = strings_add_array(&strings, regs->rdx);
	if (n < 0)
		goto out;
	args.envc = n;
	args.path = path.name;
	args.strings = strings.buf;
	args.len = strings.len;
	err = do_execve(regs, &args);
out:
	vfree(strings.buf);
put:
	user_path_put(&path);
	return err;
}

long sys_execve(struct pt_regs *r)
{
	return regs_call(execve_call);
}
