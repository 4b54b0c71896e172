/*
 * The machine's parts that need no KVM: ELF loader and symbols against damaged files, the initrd
 * writer, disk files, the page-table walk against hostile tables, the bounded console and record
 * stores, and the parsing of sizes.
 */
#include <CUnit/Basic.h>
#include <CUnit/TestRun.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "cli/cli.h"
#include "devices/devices.h"
#include "machine/cpio.h"
#include "machine/internal.h"
#include "../host/unit.h"
#include "vmm_machine_elf.h"

#define RAM_SIZE (2ull << 20)

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/** A machine of RAM only, exactly as large as its allocation, so that ASan sees a byte too much. */
static struct machine *ram_machine(void)
{
	struct machine *m = calloc(1, sizeof(*m));

	m->config.ram_low = RAM_SIZE;
	m->config.console_fd = -1;
	m->ram.nr = 1;
	m->ram.region[0] = (struct guest_ram_region){.size = RAM_SIZE, .hva = calloc(1, RAM_SIZE)};
	m->shared = calloc(1, MMVM_SHARED_SIZE);
	pthread_mutex_init(&m->record_lock, NULL);
	machine_record_init(m, NULL);
	return m;
}

static void ram_machine_free(struct machine *m)
{
	machine_record_destroy(m);
	free(m->ram.region[0].hva);
	free(m->shared);
	free(m);
}

/* ---- ELF ------------------------------------------------------------------------------------- */

static const unsigned char code[64] = {0xf4, 0xeb, 0xfd};

static int load(struct machine *m, struct test_elf *e, struct mmvm_error *err)
{
	memset(err, 0, sizeof(*err));
	m->kernel_end = 0;
	return machine_load_elf(m, test_elf_write(e, e->len), err);
}

static void test_elf_good(void)
{
	struct machine *m = ram_machine();
	struct test_elf e;
	struct mmvm_error err;

	test_elf_make(&e, code, sizeof(code));
	memset(m->ram.region[0].hva, 0xaa, RAM_SIZE);
	CU_ASSERT_EQUAL(load(m, &e, &err), 0);
	CU_ASSERT_EQUAL(m->entry, 0xffffffff80100000ull);
	CU_ASSERT_EQUAL(m->kernel_end, MMVM_KERNEL_BASE + sizeof(code) + 4096);
	CU_ASSERT(!memcmp(m->ram.region[0].hva + MMVM_KERNEL_BASE, code, sizeof(code)));
	/* bss is cleared, what lies behind is not touched */
	CU_ASSERT_EQUAL(m->ram.region[0].hva[MMVM_KERNEL_BASE + sizeof(code) + 4095], 0);
	CU_ASSERT_EQUAL(m->ram.region[0].hva[MMVM_KERNEL_BASE + sizeof(code) + 4096], 0xaa);
	test_elf_free(&e);
	ram_machine_free(m);
}

/** Damage one field, expect the sentence to hold `word`. */
#define EXPECT_BAD(change, word)                                           \
	do {                                                               \
		struct test_elf e;                                         \
		Elf64_Ehdr *eh;                                            \
		Elf64_Phdr *ph;                                            \
                                                                           \
		test_elf_make(&e, code, sizeof(code));                     \
		eh = test_elf_header(&e);                                  \
		ph = test_elf_segment(&e, 0);                              \
		(void)eh;                                                  \
		(void)ph;                                                  \
		change;                                                    \
		CU_ASSERT_EQUAL(load(m, &e, &err), -1);                    \
		CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);              \
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, word));            \
		if (!strstr(err.text, word))                               \
			printf("expected '%s' in '%s'\n", word, err.text); \
		test_elf_free(&e);                                         \
	} while (0)

