/*
 * Extended attributes, PR_SET_PDEATHSIG, and the right to change limits of other processes: a transcript to compare
 * (tests/vm/conform_programs.sh). Starts as root, on a tmpfs of its own.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "transcript.h"

#define DIR "/tmp/xattrs"

static char *volatile bad = (char *)8;

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The order of the names is the file system's. */
static void list(const char *what, const char *path)
{
	char buf[4096], *names[32] = {0};
	ssize_t n = listxattr(path, buf, sizeof(buf));
	int nr = 0;

	printf("%s: %s", what, result(n));
	for (char *p = buf; p < buf + n && nr < 32; p += strlen(p) + 1)
		names[nr++] = p;
	qsort(names, nr, sizeof(*names), by_text);
	for (int i = 0; i < nr; i++)
		printf(" %s", names[i]);
	printf("\n");
}

static void set_and_get(void)
{
	char buf[64] = "", big[70000];
	int fd;

	memset(big, 'x', sizeof(big));
	printf("set %s", result(setxattr("f", "trusted.a", "one", 3, 0)));
	printf(" create %s", result(setxattr("f", "trusted.b", "two", 3, XATTR_CREATE)));
	printf(" create again %s\n", result(setxattr("f", "trusted.b", "2", 1, XATTR_CREATE)));
	printf("replace %s", result(setxattr("f", "trusted.b", "second", 6, XATTR_REPLACE)));
	printf(" nothing %s", result(setxattr("f", "trusted.c", "3", 1, XATTR_REPLACE)));
	printf(" both %s",
	       result(setxattr("f", "trusted.b", "3", 1, XATTR_CREATE | XATTR_REPLACE)));
	printf(" bad flag %s\n", result(setxattr("f", "trusted.b", "3", 1, 4)));
	printf("empty %s", result(setxattr("f", "trusted.empty", "", 0, 0)));
	printf(" largest %s", result(setxattr("f", "trusted.big", big, 65536, 0)));
	printf(" larger %s\n", result(setxattr("f", "trusted.big", big, 65537, 0)));
	printf("get %s", result(getxattr("f", "trusted.b", buf, sizeof(buf))));
	printf(" %.6s", buf);
	printf(" size %s", result(getxattr("f", "trusted.b", NULL, 0)));
	printf(" small %s", result(getxattr("f", "trusted.b", buf, 5)));
	printf(" none %s", result(getxattr("f", "trusted.none", buf, 5)));
	printf(" empty %s\n", result(getxattr("f", "trusted.empty", buf, 5)));
	printf("big %s", result(getxattr("f", "trusted.big", big, sizeof(big))));
	printf(" bad value %s", result(setxattr("f", "trusted.b", bad, 6, 0)));
	printf(" bad buffer %s", result(getxattr("f", "trusted.b", bad, 64)));
	printf(" bad name %s\n", result(getxattr("f", bad, buf, 64)));
	list("names", "f");
	printf("list: size %s", result(listxattr("f", NULL, 0)));
	printf(" small %s\n", result(listxattr("f", buf, 12)));
	printf("remove %s", result(removexattr("f", "trusted.big")));
	printf(" again %s\n", result(removexattr("f", "trusted.big")));
	fd = open("f", O_RDONLY);
	printf("by descriptor: set %s", result(fsetxattr(fd, "trusted.fd", "12345", 5, 0)));
	printf(" get %s", result(fgetxattr(fd, "trusted.fd", buf, 64)));
	printf(" remove %s", result(fremovexattr(fd, "trusted.fd")));
	printf(" list %s\n", result(flistxattr(fd, NULL, 0)));
	close(fd);
	fd = open("f", O_PATH);
	printf("O_PATH %s", result(fgetxattr(fd, "trusted.b", buf, 64)));
	printf(" closed %s\n", result(fgetxattr(-1, "trusted.b", buf, 64)));
	close(fd);
}

static void names(void)
{
	static char name[300];

	memset(name, 'n', 299);
	memcpy(name, "trusted.", 8);
	printf("too long %s", result(setxattr("f", name, "v", 1, 0)));
	name[256] = 0;
	printf(" 256 %s", result(setxattr("f", name, "v", 1, 0)));
	name[255] = 0;
	printf(" 255 %s", result(setxattr("f", name, "v", 1, 0)));
	printf(" %s", result(removexattr("f", name)));
	printf(" none %s", result(setxattr("f", "", "v", 1, 0)));
	printf(" prefix only %s", result(setxattr("f", "trusted.", "v", 1, 0)));
	printf(" no space %s\n", result(setxattr("f", "other.a", "v", 1, 0)));
	printf("link: of itself %s", result(lsetxattr("l", "trusted.l", "link", 4, 0)));
	printf(" of the file %s\n", result(setxattr("l", "trusted.through", "", 0, 0)));
	printf("link: get %s", result(lgetxattr("l", "trusted.l", NULL, 0)));
	printf(" %s", result(lgetxattr("l", "trusted.through", NULL, 0)));
	printf(" list %s", result(llistxattr("l", NULL, 0)));
	printf(" remove %s\n", result(lremovexattr("l", "trusted.l")));
	printf("user on a link %s", result(lsetxattr("l", "user.a", "v", 1, 0)));
	printf(" on a pipe %s\n", result(setxattr("p", "user.a", "v", 1, 0)));
	printf("no file %s", result(setxattr("none", "trusted.a", "v", 1, 0)));
	printf(" not there %s\n", result(getxattr("/proc/self/stat", "trusted.a", NULL, 0)));
	printf("security %s", result(setxattr("f", "security.x", "label", 5, 0)));
	printf(" %s\n", result(getxattr("f", "security.x", NULL, 0)));
}

