/*
 * The tests of a guest ELF, read from its section ".mmvm_tests" without booting it.
 *
 * The file may be anything: every offset is compared with its size before it is used, and each
 * descriptor is checked, because names are printed, matched and passed to the guest.
 */
#include "harness/harness.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTION_NAME ".mmvm_tests"

static bool inside(uint64_t offset, uint64_t len, uint64_t size)
{
	return offset <= size && len <= size - offset;
}

/** "suite.case" of letters, digits, '_' and '-'; a NUL within the field. */
static bool name_ok(const char *name, size_t size)
{
	size_t len = strnlen(name, size);
	const char *dot = memchr(name, '.', len);

	if (len == size || !dot || dot == name || dot[1] == '\0')
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '-' || c == '.'))
			return false;
	}
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct mmvm_test_desc *)a)->name,
		      ((const struct mmvm_test_desc *)b)->name);
}

static int check_tests(const struct catalog *c, const char *name, struct mmvm_error *err)
{
	for (unsigned int i = 0; i < c->nr; i++) {
		const struct mmvm_test_desc *t = &c->test[i];

		if (!name_ok(t->name, sizeof(t->name)) ||
		    strnlen(t->args, sizeof(t->args)) == sizeof(t->args))
			return mmvm_error(err, MMVM_EXIT_USAGE, "%s: test descriptor %u is damaged",
					  name, i);
		/* Sorted: twins are neighbours. */
		if (i && !strcmp(t->name, c->test[i - 1].name))
			return mmvm_error(err, MMVM_EXIT_USAGE, "%s: two tests are named %s", name,
					  t->name);
	}
	return 0;
}

int catalog_parse(const unsigned char *file, uint64_t size, const char *name, struct catalog *c,
		  struct mmvm_error *err)
{
	Elf64_Shdr sh, strings;
	Elf64_Ehdr eh;

	memset(c, 0, sizeof(*c));
	if (size < sizeof(eh) || memcmp(file, ELFMAG, SELFMAG))
		return mmvm_error(err, MMVM_EXIT_USAGE, "%s is not an ELF file", name);
	memcpy(&eh, file, sizeof(eh));
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64 ||
	    eh.e_shentsize != sizeof(sh) || eh.e_shstrndx >= eh.e_shnum ||
	    !inside(eh.e_shoff, (uint64_t)eh.e_shnum * sizeof(sh), size))
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "%s is not an x86-64 ELF file with section headers", name);
	memcpy(&strings, file + eh.e_shoff + eh.e_shstrndx * sizeof(sh), sizeof(sh));
	if (!inside(strings.sh_offset, strings.sh_size, size))
		return mmvm_error(err, MMVM_EXIT_USAGE, "%s: section names lie outside the file",
				  name);
	for (unsigned int i = 0; i < eh.e_shnum; i++) {
		memcpy(&sh, file + eh.e_shoff + i * sizeof(sh), sizeof(sh));
		if (!inside(sh.sh_name, sizeof(SECTION_NAME), strings.sh_size) ||
		    memcmp(file + strings.sh_offset + sh.sh_name, SECTION_NAME,
			   sizeof(SECTION_NAME)))
			continue;
		if (sh.sh_type == SHT_NOBITS || !inside(sh.sh_offset, sh.sh_size, size) ||
		    sh.sh_size % sizeof(struct mmvm_test_desc) ||
		    sh.sh_size / sizeof(struct mmvm_test_desc) > CATALOG_MAX)
			return mmvm_error(err, MMVM_EXIT_USAGE, "%s: section %s is damaged", name,
					  SECTION_NAME);
		c->nr = (unsigned int)(sh.sh_size / sizeof(struct mmvm_test_desc));
		c->test = malloc(sh.sh_size ? sh.sh_size : 1);
		if (!c->test)
			return mmvm_error(err, MMVM_EXIT_HOST, "out of memory");
		memcpy(c->test, file + sh.sh_offset, sh.sh_size);
		/* Names are sorted as strings before they are checked to be some. */
		for (unsigned int t = 0; t < c->nr; t++)
			if (memchr(c->test[t].name, '\0', sizeof(c->test[t].name)) == NULL) {
				catalog_free(c);
				return mmvm_error(err, MMVM_EXIT_USAGE,
						  "%s: test descriptor %u is damaged", name, t);
			}
		qsort(c->test, c->nr, sizeof(*c->test), by_name);
		if (check_tests(c, name, err)) {
			catalog_free(c);
			return -1;
		}
		return 0;
	}
	return mmvm_error(err, MMVM_EXIT_USAGE, "%s holds no guest tests (no section %s)", name,
			  SECTION_NAME);
}

int catalog_load(const char *elf_path, struct catalog *c, struct mmvm_error *err)
{
	int fd = open(elf_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret;
	struct stat st;
	void *file;

	if (fd < 0)
		return mmvm_error(err, MMVM_EXIT_USAGE, "cannot open kernel %s: %s%s", elf_path,
				  strerror(errno),
				  errno == ENOENT ? " (build it with `make`, or name one with "
						    "--kernel)"
						  : "");
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size == 0) {
		close(fd);
		return mmvm_error(err, MMVM_EXIT_USAGE, "%s is not a regular file with content",
				  elf_path);
	}
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (file == MAP_FAILED)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot map %s: %s", elf_path,
				  strerror(errno));
	ret = catalog_parse(file, (uint64_t)st.st_size, elf_path, c, err);
	munmap(file, (size_t)st.st_size);
	return ret;
}

void catalog_free(struct catalog *c)
{
	free(c->test);
	memset(c, 0, sizeof(*c));
}

bool catalog_match(const char *name, const char *pattern)
{
	if (strpbrk(pattern, "*?["))
		return fnmatch(pattern, name, 0) == 0;
	return strstr(name, pattern) != NULL;
}
