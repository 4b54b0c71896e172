/*
 * One machine of `mmvm versus`: an archive with the observer and the program, a process `mmvm run` that
 * runs it in the lab, and the lines that it printed.
 *
 * The files lie in a folder of their own below TMPDIR, which is removed at the end, whatever happens.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/cli.h"
#include "machine/cpio.h"
#include "result/result.h"
#include "versus/versus.h"

#define MAX_ARGV 300u
/* What guestmm takes of its RAM beside what is available, for the first try. */
#define FIRST_OVERHEAD (3ull << 20)
#define PAGE	       4096u

/* As lean as the Linux column of `mmvm bench`, but for the pressure that is a row here; and with the
 * same addresses each time. */
static const char linux_options[] = "quiet psi=1 nokaslr mitigations=off init_on_alloc=0 "
				    "cgroup_disable=memory audit=0";

/* In the order in which Linux needs them. */
static const char *const modules[] = {"virtio/virtio_ring.ko", "virtio/virtio.ko",
				      "virtio/virtio_mmio.ko", "block/virtio_blk.ko"};
#define NR_MODULES (sizeof(modules) / sizeof(modules[0]))

/* ---- what a run has said ---------------------------------------------------------------------- */

static void add_value(struct versus_run *run, const char *name, uint64_t value)
{
	struct versus_value *v = &run->value[run->nr];

	if (run->nr == VERSUS_MAX_VALUES || strlen(name) >= sizeof(v->name))
		return;
	strcpy(v->name, name);
	v->value = value;
	run->nr++;
}

bool versus_take_line(struct versus_run *run, const char *line)
{
	static const char mark[] = "observe: ";
	const char *at = strstr(line, mark);
	char name[48];
	uint64_t value;

	/* Linux's console may have written before it on the line. */
	if (!at || sscanf(at + sizeof(mark) - 1, "%47s %" SCNu64, name, &value) != 2)
		return false;
	add_value(run, name, value);
	return true;
}

bool versus_take_point(struct versus_curve *curve, const char *line)
{
	static const char mark[] = "curve: ";
	const char *at = strstr(line, mark);
	struct versus_point p;

	if (!at || curve->nr == VERSUS_MAX_POINTS ||
	    sscanf(at + sizeof(mark) - 1, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &p.ticks,
		   &p.rss, &p.referenced, &p.swap) != 4)
		return false;
	curve->point[curve->nr++] = p;
	return true;
}

uint64_t versus_value(const struct versus_run *run, const char *name, bool *found)
{
	const bool sum = !strcmp(name, "allocstall");
	uint64_t value = 0;
	bool any = false;

	for (unsigned int i = 0; i < run->nr; i++) {
		if (sum ? strncmp(run->value[i].name, name, strlen(name))
			: strcmp(run->value[i].name, name))
			continue;
		value += run->value[i].value;
		any = true;
	}
	if (found)
		*found = any;
	return value;
}

static int take_output(struct versus_run *run, struct versus_curve *curve, const char *path,
		       struct mmvm_error *err)
{
	char line[1024];
	FILE *f = fopen(path, "re");

	if (!f)
		return mmvm_error(err, MMVM_EXIT_HOST, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (!versus_take_line(run, line))
			versus_take_point(curve, line);
	fclose(f);
	return 0;
}

/** The host's view of the swap disk. */
static int take_result(struct versus_run *run, const char *path, struct mmvm_error *err)
{
	struct run_result r;

	if (run_result_load(&r, path, err))
		return -1;
	for (unsigned int i = 0; i < r.nr_disks; i++) {
		if (strcmp(r.disks[i].role, "swap"))
			continue;
		add_value(run, "host_swap_reads", r.disks[i].stats.reads);
		add_value(run, "host_swap_writes", r.disks[i].stats.writes);
		add_value(run, "host_swap_pages_read", r.disks[i].stats.sectors_read / 8);
		add_value(run, "host_swap_pages_written", r.disks[i].stats.sectors_written / 8);
	}
	run_result_free(&r);
	return 0;
}

/* ---- files ------------------------------------------------------------------------------------ */

enum side { ON_LINUX, ON_GUESTMM, NR_SIDES };

struct place {
	char dir[256];
	char archive[NR_SIDES][300];
	char output[300], json[300];
};

/* Only Linux gets modules. */
static int write_archive(const struct versus *v, const struct place *p, enum side side,
			 struct mmvm_error *err)
{
	const char *path = p->archive[side];
	char observe[4096], file[4200], names[256] = "";
	struct cpio c = {0};
	FILE *f = NULL;
	int rc = cpio_add_file(&c, "init", cli_built_path("user/observe", observe, sizeof(observe)),
			       err);

