/*
 * A frame of mmvm top: what a status says, as lines of a terminal.
 */
#ifndef VMM_REPORT_TOP_H
#define VMM_REPORT_TOP_H

#include <stdio.h>
#include "result/status.h"

/** At most `rows` lines of at most `columns` characters (0: no limit), with bold headings if
 * `colour`. Each ends with `eol`. */
void top_frame(FILE *out, const struct status *s, unsigned int rows, unsigned int columns,
	       bool colour, const char *eol);

#endif
