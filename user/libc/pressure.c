/*
 * Pressure as Linux tells it.
 *
 *    pressure                    the files' form, errors of triggers, and a trigger that fires: a transcript to compare
 *                                (tests/vm/pressure.sh). Runs unchanged on Linux (booted with psi=1) and on guestmm.
 *    pressure stall MIB          a process that uses MIB of memory, another one that computes; meanwhile it prints
 *                                the three files each second, until each has shown pressure
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
	puts("== end");
	return 0;
}
