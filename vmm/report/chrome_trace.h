/*
 * A trace for other eyes: Chrome's JSON, which Perfetto's viewer opens; text; CSV.
 */
#ifndef VMM_REPORT_CHROME_TRACE_H
#define VMM_REPORT_CHROME_TRACE_H

#include <stdio.h>
#include "result/trace_read.h"

/** Categories that are wanted; none: all. */
struct trace_filter {
	const char *category[16];
	unsigned int nr;
};
bool trace_filter_wants(const struct trace_filter *filter, const struct trace_event *e);

struct trace_output {
	const struct trace_data *trace;
	struct trace_filter filter;
};
/** For report_write_file_atomic(); `output` is a struct trace_output. */
int trace_emit_chrome(FILE *f, const void *output);
int trace_emit_text(FILE *f, const void *output);
/** For host records pfn and addr are what a and b of the record say (observe/trace_file.h). */
int trace_emit_csv(FILE *f, const void *output);
/** Each time the guest's pressure files were read: the averages and totals that the states' begins and ends add
 * up to (result/pressure.h). */
int trace_emit_pressure(FILE *f, const void *output);

#endif
