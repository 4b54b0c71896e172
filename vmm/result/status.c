/*
 * The status file of a run.
 *
 *   S1  The whole file is written by one pwrite(2) at offset 0, and carries its sum: a reader that
 *       comes in the middle sees a wrong sum, and tries again.
 *   S2  The folder belongs to the user and nobody else may write there; another one is not used.
 *   S3  Texts in a file are made harmless when it is read: anybody may have written it.
 */
#include "result/status.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "lab/lab.h"

#define SUFFIX ".status"

struct status_file {
	int fd;
	bool ours; /* we made it and remove it */
	char path[PATH_MAX];
	struct status s;
};

static uint32_t sum_of(const struct status *s)
{
	const unsigned char *p = (const unsigned char *)&s->pid;
	uint32_t sum = 2166136261u;

	for (size_t n = sizeof(*s) - offsetof(struct status, pid); n; n--)
		sum = (sum ^ *p++) * 16777619u;
	return sum;
}

/** The folder's name; with `make`, it is there afterwards. 0 or -errno. */
enum folder_use { FOLDER_FIND, FOLDER_MAKE };

static int folder(char *path, size_t size, enum folder_use use)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int n;

	if (base && *base == '/' && !access(base, W_OK | X_OK))
		n = snprintf(path, size, "%s/mmvm", base);
	else
		n = snprintf(path, size, "/tmp/mmvm-%u", (unsigned int)geteuid());
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	if (use == FOLDER_MAKE && mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	if (lstat(path, &st))
		return -errno;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022) ? 0 : -EPERM;
}

static int make_file(struct status_file *f)
{
	char dir[PATH_MAX - 32];
	int rc = folder(dir, sizeof(dir), FOLDER_MAKE);

	if (rc)
		return rc;
	snprintf(f->path, sizeof(f->path), "%s/%u" SUFFIX, dir, (unsigned int)getpid());
	/* One that is there is of a process that had our number and was killed. */
	unlink(f->path);
	f->fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->fd < 0)
		return -errno;
	f->ours = true;
	return flock(f->fd, LOCK_EX | LOCK_NB) ? -errno : 0;
}

static int write_file(struct status_file *f)
{
	ssize_t n;

	f->s.sum = sum_of(&f->s);
	n = pwrite(f->fd, &f->s, sizeof(f->s), 0);
	return n == (ssize_t)sizeof(f->s) ? 0 : n < 0 ? -errno : -ENOSPC;
}

struct status_file *status_open(const char *command)
{
	struct status_file *f = calloc(1, sizeof(*f));
	const char *outer = getenv(STATUS_ENV);
	int rc = 0;

