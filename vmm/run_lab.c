/* mmvm run where the machine runs in the lab: what the outer program does before and after. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/root_image.h"
#include "lab/lab.h"
#include "observe/console.h"
#include "result/status.h"
#include "run.h"

int run_in_lab(const struct run *run, int argc, char **argv)
{
	struct lab_options lab = {.icount = run->opt.icount,
				  .la57 = lab_wants_la57(run->machine.config.append),
				  .verbose = run->opt.verbose,
				  .timeout_s = run->machine.config.timeout_s};
	const struct machine_config *c = &run->machine.config;
	struct status_file *top = status_open(run->result.command);
	struct mmvm_error err = {0};
	const unsigned int nr_files = c->nr_disks + c->nr_pmem;
	int status = -1, lock[sizeof(c->disk) / sizeof(c->disk[0]) + MMVM_MAX_PMEM];

	memset(lock, -1, sizeof(lock));

	if (isatty(STDOUT_FILENO))
		setenv(CONSOLE_LIVE_ENV, "1", 1);
	/* Reports show the command line that was typed here. */
	setenv(COMMAND_ENV, run->result.command, 1);
	if (run->opt.interactive)
		setenv(INTERACTIVE_ENV, "1", 1);
	if (run_console_input(run) && !run->opt.icount)
		lab.input = run->opt.interactive && isatty(STDIN_FILENO) ? LAB_INPUT_TTY
									 : LAB_INPUT_PIPE;
	/* A sealed run does not see this machine's files: it takes no samples for others. */
	if (top && !run->opt.icount)
		setenv(STATUS_ENV, status_path(top), 1);
	for (unsigned int i = 0; i < nr_files; i++) {
		lock[i] = machine_disk_lock(
			i < c->nr_disks ? &c->disk[i] : &c->pmem[i - c->nr_disks], &err);
		if (lock[i] == -1)
			goto out;
	}
	status = lab_exec(argc, argv, &lab, &err);
out:
	for (unsigned int i = 0; i < nr_files; i++)
		if (lock[i] >= 0)
			close(lock[i]);
	status_close(top);
	return status < 0 ? cli_fail(&err) : status;
}

int run_make_root(struct run *run, int argc, char **argv)
{
	struct machine_options *o = &run->machine;
	struct mmvm_error err = {0};
	static char option[PATH_MAX + 8];
	struct stat st;

	if (!o->root || stat(o->root, &st) || !S_ISDIR(st.st_mode))
		return 0;
	if (root_image_make(o->root, run->root_image, sizeof(run->root_image), &err)) {
		run->root_image[0] = '\0';
		return cli_fail(&err);
	}
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--exec") || !strcmp(argv[i], "--"))
			break;
		if (!strcmp(argv[i], "--root") && i + 1 < argc) {
			argv[i + 1] = run->root_image;
		} else if (!strncmp(argv[i], "--root=", 7)) {
			snprintf(option, sizeof(option), "--root=%s", run->root_image);
			argv[i] = option;
		}
	}
	for (unsigned int i = 0; i < o->config.nr_disks; i++)
		if (o->config.disk[i].path == o->root)
			o->config.disk[i].path = run->root_image;
	return 0;
}
