/*
 * Users, groups, capabilities and what they decide, as Linux answers: a transcript to compare
 * (tests/vm/conform_programs.sh). Starts as root. The program itself expects no particular answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct cap_header {
	uint32_t version;
	int pid;
};
struct cap_data {
	uint32_t effective, permitted, inheritable;
};

static const char *r(long ret)
{
	static char text[8][32];
	static unsigned int at;
	char *t = text[at++ % 8];

	snprintf(t, 32, "%ld", ret < 0 ? -(long)errno : ret);
	return t;
}

static void ids(const char *what)
{
	uid_t u[3];
	gid_t g[3];
	struct cap_header h = {0x20080522, 0};
	struct cap_data d[2];

	getresuid(&u[0], &u[1], &u[2]);
	getresgid(&g[0], &g[1], &g[2]);
	syscall(SYS_capget, &h, d);
	printf("%s: uid %d %d %d fs %d gid %d %d %d fs %d caps %s%s\n", what, u[0], u[1], u[2],
	       setfsuid(-1), g[0], g[1], g[2], setfsgid(-1), d[0].permitted ? "P" : "-",
	       d[0].effective ? "E" : "-");
}

/* Each in a process of its own, so that nothing has to be undone. */
static void alone(const char *name, void (*fn)(void))
{
	pid_t p;
	int st;

	printf("-- %s\n", name);
	fflush(stdout);
	p = fork();
	if (!p) {
		fn();
		fflush(stdout);
		_exit(0);
	}
	waitpid(p, &st, 0);
	if (st)
		printf("status %x\n", st);
}

/* Raw calls: the libraries' change all threads, by signals. */
#define SETUID(a)	   syscall(SYS_setuid, a)
#define SETGID(a)	   syscall(SYS_setgid, a)
#define SETREUID(a, b)	   syscall(SYS_setreuid, a, b)
#define SETRESUID(a, b, c) syscall(SYS_setresuid, a, b, c)
#define SETRESGID(a, b, c) syscall(SYS_setresgid, a, b, c)

static void drop_for_good(void)
{
	printf("setgid %s setuid %s\n", r(SETGID(100)), r(SETUID(1000)));
	ids("dropped");
	printf("back %s %s %s\n", r(SETUID(0)), r(SETREUID(0, 0)), r(SETRESUID(-1, 0, -1)));
	printf("own %s other %s\n", r(SETUID(1000)), r(SETUID(1001)));
	printf("groups %s\n", r(syscall(SYS_setgroups, 0, NULL)));
}

static void and_back(void)
{
	printf("seteuid %s\n", r(SETRESUID(-1, 1000, -1)));
	ids("away");
	printf("back %s\n", r(SETRESUID(-1, 0, -1)));
	ids("back");
	printf("setreuid %s\n", r(SETREUID(1000, 2000)));
	ids("both");
	printf("swap %s\n", r(SETREUID(2000, 1000)));
	ids("swapped");
	printf("saved %s\n", r(SETRESUID(-1, 2000, -1)));
	ids("saved");
	printf("invalid %s\n", r(SETUID(-1)));
}

static void keep(void)
{
	struct cap_header h = {0x20080522, 0};
	struct cap_data d[2];

	printf("keepcaps %s %s bad %s\n", r(prctl(PR_SET_KEEPCAPS, 1)), r(prctl(PR_GET_KEEPCAPS)),
	       r(prctl(PR_SET_KEEPCAPS, 2)));
	SETUID(1000);
	ids("kept");
	syscall(SYS_capget, &h, d);
	d[0].effective = 1 << 7; /* CAP_SETUID */
	printf("capset %s\n", r(syscall(SYS_capset, &h, d)));
	printf("setuid with it %s\n", r(SETUID(5)));
	d[0].permitted = d[0].effective = 0;
	d[1] = d[0];
	printf("give up %s\n", r(syscall(SYS_capset, &h, d)));
	d[0].permitted = 1;
	printf("take %s\n", r(syscall(SYS_capset, &h, d)));
	h.version = 1;
	printf("version %s", r(syscall(SYS_capget, &h, d)));
	printf(" right one %x\n", h.version);
	h.pid = -1;
	printf("pid %s", r(syscall(SYS_capget, &h, d)));
	h.pid = 99999;
	printf(" nobody %s\n", r(syscall(SYS_capget, &h, d)));
	printf("bounding %s %s drop %s\n", r(prctl(PR_CAPBSET_READ, 7)),
	       r(prctl(PR_CAPBSET_READ, 63)), r(prctl(PR_CAPBSET_DROP, 7)));
}

static void fsids(void)
{
	printf("was %d", setfsuid(1000));
	printf(" is %d\n", setfsuid(-1));
	ids("fs");
	printf("open 0600 of root: %s\n", r(open("secret", O_RDONLY)));
	setfsuid(0);
	printf("as root: %s\n", open("secret", O_RDONLY) >= 0 ? "open" : "no");
}

