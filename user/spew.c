/*
 * Writes without end, to test what happens if nobody reads (tests/vm/lab.sh).
 */
#include "rt.h"

int main(int argc, char **argv)
{
	static char line[4096];

	for (unsigned int i = 0; i < sizeof(line); i++)
		line[i] = i % 64 == 63 ? 10 : 120;
	for (;;)
		if (sys_write(1, line, sizeof(line)) < 0)
			return 1;
}
