/*
 * The forms in which a profile is shown: by function, as stacks in one line each (what
 * flamegraph.pl and speedscope read), and as a tree.
 *
 * Names come from the guest's ELF file: characters that mean something in these forms, or that
 * could drive a terminal, are replaced.
 */
#include "observe/step_profile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *safe(const char *name, char *buf, size_t size)
{
	size_t i;

	for (i = 0; name[i] && i + 1 < size; i++) {
		unsigned char c = (unsigned char)name[i];

		/* "[other thread]" is the one name with a blank */
		buf[i] = c <= ' ' || c >= 0x7f || c == ';' ? '_' : (char)c;
	}
	buf[i] = 0;
	return buf;
}

void profile_print_table(FILE *f, const struct profile *p)
{
	uint64_t all = p->min ? p->min : 1;
	char name[PROFILE_NAME];

	fprintf(f, "%10s  %6s  %10s  %8s  %s\n", "self", "%", "total", "calls", "function");
	for (unsigned int i = 0; i < p->nr_funcs; i++) {
		const struct profile_func *fn = &p->func[i];

		if (!fn->total && !fn->calls)
			continue;
		fprintf(f, "%10" PRIu64 "  %6.2f  %10" PRIu64 "  %8" PRIu64 "  %s\n", fn->self,
			100.0 * (double)fn->self / (double)all, fn->total, fn->calls,
			safe(fn->name, name, sizeof(name)));
	}
}

static void print_path(FILE *f, const struct profile *p, uint32_t node)
{
	char name[PROFILE_NAME];

	if (p->node[node].parent) {
		print_path(f, p, p->node[node].parent);
		putc(';', f);
	}
	fputs(safe(p->func[p->node[node].func].name, name, sizeof(name)), f);
}

void profile_print_folded(FILE *f, const struct profile *p)
{
	for (unsigned int i = 1; i < p->nr_nodes; i++) {
		if (!p->node[i].self)
			continue;
		print_path(f, p, i);
		fprintf(f, " %" PRIu64 "\n", p->node[i].self);
	}
}

/** Children of `node`, most expensive first; each is printed, then its own. */
static void print_below(FILE *f, const struct profile *p, uint32_t node, unsigned int depth)
{
	uint64_t last_total = UINT64_MAX;
	uint32_t last = 0;

	for (;;) {
		char name[PROFILE_NAME];
		uint32_t best = 0;

		/* the next in the order (total, falling; index, rising) */
		for (uint32_t c = p->node[node].child; c; c = p->node[c].next) {
			uint64_t total = p->node[c].total;

			if (total > last_total || (total == last_total && c <= last))
				continue;
			if (!best || total > p->node[best].total)
				best = c;
		}
		if (!best)
			return;
		last = best;
		last_total = p->node[best].total;
		fprintf(f, "%10" PRIu64 "  %10" PRIu64 "  %8" PRIu64 "  %*s%s\n", last_total,
			p->node[best].self, p->node[best].calls, (int)(2 * depth), "",
			safe(p->func[p->node[best].func].name, name, sizeof(name)));
		print_below(f, p, best, depth + 1);
	}
}

void profile_print_tree(FILE *f, const struct profile *p)
{
	fprintf(f, "%10s  %10s  %8s  %s\n", "total", "self", "calls", "function");
	if (p->nr_nodes)
		print_below(f, p, 0, 0);
}
