/*
 * Own time, from the scheduler's statistics: see own_time.h.
 */
#include "machine/own_time.h"
#include "machine/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_THREADS 65536u

/** Own time of the machine that this one is emulated by; 0: it does not say. */
static uint64_t machine_ns(void)
{
	uint64_t ns = 0;
	int fd;

	if (!getenv("MMVM_LAB_INSIDE"))
		return 0;
	fd = open(OWN_TIME_FILE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (pread(fd, &ns, sizeof(ns), 0) != sizeof(ns))
		ns = 0;
	close(fd);
	return ns;
}

void own_time_init(struct own_time *t)
{
	memset(t, 0, sizeof(*t));
}

void own_time_free(struct own_time *t)
{
	free(t->thread);
	memset(t, 0, sizeof(*t));
}

static struct own_thread *find(struct own_thread *list, unsigned int nr, pid_t tid)
{
	for (unsigned int i = 0; i < nr; i++)
		if (list[i].tid == tid)
			return &list[i];
	return NULL;
}

/** Append a thread to the new list. False when there is no room. */
static bool append(struct own_thread **list, unsigned int *nr, unsigned int *room,
		   struct own_thread thread)
{
	if (*nr == *room) {
		unsigned int more = *room ? *room * 2 : 16;
		struct own_thread *grown;

		if (more > MAX_THREADS)
			return false;
		grown = realloc(*list, more * sizeof(**list));
		if (!grown)
			return false;
		*list = grown;
		*room = more;
	}
	(*list)[(*nr)++] = thread;
	return true;
}

static bool read_thread(const char *path, struct own_thread *thread)
{
	char text[96];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	return sscanf(text, "%" SCNu64 " %" SCNu64, &thread->ran, &thread->waited) == 2;
}

uint64_t own_time_look(struct own_time *t, const pid_t *pid, unsigned int nr_pids)
{
	struct own_thread *list = NULL;
	unsigned int nr = 0, room = 0;
	uint64_t now = machine_now_ns(), machine = machine_ns(), passed, wall, wanted;
	bool first = !t->begun;
	char path[64];

	t->ran = t->waited = 0;
	for (unsigned int i = 0; i < nr_pids; i++) {
		struct dirent *e;
		DIR *dir;

		snprintf(path, sizeof(path), "/proc/%d/task", (int)pid[i]);
		dir = opendir(path);
		while (dir && (e = readdir(dir)) != NULL) {
			struct own_thread thread = {.tid = (pid_t)atoi(e->d_name)}, *old;

			if (thread.tid <= 0)
				continue;
			snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid[i],
				 (int)thread.tid);
			if (!read_thread(path, &thread) || !append(&list, &nr, &room, thread))
				continue;
			old = find(t->thread, t->nr, thread.tid);
			/* A number may have been given to another thread meanwhile. */
			if (old && (old->ran > thread.ran || old->waited > thread.waited))
				old = NULL;
			t->ran += thread.ran - (old ? old->ran : 0);
			t->waited += thread.waited - (old ? old->waited : 0);
		}
		if (dir)
			closedir(dir);
	}
	wall = now - t->clock;
	passed = machine && t->machine && machine >= t->machine ? machine - t->machine : wall;
	wanted = t->ran + t->waited;
	if (first) {
		t->begun = true;
	} else if (t->waited) {
		double lost = (double)t->waited / (double)wanted;
		double part = wanted < wall ? (double)wanted / (double)wall : 1;

		t->ns += (uint64_t)((double)passed * (1 - lost * part));
	} else {
		t->ns += passed;
	}
	t->clock = now;
	t->machine = machine;
	free(t->thread);
	t->thread = list;
	t->nr = nr;
	t->room = room;
	return t->ns;
}
