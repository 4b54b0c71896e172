/*
 * The inner half of `mmvm bench boot`. Each monitor starts the same kernel, initramfs and RAM twice:
 *
 *   once to its end          from just before fork() to the first KVM_RUN, and until the process has ended.
 *                            KVM's own trace point kvm_entry says when that was, for all monitors alike
 *   once until it is up      then the memory of all its processes is read from /proc/PID/smaps
 *
 * Memory beside RAM is the share (Pss) of all mappings but RAM itself. RAM is what is as large as RAM, or is a memory
 * file. What the kernel keeps for a machine (KVM's tables, page tables) is not in it.
 */
#include "bench/boot.h"
#include "machine/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACING	 "/dev/shm/tracing"
#define MAX_ARGV 40u
#define UP	 "bootup: the first process runs"
/* The same for all; how a machine ends is each monitor's own way. */
#define KERNEL_ARGS "console=ttyS0 panic=-1 pci=off quiet nokaslr mitigations=off"

#define NAME_(id, name) name,
static const char *const names[] = {BENCH_MONITORS(NAME_)};
#undef NAME_

const char *bench_monitor_name(enum bench_monitor monitor)
{
	return names[monitor];
}

/* ---- KVM's trace point ------------------------------------------------------------------------ */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/** The first entries are kept, not the last. 0 or -errno. */
static int tracing_open(void)
{
	int rc;

	mkdir(TRACING, 0700);
	if (mount("tracefs", TRACING, "tracefs", 0, NULL) && errno != EBUSY)
		return -errno;
	rc = write_file(TRACING "/trace_clock", "mono");
	if (!rc)
		rc = write_file(TRACING "/options/overwrite", "0");
	if (!rc)
		rc = write_file(TRACING "/buffer_size_kb", "64");
	if (!rc)
		rc = write_file(TRACING "/events/kvm/kvm_entry/enable", "1");
	return rc;
}

/** Time of the first entry since the trace was emptied, ns; 0: there was none. */
static uint64_t first_entry(void)
{
	FILE *f = fopen(TRACING "/trace", "re");
	unsigned long s, us;
	uint64_t ns = 0;
	char line[512];

	while (f && !ns && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, ": kvm_entry:");

		/* "comm-PID [CPU] flags SECONDS.MICROSECONDS: kvm_entry: ..." */
		while (at && at > line && at[-1] != ' ')
			at--;
		if (at && sscanf(at, "%lu.%lu:", &s, &us) == 2)
			ns = s * 1000000000ull + us * 1000ull;
	}
	if (f)
		fclose(f);
	return ns;
}

/* ---- a monitor -------------------------------------------------------------------------------- */

struct arguments {
	const char *argv[MAX_ARGV + 1];
	unsigned int nr;
};

static void add(struct arguments *a, const char *const *list)
{
	for (; *list && a->nr < MAX_ARGV; list++)
		a->argv[a->nr++] = *list;
	a->argv[a->nr] = NULL;
}
#define ADD(a, ...) add(a, (const char *const[]){__VA_ARGS__, NULL})

/** A command line. `init`: what the first process gets, or "". */
static void command_line(struct arguments *a, enum bench_monitor monitor,
			 const struct bench_boot_files *f, const char *init)
{
	static char append[256], size[16];

	snprintf(size, sizeof(size), "%u", BENCH_BOOT_RAM_MB);
	/* A PC's keyboard controller resets it, or, where there is none, a triple fault. */
	snprintf(append, sizeof(append), "%s%s%s%s", KERNEL_ARGS,
		 monitor == BOOT_MICROVM ? " reboot=t" : "", *init ? " -- " : "", init);
	switch (monitor) {
	case BOOT_MMVM:
		strcat(size, "M");
		ADD(a, f->self, "run", "--accel", "kvm", "--memory", size, "--kernel", f->kernel,
		    "--initrd", f->initrd, "--append", append);
		break;
	case BOOT_MICROVM:
		/* RAM in a memory file, as in mmvm, so that it differs from QEMU's own memory. */
		ADD(a, f->qemu, "-M", "microvm,memory-backend=ram,isa-serial=on", "-object");
		ADD(a, "memory-backend-memfd,id=ram,size=256M", "-m", size, "-accel", "kvm", "-cpu",
		    "host", "-nodefaults", "-no-user-config", "-display", "none", "-serial",
		    "stdio", "-no-reboot", "-kernel", f->kernel, "-initrd", f->initrd, "-append",
		    append);
		break;
	default:
		ADD(a, f->kvmtool, "run", "--kernel", f->kernel, "--initrd", f->initrd, "--mem",
		    size, "--cpus", "1", "--console", "serial", "--network", "mode=none",
		    "--params", append);
		break;
	}
}
_Static_assert(BENCH_BOOT_RAM_MB == 256, "QEMU's memory object above says so");

