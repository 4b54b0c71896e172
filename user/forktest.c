/*
 * Processes: fork, vfork, wait, exec, kill, pipes, and memory that is shared until written. Each case
 * has one correct answer, so the program passes on Linux, too.
 *
 *   forktest CASE [ARG]    one case; no argument: all that need none
 *
 * Exit status: 0 all as expected, 1 not (each difference is printed).
 */
#include "rt.h"

#define SYS_read	 0
#define SYS_close	 3
#define SYS_pipe	 22
#define SYS_dup2	 33
#define SYS_clone	 56
#define SYS_fork	 57
#define SYS_vfork	 58
#define SYS_execve	 59
#define SYS_wait4	 61
#define SYS_kill	 62
#define SYS_waitid	 247
#define SYS_pipe2	 293
#define SYS_rt_sigaction 13
#define WNOHANG		 1
#define WEXITED		 4
#define WNOWAIT		 0x1000000
#define SIGKILL		 9
#define SIGTERM		 15
#define SIGCHLD		 17
#define ECHILD		 10
#define ESRCH		 3
#define EBADF		 9
#define EAGAIN		 11
#define ENOEXEC		 8
#define E2BIG		 7
#define EPIPE		 32
#define SIGPIPE		 13
#define EXIT(status)	 ((status) << 8)

static int different;

static void expect(const char *what, long got, long want)
{
	if (got == want)
		return;
	print("forktest[%d]: %s: got %ld, expected %ld\n", (int)sys_getpid(), what, got, want);
	different++;
}

static long do_fork(void)
{
	return syscall3(SYS_fork, 0, 0, 0);
}

static long wait4(long pid, int *status, int options)
{
	return syscall6(SYS_wait4, pid, (long)status, options, 0, 0, 0);
}

static void sleep_ms(long ms)
{
	long ts[2] = {ms / 1000, ms % 1000 * 1000000};

	syscall3(SYS_nanosleep, (long)ts, 0, 0);
}

/** Wait for this very child: its status, or -1 after saying so. */
static int reap(const char *what, long pid)
{
	int status = -1;

	expect(what, wait4(pid, &status, 0), pid);
	return status;
}

/* ---- life and death ---- */

static void identity(void)
{
	long me = sys_getpid(), child = do_fork(), before = 12345;

	if (!child) {
		expect("parent's pid in the child", syscall3(SYS_getppid, 0, 0, 0), me);
		expect("a child has its own pid", sys_getpid() != me, 1);
		expect("registers survive", before, 12345);
		exit(different ? 1 : 7);
	}
	expect("fork", child > 0, 1);
	expect("pid is not ours", child != me, 1);
	expect("status", reap("wait for the child", child), EXIT(7));
	expect("nobody is left", wait4(-1, NULL, 0), -ECHILD);
	expect("nor without waiting", wait4(-1, NULL, WNOHANG), -ECHILD);
}

static void zombies(void)
{
	long child[8];
	unsigned int seen = 0;
	int status;

	for (int i = 0; i < 8; i++) {
		child[i] = do_fork();
		if (!child[i])
			exit(10 + i);
	}
	/* The third alone, then the others in whatever order. */
	expect("status of the third", reap("wait for the third", child[2]), EXIT(12));
	for (int i = 0; i < 7; i++) {
		long pid = wait4(-1, &status, 0);

		for (int k = 0; k < 8; k++) {
			if (child[k] != pid)
				continue;
			expect("status of one", status, EXIT(10 + k));
			seen |= 1u << k;
		}
	}
	expect("all but the third", seen, 0xfb);
	expect("not a child", wait4(1000000, NULL, 0), -ECHILD);
	expect("bad options", wait4(-1, NULL, 0x100), -EINVAL);
}

