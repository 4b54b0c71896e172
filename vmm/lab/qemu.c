/*
 * Starting and ending QEMU.
 *
 *   mmvm ---------------------- QEMU ----------------------- Linux in it
 *     fd[LAB_CONTROL]   <------ isa-debugcon 0xe9 <--------- init
 *     fd[LAB_STDOUT]    <------ isa-debugcon 0xea <--------- init, from the command
 *     fd[LAB_STDERR]    <------ isa-debugcon 0xeb <--------- init, from the command
 *     fd[LAB_CONSOLE]   <------ serial port       <--------- the kernel
 *     fd[LAB_QEMU_STDERR] <---- file descriptor 2
 *     fd[LAB_CLOCK]     ------> second serial port -------> init: how much time the machine has had
 *     fd[LAB_MONITOR]   <-----> QEMU's own monitor
 *     memfd             ------> -initrd
 *     folders           <-----> 9p, one device each (job.c says which)
 *
 *   I1  nothing of a run has a name in the file system: sockets come in pairs, the initramfs is a
 *       memfd. However a run ends there is nothing to remove.
 *   I2  QEMU dies with the process that started it (PR_SET_PDEATHSIG), and is in a process group
 *       of its own, so that Ctrl-C reaches only mmvm, which then ends it.
 */
#include "lab/qemu.h"
#include "machine/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define DEFAULT_RAM_MB 1024

/*
 * What of the inner Linux would cost time at its start or instructions later, and is not wanted:
 * mitigations, zeroing on allocation, accounting, auditing, five-level tables, watchdogs.
 */
#define KERNEL_ARGS                                                                        \
	"console=ttyS0 panic=-1 oops=panic mitigations=off nopti init_on_alloc=0 nokaslr " \
	"norandmaps no5lvl tsc=reliable no_timer_check nowatchdog psi=0 "                  \
	"audit=0 apparmor=0 rcupdate.rcu_expedited=1 random.trust_cpu=on "                 \
	"transparent_hugepage=madvise cryptomgr.notests secretmem.enable=1"

/*
 * QEMU's processors keep what interrupts them in one word, which the instructions that enter and leave
 * a nested guest change without the lock that the device threads hold (7.2: cs->interrupt_request in
 * target/i386/tcg/sysemu/svm_helper.c). So an interrupt can be lost. A one-shot timer that is lost is
 * never set again, and that processor is dead; one of several ticks of a periodic timer does no harm,
 * and the next one brings the others that were lost. So the inner Linux ticks periodically.
 */
#define PERIODIC_TICKS " nohz=off highres=off"

bool lab_find_program(const char *name, char *out, size_t size)
{
	const char *path = getenv("PATH");
	const char *p = path && *path ? path : "/usr/local/bin:/usr/bin:/bin";

	while (*p) {
		size_t len = strcspn(p, ":");

		if ((size_t)snprintf(out, size, "%.*s/%s", (int)len, p, name) < size &&
		    !access(out, X_OK))
			return true;
		p += len + (p[len] == ':');
	}
	return false;
}

/** The lab's folder: beside this program, or $MMVM_LAB. */
static void lab_folder(char *out, size_t size)
{
	const char *env = getenv("MMVM_LAB");
	char self[PATH_MAX];
	ssize_t n;

	if (env && *env) {
		snprintf(out, size, "%s", env);
		return;
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n < 0 ? 0 : n] = 0;
	*(strrchr(self, '/') ?: self) = 0;
	snprintf(out, size, "%s/lab", self);
}

int lab_find_files(struct lab_files *files, char *why, size_t size)
{
	char folder[PATH_MAX + 8];

	if (!lab_find_program("qemu-system-x86_64", files->qemu, sizeof(files->qemu))) {
		snprintf(why, size,
			 "qemu-system-x86_64 is not installed (Debian package qemu-system-x86)");
		return -1;
	}
	lab_folder(folder, sizeof(folder));
	snprintf(files->kernel, sizeof(files->kernel), "%s/vmlinux", folder);
	snprintf(files->initrd, sizeof(files->initrd), "%s/initrd", folder);
	if (access(files->kernel, R_OK) || access(files->initrd, R_OK)) {
		snprintf(why, size, "the lab's image is not built in %s (run `make lab-image`)",
			 folder);
		return -1;
	}
	return 0;
}

/** The TSC and the clock at one moment: of several tries the one that took least time. */
static void read_clocks(uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int i = 0; i < 8; i++) {
		uint64_t before = __rdtsc(), now = machine_now_ns(), took;

		took = __rdtsc() - before;
		if (took >= best)
			continue;
		best = took;
		*tsc = before + took / 2;
		*ns = now;
	}
}

