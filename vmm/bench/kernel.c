/*
 * Another kernel for the Linux column. images/lab.sh, which makes the lab's own image, makes one of that kernel: the
 * kernel itself, its modules, and images/linux_bench.c built for it. It is kept in lab/linux/RELEASE beside mmvm, or
 * in the user's cache where mmvm is installed and its folder cannot be written.
 */
#include "bench/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/cli.h"

/** Make a folder and those above it, as far as they are missing. */
static int make_folders(const char *path)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *p = strchr(part + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		mkdir(part, 0777);
		*p = '/';
	}
	mkdir(part, 0777);
	return access(path, W_OK) ? -errno : 0;
}

static int kernels_folder(char *buf, size_t size, struct mmvm_error *err)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	cli_built_path("lab/linux", buf, size);
	if (!make_folders(buf))
		return 0;
	if (cache && *cache == '/')
		snprintf(buf, size, "%s/mmvm/linux", cache);
	else
		snprintf(buf, size, "%s/.cache/mmvm/linux", home && *home ? home : "");
	if (make_folders(buf))
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "cannot write %s, where another kernel is kept", buf);
	return 0;
}

/** Become the script, its standard output in `out`, its standard error in `why`. */
static void __attribute__((noreturn))
become_script(const char *folder, const char *wanted, int out, int why)
{
	char script[PATH_MAX], init[PATH_MAX], source[PATH_MAX];
	const char *argv[] = {
		"sh", NULL, "linux", folder, wanted, NULL, NULL, NULL,
	};

	argv[1] = cli_built_path("lab/lab.sh", script, sizeof(script));
	argv[5] = cli_built_path("lab/lab_init", init, sizeof(init));
	argv[6] = cli_built_path("lab/linux_bench.c", source, sizeof(source));
	dup2(out, STDOUT_FILENO);
	dup2(why, STDERR_FILENO);
	execv("/bin/sh", (char **)argv);
	_exit(127);
}

/** The last line of a file, without its end. */
static void last_line(int fd, char *buf, size_t size)
{
	char line[PATH_MAX];
	FILE *f;

	*buf = 0;
	lseek(fd, 0, SEEK_SET);
	f = fdopen(fd, "r");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		snprintf(buf, size, "%s", line);
	}
	fclose(f);
}

int bench_find_kernel(const char *wanted, char *folder, size_t size, struct mmvm_error *err)
{
	static const char *const needed[] = {"lab/lab.sh", "lab/lab_init", "lab/linux_bench.c"};
	char path[PATH_MAX], why[600];
	int out, text, lock, status = 0;
	pid_t pid;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (access(cli_built_path(needed[i], path, sizeof(path)), R_OK))
			return mmvm_error(err, MMVM_EXIT_HOST,
					  "%s is missing, which makes a lab with another kernel; "
					  "run `make lab-image`",
					  path);
	if (kernels_folder(path, sizeof(path), err))
		return -1;
	/* Two commands that want the same kernel make it one after the other. */
	lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock >= 0)
		flock(lock, LOCK_EX);
	out = memfd_create("folder", MFD_CLOEXEC);
	text = memfd_create("why", MFD_CLOEXEC);
	fflush(NULL);
	pid = out < 0 || text < 0 ? -1 : fork();
	if (!pid)
		become_script(path, wanted, out, text);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		status = -1;
	last_line(out, folder, size);
	last_line(text, why, sizeof(why));
	if (lock >= 0)
		close(lock);
	if (status == 0 && *folder == '/')
		return 0;
	return mmvm_error(err, MMVM_EXIT_USAGE, "--linux %s: %s", wanted,
			  *why ? why + (strncmp(why, "mmvm: lab image: ", 17) ? 0 : 17)
			       : "the lab with it could not be made");
}