static void test_elf_bad(void)
{
	struct machine *m = ram_machine();
	struct mmvm_error err;

	EXPECT_BAD(e.data[0] = 0, "not an ELF file");
	EXPECT_BAD(eh->e_ident[EI_CLASS] = ELFCLASS32, "64-bit");
	EXPECT_BAD(eh->e_machine = EM_AARCH64, "x86-64");
	EXPECT_BAD(eh->e_type = ET_DYN, "static executable");
	EXPECT_BAD(eh->e_phnum = 0, "program headers");
	EXPECT_BAD(eh->e_phnum = 1000, "program headers");
	EXPECT_BAD(eh->e_phoff = ~0ull, "outside the file");
	EXPECT_BAD(ph->p_offset = ~0ull - 10, "past the end");
	EXPECT_BAD(ph->p_filesz = ph->p_memsz = 1ull << 40, "past the end");
	EXPECT_BAD(ph->p_memsz = 1, "above its memory size");
	EXPECT_BAD(ph->p_memsz = ~0ull, "larger --memory");
	EXPECT_BAD(ph->p_paddr = RAM_SIZE - 64, "larger --memory");
	EXPECT_BAD(ph->p_paddr = ~0ull - 64, "larger --memory");
	EXPECT_BAD(ph->p_paddr = 0x2000, "below 1 MiB");
	EXPECT_BAD(ph->p_flags = PF_R, "entry point");
	EXPECT_BAD(eh->e_entry = 0x1000, "entry point");
	EXPECT_BAD(e.data[TEST_NOTE_AT + 12] = 'x', "contract note");
	EXPECT_BAD(test_elf_segment(&e, 1)->p_type = PT_NULL, "contract note");
	EXPECT_BAD(e.data[TEST_NOTE_AT + 20] = 99, "contract version 99");
	EXPECT_BAD(e.len = 10, "shorter than an ELF header");
	CU_ASSERT_EQUAL(machine_load_elf(m, "/nonexistent", &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "No such file"));
	CU_ASSERT_EQUAL(machine_load_elf(m, "/dev/null", &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "not a regular file"));
	ram_machine_free(m);
}

/** Whatever the bytes: an answer, and no byte outside RAM. */
static void test_elf_random(void)
{
	struct machine *m = ram_machine();
	struct mmvm_error err;
	unsigned int loaded = 0, refused = 0;

	for (unsigned int i = 0; i < 3000; i++) {
		struct test_elf e;

		test_elf_make(&e, code, sizeof(code));
		for (unsigned int n = 1 + random_u64() % 4; n--;) {
			size_t at = random_u64() % (i % 2 ? 0x130 : 0xb0);

			e.data[at] = (unsigned char)random_u64();
		}
		if (i % 5 == 0)
			e.len = random_u64() % (e.len + 1);
		if (load(m, &e, &err))
			refused++;
		else
			loaded++;
		test_elf_free(&e);
	}
	CU_ASSERT(loaded > 10);
	CU_ASSERT(refused > 1000);
	ram_machine_free(m);
}

/* ---- symbols --------------------------------------------------------------------------------- */

static void test_symbols(void)
{
	struct symtab *s = symtab_load("/proc/self/exe");
	uint64_t a, b;
	char buf[64];

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	a = symtab_lookup(s, "main");
	b = symtab_lookup(s, "machine_load_elf");
	CU_ASSERT(a && b && a != b);
	CU_ASSERT_STRING_EQUAL(symtab_name(s, b, buf, sizeof(buf)), "machine_load_elf");
	CU_ASSERT_STRING_EQUAL(symtab_name(s, b + 5, buf, sizeof(buf)), "machine_load_elf+0x5");
	CU_ASSERT_STRING_EQUAL(symtab_name(s, ~0ull, buf, sizeof(buf)), "0xffffffffffffffff");
	CU_ASSERT_STRING_EQUAL(symtab_name(NULL, 0x10, buf, sizeof(buf)), "0x10");
	CU_ASSERT_EQUAL(symtab_lookup(s, "no such symbol"), 0);
	CU_ASSERT_PTR_NULL(symtab_load("/dev/null"));
	CU_ASSERT_PTR_NULL(symtab_load("/nonexistent"));
	symtab_free(s);
}

