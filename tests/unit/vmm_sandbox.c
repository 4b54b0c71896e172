/*
 * The sandbox, tested in children: a call that a kind of thread may not make ends it with the call's name;
 * the calls it needs work; privileges, descriptors and limits are dropped.
 */
#include "../host/unit.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sandbox/sandbox.h"

static const struct sandbox_config plain;
static char said[1024];

/** Run fn in a child with the sandbox of `kind`; its exit status, and in `said` what it said. */
static int in_child(enum sandbox_thread kind, void (*fn)(void))
{
	int fds[2], status;
	ssize_t n, len = 0;
	char why[200];
	pid_t pid;

	CU_ASSERT_FATAL(!pipe(fds));
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (!pid) {
		dup2(fds[1], STDERR_FILENO);
		if (sandbox_enter_process(&plain, why, sizeof(why)))
			_exit(90);
		if (kind != SANDBOX_MAIN && sandbox_enter_thread(kind, &plain))
			_exit(91);
		fn();
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], said + len, sizeof(said) - 1 - (size_t)len)) > 0)
		len += n;
	said[len] = 0;
	close(fds[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void do_exec(void)
{
	char *argv[] = {(char *)"/bin/true", NULL};

	execv(argv[0], argv);
}

static void do_fork(void)
{
	syscall(SYS_fork);
}

static void do_process_by_clone(void)
{
	syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void do_socket(void)
{
	if (socket(AF_INET, SOCK_STREAM, 0) < 0)
		return;
}

static void do_open(void)
{
	open("/etc/passwd", O_RDONLY);
}

static void do_ptrace(void)
{
	syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void do_ioctl(void)
{
	syscall(SYS_ioctl, -1, 0, 0);
}

static void do_type_into_terminal(void)
{
	syscall(SYS_ioctl, -1, TIOCSTI, "x");
}

static void do_kvm(void)
{
	syscall(SYS_ioctl, -1, KVM_RUN, 0);
	syscall(SYS_ioctl, -1, TCSETSW, 0);
}

static void do_window_size(void)
{
	struct winsize w;

	syscall(SYS_ioctl, -1, TIOCGWINSZ, &w);
	do_kvm();
}

static void do_mount(void)
{
	syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, 0);
}

static void *thread(void *arg)
{
	return arg;
}

static void do_allowed(void)
{
	pthread_t t;
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/proc/self/status", O_RDONLY);
	char c;

	if (p == MAP_FAILED || munmap(p, 4096) || fd < 0 || read(fd, &c, 1) != 1 || close(fd) ||
	    pthread_create(&t, NULL, thread, NULL) || pthread_join(t, NULL))
		_exit(80);
}

static const struct {
	enum sandbox_thread kind;
	void (*fn)(void);
	const char *call, *who;
} forbidden[] = {
	{SANDBOX_MAIN, do_exec, "execve", "main thread"},
	{SANDBOX_MAIN, do_fork, "fork", "main thread"},
	{SANDBOX_MAIN, do_process_by_clone, "clone", "main thread"},
	{SANDBOX_MAIN, do_socket, "socket", "main thread"},
	{SANDBOX_MAIN, do_ptrace, "ptrace", "main thread"},
	{SANDBOX_MAIN, do_mount, "mount", "main thread"},
	{SANDBOX_VCPU, do_open, "openat", "thread of a vCPU"},
	{SANDBOX_VCPU, do_exec, "execve", "thread of a vCPU"},
	{SANDBOX_VCPU, do_type_into_terminal, "ioctl", "thread of a vCPU"},
	{SANDBOX_CONSOLE, do_type_into_terminal, "ioctl", "thread of the console"},
	{SANDBOX_CONSOLE, do_open, "openat", "thread of the console"},
	{SANDBOX_CONSOLE, do_exec, "execve", "thread of the console"},
	{SANDBOX_WORKER, do_kvm, "ioctl", "thread of a device"},
	{SANDBOX_WORKER, do_open, "openat", "thread of a device"},
	{SANDBOX_WORKER, do_ioctl, "ioctl", "thread of a device"},
};

static void test_forbidden(void)
{
	char want[200];

	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		CU_ASSERT_EQUAL(in_child(forbidden[i].kind, forbidden[i].fn), 3);
		snprintf(want, sizeof(want), "the %s made the system call %s, which it may not",
			 forbidden[i].who, forbidden[i].call);
		CU_ASSERT_PTR_NOT_NULL(strstr(said, want));
		if (!strstr(said, want))
			printf("wanted '%s', got '%s'\n", want, said);
	}
}

static void test_allowed(void)
{
	CU_ASSERT_EQUAL(in_child(SANDBOX_MAIN, do_allowed), 0);
	CU_ASSERT_EQUAL(in_child(SANDBOX_VCPU, do_kvm), 0);
	CU_ASSERT_EQUAL(in_child(SANDBOX_CONSOLE, do_window_size), 0);
	CU_ASSERT_STRING_EQUAL(said, "");
}

static unsigned long long field(const char *name)
{
	char line[256];
	unsigned long long value = ~0ull;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = strtoull(line + strlen(name), NULL,
					 strcmp(name, "Seccomp:") ? 16 : 10);
	if (f)
		fclose(f);
	return value;
}

static void do_look(void)
{
	struct rlimit core, files;

	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_NOFILE, &files);
	if (field("CapEff:") & ~(1ull << CAP_DAC_OVERRIDE))
		_exit(70);
	if (field("CapInh:") || field("NoNewPrivs:") != 1 || field("Seccomp:") != 2)
		_exit(71);
	if (core.rlim_max || files.rlim_max > 1024)
		_exit(72);
	/* The one that was there before. */
	if (fcntl(200, F_GETFD) >= 0)
		_exit(73);
}

static void test_privileges(void)
{
	int fd = open("/etc/passwd", O_RDONLY);

	CU_ASSERT_EQUAL_FATAL(dup2(fd, 200), 200);
	close(fd);
	sandbox_begin();
	CU_ASSERT_EQUAL(in_child(SANDBOX_MAIN, do_look), 0);
	/* Here nothing has changed. */
	CU_ASSERT(fcntl(200, F_GETFD) >= 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"what each kind of thread may not call is named", test_forbidden},
		{"what it needs works", test_allowed},
		{"privileges, descriptors and limits", test_privileges},
	};

	return unit_run("sandbox", cases, sizeof(cases) / sizeof(cases[0]));
}
