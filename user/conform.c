/*
 * Memory calls as Linux answers them: a transcript to compare.
 *
 * conform [FAMILY...]      all families when none is named; --list prints their names
 *
 * Runs unchanged on Linux and on guestmm and prints, for each small case, what every call returned,
 * what the address space looks like afterwards, and which contents survived. Nothing is expected
 * here: the two transcripts are compared with each other, and Linux is right.
 *
 * A case is a line of a small language, one call after the other:
 *
 *   map A N PROT FLAGS    mmap        prot A N PROT         mprotect
 *   unmap A N             munmap      adv A N ADVICE        madvise
 *   remap A OLD NEW FLAGS [TO]        mremap
 *   lock A N  unlock A N  mlock...    core A N              mincore: one digit a page
 *   sync A N FLAGS        msync       lim RESOURCE VALUE    setrlimit, soft limit only
 *   w A V                 write V to the first byte of the page
 *   r A                   read it     cut A                 forget the rest of the case
 *
 * A, N: pages ("3"), bytes ("0x1001"), or, with @, an absolute address or length ("@0x7fff...").
 * Addresses count from the start of a region in the middle of nowhere that each case finds empty.
 * PROT: letters of rwx, or - for none. FLAGS: letters of flag_letters below. Other numbers: decimal
 * or 0x.
 *
 * Families without a script make their cases themselves: every part of a mapping, and random
 * sequences, which print their seed.
 */
#include "rt.h"

#define SYS_read      0
#define SYS_open      2
#define SYS_close     3
#define SYS_mremap    25
#define SYS_msync     26
#define SYS_mincore   27
#define SYS_mlock     149
#define SYS_munlock   150
#define SYS_setrlimit 160
#define SYS_getrlimit 97

#define REGION	     0x100000000000ul
#define REGION_SIZE  (256 * PAGE_SIZE)
#define REGION_PAGES (REGION_SIZE / PAGE_SIZE)

static char maps_text[64 << 10];

/* ---- what the address space looks like ---- */

static long read_maps(void)
{
	long fd = syscall3(SYS_open, (long)"/proc/self/maps", 0, 0), n, len = 0;

	if (is_error(fd))
		return syscall6(MMVM_SYS_REPORT, MMVM_USER_MAPS, (long)"maps", (long)maps_text,
				sizeof(maps_text), 0, 0);
	while ((n = syscall3(SYS_read, fd, (long)(maps_text + len), sizeof(maps_text) - len)) > 0)
		len += n;
	syscall3(SYS_close, fd, 0, 0);
	return n < 0 ? n : len;
}

static const char *parse_hex(const char *s, unsigned long *v)
{
	for (*v = 0;; s++) {
		if (*s >= '0' && *s <= '9')
			*v = *v << 4 | (unsigned long)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			*v = *v << 4 | (unsigned long)(*s - 'a' + 10);
		else
			return s;
	}
}

/* The lines of the region only, in pages from its start: "4-8 rw-p". */
static void print_maps(void)
{
	long len = read_maps();
	const char *p = maps_text, *end = maps_text + (len > 0 ? len : 0);
	bool any = false;

	if (is_error(len)) {
		print("  maps: error %ld\n", len);
		return;
	}
	print("  =");
	while (p < end) {
		unsigned long from, to;
		const char *mode;

		p = parse_hex(p, &from);
		p = parse_hex(p + 1, &to);
		mode = p + 1;
		if (from >= REGION - REGION_SIZE && from < REGION + 2 * REGION_SIZE) {
			print(" %ld-%ld%c%c%c%c", (long)(from - REGION) / (long)PAGE_SIZE,
			      (long)(to - REGION) / (long)PAGE_SIZE, mode[0], mode[1], mode[2],
			      mode[3]);
			any = true;
		}
		while (p < end && *p++ != '\n')
			;
	}
	print(any ? "\n" : " empty\n");
}

/* ---- results ---- */