/** A small ELF with a symbol table, damaged at random: names or none, never a fault. */
static void test_symbols_random(void)
{
	struct test_elf e;
	Elf64_Shdr *sh;
	Elf64_Sym *sym;
	unsigned char base[512] = {0};
	char buf[64];
	unsigned int good = 0;

	/* In the segment: sections at 0, symbols at 0xc0, strings at 0x120. */
	sh = (Elf64_Shdr *)base;
	sh[1] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
			     .sh_offset = TEST_CODE_AT + 0xc0,
			     .sh_size = 3 * sizeof(*sym),
			     .sh_link = 2};
	sh[2] = (Elf64_Shdr){
		.sh_type = SHT_STRTAB, .sh_offset = TEST_CODE_AT + 0x120, .sh_size = 16};
	sym = (Elf64_Sym *)(base + 0xc0);
	sym[1] = (Elf64_Sym){.st_name = 1, .st_shndx = 1, .st_value = 0x1000, .st_size = 16};
	sym[2] = (Elf64_Sym){.st_name = 5, .st_shndx = 1, .st_value = 0x1010};
	memcpy(base + 0x121, "one\0two", 8);
	for (unsigned int i = 0; i < 3000; i++) {
		struct symtab *s;

		test_elf_make(&e, base, sizeof(base));
		test_elf_header(&e)->e_shoff = TEST_CODE_AT;
		test_elf_header(&e)->e_shnum = 3;
		test_elf_header(&e)->e_shentsize = sizeof(Elf64_Shdr);
		for (unsigned int n = i ? random_u64() % 4 : 0; n--;)
			e.data[(random_u64() & 1 ? 0x20 : TEST_CODE_AT) + random_u64() % 0x130] =
				(unsigned char)random_u64();
		s = symtab_load(test_elf_write(&e, e.len));
		if (s && !strcmp(symtab_name(s, 0x1011, buf, sizeof(buf)), "two+0x1"))
			good++;
		if (i == 0)
			CU_ASSERT_EQUAL(good, 1);
		symtab_free(s);
		test_elf_free(&e);
	}
	CU_ASSERT(good > 100 && good < 3000);
}

/* ---- initrd ---------------------------------------------------------------------------------- */

static unsigned long hex8(const unsigned char *p)
{
	char text[9] = {0};

	memcpy(text, p, 8);
	return strtoul(text, NULL, 16);
}

static void test_cpio(void)
{
	static const char *const names[] = {"bin", "bin/a", "bin/empty", "TRAILER!!!"};
	static const char *const data[] = {"", "hello", "", ""};
	struct mmvm_error err = {0};
	struct cpio c = {0};
	size_t at = 0;

	CU_ASSERT_EQUAL(cpio_add(&c, "bin", NULL, 0), 0);
	CU_ASSERT_EQUAL(cpio_add(&c, "bin/a", "hello", 5), 0);
	CU_ASSERT_EQUAL(cpio_add(&c, "bin/empty", "", 0), 0);
	CU_ASSERT_EQUAL(cpio_add_file(&c, "bin/x", "/nonexistent", &err), -1);
	CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);
	CU_ASSERT_EQUAL(cpio_add_file(&c, "bin/x", "/dev", &err), -1);
	CU_ASSERT_EQUAL(cpio_finish(&c), 0);
	for (unsigned int i = 0; i < 4; i++) {
		const unsigned char *h = c.data + at;

		CU_ASSERT_FATAL(at + 110 <= c.len);
		CU_ASSERT(!memcmp(h, "070701", 6));
		CU_ASSERT_STRING_EQUAL(h + 110, names[i]);
		CU_ASSERT_EQUAL(hex8(h + 94), strlen(names[i]) + 1);
		CU_ASSERT_EQUAL(hex8(h + 54), strlen(data[i]));
		at = (at + 110 + strlen(names[i]) + 1 + 3) & ~3ul;
		CU_ASSERT(!memcmp(c.data + at, data[i], strlen(data[i])));
		at = (at + strlen(data[i]) + 3) & ~3ul;
	}
	CU_ASSERT_EQUAL(at, c.len);
	cpio_free(&c);
}

/* ---- disks ----------------------------------------------------------------------------------- */

static void test_disk_temp(void)
{
	struct disk_config d = {.role = "swap", .size = (1ull << 20) + 100, .format_swap = true};
	struct mmvm_error err = {0};
	unsigned char page[4096];
	uint32_t version_last_bad[3];
	uint64_t size = 0;
	struct stat st;
	int fd = machine_disk_open(&d, &size, &err);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_EQUAL(st.st_nlink, 0); /* nothing is left behind, whatever happens */
	CU_ASSERT_EQUAL(size, d.size);
	CU_ASSERT_EQUAL(pread(fd, page, sizeof(page), 0), 4096);
	memcpy(version_last_bad, page + 1024, sizeof(version_last_bad));
	CU_ASSERT_EQUAL(version_last_bad[0], 1);
	CU_ASSERT_EQUAL(version_last_bad[1], 255);
	CU_ASSERT_EQUAL(version_last_bad[2], 0);
	CU_ASSERT(!memcmp(page + 4086, "SWAPSPACE2", 10));
	close(fd);

	d.size = 4096;
	CU_ASSERT_EQUAL(machine_disk_open(&d, &size, &err), -1);
	CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);
}

