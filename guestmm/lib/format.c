/*
 * Formatting text: a printf for the kernel, reports, and sizes.
 *
 * Everything goes through put(): it counts every byte that belongs to the result and stores those
 * that fit, so a caller learns the length it would have needed and nothing is ever written past the
 * end (I1). A directive that we do not know is copied as it stands, so that a mistake is seen.
 */
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"

struct sink {
	char *buf;
	size_t size, len;
};

static void put(struct sink *s, char c)
{
	if (s->len < s->size)
		s->buf[s->len] = c;
	s->len++;
}

/* Runs of text go by memcpy: where ring 0 is emulated a loop over characters is what costs. */
static void put_text(struct sink *s, const char *text, size_t n)
{
	if (s->len < s->size)
		memcpy(s->buf + s->len, text, min(n, s->size - s->len));
	s->len += n;
}

static void pad(struct sink *s, char c, int n)
{
	while (n-- > 0)
		put(s, c);
}

/** One directive between '%' and its letter. */
struct spec {
	bool left, zero, plus, space, alt;
	int width, precision; /* precision -1: none given */
	int longs;	      /* 0 int, 1 and more: 64 bits; -1 short, -2 char */
};

static void put_string(struct sink *s, const struct spec *sp, const char *str)
{
	int n;

	if (!str)
		str = "(null)";
	n = strnlen(str, sp->precision >= 0 ? (size_t)sp->precision : (size_t)INT32_MAX);
	if (!sp->left)
		pad(s, ' ', sp->width - n);
	put_text(s, str, n);
	if (sp->left)
		pad(s, ' ', sp->width - n);
}

enum letters { LOWER_CASE, UPPER_CASE };

static void put_number(struct sink *s, const struct spec *sp, u64 v, unsigned int base,
		       enum letters letters, const char *prefix)
{
	const char *digits = letters == UPPER_CASE ? "0123456789ABCDEF" : "0123456789abcdef";
	char tmp[24], *end = tmp + sizeof(tmp);
	int n = 0, zeros, spaces, plen = strlen(prefix);

	/* A constant base in each loop: the compiler turns division into multiplication. */
	if (base == 16)
		for (; v; v >>= 4)
			end[-++n] = digits[v & 15];
	else if (base == 8)
		for (; v; v >>= 3)
			end[-++n] = digits[v & 7];
	else
		for (; v; v /= 10)
			end[-++n] = digits[v % 10];
	if (!n && sp->precision != 0)
		end[-++n] = '0';

	zeros = sp->precision > n ? sp->precision - n : 0;
	if (sp->zero && !sp->left && sp->precision < 0 && sp->width > n + plen)
		zeros = sp->width - n - plen;
	spaces = sp->width - n - plen - zeros;

	if (!sp->left)
		pad(s, ' ', spaces);
	put_text(s, prefix, plen);
	pad(s, '0', zeros);
	put_text(s, end - n, n);
	if (sp->left)
		pad(s, ' ', spaces);
}

static const char *parse_number(const char *p, int *out)
{
	int v = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (v < 100000)
			v = v * 10 + (*p - '0');
	*out = v;
	return p;
}

/** Flags, width, precision and length; returns the place of the letter. */
static const char *parse_spec(const char *p, struct spec *sp, va_list *ap)
{
	*sp = (struct spec){.precision = -1};
	for (;; p++) {
		if (*p == '-')
			sp->left = true;
		else if (*p == '0')
			sp->zero = true;
		else if (*p == '+')
			sp->plus = true;
		else if (*p == ' ')
			sp->space = true;
		else if (*p == '#')
			sp->alt = true;
		else
			break;
	}
	if (*p == '*') {
		sp->width = va_arg(*ap, int);
		if (sp->width < 0) {
			sp->left = true;
			sp->width = -sp->width;
		}
		p++;
	} else {
		p = parse_number(p, &sp->width);
	}
	if (*p == '.') {
		if (*++p == '*') {
			sp->precision = va_arg(*ap, int);
			p++;
		} else {
			p = parse_number(p, &sp->precision);
		}
	}
	for (; *p == 'l' || *p == 'z' || *p == 'j' || *p == 't'; p++)
		sp->longs++;
	for (; *p == 'h'; p++)
		sp->longs--;
	return p;
}

