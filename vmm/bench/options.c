/*
 * Options of the commands of `mmvm bench`, from a table.
 */
#include "bench/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "kvm/kvm.h"
#include "lab/lab.h"

#define MIB (1ull << 20)

static int take_value(const char *command, const struct bench_option *o, const char *value)
{
	struct mmvm_error err = {0};
	uint64_t n;

	switch (o->kind) {
	case BENCH_OPT_NUMBER:
		if (!cli_parse_u64(value, o->min, o->max, o->to))
			return 0;
		return cli_usage_error(command, "%s %s: not a number from %" PRIu64 " to %" PRIu64,
				       o->name, value, o->min, o->max);
	case BENCH_OPT_MIB:
		if (!cli_parse_size(value, &n) && !(n % MIB) && n / MIB >= o->min &&
		    n / MIB <= o->max) {
			*(uint64_t *)o->to = n / MIB;
			return 0;
		}
		return cli_usage_error(
			command, "%s: %s is no size of whole MiB from %" PRIu64 "M to %" PRIu64 "M",
			o->name, value, o->min, o->max);
	case BENCH_OPT_TEXT:
		*(const char **)o->to = value;
		return 0;
	default:
		return cli_parse_accel(value, o->to, &err) ? cli_fail(&err) : 0;
	}
}

int bench_parse_options(const char *command, int argc, char **argv,
			const struct bench_option *table)
{
	char full[32];

	snprintf(full, sizeof(full), "bench %s", command);
	for (int i = 2; i < argc; i++) {
		const struct bench_option *o = table;
		int status;

		if (!strcmp(argv[i], command))
			continue;
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return -1;
		while (o->name && strcmp(o->name, argv[i]))
			o++;
		if (o->name && o->kind == BENCH_OPT_FLAG) {
			*(bool *)o->to = true;
			continue;
		}
		if (!o->name || i + 1 == argc)
			return cli_usage_error(full, "unknown or incomplete option %s", argv[i]);
		status = take_value(full, o, argv[++i]);
		if (status)
			return status;
	}
	return 0;
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