static void waiting_without_taking(void)
{
	struct {
		int signo, err, code, pad, pid, uid, status, more[25];
	} info;
	char c = 0;
	int fd[2];
	long child;

	expect("pipe", syscall3(SYS_pipe, (long)fd, 0, 0), 0);
	child = do_fork();
	if (!child) {
		syscall3(SYS_read, fd[0], (long)&c, 1);
		exit(3);
	}
	expect("not dead yet", wait4(child, NULL, WNOHANG), 0);
	sys_write(fd[1], &c, 1);
	memset(&info, 0xff, sizeof(info));
	expect("waitid", syscall6(SYS_waitid, 1, child, (long)&info, WEXITED | WNOWAIT, 0, 0), 0);
	expect("its pid", info.pid, child);
	expect("its status", info.status, 3);
	expect("its code", info.code, 1);
	expect("its signal", info.signo, SIGCHLD);
	expect("waitid needs to know what for", syscall6(SYS_waitid, 1, child, 0, 0, 0, 0),
	       -EINVAL);
	expect("still there", reap("wait after waitid", child), EXIT(3));
	syscall3(SYS_close, fd[0], 0, 0);
	syscall3(SYS_close, fd[1], 0, 0);
}

static void orphans(void)
{
	int fd[2];
	char c = 0;
	long child;

	expect("pipe", syscall3(SYS_pipe, (long)fd, 0, 0), 0);
	child = do_fork();
	if (!child) {
		if (!do_fork()) {
			/* Until the one between us has gone. */
			while (syscall3(SYS_getppid, 0, 0, 0) == sys_getpid() - 1)
				sleep_ms(1);
			c = syscall3(SYS_getppid, 0, 0, 0) != sys_getpid() - 1 ? 'y' : 'n';
			sys_write(fd[1], &c, 1);
			exit(0);
		}
		exit(0);
	}
	syscall3(SYS_close, fd[1], 0, 0);
	reap("the one between", child);
	expect("word from the orphan", syscall3(SYS_read, fd[0], (long)&c, 1), 1);
	expect("it has another parent", c, 'y');
	syscall3(SYS_close, fd[0], 0, 0);
	/* It may have become ours if we are process 1: then it is ours to bury. */
	while (wait4(-1, NULL, 0) > 0)
		;
}

static void killing(void)
{
	long child = do_fork();

	if (!child)
		for (;;)
			sleep_ms(1000);
	expect("signal 0 only asks", syscall3(SYS_kill, child, 0, 0), 0);
	expect("kill", syscall3(SYS_kill, child, SIGKILL, 0), 0);
	expect("killed asleep", reap("wait for the killed", child), SIGKILL);
	expect("nobody to kill", syscall3(SYS_kill, child, SIGKILL, 0), -ESRCH);
	expect("no such signal", syscall3(SYS_kill, sys_getpid(), 65, 0), -EINVAL);
	child = do_fork();
	if (!child)
		for (volatile long i = 0;; i++)
			;
	sleep_ms(5);
	expect("terminate", syscall3(SYS_kill, child, SIGTERM, 0), 0);
	expect("killed running", reap("wait for the terminated", child), SIGTERM);
	child = do_fork();
	if (!child) {
		*(volatile char *)map_memory(0x7fffffffffff) = 1; /* -ENOMEM */
		exit(0);
	}
	expect("a child's segfault", reap("wait for the faulty", child), 11);
}

static void nobody_cares(void)
{
	unsigned long ignore[4] = {1, 0, 0, 0}, old[4] = {9, 9, 9, 9};
	long child;

	expect("ignore SIGCHLD",
	       syscall6(SYS_rt_sigaction, SIGCHLD, (long)ignore, (long)old, 8, 0, 0), 0);
	expect("it was default", old[0], 0);
	child = do_fork();
	if (!child)
		exit(5);
	expect("children are not kept", wait4(child, NULL, 0), -ECHILD);
	ignore[0] = 0;
	syscall6(SYS_rt_sigaction, SIGCHLD, (long)ignore, 0, 8, 0, 0);
}

/* ---- memory ---- */

