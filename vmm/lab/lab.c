/*
 * Running one command in the lab: what it is given, and watching it until it ends.
 *
 *   1. the job (program, arguments, environment, folder) and, in a sealed run, the files it needs
 *      are appended to the lab's initramfs, in memory
 *   2. QEMU is started on it (qemu.c)
 *   3. supervise(): output is passed on as it comes; the control channel says "start", ".", "fail",
 *      "exit N" (images/lab_init.c)
 *   4. QEMU is ended, whatever happened
 *
 * A run is live or sealed. Live: the command sees this machine's files through 9p. Sealed, for
 * instruction counts: it sees copies of the files it was named, and what it wrote comes back at its
 * end, so that no traffic with the outer machine falls into the count.
 *
 *   I1  the machine is ended on every way out of run_job(), and its death is waited for
 *   I2  "exit" comes after the last byte of output: what is in the sockets when it has been read is
 *       all there will be
 */
#include "lab/lab.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "lab/archive.h"
#include "lab/monitor.h"
#include "lab/qemu.h"
#include "machine/own_time.h"

/* No sign of life for so many seconds of own time, and the machine hangs. Signs come every second of
 * its clock, which is ours, or much slower when instructions are counted. */
#define PATIENCE_S	  30
#define PATIENCE_ICOUNT_S 240
#define CLOCK_UNIT_NS	  10000000ull
#define INSIDE		  "MMVM_LAB_INSIDE"

extern char **environ;

/** The last few KiB of a stream, for the sentence about a failure. */
struct tail {
	char text[8192];
	size_t len;
};

static void tail_add(struct tail *t, const char *data, size_t len)
{
	size_t drop;

	if (len > sizeof(t->text) - 1) {
		data += len - (sizeof(t->text) - 1);
		len = sizeof(t->text) - 1;
	}
	drop = t->len + len > sizeof(t->text) - 1 ? t->len + len - (sizeof(t->text) - 1) : 0;
	memmove(t->text, t->text + drop, t->len - drop);
	t->len -= drop;
	memcpy(t->text + t->len, data, len);
	t->len += len;
	t->text[t->len] = 0;
}

/** The line of a tail that contains `what`, or its last line when `what` is NULL. */
static const char *tail_line(struct tail *t, const char *what, char *buf, size_t size)
{
	char *line, *end;

	while (t->len && strchr("\r\n", t->text[t->len - 1]))
		t->text[--t->len] = 0;
	line = what ? strstr(t->text, what) : t->text + t->len;
	if (!line)
		return NULL;
	while (line > t->text && line[-1] != '\n')
		line--;
	end = line + strcspn(line, "\r\n");
	snprintf(buf, size, "%.*s", (int)(end - line), line);
	return *buf ? buf : NULL;
}

bool lab_available(char *why, size_t size)
{
	struct lab_files files;

	if (lab_inside()) {
		snprintf(why, size, "this is the lab");
		return false;
	}
	return !lab_find_files(&files, why, size);
}

bool lab_inside(void)
{
	return getenv(INSIDE) != NULL;
}

/* ---- the job -------------------------------------------------------------------------------- */

struct job {
	char cwd[PATH_MAX];
	struct archive archive;
	bool sealed;
	FILE *text; /* the strings for init */
	char *hand_back[64];
	unsigned int nr_hand_back;
};

static void put_string(struct job *job, const char *s)
{
	fwrite(s, 1, strlen(s) + 1, job->text);
}

static void put_count(struct job *job, unsigned int n)
{
	fprintf(job->text, "%u%c", n, 0);
}

/** Variables that change what a program does, and none that name this machine's moment. */
static bool wanted_variable(const char *v)
{
	static const char *const want[] = {
		"PATH=",	  "HOME=",	   "USER=",	     "LOGNAME=",  "TERM=",
		"LANG=",	  "TZ=",	   "COLUMNS=",	     "NO_COLOR=", "ASAN_OPTIONS=",
		"UBSAN_OPTIONS=", "LSAN_OPTIONS=", "GLIBC_TUNABLES="};

	if (!strncmp(v, "LC_", 3) || !strncmp(v, "MMVM_", 5))
		return true;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		if (!strncmp(v, want[i], strlen(want[i])))
			return true;
	}
	return false;
}

static void put_environment(struct job *job)
{
	unsigned int n = 2;
	char **v;

	for (v = environ; *v; v++)
		n += wanted_variable(*v);
	put_count(job, n);
	for (v = environ; *v; v++) {
		if (wanted_variable(*v))
			put_string(job, *v);
	}
	put_string(job, job->sealed ? INSIDE "=icount" : INSIDE "=svm");
	/* temporary files in memory: 9p has no O_TMPFILE, and is slow */
	put_string(job, "TMPDIR=/dev/shm");
}

