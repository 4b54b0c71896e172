/*
 * libFuzzer target: a result file from an untrusted source. It is given to the parser and every writer, to
 * the comparison with a changed copy of itself, and to the reader of bench results.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "report/report.h"
#include "result/result.h"

static void compare_with_itself(FILE *out, struct run_result *r, const char *text, size_t len)
{
	struct mmvm_error err;
	struct run_result other;
	struct report_options opt = {.verbose = true};

	if (run_result_parse(&other, "other", text, len, &err))
		abort(); /* it could be parsed before */
	other.wall_ns ^= len;
	if (other.nr_samples)
		other.samples[0].pswpin++;
	{
		const struct run_side side[2] = {{"a", r, 1}, {"b", &other, 1}};

		report_compare(out, side, &opt);
	}
	run_result_free(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct report_costs costs;
	static FILE *null;
	static int fd = -1;
	struct report_options opt = {.verbose = true, .colour = true};
	struct mmvm_error err;
	struct run_result r;
	bool have_costs;
	char path[32];

	if (!null) {
		null = fopen("/dev/null", "w");
		fd = memfd_create("result", 0);
	}
	if (ftruncate(fd, 0) || pwrite(fd, bytes, len, 0) != (ssize_t)len)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	memset(&costs, 0, sizeof(costs));
	have_costs = !report_costs_load(&costs, path, &err);
	if (run_result_parse(&r, "fuzz", (const char *)bytes, len, &err))
		return 0;
	report_table(null, &r, &opt);
	report_json(null, &r);
	report_csv(null, &r);
	report_openmetrics(null, &r);
	report_html(null, &r, have_costs ? &costs : NULL);
	compare_with_itself(null, &r, (const char *)bytes, len);
	run_result_free(&r);
	return 0;
}