static void print_result(long r)
{
	unsigned long v = r;

	if (is_error(r))
		print(" -%ld", -r);
	else if (v >= REGION - REGION_SIZE && v < REGION + 2 * REGION_SIZE)
		print(" +%ld", (long)(v - REGION) / (long)PAGE_SIZE);
	else if (v >= PAGE_SIZE)
		print(" elsewhere");
	else
		print(" %ld", r);
}

/* ---- the language ---- */

static const struct {
	char letter;
	int flag;
} flag_letters[] = {
	{'p', MAP_PRIVATE},
	{'s', MAP_SHARED},
	{'a', MAP_ANONYMOUS},
	{'f', MAP_FIXED},
	{'n', MAP_FIXED_NOREPLACE},
	{'g', MAP_GROWSDOWN},
	{'P', MAP_POPULATE},
	{'R', MAP_NORESERVE},
	{'L', 0x2000 /* MAP_LOCKED */},
	{'3', 0x40 /* MAP_32BIT */},
	{'v', 3 /* MAP_SHARED_VALIDATE */},
};

static bool space(char c)
{
	return c == ' ';
}

static const char *skip(const char *s)
{
	while (space(*s))
		s++;
	return s;
}

static const char *word_end(const char *s)
{
	while (*s && !space(*s) && *s != ';')
		s++;
	return s;
}

/* A number: pages, 0x bytes, with or without '-'. `unit` multiplies plain decimals. */
static const char *number(const char *s, long unit, long *v)
{
	bool minus = false;

	s = skip(s);
	if (*s == '-') {
		minus = true;
		s++;
	}
	if (s[0] == '0' && s[1] == 'x') {
		unsigned long u;

		s = parse_hex(s + 2, &u);
		*v = (long)u;
	} else {
		for (*v = 0; *s >= '0' && *s <= '9'; s++)
			*v = *v * 10 + (*s - '0');
		*v *= unit;
	}
	if (minus)
		*v = -*v;
	return s;
}

static const char *address(const char *s, long *a)
{
	s = skip(s);
	if (*s == '@')
		return number(s + 1, 1, a);
	s = number(s, PAGE_SIZE, a);
	*a += REGION;
	return s;
}

static const char *length(const char *s, long *n)
{
	s = skip(s);
	return number(*s == '@' ? s + 1 : s, PAGE_SIZE, n);
}

static const char *protection(const char *s, long *prot)
{
	s = skip(s);
	if (*s >= '0' && *s <= '9')
		return number(s, 1, prot);
	for (*prot = 0; *s && !space(*s) && *s != ';'; s++)
		*prot |= *s == 'r' ? PROT_READ : *s == 'w' ? PROT_WRITE : *s == 'x' ? PROT_EXEC : 0;
	return s;
}

static const char *map_flags(const char *s, long *flags)
{
	s = skip(s);
	if (*s >= '0' && *s <= '9' && *s != '3')
		return number(s, 1, flags);
	for (*flags = 0; *s && !space(*s) && *s != ';'; s++)
		for (size_t i = 0; i < sizeof(flag_letters) / sizeof(flag_letters[0]); i++)
			if (flag_letters[i].letter == *s)
				*flags |= flag_letters[i].flag;
	return s;
}

static bool is(const char *s, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(word_end(s) - s) == n && !memcmp(s, word, n);
}

static void mincore_result(long a, long n)
{
	static unsigned char vec[512];
	long r;

	memset(vec, 0, sizeof(vec));
	r = syscall3(SYS_mincore, a, n, (long)vec);
	print_result(r);
	if (r == 0 && n > 0) {
		print(":");
		for (long i = 0; i < n / (long)PAGE_SIZE && i < 512; i++)
			print("%d", vec[i] & 1);
	}
}

static void limit_result(long resource, long value)
{
	unsigned long lim[2];
	long r = syscall3(SYS_getrlimit, resource, (long)lim, 0);

	if (!is_error(r)) {
		lim[0] = value < 0 ? lim[1] : (unsigned long)value;
		r = syscall3(SYS_setrlimit, resource, (long)lim, 0);
	}
	print_result(r);
}