static void other_user(void)
{
	char buf[16];

	if (!fork()) {
		if (setgid(1000) || setuid(1000))
			_exit(1);
		printf("other: read %s", result(getxattr("f", "trusted.b", buf, 16)));
		printf(" write %s", result(setxattr("f", "trusted.b", "x", 1, 0)));
		printf(" remove %s", result(removexattr("f", "trusted.b")));
		printf(" security %s", result(getxattr("f", "security.x", buf, 16)));
		printf(" write %s\n", result(setxattr("f", "security.x", "x", 1, 0)));
		list("other", "f");
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	rename("f", "g");
	list("renamed", "g");
	printf("read-only: %s", result(mount(NULL, DIR, NULL, MS_REMOUNT | MS_RDONLY, NULL)));
	printf(" set %s", result(setxattr("g", "trusted.b", "x", 1, 0)));
	printf(" remove %s", result(removexattr("g", "trusted.b")));
	printf(" get %s\n", result(getxattr("g", "trusted.b", NULL, 0)));
}

/* ---- the end of the parent ---- */

static void parent_ends(void)
{
	int sig = 77, pipes[2];
	pid_t child;
	char c = 0;

	printf("pdeathsig: get %s %d", result(prctl(PR_GET_PDEATHSIG, &sig)), sig);
	printf(" set %s", result(prctl(PR_SET_PDEATHSIG, SIGUSR1)));
	printf(" bad %s", result(prctl(PR_SET_PDEATHSIG, 65)));
	prctl(PR_GET_PDEATHSIG, &sig);
	printf(" get %d bad address %s\n", sig, result(prctl(PR_GET_PDEATHSIG, 8)));
	fflush(stdout);
	if (pipe(pipes))
		return;
	child = fork();
	if (!child) {
		prctl(PR_GET_PDEATHSIG, &sig);
		printf("a child has none: %d\n", sig);
		fflush(stdout);
		if (!fork()) {
			siginfo_t si;
			sigset_t set;

			sigemptyset(&set);
			sigaddset(&set, SIGUSR2);
			sigprocmask(SIG_BLOCK, &set, NULL);
			prctl(PR_SET_PDEATHSIG, SIGUSR2);
			if (write(pipes[1], "r", 1) != 1)
				_exit(1);
			printf("the parent has ended: %s", result(sigwaitinfo(&set, &si)));
			printf(" code %d\n", si.si_code);
			fflush(stdout);
			if (write(pipes[1], "d", 1) != 1)
				_exit(1);
			_exit(0);
		}
		if (read(pipes[0], &c, 1) != 1)
			_exit(1);
		_exit(0);
	}
	waitpid(child, NULL,
		0); /* not just any: the first process of a machine gets the orphan, too */
	if (read(pipes[0], &c, 1) == 1)
		printf("done %c\n", c);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGUSR1);
		if (setuid(1000))
			_exit(1);
		prctl(PR_GET_PDEATHSIG, &sig);
		printf("as another user: %d\n", sig);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	prctl(PR_SET_PDEATHSIG, 0);
}

/* ---- limits ---- */

static void limits(void)
{
	struct rlimit l = {100, 200};
	pid_t me = getpid(), child;

	child = fork();
	if (!child) {
		printf("lower %s", result(setrlimit(RLIMIT_CPU, &l)));
		printf(" raise as root %s\n",
		       result(setrlimit(RLIMIT_CPU, &(struct rlimit){100, 300})));
		if (setgid(1000) || setuid(1000))
			_exit(1);
		printf("lower %s", result(setrlimit(RLIMIT_CPU, &(struct rlimit){100, 250})));
		printf(" soft %s", result(setrlimit(RLIMIT_CPU, &(struct rlimit){250, 250})));
		printf(" raise %s\n", result(setrlimit(RLIMIT_CPU, &(struct rlimit){100, 300})));
		printf("root's: read %s", result(syscall(SYS_prlimit64, me, RLIMIT_CPU, NULL, &l)));
		printf(" write %s", result(syscall(SYS_prlimit64, me, RLIMIT_CPU, &l, NULL)));
		printf(" nobody's %s\n",
		       result(syscall(SYS_prlimit64, 0x3fffffff, RLIMIT_CPU, NULL, &l)));
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/tmp", 0777);
	mkdir(DIR, 0755);
	printf("mount %s\n", result(mount("x", DIR, "tmpfs", 0, NULL)));
	if (chdir(DIR))
		return 1;
	close(open("f", O_CREAT | O_RDWR, 0644));
	printf("files %s", result(symlink("f", "l")));
	printf(" %s\n", result(mkfifo("p", 0644)));
	set_and_get();
	names();
	other_user();
	parent_ends();
	limits();
	if (chdir("/"))
		return 1;
	printf("umount %s\n", result(umount(DIR)));
	rmdir(DIR);
	puts("end");
	return 0;
}
