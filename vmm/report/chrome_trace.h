/*
 * A trace in formats for other programs: Chrome's JSON, which Perfetto's viewer opens; text; CSV.
 */
#ifndef VMM_REPORT_CHROME_TRACE_H
#define VMM_REPORT_CHROME_TRACE_H

#include <stdio.h>
#include "result/trace_read.h"

/** The categories to write; if none is set, all. */
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
/** CSV. In host records the columns pfn and addr have the fields a and b (observe/trace_file.h). */
int trace_emit_csv(FILE *f, const void *output);
/** For each reading of the guest's pressure files: the averages and totals as computed from the beginnings and ends
 * of the states (result/pressure.h). */
int trace_emit_pressure(FILE *f, const void *output);

#endif