/** Put a file into a sealed run's archive under the name it has here. */
static void seal_file(struct job *job, const char *path)
{
	char inside[PATH_MAX];

	if (snprintf(inside, sizeof(inside), "/host%s", path) < (int)sizeof(inside))
		archive_add_file(&job->archive, inside, path);
}

static int seal_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	/* the program itself has no name, the vDSO no file */
	if (info->dlpi_name[0] == '/')
		seal_file(arg, info->dlpi_name);
	return 0;
}

/** Seal the regular files of a folder of the build, in the order of their names. */
static void seal_folder(struct job *job, const char *self, const char *name)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct dirent **list;
	struct stat st;
	int n;

	if (snprintf(folder, sizeof(folder), "%.*s/%s", (int)(strrchr(self, '/') - self), self,
		     name) >= (int)sizeof(folder))
		return;
	n = scandir(folder, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (snprintf(path, sizeof(path), "%s/%s", folder, list[i]->d_name) <
			    (int)sizeof(path) &&
		    !stat(path, &st) && S_ISREG(st.st_mode))
			seal_file(job, path);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

/**
 * A word of the command line, when it is or holds ("--json=FILE", "FILE,option") a file's name: the
 * file goes in if it exists, and comes back if the run writes it.
 */
static void seal_word(struct job *job, const char *word)
{
	char path[PATH_MAX], *slash;
	const char *value = strchr(word, '=');
	struct stat st;

	if (word[0] == '-' && !value)
		return;
	if (word[0] == '-')
		word = value + 1;
	if (!*word || snprintf(path, sizeof(path), "%s%s%s", word[0] == '/' ? "" : job->cwd,
			       word[0] == '/' ? "" : "/", word) >= (int)sizeof(path))
		return;
	if (!stat(path, &st)) {
		if (!S_ISREG(st.st_mode))
			return;
		seal_file(job, path);
	} else {
		/* a file to be made needs its folder */
		char inside[PATH_MAX + 8];

		slash = strrchr(path, '/');
		*slash = 0;
		if (*path && (stat(path, &st) || !S_ISDIR(st.st_mode)))
			return;
		snprintf(inside, sizeof(inside), "/host%s", path);
		archive_add_folder(&job->archive, inside);
		*slash = '/';
	}
	if (job->nr_hand_back < 64)
		job->hand_back[job->nr_hand_back++] = strdup(path);
}

/** Write what the run is into an archive behind the image. Returns 0, or -1 with `err`. */
static int job_prepare(struct job *job, const struct lab_files *files, int argc, char **argv,
		       bool sealed, struct mmvm_error *err)
{
	char self[PATH_MAX], inside[PATH_MAX + 8], *text = NULL;
	size_t len;
	int rc, i;

	memset(job, 0, sizeof(*job));
	job->sealed = sealed;
	job->archive.fd = -1;
	if (!getcwd(job->cwd, sizeof(job->cwd)))
		return mmvm_error(err, MMVM_EXIT_HOST, "the current folder is gone: %s",
				  strerror(errno));
	rc = archive_open(&job->archive, files->initrd);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot read %s: %s", files->initrd,
				  strerror(-rc));
	if (sealed) {
		ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

		self[n < 0 ? 0 : n] = 0;
		snprintf(inside, sizeof(inside), "/host%s", job->cwd);
		archive_add_folder(&job->archive, inside);
		dl_iterate_phdr(seal_library, job);
		if (strchr(self, '/')) {
			seal_folder(job, self, "images");
			seal_folder(job, self, "user");
		}
		for (i = 0; i < argc; i++)
			seal_word(job, argv[i]);
	}

	job->text = open_memstream(&text, &len);
	if (!job->text)
		return mmvm_error(err, MMVM_EXIT_HOST, "out of memory");
	put_string(job, sealed ? "sealed" : "live");
	put_string(job, job->cwd);
	put_count(job, (unsigned int)argc);
	for (i = 0; i < argc; i++)
		put_string(job, argv[i]);
	put_environment(job);
	put_count(job, job->nr_hand_back);
	for (i = 0; i < (int)job->nr_hand_back; i++)
		put_string(job, job->hand_back[i]);
	fclose(job->text);
	archive_add(&job->archive, "/job", 0600, text, len);
	free(text);
	rc = archive_finish(&job->archive);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot prepare the lab's files: %s",
				  strerror(-rc));
	return 0;
}

static void job_free(struct job *job)
{
	archive_close(&job->archive);
	for (unsigned int i = 0; i < job->nr_hand_back; i++)
		free(job->hand_back[i]);
}

/* ---- supervision ---------------------------------------------------------------------------- */