/* One call; returns what follows it. */
static const char *step(const char *s)
{
	const char *from = s = skip(s), *rest = word_end(s);
	long a = 0, n = 0, x = 0, y = 0, to = 0, r = 0;

	if (is(s, "map")) {
		rest = map_flags(protection(length(address(rest, &a), &n), &x), &y);
		r = sys_mmap(a, n, (int)x, (int)y);
	} else if (is(s, "prot")) {
		rest = protection(length(address(rest, &a), &n), &x);
		r = sys_mprotect(a, n, (int)x);
	} else if (is(s, "unmap")) {
		rest = length(address(rest, &a), &n);
		r = sys_munmap(a, n);
	} else if (is(s, "adv")) {
		rest = number(length(address(rest, &a), &n), 1, &x);
		r = sys_madvise(a, n, (int)x);
	} else if (is(s, "remap")) {
		rest = skip(number(length(length(address(rest, &a), &n), &x), 1, &y));
		if (*rest && *rest != ';')
			rest = address(rest, &to);
		r = syscall6(SYS_mremap, a, n, x, y, to, 0);
	} else if (is(s, "lock") || is(s, "unlock")) {
		rest = length(address(rest, &a), &n);
		r = syscall3(*s == 'l' ? SYS_mlock : SYS_munlock, a, n, 0);
	} else if (is(s, "sync")) {
		rest = number(length(address(rest, &a), &n), 1, &x);
		r = syscall3(SYS_msync, a, n, x);
	} else if (is(s, "core")) {
		rest = length(address(rest, &a), &n);
	} else if (is(s, "lim")) {
		rest = number(number(rest, 1, &a), 1, &n);
	} else if (is(s, "w")) {
		rest = number(address(rest, &a), 1, &x);
		*(volatile char *)a = (char)x;
	} else if (is(s, "r")) {
		rest = address(rest, &a);
		r = *(volatile unsigned char *)a;
	}
	rest = skip(rest);
	print("  ");
	for (const char *p = from; p < rest; p++)
		if (!space(*p) || !space(p[1]))
			print("%c", *p);
	print(":");
	if (is(from, "core"))
		mincore_result(a, n);
	else if (is(from, "lim"))
		limit_result(a, n);
	else
		print_result(r);
	print("\n");
	return *rest == ';' ? rest + 1 : rest;
}

static unsigned long case_nr;

static void case_begin(const char *family)
{
	sys_munmap(REGION - REGION_SIZE, 3 * REGION_SIZE);
	print("%s.%lu\n", family, ++case_nr);
}

static void run_script(const char *family, const char *script)
{
	case_begin(family);
	while (*script)
		script = step(script);
	print_maps();
}

/* ---- scripted families ---- */

