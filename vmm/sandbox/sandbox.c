/*
 * Privileges, descriptors, limits and filters: see sandbox.h.
 *
 * Filters allow by number, but for clone and ioctl. The kernel keeps a bitmap of numbers that are always
 * allowed (since 5.11) and then runs no program at all. For ioctl a vCPU's thread pays for a program that begins
 * with it and looks at the request's type: 18 ns, measured, of an exit that takes microseconds.
 *
 * The main thread's filter is a superset of the others', because they inherit it: threads that are started
 * later are under both.
 */
#include "terminal/terminal.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/prctl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_INHERITED 1024
#define SPARE_FILES   128 /* that may be opened later, for the results */
#define MAX_CALLS     512
#define NAME_BYTES    28
#define END	      INT_MIN /* of a list; read is number 0 */
#define STATUS	      3	      /* MMVM_EXIT_HOST */

/* Memory, locks, time, descriptors that are open, the end. */
#define CALLS_OF_ALL                                                                               \
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(write),     \
		SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(close),          \
		SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(fsync), SCMP_SYS(fdatasync),            \
		SCMP_SYS(fallocate), SCMP_SYS(futex), SCMP_SYS(poll), SCMP_SYS(ppoll),             \
		SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect),            \
		SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), \
		SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall),         \
		SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(tgkill), SCMP_SYS(rt_sigreturn),      \
		SCMP_SYS(rt_sigprocmask), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),      \
		SCMP_SYS(getrandom), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),                    \
		SCMP_SYS(sigaltstack), SCMP_SYS(membarrier), SCMP_SYS(exit), SCMP_SYS(exit_group)

/* Of kinds of threads that are started after the main thread has its filter. */
#define CALLS_OF_VCPUS                                                                           \
	SCMP_SYS(timer_create), SCMP_SYS(timer_settime), SCMP_SYS(timer_delete),                 \
		SCMP_SYS(newfstatat), SCMP_SYS(rt_sigaction), SCMP_SYS(ftruncate),               \
		SCMP_SYS(perf_event_open), SCMP_SYS(prctl), SCMP_SYS(capset), SCMP_SYS(seccomp), \
		SCMP_SYS(sched_setaffinity)

static const int worker_calls[] = {CALLS_OF_ALL, END};
static const int console_calls[] = {CALLS_OF_ALL, SCMP_SYS(newfstatat), END};
static const int vcpu_calls[] = {CALLS_OF_ALL, CALLS_OF_VCPUS, END};
/* Files by name: observers read /proc/self, results are written. Threads, but no processes. */
static const int main_calls[] = {
	CALLS_OF_ALL, CALLS_OF_VCPUS, SCMP_SYS(ioctl), SCMP_SYS(open), SCMP_SYS(openat),
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(getdents64),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(fcntl),
	SCMP_SYS(flock), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(link),
	SCMP_SYS(linkat), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(fchmod),
	SCMP_SYS(umask), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrusage),
	SCMP_SYS(prlimit64), SCMP_SYS(getrlimit), SCMP_SYS(geteuid), SCMP_SYS(getuid),
	SCMP_SYS(getegid), SCMP_SYS(getgid), SCMP_SYS(memfd_create),
	/* a machine's memory on the nodes of the host: bench and profile make
				  * machines inside */
	SCMP_SYS(get_mempolicy), SCMP_SYS(mbind), SCMP_SYS(eventfd2), SCMP_SYS(userfaultfd),
	SCMP_SYS(pipe2), SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(clock_getres),
	SCMP_SYS(set_tid_address), SCMP_SYS(mincore), SCMP_SYS(msync), END};

/* Requests of ioctl: those of which these bits have this value. */
struct requests {
	unsigned long mask, value;
};
#define REQUEST(nr)            \
	{                      \
		0xffffffff, nr \
	}
#define TYPE(type)                                                                       \
	{                                                                                \
		_IOC_TYPEMASK << _IOC_TYPESHIFT, (unsigned long)(type) << _IOC_TYPESHIFT \
	}
