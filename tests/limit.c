/*
 * limit [-o FILE] SECONDS COMMAND [ARGS]: run a command and end it when it makes no progress.
 *
 * As timeout(1), but the seconds are own time (vmm/machine/own_time.h) of the command and of all
 * that it started: those in which they waited for a processor do not count, so that a busy machine
 * is no reason to end anything. With -o the file is the command's heartbeat: whenever it has grown
 * the seconds begin anew.
 *
 * Ends with the command's status, 128 + N when it died of signal N, 124 when it was ended. SIGTERM
 * and SIGINT are passed on. At the limit the whole tree gets SIGTERM, ten seconds of own time later
 * SIGKILL.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "machine/own_time.h"

#define MAX_TREE 4096u
#define GRACE_NS 10000000000ull

static pid_t tree[MAX_TREE];
static unsigned int nr_tree;

/** All processes below this one. */
static void find_tree(void)
{
	static struct {
		pid_t pid, parent;
	} all[MAX_TREE * 4];
	unsigned int nr = 0, before;
	char path[300], text[512];
	struct dirent *e;
	DIR *proc = opendir("/proc");

	while (proc && nr < MAX_TREE * 4 && (e = readdir(proc)) != NULL) {
		char *end;
		FILE *f;

		all[nr].pid = (pid_t)atoi(e->d_name);
		if (all[nr].pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		end = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
		if (end && sscanf(end, ") %*c %d", &all[nr].parent) == 1)
			nr++;
		fclose(f);
	}
	if (proc)
		closedir(proc);
	nr_tree = 0;
	do {
		before = nr_tree;
		for (unsigned int i = 0; i < nr; i++) {
			bool below = all[i].parent == getpid();

			for (unsigned int k = 0; k < nr_tree && !below; k++)
				below = all[i].parent == tree[k];
			for (unsigned int k = 0; k < nr_tree && below; k++)
				below = all[i].pid != tree[k];
			if (below && nr_tree < MAX_TREE)
				tree[nr_tree++] = all[i].pid;
		}
	} while (nr_tree != before);
}

static void signal_tree(int sig)
{
	find_tree();
	for (unsigned int i = 0; i < nr_tree; i++)
		kill(tree[i], sig);
}

int main(int argc, char **argv)
{
	const char *heart = NULL;
	uint64_t limit, end;
	struct own_time own;
	sigset_t set, old;
	time_t last = 0;
	off_t size = 0;
	bool ended = false;
	pid_t child;
	int i = 1;

	if (i + 1 < argc && !strcmp(argv[i], "-o")) {
		heart = argv[i + 1];
		i += 2;
	}
	if (i + 1 >= argc || atoi(argv[i]) <= 0) {
		fputs("usage: limit [-o FILE] SECONDS COMMAND [ARGS]\n", stderr);
		return 125;
	}
	end = limit = (uint64_t)atoi(argv[i++]) * 1000000000u;
	/* What the command leaves behind stays in the tree. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	child = fork();
	if (child < 0) {
		perror("limit: fork");
		return 125;
	}
	if (!child) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		execvp(argv[i], argv + i);
		fprintf(stderr, "limit: %s: %s\n", argv[i], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	own_time_init(&own);
	for (;;) {
		const struct timespec second = {.tv_sec = 1};
		int status, sig = sigtimedwait(&set, NULL, &second);
		struct stat st;
		pid_t pid;

		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == child)
				return ended		   ? 124
				       : WIFEXITED(status) ? WEXITSTATUS(status)
							   : 128 + WTERMSIG(status);
		if (sig == SIGTERM || sig == SIGINT)
			kill(child, sig);
		/* Not at each of many children that end, but once a second. */
		if (time(NULL) == last)
			continue;
		last = time(NULL);
		find_tree();
		own_time_look(&own, tree, nr_tree);
		if (heart && !ended && !stat(heart, &st) && st.st_size != size) {
			size = st.st_size;
			end = own.ns + limit;
		}
		if (own.ns < end)
			continue;
		signal_tree(ended ? SIGKILL : SIGTERM);
		ended = true;
		end = own.ns + GRACE_NS;
	}
}
