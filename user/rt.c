/*
 * The run time of our user programs. The kernel enters _start with argc, argv and the rest on the
 * stack as the System V ABI says; main's result is the exit status.
 *
 * Nothing here allocates memory, so all mappings of a test program are its own.
 */
#include "rt.h"

__asm__(".globl _start\n"
	"_start:\n"
	"	xorl %ebp, %ebp\n"
	"	movq (%rsp), %rdi\n"
	"	leaq 8(%rsp), %rsi\n"
	"	andq $-16, %rsp\n"
	"	call main\n"
	"	movl %eax, %edi\n"
	"	call exit\n"
	"	hlt\n");

void exit(int status)
{
	for (;;)
		syscall3(SYS_exit_group, status, 0, 0);
}

void report_progress(const char *phase, uint64_t done, uint64_t total)
{
	syscall6(MMVM_SYS_REPORT, MMVM_USER_PROGRESS, (long)phase, done, total, 0, 0);
}

void report_bench(const char *name, uint64_t cost_x1000, uint64_t reps)
{
	syscall6(MMVM_SYS_REPORT, MMVM_USER_BENCH, (long)name, cost_x1000, reps, 0, 0);
}

long vm_event(const char *name)
{
	return syscall6(MMVM_SYS_REPORT, MMVM_USER_EVENT, (long)name, 0, 0, 0, 0);
}

uint64_t now_ns(void)
{
	struct {
		int64_t sec, nsec;
	} ts = {0, 0};

	syscall3(SYS_clock_gettime, 1 /* CLOCK_MONOTONIC */, (long)&ts, 0);
	return ts.sec * 1000000000ull + ts.nsec;
}

uint64_t total_ram(void)
{
	struct mmvm_sysinfo si;

	memset(&si, 0, sizeof(si));
	if (is_error(syscall3(SYS_sysinfo, (long)&si, 0, 0)))
		return 0;
	return (uint64_t)si.totalram * (si.mem_unit ? si.mem_unit : 1);
}

/* Output is gathered and written once: each write is a system call, and the console an exit. */
struct out {
	char buf[512];
	size_t len;
};

static void out_flush(struct out *o)
{
	size_t done = 0;

	while (done < o->len) {
		long n = sys_write(1, o->buf + done, o->len - done);

		if (n <= 0)
			break;
		done += n;
	}
	o->len = 0;
}

static void out_char(struct out *o, char c)
{
	if (o->len == sizeof(o->buf))
		out_flush(o);
	o->buf[o->len++] = c;
}

static void out_field(struct out *o, const char *s, size_t n, int width, char fill, bool left)
{
	if (!left)
		for (size_t i = n; i < (size_t)width; i++)
			out_char(o, fill);
	for (size_t i = 0; i < n; i++)
		out_char(o, s[i]);
	if (left)
		for (size_t i = n; i < (size_t)width; i++)
			out_char(o, ' ');
}

static void out_number(struct out *o, uint64_t v, unsigned int base, bool negative, int width,
		       char fill, bool left)
{
	char tmp[24];
	int at = sizeof(tmp);

	do
		tmp[--at] = "0123456789abcdef"[v % base];
	while (v /= base);
	if (negative)
		tmp[--at] = '-';
	out_field(o, tmp + at, sizeof(tmp) - at, width, fill, left);
}

void print(const char *fmt, ...)
{
	struct out o = {.len = 0};
	va_list ap;

	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		bool left = false, wide = false;
		char fill = ' ';
		int width = 0;

		if (*fmt != '%') {
			out_char(&o, *fmt);
			continue;
		}
		for (fmt++; *fmt == '-' || *fmt == '0'; fmt++)
			if (*fmt == '-')
				left = true;
			else
				fill = '0';
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (*fmt - '0');
		for (; *fmt == 'l' || *fmt == 'z'; fmt++)
			wide = true;
		switch (*fmt) {
		case 'd': {
			int64_t v = wide ? va_arg(ap, int64_t) : va_arg(ap, int);

			out_number(&o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, v < 0, width,
				   fill, left);
			break;
		}
		case 'u':
		case 'x': {
			uint64_t v = wide ? va_arg(ap, uint64_t) : va_arg(ap, unsigned int);

			out_number(&o, v, *fmt == 'u' ? 10 : 16, false, width, fill, left);
			break;
		}
		case 'p':
			out_field(&o, "0x", 2, 0, ' ', false);
			out_number(&o, (uintptr_t)va_arg(ap, void *), 16, false, width, fill, left);
			break;
		case 's': {
			const char *s = va_arg(ap, const char *);

			out_field(&o, s, strlen(s), width, ' ', left);
			break;
		}
		case 'c':
			out_char(&o, (char)va_arg(ap, int));
			break;
		case '\0':
			fmt--;
			break;
		default:
			out_char(&o, *fmt);
		}
	}
	va_end(ap);
	out_flush(&o);
}

bool parse_size(const char *s, uint64_t *out)
{
	uint64_t v = 0;
	int shift = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (*s - '0');
	}
	if (*s == 'k' || *s == 'K')
		shift = 10;
	else if (*s == 'm' || *s == 'M')
		shift = 20;
	else if (*s == 'g' || *s == 'G')
		shift = 30;
	if (shift)
		s++;
	if (*s || v << shift >> shift != v)
		return false;
	*out = v << shift;
	return true;
}

uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}

void *memset(void *dst, int c, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return dst;
}

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n)::"memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}
