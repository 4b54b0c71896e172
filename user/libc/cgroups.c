/*
 * Control groups and their memory files as Linux answers them: a transcript to compare.
 *
 *    cgroups [MOUNTPOINT [newer]]   where cgroup2 is mounted, or will be; default /sys/fs/cgroup
 *
 * Runs unchanged on Linux 6.1 and on guestmm. `newer`: only cases that Linux 6.1 does not support. The output does
 * not depend on the kernel's own use of memory. It has errors, texts of limits, events that must or must not have
 * happened, and exact amounts of memory that the program itself has touched.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB  1024ul
#define MIB  (1024 * KIB)
#define PAGE 4096ul

static const char *top = "/sys/fs/cgroup";

static const char *path(const char *group, const char *file)
{
	static char buf[2][512];
	static int which;
	char *p = buf[which ^= 1];

	snprintf(p, sizeof(buf[0]), "%s/%s%s%s", top, group, *file ? "/" : "", file);
	return p;
}

static const char *err_name(int e)
{
	static char other[16];

	switch (e) {
#define E(name)    \
	case name: \
		return #name
		E(EPERM);
		E(ENOENT);
		E(ESRCH);
		E(EINTR);
		E(EAGAIN);
		E(ENOMEM);
		E(EACCES);
		E(EBUSY);
		E(EEXIST);
		E(ENODEV);
		E(ENOTDIR);
		E(EINVAL);
		E(ERANGE);
		E(EOPNOTSUPP);
#undef E
	}
	snprintf(other, sizeof(other), "%d", e);
	return other;
}

static int put(const char *group, const char *file, const char *text)
{
	int fd = open(path(group, file), O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

static const char *get(const char *group, const char *file)
{
	static char buf[8192];
	int fd = open(path(group, file), O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return strerror(errno);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n < 0)
		return strerror(errno);
	while (n && buf[n - 1] == '\n')
		n--;
	buf[n] = 0;
	for (ssize_t i = 0; i < n; i++)
		if (buf[i] == '\n')
			buf[i] = ',';
	return buf;
}

/* The number after `key ` in "key value" lines as get() gives them, or -1. */
static long number(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = text; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, key, len) && p[len] == ' ')
			return atol(p + len + 1);
	return -1;
}

/* The same of a file. */
static long field(const char *group, const char *file, const char *key)
{
	return number(get(group, file), key);
}

static void try_put(const char *group, const char *file, const char *text)
{
	int err = put(group, file, text);

	printf("%s/%s < '%s' = %s", group, file, text, err_name(err));
	if (strcmp(file, "cgroup.procs") && strcmp(file, "memory.reclaim") &&
	    strcmp(file, "cgroup.kill"))
		printf(" -> %s", get(group, file));
	printf("\n");
}

static void try_mkdir(const char *group)
{
	int r = mkdir(path(group, ""), 0755);

	printf("mkdir %s = %s\n", group, err_name(r ? errno : 0));
}

static void try_rmdir(const char *group)
{
	int r = rmdir(path(group, ""));

	printf("rmdir %s = %s\n", group, err_name(r ? errno : 0));
}

static void files_of(const char *group)
{
	static const char *const names[] = {
		"cgroup.type",
		"cgroup.procs",
		"cgroup.threads",
		"cgroup.controllers",
		"cgroup.subtree_control",
		"cgroup.events",
		"cgroup.max.depth",
		"cgroup.max.descendants",
		"cgroup.stat",
		"cgroup.kill",
		"memory.current",
		"memory.peak",
		"memory.min",
		"memory.low",
		"memory.high",
		"memory.max",
		"memory.events",
		"memory.events.local",
		"memory.stat",
		"memory.numa_stat",
		"memory.oom.group",
		"memory.reclaim",
		"memory.swap.current",
		"memory.swap.high",
		"memory.swap.max",
		"memory.swap.events",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct stat st;

		if (stat(path(group, names[i]), &st))
			printf("%s/%s: %s\n", group, names[i], err_name(errno));
		else if (!strcmp(names[i], "memory.peak"))
			printf("%s/%s: %o\n", group, names[i],
			       st.st_mode & 0555); /* since 6.12 0644 */
		else
			printf("%s/%s: %o\n", group, names[i], st.st_mode & 0777);
	}
}