static void groups(void)
{
	gid_t g[3] = {30, 10, 20}, out[8];
	int n;

	printf("set %s\n", r(syscall(SYS_setgroups, 3, g)));
	printf("count %s small %s\n", r(syscall(SYS_getgroups, 0, NULL)),
	       r(syscall(SYS_getgroups, 2, out)));
	n = (int)syscall(SYS_getgroups, 8, out);
	for (int i = 0; i < n; i++)
		printf(" %d", out[i]);
	printf("\ntoo many %s negative %s\n", r(syscall(SYS_setgroups, 65537, g)),
	       r(syscall(SYS_getgroups, -1, out)));
	SETRESGID(100, 100, 100);
	SETUID(1000);
	printf("file of group 20: %s\n", open("group20", O_RDONLY) >= 0 ? "open" : "no");
	printf("chmod of another's %s\n", r(chmod("group20", 0777)));
}

static void files(void)
{
	struct stat st;
	int fd;

	syscall(SYS_setgroups, 0, NULL);
	SETRESGID(100, 100, 100);
	SETUID(1000);
	printf("secret r %s w %s\n", r(open("secret", O_RDONLY)), r(open("secret", O_WRONLY)));
	printf("public r %s w %s trunc %s\n", open("public", O_RDONLY) >= 0 ? "ok" : "no",
	       r(open("public", O_WRONLY)), r(open("public", O_RDONLY | O_TRUNC)));
	printf("access %s %s %s\n", r(access("secret", R_OK)), r(access("public", R_OK)),
	       r(access("public", W_OK)));
	printf("create %s mkdir %s symlink %s link %s mkfifo %s\n", r(open("new", O_CREAT, 0600)),
	       r(mkdir("newdir", 0700)), r(symlink("a", "newlink")), r(link("public", "l")),
	       r(mkfifo("fifo", 0600)));
	printf("unlink %s rename %s rmdir %s\n", r(unlink("public")), r(rename("public", "x")),
	       r(rmdir("closed")));
	printf("behind a closed one: %s stat %s chdir %s\n", r(open("closed/f", O_RDONLY)),
	       r(stat("closed/f", &st)), r(chdir("closed")));
	printf("search without reading: list %s open %s\n",
	       r(open("search", O_RDONLY | O_DIRECTORY)),
	       open("search/f", O_RDONLY) >= 0 ? "ok" : "no");
	printf("chmod %s chown %s truncate %s\n", r(chmod("public", 0666)),
	       r(chown("public", 1000, 100)), r(truncate("public", 0)));
	printf("utimes of another's: now %s then %s\n", r(utimensat(AT_FDCWD, "public", NULL, 0)),
	       r(utimensat(AT_FDCWD, "public", (struct timespec[2]){{1, 0}, {1, 0}}, 0)));
	printf("noatime %s\n", r(open("public", O_RDONLY | O_NOATIME)));
	/* in a directory for all */
	fd = open("open/mine", O_CREAT | O_RDWR | O_EXCL, 0400);
	printf("made with 0400: %s writes %s\n", fd >= 0 ? "ok" : "no", r(write(fd, "x", 1)));
	printf("again for writing %s\n", r(open("open/mine", O_RDWR)));
	fstat(fd, &st);
	printf("owner %d %d\n", st.st_uid, st.st_gid);
	printf("give away %s to own group %s\n", r(fchown(fd, 0, -1)), r(fchown(fd, -1, 100)));
	printf("another's in a sticky one: %s rename %s\n", r(unlink("sticky/f")),
	       r(rename("sticky/f", "sticky/g")));
	printf("of a set-group-ID one: ");
	close(open("setgid/f", O_CREAT | O_RDWR, 0600));
	mkdir("setgid/d", 0755);
	stat("setgid/f", &st);
	printf("%d", st.st_gid);
	stat("setgid/d", &st);
	printf(" %d %o\n", st.st_gid, st.st_mode);
	close(open("open/s", O_CREAT | O_RDWR, 0755));
	printf("chmod 6755: %s", r(chmod("open/s", 06755)));
	stat("open/s", &st);
	printf(" %o", st.st_mode);
	fd = open("open/s", O_WRONLY);
	printf(" write %s", r(write(fd, "x", 1)));
	stat("open/s", &st);
	printf(" %o\n", st.st_mode);
	printf("mknod %s chroot %s mount %s swapoff %s\n",
	       r(mknod("open/n", S_IFCHR | 0600, 0x103)), r(chroot("/")),
	       r(syscall(SYS_mount, "none", "/", "tmpfs", 0, "")),
	       r(syscall(SYS_swapoff, "/nothing")));
	printf("run what may not be read: ");
	fflush(stdout);
	if (!fork()) {
		execl("runonly", "runonly", "ran", NULL);
		_exit(errno);
	}
	wait(NULL);
	printf("run what may not be run: %s\n", r(execl("public", "public", NULL)));
}