/* A violation restores the terminal, whichever thread it is of. */
#define REQUESTS_OF_ALL REQUEST(TCSETS), REQUEST(TCSETSW), REQUEST(TCSETSF)

static const struct requests worker_requests[] = {REQUESTS_OF_ALL, {0}};
/* Observers look at accesses on a vCPU's thread: by userfaultfd, and PAGEMAP_SCAN ('f'). */
static const struct requests vcpu_requests[] = {
	REQUESTS_OF_ALL, TYPE(KVMIO), TYPE(UFFDIO), TYPE('f'), {0}};
/* The monitor reads the dirty log; a window may have changed its size. */
static const struct requests console_requests[] = {
	REQUESTS_OF_ALL, REQUEST(TIOCGWINSZ), TYPE(KVMIO), {0}};

static const struct {
	const char *name;
	const int *calls;
	const struct requests *requests; /* NULL: all, if ioctl is among the calls */
} kinds[] = {
	[SANDBOX_MAIN] = {"main thread", main_calls, NULL},
	[SANDBOX_VCPU] = {"thread of a vCPU", vcpu_calls, vcpu_requests},
	[SANDBOX_WORKER] = {"thread of a device", worker_calls, worker_requests},
	[SANDBOX_CONSOLE] = {"thread of the console", console_calls, console_requests},
};
static int inherited[MAX_INHERITED];
static unsigned int nr_inherited;
/* Filled before the first filter: a signal handler cannot look names up. */
static char call_name[MAX_CALLS][NAME_BYTES];
static _Thread_local enum sandbox_thread this_kind;

void sandbox_begin(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	/* An arena of a thread that shrinks reads /proc/sys/vm/overcommit_memory (glibc,
	 * check_may_shrink_heap). With one arena for all there is none that does. */
	mallopt(M_ARENA_MAX, 1);

	while (dir && nr_inherited < MAX_INHERITED && (e = readdir(dir)) != NULL) {
		int fd = atoi(e->d_name);

		if (fd > STDERR_FILENO && fd != dirfd(dir))
			inherited[nr_inherited++] = fd;
	}
	if (dir)
		closedir(dir);
}

/* ---- a violation ---------------------------------------------------------------------------- */

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static void on_violation(int sig, siginfo_t *info, void *context)
{
	int call = info->si_syscall;

	say("mmvm: sandbox: the ");
	say(kinds[this_kind].name);
	say(" made the system call ");
	say(call >= 0 && call < MAX_CALLS && call_name[call][0] ? call_name[call] : "(unknown)");
	say(", which it may not; the run was ended (--sandbox off runs without)\n");
	terminal_restore();
	/* Not _exit(): a sanitizer makes calls of its own there. */
	syscall(SYS_exit_group, STATUS);
}

static int catch_violations(void)
{
	struct sigaction sa = {.sa_sigaction = on_violation, .sa_flags = SA_SIGINFO | SA_NODEFER};

	for (int i = 0; i < MAX_CALLS; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);

		snprintf(call_name[i], sizeof(call_name[i]), "%s", name ? name : "");
		free(name);
	}
	sigemptyset(&sa.sa_mask);
	return sigaction(SIGSYS, &sa, NULL) ? -errno : 0;
}

/* ---- a thread ------------------------------------------------------------------------------- */

/** Keep only those of the process's capabilities that are in `keep`. */
static int drop_capabilities(unsigned int keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (!keep)
		memset(data, 0, sizeof(data));
	else if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= keep;
	data[0].permitted &= keep;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){0};
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/** ioctl, by its request. It is looked for first: KVM_RUN is one. */
static int allow_requests(scmp_filter_ctx filter, const struct requests *r)
{
	int rc = seccomp_syscall_priority(filter, SCMP_SYS(ioctl), UINT8_MAX);

	for (; !rc && r->mask; r++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_MASKED_EQ, r->mask, r->value));
	return rc;
}