/* ---- a child that does as it is told ---- */

struct child {
	pid_t pid;
	int to, from;
};

/* Orders: 'm' N: touch N KiB more; 's' N: fill 256 KiB of file N;
 * 'd' N: make N files; 'l': MADV_FREE all of it; 'f': free it all; 'q': quit. Each is answered with one byte. */
static void obey(int in, int out)
{
	static char *mem[64];
	static size_t len[64];
	unsigned n = 0;
	long order[2];

	while (read(in, order, sizeof(order)) == sizeof(order)) {
		if (order[0] == 'm') {
			len[n] = order[1] * KIB;
			mem[n] = mmap(NULL, len[n], PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			for (size_t i = 0; i < len[n]; i += PAGE)
				mem[n][i] = 1;
			n++;
		} else if (order[0] == 's') {
			static char some[64 * KIB];

			for (int i = 0; i < 4; i++)
				pwrite((int)order[1], some, sizeof(some), i * (long)sizeof(some));
		} else if (order[0] == 'd') {
			char name[64];

			for (long i = 0; i < order[1]; i++) {
				snprintf(name, sizeof(name), "/tmp/cgroup_file_%ld", i);
				close(open(name, O_CREAT | O_WRONLY, 0600));
			}
		} else if (order[0] == 'l') {
			for (unsigned i = 0; i < n; i++)
				madvise(mem[i], len[i], MADV_FREE);
		} else if (order[0] == 'f') {
			while (n) {
				n--;
				munmap(mem[n], len[n]);
			}
		} else {
			_exit(0);
		}
		write(out, "", 1);
	}
	_exit(0);
}

static struct child start(const char *group)
{
	int to[2], from[2];
	struct child c;
	char pid[16];

	if (pipe(to) || pipe(from))
		exit(1);
	fflush(stdout);
	c.pid = fork();
	if (!c.pid) {
		close(to[1]);
		close(from[0]);
		obey(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	c.to = to[1];
	c.from = from[0];
	snprintf(pid, sizeof(pid), "%d", c.pid);
	if (put(group, "cgroup.procs", pid))
		printf("cannot move a child to %s\n", group);
	return c;
}

/* 0: done; -1: it is dead. */
static int tell(struct child *c, int what, long arg)
{
	long order[2] = {what, arg};
	char answer;

	if (write(c->to, order, sizeof(order)) < 0 || read(c->from, &answer, 1) != 1)
		return -1;
	return 0;
}

static void end(struct child *c, const char *who)
{
	int status;

	close(c->to);
	close(c->from);
	waitpid(c->pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("%s was killed by signal %d\n", who, WTERMSIG(status));
	else
		printf("%s ended with %d\n", who, WEXITSTATUS(status));
}

/* ---- cases ---- */

static void tree(void)
{
	try_put("", "cgroup.subtree_control", "+memory");
	try_put("", "cgroup.subtree_control", "memory");
	try_put("", "cgroup.subtree_control", "+nosuch");
	try_mkdir("t");
	try_mkdir("t");
	files_of("t");
	files_of("");
	printf("type %s, controllers %s\n", get("t", "cgroup.type"),
	       strstr(get("t", "cgroup.controllers"), "memory") ? "memory" : "none");
	try_mkdir("t/a");
	files_of("t/a");
	try_put("t/a", "cgroup.subtree_control", "+memory"); /* its parent has not given it */
	try_put("t", "cgroup.subtree_control", "+memory");
	files_of("t/a");
	try_put("t/a", "cgroup.subtree_control", "+memory");
	try_put("t", "cgroup.subtree_control", "-memory");
	try_put("t/a", "cgroup.subtree_control", "-memory");
	try_rmdir("t");
	printf("unlink %s\n", unlink(path("t", "memory.max")) ? err_name(errno) : "0");
	printf("create %s\n",
	       open(path("t", "file"), O_CREAT | O_WRONLY, 0644) < 0 ? err_name(errno) : "0");
	try_put("t", "cgroup.max.depth", "1");
	try_mkdir("t/a/b");
	try_put("t", "cgroup.max.depth", "max");
	try_put("t", "cgroup.max.descendants", "1");
	try_mkdir("t/b");
	try_put("t", "cgroup.max.descendants", "-1");
	try_put("t", "cgroup.max.descendants", "max");
	printf("%s\n", get("t", "cgroup.stat"));
	try_put("t", "cgroup.type", "domain");
	try_put("t", "cgroup.type", "nonsense");
	try_rmdir("t/a");
	try_rmdir("t");
}

static void processes(void)
{
	struct child c;
	char self[64] = "";
	int fd;

	try_mkdir("p");
	try_mkdir("p/a");
	printf("populated %ld\n", field("p/a", "cgroup.events", "populated"));
	try_put("p/a", "cgroup.procs", "999999");
	try_put("p/a", "cgroup.procs", "x");
	try_put("p/a", "cgroup.procs", "-1");
	c = start("p/a");
	snprintf(self, sizeof(self), "/proc/%d/cgroup", c.pid);
	fd = open(self, O_RDONLY);
	if (fd >= 0) {
		char text[256] = "";
		char *own;

		read(fd, text, sizeof(text) - 1);
		close(fd);
		own = strstr(text, "0::");
		printf("its line is %s", own ? own : "missing\n");
	}
	printf("procs %s\n", atoi(get("p/a", "cgroup.procs")) == c.pid ? "right" : "wrong");
	printf("%s %s\n", strstr(get("p/a", "cgroup.events"), "populated 1") ? "yes" : "no",
	       strstr(get("p", "cgroup.events"), "populated 1") ? "yes" : "no");
	try_rmdir("p/a");
	try_put("p", "cgroup.subtree_control", "+memory");
	/* No process in a group whose children have controllers. */
	snprintf(self, sizeof(self), "%d", c.pid);
	printf("move up: %s\n", err_name(put("p", "cgroup.procs", self)));
	try_mkdir("p/a/b");
	try_put("p/a", "cgroup.subtree_control", "+memory");
	{
		struct pollfd pfd = {.events = POLLPRI};
		char text[128];

		pfd.fd = open(path("p/a", "cgroup.events"), O_RDONLY);
		read(pfd.fd, text, sizeof(text));
		printf("poll before: %d\n", poll(&pfd, 1, 0) > 0 && pfd.revents & POLLPRI);
		try_put("p", "cgroup.kill", "0");
		try_put("p", "cgroup.kill", "1");
		printf("poll after: %d\n", poll(&pfd, 1, 60000) > 0 && pfd.revents & POLLPRI);
		end(&c, "the child");
		lseek(pfd.fd, 0, SEEK_SET);
		text[read(pfd.fd, text, sizeof(text) - 1)] = 0;
		printf("%s\n", strstr(text, "populated 0") ? "empty" : "not empty");
		printf("poll then: %d\n", poll(&pfd, 1, 0) > 0 && pfd.revents & POLLPRI);
		try_rmdir("p/a/b");
		try_rmdir("p/a");
		lseek(pfd.fd, 0, SEEK_SET);
		printf("a file of a removed group: %s\n",
		       read(pfd.fd, text, sizeof(text)) < 0 ? err_name(errno) : "0");
		close(pfd.fd);
	}
	try_rmdir("p");
}

static void owner_of(const char *group, const char *file)
{
	struct stat st;

	if (stat(path(group, file), &st))
		printf("%s/%s: %s\n", group, file, err_name(errno));
	else
		printf("%s/%s: owner %d:%d, mode %o\n", group, file, (int)st.st_uid, (int)st.st_gid,
		       st.st_mode & 07777);
}

static void become(uid_t who)
{
	if ((who && setegid(who)) || seteuid(who) || (!who && setegid(0)))
		printf("cannot become %d: %s\n", (int)who, strerror(errno));
}

/* A subtree is given to somebody: he may make groups in it and move processes within it, but not change his own limits,
 * and not pull processes in or push them out. */
static void delegation(void)
{
	enum { SOMEBODY = 1000 };

	try_mkdir("d");
	try_mkdir("d/a");
	printf("chown %d %d\n", chown(path("d", ""), SOMEBODY, SOMEBODY),
	       chown(path("d", "cgroup.procs"), SOMEBODY, SOMEBODY));
	owner_of("d", "");
	owner_of("d", "cgroup.procs");
	owner_of("d", "cgroup.subtree_control");
	owner_of("d", "memory.max");
	owner_of("d/a", "cgroup.procs");
	become(SOMEBODY);
	try_put("d", "memory.max", "1M");
	try_put("d", "cgroup.subtree_control", "+memory");
	try_put("d", "cgroup.kill", "1");
	try_mkdir("d/x");
	try_mkdir("e");
	owner_of("d/x", "");
	owner_of("d/x", "cgroup.procs");
	owner_of("d/x", "cgroup.max.depth");
	try_put("d/x", "cgroup.max.depth", "3");
	try_put("d", "cgroup.procs", "0");   /* from the root */
	try_put("d/x", "cgroup.procs", "0"); /* likewise */
	become(0);
	try_put("d", "cgroup.procs", "0");
	become(SOMEBODY);
	try_put("d/x", "cgroup.procs", "0");
	try_put("d/a", "cgroup.procs", "0");
	try_put("", "cgroup.procs", "0");
	try_put("d", "cgroup.procs", "0");
	become(0);
	printf("chmod %d\n", chmod(path("d/x", "cgroup.procs"), 0666));
	owner_of("d/x", "cgroup.procs");
	try_put("", "cgroup.procs", "0");
	become(SOMEBODY);
	try_put("d/x", "cgroup.procs", "0");
	try_rmdir("d/x");
	try_rmdir("d/a");
	become(0);
	try_rmdir("d");
}

static void limits(void)
{
	static const char *const files[] = {"memory.min", "memory.low",	     "memory.high",
					    "memory.max", "memory.swap.max", "memory.swap.high"};
	static const char *const texts[] = {"0",
					    "4096",
					    "5000",
					    "1M",
					    "2g",
					    "max",
					    "max ",
					    " 1k",
					    "-1",
					    "abc",
					    "1MB",
					    "0x10",
					    "1 2",
					    "",
					    "18446744073709551615",
					    "99999999999999999"};

	try_mkdir("l");
	for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
		printf("%s at first: %s\n", files[f], get("l", files[f]));
		for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
			if (*texts[i])
				try_put("l", files[f], texts[i]);
	}
	try_put("l", "memory.oom.group", "1");
	try_put("l", "memory.oom.group", "2");
	try_put("l", "memory.oom.group", "0");
	try_put("l", "memory.current", "1");
	printf("stat: %s\n", err_name(put("l", "memory.stat", "1")));
	try_put("l", "memory.reclaim", "x");
	try_put("l", "memory.reclaim", "1G");
	printf("%s\n", get("l", "memory.events"));
	printf("%s\n", get("l", "memory.swap.events"));
	try_rmdir("l");
}

static void charges(void)
{
	struct child c;
	long anon;

	try_mkdir("c");
	try_put("c", "memory.max", "64M");
	c = start("c");
	tell(&c, 'm', 4); /* tables, stack and so on are there */
	anon = field("c", "memory.stat", "anon");
	tell(&c, 'm', 2048);
	/* Linux counts a page or two of ours among them. */
	printf("2 MiB more: %ld\n", (field("c", "memory.stat", "anon") - anon) / (long)(64 * KIB));
	printf("current covers it: %d\n",
	       atol(get("c", "memory.current")) >= anon + (long)(2 * MIB));
	printf("page tables, stack: %d %d\n", field("c", "memory.stat", "pagetables") > 0,
	       field("c", "memory.stat", "kernel_stack") > 0);
	tell(&c, 'f', 0);
	printf("freed: %d\n", labs(anon - (long)(4 * KIB) - field("c", "memory.stat", "anon")) <=
				      (long)(64 * KIB));
	printf("faults are counted: %d\n", field("c", "memory.stat", "pgfault") >= 512);
	end(&c, "the child");
	printf("anon at the end: %d\n", field("c", "memory.stat", "anon") <= (long)(64 * KIB));
	try_rmdir("c");
}

/* Frames that /proc/kpagecgroup ascribes to a directory. */
static long frames_of(ino_t ino)
{
	static unsigned long entry[4096];
	int fd = open("/proc/kpagecgroup", O_RDONLY);
	long n = 0;
	ssize_t got;

	if (fd < 0)
		return -1;
	while ((got = read(fd, entry, sizeof(entry))) > 0)
		for (long i = 0; i < got / 8; i++)
			n += entry[i] == ino;
	close(fd);
	return n;
}
static ino_t ino_of(const char *group)
{
	struct stat st;

	return stat(path(group, ""), &st) ? 0 : st.st_ino;
}

static void owners(void)
{
	int file = memfd_create("owned", 0), fd = open("/proc/kpagecgroup", O_RDONLY);
	struct child c;
	struct stat st;
	long above;
	char byte;
	ino_t ino;

	stat("/proc/kpagecgroup", &st);
	printf("kpagecgroup: %o\n", st.st_mode & 0777);
	if (read(fd, &byte, 1) < 0)
		printf("one byte: %s\n", err_name(errno));
	if (pread(fd, &st, 8, 4) < 0)
		printf("between two: %s\n", err_name(errno));
	close(fd);
	try_mkdir("o");
	try_put("o", "cgroup.subtree_control", "+memory");
	try_mkdir("o/in");
	ino = ino_of("o/in");
	printf("new: %ld\n", frames_of(ino));
	c = start("o/in");
	tell(&c, 'm', 2048);
	tell(&c, 's', file);
	printf("all of it: %d\n", frames_of(ino) >= 512 + 64 && frames_of(ino) < 1024);
	above = frames_of(ino_of("o"));
	printf("none above: %d\n", above < 64);
	printf("the root has some: %d\n", frames_of(ino_of("")) > 0);
	tell(&c, 'f', 0);
	printf("freed: %d\n", frames_of(ino) >= 64 && frames_of(ino) < 512);
	end(&c, "the child");
	printf("the file is left: %d\n", frames_of(ino) >= 64);
	try_rmdir("o/in");
	/* Nobody has that number any more: what is left is shown as its parent's. Linux hands it over in a thread. */
	for (int i = 0; i < 500 && frames_of(ino_of("o")) < above + 64; i++)
		usleep(10000);
	printf("removed: %ld; the parent has its: %d\n", frames_of(ino),
	       frames_of(ino_of("o")) >= above + 64);
	close(file);
	try_rmdir("o");
}

/* What the kernel keeps for a group's files does not keep the group. */
static void pinned(void)
{
	const long before = field("", "cgroup.stat", "nr_dying_descendants");
	struct child c;
	char name[64];
	long dying = 0;

	mkdir("/tmp", 0755);
	try_mkdir("p");
	c = start("p");
	tell(&c, 'd', 500);
	end(&c, "the child");
	printf("objects: %d\n", field("p", "memory.stat", "slab") > 500 * 100);
	try_rmdir("p");
	/* It may take a moment. */
	for (int i = 0; i < 100; i++) {
		dying = field("", "cgroup.stat", "nr_dying_descendants") - before;
		if (dying <= 0)
			break;
		usleep(100000);
	}
	printf("nothing is left of it: %d\n", dying <= 0);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "/tmp/cgroup_file_%d", i);
		if (unlink(name))
			printf("%s: %s\n", name, err_name(errno));
	}
}

static void killing(void)
{
	struct child a, b;

	/* One of two dies; nothing can be swapped. */
	try_mkdir("k");
	try_put("k", "memory.swap.max", "0");
	a = start("k");
	b = start("k");
	tell(&a, 'm', 4096);
	tell(&b, 'm', 256);
	try_put("k", "memory.max", "8M");
	printf("events: %s\n", get("k", "memory.events"));
	printf("beyond: %d\n", tell(&a, 'm', 8192));
	end(&a, "the larger");
	printf("the smaller lives: %d\n", tell(&b, 'm', 64));
	printf("max %d, oom %d, oom_kill %ld, group %ld\n", field("k", "memory.events", "max") > 0,
	       field("k", "memory.events", "oom") > 0, field("k", "memory.events", "oom_kill"),
	       field("k", "memory.events", "oom_group_kill"));
	end(&b, "the smaller");

	/* All die together. */
	try_put("k", "memory.oom.group", "1");
	a = start("k");
	b = start("k");
	tell(&b, 'm', 256);
	printf("beyond: %d\n", tell(&a, 'm', 16384));
	end(&a, "the first");
	end(&b, "the second");
	printf("oom_group_kill %ld\n", field("k", "memory.events", "oom_group_kill"));
	printf("populated %ld\n", field("k", "cgroup.events", "populated"));
	try_rmdir("k");
}

static void swapping(void)
{
	const char *text;
	struct child c;

	try_mkdir("s");
	try_put("s", "memory.max", "8M");
	c = start("s");
	printf("16 MiB in 8: %d\n", tell(&c, 'm', 16384));
	printf("current within max: %d\n", atol(get("s", "memory.current")) <= (long)(8 * MIB));
	printf("swap used: %d\n", atol(get("s", "memory.swap.current")) >= (long)(7 * MIB));
	printf("nobody was killed: %ld\n", field("s", "memory.events", "oom_kill"));
	printf("scanned and stolen: %d %d\n", field("s", "memory.stat", "pgscan_direct") > 0,
	       field("s", "memory.stat", "pgsteal_direct") > 0);
	text = get("s", "memory.stat");
	printf("sums of these and of kswapd's: %d %d\n",
	       number(text, "pgscan") ==
		       number(text, "pgscan_kswapd") + number(text, "pgscan_direct"),
	       number(text, "pgsteal") ==
		       number(text, "pgsteal_kswapd") + number(text, "pgsteal_direct"));
	tell(&c, 'f', 0);
	printf("swap freed: %d\n", atol(get("s", "memory.swap.current")) <= (long)(512 * KIB));
	end(&c, "the child");
	try_put("s", "memory.max", "max");
	try_put("s", "memory.high", "4M");
	c = start("s");
	printf("8 MiB above high: %d\n", tell(&c, 'm', 8192));
	printf("high %d, max %ld\n", field("s", "memory.events", "high") > 0,
	       field("s", "memory.events.local", "oom"));
	printf("near high: %d\n", atol(get("s", "memory.current")) <= (long)(6 * MIB));
	end(&c, "the child");
	try_rmdir("s");
}

static const char *const event_files[] = {"memory.events", "memory.events.local",
					  "memory.swap.events"};
enum { EVENT_FILES = sizeof(event_files) / sizeof(event_files[0]) };

/* Which of a group's files of events poll says have changed since they were read; then they are read. */
static void say_changed(const char *when, const char *group, const int *fd)
{
	char text[256];

	printf("%s: %s", when, group);
	for (int i = 0; i < EVENT_FILES; i++) {
		struct pollfd p = {.fd = fd[i], .events = POLLPRI};

		printf(" %d", poll(&p, 1, 0) > 0 && (p.revents & POLLPRI));
		lseek(fd[i], 0, SEEK_SET);
		read(fd[i], text, sizeof(text));
	}
	printf("\n");
}

/* Each file of events is notified of its own; the group above of what happens below, but not as of its own. */
static void notices(void)
{
	static const char *const groups[] = {"n", "n/a"};
	int fd[2][EVENT_FILES];
	char text[32];
	struct child c;

	try_mkdir("n");
	try_put("n", "cgroup.subtree_control", "+memory");
	try_mkdir("n/a");
	for (int g = 0; g < 2; g++)
		for (int i = 0; i < EVENT_FILES; i++) {
			fd[g][i] = open(path(groups[g], event_files[i]), O_RDONLY);
			read(fd[g][i], text, sizeof(text));
		}
	c = start("n/a");
	for (int g = 0; g < 2; g++)
		say_changed("at first", groups[g], fd[g]);
	try_put("n/a", "memory.max", "2M");
	printf("4 MiB in 2: %d\n", tell(&c, 'm', 4096));
	usleep(200000); /* Linux puts off what comes within 10 ms of another notice */
	for (int g = 0; g < 2; g++)
		say_changed("at memory.max", groups[g], fd[g]);
	for (int g = 0; g < 2; g++)
		say_changed("nothing since", groups[g], fd[g]);
	put("n/a", "memory.max", "max");
	snprintf(text, sizeof(text), "%ld", atol(get("n/a", "memory.swap.current")) + 8192);
	put("n/a", "memory.swap.max", text);
	/* More than it has: where the disk is slow, much of it is on its way to slots that it has already. */
	try_put("n/a", "memory.reclaim", "8M");
	for (int g = 0; g < 2; g++)
		say_changed("at memory.swap.max", groups[g], fd[g]);
	for (int g = 0; g < 2; g++)
		for (int i = 0; i < EVENT_FILES; i++)
			close(fd[g][i]);
	end(&c, "the child");
	try_rmdir("n/a");
	try_rmdir("n");
}

/* ---- what Linux has since 6.12 (peaks) and 6.11 (swappiness=) ---- */

static long peak(int fd)
{
	char text[32] = "";

	lseek(fd, 0, SEEK_SET);
	read(fd, text, sizeof(text) - 1);
	return atol(text);
}

/* A write to memory.peak begins anew for that opener, and for nobody else. */
static void peaks(void)
{
	long whole, low, grown;
	struct child c;
	int fd[3];

	try_mkdir("k");
	for (int i = 0; i < 3; i++)
		fd[i] = open(path("k", "memory.peak"), O_RDWR);
	c = start("k");
	tell(&c, 'm', 4096);
	tell(&c, 'f', 0);
	whole = peak(fd[0]);
	low = atol(get("k", "memory.current"));
	printf("peak above current: %d\n", whole >= low + (long)(3 * MIB));
	printf("reset: %ld\n", (long)write(fd[0], "anything", 8));
	printf("current: %d, the others' as before: %d %d\n", peak(fd[0]) == low,
	       peak(fd[1]) == whole, atol(get("k", "memory.peak")) == whole);
	tell(&c, 'm', 2048);
	grown = peak(fd[0]);
	printf("it grows: %d\n", grown >= low + (long)(2 * MIB) && grown < whole);
	tell(&c, 'f', 0);
	printf("another reset: %ld\n", (long)write(fd[1], "1", 1));
	printf("for itself: %d, the first keeps its own: %d, the third the whole: %d\n",
	       peak(fd[1]) < grown - (long)MIB, peak(fd[0]) == grown, peak(fd[2]) == whole);
	tell(&c, 'm', 8192);
	printf("all see a new peak: %d\n", peak(fd[0]) == peak(fd[1]) &&
						   peak(fd[1]) == peak(fd[2]) &&
						   peak(fd[2]) >= low + (long)(8 * MIB));
	close(fd[1]);
	printf("and again: %ld\n", (long)write(fd[0], "1", 1));
	printf("now: %d\n", peak(fd[0]) == atol(get("k", "memory.current")));
	close(fd[0]);
	close(fd[2]);
	end(&c, "the child");
	try_rmdir("k");
}

static void own_swappiness(void)
{
	struct child c;
	long anon, swapped;
	int fd;

	try_mkdir("w");
	c = start("w");
	tell(&c, 'm', 8192);
	anon = field("w", "memory.stat", "anon");
	try_put("w", "memory.reclaim", "1M swappiness=201");
	try_put("w", "memory.reclaim", "1M swappiness=-1");
	try_put("w", "memory.reclaim", "1M swappiness=");
	try_put("w", "memory.reclaim", "1M swappiness=6x");
	try_put("w", "memory.reclaim", "1M nosuch=6");
	try_put("w", "memory.reclaim", "swappiness=6");
	/* 0: pages of files alone, and there are none. */
	try_put("w", "memory.reclaim", "1M swappiness=0");
	printf("all there: %d, none in swap: %d\n", field("w", "memory.stat", "anon") == anon,
	       atol(get("w", "memory.swap.current")) == 0);
	try_put("w", "memory.reclaim", "1M  swappiness=200");
	swapped = atol(get("w", "memory.swap.current"));
	printf("swapped: %d\n", swapped >= (long)MIB);
	fd = open(path("w", "memory.swap.peak"), O_RDWR);
	printf("peak of swap: %d\n", peak(fd) >= swapped);
	tell(&c, 'f', 0);
	printf("reset: %ld\n", (long)write(fd, "0", 1));
	printf("peak of swap: %d, for others: %d\n",
	       peak(fd) == atol(get("w", "memory.swap.current")),
	       atol(get("w", "memory.swap.peak")) >= swapped);
	close(fd);
	end(&c, "the child");
	try_rmdir("w");
}

/* Pages that MADV_FREE made free to go, and that went. */
static void lazily(void)
{
	struct child c;

	try_mkdir("z");
	c = start("z");
	tell(&c, 'm', 4096);
	printf("none yet: %ld %ld\n", field("z", "memory.stat", "pglazyfree"),
	       field("z", "memory.stat", "pglazyfreed"));
	tell(&c, 'l', 0);
	try_put("z", "memory.reclaim", "3M");
	/* Linux gathers up to 15 in a batch. */
	printf("free to go: %d, gone: %d\n", field("z", "memory.stat", "pglazyfree") >= 1024 - 15,
	       field("z", "memory.stat", "pglazyfreed") >= 512);
	printf("none was written: %d\n",
	       atol(get("z", "memory.swap.current")) <= (long)(512 * KIB));
	end(&c, "the child");
	try_rmdir("z");
}

static bool is_among(const char *name, const char *const *names, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* The names in memory.stat in their order, but for those that only Linux 6.1 or only guestmm has (doc/cgroups.md). */
static void stat_names(const char *group)
{
	static const char *const only_one_has[] = {
		"sec_pagetables", "percpu", "sock", "vmalloc", "file_thp", "zswpwb",
	};
	char text[8192], *save = NULL;

	snprintf(text, sizeof(text), "%s", get(group, "memory.stat"));
	for (char *line = strtok_r(text, ",", &save); line; line = strtok_r(NULL, ",", &save)) {
		line[strcspn(line, " ")] = 0;
		if (!is_among(line, only_one_has, sizeof(only_one_has) / sizeof(only_one_has[0])))
			printf("%s\n", line);
	}
}

static void stat_lines(void)
{
	try_mkdir("g");
	stat_names("g");
	try_rmdir("g");
}

static void hierarchy(void)
{
	struct child c;

	try_mkdir("h");
	try_put("h", "cgroup.subtree_control", "+memory");
	try_mkdir("h/a");
	try_mkdir("h/b");
	try_put("h", "memory.max", "6M");
	try_put("h", "memory.swap.max", "0");
	c = start("h/a");
	printf("within: %d\n", tell(&c, 'm', 2048));
	printf("counted above: %d\n", field("h", "memory.stat", "anon") >= (long)(2 * MIB) &&
					      field("h/b", "memory.stat", "anon") == 0);
	printf("beyond the parent's: %d\n", tell(&c, 'm', 8192));
	end(&c, "the child");
	printf("in a: oom_kill %ld local %ld; above: %ld local %ld\n",
	       field("h/a", "memory.events", "oom_kill"),
	       field("h/a", "memory.events.local", "oom_kill"),
	       field("h", "memory.events", "oom_kill"),
	       field("h", "memory.events.local", "oom_kill"));
	printf("oom: a %ld, h local %d\n", field("h/a", "memory.events.local", "oom"),
	       field("h", "memory.events.local", "oom") > 0);
	try_rmdir("h/a");
	try_rmdir("h/b");
	try_rmdir("h");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1)
		top = argv[1];
	if (access(path("", "cgroup.procs"), F_OK)) {
		mkdir("/sys", 0755);
		mount("sysfs", "/sys", "sysfs", 0, NULL);
		mkdir("/proc", 0755);
		mount("proc", "/proc", "proc", 0, NULL);
		mkdir(top, 0755);
		if (mount("cgroup2", top, "cgroup2", 0, NULL)) {
			printf("cgroup2 cannot be mounted: %s\n", strerror(errno));
			return 1;
		}
	}
	if (argc > 2) {
		put("", "cgroup.subtree_control", "+memory");
		printf("== peaks\n");
		peaks();
		printf("== swappiness\n");
		own_swappiness();
		printf("== end\n");
		return 0;
	}
	printf("== tree\n");
	tree();
	printf("== processes\n");
	processes();
	printf("== delegation\n");
	delegation();
	printf("== limits\n");
	limits();
	printf("== charges\n");
	charges();
	printf("== owners\n");
	owners();
	printf("== pinned\n");
	pinned();
	printf("== killing\n");
	killing();
	printf("== swapping\n");
	swapping();
	printf("== notices\n");
	notices();
	printf("== free lazily\n");
	lazily();
	printf("== lines of memory.stat\n");
	stat_lines();
	printf("== hierarchy\n");
	hierarchy();
	printf("== end\n");
	return 0;
}