static void test_disk_file(void)
{
	char path[] = "/tmp/mmvm-test-XXXXXX";
	struct disk_config d = {.role = "swap", .path = path, .format_swap = true};
	struct mmvm_error err = {0};
	uint64_t size = 0;
	int fd = mkstemp(path), a, b;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(machine_disk_open(&d, &size, &err), -1); /* empty */
	CU_ASSERT_EQUAL(ftruncate(fd, 1 << 20), 0);
	a = machine_disk_open(&d, &size, &err); /* zeroes: formatted */
	CU_ASSERT(a >= 0);
	b = machine_disk_open(&d, &size, &err); /* locked by the first */
	CU_ASSERT_EQUAL(b, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "in use"));
	close(a);
	a = machine_disk_open(&d, &size, &err); /* a swap area now: taken as it is */
	CU_ASSERT(a >= 0);
	CU_ASSERT_EQUAL(size, 1 << 20);
	close(a);
	CU_ASSERT_EQUAL(pwrite(fd, "precious", 8, 0), 8);
	CU_ASSERT_EQUAL(pwrite(fd, "no swap...", 10, 4086), 10);
	CU_ASSERT_EQUAL(machine_disk_open(&d, &size, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "mkswap"));
	close(fd);
	unlink(path);

	/* A file to be made that does not fit is not left half made. */
	{
		struct rlimit old, small = {.rlim_cur = 65536};

		getrlimit(RLIMIT_FSIZE, &old);
		small.rlim_max = old.rlim_max;
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &small);
		d.size = 1 << 20;
		CU_ASSERT_EQUAL(machine_disk_open(&d, &size, &err), -1);
		CU_ASSERT_EQUAL(err.status, MMVM_EXIT_HOST);
		setrlimit(RLIMIT_FSIZE, &old);
		CU_ASSERT_EQUAL(access(path, F_OK), -1);
	}
	a = machine_disk_open(&d, &size, &err);
	CU_ASSERT(a >= 0);
	CU_ASSERT_EQUAL(size, 1 << 20);
	close(a);
	unlink(path);
	d.path = "/dev";
	CU_ASSERT_EQUAL(machine_disk_open(&d, &size, &err), -1);
}

/* ---- page-table walk ------------------------------------------------------------------------- */

#define P  1ull
#define PS (1ull << 7)
#define NX (1ull << 63)

static void test_walk(void)
{
	struct machine *m = ram_machine();
	uint64_t *t = (uint64_t *)m->ram.region[0].hva; /* tables from page 0: t[page * 512 + i] */
	uint64_t gpa, word = 0;
	char text[32];

	t[0 * 512 + 0] = 0x1000 | P;
	t[1 * 512 + 0] = 0x2000 | P;
	t[2 * 512 + 0] = 0x3000 | P;
	t[2 * 512 + 1] = 0x0 | P | PS;	  /* 2 MiB page at GVA 2 MiB -> 0 */
	t[1 * 512 + 1] = 0x0 | P | PS;	  /* 1 GiB page at GVA 1 GiB -> 0 */
	t[3 * 512 + 5] = 0x8000 | P | NX; /* 4 KiB pages: 5 -> 8, 6 -> 10 */
	t[3 * 512 + 6] = 0xa000 | P;
	t[3 * 512 + 7] = MMVM_SHARED_BASE | P;
	t[3 * 512 + 8] = 0xd0000000ull | P; /* a device */
	t[0 * 512 + 256] = 0x0 | P;	    /* a table that is itself: still four steps */
	t[0 * 512 + 1] = 0x40000000ull | P; /* a table outside RAM */
	/* CR3 0 means vCPU 0's, and there is none; so the root stands at page 4 as well. */
	CU_ASSERT_EQUAL(machine_translate(m, 0, 0x5123, &gpa), -EFAULT);
	memmove(t + 4 * 512, t, 4096);
	CU_ASSERT_EQUAL(machine_translate(m, 0x4000, 0x5123, &gpa), 0);
	CU_ASSERT_EQUAL(gpa, 0x8123);
	CU_ASSERT_EQUAL(machine_translate(m, 0x4000, (2ull << 20) + 0x4321, &gpa), 0);
	CU_ASSERT_EQUAL(gpa, 0x4321);
	CU_ASSERT_EQUAL(machine_translate(m, 0x4000, (1ull << 30) + 0x123456, &gpa), 0);
	CU_ASSERT_EQUAL(gpa, 0x123456);
	CU_ASSERT_EQUAL(machine_translate(m, 0x4000, 0x4000, &gpa), -EFAULT);
	CU_ASSERT_EQUAL(machine_translate(m, 0x4000, 1ull << 39, &gpa), -EFAULT);
	CU_ASSERT_EQUAL(machine_translate(m, 0x4000, 1ull << 47, &gpa), -EFAULT);
	CU_ASSERT_EQUAL(machine_translate(m, 0x4000, ~0ull << 47, &gpa), 0);
	CU_ASSERT_EQUAL(machine_translate(m, 0x000ffffffffff000ull, 0x5123, &gpa), -EFAULT);

	memcpy((char *)t + 0x8ff0, "across the page", 16);
	memcpy((char *)t + 0xa000, " boundary", 10);
	memcpy(m->shared, "shared", 7);
	CU_ASSERT_EQUAL(machine_read_virt(m, 0x4000, 0x5ff0, text, 26), 0);
	CU_ASSERT(!memcmp(text, "across the page\0 boundary", 26));
	CU_ASSERT_EQUAL(machine_read_virt(m, 0x4000, 0x7000, text, 7), 0);
	CU_ASSERT_STRING_EQUAL(text, "shared");
	CU_ASSERT_EQUAL(machine_read_virt(m, 0x4000, 0x8000, &word, 8), -EFAULT);
	CU_ASSERT_EQUAL(machine_read_virt(m, 0x4000, 0x4ffc, &word, 8), -EFAULT);
	CU_ASSERT_EQUAL(machine_read_virt(m, 0x4000, ~0ull - 3, &word, 8), -EFAULT);
	/* The large page maps more than there is RAM. */
	CU_ASSERT_EQUAL(machine_read_virt(m, 0x4000, (1ull << 30) + RAM_SIZE, &word, 8), -EFAULT);
	ram_machine_free(m);
}