	if (!rc)
		rc = cpio_add_file(&c, "prog", v->program, err);
	if (!rc && side == ON_LINUX) {
		rc = cpio_add(&c, "lib", NULL, 0);
		for (unsigned int i = 0; i < NR_MODULES && !rc; i++) {
			const char *base = strrchr(modules[i], '/') + 1;
			char name[64];

			snprintf(file, sizeof(file), "%s/%s", v->modules, modules[i]);
			snprintf(name, sizeof(name), "lib/%s", base);
			strcat(strcat(names, base), "\n");
			rc = cpio_add_file(&c, name, file, err);
		}
		if (!rc)
			rc = cpio_add(&c, "modules", names, strlen(names));
	}
	if (rc == -ENOMEM || (!rc && cpio_finish(&c))) {
		rc = mmvm_error(err, MMVM_EXIT_HOST, "not enough memory for an archive");
		goto out;
	}
	if (rc)
		goto out;
	f = fopen(path, "we");
	if (!f || fwrite(c.data, 1, c.len, f) != c.len || fflush(f))
		rc = mmvm_error(err, MMVM_EXIT_HOST, "cannot write %s: %s", path, strerror(errno));
out:
	if (f)
		fclose(f);
	cpio_free(&c);
	return rc;
}

static int make_place(const struct versus *v, struct place *p, struct mmvm_error *err)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(p->dir, sizeof(p->dir), "%s/mmvm-versus.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(p->dir)) {
		p->dir[0] = 0;
		return mmvm_error(err, MMVM_EXIT_HOST, "no temporary folder: %s", strerror(errno));
	}
	snprintf(p->archive[ON_LINUX], sizeof(p->archive[ON_LINUX]), "%s/linux.cpio", p->dir);
	snprintf(p->archive[ON_GUESTMM], sizeof(p->archive[ON_GUESTMM]), "%s/guestmm.cpio", p->dir);
	snprintf(p->output, sizeof(p->output), "%s/output", p->dir);
	snprintf(p->json, sizeof(p->json), "%s/result.json", p->dir);
	if (write_archive(v, p, ON_LINUX, err) || write_archive(v, p, ON_GUESTMM, err))
		return -1;
	return 0;
}

static void remove_place(const struct place *p)
{
	if (!p->dir[0])
		return;
	unlink(p->archive[ON_LINUX]);
	unlink(p->archive[ON_GUESTMM]);
	unlink(p->output);
	unlink(p->json);
	rmdir(p->dir);
}

/* ---- one machine ------------------------------------------------------------------------------ */

struct arguments {
	char *argv[MAX_ARGV + 1];
	unsigned int nr;
};

static void add_arg(struct arguments *a, const char *text)
{
	if (a->nr < MAX_ARGV)
		a->argv[a->nr++] = (char *)text;
	a->argv[a->nr] = NULL;
}

/** Knobs, the program and its arguments, as user/observe takes them. */
static void add_program(struct arguments *a, const struct versus *v)
{
	for (unsigned int i = 0; i < v->nr_knobs; i++)
		add_arg(a, v->knobs[i]);
	add_arg(a, "/prog");
	for (unsigned int i = 0; i < v->nr_args; i++)
		add_arg(a, v->args[i]);
}

/** `mmvm run` with these arguments. Returns its exit status or -1 with `err`. */
static int run_machine(const struct arguments *a, const struct place *p, struct mmvm_error *err)
{
	int fd = open(p->output, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), status;
	pid_t pid;

	if (fd < 0)
		return mmvm_error(err, MMVM_EXIT_HOST, "%s: %s", p->output, strerror(errno));
	unlink(p->json);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		/* This process says when to end. */
		setpgid(0, 0);
		cli_default_signals();
		signal(SIGPIPE, SIG_DFL);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execv(a->argv[0], a->argv);
		_exit(127);
	}
	close(fd);
	if (pid < 0)
		return mmvm_error(err, MMVM_EXIT_HOST, "fork: %s", strerror(errno));
	/* A signal may come between the question and the wait: so the wait is never long. */
	while (waitpid(pid, &status, WNOHANG) != pid) {
		poll(NULL, 0, 50);
		if (cli_signal())
			kill(pid, SIGTERM);
	}
	if (cli_signal())
		return mmvm_error(err, 128 + cli_signal(), "interrupted");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/** The last line of the output that says anything, for an error. */
static void last_words(const struct place *p, char *buf, size_t size)
{
	FILE *f = fopen(p->output, "re");
	char line[512];

	buf[0] = 0;
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (line[0])
			snprintf(buf, size, "%.200s", line);
	}
	if (f)
		fclose(f);
}

static void add_common(struct arguments *a, const char *self, const char *memory, const char *swap,
		       const char *json)
{
	const char *const common[] = {self,	  "run",    "--accel",	"lab",	"--icount",
				      "--sample", "0",	    "--memory", memory, "--swap",
				      swap,	  "--json", json};

	for (unsigned int k = 0; k < sizeof(common) / sizeof(common[0]); k++)
		add_arg(a, common[k]);
}