/**
 * Rate of the host's TSC in kHz, which is that of QEMU's. It is passed to the inner Linux: left alone, it
 * measures too early and badly when the host is busy, and better a second later, when KVM has been
 * loaded. KVM then finds the new rate beyond what it tolerates (250 ppm), gives virtual CPUs none,
 * and their TSC-deadline timers never fire: a Linux guest stops at its first sleep.
 */
static unsigned int host_tsc_khz(void)
{
	const struct timespec span = {.tv_nsec = 10000000};
	uint64_t tsc[2], ns[2];

	read_clocks(&tsc[0], &ns[0]);
	nanosleep(&span, NULL);
	read_clocks(&tsc[1], &ns[1]);
	return (unsigned int)((double)(tsc[1] - tsc[0]) * 1e6 / (double)(ns[1] - ns[0]) + 0.5);
}

/** The arguments of one QEMU, printed into fixed places. */
struct command_line {
	char text[48 + 2 * LAB_SHARES][2 * PATH_MAX + 128];
	char *argv[128 + 4 * LAB_SHARES];
	unsigned int nr_text, nr_argv;
};

static void add(struct command_line *c, const char *option)
{
	c->argv[c->nr_argv++] = (char *)option;
}

static void addf(struct command_line *c, const char *option, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void addf(struct command_line *c, const char *option, const char *fmt, ...)
{
	char *text = c->text[c->nr_text++];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(c->text[0]), fmt, ap);
	va_end(ap);
	add(c, option);
	add(c, text);
}

static void double_commas(const char *in, char *out, size_t size)
{
	size_t n = 0;

	for (; *in && n + 2 < size; in++) {
		if (*in == ',')
			out[n++] = ',';
		out[n++] = *in;
	}
	out[n] = 0;
}

/*
 * With icount, QEMU executes one CPU after another in one thread. QEMU 7.2 lets a CPU execute until the
 * next timer of virtual time is due. The CPU after it then finds a timer due, may execute nothing, and
 * runs the timers. The next one may execute again, until the next timer. At the end of the list the timers
 * run, and it starts with the first. So every second CPU starves while others do not pause or halt: a lab
 * with several CPUs stood still as soon as one waited for another. (QEMU 8.1 shares the time out evenly.)
 *
 * So every second CPU is one that Linux never starts (lab_init starts the others, last of all), and then
 * lab_monitor_take_turns() makes a timer that does nothing. It cuts the turns of the CPUs short.
 */
static void add_cpus(struct command_line *c, const struct lab_options *opt)
{
	bool turns = opt->icount && opt->cpus > 1;

	addf(c, "-smp", "%u", turns ? 2 * opt->cpus : opt->cpus ? opt->cpus : 1);
	if (turns)
		addf(c, "-netdev", "hubport,id=none,hubid=0");
}

