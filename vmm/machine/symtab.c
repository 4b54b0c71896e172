/*
 * Symbols of the guest kernel: its ELF symbol table, sorted by address, so that a crash's addresses
 * become names and the audit finds its root.
 *
 * Held: an array of (address, size, offset of the name) and the file's string table. A damaged file
 * gives no symbols, never a fault: every offset is checked against the file.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "machine/machine.h"

struct symbol {
	uint64_t addr, size;
	uint32_t name;
	bool text; /* code or data with a size: a candidate for naming an address */
	char type; /* as nm prints it */
};

struct symtab {
	struct symbol *sym; /* by address */
	size_t nr;
	char *str;
	size_t str_len; /* str[str_len - 1] is NUL */
};

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	/* Of several names of one address, those with a size come last and are found first. */
	return (x->size > y->size) - (x->size < y->size);
}

static bool inside(uint64_t offset, uint64_t len, uint64_t size)
{
	return offset <= size && len <= size - offset;
}

/** nm's letter: t code, b zeroed data, d data, r read-only data, a absolute; capital when global. */
static char symbol_type(const Elf64_Sym *sym, const Elf64_Ehdr *eh, const unsigned char *file)
{
	Elf64_Shdr sh;
	char type = 'a';

	if (sym->st_shndx < eh->e_shnum) {
		memcpy(&sh, file + eh->e_shoff + sym->st_shndx * sizeof(sh), sizeof(sh));
		type = sh.sh_flags & SHF_EXECINSTR ? 't'
		       : sh.sh_type == SHT_NOBITS  ? 'b'
		       : sh.sh_flags & SHF_WRITE   ? 'd'
						   : 'r';
	}
	return ELF64_ST_BIND(sym->st_info) == STB_LOCAL ? type : (char)(type - 'a' + 'A');
}

/** Fill `s` from the file image. */
static int symtab_parse(struct symtab *s, const unsigned char *file, uint64_t size)
{
	Elf64_Ehdr eh;
	Elf64_Shdr sh, str;
	uint64_t at, n;

	if (size < sizeof(eh))
		return -ENOEXEC;
	memcpy(&eh, file, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_shentsize != sizeof(sh) ||
	    !inside(eh.e_shoff, (uint64_t)eh.e_shnum * sizeof(sh), size))
		return -ENOEXEC;
	for (unsigned int i = 0; i < eh.e_shnum; i++) {
		memcpy(&sh, file + eh.e_shoff + i * sizeof(sh), sizeof(sh));
		if (sh.sh_type == SHT_SYMTAB)
			break;
	}
	if (!eh.e_shnum || sh.sh_type != SHT_SYMTAB || sh.sh_link >= eh.e_shnum ||
	    !inside(sh.sh_offset, sh.sh_size, size))
		return -ENOENT;
	memcpy(&str, file + eh.e_shoff + sh.sh_link * sizeof(str), sizeof(str));
	if (str.sh_type != SHT_STRTAB || !str.sh_size || !inside(str.sh_offset, str.sh_size, size))
		return -ENOEXEC;
	n = sh.sh_size / sizeof(Elf64_Sym);
	s->sym = calloc(n ? n : 1, sizeof(*s->sym));
	s->str = malloc(str.sh_size);
	if (!s->sym || !s->str)
		return -ENOMEM;
	memcpy(s->str, file + str.sh_offset, str.sh_size);
	s->str_len = str.sh_size;
	s->str[s->str_len - 1] = 0;
	at = sh.sh_offset;
	for (uint64_t i = 0; i < n; i++, at += sizeof(Elf64_Sym)) {
		unsigned int type;
		Elf64_Sym sym;

		memcpy(&sym, file + at, sizeof(sym));
		type = ELF64_ST_TYPE(sym.st_info);
		if (sym.st_shndx == SHN_UNDEF || sym.st_name >= s->str_len || type == STT_SECTION ||
		    type == STT_FILE || !s->str[sym.st_name])
			continue;
		s->sym[s->nr++] = (struct symbol){
			.addr = sym.st_value,
			.size = sym.st_size,
			.name = sym.st_name,
			.text = sym.st_shndx != SHN_ABS,
			.type = symbol_type(&sym, &eh, file),
		};
	}
	qsort(s->sym, s->nr, sizeof(*s->sym), by_address);
	return 0;
}

struct symtab *symtab_load(const char *elf_path)
{
	struct symtab *s = NULL;
	struct stat st;
	void *file;
	int fd = open(elf_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0)
		goto out;
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED)
		goto out;
	s = calloc(1, sizeof(*s));
	if (s && symtab_parse(s, file, (uint64_t)st.st_size)) {
		symtab_free(s);
		s = NULL;
	}
	munmap(file, (size_t)st.st_size);
out:
	close(fd);
	return s;
}

void symtab_free(struct symtab *s)
{
	if (!s)
		return;
	free(s->sym);
	free(s->str);
	free(s);
}

const char *symtab_name(const struct symtab *s, uint64_t addr, char *buf, size_t size)
{
	size_t lo = 0, hi = s ? s->nr : 0;

	/* lo: how many symbols lie at or below addr */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->sym[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* A label without a size names what follows up to the next symbol, within reason. */
	for (unsigned int tries = 0; lo-- && tries < 8; tries++) {
		const struct symbol *y = &s->sym[lo];
		uint64_t offset = addr - y->addr;

		if (!y->text || offset >= (y->size ? y->size : 4096))
			continue;
		if (offset)
			snprintf(buf, size, "%s+0x%llx", s->str + y->name,
				 (unsigned long long)offset);
		else
			snprintf(buf, size, "%s", s->str + y->name);
		return buf;
	}
	snprintf(buf, size, "0x%llx", (unsigned long long)addr);
	return buf;
}

uint64_t symtab_lookup(const struct symtab *s, const char *name)
{
	for (size_t i = 0; s && i < s->nr; i++)
		if (!strcmp(s->str + s->sym[i].name, name))
			return s->sym[i].addr;
	return 0;
}

bool symtab_at(const struct symtab *s, size_t i, struct symtab_symbol *out)
{
	if (!s || i >= s->nr)
		return false;
	*out = (struct symtab_symbol){.name = s->str + s->sym[i].name,
				      .addr = s->sym[i].addr,
				      .size = s->sym[i].size,
				      .type = s->sym[i].type};
	return true;
}
