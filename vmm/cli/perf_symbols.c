/*
 * Symbols of the guest kernel in the form of Linux's /proc/kallsyms, for
 *
 *   perf kvm --guest --guestkallsyms=DIR/guest.kallsyms --guestmodules=DIR/guest.modules record ...
 *
 * A line is "%016x TYPE NAME", by rising address. perf takes the reference for relocation from a
 * symbol _text or _stext and looks for one of them by name: _stext is put in front when the kernel
 * has neither. Names with blanks or tabs would end the line's format (a tab separates the module):
 * they are left out. So are all but the first of several names of one address and type, and names
 * that come twice: perf resolves an address to one name, and a name to one address.
 */
#include "cli/perf_symbols.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "report/report.h"

static bool is_code(char type)
{
	return type == 't' || type == 'T';
}

static bool plain(const char *name)
{
	for (const unsigned char *c = (const unsigned char *)name; *c; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return false;
	return *name != 0;
}

static int by_name(const void *a, const void *b)
{
	const struct symtab_symbol *x = *(const struct symtab_symbol *const *)a,
				   *y = *(const struct symtab_symbol *const *)b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->addr > y->addr) - (x->addr < y->addr);
}

static int emit(FILE *f, const void *arg)
{
	const struct symtab *symbols = arg;
	struct symtab_symbol *all = NULL, **names = NULL, s;
	size_t nr = 0, kept = 0, n;
	uint64_t start = 0;
	int rc = -ENOMEM;

	while (symtab_at(symbols, nr, &s))
		nr++;
	all = calloc(nr + 1, sizeof(*all));
	names = calloc(nr + 1, sizeof(*names));
	if (!all || !names)
		goto out;
	for (size_t i = 0; i < nr; i++) {
		symtab_at(symbols, i, &s);
		/* The end of a section is no function: it would take the next one's address. */
		if (!plain(s.name) || s.type == 'a' || s.type == 'A')
			continue;
		if (is_code(s.type) && !start)
			start = s.addr;
		/* of several at one address, one with a size */
		if (kept && all[kept - 1].addr == s.addr) {
			if (s.size && !all[kept - 1].size)
				all[kept - 1] = s;
			continue;
		}
		all[kept++] = s;
	}
	for (size_t i = 0; i < kept; i++)
		names[i] = &all[i];
	qsort(names, kept, sizeof(*names), by_name);
	for (size_t i = 1; i < kept; i++)
		if (!strcmp(names[i]->name, names[i - 1]->name))
			names[i]->type = 0;
	for (n = 0; n < kept; n++)
		if (all[n].addr == start && start && !symtab_lookup(symbols, "_stext") &&
		    !symtab_lookup(symbols, "_text"))
			break;
	for (size_t i = 0; i < kept; i++) {
		if (i == n)
			fprintf(f, "%016" PRIx64 " T _stext\n", all[i].addr);
		if (all[i].type)
			fprintf(f, "%016" PRIx64 " %c %s\n", all[i].addr, all[i].type, all[i].name);
	}
	rc = ferror(f) ? -EIO : kept ? 0 : -ENOENT;
out:
	free(all);
	free(names);
	return rc;
}

static int emit_nothing(FILE *f, const void *arg)
{
	return ferror(f) ? -EIO : 0;
}

int perf_symbols_write(const char *dir, const char *elf_path, struct mmvm_error *err)
{
	struct symtab *symbols = symtab_load(elf_path);
	char path[4096];
	int rc;

	if (!symbols)
		return mmvm_error(err, MMVM_EXIT_USAGE, "%s has no symbols", elf_path);
	snprintf(path, sizeof(path), "%s/guest.kallsyms", dir);
	rc = report_write_file_atomic(path, emit, symbols);
	if (!rc) {
		snprintf(path, sizeof(path), "%s/guest.modules", dir);
		rc = report_write_file_atomic(path, emit_nothing, NULL);
	}
	symtab_free(symbols);
	return rc ? mmvm_error(err, MMVM_EXIT_FAILED, "cannot write %s: %s", path, strerror(-rc))
		  : 0;
}
