/*
 * Errors for the user: one sentence and the exit status it means.
 */
#include <stdarg.h>
#include <stdio.h>
#include "machine/machine.h"

int mmvm_error(struct mmvm_error *e, int status, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -1;
	e->status = status;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}
