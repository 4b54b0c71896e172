/*
 * mmvm lab [--icount] [--memory SIZE] [-v] [--] COMMAND [ARGS]: any command, inside the lab.
 *
 * There it finds this machine's files and a /dev/kvm that works as on SVM hardware.
 */
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "commands.h"
#include "lab/lab.h"

static void help(void)
{
	puts("usage: mmvm lab [--icount] [--memory SIZE] [-v] [--] COMMAND [ARGS]\n"
	     "Run a command inside QEMU's emulation of an SVM machine, with this machine's files.\n"
	     "  --icount       the TSC counts instructions; the command sees copies of the files "
	     "it\n"
	     "                 is named on its command line\n"
	     "  --memory SIZE  RAM of the lab (1G)\n"
	     "  -v             show its kernel's console");
}

int cmd_lab(int argc, char **argv)
{
	struct lab_options opt = {0};
	struct mmvm_error err = {0};
	uint64_t bytes;
	int i, status;

	for (i = 2; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		if (!strcmp(argv[i], "--icount")) {
			opt.icount = true;
		} else if (!strcmp(argv[i], "-v")) {
			opt.verbose = true;
		} else if (!strcmp(argv[i], "--memory") && i + 1 < argc) {
			i++;
			if (cli_parse_size(argv[i], &bytes) || bytes < (256 << 20) ||
			    bytes > (64ULL << 30))
				return cli_usage_error("lab", "--memory %s: from 256M to 64G",
						       argv[i]);
			opt.ram_mb = (unsigned int)(bytes >> 20);
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			help();
			return MMVM_EXIT_OK;
		} else {
			return cli_usage_error("lab", "unknown option %s", argv[i]);
		}
	}
	if (i >= argc)
		return cli_usage_error("lab", "no command given");
	status = lab_exec_command(argc - i, argv + i, &opt, &err);
	return status < 0 ? cli_fail(&err) : status;
}
