/*
 * Loads the guest kernel: a static 64-bit x86 ELF executable whose segments' physical addresses lie
 * in low RAM above the first MiB, and which carries a note with the contract version it was built
 * against.
 *
 * The file is checked as if it came from a stranger: every offset and size is compared with the
 * file's and with RAM before anything is copied, and each thing that can be wrong has its sentence.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "machine/internal.h"

#define ELF_MAX_PHDRS 32u
#define ELF_MAX_NOTES 65536u

struct elf_file {
	const char *path;
	int fd;
	uint64_t size;
	Elf64_Ehdr eh;
	Elf64_Phdr ph[ELF_MAX_PHDRS];
};

static int bad(struct mmvm_error *err, const struct elf_file *f, const char *why)
{
	return mmvm_error(err, MMVM_EXIT_USAGE, "%s is not a guest kernel: %s", f->path, why);
}

static int read_exact(const struct elf_file *f, void *buf, uint64_t len, uint64_t offset)
{
	uint64_t got = 0;

	if (offset > f->size || len > f->size - offset)
		return -EIO;
	while (got < len) {
		ssize_t n = pread(f->fd, (char *)buf + got, len - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		got += (uint64_t)n;
	}
	return 0;
}

static int check_header(struct elf_file *f, struct mmvm_error *err)
{
	Elf64_Ehdr *eh = &f->eh;

	if (read_exact(f, eh, sizeof(*eh), 0))
		return bad(err, f, "it is shorter than an ELF header");
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG))
		return bad(err, f, "it is not an ELF file");
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB)
		return bad(err, f, "it is not a 64-bit little-endian ELF file");
	if (eh->e_machine != EM_X86_64)
		return bad(err, f, "it is not for x86-64");
	if (eh->e_type != ET_EXEC)
		return bad(err, f,
			   "it is not a static executable (ET_EXEC), but a shared object, a core "
			   "or an object file");
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || !eh->e_phnum || eh->e_phnum > ELF_MAX_PHDRS)
		return bad(err, f, "it has no usable program headers");
	if (read_exact(f, f->ph, eh->e_phnum * sizeof(Elf64_Phdr), eh->e_phoff))
		return bad(err, f, "its program headers lie outside the file");
	return 0;
}

/** Contract version from the note of one PT_NOTE segment, or 0. */
static uint32_t note_version(const struct elf_file *f, const Elf64_Phdr *ph)
{
	unsigned char buf[4096];
	uint64_t len = ph->p_filesz < sizeof(buf) ? ph->p_filesz : sizeof(buf), at = 0;
	uint32_t version;

	if (read_exact(f, buf, len, ph->p_offset))
		return 0;
	while (at + sizeof(Elf64_Nhdr) <= len) {
		uint64_t name, desc, end;
		Elf64_Nhdr nh;

		memcpy(&nh, buf + at, sizeof(nh));
		name = at + sizeof(nh);
		desc = name + (((uint64_t)nh.n_namesz + 3) & ~3ull);
		end = desc + (((uint64_t)nh.n_descsz + 3) & ~3ull);
		if (end > len)
			return 0;
		if (nh.n_type == MMVM_NOTE_CONTRACT && nh.n_namesz == sizeof(MMVM_NOTE_OWNER) &&
		    !memcmp(buf + name, MMVM_NOTE_OWNER, sizeof(MMVM_NOTE_OWNER)) &&
		    nh.n_descsz == sizeof(version)) {
			memcpy(&version, buf + desc, sizeof(version));
			return version;
		}
		at = end;
	}
	return 0;
}

static int check_contract(const struct elf_file *f, struct mmvm_error *err)
{
	uint32_t version = 0;

	for (unsigned int i = 0; i < f->eh.e_phnum && !version; i++)
		if (f->ph[i].p_type == PT_NOTE)
			version = note_version(f, &f->ph[i]);
	if (!version)
		return bad(err, f,
			   "it carries no contract note of mmvm (another kernel, or a program?)");
	if (version != MMVM_CONTRACT_VERSION)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "%s was built for contract version %u, this mmvm has %u: build "
				  "both from one tree",
				  f->path, version, MMVM_CONTRACT_VERSION);
	return 0;
}

static int load_segment(struct machine *m, struct elf_file *f, const Elf64_Phdr *ph,
			struct mmvm_error *err)
{
	uint64_t ram = m->config.ram_low;
	char *to;

	if (ph->p_filesz > ph->p_memsz)
		return bad(err, f, "a segment's file size is above its memory size");
	if (ph->p_offset > f->size || ph->p_filesz > f->size - ph->p_offset)
		return bad(err, f, "a segment reaches past the end of the file");
	if (ph->p_paddr < MMVM_KERNEL_BASE)
		return bad(err, f, "a segment wants memory below 1 MiB");
	if (ph->p_paddr > ram || ph->p_memsz > ram - ph->p_paddr)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "%s needs RAM up to %llu MiB and the machine has %llu MiB below "
				  "4 GiB: choose a larger --memory",
				  f->path,
				  (unsigned long long)((ph->p_paddr + ph->p_memsz) >> 20) + 1,
				  (unsigned long long)(ram >> 20));
	to = guest_ram_ptr(&m->ram, ph->p_paddr, ph->p_memsz);
	if (!to || read_exact(f, to, ph->p_filesz, ph->p_offset))
		return bad(err, f, "a segment cannot be read");
	/* RAM starts as zeroes, but segments may overlap in a strange file. */
	memset(to + ph->p_filesz, 0, ph->p_memsz - ph->p_filesz);
	if (ph->p_paddr + ph->p_memsz > m->kernel_end)
		m->kernel_end = ph->p_paddr + ph->p_memsz;
	return 0;
}

static int load_segments(struct machine *m, struct elf_file *f, struct mmvm_error *err)
{
	uint64_t entry = f->eh.e_entry;
	bool entry_ok = false;

	for (unsigned int i = 0; i < f->eh.e_phnum; i++) {
		const Elf64_Phdr *ph = &f->ph[i];

		if (ph->p_type != PT_LOAD || !ph->p_memsz)
			continue;
		if (load_segment(m, f, ph, err))
			return -1;
		/* The boot tables map physical memory at itself and at MMVM_KERNEL_VIRT. */
		if ((ph->p_flags & PF_X) &&
		    ((entry >= ph->p_paddr && entry - ph->p_paddr < ph->p_memsz) ||
		     (entry - MMVM_KERNEL_VIRT >= ph->p_paddr &&
		      entry - MMVM_KERNEL_VIRT - ph->p_paddr < ph->p_memsz)))
			entry_ok = true;
	}
	if (!entry_ok)
		return bad(err, f, "its entry point lies in no executable segment");
	m->entry = entry;
	return 0;
}

int machine_load_elf(struct machine *m, const char *path, struct mmvm_error *err)
{
	struct elf_file f = {.path = path};
	struct stat st;
	int rc = -1;

	f.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f.fd < 0)
		return mmvm_error(err, MMVM_EXIT_USAGE, "cannot open kernel %s: %s%s", path,
				  strerror(errno),
				  errno == ENOENT ? " (build it with `make`, or name one with "
						    "--kernel)"
						  : "");
	if (fstat(f.fd, &st) || !S_ISREG(st.st_mode)) {
		bad(err, &f, "it is not a regular file");
		goto out;
	}
	f.size = (uint64_t)st.st_size;
	if (check_header(&f, err) || check_contract(&f, err) || load_segments(m, &f, err))
		goto out;
	rc = 0;
out:
	close(f.fd);
	return rc;
}