/** Start it in a session of its own, its output in a pipe. -1: it could not be started. */
static pid_t start(const struct arguments *a, int *output)
{
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC))
		return -1;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		setsid();
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(fd[1], 1);
		dup2(fd[1], 2);
		execv(a->argv[0], (char **)a->argv);
		_exit(127);
	}
	close(fd[1]);
	*output = fd[0];
	if (pid < 0)
		close(fd[0]);
	return pid;
}

/** Read its output until the first process speaks (true), or the output ends. The last line is kept. */
static bool await_up(FILE *f, char *last, size_t size)
{
	char line[512];

	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = 0;
		if (*line)
			snprintf(last, size, "%.200s", line);
		if (strstr(line, UP))
			return true;
	}
	return false;
}

/* ---- memory ----------------------------------------------------------------------------------- */

static uint64_t process_memory(pid_t pid)
{
	unsigned long long kb, from, to;
	bool is_ram = false;
	uint64_t sum = 0;
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			is_ram = to - from >= (uint64_t)BENCH_BOOT_RAM_MB << 20 ||
				 strstr(line, "/memfd:");
		else if (!is_ram && sscanf(line, "Pss: %llu kB", &kb) == 1)
			sum += kb << 10;
	}
	if (f)
		fclose(f);
	return sum;
}

/** Of all processes of its session. */
static uint64_t session_memory(pid_t session)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	uint64_t sum = 0;

	while (d && (e = readdir(d))) {
		pid_t pid = (pid_t)atoi(e->d_name);

		if (pid > 0 && getsid(pid) == session)
			sum += process_memory(pid);
	}
	if (d)
		closedir(d);
	return sum;
}

/* ---- both runs -------------------------------------------------------------------------------- */

static void write_value(FILE *out, enum bench_monitor m, const char *name, uint64_t value)
{
	if (value)
		fprintf(out, "boot %s %s %llu\n", names[m], name, (unsigned long long)value);
}

static void time_it(FILE *out, enum bench_monitor m, const struct arguments *a)
{
	char last[256] = "it said nothing";
	int fd, status = -1;
	uint64_t from, to, entry;
	bool up;
	pid_t pid;
	FILE *f;

	write_file(TRACING "/trace", "");
	from = machine_now_ns();
	pid = start(a, &fd);
	if (pid < 0)
		return;
	f = fdopen(fd, "r");
	up = await_up(f, last, sizeof(last));
	while (await_up(f, last, sizeof(last))) {
	}
	waitpid(pid, &status, 0);
	to = machine_now_ns();
	fclose(f);
	if (!up || !WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(out, "note %s did not start the kernel and end: status %d (%s)\n", names[m],
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), last);
		return;
	}
	entry = first_entry();
	write_value(out, m, "first_ns", entry > from ? entry - from : 0);
	write_value(out, m, "exit_ns", to - from);
}

static void weigh_it(FILE *out, enum bench_monitor m, const struct arguments *a)
{
	char last[256] = "it said nothing";
	int fd;
	pid_t pid = start(a, &fd);
	FILE *f;

	if (pid < 0)
		return;
	f = fdopen(fd, "r");
	if (await_up(f, last, sizeof(last)))
		write_value(out, m, "memory_bytes", session_memory(pid));
	else
		fprintf(out, "note %s did not start the kernel (%s)\n", names[m], last);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fclose(f);
}

void bench_boot(FILE *out, const struct bench_boot_files *files)
{
	int rc = tracing_open();

	if (rc)
		fprintf(out, "note the first guest instruction is not measured: trace points: %s\n",
			strerror(-rc));
	for (enum bench_monitor m = 0; m < BENCH_NR_MONITORS; m++) {
		struct arguments timed = {.nr = 0}, weighed = {.nr = 0};

		if ((m == BOOT_MICROVM && !files->qemu) || (m == BOOT_KVMTOOL && !files->kvmtool))
			continue;
		command_line(&timed, m, files, "");
		time_it(out, m, &timed);
		command_line(&weighed, m, files, "stay");
		weigh_it(out, m, &weighed);
		fflush(out);
	}
	if (!rc) {
		write_file(TRACING "/events/kvm/kvm_entry/enable", "0");
		umount2(TRACING, MNT_DETACH);
	}
}
