/*
 * A guest kernel for tests, made in memory: one ELF file of one loadable segment at 1 MiB, entered
 * at its start through its kernel-half address, with the contract's note. Tests damage it field by
 * field.
 *
 *   0      ELF header     64   two program headers    0x100  note     0x1000  code
 */
#ifndef VMM_MACHINE_ELF_H
#define VMM_MACHINE_ELF_H

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "mmvm/layout.h"

#define TEST_NOTE_AT 0x100u
#define TEST_CODE_AT 0x1000u

struct test_elf {
	unsigned char *data;
	size_t len;
	char path[64]; /* while written */
	int fd;
};

static inline Elf64_Ehdr *test_elf_header(struct test_elf *e)
{
	return (Elf64_Ehdr *)e->data;
}

static inline Elf64_Phdr *test_elf_segment(struct test_elf *e, unsigned int i)
{
	return (Elf64_Phdr *)(e->data + sizeof(Elf64_Ehdr)) + i;
}

static inline void test_elf_make(struct test_elf *e, const void *code, size_t len)
{
	Elf64_Ehdr *eh;
	Elf64_Phdr *ph;
	Elf64_Nhdr note = {.n_namesz = 5, .n_descsz = 4, .n_type = MMVM_NOTE_CONTRACT};
	uint32_t version = MMVM_CONTRACT_VERSION;

	e->len = TEST_CODE_AT + len;
	e->data = calloc(1, e->len);
	e->fd = -1;
	eh = test_elf_header(e);
	memcpy(eh->e_ident, ELFMAG, SELFMAG);
	eh->e_ident[EI_CLASS] = ELFCLASS64;
	eh->e_ident[EI_DATA] = ELFDATA2LSB;
	eh->e_ident[EI_VERSION] = EV_CURRENT;
	eh->e_type = ET_EXEC;
	eh->e_machine = EM_X86_64;
	eh->e_version = EV_CURRENT;
	eh->e_entry = MMVM_KERNEL_VIRT + MMVM_KERNEL_BASE;
	eh->e_phoff = sizeof(*eh);
	eh->e_ehsize = sizeof(*eh);
	eh->e_phentsize = sizeof(*ph);
	eh->e_phnum = 2;
	ph = test_elf_segment(e, 0);
	ph->p_type = PT_LOAD;
	ph->p_flags = PF_R | PF_W | PF_X;
	ph->p_offset = TEST_CODE_AT;
	ph->p_vaddr = eh->e_entry;
	ph->p_paddr = MMVM_KERNEL_BASE;
	ph->p_filesz = len;
	ph->p_memsz = len + 4096;
	ph = test_elf_segment(e, 1);
	ph->p_type = PT_NOTE;
	ph->p_offset = TEST_NOTE_AT;
	ph->p_filesz = sizeof(note) + 8 + 4;
	memcpy(e->data + TEST_NOTE_AT, &note, sizeof(note));
	memcpy(e->data + TEST_NOTE_AT + sizeof(note), MMVM_NOTE_OWNER, 5);
	memcpy(e->data + TEST_NOTE_AT + sizeof(note) + 8, &version, sizeof(version));
	memcpy(e->data + TEST_CODE_AT, code, len);
}

/** Write the first `len` bytes to a file without a name that can be opened by e->path. */
static inline const char *test_elf_write(struct test_elf *e, size_t len)
{
	if (e->fd < 0)
		e->fd = memfd_create("test-elf", MFD_CLOEXEC);
	if (ftruncate(e->fd, 0) || pwrite(e->fd, e->data, len, 0) != (ssize_t)len)
		abort();
	snprintf(e->path, sizeof(e->path), "/proc/self/fd/%d", e->fd);
	return e->path;
}

static inline void test_elf_free(struct test_elf *e)
{
	free(e->data);
	if (e->fd >= 0)
		close(e->fd);
}

#endif