static const char *const mmap_cases[] = {
	"map 0 1 rw paf",
	"map 0 4 rw paf; map 4 4 rw paf",
	"map 0 4 rw paf; map 4 4 r paf",
	"map 4 4 rw paf; map 0 4 rw paf",
	"map 0 2 rw paf; map 4 2 rw paf; map 2 2 rw paf",
	"map 0 2 rw paf; map 4 2 rw paf; map 2 2 r paf",
	"map 0 8 rw paf; w 3 7; map 2 4 r paf; r 3",
	"map 0 8 rw paf; map 0 8 r paf",
	"map 0 3 rw paf; map 5 3 rw paf; map 2 4 rwx paf",
	"map 0 3 rw paf; map 4 3 r paf; map 8 3 x paf; map 1 9 - paf",
	"map 0 4 rw paf; map 2 4 rw pan",
	"map 0 4 rw paf; map 4 4 rw pan",
	"map 0 4 rw paf; map 3 1 r pan",
	"map 4 4 rw pan; map 0 8 rw pan",
	"map 0 1 rw pan; map 2 1 rw pan; map 1 1 rw pan",
	"map 0 0 rw paf",
	"map 0 0x1 rw paf",
	"map 0 0xfff rw paf",
	"map 0 0x1001 rw paf",
	"map 0x800 1 rw paf",
	"map 0x1 1 rw pan",
	"map 0x800 1 rw pa",
	"map 2 1 rw pa",
	"map 2 3 rw pa; map 2 3 rw pa",
	"map 4 2 rw paf; map 5 1 rw pa",
	"map @0 @0 rw pa",
	"map @0 @0x1000 rw 0x22; unmap @0x1000 @0x1000",
	"map @0x1000 @-1 rw pa",
	"map @0x1000 @0x7fffffffffff rw paf",
	"map @0x800000000000 1 rw paf",
	"map @0x7ffffffff000 1 rw paf",
	"map @0x7fffffffe000 @0x2000 rw paf",
	"map @-4096 1 rw paf",
	"map @-4096 1 rw pan",
	"map @0x7fffffffffff 1 rw pa",
	"map 0 1 rw 0x20",
	"map 0 1 rw 0x23",
	"map 0 1 rw 0x24",
	"map 0 1 rw 0x12",
	"map 0 1 rw 0x10",
	"map 0 1 0xff paf",
	"map 0 1 0x1000000 paf",
	"map 0 4 rw pafP; core 0 4",
	"map 0 4 r pafP; core 0 4",
	"map 0 4 - pafP; core 0 4",
	"map 0 4 w paf; w 1 3; prot 1 1 r; r 1",
	"map 0 4 x paf; prot 0 4 rx",
	"map 0 4 rw pafR; map 4 4 rw paf",
	"map 0 4 rw pafR; map 4 4 rw pafR",
	"map 0 4 rw paf; map 4 4 rw pafg",
	"map 16 4 rw pafg; w 16 1; w 15 2; r 15; w 12 3; r 12",
	"map 8 2 rw pafg; map 0 1 rw paf; w 8 1",
	"map 16 4 rw pafg; prot 17 1 r",
	"map 0 4 rw paf; w 0 1; w 1 2; w 2 3; w 3 4; unmap 1 2; map 1 2 rw paf; r 0; r 1; r 2; r 3",
	"map 0 64 rw paf; map 16 1 rw paf; map 32 1 rw paf; map 48 1 rw paf",
	"map 0 1 - paf; map 1 1 - paf; map 2 1 r paf; map 3 1 rw paf; map 4 1 rwx paf",
};

static const char *const munmap_cases[] = {
	"unmap 0 1",
	"unmap 0 0",
	"unmap 0x1 1",
	"unmap 0 0x1",
	"unmap 0 @-1",
	"unmap @0 @0x7fffffffffff",
	"unmap @0x7ffffffff000 1",
	"unmap @0x7fffffffe000 @0x2000",
	"unmap @-4096 1",
	"map 0 4 rw paf; unmap 0 0x1",
	"map 0 4 rw paf; unmap 0 0x1001",
	"map 0 4 rw paf; unmap 1 0xfff",
	"map 0 4 rw paf; unmap 4 4",
	"map 0 4 rw paf; unmap 2 20",
	"map 2 4 rw paf; unmap 0 4",
	"map 0 2 rw paf; map 4 2 r paf; map 8 2 rwx paf; unmap 1 8",
	"map 0 2 rw paf; map 4 2 r paf; map 8 2 rwx paf; unmap 0 10",
	"map 0 2 rw paf; map 4 2 r paf; map 8 2 rwx paf; unmap 2 2",
	"map 0 9 rw paf; unmap 4 1; map 4 1 rw paf",
	"map 0 9 rw paf; w 4 9; unmap 4 1; map 4 1 rw paf; r 4",
	"map 0 9 rw paf; unmap 3 3; unmap 3 3; unmap 2 5",
};