#define PAGES 64ul

static void contents(void)
{
	volatile uint64_t *p = (volatile uint64_t *)map_memory(PAGES * PAGE_SIZE);
	long child;

	for (unsigned long i = 0; i < PAGES; i++)
		p[i * 512] = i + 1;
	child = do_fork();
	if (!child) {
		for (unsigned long i = 0; i < PAGES; i++) {
			expect("parent's word in the child", p[i * 512], i + 1);
			p[i * 512] = 1000 + i;
		}
		for (unsigned long i = 0; i < PAGES; i++)
			expect("the child's own word", p[i * 512], 1000 + i);
		exit(different != 0);
	}
	for (unsigned long i = 0; i < PAGES; i += 2)
		p[i * 512] = 2000 + i;
	expect("child", reap("wait for the writer", child), 0);
	for (unsigned long i = 0; i < PAGES; i++)
		expect("the parent's word", p[i * 512], i & 1 ? i + 1 : 2000 + i);
	sys_munmap((unsigned long)p, PAGES * PAGE_SIZE);
}

/** What became of `n` writes: copied, or the page kept. Only our kernel can say. */
static void count_kinds(const char *what, long cow, long reuse, long want_cow, long want_reuse)
{
	if (is_error(cow))
		return;
	expect(what, vm_event("mmvm_fault_cow") - cow, want_cow);
	expect(what, vm_event("pgreuse") - reuse, want_reuse);
}

static void sole_owner(void)
{
	volatile uint64_t *p = (volatile uint64_t *)map_memory(PAGES * PAGE_SIZE);
	long child, cow, reuse;

	for (unsigned long i = 0; i < PAGES; i++)
		p[i * 512] = i;
	child = do_fork();
	if (!child)
		exit(0);
	reap("wait before writing", child);
	p[0] = 1; /* and whatever the call itself wrote */
	cow = vm_event("mmvm_fault_cow");
	reuse = vm_event("pgreuse");
	for (unsigned long i = 1; i < PAGES; i++)
		p[i * 512] = i + 1;
	count_kinds("pages of a sole owner", cow, reuse, 0, PAGES - 1);

	/* And as long as the child lives, each is copied once. */
	child = do_fork();
	if (!child)
		for (;;)
			sleep_ms(1000);
	p[0] = 2;
	cow = vm_event("mmvm_fault_cow");
	reuse = vm_event("pgreuse");
	for (unsigned long i = 1; i < PAGES; i++)
		p[i * 512] = i + 1;
	for (unsigned long i = 1; i < PAGES; i++)
		p[i * 512] = i + 2;
	/* The child, when it runs between, copies its stack. */
	if (!is_error(cow)) {
		long copies = vm_event("mmvm_fault_cow") - cow;

		expect("copied while shared", copies >= (long)PAGES - 1 && copies < (long)PAGES + 4,
		       1);
	}
	syscall3(SYS_kill, child, SIGKILL, 0);
	reap("wait for the sharer", child);
	sys_munmap((unsigned long)p, PAGES * PAGE_SIZE);
}

/** A tree of depth `left`: each writes its own number, forks two, and checks. */
static int tree(volatile uint64_t *p, int left, uint64_t number)
{
	long child[2];
	int bad = 0, status;

	for (unsigned long i = 0; i < 8; i++)
		p[(number * 8 + i) % PAGES * 512] = number;
	if (left) {
		for (int k = 0; k < 2; k++) {
			child[k] = do_fork();
			if (!child[k])
				exit(tree(p, left - 1, number * 2 + k));
			if (is_error(child[k]))
				return 1;
		}
		for (int k = 0; k < 2; k++) {
			status = 1;
			if (wait4(child[k], &status, 0) != child[k] || status)
				bad = 1;
		}
	}
	for (unsigned long i = 0; i < 8; i++)
		bad |= p[(number * 8 + i) % PAGES * 512] != number;
	return bad;
}

