/*
 * Pressure as Linux tells it.
 *
 *    pressure                    the files' form, errors of triggers, a trigger that fires, and the files of groups that
 *                                have no controller: a transcript to compare (tests/vm/pressure.sh). Runs unchanged
 *                                on Linux (booted with psi=1) and on guestmm.
 *    pressure stall MIB          a process that uses MIB of memory, another one that computes; meanwhile, each second,
 *                                what the three files say, until each has said that there is pressure
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "transcript.h"

static const char *const name[] = {"io", "memory", "cpu"};

static const char *path_of(const char *resource)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/pressure/%s", resource);
	return path;
}

/* The text with every figure as "N". */
static void show_form(const char *resource)
{
	char buf[512];
	int fd = open(path_of(resource), O_RDONLY);
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	printf("%s: %s\n", resource, n > 0 ? "" : result(n));
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] < '0' || buf[i] > '9')
			putchar(buf[i]);
		else if (strncmp(&buf[i], "10=", 3) && strncmp(&buf[i], "60=", 3) &&
			 strncmp(&buf[i], "300=", 4) &&
			 (i + 1 == n || buf[i + 1] < '0' || buf[i + 1] > '9'))
			putchar('N');
	}
	close(fd);
}

/* Writes `len` bytes; Linux's file takes the last one for the string's end. */
static void trigger(const char *text, size_t len)
{
	int fd = open(path_of("memory"), O_RDWR | O_NONBLOCK);

	printf("\"%s\", %zu bytes: %s\n", text, len, result(write(fd, text, len)));
	close(fd);
}

static void with_end(const char *text)
{
	trigger(text, strlen(text) + 1);
}

static void errors(void)
{
	struct pollfd p = {.events = POLLPRI};

	with_end("some 150000 1000000");
	with_end("full 150000 1000000");
	with_end("some 150000 1000000 and more");
	with_end("some 150000");
	with_end("some");
	with_end("");
	trigger("", 0);
	with_end("all 150000 1000000");
	with_end("some -1 1000000");
	with_end("some 0 1000000");
	with_end("some 1 500000");
	with_end("some 500000 500000");
	with_end("some 500001 500000");
	with_end("some 1 499999");
	with_end("some 1 10000000");
	with_end("some 1 10000001");
	with_end("some 0x100 1000000");
	with_end("some 4294967297 1000000");
	trigger("some 150000 1000000", 19);
	trigger("some 150000 1000000\n", 20);

	p.fd = open(path_of("memory"), O_RDWR | O_NONBLOCK);
	printf("no trigger: poll %s", result(poll(&p, 1, 0)));
	printf(" %x\n", p.revents);
	printf("first %s", result(write(p.fd, "some 150000 1000000", 20)));
	printf(" second %s\n", result(write(p.fd, "some 150000 1000000", 20)));
	p.events = POLLIN | POLLOUT | POLLPRI;
	printf("quiet: poll %s", result(poll(&p, 1, 0)));
	printf(" %x\n", p.revents);
	close(p.fd);
	p.fd = open(path_of("memory"), O_RDONLY);
	printf("read only %s\n", result(write(p.fd, "some 150000 1000000", 20)));
	close(p.fd);
}