struct watch {
	struct lab_qemu qemu;
	const struct lab_options *opt;
	int patience_s;
	struct tail console, qemu_stderr;
	char line[600]; /* of the control channel, so far */
	size_t line_len;
	bool started, finished;
	int status;
	char failure[512];
	struct own_time own; /* of QEMU */
	uint64_t last_sign;  /* by that: ns */
	uint64_t last_look;  /* by the clock: s */
	uint64_t passed_on;  /* of it, ns: what the machine knows */
	uint64_t busy_ns;    /* since the last sign, CPU time that QEMU's threads took or wanted */
};

static void write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		/* a full disk or a closed terminal is not the lab's failure, and not ours to cure
		 */
		if (n < 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

static void control_line(struct watch *w)
{
	w->last_sign = w->own.ns;
	w->busy_ns = 0;
	if (!strcmp(w->line, "start"))
		w->started = true;
	else if (!strncmp(w->line, "fail ", 5))
		snprintf(w->failure, sizeof(w->failure), "%s", w->line + 5);
	else if (sscanf(w->line, "exit %d", &w->status) == 1)
		w->finished = true;
}

static void take_control(struct watch *w, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] != '\n') {
			if (w->line_len < sizeof(w->line) - 1)
				w->line[w->line_len++] = data[i];
			continue;
		}
		w->line[w->line_len] = 0;
		w->line_len = 0;
		control_line(w);
	}
}

/** Take what a channel has. Returns false when there is nothing now, or nothing ever again. */
static bool take(struct watch *w, enum lab_channel channel)
{
	char buf[16384];
	ssize_t n;

	if (w->qemu.fd[channel] < 0)
		return false;
	n = read(w->qemu.fd[channel], buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close(w->qemu.fd[channel]);
		w->qemu.fd[channel] = -1;
		return false;
	}
	switch (channel) {
	case LAB_CONTROL:
		take_control(w, buf, (size_t)n);
		break;
	case LAB_STDOUT:
		if (w->opt->output)
			w->opt->output(buf, (size_t)n, w->opt->output_arg);
		else
			write_all(w->opt->stdout_fd ? w->opt->stdout_fd : STDOUT_FILENO, buf,
				  (size_t)n);
		break;
	case LAB_STDERR:
		write_all(STDERR_FILENO, buf, (size_t)n);
		break;
	case LAB_CONSOLE:
		tail_add(&w->console, buf, (size_t)n);
		if (w->opt->verbose)
			write_all(STDERR_FILENO, buf, (size_t)n);
		break;
	default:
		tail_add(&w->qemu_stderr, buf, (size_t)n);
		break;
	}
	return true;
}

static void take_all(struct watch *w)
{
	for (int i = 0; i < LAB_CLOCK; i++) {
		while (take(w, i)) {
		}
	}
}

/** Once a second: how much time QEMU has had, which the machine gets to know. A byte is so many
 * hundredths of a second. What finds no room is sent the next time. */
static void look_at_time(struct watch *w)
{
	struct timespec now;
	uint64_t units;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((uint64_t)now.tv_sec == w->last_look)
		return;
	w->last_look = (uint64_t)now.tv_sec;
	own_time_look(&w->own, &w->qemu.pid, 1);
	w->busy_ns += w->own.ran + w->own.waited;
	while ((units = (w->own.ns - w->passed_on) / CLOCK_UNIT_NS) > 0) {
		unsigned char byte = units < 255 ? (unsigned char)units : 255;

		if (send(w->qemu.fd[LAB_CLOCK], &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
			break;
		w->passed_on += byte * CLOCK_UNIT_NS;
	}
}

/** Since the last sign of life QEMU has been busy, and yet its processors do not move. */
static bool stands_still(struct watch *w)
{
	uint64_t silent = w->own.ns - w->last_sign;

	return w->busy_ns > silent / 4 * 3 && lab_monitor_stands_still(w->qemu.fd[LAB_MONITOR]);
}

/** QEMU has ended, or says nothing: why, in a sentence. */
static int explain(struct watch *w, bool silent, struct mmvm_error *err)
{
	char line[300];

	if (tail_line(&w->console, "Kernel panic", line, sizeof(line)))
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "the lab's kernel crashed (%s); see it with -v, or give the lab "
				  "more memory",
				  line);
	/*
	 * QEMU's emulation of SVM sometimes stops executing, its threads busy with the delivery of
	 * an interrupt, above all when its processors run side by side. A guest that is deadlocked
	 * is another matter: then the lab's own Linux is alive and says so every second.
	 */
	if (silent && w->started && stands_still(w)) {
		if (w->opt->emulator_hung)
			*w->opt->emulator_hung = true;
		return mmvm_error(
			err, MMVM_EXIT_HOST,
			"the lab's emulator hung: in %d s its processors executed nothing, "
			"though QEMU was busy; run it again",
			w->patience_s);
	}
	if (silent)
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "the lab %s for %d s and was ended; is this machine overloaded?",
				  w->started ? "hung: no sign of life" : "did not start",
				  w->patience_s);
	if (tail_line(&w->qemu_stderr, NULL, line, sizeof(line)))
		return mmvm_error(err, MMVM_EXIT_HOST, "QEMU could not run the lab: %s", line);
	return mmvm_error(err, MMVM_EXIT_HOST, "QEMU ended before the command did; see -v");
}

