/*
 * Boot options: what the command line says that nobody asks for is named in the log, so that a
 * misspelt option does not look as if it did something.
 *
 * Whoever looks for an option tells its name; all do so during boot, whether the option is there or
 * not. So there is no list of options to keep.
 */
#include "lib/env.h"
#include "kernel/boot_info.h"
#include "lib/string.h"

#define MAX_OPTIONS 64

/* Boot: one thread. */
static const char *asked[MAX_OPTIONS];
static unsigned int nr_asked;

void boot_option_asked(const char *name)
{
	for (unsigned int i = 0; i < nr_asked; i++) {
		if (!strcmp(asked[i], name))
			return;
	}
	if (nr_asked < MAX_OPTIONS)
		asked[nr_asked++] = name;
}

static bool is_known(const char *word, size_t len)
{
	for (unsigned int i = 0; i < nr_asked; i++) {
		size_t n = strlen(asked[i]);

		if (len >= n && !strncmp(word, asked[i], n) && (len == n || word[n] == '='))
			return true;
	}
	return nr_asked == MAX_OPTIONS;
}

void boot_options_report(void)
{
	static char unknown[256];
	size_t used = 0;

	for (const char *p = boot_info.cmdline ? boot_info.cmdline : ""; *p;) {
		size_t len = 0;

		while (p[len] && p[len] != ' ')
			len++;
		if (len && !is_known(p, len) && used + len + 2 < sizeof(unknown)) {
			if (used)
				unknown[used++] = ' ';
			memcpy(unknown + used, p, len);
			used += len;
		}
		p += len;
		while (*p == ' ')
			p++;
	}
	if (used)
		printk("Unknown kernel command line parameters \"%s\"\n", unknown);
}
