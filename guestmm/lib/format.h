/* Formatting: a small vsnprintf and a growing report buffer. */
#ifndef LIB_FORMAT_H
#define LIB_FORMAT_H
#include <stdarg.h>
#include "lib/types.h"

/** As C's: returns the length that would have been written. Handles %d %i %u %o %x %X %p %s %c %% with
 * l, ll, z, width, precision, '-', '0', '*'. Named k* so that the host's libc does not clash. */
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int ksnprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

/** A report being written (the producers of /proc texts take one). Overflow is recorded, never
 * written. */
struct report {
	char *buf;
	size_t size, len;
	bool overflow;
};
void report_printf(struct report *r, const char *fmt, ...) __printf(2, 3);

/** Parse "64M", "0x10", "12k": returns 0 or -EINVAL. */
int parse_size(const char *s, u64 *out);
/** As Linux's kstrtobool(): the first letter decides, of "on" and "off" the second. 0 or -EINVAL. */
int parse_bool(const char *text, bool *value);
#endif