static void family(void)
{
	volatile uint64_t *p = (volatile uint64_t *)map_memory(PAGES * PAGE_SIZE);

	expect("a family of 31", tree(p, 4, 1), 0);
	sys_munmap((unsigned long)p, PAGES * PAGE_SIZE);
}

/* ---- vfork, clone, exec ---- */

static void borrowed(void)
{
	int status = -1;
	long child = syscall3(SYS_vfork, 0, 0, 0);

	if (!child) {
		sleep_ms(20);
		exit(9);
	}
	/* We go on only when the child is through. */
	expect("the child is dead already", wait4(child, &status, 0), child);
	expect("its status", status, EXIT(9));
	child = syscall6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
	if (!child)
		exit(4);
	expect("clone like fork", reap("wait for the clone", child), EXIT(4));
	expect("clone with nonsense", syscall6(SYS_clone, 0x10000, 0, 0, 0, 0, 0), -EINVAL);
}

static char *const no_env[] = {NULL};

static void other_program(const char *self)
{
	char *const args[] = {(char *)self, "--args", "two words", "", NULL};
	char *const env[] = {"A=1", "LONG=some text", NULL};
	long child = do_fork();

	if (!child) {
		syscall3(SYS_execve, (long)self, (long)args, (long)env);
		exit(99);
	}
	expect("the other program", reap("wait for exec", child), EXIT(42));
	expect("no such program", syscall3(SYS_execve, (long)"/no/such", (long)args, (long)no_env),
	       -ENOENT);
	expect("path from nowhere", syscall3(SYS_execve, 16, (long)args, (long)no_env), -EFAULT);
	expect("arguments from nowhere", syscall3(SYS_execve, (long)self, 16, (long)no_env),
	       -EFAULT);
}

/** Run by other_program() as its image: are the strings right? */
static int check_args(int argc, char **argv)
{
	char **env = argv + argc + 1;

	if (argc != 4 || strcmp(argv[2], "two words") || argv[3][0] || argv[4])
		return 1;
	if (strcmp(env[0], "A=1") || strcmp(env[1], "LONG=some text") || env[2])
		return 2;
	return 42;
}

/* ---- pipes ---- */

static void pipes(void)
{
	static char out[20000], in[20000];
	uint64_t seed = 88172645463325252ull;
	int fd[2], status;
	long child, n, done = 0;

	for (unsigned long i = 0; i < sizeof(out); i++)
		out[i] = random_next(&seed);
	expect("pipe", syscall3(SYS_pipe, (long)fd, 0, 0), 0);
	child = do_fork();
	if (!child) {
		syscall3(SYS_close, fd[0], 0, 0);
		for (int i = 0; i < 10; i++)
			expect("write", sys_write(fd[1], out, sizeof(out)), sizeof(out));
		exit(different != 0);
	}
	syscall3(SYS_close, fd[1], 0, 0);
	for (int i = 0; i < 10; i++) {
		for (done = 0; done < (long)sizeof(in); done += n) {
			n = syscall3(SYS_read, fd[0], (long)(in + done), sizeof(in) - done);
			if (n <= 0)
				break;
		}
		expect("as many as were written", done, sizeof(in));
		expect("the same bytes", memcmp(in, out, sizeof(in)), 0);
	}
	expect("the end", syscall3(SYS_read, fd[0], (long)in, 1), 0);
	expect("writer", reap("wait for the writer", child), 0);
	syscall3(SYS_close, fd[0], 0, 0);

	expect("pipe2", syscall3(SYS_pipe2, (long)fd, 04000 /* O_NONBLOCK */, 0), 0);
	expect("empty", syscall3(SYS_read, fd[0], (long)in, 1), -EAGAIN);
	for (n = done = 0; (n = sys_write(fd[1], out, 4096)) > 0;)
		done += n;
	expect("full", n, -EAGAIN);
	expect("capacity", done, 65536);
	expect("read to nowhere", syscall3(SYS_read, fd[0], 16, 10), -EFAULT);
	expect("duplicate", syscall3(SYS_dup2, fd[0], 17, 0), 17);
	syscall3(SYS_close, fd[0], 0, 0);
	expect("through the duplicate", syscall3(SYS_read, 17, (long)in, 4096), 4096);
	syscall3(SYS_close, 17, 0, 0);
	child = do_fork();
	if (!child) {
		sys_write(fd[1], "x", 1);
		exit(0);
	}
	status = reap("wait for the unread", child);
	expect("SIGPIPE", status, SIGPIPE);
	syscall3(SYS_close, fd[1], 0, 0);
	expect("closed twice", syscall3(SYS_close, fd[1], 0, 0), -EBADF);
}