	if (!f)
		return NULL;
	f->s = (struct status){
		.magic = STATUS_MAGIC,
		.version = STATUS_VERSION,
		.size = sizeof(f->s),
		.pid = (uint32_t)getpid(),
		.started_ns = machine_unix_ns(),
	};
	snprintf(f->s.command, sizeof(f->s.command), "%s", command);
	f->fd = -1;
	/* Inside the lab on behalf of a run outside: the file is that run's. A run that was started inside, in
	 * `mmvm lab -- COMMAND`, has one of its own. */
	if (lab_inside() && outer && *outer == '/') {
		/* What the outer process said of itself stays. */
		f->fd = open(outer, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		if (f->fd < 0 || pread(f->fd, &f->s, sizeof(f->s), 0) != (ssize_t)sizeof(f->s) ||
		    f->s.magic != STATUS_MAGIC || f->s.size != sizeof(f->s))
			rc = -ENOENT;
	} else {
		rc = make_file(f);
		if (!rc)
			rc = write_file(f);
	}
	if (!rc)
		return f;
	status_close(f);
	return NULL;
}

const char *status_path(const struct status_file *f)
{
	return f->path;
}

void status_close(struct status_file *f)
{
	if (!f)
		return;
	if (f->ours)
		unlink(f->path);
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

void status_describe(struct status_file *f, struct machine *m, const struct machine_config *config,
		     const char *accel)
{
	f->s.cpus = config->cpus;
	f->s.tick_ms = config->tick_ms;
	f->s.linux_guest = machine_runs_linux(m);
	f->s.ram = config->ram_low + config->ram_high;
	snprintf(f->s.accel, sizeof(f->s.accel), "%s", accel);
	snprintf(f->s.backend, sizeof(f->s.backend), "%s", machine_backend(m));
	write_file(f);
}

static void take_zones(struct status_snapshot *s, const struct mmvm_shared *sh)
{
	for (unsigned int i = 0; i < MMVM_MAX_ZONES; i++) {
		struct status_zone *z = &s->zone[i];

		memcpy(z->name, sh->zone[i].name, sizeof(z->name));
		z->name[sizeof(z->name) - 1] = 0;
		z->managed = sh->zone[i].managed;
		memcpy(z->wmark, sh->zone[i].wmark, sizeof(z->wmark));
		for (unsigned int k = 0; k < MMVM_MAX_ZONE_STATS; k++)
			z->stat[k] = __atomic_load_n(&sh->zone[i].stat[k], __ATOMIC_RELAXED);
	}
}

static void take_host(struct status_snapshot *s, struct machine *m)
{
	struct exit_stat exits[MACHINE_MAX_EXITS];
	unsigned int n = machine_exit_stats(m, exits, MACHINE_MAX_EXITS);
	const char *role;
	uint64_t size;

	for (unsigned int i = 0; i < n; i++) {
		snprintf(s->exits[i].name, sizeof(s->exits[i].name), "%s", exits[i].name);
		s->exits[i].count = exits[i].count;
		s->exits[i].ns = exits[i].ns;
	}
	for (unsigned int i = 0; i < STATUS_DISKS && machine_disk(m, i, &role, &size); i++) {
		snprintf(s->disk[i].role, sizeof(s->disk[i].role), "%s", role);
		machine_disk_stats(m, role, &s->disk[i].stats);
	}
	s->resident = machine_ram_resident(m);
}

void status_write(struct status_file *f, struct machine *m, uint64_t t_ns, uint64_t dirty)
{
	const struct mmvm_shared *sh = machine_shared(m);
	struct status_snapshot *s = &f->s.now;

	f->s.before = *s;
	*s = (struct status_snapshot){
		.t_ns = t_ns,
		.progress_done = sh->progress_done,
		.progress_total = sh->progress_total,
		.totalram = sh->totalram,
		.swap_total = sh->swap_total,
		.swap_free = sh->swap_free,
		.dirty = dirty,
	};
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		for (unsigned int e = 0; e < NR_VM_EVENT_ITEMS; e++)
			s->event[e] += __atomic_load_n(&sh->event[cpu][e], __ATOMIC_RELAXED);
	if (!machine_runs_linux(m))
		take_zones(s, sh);
	take_host(s, m);
	write_file(f);
}

/* ---- who looks ------------------------------------------------------------------------------- */

static void harmless(char *text, size_t size)
{
	text[size - 1] = 0;
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
			*c = '?';
}

static void harmless_snapshot(struct status_snapshot *s)
{
	for (unsigned int i = 0; i < MMVM_MAX_ZONES; i++)
		harmless(s->zone[i].name, sizeof(s->zone[i].name));
	for (unsigned int i = 0; i < MACHINE_MAX_EXITS; i++)
		harmless(s->exits[i].name, sizeof(s->exits[i].name));
	for (unsigned int i = 0; i < STATUS_DISKS; i++)
		harmless(s->disk[i].role, sizeof(s->disk[i].role));
}

int status_read(const char *path, struct status *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc = 0;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (!flock(fd, LOCK_EX | LOCK_NB)) {
		unlink(path);
		close(fd);
		return -ESRCH;
	}
	n = pread(fd, out, sizeof(*out), 0);
	close(fd);
	if (n >= 16 && (out->magic != STATUS_MAGIC || out->version != STATUS_VERSION ||
			out->size != sizeof(*out)))
		rc = -EPROTO;
	else if (n != (ssize_t)sizeof(*out) || out->sum != sum_of(out))
		rc = -EAGAIN;
	if (rc)
		return rc;
	harmless(out->accel, sizeof(out->accel));
	harmless(out->backend, sizeof(out->backend));
	harmless(out->command, sizeof(out->command));
	harmless_snapshot(&out->now);
	harmless_snapshot(&out->before);
	return 0;
}

struct found {
	char path[PATH_MAX];
	struct timespec made;
};

static int newest_first(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->made.tv_sec != y->made.tv_sec)
		return x->made.tv_sec > y->made.tv_sec ? -1 : 1;
	return x->made.tv_nsec > y->made.tv_nsec ? -1 : x->made.tv_nsec < y->made.tv_nsec;
}

unsigned int status_list(char (*path)[PATH_MAX], unsigned int max)
{
	char dir[PATH_MAX - 300];
	struct found *found = calloc(max, sizeof(*found));
	struct status *s = malloc(sizeof(*s));
	unsigned int n = 0;
	struct dirent *d;
	DIR *dp = NULL;

	if (found && s && !folder(dir, sizeof(dir), FOLDER_FIND))
		dp = opendir(dir);
	while (dp && n < max && (d = readdir(dp))) {
		size_t len = strlen(d->d_name);
		int rc;

		if (len <= strlen(SUFFIX) || strcmp(d->d_name + len - strlen(SUFFIX), SUFFIX))
			continue;
		snprintf(found[n].path, PATH_MAX, "%s/%.255s", dir, d->d_name);
		rc = status_read(found[n].path, s);
		if (rc && rc != -EAGAIN)
			continue;
		found[n].made.tv_sec = (time_t)(s->started_ns / 1000000000u);
		found[n].made.tv_nsec = (long)(s->started_ns % 1000000000u);
		n++;
	}
	if (dp)
		closedir(dp);
	if (n)
		qsort(found, n, sizeof(*found), newest_first);
	for (unsigned int i = 0; i < n; i++)
		memcpy(path[i], found[i].path, PATH_MAX);
	free(found);
	free(s);
	return n;
}