static const char *const mprotect_cases[] = {
	"prot 0 1 r",
	"prot 0 0 r",
	"prot 0x1 1 r",
	"map 0 4 rw paf; prot 0 0 r",
	"map 0 4 rw paf; prot 0 0x1 r",
	"map 0 4 rw paf; prot 0x800 1 r",
	"map 0 4 rw paf; prot 0 @-1 r",
	"map 0 4 rw paf; prot 0 @-4096 r",
	"map 0 4 rw paf; prot 0 8 r",
	"map 2 4 rw paf; prot 0 4 r",
	"map 0 2 rw paf; map 4 2 rw paf; prot 0 6 r",
	"map 0 2 rw paf; map 4 2 rw paf; prot 1 4 r",
	"map 0 2 rw paf; map 2 2 r paf; map 4 2 rwx paf; prot 1 4 x",
	"map 0 2 rw paf; map 2 2 r paf; map 4 2 rw paf; prot 2 2 rw",
	"map 0 2 rw paf; map 2 2 r paf; map 4 2 rw paf; prot 0 6 rw",
	"map 0 6 rw paf; prot 2 2 r; prot 2 2 rw",
	"map 0 6 rw paf; prot 0 2 r; prot 4 2 r; prot 2 2 r",
	"map 0 6 rw paf; prot 0 6 -; prot 0 6 rw",
	"map 0 6 rw paf; w 3 42; prot 3 1 -; prot 3 1 r; r 3",
	"map 0 6 rw paf; w 3 42; prot 3 1 r; prot 3 1 rw; r 3; w 3 43; r 3",
	"map 0 6 rw paf; w 1 1; w 4 4; prot 2 2 r; prot 2 2 rw",
	"map 0 6 rw paf; w 2 1; prot 2 2 r; w 4 4; prot 2 2 rw",
	"map 0 3 rw paf; w 0 1; map 3 3 rw paf; w 3 1; prot 0 6 r",
	"map 0 3 rw paf; w 0 1; map 3 3 r paf; prot 3 3 rw; w 4 1",
	"map 0 3 r paf; map 3 3 rw paf; w 3 1; prot 0 3 rw; w 0 1",
	"map 0 4 rw paf; prot 1 1 0x8",
	"map 0 4 rw paf; prot 1 1 0x10",
	"map 0 4 rw paf; prot 1 1 0x80000000",
	"map 0 4 rw paf; prot 1 1 0x1000001",
	"map 0 4 rw paf; prot 1 1 0x2000001",
	"map 8 4 rw pafg; prot 9 1 0x1000001",
	"map 0 4 rw paf; prot @0x7ffffffff000 1 r",
	"map 0 4 rw paf; prot @-4096 1 r",
	"map 0 4 r paf; prot 0 4 w; prot 0 4 x; prot 0 4 wx; prot 0 4 rwx; prot 0 4 -",
};

static const char *const madvise_cases[] = {
	"adv 0 1 4",
	"adv 0 0 4",
	"adv 0x1 1 4",
	"map 0 4 rw paf; adv 0 0 4",
	"map 0 4 rw paf; adv 0 @-1 4",
	"map 0 4 rw paf; adv 0 @-4096 4",
	"map 0 4 rw paf; adv 0x800 1 4",
	"map 0 4 rw paf; adv 0 4 999",
	"map 0 4 rw paf; adv 0 4 -1",
	"map 0 4 rw paf; adv 0 0 999",
	"map 0 4 rw paf; w 0 1; w 1 2; adv 0 1 4; r 0; r 1",
	"map 0 4 rw paf; w 0 1; w 3 2; adv 0 4 4; r 0; r 3",
	"map 0 4 rw paf; w 0 1; adv 0 0x1 4; r 0",
	"map 0 2 rw paf; map 4 2 rw paf; w 0 1; w 4 1; adv 0 6 4; r 0; r 4",
	"map 0 4 r paf; adv 0 4 4",
	"map 0 4 - paf; adv 0 4 4",
	"map 0 4 rw paf; w 0 1; prot 0 1 r; adv 0 1 4; r 0",
	"map 0 4 rw paf; w 0 5; adv 0 4 0; adv 0 4 1; adv 0 4 2; adv 0 4 3; r 0",
	"map 0 6 rw paf; adv 2 2 1",
	"map 0 6 rw paf; adv 2 2 1; adv 2 2 0",
	"map 0 6 rw paf; adv 2 2 2; adv 0 6 2",
	"map 0 2 rw paf; map 4 2 rw paf; adv 0 6 3",
};

