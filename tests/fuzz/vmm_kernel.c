/*
 * libFuzzer target: a kernel's file: ELF, bzImage, and the symbols of an ELF. Nothing outside guest
 * RAM, which has inaccessible pages on both sides, is written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "machine/internal.h"

#define RAM (16u << 20)

static uint8_t *guarded_ram(void)
{
	uint8_t *p = mmap(NULL, RAM + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + 4096, RAM, PROT_READ | PROT_WRITE))
		abort();
	return p + 4096;
}

static void use_symbols(const char *path)
{
	struct symtab *s = symtab_load(path);
	struct symtab_symbol sym;
	char name[64];

	for (size_t i = 0; i < 1000 && symtab_at(s, i, &sym); i++)
		symtab_name(s, sym.addr + 1, name, sizeof(name));
	symtab_lookup(s, "mmvm_audit_root");
	symtab_name(s, 0x100000, name, sizeof(name));
	symtab_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct machine *m;
	static uint8_t *ram;
	static int fd = -1;
	struct mmvm_error err;
	char path[32];

	if (!m) {
		fd = memfd_create("kernel", 0);
		ram = guarded_ram();
		m = calloc(1, sizeof(*m));
	}
	if (!m || ftruncate(fd, 0) || pwrite(fd, bytes, len, 0) != (ssize_t)len)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	memset(m, 0, sizeof(*m));
	m->config.ram_low = m->initrd_top = RAM;
	m->config.cpus = 2;
	m->config.append = "quiet";
	m->config.console_fd = m->sys.fd = m->vm = m->wake_fd = -1;
	m->ram.nr = 1;
	m->ram.region[0] = (struct guest_ram_region){.size = RAM, .hva = ram};
	pthread_mutex_init(&m->record_lock, NULL);
	pthread_mutex_init(&m->outcome_lock, NULL);
	if (machine_kernel_is_linux(path)) {
		if (!machine_load_linux(m, path, &err) && !machine_record_init(m, &err)) {
			machine_build_linux_params(m, &err);
			for (size_t i = 0; i < len && i < 8192; i += 97)
				machine_console_write(m, bytes + i, len - i < 97 ? len - i : 97);
		}
		machine_linux_free(m);
		machine_record_destroy(m);
	} else {
		machine_load_elf(m, path, &err);
		use_symbols(path);
	}
	return 0;
}