/* ---- console and records
 * --------------------------------------------------------------------------- */

static void test_console(void)
{
	struct machine *m = ram_machine();
	uint64_t pos = 0, early = 0, seen = 0;
	char line[64], buf[1000];
	const char *text;
	size_t len, n;

	for (unsigned int i = 0; i < 400000; i++) {
		machine_console_write(m, line,
				      (size_t)snprintf(line, sizeof(line), "line %u\n", i));
		if (i == 10)
			while ((n = machine_console_read(m, &early, buf, sizeof(buf))))
				seen += n;
	}
	CU_ASSERT_EQUAL(seen, 10 * 7 + 8);
	text = machine_console(m, &len);
	CU_ASSERT_EQUAL(len, MACHINE_CONSOLE_MAX);
	CU_ASSERT_EQUAL(strlen(text), len);
	CU_ASSERT_STRING_EQUAL(text + len - 12, "line 399999\n");
	/* A reader that was away for long gets what is kept, and its end. */
	seen = 0;
	while ((n = machine_console_read(m, &pos, buf, sizeof(buf)))) {
		seen += n;
		memcpy(line, buf + (n > 12 ? n - 12 : 0), n > 12 ? 12 : n);
	}
	CU_ASSERT(seen >= MACHINE_CONSOLE_MAX && seen <= 2 * (uint64_t)MACHINE_CONSOLE_MAX);
	/* One write larger than everything. */
	{
		char *big = malloc(3 * (size_t)MACHINE_CONSOLE_MAX);

		memset(big, 'x', 3 * (size_t)MACHINE_CONSOLE_MAX);
		big[3 * (size_t)MACHINE_CONSOLE_MAX - 1] = 'y';
		machine_console_write(m, big, 3 * (size_t)MACHINE_CONSOLE_MAX);
		text = machine_console(m, &len);
		CU_ASSERT_EQUAL(len, MACHINE_CONSOLE_MAX);
		CU_ASSERT_EQUAL(text[len - 1], 'y');
		free(big);
	}
	ram_machine_free(m);
}

static void test_records(void)
{
	struct machine *m = ram_machine();
	struct mmvm_record *rec = calloc(1, sizeof(*rec) + 1000 + 1);

	rec->kind = MMVM_REC_REPORT;
	rec->text_len = 1000;
	memset(rec->text, 'r', 1000);
	for (uint64_t i = 0; i < 100000; i++) {
		rec->value = i;
		machine_testchan_ops.on_record(m, rec);
	}
	CU_ASSERT(machine_records_dropped(m) > 0);
	CU_ASSERT(machine_records_dropped(m) < 100000);
	CU_ASSERT_EQUAL(machine_record(m, 7)->value, 7);
	CU_ASSERT_EQUAL(strlen(machine_record(m, 7)->text), 1000);
	CU_ASSERT_PTR_NULL(machine_record(m, (unsigned int)(100000 - machine_records_dropped(m))));
	CU_ASSERT_PTR_NOT_NULL(
		machine_record(m, (unsigned int)(100000 - machine_records_dropped(m)) - 1));
	free(rec);
	ram_machine_free(m);
}

