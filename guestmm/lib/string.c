/*
 * Memory and string functions for the kernel, which has no C library.
 *
 * The string instructions do the bulk. Where ring 0 is emulated each turn of a `rep` costs about as
 * much as an instruction, and in the lab each turn counts as one, so quadwords go first and at most
 * seven bytes follow. No vector registers: the kernel does not own them.
 *
 * On the host the C library has these; only what it lacks is compiled there.
 */
#include "lib/errno.h"
#include "lib/string.h"

#ifndef MMVM_HOSTED

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;
	size_t quads = n >> 3, bytes = n & 7;

	__asm__ volatile("rep movsq" : "+D"(d), "+S"(src), "+c"(quads)::"memory");
	if (bytes)
		__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(bytes)::"memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	const char *s = (const char *)src + n - 1;
	char *d = (char *)dst + n - 1;
	size_t quads = n >> 3, bytes = n & 7;

	/* Upwards is safe unless the destination begins inside the source. */
	if ((unsigned long)dst - (unsigned long)src >= n)
		return memcpy(dst, src, n);
	__asm__ volatile("std; rep movsb; subq $7, %%rdi; subq $7, %%rsi; movq %3, %%rcx; "
			 "rep movsq; cld"
			 : "+D"(d), "+S"(s), "+c"(bytes)
			 : "r"(quads)
			 : "memory", "cc");
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *d = dst;
	u64 v = (u8)c * 0x0101010101010101ull;
	size_t quads = n >> 3, bytes = n & 7;

	__asm__ volatile("rep stosq" : "+D"(d), "+c"(quads) : "a"(v) : "memory");
	if (bytes)
		__asm__ volatile("rep stosb" : "+D"(d), "+c"(bytes) : "a"(v) : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *p = a, *q = b;

	/* Skip what is equal eight bytes at a time; the differing quadword is compared byte by byte. */
	while (n >= 8 && *(const u64 *)p == *(const u64 *)q) {
		p += 8;
		q += 8;
		n -= 8;
	}
	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

size_t strlen(const char *s)
{
	const char *p = s;

	while (*p)
		p++;
	return p - s;
}

size_t strnlen(const char *s, size_t n)
{
	size_t len = 0;

	while (len < n && s[len])
		len++;
	return len;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	return 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *strstr(const char *s, const char *find)
{
	size_t len = strlen(find);

	for (;; s++) {
		if (!strncmp(s, find, len))
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

#endif /* !MMVM_HOSTED */

long strscpy(char *dst, const char *src, size_t n)
{
	size_t i;

	if (!n)
		return -E2BIG;
	for (i = 0; i < n - 1 && src[i]; i++)
		dst[i] = src[i];
	dst[i] = '\0';
	return src[i] ? -E2BIG : (long)i;
}