/** Only ask for the memory; run the program; run it with its memory looked at all the time. */
enum purpose { ASK_MEMORY, COUNT, DRAW_CURVE };

static int run_system(const struct versus *v, struct versus_system *s, const struct place *p,
		      enum purpose purpose, struct versus_run *run, struct mmvm_error *err)
{
	char self[4096], memory[32], swap[32], append[4096], words[256], curve[32];
	struct arguments a = {.nr = 0}, program = {.nr = 0};
	int status;

	memset(run, 0, sizeof(*run));
	snprintf(memory, sizeof(memory), "%" PRIu64, s->memory);
	snprintf(swap, sizeof(swap), "%" PRIu64, v->swap);
	cli_built_path("mmvm", self, sizeof(self));
	add_common(&a, self, memory, swap, p->json);
	snprintf(curve, sizeof(curve), "curve=%u", v->curve_ms);
	if (purpose == DRAW_CURVE)
		add_arg(&program, curve);
	if (purpose != ASK_MEMORY)
		add_program(&program, v);
	add_arg(&a, "--initrd");
	add_arg(&a, p->archive[s->policy ? ON_GUESTMM : ON_LINUX]);
	add_arg(&a, "--append");
	if (s->policy) {
		snprintf(append, sizeof(append), "reclaim_policy=%s", s->policy);
		add_arg(&a, append);
		add_arg(&a, "--exec");
		add_arg(&a, "/init");
		for (unsigned int i = 0; i < program.nr; i++)
			add_arg(&a, program.argv[i]);
	} else {
		size_t n = (size_t)snprintf(append, sizeof(append), "%s --", linux_options);

		for (unsigned int i = 0; i < program.nr; i++) {
			n += (size_t)snprintf(append + n, sizeof(append) - n, " %s",
					      program.argv[i]);
			if (n >= sizeof(append))
				return mmvm_error(err, MMVM_EXIT_USAGE,
						  "the program's arguments are too long");
		}
		add_arg(&a, append);
		add_arg(&a, "--kernel");
		add_arg(&a, v->kernel);
	}
	status = run_machine(&a, p, err);
	if (status < 0)
		return -1;
	s->curve.nr = 0;
	if (take_output(run, &s->curve, p->output, err) ||
	    (purpose != ASK_MEMORY && take_result(run, p->json, err)))
		status = -1;
	if (purpose != ASK_MEMORY &&
	    (status < 0 || !run->nr || versus_value(run, "status", NULL))) {
		last_words(p, words, sizeof(words));
		return mmvm_error(err, MMVM_EXIT_FAILED,
				  "%s: the program ended with status %d (%s)", s->name,
				  run->nr ? (int)versus_value(run, "status", NULL) : status, words);
	}
	return 0;
}

/** Choose guestmm's RAM so that as much is available as on Linux. */
static int match_memory(struct versus *v, const struct place *p, struct mmvm_error *err)
{
	static struct versus_run probe;
	const uint64_t want = versus_value(&v->system[0].run[0], "MemAvailable", NULL) << 10;
	uint64_t memory = want + FIRST_OVERHEAD;

	/* The overhead grows with RAM (struct page, watermarks): twice is enough. */
	for (int i = 0; i < 2; i++) {
		uint64_t have;

		v->system[1].memory = memory = memory / PAGE * PAGE;
		if (run_system(v, &v->system[1], p, ASK_MEMORY, &probe, err))
			return -1;
		have = versus_value(&probe, "MemAvailable", NULL) << 10;
		if (!have)
			return mmvm_error(err, MMVM_EXIT_FAILED,
					  "guestmm did not start with %" PRIu64 " KiB",
					  memory >> 10);
		memory += want - have;
	}
	for (unsigned int i = 1; i < v->nr; i++)
		v->system[i].memory = memory / PAGE * PAGE;
	return 0;
}

int versus_measure(struct versus *v, struct mmvm_error *err)
{
	struct place p = {.dir = ""};
	int rc = make_place(v, &p, err);

	v->system[0].memory = v->memory;
	for (unsigned int i = 0; i < v->nr && !rc; i++) {
		struct versus_system *s = &v->system[i];

		if (i == 1)
			rc = match_memory(v, &p, err);
		for (; s->nr_runs < v->runs && !rc; s->nr_runs++) {
			fprintf(stderr, "mmvm versus: %s, run %u of %u\n", s->name, s->nr_runs + 1,
				v->runs);
			rc = run_system(v, s, &p, COUNT, &s->run[s->nr_runs], err);
		}
		if (v->curve_ms && !rc) {
			static struct versus_run looked_at;

			fprintf(stderr, "mmvm versus: %s, its working set\n", s->name);
			rc = run_system(v, s, &p, DRAW_CURVE, &looked_at, err);
		}
	}
	remove_place(&p);
	return rc ? -1 : 0;
}