/* ---- command line
 * --------------------------------------------------------------------------------- */

static void test_sizes(void)
{
	static const char *const bad[] = {"",	"M",	"48Q", " 1",   "1 ",	"-1",
					  "+1", "0x10", "4MM", "1.5G", "1,000", "10BB"};
	uint64_t v = 0, low, high;
	struct mmvm_error err;
	enum accel accel;

	CU_ASSERT(!cli_parse_size("4096", &v) && v == 4096);
	CU_ASSERT(!cli_parse_size("0", &v) && v == 0);
	CU_ASSERT(!cli_parse_size("48M", &v) && v == 48ull << 20);
	CU_ASSERT(!cli_parse_size("2k", &v) && v == 2048);
	CU_ASSERT(!cli_parse_size("16777215T", &v) && v == 16777215ull << 40);
	CU_ASSERT_EQUAL(cli_parse_size("16777216T", &v), -ERANGE);
	CU_ASSERT_EQUAL(cli_parse_size("99999999999999999999999", &v), -ERANGE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(cli_parse_size(bad[i], &v), -EINVAL);
	CU_ASSERT(!cli_parse_u64("0x1f", 0, 100, &v) && v == 31);
	CU_ASSERT_EQUAL(cli_parse_u64("0x", 0, 100, &v), -EINVAL);
	CU_ASSERT_EQUAL(cli_parse_u64("101", 0, 100, &v), -ERANGE);
	CU_ASSERT_EQUAL(cli_parse_u64("5", 6, 100, &v), -ERANGE);
	CU_ASSERT_EQUAL(cli_parse_u64("-5", 0, ~0ull, &v), -EINVAL);
	CU_ASSERT(!cli_parse_u64("18446744073709551615", 0, ~0ull, &v) && v == ~0ull);

	CU_ASSERT(!cli_parse_memory("48M,high=8M", &low, &high, &err));
	CU_ASSERT(low == 40ull << 20 && high == 8ull << 20);
	CU_ASSERT(!cli_parse_memory("8M", &low, &high, &err));
	CU_ASSERT(low == 8ull << 20 && !high);
	CU_ASSERT(!cli_parse_memory("5G,high=3G", &low, &high, &err));
	CU_ASSERT_EQUAL(cli_parse_memory("1M", &low, &high, &err), -1);
	CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);
	CU_ASSERT_EQUAL(cli_parse_memory("5G", &low, &high, &err), -1);
	CU_ASSERT_EQUAL(cli_parse_memory("48M,high=48M", &low, &high, &err), -1);
	CU_ASSERT_EQUAL(cli_parse_memory("48M,high=49M", &low, &high, &err), -1);
	CU_ASSERT_EQUAL(cli_parse_memory("48M,high", &low, &high, &err), -1);
	CU_ASSERT_EQUAL(cli_parse_memory("48M,low=8M", &low, &high, &err), -1);
	CU_ASSERT_EQUAL(cli_parse_memory("50331649", &low, &high, &err), -1);
	CU_ASSERT(!cli_parse_accel("kvm", &accel, &err) && accel == ACCEL_KVM);
	CU_ASSERT_EQUAL(cli_parse_accel("KVM", &accel, &err), -1);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"a good kernel is loaded where it says", test_elf_good},
		{"each thing wrong with a kernel has its sentence", test_elf_bad},
		{"damaged kernels are answered, not believed", test_elf_random},
		{"symbols by name and address", test_symbols},
		{"damaged symbol tables", test_symbols_random},
		{"initrd", test_cpio},
		{"temporary disk: no name, mkswap's header", test_disk_temp},
		{"a user's disk is locked and never overwritten", test_disk_file},
		{"page-table walk against hostile tables", test_walk},
		{"console keeps its end", test_console},
		{"records are bounded", test_records},
		{"sizes and numbers", test_sizes},
	};

	return unit_run("vmm_machine_files", cases, sizeof(cases) / sizeof(cases[0]));
}