static const char *const mremap_cases[] = {
	"remap 0 1 2 0",
	"map 0 4 rw paf; remap 0 4 4 0",
	"map 0 4 rw paf; remap 0 4 2 0",
	"map 0 4 rw paf; remap 0 4 8 0",
	"map 0 4 rw paf; map 6 1 r paf; remap 0 4 8 0",
	"map 0 4 rw paf; map 6 1 r paf; remap 0 4 6 0",
	"map 0 4 rw paf; remap 1 2 4 0",
	"map 0 4 rw paf; remap 1 3 6 0",
	"map 0 4 rw paf; remap 2 2 1 0",
	"map 0 4 rw paf; remap 0 0 4 0",
	"map 0 4 rw paf; remap 0 4 0 0",
	"map 0 4 rw paf; remap 0x1 4 8 0",
	"map 0 4 rw paf; remap 0 4 8 16",
	"map 0 4 rw paf; remap 0 4 8 2 32",
	"map 0 4 rw paf; w 1 7; remap 0 4 4 3 32; r 33",
	"map 0 4 rw paf; w 1 7; remap 0 4 8 3 32; r 33",
	"map 0 4 rw paf; w 1 7; remap 0 4 2 3 32; r 33",
	"map 0 4 rw paf; w 1 7; remap 1 2 2 3 32; r 32",
	"map 0 4 rw paf; w 1 7; map 32 4 r paf; remap 0 4 4 3 32; r 33",
	"map 0 4 rw paf; map 30 8 r paf; remap 0 4 4 3 32",
	"map 0 4 rw paf; remap 0 4 4 3 2",
	"map 0 4 rw paf; remap 0 4 4 3 0",
	"map 0 4 rw paf; remap 0 2 2 3 2",
	"map 0 4 rw paf; remap 0 4 4 3 0x20800",
	"map 0 4 rw paf; remap 0 4 4 3 @0x800000000000",
	"map 0 4 rw paf; remap 0 4 4 3 @0x7ffffffff000",
	"map 0 2 rw paf; map 2 2 r paf; remap 0 4 8 1",
	"map 0 2 rw paf; map 2 2 r paf; remap 0 4 4 3 32",
	"map 0 2 rw paf; map 2 2 r paf; remap 0 4 2 0",
	"map 0 4 rw paf; map 8 4 rw paf; remap 0 4 8 0; w 7 1",
	"map 0 4 rw paf; w 3 9; remap 0 4 8 0; r 3; w 7 1; unmap 3 2; remap 5 3 4 0",
	"map 0 4 rw paf; w 1 7; remap 0 4 4 7 32; r 33; r 1",
	"map 0 4 rw paf; w 1 7; remap 0 4 4 5; r 1",
	"map 0 4 rw paf; remap 0 4 8 5",
	"map 0 4 rw paf; remap 0 4 4 4",
	"map 0 8 rw paf; w 2 5; remap 2 2 2 3 16; r 16; remap 16 2 2 3 2; r 2",
	"map 0 4 rw paf; map 32 4 rw paf; remap 0 4 4 3 36",
};

static const char *const lock_cases[] = {
	"lock 0 1",
	"map 0 4 rw paf; lock 0 4; core 0 4; unlock 0 4",
	"map 0 4 rw paf; lock 1 2",
	"map 0 4 rw paf; lock 1 2; unlock 1 2",
	"map 0 4 rw paf; lock 1 2; unlock 0 4",
	"map 0 4 rw paf; lock 0 8",
	"map 0 4 rw paf; lock 0x800 1; core 0 4",
	"map 0 4 rw paf; lock 0 0",
	"map 0 4 rw paf; lock 0 @-1",
	"map 0 4 - paf; lock 0 4",
	"map 0 4 r paf; lock 0 4; core 0 4",
	"map 0 4 rw paf; lock 0 4; adv 0 4 4; adv 0 1 8",
	"map 0 4 rw pafL; core 0 4; prot 1 1 r",
	"unlock 0 1",
	"map 0 2 rw paf; map 4 2 rw paf; lock 0 6; core 0 2",
};