static void build_command_line(struct command_line *c, const struct lab_files *files, int initrd_fd,
			       const int inner[LAB_CHANNELS], const struct lab_share *share,
			       unsigned int nr_shares, const struct lab_options *opt)
{
	static const char *const name[] = {"control", "stdout", "stderr", "console", "input"};
	static char append[1024];
	int n;

	memset(c, 0, sizeof(*c));
	add(c, files->qemu);
	add(c, "-nodefaults");
	add(c, "-no-user-config");
	add(c, "-no-reboot");
	addf(c, "-display", "none");
	addf(c, "-machine", "pc,hpet=off,usb=off,vmport=off,smm=off");
	addf(c, "-cpu", "max,+svm,+npt,-erms,-fsrm,la57=%s", opt->la57 ? "on" : "off");
	addf(c, "-m", "%u", opt->ram_mb ? opt->ram_mb : DEFAULT_RAM_MB);
	if (opt->icount) {
		/* one thread, one clock, no entropy from outside: the same run every time */
		addf(c, "-accel", "tcg,thread=single,tb-size=256");
		addf(c, "-icount", "shift=0,sleep=off");
		addf(c, "-rtc", "base=2026-01-01,clock=vm");
		addf(c, "-seed", "1");
	} else {
		addf(c, "-accel", "tcg,tb-size=256");
	}
	/* Two CPUs are slower than one, for an inner guest with several, too: each request of its
	 * disk and each interrupt wakes threads across them, and emulated, that is far dearer than
	 * what they could do side by side. */
	add_cpus(c, opt);
	add(c, "-kernel");
	add(c, files->kernel);
	addf(c, "-initrd", "/proc/self/fd/%d", initrd_fd);
	n = snprintf(append, sizeof(append), "%s %s", KERNEL_ARGS, opt->verbose ? "" : "quiet");
	if (!opt->icount)
		snprintf(append + n, sizeof(append) - (size_t)n, " tsc_early_khz=%u" PERIODIC_TICKS,
			 host_tsc_khz());
	if (opt->icount && opt->cpus > 1)
		snprintf(append + strlen(append), sizeof(append) - strlen(append),
			 " maxcpus=1 mmvm_cpus=%u", opt->cpus);
	/* Only the measured program may move pages. */
	if (!opt->memory_cgroups)
		snprintf(append + strlen(append), sizeof(append) - strlen(append),
			 " cgroup_disable=memory");
	if (opt->nodes)
		snprintf(append + strlen(append), sizeof(append) - strlen(append),
			 " numa=fake=%u numa_balancing=disable", opt->nodes);
	add(c, "-append");
	add(c, append);
	for (int i = LAB_CONTROL; i <= (opt->input ? LAB_INPUT : LAB_CONSOLE); i++)
		addf(c, "-chardev", "socket,id=%s,fd=%d", name[i], inner[i]);
	for (int i = LAB_CONTROL; i <= LAB_STDERR; i++)
		addf(c, "-device", "isa-debugcon,iobase=%#x,chardev=%s", 0xe9 + i, name[i]);
	addf(c, "-serial", "chardev:console");
	/* Not where instructions are counted: nothing may come from outside there. */
	if (!opt->icount) {
		addf(c, "-chardev", "socket,id=clock,fd=%d", inner[LAB_CLOCK]);
		addf(c, "-serial", "chardev:clock");
	}
	addf(c, "-chardev", "socket,id=monitor,fd=%d", inner[LAB_MONITOR]);
	addf(c, "-mon", "chardev=monitor,mode=control");
	if (opt->input) /* the third port, with an interrupt that it shares with nobody */
		addf(c, "-device", "isa-serial,chardev=input,iobase=0x3e8,irq=5");
	for (unsigned int i = 0; i < nr_shares; i++) {
		char path[PATH_MAX * 2];

		/* A comma in a value is written twice. */
		double_commas(share[i].path, path, sizeof(path));
		addf(c, "-fsdev", "local,id=share%u,path=%s,security_model=%s,multidevs=remap%s", i,
		     path, geteuid() ? "none" : "passthrough",
		     share[i].writable ? "" : ",readonly=on");
		addf(c, "-device", "virtio-9p-pci,fsdev=share%u,mount_tag=share%u", i, i);
	}
	/* What QEMU has no use for, a guest that broke out of it shall not have either. */
	addf(c, "-sandbox",
	     "on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
	     "resourcecontrol=deny");
}

/** In the child: become QEMU. `parent` is the process to die with. */
static void __attribute__((noreturn))
become_qemu(pid_t parent, char **argv, const int *inner, int initrd_fd)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(open("/dev/null", O_RDWR), 0);
	dup2(0, 1);
	dup2(inner[LAB_QEMU_STDERR], 2);
	for (int i = LAB_CONTROL; i <= LAB_INPUT; i++)
		fcntl(inner[i], F_SETFD, 0);
	fcntl(inner[LAB_CLOCK], F_SETFD, 0);
	fcntl(inner[LAB_MONITOR], F_SETFD, 0);
	fcntl(initrd_fd, F_SETFD, 0);
	execv(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int lab_qemu_start(struct lab_qemu *q, const struct lab_files *files, int initrd_fd,
		   const struct lab_share *share, unsigned int nr_shares,
		   const struct lab_options *opt, struct mmvm_error *err)
{
	static struct command_line command;
	int inner[LAB_CHANNELS], i;
	pid_t parent = getpid();

	q->pid = -1;
	for (i = 0; i < LAB_CHANNELS; i++)
		q->fd[i] = inner[i] = -1;
	for (i = 0; i < LAB_CHANNELS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
			goto fail;
		q->fd[i] = pair[0];
		inner[i] = pair[1];
		if (fcntl(pair[0], F_SETFL, O_NONBLOCK))
			goto fail;
	}
	build_command_line(&command, files, initrd_fd, inner, share, nr_shares, opt);
	q->pid = fork();
	if (!q->pid)
		become_qemu(parent, command.argv, inner, initrd_fd);
	if (q->pid < 0)
		goto fail;
	for (i = 0; i < LAB_CHANNELS; i++)
		close(inner[i]);
	return 0;
fail:
	mmvm_error(err, MMVM_EXIT_HOST, "cannot start the lab: %s", strerror(errno));
	for (i = 0; i < LAB_CHANNELS; i++) {
		if (inner[i] >= 0)
			close(inner[i]);
	}
	lab_qemu_stop(q);
	return -1;
}

int lab_qemu_stop(struct lab_qemu *q)
{
	int status = 0;

	if (q->pid > 0) {
		kill(q->pid, SIGKILL);
		while (waitpid(q->pid, &status, 0) < 0 && errno == EINTR) {
		}
		q->pid = -1;
	}
	for (int i = 0; i < LAB_CHANNELS; i++) {
		if (q->fd[i] >= 0)
			close(q->fd[i]);
		q->fd[i] = -1;
	}
	return status;
}
