/*
 * Events of the trace in words.
 */
#ifndef VMM_REPORT_TRACE_DETAIL_H
#define VMM_REPORT_TRACE_DETAIL_H

#include "result/page_life.h"

/* The slot in a swap entry. The six bits above it are the area. */
#define TRACE_SLOT_MASK ((1ull << 58) - 1)

/** "anon page for do_anonymous_page+0x30". Returns buf. */
const char *trace_detail(const struct trace_data *t, const struct trace_event *e, char *buf,
			 size_t size);

#endif