static void dac(void)
{
	struct cap_header h = {0x20080522, 0};
	struct cap_data d[2] = {{0}};

	d[0].effective = d[0].permitted = 1 << 2; /* CAP_DAC_READ_SEARCH */
	SETRESGID(100, 100, 100);
	prctl(PR_SET_KEEPCAPS, 1);
	SETUID(1000);
	printf("capset %s\n", r(syscall(SYS_capset, &h, d)));
	printf("secret r %s w %s closed/f %s create %s\n",
	       open("secret", O_RDONLY) >= 0 ? "ok" : "no", r(open("secret", O_WRONLY)),
	       open("closed/f", O_RDONLY) >= 0 ? "ok" : "no", r(open("n", O_CREAT, 0600)));
	printf("access looks at the real user: %s effective %s\n", r(access("secret", R_OK)),
	       r(syscall(SYS_faccessat2, AT_FDCWD, "secret", R_OK, AT_EACCESS)));
}

static void signals(void)
{
	pid_t root = fork(), other;
	int changed[2];
	char c;

	if (!root) {
		pause();
		_exit(0);
	}
	if (pipe(changed))
		return;
	other = fork();
	if (!other) {
		SETRESUID(1000, 1000, 1000);
		if (write(changed[1], "x", 1) < 0)
			_exit(1);
		pause();
		_exit(0);
	}
	if (read(changed[0], &c, 1) < 0)
		return;
	SETRESUID(1000, 2000, 2000);
	printf("root's %s same real user %s\n", r(kill(root, 0)), r(kill(other, SIGTERM)));
	printf("SIGCONT in the session %s\n", r(kill(root, SIGCONT)));
}

static void setuid_programs(void)
{
	syscall(SYS_setgroups, 0, NULL);
	SETRESGID(100, 100, 100);
	SETUID(1000);
	for (int i = 0; i < 2; i++) {
		if (i)
			printf("no_new_privs %s %s\n", r(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)),
			       r(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
		fflush(stdout);
		if (!fork()) {
			execl("suid", "suid", "ran", NULL);
			_exit(errno);
		}
		wait(NULL);
		fflush(stdout);
		if (!fork()) {
			execl("sgid", "sgid", "ran", NULL);
			_exit(errno);
		}
		wait(NULL);
	}
}

static void make(const char *name, mode_t mode, gid_t group)
{
	int fd = open(name, O_CREAT | O_WRONLY, 0600);

	if (fd < 0 || write(fd, "data", 4) != 4 || fchown(fd, 0, group) || fchmod(fd, mode))
		printf("cannot make %s: %d\n", name, errno);
	close(fd);
}

static void copy_self(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
	static char buf[65536];
	int in = open("/proc/self/exe", O_RDONLY), out = open(name, O_CREAT | O_WRONLY, 0700);
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			puts("short");
	close(in);
	if (fchown(out, uid, gid) || fchmod(out, mode))
		puts("chown");
	close(out);
}

int main(int argc, char **argv)
{
	char dir[] = "/dev/shm/creds.XXXXXX";

	if (argc > 1 && !strcmp(argv[1], "ran")) {
		ids(argv[0]);
		printf("AT_SECURE %lu AT_UID %lu AT_EUID %lu AT_EGID %lu\n", getauxval(AT_SECURE),
		       getauxval(AT_UID), getauxval(AT_EUID), getauxval(AT_EGID));
		return 0;
	}
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	umask(0);
	syscall(SYS_setgroups, 0, NULL);
	if (!mkdtemp(dir) || chdir(dir) || chmod(".", 0755))
		return 1;
	make("secret", 0600, 0);
	make("public", 0644, 0);
	make("group20", 0040, 20);
	mkdir("closed", 0700);
	make("closed/f", 0644, 0);
	mkdir("search", 0711);
	make("search/f", 0644, 0);
	mkdir("open", 0777);
	mkdir("sticky", 01777);
	make("sticky/f", 0666, 0);
	mkdir("setgid", 0777);
	if (chown("setgid", 0, 55) || chmod("setgid", 02777))
		return 1;
	copy_self("suid", 7, 0, 04755);
	copy_self("sgid", 0, 8, 02755);
	copy_self("runonly", 0, 0, 0111);
	ids("begin");
	alone("drop", drop_for_good);
	alone("away and back", and_back);
	alone("keep", keep);
	alone("fs ids", fsids);
	alone("groups", groups);
	alone("files", files);
	alone("dac", dac);
	alone("signals", signals);
	alone("set-user-ID", setuid_programs);
	puts("end");
	fflush(stdout);
	return 0;
}