static int load_filter(enum sandbox_thread kind)
{
	const int *calls = kinds[kind].calls;
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int rc = filter ? 0 : -ENOMEM;

	if (!rc)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1);
	/* Filters would otherwise slow the thread down against speculation (SSBD) on some kernels: it runs
	 * nothing of the guest that is not behind KVM. */
	if (!rc)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	for (; !rc && *calls != END; calls++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, *calls, 0);
	if (!rc && kinds[kind].requests)
		rc = allow_requests(filter, kinds[kind].requests);
	/* A new thread, never a new process. What clone3 asks for cannot be seen: the C library uses
	 * clone when there is no clone3. */
	if (!rc && kind == SANDBOX_MAIN)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (!rc && kind == SANDBOX_MAIN)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!rc)
		rc = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	return rc;
}

static int enter(enum sandbox_thread kind, unsigned int keep)
{
	sigset_t violation;
	int rc;

	this_kind = kind;
	/* A violation must reach its handler. */
	sigemptyset(&violation);
	sigaddset(&violation, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &violation, NULL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	rc = drop_capabilities(keep);
	return rc ? rc : load_filter(kind);
}

/** The calling thread alone. */
static int change_user(const struct sandbox_config *c)
{
	if (!c->change_user)
		return 0;
	/* The C library's functions would make all threads do it, also those that have a filter. */
	if (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, c->gid, c->gid, c->gid) ||
	    syscall(SYS_setresuid, c->uid, c->uid, c->uid))
		return -errno;
	/* Its own /proc/self is still to be read. */
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) ? -errno : 0;
}

int sandbox_enter_thread(enum sandbox_thread kind, const struct sandbox_config *config)
{
	int rc = kind == SANDBOX_VCPU ? 0 : change_user(config);

	return rc ? rc : enter(kind, 0);
}

/* ---- the process ---------------------------------------------------------------------------- */

static int highest_descriptor(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int highest = STDERR_FILENO;

	while (dir && (e = readdir(dir)) != NULL)
		highest = atoi(e->d_name) > highest ? atoi(e->d_name) : highest;
	if (dir)
		closedir(dir);
	return highest;
}

static int set_limits(void)
{
	const struct rlimit none = {0};
	struct rlimit files;
	rlim_t want = (rlim_t)highest_descriptor() + SPARE_FILES;

	if (setrlimit(RLIMIT_CORE, &none) || getrlimit(RLIMIT_NOFILE, &files))
		return -errno;
	if (files.rlim_cur > want)
		files.rlim_cur = want;
	files.rlim_max = files.rlim_cur;
	/* No locks of files by lease, no message queues, no priority above the usual. */
	if (setrlimit(RLIMIT_NOFILE, &files) || setrlimit(RLIMIT_MSGQUEUE, &none) ||
	    setrlimit(RLIMIT_RTPRIO, &none) || setrlimit(RLIMIT_NICE, &none))
		return -errno;
	return 0;
}

int sandbox_enter_process(const struct sandbox_config *config, char *why, size_t size)
{
	/* Results may belong where only root may write. */
	const unsigned int keep = 1u << CAP_DAC_OVERRIDE;
	const char *what = "closing inherited descriptors";
	static bool entered; /* main thread only */
	int rc = 0;

	if (entered)
		return 0;
	for (unsigned int i = 0; i < nr_inherited; i++)
		close(inherited[i]);
	nr_inherited = 0;
	what = "setting resource limits";
	rc = set_limits();
	if (!rc) {
		what = "changing the user";
		rc = change_user(config);
	}
	if (!rc) {
		what = "catching SIGSYS";
		rc = catch_violations();
	}
	if (!rc) {
		what = "dropping privileges and loading the filter (seccomp)";
		rc = enter(SANDBOX_MAIN, config->change_user ? 0 : keep);
	}
	entered = !rc;
	if (!rc)
		return 0;
	snprintf(why, size, "%s: %s", what, strerror(-rc));
	return -1;
}