/** Returns the command's status, 128 + signal when one came, or -1 with `err`. */
static int supervise(struct watch *w, int signal_fd, struct mmvm_error *err)
{
	struct signalfd_siginfo info;

	for (;;) {
		struct pollfd p[LAB_CLOCK + 1];
		siginfo_t child = {0};
		bool ended = false;
		int i;

		for (i = 0; i < LAB_CLOCK; i++)
			p[i] = (struct pollfd){w->qemu.fd[i], POLLIN, 0};
		p[i] = (struct pollfd){signal_fd, POLLIN, 0};
		if (poll(p, LAB_CLOCK + 1, 1000) < 0 && errno != EINTR)
			return mmvm_error(err, MMVM_EXIT_HOST, "poll: %s", strerror(errno));
		while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGCHLD)
				return 128 + (int)info.ssi_signo;
			/* it may only have been stopped: then waitid() leaves si_pid 0 */
			ended = !waitid(P_PID, (id_t)w->qemu.pid, &child,
					WEXITED | WNOHANG | WNOWAIT) &&
				child.si_pid;
		}
		take_all(w);
		if (w->finished) {
			/* what came between reading the first and the last channel */
			take_all(w);
			return w->status;
		}
		if (*w->failure)
			return mmvm_error(err, MMVM_EXIT_HOST, "the lab failed: %s", w->failure);
		if (ended)
			return explain(w, false, err);
		look_at_time(w);
		if (w->own.ns - w->last_sign > (uint64_t)w->patience_s * 1000000000)
			return explain(w, true, err);
	}
}

static int run_job(struct job *job, const struct lab_files *files, const struct lab_options *opt,
		   struct mmvm_error *err)
{
	struct watch *w = calloc(1, sizeof(*w));
	sigset_t set, old;
	int signal_fd, status = -1;

	if (!w)
		return mmvm_error(err, MMVM_EXIT_HOST, "out of memory");
	w->opt = opt;
	w->patience_s = opt->patience_s ? opt->patience_s
			: opt->icount	? PATIENCE_ICOUNT_S
					: PATIENCE_S;
	own_time_init(&w->own);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		mmvm_error(err, MMVM_EXIT_HOST, "signalfd: %s", strerror(errno));
	else if (!lab_qemu_start(&w->qemu, files, job->archive.fd, opt, err)) {
		status = supervise(w, signal_fd, err);
		lab_qemu_stop(&w->qemu);
	}
	if (signal_fd >= 0)
		close(signal_fd);
	sigprocmask(SIG_SETMASK, &old, NULL);
	own_time_free(&w->own);
	free(w);
	return status;
}

int lab_exec_command(int argc, char **argv, const struct lab_options *opt, struct mmvm_error *err)
{
	struct lab_files files;
	struct job job;
	char why[300];
	int status = -1;

	if (lab_inside())
		return mmvm_error(err, MMVM_EXIT_HOST, "this is the lab already");
	if (lab_find_files(&files, why, sizeof(why)))
		return mmvm_error(err, MMVM_EXIT_HOST, "the lab is not available: %s", why);
	fflush(NULL);
	if (!job_prepare(&job, &files, argc, argv, opt->icount, err))
		status = run_job(&job, &files, opt, err);
	job_free(&job);
	return status;
}

int lab_exec(int argc, char **argv, const struct lab_options *opt, struct mmvm_error *err)
{
	char self[PATH_MAX], **v;
	int i, n = 0, status;
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	v = calloc((size_t)argc + 4, sizeof(*v));
	if (len < 0 || !v) {
		free(v);
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot find this program: %s",
				  strerror(errno));
	}
	self[len] = 0;
	v[n++] = self;
	if (argc > 1)
		v[n++] = argv[1];
	v[n++] = (char *)"--accel";
	v[n++] = (char *)"kvm";
	for (i = 2; i < argc; i++) {
		/* what follows belongs to the guest's program */
		if (!strcmp(argv[i], "--exec") || !strcmp(argv[i], "--"))
			break;
		if (!strcmp(argv[i], "--accel"))
			i++;
		else if (strncmp(argv[i], "--accel=", 8) && strcmp(argv[i], "--icount"))
			v[n++] = argv[i];
	}
	for (; i < argc; i++)
		v[n++] = argv[i];
	status = lab_exec_command(n, v, opt, err);
	free(v);
	return status;
}
