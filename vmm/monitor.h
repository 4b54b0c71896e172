/* The monitor line of an interactive run (Ctrl-A c): the machine looked at while it runs. */
#ifndef VMM_MONITOR_H
#define VMM_MONITOR_H
#include "machine/machine.h"

struct monitor {
	struct machine *m;
	const struct symtab *symbols;
	uint64_t dirty; /* pages reported so far */
};
/** Do what the line says and print the answer to stdout. Any thread. */
void monitor_command(struct monitor *mon, const char *line);
#endif
