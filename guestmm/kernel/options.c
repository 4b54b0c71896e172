/*
 * Boot options: an option that no code reads is reported in the log, so that a misspelt one is not silently
 * ignored.
 *
 * Code that looks for an option passes its name to boot_option_asked(), whether or not the option is given. All of it
 * does so during boot, so at the end the asked names are the list of known options.
 */
#include "lib/env.h"
#include "kernel/boot_info.h"
#include "lib/format.h"
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

static void print_unknown(char *words, size_t used)
{
	words[used] = 0;
	printk("Unknown kernel command line parameters \"%s\"\n", words);
}

bool boot_option_is_on(const char *name, const char *value)
{
	bool on = true;

	if (*value && parse_bool(value, &on)) {
		printk("%s=%s: neither on nor off, ignored\n", name, value);
		return false;
	}
	return on;
}

/* One printk() line has room for the options collected here; more options take more lines. */
void boot_options_report(void)
{
	static char unknown[256];
	size_t used = 0;

	for (const char *p = boot_info.cmdline ? boot_info.cmdline : ""; *p;) {
		size_t len = 0, n;

		while (p[len] && p[len] != ' ')
			len++;
		n = min(len, sizeof(unknown) - 1);
		if (n && !is_known(p, len)) {
			if (used && used + 1 + n >= sizeof(unknown)) {
				print_unknown(unknown, used);
				used = 0;
			}
			if (used)
				unknown[used++] = ' ';
			memcpy(unknown + used, p, n);
			used += n;
		}
		p += len;
		while (*p == ' ')
			p++;
	}
	if (used)
		print_unknown(unknown, used);
}
