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
 *   sync A N FLAGS        msync       lock2 A N FLAGS       mlock2
 *   all FLAGS             mlockall    unall                 munlockall
 *   lim RESOURCE VALUE    setrlimit, soft limit only; -1: up to the hard one
 *   as N, data N          RLIMIT_AS, RLIMIT_DATA so that just N pages more fit; -1: up to the hard one
 *   w A V                 write V to the first byte of the page
 *   r A                   read it     cut A                 forget the rest of the case
 *
 * A, N: pages ("3"), bytes ("0x1001"), or, with @, an absolute address or length ("@0x7fff...").
 * Addresses count from the start of a region in the middle of nowhere that each case finds empty.
 * PROT: letters of rwx, or - for none. FLAGS: letters of flag_letters below. Other numbers: decimal
 * or 0x.
 *
 * Families without a script make their cases themselves: every part of a mapping, and random
 * sequences, which print their seed. max_map_count, with its 65,530 mappings, runs only when named.
 *
 * On Linux the program gives up CAP_IPC_LOCK first, which root has: here RLIMIT_MEMLOCK holds for
 * everybody.
 */
#include "rt.h"

#define SYS_read	    0
#define SYS_open	    2
#define SYS_close	    3
#define SYS_mremap	    25
#define SYS_msync	    26
#define SYS_mincore	    27
#define SYS_mlock	    149
#define SYS_munlock	    150
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23

#define SYS_munlockall 152
#define SYS_mlockall   151
#define SYS_setrlimit  160
#define SYS_getrlimit  97
#define SYS_capget     125
#define SYS_capset     126
#define SYS_prlimit64  302
#define SYS_mlock2     325

#define RLIMIT_DATA 2
#define RLIMIT_AS   9

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

/* Pages of the address space, as RLIMIT_AS (data: as RLIMIT_DATA) counts them. */
static long count_pages(bool data)
{
	long len = read_maps(), pages = 0;
	const char *p = maps_text, *end = maps_text + (len > 0 ? len : 0);

	while (p < end) {
		unsigned long from, to;
		bool counts, stack = false;
		const char *mode;

		p = parse_hex(p, &from);
		p = parse_hex(p + 1, &to);
		mode = p + 1;
		for (; p < end && *p != '\n'; p++)
			stack |= p[0] == '[' && p[1] == 's' && p[2] == 't';
		p++;
		counts = to <= 0x800000000000ul && /* not Linux's page in the kernel's half */
			 (!data || (mode[1] == 'w' && mode[3] == 'p' && !stack));
		if (counts)
			pages += (long)((to - from) / PAGE_SIZE);
	}
	return pages;
}