static const char *const mincore_cases[] = {
	"core 0 1",
	"map 0 8 rw paf; core 0 8",
	"map 0 8 rw paf; w 2 1; w 5 1; core 0 8",
	"map 0 8 rw paf; w 2 1; adv 2 1 4; core 0 8",
	"map 0 8 rw paf; core 0 0",
	"map 0 8 rw paf; core 0x1 1",
	"map 0 8 rw paf; core 0 @-1",
	"map 0 4 rw paf; core 0 8",
	"map 0 4 rw paf; core @0x800000000000 1",
};

static const char *const msync_cases[] = {
	"sync 0 1 4",
	"map 0 4 rw paf; sync 0 4 4",
	"map 0 4 rw paf; sync 0 4 1",
	"map 0 4 rw paf; sync 0 4 5",
	"map 0 4 rw paf; sync 0 4 8",
	"map 0 4 rw paf; sync 0x1 1 4",
	"map 0 4 rw paf; sync 0 8 4",
	"map 0 4 rw paf; sync 0 0 4",
	"map 0 2 rw paf; map 4 2 rw paf; sync 0 6 4",
	"map 0 4 rw paf; lock 0 2; sync 0 4 2; sync 0 4 6",
};

/* ---- families that make their cases ---- */

/* Every part of an 8-page mapping, with `op` done to it twice. */
static void every_part(const char *family, const char *op, const char *tail)
{
	for (long from = 0; from < 8; from++) {
		for (long n = 1; from + n <= 8; n++) {
			long a = REGION + from * PAGE_SIZE, len = n * PAGE_SIZE, r;

			case_begin(family);
			sys_mmap(REGION, 8 * PAGE_SIZE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
			for (int i = 0; i < 8; i++)
				*(volatile char *)(REGION + i * PAGE_SIZE) = (char)(i + 1);
			if (*op == 'p')
				r = sys_mprotect(a, len, PROT_READ);
			else if (*op == 'u')
				r = sys_munmap(a, len);
			else if (*op == 'd')
				r = sys_madvise(a, len, MADV_DONTNEED);
			else
				r = sys_mmap(a, len, PROT_READ,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
			print("  %s %ld %ld:", op, from, n);
			print_result(r);
			print("\n");
			if (*op != 'u') {
				print("  contents:");
				for (int i = 0; i < 8; i++)
					print(" %d", *(volatile char *)(REGION + i * PAGE_SIZE));
				print("\n");
			}
			print_maps();
			if (*tail) {
				r = sys_mprotect(REGION, 8 * PAGE_SIZE, PROT_READ | PROT_WRITE);
				print("  whole again:");
				print_result(r);
				print("\n");
				print_maps();
			}
		}
	}
}

/*
 * Random sequences without contents, so that merging depends on ranges and rights alone. `calls`:
 * how many kinds of calls are drawn.
 */
static void random_sequences(const char *family, unsigned int calls, unsigned int sequences)
{
	static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC};

	for (unsigned int seq = 1; seq <= sequences; seq++) {
		uint64_t rng = seq * 0x9e3779b97f4a7c15ull;

		case_begin(family);
		print("  seed %u\n", seq);
		for (int i = 0; i < 40; i++) {
			unsigned long from = random_next(&rng) % 48, n = random_next(&rng) % 12;
			unsigned long to = random_next(&rng) % 48, m = random_next(&rng) % 12;
			int prot = prots[random_next(&rng) % 5];
			long a = REGION + from * PAGE_SIZE, len = n * PAGE_SIZE, r;

			switch (random_next(&rng) % calls) {
			case 0:
			case 1:
				r = sys_mmap(a, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
				print("  map %lu %lu %d:", from, n, prot);
				break;
			case 2:
				r = sys_munmap(a, len);
				print("  unmap %lu %lu:", from, n);
				break;
			case 3:
				r = sys_mprotect(a, len, prot);
				print("  prot %lu %lu %d:", from, n, prot);
				break;
			case 4:
				r = sys_madvise(a, len, MADV_DONTNEED);
				print("  dontneed %lu %lu:", from, n);
				break;
			case 5:
				r = sys_mmap(a, len, prot,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE);
				print("  map_noreplace %lu %lu %d:", from, n, prot);
				break;
			case 6:
				r = syscall6(SYS_mremap, a, len, m * PAGE_SIZE, 0, 0, 0);
				print("  remap %lu %lu %lu:", from, n, m);
				break;
			default:
				r = syscall6(SYS_mremap, a, len, m * PAGE_SIZE, 3,
					     (long)(REGION + to * PAGE_SIZE), 0);
				print("  remap_to %lu %lu %lu %lu:", from, n, m, to);
				break;
			}
			print_result(r);
			print("\n");
		}
		print_maps();
	}
}

/* brk(2), from the program's own break upwards. */
static void brk_family(void)
{
	static const long steps[] = {1,	     0x1000, -0x1000, 0x5000,	-1,	  0x800,
				     -0x800, 0x1fff, -0x6000, 0x100000, -0x100000};
	unsigned long start = (unsigned long)sys_brk(0), now = start;

	case_begin("brk");
	print("  below the start: %s\n",
	      (unsigned long)sys_brk(start - 1) == now ? "refused" : "?");
	print("  far away: %s\n",
	      (unsigned long)sys_brk(0x700000000000ul) == now ? "refused" : "?");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		unsigned long want = now + steps[i], got = (unsigned long)sys_brk(want);

		print("  %ld: %s, %ld\n", steps[i], got == want ? "moved" : "refused",
		      (long)(got - start));
		now = got;
	}
	sys_brk(start + 4 * PAGE_SIZE);
	*(volatile char *)((start + 2 * PAGE_SIZE) & ~(PAGE_SIZE - 1)) = 77;
	sys_brk(start);
	sys_brk(start + 4 * PAGE_SIZE);
	print("  memory given back and taken again is %d\n",
	      *(volatile char *)((start + 2 * PAGE_SIZE) & ~(PAGE_SIZE - 1)));
	sys_brk(start);
}

#define SCRIPTS(name)                                                                       \
	static void name##_family(void)                                                     \
	{                                                                                   \
		for (size_t i = 0; i < sizeof(name##_cases) / sizeof(name##_cases[0]); i++) \
			run_script(#name, name##_cases[i]);                                 \
	}
SCRIPTS(mmap)
SCRIPTS(munmap)
SCRIPTS(mprotect)
SCRIPTS(madvise)
SCRIPTS(mremap)
SCRIPTS(lock)
SCRIPTS(mincore)
SCRIPTS(msync)

static void parts_family(void)
{
	every_part("parts", "protect", "again");
	every_part("parts", "unmap", "");
	every_part("parts", "dontneed", "");
	every_part("parts", "map over", "again");
}

static void random_family(void)
{
	random_sequences("random", 6, 60);
}

static void random_mremap_family(void)
{
	random_sequences("random_mremap", 8, 40);
}

static const struct {
	const char *name;
	void (*run)(void);
} families[] = {
	{"mmap", mmap_family},
	{"munmap", munmap_family},
	{"mprotect", mprotect_family},
	{"madvise", madvise_family},
	{"brk", brk_family},
	{"parts", parts_family},
	{"random", random_family},
	{"mremap", mremap_family},
	{"random_mremap", random_mremap_family},
	{"lock", lock_family},
	{"mincore", mincore_family},
	{"msync", msync_family},
};
#define NR_FAMILIES (sizeof(families) / sizeof(families[0]))

int main(int argc, char **argv)
{
	unsigned long run = 0;

	for (size_t i = 0; i < NR_FAMILIES; i++) {
		bool wanted = argc < 2;

		for (int j = 1; j < argc; j++)
			wanted |= !strcmp(argv[j], families[i].name);
		if (argc == 2 && !strcmp(argv[1], "--list")) {
			print("%s\n", families[i].name);
			run++;
		} else if (wanted) {
			case_nr = 0;
			families[i].run();
			run += case_nr;
		}
	}
	sys_munmap(REGION - REGION_SIZE, 3 * REGION_SIZE);
	if (!run)
		print("conform: no such family\n");
	else
		print("%lu cases\n", run);
	return run ? 0 : 2;
}
