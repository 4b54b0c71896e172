/* Memory and string functions, as in C. On the host, the C library's. */
#ifndef LIB_STRING_H
#define LIB_STRING_H
#ifdef MMVM_HOSTED
#include <string.h>
#else
#include "lib/types.h"
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strstr(const char *s, const char *find);
#endif
#include "lib/types.h"
/** Copy at most n-1 bytes and always terminate. Returns the length copied or -E2BIG. */
long strscpy(char *dst, const char *src, size_t n);
#endif
