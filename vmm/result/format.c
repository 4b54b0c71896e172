/* Numbers as people read them: three figures that matter, a unit, thousands apart. */
#include "result/result.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** value/unit with one decimal below ten, none when it is whole. */
static void with_unit(char *buf, size_t size, uint64_t value, uint64_t unit, const char *name)
{
	uint64_t whole = value / unit, tenths = (value % unit) / (unit / 10 ? unit / 10 : 1);

	if (unit > 1 && whole < 100 && tenths && value % unit)
		snprintf(buf, size, "%" PRIu64 ".%" PRIu64 " %s", whole, tenths > 9 ? 9 : tenths,
			 name);
	else
		snprintf(buf, size, "%" PRIu64 " %s", whole, name);
}

const char *format_bytes(uint64_t bytes, char *buf, size_t size)
{
	static const struct {
		uint64_t unit;
		const char *name;
	} units[] = {{1ull << 40, "TiB"},
		     {1ull << 30, "GiB"},
		     {1ull << 20, "MiB"},
		     {1ull << 10, "KiB"},
		     {1, "B"}};
	size_t i = 0;

	while (i < 4 && bytes < units[i].unit)
		i++;
	with_unit(buf, size, bytes, units[i].unit, units[i].name);
	return buf;
}

const char *format_ns(uint64_t ns, char *buf, size_t size)
{
	if (ns >= 1000000000)
		snprintf(buf, size, "%" PRIu64 ".%02u s", ns / 1000000000,
			 (unsigned int)(ns % 1000000000 / 10000000));
	else if (ns >= 1000000)
		with_unit(buf, size, ns, 1000000, "ms");
	else if (ns >= 1000)
		with_unit(buf, size, ns, 1000, "us");
	else
		with_unit(buf, size, ns, 1, "ns");
	return buf;
}

const char *format_count(uint64_t n, char *buf, size_t size)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	size_t out = 0;

	for (int i = 0; i < len && out + 2 < size; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf[out++] = ',';
		buf[out++] = digits[i];
	}
	buf[out] = '\0';
	return buf;
}