/* ---- limits ---- */

/** Fork until it is refused; then all children end, and fork works again. */
static void storm(void)
{
	int fd[2], n = 0;
	char c;
	long child;

	expect("pipe", syscall3(SYS_pipe, (long)fd, 0, 0), 0);
	for (; n < 100000; n++) {
		child = do_fork();
		if (!child) {
			syscall3(SYS_close, fd[1], 0, 0);
			syscall3(SYS_read, fd[0], (long)&c, 1); /* until the parent lets go */
			exit(0);
		}
		if (is_error(child))
			break;
	}
	print("forktest: %d children, then error %ld\n", n, child);
	expect("refused", child == -EAGAIN || child == -ENOMEM, 1);
	expect("a good many before", n > 20, 1);
	syscall3(SYS_close, fd[1], 0, 0);
	for (; n; n--) {
		int status = -1;

		expect("one of them", wait4(-1, &status, 0) > 0, 1);
		expect("its status", status, 0);
	}
	expect("no more", wait4(-1, NULL, 0), -ECHILD);
	syscall3(SYS_close, fd[0], 0, 0);
	identity();
}

/** What may fail, fails without harm: an exit status of 0 or 1, nothing worse. */
static void trying(void)
{
	volatile uint64_t *p = (volatile uint64_t *)map_memory(PAGES * PAGE_SIZE);
	long child;
	int fd[2];

	if (is_error((long)p))
		exit(1);
	for (unsigned long i = 0; i < PAGES; i += 8)
		p[i * 512] = i;
	if (syscall3(SYS_pipe, (long)fd, 0, 0))
		exit(1);
	child = do_fork();
	if (is_error(child))
		exit(1);
	if (!child) {
		p[8 * 512] = 5;
		exit(sys_write(fd[1], "x", 1) != 1);
	}
	if (reap("wait for the attempt", child))
		exit(1);
	exit(p[8 * 512] != 8);
}

/** Parent and three children share, and part with, more than there is memory for. */
static void pressure(unsigned long pages)
{
	volatile uint64_t *p = (volatile uint64_t *)map_memory(pages * PAGE_SIZE);
	long child[3];

	if (is_error((long)p)) {
		expect("memory", (long)p, 0);
		return;
	}
	for (unsigned long i = 0; i < pages; i++)
		p[i * 512] = p[i * 512 + 511] = i * 77 + 1;
	for (int k = 0; k < 3; k++) {
		child[k] = do_fork();
		if (child[k])
			continue;
		for (unsigned long i = k; i < pages; i += 3)
			p[i * 512] = (i + 1) * 1000 + k;
		for (unsigned long i = 0; i < pages; i++) {
			uint64_t want = i % 3 == (unsigned long)k ? (i + 1) * 1000 + k : i * 77 + 1;

			if (p[i * 512] != want || p[i * 512 + 511] != i * 77 + 1) {
				expect("a word under pressure", p[i * 512], want);
				exit(1);
			}
		}
		exit(0);
	}
	for (unsigned long i = 0; i < pages; i += 2)
		p[i * 512] = i;
	for (int k = 0; k < 3; k++)
		expect("a child under pressure", reap("wait", child[k]), 0);
	for (unsigned long i = 0; i < pages; i++) {
		if (p[i * 512] != (i & 1 ? i * 77 + 1 : i))
			expect("the parent's word", p[i * 512], i & 1 ? i * 77 + 1 : i);
	}
	sys_munmap((unsigned long)p, pages * PAGE_SIZE);
}