static u64 fetch_unsigned(const struct spec *sp, va_list *ap)
{
	if (sp->longs > 0)
		return va_arg(*ap, u64);
	if (sp->longs == 0)
		return va_arg(*ap, unsigned int);
	return sp->longs == -1 ? (unsigned short)va_arg(*ap, unsigned int)
			       : (unsigned char)va_arg(*ap, unsigned int);
}

static s64 fetch_signed(const struct spec *sp, va_list *ap)
{
	if (sp->longs > 0)
		return va_arg(*ap, s64);
	if (sp->longs == 0)
		return va_arg(*ap, int);
	return sp->longs == -1 ? (short)va_arg(*ap, int) : (signed char)va_arg(*ap, int);
}

static void put_signed(struct sink *s, const struct spec *sp, s64 v)
{
	u64 magnitude = v < 0 ? 0 - (u64)v : (u64)v;

	put_number(s, sp, magnitude, 10, LOWER_CASE,
		   v < 0       ? "-"
		   : sp->plus  ? "+"
		   : sp->space ? " "
			       : "");
}

int kvsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct sink s = {buf, size, 0};
	struct spec sp;
	va_list ap;

	va_copy(ap, args);
	for (const char *p = fmt; *p; p++) {
		const char *start = p;
		u64 v;

		if (*p != '%') {
			while (p[1] && p[1] != '%')
				p++;
			put_text(&s, start, p + 1 - start);
			continue;
		}
		p = parse_spec(p + 1, &sp, &ap);
		switch (*p) {
		case 'd':
		case 'i':
			put_signed(&s, &sp, fetch_signed(&sp, &ap));
			break;
		case 'u':
			put_number(&s, &sp, fetch_unsigned(&sp, &ap), 10, LOWER_CASE, "");
			break;
		case 'o':
			put_number(&s, &sp, fetch_unsigned(&sp, &ap), 8, LOWER_CASE, "");
			break;
		case 'x':
		case 'X':
			v = fetch_unsigned(&sp, &ap);
			put_number(&s, &sp, v, 16, *p == 'X' ? UPPER_CASE : LOWER_CASE,
				   !sp.alt || !v ? ""
				   : *p == 'X'	 ? "0X"
						 : "0x");
			break;
		case 'p':
			put_number(&s, &sp, (unsigned long)va_arg(ap, void *), 16, LOWER_CASE,
				   "0x");
			break;
		case 's':
			put_string(&s, &sp, va_arg(ap, const char *));
			break;
		case 'c': {
			char c[2] = {(char)va_arg(ap, int), '\0'};

			if (!sp.left)
				pad(&s, ' ', sp.width - 1);
			put(&s, c[0]);
			if (sp.left)
				pad(&s, ' ', sp.width - 1);
			break;
		}
		case '%':
			put(&s, '%');
			break;
		default:
			for (; start < p; start++)
				put(&s, *start);
			if (!*p)
				goto out; /* the format ended inside a directive */
			put(&s, *p);
		}
	}
out:
	va_end(ap);
	if (size)
		buf[min(s.len, size - 1)] = '\0';
	return s.len;
}

int ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

void report_printf(struct report *r, const char *fmt, ...)
{
	size_t room = r->size - r->len;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = kvsnprintf(r->buf + r->len, room, fmt, ap);
	va_end(ap);
	if (n >= room) {
		/* The terminator needs a byte too: what does not fit whole is cut. */
		r->overflow = true;
		n = room ? room - 1 : 0;
	}
	r->len += n;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

int parse_size(const char *s, u64 *out)
{
	unsigned int base = 10, shift = 0;
	bool any = false;
	u64 v = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	for (; digit_value(*s) < (int)base; s++) {
		if (__builtin_mul_overflow(v, (u64)base, &v) ||
		    __builtin_add_overflow(v, (u64)digit_value(*s), &v))
			return -EINVAL;
		any = true;
	}
	switch (*s) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	case 't':
	case 'T':
		shift = 40;
		break;
	}
	if (shift)
		s++;
	if (!any || *s || (v << shift) >> shift != v)
		return -EINVAL;
	*out = v << shift;
	return 0;
}

int parse_bool(const char *text, bool *value)
{
	const char letter = text[0] | 0x20;
	const char second = letter == 'o' ? text[1] | 0x20 : 0;

	if (text[0] == '1' || letter == 'y' || letter == 't' || second == 'n')
		*value = true;
	else if (text[0] == '0' || letter == 'n' || letter == 'f' || second == 'f')
		*value = false;
	else
		return -EINVAL;
	return 0;
}
