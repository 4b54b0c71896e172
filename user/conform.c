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
#include "conform_cases.h"
#include "conform_shared.h"

#define SYS_read	    0
#define SYS_open	    2
#define SYS_close	    3
#define SYS_mremap	    25
#define SYS_msync	    26
#define SYS_mincore	    27
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
SCRIPTS(shared)
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
	{"shared", shared_family, false},
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