/* ---- what was used ---- */

#define RUSAGE_SELF	0
#define RUSAGE_CHILDREN -1
#define RLIMIT_NPROC	6

static long minor_faults(long who)
{
	uint64_t ru[18];

	if (syscall3(98, who, (long)ru, 0)) /* getrusage */
		return -1;
	return (long)ru[8];
}

/** A child's faults become its parent's children's when it is waited for, and stay its own over exec. */
static void usage(void)
{
	long self = minor_faults(RUSAGE_SELF), before = minor_faults(RUSAGE_CHILDREN), child;
	uint64_t ru[18] = {0};
	int status = -1;

	child = do_fork();
	if (!child) {
		volatile uint64_t *p = (volatile uint64_t *)map_memory(PAGES * PAGE_SIZE);
		long mine = minor_faults(RUSAGE_SELF);

		for (unsigned long i = 0; i < PAGES; i++)
			p[i * 512] = i;
		expect("the child's own faults", minor_faults(RUSAGE_SELF) - mine >= (long)PAGES,
		       1);
		expect("it has no children", minor_faults(RUSAGE_CHILDREN), 0);
		exit(different != 0);
	}
	expect("nothing before the wait", minor_faults(RUSAGE_CHILDREN), before);
	expect("wait", syscall6(SYS_wait4, child, (long)&status, 0, (long)ru, 0, 0), child);
	expect("status", status, 0);
	expect("faults that wait4 tells", ru[8] >= PAGES, 1);
	expect("faults of children", minor_faults(RUSAGE_CHILDREN) - before, (long)ru[8]);
	expect("the parent's own", minor_faults(RUSAGE_SELF) - self < (long)PAGES, 1);
}

/** A user may have so many processes; root as many as there is room for. */
static void limited(void)
{
	uint64_t limit[2] = {1, 1};
	long child = do_fork(), grandchild;

	if (child) {
		expect("the user's process", reap("wait for the user", child), 0);
		return;
	}
	expect("setrlimit", syscall3(160, RLIMIT_NPROC, (long)limit, 0), 0);
	grandchild = do_fork();
	if (!grandchild)
		exit(0);
	expect("root has no limit", grandchild > 0, 1);
	reap("wait for root's", grandchild);
	expect("setuid", syscall3(105, 1000, 0, 0), 0);
	grandchild = do_fork();
	if (!grandchild)
		exit(0);
	expect("the second process of a user who may have one", grandchild, -EAGAIN);
	exit(different != 0);
}

static const struct {
	const char *name;
	void (*fn)(void);
} cases[] = {
	{"identity", identity}, {"zombies", zombies},  {"waitid", waiting_without_taking},
	{"orphans", orphans},	{"killing", killing},  {"ignored", nobody_cares},
	{"contents", contents}, {"owner", sole_owner}, {"family", family},
	{"borrowed", borrowed}, {"pipes", pipes},      {"usage", usage},
	{"limited", limited},
};

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "all";
	uint64_t pages;

	if (!strcmp(name, "--args"))
		return check_args(argc, argv);
	if (!strcmp(name, "trying"))
		trying();
	if (!strcmp(name, "storm"))
		storm();
	else if (!strcmp(name, "pressure") && argc > 2 && parse_size(argv[2], &pages))
		pressure(pages / PAGE_SIZE);
	else if (!strcmp(name, "exec"))
		other_program(argv[0]);
	else
		for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			if (!strcmp(name, "all") || !strcmp(name, cases[i].name))
				cases[i].fn();
	if (different)
		print("forktest %s: %d differences\n", name, different);
	return different != 0;
}
