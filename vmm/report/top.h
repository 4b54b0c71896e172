/*
 * A frame of mmvm top: a status as lines for a terminal.
 */
#ifndef VMM_REPORT_TOP_H
#define VMM_REPORT_TOP_H

#include <stdio.h>
#include "result/status.h"

/** Write at most `rows` lines of at most `columns` characters (0: no limit), with bold headings if `colour`. Each line
 * ends with `eol`. */
void top_frame(FILE *out, const struct status *s, unsigned int rows, unsigned int columns,
	       bool colour, const char *eol);

#endif
