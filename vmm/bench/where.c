/*
 * Options of the commands of `mmvm bench` that measure times, and where they run.
 */
#include "bench/where.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"
#include "kvm/kvm.h"
#include "lab/lab.h"

int bench_parse(const struct command *cmd, void *base, int argc, char **argv)
{
	const char *what = strchr(cmd->name, ' ') + 1;
	struct option_list operands = {.nr = 0};
	int rc = command_parse(cmd, base, argc, argv, &operands);

	for (unsigned int i = 0; i < operands.nr && !rc; i++)
		if (i || strcmp(operands.item[i], what))
			rc = cli_usage_error(cmd->name, "unknown argument '%s'", operands.item[i]);
	return rc;
}

bool bench_goes_to_lab(enum accel accel, int argc, char **argv, int *status)
{
	struct lab_options lab = {.ram_mb = 768};
	struct mmvm_error err = {0};
	struct kvm_system sys;

	if (accel != ACCEL_LAB && !kvm_system_open(&sys)) {
		kvm_system_close(&sys);
		return false;
	}
	if (lab_inside())
		return false;
	*status = lab_exec(argc, argv, &lab, &err);
	if (*status < 0)
		*status = cli_fail(&err);
	return true;
}
