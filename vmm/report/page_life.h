/*
 * The life of a page, for people. All print to `out` and return 0 or -errno.
 */
#ifndef VMM_REPORT_PAGE_LIFE_H
#define VMM_REPORT_PAGE_LIFE_H

#include <stdio.h>
#include "result/page_life.h"

/** Print all events of a frame. */
int life_print_frame(FILE *out, const struct trace_data *t, uint64_t pfn);
/** Print all events of the page that process `pid` has at an address, in whichever frame or slot it was. 0: the first
 * process that maps the address. */
int life_print_address(FILE *out, const struct trace_data *t, uint64_t addr, uint32_t pid);
/** Print the `max` pages with the most events. */
int life_print_list(FILE *out, const struct trace_data *t, unsigned int max);
void life_print_check(FILE *out, const struct life_check *c);
/** Two lines about the trace: where it comes from, and what is missing. */
void life_print_head(FILE *out, const struct trace_data *t);

#endif