static pid_t spinner(void)
{
	pid_t pid = fork();

	if (!pid)
		for (;;)
			__asm__ volatile("pause");
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Programs that compute, more than there are CPUs: a trigger on their waiting fires, and again. */
static void fires(void)
{
	struct pollfd p = {.events = POLLPRI};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pid_t pid[64];

	p.fd = open(path_of("cpu"), O_RDWR | O_NONBLOCK);
	printf("trigger %s\n", result(write(p.fd, "some 100000 1000000", 20)));
	for (int i = 0; i < cpus + 2 && i < 64; i++)
		pid[i] = spinner();
	for (int i = 0; i < 2; i++) {
		printf("fires: %s", result(poll(&p, 1, 60000)));
		printf(" %x\n", p.revents);
	}
	for (int i = 0; i < cpus + 2 && i < 64; i++)
		end(pid[i]);
	close(p.fd);
}

/* ---- groups without the memory controller ---- */

static const char *file_of(const char *group, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/%s", group, file);
	return path;
}

static int put(const char *group, const char *file, const char *text)
{
	int fd = open(file_of(group, file), O_WRONLY);
	int n = fd < 0 ? -1 : (int)write(fd, text, strlen(text)), e = errno;

	close(fd);
	errno = e;
	return n < 0 ? -1 : 0;
}

/* Microseconds in which some task of the group waited for a CPU, or -1. */
static long waited(const char *group)
{
	char buf[256];
	int fd = open(file_of(group, "cpu.pressure"), O_RDONLY);
	ssize_t n = read(fd, buf, sizeof(buf) - 1);
	const char *total;

	close(fd);
	if (n <= 0)
		return -1;
	buf[n] = 0;
	total = strstr(buf, "total=");
	return total ? strtol(total + 6, NULL, 10) : -1;
}

static long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Until the group has waited for that much more. Returns whether it has. */
static int wait_more(const char *group, long us)
{
	long then = waited(group);

	for (int i = 0; i < 6000 && then >= 0; i++) {
		if (waited(group) - then >= us)
			return 1;
		usleep(10000);
	}
	return 0;
}

static void group_files(const char *group)
{
	static const char *const files[] = {"io.pressure", "memory.pressure", "cpu.pressure",
					    "cgroup.pressure"};
	struct stat st;

	for (int i = 0; i < 4; i++) {
		int there = stat(file_of(group, files[i]), &st);

		printf("%s/%s %s %o\n", group, files[i], result(there), there ? 0 : st.st_mode);
	}
}

/* cgroup.pressure: what the group waits for while it is 0 is not counted, and it has no files then. */
static void switched_off(void)
{
	static const char *const bad[] = {"2", "-1", "x", "", "0x"};
	char buf[64] = "";
	int fd = open(file_of("g/a", "cpu.pressure"), O_RDWR | O_NONBLOCK), on;
	long before, begin, end, counted;
	struct pollfd p = {.fd = fd, .events = POLLPRI};

	on = open(file_of("g/a", "cgroup.pressure"), O_RDONLY);
	printf("on: %s", result(read(on, buf, sizeof(buf) - 1)));
	printf(" %s", buf);
	close(on);
	for (int i = 0; i < 5; i++)
		printf("cgroup.pressure < '%s' %s\n", bad[i],
		       result(put("g/a", "cgroup.pressure", bad[i])));
	begin = now_us();
	before = waited("g/a");
	printf("off %s\n", result(put("g/a", "cgroup.pressure", "0")));
	end = now_us();
	group_files("g/a");
	printf("an open file: %s", result(read(fd, buf, sizeof(buf))));
	printf(" %s", result(write(fd, "some 150000 1000000", 20)));
	printf(" poll %s", result(poll(&p, 1, 0)));
	printf(" %x\n", p.revents);
	printf("the one above goes on: %d\n", wait_more("g", 2000000));
	counted = end - begin;
	begin = now_us();
	printf("on %s\n", result(put("g/a", "cgroup.pressure", "1")));
	printf("nothing was counted: %d\n", waited("g/a") - before <= counted + now_us() - begin);
	group_files("g/a");
	printf("it counts: %d\n", wait_more("g/a", 100000));
	close(fd);
}

static void groups(void)
{
	struct pollfd p = {.events = POLLPRI};
	int n = (int)sysconf(_SC_NPROCESSORS_ONLN) + 2;
	pid_t pid[64];
	char text[16];

	mkdir("/sys", 0755);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	if (access(file_of("", "cgroup.procs"), F_OK))
		mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	for (const char *const *g = (const char *const[]){"g", "g/a", "g/b", NULL}; *g; g++)
		printf("mkdir %s %s\n", *g, result(mkdir(file_of(*g, ""), 0755)));
	group_files("g/a");
	group_files("");
	p.fd = open(file_of("g/a", "cpu.pressure"), O_RDWR | O_NONBLOCK);
	printf("trigger %s", result(write(p.fd, "some 100000 1000000", 20)));
	printf(" another %s\n", result(write(p.fd, "some 100000 1000000", 20)));
	for (int i = 0; i < n && i < 64; i++) {
		pid[i] = spinner();
		snprintf(text, sizeof(text), "%d", pid[i]);
		if (put("g/a", "cgroup.procs", text))
			printf("cgroup.procs %s\n", result(-1));
	}
	printf("fires: %s", result(poll(&p, 1, 60000)));
	printf(" %x\n", p.revents);
	printf("they wait: %d, so does the group above: %d, not the one beside: %d\n",
	       wait_more("g/a", 100000), wait_more("g", 100000), waited("g/b") == 0);
	switched_off();
	for (int i = 0; i < n && i < 64; i++)
		end(pid[i]);
	for (const char *const *g = (const char *const[]){"g/b", "g/a", "g", NULL}; *g; g++)
		printf("rmdir %s %s\n", *g, result(rmdir(file_of(*g, ""))));
	printf("trigger of a group that is gone: poll %s", result(poll(&p, 1, 0)));
	printf(" %x\n", p.revents);
	close(p.fd);
}

static void stall(size_t bytes)
{
	volatile char *m =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (;;)
		for (size_t i = 0; m != MAP_FAILED && i < bytes; i += 4096)
			m[i] = (char)i;
}

/* An average that is not 0; of io any time at all, since on one CPU a disk is hardly ever waited for: others run. */
static int has_pressure(const char *resource, const char *text)
{
	const char *none = strcmp(resource, "io")
				   ? "some avg10=0.00"
				   : "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

	return strncmp(text, none, strlen(none)) != 0;
}

/* Prints what the three files say. Returns whether there is pressure on `resource`. */
static int read_all(const char *resource)
{
	char buf[512];
	int some = 0;

	for (int k = 0; k < 3; k++) {
		int fd = open(path_of(name[k]), O_RDONLY);
		ssize_t n = read(fd, buf, sizeof(buf) - 1);

		buf[n > 0 ? n : 0] = 0;
		printf("reading %s\n%s", name[k], buf);
		if (!strcmp(name[k], resource))
			some = has_pressure(resource, buf);
		close(fd);
	}
	return some;
}

/* Reads each second until there is pressure on `resource`, but not for ever; then some times more. */
static void read_until(const char *resource)
{
	for (int more = 3, i = 0; more > 0 && i < (*resource ? 200 : 2); i++) {
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
		more -= read_all(resource);
	}
}

static int report_stalls(size_t bytes)
{
	pid_t a = fork(), b;

	if (!a)
		stall(bytes);
	read_until("memory");
	read_until("io");
	b = spinner();
	read_until("cpu");
	end(a);
	end(b);
	read_until("");
	puts("end");
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "stall"))
		return report_stalls(strtoul(argv[2], NULL, 10) << 20);
	puts("== pressure");
	for (int i = 0; i < 3; i++)
		show_form(name[i]);
	errors();
	fires();
	puts("== groups");
	groups();
	puts("== end");
	return 0;
}