static long count_lines(void)
{
	long len = read_maps(), lines = 0;

	for (long i = 0; i < len; i++)
		lines += maps_text[i] == '\n';
	/* Linux's page in the kernel's half is no mapping. */
	for (long i = 0; i < len; i++)
		lines -= maps_text[i] == '[' && maps_text[i + 1] == 'v' && maps_text[i + 2] == 's';
	return lines;
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

/* Room for n pages more. */
static void room_result(long resource, long n)
{
	long pages = count_pages(resource == RLIMIT_DATA);

	limit_result(resource, n < 0 ? n : (pages + n) * (long)PAGE_SIZE);
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
	} else if (is(s, "lock2")) {
		rest = number(length(address(rest, &a), &n), 1, &x);
		r = syscall3(SYS_mlock2, a, n, x);
	} else if (is(s, "all")) {
		rest = number(rest, 1, &x);
		r = syscall3(SYS_mlockall, x, 0, 0);
	} else if (is(s, "unall")) {
		r = syscall3(SYS_munlockall, 0, 0, 0);
	} else if (is(s, "as") || is(s, "data")) {
		rest = number(rest, 1, &n);
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
	else if (is(from, "as") || is(from, "data"))
		room_result(*from == 'a' ? RLIMIT_AS : RLIMIT_DATA, n);
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
	"map 0 4 rw pafL; remap 0 4 8 0; core 0 8",
	"map 0 4 rw pafL; remap 0 4 8 3 32; core 32 8; map 40 4 rw pafL",
	"map 0 4 rw paf; w 0 1; map 4 1 r paf; remap 0 4 8 1",
	"map 0 2 rw paf; w 0 1; w 1 2; remap 0 2 2 3 8; map 0 2 rw paf; w 0 3; remap 8 2 2 3 2; r "
	"2; r 3",
	"map 0 8 rw paf; w 0 1; w 7 8; remap 0 4 4 3 8; remap 4 4 4 3 0; r 3; r 8",
	"map 0 4 r paf; r 1; remap 0 4 4 3 16; core 16 4; r 17",
	"map 0 4 rw paf; w 0 1; prot 0 4 -; remap 0 4 4 3 16; prot 16 4 r; r 16",
	"map 0 8 rw paf; w 2 3; remap 2 2 2 7 16; r 16; r 2; w 3 4; unmap 16 2; r 3",
	"map 0 8 rw paf; remap 2 2 2 7 16; w 2 1; w 16 2; r 2; r 16",
	"map 16 4 rw pafg; w 16 1; remap 16 4 4 3 32; r 32",
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

static const char *const advice_cases[] = {
	"map 0 6 rw paf; adv 2 2 10; adv 0 6 11",
	"map 0 6 rw paf; adv 0 3 16; adv 2 2 17",
	"map 0 6 rw paf; adv 1 4 18; adv 2 2 19",
	"map 0 6 rw paf; adv 2 2 14; adv 2 2 15; adv 0 2 15",
	"map 0 6 rw paf; adv 2 2 1; adv 3 3 2; adv 0 6 0",
	"map 0 6 rw paf; w 2 1; adv 2 2 1; w 4 1; adv 2 2 0",
	"map 0 4 rw paf; w 0 1; w 1 2; adv 0 4 8; core 0 4; r 0; r 1; w 0 5; r 0",
	"map 0 4 rw paf; adv 0 8 8",
	"map 0 4 r paf; r 0; adv 0 4 8; core 0 4",
	"map 0 4 rw paf; w 0 1; prot 0 4 r; adv 0 4 8; r 0",
	"map 0 4 rw paf; adv 0 4 9",
	"map 0 4 rw paf; w 0 1; adv 0 4 20; r 0; core 0 4",
	"map 0 4 rw paf; w 0 1; w 3 4; adv 0 4 21; r 0; r 3",
	"map 0 4 rw paf; w 0 1; adv 0 4 21; adv 0 4 3; r 0; adv 0 4 21; w 0 2; r 0",
	"map 0 4 rw paf; w 0 1; adv 0 4 21; adv 0 1 8; adv 1 1 4; r 1",
	"map 0 4 rw paf; w 0 1; w 1 2; adv 0 4 21; remap 0 4 4 3 16; r 16; r 17",
	"map 0 4 rw paf; w 0 1; adv 0 4 21; prot 0 4 -; prot 0 4 r; r 0",
	"map 0 4 rw paf; adv 0 8 21",
	"map 0 4 rw paf; adv 1 2 22; core 0 4; adv 1 2 23; core 0 4; r 1",
	"map 0 4 r paf; adv 0 4 23; adv 0 4 22; core 0 4",
	"map 0 4 - paf; adv 0 4 22; adv 0 4 23; core 0 4",
	"map 0 4 x paf; adv 0 4 22",
	"map 0 4 w paf; adv 0 4 22; adv 0 4 23",
	"map 0 2 rw paf; map 4 2 rw paf; adv 0 6 23; core 0 2; core 4 2",
	"map 2 2 rw paf; adv 0 2 22; adv 0 3 22; core 2 2",
	"adv 0 4 22",
	"adv 0 4 8",
	"adv 0 4 10",
	"map 0 2 rw paf; map 4 2 rw paf; adv 0 6 10",
	"map 0 2 rw pafL; map 2 2 rw paf; w 3 1; adv 2 2 4; r 3; adv 0 4 4",
	"map 0 2 rw paf; map 2 2 rw pafL; w 0 1; w 2 2; adv 0 4 4; r 0; r 2",
	"map 0 2 rw pafL; w 0 1; adv 0 2 24; r 0; core 0 2",
	"map 0 2 rw pafL; adv 0 2 20; adv 0 2 21; adv 0 2 8; adv 0 2 3; adv 0 2 9",
	"map 0 4 rw paf; adv 0x1 1 8; adv 0x1 1 10; adv 0x1 1 22",
	"map 0 4 rw paf; adv 0 0 10; adv 0 0 22; adv 0 @-1 22",
	"map 0 4 rw paf; adv 0 4 5; adv 0 4 6; adv 0 4 7; adv 0 4 26; adv 0 4 99",
};

static const char *const memlock_cases[] = {
	"lim 8 65536; map 0 20 rw paf; lock 0 16; lock 16 1; lim 8 -1",
	"lim 8 65536; map 0 20 rw paf; lock 0 16; lock 8 8; unlock 0 8; lock 16 4; lim 8 -1",
	"lim 8 65536; map 0 20 rw paf; lock 0 20; core 0 20; lim 8 -1",
	"lim 8 65536; map 0 17 rw pafL; map 0 16 rw pafL; core 0 16; map 16 1 rw pafL; lim 8 -1",
	"lim 8 65536; map 0 16 rw pafL; map 0 16 rw pafL; lim 8 -1",
	"lim 8 65536; map 0 12 rw pafL; remap 0 12 16 0; remap 0 16 17 0; lim 8 -1",
	"lim 8 65536; map 0 12 rw pafL; remap 0 12 20 3 32; remap 0 12 12 3 32; lim 8 -1",
	"lim 8 0; map 0 4 rw paf; lock 0 1; lock 0 0; lock2 0 1 1; unlock 0 1; lim 8 -1",
	"lim 8 0; map 0 4 rw pafL; all 1; all 2; unall; lim 8 -1",
	"lim 8 4095; map 0 4 rw paf; lock 0 1; map 4 1 rw pafL; lim 8 -1",
	"lim 8 65536; map 0 20 rw paf; all 1; lim 8 -1",
	"map 0 4 rw paf; lock2 0 4 0; core 0 4; unlock 1 2",
	"map 0 4 rw paf; w 1 1; lock2 0 4 1; core 0 4; unlock 0 4",
	"map 0 4 rw paf; lock2 0 4 2; lock2 0 4 3",
	"map 0 4 rw paf; lock2 0 2 1; lock 1 2; core 0 4",
	"map 0 4 rw paf; w 0 9; lock 0 4; unmap 1 2; r 0; lock 0 4",
	"map 0 4 rw pafL; prot 0 2 -; unlock 0 4; prot 0 2 rw; r 0",
	"map 0 4 rw paf; all 2; map 4 4 rw paf; core 0 8; unall",
	"map 0 4 rw paf; all 6; map 4 4 rw paf; core 0 8; unall",
	"map 0 4 rw paf; all 1; core 0 4; unall",
	"map 0 4 rw paf; w 2 1; all 5; core 0 4; unall",
	"map 0 4 rw paf; all 0; all 4; all 8; all 3; map 4 4 r paf; core 0 8; unall",
	"map 0 4 rw paf; all 2; all 1; map 4 4 rw paf; core 0 8; unall",
	"map 0 4 rw paf; all 2; remap 0 4 8 0; core 0 8; unall",
	"lim 8 65536; all 2; map 0 17 rw paf; map 0 8 rw paf; unall; lim 8 -1",
	"map 0 8 rw paf; lock 0 8; adv 2 2 4; adv 2 2 24; core 0 8",
	"map 0 8 rw paf; lock 0 8; sync 0 8 2; unlock 0 8; sync 0 8 2",
	"map 16 4 rw pafgL; w 15 1; core 14 2; core 15 5",
};

static const char *const limits_cases[] = {
	"as 8; map 0 8 rw paf; map 8 1 rw paf; as -1",
	"as 8; map 0 9 rw paf; map 0 9 r paf; map 0 9 - paf; as -1",
	"as 8; map 0 8 rw paf; map 0 8 r paf; map 4 5 r paf; map 4 4 r paf; as -1",
	"as 8; map 0 4 rw paf; remap 0 4 8 0; remap 0 8 9 0; as -1",
	"as 8; map 0 4 rw paf; remap 0 4 8 3 32; remap 32 8 9 3 0; remap 32 8 8 3 0; as -1",
	"as 8; map 0 4 rw paf; remap 0 4 4 7 32; remap 32 4 4 7 64; as -1",
	"as 8; map 0 8 rw paf; prot 0 4 r; unmap 0 4; map 0 4 rw paf; as -1",
	"as 8; map 0 8 rw pafR; map 8 1 rw pafR; map 8 1 rw pafg; as -1",
	"as 8; map 16 4 rw pafg; w 12 1; map 0 1 rw paf; as -1",
	"data 8; map 0 8 rw paf; map 8 1 rw paf; map 8 1 r paf; map 9 1 rw pafg; data -1",
	"data 8; map 0 20 r paf; prot 0 8 rw; prot 8 1 rw; prot 0 8 r; prot 8 1 rw; data -1",
	"data 8; map 0 20 - paf; prot 0 9 rwx; prot 0 8 rwx; data -1",
	"data 8; map 0 4 rw paf; remap 0 4 9 0; remap 0 4 8 0; data -1",
	"data 8; map 0 8 rw paf; map 0 8 rw paf; map 0 9 rw paf; data -1",
	"lim 9 0; map 0 1 rw paf; prot 0 1 r; lim 9 -1",
	"lim 16 0; lim -2 0",
	"map 0 4 rw paf; map 0 @0x10000000000 rw paf",
	"map 0 @0x10000000000 rw pafR; unmap 0 @0x10000000000",
	"map 0 @0x10000000000 r paf; prot 0 4 rw; prot 0 @0x10000000000 rw; unmap 0 @0x10000000000",
	"map 0 @0x10000000000 - paf; prot 1 1 rw; w 1 1; prot 0 @0x10000000000 rw; unmap 0 "
	"@0x10000000000",
	"map 0 4 rw paf; remap 0 4 @0x10000000000 0; remap 0 4 @0x10000000000 1",
	"map 0 4 rw pafR; remap 0 4 @0x10000000000 0; unmap 0 @0x10000000000",
	"map 0 4 r paf; remap 0 4 @0x10000000000 0; unmap 0 @0x10000000000",
	"map 0 4 rw paf; remap 0 4 @0x7fffffffe000 1; remap 0 4 @-4096 1; remap 0 4 @-4095 1",
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

/* The first byte of each page that can be read. */
static void print_contents(void)
{
	print("  contents:");
	for (unsigned long i = 0; i < 64; i++) {
		unsigned long a = REGION + i * PAGE_SIZE;

		if (!sys_madvise(a, PAGE_SIZE, MADV_POPULATE_READ))
			print(" %d", *(volatile unsigned char *)a);
	}
	print("\n");
}

/*
 * Random sequences. `calls`: how many kinds of calls are drawn; up to 8 of them there are no
 * contents, so that merging depends on ranges and rights alone.
 */
static void random_sequences(const char *family, unsigned int calls, unsigned int sequences)
{
	static const int advice[] = {MADV_NORMAL, 1,  2, MADV_DONTNEED, 8, 10, 11, 16, 17, 18,
				     19,	  20, 21};
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
			long a = REGION + from * PAGE_SIZE, len = n * PAGE_SIZE, r = 0;

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
			case 7:
				r = syscall6(SYS_mremap, a, len, m * PAGE_SIZE, 3,
					     (long)(REGION + to * PAGE_SIZE), 0);
				print("  remap_to %lu %lu %lu %lu:", from, n, m, to);
				break;
			case 8:
				r = sys_madvise(a, len, advice[m]);
				print("  advise %lu %lu %d:", from, n, advice[m]);
				break;
			case 9:
				r = syscall3(m & 1 ? SYS_mlock : SYS_munlock, a, len, 0);
				print("  %s %lu %lu:", m & 1 ? "lock" : "unlock", from, n);
				break;
			default:
				/* Writes, where the mapping allows them. */
				print("  write %lu %lu:", from, m);
				for (unsigned long end = a + m * PAGE_SIZE; a < (long)end;
				     a += PAGE_SIZE) {
					r = sys_madvise(a, PAGE_SIZE, MADV_POPULATE_WRITE);
					if (!r)
						*(volatile char *)a = (char)(i + 1);
				}
				break;
			}
			print_result(r);
			print("\n");
		}
		print_maps();
		if (calls > 8)
			print_contents();
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

/* brk(2) up to RLIMIT_DATA, which counts the heap and the program's data, to the byte. */
static void brk_against_data(void)
{
	unsigned long start = (unsigned long)sys_brk(0), lim[2], old[2], end;

	syscall3(SYS_getrlimit, RLIMIT_DATA, (long)old, 0);
	lim[0] = 1 << 20;
	lim[1] = old[1];
	print("  heap and data:");
	print_result(syscall3(SYS_setrlimit, RLIMIT_DATA, (long)lim, 0));
	print(" %d", (unsigned long)sys_brk(start + (2 << 20)) == start);
	for (end = start; (unsigned long)sys_brk(end + PAGE_SIZE) == end + PAGE_SIZE;
	     end += PAGE_SIZE)
		;
	print(" %d\n", end - start < 1 << 20 && end - start > 1 << 19);
	sys_brk(start);
	syscall3(SYS_setrlimit, RLIMIT_DATA, (long)old, 0);
}

/* More mappings than there may be, and what still works then. */
static void max_map_count_family(void)
{
	const unsigned long most = 70000;
	long before = count_lines(), r = 0;
	unsigned long i;

	case_begin("max_map_count");
	for (i = 0; i < most && !is_error(r); i++)
		r = sys_mmap(REGION + 2 * i * PAGE_SIZE, 2 * PAGE_SIZE,
			     i & 1 ? PROT_READ : PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
	print("  the mapping that fails is number %ld:", (long)i + before);
	print_result(r);
	print("\n  a page in the middle of one:");
	print_result(sys_mprotect(REGION, PAGE_SIZE, PROT_READ | PROT_WRITE));
	print_result(sys_mprotect(REGION + 3 * PAGE_SIZE, PAGE_SIZE, PROT_NONE));
	print("\n  half of one:");
	print_result(sys_munmap(REGION, PAGE_SIZE));
	print("\n  a move:");
	print_result(syscall6(SYS_mremap, REGION + 4 * PAGE_SIZE, 2 * PAGE_SIZE, 2 * PAGE_SIZE, 3,
			      REGION + 2 * most * PAGE_SIZE, 0));
	print("\n  advice:");
	print_result(sys_madvise(REGION + 8 * PAGE_SIZE, PAGE_SIZE, 10));
	print("\n  mlock:");
	print_result(syscall3(SYS_mlock, REGION + 10 * PAGE_SIZE, PAGE_SIZE, 0));
	print("\n  a whole one:");
	print_result(sys_munmap(REGION + 8 * PAGE_SIZE, 2 * PAGE_SIZE));
	print("\n  and a new one:");
	print_result(sys_mmap(REGION + 8 * PAGE_SIZE, PAGE_SIZE, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED));
	print("\n  all:");
	print_result(sys_munmap(REGION, 2 * most * PAGE_SIZE));
	print("\n");
}

/* getrlimit, setrlimit, prlimit64: what they refuse. */
static void rlimit_family(void)
{
	static const int kept[] = {2, 3, 8, 9};
	unsigned long lim[2], old[2];

	case_begin("rlimit");
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		print("  %d:", kept[i]);
		print_result(syscall3(SYS_getrlimit, kept[i], (long)old, 0));
		lim[0] = 1 << 20;
		lim[1] = old[1];
		print_result(syscall6(SYS_prlimit64, 0, kept[i], 0, (long)lim, 0, 0));
		print(" %d", lim[0] == old[0] && lim[1] == old[1]);
		lim[0] = 64 << 20 > old[1] ? old[1] : 64 << 20;
		print_result(syscall6(SYS_prlimit64, 0, kept[i], (long)lim, 0, 0, 0));
		lim[0] = 0;
		print_result(syscall6(SYS_prlimit64, 0, kept[i], (long)old, (long)lim, 0, 0));
		print(" %d", lim[0] != 0);
		lim[0] = old[1] == ~0ul ? 2 : old[1] + 1;
		lim[1] = lim[0] - 1;
		print_result(syscall3(SYS_setrlimit, kept[i], (long)lim, 0));
		print_result(syscall3(SYS_setrlimit, kept[i], 8, 0));
		print_result(syscall3(SYS_getrlimit, kept[i], 0, 0));
		print("\n");
	}
	print("  no such resource:");
	print_result(syscall3(SYS_getrlimit, 16, (long)lim, 0));
	print_result(syscall3(SYS_getrlimit, -1, (long)lim, 0));
	print("\n  no such process:");
	print_result(syscall6(SYS_prlimit64, 0x3fffff00, 2, 0, (long)lim, 0, 0));
	print("\n");
	/* The heap against RLIMIT_DATA: what the program's own data leaves of it. */
	brk_against_data();
}

static void drop_ipc_lock(void)
{
	struct {
		unsigned int version;
		int pid;
	} header = {0x20080522, 0};
	struct {
		unsigned int effective, permitted, inheritable;
	} data[2];

	if (is_error(syscall3(SYS_capget, (long)&header, (long)data, 0)))
		return; /* no capabilities here */
	data[0].effective &= ~(1u << 14);
	syscall3(SYS_capset, (long)&header, (long)data, 0);
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
SCRIPTS(advice)
SCRIPTS(memlock)
SCRIPTS(limits)

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

static void random_all_family(void)
{
	random_sequences("random_all", 16, 120);
}

static const struct {
	const char *name;
	void (*run)(void);
	bool only_when_named;
} families[] = {
	{"mmap", mmap_family, false},
	{"munmap", munmap_family, false},
	{"mprotect", mprotect_family, false},
	{"madvise", madvise_family, false},
	{"brk", brk_family, false},
	{"parts", parts_family, false},
	{"random", random_family, false},
	{"mremap", mremap_family, false},
	{"random_mremap", random_mremap_family, false},
	{"lock", lock_family, false},
	{"mincore", mincore_family, false},
	{"msync", msync_family, false},
	{"advice", advice_family, false},
	{"memlock", memlock_family, false},
	{"limits", limits_family, false},
	{"rlimit", rlimit_family, false},
	{"random_all", random_all_family, false},
	{"max_map_count", max_map_count_family, true},
};
#define NR_FAMILIES (sizeof(families) / sizeof(families[0]))

int main(int argc, char **argv)
{
	unsigned long run = 0;

	drop_ipc_lock();
	for (size_t i = 0; i < NR_FAMILIES; i++) {
		bool wanted = argc < 2 && !families[i].only_when_named;

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
